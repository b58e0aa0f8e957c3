//! Files that several processes append whole lines to, and that one of them now and then makes
//! smaller. Ring 1; knows bytes, not what they mean.
//!
//! Promises:
//! - a line is in the file whole or not at all, also on a full disk; what a power cut tore is ended by
//!   a line feed before the next line is written;
//! - who holds the lock of the file that the path names is alone in replacing it, so no appender writes
//!   into a file that has just gone and nobody replaces the same one twice;
//! - a lock that another process keeps delays by [`WAIT`] at most and then stops nobody. What is then
//!   written beside a replacement is lost by no order of events; it may stand there twice;
//! - nothing is synced: a power cut may take the last seconds.

use super::{Privacy, careful, check_owner_and_mode, open_error};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long an appender waits for the lock. Who folds a file of a few MiB has it for some 50 ms.
const WAIT: Duration = Duration::from_millis(250);

/// How often a file may be replaced between its opening and its locking.
const TRIES: usize = 16;

/// A file that lines are appended to, opened, checked and (unless somebody keeps the lock) locked.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    size: u64,
    is_locked: bool,
}

/// How often lines are written again that went into a file without a name.
const AGAIN: usize = 4;

impl Journal {
    /// Opens the journal at `path`; made 0600 if it is missing.
    ///
    /// # Errors
    /// `Broken` when the path is a link or no regular file, belongs to another user or is open to
    /// others; `Missing` when its folder is not there.
    pub fn open(path: &Path) -> Result<Self> {
        for _ in 0..TRIES {
            let file = open_appending(path)?;
            let is_locked = lock(&file);
            let meta = file
                .metadata()
                .map_err(|error| Error::io("read", path, &error))?;
            if !meta.is_file() {
                return Err(Error::broken(format!(
                    "{} is not a regular file",
                    path.display()
                )));
            }
            check_owner_and_mode(path, &meta, Privacy::Private)?;
            if !is_gone(&meta) {
                return Ok(Journal {
                    file,
                    path: path.to_owned(),
                    size: meta.len(),
                    is_locked,
                });
            }
        }
        Err(Error::failed(format!(
            "{} is replaced again and again",
            path.display()
        )))
    }

    /// Bytes in the file when it was opened.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether this process may put another file in this one's place, as long as it keeps the value.
    pub fn is_locked(&self) -> bool {
        self.is_locked
    }

    /// Gives the file another name ([`aside`]); one that has it already goes.
    ///
    /// # Errors
    /// `Failed` when the system refuses.
    #[allow(
        clippy::disallowed_methods,
        reason = "door: a file that is useless gets another name"
    )]
    pub fn set_aside(self) -> Result<()> {
        std::fs::rename(&self.path, aside(&self.path))
            .map_err(|error| Error::io("rename", &self.path, &error))
    }

    /// Puts `bytes` in the place of the file, of which the first `read` bytes are in them. What came
    /// behind those meanwhile is appended.
    ///
    /// # Errors
    /// `Failed` when the system refuses; the file then stays, and is handed back.
    pub fn replace(mut self, read: u64, bytes: &[u8]) -> std::result::Result<Journal, Journal> {
        if super::replace(&self.path, bytes, 0o600).is_err() {
            return Err(self);
        }
        let mut late = Vec::new();
        let seen = self.file.seek(SeekFrom::Start(read));
        let _ = seen.and_then(|_| self.file.read_to_end(&mut late));
        if !late.is_empty() {
            let _ = Journal::open(&self.path).and_then(|journal| journal.append(&late));
        }
        Journal::open(&self.path).map_err(|_| self)
    }

    /// Appends whole lines.
    ///
    /// # Errors
    /// `Failed`, on a full disk say; the file is then as it was.
    pub fn append(mut self, lines: &[u8]) -> Result<()> {
        for _ in 0..AGAIN {
            self.write(lines)
                .map_err(|error| Error::io("write", &self.path, &error))?;
            if self.is_locked || !self.file.metadata().is_ok_and(|meta| is_gone(&meta)) {
                break;
            }
            self = Journal::open(&self.path)?;
        }
        Ok(())
    }

    fn write(&mut self, lines: &[u8]) -> std::io::Result<()> {
        if self.size > 0 {
            let mut last = [0];
            self.file.seek(SeekFrom::Start(self.size - 1))?;
            self.file.read_exact(&mut last)?;
            if last != *b"\n" {
                self.file.write_all(b"\n")?;
            }
        }
        self.file.write_all(lines).inspect_err(|_| {
            // A part may be there. Without the lock another's line may stand behind it.
            if self.is_locked {
                let _ = self.file.set_len(self.size);
            }
        })
    }
}

