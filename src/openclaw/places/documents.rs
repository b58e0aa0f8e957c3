//! Every file of OpenClaw's in which a credential can stand in the clear, found by its place and name.
//! Ring 2'; lists folders, reads no file.
//!
//! Source: OpenClaw 2026.6.1 and 2026.9.6, `src/secrets/storage-scan.ts`, `legacy-source-files.ts`, the
//! repairs of `doctor` (which copies they leave), `plugin-model-catalog.ts`, and the service installers
//! of systemd and launchd.
//!
//! Not among them: SQLite stores, `.env` files, and what OpenClaw makes itself (device identities,
//! sessions, `creds.json` of WhatsApp).

use super::{CONFIG_NAMES, Places};
use crate::error::{Error, Result};
use crate::openclaw::config::Config;
use crate::openclaw::plaintext::Document;
use crate::openclaw::profiles::FILE_NAME;
use crate::provider::AgentId;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What an agent's folder holds, and as what it is read.
const OF_AGENT: [(&str, Document); 3] = [
    (FILE_NAME, Document::Profiles),
    ("auth.json", Document::LegacyAuth),
    ("models.json", Document::Generated),
];

/// The file of another name whose archives OpenClaw's audit looks for.
const STATE_FILE: &str = "auth-state.json";

/// The logins of old versions, in the credentials folder.
const OAUTH: &str = "oauth.json";

/// In which language a service's file of variables is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variables {
    /// `EnvironmentFile=` of a systemd unit.
    Systemd,
    /// `export` lines that a shell reads before it starts the gateway under launchd.
    Shell,
}

/// The files found so far, each once.
#[derive(Default)]
struct Listed {
    files: Vec<(PathBuf, Document, Option<AgentId>)>,
    seen: HashSet<PathBuf>,
}

impl Listed {
    fn add(&mut self, path: PathBuf, document: Document, agent: Option<&AgentId>) {
        if self.seen.insert(path.clone()) {
            self.files.push((path, document, agent.cloned()));
        }
    }
}

impl Places {
    /// Every JSON file in which OpenClaw keeps, or left, a credential: `openclaw.json` and its copies,
    /// the files of each agent's folders (where they are and where they would be by default), and old
    /// logins. An agent's files name it, where its folder's name is one. `config` is `openclaw.json`,
    /// which can place agents' folders elsewhere.
    ///
    /// A file that OpenClaw reads is listed though it is a link, so that who reads it can say that; of
    /// copies and leftovers only regular files are.
    ///
    /// # Errors
    /// `Failed` when a folder is there and cannot be listed.
    pub fn documents(
        &self,
        config: Option<&Config>,
    ) -> Result<Vec<(PathBuf, Document, Option<AgentId>)>> {
        let mut listed = Listed::default();
        if is_there(&self.config) {
            listed.add(self.config.clone(), Document::Config, None);
        }
        for copy in self.config_copies()? {
            listed.add(copy, Document::Copy, None);
        }
        for copy in self.older_configs()? {
            listed.add(copy, Document::Copy, None);
        }
        for (dir, agent) in self.agent_dirs(config)? {
            of_agent(&dir, agent.as_ref(), &mut listed)?;
        }
        for name in names(&self.credentials)? {
            let path = self.credentials.join(&name);
            if name == OsStr::new(OAUTH) && is_there(&path) {
                listed.add(path, Document::Oauth, None);
            } else if is_leftover(&name, OAUTH) && is_regular(&path) {
                listed.add(path, Document::Leftover, None);
            }
        }
        Ok(listed.files)
    }

    /// The files from which the gateway's service gets variables: `gateway.systemd.env` (and the
    /// node's), and `service-env/*.env`.
    ///
    /// # Errors
    /// `Failed` when a folder is there and cannot be listed.
    pub fn service_variables(&self) -> Result<Vec<(PathBuf, Variables)>> {
        let mut found = Vec::new();
        for name in ["gateway.systemd.env", "node.systemd.env"] {
            let path = self.state.join(name);
            if is_there(&path) {
                found.push((path, Variables::Systemd));
            }
        }
        let dir = self.state.join("service-env");
        for name in names(&dir)? {
            let path = dir.join(&name);
            if path.extension() == Some(OsStr::new("env")) && is_there(&path) {
                found.push((path, Variables::Shell));
            }
        }
        Ok(found)
    }

    /// A configuration under an older name, left beside the one that is read, and its copies.
    fn older_configs(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for name in CONFIG_NAMES {
            let config = self.state.join(name);
            if config == self.config {
                continue;
            }
            if is_regular(&config) {
                found.push(config.clone());
            }
            let other = Places {
                config,
                ..self.clone()
            };
            found.extend(other.config_copies()?);
        }
        Ok(found)
    }

