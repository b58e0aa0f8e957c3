//! The keeper's process: from an opened vault to answers. Ring 4.
//!
//! Promises: it answers its own user alone; what another process wrote is read before any answer; a
//! write goes through the vault's own lock; when it ends, the vault is wiped before anything else is
//! said.

use super::choice::{Batch, Entries};
use crate::error::{Error, Kind, Result};
use crate::expiry::Millis;
use crate::file::{self, Lock};
use crate::host::Host;
use crate::keeper::Release;
use crate::keeper::server::{self, Asker, Ending, Handler, Uptime};
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
    ready: impl FnOnce(&Status) -> Result<()>,
) -> Result<Ending> {
    // Before the first client, so that a signal that follows at once is not lost.
    let alarm = alarm::set()?;
    let everything = wipe::lock_everything();
    let listener = socket::listen(&terms.socket, 0o600)?;
    let socket = Bound(terms.socket.clone());
    let now = Uptime::now();
    let mut keeper = Keeper {
        host: host.clone(),
        everything,
        since: host.now(),
        until: terms.timeout.map(|span| now.after(span)),
        used: now,
        held,
        terms,
    };
    ready(&keeper.status())?;
    let ended = server::serve(&listener, &alarm, &mut keeper);
    // The values first, then what tells others that they are gone.
    drop(keeper);
    drop(listener);
    drop(socket);
    ended
}

/// A socket's file, removed when the keeper ends.
struct Bound(PathBuf);

impl Drop for Bound {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

struct Keeper {
    host: Host,
    held: Held,
    terms: Terms,
    everything: Locking,
    since: Millis,
    until: Option<Uptime>,
    used: Uptime,
}

impl Handler for Keeper {
    fn challenges(&self) -> bool {
        self.terms.release == Release::Once
    }

    fn answer(&mut self, asker: &Asker, question: Result<Question>) -> Answer {
        let answered = question.and_then(|question| {
            if asker.peer.uid != socket::own_uid() {
                return Err(Error::locked("this keeper answers another user"));
            }
            self.used = Uptime::now();
            self.act(question)
        });
        answered.unwrap_or_else(Answer::Error)
    }

    fn deadline(&self) -> Option<(Uptime, Ending)> {
        let idle = self.terms.idle.map(|span| self.used.after(span));
        let over = self.until.map(|at| (at, Ending::TimeOver));
        let unused = idle.map(|at| (at, Ending::Unused));
        over.into_iter().chain(unused).min_by_key(|(at, _)| *at)
    }
}

impl Keeper {
    fn act(&mut self, question: Question) -> Result<Answer> {
        match question {
            Question::Resolve { pins, ids, .. } => Ok(Answer::Answers(self.resolve(&pins, &ids))),
            Question::Status => Ok(Answer::Status(self.status())),
            Question::List => {
                self.refresh()?;
                let list = self.held.list()?;
                Ok(Answer::List(list.into_iter().map(listed).collect()))
            }
            Question::Get(id) => {
                self.refresh()?;
                let found = self.held.get(&id)?;
                Ok(Answer::Entry(found.map(|(value, meta)| {
                    Stored(crate::vault::body::Entry { meta, value })
                })))
            }
            Question::Put(id, Stored(entry)) => {
                self.held.to_write()?.put(&id, entry.value, &entry.meta)?;
                self.refresh()?;
                Ok(Answer::Done(true))
            }
            Question::Remove(id) => {
                let was = self.held.to_write()?.remove(&id)?;
                self.refresh()?;
                Ok(Answer::Done(was))
            }
            Question::Link(id) => {
                let id = RefId::parse(&id).ok_or_else(|| Error::usage("this is no id"))?;
                self.held.to_write()?.update(|contents, _| {
                    contents.linked.insert(id);
                    Ok(())
                })?;
                self.refresh()?;
                Ok(Answer::Done(true))
            }
        }
    }

    fn resolve(&mut self, pins: &[VaultId], ids: &[String]) -> Vec<Given> {
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
        batch.answers(&entries)
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
        self.held.refresh(&keys).map(|_| ())
    }

    fn status(&self) -> Status {
        let now = (Uptime::now(), self.host.now());
        let clock = |at: Uptime| {
            let ms = i64::try_from(now.0.until(at).as_millis()).unwrap_or(i64::MAX);
            Millis::new(now.1.get().saturating_add(ms))
        };
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
    }
}

/// Whether an error means that the vault is there and only its opening failed.
pub fn is_locked(error: &Error) -> bool {
    error.kind() == Kind::Locked
}
