//! One machine: a root of its own, booted by systemd-nspawn as often as a test wants, each time with
//! a script that a unit runs once the machine is up.
//!
//! Promise: a machine sees nothing of this host but the program under test, Node and OpenClaw
//! (read-only), and no network but its own loopback. It never outlives its test: its processes have
//! a cgroup of their own, which is what a time limit ends. systemd is started nowhere else than
//! inside nspawn: outside, it would empty this host's /tmp.

use crate::common::{self, left_out};
use crate::root::Base;
use crate::transcript::Transcript;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// From power on to power off. Far beyond what any scenario takes: it is no measure of speed.
const LIMIT: Duration = Duration::from_mins(15);

/// Where hosts have the cgroup hierarchies that systemd uses, whichever it has.
const HIERARCHIES: [&str; 3] = [
    "/sys/fs/cgroup",
    "/sys/fs/cgroup/unified",
    "/sys/fs/cgroup/systemd",
];

/// Runs the scenario when everything else is up, then powers off.
const DRIVER: &str = "[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash -c '. /results/prelude.sh; . /results/scenario.sh; touch /results/done'
StandardOutput=file:/results/driver.log
StandardError=file:/results/driver.log
TimeoutStartSec=infinity
# Whatever the script does, also when it ends itself: the journal is kept and the power goes off.
ExecStopPost=/bin/bash -c 'journalctl -b --no-pager -o short-precise >/results/journal; systemctl --no-block poweroff'
";

/// In place of multi-user.target, which it contains.
const TARGET: &str = "[Unit]
Requires=multi-user.target
Wants=clawkeep-boot-driver.service
After=multi-user.target
AllowIsolate=yes
";

/// The recording model provider, on the port that every scenario's openclaw.json names.
const PROVIDER: &str = "[Unit]
Description=a model provider that records
[Service]
ExecStart=/opt/node/bin/node /opt/provider.mjs 9999 /results/requests.jsonl
Restart=always
[Install]
WantedBy=multi-user.target
";

/// systemd-creds with the variable. What a kernel's resource manager does is done here: systemd 252
/// leaves its sessions behind, and a TPM2 has room for three.
const WITH_TPM: &str = "#!/bin/sh
export SYSTEMD_TPM2_DEVICE=swtpm:host=127.0.0.1,port=2321 TPM2TOOLS_TCTI=swtpm:host=127.0.0.1,port=2321
/opt/systemd-creds \"$@\"
status=$?
/usr/bin/tpm2_flushcontext --loaded-session >/dev/null 2>&1
exit $status
";

/// A machine that is off.
pub(crate) struct Machine {
    name: String,
    base: Base,
    dir: tempfile::TempDir,
    openclaw: bool,
    tpm: bool,
}

impl Machine {
    /// A new machine; `None`, with the reason printed, where it cannot run or was left out.
    pub(crate) fn new() -> Option<Machine> {
        if left_out("boot") {
            return None;
        }
        let base = match ready().and_then(|()| Base::get()) {
            Ok(base) => base,
            Err(reason) => {
                say(reason);
                return None;
            }
        };
        let dir = tempfile::Builder::new()
            .prefix("machine-")
            .tempdir_in(common::cache().join("boot"))
            .unwrap();
        let name = dir.path().file_name().unwrap().to_str().unwrap();
        let machine = Machine {
            // A host name has no capitals and no underscore.
            name: format!(
                "{}-{}",
                std::process::id(),
                name.to_ascii_lowercase().replace(['_', '.'], "")
            ),
            base,
            dir,
            openclaw: false,
            tpm: false,
        };
        machine.furnish();
        Some(machine)
    }

    /// The same with Node and OpenClaw 2026.9.6 in it, and the recording model provider running. Only
    /// with `scripts/test --long`: OpenClaw alone takes a minute or more of every such scenario.
    pub(crate) fn with_openclaw() -> Option<Machine> {
        if left_out("openclaw") {
            return None;
        }
        if common::rounds(0, 1) == 0 {
            say("left for scripts/test --long");
            return None;
        }
        let mut machine = Machine::new()?;
        for path in [node(), openclaw()] {
            assert!(
                path.is_dir(),
                "{} is missing: run scripts/test, which installs it",
                path.display()
            );
        }
        machine.openclaw = true;
        for dir in ["opt/node", "opt/openclaw"] {
            std::fs::create_dir_all(machine.root().join(dir)).unwrap();
        }
        machine.write("opt/provider.mjs", include_str!("provider.mjs"));
        machine.write("etc/systemd/system/provider.service", PROVIDER);
        machine.enable("provider.service", "multi-user.target.wants");
        for (link, target) in [
            ("node", "/opt/node/bin/node"),
            (
                "openclaw",
                "/opt/openclaw/node_modules/openclaw/openclaw.mjs",
            ),
        ] {
            let link = machine.local().join("bin").join(link);
            std::os::unix::fs::symlink(target, link).unwrap();
        }
        Some(machine)
    }

