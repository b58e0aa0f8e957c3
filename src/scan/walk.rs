//! Every file below a folder, by handles of folders: whoever moves things meanwhile, no link is
//! followed, nothing outside is opened, and no depth or number of files is too much.
//!
//! Promise: one handle at a time, of the folder that is looked at; the way back up is checked. What is
//! not visited is told.

use super::report::{Why, refused};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What a walk meets.
pub(super) trait Visitor {
    /// A regular file.
    fn file(&mut self, found: &Found<'_>);
    /// A place that is not visited.
    fn unseen(&mut self, why: Why, path: PathBuf);
    /// A root, with the handle of its file or folder; `false` when it is not to be entered.
    fn root(&mut self, _path: &Path, _handle: &OwnedFd) -> bool {
        true
    }
}

/// A regular file in a folder.
pub(super) struct Found<'w> {
    /// Its path.
    pub(super) path: PathBuf,
    /// Its size in bytes, holes included.
    pub(super) size: u64,
    dir: &'w OwnedFd,
    name: &'w OsStr,
}

impl Found<'_> {
    /// Opens it. `None` when something else stands there by now.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn open(&self) -> std::io::Result<Option<File>> {
        regular(self.dir, self.name)
    }

    /// Whether nothing stands there any more.
    pub(super) fn is_gone(&self) -> bool {
        !self.has_beside(self.name)
    }

    /// Opens the file beside it whose name is its own and `more`. `None` when there is none.
    pub(super) fn beside(&self, more: &str) -> Option<(PathBuf, File)> {
        let mut name = self.name.to_owned();
        name.push(more);
        let file = regular(self.dir, &name).ok()??;
        Some((self.path.with_file_name(&name), file))
    }

    /// Whether something stands beside it under that name.
    pub(super) fn has_beside(&self, name: &OsStr) -> bool {
        statat(self.dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }
}

