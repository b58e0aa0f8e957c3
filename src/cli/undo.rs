//! `migrate --undo`, `--forget` and what lists and ends undo bundles. Ring 4.
//!
//! Promise: a bundle goes only when all that it holds is back, when a person says so, or when its time
//! is over; nothing is written where one file was edited by a person.

use super::app::App;
use super::opened::Opened;
use super::record::LinkRecord;
use super::{pins, ui, unlink};
use crate::error::{Error, Result};
use crate::migrate::undo::{self, Done, Plan};
use crate::openclaw::config::Config;
use crate::openclaw::install::Install;
use crate::openclaw::places::Places;
use crate::vault::undo::{self as bundles, BundleId, Bundles, Listed};
use serde_json::{Value, json};
use std::path::Path;

/// What to type where a bundle has to be named.
const LIST: &str = "clawkeep migrate --undo-list";

/// What a person wants of `migrate --undo`.
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Wish<'a> {
    /// Which bundle; the newest where none is named.
    pub id: Option<&'a str>,
    /// Whether root may do it.
    pub as_root: bool,
    /// Whether it was agreed to already.
    pub yes: bool,
    /// Whether it is only shown what would happen.
    pub dry_run: bool,
    /// Whether stdout gets one document.
    pub json: bool,
    /// Where OpenClaw is, unless on `PATH`.
    pub openclaw: Option<&'a Path>,
}

/// Runs `migrate --undo [ID]`.
///
/// # Errors
/// `Missing` when there is no such bundle, `Broken` when it is not this vault's own, `Failed` when a
/// person edited a file since: nothing is written in these cases.
pub fn undo(app: &App, wish: &Wish<'_>) -> Result<()> {
    expire_old(app)?;
    let id = wanted(app, wish.id)?;
    let _alone = if wish.dry_run {
        None
    } else {
        Some(undo::alone(&app.dir)?)
    };
    let opened = app.open_by_slots()?;
    let gone = || Error::missing(format!("there is no undo bundle {id}")).hint(LIST);
    let drawer = of(app, &opened)?.ok_or_else(gone)?;
    let bundle = drawer.load(&id)?.ok_or_else(gone)?;
    let plan = Plan::of(&bundle, wish.as_root)?;
    if !wish.json {
        show(app, &plan, bundle.values.len());
    }
    let edited: Vec<String> = plan
        .edited()
        .map(|(path, _)| path.display().to_string())
        .collect();
    if wish.dry_run || !edited.is_empty() {
        if wish.json {
            app.ui.document(&document(&id, &plan, None))?;
        }
        return stopped(app, &edited, wish);
    }
    app.agree(
        wish.yes,
        "Put this back? The values then stand in plaintext where they stood; the vault keeps its copies.",
        false,
        "undoing a migration writes plaintext and",
        "add --yes, or look first: clawkeep migrate --undo --dry-run",
    )?;
    let install = if plan.needs_openclaw() {
        Install::find(&app.host, wish.openclaw)?
    } else {
        None
    };
    let said = wish.json.then(|| document(&id, &plan, None));
    let done = plan.apply(install.as_ref(), &app.host, &mut |step| {
        app.ui.say(&format!("{step} …"));
    })?;
    for note in &done.notes {
        app.ui.say(&format!("note: {note}"));
    }
    forget_link(app)?;
    if let Some((profile, secret)) = done.refused.first() {
        return Err(Error::failed(format!(
            "OpenClaw did not take {} values back, {profile} among them; all else is as it was, and the bundle {id} stays",
            done.refused.len()
        ))
        .hint(format!("it is in the vault: clawkeep secret get {secret}")));
    }
    if !done.still_there.is_empty() {
        return Err(Error::failed(format!(
            "OpenClaw still lists {} profiles that refer to the vault; the bundle {id} stays",
            done.still_there.len()
        ))
        .hint("openclaw models auth list"));
    }
    end(app, &opened, &drawer, &id)?;
    if let Some(mut said) = said {
        said["done"] = outcome(&done);
        return app.ui.document(&said);
    }
    app.ui.say(&format!(
        "Undone: {} files as they were, {} gone, {} with their values back; {} values back in OpenClaw's \
         database. The bundle {id} is destroyed. The values stay in the vault, too.",
        done.restored.len(),
        done.removed.len(),
        done.returned.len(),
        done.values
    ));
    Ok(())
}

