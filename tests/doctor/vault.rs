//! The vault itself: whole, closed, and opened by every way that it lists.

use super::common::World;
use super::common::vault::{PASSPHRASE, SETUP_TOKEN};
use super::*;
use std::os::unix::fs::symlink;

#[test]
fn a_linked_home_is_clean() {
    let world = linked();
    let run = world.run(&["doctor", "--json"]).ok();
    assert!(run.stderr.is_empty(), "{run}");
    for (id, said) in checks(&run) {
        let is_note = said.lines().all(|line| line.starts_with("note: "));
        assert!(said == "ok" || is_note, "{id}: {said}");
    }
    let _ = world.run(&["doctor"]).ok();
}

#[test]
fn without_a_vault_and_without_openclaw_it_says_what_it_could_not_look_at() {
    let world = World::new();
    let run = world.run(&["doctor", "--json"]).fails(1);
    let said = checks(&run);
    assert!(said["vault"].starts_with("error: there is no vault in"));
    assert_eq!(said["slot-opens"], "not checked: there is no vault");
    assert_eq!(said["ref-resolves"], "not checked: OpenClaw is not linked");
    assert_eq!(run.json()["ok"], false);
}

#[test]
fn a_locked_vault_is_not_checked_and_stays_locked() {
    let world = World::new();
    let pass = world.passphrase_file("pass", PASSPHRASE);
    let args = [
        "init",
        "--slot",
        "passphrase",
        "--no-recovery",
        "--new-passphrase-file",
        &pass,
    ];
    let _ = world.run(&args).ok();
    let said = world.doctor();
    for id in [
        "rollback",
        "recovery-key",
        "token-expired",
        "claude-only-token",
    ] {
        assert_eq!(said[id], "not checked: locked", "{id}");
    }
    assert!(said["slot-opens"].starts_with("not checked: slot passphrase"));
    let run = world.run(&["doctor"]).ok();
    assert!(run.stdout.contains(" not checked: locked"), "{run}");
    let open = world
        .run(&["doctor", "--json", "--passphrase-file", &pass])
        .ok();
    let said = checks(&open);
    assert_eq!(said["slot-opens"], "ok");
    assert_eq!(said["rollback"], "ok");
}

#[test]
fn open_permissions_are_found_and_mended_after_they_were_shown() {
    let world = linked();
    let secret = world.vault().join("vault.age");
    assert_eq!(world.says("permissions"), "ok");
    set_mode(&secret, 0o644);
    set_mode(&world.vault(), 0o755);
    set_mode(&world.identity_file(), 0o640);
    let said = world.doctor();
    assert_eq!(said["ref-resolves"], "not checked: the vault comes first");
    let said = &said["permissions"];
    assert_eq!(said.lines().count(), 3, "{said}");
    // Nobody is there to say yes, and so nothing happens.
    let refused = world.run(&["doctor", "--fix"]).fails(64);
    assert!(refused.stderr.contains("chmod 700 "), "{refused}");
    assert!(
        refused.stderr.contains("taken back by: chmod 755 "),
        "{refused}"
    );
    assert_eq!((mode(&secret), mode(&world.vault())), (0o644, 0o755));
    let mended = world.run(&["doctor", "--fix", "--yes", "--json"]).ok();
    assert_eq!(mended.json()["mended"].as_array().unwrap().len(), 3);
    assert_eq!((mode(&secret), mode(&world.vault())), (0o600, 0o700));
    assert_eq!(mode(&world.identity_file()), 0o600);
    assert_eq!(checks(&mended)["permissions"], "ok");
    let again = world.run(&["doctor", "--fix", "--yes"]).ok();
    assert!(
        again.stderr.contains("Nothing here can be mended"),
        "{again}"
    );
}

#[test]
fn a_link_in_a_files_place_is_found_and_left_alone() {
    let world = linked();
    let away = world.root().join("away.age");
    let vault = world.vault().join("vault.age");
    std::fs::rename(&vault, &away).unwrap();
    symlink(&away, &vault).unwrap();
    assert!(world.says("permissions").contains("is a symbolic link"));
    let before = world.tree();
    let _ = world.run(&["doctor", "--fix", "--yes"]).fails(1);
    assert_eq!(world.tree(), before);
}

#[test]
fn an_older_copy_is_found_and_not_accepted() {
    let world = linked();
    let vault = world.vault().join("vault.age");
    let old = std::fs::read(&vault).unwrap();
    world.set("later", "fake-0123456789");
    assert_eq!(world.says("rollback"), "ok");
    std::fs::write(&vault, old).unwrap();
    for _ in 0..2 {
        assert!(world.says("rollback").starts_with("error: an older copy"));
    }
    let _ = world.run(&["secret", "list"]).fails(1);
}

