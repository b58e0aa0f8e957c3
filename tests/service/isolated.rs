//! `service … --isolated` on a machine of scripts: the vault moves to a user of its own and back, cut off
//! or not. What a real systemd makes of it is shown elsewhere.

use crate::holds;
use crate::machine::{KEEPER, Machine, Ran, mode};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

const INSTALL: [&str; 6] = [
    "service",
    "install",
    "--isolated",
    "--for",
    "alice",
    "--yes",
];
const UNINSTALL: [&str; 6] = [
    "service",
    "uninstall",
    "--isolated",
    "--for",
    "alice",
    "--yes",
];
const VALUE: &str = "sk-fake-value-that-moves";
const KEEPER_UNIT: &str = "etc/systemd/system/clawkeep-keeper-alice.service";
const GATEWAY_UNIT: &str = "etc/systemd/system/openclaw-gateway.service";

/// A machine whose user has a linked vault with one value, and a gateway; `None` without root.
fn machine() -> Option<Machine> {
    if !Machine::has_users() {
        return None;
    }
    let m = Machine::new();
    m.gateway("", "Environment=HOME=/home/alice\n");
    m.stores(VALUE);
    m.link();
    Some(m)
}

fn value(ran: &Ran) -> bool {
    ran.code == 0 && ran.stdout.trim() == VALUE
}

const SHOW: [&str; 6] = ["run", "--env", "T=fake:main", "--", "/bin/sh", "-c"];

fn show() -> Vec<&'static str> {
    SHOW.into_iter().chain(["printf %s \"$T\""]).collect()
}

fn isolated(m: &Machine) -> PathBuf {
    m.path("var/lib/clawkeep/alice")
}

/// Somebody has the value: the user's own vault opens it, or the keeper's.
fn somebody_has_it(m: &Machine, when: &str) {
    let old = m.vault().join("vault.age").exists() && !m.vault().join("keeper.json").exists();
    if old {
        let ran = m.alice(&show());
        assert!(value(&ran), "{when}: {}", ran.text);
    } else {
        let ran = m.keeper(&show());
        assert!(value(&ran), "{when}: {}", ran.text);
    }
}

fn is_isolated(m: &Machine, when: &str) {
    assert!(value(&m.keeper(&show())), "{when}");
    for gone in ["vault.age", "vault.json", "slots"] {
        assert!(!m.vault().join(gone).exists(), "{when}: {gone}");
    }
    assert!(
        !m.home().join(".config/clawkeep/identity.txt").exists(),
        "{when}"
    );
    let config = m.text(&m.home().join("openclaw.json")).unwrap();
    assert!(config.contains("--keeper-user"), "{when}: {config}");
    assert!(m.path(GATEWAY_UNIT).exists(), "{when}");
}

fn is_at_rest(m: &Machine, when: &str) {
    assert!(value(&m.alice(&show())), "{when}");
    for gone in [
        isolated(m),
        m.path(KEEPER_UNIT),
        m.path(GATEWAY_UNIT),
        m.path("etc/clawkeep"),
        m.vault().join("keeper.json"),
    ] {
        assert!(!gone.exists(), "{when}: {}", gone.display());
    }
    let config = m.text(&m.home().join("openclaw.json")).unwrap();
    assert!(!config.contains("--keeper"), "{when}: {config}");
    let own = m
        .home()
        .join(".config/systemd/user/openclaw-gateway.service");
    assert!(own.exists(), "{when}");
    assert!(
        m.path("state/user-active-openclaw-gateway.service")
            .exists(),
        "{when}"
    );
}

#[test]
fn the_isolated_form_from_dry_run_to_uninstall() {
    let Some(m) = machine() else { return };
    let mut text = String::new();
    let mut note = |ran: Ran| text.extend([ran.text, "\n".to_owned()]);
    note(m.root(&[
        "service",
        "install",
        "--isolated",
        "--for",
        "alice",
        "--dry-run",
    ]));
    assert!(!isolated(&m).exists() && !m.path("etc/clawkeep").exists());
    note(m.root(&INSTALL));
    is_isolated(&m, "installed");
    note(m.root(&["service", "status", "--for", "alice"]));
    note(m.alice(&["models", "auth", "list"]));
    note(m.alice(&["init", "--slot", "identity-file", "--no-recovery"]));
    note(m.root(&UNINSTALL));
    is_at_rest(&m, "uninstalled");
    note(m.root(&UNINSTALL));
    text.extend(["calls:\n".to_owned(), m.calls()]);
    holds("isolated", &text);
}

