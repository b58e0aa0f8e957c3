//! `link`: OpenClaw's files refer to the vault. Ring 4.
//!
//! Order of a link: values into the vault (the gateway's own token too), OpenClaw's dry run, then
//! openclaw.json and its old copies, then profile refs and order, then OpenClaw's audit, and last the
//! resolver is asked as the gateway will ask it. Cut off anywhere, running it again finishes.

use super::app::App;
use super::args::{Link, LinkHow};
use super::opened::Opened;
use super::record::LinkRecord;
use super::survey::Survey;
use super::{pins, planting, preview, proof, start};
use crate::error::{Error, Kind, Result};
use crate::file;
use crate::keeper::Release;
use crate::keeper::pointer::Pointer;
use crate::keeper::published::Published;
use crate::openclaw::command;
use crate::openclaw::install::Install;
use crate::openclaw::link::{self, Applied, Facts, Migrating, Plan, Watch};
use crate::openclaw::reference::{GATEWAY_TOKEN, SecretRef};
use crate::openclaw::version::Lane;
use crate::secret::{RefId, SecretId};
use crate::store::Resolve;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Runs `link`.
pub fn run(app: &App, args: &Link) -> Result<()> {
    let install = Install::find(&app.host, args.how.openclaw.as_deref())?.ok_or_else(|| {
        Error::missing("OpenClaw was not found on PATH")
            .hint("name it: clawkeep link --openclaw DIR")
    })?;
    install.version().require_refs()?;
    let mut opened = app.open_by_slots()?;
    let linked = connect(app, &mut opened, install, &args.how, args.dry_run, args.yes)?;
    if let Some(linked) = linked {
        prove(app, &linked.record, &linked.ids)?;
        linked.verdict(app)?;
    }
    Ok(())
}

/// A link that was made.
pub struct Linked {
    /// What was noted of it.
    pub record: LinkRecord,
    /// The ids that OpenClaw's files ask for.
    pub ids: Vec<String>,
    /// What a person types next, in order; empty when OpenClaw is set up already.
    next: Vec<String>,
    /// What can be typed about the providers that were left as they are.
    refused: Vec<String>,
    /// What can be typed about what the audit found.
    unclean: Vec<String>,
}

impl Linked {
    /// Whether nothing was left as it is.
    pub fn is_whole(&self) -> bool {
        self.refused.is_empty() && self.unclean.is_empty()
    }

    /// An error when something was left as it is, after everything else is done and said.
    ///
    /// # Errors
    /// `Failed` when a provider was refused or the audit found something.
    pub fn verdict(&self, app: &App) -> Result<()> {
        if !self.refused.is_empty() {
            return Err(Error::failed("linked, but for the providers named above")
                .hint(self.refused.join("\n      ")));
        }
        if !self.unclean.is_empty() {
            return Err(Error::failed(
                "linked, but something is left to be cleaned, as named above",
            )
            .hint(self.unclean.join("\n      ")));
        }
        app.ui.say("Linked.");
        if !self.next.is_empty() {
            app.ui.say(&format!("Next:\n  {}", self.next.join("\n  ")));
        }
        Ok(())
    }
}

/// Plans the link, shows it, asks, and does it. `None` for a dry run.
///
/// # Errors
/// `Cancelled`; whatever stands in the way.
pub fn connect(
    app: &App,
    opened: &mut Opened,
    install: Install,
    how: &LinkHow,
    dry_run: bool,
    yes: bool,
) -> Result<Option<Linked>> {
    require_way_in(app, opened)?;
    let program = program(app, how, dry_run, yes)?;
    let mut survey = Survey::take(app, opened, install)?;
    refuse_other_vault(app, &survey)?;
    survey.set_orders(&how.order)?;
    let plan = planned(app, &survey, &program, how, &Migrating::default())?;
    let has_token = opened.get(&SecretId::parse(GATEWAY_TOKEN)?)?.is_some();
    preview::show(app, &survey, &plan, has_token)?;
    if dry_run {
        app.ui.data(&link::diff(&plan.before, &plan.after))?;
        app.ui.say("Dry run: nothing was changed.");
        return Ok(None);
    }
    app.agree(
        yes,
        "Change these files?",
        true,
        "linking changes OpenClaw's files and",
        "add --yes, or look first: clawkeep link --dry-run",
    )?;
    execute(app, opened, &survey, &plan, program, how).map(Some)
}

