//! Each way in by itself, and nothing written.
#![allow(
    clippy::disallowed_methods,
    reason = "looks: a test moves its own files away"
)]

use super::*;
use crate::file::{self, LOCK_WAIT, Lock};
use crate::host::Host;
use crate::keychain::memory::InMemory;
use crate::vault::argon::Cost;
use crate::vault::identity::Identity;
use crate::vault::rekey::{Doors, SlotPlan};
use crate::vault::slot::SlotName;
use crate::vault::{NewVault, Vault};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::path::PathBuf;

const PASSPHRASE: &str = "fake correct horse battery";

struct World {
    _all: tempfile::TempDir,
    dir: PathBuf,
    keys: PathBuf,
    keychain: InMemory,
    host: Host,
}

impl World {
    /// A vault with a slot of each kind.
    fn new() -> (World, Vault) {
        let all = tempfile::tempdir().unwrap();
        let world = World {
            dir: all.path().join("vault"),
            keys: all.path().join("identity.txt"),
            keychain: InMemory::new(),
            host: Host::real(),
            _all: all,
        };
        file::private_dir(&world.dir).unwrap();
        let lock = Lock::take(&world.dir.join("vault.lock"), LOCK_WAIT).unwrap();
        let new = NewVault {
            identity: Identity::generate(),
            recovery: None,
            slots: Vec::new(),
        };
        let mut vault = Vault::create(&world.dir, &world.host, new, &lock).unwrap();
        drop(lock);
        let doors = Doors {
            host: &world.host,
            keychain: &world.keychain,
        };
        let cost = Cost {
            m_kib: 64 * 1024,
            t: 1,
            p: 1,
        };
        for (name, plan) in [
            ("file", SlotPlan::IdentityFile(world.keys.clone())),
            ("keychain", SlotPlan::Keychain),
            (
                "passphrase",
                SlotPlan::Passphrase(SecretString::from(PASSPHRASE), cost),
            ),
        ] {
            let name = SlotName::parse(name).unwrap();
            vault.add_slot(&name, plan, &doors).unwrap();
        }
        (world, vault)
    }

    fn examine(&self, passphrase: Option<&str>) -> Examined {
        let ask = |_: &SlotName| Ok(passphrase.map(SecretString::from));
        let keys = Keys {
            host: &self.host,
            keychain: &self.keychain,
            ask: &ask,
            pins: &[],
            accept_rollback: false,
        };
        examine(&self.dir, &keys).unwrap()
    }

    fn tree(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut tree = BTreeMap::new();
        for dir in [self.dir.clone(), self.dir.join("slots")] {
            for entry in std::fs::read_dir(dir).unwrap().flatten() {
                if entry.path().is_file() {
                    tree.insert(entry.path(), std::fs::read(entry.path()).unwrap());
                }
            }
        }
        tree
    }
}

/// `file=opens keychain=opens passphrase=not tried`
fn said(examined: &Examined) -> String {
    let words = examined.slots.iter().map(|(slot, opening)| {
        let word = match opening {
            Opening::Opens => "opens",
            Opening::NotTried(_) => "not tried",
            Opening::Fails(_) => "fails",
        };
        format!("{}={word}", slot.name)
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn each_slot_speaks_for_itself() {
    let (world, _) = World::new();
    let before = world.tree();
    let all = world.examine(Some(PASSPHRASE));
    assert_eq!(said(&all), "file=opens keychain=opens passphrase=opens");
    assert!(all.rollback.is_none() && all.contents.is_some());
    let nobody = world.examine(None);
    assert_eq!(
        said(&nobody),
        "file=opens keychain=opens passphrase=not tried"
    );
    assert_eq!(world.tree(), before, "nothing was written");

    std::fs::rename(&world.keys, world.keys.with_extension("away")).unwrap();
    let without = world.examine(None);
    assert_eq!(
        said(&without),
        "file=fails keychain=opens passphrase=not tried"
    );
    let (_, Opening::Fails(error)) = &without.slots[0] else {
        unreachable!("it was said above")
    };
    assert!(error.message().contains("identity.txt"), "{error}");
    assert!(
        error
            .hint_text()
            .unwrap()
            .contains("slot add identity-file --name file")
    );
    std::fs::rename(world.keys.with_extension("away"), &world.keys).unwrap();

    // A file of another vault in a slot's place hides no other slot.
    file::replace(&world.dir.join("slots/file.age"), b"nothing", 0o600).unwrap();
    assert_eq!(
        said(&world.examine(None)),
        "file=fails keychain=opens passphrase=not tried"
    );
}

#[test]
fn a_locked_vault_is_no_failure_and_no_pass() {
    let (world, mut vault) = World::new();
    let doors = Doors {
        host: &world.host,
        keychain: &world.keychain,
    };
    for name in ["file", "keychain"] {
        vault
            .drop_slot(&SlotName::parse(name).unwrap(), &doors)
            .unwrap();
    }
    let locked = world.examine(None);
    assert_eq!(said(&locked), "passphrase=not tried");
    assert!(locked.contents.is_none() && locked.rollback.is_none());
    assert_eq!(
        said(&world.examine(Some("fake wrong one"))),
        "passphrase=not tried"
    );
    assert_eq!(said(&world.examine(Some(PASSPHRASE))), "passphrase=opens");
}

#[test]
fn an_older_copy_is_told_and_stays_refused() {
    let (world, mut vault) = World::new();
    let old = std::fs::read(world.dir.join("vault.age")).unwrap();
    vault.update(|_, _| Ok(())).unwrap();
    assert!(world.examine(None).rollback.is_none());
    file::replace(&world.dir.join("vault.age"), &old, 0o600).unwrap();
    for _ in 0..2 {
        let examined = world.examine(None);
        let error = examined.rollback.unwrap();
        assert!(error.message().starts_with("an older copy"), "{error}");
        assert!(
            examined.contents.is_some(),
            "what is in it is known all the same"
        );
    }
}

#[test]
fn what_is_no_vault_is_an_error() {
    let (world, _) = World::new();
    let ask = |_: &SlotName| Ok(None);
    let keys = Keys {
        host: &world.host,
        keychain: &world.keychain,
        ask: &ask,
        pins: &[],
        accept_rollback: false,
    };
    let kind = || examine(&world.dir, &keys).err().unwrap().kind();
    file::replace(
        &world.dir.join("vault.age"),
        b"age-encryption.org/v1\n",
        0o600,
    )
    .unwrap();
    let damaged = examine(&world.dir, &keys);
    assert!(damaged.is_ok_and(|examined| examined.contents.is_none()) || kind() == Kind::Broken);
    std::fs::remove_file(world.dir.join("vault.age")).unwrap();
    assert_eq!(kind(), Kind::Broken);
    std::fs::remove_dir_all(&world.dir).unwrap();
    assert_eq!(kind(), Kind::Missing);
}
