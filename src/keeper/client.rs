//! One question to a keeper, one answer. Ring 2.
//!
//! Promises: three answers: no keeper is `None`; one that is silent, foreign or false is an error.
//! A question is sent and its answer read, up to its bound, within [`ANSWER_WAIT`] in all: also when the
//! other side gives or takes one byte at a time.

use super::pointer::Pointer;
use super::socket::{self, ANSWER_WAIT, Stream};
use super::wire::{Answer, Listed, MAX_ANSWER, Question, Stored};
use crate::error::{Error, Result};
use crate::file;
use crate::provider::ProviderId;
use crate::secret::{RefId, Secret, SecretId};
use crate::store::{Meta, Resolve, Store};
use crate::vault::body::Entry;
use crate::vault::id::VaultId;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use zeroize::Zeroizing;

/// Where a keeper is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its socket.
    pub socket: PathBuf,
    /// The user that it runs under.
    pub uid: u32,
    /// Whether the vault stays locked without it.
    pub required: bool,
}

impl Place {
    /// Where the keeper of the vault in `dir` is, for this user.
    ///
    /// # Errors
    /// As [`Pointer::load`].
    pub fn of(dir: &Path) -> Result<Self> {
        let pointer = Pointer::load(dir)?;
        Ok(Place {
            uid: keeper_user(pointer.as_ref(), socket::own_uid()),
            required: pointer.as_ref().is_some_and(|pointer| pointer.required),
            socket: pointer.map_or_else(|| socket::default_path(dir), |pointer| pointer.socket),
        })
    }

    /// The same for root, who may look after the keeper of any user: that of the folder's owner, and of
    /// nobody else, whatever the owner wrote there. Root signals the process that listens.
    ///
    /// # Errors
    /// As [`Pointer::load`].
    pub fn of_any(dir: &Path) -> Result<Self> {
        let owner = file::owner(dir).filter(|_| socket::own_uid() == 0);
        match owner {
            Some(uid) if uid != 0 => {
                let pointer = Pointer::load_of_anyone(dir)?;
                Ok(Place {
                    uid,
                    required: false,
                    socket: pointer
                        .map_or_else(|| socket::default_path(dir), |pointer| pointer.socket),
                })
            }
            _ => Self::of(dir),
        }
    }

    /// Connects. `None` when there is no keeper and the vault opens without one.
    ///
    /// # Errors
    /// `Locked` when there is none and the vault stays locked without it; else as
    /// [`socket::connect`].
    pub fn connect(&self) -> Result<Option<Client>> {
        let by = Instant::now() + ANSWER_WAIT;
        match socket::connect(&self.socket, self.uid)? {
            Some(stream) => Ok(Some(Client {
                stream,
                path: self.socket.clone(),
                first_by: Some(by),
            })),
            None if self.required => Err(Error::locked(format!(
                "the keeper at {} does not run, and this vault stays locked without it",
                self.socket.display()
            ))
            .hint("clawkeep unlock, or: clawkeep service status")),
            None => Ok(None),
        }
    }
}

/// The user whose process must listen: who edits the pointer can name another one, and is the folder's
/// owner.
fn keeper_user(pointer: Option<&Pointer>, owner: u32) -> u32 {
    pointer
        .and_then(|pointer| pointer.keeper_user)
        .unwrap_or(owner)
}

/// A connection to a keeper.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    path: PathBuf,
    /// Connecting and the first answer have one time together.
    first_by: Option<Instant>,
}

impl Client {
    /// Asks. A challenge is answered by itself; what the keeper could not do is an error.
    ///
    /// # Errors
    /// `Locked` when it does not answer in time or closes early; `Broken` when its answer is none.
    pub fn ask(&mut self, question: Question) -> Result<Answer> {
        let anew = || Instant::now() + ANSWER_WAIT;
        let deadline = self.first_by.take().unwrap_or_else(anew);
        let again = match self.exchange(&question, deadline)? {
            Answer::Again(challenge) => challenge,
            Answer::Error(error) => return Err(error),
            other => return Ok(other),
        };
        let Question::Resolve { pins, ids, .. } = question else {
            return Err(Error::broken(
                "the keeper asks back where it has no reason to",
            ));
        };
        let question = Question::Resolve {
            pins,
            ids,
            challenge: Some(again),
        };
        match self.exchange(&question, deadline)? {
            Answer::Error(error) => Err(error),
            Answer::Again(_) => Err(Error::broken("the keeper asks back twice")),
            other => Ok(other),
        }
    }

