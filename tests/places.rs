//! What stands where a file or folder should be, a disk that takes nothing more, a machine without a
//! home: each is said, nothing hangs, nothing is lost.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;

use clawkeep::file::Lock;
use common::World;
use common::vault::{copy_dir, put_back, request};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

const VALUE: &str = "fake-value-0123456789";

fn ready() -> World {
    let world = World::new();
    world.init();
    world.paste("fakeai", "fakeai:manual", VALUE, &[]);
    world
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The files that a vault is made of.
fn files(world: &World) -> Vec<PathBuf> {
    let vault = world.vault();
    vec![
        vault.join("vault.age"),
        vault.join("vault.json"),
        vault.join("vault.lock"),
        vault.join("slots/identity-file.age"),
        vault.join("agents/main/auth-profiles.json"),
        world.identity_file(),
    ]
}

/// A writer refuses with the file's name; a reader gives the value or says that it cannot.
#[track_caller]
fn assert_said(world: &World, path: &Path, reason: &str) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let run = world
        .cmd(&["models", "auth", "paste-token", "--provider", "fakeai"])
        .stdin("fake-new-value")
        .run()
        .fails(1);
    assert!(run.stderr.contains(reason), "{}: {run}", path.display());
    assert!(run.stderr.contains(name), "{}: {run}", path.display());
    let answer = world
        .resolve_cmd(request(&["fakeai:manual"]))
        .run()
        .ok()
        .json();
    let value = answer["values"]["fakeai:manual"].as_str();
    let code = answer["errors"]["fakeai:manual"]["code"].as_str();
    assert!(value == Some(VALUE) || code == Some("BROKEN"), "{answer}");
}

#[test]
fn a_link_in_a_files_place_is_not_followed() {
    let world = ready();
    for path in files(&world) {
        let away = world.root().join("away");
        std::fs::rename(&path, &away).unwrap();
        symlink(&away, &path).unwrap();
        assert_said(&world, &path, "symbolic link");
        let kept = std::fs::symlink_metadata(&path).unwrap();
        assert!(
            kept.file_type().is_symlink(),
            "{} was replaced",
            path.display()
        );
        std::fs::remove_file(&path).unwrap();
        // A link to nothing is no absent file either.
        symlink(world.root().join("nowhere"), &path).unwrap();
        assert_said(&world, &path, "symbolic link");
        assert!(!world.root().join("nowhere").exists());
        std::fs::remove_file(&path).unwrap();
        std::fs::rename(&away, &path).unwrap();
        assert_eq!(world.get("fakeai:manual"), VALUE);
    }
}

#[test]
fn a_pipe_or_a_folder_in_a_files_place_is_said_and_nothing_hangs() {
    let world = ready();
    for path in files(&world) {
        let is_lock = path.ends_with("vault.lock");
        let away = world.root().join("away");
        std::fs::rename(&path, &away).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert_said(&world, &path, "not a regular file");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        chmod(&path, 0o700);
        assert_said(
            &world,
            &path,
            if is_lock {
                "folder"
            } else {
                "not a regular file"
            },
        );
        std::fs::remove_dir(&path).unwrap();
        std::fs::rename(&away, &path).unwrap();
        assert_eq!(world.get("fakeai:manual"), VALUE);
    }
}

#[test]
fn files_and_folders_open_to_others_are_refused_with_the_command_that_mends_it() {
    let world = ready();
    for path in files(&world) {
        if path.ends_with("vault.lock") {
            continue;
        }
        let shared = path.ends_with("auth-profiles.json");
        chmod(&path, if shared { 0o666 } else { 0o644 });
        assert_said(&world, &path, "open to other users");
        chmod(&path, 0o600);
    }
    let vault = world.vault();
    for (dir, mode) in [
        (vault.clone(), 0o755),
        (vault.clone(), 0o770),
        (vault.join("agents/main"), 0o755),
    ] {
        chmod(&dir, mode);
        let run = world
            .cmd(&["models", "auth", "paste-token", "--provider", "fakeai"])
            .stdin("fake-new-value")
            .run()
            .fails(1);
        let hint = format!("hint: chmod 700 {}", dir.display());
        assert!(run.stderr.contains(&hint), "{run}");
        chmod(&dir, 0o700);
    }
}

#[test]
fn a_link_in_the_vaults_place_is_not_followed() {
    let world = ready();
    let away = world.root().join("away");
    std::fs::rename(world.vault(), &away).unwrap();
    symlink(&away, world.vault()).unwrap();
    let run = world.run(&["secret", "list"]).fails(1);
    assert!(run.stderr.contains("symbolic link"), "{run}");
    let run = world
        .run(&["init", "--slot", "identity-file", "--no-recovery"])
        .fails(1);
    assert!(run.stderr.contains("symbolic link"), "{run}");
    assert_eq!(
        world.resolve(&["fakeai:manual"])["errors"]["fakeai:manual"]["code"],
        "BROKEN"
    );
    std::fs::remove_file(world.vault()).unwrap();
    std::fs::write(world.vault(), "a file").unwrap();
    let run = world.run(&["secret", "list"]).fails(1);
    assert!(run.stderr.contains("not a folder"), "{run}");
}

