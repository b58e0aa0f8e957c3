//! A vault that stays open: the keeper's. Ring 2.
//!
//! Promises: one copy of the plaintext, in locked pages where the system allows it (the identity as
//! well), with an index that says where each entry stands; a value is parsed when it is asked for.
//! What another process wrote since is read before any answer, so a value is never stale; a vault that
//! was replaced, put back, forked or removed is an error for as long as it is so.

use super::body::{Contents, Entry};
use super::cache::Cache;
use super::envelope::{self, Body, Refusal};
use super::id::VaultId;
use super::identity::Identity;
use super::slot::{Slot, SlotKind};
use super::unlock::{Keys, read_vault, unseal};
use super::{Vault, check_dir, copy, pick};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::secret::{RefId, Secret, SecretId};
use crate::store::{Meta, Resolve};
use crate::wipe::{self, Locking, Pages};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// An open vault of file custody that is kept open. Wiped on drop.
pub struct Held {
    dir: PathBuf,
    host: Host,
    identity: Box<Identity>,
    line: Line,
    stamp: Option<Stamp>,
    by: String,
}

/// Where each entry stands in line 1.
type Index = BTreeMap<SecretId, Range<usize>>;

/// Line 1 in memory, and where its entries stand.
struct Line {
    bytes: Pages,
    mac: [u8; 32],
    generation: u64,
    index: Index,
    linked: BTreeSet<RefId>,
    slots: Vec<Slot>,
}

/// What tells one `vault.age` from another without reading it. Two states of one stamp would take a
/// clock that stands still and an inode that is used again within it; the writers make a new file
/// while the old one is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp([u64; 6]);

impl Stamp {
    #[cfg(unix)]
    fn of(dir: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let meta = std::fs::symlink_metadata(dir.join("vault.age")).ok()?;
        let plain = |n: i64| u64::from_ne_bytes(n.to_ne_bytes());
        Some(Stamp([
            meta.dev(),
            meta.ino(),
            meta.size(),
            plain(meta.mtime_nsec()) ^ plain(meta.mtime()).rotate_left(32),
            plain(meta.ctime()),
            plain(meta.ctime_nsec()),
        ]))
    }

    /// Without such marks every look reads the file.
    #[cfg(not(unix))]
    fn of(_: &Path) -> Option<Self> {
        None
    }
}

