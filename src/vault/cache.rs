//! `vault.json`: what is not secret and saves a look into the vault. Ring 2.
//!
//! It says which custody the folder has, which slots to try, and which state was last seen. It is
//! never believed against the body of `vault.age`: who edits it can keep the vault from opening, but
//! neither forge nor read anything. When it is lost or damaged it is made again.

use super::id::VaultId;
use super::slot::{self, Slot, SlotKind, SlotName};
use crate::error::Result;
use crate::expiry::Millis;
use crate::file::{self, Privacy};
use crate::host::Host;
use crate::json::{hex, unhex};
use serde::{Deserialize, Serialize};
use std::path::Path;

const MAX_CACHE: usize = 1024 * 1024;
const VERSION: u32 = 1;

/// Where values lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Custody {
    /// All in `vault.age`.
    File,
    /// Each in its own keychain item.
    Keychain,
}

/// A state of the vault: its generation, and the MAC that tells two states of one number apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Raised by every write.
    pub generation: u64,
    /// The MAC of that body. Not secret: it can be checked only with the identity.
    pub mac: [u8; 32],
}

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// Where values lie.
    pub custody: Custody,
    /// Which vault this is, as far as known.
    pub vault_id: Option<VaultId>,
    /// Which vault this will be, while it changes its identity.
    pub next_vault_id: Option<VaultId>,
    /// The newest state that this folder's readers saw.
    pub seen: Option<State>,
    /// The slots to try.
    pub slots: Vec<Slot>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    version: u32,
    custody: Custody,
    vault_id: Option<VaultId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_vault_id: Option<VaultId>,
    #[serde(default)]
    seen: Option<WireState>,
    #[serde(default)]
    slots: Vec<Slot>,
}

#[derive(Serialize, Deserialize)]
struct WireState {
    generation: u64,
    mac: String,
}

impl Cache {
    /// Reads `vault.json`. `None` when it is missing, damaged, or of another version.
    ///
    /// # Errors
    /// `Broken` when something else stands in its place (a link, another user's file, an open mode):
    /// that is no accident.
    pub fn load(dir: &Path) -> Result<Option<Self>> {
        let Some(bytes) = file::read(&dir.join("vault.json"), MAX_CACHE, Privacy::Private)? else {
            return Ok(None);
        };
        Ok(Self::parse(&bytes))
    }

    /// The content of these bytes; `None` when they are damaged, or of another version.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let wire = serde_json::from_slice::<Wire>(bytes).ok()?;
        if wire.version != VERSION {
            return None;
        }
        let seen = wire.seen.and_then(|seen| {
            Some(State {
                generation: seen.generation,
                mac: unhex(&seen.mac)?,
            })
        });
        Some(Cache {
            custody: wire.custody,
            vault_id: wire.vault_id,
            next_vault_id: wire.next_vault_id,
            seen,
            slots: wire.slots,
        })
    }

    /// Writes `vault.json`, whole or not at all.
    ///
    /// # Errors
    /// `Failed` when the folder cannot be written.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let wire = Wire {
            version: VERSION,
            custody: self.custody,
            vault_id: self.vault_id,
            next_vault_id: self.next_vault_id,
            seen: self.seen.map(|seen| WireState {
                generation: seen.generation,
                mac: hex(&seen.mac),
            }),
            slots: self.slots.clone(),
        };
        let mut text = serde_json::to_vec_pretty(&wire)
            .map_err(|_| crate::error::Error::failed("vault.json cannot be written as JSON"))?;
        text.push(b'\n');
        file::replace(&dir.join("vault.json"), &text, 0o600)
    }

    /// What can be told of a vault whose `vault.json` is lost: a slot for every file in `slots`, an
    /// identity file where one is made by default, and the keychain where a pin names the vault.
    pub fn guess(dir: &Path, host: &Host, pin: Option<VaultId>) -> Self {
        let unknown = Millis::new(1).unwrap_or_else(|| host.now());
        let mut slots = Vec::new();
        let files = slot::file_names(dir).unwrap_or_default();
        let mut names: Vec<_> = files
            .iter()
            .filter_map(|file| slot::file_name(file))
            .map(|(name, _)| name)
            .collect();
        names.dedup();
        for name in names {
            let files = slot::files(dir, &name).unwrap_or_default();
            let costs: Vec<_> = files
                .iter()
                .filter_map(|path| slot::read(path).ok().flatten())
                .map(|bytes| slot::cost_of(&bytes).ok().flatten())
                .collect();
            let passphrase = costs.iter().flatten().next().copied();
            let identity_file = costs.iter().any(Option::is_none).then(|| {
                let path = host.default_identity_file().ok()?;
                let recipient = slot::read_identity_file(&path).ok()??.identity.recipient();
                Some(SlotKind::IdentityFile { path, recipient })
            });
            // Both, where a change of one into the other was cut off.
            let kinds = passphrase
                .map(SlotKind::Passphrase)
                .into_iter()
                .chain(identity_file.flatten());
            slots.extend(kinds.map(|kind| Slot {
                name: name.clone(),
                created: unknown,
                kind,
            }));
        }
        if pin.is_some()
            && let Ok(name) = SlotName::parse("keychain")
        {
            slots.push(Slot {
                name,
                created: unknown,
                kind: SlotKind::Keychain,
            });
        }
        Cache {
            custody: Custody::File,
            vault_id: pin,
            next_vault_id: None,
            seen: None,
            slots,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_goes_there_and_back_and_damage_is_absence() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache {
            custody: Custody::File,
            vault_id: Some(VaultId::from_bytes([7; 32])),
            next_vault_id: None,
            seen: Some(State {
                generation: 4,
                mac: [1; 32],
            }),
            slots: Vec::new(),
        };
        cache.save(dir.path()).unwrap();
        assert_eq!(Cache::load(dir.path()).unwrap(), Some(cache));
        file::replace(&dir.path().join("vault.json"), b"{", 0o600).unwrap();
        assert_eq!(Cache::load(dir.path()).unwrap(), None);
    }

    proptest! {
        #[test]
        fn hostile_text_is_absence(text in "[{}\\[\\]\":,a-z0-9 ]{0,120}") {
            let dir = tempfile::tempdir().unwrap();
            file::replace(&dir.path().join("vault.json"), text.as_bytes(), 0o600).unwrap();
            prop_assert_eq!(Cache::load(dir.path()).unwrap(), None);
        }
    }
}
