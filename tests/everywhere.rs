//! The same answer everywhere: `resolve`, as openclaw.json has it, from a shell, with an empty
//! environment, by cron, over ssh, and from a container as root, of vaults that open by themselves, by a
//! keeper, or not at all. It never hangs.
//!
//! A real sshd on a port of loopback and a real cron, each in a mount namespace of its own, so that
//! nothing of this machine is read or written; they end with the test. Both need root, and
//! `CLAWKEEP_TEST_SKIP=ssh` leaves them out. A service with an empty environment, under a real systemd,
//! is in `tests/boot`.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world, and reads who runs it"
)]

mod common;
#[allow(
    dead_code,
    reason = "every test program compiles this and uses its part"
)]
mod keyring;

use common::openclaw::free_port;
use common::run::Cmd;
use common::vault::{PASSPHRASE, request};
use common::{Run, World, left_out};
use keyring::Bus;
use std::fmt::Write as _;
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const VALUE: &str = "fake-value-everywhere-0123456789";
const ID: &str = "fake/id";

/// Who takes longer hangs. It is no measure of speed: two seconds are what a silent keychain may take.
const LIMIT: Duration = Duration::from_secs(30);
const PROBES: u32 = 300;
const BETWEEN_PROBES: Duration = Duration::from_millis(100);

/// A vault and what lies around it.
struct Case {
    name: &'static str,
    dir: PathBuf,
    /// The session bus that the caller is told of.
    bus: Option<String>,
    opens: bool,
}

/// What a caller got.
#[derive(Debug, PartialEq, Eq)]
struct Got {
    stdout: String,
    stderr: String,
    code: i32,
}

impl Got {
    /// Where it looked for a bus is the caller's own; that it looked, and found none, is not.
    fn without_place(mut self, world: &World) -> Got {
        let given = world.root().join("run/bus");
        for place in [given.to_str().unwrap(), "/run/user/0/bus"] {
            self.stderr = self.stderr.replace(place, "[BUS]");
        }
        self
    }
}

/// A world whose vaults are asked by scripts, so that every caller types the same.
struct Scene {
    world: World,
    program: PathBuf,
}

impl Scene {
    fn new() -> Scene {
        let world = World::new();
        let program = world.root().join("clawkeep");
        crate::common::copy_program(&program);
        std::fs::write(world.root().join("request.json"), request(&[ID])).unwrap();
        Scene { world, program }
    }

    fn at(&self, dir: &Path, args: &[&str]) -> Cmd {
        let front = ["--vault", dir.to_str().unwrap()];
        self.world.cmd(&[&front[..], args].concat())
    }

    /// Makes a vault with a value in it, by `init` with these arguments.
    #[track_caller]
    fn vault(&self, name: &str, init: &[&str], more: &[&str], bus: Option<&str>) -> PathBuf {
        let dir = self.world.root().join(name);
        let bus = bus.unwrap_or("");
        let init = [&["init", "--no-recovery"], init].concat();
        let with = |cmd: Cmd| cmd.env("DBUS_SESSION_BUS_ADDRESS", bus);
        let _ = with(self.at(&dir, &init)).run().ok();
        let set = [more, &["secret", "set", ID]].concat();
        let _ = with(self.at(&dir, &set)).stdin(VALUE).run().ok();
        dir
    }

    /// Ends the keeper, which outlives who started it.
    fn lock(&self) -> Run {
        let dir = self.world.root().join("by-keeper");
        self.at(&dir, &["lock"]).run()
    }

