//! `models auth order`: the order in which an agent tries a provider's profiles. Ring 4; needs no vault.
//!
//! It is kept where the installed OpenClaw reads it: in its auth-profiles.json or auth-state.json under
//! its own lock, or in its database by its own command line. In clawkeep's notes it is where OpenClaw has
//! no order of its own: nothing is linked, or one reference stands for all profiles of the provider.
//!
//! Promises: nothing is copied over what OpenClaw has; an order names only profiles that are there.

use super::app::App;
use super::args::OrderCommand;
use super::record::{self, LinkRecord};
use super::stores::{self, Stores};
use crate::error::{Error, Result};
use crate::openclaw::auth_state;
use crate::openclaw::config::Config;
use crate::openclaw::install::Install;
use crate::openclaw::profiles::{self, ProfilesFile};
use crate::openclaw::version::{OrderHome, Version};
use crate::openclaw::{link, listing};
use crate::provider::{AgentId, ProfileId, ProviderId};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Where an order lies.
enum Home {
    /// In the vault folder's auth-profiles.json.
    Notes(PathBuf),
    /// In OpenClaw's auth-profiles.json.
    Profiles(PathBuf),
    /// In its auth-state.json, or in the auth-profiles.json of a version before, which has not been
    /// written since.
    State { state: PathBuf, profiles: PathBuf },
    /// In its database.
    Database(Box<Install>, PathBuf),
}

/// The order of one provider's profiles.
struct Orders<'a> {
    app: &'a App,
    agent: &'a AgentId,
    provider: ProviderId,
    home: Home,
    stores: Stores,
}

/// Runs `models auth order`.
///
/// # Errors
/// `Missing` or `Failed` for profiles that the provider does not have, and what the files and OpenClaw
/// itself give.
pub fn run(app: &App, agent: &AgentId, command: &OrderCommand) -> Result<()> {
    let args = command.order();
    let provider = ProviderId::parse(&args.provider)?;
    let ids = match command {
        OrderCommand::Set(set) => unique(&set.profiles)?,
        OrderCommand::Get(_) | OrderCommand::Clear(_) => Vec::new(),
    };
    let orders = Orders::find(app, agent, provider, args.openclaw.as_deref())?;
    match command {
        OrderCommand::Get(_) => {
            let order = orders.get()?;
            orders.show(order.as_deref(), true)
        }
        OrderCommand::Set(_) => {
            orders.set(&ids)?;
            orders.show(Some(&ids), false)
        }
        OrderCommand::Clear(_) => {
            orders.clear()?;
            orders.show(None, false)
        }
    }
}

