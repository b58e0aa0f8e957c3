//! What the editor promises, on chosen and on generated texts.

use super::*;
use crate::openclaw::reference::SecretRef;
use crate::secret::{Alphabet, Secret};
use proptest::prelude::*;
use serde_json::json;

fn config(text: &str) -> Config {
    Config::parse(text.as_bytes(), Path::new("/x/openclaw.json")).unwrap()
}

fn text(config: &Config) -> String {
    String::from_utf8(config.bytes().to_vec()).unwrap()
}

fn after_set(before: &str, path: &[&str], value: &Value) -> String {
    let mut config = config(before);
    config.set(path, value).unwrap();
    text(&config)
}

fn after_removal(before: &str, path: &[&str]) -> String {
    let mut config = config(before);
    assert!(config.remove_with_empty_parents(path).unwrap());
    text(&config)
}

#[test]
fn an_insertion_follows_the_files_style() {
    let cases = [
        ("{}\n", "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n"),
        ("{ x: 1 }", "{ x: 1, \"a\": {\"b\": 1} }"),
        ("{ x: 1, }", "{ x: 1, \"a\": {\"b\": 1}, }"),
        ("{ a: {} }", "{ a: { \"b\": 1 } }"),
        (
            "{\n\t\"x\": 1 // one\n}\n",
            "{\n\t\"x\": 1, // one\n\t\"a\": {\n\t\t\"b\": 1\n\t}\n}\n",
        ),
        (
            "{\r\n    x: 1, // one\r\n    // free\r\n}\r\n",
            "{\r\n    x: 1, // one\r\n    \"a\": {\r\n        \"b\": 1\r\n    },\r\n    // free\r\n}\r\n",
        ),
        (
            "{\n  a: { // here\n  },\n}\n",
            "{\n  a: { // here\n    \"b\": 1\n  },\n}\n",
        ),
        (
            "{\n  a: {\n    c: 2 } }\n",
            "{\n  a: {\n    c: 2,\n    \"b\": 1 } }\n",
        ),
        ("{ a: { b: 0x10 } }", "{ a: { b: 1 } }"),
        ("\u{FEFF}{ a: { b: 0 } }", "\u{FEFF}{ a: { b: 1 } }"),
    ];
    for (before, after) in cases {
        assert_eq!(
            after_set(before, &["a", "b"], &json!(1)),
            after,
            "{before:?}"
        );
    }
}

#[test]
fn a_removal_takes_its_comma_and_line_and_no_comment() {
    let cases = [
        ("{\n  x: 1,\n  a: { b: 1 },\n}\n", "{\n  x: 1,\n}\n"),
        ("{\n  x: 1,\n  a: { b: 1 }\n}\n", "{\n  x: 1\n}\n"),
        ("{ a: { b: 1 }, x: 1 }", "{ x: 1 }"),
        ("{ x: 1, a: { b: 1 } }", "{ x: 1 }"),
        ("{ a: { b: 1 } }", "{}"),
        ("{ a: { b: 1 /* kept */, } }", "{ a: {  /* kept */ } }"),
        (
            "{\n  a: {\n    b: 1, // kept\n  },\n}\n",
            "{\n  a: {\n    // kept\n  },\n}\n",
        ),
        (
            "{ x: 1 /* one */, /* two */ a: { b: 1 } /* three */ }",
            "{ x: 1 /* one */ /* two */ /* three */ }",
        ),
        ("{ a: { b: 1, c: 2 } }", "{ a: { c: 2 } }"),
        (
            "{ a: { b: 1 /* x */ , c: 2 } }",
            "{ a: {  /* x */  c: 2 } }",
        ),
    ];
    for (before, after) in cases {
        assert_eq!(after_removal(before, &["a", "b"]), after, "{before:?}");
    }
    assert!(!config("{ a: 1 }").remove(&["a", "b"]).unwrap());
    assert!(!config("{ a: 1 }").remove(&["b"]).unwrap());
}

