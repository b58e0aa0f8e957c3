//! What was given in which round, `keeper-ledger.json` in the vault's folder. Ring 2.
//!
//! ```text
//! {"version":1,"round":"<32 hex>","sealed":false,"released":["<id>",…],"armed":["<id>",…]}
//! ```
//!
//! Promises:
//! - each linked id is given once in a round, and once more for each time that it was armed in it;
//! - [`Ledger::ask`] says yes only after the yes is on the disk: a keeper that is killed, and started
//!   again, gives nothing twice. One that is killed between the two has given nothing, and the gateway
//!   has to be armed or started again: shut is the safe side;
//! - a file that cannot be understood counts every id as given in the round that runs then;
//! - no clock that can be set decides anything.
//!
//! One round is remembered. An older one cannot come back: the manager makes a random id for each start.
//! It holds no secret. Who can write the vault's folder could remove it and be given everything again;
//! under the mode for which this is made, that is the keeper's own user and root.

use super::reason::{Reason, RoundId};
use crate::error::{Error, Kind, Result};
use crate::file::{self, Privacy};
use crate::json::place;
use crate::secret::RefId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file's name.
pub const NAME: &str = "keeper-ledger.json";

/// How long after the first request of a round an identical one is served too, for a gateway that asks
/// twice at its start.
pub const AGAIN: Duration = Duration::from_secs(10);

/// 4,096 ids of 256 bytes, given and armed, with room to spare.
const MAX: usize = 4 * 1024 * 1024;
const VERSION: u32 = 1;

/// What was given. One at a time for each vault: the keeper's lock sees to that.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    state: State,
    /// Not on the disk: after a restart the second of two requests is refused.
    first: Option<First>,
}

/// What was found on the disk.
#[derive(Debug)]
pub struct Loaded {
    /// The ledger, which is safe to ask in any case.
    pub ledger: Ledger,
    /// Why everything counts as given in this round, if it does: to be said and logged.
    pub damage: Option<Error>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    round: Option<RoundId>,
    /// Everything counts as given: what was given is not known.
    sealed: bool,
    released: BTreeSet<RefId>,
    armed: BTreeSet<RefId>,
}

/// The first request of a round.
#[derive(Debug)]
struct First {
    round: RoundId,
    asked: BTreeSet<RefId>,
    given: BTreeSet<RefId>,
    at: Duration,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The round that it was admitted to.
    pub round: RoundId,
    /// Whether the round is young enough for ids that were not armed.
    pub in_time: bool,
    /// What is asked for. Ids without a value do not belong here: they would count as given.
    pub ids: &'a BTreeSet<RefId>,
    /// All ids that are linked.
    pub linked: &'a BTreeSet<RefId>,
    /// Now, by a clock that nobody can set: [`crate::host::since_boot`].
    pub now: Duration,
    /// Whether this gateway asks twice at its start.
    pub twice: bool,
}

/// The answer for one id.
pub type Ruling = std::result::Result<(), Reason>;

impl Ledger {
    /// Reads the ledger of the vault in `dir`. `current` is the round that runs now, `None` when none
    /// does: damage then closes nothing, since nothing can have been given in a round to come.
    pub fn load(dir: &Path, current: Option<RoundId>) -> Loaded {
        let path = dir.join(NAME);
        let read = file::read(&path, MAX, Privacy::Private)
            .and_then(|bytes| bytes.map(|bytes| State::parse(&bytes)).transpose());
        let (state, damage) = match read {
            Ok(state) => (state.unwrap_or_default(), None),
            Err(error) => {
                let sealed = State {
                    round: current,
                    sealed: current.is_some(),
                    ..State::default()
                };
                let said = error
                    .as_kind(Kind::Broken)
                    .context("what the keeper gave in this start of the gateway is not known")
                    .hint("clawkeep keeper arm");
                (sealed, Some(said))
            }
        };
        Loaded {
            ledger: Ledger {
                path,
                state,
                first: None,
            },
            damage,
        }
    }

