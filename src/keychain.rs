//! The keychain of the operating system. Ring 1; the only door to it: nothing else in the crate
//! names the Secret Service, D-Bus or a keyring store.
//!
//! Promises:
//! - no call outlives its limit ([`LIMIT`] unless a person waits): a session bus can accept a
//!   connection and never answer;
//! - unless [`OsKeychain::attended`] was asked for, nothing here opens a dialog: a locked keychain is
//!   `Locked` at once;
//! - where there is no keychain the answer costs no wait, and is told apart from "no such item":
//!   [`Keychain::presence`] says why, and every other call is an error of kind `Missing`;
//! - values arrive in buffers that are wiped, and no error of a keychain crate is ever shown:
//!   some of them print the secret.

use crate::error::{Error, Result};
use crate::host::Host;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

#[cfg(test)]
pub(crate) mod memory;
#[cfg(any(target_os = "macos", windows))]
#[path = "keychain/native.rs"]
mod platform;
#[cfg(target_os = "linux")]
#[path = "keychain/secret_service.rs"]
mod platform;
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
#[path = "keychain/nowhere.rs"]
mod platform;

/// How long a call may take when nobody is asked anything: 2 seconds.
pub const LIMIT: Duration = Duration::from_secs(2);

/// The name of one item: two texts, neither of them empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    service: String,
    account: String,
}

impl Item {
    /// The item `account` of `service`. In the Secret Service these are the attributes `service` and
    /// `username`, so `secret-tool lookup service S username A` shows the same item.
    pub fn new(service: impl Into<String>, account: impl Into<String>) -> Self {
        let (service, account) = (service.into(), account.into());
        debug_assert!(!service.is_empty() && !account.is_empty());
        Item { service, account }
    }

    /// Whose items these are.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Which of them it is.
    pub fn account(&self) -> &str {
        &self.account
    }
}

/// Whether this machine has a keychain for this user, now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// It is there; it may be locked.
    Here,
    /// There is none, and why: a clause such as `there is no session bus`.
    Absent(String),
}

/// A place where the operating system keeps small secrets for one user.
pub trait Keychain: Send + Sync {
    /// Whether there is one.
    ///
    /// # Errors
    /// `Locked` when it did not answer in time, `Broken` when it answered nonsense.
    fn presence(&self) -> Result<Presence>;

    /// The value of an item; `None` when there is no such item.
    ///
    /// # Errors
    /// `Missing` when there is no keychain; `Locked` when it is locked, refused, or did not answer
    /// in time; `Broken` otherwise.
    fn get(&self, item: &Item) -> Result<Option<Zeroizing<Vec<u8>>>>;

    /// Stores a value, replacing an older one.
    ///
    /// # Errors
    /// As [`Keychain::get`]; `Failed` when the value is larger than this keychain takes. After an
    /// error the old value, the new one or none may be there: callers that care keep a second item.
    fn set(&self, item: &Item, value: &[u8]) -> Result<()>;

    /// Removes an item; `false` when there was none.
    ///
    /// # Errors
    /// As [`Keychain::get`].
    fn delete(&self, item: &Item) -> Result<bool>;

    /// The accounts of all items of `service`, sorted.
    ///
    /// # Errors
    /// As [`Keychain::get`].
    fn list(&self, service: &str) -> Result<Vec<String>>;
}

/// Whether a call may ask the person at the desktop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Never: a locked keychain stays locked.
    Quiet,
    /// The keychain's own unlock dialog may appear.
    Attended,
}

/// What a platform's keychain answers besides a value. Becomes an [`Error`] in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    dead_code,
    reason = "each platform makes some of these, no platform all"
)]
enum Fault {
    /// There is no keychain, and why.
    Absent(String),
    /// It is locked, or does not let this user in, and why.
    Locked(String),
    /// The item went away between being found and being asked for.
    Gone,
    /// The value is larger than this many bytes, the most that it takes.
    TooLong(u32),
    /// The keychain's library would speak to another bus than was asked for; the address that was.
    OtherBus(Option<String>),
    /// Several items have this one name.
    Ambiguous(Item, usize),
    /// Anything else.
    Broken(String),
}

type Answer<T> = std::result::Result<T, Fault>;

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Absent(why) => Error::missing(format!("there is no keychain here: {why}")),
            Fault::Locked(why) => Error::locked(format!("the keychain is locked: {why}"))
                .hint("unlock it (log in to the desktop), then run this again"),
            Fault::Gone => Error::broken("the keychain lost the item while it was asked for"),
            Fault::TooLong(most) => Error::failed(format!(
                "the value is larger than {most} bytes, the most that this keychain takes"
            ))
            .hint("keep it in the vault file: clawkeep init --custody file"),
            Fault::OtherBus(address) => {
                let error = Error::broken(
                    "the keychain's dialogs need a session bus that is named by one plain address",
                );
                match address {
                    Some(address) => {
                        error.hint(format!("export DBUS_SESSION_BUS_ADDRESS='{address}'"))
                    }
                    None => error,
                }
            }
            Fault::Ambiguous(item, count) => Error::broken(format!(
                "the keychain has {count} items of service {} and username {}",
                item.service, item.account
            ))
            .hint(format!(
                "look at them, then: secret-tool clear service {} username {}",
                item.service, item.account
            )),
            Fault::Broken(why) => Error::broken(format!("the keychain failed: {why}")),
        }
    }
}

/// The keychain of this machine: Secret Service, macOS Keychain, or Windows Credential Manager.
///
/// Each call runs in a thread of its own that is left behind when it does not answer in time. A
/// connection is kept between calls, and made again once when it has died in the meantime.
pub struct OsKeychain {
    place: platform::Place,
    limit: Duration,
    manner: Manner,
    session: Mutex<Option<platform::Session>>,
}

