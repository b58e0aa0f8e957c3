//! The choice of a profile, held against what OpenClaw itself chose.

use super::*;
use crate::provider::ProfileId;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::path::Path;

const NOW: i64 = 1_000;

fn file(root: &Value) -> ProfilesFile {
    ProfilesFile::parse(
        root.to_string().as_bytes(),
        Path::new("/x/auth-profiles.json"),
    )
    .unwrap()
}

fn chosen(root: &Value, provider: &str) -> Vec<String> {
    candidates(
        &file(root),
        &ProviderId::parse(provider).unwrap(),
        Millis::new(NOW).unwrap(),
    )
    .into_iter()
    .map(|profile| profile.id.to_string())
    .collect()
}

fn ours(id: &str) -> Value {
    json!({"source": "exec", "provider": "clawkeep", "id": id})
}

fn token(id: &str) -> Value {
    json!({"type": "token", "provider": "anthropic", "tokenRef": ours(id)})
}

fn key(id: &str) -> Value {
    json!({"type": "api_key", "provider": "anthropic", "keyRef": ours(id)})
}

fn until(id: &str, expires: i64) -> Value {
    let mut profile = token(id);
    profile["expires"] = json!(expires);
    profile
}

#[test]
fn the_rules_are_openclaws() {
    let two = json!({"a:k": key("a:k"), "a:t": token("a:t")});
    let three = json!({"a:1": token("a:1"), "a:2": token("a:2"), "a:3": token("a:3")});
    let over =
        json!({"a:1": until("a:1", NOW), "a:2": until("a:2", NOW + 1), "a:3": until("a:3", -1)});
    let all_over =
        json!({"a:k": until("a:k", 5), "a:2": until("a:2", 9), "a:3": token("b:3"), "x": 1});
    let cases = [
        (
            "tokens before keys",
            json!({"profiles": two}),
            vec!["a:t", "a:k"],
        ),
        (
            "an order as it is given",
            json!({"profiles": two, "order": {"Anthropic": ["a:k", "a:t", "a:k"]}}),
            vec!["a:k", "a:t"],
        ),
        (
            "an order leaves out",
            json!({"profiles": two, "order": {"anthropic": ["a:k"]}}),
            vec!["a:k"],
        ),
        (
            "an order of ids that are gone",
            json!({"profiles": two, "order": {"anthropic": ["a:x"]}}),
            vec!["a:t", "a:k"],
        ),
        (
            "one that is gone is skipped",
            json!({"profiles": two, "order": {"anthropic": ["a:x", "a:k"]}}),
            vec!["a:k"],
        ),
        (
            "another provider's order",
            json!({"profiles": two, "order": {"openai": ["a:k"]}}),
            vec!["a:t", "a:k"],
        ),
        (
            "never used first, then the longest ago",
            json!({"profiles": three, "usageStats": {"a:1": {"lastUsed": 9}, "a:3": {"lastUsed": 3}}}),
            vec!["a:2", "a:3", "a:1"],
        ),
        (
            "an order pays no heed to use",
            json!({"profiles": three, "order": {"anthropic": ["a:1", "a:2"]}, "usageStats": {"a:1": {"lastUsed": 9}}}),
            vec!["a:1", "a:2"],
        ),
        (
            "cooling last, soonest first",
            json!({"profiles": three, "usageStats": {"a:1": {"cooldownUntil": NOW + 9}, "a:2": {"disabledUntil": NOW + 5}}}),
            vec!["a:3", "a:2", "a:1"],
        ),
        (
            "cooling last in an order too",
            json!({"profiles": three, "order": {"anthropic": ["a:1", "a:2", "a:3"]},
                "usageStats": {"a:1": {"blockedUntil": NOW + 9, "cooldownUntil": 1}, "a:2": {"disabledUntil": NOW + 5}}}),
            vec!["a:3", "a:2", "a:1"],
        ),
        (
            "a cooldown that is over counts no more",
            json!({"profiles": three, "order": {"anthropic": ["a:1", "a:2", "a:3"]}, "usageStats": {"a:1": {"cooldownUntil": NOW}}}),
            vec!["a:1", "a:2", "a:3"],
        ),
        (
            "all cooling still gives one",
            json!({"profiles": two, "usageStats": {"a:t": {"cooldownUntil": NOW + 9}, "a:k": {"cooldownUntil": NOW + 5}}}),
            vec!["a:k", "a:t"],
        ),
        (
            "expired and undated ones are left out",
            json!({"profiles": over}),
            vec!["a:2"],
        ),
        (
            "expired ones in an order",
            json!({"profiles": over, "order": {"anthropic": ["a:3", "a:1", "a:2"]}}),
            vec!["a:2"],
        ),
        (
            "all expired still gives the first in order",
            json!({"profiles": all_over, "order": {"anthropic": ["a:2", "a:k"]}}),
            vec!["a:2", "a:k"],
        ),
        (
            "all expired and cooling too",
            json!({"profiles": all_over, "order": {"anthropic": ["a:2", "a:k"]}, "usageStats": {"a:2": {"cooldownUntil": NOW + 1}}}),
            vec!["a:k", "a:2"],
        ),
        (
            "no profiles",
            json!({"profiles": {}, "order": {"anthropic": ["a:1"]}}),
            vec![],
        ),
    ];
    for (rule, root, expected) in cases {
        assert_eq!(chosen(&root, "anthropic"), expected, "{rule}");
    }
}

