//! The terminal as a person meets it, at a pseudo-terminal.
#![cfg(unix)]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a test"
)]

mod pty;

use pty::{Person, between, digest, program};
use rustix::process::Signal;
use std::io::Write;
use std::process::{Command, Stdio};

/// Not a test: the program that the others talk to.
#[test]
fn child() {
    pty::child();
}

/// A value of `len` characters that is visibly fake.
fn token(len: usize) -> String {
    let numbers = (0..len).map(|number| format!("{number:x}-"));
    let mut token: String = std::iter::once("sk-fake-".to_owned())
        .chain(numbers)
        .take(len)
        .collect();
    token.truncate(len);
    token
}

/// Both ways of waiting for input: with a poll, and as on macOS without one.
const WAYS: [&str; 2] = ["", "no-poll "];

#[test]
fn a_typed_value_arrives_and_never_shows() {
    for way in WAYS {
        let mut person = Person::at(&format!("{way}key"));
        person.sees("key> ").types(token(40)).types("\r");
        person.sees("[40 characters]");
        assert_eq!(person.code(), "0");
        assert_eq!(person.result().trim(), digest(token(40).as_bytes()));
        assert!(!person.screen.contains("sk-fake"), "{}", person.screen);
    }
}

#[test]
fn a_wrapped_token_is_repaired_with_brackets_and_without() {
    let token = token(108);
    let (first, second) = token.split_at(70);
    let lines = format!("  {first}\r\n  {second}\r\n");
    let bracketed = format!("\x1b[200~{lines}\x1b[201~\r");
    for way in WAYS {
        for paste in [&lines, &bracketed] {
            let mut person = Person::at(&format!("{way}key"));
            person.sees("\x1b[?2004h").sees("key> ").types(paste);
            person.sees("[108 characters, lines joined]");
            assert_eq!(person.code(), "0");
            assert_eq!(person.result().trim(), digest(token.as_bytes()));
            assert!(!person.screen.contains(&token[..8]), "{}", person.screen);
            assert!(!person.screen.contains(&token[70..80]), "{}", person.screen);
        }
    }
}

#[test]
fn text_keeps_its_lines_and_a_passphrase_its_blanks() {
    let mut person = Person::at("text passphrase");
    person
        .sees("text> ")
        .types("\x1b[200~one\r two\r\x1b[201~\r");
    person.sees("[8 characters]").sees("passphrase> ");
    person.types(" correct  fake ä \r");
    assert_eq!(person.code(), "0");
    let expected = [digest(b"one\n two"), digest(" correct  fake ä ".as_bytes())];
    assert_eq!(person.result().lines().collect::<Vec<_>>(), expected);
    let shown = between(&person.screen, "passphrase> ", "\x1b[?2004l");
    assert_eq!(
        shown.trim(),
        "",
        "a passphrase's length is nobody's business"
    );
}

#[test]
fn keys_edit_and_arrows_are_not_stored() {
    let mut person = Person::at("passphrase");
    person.sees("passphrase> ");
    person
        .types("wrong\x15")
        .types("\x1b[A\x1bOB")
        .types("\x1b[")
        .types("1;5Cone twx");
    person
        .types("\x7fo\x17two ")
        .types([0xc3])
        .types([0xa4])
        .types("€\x7f\r");
    assert_eq!(person.code(), "0");
    assert_eq!(person.result().trim(), digest("one two ä".as_bytes()));
}

#[test]
fn ctrl_c_stores_nothing_and_the_terminal_is_as_it_was() {
    for way in WAYS {
        for keys in [
            "\x03",
            "half a value\x03",
            "\x1b[200~lost end\r\x03rm -rf\r",
            "\x04",
            "\x1c",
        ] {
            let mut person = Person::at(&format!("{way}key"));
            person.sees("key> ").types(keys);
            assert_eq!(person.code(), "130", "{keys:?}");
            assert_eq!(
                person.result().trim(),
                "cancelled: cancelled, nothing was stored"
            );
            assert!(!person.screen.contains("rm -rf"), "{}", person.screen);
        }
    }
    // A long paste with a Ctrl-C in it: none of the rest reaches the screen or the shell.
    let mut person = Person::at("key");
    person
        .sees("key> ")
        .types(format!("\x03{}\r", token(1 << 18)));
    assert_eq!(person.code(), "130");
    assert!(!person.screen.contains("fff-"), "{}", person.screen);
    for keys in ["\x03", "\x04"] {
        let mut person = Person::at("line");
        person.sees("line> ").types(keys);
        assert_eq!(person.code(), "130", "{keys:?}");
    }
}

