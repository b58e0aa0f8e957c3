//! What `models status --json` says below `clawkeep`: what OpenClaw does not say. Ring 4.
//!
//! Promise: no value, and no part of one, is in it.

use super::causes;
use super::document::{key_said, kind_of, put_expiry, text};
use super::gather::Gathered;
use super::value::Lies;
use crate::cli::app::App;
use crate::cli::args::ModelsStatus;
use crate::expiry::Millis;
use crate::openclaw::elsewhere::{Answer, Elsewhere, Holder};
use crate::openclaw::select::{Candidate, Source};
use crate::provider::ProfileId;
use crate::status::{Cause, ProfileHealth, Proof, Provider, Role, Winner};
use crate::vault::cache::Custody;
use serde_json::{Map, Value, json};

/// That part of the document.
pub(super) fn of(app: &App, gathered: &Gathered, args: &ModelsStatus) -> Value {
    let report = &gathered.report;
    let vault = &gathered.vault;
    let error = vault.state.error();
    let linked = gathered
        .link
        .as_ref()
        .is_some_and(|link| !link.is_pending());
    let providers: Vec<Value> = report
        .providers
        .iter()
        .map(|one| own_provider(gathered, one))
        .collect();
    let read: Vec<String> = gathered.read.iter().map(|path| text(path)).collect();
    json!({
        "vault": {
            "dir": text(&app.dir),
            "id": vault.id.map(|id| id.to_string()),
            "custody": vault.custody.map(|custody| match custody {
                Custody::File => "file",
                Custody::Keychain => "keychain",
            }),
            "state": vault.state.name(),
            "reason": error.map(crate::error::Error::message),
            "hint": error.and_then(crate::error::Error::hint_text),
        },
        "stateDir": text(&gathered.state_dir),
        "profilesRead": read,
        "openclaw": {
            "version": gathered.version.as_ref().map(ToString::to_string),
            "linked": linked,
            "inDatabase": gathered.in_database,
            "asked": gathered.in_database && args.live,
        },
        "providers": providers,
        "proof": proof(&report.proof),
        "elsewhere": report.elsewhere.iter().map(elsewhere).collect::<Vec<_>>(),
        "check": {
            "exitCode": report.verdict.exit_code(),
            "causes": report.verdict.causes.iter().map(|one| cause(gathered, one)).collect::<Vec<_>>(),
        },
        "notes": gathered.notes,
    })
}

fn own_provider(gathered: &Gathered, one: &Provider) -> Value {
    let facts = &one.facts;
    let mut turn = 0;
    let candidates: Vec<Value> = facts
        .selection
        .candidates
        .iter()
        .zip(&one.profiles)
        .map(|(candidate, health)| {
            turn += u64::from(candidate.is_tried());
            let tried = candidate.is_tried().then_some(turn);
            own_candidate(gathered, one, candidate, *health, tried)
        })
        .collect();
    let mut value = json!({
        "provider": facts.id.as_str(),
        "inUse": one.is_used,
        "uses": match &one.winner {
            Winner::Profile(_) => "profile",
            Winner::Variable => "env",
            Winner::Config => "config",
            Winner::Nothing => "nothing",
        },
        "next": one.next().map(ProfileId::as_str),
        "orderSource": facts.selection.source.name(),
        "passedOver": facts.selection.passed_over.map(Source::name),
        "oneReferenceForAll": facts.selects,
        "candidates": candidates,
    });
    if let (Some(variable), Some(role)) = (&facts.variable, one.role_of_variable()) {
        value["env"] = json!({
            "name": variable.name,
            "place": variable.place,
            "role": Role::name(role),
        });
    }
    if let (Some(key), Some(role)) = (&facts.key, one.role_of_key()) {
        value["config"] = json!({
            "path": format!("models.providers.{}.apiKey", facts.id),
            "holds": key_said(key),
            "role": Role::name(role),
        });
    }
    value
}

