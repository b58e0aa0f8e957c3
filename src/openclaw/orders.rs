//! Every explicit order that a file holds, whoever's profiles it is of. Ring 2'; reads, writes nothing.
//!
//! auth-profiles.json and auth-state.json hold them alike, see [`super::order`]; openclaw.json has them
//! under `auth.order`.

use super::config::Config;
use super::document::Document;
use super::order;
pub use super::order::Ordered;
use crate::error::Result;
use crate::provider::ProviderId;
use std::path::Path;

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
    let keys = config.keys(&["auth", "order"]);
    keys.into_iter()
        .filter_map(|key| {
            let provider = ProviderId::parse(&key).ok()?;
            let ids = order::ids(&config.get(&["auth", "order", &key])?)?;
            Some((key, (provider, ids)))
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
