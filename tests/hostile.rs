//! Whatever stands in the place of vault.age: a clear error, nothing shown, nothing lost.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;

use clawkeep::error::{Kind, Result};
use clawkeep::host::Host;
use clawkeep::keychain::{Item, Keychain, Presence};
use clawkeep::secret::SecretId;
use clawkeep::vault::Vault;
use clawkeep::vault::unlock::Keys;
use common::vault::{PASSPHRASE, copy_dir, put_back, request};
use common::{World, craft, rounds};
use secrecy::ExposeSecret as _;
use std::collections::BTreeSet;
use std::path::Path;
use zeroize::Zeroizing;

const VALUE: &str = "fake-value-0123456789";

/// Writes a vault as if a while ago: a reader looks twice at one that was written just now.
fn write_old(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
}

struct NoKeychain;

impl Keychain for NoKeychain {
    fn presence(&self) -> Result<Presence> {
        Ok(Presence::Absent("it is a test".to_owned()))
    }
    fn get(&self, _: &Item) -> Result<Option<Zeroizing<Vec<u8>>>> {
        Ok(None)
    }
    fn set(&self, _: &Item, _: &[u8]) -> Result<()> {
        Ok(())
    }
    fn delete(&self, _: &Item) -> Result<bool> {
        Ok(false)
    }
    fn list(&self, _: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// Opens as `resolve` does, in this process: thousands of times, which no process start allows.
fn picked(dir: &Path) -> Result<Option<String>> {
    let host = Host::real();
    let keys = Keys {
        host: &host,
        keychain: &NoKeychain,
        ask: &|_| Ok(None),
        pins: &[],
        accept_rollback: false,
    };
    let id = SecretId::parse("id")?;
    let picked = Vault::pick(dir, &keys, &BTreeSet::from([id.clone()]))?;
    let entry = picked.entries.get(&id);
    Ok(entry.map(|entry| entry.value.expose_secret().to_owned()))
}

fn ready() -> World {
    let world = World::new();
    world.init();
    world.set("id", VALUE);
    world
}

/// Refused by every command that needs the vault, and not a byte of it changed.
#[track_caller]
fn assert_refused(world: &World, reason: &str) {
    let bytes = std::fs::read(world.vault().join("vault.age")).unwrap();
    for args in [
        &["secret", "get", "id"][..],
        &["secret", "list"],
        &["slot", "list"],
        &["rekey", "--yes"],
    ] {
        let run = world.run(args).fails(1);
        assert_eq!(run.stdout, "");
        assert!(run.stderr.contains(reason), "{run}");
        assert!(run.stderr.contains("hint: "), "{run}");
    }
    let run = world
        .cmd(&["secret", "set", "new"])
        .stdin("fake")
        .run()
        .fails(1);
    assert!(run.stderr.contains(reason), "{run}");
    let run = world.resolve_cmd(request(&["id"])).run().ok();
    assert_eq!(run.json()["errors"]["id"]["code"], "BROKEN", "{run}");
    assert_eq!(
        std::fs::read(world.vault().join("vault.age")).unwrap(),
        bytes
    );
}

#[test]
fn no_flipped_byte_anywhere_yields_a_value() {
    let world = ready();
    let path = world.vault().join("vault.age");
    let good = std::fs::read(&path).unwrap();
    assert_eq!(picked(&world.vault()).unwrap().as_deref(), Some(VALUE));
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        write_old(&path, &bad);
        let error = picked(&world.vault()).expect_err("a flipped byte");
        assert_eq!(error.kind(), Kind::Broken, "byte {at}: {error}");
    }
    std::fs::write(&path, &good).unwrap();
    assert_eq!(world.get("id"), VALUE);
}

#[test]
fn no_cut_anywhere_yields_a_value() {
    let world = ready();
    let path = world.vault().join("vault.age");
    let good = std::fs::read(&path).unwrap();
    for len in 0..good.len() {
        write_old(&path, &good[..len]);
        let error = picked(&world.vault()).expect_err("a cut file");
        assert_eq!(error.kind(), Kind::Broken, "{len} bytes: {error}");
    }
    std::fs::write(&path, [&good[..], &good[..]].concat()).unwrap();
    assert_eq!(picked(&world.vault()).unwrap_err().kind(), Kind::Broken);
}

#[test]
fn damage_is_refused_by_every_command() {
    let world = ready();
    let path = world.vault().join("vault.age");
    let good = std::fs::read(&path).unwrap();
    for at in [30, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 0x20;
        std::fs::write(&path, &bad).unwrap();
        assert_refused(&world, "vault");
    }
    std::fs::write(&path, b"PK\x03\x04 not an age file").unwrap();
    assert_refused(&world, "is not an age file");
    std::fs::write(&path, b"").unwrap();
    assert_refused(&world, "is not an age file");
    std::fs::write(&path, &good[..good.len() - 7]).unwrap();
    assert_refused(&world, "damaged or was cut off");
    std::fs::write(&path, &good).unwrap();
    assert_eq!(world.get("id"), VALUE);
}

#[test]
fn a_forged_or_newer_payload_is_refused_by_every_command() {
    let world = ready();
    let path = world.vault().join("vault.age");
    let good = std::fs::read(&path).unwrap();
    let slot = std::fs::read(world.vault().join("slots/identity-file.age")).unwrap();
    let key = craft::opened(
        &slot,
        &std::fs::read_to_string(world.identity_file()).unwrap(),
    );
    let key = String::from_utf8(key).unwrap();
    let line = craft::body(&good, &key).to_string();
    // Whoever has the public half can encrypt, and no more.
    let mut forged = craft::authentic(&line.replace(VALUE, "evil-value-0123456789"), &key);
    let end = forged.len() - "\"}\n".len();
    forged[end - 64..end].fill(b'0');
    std::fs::write(&path, craft::sealed(&forged, &key)).unwrap();
    assert_refused(&world, "MAC is wrong");
    let newer = line.replacen("\"version\":1", "\"version\":7", 1);
    std::fs::write(&path, craft::sealed(&craft::authentic(&newer, &key), &key)).unwrap();
    assert_refused(&world, "format version 7");
    // An unknown field is no new version.
    let more = line.replacen('{', "{\"later\":[{}],", 1);
    std::fs::write(&path, craft::sealed(&craft::authentic(&more, &key), &key)).unwrap();
    std::fs::remove_file(world.vault().join("vault.json")).unwrap();
    assert_eq!(world.get("id"), VALUE);
}

#[test]
fn another_vault_in_this_ones_place_is_refused_by_the_pins() {
    let world = ready();
    let listed = world.run(&["slot", "list", "--json"]).ok().json();
    let id = listed["vaultId"].as_str().unwrap();
    let own = world.root().join("own");
    copy_dir(&world.vault(), &own);
    let text = std::fs::read_to_string(world.identity_file()).unwrap();
    // The attacker knows the public half, so he can make a vault that this identity file opens.
    let other = World::new();
    let bare: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    other.write(".config/clawkeep/identity.txt", bare.join("\n"));
    let _ = other
        .run(&["init", "--slot", "identity-file", "--no-recovery"])
        .ok();
    other.set("id", "evil-value-0123456789");
    put_back(&other.vault(), &world.vault());
    let cache = world.vault().join("vault.json");
    let json = std::fs::read_to_string(&cache).unwrap();
    let from = other.identity_file();
    let to = world.identity_file();
    std::fs::write(
        &cache,
        json.replace(from.to_str().unwrap(), to.to_str().unwrap()),
    )
    .unwrap();
    // The identity file's own pin.
    assert_refused(&world, "another vault was put in this one's place");
    // An identity file that clawkeep did not write has none; the caller's pin holds.
    std::fs::write(world.identity_file(), bare.join("\n")).unwrap();
    let run = world
        .run(&["--vault-id", id, "secret", "get", "id"])
        .fails(1);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("--vault-id"), "{run}");
    put_back(&own, &world.vault());
    assert_eq!(
        world
            .run(&["--vault-id", id, "secret", "get", "id"])
            .ok()
            .stdout,
        VALUE
    );
}

