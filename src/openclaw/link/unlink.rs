//! Undoing a link: what goes, and what will be missing. Pure; reads and writes no file.

use super::{Edit, Held, borrowed, edited, secret_provider_path};
use crate::error::Result;
use crate::openclaw::config::Config;
use crate::openclaw::places::Places;
use crate::openclaw::reference::SecretRef;
use crate::openclaw::version::{Lane, Version};
use crate::provider::{AgentId, ProfileId, ProviderId};
use std::collections::BTreeMap;

/// What unlinking will do.
#[derive(Debug)]
pub struct Unlink {
    /// In the file lane the caller takes `profile_removals` out; in the plan lane
    /// [`super::apply_unlink`] has OpenClaw do it.
    pub lane: Lane,
    /// `openclaw.json` when the plan was made.
    pub before: Config,
    /// `openclaw.json` afterwards.
    pub after: Config,
    /// The changes between the two.
    pub edits: Vec<Edit>,
    /// Profiles that hold our refs, to be removed.
    pub profile_removals: Vec<Held>,
    /// Orders in OpenClaw's database that name nothing but `profile_removals`.
    pub orders: Vec<(AgentId, ProviderId)>,
    /// Places in `openclaw.json` that will hold nothing, with what they asked the vault for.
    pub missing: Vec<(String, SecretRef)>,
    /// Whole sentences for the person, without a full stop.
    pub notes: Vec<String>,
    /// OpenClaw's folders.
    pub places: Places,
}

/// Takes away our secret provider, every ref of ours in `openclaw.json`, `planted`, and those of
/// OpenClaw's `orders` that name nothing else.
///
/// # Errors
/// `Broken` where `openclaw.json` names a key on the way twice.
pub fn unlink(
    version: &Version,
    places: &Places,
    config: &Config,
    planted: &[Held],
    orders: &BTreeMap<(AgentId, ProviderId), Vec<ProfileId>>,
) -> Result<Unlink> {
    let mut edits = Vec::new();
    let mut missing = Vec::new();
    let mut notes = Vec::new();
    for (path, reference) in config.refs() {
        if !reference.is_ours() {
            continue;
        }
        let place = path.join(".");
        if place == "gateway.auth.token" {
            notes.push(
"the gateway has no token in its configuration now; OpenClaw then makes one for each \
                 run that no client knows. The old one stays in the vault: clawkeep link brings it back"
                    .to_owned(),
            );
        }
        missing.push((place, reference));
        edits.push(Edit { path, value: None });
    }
    if config.has(&borrowed(&secret_provider_path())) {
        edits.push(Edit {
            path: secret_provider_path(),
            value: None,
        });
    }
    let after = edited(config, &edits)?;
    for (path, _) in after.refs().iter().filter(|(_, left)| left.is_ours()) {
        // An element of a list: taking it out would move its neighbours.
        notes.push(format!(
            "{} still asks the vault; take it out by hand",
            path.join(".")
        ));
    }
    if !config.includes().is_empty() {
        notes.push(
            "openclaw.json takes parts from other files ($include); refs in those stay".to_owned(),
        );
    }
    if !planted.is_empty() {
        notes.push(
            "OpenClaw's profiles that held refs are removed, not emptied: it keeps no profile \
             without a credential"
                .to_owned(),
        );
    }
    Ok(Unlink {
        lane: version.lane(),
        before: config.clone(),
        after,
        edits,
        profile_removals: planted.to_vec(),
        orders: orders
            .iter()
            .filter(|((agent, _), ids)| {
                ids.iter().all(|id| {
                    let is_it = |held: &&Held| held.agent == *agent && held.profile == *id;
                    planted.iter().any(|held| is_it(&held))
                })
            })
            .map(|(key, _)| key.clone())
            .collect(),
        missing,
        notes,
        places: places.clone(),
    })
}
