//! What the name of an environment variable says about its value. Ring 3; knows the table of providers
//! and OpenClaw's forms of several keys, no file.
//!
//! Source: OpenClaw's documentation of key rotation: `OPENCLAW_LIVE_<P>_KEY` before `<P>_API_KEYS`
//! (commas, semicolons, blanks between them) before the variables of the table, in their order, before
//! `<P>_API_KEY_*`.

use crate::openclaw::config::names_credential;
use crate::provider::variables::{Holds, VARIABLES};
use crate::provider::{self, ProviderId};
use crate::secret::{Secret, SecretKind};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The variables of OpenClaw's own gateway token, the newer name first.
pub const GATEWAY_TOKENS: [&str; 2] = ["OPENCLAW_GATEWAY_TOKEN", "CLAWDBOT_GATEWAY_TOKEN"];

/// Variables of the table that other programs read as often as OpenClaw does.
const SHARED: [&str; 2] = ["GH_TOKEN", "GITHUB_TOKEN"];

/// Ends of names behind `_API_KEY` that hold no key but say where something is.
const NO_KEYS: [&str; 6] = ["FILE", "PATH", "URL", "DIR", "BASE", "HELPER"];

/// The place of a variable among those of one provider: what sorts first is read first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rank {
    /// `OPENCLAW_LIVE_<P>_KEY`.
    Live,
    /// `<P>_API_KEYS`: several keys in one variable.
    List,
    /// A variable of the table, by its place there.
    Table(usize),
    /// `<P>_API_KEY_<rest>`.
    Numbered(String),
}

impl Rank {
    fn key(&self) -> (u8, usize, Option<u64>, &str) {
        match self {
            Rank::Live => (0, 0, None, ""),
            Rank::List => (1, 0, None, ""),
            Rank::Table(at) => (2, *at, None, ""),
            // 2 before 10, and both before a word.
            Rank::Numbered(rest) => (3, 0, Some(rest.parse().unwrap_or(u64::MAX)), rest),
        }
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// A provider that reads a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Who reads it.
    pub provider: ProviderId,
    /// What it is read as.
    pub holds: Holds,
    /// Its place among the provider's variables.
    pub rank: Rank,
}

/// What a variable's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// Keys of these providers, the likeliest owner first; never empty.
    Key(Vec<Reader>),
    /// The gateway's own token.
    GatewayToken,
    /// A secret by its name or shape; nobody here knows whose.
    Unknown,
    /// No credential.
    Nothing,
}

/// Where every name of the table stands, made once for a run.
pub struct Names {
    known: BTreeMap<&'static str, Vec<Reader>>,
    /// `ANTHROPIC` → its provider: what stands before `_API_KEYS` and the like.
    stems: BTreeMap<String, ProviderId>,
}

impl Default for Names {
    fn default() -> Self {
        Self::new()
    }
}

impl Names {
    /// The table, by name.
    pub fn new() -> Self {
        let mut known: BTreeMap<&'static str, Vec<Reader>> = BTreeMap::new();
        let mut stems = BTreeMap::new();
        for (name, variables) in VARIABLES {
            let Ok(provider) = ProviderId::parse(name) else {
                continue;
            };
            stems.insert(stem_of(name), provider.clone());
            for (at, variable) in variables.iter().enumerate() {
                known.entry(variable.name).or_default().push(Reader {
                    provider: provider.clone(),
                    holds: variable.holds,
                    rank: Rank::Table(at),
                });
            }
        }
        // `P_API_KEY` is P's. Else whose first variable it is owns it; among those, the one that is named as
        // the variable.
        for (name, readers) in &mut known {
            readers.sort_by_key(|reader| {
                let stem = stem_of(reader.provider.as_str());
                let is_own = name.strip_suffix("_API_KEY") == Some(&stem);
                let named = name.starts_with(&stem);
                let length = reader.provider.as_str().len();
                (!is_own, reader.rank.clone(), !named, length)
            });
        }
        // `GEMINI_API_KEYS` and `Z_AI_API_KEY_1` are as good as those with the provider's own name.
        for (name, readers) in &known {
            if let (Some(stem), Some(first)) = (name.strip_suffix("_API_KEY"), readers.first()) {
                stems
                    .entry(stem.to_owned())
                    .or_insert_with(|| first.provider.clone());
            }
        }
        Names { known, stems }
    }

