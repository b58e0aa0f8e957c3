//! `backup`: the vault in one file, still encrypted. Ring 4.
//!
//! Promise: a new file or none; what is not in it is said each time, and that a key beside it makes it
//! plaintext.

use super::app::App;
use super::args::Backup as Args;
use super::record::{self, LinkRecord};
use super::target;
use super::{ui, unasked};
use crate::backup::{self, About, Backup, Name};
use crate::error::{Error, Kind, Result};
use crate::file::{self, LOCK_WAIT, Lock};
use crate::openclaw::auth_state;
use crate::openclaw::profiles::{Expires, ProfileKind, ProfilesFile};
use crate::openclaw::reference::SecretRef;
use crate::secret::SecretKind;
use crate::store::Store as _;
use crate::vault::cache::{Cache, Custody};
use crate::vault::slot::{Slot, SlotKind};
use crate::vault::{self, Found};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// Runs `backup`.
pub fn run(app: &App, args: &Args) -> Result<()> {
    let Found::Vault(custody) = app.find()? else {
        return Err(vault::none_in(&app.dir));
    };
    let path = target::new_file(app, &args.file, "the backup")?;
    let lock = Lock::take(&app.dir.join("vault.lock"), LOCK_WAIT)?;
    let mut backup = backup::take(&app.dir, custody, app.host.now(), &lock)?;
    note_profiles(app, &mut backup)?;
    let proof = prove(app, custody)?;
    drop(lock);
    let bytes = backup.write()?;
    file::create(&path, &bytes, 0o600)?;
    app.ui.say(&format!(
        "Backup: {} ({}, {} KiB)",
        path.display(),
        described(&backup.about),
        bytes.len().div_ceil(1024)
    ));
    app.ui.say(&proof);
    app.ui.say(&format!("In it: {}.", held(&backup)));
    if custody == Custody::Keychain {
        app.ui
            .say("There is no value in it: they lie in the keychain, and only there.");
        app.ui.say("hint: clawkeep export --output FILE");
        return Ok(());
    }
    let slots = slots(app)?;
    app.ui.say(&format!(
        "Not in it: {}. Without one of them nobody opens it; with one of them beside it, it is plaintext.",
        keys(&slots)
    ));
    note_keys_beside(app, &slots, &path);
    Ok(())
}

/// Where OpenClaw's own auth-profiles.json is the home of profiles, a vault's folder says nothing of them,
/// and on another machine they would be gone. Of that file only what refers to the vault is taken: there
/// may be logins and values in the clear in it.
///
/// # Errors
/// `Broken` when one of these files cannot be read as what it is.
fn note_profiles(app: &App, backup: &mut Backup) -> Result<()> {
    let link = LinkRecord::load(&app.dir)?;
    for agent in record::agents(&app.dir, link.as_ref()) {
        let homes = record::homes(&app.dir, link.as_ref(), &agent);
        let [theirs, _] = homes.as_slice() else {
            continue;
        };
        let known = record::load_profiles(&app.dir, link.as_ref(), &agent)?;
        let mut noted = ProfilesFile::empty();
        for profile in known.profiles() {
            let kind = match profile.kind {
                ProfileKind::Token => SecretKind::Token,
                ProfileKind::ApiKey => SecretKind::ApiKey,
                ProfileKind::Oauth => continue,
            };
            let Some(reference) = profile.reference.filter(SecretRef::is_ours) else {
                continue;
            };
            let expires = match profile.expires {
                Expires::At(at) if kind == SecretKind::Token => Some(at),
                _ => None,
            };
            noted.set_ref(&profile.id, &profile.provider, kind, &reference, expires)?;
        }
        let providers: BTreeSet<_> = noted.profiles().into_iter().map(|p| p.provider).collect();
        for provider in providers {
            let state = auth_state::beside(theirs);
            let order = auth_state::order_in_state(&state, &provider)?;
            if let Some(order) = order.or_else(|| known.order(&provider)) {
                noted.set_order(&provider, &order);
            }
        }
        if !noted.profiles().is_empty() {
            backup.set(Name::Profiles(agent), noted.to_bytes().to_vec());
        }
    }
    Ok(())
}

