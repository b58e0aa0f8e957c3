//! The keeper's loop where a client is a thread: Windows, whose pipes are not waited for in hundreds.
//! Ring 2. The other one is `server.rs`; both keep the promises of [`super::handler`]'s bounds.
//!
//! Promises:
//! - one question is answered at a time, and nobody waits meanwhile for who sends nothing, too much, or
//!   one byte at a time: he is closed after [`PATIENCE`];
//! - at most [`MAX_CLIENTS`] are kept; a further one gets the place of who has said or taken nothing for
//!   [`GRACE`];
//! - answers that nobody takes hold at most [`MAX_WAITING`] bytes;
//! - between two events the process sleeps; when it ends, no client keeps it waiting.

pub use super::handler::{Asker, Ending, GRACE, Handler, MAX_CLIENTS, MAX_WAITING, PATIENCE};
pub use super::timer::Uptime;

use super::alarm::Alarm;
use super::pipe::{Listener, Stream, wait_at_most};
use super::socket::Peer;
use super::windows::Event;
use super::wire::{MAX_QUESTION, Question};
use crate::error::{Error, Result};
use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope};
use std::time::Duration;
use zeroize::Zeroizing;

/// How long nobody is taken after one could not be.
const REST: Duration = Duration::from_millis(10);

/// Answers until it is called to end or its time is over.
///
/// # Errors
/// `Failed` when the system refuses threads or events, or an answer ended in a panic.
pub fn serve<H: Handler + Send>(
    listener: &Listener,
    alarm: &Alarm,
    handler: &mut H,
) -> Result<Ending> {
    let refused = |error: std::io::Error| {
        Error::failed(format!(
            "the system refuses what a keeper needs: {}",
            error.kind()
        ))
    };
    let stop = Event::new().map_err(refused)?;
    let hall = Hall {
        handler: Mutex::new(handler),
        alarm,
        places: Mutex::default(),
        left: Condvar::new(),
    };
    std::thread::scope(|scope| {
        let taking = Builder::new()
            .name("taking".to_owned())
            .spawn_scoped(scope, || take(scope, &hall, listener, &stop));
        let ended = match taking {
            Ok(_) => wait(&hall),
            Err(error) => Err(refused(error)),
        };
        stop.ring();
        hall.close();
        ended
    })
}

/// What the threads share.
struct Hall<'h, H> {
    handler: Mutex<&'h mut H>,
    alarm: &'h Alarm,
    places: Mutex<Places>,
    /// Somebody left.
    left: Condvar,
}

#[derive(Default)]
struct Places {
    /// In the order in which they came.
    taken: Vec<Place>,
    count: u64,
    is_closed: bool,
}

/// What others may know of a client.
struct Place {
    number: u64,
    /// Ends its connection.
    end: Arc<Event>,
    /// When it came, or was last answered.
    since: Uptime,
    /// The bytes of an answer that it has not taken.
    waiting: usize,
}

impl<H> Hall<'_, H> {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everybody goes, and nobody comes.
    fn close(&self) {
        let mut places = self.places();
        places.is_closed = true;
        for place in &places.taken {
            place.end.ring();
        }
        self.left.notify_all();
    }

    /// A place, be it that of somebody else; `None` when it is closed.
    fn enter(&self) -> std::io::Result<Option<(u64, Arc<Event>)>> {
        let end = Arc::new(Event::new()?);
        let mut places = self.places();
        loop {
            if places.is_closed {
                return Ok(None);
            }
            let Some((at, from)) = in_the_way(&places.taken) else {
                break;
            };
            let now = Uptime::now();
            if from <= now {
                places.taken.remove(at).end.ring();
                break;
            }
            places = self
                .left
                .wait_timeout(places, now.until(from))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        places.count += 1;
        let number = places.count;
        places.taken.push(Place {
            number,
            end: Arc::clone(&end),
            since: Uptime::now(),
            waiting: 0,
        });
        Ok(Some((number, end)))
    }

    /// What is known of a client is now this.
    fn note(&self, number: u64, waiting: usize) {
        let mut places = self.places();
        if let Some(own) = places.taken.iter_mut().find(|one| one.number == number) {
            own.since = Uptime::now();
            own.waiting = waiting;
        }
        relieve(&mut places.taken);
    }

    fn leave(&self, number: u64) {
        self.places().taken.retain(|one| one.number != number);
        self.left.notify_all();
    }
}

/// Who keeps a place that another could have, when that is so, and since when.
fn in_the_way(places: &[Place]) -> Option<(usize, Uptime)> {
    if places.len() < MAX_CLIENTS {
        return None;
    }
    let since = places.iter().map(|place| place.since.after(GRACE));
    since.enumerate().min_by_key(|(_, at)| *at)
}

