//! Undo bundles: what a migration took out of files and databases, as it was. Ring 2: knows files and
//! profiles as data; what to do with them is somebody else's.
//!
//! ```text
//! undo/<id>.age         one bundle, sealed as vault.age is, with a MAC of its own
//! undo/<id>.keep.age    the same, and no time ends it
//! undo/<id>.<tag>.age   its successor while the vault gets a new identity; the tag is the new vault's
//! ```
//!
//! Promises: a bundle is written whole or not at all, under the vault's lock, and only for the
//! identity that the vault has then; nothing of one is believed before its MAC was compared; a change
//! of identity takes all of them along or does not happen; [`LIFETIME`] after its making a bundle is
//! destroyed by the next writer of the vault, unless it is kept.
//!
//! Not kept from who can write the folder: destroying bundles, and putting one back that was here
//! before. What it would write is checked against the files as they are then.

mod bundle;
mod id;
mod keychain;
mod wire;

pub use bundle::{After, Bundle, Left, MAX_WAS, Planted, WasAt, WasFile, WasOrder, WasValue};
pub use id::BundleId;
pub use wire::VERSION;

use super::envelope::{self, MAX_FILE, Refusal, Sealed, UNDO};
use super::id::VaultId;
use super::identity::{Identity, Recipient};
use super::unlock::read_vault;
use super::{Vault, check_dir, copy};
use crate::error::{Error, Kind, Result};
use crate::expiry::Millis;
use crate::file::{self, LOCK_WAIT, Lock};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a bundle lives that is not kept: 30 days.
pub const LIFETIME: Duration = Duration::from_hours(30 * 24);

const FOLDER: &str = "undo";

/// The bundles of one open vault.
pub struct Bundles {
    dir: PathBuf,
    /// Which vault they are of.
    vault: VaultId,
    /// What they are sealed with: the vault's own, or with keychain custody one that lies there.
    identity: Identity,
    recovery: Option<Recipient>,
    /// Whether `identity` has to be the one that `vault.age` opens with.
    is_vaults: bool,
}

/// What is known of a bundle without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, which says when it was made.
    pub id: BundleId,
    /// Whether no time ends it.
    pub keep: bool,
    /// The size of its file in bytes.
    pub size: u64,
}

impl Listed {
    /// When it will be destroyed; `None` when it is kept.
    pub fn ends(&self) -> Option<Millis> {
        let lifetime = i64::try_from(LIFETIME.as_millis()).unwrap_or(i64::MAX);
        let end = self.id.created().get().saturating_add(lifetime);
        (!self.keep).then(|| Millis::new(end)).flatten()
    }
}

impl Vault {
    /// Its undo bundles.
    ///
    /// # Errors
    /// `Broken` when the identity cannot be copied, which it has no reason to refuse.
    pub fn bundles(&self) -> Result<Bundles> {
        let recovery = self.contents.recovery.as_ref();
        Ok(Bundles {
            dir: self.dir.clone(),
            vault: self.id(),
            identity: copy(&self.identity)?,
            recovery: recovery.map(|recovery| recovery.recipient.clone()),
            is_vaults: true,
        })
    }
}

impl Bundles {
    /// The vault's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a bundle, over an earlier state of it.
    ///
    /// # Errors
    /// `Broken` when it does not hold together; `Failed` when the vault got a new identity since it was
    /// opened, or the bundle would be above 256 MiB. The earlier state is untouched then.
    pub fn save(&self, bundle: &Bundle) -> Result<()> {
        let _lock = self.lock()?;
        self.still_the_vaults()?;
        file::private_dir(&self.dir.join(FOLDER))?;
        settle(&self.dir, &self.vault)?;
        self.write(bundle, None)?;
        // The other of the two names, where it was saved with another wish before.
        let other = Name {
            id: bundle.id.clone(),
            keep: !bundle.keep,
            tag: None,
        };
        file::remove(&other.path(&self.dir)).map(|_| ())
    }

    fn write(&self, bundle: &Bundle, tag: Option<String>) -> Result<()> {
        let line = wire::to_line(bundle, self.vault)?;
        let recovery = self.recovery.as_ref();
        let (sealed, _) = envelope::seal_as(UNDO, &self.identity, recovery, line.len(), |out| {
            out.extend_from_slice(&line);
        })?;
        if sealed.len() > MAX_FILE {
            return Err(Error::failed(
                "what is to be changed is too much to be undone: above 256 MiB",
            )
            .hint("migrate fewer files at once: clawkeep migrate FILE"));
        }
        let name = Name {
            id: bundle.id.clone(),
            keep: bundle.keep,
            tag,
        };
        file::replace(&name.path(&self.dir), &sealed, 0o600)
    }

