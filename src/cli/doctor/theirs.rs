//! OpenClaw's side of the link: what its configuration names, and what it would get. Ring 4; reads, and
//! starts the one program that OpenClaw would start.

use super::gather::{Vault, not_known};
use super::settings::{apis, includes, open_shell, texts};
use crate::cli::app::App;
use crate::cli::pins::{self, ARGS};
use crate::cli::proof;
use crate::cli::record::LinkRecord;
use crate::cli::survey;
use crate::doctor::facts::{AskedFact, KeeperFact, LinkFact, Trouble};
use crate::doctor::{Known, NotKnown};
use crate::error::{Error, Kind, Result, typed};
use crate::file;
use crate::openclaw::command;
use crate::openclaw::config::Config;
use crate::openclaw::elsewhere::{LONGEST_LIMIT_MS, USUAL_LIMIT_MS};
use crate::openclaw::install::Install;
use crate::openclaw::places::Places;
use crate::openclaw::plaintext::ignores_ref;
use crate::openclaw::profiles::ProfilesFile;
use crate::openclaw::reference::{SECRET_PROVIDER, SecretRef};
use crate::openclaw::version::Lane;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// OpenClaw's side.
pub(super) struct Theirs {
    /// Its folders.
    pub(super) places: Places,
    /// Its configuration; an empty one where it cannot be read.
    pub(super) config: Config,
    /// The last link.
    pub(super) record: Option<LinkRecord>,
    /// How profiles reach it.
    pub(super) lane: Option<Lane>,
    /// What openclaw.json says of us.
    pub(super) link: Known<LinkFact>,
    /// What came of asking.
    pub(super) asked: Known<std::result::Result<AskedFact, Trouble>>,
}

impl Theirs {
    /// Looks.
    ///
    /// # Errors
    /// `Failed` for a user without a home.
    pub(super) fn take(
        app: &App,
        vault: &Vault,
        keeper: KeeperFact,
        record: Option<LinkRecord>,
        install: &Known<Install>,
        broken: &mut Vec<Trouble>,
    ) -> Result<Self> {
        let places = Places::find(&app.host)?;
        let path = record.as_ref().map_or_else(
            || places.config().to_owned(),
            |record| record.config.clone(),
        );
        let mut unread = None;
        let config = Config::read(&path).unwrap_or_else(|error| {
            broken.push(Trouble::of(&error));
            unread = Some(format!("{} cannot be read", path.display()));
            Config::empty(&path)
        });
        let lane = match (install, &record) {
            (Ok(install), _) => Some(install.version().lane()),
            (Err(_), Some(record)) => Some(record.lane.lane()),
            (Err(_), None) => None,
        };
        let mut theirs = Theirs {
            places,
            config,
            record,
            lane,
            link: Err(not_known("OpenClaw is not linked")),
            asked: Err(not_known("OpenClaw is not linked")),
        };
        if let Some(trouble) = unread {
            theirs.link = Err(not_known(&trouble));
            theirs.asked = Err(not_known(&trouble));
        } else if theirs.record.is_some() || theirs.config.has(&entry(None)) {
            let link = theirs.linked(app, vault, keeper, install);
            theirs.asked = theirs.ask(app, keeper, &link);
            theirs.link = Ok(link);
        }
        Ok(theirs)
    }

    fn linked(
        &self,
        app: &App,
        vault: &Vault,
        keeper: KeeperFact,
        install: &Known<Install>,
    ) -> LinkFact {
        let config = &self.config;
        let command = self.command();
        let refused = command
            .as_ref()
            .and_then(|command| command::check(command).err());
        let refs: Vec<(Vec<String>, String)> = config
            .refs()
            .into_iter()
            .filter(|(_, reference)| reference.is_ours())
            .map(|(path, reference)| (path, reference.id))
            .collect();
        let ignored = install.as_ref().map_err(Clone::clone).map(|install| {
            let is_ignored = |path: &[String]| ignores_ref(path, install.version());
            let paths = refs.iter().filter(|(path, _)| is_ignored(path));
            paths.map(|(path, _)| path.join(".")).collect()
        });
        let asks_keeper = pins::asks_keeper(&self.args()) || keeper.required;
        let needs = if asks_keeper {
            Ok(false)
        } else {
            vault.needs_keychain.clone()
        };
        LinkFact {
            config: config.path().to_owned(),
            includes: !config.includes().is_empty(),
            trouble: self.trouble(app, vault),
            linked_version: self.record.as_ref().map(|record| {
                let is_same = self.lane == Some(record.lane.lane());
                (record.openclaw.clone(), is_same)
            }),
            relink: self
                .record
                .as_ref()
                .map_or("clawkeep link", LinkRecord::command_line)
                .to_owned(),
            command_mode: command
                .as_deref()
                .filter(|_| refused.is_some())
                .and_then(mode_of),
            command: refused.as_ref().map(Trouble::of),
            pass_env: texts(config, &entry(Some("passEnv"))),
            needs_env: needs.map(|needs| {
                if needs {
                    survey::keychain_env()
                } else {
                    Vec::new()
                }
            }),
            refs,
            ignored,
            apis: apis(config),
            open_shell: open_shell(config),
        }
    }

