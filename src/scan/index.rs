//! Finds many needles in one pass, however many there are.
//!
//! Every needle has eight bytes somewhere that stand at a position of the text which is looked at: each
//! 32nd for long needles, and the nearer together the shorter they are. The eight bytes are hashed under
//! a random key and looked up; what is found is compared with the needle. The eight come from the
//! needle's middle: keys of one provider begin alike. Masks are looked for where their dots are, by four
//! bytes before and four after.
//!
//! Promise: no byte of a needle is kept here, only keyed hashes; the key is wiped.

use crate::error::Result;
use crate::host;
use zeroize::Zeroizing;

/// Bytes that are hashed together; no needle is shorter.
pub(super) const WINDOW: usize = 8;

/// Positions of the text that are looked at: each of so many. A needle that has a window at each of as
/// many positions in a row is among those that are looked up there.
const STRIDES: [usize; 5] = [32, 16, 8, 4, 1];

/// So many windows are kept at the most, where larger strides would make more: 16 bytes each.
const MOST_WINDOWS: usize = 1 << 18;

/// What stands between the two ends that a mask shows.
pub(super) const DOTS: [&str; 3] = ["...", "…", "***"];

/// The least that a mask shows of each end.
const END: usize = WINDOW / 2;

/// A text to look for.
#[derive(Clone, Copy)]
pub(super) struct Entry<'n> {
    /// Its bytes.
    pub(super) bytes: &'n [u8],
    /// For a mask, where its dots begin and end.
    pub(super) dots: Option<(usize, usize)>,
}

/// Where hashes of windows lead.
pub(super) struct Index {
    key: Zeroizing<[u64; 2]>,
    tables: Vec<(usize, Table)>,
    masks: Option<Table>,
}

impl Index {
    /// Of texts that are [`WINDOW`] bytes and longer.
    ///
    /// # Errors
    /// `Failed` when the system has no random bytes.
    pub(super) fn new<'n>(entries: impl Iterator<Item = Entry<'n>> + Clone) -> Result<Self> {
        let mut key = Zeroizing::new([0u64; 2]);
        let mut random = Zeroizing::new([0u8; 16]);
        host::random(&mut *random)?;
        key[0] = word(&random[..8]);
        // Odd, so that the multiplication loses nothing.
        key[1] = word(&random[8..]) | 1;
        let numbered = (0..).zip(entries);
        let texts = numbered.clone().filter(|(_, entry)| entry.dots.is_none());
        let count = texts.clone().count();
        let mut tables = Vec::new();
        let mut most = usize::MAX;
        for stride in STRIDES {
            // Few windows for each, when there are many.
            if stride > WINDOW && count * stride > MOST_WINDOWS {
                continue;
            }
            let least = WINDOW + stride - 1;
            let mut windows = Vec::new();
            for (number, Entry { bytes, .. }) in texts.clone() {
                if !(least..most).contains(&bytes.len()) {
                    continue;
                }
                let first = (bytes.len() - least) / 2;
                for offset in first..first + stride {
                    let hash = hash(&key, word(&bytes[offset..offset + WINDOW]));
                    windows.push(Window::new(hash, number, offset));
                }
            }
            if !windows.is_empty() {
                tables.push((stride, Table::new(windows)));
            }
            most = least;
        }
        let masks: Vec<Window> = numbered
            .filter_map(|(number, entry)| {
                let (from, to) = entry.dots?;
                let ends = ends(entry.bytes, from, to)?;
                Some(Window::new(hash(&key, ends), number, from))
            })
            .collect();
        Ok(Index {
            key,
            tables,
            masks: (!masks.is_empty()).then(|| Table::new(masks)),
        })
    }

    /// Calls `candidate` with each needle that may stand in `text`, and where it would begin. What is
    /// in `text` is among them, once.
    pub(super) fn candidates(&self, text: &[u8], candidate: &mut dyn FnMut(u32, usize)) {
        for (stride, table) in &self.tables {
            let mut at = 0;
            while let Some(window) = text.get(at..at + WINDOW) {
                table.look(hash(&self.key, word(window)), at, candidate);
                at += stride;
            }
        }
    }

    /// The same for masks.
    pub(super) fn masks(&self, text: &[u8], candidate: &mut dyn FnMut(u32, usize)) {
        let Some(table) = &self.masks else { return };
        for dots in DOTS {
            let finder = memchr::memmem::Finder::new(dots);
            let mut from = 0;
            while let Some(found) = finder.find(&text[from..]) {
                let at = from + found;
                if let Some(ends) = ends(text, at, at + dots.len()) {
                    table.look(hash(&self.key, ends), at, candidate);
                }
                // Dots can follow dots.
                from = at + 1;
            }
        }
    }
}

/// The bytes around dots.
fn ends(text: &[u8], from: usize, to: usize) -> Option<u64> {
    let before = text.get(from.checked_sub(END)?..from)?;
    let after = text.get(to..to + END)?;
    let number = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_le_bytes);
    Some(u64::from(number(before)) << 32 | u64::from(number(after)))
}

/// A hash, the needle that it belongs to, and where in it the window begins.
struct Window {
    hash: u64,
    needle: u32,
    offset: u32,
}

impl Window {
    fn new(hash: u64, needle: u32, offset: usize) -> Self {
        Window {
            hash,
            needle,
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
        }
    }
}

struct Table {
    /// One bit for each value of the hash's upper bits that occurs.
    bits: Vec<u64>,
    /// The same upper bits, fewer of them, lead to the windows: from `starts[n]` to `starts[n + 1]`.
    starts: Vec<u32>,
    windows: Vec<Window>,
    bit_shift: u32,
    start_shift: u32,
}

impl Table {
    fn new(mut windows: Vec<Window>) -> Self {
        windows.sort_unstable_by_key(|window| window.hash);
        // 32 bits for each window: one look-up in 32 goes on for nothing.
        let start_log = windows.len().next_power_of_two().ilog2().max(6);
        let bit_log = start_log + 5;
        let mut bits = vec![0u64; 1 << (bit_log - 6)];
        let mut starts = vec![0u32; (1 << start_log) + 1];
        let (bit_shift, start_shift) = (64 - bit_log, 64 - start_log);
        for window in &windows {
            let (at, bit) = place(window.hash >> bit_shift);
            bits[at] |= bit;
            starts[index(window.hash >> start_shift) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        Table {
            bits,
            starts,
            windows,
            bit_shift,
            start_shift,
        }
    }

    #[inline]
    fn look(&self, hash: u64, at: usize, candidate: &mut dyn FnMut(u32, usize)) {
        let (word, bit) = place(hash >> self.bit_shift);
        if self.bits[word] & bit != 0 {
            self.look_closer(hash, at, candidate);
        }
    }

    #[inline(never)]
    fn look_closer(&self, hash: u64, at: usize, candidate: &mut dyn FnMut(u32, usize)) {
        let bucket = index(hash >> self.start_shift);
        let (from, to) = (self.starts[bucket], self.starts[bucket + 1]);
        for window in &self.windows[from as usize..to as usize] {
            let offset = window.offset as usize;
            if window.hash == hash && offset <= at {
                candidate(window.needle, at - offset);
            }
        }
    }
}

#[inline]
fn hash(key: &[u64; 2], window: u64) -> u64 {
    let mixed = (window ^ key[0]).wrapping_mul(key[1]);
    // The upper bits, which are used, are to know of every byte.
    (mixed ^ (mixed >> 32)).wrapping_mul(key[1])
}

#[inline]
fn word(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

fn place(number: u64) -> (usize, u64) {
    (index(number >> 6), 1 << (number & 63))
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0)
}
