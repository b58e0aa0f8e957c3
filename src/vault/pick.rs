//! One value out of a vault: the hot path of `resolve`. Ring 2.
//!
//! Promise: reads only what [`super::envelope`] has authenticated, and gives what the whole body
//! ([`super::body`]) would give for the wanted ids, without making the rest of it.

use super::body::{Entry, FORMAT, VERSION, WireEntry, malformed, newer};
use crate::error::{Error, Result};
use crate::secret::SecretId;
use memchr::{memchr, memchr2, memmem};
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use zeroize::Zeroizing;

/// What `resolve` takes out of a vault in one pass over line 1.
pub struct Picked {
    /// The generation of this state.
    pub generation: u64,
    /// The values that were asked for and are there.
    pub entries: BTreeMap<SecretId, Entry>,
}

/// Reads the head and only the `wanted` values: among ten thousand, one is copied out.
///
/// # Errors
/// `Broken`, by column, when it is no vault of a version that is known.
pub(super) fn pick(line: &[u8], wanted: &BTreeSet<SecretId>) -> Result<Picked> {
    skim(line, wanted).map_or_else(|| parse(line, wanted), Ok)
}

/// [`pick`] for a line as [`Contents`](super::body::Contents) writes it: `secrets` last, no object or
/// list inside an entry, and `value` last in it. `None` for any other line, and for whatever is wrong
/// with a line: [`parse`] reads it or says why not.
///
/// In a large vault nearly everything is passed over. Here that is a search for a few bytes, which
/// takes 1.1 ms less than `serde_json` among 10,000 (of 8.4 ms for the whole process). It is no
/// guess: a quote inside a JSON string has a backslash before it, so `,"name":` is nothing but a key;
/// and it is a key of the object that we stand in, since none is opened or closed on the way to it.
fn skim(line: &[u8], wanted: &BTreeSet<SecretId>) -> Option<Picked> {
    let (generation, at) = head(line)?;
    let value = memmem::Finder::new(VALUE);
    let mut entries = BTreeMap::new();
    let mut rest = &line[at..];
    while !rest.starts_with(b"}") {
        let (id, entry) = next(rest, &value)?;
        let after = &rest[entry.end..];
        if let Some(id) = wanted.get(id) {
            entries.insert(id.clone(), Entry::read(&rest[entry]).ok()?);
        }
        rest = match after {
            [b',', more @ ..] if more.starts_with(b"\"") => more,
            [b'}', ..] => after,
            _ => return None,
        };
    }
    ends_well(rest).then_some(Picked {
        generation,
        entries,
    })
}

/// The generation that the head says, and where the first entry begins.
fn head(line: &[u8]) -> Option<(u64, usize)> {
    const SECRETS: &[u8] = br#","secrets":{"#;
    let at = memmem::find(line, SECRETS)?;
    // Holds the identity. That it is a whole object proves that `secrets` is a key of the outermost.
    let mut head = Zeroizing::new(Vec::with_capacity(at + 1));
    head.extend_from_slice(&line[..at]);
    head.push(b'}');
    let Picked { generation, .. } = parse(&head, &BTreeSet::new()).ok()?;
    Some((generation, at + SECRETS.len()))
}

/// The id that `text` begins with and where its entry stands.
fn next<'t>(text: &'t [u8], value: &memmem::Finder<'_>) -> Option<(&'t str, Range<usize>)> {
    let start = text.strip_prefix(b"\"")?;
    let (id, colon) = start.split_at_checked(memchr(b'"', start)?)?;
    let entry = colon.strip_prefix(b"\":")?;
    let len = entry_len(entry, value)?;
    let from = text.len() - entry.len();
    let id = std::str::from_utf8(id)
        .ok()
        .filter(|id| !id.contains('\\'))?;
    Some((id, from..from + len))
}

/// Whether nothing but the two closing braces and the padding is left.
fn ends_well(rest: &[u8]) -> bool {
    rest.strip_prefix(b"}}")
        .is_some_and(|padding| padding.iter().all(|b| *b == b' '))
}

/// Where each entry of a line stands, braces included, for a reader that keeps the line: the keeper.
/// `None` for a line that is not as [`Contents`](super::body::Contents) writes it.
pub(super) fn index(line: &[u8]) -> Option<BTreeMap<SecretId, Range<usize>>> {
    let (_, mut at) = head(line)?;
    let value = memmem::Finder::new(VALUE);
    let mut entries = BTreeMap::new();
    while line.get(at) != Some(&b'}') {
        let (id, entry) = next(line.get(at..)?, &value)?;
        entries.insert(SecretId::parse(id).ok()?, at + entry.start..at + entry.end);
        at += entry.end;
        match line.get(at..)? {
            [b',', b'"', ..] => at += 1,
            [b'}', ..] => {}
            _ => return None,
        }
    }
    ends_well(&line[at..]).then_some(entries)
}

