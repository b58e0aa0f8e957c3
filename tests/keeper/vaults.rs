//! What happens to the vault under a keeper: nobody is given what is stale or another's.

use crate::common::vault::{copy_dir, put_back};
use crate::lab::{Lab, chmod};
use serde_json::json;
use std::path::PathBuf;

fn file(lab: &Lab) -> PathBuf {
    lab.dir().join("vault.age")
}

/// A vault file of this generation and another content, as a copy of the vault elsewhere would have it.
fn fork(lab: &mut Lab) -> (Vec<u8>, Vec<u8>) {
    let before = std::fs::read(file(lab)).unwrap();
    lab.put("s/fork", "fake-fork-a");
    let left = std::fs::read(file(lab)).unwrap();
    let cache = lab.dir().join("vault.json");
    let noted = std::fs::read(&cache).unwrap();
    // The other branch, from the same state.
    let elsewhere = lab.world.root().join("elsewhere");
    copy_dir(&lab.dir(), &elsewhere);
    clawkeep::file::replace(&elsewhere.join("vault.age"), &before, 0o600).unwrap();
    std::fs::remove_file(elsewhere.join("vault.json")).unwrap();
    let home = lab.world.root().join("elsewhere.txt");
    std::fs::copy(lab.world.home().join("passphrase.txt"), &home).unwrap();
    let args = [
        "--vault",
        elsewhere.to_str().unwrap(),
        "secret",
        "set",
        "s/fork",
    ];
    let _ = lab.opened_cmd(&args).stdin("fake-fork-b").run().ok();
    let right = std::fs::read(elsewhere.join("vault.age")).unwrap();
    std::fs::write(cache, noted).unwrap();
    (left, right)
}

fn place(lab: &Lab, bytes: &[u8]) {
    clawkeep::file::replace(&file(lab), bytes, 0o600).unwrap();
}

#[test]
fn an_older_copy_gives_nothing_until_the_right_one_is_back() {
    let mut lab = Lab::new();
    let older = std::fs::read(file(&lab)).unwrap();
    let older_cache = std::fs::read(lab.dir().join("vault.json")).unwrap();
    lab.put("s/one", "fake-value-two");
    let newer = std::fs::read(file(&lab)).unwrap();
    lab.unlock(&[]);
    assert_eq!(lab.one("s/one"), "fake-value-two");
    place(&lab, &older);
    // With its own note of what was seen last: the keeper remembers by itself.
    std::fs::write(lab.dir().join("vault.json"), older_cache).unwrap();
    assert_ne!(lab.one("s/one"), "fake-value-one");
    assert_ne!(lab.one("s/one"), "fake-value-two");
    let run = lab.run(&["secret", "get", "s/one"]).fails(1);
    assert!(run.stderr.contains("older copy"), "{run}");
    // And nobody writes on top of it through the keeper, which would make it the newest.
    for _ in 0..3 {
        let run = lab
            .cmd(&["secret", "set", "s/new"])
            .stdin("fake-new")
            .run()
            .fails(1);
        assert!(run.stderr.contains("older copy"), "{run}");
        assert_eq!(std::fs::read(file(&lab)).unwrap(), older);
    }
    // Nor by a question that only writes.
    let entry = json!({"kind": "secret", "value": "fake-new", "created": 1, "updated": 1});
    for question in [
        json!({"v": 1, "verb": "link", "id": "s/one"}),
        json!({"v": 1, "verb": "remove", "id": "s/one"}),
        json!({"v": 1, "verb": "put", "id": "s/new", "entry": entry}),
    ] {
        for _ in 0..2 {
            let answer = lab.connect().ask(&question);
            let text = answer["text"].as_str().unwrap_or_default();
            assert!(text.contains("older copy"), "{answer}");
            assert_eq!(std::fs::read(file(&lab)).unwrap(), older);
        }
    }
    place(&lab, &newer);
    assert_eq!(lab.one("s/one"), "fake-value-two");
}

#[test]
fn a_fork_gives_nothing_until_the_right_one_is_back() {
    let mut lab = Lab::new();
    let (left, right) = fork(&mut lab);
    place(&lab, &left);
    lab.unlock(&[]);
    assert_eq!(lab.one("s/fork"), "fake-fork-a");
    place(&lab, &right);
    assert_ne!(lab.one("s/fork"), "fake-fork-b");
    let run = lab.run(&["secret", "get", "s/fork"]).fails(1);
    assert!(run.stderr.contains("separate ways"), "{run}");
    place(&lab, &left);
    assert_eq!(lab.one("s/fork"), "fake-fork-a");
}

