//! Making, replacing and removing slots, and giving a vault a new identity. Ring 2.
//!
//! A change of slots is: the new slots' files are written beside the old ones
//! (`<name>.<tag>.age`, see [`slot::staged_path`]; for a new identity also a second keychain item and
//! a second pin in identity files), and `vault.json` lists old and new slots and `next_vault_id`; then
//! `vault.age` is replaced, which is the one moment that counts; then the old ones go. Cut off before
//! that moment, the old slots open the old vault; after it, the readers try both and find the new
//! one. The next writer tidies up ([`settle`]), by what the body lists alone.

use super::argon::Cost;
use super::body::Recovery;
use super::id::VaultId;
use super::identity::{Identity, IdentityText, Recipient};
use super::slot::{self, Slot, SlotKind, SlotName};
use super::unlock::read_vault;
use super::{Vault, copy, envelope, undo};
use crate::error::{Error, Result};
use crate::file;
use crate::keychain::Keychain;
use secrecy::SecretString;
use std::path::{Path, PathBuf};

/// How a slot is to be made.
pub enum SlotPlan {
    /// In the keychain.
    Keychain,
    /// Under this passphrase, at this cost.
    Passphrase(SecretString, Cost),
    /// To the key in this file, which is made if it is not there.
    IdentityFile(PathBuf),
    /// To the key that an identity file had when its slot was made; the file may be out of reach.
    Recipient(PathBuf, Recipient),
}

/// The doors that slots are made through.
pub struct Doors<'a> {
    /// The machine, for its clock.
    pub host: &'a crate::host::Host,
    /// The operating system's keychain.
    pub keychain: &'a dyn Keychain,
}

/// Makes a slot for a vault that is being created.
///
/// # Errors
/// On an error the slot does not exist.
pub fn plant(
    dir: &Path,
    vault: &Identity,
    name: &SlotName,
    plan: SlotPlan,
    doors: &Doors<'_>,
) -> Result<Slot> {
    let (slot, bytes) = make(dir, vault, name, plan, doors)?;
    if let Some(bytes) = bytes {
        file::replace(&slot::path(dir, name), &bytes, 0o600)?;
    }
    Ok(slot)
}

/// Makes a slot for a vault that will list it: its file is staged.
fn stage(
    dir: &Path,
    vault: &Identity,
    name: &SlotName,
    plan: SlotPlan,
    doors: &Doors<'_>,
) -> Result<Slot> {
    let (slot, bytes) = make(dir, vault, name, plan, doors)?;
    if let Some(bytes) = bytes {
        file::replace(
            &slot::staged_path(dir, &vault.vault_id(), &slot),
            &bytes,
            0o600,
        )?;
    }
    Ok(slot)
}

/// A slot, and what its file is to hold, where it has one. The keychain and the identity file have
/// what they need then.
fn make(
    dir: &Path,
    vault: &Identity,
    name: &SlotName,
    plan: SlotPlan,
    doors: &Doors<'_>,
) -> Result<(Slot, Option<Vec<u8>>)> {
    file::private_dir(&dir.join("slots"))?;
    let (kind, bytes) = match plan {
        SlotPlan::Keychain => {
            keep_in_keychain(vault, doors.keychain)?;
            (SlotKind::Keychain, None)
        }
        SlotPlan::Passphrase(passphrase, cost) => {
            let bytes = slot::wrap_passphrase(vault, &passphrase, cost)?;
            (SlotKind::Passphrase(cost), Some(bytes))
        }
        SlotPlan::IdentityFile(path) => {
            slot::outside_vault(dir, &path)?;
            let recipient = pin_identity_file(&path, vault.vault_id())?;
            let bytes = slot::wrap_recipient(vault, &recipient)?;
            (SlotKind::IdentityFile { path, recipient }, Some(bytes))
        }
        SlotPlan::Recipient(path, recipient) => {
            if slot::read_identity_file(&path)?.is_some() {
                pin_identity_file(&path, vault.vault_id())?;
            }
            let bytes = slot::wrap_recipient(vault, &recipient)?;
            (SlotKind::IdentityFile { path, recipient }, Some(bytes))
        }
    };
    let slot = Slot {
        name: name.clone(),
        created: doors.host.now(),
        kind,
    };
    Ok((slot, bytes))
}

