//! The cases that OpenClaw's own parser was seen to read, and the surprises of its expression.

use super::Language::DotEnv;
use super::tests::{left, one, pairs};
use std::collections::BTreeMap;

fn data(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    std::fs::read(path).unwrap()
}

#[test]
fn the_recorded_cases_are_read_as_openclaw_read_them() {
    let expected: BTreeMap<String, String> =
        serde_json::from_slice(&data("dotenv-cases.expected.json")).unwrap();
    let read = pairs(DotEnv, data("dotenv-cases.env"));
    let read: BTreeMap<String, String> = read
        .into_iter()
        .map(|(name, value)| (name, value.unwrap()))
        .collect();
    assert_eq!(read, expected);
}

#[test]
fn the_surprises_of_the_expression() {
    for (text, value) in [
        ("A=", ""),
        ("A=un#hash", "un"),
        ("A = ' x ' # c", " x "),
        ("A='it''s'", "it''s"),
        ("A='a\\'b'", "a\\'b"),
        ("A='a\\' # c", "a\\"),
        ("A=\"a\\nb\\rc\\\\n\"", "a\nb\rc\\\n"),
        ("A=\"open\\nend", "\"open\nend"),
        ("A='a\r\nb\rc'", "a\nb\nc"),
        ("A\n=\n'x'", "x"),
        ("export\nA=x", "x"),
        ("export = 5", "5"),
        ("A: x", "x"),
        ("A:\nx", "x"),
        ("A:\r\nx", "x"),
        ("A:\nB=5", "B=5"),
        ("\u{feff}A=\u{a0}x\u{3000}", "x"),
        ("a.b-c=x", "x"),
        ("A=\u{2028}'x'", "x"),
        ("A=y\u{2028}'x'", "y\u{2028}x"),
        ("A=`a\"b'c`", "a\"b'c"),
    ] {
        assert_eq!(one(DotEnv, text).as_deref(), Some(value), "{text:?}");
    }
    assert_eq!(
        one(DotEnv, b"A=x\xffy\xe2\x80").as_deref(),
        Some("x\u{fffd}y\u{fffd}")
    );
    for nothing in [
        "A",
        "A x=1",
        "A:x",
        "# A=1",
        "=1",
        "A!=1",
        "__proto__=1",
        "é=1",
    ] {
        assert!(pairs(DotEnv, nothing).is_empty(), "{nothing:?}");
    }
    // A quote that leads to no end of a line is no quote, so the next line is one.
    let read = pairs(DotEnv, "A='x\nB='1'\n");
    assert_eq!(read[0].1.as_deref(), Some("'x"));
    assert_eq!(read[1], ("B".to_owned(), Some("1".to_owned())));
}

#[test]
fn comments_on_the_line_stay_and_lines_are_counted() {
    assert_eq!(left(DotEnv, "A=1 # why\nB=2\n", &[0]), "# why\nB=2\n");
    assert_eq!(left(DotEnv, "A=\"1\n2\"\nB=2\n", &[0]), "B=2\n");
    assert_eq!(left(DotEnv, "A=1\nA=2\nA=3", &[1]), "A=1\nA=3");
    assert_eq!(left(DotEnv, "A=1\nB=2", &[1]), "A=1\n");
    assert_eq!(left(DotEnv, "A:\nB=5\nC=1\n", &[0]), "C=1\n");
    let lines = super::read(DotEnv, b"\r\n# c\rA=1\r\nB=\"x\r\ny\"\nC=1").unwrap();
    assert_eq!(
        lines.iter().map(|one| one.line).collect::<Vec<_>>(),
        [3, 4, 6]
    );
}

#[test]
fn what_would_change_another_meaning_is_refused() {
    for text in ["A=\nB=1\n'x'\n", "A='x\nB='1'\nC=2'\n", "NAME\nB=1\n=x\n"] {
        let gone = pairs(DotEnv, text).iter().position(|(name, _)| name == "B");
        let gone = std::collections::BTreeSet::from([gone.unwrap()]);
        let error = super::without(DotEnv, text.as_bytes(), &gone).unwrap_err();
        assert!(
            error
                .message()
                .starts_with("taking out what stands from line 2 on"),
            "{error}"
        );
    }
}