#[test]
fn a_command_runs_as_the_keepers_user_with_the_credential_and_no_value_as_an_argument() {
    let Some(m) = machine() else { return };
    let early = m.root(&["service", "run", "--for", "alice"]);
    assert_ne!(early.code, 0);
    assert_eq!(m.root(&INSTALL).code, 0);
    let mut command = std::process::Command::new(m.program());
    command
        .args(["service", "run", "--for", "alice", "--root"])
        .arg(m.path(""))
        .args(["--", "secret", "list", "$HOME"])
        .stdin(std::process::Stdio::null());
    let out = String::from_utf8(command.output().unwrap().stdout).unwrap();
    for word in [
        "[--pipe]",
        "[--property=User=clawkeep-alice]",
        "[--property=LoadCredentialEncrypted=clawkeep-identity:/etc/clawkeep/alice.cred]",
        "[--property=ReadWritePaths=/var/lib/clawkeep/alice]",
        "[/usr/local/bin/clawkeep]\n[--vault]\n[/var/lib/clawkeep/alice]\n[secret]\n[list]\n[$$HOME]",
    ] {
        assert!(out.contains(word), "{word}:\n{out}");
    }
    assert!(!out.contains(VALUE) && !out.contains("AGE-SECRET"));
}

#[test]
fn everything_moves_and_only_the_keeper_and_the_recovery_key_open_it() {
    if !Machine::has_users() {
        return;
    }
    let Some(m) = machine() else { return };
    let old = m.text(&m.vault().join("vault.json")).unwrap();
    let ran = m.root(&INSTALL);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(!ran.text.contains(VALUE) && !ran.text.contains("AGE-SECRET"));
    let dir = isolated(&m);
    let meta = dir.metadata().unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o7777), (KEEPER, 0o700));
    let new = m.text(&dir.join("vault.json")).unwrap();
    let id = |text: &str| {
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        json["vault_id"].as_str().unwrap().to_owned()
    };
    assert_ne!(id(&old), id(&new), "a known identity opens nothing");
    let slots = m.keeper(&["slot", "list", "--json"]);
    assert!(slots.stdout.contains("\"service\""), "{}", slots.text);
    assert!(!slots.stdout.contains("identity.txt"), "{}", slots.text);
    // A new identity needs no file of the gateway's user.
    let rekeyed = m.keeper(&["rekey", "--yes"]);
    assert_eq!(rekeyed.code, 0, "{}", rekeyed.text);
    assert!(value(&m.keeper(&show())));
    let calls = m.calls();
    assert!(
        calls.contains("useradd --system --no-create-home"),
        "{calls}"
    );
}

#[test]
fn what_fails_is_taken_back() {
    for step in ["encrypt", "daemon-reload", "enable", "restart"] {
        let Some(m) = machine() else { return };
        let config = m.text(&m.home().join("openclaw.json"));
        m.file(&format!("state/fail-{step}"), "");
        let ran = m.root(&INSTALL);
        assert_eq!(ran.code, 1, "{step}: {}", ran.text);
        for gone in [
            m.path(KEEPER_UNIT),
            m.path(GATEWAY_UNIT),
            m.vault().join("keeper.json"),
        ] {
            assert!(!gone.exists(), "{step}: {}\n{}", gone.display(), ran.text);
        }
        assert_eq!(m.text(&m.home().join("openclaw.json")), config, "{step}");
        assert!(value(&m.alice(&show())), "{step}");
        // What was stored since then moves too, over the copy that is there.
        std::fs::remove_file(m.path(&format!("state/fail-{step}"))).unwrap();
        let ran = m.root(&INSTALL);
        assert_eq!(ran.code, 0, "{step}: {}", ran.text);
        is_isolated(&m, step);
    }
}