#[test]
fn huge_files_are_not_read() {
    let world = ready();
    let own = world.root().join("own");
    copy_dir(&world.vault(), &own);
    for name in [
        "vault.json",
        "link.json",
        "agents/main/auth-profiles.json",
        "slots/identity-file.age",
        "vault.age",
    ] {
        put_back(&own, &world.vault());
        let path = world.vault().join(name);
        let file = std::fs::File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .unwrap();
        chmod(&path, 0o600);
        // Sparse: it takes no room on the disk.
        file.set_len(1 << 33).unwrap();
        assert_said(&world, &path, "is larger than");
    }
    put_back(&own, &world.vault());
    let deep = "[".repeat(1 << 20);
    world.write(
        ".local/share/clawkeep/agents/main/auth-profiles.json",
        &deep,
    );
    let path = world.vault().join("agents/main/auth-profiles.json");
    assert_said(&world, &path, "cannot be read as JSON");
    assert_eq!(std::fs::read(&path).unwrap(), deep.as_bytes());
    assert_eq!(world.get("fakeai:manual"), VALUE);
}

#[test]
fn a_broken_profile_file_is_left_as_it_is_and_the_value_unchanged() {
    let world = ready();
    let path = world.vault().join("agents/main/auth-profiles.json");
    for broken in [
        "",
        "{",
        "[]",
        "\u{feff}{}",
        "{\"profiles\": {\"sk-fake-needle\"",
        "null",
    ] {
        std::fs::write(&path, broken).unwrap();
        assert_said(&world, &path, "auth-profiles.json");
        assert_eq!(std::fs::read(&path).unwrap(), broken.as_bytes());
        let run = world.run(&["models", "auth", "list"]).fails(1);
        assert!(!run.stderr.contains("needle"), "{run}");
        let run = world.run(&["models", "auth", "logout", "--provider", "fakeai", "--yes"]);
        let _ = run.fails(1);
        assert_eq!(world.get("fakeai:manual"), VALUE);
    }
}

#[test]
fn a_lock_file_of_the_dead_is_no_lock_and_a_live_one_is_said_with_its_path() {
    let world = ready();
    let path = world.vault().join("vault.lock");
    std::fs::write(&path, "pid 1").unwrap();
    world.set("id", "fake");
    let held = Lock::take(&path, Duration::ZERO).unwrap();
    let error = Lock::take(&path, Duration::from_millis(20)).unwrap_err();
    assert!(error.message().contains("another clawkeep"), "{error}");
    assert!(error.message().contains("vault.lock"), "{error}");
    assert!(error.hint_text().unwrap().contains("fuser"), "{error}");
    // A reader waits for no writer, be there something that it would like to note.
    let cache = world.vault().join("vault.json");
    let mut json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&cache).unwrap()).unwrap();
    json["seen"]["generation"] = serde_json::json!(1);
    std::fs::write(&cache, json.to_string()).unwrap();
    assert_eq!(world.get("fakeai:manual"), VALUE);
    assert_eq!(world.resolve(&["id"])["values"]["id"], "fake");
    drop(held);
    world.set("id", "fake-2");
}

#[test]
fn what_a_killed_writer_left_is_swept() {
    let world = ready();
    let names = [
        ".clawkeep-tmp-AbCdEf",
        "slots/.clawkeep-tmp-AbCdEf",
        "agents/main/.clawkeep-tmp-AbCdEf",
    ];
    for name in names {
        world.write(
            &format!(".local/share/clawkeep/{name}"),
            "half a fake value",
        );
    }
    world.write(".local/share/clawkeep/not-ours", "x");
    world.paste("fakeai", "fakeai:manual", VALUE, &[]);
    for name in names {
        assert!(!world.vault().join(name).exists(), "{name}");
    }
    assert!(world.vault().join("not-ours").exists());
}

