//! What a choice among profiles needs of auth-profiles.json and auth-state.json, without the files
//! themselves. Ring 2'; reads, and never keeps a value.
//!
//! Two ways lead here with one result: from a [`ProfilesFile`], which reads everything that OpenClaw reads;
//! and [`View::load`], which takes files in the form that OpenClaw and clawkeep write them in a sixth of the
//! time, entry by entry, and leaves every entry of another form to the first way.

use crate::error::Result;
use crate::expiry::Millis;
use crate::file::{self, Privacy};
use crate::openclaw::document::{MAX_FILE, wipe};
use crate::openclaw::order;
use crate::openclaw::profile;
use crate::openclaw::profiles::{self, Expires, Holds, Profile, ProfileKind, ProfilesFile, Usage};
use crate::openclaw::reference::SecretRef;
use crate::provider::{ProfileId, ProviderId};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// The profiles, orders and use of one agent.
#[derive(Debug, Clone, Default)]
pub struct View {
    pub(super) profiles: Vec<Profile>,
    /// References of other sources than `exec`, by profile.
    elsewhere: HashMap<String, (&'static str, String)>,
    /// `order`, and nothing else.
    root: Map<String, Value>,
    pub(super) usages: HashMap<String, Usage>,
}

impl View {
    /// What the file says.
    pub fn of(file: &ProfilesFile) -> Self {
        let profiles = file.profiles();
        let bare = profiles.iter().filter(|one| one.reference.is_none());
        let elsewhere = bare
            .filter_map(|one| Some((one.id.as_str().to_owned(), file.reference(&one.id)?)))
            .collect();
        let mut root = Map::new();
        file.copy_order(&mut root);
        View {
            elsewhere,
            root,
            usages: file.usages(),
            profiles,
        }
    }

    /// What the files say, the second one over the first, if both have the usual form; `None` when they have
    /// not, or the first is not there: [`ProfilesFile`] says then what they are.
    ///
    /// # Errors
    /// As [`file::read`].
    pub fn load(profiles: &Path, state: Option<&Path>) -> Result<Option<Self>> {
        let Some(bytes) = file::read(profiles, MAX_FILE, Privacy::Shared)? else {
            return Ok(None);
        };
        let state = match state {
            Some(path) => file::read(path, MAX_FILE, Privacy::Shared)?,
            None => None,
        };
        Ok(Self::parse(&bytes, state.as_ref().map(|state| &***state)))
    }

    fn parse(bytes: &[u8], state: Option<&[u8]>) -> Option<Self> {
        let top: Top<'_> = serde_json::from_slice(bytes).ok()?;
        let mut view = View::default();
        if let Some(order) = top.order {
            view.root
                .insert("order".to_owned(), serde_json::from_str(order.get()).ok()?);
        }
        view.read_profiles(&top.profiles?)?;
        view.read_usages(top.usage, false)?;
        if let Some(state) = state {
            let over: Top<'_> = serde_json::from_slice(state).ok()?;
            let mut order = Map::new();
            if let Some(said) = over.order {
                order.insert("order".to_owned(), serde_json::from_str(said.get()).ok()?);
            }
            order::lay_over(&mut view.root, &order);
            view.read_usages(over.usage, true)?;
        }
        Some(view)
    }

    fn read_profiles(&mut self, entries: &Entries<'_>) -> Option<()> {
        let mut seen = HashSet::with_capacity(entries.0.len());
        self.profiles.reserve(entries.0.len());
        let mut last: Option<(&str, ProviderId)> = None;
        for (id, raw) in &entries.0 {
            // Of two of one name the later counts, in the earlier's place.
            if !seen.insert(id.as_ref()) {
                return None;
            }
            if let Ok(plain) = serde_json::from_str::<Plain<'_>>(raw.get())
                && let Some(profile) = plain.profile(id, &mut last)
            {
                self.profiles.push(profile);
                continue;
            }
            let mut value: Value = serde_json::from_str(raw.get()).ok()?;
            if let Some(profile) = profile::read(id, &value) {
                if profile.reference.is_none()
                    && let Some(found) = profile::any_ref(&value)
                {
                    self.elsewhere.insert(id.clone().into_owned(), found);
                }
                self.profiles.push(profile);
            }
            wipe(&mut value);
        }
        Some(())
    }

    fn read_usages(&mut self, entries: Option<Entries<'_>>, not_empty: bool) -> Option<()> {
        for (id, raw) in entries.map(|entries| entries.0).unwrap_or_default() {
            let usage = match serde_json::from_str::<PlainUsage>(raw.get()) {
                Ok(plain) if raw.get().len() > 2 => plain.usage(),
                _ => {
                    let value: Value = serde_json::from_str(raw.get()).ok()?;
                    let Some(stats) = value.as_object() else {
                        continue;
                    };
                    if not_empty && stats.is_empty() {
                        continue;
                    }
                    profiles::usage(stats)
                }
            };
            self.usages.insert(id.trim().to_owned(), usage);
        }
        Some(())
    }

