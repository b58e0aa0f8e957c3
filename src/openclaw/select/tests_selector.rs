//! What OpenClaw itself would use: every rule once, and what others can write into the files. (Held
//! against the real OpenClaw in `tests/pick`.)

use super::*;
use crate::openclaw::config::Config;
use serde_json::{Map, Value, json};
use std::path::Path;

pub(super) const NOW: i64 = 1_000;

fn file(root: &Value) -> ProfilesFile {
    let path = Path::new("/x/auth-profiles.json");
    ProfilesFile::parse(root.to_string().as_bytes(), path).unwrap()
}

fn settings(text: &str) -> Settings {
    Settings::read(&Config::parse(text.as_bytes(), Path::new("/x/openclaw.json")).unwrap())
}

pub(super) fn choose(root: &Value, config: &str, provider: &str, pin: Option<&str>) -> Selection {
    let (store, settings) = (file(root), settings(config));
    let pin = pin.map(|pin| ProfileId::parse(pin).unwrap());
    Selector::new(&store, &settings, Millis::new(NOW).unwrap())
        .select(&ProviderId::parse(provider).unwrap(), pin.as_ref())
}

/// `a:1 a:2 | a:3=expired`: those that are tried, then the others with their reasons.
fn said(selection: &Selection) -> String {
    let tried: Vec<&str> = selection.tried().map(|one| one.id.as_str()).collect();
    let left = selection.candidates.iter().filter(|one| !one.is_tried());
    let left: Vec<String> = left
        .map(|one| format!("{}={}", one.id, one.reason.code()))
        .collect();
    format!("{} | {}", tried.join(" "), left.join(" "))
        .trim()
        .to_owned()
}

fn token(expires: Option<i64>) -> Value {
    let mut profile = json!({"type": "token", "provider": "anthropic",
        "tokenRef": {"source": "exec", "provider": "clawkeep", "id": "fake:id"}});
    if let Some(at) = expires {
        profile["expires"] = json!(at);
    }
    profile
}

fn key() -> Value {
    json!({"type": "api_key", "provider": "anthropic", "key": "FAKE"})
}

fn login() -> Value {
    json!({"type": "oauth", "provider": "anthropic", "access": "FAKE", "expires": 1})
}

/// The rule, the store, openclaw.json, the pin; then whence the list comes, and all profiles.
type Row<'a> = (&'a str, Value, &'a str, Option<&'a str>, Source, &'a str);

