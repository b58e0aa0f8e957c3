//! The vault: one folder that holds encrypted values, and the ways to open it. Ring 2: has never
//! heard of OpenClaw.
//!
//! ```text
//! vault.age          every value and all that must not be forged (see `envelope`, `body`)
//! slots/<name>.age   the vault identity, wrapped (see `slot`)
//! undo/<id>.age      what a migration changed, as it was (see `undo`)
//! vault.json         a cache of what is not secret (see `cache`)
//! vault.lock         sidecar lock of the writers
//! ```
//!
//! Promises: a write happens under the lock, on the state that is on disk then, whole or not at all;
//! a change of identity can be cut off anywhere and the vault opens all the same.

pub mod argon;
pub mod body;
pub mod cache;
pub mod envelope;
pub mod examine;
pub mod held;
pub mod id;
pub mod identity;
pub mod items;
pub mod making;
pub mod pick;
pub mod rekey;
pub mod slot;
pub mod undo;
pub mod unlock;

use crate::error::{Error, Kind, Result};
use crate::expiry::Millis;
use crate::file::{self, LOCK_WAIT, Lock};
use crate::host::Host;
use crate::secret::{Secret, SecretId};
use crate::store::{Meta, Resolve, Store};
use body::{Contents, Entry, Recovery};
use cache::{Cache, Custody, State};
use envelope::Refusal;
use id::VaultId;
use identity::Identity;
use pick::Picked;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use unlock::{Keys, read_vault, unseal};

pub use making::NewVault;

/// An opened vault of file custody. Holds the identity and all values, wiped on drop.
pub struct Vault {
    dir: PathBuf,
    host: Host,
    identity: Identity,
    contents: Contents,
    cache: Cache,
    by: String,
}

/// What lies in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// No vault.
    Nothing,
    /// A vault of this custody.
    Vault(Custody),
}

/// Tells whether `dir` holds a vault, and which custody it has, without opening it.
///
/// # Errors
/// `Broken` when the folder or `vault.json` is not what it should be.
pub fn find(dir: &Path) -> Result<Found> {
    match file::check_private_dir(dir) {
        Err(error) if error.kind() == Kind::Missing => return Ok(Found::Nothing),
        other => other?,
    }
    if dir.join("vault.age").symlink_metadata().is_ok() {
        return Ok(Found::Vault(Custody::File));
    }
    match Cache::load(dir)? {
        // A vault whose making was cut off.
        Some(cache) if cache.custody == Custody::File && cache.seen.is_none() => Ok(Found::Nothing),
        Some(cache) => Ok(Found::Vault(cache.custody)),
        None => Ok(Found::Nothing),
    }
}

impl Vault {
    /// Opens the vault in `dir`.
    ///
    /// # Errors
    /// `Missing` when there is none, `Locked` when no slot opened, `Broken` when something is not
    /// what it should be.
    pub fn open(dir: &Path, keys: &Keys<'_>) -> Result<Self> {
        check_dir(dir)?;
        let unsealed = unseal(dir, keys)?;
        let contents = unsealed.contents(dir)?;
        let mut vault = Vault {
            dir: dir.to_owned(),
            host: keys.host.clone(),
            identity: unsealed.identity,
            contents,
            cache: unsealed.cache,
            by: unsealed.by,
        };
        let state = State {
            generation: vault.contents.generation,
            mac: unsealed.body.mac(),
        };
        vault.note(state, keys.accept_rollback);
        Ok(vault)
    }