/// The key of an entry's value, when it is not the first, and the quote that opens the value.
const VALUE: &[u8] = br#","value":""#;

/// The length of the entry that `text` begins with. `None` when there is none as we write it.
fn entry_len(text: &[u8], value: &memmem::Finder<'_>) -> Option<usize> {
    let at = value.find(text)?;
    let before = text[..at].strip_prefix(b"{")?;
    // Without a way out, so that it is compiled to vector instructions.
    let plain = before.iter().fold(true, |plain, b| {
        plain & !matches!(b, b'{' | b'}' | b'[' | b']' | b'\\')
    });
    if !plain {
        return None;
    }
    let mut end = at + VALUE.len();
    loop {
        end += memchr2(b'"', b'\\', text.get(end..)?)?;
        if text[end] == b'"' {
            break;
        }
        // A backslash and what it escapes.
        end += 2;
    }
    text[end..].starts_with(b"\"}").then_some(end + 2)
}

/// [`pick`] for any JSON of the format.
fn parse(line: &[u8], wanted: &BTreeSet<SecretId>) -> Result<Picked> {
    let mut deserializer = serde_json::Deserializer::from_slice(line);
    let seen = TopSeed { wanted }
        .deserialize(&mut deserializer)
        .map_err(|error| malformed(&error))?;
    deserializer.end().map_err(|error| malformed(&error))?;
    if seen.format.as_deref() != Some(FORMAT) {
        return Err(Error::broken("vault.age opens but does not hold a vault"));
    }
    match seen.version {
        Some(VERSION) => {}
        Some(version) => return Err(newer(version)),
        None => return Err(Error::broken("the vault's body says no version")),
    }
    let generation = seen
        .generation
        .ok_or_else(|| Error::broken("the vault's body says no generation"))?;
    let mut entries = BTreeMap::new();
    for (id, entry) in seen.secrets {
        entries.insert(id, entry.entry()?);
    }
    Ok(Picked {
        generation,
        entries,
    })
}

#[derive(Default)]
struct Seen {
    format: Option<String>,
    version: Option<u32>,
    generation: Option<u64>,
    secrets: Vec<(SecretId, WireEntry)>,
}

struct TopSeed<'w> {
    wanted: &'w BTreeSet<SecretId>,
}

impl<'de> DeserializeSeed<'de> for TopSeed<'_> {
    type Value = Seen;
    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Seen, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TopSeed<'_> {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vault")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Seen, A::Error> {
        let mut seen = Seen::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "format" => seen.format = Some(map.next_value()?),
                "version" => {
                    seen.version = Some(map.next_value()?);
                    // Another version may mean anything by the rest: read no further into it.
                    if seen.version != Some(VERSION) {
                        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                    }
                }
                "generation" => seen.generation = Some(map.next_value()?),
                "secrets" => {
                    seen.secrets = map.next_value_seed(SecretsSeed {
                        wanted: self.wanted,
                    })?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(seen)
    }
}

struct SecretsSeed<'w> {
    wanted: &'w BTreeSet<SecretId>,
}

