//! The choice of a profile held against a second, naive way to say the rules.

use super::tests_selector::{NOW, choose};
use super::*;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// The rules said again, without looking at how the others say them: all that can be tried are ranked by
/// a number for each rule, and the least is taken out until none is left.
fn naive(root: &Value, config: &Value, pin: Option<&str>) -> (Vec<String>, Vec<(String, String)>) {
    let profiles = root["profiles"].as_object().unwrap();
    let theirs: Vec<&str> = profiles
        .iter()
        .filter(|(_, profile)| profile["provider"] == "anthropic")
        .map(|(id, _)| id.as_str())
        .collect();
    let named = |list: &Value| -> Option<Vec<String>> {
        let ids = list.as_array()?.iter().filter_map(Value::as_str);
        Some(ids.map(str::to_owned).collect())
    };
    let no_entries = Map::new();
    let entries = config["auth"]["profiles"]
        .as_object()
        .unwrap_or(&no_entries);
    let configured: Vec<String> = entries
        .iter()
        .filter(|(_, entry)| entry["provider"] == "anthropic")
        .map(|(id, _)| id.clone())
        .collect();
    let stored = named(&root["order"]["anthropic"]).filter(|ids| !ids.is_empty());
    let from_store = stored.is_some();
    let explicit = stored.or_else(|| named(&config["auth"]["order"]["anthropic"]));
    let mut ordered = explicit.is_some();
    let mut base = match explicit {
        Some(ids) => ids,
        None if !configured.is_empty() => configured.clone(),
        None => theirs.iter().map(|id| (*id).to_owned()).collect(),
    };
    if !base.is_empty()
        && base.iter().all(|id| !profiles.contains_key(id))
        && (from_store || !configured.is_empty())
    {
        base = theirs.iter().map(|id| (*id).to_owned()).collect();
        ordered = false;
    }
    let reason = |id: &str| -> &str {
        let Some(profile) = profiles.get(id) else {
            return "profile_missing";
        };
        if profile["provider"] != "anthropic" {
            return "provider_mismatch";
        }
        if let Some(entry) = entries.get(id) {
            if entry["provider"] != "anthropic" {
                return "provider_mismatch";
            }
            let both = (
                entry["mode"].as_str().unwrap(),
                profile["type"].as_str().unwrap(),
            );
            if both.0 != both.1 && both != ("oauth", "token") {
                return "mode_mismatch";
            }
        }
        if ["key", "token", "access"]
            .iter()
            .all(|field| profile[field].is_null())
        {
            return "missing_credential";
        }
        match profile["expires"].as_i64() {
            Some(at) if profile["type"] == "token" && at <= 0 => "invalid_expires",
            Some(at) if profile["type"] == "token" && at <= NOW => "expired",
            _ => "ok",
        }
    };
    let number = |id: &str, field: &str| root["usageStats"][id][field].as_i64().unwrap_or(0);
    let rank = |at: usize, id: &str| {
        let pause = ["cooldownUntil", "disabledUntil", "blockedUntil"]
            .map(|field| number(id, field))
            .into_iter()
            .filter(|until| *until > NOW)
            .max()
            .unwrap_or(0);
        let kind = ["oauth", "token", "api_key"]
            .iter()
            .position(|kind| profiles[id]["type"] == *kind);
        let (kind, used) = if ordered || pause > 0 {
            (None, 0)
        } else {
            (kind, number(id, "lastUsed"))
        };
        (pin != Some(id), pause, kind, used, at)
    };
    let mut left: Vec<(usize, String)> = Vec::new();
    let mut others: Vec<(String, String)> = Vec::new();
    for (at, id) in base.iter().enumerate() {
        if left.iter().any(|(_, seen)| seen == id) || others.iter().any(|(seen, _)| seen == id) {
            continue;
        }
        match reason(id) {
            "ok" => left.push((at, id.clone())),
            why => others.push((id.clone(), why.to_owned())),
        }
    }
    left.sort_by_key(|(at, id)| rank(*at, id));
    (left.into_iter().map(|(_, id)| id).collect(), others)
}

