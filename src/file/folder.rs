//! Whole folders that are put in their place. Ring 1.

use super::sync_parent;
use crate::error::{Error, Result};
use std::path::Path;

/// Gives a finished folder its name, durably. Where an empty folder has that name it goes.
///
/// # Errors
/// `Failed` when something else is there: nothing is written over.
#[allow(
    clippy::disallowed_methods,
    reason = "door: a finished folder gets its name"
)]
pub fn put_folder(new: &Path, place: &Path) -> Result<()> {
    if place.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) {
        return Err(Error::failed(format!(
            "{} exists already and is no folder",
            place.display()
        )));
    }
    std::fs::rename(new, place).map_err(|error| Error::io("make", place, &error))?;
    sync_parent(place)
}

/// Two folders of one parent get each other's name, durably, and at once where the system can do that;
/// otherwise one after the other, with an instant at which `other` is not there.
///
/// # Errors
/// `Failed` when the system refuses; both have their names then, unless it refuses to give them back too,
/// or only to be sure of it.
#[allow(
    clippy::disallowed_methods,
    reason = "door: two folders exchange their names"
)]
pub fn exchange_folders(one: &Path, other: &Path) -> Result<()> {
    let fail = |error: &std::io::Error| Error::io("replace", other, error);
    if !at_once(one, other).map_err(|error| fail(&error))? {
        let mut name = one.as_os_str().to_owned();
        name.push(".new");
        let between = Path::new(&name);
        std::fs::rename(one, between).map_err(|error| fail(&error))?;
        if let Err(error) = std::fs::rename(other, one) {
            let _ = std::fs::rename(between, one);
            return Err(fail(&error));
        }
        if let Err(error) = std::fs::rename(between, other) {
            let _ = std::fs::rename(one, other);
            let _ = std::fs::rename(between, one);
            return Err(fail(&error));
        }
    }
    sync_parent(other)
}

/// `false` when this system or this file system has no such exchange.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn at_once(one: &Path, other: &Path) -> std::io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn at_once(_: &Path, _: &Path) -> std::io::Result<bool> {
    Ok(false)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;

    #[test]
    fn a_folder_is_put_where_nothing_is_and_over_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let folder = |name: &str, file: &str| {
            file::private_dir(&at(name)).unwrap();
            file::create(&at(name).join(file), b"fake", 0o600).unwrap();
        };
        folder("new", "a");
        put_folder(&at("new"), &at("place")).unwrap();
        assert!(at("place/a").exists() && !at("new").exists());
        folder("new", "b");
        assert!(put_folder(&at("new"), &at("place")).is_err());
        file::create(&at("file"), b"", 0o600).unwrap();
        std::os::unix::fs::symlink(at("nowhere"), at("link")).unwrap();
        for taken in ["file", "link"] {
            assert!(put_folder(&at("new"), &at(taken)).is_err());
        }
        assert!(at("new/b").exists() && at("place/a").exists());
        file::private_dir(&at("empty")).unwrap();
        put_folder(&at("new"), &at("empty")).unwrap();
        exchange_folders(&at("empty"), &at("place")).unwrap();
        assert!(at("empty/a").exists() && at("place/b").exists());
        assert!(exchange_folders(&at("none"), &at("place")).is_err());
        assert!(at("place/b").exists());
    }
}