/// A file system of its own, or `None` where this user may mount none.
struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(at: &Path, options: &str) -> Option<Mounted> {
        std::fs::create_dir_all(at).unwrap();
        let done = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "clawkeep-test"])
            .arg(at)
            .output();
        let mounted = done.is_ok_and(|output| output.status.success());
        if !mounted {
            use std::io::Write as _;
            let _ = writeln!(
                std::io::stderr(),
                "not run: this user may not mount a tmpfs"
            );
        }
        mounted.then(|| Mounted(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}

#[test]
fn a_full_disk_is_said_and_the_old_values_stay() {
    let world = ready();
    let disk = world.root().join("disk");
    let Some(_mounted) = Mounted::tmpfs(&disk, "size=256k,mode=0700") else {
        return;
    };
    let vault = disk.join("vault");
    copy_dir(&world.vault(), &vault);
    let dir = vault.to_str().unwrap();
    let before = std::fs::read(vault.join("vault.age")).unwrap();
    let mut filler = vec![0; 1 << 20];
    loop {
        use std::io::Write as _;
        let mut file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(disk.join("filler"))
            .unwrap();
        if file.write_all(&filler).is_err() && filler.len() == 1 {
            break;
        }
        filler.truncate((filler.len() / 2).max(1));
    }
    for args in [
        &["secret", "set", "id"][..],
        &["models", "auth", "paste-token", "--provider", "fakeai"],
        &["rekey", "--yes"],
        &[
            "slot",
            "add",
            "identity-file",
            "--name",
            "two",
            "--identity-file",
            "two.txt",
        ],
    ] {
        let run = world
            .cmd(&[&["--vault", dir], args].concat())
            .stdin("fake-new")
            .run()
            .fails(1);
        assert!(run.stderr.contains("the disk is full"), "{args:?}: {run}");
        assert_eq!(std::fs::read(vault.join("vault.age")).unwrap(), before);
    }
    let run = world
        .run(&["--vault", dir, "secret", "get", "fakeai:manual"])
        .ok();
    assert_eq!(run.stdout, VALUE);
    std::fs::remove_file(disk.join("filler")).unwrap();
    let _ = world
        .cmd(&["--vault", dir, "secret", "set", "id"])
        .stdin("fake-new")
        .run()
        .ok();
    let names = || {
        std::fs::read_dir(vault.join("slots"))
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name())
    };
    assert!(
        names().eq(["identity-file.age"]),
        "{:?}",
        names().collect::<Vec<_>>()
    );
}

#[test]
fn a_read_only_disk_is_read_and_not_written() {
    let world = ready();
    let disk = world.root().join("disk");
    let Some(_mounted) = Mounted::tmpfs(&disk, "size=1m,mode=0700") else {
        return;
    };
    let vault = disk.join("vault");
    copy_dir(&world.vault(), &vault);
    std::fs::remove_file(vault.join("vault.json")).unwrap();
    let status = std::process::Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(&disk)
        .status()
        .unwrap();
    assert!(status.success());
    let dir = vault.to_str().unwrap();
    let run = world
        .run(&["--vault", dir, "secret", "get", "fakeai:manual"])
        .ok();
    assert_eq!(run.stdout, VALUE);
    let run = world
        .cmd(&["resolve", "--vault", dir])
        .stdin(request(&["fakeai:manual"]))
        .run()
        .ok();
    assert_eq!(run.json()["values"]["fakeai:manual"], VALUE);
    let run = world
        .cmd(&["--vault", dir, "secret", "set", "id"])
        .stdin("fake")
        .run()
        .fails(1);
    assert!(run.stderr.contains("read-only"), "{run}");
}

#[test]
fn without_a_home_a_vault_must_be_named() {
    let world = ready();
    let run = world.cmd(&["secret", "list"]).env_remove("HOME").run();
    // The user database knows one for whoever runs the tests, and there is no vault in it.
    assert!([0, 1, 75].contains(&run.code), "{run}");
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // A user that no database knows.
    chmod(world.root(), 0o755);
    let binary = world.root().join("clawkeep");
    crate::common::copy_program(&binary);
    let stranger = |args: &[&str]| {
        let all = [
            &[
                "--reuid=12345",
                "--regid=12345",
                "--clear-groups",
                binary.to_str().unwrap(),
            ],
            args,
        ]
        .concat();
        world
            .program(Path::new("/usr/bin/setpriv"), &all)
            .env_remove("HOME")
            .current_dir(Path::new("/"))
            .stdin(request(&["id"]))
            .run()
    };
    for args in [
        &["secret", "list"][..],
        &["resolve"],
        &["init", "--slot", "identity-file", "--no-recovery"],
    ] {
        let run = stranger(args).fails(1);
        assert!(
            run.stderr.contains("no home folder") && run.stderr.contains("--vault DIR"),
            "{run}"
        );
    }
    let own = world.root().join("own");
    std::fs::create_dir(&own).unwrap();
    std::os::unix::fs::chown(&own, Some(12345), Some(12345)).unwrap();
    chmod(&own, 0o700);
    let vault = own.join("vault");
    let vault = vault.to_str().unwrap();
    let run = stranger(&[
        "--vault",
        vault,
        "init",
        "--slot",
        "identity-file",
        "--no-recovery",
    ])
    .fails(1);
    assert!(run.stderr.contains("--identity-file"), "{run}");
    let key = own.join("key.txt");
    let _ = stranger(&[
        "--vault",
        vault,
        "init",
        "--slot",
        "identity-file",
        "--identity-file",
        key.to_str().unwrap(),
        "--no-recovery",
    ])
    .ok();
    let run = stranger(&["resolve", "--vault", vault]).ok();
    assert_eq!(run.json()["errors"]["id"]["code"], "NOT_FOUND");
}
