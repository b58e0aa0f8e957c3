//! Rewrites a database so that nothing of what was deleted is left in it: the one way in which
//! clawkeep writes to OpenClaw's databases.
//!
//! OpenClaw's own command for this (`openclaw doctor --state-sqlite compact`, 2026.9.6) does the same
//! `VACUUM`, for the shared database alone.
//!
//! Promises: never while OpenClaw runs, nor while anybody at all has the file open; every row stays; a
//! copy of the rows lies beside it until the rewritten file is found sound, and goes then.

use super::node;
use super::running::gateway_runs;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::openclaw::config::Config;
use crate::openclaw::install::Install;
use crate::openclaw::places::Places;
use serde::Deserialize;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PROGRAM: &str = include_str!("compact.mjs");

/// How long it may take: a database of many gigabytes on a slow disk. One that is stopped in the middle
/// is as it was.
const LIMIT: Duration = Duration::from_mins(30);

/// What follows the database's name in that of the copy.
const COPY: &str = ".clawkeep-copy";

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// The database's bytes before, its log not counted.
    pub before: u64,
    /// And after.
    pub after: u64,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Answer {
    Done { done: bool },
    Refused { error: Refused },
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Refused {
    Node,
    Busy,
    Corrupt,
    Full,
    Open,
    Damaged,
    Other,
}

/// Compacts one database. The same again does no harm.
///
/// # Errors
/// `Failed`, with the file as it was, when a gateway runs, when another process has it open, when the
/// disk has no room for a copy, or when Node fails; `Broken` when it is damaged: then it is not touched,
/// or, should it be so afterwards, the copy stays and is named.
pub fn compact(
    install: &Install,
    host: &Host,
    places: &Places,
    config: &Config,
    file: &Path,
) -> Result<Compacted> {
    let said = file.display();
    let stop = "openclaw gateway stop";
    if let Some(running) = gateway_runs(host, places, config) {
        return Err(Error::failed(format!(
            "{running}: {said} can be compacted only while nothing uses it"
        ))
        .hint(stop));
    }
    if !super::is_ours(file)? {
        return Err(Error::missing(format!("there is no database {said}")));
    }
    let before = size(file)?;
    let copy = copy_of(file);
    let args = [file.as_os_str(), copy.as_os_str()];
    if args.iter().any(|arg| arg.to_str().is_none()) {
        return Err(Error::failed(format!(
            "the path of {said} is not UTF-8, and so Node cannot be told it"
        )));
    }
    let args: Vec<&OsStr> = args.to_vec();
    // SQLite's temporary file has no name and holds rows: it lies where they lie already.
    let answer = node::ask(install.node()?, PROGRAM, &args, file.parent(), 1000, LIMIT)?;
    let answer: Answer = serde_json::from_slice(&answer).map_err(|_| {
        Error::failed(format!(
            "Node gave no answer that could be read about {said}"
        ))
        .hint("openclaw doctor")
    })?;
    let refused = match answer {
        Answer::Done { done: true } => {
            let after = size(file)?;
            return Ok(Compacted { before, after });
        }
        Answer::Done { done: false } => Refused::Other,
        Answer::Refused { error } => error,
    };
    let kept = if copy.exists() {
        format!("; a copy of its rows is in {}", copy.display())
    } else {
        String::new()
    };
    Err(match refused {
        Refused::Node => super::refusal(super::Refused::Node, file, install),
        Refused::Busy => Error::failed(format!(
            "{said} is open in another process, so it was not compacted"
        ))
        .hint(format!("{stop}; fuser -v {}", crate::error::typed(file))),
        Refused::Corrupt | Refused::Damaged => {
            Error::broken(format!("{said} is damaged{kept}")).hint("openclaw doctor")
        }
        Refused::Full => Error::failed(format!(
            "{said} was not compacted: the disk has no room for a copy of it"
        ))
        .hint(format!("df -h {}", crate::error::typed(file))),
        Refused::Open => Error::failed(format!("{said} cannot be opened for writing"))
            .hint(format!("ls -l {}", crate::error::typed(file))),
        Refused::Other => {
            Error::failed(format!("{said} could not be compacted{kept}")).hint("openclaw doctor")
        }
    })
}

fn size(file: &Path) -> Result<u64> {
    std::fs::metadata(file)
        .map(|meta| meta.len())
        .map_err(|error| Error::io("find", file, &error))
}

fn copy_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(COPY);
    PathBuf::from(name)
}
