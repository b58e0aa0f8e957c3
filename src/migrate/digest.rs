//! Values that are compared by number alone. Ring 3.
//!
//! Promise: what a map is keyed by is an HMAC under a key that this process made and keeps to itself, so
//! that neither a key of a map nor an order of keys says anything about a value.

use crate::error::Result;
use crate::host;
use crate::secret::Secret;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Stands for a value in maps and comparisons; equal for equal values of one [`Digester`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// Makes digests of one run.
pub struct Digester(Zeroizing<[u8; 32]>);

impl Digester {
    /// A new one, with a key of its own.
    ///
    /// # Errors
    /// `Failed` when the system gives no random bytes.
    pub fn new() -> Result<Self> {
        let mut key = Zeroizing::new([0; 32]);
        host::random(key.as_mut_slice())?;
        Ok(Digester(key))
    }

    /// What stands for this value.
    #[allow(
        clippy::disallowed_methods,
        reason = "looks, does not let the value out"
    )]
    pub fn of(&self, value: &Secret) -> Digest {
        use secrecy::ExposeSecret;
        self.of_bytes(value.expose_secret().as_bytes())
    }

    /// What stands for these bytes.
    pub fn of_bytes(&self, bytes: &[u8]) -> Digest {
        // A key of any length is taken.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else {
            return Digest([0; 32]);
        };
        mac.update(bytes);
        Digest(mac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_equal_digests_in_one_run_alone() {
        let (one, other) = (Digester::new().unwrap(), Digester::new().unwrap());
        let secret = |text: &str| Secret::stored(text).unwrap();
        assert_eq!(one.of(&secret("FAKE-a")), one.of(&secret("FAKE-a")));
        assert_ne!(one.of(&secret("FAKE-a")), one.of(&secret("FAKE-b")));
        assert_ne!(one.of(&secret("FAKE-a")), other.of(&secret("FAKE-a")));
    }
}
