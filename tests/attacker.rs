//! Somebody else's hands on our files: the vault's folder as it comes out of a shared folder or a
//! restored backup, with whatever its sender put there.
//!
//! Promise: he can destroy. He cannot have a vault of his own believed, another file removed, read or
//! written than those that are ours, a program run, or a command hang.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;

use clawkeep::file::{LOCK_WAIT, Lock};
use clawkeep::host::Host;
use clawkeep::keychain::OsKeychain;
use clawkeep::vault::identity::Identity;
use clawkeep::vault::rekey::{Doors, SlotPlan, plant};
use clawkeep::vault::slot::SlotName;
use clawkeep::vault::{NewVault, Vault};
use common::World;
use common::vault::put_back;
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

const VALUE: &str = "fake-value-of-the-owner";

/// A vault of somebody else in `dir`, which his own identity file at `key` opens.
fn his_vault(dir: &Path, key: &Path) {
    clawkeep::file::private_dir(dir).unwrap();
    let host = Host::real();
    let keychain = OsKeychain::on_bus("unix:path=/nonexistent/bus");
    let doors = Doors {
        host: &host,
        keychain: &keychain,
    };
    let identity = Identity::generate();
    let name = SlotName::parse("identity-file").unwrap();
    let plan = SlotPlan::IdentityFile(key.to_owned());
    let slot = plant(dir, &identity, &name, plan, &doors).unwrap();
    let new = NewVault {
        identity,
        recovery: None,
        slots: vec![slot],
    };
    let lock = Lock::take(&dir.join("vault.lock"), LOCK_WAIT).unwrap();
    Vault::create(dir, &host, new, &lock).unwrap();
}

fn cache(world: &World) -> (PathBuf, Value) {
    let path = world.vault().join("vault.json");
    let value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    (path, value)
}

#[test]
fn a_vault_that_brings_its_own_key_is_refused() {
    let world = World::new();
    world.init();
    let his = world.root().join("his");
    let key = world.root().join("his-key.txt");
    his_vault(&his, &key);
    put_back(&his, &world.vault());
    let inside = world.vault().join("notes.txt");
    std::fs::copy(&key, &inside).unwrap();
    let link = world.vault().join("slots/link");
    symlink(world.vault(), &link).unwrap();
    let roundabout = world.home().join("x/../.local/share/clawkeep/notes.txt");
    std::fs::create_dir(world.home().join("x")).unwrap();
    let (cache, mut text) = cache(&world);
    for path in [
        inside,
        PathBuf::from(".local/share/clawkeep/notes.txt"),
        world.vault().join("slots/../notes.txt"),
        link.join("notes.txt"),
        roundabout,
    ] {
        text["slots"][0]["path"] = json!(path);
        std::fs::write(&cache, text.to_string()).unwrap();
        let run = world.cmd(&["secret", "set", "s/one"]).stdin(VALUE).run();
        assert_eq!(run.code, 1, "{} {run:#}", path.display());
    }
}

#[test]
fn files_behind_a_link_in_place_of_the_slots_stay() {
    let world = World::new();
    world.init();
    let theirs = world.write("backups/precious.age", "not a slot");
    let slots = world.vault().join("slots");
    for file in std::fs::read_dir(&slots).unwrap().flatten() {
        std::fs::copy(
            file.path(),
            world.home().join("backups").join(file.file_name()),
        )
        .unwrap();
    }
    std::fs::remove_dir_all(&slots).unwrap();
    symlink(world.home().join("backups"), &slots).unwrap();
    let run = world
        .cmd(&["secret", "set", "s/one"])
        .stdin(VALUE)
        .run()
        .fails(1);
    assert!(run.stderr.contains("symbolic link"), "{run}");
    assert!(theirs.exists());
}

