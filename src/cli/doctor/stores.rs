//! Profiles and their explicit orders, in OpenClaw's stores and in our own folder. Ring 4; reads. Works
//! on a locked vault: none of it is secret.

use super::gather::not_known;
use super::plain::Plain;
use super::settings::includes;
use super::theirs::{Theirs, noted};
use crate::cli::app::App;
use crate::cli::record::{self, LinkRecord};
use crate::doctor::facts::{OrderFact, ProfileFact, ProfileHome, Trouble};
use crate::doctor::{Known, NotKnown, OrderFile};
use crate::openclaw::elsewhere::{Holder, Reference};
use crate::openclaw::install::Install;
use crate::openclaw::orders::Ordered;
use crate::openclaw::profiles::{Expires, Profile, ProfileKind, ProfilesFile};
use crate::openclaw::select::Settings;
use crate::openclaw::version::Lane;
use crate::openclaw::{listing, orders};
use crate::provider::{AgentId, ProfileId, ProviderId};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What was found.
pub(super) struct Seen {
    pub(super) profiles: Known<Vec<ProfileFact>>,
    pub(super) orders: Vec<Known<OrderFact>>,
    /// References in profiles that others answer.
    pub(super) elsewhere: BTreeSet<(Holder, Reference)>,
}

/// Looks. A file that cannot be read is noted in `broken`.
pub(super) fn take(
    app: &App,
    theirs: &Theirs,
    install: &Known<Install>,
    plain: &Plain,
    broken: &mut Vec<Trouble>,
) -> Seen {
    let mut stores = Stores {
        profiles: Vec::new(),
        elsewhere: plain.elsewhere.clone(),
        orders: Vec::new(),
    };
    for agent in record::agents(&app.dir, theirs.record.as_ref()) {
        let path = record::own_profiles_path(&app.dir, &agent);
        stores.file(&agent, &path, ProfileHome::Own, broken);
    }
    let agents = noted(theirs.places.agents().map(Some), broken).unwrap_or_default();
    let there = match theirs.lane {
        Some(Lane::File) => {
            for agent in &agents {
                let path = theirs.places.auth_profiles(agent, Some(&theirs.config));
                stores.file(agent, &path, ProfileHome::OpenClaw, broken);
                let state = theirs.places.auth_state(agent, Some(&theirs.config));
                let found = noted(orders::in_file(&state).map(Some), broken);
                stores.orders(agent, found.unwrap_or_default(), &state, OrderFile::State);
            }
            Ok(None)
        }
        Some(Lane::Plan) => {
            stores.database(theirs, plain);
            stores.database_orders(theirs, install)
        }
        None => Ok(None),
    };
    stores.config_orders(theirs, &there);
    let orders = if broken.is_empty() {
        stores.judged(&there, &Settings::read(&theirs.config))
    } else if stores.orders.is_empty() {
        Vec::new()
    } else {
        // A profile that cannot be seen is not gone.
        vec![Err(not_known("a file cannot be read"))]
    };
    Seen {
        profiles: Ok(stores.profiles),
        orders,
        elsewhere: stores.elsewhere,
    }
}

/// What OpenClaw's own list names, where it was asked.
type Named = Known<Option<Vec<ProfileId>>>;

struct Stores {
    profiles: Vec<ProfileFact>,
    elsewhere: BTreeSet<(Holder, Reference)>,
    orders: Vec<Known<(OrderFact, bool)>>,
}

impl Stores {
    fn file(&mut self, agent: &AgentId, path: &Path, home: ProfileHome, broken: &mut Vec<Trouble>) {
        let Some(file) = noted(ProfilesFile::load(path), broken) else {
            return;
        };
        for profile in file.profiles() {
            let reference = file.reference(&profile.id).filter(|one| !one.is_ours());
            if let (Some(reference), ProfileHome::OpenClaw) = (reference, home) {
                let holder = Holder::Profile(profile.id.clone());
                self.elsewhere.insert((holder, reference));
            }
            self.profiles.push(fact(agent, profile, home));
        }
        self.orders(agent, file.orders(), path, OrderFile::Profiles);
    }

    fn orders(&mut self, agent: &AgentId, found: Vec<Ordered>, path: &Path, home: OrderFile) {
        for (provider, ids) in found {
            self.order(agent, provider, ids, path.to_owned(), home);
        }
    }

    fn order(
        &mut self,
        agent: &AgentId,
        provider: ProviderId,
        ids: Vec<ProfileId>,
        path: PathBuf,
        home: OrderFile,
    ) {
        let fact = OrderFact {
            agent: agent.clone(),
            provider,
            ids,
            there: Vec::new(),
            path,
            home,
        };
        self.orders.push(Ok((fact, home == OrderFile::Config)));
    }

