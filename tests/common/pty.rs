//! A program on a terminal of its own, driven as a person drives it.
//!
//! Promise: the terminal starts as a login shell leaves it, with echo on, so a prompt that hides
//! nothing is caught; and [`PtyRun::restored`] compares the terminal afterwards with the one before.

use super::run::{Cmd, Run};
use expectrl::process::Process as _;
use expectrl::process::unix::{UnixProcess, WaitStatus};
use rustix::termios::{LocalModes, Termios, tcgetattr};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a text may take to appear before the program counts as hanging.
const LIMIT: Duration = Duration::from_mins(2);

/// The pty library starts with echo off. This shell gives the test a moment to look at the terminal,
/// turns echo on and becomes the program.
const SHELL: &str = r#"printf '[ready]'; read -r _; /bin/stty echo; exec "$0" "$@""#;

/// A program that runs on a terminal.
pub struct Pty {
    process: UnixProcess,
    terminal: File,
    before: Termios,
    chunks: mpsc::Receiver<Vec<u8>>,
    /// All output so far.
    seen: Vec<u8>,
    /// Up to where `expect` has matched.
    matched: usize,
    root: PathBuf,
    what: String,
}

impl Pty {
    /// Starts it on a terminal of 80 by 24.
    pub fn start(cmd: Cmd) -> Pty {
        Pty::start_at(cmd, 80)
    }

    /// Starts it on a terminal of so many columns.
    pub fn start_at(cmd: Cmd, columns: u16) -> Pty {
        let (command, root, what) = cmd.into_parts();
        let mut shell = Command::new("/bin/sh");
        shell
            .arg("-c")
            .arg(SHELL)
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                shell.env(name, value);
            }
        }
        shell.env("TERM", "xterm-256color");
        if let Some(dir) = command.get_current_dir() {
            shell.current_dir(dir);
        }
        let process = UnixProcess::spawn_command(shell).expect("a pseudo-terminal");
        let terminal = process.get_raw_handle().expect("the terminal's own end");
        let before = tcgetattr(&terminal).expect("a terminal");
        let mut pty = Pty {
            chunks: reader(terminal.try_clone().expect("a file of our own")),
            process,
            terminal,
            before,
            seen: Vec::new(),
            matched: 0,
            root,
            what,
        };
        pty.expect("[ready]");
        pty.before = tcgetattr(&pty.terminal).expect("a terminal");
        pty.before.local_modes |= LocalModes::ECHO;
        let mut size = rustix::termios::tcgetwinsize(&pty.terminal).expect("a terminal");
        size.ws_col = columns;
        rustix::termios::tcsetwinsize(&pty.terminal, size).expect("a terminal of our own");
        pty.send("\n");
        pty.seen.clear();
        pty.matched = 0;
        pty
    }

    /// Waits until `text` appears after what was last waited for.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let new = &self.seen[self.matched..];
            if let Some(at) = find(new, text.as_bytes()) {
                self.matched += at + text.len();
                return;
            }
            match self
                .chunks
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(chunk) => self.seen.extend_from_slice(&chunk),
                Err(error) => panic!(
                    "{:?} never came from {} ({error})\n{}",
                    text,
                    self.what,
                    self.screen()
                ),
            }
        }
    }

    /// Waits until one of the texts appears and says which, the one that came first; `None` when the
    /// program ended without one.
    #[track_caller]
    pub fn expect_any(&mut self, texts: &[&str]) -> Option<usize> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let new = &self.seen[self.matched..];
            let found = texts
                .iter()
                .enumerate()
                .filter_map(|(which, text)| Some((find(new, text.as_bytes())?, which)))
                .min();
            if let Some((at, which)) = found {
                self.matched += at + texts[which].len();
                return Some(which);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.chunks.recv_timeout(left) {
                Ok(chunk) => self.seen.extend_from_slice(&chunk),
                Err(mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    panic!("{} asks nothing\n{}", self.what, self.screen())
                }
            }
        }
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = self.process.pid().as_raw();
        let pid = rustix::process::Pid::from_raw(pid).expect("our own child");
        rustix::process::kill_process(pid, signal).expect("our own child");
    }

    /// Types. Control characters are typed as such: `\x03` is Ctrl-C, `\x04` Ctrl-D.
    pub fn send(&mut self, text: &str) {
        self.terminal
            .write_all(text.as_bytes())
            .expect("a terminal that takes what is typed");
    }

    /// Types and presses Enter.
    pub fn send_line(&mut self, text: &str) {
        self.send(text);
        self.send("\r");
    }

    /// Whether what is typed now would be shown.
    pub fn echoes(&self) -> bool {
        let now = tcgetattr(&self.terminal).expect("a terminal");
        now.local_modes.contains(LocalModes::ECHO)
    }

    /// Waits until what is typed is no longer shown: some programs prompt first and hide then.
    #[track_caller]
    pub fn wait_hidden(&self) {
        let deadline = Instant::now() + LIMIT;
        while self.echoes() {
            assert!(Instant::now() < deadline, "{} hides nothing", self.what);
            std::thread::yield_now();
        }
    }

    /// All output so far, control sequences included.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.seen).replace("\r\n", "\n")
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> PtyRun {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self
                .chunks
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(chunk) => self.seen.extend_from_slice(&chunk),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    panic!("{} did not end\n{}", self.what, self.screen())
                }
            }
        }
        let code = match self.process.wait().expect("our own child") {
            WaitStatus::Exited(_, code) => code,
            WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
            other => panic!("{}: {other:?}", self.what),
        };
        let after = tcgetattr(&self.terminal).expect("a terminal");
        let restored = same(&self.before, &after);
        PtyRun {
            restored,
            run: Run {
                stdout: self.screen(),
                stderr: String::new(),
                code,
                root: self.root.clone(),
                what: self.what.clone(),
            },
        }
    }
}

/// What came of a program on a terminal.
#[must_use = "look at what came of it"]
pub struct PtyRun {
    /// The exit code, and as `stdout` all that the terminal showed.
    pub run: Run,
    /// Whether the terminal is as it was before the program.
    pub restored: bool,
}

fn same(a: &Termios, b: &Termios) -> bool {
    // PENDIN is the kernel's own: a note that unread input waits.
    let local = |modes: LocalModes| modes - LocalModes::PENDIN;
    a.input_modes == b.input_modes
        && a.output_modes == b.output_modes
        && a.control_modes == b.control_modes
        && local(a.local_modes) == local(b.local_modes)
}

fn reader(mut terminal: File) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        // Linux says EIO when nobody holds the terminal any more.
        while let Ok(n @ 1..) = terminal.read(&mut buffer) {
            if sender.send(buffer[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
