//! The credential stores that OpenClaw keeps in SQLite from 2026.6.5 on: what stands there in the
//! clear, and compaction. Ring 2'; knows three tables and OpenClaw's own Node, not who wants the
//! values.
//!
//! Source: OpenClaw 2026.8.2 and 2026.9.6, `src/agents/auth-profiles/sqlite*.ts` and
//! `src/commands/doctor-sqlite-compact.ts`, and runs of both: an agent's own
//! `openclaw-agent.sqlite` has the table `auth_profile_store`, the shared `state/openclaw.sqlite`
//! the row `authProfiles.store` of `config_machine_state`; both hold the same JSON as
//! auth-profiles.json. What `openclaw secrets store` keeps is in `secret_store_entries` there.
//!
//! Promises:
//! - reading changes no byte of a database, and sees what is still in its write-ahead log;
//! - a value travels over a pipe alone: never as an argument, a variable, or in a file;
//! - a store that cannot be looked into is an error, never an empty one;
//! - compaction leaves every row as it was, or the file as it was.

mod answer;
mod compact;
mod node;
mod running;
mod store;
#[cfg(test)]
#[cfg(unix)]
mod tests;

pub use compact::{Compacted, compact};
pub use running::{Running, gateway_runs};

use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::openclaw::config::Config;
use crate::openclaw::elsewhere::Reference;
use crate::openclaw::install::Install;
use crate::openclaw::places::Places;
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::secret::SecretKind;
use answer::Refused;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// Whose store it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// An agent's own.
    Agent(AgentId),
    /// The one that all agents have in common (2026.8.2 and later).
    Shared,
}

impl Place {
    /// The agent for which OpenClaw's commands name this store: the shared one is `main`'s.
    pub fn agent(&self) -> AgentId {
        match self {
            Place::Agent(agent) => agent.clone(),
            Place::Shared => AgentId::main(),
        }
    }
}

/// A profile whose value stands in a database in the clear.
pub struct Stored {
    /// Whose store it is.
    pub place: Place,
    /// The database.
    pub file: PathBuf,
    /// Its id.
    pub profile: ProfileId,
    /// Whose credential it is.
    pub provider: ProviderId,
    /// What it holds.
    pub kind: SecretKind,
    /// The value, wiped when dropped.
    pub value: Zeroizing<String>,
    /// When it stops working; `None` for never.
    pub expires: Option<Millis>,
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stored")
            .field("place", &self.place)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

/// An oauth login: OpenClaw renews it itself, and takes no ref in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Whose store it is.
    pub place: Place,
    /// The database.
    pub file: PathBuf,
    /// Its id.
    pub profile: ProfileId,
    /// Whose login it is.
    pub provider: ProviderId,
}

/// A profile whose value somebody else than clawkeep gives.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// Whose store it is.
    pub place: Place,
    /// Its id.
    pub profile: ProfileId,
    /// Whose credential it is.
    pub provider: ProviderId,
    /// What stands in its value's place.
    pub reference: Reference,
}

/// A value in OpenClaw's own store of secrets (`openclaw secrets store`), which lies there in the clear.
/// Refs of the source `store` ask for it by its name. OpenClaw's `secrets store rm` only marks it as
/// removed: the value stays in the row (2026.9.6, ran).
pub struct Own {
    /// The database.
    pub file: PathBuf,
    /// Its name in that store.
    pub name: String,
    /// The value, wiped when dropped.
    pub value: Zeroizing<String>,
    /// Whether it counts as removed, and nothing can ask for it.
    pub is_removed: bool,
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Own")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What the databases hold.
#[derive(Debug, Default)]
pub struct Contents {
    /// The databases that were looked into.
    pub files: Vec<PathBuf>,
    /// Values in the clear. One profile can stand here twice: in its agent's store and in the shared
    /// one.
    pub stored: Vec<Stored>,
    /// Values in the clear that OpenClaw does not read: beside a ref, or beside the value that counts.
    /// They go only with their profile: `models auth logout`, and then a ref planted anew.
    pub residue: Vec<Stored>,
    /// Logins that stay.
    pub logins: Vec<Login>,
    /// References that others answer.
    pub elsewhere: Vec<Elsewhere>,
    /// Values that a person put into OpenClaw's own store.
    pub own: Vec<Own>,
}

impl Contents {
    /// The names that a reference to OpenClaw's own store can ask for.
    pub fn own_names(&self) -> BTreeSet<String> {
        let there = self.own.iter().filter(|one| !one.is_removed);
        there.map(|one| one.name.clone()).collect()
    }
}

/// The newest schemas of which every place of credentials is known: of 2026.9.6.
const KNOWN_AGENT: i64 = 23;
const KNOWN_SHARED: i64 = 18;

/// The most bytes that all stores together may have: 64 MiB.
const MOST: usize = 64 * 1024 * 1024;
/// How long the reading may take: Node's start on a loaded machine, and waiting for a writer.
const READING: Duration = Duration::from_mins(2);

const READER: &str = include_str!("reader.mjs");

/// The databases that there are, the shared one first. None is no error: versions up to 2026.6.1 have
/// none, and a new installation makes its own later.
///
/// # Errors
/// `Failed` when the agents' folder cannot be listed; `Broken` for a database that is a link or no
/// regular file, or another user's: even looking into it would leave files of ours there.
pub fn files(places: &Places, config: &Config) -> Result<Vec<(Place, PathBuf)>> {
    let mut named = vec![(Place::Shared, places.state().join("state/openclaw.sqlite"))];
    for agent in places.agents()? {
        let dir = places.agent_dir(&agent, Some(config));
        named.push((Place::Agent(agent), dir.join("openclaw-agent.sqlite")));
    }
    let mut found = Vec::new();
    for (place, path) in named {
        if is_ours(&path)? {
            found.push((place, path));
        }
    }
    Ok(found)
}

/// Whether a database is there, a regular file and this user's.
fn is_ours(path: &Path) -> Result<bool> {
    let meta = match std::fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::io("find", path, &error)),
    };
    let refuse = |what: &str| {
        Err(Error::broken(format!("{} {what}", path.display()))
            .hint(format!("ls -l {}", crate::error::typed(path))))
    };
    if !meta.is_file() {
        return refuse("is not a regular file; clawkeep looks into no other database");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return refuse("belongs to another user; clawkeep looks only into one's own database");
        }
    }
    Ok(true)
}

