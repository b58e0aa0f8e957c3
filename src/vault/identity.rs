//! age X25519 identities: the vault's own, those of slots, and the recovery key. Ring 2.
//!
//! Promise: the secret half is wiped on drop and shows itself to nobody. Text form and meaning are
//! age's: `AGE-SECRET-KEY-1…` (74 characters of Bech32) and `age1…` (62).

use super::id::VaultId;
use crate::error::{Error, Result};
use bech32::primitives::decode::CheckedHrpstring;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::OnceLock;
use zeroize::{Zeroize, Zeroizing};

/// An X25519 identity: opens what was encrypted to its public half.
pub struct Identity {
    age: age::x25519::Identity,
    text: SecretString,
    /// Made when first asked for: the public half costs a multiplication on the curve each time.
    id: OnceLock<VaultId>,
}

/// The public half of an identity.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient {
    age: age::x25519::Recipient,
    text: String,
}

impl Identity {
    /// A new random identity.
    pub fn generate() -> Self {
        let age = age::x25519::Identity::generate();
        let text = age.to_string();
        Identity {
            age,
            text,
            id: OnceLock::new(),
        }
    }

    /// Parses the text form, in either case, without surrounding white space.
    ///
    /// # Errors
    /// `Broken`, without repeating the input, when it is anything else.
    #[allow(clippy::disallowed_methods, reason = "door: the identity's text form")]
    pub fn parse(text: &str) -> Result<Self> {
        let bad =
            || Error::broken("this is not an age secret key (AGE-SECRET-KEY-1 and 58 characters)");
        let age: age::x25519::Identity = text.parse().map_err(|_| bad())?;
        let canonical = age.to_string();
        if !canonical.expose_secret().eq_ignore_ascii_case(text) {
            return Err(bad());
        }
        Ok(Identity {
            age,
            text: canonical,
            id: OnceLock::new(),
        })
    }

    /// The public half.
    pub fn recipient(&self) -> Recipient {
        let age = self.age.to_public();
        let text = age.to_string();
        Recipient { age, text }
    }

    /// The id of the vault whose identity this is.
    pub fn vault_id(&self) -> VaultId {
        *self.id.get_or_init(|| {
            VaultId::from_bytes(Sha256::digest(self.recipient().text.as_bytes()).into())
        })
    }

    /// The text form, for the doors that keep it: slots, the recovery sheet, the vault's body.
    #[allow(clippy::disallowed_methods, reason = "door: the identity's text form")]
    pub(crate) fn text(&self) -> &str {
        self.text.expose_secret()
    }

    /// The identity as age wants it.
    pub(super) fn as_age(&self) -> &age::x25519::Identity {
        &self.age
    }

    /// HMAC-SHA256 of `message` under HKDF-SHA256 of the 32 secret bytes, salt the vault id, and a
    /// context of ours: only a holder of the identity can make it.
    pub(super) fn mac(&self, id: &VaultId, context: &str) -> Result<Hmac<Sha256>> {
        let impossible = || Error::broken("the vault identity cannot be decoded");
        let parsed =
            CheckedHrpstring::new::<bech32::Bech32>(self.text()).map_err(|_| impossible())?;
        let mut secret = Zeroizing::new([0u8; 32]);
        let mut filled = 0;
        for (slot, byte) in secret.iter_mut().zip(parsed.byte_iter()) {
            *slot = byte;
            filled += 1;
        }
        if filled != 32 {
            return Err(impossible());
        }
        let mut key = Zeroizing::new([0u8; 32]);
        Hkdf::<Sha256>::new(Some(id.as_bytes()), secret.as_slice())
            .expand(context.as_bytes(), key.as_mut_slice())
            .map_err(|_| impossible())?;
        Hmac::new_from_slice(key.as_slice()).map_err(|_| impossible())
    }
}

impl Identity {
    /// The MAC of `message` in a `context` of ours, for what lies outside `vault.age` and must come from
    /// a holder of this identity. Each kind of message has a context of its own.
    ///
    /// # Errors
    /// `Broken` when the identity cannot be decoded, which it has no reason to be.
    pub(crate) fn sign(&self, context: &'static str, message: &[u8]) -> Result<[u8; 32]> {
        let mut mac = self.mac(&self.vault_id(), context)?;
        mac.update(message);
        Ok(mac.finalize().into_bytes().into())
    }

    /// Whether `said` is the MAC that [`Identity::sign`] gives, compared in constant time.
    ///
    /// # Errors
    /// As [`Identity::sign`].
    pub(crate) fn signed(
        &self,
        context: &'static str,
        message: &[u8],
        said: &[u8; 32],
    ) -> Result<bool> {
        let mut mac = self.mac(&self.vault_id(), context)?;
        mac.update(message);
        Ok(mac.verify_slice(said).is_ok())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.recipient().text)
    }
}

