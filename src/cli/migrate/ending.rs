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
use crate::error::{Error, Result};
use crate::migrate::plan::{Fate, Plan};
use crate::openclaw::install::Install;
use crate::openclaw::link::{self, Applied};
use crate::provider::ProviderId;
use crate::scan::{self, Needles, Options, Place, What};
use crate::secret::SecretKind;
use crate::store::Store;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;

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
pub fn end(
    app: &App,
    args: &Migrate,
    opened: &Opened,
    listed: &Listed,
    plan: &Plan,
    done: Done,
) -> Result<()> {
    let left = left_over(app, opened, listed, plan, &done)?;
    let marked = marked(opened)?;
    if let (Some(record), false) = (&done.linked, args.json) {
        reload::after_a_change(app, record, Reload::unless(args.no_reload));
    }
    let unclean = audit(app, args, &done)?;
    for (path, error) in &done.failed {
        app.ui
            .say(&format!("{}: left: {}", listed.short(path), error.message()));
    }
    for note in &done.notes {
        app.ui.say(&format!("note: {note}"));
    }
    if args.json {
        let mut document = show::document(listed, plan);
        document["dryRun"] = false.into();
        document["undo"] = done.bundle.as_str().into();
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
        said(app, listed, plan, &done, &left, &marked);
    }
    if !left.is_empty() || !done.failed.is_empty() {
        return Err(Error::failed(format!(
            "moved, but {} places still hold a value in plaintext, as named above",
            left.len().max(done.failed.len())
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
fn left_over(
    app: &App,
    opened: &Opened,
    listed: &Listed,
    plan: &Plan,
    done: &Done,
) -> Result<Vec<Left>> {
    let mut values = Vec::new();
    let mut seen = BTreeSet::new();
    for row in plan.rows.iter().filter(|row| row.fate.is_gone()) {
        let value = listed.found.items[row.item].value;
        if seen.insert(value) {
            let name = row.ids.first().map_or_else(
                || listed.place(row.item),
                std::string::ToString::to_string,
            );
            values.push((name, listed.found.values.copy(&value)?));
        }
    }
    if values.is_empty() {
        return Ok(Vec::new());
    }
    app.ui.say("searching for what is left …");
    let needles = Needles::new(values)?;
    let mut roots: Vec<PathBuf> = vec![listed.places.state().to_owned()];
    roots.extend(listed.reads.iter().map(|read| read.source.path.clone()));
    let options = Options {
        vault: Some(opened.id()),
        identity_files: Vec::new(),
    };
    let report = scan::files(&roots, &needles, &options, &mut ())?;
    let stays: BTreeSet<PathBuf> = plan
        .rows
        .iter()
        .filter(|row| !row.fate.is_gone())
        .map(|row| listed.path(listed.found.items[row.item].source).to_owned())
        .collect();
    let failed: BTreeSet<&PathBuf> = done.failed.iter().map(|(path, _)| path).collect();
    Ok(report
        .findings
        .into_iter()
        .filter_map(|finding| match (finding.place, finding.what) {
            (Place::File { path, line, .. }, What::Value { names, .. }) => {
                let expected = stays.contains(&path) && !failed.contains(&path);
                (!expected).then_some(Left { path, line, names })
            }
            _ => None,
        })
        .collect())
}

/// Values that are marked as once plaintext, with their providers.
fn marked(opened: &Opened) -> Result<Vec<(String, Option<ProviderId>)>> {
    Ok(opened
        .list()?
        .into_iter()
        .filter(|(_, meta)| meta.was_plaintext)
        .map(|(id, meta)| {
            let provider = meta.provider.filter(|_| meta.kind != SecretKind::Secret);
            (id.to_string(), provider)
        })
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
        let line = left.line.map_or_else(String::new, |line| format!(":{line}"));
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
    app.ui.say(&format!(
        "Moved: {} values are in the vault, and {} places are clean.",
        moved.len(),
        plan.rows.iter().filter(|row| row.fate.is_gone()).count()
    ));
    for row in &plan.rows {
        if row.fate == Fate::RemovedForRun {
            let name = listed.found.items[row.item].variable().unwrap_or("NAME");
            let id = row.ids.first().map_or("ID", crate::secret::SecretId::as_str);
            app.ui.say(&format!(
                "For what reads {name}: clawkeep run --env {name}={id} -- CMD"
            ));
        }
    }
    if !marked.is_empty() {
        app.ui.say(&format!(
            "{} values stood in plaintext, so copies may be left in backups, snapshots, disk blocks and \
             processes that run: only a new one from the provider makes an old one worthless.",
            marked.len()
        ));
        let providers: BTreeSet<&ProviderId> =
            marked.iter().filter_map(|(_, provider)| provider.as_ref()).collect();
        for provider in providers {
            if let Some(page) = crate::provider::pages::of(provider) {
                app.ui.say(&format!("  {provider}: {page}"));
            }
        }
    }
    app.ui.say(&format!(
        "To take it back: clawkeep migrate --undo {}",
        done.bundle
    ));
}
