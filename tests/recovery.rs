//! One file and one sheet of paper give everything back, with clawkeep or with stock age; and a
//! passphrase slot opens with stock age too, by this program under its plugin's name.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;

use common::vault::PASSPHRASE;
use common::{World, left_out};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const VALUE: &str = "fake-value-0123456789";

fn with_recovery(slots: &[&str]) -> World {
    let world = World::new();
    let _ = world.passphrase_file("pass", PASSPHRASE);
    let mut args = vec!["init", "--recovery-file", "sheet.txt"];
    for slot in slots {
        args.extend(["--slot", slot]);
        if *slot == "passphrase" {
            args.extend(["--new-passphrase-file", "pass"]);
        }
    }
    let _ = world.run(&args).ok();
    let _ = world
        .cmd(&["--passphrase-file", "pass", "secret", "set", "id"])
        .stdin(VALUE)
        .run()
        .ok();
    world
}

#[test]
fn the_recovery_file_is_private_new_and_outside_the_vault() {
    let world = with_recovery(&["identity-file"]);
    let path = world.home().join("sheet.txt");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let other = World::new();
    other.write("sheet.txt", "mine");
    let run = other
        .run(&[
            "init",
            "--slot",
            "identity-file",
            "--recovery-file",
            "sheet.txt",
        ])
        .fails(1);
    assert!(run.stderr.contains("exists already"), "{run}");
    assert_eq!(other.read("sheet.txt"), b"mine");
    assert!(!other.vault().join("vault.age").exists());
    let inside = other.vault().join("sheet.txt");
    let run = other
        .run(&[
            "init",
            "--slot",
            "identity-file",
            "--recovery-file",
            inside.to_str().unwrap(),
        ])
        .fails(64);
    assert!(run.stderr.contains("lock and key"), "{run}");
    assert!(!inside.exists());
}

#[test]
fn recovery_check_tells_the_right_key_from_every_other() {
    let world = with_recovery(&["identity-file"]);
    let run = world.run(&["slot", "list"]).ok();
    assert!(run.stderr.contains("never proven"), "{run}");
    let check = |file: &str| world.run(&["recovery", "check", "--recovery-file", file]);
    let run = check("sheet.txt").ok();
    assert!(
        run.stderr.contains("with 1 secrets") || run.stderr.contains("with 1 secret"),
        "{run}"
    );
    let run = world.run(&["slot", "list"]).ok();
    assert!(run.stderr.contains("last proven"), "{run}");

    let sheet = String::from_utf8(world.read("sheet.txt")).unwrap();
    let another = with_recovery(&["identity-file"]);
    world.write("other.txt", another.read("sheet.txt"));
    let run = check("other.txt").fails(1);
    assert!(run.stderr.contains("not the one of this vault"), "{run}");
    let typo: String = {
        let at = sheet.len() - 20;
        let wrong = if &sheet[at..=at] == "Q" { "P" } else { "Q" };
        format!("{}{wrong}{}", &sheet[..at], &sheet[at + 1..])
    };
    world.write("typo.txt", &typo);
    let run = check("typo.txt").fails(1);
    assert!(
        !run.stderr.contains(&typo[typo.len() - 40..typo.len() - 2]),
        "{run}"
    );
    world.write(
        "identity.txt",
        std::fs::read(world.identity_file()).unwrap(),
    );
    let _ = check("identity.txt").fails(1);
    let _ = check("absent.txt").fails(1);
    world.write("empty.txt", "");
    let _ = check("empty.txt").fails(1);
    world.write("big.txt", vec![b'#'; 100_000]);
    let _ = check("big.txt").fails(1);
    let _ = world.run(&["recovery", "check"]).fails(64);
}

#[test]
fn the_sheet_is_shown_once_asked_back_and_needs_no_exact_typing() {
    let world = World::new();
    let mut pty = world.pty(&["init", "--slot", "identity-file"]);
    pty.expect("Recovery key of vault ");
    pty.expect("Enter when it is written down: ");
    let screen = pty.screen();
    let start = screen.find("AGE-SECRET-KEY-1").unwrap();
    let key: String = screen[start..]
        .split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .concat();
    assert_eq!(key.len(), 74, "{screen}");
    pty.send_line("");
    pty.expect("Type or paste the recovery key back");
    assert!(!pty.echoes());
    pty.send_line(&key[..70]);
    pty.expect("here it is again");
    pty.expect("Enter when it is written down: ");
    pty.send_line("");
    pty.expect("Type or paste the recovery key back");
    let lower = key.to_lowercase();
    pty.send_line(&format!("{} {}", &lower[..37], &lower[37..]));
    let end = pty.finish();
    assert!(end.restored);
    let run = end.run.ok();
    assert_eq!(
        run.stdout.matches("AGE-SECRET-KEY-1").count(),
        2,
        "as often as it was shown"
    );
    // On the alternate screen: left before the program ends, so nothing stays in the scrollback.
    assert!(run.stdout.rfind("\x1b[?1049l") > run.stdout.rfind("AGE-SECRET-KEY-1"));
    let run = world.run(&["slot", "list"]).ok();
    assert!(run.stderr.contains("last proven"), "{run}");
    assert!(world.search_home(&key).is_empty());
    let mut pty = world.pty(&["recovery", "check"]);
    pty.expect("Recovery key: ");
    pty.send_line(&key);
    let run = pty.finish().run.ok();
    assert!(run.stdout.contains("opens the vault"), "{run}");
}

