//! The names that values have or get in the vault. Ring 3; pure.
//!
//! Promise: one name stands for one value, and a name that the vault has stays with its value until a
//! person chose otherwise.

use super::digest::Digest;
use super::plan::{Known, Secret};
use crate::expiry::Millis;
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::secret::{MAX_ID, SecretId, SecretKind};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// A profile with its agent and provider.
pub type Profile = (AgentId, ProfileId, ProviderId);

struct Entry {
    value: Digest,
    kind: SecretKind,
    profile: Option<Profile>,
    expires: Option<Millis>,
    /// Whether the vault has this value under this name.
    is_there: bool,
    /// Whether this run has to do with it.
    is_touched: bool,
}

/// Every name, and what stands for its value.
pub struct Names {
    entries: BTreeMap<SecretId, Entry>,
    by_value: BTreeMap<Digest, BTreeSet<SecretId>>,
    slots: BTreeMap<Vec<String>, SecretId>,
    /// From which number on a provider's further keys may be free.
    next: BTreeMap<ProviderId, u32>,
}

impl Names {
    /// The names that the vault has.
    pub fn new(known: &[Known]) -> Self {
        let mut names = Names {
            entries: BTreeMap::new(),
            by_value: BTreeMap::new(),
            slots: BTreeMap::new(),
            next: BTreeMap::new(),
        };
        for known in known {
            names.insert(
                known.id.clone(),
                Entry {
                    value: known.value,
                    kind: known.kind,
                    profile: known.profile.clone(),
                    expires: known.expires,
                    is_there: true,
                    is_touched: false,
                },
            );
        }
        names
    }

    fn insert(&mut self, id: SecretId, entry: Entry) {
        if let Some(old) = self.entries.get(&id)
            && let Some(ids) = self.by_value.get_mut(&old.value)
        {
            ids.remove(&id);
        }
        self.by_value
            .entry(entry.value)
            .or_default()
            .insert(id.clone());
        self.entries.insert(id, entry);
    }

    /// What stands for the value of a name.
    pub fn value_of(&self, id: &SecretId) -> Option<Digest> {
        self.entries.get(id).map(|entry| entry.value)
    }

    /// Every name of a value.
    pub fn ids_of(&self, value: &Digest) -> Vec<SecretId> {
        let ids = self.by_value.get(value);
        ids.into_iter().flatten().cloned().collect()
    }

    /// The profile of agent `main` that a provider has with this value.
    pub fn profile_with(&self, provider: &ProviderId, value: &Digest) -> Option<ProfileId> {
        let ids = self.by_value.get(value)?;
        ids.iter().find_map(|id| {
            let (agent, profile, of) = self.entries.get(id)?.profile.as_ref()?;
            (agent.is_main() && of == provider).then(|| profile.clone())
        })
    }

    /// The name of a value that a path of openclaw.json can refer to: a provider's key of agent `main`,
    /// or a secret that is no profile.
    pub fn shared_id(&self, value: &Digest) -> Option<SecretId> {
        let ids = self.by_value.get(value)?;
        let fits = |id: &&SecretId| {
            self.entries.get(*id).is_some_and(|entry| {
                entry
                    .profile
                    .as_ref()
                    .is_none_or(|(agent, ..)| agent.is_main())
            })
        };
        // A profile's name tells more than another's.
        let is_profile = |id: &&SecretId| {
            self.entries
                .get(*id)
                .is_some_and(|entry| entry.profile.is_some())
        };
        let mut all: Vec<&SecretId> = ids.iter().filter(fits).collect();
        all.sort_by_key(|id| (!is_profile(id), (*id).clone()));
        all.first().map(|id| (*id).clone())
    }