#[test]
fn an_object_over_an_object_keeps_the_comments_in_it() {
    let before = "{\n  p: {\n    // why\n    command: \"/old\", // where\n    gone: 1,\n    args: [\"a\"],\n  },\n}\n";
    let value = json!({"command": "/new", "args": ["a"], "jsonOnly": true});
    let after = after_set(before, &["p"], &value);
    assert_eq!(
        after,
        "{\n  p: {\n    // why\n    command: \"/new\", // where\n    args: [\"a\"],\n    \"jsonOnly\": true,\n  },\n}\n"
    );
    assert_eq!(
        after_set(&after, &["p"], &value),
        after,
        "equal changes nothing"
    );
}

#[test]
fn a_string_becomes_a_ref_in_lines_where_it_had_a_line() {
    let before = "{\n  gateway: {\n    auth: {\n      token: 'fake', // mine\n    },\n  },\n}\n";
    let after = after_set(
        before,
        &["gateway", "auth", "token"],
        &json!({"source": "exec"}),
    );
    assert_eq!(
        after,
        "{\n  gateway: {\n    auth: {\n      token: {\n        \"source\": \"exec\"\n      }, // mine\n    },\n  },\n}\n"
    );
    let line = "{\n  gateway: { auth: { token: 'fake' } },\n}\n";
    assert_eq!(
        after_set(
            line,
            &["gateway", "auth", "token"],
            &json!({"source": "exec"})
        ),
        "{\n  gateway: { auth: { token: {\"source\": \"exec\"} } },\n}\n"
    );
}

