//! A vault that a real GNOME Keyring opens, and one whose values lie in it: open, locked, and gone.
//!
//! Needs the Debian packages dbus, gnome-keyring and libsecret-tools; `CLAWKEEP_TEST_SKIP=keychain`
//! leaves it out.

use super::keyring::{Bus, ready};
use super::*;
use common::run::Cmd;

const PASSWORD: &str = "fake-keyring-password";

/// What the keychain needs of the environment.
const PASSED: [&str; 3] = ["HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];

struct Desktop {
    world: World,
    bus: Bus,
}

impl Desktop {
    /// A linked vault of that kind.
    fn new(init: &[&str]) -> (Desktop, impl Drop) {
        let desktop = Desktop {
            world: World::new(),
            bus: Bus::start(),
        };
        let keyring = desktop.bus.keyring(Some(PASSWORD));
        let _ = desktop.cmd(init).run().ok();
        install_openclaw(&desktop.world, "2026.6.1");
        install_clawkeep(&desktop.world);
        let paste = ["models", "auth", "paste-token", "--provider", "anthropic"];
        let id = ["--profile-id", "anthropic:work"];
        let _ = desktop
            .cmd(&[&paste[..], &id].concat())
            .stdin(SETUP_TOKEN)
            .run()
            .ok();
        desktop.configure(&PASSED);
        (desktop, keyring)
    }

    fn configure(&self, pass_env: &[&str]) {
        let mut entry = entry(&self.world);
        entry["passEnv"] = Value::from(pass_env);
        configure(&self.world, &entry, &[provider_ref("anthropic")]);
    }

    fn cmd(&self, args: &[&str]) -> Cmd {
        self.world
            .cmd(args)
            .env("DBUS_SESSION_BUS_ADDRESS", self.bus.address())
    }

    fn doctor(&self) -> BTreeMap<String, String> {
        checks(&self.cmd(&["doctor", "--json"]).run())
    }
}

#[test]
fn a_keychain_slot_is_open_locked_or_gone_and_said_to_be() {
    if !ready() {
        return;
    }
    let (desktop, keyring) = Desktop::new(&["init", "--slot", "keychain", "--no-recovery"]);
    let said = desktop.doctor();
    for id in [
        "slot-opens",
        "pass-env",
        "ref-resolves",
        "slot-reboot",
        "identity-beside-vault",
    ] {
        assert_eq!(said[id], "ok", "{id}");
    }
    // Open here, and not to the gateway.
    desktop.configure(&[]);
    let said = desktop.doctor();
    assert!(said["pass-env"].contains("DBUS_SESSION_BUS_ADDRESS"));
    assert!(
        said["ref-resolves"].contains("slot keychain opens the vault here"),
        "{}",
        said["ref-resolves"]
    );
    desktop.configure(&PASSED);
    drop(keyring);
    let locked = desktop.bus.keyring(None);
    let run = desktop.cmd(&["doctor", "--json"]).run().ok();
    let said = checks(&run);
    assert!(said["slot-opens"].starts_with("not checked: slot keychain: the keychain is locked"));
    for id in ["rollback", "ref-resolves", "token-expired"] {
        assert_eq!(said[id], "not checked: locked", "{id}");
    }
    drop(locked);
    let run = desktop.cmd(&["doctor"]).run().fails(1);
    assert!(run.stdout.contains("no keyring service runs"), "{run}");
    assert!(!run.stdout.contains("slot add keychain"), "{run}");
}

#[test]
fn values_in_the_keychain_are_open_locked_or_gone_and_said_to_be() {
    if !ready() {
        return;
    }
    let (desktop, keyring) = Desktop::new(&["init", "--custody", "keychain"]);
    let said = desktop.doctor();
    for id in [
        "slot-opens",
        "pass-env",
        "ref-resolves",
        "slot-reboot",
        "token-expired",
    ] {
        assert_eq!(said[id], "ok", "{id}");
    }
    assert!(said["agent-reach"].contains("opens without a person"));
    drop(keyring);
    let locked = desktop.bus.keyring(None);
    let run = desktop.cmd(&["doctor", "--json"]).run().ok();
    assert!(checks(&run)["slot-opens"].starts_with("not checked: the keychain is locked"));
    drop(locked);
    let run = desktop.cmd(&["doctor", "--json"]).run().fails(1);
    let said = checks(&run);
    assert!(said["slot-opens"].starts_with("error: there is no keychain here"));
}
