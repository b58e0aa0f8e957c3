//! `models.providers` of openclaw.json: where a provider's requests go, and what stands for its key there.
//! Ring 2'; pure: a configuration in, names out; never a value.
//!
//! Source: OpenClaw 2026.6.1 and 2026.9.6, `src/agents/model-auth.ts` (`getCustomProviderApiKey`) and
//! `model-auth-markers.ts` (texts that are no keys).

use crate::openclaw::config::Config;
use crate::openclaw::elsewhere::{Reference, Source, variable};
use crate::openclaw::plaintext::is_placeholder;
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
    /// A reference that somebody else answers, but for one to a variable.
    Elsewhere(Reference),
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
    let reference = Reference {
        source: Source::parse(&part("source")?)?,
        provider: part("provider"),
        id: part("id")?,
    };
    Some(match reference.source {
        Source::Env => Key::Variable(reference.id),
        _ if reference.is_ours() => Key::Ours(reference.id),
        _ => Key::Elsewhere(reference),
    })
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

    fn elsewhere(source: Source, id: &str) -> Key {
        Key::Elsewhere(Reference {
            source,
            provider: Some("other".to_owned()),
            id: id.to_owned(),
        })
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
                Some(elsewhere(Source::Exec, "x")),
            ),
            (
                "{source:'file',provider:'other',id:'/x'}",
                Some(elsewhere(Source::File, "/x")),
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
