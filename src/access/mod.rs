//! The access log: who asked for which id, when, and what came of it. Ring 2; knows ids, processes and
//! files, no vault and no value.
//!
//! It lies in `log/` (0700) in the vault's folder, as JSON lines (0600): `releases.jsonl` and
//! `refusals.jsonl`. The first has what gave a value away, the second all else, so that no noise can
//! push a release out. Each is bounded: from its bound on, equal lines are counted in place of being
//! repeated (`count`, `first`, `at`), and the oldest kinds that do not fit become one line that says how
//! many they were. The newest MiB of releases stays as it is.
//!
//! Promises:
//! - an id is recorded only where it can be a name and does not look like a secret; what the system
//!   says of a process is recorded escaped, and believed by nobody;
//! - several processes may record at once, and any of them may be killed anywhere: lines stay whole,
//!   and folding loses none, nor doubles one while its lock can be had ([`crate::file::Journal`]);
//! - a file that is not ours, a link, a pipe, or one that is too large is not read and not written, and
//!   [`Log::read`] says so; a line that cannot be read is passed over and counted.
//!
//! Not promised: that it is true against a process that may write the folder. Under `--release always`
//! that is every process of the same user.

mod caller;
mod escape;
mod event;
mod fold;
mod follow;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_hostile;

pub use caller::{Caller, Process};
pub use event::{Event, Outcome, Reason, Word, Writer};
pub use follow::Follow;

use crate::error::{Error, Kind, Result};
use crate::expiry::Millis;
use crate::file::{self, Journal, Privacy};
use fold::{Bounds, Counted, Lines};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Releases: the newest MiB as it is (some 4,000 at least), before it the counted ones.
const RELEASES: Bounds = Bounds {
    full: 2 << 20,
    verbatim: 1 << 20,
    counted: 512 << 10,
};

/// Everything else, counted whenever the file is full.
const REFUSALS: Bounds = Bounds {
    full: 512 << 10,
    verbatim: 0,
    counted: 256 << 10,
};

/// The most bytes of a file that are read. A file beyond it was not written by us.
const MAX_FILE: u64 = 8 << 20;

/// How long refusals are held back to be counted, in milliseconds.
const HELD_MS: i64 = 1000;

/// The most kinds of refusals that are held back; further ones are counted as one.
const HELD_KINDS: usize = 256;

/// The access log of one vault.
///
/// One value may live as long as its process: refusals are then counted in memory and written at
/// most once a second, at the next release, by [`Log::flush`] and when the value is dropped.
#[derive(Debug)]
pub struct Log {
    vault: PathBuf,
    held: Mutex<Held>,
}

/// Refusals that are not written yet.
#[derive(Debug, Default)]
struct Held {
    kinds: Counted,
    /// Those that were too many to be told apart.
    several: Option<Event>,
    written: Option<Millis>,
}

/// What [`Log::read`] found.
#[derive(Debug, Default)]
pub struct Reading {
    /// All that is recorded, the latest last; equal refusals are one event.
    pub events: Vec<Event>,
    /// What could not be read, in words: a file that is not ours, damaged lines.
    pub problems: Vec<String>,
}

impl Log {
    /// The log of the vault in `vault`. Touches nothing yet.
    pub fn at(vault: &Path) -> Self {
        Log {
            vault: vault.to_owned(),
            held: Mutex::default(),
        }
    }

    fn dir(&self) -> PathBuf {
        self.vault.join("log")
    }

    fn files(&self) -> [(PathBuf, Bounds); 2] {
        let dir = self.dir();
        [
            (dir.join("releases.jsonl"), RELEASES),
            (dir.join("refusals.jsonl"), REFUSALS),
        ]
    }

    /// Records one request: each id and what came of it. Ids that fared alike are one event.
    ///
    /// A release is in the file when this returns (not synced: 10 µs, where a sync takes
    /// milliseconds). A refusal may be held back for a second, so that equal ones are counted: who
    /// lives on calls [`Log::flush`] at [`Log::flush_at`].
    ///
    /// # Errors
    /// `Missing` without a vault's folder, `Broken` when something else stands in the log's place,
    /// `Failed` when the system refuses. Callers go on: no answer depends on the log.
    pub fn record(
        &self,
        now: Millis,
        caller: &Caller,
        by: Writer,
        results: &[(&str, Outcome)],
    ) -> Result<()> {
        let mut events: Vec<(Outcome, Event)> = Vec::new();
        for (id, outcome) in results {
            let at = events.iter().position(|(known, _)| known == outcome);
            let at = at.unwrap_or_else(|| {
                events.push((*outcome, Event::new(now, *outcome, caller, by)));
                events.len() - 1
            });
            events[at].1.add(id);
        }
        let mut releases = Vec::new();
        let mut held = self.held();
        for (outcome, mut event) in events {
            event.cut();
            if outcome == Outcome::Released {
                event.write(&mut releases);
            } else {
                held.add(event);
            }
        }
        let mut result = Ok(());
        if !releases.is_empty() {
            let [(path, bounds), _] = self.files();
            result = self.append(&path, bounds, &releases);
        }
        let is_due = held.flush_at().is_some_and(|at| at <= now)
            // The clock was set back.
            || held.written.is_some_and(|written| written > now);
        if !held.is_empty() && (is_due || !releases.is_empty()) {
            result = result.and(self.write_held(&mut held, now));
        }
        result
    }

    /// When [`Log::flush`] has something to write; `None` while nothing is held back.
    pub fn flush_at(&self) -> Option<Millis> {
        let held = self.held();
        held.flush_at().filter(|_| !held.is_empty())
    }

