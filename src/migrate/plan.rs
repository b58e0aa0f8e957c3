//! The plan: which values go into the vault under which names, and what becomes of each place. Ring 3;
//! pure, reads and writes no file.
//!
//! Promises:
//! - a value keeps the name that the vault has for it already, a profile keeps its id and its agent;
//! - where two sources want one name for different values nothing is chosen: [`Plan::conflicts`] has the
//!   candidates, and the plan is to be made again with a choice;
//! - no value is dropped: what loses its name to another gets one of its own, and what stands only in
//!   copies gets one as well;
//! - the same facts give the same plan.

use super::claims;
use super::digest::Digest;
use super::item::{At, Item, What};
use super::names::{self, Names};
use crate::expiry::Millis;
use crate::openclaw::reference::GATEWAY_TOKEN;
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::secret::{SecretId, SecretKind};
use std::collections::{BTreeMap, BTreeSet};

/// A profile or other secret that the vault has already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub id: SecretId,
    /// The profile that it is, with its provider.
    pub profile: Option<(AgentId, ProfileId, ProviderId)>,
    /// What it is there.
    pub kind: SecretKind,
    /// When it stops working.
    pub expires: Option<Millis>,
    /// What stands for its value.
    pub value: Digest,
}

/// What may be done with the file that a place is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// It is rewritten.
    Yes,
    /// It is rewritten later, when this was done (a clause).
    Later(String),
    /// It is not, for this reason (a clause).
    No(String),
}

/// All that a plan depends on.
pub struct Facts<'a> {
    /// What was found.
    pub items: &'a [Item],
    /// What may be done with each source.
    pub access: &'a [Access],
    /// How each source is called, for choices and names: `~/.openclaw/.env`.
    pub sources: &'a [String],
    /// What the vault has already.
    pub known: &'a [Known],
    /// Whether OpenClaw knows the provider, so that a profile of it is used.
    pub takes_profile: &'a dyn Fn(&ProviderId) -> bool,
    /// Whether OpenClaw's configuration names the provider.
    pub is_used: &'a dyn Fn(&ProviderId) -> bool,
    /// Why OpenClaw's files cannot hold references here; `None` when they can.
    pub no_refs: Option<&'a str>,
    /// Whether `gateway.auth.token` may be a reference; a reason otherwise.
    pub no_gateway_ref: Option<&'a str>,
    /// Variables that a person asked to be taken (`--take`).
    pub taken: &'a BTreeSet<String>,
    /// Variables that OpenClaw's files refer to where no reference of ours can stand, with the place.
    pub needed: &'a BTreeMap<String, String>,
    /// Sources or places that a person prefers, in that order.
    pub preferred: &'a [String],
}

/// What becomes of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// A reference takes its place.
    Referred,
    /// It goes.
    Removed,
    /// It goes, and only `clawkeep run` hands it out from then on.
    RemovedForRun,
    /// A mark takes its place.
    Overwritten,
    /// It stays as it is, for this reason (a clause).
    Stays(String),
    /// It can go later, when this was done (a clause).
    Waits(String),
    /// It is taken only when a person says so.
    Offered,
}

impl Fate {
    /// Whether the value is to be gone from there afterwards.
    pub fn is_gone(&self) -> bool {
        matches!(
            self,
            Fate::Referred | Fate::Removed | Fate::RemovedForRun | Fate::Overwritten
        )
    }

    /// The word for `--json`.
    pub fn word(&self) -> &'static str {
        match self {
            Fate::Referred => "reference",
            Fate::Removed => "removed",
            Fate::RemovedForRun => "removed-for-run",
            Fate::Overwritten => "overwritten",
            Fate::Stays(_) => "stays",
            Fate::Waits(_) => "waits",
            Fate::Offered => "offered",
        }
    }
}

/// A value that is to be in the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its name there.
    pub id: SecretId,
    /// Token, API key or other.
    pub kind: SecretKind,
    /// The profile that it is, with its provider.
    pub profile: Option<(AgentId, ProfileId, ProviderId)>,
    /// When it stops working.
    pub expires: Option<Millis>,
    /// What stands for the value.
    pub value: Digest,
    /// Whether the vault has exactly this already.
    pub is_there: bool,
}

