//! Values that SQLite split over pages: a row that is longer than a page goes on in a chain of overflow
//! pages, each of which begins with the number of the next.
//!
//! Source: the file format of SQLite 3 (fileformat2): pages of b-trees, overflow pages, frames of the
//! write-ahead log. Nothing is decided by what the pages say they are: every cell whose row goes on,
//! every free block whose last bytes name a page, and every page whose first bytes do, is followed.
//!
//! Promises: each page is read a bounded number of times, whatever the numbers in it say; memory for
//! some bits of each page, no more. What lies on one page is found by the plain search and not here.
//!
//! Not seen: a deleted row of several pages whose first part is no longer a cell nor at the end of a
//! free block, and the rollback journal, whose pages are searched one by one.

use super::files::read_at;
use super::search::{Hits, Search, Source};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;

/// The parts of a chain that are kept in mind at once.
const MOST_PARTS: usize = 64 * 1024;

const LOG_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

/// Whether a file with this beginning is a database.
pub(super) fn is_database(head: &[u8]) -> bool {
    head.starts_with(b"SQLite format 3\0") && layout(head).is_some()
}

/// Whether it is a write-ahead log.
pub(super) fn is_log(head: &[u8]) -> bool {
    log_page_size(head).is_some()
}

/// The size of a page, and how much of it is used, from a database's first bytes.
fn layout(head: &[u8]) -> Option<(u64, usize)> {
    let size = match u64::from(u16::from_be_bytes(*head.get(16..)?.first_chunk()?)) {
        1 => 65536,
        size => size,
    };
    let used = usize::try_from(size)
        .ok()?
        .checked_sub((*head.get(20)?).into())?;
    ((512..=65536).contains(&size) && size.is_power_of_two() && used >= 480).then_some((size, used))
}

fn log_page_size(head: &[u8]) -> Option<u64> {
    let magic = u32::from_be_bytes(*head.first_chunk()?);
    let size = u64::from(u32::from_be_bytes(*head.get(8..)?.first_chunk()?));
    (magic & !1 == 0x377f_0682 && (512..=65536).contains(&size) && size.is_power_of_two())
        .then_some(size)
}

/// One file of a database.
struct Part {
    path: PathBuf,
    file: File,
    hits: Hits,
}

/// A copy of a page: in the database those come first, then the frames of the log.
type Copy = usize;

/// A database and its log, or one of the two.
pub(super) struct Seams {
    parts: Vec<Part>,
    page_size: u64,
    used: usize,
    /// The pages of the database.
    pages: usize,
    /// The number of each frame's page.
    frames: Vec<u32>,
    frames_of: BTreeMap<u32, Vec<usize>>,
    /// Which part the log is.
    log: usize,
    /// How many bytes may still be looked at.
    budget: u64,
}

/// One way to follow the numbers: within the database alone, or with the log.
struct Pass {
    with_log: bool,
    visited: Vec<u64>,
}

impl Pass {
    /// Whether it is the first visit.
    fn visit(&mut self, copy: Copy) -> bool {
        let bit = 1 << (copy % 64);
        let word = &mut self.visited[copy / 64];
        let first = *word & bit == 0;
        *word |= bit;
        first
    }

    fn knows(&self, copy: Copy) -> bool {
        self.visited[copy / 64] & (1 << (copy % 64)) != 0
    }
}

impl Seams {
    /// Of a database, or a database and its log, or a log.
    pub(super) fn new(files: Vec<(PathBuf, File)>) -> Self {
        let parts = files.into_iter().map(|(path, file)| Part {
            path,
            file,
            hits: Hits::default(),
        });
        Seams {
            parts: parts.collect(),
            page_size: 0,
            used: 0,
            pages: 0,
            frames: Vec::new(),
            frames_of: BTreeMap::new(),
            log: 0,
            budget: 0,
        }
    }

    /// What was found, by file.
    pub(super) fn into_hits(self) -> impl Iterator<Item = (PathBuf, Hits)> {
        self.parts.into_iter().map(|part| (part.path, part.hits))
    }