    fn exchange(&mut self, question: &Question, deadline: Instant) -> Result<Answer> {
        let text = question.write();
        let mut frame = Zeroizing::new(Vec::with_capacity(text.len() + 4));
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&text);
        // Who refuses may answer before it has read all: what it says is read all the same.
        let sent = self.send(&frame, deadline);
        let answer = self.receive(deadline);
        match (sent, answer) {
            (_, Ok(answer)) => Answer::read(&answer),
            (_, Err(error)) => Err(self.lost(&error)),
        }
    }

    fn send(&mut self, mut frame: &[u8], deadline: Instant) -> std::io::Result<()> {
        while !frame.is_empty() {
            socket::wait_at_most(&self.stream, left(deadline)?)?;
            match self.stream.write(frame) {
                Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
                Ok(sent) => frame = &frame[sent..],
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn receive(&mut self, deadline: Instant) -> std::io::Result<Zeroizing<Vec<u8>>> {
        let mut length = [0; 4];
        socket::look_out(&self.stream);
        self.fill(&mut length, deadline)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > MAX_ANSWER {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let mut text = Zeroizing::new(vec![0; length]);
        self.fill(&mut text, deadline)?;
        Ok(text)
    }

    fn fill(&mut self, mut rest: &mut [u8], deadline: Instant) -> std::io::Result<()> {
        while !rest.is_empty() {
            socket::wait_at_most(&self.stream, left(deadline)?)?;
            match self.stream.read(rest) {
                Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => rest = &mut rest[read..],
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn lost(&self, error: &std::io::Error) -> Error {
        use std::io::ErrorKind as E;
        match error.kind() {
            E::WouldBlock | E::TimedOut => socket::silent(&self.path),
            E::InvalidData => Error::broken(format!(
                "what listens at {} answers like no keeper",
                self.path.display()
            ))
            .hint("clawkeep keeper status"),
            _ => Error::locked(format!(
                "the keeper at {} went away before it answered",
                self.path.display()
            ))
            .hint("clawkeep unlock"),
        }
    }

    /// The process that listens.
    ///
    /// # Errors
    /// `Failed` when the system does not tell.
    pub fn server(&self) -> Result<socket::Peer> {
        socket::peer(&self.stream)
    }

    /// Waits until the keeper has closed the connection, at most `wait`: where its process cannot be
    /// waited for.
    #[cfg(not(target_os = "linux"))]
    pub fn wait_for_end(&mut self, wait: std::time::Duration) -> bool {
        let _ = socket::wait_at_most(&self.stream, wait);
        matches!(self.stream.read(&mut [0]), Ok(0))
    }
}

/// What is left of the time for an answer.
fn left(deadline: Instant) -> std::io::Result<std::time::Duration> {
    deadline
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
        .ok_or_else(|| std::io::ErrorKind::TimedOut.into())
}

/// A keeper as a store: what its mode allows.
///
/// Each question has a connection of its own: a person may sit at a prompt between two of them.
#[derive(Debug)]
pub struct KeeperStore {
    place: Place,
    id: VaultId,
}

impl KeeperStore {
    /// The keeper at `place`, which holds one of the vaults `pins`, or any. `None` when there is none
    /// and the vault opens without one.
    ///
    /// # Errors
    /// `Locked` when its mode gives no more than `resolve`, or as [`Place::connect`]; `Broken` when it
    /// holds another vault.
    pub fn find(place: Place, pins: &[VaultId]) -> Result<Option<Self>> {
        let Some(mut client) = place.connect()? else {
            return Ok(None);
        };
        let Answer::Status(status) = client.ask(Question::Status)? else {
            return Err(unexpected());
        };
        if !pins.is_empty() && !pins.contains(&status.vault_id) {
            return Err(Error::broken(
                "the keeper holds another vault: --vault-id names a different vault id",
            )
            .hint("clawkeep lock"));
        }
        Ok(Some(KeeperStore {
            place,
            id: status.vault_id,
        }))
    }

    /// Which vault it holds.
    pub fn id(&self) -> VaultId {
        self.id
    }

    /// Notes that a ref asks for this id.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn note_linked(&mut self, id: &RefId) -> Result<()> {
        self.done(Question::Link(id.as_str().to_owned()))
            .map(|_| ())
    }

    fn ask(&self, question: Question) -> Result<Answer> {
        let gone = || Error::locked("the keeper has ended since").hint("clawkeep unlock");
        self.place.connect()?.ok_or_else(gone)?.ask(question)
    }

    fn done(&self, question: Question) -> Result<bool> {
        match self.ask(question)? {
            Answer::Done(done) => Ok(done),
            _ => Err(unexpected()),
        }
    }
}

fn unexpected() -> Error {
    Error::broken("the keeper answered something else than it was asked")
        .hint("clawkeep lock; clawkeep unlock")
}

impl Resolve for KeeperStore {
    fn get(&self, id: &SecretId) -> Result<Option<(Secret, Meta)>> {
        match self.ask(Question::Get(id.clone()))? {
            Answer::Entry(entry) => Ok(entry.map(|Stored(entry)| (entry.value, entry.meta))),
            _ => Err(unexpected()),
        }
    }
}

impl Store for KeeperStore {
    fn put(&mut self, id: &SecretId, value: Secret, meta: &Meta) -> Result<()> {
        let entry = Entry {
            meta: meta.clone(),
            value,
        };
        self.done(Question::Put(id.clone(), Stored(entry)))
            .map(|_| ())
    }

    fn remove(&mut self, id: &SecretId) -> Result<bool> {
        self.done(Question::Remove(id.clone()))
    }

    fn list(&self) -> Result<Vec<(SecretId, Meta)>> {
        let Answer::List(list) = self.ask(Question::List)? else {
            return Err(unexpected());
        };
        list.into_iter().map(entry_of).collect()
    }
}

fn entry_of(listed: Listed) -> Result<(SecretId, Meta)> {
    let id = SecretId::parse(&listed.id).map_err(|_| unexpected())?;
    let provider = listed
        .provider
        .map(|name| ProviderId::parse(&name))
        .transpose()
        .map_err(|_| unexpected())?;
    let meta = Meta {
        kind: listed.kind,
        provider,
        created: listed.created,
        updated: listed.updated,
        expires: listed.expires,
        was_plaintext: listed.was_plaintext,
    };
    Ok((id, meta))
}