impl Recipient {
    /// Parses `age1…`.
    ///
    /// # Errors
    /// `Broken` when it is no X25519 recipient.
    pub fn parse(text: &str) -> Result<Self> {
        let age: age::x25519::Recipient = text
            .parse()
            .map_err(|_| Error::broken("this is not an age recipient (age1 and 58 characters)"))?;
        let text = age.to_string();
        Ok(Recipient { age, text })
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The recipient as age wants it.
    pub(super) fn as_age(&self) -> &age::x25519::Recipient {
        &self.age
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl serde::Serialize for Recipient {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for Recipient {
    fn deserialize<D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Self, D::Error> {
        use serde::de::Error as _;
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Recipient::parse(&text).map_err(|_| D::Error::custom("bad recipient"))
    }
}

impl<'de> serde::Deserialize<'de> for Identity {
    fn deserialize<D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Self, D::Error> {
        use serde::de::Error as _;
        let mut text = String::deserialize(deserializer)?;
        let identity = Identity::parse(&text);
        text.zeroize();
        identity.map_err(|_| D::Error::custom("bad identity"))
    }
}

/// What an age identity file says: the key, and the vaults that clawkeep noted in its comments.
#[derive(Debug)]
pub struct IdentityText {
    /// The one secret key in the file.
    pub identity: Identity,
    /// Vault ids that the file pins; empty for a file that clawkeep did not write.
    pub pins: Vec<VaultId>,
}

/// How a pin stands in an identity file: an age comment.
const PIN: &str = "# clawkeep vault: ";

impl IdentityText {
    /// Parses an age identity file: comments, blank lines, and exactly one `AGE-SECRET-KEY-1…`.
    ///
    /// # Errors
    /// `Broken`, by line number, for anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Error::broken("the identity file is not text"))?;
        let mut identity = None;
        let mut pins = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(pin) = line.strip_prefix(PIN) {
                pins.push(VaultId::parse(pin.trim()).map_err(|_| {
                    Error::broken(format!(
                        "line {} of the identity file names no vault",
                        number + 1
                    ))
                })?);
            } else if line.is_empty() || line.starts_with('#') {
            } else if identity.is_some() {
                return Err(Error::broken(format!(
                    "line {} of the identity file is a second key; one file holds one",
                    number + 1
                )));
            } else {
                identity = Some(Identity::parse(line).map_err(|_| {
                    Error::broken(format!(
                        "line {} of the identity file is not an age secret key",
                        number + 1
                    ))
                })?);
            }
        }
        let identity =
            identity.ok_or_else(|| Error::broken("the identity file holds no age secret key"))?;
        Ok(IdentityText { identity, pins })
    }

    /// The file's text: who it belongs to, and the key.
    pub fn render(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(512 + self.pins.len() * 96));
        let recipient = self.identity.recipient();
        out.extend_from_slice(
            b"# clawkeep identity file: whoever reads this can open the vault\n# public key: ",
        );
        out.extend_from_slice(recipient.as_str().as_bytes());
        out.push(b'\n');
        for pin in &self.pins {
            out.extend_from_slice(PIN.as_bytes());
            out.extend_from_slice(pin.to_string().as_bytes());
            out.push(b'\n');
        }
        out.extend_from_slice(self.identity.text().as_bytes());
        out.push(b'\n');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_identity_shows_only_its_public_half() {
        let identity = Identity::generate();
        let shown = format!("{identity:?}");
        assert!(
            shown.contains("age1") && !shown.to_lowercase().contains("secret"),
            "{shown}"
        );
    }

    #[test]
    fn identity_files_go_there_and_back() {
        let identity = Identity::generate();
        let id = identity.vault_id();
        let file = IdentityText {
            identity,
            pins: vec![id],
        };
        let again = IdentityText::parse(&file.render()).unwrap();
        assert_eq!(again.identity.vault_id(), id);
        assert_eq!(again.pins, [id]);
        let two = [file.render().as_slice(), file.render().as_slice()].concat();
        assert!(
            IdentityText::parse(&two)
                .unwrap_err()
                .message()
                .contains("second key")
        );
        assert!(IdentityText::parse(b"# nothing\n").is_err());
    }

    #[test]
    fn a_typing_mistake_in_a_key_is_found() {
        let text = Identity::generate().text().to_owned();
        let mut wrong = text.clone().into_bytes();
        wrong[30] = if wrong[30] == b'Q' { b'P' } else { b'Q' };
        assert!(Identity::parse(std::str::from_utf8(&wrong).unwrap()).is_err());
        assert!(Identity::parse(&text.to_lowercase()).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,100}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Identity::parse(&text);
            let _ = IdentityText::parse(&bytes);
        }
    }
}