#[test]
fn a_vault_that_is_removed_damaged_or_open_to_others_gives_nothing() {
    let lab = Lab::new();
    lab.unlock(&[]);
    let whole = std::fs::read(file(&lab)).unwrap();
    assert_eq!(lab.one("s/one"), "fake-value-one");
    std::fs::remove_file(file(&lab)).unwrap();
    assert_ne!(lab.one("s/one"), "fake-value-one");
    let run = lab.run(&["secret", "get", "s/one"]);
    assert_ne!(run.code, 0, "{run}");
    place(&lab, &whole);
    assert_eq!(lab.one("s/one"), "fake-value-one");
    place(&lab, &whole[..whole.len() / 2]);
    assert_ne!(lab.one("s/one"), "fake-value-one");
    place(&lab, &whole);
    assert_eq!(lab.one("s/one"), "fake-value-one");
    chmod(&file(&lab), 0o644);
    assert_ne!(lab.one("s/one"), "fake-value-one");
    chmod(&file(&lab), 0o600);
    assert_eq!(lab.one("s/one"), "fake-value-one");
    // The whole folder, and back.
    let aside = lab.world.root().join("aside");
    std::fs::rename(lab.dir(), &aside).unwrap();
    assert_ne!(lab.one("s/one"), "fake-value-one");
    std::fs::rename(&aside, lab.dir()).unwrap();
    assert_eq!(lab.one("s/one"), "fake-value-one");
}

#[test]
fn a_vault_that_cannot_be_read_gives_nothing() {
    let lab = Lab::of_ordinary_user(false);
    lab.unlock(&[]);
    assert_eq!(lab.one("s/one"), "fake-value-one");
    chmod(&file(&lab), 0);
    assert_ne!(lab.one("s/one"), "fake-value-one");
    chmod(&file(&lab), 0o600);
    assert_eq!(lab.one("s/one"), "fake-value-one");
}

/// Another vault, of a higher generation, that opens by an identity file of its own.
#[test]
fn another_vault_in_its_place_gives_nothing() {
    let lab = Lab::unattended();
    let mut his = Lab::unattended();
    for round in 0..5 {
        his.put("s/one", &format!("fake-value-of-another-{round}"));
    }
    let kept = lab.world.root().join("kept");
    copy_dir(&lab.dir(), &kept);
    let mut keeper = lab.foreground(&[]);
    assert_eq!(lab.one("s/one"), "fake-value-one");
    for name in ["vault.age", "vault.json"] {
        let bytes = std::fs::read(his.dir().join(name)).unwrap();
        clawkeep::file::replace(&lab.dir().join(name), &bytes, 0o600).unwrap();
    }
    let slots = lab.dir().join("slots");
    put_back(&his.dir().join("slots"), &slots);
    let said = lab.one("s/one");
    assert!(!said.starts_with("fake-value"), "{said}");
    let run = lab.run(&["secret", "get", "s/one"]);
    assert_ne!(run.code, 0, "{run}");
    put_back(&kept.join("slots"), &slots);
    for name in ["vault.json", "vault.age"] {
        let bytes = std::fs::read(kept.join(name)).unwrap();
        clawkeep::file::replace(&lab.dir().join(name), &bytes, 0o600).unwrap();
    }
    assert_eq!(lab.one("s/one"), "fake-value-one");
    assert!(keeper.child.try_wait().unwrap().is_none());
}

#[test]
fn a_new_identity_is_followed_where_a_slot_gives_it() {
    let mut lab = Lab::unattended();
    lab.writer = None;
    let _keeper = lab.foreground(&[]);
    for round in 0..3 {
        let _ = lab.opened(&["rekey", "--yes"]).ok();
        assert_eq!(lab.one("s/one"), "fake-value-one", "{round}");
    }
    let set = lab.cmd(&["secret", "set", "s/two"]).stdin("fake-two").run();
    let _ = set.ok();
    assert_eq!(lab.one("s/two"), "fake-two");
}

#[test]
fn a_new_identity_that_only_a_person_can_give_locks() {
    let mut lab = Lab::new();
    lab.writer = None;
    lab.unlock(&[]);
    let _ = lab.opened(&["rekey", "--yes"]).ok();
    assert_eq!(lab.one("s/one"), "LOCKED");
    let run = lab.run(&["--non-interactive", "secret", "list"]).fails(75);
    let run = format!("{run}");
    assert!(run.contains("LOCKED") || run.contains("lock"), "{run}");
    let _ = lab.run(&["lock"]).ok();
    lab.unlock(&[]);
    assert_eq!(lab.one("s/one"), "fake-value-one");
}
