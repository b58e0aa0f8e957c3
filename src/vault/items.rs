//! Keychain custody: one keychain item per secret. Ring 2; knows names, metadata and a keychain.
//!
//! An item `service clawkeep:<vault id>, account <secret id>` holds the value itself and nothing
//! else, so `secret-tool lookup service clawkeep:<vault id> username <secret id>` shows it, and what
//! `secret-tool store` puts there is a secret of ours. Beside it lie, under names that no secret id
//! can have:
//! - `<secret id>#meta`, the companion: JSON with one record, or two while a value is being
//!   replaced. A record names the value that it is about by a digest of it;
//! - `<secret id>#new`, only while a value is being replaced: the new one.
//!
//! Promises:
//! - metadata is believed only beside the value whose digest it holds: a value put there by other
//!   means is of kind `secret` and of no provider, never of the old value's provider;
//! - replacing never loses. The order is (1) `#new`, (2) a companion with the old and the new record,
//!   (3) the item, (4) a companion with the new record alone, (5) `#new` goes; 1 to 3 are read back.
//!   Killed at any point, [`Resolve::get`] gives the old pair or the new pair: up to 3 the old value
//!   finds its record, from 3 on the new one does, and should a keychain lose the item while it
//!   replaces it, `#new` with its record stands in for it.
//!
//! What it does not have: no MAC, no generation, no rollback check. Who can write the user's
//! keychain can forge. Writers of one id must hold one lock: see [`KeychainStore::with_lock`].

use crate::error::{Error, Kind, Result};
use crate::expiry::Millis;
use crate::file::{LOCK_WAIT, Lock};
use crate::keychain::{Item, Keychain};
use crate::provider::ProviderId;
use crate::secret::{Alphabet, Secret, SecretId, SecretKind};
use crate::store::{Meta, Resolve, Store};
use crate::vault::id::VaultId;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Ends the account of a companion. `#` is outside the grammar of secret ids.
const META: &str = "#meta";
/// Ends the account of a value that is on its way.
const NEW: &str = "#new";

/// The version of the companion's JSON.
const COMPANION_VERSION: u32 = 1;

/// The largest companion that is read, in bytes: the most that a Windows credential can hold.
const MAX_COMPANION: usize = 2560;

/// How often a read starts again when a writer changes the item under it.
const READS: usize = 4;

/// What stands for "nobody knows when" in the metadata of a value that was stored by other means:
/// one millisecond after 1970.
fn unknown_time() -> Millis {
    Millis::new(1).unwrap_or_else(|| unreachable!("1 is a moment"))
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// Of the value that this is about: see [`KeychainStore::digest`].
    digest: String,
    kind: SecretKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    created: i64,
    updated: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    was_plaintext: bool,
}

impl Record {
    fn new(digest: String, meta: &Meta) -> Self {
        Record {
            digest,
            kind: meta.kind,
            provider: meta.provider.as_ref().map(ProviderId::to_string),
            created: meta.created.get(),
            updated: meta.updated.get(),
            expires: meta.expires.map(Millis::get),
            was_plaintext: meta.was_plaintext,
        }
    }

