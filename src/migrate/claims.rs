//! Who wants which name: profiles their own, keys their provider's, paths and copies one of theirs.
//! Ring 3; pure.
//!
//! Where two values want one name and no choice of a person's is among them, that is a conflict; what
//! loses gets another name.

use super::digest::Digest;
use super::item::{At, Item, What};
use super::names::Names;
use super::plan::{Conflict, Facts, carried_id};
use super::variable::{Rank, Reader, kind_of};
use crate::expiry::Millis;
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::secret::{SecretId, SecretKind};
use std::collections::{BTreeMap, BTreeSet};

/// How the vault is called among the places that hold a value.
pub const VAULT: &str = "the vault";

/// Of the providers that read a variable those whose profile takes over from it: the ones that
/// OpenClaw's configuration names, else the likeliest owner. None where no profile is used.
pub fn owners<'r>(facts: &Facts<'_>, readers: &'r [Reader]) -> Vec<&'r Reader> {
    if facts.no_refs.is_some() {
        return readers.first().into_iter().collect();
    }
    let used: Vec<&Reader> = readers
        .iter()
        .filter(|reader| (facts.is_used)(&reader.provider))
        .collect();
    if !used.is_empty() {
        return used;
    }
    readers
        .iter()
        .find(|reader| (facts.takes_profile)(&reader.provider))
        .into_iter()
        .collect()
}

/// The values that want one name, with the places that hold them.
#[derive(Default)]
struct Wanting(Vec<(Digest, Vec<String>)>);

impl Wanting {
    fn add(&mut self, value: Digest, place: String) {
        match self.0.iter_mut().find(|(known, _)| *known == value) {
            Some((_, places)) => places.push(place),
            None => self.0.push((value, vec![place])),
        }
    }

    /// The one value, or the one that a person prefers.
    fn winner(&self, preferred: &[String]) -> Option<Digest> {
        if let [(only, _)] = self.0.as_slice() {
            return Some(*only);
        }
        preferred.iter().find_map(|wish| {
            let fits = |place: &String| {
                place == wish
                    || place
                        .strip_prefix(wish.as_str())
                        .is_some_and(|rest| rest.starts_with([':', ' ']))
            };
            let mut fitting = self.0.iter().filter(|(_, places)| places.iter().any(fits));
            match (fitting.next(), fitting.next()) {
                (Some((value, _)), None) => Some(*value),
                // A file that holds two of them chooses none.
                _ => None,
            }
        })
    }
}

/// How a place is called: in choices, and where one has to be named.
fn place(facts: &Facts<'_>, item: &Item) -> String {
    let source = &facts.sources[item.source];
    match &item.at {
        At::Assignment { line, name, .. } => format!("{source}:{line} {name}"),
        At::Json(path) => format!("{source} {}", path.join(".")),
        At::Row { profile, .. } => format!("{source} {profile}"),
    }
}

/// What a copy or a value that lost its name is called.
fn old_name(facts: &Facts<'_>, item: &Item) -> String {
    let source = &facts.sources[item.source];
    let file = source.rsplit('/').next().unwrap_or(source);
    match &item.at {
        At::Assignment { name, .. } => format!("{file}/{name}"),
        At::Json(path) => format!("{file}/{}", path.join(".")),
        At::Row { profile, .. } => format!("{file}/{profile}"),
    }
}

/// One key of a provider.
struct Key {
    rank: (u8, Option<Rank>),
    value: Digest,
    kind: SecretKind,
    item: usize,
}

/// A profile as a source has it.
struct Fixed {
    provider: ProviderId,
    kind: SecretKind,
    expires: Option<Millis>,
    value: Digest,
    item: usize,
}

