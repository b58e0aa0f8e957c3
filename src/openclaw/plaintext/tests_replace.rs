//! Replacements keep every other byte, on chosen texts.

use super::tests::{look, path};
use super::*;
use crate::openclaw::config::MARKER;
use crate::secret::SecretId;

pub(super) fn reference() -> SecretRef {
    SecretRef::to(&SecretId::parse("some/id").unwrap())
}

fn done(document: Document, text: &str, what: &[(&[&str], Replacement)]) -> Result<String> {
    let what: Vec<(Vec<String>, Replacement)> = what
        .iter()
        .map(|(keys, replacement)| (path(keys), replacement.clone()))
        .collect();
    replace(document, text.as_bytes(), Path::new("/x/file.json"), &what)
        .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

#[test]
fn a_configuration_keeps_comments_and_style() {
    let before = "// top FAKE-comment\r\n{\r\n\tgateway: { auth: { token: 'FAKE1', /* why */ mode: \"token\", } },\r\n\tenv: {\r\n\t\tA: \"FAKE2\", // a\r\n\t\tB: \"FAKE3\",\r\n\t\tC: 0x10,\r\n\t},\r\n\tx: [\"FAKE4\", 'y',],\r\n}\r\n";
    let after = done(
        Document::Config,
        before,
        &[
            (&["gateway", "auth", "token"], Replacement::Ref(reference())),
            (&["env", "A"], Replacement::Remove),
            (&["env", "B"], Replacement::Remove),
            (&["x", "0"], Replacement::Marker),
        ],
    );
    assert_eq!(
        after.unwrap(),
        "// top FAKE-comment\r\n{\r\n\tgateway: { auth: { token: {\"source\": \"exec\", \"provider\": \"clawkeep\", \"id\": \"some/id\"}, /* why */ mode: \"token\", } },\r\n\tenv: {\r\n\t\t// a\r\n\t\tC: 0x10,\r\n\t},\r\n\tx: [\"removed-by-clawkeep\", 'y',],\r\n}\r\n"
    );
    let all = done(
        Document::Config,
        "{\"env\":{\"A\":\"FAKE\",\"B\":\"FAKE\",\"C\":\"FAKE\"},\"n\":1}",
        &[
            (&["env", "A"], Replacement::Remove),
            (&["env", "B"], Replacement::Remove),
            (&["env", "C"], Replacement::Remove),
        ],
    );
    assert_eq!(all.unwrap(), "{\"env\":{},\"n\":1}");
}

#[test]
fn a_profiles_ref_stands_under_its_own_key() {
    let before = "{\n  \"version\": 1,\n  \"profiles\": {\n    \"a:b\": {\n      \"type\": \"token\",\n      \"provider\": \"a\",\n      \"token\": \"FAKE1\",\n      \"expires\": 5\n    },\n    \"c:d\": {\"mode\":\"api_key\",\"provider\":\"c\",\"apiKey\":\"FAKE2\",\"key\":\"FAKE3\"},\n    \"e:f\": {\"type\":\"api_key\",\"provider\":\"e\",\"key\":\"FAKE4\",\"keyRef\":null}\n  }\n}\n";
    let after = done(
        Document::Profiles,
        before,
        &[
            (&["profiles", "a:b", "token"], Replacement::Ref(reference())),
            (&["profiles", "c:d", "key"], Replacement::Ref(reference())),
            (&["profiles", "c:d", "apiKey"], Replacement::Remove),
            (&["profiles", "e:f", "key"], Replacement::Ref(reference())),
        ],
    )
    .unwrap();
    assert_eq!(
        after,
        "{\n  \"version\": 1,\n  \"profiles\": {\n    \"a:b\": {\n      \"type\": \"token\",\n      \"provider\": \"a\",\n      \"tokenRef\": {\n        \"source\": \"exec\",\n        \"provider\": \"clawkeep\",\n        \"id\": \"some/id\"\n      },\n      \"expires\": 5\n    },\n    \"c:d\": {\"mode\":\"api_key\",\"provider\":\"c\",\"keyRef\":{\"source\": \"exec\", \"provider\": \"clawkeep\", \"id\": \"some/id\"}},\n    \"e:f\": {\"type\":\"api_key\",\"provider\":\"e\",\"keyRef\":{\"source\": \"exec\", \"provider\": \"clawkeep\", \"id\": \"some/id\"}}\n  }\n}\n"
    );
    let read = crate::openclaw::profiles::ProfilesFile::parse(after.as_bytes(), Path::new("/x"));
    for profile in read.unwrap().profiles() {
        assert_eq!(profile.reference, Some(reference()));
        assert!(!profile.plaintext);
    }
}

#[test]
fn an_entry_of_a_flat_store_goes_as_a_whole() {
    let before =
        r#"{ "a": {"key":"FAKE1","apiKey":"FAKE2"}, "b": {"type":"oauth","access":"FAKE3"} }"#;
    let remove = |keys: &'static [&'static str]| (keys, Replacement::Remove);
    for document in [Document::LegacyAuth, Document::Profiles] {
        let after = done(
            document,
            before,
            &[remove(&["a", "key"]), remove(&["a", "apiKey"])],
        );
        assert_eq!(
            after.unwrap(),
            r#"{ "b": {"type":"oauth","access":"FAKE3"} }"#
        );
    }
}

