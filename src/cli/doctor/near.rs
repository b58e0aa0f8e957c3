//! What lies in and near the vault's folder: modes of its files, and keys in the clear. Ring 4; reads.

use crate::doctor::facts::{IdentityFact, MachineFact, Nearness, PathFact};
use crate::file;
use crate::provider::shapes::IDENTITIES;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// How deep the vault's folder is looked through: `agents/<id>/<file>`, with room.
const DEPTH: usize = 4;
/// The most files that are looked at in one folder.
const MOST: usize = 4096;
/// The largest file that is looked into for a key in the clear: an identity file has some hundred bytes.
const MAX_IDENTITY: usize = 64 * 1024;

/// Folders that services copy to other machines, by name.
const CARRIED: [&str; 9] = [
    "Dropbox",
    "OneDrive",
    "Google Drive",
    "GoogleDrive",
    "Nextcloud",
    "ownCloud",
    "Sync",
    "Syncthing",
    "Mobile Documents",
];

/// Folders in memory, on every Linux.
#[cfg(target_os = "linux")]
const IN_MEMORY: [&str; 3] = ["/dev/shm", "/run", "/var/run"];
/// The file systems in memory, tmpfs and ramfs, by statfs(2)'s number: a `/tmp` is often one.
#[cfg(target_os = "linux")]
const MEMORY_SYSTEMS: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// The vault's folder and all in it, and the files of `identities`.
pub(super) fn paths<'a>(
    dir: &Path,
    identities: impl IntoIterator<Item = &'a Path>,
) -> Vec<PathFact> {
    let mut found = Vec::new();
    walk(dir, DEPTH, &mut found);
    for path in identities {
        found.extend(look(path));
    }
    found
}

fn walk(path: &Path, depth: usize, found: &mut Vec<PathFact>) {
    let Some(fact) = look(path) else {
        return;
    };
    let goes_on = fact.is_dir && !fact.is_link && fact.is_own && depth > 0;
    found.push(fact);
    if goes_on {
        for below in listed(path) {
            walk(&below, depth - 1, found);
        }
    }
}

fn listed(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.take(MOST).map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(unix)]
fn look(path: &Path) -> Option<PathFact> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::symlink_metadata(path).ok()?;
    let kind = meta.file_type();
    if !(kind.is_file() || kind.is_dir() || kind.is_symlink()) {
        // A keeper's socket is guarded by its folder.
        return None;
    }
    Some(PathFact {
        path: path.to_owned(),
        is_dir: meta.is_dir(),
        is_link: kind.is_symlink(),
        is_own: meta.uid() == rustix::process::geteuid().as_raw(),
        mode: meta.mode() & 0o7777,
    })
}

#[cfg(not(unix))]
fn look(path: &Path) -> Option<PathFact> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    Some(PathFact {
        path: path.to_owned(),
        is_dir: meta.is_dir(),
        is_link: meta.file_type().is_symlink(),
        is_own: true,
        mode: 0o700,
    })
}

/// Every key in the clear that may be taken away together with the vault: those of its slots, and
/// whatever of that kind lies in its folder or beside it.
/// `paths` are those that [`paths`] gave.
pub(super) fn identities(
    dir: &Path,
    paths: &[PathFact],
    of_slots: &[(String, PathBuf)],
    home: &Path,
) -> Vec<IdentityFact> {
    let mut found: Vec<IdentityFact> = Vec::new();
    let inside = paths
        .iter()
        .filter(|fact| !fact.is_dir && !fact.is_link && fact.path.starts_with(dir));
    let beside = dir.parent().map(listed).unwrap_or_default();
    let candidates = inside.map(|fact| fact.path.clone()).chain(beside);
    let holding = candidates.filter(|path| holds_identity(path));
    let of_slots = of_slots.iter().filter(|(_, path)| path.exists()).cloned();
    let of_slots = of_slots.map(|(slot, path)| (Some(slot), path));
    for (slot, path) in of_slots.chain(holding.map(|path| (None, path))) {
        let near = nearness(dir, &path, home);
        if let Some(near) = near
            && !found.iter().any(|known| known.path == path)
        {
            found.push(IdentityFact { path, near, slot });
        }
    }
    found
}

fn holds_identity(path: &Path) -> bool {
    let Ok(Some((bytes, _))) = file::read_of_anyone(path, MAX_IDENTITY) else {
        return false;
    };
    let bytes = Zeroizing::new(bytes);
    let holds = |start: &&str| {
        let start = start.as_bytes();
        bytes.windows(start.len()).any(|window| window == start)
    };
    IDENTITIES.iter().any(holds)
}

fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn nearness(dir: &Path, path: &Path, home: &Path) -> Option<Nearness> {
    let (dir, path, home) = (real(dir), real(path), real(home));
    if path.starts_with(&dir) {
        return Some(Nearness::Inside);
    }
    let folder = path.parent()?;
    if dir.parent() == Some(folder) && folder != home {
        return Some(Nearness::Beside);
    }
    let common = folder.ancestors().filter(|above| dir.starts_with(above));
    for above in common {
        let name = above.file_name().and_then(|name| name.to_str());
        let is_carried = name.is_some_and(|name| CARRIED.contains(&name));
        // Whose whole home is under git keeps his settings so, and says which.
        if is_carried || (above != home && above.join(".git").exists()) {
            return Some(Nearness::Carried(above.to_owned()));
        }
    }
    (dir.starts_with(&home) && path.starts_with(&home)).then_some(Nearness::SameHome)
}

/// The folder in memory that a path is in.
#[cfg(target_os = "linux")]
pub(super) fn in_memory(path: &Path) -> Option<PathBuf> {
    let known = IN_MEMORY.iter().map(Path::new);
    if let Some(known) = known.into_iter().find(|folder| path.starts_with(folder)) {
        return Some(known.to_owned());
    }
    let folder = real(path.parent()?);
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        reason = "the number has other types on other machines"
    )]
    let system = rustix::fs::statfs(&folder).ok()?.f_type as u64;
    // Where it has 32 bits and a sign, that fills the rest.
    is_memory(system & 0xFFFF_FFFF).then_some(folder)
}

#[cfg(target_os = "linux")]
fn is_memory(system: u64) -> bool {
    MEMORY_SYSTEMS.contains(&system)
}

/// Elsewhere nothing that a person names lies in memory.
#[cfg(not(target_os = "linux"))]
pub(super) fn in_memory(_: &Path) -> Option<PathBuf> {
    None
}

/// The machine.
pub(super) fn machine(user: Option<&str>) -> MachineFact {
    let scope = file::read_of_anyone(Path::new("/proc/sys/kernel/yama/ptrace_scope"), 64);
    let scope = scope.ok().flatten().and_then(|(bytes, _)| {
        let text = std::str::from_utf8(&bytes).ok()?;
        text.trim().parse().ok()
    });
    MachineFact {
        linux: cfg!(target_os = "linux"),
        ptrace_scope: scope,
        lingers: user.is_some_and(|user| Path::new("/var/lib/systemd/linger").join(user).exists()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_near_a_key_lies_is_told() {
        let world = tempfile::tempdir().unwrap();
        let home = real(world.path());
        let dir = home.join("data/vault");
        std::fs::create_dir_all(dir.join("deep")).unwrap();
        std::fs::create_dir_all(home.join("keys")).unwrap();
        std::fs::create_dir_all(home.join("Dropbox/a/vault")).unwrap();
        std::fs::create_dir_all(home.join("dots/.git")).unwrap();
        let near = |dir: &Path, path: &str| nearness(dir, &home.join(path), &home);
        assert_eq!(near(&dir, "data/vault/deep/id"), Some(Nearness::Inside));
        assert_eq!(near(&dir, "data/id.txt"), Some(Nearness::Beside));
        assert_eq!(near(&dir, "keys/id.txt"), Some(Nearness::SameHome));
        assert_eq!(nearness(&dir, Path::new("/nowhere/id"), &home), None);
        let cloud = home.join("Dropbox");
        assert_eq!(
            near(&cloud.join("a/vault"), "Dropbox/id.txt"),
            Some(Nearness::Carried(cloud))
        );
        let dots = home.join("dots");
        assert_eq!(
            near(&dots.join("v/x"), "dots/id.txt"),
            Some(Nearness::Carried(dots))
        );
        assert_eq!(
            near(&home.join("vault"), "id.txt"),
            Some(Nearness::SameHome),
            "the home itself is no such folder"
        );
    }

    #[test]
    fn only_what_holds_a_key_is_a_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &[u8]| {
            let path = dir.path().join(name);
            file::create(&path, text, 0o600).unwrap();
            path
        };
        assert!(holds_identity(&file("a", b"# x\nAGE-SECRET-KEY-1FAKE\n")));
        assert!(holds_identity(&file("lower", b"age-secret-key-1fake")));
        assert!(!holds_identity(&file("b", b"age-encryption.org/v1")));
        assert!(!holds_identity(&file("c", b"")));
        assert!(!holds_identity(&dir.path().join("none")));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn folders_in_memory_are_known() {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let home = tempfile::tempdir().unwrap();
        let link = home.path().join("keys");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        assert_eq!(in_memory(&link.join("id")), Some(real(dir.path())));
        assert!(is_memory(0x0102_1994) && !is_memory(0xEF53));
        for (path, said) in [
            ("/run/user/1000/id", Some("/run")),
            ("/dev/shm/id", Some("/dev/shm")),
            ("/runner/id", None),
            ("/home/x/id", None),
        ] {
            assert_eq!(
                in_memory(Path::new(path)).as_deref(),
                said.map(Path::new),
                "{path}"
            );
        }
    }
}