/// Puts the identity into the keychain and reads it back before it counts.
fn keep_in_keychain(vault: &Identity, keychain: &dyn Keychain) -> Result<()> {
    let item = slot::keychain_item(&vault.vault_id());
    keychain.set(&item, vault.text().as_bytes())?;
    let back = keychain.get(&item)?;
    let same = back.is_some_and(|bytes| bytes.as_slice() == vault.text().as_bytes());
    if same {
        Ok(())
    } else {
        Err(
            Error::broken("the keychain did not give back what was put into it")
                .hint("use another slot: clawkeep init --slot identity-file"),
        )
    }
}

/// Makes the identity file, or notes the vault's id in one that clawkeep made. A file of the user's
/// own stays as it is.
fn pin_identity_file(path: &Path, id: VaultId) -> Result<Recipient> {
    if let Some(mut text) = slot::read_identity_file(path)? {
        if !text.pins.is_empty() && !text.pins.contains(&id) {
            text.pins.push(id);
            file::replace(path, &text.render(), 0o600)?;
        }
        return Ok(text.identity.recipient());
    }
    if let Some(parent) = path.parent()
        && !parent.exists()
    {
        file::private_dir(parent)?;
    }
    let text = IdentityText {
        identity: Identity::generate(),
        pins: vec![id],
    };
    file::create(path, &text.render(), 0o600)?;
    Ok(text.identity.recipient())
}

fn unpin_identity_file(path: &Path, id: VaultId) -> Result<()> {
    if let Some(mut text) = slot::read_identity_file(path)?
        && text.pins.len() > 1
        && text.pins.contains(&id)
    {
        text.pins.retain(|pin| *pin != id);
        file::replace(path, &text.render(), 0o600)?;
    }
    Ok(())
}

/// What becomes of one slot when the vault gets a new identity.
pub enum Fate {
    /// Wrapped again, by this plan.
    Keep(SlotPlan),
    /// Gone.
    Drop,
}

/// A new identity, and what becomes of everything that hangs on the old one.
pub struct Rekey<'a> {
    /// The identity from now on. Made by the caller, so that a new recovery sheet can name its vault.
    pub identity: Identity,
    /// One fate for every slot, by name; a slot without one stops the change before it starts.
    pub fates: Vec<(SlotName, Fate)>,
    /// Slots to add.
    pub added: Vec<(SlotName, SlotPlan)>,
    /// The recovery key's public half from now on.
    pub recovery: Option<Recovery>,
    /// Told the new vault id before it counts, so that whoever pins the old one can pin both.
    pub before: &'a mut dyn FnMut(VaultId) -> Result<()>,
}