#[test]
fn signals_end_the_program_with_the_terminal_put_back() {
    let signals = [
        (Signal::INT, "130"),
        (Signal::TERM, "143"),
        (Signal::HUP, "129"),
        (Signal::QUIT, "131"),
    ];
    for way in WAYS {
        for (signal, code) in signals {
            let mut person = Person::at(&format!("{way}key"));
            person.sees("key> ").types("half a value").signals(signal);
            assert_eq!(person.code(), code, "{signal:?}");
        }
    }
    let mut person = Person::at("line");
    person.sees("line> ").signals(Signal::TERM);
    assert_eq!(person.code(), "143");
}

#[test]
fn an_ignored_signal_stays_ignored() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let script = "trap '' HUP\n\"$0\" child --exact --nocapture; echo \"code=$?.\"";
    let mut person = Person::at_shell("key", script);
    person
        .sees("key> ")
        .types("ab")
        .signals(Signal::HUP)
        .types("c\r")
        .sees("code=0.");
    assert_eq!(person.result().trim(), digest(b"abc"));
}

#[test]
fn after_a_question_signals_work_again() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut person = Person::at("key wait");
        person
            .sees("key> ")
            .types("a\r")
            .sees("waiting>")
            .signals(signal);
        let code = if signal == Signal::INT { "130" } else { "143" };
        assert_eq!(person.code(), code);
        assert_eq!(person.result(), "", "it was to end at once");
    }
}

#[test]
fn two_mebibytes_neither_hang_nor_arrive() {
    for way in WAYS {
        for end in ["\r", "\x1b[201~\r"] {
            let mut paste = if end == "\r" {
                String::new()
            } else {
                "\x1b[200~".to_owned()
            };
            paste += &token(2 << 20);
            paste += end;
            let mut person = Person::at(&format!("{way}key"));
            person.sees("key> ").types(paste);
            assert_eq!(person.code(), "1");
            assert_eq!(
                person.result().trim(),
                "failed: the value is too long; the most is 65536 bytes"
            );
            assert!(!person.screen.contains("sk-fake"));
        }
    }
    let mut person = Person::at("key");
    let longest = token(64 * 1024);
    person
        .sees("key> ")
        .types(&longest)
        .types("\r")
        .sees("[65536 characters]");
    assert_eq!(person.code(), "0");
    assert_eq!(person.result().trim(), digest(longest.as_bytes()));
}

#[test]
fn empty_nul_control_and_invalid_bytes_arrive_to_be_refused() {
    let cases: [(&[u8], &str); 4] = [
        (b"\r", "the value is empty"),
        (
            b"ab\0c\r",
            "the value has a control character (U+0000) at byte 2",
        ),
        (
            b"ab\tc\r",
            "the value has a control character (U+0009) at byte 2",
        ),
        (
            b"ab\xffc\r",
            "the value is not UTF-8 text: byte 2 starts no character",
        ),
    ];
    for (keys, said) in cases {
        let mut person = Person::at("secret");
        person.sees("secret> ").types(keys);
        assert_eq!(person.code(), "1");
        assert_eq!(person.result().trim(), format!("failed: {said}"));
    }
}

