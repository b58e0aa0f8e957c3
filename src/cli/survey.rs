//! What is there to link: OpenClaw, its configuration, and the profiles whose values are in the
//! vault. Ring 4; reads, writes nothing.

use super::app::App;
use super::opened::Opened;
use super::pins::resolver_args;
use super::record::{self, LaneName, LinkRecord};
use crate::error::{Error, Result};
use crate::openclaw::auth_state;
use crate::openclaw::config::Config;
use crate::openclaw::install::Install;
use crate::openclaw::link::{Held, Wanted};
use crate::openclaw::listing;
use crate::openclaw::places::Places;
use crate::openclaw::profiles::{ProfileKind, ProfilesFile};
use crate::openclaw::reference::SecretRef;
use crate::openclaw::version::{Lane, OrderHome};
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::secret::{SELECTION_PREFIX, SecretId, SecretKind};
use crate::store::{Meta, Store};
use crate::vault::slot::SlotKind;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Everything that a link depends on.
#[derive(Clone)]
pub struct Survey {
    /// The installed OpenClaw.
    pub install: Install,
    /// Its folders.
    pub places: Places,
    /// Its configuration.
    pub config: Config,
    /// The last link of this vault.
    pub record: Option<LinkRecord>,
    /// Profiles whose values are in the vault.
    pub wanted: Vec<Wanted>,
    /// Profiles in OpenClaw's stores that hold our refs.
    pub planted: Vec<Held>,
    /// Profiles in OpenClaw's stores that are not ours.
    pub foreign: Vec<Held>,
    /// Those of them that are OAuth logins.
    pub logins: Vec<Held>,
    /// Explicit orders.
    pub orders: BTreeMap<(AgentId, ProviderId), Vec<ProfileId>>,
    /// Arguments of the resolver.
    pub args: Vec<String>,
    /// Variables that it needs.
    pub pass_env: Vec<String>,
}

impl Survey {
    /// Looks at OpenClaw and the opened vault.
    ///
    /// # Errors
    /// `Missing` without OpenClaw; `Failed` for a version without refs; `Broken` where a file is not
    /// what it should be.
    pub fn take(app: &App, opened: &Opened, install: Install) -> Result<Self> {
        install.version().require_refs()?;
        let places = Places::find(&app.host)?;
        let config = Config::read(places.config())?;
        let record = LinkRecord::load(&app.dir)?;
        let (args, pass_env) = resolver(app, opened)?;
        let mut survey = Survey {
            args,
            pass_env,
            install,
            places,
            config,
            record,
            wanted: Vec::new(),
            planted: Vec::new(),
            foreign: Vec::new(),
            logins: Vec::new(),
            orders: BTreeMap::new(),
        };
        survey.own_profiles(app, opened)?;
        match survey.install.version().lane() {
            Lane::File => survey.openclaws_files()?,
            Lane::Plan => {
                survey.refuse_leftovers()?;
                survey.openclaws_listing()?;
                survey.openclaws_orders()?;
            }
        }
        Ok(survey)
    }

    /// Profiles noted by us, then those that only the vault still knows: an OpenClaw that was updated
    /// since has taken its auth-profiles.json away.
    fn own_profiles(&mut self, app: &App, opened: &Opened) -> Result<()> {
        let stored: BTreeMap<SecretId, Meta> = opened.list()?.into_iter().collect();
        // Several agents may refer to one value: what main has is theirs too.
        let mut noted = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for agent in record::agents(&app.dir, self.record.as_ref()) {
            let file = record::load_profiles(&app.dir, self.record.as_ref(), &agent)?;
            self.note_order(&agent, &file);
            for profile in file.profiles() {
                let id = profile
                    .reference
                    .as_ref()
                    .filter(|reference| reference.is_ours());
                let Some(id) = id.and_then(|reference| SecretId::parse(&reference.id).ok()) else {
                    continue;
                };
                // Whose credential it is, the vault says: an edited file could send one provider's
                // key to another.
                if let Some(meta) = stored.get(&id)
                    && meta.provider.as_ref() == Some(&profile.provider)
                    && noted.insert((agent.clone(), profile.id.clone()))
                {
                    seen.insert(id.clone());
                    self.wanted.push(wanted(
                        agent.clone(),
                        profile.id,
                        profile.provider,
                        id,
                        meta,
                    ));
                }
            }
        }
        // An update of OpenClaw takes its auth-profiles.json away, and an alias in the vault cannot
        // be read back into the profile that it stands for: the record knows what was planted.
        let planted = self.record.as_ref().map(LinkRecord::planted_profiles);
        for held in planted.unwrap_or_default() {
            let id = held.profile.secret_id(&held.agent);
            if let Some(meta) = stored.get(&id)
                && meta.provider.as_ref() == Some(&held.provider)
                && seen.insert(id.clone())
            {
                self.wanted
                    .push(wanted(held.agent, held.profile, held.provider, id, meta));
            }
        }
        for (id, meta) in &stored {
            let Some(provider) = meta.profile_of().cloned() else {
                continue;
            };
            let (agent, name) = match id
                .as_str()
                .strip_prefix("agent/")
                .and_then(|rest| rest.split_once('/'))
            {
                Some((agent, name)) => (AgentId::parse(agent)?, name),
                None => (AgentId::main(), id.as_str()),
            };
            let profile = ProfileId::parse(name)?;
            if !seen.contains(id) && profile.secret_id(&agent) == *id {
                self.wanted
                    .push(wanted(agent, profile, provider, id.clone(), meta));
            }
        }
        Ok(())
    }

