//! A machine below a folder: a user database, service managers that are scripts, a user with a vault.
//!
//! The scripts note how they were called, and what came over their pipes. Run by root the user is
//! another one, as on a real machine; otherwise it is whoever runs the tests.

use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The user's number when root runs the tests.
const OTHER: u32 = 54321;

/// The number of the keeper's user.
pub(crate) const KEEPER: u32 = 54322;

/// The header of a credential that the host's key encrypted, 18 bytes in base64.
const HEADER: &str = "Whxqht+dQJax1aZeCGLxmgAA";

const SYSTEMCTL: &str = r#"#!/bin/sh
root=${0%/usr/bin/systemctl}
line="systemctl $*"
echo "$line" >> "$root/calls"
who=system
[ "$1" = --user ] && { who=user; shift; }
for last; do :; done
[ -e "$root/state/fail-$1" ] && { echo "Job for $last failed." >&2; exit 1; }
# As if the power went at this call, or right after it.
[ -e "$root/state/kill-$who-$1-$last" ] && { rm "$root/state/kill-$who-$1-$last"; kill -9 "$PPID"; exit 1; }
# What else happens at this call.
[ -e "$root/state/at-$who-$1-$last" ] && sh "$root/state/at-$who-$1-$last"
case $1 in
  enable)
    : > "$root/state/$who-enabled-$last"
    [ "$2" = --now ] && : > "$root/state/$who-active-$last" ;;
  restart) : > "$root/state/$who-active-$last" ;;
  disable) rm -f "$root/state/$who-enabled-$last" "$root/state/$who-active-$last" ;;
  is-enabled|is-active)
    name=${1#is-}
    [ -e "$root/state/$who-$name-$last" ] && { echo "$name"; exit 0; }
    [ "$name" = enabled ] && echo disabled || echo inactive
    exit 3 ;;
esac
exit 0
"#;

/// Notes the user and makes it.
const USERADD: &str = r#"#!/bin/sh
root=${0%/usr/bin/useradd}
echo "useradd $*" >> "$root/calls"
for last; do :; done
echo "$last:x:KEEPER:KEEPER::/nonexistent:/usr/sbin/nologin" >> "$root/etc/passwd"
"#;

const SYSTEMD_RUN: &str = r#"#!/bin/sh
for word; do echo "[$word]"; done
"#;

const SYSTEMD_CREDS: &str = r#"#!/bin/sh
root=${0%/usr/bin/systemd-creds}
echo "systemd-creds $*" >> "$root/calls"
[ -e "$root/state/fail-$1" ] && { echo "TPM2 not available." >&2; exit 1; }
case $1 in
  encrypt) cat > "$root/state/plain"; echo HEADER; echo not-the-key ;;
  decrypt)
    # As if another run had written the credential since.
    [ -e "$root/state/other" ] && { cat "$root/state/other"; exit 0; }
    cat "$root/state/plain" ;;
esac
"#;

/// A machine and its one user.
pub(crate) struct Machine {
    root: PathBuf,
    uid: u32,
    program: PathBuf,
    _built: tempfile::TempDir,
    _dir: tempfile::TempDir,
}

/// What came of a command.
pub(crate) struct Ran {
    /// Exit code, output and talk, as a snapshot shows them.
    pub(crate) text: String,
    /// The exit code.
    pub(crate) code: i32,
    /// The output alone.
    pub(crate) stdout: String,
}

impl Machine {
    /// A machine with a user, whose home has a vault and a gateway's unit.
    pub(crate) fn new() -> Machine {
        let dir = folder();
        let root = dir.path().canonicalize().unwrap();
        mode(&root, 0o755);
        let me = rustix::process::geteuid().as_raw();
        let uid = if me == 0 { OTHER } else { me };
        // Where everybody can run it, as the build's own folder may not let them, and where not only
        // root can change it, as in a build.
        let built = tempfile::tempdir().unwrap();
        mode(built.path(), 0o755);
        let program = built.path().join("clawkeep");
        std::fs::copy(env!("CARGO_BIN_EXE_clawkeep"), &program).unwrap();
        let machine = Machine {
            root,
            uid,
            program,
            _built: built,
            _dir: dir,
        };
        let home = machine.home();
        for below in [
            "etc/systemd/system",
            "etc/systemd/user",
            "usr/bin",
            "usr/local/bin",
            "run/systemd/system",
            "var/lib/systemd/linger",
            "state",
            "home",
        ] {
            std::fs::create_dir_all(machine.path(below)).unwrap();
        }
        let passwd = format!(
            "root:x:0:0:root:/root:/bin/sh\nalice:x:{uid}:{}::{}:/bin/sh\n",
            rustix::process::getegid()
                .as_raw()
                .max(u32::from(me == 0) * OTHER),
            home.display()
        );
        machine.file("etc/passwd", &passwd);
        for (name, script) in [
            ("systemctl", SYSTEMCTL),
            ("systemd-creds", SYSTEMD_CREDS),
            ("useradd", USERADD),
            ("systemd-run", SYSTEMD_RUN),
        ] {
            let path = format!("usr/bin/{name}");
            let script = script.replace("HEADER", HEADER);
            machine.file(&path, &script.replace("KEEPER", &KEEPER.to_string()));
            mode(&machine.path(&path), 0o755);
        }
        machine.file("calls", "");
        mode(&machine.path("calls"), 0o666);
        mode(&machine.path("state"), 0o777);
        std::fs::create_dir_all(machine.path(&format!("run/user/{uid}"))).unwrap();
        std::fs::create_dir(&home).unwrap();
        mode(&home, 0o700);
        machine.give(&home);
        machine.give(&machine.path(&format!("run/user/{uid}")));
        let made = machine.alice(&["init", "--slot", "identity-file", "--no-recovery"]);
        assert_eq!(made.code, 0, "{}", made.text);
        machine
    }

