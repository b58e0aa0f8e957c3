//! auth-profiles.json: which profiles there are, the refs that stand for their values, their expiry
//! and order. Ring 2'; knows the file, not who answers its refs.
//!
//! One schema, two places: OpenClaw's own file up to 2026.6.1, and the file of the same name in the
//! vault's folder. Source: OpenClaw 2026.6.1, `src/agents/auth-profiles/{persisted,state,
//! usage-state}.ts`, and its documentation.
//!
//! Promises:
//! - reading takes what OpenClaw's loader takes and passes over the single entries that it passes
//!   over; a file that it would take for empty because it is broken is an
//!   error here, and so is the flat form of the seed era, which only `openclaw doctor --fix` turns;
//! - editing changes the named profile or order and nothing else; unknown fields, other profiles
//!   and the order of keys stay; an oauth profile is never changed or removed.

use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::host::Host;
use crate::openclaw::document::{Document, wipe};
use crate::openclaw::elsewhere::Reference;
use crate::openclaw::order;
use crate::openclaw::profile::{self, is_oauth, moment, with_ref};
pub use crate::openclaw::profile::{Expires, Holds, Profile, ProfileKind};
use crate::openclaw::reference::SecretRef;
use crate::provider::{ProfileId, ProviderId};
use crate::secret::SecretKind;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use zeroize::Zeroizing;

/// The file's name.
pub const FILE_NAME: &str = "auth-profiles.json";

const PROFILES: &str = "profiles";
const USAGE: &str = "usageStats";
/// The fields of a file that are not profiles of the flat form.
const STATE: [&str; 3] = ["order", "lastGood", USAGE];

/// What OpenClaw remembers of a profile's use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Rate limits: not before this moment (the later of `cooldownUntil` and `blockedUntil`).
    pub cooldown_until: Option<Millis>,
    /// Billing or a refused key: not before this moment.
    pub disabled_until: Option<Millis>,
    /// When it last worked.
    pub last_used: Option<Millis>,
    /// Why it cools, where that is one of OpenClaw's own words.
    pub cooldown_reason: Option<&'static str>,
    /// Why it is disabled, likewise.
    pub disabled_reason: Option<&'static str>,
    /// When a request with it last failed.
    pub last_failure: Option<Millis>,
    /// How many failed in a row.
    pub errors: u64,
}

/// What OpenClaw calls the ways in which a request fails (`AUTH_FAILURE_REASONS`), and why it waits for
/// a subscription (`AUTH_BLOCKED_REASONS`). Another word is passed over, there and here.
const FAILURES: [&str; 14] = [
    "auth",
    "auth_permanent",
    "format",
    "overloaded",
    "rate_limit",
    "billing",
    "timeout",
    "model_not_found",
    "session_expired",
    "empty_response",
    "no_error_details",
    "unclassified",
    "unknown",
    "subscription_limit",
];

/// The file.
pub struct ProfilesFile {
    document: Document,
}

impl ProfilesFile {
    /// A file without profiles.
    pub fn empty() -> Self {
        let mut root = Map::new();
        root.insert("version".to_owned(), Value::from(1));
        root.insert(PROFILES.to_owned(), Value::Object(Map::new()));
        ProfilesFile {
            document: Document::new(root),
        }
    }

