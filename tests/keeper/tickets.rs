//! Arming: by the passphrase, by root; and by nobody else.

use crate::lab::{Lab, needs_root};
use crate::once::filled;
use serde_json::{Value, json};
use std::path::PathBuf;

fn once(lab: Lab) -> Lab {
    let lab = filled(lab);
    lab.unlock(&["--release", "once"]);
    let _ = lab.resolve(&["s/one", "gateway/token"]);
    assert_eq!(both(&lab), ["LOCKED"; 2]);
    lab
}

fn both(lab: &Lab) -> Vec<String> {
    lab.asked(&["s/one", "gateway/token"])
}

fn ticket(lab: &Lab) -> PathBuf {
    lab.dir().join("keeper-arm.json")
}

fn challenge(lab: &Lab) -> String {
    let text = std::fs::read(lab.dir().join("keeper-state.json")).unwrap();
    let state: Value = serde_json::from_slice(&text).unwrap();
    state["challenge"].as_str().unwrap().to_owned()
}

const GIVEN: [&str; 2] = ["fake-value-one", "fake-gateway-token"];

#[test]
fn the_passphrase_arms_all_or_one_for_one_request() {
    let lab = once(Lab::new());
    let run = lab.opened(&["keeper", "arm", "--yes"]).ok();
    assert!(run.stderr.contains("each linked value once more"), "{run}");
    assert_eq!(both(&lab), GIVEN);
    assert_eq!(both(&lab), ["LOCKED"; 2]);
    let _ = lab.opened(&["keeper", "arm", "s/one", "--yes"]).ok();
    assert_eq!(both(&lab), [GIVEN[0], "LOCKED"]);
    assert_eq!(both(&lab), ["LOCKED"; 2]);
    // What no ref asks for is not armed.
    let _ = lab.opened(&["keeper", "arm", "s/unlinked", "--yes"]).ok();
    assert_eq!(lab.one("s/unlinked"), "LOCKED");
    // Without a person it needs a yes, and without the passphrase it is nothing.
    let _ = lab.opened(&["keeper", "arm"]).fails(64);
    let args = [
        "--non-interactive",
        "keeper",
        "arm",
        "--yes",
        "--trust-this-program",
    ];
    let _ = lab.run(&args).fails(75);
    assert_eq!(both(&lab), ["LOCKED"; 2]);
}

#[test]
fn there_is_nothing_to_arm_without_such_a_keeper() {
    let lab = filled(Lab::new());
    let _ = lab.opened(&["keeper", "arm", "--yes"]).fails(1);
    lab.unlock(&[]);
    let run = lab.opened(&["keeper", "arm", "--yes"]).fails(1);
    assert!(run.stderr.contains("gives each value once"), "{run}");
}

/// A process of the keeper's own user reads the challenge, and cannot do more with it.
#[test]
fn tickets_that_are_forged_or_replayed_arm_nothing() {
    let lab = once(Lab::new());
    let forged = |challenge: &str, mac: &str| {
        let line = json!({
            "format": "clawkeep-arm", "version": 1, "challenge": challenge, "ids": null,
            "made_at": 1_790_000_000_000_u64,
        });
        let mut text = format!("{line}\n");
        if !mac.is_empty() {
            text = format!("{text}{{\"mac\":\"{mac}\"}}\n");
        }
        std::fs::write(ticket(&lab), text).unwrap();
    };
    let other_key = crate::lab::age_key();
    let by_other = crate::common::craft::mac(b"x", &other_key);
    for mac in ["", &"0".repeat(64), &by_other, "ffff"] {
        forged(&challenge(&lab), mac);
        assert_eq!(both(&lab), ["LOCKED"; 2], "{mac}");
        assert!(!ticket(&lab).exists(), "what is not believed goes: {mac}");
    }
    // The vault's own MAC key under another name is another key: what it signs is no ticket.
    forged(
        &challenge(&lab),
        &crate::common::craft::mac(b"x", &lab.identity),
    );
    assert_eq!(both(&lab), ["LOCKED"; 2]);

    let _ = lab.opened(&["keeper", "arm", "--yes"]).ok();
    let right = std::fs::read(ticket(&lab)).unwrap();
    // Changed in one place.
    let text = String::from_utf8(right.clone()).unwrap();
    let widened = text.replace("\"made_at\":1", "\"made_at\":2");
    assert_ne!(widened, text);
    std::fs::write(ticket(&lab), widened).unwrap();
    assert_eq!(both(&lab), ["LOCKED"; 2]);
    // Put back as it was: its challenge is the keeper's still.
    std::fs::write(ticket(&lab), &right).unwrap();
    assert_eq!(both(&lab), GIVEN);
    // And again, now that it was used.
    for _ in 0..2 {
        std::fs::write(ticket(&lab), &right).unwrap();
        assert_eq!(both(&lab), ["LOCKED"; 2]);
    }
    // Also to the keeper's successor.
    let _ = lab.run(&["lock"]).ok();
    lab.unlock(&["--release", "once"]);
    assert_eq!(both(&lab), GIVEN);
    std::fs::write(ticket(&lab), &right).unwrap();
    assert_eq!(both(&lab), ["LOCKED"; 2]);
}

#[test]
fn nothing_in_the_tickets_place_stops_the_keeper() {
    let lab = once(Lab::new());
    let secret = lab.world.write("precious.txt", "precious");
    std::os::unix::fs::symlink(&secret, ticket(&lab)).unwrap();
    assert_eq!(both(&lab), ["LOCKED"; 2]);
    assert!(secret.exists());
    std::fs::create_dir(ticket(&lab)).unwrap();
    assert_eq!(both(&lab), ["LOCKED"; 2]);
    std::fs::remove_dir(ticket(&lab)).unwrap();
    let made = std::process::Command::new("/usr/bin/mkfifo")
        .arg(ticket(&lab))
        .status();
    assert!(made.unwrap().success());
    assert_eq!(both(&lab), ["LOCKED"; 2]);
    let _ = lab.opened(&["keeper", "arm", "--yes"]).ok();
    assert_eq!(both(&lab), GIVEN);
}

/// Root needs no passphrase for the keeper of another user; a second name of its file proves nothing.
#[test]
fn root_arms_the_keeper_of_another_user() {
    if !needs_root() {
        return;
    }
    let lab = filled(Lab::new()).for_ordinary_user();
    lab.unlock(&["--release", "once"]);
    assert_eq!(both(&lab), GIVEN);
    assert_eq!(both(&lab), ["LOCKED"; 2]);
    let dir = lab.dir();
    let arm = ["keeper", "arm", "--yes", "--vault", dir.to_str().unwrap()];
    let _ = lab.world.run(&arm).ok();
    assert_eq!(both(&lab), GIVEN);
    assert_eq!(both(&lab), ["LOCKED"; 2]);
    // A file of root's that a user gave a second name.
    let _ = lab.world.run(&arm).ok();
    std::fs::hard_link(ticket(&lab), lab.world.root().join("second")).unwrap();
    assert_eq!(both(&lab), ["LOCKED"; 2]);
    // Root sees how it is, and ends it.
    let vault = ["--vault", dir.to_str().unwrap()];
    let status = lab
        .world
        .run(&[&["keeper", "status", "--json"], &vault[..]].concat());
    assert_eq!(status.ok().json()["release"], "once");
    let _ = lab.world.run(&[&["lock"], &vault[..]].concat()).ok();
    assert_eq!(lab.keeper(), None);
}
