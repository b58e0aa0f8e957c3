//! What OpenClaw's databases keep of values that were deleted from them: the bytes stay in free pages and
//! in the write-ahead log until the file is rewritten. Ring 4.
//!
//! Promise: a database is rewritten only while nothing uses it, and only where a value is found in it.

use super::bind::Bound;
use super::listing::Listed;
use super::steps::Done;
use crate::cli::app::App;
use crate::error::Result;
use crate::migrate::digest::Digest;
use crate::migrate::plan::Plan;
use crate::openclaw::config::Config;
use crate::openclaw::database::{self, Running};
use crate::openclaw::install::Install;
use crate::openclaw::places::Places;
use crate::scan::{self, Needles, Options};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Databases that hold, or will hold, bytes of values that have gone from their rows.
#[derive(Default)]
pub(super) struct Pending {
    /// The databases.
    pub files: Vec<PathBuf>,
    /// Who is at work with them.
    pub running: Option<Running>,
}

impl Pending {
    /// Looks, without changing anything.
    ///
    /// # Errors
    /// As a scan.
    pub(super) fn look(app: &App, listed: &Listed, plan: &Plan) -> Result<Self> {
        if listed.databases.is_empty() {
            return Ok(Pending::default());
        }
        let rows: BTreeSet<&Path> = plan
            .rows
            .iter()
            .filter(|row| row.fate.is_gone())
            .map(|row| &listed.found.items[row.item])
            .filter(|item| item.profile_row().is_some())
            .map(|item| listed.path(item.source))
            .collect();
        let live: BTreeSet<&Path> = listed
            .found
            .items
            .iter()
            .filter(|item| item.profile_row().is_some())
            .map(|item| listed.path(item.source))
            .collect();
        let mut files = Vec::new();
        for file in &listed.databases {
            let path = file.as_path();
            // A value that still stands in a row is not deleted.
            let is_left = !live.contains(path) && holds(listed, path, &listed.marked)?;
            if rows.contains(path) || is_left {
                files.push(file.clone());
            }
        }
        let running = if files.is_empty() {
            None
        } else {
            database::gateway_runs(&app.host, &listed.places, &listed.config)
        };
        Ok(Pending { files, running })
    }

    /// Whether there is something that can be done now.
    pub(super) fn can_run(&self) -> bool {
        !self.files.is_empty() && self.running.is_none()
    }

    /// Says what will happen.
    pub(super) fn say(&self, app: &App, listed: &Listed) {
        for file in &self.files {
            let file = listed.short(file);
            app.ui.say(&match &self.running {
                None => format!("{file}: rewritten, since deleted values stay in its pages"),
                Some(running) => format!(
                    "{file}: waits, since {running}: deleted values stay in its pages until it is \
                     rewritten\n  hint: openclaw gateway stop, then: clawkeep migrate"
                ),
            });
        }
    }
}

/// Whether a database, or its log, holds one of these values.
fn holds(listed: &Listed, file: &Path, values: &[(String, Digest)]) -> Result<bool> {
    if values.is_empty() {
        return Ok(false);
    }
    let values = values
        .iter()
        .map(|(name, value)| Ok((name.clone(), listed.found.values.copy(value)?)))
        .collect::<Result<Vec<_>>>()?;
    let beside = |end: &str| {
        let mut name = OsString::from(file);
        name.push(end);
        PathBuf::from(name)
    };
    let roots: Vec<PathBuf> = ["", "-wal", "-journal"]
        .iter()
        .map(|end| beside(end))
        .filter(|path| path.exists())
        .collect();
    let report = scan::files(
        &roots,
        &Needles::unmasked(values)?,
        &Options::default(),
        &mut (),
    )?;
    Ok(report
        .findings
        .iter()
        .any(|finding| matches!(finding.what, scan::What::Value { .. })))
}

/// What the databases are rewritten with.
pub(super) struct Tools {
    install: Install,
    places: Places,
    config: Config,
}

impl Tools {
    pub(super) fn of(bound: &Bound) -> Self {
        Tools {
            install: bound.survey.install.clone(),
            places: bound.survey.places.clone(),
            config: bound.survey.config.clone(),
        }
    }
}

/// Rewrites the databases that hold values which have gone.
///
/// # Errors
/// As a scan; a database that cannot be rewritten now is said in `done`.
pub(super) fn run(
    app: &App,
    listed: &Listed,
    plan: &Plan,
    pending: &Pending,
    tools: &Tools,
    done: &mut Done,
) -> Result<()> {
    let mut values = listed.marked.clone();
    for row in plan.rows.iter().filter(|row| row.fate.is_gone()) {
        let value = listed.found.items[row.item].value;
        values.push((listed.place(row.item), value));
    }
    for file in &pending.files {
        if !holds(listed, file, &values)? {
            continue;
        }
        app.ui.say(&format!("rewriting {} …", listed.short(file)));
        let Tools {
            install,
            places,
            config,
        } = tools;
        match database::compact(install, &app.host, places, config, file) {
            Ok(_) => done.scrubbed.push(file.clone()),
            Err(error) => done.failed.push((file.clone(), error)),
        }
    }
    Ok(())
}
