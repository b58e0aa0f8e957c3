//! Everything that `models status` needs, gathered once. Ring 4; reads, writes nothing; asks nobody unless it
//! was told to.

use super::live;
use super::proving;
use super::vault::{State, Vault};
use crate::cli::app::App;
use crate::cli::args::ModelsStatus;
use crate::cli::elsewhere::{self, Asking, Reach};
use crate::cli::record::{self, LaneName, LinkRecord};
use crate::cli::stores::{self, Stores};
use crate::cli::variables::Variables;
use crate::error::{Kind, Result};
use crate::expiry;
use crate::migrate::item;
use crate::openclaw::auth_state;
use crate::openclaw::config::Config;
use crate::openclaw::custom::{self, Custom, Key};
use crate::openclaw::elsewhere::{Answer, Elsewhere, Holder, Reference};
use crate::openclaw::models::Models;
use crate::openclaw::places::Places;
use crate::openclaw::select;
use crate::openclaw::version::{Lane, OrderHome, Version};
use crate::openclaw::view::View;
use crate::provider::{AgentId, ProviderId};
use crate::status::{self, Facts, ProviderFacts, Report};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What counts as expiring where nobody says otherwise: 24 hours, as with OpenClaw.
const USUAL_WARNING_MS: i64 = 86_400_000;

/// Everything.
pub(super) struct Gathered {
    pub(super) agent: AgentId,
    /// The link of this vault.
    pub(super) link: Option<LinkRecord>,
    /// The OpenClaw that was linked; without a link the one that wrote openclaw.json last.
    pub(super) version: Option<Version>,
    pub(super) home: PathBuf,
    pub(super) state_dir: PathBuf,
    pub(super) config: Config,
    pub(super) agent_dir: PathBuf,
    /// OpenClaw's own store of the agent's profiles.
    pub(super) store: PathBuf,
    /// Every auth-profiles.json that was read.
    pub(super) read: Vec<PathBuf>,
    pub(super) in_database: bool,
    pub(super) warn_within: i64,
    pub(super) vault: Vault,
    pub(super) view: View,
    pub(super) models: Models,
    pub(super) customs: Vec<Custom>,
    pub(super) report: Report,
    pub(super) notes: Vec<String>,
}

impl Gathered {
    /// Looks.
    ///
    /// # Errors
    /// `Usage` for flags that cannot be, `Broken` for files that cannot be read as what they are, and what
    /// OpenClaw's command line gives with `--live`.
    pub(super) fn take(app: &App, args: &ModelsStatus) -> Result<Self> {
        let agent = AgentId::parse(&args.agent)?;
        let warn_within = match &args.warn_within {
            Some(text) => {
                let span = expiry::span(text, "--warn-within")?;
                i64::try_from(span.as_millis()).unwrap_or(USUAL_WARNING_MS)
            }
            None => USUAL_WARNING_MS,
        };
        let places = Places::find(&app.host)?;
        let link = LinkRecord::load(&app.dir)?;
        let mut notes = Vec::new();
        let linked = Linked::find(app, link, &places, &agent)?;
        let Read {
            view,
            settings,
            config,
            in_database,
            own_store,
        } = linked.read(app, args, &agent, &places)?;
        linked.say(args.live, in_database, &settings, &mut notes);
        let asks = args.probe && !args.check;
        let vault = Vault::look(app, asks);
        if let State::Broken(error) = &vault.state
            && error.kind() == Kind::Cancelled
        {
            return Err(error.clone());
        }
        let home = places.home().to_owned();
        let short = |path: &Path| item::short(path, &home);
        let models = Models::read(&config, &agent, linked.version.as_ref());
        let customs = custom::read(&config);
        let settled = config.clone();
        let variables = Variables::read(app, &places, &settled, &short, &mut notes);
        let mut gathered = Gathered {
            agent_dir: places.agent_dir(&agent, Some(&config)),
            store: store(app, &places, &agent, &config, &linked),
            read: files(app, linked.counts.as_ref(), &config, &agent),
            state_dir: places.state().to_owned(),
            report: status::report(Facts {
                now: app.host.now(),
                warn_within,
                providers: Vec::new(),
                used: Vec::new(),
                proof: status::Proof::Nothing,
                elsewhere: Vec::new(),
                requires_proof: false,
            }),
            agent,
            link: linked.record,
            version: linked.version,
            home: home.clone(),
            config,
            in_database,
            warn_within,
            vault,
            view,
            models,
            customs,
            notes,
        };
        let providers = gathered.providers(app, &settings, &variables);
        let ids = gathered.ids(&providers);
        let proof = if args.check {
            let config = gathered.link.as_ref().map(|_| &gathered.config);
            proving::as_gateway(app, &gathered.vault, config, &ids)
        } else {
            proving::by_list(&gathered.vault, &ids)
        };
        let elsewhere = elsewhere::ask(
            &Asking {
                app,
                config: &settled,
                version: gathered.version.as_ref(),
                variables: &variables,
                own_store: own_store.as_ref(),
                home: &home,
                reach: match (args.check, args.allow_exec) {
                    (false, _) => Reach::Look,
                    (true, false) => Reach::Check,
                    (true, true) => Reach::Run,
                },
            },
            &gathered.elsewhere(&providers),
        );
        gathered.note(&elsewhere);
        gathered.report = status::report(Facts {
            now: app.host.now(),
            warn_within,
            providers,
            used: gathered.models.used.clone(),
            proof,
            elsewhere,
            requires_proof: args.require_proof,
        });
        Ok(gathered)
    }

