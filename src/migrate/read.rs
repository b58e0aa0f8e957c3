//! Reading a source: what is in it, and what may be done with it. Ring 3; reads, writes nothing.
//!
//! Promises: no link is followed and nothing that hangs is opened; a file that cannot be looked through
//! is said, never passed over; one that may not be rewritten (another user's, one with a second name,
//! one on a disk that takes no writes) is read all the same, and left.

use super::item::Unseen;
use super::plan::Access;
use super::source::Source;
use crate::error::Error;
use crate::file;
use std::path::Path;
use zeroize::Zeroizing;

/// The most bytes of one source: what the largest of its languages takes.
pub const MAX: usize = 32 * 1024 * 1024;

/// A source that was read.
pub struct Read {
    /// The source.
    pub source: Source,
    /// Its bytes.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Its permission bits.
    pub mode: u32,
    /// What may be done with it.
    pub access: Access,
}

/// Reads a source. `Ok(None)` when it has gone meanwhile.
///
/// # Errors
/// What cannot be looked through, with the reason.
pub fn read(source: &Source, rewrite_rc: bool) -> Result<Option<Read>, Unseen> {
    let unseen = |reason: String| Unseen {
        path: source.path.clone(),
        reason,
    };
    let meta = match std::fs::symlink_metadata(&source.path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unseen(said(&Error::io("read", &source.path, &error)))),
    };
    if meta.file_type().is_symlink() {
        return Err(unseen(
            "it is a symbolic link, and none is followed; name the file itself".to_owned(),
        ));
    }
    if meta.is_dir() {
        return Err(unseen("it is a folder".to_owned()));
    }
    let (bytes, meta) = match file::read_of_anyone(&source.path, MAX) {
        Ok(Some((bytes, meta))) => (Zeroizing::new(bytes), meta),
        Ok(None) => return Ok(None),
        Err(error) => return Err(unseen(said(&error))),
    };
    let access = match refusal(&source.path, &meta) {
        Some(reason) => Access::No(reason),
        None if source.is_rc && !rewrite_rc => Access::Later("--rc is not given".to_owned()),
        None => Access::Yes,
    };
    Ok(Some(Read {
        source: source.clone(),
        bytes,
        mode: mode_of(&meta),
        access,
    }))
}

/// What an error says without the file's name, which is said already.
fn said(error: &Error) -> String {
    let text = error.message();
    text.split_once(": ")
        .map_or(text, |(_, reason)| reason)
        .to_owned()
}

/// Why a file may not be rewritten, a clause.
#[cfg(unix)]
fn refusal(path: &Path, meta: &std::fs::Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Some("the file belongs to another user".to_owned());
    }
    if meta.nlink() > 1 {
        return Some(
            "the file has a second name (a hard link), which would keep the value".to_owned(),
        );
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    match rustix::fs::access(folder, access) {
        Ok(()) => None,
        Err(rustix::io::Errno::ROFS) => Some("the file system is read-only".to_owned()),
        Err(_) => Some("its folder cannot be written".to_owned()),
    }
}

#[cfg(not(unix))]
fn refusal(_: &Path, meta: &std::fs::Metadata) -> Option<String> {
    meta.permissions()
        .readonly()
        .then(|| "the file is read-only".to_owned())
}

#[cfg(unix)]
fn mode_of(meta: &std::fs::Metadata) -> u32 {
    use std::os::unix::fs::MetadataExt;
    meta.mode() & 0o777
}

#[cfg(not(unix))]
fn mode_of(_: &std::fs::Metadata) -> u32 {
    0o600
}