#[test]
fn a_slot_whose_key_is_gone_does_not_open() {
    let world = linked();
    let usb = world.root().join("usb.txt");
    let usb = usb.to_str().unwrap();
    let add = [
        "slot",
        "add",
        "identity-file",
        "--name",
        "usb",
        "--identity-file",
        usb,
    ];
    let _ = world.run(&add).ok();
    assert_eq!(world.says("slot-opens"), "ok");
    std::fs::remove_file(usb).unwrap();
    let said = world.doctor();
    assert!(
        said["slot-opens"].starts_with("error: slot usb does not open the vault"),
        "{}",
        said["slot-opens"]
    );
    assert_eq!(said["rollback"], "ok", "the other slot opens it");
}

#[test]
#[cfg(target_os = "linux")]
fn a_slot_in_memory_does_not_survive_a_restart() {
    let world = linked();
    assert_eq!(world.says("slot-reboot"), "ok");
    let shm = tempfile::tempdir_in("/dev/shm").unwrap();
    let key = shm.path().join("identity.txt");
    let key = key.to_str().unwrap();
    let add = [
        "slot",
        "add",
        "identity-file",
        "--name",
        "shm",
        "--identity-file",
        key,
    ];
    let _ = world.run(&add).ok();
    assert!(
        world
            .says("slot-reboot")
            .contains("the key of slot shm lies in /dev/shm")
    );
}

#[test]
fn a_recovery_key_that_was_made_is_no_note() {
    let world = World::new();
    let sheet = world.root().join("sheet.txt");
    let args = [
        "init",
        "--slot",
        "identity-file",
        "--recovery-file",
        sheet.to_str().unwrap(),
    ];
    let _ = world.run(&args).ok();
    assert_eq!(world.says("recovery-key"), "ok");
    // Beside the vault it is as good as the vault in plaintext.
    assert!(world.says("identity-beside-vault").starts_with("note: "));
    std::fs::copy(&sheet, world.vault().join("sheet.txt")).unwrap();
    let said = world.says("identity-beside-vault");
    assert!(
        said.contains("error: ") && said.contains("sheet.txt holds a key in the clear"),
        "{said}"
    );
    assert!(!world.run(&["doctor"]).stdout.contains("AGE-SECRET-KEY"));
}

#[test]
fn an_expiry_is_found_in_time_and_on_a_locked_vault_too() {
    let world = linked();
    let said = world.doctor();
    assert_eq!(
        (&*said["token-expired"], &*said["token-expiring"]),
        ("ok", "ok")
    );
    world.paste(
        "anthropic",
        "anthropic:work",
        SETUP_TOKEN,
        &["--expires-in", "2h"],
    );
    assert!(
        world
            .says("token-expiring")
            .contains("the profile anthropic:work expires in 2 hours")
    );
    let own = world.vault().join("agents/main/auth-profiles.json");
    let mut file: Value = serde_json::from_slice(&std::fs::read(&own).unwrap()).unwrap();
    file["profiles"]["anthropic:work"]["expires"] = Value::from(1_700_000_000_000_i64);
    std::fs::write(&own, file.to_string()).unwrap();
    assert!(
        world
            .says("token-expired")
            .contains("the profile anthropic:work expired")
    );
    std::fs::remove_file(world.identity_file()).unwrap();
    assert!(
        world
            .says("token-expired")
            .contains("the profile anthropic:work expired")
    );
}

#[test]
fn nothing_is_written_without_fix() {
    let world = linked();
    set_mode(&world.vault().join("vault.age"), 0o644);
    world.write(
        ".openclaw/.env",
        "OPENROUTER_API_KEY=sk-or-FAKE-0123456789-0123456789\n",
    );
    let before = world.tree();
    let _ = world.run(&["doctor"]).fails(1);
    let _ = world.run(&["doctor", "--json"]).fails(1);
    let after = world.tree();
    let changed: Vec<_> = after
        .iter()
        .filter(|(path, what)| before.get(*path) != Some(what))
        .map(|(path, _)| path)
        .filter(|path| !path.to_string_lossy().contains("access"))
        .collect();
    assert!(changed.is_empty(), "{changed:?}");
}

#[test]
fn on_a_terminal_a_hint_stays_in_one_piece() {
    let world = linked();
    let run = world.pty(&["doctor"]).finish();
    let hint = "  hint: clawkeep slot add identity-file --name identity-file --replace --identity-file FILE,";
    assert!(run.run.stdout.contains(hint), "{}", run.run);
}
