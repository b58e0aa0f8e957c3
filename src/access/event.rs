//! One line of the log: what was asked for, by whom, and what came of it. One JSON object; the fields
//! are those of [`Event`], and what is read back is as fit to be shown as what was written.

use super::caller::{Caller, Process};
use super::escape;
use crate::expiry::Millis;
use crate::provider::is_shaped_as_credential;
use crate::secret::in_grammar;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest line that is read or written, in bytes with its line feed.
pub(super) const MAX_LINE: usize = 32 * 1024;

/// The most bytes of ids in a line about values that were given; further ids are counted.
const RELEASED_IDS: usize = 16 * 1024;

/// The same for every other line: these are what noise is made of.
const REFUSED_IDS: usize = 1024;

/// What came of a request for one id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The value was given.
    Released,
    /// There is none of that name.
    Absent,
    /// The vault was locked.
    Locked,
    /// The vault is damaged or not what it should be.
    Broken,
    /// A rule forbade it.
    Refused(Reason),
}

/// Which rule forbade it. The words in the file (`serde`) stay as they are for ever; texts may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The id cannot be the name of anything.
    BadId,
    /// The asking process is not in the gateway's unit.
    OutsideUnit,
    /// The state of the gateway's unit cannot be told.
    UnitUnknown,
    /// The id was given already since the gateway started.
    Again,
    /// The gateway started too long ago.
    Late,
    /// Another user asked.
    OtherUser,
    /// The id is not linked.
    NotLinked,
    /// The gateway's own token was asked for alone.
    TokenAlone,
    /// Nobody armed the keeper.
    NotArmed,
    /// A reason that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Reason {
    /// The word in the file.
    pub fn name(self) -> &'static str {
        match self {
            Reason::BadId => "bad-id",
            Reason::OutsideUnit => "outside-unit",
            Reason::UnitUnknown => "unit-unknown",
            Reason::Again => "again",
            Reason::Late => "late",
            Reason::OtherUser => "other-user",
            Reason::NotLinked => "not-linked",
            Reason::TokenAlone => "token-alone",
            Reason::NotArmed => "not-armed",
            Reason::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::BadId => "the id cannot be the name of a secret",
            Reason::OutsideUnit => "outside the gateway's unit",
            Reason::UnitUnknown => "the state of the gateway's unit cannot be told",
            Reason::Again => "already released in this start",
            Reason::Late => "too late after the start",
            Reason::OtherUser => "another user",
            Reason::NotLinked => "not linked",
            Reason::TokenAlone => "the gateway's token alone, as no gateway asks",
            Reason::NotArmed => "not armed",
            Reason::Unknown => "for a reason that this version does not know",
        })
    }
}

/// The first word of what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// As [`Outcome::Released`].
    Released,
    /// As [`Outcome::Absent`].
    Absent,
    /// As [`Outcome::Locked`].
    Locked,
    /// As [`Outcome::Broken`].
    Broken,
    /// As [`Outcome::Refused`]; the reason stands beside it.
    Refused,
    /// Older lines of several kinds, of which only the number was kept.
    Several,
}

impl Word {
    /// The word in the file and on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Word::Released => "released",
            Word::Absent => "absent",
            Word::Locked => "locked",
            Word::Broken => "broken",
            Word::Refused => "refused",
            Word::Several => "several",
        }
    }
}

/// Which program of ours wrote the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Writer {
    /// The keeper.
    Keeper,
    /// `resolve`, where no keeper answered.
    Resolve,
    /// A command that a person typed.
    Command,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Writer {
    /// The word in the file.
    pub fn name(self) -> &'static str {
        match self {
            Writer::Keeper => "keeper",
            Writer::Resolve => "resolve",
            Writer::Command => "command",
            Writer::Unknown => "unknown",
        }
    }
}

/// One request and what came of it for the ids that fared alike; or several that were equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When; the last time where there were several.
    pub at: Millis,
    /// The first time, where there were several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Millis>,
    /// How often, from 1.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub count: u64,
    /// What came of it.
    pub result: Word,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The ids, as they were asked for.
    #[serde(default)]
    pub ids: Vec<String>,
    /// How many more ids there were.
    #[serde(default, skip_serializing_if = "is_none")]
    pub more: u64,
    /// How many ids there were besides that are none, or that look like a secret themselves.
    #[serde(default, skip_serializing_if = "is_none")]
    pub malformed: u64,
    /// The asking user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The asking process; the last one where there were several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The process that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Process>,
    /// Who wrote the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Writer>,
}

