//! A value is stored exactly as it was entered, or not at all; it is never shown, and never an
//! argument.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;

use common::World;
use common::run::Run;
use common::vault::SETUP_TOKEN;
use serde_json::Value;

const PROFILES: &str = ".local/share/clawkeep/agents/main/auth-profiles.json";
const DAY: i64 = 86_400_000;

fn ready() -> World {
    let world = World::new();
    world.init();
    world
}

fn paste(world: &World, kind: &str, args: &[&str], value: impl Into<Vec<u8>>) -> Run {
    let args = [&["models", "auth", kind][..], args].concat();
    world.cmd(&args).stdin(value).run()
}

fn profiles(world: &World) -> Value {
    serde_json::from_slice(&world.read(PROFILES)).unwrap()
}

fn stored(world: &World) -> usize {
    let listed = world.run(&["secret", "list", "--json"]).ok().json();
    listed["secrets"].as_array().unwrap().len()
}

#[test]
fn piped_input_loses_one_line_end_and_nothing_else() {
    let world = ready();
    for (input, kept) in [
        ("fake-a", "fake-a"),
        ("fake-a\n", "fake-a"),
        ("fake-a\r\n", "fake-a"),
        ("fake-a\n\n", "fake-a\n"),
        ("\nfake-a", "\nfake-a"),
        (" \tfake-a ", " \tfake-a "),
        (
            "{\"fake\": \"\u{1f511}\"}\r\n\r\n",
            "{\"fake\": \"\u{1f511}\"}\r\n",
        ),
    ] {
        world.set("text", input);
        assert_eq!(world.get("text"), kept, "{input:?}");
        let answer = world.resolve(&["text"]);
        assert_eq!(answer["values"]["text"], kept, "{input:?}");
    }
    for end in ["", "\n", "\r\n"] {
        let _ = paste(
            &world,
            "paste-token",
            &["--provider", "fakeai"],
            format!("fake-b{end}"),
        )
        .ok();
        assert_eq!(world.get("fakeai:manual"), "fake-b");
    }
    // For a key, a second line end is a control byte.
    let _ = paste(
        &world,
        "paste-token",
        &["--provider", "fakeai"],
        "fake-c\n\n",
    )
    .fails(1);
    assert_eq!(world.get("fakeai:manual"), "fake-b");
}

#[test]
fn what_cannot_be_a_value_is_refused_and_the_old_one_stays() {
    let world = ready();
    world.set("text", "fake-old");
    let _ = paste(&world, "paste-token", &["--provider", "fakeai"], "fake-old").ok();
    let huge = vec![b'x'; 2 << 20];
    let over = vec![b'x'; (64 << 10) + 1];
    let cases: [(&[u8], &str); 9] = [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"\r\n", "empty"),
        (&huge, "too long"),
        (&over, "too long"),
        (b"fake\0needle", "control character"),
        (b"fake\x1b[2Jneedle", "control character"),
        (b"fake\x7fneedle", "control character"),
        (b"fake\xff\xfeneedle", "not UTF-8"),
    ];
    for (bytes, reason) in cases {
        for run in [
            world.cmd(&["secret", "set", "text"]).stdin(bytes).run(),
            paste(&world, "paste-token", &["--provider", "fakeai"], bytes),
            paste(&world, "paste-api-key", &["--provider", "fakeai"], bytes),
        ] {
            let run = run.fails(1);
            assert!(run.stderr.contains(reason), "{run}");
            assert!(!run.stderr.contains("needle"), "{run}");
        }
    }
    for (bytes, reason) in [
        (&b"fake\ttab"[..], "control character"),
        (b"fake\nline", "control character"),
        (b"fake blank", "blanks"),
        ("fake\u{a0}blank".as_bytes(), "blanks"),
    ] {
        let run = paste(&world, "paste-token", &["--provider", "fakeai"], bytes).fails(1);
        assert!(run.stderr.contains(reason), "{run}");
    }
    assert_eq!(world.get("text"), "fake-old");
    assert_eq!(world.get("fakeai:manual"), "fake-old");
}

#[test]
fn sixty_four_kib_fit_exactly() {
    let world = ready();
    let most = "x".repeat(64 << 10);
    world.set("large", &format!("{most}\r\n"));
    assert_eq!(world.get("large"), most);
    assert_eq!(world.resolve(&["large"])["values"]["large"], most);
}

