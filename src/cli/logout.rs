//! `models auth logout`: a profile and its value go. Ring 4.
//!
//! Promise: references go before the value that they ask for: a reference without a value stops a
//! gateway and OpenClaw's own commands, a value without a reference does not.

use super::app::App;
use super::args::Logout;
use super::dangling;
use super::record::{self, LinkRecord};
use crate::error::{Error, Result};
use crate::openclaw::profiles::{self, ProfileKind};
use crate::openclaw::reference::SecretRef;
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::store::{Meta, Resolve, Store};
use std::collections::BTreeSet;

/// Runs `models auth logout`.
pub fn run(app: &App, agent: &AgentId, args: &Logout) -> Result<()> {
    let link = LinkRecord::load(&app.dir)?;
    let homes = record::homes(&app.dir, link.as_ref(), agent);
    let file = record::load_profiles(&app.dir, link.as_ref(), agent)?;
    let provider = args
        .provider
        .as_deref()
        .map(ProviderId::parse)
        .transpose()?;
    let wanted = args
        .profile_id
        .as_deref()
        .map(ProfileId::parse)
        .transpose()?;
    let gone: Vec<_> = file
        .profiles()
        .into_iter()
        .filter(|profile| wanted.as_ref().is_none_or(|id| *id == profile.id))
        .filter(|profile| provider.as_ref().is_none_or(|p| *p == profile.provider))
        .filter(|profile| profile.kind != ProfileKind::Oauth)
        .collect();
    if gone.is_empty() {
        let orphaned = match (&provider, wanted.is_none() && agent.is_main()) {
            (Some(provider), true) => dangling::take_away(app, provider)?,
            _ => false,
        };
        if orphaned {
            return Ok(());
        }
        return Err(Error::missing("there is no such profile").hint("clawkeep models auth list"));
    }
    let names = gone
        .iter()
        .map(|profile| profile.id.to_string())
        .collect::<Vec<_>>()
        .join(", ");
    let question = format!("Remove {names} and its value?");
    app.agree(
        args.yes,
        &question,
        false,
        "removing a profile",
        "add --yes",
    )?;
    let mut opened = app.open()?;
    let emptied: BTreeSet<&ProviderId> = gone
        .iter()
        .map(|profile| &profile.provider)
        .filter(|provider| {
            agent.is_main()
                && !file.profiles().iter().any(|left| {
                    left.provider == **provider && !gone.iter().any(|gone| gone.id == left.id)
                })
        })
        .collect();
    for provider in emptied {
        dangling::take_away(app, provider)?;
    }
    for profile in &gone {
        // The ref goes first: a ref without a value stops a gateway, a value without a ref does not.
        for home in homes.iter().filter(|home| home.exists()) {
            profiles::edit(home, &app.host, |file| {
                file.remove(&profile.id);
                Ok(())
            })?;
        }
        let ours = profile.reference.as_ref().is_some_and(SecretRef::is_ours);
        let id = profile.id.secret_id(agent);
        // Whose credential it is, the vault says: an edited file must not have another one removed.
        let theirs = |meta: &Meta| meta.provider.as_ref() == Some(&profile.provider);
        if ours && opened.get(&id)?.is_some_and(|(_, meta)| theirs(&meta)) {
            opened.remove(&id)?;
        }
    }
    app.ui.say(&format!("Removed: {names}"));
    app.ui
        .say("This does not revoke it: do that at the provider.");
    if let Some(link) = link {
        app.ui.say(&format!(
            "A running gateway still has it.\nhint: {}   (so that OpenClaw's files stop asking for it)\n\
             hint: openclaw secrets reload   (then)",
            link.command_line()
        ));
    }
    Ok(())
}