/// Where [`Journal::set_aside`] puts the file of this path.
pub fn aside(path: &Path) -> PathBuf {
    path.with_extension("set-aside")
}

fn open_appending(path: &Path) -> Result<File> {
    careful()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
        .map_err(|error| open_error(path, &error))
}

/// `false` when another process kept it all the time, or the file system has no locks.
fn lock(file: &File) -> bool {
    let mut deadline = None;
    let mut pause = Duration::from_micros(50);
    loop {
        match file.try_lock() {
            Ok(()) => return true,
            Err(std::fs::TryLockError::Error(_)) => return false,
            Err(std::fs::TryLockError::WouldBlock) => {}
        }
        let now = Instant::now();
        if now >= *deadline.get_or_insert(now + WAIT) {
            return false;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

/// Whether the file lost its name after it was opened.
#[cfg(unix)]
fn is_gone(meta: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    meta.nlink() == 0
}

#[cfg(not(unix))]
fn is_gone(_: &std::fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        (dir, path)
    }

    #[test]
    fn a_torn_line_does_not_take_the_next_one_with_it() {
        let (_dir, path) = journal();
        Journal::open(&path)
            .unwrap()
            .append(b"one\n{\"torn")
            .unwrap();
        let again = Journal::open(&path).unwrap();
        assert_eq!(again.size(), 10);
        again.append(b"two\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\n{\"torn\ntwo\n");
    }

    #[test]
    fn who_waited_for_the_lock_writes_into_the_file_that_is_there_now() {
        let (_dir, path) = journal();
        let holder = Journal::open(&path).unwrap();
        assert!(holder.is_locked());
        let waiting = {
            let path = path.clone();
            std::thread::spawn(move || Journal::open(&path).unwrap().append(b"late\n").unwrap())
        };
        super::super::replace(&path, b"new\n", 0o600).unwrap();
        drop(holder);
        waiting.join().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new\nlate\n");
    }

    #[test]
    fn a_lock_that_is_never_given_up_stops_nobody() {
        let (_dir, path) = journal();
        let holder = Journal::open(&path).unwrap();
        let second = Journal::open(&path).unwrap();
        assert!(!second.is_locked());
        second.append(b"second\n").unwrap();
        drop(holder);
        assert_eq!(std::fs::read(&path).unwrap(), b"second\n");
    }

    #[test]
    fn what_was_written_past_a_lock_is_in_the_file_that_replaces() {
        let (_dir, path) = journal();
        Journal::open(&path).unwrap().append(b"old\n").unwrap();
        let holder = Journal::open(&path).unwrap();
        let before = Journal::open(&path).unwrap();
        let after = Journal::open(&path).unwrap();
        assert!(!before.is_locked() && !after.is_locked());
        before.append(b"before\n").unwrap();
        drop(holder.replace(4, b"new\n").unwrap());
        after.append(b"after\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new\nbefore\nafter\n");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_private_file_of_ours_is_not_written() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, path) = journal();
        let target = dir.path().join("target");
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(Journal::open(&path).is_err());
        assert!(!target.exists());
        std::fs::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            &path,
            rustix::fs::Mode::from_raw_mode(0o600),
        )
        .unwrap();
        assert!(Journal::open(&path).is_err());
        std::fs::remove_file(&path).unwrap();
        Journal::open(&path).unwrap().append(b"x\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o622)).unwrap();
        assert!(Journal::open(&path).is_err());
    }
}