fn unique(texts: &[String]) -> Result<Vec<ProfileId>> {
    let mut ids = Vec::new();
    for text in texts {
        let id = ProfileId::parse(text)?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

impl<'a> Orders<'a> {
    fn find(
        app: &'a App,
        agent: &'a AgentId,
        provider: ProviderId,
        openclaw: Option<&Path>,
    ) -> Result<Self> {
        let link = LinkRecord::load(&app.dir)?.filter(|link| !link.is_pending());
        let notes = || Home::Notes(record::own_profiles_path(&app.dir, agent));
        let Some(link) = link else {
            return Ok(Orders {
                app,
                agent,
                provider,
                home: notes(),
                stores: Stores::read_as(app, agent, None, None)?,
            });
        };
        // An OpenClaw that was updated since reads its order where the new version does.
        let install = Install::find(&app.host, openclaw)?;
        let version = match &install {
            Some(install) => install.version().clone(),
            None => Version::parse(&link.openclaw)?,
        };
        let stores = Stores::read_as(app, agent, Some(link.clone()), Some(&version))?;
        let home = if link.selects(&provider) {
            if !agent.is_main() {
                return Err(Error::failed(format!(
                    "OpenClaw has one reference for all profiles of {provider}, and that follows the order of agent main"
                ))
                .hint(format!("clawkeep models auth order get --provider {provider}")));
            }
            notes()
        } else {
            theirs(app, &link, agent, &version, install)?
        };
        Ok(Orders {
            app,
            agent,
            provider,
            home,
            stores,
        })
    }

    /// The order as OpenClaw sees it: another agent without one of its own has that of main.
    fn get(&self) -> Result<Option<Vec<ProfileId>>> {
        match &self.home {
            Home::Database(install, _) => listing::order(install, self.agent, &self.provider),
            Home::Notes(_) | Home::Profiles(_) | Home::State { .. } => {
                Ok(self.stores.profiles.order(&self.provider))
            }
        }
    }

    fn set(&self, ids: &[ProfileId]) -> Result<()> {
        let dir = self.place().parent().unwrap_or(Path::new("/"));
        let known = match &self.home {
            Home::Database(install, _) => {
                let listed = listing::profiles(install, self.agent)?;
                listed.into_iter().map(|(id, of, _)| (id, of)).collect()
            }
            Home::Notes(_) | Home::Profiles(_) | Home::State { .. } => self.stores.known(),
        };
        for id in ids {
            stores::require(&known, id, &self.provider, dir)?;
        }
        let (provider, host) = (&self.provider, &self.app.host);
        match &self.home {
            Home::Notes(path) | Home::Profiles(path) => profiles::edit(path, host, |file| {
                file.set_order(provider, ids);
                Ok(())
            }),
            Home::State { state, .. } => {
                auth_state::set_order_in_state(state, provider, Some(ids), host).map(|_| ())
            }
            Home::Database(install, _) => {
                link::put_order(install, self.agent, provider, Some(ids))?;
                self.note(Some(ids))
            }
        }
    }

    fn clear(&self) -> Result<()> {
        let (provider, host) = (&self.provider, &self.app.host);
        match &self.home {
            Home::Notes(path) | Home::Profiles(path) => self.clear_in(path),
            Home::State { state, profiles } => {
                // What stands in the older file would count again.
                self.clear_in(profiles)?;
                auth_state::set_order_in_state(state, provider, None, host).map(|_| ())
            }
            Home::Database(install, _) => {
                link::put_order(install, self.agent, provider, None)?;
                self.note(None)
            }
        }
    }

    fn clear_in(&self, path: &Path) -> Result<()> {
        let has_one = |file: ProfilesFile| file.order(&self.provider).is_some();
        if !ProfilesFile::load(path)?.is_some_and(has_one) {
            return Ok(());
        }
        profiles::edit(path, &self.app.host, |file| {
            file.clear_order(&self.provider);
            Ok(())
        })
    }

    /// What OpenClaw's database has now is noted beside the profiles that are noted, for commands that
    /// do not ask it.
    fn note(&self, ids: Option<&[ProfileId]>) -> Result<()> {
        let path = record::own_profiles_path(&self.app.dir, self.agent);
        let Some(ids) = ids else {
            return self.clear_in(&path);
        };
        if ProfilesFile::load(&path)?.is_none() {
            return Ok(());
        }
        profiles::edit(&path, &self.app.host, |file| {
            file.set_order(&self.provider, ids);
            Ok(())
        })
    }

    fn place(&self) -> &Path {
        match &self.home {
            Home::Notes(path) | Home::Profiles(path) | Home::Database(_, path) => path,
            Home::State { state, .. } => state,
        }
    }

    fn show(&self, order: Option<&[ProfileId]>, asked: bool) -> Result<()> {
        let ui = self.app.ui;
        let place = self.place();
        let key = match self.home {
            Home::Notes(_) | Home::Profiles(_) => "authStorePath",
            Home::State { .. } | Home::Database(..) => "authStatePath",
        };
        if ui.is_json() {
            let ids = order.map(|ids| ids.iter().map(ProfileId::as_str).collect::<Vec<_>>());
            ui.document(&json!({
                "agentId": self.agent.as_str(),
                "agentDir": place.parent().map(|dir| dir.display().to_string()),
                "provider": self.provider.as_str(),
                key: place.display().to_string(),
                "order": ids,
            }))?;
        } else {
            ui.data(&format!("Agent: {}", self.agent))?;
            ui.data(&format!("Provider: {}", self.provider))?;
            if asked {
                let what = match self.home {
                    Home::Notes(_) | Home::Profiles(_) => "Auth file",
                    Home::State { .. } => "Auth state file",
                    Home::Database(..) => "Auth state store",
                };
                ui.data(&super::ui::plain(&format!("{what}: {}", place.display())))?;
            }
            ui.data(&match order {
                Some(ids) => {
                    super::ui::plain(&format!("Order override: {}", ProfileId::listed(ids)))
                }
                None if asked => "Order override: (none)".to_owned(),
                None => "Cleared per-agent order override.".to_owned(),
            })?;
        }
        let link = self.stores.link.as_ref();
        if !asked && link.is_some_and(|link| link.selects(&self.provider)) {
            ui.say("A running gateway follows it after: openclaw secrets reload");
        }
        Ok(())
    }
}

/// Where the linked OpenClaw keeps the order of a provider whose profiles hold references.
fn theirs(
    app: &App,
    link: &LinkRecord,
    agent: &AgentId,
    version: &Version,
    install: Option<Install>,
) -> Result<Home> {
    let config = Config::read(&link.config)?;
    let profiles = stores::theirs(app, link, Some(&config), agent)
        .ok_or_else(|| Error::failed("there is no home folder, and so no OpenClaw"))?;
    let order_home = version.order_home();
    if order_home != OrderHome::Cli && !profiles.parent().is_some_and(Path::is_dir) {
        return Err(
            Error::missing(format!("OpenClaw has no agent {agent} with a folder"))
                .hint("openclaw agents list"),
        );
    }
    let state = auth_state::beside(&profiles);
    Ok(match (order_home, install) {
        (OrderHome::AuthProfiles, _) => Home::Profiles(profiles),
        (OrderHome::AuthState, _) => Home::State { state, profiles },
        (OrderHome::Cli, Some(install)) => {
            let store = profiles.with_file_name("openclaw-agent.sqlite");
            Home::Database(Box::new(install), store)
        }
        (OrderHome::Cli, None) => {
            return Err(Error::missing(format!(
                "OpenClaw {version} keeps orders in its database, and there is no openclaw on PATH to ask"
            ))
            .hint("name the folder that holds openclaw.mjs: --openclaw DIR"));
        }
    })
}