    /// Gives it a software TPM2, started early in each boot, its state kept over power off. systemd
    /// itself uses it, told by a variable as there is no device.
    #[must_use]
    pub(crate) fn tpm(mut self) -> Machine {
        self.tpm = true;
        self.write(
            "etc/systemd/system/swtpm.service",
            include_str!("swtpm.service"),
        );
        self.enable("swtpm.service", "sysinit.target.wants");
        std::fs::create_dir_all(self.root().join("var/lib/swtpm")).unwrap();
        // Programs that clear the environment find the TPM2 too, as they would find a device.
        std::fs::create_dir_all(self.root().join("opt")).unwrap();
        std::fs::copy(
            self.base.usr().join("bin/systemd-creds"),
            self.root().join("opt/systemd-creds"),
        )
        .unwrap();
        self.write("opt/with-tpm", WITH_TPM);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.path("opt/with-tpm"), mode).unwrap();
        self
    }

    /// Writes a file of root's, 0644, below the machine's `/`.
    pub(crate) fn write(&self, below_root: &str, text: &str) {
        let path = self.root().join(below_root);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }

    /// Where a path below the machine's `/` (not below its /usr) lies on this host.
    pub(crate) fn path(&self, below_root: &str) -> PathBuf {
        self.root().join(below_root)
    }

    /// Power on, `script` (bash, with what prelude.sh has), power off.
    ///
    /// # Panics
    /// When it does not power off by itself, with all that it did.
    #[track_caller]
    pub(crate) fn boot(&self, script: &str) -> Transcript {
        let results = self.dir.path().join("results");
        let _ = std::fs::remove_dir_all(&results);
        std::fs::create_dir_all(results.join("steps")).unwrap();
        for (name, text) in [
            ("prelude.sh", include_str!("prelude.sh")),
            ("scenario.sh", script),
        ] {
            std::fs::write(results.join(name), text).unwrap();
        }
        // What a running machine writes through this must reach it from any user's unit.
        std::fs::set_permissions(&results, std::fs::Permissions::from_mode(0o755)).unwrap();
        let ended = self.run(&results);
        let transcript = Transcript::read(&results);
        let text = |name: &str| std::fs::read_to_string(results.join(name)).unwrap_or_default();
        if let Some(dir) = std::env::var_os("CLAWKEEP_TEST_JOURNALS") {
            // For whoever writes a scenario.
            let dir = PathBuf::from(dir);
            std::fs::create_dir_all(&dir).unwrap();
            let boots = (1..).map(|boot| format!("{}-{boot}", self.name));
            let mut unused = boots.filter(|name| !dir.join(format!("{name}.steps")).exists());
            let name = unused.next().unwrap();
            let file = |what: &str| dir.join(format!("{name}.{what}"));
            std::fs::write(file("journal"), text("journal")).unwrap();
            std::fs::write(file("steps"), transcript.to_string()).unwrap();
        }
        assert!(
            ended && results.join("done").is_file(),
            "the script did not reach its end\n{transcript}\n--- driver\n{}--- console\n{}",
            text("driver.log"),
            text("console"),
        );
        let said = text("driver.log");
        assert!(
            said.is_empty(),
            "the script itself said:\n{said}\n{transcript}"
        );
        transcript
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn local(&self) -> PathBuf {
        self.dir.path().join("local")
    }

    fn enable(&self, unit: &str, wants: &str) {
        let dir = self.root().join("etc/systemd/system").join(wants);
        std::fs::create_dir_all(&dir).unwrap();
        let target = format!("/etc/systemd/system/{unit}");
        std::os::unix::fs::symlink(target, dir.join(unit)).unwrap();
    }

    /// All that a machine has of its own before its first boot.
    fn furnish(&self) {
        copy(&self.base.rest(), &self.root());
        copy(&self.base.usr().join("local"), &self.local());
        // A copy owned by root on a path of root's, as an operator installs it.
        let program = self.local().join("bin/clawkeep");
        crate::common::copy_program(&program);
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(&program, Some(0), Some(0)).unwrap();
        std::fs::create_dir(self.root().join("results")).unwrap();
        self.write("etc/systemd/system/clawkeep-boot-driver.service", DRIVER);
        self.write("etc/systemd/system/clawkeep-boot.target", TARGET);
        std::os::unix::fs::symlink(
            "/etc/systemd/system/clawkeep-boot.target",
            self.root().join("etc/systemd/system/default.target"),
        )
        .unwrap();
    }

    /// `true` when it went off by itself.
    fn run(&self, results: &Path) -> bool {
        let group = Group::new(&self.name);
        // nspawn puts its payload below the cgroup that it is started in: a shell enters ours first.
        let enter = "for dir in \"$@\"; do [ \"$dir\" = -- ] && break; echo $$ >\"$dir/cgroup.procs\" || exit 1; shift; done; shift; exec \"$@\"";
        let bind =
            |option: &str, from: &Path, to: &str| format!("{option}={}:{to}", from.display());
        let mut command = Command::new("sh");
        command.args(["-c", enter, "sh"]).args(&group.0).arg("--");
        command.args([
            "systemd-nspawn",
            "--quiet",
            "--register=no",
            "--keep-unit",
            "--private-network",
            "--console=pipe",
            // Containers may not lock memory by themselves; a machine may.
            "--system-call-filter=@memlock",
            "--boot",
        ]);
        command
            .arg(format!("--machine={}", self.name))
            .arg(format!("--directory={}", self.root().display()))
            .arg(bind("--bind-ro", &self.base.usr(), "/usr"))
            .arg(bind("--bind", &self.local(), "/usr/local"))
            .arg(bind("--bind", results, "/results"));
        if self.openclaw {
            command
                .arg(bind("--bind-ro", &node(), "/opt/node"))
                .arg(bind("--bind-ro", &openclaw(), "/opt/openclaw"));
        }
        if self.tpm {
            command
                .arg("--setenv=SYSTEMD_TPM2_DEVICE=swtpm:host=127.0.0.1,port=2321")
                .arg(bind(
                    "--bind-ro",
                    &self.path("opt/with-tpm"),
                    "/usr/bin/systemd-creds",
                ));
        }
        let console = std::fs::File::create(results.join("console")).unwrap();
        let mut child = command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            // As nearly every host has it today, whatever this one has.
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            .stdin(Stdio::null())
            .stdout(console.try_clone().unwrap())
            .stderr(console)
            .spawn()
            .unwrap();
        let (sender, ended) = mpsc::channel();
        let waiter = std::thread::spawn(move || {
            let _ = child.wait();
            let _ = sender.send(());
        });
        let by_itself = ended.recv_timeout(LIMIT).is_ok();
        if !by_itself {
            group.kill();
        }
        waiter.join().unwrap();
        by_itself
    }
}

