//! Every file below a folder, where there are no handles of folders: by paths.
//!
//! Promise: no link that stands there is followed; who exchanges a folder for a link meanwhile can lead
//! the walk elsewhere. What is not visited is told.

use super::report::{Why, refused};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};

/// What a walk meets.
pub(super) trait Visitor {
    /// A regular file.
    fn file(&mut self, found: &Found);
    /// A place that is not visited.
    fn unseen(&mut self, why: Why, path: PathBuf);
}

/// A regular file in a folder.
pub(super) struct Found {
    /// Its path.
    pub(super) path: PathBuf,
    /// Its size in bytes, holes included.
    pub(super) size: u64,
}

impl Found {
    /// Opens it. `None` when something else stands there by now.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn open(&self) -> std::io::Result<Option<File>> {
        regular(&self.path)
    }

    /// Whether nothing stands there any more.
    pub(super) fn is_gone(&self) -> bool {
        std::fs::symlink_metadata(&self.path).is_err()
    }

    /// Opens the file beside it whose name is its own and `more`. `None` when there is none.
    pub(super) fn beside(&self, more: &str) -> Option<(PathBuf, File)> {
        let mut name = self.path.file_name()?.to_owned();
        name.push(more);
        let path = self.path.with_file_name(name);
        let file = regular(&path).ok()??;
        Some((path, file))
    }

    /// Whether something stands beside it under that name.
    pub(super) fn has_beside(&self, name: &OsStr) -> bool {
        std::fs::symlink_metadata(self.path.with_file_name(name)).is_ok()
    }
}

fn regular(path: &Path) -> std::io::Result<Option<File>> {
    let meta = match std::fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if meta.is_file() {
        File::open(path).map(Some)
    } else {
        Ok(None)
    }
}

/// Visits every file at or below `root`, but for those at or below one of the `others`, which are
/// roots themselves. A root that is not there is passed over.
pub(super) fn walk(root: &Path, others: &BTreeSet<PathBuf>, visitor: &mut dyn Visitor) {
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        if path != root && others.contains(&path) {
            continue;
        }
        match std::fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => match entries(&path) {
                // The last is taken first.
                Ok(entries) => left.extend(entries.into_iter().rev()),
                Err(error) => visitor.unseen(refused(error), path),
            },
            Ok(meta) if meta.is_file() => {
                let size = meta.len();
                visitor.file(&Found { path, size });
            }
            Ok(meta) if meta.is_symlink() => visitor.unseen(Why::Link, path),
            Ok(_) => visitor.unseen(Why::Special, path),
            // It was removed meanwhile, or the root was never there.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => visitor.unseen(refused(error), path),
        }
    }
}

/// The paths in a folder, sorted.
fn entries(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<std::io::Result<Vec<_>>>()?;
    paths.sort_unstable();
    Ok(paths)
}