    /// Every folder that is an agent's, by the configuration, a variable, or its place.
    fn agent_dirs(&self, config: Option<&Config>) -> Result<Vec<(PathBuf, Option<AgentId>)>> {
        let mut agents = self.agents()?;
        agents.extend(config.into_iter().flat_map(configured));
        agents.sort();
        agents.dedup();
        let root = self.state.join("agents");
        let mut dirs = Vec::new();
        for agent in agents {
            let default = root.join(agent.as_str()).join("agent");
            dirs.push((self.agent_dir(&agent, config), Some(agent.clone())));
            if let Some(dir) = self.main_agent.clone().filter(|_| agent.is_main()) {
                dirs.push((dir, Some(agent.clone())));
            }
            dirs.push((default, Some(agent)));
        }
        // Before there were agents, one folder was the only one's.
        dirs.push((self.state.join("agent"), Some(AgentId::main())));
        // OpenClaw's audit looks into every folder, whatever its name.
        for name in names(&root)? {
            dirs.push((root.join(name).join("agent"), None));
        }
        Ok(dirs)
    }
}

/// The agents that a configuration names, in its two forms.
fn configured(config: &Config) -> Vec<AgentId> {
    let mut ids = config.keys(&["agents", "entries"]);
    // The list has at most as many agents as a configuration has room for.
    ids.extend(
        (0..10_000)
            .map(|index: u32| index.to_string())
            .take_while(|index| config.has(&["agents", "list", index]))
            .filter_map(|index| config.string_at(&["agents", "list", &index, "id"]))
            .map(|id| id.to_string()),
    );
    ids.iter()
        .filter_map(|id| AgentId::parse(id).ok())
        .collect()
}

fn of_agent(dir: &Path, agent: Option<&AgentId>, listed: &mut Listed) -> Result<()> {
    for name in names(dir)? {
        let path = dir.join(&name);
        let own = OF_AGENT.iter().find(|(own, _)| name == OsStr::new(own));
        if let Some((_, document)) = own {
            if is_there(&path) {
                listed.add(path, *document, agent);
            }
            continue;
        }
        let left = OF_AGENT.iter().map(|(own, _)| *own).chain([STATE_FILE]);
        if left.into_iter().any(|own| is_leftover(&name, own)) && is_regular(&path) {
            listed.add(path, Document::Leftover, agent);
        }
    }
    let plugins = dir.join("plugins");
    for plugin in names(&plugins)? {
        let catalog = plugins.join(plugin).join("catalog.json");
        if is_there(&catalog) {
            listed.add(catalog, Document::Generated, agent);
        }
    }
    Ok(())
}

/// `<own>.migrated-*`, `<own>.sqlite-import.*.bak`, `<own>.*.bak`, `<own>.bak*`.
fn is_leftover(name: &OsStr, own: &str) -> bool {
    let name = name.to_string_lossy();
    name.strip_prefix(own).is_some_and(|rest| {
        rest.starts_with(".migrated")
            || rest.starts_with(".sqlite-import.")
            || rest.starts_with(".bak")
            || rest.starts_with('.') && Path::new(rest).extension() == Some(OsStr::new("bak"))
    })
}

/// The names in a folder, sorted; none when there is no such folder.
fn names(dir: &Path) -> Result<Vec<std::ffi::OsString>> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("list", dir, &error)),
    };
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(|error| Error::io("list", dir, &error))?;
    names.sort();
    Ok(names)
}

/// Whether something that is no folder stands there, a link included.
fn is_there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_dir())
}

