//! The service manager as programs: `systemctl`, `systemd-creds`, `launchctl`, and the folders that
//! they know, all below one root. Ring 2.
//!
//! Promises: nothing is looked up on `PATH`; what is run gets a small environment of ours; its output
//! is bounded and it ends when its time is up; a key goes to it over a pipe, never as an argument.

use crate::error::{Error, Result};
use crate::host;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long a call may take: beyond the time that a keeper has to start.
const LIMIT: Duration = Duration::from_secs(90);

/// How long a manager may take to say its environment: it does nothing for it.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The most bytes kept of what a program says.
const MAX_OUTPUT: u64 = 256 * 1024;

/// Where systems keep their programs.
const FOLDERS: [&str; 4] = ["usr/bin", "bin", "run/current-system/sw/bin", "usr/sbin"];

/// How the keeper's credential is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKey {
    /// By a key in `/var/lib/systemd` that only root can read.
    Host,
    /// By the machine's TPM2.
    Tpm2,
    /// By both, where the machine has a TPM2, otherwise by the host's key.
    Auto,
}

impl CredentialKey {
    /// The word that `systemd-creds` takes.
    pub fn name(self) -> &'static str {
        match self {
            CredentialKey::Host => "host",
            CredentialKey::Tpm2 => "tpm2",
            CredentialKey::Auto => "auto",
        }
    }
}

/// Whose manager is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manager {
    /// The system's.
    System,
    /// That of the user that this process runs as; its runtime folder, `/run/user/1000`.
    User(PathBuf),
}

/// What a program left behind.
#[derive(Debug)]
pub struct Output {
    /// Whether it ended well.
    pub ok: bool,
    /// Its output. May be a key, when `systemd-creds` decrypts one.
    pub stdout: Zeroizing<Vec<u8>>,
    /// The last line of what it said.
    pub said: String,
    /// All that it said.
    pub talk: Zeroizing<Vec<u8>>,
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
}

/// A system: this one, or one below another folder.
#[derive(Debug, Clone)]
pub struct System {
    root: PathBuf,
}

impl System {
    /// The system whose folders and programs lie below `root`.
    pub fn new(root: PathBuf) -> Self {
        System { root }
    }

    /// Its root: `/` but for tests and images.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path of it, given without the leading `/`.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// Refuses a machine without a running systemd, as sd_booted(3) tells it.
    ///
    /// # Errors
    /// `Failed`, with the way that is left.
    pub fn require_systemd(&self) -> Result<()> {
        if self.path("run/systemd/system").is_dir() && self.find("systemctl").is_ok() {
            return Ok(());
        }
        Err(Error::failed(
            "systemd does not run this machine (a container, or another init), so there is nothing to install a service into",
        )
        .hint("see \"Containers and other inits\" in README.md, or in the foreground: clawkeep keeper start --foreground"))
    }

    /// Where a program of the system lies.
    ///
    /// # Errors
    /// `Missing` when it is not there.
    pub fn find(&self, name: &str) -> Result<PathBuf> {
        FOLDERS
            .iter()
            .map(|folder| self.root.join(folder).join(name))
            .find(|path| path.is_file())
            .ok_or_else(|| Error::missing(format!("{name} is not installed here")))
    }

    /// `systemctl` with these arguments; a no is no error.
    ///
    /// # Errors
    /// `Missing` when it is not there, `Failed` when it cannot be run or does not end.
    pub fn systemctl(&self, manager: &Manager, args: &[&str]) -> Result<Output> {
        let (command, program) = self.systemctl_command(manager, args)?;
        run(command, &program, None)
    }

    fn systemctl_command(&self, manager: &Manager, args: &[&str]) -> Result<(Command, PathBuf)> {
        let program = self.find("systemctl")?;
        let mut command = self.command(&program);
        if let Manager::User(runtime) = manager {
            command.arg("--user").env("XDG_RUNTIME_DIR", runtime);
        }
        command.args(args);
        Ok((command, program))
    }

