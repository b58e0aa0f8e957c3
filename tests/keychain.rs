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

use clawkeep::error::Kind;
use clawkeep::expiry::Millis;
use clawkeep::host::Host;
use clawkeep::keychain::{Item, Keychain, LIMIT, OsKeychain, Presence};
use clawkeep::secret::{Alphabet, MAX_SECRET, Secret, SecretId, SecretKind};
use clawkeep::store::{Meta, Resolve, Store};
use clawkeep::vault::id::VaultId;
use clawkeep::vault::items::KeychainStore;
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

const PASSWORD: &str = "fake-keyring-password";
const VALUE: &str = "sk-fake-0123456789";
/// Set for a test that is run again in a process with an environment of its own.
const CHILD: &str = "CLAWKEEP_TEST_KEYCHAIN_CHILD";

/// Program and the package that brings it.
const NEEDED: [(&str, &str); 3] = [
    ("dbus-daemon", "dbus"),
    ("gnome-keyring-daemon", "gnome-keyring"),
    ("secret-tool", "libsecret-tools"),
];

/// Whether the programs are there. Panics with the package's name when one is not, unless the test
/// is left out on purpose.
fn ready() -> bool {
    let skipped = std::env::var("CLAWKEEP_TEST_SKIP")
        .is_ok_and(|list| list.split(',').any(|name| name.trim() == "keychain"));
    if skipped {
        eprintln!("left out: CLAWKEEP_TEST_SKIP names keychain");
        return false;
    }
    for (program, package) in NEEDED {
        assert!(
            Host::real().on_path(program).is_some(),
            "{program} is missing: apt-get install {package} (or CLAWKEEP_TEST_SKIP=keychain)"
        );
    }
    true
}

/// A child that does not outlive its test.
struct Running(Child);

impl Running {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A session bus with a home of its own, which starts no service by itself.
struct Bus {
    dir: TempDir,
    daemon: Running,
}

impl Bus {
    fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("ck").tempdir().unwrap();
        for name in ["home/.local/share/keyrings", "run"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let socket = dir.path().join("run/bus");
        let config = dir.path().join("bus.conf");
        let text = format!(
            "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
             \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\
             <busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
             <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
            socket.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut daemon = Running(
            Command::new("dbus-daemon")
                .arg("--nofork")
                .arg("--print-address")
                .arg(format!("--config-file={}", config.display()))
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        // The address is printed once the socket listens.
        let mut line = String::new();
        BufReader::new(daemon.0.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.starts_with("unix:path="), "{line}");
        Bus { dir, daemon }
    }

    fn run_dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.run_dir().join("bus").display())
    }

    fn keychain(&self) -> OsKeychain {
        OsKeychain::on_bus(&self.address())
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.dir.path().join("home"))
            .env("XDG_RUNTIME_DIR", self.run_dir())
            .env("DBUS_SESSION_BUS_ADDRESS", self.address());
        command
    }

    /// Starts the keyring service and waits until it owns its name. With a password it is unlocked,
    /// and a first start makes the default keyring.
    fn keyring(&self, password: Option<&str>) -> Running {
        let bus = zbus::blocking::connection::Builder::address(self.address().as_str())
            .unwrap()
            .build()
            .unwrap();
        let names = zbus::blocking::fdo::DBusProxy::new(&bus).unwrap();
        let mut changes = names.receive_name_owner_changed().unwrap();
        let mut command = self.command("gnome-keyring-daemon");
        command
            .args(["--foreground", "--components=secrets"])
            .args(password.map(|_| "--unlock"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut daemon = Running(command.spawn().unwrap());
        let mut stdin = daemon.0.stdin.take().unwrap();
        stdin.write_all(password.unwrap_or("").as_bytes()).unwrap();
        drop(stdin);
        changes
            .find(|change| {
                let change = change.args().unwrap();
                change.name() == "org.freedesktop.secrets" && change.new_owner().is_some()
            })
            .unwrap();
        daemon
    }

    fn secret_tool(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .command("secret-tool")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    fn witness_lookup(&self, item: &Item) -> Option<String> {
        let (service, account) = (item.service(), item.account());
        let output = self.secret_tool(&["lookup", "service", service, "username", account], "");
        let text = String::from_utf8(output.stdout).unwrap();
        output.status.success().then_some(text)
    }

    fn witness_store(&self, item: &Item, more: &[&str], value: &str) {
        let (service, account) = (item.service(), item.account());
        let mut arguments = vec![
            "store",
            "--label=x",
            "service",
            service,
            "username",
            account,
        ];
        arguments.extend(more);
        let output = self.secret_tool(&arguments, value);
        assert!(output.status.success(), "{output:?}");
    }
}

/// Stands where the desktop's unlock dialog would be, says no, and counts how often it was asked.
fn prompter(bus: &Bus) -> Arc<AtomicUsize> {
    let desktop = zbus::blocking::connection::Builder::address(bus.address().as_str())
        .unwrap()
        .name("org.gnome.keyring.SystemPrompter")
        .unwrap()
        .build()
        .unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    std::thread::spawn(move || {
        for message in zbus::blocking::MessageIterator::from(desktop.clone()).flatten() {
            let header = message.header();
            if header
                .member()
                .is_some_and(|member| member == "BeginPrompting")
            {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = desktop.reply_error(&header, "org.example.Fake.No", &"no");
            }
        }
    });
    asked
}

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
    // With a person, who says no.
    let attended = bus.keychain().attended(LIMIT);
    assert_every_call_is(&attended, Kind::Locked);
    assert_ne!(asked.load(Ordering::SeqCst), 0, "no dialog was opened");
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