/// Runs `migrate --forget ID`, or `all`.
///
/// # Errors
/// `Missing` when there is no such bundle.
pub fn forget(app: &App, which: &str, yes: bool, json: bool) -> Result<()> {
    let ids: Vec<BundleId> = if which == "all" {
        bundles::list(&app.dir)?
            .into_iter()
            .map(|it| it.id)
            .collect()
    } else {
        vec![BundleId::parse(which)?]
    };
    if ids.is_empty() {
        app.ui.say("There is no undo bundle.");
        forgotten(app, &ids, json)?;
        return forget_key(app);
    }
    let _alone = undo::alone(&app.dir)?;
    app.agree(
        yes,
        "Destroy what was kept to undo it? It cannot be brought back.",
        false,
        "destroying an undo bundle",
        "add --yes",
    )?;
    for id in &ids {
        if !bundles::forget(&app.dir, id)? {
            return Err(Error::missing(format!("there is no undo bundle {id}")).hint(LIST));
        }
        app.ui.say(&format!("Destroyed the undo bundle {id}."));
    }
    forgotten(app, &ids, json)?;
    forget_key(app)
}

fn forgotten(app: &App, ids: &[BundleId], json: bool) -> Result<()> {
    if !json {
        return Ok(());
    }
    let ids: Vec<&str> = ids.iter().map(BundleId::as_str).collect();
    app.ui.document(&json!({ "destroyed": ids }))
}

/// Lists the bundles, without opening the vault.
///
/// # Errors
/// `Broken` when their folder is not what it should be.
pub fn list(app: &App, json: bool) -> Result<()> {
    let listed = bundles::list(&app.dir)?;
    if json {
        let rows: Vec<Value> = listed.iter().map(row).collect();
        return app.ui.document(&json!({ "bundles": rows }));
    }
    if listed.is_empty() {
        app.ui.say("There is no undo bundle.");
        return Ok(());
    }
    let mut rows = vec![["ID", "MADE", "DESTROYED"].map(str::to_owned).to_vec()];
    rows.extend(listed.iter().map(|it| {
        let ends = it.ends().map_or("kept".to_owned(), ui::date);
        vec![it.id.to_string(), ui::second(it.id.created()), ends]
    }));
    app.ui.table(&rows)
}

fn row(listed: &Listed) -> Value {
    json!({
        "id": listed.id.as_str(),
        "created": listed.id.created(),
        "ends": listed.ends(),
        "bytes": listed.size,
    })
}

/// Destroys bundles whose time is over, and says so. Gives how many.
///
/// # Errors
/// As [`bundles::expire`].
pub fn expire_old(app: &App) -> Result<usize> {
    let over = bundles::expire(&app.dir, app.host.now())?;
    for id in &over {
        app.ui.say(&format!(
            "The undo bundle {id} was destroyed: it was older than 30 days."
        ));
    }
    if !over.is_empty() {
        forget_key(app)?;
    }
    Ok(over.len())
}

/// The bundles of an open vault; `Ok(None)` when there can be none. A keeper gives out no identity: open
/// the vault by its slots ([`App::open_by_slots`]).
///
/// # Errors
/// `Locked` where the keychain is, or a keeper was asked.
pub fn of(app: &App, opened: &Opened) -> Result<Option<Bundles>> {
    match opened {
        Opened::File(vault) => vault.bundles().map(Some),
        Opened::Keychain(items) => items.bundles(&app.dir),
        Opened::Keeper(_) => Err(by_slots()),
    }
}

