//! What a choice among profiles needs of auth-profiles.json and auth-state.json, without the files
//! themselves. Ring 2'; reads, and never keeps a value.
//!
//! Two ways lead here with one result: from a [`ProfilesFile`], which reads everything that OpenClaw reads;
//! and [`View::load`], which takes files in the form that OpenClaw and clawkeep write them in a sixth of the
//! time. Where all of a file has that form it is passed over once; otherwise entry by entry, and every entry of
//! another form is left to the first way.

use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::file::{self, Privacy};
use crate::openclaw::document::{MAX_FILE, wipe};
use crate::openclaw::elsewhere::{Reference, Source};
use crate::openclaw::order;
use crate::openclaw::profile;
use crate::openclaw::profiles::{self, Expires, Holds, Profile, ProfileKind, ProfilesFile, Usage};
use crate::openclaw::reference::SecretRef;
use crate::provider::{ProfileId, ProviderId};
use crate::wipe::Wiped;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

/// The profiles, orders and use of one agent.
#[derive(Debug, Clone, Default)]
pub struct View {
    pub(super) profiles: Vec<Arc<Profile>>,
    /// Where each stands in `profiles`.
    by_id: HashMap<ProfileId, usize>,
    /// References of other sources than `exec`, by profile.
    elsewhere: HashMap<String, Reference>,
    /// `order`, and nothing else.
    root: Map<String, Value>,
    /// The use of each profile, in the same order.
    usages: Vec<Usage>,
    /// The use of what is no profile, by id.
    others: HashMap<String, Usage>,
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
        let mut view = View {
            elsewhere,
            root,
            ..View::default()
        };
        view.profiles.extend(profiles.into_iter().map(Arc::new));
        view.index();
        for (id, usage) in file.usages() {
            view.set_usage(&id, usage);
        }
        view
    }

    /// What the files say, the second one over the first, if both have the usual form; `None` when they have
    /// not, or the first is not there: [`ProfilesFile`] says then what they are.
    ///
    /// # Errors
    /// As [`file::open`]; `Failed` when one grows meanwhile.
    pub fn load(profiles: &Path, state: Option<&Path>) -> Result<Option<Self>> {
        let Some(bytes) = read(profiles)? else {
            return Ok(None);
        };
        let state = match state {
            Some(path) => read(path)?,
            None => None,
        };
        Ok(Self::parse(&bytes, state.as_deref()))
    }

    fn parse(bytes: &[u8], state: Option<&[u8]>) -> Option<Self> {
        // Once for all, so that no single text is looked at for it again.
        let text = std::str::from_utf8(bytes).ok()?;
        let mut view = match Self::parse_plain(text) {
            Some(view) => view,
            None => Self::parse_closely(text)?,
        };
        if let Some(state) = state {
            view.lay_over(std::str::from_utf8(state).ok()?)?;
        }
        Some(view)
    }

    /// In one pass. `None` when anything is unusual.
    fn parse_plain(text: &str) -> Option<Self> {
        let top: Top<'_, PlainProfiles, Entries<'_, PlainUsage>> =
            serde_json::from_str(text).ok()?;
        let mut view = View::default();
        view.read_order(top.order)?;
        view.profiles = top.profiles?.0;
        if view.index() != view.profiles.len() {
            return None;
        }
        for (id, usage) in top.usage.into_iter().flat_map(|entries| entries.0) {
            view.set_usage(&id, usage.usage());
        }
        Some(view)
    }

    fn parse_closely(text: &str) -> Option<Self> {
        let top: Top<'_, RawEntries<'_>, RawEntries<'_>> = serde_json::from_str(text).ok()?;
        let mut view = View::default();
        view.read_order(top.order)?;
        view.read_profiles(&top.profiles?)?;
        view.read_usages(top.usage, false)?;
        Some(view)
    }

    fn read_order(&mut self, order: Option<&RawValue>) -> Option<()> {
        if let Some(order) = order {
            let order = serde_json::from_str(order.get()).ok()?;
            self.root.insert("order".to_owned(), order);
        }
        Some(())
    }

    /// Lays auth-state.json over it.
    fn lay_over(&mut self, text: &str) -> Option<()> {
        let mut over = View::default();
        if let Ok(top) = serde_json::from_str::<Top<'_, IgnoredAny, Entries<'_, PlainUsage>>>(text)
        {
            over.read_order(top.order)?;
            let usages = top.usage.into_iter().flat_map(|entries| entries.0);
            for (id, usage) in usages.filter(|(_, usage)| !usage.is_empty()) {
                self.set_usage(&id, usage.usage());
            }
        } else {
            let top: Top<'_, IgnoredAny, RawEntries<'_>> = serde_json::from_str(text).ok()?;
            over.read_order(top.order)?;
            self.read_usages(top.usage, true)?;
        }
        order::lay_over(&mut self.root, &over.root);
        Some(())
    }

    fn read_profiles(&mut self, entries: &RawEntries<'_>) -> Option<()> {
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
                self.profiles.push(Arc::new(profile));
                continue;
            }
            let mut value: Value = serde_json::from_str(raw.get()).ok()?;
            if let Some(profile) = profile::read(id, &value) {
                if profile.reference.is_none()
                    && let Some(found) = profile::any_ref(&value)
                {
                    self.elsewhere.insert(id.clone().into_owned(), found);
                }
                self.profiles.push(Arc::new(profile));
            }
            wipe(&mut value);
        }
        self.index();
        Some(())
    }

    /// Notes where each profile stands, and makes room for its use. How many ids there are.
    fn index(&mut self) -> usize {
        self.by_id.reserve(self.profiles.len());
        let ids = self.profiles.iter().map(|profile| profile.id.clone());
        self.by_id.extend(ids.zip(0..));
        self.usages.resize(self.profiles.len(), Usage::default());
        self.by_id.len()
    }

    fn read_usages(&mut self, entries: Option<RawEntries<'_>>, not_empty: bool) -> Option<()> {
        for (id, raw) in entries.map(|entries| entries.0).unwrap_or_default() {
            let usage = match serde_json::from_str::<PlainUsage>(raw.get()) {
                Ok(plain) if !plain.is_empty() => plain.usage(),
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
            self.set_usage(&id, usage);
        }
        Some(())
    }

    fn set_usage(&mut self, id: &str, usage: Usage) {
        let id = id.trim();
        if let Some(of) = self.find(id).and_then(|at| self.usages.get_mut(at)) {
            *of = usage;
        } else {
            self.others.insert(id.to_owned(), usage);
        }
    }

    /// Where the profile stands in `profiles`.
    pub(super) fn find<I: std::hash::Hash + Eq + ?Sized>(&self, id: &I) -> Option<usize>
    where
        ProfileId: std::borrow::Borrow<I>,
    {
        self.by_id.get(id).copied()
    }

    /// The use of the id, whose profile stands there.
    pub(super) fn usage(&self, id: &ProfileId, at: Option<usize>) -> Usage {
        let found = match at {
            Some(at) => self.usages.get(at),
            None => self.others.get(id.as_str()),
        };
        found.copied().unwrap_or_default()
    }

    /// The profiles, in the file's order.
    pub fn profiles(&self) -> &[Arc<Profile>] {
        &self.profiles
    }

    /// The reference in the profile's value's place that somebody else than clawkeep answers. `None` for one
    /// of ours, for a value, and for nothing.
    pub fn elsewhere(&self, profile: &Profile) -> Option<Reference> {
        match &profile.reference {
            Some(ours) if ours.is_ours() => None,
            Some(other) => Some(Reference {
                source: Source::Exec,
                provider: Some(other.provider.clone()),
                id: other.id.clone(),
            }),
            None => self.elsewhere.get(profile.id.as_str()).cloned(),
        }
    }

    pub(super) fn order(&self, provider: &ProviderId) -> Option<Vec<ProfileId>> {
        order::get(&self.root, provider)
    }

    pub(super) fn ordered(&self) -> impl Iterator<Item = ProviderId> {
        order::providers(&self.root)
    }
}

