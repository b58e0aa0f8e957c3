//! The plan: which refs stand where. Pure; reads and writes no file.

use super::gateway::{self, is_variable};
use super::{
    Edit, Facts, Held, Order, Plan, ProfileRef, RefKind, Refused, edited, owned, secret_provider,
    secret_provider_path,
};
use crate::error::Result;
use crate::openclaw::config::Config;
use crate::openclaw::reference::SecretRef;
use crate::openclaw::version::Lane;
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::secret::SecretKind;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What linking will do.
///
/// # Errors
/// `Failed` on a version without refs and where an included file holds a path that must be edited;
/// `Broken` where `openclaw.json` is ambiguous there.
pub fn plan(facts: &Facts<'_>) -> Result<Plan> {
    facts.version.require_refs()?;
    let entry = secret_provider(facts.command, facts.resolver_args, facts.pass_env)?;
    let mut draft = Draft {
        facts,
        edits: vec![Edit {
            path: secret_provider_path(),
            value: Some(entry.clone()),
        }],
        kinds: BTreeMap::new(),
        refs: Vec::new(),
        orders: Vec::new(),
        refused: Vec::new(),
        notes: Vec::new(),
    };
    let providers: BTreeSet<&ProviderId> = profiles(facts).map(|wanted| &wanted.provider).collect();
    for provider in providers {
        draft.provider(provider);
    }
    draft.unwanted_config_refs();
    let removals = draft.removals();
    let scrubs = draft.scrubs();
    let (gateway, edits, notes) = gateway::decide(
        facts.config,
        facts.version,
        facts.gateway_variable,
        facts.migrating,
    );
    draft.edits.extend(edits);
    draft.notes.extend(notes);
    draft.migrating();
    draft.note_includes();
    let after = edited(facts.config, &draft.edits)?;
    draft.edits.retain(|edit| {
        let path: Vec<&str> = edit.path.iter().map(String::as_str).collect();
        facts.config.get(&path) != edit.value
    });
    Ok(Plan {
        lane: facts.version.lane(),
        before: facts.config.clone(),
        after,
        edits: draft.edits,
        kinds: draft.kinds,
        profile_refs: draft.refs,
        profile_removals: removals,
        profile_scrubs: scrubs,
        orders: draft.orders,
        gateway,
        refused: draft.refused,
        notes: draft.notes,
        command: facts.command.to_owned(),
        places: facts.places.clone(),
        has_slots: !facts.migrating.slots.is_empty(),
        secret_provider: entry,
    })
}

/// The wanted that are credentials of a provider.
fn profiles<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = &'a super::Wanted> {
    facts
        .wanted
        .iter()
        .filter(|wanted| wanted.kind != SecretKind::Secret)
}

struct Draft<'f, 'a> {
    facts: &'f Facts<'a>,
    edits: Vec<Edit>,
    kinds: BTreeMap<ProviderId, RefKind>,
    refs: Vec<ProfileRef>,
    orders: Vec<Order>,
    refused: Vec<Refused>,
    notes: Vec<String>,
}