    /// What the name and the look of a value say.
    pub fn meaning(&self, name: &str, value: &Secret) -> Meaning {
        if GATEWAY_TOKENS.contains(&name) {
            return Meaning::GatewayToken;
        }
        if let Some(readers) = self.known.get(name) {
            if readers.iter().all(|reader| reader.holds == Holds::Setting) {
                return Meaning::Nothing;
            }
            if !SHARED.contains(&name) {
                let keys = readers
                    .iter()
                    .filter(|reader| reader.holds != Holds::Setting);
                return Meaning::Key(keys.cloned().collect());
            }
            return Meaning::Unknown;
        }
        if let Some((provider, rank)) = self.several(name) {
            let holds = Holds::Any;
            return Meaning::Key(vec![Reader {
                provider,
                holds,
                rank,
            }]);
        }
        let named = is_named_as_secret(name) && is_no_setting(value);
        if named || looks_secret(value) {
            Meaning::Unknown
        } else {
            Meaning::Nothing
        }
    }

    /// OpenClaw's forms of several keys.
    fn several(&self, name: &str) -> Option<(ProviderId, Rank)> {
        let of = |stem: &str| self.stems.get(stem).cloned();
        let live = name.strip_prefix("OPENCLAW_LIVE_");
        if let Some(provider) = live.and_then(|rest| rest.strip_suffix("_KEY")).and_then(of) {
            return Some((provider, Rank::Live));
        }
        if let Some(provider) = name.strip_suffix("_API_KEYS").and_then(of) {
            return Some((provider, Rank::List));
        }
        let (stem, rest) = name.split_once("_API_KEY_")?;
        let last = rest.rsplit('_').next().unwrap_or_default();
        if rest.is_empty() || NO_KEYS.contains(&last) {
            return None;
        }
        Some((of(stem)?, Rank::Numbered(rest.to_owned())))
    }
}

/// Whether a variable is named like one that holds a secret; `MY_TOKENS` and `MY_KEY_2` are as well.
pub fn is_named_as_secret(name: &str) -> bool {
    names_credential(name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '_' | 'S')))
}

/// `google-vertex` → `GOOGLE_VERTEX`.
fn stem_of(provider: &str) -> String {
    provider.to_uppercase().replace(['-', '.', '/'], "_")
}

/// The keys in one variable: those of a list apart, each once.
pub fn split_list(text: &str) -> Vec<&str> {
    let mut keys: Vec<&str> = Vec::new();
    for key in text.split([',', ';', ' ', '\t', '\n', '\r']) {
        if !key.is_empty() && !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// Token or API key: what its variable is read as, and where that leaves it open, how it looks.
pub fn kind_of(holds: Holds, is_setup_token: bool) -> SecretKind {
    match holds {
        Holds::Token => SecretKind::Token,
        Holds::ApiKey | Holds::Any | Holds::Setting if is_setup_token => SecretKind::Token,
        Holds::ApiKey | Holds::Any | Holds::Setting => SecretKind::ApiKey,
    }
}

/// Whether a value with a secret's name could be one: not a path, an address, a number, a yes or no.
#[allow(
    clippy::disallowed_methods,
    reason = "looks, does not let the value out"
)]
fn is_no_setting(value: &Secret) -> bool {
    use secrecy::ExposeSecret;
    let text = value.expose_secret();
    let number = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let path = text.starts_with(['/', '~', '.']) && !text.contains(' ');
    let address = text.contains("://") && !text.contains('@');
    text.len() >= 8 && !number && !path && !address
}

