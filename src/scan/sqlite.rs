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

mod cell;
mod chain;

use super::files::read_at;
use super::search::{Hits, Search};
use cell::{cells, free_blocks};
use chain::{Chain, Stitched};
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
        let mut source = Stitched::new(&self.parts, chain);
        let done = search.run(&mut source, &mut hits, &mut ());
        self.parts[chain.head].hits = hits;
        done.map(|_| ())
    }
}