#[test]
#[allow(clippy::too_many_lines, reason = "a table, a rule a row")]
fn every_rule_of_openclaws() {
    use Source::{All, ConfigOrder, ConfigProfiles, Stored};
    let three = json!({"a:k": key(), "a:t": token(None), "a:o": login()});
    let tokens = json!({"a:1": token(None), "a:2": token(None), "a:3": token(None)});
    let old_ref = json!({"source": "openclaw-credentials", "provider": "openai-codex",
        "id": "0123456789abcdef0123456789abcdef"});
    let bad = json!({
        "a:over": token(Some(NOW)), "a:odd": token(Some(-1)), "a:soon": token(Some(NOW + 1)),
        "a:null": {"type": "token", "provider": "anthropic", "token": " "},
        "a:empty": {"type": "api_key", "provider": "anthropic", "keyRef": {"source": "exec"}},
        "a:old": {"type": "oauth", "provider": "anthropic", "oauthRef": old_ref},
        "a:none": {"type": "oauth", "provider": "anthropic", "refresh": ""},
        "b:1": {"type": "api_key", "provider": "openai", "key": "FAKE"},
    });
    let order = |ids: &[&str]| json!({"anthropic": ids});
    let table: Vec<Row> = vec![
        (
            "types: logins, tokens, keys",
            json!({"profiles": three}),
            "{}",
            None,
            All,
            "a:o a:t a:k |",
        ),
        (
            "a stored order comes before auth.order and auth.profiles",
            json!({"profiles": tokens, "order": order(&["a:2"])}),
            "{auth: {order: {anthropic: ['a:3']}, profiles: {'a:1': {provider: 'anthropic', mode: 'token'}}}}",
            None,
            Stored,
            "a:2 | a:1=excluded_by_auth_order a:3=excluded_by_auth_order",
        ),
        (
            "auth.order comes before auth.profiles",
            json!({"profiles": tokens}),
            "{auth: {order: {Anthropic: ['a:3', 'a:3', 'a:1']}, profiles: {'a:2': {provider: 'anthropic', mode: 'token'}}}}",
            None,
            ConfigOrder,
            "a:3 a:1 | a:2=excluded_by_auth_order",
        ),
        (
            "auth.profiles is a set, not an order",
            json!({"profiles": three}),
            "{auth: {profiles: {'a:k': {provider: 'anthropic', mode: 'api_key'}, 'a:o': {provider: 'Anthropic ', mode: 'oauth'}, 'b:1': {provider: 'openai', mode: 'api_key'}}}}",
            None,
            ConfigProfiles,
            "a:o a:k | a:t=excluded_by_auth_order",
        ),
        (
            "an empty auth.order leaves nothing",
            json!({"profiles": tokens}),
            "{auth: {order: {anthropic: []}}}",
            None,
            ConfigOrder,
            "| a:1=excluded_by_auth_order a:2=excluded_by_auth_order a:3=excluded_by_auth_order",
        ),
        (
            "an empty stored order is none",
            json!({"profiles": tokens, "order": order(&[])}),
            "{auth: {order: {anthropic: ['a:3']}}}",
            None,
            ConfigOrder,
            "a:3 | a:1=excluded_by_auth_order a:2=excluded_by_auth_order",
        ),
        (
            "a stored order whose ids are all gone is passed over",
            json!({"profiles": three, "order": order(&["a:x", "a:y"])}),
            "{}",
            None,
            All,
            "a:o a:t a:k | a:x=profile_missing a:y=profile_missing",
        ),
        (
            "an auth.order whose ids are all gone is not",
            json!({"profiles": {"a:1": key()}}),
            "{auth: {order: {anthropic: ['a:x']}}}",
            None,
            ConfigOrder,
            "| a:x=profile_missing a:1=excluded_by_auth_order",
        ),
        (
            "but it is beside an auth.profiles",
            json!({"profiles": {"a:1": key()}}),
            "{auth: {order: {anthropic: ['a:x']}, profiles: {'a:z': {provider: 'anthropic', mode: 'token'}}}}",
            None,
            All,
            "a:1 | a:x=profile_missing a:z=profile_missing",
        ),
        (
            "auth.profiles of ids that are all gone is passed over",
            json!({"profiles": {"a:1": key()}}),
            "{auth: {profiles: {'a:z': {provider: 'anthropic', mode: 'token'}}}}",
            None,
            All,
            "a:1 | a:z=profile_missing",
        ),
        (
            "one that is another provider's is not gone",
            json!({"profiles": {"a:1": key(), "b:1": {"type": "api_key", "provider": "openai", "key": "FAKE"}},
                "order": order(&["b:1"])}),
            "{}",
            None,
            Stored,
            "| b:1=provider_mismatch a:1=excluded_by_auth_order",
        ),
        (
            "what cannot be used, by its reason",
            json!({"profiles": bad}),
            "{}",
            None,
            All,
            "a:soon | a:over=expired a:odd=invalid_expires a:null=missing_credential \
             a:empty=missing_credential a:old=unresolved_ref a:none=missing_credential",
        ),
        (
            "auth.profiles of another provider or type",
            json!({"profiles": tokens}),
            "{auth: {order: {anthropic: ['a:1', 'a:2', 'a:3']}, profiles: {'a:1': {provider: 'openai', mode: 'token'}, 'a:2': {provider: 'anthropic', mode: 'api_key'}, 'a:3': {provider: 'anthropic', mode: 'oauth'}}}}",
            None,
            ConfigOrder,
            "a:3 | a:1=provider_mismatch a:2=mode_mismatch",
        ),
        (
            "a key where auth.profiles says oauth",
            json!({"profiles": {"a:1": key()}}),
            "{auth: {profiles: {'a:1': {provider: 'anthropic', mode: 'oauth'}}}}",
            None,
            ConfigProfiles,
            "| a:1=mode_mismatch",
        ),
        (
            "never used first, then the longest ago, but types come before",
            json!({"profiles": {"a:1": token(None), "a:k": key(), "a:2": token(None), "a:3": token(None)},
                "usageStats": {"a:1": {"lastUsed": 9}, "a:3": {"lastUsed": 3}}}),
            "{}",
            None,
            All,
            "a:2 a:3 a:1 a:k |",
        ),
        (
            "cooling last, the soonest first, whatever their types",
            json!({"profiles": three, "usageStats": {"a:o": {"cooldownUntil": NOW + 9}, "a:t": {"disabledUntil": NOW + 5}}}),
            "{}",
            None,
            All,
            "a:k a:t a:o |",
        ),
        (
            "cooling last in an order too, and of two pauses the later counts",
            json!({"profiles": tokens, "order": order(&["a:1", "a:2", "a:3"]), "usageStats": {
                "a:1": {"cooldownUntil": NOW + 1, "disabledUntil": NOW + 9}, "a:2": {"blockedUntil": NOW + 5}}}),
            "{}",
            None,
            Stored,
            "a:3 a:2 a:1 |",
        ),
        (
            "a pause that is over counts no more",
            json!({"profiles": tokens, "order": order(&["a:1", "a:2"]), "usageStats": {"a:1": {"cooldownUntil": NOW}}}),
            "{}",
            None,
            Stored,
            "a:1 a:2 | a:3=excluded_by_auth_order",
        ),
        (
            "pinned, it comes first, cooling or not",
            json!({"profiles": tokens, "usageStats": {"a:2": {"cooldownUntil": NOW + 9}}}),
            "{}",
            Some("a:2"),
            All,
            "a:2 a:1 a:3 |",
        ),
        (
            "pinned in an order",
            json!({"profiles": tokens, "order": order(&["a:1", "a:2", "a:3"])}),
            "{}",
            Some("a:3"),
            Stored,
            "a:3 a:1 a:2 |",
        ),
        (
            "pinned, but not in the order",
            json!({"profiles": tokens, "order": order(&["a:1"])}),
            "{}",
            Some("a:3"),
            Stored,
            "a:1 | a:2=excluded_by_auth_order a:3=excluded_by_auth_order",
        ),
        (
            "pinned, but another provider's, or gone",
            json!({"profiles": {"a:1": key(), "b:1": {"type": "api_key", "provider": "openai", "key": "FAKE"}}}),
            "{}",
            Some("b:1"),
            All,
            "a:1 | b:1=provider_mismatch",
        ),
        (
            "pinned, and gone",
            json!({"profiles": {"a:1": key()}}),
            "{}",
            Some("a:9"),
            All,
            "a:1 | a:9=profile_missing",
        ),
        (
            "AWS has its own store",
            json!({"profiles": {"a:1": key()}}),
            "{auth: {profiles: {'a:aws': {provider: 'anthropic', mode: 'aws-sdk'}}}, models: {providers: {anthropic: {auth: 'aws-sdk'}}}}",
            None,
            ConfigProfiles,
            "a:aws | a:1=excluded_by_auth_order",
        ),
        (
            "but not unless the provider says so",
            json!({"profiles": {"a:1": key()}}),
            "{auth: {profiles: {'a:aws': {provider: 'anthropic', mode: 'aws-sdk'}}}}",
            None,
            All,
            "a:1 | a:aws=profile_missing",
        ),
        (
            "nothing at all",
            json!({"profiles": {}}),
            "{}",
            None,
            All,
            "|",
        ),
    ];
    for (rule, root, config, pin, source, expected) in &table {
        let selection = choose(root, config, "anthropic", *pin);
        assert_eq!(said(&selection), *expected, "{rule}");
        assert_eq!(selection.source, *source, "{rule}");
    }
    let codes: HashSet<&str> = table
        .iter()
        .flat_map(|row| choose(&row.1, row.2, "anthropic", row.3).candidates)
        .map(|one| one.reason.code())
        .collect();
    assert_eq!(
        codes.len(),
        Reason::ALL.len(),
        "every reason is in the table"
    );
}

