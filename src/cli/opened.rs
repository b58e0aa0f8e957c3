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
