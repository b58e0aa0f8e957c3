//! Vaults and a real GNOME Keyring, through the program: keychain custody, and a vault file that the
//! keychain opens. `secret-tool` is the witness.
//!
//! Needs the Debian packages dbus, gnome-keyring and libsecret-tools; `CLAWKEEP_TEST_SKIP=keychain`
//! leaves it out.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;
#[allow(
    dead_code,
    reason = "every test program compiles this and uses its part"
)]
mod keyring;

use clawkeep::keychain::Item;
use common::World;
use common::pty::Pty;
use common::run::{Cmd, Run};
use common::vault::request;
use keyring::{Bus, ready};
use serde_json::Value;

const PASSWORD: &str = "fake-keyring-password";
const VALUE: &str = "fake-value-0123456789";

/// A world whose programs see this bus.
struct Desktop {
    world: World,
    bus: Bus,
}

impl Desktop {
    fn new() -> Desktop {
        Desktop {
            world: World::new(),
            bus: Bus::start(),
        }
    }

    fn cmd(&self, args: &[&str]) -> Cmd {
        self.world
            .cmd(args)
            .env("DBUS_SESSION_BUS_ADDRESS", self.bus.address())
    }

    fn run(&self, args: &[&str]) -> Run {
        self.cmd(args).run()
    }

    fn paste(&self, value: &str) -> Run {
        self.cmd(&["models", "auth", "paste-token", "--provider", "fakeai"])
            .stdin(value)
            .run()
    }

    fn resolve(&self, id: &str) -> Value {
        // As OpenClaw calls it with the `passEnv` that link writes: the bus, and no home.
        self.world
            .resolve_cmd(request(&[id]))
            .env("DBUS_SESSION_BUS_ADDRESS", self.bus.address())
            .run()
            .ok()
            .json()
    }

    fn vault_id(&self) -> String {
        let listed = self.run(&["secret", "list", "--json"]).ok().json();
        listed["vaultId"].as_str().unwrap().to_owned()
    }
}

#[test]
fn keychain_custody_keeps_each_value_in_an_item_of_its_own() {
    if !ready() {
        return;
    }
    let desktop = Desktop::new();
    let keyring = desktop.bus.keyring(Some(PASSWORD));
    let run = desktop.run(&["init", "--custody", "keychain"]).ok();
    assert!(
        run.stderr.contains("no recovery key"),
        "what it lacks: {run}"
    );
    let _ = desktop.paste(VALUE).ok();
    let service = format!("clawkeep:{}", desktop.vault_id());
    let item = Item::new(&service, "fakeai:manual");
    assert_eq!(desktop.bus.witness_lookup(&item).as_deref(), Some(VALUE));
    assert_eq!(
        desktop.resolve("fakeai:manual")["values"]["fakeai:manual"],
        VALUE
    );
    assert_eq!(
        desktop.resolve("provider/fakeai")["values"]["provider/fakeai"],
        VALUE
    );
    assert!(!desktop.world.vault().join("vault.age").exists());
    assert!(desktop.world.search_home(VALUE).is_empty());
    // Both ways: what another program stores there is a secret of ours.
    let other = Item::new(&service, "by/hand");
    desktop
        .bus
        .witness_store(&other, &[], "fake-by-hand-0123456789");
    assert_eq!(
        desktop.run(&["secret", "get", "by/hand"]).ok().stdout,
        "fake-by-hand-0123456789"
    );

    for args in [
        &["slot", "list"][..],
        &["slot", "add", "identity-file"],
        &["slot", "remove", "keychain", "--yes"],
        &["rekey", "--yes"],
        &["recovery", "check", "--recovery-file", "x"],
    ] {
        let run = desktop.run(args).fails(1);
        assert!(
            run.stderr.contains("keeps each value in the keychain"),
            "{run}"
        );
    }
    let _ = desktop.run(&["init", "--custody", "keychain"]).fails(1);
    let args = ["models", "auth", "logout", "--provider", "fakeai", "--yes"];
    let _ = desktop.run(&args).ok();
    assert_eq!(desktop.bus.witness_lookup(&item), None);

    let _ = desktop.paste(VALUE).ok();
    drop(keyring);
    let locked = desktop.bus.keyring(None);
    assert_eq!(
        desktop.resolve("fakeai:manual")["errors"]["fakeai:manual"]["code"],
        "LOCKED"
    );
    let _ = desktop.run(&["secret", "get", "fakeai:manual"]).fails(75);
    let _ = desktop.paste("fake-other-value").fails(75);
    drop(locked);
    // Nobody owns the name any more.
    let answer = desktop.resolve("fakeai:manual");
    assert_eq!(answer["errors"]["fakeai:manual"]["code"], "LOCKED");
    assert_eq!(desktop.run(&["secret", "get", "fakeai:manual"]).stdout, "");
}

