//! Which environment variables hold whose credential. Ring 0: data, and how to look into it.
//!
//! Source: the plugin manifests and the official catalog of OpenClaw 2026.9.6, in the order in which
//! OpenClaw reads them; behind them what 2026.2.6 and 2026.6.1 read besides. Its lists of several
//! keys (`<P>_API_KEYS`, `OPENCLAW_LIVE_<P>_KEY`) are not in this table.

use super::ProviderId;
use crate::secret::SecretKind;

/// What a variable is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A token or an API key: its reader does not tell them apart.
    Any,
    /// An OAuth, bearer or setup-token, not an API key.
    Token,
    /// An API key, not a token.
    ApiKey,
    /// No credential: a region, the id of an app.
    Setting,
}

/// One environment variable of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it is read as.
    pub holds: Holds,
}

const fn any(name: &'static str) -> Variable {
    let holds = Holds::Any;
    Variable { name, holds }
}

const fn token(name: &'static str) -> Variable {
    let holds = Holds::Token;
    Variable { name, holds }
}

const fn key(name: &'static str) -> Variable {
    let holds = Holds::ApiKey;
    Variable { name, holds }
}

const fn setting(name: &'static str) -> Variable {
    let holds = Holds::Setting;
    Variable { name, holds }
}

/// Every known provider and its variables, the first read first; sorted by provider. One variable can
/// be of several providers.
pub const VARIABLES: &[(&str, &[Variable])] = &[
    (
        "alibaba",
        &[
            any("MODELSTUDIO_API_KEY"),
            any("DASHSCOPE_API_KEY"),
            any("QWEN_API_KEY"),
        ],
    ),
    (
        "anthropic",
        &[token("ANTHROPIC_OAUTH_TOKEN"), key("ANTHROPIC_API_KEY")],
    ),
    ("arcee", &[any("ARCEEAI_API_KEY")]),
    (
        "azure",
        &[
            any("AZURE_SPEECH_KEY"),
            any("AZURE_SPEECH_API_KEY"),
            any("SPEECH_KEY"),
            setting("AZURE_SPEECH_REGION"),
            setting("SPEECH_REGION"),
        ],
    ),
    (
        "azure-speech",
        &[
            any("AZURE_SPEECH_KEY"),
            any("AZURE_SPEECH_API_KEY"),
            any("SPEECH_KEY"),
            setting("AZURE_SPEECH_REGION"),
            setting("SPEECH_REGION"),
        ],
    ),
    ("baseten", &[any("BASETEN_API_KEY")]),
    ("byteplus", &[any("BYTEPLUS_API_KEY")]),
    ("cerebras", &[any("CEREBRAS_API_KEY")]),
    (
        "chutes",
        &[key("CHUTES_API_KEY"), token("CHUTES_OAUTH_TOKEN")],
    ),
    ("clawrouter", &[any("CLAWROUTER_API_KEY")]),
    (
        "cloudflare-ai-gateway",
        &[any("CLOUDFLARE_AI_GATEWAY_API_KEY")],
    ),
    ("comfy", &[any("COMFY_API_KEY"), any("COMFY_CLOUD_API_KEY")]),
    ("deepgram", &[any("DEEPGRAM_API_KEY")]),
    ("deepinfra", &[any("DEEPINFRA_API_KEY")]),
    ("deepseek", &[any("DEEPSEEK_API_KEY")]),
    (
        "elevenlabs",
        &[any("ELEVENLABS_API_KEY"), any("XI_API_KEY")],
    ),
    ("exa", &[any("EXA_API_KEY")]),
    ("fal", &[any("FAL_KEY"), any("FAL_API_KEY")]),
    ("featherless", &[any("FEATHERLESS_API_KEY")]),
    ("firecrawl", &[any("FIRECRAWL_API_KEY")]),
    ("fireworks", &[any("FIREWORKS_API_KEY")]),
    (
        "github-copilot",
        &[
            any("COPILOT_GITHUB_TOKEN"),
            any("GH_TOKEN"),
            any("GITHUB_TOKEN"),
        ],
    ),
    ("gmi", &[any("GMI_API_KEY")]),
    ("google", &[any("GEMINI_API_KEY"), any("GOOGLE_API_KEY")]),
    ("google-vertex", &[any("GOOGLE_CLOUD_API_KEY")]),
    ("gradium", &[any("GRADIUM_API_KEY")]),
    ("groq", &[any("GROQ_API_KEY")]),
    (
        "huggingface",
        &[any("HUGGINGFACE_HUB_TOKEN"), any("HF_TOKEN")],
    ),
    ("inworld", &[any("INWORLD_API_KEY")]),
    ("kilocode", &[any("KILOCODE_API_KEY")]),
    ("kimi", &[any("KIMI_API_KEY"), any("KIMICODE_API_KEY")]),
    (
        "kimi-coding",
        &[any("KIMI_API_KEY"), any("KIMICODE_API_KEY")],
    ),
    ("litellm", &[any("LITELLM_API_KEY")]),
    ("lmstudio", &[any("LM_API_TOKEN")]),
    ("longcat", &[any("LONGCAT_API_KEY")]),
    ("meta", &[any("MODEL_API_KEY")]),
    ("microsoft-foundry", &[any("AZURE_OPENAI_API_KEY")]),
    (
        "minimax",
        &[
            any("MINIMAX_CODE_PLAN_KEY"),
            any("MINIMAX_CODING_API_KEY"),
            any("MINIMAX_API_KEY"),
        ],
    ),
    (
        "minimax-portal",
        &[token("MINIMAX_OAUTH_TOKEN"), key("MINIMAX_API_KEY")],
    ),
    ("mistral", &[any("MISTRAL_API_KEY")]),
    ("moonshot", &[any("MOONSHOT_API_KEY"), any("KIMI_API_KEY")]),
    ("novita", &[any("NOVITA_API_KEY")]),
    ("nvidia", &[any("NVIDIA_API_KEY")]),
    ("ollama", &[any("OLLAMA_API_KEY")]),
    ("ollama-cloud", &[any("OLLAMA_API_KEY")]),
    ("openai", &[any("OPENAI_API_KEY")]),
    (
        "opencode",
        &[any("OPENCODE_API_KEY"), any("OPENCODE_ZEN_API_KEY")],
    ),
    (
        "opencode-go",
        &[any("OPENCODE_API_KEY"), any("OPENCODE_ZEN_API_KEY")],
    ),
    ("openrouter", &[any("OPENROUTER_API_KEY")]),
    (
        "perplexity",
        &[any("PERPLEXITY_API_KEY"), any("OPENROUTER_API_KEY")],
    ),
    ("qianfan", &[any("QIANFAN_API_KEY")]),
    (
        "qwen",
        &[
            any("QWEN_API_KEY"),
            any("MODELSTUDIO_API_KEY"),
            any("DASHSCOPE_API_KEY"),
        ],
    ),
    ("qwen-oauth", &[any("QWEN_API_KEY")]),
    (
        "qwen-portal",
        &[token("QWEN_OAUTH_TOKEN"), key("QWEN_PORTAL_API_KEY")],
    ),
    ("qwen-token-plan", &[any("QWEN_TOKEN_PLAN_API_KEY")]),
    ("radius", &[any("RADIUS_API_KEY")]),
    (
        "runway",
        &[any("RUNWAYML_API_SECRET"), any("RUNWAY_API_KEY")],
    ),
    ("senseaudio", &[any("SENSEAUDIO_API_KEY")]),
    ("sglang", &[any("SGLANG_API_KEY")]),
    ("stepfun", &[any("STEPFUN_API_KEY")]),
    ("stepfun-plan", &[any("STEPFUN_API_KEY")]),
    ("synthetic", &[any("SYNTHETIC_API_KEY")]),
    ("tavily", &[any("TAVILY_API_KEY")]),
    ("tencent-tokenhub", &[any("TOKENHUB_API_KEY")]),
    ("tencent-tokenplan", &[any("TOKENPLAN_API_KEY")]),
    ("together", &[any("TOGETHER_API_KEY")]),
    ("venice", &[any("VENICE_API_KEY")]),
    ("vercel-ai-gateway", &[any("AI_GATEWAY_API_KEY")]),
    ("vllm", &[any("VLLM_API_KEY")]),
    ("volcengine", &[any("VOLCANO_ENGINE_API_KEY")]),
    ("volcengine-plan", &[any("VOLCANO_ENGINE_API_KEY")]),
    (
        "volcengine-tts",
        &[
            key("VOLCENGINE_TTS_API_KEY"),
            key("BYTEPLUS_SEED_SPEECH_API_KEY"),
            setting("VOLCENGINE_TTS_APPID"),
            token("VOLCENGINE_TTS_TOKEN"),
        ],
    ),
    ("voyage", &[any("VOYAGE_API_KEY")]),
    ("vydra", &[any("VYDRA_API_KEY")]),
    ("xai", &[any("XAI_API_KEY")]),
    ("xiaomi", &[any("XIAOMI_API_KEY")]),
    ("xiaomi-token-plan", &[any("XIAOMI_TOKEN_PLAN_API_KEY")]),
    ("zai", &[any("ZAI_API_KEY"), any("Z_AI_API_KEY")]),
];

