//! `status`: the vault at a glance: where it is, whether it opens, what OpenClaw is linked, and which
//! values a person has yet to replace. Ring 4; changes nothing.
//!
//! Promise: nobody is asked for anything; on a locked vault it says what it knows without opening it, and
//! what it does not know is called so.

use super::app::App;
use super::args::Status;
use super::init::AT_REST;
use super::opened::Opened;
use super::record::LinkRecord;
use super::{ui, unasked};
use crate::error::{Error, Kind, Result};
use crate::provider::{ProviderId, pages};
use crate::secret::SecretId;
use crate::store::{Meta, Store};
use crate::vault::cache::{Cache, Custody};
use crate::vault::id::VaultId;
use crate::vault::undo::{self, Listed};
use crate::vault::{Found, none_in};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What there is to show.
struct Glance {
    custody: Custody,
    id: Option<VaultId>,
    /// By what it is open, with what is stored; or why it stays locked.
    open: std::result::Result<(String, Vec<(SecretId, Meta)>), Error>,
    link: Option<LinkRecord>,
    bundles: Vec<Listed>,
}

/// Runs `status`.
///
/// # Errors
/// `Missing` without a vault, `Broken` where one does not hold together. A locked vault is none.
pub fn run(app: &App, args: &Status) -> Result<()> {
    let glance = look(app)?;
    if args.json {
        return app.ui.document(&document(app, &glance));
    }
    show(app, &glance)
}

fn look(app: &App) -> Result<Glance> {
    let Found::Vault(custody) = app.find()? else {
        return Err(none_in(&app.dir));
    };
    let (id, open) = match unasked::open(app) {
        Ok(opened) => (Some(opened.id()), Ok((opened_by(&opened), opened.list()?))),
        Err(error) if error.kind() == Kind::Locked => {
            let cache = Cache::load(&app.dir)?;
            (cache.and_then(|cache| cache.vault_id), Err(error))
        }
        Err(error) => return Err(error),
    };
    Ok(Glance {
        custody,
        id,
        open,
        link: LinkRecord::load(&app.dir)?,
        bundles: undo::list(&app.dir)?,
    })
}

/// By what it is open, after the word `open`.
pub fn opened_by(opened: &Opened) -> String {
    match opened {
        Opened::File(vault) => format!("by {}", vault.opened_by()),
        Opened::Keychain(_) => "while the keychain is".to_owned(),
        Opened::Keeper(_) => "by a keeper".to_owned(),
    }
}

/// The values that once stood in plaintext and were not replaced since.
fn was_plaintext(secrets: &[(SecretId, Meta)]) -> impl Iterator<Item = &(SecretId, Meta)> {
    secrets.iter().filter(|(_, meta)| meta.was_plaintext)
}

/// The same by provider, with how many each has; what belongs to none is not among them.
fn by_provider(secrets: &[(SecretId, Meta)]) -> BTreeMap<&ProviderId, usize> {
    let mut all = BTreeMap::new();
    for (_, meta) in was_plaintext(secrets) {
        if let Some(provider) = meta.profile_of() {
            *all.entry(provider).or_default() += 1;
        }
    }
    all
}

fn show(app: &App, glance: &Glance) -> Result<()> {
    let values = match glance.custody {
        Custody::File => "in vault.age",
        Custody::Keychain => "in the keychain",
    };
    let id = glance
        .id
        .map_or_else(|| "not known".to_owned(), |id| id.short());
    let (open, stored, marked) = match &glance.open {
        Ok((by, secrets)) => (
            format!("open, {by}"),
            secrets.len().to_string(),
            was_plaintext(secrets).count().to_string(),
        ),
        Err(error) => {
            let unknown = || "not known: locked".to_owned();
            (format!("locked: {}", error.message()), unknown(), unknown())
        }
    };
    let openclaw = glance.link.as_ref().map_or_else(
        || "not linked".to_owned(),
        |link| {
            format!(
                "{} is linked, and asks for {}",
                link.openclaw,
                ui::counted(link.linked.len() as u64, "id", "ids")
            )
        },
    );
    let undo = match glance.bundles.as_slice() {
        [] => "nothing".to_owned(),
        [newest, older @ ..] => {
            let until = newest
                .ends()
                .map_or_else(|| "kept".to_owned(), |at| format!("until {}", ui::date(at)));
            let all = ui::counted(older.len() as u64 + 1, "migration", "migrations");
            let newest = if older.is_empty() { "" } else { "the newest " };
            format!("{all}, {newest}{until}")
        }
    };
    let rows = [
        ["vault", &app.dir.display().to_string()],
        ["id", &id],
        ["values", values],
        ["state", &open],
        ["openclaw", &openclaw],
        ["stored", &stored],
        ["was plaintext", &marked],
        ["can be undone", &undo],
    ];
    let rows = rows.map(|cells| cells.map(str::to_owned).to_vec());
    app.ui.pairs(&rows)?;
    match &glance.open {
        Ok((_, secrets)) => rotation(app, secrets),
        Err(error) => {
            if let Some(hint) = error.hint_text() {
                app.ui.say(&format!("hint: {hint}"));
            }
        }
    }
    app.ui.say(AT_REST);
    Ok(())
}

/// Where each marked value is replaced.
fn rotation(app: &App, secrets: &[(SecretId, Meta)]) {
    if was_plaintext(secrets).next().is_none() {
        return;
    }
    app.ui.say(
        "Copies of what was plaintext may be left in backups, snapshots and disk blocks; only a new value \
         from its provider makes an old one worthless:",
    );
    for (provider, count) in by_provider(secrets) {
        let page = pages::of(provider).unwrap_or("at the provider");
        app.ui.say(&format!("  {provider} ({count}): {page}"));
    }
    let others = was_plaintext(secrets)
        .filter(|(_, meta)| meta.profile_of().is_none())
        .count();
    if others > 0 {
        app.ui.say(&format!(
            "  of no provider ({others}): clawkeep secret list names them"
        ));
    }
}

fn document(app: &App, glance: &Glance) -> Value {
    let (opened, locked, stored, marked, rotate) = match &glance.open {
        Ok((by, secrets)) => {
            let rotate: Vec<Value> = by_provider(secrets)
                .into_iter()
                .map(|(provider, count)| {
                    json!({ "provider": provider.as_str(), "count": count, "page": pages::of(provider) })
                })
                .collect();
            let marked: Vec<&str> = was_plaintext(secrets).map(|(id, _)| id.as_str()).collect();
            (
                Some(by),
                None,
                Some(secrets.len()),
                Some(marked),
                Some(rotate),
            )
        }
        Err(error) => (None, Some(error.message()), None, None, None),
    };
    let bundles: Vec<Value> = glance
        .bundles
        .iter()
        .map(|bundle| json!({ "id": bundle.id.as_str(), "ends": bundle.ends() }))
        .collect();
    json!({
        "vault": app.dir.display().to_string(),
        "vaultId": glance.id.map(|id| id.to_string()),
        "custody": glance.custody,
        "open": opened,
        "locked": locked,
        "stored": stored,
        "wasPlaintext": marked,
        "rotate": rotate,
        "openclaw": glance.link.as_ref().map(|link| json!({
            "version": link.openclaw,
            "config": link.config.display().to_string(),
            "linked": link.linked,
        })),
        "undo": bundles,
    })
}
