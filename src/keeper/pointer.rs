//! `keeper.json` in the vault's folder: where this vault's keeper listens, when a service put it
//! elsewhere, and that the vault stays locked without it. Ring 2.
//!
//! It is not secret. Who edits it can send a client to another socket, whose server must run under
//! the expected user; and who can write the vault's folder is that user.

use super::Release;
use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The file's name.
pub const NAME: &str = "keeper.json";
const MAX: usize = 64 * 1024;
const VERSION: u32 = 1;

/// Where a vault's keeper is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    version: u32,
    /// The socket, absolute.
    pub socket: PathBuf,
    /// Whether the vault stays locked when the keeper does not run. Otherwise its own slots are tried.
    pub required: bool,
    /// How often values are given.
    pub release: Release,
    /// The user that the keeper runs under, where it is not the folder's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeper_user: Option<u32>,
    /// The one unit that it answers, for what a person is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_unit: Option<String>,
}

impl Pointer {
    /// A pointer to `socket`.
    pub fn new(socket: PathBuf, required: bool, release: Release) -> Self {
        Pointer {
            version: VERSION,
            socket,
            required,
            release,
            keeper_user: None,
            gateway_unit: None,
        }
    }

    /// The same, of a keeper that answers one unit; `user` where it runs under another user than the
    /// folder's owner.
    #[must_use]
    pub fn isolated(self, user: Option<u32>, unit: &str) -> Self {
        Pointer {
            keeper_user: user,
            gateway_unit: Some(unit.to_owned()),
            ..self
        }
    }

    /// Reads the pointer of the vault in `dir`; `None` when it has none.
    ///
    /// # Errors
    /// `Broken` when it cannot be read as one: whether the vault may be opened without its keeper is
    /// then not known.
    pub fn load(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(NAME);
        let bytes = file::read(&path, MAX, Privacy::Private)?;
        bytes.map(|bytes| Self::parse(&bytes, &path)).transpose()
    }

    /// The same for root, who looks at another user's vault.
    ///
    /// # Errors
    /// As [`Pointer::load`].
    pub fn load_of_anyone(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(NAME);
        let found = file::read_of_anyone(&path, MAX)?;
        found
            .map(|(bytes, _)| Self::parse(&bytes, &path))
            .transpose()
    }

    fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        serde_json::from_slice::<Pointer>(bytes)
            .ok()
            .filter(|pointer| pointer.version == VERSION && pointer.socket.is_absolute())
            .ok_or_else(|| {
                Error::broken(format!(
                    "{} does not say where the keeper is",
                    path.display()
                ))
                .hint("clawkeep service install")
            })
    }

    /// Writes the pointer.
    ///
    /// # Errors
    /// `Failed` when the folder cannot be written.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|_| Error::failed("keeper.json cannot be written as JSON"))?;
        text.push(b'\n');
        file::replace_beside(&dir.join(NAME), &text, 0o600)
    }

    /// Removes the pointer.
    ///
    /// # Errors
    /// `Failed` when the folder cannot be written.
    pub fn forget(dir: &Path) -> Result<()> {
        file::remove(&dir.join(NAME)).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_there_and_back_and_damage_is_not_absence() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Pointer::load(dir.path()).unwrap(), None);
        let socket = dir.path().join("keeper.sock");
        let pointer = Pointer::new(socket, true, Release::Always);
        pointer.save(dir.path()).unwrap();
        assert_eq!(Pointer::load(dir.path()).unwrap(), Some(pointer));
        for text in [
            "{",
            "null",
            r#"{"version":2,"socket":"/x","required":true,"release":"once"}"#,
            r#"{"version":1,"socket":"x","required":true,"release":"once"}"#,
        ] {
            file::replace(&dir.path().join(NAME), text.as_bytes(), 0o600).unwrap();
            assert!(Pointer::load(dir.path()).is_err(), "{text}");
        }
        Pointer::forget(dir.path()).unwrap();
        assert_eq!(Pointer::load(dir.path()).unwrap(), None);
    }
}
