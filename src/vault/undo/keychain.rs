//! Undo bundles of a vault with keychain custody. Ring 2.
//!
//! Such a vault has no identity that opens a file, so its bundles have one of their own, in a keychain
//! item of that vault: `clawkeep:<vault id>` / `#undo`, a name that no secret can have. The values are
//! then as well kept as those of the vault itself: who can read the user's keychain reads both, and who
//! can write it can forge both. There is no recovery key: without the keychain no bundle opens.

use super::{Bundles, list};
use crate::error::{Error, Result};
use crate::vault::identity::Identity;
use crate::vault::items::KeychainStore;
use std::path::Path;

/// The account of the item. `#` is outside the grammar of secret ids.
const ACCOUNT: &str = "#undo";

impl KeychainStore {
    /// The undo bundles of this vault, whose folder is `dir`; `Ok(None)` when it never had any.
    ///
    /// # Errors
    /// `Locked` when the keychain is, `Broken` when the item holds something else.
    pub fn bundles(&self, dir: &Path) -> Result<Option<Bundles>> {
        let Some(bytes) = self.beside(ACCOUNT)? else {
            return Ok(None);
        };
        let identity = std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| Identity::parse(text.trim_end()).ok())
            .ok_or_else(|| {
                Error::broken("the keychain's item #undo holds no identity of undo bundles")
                    .hint("if they are not needed: clawkeep migrate --forget all")
            })?;
        Ok(Some(Bundles {
            dir: dir.to_owned(),
            vault: self.id(),
            identity,
            recovery: None,
            is_vaults: false,
        }))
    }

    /// The same; makes what they are sealed with when it is not there yet.
    ///
    /// # Errors
    /// As [`KeychainStore::bundles`], and when the keychain does not keep it.
    pub fn bundles_to_write(&self, dir: &Path) -> Result<Bundles> {
        if let Some(bundles) = self.bundles(dir)? {
            return Ok(bundles);
        }
        let identity = Identity::generate();
        self.put_beside(ACCOUNT, identity.text().as_bytes())?;
        self.bundles(dir)?
            .ok_or_else(|| Error::broken("the keychain did not give back what was put into it"))
    }

    /// Destroys what bundles are sealed with, once the last is gone: then no copy of one opens either.
    ///
    /// # Errors
    /// As a write.
    pub fn forget_bundles(&self, dir: &Path) -> Result<()> {
        if list(dir)?.is_empty() {
            self.remove_beside(ACCOUNT)?;
        }
        Ok(())
    }
}
