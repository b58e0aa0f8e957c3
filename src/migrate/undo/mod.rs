//! Undoing a migration: files, values and profiles as they were. Ring 3; returns data, prints nothing,
//! asks nobody.
//!
//! ```text
//! unchanged since             its bytes and its permission bits, as they were
//! only OpenClaw edited it     each value returns to the place of our ref; all else stays
//! a person edited it          nothing at all is written: the difference is shown, without values
//! in OpenClaw's database      the value returns through OpenClaw's own commands
//! ```
//!
//! Promises:
//! - everything is looked at before the first write, and one file that a person edited stops the whole;
//! - files are read and written below the roots of the bundle alone, by [`crate::file::rooted`]: no link
//!   is followed, nothing but a regular file is written over, and what is written belongs to the caller;
//! - cut off anywhere, the same call finishes: what is back already counts as done, and the bundle goes
//!   last, which is the caller's part.
//!
//! OpenClaw's commands come first: they write `openclaw.json` anew, and that file then gets its own text
//! back.

mod database;
mod fate;
mod returning;
#[cfg(test)]
#[cfg(unix)]
mod tests;
#[cfg(test)]
#[cfg(unix)]
mod tests_database;

pub use fate::Fate;

use crate::error::{Error, Kind, Result};
use crate::file::Lock;
use crate::file::rooted::{self, Below, Found, Root, Seen};
use crate::host::Host;
use crate::openclaw::auth_state;
use crate::openclaw::install::Install;
use crate::openclaw::link::Held;
use crate::openclaw::store_lock::{LOCK_NAME, StoreLock};
use crate::provider::ProfileId;
use crate::secret::SecretId;
use crate::vault::undo::{Bundle, MAX_WAS, WasFile};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The right to migrate or to undo in this vault's folder: one at a time. Not the vault's own lock, which
/// OpenClaw's commands need in between.
///
/// # Errors
/// `Failed` when another one is at it.
pub fn alone(dir: &Path) -> Result<Lock> {
    Lock::hold(&dir.join("migrate.lock"))?.ok_or_else(|| {
        Error::failed("another migration, or its undoing, is at work on this vault").hint(format!(
            "see who: fuser -v {}",
            crate::error::typed(&dir.join("migrate.lock"))
        ))
    })
}

/// What undoing will do, by what the files are now.
pub struct Plan<'b> {
    bundle: &'b Bundle,
    /// One for each file of the bundle, in its order.
    fates: Vec<Fate>,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Done {
    /// Files that are as they were, to the byte.
    pub restored: Vec<PathBuf>,
    /// Files that had not been there, and are gone.
    pub removed: Vec<PathBuf>,
    /// Files that others changed since, with how many values returned to them.
    pub returned: Vec<(PathBuf, usize)>,
    /// Values that returned to OpenClaw's database.
    pub values: usize,
    /// Profiles whose values OpenClaw did not take back, with their names in the vault.
    pub refused: Vec<(ProfileId, SecretId)>,
    /// Profiles that OpenClaw still lists although they were to go.
    pub still_there: Vec<Held>,
    /// Whole sentences about what was left as it is.
    pub notes: Vec<String>,
}

impl<'b> Plan<'b> {
    /// Looks at every file of the bundle. Reads, and writes nothing.
    ///
    /// # Errors
    /// `Usage` for root without `as_root`: what it writes would be root's. `Broken` when the bundle does
    /// not hold together, a root is not there any more or reached by a link, or something that is no
    /// regular file stands where one is to be written.
    pub fn of(bundle: &'b Bundle, as_root: bool) -> Result<Self> {
        if rooted::is_root() && !as_root {
            return Err(
                Error::usage("undoing as root would give root every file that it writes").hint(
                    "as the user whose files they are: clawkeep migrate --undo; or add --as-root",
                ),
            );
        }
        bundle.check()?;
        let mut roots = Roots::default();
        let fates = bundle
            .files
            .iter()
            .map(|file| {
                let (root, below) = roots.to(bundle, file)?;
                let found = root.read(&below, MAX_WAS);
                match found {
                    // A copy that is none any more is nothing to undo.
                    Err(error) if file.is_copy && error.kind() == Kind::Broken => {
                        Ok(Fate::Left(error.message().to_owned()))
                    }
                    found => fate::decide(file, found?.as_ref()),
                }
            })
            .collect::<Result<_>>()?;
        Ok(Plan { bundle, fates })
    }