    /// Reads a bundle. `Ok(None)` when there is none of that name.
    ///
    /// # Errors
    /// `Broken` when it is damaged, forged, another vault's or bundle's, or does not hold together.
    pub fn load(&self, id: &BundleId) -> Result<Option<Bundle>> {
        let mut refused = None;
        // A change of identity may rename one between two looks.
        for _ in 0..2 {
            for name in names(&self.dir)?.into_iter().filter(|name| name.id == *id) {
                let Some(file) = Sealed::find(&name.path(&self.dir))? else {
                    continue;
                };
                match envelope::open_as(UNDO, &file, &self.identity) {
                    Ok(body) => {
                        return wire::from_line(body.line(), self.vault, id, name.keep).map(Some);
                    }
                    Err(Refusal::NotForThisKey) => {
                        let error = Error::broken(format!(
                            "the undo bundle {id} was not sealed for this vault"
                        ));
                        refused.get_or_insert(error.hint("clawkeep migrate --undo-list"));
                    }
                    Err(Refusal::Error(error)) => return Err(error),
                }
            }
        }
        refused.map_or(Ok(None), Err)
    }

    /// Destroys a bundle. `false` when there was none of that name.
    ///
    /// # Errors
    /// As [`forget`].
    pub fn forget(&self, id: &BundleId) -> Result<bool> {
        forget(&self.dir, id)
    }

    fn lock(&self) -> Result<Lock> {
        check_dir(&self.dir)?;
        Lock::take(&self.dir.join("vault.lock"), LOCK_WAIT)
    }

    /// A bundle under an identity that the vault had would open for whom it was changed against.
    fn still_the_vaults(&self) -> Result<()> {
        if !self.is_vaults
            || envelope::is_for(envelope::VAULT, &read_vault(&self.dir)?, &self.identity)?
        {
            return Ok(());
        }
        Err(Error::failed(
            "the vault got a new identity while this command ran; the undo bundle was not written",
        )
        .hint("run the command again"))
    }
}

/// The bundles in a vault's folder, the newest first, without opening them.
///
/// # Errors
/// `Broken` when their folder is a link or open to others.
pub fn list(dir: &Path) -> Result<Vec<Listed>> {
    let mut listed: BTreeMap<BundleId, Listed> = BTreeMap::new();
    for name in names(dir)? {
        let Ok(meta) = std::fs::symlink_metadata(name.path(dir)) else {
            continue;
        };
        if !meta.is_file() {
            continue;
        }
        let entry = listed.entry(name.id.clone()).or_insert(Listed {
            id: name.id,
            keep: false,
            size: meta.len(),
        });
        entry.keep |= name.keep;
    }
    Ok(listed.into_values().rev().collect())
}

/// A moment for a new bundle: now, or where that is the second of the newest one, the second after it, so
/// that names sort as the migrations came.
///
/// # Errors
/// As [`list`].
pub fn moment(dir: &Path, now: Millis) -> Result<Millis> {
    // A clock that was further ahead than this is not followed: what it named would not end in time.
    const NEAR: i64 = 60_000;
    let newest = list(dir)?.first().map(|newest| newest.id.created().get());
    let next = newest.map_or(0, |newest| newest + 1000);
    let is_near = (now.get()..=now.get() + NEAR).contains(&next);
    Ok(Millis::new(next).filter(|_| is_near).unwrap_or(now))
}

/// Destroys a bundle: its file, which nothing but a copy of it elsewhere brings back. `false` when
/// there was none of that name. Needs no open vault.
///
/// # Errors
/// `Failed` when the system refuses.
pub fn forget(dir: &Path, id: &BundleId) -> Result<bool> {
    check_dir(dir)?;
    let _lock = Lock::take(&dir.join("vault.lock"), LOCK_WAIT)?;
    remove(dir, id)
}

fn remove(dir: &Path, id: &BundleId) -> Result<bool> {
    let mut was = false;
    for name in names(dir)?.into_iter().filter(|name| name.id == *id) {
        was |= file::remove(&name.path(dir))?;
    }
    Ok(was)
}