/// One row of the table: an item and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which item.
    pub item: usize,
    /// Whose credential it is, where that is known.
    pub provider: Option<ProviderId>,
    /// The names that its value has in the vault.
    pub ids: Vec<SecretId>,
    /// What becomes of the place.
    pub fate: Fate,
}

/// Several values that want one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The name that they want.
    pub name: String,
    /// Each value with the places that hold it, as a person writes them.
    pub candidates: Vec<(Digest, Vec<String>)>,
}

/// What a migration will do.
#[derive(Debug, Default)]
pub struct Plan {
    /// One row for each item, in their order.
    pub rows: Vec<Row>,
    /// Values for the vault, by name.
    pub secrets: Vec<Secret>,
    /// Orders of profiles that variables gave, for agent `main`.
    pub orders: BTreeMap<ProviderId, Vec<ProfileId>>,
    /// Paths of openclaw.json that are to hold a reference, other than a provider's key and the
    /// gateway's token.
    pub slots: BTreeMap<Vec<String>, SecretId>,
    /// Paths of openclaw.json that go without a reference in their place.
    pub removed: BTreeSet<Vec<String>>,
    /// The keys below `models.providers` whose plaintext is on its way into the vault.
    pub provider_keys: BTreeSet<String>,
    /// Plaintext profiles that are on their way into the vault.
    pub profiles: BTreeSet<(AgentId, ProfileId, ProviderId)>,
    /// What a person has to choose first. The rest of the plan is void while there are any.
    pub conflicts: Vec<Conflict>,
}

impl Plan {
    /// Whether anything is to be done.
    pub fn does_something(&self) -> bool {
        self.rows.iter().any(|row| row.fate.is_gone())
    }
}

/// Makes the plan.
pub fn plan(facts: &Facts<'_>) -> Plan {
    let mut names = Names::new(facts.known);
    let mut plan = Plan::default();
    let mut fates: Vec<Option<Fate>> = facts
        .items
        .iter()
        .map(|item| held_back(facts, item))
        .collect();
    let moving: Vec<usize> = (0..facts.items.len())
        .filter(|at| fates[*at].is_none())
        .collect();
    let orders = claims::profiles(facts, &moving, &mut names, &mut plan.conflicts);
    let gateway = SecretId::parse(GATEWAY_TOKEN).ok();
    let token = |item: &Item| gateway.clone().filter(|_| item.what == What::GatewayToken);
    claims::single(facts, &moving, token, &mut names, &mut plan.conflicts);
    let carried = |item: &Item| claims::carried(facts, item);
    claims::single(facts, &moving, carried, &mut names, &mut plan.conflicts);
    claims::slots(facts, &moving, &mut names, &mut plan.conflicts);
    claims::copies(facts, &moving, &mut names);
    if !plan.conflicts.is_empty() {
        return plan;
    }
    plan.orders = orders;
    for (at, item) in facts.items.iter().enumerate() {
        if fates[at].is_none() {
            fates[at] = Some(moved(facts, item, &names, &mut plan));
        }
    }
    plan.rows = facts
        .items
        .iter()
        .zip(fates)
        .enumerate()
        .map(|(at, (item, fate))| {
            let fate = fate.unwrap_or(Fate::Offered);
            Row {
                item: at,
                provider: provider_of(facts, item),
                ids: if fate.is_gone() {
                    names.ids_of(&item.value)
                } else {
                    Vec::new()
                },
                fate,
            }
        })
        .collect();
    plan.secrets = names.into_secrets();
    plan
}

/// The fate of an item whose value does not move; `None` for one that does.
fn held_back(facts: &Facts<'_>, item: &Item) -> Option<Fate> {
    if let What::Stays(reason) = &item.what {
        return Some(Fate::Stays(reason.clone()));
    }
    match &facts.access[item.source] {
        Access::Yes => {}
        Access::Later(when) => return Some(Fate::Waits(when.clone())),
        Access::No(reason) => return Some(Fate::Stays(reason.clone())),
    }
    if let (Some(reason), At::Json(_) | At::Row { .. }) = (facts.no_refs, &item.at) {
        return Some(Fate::Stays(reason.to_owned()));
    }
    if let (Some(reason), What::GatewayToken) = (facts.no_gateway_ref.or(facts.no_refs), &item.what)
    {
        return Some(Fate::Stays(reason.to_owned()));
    }
    let variable = item.variable()?;
    if let Some(place) = facts.needed.get(variable) {
        return Some(Fate::Stays(format!("{place} reads this variable")));
    }
    match &item.what {
        What::Carried if !facts.taken.contains(variable) => Some(Fate::Offered),
        What::Key(readers)
            if claims::owners(facts, readers).is_empty() && !facts.taken.contains(variable) =>
        {
            Some(Fate::Offered)
        }
        _ => None,
    }
}

