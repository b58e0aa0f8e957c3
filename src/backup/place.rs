//! From a backup to a vault's folder. Ring 3.
//!
//! The new folder is made beside its place, `<folder>.restoring`, every file and folder of it synced, and
//! then put there by one rename; where a vault is there already, by one exchange, and the old one stays
//! beside as `<folder>.before-restore-<n>`. So at every instant there is the old vault or the new one.
//! On a file system that cannot exchange two folders there is an instant at which neither is in the place,
//! and both beside it.
//!
//! What was begun and cut off says so by its name and its lock, and the next run begins anew.

use super::{Backup, Name};
use crate::error::{Error, Result, typed};
use crate::file::{self, Lock};
use crate::vault::cache::Cache;
use std::path::{Path, PathBuf};

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Where the folder that was there before is now, if there was one.
    pub aside: Option<PathBuf>,
}

/// Makes `dir` of a backup. A folder that is there already is put aside if it may be (`replace`), and is
/// refused otherwise, unless it is empty.
///
/// The state last seen is not taken over: the vault is accepted as it is in the backup.
///
/// # Errors
/// On any error `dir` is as it was, or, should the disk only refuse to be sure of the last step, as in
/// the backup; what was there before is never lost.
pub fn place(dir: &Path, backup: &Backup, replace: bool) -> Result<Placed> {
    let is_there = is_occupied(dir)?;
    if is_there && !replace {
        return Err(Error::failed(format!(
            "{} is not empty; nothing was restored",
            dir.display()
        ))
        .hint("to put it aside: add --replace"));
    }
    let staging = beside(dir, "restoring")?;
    file::private_dir(&staging)?;
    let Some(lock) = Lock::hold(&staging.join(LOCK))? else {
        return Err(Error::failed(format!(
            "another clawkeep restores into {} right now",
            dir.display()
        )));
    };
    let filled = fill(&staging, backup);
    // Windows moves no folder with an open file in it.
    let lock = Some(lock).filter(|_| cfg!(unix));
    let done = filled.and_then(|()| put(&staging, dir, is_there));
    if done.is_err() {
        // What stays would be begun anew anyhow.
        let _ = std::fs::remove_dir_all(&staging);
    }
    drop(lock);
    done
}

/// The lock of the vault's writers: held on the folder that is made, and so on the vault until all is
/// done.
const LOCK: &str = "vault.lock";

/// How many vaults that were put aside may lie beside one another.
const MAX_ASIDE: u32 = 1000;

fn is_occupied(dir: &Path) -> Result<bool> {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("read", dir, &error)),
    }
}

/// `<dir>.<what>`.
fn beside(dir: &Path, what: &str) -> Result<PathBuf> {
    let mut name = dir
        .file_name()
        .ok_or_else(|| Error::failed(format!("{} has no name of its own", dir.display())))?
        .to_owned();
    name.push(".");
    name.push(what);
    Ok(dir.with_file_name(name))
}

fn fill(staging: &Path, backup: &Backup) -> Result<()> {
    clear(staging)?;
    for (name, bytes) in &backup.files {
        for folder in name.folders() {
            file::private_dir(&staging.join(folder))?;
        }
        if *name != Name::VaultJson {
            file::create(&name.in_folder(staging), bytes, 0o600)?;
        } else if let Some(cache) = Cache::parse(bytes) {
            let unseen = Cache {
                seen: None,
                ..cache
            };
            unseen.save(staging)?;
        }
    }
    Ok(())
}

/// Removes what a run that was cut off had made, but for the lock that we hold.
fn clear(staging: &Path) -> Result<()> {
    let io = |error: &std::io::Error| Error::io("clear", staging, error);
    for entry in std::fs::read_dir(staging).map_err(|error| io(&error))? {
        let entry = entry.map_err(|error| io(&error))?;
        if entry.file_name() == LOCK {
            continue;
        }
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let gone = if is_dir {
            std::fs::remove_dir_all(entry.path())
        } else {
            std::fs::remove_file(entry.path())
        };
        gone.map_err(|error| io(&error))?;
    }
    Ok(())
}

fn put(staging: &Path, dir: &Path, is_there: bool) -> Result<Placed> {
    if !is_there {
        file::put_folder(staging, dir)?;
        return Ok(Placed { aside: None });
    }
    // Writers of the old one are done when we hold its lock.
    let _writers = Lock::take(&dir.join(LOCK), file::LOCK_WAIT)?;
    let aside = (1..=MAX_ASIDE)
        .filter_map(|n| beside(dir, &format!("before-restore-{n}")).ok())
        .find(|path| path.symlink_metadata().is_err())
        .ok_or_else(|| {
            Error::failed("too many vaults that were put aside lie beside this one").hint(format!(
                "look which may go: ls -d {}.before-restore-*",
                typed(dir)
            ))
        })?;
    // Under its last name before the exchange: whatever is there when this is cut off, nobody takes an old
    // vault for something that was begun and may go. For the same reason nothing is removed here.
    file::put_folder(staging, &aside)?;
    file::exchange_folders(&aside, dir).map_err(|error| {
        error.context(format!("what is in the backup lies in {}", aside.display()))
    })?;
    Ok(Placed { aside: Some(aside) })
}
