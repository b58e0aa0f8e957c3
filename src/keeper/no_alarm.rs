//! What calls a keeper to its end where there are no signals: its console, and a client of its user.
//! Ring 2, Windows.
//!
//! Promise: after [`set`] neither Ctrl-C nor the end of the console, of the session or of the machine
//! ends the process by itself; each calls the alarm, so that the values are wiped first. Sleep is not
//! noticed.

use super::windows;
use crate::error::{Error, Result};
use crate::host::Host;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long the system is kept from ending the process, which it does by itself after five seconds.
const LAST_MOMENT: Duration = Duration::from_secs(4);

/// What the keeper's loop waits for.
#[derive(Debug)]
pub struct Alarm {
    state: Mutex<State>,
    came: Condvar,
}

#[derive(Debug)]
struct State {
    called: bool,
    news: bool,
}

impl Alarm {
    /// One that is silent.
    pub const fn new() -> Self {
        Alarm {
            state: Mutex::new(State {
                called: false,
                news: false,
            }),
            came: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is time to end.
    pub fn ring(&self) {
        self.state().called = true;
        self.came.notify_all();
    }

    /// Something was answered: when the time is over may have changed.
    pub fn stir(&self) {
        self.state().news = true;
        self.came.notify_all();
    }

    /// Waits until it rings or stirs, at most `span`. Whether it is time to end.
    pub fn wait(&self, span: Option<Duration>) -> bool {
        let quiet = |state: &mut State| !state.called && !state.news;
        let state = self.state();
        let mut state = match span {
            None => self
                .came
                .wait_while(state, quiet)
                .unwrap_or_else(PoisonError::into_inner),
            Some(span) => {
                self.came
                    .wait_timeout_while(state, span, quiet)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        state.news = false;
        state.called
    }
}

impl Default for Alarm {
    fn default() -> Self {
        Alarm::new()
    }
}

/// The one of this process: its console is one as well.
static ALARM: Alarm = Alarm::new();

/// The alarm, which the console's end rings from now on.
///
/// # Errors
/// `Failed` when the system refuses.
pub fn set(_: &Host) -> Result<&'static Alarm> {
    windows::when_console_ends(|is_last| {
        ALARM.ring();
        if is_last {
            std::thread::sleep(LAST_MOMENT);
        }
    })
    .map_err(|error| Error::failed(format!("cannot listen for Ctrl-C: {}", error.kind())))?;
    Ok(&ALARM)
}