    /// Opens the vault in `dir` and takes out only `wanted`: the hot path of `resolve`. What it
    /// notes on the side (the generation that it saw) never makes it fail.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn pick(dir: &Path, keys: &Keys<'_>, wanted: &BTreeSet<SecretId>) -> Result<Picked> {
        check_dir(dir)?;
        let unsealed = unseal(dir, keys)?;
        let picked = unsealed.pick(wanted)?;
        let state = State {
            generation: picked.generation,
            mac: unsealed.body.mac(),
        };
        if unsealed.cache.seen != Some(state) {
            raise_seen(dir, state);
        }
        Ok(picked)
    }

    /// Opens the vault with its recovery key: the way in when every slot is lost.
    ///
    /// Anyone who knows the public half could have written such a file; what it says is checked
    /// against the identity inside it, and the id of the vault is for the person to compare.
    ///
    /// # Errors
    /// `Broken` when the key does not open it.
    pub fn open_with_recovery(
        dir: &Path,
        host: &Host,
        recovery: &Identity,
        pins: &[VaultId],
        accept_rollback: bool,
    ) -> Result<Self> {
        check_dir(dir)?;
        let file = read_vault(dir)?;
        let bytes = match envelope::open_unauthenticated(&file, recovery) {
            Ok(bytes) => bytes,
            Err(Refusal::NotForThisKey) => {
                return Err(
                    Error::broken("this recovery key is not the one of this vault")
                        .hint("take the sheet that was made last; with a slot, a new one: clawkeep rekey --new-recovery"),
                );
            }
            Err(Refusal::Error(error)) => return Err(error),
        };
        let end = bytes
            .iter()
            .position(|b| *b == b'\n')
            .unwrap_or(bytes.len());
        let claimed = Contents::parse(&bytes[..end])?;
        let body = envelope::authenticate(bytes, &claimed.identity)?;
        let contents = Contents::parse(body.line())?;
        let id = contents.vault_id();
        let ours = |kept: &Recovery| kept.recipient == recovery.recipient();
        if !contents.recovery.as_ref().is_some_and(ours) {
            return Err(Error::broken(
                "vault.age opens with this recovery key but names another one: every later write \
                 would be for that one",
            )
            .hint("put a copy back that you trust, then: clawkeep recovery check"));
        }
        if !pins.is_empty() && !pins.contains(&id) {
            return Err(Error::broken(
                "another vault was put in this one's place: --vault-id names a different vault id",
            ));
        }
        let cache = Cache::load(dir)?.unwrap_or_else(|| Cache::guess(dir, host, Some(id)));
        if !accept_rollback {
            unlock::check_rollback(&cache, contents.generation, &body.mac())?;
        }
        Ok(Vault {
            dir: dir.to_owned(),
            host: host.clone(),
            identity: claimed.identity,
            contents,
            cache,
            by: "the recovery key".to_owned(),
        })
    }

    /// Changes the vault: takes the lock, reads the state that is on disk now, applies `change`, and
    /// writes the next generation.
    ///
    /// # Errors
    /// On any error the old state is on disk, untouched.
    pub fn update<T>(
        &mut self,
        change: impl FnOnce(&mut Contents, Millis) -> Result<T>,
    ) -> Result<T> {
        let lock = self.lock()?;
        self.reload(&lock)?;
        rekey::settle(self)?;
        let value = change(&mut self.contents, self.host.now())?;
        self.commit(&lock)?;
        Ok(value)
    }

    /// Stores many values in one write. As [`Store::put`] for each.
    ///
    /// # Errors
    /// On any error none is stored.
    pub fn put_all(&mut self, values: Vec<(SecretId, Secret, Meta)>) -> Result<()> {
        self.update(|contents, _| {
            for (id, value, meta) in values {
                insert(contents, id, value, &meta);
            }
            Ok(())
        })
    }

    /// Reads again what is on the disk.
    ///
    /// # Errors
    /// `Broken` when it is not the vault that was opened, or an older state of it.
    pub fn refresh(&mut self) -> Result<()> {
        let lock = self.lock()?;
        self.reload(&lock)
    }

    fn lock(&self) -> Result<Lock> {
        check_dir(&self.dir)?;
        Lock::take(&self.dir.join("vault.lock"), LOCK_WAIT)
    }

    /// Reads again what another writer may have written since we opened it.
    fn reload(&mut self, _held: &Lock) -> Result<()> {
        let file = read_vault(&self.dir)?;
        let body = match envelope::open(&file, &self.identity) {
            Ok(body) => body,
            Err(Refusal::NotForThisKey) => {
                return Err(Error::failed(
                    "the vault got a new identity while this command ran; nothing was changed",
                )
                .hint("run the command again"));
            }
            Err(Refusal::Error(error)) => return Err(error),
        };
        let contents = Contents::parse(body.line())?;
        // The rollback check was passed at opening; a fall since then is a fresh one.
        if contents.generation < self.contents.generation {
            return Err(Error::broken(
                "an older copy of the vault was put back while this command ran",
            ));
        }
        self.contents = contents;
        if let Some(cache) = Cache::load(&self.dir)? {
            self.cache = cache;
        }
        Ok(())
    }

    /// Writes the next generation under the lock, then the cache, whose loss costs nothing.
    fn commit(&mut self, _held: &Lock) -> Result<()> {
        self.contents.generation = self
            .contents
            .generation
            .checked_add(1)
            .ok_or_else(|| Error::broken("the vault's generation is at its end"))?;
        self.contents.written = self.host.now();
        let (sealed, mac) = seal(&self.contents)?;
        if sealed.len() > envelope::MAX_FILE {
            return Err(
                Error::failed("the vault would grow beyond 256 MiB").hint("clawkeep secret list")
            );
        }
        file::replace(&self.dir.join("vault.age"), &sealed, 0o600)?;
        // Who tidies up after a cut-off change of identity needs to know the old id.
        if self.cache.next_vault_id.is_none() {
            self.cache.vault_id = Some(self.contents.vault_id());
        }
        self.cache.custody = Custody::File;
        self.cache.seen = Some(State {
            generation: self.contents.generation,
            mac,
        });
        self.cache.slots.clone_from(&self.contents.slots);
        let _ = self.cache.save(&self.dir);
        Ok(())
    }

    /// Notes the state that was seen and the slots that the body lists, best effort.
    fn note(&mut self, state: State, accepted: bool) {
        let changing = self.cache.next_vault_id.is_some();
        let outdated = self.cache.seen != Some(state)
            || self.cache.slots != self.contents.slots
            || (!changing && self.cache.vault_id != Some(self.contents.vault_id()));
        if !outdated {
            return;
        }
        let Ok(_lock) = Lock::take(&self.dir.join("vault.lock"), std::time::Duration::ZERO) else {
            return;
        };
        let Ok(now) = Cache::load(&self.dir) else {
            return;
        };
        let newer = now
            .as_ref()
            .and_then(|cache| cache.seen)
            .is_some_and(|seen| seen.generation > state.generation);
        if newer && !accepted {
            return;
        }
        let (old_id, next_vault_id) = now
            .and_then(|cache| Some((cache.vault_id, Some(cache.next_vault_id?))))
            .unwrap_or_default();
        self.cache = Cache {
            custody: Custody::File,
            vault_id: old_id.or(Some(self.contents.vault_id())),
            next_vault_id,
            seen: Some(state),
            slots: self.contents.slots.clone(),
        };
        let _ = self.cache.save(&self.dir);
    }

    /// Checks that a passphrase is the one that opens the slot `name`: a typing mistake must not
    /// become the slot's new passphrase.
    ///
    /// # Errors
    /// `Locked` when it is wrong.
    pub fn proves_passphrase(
        &self,
        name: &slot::SlotName,
        passphrase: &secrecy::SecretString,
    ) -> Result<()> {
        let mut refused = Error::broken("its file is gone from the vault's folder");
        for path in slot::files(&self.dir, name)? {
            let Some(file) = slot::read(&path)? else {
                continue;
            };
            match slot::unwrap_passphrase(&file, passphrase) {
                Ok(identity) if identity.vault_id() == self.id() => return Ok(()),
                Ok(_) => refused = Error::broken("its file is of another vault"),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// The vault's id.
    pub fn id(&self) -> VaultId {
        self.contents.vault_id()
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What opened it, for people.
    pub fn opened_by(&self) -> &str {
        &self.by
    }

    /// Everything in it.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }
}

impl Resolve for Vault {
    #[allow(
        clippy::disallowed_methods,
        reason = "door: a copy of the value for its one reader"
    )]
    fn get(&self, id: &SecretId) -> Result<Option<(Secret, Meta)>> {
        use secrecy::ExposeSecret;
        self.contents
            .secrets
            .get(id)
            .map(|entry| {
                Ok((
                    Secret::stored(entry.value.expose_secret())?,
                    entry.meta.clone(),
                ))
            })
            .transpose()
    }
}

impl Store for Vault {
    fn put(&mut self, id: &SecretId, value: Secret, meta: &Meta) -> Result<()> {
        self.update(|contents, _| {
            insert(contents, id.clone(), value, meta);
            Ok(())
        })
    }

    fn remove(&mut self, id: &SecretId) -> Result<bool> {
        if !self.contents.secrets.contains_key(id) {
            return Ok(false);
        }
        self.update(|contents, _| {
            contents.linked.remove(id.as_str());
            Ok(contents.secrets.remove(id).is_some())
        })
    }

    fn list(&self) -> Result<Vec<(SecretId, Meta)>> {
        Ok(self
            .contents
            .secrets
            .iter()
            .map(|(id, entry)| (id.clone(), entry.meta.clone()))
            .collect())
    }
}

fn insert(contents: &mut Contents, id: SecretId, value: Secret, meta: &Meta) {
    let old = contents.secrets.get(&id);
    let is_same = old.is_some_and(|old| old.value.same_as(&value));
    let meta = meta.in_place_of(old.map(|old| &old.meta), is_same);
    contents.secrets.insert(id, Entry { meta, value });
}

fn seal(contents: &Contents) -> Result<(Vec<u8>, [u8; 32])> {
    let (room, write) = contents.to_line()?;
    let recovery = contents
        .recovery
        .as_ref()
        .map(|recovery| &recovery.recipient);
    envelope::seal(&contents.identity, recovery, room, write)
}

fn copy(identity: &Identity) -> Result<Identity> {
    Identity::parse(identity.text())
}

/// The error where a vault is meant and there is none.
pub fn none_in(dir: &Path) -> Error {
    Error::missing(format!("there is no vault in {}", dir.display())).hint("clawkeep onboard")
}

fn check_dir(dir: &Path) -> Result<()> {
    file::check_private_dir(dir).map_err(|error| {
        if error.kind() == Kind::Missing {
            none_in(dir)
        } else {
            error
        }
    })
}

/// Raises the generation that was last seen, best effort and never downwards: two readers may race.
fn raise_seen(dir: &Path, state: State) {
    let Ok(_lock) = Lock::take(&dir.join("vault.lock"), std::time::Duration::ZERO) else {
        return;
    };
    if let Ok(Some(mut cache)) = Cache::load(dir)
        && cache
            .seen
            .is_none_or(|seen| seen.generation < state.generation)
    {
        cache.seen = Some(state);
        let _ = cache.save(dir);
    }
}
