//! What protocol 1 promises, on chosen and on hostile requests.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn secret(text: &str) -> Secret {
    Secret::stored(text).unwrap()
}

fn request(ids: &[&str]) -> Request {
    let text = json!({"protocolVersion": 1, "provider": "clawkeep", "ids": ids}).to_string();
    Request::parse(text.as_bytes()).unwrap()
}

fn text(out: &[u8]) -> &str {
    std::str::from_utf8(out).unwrap()
}

/// Values by id; everything else is absent.
fn from<'a>(values: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Answer + 'a {
    |id| {
        values
            .iter()
            .find(|(name, _)| *name == id)
            .map_or(Answer::Absent, |(_, value)| Answer::Value(secret(value)))
    }
}

#[test]
fn the_answer_is_openclaws_to_the_byte() {
    let ids = ["gateway/token", "a", "locked", "broken", "odd", "me@x"];
    let out = answer(&request(&ids), DEFAULT_MAX_OUTPUT, |id| match id {
        "gateway/token" => Answer::Value(secret("fake-token")),
        "locked" => Answer::Locked,
        "broken" => Answer::Broken,
        "odd" => Answer::Invalid,
        "a" => Answer::Absent,
        other => unreachable!("{other} is outside the grammar"),
    });
    assert_eq!(
        text(&out),
        concat!(
            r#"{"protocolVersion":1,"values":{"gateway/token":"fake-token"},"errors":{"#,
            r#""a":{"code":"NOT_FOUND","message":"no secret of this id is stored"},"#,
            r#""locked":{"code":"LOCKED","message":"the vault is locked"},"#,
            r#""broken":{"code":"BROKEN","message":"the vault could not be read"},"#,
            r#""odd":{"code":"INVALID_ID","message":"the id is outside the grammar of exec refs"},"#,
            r#""me@x":{"code":"INVALID_ID","message":"the id is outside the grammar of exec refs"}}}"#
        )
    );
}