    /// A path for people.
    pub(super) fn short(&self, path: &Path) -> String {
        item::short(path, &self.home)
    }

    fn providers(
        &self,
        app: &App,
        settings: &select::Settings,
        variables: &Variables<'_>,
    ) -> Vec<ProviderFacts> {
        let now = app.host.now();
        let selector = select::Selector::of(&self.view, settings, now);
        let mut all: BTreeSet<ProviderId> = selector.providers().into_iter().collect();
        all.extend(self.customs.iter().map(|custom| custom.id.clone()));
        all.extend(self.models.known.iter().cloned());
        all.extend(variables.providers());
        // Found in its bundled code for 2026.9.6, and not in that of 2026.8.2.
        let config_first = self
            .version
            .as_ref()
            .is_some_and(|version| Version::parse("2026.9.6").is_ok_and(|from| *version >= from));
        let facts = all.into_iter().map(|id| {
            let selects = self.link.as_ref().is_some_and(|link| link.selects(&id));
            let selection = selector.select(&id, None);
            let stand_in = (selects && selection.next().is_none())
                .then(|| {
                    select::candidates_in(&self.view, &id, now)
                        .into_iter()
                        .next()
                })
                .flatten()
                .map(|profile| profile.id);
            let key = self.custom(&id).and_then(|custom| custom.key.clone());
            let key_is_set = match &key {
                Some(Key::Variable(name)) => variables.place(name).is_some(),
                _ => false,
            };
            ProviderFacts {
                variable: variables.of(&id),
                id,
                selection,
                stand_in,
                selects,
                key,
                key_is_set,
                config_first,
            }
        });
        facts
            .filter(|facts| {
                !facts.selection.candidates.is_empty()
                    || facts.variable.is_some()
                    || facts.key.is_some()
                    || self.models.used.contains(&facts.id)
            })
            .collect()
    }

    /// What openclaw.json says of the provider.
    pub(super) fn custom(&self, provider: &ProviderId) -> Option<&Custom> {
        self.customs.iter().find(|custom| custom.id == *provider)
    }

    /// Every id that OpenClaw asks the vault for.
    fn ids(&self, providers: &[ProviderFacts]) -> BTreeSet<String> {
        let profiles = providers.iter().flat_map(ProviderFacts::stored);
        // Where nobody is asked, one is as good as all.
        let most = match &self.vault.state {
            State::Open(_) => usize::MAX,
            State::Locked(_) | State::Broken(_) | State::Absent(_) => 1,
        };
        let mut ids: BTreeSet<String> = profiles
            .filter(|(_, profile)| status::is_ours(profile))
            .filter_map(|(_, profile)| Some(profile.reference.as_ref()?.id.clone()))
            .take(most)
            .collect();
        if self.link.is_some() {
            let refs = self.config.refs().into_iter();
            ids.extend(
                refs.filter(|(_, reference)| reference.is_ours())
                    .map(|(_, reference)| reference.id),
            );
        }
        ids
    }

