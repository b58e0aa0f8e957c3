//! A world with a vault that only a cheap passphrase opens (or an identity file, too), its keepers, and
//! raw conversations with them. Whatever keeper is left ends with the value that stands for the world.

pub(crate) use crate::talk::{Talk, frame, resolve_frame};

use crate::common::World;
use crate::common::run::{Cmd, Run};
use crate::common::vault::PASSPHRASE;
use clawkeep::file::{LOCK_WAIT, Lock};
use clawkeep::host::Host;
use clawkeep::keeper::socket;
use clawkeep::keychain::OsKeychain;
use clawkeep::secret::{Alphabet, RefId, Secret, SecretId, SecretKind};
use clawkeep::store::{Meta, Store as _};
use clawkeep::vault::argon::Cost;
use clawkeep::vault::identity::Identity;
use clawkeep::vault::rekey::{Doors, SlotPlan, plant};
use clawkeep::vault::slot::{Slot, SlotName};
use clawkeep::vault::{NewVault, Vault};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Far beyond what anything takes here: it is no measure of speed.
const LIMIT: Duration = Duration::from_mins(2);

pub(crate) const NOBODY: u32 = 65534;

/// The least cost that is accepted.
const CHEAP: Cost = Cost {
    m_kib: Cost::LEAST_KIB,
    t: 1,
    p: 1,
};

/// Looks again and again until it is so.
#[track_caller]
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether a test that needs root can run; says so when not.
pub(crate) fn needs_root() -> bool {
    if !is_root() {
        let thread = std::thread::current();
        eprintln!("{}: not run, it needs root", thread.name().unwrap_or("?"));
    }
    is_root()
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Whether this process has ended; one that nobody has waited for yet has.
pub(crate) fn is_gone(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => {
            let state = stat.rsplit_once(") ").unwrap().1;
            state.starts_with(['Z', 'X'])
        }
        Err(_) => true,
    }
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// A number in `/proc/<pid>/status`: kB where it is an amount of memory.
pub(crate) fn number_in_status(pid: u32, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

pub(crate) fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count()
}

/// To the ordinary user, with all that lies in it.
pub(crate) fn give_away(path: &Path) {
    std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            give_away(&entry.unwrap().path());
        }
    }
}

pub(crate) struct Lab {
    pub(crate) world: World,
    /// The vault's writer: another process than any keeper.
    pub(crate) writer: Option<Vault>,
    /// The vault identity's text.
    pub(crate) identity: String,
    program: PathBuf,
    uid: Option<u32>,
}

impl Lab {
    /// A vault that a passphrase opens.
    pub(crate) fn new() -> Lab {
        Lab::made(false, |_, _| {})
    }

    /// A vault that an identity file opens as well.
    pub(crate) fn unattended() -> Lab {
        Lab::made(true, |_, _| {})
    }

    /// A vault whose slots are what `also` makes of them.
    pub(crate) fn made(file: bool, also: impl FnOnce(&World, &mut Vec<Slot>)) -> Lab {
        let world = World::new();
        let dir = world.vault();
        clawkeep::file::private_dir(dir.parent().unwrap()).unwrap();
        clawkeep::file::private_dir(&dir).unwrap();
        let text = age_key();
        let identity = Identity::parse(&text).unwrap();
        let host = Host::real();
        let keychain = OsKeychain::on_bus("unix:path=/nonexistent/bus");
        let doors = Doors {
            host: &host,
            keychain: &keychain,
        };
        let phrase = secrecy::SecretString::from(PASSPHRASE);
        let mut plans = vec![("passphrase", SlotPlan::Passphrase(phrase, CHEAP))];
        if file {
            let path = world.identity_file();
            clawkeep::file::private_dir(path.parent().unwrap()).unwrap();
            plans.push(("identity-file", SlotPlan::IdentityFile(path)));
        }
        let mut slots = Vec::new();
        for (name, plan) in plans {
            let name = SlotName::parse(name).unwrap();
            slots.push(plant(&dir, &identity, &name, plan, &doors).unwrap());
        }
        also(&world, &mut slots);
        let new = NewVault {
            identity,
            recovery: None,
            slots,
        };
        let lock = Lock::take(&dir.join("vault.lock"), LOCK_WAIT).unwrap();
        let writer = Vault::create(&dir, &host, new, &lock).unwrap();
        drop(lock);
        world.passphrase_file("passphrase.txt", PASSPHRASE);
        let mut lab = Lab {
            world,
            writer: Some(writer),
            identity: text,
            program: PathBuf::from(env!("CARGO_BIN_EXE_clawkeep")),
            uid: None,
        };
        lab.put("s/one", "fake-value-one");
        lab
    }

