//! The keeper's process: from an opened vault to answers. Ring 4.
//!
//! Promises: it answers its own user alone; what another process wrote is read before any answer; a
//! write goes through the vault's own lock; when it ends, the vault is wiped before anything else is
//! said.

use super::choice::{Batch, Entries};
use super::once::{self, Once, Refusals};
use super::resolve::outcome;
use crate::access::{Caller, Log, Outcome, Reason, Writer};
use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::file::{self, Lock};
use crate::host::Host;
use crate::keeper::Release;
use crate::keeper::published::Published;
use crate::keeper::reason::RoundId;
use crate::keeper::server::{self, Asker, Ending, Handler, Uptime};
use crate::keeper::unit::Unit;
use crate::keeper::wire::{Answer, Given, Listed, Question, Status, Stored};
use crate::keeper::{alarm, socket};
use crate::keychain::OsKeychain;
use crate::secret::{RefId, SecretId};
use crate::store::{Meta, Resolve, Store};
use crate::vault::held::Held;
use crate::vault::id::VaultId;
use crate::vault::slot::SlotName;
use crate::vault::unlock::Keys;
use crate::wipe::{self, Locking};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long refusals may be held back by the access log, to be counted.
const HELD_BACK: Duration = Duration::from_secs(1);

/// How a keeper is to run.
pub struct Terms {
    /// How often it gives a value.
    pub release: Release,
    /// When it ends, whatever happens.
    pub timeout: Option<Duration>,
    /// When it ends because nobody asked.
    pub idle: Option<Duration>,
    /// Where it listens.
    pub socket: PathBuf,
    /// Whether the gateway asks for everything twice at its start.
    pub asks_twice: bool,
    /// Who may ask under [`Release::Once`]; its own user where there is none.
    pub unit: Option<GatewayUnit>,
}

/// The one unit that a keeper answers, and the user of its processes.
pub struct GatewayUnit {
    /// The unit.
    pub unit: Unit,
    /// The number of its user.
    pub uid: u32,
}

/// The right to be the keeper of one vault.
pub struct Seat {
    _lock: Lock,
}

impl Seat {
    /// Takes the seat of the vault in `dir`.
    ///
    /// # Errors
    /// `Failed` when another keeper has it.
    pub fn take(dir: &Path) -> Result<Self> {
        file::check_private_dir(dir)?;
        match Lock::hold(&dir.join("keeper.lock"))? {
            Some(lock) => Ok(Seat { _lock: lock }),
            None => Err(Error::failed("another keeper holds this vault already")
                .hint("clawkeep keeper status")),
        }
    }
}

/// Listens and answers until it is called to end. `ready` is told when the first client may come.
///
/// # Errors
/// `Failed` when it cannot listen; `Broken` when something is in the socket's place.
pub fn keep(
    host: &Host,
    held: Held,
    terms: Terms,
    _seat: Seat,
    warn: impl FnOnce(&Error),
    ready: impl FnOnce(&Status) -> Result<()>,
) -> Result<Ending> {
    // Before the first client, so that a signal that follows at once is not lost.
    let alarm = alarm::set(host)?;
    let everything = wipe::lock_everything();
    let since = host.now();
    // Also when something goes wrong from here on.
    let state = Said(held.dir().to_owned());
    let published = Published {
        pid: std::process::id(),
        release: terms.release,
        since,
        locks_at: terms.timeout.and_then(|span| after(since, span)),
        vault_id: held.id(),
        challenge: None,
    };
    let once = match terms.release {
        Release::Always => {
            published.save(held.dir())?;
            None
        }
        Release::Once => Some(Once::begin(held.dir(), &terms, published, warn)?),
    };
    // The gateway's user connects from outside; who it is decides.
    let mode = if terms.unit.is_some() { 0o666 } else { 0o600 };
    let listener = socket::listen(&terms.socket, mode)?;
    let socket = Bound(terms.socket.clone());
    let now = Uptime::now();
    let mut keeper = Keeper {
        host: host.clone(),
        log: Log::at(held.dir()),
        once,
        everything,
        since,
        until: terms.timeout.map(|span| now.after(span)),
        used: now,
        tidy_at: None,
        #[cfg(windows)]
        called: None,
        held,
        terms,
    };
    ready(&keeper.status())?;
    #[cfg_attr(
        windows,
        allow(clippy::needless_borrow, reason = "a reference already there")
    )]
    let ended = server::serve(&listener, &alarm, &mut keeper);
    // The values first, then what tells others that they are gone.
    drop(keeper);
    drop(listener);
    drop(socket);
    drop(state);
    ended
}

