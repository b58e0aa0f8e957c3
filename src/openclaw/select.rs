//! Which profile of a provider is next: what the selection id `provider/<p>` stands for. Ring 2';
//! pure: a file and the time in, profiles out.
//!
//! Source: OpenClaw 2026.6.1, `src/agents/auth-profiles/order.ts` (`resolveAuthProfileOrder`,
//! `orderProfilesByMode`) and `usage-state.ts`, without what only openclaw.json knows.
//! - The stored order counts if there is one, else all profiles of the provider. A stored order of
//!   ids that are all gone counts as none.
//! - With an order: as given. Without: tokens before API keys, then whatever was used longest ago;
//!   never used is first. Cooling and disabled profiles go last, the soonest end first.
//! - Expired profiles are left out.
//!
//! Promises: only profiles whose ref is ours and names one stored value are candidates, so never an
//! oauth login; and as long as there is any, there is a first. (Where OpenClaw leaves every profile
//! out because all are expired, an answer of "not found" would stop a gateway of 2026.6.1.)

use crate::expiry::Millis;
use crate::openclaw::profiles::{Profile, ProfilesFile};
use crate::provider::ProviderId;
use crate::secret::SecretId;
use std::collections::HashSet;

/// The providers whose cooldowns OpenClaw pays no heed to.
const NEVER_COOLING: [&str; 2] = ["openrouter", "kilocode"];

/// The profiles of `provider` in the order in which they are to be tried at `now`; the first is the
/// next. Empty only when none has a ref of ours.
pub fn candidates(file: &ProfilesFile, provider: &ProviderId, now: Millis) -> Vec<Profile> {
    let stored = file.profiles();
    let order = file.order(provider).filter(|order| {
        // OpenClaw looks at ids alone here: one that is another provider's is not gone.
        stored.iter().any(|profile| order.contains(&profile.id))
    });
    let ours: Vec<Profile> = match &order {
        Some(order) => {
            let mut seen = HashSet::new();
            order
                .iter()
                .filter(|id| seen.insert(*id))
                .filter_map(|id| stored.iter().find(|profile| profile.id == *id))
                .filter(|profile| is_ours(profile, provider))
                .cloned()
                .collect()
        }
        None => stored
            .into_iter()
            .filter(|profile| is_ours(profile, provider))
            .collect(),
    };
    let usable: Vec<Profile> = ours
        .iter()
        .filter(|profile| !profile.expires.is_over(now))
        .cloned()
        .collect();
    let chosen = if usable.is_empty() { ours } else { usable };
    sorted(file, chosen, order.is_some(), now)
}

fn is_ours(profile: &Profile, provider: &ProviderId) -> bool {
    profile.provider == *provider
        && profile.reference.as_ref().is_some_and(|reference| {
            // An oauth login has none. A ref to a selection id would lead back here.
            reference.is_ours() && SecretId::parse(&reference.id).is_ok()
        })
}

fn sorted(file: &ProfilesFile, chosen: Vec<Profile>, ordered: bool, now: Millis) -> Vec<Profile> {
    let mut keyed: Vec<_> = chosen
        .into_iter()
        .map(|profile| {
            let usage = file.usage(&profile.id);
            let until = usage.cooldown_until.max(usage.disabled_until);
            let heeded = !NEVER_COOLING.contains(&profile.provider.as_str());
            let cooling = until.filter(|until| heeded && *until > now);
            let key = match (cooling, ordered) {
                (Some(until), _) => (Some(until), None),
                (None, true) => (None, None),
                (None, false) => (None, Some((profile.kind, usage.last_used))),
            };
            (key, profile)
        })
        .collect();
    // Stable: whatever is equal stays in its order. `None` is before every moment.
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, profile)| profile).collect()
}

#[cfg(test)]
mod tests;