    /// Reads the bytes of the file at `path`.
    ///
    /// # Errors
    /// `Broken` when they are larger than 8 MiB, no JSON, of the flat form, or have something else
    /// for `profiles` than an object.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        Self::of(Document::parse(bytes, path)?, path)
    }

    /// Reads the file at `path`; `None` when there is none.
    ///
    /// # Errors
    /// As [`ProfilesFile::parse`]; `Broken` too when it is a link or writable by others.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        Document::load(path)?
            .map(|document| Self::of(document, path))
            .transpose()
    }

    fn of(document: Document, path: &Path) -> Result<Self> {
        let said = path.display();
        let typed = crate::error::typed(path);
        match document.root.get(PROFILES) {
            Some(Value::Object(_)) => {}
            Some(_) => {
                return Err(Error::broken(format!("{said}: profiles is no JSON object"))
                    .hint(format!("mend it or put a backup in its place: {typed}")));
            }
            None => {
                let flat = |(key, value): (&String, &Value)| {
                    value.is_object() && !STATE.contains(&key.as_str())
                };
                if document.root.iter().any(flat) {
                    return Err(Error::broken(format!(
                        "{said} has the flat form of an old OpenClaw, which neither clawkeep nor a \
                         newer OpenClaw reads"
                    ))
                    .hint("openclaw doctor --fix"));
                }
            }
        }
        Ok(ProfilesFile { document })
    }

    /// The profiles that OpenClaw would read, in file order. An id or provider that clawkeep has no
    /// name for is left out, and left alone.
    pub fn profiles(&self) -> Vec<Profile> {
        self.entries()
            .filter_map(|(id, entry)| profile::read(id, entry))
            .collect()
    }

    /// The reference in the profile's value's place, whoever answers it. `None` for a value, and for nothing.
    pub fn reference(&self, id: &ProfileId) -> Option<Reference> {
        let entries = self.document.root.get(PROFILES)?.as_object()?;
        profile::any_ref(entries.get(id.as_str())?)
    }

    /// How many entries [`ProfilesFile::profiles`] leaves out.
    pub fn unreadable(&self) -> usize {
        self.entries()
            .filter(|(id, entry)| profile::read(id, entry).is_none())
            .count()
    }

    fn entries(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.document
            .root
            .get(PROFILES)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    }

    /// Puts a ref where the profile's value was, or makes the profile.
    ///
    /// A value in the clear goes; email, display name, metadata and whatever else is there stays.
    /// `expires` is replaced, and goes with `None`.
    ///
    /// # Errors
    /// `Failed` when the id belongs to an oauth profile. `Usage` for a `kind` that is no profile's,
    /// and for an API key that expires: OpenClaw knows no such thing and would drop it.
    pub fn set_ref(
        &mut self,
        id: &ProfileId,
        provider: &ProviderId,
        kind: SecretKind,
        reference: &SecretRef,
        expires: Option<Millis>,
    ) -> Result<()> {
        let field = match kind {
            SecretKind::Token => "tokenRef",
            SecretKind::ApiKey => "keyRef",
            SecretKind::Secret => {
                return Err(Error::usage("a profile holds a token or an API key"));
            }
        };
        if kind == SecretKind::ApiKey && expires.is_some() {
            return Err(
                Error::usage("OpenClaw keeps no expiry for API keys, only for tokens")
                    .hint("leave --expires-in away, or use models auth paste-token"),
            );
        }
        let entries = self
            .document
            .root
            .entry(PROFILES)
            .or_insert_with(|| Value::Object(Map::new()))
            .as_object_mut()
            .ok_or_else(|| Error::broken("profiles is no JSON object"))?;
        let mut old = entries
            .get_mut(id.as_str())
            .map(Value::take)
            .unwrap_or_default();
        if is_oauth(&old) {
            entries.insert(id.as_str().to_owned(), old);
            return Err(Error::failed(format!(
                "the profile {id} is an oauth login that OpenClaw renews itself; clawkeep leaves \
                 it as it is"
            ))
            .hint(format!("use another id: --profile-id {provider}:manual")));
        }
        let old = if let Some(fields) = old.as_object_mut() {
            std::mem::take(fields)
        } else {
            wipe(&mut old);
            Map::new()
        };
        let new = with_ref(old, provider, kind, field, reference, expires);
        // The key is still there where it was, so the entry keeps its place.
        entries.insert(id.as_str().to_owned(), Value::Object(new));
        Ok(())
    }

    /// Removes a profile and what `order`, `lastGood` and `usageStats` say of it. `false` when
    /// there is none of that id, or it is an oauth login, which then stays.
    pub fn remove(&mut self, id: &ProfileId) -> bool {
        let root = &mut self.document.root;
        let Some(entries) = root.get_mut(PROFILES).and_then(Value::as_object_mut) else {
            return false;
        };
        if entries.get(id.as_str()).is_some_and(is_oauth) {
            return false;
        }
        let Some(mut gone) = entries.shift_remove(id.as_str()) else {
            return false;
        };
        wipe(&mut gone);
        order::forget(root, id);
        forget_in(root, "lastGood", |_, last| {
            last.as_str().map(str::trim) == Some(id.as_str())
        });
        forget_in(root, USAGE, |key, _| key.trim() == id.as_str());
        true
    }

    /// The two files as one: entries that only `other` has are added, and its orders win. For
    /// reading; values in the clear are copied with their entries.
    #[must_use]
    pub fn joined(mut self, other: &Self) -> Self {
        let root = &mut self.document.root;
        let entries = root
            .entry(PROFILES)
            .or_insert_with(|| Value::Object(Map::new()));
        if let Some(entries) = entries.as_object_mut() {
            for (id, entry) in other.entries() {
                if !entries.contains_key(id) {
                    entries.insert(id.clone(), entry.clone());
                }
            }
        }
        for provider in other.profiles().into_iter().map(|profile| profile.provider) {
            if let Some(order) = other.order(&provider) {
                self.set_order(&provider, &order);
            }
        }
        self
    }

    /// The order stored for a provider; `None` when there is none.
    pub fn order(&self, provider: &ProviderId) -> Option<Vec<ProfileId>> {
        order::get(&self.document.root, provider)
    }

    /// Stores the order of a provider's profiles, each id once. An empty one is cleared.
    pub fn set_order(&mut self, provider: &ProviderId, ids: &[ProfileId]) {
        order::set(&mut self.document.root, provider, ids);
    }

    /// Removes the order of a provider. `false` when there was none.
    pub fn clear_order(&mut self, provider: &ProviderId) -> bool {
        order::clear(&mut self.document.root, provider)
    }

    /// The providers that have an order, in the file's order.
    pub fn ordered(&self) -> impl Iterator<Item = ProviderId> {
        order::providers(&self.document.root)
    }

    /// Every order, sorted by provider.
    pub fn orders(&self) -> Vec<order::Ordered> {
        order::all(&self.document.root)
    }

    /// Puts `order` as it stands here into another object.
    pub(super) fn copy_order(&self, into: &mut Map<String, Value>) {
        if let Some(order) = self.document.root.get("order") {
            into.insert("order".to_owned(), order.clone());
        }
    }

    /// What OpenClaw remembers of a profile's use. Nothing where it is not this file that it keeps
    /// that in (from 2026.4.7).
    pub fn usage(&self, id: &ProfileId) -> Usage {
        let mut of = self.stats().filter(|(key, _)| *key == id.as_str());
        of.next_back()
            .map(|(_, stats)| usage(stats))
            .unwrap_or_default()
    }

    /// The same of all profiles, by their ids.
    pub fn usages(&self) -> HashMap<String, Usage> {
        self.stats()
            .map(|(id, stats)| (id.to_owned(), usage(stats)))
            .collect()
    }

    /// A later entry counts more than an earlier one.
    fn stats(&self) -> impl DoubleEndedIterator<Item = (&str, &Map<String, Value>)> {
        self.document
            .root
            .get(USAGE)
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(Map::iter)
            .filter_map(|(id, stats)| Some((id.trim(), stats.as_object()?)))
    }

    /// This file with another one over it, as OpenClaw reads main's file under another agent's, and
    /// auth-profiles.json under auth-state.json: of each profile, of each provider's order and of each
    /// profile's use what `over` has counts. For reading, as [`ProfilesFile::joined`].
    #[must_use]
    pub fn under(mut self, over: &Self) -> Self {
        let root = &mut self.document.root;
        if let Some(entries) = object(root, PROFILES) {
            for (id, entry) in over.entries() {
                // One that OpenClaw does not read hides none.
                if profile::is_read(entry)
                    && let Some(mut hidden) = entries.insert(id.clone(), entry.clone())
                {
                    wipe(&mut hidden);
                }
            }
        }
        self.state_under(&over.document.root);
        self
    }

    /// The same with the content of an auth-state.json, which has no profiles.
    pub(super) fn state_under(&mut self, over: &Map<String, Value>) {
        let root = &mut self.document.root;
        order::lay_over(root, over);
        let Some(stats) = over.get(USAGE).and_then(Value::as_object) else {
            return;
        };
        let Some(below) = object(root, USAGE) else {
            return;
        };
        let says = |entry: &Value| entry.as_object().is_some_and(|entry| !entry.is_empty());
        let stats = stats.iter().filter(|(_, entry)| says(entry));
        let over: HashSet<&str> = stats.clone().map(|(id, _)| id.trim()).collect();
        below.retain(|other, _| !over.contains(other.trim()));
        for (id, entry) in stats {
            below.insert(id.clone(), entry.clone());
        }
    }

    /// The file's bytes, as OpenClaw lays them out.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        self.document.to_bytes()
    }
}

