//! A backup: one file that holds what lies in a vault's folder, still encrypted. Ring 3: returns data,
//! prints nothing, asks nobody; opens no vault and needs none open.
//!
//! ```text
//! clawkeep-backup/                                a plain tar (see `tar`); unpacked, it is a vault's folder
//!   README.txt                                    what to do with it without clawkeep
//!   backup.json                                   which vault this is, and a digest of every other file
//!   vault.age  vault.json  link.json
//!   slots/<name>.age  undo/<bundle>.age  agents/<id>/auth-profiles.json
//! ```
//!
//! Promises: nothing else of the folder is taken: no log, no socket, no ticket, no pointer to a service of
//! that machine; all of it is of one instant, under the vault's lock; everything in a backup is checked
//! before the first byte of it is written anywhere, and it is all put in place or nothing of it.
//!
//! The digests find accidents. Who made a backup they do not say: that is the MAC's in `vault.age`.

mod name;
mod place;
mod take;
mod tar;

pub use name::Name;
pub use place::{Placed, place};
pub use take::take;

use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::file;
use crate::json::{hex, place as place_in};
use crate::vault::cache::{Cache, Custody};
use crate::vault::id::VaultId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use tar::Member;

/// The largest backup, in bytes: 512 MiB, which is a vault of the largest size and as much again.
pub const MAX: usize = 512 << 20;

const FORMAT: &str = "clawkeep-backup";
/// The format version that this program writes, and the newest that it reads.
pub const VERSION: u32 = 1;

const MANIFEST: &str = "backup.json";
const README: &str = "README.txt";

/// What is inside, for who has the file and no clawkeep.
const STORY: &str = "\
A backup of a clawkeep vault, made by `clawkeep backup`. The values are in vault.age, encrypted.

With clawkeep, on a machine without a vault:   clawkeep restore FILE
Without, with the recovery key in key.txt:     age -d -i key.txt vault.age | head -n1 | jq .secrets
With the identity file:   age -d -i identity.txt slots/identity-file.age | age -d -i - vault.age | head -n1

Not in here: the recovery key, the identity file, the keychain's item, the passphrase. Without one of them
nobody opens this; keep none of them beside it.
";

/// What is known of a backup without opening its vault. Nobody vouches for it but the file itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// When it was made.
    pub created: Millis,
    /// Where the values lie: with keychain custody not in the backup.
    pub custody: Custody,
    /// Which vault it is of, as far as that was known without opening it.
    pub vault_id: Option<VaultId>,
    /// The generation that the vault's readers last saw.
    pub generation: Option<u64>,
}

/// A backup that was read, with everything about it checked that can be without a key.
pub struct Backup {
    /// What it says of itself.
    pub about: About,
    files: BTreeMap<Name, Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    format: String,
    version: u32,
    created: Millis,
    custody: Custody,
    vault_id: Option<VaultId>,
    generation: Option<u64>,
    /// SHA-256 of every other file, by its name.
    files: BTreeMap<String, String>,
}

impl Backup {
    /// Reads a backup file, whoever owns it: it comes from a stick or a server, and its vault
    /// authenticates itself.
    ///
    /// # Errors
    /// `Missing` when there is none; `Broken` when it is none, is damaged, or holds anything that a
    /// backup does not.
    pub fn load(path: &Path) -> Result<Self> {
        let Some((bytes, _)) = file::read_of_anyone(path, MAX)? else {
            return Err(Error::missing(format!(
                "there is no file {}",
                path.display()
            )));
        };
        Self::read(&bytes).map_err(|error| error.context(path.display()))
    }