#[test]
fn what_cannot_be_done_changes_nothing_and_says_why() {
    let profiles =
        r#"{"profiles":{"a:b":{"type":"oauth","provider":"a","access":"FAKE","token":"FAKE"}}}"#;
    let flat = r#"{"a":{"key":"FAKE"}}"#;
    let put = || Replacement::Ref(reference());
    let cases: [(Document, &str, &[&str], Replacement, &str); 8] = [
        (
            Document::Profiles,
            profiles,
            &["profiles", "a:b", "token"],
            put(),
            "no ref can stand",
        ),
        (
            Document::Profiles,
            profiles,
            &["profiles", "x", "token"],
            put(),
            "no ref can stand",
        ),
        (
            Document::Profiles,
            flat,
            &["a", "key"],
            put(),
            "no ref can stand",
        ),
        (
            Document::LegacyAuth,
            flat,
            &["a", "key"],
            put(),
            "no ref can stand",
        ),
        (
            Document::Oauth,
            flat,
            &["a", "key"],
            put(),
            "no ref can stand",
        ),
        (
            Document::Config,
            "{a: {b: 'FAKE'}}",
            &["a", "c"],
            Replacement::Marker,
            "not there any more",
        ),
        (
            Document::Config,
            "{a: ['FAKE']}",
            &["a", "0"],
            Replacement::Remove,
            "an element of an array",
        ),
        (
            Document::Config,
            "{a: 'FAKE', a: 'FAKE'}",
            &["a"],
            Replacement::Marker,
            "stands twice",
        ),
    ];
    for (document, text, keys, replacement, said) in cases {
        let error = done(document, text, &[(keys, replacement)]).unwrap_err();
        assert!(error.message().contains(said), "{error}");
        assert!(!error.message().contains("FAKE"), "{error}");
    }
    assert_eq!(done(Document::Profiles, profiles, &[]).unwrap(), profiles);
}

#[test]
fn in_a_copy_both_of_two_equal_keys_go() {
    let text = "{a: {token: 'FAKE1'}, a: {token: 'FAKE2', token: 'FAKE3', b: 1}}";
    let keys: &[&str] = &["a", "token"];
    let marked = done(Document::Copy, text, &[(keys, Replacement::Marker)]).unwrap();
    assert!(
        !marked.contains("FAKE") && marked.matches(MARKER).count() == 3,
        "{marked}"
    );
    let gone = done(Document::Copy, text, &[(keys, Replacement::Remove)]).unwrap();
    assert_eq!(gone, "{a: {}, a: {b: 1}}");
}

/// Ten thousand neighbours go in a handful of passes: one pass each would take minutes.
#[test]
fn ten_thousand_variables_go_at_once() {
    let lines: Vec<String> = (0..10_000)
        .map(|n| format!("    V{n}: \"FAKE{n}\",\n"))
        .collect();
    let lines = lines.concat();
    let text = format!("{{\n  env: {{\n{lines}    KEEP: 1,\n  }},\n}}\n");
    let found = look(Document::Config, &text).unwrap();
    let what: Vec<_> = found
        .into_iter()
        .map(|one| (one.path, Replacement::Remove))
        .collect();
    assert_eq!(what.len(), 10_000);
    let after = replace(Document::Config, text.as_bytes(), Path::new("/x"), &what).unwrap();
    assert_eq!(&**after, b"{\n  env: {\n    KEEP: 1,\n  },\n}\n");
}
