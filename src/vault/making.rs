//! Making a vault: an empty one, or one with all that another held. Ring 2.
//!
//! A vault moves to another user by its plaintext over a pipe between two processes, one of each user:
//! nothing on the way is a file, and the new vault has an identity and slots of its own, since the old
//! ones may be known to whatever ran as the old user.
//!
//! Promise: taking over adds and renews, it never removes: running it again after a cut finishes, and
//! of two values of one id the newer one stays.

use super::body::{Contents, Recovery};
use super::cache::{Cache, Custody, State};
use super::envelope::{self, Refusal};
use super::identity::Identity;
use super::slot::{self, Slot};
use super::unlock::{self, read_vault};
use super::{Vault, check_dir, copy, seal};
use crate::error::{Error, Result};
use crate::file::{self, Lock};
use crate::host::Host;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use zeroize::Zeroizing;

/// Everything that a vault holds, on its way into another. Wiped on drop.
pub struct Parcel(Zeroizing<Vec<u8>>);

impl Parcel {
    /// What `vault` holds.
    ///
    /// # Errors
    /// `Failed` when it cannot be written as JSON, which it has no reason to be.
    pub fn of(vault: &Vault) -> Result<Self> {
        let (room, write) = vault.contents.to_line()?;
        let mut line = Zeroizing::new(Vec::with_capacity(room));
        write(&mut line);
        Ok(Parcel(line))
    }

    /// Takes what came over the pipe.
    ///
    /// # Errors
    /// `Broken` when it is no vault.
    pub fn read(line: Zeroizing<Vec<u8>>) -> Result<Self> {
        Contents::parse(&line)?;
        Ok(Parcel(line))
    }

    /// What goes over the pipe: line 1 of a vault, all its values in plain.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many secrets are in it.
    ///
    /// # Errors
    /// As [`Parcel::read`].
    pub fn count(&self) -> Result<usize> {
        Ok(self.contents()?.secrets.len())
    }

    fn contents(&self) -> Result<Contents> {
        Contents::parse(&self.0)
    }
}

/// What a new vault starts with.
pub struct NewVault {
    /// Its identity.
    pub identity: Identity,
    /// The recovery key's public half, if there is to be one.
    pub recovery: Option<Recovery>,
    /// Its slots, whose files or items [`super::rekey::plant`] has made.
    pub slots: Vec<Slot>,
}

impl Vault {
    /// Makes a vault in `dir`, whose slots were planted under this lock of it.
    ///
    /// # Errors
    /// `Failed` when there is one already.
    pub fn create(dir: &Path, host: &Host, new: NewVault, _held: &Lock) -> Result<Self> {
        let contents = Contents {
            generation: 1,
            written: host.now(),
            identity: copy(&new.identity)?,
            recovery: new.recovery,
            slots: new.slots,
            linked: BTreeSet::new(),
            secrets: BTreeMap::new(),
        };
        Self::begin(dir, host, new.identity, contents)
    }

    /// The same with everything that another vault held: values, kinds, times, linked ids. Its identity
    /// and slots are not taken over.
    ///
    /// # Errors
    /// As [`Vault::create`].
    pub fn create_from(
        dir: &Path,
        host: &Host,
        parcel: &Parcel,
        new: NewVault,
        _held: &Lock,
    ) -> Result<Self> {
        let from = parcel.contents()?;
        let contents = Contents {
            generation: 1,
            written: host.now(),
            identity: copy(&new.identity)?,
            recovery: new.recovery.or(from.recovery),
            slots: new.slots,
            linked: from.linked,
            secrets: from.secrets,
        };
        Self::begin(dir, host, new.identity, contents)
    }

