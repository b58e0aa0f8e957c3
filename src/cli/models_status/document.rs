//! `models status --json`. Ring 4. Its form stands in `schema/models-status.v1.json`.
//!
//! Promise: what OpenClaw's own `models status --json` has too is called by the same name and at the same
//! place; what is clawkeep's alone stands below `clawkeep`. No value, and no part of one, is in it.

use super::gather::Gathered;
use super::own;
use super::probe::{CONCURRENCY, Outcome, Probed};
use super::value::Lies;
use crate::cli::app::App;
use crate::cli::args::ModelsStatus;
use crate::expiry::Millis;
use crate::openclaw::custom::Key;
use crate::openclaw::models::ModelRef;
use crate::openclaw::profiles::{Profile, ProfileKind};
use crate::openclaw::select::{Candidate, Cooling};
use crate::provider::ProviderId;
use crate::status::{Effective, ProfileHealth, Provider};
use serde_json::{Value, json};
use std::path::Path;

/// The form, and its version.
const SCHEMA: &str = "clawkeep/models-status/1";

/// The document.
pub(super) fn of(
    app: &App,
    gathered: &Gathered,
    args: &ModelsStatus,
    probed: Option<&Probed>,
) -> Value {
    let models = &gathered.models;
    let resolved = models.default.as_ref().map(ModelRef::label);
    let named = models.named.clone().or_else(|| resolved.clone());
    let mut auth = auth(gathered);
    if let Some(probed) = probed {
        auth["probes"] = probes(probed);
    }
    json!({
        "schema": SCHEMA,
        "configPath": text(gathered.config.path()),
        "agentId": gathered.agent.as_str(),
        "agentDir": text(&gathered.agent_dir),
        "defaultModel": named,
        "resolvedDefault": resolved,
        "fallbacks": models.fallbacks,
        "imageModel": models.image,
        "imageFallbacks": models.image_fallbacks,
        "aliases": models.aliases,
        "allowed": models.allowed,
        "auth": auth,
        "clawkeep": own::of(app, gathered, args),
    })
}

pub(super) fn text(path: &Path) -> String {
    path.display().to_string()
}

// --- as OpenClaw has it ---

fn auth(gathered: &Gathered) -> Value {
    let report = &gathered.report;
    // OpenClaw leaves out what it has nothing of.
    let listed = report.providers.iter().filter(|one| {
        let facts = &one.facts;
        facts.listed_by_openclaw().next().is_some()
            || facts.variable.is_some()
            || facts.key.is_some()
    });
    let providers: Vec<Value> = listed.clone().map(|one| provider(gathered, one)).collect();
    let logins = listed.filter_map(|one| {
        let kinds = one.facts.listed_by_openclaw();
        let of_profiles = kinds
            .filter(|(_, profile)| profile.kind != ProfileKind::ApiKey)
            .count();
        let of_variable = usize::from(one.facts.variable.as_ref().is_some_and(|one| one.is_login));
        let all = of_profiles + of_variable;
        (all > 0).then(|| format!("{} ({all})", one.facts.id))
    });
    let missing: Vec<&str> = report.missing.iter().map(ProviderId::as_str).collect();
    let is_enabled = gathered
        .config
        .get(&["env", "shellEnv", "enabled"])
        .is_some_and(|enabled| enabled == Value::Bool(true));
    json!({
        "storePath": text(&gathered.store),
        // The shell is not run: what it would add is not known.
        "shellEnvFallback": {"enabled": is_enabled, "appliedKeys": []},
        "providersWithOAuth": logins.collect::<Vec<_>>(),
        "missingProvidersInUse": missing,
        "providers": providers,
        "unusableProfiles": unusable(gathered),
        "oauth": health(gathered),
    })
}

