//! Where OpenClaw keeps its files for this user. Knows OpenClaw's variables and folders; reads no
//! file but to see whether it is there.
//!
//! Source: OpenClaw's own path code, 2026.6.1 and 2026.9.6: a variable that is blank (or, for a
//! home, says `undefined` or `null`) is unset, `~` is the home.

mod documents;

pub use documents::Variables;

use super::config::{Config, Leaf};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::provider::AgentId;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The state folders that OpenClaw looks for below the home, newest name first.
const STATE_NAMES: [&str; 2] = [".openclaw", ".clawdbot"];
/// The configuration's names in the state folder, newest first.
const CONFIG_NAMES: [&str; 2] = ["openclaw.json", "clawdbot.json"];

/// OpenClaw's folders and files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    home: PathBuf,
    state: PathBuf,
    config: PathBuf,
    credentials: PathBuf,
    main_agent: Option<PathBuf>,
}

/// The variables of OpenClaw's that say where its files are.
pub const VARIABLES: [&str; 6] = [
    "OPENCLAW_HOME",
    "OPENCLAW_STATE_DIR",
    "OPENCLAW_CONFIG_PATH",
    "OPENCLAW_OAUTH_DIR",
    "OPENCLAW_AGENT_DIR",
    "PI_CODING_AGENT_DIR",
];

impl Places {
    /// Where this user's OpenClaw looks, whether anything is there yet or not.
    ///
    /// # Errors
    /// `Failed` when the user has no home and no variable names the folders.
    pub fn find(host: &Host) -> Result<Self> {
        Self::from_variables(
            &|name| Some(host.var(name)?.to_string_lossy().into_owned()),
            || host.home(),
        )
    }

    /// The default places of a user with that home, whatever the variables say.
    pub fn below(home: &Path) -> Self {
        Places {
            home: home.to_owned(),
            state: home.join(".openclaw"),
            config: home.join(".openclaw/openclaw.json"),
            credentials: home.join(".openclaw/credentials"),
            main_agent: None,
        }
    }

    /// As [`Places::find`], with the environment and the user database as arguments.
    fn from_variables(
        var: &dyn Fn(&str) -> Option<String>,
        database: impl FnOnce() -> Result<PathBuf>,
    ) -> Result<Self> {
        let var = |name| {
            let value: String = var(name)?;
            let value = value.trim().to_owned();
            (!value.is_empty()).then_some(value)
        };
        let home_var = |name| var(name).filter(|value| value != "undefined" && value != "null");
        let system_home = match home_var("HOME").or_else(|| home_var("USERPROFILE")) {
            Some(home) => PathBuf::from(home),
            None => database()?,
        };
        let home = match home_var("OPENCLAW_HOME") {
            Some(home) => absolute(&expand(&home, &system_home))?,
            None => absolute(&system_home)?,
        };
        let path = |name| {
            var(name)
                .map(|value| absolute(&expand(&value, &home)))
                .transpose()
        };
        let state = match path("OPENCLAW_STATE_DIR")? {
            Some(state) => state,
            None => first_existing(&home, STATE_NAMES),
        };
        let config = match path("OPENCLAW_CONFIG_PATH")? {
            Some(config) => config,
            None => first_existing(&state, CONFIG_NAMES),
        };
        let credentials = match path("OPENCLAW_OAUTH_DIR")? {
            Some(dir) => dir,
            None => state.join("credentials"),
        };
        let main_agent = match path("OPENCLAW_AGENT_DIR")? {
            Some(dir) => Some(dir),
            None => path("PI_CODING_AGENT_DIR")?,
        };
        Ok(Places {
            home,
            state,
            config,
            credentials,
            main_agent,
        })
    }

    /// The home that OpenClaw uses; `OPENCLAW_HOME` can make it another than the user's.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The state folder, `~/.openclaw` unless something else is said or there.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// `openclaw.json`, wherever it lies.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The agent's own folder. `config` may place it elsewhere (`agentDir`), and so may
    /// `OPENCLAW_AGENT_DIR` for `main`.
    pub fn agent_dir(&self, agent: &AgentId, config: Option<&Config>) -> PathBuf {
        if let Some(configured) = config.and_then(|config| configured_dir(config, agent)) {
            let dir = expand(&configured, &self.home);
            if dir.is_absolute() {
                return dir;
            }
        }
        match &self.main_agent {
            Some(dir) if agent.is_main() => dir.clone(),
            _ => self.state.join("agents").join(agent.as_str()).join("agent"),
        }
    }

