//! The link: what openclaw.json names, what OpenClaw would run, and what it would get. Ring 3; pure.

use super::facts::{Facts, LinkFact, ProfileHome, SlotForm};
use super::{Fix, NotKnown, Outcome, Severity};
use crate::error::word;
use crate::openclaw::elsewhere::Answer;
use crate::openclaw::profiles::ProfileKind;
use crate::secret::{SELECTION_PREFIX, in_grammar};

fn with(facts: &Facts, look: impl FnOnce(&LinkFact, &mut Outcome)) -> Outcome {
    match &facts.link {
        Ok(link) => {
            let mut outcome = Outcome::fine();
            look(link, &mut outcome);
            outcome
        }
        Err(reason) => Outcome::unchecked(reason),
    }
}

pub(super) fn readable(facts: &Facts) -> Outcome {
    let mut outcome = Outcome::fine();
    for trouble in &facts.broken {
        outcome.find(
            Severity::Error,
            &trouble.what,
            trouble.hint_or("openclaw config validate"),
        );
    }
    outcome
}

/// What it includes is not read: nothing there was looked at.
pub(super) fn included(facts: &Facts, outcome: &mut Outcome) {
    if let Ok(link) = &facts.link
        && link.includes
    {
        let file = link.config.display();
        outcome.not_checked(format!("{file} includes another file, which is not read"));
    }
}

pub(super) fn link(facts: &Facts) -> Outcome {
    with(facts, |link, outcome| {
        included(facts, outcome);
        if let Some(trouble) = &link.trouble {
            outcome.find(
                Severity::Error,
                &trouble.what,
                trouble.hint_or(&link.relink),
            );
        }
    })
}

pub(super) fn openclaw_updated(facts: &Facts) -> Outcome {
    with(facts, |link, outcome| {
        let version = match &facts.version {
            Ok(version) => version,
            Err(reason) => {
                outcome.not_checked(&reason.0);
                return;
            }
        };
        if !version.has_refs() {
            let what = format!("OpenClaw {version} knows no references: they came with 2026.2.26");
            outcome.find(Severity::Error, what, "npm install -g openclaw@latest");
        } else if let Some((linked, same_way)) = &link.linked_version
            && !same_way
        {
            let what =
                format!("OpenClaw {linked} was linked, and {version} keeps its profiles elsewhere");
            outcome.find(
                Severity::Error,
                what,
                format!("openclaw doctor --fix, then: {}", link.relink),
            );
        }
    })
}

pub(super) fn command(facts: &Facts) -> Outcome {
    with(facts, |link, outcome| {
        let Some(trouble) = &link.command else {
            return;
        };
        let fix = link
            .command_mode
            .clone()
            .map(|(path, from, to)| Fix::Mode { path, from, to });
        let hint = match fix {
            Some(_) => "clawkeep doctor --fix".to_owned(),
            None => trouble.hint_or("clawkeep link --install"),
        };
        outcome.add(Severity::Error, &trouble.what, hint, fix);
    })
}

pub(super) fn pass_env(facts: &Facts) -> Outcome {
    with(facts, |link, outcome| {
        let needs = match &link.needs_env {
            Ok(needs) => needs,
            Err(reason) => {
                outcome.not_checked(&reason.0);
                return;
            }
        };
        let missing: Vec<&str> = needs
            .iter()
            .filter(|name| !link.pass_env.contains(name))
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            let what = format!(
                "passEnv in {} lacks {}: without it the keychain slot is not found",
                link.config.display(),
                missing.join(", ")
            );
            outcome.find(Severity::Error, what, &link.relink);
        }
    })
}

pub(super) fn ref_resolves(facts: &Facts) -> Outcome {
    let asked = match &facts.asked {
        Ok(Ok(asked)) => asked,
        Ok(Err(trouble)) => {
            let mut outcome = Outcome::fine();
            outcome.find(
                Severity::Error,
                &trouble.what,
                trouble.hint_or("clawkeep link"),
            );
            return outcome;
        }
        Err(reason) => return Outcome::unchecked(reason),
    };
    let mut outcome = Outcome::fine();
    included(facts, &mut outcome);
    outcome.unread(facts);
    let (mut nameless, mut locked) = (0, 0);
    for (id, code) in &asked.refused {
        if code == "LOCKED" {
            locked += 1;
            continue;
        }
        if !in_grammar(id) {
            // Not repeated: it is whatever somebody wrote into that file.
            nameless += 1;
            continue;
        }
        if code == "NOT_FOUND" {
            let what = format!("OpenClaw's files ask for {id}, and the vault has no such secret");
            outcome.find(Severity::Error, what, mends(id));
        } else if facts.vault == Ok(None) {
            let what = format!("OpenClaw's files ask for {id}, and the answer is {code}");
            outcome.find(Severity::Error, what, "clawkeep secret list");
        } else {
            // What is wrong with the vault is said there, and no value need be stored again.
            outcome.not_checked("the vault comes first");
        }
    }
    if locked > 0 {
        is_locked(facts, locked, &mut outcome);
    }
    if nameless > 0 {
        let what = format!(
            "OpenClaw's files ask for {nameless} of the vault's secrets by what can be no secret's name"
        );
        outcome.find(Severity::Error, what, "openclaw secrets audit");
    }
    outcome
}

