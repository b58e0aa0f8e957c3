//! A vault opens by the slots that it was given and by no other; nothing weaker is chosen for the
//! person, and a slot that is gone is worth nothing.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;

use common::World;
use common::vault::{PASSPHRASE, copy_dir, put_back};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;

const VALUE: &str = "fake-value-0123456789";
const OTHER: &str = "another fake passphrase";

fn slots(world: &World) -> Vec<String> {
    let listed = world.run(&["slot", "list", "--json"]).ok().json();
    let slots = listed["slots"].as_array().unwrap().iter();
    slots
        .map(|slot| slot["name"].as_str().unwrap().to_owned())
        .collect()
}

/// A vault with a passphrase slot and an identity-file slot, and a value in it.
fn both(world: &World) -> String {
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
    file
}

#[test]
fn init_makes_private_files_and_the_value_lies_nowhere_in_the_clear() {
    let world = World::new();
    let _ = both(&world);
    let mut dirs = vec![
        world.vault(),
        world.identity_file().parent().unwrap().to_owned(),
    ];
    let mut files = 0;
    while let Some(dir) = dirs.pop() {
        let mode = |path: &std::path::Path| {
            std::fs::symlink_metadata(path)
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!(mode(&dir), 0o700, "{}", dir.display());
        for entry in std::fs::read_dir(&dir).unwrap().flatten() {
            if entry.path().is_dir() {
                dirs.push(entry.path());
            } else {
                assert_eq!(mode(&entry.path()), 0o600, "{}", entry.path().display());
                files += 1;
            }
        }
    }
    assert_eq!(
        files, 6,
        "vault.age, vault.json, vault.lock, two slots, the identity file"
    );
    assert_eq!(world.search_home(VALUE), Vec::<std::path::PathBuf>::new());
    let passphrase = world.search_home(PASSPHRASE);
    assert_eq!(passphrase, [world.home().join("pass")]);
    assert_eq!(world.get("id"), VALUE);
    // The passphrase alone.
    std::fs::remove_file(world.identity_file()).unwrap();
    let _ = world.run(&["secret", "get", "id"]).fails(75);
    let run = world
        .run(&["--passphrase-file", "pass", "secret", "get", "id"])
        .ok();
    assert_eq!(run.stdout, VALUE);
}

#[test]
fn without_a_keychain_and_a_person_nothing_weaker_is_chosen() {
    let world = World::new();
    let run = world.run(&["init"]).fails(64);
    assert!(run.stderr.contains("--slot identity-file"), "{run}");
    assert!(run.stderr.contains("--slot passphrase"), "{run}");
    let run = world
        .run(&["init", "--slot", "keychain", "--no-recovery"])
        .fails(1);
    assert!(run.stderr.contains("--slot identity-file"), "{run}");
    let run = world.run(&["init", "--custody", "keychain"]).fails(1);
    assert!(run.stderr.contains("there is no keychain"), "{run}");
    let run = world
        .run(&["init", "--slot", "passphrase", "--no-recovery"])
        .fails(64);
    assert!(run.stderr.contains("--new-passphrase-file"), "{run}");
    let run = world.run(&["init", "--slot", "identity-file"]).fails(64);
    assert!(run.stderr.contains("--recovery-file"), "{run}");
    let run = world
        .run(&[
            "init",
            "--slot",
            "identity-file",
            "--new-passphrase-file",
            "p",
            "--no-recovery",
        ])
        .fails(64);
    assert!(run.stderr.contains("--slot passphrase"), "{run}");
    let short = world.passphrase_file("short", "eleven char");
    let run = world
        .run(&[
            "init",
            "--slot",
            "passphrase",
            "--new-passphrase-file",
            &short,
            "--no-recovery",
        ])
        .fails(1);
    assert!(run.stderr.contains("12 characters"), "{run}");
    let inside = world.vault().join("identity.txt");
    let run = world
        .run(&[
            "init",
            "--slot",
            "identity-file",
            "--no-recovery",
            "--identity-file",
            inside.to_str().unwrap(),
        ])
        .fails(64);
    assert!(run.stderr.contains("lock and key"), "{run}");
    // None of these has left something that stops the next one.
    world.init();
    let run = world
        .run(&["init", "--slot", "identity-file", "--no-recovery"])
        .fails(1);
    assert!(run.stderr.contains("already"), "{run}");
}

#[test]
fn on_a_terminal_without_a_keychain_init_asks() {
    let world = World::new();
    let mut pty = world.pty(&["init", "--no-recovery"]);
    pty.expect("There is no keychain here");
    pty.expect("Choice [i]: ");
    pty.send_line("p");
    pty.expect("New passphrase");
    assert!(!pty.echoes());
    pty.send_line("too short");
    pty.expect("12 characters");
    pty.expect("New passphrase");
    pty.send_line(PASSPHRASE);
    pty.expect("Once more: ");
    pty.send_line(PASSPHRASE);
    let end = pty.finish();
    assert!(end.restored);
    assert!(!end.run.ok().stdout.contains(PASSPHRASE));
    // One question for a command that opens the vault twice, and three tries.
    let mut pty = world.pty(&["models", "auth", "paste-token", "--provider", "fakeai"]);
    pty.expect("Passphrase of slot passphrase: ");
    pty.send_line("not the passphrase");
    pty.expect("wrong");
    pty.expect("Passphrase of slot passphrase: ");
    pty.send_line(PASSPHRASE);
    pty.expect("Paste token");
    pty.send_line(VALUE);
    let shown = pty.finish().run.ok().stdout;
    assert!(shown.contains("Auth profile: fakeai:manual"), "{shown}");
    assert!(
        !shown.contains(VALUE) && !shown.contains(PASSPHRASE),
        "{shown}"
    );
    assert_eq!(shown.matches("Passphrase of slot").count(), 2, "{shown}");
}

#[test]
fn a_generated_passphrase_is_typed_back_before_it_counts() {
    let world = World::new();
    let mut pty = world.pty(&["init", "--slot", "passphrase", "--no-recovery"]);
    pty.expect("New passphrase");
    pty.send_line("");
    pty.expect("Enter when it is written down: ");
    let screen = pty.screen();
    let words = screen
        .lines()
        .map(str::trim)
        .find(|line| {
            line.split(' ').count() == 6
                && line.bytes().all(|b| b == b' ' || b.is_ascii_lowercase())
        })
        .expect("six words on the screen")
        .to_owned();
    pty.send_line("");
    pty.expect("Type the passphrase back: ");
    pty.send_line("wrong words");
    pty.expect("here it is again");
    pty.expect("Enter when it is written down: ");
    pty.send_line("");
    pty.expect("Type the passphrase back: ");
    pty.send_line(&words);
    assert!(pty.finish().run.ok().stdout.contains("Slot: passphrase"));
    let _ = world.passphrase_file("words", &words);
    let _ = world
        .run(&["--passphrase-file", "words", "secret", "list"])
        .ok();
}

#[test]
fn a_removed_slot_opens_nothing_that_is_written_afterwards() {
    for keep in [false, true] {
        let world = World::new();
        let _ = both(&world);
        let old = world.root().join("old");
        copy_dir(&world.vault(), &old);
        let identity = std::fs::read(world.identity_file()).unwrap();
        let mut args = vec![
            "--passphrase-file",
            "pass",
            "slot",
            "remove",
            "identity-file",
            "--yes",
        ];
        args.extend(keep.then_some("--keep-identity"));
        let run = world.run(&args).ok();
        assert_eq!(
            run.stderr.contains("  id"),
            !keep,
            "values to rotate: {run}"
        );
        let _ = world
            .cmd(&["--passphrase-file", "pass", "secret", "set", "id2"])
            .stdin("fake-written-later")
            .run()
            .ok();
        let run = world
            .run(&["--passphrase-file", "pass", "slot", "list", "--json"])
            .ok();
        assert_eq!(run.json()["slots"].as_array().unwrap().len(), 1);
        // The attacker: an old copy of slot and identity file, and the vault as it is now.
        let slot = "slots/identity-file.age";
        std::fs::copy(old.join(slot), world.vault().join(slot)).unwrap();
        std::fs::write(world.identity_file(), &identity).unwrap();
        std::fs::copy(old.join("vault.json"), world.vault().join("vault.json")).unwrap();
        let run = world.run(&["secret", "get", "id2"]);
        if keep {
            assert_eq!(run.ok().stdout, "fake-written-later");
        } else {
            let run = run.fails(1);
            assert_eq!(run.stdout, "");
            assert!(run.stderr.contains("another vault"), "{run}");
        }
    }
}

#[test]
fn the_last_slot_and_an_absent_one_cannot_be_removed() {
    let world = World::new();
    world.init();
    let run = world
        .run(&["slot", "remove", "identity-file", "--yes"])
        .fails(1);
    assert!(run.stderr.contains("last slot"), "{run}");
    let run = world
        .run(&["slot", "remove", "passphrase", "--yes"])
        .fails(1);
    assert!(run.stderr.contains("no slot passphrase"), "{run}");
    let run = world
        .run(&["slot", "remove", "../vault", "--yes"])
        .fails(64);
    assert!(!run.stderr.contains("../vault"), "{run}");
    assert_eq!(slots(&world), ["identity-file"]);
}

#[test]
fn a_changed_passphrase_makes_the_old_one_and_its_old_file_worthless() {
    let world = World::new();
    let _ = both(&world);
    let old = world.root().join("old");
    copy_dir(&world.vault(), &old);
    let new = world.passphrase_file("new", OTHER);
    let run = world
        .run(&["slot", "add", "passphrase", "--new-passphrase-file", &new])
        .fails(1);
    assert!(run.stderr.contains("--replace"), "{run}");
    let run = world
        .run(&[
            "slot",
            "add",
            "passphrase",
            "--replace",
            "--new-passphrase-file",
            &new,
        ])
        .ok();
    assert!(run.stderr.contains("replaced"), "{run}");
    assert_eq!(slots(&world), ["identity-file", "passphrase"]);
    assert_eq!(world.get("id"), VALUE);
    std::fs::remove_file(world.identity_file()).unwrap();
    let _ = world
        .run(&["--passphrase-file", "pass", "secret", "get", "id"])
        .fails(75);
    let run = world
        .run(&["--passphrase-file", "new", "secret", "get", "id"])
        .ok();
    assert_eq!(run.stdout, VALUE);
    let slot = "slots/passphrase.age";
    std::fs::copy(old.join(slot), world.vault().join(slot)).unwrap();
    let run = world
        .run(&["--passphrase-file", "pass", "secret", "get", "id"])
        .fails(1);
    assert!(run.stderr.contains("another vault"), "{run}");
}

#[test]
fn a_second_slot_of_a_kind_has_a_name_of_its_own() {
    let world = World::new();
    world.init();
    world.set("id", VALUE);
    let second = world.home().join("second.txt");
    let _ = world
        .run(&[
            "slot",
            "add",
            "identity-file",
            "--name",
            "usb",
            "--identity-file",
            second.to_str().unwrap(),
        ])
        .ok();
    assert_eq!(slots(&world), ["identity-file", "usb"]);
    std::fs::remove_file(world.identity_file()).unwrap();
    assert_eq!(world.get("id"), VALUE);
    let run = world.run(&["slot", "list"]).ok();
    assert!(run.stdout.contains("second.txt"), "{run}");
}

#[test]
fn an_age_key_of_the_persons_own_can_be_the_identity_file() {
    let world = World::new();
    let text = include_str!("data/vault-v1/identity.txt");
    let bare: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let key = world.write("key.txt", bare.join("\n"));
    let before = std::fs::read(&key).unwrap();
    let _ = world
        .run(&[
            "init",
            "--slot",
            "identity-file",
            "--identity-file",
            "key.txt",
            "--no-recovery",
        ])
        .ok();
    world.set("id", VALUE);
    assert_eq!(world.get("id"), VALUE);
    assert_eq!(std::fs::read(&key).unwrap(), before);
}

#[test]
fn a_lost_cache_is_made_again() {
    let world = World::new();
    let _ = both(&world);
    for damage in [None, Some("{"), Some("{\"version\":2}"), Some("")] {
        let path = world.vault().join("vault.json");
        match damage {
            None => std::fs::remove_file(&path).unwrap(),
            Some(text) => std::fs::write(&path, text).unwrap(),
        }
        assert_eq!(world.get("id"), VALUE, "{damage:?}");
        let cache: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(cache["slots"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn the_systemd_credential_opens_before_every_slot() {
    let world = World::new();
    let _ = both(&world);
    let run = world.run(&["slot", "list", "--json"]).ok().json();
    assert_eq!(run["openedBy"], "slot identity-file (identity-file)");
    let credentials = world.root().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    // What a service manager provides is the vault's own identity; the slot file holds it.
    let age = std::path::Path::new("/usr/bin/age");
    if common::left_out("age") {
        return;
    }
    let identity = world
        .program(
            age,
            &[
                "-d",
                "-i",
                world.identity_file().to_str().unwrap(),
                world
                    .vault()
                    .join("slots/identity-file.age")
                    .to_str()
                    .unwrap(),
            ],
        )
        .run()
        .ok()
        .stdout;
    std::fs::write(credentials.join("clawkeep-identity"), identity).unwrap();
    std::fs::remove_file(world.identity_file()).unwrap();
    let run = world
        .cmd(&["slot", "list", "--json"])
        .env("CREDENTIALS_DIRECTORY", &credentials)
        .run()
        .ok()
        .json();
    assert_eq!(
        run["openedBy"],
        json!("the systemd credential clawkeep-identity")
    );
}

#[test]
fn put_back_from_a_backup_is_a_rollback_until_a_person_accepts_it() {
    let world = World::new();
    world.init();
    world.set("id", "fake-older");
    let old = world.root().join("old");
    copy_dir(&world.vault(), &old);
    world.set("id", VALUE);
    std::fs::copy(old.join("vault.age"), world.vault().join("vault.age")).unwrap();
    let run = world.run(&["secret", "get", "id"]).fails(1);
    assert!(run.stderr.contains("older copy"), "{run}");
    assert_eq!(world.resolve(&["id"])["errors"]["id"]["code"], "BROKEN");
    let run = world
        .run(&["--accept-rollback", "secret", "get", "id"])
        .fails(64);
    assert!(run.stderr.contains("person"), "{run}");
    let mut pty = world.pty(&["--accept-rollback", "secret", "list"]);
    pty.expect("are lost.");
    pty.send_line("y");
    let _ = pty.finish().run.ok();
    assert_eq!(world.get("id"), "fake-older");
    // A whole folder from a backup agrees with itself.
    world.set("id", VALUE);
    put_back(&old, &world.vault());
    assert_eq!(world.get("id"), "fake-older");
}