/// Closes who has not taken the longest-waiting answers when they are too many.
fn relieve(places: &mut [Place]) {
    let mut waiting: usize = places.iter().map(|place| place.waiting).sum();
    for place in places {
        if waiting <= MAX_WAITING {
            return;
        }
        waiting -= place.waiting;
        if place.waiting > 0 {
            place.waiting = 0;
            place.end.ring();
        }
    }
}

/// Waits until it is time to end.
fn wait<H: Handler>(hall: &Hall<'_, H>) -> Result<Ending> {
    loop {
        let next = {
            let mut handler = hall
                .handler
                .lock()
                .map_err(|_| Error::failed("the keeper failed while it answered"))?;
            let now = Uptime::now();
            let end = handler.deadline();
            if let Some((at, ending)) = end
                && at <= now
            {
                return Ok(ending);
            }
            if handler.tidy_at().is_some_and(|at| at <= now) {
                handler.tidy();
            }
            let next = end.map(|(at, _)| at).into_iter().chain(handler.tidy_at());
            next.min().map(|at| now.until(at))
        };
        if hall.alarm.wait(next) {
            return Ok(Ending::Called);
        }
    }
}

/// Gives each client who comes a thread.
fn take<'scope, H: Handler + Send>(
    scope: &'scope Scope<'scope, '_>,
    hall: &'scope Hall<'_, H>,
    listener: &'scope Listener,
    stop: &Event,
) {
    loop {
        let came = match listener.accept(stop) {
            Ok(Some(came)) => came,
            Ok(None) => return,
            Err(_) => {
                std::thread::sleep(REST);
                continue;
            }
        };
        match hall.enter() {
            Ok(Some((number, end))) => {
                let (mut stream, peer) = came;
                stream.end_by(end);
                let begun = Builder::new().spawn_scoped(scope, move || {
                    talk(hall, &mut stream, peer, number);
                    hall.leave(number);
                });
                if begun.is_err() {
                    hall.leave(number);
                }
            }
            Ok(None) => return,
            Err(_) => std::thread::sleep(REST),
        }
    }
}

/// Answers one client until it goes, is closed, or takes too long.
fn talk<H: Handler>(hall: &Hall<'_, H>, stream: &mut Stream, peer: Peer, number: u64) {
    let asker = Asker {
        peer,
        sender: None,
        challenged: None,
    };
    while let Some(text) = hear(stream, Uptime::now().after(PATIENCE)) {
        let question = Question::read(&text);
        drop(text);
        let answer = match hall.handler.lock() {
            Ok(mut handler) => handler.answer(&asker, question),
            Err(_) => return hall.alarm.stir(),
        };
        let text = answer.write();
        drop(answer);
        hall.note(number, text.len());
        let by = Uptime::now().after(PATIENCE);
        let length = u32::try_from(text.len()).unwrap_or(0).to_be_bytes();
        let told = tell(stream, &length, by).and_then(|()| tell(stream, &text, by));
        drop(text);
        hall.note(number, 0);
        // What was answered may have been the call to end.
        hall.alarm.stir();
        if told.is_none() {
            return;
        }
    }
}

/// The text of the next frame, all of it; `None` when none comes in time or it is too long.
fn hear(stream: &mut Stream, by: Uptime) -> Option<Zeroizing<Vec<u8>>> {
    let mut length = [0; 4];
    fill(stream, &mut length, by)?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    if length > MAX_QUESTION {
        return None;
    }
    let mut text = Zeroizing::new(vec![0; length]);
    fill(stream, &mut text, by)?;
    Some(text)
}

fn fill(stream: &mut Stream, mut rest: &mut [u8], by: Uptime) -> Option<()> {
    while !rest.is_empty() {
        hurry(stream, by)?;
        match stream.read(rest) {
            Ok(0) | Err(_) => return None,
            Ok(read) => rest = &mut rest[read..],
        }
    }
    Some(())
}

fn tell(stream: &mut Stream, mut rest: &[u8], by: Uptime) -> Option<()> {
    while !rest.is_empty() {
        hurry(stream, by)?;
        match stream.write(rest) {
            Ok(0) | Err(_) => return None,
            Ok(sent) => rest = &rest[sent..],
        }
    }
    Some(())
}

/// What is next may take what is left; `None` when nothing is.
fn hurry(stream: &Stream, by: Uptime) -> Option<()> {
    let left = Uptime::now().until(by);
    if left.is_zero() {
        return None;
    }
    wait_at_most(stream, left).ok()
}

#[cfg(test)]
#[path = "threads_tests.rs"]
mod tests;