    /// Searches across every border. `false` when the pages hang together so badly that it was given up.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn search(&mut self, search: &mut Search<'_>) -> io::Result<bool> {
        if !self.measure()? {
            return Ok(false);
        }
        let copies = self.pages + self.frames.len();
        for with_log in [false, true] {
            if with_log && self.frames.is_empty() {
                continue;
            }
            let mut pass = Pass {
                with_log,
                visited: vec![0; copies / 64 + 1],
            };
            let within = if with_log { copies } else { self.pages };
            let mut page = vec![0; self.used];
            // Rows first: their chains are whole.
            for copy in 0..within {
                self.read(copy, &mut page)?;
                for (start, len, number) in self.continued(copy, &page) {
                    let len_kept = len.min(search.overlap());
                    let start = start + len - len_kept;
                    if !self.chain(search, &mut pass, copy, (start, len_kept), number)? {
                        return Ok(false);
                    }
                }
            }
            // What no row leads to: chains of rows that were deleted.
            for copy in 0..within {
                let number = self.next_of(copy)?;
                if !pass.knows(copy) && self.is_plausible(number) && number != self.number(copy) {
                    pass.visit(copy);
                    let content = (4, self.used - 4);
                    if !self.chain(search, &mut pass, copy, content, number)? {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Finds out which pages there are. `false` when database and log do not fit together.
    fn measure(&mut self) -> io::Result<bool> {
        let mut bytes = 0;
        for at in 0..self.parts.len() {
            let mut head = [0; 32];
            let file = &self.parts[at].file;
            let length = file.metadata()?.len();
            let known = read_at(file, &mut head, 0)?;
            let head = &head[..known];
            bytes += length;
            if let Some((size, used)) = layout(head).filter(|_| is_database(head)) {
                (self.page_size, self.used) = (size, used);
                self.pages = usize::try_from(length / size).unwrap_or(0);
            } else if let Some(size) = log_page_size(head) {
                if self.page_size == 0 {
                    self.page_size = size;
                    self.used = usize::try_from(size).unwrap_or(0);
                }
                if self.page_size != size {
                    return Ok(false);
                }
                self.log = at;
                self.index_log(length)?;
            }
        }
        self.budget = bytes.saturating_mul(8).saturating_add(64 * 1024 * 1024);
        Ok(true)
    }

    fn index_log(&mut self, length: u64) -> io::Result<()> {
        let frame = FRAME_HEADER + self.page_size;
        let count = length.saturating_sub(LOG_HEADER) / frame;
        for at in 0..count {
            let mut number = [0; 4];
            read_at(
                &self.parts[self.log].file,
                &mut number,
                LOG_HEADER + at * frame,
            )?;
            let number = u32::from_be_bytes(number);
            self.frames_of
                .entry(number)
                .or_default()
                .push(self.frames.len());
            self.frames.push(number);
        }
        Ok(())
    }

    fn number(&self, copy: Copy) -> u32 {
        match copy.checked_sub(self.pages) {
            Some(frame) => self.frames[frame],
            None => u32::try_from(copy + 1).unwrap_or(0),
        }
    }

    /// Which file a copy lies in, and where.
    fn place(&self, copy: Copy) -> (usize, u64) {
        match copy.checked_sub(self.pages) {
            Some(frame) => {
                let frame = frame as u64 * (FRAME_HEADER + self.page_size);
                (self.log, LOG_HEADER + frame + FRAME_HEADER)
            }
            None => (0, copy as u64 * self.page_size),
        }
    }

    fn read(&self, copy: Copy, page: &mut [u8]) -> io::Result<()> {
        let (part, offset) = self.place(copy);
        let mut filled = 0;
        while filled < page.len() {
            let at = offset + filled as u64;
            match read_at(&self.parts[part].file, &mut page[filled..], at)? {
                0 => break,
                read => filled += read,
            }
        }
        page[filled..].fill(0);
        Ok(())
    }

    fn next_of(&self, copy: Copy) -> io::Result<u32> {
        let mut number = [0; 4];
        self.read(copy, &mut number)?;
        Ok(u32::from_be_bytes(number))
    }

    fn is_plausible(&self, number: u32) -> bool {
        number != 0 && (number as usize <= self.pages || self.frames_of.contains_key(&number))
    }

    /// The copy of page `number` that a number on `from` means.
    fn follow(&self, pass: &Pass, from: Copy, number: u32) -> Option<Copy> {
        let in_database =
            (number != 0 && number as usize <= self.pages).then(|| number as usize - 1);
        if !pass.with_log {
            return in_database;
        }
        let frames = self.frames_of.get(&number).map_or(&[][..], Vec::as_slice);
        let frame = match from.checked_sub(self.pages) {
            // Pages of one change lie side by side in the log.
            Some(own) => frames.iter().min_by_key(|frame| frame.abs_diff(own)),
            None => frames.last(),
        };
        frame.map(|frame| self.pages + frame).or(in_database)
    }

    /// The parts of a page that go on elsewhere: where they begin, their length, the next page.
    fn continued(&self, copy: Copy, page: &[u8]) -> Vec<(usize, usize, u32)> {
        let header = if self.number(copy) == 1 { 100 } else { 0 };
        let mut parts = cells(page, header).unwrap_or_default();
        parts.extend(free_blocks(page, header));
        parts.retain(|(_, _, number)| self.is_plausible(*number));
        parts
    }

    /// Searches a part of a page together with the pages that follow it. `false` when enough was done.
    fn chain(
        &mut self,
        search: &mut Search<'_>,
        pass: &mut Pass,
        copy: Copy,
        (start, len): (usize, usize),
        mut number: u32,
    ) -> io::Result<bool> {
        let (head, offset) = self.place(copy);
        let mut chain = Chain::new(head, pass.with_log.then_some(self.log), self.pages == 0);
        chain.push(head, offset + start as u64, len);
        let mut from = copy;
        while let Some(next) = self.follow(pass, from, number) {
            if !pass.visit(next) && chain.known_from.is_none() {
                chain.known_from = Some(chain.len);
            }
            // So far a value can reach that begins before.
            if chain
                .known_from
                .is_some_and(|from| chain.len >= from + search.overlap() as u64)
            {
                break;
            }
            number = self.next_of(next)?;
            let (part, offset) = self.place(next);
            chain.push(part, offset + 4, self.used - 4);
            from = next;
            if chain.segments.len() >= MOST_PARTS {
                self.flush(search, &mut chain)?;
                chain.forget(search.overlap() as u64);
            }
            match self.budget.checked_sub(self.page_size) {
                Some(left) => self.budget = left,
                None => return Ok(false),
            }
        }
        self.flush(search, &mut chain)?;
        Ok(true)
    }

    fn flush(&mut self, search: &mut Search<'_>, chain: &mut Chain) -> io::Result<()> {
        let mut hits = std::mem::take(&mut self.parts[chain.head].hits);
        let mut source = Stitched {
            parts: &self.parts,
            chain,
            at: 0,
            ended: false,
        };
        let done = search.run(&mut source, &mut hits, &mut ());
        self.parts[chain.head].hits = hits;
        done.map(|_| ())
    }
}

/// The cells of a page whose row goes on in another page: where the part here begins, its length, the
/// next page. `None` when it is no page of a b-tree with rows.
fn cells(page: &[u8], header: usize) -> Option<Vec<(usize, usize, u32)>> {
    let (is_table, is_leaf) = match page.get(header)? {
        0x0d => (true, true),
        0x0a => (false, true),
        0x02 => (false, false),
        _ => return None,
    };
    let count = usize::from(word(page, header + 3)?);
    let pointers = header + if is_leaf { 8 } else { 12 };
    let mut found = Vec::new();
    for cell in 0..count {
        let Some(start) = word(page, pointers + 2 * cell) else {
            break;
        };
        let start = usize::from(start) + if is_leaf { 0 } else { 4 };
        found.extend(continued_cell(page, start, is_table));
    }
    Some(found)
}

fn continued_cell(page: &[u8], start: usize, is_table: bool) -> Option<(usize, usize, u32)> {
    let used = page.len();
    let (payload, mut at) = varint(page, start)?;
    if is_table {
        at = varint(page, at)?.1;
    }
    let payload = usize::try_from(payload).ok()?;
    let most = if is_table {
        used - 35
    } else {
        (used - 12) * 64 / 255 - 23
    };
    if payload <= most {
        return None;
    }
    let least = (used - 12) * 32 / 255 - 23;
    let wanted = least + (payload - least) % (used - 4);
    let here = if wanted <= most { wanted } else { least };
    let next = page.get(at + here..)?.first_chunk()?;
    Some((at, here, u32::from_be_bytes(*next)))
}

/// Free blocks of a page, each perhaps a deleted cell that ended with the number of the next page.
fn free_blocks(page: &[u8], header: usize) -> Vec<(usize, usize, u32)> {
    let mut found = Vec::new();
    let mut at = 0;
    if !matches!(page.get(header), Some(0x0d | 0x0a | 0x02)) {
        return found;
    }
    let mut next = word(page, header + 1);
    // They are in order, so this ends.
    while let Some(block) = next.map(usize::from).filter(|block| *block > at) {
        at = block;
        let size = usize::from(word(page, block + 2).unwrap_or(0));
        if let Some(number) = page.get(block..block + size).and_then(<[u8]>::last_chunk)
            && size > 8
        {
            found.push((block + 4, size - 8, u32::from_be_bytes(*number)));
        }
        next = word(page, block);
    }
    found
}

fn word(page: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*page.get(at..)?.first_chunk()?))
}

/// A number of one to nine bytes, and where it ends.
fn varint(page: &[u8], start: usize) -> Option<(u64, usize)> {
    let mut number = 0u64;
    for at in start..start + 8 {
        let byte = *page.get(at)?;
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number, at + 1));
        }
    }
    Some((number << 8 | u64::from(*page.get(start + 8)?), start + 9))
}

/// A part of a file, at a place of the whole chain.
#[derive(Clone, Copy)]
struct Segment {
    at: u64,
    part: usize,
    offset: u64,
    len: usize,
}

/// Parts of files in the order in which they are one text.
struct Chain {
    segments: Vec<Segment>,
    /// Where the next one begins.
    len: u64,
    /// What begins from here on was found on another way.
    known_from: Option<u64>,
    /// What ends before was searched already.
    done: u64,
    /// The file in which it begins.
    head: usize,
    /// With the log: only what has a part in it. Within the database all was found before.
    log: Option<usize>,
    log_only: bool,
}

impl Chain {
    fn new(head: usize, log: Option<usize>, log_only: bool) -> Self {
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

    fn push(&mut self, part: usize, offset: u64, len: usize) {
        self.segments.push(Segment {
            at: self.len,
            part,
            offset,
            len,
        });
        self.len += len as u64;
    }

    /// Keeps what a value can reach back to.
    fn forget(&mut self, overlap: u64) {
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
struct Stitched<'s> {
    parts: &'s [Part],
    chain: &'s Chain,
    /// Bytes that were read.
    at: u64,
    ended: bool,
}

impl Stitched<'_> {
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
