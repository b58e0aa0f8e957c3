//! Files below a folder that was named, through handles of folders. Ring 1.
//!
//! For who writes where others may be moving folders at the same time. Promises:
//! - every folder on the way, the root's own and those above it too, is opened by its handle, one name
//!   at a time, and none of them is a link: what is swapped for a link at any instant is an error, or
//!   too late;
//! - no name is `.` or `..` and none holds a separator, so there is no way out of the root;
//! - what is read and written over is a regular file, this user's or root's; a link, pipe, socket or
//!   device in its place is an error;
//! - a write is a new file in that same folder, owned by the caller, with the nine permission bits that
//!   were asked for and no other, synced, renamed over the old one by the folder's handle, and the
//!   folder synced;
//! - what is written over or removed is what the caller saw: its bytes are compared just before.
//!
//! A mount is crossed: who can mount needs no tricks. On systems without such handles (Windows) every
//! call is an error.

use crate::error::{Error, Result};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};
use zeroize::Zeroizing;

/// The way from a root to a file: one plain name or more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    not(unix),
    allow(dead_code, reason = "without handles nobody follows it")
)]
pub struct Below(Vec<OsString>);

impl Below {
    /// The way from `root` to `path`.
    ///
    /// # Errors
    /// `Broken` when `path` does not lie strictly below, or not by plain names.
    pub fn of(root: &Path, path: &Path) -> Result<Self> {
        let bad = || {
            Error::broken(format!(
                "a file does not lie below {} by plain names; nothing was written to it",
                root.display()
            ))
        };
        let rest = path.strip_prefix(root).map_err(|_| bad())?;
        let mut names = Vec::new();
        for part in rest.components() {
            match part {
                Component::Normal(name) if is_plain(name) => names.push(name.to_owned()),
                _ => return Err(bad()),
            }
        }
        if names.is_empty() {
            return Err(bad());
        }
        Ok(Below(names))
    }

    #[cfg(unix)]
    fn name(&self) -> &OsStr {
        self.0.last().map_or(OsStr::new(""), OsString::as_os_str)
    }
}

fn is_plain(name: &OsStr) -> bool {
    !name.as_encoded_bytes().contains(&0)
}

/// A file as it was found.
pub struct Found {
    /// Its bytes.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Its permission bits.
    pub mode: u32,
}

/// What has to be there for a write to happen.
#[derive(Clone, Copy)]
pub enum Seen<'a> {
    /// Nothing.
    Nothing,
    /// A file with these bytes.
    Bytes(&'a [u8]),
}

/// A folder that was named, and whatever lies below it.
pub struct Root {
    path: PathBuf,
    #[cfg(unix)]
    handle: unix::Handle,
}

/// Whether the caller is root: what it writes would be root's.
#[cfg(unix)]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// There is no root.
#[cfg(not(unix))]
pub fn is_root() -> bool {
    false
}

#[cfg(unix)]
#[cfg(test)]
mod tests;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
impl Root {
    /// There are no handles of folders here.
    ///
    /// # Errors
    /// Always.
    pub fn open(path: &Path) -> Result<Self> {
        Err(Error::failed(format!(
            "nothing is put back below {}: that takes handles of folders, which this system does not give",
            path.display()
        ))
        .hint("the bundle opens with age and the recovery key; see docs/format.md"))
    }

    /// See the other systems.
    ///
    /// # Errors
    /// Never called: there is no root.
    pub fn read(&self, _: &Below, _: usize) -> Result<Option<Found>> {
        Self::open(&self.path).map(|_| None)
    }

    /// See the other systems.
    ///
    /// # Errors
    /// Never called: there is no root.
    pub fn write(&self, _: &Below, _: Seen<'_>, _: &[u8], _: u32) -> Result<()> {
        Self::open(&self.path).map(|_| ())
    }

    /// See the other systems.
    ///
    /// # Errors
    /// Never called: there is no root.
    pub fn remove(&self, _: &Below, _: Seen<'_>) -> Result<()> {
        Self::open(&self.path).map(|_| ())
    }
}
