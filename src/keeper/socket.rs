//! Where a keeper listens, and who is at the other end. Ring 2.
//!
//! Promises: a connection is given out only when the process that listens runs under the expected
//! user; nothing here waits longer than [`ANSWER_WAIT`]. A path that is too long for a socket address
//! is reached through its folder (Linux).
//!
//! On Windows it is a named pipe with the same functions: `pipe.rs`.

#[cfg(unix)]
use crate::error::{Error, Result};
#[cfg(unix)]
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The socket's name in the vault's folder.
pub const NAME: &str = "keeper.sock";

/// How long a client waits for a keeper that does not answer.
pub const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// Where the keeper of the vault in `dir` listens unless a [`super::pointer::Pointer`] says otherwise.
#[cfg(unix)]
pub fn default_path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// The process at the other end, as the kernel knows it: of the moment when it connected, or listened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its process id; 0 when it has none in our namespace.
    pub pid: u32,
    /// Its user. On Windows 0, which is this user: nobody else's process is given out.
    pub uid: u32,
}

#[cfg(unix)]
pub use unix::{Stream, connect, forget, listen, own_uid, peer};
#[cfg(unix)]
pub(super) use unix::{look_out, silent, wait_at_most};

#[cfg(windows)]
pub use super::pipe::{Stream, connect, default_path, forget, listen, own_uid, peer};
#[cfg(windows)]
pub(super) use super::pipe::{look_out, silent, wait_at_most};

#[cfg(unix)]
mod unix {
    use super::{ANSWER_WAIT, Error, Path, Peer, Result};
    use rustix::io::Errno;
    use rustix::net::{AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType};
    use std::fs::File;
    use std::os::fd::{AsFd, AsRawFd};
    use std::os::unix::net::UnixListener;
    use std::time::{Duration, Instant};

    /// A connection.
    pub type Stream = std::os::unix::net::UnixStream;

    /// The user that this process acts as.
    pub fn own_uid() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// `Locked` when the system does not tell. Linux gives the process number 0 for one outside this
    /// container's own process table, which rustix takes for an error: so nobody is believed who
    /// cannot be looked at.
    pub fn peer(stream: impl AsFd) -> Result<Peer> {
        #[cfg(target_os = "linux")]
        {
            let credentials = rustix::net::sockopt::socket_peercred(stream)
                .map_err(|_| {
                    Error::locked(
                        "a keeper in another container cannot be told from a false one",
                    )
                    .hint("let both see the same processes (docker run --pid), or give this container an identity file")
                })?;
            Ok(Peer {
                pid: u32::try_from(credentials.pid.as_raw_nonzero().get()).unwrap_or(0),
                uid: credentials.uid.as_raw(),
            })
        }
        #[cfg(not(target_os = "linux"))]
        {
            // The socket's folder is 0700: only this user and root come here.
            let _ = stream;
            Ok(Peer {
                pid: 0,
                uid: own_uid(),
            })
        }
    }

