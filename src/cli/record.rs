//! `link.json` in the vault's folder: which OpenClaw is linked, and where profiles are noted. Ring 4.
//!
//! It is not secret and nothing trusts it: who edits it can send clawkeep to another
//! `auth-profiles.json`, which can only choose among one provider's own profiles, and to another
//! JSON5 file that has our entry of `secrets.providers`, in which only that entry's arguments are
//! set. Nothing that it names is run.

use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use crate::openclaw::link::Held;
use crate::openclaw::profiles::{self, ProfilesFile};
use crate::openclaw::version::Lane;
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::secret::SecretId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

const NAME: &str = "link.json";
/// Room for tens of thousands of profiles; a vault can hold no more.
const MAX: usize = 8 * 1024 * 1024;

/// The OpenClaw that asks for everything twice at its start.
pub const ASKS_TWICE: &str = "2026.2.26";

/// How refs reach this OpenClaw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LaneName {
    /// OpenClaw reads profile refs from its own auth-profiles.json.
    File,
    /// They go through `openclaw secrets apply`.
    Plan,
}

impl LaneName {
    /// The lane that it names.
    pub fn lane(self) -> Lane {
        match self {
            LaneName::File => Lane::File,
            LaneName::Plan => Lane::Plan,
        }
    }
}

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRecord {
    version: u32,
    /// How refs reach this OpenClaw.
    pub lane: LaneName,
    /// The version that was linked, as text.
    pub openclaw: String,
    /// In the file lane: OpenClaw's auth-profiles.json of every agent that was there.
    pub profiles: BTreeMap<String, PathBuf>,
    /// The openclaw.json that holds our entry.
    pub config: PathBuf,
    /// The program that OpenClaw calls.
    pub command: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables that OpenClaw hands on to it.
    #[serde(default)]
    pub pass_env: Vec<String>,
    /// Profiles that we planted in OpenClaw's stores: agent, profile, provider.
    #[serde(default)]
    planted: Vec<(String, String, String)>,
    /// Profiles and selection ids that OpenClaw's files refer to.
    pub linked: BTreeSet<String>,
    /// Whether it was made with `--config-refs`.
    #[serde(default)]
    pub config_refs: bool,
    /// The first link is being made: OpenClaw's files may refer to nothing yet, and profiles are
    /// still at home in the vault's folder.
    #[serde(default)]
    pending: bool,
}

impl LinkRecord {
    /// A new record.
    pub fn new(
        lane: LaneName,
        openclaw: String,
        config: PathBuf,
        command: PathBuf,
        args: Vec<String>,
        pass_env: Vec<String>,
    ) -> Self {
        LinkRecord {
            version: 1,
            lane,
            openclaw,
            profiles: BTreeMap::new(),
            config,
            command,
            args,
            pass_env,
            planted: Vec::new(),
            linked: BTreeSet::new(),
            config_refs: false,
            pending: false,
        }
    }

    /// Whether this OpenClaw asks for a value again while its gateway runs: with references in an
    /// auth-profiles.json, for each turn but the first (seen with 2026.6.1; not of 2026.2.26, which
    /// asks at its start alone).
    pub fn asks_for_each_turn(&self) -> bool {
        self.lane == LaneName::File && !self.planted.is_empty() && self.openclaw != ASKS_TWICE
    }

    /// What is noted before OpenClaw's files are touched: the link as it is (or that one is being
    /// made), with the profiles that are about to be planted. Who is cut off must be able to tell
    /// them from others.
    #[must_use]
    pub fn before(&self, earlier: Option<&LinkRecord>) -> LinkRecord {
        let mut record = earlier.cloned().unwrap_or_else(|| LinkRecord {
            pending: true,
            linked: BTreeSet::new(),
            ..self.clone()
        });
        let all: BTreeSet<_> = record
            .planted
            .drain(..)
            .chain(self.planted.iter().cloned())
            .collect();
        record.planted = all.into_iter().collect();
        record
    }

