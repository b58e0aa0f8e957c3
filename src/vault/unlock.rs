//! From the slots to the opened vault. Ring 2.
//!
//! Order: `$CREDENTIALS_DIRECTORY` (systemd), identity files, the keychain, and only with a person
//! there the passphrase. Each gives the identity, is absent (go on), or is locked or broken (stop and
//! say which). Nothing falls back to something that the vault was not given as a slot.

use super::body::Contents;
use super::cache::Cache;
use super::envelope::{self, Body, Refusal, Sealed};
use super::id::VaultId;
use super::identity::{Identity, IdentityText};
use super::pick::{self, Picked};
use super::slot::{self, Slot, SlotKind, SlotName};
use crate::error::{Error, Kind, Result};
use crate::file::{self, Privacy};
use crate::host::Host;
use crate::keychain::Keychain;
use crate::secret::SecretId;
use secrecy::SecretString;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The file that a systemd credential or a service manager provides: an identity file's text.
pub const CREDENTIAL: &str = "clawkeep-identity";

/// Everything that may yield an identity besides the vault's own folder.
pub struct Keys<'a> {
    /// The machine.
    pub host: &'a Host,
    /// The operating system's keychain.
    pub keychain: &'a dyn Keychain,
    /// Asks a person for a slot's passphrase; `None` when nobody is there.
    pub ask: &'a dyn Fn(&SlotName) -> Result<Option<SecretString>>,
    /// Vault ids that the caller trusts; empty when it trusts the folder.
    pub pins: &'a [VaultId],
    /// Accept a state older than the last one seen.
    pub accept_rollback: bool,
}

/// An opened and authenticated vault file.
pub(super) struct Unsealed {
    pub identity: Identity,
    pub body: Body,
    pub cache: Cache,
    /// How it was opened, for people.
    pub by: String,
    /// The slot that opened it; `None` for a credential.
    pub opened: Option<SlotKind>,
    /// The passphrase slot that opened it, if one did and no change of slots is under way.
    passphrase_slot: Option<SlotName>,
    accept_rollback: bool,
}

impl Unsealed {
    /// Everything in it.
    pub(super) fn contents(&self, dir: &Path) -> Result<Contents> {
        let contents = Contents::parse(self.body.line())?;
        self.check_rollback(contents.generation)?;
        if let Some(name) = &self.passphrase_slot
            && let Some(slot) = contents.slots.iter().find(|slot| slot.name == *name)
        {
            slot::check_cost(dir, slot)?;
        }
        Ok(contents)
    }

    /// Only the `wanted` values.
    pub(super) fn pick(&self, wanted: &BTreeSet<SecretId>) -> Result<Picked> {
        let picked = pick::pick(self.body.line(), wanted)?;
        self.check_rollback(picked.generation)?;
        Ok(picked)
    }

    fn check_rollback(&self, generation: u64) -> Result<()> {
        if self.accept_rollback {
            return Ok(());
        }
        check_rollback(&self.cache, generation, &self.body.mac())
    }
}

/// Refuses a state that is older than the one last seen, or beside it.
pub(super) fn check_rollback(cache: &Cache, generation: u64, mac: &[u8; 32]) -> Result<()> {
    let Some(seen) = cache.seen else {
        return Ok(());
    };
    let what = if generation < seen.generation {
        format!(
            "an older copy of the vault was put back (generation {generation}, last seen {})",
            seen.generation
        )
    } else if generation == seen.generation && *mac != seen.mac {
        format!(
            "two copies of the vault went separate ways (generation {generation} with other content was seen)"
        )
    } else {
        return Ok(());
    };
    Err(Error::broken(what)
        .hint("if you restored it yourself, at a terminal: clawkeep --accept-rollback secret list"))
}

enum Source<'s> {
    Credential(PathBuf),
    Slot(&'s Slot),
}

/// One answer of one source.
enum Yield {
    Absent(String),
    Found(Vec<Identity>),
}

/// Opens the vault file in `dir`.
///
/// # Errors
/// `Missing` when there is no vault, `Locked` when no slot opened, `Broken` when something is not
/// what it should be.
pub(super) fn unseal(dir: &Path, keys: &Keys<'_>) -> Result<Unsealed> {
    match attempt(dir, keys) {
        // A writer may have given the vault a new identity between our two reads.
        Err(error) if error.kind() == Kind::Broken && just_written(dir, keys) => {
            // Whoever writes now is done when we hold the lock.
            let _writers_done =
                file::Lock::take(&dir.join("vault.lock"), std::time::Duration::from_secs(2));
            attempt(dir, keys).map_err(|_| error)
        }
        other => other,
    }
}