    fn script(&self, case: &Case) -> PathBuf {
        let path = self.world.root().join(format!("{}.sh", case.name));
        let mut text = "#!/bin/sh\n".to_owned();
        if let Some(bus) = &case.bus {
            let _ = writeln!(text, "export DBUS_SESSION_BUS_ADDRESS={bus}");
        }
        let _ = writeln!(
            text,
            "exec {} resolve --vault {} < {}",
            self.program.display(),
            case.dir.display(),
            self.world.root().join("request.json").display()
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    #[track_caller]
    fn program(&self, program: &str, args: &[&str]) -> Got {
        let run = self.world.program(Path::new(program), args);
        let run = run.limit(LIMIT).run();
        Got {
            stdout: run.stdout,
            stderr: run.stderr,
            code: run.code,
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.lock();
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Root of a container: its own mounts, names and network, and its own processes or not; a tree with
/// /usr alone, without /etc and without a home. What the vaults lie in is mounted.
const CONTAINER: &str = r#"
set -eu
root=$1/container
mount -t tmpfs none "$root"
mkdir -p "$root/usr" "$root/proc" "$root$1"
for name in bin lib lib64; do ln -s "usr/$name" "$root/$name"; done
mount --rbind /usr "$root/usr"
mount --rbind /proc "$root/proc"
mount --bind "$1" "$root$1"
exec chroot "$root" /usr/bin/env -i /bin/sh "$2"
"#;

fn in_a_container(scene: &Scene, more: &[&str], script: &str) -> Got {
    let root = scene.world.root();
    std::fs::create_dir_all(root.join("container")).unwrap();
    let mut args = vec!["--mount", "--fork", "--uts", "--ipc", "--net"];
    args.extend(more);
    if !is_root() {
        args.extend(["--user", "--map-root-user"]);
    }
    let sh = ["/bin/sh", "-c", CONTAINER, "container"];
    args.extend(sh);
    args.extend([root.to_str().unwrap(), script]);
    let run = scene.world.program(Path::new("/usr/bin/unshare"), &args);
    // The script above, not clawkeep, which has an empty one.
    let run = run
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .limit(LIMIT)
        .run();
    Got {
        stdout: run.stdout,
        stderr: run.stderr,
        code: run.code,
    }
}

/// A daemon that does not outlive its test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a daemon where its files, its crontabs and this user's home are others.
fn daemon(scene: &Scene, script: &str, args: &[&str]) -> Daemon {
    let log = std::fs::File::create(scene.world.root().join("daemon.log")).unwrap();
    let mut command = Command::new("/usr/bin/unshare");
    command
        .arg("--mount")
        .args(["/bin/sh", "-c", script, "daemon"])
        .args(args)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    Daemon(command.spawn().unwrap())
}

#[track_caller]
fn until(what: &str, scene: &Scene, done: impl Fn() -> bool) {
    for _ in 0..PROBES {
        if done() {
            return;
        }
        std::thread::sleep(BETWEEN_PROBES);
    }
    let log = std::fs::read_to_string(scene.world.root().join("daemon.log"));
    panic!("{what} never came: {}", log.unwrap_or_default());
}

const CRON: &str = r#"
set -eu
mount -t tmpfs none /run
mount -t tmpfs none /var/spool/cron
mount -t tmpfs none /etc/cron.d
mount --bind /dev/null /etc/crontab
mount --bind "$1/pam" /etc/pam.d/cron
mount --bind "$1/home" "$2"
mkdir -m 1730 /var/spool/cron/crontabs
cp "$1/crontab" /var/spool/cron/crontabs/root
chmod 600 /var/spool/cron/crontabs/root
exec cron -f
"#;

/// Each script once, as root's cron job.
fn by_cron(scene: &Scene, scripts: &[PathBuf], home: &str) -> Vec<Got> {
    let root = scene.world.root();
    let mut table = String::new();
    for script in scripts {
        let at = script.display();
        // The name comes last, when everything is in it.
        let _ = writeln!(
            table,
            "@reboot /bin/sh {at} >{at}.out 2>{at}.err; echo $? >{at}.new; mv {at}.new {at}.code"
        );
    }
    std::fs::write(root.join("crontab"), table).unwrap();
    // Its sessions change what the machine notes of a login.
    let permits =
        ["auth", "account", "session"].map(|kind| format!("{kind} required pam_permit.so\n"));
    std::fs::write(root.join("pam"), permits.concat()).unwrap();
    let _cron = daemon(scene, CRON, &[root.to_str().unwrap(), home]);
    let beside = |script: &Path, end: &str| PathBuf::from(format!("{}.{end}", script.display()));
    let read = |script: &Path, end: &str| {
        std::fs::read_to_string(beside(script, end)).unwrap_or_else(|error| panic!("{error}"))
    };
    let mut got = Vec::new();
    for script in scripts {
        until("what cron ran", scene, || beside(script, "code").exists());
        got.push(Got {
            stdout: read(script, "out"),
            stderr: read(script, "err"),
            code: read(script, "code").trim().parse().unwrap(),
        });
    }
    got
}

const SSHD: &str = r#"
set -eu
mount -t tmpfs none /run
mkdir -m 755 /run/sshd
mount --bind "$1/home" "$2"
exec /usr/sbin/sshd -D -e -f "$1/sshd_config"
"#;

/// Each script once, over ssh, as root.
fn over_ssh(scene: &Scene, scripts: &[PathBuf], home: &str) -> Vec<Got> {
    let root = scene.world.root();
    for name in ["host-key", "key"] {
        let file = root.join(name);
        let args = [
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-f",
            file.to_str().unwrap(),
        ];
        assert_eq!(scene.program("/usr/bin/ssh-keygen", &args).code, 0);
    }
    let port = free_port();
    let at = root.display();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host-key\nPidFile none\nStrictModes no\n\
         AuthorizedKeysFile {at}/key.pub\nUsePAM no\nPermitRootLogin prohibit-password\nPrintMotd no\n"
    );
    std::fs::write(root.join("sshd_config"), config).unwrap();
    let _sshd = daemon(scene, SSHD, &[root.to_str().unwrap(), home]);
    until("sshd", scene, || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    let key = root.join("key");
    let port = port.to_string();
    let mut args = vec!["-F", "none", "-p", &port, "-i", key.to_str().unwrap(), "-n"];
    let options = [
        "BatchMode=yes",
        "LogLevel=ERROR",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "IdentityAgent=none",
    ];
    args.extend(options.iter().flat_map(|option| ["-o", option]));
    let ask = |script: &PathBuf| {
        let line = format!("/bin/sh {}", script.display());
        let words = [&args[..], &["root@127.0.0.1", &line]].concat();
        scene.program("/usr/bin/ssh", &words)
    };
    scripts.iter().map(ask).collect()
}

/// `None` when they are left out.
fn home_of_root() -> Option<String> {
    if left_out("ssh") {
        return None;
    }
    if !is_root() {
        eprintln!("not run, only root can: cron and sshd of their own");
        return None;
    }
    for (program, package) in [("sshd", "openssh-server"), ("cron", "cron")] {
        assert!(
            Path::new("/usr/sbin").join(program).exists(),
            "{program} is missing: apt-get install {package} (or CLAWKEEP_TEST_SKIP=ssh)"
        );
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let root = users
        .lines()
        .find(|line| line.starts_with("root:"))
        .unwrap();
    root.split(':').nth(5).map(str::to_owned)
}

fn the_cases(scene: &Scene, silent: &Path) -> Vec<Case> {
    let passphrase = scene.world.passphrase_file("passphrase", PASSPHRASE);
    let case = |name, dir, opens| Case {
        name,
        dir,
        bus: None,
        opens,
    };
    let by_file = scene.vault("by-file", &["--slot", "identity-file"], &[], None);
    let init = ["--slot", "passphrase", "--new-passphrase-file", &passphrase];
    let open = ["--passphrase-file", passphrase.as_str()];
    let by_person = scene.vault("by-person", &init, &open, None);
    let by_keeper = scene.vault("by-keeper", &init, &open, None);
    let unlock = [&open[..], &["unlock"]].concat();
    let _ = scene.at(&by_keeper, &unlock).run().ok();
    let mut cases = vec![
        case("identity-file", by_file, true),
        case("passphrase", by_person, false),
        case("keeper", by_keeper, true),
    ];
    if keyring::ready() {
        let bus = Bus::start();
        let _daemon = bus.keyring(Some("fake-keyring-password"));
        let init = ["--slot", "keychain"];
        let by_keychain = scene.vault("by-keychain", &init, &[], Some(&bus.address()));
        let address = format!("unix:path={}", silent.display());
        let silent = Case {
            bus: Some(address),
            ..case("silent-bus", by_keychain.clone(), false)
        };
        cases.extend([case("no-bus", by_keychain, false), silent]);
    }
    cases
}

#[test]
fn resolve_answers_the_same_to_every_caller_and_never_hangs() {
    let scene = Scene::new();
    // Connections wait in its queue, and nobody ever answers.
    let silent = scene.world.root().join("silent");
    let _listener = UnixListener::bind(&silent).unwrap();
    let cases = the_cases(&scene, &silent);
    let scripts: Vec<PathBuf> = cases.iter().map(|case| scene.script(case)).collect();
    let each = |ask: &dyn Fn(&str) -> Got| -> Vec<Got> {
        scripts.iter().map(|at| ask(at.to_str().unwrap())).collect()
    };
    let shell = each(&|at| scene.program("/bin/sh", &[at]));
    let shell: Vec<Got> = shell
        .into_iter()
        .map(|got| got.without_place(&scene.world))
        .collect();
    for (case, got) in cases.iter().zip(&shell) {
        assert_eq!(got.code, 0, "{}: {got:?}", case.name);
        let answer: serde_json::Value = serde_json::from_str(&got.stdout).unwrap();
        if case.opens {
            assert_eq!(answer["values"][ID], VALUE, "{}", case.name);
            assert_eq!(got.stderr, "", "{}", case.name);
        } else {
            assert_eq!(answer["errors"][ID]["code"], "LOCKED", "{}", case.name);
            assert!(got.stderr.contains("hint: "), "{}: {got:?}", case.name);
        }
    }
    let mut callers = vec![
        (
            "an empty environment",
            each(&|at| scene.program("/usr/bin/env", &["-i", "/bin/sh", at])),
        ),
        ("a container", each(&|at| in_a_container(&scene, &[], at))),
    ];
    if let Some(home) = home_of_root() {
        callers.push(("cron", by_cron(&scene, &scripts, &home)));
        callers.push(("ssh", over_ssh(&scene, &scripts, &home)));
    }
    // Whose processes are its own cannot see who listens outside, and so believes nobody.
    let apart = each(&|at| in_a_container(&scene, &["--pid"], at));
    let _ = scene.lock().ok();
    for (caller, got) in callers {
        for ((case, shell), got) in cases.iter().zip(&shell).zip(got) {
            assert_eq!(
                got.without_place(&scene.world),
                *shell,
                "{} from {caller}",
                case.name
            );
        }
    }
    for ((case, shell), got) in cases.iter().zip(&shell).zip(apart) {
        if case.name == "keeper" {
            let answer: serde_json::Value = serde_json::from_str(&got.stdout).unwrap();
            assert_eq!(answer["errors"][ID]["code"], "LOCKED", "{got:?}");
            assert!(got.stderr.contains("another container"), "{got:?}");
        } else {
            assert_eq!(got.without_place(&scene.world), *shell, "{}", case.name);
        }
    }
}
