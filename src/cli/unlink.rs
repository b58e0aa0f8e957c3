//! `unlink`: OpenClaw's files no longer refer to the vault. Ring 4.
//!
//! Promise: values stay in the vault, profiles and their order come home to the vault's folder before
//! OpenClaw forgets them, and every place that loses its credential is named first.

use super::app::App;
use super::args::Unlink;
use super::opened::Opened;
use super::pins;
use super::record::{self, LinkRecord};
use crate::error::{Error, Result};
use crate::openclaw::auth_state;
use crate::openclaw::config::Config;
use crate::openclaw::install::Install;
use crate::openclaw::link::{self, Held};
use crate::openclaw::listing;
use crate::openclaw::places::Places;
use crate::openclaw::profiles::{self, ProfilesFile};
use crate::openclaw::reference::SecretRef;
use crate::openclaw::version::{Lane, OrderHome};
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::secret::SecretKind;
use std::collections::{BTreeMap, BTreeSet};

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
    if let Some(other) = pins::other_vault(&config, &app.dir) {
        LinkRecord::forget(&app.dir)?;
        app.ui.say(&format!(
            "OpenClaw asks another vault now, {}; nothing of this one is left in its files.",
            other.display()
        ));
        return Ok(());
    }
    let planted = still_planted(&record, &install, &places, &config)?;
    let orders = orders(&install, &places, &config, &planted)?;
    let plan = link::unlink(install.version(), &places, &config, &planted, &orders)?;
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
    app.agree(
        args.yes,
        "Change these files? The values stay in the vault.",
        false,
        "unlinking changes OpenClaw's files and",
        "add --yes, or look first: clawkeep unlink --dry-run",
    )?;
    // Profiles come home before OpenClaw forgets them.
    for ((agent, provider), order) in &orders {
        profiles::edit(
            &record::own_profiles_path(&app.dir, agent),
            &app.host,
            |own| {
                own.set_order(provider, order);
                Ok(())
            },
        )?;
    }
    if plan.lane == Lane::File {
        for held in &plan.profile_removals {
            bring_home(app, &places, &config, held)?;
        }
        forget_orders(app, &places, &config, &planted, &orders)?;
    }
    let done = link::apply_unlink(&plan, Some(&install), &mut |step| {
        app.ui.say(&format!("{step} …"));
    })?;
    for note in &done.notes {
        app.ui.say(&format!("note: {note}"));
    }
    LinkRecord::forget(&app.dir)?;
    forget_linked(app)?;
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

/// The explicit orders of providers that lose profiles, as OpenClaw has them now.
fn orders(
    install: &Install,
    places: &Places,
    config: &Config,
    planted: &[Held],
) -> Result<BTreeMap<(AgentId, ProviderId), Vec<ProfileId>>> {
    let keys: BTreeSet<(AgentId, ProviderId)> = planted
        .iter()
        .map(|held| (held.agent.clone(), held.provider.clone()))
        .collect();
    let mut orders = BTreeMap::new();
    for (agent, provider) in keys {
        let order = match install.version().order_home() {
            OrderHome::Cli => listing::order(install, &agent, &provider)?,
            home => {
                let state = places.auth_state(&agent, Some(config));
                let in_state = match home {
                    OrderHome::AuthState => auth_state::order_in_state(&state, &provider)?,
                    _ => None,
                };
                let path = places.auth_profiles(&agent, Some(config));
                in_state.or(ProfilesFile::load(&path)?.and_then(|file| file.order(&provider)))
            }
        };
        if let Some(order) = order {
            orders.insert((agent, provider), order);
        }
    }
    Ok(orders)
}

/// Takes the profiles that went out of the orders in auth-state.json; those in auth-profiles.json
/// went with them.
fn forget_orders(
    app: &App,
    places: &Places,
    config: &Config,
    planted: &[Held],
    orders: &BTreeMap<(AgentId, ProviderId), Vec<ProfileId>>,
) -> Result<()> {
    for (agent, provider) in orders.keys() {
        let state = places.auth_state(agent, Some(config));
        let Some(mut ids) = auth_state::order_in_state(&state, provider)? else {
            continue;
        };
        ids.retain(|id| {
            !planted
                .iter()
                .any(|held| held.agent == *agent && held.profile == *id)
        });
        let left = (!ids.is_empty()).then_some(ids.as_slice());
        auth_state::set_order_in_state(&state, provider, left, &app.host)?;
    }
    Ok(())
}

/// The vault's own list of what is linked. A vault that cannot be opened now keeps it until the next
/// link: it grants nothing by itself.
///
/// # Errors
/// As a write.
pub fn forget_linked(app: &App) -> Result<()> {
    match app.open_by_slots() {
        Ok(Opened::File(mut vault)) if !vault.contents().linked.is_empty() => {
            vault.update(|contents, _| {
                contents.linked.clear();
                Ok(())
            })
        }
        Ok(_) => Ok(()),
        Err(error) => {
            app.ui.say(&format!("note: {}", error.message()));
            Ok(())
        }
    }
}

fn bring_home(app: &App, places: &Places, config: &Config, held: &Held) -> Result<()> {
    let theirs = places.auth_profiles(&held.agent, Some(config));
    let Some(file) = ProfilesFile::load(&theirs)? else {
        return Ok(());
    };
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
            |own| own.set_ref(&held.profile, &held.provider, kind, reference, expires),
        )?;
    }
    profiles::edit(&theirs, &app.host, |file| {
        file.remove(&held.profile);
        Ok(())
    })
}
