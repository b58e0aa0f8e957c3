//! `service` on a machine of scripts: what is written, asked and said, in both forms, when it goes
//! well and when it does not. What a real systemd makes of it is shown elsewhere.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own machine"
)]

mod isolated;
mod machine;
mod monitor;

use machine::{Machine, mode};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

const SYSTEM: [&str; 6] = ["service", "install", "--system", "--for", "alice", "--yes"];
const UNINSTALL: [&str; 6] = [
    "service",
    "uninstall",
    "--system",
    "--for",
    "alice",
    "--yes",
];
const STATUS: [&str; 5] = ["service", "status", "--system", "--for", "alice"];
const UNIT: &str = "etc/systemd/system/clawkeep-keeper-alice.service";
const CREDENTIAL: &str = "etc/clawkeep/alice.cred";

fn holds(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(r"\([0-9a-f]{16}\); edited", "([DIGEST]); edited");
    settings.add_filter(r" +\n", "\n");
    settings.add_filter(r"a new id, [0-9a-f]{12}", "a new id, [ID]");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn a_service_of_the_system_from_dry_run_to_uninstall() {
    let m = Machine::new();
    m.gateway("", "");
    m.gateway(
        "-work",
        "Environment=NODE_OPTIONS=--max-old-space-size=4096\n",
    );
    let mut text = String::new();
    let mut note = |ran: machine::Ran| text.extend([ran.text, "\n".to_owned()]);
    note(m.root(&[
        "service",
        "install",
        "--system",
        "--for",
        "alice",
        "--dry-run",
    ]));
    assert!(!m.path(UNIT).exists() && !m.path("etc/clawkeep").exists());
    note(m.root(&STATUS));
    note(m.root(&["service", "install", "--system", "--for", "alice"]));
    note(m.root(&SYSTEM));
    note(m.root(&STATUS));
    note(m.root(&["service", "status", "--system", "--for", "alice", "--json"]));
    note(m.root(&UNINSTALL));
    note(m.root(&UNINSTALL));
    text.extend(["calls:\n".to_owned(), m.calls()]);
    holds("system", &text);
}

#[test]
fn a_service_of_ones_own_from_dry_run_to_uninstall() {
    let m = Machine::new();
    m.gateway("", "");
    let mut text = String::new();
    let mut note = |ran: machine::Ran| text.extend([ran.text, "\n".to_owned()]);
    note(m.alice(&["service", "install", "--user", "--dry-run"]));
    note(m.alice(&["service", "install", "--user", "--yes"]));
    note(m.alice(&["service", "status"]));
    note(m.alice(&["service", "uninstall", "--user", "--yes"]));
    text.extend(["calls:\n".to_owned(), m.calls()]);
    holds("user", &text);
}

#[test]
fn what_is_written_has_the_rights_that_it_needs_and_no_secret() {
    let m = Machine::new();
    m.gateway("", "");
    let ran = m.root(&SYSTEM);
    assert_eq!(ran.code, 0, "{}", ran.text);
    let bits = |below: &str| m.path(below).metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(bits(UNIT), 0o644);
    assert_eq!(bits(CREDENTIAL), 0o600);
    assert_eq!(bits("usr/local/bin/clawkeep"), 0o755);
    let key = m.text(&m.path("state/plain")).unwrap();
    let key = key.lines().last().unwrap();
    assert!(key.starts_with("AGE-SECRET-KEY-1"));
    for path in [m.path(UNIT), m.path("calls"), m.vault().join("keeper.json")] {
        assert!(
            !m.text(&path).unwrap().contains("AGE-SECRET"),
            "{}",
            path.display()
        );
    }
    assert!(!ran.text.contains("AGE-SECRET"));
    let owner = m.vault().metadata().unwrap().uid();
    for path in [
        m.vault().join("keeper.json"),
        m.vault().join("slots/service.age"),
        m.home()
            .join(".config/systemd/user/openclaw-gateway.service.d/50-clawkeep.conf"),
    ] {
        assert_eq!(path.metadata().unwrap().uid(), owner, "{}", path.display());
    }
}

/// The unit's credential opens the vault, and still does after a rekey that systemd knows nothing of.
#[test]
fn the_credential_opens_the_vault_before_and_after_a_rekey() {
    let m = Machine::new();
    assert_eq!(m.root(&SYSTEM).code, 0);
    // Only the credential is left to open it; no keeper runs on this machine.
    let folder = m.home().join("credentials");
    std::fs::create_dir(&folder).unwrap();
    let key = m.text(&m.path("state/plain")).unwrap();
    std::fs::write(folder.join("clawkeep-identity"), key).unwrap();
    std::fs::remove_file(m.vault().join("keeper.json")).unwrap();
    let rekeyed = m.alice(&["rekey", "--yes"]);
    assert_eq!(rekeyed.code, 0, "{}", rekeyed.text);
    let bits = m.vault().metadata().unwrap();
    for path in [folder.clone(), folder.join("clawkeep-identity")] {
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(bits.uid()), None).unwrap();
        }
    }
    mode(&folder.join("clawkeep-identity"), 0o400);
    std::fs::remove_file(m.home().join(".config/clawkeep/identity.txt")).unwrap();
    assert_eq!(m.alice(&["secret", "list"]).code, 75);
    let opened = m.with_credentials(&folder, &["slot", "list", "--json"]);
    assert_eq!(opened.code, 0, "{}", opened.text);
    assert!(
        opened
            .stdout
            .contains("the systemd credential clawkeep-identity")
    );
    // The same with the cache lost.
    std::fs::remove_file(m.vault().join("vault.json")).unwrap();
    let opened = m.with_credentials(&folder, &["slot", "list", "--json"]);
    assert_eq!(opened.code, 0, "{}", opened.text);
}

