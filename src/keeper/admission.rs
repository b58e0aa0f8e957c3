//! Who may ask under `--release once`. Ring 2; looks at processes through [`System`], decides by
//! [`judge`], which looks at nothing.
//!
//! A keeper without a unit is attended: it answers its own user, in one round as long as it runs. With
//! a unit it answers the processes of that unit that run under the gateway's user, in one round for each
//! start of the unit, and gives what was not armed only within [`WINDOW`] of it.
//!
//! # Why a reused process id does not get in
//!
//! The kernel says which process *connected* (`SO_PEERCRED`), not which one is there now: an outsider
//! can connect, leave the socket to a child, end, and wait until a process of the unit gets his number.
//! So the server looks at the clock after it accepted (`looked`), waits until that tick is over, and
//! sends a challenge that nobody can guess. The question must hold it, and the kernel attests who sent
//! the question (`SCM_CREDENTIALS`). Then:
//!
//! 1. Whoever sent the challenge back did so in a tick after `looked`, and had the attested number then.
//! 2. If that number belongs to another process when we look it up, the other one was started after
//!    the sender had ended, so in a tick after `looked` as well.
//! 3. So a process of that number that was started in the tick `looked` or before *is* the sender.
//! 4. A true client was started before it connected: in the tick `looked` or before. None is refused.
//! 5. The group is read before the start time: if the start time is the sender's, the sender still had
//!    the number when its group was read.
//!
//! 2 holds because the kernel takes the start time after it took the number (Linux 5.0, and older ones
//! with the fix for CVE-2019-6133). A sender who names another number in his message must be root over
//! the process id namespace in which that number counts; a number in a namespace of his own making
//! is attested to us as what it is outside of it.

pub use super::socket::Peer;

use super::reason::{Reason, RoundId};
use super::unit::{Inside, System, Tick, Unit, Unknown};
use std::time::Duration;

/// How long after the start of the unit's oldest process values are given that were not armed.
pub const WINDOW: Duration = Duration::from_mins(1);

/// Who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// Every process of one user, in one round: an attended keeper.
    Own {
        /// The keeper's own user.
        uid: u32,
        /// The round, as long as the keeper.
        session: RoundId,
    },
    /// The processes of a unit that run under one user.
    Unit {
        /// The gateway's user.
        uid: u32,
        /// The gateway's unit.
        unit: Unit,
    },
}

/// What the server knows of a question, from the kernel and its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Who connected (`SO_PEERCRED`).
    pub connected: Peer,
    /// Who sent every part of the question that holds the challenge (`SCM_CREDENTIALS`).
    pub sender: Peer,
    /// A moment after the connection was accepted.
    pub looked: Tick,
    /// A moment before the challenge was sent.
    pub challenged: Tick,
}

/// Whether a question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is, in this round.
    Admitted {
        /// The round.
        round: RoundId,
        /// Whether the round is young enough for values that were not armed.
        in_time: bool,
    },
    /// It is not.
    Refused(Reason),
}

/// Everything that the decision on a unit's process rests on, in the order in which it was looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// What the server knew.
    pub asked: Asked,
    /// Which start of the unit it is.
    pub round: Result<Option<RoundId>, Unknown>,
    /// Whether the process that has the sender's number is in the unit.
    pub inside: Result<bool, Unknown>,
    /// When the process that has the sender's number was started.
    pub started: Option<Tick>,
    /// When the unit's oldest process was started.
    pub oldest: Result<Tick, Unknown>,
    /// Which start of the unit it is after all that.
    pub round_after: Result<Option<RoundId>, Unknown>,
    /// Now.
    pub now: Tick,
}

impl Gate {
    /// Whether this process may connect at all. Looks at its user alone, so it costs nothing.
    ///
    /// # Errors
    /// The reason, when it may not.
    pub fn may_connect(&self, peer: Peer) -> Result<(), Reason> {
        let (Gate::Own { uid, .. } | Gate::Unit { uid, .. }) = self;
        if peer.uid == *uid {
            Ok(())
        } else {
            Err(Reason::AnotherUser)
        }
    }

    /// The round that the gateway is in now: for arming, and for what a new keeper must know of the
    /// time before it. `None` when the gateway does not run.
    ///
    /// # Errors
    /// [`Reason::UnitUnknown`]. A keeper must not start then.
    pub fn round(&self, system: &System) -> Result<Option<RoundId>, Reason> {
        match self {
            Gate::Own { session, .. } => Ok(Some(*session)),
            Gate::Unit { unit, .. } => system.round(unit).map_err(|Unknown| Reason::UnitUnknown),
        }
    }

    /// Decides on a question.
    pub fn admit(&self, system: &System, asked: &Asked) -> Verdict {
        for peer in [asked.connected, asked.sender] {
            if let Err(reason) = self.may_connect(peer) {
                return Verdict::Refused(reason);
            }
        }
        match self {
            Gate::Own { session, .. } => Verdict::Admitted {
                round: *session,
                in_time: true,
            },
            Gate::Unit { unit, .. } => judge(&observe(system, unit, asked), Tick::per_second()),
        }
    }
}

/// Looks everything up, in the order that the argument above needs.
fn observe(system: &System, unit: &Unit, asked: &Asked) -> Observed {
    let pid = asked.sender.pid;
    let round = system.round(unit);
    let place: Result<Option<Inside>, Unknown> = system.place(pid, unit);
    let started = system.started(pid);
    let oldest = match &place {
        Ok(Some(inside)) => system.oldest(inside, pid),
        _ => Err(Unknown),
    };
    Observed {
        asked: *asked,
        round,
        inside: place.map(|inside| inside.is_some()),
        started,
        oldest,
        round_after: system.round(unit),
        now: Tick::now(),
    }
}

/// The decision on a process that asks at a unit's gate and runs under the right user.
pub fn judge(seen: &Observed, per_second: u64) -> Verdict {
    let asked = &seen.asked;
    let (Ok(round), Ok(inside)) = (seen.round, seen.inside) else {
        return Verdict::Refused(Reason::UnitUnknown);
    };
    let is_sender = seen.started.is_some_and(|tick| tick <= asked.looked);
    let is_one = asked.sender.pid != 0 && asked.sender.pid == asked.connected.pid;
    if !inside || !is_sender || !is_one || asked.challenged <= asked.looked {
        return Verdict::Refused(Reason::OutsideUnit);
    }
    // Between two starts, what is true of one must not be taken for the other.
    let (Some(round), Ok(oldest)) = (round, seen.oldest) else {
        return Verdict::Refused(Reason::UnitUnknown);
    };
    if seen.round_after != Ok(Some(round)) {
        return Verdict::Refused(Reason::UnitUnknown);
    }
    let Some(age) = seen.now.0.checked_sub(oldest.0) else {
        return Verdict::Refused(Reason::UnitUnknown);
    };
    Verdict::Admitted {
        round,
        in_time: age <= WINDOW.as_secs().saturating_mul(per_second),
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
