//! What auth-profiles.json promises: refs alone are written, what is not ours stays.

use super::*;
use crate::error::Kind;
use crate::file;
use crate::openclaw::document::tests::arbitrary_json;
use crate::secret::SecretId;
use proptest::prelude::*;
use serde_json::json;
use std::path::PathBuf;

/// Everything that the documentation of 2026.6.1 shows, and fields that no version knows.
const SAMPLE: &str = r#"{"version":1,"mine":{"keep":[1,{"order":2}]},"profiles":{"openai:me":{"type":"oauth","provider":"openai","access":"FAKE-access","refresh":"FAKE-refresh","expires":1,"accountId":"a"},"anthropic:default":{"type":"token","provider":"anthropic","token":"FAKE-token","email":"x@example.com","expires":1795355756000,"displayName":"X","new":true},"openrouter:manual":{"type":"api_key","provider":"openrouter","keyRef":{"source":"exec","provider":"other","id":"openrouter:manual"},"metadata":{"k":"v"}},"odd":"kept","anthropic:work":{"mode":"apiKey","apiKey":"FAKE-key","provider":"Anthropic"}},"order":{"anthropic":["anthropic:work","anthropic:default"],"openrouter":["openrouter:manual"]},"lastGood":{"anthropic":"anthropic:default","openai":"openai:me"},"usageStats":{"anthropic:default":{"lastUsed":7,"cooldownUntil":9,"blockedUntil":11,"disabledUntil":8.5,"failureCounts":{"billing":1}},"openai:me":{"lastUsed":0,"cooldownUntil":"soon"}}}"#;

fn path() -> PathBuf {
    PathBuf::from("/x/auth-profiles.json")
}

fn parse(text: &str) -> Result<ProfilesFile> {
    ProfilesFile::parse(text.as_bytes(), &path())
}

fn id(text: &str) -> ProfileId {
    ProfileId::parse(text).unwrap()
}

fn provider(text: &str) -> ProviderId {
    ProviderId::parse(text).unwrap()
}

fn our_ref(text: &str) -> SecretRef {
    SecretRef::to(&SecretId::parse(text).unwrap())
}

fn at(ms: i64) -> Option<Millis> {
    Millis::new(ms)
}

/// The file on one line, with the order of its keys.
fn compact(file: &ProfilesFile) -> String {
    let value: Value = serde_json::from_slice(&file.to_bytes()).unwrap();
    value.to_string()
}

fn set_token(file: &mut ProfilesFile, name: &str, expires: Option<Millis>) -> Result<()> {
    let provider = provider("anthropic");
    file.set_ref(
        &id(name),
        &provider,
        SecretKind::Token,
        &our_ref(name),
        expires,
    )
}

#[test]
fn profiles_are_read_in_file_order() {
    let file = parse(SAMPLE).unwrap();
    let read: Vec<_> = file
        .profiles()
        .into_iter()
        .map(|p| {
            (
                p.id.to_string(),
                p.kind.name(),
                p.reference.map(|r| r.provider),
                p.plaintext,
            )
        })
        .collect();
    let other = Some("other".to_owned());
    assert_eq!(
        read,
        [
            ("openai:me".to_owned(), "oauth", None, false),
            ("anthropic:default".to_owned(), "token", None, true),
            ("openrouter:manual".to_owned(), "api_key", other, false),
            ("anthropic:work".to_owned(), "api_key", None, true),
        ]
    );
    assert_eq!(file.unreadable(), 1);
    assert_eq!(compact(&file), SAMPLE);
}