#[test]
fn no_errors_no_errors_field_and_no_ids_no_values() {
    let out = answer(&request(&["b", "a"]), DEFAULT_MAX_OUTPUT, |id| {
        Answer::Value(secret(&format!("fake-{id}")))
    });
    assert_eq!(
        text(&out),
        r#"{"protocolVersion":1,"values":{"b":"fake-b","a":"fake-a"}}"#
    );
    let out = answer(&request(&[]), DEFAULT_MAX_OUTPUT, |_| Answer::Absent);
    assert_eq!(text(&out), r#"{"protocolVersion":1,"values":{}}"#);
}

#[test]
fn an_id_is_asked_and_answered_once() {
    let mut asked = 0;
    let out = answer(&request(&["a", "a", "a"]), DEFAULT_MAX_OUTPUT, |_| {
        asked += 1;
        Answer::Value(secret("fake"))
    });
    assert_eq!(asked, 1);
    assert_eq!(text(&out), r#"{"protocolVersion":1,"values":{"a":"fake"}}"#);
}

#[test]
fn a_long_or_odd_id_does_not_cost_the_batch() {
    let long = "a".repeat(257);
    let ids = ["good", &long, "a/../b", "quote\"back\\slash\nline", "ü", ""];
    let out = answer(&request(&ids), DEFAULT_MAX_OUTPUT, |_| {
        Answer::Value(secret("fake"))
    });
    let said: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(said["values"], json!({"good": "fake"}));
    for id in &ids[1..] {
        assert_eq!(said["errors"][id]["code"], "INVALID_ID", "{id:?}");
    }
}

#[test]
fn values_are_escaped_as_javascript_does() {
    let value = "\"\\/\u{8}\t\n\u{c}\r\u{0}\u{1f}\u{7f}é\u{2028}😀";
    let out = answer(&request(&["a"]), DEFAULT_MAX_OUTPUT, |_| {
        Answer::Value(secret(value))
    });
    // The right side is what `JSON.stringify` of Node prints.
    let expected = concat!(
        r#"{"protocolVersion":1,"values":{"a":"\"\\/\b\t\n\f\r\u0000\u001f"#,
        "\u{7f}é\u{2028}😀",
        r#""}}"#
    );
    assert_eq!(text(&out), expected);
}

#[test]
fn five_hundred_and_twelve_ids_are_answered_and_one_more_is_refused() {
    let ids: Vec<String> = (0..MAX_IDS).map(|n| format!("id-{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let out = answer(&request(&ids), DEFAULT_MAX_OUTPUT, |id| {
        Answer::Value(secret(&format!("fake-{id}")))
    });
    let said: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(said["values"].as_object().unwrap().len(), MAX_IDS);
    let more: Vec<&str> = ids.iter().copied().chain(["one-more"]).collect();
    let text = json!({"protocolVersion": 1, "ids": more}).to_string();
    let error = Request::parse(text.as_bytes()).unwrap_err();
    assert!(error.message().contains("513"), "{error}");
}

#[test]
fn what_does_not_fit_is_said_and_the_rest_resolves() {
    // 20 values of 64 KiB are more than 1 MiB; the small ones after them must still be there.
    let big = "x".repeat(64 * 1024);
    let ids: Vec<String> = (0..20).map(|n| format!("big-{n}")).collect();
    let mut all: Vec<&str> = ids.iter().map(String::as_str).collect();
    all.extend(["small-1", "absent", "small-2"]);
    let get = |id: &str| match id {
        "absent" => Answer::Absent,
        id if id.starts_with("big") => Answer::Value(secret(&big)),
        id => Answer::Value(secret(&format!("fake-{id}"))),
    };
    let out = answer(&request(&all), DEFAULT_MAX_OUTPUT, get);
    assert!(out.len() <= DEFAULT_MAX_OUTPUT);
    let said: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(said["values"]["small-1"], "fake-small-1");
    assert_eq!(said["values"]["small-2"], "fake-small-2");
    assert_eq!(said["errors"]["absent"]["code"], "NOT_FOUND");
    for n in 0..20 {
        let id = format!("big-{n}");
        if n < 15 {
            assert_eq!(said["values"][&id], big.as_str());
        } else {
            assert_eq!(said["errors"][&id]["code"], "OUTPUT_LIMIT", "{id}");
        }
    }
    let whole = answer(&request(&all), LARGEST_MAX_OUTPUT, get);
    let said: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(said["values"].as_object().unwrap().len(), 22);
}

#[test]
fn a_limit_below_the_error_entries_still_gives_a_whole_answer() {
    let request = request(&["a", "b"]);
    let values = [("a", "1"), ("b", "2")];
    let whole = answer(&request, 1000, from(&values)).len();
    for limit in 0..whole {
        let out = answer(&request, limit, from(&values));
        assert!(out.len() <= limit);
        if limit >= r#"{"protocolVersion":1,"values":{}}"#.len() {
            let said: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(said["protocolVersion"], 1);
        } else {
            assert!(out.is_empty(), "{}", text(&out));
        }
    }
}

#[test]
fn the_buffer_has_exactly_the_size_of_the_answer() {
    let value = "fake\n\"\u{1}".repeat(5000);
    let out = answer(
        &request(&["a", "no"]),
        DEFAULT_MAX_OUTPUT,
        from(&[("a", &value)]),
    );
    assert_eq!(out.capacity(), out.len());
}

#[test]
fn unknown_fields_of_any_shape_are_passed_over() {
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    for extra in ["null", "{\"a\":[1,{}]}", "1e5", "\"\\u0000\"", &deep] {
        let text = format!(r#"{{"new":{extra},"ids":["a"],"protocolVersion":1.0,"x":{extra}}}"#);
        let request = Request::parse(text.as_bytes()).unwrap();
        assert_eq!(request.ids(), ["a"]);
    }
}

#[test]
fn another_protocol_version_is_refused_by_name() {
    let parse = |version: &str| {
        Request::parse(format!(r#"{{"protocolVersion":{version},"ids":[]}}"#).as_bytes())
            .unwrap_err()
            .message()
            .to_owned()
    };
    assert_eq!(
        parse("2"),
        "the request speaks version 2 of OpenClaw's exec protocol; this clawkeep speaks version 1"
    );
    assert!(parse("1.5").contains("version 1.5 "));
    assert!(parse("-1").contains("version -1 "));
    assert!(parse("null").contains("names no protocolVersion"));
    assert!(Request::parse(b"{\"ids\":[]}").is_err());
}

#[test]
fn what_is_no_request_is_refused_and_not_repeated() {
    let whole = br#"{"protocolVersion":1,"ids":["fake-secret-looking-id"]}"#;
    for cut in 0..whole.len() {
        let error = Request::parse(&whole[..cut]).unwrap_err();
        assert!(!error.message().contains("fake"), "{error}");
    }
    let bad: [&[u8]; 12] = [
        b"\xef\xbb\xbf{\"protocolVersion\":1,\"ids\":[]}",
        b"[]",
        b"{\"protocolVersion\":\"sk-fake\",\"ids\":[]}",
        b"{\"protocolVersion\":1,\"ids\":{\"sk-fake\":1}}",
        b"{\"protocolVersion\":1,\"ids\":[\"a\",7]}",
        b"{\"protocolVersion\":1,\"ids\":[null]}",
        b"{\"protocolVersion\":1,\"ids\":\"sk-fake\"}",
        b"{\"protocolVersion\":1,\"ids\":[\"\xff\"]}",
        b"{\"protocolVersion\":1e999,\"ids\":[]}",
        b"{\"protocolVersion\":1,\"ids\":[],\"ids\":[]}",
        b"{\"protocolVersion\":1,\"ids\":[]} sk-fake",
        b"",
    ];
    for bytes in bad {
        let error = Request::parse(bytes).unwrap_err();
        assert!(!error.message().contains("sk-fake"), "{error}");
        assert!(!error.message().contains("expected"), "{error}");
    }
}

#[test]
fn a_request_has_at_most_262144_bytes() {
    let mut text = br#"{"protocolVersion":1,"ids":[]}"#.to_vec();
    text.resize(MAX_REQUEST, b' ');
    assert!(Request::parse(&text).is_ok());
    text.push(b' ');
    assert!(Request::parse(&text).is_err());
}

fn arbitrary_answers() -> impl Strategy<Value = BTreeMap<String, Option<String>>> {
    proptest::collection::btree_map(
        proptest::string::string_regex("[A-Za-z0-9._:/@\"-]{1,12}|\\PC{1,6}").unwrap(),
        proptest::option::of(
            proptest::string::string_regex("(?s).{1,150}|[\\x00-\\x1f\"\\\\]{1,40}").unwrap(),
        ),
        0..12,
    )
}

proptest! {
    #[test]
    fn serde_reads_back_what_was_written(answers in arbitrary_answers(), limit in 0usize..2000) {
        let ids: Vec<&str> = answers.keys().map(String::as_str).collect();
        let request = request(&ids);
        let get = |id: &str| answers[id].as_deref().map_or(Answer::Absent, |v| Answer::Value(secret(v)));

        let whole = answer(&request, usize::MAX, get);
        let said: Value = serde_json::from_slice(&whole).unwrap();
        for (id, value) in &answers {
            match value {
                Some(value) if in_grammar(id) => prop_assert_eq!(&said["values"][id], value.as_str()),
                _ => prop_assert!(said["errors"][id]["code"].is_string()),
            }
        }

        let cut = answer(&request, limit, get);
        prop_assert!(cut.len() <= limit);
        prop_assert!(cut.len() <= cut.capacity());
        if whole.len() <= limit {
            prop_assert_eq!(&*cut, &*whole);
        }
        if !cut.is_empty() {
            let said: Value = serde_json::from_slice(&cut).unwrap();
            for (id, value) in said["values"].as_object().unwrap() {
                prop_assert_eq!(value.as_str(), answers[id].as_deref());
            }
        }
    }

    #[test]
    fn no_request_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Request::parse(&bytes);
    }
}