    /// The profiles, in the file's order.
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// The reference in the profile's value's place, whoever answers it: its source and its id. `None` for a
    /// value, and for nothing.
    pub fn reference(&self, profile: &Profile) -> Option<(&'static str, String)> {
        let exec = profile.reference.as_ref();
        exec.map(|one| ("exec", one.id.clone()))
            .or_else(|| self.elsewhere.get(profile.id.as_str()).cloned())
    }

    pub(super) fn order(&self, provider: &ProviderId) -> Option<Vec<ProfileId>> {
        order::get(&self.root, provider)
    }

    pub(super) fn ordered(&self) -> impl Iterator<Item = ProviderId> {
        order::providers(&self.root)
    }
}

/// What both files may have.
#[derive(serde::Deserialize)]
struct Top<'a> {
    #[serde(borrow, default)]
    profiles: Option<Entries<'a>>,
    #[serde(borrow, default)]
    order: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "usageStats")]
    usage: Option<Entries<'a>>,
}

/// The fields of an object, not read yet.
struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A key, borrowed where nothing in it is escaped.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> std::result::Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> std::result::Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Entries<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Key(key), raw)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    entries.push((key, raw));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A profile with a reference of source `exec` in its value's place, and nothing unusual.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Plain<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    provider: &'a str,
    #[serde(borrow, default)]
    key_ref: Option<PlainRef<'a>>,
    #[serde(borrow, default)]
    token_ref: Option<PlainRef<'a>>,
    #[serde(default, deserialize_with = "present")]
    expires: Option<i64>,
    #[serde(default, rename = "email")]
    _email: Option<IgnoredAny>,
    #[serde(default, rename = "displayName")]
    _display_name: Option<IgnoredAny>,
    #[serde(default, rename = "metadata")]
    _metadata: Option<IgnoredAny>,
    #[serde(default, rename = "copyToAgents")]
    _copy_to_agents: Option<IgnoredAny>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainRef<'a> {
    source: &'a str,
    provider: &'a str,
    id: &'a str,
}

/// A number that is there; `null` is none.
fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<i64>, D::Error> {
    i64::deserialize(deserializer).map(Some)
}

impl<'a> Plain<'a> {
    /// The profile; `None` when that takes a closer look. `last` is the provider of the
    /// entry before, which mostly is the same.
    fn profile(self, id: &str, last: &mut Option<(&'a str, ProviderId)>) -> Option<Profile> {
        let (kind, found) = match (self.kind, self.token_ref, self.key_ref) {
            ("token", Some(found), None) => (ProfileKind::Token, found),
            ("api_key", None, Some(found)) => (ProfileKind::ApiKey, found),
            _ => return None,
        };
        let is_said = |text: &str| !text.trim().is_empty();
        if found.source != "exec" || !is_said(found.provider) || !is_said(found.id) {
            return None;
        }
        let provider = match last {
            Some((name, provider)) if *name == self.provider => provider.clone(),
            _ => {
                let provider = ProviderId::parse(self.provider).ok()?;
                *last = Some((self.provider, provider.clone()));
                provider
            }
        };
        let id = ProfileId::parse(id)
            .ok()
            .filter(|parsed| parsed.as_str() == id)?;
        Some(Profile {
            id,
            provider,
            kind,
            reference: Some(SecretRef {
                provider: found.provider.to_owned(),
                id: found.id.to_owned(),
            }),
            plaintext: false,
            misplaced: None,
            holds: Holds::Credential,
            expires: match (kind, self.expires) {
                (ProfileKind::Token, Some(at)) => {
                    Millis::new(at).map_or(Expires::Invalid, Expires::At)
                }
                _ => Expires::Never,
            },
        })
    }
}

/// What OpenClaw notes of a profile that works.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PlainUsage {
    #[serde(default, deserialize_with = "present")]
    last_used: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    last_failure_at: Option<i64>,
    #[serde(default)]
    error_count: u64,
}

