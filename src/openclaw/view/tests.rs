//! Both ways of reading say the same, and what has not the usual form is left to the long one.

use super::*;
use crate::openclaw::auth_state;
use proptest::prelude::*;
use serde_json::json;

/// Both ways say the same of these two files, or the short one leaves it to the long one.
fn agree(profiles: &str, state: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("auth-profiles.json");
    file::create(&path, profiles.as_bytes(), 0o600).unwrap();
    file::create(&auth_state::beside(&path), state.as_bytes(), 0o600).unwrap();
    let Some(short) = View::load(&path, Some(&auth_state::beside(&path))).unwrap() else {
        return false;
    };
    let long = ProfilesFile::load(&path).unwrap().unwrap();
    let long = View::of(&auth_state::over(long, &auth_state::beside(&path)).unwrap());
    assert_eq!(short.profiles, long.profiles, "{profiles}");
    assert_eq!(short.elsewhere, long.elsewhere, "{profiles}");
    assert_eq!(short.usages, long.usages, "{profiles} {state}");
    assert_eq!(short.others, long.others, "{profiles} {state}");
    let ordered: Vec<ProviderId> = long.ordered().collect();
    assert_eq!(short.ordered().collect::<Vec<_>>(), ordered);
    for provider in ordered {
        assert_eq!(
            short.order(&provider),
            long.order(&provider),
            "{profiles} {state}"
        );
    }
    true
}

#[test]
fn the_usual_form_is_read_at_once_and_another_by_the_long_way() {
    let exec = |id: &str| json!({"source": "exec", "provider": "clawkeep", "id": id});
    let usual = json!({"version": 1, "profiles": {
        "a:1": {"type": "token", "provider": "a", "tokenRef": exec("a:1"), "expires": 1_795_000_000_000_i64},
        "a:2": {"type": "api_key", "provider": " A ", "keyRef": exec("a:2"), "expires": 7, "email": "x", "metadata": {"k": "v"}},
        "a:3": {"type": "token", "provider": "a", "tokenRef": exec("a:3"), "expires": -1},
        "a:4": {"type": "token", "provider": "a b", "tokenRef": exec("a:4")},
        " a:5": {"type": "token", "provider": "a", "tokenRef": exec("a:5")},
        "a:6": {"type": "token", "provider": "a", "tokenRef": exec("a:6"), "expires": null},
        "a:7": {"type": "token", "provider": "a", "tokenRef": exec(" ")},
        "a:8": {"mode": "api_key", "provider": "a", "key": "FAKE"},
        "a:9": {"type": "api_key", "provider": "a", "key": "${FAKE}"},
        "a:\u{e9}": {"type": "oauth", "provider": "a", "access": "FAKE"},
        "a:10": 7, "a:11": {"type": "token", "provider": "a", "tokenRef": exec("a:11"), "keyRef": exec("a:11")}},
        "order": {"a": ["a:1"], "b": 7}, "usageStats": {"a:1": {"lastUsed": 5}, "a:2": 7, "a:3": {}}});
    let state = json!({"version": 1, "order": {"a": ["a:2"]}, "usageStats": {
        "a:1 ": {"lastUsed": 9, "errorCount": 2}, "a:2": {}, "a:3": {"cooldownUntil": 8, "cooldownReason": "rate_limit"},
        "a:4": {"lastUsed": 1.5}, "a:5": {"lastUsed": null, "lastFailureAt": 0}}});
    assert!(agree(&usual.to_string(), &state.to_string()));
    for odd in [
        "{\"profiles\":{},\"profiles\":{}}",
        "{\"profiles\":{\"a:1\":{},\"a:1\":{}}}",
        "{\"profiles\":7}",
        "{}",
        "7",
        "{",
    ] {
        assert!(View::parse(odd.as_bytes(), None).is_none(), "{odd}");
    }
    assert!(View::parse(b"{\"profiles\":{}}", Some(b"{")).is_none());
}

proptest! {
    #[test]
    fn both_ways_say_the_same(
        entries in proptest::collection::vec(("[ab]:[1-4]", 0u8..14, "(token|api_key|oauth|odd)", -1i64..3), 0..8),
        stats in proptest::collection::vec(("[ab]:[1-4] ?", 0u8..6, 0i64..4), 0..6),
    ) {
        let mut profiles = Map::new();
        for (id, what, kind, number) in &entries {
            let reference = json!({"source": "exec", "provider": "clawkeep", "id": id});
            let mut entry = json!({"type": kind, "provider": &id[..1]});
            match what {
                0 => entry["key"] = json!("FAKE"),
                1 => entry["token"] = json!("$FAKE"),
                2 => entry["keyRef"] = json!({"source": "env", "provider": "default", "id": "FAKE"}),
                3 => entry["access"] = json!("FAKE"),
                4 => entry["tokenRef"] = json!({"source": "exec", "provider": "other", "id": id}),
                5 => entry["tokenRef"] = json!({"source": "exec", "id": id}),
                6 => entry = json!(number),
                7 => { entry["keyRef"] = reference.clone(); entry["key"] = json!("FAKE"); }
                8 => entry["odd"] = json!([1]),
                _ => entry[if kind == "token" { "tokenRef" } else { "keyRef" }] = reference,
            }
            if *number > 0 && entry.is_object() {
                entry["expires"] = if *number == 2 { json!("soon") } else { json!(1_795_000_000_000_i64) };
            }
            profiles.insert(id.clone(), entry);
        }
        let mut usage = Map::new();
        for (id, what, number) in &stats {
            usage.insert(id.clone(), match what {
                0 => json!({}),
                1 => json!(number),
                2 => json!({"cooldownUntil": number, "cooldownReason": "rate_limit"}),
                3 => json!({"lastUsed": null, "errorCount": number}),
                _ => json!({"lastUsed": number, "errorCount": 1}),
            });
        }
        let file = json!({"version": 1, "profiles": profiles, "usageStats": usage, "order": {"a": ["a:1", "a:2"]}});
        let state = json!({"version": 1, "usageStats": usage});
        prop_assert!(agree(&file.to_string(), &state.to_string()));
    }
}
