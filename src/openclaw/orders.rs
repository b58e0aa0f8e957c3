//! Every explicit order that a file holds, whoever's profiles it is of; and what is gone taken out of
//! one. Ring 2'.
//!
//! auth-profiles.json and auth-state.json hold them alike, see [`super::order`]; openclaw.json has them
//! under `auth.order`.
//!
//! Promise: what is taken out is taken out of the order as it is then, not of what it was.

use super::config::Config;
use super::document::Document;
use super::order;
pub use super::order::Ordered;
use crate::error::Result;
use crate::host::Host;
use crate::provider::{ProfileId, ProviderId};
use serde_json::{Map, Value};
use std::path::Path;

/// Profiles that OpenClaw takes from other programs' logins while it runs, and that no store of its own
/// holds: an order may name them all the same.
///
/// Source: `EXTERNAL_CLI_SYNC_PROVIDERS` of OpenClaw 2026.6.1, and the names of 2026.2.26.
const FROM_PROGRAMS: [&str; 6] = [
    "anthropic:claude-cli",
    "minimax-portal:minimax-cli",
    "openai-codex:codex-cli",
    "openai:codex-cli",
    "openai:default",
    "qwen-portal:qwen-cli",
];

/// Whether a profile may be there though no store has it.
pub fn is_from_a_program(id: &ProfileId) -> bool {
    FROM_PROGRAMS.contains(&id.as_str())
}

/// The orders in the auth-profiles.json or auth-state.json at `path`; none when there is no file.
///
/// # Errors
/// `Broken` when the file cannot be read.
pub fn in_file(path: &Path) -> Result<Vec<Ordered>> {
    let document = Document::load(path)?;
    Ok(document.map_or_else(Vec::new, |document| order::all(&document.root)))
}

/// The orders in openclaw.json, with the provider as it is spelled there.
pub fn in_config(config: &Config) -> Vec<(String, Ordered)> {
    let Some(Value::Object(orders)) = config.get(&["auth", "order"]) else {
        return Vec::new();
    };
    orders
        .into_iter()
        .filter_map(|(key, list)| {
            let provider = ProviderId::parse(&key).ok()?;
            let ids = order::ids(&list)?;
            Some((key, (provider, ids)))
        })
        .collect()
}

/// Takes `gone` out of an order in the auth-profiles.json or auth-state.json at `path`, under OpenClaw's
/// lock. An order of nothing else ends.
///
/// # Errors
/// On any error the file is as it was.
pub fn take_out(path: &Path, provider: &ProviderId, gone: &[ProfileId], host: &Host) -> Result<()> {
    if Document::load(path)?.is_none() {
        return Ok(());
    }
    let empty = || Document::new(Map::new());
    Document::edit(path, host, empty, |file| {
        let mut ids = order::get(&file.root, provider).unwrap_or_default();
        let before = ids.len();
        ids.retain(|id| !gone.contains(id));
        if ids.len() < before {
            order::set(&mut file.root, provider, &ids);
        }
        Ok(())
    })
}

/// The same in openclaw.json; the caller writes it.
///
/// # Errors
/// As [`Config::set`].
pub fn take_out_of_config(
    config: &mut Config,
    provider: &ProviderId,
    gone: &[ProfileId],
) -> Result<()> {
    for (key, (of, _)) in in_config(config) {
        let place = ["auth", "order", key.as_str()];
        let Some(Value::Array(mut list)) = config.get(&place).filter(|_| of == *provider) else {
            continue;
        };
        let before = list.len();
        list.retain(|id| {
            let id = id.as_str().and_then(|id| ProfileId::parse(id).ok());
            id.is_none_or(|id| !gone.contains(&id))
        });
        if list.is_empty() {
            config.remove_with_empty_parents(&place)?;
        } else if list.len() < before {
            config.set(&place, &Value::Array(list))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_found_and_what_is_none_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth-state.json");
        assert_eq!(in_file(&path).unwrap(), Vec::new());
        let text = r#"{"order":{"Mock ":["mock:a"," mock:b"],"empty":[],"odd":"x","":["y"]}}"#;
        crate::file::create(&path, text.as_bytes(), 0o600).unwrap();
        let found = in_file(&path).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0.as_str(), "mock");
        assert_eq!(found[0].1.len(), 2);
        let config = r#"{auth: {order: {Mock: ["mock:a"], other: 7}}}"#;
        let config = Config::parse(config.as_bytes(), &path).unwrap();
        let found = in_config(&config);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "Mock");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth-state.json");
        for text in ["", "[]", "{", "null", "{\"order\":"] {
            crate::file::replace(&path, text.as_bytes(), 0o600).unwrap();
            assert!(in_file(&path).is_err(), "{text}");
        }
        for text in ["{\"order\":7}", "{\"order\":{\"a\":{}}}", "{}"] {
            crate::file::replace(&path, text.as_bytes(), 0o600).unwrap();
            assert!(in_file(&path).unwrap().is_empty(), "{text}");
        }
    }

    #[test]
    fn only_what_is_gone_is_taken_out_of_what_is_there_now() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("agent");
        crate::file::private_dir(&folder).unwrap();
        let path = folder.join("auth-state.json");
        let host = Host::real();
        let id = |text: &str| ProfileId::parse(text).unwrap();
        let mock = ProviderId::parse("mock").unwrap();
        let gone = [id("mock:gone"), id("mock:old")];
        take_out(&path, &mock, &gone, &host).unwrap();
        assert!(!path.exists(), "no file is made");
        let text = r#"{"order":{"mock":["mock:new","mock:gone"],"x":["mock:gone"]},"lastGood":{"mock":"mock:gone"}}"#;
        crate::file::create(&path, text.as_bytes(), 0o600).unwrap();
        take_out(&path, &mock, &gone, &host).unwrap();
        let read = || serde_json::from_slice::<Value>(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(
            read(),
            serde_json::json!({"order": {"mock": ["mock:new"], "x": ["mock:gone"]}, "lastGood": {"mock": "mock:gone"}})
        );
        take_out(&path, &mock, &[id("mock:new")], &host).unwrap();
        assert!(read()["order"].get("mock").is_none());

        let text = r#"{auth: {order: {Mock: ["mock:new", "mock:gone", 7], x: ["mock:gone"]}}}"#;
        let mut config = Config::parse(text.as_bytes(), &path).unwrap();
        take_out_of_config(&mut config, &mock, &gone).unwrap();
        let order = |config: &Config| config.get(&["auth", "order"]).unwrap();
        let expected = serde_json::json!({"Mock": ["mock:new", 7], "x": ["mock:gone"]});
        assert_eq!(order(&config), expected);
        take_out_of_config(&mut config, &ProviderId::parse("x").unwrap(), &gone).unwrap();
        assert!(order(&config).get("x").is_none());
    }
}
