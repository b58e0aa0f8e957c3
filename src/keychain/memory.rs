//! A keychain in memory for unit tests, which fails on demand. Clones share their items.

use super::{Item, Keychain, Presence};
use crate::error::{Error, Kind, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use zeroize::Zeroizing;

/// What a failing call does before it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// All that it was asked for: only the answer is lost.
    Whole,
    /// The old item goes and the new one never comes.
    Torn,
}

#[derive(Debug, Clone, Copy)]
struct Failure {
    from: usize,
    effect: Effect,
    /// Whether later calls fail as well, without effect, as after a crash.
    lasting: bool,
    kind: Kind,
}

#[derive(Debug, Default)]
struct State {
    items: BTreeMap<Item, Vec<u8>>,
    calls: usize,
    failure: Option<Failure>,
    absent: bool,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct InMemory(Arc<Mutex<State>>);

impl InMemory {
    pub(crate) fn new() -> Self {
        InMemory::default()
    }

    /// From now on this machine has no keychain.
    pub(crate) fn vanish(&self) {
        self.state().absent = true;
    }

    /// The call with number `at` (from now, 0 is the next one) fails with `kind`.
    pub(crate) fn fail_once(&self, at: usize, effect: Effect, kind: Kind) {
        self.fail(at, effect, kind, false);
    }

    /// As [`InMemory::fail_once`], and every later call fails too: the process was killed there.
    pub(crate) fn crash(&self, at: usize, effect: Effect) {
        self.fail(at, effect, Kind::Broken, true);
    }

    fn fail(&self, at: usize, effect: Effect, kind: Kind, lasting: bool) {
        let mut state = self.state();
        state.failure = Some(Failure {
            from: state.calls + at,
            effect,
            lasting,
            kind,
        });
    }

    /// No call fails any more. Gives the number of calls so far.
    pub(crate) fn heal(&self) -> usize {
        let mut state = self.state();
        state.failure = None;
        state.absent = false;
        state.calls
    }

    /// All accounts of all services, sorted: what a person would see in the keychain's own window.
    pub(crate) fn accounts(&self) -> Vec<String> {
        let state = self.state();
        state
            .items
            .keys()
            .map(|item| item.account().to_owned())
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Counts the call. `Err` holds what the failing call does first.
    fn begin(&self) -> std::result::Result<MutexGuard<'_, State>, (Effect, Error)> {
        let mut state = self.state();
        let call = state.calls;
        state.calls += 1;
        if state.absent {
            return Err((
                Effect::None,
                Error::missing("there is no keychain here: the test took it away"),
            ));
        }
        match state.failure {
            Some(failure) if call == failure.from => Err((
                failure.effect,
                Error::new(failure.kind, "the test made this call fail"),
            )),
            Some(failure) if failure.lasting && call > failure.from => {
                Err((Effect::None, Error::broken("the test killed the process")))
            }
            _ => Ok(state),
        }
    }
}

impl Keychain for InMemory {
    fn presence(&self) -> Result<Presence> {
        match self.begin() {
            Ok(_) => Ok(Presence::Here),
            Err((_, error)) if error.kind() == Kind::Missing => {
                Ok(Presence::Absent("the test took it away".to_owned()))
            }
            Err((_, error)) => Err(error),
        }
    }

    fn get(&self, item: &Item) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let state = self.begin().map_err(|(_, error)| error)?;
        Ok(state.items.get(item).cloned().map(Zeroizing::new))
    }

    fn set(&self, item: &Item, value: &[u8]) -> Result<()> {
        match self.begin() {
            Ok(mut state) => {
                state.items.insert(item.clone(), value.to_vec());
                Ok(())
            }
            Err((effect, error)) => {
                let mut state = self.state();
                match effect {
                    Effect::None => None,
                    Effect::Whole => state.items.insert(item.clone(), value.to_vec()),
                    Effect::Torn => state.items.remove(item),
                };
                Err(error)
            }
        }
    }

    fn delete(&self, item: &Item) -> Result<bool> {
        match self.begin() {
            Ok(mut state) => Ok(state.items.remove(item).is_some()),
            Err((effect, error)) => {
                if effect != Effect::None {
                    self.state().items.remove(item);
                }
                Err(error)
            }
        }
    }

    fn list(&self, service: &str) -> Result<Vec<String>> {
        let state = self.begin().map_err(|(_, error)| error)?;
        Ok(state
            .items
            .keys()
            .filter(|item| item.service() == service)
            .map(|item| item.account().to_owned())
            .collect())
    }
}