    /// What is known of OpenClaw's databases without its command line.
    fn database(&mut self, theirs: &Theirs, plain: &Plain) {
        let planted = theirs.record.as_ref().map(LinkRecord::planted_profiles);
        for held in planted.unwrap_or_default() {
            let ours = held.profile.secret_id(&held.agent).to_string();
            self.profiles.push(ProfileFact {
                agent: held.agent,
                id: held.profile,
                provider: held.provider,
                ours: Some(ours),
                misplaced: None,
                home: ProfileHome::OpenClaw,
                is_login: false,
                expires: None,
            });
        }
        for (agent, id, provider, is_login) in &plain.rows {
            self.profiles.push(ProfileFact {
                agent: agent.clone(),
                id: id.clone(),
                provider: provider.clone(),
                ours: None,
                misplaced: None,
                home: ProfileHome::OpenClaw,
                is_login: *is_login,
                expires: None,
            });
        }
    }

    /// The orders in OpenClaw's databases. Its command line is slow, so it is asked only where it has
    /// profiles of ours, or openclaw.json an order of its own.
    fn database_orders(&mut self, theirs: &Theirs, install: &Known<Install>) -> Named {
        let planted = theirs
            .record
            .as_ref()
            .map(LinkRecord::planted_profiles)
            .unwrap_or_default();
        if planted.is_empty() && !theirs.config.has(&["auth", "order"]) {
            return Ok(None);
        }
        let install = install.as_ref().map_err(Clone::clone)?;
        let said = |error: crate::error::Error| NotKnown(error.message().to_owned());
        let mut agents: BTreeSet<AgentId> = planted.iter().map(|held| held.agent.clone()).collect();
        agents.insert(AgentId::main());
        let mut named = Vec::new();
        for agent in &agents {
            let listed = listing::profiles(install, agent).map_err(said)?;
            named.extend(listed.into_iter().map(|(id, _, _)| id));
        }
        let pairs: BTreeSet<_> = planted
            .into_iter()
            .map(|held| (held.agent, held.provider))
            .collect();
        for (agent, provider) in pairs {
            match listing::order(install, &agent, &provider) {
                Ok(Some(ids)) => {
                    let path = theirs.places.agent_dir(&agent, Some(&theirs.config));
                    self.order(&agent, provider, ids, path, OrderFile::Database);
                }
                Ok(None) => {}
                Err(error) => self.orders.push(Err(said(error))),
            }
        }
        Ok(Some(named))
    }

    fn config_orders(&mut self, theirs: &Theirs, named: &Named) {
        if includes(&theirs.config, &["auth", "order"]) {
            let said = theirs.config.path().display();
            self.orders.push(Err(NotKnown(format!(
                "{said} includes another file, which is not read"
            ))));
        }
        for (_, (provider, ids)) in orders::in_config(&theirs.config) {
            if theirs.lane.is_none() {
                self.orders
                    .push(Err(not_known("OpenClaw was not found on PATH")));
            } else if let Err(reason) = named {
                self.orders.push(Err(reason.clone()));
            } else {
                let path = theirs.config.path().to_owned();
                self.order(&AgentId::main(), provider, ids, path, OrderFile::Config);
            }
        }
    }

    /// Each order with those of its profiles that are there: an agent has main's as well, and an order
    /// in the configuration is everybody's.
    fn judged(&self, named: &Named, settings: &Settings) -> Vec<Known<OrderFact>> {
        let mut judged = Vec::new();
        if let Err(reason) = named {
            judged.push(Err(reason.clone()));
        }
        let listed = named.as_ref().ok().and_then(Option::as_ref);
        for order in &self.orders {
            judged.push(order.clone().map(|(mut order, is_everybodys)| {
                let has = |id: &ProfileId| {
                    orders::is_from_a_program(id)
                        || settings.is_aws(id, &order.provider)
                        || listed.is_some_and(|listed| listed.contains(id))
                        || self.profiles.iter().any(|profile| {
                            let counts = is_everybodys
                                || profile.agent == order.agent
                                || profile.agent.is_main();
                            counts && profile.id == *id
                        })
                };
                order.there = order.ids.iter().filter(|id| has(id)).cloned().collect();
                order
            }));
        }
        judged
    }
}

fn fact(agent: &AgentId, profile: Profile, home: ProfileHome) -> ProfileFact {
    ProfileFact {
        agent: agent.clone(),
        id: profile.id,
        provider: profile.provider,
        ours: profile
            .reference
            .filter(crate::openclaw::reference::SecretRef::is_ours)
            .map(|reference| reference.id),
        misplaced: profile.misplaced.map(|field| (field, profile.kind)),
        home,
        is_login: profile.kind == ProfileKind::Oauth,
        expires: match profile.expires {
            Expires::Never => None,
            Expires::At(at) => Some(Some(at)),
            Expires::Invalid => Some(None),
        },
    }
}
