//! What OpenClaw's own command line says of its database, in the form of an auth-profiles.json. Ring 4; starts
//! OpenClaw, changes nothing.
//!
//! Source: `openclaw models status --json` of 2026.6.5 to 2026.9.6: `auth.oauth.profiles` (all profiles, keys
//! too), the labels of `auth.providers` (what stands in a value's place), `auth.unusableProfiles` (cooldowns).
//! The order of a provider with more than one profile is asked for by itself.

use crate::cli::app::App;
use crate::cli::args::ModelsStatus;
use crate::cli::stores::Stores;
use crate::error::{Error, Result};
use crate::openclaw::database::{self, Place};
use crate::openclaw::elsewhere::{Reference, UNTOLD};
use crate::openclaw::install::Install;
use crate::openclaw::listing;
use crate::openclaw::places::Places;
use crate::openclaw::profiles::ProfilesFile;
use crate::openclaw::reference::SECRET_PROVIDER;
use crate::provider::{AgentId, ProfileId, ProviderId};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What stands for a value in the clear, which is not kept.
const SOME_VALUE: &str = "(a value in OpenClaw's database)";

/// Puts what OpenClaw says in the place of what was noted, but for providers whose profiles are ours alone. Gives
/// the names in OpenClaw's own store of secrets, where its database could be read.
///
/// # Errors
/// `Missing` without OpenClaw, `Failed` when it does not answer.
pub(super) fn take(
    app: &App,
    args: &ModelsStatus,
    agent: &AgentId,
    places: &Places,
    stores: &mut Stores,
) -> Result<Option<BTreeSet<String>>> {
    let install = Install::find(&app.host, args.openclaw.as_deref())?.ok_or_else(|| {
        Error::missing("there is no openclaw on PATH to ask")
            .hint("name the folder that holds openclaw.mjs: --openclaw DIR")
    })?;
    let said = listing::status(&install, agent)?;
    let link = stores.link.as_ref();
    let is_ours = |id: &ProfileId| {
        link.is_some_and(|link| {
            link.has_planted(agent, id) || link.has_planted(&AgentId::main(), id)
        })
    };
    // What is not known of a reference by its label stands in the database itself.
    let contents = match &stores.config {
        Some(config) => database::read(&install, places, config).ok(),
        None => None,
    };
    let told = |id: &ProfileId| {
        let mut all = contents
            .as_ref()?
            .elsewhere
            .iter()
            .filter(|one| one.profile == *id);
        let main = all.clone().find(|one| one.place.agent().is_main());
        let own = all.find(|one| one.place == Place::Agent(agent.clone()));
        own.or(main).map(|one| one.reference.clone())
    };
    let mut file = file(&said, &is_ours, &told)?;
    let mut counts: BTreeMap<ProviderId, usize> = BTreeMap::new();
    for profile in file.profiles() {
        *counts.entry(profile.provider).or_default() += 1;
    }
    let noted = std::mem::replace(&mut stores.profiles, ProfilesFile::empty());
    for profile in noted.profiles() {
        if stores.selects(&profile.provider) {
            counts.remove(&profile.provider);
        }
    }
    let mut orders = Vec::new();
    for (provider, _) in counts.iter().filter(|(_, count)| **count > 1) {
        orders.push((provider.clone(), listing::order(&install, agent, provider)?));
    }
    let kept = only(noted, |provider| stores.selects(provider));
    file = file.joined(&kept);
    for (provider, order) in orders {
        if let Some(ids) = order {
            file.set_order(&provider, &ids);
        }
    }
    stores.profiles = file;
    Ok(contents.map(|contents| contents.own_names()))
}

/// The profiles of some providers.
fn only(mut file: ProfilesFile, keeps: impl Fn(&ProviderId) -> bool) -> ProfilesFile {
    for profile in file.profiles() {
        if !keeps(&profile.provider) {
            file.remove(&profile.id);
            file.clear_order(&profile.provider);
        }
    }
    file
}

/// The document as a file of profiles. What has not the form that is known is left out.
/// A reference says not who answers it: `is_ours` knows which we planted, and `told` what others are.
fn file(
    said: &Value,
    is_ours: &dyn Fn(&ProfileId) -> bool,
    told: &dyn Fn(&ProfileId) -> Option<Reference>,
) -> Result<ProfilesFile> {
    let list = |pointer: &str| {
        let list = said.pointer(pointer).and_then(Value::as_array);
        list.into_iter().flatten()
    };
    if said.pointer("/auth/oauth/profiles").is_none() {
        return Err(Error::failed(
            "`openclaw models status --json` has another form than is known",
        )
        .hint("clawkeep models status"));
    }
    let labels: BTreeMap<&str, &str> = list("/auth/providers")
        .filter_map(|one| one.pointer("/profiles/labels")?.as_array())
        .flatten()
        .filter_map(|label| label.as_str()?.split_once('='))
        .collect();
    let mut profiles = Map::new();
    for one in list("/auth/oauth/profiles") {
        let text = |key: &str| one.get(key).and_then(Value::as_str);
        let (Some(id), Some(provider), Some(kind)) =
            (text("profileId"), text("provider"), text("type"))
        else {
            continue;
        };
        let Ok(parsed) = ProfileId::parse(id) else {
            continue;
        };
        let mut entry = json!({"type": kind, "provider": provider});
        let label = labels.get(id).copied().unwrap_or_default();
        let told = told(&parsed);
        let owner = if is_ours(&parsed) {
            Some(SECRET_PROVIDER)
        } else {
            match &told {
                Some(reference) => reference.provider.as_deref(),
                None => Some(UNTOLD),
            }
        };
        put_value(&mut entry, kind, label, owner);
        put_expires(&mut entry, one);
        profiles.insert(id.to_owned(), entry);
    }
    let mut stats = Map::new();
    for one in list("/auth/unusableProfiles") {
        let Some(id) = one.get("profileId").and_then(Value::as_str) else {
            continue;
        };
        let is_disabled = one.get("kind").and_then(Value::as_str) == Some("disabled");
        let (until, reason) = if is_disabled {
            ("disabledUntil", "disabledReason")
        } else {
            ("cooldownUntil", "cooldownReason")
        };
        let part = |key: &str| one.get(key).cloned().unwrap_or_default();
        stats.insert(
            id.to_owned(),
            json!({until: part("until"), reason: part("reason")}),
        );
    }
    let file = json!({"version": 1, "profiles": profiles, "usageStats": stats});
    ProfilesFile::parse(
        file.to_string().as_bytes(),
        Path::new("OpenClaw's database"),
    )
}

