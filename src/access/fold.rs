//! How the log stays small: equal events become one that is counted, and the oldest that do not fit
//! become one that says only how many they were.

use super::event::{Event, Kind, Word};
use std::collections::HashMap;

/// More than the line needs that stands for all that were forgotten.
const SEVERAL: usize = 256;

/// What one file of the log may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The bytes from which the file is folded.
    pub full: u64,
    /// The bytes of newest lines that stay as they are.
    pub verbatim: usize,
    /// The bytes of counted lines that stay.
    pub counted: usize,
}

/// The lines of a file.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// In the order of the file.
    pub events: Vec<Event>,
    /// How many lines were none of ours.
    pub damaged: usize,
}

impl Lines {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let mut lines = Lines::default();
        for line in bytes.split(|byte| *byte == b'\n') {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match Event::parse(line) {
                Some(event) => lines.events.push(event),
                None => lines.damaged += 1,
            }
        }
        lines
    }
}

/// Equal events as one each.
#[derive(Debug, Default)]
pub(super) struct Counted {
    places: HashMap<Kind, usize>,
    /// In the order of their first time here.
    events: Vec<Event>,
}

impl Counted {
    /// Adds an event. One of a kind that is not there yet is handed back once there are `most` kinds.
    pub(super) fn add(&mut self, event: Event, most: usize) -> Option<Event> {
        let kind = event.kind();
        if let Some(at) = self.places.get(&kind) {
            self.events[*at].absorb(event);
        } else if self.events.len() < most {
            self.places.insert(kind, self.events.len());
            self.events.push(event);
        } else {
            return Some(event);
        }
        None
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// The one that happened last at the end.
    pub(super) fn into_events(mut self) -> Vec<Event> {
        self.events.sort_by_key(|event| (event.at, event.since()));
        self.events
    }
}

/// Equal events as one each, the one that happened last at the end.
pub(super) fn count(events: impl IntoIterator<Item = Event>) -> Vec<Event> {
    let mut counted = Counted::default();
    for event in events {
        let _ = counted.add(event, usize::MAX);
    }
    counted.into_events()
}

/// The bytes of a new file in the place of one that is full.
pub(super) fn fold(lines: Lines, bounds: Bounds) -> Vec<u8> {
    let mut events = lines.events;
    let mut text = Vec::new();
    let mut sizes = Vec::with_capacity(events.len());
    for event in &events {
        let before = text.len();
        event.write(&mut text);
        sizes.push(text.len() - before);
    }
    let mut stay = 0;
    let mut bytes = 0;
    for size in sizes.iter().rev() {
        bytes += size;
        if bytes > bounds.verbatim {
            break;
        }
        stay += 1;
    }
    let newest = events.split_off(events.len() - stay);
    let mut out = within(count(events), bounds.counted);
    for event in newest {
        event.write(&mut out);
    }
    out
}

/// The newest of `counted` that fit into `most` bytes, behind one line for all the others.
fn within(counted: Vec<Event>, most: usize) -> Vec<u8> {
    let mut several: Option<Event> = None;
    let mut kept = Vec::new();
    let mut bytes = 0;
    let mut is_full = false;
    for event in counted.into_iter().rev() {
        let mut line = Vec::new();
        event.write(&mut line);
        is_full |= bytes + line.len() > most.saturating_sub(SEVERAL);
        if is_full || event.result == Word::Several {
            let event = anonymous(&event);
            match &mut several {
                Some(several) => several.absorb(event),
                None => several = Some(event),
            }
        } else {
            bytes += line.len();
            kept.push(line);
        }
    }
    let mut out = Vec::with_capacity(most);
    if let Some(several) = several {
        several.write(&mut out);
    }
    for line in kept.iter().rev() {
        out.extend_from_slice(line);
    }
    out
}

/// What stays of an event whose kind is forgotten.
pub(super) fn anonymous(event: &Event) -> Event {
    Event {
        first: Some(event.since()),
        result: Word::Several,
        reason: None,
        ids: Vec::new(),
        more: 0,
        malformed: 0,
        uid: None,
        process: None,
        parent: None,
        by: None,
        at: event.at,
        count: event.count,
    }
}
