//! What an agent chooses its profiles from: OpenClaw's files for it and for `main`, clawkeep's own notes,
//! and openclaw.json. Ring 4; reads, runs nothing, needs no vault.
//!
//! Promise: it is read as OpenClaw reads it where its files are the home of profiles; where that is its
//! database, [`Stores::in_database`] says so, and what is shown is what clawkeep noted.

use super::app::App;
use super::record::{self, LaneName, LinkRecord};
use crate::error::{Error, Result};
use crate::openclaw::auth_state;
use crate::openclaw::config::Config;
use crate::openclaw::places::Places;
use crate::openclaw::profiles::ProfilesFile;
use crate::openclaw::select::{Selector, Settings};
use crate::openclaw::version::{OrderHome, Version};
use crate::provider::{AgentId, ProfileId, ProviderId};
use std::path::{Path, PathBuf};

/// All that the choice of a profile depends on, but the time.
pub struct Stores {
    /// The link of this vault; without one nothing of OpenClaw's is read.
    pub link: Option<LinkRecord>,
    /// Profiles, orders and use: the agent's over those of `main`.
    pub profiles: ProfilesFile,
    /// What openclaw.json says.
    pub settings: Settings,
    /// The file that says it; `None` when nothing is linked.
    pub config: Option<Config>,
}

impl Stores {
    /// Reads what there is for `agent`, as the OpenClaw that was linked does.
    ///
    /// # Errors
    /// `Broken` when a file cannot be read as what it is.
    pub fn read(app: &App, agent: &AgentId) -> Result<Self> {
        let link = LinkRecord::load(&app.dir)?;
        let version = link
            .as_ref()
            .and_then(|link| Version::parse(&link.openclaw).ok());
        Self::read_as(app, agent, link, version.as_ref())
    }

    /// The same as that version does, which may have come after the link.
    ///
    /// # Errors
    /// As [`Stores::read`].
    pub fn read_as(
        app: &App,
        agent: &AgentId,
        link: Option<LinkRecord>,
        version: Option<&Version>,
    ) -> Result<Self> {
        let config = match &link {
            Some(link) => Some(Config::read(&link.config)?),
            None => None,
        };
        let in_state = version.is_some_and(|version| version.order_home() == OrderHome::AuthState);
        let of = |agent: &AgentId| {
            let path = link
                .as_ref()
                .filter(|link| link.reads_profiles())
                .and_then(|link| theirs(app, link, config.as_ref(), agent));
            of_one(app, path, in_state, agent)
        };
        let main = of(&AgentId::main())?;
        let profiles = if agent.is_main() {
            main
        } else {
            main.under(&of(agent)?)
        };
        let settings = config.as_ref().map(Settings::read).unwrap_or_default();
        Ok(Stores {
            link,
            profiles,
            settings,
            config,
        })
    }

    /// Every profile of theirs, and whose it is.
    pub fn known(&self) -> Vec<(ProfileId, ProviderId)> {
        let profiles = self.profiles.profiles().into_iter();
        profiles
            .map(|profile| (profile.id, profile.provider))
            .collect()
    }

    /// Ready to choose, now.
    pub fn selector(&self, app: &App) -> Selector<'_> {
        Selector::new(&self.profiles, &self.settings, app.host.now())
    }

    /// Whether one reference in openclaw.json stands for all profiles of the provider.
    pub fn selects(&self, provider: &ProviderId) -> bool {
        self.link
            .as_ref()
            .is_some_and(|link| link.selects(provider))
    }

    /// Whether OpenClaw's own order and its cooldowns lie in its database, which is not read here.
    pub fn in_database(&self) -> bool {
        self.link
            .as_ref()
            .is_some_and(|link| link.lane == LaneName::Plan)
    }
}

/// One agent's own: OpenClaw's file at `path`, where it reads one, and clawkeep's notes.
fn of_one(
    app: &App,
    path: Option<PathBuf>,
    in_state: bool,
    agent: &AgentId,
) -> Result<ProfilesFile> {
    let own = ProfilesFile::load(&record::own_profiles_path(&app.dir, agent))?;
    let Some(path) = path else {
        return Ok(own.unwrap_or_else(ProfilesFile::empty));
    };
    let mut theirs = ProfilesFile::load(&path)?.unwrap_or_else(ProfilesFile::empty);
    if in_state {
        theirs = auth_state::over(theirs, &auth_state::beside(&path))?;
    }
    Ok(match own {
        Some(own) => theirs.joined(&own),
        None => theirs,
    })
}

/// OpenClaw's own auth-profiles.json of the agent, where a version that has one keeps it.
pub fn theirs(
    app: &App,
    link: &LinkRecord,
    config: Option<&Config>,
    agent: &AgentId,
) -> Option<PathBuf> {
    link.theirs(agent).cloned().or_else(|| {
        // An agent for which nothing of ours is linked has a store all the same.
        let places = Places::find(&app.host).ok()?;
        Some(places.auth_profiles(agent, config))
    })
}

/// Refuses, in OpenClaw's words, a profile that `provider` does not have. `dir` is where it was looked
/// for.
///
/// # Errors
/// `Missing` without one of that name, `Failed` for another provider's.
pub fn require(
    known: &[(ProfileId, ProviderId)],
    id: &ProfileId,
    provider: &ProviderId,
    dir: &Path,
) -> Result<()> {
    let hint = || format!("clawkeep models auth list --provider {provider}");
    match known.iter().find(|(known, _)| known == id) {
        None => Err(Error::missing(format!(
            "Auth profile \"{id}\" not found in {}.",
            dir.display()
        ))
        .hint(hint())),
        Some((_, owner)) if owner != provider => Err(Error::failed(format!(
            "Auth profile \"{id}\" is for {owner}, not {provider}."
        ))
        .hint(hint())),
        Some(_) => Ok(()),
    }
}