/// Locked for the gateway is as it should be where the vault is locked here too.
fn is_locked(facts: &Facts, ids: u32, outcome: &mut Outcome) {
    let slots = facts.slots.as_deref().unwrap_or_default();
    let open = slots
        .iter()
        .find(|slot| slot.opens_alone() && slot.opened == Ok(None));
    let Some(open) = open.filter(|_| !facts.keeper.once) else {
        outcome.not_checked("locked");
        return;
    };
    let by = if open.form == SlotForm::KeychainItems {
        "the keychain is open".to_owned()
    } else {
        format!("slot {} opens the vault", open.name)
    };
    let said = format!("{by} here, and to the gateway {ids} of its secrets are locked");
    if facts.keeper.required && !facts.keeper.runs {
        let what = format!("{said}: it asks a keeper, and none runs");
        outcome.find(Severity::Error, what, "clawkeep unlock");
    } else {
        let relink = facts
            .link
            .as_ref()
            .map_or("clawkeep link", |link| &link.relink);
        outcome.find(Severity::Error, said, relink);
    }
}

/// What puts a value where `id` asks.
fn mends(id: &str) -> String {
    match id.strip_prefix(SELECTION_PREFIX) {
        Some(provider) => format!("clawkeep models auth paste-api-key --provider {provider}"),
        None => format!("clawkeep secret set {id}, or: clawkeep link"),
    }
}

pub(super) fn ref_elsewhere(facts: &Facts) -> Outcome {
    let elsewhere = match &facts.elsewhere {
        Ok(elsewhere) => elsewhere,
        Err(reason) => return Outcome::unchecked(reason),
    };
    let mut outcome = Outcome::fine();
    included(facts, &mut outcome);
    outcome.unread(facts);
    for one in elsewhere {
        let (of, what) = (one.holder.said(), one.said());
        match &one.answer {
            Answer::Value => {}
            Answer::Nothing { why, .. } => outcome.find(
                Severity::Error,
                format!("the reference of {of} to {what} gives no value: {why}"),
                "clawkeep models status --check",
            ),
            Answer::NotKnown { why, .. } => {
                outcome.not_checked(format!("the reference of {of} to {what}: {why}"));
            }
        }
    }
    outcome
}

pub(super) fn resolve_time(facts: &Facts) -> Outcome {
    let asked = match &facts.asked {
        Ok(Ok(asked)) => asked,
        Ok(Err(_)) => return Outcome::unchecked(&NotKnown("no answer".to_owned())),
        Err(reason) => return Outcome::unchecked(reason),
    };
    let mut outcome = Outcome::fine();
    let (took, limit) = (asked.took.as_millis(), asked.limit.as_millis());
    // A keeper that holds the vault open answers faster.
    let hint = "clawkeep service install";
    if took > limit {
        let what = format!("the answer took {took} ms, and OpenClaw waits {limit} ms");
        outcome.find(Severity::Error, what, hint);
    } else if took * 2 > limit {
        let what = format!("the answer took {took} ms of the {limit} ms that OpenClaw waits");
        outcome.find(Severity::Warning, what, hint);
    }
    outcome
}

pub(super) fn ref_ignored(facts: &Facts) -> Outcome {
    let mut outcome = ignored_in_config(facts);
    for profile in facts.profiles.as_deref().unwrap_or_default() {
        let Some((field, kind)) = profile.misplaced else {
            continue;
        };
        let what = format!(
            "the profile {} of agent {} is of type {} and holds its reference in {field}, where OpenClaw reads none",
            profile.id,
            profile.agent,
            kind.name()
        );
        let paste = match kind {
            ProfileKind::Token => "paste-token",
            ProfileKind::ApiKey => "paste-api-key",
            ProfileKind::Oauth => {
                let hint = format!("openclaw models auth login --provider {}", profile.provider);
                outcome.find(Severity::Error, what, hint);
                continue;
            }
        };
        let hint = format!(
            "clawkeep models auth --agent {} {paste} --provider {} --profile-id {}",
            profile.agent,
            profile.provider,
            word(profile.id.as_str())
        );
        outcome.find(Severity::Error, what, hint);
    }
    outcome
}

fn ignored_in_config(facts: &Facts) -> Outcome {
    with(facts, |link, outcome| match &link.ignored {
        Ok(ignored) => {
            included(facts, outcome);
            for path in ignored {
                let version = facts
                    .version
                    .as_ref()
                    .map_or_else(|_| "this version".to_owned(), ToString::to_string);
                let what = format!(
                    "{} holds a reference at {path}, where OpenClaw {version} takes none",
                    link.config.display()
                );
                let hint = format!("openclaw config unset {}", word(path));
                outcome.find(Severity::Error, what, hint);
            }
        }
        Err(reason) => outcome.not_checked(&reason.0),
    })
}

pub(super) fn ref_shadowed(facts: &Facts) -> Outcome {
    with(facts, |link, outcome| {
        let profiles = match &facts.profiles {
            Ok(profiles) => profiles,
            Err(reason) => {
                outcome.not_checked(&reason.0);
                return;
            }
        };
        included(facts, outcome);
        outcome.unread(facts);
        for provider in link.config_refs() {
            let covering: Vec<String> = profiles
                .iter()
                .filter(|profile| {
                    profile.home == ProfileHome::OpenClaw && profile.provider == provider
                })
                .map(|profile| profile.id.to_string())
                .collect();
            if !covering.is_empty() {
                let what = format!(
                    "the reference of {provider} in {} is covered by the profile {} (REF_SHADOWED)",
                    link.config.display(),
                    covering.join(", ")
                );
                outcome.find(Severity::Error, what, &link.relink);
            }
        }
    })
}
