//! Where OpenClaw and shells leave things: what is searched without being named.

use crate::host::Host;
use crate::openclaw::config::Config;
use crate::openclaw::places::Places;
use std::path::{Path, PathBuf};

/// Shells' and interpreters' histories, below the home.
const HISTORIES: &[&str] = &[
    ".bash_history",
    ".zsh_history",
    ".zhistory",
    ".sh_history",
    ".ash_history",
    ".history",
    ".local/share/fish/fish_history",
    ".python_history",
    ".node_repl_history",
];

/// What shells and service managers read at their start, below the home.
const STARTUP: &[&str] = &[
    ".profile",
    ".bash_profile",
    ".bash_login",
    ".bashrc",
    ".zshenv",
    ".zprofile",
    ".zshrc",
    ".zlogin",
    ".pam_environment",
    ".config/fish/config.fish",
    ".config/fish/fish_variables",
    ".config/environment.d",
    ".config/systemd/user",
    "Library/LaunchAgents",
];

/// The folders where a scan begins by itself, and what could not be found out about them.
#[derive(Debug, Default)]
pub struct Roots {
    /// Existing files and folders, by their real paths.
    pub paths: Vec<PathBuf>,
    /// Those of them that are reached by a link: what was asked for, and the real path.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Whether the configuration cannot be read, so that folders of agents and a log file that it
    /// names elsewhere are not known.
    pub unknown_config: bool,
}

impl Roots {
    /// OpenClaw's state, configuration, agents' folders and logs; the vault's folder; histories and
    /// startup files of shells; `.env` of the current folder.
    pub fn usual(host: &Host, places: &Places, vault: &Path) -> Self {
        let mut roots = Roots::default();
        let config = Config::read(places.config());
        roots.unknown_config = config.is_err();
        roots.add(places.state().to_owned());
        roots.add(places.config().to_owned());
        for copy in places.config_copies().unwrap_or_default() {
            roots.add(copy);
        }
        if let Ok(config) = &config {
            for agent in places.agents().unwrap_or_default() {
                roots.add(places.agent_dir(&agent, Some(config)));
            }
            if let Some(log) = config.string_at(&["logging", "file"]) {
                roots.add(PathBuf::from(&**log));
            }
        }
        for folder in log_folders(host) {
            roots.add(folder);
        }
        roots.add(vault.to_owned());
        if let Ok(home) = host.home() {
            for below in HISTORIES.iter().chain(STARTUP) {
                roots.add(home.join(below));
            }
        }
        for variable in ["HISTFILE", "NODE_REPL_HISTORY"] {
            roots.paths_of(host.path_var(variable));
        }
        let fish = host.path_var("XDG_DATA_HOME");
        roots.paths_of(fish.map(|data| data.join("fish/fish_history")));
        roots.paths_of(host.absolute(Path::new(".env")).ok());
        roots
    }

    fn paths_of(&mut self, path: Option<PathBuf>) {
        if let Some(path) = path {
            self.add(path);
        }
    }

    /// One more, if it is there. A link is followed here and nowhere below: it was chosen.
    ///
    /// `false` when it is not there.
    pub fn add(&mut self, path: PathBuf) -> bool {
        if !path.is_absolute() {
            return false;
        }
        let Ok(real) = std::fs::canonicalize(&path) else {
            // A link that leads nowhere is named by the walk; so is what may not be looked at.
            let stands = std::fs::symlink_metadata(&path).is_ok();
            if stands && !self.paths.contains(&path) {
                self.paths.push(path);
            }
            return stands;
        };
        let is_link = std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink());
        if is_link && !self.links.iter().any(|(asked, _)| *asked == path) {
            self.links.push((path, real.clone()));
        }
        if !self.paths.contains(&real) {
            self.paths.push(real);
        }
        true
    }
}

/// Where OpenClaw's gateway writes its daily logs: `/tmp/openclaw`, or where that cannot be its own a
/// folder with the user's number.
fn log_folders(host: &Host) -> Vec<PathBuf> {
    let mut bases = vec![PathBuf::from("/tmp")];
    bases.extend(
        ["TMPDIR", "TEMP", "TMP"]
            .iter()
            .filter_map(|name| host.path_var(name)),
    );
    let mut folders = Vec::new();
    for base in bases {
        folders.push(base.join("openclaw"));
        #[cfg(unix)]
        {
            let me = rustix::process::geteuid().as_raw();
            folders.push(base.join(format!("openclaw-{me}")));
        }
    }
    folders
}
