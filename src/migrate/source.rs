//! Where plaintext credentials may lie. Ring 3; looks which files there are, and reads none but systemd's units,
//! for the files that they take variables from.
//!
//! A file that is not there is no source; one that a person named and that is not there is an error.

use crate::assignment::{self, Language};
use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use crate::openclaw::config::Config;
use crate::openclaw::places::{Places, Variables};
use crate::openclaw::plaintext::Document;
use crate::provider::AgentId;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What a source is read as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// Names that get values.
    Names(Language),
    /// One of OpenClaw's JSON files.
    Json(Document),
}

impl Form {
    /// Whether it is a copy that nothing reads, or that its writer makes anew.
    pub fn is_copy(&self) -> bool {
        matches!(
            self,
            Form::Json(Document::Copy | Document::Leftover | Document::Generated)
        )
    }
}

/// A file that may hold credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// What it is read as.
    pub form: Form,
    /// The agent that it belongs to.
    pub agent: Option<AgentId>,
    /// Whether it is rewritten only with `--rc`.
    pub is_rc: bool,
}

/// Where a person's files lie.
pub struct Folders<'a> {
    /// OpenClaw's.
    pub places: &'a Places,
    /// Its configuration, for agents with a folder of their own.
    pub config: Option<&'a Config>,
    /// The home.
    pub home: &'a Path,
    /// `~/.config`, or what `XDG_CONFIG_HOME` says.
    pub config_home: &'a Path,
    /// The folder that the command was started in.
    pub current: &'a Path,
    /// What a person named, absolute.
    pub named: &'a [PathBuf],
}

/// Start-up files of shells, below the home.
const RC: [&str; 9] = [
    ".profile",
    ".bash_profile",
    ".bash_login",
    ".bashrc",
    ".zshenv",
    ".zprofile",
    ".zshrc",
    ".zlogin",
    ".kshrc",
];

/// The beginnings of the names of gateway units, the newer first.
const UNITS: [&str; 2] = ["openclaw-gateway", "clawdbot-gateway"];

/// The beginnings of the labels of gateway agents.
const LABELS: [&str; 4] = [
    "ai.openclaw.",
    "com.openclaw.",
    "com.clawdbot.",
    "bot.molt.",
];

/// Every source, each once, in the order in which they are listed.
///
/// # Errors
/// `Usage` for a named file of a kind that is not known, `Missing` for one that is not there; `Failed`
/// when a folder of OpenClaw's cannot be listed.
pub fn all(folders: &Folders<'_>) -> Result<Vec<Source>> {
    let mut found = Found {
        home: folders.home.to_owned(),
        ..Found::default()
    };
    for named in folders.named {
        found.named(named)?;
    }
    let places = folders.places;
    let names = |language| Form::Names(language);
    let beside = places.config().parent().map(|dir| dir.join(".env"));
    let dotenvs = [
        Some(folders.current.join(".env")),
        Some(places.state().join(".env")),
        beside,
        Some(folders.config_home.join("openclaw/gateway.env")),
    ];
    for path in dotenvs.into_iter().flatten() {
        found.add(path, names(Language::DotEnv), None, false);
    }
    for (path, document, agent) in places.documents(folders.config)? {
        found.add(path, Form::Json(document), agent, false);
    }
    for (path, variables) in places.service_variables()? {
        let language = match variables {
            Variables::Systemd => Language::EnvironmentFile,
            Variables::Shell => Language::Shell,
        };
        found.add(path, names(language), None, false);
    }
    for path in units(&folders.config_home.join("systemd/user")) {
        found.add(path, names(Language::Unit), None, false);
    }
    let agents = listed(&folders.home.join("Library/LaunchAgents"));
    for path in agents.into_iter().filter(|path| is_label(path)) {
        found.add(path, names(Language::Plist), None, false);
    }
    for name in RC {
        found.add(folders.home.join(name), names(Language::Shell), None, true);
    }
    for path in listed(&folders.config_home.join("environment.d")) {
        if has_extension(&path, "conf") {
            found.add(path, names(Language::EnvironmentD), None, true);
        }
    }
    Ok(found.sources)
}

/// OpenClaw's copies as they are now: its commands write further ones, and rename those that are there.
///
/// # Errors
/// `Failed` when a folder of OpenClaw's cannot be listed.
pub fn copies(places: &Places, config: &Config) -> Result<Vec<Source>> {
    let mut found = Found::default();
    for (path, document, agent) in places.documents(Some(config))? {
        found.add(path, Form::Json(document), agent, false);
    }
    found.sources.retain(|source| source.form.is_copy());
    Ok(found.sources)
}

#[derive(Default)]
struct Found {
    home: PathBuf,
    sources: Vec<Source>,
    seen: BTreeSet<PathBuf>,
}