#[test]
fn a_move_that_is_killed_loses_nothing_and_running_it_again_finishes() {
    let keeper = "clawkeep-keeper-alice.service";
    let gateway = "openclaw-gateway.service";
    for at in [
        "system-daemon-reload-daemon-reload".to_owned(),
        format!("system-is-enabled-{keeper}"),
        format!("system-enable-{keeper}"),
        format!("system-restart-{keeper}"),
        format!("system-is-active-{keeper}"),
        format!("user-disable-{gateway}"),
        format!("system-enable-{gateway}"),
        format!("system-restart-{gateway}"),
    ] {
        let Some(m) = machine() else { return };
        let kill = m.path(&format!("state/kill-{at}"));
        std::fs::write(&kill, "").unwrap();
        mode(&kill, 0o666);
        let ran = m.root(&INSTALL);
        assert_ne!(ran.code, 0, "{at}: {}", ran.text);
        assert!(!kill.exists(), "{at}: was never called\n{}", ran.text);
        somebody_has_it(&m, &at);
        let ran = m.root(&INSTALL);
        assert_eq!(ran.code, 0, "{at}: {}", ran.text);
        is_isolated(&m, &at);
    }
}

#[test]
fn a_way_back_that_is_killed_loses_nothing_and_running_it_again_finishes() {
    let keeper = "clawkeep-keeper-alice.service";
    let gateway = "openclaw-gateway.service";
    for at in [
        format!("system-disable-{gateway}"),
        format!("system-disable-{keeper}"),
        "system-daemon-reload-daemon-reload".to_owned(),
        "user-daemon-reload-daemon-reload".to_owned(),
        format!("user-enable-{gateway}"),
    ] {
        let Some(m) = machine() else { return };
        assert_eq!(m.root(&INSTALL).code, 0, "{at}");
        let kill = m.path(&format!("state/kill-{at}"));
        std::fs::write(&kill, "").unwrap();
        mode(&kill, 0o666);
        let ran = m.root(&UNINSTALL);
        assert_ne!(ran.code, 0, "{at}: {}", ran.text);
        assert!(!kill.exists(), "{at}: was never called\n{}", ran.text);
        somebody_has_it(&m, &at);
        let ran = m.root(&UNINSTALL);
        assert_eq!(ran.code, 0, "{at}: {}", ran.text);
        is_at_rest(&m, &at);
    }
}

#[test]
fn a_vault_that_an_agent_puts_in_the_old_place_is_not_taken_in() {
    let Some(m) = machine() else { return };
    assert_eq!(m.root(&INSTALL).code, 0);
    std::fs::remove_file(m.vault().join("keeper.json")).unwrap();
    let made = m.alice(&["init", "--slot", "identity-file", "--no-recovery"]);
    assert_eq!(made.code, 0, "{}", made.text);
    m.stores("sk-fake-of-the-agent");
    let again = m.root(&INSTALL);
    assert_ne!(again.code, 0, "{}", again.text);
    assert!(again.text.contains("is not the one that was handed over"));
    assert!(m.vault().join("vault.age").exists());
    assert!(value(&m.keeper(&show())), "nothing of it was taken in");
}

/// Somebody who had the vault open when it was handed over writes it after that.
#[test]
fn a_value_that_is_stored_while_the_vault_moves_is_kept_and_the_command_says_so() {
    const LATER: &str = "sk-fake-value-stored-in-between";
    let Some(m) = machine() else { return };
    let files = ["vault.age", "vault.json"].map(|name| m.vault().join(name));
    let before = files.each_ref().map(|path| std::fs::read(path).unwrap());
    m.stores(LATER);
    let later = std::fs::read(&files[0]).unwrap();
    std::fs::write(m.path("state/later"), &later).unwrap();
    for (path, bytes) in files.iter().zip(before) {
        std::fs::write(path, bytes).unwrap();
    }
    let at = m.path("state/at-system-enable-openclaw-gateway.service");
    let (from, to) = (m.path("state/later"), files[0].display());
    std::fs::write(&at, format!("cat {} > {to}\n", from.display())).unwrap();
    let ran = m.root(&INSTALL);
    assert_ne!(ran.code, 0, "{}", ran.text);
    assert!(
        ran.text.contains("is not the one that was handed over"),
        "{}",
        ran.text
    );
    assert_eq!(std::fs::read(&files[0]).unwrap(), later);
    assert!(m.vault().join("slots").exists());
    assert!(value(&m.keeper(&show())));
    // As the hint says: both come together.
    std::fs::remove_file(at).unwrap();
    let ran = m.root(&UNINSTALL);
    assert_eq!(ran.code, 0, "{}", ran.text);
    let has = m.alice(&show());
    assert_eq!(has.stdout.trim(), LATER, "{}", has.text);
    assert_eq!(m.root(&INSTALL).code, 0);
    assert_eq!(m.keeper(&show()).stdout.trim(), LATER);
}