    /// The environment that a manager gives to what it starts, a line for each variable, as a shell
    /// would read it. It may hold secrets.
    ///
    /// # Errors
    /// `Missing` without systemctl; `Failed` when the manager does not answer within 10 seconds, or says
    /// more than is read.
    pub fn environment(&self, manager: &Manager) -> Result<Zeroizing<Vec<u8>>> {
        let (command, program) = self.systemctl_command(manager, &["show-environment"])?;
        let out = run_within(ANSWER_LIMIT, command, &program, None)?;
        if !out.ok {
            return Err(refused("systemctl show-environment", &out.said));
        }
        if out.stdout.len() as u64 >= MAX_OUTPUT {
            return Err(Error::failed(format!(
                "it says more than {} KiB",
                MAX_OUTPUT / 1024
            )));
        }
        Ok(out.stdout)
    }

    /// `systemctl`, where a no is an error.
    ///
    /// # Errors
    /// `Failed` with what it said.
    pub fn systemctl_or_fail(&self, manager: &Manager, args: &[&str]) -> Result<()> {
        let out = self.systemctl(manager, args)?;
        if out.ok {
            return Ok(());
        }
        let user = if matches!(manager, Manager::User(_)) {
            "--user "
        } else {
            ""
        };
        Err(refused(
            &format!("systemctl {user}{}", args.join(" ")),
            &out.said,
        ))
    }

    /// Encrypts a credential: its name, its content over a pipe, the encrypted text back.
    ///
    /// # Errors
    /// `Failed` with what `systemd-creds` said.
    pub fn encrypt(&self, name: &str, content: &[u8], key: CredentialKey) -> Result<Vec<u8>> {
        let program = self.find("systemd-creds")?;
        let mut command = self.command(&program);
        command.arg("encrypt").arg(format!("--name={name}"));
        command.arg(format!("--with-key={}", key.name()));
        command.args(["-", "-"]);
        let out = run(command, &program, Some(content))?;
        if !out.ok || out.stdout.is_empty() {
            let error = refused("systemd-creds encrypt", &out.said);
            return Err(match key {
                CredentialKey::Tpm2 => {
                    error.hint("this machine's TPM2 may not be usable: --credential-key host")
                }
                CredentialKey::Host | CredentialKey::Auto => error.hint("systemd-creds setup"),
            });
        }
        Ok(out.stdout.to_vec())
    }

    /// Decrypts a credential file; `None` when this machine cannot: another machine's, or damaged.
    ///
    /// # Errors
    /// `Failed` when `systemd-creds` cannot be run.
    pub fn decrypt(&self, name: &str, file: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let program = self.find("systemd-creds")?;
        let mut command = self.command(&program);
        command.arg("decrypt").arg(format!("--name={name}"));
        command.arg(file).arg("-");
        let out = run(command, &program, None)?;
        Ok(out.ok.then_some(out.stdout))
    }

    /// `launchctl`, where a no is an error.
    ///
    /// # Errors
    /// `Failed` with what it said.
    pub fn launchctl(&self, args: &[&OsStr]) -> Result<()> {
        let program = self.find("launchctl")?;
        let mut command = self.command(&program);
        command.args(args);
        let out = run(command, &program, None)?;
        if out.ok {
            Ok(())
        } else {
            Err(refused("launchctl", &out.said))
        }
    }

    /// A program of the system by its name, with these arguments; a no is no error.
    ///
    /// # Errors
    /// `Missing` when it is not there, `Failed` when it cannot be run or does not end.
    pub fn tool(&self, name: &str, args: &[&OsStr]) -> Result<Output> {
        let program = self.find(name)?;
        self.call(&program, args)
    }

    /// Any other program, with these arguments and our small environment.
    ///
    /// # Errors
    /// `Failed` when it cannot be run or does not end.
    pub fn call(&self, program: &Path, args: &[&OsStr]) -> Result<Output> {
        let mut command = self.command(program);
        command.args(args);
        run(command, program, None)
    }