impl Draft<'_, '_> {
    fn provider(&mut self, provider: &ProviderId) {
        let slot = match slot(self.facts, provider) {
            Ok(slot) => slot,
            Err(refused) => {
                self.refused.push(refused);
                return;
            }
        };
        let login = profiles(self.facts)
            .filter(|wanted| wanted.provider == *provider)
            .find(|wanted| {
                let same =
                    |held: &&Held| held.agent == wanted.agent && held.profile == wanted.profile;
                self.facts.logins.iter().any(|held| same(&held))
            });
        if let Some(wanted) = login {
            self.refused.push(Refused {
                provider: provider.clone(),
                reason: format!(
                    "its profile {} is an OAuth login in OpenClaw, which no reference can stand for",
                    wanted.profile
                ),
                hint: format!(
                    "clawkeep models auth logout --profile-id {}, then store it under another id",
                    wanted.profile
                ),
            });
            return;
        }
        let kind = self.kind(provider, &slot.key);
        self.kinds.insert(provider.clone(), kind);
        let path = owned(&["models", "providers", &slot.key, "apiKey"]);
        if kind == RefKind::Config {
            let value = Some(SecretRef::to_selection(provider).to_value());
            self.edits.push(Edit { path, value });
            return;
        }
        if slot.goes {
            self.edits.push(Edit { path, value: None });
        }
        for wanted in profiles(self.facts).filter(|wanted| wanted.provider == *provider) {
            self.refs.push(ProfileRef {
                held: Held {
                    agent: wanted.agent.clone(),
                    profile: wanted.profile.clone(),
                    provider: provider.clone(),
                },
                kind: wanted.kind,
                reference: SecretRef::to(&wanted.id),
                expires: wanted.expires,
            });
            if self
                .facts
                .foreign
                .iter()
                .any(|held| held.agent == wanted.agent && held.profile == wanted.profile)
            {
                self.notes.push(format!(
                    "what OpenClaw holds as {} of agent {} now is replaced by the reference",
                    wanted.profile, wanted.agent
                ));
            }
            let mismatch = mismatch(self.facts.config, &wanted.profile, provider, wanted.kind);
            self.notes.extend(mismatch);
        }
        self.provider_orders(provider);
    }

    /// Which kind of ref the provider gets.
    fn kind(&mut self, provider: &ProviderId, key: &str) -> RefKind {
        let facts = self.facts;
        let own: Vec<_> = profiles(facts)
            .filter(|wanted| wanted.provider == *provider)
            .collect();
        let main = own.iter().filter(|wanted| wanted.agent.is_main()).count();
        let other_agent = own
            .iter()
            .map(|wanted| &wanted.agent)
            .chain(
                facts
                    .orders
                    .iter()
                    .filter(|((_, of), ids)| of == provider && !ids.is_empty())
                    .map(|((agent, _), _)| agent),
            )
            .find(|agent| !agent.is_main());
        let foreign = facts.foreign.iter().find(|held| held.provider == *provider);
        let wishes = facts.config_refs || facts.version.prefers_config_refs();
        if !wishes {
            return RefKind::Profiles;
        }
        let says_check = facts.version.prefers_config_refs();
        let check = if says_check {
            "; OpenClaw's own `models status --check` answers 1 for refs in profiles, which says \
             only that it did not look"
        } else {
            ""
        };
        let reason = if let Some(agent) = other_agent {
            format!("agent {agent} has its own profile or order")
        } else if let Some(held) = foreign {
            format!(
                "OpenClaw holds the profile {} of it, which is not in the vault and would win over \
                 a ref in openclaw.json",
                held.profile
            )
        } else if main > 1 && !facts.config_refs {
            format!("it has {main} profiles (--config-refs would choose one ref instead)")
        } else if !takes_config_ref(facts.config, provider, key) {
            "OpenClaw does not bring it along, and openclaw.json does not say its baseUrl and models"
                .to_owned()
        } else {
            return RefKind::Config;
        };
        self.notes.push(format!(
            "{provider} gets refs in its profiles: {reason}{check}"
        ));
        RefKind::Profiles
    }

    fn provider_orders(&mut self, provider: &ProviderId) {
        let facts = self.facts;
        for ((agent, _), ids) in facts.orders.iter().filter(|((_, of), _)| of == provider) {
            let (known, unknown): (Vec<ProfileId>, Vec<ProfileId>) = ids
                .iter()
                .cloned()
                .partition(|id| is_known(facts, agent, provider, id));
            if !unknown.is_empty() {
                self.notes.push(format!(
                    "the order of {provider} for agent {agent} names profiles that are not there, \
                     which OpenClaw refuses; they are left out: {}",
                    ProfileId::listed(&unknown)
                ));
            }
            if !known.is_empty() {
                self.orders.push(Order {
                    agent: agent.clone(),
                    provider: provider.clone(),
                    profiles: known,
                });
            }
        }
    }