/// What a label says of the value: `token:ref(exec:anthropic:work)`, `OAuth`, `missing`, or the ends of a
/// value, which are not kept.
fn put_value(entry: &mut Value, kind: &str, label: &str, owner: Option<&str>) {
    let label = label.strip_prefix("token:").unwrap_or(label);
    let (value, reference) = match kind {
        "token" => ("token", "tokenRef"),
        "oauth" => ("access", "access"),
        _ => ("key", "keyRef"),
    };
    let inside = label
        .strip_prefix("ref(")
        .and_then(|rest| Some(&rest[..rest.rfind(')')?]))
        .and_then(|rest| rest.split_once(':'));
    match inside {
        Some((source, id)) => {
            let mut object = json!({"source": source, "id": id});
            if let Some(owner) = owner {
                object["provider"] = owner.into();
            }
            entry[reference] = object;
        }
        None if label.starts_with("missing") => {}
        None => entry[value] = SOME_VALUE.into(),
    }
}

fn put_expires(entry: &mut Value, one: &Value) {
    let at = one.get("expiresAt").and_then(Value::as_i64);
    let word = |key: &str| one.get(key).and_then(Value::as_str);
    match (at, word("status"), word("reasonCode")) {
        (Some(at), _, _) => entry["expires"] = at.into(),
        // 2026.6.1 to 2026.9.6 say not when a token expired.
        (None, Some("expired"), _) => entry["expires"] = 1.into(),
        (None, _, Some("invalid_expires")) => entry["expires"] = 0.into(),
        (None, _, _) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openclaw::profiles::{Expires, Holds};
    use proptest::prelude::*;

    #[test]
    fn what_openclaw_says_is_read_as_its_store() {
        let said = json!({"auth": {
            "providers": [{"profiles": {"labels": [
                "a:one=token:ref(exec:a:one) [cooldown 5m]", "a:two=sk-FAKE1...FAKE2", "a:three=OAuth (me)",
                "a:four=missing", "a:five=ref(env:FAKE_KEY)", "a:six=ref(exec:x/y)", 7]}}],
            "unusableProfiles": [{"profileId": "a:one", "kind": "cooldown", "reason": "rate_limit", "until": 9_000}],
            "oauth": {"profiles": [
                {"profileId": "a:one", "provider": "a", "type": "token", "status": "expired"},
                {"profileId": "a:two", "provider": "a", "type": "api_key", "status": "static"},
                {"profileId": "a:three", "provider": "a", "type": "oauth", "status": "ok", "expiresAt": 77},
                {"profileId": "a:four", "provider": "a", "type": "api_key", "status": "static"},
                {"profileId": "a:five", "provider": "a", "type": "api_key", "status": "static"},
                {"profileId": "a:six", "provider": "a", "type": "api_key", "status": "static"},
                {"profileId": 5}, "odd"]}}});
        let told =
            |id: &ProfileId| (id.as_str() == "a:five").then(|| Reference::to_variable("FAKE_KEY"));
        let file = file(&said, &|id| id.as_str() == "a:one", &told).unwrap();
        let profiles = file.profiles();
        let of = |id: &str| profiles.iter().find(|one| one.id.as_str() == id).unwrap();
        assert_eq!(profiles.len(), 6);
        let elsewhere = |id: &str| file.reference(&of(id).id).unwrap();
        assert_eq!(elsewhere("a:five"), Reference::to_variable("FAKE_KEY"));
        assert_eq!(elsewhere("a:six").provider.as_deref(), Some(UNTOLD));
        assert!(of("a:one").reference.as_ref().unwrap().is_ours());
        assert!(matches!(of("a:one").expires, Expires::At(at) if at.get() == 1));
        assert!(of("a:two").plaintext);
        assert_eq!(of("a:three").holds, Holds::Credential);
        assert_eq!(of("a:four").holds, Holds::Nothing);
        let usage = file.usage(&of("a:one").id);
        assert_eq!(usage.cooldown_until.unwrap().get(), 9_000);
        assert_eq!(usage.cooldown_reason, Some("rate_limit"));
        assert!(!String::from_utf8_lossy(&file.to_bytes()).contains("FAKE1"));
    }

    #[test]
    fn another_form_is_an_error() {
        for odd in [json!({}), json!([]), json!({"auth": {"oauth": 7}})] {
            assert!(file(&odd, &|_| true, &|_| None).is_err(), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_panics(id in "\\PC{0,9}", label in "\\PC{0,20}", kind in "(token|oauth|api_key|\\PC{0,4})") {
            let _ = file(&json!({"auth": {
                "providers": [{"profiles": {"labels": [label, format!("{id}={label}"), format!("{id}=ref({label}")]}}],
                "oauth": {"profiles": [{"profileId": id, "provider": label, "type": kind, "expiresAt": label}]}}}), &|_| true, &|_| None);
        }
    }
}
