//! The models that openclaw.json names, and so the providers that are in use. Ring 2'; pure: a configuration
//! in, names out.
//!
//! Source: OpenClaw 2026.6.1 and 2026.9.6, `src/commands/models/list.status-command.ts` (which models count),
//! `src/agents/model-selection-shared.ts`, `model-ref-profile.ts` and `src/config/model-input.ts` (how a name
//! becomes a provider), `src/agents/defaults.ts` of 2026.2.26, 6.1, 8.2 and 9.6 (what counts where none is
//! named).
//!
//! Promise: what has not the form that OpenClaw wants counts as not said. Names of models that its plugins
//! would spell otherwise are left as they are written; their providers are the same.

use crate::openclaw::config::Config;
use crate::openclaw::version::Version;
use crate::provider::{AgentId, ProviderId};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a version uses where openclaw.json names no model. Others were not looked at.
const USUAL: [(&str, &str, &str); 4] = [
    ("2026.2.26", "anthropic", "claude-opus-4-6"),
    ("2026.6.1", "openai", "gpt-5.5"),
    ("2026.8.2", "openai", "gpt-5.6-sol"),
    ("2026.9.6", "openai", "gpt-6-astra"),
];

/// The provider of a model that is named without one.
const PLAIN_PROVIDER: &str = "openai";

/// Whose models run in a program of their own, which has its own login: `agents.defaults.cliBackends` can
/// name more.
const CLI_PROVIDERS: [&str; 3] = ["claude-cli", "codex-cli", "google-gemini-cli"];

/// The most agents that are looked through: a configuration has no room for more.
const MOST_AGENTS: u32 = 10_000;

/// A model with its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRef {
    /// Whose model.
    pub provider: ProviderId,
    /// Its name there.
    pub model: String,
}

impl ModelRef {
    /// `anthropic/claude-sonnet-4-5`, with the provider once.
    pub fn label(&self) -> String {
        let ModelRef { provider, model } = self;
        let prefix = format!("{provider}/");
        if model.to_lowercase().starts_with(&prefix) {
            model.clone()
        } else {
            format!("{prefix}{model}")
        }
    }
}

/// What openclaw.json says of models, for one agent.
#[derive(Debug, Clone, Default)]
pub struct Models {
    /// The default model as it is written; `None` when none is named.
    pub named: Option<String>,
    /// The default model; `None` when none is named and it is not known what that version takes.
    pub default: Option<ModelRef>,
    /// Whether the agent has its own.
    pub is_agents_own: bool,
    /// What is tried after it, as written.
    pub fallbacks: Vec<String>,
    /// The model for images, as written.
    pub image: Option<String>,
    /// What is tried after that, as written.
    pub image_fallbacks: Vec<String>,
    /// Short names and what they stand for.
    pub aliases: BTreeMap<String, String>,
    /// The models that are configured, as written.
    pub allowed: Vec<String>,
    /// The providers of the default model, the image model and their fallbacks: each once, sorted. Without
    /// those whose models run in a program with its own login.
    pub used: Vec<ProviderId>,
    /// The same with all that are configured.
    pub known: Vec<ProviderId>,
}

impl Models {
    /// Reads them.
    pub fn read(config: &Config, agent: &AgentId, version: Option<&Version>) -> Self {
        let defaults = |key| config.get(&["agents", "defaults", key]);
        let model = defaults("model");
        let own = own_model(config, agent);
        let own_primary = own.as_ref().and_then(primary);
        let configured = config.keys(&["agents", "defaults", "models"]);
        let mut models = Models {
            is_agents_own: own_primary.is_some(),
            named: own_primary.or_else(|| model.as_ref().and_then(primary)),
            fallbacks: own
                .as_ref()
                .and_then(own_fallbacks)
                .or_else(|| model.as_ref().map(fallbacks))
                .unwrap_or_default(),
            image: defaults("imageModel").as_ref().and_then(primary),
            image_fallbacks: defaults("imageModel")
                .as_ref()
                .map(fallbacks)
                .unwrap_or_default(),
            aliases: aliases(config, &configured),
            allowed: configured,
            ..Models::default()
        };
        models.default = match &models.named {
            Some(named) => models.parse(named),
            None => version.and_then(usual),
        };
        models.find_providers(config);
        models
    }