impl<'de> DeserializeSeed<'de> for SecretsSeed<'_> {
    type Value = Vec<(SecretId, WireEntry)>;
    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for SecretsSeed<'_> {
    type Value = Vec<(SecretId, WireEntry)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of secrets")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match self.wanted.get(&*key) {
                Some(id) => found.push((id.clone(), map.next_value()?)),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    const HEAD: &str = r#"{"format":"clawkeep-vault","version":1,"vault_id":"x","generation":7"#;

    fn wanted(ids: &[&str]) -> BTreeSet<SecretId> {
        ids.iter().map(|id| SecretId::parse(id).unwrap()).collect()
    }

    fn entry(value: &str) -> String {
        let value = serde_json::to_string(value).unwrap();
        format!(
            r#"{{"kind":"token","provider":"anthropic","created":1,"updated":2,"expires":null,"value":{value}}}"#
        )
    }

    fn line(entries: &[(&str, String)]) -> String {
        let entries: Vec<String> = entries
            .iter()
            .map(|(id, entry)| format!("\"{id}\":{entry}"))
            .collect();
        format!("{HEAD},\"secrets\":{{{}}}}}   ", entries.join(","))
    }

    /// What was picked, comparable.
    #[allow(clippy::disallowed_methods, reason = "compares fake values")]
    fn shown(picked: &Picked) -> Vec<String> {
        let head = picked.generation.to_string();
        let entries = picked
            .entries
            .iter()
            .map(|(id, entry)| format!("{id} {:?} {}", entry.meta, entry.value.expose_secret()));
        std::iter::once(head).chain(entries).collect()
    }

    #[test]
    fn what_we_write_is_skimmed() {
        for ids in [&[][..], &["a"], &["b", "zz"], &["a", "b", "c"]] {
            let text = line(&[
                ("a", entry("fake-1")),
                ("b", entry("fake \" \\ ,\"value\":\" {}[] \n ü")),
                ("c", entry("fake\\")),
            ]);
            let skimmed = skim(text.as_bytes(), &wanted(ids)).expect("skimmed");
            let parsed = parse(text.as_bytes(), &wanted(ids)).unwrap();
            assert_eq!(shown(&skimmed), shown(&parsed));
            assert_eq!(
                skimmed.entries.len(),
                ids.iter().filter(|id| **id != "zz").count()
            );
        }
        assert!(skim(line(&[]).as_bytes(), &wanted(&["a"])).is_some());
    }

    #[test]
    fn what_a_newer_writer_may_add_is_parsed_and_never_mistaken() {
        let nested = r#"{"kind":"token","hosts":{"a":1,"value":"wrong"},"created":1,"updated":2,"value":"fake-1"}"#;
        let after = r#"{"kind":"token","created":1,"updated":2,"value":"fake-1","later":{"value":"wrong"}}"#;
        let first = r#"{"value":"fake-1","kind":"token","created":1,"updated":2,"value2":"wrong"}"#;
        let none = r#"{"kind":"token","created":1,"updated":2}"#;
        let inner = format!(
            r#"{HEAD},"old":{{"x":1,"secrets":{{"a":{}}}}},"secrets":{{"a":{}}}}}"#,
            entry("wrong"),
            entry("fake-1")
        );
        let other = [
            line(&[("a", nested.to_owned())]),
            line(&[("a", after.to_owned())]),
            line(&[("a", first.to_owned())]),
            line(&[("b", none.to_owned()), ("a", entry("fake-1"))]),
            inner,
            line(&[("a", entry("fake-1"))]).replace("}}   ", r#"},"x":{"value":"wrong"}}"#),
            line(&[("a", entry("fake-1"))]).replace(':', ": "),
        ];
        for text in other {
            assert!(skim(text.as_bytes(), &wanted(&["a"])).is_none(), "{text}");
            let picked = pick(text.as_bytes(), &wanted(&["a"])).map(|picked| shown(&picked));
            match picked {
                Ok(picked) => assert!(picked[1].ends_with(" fake-1"), "{text}"),
                Err(_) => assert!(text.contains(none), "{text}"),
            }
        }
    }

    proptest! {
        #[test]
        fn skimming_and_parsing_agree(
            values in proptest::collection::vec("[\"\\\\{}\\[\\],:a-z\n ]{1,24}|,\"value\":\"x", 0..6),
            cuts in proptest::collection::vec((any::<proptest::sample::Index>(), 0usize..24, 0usize..9), 0..3),
        ) {
            let pieces = [
                "", "\"", "}", "{", ",\"value\":\"y\"", "\\", ",\"secrets\":{", ",\"n\":{\"value\":\"z\"}", " ",
            ];
            let entries: Vec<(String, String)> = values
                .iter()
                .enumerate()
                .map(|(n, value)| (format!("id{n}"), entry(value)))
                .collect();
            let entries: Vec<(&str, String)> =
                entries.iter().map(|(id, entry)| (id.as_str(), entry.clone())).collect();
            let mut text = line(&entries);
            let whole = skim(text.as_bytes(), &wanted(&["id1", "id3"]));
            prop_assert!(whole.is_some());
            for (at, len, piece) in cuts {
                let at = at.index(text.len());
                let end = (at + len / 8).min(text.len());
                if text.is_char_boundary(at) && text.is_char_boundary(end) {
                    text.replace_range(at..end, pieces[piece]);
                }
            }
            let ids = wanted(&["id1", "id3"]);
            if let (Some(skimmed), Ok(parsed)) = (skim(text.as_bytes(), &ids), parse(text.as_bytes(), &ids)) {
                prop_assert_eq!(shown(&skimmed), shown(&parsed));
            }
        }

        #[test]
        fn hostile_lines_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[{}\\[\\]\":,a-z0-9 ]{0,80}") {
            let _ = pick(&bytes, &wanted(&["a"]));
            let _ = pick(format!("{HEAD},\"secrets\":{{{text}").as_bytes(), &wanted(&["a"]));
            let _ = pick(format!("{HEAD},\"secrets\":{{\"a\":{{{text},\"value\":\"{text}").as_bytes(), &wanted(&["a"]));
        }
    }
}