impl Found {
    /// Takes a file in, if it is there in any shape and not in yet.
    fn add(&mut self, path: PathBuf, form: Form, agent: Option<AgentId>, is_rc: bool) {
        if std::fs::symlink_metadata(&path).is_err() {
            return;
        }
        // Two ways to one file are one source; a link itself is another, which is not followed.
        let real = match (path.parent().map(std::fs::canonicalize), path.file_name()) {
            (Some(Ok(dir)), Some(name)) => dir.join(name),
            _ => path.clone(),
        };
        if !self.seen.insert(real) {
            return;
        }
        let named = match form {
            Form::Names(Language::Unit) => environment_files_of(&path, &self.home),
            Form::Names(_) | Form::Json(_) => Vec::new(),
        };
        self.sources.push(Source {
            path,
            form,
            agent,
            is_rc,
        });
        for path in named {
            self.add(path, Form::Names(Language::EnvironmentFile), None, false);
        }
    }

    /// A file, or every file in a folder whose name tells what it is.
    fn named(&mut self, path: &Path) -> Result<()> {
        let meta =
            std::fs::symlink_metadata(path).map_err(|error| Error::io("find", path, &error))?;
        if meta.is_dir() {
            for file in listed(path) {
                let is_folder = std::fs::symlink_metadata(&file).is_ok_and(|meta| meta.is_dir());
                if let (Some(language), false) = (language_of(&file), is_folder) {
                    self.add(file, Form::Names(language), None, false);
                }
            }
            return Ok(());
        }
        let Some(language) = language_of(path) else {
            return Err(Error::usage(format!(
                "the name of {} does not say what kind of file it is",
                path.display()
            ))
            .hint("name a .env file, a shell's start-up file, a systemd unit or environment file, a .plist, or a folder with such files"));
        };
        self.add(path.to_owned(), Form::Names(language), None, false);
        Ok(())
    }
}

/// What a file is, by its name and its folder's.
fn language_of(path: &Path) -> Option<Language> {
    let name = path.file_name()?.to_str()?;
    let folder = path.parent().and_then(Path::file_name);
    let folder = folder.and_then(OsStr::to_str).unwrap_or_default();
    let is = |extension| has_extension(path, extension);
    if name == ".env" || name.starts_with(".env.") || is("env") && !name.ends_with(".systemd.env") {
        let of_service = folder == "service-env";
        return Some(if of_service {
            Language::Shell
        } else {
            Language::DotEnv
        });
    }
    if name.ends_with(".systemd.env") {
        return Some(Language::EnvironmentFile);
    }
    if RC.contains(&name) || is("sh") || is("bash") || is("zsh") {
        return Some(Language::Shell);
    }
    if is("plist") {
        return Some(Language::Plist);
    }
    if is("service") || is("conf") && folder.ends_with(".service.d") {
        return Some(Language::Unit);
    }
    if is("conf") && folder == "environment.d" {
        return Some(Language::EnvironmentD);
    }
    (is("conf") && folder == "default").then_some(Language::EnvironmentFile)
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// The gateway's units in a folder, and their drop-ins.
fn units(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in listed(folder) {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if !UNITS.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        if name.ends_with(".service.d") {
            let drop_ins = listed(&path);
            found.extend(
                drop_ins
                    .into_iter()
                    .filter(|path| has_extension(path, "conf")),
            );
        } else if name.ends_with(".service") {
            found.push(path);
        }
    }
    found
}

/// The files that a unit takes variables from, as far as their names are known. A unit that cannot be read
/// names none here: whoever reads it says so.
fn environment_files_of(unit: &Path, home: &Path) -> Vec<PathBuf> {
    let read = file::read(unit, assignment::MAX_BYTES, Privacy::Shared);
    let Ok(Some(bytes)) = read else {
        return Vec::new();
    };
    let named = assignment::environment_files(&bytes).unwrap_or_default();
    named.iter().filter_map(|one| one.below(home)).collect()
}

fn is_label(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    has_extension(path, "plist") && LABELS.iter().any(|start| name.starts_with(start))
}

/// What is in a folder, sorted; nothing when it cannot be listed.
fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_a_file_is() {
        for (path, language) in [
            ("/x/.env", Some(Language::DotEnv)),
            ("/x/.env.local", Some(Language::DotEnv)),
            ("/x/prod.env", Some(Language::DotEnv)),
            ("/x/service-env/a.env", Some(Language::Shell)),
            ("/x/gateway.systemd.env", Some(Language::EnvironmentFile)),
            ("/x/.bashrc", Some(Language::Shell)),
            ("/x/keys.sh", Some(Language::Shell)),
            ("/x/a.service", Some(Language::Unit)),
            ("/x/a.service.d/k.conf", Some(Language::Unit)),
            ("/x/environment.d/k.conf", Some(Language::EnvironmentD)),
            ("/x/a.plist", Some(Language::Plist)),
            ("/x/openclaw.json", None),
            ("/x/k.conf", None),
            ("/x/notes.txt", None),
        ] {
            assert_eq!(language_of(Path::new(path)), language, "{path}");
        }
    }
}