/// A vault of keychain items has no writer of its own that would end them: opening it does.
#[test]
fn what_a_migration_kept_is_put_back_or_ends_in_time() {
    if !ready() {
        return;
    }
    let desktop = Desktop::new();
    let _keyring = desktop.bus.keyring(Some(PASSWORD));
    let _ = desktop.run(&["init", "--custody", "keychain"]).ok();
    let env = format!("# Mine.\nFAKEAI_API_KEY={VALUE}\nOPENAI_API_KEY={VALUE}\n");
    let migrate = || {
        desktop.world.write("mine/.env", &env);
        let run = desktop
            .run(&["migrate", "mine/.env", "--for-run", "--yes", "--json"])
            .ok();
        run.json()["undo"].as_str().unwrap().to_owned()
    };
    let bundles = || {
        let listed = desktop.run(&["migrate", "--undo-list", "--json"]).ok();
        listed.json()["bundles"].as_array().unwrap().len()
    };
    let _ = migrate();
    assert!(!desktop.world.read("mine/.env").ends_with(env.as_bytes()));
    let _ = desktop
        .run(&["migrate", "--undo", "--yes", "--as-root"])
        .ok();
    assert_eq!(desktop.world.read("mine/.env"), env.as_bytes());

    let _ = desktop.run(&["migrate", "--forget", "all", "--yes"]).ok();
    let id = migrate();
    assert_eq!(bundles(), 1);
    let folder = desktop.world.vault().join("undo");
    let named = |id: &str| folder.join(format!("{id}.age"));
    std::fs::rename(named(&id), named("20010101-000000-00ff00")).unwrap();
    let _ = desktop.run(&["secret", "get", "openai:default"]).ok();
    assert!(!named("20010101-000000-00ff00").exists());
    assert_eq!(bundles(), 0);
}

#[test]
fn writers_of_one_keychain_item_do_not_mix_values_and_metadata() {
    if !ready() {
        return;
    }
    let desktop = Desktop::new();
    let _keyring = desktop.bus.keyring(Some(PASSWORD));
    let _ = desktop.run(&["init", "--custody", "keychain"]).ok();
    std::thread::scope(|scope| {
        for n in 0..12 {
            let desktop = &desktop;
            scope.spawn(move || {
                let value = format!("fake-value-{n}");
                let _ = desktop.paste(&value).ok();
            });
        }
    });
    // Metadata is believed only beside its own value: a mixed pair would have no provider.
    let listed = desktop.run(&["secret", "list", "--json"]).ok().json();
    assert_eq!(listed["secrets"].as_array().unwrap().len(), 1);
    assert_eq!(listed["secrets"][0]["provider"], "fakeai");
}