    /// Refs to selection ids of providers that have no value in the vault any more: nobody would
    /// answer them, and a 2026.6.1 gateway does not start then.
    fn unwanted_config_refs(&mut self) {
        for (path, reference) in self.facts.config.refs() {
            let [models, providers, key, api_key] = path.as_slice() else {
                continue;
            };
            let is_slot = models == "models" && providers == "providers" && api_key == "apiKey";
            let wanted = ProviderId::parse(key).is_ok_and(|provider| {
                self.kinds.contains_key(&provider)
                    || self
                        .refused
                        .iter()
                        .any(|refused| refused.provider == provider)
            });
            let selects = reference.id.starts_with(crate::secret::SELECTION_PREFIX);
            if is_slot && reference.is_ours() && selects && !wanted {
                self.notes.push(format!(
                    "models.providers.{key}.apiKey is taken away: the vault has nothing for it"
                ));
                self.edits.push(Edit { path, value: None });
            }
        }
    }

    /// References, or nothing, in place of plaintext that is on its way into the vault.
    fn migrating(&mut self) {
        let migrating = self.facts.migrating;
        let slots = migrating.slots.iter().map(|(path, id)| Edit {
            path: path.clone(),
            value: Some(SecretRef::to(id).to_value()),
        });
        let removed = migrating.removed.iter().map(|path| Edit {
            path: path.clone(),
            value: None,
        });
        self.edits.extend(slots.chain(removed));
    }

    /// Profiles of ours that no longer hold a ref: their provider has a config ref now, or their
    /// value is gone. A refused provider's stay.
    fn removals(&self) -> Vec<Held> {
        self.facts
            .planted
            .iter()
            .filter(|held| {
                !self.refs.iter().any(|wanted| wanted.held == **held)
                    && !self
                        .refused
                        .iter()
                        .any(|refused| refused.provider == held.provider)
            })
            .cloned()
            .collect()
    }

    /// Plaintext in OpenClaw's database in whose place a ref comes.
    fn scrubs(&self) -> Vec<Held> {
        if self.facts.version.lane() == Lane::File {
            return Vec::new();
        }
        let has_ref = |held: &&Held| self.refs.iter().any(|wanted| wanted.held == **held);
        let profiles = &self.facts.migrating.profiles;
        profiles.iter().filter(has_ref).cloned().collect()
    }

    fn note_includes(&mut self) {
        if !self.facts.config.includes().is_empty() {
            self.notes.push(
                "openclaw.json takes parts from other files ($include); credentials in those are \
                 not seen here"
                    .to_owned(),
            );
        }
    }
}

/// The providers that `models.providers` may name without `baseUrl` and `models`: those of 2026.6.1
/// that 2026.9.6 has too (`BUILT_IN_MODEL_PROVIDER_OVERLAY_IDS`). Any other makes the whole
/// configuration invalid, and OpenClaw refuses every command.
const KNOWN_TO_OPENCLAW: [&str; 61] = [
    "amazon-bedrock",
    "amazon-bedrock-mantle",
    "anthropic",
    "anthropic-vertex",
    "arcee",
    "byteplus",
    "byteplus-plan",
    "cerebras",
    "chutes",
    "cloudflare-ai-gateway",
    "codex",
    "comfy",
    "copilot-proxy",
    "dashscope",
    "deepinfra",
    "deepseek",
    "fal",
    "fireworks",
    "github-copilot",
    "google",
    "google-antigravity",
    "google-gemini-cli",
    "google-vertex",
    "groq",
    "huggingface",
    "kilocode",
    "kimi",
    "kimi-coding",
    "litellm",
    "lmstudio",
    "microsoft-foundry",
    "minimax",
    "minimax-portal",
    "mistral",
    "modelstudio",
    "moonshot",
    "nvidia",
    "ollama",
    "openai",
    "opencode",
    "opencode-go",
    "openrouter",
    "qianfan",
    "qwen",
    "qwencloud",
    "sglang",
    "stepfun",
    "stepfun-plan",
    "synthetic",
    "tencent-tokenhub",
    "together",
    "venice",
    "vercel-ai-gateway",
    "vllm",
    "volcengine",
    "volcengine-plan",
    "vydra",
    "xai",
    "xiaomi",
    "xiaomi-token-plan",
    "zai",
];