#[test]
fn what_was_passed_over_is_said() {
    let root = json!({"profiles": {"a:1": key()}, "order": {"anthropic": ["a:x"]}});
    let selection = choose(&root, "{}", "anthropic", None);
    assert_eq!(selection.passed_over, Some(Source::Stored));
    assert_eq!(
        choose(&json!({"profiles": {}}), "{}", "anthropic", None).passed_over,
        None
    );
}

#[test]
fn a_pause_has_its_end_and_its_reason() {
    let root = json!({"profiles": {"a:1": key(), "o:1": {"type": "api_key", "provider": "openrouter", "key": "FAKE"}},
        "usageStats": {
            "a:1": {"cooldownUntil": NOW + 3, "cooldownReason": "rate_limit", "disabledUntil": NOW + 9, "disabledReason": "billing"},
            "o:1": {"cooldownUntil": NOW + 3}}});
    let cooling = choose(&root, "{}", "anthropic", None).candidates[0].cooling;
    let expected = Cooling {
        until: Millis::new(NOW + 9).unwrap(),
        disabled: true,
        reason: Some("billing"),
    };
    assert_eq!(cooling, Some(expected));
    // OpenClaw pays no heed to the pauses of two providers.
    assert_eq!(
        choose(&root, "{}", "openrouter", None).candidates[0].cooling,
        None
    );
}