/// What one slot gave.
pub(super) enum Tried {
    /// It opens the vault, whose body this is.
    Opens(Body),
    /// It is absent, a clause.
    Absent(String),
}

/// Asks this slot alone, whatever others would give.
///
/// # Errors
/// As [`unseal`], of this slot.
pub(super) fn try_slot(
    dir: &Path,
    slot: &Slot,
    cache: &Cache,
    keys: &Keys<'_>,
    file: &Sealed,
) -> Result<Tried> {
    let source = Source::Slot(slot);
    match ask(dir, &source, cache, keys)? {
        Yield::Absent(reason) => Ok(Tried::Absent(reason)),
        Yield::Found(found) => match fitting(file, found, keys)? {
            Some((_, body)) => Ok(Tried::Opens(body)),
            None => Err(of_another_vault(&describe(&source), dir)),
        },
    }
}

/// The identity that opens the file, with what is in it; `None` when none does.
fn fitting(
    file: &Sealed,
    found: Vec<Identity>,
    keys: &Keys<'_>,
) -> Result<Option<(Identity, Body)>> {
    for identity in found {
        match envelope::open(file, &identity) {
            Ok(body) => {
                check_pins(&identity, keys.pins)?;
                return Ok(Some((identity, body)));
            }
            Err(Refusal::NotForThisKey) => {}
            Err(Refusal::Error(error)) => return Err(error),
        }
    }
    Ok(None)
}

fn of_another_vault(by: &str, dir: &Path) -> Error {
    Error::broken(format!(
        "{by} gives the identity of another vault than the one in {}",
        dir.display()
    ))
    .hint("put the vault and its slots back from one backup, then: clawkeep slot list")
}

/// Whether the vault changed in the last seconds, so that a second look is worth its time.
fn just_written(dir: &Path, keys: &Keys<'_>) -> bool {
    let ms = std::fs::metadata(dir.join("vault.age"))
        .and_then(|meta| meta.modified())
        .ok()
        .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
        .and_then(|since| i64::try_from(since.as_millis()).ok());
    ms.is_some_and(|ms| (keys.host.now().get() - ms).abs() < 5_000)
}

fn attempt(dir: &Path, keys: &Keys<'_>) -> Result<Unsealed> {
    let known = Cache::load(dir)?;
    // While slots change (or where it is only guessed what they are) one that does not fit may be one
    // that went, or that is still to come: the others are tried all the same.
    let settled = known
        .as_ref()
        .is_some_and(|cache| cache.next_vault_id.is_none());
    let cache = known.unwrap_or_else(|| Cache::guess(dir, keys.host, keys.pins.first().copied()));
    // After vault.json, so that the file is never older than what was noted as seen.
    let file = read_vault(dir)?;
    let mut absent = Vec::new();
    let mut failed: Option<Error> = None;
    for source in sources(&cache, keys) {
        let by = describe(&source);
        let attended = passphrase_slot(&source).filter(|_| settled);
        let found = match ask(dir, &source, &cache, keys) {
            Ok(Yield::Absent(reason)) => {
                absent.push(reason);
                continue;
            }
            Ok(Yield::Found(found)) => found,
            Err(error) if settled || error.kind() == Kind::Cancelled => return Err(error),
            Err(error) => {
                // A passphrase that is wrong can be typed again; so that is what is said.
                if error.kind() == Kind::Locked {
                    failed = Some(error);
                } else {
                    failed.get_or_insert(error);
                }
                continue;
            }
        };
        if let Some((identity, body)) = fitting(&file, found, keys)? {
            let opened = match source {
                Source::Slot(slot) => Some(slot.kind.clone()),
                Source::Credential(_) => None,
            };
            return Ok(Unsealed {
                identity,
                body,
                cache,
                by,
                opened,
                passphrase_slot: attended,
                accept_rollback: keys.accept_rollback,
            });
        }
        let error = of_another_vault(&by, dir);
        if settled {
            return Err(error);
        }
        failed.get_or_insert(error);
    }
    Err(failed.unwrap_or_else(|| nothing_opened(dir, &cache.slots, &absent)))
}

