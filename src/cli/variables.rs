//! Which variables OpenClaw would find, and where. Ring 4; reads, keeps no value.
//!
//! Source: OpenClaw's order, the first that is found: the environment, `.env` of the state folder,
//! `~/.config/openclaw/gateway.env`, then `env.vars` and `env` of openclaw.json. Not looked at: the `.env` of
//! whatever folder a command is started in, and a login shell, which would have to be run.
//!
//! What a gateway that runs as a service finds beside that, by its unit or by `environment.d`, counts only for
//! references: see [`Variables::anywhere`].

use super::app::App;
use crate::assignment::{self, Language, environment_files};
use crate::error::Result;
use crate::file::{self, Privacy};
use crate::migrate::source::{self, Folders, Form};
use crate::openclaw::config::Config;
use crate::openclaw::places::Places;
use crate::provider::ProviderId;
use crate::provider::variables::{Holds, VARIABLES};
use crate::status::Variable;
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Keys of `env` in openclaw.json that are no variables.
const NO_VARIABLES: [&str; 2] = ["vars", "shellEnv"];

/// Where a variable is set for the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// There.
    Set(String),
    /// In a file that only shells read.
    OfShells(String),
    /// Nowhere else than, perhaps, in a file that could not be read; why.
    Unread(String),
    /// Nowhere, but that OpenClaw runs a login shell and takes what that has.
    ByShell,
    /// Nowhere.
    Nowhere,
}

/// Names that have a value, with where.
pub struct Variables<'a> {
    app: &'a App,
    places: &'a Places,
    config: &'a Config,
    home: PathBuf,
    config_home: PathBuf,
    in_files: HashMap<String, String>,
    /// Those that openclaw.json writes with other variables: OpenClaw mostly passes them over.
    written: HashSet<String>,
    of_services: OnceCell<Services>,
}

/// What is set for services, and for shells.
#[derive(Default)]
struct Services {
    set: HashMap<String, String>,
    of_shells: HashMap<String, String>,
    unread: Vec<String>,
    /// Whether OpenClaw runs a login shell for what it does not find.
    by_shell: bool,
}

impl<'a> Variables<'a> {
    /// Looks into the files. One that cannot be read is said in `notes`.
    pub fn read(
        app: &'a App,
        places: &'a Places,
        config: &'a Config,
        short: &dyn Fn(&Path) -> String,
        notes: &mut Vec<String>,
    ) -> Self {
        let mut in_files = HashMap::new();
        let config_home = app
            .host
            .path_var("XDG_CONFIG_HOME")
            .unwrap_or_else(|| places.home().join(".config"));
        for path in [
            places.state().join(".env"),
            config_home.join("openclaw/gateway.env"),
        ] {
            match names(&path) {
                Ok(found) => {
                    for name in found {
                        in_files.entry(name).or_insert_with(|| short(&path));
                    }
                }
                Err(error) => notes.push(format!("{}, so it was not read", error.message())),
            }
        }
        let said = short(config.path());
        let mut written = HashSet::new();
        for (base, but) in [(&["env", "vars"][..], &[][..]), (&["env"], &NO_VARIABLES)] {
            for name in config.keys(base) {
                let value = config.string_at(&[base, &[&name]].concat());
                let value = value.filter(|value| !value.trim().is_empty());
                let Some(value) = value.filter(|_| !but.contains(&name.as_str())) else {
                    continue;
                };
                if value.contains("${") {
                    written.insert(name);
                } else {
                    let place = format!("{} of {said}", base.join("."));
                    in_files.entry(name).or_insert(place);
                }
            }
        }
        Variables {
            app,
            places,
            config,
            home: places.home().to_owned(),
            config_home,
            in_files,
            written,
            of_services: OnceCell::new(),
        }
    }

    /// Where a variable has a value; `None` when it has none.
    pub fn place(&self, name: &str) -> Option<String> {
        let own = self.app.host.var(name);
        if own.is_some_and(|value| !value.to_string_lossy().trim().is_empty()) {
            return Some("the environment".to_owned());
        }
        self.in_files.get(name).cloned()
    }

