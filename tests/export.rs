//! `export`: what it gives, in both forms, and whom it gives nothing.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;

use common::World;
use common::vault::PASSPHRASE;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

const FIRST: &str = "FAKE-first-0123456789";
const SECOND: &str = "FAKE-second-0123456789";
const TEXT: &str = "FAKE two lines,\n$HOME `id` \\ #\tand \"quotes\" ü";

fn home() -> World {
    let world = World::new();
    world.init();
    world.paste("openrouter", "openrouter:one", FIRST, &[]);
    world.paste(
        "openrouter",
        "openrouter:two",
        SECOND,
        &["--expires-in", "30d"],
    );
    world.set("channels/telegram/token", TEXT);
    world
}

#[test]
fn values_go_into_a_new_private_file_after_a_yes_and_into_no_pipe() {
    let world = home();
    let before = world.tree();
    let run = world.run(&["export", "--yes"]).fails(64);
    assert!(run.stderr.contains("not into a pipe"), "{run}");
    assert_eq!(run.stdout, "");
    let run = world.run(&["export", "--output", "out.json"]).fails(64);
    assert!(
        run.stderr
            .contains("This gives away all 3 secrets in plaintext."),
        "{run}"
    );
    assert!(run.stderr.contains("exporting asks first"), "{run}");
    world.write("taken.json", "mine");
    for path in [
        "taken.json",
        ".local/share/clawkeep/out.json",
        "none/out.json",
    ] {
        let run = world.run(&["export", "--output", path, "--yes"]);
        assert!(matches!(run.code, 1 | 64), "{run}");
    }
    std::fs::remove_file(world.home().join("taken.json")).unwrap();
    assert_eq!(world.tree(), before);
    assert!(world.search_home(FIRST).is_empty());

    let run = world.run(&["export", "--output", "out.json", "--yes"]).ok();
    assert!(run.stderr.contains("Written: "), "{run}");
    assert_eq!(run.stdout, "");
    let path = world.home().join("out.json");
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    let out: Value = serde_json::from_slice(&world.read("out.json")).unwrap();
    assert_eq!(
        (&out["format"], &out["version"]),
        (&json!("clawkeep-export"), &json!(1))
    );
    let listed = world.run(&["secret", "list", "--json"]).ok().json();
    assert_eq!(out["vaultId"], listed["vaultId"]);
    let mut secrets = out["secrets"].as_array().unwrap().clone();
    let values: Vec<Value> = secrets
        .iter_mut()
        .map(|row| row.as_object_mut().unwrap().remove("value").unwrap())
        .collect();
    assert_eq!(values, [TEXT, FIRST, SECOND]);
    assert_eq!(Value::from(secrets), listed["secrets"]);
    // It is written down who got them.
    let log = world.run(&["log", "--released"]).ok().stdout;
    assert!(
        log.contains("channels/telegram/token") && log.contains("openrouter:two"),
        "{log}"
    );
    assert_eq!(world.search_home(FIRST), [path]);
}

#[test]
fn a_shell_reads_the_lines_as_they_were_stored() {
    let world = home();
    // OpenClaw would use the second one: then its variable is that one's.
    let own = ".local/share/clawkeep/agents/main/auth-profiles.json";
    let mut profiles: Value = serde_json::from_slice(&world.read(own)).unwrap();
    profiles["order"] = json!({"openrouter": ["openrouter:two", "openrouter:one"]});
    world.write(own, profiles.to_string());
    world.set("path", "FAKE-it's");
    let args = ["export", "--format", "env", "--output", "out.env", "--yes"];
    let _ = world.run(&args).ok();
    let script = ". ./out.env; printf '%s|' \"$OPENROUTER_API_KEY\" \"$OPENROUTER_ONE\" \
                  \"$CHANNELS_TELEGRAM_TOKEN\" \"$SECRET_PATH\"";
    let out = Command::new("/bin/sh")
        .args(["-c", script])
        .current_dir(world.home())
        .output()
        .unwrap();
    let read = String::from_utf8(out.stdout).unwrap();
    assert_eq!(read, format!("{SECOND}|{FIRST}|{TEXT}|FAKE-it's|"));
    let text = String::from_utf8(world.read("out.env")).unwrap();
    assert!(
        text.contains("# channels/telegram/token\nCHANNELS_TELEGRAM_TOKEN='"),
        "{text}"
    );

    world.set("odd/one", "FAKE it's $both");
    let args = ["export", "--format", "env", "--output", "more.env", "--yes"];
    let run = world.run(&args).fails(1);
    assert!(
        run.stderr
            .contains("read the same: odd/one; nothing was exported"),
        "{run}"
    );
    assert!(!world.home().join("more.env").exists());
}

#[test]
fn a_person_at_a_terminal_is_asked_and_shown() {
    let world = home();
    let mut pty = world.pty(&["export"]);
    pty.expect("This gives away all 3 secrets in plaintext.");
    pty.expect("Show them on this terminal?");
    pty.send_line("n");
    let run = pty.finish().run.fails(130);
    assert!(!run.stdout.contains(FIRST), "{run}");
    let mut pty = world.pty(&["export"]);
    pty.expect("Show them on this terminal?");
    pty.send_line("y");
    let end = pty.finish();
    assert!(end.restored);
    let run = end.run.ok();
    assert!(
        run.stdout.contains(&format!("\"value\":\"{FIRST}\"")),
        "{run}"
    );
}

#[test]
fn an_empty_vault_and_a_locked_one_give_nothing() {
    let world = World::new();
    let args = ["export", "--output", "out.json", "--yes"];
    let _ = world.run(&args).fails(1);
    world.init();
    let run = world.run(&args).fails(1);
    assert!(run.stderr.contains("the vault is empty"), "{run}");
    world.set("notes/one", FIRST);
    std::fs::remove_file(world.identity_file()).unwrap();
    let _ = world.run(&args).fails(75);
    assert!(!world.home().join("out.json").exists());
}

/// Under `--release once` the keeper is no store: the passphrase is asked for again.
#[test]
fn a_keeper_that_gives_each_value_once_gives_none_to_an_export() {
    let world = World::new();
    let pass = world.passphrase_file("pass", PASSPHRASE);
    let by = ["--passphrase-file", pass.as_str()];
    let init = [
        "init",
        "--slot",
        "passphrase",
        "--new-passphrase-file",
        &pass,
        "--no-recovery",
    ];
    let _ = world.run(&init).ok();
    let set = [&by[..], &["secret", "set", "notes/one"]].concat();
    let _ = world.cmd(&set).stdin(FIRST).run().ok();
    let _ = world
        .run(&[&by[..], &["unlock", "--release", "once"]].concat())
        .ok();
    let args = ["export", "--output", "out.json", "--yes"];
    let _ = world.run(&args).fails(75);
    assert!(!world.home().join("out.json").exists());
    let _ = world.run(&[&by[..], &args].concat()).ok();
    let out: Value = serde_json::from_slice(&world.read("out.json")).unwrap();
    assert_eq!(out["secrets"][0]["value"], FIRST);
    let _ = world.run(&["lock"]).ok();
}
