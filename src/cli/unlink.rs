//! `unlink`: OpenClaw's files no longer refer to the vault. Ring 4.
//!
//! Promise: values stay in the vault, profiles and their order come home to the vault's folder before
//! OpenClaw forgets them, and every place that loses its credential is named first.

use super::app::App;
use super::args::Unlink;
use super::record::{self, LinkRecord};
use crate::error::{Error, Result};
use crate::openclaw::config::Config;
use crate::openclaw::install::Install;
use crate::openclaw::link::{self, Held};
use crate::openclaw::places::Places;
use crate::openclaw::profiles::{self, ProfilesFile};
use crate::openclaw::reference::SecretRef;
use crate::openclaw::version::Lane;
use crate::provider::ProfileId;
use crate::secret::SecretKind;

/// Runs `unlink`.
pub fn run(app: &App, args: &Unlink) -> Result<()> {
    let Some(record) = LinkRecord::load(&app.dir)? else {
        return Err(Error::missing("this vault is not linked to an OpenClaw").hint("clawkeep link"));
    };
    let install = Install::find(&app.host, args.openclaw.as_deref())?.ok_or_else(|| {
        Error::missing("OpenClaw was not found on PATH")
            .hint("name it: clawkeep unlink --openclaw DIR")
    })?;
    let places = Places::find(&app.host)?;
    let config = Config::read(places.config())?;
    let planted = still_planted(&record, &install, &places, &config)?;
    let plan = link::unlink(install.version(), &places, &config, &planted)?;
    for (place, reference) in &plan.missing {
        app.ui.say(&format!(
            "  {place}: loses its reference to {}",
            reference.id
        ));
    }
    for held in &plan.profile_removals {
        app.ui.say(&format!(
            "  profile {} of agent {}: removed from OpenClaw",
            held.profile, held.agent
        ));
    }
    for note in &plan.notes {
        app.ui.say(&format!("  note: {note}"));
    }
    if args.dry_run {
        app.ui.data(&link::diff(&plan.before, &plan.after))?;
        app.ui.say("Dry run: nothing was changed.");
        return Ok(());
    }
    if !args.yes {
        let Some(mut terminal) = app.person()? else {
            return Err(Error::usage(
                "unlinking changes OpenClaw's files and asks first, and there is nobody to ask",
            )
            .hint("add --yes, or look first: clawkeep unlink --dry-run"));
        };
        if !terminal.confirm("Change these files? The values stay in the vault.", false)? {
            return Err(Error::cancelled());
        }
    }
    // Profiles come home before OpenClaw forgets them.
    if plan.lane == Lane::File {
        for held in &plan.profile_removals {
            bring_home(app, &places, &config, held)?;
        }
    }
    let done = link::apply_unlink(&plan, Some(&install), &mut |step| {
        app.ui.say(&format!("{step} …"));
    })?;
    for note in &done.notes {
        app.ui.say(&format!("note: {note}"));
    }
    LinkRecord::forget(&app.dir)?;
    app.ui.say(
        "Unlinked. The values are still in the vault; OpenClaw has none of these credentials now.",
    );
    Ok(())
}

fn still_planted(
    record: &LinkRecord,
    install: &Install,
    places: &Places,
    config: &Config,
) -> Result<Vec<Held>> {
    if install.version().lane() == Lane::Plan {
        return Ok(record.planted_profiles());
    }
    let mut planted = Vec::new();
    for agent in places.agents()? {
        let path = places.auth_profiles(&agent, Some(config));
        let Some(file) = ProfilesFile::load(&path)? else {
            continue;
        };
        planted.extend(file.profiles().into_iter().filter_map(|profile| {
            let ours = profile.reference.as_ref().is_some_and(SecretRef::is_ours);
            ours.then(|| Held {
                agent: agent.clone(),
                profile: profile.id,
                provider: profile.provider,
            })
        }));
    }
    Ok(planted)
}

fn bring_home(app: &App, places: &Places, config: &Config, held: &Held) -> Result<()> {
    let theirs = places.auth_profiles(&held.agent, Some(config));
    let Some(file) = ProfilesFile::load(&theirs)? else {
        return Ok(());
    };
    let order: Option<Vec<ProfileId>> = file.order(&held.provider);
    if let Some(profile) = file
        .profiles()
        .into_iter()
        .find(|profile| profile.id == held.profile)
        && let Some(reference) = &profile.reference
    {
        let kind = match profile.kind {
            profiles::ProfileKind::ApiKey => SecretKind::ApiKey,
            _ => SecretKind::Token,
        };
        let expires = match profile.expires {
            profiles::Expires::At(at) if kind == SecretKind::Token => Some(at),
            _ => None,
        };
        profiles::edit(
            &record::own_profiles_path(&app.dir, &held.agent),
            &app.host,
            |own| {
                own.set_ref(&held.profile, &held.provider, kind, reference, expires)?;
                if let Some(order) = &order {
                    own.set_order(&held.provider, order);
                }
                Ok(())
            },
        )?;
    }
    profiles::edit(&theirs, &app.host, |file| {
        file.remove(&held.profile);
        Ok(())
    })
}