fn own_candidate(
    gathered: &Gathered,
    provider: &Provider,
    candidate: &Candidate,
    health: Option<ProfileHealth>,
    tried: Option<u64>,
) -> Value {
    let now = gathered.report.now;
    let usage = &candidate.usage;
    let mut value = json!({
        "profileId": candidate.id.as_str(),
        "type": candidate.profile.as_ref().map(|profile| profile.kind.name()),
        "tried": tried,
        "next": provider.next() == Some(&candidate.id),
        "reasonCode": candidate.reason.code(),
        "status": health.map(|health| health.status.name()),
        "lastUsed": usage.last_used.map(Millis::get),
        "lastFailureAt": usage.last_failure.map(Millis::get),
        "errorCount": usage.errors,
        "cooldown": candidate.cooling.map(|cooling| json!({
            "kind": kind_of(cooling),
            "reason": cooling.reason,
            "until": cooling.until.get(),
            "remainingMs": cooling.until.get() - now.get(),
        })),
    });
    put_expiry(&mut value, health.and_then(|health| health.expires), now);
    if let Some(profile) = &candidate.profile {
        let lies = Lies::of(gathered, profile);
        let ours = matches!(lies.word, "vault" | "keychain");
        let id = lies.id.as_ref().filter(|_| ours);
        let resolves = match gathered.report.elsewhere(&candidate.id) {
            Some(Answer::Value) => Some(true),
            Some(Answer::Nothing { .. }) => Some(false),
            Some(Answer::NotKnown { .. }) => None,
            None => id.and_then(|id| gathered.report.proof.resolves(id)),
        };
        value["resolves"] = resolves.into();
        let mut place = Map::new();
        place.insert("place".to_owned(), lies.word.into());
        place.insert("plaintextBeside".to_owned(), lies.beside.into());
        if let Some(id) = lies.id {
            place.insert("id".to_owned(), id.into());
        }
        value["value"] = place.into();
    }
    value
}

fn proof(proof: &Proof) -> Value {
    let mut value = json!({"state": proof.name()});
    match proof {
        Proof::Nothing => {}
        Proof::NotProven { reason, .. } => value["reason"] = reason.as_str().into(),
        Proof::Failed { what, hint } => {
            value["reason"] = what.as_str().into();
            value["hint"] = hint.as_deref().into();
        }
        Proof::Asked {
            as_gateway,
            answers,
        } => {
            value["asGateway"] = (*as_gateway).into();
            value["asked"] = answers.len().into();
            let bad = answers
                .iter()
                .filter_map(|(id, code)| Some(json!({"id": id, "code": code.as_ref()?})));
            value["unresolved"] = bad.collect::<Vec<_>>().into();
        }
    }
    value
}

/// A reference that somebody else answers: where it stands, what it is, and what came of it.
fn elsewhere(one: &Elsewhere) -> Value {
    let reference = &one.reference;
    let mut value = json!({"reference": {
        "source": reference.source.name(),
        "provider": reference.provider,
        "id": reference.id,
    }});
    match &one.holder {
        Holder::Profile(id) => value["profileId"] = id.as_str().into(),
        Holder::Setting(path) => value["path"] = path.as_str().into(),
    }
    match &one.answer {
        Answer::Value => value["resolves"] = true.into(),
        Answer::Nothing { code, why } => {
            value["resolves"] = false.into();
            value["code"] = code.as_str().into();
            value["reason"] = why.as_str().into();
        }
        Answer::NotKnown { why, hint } => {
            value["resolves"] = Value::Null;
            value["reason"] = why.as_str().into();
            value["hint"] = hint.as_str().into();
        }
    }
    value
}

fn cause(gathered: &Gathered, cause: &Cause) -> Value {
    let (what, hint) = causes::said(gathered, cause);
    let mut value = json!({
        "kind": cause.name(),
        "exitCode": cause.kind().exit_code(),
        "what": what,
        "hint": hint,
    });
    match cause {
        Cause::Expired(provider) | Cause::Missing(provider) | Cause::Expiring(provider) => {
            value["provider"] = provider.as_str().into();
        }
        Cause::Unresolved(id, code) => {
            value["id"] = id.as_str().into();
            value["code"] = code.as_str().into();
        }
        Cause::NoValue(one) | Cause::Unknown(one) => {
            let mut whole = elsewhere(one);
            if let (Some(value), Some(whole)) = (value.as_object_mut(), whole.as_object_mut()) {
                whole.remove("resolves");
                value.append(whole);
            }
        }
        Cause::Refused(profile) => value["profileId"] = profile.as_str().into(),
        Cause::NoAnswer(reason) | Cause::NotProven(reason) => {
            value["reason"] = reason.as_str().into();
        }
    }
    value
}