#[test]
fn a_slot_of_another_vault_is_an_error_and_never_that_vault() {
    let (world, other) = (ready(), ready());
    let slot = "slots/identity-file.age";
    // With the other's slot alone its key does not fit.
    std::fs::copy(other.vault().join(slot), world.vault().join(slot)).unwrap();
    assert_refused(&world, "was not made for this key");
    // With the other's identity file too, it opens another vault than this.
    std::fs::copy(other.identity_file(), world.identity_file()).unwrap();
    assert_refused(&world, "another vault");
    std::fs::remove_file(world.vault().join(slot)).unwrap();
    assert_refused(&world, "its file is gone");
    world.write(
        ".local/share/clawkeep/slots/identity-file.age",
        "not an age file",
    );
    assert_refused(&world, "not an age file");
}

#[test]
fn two_histories_of_one_vault_are_told_apart() {
    let world = ready();
    let fork = world.root().join("fork");
    copy_dir(&world.vault(), &fork);
    world.set("id", "fake-one-way");
    let _ = world
        .cmd(&["--vault", fork.to_str().unwrap(), "secret", "set", "id"])
        .stdin("fake-other-way")
        .run()
        .ok();
    std::fs::copy(fork.join("vault.age"), world.vault().join("vault.age")).unwrap();
    assert_refused(&world, "separate ways");
}

