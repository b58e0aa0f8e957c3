//! What is new in the log since the last look. A look costs two calls per file while nothing happens.

use super::MAX_FILE;
use super::event::Event;
use super::fold::{self, Lines};
use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::file::{self, Privacy};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

/// A reader that knows how far it has read.
#[derive(Debug)]
pub struct Follow {
    files: [Followed; 2],
    /// How many events of the past the first look gives.
    latest: Option<usize>,
}

#[derive(Debug)]
struct Followed {
    path: PathBuf,
    /// Which file it was, and the bytes read of it.
    read: Option<(u64, u64)>,
    /// The latest moment seen, and what happened at it.
    last: Option<Millis>,
    at_last: Vec<Event>,
}

impl Follow {
    pub(super) fn new(paths: [PathBuf; 2], latest: usize) -> Self {
        Follow {
            files: paths.map(|path| Followed {
                path,
                read: None,
                last: None,
                at_last: Vec::new(),
            }),
            latest: Some(latest),
        }
    }

    /// What happened since the last look, in order; at the first look, the latest events.
    ///
    /// Lines that cannot be read are passed over: [`super::Log::read`] says which there are. Refusals
    /// that were counted before they could be seen come as one counted event.
    ///
    /// # Errors
    /// `Broken` when a file is not what it should be.
    pub fn look(&mut self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        for followed in &mut self.files {
            events.extend(followed.look()?);
        }
        if let Some(latest) = self.latest.take() {
            // Of the past, equal refusals are one event, as they are in the whole log.
            let (mut releases, refusals): (Vec<_>, Vec<_>) = events
                .into_iter()
                .partition(|event| event.result == super::Word::Released);
            releases.extend(fold::count(refusals));
            releases.sort_by_key(|event| event.at);
            events = releases.split_off(releases.len().saturating_sub(latest));
        }
        events.sort_by_key(|event| event.at);
        Ok(events)
    }
}

impl Followed {
    fn look(&mut self) -> Result<Vec<Event>> {
        let most = usize::try_from(MAX_FILE * 2).unwrap_or(usize::MAX);
        let Some((mut opened, size)) = file::open(&self.path, most, Privacy::Private)? else {
            self.read = None;
            return Ok(Vec::new());
        };
        let size = size as u64;
        let number = number(opened.metadata().ok().as_ref());
        let start = match self.read {
            Some((known, read)) if known == number && read == size => return Ok(Vec::new()),
            Some((known, read)) if known == number && read < size => read,
            // Another file stands there.
            _ => 0,
        };
        let mut bytes = Vec::new();
        opened
            .seek(SeekFrom::Start(start))
            .and_then(|_| opened.take(size - start).read_to_end(&mut bytes))
            .map_err(|error| Error::io("read", &self.path, &error))?;
        // A line that is being written is read when it is whole.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n');
        bytes.truncate(whole.map_or(0, |at| at + 1));
        self.read = Some((number, start + bytes.len() as u64));
        let mut events = Lines::parse(&bytes).events;
        if start == 0 {
            // Of another file's lines, those that are later than what was seen.
            events.retain(|event| match self.last {
                None => true,
                Some(last) => {
                    event.at > last || (event.at == last && !self.at_last.contains(event))
                }
            });
        }
        for event in &events {
            if self.last.is_none_or(|last| event.at > last) {
                self.last = Some(event.at);
                self.at_last.clear();
            }
            if self.last == Some(event.at) {
                self.at_last.push(event.clone());
            }
        }
        Ok(events)
    }
}

#[cfg(unix)]
fn number(meta: Option<&std::fs::Metadata>) -> u64 {
    use std::os::unix::fs::MetadataExt;
    meta.map_or(0, MetadataExt::ino)
}

/// A file that was replaced is then known by its size alone.
#[cfg(not(unix))]
fn number(_: Option<&std::fs::Metadata>) -> u64 {
    0
}