    /// Notes that this run has to do with a value's names.
    pub fn touch(&mut self, value: &Digest) {
        for id in self.ids_of(value) {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.is_touched = true;
            }
        }
    }

    /// What a name's value is, and when it stops working.
    pub fn kind_of(&self, id: &SecretId) -> Option<(SecretKind, Option<Millis>)> {
        self.entries
            .get(id)
            .map(|entry| (entry.kind, entry.expires))
    }

    /// Gives a profile its value.
    pub fn assign(
        &mut self,
        profile: Profile,
        kind: SecretKind,
        expires: Option<Millis>,
        value: Digest,
    ) {
        let id = profile.1.secret_id(&profile.0);
        self.put(id, Some(profile), kind, expires, value);
    }

    /// Gives a name its value.
    pub fn put(
        &mut self,
        id: SecretId,
        profile: Option<Profile>,
        kind: SecretKind,
        expires: Option<Millis>,
        value: Digest,
    ) {
        if self.value_of(&id) == Some(value) {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.is_touched = true;
            }
            return;
        }
        self.insert(
            id,
            Entry {
                value,
                kind,
                profile,
                expires,
                is_there: false,
                is_touched: true,
            },
        );
    }

    /// `<provider>:default` where that is free, else `<provider>:key-2` and on.
    pub fn free_profile(&mut self, provider: &ProviderId) -> ProfileId {
        let main = AgentId::main();
        let is_free = |names: &Self, profile: &ProfileId| {
            !names.entries.contains_key(&profile.secret_id(&main))
        };
        let default = ProfileId::of(provider, "default");
        if is_free(self, &default) {
            return default;
        }
        let mut number = self.next.get(provider).copied().unwrap_or(2);
        let profile = loop {
            let profile = ProfileId::of(provider, &format!("key-{number}"));
            number += 1;
            if is_free(self, &profile) {
                break profile;
            }
        };
        self.next.insert(provider.clone(), number);
        profile
    }

    /// A name below `prefix` that is free or has this value already.
    pub fn free_name(&self, prefix: &str, text: &str, value: &Digest) -> Option<SecretId> {
        let fits = |id: &SecretId| self.value_of(id).is_none_or(|held| held == *value);
        let first = fitted(prefix, text)?;
        if fits(&first) {
            return Some(first);
        }
        (2..1000)
            .filter_map(|number| fitted(prefix, &format!("{text}-{number}")))
            .find(fits)
    }

    /// Notes which name a path of openclaw.json refers to.
    pub fn set_slot(&mut self, path: &[String], id: SecretId) {
        self.slots.insert(path.to_vec(), id);
    }

    /// The name that a path refers to.
    pub fn slot_id(&self, path: &[String]) -> Option<SecretId> {
        self.slots.get(path).cloned()
    }

    /// What this run has to do with, by name.
    pub fn into_secrets(self) -> Vec<Secret> {
        self.entries
            .into_iter()
            .filter(|(_, entry)| entry.is_touched)
            .map(|(id, entry)| Secret {
                id,
                kind: entry.kind,
                profile: entry.profile,
                expires: entry.expires,
                value: entry.value,
                is_there: entry.is_there,
            })
            .collect()
    }
}

/// `prefix/text` in the grammar of ids. Where characters have to be replaced, or the text is too long,
/// eight hex digits of the SHA-256 of the whole keep two such names apart.
pub fn fitted(prefix: &str, text: &str) -> Option<SecretId> {
    let plain = format!("{prefix}/{text}");
    if let Ok(id) = SecretId::parse(&plain) {
        return Some(id);
    }
    let digest = Sha256::digest(plain.as_bytes());
    let tail = crate::json::hex(&digest[..4]);
    let mut safe: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._:/-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    safe.truncate(MAX_ID - prefix.len() - 16);
    let safe: Vec<&str> = safe
        .split('/')
        .map(|part| match part {
            "" | "." | ".." => "-",
            part => part,
        })
        .collect();
    SecretId::parse(&format!("{prefix}/{}-{tail}", safe.join("/"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_the_text_where_that_can_be_one() {
        let name = |text: &str| fitted("config", text).unwrap().to_string();
        assert_eq!(name("gateway.remote.token"), "config/gateway.remote.token");
        assert!(name("a b").starts_with("config/a-b-"));
        assert_ne!(name("a b"), name("a+b"));
        assert!(name("../x").starts_with("config/-/x-"));
    }

    proptest! {
        #[test]
        fn any_text_has_a_name(text in "\\PC{0,300}") {
            let id = fitted("old", &text).unwrap();
            prop_assert!(id.as_str().starts_with("old/"));
        }
    }
}