fn once() -> u64 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_once(count: &u64) -> bool {
    *count == 1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Event {
    /// What happened once, without ids yet.
    pub(super) fn new(at: Millis, outcome: Outcome, caller: &Caller, by: Writer) -> Self {
        let (result, reason) = match outcome {
            Outcome::Released => (Word::Released, None),
            Outcome::Absent => (Word::Absent, None),
            Outcome::Locked => (Word::Locked, None),
            Outcome::Broken => (Word::Broken, None),
            Outcome::Refused(reason) => (Word::Refused, Some(reason)),
        };
        Event {
            at,
            first: None,
            count: 1,
            result,
            reason,
            ids: Vec::new(),
            more: 0,
            malformed: 0,
            uid: Some(caller.uid),
            process: Some(caller.process.clone()),
            parent: caller.parent.clone(),
            by: Some(by),
        }
    }

    /// Adds an id; one that is none, or looks like a value that somebody put in its place, is counted.
    pub(super) fn add(&mut self, id: &str) {
        if is_name(id) {
            self.ids.push(id.to_owned());
        } else {
            self.malformed += 1;
        }
    }

    /// Leaves the ids that fit into a line.
    pub(super) fn cut(&mut self) {
        let most = if self.result == Word::Released {
            RELEASED_IDS
        } else {
            REFUSED_IDS
        };
        let mut bytes = 0;
        let fit = self.ids.iter().take_while(|id| {
            bytes += id.len() + 3;
            bytes <= most
        });
        let fit = fit.count();
        let over = u64::try_from(self.ids.len() - fit).unwrap_or(u64::MAX);
        self.more = self.more.saturating_add(over);
        self.ids.truncate(fit);
    }

    /// The first time.
    pub fn since(&self) -> Millis {
        self.first.unwrap_or(self.at)
    }

    /// Counts another of the same kind into this one.
    pub(super) fn absorb(&mut self, other: Event) {
        let since = self.since().min(other.since());
        self.count = self.count.saturating_add(other.count);
        if other.at >= self.at {
            self.at = other.at;
            self.process = other.process;
            self.parent = other.parent;
        }
        self.first = Some(since);
    }

    /// Reads one line. `None` when it is none of ours.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        if line.len() > MAX_LINE {
            return None;
        }
        let mut event: Event = serde_json::from_slice(line).ok()?;
        let is_ours = event.count > 0
            && event.since() <= event.at
            && (event.result == Word::Refused) == event.reason.is_some()
            && event.ids.iter().all(|id| is_name(id));
        let process = event.process.iter_mut().chain(&mut event.parent);
        for program in process.filter_map(|process| process.program.as_mut()) {
            *program = escape::again(program);
        }
        is_ours.then_some(event)
    }

    /// Appends the line.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        // Plain data: it cannot fail; were it to, the line would be missing and no other harmed.
        let before = out.len();
        if serde_json::to_writer(&mut *out, self).is_err() {
            out.truncate(before);
            return;
        }
        out.push(b'\n');
    }

    /// What must be equal for two to be counted as one: all but times and process numbers.
    pub(super) fn kind(&self) -> Kind {
        let program = |process: &Option<Process>| process.as_ref()?.program.clone();
        Kind {
            result: self.result,
            reason: self.reason,
            ids: self.ids.clone(),
            more: self.more,
            malformed: self.malformed,
            uid: self.uid,
            program: program(&self.process),
            parent: program(&self.parent),
            by: self.by,
        }
    }
}

/// What makes two events equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    result: Word,
    reason: Option<Reason>,
    ids: Vec<String>,
    more: u64,
    malformed: u64,
    uid: Option<u32>,
    program: Option<String>,
    parent: Option<String>,
    by: Option<Writer>,
}

fn is_name(id: &str) -> bool {
    in_grammar(id) && !is_shaped_as_credential(id)
}