    fn note_order(&mut self, agent: &AgentId, file: &ProfilesFile) {
        let providers: BTreeSet<ProviderId> = file
            .profiles()
            .into_iter()
            .map(|profile| profile.provider)
            .collect();
        for provider in providers {
            if let Some(order) = file.order(&provider) {
                self.orders.insert((agent.clone(), provider), order);
            }
        }
    }

    fn openclaws_files(&mut self) -> Result<()> {
        let in_state = self.install.version().order_home() == OrderHome::AuthState;
        for agent in self.agents()? {
            let path = self.places.auth_profiles(&agent, Some(&self.config));
            let Some(file) = ProfilesFile::load(&path)? else {
                continue;
            };
            let profiles = file.profiles();
            for profile in &profiles {
                let held = Held {
                    agent: agent.clone(),
                    profile: profile.id.clone(),
                    provider: profile.provider.clone(),
                };
                let ours = profile.reference.as_ref().is_some_and(SecretRef::is_ours);
                if profile.kind == ProfileKind::Oauth {
                    self.logins.push(held.clone());
                }
                if ours {
                    &mut self.planted
                } else {
                    &mut self.foreign
                }
                .push(held);
            }
            self.note_order(&agent, &file);
            if in_state {
                let state = self.places.auth_state(&agent, Some(&self.config));
                let providers: BTreeSet<_> = profiles
                    .into_iter()
                    .map(|profile| profile.provider)
                    .collect();
                for provider in providers {
                    if let Some(order) = auth_state::order_in_state(&state, &provider)? {
                        self.orders.insert((agent.clone(), provider), order);
                    }
                }
            }
        }
        Ok(())
    }

    /// The database is OpenClaw's own; its CLI says which profiles are in it, but not what they hold:
    /// ours are those that the record says we planted.
    fn openclaws_listing(&mut self) -> Result<()> {
        for agent in self.agents()? {
            for (profile, provider, is_login) in self.listed(&agent)? {
                let held = Held {
                    agent: agent.clone(),
                    profile,
                    provider,
                };
                if is_login {
                    self.logins.push(held.clone());
                }
                let ours = self
                    .record
                    .as_ref()
                    .is_some_and(|record| record.has_planted(&held.agent, &held.profile));
                if ours {
                    &mut self.planted
                } else {
                    &mut self.foreign
                }
                .push(held);
            }
        }
        // Another agent's listing shows main's profiles as well.
        let main: Vec<ProfileId> = self
            .foreign
            .iter()
            .chain(&self.planted)
            .filter(|held| held.agent.is_main())
            .map(|held| held.profile.clone())
            .collect();
        let inherited = |held: &Held| !held.agent.is_main() && main.contains(&held.profile);
        self.foreign.retain(|held| !inherited(held));
        Ok(())
    }

    /// Agents that have a folder, and those that have profiles in the vault.
    fn agents(&self) -> Result<BTreeSet<AgentId>> {
        let wanted = self.wanted.iter().map(|wanted| wanted.agent.clone());
        Ok(self.places.agents()?.into_iter().chain(wanted).collect())
    }

    /// A version with a database that still finds the file of an older one ignores it (2026.6.5 to
    /// 7.1) or refuses to work (from 2026.8.2), and would import it later over what a link made.
    fn refuse_leftovers(&self) -> Result<()> {
        for agent in self.agents()? {
            let path = self.places.auth_profiles(&agent, Some(&self.config));
            // Even an empty one.
            if path.exists() {
                return Err(listing::needs_doctor(format!(
                    "OpenClaw {} keeps profiles in its database, and {} of an older version is not \
                     imported yet",
                    self.install.version(),
                    path.display()
                )));
            }
        }
        Ok(())
    }