/// A whole file, which may hold values: wiped in one fill.
fn read(path: &Path) -> Result<Option<Wiped>> {
    let Some((file, size)) = file::open(path, MAX_FILE, Privacy::Shared)? else {
        return Ok(None);
    };
    match Wiped::read(file, size).map_err(|error| Error::io("read", path, &error))? {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(
            Error::failed(format!("{} grew while it was read", path.display()))
                .hint("run the same command again"),
        ),
    }
}

/// What both files may have.
#[derive(serde::Deserialize)]
#[serde(bound(deserialize = "P: Deserialize<'de>, U: Deserialize<'de>"))]
struct Top<'a, P, U> {
    #[serde(default = "none")]
    profiles: Option<P>,
    #[serde(borrow, default)]
    order: Option<&'a RawValue>,
    #[serde(default = "none", rename = "usageStats")]
    usage: Option<U>,
}

fn none<T>() -> Option<T> {
    None
}

/// The fields of an object.
struct Entries<'a, T>(Vec<(Cow<'a, str>, T)>);

/// The same, not read yet.
type RawEntries<'a> = Entries<'a, &'a RawValue>;

/// Profiles that all have the usual form.
struct PlainProfiles(Vec<Arc<Profile>>);

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

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Entries<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Object<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = Entries<'de, T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, T>()? {
                    entries.push((key, value));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Object(PhantomData))
    }
}

impl<'de> Deserialize<'de> for PlainProfiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = PlainProfiles;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Self::Value, A::Error> {
                let mut profiles = Vec::new();
                let mut last = None;
                while let Some((Key(id), plain)) = map.next_entry::<Key<'de>, Plain<'de>>()? {
                    let Some(profile) = plain.profile(&id, &mut last) else {
                        return Err(serde::de::Error::custom("unusual"));
                    };
                    profiles.push(Arc::new(profile));
                }
                Ok(PlainProfiles(profiles))
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

/// The same of a number that counts.
fn present_count<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<u64>, D::Error> {
    u64::deserialize(deserializer).map(Some)
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
    #[serde(default, deserialize_with = "present_count")]
    error_count: Option<u64>,
}

impl PlainUsage {
    fn is_empty(&self) -> bool {
        self.last_used.is_none() && self.last_failure_at.is_none() && self.error_count.is_none()
    }

    fn usage(&self) -> Usage {
        Usage {
            last_used: self.last_used.and_then(Millis::new),
            last_failure: self.last_failure_at.and_then(Millis::new),
            errors: self.error_count.unwrap_or_default(),
            ..Usage::default()
        }
    }
}

#[cfg(test)]
mod tests;
