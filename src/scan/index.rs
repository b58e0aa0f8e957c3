//! Finds many needles in one pass, however many there are.
//!
//! Every needle has eight bytes somewhere that stand at a position of the text which is looked at:
//! each eighth for long needles, each fourth for those of eleven bytes and more, every position for
//! shorter ones. The eight bytes are hashed under a random key and looked up; what is found is compared with the needle. The
//! eight come from the needle's middle: keys of one provider begin alike.
//!
//! Promise: no byte of a needle is kept here, only keyed hashes; the key is wiped.

use crate::error::Result;
use crate::host;
use zeroize::Zeroizing;

/// Bytes that are hashed together; no needle is shorter.
pub(super) const WINDOW: usize = 8;

/// Positions of the text that are looked at: each of so many. A needle that has a window at each of as
/// many positions in a row is among those that are looked up there.
const STRIDES: [usize; 3] = [8, 4, 1];

/// Where hashes of windows lead.
pub(super) struct Index {
    tables: Vec<Table>,
}

/// A needle, and where in it the window begins.
#[derive(Clone, Copy)]
struct Entry {
    hash: u64,
    needle: u32,
    offset: u32,
}

struct Table {
    /// The positions that are looked at.
    stride: usize,
    key: Zeroizing<[u64; 2]>,
    /// One bit for each value of the hash's upper bits that occurs.
    bits: Vec<u64>,
    /// The same upper bits, fewer of them, lead to the entries: from `starts[n]` to `starts[n + 1]`.
    starts: Vec<u32>,
    entries: Vec<Entry>,
    bit_shift: u32,
    start_shift: u32,
}

impl Index {
    /// Of needles that are [`WINDOW`] bytes and longer.
    ///
    /// # Errors
    /// `Failed` when the system has no random bytes.
    pub(super) fn new<'n>(needles: impl Iterator<Item = &'n [u8]> + Clone) -> Result<Self> {
        let mut tables = Vec::new();
        let mut most = usize::MAX;
        for stride in STRIDES {
            let least = WINDOW + stride - 1;
            let numbered = (0..).zip(needles.clone());
            let of_that_length =
                numbered.filter(|(_, needle)| (least..most).contains(&needle.len()));
            let table = Table::new(stride, of_that_length)?;
            if !table.entries.is_empty() {
                tables.push(table);
            }
            most = least;
        }
        Ok(Index { tables })
    }

    /// Calls `candidate` with each needle that may stand in `text`, and where it would begin. What is
    /// in `text` is among them, once.
    pub(super) fn candidates(&self, text: &[u8], candidate: &mut dyn FnMut(u32, usize)) {
        for table in &self.tables {
            table.candidates(text, candidate);
        }
    }
}

impl Table {
    fn new<'n>(stride: usize, needles: impl Iterator<Item = (u32, &'n [u8])>) -> Result<Self> {
        let mut key = Zeroizing::new([0u64; 2]);
        let mut random = Zeroizing::new([0u8; 16]);
        host::random(&mut *random)?;
        key[0] = word(&random[..8]);
        // Odd, so that the multiplication loses nothing.
        key[1] = word(&random[8..]) | 1;
        let mut entries = Vec::new();
        for (number, needle) in needles {
            let first = (needle.len() - (WINDOW + stride - 1)) / 2;
            for offset in first..first + stride {
                entries.push(Entry {
                    hash: hash(&key, &needle[offset..offset + WINDOW]),
                    needle: number,
                    offset: u32::try_from(offset).unwrap_or(u32::MAX),
                });
            }
        }
        entries.sort_unstable_by_key(|entry| entry.hash);
        // 32 bits for each window: one look-up in 32 goes on for nothing.
        let start_log = entries.len().next_power_of_two().ilog2().max(6);
        let bit_log = start_log + 5;
        let mut bits = vec![0u64; 1 << (bit_log - 6)];
        let mut starts = vec![0u32; (1 << start_log) + 1];
        let (bit_shift, start_shift) = (64 - bit_log, 64 - start_log);
        for entry in &entries {
            let (at, bit) = place(entry.hash >> bit_shift);
            bits[at] |= bit;
            starts[index(entry.hash >> start_shift) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        Ok(Table {
            stride,
            key,
            bits,
            starts,
            entries,
            bit_shift,
            start_shift,
        })
    }

    fn candidates(&self, text: &[u8], candidate: &mut dyn FnMut(u32, usize)) {
        let mut at = 0;
        while let Some(window) = text.get(at..at + WINDOW) {
            let hash = hash(&self.key, window);
            let (word, bit) = place(hash >> self.bit_shift);
            if self.bits[word] & bit != 0 {
                self.look(hash, at, candidate);
            }
            at += self.stride;
        }
    }

    #[inline(never)]
    fn look(&self, hash: u64, at: usize, candidate: &mut dyn FnMut(u32, usize)) {
        let bucket = index(hash >> self.start_shift);
        let (from, to) = (self.starts[bucket], self.starts[bucket + 1]);
        for entry in &self.entries[from as usize..to as usize] {
            let offset = entry.offset as usize;
            if entry.hash == hash && offset <= at {
                candidate(entry.needle, at - offset);
            }
        }
    }
}

fn hash(key: &[u64; 2], window: &[u8]) -> u64 {
    let mixed = (word(window) ^ key[0]).wrapping_mul(key[1]);
    // The upper bits know of all bytes; the product alone lets the lowest byte reach them weakly.
    (mixed ^ (mixed >> 32)).wrapping_mul(key[1])
}

fn word(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

fn place(number: u64) -> (usize, u64) {
    (index(number >> 6), 1 << (number & 63))
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0)
}