/// Opens `vault.age` for reading.
pub(super) fn read_vault(dir: &Path) -> Result<Sealed> {
    Sealed::find(&dir.join("vault.age"))?.ok_or_else(|| {
        if dir.join("vault.json").exists() || dir.join("slots").exists() {
            Error::broken(format!("vault.age is gone from {}", dir.display()))
                .hint("put it back from a backup, then: clawkeep secret list")
        } else {
            super::none_in(dir)
        }
    })
}

fn sources<'c>(cache: &'c Cache, keys: &Keys<'_>) -> Vec<Source<'c>> {
    let rank = |slot: &&Slot| match slot.kind {
        SlotKind::IdentityFile { .. } => 0,
        SlotKind::Keychain => 1,
        SlotKind::Passphrase(_) => 2,
    };
    let mut slots: Vec<&Slot> = cache.slots.iter().collect();
    slots.sort_by_key(rank);
    keys.host
        .var("CREDENTIALS_DIRECTORY")
        .map(|dir| PathBuf::from(dir).join(CREDENTIAL))
        .filter(|path| path.is_absolute())
        .map(Source::Credential)
        .into_iter()
        .chain(slots.into_iter().map(Source::Slot))
        .collect()
}

fn passphrase_slot(source: &Source<'_>) -> Option<SlotName> {
    match source {
        Source::Slot(slot) if !slot.kind.unattended() => Some(slot.name.clone()),
        Source::Slot(_) | Source::Credential(_) => None,
    }
}

fn describe(source: &Source<'_>) -> String {
    match source {
        Source::Credential(_) => format!("the systemd credential {CREDENTIAL}"),
        Source::Slot(slot) => format!("slot {} ({})", slot.name, slot.kind.name()),
    }
}

fn ask(dir: &Path, source: &Source<'_>, cache: &Cache, keys: &Keys<'_>) -> Result<Yield> {
    let slot = match source {
        Source::Credential(path) => return from_credential(dir, path, cache),
        Source::Slot(slot) => *slot,
    };
    let named = |error: Error| {
        let error = error.context(format!("slot {}", slot.name));
        if error.kind() != Kind::Broken {
            return error;
        }
        error.hint(format!(
            "open the vault another way, then: clawkeep slot add {} --name {} --replace",
            slot.kind.name(),
            slot.name
        ))
    };
    match &slot.kind {
        SlotKind::Keychain => from_keychain(cache, keys).map_err(named),
        SlotKind::IdentityFile { path, recipient } => {
            // The path is from vault.json, which anyone who can write the folder has written.
            slot::outside_vault(dir, path).map_err(|error| named(error.as_kind(Kind::Broken)))?;
            let mut key = slot::read_identity_file(path).map_err(named)?;
            // A home that was moved or restored under another name: the same key, where one is made
            // by default.
            if key.is_none()
                && let Ok(usual) = keys.host.default_identity_file()
            {
                key = slot::read_identity_file(&usual)
                    .map_err(named)?
                    .filter(|key| key.identity.recipient() == *recipient);
            }
            let Some(key) = key else {
                return Ok(Yield::Absent(if slot::is_credential(path) {
                    format!("slot {} opens for its service alone", slot.name)
                } else {
                    format!("the identity file {} is not there", path.display())
                }));
            };
            from_files(dir, slot, |bytes| {
                slot::unwrap_identity(bytes, &key.identity)
            })
            .and_then(|found| pinned(found, &key, path))
            .map_err(named)
        }
        SlotKind::Passphrase(_) => match (keys.ask)(&slot.name)? {
            None => Ok(Yield::Absent(format!(
                "slot {} needs a person at a terminal",
                slot.name
            ))),
            Some(passphrase) => from_files(dir, slot, |bytes| {
                slot::unwrap_passphrase(bytes, &passphrase)
            })
            .map_err(named),
        },
    }
}

/// What systemd provides is an identity file: where its key is that of a slot, it opens that slot's
/// file, so that the vault can get a new identity without systemd; otherwise it is the vault identity
/// itself.
fn from_credential(dir: &Path, path: &Path, cache: &Cache) -> Result<Yield> {
    // systemd owns these files as root and lets the service read them.
    let Some(bytes) = file::read(path, 64 * 1024, Privacy::Shared)? else {
        return Ok(Yield::Absent(format!(
            "systemd provides no credential {CREDENTIAL}"
        )));
    };
    let text = IdentityText::parse(&bytes).map_err(|error| error.context(path.display()))?;
    let own = text.identity.recipient();
    let of_slot = |slot: &&Slot| matches!(&slot.kind, SlotKind::IdentityFile { recipient, .. } if *recipient == own);
    if let Some(slot) = cache.slots.iter().find(of_slot) {
        return from_files(dir, slot, |bytes| {
            slot::unwrap_identity(bytes, &text.identity)
        })
        .map_err(|error| error.context(format!("slot {}", slot.name)));
    }
    // Where vault.json is lost, the files themselves say which is for this key.
    let mut found = Vec::new();
    for name in slot::file_names(dir)? {
        let bytes = slot::read(&dir.join("slots").join(name))?;
        found.extend(bytes.and_then(|bytes| slot::unwrap_identity(&bytes, &text.identity).ok()));
    }
    if found.is_empty() {
        found.push(text.identity);
    }
    Ok(Yield::Found(found))
}