#[test]
fn a_setup_token_is_checked_for_its_prefix_and_length() {
    let world = ready();
    let anthropic = ["--provider", "anthropic"];
    let run = paste(&world, "paste-token", &anthropic, "fake-token").fails(1);
    assert!(
        run.stderr
            .contains("Expected token starting with sk-ant-oat01-"),
        "{run}"
    );
    let run = paste(
        &world,
        "paste-token",
        &anthropic,
        "sk-ant-oat01-FAKE-too-short",
    )
    .fails(1);
    assert!(
        run.stderr
            .contains("Token looks too short; paste the full setup-token"),
        "{run}"
    );
    assert_eq!(stored(&world), 0);
    let run = paste(
        &world,
        "paste-token",
        &[&anthropic[..], &["--expires-in", "365d"]].concat(),
        SETUP_TOKEN,
    )
    .ok();
    assert!(
        run.stderr
            .contains("Auth profile: anthropic:manual (anthropic/token)"),
        "{run}"
    );
    assert!(run.stderr.contains("in 365 days"), "{run}");
    assert_eq!(run.stdout, "");
    assert_eq!(world.get("anthropic:manual"), SETUP_TOKEN);
}

#[test]
fn a_key_that_looks_like_another_providers_needs_force() {
    let world = ready();
    for (kind, provider, value) in [
        ("paste-api-key", "anthropic", "sk-proj-FAKE-0123456789"),
        ("paste-api-key", "openai", "sk-ant-api03-FAKE-0123456789"),
        ("paste-token", "openrouter", "gsk_FAKE0123456789"),
        ("paste-api-key", "anthropic", SETUP_TOKEN),
    ] {
        let run = paste(&world, kind, &["--provider", provider], value).fails(1);
        assert!(run.stderr.contains("--force"), "{run}");
        assert!(!run.stderr.contains(value), "{run}");
        assert_eq!(stored(&world), 0);
    }
    let args = ["--provider", "openai", "--force"];
    let _ = paste(
        &world,
        "paste-api-key",
        &args,
        "sk-ant-api03-FAKE-0123456789",
    )
    .ok();
    assert_eq!(world.get("openai:manual"), "sk-ant-api03-FAKE-0123456789");
    // Any provider is accepted, and its own keys unasked.
    let _ = paste(
        &world,
        "paste-api-key",
        &["--provider", "Never-Heard-Of.AI"],
        "anything",
    )
    .ok();
    assert_eq!(world.get("never-heard-of.ai:manual"), "anything");
}

#[test]
fn durations_are_openclaws_and_a_bad_one_is_said_before_the_paste() {
    let world = ready();
    for (text, ms) in [
        ("365", 365 * DAY),
        ("1.5d", DAY * 3 / 2),
        ("12h", DAY / 2),
        ("1h30m", 5_400_000),
        ("90s", 90_000),
    ] {
        let _ = paste(
            &world,
            "paste-token",
            &["--provider", "fakeai", "--expires-in", text],
            "fake",
        )
        .ok();
        let expires = profiles(&world)["profiles"]["fakeai:manual"]["expires"]
            .as_i64()
            .unwrap();
        let listed = world.run(&["secret", "list", "--json"]).ok().json();
        let entry = &listed["secrets"][0];
        assert_eq!(entry["expires"], expires, "{text}");
        // The clock is read a moment before the value is stored.
        let left = expires - entry["updated"].as_i64().unwrap();
        assert!((ms - 60_000..=ms).contains(&left), "{text}: {left}");
    }
    let before = world.read(PROFILES);
    for text in [
        "",
        "banana",
        "1w",
        "-1d",
        "0",
        "1h30",
        "99999999999d",
        "1e3",
        "NaN",
    ] {
        let flag = format!("--expires-in={text}");
        let run = paste(
            &world,
            "paste-token",
            &["--provider", "fakeai", &flag],
            "fake-new",
        )
        .fails(64);
        assert!(run.stderr.contains("duration"), "{text}: {run}");
    }
    assert_eq!(world.read(PROFILES), before);
    // An API key's expiry is the vault's alone: OpenClaw knows none.
    let _ = paste(
        &world,
        "paste-api-key",
        &["--provider", "keys", "--expires-in", "1d"],
        "fake",
    )
    .ok();
    assert_eq!(
        profiles(&world)["profiles"]["keys:manual"].get("expires"),
        None
    );
}

