//! A login session as `dbus-run-session` makes it, with a GNOME Keyring in it; and sessions whose bus
//! is dead, or accepts and never answers. `secret-tool` is the witness.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it reads the environment of the tests"
)]

mod common;

use common::World;
use common::vault::request;
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Everything in one session, which ends with its shell. The daemon is ended by its own pid; its
/// password has no newline, which would be a part of it.
const SESSION: &str = r#"
set -eu
printf fake-password | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
stop() {
  kill "$(dbus-send --session --print-reply=literal --dest=org.freedesktop.DBus / \
    org.freedesktop.DBus.GetConnectionUnixProcessID string:org.freedesktop.secrets | awk '{print $NF}')"
}
trap stop EXIT
"$CLAWKEEP" init --custody keychain 2>/dev/null
printf fake-from-clawkeep-0123456789 | "$CLAWKEEP" secret set from/clawkeep 2>/dev/null
id=$("$CLAWKEEP" secret list --json | sed -n 's/.*"vaultId": "\([0-9a-f]*\)".*/\1/p')
echo "witness: $(secret-tool lookup service "clawkeep:$id" username from/clawkeep)"
printf fake-from-witness-0123456789 | secret-tool store --label=x service "clawkeep:$id" username from/witness
echo "clawkeep: $("$CLAWKEEP" secret get from/witness)"
printf '{"protocolVersion":1,"provider":"clawkeep","ids":["from/clawkeep","from/witness"]}' | "$CLAWKEEP" resolve
"#;

#[test]
fn in_a_session_of_dbus_run_session_clawkeep_and_secret_tool_read_one_another() {
    if common::left_out("keychain") {
        return;
    }
    let world = World::new();
    let run = world
        .program(
            Path::new("/usr/bin/env"),
            &["dbus-run-session", "--", "bash", "-c", SESSION],
        )
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("CLAWKEEP", env!("CARGO_BIN_EXE_clawkeep"))
        .run()
        .ok();
    let mut lines = run.stdout.lines();
    assert_eq!(lines.next(), Some("witness: fake-from-clawkeep-0123456789"));
    assert_eq!(lines.next(), Some("clawkeep: fake-from-witness-0123456789"));
    let answer: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(
        answer["values"]["from/clawkeep"],
        "fake-from-clawkeep-0123456789"
    );
    assert_eq!(
        answer["values"]["from/witness"],
        "fake-from-witness-0123456789"
    );
}

#[test]
fn a_bus_that_is_dead_or_never_answers_is_told_and_the_program_ends() {
    let world = World::new();
    let silent = world.root().join("silent");
    // Held for the whole test: connections wait in its queue, and nobody ever answers.
    let listener = UnixListener::bind(&silent).unwrap();
    let dead = world.root().join("dead");
    drop(UnixListener::bind(&dead).unwrap());
    for (socket, code) in [(&silent, 75), (&dead, 1)] {
        let address = format!("unix:path={}", socket.display());
        let run = world
            .cmd(&["init", "--custody", "keychain"])
            .env("DBUS_SESSION_BUS_ADDRESS", &address)
            .run()
            .fails(code);
        assert!(run.stderr.contains("keychain"), "{run}");
        assert!(!world.vault().exists(), "nothing was made");
    }

    // A vault of keychain custody whose bus falls silent: every id is LOCKED, and resolve ends.
    std::fs::create_dir_all(world.vault().parent().unwrap()).unwrap();
    let marker = format!(
        r#"{{"version":1,"custody":"keychain","vault_id":"{}"}}"#,
        "ab".repeat(32)
    );
    clawkeep::file::private_dir(&world.vault()).unwrap();
    clawkeep::file::replace(&world.vault().join("vault.json"), marker.as_bytes(), 0o600).unwrap();
    let ids: Vec<String> = (0..40).map(|n| format!("fake/{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for socket in [&silent, &dead] {
        let answer = world
            .resolve_cmd(request(&ids))
            .env(
                "DBUS_SESSION_BUS_ADDRESS",
                format!("unix:path={}", socket.display()),
            )
            .run()
            .ok()
            .json();
        for id in &ids {
            assert_eq!(answer["errors"][*id]["code"], "LOCKED", "{id}");
        }
    }
    drop(listener);
}
