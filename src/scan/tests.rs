//! What the search finds, and that it finds nothing else.

use super::report::Form;
use super::search::{Hits, Search, Source};
use super::shape::{Key, Shapes};
use super::*;
use crate::secret::{Alphabet, Secret};
use crate::vault::identity::{Identity, IdentityText};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

/// Bytes that come in pieces of any size.
struct Bytes<'b> {
    all: &'b [u8],
    at: usize,
    most: usize,
    begun: bool,
}

impl Source for Bytes<'_> {
    fn next_run(&mut self) -> io::Result<Option<u64>> {
        Ok((!std::mem::replace(&mut self.begun, true)).then_some(0))
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.most.min(buffer.len()).min(self.all.len() - self.at);
        buffer[..count].copy_from_slice(&self.all[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

fn needles<S: AsRef<str>>(values: &[S]) -> Needles {
    let secret = |value: &S| Secret::new(value.as_ref().as_bytes(), Alphabet::Text).unwrap();
    Needles::new(
        (0..)
            .zip(values)
            .map(|(n, v): (usize, _)| (format!("v{n}"), secret(v))),
    )
    .unwrap()
}

fn found_in(bytes: &[u8], needles: &Needles, vault: Option<VaultId>) -> Hits {
    let mut hits = Hits::default();
    let mut source = Bytes {
        all: bytes,
        at: 0,
        most: 777,
        begun: false,
    };
    let mut search = Search::with_piece(needles, Shapes::new(vault).unwrap(), 1);
    search.run(&mut source, &mut hits, &mut ()).unwrap();
    hits
}

fn found(text: &str, values: &[&str]) -> Vec<(usize, Form)> {
    let hits = found_in(text.as_bytes(), &needles(values), None);
    hits.values.keys().copied().collect()
}

// --- writers of the forms, each by its own rules ---

/// Every character of JSON that must be escaped, and `\u` where `odd` says so.
fn json(text: &str, mut odd: impl FnMut() -> bool) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '/' if odd() => out.push_str("\\/"),
            c if !c.is_ascii() || odd() => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out
}

fn url(text: &str, plus: bool, mut odd: impl FnMut() -> bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' if plus => out.push('+'),
            byte if byte.is_ascii_alphanumeric() && !odd() => out.push(char::from(byte)),
            byte if odd() => {
                let _ = write!(out, "%{byte:02x}");
            }
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn folded(text: &str, width: usize) -> String {
    let lines: Vec<&[u8]> = text.as_bytes().chunks(width).collect();
    String::from_utf8(lines.join(&b"\n"[..])).unwrap()
}

#[derive(Debug, Clone)]
enum Way {
    Plain,
    Base64 { before: String, url: bool },
    Folded { width: usize },
    Url { plus: bool },
    Json,
    JsonTwice,
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![
        Just(Way::Plain),
        ("[a-z:]{0,7}", any::<bool>()).prop_map(|(before, url)| Way::Base64 { before, url }),
        (4usize..77).prop_map(|width| Way::Folded { width }),
        any::<bool>().prop_map(|plus| Way::Url { plus }),
        Just(Way::Json),
        Just(Way::JsonTwice),
    ]
}

/// The value as that way writes it, and what it is to be called.
fn written(value: &str, way: &Way, seed: u64) -> (String, Form) {
    let mut state = seed | 1;
    let odd = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state >> 62 == 0
    };
    let called = |text: String, form| {
        let form = if text == value { Form::Plain } else { form };
        (text, form)
    };
    match way {
        Way::Plain => (value.to_owned(), Form::Plain),
        Way::Base64 { before, url } => {
            let all = format!("{before}{value}");
            let text = if *url {
                URL_SAFE_NO_PAD.encode(all)
            } else {
                STANDARD.encode(all)
            };
            (text, Form::Base64)
        }
        Way::Folded { width } => {
            let text = STANDARD.encode(value);
            // Only what lies between the first and the last letter that are the value's alone.
            let alone = value.len() * 8 / 6;
            let form = if alone > *width {
                Form::Folded
            } else {
                Form::Base64
            };
            (folded(&text, *width), form)
        }
        Way::Url { plus } => called(url(value, *plus, odd), Form::UrlEncoded),
        Way::Json => called(json(value, odd), Form::JsonEscaped),
        Way::JsonTwice => called(json(&json(value, odd), || false), Form::JsonEscaped),
    }
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[A-Za-z0-9][A-Za-z0-9_/+=-]{6,60}[A-Za-z0-9]",
        1 => "[A-Za-z0-9][ -~éÜ€🦀\n]{6,40}[A-Za-z0-9]",
        1 => "[A-Za-z0-9]{8}",
        1 => "[A-Za-z0-9]{200,400}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 3000 }))]
    #[test]
    fn what_is_planted_is_found_and_nothing_else(
        values in proptest::collection::btree_set(value(), 1..5),
        plants in proptest::collection::vec(
            (any::<prop::sample::Index>(), way(), any::<u64>(), proptest::collection::vec(any::<u8>(), 0..1500)),
            0..12,
        ),
    ) {
        let values: Vec<String> = values.into_iter().collect();
        // One that is part of another would be found in it as well.
        prop_assume!(values.iter().all(|a| values.iter().all(|b| a == b || !b.contains(a.as_str()))));
        let mut text = Vec::new();
        let mut expected: BTreeMap<(usize, Form), (u64, u64)> = BTreeMap::new();
        for (which, way, seed, filler) in &plants {
            let which = which.index(values.len());
            let (written, form) = written(&values[which], way, *seed);
            // `%30aa…` has the value `0aa…` in it as it is.
            prop_assume!(form == Form::Plain || !written.contains(&values[which]));
            text.extend_from_slice(filler);
            // Ends whatever escape the filler had begun, and is none itself.
            text.extend_from_slice(b" \x01=");
            let offset = text.len() as u64;
            text.extend_from_slice(written.as_bytes());
            text.extend_from_slice(b"; ");
            let entry = expected.entry((which, form)).or_insert((offset, 0));
            entry.1 += 1;
        }
        let hits = found_in(&text, &needles(&values), None);
        let counts = |hits: &BTreeMap<(usize, Form), (u64, u64)>| -> BTreeMap<(usize, Form), u64> {
            hits.iter().map(|(key, (_, count))| (*key, *count)).collect()
        };
        let seen: BTreeMap<_, _> = hits.values.iter().map(|(key, hit)| (*key, (hit.offset, hit.count))).collect();
        prop_assert_eq!(counts(&seen), counts(&expected));
        for (key, (offset, _)) in &seen {
            // What base64 puts before the value's own letters is not counted.
            let slack = if matches!(key.1, Form::Base64 | Form::Folded) { 12 } else { 0 };
            let from = expected[key].0;
            prop_assert!((from..=from + slack).contains(offset), "{:?} at {} for {}", key, offset, from);
        }
        prop_assert!(hits.masks.is_empty());
        prop_assert!(hits.keys.is_empty());
    }

    #[test]
    fn no_text_breaks_the_search(text in proptest::collection::vec(any::<u8>(), 0..5000)) {
        let hits = found_in(&text, &needles(&["FAKE-0123456789"]), None);
        prop_assert!(hits.is_empty());
    }

    #[test]
    fn escapes_without_end_break_nothing(parts in proptest::collection::vec(
        prop_oneof![Just("\\"), Just("\\u00"), Just("%"), Just("%4"), Just("\\ud83d"), Just("\n"), Just("+"), Just("F"), Just("\\\n")],
        0..3000,
    )) {
        let text = parts.concat();
        let _ = found_in(text.as_bytes(), &needles(&["FAKE FAKE 0123"]), None);
    }
}

#[test]
fn every_offset_around_the_border_of_two_pieces() {
    let value = "FAKE-value/with+signs=and é 0123456789";
    let needles = needles(&[value]);
    // The least piece: 1,024 new bytes, or what the overlap is.
    for offset in (900..1_150).chain(2_000..2_200).chain(3_000..3_300) {
        for (written, form) in [
            (value.to_owned(), Form::Plain),
            (json(value, || true), Form::JsonEscaped),
            (url(value, true, || true), Form::UrlEncoded),
            (STANDARD.encode(value), Form::Base64),
            (folded(&STANDARD.encode(value), 10), Form::Folded),
        ] {
            let text = format!("{}{written}{}", ".".repeat(offset), ".".repeat(1_500));
            let hits = found_in(text.as_bytes(), &needles, None);
            let seen: Vec<_> = hits
                .values
                .iter()
                .map(|(key, hit)| (key.1, hit.count))
                .collect();
            assert_eq!(seen, [(form, 1)], "at {offset}");
        }
    }
}

#[test]
fn a_value_as_long_as_a_secret_may_be_is_found_in_each_form() {
    let value: String = (0..crate::secret::MAX_SECRET)
        .map(|n| {
            if n % 97 == 0 {
                '/'
            } else {
                char::from(b'a' + u8::try_from(n * n % 23).unwrap())
            }
        })
        .collect();
    let value = format!("F{}E", &value[2..]);
    let needles = needles(&[&value]);
    for (written, form) in [
        (value.clone(), Form::Plain),
        (json(&value, || true), Form::JsonEscaped),
        (url(&value, false, || true), Form::UrlEncoded),
        (folded(&STANDARD.encode(&value), 76), Form::Folded),
    ] {
        let text = format!("{}{written}", ".".repeat(600_000));
        let hits = found_in(text.as_bytes(), &needles, None);
        let seen: Vec<_> = hits.values.keys().map(|key| key.1).collect();
        assert_eq!(seen, [form]);
    }
}

#[test]
fn lines_are_counted_in_text_and_not_in_what_is_none() {
    let needles = needles(&["FAKE-0123456789"]);
    let line = |text: &str| {
        let hits = found_in(text.as_bytes(), &needles, None);
        hits.values.values().next().unwrap().line
    };
    assert_eq!(line("FAKE-0123456789"), Some(1));
    let many = "x\n".repeat(5_000);
    assert_eq!(line(&format!("{many}FAKE-0123456789")), Some(5_001));
    assert_eq!(line(&format!("{many}FAKE-0123456789\n\0")), Some(5_001));
    assert_eq!(line(&format!("\0{many}FAKE-0123456789")), None);
}

#[test]
fn one_value_under_two_names_is_one_and_short_ones_are_told() {
    let secret = |value: &str| Secret::new(value.as_bytes(), Alphabet::Text).unwrap();
    let values = [
        ("b", "FAKE-0123456789"),
        ("short", "FAKE-01"),
        ("a", "FAKE-0123456789\n"),
        ("s2", " 1234567 "),
    ];
    let needles =
        Needles::new(values.map(|(name, value)| (name.to_owned(), secret(value)))).unwrap();
    assert_eq!(needles.len(), 1);
    assert_eq!(needles.names(0), ["a", "b"]);
    assert_eq!(needles.too_short(), ["s2", "short"]);
}

#[test]
fn backslashes_at_a_border_do_not_turn_an_escape_round() {
    let value = "FAKE\"0123456789";
    for run in 1..40 {
        for offset in 1_000..1_060 {
            let text = format!(
                "{}{}FAKE\\\"0123456789 {}",
                ".".repeat(offset),
                "\\\\".repeat(run),
                ".".repeat(2_000)
            );
            assert_eq!(
                found(&text, &[value]),
                [(0, Form::JsonEscaped)],
                "{run} at {offset}"
            );
        }
    }
}

#[test]
fn masks_are_no_findings() {
    let value = "sk-FAKE-0123456789abcdefghijklmnop";
    let needles = needles(&[value]);
    for (text, shown) in [
        ("sk-FAKE-...ijklmnop", 16),
        ("key=sk-FAKE-…ijklmnop ", 16),
        ("sk-FAK...mnop", 10),
        ("{\"m\":\"sk-FAK\\u2026mnop\"}", 10),
    ] {
        let hits = found_in(text.as_bytes(), &needles, None);
        assert!(hits.values.is_empty() && hits.keys.is_empty(), "{text}");
        let seen: Vec<_> = hits.masks.keys().map(|key| key.1).collect();
        assert_eq!(seen, [shown], "{text}");
    }
}

/// As long as the provider's keys are.
fn fake_key(prefix: &str, length: usize) -> String {
    let rest = "FAKE0123456789abcdefghij".chars().cycle();
    prefix.chars().chain(rest).take(length).collect()
}

fn keys(text: &str, values: &[&str]) -> Vec<Key> {
    let hits = found_in(text.as_bytes(), &needles(values), None);
    hits.keys.into_keys().collect()
}

#[test]
fn keys_that_nobody_stored_are_known_by_their_shape() {
    for (prefix, length, provider) in [
        ("sk-ant-oat01-", 108, Some("anthropic")),
        ("sk-ant-api03-", 108, Some("anthropic")),
        ("sk-proj-", 164, Some("openai")),
        ("sk-or-v1-", 73, Some("openrouter")),
        ("gsk_", 56, Some("groq")),
        ("AIza", 39, Some("google")),
        ("hf_", 37, Some("huggingface")),
        ("ghp_", 40, Some("github-copilot")),
        ("sk-", 51, None),
    ] {
        let key = fake_key(prefix, length);
        let expected = Key::Provider {
            provider,
            length,
            starts: &prefix[..prefix.len().min(4)],
        };
        for text in [
            key.clone(),
            format!("{}{key}", "x ".repeat(512)),
            format!("{}\"{key}\"{}", ".".repeat(1_000), ".".repeat(3_000)),
            format!("A\\n{key}\\n"),
            format!("?k%3D{key}&"),
            format!("\\u0022{key}\\u0022"),
            format!("export K={key}\n"),
        ] {
            assert_eq!(keys(&text, &[]), std::slice::from_ref(&expected), "{text}");
        }
        // A stored one is found by its value, and once.
        assert!(keys(&format!("k={key} "), &[&key]).is_empty());
    }
}

#[test]
fn words_that_begin_like_keys_are_none() {
    for text in [
        "task-runner-0123456789abcdefghijklmnopqrstuvwxyz",
        "sk-ant-oat01-...",
        "sk-ant-oat01-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "fw_update_download_progress_0123456789",
        "hf_abcdefghijklmnopqrstuvwxyzabcdefghijkl",
        "sk-fake",
        "sk-0123456789abcdefghijklmnopqrstuvwxyz-with-more",
        "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ",
        "AGE-SECRET-KEY-1",
    ] {
        assert!(keys(text, &[]).is_empty(), "{text}");
    }
}

#[test]
fn an_identity_is_found_and_the_vaults_own_called_so() {
    let identity = Identity::generate();
    let vault = identity.vault_id();
    let text = IdentityText {
        identity,
        pins: Vec::new(),
    };
    let text = text.render();
    for (asked, of_this_vault) in [(Some(vault), true), (None, false)] {
        let hits = found_in(&text, &needles::<&str>(&[]), asked);
        let seen: Vec<Key> = hits.keys.into_keys().collect();
        assert_eq!(seen, [Key::Identity { of_this_vault }]);
    }
}

#[test]
fn many_values_are_all_found() {
    let values: Vec<String> = (0..10_000)
        .map(|n| format!("sk-FAKE-one-prefix-{n:05}-{}", n * 7919))
        .collect();
    let needles = needles(&values);
    let text = values
        .iter()
        .step_by(7)
        .fold(String::new(), |mut text, value| {
            text.push_str(value);
            text.push('\n');
            text
        });
    let hits = found_in(text.as_bytes(), &needles, None);
    assert_eq!(hits.values.len(), values.len().div_ceil(7));
}
