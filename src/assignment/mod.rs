//! Languages in which a name gets a value: `.env`, shell start-up files, systemd's environment files
//! and units, LaunchAgents. Ring 0: bytes in, bytes out; no files, no environment, nothing is run.
//!
//! Promises:
//! - a value is what the language's own reader gives, or it is not known (`None`), never a guess;
//! - [`without`] removes the chosen assignments and keeps every other byte: comments, order, line
//!   endings, a byte order mark, duplicates, a missing last newline; a line of which only blanks are
//!   left goes too;
//! - what stays means what it meant: [`without`] reads its own answer again, and where an assignment
//!   would mean something else in its new surroundings it refuses;
//! - every buffer that held a value is wiped; no error repeats what was read.

mod cut;
mod dotenv;
mod environment_file;
mod plist;
mod shell;
mod unit;

#[cfg(test)]
mod dotenv_tests;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use cut::{Cut, Ends};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use zeroize::Zeroizing;

pub use unit::{EnvironmentFile, environment_files};

/// The most bytes that a file may have: 1 MiB, OpenClaw's own bound for `.env`, which it skips above.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Who reads the file, and so what its bytes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// `.env` as OpenClaw reads it: the npm package `dotenv`, version 17.
    DotEnv,
    /// What sh, bash or zsh reads at login: assignments alone and `export`.
    Shell,
    /// A file that `EnvironmentFile=` of a systemd unit names. A `$` is a `$` there.
    EnvironmentFile,
    /// `environment.d`: the same grammar, and then `$NAME` and `${NAME}` are replaced.
    EnvironmentD,
    /// `Environment=` in a systemd unit or one of its drop-ins.
    Unit,
    /// `EnvironmentVariables` of a LaunchAgent, in XML.
    Plist,
}

/// One place where a name gets a value.
pub struct Assignment {
    /// The name, as the language's reader takes it.
    pub name: String,
    /// The value; `None` when it cannot be known without running something: `$(command)`, `$NAME`, a
    /// specifier of systemd.
    pub value: Option<Zeroizing<String>>,
    /// Where the name stands, from 1.
    pub line: usize,
    /// A later line of the same file takes it back, whatever other names do.
    reset: bool,
}

impl fmt::Debug for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assignment")
            .field("name", &self.name)
            .field("known", &self.value.is_some())
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

impl Assignment {
    fn new(name: &str, value: Option<Zeroizing<String>>, line: usize) -> Self {
        Assignment {
            name: name.to_owned(),
            value,
            line,
            reset: false,
        }
    }

    fn same_as(&self, other: &Assignment) -> bool {
        self.name == other.name && self.value == other.value && self.reset == other.reset
    }
}

/// Every assignment, in the order of the file, duplicates too.
///
/// # Errors
/// `Failed` above [`MAX_BYTES`]. `Broken`, by line number, where the language's own reader would
/// refuse the whole file, or where its end cannot be told from its middle (a quote that is never
/// closed). What a reader merely ignores is no error.
pub fn read(language: Language, bytes: &[u8]) -> Result<Vec<Assignment>> {
    fits(bytes)?;
    match language {
        Language::DotEnv => Ok(dotenv::read(bytes)),
        Language::Shell => shell::read(bytes),
        Language::EnvironmentFile => environment_file::read(bytes, false),
        Language::EnvironmentD => environment_file::read(bytes, true),
        Language::Unit => unit::read(bytes),
        Language::Plist => plist::read(bytes),
    }
}

