//! `link`: OpenClaw's files refer to the vault. Ring 4.
//!
//! Order of a link: values into the vault (the gateway's own token too), OpenClaw's dry run, then
//! openclaw.json and its old copies, then profile refs and order, then OpenClaw's audit, and last the
//! resolver is asked as the gateway will ask it. Cut off anywhere, running it again finishes.

use super::app::{App, Opened};
use super::args::{Link, LinkHow};
use super::proof;
use super::record::{self, LinkRecord};
use super::survey::Survey;
use crate::error::{Error, Kind, Result};
use crate::host;
use crate::openclaw::auth_state;
use crate::openclaw::command;
use crate::openclaw::install::Install;
use crate::openclaw::link::{self, Applied, Facts, GatewayToken, Plan, RefKind};
use crate::openclaw::profiles::{self, ProfilesFile};
use crate::openclaw::reference::{GATEWAY_TOKEN, SecretRef};
use crate::openclaw::version::{Lane, OrderHome};
use crate::provider::AgentId;
use crate::secret::{Secret, SecretId, SecretKind};
use crate::store::{Meta, Resolve, Store};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Runs `link`.
pub fn run(app: &App, args: &Link) -> Result<()> {
    let install = Install::find(&app.host, args.how.openclaw.as_deref())?.ok_or_else(|| {
        Error::missing("OpenClaw was not found on PATH")
            .hint("name it: clawkeep link --openclaw DIR")
    })?;
    let mut opened = app.open()?;
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
    refused: usize,
    unclean: usize,
}

