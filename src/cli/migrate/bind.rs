//! The link that a migration makes: as `clawkeep link`, as if the values were in the vault already, and
//! with what is on its way out of OpenClaw's files out of its way. Ring 4; reads, changes nothing.

use crate::cli::app::App;
use crate::cli::args::Migrate;
use crate::cli::link;
use crate::cli::survey::Survey;
use crate::error::Result;
use crate::migrate::item::{At, Item, What};
use crate::migrate::plan::{self, Plan};
use crate::openclaw::link::{Held, Migrating, Plan as LinkPlan, RefKind, Wanted};
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::secret::SecretKind;
use crate::vault::undo::Planted;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A link that is about to be made.
pub(super) struct Bound {
    /// What it depends on.
    pub survey: Survey,
    /// What it will do.
    pub plan: LinkPlan,
    /// The program that OpenClaw will run.
    pub program: PathBuf,
    /// The orders of profiles before it.
    pub orders_before: BTreeMap<(AgentId, ProviderId), Vec<ProfileId>>,
}

/// Plans the link, and takes out of `plan` what it leaves as it is. `resumed`: what a migration that was
/// cut off was about to plant.
///
/// # Errors
/// As [`link::planned`].
pub(super) fn bind(
    app: &App,
    args: &Migrate,
    survey: &Survey,
    program: &Path,
    plan: &mut Plan,
    items: &[Item],
    resumed: Option<&[Planted]>,
) -> Result<Bound> {
    let further = Further {
        planted: resumed.unwrap_or_default().to_vec(),
        is_resumed: resumed.is_some(),
    };
    let mut first = planned(app, args, survey, program, plan, items, &further)?;
    if !first.plan.refused.is_empty() {
        let refused: BTreeMap<ProviderId, String> = first
            .plan
            .refused
            .iter()
            .map(|refused| (refused.provider.clone(), refused.reason.clone()))
            .collect();
        plan::leave(plan, items, &refused);
        first = planned(app, args, survey, program, plan, items, &further)?;
    }
    let inherited = inherited(&first, plan, items);
    if inherited.is_empty() {
        return Ok(first);
    }
    let further = Further {
        planted: [further.planted, inherited].concat(),
        ..further
    };
    planned(app, args, survey, program, plan, items, &further)
}

/// What else is to be planted.
struct Further {
    /// Profiles that refer to main's value.
    planted: Vec<Planted>,
    /// Whether a migration was cut off: what it planted already is not what was there before.
    is_resumed: bool,
}

/// Profiles of the store that all agents have in common, for every other agent: a ref goes into one
/// agent's own store, and the others would lose the credential. A ref in openclaw.json is everybody's.
fn inherited(bound: &Bound, plan: &Plan, items: &[Item]) -> Vec<Planted> {
    let survey = &bound.survey;
    let agents = survey
        .places
        .every_agent(&survey.config)
        .unwrap_or_default();
    let mut all = Vec::new();
    for row in plan.rows.iter().filter(|row| row.fate.is_gone()) {
        let item = &items[row.item];
        let (
            At::Row { agent: None, .. },
            What::Profile {
                profile, provider, ..
            },
        ) = (&item.at, &item.what)
        else {
            continue;
        };
        if bound.plan.kinds.get(provider) != Some(&RefKind::Profiles) {
            continue;
        }
        for agent in agents.iter().filter(|agent| !agent.is_main()) {
            all.push(Planted {
                agent: agent.clone(),
                profile: profile.clone(),
                provider: provider.clone(),
            });
        }
    }
    all
}

fn planned(
    app: &App,
    args: &Migrate,
    survey: &Survey,
    program: &Path,
    plan: &Plan,
    items: &[Item],
    further: &Further,
) -> Result<Bound> {
    let orders_before = survey.orders.clone();
    let mut survey = survey.clone();
    adapt(&mut survey, plan, further.is_resumed);
    add(&mut survey, &further.planted);
    survey.set_orders(&args.how.order)?;
    let gateway_token = plan
        .rows
        .iter()
        .any(|row| row.fate.is_gone() && items[row.item].what == What::GatewayToken);
    let migrating = Migrating {
        provider_keys: plan.provider_keys.clone(),
        slots: plan.slots.clone(),
        removed: plan.removed.clone(),
        profiles: plan
            .profiles
            .iter()
            .map(|(agent, profile, provider)| Held {
                agent: agent.clone(),
                profile: profile.clone(),
                provider: provider.clone(),
            })
            .collect(),
        gateway_token,
    };
    let linked = link::planned(app, &survey, program, &args.how, &migrating)?;
    Ok(Bound {
        survey,
        plan: linked,
        program: program.to_owned(),
        orders_before,
    })
}

