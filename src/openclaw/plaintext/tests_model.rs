//! Replacements in generated files, in every spelling, against a model that knows values only.

use super::tests::{look, path};
use super::tests_replace::reference;
use super::*;
use crate::openclaw::config::MARKER;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Places of a configuration, credentials and others, for the model to fill.
const PLACES: [&[&str]; 18] = [
    &["env", "A_KEY"],
    &["env", "vars", "B"],
    &["env", "vars", "C"],
    &["gateway", "auth", "token"],
    &["gateway", "auth", "password"],
    &["models", "providers", "a.b", "apiKey"],
    &["models", "providers", "a.b", "headers", "Authorization"],
    &["models", "providers", "c d", "apiKey"],
    &["channels", "telegram", "accounts", "ü", "botToken"],
    &["channels", "irc", "password"],
    &["hooks", "token"],
    &["skills", "entries", "x", "apiKey"],
    &["plugins", "entries", "own", "config", "clientSecret"],
    &["gateway", "auth", "mode"],
    &["models", "providers", "a.b", "baseUrl"],
    &["session", "mainKey"],
    &["talk", "speed"],
    &["x", "y"],
];

fn insert(root: &mut Map<String, Value>, keys: &[&str], value: Value) {
    match keys {
        [] => {}
        [last] => {
            root.insert((*last).to_owned(), value);
        }
        [first, rest @ ..] => {
            let inner = root
                .entry(*first)
                .or_insert_with(|| Value::Object(Map::new()));
            if let Some(inner) = inner.as_object_mut() {
                insert(inner, rest, value);
            }
        }
    }
}

/// Spells a value as JSON, or as JSON5 with everything that a person may write.
struct Spelling {
    choices: Vec<u8>,
    at: usize,
    json5: bool,
    comments: usize,
    /// Those between a key and its value, which go with them.
    inner: Vec<usize>,
}

impl Spelling {
    fn new(choices: &[u8], json5: bool) -> Self {
        Spelling {
            choices: choices.to_vec(),
            at: 0,
            json5,
            comments: 0,
            inner: Vec::new(),
        }
    }
}

impl Spelling {
    fn choose(&mut self, of: u8) -> u8 {
        self.at += 1;
        self.choices[self.at % self.choices.len()]
            .wrapping_add(u8::try_from(self.at % 251).unwrap())
            % of
    }

    fn gap(&mut self, out: &mut String) {
        match self.choose(if self.json5 { 8 } else { 4 }) {
            1 => out.push(' '),
            2 => out.push_str("\n  "),
            3 => out.push('\t'),
            4 => {
                let _ = write!(out, "/* note-{} {{}},: */", self.comments);
                self.comments += 1;
            }
            5 => {
                let _ = writeln!(out, " // note-{} \"quoted\" }}", self.comments);
                self.comments += 1;
            }
            _ => {}
        }
    }

    fn string(&mut self, text: &str, out: &mut String) {
        if self.json5 && self.choose(2) == 1 && !text.contains(['\'', '\\', '\n', '\u{1}', '"']) {
            let _ = write!(out, "'{text}'");
        } else {
            out.push_str(&Value::from(text).to_string());
        }
    }

    fn value(&mut self, value: &Value, out: &mut String) {
        match value {
            Value::String(text) => self.string(text, out),
            Value::Object(map) => {
                out.push('{');
                for (index, (key, inner)) in map.iter().enumerate() {
                    self.gap(out);
                    let bare = key.bytes().all(|b| b.is_ascii_alphabetic());
                    if self.json5 && bare && self.choose(2) == 1 {
                        // The parser wants a blank between such a key and a comment.
                        out.push_str(key);
                        out.push(' ');
                    } else {
                        self.string(key, out);
                    }
                    let outside = self.comments;
                    self.gap(out);
                    out.push(':');
                    self.gap(out);
                    self.inner.extend(outside..self.comments);
                    self.value(inner, out);
                    self.comma(index + 1 == map.len(), out);
                }
                self.gap(out);
                out.push('}');
            }
            Value::Array(list) => {
                out.push('[');
                for (index, inner) in list.iter().enumerate() {
                    self.gap(out);
                    self.value(inner, out);
                    self.comma(index + 1 == list.len(), out);
                }
                self.gap(out);
                out.push(']');
            }
            plain => out.push_str(&plain.to_string()),
        }
    }

    fn comma(&mut self, last: bool, out: &mut String) {
        self.gap(out);
        if !last || self.json5 && self.choose(3) == 1 {
            out.push(',');
        }
    }
}

fn whole(text: &str) -> Value {
    let config = Config::parse(text.as_bytes(), Path::new("/x"))
        .unwrap_or_else(|error| panic!("{error}: {text}"));
    let keys = top(&config);
    Value::Object(
        keys.into_iter()
            .map(|key| {
                let value = config.get(&[&key]).unwrap();
                (key, value)
            })
            .collect(),
    )
}

/// The keys of the root, by the values below it.
fn top(config: &Config) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    config.leaves(|path, _| {
        if !keys.contains(&path[0]) {
            keys.push(path[0].clone());
        }
    });
    keys
}

fn model(before: &Value, at: &[String], replacement: &Replacement, under: Option<&str>) -> Value {
    let mut after = before.clone();
    let (last, above) = at.split_last().unwrap();
    let mut here = &mut after;
    for key in above {
        here = here.get_mut(key.as_str()).unwrap();
    }
    let fields = here.as_object_mut().unwrap();
    match replacement {
        Replacement::Ref(reference) => {
            if let Some(field) = under {
                fields.shift_remove(last);
                fields.insert(field.to_owned(), reference.to_value());
            } else {
                fields.insert(last.clone(), reference.to_value());
            }
        }
        Replacement::Marker => {
            fields.insert(last.clone(), Value::from(MARKER));
        }
        Replacement::Remove => {
            fields.shift_remove(last);
        }
    }
    after
}