/// The same, to write one.
///
/// # Errors
/// As [`of`].
pub fn to_write(app: &App, opened: &Opened) -> Result<Bundles> {
    match opened {
        Opened::File(vault) => vault.bundles(),
        Opened::Keychain(items) => items.bundles_to_write(&app.dir),
        Opened::Keeper(_) => Err(by_slots()),
    }
}

fn by_slots() -> Error {
    Error::locked("the keeper gives out nothing that undo bundles could be sealed with")
        .hint("clawkeep lock")
}

/// The bundle that is named, or the newest.
fn wanted(app: &App, id: Option<&str>) -> Result<BundleId> {
    if let Some(id) = id {
        return BundleId::parse(id);
    }
    let newest = bundles::list(&app.dir)?.into_iter().next();
    newest.map(|it| it.id).ok_or_else(|| {
        Error::missing("there is nothing to undo: no undo bundle is in the vault's folder")
            .hint(LIST)
    })
}

fn show(app: &App, plan: &Plan<'_>, values: usize) {
    for (path, fate) in plan.files() {
        app.ui
            .say(&format!("  {}: {}", path.display(), fate.said()));
    }
    if values > 0 {
        app.ui.say(&format!(
            "  {values} values return to OpenClaw's database, by its own commands"
        ));
    }
    for (path, difference) in plan.edited() {
        app.ui.say(&format!(
            "\nWhat undoing would change in {}:\n{difference}",
            path.display()
        ));
    }
}

fn stopped(app: &App, edited: &[String], wish: &Wish<'_>) -> Result<()> {
    if let Some(path) = edited.first() {
        if wish.json {
            return Err(Error::shown());
        }
        return Err(Error::failed(format!(
            "{path} was edited since the migration; nothing was written"
        ))
        .hint(format!(
            "take the edit back, or put the file aside: mv {0} {0}.mine",
            crate::error::typed(Path::new(path))
        )));
    }
    if !wish.json {
        app.ui.say("Dry run: nothing was changed.");
    }
    Ok(())
}

fn document(id: &BundleId, plan: &Plan<'_>, done: Option<&Done>) -> Value {
    let files: Vec<Value> = plan
        .files()
        .map(|(path, fate)| json!({ "path": path.display().to_string(), "fate": fate.word() }))
        .collect();
    json!({ "id": id.as_str(), "files": files, "done": done.map(outcome) })
}

fn outcome(done: &Done) -> Value {
    json!({
        "restored": done.restored.len(),
        "removed": done.removed.len(),
        "returned": done.returned.len(),
        "values": done.values,
        "refused": done.refused.iter().map(|(profile, _)| profile.as_str()).collect::<Vec<_>>(),
        "notes": done.notes,
    })
}

/// The link goes with the entry in openclaw.json that made it.
fn forget_link(app: &App) -> Result<()> {
    if LinkRecord::load(&app.dir)?.is_none() {
        return Ok(());
    }
    let places = Places::find(&app.host)?;
    let is_linked =
        Config::read(places.config()).is_ok_and(|config| pins::is_linked(&config, &app.dir));
    if is_linked {
        return Ok(());
    }
    LinkRecord::forget(&app.dir)?;
    unlink::forget_linked(app)?;
    app.ui
        .say("OpenClaw is not linked to the vault any more, as before the migration.");
    Ok(())
}

fn end(app: &App, opened: &Opened, drawer: &Bundles, id: &BundleId) -> Result<()> {
    drawer.forget(id)?;
    match opened {
        Opened::Keychain(items) => items.forget_bundles(&app.dir),
        Opened::File(_) | Opened::Keeper(_) => Ok(()),
    }
}

/// With the last bundle of a vault in the keychain goes what they were sealed with.
fn forget_key(app: &App) -> Result<()> {
    use crate::vault::cache::Custody;
    if app.find()? != crate::vault::Found::Vault(Custody::Keychain) {
        return Ok(());
    }
    match app.open()? {
        Opened::Keychain(items) => items.forget_bundles(&app.dir),
        Opened::File(_) | Opened::Keeper(_) => Ok(()),
    }
}
