//! The gateway's unit, which somebody else wrote: reading it, adding to it, and making a unit of the
//! system's manager from it. Ring 2; what the gateway is, it does not know.
//!
//! Source: systemd.exec(5) "Environment". A drop-in comes after the unit and after drop-ins whose
//! names sort before its own; `EnvironmentFile=` wins over `Environment=`.

use super::marker::marked;
use super::policy::Policy;
use super::text::{
    Setting, Specifiers, checked, command_line, expand, path_text, settings, word, words,
};
use super::user::UserName;
use crate::error::{Error, Result};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The name of our drop-in.
pub const DROP_IN: &str = "50-clawkeep.conf";

/// The variable that Node takes options from.
const NODE_OPTIONS: &str = "NODE_OPTIONS";

/// Keeps Node from opening its inspector, which needs no password, on a signal.
const NO_INSPECTOR: &str = "--disable-sigusr1";

/// What of a gateway's unit matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gateway {
    /// The command, word for word.
    pub command: Vec<String>,
    /// Variables, the last of a name counting.
    pub environment: Vec<(String, String)>,
    /// Files with variables, as they stand there: a leading `-` where they may be missing.
    pub environment_files: Vec<String>,
    /// Variables that are taken away.
    pub unset: Vec<String>,
    /// The folder that it starts in.
    pub folder: Option<String>,
    /// As whom it runs, in the system's manager.
    pub user: Option<String>,
    /// How it is started again and stopped, as it stands there.
    pub policy: Vec<Policy>,
    /// Why it cannot be made into a unit of another manager: something that is not understood.
    pub trouble: Option<Error>,
}

impl Gateway {
    /// Reads a unit and the drop-ins that come before ours, in their order.
    ///
    /// # Errors
    /// `Broken`, by line number, for a text that is no unit, or a specifier that is not known.
    pub fn read(texts: &[String], known: &Specifiers<'_>) -> Result<Self> {
        let mut gateway = Gateway::default();
        for text in texts {
            for setting in settings(text)? {
                gateway.take(setting, known)?;
            }
        }
        Ok(gateway)
    }

    /// Takes in one setting. One that is not understood matters only where the whole unit is handed
    /// on; Node's options are always needed.
    fn take(&mut self, setting: Setting, known: &Specifiers<'_>) -> Result<()> {
        let is_options = setting.name == "Environment" && setting.value.contains(NODE_OPTIONS);
        match self.understand(setting, known) {
            Err(error) if !is_options => {
                self.trouble.get_or_insert(error);
                Ok(())
            }
            other => other,
        }
    }

    fn understand(&mut self, setting: Setting, known: &Specifiers<'_>) -> Result<()> {
        let expanded = |value: &str| -> Result<Vec<String>> {
            let words = words(value)?;
            words.iter().map(|word| expand(word, known)).collect()
        };
        let value = setting.value.as_str();
        if setting.section != "Service" {
            self.policy.extend(Policy::of(setting)?);
            return Ok(());
        }
        match setting.name.as_str() {
            "ExecStart" => self.command = expanded(value)?,
            "Environment" if value.is_empty() => self.environment.clear(),
            "Environment" => {
                for pair in expanded(value)? {
                    if let Some((name, value)) = pair.split_once('=') {
                        self.environment.retain(|(known, _)| known != name);
                        self.environment.push((name.to_owned(), value.to_owned()));
                    }
                }
            }
            "EnvironmentFile" if value.is_empty() => self.environment_files.clear(),
            // Not split into words: the whole value is one path.
            "EnvironmentFile" => {
                let unquoted = words(value)?.join(" ");
                self.environment_files.push(expand(&unquoted, known)?);
            }
            "UnsetEnvironment" if value.is_empty() => self.unset.clear(),
            "UnsetEnvironment" => self.unset.extend(expanded(value)?),
            "WorkingDirectory" if value.is_empty() => self.folder = None,
            "WorkingDirectory" => self.folder = Some(expand(value, known)?),
            "User" => self.user = Some(expand(value, known)?),
            _ => self.policy.extend(Policy::of(setting)?),
        }
        Ok(())
    }

    /// The files with variables, absolute paths without the `-`.
    pub fn environment_paths(&self) -> impl Iterator<Item = PathBuf> {
        self.environment_files
            .iter()
            .map(|file| PathBuf::from(file.trim_start_matches('-')))
    }

    /// Whether something takes our variable away again, whatever a drop-in says.
    pub fn unsets_node_options(&self) -> bool {
        self.unset
            .iter()
            .any(|unset| unset.split('=').next() == Some(NODE_OPTIONS))
    }

    /// Node's options with ours.
    fn node_options(&self) -> String {
        let there = self
            .environment
            .iter()
            .find(|(name, _)| name == NODE_OPTIONS)
            .map_or("", |(_, value)| value.trim());
        if has_no_inspector(there) {
            there.to_owned()
        } else {
            format!("{there} {NO_INSPECTOR}").trim().to_owned()
        }
    }
}

fn has_no_inspector(options: &str) -> bool {
    options
        .split_whitespace()
        .any(|option| option == NO_INSPECTOR)
}

/// Whether a file of variables sets Node's options without ours: it would win over the drop-in.
pub fn file_overrides(text: &str) -> bool {
    text.lines().any(|line| {
        line.trim_start()
            .strip_prefix(NODE_OPTIONS)
            .and_then(|rest| rest.trim_start().strip_prefix('='))
            .is_some_and(|value| !has_no_inspector(value.trim().trim_matches(['"', '\''])))
    })
}