    /// Writes the refusals that are held back.
    ///
    /// # Errors
    /// As [`Log::record`]; what could not be written is forgotten.
    pub fn flush(&self, now: Millis) -> Result<()> {
        let mut held = self.held();
        if held.is_empty() {
            return Ok(());
        }
        self.write_held(&mut held, now)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_held(&self, held: &mut Held, now: Millis) -> Result<()> {
        let mut lines = Vec::new();
        for event in held.take() {
            event.write(&mut lines);
        }
        held.written = Some(now);
        let [_, (path, bounds)] = self.files();
        self.append(&path, bounds, &lines)
    }

    fn append(&self, path: &Path, bounds: Bounds, lines: &[u8]) -> Result<()> {
        self.prepare()?;
        let mut journal = Journal::open(path)?;
        let grown = journal.size() + lines.len() as u64;
        if grown > bounds.full && journal.is_locked() {
            journal = make_room(path, bounds, journal)?;
        } else if grown > MAX_FILE {
            return Err(Error::failed(format!(
                "{} is full, and another process keeps its lock",
                path.display()
            )));
        }
        journal.append(lines)
    }

    /// The log's folder: there, ours, closed to others.
    fn prepare(&self) -> Result<()> {
        let dir = self.dir();
        match file::check_private_dir(&dir) {
            Err(error) if error.kind() == Kind::Missing => {
                // Not made for a log alone.
                file::check_private_dir(&self.vault)?;
                file::private_dir(&dir)
            }
            other => other,
        }
    }

    /// Reads everything.
    ///
    /// # Errors
    /// `Broken` when the log's folder is not what it should be: a file in its place, say.
    pub fn read(&self) -> Result<Reading> {
        let mut reading = Reading::default();
        if !self.check_folder()? {
            return Ok(reading);
        }
        for (path, bounds) in self.files() {
            let aside = file::aside(&path);
            if aside.symlink_metadata().is_ok() {
                reading.problems.push(format!(
                    "{} was put aside, since it could not be read or grew too large",
                    aside.display()
                ));
            }
            let events = match read_file(&path).map(|bytes| Lines::parse(&bytes)) {
                Ok(lines) => {
                    if let Some(said) = said(&path, lines.damaged) {
                        reading.problems.push(said);
                    }
                    lines.events
                }
                Err(error) => {
                    reading.problems.push(error.message().to_owned());
                    continue;
                }
            };
            if bounds.verbatim == 0 {
                reading.events.extend(fold::count(events));
            } else {
                reading.events.extend(events);
            }
        }
        // Stable: what happened in one millisecond stays in the order of its file.
        reading.events.sort_by_key(|event| event.at);
        Ok(reading)
    }

    /// Follows the log from its last `latest` events on.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub fn follow(&self, latest: usize) -> Result<Follow> {
        self.check_folder()?;
        let files = self.files().map(|(path, _)| path);
        Ok(Follow::new(files, latest))
    }

    /// `false` while nothing was ever recorded.
    fn check_folder(&self) -> Result<bool> {
        match file::check_private_dir(&self.dir()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == Kind::Missing => Ok(false),
            Err(error) => Err(error.context("nothing is recorded")),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let mut held = self.held();
        if let Some(at) = held.flush_at().filter(|_| !held.is_empty()) {
            let _ = self.write_held(&mut held, at);
        }
    }
}

impl Held {
    fn add(&mut self, event: Event) {
        let Some(event) = self.kinds.add(event, HELD_KINDS) else {
            return;
        };
        let event = fold::anonymous(&event);
        match &mut self.several {
            Some(several) => several.absorb(event),
            None => self.several = Some(event),
        }
    }

    fn is_empty(&self) -> bool {
        self.kinds.len() == 0
    }

    /// At once after a quiet second, so that a single refusal is never late.
    fn flush_at(&self) -> Option<Millis> {
        match self.written {
            Some(written) => Millis::new(written.get().saturating_add(HELD_MS)),
            None => Millis::new(1),
        }
    }

    fn take(&mut self) -> Vec<Event> {
        let mut events: Vec<Event> = self.several.take().into_iter().collect();
        events.extend(std::mem::take(&mut self.kinds).into_events());
        events
    }
}

/// A journal with room for more in this one's place.
fn make_room(path: &Path, bounds: Bounds, full: Journal) -> Result<Journal> {
    let folded = read_file(path).map(|bytes| {
        let read = bytes.len() as u64;
        (read, fold::fold(Lines::parse(&bytes), bounds))
    });
    let full = match folded {
        Ok((read, bytes)) => match full.replace(read, &bytes) {
            Ok(journal) => return Ok(journal),
            Err(full) => full,
        },
        Err(_) => full,
    };
    if full.size() < MAX_FILE {
        // No room for a new file, say: the old one grows on, up to its last bound.
        return Ok(full);
    }
    // Neither readable nor to be grown further: put aside, where it can be looked at.
    full.set_aside()?;
    Journal::open(path)
}

/// The bytes of a file; none when it is not there.
fn read_file(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let most = usize::try_from(MAX_FILE * 2).unwrap_or(usize::MAX);
    file::read(path, most, Privacy::Private).map(Option::unwrap_or_default)
}

/// What is said of damaged lines.
fn said(path: &Path, damaged: usize) -> Option<String> {
    (damaged > 0).then(|| {
        let lines = if damaged == 1 { "line" } else { "lines" };
        Error::broken(format!(
            "{} has {damaged} {lines} that cannot be read",
            path.display()
        ))
        .message()
        .to_owned()
    })
}
