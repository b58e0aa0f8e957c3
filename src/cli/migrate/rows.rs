//! What a bundle keeps of OpenClaw's databases: values, planted profiles, orders. Ring 4.
//!
//! Promise: what an earlier, cut off migration kept already stays as it was then.

use super::bind::Bound;
use super::listing::Listed;
use crate::error::Result;
use crate::migrate::item::{At, What};
use crate::migrate::plan::Plan;
use crate::openclaw::version::Lane;
use crate::vault::undo::{Bundle, Planted, WasOrder, WasValue};

/// What OpenClaw's database holds before, where profiles are in it.
pub(super) fn take_in(
    bundle: &mut Bundle,
    listed: &Listed,
    plan: &Plan,
    bound: &Bound,
) -> Result<()> {
    if bound.plan.lane != Lane::Plan {
        return Ok(());
    }
    for row in plan.rows.iter().filter(|row| row.fate.is_gone()) {
        let item = &listed.found.items[row.item];
        let (
            At::Row { .. },
            What::Profile {
                agent,
                profile,
                provider,
                kind,
                expires,
                ..
            },
            Some(id),
        ) = (&item.at, &item.what, row.ids.first())
        else {
            continue;
        };
        let is_it = |known: &WasValue| known.agent == *agent && known.profile == *profile;
        if !bundle.values.iter().any(is_it) {
            bundle.values.push(WasValue {
                agent: agent.clone(),
                profile: profile.clone(),
                provider: provider.clone(),
                kind: *kind,
                id: id.clone(),
                expires: *expires,
                value: listed.found.values.copy(&item.value)?,
            });
        }
    }
    for planted in &bound.plan.profile_refs {
        let held = &planted.held;
        let was_there = bound.survey.planted.contains(held) || bound.survey.foreign.contains(held);
        let new = Planted {
            agent: held.agent.clone(),
            profile: held.profile.clone(),
            provider: held.provider.clone(),
        };
        if !was_there && !bundle.planted.contains(&new) {
            bundle.planted.push(new);
        }
    }
    for order in &bound.plan.orders {
        let is_it =
            |known: &WasOrder| known.agent == order.agent && known.provider == order.provider;
        if !bundle.orders.iter().any(is_it) {
            let key = (order.agent.clone(), order.provider.clone());
            bundle.orders.push(WasOrder {
                agent: order.agent.clone(),
                provider: order.provider.clone(),
                before: bound.orders_before.get(&key).cloned(),
            });
        }
    }
    Ok(())
}