    /// Decides for each id, and notes on the disk what is given before it says so.
    ///
    /// # Errors
    /// `Failed` when it cannot be noted. Nothing may be given then.
    pub fn ask(&mut self, ask: &Ask<'_>) -> Result<BTreeMap<RefId, Ruling>> {
        let mut next = self.state.in_round(ask.round);
        let is_first = next.released.is_empty() && !next.sealed;
        let again = self.first.take_if(|first| first.is_repeated_by(ask));
        let is_again = |id| again.as_ref().is_some_and(|first| first.given.contains(id));
        let mut fresh = BTreeSet::new();
        let mut rulings = BTreeMap::new();
        for id in ask.ids {
            let ruling = if !ask.linked.contains(id) {
                Err(Reason::NotLinked)
            } else if is_again(id) || next.armed.remove(id) {
                Ok(())
            } else if next.sealed {
                Err(Reason::NotArmed)
            } else if next.released.contains(id) {
                Err(Reason::AlreadyReleased)
            } else if !ask.in_time {
                Err(Reason::TooLate)
            } else {
                fresh.insert(id.clone());
                Ok(())
            };
            if ruling.is_ok() {
                next.released.insert(id.clone());
            }
            rulings.insert(id.clone(), ruling);
        }
        // Refusals alone write nothing: noise costs no disk.
        if rulings.values().any(Ruling::is_ok) {
            self.commit(next)?;
        }
        if ask.twice && is_first && !fresh.is_empty() {
            self.first = Some(First {
                round: ask.round,
                asked: ask.ids.clone(),
                given: fresh,
                at: ask.now,
            });
        }
        Ok(rulings)
    }

    /// Lets each of these ids be given once more in this round, to one request each. In a later round
    /// the arming is gone: each id is given there anyhow.
    ///
    /// # Errors
    /// `Failed` when it cannot be noted. Nothing is armed then.
    pub fn arm(&mut self, round: RoundId, ids: &BTreeSet<RefId>) -> Result<()> {
        let mut next = self.state.in_round(round);
        next.armed.extend(ids.iter().cloned());
        self.commit(next)
    }

    fn commit(&mut self, next: State) -> Result<()> {
        if next != self.state {
            file::replace_beside(&self.path, &next.render()?, 0o600)?;
            self.state = next;
        }
        Ok(())
    }
}

impl First {
    fn is_repeated_by(&self, ask: &Ask<'_>) -> bool {
        let after = ask.now.checked_sub(self.at);
        ask.twice
            && ask.in_time
            && ask.round == self.round
            && *ask.ids == self.asked
            && after.is_some_and(|after| after <= AGAIN)
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    version: u32,
    round: Option<String>,
    sealed: bool,
    released: Vec<String>,
    armed: Vec<String>,
}

impl State {
    /// The state of this round: what is known of it, or of a round in which nothing was given yet.
    fn in_round(&self, round: RoundId) -> Self {
        if self.round == Some(round) {
            return self.clone();
        }
        State {
            round: Some(round),
            ..State::default()
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let damaged = |what: &str| Error::broken(format!("{NAME} {what}"));
        let wire: Wire = serde_json::from_slice(bytes)
            .map_err(|error| damaged(&format!("cannot be read ({})", place(&error))))?;
        if wire.version != VERSION {
            return Err(damaged("has a version that this clawkeep does not read"));
        }
        let ids = |texts: &[String]| {
            let ids = texts.iter().map(|text| RefId::parse(text));
            ids.collect::<Option<BTreeSet<RefId>>>()
                .ok_or_else(|| damaged("holds an id outside the grammar"))
        };
        let round = wire.round.map(|text| {
            RoundId::parse(&text).ok_or_else(|| damaged("names a round that cannot be"))
        });
        Ok(State {
            round: round.transpose()?,
            sealed: wire.sealed,
            released: ids(&wire.released)?,
            armed: ids(&wire.armed)?,
        })
    }

    fn render(&self) -> Result<Vec<u8>> {
        let texts = |ids: &BTreeSet<RefId>| ids.iter().map(RefId::to_string).collect();
        let wire = Wire {
            version: VERSION,
            round: self.round.map(|round| round.to_string()),
            sealed: self.sealed,
            released: texts(&self.released),
            armed: texts(&self.armed),
        };
        let mut text = serde_json::to_vec(&wire)
            .map_err(|_| Error::failed(format!("{NAME} cannot be written as JSON")))?;
        text.push(b'\n');
        if text.len() > MAX {
            return Err(Error::failed("more ids are linked than a keeper can note"));
        }
        Ok(text)
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