    /// A path that fits into a socket address, and what must stay open for it.
    fn short(path: &Path) -> Result<(std::path::PathBuf, Option<File>)> {
        /// What `sun_path` holds, with its zero byte.
        const LONGEST: usize = 107;
        if path.as_os_str().len() <= LONGEST {
            return Ok((path.to_owned(), None));
        }
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::failed("the socket's path names no file"));
        };
        let folder = File::open(dir).map_err(|error| Error::io("open", dir, &error))?;
        let by = std::path::PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
        Ok((by.join(name), Some(folder)))
    }

    /// Connects to the keeper that listens at `path` under `uid`. `None` when nobody listens there.
    ///
    /// # Errors
    /// `Locked` when it does not take connections within [`ANSWER_WAIT`] or this user may not connect;
    /// `Broken` when another user listens there, or something is there that is no socket.
    pub fn connect(path: &Path, uid: u32) -> Result<Option<Stream>> {
        use rustix::io::Errno;
        let (by, _folder) = short(path)?;
        let failed = |error: Errno| Error::io("connect to", path, &error.into());
        let address = SocketAddrUnix::new(&by).map_err(failed)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(failed)?;
        let deadline = Instant::now() + ANSWER_WAIT;
        loop {
            match rustix::net::connect(&socket, &address) {
                Ok(()) => break,
                Err(Errno::NOENT | Errno::CONNREFUSED | Errno::NOTDIR) => return Ok(None),
                Err(Errno::INTR) => {}
                // Its queue is full: as many wait as the system allows.
                Err(Errno::AGAIN) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(Errno::AGAIN) => return Err(silent(path)),
                Err(Errno::ACCESS) => {
                    return Err(Error::locked(format!(
                        "this user may not ask the keeper at {}",
                        path.display()
                    ))
                    .hint("clawkeep keeper status"));
                }
                Err(error) => return Err(failed(error)),
            }
        }
        let stream = Stream::from(socket);
        let other = peer(&stream)?;
        if other.uid != uid {
            return Err(Error::broken(format!(
                "the process that listens at {} runs under another user ({}) than the keeper should ({uid})",
                path.display(),
                other.uid
            ))
            .hint(format!("see who: fuser -v {}", crate::error::typed(path))));
        }
        let timed = stream
            .set_nonblocking(false)
            .and_then(|()| wait_at_most(&stream, ANSWER_WAIT));
        timed.map_err(|error| Error::io("connect to", path, &error))?;
        Ok(Some(stream))
    }

    /// How long the next reading or writing may wait; more than nothing.
    pub(in super::super) fn wait_at_most(stream: &Stream, wait: Duration) -> std::io::Result<()> {
        stream.set_read_timeout(Some(wait))?;
        stream.set_write_timeout(Some(wait))
    }

    /// Waits awake for an answer, a moment and no longer: to fall asleep and be woken costs more than a
    /// keeper takes to answer (measured: a third of a whole `resolve`). Whoever else wants the processor
    /// has it in between.
    pub(in super::super) fn look_out(stream: &Stream) {
        /// More than a keeper takes with a vault that it has open.
        const MOMENT: Duration = Duration::from_micros(400);
        let by = Instant::now() + MOMENT;
        let is_there = || {
            let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
            rustix::net::recv(stream, &mut [0; 1], flags) != Err(Errno::AGAIN)
        };
        while !is_there() && Instant::now() < by {
            std::thread::yield_now();
        }
    }

    pub(in super::super) fn silent(path: &Path) -> Error {
        Error::locked(format!("the keeper at {} does not answer", path.display()))
            .hint("clawkeep keeper status")
    }

    /// What connects inherits that the kernel says who sends (see [`super::super::attested`]), and since
    /// some version of Linux from the moment when it connects: so that is set before anyone can.
    #[cfg(target_os = "linux")]
    fn bind(path: &Path) -> std::io::Result<UnixListener> {
        /// More than any system lets wait.
        const QUEUE: i32 = 4096;
        let flags = SocketFlags::CLOEXEC;
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        super::super::attested::attest(&socket)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        rustix::net::listen(&socket, QUEUE)?;
        Ok(UnixListener::from(socket))
    }

    #[cfg(not(target_os = "linux"))]
    fn bind(path: &Path) -> std::io::Result<UnixListener> {
        UnixListener::bind(path)
    }

    /// Listens at `path`, mode `mode`, where a stale socket is replaced. Only for who holds the
    /// keeper's lock.
    ///
    /// # Errors
    /// `Failed` when the system refuses, `Broken` when something that is no socket is there.
    pub fn listen(path: &Path, mode: u32) -> Result<UnixListener> {
        use std::os::unix::fs::{FileTypeExt, PermissionsExt};
        let failed = |error: std::io::Error| Error::io("listen at", path, &error);
        match std::fs::symlink_metadata(path) {
            Ok(meta) if meta.file_type().is_socket() => {
                std::fs::remove_file(path).map_err(failed)?;
            }
            Ok(_) => {
                return Err(Error::broken(format!(
                    "{} is in the way of the keeper's socket",
                    path.display()
                ))
                .hint(format!("ls -l {}", crate::error::typed(path))));
            }
            Err(_) => {}
        }
        let (by, _folder) = short(path)?;
        // Nobody may connect before the mode is right.
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
        let bound = bind(&by);
        rustix::process::umask(before);
        let listener = bound.map_err(failed)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(listener)
    }

    /// Removes the socket at `path`, when its keeper ends.
    pub fn forget(path: &Path) {
        let _ = std::fs::remove_file(path);
    }
}
