//! OpenClaw's own plan files, for `openclaw secrets apply --from`. Format: OpenClaw's secrets-plan
//! contract, protocol 1. They hold refs, never values.

use super::{Edit, Plan, ProfileRef};
use crate::expiry::Millis;
use crate::openclaw::reference::{SECRET_PROVIDER, SecretRef};
use crate::openclaw::version::Version;
use crate::secret::SecretKind;
use serde_json::{Map, Value, json};

/// All that will be planted, for OpenClaw's dry run: it resolves every ref and writes nothing.
/// `None` when this version's plans can name nothing of it.
pub fn full_plan(plan: &Plan, version: &Version, now: Millis) -> Option<Value> {
    let wide = version.takes_profile_plans();
    let mut targets: Vec<Value> = plan
        .edits
        .iter()
        .filter_map(config_target)
        // 2026.2.26's plans know models.providers, but neither the gateway nor profiles.
        .filter(|target| wide || target["type"] == "models.providers.apiKey")
        .collect();
    if wide {
        targets.extend(plan.profile_refs.iter().map(profile_target));
    }
    let mut document = document(&targets, now)?;
    let upserts: Map<String, Value> = [(SECRET_PROVIDER.to_owned(), plan.secret_provider.clone())]
        .into_iter()
        .collect();
    document["providerUpserts"] = Value::Object(upserts);
    Some(document)
}

/// The refs that OpenClaw itself has to put into its profiles. `None` when there are none.
pub fn profile_plan(plan: &Plan, now: Millis) -> Option<Value> {
    let targets: Vec<Value> = plan.profile_refs.iter().map(profile_target).collect();
    document(&targets, now)
}

fn document(targets: &[Value], now: Millis) -> Option<Value> {
    if targets.is_empty() {
        return None;
    }
    let at = jiff::Timestamp::from_millisecond(now.get()).unwrap_or_default();
    Some(json!({
        "version": 1,
        "protocolVersion": 1,
        "generatedAt": at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
        "generatedBy": "manual",
        "targets": targets,
        // OpenClaw would scrub as it writes; clawkeep scrubs later, with proof that refs resolve.
        "options": {
            "scrubEnv": false,
            "scrubAuthProfilesForProviderTargets": false,
            "scrubLegacyAuthJson": false,
        },
    }))
}

fn config_target(edit: &Edit) -> Option<Value> {
    let reference = SecretRef::from_value(edit.value.as_ref()?)?.to_value();
    let path: Vec<&str> = edit.path.iter().map(String::as_str).collect();
    let joined = path.join(".");
    match path.as_slice() {
        ["models", "providers", provider, "apiKey"] => Some(json!({
            "type": "models.providers.apiKey",
            "path": joined,
            "pathSegments": path,
            "providerId": provider,
            "ref": reference,
        })),
        ["gateway", "auth" | "remote", "token"] => Some(json!({
            "type": joined,
            "path": joined,
            "pathSegments": path,
            "ref": reference,
        })),
        _ => None,
    }
}

fn profile_target(wanted: &ProfileRef) -> Value {
    let (kind, field) = match wanted.kind {
        SecretKind::ApiKey => ("auth-profiles.api_key.key", "key"),
        _ => ("auth-profiles.token.token", "token"),
    };
    let profile = wanted.held.profile.as_str();
    json!({
        "type": kind,
        "path": format!("profiles.{profile}.{field}"),
        "pathSegments": ["profiles", profile, field],
        "agentId": wanted.held.agent.as_str(),
        "authProfileProvider": wanted.held.provider.as_str(),
        "ref": wanted.reference.to_value(),
    })
}