/// Names for profiles and for keys of providers. Gives for each provider the profiles that its variables
/// name, in the order in which they are read.
pub fn profiles(
    facts: &Facts<'_>,
    moving: &[usize],
    names: &mut Names,
    conflicts: &mut Vec<Conflict>,
) -> BTreeMap<ProviderId, Vec<ProfileId>> {
    let mut fixed: BTreeMap<(AgentId, ProfileId), Vec<Fixed>> = BTreeMap::new();
    let mut keys: BTreeMap<ProviderId, Vec<Key>> = BTreeMap::new();
    for &at in moving {
        sort_in(facts, at, &mut fixed, &mut keys);
    }
    for keys in keys.values_mut() {
        keys.sort_by(|a, b| a.rank.cmp(&b.rank));
    }
    // First the profiles that have an id of their own, so that no key takes one of them.
    let main = AgentId::main();
    let is_default = |agent: &AgentId, profile: &ProfileId, provider: &ProviderId| {
        *agent == main && *profile == ProfileId::of(provider, "default")
    };
    let (defaults, others): (Vec<_>, Vec<_>) = fixed
        .into_iter()
        .partition(|((agent, profile), all)| is_default(agent, profile, &all[0].provider));
    for ((agent, profile), all) in others {
        own_profile(facts, (agent, profile), &all, names, conflicts);
    }
    let mut defaults: BTreeMap<ProviderId, Vec<Fixed>> = defaults
        .into_iter()
        .map(|(_, all)| (all[0].provider.clone(), all))
        .collect();
    let providers: BTreeSet<ProviderId> = defaults.keys().chain(keys.keys()).cloned().collect();
    let mut orders = BTreeMap::new();
    for provider in providers {
        let fixed = defaults.remove(&provider).unwrap_or_default();
        let keys = keys.remove(&provider).unwrap_or_default();
        let order = of_provider(facts, &provider, &fixed, &keys, names, conflicts);
        if !order.is_empty() {
            orders.insert(provider, order);
        }
    }
    orders
}

fn sort_in(
    facts: &Facts<'_>,
    at: usize,
    fixed: &mut BTreeMap<(AgentId, ProfileId), Vec<Fixed>>,
    keys: &mut BTreeMap<ProviderId, Vec<Key>>,
) {
    let item = &facts.items[at];
    if item.is_stale {
        return;
    }
    match &item.what {
        What::Profile {
            agent,
            profile,
            provider,
            kind,
            expires,
            ..
        } => fixed
            .entry((agent.clone(), profile.clone()))
            .or_default()
            .push(Fixed {
                provider: provider.clone(),
                kind: *kind,
                expires: *expires,
                value: item.value,
                item: at,
            }),
        What::Key(readers) => {
            for reader in owners(facts, readers) {
                keys.entry(reader.provider.clone()).or_default().push(Key {
                    rank: (0, Some(reader.rank.clone())),
                    value: item.value,
                    kind: kind_of(reader.holds, item.is_setup_token),
                    item: at,
                });
            }
        }
        What::ProviderKey { provider, .. } => {
            keys.entry(provider.clone()).or_default().push(Key {
                rank: (1, None),
                value: item.value,
                kind: kind_of(crate::provider::variables::Holds::Any, item.is_setup_token),
                item: at,
            });
        }
        _ => {}
    }
}

/// A profile that keeps its id.
fn own_profile(
    facts: &Facts<'_>,
    (agent, profile): (AgentId, ProfileId),
    all: &[Fixed],
    names: &mut Names,
    conflicts: &mut Vec<Conflict>,
) {
    let id = profile.secret_id(&agent);
    let mut wanting = Wanting::default();
    for fixed in all {
        wanting.add(fixed.value, place(facts, &facts.items[fixed.item]));
    }
    if let Some(held) = names.value_of(&id) {
        wanting.add(held, VAULT.to_owned());
    }
    let Some(value) = wanting.winner(facts.preferred) else {
        conflicts.push(Conflict {
            name: id.to_string(),
            candidates: wanting.0,
        });
        return;
    };
    if let Some(held) = names.value_of(&id).filter(|held| *held != value) {
        keep_old(names, id.as_str(), held);
    }
    for fixed in all {
        if fixed.value == value {
            let provider = fixed.provider.clone();
            let profile = (agent.clone(), profile.clone(), provider);
            names.assign(profile, fixed.kind, fixed.expires, value);
        } else {
            let item = &facts.items[fixed.item];
            keep_other(names, &old_name(facts, item), fixed.value);
        }
    }
}