    /// A program of the system by its name, with this process's environment, to be given more.
    ///
    /// # Errors
    /// `Missing` when it is not there.
    pub fn with_environment(&self, name: &str) -> Result<(Command, PathBuf)> {
        let program = self.find(name)?;
        let mut command = Command::new(&program);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok((command, program))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .env("SYSTEMD_COLORS", "0")
            .env("SYSTEMD_PAGER", "")
            .current_dir("/")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

fn refused(what: &str, said: &str) -> Error {
    let said = if said.is_empty() {
        "no reason given"
    } else {
        said
    };
    Error::failed(format!("{what}: {said}"))
}

fn run(command: Command, program: &Path, input: Option<&[u8]>) -> Result<Output> {
    run_within(LIMIT, command, program, input)
}

/// Runs a command as it is prepared, with this input, and waits no longer than `limit`. Of its output at
/// most 256 KiB are kept.
///
/// # Errors
/// `Missing` when it is not there, `Failed` when it cannot be run or does not end.
pub fn run_within(
    limit: Duration,
    command: Command,
    program: &Path,
    input: Option<&[u8]>,
) -> Result<Output> {
    run_keeping(MAX_OUTPUT, limit, command, program, input)?.ok_or_else(|| {
        Error::failed(format!(
            "{} did not end within {} seconds",
            program.display(),
            limit.as_secs()
        ))
    })
}

/// The same, keeping `most` bytes of its output; `None` when its time was up and it was ended.
///
/// # Errors
/// `Missing` when it is not there, `Failed` when it cannot be run.
pub fn run_keeping(
    most: u64,
    limit: Duration,
    mut command: Command,
    program: &Path,
    input: Option<&[u8]>,
) -> Result<Option<Output>> {
    command.stdin(if input.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    });
    let mut child = command
        .spawn()
        .map_err(|error| Error::io("run", program, &error))?;
    let stdout = collect(child.stdout.take(), most);
    let stderr = collect(child.stderr.take(), MAX_OUTPUT);
    if let (Some(bytes), Some(mut pipe)) = (input, child.stdin.take()) {
        let bytes = Zeroizing::new(bytes.to_vec());
        // One that reads nothing must not hold us.
        std::thread::spawn(move || pipe.write_all(&bytes));
    }
    let ended = host::wait_for(&mut child, Instant::now() + limit)
        .map_err(|error| Error::io("wait for", program, &error))?;
    let Some(status) = ended else {
        // Only this child: it was started here and not yet waited for.
        let _ = child.kill();
        let _ = child.wait();
        return Ok(None);
    };
    let grace = Duration::from_secs(2);
    let talk = stderr.recv_timeout(grace).unwrap_or_default();
    let said = {
        let text = String::from_utf8_lossy(&talk);
        let last = text.lines().rfind(|line| !line.trim().is_empty());
        last.unwrap_or_default().trim().to_owned()
    };
    Ok(Some(Output {
        ok: status.success(),
        stdout: stdout.recv_timeout(grace).unwrap_or_default(),
        said,
        talk,
        code: status.code(),
    }))
}

/// Reads a pipe on a thread of its own, so that a full one stops nobody. What may be a key is short, and for that
/// the buffer never grows: growing would leave copies.
fn collect(
    pipe: Option<impl Read + Send + 'static>,
    most: u64,
) -> mpsc::Receiver<Zeroizing<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let room = usize::try_from(most.min(MAX_OUTPUT)).unwrap_or_default();
        // One spare byte lets the last read see the end without growing.
        let mut kept = Zeroizing::new(Vec::with_capacity(room + 1));
        if let Some(mut pipe) = pipe {
            let _ = (&mut pipe).take(most).read_to_end(&mut kept);
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        }
        let _ = sender.send(kept);
    });
    receiver
}

/// Which key an encrypted credential needs, from its header.
///
/// Source: `systemd-creds` 252, `src/shared/creds-util.h`: base64 of a header whose first 16 bytes
/// name the kind of key.
pub fn credential_kind(file: &[u8]) -> Option<&'static str> {
    use base64::Engine as _;
    let text: Vec<u8> = file
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .take(24)
        .collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()?;
    match crate::json::hex(bytes.get(..16)?).as_str() {
        "5a1c6a86df9d4096b1d5a65e0862f19a" => Some("host"),
        "0c7cc07b117645919c4b0bea08bc20fe" => Some("tpm2"),
        "93a894094874449090caf2fc93cab553" => Some("host and tpm2"),
        _ => None,
    }
}
