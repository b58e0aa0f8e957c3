//! auth-state.json: where OpenClaw 2026.4.7 to 2026.6.1 keep the order of profiles. Ring 2'.
//!
//! Source: OpenClaw 2026.6.1, `src/agents/auth-profiles/{state,store,path-constants}.ts`. The file
//! lies beside auth-profiles.json and holds `{"version":1,"order":{…},"lastGood":{…},
//! "usageStats":{…}}`, each optional. It is written by `savePersistedAuthProfileState`, which
//! `updateAuthProfileStoreWithLock` calls under the lock of *auth-profiles.json*
//! (`auth-profiles.json.lock`); it has no lock of its own. Its entries win over those of
//! auth-profiles.json provider by provider, so an order is gone only when neither file has it.
//!
//! Promise: only the order of the named provider is changed.

use crate::error::Result;
use crate::host::Host;
use crate::openclaw::document::Document;
use crate::openclaw::order;
use crate::openclaw::profiles::ProfilesFile;
use crate::provider::{ProfileId, ProviderId};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The file's name, beside auth-profiles.json.
pub const FILE_NAME: &str = "auth-state.json";

/// The one beside this auth-profiles.json.
pub fn beside(profiles: &Path) -> PathBuf {
    profiles.with_file_name(FILE_NAME)
}

/// The order stored for `provider` in the auth-state.json at `path`; `None` when there is none, or
/// no such file.
///
/// # Errors
/// `Broken` when the file cannot be read.
pub fn order_in_state(path: &Path, provider: &ProviderId) -> Result<Option<Vec<ProfileId>>> {
    Ok(Document::load(path)?.and_then(|state| order::get(&state.root, provider)))
}

/// `profiles` with the order and the use that the auth-state.json at `path` has laid over its own. For
/// reading; nothing changes where there is no such file.
///
/// # Errors
/// `Broken` when the file cannot be read.
pub fn over(mut profiles: ProfilesFile, path: &Path) -> Result<ProfilesFile> {
    if let Some(state) = Document::load(path)? {
        profiles.state_under(&state.root);
    }
    Ok(profiles)
}

/// Stores the order of `provider` in the auth-state.json at `path`, or clears it (`None`), under
/// OpenClaw's lock. `false` when that changed nothing; then nothing is written.
///
/// # Errors
/// On any error the file is as it was.
pub fn set_order_in_state(
    path: &Path,
    provider: &ProviderId,
    ids: Option<&[ProfileId]>,
    host: &Host,
) -> Result<bool> {
    if ids.is_none() && Document::load(path)?.is_none() {
        return Ok(false);
    }
    let empty = || {
        let mut root = Map::new();
        root.insert("version".to_owned(), Value::from(1));
        Document::new(root)
    };
    Document::edit(path, host, empty, |state| {
        let before = order::get(&state.root, provider);
        order::set(&mut state.root, provider, ids.unwrap_or_default());
        Ok(before != order::get(&state.root, provider))
    })
}

#[cfg(test)]
mod tests;
