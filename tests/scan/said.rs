//! Everything that `scan` says, as a whole.

use super::with_value;
use crate::common::World;
use base64::Engine as _;
use serde_json::Value;
use std::fmt::Write as _;

/// As long as GitHub's keys are, and stored nowhere.
const UNKNOWN: &str = "ghp_FAKE0123456789abcdefghijklmnopqrstuv";

/// A state folder with something of everything.
fn messy(value: &str) -> World {
    let world = with_value(value);
    world.set("s/other-name", value);
    world.set("s/short", "FAKE-01");
    let base64 = base64::engine::general_purpose::STANDARD.encode(format!("user:{value}"));
    world.write(".openclaw/.env", format!("# keys\nA={value}\nB={value}\n"));
    world.write(
        ".openclaw/auth.log",
        format!("Authorization: Basic {base64}\n"),
    );
    world.write(
        ".openclaw/folded.txt",
        format!("{}\n{}\n", &base64[..20], &base64[20..]),
    );
    world.write(
        ".openclaw/request.log",
        format!(
            "\n?key={}&x\n",
            value.replace('/', "%2f").replace('+', "%2B")
        ),
    );
    world.write(
        ".openclaw/events.jsonl",
        format!("{{\"k\":\"{}\"}}\n", value.replace('/', "\\/")),
    );
    world.write(".openclaw/binary", [b"\0\x01", value.as_bytes()].concat());
    let (first, last) = (&value[..8], &value[value.len() - 8..]);
    world.write(
        ".openclaw/status.txt",
        format!("key {first}...{last} is used\n"),
    );
    world.write(
        ".openclaw/unknown.json",
        format!("{{\"token\":\"{UNKNOWN}\"}}"),
    );
    world.write(".openclaw/bad\u{1b}[2J\nname\u{202e}", value);
    world.write(".openclaw/.notes.swp", "");
    world.write(".openclaw/old.log.gz", b"\x1f\x8b\x08");
    std::os::unix::fs::symlink("/etc/passwd", world.home().join(".openclaw/link")).unwrap();
    let fifo = world.home().join(".openclaw/fifo");
    let made = rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    );
    made.unwrap();
    std::os::unix::fs::symlink(".profile.real", world.home().join(".profile")).unwrap();
    world.write(".profile.real", "");
    world
}

/// Without what depends on the machine: its file systems and the logs of other gateways.
fn holds(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_snapshot_path("snapshots");
    for (pattern, name) in [
        (r"Not seen: old copies that .*\n", ""),
        (
            r"Searched \d+ files, [\d.]+ \w+,",
            "Searched [N] files, [SIZE],",
        ),
    ] {
        settings.add_filter(pattern, name);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn all_that_is_said() {
    let value = "FAKE/scan+said/0123456789abcdef";
    let world = messy(value);
    let mut text = String::new();
    for args in [
        &["scan"][..],
        &["scan", "--help"],
        &["scan", "nowhere"],
        &["scan", "--jsn"],
    ] {
        let run = world.run(args);
        assert!(!run.stdout.contains(value) && !run.stderr.contains(value));
        assert!(!run.stdout.contains(UNKNOWN) && !run.stderr.contains(UNKNOWN));
        let _ = writeln!(text, "$ clawkeep {}\n{run}", args.join(" "));
    }
    let clean = with_value(value);
    let run = clean.run(&["scan"]);
    let _ = writeln!(text, "$ clawkeep scan   # where nothing is left\n{run}");
    holds("scan", &text);
}

#[test]
fn all_that_is_said_to_programs() {
    let world = messy("FAKE/scan+json/0123456789abcdef");
    let run = world.run(&["scan", "--json"]).fails(1);
    assert_eq!(run.stderr, "");
    let mut document: Value = run.json();
    // What depends on the machine.
    let root = world.root().to_str().unwrap().to_owned();
    let list = |document: &mut Value, key: &str, keep: &dyn Fn(&Value) -> bool| {
        document[key]
            .as_array_mut()
            .unwrap()
            .retain(|item| keep(item));
    };
    list(&mut document, "unseen", &|unseen| {
        unseen["kind"] != "snapshots"
    });
    list(&mut document, "roots", &|path| {
        path.as_str().unwrap().starts_with(&root)
    });
    for count in ["files", "bytes"] {
        assert!(document["searched"][count].as_u64() > Some(0));
        document["searched"][count] = Value::from("[N]");
    }
    holds("scan-json", &world.tidy(&format!("{document:#}")));
    // A file of nobody's: an error is a document too.
    let run = world.run(&["scan", "--json", "nowhere"]).fails(1);
    assert_eq!(run.json()["error"]["kind"], "missing");
}

#[test]
fn a_long_scan_shows_on_a_terminal_how_far_it_is() {
    let world = with_value("FAKE-scan-bar-0123456789");
    let large = world.write(".openclaw/large", "");
    // A hole costs no space and little time.
    let file = std::fs::File::options().write(true).open(large).unwrap();
    file.set_len(300 * 1024 * 1024).unwrap();
    let run = world.pty(&["scan"]).finish().run.ok();
    assert!(
        run.stdout
            .contains("[                              ]   0 %"),
        "{run}"
    );
    assert!(
        run.stdout.contains("\x1b[KSearched"),
        "the bar is taken away: {run}"
    );
    file.set_len(1024).unwrap();
    let run = world.pty(&["scan"]).finish().run.ok();
    assert!(!run.stdout.contains('%'), "{run}");
}