/// Whether OpenClaw brings the provider along, so that it uses a profile of it.
pub fn is_known_to_openclaw(provider: &ProviderId) -> bool {
    KNOWN_TO_OPENCLAW.contains(&provider.as_str())
}

/// Whether an entry that holds a ref and what stands there already is one that OpenClaw takes.
fn takes_config_ref(config: &Config, provider: &ProviderId, key: &str) -> bool {
    let at = |field| config.get(&["models", "providers", key, field]);
    is_known_to_openclaw(provider)
        || (at("baseUrl").is_some_and(|url| url.as_str().is_some_and(|url| !url.is_empty()))
            && at("models").is_some_and(|models| models.is_array()))
}

/// Whether OpenClaw will know the profile after linking. An agent sees main's profiles too.
fn is_known(facts: &Facts<'_>, agent: &AgentId, provider: &ProviderId, id: &ProfileId) -> bool {
    let seen = |of: &AgentId| of == agent || of.is_main();
    profiles(facts)
        .any(|wanted| wanted.profile == *id && wanted.provider == *provider && seen(&wanted.agent))
        || facts
            .foreign
            .iter()
            .any(|held| held.profile == *id && held.provider == *provider && seen(&held.agent))
}

/// The provider's key below `models.providers`, and whether what stands there goes when the provider's
/// profiles hold the refs: our own ref, or plaintext that is on its way into the vault.
struct Slot {
    key: String,
    goes: bool,
}

fn slot(facts: &Facts<'_>, provider: &ProviderId) -> std::result::Result<Slot, Refused> {
    let config = facts.config;
    let refuse = |reason: String, hint: &str| Refused {
        provider: provider.clone(),
        reason,
        hint: hint.to_owned(),
    };
    let mut keys = config.keys(&["models", "providers"]);
    keys.retain(|key| ProviderId::parse(key).is_ok_and(|parsed| parsed == *provider));
    let key = match keys.as_slice() {
        [] => provider.as_str().to_owned(),
        [key] => key.clone(),
        _ => {
            return Err(refuse(
                "models.providers names it twice".to_owned(),
                "keep one of the two in openclaw.json",
            ));
        }
    };
    let path = ["models", "providers", key.as_str(), "apiKey"];
    let place = path.join(".");
    if facts.migrating.provider_keys.contains(&key) {
        return Ok(Slot { key, goes: true });
    }
    if let Some(text) = config.string_at(&path) {
        return Err(if is_variable(&text) {
            refuse(
                format!("{place} names an environment variable"),
                &format!("openclaw config unset {place} && clawkeep link"),
            )
        } else {
            refuse(
                format!("{place} holds a key in plaintext"),
                &format!("openclaw config unset {place} && clawkeep link"),
            )
        });
    }
    let goes = match config.get(&path) {
        None => false,
        Some(value) => {
            let reference = SecretRef::from_value(&value);
            if !reference.is_some_and(|reference| reference.is_ours()) {
                return Err(refuse(
                    format!("{place} is a ref that another secret provider answers"),
                    &format!("openclaw config unset {place} && clawkeep link"),
                ));
            }
            true
        }
    };
    Ok(Slot { key, goes })
}

/// Whether `auth.profiles` in the configuration says something else of this profile than what it
/// will be: OpenClaw then skips the profile.
fn mismatch(
    config: &Config,
    profile: &ProfileId,
    provider: &ProviderId,
    kind: SecretKind,
) -> Option<String> {
    let entry = config.get(&["auth", "profiles", profile.as_str()])?;
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let other_provider = text("provider")
        .is_some_and(|named| !ProviderId::parse(named).is_ok_and(|named| named == *provider));
    let mode_fits = match text("mode") {
        None => true,
        Some("oauth") => kind == SecretKind::Token,
        Some(mode) => mode == kind.name(),
    };
    let wrong = if other_provider {
        "provider (provider_mismatch)"
    } else if mode_fits {
        return None;
    } else {
        "mode (mode_mismatch)"
    };
    Some(format!(
        "auth.profiles in openclaw.json says another {wrong} for {profile} than the vault: OpenClaw \
         will skip that profile until the entry is corrected"
    ))
}