impl Held {
    /// Opens the vault in `dir` and keeps it open.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open(dir: &Path, keys: &Keys<'_>) -> Result<Self> {
        check_dir(dir)?;
        let stamp = Stamp::of(dir);
        let unsealed = unseal(dir, keys)?;
        // Everything is checked once as a whole: the keeper must not find out at a request.
        let contents = unsealed.contents(dir)?;
        let line = Line::of(&unsealed.body, contents)?;
        Ok(Held {
            dir: dir.to_owned(),
            host: keys.host.clone(),
            identity: kept(unsealed.identity),
            line,
            stamp,
            by: unsealed.by,
        })
    }

    /// The same with an identity that was handed over.
    ///
    /// # Errors
    /// As [`Vault::open`]; `Broken` when it is another vault's.
    pub fn with_identity(
        dir: &Path,
        host: &Host,
        identity: Identity,
        accept_rollback: bool,
    ) -> Result<Self> {
        check_dir(dir)?;
        let cache = Cache::load(dir)?;
        let stamp = Stamp::of(dir);
        let body = envelope::open(&read_vault(dir)?, &identity).map_err(refused)?;
        let contents = Contents::parse(body.line())?;
        if let (Some(cache), false) = (cache, accept_rollback) {
            super::unlock::check_rollback(&cache, contents.generation, &body.mac())?;
        }
        Ok(Held {
            dir: dir.to_owned(),
            host: host.clone(),
            identity: kept(identity),
            line: Line::of(&body, contents)?,
            stamp,
            by: "the person who unlocked it".to_owned(),
        })
    }

    /// Reads what was written since the last look. Says which values are new: the ids to be asked for,
    /// and the selection ids of their providers.
    ///
    /// # Errors
    /// `Locked` when the vault got a new identity that no slot gives without a person; `Broken` when
    /// it was replaced, put back, forked, damaged or removed. What is held then is of the past and is
    /// not to be given out; the next look tries again.
    pub fn refresh(&mut self, keys: &Keys<'_>) -> Result<BTreeSet<RefId>> {
        let stamp = Stamp::of(&self.dir);
        if stamp.is_some() && stamp == self.stamp {
            return Ok(BTreeSet::new());
        }
        check_dir(&self.dir)?;
        let stored = match envelope::open(&read_vault(&self.dir)?, &self.identity) {
            Ok(body) => self.advance(&body, None)?,
            Err(Refusal::NotForThisKey) => self.follow(keys)?,
            Err(Refusal::Error(error)) => return Err(error),
        };
        self.stamp = stamp;
        Ok(stored)
    }

    /// A new identity: through a slot that opens without a person.
    fn follow(&mut self, keys: &Keys<'_>) -> Result<BTreeSet<RefId>> {
        // A pin of the old id would refuse its own successor; the slots carry their own pins.
        let keys = Keys { pins: &[], ..*keys };
        // A vault of somebody else brings slots of his own; those of ours outlive a new identity.
        let unsealed = unseal(&self.dir, &keys).map_err(|error| {
            let error = error.context("the vault got a new identity since it was unlocked");
            if error.kind() == Kind::Locked {
                error.hint("clawkeep lock; clawkeep unlock")
            } else {
                error
            }
        })?;
        // A credential that is the identity itself is the one that we have: it has no successor.
        if !unsealed.opened.is_some_and(|slot| self.has_had(&slot)) {
            return Err(Error::broken(
                "another vault was put in this one's place while it was held open",
            )
            .hint("put the right vault back, or, if you changed it yourself: clawkeep lock"));
        }
        self.advance(&unsealed.body, Some(unsealed.identity))
    }

    /// Whether the vault had this way in when it was last read.
    fn has_had(&self, way: &SlotKind) -> bool {
        self.line.slots.iter().any(|slot| match (&slot.kind, way) {
            (
                SlotKind::IdentityFile { recipient: had, .. },
                SlotKind::IdentityFile { recipient, .. },
            ) => had == recipient,
            (SlotKind::Keychain, SlotKind::Keychain) => true,
            _ => false,
        })
    }

    fn advance(&mut self, body: &Body, identity: Option<Identity>) -> Result<BTreeSet<RefId>> {
        let contents = Contents::parse(body.line())?;
        let older = contents.generation < self.line.generation;
        let beside = contents.generation == self.line.generation && body.mac() != self.line.mac;
        if older || beside {
            let what = if older {
                "an older copy of the vault was put back"
            } else {
                "two copies of the vault went separate ways"
            };
            return Err(Error::broken(format!("{what} while it was held open"))
                .hint("if you restored it yourself: clawkeep lock, then clawkeep unlock"));
        }
        let line = Line::of(body, contents)?;
        let stored = line.stored_since(&self.line)?;
        self.line = line;
        if let Some(identity) = identity {
            self.identity = kept(identity);
        }
        Ok(stored)
    }

    /// The vault for one change, as it is on disk now.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn to_write(&self) -> Result<Vault> {
        let body = envelope::open(&read_vault(&self.dir)?, &self.identity).map_err(refused)?;
        let cache = Cache::load(&self.dir)?
            .unwrap_or_else(|| Cache::guess(&self.dir, &self.host, Some(self.id())));
        let contents = Contents::parse(body.line())?;
        super::unlock::check_rollback(&cache, contents.generation, &body.mac())?;
        Ok(Vault {
            dir: self.dir.clone(),
            host: self.host.clone(),
            identity: copy(&self.identity)?,
            contents,
            cache,
            by: "the keeper".to_owned(),
        })
    }

    /// The vault's id.
    pub fn id(&self) -> VaultId {
        self.identity.vault_id()
    }

    /// Whether a caller that pins these ids means this vault.
    pub fn fits(&self, pins: &[VaultId]) -> bool {
        pins.is_empty() || pins.contains(&self.id())
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The identity, for what is authenticated under it.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What opened it, for people.
    pub fn opened_by(&self) -> &str {
        &self.by
    }

    /// The ids that refs ask for, as the vault itself notes them.
    pub fn linked(&self) -> &BTreeSet<RefId> {
        &self.line.linked
    }

    /// Its slots.
    pub fn slots(&self) -> &[Slot] {
        &self.line.slots
    }

    /// Whether the plaintext lies in locked pages.
    pub fn locking(&self) -> Locking {
        self.line.bytes.locking()
    }

    /// All names, sorted, with what is known of them.
    ///
    /// # Errors
    /// `Broken` when an entry cannot be read, which the check at opening rules out.
    pub fn list(&self) -> Result<Vec<(SecretId, Meta)>> {
        self.line
            .index
            .keys()
            .filter_map(|id| {
                let entry = self.line.entry(id).transpose()?;
                Some(entry.map(|entry| (id.clone(), entry.meta)))
            })
            .collect()
    }
}

