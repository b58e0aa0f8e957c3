//! `slot` and `rekey`: the ways to open the vault. Ring 4.
//!
//! Promise: no slot is removed silently; an old copy of a slot that was removed or replaced opens
//! nothing that is written afterwards, unless that was declined.

use super::app::App;
use super::args::{Rekey as RekeyArgs, SlotAdd, SlotArg, SlotCommand, SlotRemove};
use super::init::{slot_name, slot_plan};
use super::pins::Pins;
use super::recovery;
use crate::error::{Error, Result};
use crate::vault::Vault;
use crate::vault::id::VaultId;
use crate::vault::identity::Identity;
use crate::vault::rekey::{Doors, Fate, Rekey, SlotPlan};
use crate::vault::slot::{Slot, SlotKind, SlotName};

/// Runs one `slot` command.
pub fn run(app: &App, command: &SlotCommand) -> Result<()> {
    match command {
        SlotCommand::Add(args) => add(app, args),
        SlotCommand::List(args) => super::slot_list::run(app, args),
        SlotCommand::Remove(args) => remove(app, args),
    }
}

fn add(app: &App, args: &SlotAdd) -> Result<()> {
    let mut vault = if args.recovery || args.recovery_file.is_some() {
        app.open_with_recovery(args.recovery_file.as_deref())?
    } else {
        app.open_vault_file("slots")?
    };
    let name = match &args.name {
        Some(name) => SlotName::parse(name)?,
        None => slot_name(args.kind)?,
    };
    let old = vault
        .contents()
        .slots
        .iter()
        .find(|slot| slot.name == name)
        .cloned();
    if old.is_some() && !args.replace {
        return Err(
            Error::failed(format!("there is a slot {name} already")).hint(format!(
                "clawkeep slot add {} --name {name}2, or --replace to change it",
                kind_word(args.kind)
            )),
        );
    }
    let has_keychain = vault
        .contents()
        .slots
        .iter()
        .any(|slot| slot.kind == SlotKind::Keychain && slot.name != name);
    if args.kind == SlotArg::Keychain && has_keychain {
        return Err(
            Error::failed("the vault has a keychain slot already; it needs no second one")
                .hint("clawkeep slot list"),
        );
    }
    let mut person = app.person()?;
    let plan = slot_plan(
        app,
        args.kind,
        args.identity_file.clone(),
        args.new_passphrase_file.clone(),
        person.as_mut(),
    )?;
    let keychain = app.keychain();
    let doors = Doors {
        host: &app.host,
        keychain: &keychain,
    };
    if old.is_some() && !args.keep_identity {
        let keep = "add --keep-identity, then leave it out: clawkeep rekey --drop";
        let fates = fates(app, &vault, &[&name], keep)?;
        give_new_identity(
            app,
            &mut vault,
            fates,
            vec![(name.clone(), plan)],
            &Sheet::Same,
            &doors,
        )?;
        app.ui.say(&format!(
            "Slot {name} replaced; its old copies open nothing that is written from now on."
        ));
        to_rotate(app, &vault);
        return Ok(());
    }
    vault.add_slot(&name, plan, &doors)?;
    if old.is_some() {
        app.ui.say(&format!(
            "Slot {name} replaced. An old copy of it still opens this vault."
        ));
        app.ui.say("hint: clawkeep rekey");
    } else {
        app.ui.say(&format!("Slot {name} added."));
    }
    Ok(())
}

fn kind_word(kind: SlotArg) -> &'static str {
    match kind {
        SlotArg::Keychain => "keychain",
        SlotArg::Passphrase => "passphrase",
        SlotArg::IdentityFile => "identity-file",
    }
}

fn remove(app: &App, args: &SlotRemove) -> Result<()> {
    let name = SlotName::parse(&args.name)?;
    let mut vault = app.open_vault_file("slots")?;
    let slots = &vault.contents().slots;
    if !slots.iter().any(|slot| slot.name == name) {
        return Err(Error::missing(format!("there is no slot {name}")).hint("clawkeep slot list"));
    }
    if slots.len() == 1 {
        return Err(Error::failed(format!(
            "{name} is the last slot; without it only the recovery key would open the vault"
        ))
        .hint("add another one first: clawkeep slot add identity-file"));
    }
    app.agree(
        args.yes,
        &format!("Remove slot {name}?"),
        false,
        "this",
        "add --yes",
    )?;
    let keychain = app.keychain();
    let doors = Doors {
        host: &app.host,
        keychain: &keychain,
    };
    if args.keep_identity {
        vault.drop_slot(&name, &doors)?;
        app.ui.say(&format!("Slot {name} removed. An old copy of it still opens this vault and every later state of it."));
        app.ui.say("hint: clawkeep rekey");
        return Ok(());
    }
    let both = format!("leave both out: clawkeep rekey --drop {name} --drop");
    let fates = fates(app, &vault, &[&name], &both)?;
    give_new_identity(app, &mut vault, fates, Vec::new(), &Sheet::Same, &doors)?;
    app.ui.say(&format!(
        "Slot {name} removed; its old copies open nothing that is written from now on."
    ));
    to_rotate(app, &vault);
    Ok(())
}