impl PlainUsage {
    fn usage(&self) -> Usage {
        Usage {
            last_used: self.last_used.and_then(Millis::new),
            last_failure: self.last_failure_at.and_then(Millis::new),
            errors: self.error_count,
            ..Usage::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openclaw::auth_state;
    use proptest::prelude::*;
    use serde_json::json;

    /// Both ways say the same of these two files, or the short one leaves it to the long one.
    fn agree(profiles: &str, state: &str) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth-profiles.json");
        file::create(&path, profiles.as_bytes(), 0o600).unwrap();
        file::create(&auth_state::beside(&path), state.as_bytes(), 0o600).unwrap();
        let Some(short) = View::load(&path, Some(&auth_state::beside(&path))).unwrap() else {
            return false;
        };
        let long = ProfilesFile::load(&path).unwrap().unwrap();
        let long = View::of(&auth_state::over(long, &auth_state::beside(&path)).unwrap());
        assert_eq!(short.profiles, long.profiles, "{profiles}");
        assert_eq!(short.elsewhere, long.elsewhere, "{profiles}");
        assert_eq!(short.usages, long.usages, "{profiles} {state}");
        let ordered: Vec<ProviderId> = long.ordered().collect();
        assert_eq!(short.ordered().collect::<Vec<_>>(), ordered);
        for provider in ordered {
            assert_eq!(
                short.order(&provider),
                long.order(&provider),
                "{profiles} {state}"
            );
        }
        true
    }

    #[test]
    fn the_usual_form_is_read_at_once_and_another_by_the_long_way() {
        let exec = |id: &str| json!({"source": "exec", "provider": "clawkeep", "id": id});
        let usual = json!({"version": 1, "profiles": {
            "a:1": {"type": "token", "provider": "a", "tokenRef": exec("a:1"), "expires": 1_795_000_000_000_i64},
            "a:2": {"type": "api_key", "provider": " A ", "keyRef": exec("a:2"), "expires": 7, "email": "x", "metadata": {"k": "v"}},
            "a:3": {"type": "token", "provider": "a", "tokenRef": exec("a:3"), "expires": -1},
            "a:4": {"type": "token", "provider": "a b", "tokenRef": exec("a:4")},
            " a:5": {"type": "token", "provider": "a", "tokenRef": exec("a:5")},
            "a:6": {"type": "token", "provider": "a", "tokenRef": exec("a:6"), "expires": null},
            "a:7": {"type": "token", "provider": "a", "tokenRef": exec(" ")},
            "a:8": {"mode": "api_key", "provider": "a", "key": "FAKE"},
            "a:9": {"type": "api_key", "provider": "a", "key": "${FAKE}"},
            "a:\u{e9}": {"type": "oauth", "provider": "a", "access": "FAKE"},
            "a:10": 7, "a:11": {"type": "token", "provider": "a", "tokenRef": exec("a:11"), "keyRef": exec("a:11")}},
            "order": {"a": ["a:1"], "b": 7}, "usageStats": {"a:1": {"lastUsed": 5}, "a:2": 7, "a:3": {}}});
        let state = json!({"version": 1, "order": {"a": ["a:2"]}, "usageStats": {
            "a:1 ": {"lastUsed": 9, "errorCount": 2}, "a:2": {}, "a:3": {"cooldownUntil": 8, "cooldownReason": "rate_limit"},
            "a:4": {"lastUsed": 1.5}, "a:5": {"lastUsed": null, "lastFailureAt": 0}}});
        assert!(agree(&usual.to_string(), &state.to_string()));
        for odd in [
            "{\"profiles\":{},\"profiles\":{}}",
            "{\"profiles\":{\"a:1\":{},\"a:1\":{}}}",
            "{\"profiles\":7}",
            "{}",
            "7",
            "{",
        ] {
            assert!(View::parse(odd.as_bytes(), None).is_none(), "{odd}");
        }
        assert!(View::parse(b"{\"profiles\":{}}", Some(b"{")).is_none());
    }

    proptest! {
        #[test]
        fn both_ways_say_the_same(
            entries in proptest::collection::vec(("[ab]:[1-4]", 0u8..14, "(token|api_key|oauth|odd)", -1i64..3), 0..8),
            stats in proptest::collection::vec(("[ab]:[1-4] ?", 0u8..6, 0i64..4), 0..6),
        ) {
            let mut profiles = Map::new();
            for (id, what, kind, number) in &entries {
                let reference = json!({"source": "exec", "provider": "clawkeep", "id": id});
                let mut entry = json!({"type": kind, "provider": &id[..1]});
                match what {
                    0 => entry["key"] = json!("FAKE"),
                    1 => entry["token"] = json!("$FAKE"),
                    2 => entry["keyRef"] = json!({"source": "env", "provider": "default", "id": "FAKE"}),
                    3 => entry["access"] = json!("FAKE"),
                    4 => entry["tokenRef"] = json!({"source": "exec", "provider": "other", "id": id}),
                    5 => entry["tokenRef"] = json!({"source": "exec", "id": id}),
                    6 => entry = json!(number),
                    7 => { entry["keyRef"] = reference.clone(); entry["key"] = json!("FAKE"); }
                    8 => entry["odd"] = json!([1]),
                    _ => entry[if kind == "token" { "tokenRef" } else { "keyRef" }] = reference,
                }
                if *number > 0 && entry.is_object() {
                    entry["expires"] = if *number == 2 { json!("soon") } else { json!(1_795_000_000_000_i64) };
                }
                profiles.insert(id.clone(), entry);
            }
            let mut usage = Map::new();
            for (id, what, number) in &stats {
                usage.insert(id.clone(), match what {
                    0 => json!({}),
                    1 => json!(number),
                    2 => json!({"cooldownUntil": number, "cooldownReason": "rate_limit"}),
                    3 => json!({"lastUsed": null, "errorCount": number}),
                    _ => json!({"lastUsed": number, "errorCount": 1}),
                });
            }
            let file = json!({"version": 1, "profiles": profiles, "usageStats": usage, "order": {"a": ["a:1", "a:2"]}});
            let state = json!({"version": 1, "usageStats": usage});
            prop_assert!(agree(&file.to_string(), &state.to_string()));
        }
    }
}