fn from_keychain(cache: &Cache, keys: &Keys<'_>) -> Result<Yield> {
    let mut found = Vec::new();
    let ids = [cache.vault_id, cache.next_vault_id];
    for id in ids.into_iter().flatten().chain(keys.pins.iter().copied()) {
        match keys.keychain.get(&slot::keychain_item(&id)) {
            Ok(Some(bytes)) => {
                let text = std::str::from_utf8(&bytes).unwrap_or_default();
                let identity = Identity::parse(text.trim_end())
                    .map_err(|_| Error::broken("the keychain item holds no vault identity"))?;
                if identity.vault_id() != id {
                    return Err(Error::broken(
                        "the keychain item holds the identity of another vault",
                    ));
                }
                found.push(identity);
            }
            Ok(None) => {}
            Err(error) if error.kind() == Kind::Missing => {
                return Ok(Yield::Absent(error.message().to_owned()));
            }
            Err(error) => return Err(error),
        }
        if !found.is_empty() && cache.next_vault_id.is_none() {
            break;
        }
    }
    if found.is_empty() {
        return Ok(Yield::Absent(
            "the keychain has no item of this vault".to_owned(),
        ));
    }
    Ok(Yield::Found(found))
}

/// A slot's file, and its successors where a change of slots was interrupted.
fn from_files(
    dir: &Path,
    slot: &Slot,
    unwrap: impl Fn(&[u8]) -> Result<Identity>,
) -> Result<Yield> {
    let mut found = Vec::new();
    let mut failed = None;
    for path in slot::files(dir, &slot.name)? {
        match slot::read(&path).and_then(|bytes| bytes.map(|bytes| unwrap(&bytes)).transpose()) {
            Ok(identity) => found.extend(identity),
            // One of them may be under a passphrase or a key that is not this one.
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    if let (true, Some(error)) = (found.is_empty(), failed) {
        return Err(error);
    }
    if found.is_empty() {
        return Err(Error::broken("its file is gone from the vault's folder")
            .hint("open the vault another way and run: clawkeep slot add --replace"));
    }
    Ok(Yield::Found(found))
}

/// An identity file that clawkeep wrote names its vault, outside the vault's folder.
fn pinned(found: Yield, key: &IdentityText, path: &Path) -> Result<Yield> {
    let Yield::Found(found) = found else {
        return Ok(found);
    };
    if key.pins.is_empty() {
        return Ok(Yield::Found(found));
    }
    let fitting: Vec<Identity> = found
        .into_iter()
        .filter(|found| key.pins.contains(&found.vault_id()))
        .collect();
    if fitting.is_empty() {
        return Err(another_vault(&format!(
            "the identity file {}",
            path.display()
        )));
    }
    Ok(Yield::Found(fitting))
}

fn another_vault(who: &str) -> Error {
    Error::broken(format!(
        "another vault was put in this one's place: {who} names a different vault id"
    ))
    .hint("put the right vault back, or, if you changed it yourself: clawkeep link")
}

fn check_pins(identity: &Identity, pins: &[VaultId]) -> Result<()> {
    if pins.is_empty() || pins.contains(&identity.vault_id()) {
        return Ok(());
    }
    Err(another_vault("--vault-id"))
}

fn nothing_opened(dir: &Path, slots: &[Slot], absent: &[String]) -> Error {
    let attended = slots.iter().any(|slot| !slot.kind.unattended());
    let hint = if attended {
        "run it at a terminal, or add --passphrase-file FILE"
    } else {
        "bring back what is missing; lost for good? clawkeep slot add identity-file --replace --recovery"
    };
    let reasons = if absent.is_empty() {
        "it has no slot here".to_owned()
    } else {
        absent.join("; ")
    };
    Error::locked(format!(
        "the vault in {} stays locked: {reasons}",
        dir.display()
    ))
    .hint(hint)
}