    fn begin(dir: &Path, host: &Host, identity: Identity, contents: Contents) -> Result<Self> {
        let path = dir.join("vault.age");
        let (sealed, mac) = seal(&contents)?;
        // The cache first: cut off between the two, what says where the slots are is there as soon as
        // the vault is. That nothing was seen yet says that the vault was never made (`find`).
        let mut cache = Cache {
            custody: Custody::File,
            vault_id: Some(contents.vault_id()),
            next_vault_id: None,
            seen: None,
            slots: contents.slots.clone(),
        };
        if path.symlink_metadata().is_err() {
            cache.save(dir)?;
        }
        file::create(&path, &sealed, 0o600)?;
        cache.seen = Some(State { generation: 1, mac });
        cache.save(dir)?;
        Ok(Vault {
            dir: dir.to_owned(),
            host: host.clone(),
            identity,
            contents,
            cache,
            by: "its making".to_owned(),
        })
    }

    /// Opens the vault by the key of one of its identity-file slots, wherever that key was kept.
    ///
    /// # Errors
    /// `Locked` when it is of no slot; otherwise as [`Vault::open`].
    pub fn open_with_key(dir: &Path, host: &Host, key: &Identity) -> Result<Self> {
        check_dir(dir)?;
        let file = read_vault(dir)?;
        for name in slot::file_names(dir)? {
            let Some(bytes) = slot::read(&dir.join("slots").join(name))? else {
                continue;
            };
            let Ok(identity) = slot::unwrap_identity(&bytes, key) else {
                continue;
            };
            let body = match envelope::open(&file, &identity) {
                Ok(body) => body,
                // Staged for an identity that never came, or came and went.
                Err(Refusal::NotForThisKey) => continue,
                Err(Refusal::Error(error)) => return Err(error),
            };
            let contents = Contents::parse(body.line())?;
            let cache = Cache::load(dir)?
                .unwrap_or_else(|| Cache::guess(dir, host, Some(identity.vault_id())));
            unlock::check_rollback(&cache, contents.generation, &body.mac())?;
            return Ok(Vault {
                dir: dir.to_owned(),
                host: host.clone(),
                identity,
                contents,
                cache,
                by: "the key of the service".to_owned(),
            });
        }
        Err(Error::locked(format!(
            "the key of the service opens no slot of the vault in {}",
            dir.display()
        )))
    }

    /// Takes what is missing here, or newer there.
    ///
    /// # Errors
    /// As a write.
    pub fn take_over(&mut self, parcel: &Parcel) -> Result<()> {
        let from = parcel.contents()?;
        self.update(|contents, _| {
            contents.linked = from.linked;
            contents.recovery = contents.recovery.take().or(from.recovery);
            for (id, entry) in from.secrets {
                let is_newer = contents
                    .secrets
                    .get(&id)
                    .is_none_or(|there| there.meta.updated < entry.meta.updated);
                if is_newer {
                    contents.secrets.insert(id, entry);
                }
            }
            Ok(())
        })
    }