/// What a link would do, as things are.
///
/// # Errors
/// As [`link::plan`].
pub(super) fn planned(
    app: &App,
    survey: &Survey,
    program: &Path,
    how: &LinkHow,
    migrating: &Migrating,
) -> Result<Plan> {
    link::plan(&Facts {
        version: survey.install.version(),
        places: &survey.places,
        config: &survey.config,
        wanted: &survey.wanted,
        planted: &survey.planted,
        foreign: &survey.foreign,
        logins: &survey.logins,
        orders: &survey.orders,
        command: program,
        resolver_args: &survey.args,
        pass_env: &survey.pass_env,
        config_refs: how.config_refs,
        gateway_variable: app.host.var("OPENCLAW_GATEWAY_TOKEN").is_some(),
        migrating,
    })
}

/// OpenClaw asks one vault. Refs into another one would all be without an answer.
pub(super) fn refuse_other_vault(app: &App, survey: &Survey) -> Result<()> {
    let Some(other) = pins::other_vault(&survey.config, &app.dir) else {
        return Ok(());
    };
    // Where no link is noted any more there is nothing to unlink: moved, or deleted.
    if file::absent_is_none(file::check_private_dir(&other))?.is_none()
        || LinkRecord::load(&other)?.is_none()
    {
        app.ui.say(&format!(
            "note: OpenClaw asked the vault {}, which is not there any more; it asks this one from now on",
            other.display()
        ));
        return Ok(());
    }
    Err(Error::failed(format!(
        "OpenClaw is linked to another vault, {}",
        other.display()
    ))
    .hint(format!("clawkeep --vault {} unlink", other.display())))
}

/// A gateway starts with nobody at the keyboard: by a slot that needs no person, or through a keeper.
pub(super) fn require_way_in(app: &App, opened: &Opened) -> Result<()> {
    let Opened::File(vault) = opened else {
        return Ok(());
    };
    let keeper = app.keeper_place()?.connect()?;
    if keeper.is_some()
        && Published::load(&app.dir)?.is_some_and(|said| said.release == Release::Once)
    {
        // OpenClaw's own checks ask for values, and would leave none for the gateway.
        return Err(Error::failed(
            "this vault's keeper gives each value once, and linking asks for them",
        )
        .hint(
            "clawkeep lock; clawkeep unlock; then link, and at last lock and unlock --release once",
        ));
    }
    let alone = vault
        .contents()
        .slots
        .iter()
        .any(|slot| slot.kind.unattended());
    if alone {
        return Ok(());
    }
    let is_required = Pointer::load(&app.dir)?.is_some_and(|pointer| pointer.required);
    if keeper.is_none() && !is_required {
        return Err(Error::failed(
            "only a person can open this vault, so a gateway could not start with it",
        )
        .hint("open it first: clawkeep unlock, or add a slot that opens by itself: clawkeep slot add identity-file"));
    }
    app.ui.say(
        "Only a person can open this vault: the gateway starts only while its keeper runs (clawkeep unlock).",
    );
    Ok(())
}

/// The program that OpenClaw will run: this one, from a place that lasts.
pub(super) fn program(app: &App, how: &LinkHow, dry_run: bool, yes: bool) -> Result<PathBuf> {
    let own = app.host.program()?;
    let home = app.host.home()?;
    if !how.install && !command::is_build_folder(&own, &home) {
        command::check(&own)?;
        return Ok(own);
    }
    // As `install_copy` names it: the same path whether it is there already or not.
    let bin = home.join(".local/bin");
    let target = std::fs::canonicalize(&bin).unwrap_or(bin).join("clawkeep");
    if own == target || (command::check(&target).is_ok() && file::same_content(&own, &target)?) {
        return Ok(target);
    }
    if dry_run {
        app.ui
            .say(&format!("Would put clawkeep into {}.", target.display()));
        return Ok(target);
    }
    if !how.install && !yes {
        let question = format!(
            "{} is a build folder. Put clawkeep into {}?",
            own.display(),
            target.display()
        );
        let agreed = match app.person()? {
            Some(mut terminal) => terminal.confirm(&question, true)?,
            None => false,
        };
        if !agreed {
            return Err(not_lasting(&own));
        }
    }
    let installed = command::install_copy(&own, &home)?;
    app.ui.say(&format!("Program: {}", installed.display()));
    Ok(installed)
}