#[test]
fn only_our_own_refs_of_that_provider_are_candidates() {
    let mut selection = token("provider/anthropic");
    let mut other = token("a:other");
    other["tokenRef"]["provider"] = json!("vault");
    selection["email"] = json!("x@example.com");
    let profiles = json!({
        "openai:me": {"type": "oauth", "provider": "anthropic", "access": "FAKE", "tokenRef": ours("openai:me")},
        "a:plain": {"type": "token", "provider": "anthropic", "token": "FAKE"},
        "a:env": {"type": "token", "provider": "anthropic", "tokenRef": {"source": "env", "provider": "clawkeep", "id": "FAKE"}},
        "a:other": other,
        "a:loop": selection,
        "a:odd": token("a:b@c"),
        "b:1": {"type": "token", "provider": "openai", "tokenRef": ours("b:1")},
        "a:good": token("a:good"),
    });
    assert_eq!(
        chosen(&json!({"profiles": profiles}), "anthropic"),
        ["a:good"]
    );
    let all: Vec<_> = profiles.as_object().unwrap().keys().rev().collect();
    let root = json!({"profiles": profiles, "order": {"anthropic": all}});
    assert_eq!(chosen(&root, "anthropic"), ["a:good"]);
    // An order of what is there but not ours is an order: the rest was left out on purpose.
    let root = json!({"profiles": profiles, "order": {"anthropic": ["openai:me", "b:1"]}});
    assert!(chosen(&root, "anthropic").is_empty());
}

#[test]
fn two_providers_have_no_cooldowns() {
    let profile =
        |id: &str| json!({"type": "api_key", "provider": "openrouter", "keyRef": ours(id)});
    let root = json!({
        "profiles": {"o:1": profile("o:1"), "o:2": profile("o:2")},
        "order": {"openrouter": ["o:1", "o:2"]},
        "usageStats": {"o:1": {"cooldownUntil": NOW + 9}},
    });
    assert_eq!(chosen(&root, "openrouter"), ["o:1", "o:2"]);
}

/// Random files and what `resolveAuthProfileOrder` of OpenClaw 2026.6.1 made of them, run with an
/// empty config at the time 1000.
#[test]
fn openclaw_itself_chose_the_same() {
    let mut refused = 0;
    for line in include_str!("openclaw-2026.6.1.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let ours = json!(chosen(&case["file"], "anthropic"));
        if case["order"] == json!([]) {
            // It has none where all are expired; there, and only there, we still have a first.
            refused += 1;
            let file = file(&case["file"]);
            let now = Millis::new(NOW).unwrap();
            let anthropic = ProviderId::parse("anthropic").unwrap();
            let left = candidates(&file, &anthropic, now);
            assert!(
                left.iter().all(|profile| profile.expires.is_over(now)),
                "{line}"
            );
        } else {
            assert_eq!(ours, case["order"], "{line}");
        }
    }
    assert_eq!(refused, 20);
}