    /// Reads the vault back from the disk and compares it with what was handed over.
    ///
    /// # Errors
    /// `Broken`, naming the first id that is not there as it should be.
    pub fn prove_has(&self, parcel: &Parcel) -> Result<()> {
        let body =
            envelope::open(&read_vault(&self.dir)?, &self.identity).map_err(
                |refusal| match refusal {
                    Refusal::NotForThisKey => Error::broken("the new vault does not open again"),
                    Refusal::Error(error) => error,
                },
            )?;
        let there = Contents::parse(body.line())?;
        let wanted = parcel.contents()?;
        for (id, entry) in &wanted.secrets {
            let is_there = there.secrets.get(id).is_some_and(|kept| {
                kept.meta.updated > entry.meta.updated
                    || (kept.meta == entry.meta && kept.value.same_as(&entry.value))
            });
            if !is_there {
                return Err(Error::broken(format!(
                    "the new vault did not keep {id} as it was; the old one is untouched"
                )));
            }
        }
        if there.linked == wanted.linked && there.recovery.is_some() == wanted.recovery.is_some() {
            Ok(())
        } else {
            Err(Error::broken(
                "the new vault did not keep the linked ids or the recovery key; the old one is untouched",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expiry::Millis;
    use crate::secret::{RefId, Secret, SecretId, SecretKind};
    use crate::store::{Meta, Resolve, Store};

    fn vault(dir: &Path) -> Vault {
        file::private_dir(dir).unwrap();
        let lock = Lock::take(&dir.join("vault.lock"), file::LOCK_WAIT).unwrap();
        let new = NewVault {
            identity: Identity::generate(),
            recovery: None,
            slots: Vec::new(),
        };
        Vault::create(dir, &Host::real(), new, &lock).unwrap()
    }

    fn meta(at: i64) -> Meta {
        let at = Millis::new(at).unwrap();
        Meta {
            kind: SecretKind::Secret,
            provider: None,
            created: at,
            updated: at,
            expires: None,
            was_plaintext: false,
        }
    }

    fn store(vault: &mut Vault, id: &str, value: &str, at: i64) {
        let id = SecretId::parse(id).unwrap();
        vault
            .put(&id, Secret::stored(value).unwrap(), &meta(at))
            .unwrap();
    }

    fn holds(vault: &Vault, id: &str, value: &str) -> bool {
        let found = vault.get(&SecretId::parse(id).unwrap()).unwrap();
        found.is_some_and(|(kept, _)| kept.same_as(&Secret::stored(value).unwrap()))
    }

    #[test]
    fn a_vault_made_from_another_holds_all_of_it_under_an_identity_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let mut old = vault(&dir.path().join("old"));
        store(&mut old, "a/b", "fake-one", 5);
        old.update(|contents, _| {
            contents.linked.insert(RefId::parse("a/b").unwrap());
            Ok(())
        })
        .unwrap();
        let parcel =
            Parcel::read(Zeroizing::new(Parcel::of(&old).unwrap().bytes().to_vec())).unwrap();
        let folder = dir.path().join("new");
        file::private_dir(&folder).unwrap();
        let lock = Lock::take(&folder.join("vault.lock"), file::LOCK_WAIT).unwrap();
        let new = NewVault {
            identity: Identity::generate(),
            recovery: None,
            slots: Vec::new(),
        };
        let new = Vault::create_from(&folder, &Host::real(), &parcel, new, &lock).unwrap();
        assert_ne!(new.id(), old.id());
        assert!(holds(&new, "a/b", "fake-one"));
        new.prove_has(&parcel).unwrap();
        assert_eq!(parcel.count().unwrap(), 1);
    }

    #[test]
    fn taking_over_renews_and_adds_and_never_takes_away() {
        let dir = tempfile::tempdir().unwrap();
        let mut from = vault(&dir.path().join("from"));
        store(&mut from, "only/there", "fake-there", 5);
        store(&mut from, "newer/there", "fake-new", 9);
        store(&mut from, "newer/here", "fake-old", 5);
        let mut into = vault(&dir.path().join("into"));
        store(&mut into, "only/here", "fake-here", 5);
        store(&mut into, "newer/there", "fake-old", 5);
        store(&mut into, "newer/here", "fake-new", 9);
        let parcel = Parcel::of(&from).unwrap();
        assert!(into.prove_has(&parcel).is_err());
        into.take_over(&parcel).unwrap();
        into.prove_has(&parcel).unwrap();
        for (id, value) in [
            ("only/there", "fake-there"),
            ("only/here", "fake-here"),
            ("newer/there", "fake-new"),
            ("newer/here", "fake-new"),
        ] {
            assert!(holds(&into, id, value), "{id}");
        }
    }

    #[test]
    fn what_is_no_vault_is_not_taken() {
        for text in [
            "",
            "{}",
            "null",
            "{\"format\":\"clawkeep-vault\",\"version\":9}",
        ] {
            assert!(Parcel::read(Zeroizing::new(text.as_bytes().to_vec())).is_err());
        }
    }
}