#[test]
fn a_slot_that_asks_for_too_much_is_refused_before_any_work() {
    let world = World::new();
    let file = world.passphrase_file("pass", PASSPHRASE);
    let _ = world
        .run(&[
            "init",
            "--slot",
            "passphrase",
            "--new-passphrase-file",
            &file,
            "--no-recovery",
        ])
        .ok();
    let path = world.vault().join("slots/passphrase.age");
    for cost in [
        ["67108864", "3", "4"],
        ["65536", "4294967295", "1"],
        ["65536", "1", "9"],
    ] {
        std::fs::write(&path, craft::slot(&cost, 1)).unwrap();
        // With a gigabyte of address space no work was done, nor could it be.
        let script = format!(
            "ulimit -v 1000000; exec {} --passphrase-file pass secret list",
            env!("CARGO_BIN_EXE_clawkeep")
        );
        let run = world
            .program(Path::new("/bin/sh"), &["-c", &script])
            .run()
            .fails(1);
        assert!(run.stderr.contains("more work or less safety"), "{run}");
    }
}

/// Bytes of any kind, in the place of every file that the program reads.
#[test]
fn noise_in_any_file_is_no_panic_and_no_value() {
    let world = ready();
    let own = world.root().join("own");
    copy_dir(&world.vault(), &own);
    let mut seed = 1_u64;
    for name in [
        "vault.age",
        "vault.json",
        "slots/identity-file.age",
        "link.json",
        "agents/main/auth-profiles.json",
    ] {
        for round in 0..rounds(6, 200) {
            put_back(&own, &world.vault());
            let mut bytes = std::fs::read(world.vault().join(name))
                .unwrap_or_else(|_| b"{\"version\":1}".to_vec());
            for _ in 0..=round {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = usize::try_from(seed >> 33).unwrap() % bytes.len();
                bytes[at] = seed.to_le_bytes()[5];
            }
            world.write(&format!(".local/share/clawkeep/{name}"), &bytes);
            let run = world.resolve_cmd(request(&["id", "provider/x"])).run().ok();
            let answer = run.json();
            let value = answer["values"]["id"].as_str();
            assert!(value.is_none_or(|value| value == VALUE), "{name}: {run}");
            let run = world.run(&["models", "auth", "list"]);
            assert!([0, 1].contains(&run.code), "{run}");
        }
    }
}