    /// Writes OpenClaw's unit of a profile (`""`, `-work`) into the user's home.
    pub(crate) fn gateway(&self, profile: &str, more: &str) -> PathBuf {
        let folder = self.home().join(".config/systemd/user");
        let mut dir = self.home();
        for part in [".config", "systemd", "user"] {
            dir.push(part);
            if !dir.exists() {
                std::fs::create_dir(&dir).unwrap();
                mode(&dir, 0o755);
                self.give(&dir);
            }
        }
        let path = folder.join(format!("openclaw-gateway{profile}.service"));
        let unit = format!("[Service]\nExecStart=/usr/bin/node gateway\n{more}");
        std::fs::write(&path, unit).unwrap();
        self.give(&path);
        path
    }

    /// Gives a file to the user.
    pub(crate) fn give(&self, path: &Path) {
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(path, Some(self.uid), Some(self.uid)).unwrap();
        }
    }

    /// The user's home.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home/alice")
    }

    /// The user's vault.
    pub(crate) fn vault(&self) -> PathBuf {
        self.home().join(".local/share/clawkeep")
    }

    /// The program under test, where every user of the machine can run it.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// A path of the machine.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// Writes a file of the machine.
    pub(crate) fn file(&self, below: &str, text: &str) {
        std::fs::write(self.path(below), text).unwrap();
    }

    /// A file's text; `None` when it is not there.
    pub(crate) fn text(&self, path: &Path) -> Option<String> {
        std::fs::read_to_string(path).ok()
    }

    /// How the service managers were called since the last look.
    pub(crate) fn calls(&self) -> String {
        let calls = self.text(&self.path("calls")).unwrap();
        self.file("calls", "");
        self.tidy(&calls)
    }

    /// clawkeep as the administrator of the machine.
    pub(crate) fn root(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(&self.program);
        let home = self.path("root");
        std::fs::create_dir_all(&home).unwrap();
        command.env_clear().env("HOME", home);
        self.run(command, args)
    }

    /// The same, of a copy of the program that lies in the user's home and is the user's.
    pub(crate) fn root_from_home(&self, args: &[&str]) -> Ran {
        let program = self.home().join("clawkeep");
        std::fs::copy(&self.program, &program).unwrap();
        mode(&program, 0o755);
        self.give(&program);
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.path("root"));
        self.run(command, args)
    }

    /// clawkeep as the user.
    pub(crate) fn alice(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(&self.program);
        command.env_clear().env("HOME", self.home());
        if rustix::process::geteuid().is_root() {
            command.uid(self.uid).gid(self.uid);
        }
        self.run(command, args)
    }

    /// The user's own number.
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// clawkeep as the keeper's user, on the isolated vault, by the credential as systemd would give it.
    pub(crate) fn keeper(&self, args: &[&str]) -> Ran {
        let folder = self.path("credentials");
        let _ = std::fs::create_dir(&folder);
        std::fs::copy(self.path("state/plain"), folder.join("clawkeep-identity")).unwrap();
        for path in [folder.clone(), folder.join("clawkeep-identity")] {
            std::os::unix::fs::chown(&path, Some(KEEPER), Some(KEEPER)).unwrap();
        }
        mode(&folder, 0o700);
        mode(&folder.join("clawkeep-identity"), 0o400);
        let mut command = Command::new(self.path("usr/local/bin/clawkeep"));
        command
            .env_clear()
            .env("HOME", "/nonexistent")
            .env("CREDENTIALS_DIRECTORY", folder)
            .arg("--vault")
            .arg(self.path("var/lib/clawkeep/alice"))
            .uid(KEEPER)
            .gid(KEEPER);
        self.run(command, args)
    }

    /// Whether a user's process can be another one's here: only root makes such.
    pub(crate) fn has_users() -> bool {
        let root = rustix::process::geteuid().is_root();
        if !root {
            use std::io::Write as _;
            let _ = writeln!(
                std::io::stderr(),
                "not run: only root can run programs as other users"
            );
        }
        root
    }

    /// Stores a value in the user's vault.
    pub(crate) fn stores(&self, value: &str) {
        self.store("paste-api-key", value, &[]);
    }

    /// Stores a value by this command, with more flags.
    pub(crate) fn store(&self, command: &str, value: &str, flags: &[&str]) {
        self.store_for("main", command, value, flags);
    }

    /// The same, for another agent.
    pub(crate) fn store_for(&self, agent: &str, command: &str, value: &str, flags: &[&str]) {
        use std::io::Write as _;
        let mut child = Command::new(&self.program)
            .env_clear()
            .env("HOME", self.home())
            .args(["models", "auth", "--agent", agent, command])
            .args(["--provider", "fake", "--profile-id"])
            .arg(format!("fake:{agent}"))
            .args(flags)
            .uid(self.uid)
            .gid(
                rustix::process::getegid()
                    .as_raw()
                    .max(u32::from(rustix::process::geteuid().is_root()) * OTHER),
            )
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(value.as_bytes()).unwrap();
        drop(input);
        assert!(child.wait().unwrap().success());
    }

    /// Links the user's OpenClaw to the vault, as far as files say it.
    pub(crate) fn link(&self) {
        let cache = self.text(&self.vault().join("vault.json")).unwrap();
        let cache: serde_json::Value = serde_json::from_str(&cache).unwrap();
        let args = serde_json::json!([
            "resolve",
            "--vault",
            self.vault(),
            "--vault-id",
            cache["vault_id"]
        ]);
        let config = self.home().join("openclaw.json");
        let entry = serde_json::json!({"source": "exec", "command": "/fake", "args": args});
        let text = serde_json::json!({"secrets": {"providers": {"clawkeep": entry}}});
        let link = serde_json::json!({
            "version": 1, "lane": "plan", "openclaw": "2026.9.6", "profiles": {}, "config": config,
            "command": "/fake", "args": args, "linked": ["provider/fake"],
        });
        for (path, text) in [(config, text), (self.vault().join("link.json"), link)] {
            std::fs::write(&path, text.to_string()).unwrap();
            mode(&path, 0o600);
            self.give(&path);
        }
    }

    /// clawkeep as the user, with credentials in a folder as systemd gives them.
    pub(crate) fn with_credentials(&self, folder: &Path, args: &[&str]) -> Ran {
        let mut command = Command::new(&self.program);
        command.env_clear().env("HOME", self.home());
        command.env("CREDENTIALS_DIRECTORY", folder);
        if rustix::process::geteuid().is_root() {
            command.uid(self.uid).gid(self.uid);
        }
        self.run(command, args)
    }

    fn run(&self, mut command: Command, args: &[&str]) -> Ran {
        command.current_dir("/").stdin(Stdio::null());
        let has_root = matches!(args.first(), Some(&"service" | &"monitor"));
        // What follows --on-problem belongs to the command, all of it.
        let last = args.iter().position(|arg| *arg == "--on-problem");
        let (own, behind) = args.split_at(last.unwrap_or(args.len()));
        command.args(own);
        if has_root {
            command.arg("--root").arg(&self.root);
        }
        command.args(behind);
        // Another test's child may for a moment hold what this one has written.
        let out = loop {
            match command.output() {
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    std::thread::yield_now();
                }
                out => break out.unwrap(),
            }
        };
        let stdout = String::from_utf8(out.stdout).unwrap();
        let stderr = String::from_utf8(out.stderr).unwrap();
        let code = out.status.code().unwrap_or(-1);
        let mut text = format!("$ clawkeep {}\n", args.join(" "));
        let _ = write!(
            text,
            "exit: {code}\n--- stdout\n{stdout}--- stderr\n{stderr}"
        );
        Ran {
            text: self.tidy(&text),
            code,
            stdout,
        }
    }

    /// The text without what differs between machines.
    fn tidy(&self, text: &str) -> String {
        text.replace(&*self.program.to_string_lossy(), "[PROGRAM]")
            .replace(&*self.root.to_string_lossy(), "[ROOT]")
            .replace(&self.uid.to_string(), "[UID]")
            .replace(&KEEPER.to_string(), "[KEEPER]")
    }
}

/// A folder below one that only this user or root can change, and that the machine's users can enter:
/// root's home is often closed to them, and with it a build that lies there.
fn folder() -> tempfile::TempDir {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let built = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let places = [Some(built), home, Some("/var/lib".into())];
    let me = rustix::process::geteuid().as_raw();
    let enters = |place: &Path| {
        me != 0
            || place
                .ancestors()
                .all(|folder| folder.metadata().is_ok_and(|meta| meta.mode() & 0o001 != 0))
    };
    let place = places
        .into_iter()
        .flatten()
        .find(|place| {
            use clawkeep::service::trusted_path::{End, check_for};
            check_for(place, End::Folder, me).is_ok() && enters(place)
        })
        .expect("a folder that only this user can change and others can enter");
    tempfile::Builder::new()
        .prefix("service-")
        .tempdir_in(place)
        .unwrap()
}

/// Sets a path's rights.
pub(crate) fn mode(path: &Path, bits: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(bits)).unwrap();
}
