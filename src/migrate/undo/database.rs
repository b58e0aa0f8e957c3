//! The part of undoing that OpenClaw itself does: values return to its database by its own commands,
//! each over a pipe. Ring 3.

use super::Done;
use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::openclaw::install::Install;
use crate::openclaw::link::{self, Held};
use crate::openclaw::listing;
use crate::provider::AgentId;
use crate::secret::SecretKind;
use crate::vault::undo::{Bundle, WasValue};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long one command may take: Node starts in 2 to 14 s, first runs migrate for a minute.
const CLI_TIME: Duration = Duration::from_mins(4);

/// Whether OpenClaw has anything to do.
pub(super) fn has_part(bundle: &Bundle) -> bool {
    !(bundle.values.is_empty() && bundle.planted.is_empty() && bundle.orders.is_empty())
}

/// Has OpenClaw put everything back. Each step can be done twice.
///
/// A profile goes before its value comes: 2026.9.6 stores no key over a ref, and puts a token beside the
/// ref that hides it (ran). It writes into the store where it finds a profile of that name, main's before
/// the agent's own (ran): so main's go first and come last.
pub(super) fn put_back(
    bundle: &Bundle,
    install: &Install,
    now: Millis,
    done: &mut Done,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    let returning = bundle.values.iter().map(|value| Held {
        agent: value.agent.clone(),
        profile: value.profile.clone(),
        provider: value.provider.clone(),
    });
    let planted = bundle.planted.iter().map(|planted| Held {
        agent: planted.agent.clone(),
        profile: planted.profile.clone(),
        provider: planted.provider.clone(),
    });
    let gone: BTreeSet<Held> = returning.chain(planted).collect();
    let (mains, others): (Vec<Held>, Vec<Held>) =
        gone.into_iter().partition(|held| held.agent.is_main());
    spare_main(install, &mains, &others)?;
    if !(mains.is_empty() && others.is_empty()) {
        progress("taking profiles that refer to the vault out of OpenClaw");
    }
    for held in [&mains, &others] {
        if !held.is_empty() {
            done.still_there
                .extend(link::forget_profiles(install, held)?);
        }
    }
    let (last, first): (Vec<&WasValue>, Vec<&WasValue>) = bundle
        .values
        .iter()
        .partition(|value| value.agent.is_main());
    let mut refusal = None;
    for value in first.into_iter().chain(last) {
        progress(&format!("giving {} back to OpenClaw", value.profile));
        match paste(install, value, now) {
            Ok(()) => done.values += 1,
            Err(error) => {
                done.refused.push((value.profile.clone(), value.id.clone()));
                refusal.get_or_insert(error);
            }
        }
    }
    // One value that OpenClaw has something against keeps no file from coming back. All of them: then
    // it does not work at all.
    if let (Some(error), 0) = (refusal, done.values) {
        return Err(error);
    }
    for order in &bundle.orders {
        progress(&format!("setting the order of {}", order.provider));
        let before = order.before.as_deref().filter(|ids| !ids.is_empty());
        link::put_order(install, &order.agent, &order.provider, before)?;
    }
    Ok(())
}

/// Refuses where OpenClaw would change a profile of main's that the migration did not touch: another
/// agent had its own of that name.
fn spare_main(install: &Install, mains: &[Held], others: &[Held]) -> Result<()> {
    if others.is_empty() {
        return Ok(());
    }
    let there = listing::profiles(install, &AgentId::main())?;
    let is_mains = |held: &&Held| {
        there.iter().any(|(id, ..)| *id == held.profile)
            && !mains.iter().any(|main| main.profile == held.profile)
    };
    match others.iter().find(is_mains) {
        None => Ok(()),
        Some(held) => Err(Error::failed(format!(
            "agent {} had a profile {} of its own beside main's of that name, and OpenClaw would change main's; nothing was written",
            held.agent, held.profile
        ))
        .hint(format!(
            "rename main's, or take its own out of the way: openclaw models auth logout --agent main {}",
            held.profile
        ))),
    }
}

fn paste(install: &Install, value: &WasValue, now: Millis) -> Result<()> {
    let verb = match value.kind {
        SecretKind::ApiKey => "paste-api-key",
        SecretKind::Token | SecretKind::Secret => "paste-token",
    };
    // `--agent` behind the verb is of newer versions, before it of all.
    let mut args = vec!["models", "auth", "--agent", value.agent.as_str(), verb];
    let profile = format!("--profile-id={}", value.profile);
    args.extend(["--provider", value.provider.as_str(), &profile]);
    let left = value.expires.map(|at| expires_in(at, now));
    if let (Some(left), "paste-token") = (&left, verb) {
        args.extend(["--expires-in", left]);
    }
    let output = install.run_with_value(&args, CLI_TIME, &value.value)?;
    let listed = || {
        let there = listing::profiles(install, &value.agent)?;
        Ok::<_, Error>(there.iter().any(|(id, ..)| *id == value.profile))
    };
    // It may end well and have kept nothing, as when a prompt is cancelled.
    if output.code == Some(0) && listed()? {
        return Ok(());
    }
    // Its output is not repeated: it may quote what it was given.
    Err(Error::failed(format!(
        "OpenClaw {} did not take the value of {} back; it is in the vault as {}",
        install.version(),
        value.profile,
        value.id
    ))
    .hint(format!(
        "by hand: clawkeep secret get {} | openclaw models auth {verb} --provider {}",
        value.id, value.provider
    )))
}

/// What is left until `at`. What is over stays over: OpenClaw takes no negative time.
fn expires_in(at: Millis, now: Millis) -> String {
    format!("{}ms", at.get().saturating_sub(now.get()).max(1))
}
