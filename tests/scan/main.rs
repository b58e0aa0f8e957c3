//! `clawkeep scan`: what it finds, what it says, and what it cannot see.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

#[path = "../common/mod.rs"]
mod common;
mod said;
mod sqlite;
mod trees;

use common::{Run, World};
use serde_json::Value;
use std::path::Path;

/// A world with a vault that holds one value under `s/one`.
fn with_value(value: &str) -> World {
    let world = World::new();
    world.init();
    world.set("s/one", value);
    world
}

/// Every finding's path below the home, or as it is.
#[track_caller]
fn found(world: &World, run: &Run) -> Vec<String> {
    let document = run.json();
    let findings = document["findings"].as_array().unwrap().iter();
    let path = |finding: &Value| {
        let path = finding["place"]["path"].as_str().unwrap_or("no file");
        let below = Path::new(path).strip_prefix(world.home());
        below.map_or(path.to_owned(), |below| below.display().to_string())
    };
    findings.map(path).collect()
}

/// What was not seen for one reason, below the world.
fn unseen(world: &World, run: &Run, kind: &str) -> Vec<String> {
    let document = run.json();
    let of_kind = document["unseen"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|unseen| unseen["kind"] == kind);
    let places = of_kind.flat_map(|unseen| unseen["places"].as_array().unwrap());
    // A machine's own temporary folder is searched as well.
    let below = places.filter_map(|place| {
        let below = Path::new(place.as_str().unwrap())
            .strip_prefix(world.root())
            .ok()?;
        Some(below.display().to_string())
    });
    below.collect()
}

#[test]
fn the_exit_code_says_whether_anything_was_found() {
    let value = "FAKE-scan-exit-0123456789";
    let world = with_value(value);
    let _ = world.run(&["scan"]).ok();
    let file = world.write(".openclaw/openclaw.json", format!("{{}} // {value}"));
    let run = world.run(&["scan"]).fails(1);
    assert!(run.stdout.contains("openclaw.json:1") && !run.stdout.contains(value));
    std::fs::remove_file(file).unwrap();
    let _ = world.run(&["scan"]).ok();
    let run = world.run(&["scan", "nowhere"]).fails(1);
    assert!(
        run.stderr.contains("cannot search [HOME]/nowhere")
            || run.stderr.contains("nowhere: it does not exist")
    );
    std::fs::remove_file(world.identity_file()).unwrap();
    let _ = world.run(&["scan"]).fails(75);
    let _ = World::new().run(&["scan"]).fails(1);
}

#[test]
fn every_usual_place_is_searched() {
    let value = "FAKE-scan-places-0123456789";
    let world = with_value(value);
    let places = [
        ".bash_history",
        ".config/environment.d/10-keys.conf",
        ".config/systemd/user/openclaw-gateway.service",
        ".env",
        ".local/share/clawkeep/log/notes",
        ".local/share/fish/fish_history",
        ".openclaw/.env",
        ".openclaw/agents/main/agent/auth-profiles.json",
        ".openclaw/logs/gateway.log",
        ".openclaw/openclaw.json.bak.2",
        ".profile",
        ".zsh_history",
        "agent-elsewhere/auth-profiles.json",
        "elsewhere.log",
        "named/deep/er/file",
    ];
    for place in places {
        world.write(place, format!("x {value} y\n"));
    }
    world.write(
        ".openclaw/openclaw.json",
        format!(
            "{{ agents: {{ entries: {{ main: {{ agentDir: '~/agent-elsewhere' }} }} }}, logging: {{ file: '{}' }} }}",
            world.home().join("elsewhere.log").display()
        ),
    );
    world.write("not-named/file", value);
    let mut seen = found(&world, &world.run(&["scan", "--json", "named"]).fails(1));
    seen.sort();
    assert_eq!(seen, places);
    let tmp = world.root().join("tmp/openclaw");
    std::fs::create_dir(&tmp).unwrap();
    std::fs::write(tmp.join("openclaw-2026-11-20.log"), value).unwrap();
    let seen = found(&world, &world.run(&["scan", "--json"]).fails(1));
    assert!(
        seen.iter()
            .any(|path| path.ends_with("openclaw-2026-11-20.log")),
        "{seen:?}"
    );
}

#[test]
fn every_way_into_the_vault_gives_the_values() {
    let value = "FAKE-scan-custody-0123456789";
    let world = with_value(value);
    world.write(".openclaw/x", value);
    let _ = world.run(&["keeper", "start"]).ok();
    let run = world.run(&["scan", "--json"]).fails(1);
    assert_eq!(found(&world, &run), [".openclaw/x"]);
    let _ = world.run(&["lock"]);
    assert!(!run.stdout.contains(value) && !run.stderr.contains(value));
}

#[test]
fn an_identity_is_found_unless_it_lies_where_it_was_put() {
    let world = with_value("FAKE-scan-identity-0123456789");
    let key = std::fs::read_to_string(world.identity_file()).unwrap();
    let dir = world.identity_file().parent().unwrap().to_owned();
    let dir = dir.to_str().unwrap();
    let _ = world.run(&["scan", dir]).ok();
    world.write(".openclaw/copy.txt", &key);
    let document = world.run(&["scan", "--json", dir]).fails(1).json();
    let findings = document["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0]["kind"], "identity");
    let _ = std::fs::remove_file(world.home().join(".openclaw/copy.txt"));
    // The file holds the key of a slot; the vault's own identity is another.
    let identity = age::decrypt(
        &key.lines()
            .find(|line| line.starts_with("AGE-"))
            .unwrap()
            .parse::<age::x25519::Identity>()
            .unwrap(),
        &std::fs::read(world.vault().join("slots/identity-file.age")).unwrap(),
    );
    world.write(".openclaw/own.txt", identity.unwrap());
    let document = world.run(&["scan", "--json"]).fails(1).json();
    assert_eq!(document["findings"][0]["ofThisVault"], true);
}

/// A process of this user with one more variable, and with one more argument.
#[cfg(target_os = "linux")]
#[test]
fn processes_are_searched_only_when_that_is_asked() {
    use std::process::{Command, Stdio};
    let value = "FAKE-scan-process-0123456789";
    let world = with_value(value);
    // `read` keeps the shell where it is; the pipe's end ends it.
    let mut child = Command::new("/bin/sh")
        .args(["-c", "echo; read line", value])
        .env_clear()
        .env("FAKE_KEY", format!("Bearer {value}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It has said something: it is itself by now and no copy of this process.
    let mut said = [0];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
    let _ = world.run(&["scan"]).ok();
    // What this call inherits is in the process that starts it, not in itself.
    let run = world
        .cmd(&["scan", "--processes", "--json"])
        .env("OWN", value)
        .run()
        .fails(1);
    drop(child.stdin.take());
    let _ = child.wait();
    let document = run.json();
    let mine = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["ids"][0] == "s/one");
    let mine: Vec<_> = mine.map(|finding| &finding["place"]).collect();
    assert_eq!(mine.len(), 2, "{mine:?}");
    for place in &mine {
        assert_eq!(place["pid"], child.id());
    }
    assert_eq!(mine[0]["variable"], Value::Null);
    assert_eq!(mine[0]["inArguments"], true);
    assert_eq!(mine[1]["variable"], "FAKE_KEY");
    assert!(document["searched"]["processes"].as_u64() > Some(0));
    assert!(!run.stdout.contains(value));
}
