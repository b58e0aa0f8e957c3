//! The keychain door against a real GNOME Keyring on a bus of its own, with libsecret's
//! `secret-tool` as witness. The user's own home, bus and keyring are never touched: every program
//! here runs with an empty environment but for a temporary home and this bus.
//!
//! Needs the Debian packages dbus, gnome-keyring and libsecret-tools. What is missing fails with its
//! name, unless `CLAWKEEP_TEST_SKIP` lists `keychain`.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a test sets up its own environment and files, and looks at fake values"
)]
#![allow(clippy::print_stderr, reason = "says why a test was left out")]

#[path = "keyring/attended.rs"]
mod attended;
mod keyring;

use clawkeep::error::Kind;
use clawkeep::expiry::Millis;
use clawkeep::host::Host;
use clawkeep::keychain::{Item, Keychain, LIMIT, OsKeychain, Presence};
use clawkeep::secret::{Alphabet, MAX_SECRET, Secret, SecretId, SecretKind};
use clawkeep::store::{Meta, Resolve, Store};
use clawkeep::vault::id::VaultId;
use clawkeep::vault::items::KeychainStore;
use keyring::{Bus, prompter, ready};
use rustix::process::{Signal, kill_process};
use secrecy::ExposeSecret;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;

const PASSWORD: &str = "fake-keyring-password";
const VALUE: &str = "sk-fake-0123456789";
/// Set for a test that is run again in a process with an environment of its own.
const CHILD: &str = "CLAWKEEP_TEST_KEYCHAIN_CHILD";

fn item() -> Item {
    Item::new("clawkeep-test", "anthropic:default")
}

