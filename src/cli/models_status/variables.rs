//! Which variables OpenClaw would find, and where. Ring 4; reads, keeps no value.
//!
//! Source: OpenClaw's order, the first that is found: the environment, `.env` of the state folder,
//! `~/.config/openclaw/gateway.env`, then `env.vars` and `env` of openclaw.json. Not looked at: the `.env` of
//! whatever folder a command is started in, and a login shell, which would have to be run.

use crate::assignment::{self, Language};
use crate::cli::app::App;
use crate::file::{self, Privacy};
use crate::openclaw::config::Config;
use crate::openclaw::places::Places;
use crate::provider::ProviderId;
use crate::provider::variables::{Holds, VARIABLES};
use crate::status::Variable;
use std::collections::HashMap;
use std::path::Path;

/// Keys of `env` in openclaw.json that are no variables.
const NO_VARIABLES: [&str; 2] = ["vars", "shellEnv"];

/// Names that have a value, with where.
pub(super) struct Variables<'a> {
    app: &'a App,
    in_files: HashMap<String, String>,
}

impl<'a> Variables<'a> {
    /// Looks into the files. One that cannot be read is said in `notes`.
    pub(super) fn read(
        app: &'a App,
        places: &Places,
        config: &Config,
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
        for (base, but) in [(&["env", "vars"][..], &[][..]), (&["env"], &NO_VARIABLES)] {
            for name in config.keys(base) {
                let value = config.string_at(&[base, &[&name]].concat());
                if !but.contains(&name.as_str())
                    && value.is_some_and(|value| !value.trim().is_empty())
                {
                    let place = format!("{} of {said}", base.join("."));
                    in_files.entry(name).or_insert(place);
                }
            }
        }
        Variables { app, in_files }
    }

    /// Where a variable has a value; `None` when it has none.
    pub(super) fn place(&self, name: &str) -> Option<String> {
        let own = self.app.host.var(name);
        if own.is_some_and(|value| !value.to_string_lossy().trim().is_empty()) {
            return Some("the environment".to_owned());
        }
        self.in_files.get(name).cloned()
    }

    /// The first variable of a provider that has a value.
    pub(super) fn of(&self, provider: &ProviderId) -> Option<Variable> {
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
    pub(super) fn providers(&self) -> Vec<ProviderId> {
        let named = VARIABLES
            .iter()
            .filter_map(|(name, _)| ProviderId::parse(name).ok());
        named
            .filter(|provider| self.of(provider).is_some())
            .collect()
    }
}

/// The names that a `.env` file gives a value.
fn names(path: &Path) -> crate::error::Result<Vec<String>> {
    let read = file::read(path, assignment::MAX_BYTES, Privacy::Shared);
    let Some(bytes) = file::absent_is_none(read)?.flatten() else {
        return Ok(Vec::new());
    };
    let all = assignment::read(Language::DotEnv, &bytes)?;
    let counts = assignment::effective(&all);
    Ok(counts
        .into_iter()
        .filter_map(|at| all.get(at))
        .filter(|one| {
            one.value
                .as_ref()
                .is_some_and(|value| !value.trim().is_empty())
        })
        .map(|one| one.name.clone())
        .collect())
}
