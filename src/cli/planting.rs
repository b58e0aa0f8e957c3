//! What a link stores and writes besides openclaw.json: the gateway's token into the vault, profiles
//! and their order into the auth-profiles.json that is their home. Ring 4.

use super::app::App;
use super::opened::Opened;
use super::record;
use super::survey::Survey;
use crate::error::{Error, Result};
use crate::host;
use crate::openclaw::auth_state;
use crate::openclaw::link::{self, Applied, GatewayToken, Plan, RefKind, Watch};
use crate::openclaw::profiles::{self, ProfilesFile};
use crate::openclaw::reference::SecretRef;
use crate::openclaw::version::{Lane, OrderHome};
use crate::provider::{AgentId, ProviderId};
use crate::secret::{Secret, SecretId, SecretKind};
use crate::store::{Meta, Resolve, Store};
use std::collections::BTreeSet;

/// The gateway's token goes into the vault before anything refers to it.
#[allow(
    clippy::disallowed_methods,
    reason = "door: the gateway's token from OpenClaw's file into the vault"
)]
pub fn keep_gateway_token(
    app: &App,
    opened: &mut Opened,
    plan: &Plan,
    id: &SecretId,
) -> Result<()> {
    use secrecy::ExposeSecret;
    let (value, was_plaintext) = match &plan.gateway {
        GatewayToken::KeepInVault(value) => (Secret::stored(value.expose_secret())?, true),
        GatewayToken::Random | GatewayToken::AlreadyOurs => {
            if opened.get(id)?.is_some() {
                // Also when a link that was cut off made one.
                return Ok(());
            }
            if matches!(plan.gateway, GatewayToken::AlreadyOurs) {
                // The slot refers to a value that this vault does not have.
                app.ui
                    .say("The gateway's token was gone; a new random one is in the vault.");
            }
            (random_token()?, false)
        }
        GatewayToken::LeftAlone(_) => return Ok(()),
    };
    let now = app.host.now();
    let meta = match opened.get(id)? {
        Some((kept, meta)) if kept.same_as(&value) => {
            if meta.was_plaintext || !was_plaintext {
                return Ok(());
            }
            Meta {
                was_plaintext,
                ..meta
            }
        }
        _ => Meta {
            kind: SecretKind::Secret,
            provider: None,
            created: now,
            updated: now,
            expires: None,
            was_plaintext,
        },
    };
    opened.put(id, value, &meta)?;
    match opened.get(id)? {
        Some(_) => Ok(()),
        None => Err(Error::broken(
            "the vault did not keep the gateway's token; OpenClaw's files are untouched",
        )),
    }
}

/// 32 random bytes as hex: what OpenClaw itself makes.
fn random_token() -> Result<Secret> {
    let mut bytes = zeroize::Zeroizing::new([0u8; 32]);
    host::random(bytes.as_mut_slice())?;
    let text = zeroize::Zeroizing::new(crate::json::hex(bytes.as_slice()));
    Secret::stored(&text)
}

/// The vault's folder is the home of profiles, orders and expiry in the plan lane, and in the file
/// lane of providers with a ref in openclaw.json: the selection ids choose by it.
pub fn keep_own_profiles(app: &App, survey: &Survey, plan: &Plan) -> Result<()> {
    let is_own = |provider: &ProviderId| {
        plan.lane == Lane::Plan || plan.kinds.get(provider) == Some(&RefKind::Config)
    };
    let own = || {
        survey
            .wanted
            .iter()
            .filter(|wanted| is_own(&wanted.provider))
    };
    let agents: BTreeSet<&AgentId> = own().map(|wanted| &wanted.agent).collect();
    for agent in agents {
        let path = record::own_profiles_path(&app.dir, agent);
        profiles::edit(&path, &app.host, |file| {
            for wanted in own().filter(|wanted| wanted.agent == *agent) {
                file.set_ref(
                    &wanted.profile,
                    &wanted.provider,
                    wanted.kind,
                    &SecretRef::to(&wanted.id),
                    wanted.expires,
                )?;
            }
            for ((of, provider), ids) in &survey.orders {
                if of == agent && is_own(provider) {
                    file.set_order(provider, ids);
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// In the file lane OpenClaw's auth-profiles.json is the home: refs, `expires`, and order where this
/// version reads it.
pub fn write_profiles(
    app: &App,
    survey: &Survey,
    plan: &Plan,
    watch: &mut dyn Watch,
    mut done: Applied,
) -> Result<Applied> {
    let agents: BTreeSet<&AgentId> = plan
        .profile_refs
        .iter()
        .map(|planted| &planted.held.agent)
        .chain(plan.profile_removals.iter().map(|held| &held.agent))
        .chain(plan.orders.iter().map(|order| &order.agent))
        .collect();
    let order_home = survey.install.version().order_home();
    for agent in agents {
        let path = survey.places.auth_profiles(agent, Some(&survey.config));
        app.ui.say(&format!("writing {} …", path.display()));
        profiles::edit(&path, &app.host, |file| {
            watch.before_writing(&path);
            for planted in plan
                .profile_refs
                .iter()
                .filter(|planted| planted.held.agent == *agent)
            {
                let held = &planted.held;
                file.set_ref(
                    &held.profile,
                    &held.provider,
                    planted.kind,
                    &planted.reference,
                    planted.expires,
                )?;
            }
            for held in plan
                .profile_removals
                .iter()
                .filter(|held| held.agent == *agent)
            {
                file.remove(&held.profile);
            }
            if order_home == OrderHome::AuthProfiles {
                for order in plan.orders.iter().filter(|order| order.agent == *agent) {
                    file.set_order(&order.provider, &order.profiles);
                }
            }
            Ok(())
        })?;
        watch.written(&path, false);
        if order_home == OrderHome::AuthState {
            let state = survey.places.auth_state(agent, Some(&survey.config));
            watch.before_writing(&state);
            for order in plan.orders.iter().filter(|order| order.agent == *agent) {
                auth_state::set_order_in_state(
                    &state,
                    &order.provider,
                    Some(&order.profiles),
                    &app.host,
                )?;
            }
            watch.written(&state, false);
        }
        forget_own(app, agent, plan)?;
    }
    if plan.touches_profiles() {
        app.ui.say("asking OpenClaw to audit its files …");
        match link::audit(&survey.install) {
            Ok(audit) => done.audit = Some(audit),
            Err(error) => done.notes.push(error.message().to_owned()),
        }
    }
    Ok(done)
}

/// One home, not two: what OpenClaw's file holds now leaves the vault's folder.
fn forget_own(app: &App, agent: &AgentId, plan: &Plan) -> Result<()> {
    let path = record::own_profiles_path(&app.dir, agent);
    if ProfilesFile::load(&path)?.is_none() {
        return Ok(());
    }
    profiles::edit(&path, &app.host, |file| {
        for planted in plan
            .profile_refs
            .iter()
            .filter(|planted| planted.held.agent == *agent)
        {
            file.remove(&planted.held.profile);
        }
        Ok(())
    })
}