fn value(keychain: &impl Keychain, item: &Item) -> Option<String> {
    let bytes = keychain.get(item).unwrap()?;
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

fn assert_every_call_is(keychain: &OsKeychain, kind: Kind) {
    let said = [
        keychain.get(&item()).map(|_| ()),
        keychain.set(&item(), b"fake"),
        keychain.delete(&item()).map(|_| ()),
        keychain.list("clawkeep-test").map(|_| ()),
    ];
    for outcome in said {
        let error = outcome.expect_err("it answered");
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[test]
fn secret_tool_sees_what_we_store_and_we_see_what_it_stores() {
    if !ready() {
        return;
    }
    let bus = Bus::start();
    let _keyring = bus.keyring(Some(PASSWORD));
    let keychain = bus.keychain();
    assert_eq!(keychain.presence().unwrap(), Presence::Here);
    assert_eq!(value(&keychain, &item()), None);

    keychain.set(&item(), VALUE.as_bytes()).unwrap();
    assert_eq!(bus.witness_lookup(&item()).as_deref(), Some(VALUE));
    assert_eq!(value(&keychain, &item()).as_deref(), Some(VALUE));

    // Over ours: it replaces, and does not stand beside it.
    bus.witness_store(&item(), &[], "fake-from-the-witness");
    assert_eq!(
        value(&keychain, &item()).as_deref(),
        Some("fake-from-the-witness")
    );
    // Over its own.
    keychain.set(&item(), b"fake-again").unwrap();
    assert_eq!(bus.witness_lookup(&item()).as_deref(), Some("fake-again"));

    let other = Item::new("clawkeep-test", "by-hand");
    bus.witness_store(&other, &[], "fake-new\nwith a line");
    assert_eq!(
        value(&keychain, &other).as_deref(),
        Some("fake-new\nwith a line")
    );
    assert_eq!(
        keychain.list("clawkeep-test").unwrap(),
        ["anthropic:default", "by-hand"]
    );
    assert!(keychain.list("clawkeep").unwrap().is_empty());

    assert!(keychain.delete(&item()).unwrap());
    assert!(!keychain.delete(&item()).unwrap());
    assert_eq!(bus.witness_lookup(&item()), None);

    let large = "x".repeat(MAX_SECRET);
    keychain.set(&item(), large.as_bytes()).unwrap();
    assert_eq!(value(&keychain, &item()), Some(large));
}

#[test]
fn keychain_custody_is_readable_with_secret_tool_both_ways() {
    if !ready() {
        return;
    }
    let bus = Bus::start();
    let _keyring = bus.keyring(Some(PASSWORD));
    let vault = VaultId::from_bytes([0xab; 32]);
    let mut store = KeychainStore::new(Box::new(bus.keychain()), vault);
    let service = format!("clawkeep:{}", "ab".repeat(32));
    let ours = SecretId::parse("anthropic:default").unwrap();
    let meta = Meta {
        kind: SecretKind::Token,
        provider: Some(clawkeep::provider::ProviderId::parse("anthropic").unwrap()),
        created: Millis::new(1_000).unwrap(),
        updated: Millis::new(2_000).unwrap(),
        expires: Millis::new(3_000),
        was_plaintext: false,
    };
    let secret = Secret::new(VALUE.as_bytes(), Alphabet::Key).unwrap();
    store.put(&ours, secret, &meta).unwrap();
    let seen = bus.witness_lookup(&Item::new(&service, "anthropic:default"));
    assert_eq!(seen.as_deref(), Some(VALUE));

    let by_hand = SecretId::parse("team/by-hand").unwrap();
    let item = Item::new(&service, "team/by-hand");
    bus.witness_store(&item, &[], "fake-by-hand");
    let (secret, plain) = store.get(&by_hand).unwrap().unwrap();
    assert_eq!(secret.expose_secret(), "fake-by-hand");
    assert_eq!((plain.kind, plain.provider), (SecretKind::Secret, None));

    let (secret, read) = store.get(&ours).unwrap().unwrap();
    assert_eq!(secret.expose_secret(), VALUE);
    assert_eq!(read, meta);
    let names: Vec<String> = store
        .list()
        .unwrap()
        .iter()
        .map(|(id, _)| id.to_string())
        .collect();
    assert_eq!(names, ["anthropic:default", "team/by-hand"]);
    assert!(store.remove(&ours).unwrap());
    assert!(store.remove(&by_hand).unwrap());
    let left = bus.secret_tool(&["search", "--all", "service", &service], "");
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}

#[test]
fn a_locked_keyring_is_locked_and_asks_nobody() {
    if !ready() {
        return;
    }
    let bus = Bus::start();
    let keyring = bus.keyring(Some(PASSWORD));
    bus.keychain().set(&item(), VALUE.as_bytes()).unwrap();
    drop(keyring);
    let keyring = bus.keyring(None);
    let asked = prompter(&bus);
    let keychain = bus.keychain();
    assert_every_call_is(&keychain, Kind::Locked);
    assert_eq!(keychain.presence().unwrap(), Presence::Here);
    assert_eq!(asked.load(Ordering::SeqCst), 0, "a dialog was opened");
    // An item that is not there is not there, locked or not.
    assert_eq!(value(&keychain, &Item::new("clawkeep-test", "none")), None);
    // With a person, who says no: each call asks, but for the one whether there is a keychain.
    again("attended::child_is_refused", |child| {
        bus.give(child);
    });
    assert_eq!(asked.load(Ordering::SeqCst), 4, "dialogs");
    drop(keyring);
    // A wrong password unlocks nothing, though the daemon takes it in silence.
    let keyring = bus.keyring(Some("fake-wrong-password"));
    assert_every_call_is(&keychain, Kind::Locked);
    drop(keyring);
    let _keyring = bus.keyring(Some(PASSWORD));
    assert_eq!(value(&keychain, &item()).as_deref(), Some(VALUE));
}

#[test]
fn a_keyring_without_a_default_is_absent() {
    if !ready() {
        return;
    }
    let bus = Bus::start();
    let _keyring = bus.keyring(None);
    let keychain = bus.keychain();
    assert!(matches!(
        keychain.presence().unwrap(),
        Presence::Absent(why) if why.contains("keyring")
    ));
    assert_eq!(value(&keychain, &item()), None);
    let said = keychain.set(&item(), b"fake").unwrap_err();
    assert_eq!(said.kind(), Kind::Missing, "{said}");
}

#[test]
fn a_bus_without_a_keyring_service_is_absent() {
    if !ready() {
        return;
    }
    let bus = Bus::start();
    let keychain = bus.keychain();
    assert!(matches!(keychain.presence().unwrap(), Presence::Absent(_)));
    assert_every_call_is(&keychain, Kind::Missing);
}

#[test]
fn a_service_that_was_started_again_is_found_again() {
    if !ready() {
        return;
    }
    let bus = Bus::start();
    let keyring = bus.keyring(Some(PASSWORD));
    let keychain = bus.keychain();
    keychain.set(&item(), VALUE.as_bytes()).unwrap();
    drop(keyring);
    assert_every_call_is(&keychain, Kind::Missing);
    let keyring = bus.keyring(Some(PASSWORD));
    assert_eq!(value(&keychain, &item()).as_deref(), Some(VALUE));
    drop(keyring);
    // Between two calls that both work.
    let _keyring = bus.keyring(Some(PASSWORD));
    keychain.set(&item(), b"fake-after").unwrap();
    assert_eq!(value(&keychain, &item()).as_deref(), Some("fake-after"));
    // And the bus itself goes.
    drop(bus.daemon);
    assert_every_call_is(&keychain, Kind::Missing);
}

#[test]
fn a_service_that_hangs_is_locked_and_then_works() {
    if !ready() {
        return;
    }
    let bus = Bus::start();
    let keyring = bus.keyring(Some(PASSWORD));
    let keychain = bus.keychain();
    keychain.set(&item(), VALUE.as_bytes()).unwrap();
    kill_process(keyring.pid(), Signal::STOP).unwrap();
    let said = keychain.get(&item()).unwrap_err();
    kill_process(keyring.pid(), Signal::CONT).unwrap();
    assert_eq!(said.kind(), Kind::Locked, "{said}");
    assert_eq!(value(&keychain, &item()).as_deref(), Some(VALUE));
}

#[test]
fn two_items_of_one_name_are_an_error_that_says_how_to_mend_it() {
    if !ready() {
        return;
    }
    let bus = Bus::start();
    let _keyring = bus.keyring(Some(PASSWORD));
    let keychain = bus.keychain();
    keychain.set(&item(), VALUE.as_bytes()).unwrap();
    bus.witness_store(&item(), &["extra", "1"], "fake-second");
    for said in [
        keychain.get(&item()).map(|_| ()).unwrap_err(),
        keychain.set(&item(), b"fake").unwrap_err(),
    ] {
        assert_eq!(said.kind(), Kind::Broken, "{said}");
        let hint = said.hint_text().unwrap();
        assert!(hint.contains("secret-tool clear service clawkeep-test"));
    }
    assert!(keychain.delete(&item()).unwrap());
    assert_eq!(bus.witness_lookup(&item()), None);
}

#[test]
fn a_bus_that_accepts_and_never_answers_is_locked() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("bus");
    // The kernel accepts for it; nobody reads.
    let _listener = UnixListener::bind(&socket).unwrap();
    let keychain = OsKeychain::on_bus(&format!("unix:path={}", socket.display()));
    let said = keychain.get(&item()).unwrap_err();
    assert_eq!(said.kind(), Kind::Locked);
    assert_eq!(
        said.message(),
        format!(
            "the keychain did not answer within {} seconds",
            LIMIT.as_secs()
        )
    );
    assert_eq!(keychain.presence().unwrap_err().kind(), Kind::Locked);
}

#[test]
fn a_bus_that_answers_nonsense_is_broken() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("bus");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"HTTP/1.1 400 FAKE-MARKER\r\n\r\n");
        }
    });
    let keychain = OsKeychain::on_bus(&format!("unix:path={}", socket.display()));
    let said = keychain.get(&item()).unwrap_err();
    assert_eq!(said.kind(), Kind::Broken, "{said}");
    assert!(!said.message().contains("MARKER"), "{said}");
}

