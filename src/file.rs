//! Files: private reads, writes that are never half done, the sidecar lock. Ring 1; knows paths and
//! bytes, not what they mean.
//!
//! Promises:
//! - a read opens first and then checks what it opened: a regular file, ours, closed to others, not
//!   larger than the caller's bound; links are never followed at the last component;
//! - a write is a new file beside the old one, synced, renamed over it, and the folder synced: after
//!   a crash at any instant the path holds the old bytes or the new bytes; group, access list and
//!   attached attributes stay;
//! - what is put back below a folder goes through [`rooted`], which no swapped folder leads astray;
//! - a [`Journal`] is appended to in whole lines;
//! - a [`Lock`] is held by its value and freed by the kernel when the process dies.

#[cfg(unix)]
mod attributes;
mod folder;
mod journal;
mod lock;
mod owner;
pub mod rooted;

pub use folder::{exchange_folders, put_folder};
pub use journal::{Journal, aside};
pub use lock::{LOCK_WAIT, Lock, sweep, sweep_dead};
pub use owner::{is_roots_alone, only_root_moves, owner};

use crate::error::{Error, Kind, Result};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

/// The start of the name of every temporary file that this program makes.
pub const TEMP_PREFIX: &str = ".clawkeep-tmp-";

/// The same for a file that is made by one that does not hold the lock of its folder, so the holder
/// must not sweep it away. It holds no secret.
const CLAIM_PREFIX: &str = ".clawkeep-claim-";

/// The same for a synced file by one that does not hold the lock of its folder: [`replace_beside`].
const BESIDE_PREFIX: &str = ".clawkeep-beside-";

/// Who may be able to read a file that we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// Owned by this user and closed to everybody else: mode 0600 or less.
    Private,
    /// Owned by this user or root and not writable by others; others may read it.
    Shared,
}

/// Opens a regular file for reading and gives its size in bytes. `Ok(None)` when it does not exist.
///
/// # Errors
/// `Broken` when the path is a link or no regular file, belongs to another user, is open to others
/// against `privacy`, or is larger than `max` bytes.
pub fn open(path: &Path, max: usize, privacy: Privacy) -> Result<Option<(File, usize)>> {
    let Some((file, meta)) = open_regular(path)? else {
        return Ok(None);
    };
    check_owner_and_mode(path, &meta, privacy)?;
    let size = size_within(path, &meta, max)?;
    Ok(Some((file, size)))
}

/// Reads a whole regular file, whoever owns it, and gives what was found out about the very file that
/// was read: for who decides by the owner. `Ok(None)` when it does not exist.
///
/// # Errors
/// `Broken` when the path is a link or no regular file, or is larger than `max` bytes.
pub fn read_of_anyone(path: &Path, max: usize) -> Result<Option<(Vec<u8>, std::fs::Metadata)>> {
    let Some((file, meta)) = open_regular(path)? else {
        return Ok(None);
    };
    let mut bytes = Vec::with_capacity(size_within(path, &meta, max)? + 1);
    file.take(max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("read", path, &error))?;
    if bytes.len() > max {
        return Err(too_large(path, max));
    }
    Ok(Some((bytes, meta)))
}

/// How a path is opened that others may have touched: a link at the last component is not followed, a
/// named pipe in a file's place hangs nobody, and a file that is made is closed to others.
pub(crate) fn careful() -> OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let mut options = OpenOptions::new();
        options
            .mode(0o600)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
        options
    }
    #[cfg(not(unix))]
    OpenOptions::new()
}

fn open_regular(path: &Path) -> Result<Option<(File, std::fs::Metadata)>> {
    let file = match careful().read(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(open_error(path, &error)),
    };
    let meta = file
        .metadata()
        .map_err(|error| Error::io("read", path, &error))?;
    if !meta.is_file() {
        return Err(
            Error::broken(format!("{} is not a regular file", path.display()))
                .hint(format!("ls -ld {}", crate::error::typed(path))),
        );
    }
    Ok(Some((file, meta)))
}

fn size_within(path: &Path, meta: &std::fs::Metadata, max: usize) -> Result<usize> {
    match usize::try_from(meta.len()) {
        Ok(size) if size <= max => Ok(size),
        _ => Err(too_large(path, max)),
    }
}

/// Reads a whole regular file. `Ok(None)` when it does not exist.
///
/// # Errors
/// As [`open`]. The bytes are wiped when dropped.
pub fn read(path: &Path, max: usize, privacy: Privacy) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let Some((file, size)) = open(path, max, privacy)? else {
        return Ok(None);
    };
    // One spare byte lets the last read see the end without growing (and so copying) the buffer.
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    file.take(max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("read", path, &error))?;
    if bytes.len() > max {
        return Err(too_large(path, max));
    }
    Ok(Some(bytes))
}

fn too_large(path: &Path, max: usize) -> Error {
    Error::broken(format!(
        "{} is larger than {} KiB, the most that clawkeep reads there",
        path.display(),
        max / 1024
    ))
    .hint(format!("ls -l {}", crate::error::typed(path)))
}

