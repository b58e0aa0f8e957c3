//! What a backup promises, on hostile ones too: nothing is written for one that is refused.

use super::*;
use crate::file::{Lock, check_private_dir};
use proptest::prelude::*;

const AGE: &[u8] = b"age-encryption.org/v1\nfake";

fn now() -> Millis {
    Millis::new(1_800_000_000_123).unwrap()
}

/// A folder as a vault of file custody has it, with things in it that are no part of a backup.
fn vault(dir: &Path) {
    file::private_dir(dir).unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        file::private_dir(path.parent().unwrap()).unwrap();
        file::replace(&path, bytes, 0o600).unwrap();
    };
    file::private_dir(&dir.join("agents")).unwrap();
    put("vault.age", AGE);
    put("slots/passphrase.age", AGE);
    put("slots/notes.txt", b"FAKE-not-in-it");
    put("undo/20261120-101112-0a1b2c.keep.age", AGE);
    put("agents/main/auth-profiles.json", b"{}");
    put("agents/main/other.json", b"FAKE-not-in-it");
    put("link.json", b"{}");
    put("keeper.json", b"FAKE-not-in-it");
    put("log/releases.jsonl", b"FAKE-not-in-it");
    put("identity.txt", b"AGE-SECRET-KEY-1FAKE-not-in-it");
    let seen = crate::vault::cache::State {
        generation: 7,
        mac: [9; 32],
    };
    let cache = Cache {
        custody: Custody::File,
        vault_id: Some(VaultId::from_bytes([3; 32])),
        next_vault_id: None,
        seen: Some(seen),
        slots: Vec::new(),
    };
    cache.save(dir).unwrap();
}

fn taken(dir: &Path) -> Backup {
    let lock = Lock::take(&dir.join("vault.lock"), file::LOCK_WAIT).unwrap();
    take(dir, Custody::File, now(), &lock).unwrap()
}

/// Made once: what differs between two of them is nothing.
fn sample() -> Vec<u8> {
    static SAMPLE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    SAMPLE.get_or_init(made).clone()
}

fn made() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("vault");
    vault(&dir);
    taken(&dir).write().unwrap()
}

/// The same backup with its members changed, and its list of digests by the same hand.
fn forged(change: impl FnOnce(&mut Vec<(String, Option<Vec<u8>>)>)) -> Vec<u8> {
    let bytes = sample();
    let (members, time) = tar::read(&bytes).unwrap();
    let mut members: Vec<(String, Option<Vec<u8>>)> = members
        .into_iter()
        .map(|member| (member.name, member.bytes.map(<[u8]>::to_vec)))
        .collect();
    change(&mut members);
    let at = members.iter().position(|(name, _)| name == MANIFEST);
    if let Some(at) = at {
        let text = members[at].1.as_ref().unwrap();
        let mut manifest: serde_json::Value = serde_json::from_slice(text).unwrap();
        let digests = members.iter().filter(|(name, _)| name != MANIFEST);
        let digests: BTreeMap<&str, String> = digests
            .filter_map(|(name, bytes)| Some((name.as_str(), digest(bytes.as_ref()?))))
            .collect();
        manifest["files"] = serde_json::to_value(digests).unwrap();
        members[at].1 = Some(serde_json::to_vec(&manifest).unwrap());
    }
    let members: Vec<_> = members
        .into_iter()
        .map(|(name, bytes)| Member { name, bytes })
        .collect();
    tar::write(&members, time, MAX).unwrap()
}

fn names(backup: &Backup) -> Vec<String> {
    backup.names().map(ToString::to_string).collect()
}

