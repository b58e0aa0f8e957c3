//! At a terminal a value is typed or pasted hidden, Ctrl-C stores nothing, and the terminal is left
//! as it was.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;

use common::World;
use common::vault::SETUP_TOKEN;
use std::os::unix::fs::PermissionsExt as _;

const PASTE: [&str; 5] = ["models", "auth", "paste-token", "--provider", "anthropic"];

fn ready() -> World {
    let world = World::new();
    world.init();
    world
}

/// Nothing of a secret on a screen: no part of eight characters.
#[track_caller]
fn assert_hidden(screen: &str, secret: &str) {
    for at in 0..secret.len() - 8 {
        let part = &secret[at..at + 8];
        // The prefix that error messages name is public.
        assert!(
            "sk-ant-oat01-".contains(part) || !screen.contains(part),
            "{screen}"
        );
    }
}

#[test]
fn a_wrapped_paste_of_a_setup_token_is_stored_whole_and_never_shown() {
    assert_eq!(SETUP_TOKEN.len(), 108);
    let bracketed = format!(
        "\x1b[200~{}\r{}\r\n  {}\x1b[201~\r",
        &SETUP_TOKEN[..40],
        &SETUP_TOKEN[40..80],
        &SETUP_TOKEN[80..]
    );
    let burst = format!("{}\r{}\r", &SETUP_TOKEN[..80], &SETUP_TOKEN[80..]);
    let typed = format!("{SETUP_TOKEN}\r");
    for input in [bracketed, burst, typed] {
        let world = ready();
        let mut pty = world.pty(&PASTE);
        pty.expect("Paste token for anthropic (hidden): ");
        assert!(!pty.echoes());
        pty.send(&input);
        let end = pty.finish();
        assert!(end.restored);
        let run = end.run.ok();
        assert_hidden(&run.stdout, SETUP_TOKEN);
        assert!(
            run.stdout.contains("Auth profile: anthropic:manual"),
            "{run}"
        );
        assert_eq!(world.get("anthropic:manual"), SETUP_TOKEN);
    }
}

#[test]
fn ctrl_c_stores_nothing_and_leaves_the_terminal_as_it_was() {
    let world = ready();
    for (args, prompt) in [
        (&PASTE[..], "(hidden): "),
        (&["secret", "set", "id"], "(hidden): "),
        (&["models", "auth", "add"], "Provider"),
        (
            &["init", "--vault", "other", "--slot", "passphrase"],
            "New passphrase",
        ),
        (
            &["init", "--vault", "other", "--slot", "identity-file"],
            "Enter when",
        ),
    ] {
        let mut pty = world.pty(args);
        pty.expect(prompt);
        pty.send("fake-half-typed");
        pty.send("\x03");
        let end = pty.finish();
        assert!(end.restored, "{args:?}");
        let _ = end.run.fails(130);
    }
    let listed = world.run(&["secret", "list", "--json"]).ok().json();
    assert_eq!(listed["secrets"], serde_json::json!([]));
    assert!(!world.vault().join("agents").exists());
    assert!(!world.home().join("other/vault.age").exists());
    assert!(!world.home().join("other/slots").exists());
}

#[test]
fn a_doubtful_key_is_questioned_and_no_is_the_default() {
    let world = ready();
    let args = ["models", "auth", "paste-api-key", "--provider", "openai"];
    for (answer, code) in [("", 130), ("n", 130), ("y", 0)] {
        let mut pty = world.pty(&args);
        pty.expect("(hidden): ");
        pty.send_line("gsk_FAKE0123456789FAKE");
        pty.expect("looks like a credential of groq");
        pty.send_line(answer);
        let run = pty.finish().run.fails(code);
        assert_hidden(&run.stdout, "gsk_FAKE0123456789FAKE");
    }
    assert_eq!(world.get("openai:manual"), "gsk_FAKE0123456789FAKE");
}

#[test]
fn secret_get_shows_nothing_on_a_terminal_unless_told() {
    let world = ready();
    world.set("id", "fake-value-0123456789");
    let run = world.pty(&["secret", "get", "id"]).finish().run.fails(64);
    assert!(run.stdout.contains("--reveal"), "{run}");
    assert_hidden(&run.stdout, "fake-value-0123456789");
    let run = world
        .pty(&["secret", "get", "id", "--reveal"])
        .finish()
        .run
        .ok();
    assert_eq!(run.stdout, "fake-value-0123456789\n");
}