    /// Every reference that somebody else answers, with where it stands.
    fn elsewhere(&self, providers: &[ProviderFacts]) -> BTreeSet<(Holder, Reference)> {
        let profiles = providers.iter().flat_map(ProviderFacts::stored);
        let mut all: BTreeSet<(Holder, Reference)> = profiles
            .filter(|(_, profile)| !status::is_ours(profile))
            .filter_map(|(_, profile)| {
                let reference = self.view.elsewhere(profile)?;
                Some((Holder::Profile(profile.id.clone()), reference))
            })
            .collect();
        all.extend(elsewhere::in_settings(&self.config, self.version.as_ref()));
        // A text in a key's place may name a variable too.
        all.extend(self.customs.iter().filter_map(|custom| {
            let Some(Key::Variable(name)) = &custom.key else {
                return None;
            };
            let path = format!("models.providers.{}.apiKey", custom.id);
            let is_object = self.config.has(&[
                "models",
                "providers",
                custom.id.as_str(),
                "apiKey",
                "source",
            ]);
            (!is_object).then(|| (Holder::Setting(path), Reference::to_variable(name)))
        }));
        all
    }

    /// Says each reason once why something is not known.
    fn note(&mut self, elsewhere: &[Elsewhere]) {
        for one in elsewhere {
            if let Answer::NotKnown { why, hint } = &one.answer {
                let note = format!("{why}. hint: {hint}");
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
            }
        }
    }
}

/// What was read.
struct Read {
    view: View,
    settings: select::Settings,
    config: Config,
    in_database: bool,
    /// The names in OpenClaw's own store of secrets, where it was asked.
    own_store: Option<BTreeSet<String>>,
}

/// Which OpenClaw is looked at.
struct Linked {
    /// openclaw.json, where one is looked at.
    config: Option<Config>,
    /// The link of this vault.
    record: Option<LinkRecord>,
    /// The same, or what a link would look at.
    counts: Option<LinkRecord>,
    version: Option<Version>,
    /// The version that wrote openclaw.json last.
    wrote_last: Option<Version>,
}

impl Linked {
    fn find(
        app: &App,
        record: Option<LinkRecord>,
        places: &Places,
        agent: &AgentId,
    ) -> Result<Self> {
        let path = record
            .as_ref()
            .map_or_else(|| places.config(), |record| &record.config);
        let config = Config::read(path)?;
        let wrote_last = config
            .string_at(&["meta", "lastTouchedVersion"])
            .and_then(|text| Version::parse(&text).ok());
        if let Some(record) = record {
            let version = Version::parse(&record.openclaw).ok();
            return Ok(Linked {
                config: Some(config),
                counts: Some(record.clone()),
                record: Some(record),
                version,
                wrote_last,
            });
        }
        let there = places.auth_profiles(agent, Some(&config)).is_file();
        let lane = match wrote_last.as_ref().map(Version::lane) {
            Some(Lane::Plan) => Some(LaneName::Plan),
            Some(Lane::File) => Some(LaneName::File),
            None => there.then_some(LaneName::File),
        };
        let counts = lane.map(|lane| {
            let version = wrote_last.as_ref().map(Version::to_string);
            LinkRecord::new(
                lane,
                version.unwrap_or_default(),
                path.to_owned(),
                app.dir.join("clawkeep"),
                Vec::new(),
                Vec::new(),
            )
        });
        Ok(Linked {
            config: counts.is_some().then_some(config),
            record: None,
            counts,
            version: wrote_last.clone(),
            wrote_last,
        })
    }