    /// The same world under an ordinary user. Only root can make one; others are ordinary users.
    pub(crate) fn of_ordinary_user(file: bool) -> Lab {
        let lab = if file { Lab::unattended() } else { Lab::new() };
        lab.for_ordinary_user()
    }

    /// From here on it is the ordinary user's.
    pub(crate) fn for_ordinary_user(self) -> Lab {
        let mut lab = self;
        if is_root() {
            lab.program = lab.world.root().join("clawkeep");
            crate::common::copy_program(&lab.program);
            chmod(&lab.program, 0o755);
            chmod(lab.world.root(), 0o755);
            give_away(&lab.world.home());
            give_away(&lab.world.root().join("tmp"));
            lab.uid = Some(NOBODY);
        }
        lab
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.world.vault()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir().join("keeper.sock")
    }

    pub(crate) fn passphrase(&self) -> [String; 2] {
        let path = self.world.home().join("passphrase.txt");
        ["--passphrase-file".into(), path.to_str().unwrap().into()]
    }

    /// Stores a value as another process does, past any keeper.
    pub(crate) fn put(&mut self, id: &str, value: &str) {
        self.put_for(id, value, None);
    }

    pub(crate) fn put_for(&mut self, id: &str, value: &str, provider: Option<&str>) {
        let now = Host::real().now();
        let meta = Meta {
            kind: SecretKind::Secret,
            provider: provider.map(|name| clawkeep::provider::ProviderId::parse(name).unwrap()),
            created: now,
            updated: now,
            expires: None,
            was_plaintext: false,
        };
        let value = Secret::new(value.as_bytes(), Alphabet::Text).unwrap();
        let id = SecretId::parse(id).unwrap();
        self.writer
            .as_mut()
            .unwrap()
            .put(&id, value, &meta)
            .unwrap();
    }

    /// Notes that refs ask for these ids.
    pub(crate) fn link(&mut self, ids: &[&str]) {
        let vault = self.writer.as_mut().unwrap();
        vault
            .update(|contents, _| {
                let ids = ids.iter().map(|id| RefId::parse(id).unwrap());
                contents.linked.extend(ids);
                Ok(())
            })
            .unwrap();
    }

    /// A program of this world's user.
    pub(crate) fn program<S: AsRef<str>>(&self, program: &Path, args: &[S]) -> Cmd {
        let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
        let cmd = match self.uid {
            None => self.world.program(program, &args),
            Some(uid) => {
                let uid = uid.to_string();
                let front = ["--reuid", &uid, "--regid", &uid, "--clear-groups"];
                let args = [&front[..], &[program.to_str().unwrap()], &args].concat();
                self.world.program(Path::new("/usr/bin/setpriv"), &args)
            }
        };
        // No test sees the machine's own bus.
        cmd.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    }

    pub(crate) fn cmd<S: AsRef<str>>(&self, args: &[S]) -> Cmd {
        self.program(&self.program, args)
    }

    pub(crate) fn run<S: AsRef<str>>(&self, args: &[S]) -> Run {
        self.cmd(args).run()
    }

    /// A command with the passphrase.
    pub(crate) fn opened(&self, args: &[&str]) -> Run {
        self.opened_cmd(args).run()
    }

    pub(crate) fn opened_cmd(&self, args: &[&str]) -> Cmd {
        let args = args.iter().map(|arg| (*arg).to_owned());
        self.cmd(&args.chain(self.passphrase()).collect::<Vec<_>>())
    }

    /// Starts a keeper in the background; its process.
    #[track_caller]
    pub(crate) fn unlock(&self, more: &[&str]) -> u32 {
        let _ = self.opened(&[&["unlock"], more].concat()).ok();
        self.keeper().unwrap()
    }

    /// The process that listens at the socket, if one does.
    pub(crate) fn keeper(&self) -> Option<u32> {
        let stream = UnixStream::connect(self.socket()).ok()?;
        socket::peer(&stream).ok().map(|peer| peer.pid)
    }