/// Destroys what is older than [`LIFETIME`] and not kept. Gives their names.
///
/// # Errors
/// As [`forget`].
pub fn expire(dir: &Path, now: Millis) -> Result<Vec<BundleId>> {
    let is_over = |listed: &Listed| listed.ends().is_some_and(|end| end <= now);
    let over: Vec<BundleId> = list(dir)?
        .into_iter()
        .filter(is_over)
        .map(|listed| listed.id)
        .collect();
    if over.is_empty() {
        return Ok(over);
    }
    check_dir(dir)?;
    let _lock = Lock::take(&dir.join("vault.lock"), LOCK_WAIT)?;
    for id in &over {
        remove(dir, id)?;
    }
    Ok(over)
}

/// Seals every bundle for the identity that the vault is about to get, beside the old ones. Under the
/// vault's lock.
pub(super) fn stage(old: &Bundles, new: &Bundles) -> Result<()> {
    for listed in list(&old.dir)? {
        let again = old.load(&listed.id).and_then(|bundle| match bundle {
            Some(bundle) => new.write(&bundle, Some(new.vault.short())),
            None => Ok(()),
        });
        again.map_err(|error| {
            error
                .context(format!(
                    "the undo bundle {} cannot be sealed for the new identity, nothing was changed",
                    listed.id
                ))
                .hint(format!("clawkeep migrate --forget {}", listed.id))
        })?;
    }
    Ok(())
}

/// What `stage` needs to know of the state that is to be.
pub(super) fn to_be(
    dir: &Path,
    identity: &Identity,
    recovery: Option<&Recipient>,
) -> Result<Bundles> {
    Ok(Bundles {
        dir: dir.to_owned(),
        vault: identity.vault_id(),
        identity: copy(identity)?,
        recovery: recovery.cloned(),
        is_vaults: true,
    })
}

/// Finishes or takes back what [`stage`] did, by the id that the vault has. Under the vault's lock.
pub(super) fn settle(dir: &Path, vault: &VaultId) -> Result<()> {
    for name in names(dir)? {
        let Some(tag) = &name.tag else {
            continue;
        };
        let staged = name.path(dir);
        if *tag == vault.short()
            && let Some(bytes) = file::read(&staged, MAX_FILE, file::Privacy::Private)?
        {
            let own = Name {
                tag: None,
                ..name.clone()
            };
            file::replace(&own.path(dir), &bytes, 0o600)?;
        }
        file::remove(&staged)?;
    }
    let folder = dir.join(FOLDER);
    if folder.is_dir() {
        file::sweep(&folder);
    }
    Ok(())
}

/// Destroys what is too old, best effort, for a writer of the vault that holds its lock.
pub(super) fn expire_held(dir: &Path, now: Millis) {
    for listed in list(dir).unwrap_or_default() {
        if listed.ends().is_some_and(|end| end <= now) {
            let _ = remove(dir, &listed.id);
        }
    }
}

/// The name of a bundle's file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    id: BundleId,
    keep: bool,
    /// Sixteen hex digits of the id of the vault that it is staged for.
    tag: Option<String>,
}

impl Name {
    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".age")?.split('.');
        let id = BundleId::parse(parts.next()?).ok()?;
        let mut next = parts.next();
        let keep = next == Some("keep");
        if keep {
            next = parts.next();
        }
        let is_tag = |tag: &str| tag.len() == 16 && tag.bytes().all(|b| b.is_ascii_hexdigit());
        if parts.next().is_some() || !next.is_none_or(is_tag) {
            return None;
        }
        Some(Name {
            id,
            keep,
            tag: next.map(str::to_owned),
        })
    }

    fn path(&self, dir: &Path) -> PathBuf {
        let keep = if self.keep { ".keep" } else { "" };
        let tag = self.tag.as_ref();
        let tag = tag.map_or_else(String::new, |tag| format!(".{tag}"));
        dir.join(FOLDER).join(format!("{}{keep}{tag}.age", self.id))
    }
}

/// The files of bundles, sorted; other files are none of ours.
fn names(dir: &Path) -> Result<Vec<Name>> {
    let folder = dir.join(FOLDER);
    match file::check_private_dir(&folder) {
        Err(error) if error.kind() == Kind::Missing => return Ok(Vec::new()),
        other => other?,
    }
    let entries = std::fs::read_dir(&folder).map_err(|error| Error::io("read", &folder, &error))?;
    let mut names: Vec<Name> = entries
        .flatten()
        .filter_map(|entry| Name::parse(entry.file_name().to_str()?))
        .collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests;