#[test]
fn a_keychain_opens_a_vault_file_and_rekey_replaces_its_item() {
    if !ready() {
        return;
    }
    let desktop = Desktop::new();
    let keyring = desktop.bus.keyring(Some(PASSWORD));
    // With a keychain nothing needs to be chosen.
    let run = desktop.run(&["init", "--recovery-file", "sheet.txt"]).ok();
    assert!(run.stderr.contains("Slot: keychain"), "{run}");
    let _ = desktop.paste(VALUE).ok();
    let old = desktop.vault_id();
    let item = |id: &str| Item::new("clawkeep", format!("vault:{id}"));
    let key = desktop.bus.witness_lookup(&item(&old)).unwrap();
    assert!(key.starts_with("AGE-SECRET-KEY-1"));
    assert!(desktop.world.search_home(&key).is_empty());
    assert_eq!(
        desktop.resolve("fakeai:manual")["values"]["fakeai:manual"],
        VALUE
    );

    let _ = desktop.run(&["rekey", "--yes"]).ok();
    let new = desktop.vault_id();
    assert_ne!(old, new);
    assert_eq!(desktop.bus.witness_lookup(&item(&old)), None);
    assert!(desktop.bus.witness_lookup(&item(&new)).is_some());
    assert_eq!(
        desktop.resolve("fakeai:manual")["values"]["fakeai:manual"],
        VALUE
    );
    let run = desktop
        .run(&["slot", "add", "keychain", "--name", "second"])
        .fails(1);
    assert!(run.stderr.contains("no second one"), "{run}");

    drop(keyring);
    let locked = desktop.bus.keyring(None);
    let answer = desktop.resolve("fakeai:manual");
    assert_eq!(answer["errors"]["fakeai:manual"]["code"], "LOCKED");
    let _ = desktop.run(&["secret", "list"]).fails(75);
    drop(locked);
    // Without any keychain the recovery key gives it back, to a slot that needs none.
    let run = desktop
        .run(&[
            "slot",
            "add",
            "identity-file",
            "--recovery-file",
            "sheet.txt",
        ])
        .ok();
    assert!(run.stderr.contains("added"), "{run}");
    assert_eq!(desktop.world.get("fakeai:manual"), VALUE);
}

/// A first run where a keychain is found: it is said and recommended, and the other ways are there; over
/// ssh, where nobody logs in at the desktop, the identity file is.
#[test]
fn a_first_run_finds_the_keychain_and_asks() {
    if !ready() {
        return;
    }
    for (answer, custody) in [("", "file"), ("v", "keychain")] {
        let desktop = Desktop::new();
        let _keyring = desktop.bus.keyring(Some(PASSWORD));
        let args = ["onboard", "--no-link", "--no-service"];
        let mut pty = Pty::start(desktop.cmd(&args));
        pty.expect("A keychain was found");
        pty.expect("(recommended here)");
        pty.expect("Choice [k]: ");
        pty.send_line(answer);
        if custody == "file" {
            pty.expect("Enter when it is written down: ");
            pty.send_line("");
            pty.expect("back (Enter to do that later): ");
            pty.wait_hidden();
            pty.send_line("");
        }
        pty.expect("Provider [anthropic]: ");
        pty.send_line("fakeai");
        pty.expect("Choice [k]: ");
        pty.send_line("");
        pty.expect("Profile [fakeai:default]: ");
        pty.send_line("");
        pty.expect("(hidden): ");
        pty.wait_hidden();
        pty.send_line(VALUE);
        pty.expect("Does it expire? [y/N] ");
        pty.send_line("");
        let run = pty.finish().run.ok();
        assert!(run.stdout.contains("as the gateway would"), "{run}");
        let got = desktop.resolve("fakeai:default");
        assert_eq!(got["values"]["fakeai:default"], VALUE);
        let is_file = desktop.world.vault().join("vault.age").exists();
        assert_eq!(is_file, custody == "file");
    }
    let desktop = Desktop::new();
    let _keyring = desktop.bus.keyring(Some(PASSWORD));
    let mut pty = Pty::start(
        desktop
            .cmd(&["onboard", "--no-link"])
            .env("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22"),
    );
    pty.expect("Choice [i]: ");
    pty.send("\x03");
    let _ = pty.finish().run.fails(130);
    assert!(!desktop.world.vault().join("vault.age").exists());
}