/// `bytes` without the assignments that have these indices in [`read`]'s answer; every other byte
/// stays. Where the language needs something in the place (`then export K=v; fi`) a `:` stands there.
///
/// # Errors
/// As [`read`]. `Failed` for an index that [`read`] did not give, and where another assignment would
/// get a new meaning: behind a quote that was never closed, for example.
pub fn without(
    language: Language,
    bytes: &[u8],
    gone: &BTreeSet<usize>,
) -> Result<Zeroizing<Vec<u8>>> {
    let before = read(language, bytes)?;
    if gone.last().is_some_and(|last| *last >= before.len()) {
        return Err(Error::failed(
            "an assignment that was to be removed is not in the file",
        ));
    }
    let cuts: Vec<Cut> = match language {
        Language::DotEnv => dotenv::cuts(bytes, gone),
        Language::Shell => shell::cuts(bytes, gone)?,
        Language::EnvironmentFile => environment_file::cuts(bytes, false, gone)?,
        Language::EnvironmentD => environment_file::cuts(bytes, true, gone)?,
        Language::Unit => unit::cuts(bytes, gone)?,
        Language::Plist => plist::cuts(bytes, gone)?,
    };
    let ends = Ends {
        cr: language != Language::Shell,
        // A unit's cuts see to it themselves.
        joined: matches!(
            language,
            Language::Shell | Language::EnvironmentFile | Language::EnvironmentD
        ),
    };
    let rest = cut::apply(bytes, ends, cuts);
    let kept = |(index, _): &(usize, &Assignment)| !gone.contains(index);
    let kept = before.iter().enumerate().filter(kept).map(|(_, one)| one);
    let after = read(language, &rest).map_err(|_| entangled(&before, gone))?;
    if kept.clone().count() != after.len() || !kept.zip(&after).all(|(a, b)| a.same_as(b)) {
        return Err(entangled(&before, gone));
    }
    Ok(rest)
}

/// The indices of the assignments that count: of each name the last, unless the file takes it back
/// later (an empty `Environment=`).
pub fn effective(all: &[Assignment]) -> Vec<usize> {
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, one) in all.iter().enumerate().filter(|(_, one)| !one.reset) {
        last.insert(&one.name, index);
    }
    let mut indices: Vec<usize> = last.into_values().collect();
    indices.sort_unstable();
    indices
}

fn fits(bytes: &[u8]) -> Result<()> {
    if bytes.len() <= MAX_BYTES {
        return Ok(());
    }
    Err(Error::failed(format!(
        "the file has {} bytes; the most that is read is {MAX_BYTES}",
        bytes.len()
    ))
    .hint("split it, or move its credentials by hand: clawkeep secret set NAME"))
}

fn entangled(before: &[Assignment], gone: &BTreeSet<usize>) -> Error {
    let line = gone
        .first()
        .and_then(|at| before.get(*at))
        .map_or(1, |one| one.line);
    Error::failed(format!(
        "taking out what stands from line {line} on would change what other lines mean: a quote \
         near it is never closed, or a name has no value"
    ))
    .hint("mend those lines by hand, then run the command again")
}

/// A text of at most `bytes` bytes that will hold a value: it is wiped, and never grows, since a
/// buffer that grows leaves its first half behind.
fn room(bytes: usize) -> Zeroizing<String> {
    Zeroizing::new(String::with_capacity(bytes))
}

/// Appends; where there is too little room, into a new buffer of twice the size, so that the old one is
/// wiped.
fn put(buffer: &mut Zeroizing<Vec<u8>>, bytes: &[u8]) {
    let len = buffer.len() + bytes.len();
    if buffer.capacity() < len {
        let mut larger = Zeroizing::new(Vec::with_capacity(len.max(32).next_power_of_two()));
        larger.extend_from_slice(buffer);
        *buffer = larger;
    }
    buffer.extend_from_slice(bytes);
}

/// The number of the line that holds each of the given places, asked in rising order.
struct Lines<'b> {
    bytes: &'b [u8],
    at: usize,
    line: usize,
}

impl<'b> Lines<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        Lines {
            bytes,
            at: 0,
            line: 1,
        }
    }

    /// From 1. LF, CR and CR LF end a line.
    fn of(&mut self, place: usize) -> usize {
        while self.at < place {
            let two = self.bytes[self.at..].starts_with(b"\r\n");
            if matches!(self.bytes[self.at], b'\n' | b'\r') && !(two && self.at + 1 < place) {
                self.line += 1;
            }
            self.at += 1;
        }
        self.line
    }
}