/// The socket, removed when the keeper ends.
struct Bound(PathBuf);

impl Drop for Bound {
    fn drop(&mut self) {
        socket::forget(&self.0);
    }
}

/// What it says about itself in the vault's folder, removed when it ends.
struct Said(PathBuf);

impl Drop for Said {
    fn drop(&mut self) {
        let _ = Published::forget(&self.0);
    }
}

fn after(at: Millis, span: Duration) -> Option<Millis> {
    let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Millis::new(at.get().saturating_add(ms))
}

struct Keeper {
    host: Host,
    log: Log,
    held: Held,
    once: Option<Once>,
    terms: Terms,
    everything: Locking,
    since: Millis,
    until: Option<Uptime>,
    used: Uptime,
    /// When refusals that are held back are written.
    tidy_at: Option<Uptime>,
    /// When a client called it to end.
    #[cfg(windows)]
    called: Option<Uptime>,
}

impl Handler for Keeper {
    fn expects(&self, uid: u32) -> bool {
        match &self.terms.unit {
            Some(gateway) if self.once.is_some() => uid == gateway.uid,
            _ => uid == socket::own_uid(),
        }
    }

    fn challenges(&self) -> bool {
        self.once.is_some()
    }

    fn answer(&mut self, asker: &Asker, question: Result<Question>) -> Answer {
        let answered = question.and_then(|question| match question {
            Question::Resolve { pins, ids, .. } => {
                Ok(Answer::Answers(self.resolve(asker, &pins, &ids)))
            }
            _ if self.once.is_some() => Err(Error::locked(
                "this keeper gives single values to the gateway, and nothing else",
            )
            .hint("clawkeep keeper status")),
            _ if asker.peer.uid != socket::own_uid() => {
                Err(Error::locked("this keeper answers another user"))
            }
            // Who looks whether it is open does not use it.
            Question::Status => Ok(Answer::Status(self.status())),
            #[cfg(windows)]
            Question::End => {
                self.called = Some(Uptime::now());
                Ok(Answer::Done(true))
            }
            other => {
                self.used = Uptime::now();
                self.act(asker, other)
            }
        });
        answered.unwrap_or_else(Answer::Error)
    }

    fn tidy_at(&self) -> Option<Uptime> {
        self.tidy_at
    }

    fn tidy(&mut self) {
        self.tidy_at = None;
        let _ = self.log.flush(self.host.now());
    }

    fn deadline(&self) -> Option<(Uptime, Ending)> {
        #[cfg(windows)]
        if let Some(at) = self.called {
            return Some((at, Ending::Called));
        }
        let idle = self.terms.idle.map(|span| self.used.after(span));
        let over = self.until.map(|at| (at, Ending::TimeOver));
        let unused = idle.map(|at| (at, Ending::Unused));
        over.into_iter().chain(unused).min_by_key(|(at, _)| *at)
    }
}

impl Keeper {
    fn act(&mut self, asker: &Asker, question: Question) -> Result<Answer> {
        match question {
            Question::Resolve { .. } | Question::Status => {
                Err(Error::failed("this is answered elsewhere"))
            }
            #[cfg(windows)]
            Question::End => Err(Error::failed("this is answered elsewhere")),
            Question::List => {
                self.refresh()?;
                let list = self.held.list()?;
                Ok(Answer::List(list.into_iter().map(listed).collect()))
            }
            Question::Get(id) => {
                self.refresh()?;
                let found = self.held.get(&id)?;
                let outcome = match &found {
                    Some(_) => Outcome::Released,
                    None => Outcome::Absent,
                };
                self.note(asker, &[(id.as_str(), outcome)]);
                Ok(Answer::Entry(found.map(|(value, meta)| {
                    Stored(crate::vault::body::Entry { meta, value })
                })))
            }
            // Each write first looks whether the vault is still the one that is held: what was put back
            // must not get a new generation from us.
            Question::Put(id, Stored(entry)) => {
                self.refresh()?;
                self.held.to_write()?.put(&id, entry.value, &entry.meta)?;
                self.refresh()?;
                Ok(Answer::Done(true))
            }
            Question::Remove(id) => {
                self.refresh()?;
                let was = self.held.to_write()?.remove(&id)?;
                self.refresh()?;
                Ok(Answer::Done(was))
            }
            Question::Link(id) => {
                let id = RefId::parse(&id).ok_or_else(|| Error::usage("this is no id"))?;
                self.refresh()?;
                self.held.to_write()?.update(|contents, _| {
                    contents.linked.insert(id);
                    Ok(())
                })?;
                self.refresh()?;
                Ok(Answer::Done(true))
            }
        }
    }

