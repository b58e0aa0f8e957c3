//! Profiles: their expiry, their order, and what a token may be used for. Ring 3; pure.

use super::facts::{Facts, OrderFact, StoredFact};
use super::{Fix, OrderFile, Outcome, Severity};
use crate::error::word;
use crate::expiry::{Millis, Span};
use crate::provider::{ProfileId, ProviderId};
use crate::secret::{SELECTION_PREFIX, SecretKind};
use std::collections::BTreeMap;

/// The provider whose setup-tokens they are.
const ANTHROPIC: &str = "anthropic";

const DAY_MS: i64 = 86_400_000;

/// What expires: its name, when (`None`: OpenClaw cannot read it), and what replaces it.
struct Dated {
    name: String,
    at: Option<Millis>,
    hint: String,
}

/// Everything with an expiry, each once: what the vault says where it is open, else the profiles' files.
fn dated(facts: &Facts) -> Vec<Dated> {
    let mut all: BTreeMap<String, Dated> = BTreeMap::new();
    for profile in facts.profiles.as_deref().unwrap_or_default() {
        let (Some(at), false) = (profile.expires, profile.is_login) else {
            continue;
        };
        let agent = if profile.agent.is_main() {
            String::new()
        } else {
            format!(" of agent {}", profile.agent)
        };
        let name = format!("the profile {}{agent}", profile.id);
        let key = profile.ours.clone().unwrap_or_else(|| name.clone());
        let of_agent = if profile.agent.is_main() {
            String::new()
        } else {
            format!(" --agent {}", profile.agent)
        };
        let hint = format!(
            "clawkeep models auth{of_agent} paste-token --provider {} --profile-id {}",
            profile.provider,
            word(profile.id.as_str())
        );
        all.insert(key, Dated { name, at, hint });
    }
    for stored in facts.stored.as_deref().unwrap_or_default() {
        let Some(at) = stored.expires else {
            continue;
        };
        all.entry(stored.id.clone()).or_insert_with(|| Dated {
            name: format!("the secret {}", stored.id),
            at: Some(at),
            hint: format!("clawkeep secret set {} --expires-in 365d", stored.id),
        });
    }
    all.into_values().collect()
}

/// Files say what expires on a locked vault too, but not what is no profile.
fn left_out(facts: &Facts, outcome: &mut Outcome) {
    outcome.unread(facts);
    for reason in [facts.profiles.as_ref().err(), facts.stored.as_ref().err()]
        .into_iter()
        .flatten()
    {
        outcome.not_checked(&reason.0);
    }
}

pub(super) fn expired(facts: &Facts) -> Outcome {
    let mut outcome = Outcome::fine();
    for one in dated(facts) {
        match one.at {
            Some(at) if at > facts.now => {}
            Some(at) => {
                let ago = Span(facts.now.get() - at.get());
                outcome.find(
                    Severity::Error,
                    format!("{} expired {ago} ago", one.name),
                    one.hint,
                );
            }
            None => {
                let what = format!(
                    "{} has an expiry that is no moment: OpenClaw does not use it",
                    one.name
                );
                outcome.find(Severity::Error, what, one.hint);
            }
        }
    }
    left_out(facts, &mut outcome);
    outcome
}

pub(super) fn expiring(facts: &Facts) -> Outcome {
    let mut outcome = Outcome::fine();
    for one in dated(facts) {
        let Some(left) = one.at.map(|at| at.get() - facts.now.get()) else {
            continue;
        };
        if left > 0 && left <= DAY_MS {
            let what = format!("{} expires in {}", one.name, Span(left));
            outcome.find(Severity::Warning, what, one.hint);
        }
    }
    left_out(facts, &mut outcome);
    outcome
}

pub(super) fn order_missing(facts: &Facts) -> Outcome {
    let mut outcome = Outcome::fine();
    for order in &facts.orders {
        match order {
            Ok(order) => one_order(order, &mut outcome),
            Err(reason) => outcome.not_checked(&reason.0),
        }
    }
    outcome
}

fn one_order(order: &OrderFact, outcome: &mut Outcome) {
    let (there, gone): (Vec<_>, Vec<_>) = order
        .ids
        .iter()
        .cloned()
        .partition(|id| order.there.contains(id));
    if gone.is_empty() {
        return;
    }
    let what = format!(
        "the order of {} in {} names {}, which is not there",
        order.provider,
        order.path.display(),
        ProfileId::listed(&gone)
    );
    if order.home == OrderFile::Database {
        let verb = if there.is_empty() { "clear" } else { "set" };
        let ids: Vec<String> = there.iter().map(|id| word(id.as_str())).collect();
        let hint = format!(
            "openclaw models auth order {verb} --provider {} --agent {} {}",
            order.provider,
            order.agent,
            ids.join(" ")
        );
        outcome.find(Severity::Warning, what, hint.trim_end());
        return;
    }
    let fix = Fix::Order {
        path: order.path.clone(),
        home: order.home,
        agent: order.agent.clone(),
        provider: order.provider.clone(),
        ids: order.ids.clone(),
        gone,
    };
    outcome.add(Severity::Warning, what, "clawkeep doctor --fix", Some(fix));
}

/// Anthropic answers other requests with "This credential is only authorized for use with Claude Code".
pub(super) fn claude_only(facts: &Facts) -> Outcome {
    let stored = match &facts.stored {
        Ok(stored) => stored,
        Err(reason) => return Outcome::unchecked(reason),
    };
    let mut outcome = Outcome::fine();
    let mut tokens = Vec::new();
    for one in stored {
        match &one.is_setup_token {
            Ok(true) => tokens.push(one),
            Ok(false) => {}
            Err(reason) => outcome.not_checked(&reason.0),
        }
    }
    for one in &tokens {
        if let Some(why) = misused(facts, one) {
            let what = format!(
                "{} is a setup-token, which Anthropic takes from Claude Code alone, and {why}",
                one.id
            );
            let hint = "clawkeep models auth paste-api-key --provider anthropic";
            outcome.find(Severity::Warning, what, hint);
        }
    }
    outcome
}

fn misused(facts: &Facts, one: &StoredFact) -> Option<String> {
    let is_anthropic = |provider: &ProviderId| provider.as_str() == ANTHROPIC;
    if let Some(provider) = one
        .provider
        .as_ref()
        .filter(|provider| !is_anthropic(provider))
    {
        return Some(format!("it is stored for {provider}"));
    }
    if one.kind == SecretKind::ApiKey {
        return Some("it is stored as an API key".to_owned());
    }
    let link = facts.link.as_ref().ok()?;
    // As the credential of anthropic it goes where it belongs; anywhere else it does not.
    let elsewhere = link.refs.iter().find(|(path, id)| {
        let selects = id.strip_prefix(SELECTION_PREFIX) == Some(ANTHROPIC);
        let of_anthropic = matches!(path.as_slice(), [models, _, name, _] if models == "models" && name == ANTHROPIC);
        (*id == one.id || selects) && !of_anthropic
    });
    if let Some((path, _)) = elsewhere {
        return Some(format!("{} asks for it", path.join(".")));
    }
    let api = link.apis.get(ANTHROPIC)?;
    (api != "anthropic-messages").then(|| format!("models.providers.anthropic.api is {api}"))
}
