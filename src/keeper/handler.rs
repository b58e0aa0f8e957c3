//! What a keeper's loop and who answers in it have to do with each other, and the bounds of that loop.
//! Ring 2.

use super::socket::Peer;
use super::timer::Uptime;
use super::unit::Tick;
use super::wire::{Answer, MAX_ANSWER, Question};
use crate::error::Result;
use std::time::Duration;

/// How long a client may take for one question, and for taking its answer.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The most clients at one time. Each may make us hold [`super::wire::MAX_QUESTION`] bytes.
pub const MAX_CLIENTS: usize = 64;

/// How long a client may keep its place while others wait for one.
pub const GRACE: Duration = Duration::from_millis(500);

/// The most bytes of answers that wait to be taken: one of the longest is among them always.
pub const MAX_WAITING: usize = 2 * MAX_ANSWER;

/// Who asks.
#[derive(Debug, Clone)]
pub struct Asker {
    /// Who connected.
    pub peer: Peer,
    /// Who sent this very question, as the kernel attests it (Linux).
    pub sender: Option<Peer>,
    /// When the server looked at the clock after it had accepted, and when it said the challenge that
    /// this question repeats; `None` when it repeats none.
    pub challenged: Option<(Tick, Tick)>,
}

/// What the keeper does with a question.
pub trait Handler {
    /// Whether processes of this user may be given anything.
    fn expects(&self, uid: u32) -> bool;

    /// Whether a `resolve` must repeat a challenge: then its sender is known to have lived before it.
    fn challenges(&self) -> bool;

    /// Answers. An `Err` is a question that could not be read.
    fn answer(&mut self, asker: &Asker, question: Result<Question>) -> Answer;

    /// When the keeper's time is over, and why.
    fn deadline(&self) -> Option<(Uptime, Ending)>;

    /// When [`Handler::tidy`] wants to be called although nobody asks.
    fn tidy_at(&self) -> Option<Uptime>;

    /// Does what was put off.
    fn tidy(&mut self);
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A signal, or the machine is about to sleep: something was written to the alarm.
    Called,
    /// `--timeout`.
    TimeOver,
    /// `--idle`.
    Unused,
}

impl Ending {
    /// Why, for people.
    pub fn text(self) -> &'static str {
        match self {
            Ending::Called => "called to end, or the machine sleeps",
            Ending::TimeOver => "its time is over",
            Ending::Unused => "nobody asked for the time of --idle",
        }
    }
}