/// The same rules said again in another way: the next one is picked out of those that are left,
/// by comparing all pairs.
fn naive(root: &Value, now: i64) -> Vec<String> {
    let profiles = root["profiles"].as_object().unwrap();
    let number = |id: &str, field: &str| root["usageStats"][id][field].as_i64().unwrap_or(0);
    let order: Vec<&str> = root["order"]["anthropic"]
        .as_array()
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let ordered = order.iter().any(|id| profiles.contains_key(*id));
    let base: Vec<&str> = if ordered {
        order
    } else {
        profiles.keys().map(String::as_str).collect()
    };
    let ours = |id: &&str| {
        profiles.get(*id).is_some_and(|p| {
            let field = if p["type"] == "token" {
                "tokenRef"
            } else {
                "keyRef"
            };
            p["provider"] == "anthropic"
                && p["type"] != "oauth"
                && p[field]["provider"] == "clawkeep"
        })
    };
    let fresh = |id: &&str| {
        let profile = &profiles[*id];
        profile["type"] != "token"
            || profile["expires"].is_null()
            || profile["expires"].as_i64() > Some(now)
    };
    let base: Vec<&str> = base.into_iter().filter(ours).collect();
    let mut left: Vec<&str> = base.iter().copied().filter(fresh).collect();
    if left.is_empty() {
        left = base;
    }
    let cooling = |id: &str| {
        let until = number(id, "cooldownUntil").max(number(id, "disabledUntil"));
        if until > now { until } else { 0 }
    };
    let before = |a: &str, b: &str| -> bool {
        let (ca, cb) = (cooling(a), cooling(b));
        if ca != cb {
            return ca < cb;
        }
        if ca > 0 || ordered {
            return false;
        }
        let is_key = |id: &str| profiles[id]["type"] == "api_key";
        (is_key(a), number(a, "lastUsed")) < (is_key(b), number(b, "lastUsed"))
    };
    let mut picked: Vec<String> = Vec::new();
    while !left.is_empty() {
        let first = (0..left.len())
            .find(|at| !left.iter().any(|other| before(other, left[*at])))
            .unwrap();
        let next = left.remove(first).to_owned();
        if !picked.contains(&next) {
            picked.push(next);
        }
    }
    picked
}

fn arbitrary_profile() -> impl Strategy<Value = Value> {
    (
        prop_oneof![Just("token"), Just("api_key"), Just("oauth")],
        prop_oneof![4 => Just("anthropic"), 1 => Just("openai")],
        prop_oneof![4 => Just("clawkeep"), 1 => Just("other")],
        proptest::option::of(NOW - 3..NOW + 4),
    )
        .prop_map(|(kind, provider, source, expires)| {
            let reference = json!({"source": "exec", "provider": source, "id": "fake:id"});
            let mut profile = json!({"type": kind, "provider": provider});
            profile[if kind == "token" {
                "tokenRef"
            } else {
                "keyRef"
            }] = reference;
            if let Some(at) = expires {
                profile["expires"] = json!(at);
            }
            profile
        })
}

fn arbitrary_usage() -> impl Strategy<Value = Value> {
    (0i64..4, NOW - 2..NOW + 4, NOW - 2..NOW + 4).prop_map(|(used, cooled, disabled)| {
        json!({"lastUsed": used, "cooldownUntil": cooled, "disabledUntil": disabled})
    })
}

proptest! {
    #[test]
    fn two_ways_to_say_the_rules_agree(
        profiles in proptest::collection::vec(("p:[a-e]", arbitrary_profile()), 0..6),
        usage in proptest::collection::vec(("p:[a-e]", arbitrary_usage()), 0..5),
        order in proptest::option::of(proptest::collection::vec("p:[a-g]", 0..6)),
    ) {
        let profiles: Map<String, Value> = profiles.into_iter().collect();
        let usage: Map<String, Value> = usage.into_iter().collect();
        let mut root = json!({"profiles": profiles, "usageStats": usage});
        if let Some(order) = order {
            root["order"] = json!({"anthropic": order});
        }
        prop_assert_eq!(chosen(&root, "anthropic"), naive(&root, NOW));
        for id in chosen(&root, "anthropic") {
            prop_assert!(ProfileId::parse(&id).is_ok());
        }
    }
}