    /// Notes which profiles hold refs that we planted.
    pub fn planted<'a>(&mut self, held: impl IntoIterator<Item = &'a Held>) {
        let all: BTreeSet<_> = held
            .into_iter()
            .map(|held| {
                (
                    held.agent.to_string(),
                    held.profile.to_string(),
                    held.provider.to_string(),
                )
            })
            .collect();
        self.planted = all.into_iter().collect();
    }

    /// Whether we planted this profile.
    pub fn has_planted(&self, agent: &AgentId, profile: &ProfileId) -> bool {
        self.planted
            .iter()
            .any(|(of, id, _)| of == agent.as_str() && id == profile.as_str())
    }

    /// The profiles that we planted.
    pub fn planted_profiles(&self) -> Vec<Held> {
        self.planted
            .iter()
            .filter_map(|(agent, profile, provider)| {
                Some(Held {
                    agent: AgentId::parse(agent).ok()?,
                    profile: ProfileId::parse(profile).ok()?,
                    provider: ProviderId::parse(provider).ok()?,
                })
            })
            .collect()
    }

    /// Whether OpenClaw's files refer to this profile, by its own id or by its provider's. The
    /// provider's always means agent `main`.
    pub fn covers(&self, agent: &AgentId, provider: &ProviderId, id: &SecretId) -> bool {
        !self.pending
            && (self.linked.contains(id.as_str()) || (agent.is_main() && self.selects(provider)))
    }

    /// Whether one ref in openclaw.json stands for all profiles of the provider.
    pub fn selects(&self, provider: &ProviderId) -> bool {
        !self.pending && self.linked.contains(&provider.selection_id())
    }

    /// Whether a profile that is noted is thereby in OpenClaw's own file.
    pub fn notes_in(&self, agent: &AgentId, provider: &ProviderId) -> bool {
        !self.selects(provider) && self.theirs(agent).is_some()
    }

    /// The command that makes this link again.
    pub fn command_line(&self) -> &'static str {
        if super::pins::asks_keeper(&self.args) {
            "sudo clawkeep service uninstall --isolated; clawkeep link; sudo clawkeep service install --isolated"
        } else if self.config_refs {
            "clawkeep link --config-refs"
        } else {
            "clawkeep link"
        }
    }

    /// Whether the first link is only being made: OpenClaw may know nothing of ours yet.
    pub fn is_pending(&self) -> bool {
        self.pending
    }

    /// Whether this OpenClaw reads profile refs from its own auth-profiles.json.
    pub fn reads_profiles(&self) -> bool {
        self.lane == LaneName::File && !self.pending
    }

    /// OpenClaw's own auth-profiles.json of the agent, where it reads profile refs from there and the
    /// agent was linked.
    pub fn theirs(&self, agent: &AgentId) -> Option<&PathBuf> {
        let reads = self.reads_profiles();
        self.profiles.get(agent.as_str()).filter(|_| reads)
    }

    /// Reads the record; `None` when nothing is linked, or it is damaged (`clawkeep link` makes it
    /// again).
    ///
    /// # Errors
    /// `Broken` when something else stands in its place.
    pub fn load(dir: &Path) -> Result<Option<Self>> {
        let Some(bytes) = file::read(&dir.join(NAME), MAX, Privacy::Private)? else {
            return Ok(None);
        };
        Ok(Self::parse(&bytes))
    }

    /// The record in these bytes; `None` when they are none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice::<LinkRecord>(bytes)
            .ok()
            .filter(|record| record.version == 1 && record.is_plausible())
    }

    /// The openclaw.json that a record names, for root, who reads that of another user's vault.
    pub fn config_in(bytes: &[u8]) -> Option<PathBuf> {
        Self::parse(bytes).map(|record| record.config)
    }

    /// Whether it names the kind of files that a link names. It may come out of a backup or a shared
    /// folder that others wrote, and files are written where it says.
    fn is_plausible(&self) -> bool {
        let plain = |path: &Path| {
            path.is_absolute() && !path.components().any(|part| part == Component::ParentDir)
        };
        let profiles = self.profiles.iter().all(|(agent, path)| {
            AgentId::parse(agent).is_ok()
                && plain(path)
                && path.file_name() == Some(profiles::FILE_NAME.as_ref())
        });
        profiles && plain(&self.config) && plain(&self.command)
    }

    /// Writes the record.
    ///
    /// # Errors
    /// `Failed` when the folder cannot be written.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|_| Error::failed("link.json cannot be written as JSON"))?;
        text.push(b'\n');
        file::replace_beside(&dir.join(NAME), &text, 0o600)
    }

    /// Removes the record.
    ///
    /// # Errors
    /// `Failed` when the folder cannot be written.
    pub fn forget(dir: &Path) -> Result<()> {
        file::remove(&dir.join(NAME)).map(|_| ())
    }
}

