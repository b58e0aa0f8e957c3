//! What `models status --check` finds wrong, in words. Ring 4; makes text.
//!
//! Promise: no value, and no part of one, is in it; what is said to help can be typed as it stands.

use super::gather::Gathered;
use super::words;
use crate::cli::ui;
use crate::expiry::Span;
use crate::openclaw::elsewhere::{Answer, Elsewhere, Holder};
use crate::openclaw::profiles::ProfileKind;
use crate::provider::{ProfileId, ProviderId};
use crate::status::{Cause, Proof};

/// What is wrong, a clause, and the command that helps.
pub(super) fn said(gathered: &Gathered, cause: &Cause) -> (String, String) {
    let renew = |provider: &ProviderId| renew(gathered, provider);
    match cause {
        Cause::Expired(provider) => (
            format!("{provider} is in use, and its credential has expired"),
            renew(provider),
        ),
        Cause::Expiring(provider) => (
            format!(
                "{provider} is in use, and its credential expires within {}",
                Span(gathered.warn_within)
            ),
            renew(provider),
        ),
        Cause::Missing(provider) => (
            format!("{provider} is in use, and has no credential that can be used"),
            renew(provider),
        ),
        Cause::Unresolved(id, code) => (
            format!("the reference to {} gives no value: {code}", ui::plain(id)),
            "clawkeep doctor".to_owned(),
        ),
        Cause::NoValue(one) => no_value(gathered, one),
        Cause::Unknown(one) => {
            let hint = match &one.answer {
                Answer::NotKnown { hint, .. } => hint.as_str(),
                Answer::Value | Answer::Nothing { .. } => "clawkeep doctor",
            };
            let (of, what) = (ui::plain(&one.holder.said()), one.said());
            (
                format!("not proven: the reference of {of} to {}", ui::plain(&what)),
                hint.to_owned(),
            )
        }
        Cause::Refused(profile) => (
            format!(
                "the provider of {} refuses its credential",
                ui::plain(profile.as_str())
            ),
            renew_profile(gathered, profile),
        ),
        Cause::NoAnswer(what) => {
            let hint = match &gathered.report.proof {
                Proof::Failed {
                    hint: Some(hint), ..
                } => hint.clone(),
                _ => "clawkeep doctor".to_owned(),
            };
            (format!("nobody answers for the references: {what}"), hint)
        }
        Cause::NotProven(reason) => {
            let error = gathered.vault.state.error();
            let hint = error.and_then(crate::error::Error::hint_text);
            let hint = hint.unwrap_or("clawkeep unlock").to_owned();
            (format!("not proven: {reason}"), hint)
        }
    }
}

/// A reference that somebody else answers, and gives no value.
fn no_value(gathered: &Gathered, one: &Elsewhere) -> (String, String) {
    let why = match &one.answer {
        Answer::Nothing { code, why } => format!("{code}, {why}"),
        Answer::Value | Answer::NotKnown { .. } => String::new(),
    };
    let what = format!(
        "the reference of {} to {} gives no value: {why}",
        one.holder.said(),
        one.said()
    );
    let of_provider = |path: &str| {
        let name = path.strip_prefix("models.providers.")?;
        ProviderId::parse(name.strip_suffix(".apiKey")?).ok()
    };
    let hint = match &one.holder {
        Holder::Profile(id) => renew_profile(gathered, id),
        Holder::Setting(path) => of_provider(path).map_or_else(
            || "openclaw secrets audit".to_owned(),
            |provider| format!("clawkeep models auth paste-api-key --provider {provider}"),
        ),
    };
    (ui::plain(&what), hint)
}

/// What puts a new credential in the place of the one that is used, or of the first.
fn renew(gathered: &Gathered, provider: &ProviderId) -> String {
    let mut all = gathered.report.providers.iter();
    let facts = all.find(|one| one.facts.id == *provider);
    let worst = facts.and_then(|one| {
        let all = one.facts.selection.candidates.iter().zip(&one.profiles);
        let stored = all.filter_map(|(candidate, health)| Some((candidate, (*health)?)));
        // The first of those that end soonest; what has no end comes last.
        stored.min_by_key(|(_, health)| (health.expires.is_none(), health.expires))
    });
    worst.map_or_else(
        || {
            let agent = flag(gathered);
            format!("clawkeep models auth{agent} paste-api-key --provider {provider}")
        },
        |(candidate, _)| renew_profile(gathered, &candidate.id),
    )
}

fn renew_profile(gathered: &Gathered, id: &ProfileId) -> String {
    let mut all = gathered.report.providers.iter();
    let found = all.find_map(|one| one.facts.selection.get(id)?.profile.as_ref());
    let Some(profile) = found else {
        return "clawkeep models auth list".to_owned();
    };
    let command = match profile.kind {
        ProfileKind::Oauth => "openclaw models auth login".to_owned(),
        ProfileKind::Token => format!("clawkeep models auth{} paste-token", flag(gathered)),
        ProfileKind::ApiKey => format!("clawkeep models auth{} paste-api-key", flag(gathered)),
    };
    let (provider, id) = (&profile.provider, words::typed(id));
    format!("{command} --provider {provider} --profile-id {id}")
}

/// The flag that names another agent than main.
fn flag(gathered: &Gathered) -> String {
    if gathered.agent.is_main() {
        String::new()
    } else {
        format!(" --agent {}", gathered.agent)
    }
}
