//! Where a keeper listens on Windows, and who is at the other end: a named pipe with the functions of a
//! socket. Ring 2, Windows.
//!
//! Promises: a connection is given out only when pipe and process at the other end are this user's;
//! nothing here waits longer than [`ANSWER_WAIT`]; only pipes of this machine are looked for. A server
//! is the first of its name or none, and its name is never free while it runs.
//!
//! Users have no numbers here: who is not this user is refused, and this user is number 0.

use super::socket::{ANSWER_WAIT, Peer};
use super::windows::{self, Event, Limit, Pipe, Process};
use crate::error::{Error, Result};
use crate::json::hex;
use sha2::{Digest, Sha256};
use std::cell::Cell;
use std::io::{Read, Write};
use std::os::windows::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What every name of a pipe of this machine begins with.
const PREFIX: &str = r"\\.\pipe\";

/// The number of this user; others have none.
pub fn own_uid() -> u32 {
    0
}

/// The pipe of the vault in `dir`, for this user. All pipes of a machine have one folder, so its name
/// holds a digest of both.
pub fn default_path(dir: &Path) -> PathBuf {
    // One name for each spelling of a folder that is there.
    let dir = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let mut digest = Sha256::new();
    digest.update(b"clawkeep/v1/pipe\0");
    digest.update(windows::own_user().unwrap_or_default());
    digest.update([0]);
    for unit in dir.as_os_str().encode_wide() {
        digest.update(unit.to_le_bytes());
    }
    let digest = hex(digest.finalize().get(..16).unwrap_or_default());
    PathBuf::from(format!("{PREFIX}clawkeep-{digest}"))
}

/// The name of a pipe of this machine.
fn name_of(path: &Path) -> Result<&str> {
    let text = path.to_str().unwrap_or_default();
    let rest = text.strip_prefix(PREFIX).unwrap_or_default();
    if rest.is_empty() || rest.len() > 200 || rest.contains(['\\', '/', '\0']) {
        return Err(
            Error::usage(format!("{} is no pipe of this machine", path.display())).hint(format!(
                "a name like {PREFIX}clawkeep-mine, or leave --socket out"
            )),
        );
    }
    Ok(text)
}

fn own_user() -> Result<String> {
    windows::own_user().map_err(|error| {
        Error::failed(format!(
            "Windows does not tell who this user is: {}",
            error.kind()
        ))
    })
}

/// A connection.
#[derive(Debug)]
pub struct Stream {
    pipe: Pipe,
    is_client: bool,
    wait: Cell<Duration>,
    /// Ends the connection from another thread.
    until: Option<Arc<Event>>,
}

impl Stream {
    /// Whatever waits here ends when `until` comes.
    pub(super) fn end_by(&mut self, until: Arc<Event>) {
        self.until = Some(until);
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let limit = Limit {
            span: Some(self.wait.get()),
            until: self.until.as_deref(),
        };
        self.pipe.read(into, limit)
    }
}

impl Write for Stream {
    fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
        let limit = Limit {
            span: Some(self.wait.get()),
            until: self.until.as_deref(),
        };
        self.pipe.write(from, limit)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// How long the next reading or writing may wait; more than nothing.
#[allow(
    clippy::unnecessary_wraps,
    reason = "a socket's time is the system's to refuse"
)]
pub(super) fn wait_at_most(stream: &Stream, wait: Duration) -> std::io::Result<()> {
    stream.wait.set(wait);
    Ok(())
}

/// On Unix the first moment of waiting is spent awake; nothing was measured here that would ask for it.
pub(super) fn look_out(_: &Stream) {}

pub(super) fn silent(path: &Path) -> Error {
    Error::locked(format!("the keeper at {} does not answer", path.display()))
        .hint("clawkeep keeper status")
}

/// Who is at the other end: a process of this user.
///
/// # Errors
/// `Locked` when the system does not tell; `Broken` when it runs under another user.
pub fn peer(stream: &Stream) -> Result<Peer> {
    let untold = |error: std::io::Error| {
        Error::locked(format!(
            "Windows does not tell which user is at the other end of the keeper's pipe: {}",
            error.kind()
        ))
        .hint("run both as the same user, both with or both without administrator's rights")
    };
    let pid = stream
        .pipe
        .other_process(stream.is_client)
        .map_err(untold)?;
    let user = Process::open(pid)
        .and_then(|process| process.user())
        .map_err(untold)?;
    if user != own_user()? {
        return Err(Error::broken(format!(
            "the process at the other end of the keeper's pipe (process {pid}) runs under another user"
        ))
        .hint(format!("see who: tasklist /V /FI \"PID eq {pid}\"")));
    }
    Ok(Peer {
        pid,
        uid: own_uid(),
    })
}

