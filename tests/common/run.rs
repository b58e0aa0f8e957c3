//! Running one program to its end, and what came of it. Knows nothing of clawkeep.
//!
//! Promise: a program that hangs fails its test, with what it printed, and leaves no process behind.

use super::World;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Ends a program that hangs. Far beyond what any takes here: it is no measure of speed.
const LIMIT: Duration = Duration::from_mins(2);

/// A program about to run.
pub struct Cmd {
    command: Command,
    stdin: Option<Vec<u8>>,
    limit: Duration,
    root: PathBuf,
}

impl Cmd {
    pub(super) fn new<S: AsRef<str>>(world: &World, program: &Path, args: &[S]) -> Cmd {
        let mut command = Command::new(program);
        command
            .args(args.iter().map(AsRef::as_ref))
            .env_clear()
            .envs(world.variables())
            .current_dir(world.home());
        Cmd {
            command,
            stdin: None,
            limit: LIMIT,
            root: world.root().to_owned(),
        }
    }

    /// What it reads on stdin; without this, nothing.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Cmd {
        self.stdin = Some(bytes.into());
        self
    }

    /// One more variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Cmd {
        self.command.env(name, value);
        self
    }

    /// One variable fewer.
    #[must_use]
    pub fn env_remove(mut self, name: &str) -> Cmd {
        self.command.env_remove(name);
        self
    }

    /// The folder that it starts in, in place of the home.
    #[must_use]
    pub fn current_dir(mut self, dir: &Path) -> Cmd {
        self.command.current_dir(dir);
        self
    }

    /// When it counts as hanging.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Cmd {
        self.limit = limit;
        self
    }

    /// The prepared command, for a test that holds the pipes itself.
    pub fn into_std(self) -> Command {
        self.command
    }

    /// The prepared command, what to call its world, and what to call it.
    #[cfg(unix)]
    pub(super) fn into_parts(self) -> (Command, PathBuf, String) {
        let what = described(&self.command);
        (self.command, self.root, what)
    }

    /// Starts it, with both outputs going to files that have no name.
    pub(super) fn start(mut self) -> Running {
        let what = described(&self.command);
        let out = tempfile::tempfile().expect("a temporary file");
        let err = tempfile::tempfile().expect("a temporary file");
        let share = |file: &File| file.try_clone().expect("a file of our own");
        let input = if self.stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt as _;
            self.command.process_group(0);
        }
        let mut child = self
            .command
            .stdin(input)
            .stdout(share(&out))
            .stderr(share(&err))
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {what}: {error}"));
        if let (Some(bytes), Some(mut pipe)) = (self.stdin, child.stdin.take()) {
            std::thread::spawn(move || {
                // A program may stop reading before the end; what it makes of that is its answer.
                let _ = pipe.write_all(&bytes);
            });
        }
        Running {
            pid: child.id(),
            ended: watch(child),
            status: None,
            out,
            err,
            root: self.root,
            what,
        }
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(self) -> Run {
        let limit = self.limit;
        let mut running = self.start();
        let ended = running.wait(limit);
        let run = running.output();
        assert!(ended, "{} did not end by itself\n{run:#}", run.what);
        run
    }
}

/// The program and its arguments, without the environment.
fn described(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name();
    let mut words = vec![name.unwrap_or_default().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into()));
    words.join(" ")
}

fn watch(mut child: Child) -> mpsc::Receiver<ExitStatus> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let status = child.wait().expect("our own child");
        let _ = sender.send(status);
    });
    receiver
}

/// A program that runs.
pub(super) struct Running {
    pid: u32,
    ended: mpsc::Receiver<ExitStatus>,
    status: Option<ExitStatus>,
    out: File,
    err: File,
    root: PathBuf,
    what: String,
}

impl Running {
    /// Waits until it ends or the time is over; `true` when it has ended.
    pub(super) fn wait(&mut self, limit: Duration) -> bool {
        if self.status.is_none() {
            self.status = self.ended.recv_timeout(limit).ok();
        }
        self.status.is_some()
    }