/// What the link would find if the values were in the vault already.
fn adapt(survey: &mut Survey, plan: &Plan, is_resumed: bool) {
    let is_migrated = |held: &Held| {
        let key = (
            held.agent.clone(),
            held.profile.clone(),
            held.provider.clone(),
        );
        plan.profiles.contains(&key)
    };
    let before = existing(survey);
    let (ours, foreign): (Vec<Held>, Vec<Held>) = survey.foreign.drain(..).partition(is_migrated);
    survey.foreign = foreign;
    survey.planted.extend(ours);
    let mut known: BTreeSet<_> = survey.wanted.iter().map(|one| one.id.clone()).collect();
    for secret in &plan.secrets {
        if let Some((agent, profile, provider)) = &secret.profile
            && known.insert(secret.id.clone())
        {
            survey.wanted.push(Wanted {
                agent: agent.clone(),
                profile: profile.clone(),
                provider: provider.clone(),
                kind: secret.kind,
                id: secret.id.clone(),
                expires: secret.expires.filter(|_| secret.kind == SecretKind::Token),
            });
        }
    }
    for (provider, keys) in &plan.orders {
        let key = (AgentId::main(), provider.clone());
        let explicit = survey.orders.get(&key).cloned();
        let mut before = before.get(provider).cloned().unwrap_or_default();
        if is_resumed {
            before.retain(|profile| !keys.contains(profile));
        }
        if let Some(order) = order(explicit, &before, keys) {
            survey.orders.insert(key, order);
        }
    }
}

/// Further agents whose profile refers to main's value.
fn add(survey: &mut Survey, further: &[Planted]) {
    let main = AgentId::main();
    for planted in further {
        let has =
            |wanted: &&Wanted| wanted.agent == planted.agent && wanted.profile == planted.profile;
        let own = Held {
            agent: planted.agent.clone(),
            profile: planted.profile.clone(),
            provider: planted.provider.clone(),
        };
        if survey.wanted.iter().any(|wanted| has(&wanted)) || survey.foreign.contains(&own) {
            continue;
        }
        let id = planted.profile.secret_id(&main);
        let of_main = survey.wanted.iter().find(|wanted| {
            wanted.id == id && wanted.agent == main && wanted.provider == planted.provider
        });
        if let Some(of_main) = of_main.cloned() {
            survey.wanted.push(Wanted {
                agent: planted.agent.clone(),
                ..of_main
            });
        }
    }
}

/// The profiles of agent `main` that OpenClaw has before, by provider, in its order.
fn existing(survey: &Survey) -> BTreeMap<ProviderId, Vec<ProfileId>> {
    let mut all: BTreeMap<ProviderId, Vec<ProfileId>> = BTreeMap::new();
    let held = survey.planted.iter().chain(&survey.foreign);
    for held in held.filter(|held| held.agent.is_main()) {
        all.entry(held.provider.clone())
            .or_default()
            .push(held.profile.clone());
    }
    all
}

/// OpenClaw tries profiles before variables: what it had stays in front of what variables gave. Several
/// profiles without an order are used in turn, and go on so; one alone comes before the keys.
fn order(
    explicit: Option<Vec<ProfileId>>,
    before: &[ProfileId],
    keys: &[ProfileId],
) -> Option<Vec<ProfileId>> {
    let is_new = |profile: &&ProfileId| !before.contains(profile);
    let first = match explicit {
        Some(order) => order,
        None if keys.iter().filter(is_new).count() == 0 => return None,
        None if before.len() > 1 && keys.len() < 2 => return None,
        None => before.to_vec(),
    };
    let mut seen: BTreeSet<ProfileId> = first.iter().cloned().collect();
    let further = keys
        .iter()
        .filter(|profile| seen.insert((*profile).clone()));
    let order: Vec<ProfileId> = first.iter().chain(further).cloned().collect();
    (order.len() > 1).then_some(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<ProfileId> {
        text.split_whitespace()
            .map(|id| ProfileId::parse(id).unwrap())
            .collect()
    }

    #[test]
    fn what_openclaw_had_comes_before_what_variables_gave() {
        for (explicit, before, keys, expected) in [
            (None, "", "a", None),
            (None, "", "a b", Some("a b")),
            (None, "w", "a", Some("w a")),
            (None, "v w", "a", None),
            (None, "v w", "a b", Some("v w a b")),
            (Some("w v"), "v w", "a", Some("w v a")),
            (None, "w", "w", None),
            (Some("b"), "b", "a b", Some("b a")),
        ] {
            let found = order(explicit.map(ids), &ids(before), &ids(keys));
            assert_eq!(found, expected.map(ids), "{explicit:?} {before} {keys}");
        }
    }
}
