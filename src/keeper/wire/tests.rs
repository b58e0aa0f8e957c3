//! Tests of the keeper's messages.

use super::*;
use crate::error::Kind;
use crate::expiry::Millis;
use crate::secret::{Alphabet, Secret, SecretId, SecretKind};
use crate::store::Meta;
use crate::vault::body::Entry;
use crate::vault::id::VaultId;
use proptest::prelude::*;

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes(), Alphabet::Text).unwrap()
}

fn entry(value: &str) -> Stored {
    let at = Millis::new(7).unwrap();
    Stored(Entry {
        meta: Meta {
            kind: SecretKind::Secret,
            provider: None,
            created: at,
            updated: at,
            expires: None,
            was_plaintext: true,
        },
        value: secret(value),
    })
}

fn listed(was_plaintext: bool) -> Listed {
    Listed {
        id: "a".to_owned(),
        kind: SecretKind::Secret,
        provider: None,
        created: Millis::new(7).unwrap(),
        updated: Millis::new(7).unwrap(),
        expires: None,
        was_plaintext,
    }
}

/// What was read back, comparable.
#[allow(clippy::disallowed_methods, reason = "compares fake values")]
fn shown(given: &[Given]) -> Vec<String> {
    use secrecy::ExposeSecret;
    given
        .iter()
        .map(|given| match given {
            Given::Value(value) => format!("={}", value.expose_secret()),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn questions_go_there_and_back() {
    let id = SecretId::parse("a/b").unwrap();
    for question in [
        Question::Resolve {
            pins: vec![VaultId::from_bytes([3; 32])],
            ids: vec!["a".to_owned(), "\"\\\n\u{1}ü".to_owned()],
            challenge: Some("00ff".to_owned()),
        },
        Question::Status,
        Question::List,
        Question::Get(id.clone()),
        Question::Remove(id.clone()),
        Question::Link("provider/x".to_owned()),
        Question::Put(id, entry("fake \" \\ \t\nvalue")),
    ] {
        let text = question.write();
        assert!(text.len() <= MAX_QUESTION);
        let back = Question::read(&text).unwrap();
        assert_eq!(format!("{back:?}"), format!("{question:?}"));
        assert_eq!(*back.write(), *text);
    }
}

#[test]
fn answers_go_there_and_back() {
    let given = vec![
        Given::Value(secret("fake \"value\"\n")),
        Given::Absent,
        Given::Locked,
        Given::Broken,
        Given::Invalid,
    ];
    let expected = shown(&given);
    let Answer::Answers(back) = Answer::read(&Answer::Answers(given).write()).unwrap() else {
        panic!("other answer");
    };
    assert_eq!(shown(&back), expected);
    let error = Error::locked("it is locked").hint("clawkeep unlock");
    let Answer::Error(back) = Answer::read(&Answer::Error(error.clone()).write()).unwrap() else {
        panic!("other answer");
    };
    assert_eq!(back, error);
    for (answer, said) in [
        (Answer::Again("ab".to_owned()), "Again(\"ab\")"),
        (
            Answer::List(vec![listed(false), listed(true)]),
            &format!("List({:?})", [listed(false), listed(true)]),
        ),
        (Answer::Done(false), "Done(false)"),
        (Answer::Entry(None), "Entry(None)"),
        (Answer::Entry(Some(entry("fake"))), "Entry(Some(Stored(…)))"),
    ] {
        assert_eq!(
            format!("{:?}", Answer::read(&answer.write()).unwrap()),
            said
        );
    }
}

#[test]
fn the_largest_value_fits_into_a_question_and_too_much_is_an_error() {
    let id = SecretId::parse("a").unwrap();
    // Newlines are what takes most room of all that a value may hold.
    let largest = "\n".repeat(crate::secret::MAX_SECRET);
    assert!(Question::Put(id, entry(&largest)).write().len() <= MAX_QUESTION);
    let many = (0..400).map(|_| Given::Value(secret(&largest))).collect();
    let text = Answer::Answers(many).write();
    assert!(matches!(Answer::read(&text).unwrap(), Answer::Error(_)));
}

#[test]
fn another_version_is_refused_by_name_and_nothing_is_quoted() {
    for text in [
        r#"{"v":2,"verb":"resolve","ids":["fake-secret"]}"#,
        r#"{"v":1,"verb":"fake-secret"}"#,
        r#"{"v":1,"verb":"put","id":"fake-secret"}"#,
        r#"{"v":1,"verb":"get","id":"../fake-secret"}"#,
        "fake-secret",
    ] {
        let error = Question::read(text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), Kind::Broken);
        assert!(!error.message().contains("fake"), "{error}");
        assert_eq!(
            error.message().contains("version 2"),
            text.contains("\"v\":2")
        );
    }
}

#[test]
fn a_false_keeper_writes_no_escape_sequences() {
    let text = r#"{"v":1,"error":"locked","text":"\u001b[2Jx\n","hint":"\u0007y"}"#;
    let Answer::Error(error) = Answer::read(text.as_bytes()).unwrap() else {
        panic!("other answer");
    };
    assert_eq!(error.message(), "?[2Jx?");
    assert_eq!(error.hint_text(), Some("?y"));
}

#[test]
fn values_do_not_show_themselves() {
    let text = format!(
        "{:?} {:?} {:?}",
        Question::Put(SecretId::parse("a").unwrap(), entry("fake-secret")),
        Answer::Answers(vec![Given::Value(secret("fake-secret"))]),
        Answer::Entry(Some(entry("fake-secret"))),
    );
    assert!(!text.contains("fake"), "{text}");
}

proptest! {
    #[test]
    fn hostile_messages_do_not_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        text in "[{}\\[\\]\":,a-z0-9 ]{0,80}",
    ) {
        for text in [bytes, text.clone().into_bytes(), format!("{{\"v\":1,{text}}}").into_bytes()] {
            let _ = Question::read(&text);
            let _ = Answer::read(&text);
        }
    }

    #[test]
    fn any_ids_go_there_and_back(ids in proptest::collection::vec("\\PC{0,40}|[\\x00-\\x20\"\\\\]{0,9}", 0..20)) {
        let each: std::collections::BTreeSet<_> = ids.iter().collect();
        let is_fine = each.len() == ids.len();
        let question = Question::Resolve { pins: Vec::new(), ids: ids.clone(), challenge: None };
        match Question::read(&question.write()) {
            Ok(Question::Resolve { ids: back, .. }) => prop_assert_eq!((true, back), (is_fine, ids)),
            // One that stands twice would be copied as often.
            Err(_) => prop_assert!(!is_fine),
            Ok(_) => prop_assert!(false),
        }
    }
}
