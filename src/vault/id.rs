//! The vault id: which vault this is, said in public.

use crate::error::{Error, Result};
use crate::json::{hex, unhex};
use std::fmt;

/// File custody: SHA-256 of the vault identity's public half (the 62 characters `age1…`).
/// Keychain custody: 32 random bytes. Written as 64 lower-case hex digits.
///
/// It is not secret. It is pinned where the vault's folder is not (the resolver's arguments, the
/// keychain item, the identity file), so that another vault cannot be put in this one's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VaultId([u8; 32]);

impl VaultId {
    /// The id with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        VaultId(bytes)
    }

    /// A new id that no other vault has: keychain custody.
    ///
    /// # Errors
    /// `Failed` when the system has no random source.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 32];
        crate::host::random(&mut bytes)?;
        Ok(VaultId(bytes))
    }

    /// Parses 64 lower-case hex digits.
    ///
    /// # Errors
    /// `Usage` for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        unhex(text)
            .map(VaultId)
            .ok_or_else(|| Error::usage("a vault id has 64 hex digits"))
    }

    /// The raw bytes: the salt of the vault's MAC key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first sixteen digits, for people to compare.
    pub fn short(&self) -> String {
        hex(&self.0[..8])
    }
}

impl fmt::Display for VaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl serde::Serialize for VaultId {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for VaultId {
    fn deserialize<D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Self, D::Error> {
        use serde::de::Error as _;
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        VaultId::parse(&text).map_err(|_| D::Error::custom("bad vault id"))
    }
}