/// Opens the vault under the lock, so that it is the same one: a backup that would not open is no backup.
///
/// # Errors
/// `Broken` when the vault is not what it should be.
fn prove(app: &App, custody: Custody) -> Result<String> {
    let counted = unasked::open_by_slots(app).and_then(|opened| Ok(opened.list()?.len()));
    match counted {
        Ok(count) if custody == Custody::Keychain => {
            Ok(format!("The keychain has {count} values of it now."))
        }
        Ok(count) => Ok(format!("Checked: it opens, with {count} secrets.")),
        Err(error) if error.kind() == Kind::Broken => Err(error.context(
            "the vault is not whole, and a backup of it would not be (copy the folder to keep it as it is)",
        )),
        Err(error) => Ok(format!("Not checked whether it opens: {error}.")),
    }
}

/// `vault 0123456789abcdef, generation 7`.
pub fn described(about: &About) -> String {
    let mut text = about
        .vault_id
        .map_or("a vault".to_owned(), |id| format!("vault {}", id.short()));
    if let Some(generation) = about.generation {
        let _ = write!(text, ", generation {generation}");
    }
    text
}

fn held(backup: &Backup) -> String {
    let count = |is: fn(&Name) -> bool| backup.names().filter(|name| is(name)).count();
    let several = |count: usize, one: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{count} {one}s")),
    };
    let slots = several(count(|name| matches!(name, Name::Slot(_))), "slot");
    let bundles = several(count(|name| matches!(name, Name::Undo(_))), "undo bundle");
    let agents = several(
        count(|name| matches!(name, Name::Profiles(_))),
        "agent's profile list",
    );
    let encrypted = backup
        .holds(&Name::VaultAge)
        .then(|| "the vault".to_owned())
        .into_iter()
        .chain(slots)
        .chain(bundles);
    let plain = ["vault.json".to_owned()]
        .into_iter()
        .filter(|_| backup.holds(&Name::VaultJson))
        .chain(agents)
        .chain(
            backup
                .holds(&Name::Link)
                .then(|| "the link to OpenClaw".to_owned()),
        );
    let (encrypted, plain): (Vec<_>, Vec<_>) = (encrypted.collect(), plain.collect());
    [(encrypted, "encrypted"), (plain, "without secrets")]
        .into_iter()
        .filter(|(names, _)| !names.is_empty())
        .map(|(names, how)| format!("{} ({how})", names.join(", ")))
        .collect::<Vec<_>>()
        .join("; ")
}

fn slots(app: &App) -> Result<Vec<Slot>> {
    let cache = Cache::load(&app.dir)?;
    Ok(cache
        .unwrap_or_else(|| Cache::guess(&app.dir, &app.host, None))
        .slots)
}

/// What opens a vault with these slots.
fn keys(slots: &[Slot]) -> String {
    slots
        .iter()
        .map(|slot| match &slot.kind {
            SlotKind::Keychain => "the keychain's item".to_owned(),
            SlotKind::Passphrase(_) => format!("the passphrase of slot {}", slot.name),
            SlotKind::IdentityFile { path, .. } => {
                format!("the identity file {}", path.display())
            }
        })
        .chain(["the recovery key".to_owned()])
        .collect::<Vec<_>>()
        .join(", ")
}

fn note_keys_beside(app: &App, slots: &[Slot], path: &Path) {
    for slot in slots {
        if let SlotKind::IdentityFile { path: key, .. } = &slot.kind
            && key
                .parent()
                .is_some_and(|folder| target::lies_in(path, folder))
        {
            app.ui.say(&format!(
                "note: the identity file {} lies with it: move one of the two",
                key.display()
            ));
        }
    }
}

/// When a backup was made, for people.
pub fn made(about: &About) -> String {
    ui::date(about.created)
}

/// The file that was named does not hold a backup, or does.
///
/// # Errors
/// As [`Backup::load`].
pub fn load(app: &App, path: &Path) -> Result<Backup> {
    let backup = Backup::load(&app.host.absolute(path)?)?;
    let is_other = |id| !app.pins.is_empty() && !app.pins.contains(&id);
    if backup.about.vault_id.is_some_and(is_other) {
        return Err(Error::broken(
            "the backup is of another vault: --vault-id names a different vault id",
        ));
    }
    Ok(backup)
}