fn open_error(path: &Path, error: &std::io::Error) -> Error {
    let is_link = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_symlink());
    if is_link {
        return Error::broken(format!(
            "{} is a symbolic link; clawkeep follows none there",
            path.display()
        ))
        .hint(format!(
            "replace it by the file itself: ls -l {}",
            crate::error::typed(path)
        ));
    }
    Error::io("read", path, error)
}

#[cfg(unix)]
fn check_owner_and_mode(path: &Path, meta: &std::fs::Metadata, privacy: Privacy) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let me = rustix::process::geteuid().as_raw();
    let mode = meta.mode() & 0o7777;
    let (owner_ok, open) = match privacy {
        Privacy::Private => (meta.uid() == me, mode & 0o077),
        Privacy::Shared => (meta.uid() == me || meta.uid() == 0, mode & 0o022),
    };
    if !owner_ok {
        return Err(
            Error::broken(format!("{} belongs to another user", path.display()))
                .hint(format!("ls -l {}", crate::error::typed(path))),
        );
    }
    if open != 0 {
        return Err(Error::broken(format!(
            "{} is open to other users (mode {mode:04o})",
            path.display()
        ))
        .hint(format!("chmod 600 {}", crate::error::typed(path))));
    }
    Ok(())
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn check_owner_and_mode(_: &Path, _: &std::fs::Metadata, _: Privacy) -> Result<()> {
    // Windows: a user's profile folder is closed to other users by its inherited access list.
    Ok(())
}

/// Makes a folder for secrets, 0700, with its parents, and checks an existing one.
///
/// # Errors
/// `Broken` when it is a link or no folder, belongs to another user, or is open to others.
pub fn private_dir(path: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    if let Some(parent) = path.parent() {
        // Parents that are not there yet are made 0700 too: OpenClaw's state folder is one of them.
        builder.recursive(true);
        builder
            .create(parent)
            .map_err(|error| Error::io("create", parent, &error))?;
        builder.recursive(false);
    }
    match builder.create(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => check_private_dir(path),
        Err(error) => Err(Error::io("create", path, &error)),
    }
}

/// Checks that a folder is ours, no link, and closed to others.
///
/// # Errors
/// `Missing` when it is not there, otherwise `Broken`, with the command that mends it.
pub fn check_private_dir(path: &Path) -> Result<()> {
    let meta = std::fs::symlink_metadata(path).map_err(|error| Error::io("open", path, &error))?;
    if meta.file_type().is_symlink() {
        return Err(Error::broken(format!(
            "{} is a symbolic link; the folder must be named itself",
            path.display()
        ))
        .hint("name the real folder: --vault DIR"));
    }
    if !meta.is_dir() {
        return Err(Error::broken(format!("{} is not a folder", path.display())));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(Error::broken(format!(
                "the folder {} belongs to another user",
                path.display()
            ))
            .hint(format!("ls -ld {}", crate::error::typed(path))));
        }
        let mode = meta.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(Error::broken(format!(
                "the folder {} is open to other users (mode {mode:04o})",
                path.display()
            ))
            .hint(format!("chmod 700 {}", crate::error::typed(path))));
        }
    }
    Ok(())
}

/// Whether two files hold the same bytes.
///
/// # Errors
/// `Failed` when one of them cannot be read.
pub fn same_content(a: &Path, b: &Path) -> Result<bool> {
    let open = |path: &Path| File::open(path).map_err(|error| Error::io("read", path, &error));
    let (mut one, mut other) = (open(a)?, open(b)?);
    let (mut left, mut right) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let n = fill(&mut one, &mut left).map_err(|error| Error::io("read", a, &error))?;
        let m = fill(&mut other, &mut right).map_err(|error| Error::io("read", b, &error))?;
        if left[..n] != right[..m] {
            return Ok(false);
        }
        if n == 0 {
            return Ok(true);
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A temporary file in `dir` with these bytes, synced, to be put at `path`. Those of killed writers go
/// first: what they hold may since have become a secret that must not lie there.
fn written(path: &Path, prefix: &str, bytes: &[u8], mode: u32) -> std::io::Result<NamedTempFile> {
    let dir = path.parent().unwrap_or(Path::new(""));
    sweep_dead(dir);
    // Closed to others until it is whole.
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    let mut temp = builder.tempfile_in(dir)?;
    while !is_claimed(temp.as_file())? {
        temp = builder.tempfile_in(dir)?;
    }
    temp.write_all(bytes)?;
    #[cfg(unix)]
    if let Ok(old) = careful().read(true).open(path) {
        attributes::carry_over(&old, temp.as_file(), mode)?;
    } else {
        use std::os::unix::fs::PermissionsExt;
        // Exactly as asked: what is made for others to read is not left to the umask.
        let mode = std::fs::Permissions::from_mode(mode);
        temp.as_file().set_permissions(mode)?;
    }
    #[cfg(not(unix))]
    let _ = mode;
    temp.as_file().sync_all()?;
    Ok(temp)
}

/// Locks a temporary file, which says that its writer lives. `false` when a sweeper came between its
/// making and its locking.
#[cfg(unix)]
fn is_claimed(temp: &File) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    match temp.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => Ok(false),
        // A file system without locks: nothing on it is ever swept as dead.
        Ok(()) | Err(std::fs::TryLockError::Error(_)) => Ok(temp.metadata()?.nlink() > 0),
    }
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn is_claimed(_: &File) -> std::io::Result<bool> {
    Ok(true)
}

/// Puts `bytes` at `path`, mode `mode`, whole or not at all.
///
/// # Errors
/// On any error the old file is untouched and the temporary one is gone.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    replace_with(path, TEMP_PREFIX, bytes, mode)
}

