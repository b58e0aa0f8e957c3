//! What a keeper says about itself, `keeper-state.json` in the vault's folder. Ring 2.
//!
//! ```text
//! {"version":1,"pid":4711,"release":"once","since":<Unix ms>,"locks_at":<Unix ms>|null,
//!  "vault_id":"<64 hex>","challenge":"<64 hex>"|null}
//! ```
//!
//! It is for people, and for who writes a [`super::ticket`]. Nothing in it is secret, and nothing is
//! believed: which process listens is the kernel's to say, and a ticket made for a false challenge is
//! one that the keeper refuses.

use super::Release;
use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::file;
use crate::json::{hex, place, unhex};
use crate::vault::id::VaultId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use subtle::ConstantTimeEq;

/// The file's name.
pub const NAME: &str = "keeper-state.json";

const MAX: usize = 16 * 1024;
const VERSION: u32 = 1;

/// What the next ticket must name: 32 random bytes, new at each start of a keeper and after each ticket
/// that was believed. So no ticket is believed twice.
#[derive(Clone, Copy)]
pub struct Challenge([u8; 32]);

impl Challenge {
    /// A new one.
    ///
    /// # Errors
    /// `Failed` when the system has no random source.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 32];
        crate::host::random(&mut bytes)?;
        Ok(Challenge(bytes))
    }

    /// Parses 64 lower-case hex digits; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        unhex(text).map(Challenge)
    }
}

/// In constant time: under an attended keeper of another user it is not for every eye.
impl PartialEq for Challenge {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Challenge {}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Challenge({}…)", hex(&self.0[..4]))
    }
}

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The keeper's process.
    pub pid: u32,
    /// How often it gives values.
    pub release: Release,
    /// When it was unlocked.
    pub since: Millis,
    /// When its time is over.
    pub locks_at: Option<Millis>,
    /// Which vault it holds.
    pub vault_id: VaultId,
    /// What a ticket must name; `None` where nothing is armed: [`Release::Always`].
    pub challenge: Option<Challenge>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    version: u32,
    pid: u32,
    release: Release,
    since: Millis,
    locks_at: Option<Millis>,
    vault_id: VaultId,
    challenge: Option<String>,
}

impl Published {
    /// Reads what the keeper of the vault in `dir` says; `None` when there is no file. Root may read that
    /// of any user.
    ///
    /// # Errors
    /// `Broken` when it is no such file, or belongs to a third user.
    pub fn load(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(NAME);
        let Some((bytes, meta)) = file::read_of_anyone(&path, MAX)? else {
            return Ok(None);
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let me = rustix::process::geteuid().as_raw();
            if me != 0 && meta.uid() != me {
                return Err(
                    Error::broken(format!("{} belongs to another user", path.display()))
                        .hint(format!("ls -l {}", crate::error::typed(&path))),
                );
            }
        }
        #[cfg(not(unix))]
        let _ = meta;
        Self::parse(&bytes).map(Some)
    }

    /// Writes it for the vault in `dir`.
    ///
    /// # Errors
    /// `Failed` when the folder cannot be written.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let wire = Wire {
            version: VERSION,
            pid: self.pid,
            release: self.release,
            since: self.since,
            locks_at: self.locks_at,
            vault_id: self.vault_id,
            challenge: self.challenge.map(|challenge| challenge.to_string()),
        };
        let mut text = serde_json::to_vec(&wire)
            .map_err(|_| Error::failed(format!("{NAME} cannot be written as JSON")))?;
        text.push(b'\n');
        file::replace_beside(&dir.join(NAME), &text, 0o600)
    }

    /// Removes it, when the keeper ends.
    ///
    /// # Errors
    /// `Failed` when the folder cannot be written.
    pub fn forget(dir: &Path) -> Result<()> {
        file::remove(&dir.join(NAME)).map(|_| ())
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let damaged =
            |what: &str| Error::broken(format!("{NAME} {what}")).hint("clawkeep keeper status");
        let wire: Wire = serde_json::from_slice(bytes)
            .map_err(|error| damaged(&format!("cannot be read ({})", place(&error))))?;
        if wire.version != VERSION {
            return Err(damaged("has a version that this clawkeep does not read"));
        }
        let challenge = wire.challenge.map(|text| {
            Challenge::parse(&text).ok_or_else(|| damaged("holds no challenge that can be"))
        });
        Ok(Published {
            pid: wire.pid,
            release: wire.release,
            since: wire.since,
            locks_at: wire.locks_at,
            vault_id: wire.vault_id,
            challenge: challenge.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn some() -> Published {
        Published {
            pid: 4711,
            release: Release::Once,
            since: Millis::new(1_790_000_000_000).unwrap(),
            locks_at: None,
            vault_id: VaultId::random().unwrap(),
            challenge: Some(Challenge::random().unwrap()),
        }
    }

    #[test]
    fn it_goes_there_and_back() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Published::load(dir.path()).unwrap(), None);
        let always = Published {
            release: Release::Always,
            locks_at: Millis::new(1_790_000_600_000),
            challenge: None,
            ..some()
        };
        for published in [some(), always] {
            published.save(dir.path()).unwrap();
            assert_eq!(Published::load(dir.path()).unwrap(), Some(published));
        }
        Published::forget(dir.path()).unwrap();
        assert_eq!(Published::load(dir.path()).unwrap(), None);
    }

    #[test]
    fn damage_is_not_absence_and_is_not_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        some().save(dir.path()).unwrap();
        let right = String::from_utf8(std::fs::read(&path).unwrap()).unwrap();
        let short = &some().challenge.unwrap().to_string()[1..];
        for text in [
            String::new(),
            "null".to_owned(),
            right.replace("\"version\":1", "\"version\":2"),
            right.replace("once", "hunter2-fake"),
            right.replace("4711", "-1"),
            right.replace("\"challenge\":\"", &format!("\"challenge\":\"{short}")),
            right.trim_end().to_owned() + "}",
            "x".repeat(MAX + 1),
        ] {
            file::replace(&path, text.as_bytes(), 0o600).unwrap();
            let error = Published::load(dir.path()).unwrap_err();
            assert!(!error.message().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn challenges_differ_and_show_their_beginning_alone() {
        let (one, other) = (Challenge::random().unwrap(), Challenge::random().unwrap());
        assert_ne!(one, other);
        assert_eq!(Challenge::parse(&one.to_string()), Some(one));
        assert!(format!("{one:?}").len() < 30);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,70}") {
            let _ = Published::parse(&bytes);
            let _ = Challenge::parse(&text);
        }
    }
}