#[test]
fn a_text_of_several_lines_is_pasted_whole() {
    let world = ready();
    let mut pty = world.pty(&["secret", "set", "key.pem"]);
    pty.expect("Value of key.pem (hidden): ");
    pty.send("\x1b[200~-----FAKE-----\rline two\r\tend\r\x1b[201~\r");
    let _ = pty.finish().run.ok();
    assert_eq!(world.get("key.pem"), "-----FAKE-----\nline two\n\tend");
}

#[test]
fn add_asks_for_everything_and_remove_asks_first() {
    let world = ready();
    let mut pty = world.pty(&["models", "auth", "add"]);
    pty.expect("Provider [anthropic]: ");
    pty.send_line("not a name");
    pty.expect("letters, digits");
    pty.expect("Provider [anthropic]: ");
    pty.send_line("fakeai");
    pty.expect("Choice [k]: ");
    pty.send_line("t");
    pty.expect("Profile [fakeai:manual]: ");
    pty.send_line("fakeai:work");
    pty.expect("(hidden): ");
    pty.send_line("fake-value-0123456789");
    pty.expect("Does it expire?");
    pty.send_line("y");
    pty.expect("In how long [365d]: ");
    pty.send_line("30d");
    let run = pty.finish().run.ok();
    assert!(run.stdout.contains("in 30 days"), "{run}");
    assert_eq!(world.get("fakeai:work"), "fake-value-0123456789");
    let run = world.run(&["models", "auth", "add"]).fails(64);
    assert!(run.stderr.contains("paste-token"), "{run}");

    for (answer, code) in [("n", 130), ("y", 0)] {
        let mut pty = world.pty(&["secret", "remove", "fakeai:work"]);
        pty.expect("Remove fakeai:work?");
        pty.send_line(answer);
        let _ = pty.finish().run.fails(code);
    }
    let _ = world.run(&["secret", "get", "fakeai:work"]).fails(1);
}

fn fake_claude(world: &World, script: &str) {
    let path = world.bin().join("claude");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn setup_token_runs_claude_on_the_alternate_screen_and_takes_the_token() {
    let world = ready();
    fake_claude(
        &world,
        &format!("[ \"$*\" = setup-token ] || exit 9; echo 'Your token: {SETUP_TOKEN}'"),
    );
    let mut pty = world.pty(&["models", "auth", "setup-token"]);
    pty.expect("Run `claude setup-token` now?");
    pty.send_line("");
    pty.expect("Copy the token, then press Enter: ");
    pty.send_line("");
    pty.expect("(hidden): ");
    pty.send_line(SETUP_TOKEN);
    let end = pty.finish();
    assert!(end.restored);
    let screen = end.run.ok().stdout;
    let (shown, left) = (
        screen.find(SETUP_TOKEN).unwrap(),
        screen.find("\x1b[?1049l").unwrap(),
    );
    assert!(
        screen.find("\x1b[?1049h").unwrap() < shown && shown < left,
        "{screen:?}"
    );
    assert_hidden(&screen[left..], SETUP_TOKEN);
    assert_eq!(world.get("anthropic:default"), SETUP_TOKEN);
    let listed = world.run(&["models", "auth", "list"]).ok();
    assert!(listed.stdout.contains("in 365 days"), "{listed}");
}

#[test]
fn setup_token_without_claude_says_how_and_one_that_fails_stores_nothing() {
    let world = ready();
    let mut pty = world.pty(&["models", "auth", "setup-token"]);
    pty.expect("Claude Code is not on PATH");
    pty.expect("(hidden): ");
    pty.send_line(SETUP_TOKEN);
    let _ = pty.finish().run.ok();
    assert_eq!(world.get("anthropic:default"), SETUP_TOKEN);
    let _ = world
        .run(&["secret", "remove", "anthropic:default", "--yes"])
        .ok();

    fake_claude(&world, "echo no; exit 3");
    let end = world
        .pty(&["models", "auth", "setup-token", "--yes"])
        .finish();
    assert!(end.restored);
    let run = end.run.fails(1);
    assert!(run.stdout.contains("did not finish"), "{run}");
    // Piped, nothing is run: the token is there already.
    let _ = world
        .cmd(&["models", "auth", "setup-token"])
        .stdin(SETUP_TOKEN)
        .run()
        .ok();
    assert_eq!(world.get("anthropic:default"), SETUP_TOKEN);
    let run = world
        .cmd(&["models", "auth", "setup-token", "--provider", "openai"])
        .stdin(SETUP_TOKEN)
        .run()
        .fails(1);
    assert!(run.stderr.contains("only anthropic"), "{run}");
}
