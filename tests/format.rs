//! Format 1 stays readable: `tests/data/vault-v1` was written once by the first clawkeep, with fake
//! values, and every later one opens it by each way, and refuses the `fail_*` files beside it.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;

use common::craft;
use common::{World, left_out};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vault-v1")
}

fn expected() -> Value {
    serde_json::from_slice(&std::fs::read(data().join("expected.json")).unwrap()).unwrap()
}

fn text(name: &str) -> String {
    std::fs::read_to_string(data().join(name)).unwrap()
}

/// The vault in a world's default place, private as it must be: git keeps no modes.
fn placed() -> World {
    let world = World::new();
    for name in [
        "vault.age",
        "vault.json",
        "slots/identity-file.age",
        "slots/passphrase.age",
    ] {
        let bytes = std::fs::read(data().join("vault").join(name)).unwrap();
        world.write(&format!(".local/share/clawkeep/{name}"), bytes);
    }
    for name in ["passphrase.txt", "recovery.txt"] {
        world.write(name, text(name));
    }
    world
}

fn with_identity_file() -> World {
    let world = placed();
    world.write(".config/clawkeep/identity.txt", text("identity.txt"));
    world
}

#[track_caller]
fn assert_all_values(world: &World, flags: &[&str]) {
    let expected = expected();
    for (id, value) in expected["secrets"].as_object().unwrap() {
        let run = world.run(&[flags, &["secret", "get", id]].concat()).ok();
        assert_eq!(run.stdout, value.as_str().unwrap(), "{id}");
    }
    let mut listed = world
        .run(&[flags, &["secret", "list", "--json"]].concat())
        .ok()
        .json();
    assert_eq!(listed["vaultId"], expected["vault_id"]);
    // These files are older than the mark: what does not say that it was plaintext was not.
    for row in listed["secrets"].as_array_mut().unwrap() {
        let mark = row.as_object_mut().unwrap().remove("wasPlaintext");
        assert_eq!(mark, Some(serde_json::json!(false)));
    }
    assert_eq!(listed["secrets"], expected["list"]);
}

#[test]
fn the_identity_file_opens_it() {
    assert_all_values(&with_identity_file(), &[]);
}

#[test]
fn without_its_cache_the_identity_file_opens_it_again_and_again() {
    let world = with_identity_file();
    std::fs::remove_file(world.vault().join("vault.json")).unwrap();
    assert_all_values(&world, &[]);
}

#[test]
fn the_passphrase_opens_it() {
    let world = placed();
    let flags = ["--passphrase-file", "passphrase.txt"];
    assert_all_values(&world, &flags);
}

#[test]
fn the_recovery_key_opens_it() {
    let world = placed();
    let run = world
        .run(&[
            "--passphrase-file",
            "passphrase.txt",
            "recovery",
            "check",
            "--recovery-file",
            "recovery.txt",
        ])
        .ok();
    assert!(run.stderr.contains("with 4 secrets"), "{run}");
}

/// By the documentation alone: no line of clawkeep's code reads the files here.
#[test]
fn the_format_is_what_its_documentation_says() {
    let file = std::fs::read(data().join("vault/vault.age")).unwrap();
    let recovery = text("recovery.txt");
    let content = craft::opened(&file, &recovery);
    assert_eq!(content.len() % 4096, 0);
    let lines: Vec<&[u8]> = content.split(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[2].is_empty());
    let body: Value = serde_json::from_slice(lines[0]).unwrap();
    let said: Value = serde_json::from_slice(lines[1]).unwrap();
    let key = body["identity"].as_str().unwrap();
    assert_eq!(said["mac"], craft::mac(lines[0], key));
    assert_eq!(body["format"], "clawkeep-vault");
    assert_eq!(body["version"], 1);
    assert_eq!(body["vault_id"], expected()["vault_id"]);
    for (id, value) in expected()["secrets"].as_object().unwrap() {
        assert_eq!(body["secrets"][id]["value"], *value);
    }
    // The vault identity opens it too, and the identity-file slot holds that identity.
    assert_eq!(craft::opened(&file, key), content);
    let slot = std::fs::read(data().join("vault/slots/identity-file.age")).unwrap();
    assert_eq!(craft::opened(&slot, &text("identity.txt")), key.as_bytes());
}