    fn find_providers(&mut self, config: &Config) {
        let in_programs = config.keys(&["agents", "defaults", "cliBackends"]);
        let is_program = |provider: &ProviderId| {
            let name = provider.as_str();
            CLI_PROVIDERS.contains(&name)
                || in_programs
                    .iter()
                    .any(|other| other.trim().to_lowercase() == name)
        };
        let others = self
            .fallbacks
            .iter()
            .chain(&self.image)
            .chain(&self.image_fallbacks);
        let mut used: Vec<ProviderId> = others
            .filter_map(|raw| Some(self.parse(raw)?.provider))
            .chain(self.default.iter().map(|model| model.provider.clone()))
            .collect();
        let allowed = self.allowed.iter();
        let mut known: Vec<ProviderId> = allowed
            .filter_map(|raw| Some(self.parse(raw)?.provider))
            .chain(used.iter().cloned())
            .collect();
        used.retain(|provider| !is_program(provider));
        for all in [&mut used, &mut known] {
            all.sort();
            all.dedup();
        }
        self.used = used;
        self.known = known;
    }

    /// What a name in a configuration stands for: an alias, `provider/model`, or a model alone; a profile
    /// behind `@` is no part of it.
    fn parse(&self, raw: &str) -> Option<ModelRef> {
        let name = without_profile(raw);
        let wanted = name.to_lowercase();
        let mut aliases = self.aliases.iter();
        let target = aliases.find(|(alias, _)| alias.to_lowercase() == wanted);
        let name = target.map_or(name, |(_, target)| without_profile(target));
        if let Some((provider, model)) = name.split_once('/') {
            let model = model.trim();
            return (!model.is_empty()).then_some(ModelRef {
                provider: ProviderId::parse(provider).ok()?,
                model: model.to_owned(),
            });
        }
        (!name.is_empty()).then_some(ModelRef {
            provider: self
                .only_provider_of(name)
                .or_else(|| ProviderId::parse(PLAIN_PROVIDER).ok())?,
            model: name.to_owned(),
        })
    }

    /// The provider of a model that is configured of one provider alone.
    fn only_provider_of(&self, name: &str) -> Option<ProviderId> {
        let of = |full: &String| {
            let (provider, model) = full.split_once('/')?;
            (model.trim() == name).then(|| ProviderId::parse(provider).ok())?
        };
        let mut found: Vec<ProviderId> = self.allowed.iter().filter_map(of).collect();
        found.sort();
        found.dedup();
        (found.len() == 1).then(|| found.remove(0))
    }
}

fn usual(version: &Version) -> Option<ModelRef> {
    let version = version.to_string();
    let (_, provider, model) = USUAL.iter().find(|(known, _, _)| *known == version)?;
    Some(ModelRef {
        provider: ProviderId::parse(provider).ok()?,
        model: (*model).to_owned(),
    })
}

/// `models.<agent>.model`, in the two forms of a configuration.
fn own_model(config: &Config, agent: &AgentId) -> Option<Value> {
    if let Some(model) = config.get(&["agents", "entries", agent.as_str(), "model"]) {
        return Some(model);
    }
    let list = (0..MOST_AGENTS).map(|index| index.to_string());
    list.take_while(|index| config.has(&["agents", "list", index]))
        .find(|index| {
            config
                .string_at(&["agents", "list", index, "id"])
                .is_some_and(|id| id.trim().to_lowercase() == agent.as_str())
        })
        .and_then(|index| config.get(&["agents", "list", &index, "model"]))
}