#[test]
fn when_every_slot_is_lost_the_recovery_key_makes_a_new_one() {
    let world = with_recovery(&["identity-file"]);
    std::fs::remove_dir_all(world.vault().join("slots")).unwrap();
    std::fs::remove_file(world.vault().join("vault.json")).unwrap();
    std::fs::remove_file(world.identity_file()).unwrap();
    let _ = world.run(&["secret", "get", "id"]).fails(75);
    let run = world
        .run(&["recovery", "check", "--recovery-file", "sheet.txt"])
        .ok();
    assert!(run.stderr.contains("The slots do not open it now"), "{run}");
    let _ = world
        .run(&[
            "slot",
            "add",
            "identity-file",
            "--replace",
            "--recovery-file",
            "sheet.txt",
        ])
        .ok();
    assert_eq!(world.get("id"), VALUE);
    world.set("id2", "fake-later");
    // The same sheet opens what is written from now on.
    let _ = world
        .run(&["recovery", "check", "--recovery-file", "sheet.txt"])
        .ok();
}

/// Also where a passphrase slot stands beside the lost one, whose passphrase nobody knows.
#[test]
fn a_forgotten_passphrase_does_not_stand_in_the_way_of_recovery() {
    let world = with_recovery(&["identity-file", "passphrase"]);
    std::fs::remove_file(world.identity_file()).unwrap();
    let run = world
        .run(&[
            "slot",
            "add",
            "identity-file",
            "--replace",
            "--recovery-file",
            "sheet.txt",
        ])
        .fails(75);
    assert!(run.stderr.contains("--keep-identity"), "{run}");
    let _ = world
        .run(&[
            "slot",
            "add",
            "identity-file",
            "--replace",
            "--keep-identity",
            "--recovery-file",
            "sheet.txt",
        ])
        .ok();
    assert_eq!(world.get("id"), VALUE);
    let _ = world.run(&["rekey", "--drop", "passphrase", "--yes"]).ok();
    assert_eq!(world.get("id"), VALUE);
}

#[test]
fn rekey_makes_a_new_sheet_and_the_old_one_opens_nothing_new() {
    let world = with_recovery(&["identity-file"]);
    let _ = world
        .run(&["rekey", "--yes", "--recovery-file", "sheet2.txt"])
        .ok();
    let _ = world
        .run(&["recovery", "check", "--recovery-file", "sheet2.txt"])
        .ok();
    let run = world
        .run(&["recovery", "check", "--recovery-file", "sheet.txt"])
        .fails(1);
    assert!(run.stderr.contains("not the one of this vault"), "{run}");
    let plain = World::new();
    plain.init();
    let run = plain
        .run(&["recovery", "check", "--recovery-file", "x"])
        .fails(1);
    assert!(run.stderr.contains("rekey --new-recovery"), "{run}");
}

#[test]
fn stock_age_and_the_sheet_give_every_value_back() {
    if left_out("age") {
        return;
    }
    let world = with_recovery(&["identity-file"]);
    world.set("notes", "two\nlines");
    let script = "/usr/bin/age -d -i sheet.txt \"$0\" | /usr/bin/head -n1";
    let run = world
        .program(
            Path::new("/bin/sh"),
            &[
                "-c",
                script,
                world.vault().join("vault.age").to_str().unwrap(),
            ],
        )
        .run()
        .ok();
    let body = run.json();
    assert_eq!(body["secrets"]["id"]["value"], VALUE);
    assert_eq!(body["secrets"]["notes"]["value"], "two\nlines");
}

#[test]
fn stock_age_opens_a_passphrase_slot_through_the_plugin() {
    if left_out("age") {
        return;
    }
    let world = with_recovery(&["passphrase"]);
    world.put_on_path(
        "age-plugin-clawkeep",
        Path::new(env!("CARGO_BIN_EXE_clawkeep")),
    );
    let slot = world.vault().join("slots/passphrase.age");
    let args = [
        "-d",
        "-j",
        "clawkeep",
        "-o",
        "identity.txt",
        slot.to_str().unwrap(),
    ];
    let mut pty = common::pty::Pty::start(world.program(Path::new("/usr/bin/age"), &args));
    pty.expect("Passphrase of this clawkeep slot");
    pty.wait_hidden();
    pty.send_line("not the passphrase");
    let run = pty.finish().run.fails(1);
    assert!(run.stdout.contains("the passphrase is wrong"), "{run}");
    let mut pty = common::pty::Pty::start(world.program(Path::new("/usr/bin/age"), &args));
    pty.expect("Passphrase of this clawkeep slot");
    pty.wait_hidden();
    pty.send_line(PASSPHRASE);
    let run = pty.finish().run.ok();
    assert!(!run.stdout.contains(PASSPHRASE));
    let vault = world.vault().join("vault.age");
    let run = world
        .program(
            Path::new("/usr/bin/age"),
            &["-d", "-i", "identity.txt", vault.to_str().unwrap()],
        )
        .run()
        .ok();
    assert!(run.stdout.contains(VALUE), "{run}");
}

#[test]
fn the_plugin_refuses_what_it_is_not() {
    let world = World::new();
    world.put_on_path(
        "age-plugin-clawkeep",
        Path::new(env!("CARGO_BIN_EXE_clawkeep")),
    );
    let plugin = world.bin().join("age-plugin-clawkeep");
    for args in [
        &["--age-plugin=recipient-v1"][..],
        &["--age-plugin=x"],
        &[],
        &["secret", "list"],
    ] {
        let run = world.program(&plugin, args).run().fails(64);
        assert!(run.stderr.contains("opens passphrase slots"), "{run}");
    }
    // A client that goes away in the middle of a sentence.
    let run = world
        .program(&plugin, &["--age-plugin=identity-v1"])
        .stdin("-> add-")
        .run();
    assert_eq!(run.fails(1).stdout, "");
}