/// Runs `rekey`.
pub fn rekey(app: &App, args: &RekeyArgs) -> Result<()> {
    let mut vault = app.open_vault_file("rekey")?;
    let dropped = args
        .drop
        .iter()
        .map(|name| SlotName::parse(name))
        .collect::<Result<Vec<_>>>()?;
    for name in &dropped {
        if !vault.contents().slots.iter().any(|slot| slot.name == *name) {
            return Err(
                Error::missing(format!("there is no slot {name}")).hint("clawkeep slot list")
            );
        }
    }
    if dropped.len() >= vault.contents().slots.len() {
        return Err(Error::failed("no slot would be left").hint("clawkeep slot add identity-file"));
    }
    app.agree(
        args.yes,
        "Give the vault a new identity and wrap it for every slot again?",
        false,
        "this",
        "add --yes",
    )?;
    let skip: Vec<&SlotName> = dropped.iter().collect();
    let fates = fates(app, &vault, &skip, LEAVE_OUT)?;
    let keychain = app.keychain();
    let doors = Doors {
        host: &app.host,
        keychain: &keychain,
    };
    let wants_recovery = args.new_recovery || args.recovery_file.is_some();
    let sheet = if wants_recovery {
        Sheet::New(args.recovery_file.as_deref())
    } else {
        Sheet::Same
    };
    give_new_identity(app, &mut vault, fates, Vec::new(), &sheet, &doors)?;
    to_rotate(app, &vault);
    Ok(())
}

/// What can be done about a slot that nobody can wrap again; its name follows.
const LEAVE_OUT: &str = "leave it out: clawkeep rekey --drop";

/// One fate for every slot: `dropped` ones go, every other one is wrapped again.
fn fates(
    app: &App,
    vault: &Vault,
    dropped: &[&SlotName],
    otherwise: &str,
) -> Result<Vec<(SlotName, Fate)>> {
    vault
        .contents()
        .slots
        .iter()
        .map(|slot| {
            if dropped.contains(&&slot.name) {
                return Ok((slot.name.clone(), Fate::Drop));
            }
            Ok((
                slot.name.clone(),
                Fate::Keep(rewrap(app, vault, slot, otherwise)?),
            ))
        })
        .collect()
}

fn rewrap(app: &App, vault: &Vault, slot: &Slot, otherwise: &str) -> Result<SlotPlan> {
    Ok(match &slot.kind {
        SlotKind::Keychain => SlotPlan::Keychain,
        SlotKind::IdentityFile { path, recipient } => {
            SlotPlan::Recipient(path.clone(), recipient.clone())
        }
        SlotKind::Passphrase(cost) => {
            let Some(passphrase) = app.passphrase_again(&slot.name)? else {
                return Err(Error::locked(format!(
                    "slot {} can be wrapped again only with its passphrase",
                    slot.name
                ))
                .hint(format!(
                    "use --passphrase-file FILE, or {otherwise} {}",
                    slot.name
                )));
            };
            vault
                .proves_passphrase(&slot.name, &passphrase)
                .map_err(|error| error.context(format!("slot {}", slot.name)))?;
            SlotPlan::Passphrase(passphrase, *cost)
        }
    })
}

/// The recovery key after a change of identity.
enum Sheet<'a> {
    Same,
    /// A new one, into this file or before the person's eyes.
    New(Option<&'a std::path::Path>),
}

fn give_new_identity(
    app: &App,
    vault: &mut Vault,
    fates: Vec<(SlotName, Fate)>,
    added: Vec<(SlotName, SlotPlan)>,
    sheet: &Sheet<'_>,
    doors: &Doors<'_>,
) -> Result<()> {
    let old = vault.id();
    let identity = Identity::generate();
    let recovery = match sheet {
        Sheet::Same => vault.contents().recovery.clone(),
        Sheet::New(path) => {
            let mut person = app.person()?;
            recovery::make(
                app,
                identity.vault_id(),
                *path,
                recovery::Wanted::New,
                person.as_mut(),
            )?
        }
    };
    let mut pins = Pins::of(app)?;
    let new = vault.rekey(
        Rekey {
            identity,
            fates,
            added,
            recovery,
            before: &mut |new: VaultId| pins.both(old, new),
        },
        doors,
    );
    match new {
        Ok(new) => {
            pins.only(new)?;
            app.ui
                .say(&format!("Vault id: {new} (it was {}…)", old.short()));
            if let Some(place) = pins.place() {
                app.ui.say(&format!(
                    "{} names the new id. Tell a running gateway: openclaw secrets reload",
                    place.display()
                ));
            }
            Ok(())
        }
        Err(error) => {
            // Nothing changed: OpenClaw's pin goes back to what it was.
            let _ = pins.only(old);
            Err(error)
        }
    }
}

/// Whoever had a slot may have kept what he read: only the provider can make a value worthless.
fn to_rotate(app: &App, vault: &Vault) {
    if vault.contents().secrets.is_empty() {
        return;
    }
    app.ui.say(
        "Whoever could open the old slots may know these values; replace them at their provider:",
    );
    for (id, entry) in &vault.contents().secrets {
        let provider = entry
            .meta
            .provider
            .as_ref()
            .map_or(String::new(), |p| format!(" ({p})"));
        app.ui.say(&format!("  {id}{provider}"));
    }
}
