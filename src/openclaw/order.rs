//! The order of a provider's profiles, `{"order": {"<provider>": ["<profile id>", …]}}`, which
//! auth-profiles.json and auth-state.json have alike. Ring 2'; pure.
//!
//! Source: OpenClaw 2026.6.1, `src/agents/auth-profiles/state.ts`: provider names are compared
//! trimmed and lower-cased, ids are trimmed, whatever is no list of texts counts as absent, and of
//! two spellings of one provider the later one counts.

use crate::openclaw::document::wipe;
use crate::provider::{ProfileId, ProviderId};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const ORDER: &str = "order";

/// An order and whose profiles it is of.
pub type Ordered = (ProviderId, Vec<ProfileId>);

/// The order stored for `provider`; `None` when there is none or it is empty.
pub(super) fn get(root: &Map<String, Value>, provider: &ProviderId) -> Option<Vec<ProfileId>> {
    root.get(ORDER)?
        .as_object()?
        .iter()
        .filter(|(key, _)| names(key, provider))
        .filter_map(|(_, list)| ids(list))
        .next_back()
}

/// The providers that have an order.
pub(super) fn providers(root: &Map<String, Value>) -> impl Iterator<Item = ProviderId> {
    root.get(ORDER)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(_, list)| ids(list).is_some())
        .filter_map(|(key, _)| ProviderId::parse(key).ok())
}

/// Every order, sorted by provider.
pub(super) fn all(root: &Map<String, Value>) -> Vec<Ordered> {
    let providers: BTreeSet<ProviderId> = providers(root).collect();
    providers
        .into_iter()
        .filter_map(|provider| {
            let ids = get(root, &provider)?;
            Some((provider, ids))
        })
        .collect()
}

/// Stores an order, each id once. An empty one is cleared.
pub(super) fn set(root: &mut Map<String, Value>, provider: &ProviderId, ids: &[ProfileId]) {
    if ids.is_empty() {
        clear(root, provider);
        return;
    }
    let mut list: Vec<Value> = Vec::with_capacity(ids.len());
    for id in ids {
        let id = Value::String(id.as_str().to_owned());
        if !list.contains(&id) {
            list.push(id);
        }
    }
    let order = root
        .entry(ORDER)
        .or_insert_with(|| Value::Object(Map::new()));
    if !order.is_object() {
        // OpenClaw reads nothing from it either.
        wipe(order);
        *order = Value::Object(Map::new());
    }
    let Some(order) = order.as_object_mut() else {
        return;
    };
    let key = order
        .keys()
        .find(|key| names(key, provider))
        .cloned()
        .unwrap_or_else(|| provider.as_str().to_owned());
    order.retain(|other, _| *other == key || !names(other, provider));
    order.insert(key, Value::Array(list));
}

/// Lays the orders of `over` over those of `root`, provider by provider. For reading.
pub(super) fn lay_over(root: &mut Map<String, Value>, over: &Map<String, Value>) {
    let Some(orders) = over.get(ORDER).and_then(Value::as_object) else {
        return;
    };
    for key in orders.keys() {
        if let Ok(provider) = ProviderId::parse(key)
            && let Some(order) = get(over, &provider)
        {
            set(root, &provider, &order);
        }
    }
}

/// Removes the order of `provider`. `false` when there was none.
pub(super) fn clear(root: &mut Map<String, Value>, provider: &ProviderId) -> bool {
    let Some(order) = root.get_mut(ORDER).and_then(Value::as_object_mut) else {
        return false;
    };
    let before = order.len();
    order.retain(|key, _| !names(key, provider));
    let cleared = order.len() < before;
    if cleared && order.is_empty() {
        root.shift_remove(ORDER);
    }
    cleared
}

/// Removes a profile from every order; an order that this empties goes with it.
pub(super) fn forget(root: &mut Map<String, Value>, id: &ProfileId) {
    let Some(order) = root.get_mut(ORDER).and_then(Value::as_object_mut) else {
        return;
    };
    let mut changed = false;
    order.retain(|_, list| {
        let Some(list) = list.as_array_mut() else {
            return true;
        };
        let before = list.len();
        list.retain(|entry| entry.as_str().map(str::trim) != Some(id.as_str()));
        let shorter = list.len() < before;
        changed |= shorter;
        !(shorter && list.is_empty())
    });
    if changed && order.is_empty() {
        root.shift_remove(ORDER);
    }
}

fn names(key: &str, provider: &ProviderId) -> bool {
    ProviderId::parse(key).is_ok_and(|key| key == *provider)
}

/// A list of ids; `None` for what is none, or an empty one.
pub(super) fn ids(list: &Value) -> Option<Vec<ProfileId>> {
    let ids: Vec<ProfileId> = list
        .as_array()?
        .iter()
        .filter_map(Value::as_str)
        .filter_map(|id| ProfileId::parse(id).ok())
        .collect();
    (!ids.is_empty()).then_some(ids)
}
