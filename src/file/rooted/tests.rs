//! Writes below a root, and who attacks them.

use super::*;
use crate::error::Kind;
use crate::file;
use proptest::prelude::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A folder with a root in it, and one outside it.
struct Scene {
    _dir: tempfile::TempDir,
    root: PathBuf,
    outside: PathBuf,
}

impl Scene {
    fn new() -> Scene {
        let dir = tempfile::tempdir().unwrap();
        // The system's temporary folder may be a link (macOS).
        let top = dir.path().canonicalize().unwrap();
        let (root, outside) = (top.join("root"), top.join("outside"));
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::create_dir_all(outside.join("b")).unwrap();
        file::create(&outside.join("b/f"), b"outside", 0o600).unwrap();
        Scene {
            _dir: dir,
            root,
            outside,
        }
    }

    fn below(&self, path: &str) -> Below {
        Below::of(&self.root, &self.root.join(path)).unwrap()
    }

    fn open(&self) -> Root {
        Root::open(&self.root).unwrap()
    }

    /// Nothing outside was touched.
    fn is_untouched(&self) {
        assert_eq!(std::fs::read(self.outside.join("b/f")).unwrap(), b"outside");
        assert_eq!(
            std::fs::read_dir(self.outside.join("b")).unwrap().count(),
            1
        );
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_file_is_made_written_over_and_removed() {
    let scene = Scene::new();
    let root = scene.open();
    let (below, path) = (scene.below("a/b/f"), scene.root.join("a/b/f"));
    assert!(root.read(&below, 10).unwrap().is_none());
    root.write(&below, Seen::Nothing, b"one", 0o666).unwrap();
    assert_eq!(
        (mode(&path), std::fs::read(&path).unwrap()),
        (0o666, b"one".to_vec())
    );
    root.write(&below, Seen::Bytes(b"one"), b"two", 0o400)
        .unwrap();
    let found = root.read(&below, 10).unwrap().unwrap();
    assert_eq!(
        (found.mode, found.bytes.as_slice()),
        (0o400, b"two".as_slice())
    );
    assert_eq!(
        std::fs::metadata(&path).unwrap().uid(),
        rustix::process::geteuid().as_raw()
    );
    // No other names beside it.
    assert_eq!(
        std::fs::read_dir(scene.root.join("a/b")).unwrap().count(),
        1
    );
    root.remove(&below, Seen::Bytes(b"two")).unwrap();
    root.remove(&below, Seen::Nothing).unwrap();
    assert!(!path.exists());
    // In the root itself.
    root.write(&scene.below("g"), Seen::Nothing, b"", 0o600)
        .unwrap();
    assert!(scene.root.join("g").exists());
}

#[test]
fn what_changed_since_it_was_seen_stays() {
    let scene = Scene::new();
    let root = scene.open();
    let (below, path) = (scene.below("a/f"), scene.root.join("a/f"));
    file::create(&path, b"theirs", 0o600).unwrap();
    for seen in [
        Seen::Nothing,
        Seen::Bytes(b"other!"),
        Seen::Bytes(b""),
        Seen::Bytes(b"theirs longer"),
    ] {
        assert!(root.write(&below, seen, b"ours", 0o600).is_err());
        assert!(root.remove(&below, seen).is_err());
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
    file::remove(&path).unwrap();
    assert!(
        root.write(&below, Seen::Bytes(b"theirs"), b"ours", 0o600)
            .is_err()
    );
    assert_eq!(std::fs::read_dir(scene.root.join("a")).unwrap().count(), 1);
}

#[test]
fn no_mode_beyond_the_nine_bits_is_given() {
    let scene = Scene::new();
    let root = scene.open();
    for bad in [0o4755, 0o2755, 0o1755, 0o100_644] {
        let error = root
            .write(&scene.below("a/f"), Seen::Nothing, b"x", bad)
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Broken);
    }
    assert!(!scene.root.join("a/f").exists());
    // A folder that hands down its group makes no setgid file either.
    let shared = std::fs::Permissions::from_mode(0o2755);
    std::fs::set_permissions(scene.root.join("a"), shared).unwrap();
    root.write(&scene.below("a/f"), Seen::Nothing, b"x", 0o755)
        .unwrap();
    assert_eq!(mode(&scene.root.join("a/f")), 0o755);
}

#[test]
fn a_link_anywhere_on_the_way_is_an_error() {
    let scene = Scene::new();
    let root = scene.open();
    // The file itself.
    symlink(scene.outside.join("b/f"), scene.root.join("a/f")).unwrap();
    // A folder.
    std::fs::remove_dir(scene.root.join("a/b")).unwrap();
    symlink(scene.outside.join("b"), scene.root.join("a/b")).unwrap();
    for path in ["a/f", "a/b/f"] {
        let below = scene.below(path);
        for seen in [Seen::Nothing, Seen::Bytes(b"outside")] {
            assert!(root.read(&below, 100).is_err(), "{path}");
            assert!(root.write(&below, seen, b"x", 0o600).is_err(), "{path}");
            assert!(root.remove(&below, seen).is_err(), "{path}");
        }
    }
    scene.is_untouched();
    // The root, or what is above it.
    let link = scene.root.with_file_name("link");
    symlink(&scene.root, &link).unwrap();
    assert!(Root::open(&link).is_err());
    assert!(Root::open(&link.join("a")).is_err());
    let error = Root::open(&scene.root.join("none")).err().unwrap();
    assert_eq!(error.kind(), Kind::Missing);
    assert!(Root::open(Path::new("relative")).is_err());
    assert!(Root::open(&scene.root.join("..")).is_err());
}

#[test]
fn what_is_no_regular_file_is_left_alone() {
    let scene = Scene::new();
    let root = scene.open();
    let at = |name: &str| scene.root.join("a").join(name);
    std::fs::create_dir(at("folder")).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    let pipe = rustix::fs::FileType::Fifo;
    let rights = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), pipe, rights, 0).unwrap();
    // A device is not even read.
    let device = Below::of(Path::new("/dev"), Path::new("/dev/null")).unwrap();
    let read = Root::open(Path::new("/dev")).unwrap().read(&device, 100);
    assert_eq!(read.err().unwrap().kind(), Kind::Broken);
    for name in ["folder", "socket", "pipe"] {
        let below = scene.below(&format!("a/{name}"));
        assert_eq!(
            root.read(&below, 100).err().unwrap().kind(),
            Kind::Broken,
            "{name}"
        );
        for seen in [Seen::Nothing, Seen::Bytes(b"")] {
            assert!(root.write(&below, seen, b"x", 0o600).is_err(), "{name}");
            assert!(root.remove(&below, seen).is_err(), "{name}");
        }
        assert!(
            !std::fs::symlink_metadata(at(name)).unwrap().is_file(),
            "{name}"
        );
    }
}