impl std::fmt::Debug for ProfilesFile {
    /// The file may hold tokens in the clear: only the number of entries is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProfilesFile")
            .field("entries", &self.entries().count())
            .finish_non_exhaustive()
    }
}

/// Changes the auth-profiles.json at `path`, which may not exist yet, under OpenClaw's own lock:
/// 0600, in a folder of 0700. Nothing is written when `f` fails or changes nothing. `f` is given
/// the file as it is under the lock and must be quick: older versions of OpenClaw break the lock
/// after 30 s.
///
/// # Errors
/// On any error the file is as it was.
pub fn edit<T>(
    path: &Path,
    host: &Host,
    f: impl FnOnce(&mut ProfilesFile) -> Result<T>,
) -> Result<T> {
    let empty = || ProfilesFile::empty().document;
    Document::edit(path, host, empty, |document| {
        let taken = std::mem::replace(document, Document::new(Map::new()));
        let mut file = ProfilesFile::of(taken, path)?;
        let done = f(&mut file)?;
        *document = file.document;
        Ok(done)
    })
}

pub(super) fn usage(stats: &Map<String, Value>) -> Usage {
    let at = |key: &str| moment(stats.get(key)?);
    let word = |key: &str| {
        let said = stats.get(key)?.as_str()?;
        FAILURES.into_iter().find(|known| *known == said)
    };
    let (cooldown, blocked) = (at("cooldownUntil"), at("blockedUntil"));
    Usage {
        cooldown_until: cooldown.max(blocked),
        disabled_until: at("disabledUntil"),
        last_used: at("lastUsed"),
        cooldown_reason: if blocked > cooldown {
            word("blockedReason")
        } else {
            word("cooldownReason")
        },
        disabled_reason: word("disabledReason"),
        last_failure: at("lastFailureAt"),
        errors: stats
            .get("errorCount")
            .and_then(Value::as_u64)
            .unwrap_or_default(),
    }
}

/// The object `field`, made where there is none; `None` when something else stands there.
fn object<'r>(root: &'r mut Map<String, Value>, field: &str) -> Option<&'r mut Map<String, Value>> {
    root.entry(field)
        .or_insert_with(|| Value::Object(Map::new()))
        .as_object_mut()
}

/// Removes what `forget` names from the object `field`; an object that this empties goes too.
fn forget_in(root: &mut Map<String, Value>, field: &str, forget: impl Fn(&str, &Value) -> bool) {
    let Some(map) = root.get_mut(field).and_then(Value::as_object_mut) else {
        return;
    };
    let before = map.len();
    map.retain(|key, value| !forget(key, value));
    if map.is_empty() && before > 0 {
        root.shift_remove(field);
    }
}

#[cfg(test)]
mod tests;