#[test]
fn names_are_checked_and_never_repeated() {
    let world = ready();
    let bad = "b\u{e4}d name\u{1b}]0;x\u{7}";
    for args in [
        vec!["models", "auth", "paste-token", "--provider", bad],
        vec!["models", "auth", "paste-token", "--provider", "a:b"],
        vec!["models", "auth", "paste-token", "--provider", ""],
        vec![
            "models",
            "auth",
            "paste-token",
            "--provider",
            "x",
            "--profile-id",
            bad,
        ],
        vec![
            "models",
            "auth",
            "paste-token",
            "--provider",
            "x",
            "--profile-id",
            " ",
        ],
        vec![
            "models",
            "auth",
            "--agent",
            "../../x",
            "paste-token",
            "--provider",
            "x",
        ],
        vec![
            "models",
            "auth",
            "paste-token",
            "--provider",
            "x",
            "--agent",
            bad,
        ],
        vec!["secret", "set", bad],
        vec!["secret", "set", "../x"],
        vec!["secret", "set", "a/../b"],
        vec!["secret", "set", ""],
        vec!["secret", "set", "provider/anthropic"],
        vec!["secret", "get", bad],
        vec!["secret", "remove", bad, "--yes"],
        vec!["models", "auth", "list", "--provider", bad],
        vec!["models", "auth", "logout", "--profile-id", bad, "--yes"],
        vec!["--vault-id", bad, "secret", "list"],
    ] {
        let run = world.cmd(&args).stdin("fake").run().fails(64);
        assert!(
            !run.stderr.contains("b\u{e4}d") && !run.stderr.contains("../"),
            "{args:?}: {run}"
        );
    }
    let run = paste(&world, "paste-token", &[], "fake").fails(64);
    assert!(
        run.stderr
            .contains("Missing required option \"--provider <NAME>\"."),
        "{run}"
    );
    assert_eq!(stored(&world), 0);
    assert!(!world.vault().join("agents").exists());
}

#[test]
fn no_flag_takes_a_value_and_one_in_the_wrong_place_is_not_repeated() {
    let world = ready();
    for args in [
        vec![
            "models",
            "auth",
            "paste-token",
            "--provider",
            "anthropic",
            SETUP_TOKEN,
        ],
        vec![
            "models",
            "auth",
            "paste-token",
            "--provider",
            "anthropic",
            "--token",
            SETUP_TOKEN,
        ],
        vec!["models", "auth", "paste-token", "--provider", SETUP_TOKEN],
        vec![
            "models",
            "auth",
            "paste-token",
            "--provider=sk-proj-FAKE-0123456789-FAKE",
        ],
        vec![
            "models",
            "auth",
            "paste-token",
            "--provider",
            "x",
            "--profile-id",
            SETUP_TOKEN,
        ],
        vec![
            "models",
            "auth",
            "paste-token",
            "--provider",
            "x",
            "--expires-in",
            SETUP_TOKEN,
        ],
        vec!["models", "auth", SETUP_TOKEN],
        vec!["secret", "set", "id", "hunter2-fake-password"],
        vec!["secret", "set", SETUP_TOKEN],
        vec!["secret", "get", "id", "hunter2-fake-password"],
        vec!["hunter2-fake-password"],
        vec!["--hunter2-fake-password"],
        vec!["init", "--slot", "hunter2-fake-password"],
        vec!["resolve", "--max-output", "hunter2-fake-password"],
        vec!["slot", "add", "passphrase", "hunter2-fake-password"],
    ] {
        let run = world.run(&args).fails(64);
        for needle in [SETUP_TOKEN, "hunter2", "sk-proj"] {
            assert!(
                !run.stderr.contains(needle) && !run.stdout.contains(needle),
                "{run}"
            );
        }
        assert!(run.stderr.contains("hint: "), "{args:?}: {run}");
    }
    assert_eq!(stored(&world), 0);
}