impl Vault {
    /// Gives the vault a new identity. Returns its id.
    ///
    /// # Errors
    /// On an error nothing has changed.
    pub fn rekey(&mut self, plan: Rekey<'_>, doors: &Doors<'_>) -> Result<VaultId> {
        let lock = self.lock()?;
        let known = self.contents.slots.clone();
        self.reload(&lock)?;
        settle(self)?;
        let fated = |slot: &Slot| plan.fates.iter().any(|(name, _)| *name == slot.name);
        if self.contents.slots != known || !known.iter().all(fated) {
            return Err(Error::failed(
                "the slots were changed while this command ran; nothing was changed by it",
            )
            .hint("run the command again"));
        }
        let old_id = self.id();
        let identity = plan.identity;
        let new_id = identity.vault_id();
        // Noted before anything is made, so that who tidies up knows what to look for.
        self.cache.next_vault_id = Some(new_id);
        self.cache.save(&self.dir)?;
        let bundles = self.bundles()?;
        let recipient = plan.recovery.as_ref().map(|recovery| &recovery.recipient);
        let next = undo::to_be(&self.dir, &identity, recipient)?;
        let staged = stage_all(&self.dir, &identity, plan.fates, plan.added, doors)
            .and_then(|slots| undo::stage(&bundles, &next).map(|()| slots))
            .and_then(|slots| self.announce(new_id, &slots).map(|()| slots))
            .and_then(|slots| (plan.before)(new_id).map(|()| slots));
        let done = staged.and_then(|slots| {
            let old = std::mem::replace(&mut self.contents.identity, copy(&identity)?);
            let recovery = std::mem::replace(&mut self.contents.recovery, plan.recovery);
            self.contents.slots = slots;
            // From here on the new identity counts, whatever else happens.
            let done = self.commit(&lock).or_else(|error| {
                // The file may be in its place although the disk then refused to be sure of it.
                let arrived = read_vault(&self.dir)
                    .is_ok_and(|file| envelope::open(&file, &identity).is_ok());
                if arrived { Ok(()) } else { Err(error) }
            });
            if done.is_err() {
                self.contents.identity = old;
                self.contents.recovery = recovery;
                self.contents.slots.clone_from(&known);
            }
            done
        });
        if let Err(error) = done {
            // Best effort: what stays opens nothing that exists, and the next writer tries again.
            let _ = settle(self);
            let _ = doors.keychain.delete(&slot::keychain_item(&new_id));
            return Err(error);
        }
        self.identity = identity;
        // What it could not tidy up opens nothing that is written from now on, and the next writer
        // tries again.
        let _ = settle(self);
        forget_old(&known, old_id, doors);
        Ok(new_id)
    }

    /// Adds or replaces a slot under the identity that the vault has.
    ///
    /// # Errors
    /// On an error the vault opens as before.
    pub fn add_slot(&mut self, name: &SlotName, plan: SlotPlan, doors: &Doors<'_>) -> Result<()> {
        let lock = self.lock()?;
        self.reload(&lock)?;
        settle(self)?;
        let made = stage(&self.dir, &copy(&self.identity)?, name, plan, doors)?;
        let replaced = self.contents.slots.iter().find(|slot| slot.name == *name);
        let keychain_goes = made.kind != SlotKind::Keychain
            && replaced.is_some_and(|slot| slot.kind == SlotKind::Keychain);
        self.announce(self.id(), std::slice::from_ref(&made))?;
        self.contents.slots.retain(|slot| slot.name != *name);
        self.contents.slots.push(made);
        self.contents.slots.sort_by(|a, b| a.name.cmp(&b.name));
        self.commit(&lock)?;
        settle(self)?;
        if keychain_goes {
            doors.keychain.delete(&slot::keychain_item(&self.id()))?;
        }
        Ok(())
    }

    /// Lets readers know, before it counts, by what the vault will open.
    fn announce(&mut self, next: VaultId, slots: &[Slot]) -> Result<()> {
        self.cache.next_vault_id = Some(next);
        self.cache.slots = either(&self.contents.slots, slots);
        self.cache.save(&self.dir)
    }

    /// Removes a slot without changing the identity: an old copy of it still opens the vault.
    ///
    /// # Errors
    /// On an error the slot is still there.
    pub fn drop_slot(&mut self, name: &SlotName, doors: &Doors<'_>) -> Result<()> {
        let lock = self.lock()?;
        self.reload(&lock)?;
        settle(self)?;
        let Some(at) = self
            .contents
            .slots
            .iter()
            .position(|slot| slot.name == *name)
        else {
            return Err(Error::missing("there is no slot of that name").hint("clawkeep slot list"));
        };
        let dropped = self.contents.slots.remove(at);
        self.commit(&lock)?;
        settle(self)?;
        if dropped.kind == SlotKind::Keychain {
            doors.keychain.delete(&slot::keychain_item(&self.id()))?;
        }
        Ok(())
    }
}