/// Where a profile of the provider is noted: in OpenClaw's own auth-profiles.json where it reads
/// profile refs from there, otherwise in the vault folder's. A ref in both OpenClaw's configuration
/// and its profiles would be `REF_SHADOWED`.
pub fn profiles_path(
    dir: &Path,
    record: Option<&LinkRecord>,
    agent: &AgentId,
    provider: &ProviderId,
) -> PathBuf {
    record
        .filter(|record| !record.selects(provider))
        .and_then(|record| record.theirs(agent).cloned())
        .unwrap_or_else(|| own_profiles_path(dir, agent))
}

/// Every file in which an agent's profiles may be noted; the one that OpenClaw reads comes first.
pub fn homes(dir: &Path, record: Option<&LinkRecord>, agent: &AgentId) -> Vec<PathBuf> {
    let theirs = record.and_then(|record| record.theirs(agent).cloned());
    theirs
        .into_iter()
        .chain([own_profiles_path(dir, agent)])
        .collect()
}

/// The vault folder's own auth-profiles.json of an agent.
pub fn own_profiles_path(dir: &Path, agent: &AgentId) -> PathBuf {
    dir.join("agents")
        .join(agent.as_str())
        .join(profiles::FILE_NAME)
}

/// The agents that have profiles here, and `main`.
pub fn agents(dir: &Path, record: Option<&LinkRecord>) -> Vec<AgentId> {
    let own = std::fs::read_dir(dir.join("agents"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| AgentId::parse(entry.file_name().to_str()?).ok());
    let linked = record
        .into_iter()
        .flat_map(|record| record.profiles.keys())
        .filter_map(|agent| AgentId::parse(agent).ok());
    let mut agents: Vec<AgentId> = own.chain(linked).chain([AgentId::main()]).collect();
    agents.sort();
    agents.dedup();
    agents
}

/// An agent's profiles, wherever they are noted; empty when there are none yet. Not to be written
/// back: it is the sum of two files where OpenClaw reads profile refs from one of its own.
///
/// # Errors
/// `Broken` when a file cannot be read as what it is.
pub fn load_profiles(
    dir: &Path,
    record: Option<&LinkRecord>,
    agent: &AgentId,
) -> Result<ProfilesFile> {
    let own = ProfilesFile::load(&own_profiles_path(dir, agent))?;
    let theirs = match record.and_then(|record| record.theirs(agent)) {
        Some(path) => ProfilesFile::load(path)?,
        None => None,
    };
    Ok(match (theirs, own) {
        (Some(theirs), Some(own)) => theirs.joined(&own),
        (Some(file), None) | (None, Some(file)) => file,
        (None, None) => ProfilesFile::empty(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Option<LinkRecord> {
        let dir = tempfile::tempdir().unwrap();
        file::create(&dir.path().join(NAME), text.as_bytes(), 0o600).unwrap();
        LinkRecord::load(dir.path()).unwrap()
    }

    fn text(agent: &str, profiles: &str, config: &str) -> String {
        serde_json::json!({
            "version": 1, "lane": "file", "openclaw": "2026.6.1", "profiles": {agent: profiles},
            "config": config, "command": "/nowhere/clawkeep", "args": [], "linked": [],
        })
        .to_string()
    }

    #[test]
    fn a_record_that_names_other_files_than_a_link_does_counts_as_none() {
        let (profiles, config) = ("/nowhere/auth-profiles.json", "/nowhere/openclaw.json");
        assert!(load(&text("main", profiles, config)).is_some());
        for (agent, profiles, config) in [
            ("main", "/nowhere/.config/autostart/x.json", config),
            ("main", "auth-profiles.json", config),
            ("main", "/nowhere/../etc/auth-profiles.json", config),
            ("../main", profiles, config),
            ("main", profiles, "openclaw.json"),
            ("main", profiles, "/nowhere/../openclaw.json"),
        ] {
            assert!(
                load(&text(agent, profiles, config)).is_none(),
                "{profiles} {config}"
            );
        }
    }
}