fn is_regular(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::create;

    /// A home in which these files are, below `.openclaw`.
    fn home(files: &[&str]) -> (tempfile::TempDir, Places) {
        let home = tempfile::tempdir().unwrap();
        let places = Places::below(home.path());
        for file in files {
            let path = places.state().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            create(&path, b"{}", 0o600).unwrap();
        }
        (home, places)
    }

    /// `file document agent` of everything listed.
    fn said(places: &Places, config: Option<&Config>) -> Vec<String> {
        let listed = places.documents(config).unwrap();
        let line = |(path, document, agent): &(PathBuf, Document, Option<AgentId>)| {
            let file = path.strip_prefix(places.home()).unwrap().display();
            let agent = agent.as_ref().map_or("-", AgentId::as_str);
            format!("{file} {document:?} {agent}").replace(".openclaw/", "")
        };
        listed.iter().map(line).collect()
    }

    #[test]
    fn every_file_that_can_hold_a_credential_is_listed_once() {
        let (_home, places) = home(&[
            "openclaw.json",
            "openclaw.json.bak",
            "openclaw.json.bak.4",
            "openclaw.json.last-good",
            "clawdbot.json",
            "clawdbot.json.bak",
            "agents/main/agent/auth-profiles.json",
            "agents/main/agent/auth-profiles.json.lock",
            "agents/main/agent/auth-profiles.json.migrated-2026-11-20-efeb21f8",
            "agents/main/agent/auth-profiles.json.sqlite-import.1.bak",
            "agents/main/agent/auth-profiles.json.legacy-flat.1.bak",
            "agents/main/agent/auth-profiles.json.bak",
            "agents/main/agent/auth-state.json",
            "agents/main/agent/auth-state.json.migrated-1",
            "agents/main/agent/models.json",
            "agents/main/agent/plugins/own/catalog.json",
            "agents/main/agent/plugins/own/other.json",
            "agents/main/agent/openclaw-agent.sqlite",
            "agents/work/agent/auth.json",
            "agents/Odd Name/agent/auth-profiles.json",
            "agent/auth.json",
            "credentials/oauth.json",
            "credentials/oauth.json.migrated-1",
            "credentials/whatsapp/default/creds.json",
        ]);
        assert_eq!(
            said(&places, None),
            [
                "openclaw.json Config -",
                "openclaw.json.bak Copy -",
                "openclaw.json.bak.4 Copy -",
                "openclaw.json.last-good Copy -",
                "clawdbot.json Copy -",
                "clawdbot.json.bak Copy -",
                "agents/main/agent/auth-profiles.json Profiles main",
                "agents/main/agent/auth-profiles.json.bak Leftover main",
                "agents/main/agent/auth-profiles.json.legacy-flat.1.bak Leftover main",
                "agents/main/agent/auth-profiles.json.migrated-2026-11-20-efeb21f8 Leftover main",
                "agents/main/agent/auth-profiles.json.sqlite-import.1.bak Leftover main",
                "agents/main/agent/auth-state.json.migrated-1 Leftover main",
                "agents/main/agent/models.json Generated main",
                "agents/main/agent/plugins/own/catalog.json Generated main",
                "agents/work/agent/auth.json LegacyAuth work",
                "agent/auth.json LegacyAuth main",
                "agents/Odd Name/agent/auth-profiles.json Profiles -",
                "credentials/oauth.json Oauth -",
                "credentials/oauth.json.migrated-1 Leftover -",
            ]
        );
    }

    #[test]
    fn where_nothing_is_nothing_is_listed() {
        let home = tempfile::tempdir().unwrap();
        let places = Places::below(home.path());
        assert!(said(&places, None).is_empty());
        assert!(places.service_variables().unwrap().is_empty());
    }

    #[test]
    fn a_configured_folder_is_looked_into_beside_the_default_one() {
        let (home, places) = home(&["agents/main/agent/auth-profiles.json"]);
        for dir in ["moved", "listed"] {
            let dir = home.path().join(dir);
            std::fs::create_dir(&dir).unwrap();
            create(&dir.join("auth-profiles.json"), b"{}", 0o600).unwrap();
        }
        let text = "{agents: {entries: {main: {agentDir: '~/moved'}}, list: [{id: 'Other', agentDir: '~/listed'}]}}";
        let config = Config::parse(text.as_bytes(), Path::new("/x")).unwrap();
        assert_eq!(
            said(&places, Some(&config)),
            [
                "moved/auth-profiles.json Profiles main",
                "agents/main/agent/auth-profiles.json Profiles main",
                "listed/auth-profiles.json Profiles other",
            ]
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_listed_where_openclaw_reads_and_a_folder_nowhere() {
        let (_home, places) = home(&["agents/main/agent/real.json"]);
        let dir = places.state().join("agents/main/agent");
        for name in ["auth-profiles.json", "models.json.bak"] {
            std::os::unix::fs::symlink(dir.join("real.json"), dir.join(name)).unwrap();
        }
        for name in ["auth.json", "auth.json.bak"] {
            std::fs::create_dir(dir.join(name)).unwrap();
        }
        std::fs::create_dir(places.config()).unwrap();
        assert_eq!(
            said(&places, None),
            ["agents/main/agent/auth-profiles.json Profiles main"]
        );
    }

    #[test]
    fn the_services_variables_are_of_two_languages() {
        let (_home, places) = home(&[
            "gateway.systemd.env",
            "node.systemd.env",
            "service-env/ai.openclaw.gateway.env",
            "service-env/ai.openclaw.gateway-env-wrapper.sh",
        ]);
        let found = places.service_variables().unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|(path, language)| {
                let name = path.file_name().unwrap().to_str().unwrap();
                (name, *language)
            })
            .collect();
        assert_eq!(
            names,
            [
                ("gateway.systemd.env", Variables::Systemd),
                ("node.systemd.env", Variables::Systemd),
                ("ai.openclaw.gateway.env", Variables::Shell),
            ]
        );
    }
}
