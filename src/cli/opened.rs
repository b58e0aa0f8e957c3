//! A vault that a command works on, wherever its values lie. Ring 4.

use crate::error::Result;
use crate::keeper::client::KeeperStore;
use crate::secret::{RefId, Secret, SecretId};
use crate::store::{Meta, Resolve, Store};
use crate::vault::Vault;
use crate::vault::cache::Custody;
use crate::vault::id::VaultId;
use crate::vault::items::KeychainStore;

/// An opened vault of either custody.
pub enum Opened {
    /// Values in `vault.age`.
    File(Box<Vault>),
    /// Values in the keychain.
    Keychain(KeychainStore),
    /// Values in `vault.age`, which a keeper holds open.
    Keeper(KeeperStore),
}

impl Opened {
    /// The vault's id.
    pub fn id(&self) -> VaultId {
        match self {
            Opened::File(vault) => vault.id(),
            Opened::Keychain(items) => items.id(),
            Opened::Keeper(keeper) => keeper.id(),
        }
    }

    /// Which custody it has.
    pub fn custody(&self) -> Custody {
        match self {
            Opened::File(_) | Opened::Keeper(_) => Custody::File,
            Opened::Keychain(_) => Custody::Keychain,
        }
    }
}

impl Opened {
    /// Notes in the vault that a ref asks for this id.
    ///
    /// # Errors
    /// As a write.
    pub fn note_linked(&mut self, id: &RefId) -> Result<()> {
        match self {
            Opened::File(vault) => vault.update(|contents, _| {
                contents.linked.insert(id.clone());
                Ok(())
            }),
            Opened::Keeper(keeper) => keeper.note_linked(id),
            // It has no such list.
            Opened::Keychain(_) => Ok(()),
        }
    }
}

impl Opened {
    /// Stores many values: in one write where the values lie in one file. Durable when it returns.
    ///
    /// # Errors
    /// As a write. With the keychain some may be stored then.
    pub fn put_all(&mut self, values: Vec<(SecretId, Secret, Meta)>) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        match self {
            Opened::File(vault) => vault.put_all(values),
            Opened::Keychain(_) | Opened::Keeper(_) => {
                for (id, value, meta) in values {
                    self.put(&id, value, &meta)?;
                }
                Ok(())
            }
        }
    }

    /// Reads again what lies on the disk, so that what is asked for next comes from there.
    ///
    /// # Errors
    /// As opening it.
    pub fn refresh(&mut self) -> Result<()> {
        match self {
            Opened::File(vault) => vault.refresh(),
            // Asked anew for each value.
            Opened::Keychain(_) | Opened::Keeper(_) => Ok(()),
        }
    }
}

impl Resolve for Opened {
    fn get(&self, id: &SecretId) -> Result<Option<(Secret, Meta)>> {
        match self {
            Opened::File(vault) => vault.get(id),
            Opened::Keychain(items) => items.get(id),
            Opened::Keeper(keeper) => keeper.get(id),
        }
    }
}

impl Store for Opened {
    fn put(&mut self, id: &SecretId, value: Secret, meta: &Meta) -> Result<()> {
        match self {
            Opened::File(vault) => vault.put(id, value, meta),
            Opened::Keychain(items) => items.put(id, value, meta),
            Opened::Keeper(keeper) => keeper.put(id, value, meta),
        }
    }

    fn remove(&mut self, id: &SecretId) -> Result<bool> {
        match self {
            Opened::File(vault) => vault.remove(id),
            Opened::Keychain(items) => items.remove(id),
            Opened::Keeper(keeper) => keeper.remove(id),
        }
    }

    fn list(&self) -> Result<Vec<(SecretId, Meta)>> {
        match self {
            Opened::File(vault) => vault.list(),
            Opened::Keychain(items) => items.list(),
            Opened::Keeper(keeper) => keeper.list(),
        }
    }
}