/// A value that lost its name in the vault.
fn keep_old(names: &mut Names, name: &str, value: Digest) {
    if names.ids_of(&value).len() < 2
        && let Some(id) = names.free_name("old", name, &value)
    {
        names.put(id, None, SecretKind::Secret, None, value);
    }
}

/// A value that has no name otherwise.
fn keep_other(names: &mut Names, name: &str, value: Digest) {
    if names.ids_of(&value).is_empty() {
        if let Some(id) = names.free_name("old", name, &value) {
            names.put(id, None, SecretKind::Secret, None, value);
        }
    } else {
        names.touch(&value);
    }
}

/// All keys of one provider, and its profile `default` where a source has one.
fn of_provider(
    facts: &Facts<'_>,
    provider: &ProviderId,
    fixed: &[Fixed],
    keys: &[Key],
    names: &mut Names,
    conflicts: &mut Vec<Conflict>,
) -> Vec<ProfileId> {
    let main = AgentId::main();
    let default = ProfileId::of(provider, "default");
    let id = default.secret_id(&main);
    let held = names.value_of(&id);
    let has_name = |names: &Names, value: &Digest| names.profile_with(provider, value).is_some();
    let mut wanting = Wanting::default();
    for fixed in fixed {
        // What a choice gave another name before stays with it.
        if held.is_none_or(|held| held == fixed.value) || !has_name(names, &fixed.value) {
            wanting.add(fixed.value, place(facts, &facts.items[fixed.item]));
        }
    }
    for key in heads(keys, |value| has_name(names, value)) {
        wanting.add(key.value, place(facts, &facts.items[key.item]));
    }
    if let Some(held) = held.filter(|_| !wanting.0.is_empty()) {
        wanting.add(held, VAULT.to_owned());
    }
    if !wanting.0.is_empty() {
        let Some(value) = wanting.winner(facts.preferred) else {
            conflicts.push(Conflict {
                name: id.to_string(),
                candidates: wanting.0,
            });
            return Vec::new();
        };
        let displaced = held.filter(|held| *held != value);
        let of_fixed = fixed.iter().find(|fixed| fixed.value == value);
        let of_key = keys.iter().find(|key| key.value == value);
        let kind = of_fixed
            .map(|fixed| fixed.kind)
            .or(of_key.map(|key| key.kind))
            .unwrap_or(SecretKind::ApiKey);
        let expires = of_fixed.and_then(|fixed| fixed.expires);
        let profile = (main.clone(), default, provider.clone());
        let was = names.kind_of(&id);
        names.assign(profile, kind, expires, value);
        if let (Some(held), Some((kind, expires))) = (displaced, was)
            && !has_name(names, &held)
        {
            let further = names.free_profile(provider);
            let profile = (main.clone(), further, provider.clone());
            names.assign(profile, kind, expires, held);
        }
    }
    let fixed = fixed.iter().map(|one| (one.value, one.kind, one.expires));
    let further = keys.iter().map(|key| (key.value, key.kind, None));
    for (value, kind, expires) in fixed.chain(further) {
        if has_name(names, &value) {
            names.touch(&value);
            continue;
        }
        let profile = names.free_profile(provider);
        names.assign(
            (main.clone(), profile, provider.clone()),
            kind,
            expires,
            value,
        );
    }
    in_order(provider, keys, names)
}

/// The keys that are read first, of those that have no profile yet: none when the very first has one.
fn heads(keys: &[Key], has_name: impl Fn(&Digest) -> bool) -> Vec<&Key> {
    let Some(first) = keys.first().filter(|key| !has_name(&key.value)) else {
        return Vec::new();
    };
    // A variable of which there is one: two values of it disagree. So does the configuration's own key,
    // unless a variable has it too.
    let single = matches!(first.rank, (1, _) | (_, Some(Rank::Live | Rank::Table(_))));
    keys.iter()
        .enumerate()
        .filter(|(at, key)| {
            let disagrees = single && key.rank == first.rank;
            let config = key.rank.0 == 1 && {
                let is_same = |other: &Key| other.rank.0 == 0 && other.value == key.value;
                !keys.iter().any(is_same) && !has_name(&key.value)
            };
            *at == 0 || disagrees || config
        })
        .map(|(_, key)| key)
        .collect()
}

