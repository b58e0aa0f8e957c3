//! From a vault's folder to a backup. Ring 3.

use super::{About, Backup, Name};
use crate::error::{Error, Kind, Result};
use crate::expiry::Millis;
use crate::file::{self, Lock, Privacy};
use crate::vault::cache::{Cache, Custody};
use std::collections::BTreeMap;
use std::path::Path;

/// What lies in the folder of a vault of that custody, all of one instant: its writers wait for the lock
/// meanwhile.
///
/// # Errors
/// `Broken` when a file of the vault is not what it should be: a link, open to others, too large.
pub fn take(dir: &Path, custody: Custody, now: Millis, _held: &Lock) -> Result<Backup> {
    let mut names = vec![Name::VaultAge, Name::VaultJson, Name::Link];
    for (folder, file) in [
        ("slots", ""),
        ("undo", ""),
        ("agents", "/auth-profiles.json"),
    ] {
        for entry in entries(&dir.join(folder))? {
            // What has no name here is no file of the vault's.
            names.extend(Name::parse(&format!("{folder}/{entry}{file}")));
        }
    }
    let mut files = BTreeMap::new();
    for name in names {
        let privacy = match name {
            // Nothing in it is secret, and OpenClaw's own may have been copied here.
            Name::Profiles(_) => Privacy::Shared,
            _ => Privacy::Private,
        };
        if let Some(bytes) = file::read(&name.in_folder(dir), name.limit(), privacy)? {
            files.insert(name, bytes.to_vec());
        }
    }
    if custody == Custody::File && !files.contains_key(&Name::VaultAge) {
        return Err(
            Error::broken(format!("vault.age is gone from {}", dir.display()))
                .hint("put it back from an earlier backup: clawkeep restore FILE --replace"),
        );
    }
    let cache = files.get(&Name::VaultJson).and_then(|b| Cache::parse(b));
    let known = cache.as_ref().filter(|cache| cache.custody == custody);
    if known.is_none() {
        // Damaged; it is made again where it is missing.
        files.remove(&Name::VaultJson);
    }
    Ok(Backup {
        about: About {
            created: now,
            custody,
            vault_id: known.and_then(|cache| cache.vault_id),
            generation: known
                .and_then(|cache| cache.seen)
                .map(|seen| seen.generation),
        },
        files,
    })
}

/// The names in a folder of the vault's; none when it is not there.
fn entries(dir: &Path) -> Result<Vec<String>> {
    match file::check_private_dir(dir) {
        Err(error) if error.kind() == Kind::Missing => return Ok(Vec::new()),
        other => other?,
    }
    let entries = std::fs::read_dir(dir).map_err(|error| Error::io("read", dir, &error))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io("read", dir, &error))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}