    /// Where the gateway finds it: as [`Variables::place`], and in the files of its service.
    pub fn anywhere(&self, name: &str) -> Place {
        if let Some(place) = self.place(name) {
            return Place::Set(place);
        }
        let services = self.of_services.get_or_init(|| self.services());
        if let Some(path) = services.set.get(name) {
            return Place::Set(path.clone());
        }
        if let Some(path) = services.of_shells.get(name) {
            return Place::OfShells(path.clone());
        }
        if self.written.contains(name) {
            return Place::Unread("openclaw.json writes it with another variable".to_owned());
        }
        if let Some(what) = services.unread.first() {
            return Place::Unread(what.clone());
        }
        if services.by_shell {
            Place::ByShell
        } else {
            Place::Nowhere
        }
    }

    fn services(&self) -> Services {
        let asks_shell = self.config.get(&["env", "shellEnv", "enabled"]);
        let mut found = Services {
            by_shell: asks_shell == Some(serde_json::Value::Bool(true))
                || self.app.host.var("OPENCLAW_LOAD_SHELL_ENV").is_some(),
            ..Services::default()
        };
        let sources = source::all(&Folders {
            places: self.places,
            config: Some(self.config),
            home: &self.home,
            config_home: &self.config_home,
            // Its `.env` is none of a service's.
            current: self.places.state(),
            named: &[],
        });
        let sources = match sources {
            Ok(sources) => sources,
            Err(error) => {
                found.unread.push(error.message().to_owned());
                return found;
            }
        };
        for source in sources {
            let Form::Names(language) = source.form else {
                continue;
            };
            let of_shells = source.is_rc && language == Language::Shell;
            if language != Language::DotEnv {
                found.take(&source.path, language, of_shells, &self.home);
            }
        }
        found
    }

    /// The first variable of a provider that has a value.
    pub fn of(&self, provider: &ProviderId) -> Option<Variable> {
        let account = crate::openclaw::select::account(provider);
        let (_, variables) = VARIABLES.iter().find(|(name, _)| *name == account)?;
        let credentials = variables.iter().filter(|one| one.holds != Holds::Setting);
        credentials.into_iter().find_map(|one| {
            Some(Variable {
                name: one.name.to_owned(),
                place: self.place(one.name)?,
                is_login: one.name.contains("OAUTH_TOKEN"),
            })
        })
    }

    /// The providers that have one.
    pub fn providers(&self) -> Vec<ProviderId> {
        let named = VARIABLES
            .iter()
            .filter_map(|(name, _)| ProviderId::parse(name).ok());
        named
            .filter(|provider| self.of(provider).is_some())
            .collect()
    }
}

impl Services {
    /// Takes in what a file sets. The files that a unit names are taken in by themselves.
    fn take(&mut self, path: &Path, language: Language, of_shells: bool, home: &Path) {
        let said = crate::migrate::item::short(path, home);
        let bytes = match read(path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return,
            Err(error) => return self.unread.push(error.message().to_owned()),
        };
        match given(language, &bytes) {
            Ok(names) => {
                let set = if of_shells {
                    &mut self.of_shells
                } else {
                    &mut self.set
                };
                for name in names {
                    set.entry(name).or_insert_with(|| said.clone());
                }
            }
            Err(error) => self.unread.push(format!("{said}: {}", error.message())),
        }
        if language != Language::Unit {
            return;
        }
        for file in environment_files(&bytes).unwrap_or_default() {
            if file.below(home).is_none() {
                self.unread.push(format!(
                    "{said} takes variables from a file that only systemd can find"
                ));
            }
        }
    }
}

/// The names that a `.env` file gives a value.
fn names(path: &Path) -> Result<Vec<String>> {
    match read(path)? {
        Some(bytes) => given(Language::DotEnv, &bytes),
        None => Ok(Vec::new()),
    }
}

fn read(path: &Path) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>> {
    let read = file::read(path, assignment::MAX_BYTES, Privacy::Shared);
    Ok(file::absent_is_none(read)?.flatten())
}

/// The names that a file gives a value; one that is not known until the file is used counts.
fn given(language: Language, bytes: &[u8]) -> Result<Vec<String>> {
    let all = assignment::read(language, bytes)?;
    let counts = assignment::effective(&all);
    Ok(counts
        .into_iter()
        .filter_map(|at| all.get(at))
        .filter(|one| {
            one.value
                .as_ref()
                .is_none_or(|value| !value.trim().is_empty())
        })
        .map(|one| one.name.clone())
        .collect())
}
