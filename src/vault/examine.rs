//! Every way into a vault tried by itself, for who looks after it. Ring 2.
//!
//! Promises: nothing is written, not even which state was seen; nobody is asked but through
//! [`Keys::ask`]; one slot that fails hides no other.

use super::body::Contents;
use super::cache::Cache;
use super::slot::{self, Slot, SlotKind};
use super::unlock::{Keys, Tried, check_rollback, read_vault, try_slot};
use crate::error::{Error, Kind, Result};
use std::path::Path;

/// What one slot did.
#[derive(Debug)]
pub enum Opening {
    /// It opens the vault.
    Opens,
    /// It was not tried, or could not be, a clause: it needs a person, or is locked.
    NotTried(String),
    /// It does not open the vault.
    Fails(Error),
}

/// What was found.
pub struct Examined {
    /// Every slot that the vault, or its cache, lists.
    pub slots: Vec<(Slot, Opening)>,
    /// What is in the vault; `None` when no slot opened it.
    pub contents: Option<Contents>,
    /// Set where an older copy was put back, or two went separate ways.
    pub rollback: Option<Error>,
}

/// Tries every slot of the vault file in `dir`.
///
/// # Errors
/// `Missing` when there is no vault, `Broken` when the folder or `vault.age` is not what it should be.
pub fn examine(dir: &Path, keys: &Keys<'_>) -> Result<Examined> {
    super::check_dir(dir)?;
    let cache = Cache::load(dir)?
        .unwrap_or_else(|| Cache::guess(dir, keys.host, keys.pins.first().copied()));
    // After vault.json, so that the file is never older than what was noted as seen.
    let file = read_vault(dir)?;
    let mut examined = Examined {
        slots: Vec::new(),
        contents: None,
        rollback: None,
    };
    let mut left: Vec<Slot> = cache.slots.clone();
    while let Some(slot) = left.pop() {
        let tried = try_slot(dir, &slot, &cache, keys, &file);
        let opening = match tried {
            Ok(Tried::Opens(body)) => {
                if examined.contents.is_none() {
                    let contents = Contents::parse(body.line())?;
                    examined.rollback =
                        check_rollback(&cache, contents.generation, &body.mac()).err();
                    // What the cache does not know is tried as well.
                    let unknown =
                        |own: &&Slot| !cache.slots.iter().any(|known| known.name == own.name);
                    left.extend(contents.slots.iter().filter(unknown).cloned());
                    examined.contents = Some(contents);
                }
                slot::check_cost(dir, &slot).map_or_else(Opening::Fails, |()| Opening::Opens)
            }
            Ok(Tried::Absent(reason)) if is_for_others(&slot) => Opening::NotTried(reason),
            Ok(Tried::Absent(reason)) => Opening::Fails(absent(&slot, &reason)),
            Err(error) if error.kind() == Kind::Locked => {
                Opening::NotTried(error.message().to_owned())
            }
            Err(error) => Opening::Fails(error),
        };
        examined.slots.push((slot, opening));
    }
    if let Some(contents) = &examined.contents {
        // What the vault itself does not list was guessed.
        examined
            .slots
            .retain(|(slot, _)| contents.slots.iter().any(|own| own.name == slot.name));
    }
    examined.slots.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    Ok(examined)
}

/// Whether a slot's absence here is as it should be: a person's, or a service's.
fn is_for_others(slot: &Slot) -> bool {
    match &slot.kind {
        SlotKind::Passphrase(_) => true,
        SlotKind::IdentityFile { path, .. } => slot::is_credential(path),
        SlotKind::Keychain => false,
    }
}

fn absent(slot: &Slot, reason: &str) -> Error {
    let hint = match slot.kind {
        SlotKind::Keychain => {
            "log in where the keychain is, or: clawkeep slot add identity-file --recovery"
                .to_owned()
        }
        _ => format!(
            "bring it back, or make it again: clawkeep slot add {} --name {} --replace",
            slot.kind.name(),
            slot.name
        ),
    };
    Error::broken(format!(
        "slot {} does not open the vault: {reason}",
        slot.name
    ))
    .hint(hint)
}

#[cfg(test)]
mod tests;
