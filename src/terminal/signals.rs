//! Signals while a question is open: noted, not obeyed, until the terminal is put back.
//!
//! The handlers stay for the life of the process (they cannot be taken off safely); when no
//! question is open they do what the system would have done. A signal that the process was started
//! to ignore (nohup) is left alone where the system tells which those are: on Linux.

use crate::error::{Error, Result};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::low_level;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGINT: as Ctrl-C.
    Interrupt,
    /// SIGTERM, SIGHUP, SIGQUIT, by number: the process ends.
    End(i32),
    /// SIGTSTP.
    Stop,
    /// SIGCONT: stopped from outside and running again.
    Continued,
}

/// The signals of this process.
pub(super) struct Signals {
    seen: Vec<(Signal, Arc<AtomicBool>)>,
    /// Readable when a signal came.
    wake: UnixStream,
    /// True while nothing holds the signals that end the process.
    ends: Arc<AtomicBool>,
    /// True while nothing holds SIGTSTP.
    stops: Arc<AtomicBool>,
    holders: AtomicUsize,
    stop_holders: AtomicUsize,
}

/// The signals, with handlers installed at the first call.
///
/// # Errors
/// `Failed` when the system refuses handlers or a socket pair.
pub(super) fn signals() -> Result<&'static Signals> {
    static SIGNALS: OnceLock<io::Result<Signals>> = OnceLock::new();
    SIGNALS.get_or_init(install).as_ref().map_err(|error| {
        Error::failed(format!(
            "cannot guard the terminal against signals: {}",
            error.kind()
        ))
    })
}

fn install() -> io::Result<Signals> {
    let (wake, waker) = UnixStream::pair()?;
    wake.set_nonblocking(true)?;
    let ends = Arc::new(AtomicBool::new(true));
    let stops = Arc::new(AtomicBool::new(true));
    let ignored = ignored();
    let mut seen = Vec::new();
    for (number, signal) in [
        (SIGINT, Signal::Interrupt),
        (SIGTERM, Signal::End(SIGTERM)),
        (SIGHUP, Signal::End(SIGHUP)),
        (SIGQUIT, Signal::End(SIGQUIT)),
        (SIGTSTP, Signal::Stop),
        (SIGCONT, Signal::Continued),
    ] {
        // Nobody could continue a session leader: the system discards its SIGTSTP, so do we.
        if ignored >> (number - 1) & 1 == 1 || (number == SIGTSTP && leads_session()) {
            continue;
        }
        let default = if number == SIGTSTP { &stops } else { &ends };
        signal_hook::flag::register_conditional_default(number, Arc::clone(default))?;
        let flag = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(number, Arc::clone(&flag))?;
        low_level::pipe::register(number, waker.try_clone()?)?;
        seen.push((signal, flag));
    }
    Ok(Signals {
        seen,
        wake,
        ends,
        stops,
        holders: AtomicUsize::new(0),
        stop_holders: AtomicUsize::new(0),
    })
}

/// Whether this process leads its session: nobody is there who could continue it.
pub(super) fn leads_session() -> bool {
    rustix::process::getsid(None).is_ok_and(|leader| leader == rustix::process::getpid())
}

/// The set of signals that this process was started to ignore; bit 0 is signal 1.
fn ignored() -> u64 {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return 0;
    };
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

impl Signals {
    /// Holds the signals that end the process, and SIGTSTP if `stops`, until the value is dropped.
    pub(super) fn hold(&'static self, stops: bool) -> Held {
        self.holders.fetch_add(1, SeqCst);
        self.ends.store(false, SeqCst);
        if stops && self.stop_holders.fetch_add(1, SeqCst) == 0 {
            // A stop from before was obeyed then.
            self.forget(&[Signal::Stop, Signal::Continued]);
            self.stops.store(false, SeqCst);
        }
        Held {
            signals: self,
            stops,
        }
    }

    /// What to poll beside the terminal.
    pub(super) fn wake(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// A signal that came and was not taken yet; those that end the process first.
    pub(super) fn take(&self) -> Option<Signal> {
        // Emptied before the flags are read: a signal in between wakes the poll once more.
        let mut bytes = [0; 64];
        while (&self.wake).read(&mut bytes).is_ok_and(|count| count > 0) {}
        self.seen
            .iter()
            .find(|(_, flag)| flag.swap(false, SeqCst))
            .map(|(signal, _)| *signal)
    }

    /// Forgets what was obeyed already.
    pub(super) fn forget(&self, obeyed: &[Signal]) {
        for (signal, flag) in &self.seen {
            if obeyed.contains(signal) {
                flag.store(false, SeqCst);
            }
        }
    }
}

/// While this lives, signals are noted only.
pub(super) struct Held {
    signals: &'static Signals,
    stops: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        let signals = self.signals;
        if self.stops && signals.stop_holders.fetch_sub(1, SeqCst) == 1 {
            signals.stops.store(true, SeqCst);
        }
        if signals.holders.fetch_sub(1, SeqCst) == 1 {
            signals.ends.store(true, SeqCst);
            // What came after the last look is obeyed now; the terminal is as it was.
            while let Some(signal) = signals.take() {
                match signal {
                    Signal::Interrupt => obey(SIGINT),
                    Signal::End(number) => obey(number),
                    Signal::Stop | Signal::Continued => {}
                }
            }
        }
    }
}

/// Does what the system does at `signal` where no handler is; for those that end the process this
/// does not return.
pub(super) fn obey(signal: i32) {
    let _ = low_level::emulate_default_handler(signal);
}

/// Stops the process as the terminal does. Under SIGTTOU, which nobody here handles, and not
/// SIGSTOP: the system then discards it where no shell is left that could continue us.
pub(super) fn stop() {
    let _ = low_level::raise(signal_hook::consts::SIGTTOU);
}