fn stage_all(
    dir: &Path,
    identity: &Identity,
    fates: Vec<(SlotName, Fate)>,
    added: Vec<(SlotName, SlotPlan)>,
    doors: &Doors<'_>,
) -> Result<Vec<Slot>> {
    let kept = fates.into_iter().filter_map(|(name, fate)| match fate {
        Fate::Keep(plan) => Some((name, plan)),
        Fate::Drop => None,
    });
    let mut slots = Vec::new();
    for (name, plan) in kept.chain(added) {
        let made = stage(dir, identity, &name, plan, doors).map_err(|error| {
            error.context(format!(
                "slot {name} cannot be made for the new identity, nothing was changed"
            ))
        })?;
        slots.push(made);
    }
    slots.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(slots)
}

/// The slots to try at an instant when the old ones or the new ones may be the right ones. A
/// passphrase is asked for once, and tried on both.
fn either(old: &[Slot], new: &[Slot]) -> Vec<Slot> {
    let passphrase = |slot: &Slot| matches!(slot.kind, SlotKind::Passphrase(_));
    let known = |slot: &Slot| {
        old.iter().any(|old| {
            old.name == slot.name
                && (old.kind == slot.kind || (passphrase(old) && passphrase(slot)))
        })
    };
    let added = new.iter().filter(|slot| !known(slot));
    old.iter().chain(added).cloned().collect()
}

/// Removes what opened the old identity outside the vault's folder.
fn forget_old(slots: &[Slot], old_id: VaultId, doors: &Doors<'_>) {
    for slot in slots {
        match &slot.kind {
            SlotKind::Keychain => {
                let _ = doors.keychain.delete(&slot::keychain_item(&old_id));
            }
            SlotKind::IdentityFile { path, .. } => {
                let _ = unpin_identity_file(path, old_id);
            }
            SlotKind::Passphrase(_) => {}
        }
    }
}

/// Finishes or takes back a change of slots that was cut off, and removes slot files that the vault
/// does not list and temporary files of killed writers. Called under the lock, by writers.
pub(super) fn settle(vault: &mut Vault) -> Result<()> {
    let slots = vault.dir.join("slots");
    let (id, listed) = (vault.id(), &vault.contents.slots);
    let in_file = || listed.iter().filter(|slot| slot.kind != SlotKind::Keychain);
    for slot in in_file() {
        let staged = slot::staged_path(&vault.dir, &id, slot);
        if let Some(bytes) = slot::read(&staged)? {
            file::replace(&slot::path(&vault.dir, &slot.name), &bytes, 0o600)?;
            file::remove(&staged)?;
        }
    }
    for name in slot::file_names(&vault.dir)? {
        let wanted = match slot::file_name(&name) {
            Some((name, None)) => in_file().any(|slot| slot.name == name),
            // Staged for a state that never came, or that came and went.
            Some((_, Some(_))) => false,
            // No file of ours.
            None => continue,
        };
        if !wanted {
            file::remove(&slots.join(name))?;
        }
    }
    undo::settle(&vault.dir, &id)?;
    undo::expire_held(&vault.dir, vault.host.now());
    // The lock of the vault's folder guards this one too.
    if slots.is_dir() {
        file::sweep(&slots);
    }
    for slot in in_file() {
        if let SlotKind::IdentityFile { path, .. } = &slot.kind
            && let Some(parent) = path.parent()
        {
            file::sweep_dead(parent);
        }
    }
    if let Some(next) = vault.cache.next_vault_id {
        let gone = if id == next {
            vault.cache.vault_id.filter(|old| *old != next)
        } else {
            Some(next)
        };
        for slot in in_file() {
            if let (SlotKind::IdentityFile { path, .. }, Some(gone)) = (&slot.kind, gone) {
                let _ = unpin_identity_file(path, gone);
            }
        }
        vault.cache.next_vault_id = None;
        vault.cache.vault_id = Some(id);
        vault.cache.slots.clone_from(listed);
        vault.cache.save(&vault.dir)?;
    }
    Ok(())
}
