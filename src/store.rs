//! What a custody can do. Ring 2: has never heard of OpenClaw.
//!
//! Promise: three answers, never two. `Ok(None)` is absent; `Locked` and `Broken` are errors, and
//! nobody may take them for absent.

use crate::error::Result;
use crate::expiry::Millis;
use crate::provider::ProviderId;
use crate::secret::{Secret, SecretId, SecretKind};

/// What is known of a stored value besides the value. Not secret, but authenticated with it where
/// the custody can do that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Token, API key, or anything else.
    pub kind: SecretKind,
    /// Whose credential it is; `None` for other secrets. A selection id yields nothing else.
    pub provider: Option<ProviderId>,
    /// When the id was first stored.
    pub created: Millis,
    /// When this value was stored.
    pub updated: Millis,
    /// When the value stops working; `None` is never.
    pub expires: Option<Millis>,
    /// Whether this very value once stood in plaintext outside the vault. Old copies of it may be
    /// left in backups and snapshots, so the mark goes only with the value.
    pub was_plaintext: bool,
}

impl Meta {
    /// Whose credential it is, as a profile; `None` for other secrets, also for those that name a
    /// provider.
    pub fn profile_of(&self) -> Option<&ProviderId> {
        self.provider
            .as_ref()
            .filter(|_| self.kind != SecretKind::Secret)
    }

    /// What is known of a value that is stored where `old` was. The id keeps its age; the mark goes
    /// with another value, and stays with the same one.
    #[must_use]
    pub fn in_place_of(&self, old: Option<&Meta>, is_same_value: bool) -> Meta {
        Meta {
            created: old.map_or(self.created, |old| old.created),
            was_plaintext: self.was_plaintext
                || is_same_value && old.is_some_and(|old| old.was_plaintext),
            ..self.clone()
        }
    }
}

/// Gives values by name.
pub trait Resolve {
    /// The value of `id` and what is known of it; `None` when there is none of that name.
    ///
    /// # Errors
    /// `Locked` or `Broken`: there may be one, but it cannot be had.
    fn get(&self, id: &SecretId) -> Result<Option<(Secret, Meta)>>;
}

/// Keeps values by name.
pub trait Store: Resolve {
    /// Stores a value, replacing an older one of that name. Durable when it returns.
    ///
    /// # Errors
    /// On any error the older value is still there.
    fn put(&mut self, id: &SecretId, value: Secret, meta: &Meta) -> Result<()>;

    /// Removes a value. `false` when there was none.
    ///
    /// # Errors
    /// On any error the value is still there.
    fn remove(&mut self, id: &SecretId) -> Result<bool>;

    /// All names, sorted, with what is known of them.
    ///
    /// # Errors
    /// `Locked` or `Broken`.
    fn list(&self) -> Result<Vec<(SecretId, Meta)>>;
}
