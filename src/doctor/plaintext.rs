//! Credentials in the clear: what still wins over a reference, what is left, and where. Ring 3; pure.

use super::facts::{Facts, PlainFact, PlainForm};
use super::{Outcome, Severity};
use crate::error::typed;

const MIGRATE: &str = "clawkeep migrate --dry-run";

/// The most places that one finding names.
const NAMED: usize = 5;

/// What one place counts as: each in one check alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Service,
    Copy,
    Wins,
    Left,
}

/// Source: OpenClaw asks profiles first, then variables, then `models.providers.<p>.apiKey`.
fn class(facts: &Facts, one: &PlainFact) -> Class {
    if one.of_service {
        return Class::Service;
    }
    let link = facts.link.as_ref().ok();
    let config_refs = link
        .map(super::facts::LinkFact::config_refs)
        .unwrap_or_default();
    let profiles = facts.profiles.as_deref().unwrap_or_default();
    let wins = match &one.form {
        PlainForm::Copy => return Class::Copy,
        PlainForm::Variable(readers) => readers.iter().any(|reader| config_refs.contains(reader)),
        PlainForm::GatewayVariable => link.is_some_and(|link| {
            link.refs
                .iter()
                .any(|(path, _)| path.join(".") == "gateway.auth.token")
        }),
        PlainForm::Profile(provider) => {
            config_refs.contains(provider)
                || profiles
                    .iter()
                    .any(|profile| profile.provider == *provider && profile.ours.is_some())
        }
        PlainForm::ConfigKey(_) | PlainForm::Setting => false,
    };
    if wins { Class::Wins } else { Class::Left }
}

fn of(facts: &Facts, wanted: Class) -> super::Known<Vec<&PlainFact>> {
    let all = facts.plaintext.as_ref().map_err(Clone::clone)?;
    Ok(all
        .iter()
        .filter(|one| class(facts, one) == wanted)
        .collect())
}

pub(super) fn wins(facts: &Facts) -> Outcome {
    if let Err(reason) = &facts.link {
        return Outcome::unchecked(reason);
    }
    let all = match of(facts, Class::Wins) {
        Ok(all) => all,
        Err(reason) => return Outcome::unchecked(&reason),
    };
    let mut outcome = Outcome::fine();
    for one in all {
        let what = format!(
            "{} holds plaintext that OpenClaw uses before the reference",
            one.place
        );
        outcome.find(Severity::Warning, what, MIGRATE);
    }
    outcome
}

pub(super) fn left(facts: &Facts) -> Outcome {
    let all = match of(facts, Class::Left) {
        Ok(all) => all,
        Err(reason) => return Outcome::unchecked(&reason),
    };
    let mut outcome = Outcome::fine();
    if let [first, rest @ ..] = all.as_slice() {
        let what = match rest.len() {
            0 => format!("{} holds a credential in plaintext", first.place),
            _ => format!(
                "{} credentials lie in plaintext: {}",
                all.len(),
                named(&all)
            ),
        };
        outcome.find(Severity::Warning, what, MIGRATE);
    }
    for unseen in &facts.unseen {
        outcome.not_checked(unseen);
    }
    outcome
}

fn named(all: &[&PlainFact]) -> String {
    let mut text = all
        .iter()
        .take(NAMED)
        .map(|one| one.place.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    if all.len() > NAMED {
        text.push_str(", …");
    }
    text
}

pub(super) fn service(facts: &Facts) -> Outcome {
    let all = match of(facts, Class::Service) {
        Ok(all) => all,
        Err(reason) => return Outcome::unchecked(&reason),
    };
    let mut outcome = Outcome::fine();
    for one in all {
        let what = format!("{} holds a credential in a service's file", one.place);
        outcome.find(Severity::Warning, what, MIGRATE);
    }
    outcome
}

pub(super) fn residue(facts: &Facts) -> Outcome {
    let mut outcome = Outcome::fine();
    for path in &facts.leftovers {
        let what = format!(
            "{} was left by an import: OpenClaw's audit fails while it is there",
            path.display()
        );
        outcome.find(Severity::Warning, what, format!("rm {}", typed(path)));
    }
    match of(facts, Class::Copy) {
        Ok(copies) => {
            for one in copies {
                let what = format!(
                    "{} is an old copy with a credential in plaintext",
                    one.place
                );
                outcome.find(Severity::Warning, what, MIGRATE);
            }
        }
        Err(reason) => outcome.not_checked(reason.0),
    }
    outcome
}

pub(super) fn era(facts: &Facts) -> Outcome {
    let version = match &facts.version {
        Ok(version) => version,
        Err(reason) => return Outcome::unchecked(reason),
    };
    let mut outcome = Outcome::fine();
    for path in &facts.old_stores {
        let what = format!(
            "{} lies beside OpenClaw {version}, which keeps profiles in its database: it is ignored, \
             or every command refuses",
            path.display()
        );
        outcome.find(
            Severity::Error,
            what,
            "openclaw doctor --fix, then: clawkeep link",
        );
    }
    outcome
}