fn text(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// `"provider/model"`, or the same under `primary`.
fn primary(model: &Value) -> Option<String> {
    text(model).or_else(|| text(model.get("primary")?))
}

fn fallbacks(model: &Value) -> Vec<String> {
    let list = model.get("fallbacks").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(text).collect()
}

/// An agent that names a model of its own has the fallbacks that stand with it, none too.
fn own_fallbacks(model: &Value) -> Option<Vec<String>> {
    let is_said = model.get("fallbacks").is_some_and(Value::is_array);
    (is_said || primary(model).is_some()).then(|| fallbacks(model))
}

fn aliases(config: &Config, configured: &[String]) -> BTreeMap<String, String> {
    configured
        .iter()
        .filter_map(|key| {
            let alias = config.string_at(&["agents", "defaults", "models", key, "alias"])?;
            let alias = alias.trim();
            (!alias.is_empty()).then(|| (alias.to_owned(), key.clone()))
        })
        .collect()
}

/// `model@profile` without the profile. A date of eight digits behind the first `@` belongs to the model, and
/// so does the name of a quantisation.
fn without_profile(raw: &str) -> &str {
    let name = raw.trim();
    let from = name.rfind('/').map_or(0, |slash| slash + 1);
    let mut at = name[from..].find('@').map(|at| from + at);
    while let Some(found) = at.filter(|at| *at > 0) {
        let rest = &name[found + 1..];
        let word = rest.split('@').next().unwrap_or_default();
        if is_part_of_name(word) {
            at = rest.find('@').map(|next| found + 1 + next);
            continue;
        }
        let (model, profile) = (name[..found].trim(), rest.trim());
        return if model.is_empty() || profile.is_empty() {
            name
        } else {
            model
        };
    }
    name
}

fn is_part_of_name(word: &str) -> bool {
    let is_date = word.len() == 8 && word.bytes().all(|b| b.is_ascii_digit());
    let lower = word.to_ascii_lowercase();
    let digits_then = |text: &str| {
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
        (rest.len() < text.len()).then(|| rest.to_owned())
    };
    let quantised = lower
        .strip_prefix("iq")
        .or_else(|| lower.strip_prefix('q'))
        .and_then(digits_then)
        .is_some_and(|rest| {
            rest.is_empty()
                || rest.starts_with('_')
                    && rest.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric())
        });
    let bits = digits_then(&lower).is_some_and(|rest| rest == "bit");
    is_date || quantised || bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    fn read(text: &str, agent: &str, version: &str) -> Models {
        let config = Config::parse(text.as_bytes(), Path::new("/nowhere/openclaw.json")).unwrap();
        let version = Version::parse(version).ok();
        Models::read(&config, &AgentId::parse(agent).unwrap(), version.as_ref())
    }

    fn label(models: &Models) -> Option<String> {
        models.default.as_ref().map(ModelRef::label)
    }

    fn names(ids: &[ProviderId]) -> Vec<&str> {
        ids.iter().map(ProviderId::as_str).collect()
    }

    #[test]
    fn the_default_model_is_the_one_that_is_named() {
        for (config, version, wanted) in [
            (
                "{agents:{defaults:{model:'anthropic/x'}}}",
                "2026.6.1",
                Some("anthropic/x"),
            ),
            (
                "{agents:{defaults:{model:{primary:' anthropic/x '}}}}",
                "2026.6.1",
                Some("anthropic/x"),
            ),
            (
                "{agents:{defaults:{model:'Anthropic/x@anthropic:work'}}}",
                "2026.6.1",
                Some("anthropic/x"),
            ),
            (
                "{agents:{defaults:{model:'anthropic/x@20250101'}}}",
                "2026.6.1",
                Some("anthropic/x@20250101"),
            ),
            (
                "{agents:{defaults:{model:'x/y@q4_k@p:one'}}}",
                "2026.6.1",
                Some("x/y@q4_k"),
            ),
            (
                "{agents:{defaults:{model:'openrouter/openrouter/auto'}}}",
                "2026.6.1",
                Some("openrouter/auto"),
            ),
            (
                "{agents:{defaults:{model:'fast',models:{'groq/y':{alias:'Fast'}}}}}",
                "2026.6.1",
                Some("groq/y"),
            ),
            (
                "{agents:{defaults:{model:'y',models:{'groq/y':{}}}}}",
                "2026.6.1",
                Some("groq/y"),
            ),
            (
                "{agents:{defaults:{model:'y',models:{'groq/y':{},'xai/y':{}}}}}",
                "2026.6.1",
                Some("openai/y"),
            ),
            (
                "{agents:{defaults:{model:'y'}}}",
                "2026.6.1",
                Some("openai/y"),
            ),
            ("{agents:{defaults:{model:'a b/y'}}}", "2026.6.1", None),
            (
                "{agents:{defaults:{model:7}}}",
                "2026.6.1",
                Some("openai/gpt-5.5"),
            ),
            ("{}", "2026.2.26", Some("anthropic/claude-opus-4-6")),
            ("{}", "2026.9.6", Some("openai/gpt-6-astra")),
            ("{}", "2026.7.1", None),
        ] {
            assert_eq!(
                label(&read(config, "main", version)).as_deref(),
                wanted,
                "{config} {version}"
            );
        }
    }

    #[test]
    fn an_agent_may_have_its_own() {
        let config = "{agents:{defaults:{model:{primary:'a/x',fallbacks:['b/y']}},
            entries:{one:{model:'c/z'},two:{model:{fallbacks:['d/w']}},four:{model:{primary:'c/z'}}},
            list:[{id:'Three',model:{primary:'e/v',fallbacks:['f/u']}}]}}";
        for (agent, own, wanted, fallbacks) in [
            ("main", false, "a/x", vec!["b/y"]),
            ("one", true, "c/z", vec![]),
            ("two", false, "a/x", vec!["d/w"]),
            ("three", true, "e/v", vec!["f/u"]),
            ("four", true, "c/z", vec![]),
        ] {
            let models = read(config, agent, "2026.6.1");
            assert_eq!(models.is_agents_own, own, "{agent}");
            assert_eq!(label(&models).as_deref(), Some(wanted), "{agent}");
            assert_eq!(models.fallbacks, fallbacks, "{agent}");
        }
    }

    #[test]
    fn providers_are_in_use_by_models_that_would_be_asked() {
        let models = read(
            "{agents:{defaults:{model:{primary:'a/x',fallbacks:['b/y','a/z','claude-cli/q','mine/q',7]},
              imageModel:{primary:'c/i',fallbacks:['d/i']},cliBackends:{Mine:{}},models:{'e/k':{alias:' E '},'f/k':{}}}}}",
            "main",
            "2026.6.1",
        );
        assert_eq!(names(&models.used), ["a", "b", "c", "d"]);
        assert_eq!(
            names(&models.known),
            ["a", "b", "c", "claude-cli", "d", "e", "f", "mine"]
        );
        assert_eq!(
            models.aliases,
            BTreeMap::from([("E".to_owned(), "e/k".to_owned())])
        );
        assert_eq!(models.allowed, ["e/k", "f/k"]);
        assert_eq!(models.image.as_deref(), Some("c/i"));
    }

    proptest! {
        #[test]
        fn whatever_stands_there_is_read(a in "\\PC{0,12}", b in "[a-z/@0-9 ]{0,16}") {
            let models = serde_json::json!({"agents": {"defaults": {
                "model": {"primary": b, "fallbacks": [a, b]}, "imageModel": a,
                "models": {a.clone(): {"alias": b}, b.clone(): {"alias": a}}}}});
            let models = read(&models.to_string(), "main", "2026.6.1");
            prop_assert!(models.used.iter().all(|one| models.known.contains(one)));
            if let Some(default) = &models.default {
                prop_assert!(default.label().contains('/'));
            }
        }
    }
}