fn not_lasting(own: &std::path::Path) -> Error {
    Error::failed(format!(
        "OpenClaw needs a program that stays where it is, and {} may not",
        own.display()
    ))
    .hint("put it into ~/.local/bin: clawkeep link --install")
}

fn execute(
    app: &App,
    opened: &mut Opened,
    survey: &Survey,
    plan: &Plan,
    program: PathBuf,
    how: &LinkHow,
) -> Result<Linked> {
    let (record, done) = make(app, opened, survey, plan, program, how, &mut ())?;
    Ok(Linked {
        ids: record.linked.iter().cloned().collect(),
        next: start::commands(survey, plan),
        refused: plan
            .refused
            .iter()
            .map(|refused| refused.hint.clone())
            .collect(),
        unclean: preview::done(app, &done),
        record,
    })
}

/// Does what the plan says, and notes it. Gives what was noted and what was done.
///
/// # Errors
/// As [`link::apply`].
pub(super) fn make(
    app: &App,
    opened: &mut Opened,
    survey: &Survey,
    plan: &Plan,
    program: PathBuf,
    how: &LinkHow,
    watch: &mut dyn Watch,
) -> Result<(LinkRecord, Applied)> {
    let token_id = SecretId::parse(GATEWAY_TOKEN)?;
    planting::keep_gateway_token(app, opened, plan, &token_id)?;
    let known_token = opened.get(&token_id)?.map(|(value, _)| value);
    let mut record = LinkRecord::new(
        survey.lane_name(),
        survey.install.version().to_string(),
        survey.places.config().to_owned(),
        program,
        survey.args.clone(),
        survey.pass_env.clone(),
    );
    record.profiles = survey.profile_paths();
    record.linked = asked_ids(plan);
    record.config_refs = how.config_refs;
    let planted = || plan.profile_refs.iter().map(|planted| &planted.held);
    record.planted(planted());
    planting::keep_own_profiles(app, survey, plan)?;
    record.before(survey.record.as_ref()).save(&app.dir)?;
    let done = link::apply(
        plan,
        Some(&survey.install),
        &app.host,
        known_token.as_ref(),
        watch,
        &mut |step| {
            app.ui.say(&format!("{step} …"));
        },
    )?;
    // What OpenClaw has forgotten is not ours any more: a person may use the same id again.
    record.planted(planted().chain(&done.still_there));
    record.save(&app.dir)?;
    let done = if plan.lane == Lane::File {
        planting::write_profiles(app, survey, plan, watch, done)?
    } else {
        done
    };
    note_linked(opened, plan)?;
    Ok((record, done))
}

/// Every id that OpenClaw's files ask for after the plan.
fn asked_ids(plan: &Plan) -> BTreeSet<String> {
    let config = plan
        .after
        .refs()
        .into_iter()
        .map(|(_, reference)| reference);
    let profiles = plan
        .profile_refs
        .iter()
        .map(|planted| planted.reference.clone());
    config
        .chain(profiles)
        .filter(SecretRef::is_ours)
        .map(|reference| reference.id)
        .collect()
}

/// The vault's own list of what is linked, which nobody can edit unnoticed.
fn note_linked(opened: &mut Opened, plan: &Plan) -> Result<()> {
    let Opened::File(vault) = opened else {
        return Ok(());
    };
    let ids: BTreeSet<RefId> = asked_ids(plan)
        .iter()
        .filter_map(|id| RefId::parse(id))
        .collect();
    if vault.contents().linked == ids {
        return Ok(());
    }
    vault.update(|contents, _| {
        contents.linked = ids;
        Ok(())
    })
}

/// Asks the resolver for everything that OpenClaw will ask for.
///
/// # Errors
/// `Failed` naming the first id that does not resolve, with the reason's code.
pub fn prove(app: &App, record: &LinkRecord, ids: &[String]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let answers = proof::ask(
        &app.host,
        &record.command,
        &record.args,
        &record.pass_env,
        ids,
    )?;
    for id in ids {
        if answers.value(id).is_none() {
            let code = answers.code(id).unwrap_or("no answer");
            let error = Error::failed(format!("the gateway would not get {id}: {code}"));
            return Err(match code {
                "LOCKED" => error
                    .as_kind(Kind::Locked)
                    .hint("clawkeep unlock, or: clawkeep slot list"),
                _ => error.hint("clawkeep secret list"),
            });
        }
    }
    app.ui.say(&format!(
        "Resolved as the gateway would: {}",
        ids.join(", ")
    ));
    Ok(())
}
