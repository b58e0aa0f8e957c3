//! `migrate`: plaintext credentials into the vault, references in their place, and proof by value of what
//! is left. Ring 4.
//!
//! Order: everything is listed, shown and agreed to; read again; the undo bundle; one write of the
//! vault, read back; the resolver is asked; OpenClaw's files get references, and OpenClaw is asked; only
//! then the plaintext goes; a scan says what is left. Cut off anywhere, running it again finishes.

mod bind;
mod choose;
mod compacting;
mod ending;
mod lanes;
mod listing;
mod rows;
mod show;
mod steps;
mod undoing;
mod watching;

use super::app::App;
use super::args::Migrate;
use super::link;
use super::opened::Opened;
use crate::error::{Error, Result};
use crate::migrate::plan::Plan;
use crate::vault::{self, Found};
use bind::Bound;
use compacting::Pending;
use lanes::Lanes;
use listing::Listed;

/// How often a person is shown a list that changed while they read it.
const TIMES: u32 = 5;

/// Runs `migrate`.
///
/// # Errors
/// `Cancelled`; whatever stands in the way; `Failed` when something is left that should be gone.
pub fn run(app: &App, args: &Migrate) -> Result<()> {
    if let Some(done) = undoing::command(app, args) {
        return done;
    }
    if args.json && !args.yes && !args.dry_run {
        return Err(
            Error::usage("--json asks nothing, and migrating asks first")
                .hint("clawkeep migrate --yes --json, or: clawkeep migrate --dry-run --json"),
        );
    }
    let mut opened = match app.find()? {
        Found::Nothing if args.dry_run => None,
        Found::Nothing => return Err(vault::none_in(&app.dir)),
        Found::Vault(_) => Some(app.open_by_slots()?),
    };
    let mut preferred = Vec::new();
    for _ in 0..TIMES {
        let ready = prepare(app, args, opened.as_ref(), &mut preferred)?;
        let is_unfinished = match &opened {
            Some(opened) => undoing::is_unfinished(app, opened)?,
            None => false,
        };
        if !ready.show(app, args, is_unfinished)? {
            return Ok(());
        }
        let Some(opened) = opened.as_mut() else {
            return Ok(());
        };
        if !args.yes {
            app.agree(
                false,
                "Move these into the vault?",
                true,
                "migrating changes files and",
                "add --yes, or look first: clawkeep migrate --dry-run",
            )?;
        }
        let changed = steps::changed(&ready.listed);
        let has_other_rows = ready.listed.has_other_rows(&ready.lanes)?;
        if changed.is_empty() && !has_other_rows {
            let Ready {
                lanes,
                listed,
                plan,
                bound,
                pending,
                ..
            } = ready;
            let scene = steps::Scene {
                lanes: &lanes,
                listed: &listed,
                plan: &plan,
                pending: &pending,
            };
            let done = steps::run(app, args, opened, &scene, bound)?;
            return ending::end(app, args, opened, &listed, &plan, &done);
        }
        for path in &changed {
            app.ui.say(&format!(
                "{} changed since it was listed; nothing was changed.",
                listing_name(&ready.listed, path)
            ));
        }
        if has_other_rows {
            app.ui
                .say("OpenClaw's databases changed since they were listed; nothing was changed.");
        }
        if args.yes || args.json {
            return Err(Error::failed(
                "files changed between listing and moving; nothing was changed",
            )
            .hint("clawkeep migrate --dry-run, then: clawkeep migrate --yes"));
        }
    }
    Err(
        Error::failed("files change again and again; nothing was changed")
            .hint("stop what writes them, then: clawkeep migrate"),
    )
}

fn listing_name(listed: &Listed, path: &std::path::Path) -> String {
    listed.short(path)
}

/// A list with its plan.
struct Ready {
    lanes: Lanes,
    listed: Listed,
    plan: Plan,
    bound: Option<Bound>,
    pending: Pending,
}

/// Lists everything and plans, asking where two places disagree.
fn prepare(
    app: &App,
    args: &Migrate,
    opened: Option<&Opened>,
    preferred: &mut Vec<String>,
) -> Result<Ready> {
    let lanes = Lanes::take(app, args, opened)?;
    let listed = Listed::take(app, args, &lanes, opened)?;
    if preferred.is_empty() {
        for typed in &args.prefer {
            preferred.push(listed.preference(app, typed)?);
        }
    }
    let mut plan = listed.plan(args, &lanes, preferred);
    for _ in 0..TIMES {
        if plan.conflicts.is_empty() {
            break;
        }
        // What a person says now counts before what was said of a whole file.
        let chosen = choose::ask(app, &listed, &plan.conflicts)?;
        preferred.splice(0..0, chosen);
        plan = listed.plan(args, &lanes, preferred);
    }
    if !plan.conflicts.is_empty() {
        return Err(listing::undecided(&plan.conflicts));
    }
    let bound = match lanes.survey() {
        Some(survey) => {
            let program = link::program(app, &args.how, args.dry_run, args.yes)?;
            let items = &listed.found.items;
            let resumed = match opened {
                Some(opened) => undoing::resumed(app, opened)?,
                None => None,
            };
            Some(bind::bind(
                app,
                args,
                survey,
                &program,
                &mut plan,
                items,
                resumed.as_deref(),
            )?)
        }
        None => None,
    };
    let pending = Pending::look(app, &listed, &plan)?;
    Ok(Ready {
        lanes,
        listed,
        plan,
        bound,
        pending,
    })
}

impl Ready {
    /// Shows it. `false` when there is nothing to do, or it was a dry run.
    fn show(&self, app: &App, args: &Migrate, is_unfinished: bool) -> Result<bool> {
        let does = self.plan.does_something() || is_unfinished || self.pending.can_run();
        if args.json {
            if args.dry_run || !does {
                let mut document = show::document(&self.listed, &self.plan);
                document["dryRun"] = args.dry_run.into();
                app.ui.document(&document)?;
                return Ok(false);
            }
            return Ok(true);
        }
        show::table(app, &self.listed, &self.plan)?;
        show::unseen(app, &self.listed);
        self.pending.say(app, &self.listed);
        if self.plan.rows.is_empty() && !does {
            app.ui.say("No plaintext credential was found.");
            return Ok(false);
        }
        app.ui.say(&show::count(&self.plan));
        if is_unfinished {
            app.ui
                .say("An earlier migration was cut off; this one finishes it.");
        }
        if !does {
            app.ui.say("There is nothing to move.");
            return Ok(false);
        }
        self.notes(app);
        if args.dry_run {
            if let Lanes::NoVault = self.lanes {
                app.ui
                    .say("There is no vault yet: clawkeep init, then clawkeep migrate");
            }
            app.ui.say("Dry run: nothing was changed.");
            return Ok(false);
        }
        Ok(true)
    }

    fn notes(&self, app: &App) {
        let Some(bound) = &self.bound else {
            return;
        };
        for refused in &bound.plan.refused {
            app.ui.say(&format!(
                "  {}: left as it is: {}\n  hint: {}",
                refused.provider, refused.reason, refused.hint
            ));
        }
        for note in &bound.plan.notes {
            app.ui.say(&format!("  note: {note}"));
        }
    }
}
