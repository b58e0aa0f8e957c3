//! A change of identity removes no slot silently, and can be cut off at any instant: the vault opens
//! by each slot all the same, and the next writer tidies up.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;

use clawkeep::vault::id::VaultId;
use clawkeep::vault::slot::{Slot, staged_name};
use common::World;
use common::vault::{PASSPHRASE, copy_dir, put_back};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const VALUE: &str = "fake-value-0123456789";
const OTHER: &str = "another fake passphrase";

fn both() -> World {
    let world = World::new();
    let file = world.passphrase_file("pass", PASSPHRASE);
    let _ = world
        .run(&[
            "init",
            "--slot",
            "identity-file",
            "--slot",
            "passphrase",
            "--new-passphrase-file",
            &file,
            "--no-recovery",
        ])
        .ok();
    world.set("id", VALUE);
    world
}

fn vault_id(world: &World, flags: &[&str]) -> String {
    let run = world
        .run(&[flags, &["slot", "list", "--json"]].concat())
        .ok();
    run.json()["vaultId"].as_str().unwrap().to_owned()
}

fn pins(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("# clawkeep vault: "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn rekey_refuses_when_a_slot_cannot_be_wrapped_again_and_drops_it_only_when_told() {
    let world = both();
    let before = std::fs::read(world.vault().join("vault.age")).unwrap();
    let run = world.run(&["rekey", "--yes"]).fails(75);
    assert!(run.stderr.contains("rekey --drop passphrase"), "{run}");
    let wrong = world.passphrase_file("wrong", OTHER);
    let run = world
        .run(&["--passphrase-file", &wrong, "rekey", "--yes"])
        .fails(75);
    assert!(run.stderr.contains("slot passphrase"), "{run}");
    let run = world.run(&["rekey", "--drop", "absent", "--yes"]).fails(1);
    assert!(run.stderr.contains("no slot absent"), "{run}");
    let run = world
        .run(&[
            "rekey",
            "--drop",
            "passphrase",
            "--drop",
            "identity-file",
            "--yes",
        ])
        .fails(1);
    assert!(run.stderr.contains("no slot would be left"), "{run}");
    let run = world.run(&["rekey"]).fails(64);
    assert!(run.stderr.contains("--yes"), "{run}");
    assert_eq!(
        std::fs::read(world.vault().join("vault.age")).unwrap(),
        before
    );
    assert_eq!(slot_files(&world), ["identity-file.age", "passphrase.age"]);
    let _ = world.run(&["rekey", "--drop", "passphrase", "--yes"]).ok();
    assert_eq!(slot_files(&world), ["identity-file.age"]);
    assert_eq!(world.get("id"), VALUE);
}

#[test]
fn rekey_keeps_every_slot_and_pins_the_new_identity() {
    let world = both();
    let old = vault_id(&world, &[]);
    assert_eq!(pins(&world.identity_file()), [old.as_str()]);
    let run = world
        .run(&["--passphrase-file", "pass", "rekey", "--yes"])
        .ok();
    let new = vault_id(&world, &[]);
    assert_ne!(old, new);
    assert!(run.stderr.contains(&new), "{}", run.stderr);
    assert!(
        run.stderr.contains("replace them at their provider"),
        "{run}"
    );
    assert_eq!(pins(&world.identity_file()), [new.as_str()]);
    assert_eq!(slot_files(&world), ["identity-file.age", "passphrase.age"]);
    assert_eq!(world.get("id"), VALUE);
    let run = world
        .run(&["--vault-id", &old, "secret", "get", "id"])
        .fails(1);
    assert!(run.stderr.contains("another vault"), "{run}");
    let run = world
        .run(&[
            "--vault-id",
            &old,
            "--vault-id",
            &new,
            "secret",
            "get",
            "id",
        ])
        .ok();
    assert_eq!(run.stdout, VALUE);
    std::fs::remove_file(world.identity_file()).unwrap();
    assert_eq!(vault_id(&world, &["--passphrase-file", "pass"]), new);
}

#[test]
fn at_a_terminal_rekey_asks_for_the_passphrase() {
    let world = both();
    let mut pty = world.pty(&["rekey"]);
    pty.expect("Give the vault a new identity");
    pty.send_line("y");
    pty.expect("Passphrase of slot passphrase: ");
    assert!(!pty.echoes());
    pty.send_line(PASSPHRASE);
    let run = pty.finish().run.ok();
    assert!(run.stdout.contains("Vault id: "), "{run}");
    let mut pty = world.pty(&["rekey"]);
    pty.expect("Give the vault a new identity");
    pty.send_line("n");
    let _ = pty.finish().run.fails(130);
}

fn slot_files(world: &World) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(world.vault().join("slots"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A change of identity, as its two ends left the disk.
struct Change {
    world: World,
    before: PathBuf,
    after: PathBuf,
    /// Outside the vault's folder: text before and after, of every identity file.
    identities: Vec<(PathBuf, String)>,
}

/// Where the power went.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cut {
    /// The next id is noted, some slots are staged.
    Staging,
    /// Everything is staged.
    Staged,
    /// vault.age is the new one, nothing else moved.
    Swapped,
    /// vault.json is the new one too.
    Noted,
}

fn change(world: World, command: &[&str]) -> Change {
    let copied = |name: &str| {
        let copy = world.root().join(name);
        copy_dir(&world.vault(), &copy);
        copy
    };
    let before = copied("before");
    let identity = || std::fs::read_to_string(world.identity_file()).unwrap();
    let old_text = identity();
    let _ = world.run(command).ok();
    let after = copied("after");
    // In between, an identity file pins both.
    let old_pin = old_text
        .lines()
        .find(|line| line.contains("vault:"))
        .unwrap();
    let new_text = identity();
    let both = new_text.replacen(
        "# clawkeep vault:",
        &format!("{old_pin}\n# clawkeep vault:"),
        1,
    );
    let identities = vec![(world.identity_file(), both)];
    Change {
        world,
        before,
        after,
        identities,
    }
}

impl Change {
    /// Puts the disk into the state that a cut would have left.
    fn cut(&self, at: Cut) {
        let vault = self.world.vault();
        put_back(&self.before, &vault);
        let json = |dir: &Path| -> Value {
            serde_json::from_slice(&std::fs::read(dir.join("vault.json")).unwrap()).unwrap()
        };
        let (old, new) = (json(&self.before), json(&self.after));
        let mut noted = if at == Cut::Noted {
            new.clone()
        } else {
            old.clone()
        };
        noted["vault_id"] = old["vault_id"].clone();
        noted["next_vault_id"] = new["vault_id"].clone();
        if at != Cut::Noted && at != Cut::Staging {
            let mut slots = old["slots"].as_array().unwrap().clone();
            for slot in new["slots"].as_array().unwrap() {
                let same = |known: &Value| {
                    known["name"] == slot["name"]
                        && known["kind"] == slot["kind"]
                        && known["path"] == slot["path"]
                };
                if !slots.iter().any(same) {
                    slots.push(slot.clone());
                }
            }
            noted["slots"] = json!(slots);
        }
        std::fs::write(vault.join("vault.json"), noted.to_string()).unwrap();
        let staged = std::fs::read_dir(self.after.join("slots"))
            .unwrap()
            .flatten();
        let count = if at == Cut::Staging { 1 } else { usize::MAX };
        for entry in staged.take(count) {
            let stem = entry
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let slots = new["slots"].as_array().unwrap();
            let slot = slots.iter().find(|slot| slot["name"] == stem).unwrap();
            let slot: Slot = serde_json::from_value(slot.clone()).unwrap();
            let id = VaultId::parse(new["vault_id"].as_str().unwrap()).unwrap();
            let staged = vault.join("slots").join(staged_name(&id, &slot));
            std::fs::copy(entry.path(), staged).unwrap();
        }
        if matches!(at, Cut::Swapped | Cut::Noted) {
            std::fs::copy(self.after.join("vault.age"), vault.join("vault.age")).unwrap();
        }
        for (path, text) in &self.identities {
            std::fs::write(path, text).unwrap();
        }
    }

    /// Both slots open it, each alone; then a writer leaves no trace of the change.
    fn check(&self, at: Cut, identity: &Path, passphrase: &str) {
        self.cut(at);
        let world = &self.world;
        let flags = ["--passphrase-file", passphrase];
        assert_eq!(world.resolve(&["id"])["values"]["id"], VALUE, "{at:?}");
        assert_eq!(world.get("id"), VALUE, "{at:?}");
        let away = world.root().join("away");
        std::fs::rename(identity, &away).unwrap();
        // Argon2id takes its time, so once for each side of the swap.
        if at != Cut::Staging && at != Cut::Noted {
            let run = world.run(&[&flags[..], &["secret", "get", "id"]].concat());
            assert_eq!(run.stdout, VALUE, "{at:?} {run}");
        }
        std::fs::rename(&away, identity).unwrap();

        world.set("id2", "fake-later");
        assert_eq!(
            slot_files(world),
            ["identity-file.age", "passphrase.age"],
            "{at:?}"
        );
        let cache: Value =
            serde_json::from_slice(&std::fs::read(world.vault().join("vault.json")).unwrap())
                .unwrap();
        assert_eq!(cache["next_vault_id"], Value::Null, "{at:?}");
        let arrived = matches!(at, Cut::Swapped | Cut::Noted);
        let of = if arrived { &self.after } else { &self.before };
        let expected: Value =
            serde_json::from_slice(&std::fs::read(of.join("vault.json")).unwrap()).unwrap();
        assert_eq!(cache["vault_id"], expected["vault_id"], "{at:?}");
        assert_eq!(cache["slots"], expected["slots"], "{at:?}");
        assert_eq!(
            pins(identity),
            [expected["vault_id"].as_str().unwrap()],
            "{at:?}"
        );
        assert_eq!(world.get("id2"), "fake-later");
        // And the change can be made again.
        if at != Cut::Swapped {
            return;
        }
        let _ = world.run(&[&flags[..], &["rekey", "--yes"]].concat()).ok();
        assert_eq!(world.get("id"), VALUE);
    }
}

#[test]
fn an_interrupted_rekey_opens_by_each_slot_and_the_next_writer_tidies_up() {
    let change = change(both(), &["--passphrase-file", "pass", "rekey", "--yes"]);
    for at in [Cut::Staging, Cut::Staged, Cut::Swapped, Cut::Noted] {
        change.check(at, &change.world.identity_file(), "pass");
    }
}

#[test]
fn an_interrupted_change_of_passphrase_opens_by_the_one_that_counts() {
    let world = both();
    let _ = world.passphrase_file("new", OTHER);
    let change = change(
        world,
        &[
            "slot",
            "add",
            "passphrase",
            "--replace",
            "--new-passphrase-file",
            "new",
        ],
    );
    for (at, passphrase) in [
        (Cut::Staged, "pass"),
        (Cut::Swapped, "new"),
        (Cut::Noted, "new"),
    ] {
        change.check(at, &change.world.identity_file(), passphrase);
    }
}

#[test]
fn an_interrupted_change_of_identity_file_opens_by_the_one_that_counts() {
    let world = both();
    let usb = world.home().join("usb.txt");
    let mut change = change(
        world,
        &[
            "--passphrase-file",
            "pass",
            "slot",
            "add",
            "identity-file",
            "--replace",
            "--identity-file",
            usb.to_str().unwrap(),
        ],
    );
    let new_text = std::fs::read_to_string(&usb).unwrap();
    // The old file still has its own pin alone, or both; the new one only the new.
    change.identities.push((usb.clone(), new_text));
    for (at, file) in [
        (Cut::Staged, change.world.identity_file()),
        (Cut::Swapped, usb.clone()),
        (Cut::Noted, usb.clone()),
    ] {
        let old = change.before.join("vault.json");
        let old: Value = serde_json::from_slice(&std::fs::read(old).unwrap()).unwrap();
        let text = std::fs::read_to_string(change.world.identity_file()).unwrap();
        let key = text.lines().find(|line| line.starts_with("AGE-")).unwrap();
        change.identities[0].1 = format!(
            "# clawkeep vault: {}\n{key}\n",
            old["vault_id"].as_str().unwrap()
        );
        change.check(at, &file, "pass");
    }
}

#[test]
fn a_rekey_that_cannot_finish_changes_nothing() {
    let world = both();
    let before = vault_id(&world, &[]);
    // openclaw.json pins the old id and cannot be edited: a gateway would refuse the new vault.
    let config = world.write("openclaw.json", "{ broken");
    let link = json!({
        "version": 1, "lane": "file", "openclaw": "2026.6.1", "profiles": {}, "config": config,
        "command": "/fake/clawkeep", "args": ["resolve"], "linked": [],
    });
    world.write(".local/share/clawkeep/link.json", link.to_string());
    let run = world
        .run(&["--passphrase-file", "pass", "rekey", "--yes"])
        .fails(1);
    assert!(run.stderr.contains("openclaw.json"), "{run}");
    assert_eq!(vault_id(&world, &[]), before);
    assert_eq!(slot_files(&world), ["identity-file.age", "passphrase.age"]);
    assert_eq!(pins(&world.identity_file()), [before]);
    assert_eq!(world.get("id"), VALUE);
    assert_eq!(world.read("openclaw.json"), b"{ broken");
}