#[test]
fn a_hard_link_is_replaced_and_its_other_name_stays() {
    let scene = Scene::new();
    let path = scene.root.join("a/f");
    std::fs::hard_link(scene.outside.join("b/f"), &path).unwrap();
    scene
        .open()
        .write(&scene.below("a/f"), Seen::Bytes(b"outside"), b"ours", 0o600)
        .unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"ours");
    scene.is_untouched();
}

#[test]
fn what_a_killed_writer_left_goes_and_what_a_living_one_has_stays() {
    let scene = Scene::new();
    let at = |name: &str| {
        scene
            .root
            .join("a")
            .join(format!("{}{name}", file::TEMP_PREFIX))
    };
    file::create(&at("dead"), b"FAKE", 0o600).unwrap();
    file::create(&at("living"), b"FAKE", 0o600).unwrap();
    let living = std::fs::File::open(at("living")).unwrap();
    living.try_lock().unwrap();
    symlink(scene.outside.join("b/f"), at("link")).unwrap();
    scene
        .open()
        .write(&scene.below("a/f"), Seen::Nothing, b"x", 0o600)
        .unwrap();
    assert!(!at("dead").exists());
    assert!(at("living").exists());
    scene.is_untouched();
}

/// Somebody exchanges the folder for a link and back all the time, as fast as the system lets him:
/// whatever is written lands in the folder that was opened, never where the link leads.
#[test]
fn a_folder_that_is_swapped_for_a_link_all_the_time_leads_nobody_astray() {
    let scene = Scene::new();
    let (way, aside) = (scene.root.join("a/b"), scene.root.join("a/aside"));
    let link = scene.root.join("a/link");
    symlink(scene.outside.join("b"), &link).unwrap();
    let stop = AtomicBool::new(false);
    let swaps = AtomicU32::new(0);
    let (mut written, mut refused) = (0u32, 0u32);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let cwd = rustix::fs::CWD;
            let rename = |from: &Path, to: &Path| rustix::fs::renameat(cwd, from, cwd, to).unwrap();
            while !stop.load(Ordering::Relaxed) {
                rename(&way, &aside);
                rename(&link, &way);
                rename(&way, &link);
                rename(&aside, &way);
                swaps.fetch_add(1, Ordering::Relaxed);
            }
        });
        // Until both ends of the race were seen often, or a bound that no machine needs.
        while (written < 200 || refused < 200) && written + refused < 2_000_000 {
            let Ok(root) = Root::open(&scene.root) else {
                continue;
            };
            let below = scene.below("a/b/f");
            let done = root.read(&below, 100).and_then(|found| {
                let seen = found
                    .as_ref()
                    .map_or(Seen::Nothing, |it| Seen::Bytes(&it.bytes));
                assert!(
                    found
                        .as_ref()
                        .is_none_or(|it| it.bytes.as_slice() == b"inside")
                );
                root.write(&below, seen, b"inside", 0o600)
            });
            match done {
                Ok(()) => written += 1,
                Err(_) => refused += 1,
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    scene.is_untouched();
    assert!(
        written >= 200 && refused >= 200,
        "{written} written, {refused} refused, {} swaps",
        swaps.into_inner()
    );
    let left: Vec<_> = std::fs::read_dir(&way)
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(left, ["f"]);
}

#[test]
fn ways_out_are_no_ways() {
    let root = Path::new("/r/s");
    for path in [
        "/r/s",
        "/r/s/../x",
        "/r/sx/f",
        "/r",
        "/",
        "r/s/f",
        "",
        "/r/s/a/../../../x",
    ] {
        assert!(Below::of(root, Path::new(path)).is_err(), "{path}");
    }
    assert!(Below::of(root, Path::new("/r/s/a\0b")).is_err());
    assert_eq!(
        Below::of(root, Path::new("/r/s/a/b")).unwrap().0,
        ["a", "b"]
    );
}

proptest! {
    #[test]
    fn no_path_leads_out(path in "(/r/s)?[a-z./\0]{0,20}") {
        if let Ok(below) = Below::of(Path::new("/r/s"), Path::new(&path)) {
            prop_assert!(!below.0.is_empty());
            for name in &below.0 {
                let name = name.to_str().unwrap();
                prop_assert!(!name.is_empty() && name != "." && name != "..");
                prop_assert!(!name.contains(['/', '\0']));
            }
        }
    }
}