fn arbitrary_profile() -> impl Strategy<Value = Value> {
    let kind = prop_oneof![Just("oauth"), Just("token"), Just("api_key")];
    let provider = prop_oneof![4 => Just("anthropic"), 1 => Just("openai")];
    let expires = proptest::option::of(prop_oneof![Just(-1i64), NOW - 2..NOW + 3]);
    (kind, provider, expires, 0u8..6).prop_map(|(kind, provider, expires, empty)| {
        let mut profile = json!({"type": kind, "provider": provider});
        let field = match kind {
            "oauth" => "access",
            "token" => "token",
            _ => "key",
        };
        if empty > 0 {
            profile[field] = json!("FAKE");
        }
        if let Some(at) = expires {
            profile["expires"] = json!(at);
        }
        profile
    })
}

fn arbitrary_config() -> impl Strategy<Value = Value> {
    let mode = prop_oneof![Just("oauth"), Just("token"), Just("api_key")];
    let provider = prop_oneof![4 => Just("anthropic"), 1 => Just("openai")];
    let entry = (provider, mode).prop_map(|(of, mode)| json!({"provider": of, "mode": mode}));
    let entries = proptest::collection::btree_map("p:[a-g]", entry, 0..4);
    let order = proptest::option::of(proptest::collection::vec("p:[a-g]", 0..4));
    (entries, order).prop_map(|(entries, order)| {
        let mut auth = json!({"profiles": entries});
        if let Some(order) = order {
            auth["order"] = json!({"anthropic": order});
        }
        json!({"auth": auth})
    })
}

proptest! {
    #[test]
    fn two_ways_to_say_the_rules_agree(
        profiles in proptest::collection::btree_map("p:[a-f]", arbitrary_profile(), 0..6),
        usage in proptest::collection::btree_map("p:[a-f]", (0i64..4, NOW - 2..NOW + 4, NOW - 2..NOW + 4), 0..5),
        order in proptest::option::of(proptest::collection::vec("p:[a-g]", 0..6)),
        config in arbitrary_config(),
        pin in proptest::option::of("p:[a-g]"),
    ) {
        let usage: Map<String, Value> = usage
            .into_iter()
            .map(|(id, (used, cooled, disabled))| {
                (id, json!({"lastUsed": used, "cooldownUntil": cooled, "disabledUntil": disabled}))
            })
            .collect();
        let mut root = json!({"profiles": profiles, "usageStats": usage});
        if let Some(order) = order {
            root["order"] = json!({"anthropic": order});
        }
        let selection = choose(&root, &config.to_string(), "anthropic", pin.as_deref());
        let (tried, others) = naive(&root, &config, pin.as_deref());
        let chosen: Vec<&str> = selection.tried().map(|one| one.id.as_str()).collect();
        prop_assert_eq!(chosen, tried);
        for (id, why) in others {
            let one = selection.get(&ProfileId::parse(&id).unwrap());
            prop_assert_eq!(one.map(|one| one.reason.code()), Some(why.as_str()));
        }
        // Everything that is known or named is there, and once.
        let mut ids: Vec<&str> = selection.candidates.iter().map(|one| one.id.as_str()).collect();
        for (id, profile) in root["profiles"].as_object().unwrap() {
            prop_assert!(profile["provider"] != "anthropic" || ids.contains(&id.as_str()));
        }
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), all);
    }

    #[test]
    fn no_file_makes_it_panic(text in "\\PC{0,60}", id in "\\PC{1,20}") {
        let root = json!({"profiles": {id.clone(): {"type": "token", "provider": "anthropic", "token": text}},
            "order": {text.clone(): [id.clone(), text]}, "usageStats": {id: {"cooldownUntil": 1e300}}});
        let _ = choose(&root, "{}", "anthropic", None);
    }
}
