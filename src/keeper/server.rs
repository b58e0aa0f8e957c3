//! The keeper's loop: a listener, its clients, signals, and one timer, in one thread. Ring 2.
//!
//! Promises:
//! - a client costs a bounded amount of memory, and of time only what its question takes: who sends
//!   nothing, too much, or one byte at a time is closed after [`PATIENCE`];
//! - at most [`MAX_CLIENTS`] are kept. Further ones wait in the system's queue; when one of those that are
//!   kept has said or taken nothing for [`GRACE`], it is closed for the next. Users who can be given
//!   nothing have few places, and these push out one another alone;
//! - answers that nobody takes hold at most [`MAX_WAITING`] bytes;
//! - between two events the process sleeps: there is no tick.

pub use super::handler::{Asker, Ending, GRACE, Handler, MAX_CLIENTS, MAX_WAITING, PATIENCE};
pub use super::timer::Uptime;

use super::socket::{self, Peer};
use super::timer::Timer;
use super::unit::Tick;
use super::wire::{Answer, MAX_QUESTION, Question};
use crate::error::{Error, Result};
use crate::host;
use crate::json::hex;
use rustix::event::{PollFd, PollFlags, poll};
#[cfg(not(target_os = "linux"))]
use std::io::Read;
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;
use zeroize::Zeroizing;

/// The most of them that are of users whom this keeper never gives anything.
const MAX_STRANGERS: usize = 8;

/// How many are taken from the queue before those that are there are heard.
const TAKEN_AT_ONCE: usize = 16;

/// Answers until it is called to end or its time is over. `listener` is one of [`socket::listen`]. `alarm` becomes readable when a signal came.
///
/// # Errors
/// `Failed` when the system refuses to wait.
pub fn serve(
    listener: &UnixListener,
    alarm: &UnixStream,
    handler: &mut impl Handler,
) -> Result<Ending> {
    let mut clients: Vec<Client> = Vec::new();
    let mut timer = Timer::new()?;
    loop {
        let now = Uptime::now();
        if let Some((at, ending)) = handler.deadline()
            && at <= now
        {
            return Ok(ending);
        }
        if handler.tidy_at().is_some_and(|at| at <= now) {
            handler.tidy();
        }
        clients.retain(|client| client.deadline > now);
        let end = handler.deadline().map(|(at, _)| at);
        let next = end.into_iter().chain(handler.tidy_at()).min();
        let ready = wait(listener, alarm, &clients, next, &mut timer)?;
        if ready.alarm {
            return Ok(Ending::Called);
        }
        let now = Uptime::now();
        for (at, ready) in ready.clients.into_iter().enumerate() {
            let client = &mut clients[at];
            match client.held_until {
                // It went away.
                Some(until) if until > now => client.over |= ready,
                None if !ready => {}
                _ => {
                    client.go_on(handler);
                    relieve(&mut clients);
                }
            }
        }
        clients.retain(|client| !client.over);
        if ready.listener {
            take(listener, &mut clients, handler);
        }
    }
}

/// Closes who has not taken the longest-waiting answers when they are too many.
fn relieve(clients: &mut [Client]) {
    let mut waiting: usize = clients.iter().map(|client| client.out.len()).sum();
    for client in clients {
        if waiting <= MAX_WAITING {
            return;
        }
        if !client.out.is_empty() {
            waiting -= client.out.len();
            client.out = Zeroizing::new(Vec::new());
            client.over = true;
        }
    }
}

/// Who keeps a place that another could have, when that is so, and since when.
fn in_the_way(clients: &[Client]) -> Option<(usize, Uptime)> {
    if clients.len() < MAX_CLIENTS {
        return None;
    }
    let since = clients.iter().map(|client| client.since.after(GRACE));
    since.enumerate().min_by_key(|(_, at)| *at)
}

struct Ready {
    alarm: bool,
    listener: bool,
    clients: Vec<bool>,
}