    /// Reads the bytes of a backup.
    ///
    /// # Errors
    /// As [`Backup::load`].
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let (members, _) = tar::read(bytes)?;
        let manifest = manifest(&members)?;
        let mut files = BTreeMap::new();
        let mut listed = 0;
        for member in &members {
            let Some(bytes) = member.bytes else {
                if Name::is_folder(&member.name) {
                    continue;
                }
                return Err(unknown());
            };
            if member.name == MANIFEST {
                continue;
            }
            let said = manifest.files.get(&member.name).ok_or_else(unknown)?;
            if *said != digest(bytes) {
                return Err(Error::broken(
                    "a file in it is not as it was when the backup was made: the backup is damaged",
                )
                .hint("take another copy of it"));
            }
            listed += 1;
            if member.name == README {
                continue;
            }
            let name = Name::parse(&member.name).ok_or_else(unknown)?;
            name.check(bytes)?;
            files.insert(name, bytes.to_vec());
        }
        if listed != manifest.files.len() {
            return Err(Error::broken("a file that it lists is not in it"));
        }
        let needed = match manifest.custody {
            Custody::File => Name::VaultAge,
            Custody::Keychain => Name::VaultJson,
        };
        if !files.contains_key(&needed) {
            return Err(Error::broken(format!("there is no {needed} in it")));
        }
        if let Some(cache) = files.get(&Name::VaultJson).and_then(|b| Cache::parse(b))
            && (cache.custody != manifest.custody || cache.vault_id != manifest.vault_id)
        {
            return Err(Error::broken(
                "its backup.json and its vault.json speak of two vaults",
            ));
        }
        Ok(Backup {
            about: About {
                created: manifest.created,
                custody: manifest.custody,
                vault_id: manifest.vault_id,
                generation: manifest.generation,
            },
            files,
        })
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// `Failed` when it would be larger than [`MAX`].
    pub fn write(&self) -> Result<Vec<u8>> {
        let mut digests: BTreeMap<String, String> = self
            .files
            .iter()
            .map(|(name, bytes)| (name.to_string(), digest(bytes)))
            .collect();
        digests.insert(README.to_owned(), digest(STORY.as_bytes()));
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            version: VERSION,
            created: self.about.created,
            custody: self.about.custody,
            vault_id: self.about.vault_id,
            generation: self.about.generation,
            files: digests,
        };
        let mut text = serde_json::to_vec_pretty(&manifest)
            .map_err(|_| Error::failed("backup.json cannot be written as JSON"))?;
        text.push(b'\n');
        let mut members = vec![
            folder(""),
            Member {
                name: README.to_owned(),
                bytes: Some(STORY.as_bytes()),
            },
            Member {
                name: MANIFEST.to_owned(),
                bytes: Some(&text),
            },
        ];
        let mut folders = std::collections::BTreeSet::new();
        for (name, bytes) in &self.files {
            for name in name.folders() {
                if folders.insert(name.clone()) {
                    members.push(folder(&name));
                }
            }
            members.push(Member {
                name: name.to_string(),
                bytes: Some(bytes),
            });
        }
        let seconds = u64::try_from(self.about.created.get() / 1000).unwrap_or(0);
        tar::write(&members, seconds, MAX)
    }

    /// Whether it holds that file.
    pub fn holds(&self, name: &Name) -> bool {
        self.files.contains_key(name)
    }

    /// The bytes of a file in it.
    pub fn file(&self, name: &Name) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }

    /// The names of the files in it.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.files.keys()
    }

    /// Takes these bytes for a file, in place of what the folder has.
    pub fn set(&mut self, name: Name, bytes: Vec<u8>) {
        self.files.insert(name, bytes);
    }

    /// Leaves out a file that means nothing where the backup is put.
    pub fn leave_out(&mut self, name: &Name) {
        self.files.remove(name);
    }
}

fn folder(name: &str) -> Member<&'static [u8]> {
    Member {
        name: name.to_owned(),
        bytes: None,
    }
}

fn manifest(members: &[Member<&[u8]>]) -> Result<Manifest> {
    /// Another version may mean anything by the rest.
    #[derive(Deserialize)]
    struct Gate {
        format: String,
        version: u32,
    }
    let bytes = members
        .iter()
        .find(|member| member.name == MANIFEST)
        .and_then(|member| member.bytes)
        .ok_or_else(|| Error::broken("there is no backup.json in it: it is no backup"))?;
    let malformed = |error: serde_json::Error| {
        Error::broken(format!(
            "its backup.json cannot be read ({})",
            place_in(&error)
        ))
    };
    let gate: Gate = serde_json::from_slice(bytes).map_err(malformed)?;
    if gate.format != FORMAT {
        return Err(Error::broken("its backup.json is not that of a backup"));
    }
    if gate.version != VERSION {
        return Err(Error::broken(format!(
            "the backup has format version {}; this clawkeep reads version {VERSION}",
            gate.version
        ))
        .hint("install the newest clawkeep: cargo install --path ."));
    }
    serde_json::from_slice(bytes).map_err(malformed)
}

fn unknown() -> Error {
    Error::broken("it holds something that no backup does")
        .hint("look inside, in an empty folder: tar tvf FILE")
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