    /// Every file with what will become of it, in the order in which that happens.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &Fate)> {
        let paths = self.bundle.files.iter().map(|file| file.path.as_path());
        paths.zip(&self.fates)
    }

    /// Files that a person edited, with the difference between what is there and what was: undoing does
    /// nothing while there is one. No value is in it.
    pub fn edited(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.files().filter_map(|(path, fate)| match fate {
            Fate::Edited(difference) => Some((path, difference.as_str())),
            _ => None,
        })
    }

    /// Whether OpenClaw itself has to do a part.
    pub fn needs_openclaw(&self) -> bool {
        database::has_part(self.bundle)
    }

    /// Does it. Run it again after whatever went wrong: it goes on from there.
    ///
    /// # Errors
    /// `Failed` when a person edited a file, or one changed meanwhile; `Missing` when OpenClaw is needed
    /// and was not found; what a write or OpenClaw's commands give.
    pub fn apply(
        self,
        install: Option<&Install>,
        host: &Host,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Done> {
        self.refuse_edited()?;
        self.refuse_changed()?;
        let by_openclaw = self.needs_openclaw();
        let mut done = Done::default();
        if by_openclaw {
            let install = install.ok_or_else(|| {
                Error::missing(
                    "values return to OpenClaw's database only by OpenClaw itself, and it was not found",
                )
                .hint("name it: clawkeep migrate --undo --openclaw DIR")
            })?;
            database::put_back(self.bundle, install, host.now(), &mut done, progress)?;
        }
        let mut roots = Roots::default();
        for (file, planned) in self.bundle.files.iter().zip(&self.fates) {
            progress(&format!("{}", file.path.display()));
            let (root, below) = roots.to(self.bundle, file)?;
            let written = put_back(
                root,
                &below,
                file,
                by_openclaw.then_some(planned),
                host,
                &mut done,
            );
            match written {
                // OpenClaw turned its copies round while it did its part.
                Err(error) if file.is_copy && error.kind() != Kind::Missing => {
                    done.notes.push(format!("{error}; it is an old copy"));
                }
                other => other?,
            }
        }
        Ok(done)
    }

    /// A question may have waited for hours since the plan was made.
    fn refuse_changed(&self) -> Result<()> {
        let again = Plan::of(self.bundle, true)?;
        for ((path, planned), (_, now)) in self.files().zip(again.files()) {
            if planned.word() != now.word() {
                return Err(Error::failed(format!(
                    "{} changed since this was shown; nothing was written",
                    path.display()
                ))
                .hint("clawkeep migrate --undo"));
            }
        }
        Ok(())
    }

    fn refuse_edited(&self) -> Result<()> {
        match self.edited().next() {
            None => Ok(()),
            Some((path, _)) => Err(Error::failed(format!(
                "{} was edited since the migration; nothing was written",
                path.display()
            ))
            .hint(format!(
                "take the edit back, or put the file aside: mv {0} {0}.mine",
                crate::error::typed(path)
            ))),
        }
    }
}

/// Puts one file back, by what it is now: where OpenClaw did a part it may have written it since the plan
/// was made, and `planned` is what was planned then.
fn put_back(
    root: &Root,
    below: &Below,
    file: &WasFile,
    planned: Option<&Fate>,
    host: &Host,
    done: &mut Done,
) -> Result<()> {
    // OpenClaw reads, changes and writes these files under this lock.
    let _lock = match (file.path.file_name(), file.path.parent()) {
        (Some(name), Some(folder)) if guards(name) && folder.is_dir() => {
            Some(StoreLock::take(folder, host)?)
        }
        _ => None,
    };
    let found = root.read(below, MAX_WAS)?;
    let mut fate = fate::decide(file, found.as_ref())?;
    // It was untouched when the plan was made, and only OpenClaw's own commands came in between.
    if let (Some(Fate::Restore | Fate::Stands), Fate::Return { .. }) = (planned, &fate) {
        fate = Fate::Restore;
    }
    let seen = found.as_ref().map_or(Seen::Nothing, seen);
    let path = || file.path.clone();
    match fate {
        Fate::Stands => {}
        Fate::Restore => {
            let before = file.before.as_ref().map_or(&[][..], |was| was);
            root.write(below, seen, before, file.mode)?;
            done.restored.push(path());
        }
        Fate::Remove => {
            root.remove(below, seen)?;
            done.removed.push(path());
        }
        Fate::Return { bytes, values } => {
            let mode = found.as_ref().map_or(file.mode, |found| found.mode);
            root.write(below, seen, &bytes, mode)?;
            done.returned.push((path(), values));
        }
        Fate::Left(why) => done.notes.push(why),
        Fate::Edited(_) => {
            return Err(Error::failed(format!(
                "{} was edited while this command ran; it was left as it is",
                file.path.display()
            ))
            .hint("run the command again"));
        }
    }
    Ok(())
}

fn seen(found: &Found) -> Seen<'_> {
    Seen::Bytes(&found.bytes)
}

/// Whether OpenClaw's lock of a folder guards a file of this name.
fn guards(name: &std::ffi::OsStr) -> bool {
    name == auth_state::FILE_NAME
        || LOCK_NAME
            .strip_suffix(".lock")
            .is_some_and(|own| name == own)
}

/// Roots that were opened. Each by its handle, once: what is put in its place later is another folder.
#[derive(Default)]
struct Roots(BTreeMap<PathBuf, Root>);

impl Roots {
    fn to(&mut self, bundle: &Bundle, file: &WasFile) -> Result<(&Root, Below)> {
        let outside = || Error::broken("a file of the undo bundle lies outside its folders");
        let path = bundle.root_of(&file.path).ok_or_else(outside)?;
        let below = Below::of(path, &file.path)?;
        if !self.0.contains_key(path) {
            self.0.insert(path.to_owned(), Root::open(path)?);
        }
        let root = self.0.get(path).ok_or_else(outside)?;
        Ok((root, below))
    }
}