fn wait(
    listener: &UnixListener,
    alarm: &UnixStream,
    clients: &[Client],
    end: Option<Uptime>,
    timer: &mut Timer,
) -> Result<Ready> {
    let way = in_the_way(clients).map(|(_, at)| at);
    let is_open = way.is_none_or(|at| at <= Uptime::now());
    let next = clients
        .iter()
        .map(|client| client.held_until.unwrap_or(client.deadline))
        .chain(end)
        .chain(way.filter(|_| !is_open))
        .min();
    timer.set(next)?;
    let mut fds = Vec::with_capacity(clients.len() + 3);
    fds.push(PollFd::new(alarm, PollFlags::IN));
    let taking = if is_open {
        PollFlags::IN
    } else {
        PollFlags::empty()
    };
    fds.push(PollFd::new(listener, taking));
    for client in clients {
        let wanted = match (&client.held_until, client.out.is_empty()) {
            (Some(_), _) => PollFlags::empty(),
            (None, true) => PollFlags::IN,
            (None, false) => PollFlags::OUT,
        };
        fds.push(PollFd::new(&client.stream, wanted));
    }
    timer.add_to(&mut fds);
    loop {
        match poll(&mut fds, timer.span().as_ref()) {
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                return Err(Error::failed(format!(
                    "the system refuses to wait for clients: {}",
                    std::io::Error::from(error).kind()
                )));
            }
        }
    }
    let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
    Ok(Ready {
        alarm: is_ready(&fds[0]),
        listener: is_ready(&fds[1]),
        clients: fds[2..2 + clients.len()].iter().map(is_ready).collect(),
    })
}

fn take(listener: &UnixListener, clients: &mut Vec<Client>, handler: &mut impl Handler) {
    for _ in 0..TAKEN_AT_ONCE {
        if let Some((at, from)) = in_the_way(clients) {
            if from > Uptime::now() {
                return;
            }
            clients.remove(at);
        }
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
            // Gone again; or we are out of descriptors, and must not ask in vain until somebody leaves.
            Err(_) => {
                if clients.is_empty() {
                    // The whole machine is out of them: the queue would wake us at once.
                    std::thread::sleep(Duration::from_millis(100));
                } else {
                    clients.remove(0);
                }
                return;
            }
        };
        let Ok(peer) = socket::peer(&stream) else {
            continue;
        };
        if stream.set_nonblocking(true).is_err() {
            continue;
        }
        let is_stranger = !handler.expects(peer.uid);
        if is_stranger {
            let mut others = clients
                .iter()
                .enumerate()
                .filter(|(_, one)| one.is_stranger);
            // They stand in the order in which they came.
            let first = others.next().map(|(at, _)| at);
            if let Some(first) = first.filter(|_| others.count() + 2 > MAX_STRANGERS) {
                clients.remove(first);
            }
        }
        let mut client = Client::new(stream, peer, is_stranger);
        // Most have asked by now.
        client.go_on(handler);
        if !client.over {
            clients.push(client);
            relieve(clients);
        }
    }
}

struct Client {
    stream: UnixStream,
    is_stranger: bool,
    /// When it came, or was last answered.
    since: Uptime,
    asker: Asker,
    /// What came of the next frame.
    input: Zeroizing<Vec<u8>>,
    /// The frame that is being sent.
    out: Zeroizing<Vec<u8>>,
    sent: usize,
    /// The challenge that the next `resolve` is to repeat, and the two moments around it.
    challenge: Option<(String, (Tick, Tick))>,
    /// A moment after the connection was accepted.
    looked: Tick,
    /// The challenge is not said before then.
    held_until: Option<Uptime>,
    deadline: Uptime,
    over: bool,
}

/// The length of a frame's length.
const HEAD: usize = 4;

/// What is read before the length is known: most questions are shorter.
const AT_ONCE: usize = 4096;

impl Client {
    fn new(stream: UnixStream, peer: Peer, is_stranger: bool) -> Self {
        let now = Uptime::now();
        Client {
            stream,
            is_stranger,
            since: now,
            asker: Asker {
                peer,
                sender: None,
                challenged: None,
            },
            input: Zeroizing::new(Vec::new()),
            out: Zeroizing::new(Vec::new()),
            sent: 0,
            challenge: None,
            looked: Tick::now(),
            held_until: None,
            deadline: now.after(PATIENCE),
            over: false,
        }
    }

    fn go_on(&mut self, handler: &mut impl Handler) {
        if self.held_until.take().is_some() {
            self.say_challenge();
        }
        while !self.over {
            let went = if self.out.is_empty() {
                self.hear(handler)
            } else {
                self.tell()
            };
            if !went {
                return;
            }
        }
    }