fn provider(gathered: &Gathered, one: &Provider) -> Value {
    let facts = &one.facts;
    let profiles: Vec<(&Candidate, &Profile)> = facts.listed_by_openclaw().collect();
    let count = |kind| {
        profiles
            .iter()
            .filter(|(_, profile)| profile.kind == kind)
            .count()
    };
    let labels: Vec<String> = profiles
        .iter()
        .map(|(_, profile)| format!("{}={}", profile.id, label(gathered, profile)))
        .collect();
    let mut value = json!({
        "provider": facts.id.as_str(),
        "effective": {"kind": one.effective.name(), "detail": detail(gathered, one)},
        "profiles": {
            "count": profiles.len(),
            "oauth": count(ProfileKind::Oauth),
            "token": count(ProfileKind::Token),
            "apiKey": count(ProfileKind::ApiKey),
            "labels": labels,
        },
    });
    if let Some(variable) = &facts.variable {
        value["env"] = json!({"source": format!("env: {}", variable.name)});
    }
    if let Some(key) = &facts.key {
        value["modelsJson"] = json!({
            "value": key_said(key),
            "source": gathered.short(gathered.config.path()),
        });
    }
    value
}

fn detail(gathered: &Gathered, one: &Provider) -> String {
    match one.effective {
        Effective::Profiles => gathered.short(&gathered.store),
        Effective::Env => match (&one.facts.variable, &one.facts.key) {
            (Some(variable), _) => format!("env: {}", variable.name),
            (None, Some(Key::Variable(name))) => format!("env: {name}"),
            (None, _) => String::new(),
        },
        Effective::Config => one.facts.key.as_ref().map(key_said).unwrap_or_default(),
        Effective::Missing => "missing".to_owned(),
    }
}

pub(super) fn key_said(key: &Key) -> String {
    match key {
        Key::Ours(id) => format!("ref(exec:{id})"),
        Key::Elsewhere(other) => format!("ref({}:{})", other.source.name(), other.id),
        Key::Variable(name) => format!("ref(env:{name})"),
        Key::Plaintext => "plaintext".to_owned(),
        Key::Marker => "marker".to_owned(),
    }
}

/// OpenClaw's label, with a word in a value's place.
fn label(gathered: &Gathered, profile: &Profile) -> String {
    let lies = Lies::of(gathered, profile);
    let place = match (lies.word, &lies.id) {
        ("login", _) => return "OAuth".to_owned(),
        ("vault" | "keychain", Some(id)) => format!("ref(exec:{id})"),
        (source @ ("env" | "file" | "exec" | "store"), Some(id)) => format!("ref({source}:{id})"),
        ("none", _) => "missing".to_owned(),
        (word, _) => word.to_owned(),
    };
    match profile.kind {
        ProfileKind::Token => format!("token:{place}"),
        ProfileKind::ApiKey | ProfileKind::Oauth => place,
    }
}

fn unusable(gathered: &Gathered) -> Vec<Value> {
    let now = gathered.report.now;
    let mut all: Vec<(i64, Value)> = each(gathered)
        .filter_map(|(_, candidate, profile, _)| {
            let cooling = candidate.cooling?;
            let left = cooling.until.get() - now.get();
            Some((
                left,
                json!({
                    "profileId": candidate.id.as_str(),
                    "provider": profile.provider.as_str(),
                    "kind": kind_of(cooling),
                    "reason": cooling.reason,
                    "until": cooling.until.get(),
                    "remainingMs": left,
                }),
            ))
        })
        .collect();
    all.sort_by_key(|(left, _)| *left);
    all.into_iter().map(|(_, value)| value).collect()
}

pub(super) fn kind_of(cooling: Cooling) -> &'static str {
    if cooling.disabled {
        "disabled"
    } else {
        "cooldown"
    }
}

/// Every stored profile once, below the provider that it names.
fn each(
    gathered: &Gathered,
) -> impl Iterator<Item = (&Provider, &Candidate, &Profile, Option<ProfileHealth>)> {
    gathered.report.providers.iter().flat_map(|provider| {
        let candidates = provider.facts.selection.candidates.iter();
        candidates
            .zip(&provider.profiles)
            .filter_map(move |(candidate, health)| {
                let profile = candidate.profile.as_deref()?;
                (profile.provider == provider.facts.id)
                    .then_some((provider, candidate, profile, *health))
            })
    })
}

