//! `link.json` in the vault's folder: which OpenClaw is linked, and where profiles are noted. Ring 4.
//!
//! It is not secret and nothing trusts it: who edits it can send clawkeep to another
//! `auth-profiles.json`, which can only choose among one provider's own profiles.

use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use crate::openclaw::profiles::{self, ProfilesFile};
use crate::provider::AgentId;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

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
    /// OpenClaw's state folder.
    pub state_dir: PathBuf,
    /// The openclaw.json that holds our entry.
    pub config: PathBuf,
    /// The program that OpenClaw calls.
    pub command: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Profiles and selection ids that OpenClaw's files refer to.
    pub linked: Vec<String>,
}

impl LinkRecord {
    /// A new record.
    pub fn new(lane: LaneName, openclaw: String, state_dir: PathBuf, config: PathBuf, command: PathBuf, args: Vec<String>) -> Self {
        LinkRecord { version: 1, lane, openclaw, state_dir, config, command, args, linked: Vec::new() }
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
        Ok(serde_json::from_slice::<LinkRecord>(&bytes).ok().filter(|record| record.version == 1))
    }

    /// Writes the record.
    ///
    /// # Errors
    /// `Failed` when the folder cannot be written.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|_| Error::failed("link.json cannot be written as JSON"))?;
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
    match record {
        Some(record) if record.lane == LaneName::File => {
            record.state_dir.join("agents").join(agent.as_str()).join("agent").join(profiles::FILE_NAME)
        }
        _ => own_profiles_path(dir, agent),
    }
}

/// The vault folder's own auth-profiles.json of an agent.
pub fn own_profiles_path(dir: &Path, agent: &AgentId) -> PathBuf {
    dir.join("agents").join(agent.as_str()).join(profiles::FILE_NAME)
}

/// The agents that have a home, and `main`.
pub fn agents(dir: &Path, record: Option<&LinkRecord>) -> Vec<AgentId> {
    let root = match record {
        Some(record) if record.lane == LaneName::File => record.state_dir.join("agents"),
        _ => dir.join("agents"),
    };
    let mut agents: Vec<AgentId> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| AgentId::parse(entry.file_name().to_str()?).ok())
        .filter(|agent| profiles_path(dir, record, agent).exists())
        .chain([AgentId::main()])
        .collect();
    agents.sort();
    agents.dedup();
    agents
}

/// An agent's profiles; empty when there are none yet.
///
/// # Errors
/// `Broken` when the file cannot be read as what it is.
pub fn load_profiles(dir: &Path, record: Option<&LinkRecord>, agent: &AgentId) -> Result<ProfilesFile> {
    let path = profiles_path(dir, record, agent);
    Ok(ProfilesFile::load(&path)?.unwrap_or_else(ProfilesFile::empty))
}
