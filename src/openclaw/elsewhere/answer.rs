//! What a program answered, by the protocol between OpenClaw and a program of `secrets.providers`. Pure: bytes
//! in, codes out; no value is copied.
//!
//! Source: OpenClaw 2026.6.1 and 2026.9.6, `src/secrets/resolve.ts` (`parseExecValues`).

use crate::openclaw::document::wipe;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// The code of an id that is in neither list.
pub const NO_ANSWER: &str = "NO_ANSWER";

/// The code of a value that is no text, or an empty one.
pub const EMPTY: &str = "EMPTY";

/// The code where the program names none.
const UNKNOWN: &str = "UNKNOWN";

/// Why each of `ids` has no value, in their order; `None` for one that has. With `may_be_bare` a program that is
/// asked for one id may answer with the bare value. `None` for the whole of what is no answer.
pub fn codes(bytes: &[u8], ids: &[String], may_be_bare: bool) -> Option<Vec<Option<String>>> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    if text.is_empty() {
        return None;
    }
    if may_be_bare && ids.len() == 1 {
        // What is no JSON is the value, and so is a JSON text.
        match serde_json::from_str::<Kept>(text) {
            Err(_) | Ok(Kept::Text) => return Some(vec![None]),
            Ok(Kept::Empty) => return Some(vec![Some(EMPTY.to_owned())]),
            Ok(Kept::Other) => {}
        }
    }
    let wire: Wire = serde_json::from_str(text).ok()?;
    wire.protocol_version
        .total_cmp(&1.0)
        .is_eq()
        .then_some(())?;
    let code = |id: &String| {
        if let Some(refused) = wire.errors.as_ref().and_then(|errors| errors.0.get(id)) {
            return Some(refused.word());
        }
        match wire.values.get(id) {
            Some(Kept::Text) => None,
            Some(Kept::Empty | Kept::Other) => Some(EMPTY.to_owned()),
            None => Some(NO_ANSWER.to_owned()),
        }
    };
    Some(ids.iter().map(code).collect())
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "protocolVersion")]
    protocol_version: f64,
    values: BTreeMap<String, Kept>,
    #[serde(default)]
    errors: Option<Errors>,
}

/// What counts of a value.
enum Kept {
    Text,
    Empty,
    Other,
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Kept;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_str<E>(self, text: &str) -> Result<Kept, E> {
                Ok(if text.trim().is_empty() {
                    Kept::Empty
                } else {
                    Kept::Text
                })
            }
            fn visit_bool<E>(self, _: bool) -> Result<Kept, E> {
                Ok(Kept::Other)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Kept, E> {
                Ok(Kept::Other)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Kept, E> {
                Ok(Kept::Other)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Kept, E> {
                Ok(Kept::Other)
            }
            fn visit_unit<E>(self) -> Result<Kept, E> {
                Ok(Kept::Other)
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut all: A) -> Result<Kept, A::Error> {
                while all.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Kept::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Kept, A::Error> {
                while all.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Kept::Other)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// `errors`, which is read only where it is an object.
struct Errors(BTreeMap<String, Refused>);

impl<'de> Deserialize<'de> for Errors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = serde_json::Value::deserialize(deserializer)?;
        let serde_json::Value::Object(all) = all else {
            return Ok(Errors(BTreeMap::new()));
        };
        let refused = all.into_iter().map(|(id, mut one)| {
            let code = one.get("code").and_then(serde_json::Value::as_str);
            let code = code.map(str::to_owned);
            // A message may quote a value.
            wipe(&mut one);
            (id, Refused(code))
        });
        Ok(Errors(refused.collect()))
    }
}

struct Refused(Option<String>);

impl Refused {
    /// A code is a word; anything else is not repeated.
    fn word(&self) -> String {
        let code = self.0.as_deref().filter(|code| is_word(code));
        code.unwrap_or(UNKNOWN).to_owned()
    }
}

/// Whether it can be shown as a code of the protocol: at most 64 of `A-Z` and `_`.
pub fn is_word(code: &str) -> bool {
    (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str, may_be_bare: bool) -> Option<Vec<Option<String>>> {
        let ids = ["a".to_owned()];
        codes(text.as_bytes(), &ids, may_be_bare)
    }

    #[test]
    fn an_answer_is_read_as_openclaw_reads_it() {
        let code = |code: &str| Some(vec![Some(code.to_owned())]);
        for (answer, wanted) in [
            (
                r#"{"protocolVersion":1,"values":{"a":"sk-FAKE"}}"#,
                Some(vec![None]),
            ),
            (
                r#" {"protocolVersion":1.0,"values":{"a":"x"},"more":[]} "#,
                Some(vec![None]),
            ),
            (r#"{"protocolVersion":1,"values":{"a":""}}"#, code("EMPTY")),
            (
                r#"{"protocolVersion":1,"values":{"a":{"b":1}}}"#,
                code("EMPTY"),
            ),
            (r#"{"protocolVersion":1,"values":{}}"#, code("NO_ANSWER")),
            (
                r#"{"protocolVersion":1,"values":{"a":"x"},"errors":{"a":{"code":"NOT_FOUND","message":"sk-FAKE"}}}"#,
                code("NOT_FOUND"),
            ),
            (
                r#"{"protocolVersion":1,"values":{},"errors":{"a":"sk-FAKE"}}"#,
                code("UNKNOWN"),
            ),
            (
                r#"{"protocolVersion":1,"values":{},"errors":{"a":{"code":"sk-FAKE \u001b"}}}"#,
                code("UNKNOWN"),
            ),
            (
                r#"{"protocolVersion":1,"values":{"a":"x"},"errors":7}"#,
                Some(vec![None]),
            ),
            (r#"{"protocolVersion":2,"values":{"a":"x"}}"#, None),
            (r#"{"protocolVersion":1,"values":[]}"#, None),
            (r#"{"protocolVersion":1}"#, None),
            ("sk-FAKE", None),
            ("", None),
        ] {
            assert_eq!(of(answer, false), wanted, "{answer}");
        }
    }

    #[test]
    fn a_program_that_may_answers_with_the_bare_value() {
        assert_eq!(of("sk-FAKE\n", true), Some(vec![None]));
        assert_eq!(of("\"sk-FAKE\"", true), Some(vec![None]));
        assert_eq!(of("\"\"", true), Some(vec![Some("EMPTY".to_owned())]));
        assert_eq!(of(" \n", true), None);
        assert_eq!(of("7", true), None, "OpenClaw takes no number");
        let ids = ["a".to_owned(), "b".to_owned()];
        assert_eq!(codes(b"sk-FAKE", &ids, true), None, "only for one id");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200), may_be_bare: bool) {
            let ids = ["a".to_owned(), "b".to_owned()];
            if let Some(found) = codes(&bytes, &ids, may_be_bare) {
                prop_assert_eq!(found.len(), 2);
            }
        }

        #[test]
        fn no_part_of_an_answer_is_repeated_but_a_code(value in "[a-z]{8}", code in "\\PC{0,20}") {
            let answer = serde_json::json!({
                "protocolVersion": 1,
                "values": {"a": value, "b": [value]},
                "errors": {"a": {"code": code, "message": value}},
            });
            let ids = ["a".to_owned(), "b".to_owned()];
            let found = codes(answer.to_string().as_bytes(), &ids, false).unwrap();
            for code in found.into_iter().flatten() {
                prop_assert!(is_word(&code) && !code.contains(&value));
            }
        }
    }
}