#[test]
fn only_what_belongs_to_the_vault_is_in_it_and_comes_back() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("from"), root.path().join("deep/below/to"));
    vault(&from);
    let bytes = taken(&from).write().unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains("not-in-it") && !text.contains("AGE-SECRET-KEY"));
    let backup = Backup::read(&bytes).unwrap();
    assert_eq!(
        backup.about,
        About {
            created: now(),
            custody: Custody::File,
            vault_id: Some(VaultId::from_bytes([3; 32])),
            generation: Some(7),
        }
    );
    assert_eq!(
        names(&backup),
        [
            "vault.age",
            "vault.json",
            "link.json",
            "slots/passphrase.age",
            "undo/20261120-101112-0a1b2c.keep.age",
            "agents/main/auth-profiles.json",
        ]
    );
    assert_eq!(place(&to, &backup, false).unwrap(), Placed { aside: None });
    for name in backup.names() {
        let (old, new) = (name.in_folder(&from), name.in_folder(&to));
        assert_eq!(file::mode_of(&new), 0o600);
        check_private_dir(new.parent().unwrap()).unwrap();
        if *name != Name::VaultJson {
            assert_eq!(std::fs::read(old).unwrap(), std::fs::read(new).unwrap());
        }
    }
    // What was last seen is not taken over; the rest of vault.json is.
    let cache = Cache::load(&to).unwrap().unwrap();
    assert_eq!(cache.seen, None);
    assert_eq!(cache.vault_id, Some(VaultId::from_bytes([3; 32])));
}

#[test]
fn what_is_there_is_put_aside_or_refused_and_never_lost() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("vault");
    vault(&dir);
    let backup = Backup::read(&sample()).unwrap();
    let before = std::fs::read(dir.join("identity.txt")).unwrap();
    let said = place(&dir, &backup, false).unwrap_err();
    assert!(said.message().contains("is not empty"), "{said}");
    for n in 1..3 {
        let aside = root.path().join(format!("vault.before-restore-{n}"));
        let placed = place(&dir, &backup, true).unwrap();
        assert_eq!(placed.aside.as_deref(), Some(aside.as_path()));
        assert!(!dir.join("identity.txt").exists());
        assert!(aside.join("vault.age").exists());
    }
    let kept = root.path().join("vault.before-restore-1/identity.txt");
    assert_eq!(std::fs::read(kept).unwrap(), before);
    assert!(!root.path().join("vault.restoring").exists());
}

#[test]
fn what_was_cut_off_is_begun_anew_and_what_is_under_way_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("vault");
    let staging = root.path().join("vault.restoring");
    let backup = Backup::read(&sample()).unwrap();
    file::private_dir(&staging).unwrap();
    file::private_dir(&staging.join("slots")).unwrap();
    file::create(&staging.join("slots/stale.age"), AGE, 0o600).unwrap();
    let held = Lock::hold(&staging.join("vault.lock")).unwrap();
    let said = place(&dir, &backup, false).unwrap_err();
    assert!(said.message().contains("right now"), "{said}");
    assert!(staging.join("slots/stale.age").exists() && !dir.exists());
    drop(held);
    place(&dir, &backup, false).unwrap();
    assert!(!dir.join("slots/stale.age").exists() && !staging.exists());
    // A folder that others could write to is not used.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file::private_dir(&staging).unwrap();
        std::fs::set_permissions(&staging, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(place(&root.path().join("vault"), &backup, true).is_err());
    }
}