    /// The order of profiles as OpenClaw has it now, where it has profiles: a person may have
    /// changed it there since.
    fn openclaws_orders(&mut self) -> Result<()> {
        let held: BTreeSet<(AgentId, ProviderId)> = self
            .planted
            .iter()
            .chain(&self.foreign)
            .map(|held| (held.agent.clone(), held.provider.clone()))
            .filter(|(_, provider)| {
                let profiles = self
                    .wanted
                    .iter()
                    .filter(|wanted| wanted.provider == *provider);
                profiles.count() > 0
            })
            .collect();
        for (agent, provider) in held {
            // Where a link was made before, one that is gone there was taken away since.
            let is_known_there = self.record.as_ref().is_some_and(|record| {
                let mut theirs = self.planted.iter();
                record.lane == LaneName::Plan
                    && !record.is_pending()
                    && theirs.any(|held| held.agent == agent && held.provider == provider)
            });
            match listing::order(&self.install, &agent, &provider)? {
                Some(order) => {
                    self.orders.insert((agent, provider), order);
                }
                None if is_known_there => {
                    self.orders.remove(&(agent, provider));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// OpenClaw's own commands stop at a reference that nobody answers; what mends that is ours.
    fn explain(&self, error: Error) -> Error {
        let unanswered = self.config.refs().into_iter().find_map(|(_, reference)| {
            let name = reference.id.strip_prefix(SELECTION_PREFIX)?;
            let provider = ProviderId::parse(name).ok()?;
            let wanted = self.wanted.iter().any(|wanted| wanted.provider == provider);
            (reference.is_ours() && !wanted).then_some(provider)
        });
        match unanswered {
            Some(provider) => Error::failed(format!(
                "openclaw.json asks for a profile of {provider}, and the vault has none: OpenClaw does not run with that"
            ))
            .hint(format!("clawkeep models auth logout --provider {provider} --yes")),
            None => error,
        }
    }

    fn listed(&self, agent: &AgentId) -> Result<Vec<(ProfileId, ProviderId, bool)>> {
        listing::profiles(&self.install, agent).map_err(|error| self.explain(error))
    }

    /// Applies `--order PROVIDER=ID,ID`.
    ///
    /// # Errors
    /// `Usage` when it is malformed or names a profile that the provider does not have.
    pub fn set_orders(&mut self, flags: &[String]) -> Result<()> {
        for flag in flags {
            let wrong = || {
                Error::usage("--order is PROVIDER=ID,ID")
                    .hint("use --order anthropic=anthropic:work,anthropic:home")
            };
            let (provider, ids) = flag.split_once('=').ok_or_else(wrong)?;
            let provider = ProviderId::parse(provider)?;
            let ids = ids
                .split(',')
                .map(ProfileId::parse)
                .collect::<Result<Vec<_>>>()?;
            for id in &ids {
                let known = self
                    .wanted
                    .iter()
                    .any(|wanted| wanted.profile == *id && wanted.provider == provider)
                    || self
                        .foreign
                        .iter()
                        .any(|held| held.profile == *id && held.provider == provider);
                if !known {
                    return Err(Error::usage(format!(
                        "--order names a profile that {provider} does not have"
                    ))
                    .hint("clawkeep models auth list"));
                }
            }
            self.orders.insert((AgentId::main(), provider), ids);
        }
        Ok(())
    }

    /// The lane's name in the record.
    pub fn lane_name(&self) -> LaneName {
        match self.install.version().lane() {
            Lane::File => LaneName::File,
            Lane::Plan => LaneName::Plan,
        }
    }

    /// OpenClaw's auth-profiles.json of every agent that a plan touches.
    pub fn profile_paths(&self) -> BTreeMap<String, PathBuf> {
        self.wanted
            .iter()
            .map(|wanted| wanted.agent.clone())
            .chain([AgentId::main()])
            .map(|agent| {
                let path = self.places.auth_profiles(&agent, Some(&self.config));
                (agent.as_str().to_owned(), path)
            })
            .collect()
    }
}

fn wanted(
    agent: AgentId,
    profile: ProfileId,
    provider: ProviderId,
    id: SecretId,
    meta: &Meta,
) -> Wanted {
    let expires = meta.expires.filter(|_| meta.kind == SecretKind::Token);
    Wanted {
        agent,
        profile,
        provider,
        kind: meta.kind,
        id,
        expires,
    }
}

/// The arguments and the environment with which the resolver finds this vault.
///
/// # Errors
/// `Failed` when the folder's name is not UTF-8.
pub fn resolver(app: &App, opened: &Opened) -> Result<(Vec<String>, Vec<String>)> {
    Ok((resolver_args(&app.dir, &[opened.id()])?, pass_env(opened)))
}

/// What the resolver needs of the environment: nothing, unless the keychain has to be found.
fn pass_env(opened: &Opened) -> Vec<String> {
    let needs_keychain = match opened {
        Opened::Keychain(_) => true,
        Opened::Keeper(_) => false,
        Opened::File(vault) => vault
            .contents()
            .slots
            .iter()
            .any(|slot| slot.kind == SlotKind::Keychain),
    };
    if needs_keychain {
        keychain_env()
    } else {
        Vec::new()
    }
}

/// The variables without which the keychain is not found.
pub fn keychain_env() -> Vec<String> {
    ["HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"]
        .map(str::to_owned)
        .to_vec()
}
