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
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::secret::SecretId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

const NAME: &str = "link.json";
const MAX: usize = 64 * 1024;

/// How refs reach this OpenClaw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LaneName {
    /// OpenClaw reads profile refs from its own auth-profiles.json.
    File,
    /// They go through `openclaw secrets apply`.
    Plan,
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
        }
    }

    /// Notes which profiles we planted, those of an earlier link included: until OpenClaw has
    /// removed them they are still ours.
    pub fn planted(&mut self, held: &[Held], earlier: Option<&LinkRecord>) {
        let new = held.iter().map(|held| {
            (
                held.agent.to_string(),
                held.profile.to_string(),
                held.provider.to_string(),
            )
        });
        let old = earlier
            .into_iter()
            .flat_map(|record| record.planted.iter().cloned());
        let all: BTreeSet<_> = new.chain(old).collect();
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

    /// Whether OpenClaw's files refer to this profile, by its own id or by its provider's.
    pub fn covers(&self, provider: &ProviderId, id: &SecretId) -> bool {
        self.linked.contains(id.as_str()) || self.linked.contains(&provider.selection_id())
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
        Ok(serde_json::from_slice::<LinkRecord>(&bytes)
            .ok()
            .filter(|record| record.version == 1 && record.is_plausible()))
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
        file::replace(&dir.join(NAME), &text, 0o600)
    }

    /// Removes the record.
    ///
    /// # Errors
    /// `Failed` when the folder cannot be written.
    pub fn forget(dir: &Path) -> Result<()> {
        file::remove(&dir.join(NAME)).map(|_| ())
    }
}

/// The auth-profiles.json that is the home of an agent's profiles: OpenClaw's own where it reads
/// profile refs from there, otherwise the vault folder's.
pub fn profiles_path(dir: &Path, record: Option<&LinkRecord>, agent: &AgentId) -> PathBuf {
    record
        .filter(|record| record.lane == LaneName::File)
        .and_then(|record| record.profiles.get(agent.as_str()).cloned())
        .unwrap_or_else(|| own_profiles_path(dir, agent))
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

/// An agent's profiles; empty when there are none yet.
///
/// # Errors
/// `Broken` when the file cannot be read as what it is.
pub fn load_profiles(
    dir: &Path,
    record: Option<&LinkRecord>,
    agent: &AgentId,
) -> Result<ProfilesFile> {
    let path = profiles_path(dir, record, agent);
    Ok(ProfilesFile::load(&path)?.unwrap_or_else(ProfilesFile::empty))
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