    /// Reads what there is: in the usual case by the short way.
    fn read(
        &self,
        app: &App,
        args: &ModelsStatus,
        agent: &AgentId,
        places: &Places,
    ) -> Result<Read> {
        let in_database = self
            .counts
            .as_ref()
            .is_some_and(|link| link.lane == LaneName::Plan);
        if let (Some(config), false) = (&self.config, args.live)
            && let Some(view) = self.read_at_once(app, agent, config)?
        {
            return Ok(Read {
                view,
                settings: select::Settings::read(config),
                config: config.clone(),
                in_database,
                own_store: None,
            });
        }
        let version = self.version.as_ref();
        let mut stores = Stores::read_as(app, agent, self.counts.clone(), version)?;
        let own_store = if args.live && in_database {
            live::take(app, args, agent, places, &mut stores)?
        } else {
            None
        };
        Ok(Read {
            view: View::of(&stores.profiles),
            settings: stores.settings,
            config: match stores.config {
                Some(config) => config,
                None => Config::read(places.config())?,
            },
            in_database,
            own_store,
        })
    }

    /// The profiles of main, where they lie in one file; `None` for what takes a closer look.
    fn read_at_once(&self, app: &App, agent: &AgentId, config: &Config) -> Result<Option<View>> {
        let Some(link) = self.counts.as_ref().filter(|_| agent.is_main()) else {
            return Ok(None);
        };
        let own = record::own_profiles_path(&app.dir, agent);
        if !link.reads_profiles() {
            return View::load(&own, None);
        }
        let Some(path) = stores::theirs(app, link, Some(config), agent) else {
            return Ok(None);
        };
        if own.exists() {
            return Ok(None);
        }
        let in_state = self
            .version
            .as_ref()
            .is_some_and(|version| version.order_home() == OrderHome::AuthState);
        let state = in_state.then(|| auth_state::beside(&path));
        View::load(&path, state.as_deref())
    }

    fn say(
        &self,
        is_live: bool,
        in_database: bool,
        settings: &select::Settings,
        notes: &mut Vec<String>,
    ) {
        if self.record.is_none() {
            notes.push(
                "OpenClaw is not linked: it asks this vault for nothing. hint: clawkeep link"
                    .to_owned(),
            );
        } else if let (Some(version), Some(last)) = (&self.version, &self.wrote_last)
            && version.lane() != last.lane()
        {
            notes.push(format!(
                "openclaw.json was last written by OpenClaw {last}, and {version} was linked: it may read other files now. hint: clawkeep link"
            ));
        }
        if in_database && !is_live {
            notes.push(
                "OpenClaw keeps its profiles, order, cooldowns and last errors in its database, which was not asked: this is what clawkeep noted. hint: clawkeep models status --live"
                    .to_owned(),
            );
        }
        if settings.includes() {
            notes.push("openclaw.json includes another file, which was not read".to_owned());
        }
    }
}

/// Where OpenClaw has the agent's profiles; our own notes where it knows nothing of them yet.
fn store(app: &App, places: &Places, agent: &AgentId, config: &Config, linked: &Linked) -> PathBuf {
    let profiles = places.auth_profiles(agent, Some(config));
    match linked.counts.as_ref().map(|counts| counts.lane) {
        Some(LaneName::Plan) => profiles.with_file_name("openclaw-agent.sqlite"),
        Some(LaneName::File) => profiles,
        None => record::own_profiles_path(&app.dir, agent),
    }
}

/// The auth-profiles.json that count for the agent and are there.
fn files(app: &App, link: Option<&LinkRecord>, config: &Config, agent: &AgentId) -> Vec<PathBuf> {
    let mut agents = vec![agent.clone()];
    if !agent.is_main() {
        agents.push(AgentId::main());
    }
    let reads = link.filter(|link| link.reads_profiles());
    let of = |agent: &AgentId| {
        let theirs = reads.and_then(|link| stores::theirs(app, link, Some(config), agent));
        let own = record::own_profiles_path(&app.dir, agent);
        theirs.into_iter().chain([own])
    };
    agents
        .iter()
        .flat_map(of)
        .filter(|path| path.is_file())
        .collect()
}