#[test]
fn some_providers_use_anothers_profiles() {
    let root = json!({"profiles": {"v:1": {"type": "api_key", "provider": "volcengine", "key": "FAKE"},
        "v:2": {"type": "api_key", "provider": "volcengine-plan", "key": "FAKE"}},
        "order": {"volcengine": ["v:2", "v:1"]}});
    for provider in ["volcengine", "volcengine-plan"] {
        assert_eq!(said(&choose(&root, "{}", provider, None)), "v:2 v:1 |");
    }
}

#[test]
fn every_provider_that_is_known_or_named_is_listed_once() {
    let root = json!({"profiles": {"a:1": key(), "a:2": key(), "b:1": {"type": "token", "provider": " OpenAI"}},
        "order": {"groq": ["g:1"], "xai": [], "mistral": 7}});
    let store = file(&root);
    let settings = settings(
        "{auth: {order: {zai: []}, profiles: {'v:1': {provider: 'venice', mode: 'token'}}}}",
    );
    let selector = Selector::new(&store, &settings, Millis::new(NOW).unwrap());
    let names: Vec<String> = selector
        .providers()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["anthropic", "groq", "openai", "venice", "zai"]);
}

#[test]
fn settings_of_any_shape_say_what_they_say() {
    let root = json!({"profiles": {"a:1": key(), "a:2": key()}});
    for config in [
        "{auth: 7}",
        "{auth: []}",
        "{auth: {order: []}}",
        "{auth: {order: {anthropic: 'a:2'}}}",
        "{auth: {order: {'': ['a:2'], 'a b': ['a:2']}}}",
        "{auth: {profiles: {'a:2': 7, 'a:1': {provider: 7, mode: 'api_key'}}}}",
        "{auth: {profiles: {'a:2': {mode: 'api_key'}}}}",
        "{models: {providers: 7}}",
        "{models: {providers: {anthropic: {auth: {}}}}}",
    ] {
        assert_eq!(
            said(&choose(&root, config, "anthropic", None)),
            "a:1 a:2 |",
            "{config}"
        );
    }
    // What names nothing that clawkeep has a name for is passed over, not shown.
    let odd = "{auth: {order: {anthropic: [7, null, ' a:2', '', 'x\\u001b[2J', 'a:1']}}}";
    let selection = choose(&root, odd, "anthropic", None);
    assert_eq!(said(&selection), "a:1 | a:2=excluded_by_auth_order");
    assert!(!settings("{auth: {}}").includes());
    assert!(settings("{auth: {'$include': './auth.json5'}}").includes());
    assert!(settings("{'$include': './all.json5'}").includes());
    assert!(!settings("{channels: {'$include': './channels.json5'}}").includes());
}

#[test]
fn a_store_of_thousands_is_one_pass() {
    let ids: Vec<String> = (0..5_000).map(|n| format!("a:{n}")).collect();
    let profiles: Map<String, Value> = ids.iter().map(|id| (id.clone(), token(None))).collect();
    let usage: Map<String, Value> = ids
        .iter()
        .map(|id| (id.clone(), json!({"lastUsed": 1})))
        .collect();
    let order: Vec<&String> = ids.iter().rev().collect();
    let root = json!({"profiles": profiles, "usageStats": usage, "order": {"anthropic": order}});
    let selection = choose(&root, "{}", "anthropic", Some("a:77"));
    assert_eq!(selection.candidates.len(), 5_000);
    assert_eq!(selection.next().unwrap().id.as_str(), "a:77");
}
