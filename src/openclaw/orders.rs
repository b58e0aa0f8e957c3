//! Every explicit order that a file holds, whoever's profiles it is of. Ring 2'; reads, writes nothing.
//!
//! auth-profiles.json and auth-state.json hold them alike, see [`super::order`]; openclaw.json has them
//! under `auth.order`.

use super::config::Config;
use super::document::Document;
use super::order;
use crate::error::Result;
use crate::provider::{ProfileId, ProviderId};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// An order and whose profiles it is of.
pub type Ordered = (ProviderId, Vec<ProfileId>);

/// The orders in the auth-profiles.json or auth-state.json at `path`; none when there is no file.
///
/// # Errors
/// `Broken` when the file cannot be read.
pub fn in_file(path: &Path) -> Result<Vec<Ordered>> {
    let Some(document) = Document::load(path)? else {
        return Ok(Vec::new());
    };
    let keys = document.root.get("order").and_then(Value::as_object);
    let providers: BTreeSet<ProviderId> = keys
        .into_iter()
        .flatten()
        .filter_map(|(key, _)| ProviderId::parse(key).ok())
        .collect();
    Ok(providers
        .into_iter()
        .filter_map(|provider| {
            let ids = order::get(&document.root, &provider)?;
            Some((provider, ids))
        })
        .collect())
}

/// The orders in openclaw.json, with the provider as it is spelled there.
pub fn in_config(config: &Config) -> Vec<(String, Ordered)> {
    let keys = config.keys(&["auth", "order"]);
    keys.into_iter()
        .filter_map(|key| {
            let provider = ProviderId::parse(&key).ok()?;
            let list = config.get(&["auth", "order", &key])?;
            let ids: Vec<ProfileId> = list
                .as_array()?
                .iter()
                .filter_map(|id| ProfileId::parse(id.as_str()?).ok())
                .collect();
            (!ids.is_empty()).then_some((key, (provider, ids)))
        })
        .collect()
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
}
