//! The end of a migration: what a scan by value still finds, what stays, and what a person does next.
//! Ring 4.

use super::listing::Listed;
use super::show;
use super::steps::Done;
use crate::cli::app::App;
use crate::cli::args::Migrate;
use crate::cli::opened::Opened;
use crate::cli::preview;
use crate::cli::reload::{self, Reload};
use crate::cli::ui;
use crate::error::{Error, Result};
use crate::file::rooted;
use crate::migrate::digest::Digest;
use crate::migrate::plan::{Fate, Plan};
use crate::openclaw::install::Install;
use crate::openclaw::link::{self, Applied};
use crate::provider::ProviderId;
use crate::scan::{self, Needles, Options, Place, What};
use crate::store::Store;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How many variables are named at the end.
const SHOWN: usize = 20;

/// A place where a value that moved still is.
struct Left {
    path: PathBuf,
    line: Option<u64>,
    names: Vec<String>,
}

/// Says what came of it.
///
/// # Errors
/// `Failed` when something is left that should be gone.
pub(super) fn end(
    app: &App,
    args: &Migrate,
    opened: &Opened,
    listed: &Listed,
    plan: &Plan,
    done: &Done,
) -> Result<()> {
    let left = left_over(app, opened, listed, plan)?;
    let marked = marked(opened)?;
    if let (Some(record), false) = (&done.linked, args.json) {
        reload::after_a_change(app, record, Reload::unless(args.no_reload));
    }
    let unclean = audit(app, args, done)?;
    for (path, error) in &done.failed {
        app.ui.say(&format!(
            "{}: left: {}",
            listed.short(path),
            error.message()
        ));
    }
    for note in &done.notes {
        app.ui.say(&format!("note: {note}"));
    }
    if args.json {
        let mut document = show::document(listed, plan);
        document["dryRun"] = false.into();
        document["undo"] = json!(done.bundle);
        document["failed"] = done
            .failed
            .iter()
            .map(|(path, error)| {
                json!({ "file": path.display().to_string(), "reason": error.message() })
            })
            .collect::<Vec<_>>()
            .into();
        document["notes"] = json!(done.notes);
        document["cleaned"] = done
            .scrubbed
            .iter()
            .map(|path| path.display().to_string())
            .collect::<Vec<_>>()
            .into();
        document["left"] = left
            .iter()
            .map(|left| {
                json!({
                    "file": left.path.display().to_string(),
                    "line": left.line,
                    "ids": left.names,
                })
            })
            .collect::<Vec<_>>()
            .into();
        document["wasPlaintext"] = marked.len().into();
        app.ui.document(&document)?;
    } else {
        said(app, listed, plan, done, &left, &marked);
    }
    if !left.is_empty() || !done.failed.is_empty() {
        let places = match left.len().max(done.failed.len()) {
            1 => "one place still holds".to_owned(),
            many => format!("{many} places still hold"),
        };
        return Err(Error::failed(format!(
            "moved, but {places} a value in plaintext, as named above"
        ))
        .hint("clawkeep scan"))
        .map_err(|error| if args.json { Error::shown() } else { error });
    }
    if !unclean.is_empty() {
        return Err(
            Error::failed("moved, but something is left to be cleaned, as named above")
                .hint(unclean.join("\n      ")),
        )
        .map_err(|error| if args.json { Error::shown() } else { error });
    }
    Ok(())
}

/// OpenClaw's own judgement, now that the plaintext is gone.
fn audit(app: &App, args: &Migrate, done: &Done) -> Result<Vec<String>> {
    if done.linked.is_none() {
        return Ok(Vec::new());
    }
    let Some(install) = Install::find(&app.host, args.how.openclaw.as_deref())? else {
        return Ok(Vec::new());
    };
    app.ui.say("asking OpenClaw to audit its files …");
    let mut applied = Applied::default();
    match link::audit(&install) {
        Ok(audit) => applied.audit = Some(audit),
        Err(error) => applied.notes.push(error.message().to_owned()),
    }
    Ok(preview::done(app, &applied))
}

