//! Credentials in files that OpenClaw makes of others, or that an import left behind. Ring 2'; pure.
//!
//! Their shapes are those of the files that they came from, of all versions; so every string counts
//! that is named or shaped as a credential, wherever it stands.

use super::names::means_credential;
use super::{Found, What, is_placeholder};
use crate::openclaw::config::{Config, Shown};
use zeroize::Zeroizing;

/// The fields of a profile that hold a value, whatever its length.
const FIELDS: [&str; 7] = [
    "key", "apiKey", "api_key", "token", "access", "refresh", "idToken",
];

pub(super) fn find(config: &Config) -> Vec<Found> {
    let mut found = Vec::new();
    config.values(|at, shown| {
        let Shown::Text(text) = shown else {
            return false;
        };
        let field = at
            .path
            .last()
            .is_some_and(|key| FIELDS.contains(&key.as_str()));
        if !is_placeholder(text) && (field || means_credential(at.path, text)) {
            found.push(Found {
                path: at.path.to_vec(),
                value: Zeroizing::new(text.to_owned()),
                what: What::Copied,
            });
        }
        false
    });
    found
}