/// The same on the way back: what was stored in the isolated vault after it was read.
#[test]
fn a_value_that_is_stored_while_the_vault_goes_back_is_kept_and_the_command_says_so() {
    let Some(m) = machine() else { return };
    assert_eq!(m.root(&INSTALL).code, 0);
    let vault = isolated(&m).join("vault.age");
    let at = m.path("state/at-system-disable-clawkeep-keeper-alice.service");
    std::fs::write(&at, format!("printf x >> {}\n", vault.display())).unwrap();
    let ran = m.root(&UNINSTALL);
    assert_ne!(ran.code, 0, "{}", ran.text);
    assert!(
        ran.text.contains("is not the one that was handed over"),
        "{}",
        ran.text
    );
    assert!(vault.exists() && m.path("etc/clawkeep/alice.cred").exists());
}

/// Killed before anything arrived, nobody is locked out for good, and an old copy does not count.
#[test]
fn a_move_that_ends_before_the_vault_arrived_begins_again() {
    let Some(m) = machine() else { return };
    m.file("state/fail-restart", "");
    assert_ne!(m.root(&INSTALL).code, 0);
    std::fs::remove_file(m.path("state/fail-restart")).unwrap();
    assert!(isolated(&m).join("vault.age").exists());
    m.stores("sk-fake-newer");
    let pointer = serde_json::json!({
        "version": 1, "socket": "/run/clawkeep-keeper-alice/keeper.sock", "required": true,
        "release": "once", "keeper_user": KEEPER, "gateway_unit": "openclaw-gateway.service",
    });
    let path = m.vault().join("keeper.json");
    std::fs::write(&path, pointer.to_string()).unwrap();
    mode(&path, 0o600);
    std::os::unix::fs::chown(&path, Some(54321), Some(54321)).unwrap();
    assert_ne!(m.alice(&show()).code, 0);
    let ran = m.root(&INSTALL);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert_eq!(m.keeper(&show()).stdout.trim(), "sk-fake-newer");
}

#[test]
fn what_cannot_be_isolated_is_said_before_anything_is_done() {
    let Some(m) = machine() else { return };
    let refused = |m: &Machine, said: &str, args: &[&str]| {
        let ran = m.root(args);
        assert_ne!(ran.code, 0, "{}", ran.text);
        assert!(ran.text.contains(said), "{said}: {}", ran.text);
        assert!(!m.path("etc/clawkeep").exists() && !isolated(m).exists());
        assert!(!m.calls().contains("useradd"));
    };
    mode(&m.path("usr/local/bin"), 0o777);
    refused(&m, "usr/local/bin may be written by others", &INSTALL);
    mode(&m.path("usr/local/bin"), 0o755);
    // What was migrated lies in plain text in there, as far as this user's slots go.
    let bundles = m.vault().join("undo");
    std::fs::create_dir(&bundles).unwrap();
    mode(&bundles, 0o700);
    let bundle = bundles.join("20261128-150203-00ff00.age");
    std::fs::write(&bundle, "FAKE").unwrap();
    let owner = std::fs::metadata(m.vault()).unwrap().uid();
    for path in [&bundles, &bundle] {
        std::os::unix::fs::chown(path, Some(owner), Some(owner)).unwrap();
    }
    refused(
        &m,
        "1 undo bundles of migrations lie beside this vault",
        &INSTALL,
    );
    std::fs::remove_file(&bundle).unwrap();
    let unit = m.gateway("", "Environment=FAKE_API_KEY=sk-fake-plain\n");
    refused(
        &m,
        "in plain text, which no unit is to hold: FAKE_API_KEY",
        &INSTALL,
    );
    m.gateway("", "");
    let other = m.gateway("-work", "");
    refused(&m, "there are several gateways", &INSTALL);
    std::fs::remove_file(other).unwrap();
    std::fs::remove_file(unit).unwrap();
    refused(&m, "no gateway of that user was found", &INSTALL);
    m.gateway("", "");
    std::fs::remove_file(m.vault().join("link.json")).unwrap();
    refused(&m, "OpenClaw is not linked to this vault", &INSTALL);
    m.link();
    let by_hand = "[Service]\nUser=bob\nExecStart=/bin/true\n";
    m.file(GATEWAY_UNIT, by_hand);
    refused(&m, "clawkeep did not write it", &INSTALL);
    assert_eq!(m.text(&m.path(GATEWAY_UNIT)).unwrap(), by_hand);
}