#[test]
fn stock_age_opens_it() {
    if left_out("age") {
        return;
    }
    let world = placed();
    let vault = world.vault().join("vault.age");
    let run = world
        .program(
            Path::new("/usr/bin/age"),
            &["-d", "-i", "recovery.txt", vault.to_str().unwrap()],
        )
        .run()
        .ok();
    let first: Value = serde_json::from_str(run.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(first["vault_id"], expected()["vault_id"]);
}

#[test]
fn the_failing_files_are_refused_each_for_its_own_reason() {
    let reasons = expected()["fail"].as_object().unwrap().clone();
    assert!(reasons.len() >= 12);
    for (name, reason) in reasons {
        let world = with_identity_file();
        let bytes = std::fs::read(data().join(&name)).unwrap();
        let flags: &[&str] = if name.starts_with("fail_slot_") {
            std::fs::remove_file(world.identity_file()).unwrap();
            world.write(".local/share/clawkeep/slots/passphrase.age", &bytes);
            // The cache of the vault as it was: this slot is a passphrase slot.
            world.write(".local/share/clawkeep/vault.json", text("vault/vault.json"));
            &["--passphrase-file", "passphrase.txt"]
        } else {
            world.write(".local/share/clawkeep/vault.age", &bytes);
            &[]
        };
        let run = world
            .run(&[flags, &["secret", "get", "gateway/token"]].concat())
            .fails(1);
        assert_eq!(run.stdout, "");
        assert!(
            run.stderr.contains(reason.as_str().unwrap()),
            "{name}: {run}"
        );
        if !name.starts_with("fail_slot_") {
            assert_eq!(
                world.resolve(&["gateway/token"])["values"],
                Value::Object(serde_json::Map::new()),
                "{name}"
            );
        }
    }
}

/// Writes the `fail_*` files: `cargo test --test format -- --ignored`. They are committed; run it
/// only to add one.
#[test]
#[ignore = "writes the test vectors"]
fn write_the_failing_files() {
    let file = std::fs::read(data().join("vault/vault.age")).unwrap();
    let slot = std::fs::read(data().join("vault/slots/passphrase.age")).unwrap();
    let content = craft::opened(&file, &text("recovery.txt"));
    let body = craft::body(&file, &text("recovery.txt"));
    let key = body["identity"].as_str().unwrap().to_owned();
    let line = body.to_string();
    let sealed = |line: &str| craft::sealed(&craft::authentic(line, &key), &key);
    let mut forged = content.clone();
    let at = forged
        .windows(4)
        .position(|window| window == b"fake")
        .unwrap();
    forged[at..at + 4].copy_from_slice(b"evil");
    let first = content.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut flipped = file.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    let mut flipped_slot = slot.clone();
    let last = flipped_slot.len() - 1;
    flipped_slot[last] ^= 1;
    let newer = line.replacen("\"version\":1", "\"version\":2", 1).replacen(
        "\"secrets\":{",
        "\"secrets\":[],\"was\":{",
        1,
    );
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("fail_not_age.age", b"not an age file\n".to_vec()),
        ("fail_empty.age", Vec::new()),
        ("fail_cut.age", file[..file.len() - 1].to_vec()),
        ("fail_appended.age", [&file[..], b"\0"].concat()),
        ("fail_flipped.age", flipped),
        ("fail_mac.age", craft::sealed(&forged, &key)),
        ("fail_no_mac.age", craft::sealed(&content[..first], &key)),
        (
            "fail_third_line.age",
            craft::sealed(&[&content[..], b"{}\n"].concat(), &key),
        ),
        ("fail_newer.age", sealed(&newer)),
        (
            "fail_other_format.age",
            sealed(&line.replacen("clawkeep-vault", "another", 1)),
        ),
        (
            "fail_other_id.age",
            sealed(&line.replacen("\"vault_id\":\"9", "\"vault_id\":\"8", 1)),
        ),
        ("fail_no_json.age", sealed("no JSON at all")),
        (
            "fail_slot_64_gib.age",
            craft::slot(&["67108864", "3", "4"], 1),
        ),
        ("fail_slot_32_mib.age", craft::slot(&["32768", "3", "4"], 1)),
        (
            "fail_slot_17_passes.age",
            craft::slot(&["65536", "17", "4"], 1),
        ),
        (
            "fail_slot_leading_zero.age",
            craft::slot(&["065536", "3", "4"], 1),
        ),
        ("fail_slot_twice.age", craft::slot(&["65536", "1", "1"], 2)),
        ("fail_slot_flipped.age", flipped_slot),
    ];
    for (name, bytes) in files {
        let path = data().join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
}
