//! What there is to migrate: sources, what is found in them, and the plan. Ring 4; reads, changes
//! nothing.

use super::lanes::Lanes;
use super::undoing;
use crate::cli::app::App;
use crate::cli::args::Migrate;
use crate::cli::opened::Opened;
use crate::error::Result;
use crate::migrate::digest::Digest;
use crate::migrate::find::Found;
use crate::migrate::item::{self, Unseen};
use crate::migrate::plan::{self, Access, Facts, Known, Plan};
use crate::migrate::read::Read;
use crate::migrate::source::{self, Folders};
use crate::migrate::{config, plan::Conflict};
use crate::openclaw::config::Config;
use crate::openclaw::database;
use crate::openclaw::link;
use crate::openclaw::places::Places;
use crate::openclaw::version::Lane;
use crate::provider::{AgentId, ProfileId};
use crate::secret::SecretId;
use crate::store::{Resolve, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A value in a database: whose, under which name, and what stands for it.
type StoredRow = (AgentId, ProfileId, Digest);

/// Everything that was found.
pub(super) struct Listed {
    /// OpenClaw's folders.
    pub places: Places,
    /// Its configuration.
    pub config: Config,
    /// Files that were read.
    pub reads: Vec<Read>,
    /// Databases, behind the files in the list of sources.
    pub databases: Vec<PathBuf>,
    /// What was found in them.
    pub found: Found,
    /// Values of the vault that once stood in plaintext, by name.
    pub marked: Vec<(String, Digest)>,
    /// What the vault has.
    known: Vec<Known>,
    /// Variables that openclaw.json reads where no reference of ours can stand.
    needed: BTreeMap<String, String>,
    home: PathBuf,
}

impl Listed {
    /// Looks through everything.
    ///
    /// # Errors
    /// `Usage` for a named path that is nothing to look through; `Broken` when openclaw.json cannot be
    /// read.
    pub(super) fn take(
        app: &App,
        args: &Migrate,
        lanes: &Lanes,
        opened: Option<&Opened>,
    ) -> Result<Self> {
        let places = Places::find(&app.host)?;
        let config = Config::read(places.config())?;
        let home = app.host.home()?;
        let named = args
            .paths
            .iter()
            .map(|path| app.host.absolute(path))
            .collect::<Result<Vec<_>>>()?;
        let config_home = app
            .host
            .path_var("XDG_CONFIG_HOME")
            .unwrap_or_else(|| home.join(".config"));
        let sources = source::all(&Folders {
            places: &places,
            config: Some(&config),
            home: &home,
            config_home: &config_home,
            current: &app.host.absolute(Path::new("."))?,
            named: &named,
        })?;
        let mut listed = Listed {
            places,
            config,
            reads: Vec::new(),
            databases: Vec::new(),
            found: Found::new()?,
            marked: Vec::new(),
            known: Vec::new(),
            needed: BTreeMap::new(),
            home,
        };
        listed.reads = listed.found.files(&sources, args.rc);
        if let Some(opened) = opened {
            listed.know(opened, lanes)?;
        }
        listed.rows(lanes)?;
        config::variables(
            &listed.config,
            &listed.reads,
            &mut listed.found,
            &mut listed.needed,
        );
        if let Some(opened) = opened
            && let Some(before) = undoing::config_before(app, opened, listed.places.config())?
        {
            config::resumed(&before, &listed.config, &mut listed.found);
        }
        // In the order of the sources, whatever was found when.
        listed.found.items.sort_by_key(|item| item.source);
        Ok(listed)
    }

    /// What the vault has, with the profiles that its names stand for.
    fn know(&mut self, opened: &Opened, lanes: &Lanes) -> Result<()> {
        let wanted = lanes.survey().map(|survey| survey.wanted.as_slice());
        let wanted = wanted.unwrap_or_default();
        let profiles: BTreeMap<&SecretId, _> = wanted
            .iter()
            .map(|one| (&one.id, (one.agent.clone(), one.profile.clone())))
            .collect();
        for (id, meta) in opened.list()? {
            let Some((value, _)) = opened.get(&id)? else {
                continue;
            };
            let profile = meta.profile_of().and_then(|provider| {
                let (agent, profile) = match profiles.get(&id) {
                    Some(known) => known.clone(),
                    None => profile_of(&id)?,
                };
                Some((agent, profile, provider.clone()))
            });
            let value = self.found.values.keep(value);
            if meta.was_plaintext {
                self.marked.push((id.to_string(), value));
            }
            self.known.push(Known {
                id,
                profile,
                kind: meta.kind,
                expires: meta.expires,
                value,
            });
        }
        Ok(())
    }

    /// What stands for each value that the vault had, by name.
    pub(super) fn known(&self) -> BTreeMap<&SecretId, Digest> {
        let known = self.known.iter();
        known.map(|known| (&known.id, known.value)).collect()
    }

    /// Whether OpenClaw's databases hold other values than were listed, or fewer.
    ///
    /// # Errors
    /// As reading them.
    pub(super) fn has_other_rows(&self, lanes: &Lanes) -> Result<bool> {
        let now = self.rows_now(lanes)?;
        Ok(now.is_some_and(|now| now != self.rows_then()))
    }

    /// Whether OpenClaw's databases hold a value that was not listed: to take away what was listed would
    /// take it too.
    ///
    /// # Errors
    /// As reading them.
    pub(super) fn has_new_rows(&self, lanes: &Lanes) -> Result<bool> {
        let now = self.rows_now(lanes)?;
        Ok(now.is_some_and(|now| !now.is_subset(&self.rows_then())))
    }

    fn rows_now(&self, lanes: &Lanes) -> Result<Option<BTreeSet<StoredRow>>> {
        let Some(survey) = lanes.survey().filter(|_| !self.databases.is_empty()) else {
            return Ok(None);
        };
        let contents = database::read(&survey.install, &self.places, &self.config)?;
        let values = &self.found.values;
        let now = contents.stored.iter().map(|stored| {
            let value = values.digest_of_bytes(stored.value.as_bytes());
            (stored.place.agent(), stored.profile.clone(), value)
        });
        Ok(Some(now.collect()))
    }

    fn rows_then(&self) -> BTreeSet<StoredRow> {
        let rows = self.found.items.iter().filter_map(|item| {
            let (agent, profile) = item.profile_row()?;
            let agent = agent.cloned().unwrap_or_else(AgentId::main);
            Some((agent, profile.clone(), item.value))
        });
        rows.collect()
    }

    /// What stands in OpenClaw's databases.
    fn rows(&mut self, lanes: &Lanes) -> Result<()> {
        let Some(survey) = lanes.survey() else {
            return Ok(());
        };
        if survey.install.version().lane() != Lane::Plan {
            return Ok(());
        }
        let contents = database::read(&survey.install, &self.places, &self.config)?;
        self.databases.clone_from(&contents.files);
        self.found.database(contents, self.reads.len());
        Ok(())
    }

    /// What may be done with each source.
    fn access(&self) -> Vec<Access> {
        let reads = self.reads.iter().map(|read| read.access.clone());
        reads
            .chain(self.databases.iter().map(|_| Access::Yes))
            .collect()
    }

    /// A source's path.
    pub(super) fn path(&self, source: usize) -> &Path {
        match self.reads.get(source) {
            Some(read) => &read.source.path,
            None => self
                .databases
                .get(source - self.reads.len())
                .map_or(Path::new("?"), PathBuf::as_path),
        }
    }

    /// A path as a person writes it.
    pub(super) fn short(&self, path: &Path) -> String {
        item::short(path, &self.home)
    }

    /// What could not be looked through.
    pub(super) fn unseen(&self) -> &[Unseen] {
        &self.found.unseen
    }

    /// The plan with these preferences.
    pub(super) fn plan(&self, args: &Migrate, lanes: &Lanes, preferred: &[String]) -> Plan {
        let access = self.access();
        let sources: Vec<String> = (0..access.len())
            .map(|source| self.short(self.path(source)))
            .collect();
        let taken: BTreeSet<String> = args.take.iter().cloned().collect();
        let named = config::named_providers(&self.config);
        let no_gateway_ref = lanes
            .survey()
            .and_then(|survey| link::token_stays(&self.config, survey.install.version()));
        plan::plan(&Facts {
            items: &self.found.items,
            access: &access,
            sources: &sources,
            known: &self.known,
            takes_profile: &|provider| link::is_known_to_openclaw(provider),
            is_used: &|provider| named.contains(provider.as_str()),
            no_refs: lanes.no_refs(),
            no_gateway_ref: no_gateway_ref.as_deref(),
            taken: &taken,
            needed: &self.needed,
            preferred,
        })
    }

    /// A preference as typed, in the words that places have here.
    pub(super) fn preference(&self, app: &App, typed: &str) -> Result<String> {
        if typed == crate::migrate::claims::VAULT || typed == "vault" {
            return Ok(crate::migrate::claims::VAULT.to_owned());
        }
        if typed.starts_with('~') {
            return Ok(typed.to_owned());
        }
        let absolute = app.host.absolute(Path::new(typed))?;
        Ok(self.short(&absolute))
    }

    /// A place as a person reads it.
    pub(super) fn place(&self, item: usize) -> String {
        let item = &self.found.items[item];
        item::said(self.path(item.source), &item.at, &self.home)
    }
}

/// The profile that a name stands for by itself; `None` for an alias, which says nothing.
fn profile_of(id: &SecretId) -> Option<(AgentId, ProfileId)> {
    let text = id.as_str();
    let (agent, name) = match text
        .strip_prefix("agent/")
        .and_then(|rest| rest.split_once('/'))
    {
        Some((agent, name)) => (AgentId::parse(agent).ok()?, name),
        None => (AgentId::main(), text),
    };
    let profile = ProfileId::parse(name).ok()?;
    (profile.secret_id(&agent) == *id).then_some((agent, profile))
}

/// What a person has to choose, as one error.
pub(super) fn undecided(conflicts: &[Conflict]) -> crate::error::Error {
    use std::fmt::Write as _;
    let mut text = "two places disagree, and which one is right cannot be guessed:".to_owned();
    let mut hint = String::new();
    for conflict in conflicts {
        let _ = write!(text, "\n  {}", conflict.name);
        for (_, places) in &conflict.candidates {
            let _ = write!(text, "\n    {}", places.join(" and "));
        }
        if let (true, Some(place)) = (
            hint.is_empty(),
            conflict
                .candidates
                .first()
                .and_then(|(_, places)| places.first()),
        ) {
            let _ = write!(hint, "clawkeep migrate --prefer '{place}'");
        }
    }
    crate::error::Error::failed(text).hint(hint)
}