/// A unit of the system's that a person wrote for this user is kept, with a drop-in of ours.
#[test]
fn a_gateway_that_is_a_unit_of_the_system_already_gets_a_drop_in() {
    let Some(m) = machine() else { return };
    let own = m
        .home()
        .join(".config/systemd/user/openclaw-gateway.service");
    std::fs::remove_file(own).unwrap();
    let by_hand = "[Service]\nUser=alice\nExecStart=/usr/bin/node gateway\n";
    m.file(GATEWAY_UNIT, by_hand);
    let ran = m.root(&INSTALL);
    assert_eq!(ran.code, 0, "{}", ran.text);
    let drop_in = m.path(
        GATEWAY_UNIT
            .replace(".service", ".service.d/50-clawkeep.conf")
            .as_str(),
    );
    let text = m.text(&drop_in).unwrap();
    assert!(
        text.contains("Wants=clawkeep-keeper-alice.service"),
        "{text}"
    );
    let ran = m.root(&UNINSTALL);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(!drop_in.exists());
    assert_eq!(m.text(&m.path(GATEWAY_UNIT)).unwrap(), by_hand);
}

/// Run by sudo from the user's own folder: what runs is copied, and root's unit starts the copy.
#[test]
fn a_program_of_the_users_own_is_copied_to_where_only_root_can_change_it() {
    for form in [&["--isolated"][..], &["--system"]] {
        let Some(m) = machine() else { return };
        let args = [&["service", "install"], form, &["--for", "alice", "--yes"]].concat();
        let ran = m.root_from_home(&args);
        assert_eq!(ran.code, 0, "{}", ran.text);
        let copy = m.path("usr/local/bin/clawkeep");
        let meta = copy.metadata().unwrap();
        assert_eq!((meta.uid(), meta.mode() & 0o7777), (0, 0o755));
        let own = std::fs::read(m.program()).unwrap();
        assert!(std::fs::read(&copy).unwrap() == own);
        let unit = m.text(&m.path(KEEPER_UNIT)).unwrap();
        assert!(
            unit.contains("ExecStart=/usr/local/bin/clawkeep "),
            "{unit}"
        );
    }
}

#[test]
fn two_changes_of_one_machine_do_not_run_at_once() {
    let Some(m) = machine() else { return };
    let lock = std::fs::File::create(m.path("run/clawkeep-service.lock")).unwrap();
    mode(&m.path("run/clawkeep-service.lock"), 0o600);
    lock.lock().unwrap();
    for args in [&INSTALL, &UNINSTALL] {
        let ran = m.root(args);
        assert_ne!(ran.code, 0);
        assert!(ran.text.contains("is under way"), "{}", ran.text);
    }
    assert!(!isolated(&m).exists() && !m.path("etc/clawkeep").exists());
    drop(lock);
    assert_eq!(m.root(&INSTALL).code, 0);
}

/// A credential that another hand replaced would leave the keeper without its vault at its next start.
#[test]
fn a_credential_that_does_not_open_the_new_vault_ends_the_move() {
    let Some(m) = machine() else { return };
    let other = m.home().join(".config/clawkeep/identity.txt");
    std::fs::copy(other, m.path("state/other")).unwrap();
    let ran = m.root(&INSTALL);
    assert_ne!(ran.code, 0, "{}", ran.text);
    assert!(
        ran.text.contains("does not open the new vault"),
        "{}",
        ran.text
    );
    assert!(value(&m.alice(&show())) && !m.path(KEEPER_UNIT).exists());
}
