//! `models.providers` of openclaw.json: where a provider's requests go, and what stands for its key there.
//! Ring 2'; pure: a configuration in, names out; never a value.
//!
//! Source: OpenClaw 2026.6.1 and 2026.9.6, `src/agents/model-auth.ts` (`getCustomProviderApiKey`) and
//! `model-auth-markers.ts` (texts that are no keys).

use crate::openclaw::config::Config;
use crate::openclaw::plaintext::is_placeholder;
use crate::openclaw::reference::SECRET_PROVIDER;
use crate::provider::ProviderId;

/// Texts in a key's place that say how a provider is asked, and are no keys.
const MARKERS: [&str; 6] = [
    "secretref-managed",
    "ollama-local",
    "custom-local",
    "codex-app-server",
    "gcp-vertex-credentials",
    "minimax-oauth",
];

/// What stands in the key's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// A reference of ours, to this id.
    Ours(String),
    /// A reference of source `exec` or `file` to somebody else, with the id.
    Elsewhere(&'static str, String),
    /// A variable.
    Variable(String),
    /// A value in the clear.
    Plaintext,
    /// A word that is no key.
    Marker,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Custom {
    /// The provider.
    pub id: ProviderId,
    /// What stands in the key's place; `None` when nothing does.
    pub key: Option<Key>,
    /// Where requests go, as written.
    pub base_url: Option<String>,
    /// The protocol that is spoken there: `anthropic-messages`.
    pub api: Option<String>,
}

/// Every entry whose name is a provider's, in the file's order.
pub fn read(config: &Config) -> Vec<Custom> {
    let names = config.keys(&["models", "providers"]);
    names
        .into_iter()
        .filter_map(|name| {
            let text = |key: &str| {
                let text = config.string_at(&["models", "providers", &name, key])?;
                let text = text.trim();
                (!text.is_empty()).then(|| text.to_owned())
            };
            Some(Custom {
                id: ProviderId::parse(&name).ok()?,
                key: key(config, &name),
                base_url: text("baseUrl"),
                api: text("api"),
            })
        })
        .collect()
}

fn key(config: &Config, name: &str) -> Option<Key> {
    let at = ["models", "providers", name, "apiKey"];
    if let Some(text) = config.string_at(&at) {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        if let Some(variable) = variable(text) {
            return Some(Key::Variable(variable.to_owned()));
        }
        let marker = MARKERS.contains(&text) || text.starts_with("oauth:") || is_placeholder(text);
        return Some(if marker { Key::Marker } else { Key::Plaintext });
    }
    let part = |key| {
        let text = config.string_at(&[&at[..], &[key]].concat())?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let (source, id) = (part("source")?, part("id")?);
    match source.as_str() {
        "env" => Some(Key::Variable(id)),
        "exec" if part("provider").as_deref() == Some(SECRET_PROVIDER) => Some(Key::Ours(id)),
        "exec" => Some(Key::Elsewhere("exec", id)),
        "file" => Some(Key::Elsewhere("file", id)),
        "store" => Some(Key::Elsewhere("store", id)),
        _ => None,
    }
}

/// `${NAME}`, `$NAME` and the marker of older versions name a variable.
fn variable(text: &str) -> Option<&str> {
    let name = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .or_else(|| text.strip_prefix('$'))
        .or_else(|| text.strip_prefix("secretref-env:"))?;
    let fits = (1..=128).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    fits.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    fn of(text: &str) -> Vec<Custom> {
        let config = Config::parse(text.as_bytes(), Path::new("/nowhere/openclaw.json")).unwrap();
        read(&config)
    }

    #[test]
    fn a_key_is_told_from_what_stands_for_one() {
        for (key, wanted) in [
            ("'sk-FAKE'", Some(Key::Plaintext)),
            ("' '", None),
            ("'${FAKE_KEY}'", Some(Key::Variable("FAKE_KEY".to_owned()))),
            ("'$FAKE_KEY'", Some(Key::Variable("FAKE_KEY".to_owned()))),
            ("'$fake'", Some(Key::Plaintext)),
            ("'secretref-managed'", Some(Key::Marker)),
            (
                "{source:'env',provider:'default',id:'FAKE_KEY'}",
                Some(Key::Variable("FAKE_KEY".to_owned())),
            ),
            (
                "{source:'exec',provider:'clawkeep',id:'provider/a'}",
                Some(Key::Ours("provider/a".to_owned())),
            ),
            (
                "{source:'exec',provider:'other',id:'x'}",
                Some(Key::Elsewhere("exec", "x".to_owned())),
            ),
            (
                "{source:'file',provider:'other',id:'/x'}",
                Some(Key::Elsewhere("file", "/x".to_owned())),
            ),
            ("{source:'odd',provider:'other',id:'/x'}", None),
            ("{source:'exec'}", None),
            ("7", None),
            ("null", None),
        ] {
            let found = of(&format!("{{models:{{providers:{{a:{{apiKey:{key}}}}}}}}}"));
            assert_eq!(found[0].key, wanted, "{key}");
        }
    }

    #[test]
    fn entries_of_no_provider_are_passed_over() {
        let found = of(
            "{models:{providers:{'a b':{},mock:{baseUrl:' https://x/v1 ',api:'openai-completions'}}}}",
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].base_url.as_deref(), Some("https://x/v1"));
        assert_eq!(found[0].api.as_deref(), Some("openai-completions"));
        assert!(of("{models:{providers:[]}}").is_empty());
    }

    proptest! {
        #[test]
        fn whatever_stands_there_is_read_and_no_value_is_kept(value in "sk-[a-z0-9]{20}", name in "\\PC{0,8}") {
            let config = serde_json::json!({"models": {"providers": {name: {"apiKey": value}}}});
            let kept = format!("{:?}", of(&config.to_string()));
            prop_assert!(!kept.contains(&value));
        }
    }
}
