//! What an undo bundle says: the files, values and profiles as they were before a migration. Ring 2.
//!
//! Promise: a bundle that is saved or was loaded holds together ([`Bundle::check`]): every file lies
//! strictly below a root that was named when it was made, by plain names alone, and no mode has more
//! than the nine permission bits. So a bundle from wherever can name no other place.

use super::id::BundleId;
use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::secret::{Secret, SecretId, SecretKind};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use zeroize::Zeroizing;

/// The largest file that a bundle takes: 64 MiB.
pub const MAX_WAS: usize = 64 * 1024 * 1024;

/// What one migration changed, as it was before.
#[derive(Debug)]
pub struct Bundle {
    /// Its name, and when it was made to the second.
    pub id: BundleId,
    /// When it was made.
    pub created: Millis,
    /// Whether it stays until it is destroyed by hand. Not sealed: it is a part of the file's name, so
    /// that what is too old is found without opening anything.
    pub keep: bool,
    /// The folders that were named at the migration, absolute, with no link in them: resolve them
    /// before they are put here, since nothing follows a link on the way back.
    pub roots: Vec<PathBuf>,
    /// Files that were written or removed, in the order in which they come back.
    pub files: Vec<WasFile>,
    /// Values that another program's database held.
    pub values: Vec<WasValue>,
    /// Profiles that were put into that database where there was none of that name.
    pub planted: Vec<Planted>,
    /// Orders of profiles that were changed there.
    pub orders: Vec<WasOrder>,
}

/// One file.
pub struct WasFile {
    /// Absolute, below one of the roots.
    pub path: PathBuf,
    /// Its permission bits, at most 0o777.
    pub mode: u32,
    /// Its bytes; `None` when it was not there.
    pub before: Option<Zeroizing<Vec<u8>>>,
    /// What the migration made of it.
    pub after: After,
    /// Whether nothing reads it: an old copy, which may be another one by the time of undoing. Then it
    /// stays as it is, and nothing is missed.
    pub is_copy: bool,
    /// The values that were taken out of it: for a file that was changed since.
    pub values: Vec<WasAt>,
}

/// What a migration made of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It may be as it was, or in any state on the way.
    Unknown,
    /// It was removed.
    Removed,
    /// Bytes with this SHA-256. May be noted before they are written: then the file is as it was, or
    /// has these.
    Written([u8; 32]),
}

impl After {
    /// The state of a file with these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        After::Written(Sha256::digest(bytes).into())
    }

    /// Whether a file with these bytes is in this state.
    pub fn is(&self, bytes: &[u8]) -> bool {
        matches!(self, After::Written(_)) && *self == After::of(bytes)
    }
}

/// Where a value stood in a file, and what stands there since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WasAt {
    /// In JSON the keys that lead to it; in lists of variables the name alone.
    pub place: Vec<String>,
    /// What the value is called in the vault; `None` for one that is not there (a copy of some other).
    pub id: Option<SecretId>,
    /// What was left in its place.
    pub left: Left,
}

/// What a migration leaves in a value's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// A ref that asks for this id.
    Ref(String),
    /// A word that says that something was here.
    Marker,
    /// Nothing: the key or the line is gone.
    Nothing,
}

/// A value that stood in the other program's database.
#[derive(Debug)]
pub struct WasValue {
    /// Whose it was.
    pub agent: AgentId,
    /// Its profile.
    pub profile: ProfileId,
    /// The provider of that profile.
    pub provider: ProviderId,
    /// Token or API key.
    pub kind: SecretKind,
    /// What it is called in the vault.
    pub id: SecretId,
    /// When it expires.
    pub expires: Option<Millis>,
    /// The value itself: the vault may have another under that name by then, or none.
    pub value: Secret,
}

/// A profile that the migration put into the other program's database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planted {
    /// Whose it is.
    pub agent: AgentId,
    /// Its id.
    pub profile: ProfileId,
    /// The provider.
    pub provider: ProviderId,
}

/// An order of profiles before the migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WasOrder {
    /// Whose it was.
    pub agent: AgentId,
    /// Of which provider.
    pub provider: ProviderId,
    /// The order; `None` when there was none.
    pub before: Option<Vec<ProfileId>>,
}

impl fmt::Debug for WasFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WasFile({}, [REDACTED])", self.path.display())
    }
}

impl Bundle {
    /// An empty bundle, made now.
    ///
    /// # Errors
    /// `Failed` when the system has no random source.
    pub fn new(now: Millis, roots: Vec<PathBuf>, keep: bool) -> Result<Self> {
        Ok(Bundle {
            id: BundleId::new(now)?,
            created: now,
            keep,
            roots,
            files: Vec::new(),
            values: Vec::new(),
            planted: Vec::new(),
            orders: Vec::new(),
        })
    }

    /// The root above a file; the longest where several are.
    pub fn root_of(&self, path: &Path) -> Option<&Path> {
        self.roots
            .iter()
            .filter(|root| path != **root && path.starts_with(root))
            .max_by_key(|root| root.components().count())
            .map(PathBuf::as_path)
    }

    /// Whether it holds together.
    ///
    /// # Errors
    /// `Broken`, with the number of the file or root that is not as it must be, from 1.
    pub fn check(&self) -> Result<()> {
        let bad = |what: &str, at: usize, why: &str| {
            Err(Error::broken(format!(
                "{what} {} of the undo bundle {} {why}; nothing was written",
                at + 1,
                self.id
            )))
        };
        for (at, root) in self.roots.iter().enumerate() {
            if !is_plain(root) || root.parent().is_none() {
                return bad("root", at, "is no absolute path of plain names");
            }
        }
        let mut seen = BTreeSet::new();
        for (at, file) in self.files.iter().enumerate() {
            if !is_plain(&file.path) {
                return bad("file", at, "has no absolute path of plain names");
            }
            if self.root_of(&file.path).is_none() {
                return bad("file", at, "lies outside the folders that were named");
            }
            if file.mode > 0o777 {
                return bad("file", at, "has a mode that no file is given");
            }
            if !seen.insert(&file.path) {
                return bad("file", at, "is there twice");
            }
        }
        Ok(())
    }
}

/// Whether a path is absolute, and the names in it are all there is: no `.`, `..`, doubled or trailing
/// separator, and no NUL, which ends a name for the system.
fn is_plain(path: &Path) -> bool {
    let names = path.components().all(|part| {
        matches!(
            part,
            Component::Prefix(_) | Component::RootDir | Component::Normal(_)
        )
    });
    let again: PathBuf = path.components().collect();
    names
        && path.is_absolute()
        && again.as_os_str() == path.as_os_str()
        && path
            .to_str()
            .is_some_and(|text| !text.is_empty() && !text.contains('\0'))
}