#[test]
fn whatever_no_backup_holds_is_refused() {
    let add = |name: &str, bytes: Option<&[u8]>| {
        let (name, bytes) = (name.to_owned(), bytes.map(<[u8]>::to_vec));
        forged(move |members| members.push((name, bytes)))
    };
    let without = |gone: &'static str| forged(move |m| m.retain(|(name, _)| name != gone));
    let with = |of: &'static str, bytes: Vec<u8>| {
        forged(move |members| {
            let found = members.iter_mut().find(|(name, _)| name == of).unwrap();
            found.1 = Some(bytes);
        })
    };
    assert!(Backup::read(&forged(|_| {})).is_ok());
    for (bytes, said) in [
        (add("keeper.json", Some(b"{}")), "something that no backup"),
        (add("vault.lock", Some(b"")), "something that no backup"),
        (add("slots/a.txt", Some(b"")), "something that no backup"),
        (
            add("agents/Main/auth-profiles.json", Some(b"")),
            "no backup",
        ),
        (add("log", None), "something that no backup"),
        (add("slots/x.age", Some(b"no age")), "is no age file"),
        (
            add("slots/x.age", Some(&[AGE, &vec![0; 65_536]].concat())),
            "larger",
        ),
        (without("vault.age"), "there is no vault.age in it"),
        (without(MANIFEST), "no backup.json"),
        (
            with("vault.age", b"{}".to_vec()),
            "vault.age is no age file",
        ),
        (with("vault.json", vec![b' '; (1 << 20) + 1]), "larger"),
        (
            with(
                "vault.json",
                br#"{"version":1,"custody":"keychain","vault_id":null}"#.to_vec(),
            ),
            "speak of two vaults",
        ),
    ] {
        let error = Backup::read(&bytes).err().expect("refused");
        assert!(error.message().contains(said), "{error}");
    }
    // A digest that is wrong, one that is missing, and one too many.
    let whole = sample();
    let text = String::from_utf8_lossy(&whole).into_owned();
    let at = text.find("fake").unwrap();
    let mut flipped = whole.clone();
    flipped[at] ^= 1;
    let error = Backup::read(&flipped).err().unwrap();
    assert!(error.message().contains("damaged"), "{error}");
    let (members, time) = tar::read(&whole).unwrap();
    let fewer: Vec<_> = members
        .into_iter()
        .filter(|member| member.name != "link.json")
        .collect();
    let fewer = tar::write(&fewer, time, MAX).unwrap();
    let error = Backup::read(&fewer).err().unwrap();
    assert!(error.message().contains("is not in it"), "{error}");
}

#[test]
fn a_newer_version_is_refused_by_name_and_nothing_is_quoted() {
    let manifest = |text: &str| {
        let text = text.to_owned();
        let members = [Member {
            name: MANIFEST.to_owned(),
            bytes: Some(text.into_bytes()),
        }];
        Backup::read(&tar::write(&members, 0, MAX).unwrap())
            .err()
            .unwrap()
    };
    for (text, said) in [
        (r#"{"format":"clawkeep-backup","version":2}"#, "version 2"),
        (
            r#"{"format":"fake-canary","version":1}"#,
            "not that of a backup",
        ),
        (
            r#"{"format":"clawkeep-backup","version":1,"created":"fake-canary"}"#,
            "line 1, column",
        ),
        ("fake-canary", "line 1, column"),
        ("", "line 1, column"),
    ] {
        let error = manifest(text);
        assert!(error.message().contains(said), "{error}");
        assert!(!error.message().contains("canary"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_vaults_folder_that_is_not_what_it_should_be_gives_no_backup() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let damage: [fn(&Path); 4] = [
        |dir| std::fs::remove_file(dir.join("vault.age")).unwrap(),
        |dir| {
            std::fs::remove_file(dir.join("link.json")).unwrap();
            symlink("/etc/passwd", dir.join("link.json")).unwrap();
        },
        |dir| {
            let mode = std::fs::Permissions::from_mode(0o644);
            std::fs::set_permissions(dir.join("slots/passphrase.age"), mode).unwrap();
        },
        |dir| {
            file::put_folder(&dir.join("slots"), &dir.join("s")).unwrap();
            symlink("s", dir.join("slots")).unwrap();
        },
    ];
    for damage in damage {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("vault");
        vault(&dir);
        damage(&dir);
        let lock = Lock::take(&dir.join("vault.lock"), file::LOCK_WAIT).unwrap();
        assert!(take(&dir, Custody::File, now(), &lock).is_err());
    }
}

proptest! {
    /// Whatever bytes a backup gets, it is refused, or has the same encrypted files.
    #[test]
    fn a_damaged_backup_is_refused(changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4), cut in any::<proptest::sample::Index>()) {
        let whole = sample();
        let _ = Backup::read(&whole[..cut.index(whole.len())]).err().expect("cut off");
        let mut bytes = whole.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(backup) = Backup::read(&bytes) {
            let files: Vec<_> = backup.files.values().collect();
            let was = Backup::read(&whole).unwrap();
            prop_assert_eq!(files, was.files.values().collect::<Vec<_>>());
        }
    }
}
