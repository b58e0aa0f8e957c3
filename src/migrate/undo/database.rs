//! The part of undoing that OpenClaw itself does: values return to its database by its own commands,
//! each over a pipe. Ring 3.

use super::Done;
use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::openclaw::install::Install;
use crate::openclaw::link::{self, Held};
use crate::openclaw::listing;
use crate::secret::SecretKind;
use crate::vault::undo::{Bundle, WasValue};
use std::time::Duration;

/// How long one command may take: Node starts in 2 to 14 s, first runs migrate for a minute.
const CLI_TIME: Duration = Duration::from_mins(4);

/// Whether OpenClaw has anything to do.
pub(super) fn has_part(bundle: &Bundle) -> bool {
    !(bundle.values.is_empty() && bundle.planted.is_empty() && bundle.orders.is_empty())
}

/// Has OpenClaw put everything back. Each step can be done twice.
pub(super) fn put_back(
    bundle: &Bundle,
    install: &Install,
    now: Millis,
    done: &mut Done,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    for value in &bundle.values {
        progress(&format!("giving {} back to OpenClaw", value.profile));
        paste(install, value, now)?;
        done.values += 1;
    }
    let gone: Vec<Held> = bundle
        .planted
        .iter()
        .filter(|planted| {
            let is_it =
                |value: &WasValue| value.agent == planted.agent && value.profile == planted.profile;
            !bundle.values.iter().any(is_it)
        })
        .map(|planted| Held {
            agent: planted.agent.clone(),
            profile: planted.profile.clone(),
            provider: planted.provider.clone(),
        })
        .collect();
    if !gone.is_empty() {
        progress("removing profiles that refer to the vault from OpenClaw");
        done.still_there = link::forget_profiles(install, &gone)?;
    }
    for order in &bundle.orders {
        progress(&format!("setting the order of {}", order.provider));
        let before = order.before.as_deref().filter(|ids| !ids.is_empty());
        link::put_order(install, &order.agent, &order.provider, before)?;
    }
    Ok(())
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
