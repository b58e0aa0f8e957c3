//! The access log as an operator has it: what `resolve` and `secret get` leave in it, what `log` shows
//! of it, and that it hinders nothing.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;

use clawkeep::access::{Caller, Log, Outcome, Reason, Writer};
use clawkeep::expiry::Millis;
use common::pty::Pty;
use common::vault::{PASSPHRASE, request};
use common::{Run, World, left_out, rounds};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

const VALUE: &str = "fake-value-0123456789";
const STRACE: &str = "/usr/bin/strace";

fn ready() -> World {
    let world = World::new();
    world.init();
    world.set("a/one", VALUE);
    world
}

fn events(world: &World, more: &[&str]) -> Vec<Value> {
    let run = world.run(&[&["log", "--json"], more].concat()).ok();
    assert_eq!(run.stderr, "");
    let document = run.json();
    assert_eq!(document["version"], 1);
    assert_eq!(document["problems"], json!([]));
    document["events"].as_array().unwrap().clone()
}

fn count(events: &[Value], result: &str) -> u64 {
    let events = events.iter().filter(|event| event["result"] == result);
    events.map(|event| event["count"].as_u64().unwrap()).sum()
}

fn releases(world: &World) -> PathBuf {
    world.vault().join("log/releases.jsonl")
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_was_asked_for_is_recorded_and_no_value() {
    let world = ready();
    let before = events(&world, &[]);
    assert_eq!(before, Vec::<Value>::new());
    let token = "sk-ant-oat01-fake-in-an-ids-place";
    let ids = [
        "a/one",
        "absent",
        "provider/fakeai",
        "not an id\u{1b}[2J",
        token,
    ];
    let _ = world.resolve(&ids);
    let events = events(&world, &[]);
    let said: Vec<_> = events
        .iter()
        .map(|event| (&event["result"], &event["ids"], &event["malformed"]))
        .collect();
    assert_eq!(
        said,
        [
            (&json!("released"), &json!(["a/one"]), &json!(0)),
            (
                &json!("absent"),
                &json!(["absent", "provider/fakeai"]),
                &json!(1)
            ),
            (&json!("refused"), &json!([]), &json!(1)),
        ]
    );
    assert_eq!(events[2]["reason"], "bad-id");
    for event in &events {
        assert_eq!(event["uid"], rustix::process::getuid().as_raw());
        assert_eq!(event["by"], "resolve");
        let program = event["process"]["program"].as_str().unwrap();
        assert_eq!(
            Path::new(program),
            Path::new(env!("CARGO_BIN_EXE_clawkeep"))
        );
        // Who wants the value is the process that started `resolve`: this test.
        assert_eq!(event["parent"]["pid"], std::process::id());
        let program = event["parent"]["program"].as_str().unwrap();
        assert_eq!(Path::new(program), std::env::current_exe().unwrap());
    }
    assert_eq!(world.search_home(VALUE), Vec::<PathBuf>::new());
    assert_eq!(world.search_home(token), Vec::<PathBuf>::new());
    assert_eq!(mode(&world.vault().join("log")), 0o700);
    assert_eq!(mode(&releases(&world)), 0o600);
}

#[test]
fn a_value_that_a_person_asked_for_is_recorded_too() {
    let world = ready();
    let _ = world.get("a/one");
    let events = events(&world, &["--released"]);
    assert_eq!(events[0]["ids"], json!(["a/one"]));
    assert_eq!(events[0]["by"], "command");
}

#[test]
fn a_vault_that_only_a_person_opens_is_recorded_as_locked_and_its_log_can_be_read() {
    let world = World::new();
    let file = world.passphrase_file("pass", PASSPHRASE);
    let args = ["init", "--slot", "passphrase", "--no-recovery"];
    let _ = world
        .run(&[&args[..], &["--new-passphrase-file", &file]].concat())
        .ok();
    for _ in 0..3 {
        let _ = world.resolve(&["a/one"]);
    }
    let events = events(&world, &["--refused"]);
    assert_eq!(events.len(), 1);
    assert_eq!(
        (&events[0]["result"], &events[0]["count"]),
        (&json!("locked"), &json!(3))
    );
}

#[test]
fn every_one_of_many_at_once_is_recorded_in_whole_lines() {
    let world = ready();
    world.set("absent/not", VALUE);
    let all: Vec<Child> = (0..64)
        .map(|n| {
            let id = if n % 2 == 0 { "a/one" } else { "absent/not" };
            world
                .resolve_cmd("")
                .into_std()
                .stdin(Stdio::from(requested(&[id, &format!("none/{n}")])))
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in all {
        assert!(child.wait().unwrap().success());
    }
    let events = events(&world, &[]);
    assert_eq!(count(&events, "released"), 64);
    assert_eq!(count(&events, "absent"), 64);
    let text = std::fs::read_to_string(releases(&world)).unwrap();
    assert_eq!(text.lines().count(), 64);
    for line in text.lines() {
        let _: Value = serde_json::from_str(line).unwrap();
    }
}

/// A request in a file without a name.
fn requested(ids: &[&str]) -> std::fs::File {
    use std::io::{Seek as _, Write as _};
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(request(ids).as_bytes()).unwrap();
    file.rewind().unwrap();
    file
}

/// Fills a file of the log up to its bound, short of one record.
fn fill(world: &World, outcome: Outcome, full: u64) -> u64 {
    let log = Log::at(&world.vault());
    let path = world.vault().join(match outcome {
        Outcome::Released => "log/releases.jsonl",
        _ => "log/refusals.jsonl",
    });
    let filler = format!("fill/{}", "x".repeat(200));
    let caller = Caller::default();
    let mut records = 0;
    // The last ones are short: what is missing then is less than any real record.
    for (id, least) in [(filler.as_str(), 1000), ("f", 120)] {
        while std::fs::metadata(&path).map_or(0, |meta| meta.len()) < full - least {
            let at = Millis::new(1_795_182_199_000 + records * 2000).unwrap();
            log.record(at, &caller, Writer::Keeper, &[(id, outcome)])
                .unwrap();
            records += 1;
        }
    }
    u64::try_from(records).unwrap()
}

#[test]
fn one_that_is_killed_while_it_folds_the_log_loses_and_doubles_nothing() {
    if left_out("crash") {
        return;
    }
    assert!(
        Path::new(STRACE).is_file(),
        "{STRACE} is missing: apt-get install strace"
    );
    let world = ready();
    let filled = fill(&world, Outcome::Released, 2 << 20);
    let full = std::fs::read(releases(&world)).unwrap();
    let mut kills = 0;
    let mut calls = vec!["rename", "renameat", "fsync", "write", "flock"];
    if rounds(0, 1) == 1 {
        calls.push("openat");
    }
    for call in calls {
        for at in 1.. {
            std::fs::write(releases(&world), &full).unwrap();
            let run = killed(&world, call, at);
            let point = format!("{call} {at}");
            let dead = run.code == 137;
            kills += u32::from(dead);
            let given = u64::from(run.stdout.contains(VALUE));
            let recorded = count(&events(&world, &[]), "released") - filled;
            assert!(
                recorded == given || recorded == 1,
                "{point}: {recorded} of {given}"
            );
            // The next one goes on, and tidies up.
            assert_eq!(world.resolve(&["a/one"])["values"]["a/one"], VALUE);
            let now = count(&events(&world, &[]), "released") - filled;
            assert_eq!(now, recorded + 1, "{point}");
            let names = std::fs::read_dir(world.vault().join("log")).unwrap();
            assert_eq!(names.count(), 1, "{point}");
            if !dead {
                assert_eq!(given, 1, "{point}: {run:#}");
                break;
            }
        }
    }
    assert!(kills >= 8, "only {kills} steps were seen");
}

fn killed(world: &World, call: &str, at: u32) -> Run {
    let inject = format!("inject=?{call}:signal=KILL:when={at}");
    let trace = format!("trace=?{call}");
    let args = [
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        &trace,
        "-e",
        &inject,
        env!("CARGO_BIN_EXE_clawkeep"),
        "resolve",
    ];
    let cmd = world.program(Path::new(STRACE), &args);
    cmd.stdin(request(&["a/one"])).run()
}

#[test]
fn a_full_disk_neither_fails_resolve_nor_tears_a_line() {
    let world = ready();
    for _ in 0..3 {
        let _ = world.resolve(&["a/one"]);
    }
    let before = std::fs::read(releases(&world)).unwrap();
    // The next write ends amid the line.
    let script = format!(
        "trap '' XFSZ; exec /usr/bin/prlimit --fsize={} {} resolve",
        before.len() + 40,
        env!("CARGO_BIN_EXE_clawkeep")
    );
    let run = world
        .program(Path::new("/bin/sh"), &["-c", &script])
        .stdin(request(&["a/one"]))
        .run()
        .ok();
    assert_eq!(run.json()["values"]["a/one"], VALUE);
    assert_eq!(run.stderr, "");
    assert!(std::fs::read(releases(&world)).unwrap() == before);
    let _ = world.resolve(&["a/one"]);
    assert_eq!(count(&events(&world, &[]), "released"), 4);
}

#[test]
fn a_file_in_the_folders_place_turns_the_log_off() {
    let world = ready();
    let log = world.vault().join("log");
    std::fs::write(&log, b"").unwrap();
    let run = world.resolve_cmd(request(&["a/one"])).run().ok();
    assert_eq!(run.json()["values"]["a/one"], VALUE);
    assert_eq!(run.stderr, "");
    assert_eq!(std::fs::read(&log).unwrap(), b"");
    let run = world.run(&["log"]).fails(1);
    assert!(run.stderr.contains("nothing is recorded"), "{run}");
}

#[test]
fn a_planted_file_is_said_and_hinders_nothing() {
    let world = ready();
    let _ = world.resolve(&["absent"]);
    let target = world.write("target", "{\"at\":1,\"result\":\"released\"}\n");
    std::os::unix::fs::symlink(&target, releases(&world)).unwrap();
    let before = std::fs::read(&target).unwrap();
    let _ = world.resolve_cmd(request(&["a/one"])).run().ok();
    assert_eq!(std::fs::read(&target).unwrap(), before);
    let run = world.run(&["log"]).ok();
    assert!(run.stderr.contains("symbolic link"), "{run}");
    assert!(run.stdout.contains("absent"), "{run}");
}

struct Follower {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

/// `log --follow`, which has shown all that was there.
fn follow(world: &World, more: &[&str]) -> Follower {
    let args = [&["log", "--follow"], more].concat();
    let mut child = world
        .cmd(&args)
        .into_std()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    Follower { child, lines }
}

#[test]
fn a_follower_sees_what_comes_and_ends_with_its_reader() {
    let world = ready();
    let _ = world.resolve(&["absent"]);
    let mut follower = follow(&world, &["--json"]);
    let mut next =
        || -> Value { serde_json::from_str(&follower.lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["result"], "absent");
    let _ = world.resolve(&["a/one"]);
    assert_eq!(next()["result"], "released");
    let _ = world.resolve(&["absent"]);
    let again = next();
    assert_eq!(
        (&again["result"], &again["count"]),
        (&json!("absent"), &json!(1))
    );
    // Nothing happens any more: it ends all the same.
    drop(follower.lines);
    assert_eq!(follower.child.wait().unwrap().code(), Some(0));
}

#[test]
fn ctrl_c_ends_a_follower() {
    let world = ready();
    let _ = world.resolve(&["a/one"]);
    let mut follower = follow(&world, &["--released"]);
    assert!(follower.lines.next().unwrap().unwrap().contains("released"));
    let pid = rustix::process::Pid::from_child(&follower.child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    // A shell says 130.
    assert_eq!(follower.child.wait().unwrap().signal(), Some(2));
}

#[test]
fn an_event_is_one_line_and_on_a_terminal_as_wide_as_that() {
    let world = ready();
    let log = Log::at(&world.vault());
    let ids: Vec<String> = (0..20).map(|n| format!("fake:{n}")).collect();
    let outcome = Outcome::Refused(Reason::OutsideUnit);
    let results: Vec<_> = ids.iter().map(|id| (id.as_str(), outcome)).collect();
    let at = Millis::new(1_795_182_199_000).unwrap();
    log.record(at, &Caller::default(), Writer::Keeper, &results)
        .unwrap();
    drop(log);
    let run = world.run(&["log"]).ok();
    assert_eq!(run.stdout.lines().count(), 1, "{run}");
    for columns in [80, 40] {
        let script = format!("/bin/stty cols {columns}; exec \"$0\" log");
        let args = ["-c", &script, env!("CARGO_BIN_EXE_clawkeep")];
        let run = Pty::start(world.program(Path::new("/bin/sh"), &args)).finish();
        let text = run.run.ok().stdout;
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert!(
            lines.iter().any(|line| line.contains("outside the")),
            "{text}"
        );
        assert!(lines.len() > 200 / columns, "{text}");
        for line in lines {
            assert!(line.chars().count() <= columns, "{line}");
        }
    }
}