#[test]
fn visible_questions_show_what_is_typed() {
    let mut person = Person::at("line confirm choose");
    person
        .sees("line> ")
        .types("vissible\x7f\x7f\x7f\x7f\x7fible\n");
    person
        .sees("confirm>  [y/N] ")
        .types("what\n")
        .sees("answer y or n")
        .sees("[y/N] ");
    person
        .types("YES\n")
        .sees("2) keychain  the keychain")
        .sees("Choice [file]: ")
        .types("2\n");
    assert_eq!(person.code(), "0");
    assert_eq!(person.result(), "visible\ntrue\nkeychain\n");
    assert!(person.screen.contains("viss"), "{}", person.screen);
}

#[test]
fn what_is_left_of_a_paste_answers_no_question() {
    let mut person = Person::at("line confirm");
    person
        .sees("line> ")
        .types("one\ny\ny\ny\n")
        .sees("[y/N] ")
        .types("n\n");
    assert_eq!(person.code(), "0");
    assert_eq!(person.result(), "one\nfalse\n");
}

#[test]
fn what_is_left_of_a_paste_reaches_no_shell() {
    let script = "\"$0\" child --exact --nocapture; echo 'shell>'; read -r l; echo \"got=$l.\"";
    let mut person = Person::at_shell("line", script);
    person.sees("line> ").types("one\nrm -rf\n");
    person.sees("shell>").types("mine\n").sees("got=mine.");
}

#[test]
fn the_alternate_screen_is_wiped_and_left_on_every_way_out() {
    const ON: &str = "\x1b[?1049h";
    const OFF: &str = "\x1b[2J\x1b[H\x1b[?1049l";
    for (keys, signal, code) in [
        ("abc\r", None, "0"),
        // Nobody could draw that screen again, so it is not suspended.
        ("a\x1abc\r", None, "0"),
        ("abc\x03", None, "130"),
        ("abc", Some(Signal::TERM), "143"),
        ("abc", Some(Signal::INT), "130"),
    ] {
        let mut person = Person::at("alternate");
        person
            .sees(ON)
            .sees("RECOVERY-KEY")
            .sees("key> ")
            .types(keys);
        if let Some(signal) = signal {
            person.signals(signal);
        }
        person.sees(OFF);
        assert_eq!(person.code(), code, "{keys:?} {signal:?}");
        assert_eq!(person.screen.matches(ON).count(), 1);
    }
    let mut person = Person::at("alternate");
    person
        .sees("key> ")
        .types("a")
        .signals(Signal::TSTP)
        .types("bc\r")
        .sees(OFF);
    assert_eq!(person.code(), "0");
    assert_eq!(
        person.screen.matches("key> ").count(),
        1,
        "it was suspended"
    );
    let mut person = Person::at("panic");
    person.sees(ON).sees(OFF);
    assert_eq!(person.code(), "101");
}

/// An interactive shell with job control, at its prompt.
fn interactive(ask: &str) -> Person {
    let mut bash = Command::new("bash");
    bash.args(["--norc", "--noprofile", "--noediting", "-i"]);
    bash.env("PS1", "ready$ ").env("HISTFILE", "");
    bash.env("PROGRAM", std::env::current_exe().unwrap());
    let mut person = Person::before(ask, bash);
    person
        .sees("ready$ ")
        .types("stty sane; stty -g | sed 's/^/set=/;s/$/./'\n");
    person
}

#[test]
fn a_stopped_prompt_gives_the_terminal_back_and_goes_on_after_fg() {
    for by_key in [true, false] {
        for way in WAYS {
            let mut person = interactive(&format!("{way}key"));
            let before = person.reads(r"set=([0-9a-f:]+)\.");
            person
                .sees("ready$ ")
                .types("\"$PROGRAM\" child --exact --nocapture\n");
            person.sees("key> ").types("ab");
            if by_key {
                person.types("\x1a");
            } else {
                person.signals(Signal::TSTP);
            }
            person.sees("\x1b[?2004l").sees("Stopped").sees("ready$ ");
            person.types("stty -g | sed 's/^/set=/;s/$/./'\n");
            assert_eq!(person.reads(r"set=([0-9a-f:]+)\."), before);
            person
                .sees("ready$ ")
                .types("fg\n")
                .sees("\x1b[?2004h")
                .sees("key> ");
            person.types("c\r").sees("\x1b[?2004l").sees("ready$ ");
            // By signal the program may stop before it has read what was typed; that is given up.
            let kept: &[&[u8]] = if by_key { &[b"abc"] } else { &[b"abc", b"c"] };
            let result = person.result();
            assert!(
                kept.iter().any(|kept| result.trim() == digest(kept)),
                "{result}"
            );
            person.types("stty -g | sed 's/^/set=/;s/$/./'\n");
            assert_eq!(person.reads(r"set=([0-9a-f:]+)\."), before);
            person.sees("ready$ ").types("exit\n").ends();
        }
    }
}