/// The profiles of the keys in the order in which they are read; the one that a person chose first.
fn in_order(provider: &ProviderId, keys: &[Key], names: &Names) -> Vec<ProfileId> {
    let default = ProfileId::of(provider, "default");
    let mut seen = BTreeSet::new();
    let mut order: Vec<ProfileId> = keys
        .iter()
        .filter(|key| seen.insert(key.value))
        .filter_map(|key| names.profile_with(provider, &key.value))
        .collect();
    if let Some(at) = order.iter().position(|profile| *profile == default) {
        order[..=at].rotate_right(1);
    }
    order
}

/// Names for what is one of its kind: the gateway's token, variables that were asked for.
pub fn single(
    facts: &Facts<'_>,
    moving: &[usize],
    name: impl Fn(&Item) -> Option<SecretId>,
    names: &mut Names,
    conflicts: &mut Vec<Conflict>,
) {
    let mut all: BTreeMap<SecretId, Vec<usize>> = BTreeMap::new();
    for &at in moving {
        let item = &facts.items[at];
        if let Some(id) = name(item).filter(|_| !item.is_stale) {
            all.entry(id).or_default().push(at);
        }
    }
    for (id, items) in all {
        let mut wanting = Wanting::default();
        for &at in &items {
            let item = &facts.items[at];
            wanting.add(item.value, place(facts, item));
        }
        if let Some(held) = names.value_of(&id) {
            wanting.add(held, VAULT.to_owned());
        }
        let Some(value) = wanting.winner(facts.preferred) else {
            conflicts.push(Conflict {
                name: id.to_string(),
                candidates: wanting.0,
            });
            continue;
        };
        if let Some(held) = names.value_of(&id).filter(|held| *held != value) {
            keep_old(names, id.as_str(), held);
        }
        names.put(id, None, SecretKind::Secret, None, value);
        for at in items {
            let item = &facts.items[at];
            keep_other(names, &old_name(facts, item), item.value);
        }
    }
}

/// What a variable that only a process carries is called.
pub fn carried(facts: &Facts<'_>, item: &Item) -> Option<SecretId> {
    let alone = match &item.what {
        What::Carried => true,
        What::Key(readers) => owners(facts, readers).is_empty(),
        _ => false,
    };
    carried_id(item.variable().filter(|_| alone)?)
}

/// Names for paths of openclaw.json: that of a key with the same value, else their own.
pub fn slots(
    facts: &Facts<'_>,
    moving: &[usize],
    names: &mut Names,
    conflicts: &mut Vec<Conflict>,
) {
    for &at in moving {
        let item = &facts.items[at];
        let What::Slot(path) = &item.what else {
            continue;
        };
        if let Some(id) = names.shared_id(&item.value) {
            names.touch(&item.value);
            names.set_slot(path, id);
            continue;
        }
        let Some(id) = super::names::fitted("config", &path.join(".")) else {
            continue;
        };
        single(facts, &[at], |_| Some(id.clone()), names, conflicts);
        // Also where the vault's value was preferred: the path refers to that one from now on.
        names.set_slot(path, id);
    }
}

/// Names for values that only copies hold, and for those that nobody reads.
pub fn copies(facts: &Facts<'_>, moving: &[usize], names: &mut Names) {
    let copied = |item: &Item| matches!(item.what, What::Copied | What::CopiedLogin);
    for &at in moving {
        let item = &facts.items[at];
        if item.is_stale || item.what == What::Behind {
            keep_other(names, &old_name(facts, item), item.value);
        }
    }
    let elsewhere: BTreeSet<Digest> = facts
        .items
        .iter()
        .filter(|item| !copied(item))
        .map(|item| item.value)
        .collect();
    for &at in moving {
        let item = &facts.items[at];
        match item.what {
            What::Copied if facts.no_refs.is_none() && !elsewhere.contains(&item.value) => {
                keep_other(names, &old_name(facts, item), item.value);
            }
            What::Copied => names.touch(&item.value),
            _ => {}
        }
    }
}