    /// Reads what is there. `false` when there is no more now.
    fn hear(&mut self, handler: &mut impl Handler) -> bool {
        let wanted = match self.frame_len() {
            None => AT_ONCE - self.input.len(),
            Some(len) if len > MAX_QUESTION || self.input.len() > HEAD + len => {
                // Too much, or a second question before the first is answered.
                self.over = true;
                return true;
            }
            Some(len) if self.input.len() == HEAD + len => {
                self.heard(handler);
                return self.held_until.is_none();
            }
            Some(len) => HEAD + len - self.input.len(),
        };
        let mut piece = Zeroizing::new(vec![0; wanted.min(64 * 1024)]);
        match receive(&self.stream, &mut piece) {
            Ok((0, _)) => self.over = true,
            Ok((read, sender)) => {
                // A frame in pieces of two senders has none.
                let first = self.input.is_empty();
                self.asker.sender = sender.filter(|_| first || self.asker.sender == sender);
                self.input.extend_from_slice(&piece[..read]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
            Err(_) => self.over = true,
        }
        true
    }

    fn frame_len(&self) -> Option<usize> {
        let head: [u8; HEAD] = self.input.get(..HEAD)?.try_into().ok()?;
        usize::try_from(u32::from_be_bytes(head)).ok()
    }

    fn heard(&mut self, handler: &mut impl Handler) {
        let text = std::mem::take(&mut self.input);
        let question = Question::read(&text[HEAD..]);
        drop(text);
        self.asker.challenged = None;
        if let (true, Ok(Question::Resolve { challenge, .. })) = (handler.challenges(), &question) {
            match (challenge, self.challenge.take()) {
                (Some(said), Some((expected, at))) if *said == expected => {
                    self.asker.challenged = Some(at);
                }
                _ => {
                    // A true client was started by `looked`; who is started after the hold has a later
                    // start time (see `admission`).
                    self.held_until = Some(Uptime::now().after(self.looked.left()));
                    return;
                }
            }
        }
        let answer = handler.answer(&self.asker, question);
        self.say(&answer);
    }

    fn say_challenge(&mut self) {
        let now = Tick::now();
        if now <= self.looked {
            self.held_until = Some(Uptime::now().after(self.looked.left()));
            return;
        }
        let mut random = [0; 16];
        if host::random(&mut random).is_err() {
            self.over = true;
            return;
        }
        let text = hex(&random);
        self.challenge = Some((text.clone(), (self.looked, now)));
        self.say(&Answer::Again(text));
    }

    fn say(&mut self, answer: &Answer) {
        let text = answer.write();
        let mut out = Zeroizing::new(Vec::with_capacity(HEAD + text.len()));
        let length = u32::try_from(text.len()).unwrap_or(0);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&text);
        self.out = out;
        self.sent = 0;
        self.since = Uptime::now();
        self.deadline = self.since.after(PATIENCE);
    }

    /// Sends what can be sent. `false` when the client has to take some first.
    fn tell(&mut self) -> bool {
        match self.stream.write(&self.out[self.sent..]) {
            Ok(0) => self.over = true,
            Ok(sent) => {
                self.sent += sent;
                if self.sent == self.out.len() {
                    self.out = Zeroizing::new(Vec::new());
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
            Err(_) => self.over = true,
        }
        true
    }
}

#[cfg(target_os = "linux")]
fn receive(stream: &UnixStream, into: &mut [u8]) -> std::io::Result<(usize, Option<Peer>)> {
    Ok(super::attested::receive(stream, into)?)
}

#[cfg(not(target_os = "linux"))]
fn receive(mut stream: &UnixStream, into: &mut [u8]) -> std::io::Result<(usize, Option<Peer>)> {
    stream.read(into).map(|read| (read, None))
}

#[cfg(test)]
mod tests {
    use super::super::wire::MAX_ANSWER;
    use super::*;

    /// A client with an answer of this length.
    fn with_answer(len: usize) -> Client {
        let (stream, _) = UnixStream::pair().unwrap();
        let peer = Peer { pid: 1, uid: 1 };
        let mut client = Client::new(stream, peer, false);
        client.out = Zeroizing::new(vec![0; len]);
        client
    }

    #[test]
    fn who_takes_no_answer_is_closed_before_there_are_too_many() {
        let mut clients: Vec<Client> = [0, MAX_ANSWER, 5, MAX_ANSWER, MAX_ANSWER]
            .map(with_answer)
            .into();
        relieve(&mut clients);
        let over: Vec<bool> = clients.iter().map(|client| client.over).collect();
        assert_eq!(over, [false, true, true, false, false]);
        assert!(clients[1].out.is_empty());
        relieve(&mut clients);
        assert_eq!(clients.iter().filter(|client| client.over).count(), 2);
    }

    #[test]
    fn a_place_is_given_up_when_all_are_taken_by_who_waits_longest() {
        let mut clients: Vec<Client> = (1..MAX_CLIENTS).map(|_| with_answer(0)).collect();
        assert!(in_the_way(&clients).is_none());
        clients.push(with_answer(0));
        // Answered since, so it waits for nothing.
        clients[0].say(&Answer::Done(true));
        let (at, from) = in_the_way(&clients).unwrap();
        assert_eq!((at, from), (1, clients[1].since.after(GRACE)));
    }
}
