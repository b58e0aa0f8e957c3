//! A small program of ours, run by the Node that runs OpenClaw. Knows processes and pipes; not what
//! the program says.
//!
//! Promises: the program comes on standard input, so nothing lies on the disk for another to change;
//! it sees no variable but the one that says where SQLite puts its own temporary files; what it
//! answers is bounded, and every buffer of it is wiped; it ends when its time is up.

use crate::error::{Error, Result};
use crate::host;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The first room for an answer, in bytes; it doubles as it fills.
const FIRST_ROOM: usize = 64 * 1024;

/// Where SQLite puts what does not fit into memory.
const TEMPORARY: &str = "SQLITE_TMPDIR";

/// Runs `program`, a JavaScript module, with `args`, which are no secrets, and gives all that it
/// printed: at most `most` bytes. `temporary` is the folder for SQLite's temporary files.
///
/// # Errors
/// `Failed` when Node cannot be started, fails, prints more, or does not end within `limit`. What it
/// says on standard error is not repeated, nor read.
pub(super) fn ask(
    node: &Path,
    program: &'static str,
    args: &[&OsStr],
    temporary: Option<&Path>,
    most: usize,
    limit: Duration,
) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |what: &str| {
        Error::failed(format!(
            "{} {what} when it was to look into OpenClaw's database",
            node.display()
        ))
        .hint(format!("{} --version", crate::error::typed(node)))
    };
    let mut command = Command::new(node);
    command
        .args(["--no-warnings", "--input-type=module", "-"])
        .args(args)
        .env_clear()
        // No package.json of the current folder has a say.
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(folder) = temporary {
        command.env(TEMPORARY, folder);
    }
    #[cfg(windows)]
    if let Some(root) = host::Host::real().var("SystemRoot") {
        // Without it Windows starts no program that uses sockets, and Node does.
        command.env("SystemRoot", root);
    }
    let mut child = command
        .spawn()
        .map_err(|error| Error::io("run", node, &error))?;
    let answer = collect(child.stdout.take(), most);
    if let Some(mut input) = child.stdin.take() {
        // One that stops reading fails below, by its exit code.
        let _ = input.write_all(program.as_bytes());
    }
    let ended = host::wait_for(&mut child, Instant::now() + limit)
        .map_err(|error| Error::io("wait for", node, &error))?;
    let Some(status) = ended else {
        // Only this child: it was started here, and its id cannot have been reused before `wait`.
        let _ = child.kill();
        let _ = child.wait();
        return Err(failed(&format!(
            "did not end within {} seconds",
            limit.as_secs()
        )));
    };
    // It starts nobody who could hold the pipe open.
    let answer = answer
        .recv_timeout(Duration::from_secs(2))
        .map_err(|_| failed("did not finish its answer"))?;
    match answer {
        _ if !status.success() => Err(failed("failed")),
        Some(answer) => Ok(answer),
        None => Err(failed("gave too long an answer")),
    }
}

fn root() -> &'static Path {
    Path::new(if cfg!(windows) { "C:\\" } else { "/" })
}

/// Reads a pipe to its end on a thread of its own, so that a full pipe stops nobody. `None` for more
/// than `most` bytes.
fn collect(
    pipe: Option<impl Read + Send + 'static>,
    most: usize,
) -> mpsc::Receiver<Option<Zeroizing<Vec<u8>>>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let answer = pipe.map_or_else(|| Some(Zeroizing::default()), |pipe| wiped(pipe, most));
        let _ = sender.send(answer);
    });
    receiver
}

/// All of it, in buffers that are wiped: a vector that grows by itself leaves its old bytes behind.
fn wiped(mut pipe: impl Read, most: usize) -> Option<Zeroizing<Vec<u8>>> {
    let mut room = Zeroizing::new(vec![0; FIRST_ROOM.min(most + 1)]);
    let mut filled = 0;
    loop {
        if filled == room.len() {
            if filled > most {
                return None;
            }
            let mut larger = Zeroizing::new(vec![0; (filled * 2).min(most + 1)]);
            larger[..filled].copy_from_slice(&room);
            room = larger;
        }
        match pipe.read(&mut room[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    room.truncate(filled);
    (filled <= most).then_some(room)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_answer_is_whole_or_refused(
            length in 0usize..200_000, most in 1usize..150_000, chunk in 1usize..5000,
        ) {
            let bytes: Vec<u8> = (0..=250u8).cycle().take(length).collect();
            let got = wiped(Chunks(&bytes, chunk), most);
            prop_assert_eq!(got.is_some(), length <= most);
            prop_assert!(got.is_none_or(|got| *got == bytes));
        }
    }

    /// Gives a few bytes at a time, as pipes do.
    struct Chunks<'a>(&'a [u8], usize);

    impl Read for Chunks<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let most = buffer.len().min(self.1);
            self.0.read(&mut buffer[..most])
        }
    }

    #[cfg(unix)]
    mod run {
        use super::super::*;
        use crate::file;

        /// Stands for Node: a shell script that gets the program as its input.
        fn stand_in(body: &str, limit: Duration) -> Result<Zeroizing<Vec<u8>>> {
            let dir = tempfile::tempdir().unwrap();
            let node = dir.path().join("node");
            let script = format!("#!/bin/sh\n{body}\n");
            file::create(&node, script.as_bytes(), 0o700).unwrap();
            let args = [OsStr::new("agent"), OsStr::new("/nowhere")];
            ask(&node, "the program", &args, None, 1000, limit)
        }

        const LONG: Duration = Duration::from_mins(1);

        #[test]
        fn the_program_comes_on_standard_input_and_the_environment_is_empty() {
            let said = stand_in("echo \"$@\"; /bin/cat; echo; /usr/bin/env; pwd", LONG).unwrap();
            let said = String::from_utf8(said.to_vec()).unwrap();
            // A shell adds PWD (and `_` to what it starts) by itself.
            let lines: Vec<&str> = said
                .lines()
                .filter(|line| {
                    !["PWD=", "_=", "SHLVL=", "OLDPWD="]
                        .iter()
                        .any(|own| line.starts_with(own))
                })
                .collect();
            assert_eq!(
                lines,
                [
                    "--no-warnings --input-type=module - agent /nowhere",
                    "the program",
                    "/"
                ]
            );
        }

        #[test]
        fn one_that_fails_hangs_or_floods_is_an_error_without_its_words() {
            for (body, said) in [
                (
                    "echo sk-FAKE-value; echo sk-FAKE-value >&2; exit 3",
                    "failed",
                ),
                ("kill -9 $$", "failed"),
                ("while :; do echo sk-FAKE-value; done", "too long an answer"),
            ] {
                let limit = if body.starts_with("while") {
                    Duration::from_secs(2)
                } else {
                    LONG
                };
                let error = stand_in(body, limit).unwrap_err();
                let is_said = error.message().contains(said)
                    // Its pipe is closed early: it may be ended by that, or by the limit.
                    || body.starts_with("while") && error.message().contains("when it was to look");
                assert!(is_said, "{error}");
                assert!(!error.message().contains("FAKE"), "{error}");
            }
            let error = stand_in("exec sleep 1000", Duration::from_millis(200)).unwrap_err();
            assert!(error.message().contains("did not end within"), "{error}");
            let gone = ask(Path::new("/nowhere/node"), "", &[], None, 10, LONG).unwrap_err();
            assert_eq!(gone.kind(), crate::error::Kind::Missing);
        }
    }
}
