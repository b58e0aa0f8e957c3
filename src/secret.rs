//! Secrets and the names that they are stored under. Ring 0: no files, no clock, no environment.
//!
//! Promise: a [`Secret`] is wiped when it is dropped, is at most [`MAX_SECRET`] bytes of UTF-8, and
//! shows itself to nobody: no `Display`, a redacted `Debug`, no `Serialize`, no `Clone`. What merely
//! looks at it (length, prefix, equality) is a method here, so that `expose_secret` is called only
//! at the doors that clippy.toml and `lib.rs` name.

use crate::error::{Error, Result};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// The most bytes that one secret may have: 64 KiB.
pub const MAX_SECRET: usize = 64 * 1024;

/// The longest secret id, in bytes: OpenClaw's own bound.
pub const MAX_ID: usize = 256;

/// The first segment of a selection id, `provider/<p>`; nothing can be stored under it.
pub const SELECTION_PREFIX: &str = "provider/";

/// A secret value: UTF-8, 1 to [`MAX_SECRET`] bytes, wiped on drop.
pub struct Secret(SecretString);

/// Which bytes a value may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// Tokens and API keys: no control characters at all.
    Key,
    /// Any other secret: newline (LF, CR LF) and tab are allowed, other control characters are not.
    Text,
}

impl Secret {
    /// Makes a secret of `bytes`, which the caller wipes.
    ///
    /// # Errors
    /// Refuses what is empty, longer than [`MAX_SECRET`], not UTF-8, or holds control characters
    /// outside `alphabet`. The message gives a place (byte offset from 0), never the content.
    #[allow(
        clippy::disallowed_methods,
        reason = "door: this is where a secret is born"
    )]
    pub fn new(bytes: &[u8], alphabet: Alphabet) -> Result<Self> {
        if bytes.is_empty() {
            return Err(Error::failed("the value is empty"));
        }
        if bytes.len() > MAX_SECRET {
            return Err(Error::failed(format!(
                "the value has {} bytes; the most is {MAX_SECRET}",
                bytes.len()
            )));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            Error::failed(format!(
                "the value is not UTF-8 text: byte {} starts no character",
                error.valid_up_to()
            ))
        })?;
        let allowed = |c: char| match alphabet {
            Alphabet::Key => !c.is_control(),
            Alphabet::Text => !c.is_control() || matches!(c, '\n' | '\r' | '\t'),
        };
        if let Some((at, c)) = text.char_indices().find(|(_, c)| !allowed(*c)) {
            return Err(Error::failed(format!(
                "the value has a control character (U+{:04X}) at byte {at}",
                u32::from(c)
            )));
        }
        Ok(Secret(boxed(text)))
    }

    /// A secret that was stored before, or that this program made. Only size is checked.
    pub(crate) fn stored(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > MAX_SECRET {
            return Err(Error::broken("a stored value is empty or too long"));
        }
        Ok(Secret(boxed(text)))
    }

    /// Length in bytes, 1 to [`MAX_SECRET`].
    #[allow(
        clippy::disallowed_methods,
        reason = "looks, does not let the value out"
    )]
    #[allow(clippy::len_without_is_empty, reason = "a secret is never empty")]
    pub fn len(&self) -> usize {
        self.0.expose_secret().len()
    }

    /// Whether the value begins with `prefix`. Not constant time: a prefix is public.
    #[allow(
        clippy::disallowed_methods,
        reason = "looks, does not let the value out"
    )]
    pub fn starts_with(&self, prefix: &str) -> bool {
        self.0.expose_secret().starts_with(prefix)
    }

    /// Whether both are the same value, in constant time for values of one length.
    #[allow(
        clippy::disallowed_methods,
        reason = "looks, does not let the value out"
    )]
    pub fn same_as(&self, other: &Secret) -> bool {
        self.0
            .expose_secret()
            .as_bytes()
            .ct_eq(other.0.expose_secret().as_bytes())
            .into()
    }

    /// Whether the value has white space anywhere.
    #[allow(
        clippy::disallowed_methods,
        reason = "looks, does not let the value out"
    )]
    pub fn has_white_space(&self) -> bool {
        self.0.expose_secret().chars().any(char::is_whitespace)
    }
}

/// `String::into_boxed_str` may reallocate and leave the old block unwiped, so the block is made
/// with exactly the right capacity.
fn boxed(text: &str) -> SecretString {
    let mut exact = String::with_capacity(text.len());
    exact.push_str(text);
    SecretString::from(exact)
}

/// The door: everything that lets a value out calls this, and clippy refuses the call elsewhere.
impl ExposeSecret<str> for Secret {
    #[allow(clippy::disallowed_methods, reason = "door: the method itself")]
    fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([REDACTED])")
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Self, D::Error> {
        use serde::de::Error as _;
        let mut text = String::deserialize(deserializer)?;
        let secret = Secret::stored(&text).map_err(|_| D::Error::custom("bad stored value"));
        text.zeroize();
        secret
    }
}