    /// The answers, and what the access log has of them.
    fn resolve(&mut self, asker: &Asker, pins: &[VaultId], ids: &[String]) -> Vec<Given> {
        let admitted = match &self.once {
            Some(once) => once.admit(asker).map(Some).map_err(once::noted),
            None if asker.peer.uid == socket::own_uid() => Ok(None),
            None => Err(Reason::OtherUser),
        };
        let (given, refusals) = match admitted {
            Ok(round) => {
                self.used = Uptime::now();
                self.give(round, pins, ids)
            }
            Err(reason) => {
                // Nothing of what is there shows in the answer.
                let refusals = ids.iter().map(|id| (id.clone(), reason)).collect();
                (ids.iter().map(|_| Given::Locked).collect(), refusals)
            }
        };
        let results: Vec<(&str, Outcome)> = ids
            .iter()
            .zip(&given)
            .map(|(id, given)| {
                let refused = refusals.get(id).copied().map(Outcome::Refused);
                (id.as_str(), refused.unwrap_or_else(|| outcome(given)))
            })
            .collect();
        self.note(asker, &results);
        given
    }

    fn note(&mut self, asker: &Asker, results: &[(&str, Outcome)]) {
        let caller = Caller::of_pid(asker.peer.uid, asker.peer.pid);
        let now = self.host.now();
        let _ = self.log.record(now, &caller, Writer::Keeper, results);
        // By a clock that nobody sets back.
        if self.log.flush_at().is_none() {
            self.tidy_at = None;
        } else if self.tidy_at.is_none() {
            self.tidy_at = Some(Uptime::now().after(HELD_BACK));
        }
    }

    fn give(
        &mut self,
        round: Option<(RoundId, bool)>,
        pins: &[VaultId],
        ids: &[String],
    ) -> (Vec<Given>, Refusals) {
        let batch = Batch::read(
            self.held.dir(),
            ids.iter().map(String::as_str),
            self.host.now(),
        );
        let entries = self.refresh().and_then(|()| {
            if self.held.fits(pins) {
                self.entries(&batch)
            } else {
                Err(Error::broken(
                    "the keeper holds another vault than is meant",
                ))
            }
        });
        let mut given = batch.answers(&entries);
        let refusals = match (&mut self.once, round) {
            (Some(once), Some(round)) => once.release(&self.held, round, ids, &mut given),
            _ => Refusals::new(),
        };
        (given, refusals)
    }

    fn entries(&self, batch: &Batch) -> Result<Entries> {
        let mut entries = Entries::new();
        for id in batch.needed() {
            if let Some(found) = self.held.get(&id)? {
                entries.insert(id, Ok(found));
            }
        }
        Ok(entries)
    }

    fn refresh(&mut self) -> Result<()> {
        let keychain = OsKeychain::new(&self.host);
        let nobody = |_: &SlotName| Ok(None);
        let keys = Keys {
            host: &self.host,
            keychain: &keychain,
            ask: &nobody,
            pins: &[],
            accept_rollback: false,
        };
        let stored = self.held.refresh(&keys)?;
        if let Some(once) = &mut self.once {
            once.arm(&stored)?;
            once.take_ticket(&self.held)?;
        }
        Ok(())
    }

    fn status(&self) -> Status {
        let now = (Uptime::now(), self.host.now());
        let clock = |at: Uptime| after(now.1, now.0.until(at));
        Status {
            pid: std::process::id(),
            release: self.terms.release,
            vault_id: self.held.id(),
            since: self.since,
            until: self.until.and_then(clock),
            idle_until: self
                .terms
                .idle
                .and_then(|span| clock(self.used.after(span))),
            locked_memory: self.everything == Locking::Locked
                || self.held.locking() == Locking::Locked,
            opened_by: self.held.opened_by().to_owned(),
        }
    }
}

fn listed((id, meta): (SecretId, Meta)) -> Listed {
    Listed {
        id: id.as_str().to_owned(),
        kind: meta.kind,
        provider: meta.provider.map(|provider| provider.to_string()),
        created: meta.created,
        updated: meta.updated,
        expires: meta.expires,
        was_plaintext: meta.was_plaintext,
    }
}
