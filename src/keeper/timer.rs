//! The keeper's time: since the machine started, and one timer. Ring 2.
//!
//! Promise: no clock that can be set decides anything, and the time that the machine sleeps counts
//! (Linux).

#[cfg(unix)]
use crate::error::{Error, Result};
use crate::host;
#[cfg(target_os = "linux")]
use rustix::event::PollFlags;
#[cfg(unix)]
use rustix::event::{PollFd, Timespec};
use std::time::Duration;

/// Time since the machine started, which no clock that is set can change; a sleeping machine's time
/// counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uptime(Duration);

impl Uptime {
    /// Now.
    pub fn now() -> Self {
        Uptime(host::since_boot())
    }

    /// That much later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Uptime(self.0.saturating_add(span))
    }

    /// How long until `later`; nothing when it is past.
    pub fn until(self, later: Self) -> Duration {
        later.0.saturating_sub(self.0)
    }
}

/// The one timer. On Linux it counts the time that the machine sleeps.
#[cfg(unix)]
pub(super) struct Timer {
    #[cfg(target_os = "linux")]
    fd: std::os::fd::OwnedFd,
    /// When it rings; it may ring too early, and then nothing is due.
    at: Option<Uptime>,
}

#[cfg(target_os = "linux")]
impl Timer {
    pub(super) fn new() -> Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let fd = timerfd_create(TimerfdClockId::Boottime, flags)
            .map_err(|_| Error::failed("the system has no timer for the keeper"))?;
        Ok(Timer { fd, at: None })
    }

    /// Rings at `next` at the latest. One that rings before is left: most are gone by then, and setting
    /// it anew for each client costs more than ringing once for nothing.
    pub(super) fn set(&mut self, next: Option<Uptime>) -> Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, timerfd_settime};
        let now = Uptime::now();
        let is_set = self.at.is_some_and(|at| at > now);
        match next {
            Some(next) if is_set && self.at.is_some_and(|at| at <= next) => return Ok(()),
            None if self.at.is_none() => return Ok(()),
            _ => {}
        }
        let value = Itimerspec {
            it_interval: timespec(Duration::ZERO),
            // Zero would switch it off.
            it_value: next.map_or(timespec(Duration::ZERO), |next| {
                timespec(now.until(next).max(Duration::from_nanos(1)))
            }),
        };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &value)
            .map_err(|_| Error::failed("the keeper's timer cannot be set"))?;
        self.at = next;
        Ok(())
    }

    pub(super) fn add_to<'t>(&'t self, fds: &mut Vec<PollFd<'t>>) {
        fds.push(PollFd::new(&self.fd, PollFlags::IN));
    }

    pub(super) fn span(&self) -> Option<Timespec> {
        None
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
impl Timer {
    pub(super) fn new() -> Result<Self> {
        Ok(Timer { at: None })
    }

    pub(super) fn set(&mut self, next: Option<Uptime>) -> Result<()> {
        self.at = next;
        Ok(())
    }

    pub(super) fn add_to<'t>(&'t self, _: &mut Vec<PollFd<'t>>) {}

    pub(super) fn span(&self) -> Option<Timespec> {
        let now = Uptime::now();
        self.at.map(|at| timespec(now.until(at)))
    }
}

#[cfg(unix)]
fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    }
}
