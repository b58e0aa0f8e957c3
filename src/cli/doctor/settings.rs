//! What openclaw.json says of agents' shells, of protocols and of other files. Ring 4; reads.
//!
//! Promise: the file is gone through a fixed number of times, however much is in it.

use crate::openclaw::config::{Config, Leaf};
use serde_json::Value;
use std::collections::BTreeMap;

/// What OpenClaw calls a shell, in `tools.deny`.
const SHELLS: [&str; 4] = ["exec", "bash", "group:runtime", "*"];

/// Whether a part of what is at `path` may come from a file that the configuration includes.
pub(super) fn includes(config: &Config, path: &[&str]) -> bool {
    let is_on_the_way = |at: &Vec<String>| at.iter().zip(path).all(|(a, b)| a == b);
    config.includes().iter().any(is_on_the_way)
}

/// The texts of a list.
pub(super) fn texts(config: &Config, path: &[&str]) -> Vec<String> {
    let list = config.get(path);
    let texts = list
        .as_ref()
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    texts.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Which protocol each provider is spoken to with, where it is said.
pub(super) fn apis(config: &Config) -> BTreeMap<String, String> {
    let is_word = |api: &str| api.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let found = words_at(config, &["models", "providers", "*", "api"]).into_iter();
    found
        .filter(|(_, api)| api.len() <= 64 && is_word(api))
        .filter_map(|(path, api)| Some((path.get(2)?.clone(), api)))
        .collect()
}

/// Every text at a path of that form, `*` for any key, with its path. One reading, however many there
/// are.
fn words_at(config: &Config, form: &[&str]) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    config.leaves(|path, leaf| {
        let fits = path.len() == form.len()
            && path
                .iter()
                .zip(form)
                .all(|(key, name)| *name == "*" || key == name);
        if let (true, Leaf::Text(text)) = (fits, leaf) {
            found.push((path.to_vec(), text.to_owned()));
        }
    });
    found
}

/// Whether agents have a shell of the gateway's own user, a clause.
///
/// Source: OpenClaw 2026.9.6, docs/gateway/sandbox-vs-tool-policy-vs-elevated.md: `off` is the default,
/// `non-main` leaves the main session on the host; `tools.deny` wins over all.
pub(super) fn open_shell(config: &Config) -> Option<String> {
    let denied = texts(config, &["tools", "deny"]);
    if denied.iter().any(|tool| SHELLS.contains(&tool.trim())) {
        return None;
    }
    let mode = config.string_at(&["agents", "defaults", "sandbox", "mode"]);
    let mode = mode.as_ref().map_or("off", |mode| mode.as_str());
    let own = own_modes(config);
    if mode != "all" {
        return Some("agents have a shell outside a sandbox".to_owned());
    }
    if own.iter().any(|own| own != "all") {
        return Some("an agent has a shell outside a sandbox".to_owned());
    }
    let host = config.string_at(&["tools", "exec", "host"]);
    host.is_some_and(|host| host.as_str() == "gateway")
        .then(|| "agents run commands on the gateway's host".to_owned())
}

/// The sandbox modes of single agents, where they have their own.
fn own_modes(config: &Config) -> Vec<String> {
    let mut modes = words_at(config, &["agents", "entries", "*", "sandbox", "mode"]);
    modes.extend(words_at(
        config,
        &["agents", "list", "*", "sandbox", "mode"],
    ));
    modes.into_iter().map(|(_, mode)| mode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn config(text: &str) -> Config {
        Config::parse(text.as_bytes(), Path::new("/nowhere/openclaw.json")).unwrap()
    }

    #[test]
    fn a_shell_outside_a_sandbox_is_seen() {
        for (text, open) in [
            ("{}", true),
            ("{agents:{defaults:{sandbox:{mode:'off'}}}}", true),
            ("{agents:{defaults:{sandbox:{mode:'non-main'}}}}", true),
            ("{agents:{defaults:{sandbox:{mode:'all'}}}}", false),
            (
                "{agents:{defaults:{sandbox:{mode:'all'}},entries:{a:{sandbox:{mode:'off'}}}}}",
                true,
            ),
            (
                "{agents:{defaults:{sandbox:{mode:'all'}},list:[{id:'a',sandbox:{mode:'off'}}]}}",
                true,
            ),
            (
                "{agents:{defaults:{sandbox:{mode:'all'}},list:[{id:'a'}]}}",
                false,
            ),
            (
                "{agents:{defaults:{sandbox:{mode:'all'}}},tools:{exec:{host:'gateway'}}}",
                true,
            ),
            ("{tools:{deny:['exec']}}", false),
            ("{tools:{deny:['group:runtime']}}", false),
            ("{tools:{deny:['browser']}}", true),
            ("{agents:{defaults:{sandbox:{mode:7}}}}", true),
        ] {
            assert_eq!(open_shell(&config(text)).is_some(), open, "{text}");
        }
    }

    #[test]
    fn only_words_of_a_protocol_are_kept() {
        let text = "{models:{providers:{a:{api:'openai-completions'},b:{api:'x y'},c:{}}}}";
        let found = apis(&config(text));
        assert_eq!(found.len(), 1);
        assert_eq!(found["a"], "openai-completions");
    }

    #[test]
    fn a_configuration_is_read_once_however_much_is_in_it() {
        let agents: Vec<Value> = (0..3000)
            .map(|n| serde_json::json!({"id": n.to_string(), "sandbox": {"mode": "all"}}))
            .collect();
        let orders: BTreeMap<String, Value> = (0..3000)
            .map(|n| (format!("p{n}"), serde_json::json!(["x:1", "x:2"])))
            .collect();
        let providers: BTreeMap<String, Value> = (0..3000)
            .map(|n| {
                (
                    format!("p{n}"),
                    serde_json::json!({"api": "x", "auth": "aws-sdk"}),
                )
            })
            .collect();
        let text = serde_json::json!({
            "agents": {"defaults": {"sandbox": {"mode": "all"}}, "list": agents},
            "auth": {"order": orders},
            "models": {"providers": providers},
        });
        let config = config(&text.to_string());
        // Read again for each of them it would take minutes, and the test would not end in time.
        assert_eq!(open_shell(&config), None);
        assert_eq!(apis(&config).len(), 3000);
        assert_eq!(crate::openclaw::orders::in_config(&config).len(), 3000);
        let _ = crate::openclaw::select::Settings::read(&config);
    }
}