    /// Asks it to end, as a service manager does.
    #[cfg(unix)]
    pub(super) fn terminate(&self) {
        if let (None, Some(pid)) = (self.status, self.process()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    #[cfg(unix)]
    fn process(&self) -> Option<rustix::process::Pid> {
        rustix::process::Pid::from_raw(i32::try_from(self.pid).ok()?)
    }

    /// What it has printed by now. The exit code is -1 while it runs.
    pub(super) fn output(&mut self) -> Run {
        Run {
            stdout: contents(&mut self.out),
            stderr: contents(&mut self.err),
            code: self.status.map_or(-1, code_of),
            root: self.root.clone(),
            what: self.what.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let (None, Some(pid)) = (self.status, self.process()) {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

fn contents(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().expect("a file of our own");
    file.read_to_end(&mut bytes).expect("a file of our own");
    String::from_utf8(bytes).expect("programs print UTF-8")
}

/// As a shell says it: 128 and the number for a signal.
fn code_of(status: ExitStatus) -> i32 {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;
        if let Some(signal) = status.signal() {
            return 128 + signal;
        }
    }
    status.code().unwrap_or(-1)
}

/// What came of one program.
#[must_use = "look at what came of it: .ok(), .fails(code) or .snapshot()"]
pub struct Run {
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
    /// Its exit code; 128 and the number when a signal ended it.
    pub code: i32,
    pub(super) root: PathBuf,
    pub(super) what: String,
}

impl Run {
    /// The run, which must have ended well.
    #[track_caller]
    pub fn ok(self) -> Run {
        self.fails(0)
    }

    /// The run, which must have ended with this exit code.
    #[track_caller]
    pub fn fails(self, code: i32) -> Run {
        assert_eq!(self.code, code, "exit code of {self:#}");
        self
    }

    /// Standard output, which must be one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("no JSON ({error}) from {self:#}"),
        }
    }

    /// The run as text that is the same on every machine: the home is `[HOME]`, what lies beside it
    /// `[WORLD]`, and keys, long hex ids and temporary names are replaced by what they are.
    pub fn snapshot(&self) -> String {
        let text = format!(
            "exit: {}\n--- stdout\n{}--- stderr\n{}",
            self.code,
            ended_line(&self.stdout),
            ended_line(&self.stderr)
        );
        tidy(&text, &self.root)
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if f.alternate() {
            writeln!(f, "{}", self.what)?;
        }
        f.write_str(&self.snapshot())
    }
}

fn ended_line(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') {
        text.to_owned()
    } else {
        format!("{text}[no newline]\n")
    }
}

/// The text with the world's folders and the words that chance makes named.
pub(super) fn tidy(text: &str, root: &Path) -> String {
    let root = root.to_string_lossy();
    let text = text
        .replace(&format!("{root}/home"), "[HOME]")
        .replace(&*root, "[WORLD]");
    normalised(&text)
}

/// Replaces the words that chance makes.
fn normalised(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let in_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let word_len = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(word_len);
        out.push_str(name_of(word).unwrap_or(word));
        let gap_len = tail.find(in_word).unwrap_or(tail.len());
        let (gap, tail) = tail.split_at(gap_len);
        out.push_str(gap);
        rest = tail;
    }
    out
}

fn name_of(word: &str) -> Option<&'static str> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if word.starts_with("AGE-SECRET-KEY-1") {
        Some("[AGE-SECRET-KEY]")
    } else if word.starts_with("age1") && word.len() > 50 {
        Some("[AGE-RECIPIENT]")
    } else if word.starts_with("clawkeep-tmp-") {
        Some("[TEMP]")
    } else if word.len() >= 16 && word.bytes().all(is_hex) {
        Some("[HEX]")
    } else {
        None
    }
}