    /// The agent's profiles, where that version keeps them in a file.
    pub fn auth_profiles(&self, agent: &AgentId, config: Option<&Config>) -> PathBuf {
        self.agent_dir(agent, config).join("auth-profiles.json")
    }

    /// The agent's order and cooldowns, where that version keeps them in a file.
    pub fn auth_state(&self, agent: &AgentId, config: Option<&Config>) -> PathBuf {
        self.agent_dir(agent, config)
            .join(crate::openclaw::auth_state::FILE_NAME)
    }

    /// The agents that have a folder, sorted; `main` is always among them. A folder whose name is no
    /// agent's is passed over.
    ///
    /// # Errors
    /// `Failed` when the folder is there and cannot be listed.
    pub fn agents(&self) -> Result<Vec<AgentId>> {
        let mut agents = vec![AgentId::main()];
        let dir = self.state.join("agents");
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(agents),
            Err(error) => return Err(Error::io("list", &dir, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| Error::io("list", &dir, &error))?;
            let name = entry.file_name();
            let Some(agent) = name.to_str().and_then(|name| AgentId::parse(name).ok()) else {
                continue;
            };
            // `AgentId` lower-cases: a folder `Main` is not the folder of `main`.
            if name.to_str() == Some(agent.as_str()) && entry.path().is_dir() {
                agents.push(agent);
            }
        }
        agents.sort();
        agents.dedup();
        Ok(agents)
    }

    /// Those, and the ones that are only configured: in `agents.entries` (newer) or `agents.list`.
    ///
    /// # Errors
    /// `Failed` when the folder is there and cannot be listed.
    pub fn every_agent(&self, config: &Config) -> Result<BTreeSet<AgentId>> {
        let mut names = config.keys(&["agents", "entries"]);
        // One reading, however many agents there are.
        config.leaves(|path, leaf| {
            let ([agents, list, _, id], Leaf::Text(text)) = (path, leaf) else {
                return;
            };
            if (agents.as_str(), list.as_str(), id.as_str()) == ("agents", "list", "id") {
                names.push(text.to_string());
            }
        });
        let configured = names.iter().filter_map(|name| AgentId::parse(name).ok());
        Ok(configured.chain(self.agents()?).collect())
    }

    /// Old copies of the configuration that OpenClaw makes beside it, sorted: `.bak`, `.bak.1` and
    /// on, and what it puts aside as clobbered or keeps as last good. Links and folders are left
    /// out.
    ///
    /// # Errors
    /// `Failed` when the folder is there and cannot be listed.
    pub fn config_copies(&self) -> Result<Vec<PathBuf>> {
        let (Some(dir), Some(name)) = (self.config.parent(), self.config.file_name()) else {
            return Ok(Vec::new());
        };
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("list", dir, &error)),
        };
        let name = name.to_string_lossy();
        let mut copies = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| Error::io("list", dir, &error))?;
            let file = entry.file_name();
            let is_copy = file
                .to_string_lossy()
                .strip_prefix(&*name)
                .is_some_and(|rest| {
                    [".bak", ".clobbered", ".last-good"]
                        .iter()
                        .any(|mark| rest.starts_with(mark))
                });
            if is_copy && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                copies.push(entry.path());
            }
        }
        copies.sort();
        Ok(copies)
    }
}

/// `agentDir` of an agent: `agents.entries.<id>` (newer) or the first such element of `agents.list`.
fn configured_dir(config: &Config, agent: &AgentId) -> Option<String> {
    let (mut entry, mut listed, mut dirs) = (None, None, BTreeMap::new());
    // One reading, however many agents there are.
    config.leaves(|path, leaf| {
        let ([agents, of, name, key], Leaf::Text(text)) = (path, leaf) else {
            return;
        };
        match (agents.as_str(), of.as_str(), key.as_str()) {
            ("agents", "entries", "agentDir") if name == agent.as_str() => {
                entry = Some(text.trim().to_owned());
            }
            ("agents", "list", "id") if text.trim().to_lowercase() == agent.as_str() => {
                listed.get_or_insert_with(|| name.clone());
            }
            ("agents", "list", "agentDir") => {
                dirs.insert(name.clone(), text.trim().to_owned());
            }
            _ => {}
        }
    });
    entry.or_else(|| dirs.remove(&listed?))
}

