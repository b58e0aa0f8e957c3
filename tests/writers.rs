//! Writers do not lose each other's work, and a writer that is killed loses nothing that was
//! acknowledged.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it kills its own children"
)]

mod common;

use common::{World, rounds};
use serde_json::Value;
use std::io::Write as _;
use std::process::{Child, Stdio};

fn ready() -> World {
    let world = World::new();
    world.init();
    world
}

/// Starts a command with its whole input written, and does not wait.
fn start(world: &World, args: &[&str], input: &str) -> Child {
    let mut child = world
        .cmd(args)
        .into_std()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Killed already, it reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child
}

#[track_caller]
fn assert_ended_well(child: Child) {
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{:?} {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

fn listed(world: &World) -> Vec<String> {
    let listed = world.run(&["secret", "list", "--json"]).ok().json();
    let secrets = listed["secrets"].as_array().unwrap().iter();
    secrets
        .map(|secret| secret["id"].as_str().unwrap().to_owned())
        .collect()
}

fn leftovers(world: &World) -> Vec<std::path::PathBuf> {
    let mut dirs = vec![world.vault()];
    let mut found = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap().flatten() {
            if entry.path().is_dir() {
                dirs.push(entry.path());
            } else if entry.file_name().to_string_lossy().starts_with(".clawkeep") {
                found.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn sixty_four_processes_store_at_once_and_all_values_are_there() {
    let world = ready();
    let children: Vec<_> = (0..64)
        .map(|n| {
            let id = format!("writer/{n:02}");
            start(
                &world,
                &["secret", "set", &id],
                &format!("fake-value-of-{n:02}"),
            )
        })
        .collect();
    children.into_iter().for_each(assert_ended_well);
    assert_eq!(listed(&world).len(), 64);
    for n in 0..64 {
        let id = format!("writer/{n:02}");
        let answer = world.resolve(&[&id]);
        assert_eq!(answer["values"][&id], format!("fake-value-of-{n:02}"));
    }
    assert_eq!(leftovers(&world), Vec::<std::path::PathBuf>::new());
}

#[test]
fn profiles_that_are_pasted_at_once_are_all_noted() {
    let world = ready();
    let profile = |n: usize| format!("fakeai:{n:02}");
    let children: Vec<_> = (0..16)
        .map(|n| {
            let args = [
                "models",
                "auth",
                "paste-api-key",
                "--provider",
                "fakeai",
                "--profile-id",
                &profile(n),
            ];
            start(&world, &args, &format!("fake-key-of-{n:02}"))
        })
        .collect();
    children.into_iter().for_each(assert_ended_well);
    let file = world.vault().join("agents/main/auth-profiles.json");
    let file: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let ids: Vec<String> = (0..16).map(profile).collect();
    let mut noted: Vec<_> = file["profiles"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    noted.sort();
    assert_eq!(noted, ids);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let answer = world.resolve(&ids);
    assert_eq!(answer["values"].as_object().unwrap().len(), 16, "{answer}");
}

#[test]
fn readers_beside_writers_always_get_a_whole_answer() {
    let world = ready();
    world.set("id", "fake-value-0");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 1..=rounds(15, 200) {
                world.set("id", &format!("fake-value-{n}"));
                world.set(&format!("other/{n}"), &"x".repeat(n * 300));
            }
        });
        let mut last = 0;
        while !writer.is_finished() {
            let answer = world.resolve(&["id"]);
            let value = answer["values"]["id"].as_str();
            let value = value.unwrap_or_else(|| panic!("{answer}"));
            let now: usize = value.strip_prefix("fake-value-").unwrap().parse().unwrap();
            assert!(now >= last, "{now} after {last}");
            last = now;
        }
    });
}

/// The new identity is in place between two reads of a reader.
#[test]
fn readers_beside_a_rekey_always_get_the_value() {
    let world = ready();
    world.set("id", "fake-value");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..rounds(10, 100) {
                let _ = world.run(&["rekey", "--yes"]).ok();
            }
        });
        while !writer.is_finished() {
            let answer = world.resolve(&["id"]);
            assert_eq!(answer["values"]["id"], "fake-value", "{answer}");
        }
    });
    assert_eq!(world.get("id"), "fake-value");
}

