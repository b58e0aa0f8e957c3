//! The sidecar lock of a folder's writers, and what killed writers leave. Ring 1.

#[cfg(unix)]
use super::BESIDE_PREFIX;
use super::{TEMP_PREFIX, careful, open_error};
use crate::error::{Error, Result};
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a writer waits for another writer before it says so.
pub const LOCK_WAIT: Duration = Duration::from_secs(30);

/// The right to write in one folder. Held by its value; the kernel frees it when the process dies,
/// so there is no stale lock to break.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the file `path` (made 0600 if it is missing), waiting at most `wait`.
    ///
    /// The sidecar is opened for writing: on NFS `flock` becomes a POSIX lock, which needs that.
    ///
    /// # Errors
    /// `Failed` when another process still holds it after `wait`.
    pub fn take(path: &Path, wait: Duration) -> Result<Self> {
        let file = open_sidecar(path)?;
        let deadline = Instant::now() + wait;
        let mut pause = Duration::from_millis(1);
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(std::fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(20));
                }
                Err(std::fs::TryLockError::WouldBlock) => {
                    return Err(Error::failed(format!(
                        "another clawkeep has been writing for {} seconds and holds {}",
                        wait.as_secs(),
                        path.display()
                    ))
                    .hint(format!("see who: fuser -v {}", crate::error::typed(path))));
                }
                Err(std::fs::TryLockError::Error(error)) => {
                    return Err(Error::io("lock", path, &error));
                }
            }
        }
        let dir = path.parent().unwrap_or(Path::new("."));
        sweep(dir);
        Ok(Lock { _file: file })
    }

    /// Takes a lock that says "I am the one", not "I write here": nothing is swept, and nobody waits.
    /// `None` when another process is the one.
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub fn hold(path: &Path) -> Result<Option<Self>> {
        let file = open_sidecar(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(Error::io("lock", path, &error)),
        }
    }
}

fn open_sidecar(path: &Path) -> Result<File> {
    let file = careful()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| open_error(path, &error).context("cannot lock the vault"))?;
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return Err(Error::broken(format!(
            "{} is not a regular file",
            path.display()
        )));
    }
    Ok(file)
}

/// Removes temporary files that a killed writer left in `dir`. Only for who holds the lock under
/// which that folder is written: then there is no other writer.
pub fn sweep(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(TEMP_PREFIX) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Removes temporary files in `dir` whose writer was killed: for folders that no one lock guards,
/// where another clawkeep may be writing right now. A private key may be in one.
pub fn sweep_dead(dir: &Path) {
    #[cfg(unix)]
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !(name.starts_with(TEMP_PREFIX) || name.starts_with(BESIDE_PREFIX))
            || !entry.file_type().is_ok_and(|kind| kind.is_file())
        {
            continue;
        }
        let opened = careful().read(true).open(entry.path());
        if opened.is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    #[cfg(not(unix))]
    let _ = dir;
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn who_writes_beside_is_not_swept_away_until_it_is_dead() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("note.json");
        // As it is while `replace_beside` writes: locked by its writer.
        let unfinished = dir.path().join(format!("{BESIDE_PREFIX}x"));
        let writer = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&unfinished)
            .unwrap();
        writer.try_lock().unwrap();
        drop(Lock::take(&dir.path().join("a.lock"), Duration::ZERO).unwrap());
        file::replace_beside(&path, b"one", 0o644).unwrap();
        assert!(unfinished.exists());
        drop(writer);
        file::replace_beside(&path, b"two", 0o600).unwrap();
        assert_eq!(names(dir.path()), ["a.lock", "note.json"]);
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(file::mode_of(&path), 0o600);
    }

    #[test]
    fn a_file_of_anyone_is_read_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        assert!(file::read_of_anyone(&path, 10).unwrap().is_none());
        file::replace(&path, b"0123456789", 0o666).unwrap();
        let (bytes, meta) = file::read_of_anyone(&path, 10).unwrap().unwrap();
        assert_eq!(
            (bytes.as_slice(), meta.len()),
            (b"0123456789".as_slice(), 10)
        );
        assert!(file::read_of_anyone(&path, 9).is_err());
        assert!(file::read_of_anyone(dir.path(), 10).is_err());
        std::os::unix::fs::symlink(&path, dir.path().join("l")).unwrap();
        assert!(file::read_of_anyone(&dir.path().join("l"), 10).is_err());
    }
}