/// Connects to the keeper that listens at `path`. `None` when nobody listens there.
///
/// # Errors
/// `Locked` when it does not take connections within [`ANSWER_WAIT`] or this user may not connect;
/// `Broken` when another user listens there; `Usage` for a path that is no pipe of this machine.
pub fn connect(path: &Path, uid: u32) -> Result<Option<Stream>> {
    let name = name_of(path)?;
    if uid != own_uid() {
        return Err(
            Error::broken("keeper.json names a user by number, and there are none here")
                .hint("remove keeper.json from the vault's folder"),
        );
    }
    let deadline = Instant::now() + ANSWER_WAIT;
    let pipe = loop {
        match Pipe::go(name) {
            Ok(pipe) => break pipe,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) if windows::is_taken(&error) => {
                if Instant::now() >= deadline {
                    return Err(silent(path));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(Error::locked(format!(
                    "this user may not ask the keeper at {}",
                    path.display()
                ))
                .hint("clawkeep keeper status"));
            }
            Err(error) => return Err(Error::io("connect to", path, &error)),
        }
    };
    // The number of a process may be another one's by now; who made the pipe stays.
    let owner = pipe
        .owner()
        .map_err(|error| Error::io("look at", path, &error))?;
    if owner != own_user()? {
        return Err(Error::broken(format!(
            "what listens at {} belongs to another user, so it is not this vault's keeper",
            path.display()
        ))
        .hint("clawkeep keeper start --socket NAME names another pipe"));
    }
    let stream = Stream {
        pipe,
        is_client: true,
        wait: Cell::new(ANSWER_WAIT),
        until: None,
    };
    peer(&stream)?;
    Ok(Some(stream))
}

/// A pipe goes with its last handle.
pub fn forget(_: &Path) {}

/// A place where clients come.
#[derive(Debug)]
pub struct Listener {
    name: String,
    user: String,
    /// Where the next one may come. There is always one, so nobody else has the name.
    next: Mutex<Pipe>,
}

/// Listens at `path`. The mode is that of a socket's file: a pipe is for this user alone.
///
/// # Errors
/// `Broken` when somebody listens there; `Failed` when the system refuses; `Usage` for a path that is
/// no pipe of this machine.
pub fn listen(path: &Path, _mode: u32) -> Result<Listener> {
    let name = name_of(path)?.to_owned();
    let user = own_user()?;
    let taken = || {
        Error::broken(format!(
            "another process listens at {} already",
            path.display()
        ))
        .hint("clawkeep keeper status")
    };
    // Windows makes only the first of a name as such; what behaves like Windows may not (Wine 8).
    if Pipe::is_there(&name) {
        return Err(taken());
    }
    let first = Pipe::place(&name, &user, true).map_err(|error| {
        if error.kind() == std::io::ErrorKind::PermissionDenied || windows::is_taken(&error) {
            taken()
        } else {
            Error::io("listen at", path, &error)
        }
    })?;
    Ok(Listener {
        name,
        user,
        next: Mutex::new(first),
    })
}

impl Listener {
    /// The next client, a process of this user. `None` when `until` came.
    ///
    /// # Errors
    /// Those of the system; also when a client came and went. The listener stays as it was.
    pub(super) fn accept(&self, until: &Event) -> std::io::Result<Option<(Stream, Peer)>> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let came = next.come(until);
        if matches!(came, Ok(false)) {
            return Ok(None);
        }
        // Before the old place is given away.
        let fresh = Pipe::place(&self.name, &self.user, false)?;
        let pipe = std::mem::replace(&mut *next, fresh);
        drop(next);
        came?;
        let stream = Stream {
            pipe,
            is_client: false,
            wait: Cell::new(ANSWER_WAIT),
            until: None,
        };
        let peer = peer(&stream).map_err(|_| std::io::ErrorKind::PermissionDenied)?;
        Ok(Some((stream, peer)))
    }
}