/// Why a test did not run, past the test runner, which hides what a passing test prints.
fn say(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "{test}: not run: {reason}");
}

/// Whether machines can run here, or why not.
fn ready() -> Result<(), &'static str> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root can boot a machine");
    }
    for (program, reason) in [
        (
            "systemd-nspawn",
            "systemd-nspawn is missing (systemd-container)",
        ),
        ("mmdebstrap", "mmdebstrap is missing"),
    ] {
        let found = ["/usr/bin", "/bin"]
            .iter()
            .any(|dir| Path::new(dir).join(program).is_file());
        if !found {
            return Err(reason);
        }
    }
    Ok(())
}

fn node() -> PathBuf {
    // The link's target is <package>/bin/node; a bind mount wants the real folder.
    let node = common::cache().join("node/26/node").canonicalize();
    node.map_or_else(
        |_| PathBuf::new(),
        |file| file.ancestors().nth(2).unwrap().to_owned(),
    )
}

fn openclaw() -> PathBuf {
    common::cache().join("openclaw/2026.9.6")
}

/// With owners, modes and devices, as only cp can.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp")
        .args(["-a", "--reflink=auto"])
        .args([from, to])
        .status()
        .unwrap();
    assert!(copied.success(), "cannot copy {}", from.display());
}

/// The cgroups of one boot, one for each hierarchy of this host.
struct Group(Vec<PathBuf>);

impl Group {
    fn new(machine: &str) -> Group {
        let mut dirs = Vec::new();
        for root in HIERARCHIES.map(Path::new) {
            if root.join("cgroup.procs").is_file() {
                let dir = root.join(format!("clawkeep-boot-{machine}"));
                std::fs::create_dir(&dir).unwrap();
                dirs.push(dir);
            }
        }
        Group(dirs)
    }

    /// Ends every process of the machine, and none else.
    fn kill(&self) {
        for dir in &self.0 {
            let _ = std::fs::write(dir.join("cgroup.kill"), "1");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        for dir in &self.0 {
            remove_cgroup(dir);
        }
    }
}

/// Innermost first: a cgroup with children cannot go.
fn remove_cgroup(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(dir);
}