fn regular(dir: &OwnedFd, name: &OsStr) -> std::io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match openat(dir, name, flags, Mode::empty()) {
        Ok(handle) => {
            let kind = FileType::from_raw_mode(fstat(&handle)?.st_mode);
            Ok((kind == FileType::RegularFile).then(|| File::from(handle)))
        }
        Err(Errno::LOOP | Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What tells a folder from another.
type Identity = (u64, u64);

/// A folder on the way down.
struct Level {
    identity: Identity,
    /// The folders in it that are still to be visited.
    left: Vec<OsString>,
}

/// A walk below one root.
struct Walk<'v> {
    visitor: &'v mut dyn Visitor,
    device: u64,
    /// The path of the folder that is looked at.
    path: PathBuf,
    levels: Vec<Level>,
    root: Rc<OwnedFd>,
    others: &'v BTreeSet<PathBuf>,
}

/// Visits every file at or below `root`, but for those at or below one of the `others`, which are
/// roots themselves. A root that is not there is passed over.
pub(super) fn walk(root: &Path, others: &BTreeSet<PathBuf>, visitor: &mut dyn Visitor) {
    let stat = match statat(CWD, root, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return,
        Err(error) => return visitor.unseen(refused(error), root.to_owned()),
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => below(root, others, visitor),
        FileType::RegularFile => single(root, visitor),
        FileType::Symlink => visitor.unseen(Why::Link, root.to_owned()),
        _ => visitor.unseen(Why::Special, root.to_owned()),
    }
}

/// A root that is a file.
fn single(root: &Path, visitor: &mut dyn Visitor) {
    let (Some(dir), Some(name)) = (root.parent(), root.file_name()) else {
        return;
    };
    let dir = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat(CWD, dir, flags, Mode::empty()) {
        Ok(handle) => {
            let stat = statat(&handle, name, AtFlags::SYMLINK_NOFOLLOW);
            if visitor.root(root, &handle)
                && let Ok(stat) = stat
            {
                visitor.file(&Found {
                    path: root.to_owned(),
                    size: u64::try_from(stat.st_size).unwrap_or(0),
                    dir: &handle,
                    name,
                });
            }
        }
        Err(error) => visitor.unseen(refused(error), root.to_owned()),
    }
}

/// A root that is a folder.
fn below(root: &Path, others: &BTreeSet<PathBuf>, visitor: &mut dyn Visitor) {
    let opened = folder(CWD, root.as_os_str());
    let (handle, stat) = match opened {
        Ok(Some(opened)) => opened,
        Ok(None) => return visitor.unseen(Why::Changed, root.to_owned()),
        Err(error) => return visitor.unseen(refused(error), root.to_owned()),
    };
    if !visitor.root(root, &handle) {
        return;
    }
    let handle = Rc::new(handle);
    let mut walk = Walk {
        visitor,
        device: device_of(&stat),
        path: root.to_owned(),
        levels: Vec::new(),
        root: Rc::clone(&handle),
        others,
    };
    walk.enter(&handle, &stat);
    walk.go(handle);
}

impl Walk<'_> {
    fn go(&mut self, mut here: Rc<OwnedFd>) {
        while let Some(level) = self.levels.last_mut() {
            let Some(name) = level.left.pop() else {
                self.levels.pop();
                if self.levels.is_empty() {
                    return;
                }
                self.path.pop();
                match self.up(&here) {
                    Some(parent) => here = parent,
                    None => self.lost(),
                }
                continue;
            };
            self.path.push(&name);
            match folder(&here, &name) {
                Ok(Some((handle, stat))) if device_of(&stat) == self.device => {
                    let handle = Rc::new(handle);
                    self.enter(&handle, &stat);
                    here = handle;
                    continue;
                }
                Ok(Some(_)) => self.visitor.unseen(Why::OtherFileSystem, self.path.clone()),
                Ok(None) => self.visitor.unseen(Why::Changed, self.path.clone()),
                Err(error) => self.visitor.unseen(refused(error), self.path.clone()),
            }
            self.path.pop();
        }
    }

    /// Visits the files of a folder, and notes the folders in it.
    fn enter(&mut self, handle: &OwnedFd, stat: &Stat) {
        let mut left = Vec::new();
        match entries(handle) {
            Ok(names) => {
                for name in names {
                    self.entry(handle, name, &mut left);
                }
            }
            Err(error) => self.visitor.unseen(refused(error), self.path.clone()),
        }
        // The last is taken first.
        left.sort_unstable_by(|a, b| b.cmp(a));
        self.levels.push(Level {
            identity: identity(stat),
            left,
        });
    }

    fn entry(&mut self, dir: &OwnedFd, name: OsString, folders: &mut Vec<OsString>) {
        let path = self.path.join(&name);
        if self.others.contains(&path) {
            return;
        }
        let stat = match statat(dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // It was removed meanwhile.
            Err(Errno::NOENT) => return,
            Err(error) => return self.visitor.unseen(refused(error), path),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => folders.push(name),
            FileType::RegularFile if device_of(&stat) != self.device => {
                self.visitor.unseen(Why::OtherFileSystem, path);
            }
            FileType::RegularFile => self.visitor.file(&Found {
                path,
                size: u64::try_from(stat.st_size).unwrap_or(0),
                dir,
                name: &name,
            }),
            FileType::Symlink => self.visitor.unseen(Why::Link, path),
            _ => self.visitor.unseen(Why::Special, path),
        }
    }

    /// The folder above, if it is the one that we came from.
    fn up(&self, here: &OwnedFd) -> Option<Rc<OwnedFd>> {
        let wanted = self.levels.last()?.identity;
        let opened = folder(here, OsStr::new("..")).ok().flatten();
        if let Some((handle, stat)) = opened
            && identity(&stat) == wanted
        {
            return Some(Rc::new(handle));
        }
        // Moved away under us: once more from the top.
        let mut handle = Rc::clone(&self.root);
        let names = self.path.components().rev().take(self.levels.len() - 1);
        let names: Vec<_> = names.collect();
        for name in names.iter().rev() {
            handle = Rc::new(folder(&handle, name.as_os_str()).ok().flatten()?.0);
        }
        let stat = fstat(&handle).ok()?;
        (identity(&stat) == wanted).then_some(handle)
    }

    /// Nothing leads back to a folder: what was still to be visited in it is named.
    fn lost(&mut self) {
        let left = self
            .levels
            .last_mut()
            .map(|level| std::mem::take(&mut level.left));
        for name in left.into_iter().flatten().rev() {
            self.visitor.unseen(Why::Changed, self.path.join(name));
        }
    }
}

