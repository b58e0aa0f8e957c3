//! `slot list`: the ways to open the vault, also while none of them opens. Ring 4.
//!
//! Promise: what the vault itself says is shown when it opens; when it stays locked, what `vault.json`
//! says is shown instead and is called unproven.

use super::app::App;
use super::args::SlotList;
use super::ui;
use crate::error::{Error, Kind, Result};
use crate::vault::body::Recovery;
use crate::vault::cache::Cache;
use crate::vault::id::VaultId;
use crate::vault::slot::{Slot, SlotKind};
use serde_json::json;

/// What there is to show.
struct Listing {
    id: Option<VaultId>,
    slots: Vec<Slot>,
    /// What opened the vault and the recovery key's state, or why it stays locked.
    proof: std::result::Result<(String, Option<Recovery>), Error>,
}

/// Runs `slot list`.
pub fn run(app: &App, args: &SlotList) -> Result<()> {
    let listing = look(app)?;
    if args.json {
        document(app, &listing)
    } else {
        table(app, &listing)
    }
}

fn look(app: &App) -> Result<Listing> {
    match app.open_vault_file("slots") {
        Ok(vault) => Ok(Listing {
            id: Some(vault.id()),
            slots: vault.contents().slots.clone(),
            proof: Ok((
                vault.opened_by().to_owned(),
                vault.contents().recovery.clone(),
            )),
        }),
        Err(error) if error.kind() == Kind::Locked => {
            let cache = match Cache::load(&app.dir)? {
                Some(cache) => cache,
                None => Cache::guess(&app.dir, &app.host, app.pins.first().copied()),
            };
            Ok(Listing {
                id: cache.vault_id,
                slots: cache.slots,
                proof: Err(error),
            })
        }
        Err(error) => Err(error),
    }
}

fn document(app: &App, listing: &Listing) -> Result<()> {
    let slots: Vec<_> = listing
        .slots
        .iter()
        .map(|slot| {
            json!({
                "name": slot.name.as_str(),
                "kind": slot.kind.name(),
                "created": slot.created.get(),
                "unattended": slot.kind.unattended(),
            })
        })
        .collect();
    let (opened_by, locked, recovery) = match &listing.proof {
        Ok((by, recovery)) => (Some(by), None, recovery.as_ref()),
        Err(error) => (None, Some(error.message()), None),
    };
    app.ui.document(&json!({
        "vault": app.dir.display().to_string(),
        "vaultId": listing.id.map(|id| id.to_string()),
        "openedBy": opened_by,
        "locked": locked,
        "slots": slots,
        "recovery": recovery.map(|recovery| json!({
            "created": recovery.created.get(),
            "checked": recovery.checked.map(crate::expiry::Millis::get),
        })),
    }))
}

fn table(app: &App, listing: &Listing) -> Result<()> {
    let mut rows = vec![
        ["SLOT", "KIND", "OPENS", "MADE", "WHERE"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for slot in &listing.slots {
        let place = match &slot.kind {
            SlotKind::Keychain => "the keychain".to_owned(),
            SlotKind::Passphrase(cost) => format!("your head ({} MiB a guess)", cost.m_kib / 1024),
            SlotKind::IdentityFile { path, .. } => path.display().to_string(),
        };
        let opens = if slot.kind.unattended() {
            "without a person"
        } else {
            "with a person"
        };
        rows.push(vec![
            slot.name.to_string(),
            slot.kind.name().to_owned(),
            opens.to_owned(),
            ui::date(slot.created),
            place,
        ]);
    }
    app.ui.table(&rows)?;
    match &listing.proof {
        Ok((_, None)) => app.ui.say("Recovery key: none."),
        Ok((_, Some(recovery))) => match recovery.checked {
            Some(at) => app
                .ui
                .say(&format!("Recovery key: last proven {}.", ui::date(at))),
            None => app
                .ui
                .say("Recovery key: never proven.\nhint: clawkeep recovery check"),
        },
        Err(error) => {
            app.ui.say(&format!("{}.", ui::capital(error.message())));
            app.ui.say(
                "The list is what vault.json says; nothing proves it while the vault is locked.",
            );
            app.ui.say(
                "hint: all of them lost? clawkeep slot add identity-file --replace --recovery",
            );
        }
    }
    if let Some(id) = listing.id {
        app.ui.say(&format!("Vault id: {id}"));
    }
    Ok(())
}