#[test]
fn installing_again_changes_nothing_that_is_right() {
    let m = Machine::new();
    m.gateway("", "");
    assert_eq!(m.root(&SYSTEM).code, 0);
    let before = (
        m.text(&m.path(UNIT)),
        m.text(&m.path("state/plain")),
        std::fs::read(m.vault().join("slots/service.age")).unwrap(),
    );
    let _ = m.calls();
    let again = m.root(&SYSTEM);
    assert_eq!(again.code, 0, "{}", again.text);
    assert!(!again.text.contains("Wrote"), "{}", again.text);
    let after = (
        m.text(&m.path(UNIT)),
        m.text(&m.path("state/plain")),
        std::fs::read(m.vault().join("slots/service.age")).unwrap(),
    );
    assert_eq!(before, after);
    assert!(!m.calls().contains("encrypt"));
    // A key that another machine encrypted is made anew.
    m.file("state/fail-decrypt", "");
    let renewed = m.root(&SYSTEM);
    assert_eq!(renewed.code, 0, "{}", renewed.text);
    assert_ne!(m.text(&m.path("state/plain")), before.1);
}

#[test]
fn a_step_that_fails_takes_back_those_before_it() {
    for step in ["encrypt", "daemon-reload", "enable", "restart"] {
        let m = Machine::new();
        m.gateway("", "");
        m.file(&format!("state/fail-{step}"), "");
        let ran = m.root(&SYSTEM);
        assert_eq!(ran.code, 1, "{step}: {}", ran.text);
        for gone in [
            m.path(UNIT),
            m.path(CREDENTIAL),
            m.path("usr/local/bin/clawkeep"),
            m.vault().join("keeper.json"),
            m.vault().join("slots/service.age"),
        ] {
            assert!(
                !gone.exists(),
                "{step}: {} is left\n{}",
                gone.display(),
                ran.text
            );
        }
        // A manager that cannot even reload cannot be told to reload again; that is said.
        let is_said = ran
            .text
            .contains("Could not take back systemctl daemon-reload");
        assert_eq!(is_said, step == "daemon-reload", "{step}: {}", ran.text);
        if step == "restart" {
            assert!(
                ran.text
                    .contains("journalctl -u clawkeep-keeper-alice.service")
            );
            assert!(
                m.calls()
                    .contains("disable --now clawkeep-keeper-alice.service")
            );
        }
        assert_eq!(m.alice(&["secret", "list"]).code, 0);
    }
}

#[test]
fn what_a_person_edited_or_wrote_is_left_alone() {
    let m = Machine::new();
    m.gateway("", "");
    m.file(UNIT, "[Service]\nExecStart=/bin/mine\n");
    let ran = m.root(&SYSTEM);
    assert_eq!(ran.code, 1);
    assert!(
        ran.text.contains("clawkeep did not write it"),
        "{}",
        ran.text
    );
    std::fs::remove_file(m.path(UNIT)).unwrap();
    assert_eq!(m.root(&SYSTEM).code, 0);
    let edited = m
        .text(&m.path(UNIT))
        .unwrap()
        .replace("RestartSec=5", "RestartSec=9");
    m.file(UNIT, &edited);
    let ran = m.root(&SYSTEM);
    assert!(ran.text.contains("was edited since"), "{}", ran.text);
    let status = m.root(&STATUS);
    assert!(status.text.contains("edited"), "{}", status.text);
    let ran = m.root(&UNINSTALL);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(
        ran.text.contains("Kept [ROOT]/etc/systemd/system"),
        "{}",
        ran.text
    );
    assert_eq!(m.text(&m.path(UNIT)), Some(edited));
    assert!(!m.path(CREDENTIAL).exists());
}