#[test]
fn a_ref_replaces_the_value_and_nothing_else() {
    let mut file = parse(SAMPLE).unwrap();
    set_token(&mut file, "anthropic:default", at(1_795_000_000_000)).unwrap();
    assert_eq!(
        compact(&file),
        SAMPLE
            .replace(
                r#""token":"FAKE-token""#,
                r#""tokenRef":{"source":"exec","provider":"clawkeep","id":"anthropic:default"}"#
            )
            .replace("1795355756000", "1795000000000")
    );
    // Misspellings are put right on the way; no expiry means that an old one goes.
    set_token(&mut file, "anthropic:work", None).unwrap();
    set_token(&mut file, "anthropic:default", None).unwrap();
    let text = compact(&file);
    assert!(text.contains(
        r#""anthropic:work":{"type":"token","tokenRef":{"source":"exec","provider":"clawkeep","id":"anthropic:work"},"provider":"anthropic"}}"#
    ), "{text}");
    assert!(
        !text.contains("FAKE-token") && !text.contains("FAKE-key"),
        "{text}"
    );
    assert!(!text.contains("1795000000000"));
    assert_eq!(file.profiles().len(), 4);
}

#[test]
fn a_new_profile_comes_last_and_reads_back() {
    let mut file = ProfilesFile::empty();
    assert_eq!(
        &*file.to_bytes(),
        b"{\n  \"version\": 1,\n  \"profiles\": {}\n}\n"
    );
    set_token(&mut file, "anthropic:b", at(5)).unwrap();
    file.set_ref(
        &id("openrouter:a"),
        &provider("openrouter"),
        SecretKind::ApiKey,
        &our_ref("openrouter:a"),
        None,
    )
    .unwrap();
    assert_eq!(
        compact(&file),
        concat!(
            r#"{"version":1,"profiles":{"anthropic:b":{"type":"token","provider":"anthropic","#,
            r#""tokenRef":{"source":"exec","provider":"clawkeep","id":"anthropic:b"},"expires":5},"#,
            r#""openrouter:a":{"type":"api_key","provider":"openrouter","#,
            r#""keyRef":{"source":"exec","provider":"clawkeep","id":"openrouter:a"}}}}"#
        )
    );
    // A file of an OpenClaw that has no profiles yet is one without profiles.
    let mut bare = parse(r#"{"version":1,"order":{}}"#).unwrap();
    assert!(bare.profiles().is_empty());
    assert!(!bare.remove(&id("a:b")));
    assert_eq!(compact(&bare), r#"{"version":1,"order":{}}"#);
    set_token(&mut bare, "anthropic:b", None).unwrap();
    assert_eq!(bare.profiles().len(), 1);
}

#[test]
fn an_oauth_login_is_never_touched() {
    let mut file = parse(SAMPLE).unwrap();
    let error = set_token(&mut file, "openai:me", None).unwrap_err();
    assert_eq!(error.kind(), Kind::Failed);
    assert!(error.hint_text().unwrap().contains("--profile-id"));
    assert!(!file.remove(&id("openai:me")));
    assert_eq!(compact(&file), SAMPLE);
    // Nor one whose type was misspelt.
    let text = r#"{"profiles":{"a:b":{"type":"OAuth","provider":"a","refresh":"FAKE"}}}"#;
    let mut file = parse(text).unwrap();
    assert!(set_token(&mut file, "a:b", None).is_err());
    assert!(!file.remove(&id("a:b")));
    assert_eq!(compact(&file), text);
}

#[test]
fn what_openclaw_would_drop_is_not_written() {
    let mut file = ProfilesFile::empty();
    let mut set = |kind, expires| {
        file.set_ref(&id("a:b"), &provider("a"), kind, &our_ref("a:b"), expires)
            .map_err(|error| error.kind())
    };
    assert_eq!(set(SecretKind::ApiKey, at(5)), Err(Kind::Usage));
    assert_eq!(set(SecretKind::Secret, None), Err(Kind::Usage));
    assert!(file.profiles().is_empty());
}

#[test]
fn a_removed_profile_is_gone_everywhere() {
    let mut file = parse(SAMPLE).unwrap();
    assert!(file.remove(&id("anthropic:default")));
    let text = compact(&file);
    assert!(!text.contains("anthropic:default"), "{text}");
    assert!(
        text.contains(r#""order":{"anthropic":["anthropic:work"],"#),
        "{text}"
    );
    assert!(
        text.contains(r#""lastGood":{"openai":"openai:me"}"#),
        "{text}"
    );
    assert!(!file.remove(&id("anthropic:default")));
    let left: Vec<_> = file.profiles().into_iter().map(|p| p.id).collect();
    let names = ["openai:me", "openrouter:manual", "anthropic:work"];
    assert_eq!(left, names.map(id));
    // Keys stay in their order, and what is emptied goes.
    assert!(file.remove(&id("anthropic:work")));
    assert!(file.remove(&id("openrouter:manual")));
    let text = compact(&file);
    let keys: Vec<_> = ["version", "mine", "profiles", "lastGood", "usageStats"]
        .iter()
        .map(|key| text.find(&format!("\"{key}\":")).unwrap())
        .collect();
    assert!(keys.is_sorted(), "{text}");
    assert!(!text.contains(r#""order":{"#), "{text}");
}

#[test]
fn orders_are_stored_per_provider() {
    let mut file = parse(SAMPLE).unwrap();
    let anthropic = provider("anthropic");
    assert_eq!(
        file.order(&anthropic),
        Some(vec![id("anthropic:work"), id("anthropic:default")])
    );
    assert_eq!(file.order(&provider("openai")), None);
    file.set_order(&anthropic, &[id("a:1"), id("a:2"), id("a:1")]);
    assert_eq!(file.order(&anthropic), Some(vec![id("a:1"), id("a:2")]));
    assert!(file.clear_order(&anthropic));
    assert!(!file.clear_order(&anthropic));
    assert_eq!(file.order(&anthropic), None);
    assert!(file.order(&provider("openrouter")).is_some());
    file.set_order(&provider("openrouter"), &[]);
    assert!(!compact(&file).contains(r#""order":{"openrouter"#));
}

#[test]
fn an_order_of_any_shape_is_read_as_openclaw_does() {
    for (order, expected) in [
        (
            r#"{" X-AI ":[" a:b ",7,"",null,"c:d"]}"#,
            Some(vec![id("a:b"), id("c:d")]),
        ),
        (r#"{"xai":["a:b"],"XAI":["c:d"]}"#, Some(vec![id("c:d")])),
        (r#"{"xai":["a:b"],"XAI":[]}"#, Some(vec![id("a:b")])),
        (r#"{"xai":"a:b"}"#, None),
        (r#"{"xai":[7]}"#, None),
        (r#"["xai"]"#, None),
        ("null", None),
    ] {
        let mut file = parse(&format!(r#"{{"profiles":{{}},"order":{order}}}"#)).unwrap();
        assert_eq!(file.order(&provider("xai")), expected, "{order}");
        file.remove(&id("a:b"));
        file.set_order(&provider("xai"), &[id("e:f")]);
        assert_eq!(
            file.order(&provider("xai")),
            Some(vec![id("e:f")]),
            "{order}"
        );
        assert!(file.clear_order(&provider("xai")));
        assert_eq!(file.order(&provider("xai")), None, "{order}");
    }
}

#[test]
fn usage_is_read_and_nonsense_in_it_passed_over() {
    let file = parse(SAMPLE).unwrap();
    assert_eq!(
        file.usage(&id("anthropic:default")),
        Usage {
            cooldown_until: at(11),
            disabled_until: at(9),
            last_used: at(7),
            ..Usage::default()
        }
    );
    assert_eq!(file.usage(&id("openai:me")), Usage::default());
    assert_eq!(file.usage(&id("no:such")), Usage::default());
    for stats in [
        "null",
        "[]",
        "7",
        r#"{"a:b":[]}"#,
        r#"{"a:b":{"lastUsed":[1]}}"#,
    ] {
        let file = parse(&format!(r#"{{"profiles":{{}},"usageStats":{stats}}}"#)).unwrap();
        assert_eq!(file.usage(&id("a:b")), Usage::default());
    }
}

#[test]
fn the_flat_form_is_for_openclaws_doctor() {
    let text = r#"{"anthropic":{"type":"api_key","key":"FAKE"}}"#;
    let error = parse(text).unwrap_err();
    assert_eq!(error.kind(), Kind::Broken);
    assert_eq!(error.hint_text(), Some("openclaw doctor --fix"));
    for profiles in ["[]", "null", "7", "\"FAKE\""] {
        let error = parse(&format!(r#"{{"profiles":{profiles}}}"#)).unwrap_err();
        assert_eq!(error.kind(), Kind::Broken);
        assert!(!error.message().contains("FAKE"));
    }
}

#[test]
fn debug_shows_no_value() {
    let file = parse(SAMPLE).unwrap();
    assert!(!format!("{file:?}").contains("FAKE"));
}

#[test]
fn what_is_cut_anywhere_is_never_taken_for_empty() {
    for cut in 0..SAMPLE.len() {
        let error = ProfilesFile::parse(&SAMPLE.as_bytes()[..cut], &path()).unwrap_err();
        assert_eq!(error.kind(), Kind::Broken);
        assert!(!error.message().contains("FAKE"), "{error}");
    }
}

#[test]
fn an_edit_goes_to_disk_under_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent").join(FILE_NAME);
    let host = Host::real();
    edit(&path, &host, |file| {
        assert!(path.with_file_name("auth-profiles.json.lock").exists());
        set_token(file, "anthropic:work", at(5))
    })
    .unwrap();
    let file = ProfilesFile::load(&path).unwrap().unwrap();
    assert_eq!(file.profiles()[0].expires, Expires::At(at(5).unwrap()));

    // Flat or broken on disk: said, and left.
    for text in [r#"{"anthropic":{"key":"FAKE"}}"#, r#"{"profiles":[]}"#, "{"] {
        file::replace(&path, text.as_bytes(), 0o600).unwrap();
        let done = edit(&path, &host, |file| set_token(file, "anthropic:work", None));
        assert_eq!(done.unwrap_err().kind(), Kind::Broken);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1
        );
    }
}

proptest! {
    #[test]
    fn editing_changes_what_is_named_and_nothing_else(
        before in proptest::collection::vec(("[a-c]:[a-z]{1,3}", arbitrary_json()), 0..5),
        extra in arbitrary_json(),
        usage in arbitrary_json(),
    ) {
        let profiles: Map<String, Value> = before.into_iter().collect();
        let root = json!({"extra": extra, "profiles": profiles, "usageStats": usage, "lastGood": extra});
        let text = root.to_string();
        let mut file = parse(&text).unwrap();
        prop_assert_eq!(compact(&file), text.clone());
        let name = id("anthropic:new");
        set_token(&mut file, "anthropic:new", at(9)).unwrap();
        let reference = our_ref("anthropic:new");
        let read = file.profiles().into_iter().find(|p| p.id == name).unwrap();
        prop_assert_eq!(read.reference, Some(reference));
        file.set_order(&provider("anthropic"), std::slice::from_ref(&name));
        prop_assert!(file.remove(&name));
        prop_assert_eq!(compact(&file), text);
    }

    #[test]
    fn a_ref_over_anything_is_read_back_and_leaves_nothing_in_the_clear(
        old in arbitrary_json(),
        fields in proptest::collection::vec(("type|mode|key|apiKey|token|keyRef|tokenRef|expires|email", arbitrary_json()), 0..6),
        as_object in any::<bool>(),
    ) {
        let old = if as_object { Value::Object(fields.into_iter().collect()) } else { old };
        prop_assume!(!is_oauth(&old));
        let mut file = parse(&json!({"profiles": {"anthropic:x": old, "b:c": 1}}).to_string()).unwrap();
        set_token(&mut file, "anthropic:x", at(77)).unwrap();
        let profile = file.profiles().remove(0);
        prop_assert_eq!(profile.reference, Some(our_ref("anthropic:x")));
        prop_assert_eq!(profile.kind, ProfileKind::Token);
        prop_assert_eq!(profile.expires, Expires::At(at(77).unwrap()));
        prop_assert!(!profile.plaintext);
    }
}

/// `openclaw doctor --fix` turns `api_key` into `key`: a value that stayed there would come back.
#[test]
fn a_ref_takes_the_value_of_every_spelling_away() {
    for field in ["key", "apiKey", "api_key", "token"] {
        let text = format!(
            r#"{{"profiles":{{"groq:a":{{"type":"api_key","provider":"groq","{field}":"FAKE-key"}}}}}}"#
        );
        let mut file = parse(&text).unwrap();
        let wanted = our_ref("groq:a");
        file.set_ref(
            &id("groq:a"),
            &provider("groq"),
            SecretKind::ApiKey,
            &wanted,
            None,
        )
        .unwrap();
        let after = String::from_utf8(file.to_bytes().to_vec()).unwrap();
        assert!(!after.contains("FAKE-key"), "{after}");
        assert!(!file.profiles()[0].plaintext);
    }
}

#[test]
fn a_failure_has_one_of_openclaws_words_or_none() {
    let usage = |stats: &str| {
        let text = format!(r#"{{"profiles":{{}},"usageStats":{{"a:b":{stats}}}}}"#);
        parse(&text).unwrap().usage(&id("a:b"))
    };
    let known = usage(
        r#"{"cooldownUntil":9,"cooldownReason":"rate_limit","disabledUntil":3,
            "disabledReason":"billing","errorCount":4,"lastFailureAt":2}"#,
    );
    assert_eq!(known.cooldown_reason, Some("rate_limit"));
    assert_eq!(known.disabled_reason, Some("billing"));
    assert_eq!((known.errors, known.last_failure), (4, at(2)));
    let blocked = usage(
        r#"{"cooldownUntil":9,"cooldownReason":"rate_limit","blockedUntil":10,
            "blockedReason":"subscription_limit"}"#,
    );
    assert_eq!(blocked.cooldown_reason, Some("subscription_limit"));
    let odd = usage(r#"{"cooldownReason":"sk-ant-FAKE","disabledReason":7,"errorCount":-1}"#);
    assert_eq!(odd, Usage::default());
}

#[test]
fn another_agents_file_lies_over_mains() {
    let main = parse(
        r#"{"profiles":{"a:1":{"type":"token","provider":"a","token":"FAKE-1"},"a:2":{"type":"token","provider":"a"}},
            "order":{"a":["a:1"],"b":["b:1"]},"usageStats":{" a:1":{"lastUsed":1},"a:2":{"lastUsed":2}}}"#,
    )
    .unwrap();
    let own = parse(
        r#"{"profiles":{"a:3":{"type":"api_key","provider":"a"},"a:1":{"type":"api_key","provider":"a"},"a:2":{"type":"odd"}},
            "order":{"A":["a:3"]},"usageStats":{"a:1":{"lastUsed":9},"a:2":{},"a:3":7}}"#,
    )
    .unwrap();
    let both = main.under(&own);
    let profiles: Vec<_> = both
        .profiles()
        .into_iter()
        .map(|profile| (profile.id.to_string(), profile.kind))
        .collect();
    // Main's come first, and an entry that OpenClaw does not read hides none.
    let expected = [
        ("a:1", ProfileKind::ApiKey),
        ("a:2", ProfileKind::Token),
        ("a:3", ProfileKind::ApiKey),
    ];
    assert_eq!(profiles, expected.map(|(id, kind)| (id.to_owned(), kind)));
    assert_eq!(both.order(&provider("a")), Some(vec![id("a:3")]));
    assert_eq!(both.order(&provider("b")), Some(vec![id("b:1")]));
    assert_eq!(both.usage(&id("a:1")).last_used, at(9));
    assert_eq!(both.usage(&id("a:2")).last_used, at(2));
    let all = both.usages();
    assert_eq!(all.len(), 2);
    assert!(
        all.iter()
            .all(|(name, usage)| *usage == both.usage(&id(name)))
    );
}
