//! Making, replacing and removing slots, and giving a vault a new identity. Ring 2.
//!
//! A change of identity is: the new identity's slots are written beside the old ones
//! (`<name>.next.age`, a second keychain item, a second pin in identity files) and `next_vault_id`
//! into `vault.json`; then `vault.age` is replaced, which is the one moment that counts; then the
//! old ones go. Cut off before that moment, the old slots open the old vault; after it, the readers
//! try both and find the new one. The next writer tidies up ([`settle`]).

use super::argon::Cost;
use super::body::Recovery;
use super::id::VaultId;
use super::identity::{Identity, IdentityText, Recipient};
use super::slot::{self, Slot, SlotKind, SlotName};
use super::{Vault, copy};
use crate::error::{Error, Kind, Result};
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

/// Where a planted slot's file goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Now,
    Next,
}

/// Makes a slot for a vault that is being created, or that gets one more.
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
    plant_at(dir, vault, name, plan, doors, Place::Now)
}

fn plant_at(
    dir: &Path,
    vault: &Identity,
    name: &SlotName,
    plan: SlotPlan,
    doors: &Doors<'_>,
    place: Place,
) -> Result<Slot> {
    file::private_dir(&dir.join("slots"))?;
    let (now, next) = slot::paths(dir, name);
    let path = if place == Place::Now { now } else { next };
    let kind = match plan {
        SlotPlan::Keychain => {
            keep_in_keychain(vault, doors.keychain)?;
            SlotKind::Keychain
        }
        SlotPlan::Passphrase(passphrase, cost) => {
            file::replace(
                &path,
                &slot::wrap_passphrase(vault, &passphrase, cost)?,
                0o600,
            )?;
            SlotKind::Passphrase(cost)
        }
        SlotPlan::IdentityFile(key) => {
            if key.starts_with(dir) {
                return Err(Error::usage(format!(
                    "the identity file {} would lie in the vault's own folder: one backup would hold lock and key",
                    key.display()
                ))
                .hint("use --identity-file ~/.config/clawkeep/identity.txt"));
            }
            let recipient = pin_identity_file(&key, vault.vault_id())?;
            file::replace(&path, &slot::wrap_recipient(vault, &recipient)?, 0o600)?;
            SlotKind::IdentityFile {
                path: key,
                recipient,
            }
        }
        SlotPlan::Recipient(key, recipient) => {
            if slot::read_identity_file(&key)?.is_some() {
                pin_identity_file(&key, vault.vault_id())?;
            }
            file::replace(&path, &slot::wrap_recipient(vault, &recipient)?, 0o600)?;
            SlotKind::IdentityFile {
                path: key,
                recipient,
            }
        }
    };
    Ok(Slot {
        name: name.clone(),
        created: doors.host.now(),
        kind,
    })
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
    /// On an error before the new `vault.age` is in place nothing has changed.
    pub fn rekey(&mut self, plan: Rekey<'_>, doors: &Doors<'_>) -> Result<VaultId> {
        let lock = self.lock()?;
        self.reload(&lock)?;
        settle(self)?;
        if let Some(forgotten) = self
            .contents
            .slots
            .iter()
            .find(|slot| !plan.fates.iter().any(|(name, _)| *name == slot.name))
        {
            return Err(Error::failed(format!(
                "slot {} was added while this command ran; nothing was changed",
                forgotten.name
            ))
            .hint("run the command again"));
        }
        let old_id = self.id();
        let old_slots = self.contents.slots.clone();
        let identity = Identity::generate();
        let new_id = identity.vault_id();
        // Noted before anything is made, so that who tidies up knows what to look for.
        self.cache.next_vault_id = Some(new_id);
        self.cache.save(&self.dir)?;
        let staged = stage(&self.dir, &identity, plan.fates, plan.added, doors).and_then(|slots| {
            self.cache.slots = either(&old_slots, &slots);
            self.cache.save(&self.dir)?;
            (plan.before)(new_id)?;
            Ok(slots)
        });
        let slots = match staged {
            Ok(slots) => slots,
            Err(error) => {
                unstage(&self.dir, &old_slots, new_id, doors);
                self.cache.next_vault_id = None;
                self.cache.slots = old_slots;
                let _ = self.cache.save(&self.dir);
                return Err(error);
            }
        };
        self.contents.identity = copy(&identity)?;
        self.contents.recovery = plan.recovery;
        self.contents.slots = slots;
        // From here on the new identity counts, whatever else happens.
        self.commit(&lock)?;
        self.identity = identity;
        settle(self)?;
        forget_old(&old_slots, old_id, doors);
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
        let planted = plant(&self.dir, &copy(&self.identity)?, name, plan, doors)?;
        self.contents.slots.retain(|slot| slot.name != *name);
        self.contents.slots.push(planted);
        self.contents.slots.sort_by(|a, b| a.name.cmp(&b.name));
        self.commit(&lock)
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

fn stage(
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
        let made = plant_at(dir, identity, &name, plan, doors, Place::Next).map_err(|error| {
            error.context(format!(
                "slot {name} cannot be made for the new identity, nothing was changed"
            ))
        })?;
        slots.push(made);
    }
    slots.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(slots)
}

/// The slots to try at an instant when the old ones or the new ones may be the right ones.
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

/// Takes back what [`stage`] made. Best effort: what stays opens nothing that exists.
fn unstage(dir: &Path, slots: &[Slot], new_id: VaultId, doors: &Doors<'_>) {
    let _ = sweep(dir, |_, is_next| is_next);
    let _ = doors.keychain.delete(&slot::keychain_item(&new_id));
    for slot in slots {
        if let SlotKind::IdentityFile { path, .. } = &slot.kind {
            let _ = unpin_identity_file(path, new_id);
        }
    }
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

/// Finishes or takes back a change of identity that was cut off, and removes slot files that the
/// vault does not list. Called under the lock, by writers.
pub(super) fn settle(vault: &mut Vault) -> Result<()> {
    let slots = vault.dir.join("slots");
    file::sweep(&slots);
    if let Some(next) = vault.cache.next_vault_id {
        let arrived = vault.id() == next;
        for entry in names(&slots)? {
            let Some(stem) = entry.strip_suffix(".next.age") else {
                continue;
            };
            let (now, staged) = (slots.join(format!("{stem}.age")), slots.join(&entry));
            if arrived {
                move_over(&staged, &now)?;
            } else {
                file::remove(&staged)?;
            }
        }
        let gone = if arrived {
            vault.cache.vault_id.filter(|old| *old != next)
        } else {
            Some(next)
        };
        for slot in &vault.contents.slots {
            if let (SlotKind::IdentityFile { path, .. }, Some(gone)) = (&slot.kind, gone) {
                let _ = unpin_identity_file(path, gone);
            }
        }
        vault.cache.next_vault_id = None;
        vault.cache.vault_id = Some(vault.id());
        vault.cache.slots.clone_from(&vault.contents.slots);
        vault.cache.save(&vault.dir)?;
    }
    let listed: Vec<String> = vault
        .contents
        .slots
        .iter()
        .filter(|slot| slot.kind != SlotKind::Keychain)
        .map(|slot| format!("{}.age", slot.name))
        .collect();
    sweep(&vault.dir, |name, _| {
        !listed.iter().any(|listed| listed == name)
    })
}

fn move_over(from: &Path, to: &Path) -> Result<()> {
    let bytes =
        slot::read(from)?.ok_or_else(|| Error::broken(format!("{} vanished", from.display())))?;
    file::replace(to, &bytes, 0o600)?;
    file::remove(from).map(|_| ())
}

/// Removes the slot files that `unwanted` names; its second argument is whether the file is staged.
fn sweep(dir: &Path, unwanted: impl Fn(&str, bool) -> bool) -> Result<()> {
    let slots = dir.join("slots");
    for name in names(&slots)? {
        let is_slot = Path::new(&name).extension().is_some_and(|end| end == "age");
        if is_slot && unwanted(&name, name.ends_with(".next.age")) {
            file::remove(&slots.join(name))?;
        }
    }
    Ok(())
}

fn names(slots: &Path) -> Result<Vec<String>> {
    match std::fs::read_dir(slots) {
        Ok(entries) => Ok(entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io("read", slots, &error)),
    }
}

/// Whether an error means that the keychain cannot be reached now.
pub fn unreachable(error: &Error) -> bool {
    matches!(error.kind(), Kind::Missing | Kind::Locked)
}