fn expand(value: &str, home: &Path) -> PathBuf {
    match value.strip_prefix('~') {
        Some("") => home.to_owned(),
        Some(rest) if rest.starts_with(['/', '\\']) => {
            home.join(rest.trim_start_matches(['/', '\\']))
        }
        _ => PathBuf::from(value),
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Error::io("find", path, &error))
}

fn first_existing(dir: &Path, names: [&str; 2]) -> PathBuf {
    let [newest, ..] = names;
    names
        .iter()
        .map(|name| dir.join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| dir.join(newest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(vars: &[(&str, &str)]) -> Places {
        let var = |name: &str| {
            vars.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Places::from_variables(&var, || Ok(PathBuf::from("/nowhere/database"))).unwrap()
    }

    #[test]
    fn variables_count_in_openclaws_order() {
        let state = |vars: &[(&str, &str)]| places(vars).state().to_owned();
        let cases: [(&[(&str, &str)], &str); 8] = [
            (&[], "/nowhere/database/.openclaw"),
            (&[("USERPROFILE", "/nowhere/w")], "/nowhere/w/.openclaw"),
            (
                &[("HOME", "/nowhere/h"), ("USERPROFILE", "/nowhere/w")],
                "/nowhere/h/.openclaw",
            ),
            (
                &[("HOME", "undefined"), ("USERPROFILE", "null")],
                "/nowhere/database/.openclaw",
            ),
            (
                &[("HOME", "/nowhere/h"), ("OPENCLAW_HOME", "~/oc")],
                "/nowhere/h/oc/.openclaw",
            ),
            (
                &[("HOME", "/nowhere/h"), ("OPENCLAW_HOME", " ")],
                "/nowhere/h/.openclaw",
            ),
            (
                &[
                    ("HOME", "/nowhere/h"),
                    ("OPENCLAW_HOME", "/nowhere/o"),
                    ("OPENCLAW_STATE_DIR", "~/s"),
                ],
                "/nowhere/o/s",
            ),
            (
                &[("HOME", "/nowhere/h"), ("OPENCLAW_STATE_DIR", "/nowhere/s")],
                "/nowhere/s",
            ),
        ];
        for (vars, expected) in cases {
            assert_eq!(state(vars), Path::new(expected), "{vars:?}");
        }
        let set = places(&[
            ("HOME", "/nowhere/h"),
            ("OPENCLAW_CONFIG_PATH", "~/c.json"),
            ("PI_CODING_AGENT_DIR", "/nowhere/a"),
        ]);
        assert_eq!(set.config(), Path::new("/nowhere/h/c.json"));
        assert_eq!(
            places(&[("HOME", "/nowhere/h"), ("OPENCLAW_OAUTH_DIR", "~/o")]).credentials,
            Path::new("/nowhere/h/o")
        );
        let other = AgentId::parse("helper").unwrap();
        assert_eq!(
            set.agent_dir(&AgentId::main(), None),
            Path::new("/nowhere/a")
        );
        assert_eq!(
            set.auth_profiles(&other, None),
            Path::new("/nowhere/h/.openclaw/agents/helper/agent/auth-profiles.json")
        );
    }

    #[test]
    fn an_older_folder_is_used_while_there_is_no_newer_one() {
        let home = tempfile::tempdir().unwrap();
        let vars = [("HOME", home.path().to_str().unwrap())];
        std::fs::create_dir(home.path().join(".clawdbot")).unwrap();
        assert_eq!(places(&vars).state(), home.path().join(".clawdbot"));
        assert!(places(&vars).config().ends_with(".clawdbot/openclaw.json"));
        crate::file::create(&home.path().join(".clawdbot/clawdbot.json"), b"{}", 0o600).unwrap();
        assert!(places(&vars).config().ends_with(".clawdbot/clawdbot.json"));
        std::fs::create_dir(home.path().join(".openclaw")).unwrap();
        assert!(places(&vars).config().ends_with(".openclaw/openclaw.json"));
    }

    #[test]
    fn agents_are_folders_with_an_agents_name() {
        let home = tempfile::tempdir().unwrap();
        let here = places(&[("HOME", home.path().to_str().unwrap())]);
        assert_eq!(here.agents().unwrap(), [AgentId::main()]);
        for name in ["work", "main", "Work2", ".hidden", "a b"] {
            std::fs::create_dir_all(here.state().join("agents").join(name)).unwrap();
        }
        crate::file::create(&here.state().join("agents/file"), b"", 0o600).unwrap();
        let names: Vec<String> = here
            .agents()
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["main", "work"]);
    }

    #[test]
    fn an_agent_without_a_folder_is_one() {
        let home = tempfile::tempdir().unwrap();
        let here = places(&[("HOME", home.path().to_str().unwrap())]);
        std::fs::create_dir_all(here.state().join("agents/work")).unwrap();
        let all = |text: &str| {
            let config = Config::parse(text.as_bytes(), Path::new("/x")).unwrap();
            let all = here.every_agent(&config).unwrap();
            all.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(all("{}"), ["main", "work"]);
        assert_eq!(
            all(
                "{ agents: { entries: { New: {}, 'a b': {} }, list: [{ id: 'Old', model: 'x' }, { id: 7 }, 8] } }"
            ),
            ["main", "new", "old", "work"]
        );
        let many = "{ id: 'x', model: 'y' }, ".repeat(20_000);
        assert_eq!(all(&format!("{{ agents: {{ list: [{many}] }} }}")).len(), 3);
    }

    #[test]
    fn a_configured_agent_dir_beats_the_default() {
        let here = places(&[("HOME", "/nowhere/h"), ("OPENCLAW_AGENT_DIR", "/nowhere/a")]);
        let read = |text: &str| Config::parse(text.as_bytes(), Path::new("/x")).unwrap();
        let newer = read("{ agents: { entries: { main: { agentDir: '~/m' } } } }");
        let older =
            read("{ agents: { list: [{ id: 'x' }, { id: 'Main', agentDir: '/nowhere/l' }] } }");
        let main = AgentId::main();
        assert_eq!(
            here.agent_dir(&main, Some(&newer)),
            Path::new("/nowhere/h/m")
        );
        assert_eq!(here.agent_dir(&main, Some(&older)), Path::new("/nowhere/l"));
        let twice = read(
            "{ agents: { list: [{ agentDir: '/nowhere/1', id: ' main ' }, { id: 'main', agentDir: '/nowhere/2' }] } }",
        );
        assert_eq!(here.agent_dir(&main, Some(&twice)), Path::new("/nowhere/1"));
        // Were the file read again for each of them, this would not end.
        let others = "{ id: 'x', agentDir: '/nowhere/x' }, ".repeat(5_000);
        let many = read(&format!(
            "{{ agents: {{ list: [{others} {{ id: 'main', agentDir: '/nowhere/m' }}] }} }}"
        ));
        assert_eq!(here.agent_dir(&main, Some(&many)), Path::new("/nowhere/m"));
        assert_eq!(
            here.agent_dir(&main, Some(&read("{}"))),
            Path::new("/nowhere/a")
        );
    }

    #[test]
    fn copies_of_the_configuration_are_openclaws_own() {
        let home = tempfile::tempdir().unwrap();
        let here = places(&[("HOME", home.path().to_str().unwrap())]);
        assert!(here.config_copies().unwrap().is_empty());
        std::fs::create_dir(here.state()).unwrap();
        for name in [
            "openclaw.json",
            "openclaw.json.bak",
            "openclaw.json.bak.3",
            "openclaw.json.clobbered.2026",
            "openclaw.json.mine",
            "other.json.bak",
        ] {
            crate::file::create(&here.state().join(name), b"{}", 0o600).unwrap();
        }
        std::fs::create_dir(here.state().join("openclaw.json.bak.d")).unwrap();
        let copies = here.config_copies().unwrap();
        let names: Vec<_> = copies
            .iter()
            .filter_map(|path| path.file_name()?.to_str())
            .collect();
        assert_eq!(
            names,
            [
                "openclaw.json.bak",
                "openclaw.json.bak.3",
                "openclaw.json.clobbered.2026"
            ]
        );
    }
}