/// Whether a value has the shape of a known provider's keys.
#[allow(
    clippy::disallowed_methods,
    reason = "looks, does not let the value out"
)]
fn looks_secret(value: &Secret) -> bool {
    use secrecy::ExposeSecret;
    provider::is_shaped_as_credential(value.expose_secret())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn meaning(name: &str) -> Meaning {
        Names::new().meaning(name, &Secret::stored("FAKE-0123456789").unwrap())
    }

    fn owner(name: &str) -> String {
        match meaning(name) {
            Meaning::Key(readers) => readers[0].provider.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_owner_of_a_variable_is_named_as_it_or_reads_it_first() {
        for (name, provider) in [
            ("ANTHROPIC_API_KEY", "anthropic"),
            ("OPENROUTER_API_KEY", "openrouter"),
            ("KIMI_API_KEY", "kimi"),
            ("QWEN_API_KEY", "qwen"),
            ("OPENCODE_API_KEY", "opencode"),
            ("OLLAMA_API_KEY", "ollama"),
            ("STEPFUN_API_KEY", "stepfun"),
            ("OPENAI_API_KEYS", "openai"),
            ("GEMINI_API_KEY_2", "google"),
            ("GOOGLE_API_KEYS", "google"),
            ("OPENCLAW_LIVE_ANTHROPIC_KEY", "anthropic"),
            ("VERCEL_AI_GATEWAY_API_KEYS", "vercel-ai-gateway"),
            ("MINIMAX_API_KEY", "minimax"),
            ("OPENCLAW_GATEWAY_TOKEN", "GatewayToken"),
            ("GITHUB_TOKEN", "Unknown"),
            ("MY_TOKEN", "Unknown"),
            ("AZURE_SPEECH_REGION", "Nothing"),
            ("OPENAI_API_KEY_FILE", "Nothing"),
            ("OPENAI_BASE_URL", "Nothing"),
            ("NOBODY_API_KEYS", "Unknown"),
        ] {
            assert_eq!(owner(name), provider, "{name}");
        }
    }

    #[test]
    fn what_is_read_first_sorts_first() {
        let numbered = |text: &str| Rank::Numbered(text.to_owned());
        let ranks = [
            Rank::Live,
            Rank::List,
            Rank::Table(0),
            Rank::Table(1),
            numbered("2"),
            numbered("10"),
            numbered("B"),
        ];
        for pair in ranks.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
        }
    }

    #[test]
    fn settings_are_no_secrets() {
        let names = Names::new();
        let looks = |name: &str, value: &str| names.meaning(name, &Secret::stored(value).unwrap());
        for (name, value) in [
            ("SSH_KEY", "/home/me/.ssh/id"),
            ("MAX_TOKEN", "4096000000"),
            ("USE_KEY", "true"),
            ("TOKEN", "https://example.com/token"),
            ("EDITOR", "FAKE-0123456789"),
        ] {
            assert_eq!(looks(name, value), Meaning::Nothing, "{name}");
        }
        let url = looks("DATABASE_PASSWORD", "https://me:FAKE@example.com");
        assert_eq!(url, Meaning::Unknown);
        let shaped = looks("ODD", "sk-proj-FAKE-0123456789");
        assert_eq!(shaped, Meaning::Unknown);
    }

    proptest! {
        #[test]
        fn any_name_has_a_meaning(name in "\\PC{0,24}|[A-Z]{1,9}_API_KEYS?(_[0-9A-Z]{0,3})?") {
            let _ = meaning(&name);
        }

        #[test]
        fn a_list_has_each_key_once(text in "[ab,; ]{0,20}") {
            let keys = split_list(&text);
            prop_assert!(keys.iter().all(|key| !key.is_empty()));
            let once: std::collections::BTreeSet<_> = keys.iter().collect();
            prop_assert_eq!(once.len(), keys.len());
        }
    }
}