#[test]
fn in_the_background_a_question_is_an_error_and_does_not_wait() {
    let mut person = interactive("key");
    person
        .sees("ready$ ")
        .types("\"$PROGRAM\" child --exact --nocapture & wait; echo over-$?\n");
    person.sees("over-").sees("ready$ ");
    assert_eq!(
        person.result().trim(),
        "failed: cannot ask: the program runs in the background of this terminal"
    );
    // Sent there while it is stopped.
    person.types("rm -f \"$CLAWKEEP_TEST_RESULT\"; \"$PROGRAM\" child --exact --nocapture\n");
    person
        .sees("key> ")
        .types("\x1a")
        .sees("Stopped")
        .sees("ready$ ");
    person
        .types("bg; wait; echo over-$?\n")
        .sees("over-")
        .sees("ready$ ");
    assert!(
        person.result().contains("background"),
        "{}",
        person.result()
    );
    person.types("exit\n").ends();
}

#[test]
fn ctrl_z_where_nobody_could_continue_us_does_not_hang() {
    let script = "exec \"$0\" child --exact --nocapture";
    for way in WAYS {
        // As the leader of the session, and below a shell without job control.
        let mut leader = Person::at_shell(&format!("{way}key"), script);
        leader
            .sees("key> ")
            .types("ab\x1ac\r")
            .sees("[3 characters]")
            .ends();
        assert_eq!(leader.result().trim(), digest(b"abc"));
        let mut person = Person::at(&format!("{way}key"));
        person
            .sees("key> ")
            .types("ab\x1a")
            .sees("key> ")
            .types("c\r");
        assert_eq!(person.code(), "0");
        assert_eq!(person.result().trim(), digest(b"abc"));
    }
}

/// Runs the program without a terminal and with `input` piped into it.
fn without_terminal(ask: &str, input: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result");
    let mut command = Command::new("setsid");
    command.arg("--wait").arg(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut running = program(command, ask, &path).spawn().unwrap();
    // The program may refuse before it has read all: then the pipe breaks.
    let _ = running.stdin.take().unwrap().write_all(input);
    running.wait().unwrap();
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn without_a_terminal_there_is_none() {
    assert_eq!(
        without_terminal("key", b"not an answer\n").trim(),
        "no terminal"
    );
}

#[test]
fn standard_input_is_read_only_when_it_is_no_terminal() {
    let piped = |input: &str| {
        let script = format!("printf '{input}' | \"$0\" child --exact --nocapture; echo code=$?.");
        let mut person = Person::at_shell("stdin", &script);
        person.sees("code=0.");
        person.result()
    };
    assert_eq!(piped("fake\\r\\n").trim(), digest(b"fake"));
    assert_eq!(piped("").trim(), digest(b""));
    let mut person = Person::at_shell("stdin", "\"$0\" child --exact --nocapture; echo code=$?.");
    person.sees("code=0.");
    assert_eq!(person.result().trim(), "a terminal");
    // A hidden question leaves standard input to whoever reads it next.
    let script = "printf 'data\\n' | \"$0\" child --exact --nocapture; echo code=$?.";
    let mut person = Person::at_shell("key stdin", script);
    person.sees("key> ").types("typed\r").sees("code=0.");
    let expected = [digest(b"typed"), digest(b"data")];
    assert_eq!(person.result().lines().collect::<Vec<_>>(), expected);
}
