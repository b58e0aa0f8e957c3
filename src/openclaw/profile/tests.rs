//! What one profile comes to, whatever stands in its place.

use super::*;
use crate::openclaw::document::tests::arbitrary_json;
use proptest::prelude::*;
use serde_json::json;

fn one(entry: &Value) -> Option<Profile> {
    read("anthropic:work", entry)
}

fn ours() -> Value {
    json!({"source": "exec", "provider": "clawkeep", "id": "anthropic:work"})
}

fn reference() -> SecretRef {
    SecretRef {
        provider: "clawkeep".to_owned(),
        id: "anthropic:work".to_owned(),
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn entries_read_as_openclaw_reads_them() {
    use ProfileKind::{ApiKey, Oauth, Token};
    let at = |ms| Expires::At(Millis::new(ms).unwrap());
    let cases = [
        (
            json!({"type": "token", "tokenRef": ours()}),
            Token,
            true,
            false,
            Expires::Never,
        ),
        (
            json!({"mode": "token", "token": ours(), "expires": 5}),
            Token,
            true,
            false,
            at(5),
        ),
        (
            json!({"type": "token", "token": "FAKE", "tokenRef": ours()}),
            Token,
            true,
            true,
            Expires::Never,
        ),
        (
            json!({"type": "token", "token": " ", "expires": 5.2}),
            Token,
            false,
            false,
            at(6),
        ),
        (
            json!({"type": "token", "keyRef": ours()}),
            Token,
            false,
            false,
            Expires::Never,
        ),
        (
            json!({"type": "token", "token": "${FAKE_TOKEN}"}),
            Token,
            false,
            false,
            Expires::Never,
        ),
        (
            json!({"type": "token", "token": "$fake"}),
            Token,
            false,
            true,
            Expires::Never,
        ),
        (
            json!({"type": "api_key", "keyRef": ours(), "expires": 5}),
            ApiKey,
            true,
            false,
            Expires::Never,
        ),
        (
            json!({"type": "apiKey", "apiKey": "FAKE"}),
            ApiKey,
            false,
            true,
            Expires::Never,
        ),
        (
            json!({"type": "api_key", "keyRef": ours(), "api_key": "FAKE"}),
            ApiKey,
            true,
            true,
            Expires::Never,
        ),
        (
            json!({"mode": "apiKey", "key": ours()}),
            ApiKey,
            true,
            false,
            Expires::Never,
        ),
        (
            json!({"type": "api_key", "key": 7}),
            ApiKey,
            false,
            false,
            Expires::Never,
        ),
        (
            json!({"type": "oauth", "access": "FAKE", "refresh": "FAKE", "tokenRef": ours(), "expires": 9}),
            Oauth,
            false,
            false,
            at(9),
        ),
    ];
    for (mut entry, kind, has_ref, plaintext, expires) in cases {
        entry["provider"] = json!(" Anthropic ");
        let profile = one(&entry).unwrap_or_else(|| unreachable!("{entry}"));
        assert_eq!(profile.provider.as_str(), "anthropic");
        assert_eq!(profile.kind, kind, "{entry}");
        assert_eq!(profile.reference, has_ref.then(reference), "{entry}");
        assert_eq!(profile.plaintext, plaintext, "{entry}");
        assert_eq!(profile.expires, expires, "{entry}");
    }
}

#[test]
fn what_openclaw_drops_is_no_profile() {
    for entry in [
        json!(null),
        json!("FAKE"),
        json!([]),
        json!({}),
        json!({"type": "token"}),
        json!({"type": "token", "provider": 7}),
        json!({"type": "token", "provider": "  "}),
        json!({"type": "password", "provider": "anthropic"}),
        json!({"type": 7, "mode": "token", "provider": "anthropic"}),
        json!({"provider": "anthropic", "tokenRef": ours()}),
    ] {
        assert_eq!(one(&entry), None, "{entry}");
    }
    let good = json!({"type": "token", "provider": "anthropic"});
    for id in ["", " ", " a:b", "a:b\n", &"a".repeat(201)] {
        assert_eq!(read(id, &good), None, "{id:?}");
    }
}

#[test]
fn an_expiry_that_is_no_moment_is_invalid() {
    for (value, expected) in [
        (json!(null), Expires::Invalid),
        (json!("1795355756000"), Expires::Invalid),
        (json!(0), Expires::Invalid),
        (json!(-1), Expires::Invalid),
        (json!(8.641e15), Expires::Invalid),
        (json!(u64::MAX), Expires::Invalid),
        (json!(1e300), Expires::Invalid),
        (json!({}), Expires::Invalid),
        (json!(0.5), Expires::At(Millis::new(1).unwrap())),
        (
            json!(8_640_000_000_000_000_i64),
            Expires::At(Millis::new(8_640_000_000_000_000).unwrap()),
        ),
    ] {
        assert_eq!(expires(Some(&value)), expected, "{value}");
    }
    let at = |ms| Millis::new(ms).unwrap();
    assert!(Expires::At(at(5)).is_over(at(5)));
    assert!(!Expires::At(at(6)).is_over(at(5)));
    assert!(Expires::Invalid.is_over(at(1)));
    assert!(!Expires::Never.is_over(at(i64::from(u32::MAX))));
}

#[test]
fn a_ref_has_three_fields_and_no_blank_one() {
    for (value, is_one) in [
        (
            json!({"source": "env", "provider": "default", "id": "FAKE"}),
            true,
        ),
        (json!({"source": "exec", "id": "x"}), true),
        (json!({"source": "exec", "provider": " ", "id": "x"}), false),
        (json!({"source": "exec", "provider": "p", "id": ""}), false),
        (
            json!({"source": "exec", "provider": "p", "id": "x", "more": 1}),
            false,
        ),
        (json!({"source": "ftp", "provider": "p", "id": "x"}), false),
        (json!("secretref-env:FAKE"), true),
        (json!("__env__:FAKE_1"), true),
        (json!("${}"), false),
        (json!(["exec"]), false),
    ] {
        assert_eq!(is_ref(&value), is_one, "{value}");
        // Only a whole exec ref becomes one of ours.
        let whole = value["source"] == "exec" && value["provider"] == "p" && is_one;
        assert_eq!(SecretRef::from_value(&value).is_some(), whole, "{value}");
    }
}

proptest! {
    #[test]
    fn no_entry_panics(entry in arbitrary_json(), id in "\\PC{0,10}") {
        let _ = read(&id, &entry);
        let _ = is_oauth(&entry);
    }

    #[test]
    fn fields_of_any_shape_leave_a_profile_or_none(
        kind in arbitrary_json(),
        provider in arbitrary_json(),
        token in arbitrary_json(),
        when in arbitrary_json(),
    ) {
        let entry = json!({"type": kind, "provider": provider, "token": token, "tokenRef": token, "expires": when});
        prop_assert!(one(&entry).is_none());
        let entry = json!({"type": "token", "provider": "anthropic", "token": token, "tokenRef": token, "expires": when});
        let profile = one(&entry).unwrap();
        prop_assert_eq!(profile.reference, None);
    }
}
