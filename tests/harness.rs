//! The tests' own instruments: a search that finds nothing and a terminal that hides everything
//! would make other tests pass for no reason.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::World;
use common::mock_provider::MockProvider;
use common::pty::Pty;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

const NEEDLE: &str = "sk-fake-harness-0123456789";

fn sh(world: &World, script: &str) -> common::run::Cmd {
    world.program(Path::new("/bin/sh"), &["-c", script])
}

#[test]
fn the_search_finds_a_secret_in_every_dress_and_nothing_else() {
    let world = World::new();
    // printf 'sk-fake-harness-0123456789' | base64, with 0, 1 and 2 bytes before it
    let dresses: [(&str, &[u8]); 8] = [
        ("plain", b"\xff\xfe key=sk-fake-harness-0123456789\0"),
        ("base64-0", b"c2stZmFrZS1oYXJuZXNzLTAxMjM0NTY3ODk="),
        ("base64-1", b"eHNrLWZha2UtaGFybmVzcy0wMTIzNDU2Nzg5"),
        ("base64-2", b"eHhzay1mYWtlLWhhcm5lc3MtMDEyMzQ1Njc4OXg="),
        ("deep/er/hex", b"736b2d66616b652d6861726e6573732d30313233343536373839"),
        ("HEX", b"736B2D66616B652D6861726E6573732D30313233343536373839"),
        ("wide", b"s\0k\0-\0f\0a\0k\0e\0-\0h\0a\0r\0n\0e\0s\0s\0-\x000\x001\x002\x003\x004\x005\x006\x007\x008\x009\0"),
        ("name-sk-fake-harness-0123456789", b""),
    ];
    for (name, bytes) in dresses {
        world.write(name, bytes);
    }
    world.write("another", b"sk-fake-harness-012345678");
    let mut expected: Vec<_> = dresses
        .iter()
        .map(|(name, _)| world.home().join(name))
        .collect();
    expected.sort();
    assert_eq!(world.search_home(NEEDLE), expected);
    let _ = sh(&world, "echo sk-fake-harness-0123456789 > \"$TMPDIR/x\"")
        .run()
        .ok();
    assert_eq!(world.search_home(NEEDLE).len(), expected.len() + 1);
}

#[test]
fn a_run_has_this_environment_and_no_other() {
    let world = World::new();
    let run = world
        .program::<&str>(Path::new("/usr/bin/env"), &[])
        .env("ADDED", "x")
        .run()
        .ok();
    let mut lines: Vec<_> = run.snapshot().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "--- stderr",
            "--- stdout",
            "ADDED=x",
            "HOME=[HOME]",
            "LANG=C.UTF-8",
            "PATH=[WORLD]/bin",
            "TMPDIR=[WORLD]/tmp",
            "XDG_RUNTIME_DIR=[WORLD]/run",
            "exit: 0",
        ]
    );
}

#[test]
fn a_snapshot_is_the_same_everywhere() {
    let world = World::new();
    let run = sh(
        &world,
        "printf 'id 0123456789abcdef0123, short abcdef, %s/.clawkeep-tmp-Ab1\\n' \"$HOME\"
         printf AGE-SECRET-KEY-1QQQQ >&2; exit 75",
    )
    .run()
    .fails(75);
    assert_eq!(
        run.snapshot(),
        "exit: 75\n--- stdout\nid [HEX], short abcdef, [HOME]/.[TEMP]\n\
         --- stderr\n[AGE-SECRET-KEY][no newline]\n"
    );
}

#[test]
fn a_big_input_goes_in_whole_and_an_unread_one_is_no_failure() {
    let world = World::new();
    let big = vec![b'x'; 3 << 20];
    let run = sh(&world, "/usr/bin/wc -c").stdin(big.clone()).run().ok();
    assert_eq!(run.stdout.trim(), big.len().to_string());
    let _ = sh(&world, "exit 3").stdin(big).run().fails(3);
}

#[test]
#[should_panic(expected = "did not end by itself")]
fn a_program_that_hangs_is_ended_and_fails() {
    let world = World::new();
    let _ = sh(&world, "while :; do :; done")
        .limit(Duration::from_millis(200))
        .run();
}

#[test]
fn a_terminal_shows_what_a_careless_prompt_leaves_visible() {
    let world = World::new();
    let script = "printf 'Key: '; read -r key; printf 'got %s bytes\\n' \"${#key}\"";
    let mut pty = Pty::start(sh(&world, script));
    pty.expect("Key: ");
    assert!(pty.echoes());
    pty.send_line(NEEDLE);
    let careless = pty.finish();
    assert!(careless.restored);
    let shown = careless.run.ok().stdout;
    assert_eq!(shown, format!("Key: {NEEDLE}\ngot 26 bytes\n"));

    let script = format!("/bin/stty -echo; {script}; exit 7");
    let mut pty = Pty::start(sh(&world, &script));
    pty.expect("Key: ");
    assert!(!pty.echoes());
    pty.send_line(NEEDLE);
    let hidden = pty.finish();
    assert_eq!(hidden.run.stdout, "Key: got 26 bytes\n");
    assert_eq!(hidden.run.code, 7);
    assert!(!hidden.restored, "echo was left off");
}

#[test]
fn ctrl_c_on_the_terminal_is_a_signal_to_the_program() {
    let world = World::new();
    let mut pty = Pty::start(sh(&world, "printf 'Key: '; read -r key"));
    pty.expect("Key: ");
    pty.send("\x03");
    let _ = pty.finish().run.fails(130);
}

fn ask(provider: &MockProvider, head: &str, body: &str) -> String {
    let address = provider.url().replace("http://", "");
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{head}\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_mock_provider_records_exactly_the_credential_that_came() {
    let provider = MockProvider::start();
    let openai = "POST /v1/chat/completions HTTP/1.1\r\nAuthorization: Bearer sk-fake-a";
    let anthropic = "POST /v1/messages?beta=true HTTP/1.1\r\nX-Api-Key: sk-fake-b";
    for (head, body, part) in [
        (openai, r#"{"stream":true}"#, "data: [DONE]"),
        (openai, "{}", r#""content":"OK""#),
        (anthropic, r#"{"stream":true}"#, "event: message_stop"),
        (anthropic, "{}", r#""text":"OK""#),
        ("GET /other HTTP/1.1", "", "404 Not Found"),
    ] {
        let answer = ask(&provider, head, body);
        assert!(answer.contains(part), "{answer}");
    }
    let seen = provider.take_requests();
    assert_eq!(seen.len(), 5);
    assert_eq!(seen[0].authorization.as_deref(), Some("Bearer sk-fake-a"));
    assert_eq!(seen[0].x_api_key, None);
    assert_eq!(seen[2].x_api_key.as_deref(), Some("sk-fake-b"));
    assert_eq!(seen[2].path, "/v1/messages?beta=true");
    assert!(provider.requests().is_empty());
}