impl Resolve for Held {
    fn get(&self, id: &SecretId) -> Result<Option<(Secret, Meta)>> {
        let entry = self.line.entry(id)?;
        Ok(entry.map(|entry| (entry.value, entry.meta)))
    }
}

impl Line {
    /// Keeps the body; `contents` is what was parsed of it.
    fn of(body: &Body, contents: Contents) -> Result<Self> {
        let mac = body.mac();
        let (bytes, index) = match pick::index(body.line()) {
            Some(index) => (Pages::of(body.line()), index),
            // As another writer wrote it: once more as we do.
            None => rewritten(&contents)?,
        };
        Ok(Line {
            bytes: bytes.map_err(|_| Error::failed("there is no memory for the vault's values"))?,
            mac,
            generation: contents.generation,
            index,
            linked: contents.linked,
            slots: contents.slots,
        })
    }

    fn entry(&self, id: &SecretId) -> Result<Option<Entry>> {
        self.text(id).map(Entry::read).transpose()
    }

    fn text(&self, id: &SecretId) -> Option<&[u8]> {
        self.bytes.get(self.index.get(id)?.clone())
    }

    /// What was stored between an earlier state and this one. An entry says when its value was stored, so
    /// the same value stored again counts too.
    fn stored_since(&self, earlier: &Line) -> Result<BTreeSet<RefId>> {
        let mut stored = BTreeSet::new();
        for id in self.index.keys() {
            if self.text(id) == earlier.text(id) {
                continue;
            }
            stored.insert(RefId::from(id));
            let provider = self.entry(id)?.and_then(|entry| entry.meta.provider);
            stored.extend(provider.and_then(|name| RefId::parse(&name.selection_id())));
        }
        Ok(stored)
    }
}

fn rewritten(contents: &Contents) -> Result<(std::io::Result<Pages>, Index)> {
    let (room, write) = contents.to_line()?;
    let mut line = zeroize::Zeroizing::new(Vec::with_capacity(room));
    write(&mut line);
    let index =
        pick::index(&line).ok_or_else(|| Error::broken("the vault's body cannot be indexed"))?;
    Ok((Pages::of(&line), index))
}

/// The identity where it stays: out of swap like the values that it opens.
#[allow(
    clippy::unnecessary_box_returns,
    reason = "its place is what is locked"
)]
fn kept(identity: Identity) -> Box<Identity> {
    let identity = Box::new(identity);
    wipe::lock_in_place(&*identity);
    wipe::lock_in_place(identity.text());
    identity
}

fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::NotForThisKey => {
            Error::broken("the identity that was handed over is of another vault")
                .hint("clawkeep unlock")
        }
        Refusal::Error(error) => error,
    }
}
