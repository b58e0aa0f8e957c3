//! Which vault. Ring 2; knows no files.
//!
//! Promise: 32 bytes, written as 64 lower-case hex digits. Not secret: it is pinned in arguments and
//! units, and says nothing about what the vault holds.

use crate::error::{Error, Result};
use crate::host;
use std::fmt;

/// A vault's name: the SHA-256 of the vault identity's public half where the values lie in a file,
/// 32 random bytes where they lie in the keychain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VaultId([u8; 32]);

impl VaultId {
    /// The id with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        VaultId(bytes)
    }

    /// A new id that no other vault has.
    ///
    /// # Errors
    /// `Failed` when the system has no random source.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 32];
        host::random(&mut bytes)?;
        Ok(VaultId(bytes))
    }

    /// Parses 64 hex digits, lower case only: one vault has one spelling.
    ///
    /// # Errors
    /// `Usage`, without repeating the input.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::usage("a vault id is 64 hex digits, 0-9 and a-f");
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| wrong())?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let value = |digit: u8| match digit {
                b'0'..=b'9' => Some(digit - b'0'),
                b'a'..=b'f' => Some(digit - b'a' + 10),
                _ => None,
            };
            let (high, low) = (value(pair[0]), value(pair[1]));
            *byte = high.zip(low).map(|(h, l)| h << 4 | l).ok_or_else(wrong)?;
        }
        Ok(VaultId(bytes))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for VaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for VaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_sixty_four_lower_case_hex_digits_are_an_id() {
        let good = "0123456789abcdef".repeat(4);
        assert_eq!(VaultId::parse(&good).unwrap().to_string(), good);
        for bad in [
            String::new(),
            good.to_uppercase(),
            good[1..].to_owned(),
            format!("{good}0"),
            format!(" {}", &good[1..]),
            format!("g{}", &good[1..]),
            "é".repeat(32),
        ] {
            let said = VaultId::parse(&bad).unwrap_err();
            assert_eq!(said.message(), "a vault id is 64 hex digits, 0-9 and a-f");
        }
    }

    #[test]
    fn two_random_ids_differ() {
        assert_ne!(VaultId::random().unwrap(), VaultId::random().unwrap());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes: [u8; 32]) {
            let id = VaultId::from_bytes(bytes);
            prop_assert_eq!(VaultId::parse(&id.to_string()).unwrap(), id);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = VaultId::parse(&text);
        }
    }
}
