//! Parts of files that are one text to SQLite, read as one.

use super::super::files::read_at;
use super::super::search::Source;
use super::Part;
use std::io;

/// A part of a file, at a place of the whole chain.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    at: u64,
    part: usize,
    offset: u64,
    len: usize,
}

/// Parts of files in the order in which they are one text.
pub(super) struct Chain {
    pub(super) segments: Vec<Segment>,
    /// Where the next one begins.
    pub(super) len: u64,
    /// What begins from here on was found on another way.
    pub(super) known_from: Option<u64>,
    /// What ends before was searched already.
    done: u64,
    /// The file in which it begins.
    pub(super) head: usize,
    /// With the log: only what has a part in it. Within the database all was found before.
    log: Option<usize>,
    log_only: bool,
}

impl Chain {
    pub(super) fn new(head: usize, log: Option<usize>, log_only: bool) -> Self {
        Chain {
            segments: Vec::new(),
            len: 0,
            known_from: None,
            done: 0,
            head,
            log,
            log_only,
        }
    }

    pub(super) fn push(&mut self, part: usize, offset: u64, len: usize) {
        self.segments.push(Segment {
            at: self.len,
            part,
            offset,
            len,
        });
        self.len += len as u64;
    }

    /// Keeps what a value can reach back to.
    pub(super) fn forget(&mut self, overlap: u64) {
        self.done = self.len;
        let from = self.len.saturating_sub(overlap);
        self.segments
            .retain(|segment| segment.at + segment.len as u64 > from);
    }

    fn segment_of(&self, at: u64) -> Option<(usize, &Segment)> {
        let number = self.segments.partition_point(|segment| segment.at <= at);
        let number = number.checked_sub(1)?;
        Some((number, &self.segments[number]))
    }
}

/// A chain as one text.
pub(super) struct Stitched<'s> {
    parts: &'s [Part],
    chain: &'s Chain,
    /// Bytes that were read.
    at: u64,
    ended: bool,
}

impl<'s> Stitched<'s> {
    pub(super) fn new(parts: &'s [Part], chain: &'s Chain) -> Self {
        Stitched {
            parts,
            chain,
            at: 0,
            ended: false,
        }
    }

    fn first(&self) -> u64 {
        self.chain.segments.first().map_or(0, |segment| segment.at)
    }
}

impl Source for Stitched<'_> {
    fn next_run(&mut self) -> io::Result<Option<u64>> {
        Ok((!std::mem::replace(&mut self.ended, true)).then_some(0))
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = self.first() + self.at;
        let Some((_, segment)) = self.chain.segment_of(at) else {
            return Ok(0);
        };
        let within = at - segment.at;
        let left = (segment.len as u64).saturating_sub(within);
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let file = &self.parts[segment.part].file;
        let read = read_at(file, &mut buffer[..most], segment.offset + within)?;
        self.at += read as u64;
        Ok(read)
    }

    fn place(&self, start: u64, end: u64) -> Option<u64> {
        let chain = self.chain;
        let (start, end) = (self.first() + start, self.first() + end);
        let (first, segment) = chain.segment_of(start)?;
        let (last, _) = chain.segment_of(end.saturating_sub(1))?;
        let is_new = end > chain.done && chain.known_from.is_none_or(|from| start < from);
        let touches_log = chain.log.is_none_or(|log| {
            chain.log_only
                || chain.segments[first..=last]
                    .iter()
                    .any(|segment| segment.part == log)
        });
        if first == last || !is_new || !touches_log {
            return None;
        }
        let offset = if segment.part == chain.head {
            segment.offset + (start - segment.at)
        } else {
            chain.segments.first()?.offset
        };
        Some(offset)
    }

    fn has_lines(&self) -> bool {
        false
    }
}
