//! Which vault was handed over: the SHA-256 of its file. Ring 4.
//!
//! Promise: a vault goes only when it is, to the byte, the one whose values are in another vault by then.
//! What was written to it in between keeps it where it is.

use crate::cli::app::App;
use crate::error::{Error, Result};
use crate::file::{self, LOCK_WAIT, Lock, Privacy};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;

/// The largest vault file: as much as is handed over, and its envelope.
const MAX_VAULT: usize = 300 * 1024 * 1024;

/// The SHA-256 of a vault's file: 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Handed(String);

impl Handed {
    /// Parses one; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == 64 && text.bytes().all(is_hex)).then(|| Handed(text.to_owned()))
    }

    /// The one in this folder as it lies there; `None` when there is none.
    ///
    /// # Errors
    /// `Broken` when it is no file of this user's.
    pub fn of(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join("vault.age");
        let bytes = file::absent_is_none(file::read(&path, MAX_VAULT, Privacy::Private))?.flatten();
        Ok(bytes.map(|bytes| Handed(crate::json::hex(&Sha256::digest(&bytes)))))
    }

    /// Takes the lock of the app's vault, and gives it when the vault there is this one, or gone.
    ///
    /// # Errors
    /// `Failed` when it is another one by now, which stays.
    pub fn still(&self, app: &App) -> Result<Lock> {
        let lock = Lock::take(&app.dir.join("vault.lock"), LOCK_WAIT)?;
        match Handed::of(&app.dir)? {
            Some(there) if there != *self => Err(Error::failed(format!(
                "the vault in {} is not the one that was handed over: something was stored in it since then, so it stays",
                app.dir.display()
            ))),
            _ => Ok(lock),
        }
    }
}

impl fmt::Display for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Handed {
    type Error = &'static str;

    fn try_from(text: String) -> std::result::Result<Self, Self::Error> {
        Handed::parse(&text).ok_or("no digest")
    }
}

impl From<Handed> for String {
    fn from(handed: Handed) -> String {
        handed.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_digest_is_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Handed::of(dir.path()).unwrap(), None);
        file::replace(&dir.path().join("vault.age"), b"fake", 0o600).unwrap();
        let one = Handed::of(dir.path()).unwrap().unwrap();
        assert_eq!(Handed::parse(&one.to_string()), Some(one));
        for text in ["", "0", &"g".repeat(64), &"A".repeat(64), &"a".repeat(65)] {
            assert_eq!(Handed::parse(text), None, "{text}");
        }
    }
}