/// As [`replace`], by one that does not hold the lock of the file's folder: a writer that does hold it
/// sweeps away what other writers left there, and must not take this one's. The mode is exact, whatever
/// the umask. Not for secrets: what a killed writer leaves goes with the next file, not before.
///
/// # Errors
/// As [`replace`].
pub fn replace_beside(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    replace_with(path, BESIDE_PREFIX, bytes, mode)
}

#[allow(clippy::disallowed_methods, reason = "door: the only writer of files")]
fn replace_with(path: &Path, prefix: &str, bytes: &[u8], mode: u32) -> Result<()> {
    let fail = |error: &std::io::Error| Error::io("write", path, error);
    if std::fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_file()) {
        return Err(Error::broken(format!(
            "{} is not a regular file; clawkeep writes no link, pipe or folder over",
            path.display()
        )));
    }
    let temp = written(path, prefix, bytes, mode).map_err(|error| fail(&error))?;
    temp.persist(path).map_err(|error| fail(&error.error))?;
    sync_parent(path)
}

/// Puts `bytes` at `path`, mode `mode`, only where nothing is yet.
///
/// # Errors
/// `Failed` when something is there already.
#[allow(clippy::disallowed_methods, reason = "door: the only writer of files")]
pub fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let fail = |error: &std::io::Error| Error::io("write", path, error);
    let temp = written(path, TEMP_PREFIX, bytes, mode).map_err(|error| fail(&error))?;
    temp.persist_noclobber(path).map_err(|error| {
        if error.error.kind() == std::io::ErrorKind::AlreadyExists {
            Error::failed(format!("{} exists already", path.display()))
        } else {
            fail(&error.error)
        }
    })?;
    sync_parent(path)
}

/// Puts `bytes` at `path` (0600), whole, only where nothing is yet. `false` when something is.
///
/// Not synced: this is for lock files, which a power cut may take. Nobody ever sees one that is
/// empty or half written, as with `O_EXCL` and a write after it.
///
/// # Errors
/// `Failed` when the system refuses.
#[allow(clippy::disallowed_methods, reason = "door: the only writer of files")]
pub fn claim(path: &Path, bytes: &[u8]) -> Result<bool> {
    let fail = |error: &std::io::Error| Error::io("write", path, error);
    let dir = path
        .parent()
        .ok_or_else(|| Error::failed(format!("{} has no folder", path.display())))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(CLAIM_PREFIX);
    let mut temp = builder.tempfile_in(dir).map_err(|error| fail(&error))?;
    temp.write_all(bytes).map_err(|error| fail(&error))?;
    match temp.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(fail(&error.error)),
    }
}

/// The permission bits of a file, for who puts another in its place; 0600 when there is none.
#[cfg(unix)]
pub fn mode_of(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::symlink_metadata(path).map_or(0o600, |meta| meta.permissions().mode() & 0o777)
}

/// The permission bits of a file, for who puts another in its place.
#[cfg(not(unix))]
pub fn mode_of(_: &Path) -> u32 {
    0o600
}

/// Removes a file, durably. `false` when it was not there.
///
/// # Errors
/// `Failed` when the system refuses.
pub fn remove(path: &Path) -> Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_parent(path).map(|()| true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("remove", path, &error)),
    }
}

/// A rename is in the folder's own data: without this it may be gone after a power cut.
#[cfg_attr(
    not(unix),
    allow(clippy::unnecessary_wraps, reason = "elsewhere it can fail")
)]
fn sync_parent(path: &Path) -> Result<()> {
    #[cfg(unix)]
    if let Some(dir) = path.parent() {
        let dir = if dir.as_os_str().is_empty() {
            Path::new(".")
        } else {
            dir
        };
        File::open(dir)
            .and_then(|handle| handle.sync_all())
            .map_err(|error| Error::io("sync", dir, &error))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Turns an error about an absent thing into `None`.
///
/// # Errors
/// Every other error stays.
pub fn absent_is_none<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == Kind::Missing => Ok(None),
        Err(error) => Err(error),
    }
}