/// A name in the vault: OpenClaw's exec ref id, the intersection of all its versions.
///
/// Grammar (OpenClaw 2026.2.26 to 2026.9.6, without the `#` that only newer ones take):
/// `[A-Za-z0-9][A-Za-z0-9._:/-]{0,255}`, no slash-delimited segment `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretId(String);

impl SecretId {
    /// Parses a name that a value can be stored under.
    ///
    /// # Errors
    /// `Usage`, without repeating the input, when it is outside the grammar or a selection id.
    pub fn parse(text: &str) -> Result<Self> {
        if !in_grammar(text) {
            return Err(Error::usage(
                "the id is not one that OpenClaw can ask for: letters, digits and . _ : / - only, \
                 a letter or digit first, at most 256 bytes, no segment . or ..",
            ));
        }
        if text.starts_with(SELECTION_PREFIX) {
            return Err(Error::usage(
                "ids that begin with provider/ choose a profile of a provider; nothing can be \
                 stored under them",
            ));
        }
        Ok(SecretId(text.to_owned()))
    }

    /// A fixed id of this program, known to be in the grammar.
    pub(crate) fn constant(text: &'static str) -> Self {
        debug_assert!(in_grammar(text));
        SecretId(text.to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for SecretId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What a ref may ask for: the name of a stored value, or a selection id `provider/<p>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefId(String);

impl RefId {
    /// Parses an id of either kind; `None` when it is outside the grammar.
    pub fn parse(text: &str) -> Option<Self> {
        in_grammar(text).then(|| RefId(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&SecretId> for RefId {
    fn from(id: &SecretId) -> Self {
        RefId(id.as_str().to_owned())
    }
}

impl fmt::Display for RefId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for RefId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Whether `text` is an exec ref id of every OpenClaw version.
pub fn in_grammar(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(first) = bytes.first() else {
        return false;
    };
    bytes.len() <= MAX_ID
        && first.is_ascii_alphanumeric()
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"._:/-".contains(b))
        && !text
            .split('/')
            .any(|segment| segment == "." || segment == "..")
}

/// What a stored value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretKind {
    /// A bearer or setup-token that OpenClaw keeps as a profile of type `token`.
    Token,
    /// An API key that OpenClaw keeps as a profile of type `api_key`.
    ApiKey,
    /// Anything else.
    Secret,
}

impl SecretKind {
    /// The word used in files and in `--json`.
    pub fn name(self) -> &'static str {
        match self {
            SecretKind::Token => "token",
            SecretKind::ApiKey => "api_key",
            SecretKind::Secret => "secret",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secret(text: &[u8], alphabet: Alphabet) -> Result<Secret> {
        Secret::new(text, alphabet)
    }

    #[test]
    fn a_secret_shows_itself_to_nobody() {
        let s = secret(b"sk-fake-0123456789", Alphabet::Key).unwrap();
        assert_eq!(
            format!("{s:?} {s:#?}"),
            "Secret([REDACTED]) Secret([REDACTED])"
        );
    }

    #[test]
    fn control_bytes_size_and_utf8_are_checked_without_echo() {
        let cases: [(&[u8], &str); 4] = [
            (b"", "the value is empty"),
            (
                b"ab\0c",
                "the value has a control character (U+0000) at byte 2",
            ),
            (
                b"ab\xffc",
                "the value is not UTF-8 text: byte 2 starts no character",
            ),
            (
                b"a\tb",
                "the value has a control character (U+0009) at byte 1",
            ),
        ];
        for (input, said) in cases {
            assert_eq!(secret(input, Alphabet::Key).unwrap_err().message(), said);
        }
        assert!(secret(b"line\r\n\tline\n", Alphabet::Text).is_ok());
        assert!(secret(b"bell\x07", Alphabet::Text).is_err());
        assert!(secret(&vec![b'x'; MAX_SECRET], Alphabet::Key).is_ok());
        assert!(secret(&vec![b'x'; MAX_SECRET + 1], Alphabet::Key).is_err());
    }

    #[test]
    fn ids_are_the_grammar_of_every_openclaw_version() {
        for good in [
            "anthropic:default",
            "gateway/token",
            "a",
            "A.b_c:d/e-f",
            "0",
            "a..b",
            "a/..b",
        ] {
            assert!(SecretId::parse(good).is_ok(), "{good}");
        }
        let long = "a".repeat(257);
        for bad in [
            "",
            ".a",
            "/a",
            "-a",
            "a b",
            "a#b",
            "openai:me@example.com",
            "a/../b",
            "a/.",
            "..",
            "ä",
            "a\n",
            "provider/anthropic",
            &long,
        ] {
            assert!(SecretId::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_refused_id_is_repeated(text in "[a-z0-9]{12,40}[#@ ]{1,3}") {
            let said = SecretId::parse(&text).unwrap_err();
            prop_assert!(!said.message().contains(&text));
        }

        #[test]
        fn bytes_in_are_bytes_out(text in "[^\\p{Cc}]{1,200}") {
            let s = secret(text.as_bytes(), Alphabet::Key).unwrap();
            prop_assert_eq!(s.len(), text.len());
            prop_assert!(s.same_as(&Secret::stored(&text).unwrap()));
        }
    }
}
