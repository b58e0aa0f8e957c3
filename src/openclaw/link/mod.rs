//! Connecting OpenClaw to a vault, and undoing it. Plans first, as data that can be shown; then
//! does what the plan says. Knows OpenClaw's files and commands; profiles come in and go out as
//! plain structs, values never (but the gateway's own token, on its way into the vault).
//!
//! Promises:
//! - one provider has refs of one kind: in `openclaw.json` or in its profiles, never both
//!   (OpenClaw's `REF_SHADOWED`);
//! - what is not ours is not changed: a provider whose place is taken is refused, and said;
//! - nothing is written before the plan is complete and OpenClaw's dry run has passed; the plan is
//!   void when `openclaw.json` changed in between.
//!
//! Which kind a version gets, and why: see [`crate::openclaw::version::Version`].

mod apply;
mod audit;
mod diff;
mod document;
mod gateway;
mod plan;
#[cfg(test)]
mod tests;
#[cfg(test)]
#[cfg(unix)]
mod tests_apply;
#[cfg(test)]
mod tests_parts;
mod unlink;
mod watch;

pub use apply::{Applied, apply, apply_unlink, audit, dry_run, forget_profiles, put_order};
pub use audit::{Audit, Finding};
pub use diff::{diff, diff_of_lines};
pub use document::{full_plan, profile_plan};
pub use gateway::GatewayToken;
pub(crate) use gateway::is_variable;
pub use gateway::token_stays;
pub use plan::{is_known_to_openclaw, plan};
pub use unlink::{Unlink, unlink};
pub use watch::Watch;

use super::config::Config;
use super::places::Places;
use super::reference::{SECRET_PROVIDER, SecretRef};
use super::version::{Lane, Version};
use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::secret::{SecretId, SecretKind};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How long OpenClaw waits for an answer: the least that suits a loaded machine and a keychain that
/// takes its time to say no. OpenClaw's own default is 5000 (and 2000 without output in 2026.2.26).
const TIMEOUT_MS: u32 = 15_000;

/// How much the resolver may answer: the most that OpenClaw takes, 20 MiB.
pub const MAX_OUTPUT_BYTES: u32 = 20 * 1024 * 1024;

/// A profile whose value is in the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The agent whose profile it is.
    pub agent: AgentId,
    /// The profile's id in OpenClaw.
    pub profile: ProfileId,
    /// Whose credential it is.
    pub provider: ProviderId,
    /// Token or API key; other secrets are no profiles and are passed over.
    pub kind: SecretKind,
    /// The name of its value.
    pub id: SecretId,
    /// When it stops working.
    pub expires: Option<Millis>,
}

/// A profile that stands in OpenClaw's own store now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// The agent in whose store it is.
    pub agent: AgentId,
    /// Its id.
    pub profile: ProfileId,
    /// Whose credential it is.
    pub provider: ProviderId,
}

/// All that a plan depends on.
pub struct Facts<'a> {
    /// The installed OpenClaw.
    pub version: &'a Version,
    /// Its folders.
    pub places: &'a Places,
    /// `openclaw.json` as it is, or [`Config::empty`].
    pub config: &'a Config,
    /// Profiles whose values are in the vault.
    pub wanted: &'a [Wanted],
    /// Profiles in OpenClaw's stores that hold our refs.
    pub planted: &'a [Held],
    /// Profiles in OpenClaw's stores that are not ours: plaintext, oauth, refs of others.
    pub foreign: &'a [Held],
    /// Those of `foreign` that are OAuth logins, which no ref can stand for.
    pub logins: &'a [Held],
    /// Explicit orders, by agent and provider.
    pub orders: &'a BTreeMap<(AgentId, ProviderId), Vec<ProfileId>>,
    /// The program that OpenClaw is to run.
    pub command: &'a Path,
    /// Its arguments; no secret among them.
    pub resolver_args: &'a [String],
    /// Variables that OpenClaw hands on to it.
    pub pass_env: &'a [String],
    /// `--config-refs`: one config ref even for a provider with several profiles.
    pub config_refs: bool,
    /// Whether `OPENCLAW_GATEWAY_TOKEN` is set where the gateway runs.
    pub gateway_variable: bool,
    /// What is on its way from openclaw.json into the vault.
    pub migrating: &'a Migrating,
}

/// What stands in openclaw.json in plaintext (or as the name of a variable) and is on its way into the
/// vault: it keeps no reference away, and goes.
#[derive(Debug, Default)]
pub struct Migrating {
    /// The keys below `models.providers` whose `apiKey` goes.
    pub provider_keys: BTreeSet<String>,
    /// Other paths that get a reference in its place.
    pub slots: BTreeMap<Vec<String>, SecretId>,
    /// Paths that get none.
    pub removed: BTreeSet<Vec<String>>,
    /// Profiles that hold plaintext. Part of `planted` too: what stands there is as good as ours.
    pub profiles: BTreeSet<Held>,
    /// Whether the gateway's token is, wherever it stands.
    pub gateway_token: bool,
}

/// One change of `openclaw.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// The keys from the root.
    pub path: Vec<String>,
    /// The new value, never a secret; `None` takes the key away, and parents that it leaves empty.
    pub value: Option<Value>,
}