    /// Why the configuration asks somebody else, or nobody.
    fn trouble(&self, app: &App, vault: &Vault) -> Option<Trouble> {
        let said = self.config.path().display();
        let trouble = |what: String, hint: Option<String>| Some(Trouble { what, hint });
        if self.record.as_ref().is_some_and(LinkRecord::is_pending) {
            return trouble(
                format!(
                    "a link to OpenClaw was begun and did not come to its end: {said} may have none of it"
                ),
                None,
            );
        }
        if !self.config.has(&ARGS) && includes(&self.config, &ARGS) {
            return None;
        }
        if !self.config.has(&ARGS) {
            return trouble(
                format!(
                    "{said} has no entry secrets.providers.{SECRET_PROVIDER} any more: nobody asks the vault"
                ),
                None,
            );
        }
        if let Some(other) = pins::other_vault(&self.config, &app.dir) {
            if pins::asks_keeper(&self.args()) {
                return trouble(
                    format!(
                        "{said} asks the keeper at {}, which is not this vault's",
                        other.display()
                    ),
                    None,
                );
            }
            return trouble(
                format!("{said} asks another vault, {}", other.display()),
                Some(format!("clawkeep --vault {} doctor", typed(&other))),
            );
        }
        let args = self.args();
        let pinned = args.windows(2).filter(|pair| pair[0] == "--vault-id");
        let pinned: Vec<&str> = pinned.map(|pair| pair[1].as_str()).collect();
        let id = vault.id?.to_string();
        (!pinned.is_empty() && !pinned.contains(&id.as_str())).then(|| Trouble {
            what: format!("{said} names another vault id than this vault's"),
            hint: None,
        })
    }

    fn args(&self) -> Vec<String> {
        texts(&self.config, &ARGS)
    }

    fn command(&self) -> Option<PathBuf> {
        let command = self.config.string_at(&entry(Some("command")))?;
        Some(PathBuf::from(command.as_str()))
    }

    /// Asks for every id at once, as the gateway does at its start.
    fn ask(
        &self,
        app: &App,
        keeper: KeeperFact,
        link: &LinkFact,
    ) -> Known<std::result::Result<AskedFact, Trouble>> {
        if keeper.isolated || pins::asks_keeper(&self.args()) {
            return Err(not_known("the keeper answers the gateway's unit alone"));
        }
        if keeper.once && (keeper.runs || keeper.required) {
            return Err(not_known(
                "the keeper gives each value once, and this would take it",
            ));
        }
        if link.trouble.is_some() {
            return Err(not_known("this vault is not asked"));
        }
        if link.command.is_some() {
            return Err(not_known("OpenClaw would not run the program"));
        }
        let Some(command) = self.command() else {
            return Err(not_known("this vault is not asked"));
        };
        let ids: Vec<String> = self.ids(link)?.into_iter().collect();
        if ids.is_empty() {
            return Err(not_known("nothing refers to the vault"));
        }
        let limit = self.limit();
        let asked = proof::ask_within(
            limit,
            &app.host,
            &command,
            &self.args(),
            &link.pass_env,
            &ids,
        );
        Ok(match asked {
            Ok((answers, took)) => Ok(AskedFact {
                refused: ids
                    .iter()
                    .filter(|id| answers.value(id).is_none())
                    .map(|id| (id.clone(), code(answers.code(id)).to_owned()))
                    .collect(),
                asked: ids.len(),
                took,
                limit,
            }),
            Err(error) => Err(Trouble::of(&error)),
        })
    }