fn chosen(found: &[Found], choices: &[u8]) -> Vec<(Vec<String>, Replacement)> {
    let pick = |index: usize| choices[index % choices.len()] % 4;
    found
        .iter()
        .enumerate()
        .filter_map(|(index, one)| {
            let replacement = match pick(index) {
                0 => Replacement::Ref(reference()),
                1 => Replacement::Marker,
                2 => Replacement::Remove,
                _ => return None,
            };
            Some((one.path.clone(), replacement))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_other_value_and_comment_of_a_configuration_stays(
        places in proptest::sample::subsequence(PLACES.to_vec(), 1..=PLACES.len()).prop_shuffle(),
        tails in proptest::collection::vec("[\\PC\n\"\\\\']{0,6}", PLACES.len()),
        choices in proptest::collection::vec(any::<u8>(), 1..60),
        json5 in any::<bool>(),
    ) {
        let mut root = Map::new();
        for (index, keys) in places.iter().enumerate() {
            let value = if keys.last() == Some(&"speed") {
                json!([1, null, {"deep": [true]}])
            } else {
                // No ref to a variable comes of the tail.
                Value::from(format!("FAKE{index}x{}q", tails[index].replace('$', "")))
            };
            insert(&mut root, keys, value);
        }
        let mut spelling = Spelling::new(&choices, json5);
        let mut text = String::new();
        spelling.gap(&mut text);
        spelling.value(&Value::Object(root.clone()), &mut text);
        spelling.gap(&mut text);
        let before = Value::Object(root);
        prop_assert_eq!(&whole(&text), &before);

        let found = look(Document::Config, &text).unwrap();
        for keys in places.iter().filter(|keys| super::takes_ref(&path(keys)) || keys[0] == "env") {
            prop_assert!(found.iter().any(|one| one.path == path(keys)), "{:?}", keys);
        }
        let what = chosen(&found, &choices);
        let after = replace(Document::Config, text.as_bytes(), Path::new("/x"), &what).unwrap();
        let after = std::str::from_utf8(&after).unwrap();
        let expected = what.iter().fold(before, |value, (at, replacement)| model(&value, at, replacement, None));
        prop_assert_eq!(&whole(after), &expected);
        for (at, _) in &what {
            let index = places.iter().position(|keys| path(keys) == *at).unwrap();
            prop_assert!(!after.contains(&format!("FAKE{index}x")), "{}", after);
        }
        let removes = what.iter().any(|(_, replacement)| *replacement == Replacement::Remove);
        for note in (0..spelling.comments).filter(|note| !removes || !spelling.inner.contains(note)) {
            prop_assert!(after.contains(&format!("note-{note} ")), "{}", after);
        }
        if what.is_empty() {
            prop_assert_eq!(after, text);
        }
    }

    #[test]
    fn every_other_value_of_a_profiles_file_stays(
        entries in proptest::collection::vec((0..6u8, "[a-z]{1,5}", "\\PC{0,5}"), 1..12),
        choices in proptest::collection::vec(any::<u8>(), 1..40),
    ) {
        let mut profiles = Map::new();
        for (index, (shape, name, tail)) in entries.iter().enumerate() {
            let value = format!("FAKE{index}x{}q", tail.replace('$', ""));
            let entry = match shape {
                0 => json!({"type": "api_key", "provider": name, "key": value, "email": "e"}),
                1 => json!({"mode": "token", "provider": name, "token": value, "expires": 5}),
                2 => json!({"type": "apiKey", "apiKey": value, "provider": name, "metadata": {"a": "b"}}),
                3 => json!({"type": "token", "provider": name, "tokenRef": reference().to_value(), "token": value}),
                4 => json!({"type": "oauth", "provider": name, "access": value, "expires": 1}),
                _ => json!({"type": "api_key", "provider": name, "keyRef": reference().to_value()}),
            };
            profiles.insert(format!("{name}:{index}"), entry);
        }
        let before = json!({"version": 1, "profiles": profiles, "order": {"a": ["b"]}});
        let mut spelling = Spelling::new(&choices, false);
        let mut text = String::new();
        spelling.value(&before, &mut text);

        let found = look(Document::Profiles, &text).unwrap();
        prop_assert_eq!(found.len(), entries.iter().filter(|(shape, ..)| *shape < 5).count());
        let what: Vec<_> = chosen(&found, &choices)
            .into_iter()
            .filter(|(at, replacement)| !matches!(replacement, Replacement::Ref(_)) || at[2] != "access")
            .collect();
        let after = replace(Document::Profiles, text.as_bytes(), Path::new("/x"), &what).unwrap();
        let after = std::str::from_utf8(&after).unwrap();
        let expected = what.iter().fold(before, |value, (at, replacement)| {
            let under = if at[2] == "token" { "tokenRef" } else { "keyRef" };
            model(&value, at, replacement, Some(under))
        });
        prop_assert_eq!(&serde_json::from_str::<Value>(after).unwrap(), &expected);
        for (at, _) in &what {
            let index = at[1].rsplit(':').next().unwrap();
            let gone = format!("FAKE{index}x");
            prop_assert!(!after.contains(&gone), "{}", after);
        }
    }
}