impl Linked {
    /// An error when something was left as it is, after everything else is done and said.
    ///
    /// # Errors
    /// `Failed` when a provider was refused or the audit found something.
    pub fn verdict(&self, app: &App) -> Result<()> {
        if self.refused > 0 {
            return Err(
                Error::failed("linked, but for the providers named above").hint("clawkeep link")
            );
        }
        if self.unclean > 0 {
            return Err(
                Error::failed("linked, but OpenClaw's audit found what is named above")
                    .hint("openclaw secrets audit --check --allow-exec"),
            );
        }
        app.ui.say("Linked.");
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
    require_unattended(opened)?;
    let program = program(app, how, dry_run, yes)?;
    let mut survey = Survey::take(app, opened, install)?;
    survey.set_orders(&how.order)?;
    let plan = link::plan(&Facts {
        version: survey.install.version(),
        places: &survey.places,
        config: &survey.config,
        wanted: &survey.wanted,
        planted: &survey.planted,
        foreign: &survey.foreign,
        orders: &survey.orders,
        command: &program,
        resolver_args: &survey.args,
        pass_env: &survey.pass_env,
        config_refs: how.config_refs,
        gateway_variable: app.host.var("OPENCLAW_GATEWAY_TOKEN").is_some(),
    })?;
    show(app, &survey, &plan);
    if dry_run {
        app.ui.data(&link::diff(&plan.before, &plan.after))?;
        app.ui.say("Dry run: nothing was changed.");
        return Ok(None);
    }
    if !yes {
        let Some(mut terminal) = app.person()? else {
            return Err(Error::usage(
                "linking changes OpenClaw's files and asks first, and there is nobody to ask",
            )
            .hint("add --yes, or look first: clawkeep link --dry-run"));
        };
        if !terminal.confirm("Change these files?", true)? {
            return Err(Error::cancelled());
        }
    }
    execute(app, opened, &survey, &plan, program).map(Some)
}

/// A gateway starts with nobody at the keyboard.
fn require_unattended(opened: &Opened) -> Result<()> {
    let Opened::File(vault) = opened else {
        return Ok(());
    };
    if vault
        .contents()
        .slots
        .iter()
        .any(|slot| slot.kind.unattended())
    {
        return Ok(());
    }
    Err(
        Error::failed("only a person can open this vault, so a gateway could not start with it")
            .hint("add a slot that opens by itself: clawkeep slot add identity-file"),
    )
}

/// The program that OpenClaw will run: this one, from a place that lasts.
fn program(app: &App, how: &LinkHow, dry_run: bool, yes: bool) -> Result<PathBuf> {
    let own = app.host.program()?;
    let home = app.host.home()?;
    let lasting = !command::is_build_folder(&own, &home);
    if lasting && !how.install {
        command::check(&own)?;
        return Ok(own);
    }
    let target = home.join(".local/bin/clawkeep");
    if dry_run {
        app.ui
            .say(&format!("Would put clawkeep into {}.", target.display()));
        return Ok(target);
    }
    if !how.install && !yes {
        let Some(mut terminal) = app.person()? else {
            return Err(not_lasting(&own));
        };
        let question = format!(
            "{} is a build folder. Put clawkeep into {}?",
            own.display(),
            target.display()
        );
        if !terminal.confirm(&question, true)? {
            return Err(not_lasting(&own));
        }
    } else if !how.install {
        return Err(not_lasting(&own));
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

fn show(app: &App, survey: &Survey, plan: &Plan) {
    app.ui.say(&format!(
        "OpenClaw {} with {}",
        survey.install.version(),
        survey.places.config().display()
    ));
    for (provider, kind) in &plan.kinds {
        let how = match kind {
            RefKind::Config => "one reference in openclaw.json",
            RefKind::Profiles => "a reference in each profile",
        };
        app.ui.say(&format!("  {provider}: {how}"));
    }
    app.ui.say(match plan.gateway {
        GatewayToken::KeepInVault(_) => "  gateway token: moves into the vault, unchanged",
        GatewayToken::Random => "  gateway token: a new random one, in the vault",
        GatewayToken::AlreadyOurs => "  gateway token: in the vault",
        GatewayToken::LeftAlone(_) => "  gateway token: left as it is",
    });
    for refused in &plan.refused {
        app.ui.say(&format!(
            "  {}: left as it is: {}\n  hint: {}",
            refused.provider, refused.reason, refused.hint
        ));
    }
    for note in &plan.notes {
        app.ui.say(&format!("  note: {note}"));
    }
}

fn execute(
    app: &App,
    opened: &mut Opened,
    survey: &Survey,
    plan: &Plan,
    program: PathBuf,
) -> Result<Linked> {
    let token_id = SecretId::parse(GATEWAY_TOKEN)?;
    keep_gateway_token(app, opened, plan, &token_id)?;
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
    // Before OpenClaw's files: who is cut off in between must be able to tell our profiles from
    // others.
    record.planted(
        &plan
            .profile_refs
            .iter()
            .map(|planted| planted.held.clone())
            .collect::<Vec<_>>(),
        survey.record.as_ref(),
    );
    if plan.lane == Lane::Plan {
        keep_own_profiles(app, survey)?;
    }
    record.save(&app.dir)?;
    let done = link::apply(
        plan,
        Some(&survey.install),
        &app.host,
        known_token.as_ref(),
        &mut |step| {
            app.ui.say(&format!("{step} …"));
        },
    )?;
    let done = if plan.lane == Lane::File {
        write_profiles(app, survey, plan, done)?
    } else {
        done
    };
    note_linked(opened, plan)?;
    let mut unclean = 0;
    for copy in &done.copies_scrubbed {
        app.ui.say(&format!(
            "Scrubbed the gateway token from {}",
            copy.display()
        ));
    }
    for note in &done.notes {
        app.ui.say(&format!("note: {note}"));
    }
    if let Some(audit) = &done.audit {
        for finding in &audit.findings {
            app.ui.say(&format!(
                "audit: {} at {} in {}",
                finding.code, finding.place, finding.file
            ));
        }
        unclean = audit.findings.len();
        if unclean == 0 && audit.is_clean() {
            app.ui.say(&format!(
                "OpenClaw's audit: clean, {} references resolved.",
                audit.checked
            ));
        }
    }
    let ids = record.linked.iter().cloned().collect();
    Ok(Linked {
        record,
        ids,
        refused: plan.refused.len(),
        unclean,
    })
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

/// The gateway's token goes into the vault before anything refers to it.
#[allow(
    clippy::disallowed_methods,
    reason = "door: the gateway's token from OpenClaw's file into the vault"
)]
fn keep_gateway_token(app: &App, opened: &mut Opened, plan: &Plan, id: &SecretId) -> Result<()> {
    use secrecy::ExposeSecret;
    let value = match &plan.gateway {
        GatewayToken::KeepInVault(value) => Secret::stored(value.expose_secret())?,
        GatewayToken::Random => match opened.get(id)? {
            // A link that was cut off made one already.
            Some(_) => return Ok(()),
            None => random_token()?,
        },
        GatewayToken::AlreadyOurs | GatewayToken::LeftAlone(_) => return Ok(()),
    };
    if opened
        .get(id)?
        .is_some_and(|(kept, _)| kept.same_as(&value))
    {
        return Ok(());
    }
    let now = app.host.now();
    let meta = Meta {
        kind: SecretKind::Secret,
        provider: None,
        created: now,
        updated: now,
        expires: None,
    };
    opened.put(id, value, &meta)?;
    match opened.get(id)? {
        Some(_) => Ok(()),
        None => Err(Error::broken(
            "the vault did not keep the gateway's token; OpenClaw's files are untouched",
        )),
    }
}

/// 32 random bytes as hex: what OpenClaw itself makes.
fn random_token() -> Result<Secret> {
    let mut bytes = zeroize::Zeroizing::new([0u8; 32]);
    host::random(bytes.as_mut_slice())?;
    let text = zeroize::Zeroizing::new(crate::json::hex(bytes.as_slice()));
    Secret::stored(&text)
}

/// In the plan lane the vault's folder is the home of profiles, orders and expiry: the selection ids
/// choose by it.
fn keep_own_profiles(app: &App, survey: &Survey) -> Result<()> {
    let agents: BTreeSet<&AgentId> = survey.wanted.iter().map(|wanted| &wanted.agent).collect();
    for agent in agents {
        let path = record::own_profiles_path(&app.dir, agent);
        profiles::edit(&path, &app.host, |file| {
            for wanted in survey.wanted.iter().filter(|wanted| wanted.agent == *agent) {
                file.set_ref(
                    &wanted.profile,
                    &wanted.provider,
                    wanted.kind,
                    &SecretRef::to(&wanted.id),
                    wanted.expires,
                )?;
            }
            for ((of, provider), ids) in &survey.orders {
                if of == agent {
                    file.set_order(provider, ids);
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// In the file lane OpenClaw's auth-profiles.json is the home: refs, `expires`, and order where this
/// version reads it.
fn write_profiles(app: &App, survey: &Survey, plan: &Plan, mut done: Applied) -> Result<Applied> {
    let agents: BTreeSet<&AgentId> = plan
        .profile_refs
        .iter()
        .map(|planted| &planted.held.agent)
        .chain(plan.profile_removals.iter().map(|held| &held.agent))
        .chain(plan.orders.iter().map(|order| &order.agent))
        .collect();
    let order_home = survey.install.version().order_home();
    for agent in agents {
        let path = survey.places.auth_profiles(agent, Some(&survey.config));
        app.ui.say(&format!("writing {} …", path.display()));
        profiles::edit(&path, &app.host, |file| {
            for planted in plan
                .profile_refs
                .iter()
                .filter(|planted| planted.held.agent == *agent)
            {
                let held = &planted.held;
                file.set_ref(
                    &held.profile,
                    &held.provider,
                    planted.kind,
                    &planted.reference,
                    planted.expires,
                )?;
            }
            for held in plan
                .profile_removals
                .iter()
                .filter(|held| held.agent == *agent)
            {
                file.remove(&held.profile);
            }
            if order_home == OrderHome::AuthProfiles {
                for order in plan.orders.iter().filter(|order| order.agent == *agent) {
                    file.set_order(&order.provider, &order.profiles);
                }
            }
            Ok(())
        })?;
        if order_home == OrderHome::AuthState {
            let state = survey.places.auth_state(agent, Some(&survey.config));
            for order in plan.orders.iter().filter(|order| order.agent == *agent) {
                auth_state::set_order_in_state(
                    &state,
                    &order.provider,
                    Some(&order.profiles),
                    &app.host,
                )?;
            }
        }
        forget_own(app, agent, plan)?;
    }
    if !plan.profile_refs.is_empty() {
        match link::audit(&survey.install) {
            Ok(audit) => done.audit = Some(audit),
            Err(error) => done.notes.push(error.message().to_owned()),
        }
    }
    Ok(done)
}

/// One home, not two: what OpenClaw's file holds now leaves the vault's folder.
fn forget_own(app: &App, agent: &AgentId, plan: &Plan) -> Result<()> {
    let path = record::own_profiles_path(&app.dir, agent);
    if ProfilesFile::load(&path)?.is_none() {
        return Ok(());
    }
    profiles::edit(&path, &app.host, |file| {
        for planted in plan
            .profile_refs
            .iter()
            .filter(|planted| planted.held.agent == *agent)
        {
            file.remove(&planted.held.profile);
        }
        Ok(())
    })
}

/// The vault's own list of what is linked, which nobody can edit unnoticed.
fn note_linked(opened: &mut Opened, plan: &Plan) -> Result<()> {
    let Opened::File(vault) = opened else {
        return Ok(());
    };
    let ids: BTreeSet<SecretId> = asked_ids(plan)
        .iter()
        .filter_map(|id| SecretId::parse(id).ok())
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
                "LOCKED" => error.as_kind(Kind::Locked).hint("clawkeep slot list"),
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