    /// `None` when a field is out of its bounds.
    fn meta(&self) -> Option<Meta> {
        let provider = match &self.provider {
            Some(name) => Some(
                ProviderId::parse(name)
                    .ok()
                    .filter(|provider| provider.as_str() == name)?,
            ),
            None => None,
        };
        let expires = match self.expires {
            Some(at) => Some(Millis::new(at)?),
            None => None,
        };
        Some(Meta {
            kind: self.kind,
            provider,
            created: Millis::new(self.created)?,
            updated: Millis::new(self.updated)?,
            expires,
            was_plaintext: self.was_plaintext,
        })
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Companion {
    version: u32,
    records: Vec<Record>,
}

/// What is known of a value without a record.
fn plain_meta() -> Meta {
    Meta {
        kind: SecretKind::Secret,
        provider: None,
        created: unknown_time(),
        updated: unknown_time(),
        expires: None,
        was_plaintext: false,
    }
}

/// A value as it lies in the keychain.
struct Found {
    value: Zeroizing<Vec<u8>>,
    /// The record about it, and that same record read.
    record: Option<(Record, Meta)>,
    /// Whether it was found under `#new` alone.
    stand_in: bool,
}

/// The secrets of one vault, in a keychain.
pub struct KeychainStore {
    keychain: Box<dyn Keychain>,
    vault: VaultId,
    service: String,
    /// The sidecar lock of the vault's writers.
    lock: Option<PathBuf>,
}

impl KeychainStore {
    /// The secrets of `vault` in `keychain`. Asks nothing yet.
    pub fn new(keychain: Box<dyn Keychain>, vault: VaultId) -> Self {
        KeychainStore {
            keychain,
            vault,
            service: format!("clawkeep:{vault}"),
            lock: None,
        }
    }

    /// The same, with a lock that every write takes.
    #[must_use]
    pub fn with_lock(mut self, path: PathBuf) -> Self {
        self.lock = Some(path);
        self
    }

    fn locked(&self) -> Result<Option<Lock>> {
        self.lock
            .as_ref()
            .map(|path| Lock::take(path, LOCK_WAIT))
            .transpose()
    }

    /// The vault's id.
    pub fn id(&self) -> VaultId {
        self.vault
    }

    /// The service under which all items of this vault lie.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// What lies beside the secrets under a name that none can have.
    pub(super) fn beside(&self, account: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let item = Item::new(&self.service, account);
        self.keychain.get(&item).map_err(ours)
    }

    /// Puts it there.
    pub(super) fn put_beside(&self, account: &str, value: &[u8]) -> Result<()> {
        let _lock = self.locked()?;
        let item = Item::new(&self.service, account);
        self.keychain.set(&item, value).map_err(ours)
    }

    /// Takes it away.
    pub(super) fn remove_beside(&self, account: &str) -> Result<bool> {
        let _lock = self.locked()?;
        let item = Item::new(&self.service, account);
        self.keychain.delete(&item).map_err(ours)
    }

    fn item(&self, id: &SecretId, suffix: &str) -> Item {
        Item::new(&self.service, format!("{id}{suffix}"))
    }

    fn read(&self, id: &SecretId, suffix: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        self.keychain.get(&self.item(id, suffix)).map_err(ours)
    }

    /// Stores and reads back: some keychains change what they are given.
    fn write(&self, id: &SecretId, suffix: &str, value: &[u8]) -> Result<()> {
        let item = self.item(id, suffix);
        self.keychain.set(&item, value).map_err(ours)?;
        let back = self.keychain.get(&item).map_err(ours)?;
        if back.is_some_and(|back| back.as_slice() == value) {
            return Ok(());
        }
        Err(Error::broken(
            "the keychain gave back something else than was stored in it",
        ))
    }

    fn delete(&self, id: &SecretId, suffix: &str) -> Result<bool> {
        self.keychain.delete(&self.item(id, suffix)).map_err(ours)
    }

    /// SHA-256 over a label, vault, id and value, as hex. It lies where the value lies and is as
    /// well kept; id and vault in it keep a companion from being copied beside another value.
    fn digest(&self, id: &SecretId, value: &[u8]) -> String {
        use std::fmt::Write as _;
        let mut hash = Sha256::new();
        hash.update(b"clawkeep/v1/item\0");
        hash.update(self.vault.as_bytes());
        hash.update(id.as_str().as_bytes());
        hash.update(b"\0");
        hash.update(value);
        hash.finalize()
            .iter()
            .fold(String::with_capacity(64), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            })
    }

    fn records(&self, id: &SecretId) -> Result<Vec<(Record, Meta)>> {
        match self.read(id, META)? {
            Some(json) => parse_companion(&json)
                .map_err(|error| error.context(format!("the keychain's entry about {id}"))),
            None => Ok(Vec::new()),
        }
    }

    fn write_records(&self, id: &SecretId, records: Vec<Record>) -> Result<()> {
        let companion = Companion {
            version: COMPANION_VERSION,
            records,
        };
        let json = serde_json::to_vec(&companion)
            .map_err(|_| Error::failed("cannot write metadata as JSON"))?;
        self.write(id, META, &json)
    }

    /// The value that `id` has now, and the record that is about exactly that value.
    fn current(&self, id: &SecretId) -> Result<Option<Found>> {
        let mut seen = None;
        for _ in 0..READS {
            let value = self.read(id, "")?;
            let mut records = self.records(id)?.into_iter();
            let Some(value) = value else {
                return match records.len() {
                    0 => Ok(None),
                    _ => self.stand_in(id, records),
                };
            };
            let digest = self.digest(id, &value);
            let record = records.find(|(record, _)| record.digest == digest);
            // A writer may have been between our two reads: without a record the value is
            // believed to have none only when it is still there.
            if record.is_some() || seen.as_ref() == Some(&digest) {
                return Ok(Some(Found {
                    value,
                    record,
                    stand_in: false,
                }));
            }
            seen = Some(digest);
        }
        Err(Error::failed(format!(
            "another program keeps changing the keychain's item of {id}"
        )))
    }

    /// The item is gone, its companion is not: the value on its way, if the companion knows it.
    fn stand_in(
        &self,
        id: &SecretId,
        mut records: impl Iterator<Item = (Record, Meta)>,
    ) -> Result<Option<Found>> {
        let Some(value) = self.read(id, NEW)? else {
            return Ok(None);
        };
        let digest = self.digest(id, &value);
        Ok(records
            .find(|(record, _)| record.digest == digest)
            .map(|record| Found {
                value,
                record: Some(record),
                stand_in: true,
            }))
    }

    /// Steps 1 to 3.
    fn replace(&self, id: &SecretId, old: Option<&Found>, value: &[u8], new: Record) -> Result<()> {
        self.write(id, NEW, value)?;
        // The new one first: where the value stays and only its metadata changes, both have its
        // digest, and the first is taken.
        let mut records = vec![new];
        let old = old.and_then(|old| old.record.as_ref());
        records.extend(old.map(|(record, _)| record.clone()));
        self.write_records(id, records)?;
        self.write(id, "", value)
    }

    /// Puts back what was there before [`Self::replace`] failed, as far as the keychain lets us.
    /// `#new` is the last thing to go: until then it may be the only copy.
    fn put_back(&self, id: &SecretId, old: Option<&Found>) {
        let restored = match old {
            Some(old) => self.write(id, "", &old.value).is_ok(),
            None => self.delete(id, "").is_ok(),
        };
        let record = old.and_then(|old| old.record.as_ref());
        let restored = restored
            && match record {
                Some((record, _)) => self.write_records(id, vec![record.clone()]).is_ok(),
                None => self.delete(id, META).is_ok(),
            };
        if restored {
            let _ = self.delete(id, NEW);
        }
    }
}

/// The vault is in the keychain, so a machine without one has the vault closed, not empty.
fn ours(error: Error) -> Error {
    match error.kind() {
        Kind::Missing => error
            .as_kind(Kind::Locked)
            .hint("this vault is in the keychain: run this in the session that has it"),
        _ => error,
    }
}

/// Says where it fails, never what stands there.
fn parse_companion(json: &[u8]) -> Result<Vec<(Record, Meta)>> {
    if json.len() > MAX_COMPANION {
        return Err(Error::broken(format!(
            "larger than {MAX_COMPANION} bytes, which clawkeep writes none"
        )));
    }
    let companion: Companion = serde_json::from_slice(json).map_err(|error| {
        Error::broken(format!(
            "not what clawkeep writes, at line {} column {}",
            error.line(),
            error.column()
        ))
    })?;
    if companion.version != COMPANION_VERSION {
        return Err(Error::broken(format!(
            "of version {}; this clawkeep reads version {COMPANION_VERSION}",
            companion.version
        )));
    }
    companion
        .records
        .into_iter()
        .map(|record| {
            let meta = record
                .meta()
                .ok_or_else(|| Error::broken("a field of it is out of bounds"))?;
            Ok((record, meta))
        })
        .collect()
}

/// Held to what could have been typed: any program of the session may have put it there, and it may
/// be shown on a terminal.
fn to_secret(id: &SecretId, value: &[u8]) -> Result<Secret> {
    Secret::new(value, Alphabet::Text).map_err(|error| {
        error
            .context(format!("the keychain's value of {id}"))
            .as_kind(Kind::Broken)
    })
}

impl Resolve for KeychainStore {
    fn get(&self, id: &SecretId) -> Result<Option<(Secret, Meta)>> {
        let Some(found) = self.current(id)? else {
            return Ok(None);
        };
        let meta = found.record.map_or_else(plain_meta, |(_, meta)| meta);
        Ok(Some((to_secret(id, &found.value)?, meta)))
    }
}

impl Store for KeychainStore {
    /// On an error the older value is put back; should the keychain refuse that too, the older or
    /// the new value is there, whole.
    #[allow(
        clippy::disallowed_methods,
        reason = "door: the value goes into the keychain"
    )]
    fn put(&mut self, id: &SecretId, value: Secret, meta: &Meta) -> Result<()> {
        let _lock = self.locked()?;
        let value = value.expose_secret().as_bytes();
        let old = self.current(id).map_err(|error| match error.kind() {
            Kind::Broken => error.hint(format!("clawkeep secret remove {id}")),
            _ => error,
        })?;
        if let Some(old) = old.as_ref().filter(|old| old.stand_in) {
            // A replacement was cut short and `#new`, which step 1 overwrites, is the only copy.
            self.write(id, "", &old.value)?;
        }
        let digest = self.digest(id, value);
        let known = old.as_ref().and_then(|old| old.record.as_ref());
        let is_same = known.is_some_and(|(record, _)| record.digest == digest);
        let meta = meta.in_place_of(known.map(|(_, meta)| meta), is_same);
        let record = Record::new(digest, &meta);
        if let Err(error) = self.replace(id, old.as_ref(), value, record.clone()) {
            self.put_back(id, old.as_ref());
            return Err(error.context(format!("cannot store {id}")));
        }
        // The value is stored and knows its record. What is left behind now is tidied by the next
        // put or remove, and is no reason to say that it failed.
        let _ = self.write_records(id, vec![record]);
        let _ = self.delete(id, NEW);
        Ok(())
    }

    fn remove(&mut self, id: &SecretId) -> Result<bool> {
        let _lock = self.locked()?;
        let there = match self.current(id) {
            Ok(found) => found.is_some(),
            // What cannot be read can be removed.
            Err(error) if error.kind() == Kind::Broken => true,
            Err(error) => return Err(error),
        };
        // First what could stand in for the item, then the item.
        self.delete(id, NEW)?;
        self.delete(id, "")?;
        // Alone it means nothing.
        let _ = self.delete(id, META);
        Ok(there)
    }

    fn list(&self) -> Result<Vec<(SecretId, Meta)>> {
        let ids: BTreeSet<SecretId> = self
            .keychain
            .list(&self.service)
            .map_err(ours)?
            .iter()
            .map(|account| account.strip_suffix(NEW).unwrap_or(account))
            .filter_map(|account| SecretId::parse(account).ok())
            .collect();
        let mut listed = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(found) = self.current(&id)? {
                let meta = found.record.map_or_else(plain_meta, |(_, meta)| meta);
                listed.push((id, meta));
            }
        }
        Ok(listed)
    }
}

#[cfg(test)]
#[path = "items_tests.rs"]
mod tests;