/// What becomes of a place whose value moves.
fn moved(facts: &Facts<'_>, item: &Item, names: &Names, plan: &mut Plan) -> Fate {
    match &item.what {
        What::Profile {
            agent,
            profile,
            provider,
            is_stored: true,
            ..
        } => {
            plan.profiles
                .insert((agent.clone(), profile.clone(), provider.clone()));
            Fate::Referred
        }
        What::Profile { .. } => Fate::Removed,
        What::ProviderKey { key, .. } => {
            plan.provider_keys.insert(key.clone());
            Fate::Referred
        }
        What::GatewayToken if item.variable().is_none() => Fate::Referred,
        What::Slot(path) => match names.slot_id(path) {
            Some(id) => {
                plan.slots.insert(path.clone(), id);
                Fate::Referred
            }
            None => Fate::Stays("it has no name in the vault".to_owned()),
        },
        What::Key(readers)
            if facts.no_refs.is_some() || claims::owners(facts, readers).is_empty() =>
        {
            gone_from_config(item, plan);
            Fate::RemovedForRun
        }
        What::Key(_) | What::GatewayToken | What::Behind => {
            gone_from_config(item, plan);
            Fate::Removed
        }
        What::Carried => {
            gone_from_config(item, plan);
            Fate::RemovedForRun
        }
        What::Copied | What::CopiedLogin => match facts.no_refs {
            // What it is a copy of stays too.
            Some(reason) if names.ids_of(&item.value).is_empty() => Fate::Stays(reason.to_owned()),
            _ => Fate::Overwritten,
        },
        What::Stays(reason) => Fate::Stays(reason.clone()),
    }
}

fn gone_from_config(item: &Item, plan: &mut Plan) {
    if let super::item::At::Json(path) = &item.at {
        plan.removed.insert(path.clone());
    }
}

fn provider_of(facts: &Facts<'_>, item: &Item) -> Option<ProviderId> {
    match &item.what {
        What::Profile { provider, .. } | What::ProviderKey { provider, .. } => {
            Some(provider.clone())
        }
        What::Key(readers) => claims::owners(facts, readers)
            .first()
            .copied()
            .or(readers.first())
            .map(|reader| reader.provider.clone()),
        _ => None,
    }
}

/// Takes out of the plan what cannot be linked: the providers that a link leaves as they are.
pub fn leave(plan: &mut Plan, items: &[Item], refused: &BTreeMap<ProviderId, String>) {
    if refused.is_empty() {
        return;
    }
    let reason = |provider: &ProviderId| refused.get(provider).cloned();
    for row in &mut plan.rows {
        let why = row.provider.as_ref().and_then(reason);
        if let (Some(why), true) = (why, row.fate.is_gone()) {
            // A copy that nothing refers to can go all the same.
            if row.fate != Fate::Overwritten {
                row.fate = Fate::Stays(why);
                row.ids.clear();
            }
        }
    }
    let kept: BTreeSet<Digest> = plan
        .rows
        .iter()
        .filter(|row| row.fate.is_gone())
        .map(|row| items[row.item].value)
        .collect();
    plan.secrets.retain(|secret| {
        let left = secret
            .profile
            .as_ref()
            .is_some_and(|(.., provider)| refused.contains_key(provider));
        !left && kept.contains(&secret.value) || secret.is_there
    });
    let ids: BTreeSet<&SecretId> = plan.secrets.iter().map(|secret| &secret.id).collect();
    for row in &mut plan.rows {
        row.ids.retain(|id| ids.contains(id));
    }
    plan.profiles
        .retain(|(.., provider)| !refused.contains_key(provider));
    plan.orders
        .retain(|provider, _| !refused.contains_key(provider));
    plan.provider_keys.retain(|key| {
        ProviderId::parse(key).is_ok_and(|provider| !refused.contains_key(&provider))
    });
}

/// The name of a variable's value that only `clawkeep run` hands out.
pub fn carried_id(variable: &str) -> Option<SecretId> {
    names::fitted("env", variable)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