/// Opens a folder. `None` when it is a link or no folder, or is gone.
fn folder(dir: impl AsFd, name: &OsStr) -> Result<Option<(OwnedFd, Stat)>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(dir, name, flags, Mode::empty()) {
        Ok(handle) => {
            let stat = fstat(&handle)?;
            Ok(Some((handle, stat)))
        }
        Err(Errno::LOOP | Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names in a folder, sorted.
fn entries(handle: &OwnedFd) -> Result<Vec<OsString>, Errno> {
    let mut names = Vec::new();
    let mut dir = rustix::fs::Dir::read_from(handle)?;
    while let Some(entry) = dir.read() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[allow(
    clippy::unnecessary_cast,
    clippy::cast_sign_loss,
    reason = "the numbers have other types on other systems"
)]
fn identity(stat: &Stat) -> Identity {
    (device_of(stat), stat.st_ino as u64)
}

#[allow(
    clippy::unnecessary_cast,
    clippy::cast_sign_loss,
    reason = "the numbers have other types on other systems"
)]
fn device_of(stat: &Stat) -> u64 {
    stat.st_dev as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes what it meets, and does something when it meets a file of that name.
    struct Noting<'n> {
        seen: Vec<PathBuf>,
        unseen: Vec<(Why, PathBuf)>,
        at: &'n str,
        does: &'n dyn Fn(),
    }

    impl Visitor for Noting<'_> {
        fn file(&mut self, found: &Found<'_>) {
            if found.path.ends_with(self.at) {
                (self.does)();
            }
            self.seen.push(found.path.clone());
        }
        fn unseen(&mut self, why: Why, path: PathBuf) {
            self.unseen.push((why, path));
        }
    }

    fn put(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        crate::file::create(path, b"", 0o600).unwrap();
    }

    fn noted(root: &Path, at: &str, does: &dyn Fn()) -> (Vec<PathBuf>, Vec<(Why, PathBuf)>) {
        let mut noting = Noting {
            seen: Vec::new(),
            unseen: Vec::new(),
            at,
            does,
        };
        walk(root, &BTreeSet::new(), &mut noting);
        let below = |path: PathBuf| path.strip_prefix(root).unwrap().to_owned();
        let unseen = noting
            .unseen
            .into_iter()
            .map(|(why, path)| (why, below(path)));
        (
            noting.seen.into_iter().map(below).collect(),
            unseen.collect(),
        )
    }

    fn paths(texts: &[&str]) -> Vec<PathBuf> {
        texts.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn a_folder_that_becomes_a_link_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        put(&root.join("z"));
        put(&root.join("b/inside"));
        put(&root.join("c/d"));
        put(&outside.join("secret"));
        let exchange = || {
            rustix::fs::rename(root.join("b"), root.join("old")).unwrap();
            std::os::unix::fs::symlink(&outside, root.join("b")).unwrap();
        };
        let (seen, unseen) = noted(&root, "z", &exchange);
        assert_eq!(seen, paths(&["z", "c/d"]));
        assert_eq!(unseen, [(Why::Changed, PathBuf::from("b"))]);
    }

    #[test]
    fn a_folder_that_is_moved_away_under_the_walk_does_not_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        put(&root.join("a/b/file"));
        put(&root.join("a/c/other"));
        put(&root.join("d/last"));
        put(&outside.join("x/secret"));
        // The way up from there is outside by now, and the way down from the top is known.
        let away = || rustix::fs::rename(root.join("a/b"), outside.join("b")).unwrap();
        let (seen, unseen) = noted(&root, "file", &away);
        assert_eq!(seen, paths(&["a/b/file", "a/c/other", "d/last"]));
        assert!(unseen.is_empty());
        // Where nothing leads back it is named, and the walk goes on above.
        put(&root.join("a/b/file"));
        let both = || {
            rustix::fs::rename(root.join("a/b"), outside.join("b2")).unwrap();
            rustix::fs::rename(root.join("a"), outside.join("a")).unwrap();
        };
        let (seen, unseen) = noted(&root, "file", &both);
        assert_eq!(seen, paths(&["a/b/file", "d/last"]));
        assert_eq!(unseen, [(Why::Changed, PathBuf::from("a/c"))]);
    }

    #[test]
    fn a_root_below_another_is_visited_once() {
        let dir = tempfile::tempdir().unwrap();
        put(&dir.path().join("a/b/file"));
        put(&dir.path().join("a/other"));
        let roots: BTreeSet<PathBuf> = ["a", "a/b", "a/other"]
            .map(|name| dir.path().join(name))
            .into();
        let mut noting = Noting {
            seen: Vec::new(),
            unseen: Vec::new(),
            at: "none",
            does: &|| {},
        };
        for root in &roots {
            walk(root, &roots, &mut noting);
        }
        assert_eq!(
            noting.seen,
            ["a/b/file", "a/other"].map(|name| dir.path().join(name))
        );
    }
}