/// The variables of a provider, the first read first; empty for one that is not known.
pub fn of(provider: &ProviderId) -> &'static [Variable] {
    VARIABLES
        .binary_search_by_key(&provider.as_str(), |(name, _)| *name)
        .map_or(&[], |at| VARIABLES[at].1)
}

/// The variable in which a credential of this kind is expected; `None` when the provider is not known
/// or reads no such kind.
pub fn for_kind(provider: &ProviderId, kind: SecretKind) -> Option<&'static str> {
    let fits = |holds: Holds| match holds {
        Holds::Any => true,
        Holds::Token => kind == SecretKind::Token,
        Holds::ApiKey => kind != SecretKind::Token,
        Holds::Setting => false,
    };
    of(provider)
        .iter()
        .find(|variable| fits(variable.holds))
        .map(|variable| variable.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn provider(name: &str) -> ProviderId {
        ProviderId::parse(name).unwrap()
    }

    #[test]
    fn the_table_begins_as_openclaw_2026_9_6_reads_it() {
        let theirs: BTreeMap<String, Vec<String>> = serde_json::from_str(include_str!(
            "../../tests/data/provider-variables-2026.9.6.json"
        ))
        .unwrap();
        assert!(theirs.len() > 60);
        for (name, variables) in theirs {
            let ours: Vec<&str> = of(&provider(&name)).iter().map(|v| v.name).collect();
            assert!(ours.len() >= variables.len(), "{name}");
            assert_eq!(ours[..variables.len()], variables, "{name}");
        }
    }

    #[test]
    fn the_table_is_sorted_and_whole() {
        let names: Vec<&str> = VARIABLES.iter().map(|(name, _)| *name).collect();
        let sorted: BTreeSet<&str> = names.iter().copied().collect();
        assert!(names.iter().eq(sorted.iter()), "{names:?}");
        for (name, variables) in VARIABLES {
            assert_eq!(provider(name).as_str(), *name);
            let once: BTreeSet<&str> = variables.iter().map(|v| v.name).collect();
            assert_eq!(once.len(), variables.len(), "{name}");
            let fits = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_';
            assert!(once.iter().all(|v| v.bytes().all(fits)), "{name}");
            assert!(
                for_kind(&provider(name), SecretKind::ApiKey).is_some(),
                "{name} takes no key"
            );
        }
    }

    #[test]
    fn a_token_and_a_key_have_the_variables_that_tell_them_apart() {
        use SecretKind::{ApiKey, Token};
        for (name, kind, variable) in [
            ("anthropic", Token, Some("ANTHROPIC_OAUTH_TOKEN")),
            ("anthropic", ApiKey, Some("ANTHROPIC_API_KEY")),
            ("chutes", Token, Some("CHUTES_OAUTH_TOKEN")),
            ("chutes", ApiKey, Some("CHUTES_API_KEY")),
            ("openrouter", Token, Some("OPENROUTER_API_KEY")),
            ("github-copilot", Token, Some("COPILOT_GITHUB_TOKEN")),
            ("azure", ApiKey, Some("AZURE_SPEECH_KEY")),
            ("nobody", ApiKey, None),
        ] {
            assert_eq!(for_kind(&provider(name), kind), variable, "{name}");
        }
    }
}