    /// A keeper in the foreground, as a service manager runs it, which listens and has said so.
    #[track_caller]
    pub(crate) fn foreground(&self, more: &[&str]) -> Foreground {
        self.foreground_by(self.foreground_cmd(more))
    }

    pub(crate) fn foreground_cmd(&self, more: &[&str]) -> Cmd {
        self.cmd(&[&["keeper", "start", "--foreground"], more].concat())
    }

    #[track_caller]
    pub(crate) fn foreground_by(&self, cmd: Cmd) -> Foreground {
        let mut keeper = Foreground::start(cmd);
        until("the keeper listens and says so", || {
            assert!(
                keeper.child.try_wait().unwrap().is_none(),
                "the keeper ended: {}",
                keeper.said()
            );
            // It listens first.
            self.keeper() == Some(keeper.pid()) && keeper.said().contains('\n')
        });
        keeper
    }

    #[track_caller]
    pub(crate) fn resolve(&self, ids: &[&str]) -> Value {
        self.resolve_cmd(ids).run().ok().json()
    }

    pub(crate) fn resolve_cmd(&self, ids: &[&str]) -> Cmd {
        let dir = self.dir();
        self.cmd(&["resolve", "--vault", dir.to_str().unwrap()])
            .stdin(crate::common::vault::request(ids))
            .env_remove("HOME")
            .env_remove("PATH")
    }

    /// What one id comes to: its value, or the code of its error.
    #[track_caller]
    pub(crate) fn one(&self, id: &str) -> String {
        told(&self.resolve(&[id]), id)
    }

    /// The same for several ids, without the program's own limit of two seconds where that is possible:
    /// a keeper that notes what it gives waits for the disk.
    #[track_caller]
    pub(crate) fn asked(&self, ids: &[&str]) -> Vec<String> {
        if self.uid.is_some() {
            let answer = self.resolve(ids);
            return ids.iter().map(|id| told(&answer, id)).collect();
        }
        let given = self.connect().resolve(ids);
        let word = |code: &str| match code {
            "absent" => "NOT_FOUND".to_owned(),
            other => other.to_uppercase(),
        };
        given
            .iter()
            .map(|one| match one["value"].as_str() {
                Some(value) => value.to_owned(),
                None => word(one["code"].as_str().unwrap()),
            })
            .collect()
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Talk {
        Talk::with(UnixStream::connect(self.socket()).unwrap())
    }

    /// The program's path, as this world's user finds it.
    pub(crate) fn exe(&self) -> &str {
        self.program.to_str().unwrap()
    }

    /// As [`Lab::still_answers`], asked by the world's own user.
    #[track_caller]
    pub(crate) fn still_answers_as_user(&self) {
        assert_eq!(self.one("s/one"), "fake-value-one");
    }

    /// Whether the keeper still gives what it holds.
    #[track_caller]
    pub(crate) fn still_answers(&self) {
        let answer = self.connect().ask(&resolve_frame(&["s/one"]));
        assert_eq!(answer["answers"][0]["value"], "fake-value-one");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(pid) = self.keeper().filter(|pid| *pid != std::process::id()) {
            let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// What `resolve` said of an id.
#[track_caller]
pub(crate) fn told(answer: &Value, id: &str) -> String {
    let value = answer["values"][id].as_str();
    let code = answer["errors"][id]["code"].as_str();
    value
        .or(code)
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}

/// A new age identity's text.
pub(crate) fn age_key() -> String {
    use secrecy::ExposeSecret as _;
    let key = age::x25519::Identity::generate();
    key.to_string().expose_secret().to_owned()
}

/// A keeper whose parent is the test.
pub(crate) struct Foreground {
    pub(crate) child: Child,
    err: std::fs::File,
}

impl Foreground {
    pub(crate) fn start(cmd: Cmd) -> Self {
        let err = tempfile::tempfile().unwrap();
        let mut command = cmd.into_std();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(err.try_clone().unwrap())
            .process_group(0);
        Foreground {
            child: command.spawn().unwrap(),
            err,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it said so far.
    pub(crate) fn said(&mut self) -> String {
        use std::os::unix::fs::FileExt as _;
        let mut text = vec![0; 64 * 1024];
        let len = self.err.read_at(&mut text, 0).unwrap();
        String::from_utf8_lossy(&text[..len]).into_owned()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(&mut self) -> std::process::ExitStatus {
        let mut status = None;
        until("the keeper ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