/// What `json5` 2.2.3 accepts; each text was given to it.
#[test]
fn json5_is_read_as_openclaw_reads_it() {
    let cases = [
        (
            r#"{ a: 'it\'s', $b_1: "\x41\u0042\
c", }"#,
            json!({"a": "it's", "$b_1": "ABc"}),
        ),
        (
            "{ a: 0xFF, b: -0x10, c: +1, d: .5, e: 5., f: -.5e2 }",
            json!({"a": 255, "b": -16, "c": 1, "d": 0.5, "e": 5.0, "f": -50.0}),
        ),
        (
            "{ a: Infinity, b: -Infinity, c: NaN }",
            json!({"a": null, "b": null, "c": null}),
        ),
        (
            "{ä: 1, 'b c': 2, null: 3, true: 4, Infinity: 5}",
            json!({"ä": 1, "b c": 2, "null": 3, "true": 4, "Infinity": 5}),
        ),
        ("/**/{//\n}//", json!({})),
        (
            "{\u{a0}a:\u{2028}[1,\u{3000}2,],\u{b}}",
            json!({"a": [1, 2]}),
        ),
        (
            "{a: '\\0\\v\\q', b: \"\\'\"}",
            json!({"a": "\0\u{b}q", "b": "'"}),
        ),
    ];
    for (text, value) in cases {
        let read = config(text);
        let wanted = value.as_object().unwrap();
        for (key, value) in wanted {
            assert_eq!(read.get(&[key]).as_ref(), Some(value), "{key} in {text:?}");
        }
        assert_eq!(read.keys(&[]).len(), wanted.len(), "{text:?}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_by_its_place_alone() {
    let secret = "sk-fake-DO-NOT-QUOTE";
    let huge = vec![b' '; MAX_CONFIG + 1];
    let deep = format!("{{a:{}", "[".repeat(100_000));
    let texts = [
        String::new(),
        "[]".to_owned(),
        format!("{{ a: {secret} }}"),
        format!("{{ \"a\": \"{secret}"),
        format!("{{ a: 1 b: '{secret}' }}"),
        format!("{{ a: 1 }} '{secret}'"),
        format!("{{ a: 1 // \u{2028} token: '{secret}'\n }}"),
        format!("{{ a: 1 /* {secret} }}"),
        format!("'{secret}'"),
        deep,
    ];
    for text in &texts {
        let said = Config::parse(text.as_bytes(), Path::new("/x/openclaw.json")).unwrap_err();
        assert_eq!(said.kind(), crate::error::Kind::Broken);
        assert!(!said.message().contains("fake"), "{said}");
        assert!(said.message().contains("line"), "{said}");
    }
    let place = Config::parse(b"{\n  a: 1,\n  b: ?\n}", Path::new("/x")).unwrap_err();
    assert!(place.message().contains("line 3, column 6"), "{place}");
    for bytes in [&huge[..], b"{ a: '\xff' }"] {
        assert!(Config::parse(bytes, Path::new("/x")).is_err());
    }
}

#[test]
fn an_ambiguous_or_included_path_is_refused_and_nothing_changes() {
    let cases = [
        ("{ a: {}, a: {} }", "stands twice, again in line 1"),
        ("{ a: { b: 1,\n b: 2 } }", "stands twice, again in line 2"),
        (
            "{ a: 3 }",
            "a in /x/openclaw.json, line 1, is not an object",
        ),
        ("{ a: null }", "is not an object"),
        (
            "{ a: { $include: './a.json5' } }",
            "taken from another file ($include in line 1)",
        ),
        ("{ $include: ['./a.json5'],\n a: { b: 1 } }", "the root"),
    ];
    for (before, said) in cases {
        let mut config = config(before);
        let error = config.set(&["a", "b"], &json!(2)).unwrap_err();
        assert!(error.message().contains(said), "{error}");
        assert_eq!(text(&config), before);
    }
    assert_eq!(
        config("{ a: { $include: 'x', b: [{ $include: 'y' }] } }").includes(),
        [
            vec!["a".to_owned()],
            vec!["a".into(), "b".into(), "0".into()]
        ]
    );
    assert_eq!(
        config("{ a: 1, a: 2 }").get(&["a"]),
        Some(json!(2)),
        "the last, as in JSON5"
    );
}

#[test]
fn refs_are_found_wherever_they_stand() {
    let read = config(
        "{ a: [{ k: { source: 'exec', provider: 'clawkeep', id: 'x' } }], b: { source: 'env', provider: 'default', id: 'X' } }",
    );
    let refs = read.refs();
    assert_eq!(refs.len(), 1);
    assert_eq!(refs[0].0, ["a", "0", "k"]);
    let mut edited = read.clone();
    assert!(edited.remove(&["a", "0", "k"]).unwrap());
    assert_eq!(edited.get(&["a"]), Some(json!([{}])));
}

#[test]
fn another_programs_rewrite_is_adopted_and_the_comments_stay() {
    let mut mine =
        config("// mine\n{\n  a: { b: 0x10, }, // sixteen\n  list: ['x'],\n  gone: 1,\n}\n");
    let theirs = config(r#"{"a": {"b": 16}, "list": ["x"], "meta": {"v": "1"}}"#);
    assert_eq!(mine.adopt(&theirs).unwrap(), [vec!["gone"], vec!["meta"]]);
    assert_eq!(
        text(&mine),
        "// mine\n{\n  a: { b: 0x10, }, // sixteen\n  list: ['x'],\n  \"meta\": {\n    \"v\": \"1\"\n  },\n}\n"
    );
    assert!(mine.adopt(&theirs).unwrap().is_empty());
}

fn token(text: &str) -> Secret {
    Secret::new(text.as_bytes(), Alphabet::Text).unwrap()
}

fn scrubbed(before: &str, value: &str) -> Option<String> {
    let reference = SecretRef {
        provider: "clawkeep".into(),
        id: "gateway/token".into(),
    };
    let replacement = Replacement {
        reference: &reference,
        secret_provider: &json!({"source": "exec", "command": "/c"}),
    };
    scrub(before.as_bytes(), &token(value), &replacement)
        .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

const FAKE: &str = "fake/gateway\"token-0123";

#[test]
fn a_backup_loses_the_token_and_still_works() {
    let before = "{ // \"x\n gateway: { auth: { token: 'fake\\/gateway\"token-0123' }, remote: { token: \"fake/gateway\\\"token-0123\" } },\n other: \"fake/gateway\\u0022token-0123\", // fake/gateway\"token-0123\n note: 'pre fake/gateway\"token-0123' }";
    let after = scrubbed(before, FAKE).unwrap();
    let read = config(&after);
    for slot in ["auth", "remote"] {
        let found = read.get(&["gateway", slot, "token"]).unwrap();
        assert_eq!(found["id"], "gateway/token", "{after}");
    }
    assert_eq!(read.get(&["other"]), Some(json!(MARKER)));
    assert_eq!(read.get(&["note"]), Some(json!(format!("pre {MARKER}"))));
    assert!(!after.contains("token-0123"), "{after}");
    assert!(read.has(&["secrets", "providers", "clawkeep", "command"]));
}

#[test]
fn a_backup_that_is_no_json5_loses_it_too_and_others_are_left_alone() {
    let after = scrubbed("{ \"token\": \"fake/gateway\\\"token-0123\", oops", FAKE).unwrap();
    assert_eq!(after, format!("{{ \"token\": \"{MARKER}\", oops"));
    assert_eq!(scrubbed("{ \"token\": \"another\" }", FAKE), None);
    assert_eq!(scrubbed("", FAKE), None);
}

#[test]
fn a_short_token_is_no_reason_to_overwrite_a_word() {
    let before =
        "{ gateway: { auth: { mode: 'token', token: 'token', password: 'token' } } } // token";
    let after = scrubbed(before, "token").unwrap();
    let read = config(&after);
    assert_eq!(read.get(&["gateway", "auth", "mode"]), Some(json!("token")));
    assert!(read.has(&["gateway", "auth", "token", "id"]));
    assert_eq!(
        read.get(&["gateway", "auth", "password"]),
        Some(json!(MARKER))
    );
    assert!(after.ends_with("// token"));
}

/// JSON5 texts with every kind of trivia, and keys among which the edited ones can be.
fn document() -> impl Strategy<Value = String> {
    let trivia = prop::sample::select(vec![
        "",
        "",
        " ",
        "\n  ",
        "\r\n\t",
        " // note\n",
        " /* a, b: {} */ ",
        "\n  // 'q\n  ",
    ]);
    let scalar = prop::sample::select(vec![
        "1",
        "'x, }'",
        "\"\\\"//\"",
        "0xF",
        "null",
        "true",
        ".5",
        "'/* */'",
    ]);
    let leaf = (trivia.clone(), scalar, trivia.clone()).prop_map(|(a, v, b)| format!("{a}{v}{b}"));
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let members = prop::collection::btree_map("[a-e]", (trivia.clone(), inner.clone()), 0..4);
        prop_oneof![
            (members, trivia.clone(), any::<bool>()).prop_map(|(members, tail, comma)| {
                let body: Vec<String> = members
                    .iter()
                    .map(|(key, (before, value))| format!("{before}\"{key}\":{value}"))
                    .collect();
                let last = if comma && !body.is_empty() { "," } else { "" };
                format!("{{{}{last}{tail}}}", body.join(","))
            }),
            prop::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(","))),
        ]
    })
    .prop_map(|value| format!("{{ \"a\":{value}, \"z\": 0 }}"))
}