impl std::fmt::Debug for OsKeychain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OsKeychain")
            .field("limit", &self.limit)
            .field("manner", &self.manner)
            .finish_non_exhaustive()
    }
}

impl OsKeychain {
    /// The user's keychain, never prompting and limited to [`LIMIT`]. Opens nothing yet.
    pub fn new(host: &Host) -> Self {
        Self::at(platform::Place::of(host))
    }

    /// The Secret Service on the bus with this D-Bus address, in place of the session's. Attended
    /// calls are refused unless the environment names the same bus.
    #[cfg(target_os = "linux")]
    pub fn on_bus(address: &str) -> Self {
        Self::at(platform::Place::named(address))
    }

    fn at(place: platform::Place) -> Self {
        OsKeychain {
            place,
            limit: LIMIT,
            manner: Manner::Quiet,
            session: Mutex::new(None),
        }
    }

    /// For commands that a person waits for: the keychain may show its unlock dialog, and has
    /// `limit` to answer.
    #[must_use]
    pub fn attended(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self.manner = Manner::Attended;
        self
    }

    fn call<T, F>(&self, ask: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&platform::Session) -> Answer<T> + Send + 'static,
    {
        Ok(self.try_call(ask)??)
    }

    /// The outer error is about the call (no thread, no answer in time), the inner one the answer.
    fn try_call<T, F>(&self, ask: F) -> Result<Answer<T>>
    where
        T: Send + 'static,
        F: Fn(&platform::Session) -> Answer<T> + Send + 'static,
    {
        // Before any thread or socket: no keychain must cost no wait.
        let route = match self.place.route() {
            Ok(route) => route,
            Err(fault) => return Ok(Err(fault)),
        };
        let kept = self.kept().take();
        let (manner, limit) = (self.manner, self.limit);
        let (answer, answered) = sync_channel(1);
        std::thread::Builder::new()
            .name("keychain".to_owned())
            .spawn(move || {
                // After the limit nobody listens: the answer is dropped here, and wiped.
                let _ = answer.send(converse(kept, &route, manner, limit, &ask));
            })
            .map_err(|error| Error::failed(format!("cannot start a thread: {}", error.kind())))?;
        match answered.recv_timeout(self.limit) {
            Ok((session, outcome)) => {
                *self.kept() = session;
                Ok(outcome)
            }
            Err(RecvTimeoutError::Timeout) => Err(Error::locked(format!(
                "the keychain did not answer within {} seconds",
                self.limit.as_secs()
            ))
            .hint("see whether it hangs: secret-tool search service clawkeep")),
            // The thread died: a keychain library panicked on what it was sent.
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::broken("the keychain sent something impossible"))
            }
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<platform::Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks over the kept session; when that one is dead, once more over a new one. Gives back a session
/// only if it worked.
fn converse<T>(
    kept: Option<platform::Session>,
    route: &platform::Route,
    manner: Manner,
    limit: Duration,
    ask: &impl Fn(&platform::Session) -> Answer<T>,
) -> (Option<platform::Session>, Answer<T>) {
    if let Some(session) = kept {
        match ask(&session) {
            // A keyring daemon that was restarted knows our session no more.
            Err(Fault::Broken(_) | Fault::Absent(_) | Fault::Gone) => drop(session),
            outcome => return (Some(session), outcome),
        }
    }
    match platform::Session::open(route, manner, limit) {
        Ok(session) => {
            let outcome = ask(&session);
            (Some(session), outcome)
        }
        Err(fault) => (None, Err(fault)),
    }
}

impl Keychain for OsKeychain {
    fn presence(&self) -> Result<Presence> {
        match self.try_call(platform::Session::probe)? {
            Ok(()) | Err(Fault::Locked(_)) => Ok(Presence::Here),
            Err(Fault::Absent(why)) => Ok(Presence::Absent(why)),
            Err(fault) => Err(fault.into()),
        }
    }

    fn get(&self, item: &Item) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let item = item.clone();
        self.call(move |session| match session.get(&item) {
            Err(Fault::Gone) => Ok(None),
            answer => answer,
        })
    }

    fn set(&self, item: &Item, value: &[u8]) -> Result<()> {
        let item = item.clone();
        let value = Zeroizing::new(value.to_vec());
        self.call(move |session| session.set(&item, &value))
    }

    fn delete(&self, item: &Item) -> Result<bool> {
        let item = item.clone();
        self.call(move |session| match session.delete(&item) {
            Err(Fault::Gone) => Ok(false),
            answer => answer,
        })
    }

    fn list(&self, service: &str) -> Result<Vec<String>> {
        let service = service.to_owned();
        self.call(move |session| {
            let mut accounts = session.list(&service)?;
            accounts.sort();
            accounts.dedup();
            Ok(accounts)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn every_fault_has_the_kind_that_callers_rely_on() {
        let item = Item::new("svc", "acc");
        for (fault, kind) in [
            (Fault::Absent("x".into()), Kind::Missing),
            (Fault::Locked("x".into()), Kind::Locked),
            (Fault::Gone, Kind::Broken),
            (Fault::TooLong(2560), Kind::Failed),
            (Fault::OtherBus(None), Kind::Broken),
            (Fault::Ambiguous(item, 2), Kind::Broken),
            (Fault::Broken("x".into()), Kind::Broken),
        ] {
            assert_eq!(Error::from(fault.clone()).kind(), kind, "{fault:?}");
        }
    }
}