/// Searches by value, in everything that was looked through and in OpenClaw's folder. What is known to
/// stay is not among it.
fn left_over(app: &App, opened: &Opened, listed: &Listed, plan: &Plan) -> Result<Vec<Left>> {
    let mut names: BTreeMap<String, Digest> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for row in plan.rows.iter().filter(|row| row.fate.is_gone()) {
        let value = listed.found.items[row.item].value;
        // A copy of what stays elsewhere has no name; OpenClaw may copy that again at any time.
        if let Some(id) = row.ids.first()
            && seen.insert(value)
        {
            names.insert(id.to_string(), value);
        }
    }
    if names.is_empty() {
        return Ok(Vec::new());
    }
    app.ui.say("searching for what is left …");
    let values = names
        .iter()
        .map(|(name, value)| Ok((name.clone(), listed.found.values.copy(value)?)))
        .collect::<Result<Vec<_>>>()?;
    let mut roots: Vec<PathBuf> = vec![listed.places.state().to_owned()];
    roots.extend(listed.reads.iter().map(|read| read.source.path.clone()));
    roots.retain(|root| root.exists());
    let options = Options {
        vault: Some(opened.id()),
        identity_files: Vec::new(),
    };
    let report = scan::files(&roots, &Needles::unmasked(values)?, &options, &mut ())?;
    let stays: BTreeSet<(&Path, Digest)> = plan
        .rows
        .iter()
        .filter(|row| !row.fate.is_gone())
        .map(|row| &listed.found.items[row.item])
        .map(|item| (listed.path(item.source), item.value))
        .collect();
    let mut left = Vec::new();
    for finding in report.findings {
        let (Place::File { path, line, .. }, What::Value { names: found, .. }) =
            (finding.place, finding.what)
        else {
            continue;
        };
        let is_known = |name: &String| {
            let value = names.get(name);
            value.is_some_and(|value| stays.contains(&(path.as_path(), *value)))
        };
        if !found.iter().all(is_known) {
            left.push(Left {
                path,
                line,
                names: found,
            });
        }
    }
    Ok(left)
}

/// Values that are marked as once plaintext, with their providers.
fn marked(opened: &Opened) -> Result<Vec<(String, Option<ProviderId>)>> {
    Ok(opened
        .list()?
        .into_iter()
        .filter(|(_, meta)| meta.was_plaintext)
        .map(|(id, meta)| (id.to_string(), meta.profile_of().cloned()))
        .collect())
}

fn said(
    app: &App,
    listed: &Listed,
    plan: &Plan,
    done: &Done,
    left: &[Left],
    marked: &[(String, Option<ProviderId>)],
) {
    for left in left {
        let line = left
            .line
            .map_or_else(String::new, |line| format!(":{line}"));
        app.ui.say(&format!(
            "left: {}{line} still holds {}",
            listed.short(&left.path),
            left.names.join(", ")
        ));
    }
    let moved: BTreeSet<&str> = plan
        .rows
        .iter()
        .filter(|row| row.fate.is_gone())
        .flat_map(|row| row.ids.iter().map(crate::secret::SecretId::as_str))
        .collect();
    let is_clean = |item: usize| {
        let path = listed.path(listed.found.items[item].source);
        done.failed.iter().all(|(failed, _)| failed != path)
    };
    let clean = plan
        .rows
        .iter()
        .filter(|row| row.fate.is_gone() && is_clean(row.item))
        .count();
    app.ui.say(&format!(
        "Moved: {} in the vault, and {} clean.",
        ui::counted(moved.len() as u64, "value is", "values are"),
        ui::counted(clean as u64, "place is", "places are")
    ));
    let mut handed = BTreeSet::new();
    for row in &plan.rows {
        if row.fate == Fate::RemovedForRun && handed.len() <= SHOWN {
            let name = listed.found.items[row.item].variable().unwrap_or("NAME");
            let id = row
                .ids
                .first()
                .map_or("ID", crate::secret::SecretId::as_str);
            if handed.insert((name, id)) && handed.len() <= SHOWN {
                app.ui.say(&format!(
                    "For what reads {name}: clawkeep run --env {name}={id} -- CMD"
                ));
            }
        }
    }
    if handed.len() > SHOWN {
        app.ui
            .say("And more of that kind: clawkeep secret list names them.");
    }
    if !marked.is_empty() {
        app.ui.say(&format!(
            "{} stood in plaintext, so copies may be left in backups, snapshots, disk blocks and \
             processes that run: only a new one from the provider makes an old one worthless.",
            ui::counted(marked.len() as u64, "value", "values")
        ));
        let providers: BTreeSet<&ProviderId> = marked
            .iter()
            .filter_map(|(_, provider)| provider.as_ref())
            .collect();
        for provider in providers {
            if let Some(page) = crate::provider::pages::of(provider) {
                app.ui.say(&format!("  {provider}: {page}"));
            }
        }
    }
    if let Some(bundle) = &done.bundle {
        let as_root = if rooted::is_root() { " --as-root" } else { "" };
        app.ui.say(&format!(
            "To take it back: clawkeep migrate --undo {bundle}{as_root}"
        ));
    }
}