/// Whether a variable of that name usually holds a key. A guess by words, for a refusal.
pub fn looks_like_key(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    [
        "API_KEY",
        "APIKEY",
        "TOKEN",
        "SECRET",
        "PASSWORD",
        "PASSWD",
        "CREDENTIAL",
        "PRIVATE_KEY",
        "ACCESS_KEY",
    ]
    .iter()
    .any(|word| name.contains(word))
}

/// The variables in a file of them, as systemd.exec(5) "EnvironmentFile" reads simple ones: a name, `=`,
/// a value that may stand in quotes. A line that is none is left out.
pub fn variables(text: &str) -> Vec<(String, String)> {
    let quoted = |value: &str| {
        ['"', '\'']
            .iter()
            .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
            .unwrap_or(value)
            .to_owned()
    };
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), quoted(value.trim())))
        .filter(|(name, _)| {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            !name.is_empty() && name.chars().all(is_word)
        })
        .collect()
}

/// What is added to a gateway's unit.
#[derive(Debug, Clone)]
pub struct DropIn<'g> {
    /// The unit as it is without us.
    pub gateway: &'g Gateway,
    /// The keeper's unit, where the same manager runs it.
    pub keeper: Option<String>,
}

/// No core dumps and no swap, since it holds the values; and no process of an agent outlives the
/// gateway that was given them.
const CONTAINED: &str = "LimitCORE=0\nMemorySwapMax=0\nKillMode=mixed\nDelegate=no\n";

impl DropIn<'_> {
    /// Where it lies beside the units of `folder`.
    pub fn path(folder: &Path, unit: &str) -> PathBuf {
        folder.join(format!("{unit}.d")).join(DROP_IN)
    }

    /// The drop-in's text, marked.
    ///
    /// # Errors
    /// `Failed` for a variable that no unit can hold.
    pub fn render(&self) -> Result<String> {
        let mut text = String::new();
        if let Some(keeper) = &self.keeper {
            let keeper = word(keeper, "the keeper's unit")?;
            let _ = write!(text, "[Unit]\nAfter={keeper}\nWants={keeper}\n\n");
        }
        let pair = format!("{NODE_OPTIONS}={}", self.gateway.node_options());
        let pair = word(&pair, "NODE_OPTIONS of the gateway's unit")?;
        let _ = write!(text, "[Service]\nEnvironment={pair}\n{CONTAINED}");
        Ok(marked(&text))
    }
}

/// A gateway as a unit of the system's manager, made from the one of a user's manager.
#[derive(Debug, Clone)]
pub struct GatewayUnit<'g> {
    /// The unit that it is made from.
    pub gateway: &'g Gateway,
    /// As whom it runs.
    pub user: UserName,
    /// The keeper's unit.
    pub keeper: String,
}

impl GatewayUnit<'_> {
    /// The unit's text, marked.
    ///
    /// # Errors
    /// `Failed` when the unit that it is made from has no command, or something that cannot be handed
    /// on as it is.
    pub fn render(&self) -> Result<String> {
        if let Some(trouble) = &self.gateway.trouble {
            return Err(trouble.clone());
        }
        let (program, args) = self
            .gateway
            .command
            .split_first()
            .ok_or_else(|| Error::failed("the gateway's unit has no ExecStart"))?;
        // `:` switches variables off; without it a `$` is one, which other words would replace.
        let (program, is_literal) = match program.strip_prefix(':') {
            Some(program) => (program, true),
            None => (program.as_str(), false),
        };
        let has_variables = !is_literal && args.iter().any(|arg| arg.contains('$'));
        if has_variables || !program.starts_with('/') {
            return Err(Error::failed(
                "the gateway's unit starts its program in a way that clawkeep does not hand on",
            ));
        }
        let keeper = word(&self.keeper, "the keeper's unit")?;
        let policy = |section: &str| {
            let mut text = String::new();
            let settings = self.gateway.policy.iter().map(Policy::setting);
            for setting in settings.filter(|setting| setting.section == section) {
                let _ = writeln!(text, "{}={}", setting.name, setting.value);
            }
            text
        };
        // What contains it stands before everything that somebody else said.
        let mut text = format!(
            "[Unit]\nDescription=gateway of {user}, given its keys by clawkeep\n\
             After=network-online.target {keeper}\nWants=network-online.target {keeper}\n{}\n\
             [Service]\nUser={user}\n{CONTAINED}ExecStart={}\n",
            policy("Unit"),
            command_line(Path::new(program), args)?,
            user = self.user,
        );
        if let Some(folder) = &self.gateway.folder {
            let folder = path_text(Path::new(folder), "the gateway's folder")?;
            // One backslash at the end would join the next line.
            if folder.ends_with('\\') {
                return Err(Error::failed("the gateway's folder ends in a backslash"));
            }
            let _ = writeln!(text, "WorkingDirectory={}", folder.replace('%', "%%"));
        }
        for file in &self.gateway.environment_files {
            let file = checked(file, "a file with the gateway's variables")?;
            let _ = writeln!(text, "EnvironmentFile={}", file.replace('%', "%%"));
        }
        let others = self
            .gateway
            .environment
            .iter()
            .filter(|(name, _)| name != NODE_OPTIONS)
            .map(|(name, value)| format!("{name}={value}"));
        let own = format!("{NODE_OPTIONS}={}", self.gateway.node_options());
        for pair in others.chain([own]) {
            let _ = writeln!(
                text,
                "Environment={}",
                word(&pair, "a variable of the gateway")?
            );
        }
        text.push_str(&policy("Service"));
        text.push_str("\n[Install]\nWantedBy=multi-user.target\n");
        Ok(marked(&text))
    }
}

#[cfg(test)]
#[path = "gateway_tests.rs"]
mod tests;