/// Looks into every database.
///
/// # Errors
/// `Missing` when there is a database and no Node to read it; `Broken` when one is damaged or laid out
/// as no known version does, or of a newer version that has no known store; `Failed` when one is busy
/// or Node fails. Never an answer about only a part of them.
pub fn read(install: &Install, places: &Places, config: &Config) -> Result<Contents> {
    let named = files(places, config)?;
    let mut contents = Contents::default();
    if named.is_empty() {
        return Ok(contents);
    }
    let mut args: Vec<&OsStr> = Vec::new();
    for (place, path) in &named {
        if path.to_str().is_none() {
            return Err(Error::failed(format!(
                "the path of {} is not UTF-8, and so Node cannot be told it",
                path.display()
            )));
        }
        args.push(OsStr::new(match place {
            Place::Agent(_) => "agent",
            Place::Shared => "shared",
        }));
        args.push(path.as_os_str());
    }
    let answer = node::ask(install.node()?, READER, &args, None, MOST, READING)?;
    let looked = answer::parse(&answer, named.len())?;
    for ((place, file), looked) in named.into_iter().zip(looked) {
        let looked = looked.map_err(|refused| refusal(refused, &file, install))?;
        if let Some(own) = looked.own.clone() {
            store::read_own(&answer[own], &file, &mut contents)?;
        }
        let rows = known(looked, &place, &file)?;
        for row in rows {
            store::read(&answer[row], &place, &file, &mut contents)?;
        }
        contents.files.push(file);
    }
    Ok(contents)
}

/// The rows of a store whose schema is known, or which is where it is known to be.
fn known(looked: answer::Looked, place: &Place, file: &Path) -> Result<Vec<Range<usize>>> {
    let newest = match place {
        Place::Agent(_) => KNOWN_AGENT,
        Place::Shared => KNOWN_SHARED,
    };
    match looked.rows {
        Some(rows) if !rows.is_empty() || looked.schema <= newest => Ok(rows),
        None if looked.schema <= newest => Ok(Vec::new()),
        _ => Err(Error::broken(format!(
            "{} is of a newer OpenClaw (schema {}) than clawkeep can look into, and holds no \
             profiles where they are known to be",
            file.display(),
            looked.schema
        ))
        .hint("look for a newer clawkeep: clawkeep --version")),
    }
}

fn refusal(refused: Refused, file: &Path, install: &Install) -> Error {
    let said = file.display();
    match refused {
        Refused::Node => Error::failed(format!(
            "OpenClaw's database cannot be looked into: {} has no node:sqlite",
            install.node().map_or_else(
                |_| "this Node".to_owned(),
                |node| node.display().to_string()
            )
        ))
        .hint(format!(
            "name the Node that runs OpenClaw: {}=/path/to/node",
            crate::openclaw::install::NODE_VARIABLE
        )),
        Refused::Busy => Error::failed(format!(
            "{said} is held by another process, or one was killed in the middle of a change"
        ))
        .hint("openclaw gateway stop; openclaw doctor"),
        Refused::Corrupt => {
            Error::broken(format!("{said} is no whole SQLite database")).hint("openclaw doctor")
        }
        Refused::Open => Error::failed(format!("{said} cannot be opened"))
            .hint(format!("ls -l {}", crate::error::typed(file))),
        Refused::Layout => Error::broken(format!(
            "{said} is laid out as no OpenClaw that clawkeep knows does it"
        ))
        .hint("look for a newer clawkeep: clawkeep --version"),
        Refused::Large => Error::broken(format!(
            "the profiles in {said} have more than 8 MiB, the most that clawkeep reads there"
        ))
        .hint("openclaw models auth list"),
        Refused::Other => {
            Error::failed(format!("{said} cannot be looked into")).hint("openclaw doctor")
        }
    }
}