fn comments(config: &Config) -> Vec<String> {
    let (_, places) = config.strings_and_comments();
    places
        .into_iter()
        .map(|place| config.text()[place].to_owned())
        .collect()
}

/// The parsed value with `path` set, or removed.
fn expected(mut whole: Value, path: &[&str], value: Option<&Value>) -> Value {
    let (last, above) = path.split_last().unwrap();
    let mut here = &mut whole;
    for key in above {
        if value.is_none() && here.get(*key).is_none_or(|inner| !inner.is_object()) {
            return whole;
        }
        here = here
            .as_object_mut()
            .unwrap()
            .entry((*key).to_owned())
            .or_insert_with(|| json!({}));
    }
    match value {
        Some(value) => {
            here[*last] = value.clone();
        }
        None => {
            here.as_object_mut().unwrap().shift_remove(*last);
        }
    }
    whole
}

fn whole(config: &Config) -> Value {
    let all: serde_json::Map<String, Value> = ["a", "z"]
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), config.get(&[key])?)))
        .collect();
    Value::Object(all)
}

proptest! {
    #[test]
    fn an_edit_changes_its_path_and_keeps_every_comment(
        document in document(),
        path in prop::collection::vec("[a-e]", 1..4),
        value in prop::sample::select(vec![json!({"source": "exec", "id": "x"}), json!({}), json!({"b": {"c": 1}})]),
    ) {
        let before = config(&document);
        let mut path: Vec<&str> = path.iter().map(String::as_str).collect();
        path.insert(0, "a");
        let mut edited = before.clone();
        let replaced_whole = before.get(&path).is_some_and(|old| !old.is_object());
        if edited.set(&path, &value).is_ok() {
            prop_assert_eq!(whole(&edited), expected(whole(&before), &path, Some(&value)));
            if !replaced_whole && before.get(&path).is_none() {
                prop_assert_eq!(comments(&edited), comments(&before));
            }
        } else {
            prop_assert_eq!(edited.bytes(), before.bytes());
        }
    }

    #[test]
    fn a_removal_changes_its_path_and_keeps_every_comment_outside_it(
        document in document(),
        path in prop::collection::vec("[a-e]", 1..4),
    ) {
        let before = config(&document);
        let mut path: Vec<&str> = path.iter().map(String::as_str).collect();
        path.insert(0, "a");
        let mut edited = before.clone();
        let scalar = before.get(&path).is_some_and(|old| !old.is_object() && !old.is_array());
        let removed = edited.remove(&path).unwrap();
        prop_assert_eq!(removed, before.has(&path));
        prop_assert_eq!(whole(&edited), expected(whole(&before), &path, None));
        if scalar {
            prop_assert!(comments(&edited).len() + 1 >= comments(&before).len());
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "[{}\\[\\],:'\"/*a-c\\\\ \n$\u{2028}é0x.+-]{0,60}") {
        for input in [&bytes[..], text.as_bytes()] {
            if let Ok(mut read) = Config::parse(input, Path::new("/x")) {
                let _ = read.set(&["a", "b"], &json!({"k": [1, {}]}));
                let _ = read.remove_with_empty_parents(&["a", "b"]);
                prop_assert!(Config::parse(&read.bytes(), Path::new("/x")).is_ok());
            }
            let _ = scrubbed(&String::from_utf8_lossy(input), "fake-token-0123456");
        }
    }

    #[test]
    fn a_scrubbed_file_holds_the_value_nowhere(document in document(), value in "[a-z\"\\\\/]{12,20}") {
        let planted = document.replace("'x, }'", &Value::from(value.as_str()).to_string());
        let after = scrubbed(&planted, &value);
        prop_assert_eq!(after.is_some(), planted != document);
        if let Some(after) = after {
            let read = config(&after);
            prop_assert!(read.strings_and_comments().0.iter().all(|s| !s.value.contains(&value)));
        }
    }
}

#[test]
fn the_keys_of_the_root_are_its_own() {
    let config = config("{b: 1, 'a c': {d: 2}, list: []}");
    assert_eq!(config.keys(&[]), ["b", "a c", "list"]);
    assert_eq!(config.keys(&["a c"]), ["d"]);
    assert!(config.keys(&["list"]).is_empty() && config.keys(&["none"]).is_empty());
}
