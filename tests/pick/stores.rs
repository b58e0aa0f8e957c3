//! Stores of all kinds, made by chance that is the same each time: what the comparison with OpenClaw asks
//! about.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

/// Everything that one choice depends on. Times lie hours away from now.
#[derive(Debug, Clone)]
pub struct Case {
    /// auth-profiles.json and auth-state.json of `main`.
    pub main: (Value, Value),
    /// The same of `work`.
    pub work: (Value, Value),
    /// `auth` of openclaw.json.
    pub auth: Value,
    pub agent: &'static str,
    pub provider: &'static str,
    pub pinned: Option<String>,
}

const IDS: &str = "p:[a-f]";

fn profile(now: i64) -> impl Strategy<Value = Value> {
    let kind = prop_oneof![
        3 => Just("token"), 3 => Just("api_key"), 2 => Just("oauth"), 1 => Just("apiKey"), 1 => Just("odd")
    ];
    let provider = prop_oneof![
        12 => Just("anthropic"), 1 => Just(" Anthropic"), 2 => Just("openrouter"), 1 => Just("volcengine-plan"), 1 => Just("volcengine")
    ];
    let expires = prop_oneof![
        6 => Just(Value::Null), 2 => Just(json!(now + 7_200_000)), 2 => Just(json!(now - 7_200_000)),
        1 => Just(json!(0)), 1 => Just(json!("soon"))
    ];
    (kind, provider, expires, 0u8..16, any::<bool>()).prop_map(
        |(kind, provider, expires, holds, misspelt)| {
            let word = if misspelt { "mode" } else { "type" };
            let mut profile = json!({word: kind, "provider": provider});
            let reference = json!({"source": "exec", "provider": "clawkeep", "id": "fake:id"});
            let variable = json!({"source": "env", "provider": "default", "id": "FAKE_KEY"});
            let (value, by_ref) = match kind {
                "oauth" => ("access", "refresh"),
                "token" => ("token", "tokenRef"),
                _ => ("key", "keyRef"),
            };
            match holds {
                0 => {}
                1 => profile[value] = json!(" "),
                2 if kind != "oauth" => profile[value] = reference,
                3 if kind == "apiKey" => profile["apiKey"] = json!("FAKE"),
                4 | 5 if kind != "oauth" => profile[by_ref] = reference,
                6 => profile[by_ref] = variable,
                7 => profile[value] = json!("${FAKE_KEY}"),
                8 => profile[by_ref] = json!({"source": "exec"}),
                _ => profile[value] = json!("FAKE"),
            }
            if !expires.is_null() {
                profile["expires"] = expires;
            }
            profile
        },
    )
}

fn usage(now: i64) -> impl Strategy<Value = Value> {
    let hour = 3_600_000;
    let moment = move || {
        proptest::option::of(
            (-3i64..6)
                .prop_filter("hours away", |h| *h != 0)
                .prop_map(move |h| now + h * hour),
        )
    };
    (proptest::option::of(1i64..5), moment(), moment(), moment()).prop_map(
        |(used, cooldown, disabled, blocked)| {
            let mut stats = Map::new();
            for (key, value) in [
                ("lastUsed", used),
                ("cooldownUntil", cooldown),
                ("disabledUntil", disabled),
                ("blockedUntil", blocked),
            ] {
                if let Some(value) = value {
                    stats.insert(key.to_owned(), json!(value));
                }
            }
            Value::Object(stats)
        },
    )
}

fn orders() -> impl Strategy<Value = Value> {
    let provider = prop_oneof![
        8 => Just("anthropic"), 1 => Just("Anthropic "), 1 => Just("openrouter"), 1 => Just("volcengine")
    ];
    let ids = proptest::collection::vec("p:[a-h]", 0..6);
    proptest::collection::btree_map(provider, ids, 0..3).prop_map(|orders| json!(orders))
}

fn store(now: i64) -> impl Strategy<Value = (Value, Value)> {
    (
        proptest::collection::btree_map(IDS, profile(now), 3..7),
        proptest::option::weighted(0.2, orders()),
        proptest::option::weighted(0.2, orders()),
        proptest::collection::btree_map(IDS, usage(now), 0..5),
        proptest::collection::btree_map(IDS, usage(now), 0..5),
    )
        .prop_map(|(profiles, old_order, order, old_usage, usage)| {
            let mut file = json!({"version": 1, "profiles": profiles, "usageStats": old_usage});
            let mut state = json!({"version": 1, "usageStats": usage});
            if let Some(order) = old_order {
                file["order"] = order;
            }
            if let Some(order) = order {
                state["order"] = order;
            }
            (file, state)
        })
}

fn auth() -> impl Strategy<Value = Value> {
    let provider =
        prop_oneof![4 => Just("anthropic"), 1 => Just("openrouter"), 1 => Just("volcengine")];
    let mode = prop_oneof![Just("token"), Just("api_key"), Just("oauth")];
    let entry = (provider, mode).prop_map(|(of, mode)| json!({"provider": of, "mode": mode}));
    (
        proptest::option::weighted(0.6, proptest::collection::btree_map("p:[a-h]", entry, 1..5)),
        proptest::option::weighted(0.4, orders()),
    )
        .prop_map(|(profiles, order)| {
            let mut auth = json!({});
            if let Some(profiles) = profiles {
                auth["profiles"] = json!(profiles);
            }
            if let Some(order) = order {
                auth["order"] = order;
            }
            auth
        })
}

/// So many cases, the same in every run but for the time.
pub fn cases(count: usize, now: i64) -> Vec<Case> {
    let agent = prop_oneof![2 => Just("main"), 1 => Just("work")];
    let provider = prop_oneof![6 => Just("anthropic"), 1 => Just("openrouter"), 1 => Just("volcengine-plan"), 1 => Just("volcengine")];
    let pinned = proptest::option::weighted(0.3, IDS);
    let case = (store(now), store(now), auth(), agent, provider, pinned).prop_map(
        |(main, work, auth, agent, provider, pinned)| Case {
            main,
            work,
            auth,
            agent,
            provider,
            pinned,
        },
    );
    let mut runner = TestRunner::deterministic();
    (0..count)
        .map(|_| case.new_tree(&mut runner).unwrap().current())
        .collect()
}