fn health(gathered: &Gathered) -> Value {
    let now = gathered.report.now;
    let mut profiles: Vec<(String, String, Value)> = each(gathered)
        .map(|(_, _, profile, health)| {
            (
                profile.provider.to_string(),
                profile.id.to_string(),
                profile_health(profile, health, now),
            )
        })
        .collect();
    profiles.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    let providers: Vec<Value> = gathered
        .report
        .providers
        .iter()
        .filter_map(|one| {
            let own: Vec<(bool, Value)> = each(gathered)
                .filter(|(of, _, _, _)| of.facts.id == one.facts.id)
                .map(|(_, candidate, profile, health)| {
                    (candidate.is_tried(), profile_health(profile, health, now))
                })
                .collect();
            if own.is_empty() {
                return None;
            }
            let any = own.iter().any(|(tried, _)| *tried);
            let counts = own.iter().filter(|(tried, _)| *tried || !any);
            let effective: Vec<Value> = counts.map(|(_, value)| value.clone()).collect();
            let all: Vec<Value> = own.into_iter().map(|(_, value)| value).collect();
            let mut value = json!({
                "provider": one.facts.id.as_str(),
                "status": one.health.name(),
                "profiles": all,
                "effectiveProfiles": effective,
            });
            put_expiry(&mut value, one.expires, now);
            Some(value)
        })
        .collect();
    json!({
        "warnAfterMs": gathered.warn_within,
        "profiles": profiles.into_iter().map(|(_, _, value)| value).collect::<Vec<_>>(),
        "providers": providers,
    })
}

fn profile_health(profile: &Profile, health: Option<ProfileHealth>, now: Millis) -> Value {
    let mut value = json!({
        "profileId": profile.id.as_str(),
        "provider": profile.provider.as_str(),
        "type": profile.kind.name(),
        "status": health.map(|health| health.status.name()),
        "source": "store",
        "label": profile.id.as_str(),
    });
    if let Some(reason) = health.and_then(|health| health.reason) {
        value["reasonCode"] = reason.code().into();
    }
    put_expiry(&mut value, health.and_then(|health| health.expires), now);
    value
}

pub(super) fn put_expiry(value: &mut Value, at: Option<Millis>, now: Millis) {
    if let Some(at) = at {
        value["expiresAt"] = at.get().into();
        value["remainingMs"] = (at.get() - now.get()).into();
    }
}

fn probes(probed: &Probed) -> Value {
    let results: Vec<Value> = probed
        .results
        .iter()
        .map(|one| {
            let mut value = json!({
                "provider": one.provider.as_str(),
                "profileId": one.profile.as_str(),
                "label": one.profile.as_str(),
                "source": "profile",
                "mode": one.kind.name(),
                "status": one.outcome.name(),
            });
            if let Outcome::NotAsked(_) = one.outcome {
                value["reasonCode"] = "not_asked".into();
            }
            if let Outcome::NotAsked(why) | Outcome::Unknown(why) = &one.outcome {
                value["error"] = why.as_str().into();
            }
            if let Some(host) = &one.host {
                value["host"] = host.as_str().into();
            }
            if let Some(took) = one.took {
                value["latencyMs"] = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).into();
            }
            value
        })
        .collect();
    json!({
        "startedAt": probed.started.get(),
        "finishedAt": probed.finished.get(),
        "durationMs": probed.finished.get() - probed.started.get(),
        "totalTargets": probed.results.len(),
        "options": {
            "timeoutMs": u64::try_from(probed.timeout.as_millis()).unwrap_or(u64::MAX),
            "concurrency": CONCURRENCY,
        },
        "results": results,
    })
}