/// Where a provider's refs stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefKind {
    /// One ref to the selection id at `models.providers.<p>.apiKey`.
    Config,
    /// A ref in each profile.
    Profiles,
}

/// A ref that a profile is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileRef {
    /// The profile.
    pub held: Held,
    /// `Token` (at `tokenRef`) or `ApiKey` (at `keyRef`).
    pub kind: SecretKind,
    /// The ref.
    pub reference: SecretRef,
    /// For `expires` in the file lane; plans cannot carry it.
    pub expires: Option<Millis>,
}

/// An order that is to be set where this version reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The agent.
    pub agent: AgentId,
    /// The provider.
    pub provider: ProviderId,
    /// Profile ids, first tried first. Never empty.
    pub profiles: Vec<ProfileId>,
}

/// A provider that is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The provider.
    pub provider: ProviderId,
    /// What is in the way, a clause.
    pub reason: String,
    /// What can be typed about it.
    pub hint: String,
}

/// What linking will do.
#[derive(Debug)]
pub struct Plan {
    /// How profile refs get there. In the file lane the caller writes `profile_refs`,
    /// `profile_removals` and `orders`; in the plan lane [`apply`] has OpenClaw do it.
    pub lane: Lane,
    /// `openclaw.json` when the plan was made.
    pub before: Config,
    /// `openclaw.json` afterwards.
    pub after: Config,
    /// The changes between the two.
    pub edits: Vec<Edit>,
    /// Which kind of ref each provider gets.
    pub kinds: BTreeMap<ProviderId, RefKind>,
    /// Refs that profiles are to hold.
    pub profile_refs: Vec<ProfileRef>,
    /// Profiles of ours that are to go from OpenClaw's stores.
    pub profile_removals: Vec<Held>,
    /// Profiles that hold plaintext in OpenClaw's database: it forgets them before they get a ref. A ref
    /// beside them would win over them, and leave them there.
    pub profile_scrubs: Vec<Held>,
    /// Orders to be set.
    pub orders: Vec<Order>,
    /// The gateway's own token. `KeepInVault` and `Random` are to be stored before [`apply`].
    pub gateway: GatewayToken,
    /// Providers that are left as they are.
    pub refused: Vec<Refused>,
    /// Whole sentences for the person, without a full stop.
    pub notes: Vec<String>,
    /// The program that OpenClaw is to run.
    pub command: PathBuf,
    /// Old copies of `openclaw.json` are looked for here.
    pub places: Places,
    /// Whether paths of openclaw.json get refs that a plan cannot name.
    has_slots: bool,
    secret_provider: Value,
}

impl Plan {
    /// Whether anything outside `openclaw.json` is to be written.
    pub fn touches_profiles(&self) -> bool {
        !(self.profile_refs.is_empty()
            && self.profile_removals.is_empty()
            && self.orders.is_empty())
    }

    /// Whether everything is as the plan wants it already, as far as `openclaw.json` tells.
    pub fn changes_config(&self) -> bool {
        self.before.bytes() != self.after.bytes()
    }

    /// Our entry of `secrets.providers`.
    pub fn secret_provider(&self) -> &Value {
        &self.secret_provider
    }
}

/// Our entry of OpenClaw's `secrets.providers`. Never `allowSymlinkCommand` or `allowInsecurePath`:
/// 2026.8.2 and later refuse the whole configuration for them.
fn secret_provider(command: &Path, args: &[String], pass_env: &[String]) -> Result<Value> {
    let command = command.to_str().ok_or_else(|| {
        Error::failed("the path of the command is not UTF-8 text, which OpenClaw's file needs")
    })?;
    if args.len() > 128 || args.iter().any(|arg| arg.chars().count() > 1024) {
        return Err(Error::usage(
            "OpenClaw takes at most 128 arguments of 1024 characters for a secret provider",
        ));
    }
    let is_variable = |name: &String| {
        let mut bytes = name.bytes();
        bytes.next().is_some_and(|b| b.is_ascii_uppercase())
            && bytes.all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
            && name.len() <= 128
    };
    if pass_env.len() > 128 || !pass_env.iter().all(is_variable) {
        return Err(Error::usage(
            "OpenClaw hands on variables with names of capital letters, digits and _ only",
        ));
    }
    let mut entry = json!({
        "source": "exec",
        "command": command,
        "args": args,
        "timeoutMs": TIMEOUT_MS,
        "noOutputTimeoutMs": TIMEOUT_MS,
        "maxOutputBytes": MAX_OUTPUT_BYTES,
        "jsonOnly": true,
    });
    if !pass_env.is_empty() {
        entry["passEnv"] = json!(pass_env);
    }
    Ok(entry)
}

/// The path of our entry.
fn secret_provider_path() -> Vec<String> {
    owned(&["secrets", "providers", SECRET_PROVIDER])
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|key| (*key).to_owned()).collect()
}

fn borrowed(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

/// `config` with `edits` done.
fn edited(config: &Config, edits: &[Edit]) -> Result<Config> {
    let mut after = config.clone();
    for edit in edits {
        let path = borrowed(&edit.path);
        match &edit.value {
            Some(value) => after.set(&path, value)?,
            None => {
                after.remove_with_empty_parents(&path)?;
            }
        }
    }
    Ok(after)
}