/// A socket without a listener is what a session that has ended leaves behind: no keychain here.
#[test]
fn a_bus_that_is_not_there_or_dead_is_absent() {
    let dir = tempfile::tempdir().unwrap();
    let dead = dir.path().join("dead");
    drop(UnixListener::bind(&dead).unwrap());
    let none = dir.path().join("none");
    let below_a_file = dead.join("bus");
    for path in [&dead, &none, &below_a_file] {
        let keychain = OsKeychain::on_bus(&format!("unix:path={}", path.display()));
        assert_every_call_is(&keychain, Kind::Missing);
        assert!(matches!(keychain.presence().unwrap(), Presence::Absent(_)));
    }
    for address in [
        "disabled:",
        "unix:",
        "unix:path=",
        "unix:nonsense=1",
        "unix:path=a,path",
    ] {
        assert_every_call_is(&OsKeychain::on_bus(address), Kind::Missing);
    }
}

/// Runs the test `name` of this file alone, in a process of its own.
fn again(name: &str, prepare: impl FnOnce(&mut Command)) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .env_clear()
        .env(CHILD, "1")
        .args(["--exact", name, "--nocapture"]);
    prepare(&mut command);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

#[test]
fn child_round_trip() {
    if is_child() {
        let keychain = OsKeychain::new(&Host::real());
        assert_eq!(keychain.presence().unwrap(), Presence::Here);
        keychain.set(&item(), VALUE.as_bytes()).unwrap();
        assert_eq!(value(&keychain, &item()).as_deref(), Some(VALUE));
    }
}

#[test]
fn child_no_bus() {
    if is_child() {
        let keychain = OsKeychain::new(&Host::real());
        assert!(matches!(keychain.presence().unwrap(), Presence::Absent(_)));
        assert_every_call_is(&keychain, Kind::Missing);
    }
}

#[test]
fn the_bus_is_found_by_its_address_or_in_the_runtime_folder() {
    if !ready() {
        return;
    }
    let bus = Bus::start();
    let _keyring = bus.keyring(Some(PASSWORD));
    again("child_round_trip", |child| {
        child.env("DBUS_SESSION_BUS_ADDRESS", bus.address());
    });
    again("child_round_trip", |child| {
        child.env("XDG_RUNTIME_DIR", bus.run_dir());
    });
    assert_eq!(bus.witness_lookup(&item()).as_deref(), Some(VALUE));
}

#[test]
fn a_machine_without_a_bus_has_no_keychain() {
    let empty = tempfile::tempdir().unwrap();
    let dir: &Path = empty.path();
    again("child_no_bus", |child| {
        child.env("XDG_RUNTIME_DIR", dir);
    });
}