    /// How long OpenClaw waits: for all of the answer, and for the first of it, which comes with the rest.
    fn limit(&self) -> Duration {
        let ms = |name| self.config.get(&entry(Some(name)))?.as_u64();
        let whole = ms("timeoutMs").unwrap_or(USUAL_LIMIT_MS);
        let first = ms("noOutputTimeoutMs").unwrap_or(whole);
        Duration::from_millis(whole.min(first).clamp(1, LONGEST_LIMIT_MS))
    }

    /// The ids that OpenClaw asks for: of its configuration, and of its profiles.
    fn ids(&self, link: &LinkFact) -> Known<BTreeSet<String>> {
        let mut ids: BTreeSet<String> = link.refs.iter().map(|(_, id)| id.clone()).collect();
        if self.lane == Some(Lane::Plan) {
            // Its database is its own: the record knows what was planted in it.
            let record = self.record.iter();
            ids.extend(
                record
                    .flat_map(LinkRecord::planted_profiles)
                    .map(|held| held.profile.secret_id(&held.agent).to_string()),
            );
            return Ok(ids);
        }
        let agents = self
            .places
            .agents()
            .map_err(|error| NotKnown(error.message().to_owned()))?;
        for agent in agents {
            let path = self.places.auth_profiles(&agent, Some(&self.config));
            let Ok(Some(file)) = ProfilesFile::load(&path) else {
                continue;
            };
            let references = file
                .profiles()
                .into_iter()
                .filter_map(|profile| profile.reference);
            ids.extend(
                references
                    .filter(SecretRef::is_ours)
                    .map(|reference| reference.id),
            );
        }
        Ok(ids)
    }

    /// Files that a version with a database ignores, or refuses to work beside.
    pub(super) fn old_stores(&self, install: &Known<Install>) -> Vec<PathBuf> {
        if !install
            .as_ref()
            .is_ok_and(|install| install.version().lane() == Lane::Plan)
        {
            return Vec::new();
        }
        let agents = self.places.agents().unwrap_or_default().into_iter();
        agents
            .map(|agent| self.places.auth_profiles(&agent, Some(&self.config)))
            .filter(|path| path.symlink_metadata().is_ok())
            .collect()
    }
}

/// A code as protocols have them; the program's own words are not repeated.
fn code(code: Option<&str>) -> &str {
    let is_code = |code: &&str| {
        (1..=32).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
    };
    match code {
        None => "no answer",
        Some(code) => Some(code).filter(is_code).unwrap_or("no known code"),
    }
}

/// The path of our entry, or of a setting in it.
fn entry(setting: Option<&'static str>) -> Vec<&'static str> {
    ["secrets", "providers", SECRET_PROVIDER]
        .into_iter()
        .chain(setting)
        .collect()
}

/// Permission bits of a program of our own, and what OpenClaw wants them to be; `None` when something else
/// is wrong with it.
#[cfg(unix)]
fn mode_of(path: &Path) -> Option<(PathBuf, u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::symlink_metadata(path).ok()?;
    let is_own = meta.uid() == rustix::process::geteuid().as_raw();
    let (from, to) = (
        meta.mode() & 0o7777,
        (meta.mode() & 0o7777 & !0o022) | 0o100,
    );
    // By root's hand or another's nothing is changed; nor is a program that is not ours.
    let is_ours = path.file_stem().is_some_and(|name| name == "clawkeep");
    (meta.is_file() && is_own && is_ours && from != to && path.is_absolute())
        .then(|| (path.to_owned(), from, to))
}

#[cfg(not(unix))]
fn mode_of(_: &Path) -> Option<(PathBuf, u32, u32)> {
    None
}

/// A file's trouble, and nothing in its place.
pub(super) fn noted<T>(result: Result<Option<T>>, broken: &mut Vec<Trouble>) -> Option<T> {
    let known = file::absent_is_none(result).map(Option::flatten);
    known.unwrap_or_else(|error: Error| {
        if error.kind() != Kind::Missing {
            broken.push(Trouble::of(&error));
        }
        None
    })
}