/// A number that differs from round to round and from run to run.
fn chance() -> u64 {
    let mut bytes = [0; 8];
    clawkeep::host::random(&mut bytes).unwrap();
    u64::from_le_bytes(bytes)
}

/// Spins, without sleeping: a scheduler's tick is longer than most of what a writer does.
fn spin(micros: u64) {
    let until = std::time::Instant::now() + std::time::Duration::from_micros(micros);
    while std::time::Instant::now() < until {
        std::hint::spin_loop();
    }
}

#[test]
fn a_killed_writer_loses_nothing_that_was_acknowledged() {
    let world = ready();
    let mut acknowledged = Vec::new();
    let mut killed = 0;
    for round in 0..rounds(30, 2000) {
        let pair: Vec<_> = (0..2)
            .map(|n| {
                let id = format!("round/{round}/{n}");
                let child = start(&world, &["secret", "set", &id], &format!("fake-{id}"));
                (id, child)
            })
            .collect();
        spin(chance() % 60_000);
        for (id, mut child) in pair {
            let _ = child.kill();
            if child.wait().unwrap().success() {
                acknowledged.push(id);
            } else {
                killed += 1;
            }
        }
        // It opens after each: the newest acknowledged value is there.
        if let Some(id) = acknowledged.last() {
            assert_eq!(world.get(id), format!("fake-{id}"), "round {round}");
        }
    }
    world.set("last", "fake-last");
    let ids = listed(&world);
    for id in &acknowledged {
        assert!(ids.contains(id), "{id} was lost");
    }
    assert!(killed > 0, "nobody was killed");
    assert_eq!(leftovers(&world), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_killed_rekey_leaves_a_vault_that_opens() {
    let world = ready();
    world.set("id", "fake-value");
    for round in 0..rounds(20, 1000) {
        let mut child = start(&world, &["rekey", "--yes"], "");
        spin(chance() % 80_000);
        let _ = child.kill();
        let _ = child.wait().unwrap();
        assert_eq!(world.get("id"), "fake-value", "round {round}");
        let answer = world.resolve(&["id"]);
        assert_eq!(
            answer["values"]["id"], "fake-value",
            "round {round}: {answer}"
        );
    }
    let _ = world.run(&["rekey", "--yes"]).ok();
    let names: Vec<_> = std::fs::read_dir(world.vault().join("slots"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["identity-file.age"]);
    let identity = std::fs::read_to_string(world.identity_file()).unwrap();
    assert_eq!(
        identity.matches("# clawkeep vault: ").count(),
        1,
        "{identity}"
    );
}

#[test]
fn a_killed_init_can_be_run_again() {
    for _ in 0..rounds(10, 300) {
        let world = World::new();
        let args = [
            "init",
            "--slot",
            "identity-file",
            "--recovery-file",
            "sheet.txt",
        ];
        let mut child = start(&world, &args, "");
        spin(chance() % 40_000);
        let _ = child.kill();
        let made = child.wait().unwrap().success();
        if !world.vault().join("vault.age").exists() {
            assert!(!made);
            let _ = std::fs::remove_file(world.home().join("sheet.txt"));
            let _ = world.run(&args).ok();
        }
        world.set("id", "fake-value");
        assert_eq!(world.get("id"), "fake-value");
    }
}

#[test]
fn of_two_that_make_a_vault_at_once_one_wins_and_its_slots_open_it() {
    for _ in 0..rounds(5, 100) {
        let world = World::new();
        let args = ["init", "--slot", "identity-file", "--no-recovery"];
        let children: Vec<_> = (0..4).map(|_| start(&world, &args, "")).collect();
        let won = children
            .into_iter()
            .map(|child| child.wait_with_output().unwrap())
            .filter(|output| output.status.success())
            .count();
        assert_eq!(won, 1);
        world.set("id", "fake-value");
        assert_eq!(world.get("id"), "fake-value");
    }
}
