//! The files of a service: planned, shown, written, taken away. Ring 4.
//!
//! Promise: only what carries our mark and was not edited is replaced or removed; in folders that
//! root owns nothing is written through a folder that another user could change.

use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use crate::service::marker::{self, Found};
use crate::service::trusted_path::{self, End};
use std::path::{Path, PathBuf};

/// The largest file of ours that is read back: 1 MiB.
const MAX: usize = 1024 * 1024;

/// Whose folder a file goes into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The system's: every folder above it must be root's, or this process's own.
    System,
    /// The user's that this process runs as.
    User,
}

/// A file to be written.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Where.
    pub path: PathBuf,
    /// What, marked.
    pub text: String,
}

impl Planned {
    /// A file to be written.
    pub fn new(path: PathBuf, text: String) -> Self {
        Planned { path, text }
    }

    /// What stands in its place.
    ///
    /// # Errors
    /// `Broken` when it is a link or belongs to another user.
    pub fn found(&self) -> Result<Found> {
        let there = read(&self.path)?;
        Ok(marker::compare(there.as_deref(), &self.text))
    }

    /// What stands in its place, which we may replace.
    ///
    /// # Errors
    /// `Failed` when somebody else wrote or edited it.
    pub fn replaceable(&self) -> Result<Found> {
        let found = self.found()?;
        self.may_replace(found)
    }

    /// The same for what the user's side has found there.
    ///
    /// # Errors
    /// As [`Planned::replaceable`].
    pub fn may_replace(&self, found: Found) -> Result<Found> {
        let said = self.path.display();
        let typed = crate::error::typed(&self.path);
        match found {
            Found::Absent | Found::Current | Found::Outdated => Ok(found),
            Found::Edited => Err(Error::failed(format!(
                "{said} was edited since clawkeep wrote it, and is left alone"
            ))
            .hint(format!("mv {typed} {typed}.mine, then install again"))),
            Found::Foreign => Err(Error::failed(format!(
                "{said} is there already, and clawkeep did not write it"
            ))
            .hint(format!("cat {typed}"))),
        }
    }

    /// Writes it where it is not there yet or is older. Whether something was written.
    ///
    /// # Errors
    /// As [`Planned::replaceable`]; `Failed` when the disk refuses.
    pub fn write(&self, owner: Owner) -> Result<bool> {
        if self.replaceable()? == Found::Current {
            return Ok(false);
        }
        let folder = self
            .path
            .parent()
            .ok_or_else(|| Error::failed("a unit has no folder"))?;
        folders(folder, 0o755, owner)?;
        file::replace(&self.path, self.text.as_bytes(), 0o644)?;
        Ok(true)
    }
}

/// Makes a folder and those above it, and looks at who can change them.
///
/// # Errors
/// `Failed` when another user can.
pub fn folders(folder: &Path, mode: u32, owner: Owner) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if owner == Owner::System {
        // Before anything is made: up to the first folder that is there.
        let there = folder
            .ancestors()
            .find(|dir| dir.symlink_metadata().is_ok());
        if let Some(there) = there {
            trusted(there)?;
        }
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(folder)
        .map_err(|error| Error::io("create", folder, &error))?;
    if owner == Owner::System {
        trusted(folder)?;
    }
    Ok(())
}

fn trusted(folder: &Path) -> Result<()> {
    let me = rustix::process::geteuid().as_raw();
    trusted_path::check_for(folder, End::Folder, me).map(|_| ())
}

fn read(path: &Path) -> Result<Option<String>> {
    let bytes = file::absent_is_none(file::read(path, MAX, Privacy::Shared))?.flatten();
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// What a file of ours is now, where nobody knows what would be written: `current`, `edited`, `foreign`
/// or `absent`.
///
/// # Errors
/// `Broken` when it is a link or belongs to another user.
pub fn state_of_ours(path: &Path) -> Result<&'static str> {
    Ok(match read(path)? {
        Some(text) if marker::is_intact(&text) => Found::Current,
        there => marker::compare(there.as_deref(), ""),
    }
    .name())
}

/// Removes a file of ours; a line for the person. An edited one stays, and that is said.
///
/// # Errors
/// `Failed` when the disk refuses.
pub fn take_away(path: &Path) -> Result<Option<String>> {
    match read(path)? {
        None => Ok(None),
        Some(text) if marker::is_intact(&text) => {
            file::remove(path)?;
            Ok(Some(format!("Removed {}", path.display())))
        }
        Some(_) => Ok(Some(format!(
            "Kept {}, which was edited; remove it yourself when it is not wanted",
            path.display()
        ))),
    }
}