#[test]
fn folders_that_another_user_could_change_get_no_unit() {
    let m = Machine::new();
    for (open, bits) in [
        ("etc/systemd/system", 0o777),
        ("etc/systemd", 0o1777),
        ("etc", 0o775),
    ] {
        mode(&m.path(open), bits);
        let ran = m.root(&SYSTEM);
        assert_eq!(ran.code, 1, "{open}: {}", ran.text);
        assert!(
            ran.text.contains("may be written by others"),
            "{}",
            ran.text
        );
        assert!(!m.path(UNIT).exists());
        mode(&m.path(open), 0o755);
    }
}

#[test]
fn a_false_root_is_refused() {
    let m = Machine::new();
    mode(&m.path(""), 0o777);
    let ran = m.root(&SYSTEM);
    assert_eq!(ran.code, 1);
    assert!(
        ran.text.contains("may be written by others"),
        "{}",
        ran.text
    );
    assert_eq!(m.calls(), "");
    mode(&m.path(""), 0o755);
}

/// A link in the user's home leads root nowhere: the user's own process meets it.
#[test]
fn links_in_the_home_are_met_by_the_user_alone() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let m = Machine::new();
    m.gateway("", "");
    let target = m.path("etc/shadow");
    m.file("etc/shadow", "fake");
    mode(&target, 0o600);
    let folder = m.home().join(".config/systemd/user");
    std::os::unix::fs::symlink(m.path("etc"), folder.join("openclaw-gateway.service.d")).unwrap();
    std::os::unix::fs::symlink(&target, m.vault().join("keeper.json")).unwrap();
    let ran = m.root(&SYSTEM);
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert_eq!(m.text(&target).as_deref(), Some("fake"));
    assert!(!m.path("etc/50-clawkeep.conf").exists());
}

#[test]
fn what_stands_in_the_way_is_said() {
    let m = Machine::new();
    let mut text = String::new();
    let mut note = |ran: machine::Ran| text.extend([ran.text, "\n".to_owned()]);
    note(m.root(&["service", "install", "--system", "--for", "bob", "--yes"]));
    note(m.root(&["service", "install", "--system", "--for", "a b", "--yes"]));
    m.gateway("", "Environment=NODE_OPTIONS=%I\n");
    note(m.root(&SYSTEM));
    m.gateway("", "UnsetEnvironment=NODE_OPTIONS\n");
    note(m.root(&SYSTEM));
    note(m.alice(&["service", "install", "--user", "--yes"]));
    note(m.root(&UNINSTALL));
    m.file("state/fail-encrypt", "");
    note(m.root(&[&SYSTEM[..], &["--credential-key", "tpm2"]].concat()));
    std::fs::remove_dir(m.path("run/systemd/system")).unwrap();
    note(m.root(&SYSTEM));
    holds("refusals", &text);
}

#[test]
fn a_vault_that_only_a_person_opens_is_no_service_of_ones_own() {
    let m = Machine::new();
    std::fs::remove_file(m.home().join(".config/clawkeep/identity.txt")).unwrap();
    let ran = m.alice(&["service", "install", "--user", "--yes"]);
    assert_eq!(ran.code, 75, "{}", ran.text);
    assert!(ran.text.contains("with nobody there"), "{}", ran.text);
    assert!(ran.text.contains("sudo clawkeep service install --system"));
}

#[test]
fn other_gateways_of_the_system_are_left_alone() {
    let m = Machine::new();
    let unit = |user: &str| format!("[Service]\nUser={user}\nExecStart=/usr/bin/node gateway\n");
    m.file(
        "etc/systemd/system/openclaw-gateway-a.service",
        &unit("alice"),
    );
    m.file(
        "etc/systemd/system/openclaw-gateway-b.service",
        &unit("bob"),
    );
    m.file(
        "etc/systemd/system/openclaw-gatewayx.service",
        &unit("alice"),
    );
    assert_eq!(m.root(&SYSTEM).code, 0);
    let drop_in = |name: &str| {
        m.text(&m.path(&format!(
            "etc/systemd/system/{name}.service.d/50-clawkeep.conf"
        )))
    };
    let own = drop_in("openclaw-gateway-a").unwrap();
    assert!(
        own.contains("\nAfter=clawkeep-keeper-alice.service\n"),
        "{own}"
    );
    assert_eq!(drop_in("openclaw-gateway-b"), None);
    assert_eq!(drop_in("openclaw-gatewayx"), None);
    assert_eq!(m.root(&UNINSTALL).code, 0);
    assert_eq!(drop_in("openclaw-gateway-a"), None);
}