#[test]
fn a_link_record_sends_no_write_elsewhere() {
    let world = World::new();
    world.init();
    let package = world.write("project/package.json", r#"{"name":"x"}"#);
    let autostart = world.home().join(".config/autostart/evil.json");
    for target in [&package, &autostart] {
        let record = json!({
            "version": 1, "lane": "file", "openclaw": "2026.6.1", "profiles": {"main": target},
            "config": package, "command": "/bin/sh", "args": ["-c", "touch ran"], "linked": [],
        });
        world.write(".local/share/clawkeep/link.json", record.to_string());
        world.paste("fakeai", "fakeai:a", VALUE, &[]);
        let _ = world.run(&["rekey", "--yes"]).ok();
    }
    assert_eq!(std::fs::read(&package).unwrap(), br#"{"name":"x"}"#);
    assert!(!autostart.exists());
    assert!(world.search_home("touch ran me").is_empty());
    assert!(!world.home().join("ran").exists());
}

/// A pipe, a folder, a link to a device, an endless file, in the place of each file in turn.
#[test]
fn nothing_in_a_files_place_makes_a_command_hang() {
    let world = World::new();
    world.init();
    world.set("s/one", VALUE);
    world.paste("fakeai", "fakeai:a", VALUE, &[]);
    let kept = world.root().join("kept");
    common::vault::copy_dir(&world.vault(), &kept);
    for name in [
        "vault.age",
        "vault.json",
        "vault.lock",
        "link.json",
        "slots/identity-file.age",
        "slots/identity-file.0123456789abcdef.age",
        "agents/main/auth-profiles.json",
        "agents/main/auth-profiles.json.lock",
    ] {
        for what in ["pipe", "folder", "device", "huge"] {
            put_back(&kept, &world.vault());
            let path = world.vault().join(name);
            let _ = std::fs::remove_file(&path);
            match what {
                "pipe" => {
                    let made = std::process::Command::new("/usr/bin/mkfifo")
                        .args(["-m", "600"])
                        .arg(&path)
                        .status();
                    assert!(made.unwrap().success());
                }
                "folder" => std::fs::create_dir(&path).unwrap(),
                "device" => symlink("/dev/zero", &path).unwrap(),
                _ => {
                    let file = world.write(&format!(".local/share/clawkeep/{name}"), "");
                    let file = std::fs::File::options().write(true).open(file).unwrap();
                    file.set_len(300 << 20).unwrap();
                }
            }
            let at = format!("{what} at {name}");
            for args in [
                &["secret", "get", "s/one"][..],
                &["secret", "set", "s/two"],
                &["models", "auth", "list"],
                &["models", "auth", "paste-api-key", "--provider", "fakeai"],
            ] {
                let run = world
                    .cmd(args)
                    .stdin(VALUE)
                    .limit(Duration::from_mins(1))
                    .run();
                assert!([0, 1, 75].contains(&run.code), "{at}: {run:#}");
            }
            let asked = world.resolve_cmd(common::vault::request(&["s/one", "provider/fakeai"]));
            let _ = asked.limit(Duration::from_mins(1)).run().ok();
        }
    }
}

/// Millions of recipients, each of which would cost a multiplication on the curve.
#[test]
fn a_vault_file_of_recipients_alone_is_refused_by_its_head() {
    let world = World::new();
    world.init();
    let path = world.vault().join("vault.age");
    let whole = std::fs::read(&path).unwrap();
    let head_end = whole.windows(4).position(|four| four == b"\n---").unwrap();
    let first = whole.iter().position(|b| *b == b'\n').unwrap();
    let stanza = &whole[first..head_end];
    let mut many = whole[..first].to_vec();
    for _ in 0..200_000 {
        many.extend_from_slice(stanza);
    }
    many.extend_from_slice(&whole[head_end..]);
    std::fs::write(&path, many).unwrap();
    let run = world.run(&["secret", "get", "s/one"]).fails(1);
    assert!(run.stderr.contains("damaged"), "{run}");
}

/// The moment at which an edited file would have another provider's key sent away, or removed.
#[test]
fn an_edited_profile_takes_no_key_of_another_provider() {
    let world = World::new();
    world.init();
    world.paste("fakeai", "fakeai:a", VALUE, &[]);
    let file = world.vault().join("agents/main/auth-profiles.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replace(r#""provider": "fakeai""#, r#""provider": "evil""#),
    )
    .unwrap();
    let answer = world.resolve(&["provider/evil"]);
    assert_eq!(answer["errors"]["provider/evil"]["code"], "NOT_FOUND");
    let args = ["models", "auth", "logout", "--provider", "evil", "--yes"];
    let _ = world.run(&args).ok();
    assert_eq!(world.get("fakeai:a"), VALUE);
}

#[test]
fn names_from_outside_reach_no_terminal_as_commands() {
    let world = World::new();
    let dir = world.home().join("v\u{1b}]0;title\u{7}\u{202e}x");
    let dir = dir.to_str().unwrap();
    let args = [
        "--vault",
        dir,
        "init",
        "--slot",
        "identity-file",
        "--no-recovery",
    ];
    let run = world.run(&args).ok();
    for text in [&run.stderr, &run.stdout] {
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text:?}");
    }
    let run = world
        .run(&["--vault", dir, "secret", "get", "absent"])
        .fails(1);
    assert!(!run.stderr.contains('\u{1b}'), "{:?}", run.stderr);
}

#[test]
fn a_recovered_vault_is_not_an_older_one_and_says_which_it_is() {
    let world = World::new();
    let args = [
        "init",
        "--slot",
        "identity-file",
        "--recovery-file",
        "sheet.txt",
    ];
    let _ = world.run(&args).ok();
    let older = world.root().join("older.age");
    std::fs::copy(world.vault().join("vault.age"), &older).unwrap();
    world.set("s/one", VALUE);
    std::fs::copy(&older, world.vault().join("vault.age")).unwrap();
    let by_key = [
        "slot",
        "add",
        "identity-file",
        "--name",
        "b",
        "--identity-file",
        "b.txt",
    ];
    let args = [&by_key[..], &["--recovery-file", "sheet.txt"]].concat();
    let run = world.run(&args).fails(1);
    assert!(run.stderr.contains("older copy"), "{run}");
    std::fs::remove_file(world.vault().join("vault.json")).unwrap();
    let run = world.run(&args).ok();
    let sheet = String::from_utf8(world.read("sheet.txt")).unwrap();
    let id = sheet
        .lines()
        .find_map(|line| line.strip_prefix("# vault: "))
        .unwrap();
    assert!(run.stderr.contains(id.trim()), "{run}");
}

#[test]
fn a_passphrase_slot_of_another_cost_than_the_vault_says_is_refused() {
    use clawkeep::vault::argon::{Cost, PassphraseRecipient};
    use std::io::Write as _;
    let world = World::new();
    let passphrase = world.passphrase_file("passphrase.txt", "fake correct horse battery");
    let args = [
        "init",
        "--slot",
        "passphrase",
        "--recovery-file",
        "sheet.txt",
    ];
    let new = ["--new-passphrase-file", &passphrase];
    let _ = world.run(&[&args[..], &new].concat()).ok();
    let open = ["secret", "list", "--passphrase-file", &passphrase];
    let _ = world.run(&open).ok();

    // The same identity under the same passphrase, made cheap to guess: a copy from a smaller machine.
    let file = std::fs::read(world.vault().join("vault.age")).unwrap();
    let sheet = String::from_utf8(world.read("sheet.txt")).unwrap();
    let key = common::craft::body(&file, &sheet)["identity"]
        .as_str()
        .unwrap()
        .to_owned();
    let secret = secrecy::SecretString::from("fake correct horse battery");
    let cheap = PassphraseRecipient {
        passphrase: &secret,
        cost: Cost {
            m_kib: Cost::LEAST_KIB,
            t: 1,
            p: 1,
        },
    };
    let mut slot = Vec::new();
    let recipients = std::iter::once(&cheap as &dyn age::Recipient);
    let mut out = age::Encryptor::with_recipients(recipients)
        .unwrap()
        .wrap_output(&mut slot)
        .unwrap();
    out.write_all(key.as_bytes()).unwrap();
    out.finish().unwrap();
    let path = world.vault().join("slots/passphrase.age");
    clawkeep::file::replace(&path, &slot, 0o600).unwrap();
    let run = world.run(&open).fails(1);
    assert!(
        run.stderr.contains("another cost than the vault says"),
        "{run}"
    );
}
