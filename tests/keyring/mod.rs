//! A session bus with a home of its own, a real GNOME Keyring on it, and `secret-tool` beside it.
//! Every program here runs with an empty environment but for that home and that bus, and ends with
//! the value that stands for it.

use clawkeep::host::Host;
use clawkeep::keychain::{Item, OsKeychain};
use rustix::process::Pid;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// Program and the package that brings it.
const NEEDED: [(&str, &str); 3] = [
    ("dbus-daemon", "dbus"),
    ("gnome-keyring-daemon", "gnome-keyring"),
    ("secret-tool", "libsecret-tools"),
];

/// Whether the programs are there. Panics with the package's name when one is not, unless the test
/// is left out on purpose.
pub(crate) fn ready() -> bool {
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
pub(crate) struct Running(Child);

impl Running {
    #[allow(dead_code, reason = "one of the two programs starts no other")]
    pub(crate) fn start(mut command: Command) -> Self {
        Running(command.spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> Pid {
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
pub(crate) struct Bus {
    dir: PathBuf,
    pub(crate) daemon: Option<Running>,
    /// Dropped after the daemon.
    _home: Option<TempDir>,
}

impl Bus {
    /// The bus of the test that runs this one in a process of its own.
    pub(crate) fn inherited() -> Self {
        let run_dir = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR").unwrap());
        Bus {
            dir: run_dir.parent().unwrap().to_owned(),
            daemon: None,
            _home: None,
        }
    }

    pub(crate) fn start() -> Self {
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
        Bus {
            dir: dir.path().to_owned(),
            daemon: Some(daemon),
            _home: Some(dir),
        }
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.dir.join("run")
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:path={}", self.run_dir().join("bus").display())
    }

    pub(crate) fn keychain(&self) -> OsKeychain {
        OsKeychain::on_bus(&self.address())
    }

    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        self.give(command.env_clear());
        command
    }

    /// Lets a program find this bus and its home.
    pub(crate) fn give(&self, command: &mut Command) {
        command
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.dir.join("home"))
            .env("XDG_RUNTIME_DIR", self.run_dir())
            .env("DBUS_SESSION_BUS_ADDRESS", self.address());
    }

    /// Starts the keyring service and waits until it owns its name. With a password it is unlocked,
    /// and a first start makes the default keyring.
    pub(crate) fn keyring(&self, password: Option<&str>) -> Running {
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

    pub(crate) fn secret_tool(&self, arguments: &[&str], input: &str) -> Output {
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

    pub(crate) fn witness_lookup(&self, item: &Item) -> Option<String> {
        let (service, account) = (item.service(), item.account());
        let output = self.secret_tool(&["lookup", "service", service, "username", account], "");
        let text = String::from_utf8(output.stdout).unwrap();
        output.status.success().then_some(text)
    }

    /// How many items of this name there are.
    pub(crate) fn witness_count(&self, item: &Item) -> usize {
        let (service, account) = (item.service(), item.account());
        let arguments = ["search", "--all", "service", service, "username", account];
        let output = self.secret_tool(&arguments, "");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter(|line| line.starts_with('[')).count()
    }

    pub(crate) fn witness_store(&self, item: &Item, more: &[&str], value: &str) {
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
pub(crate) fn prompter(bus: &Bus) -> Arc<AtomicUsize> {
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
