//! Finds secrets in this process's own memory: every mapping that can be read and written.
//!
//! The needles are held under a mask, and each piece of memory is masked as soon as it was read, so
//! that the scanner finds neither its needles nor its own copies. Half a needle counts: what lies
//! there cut in two was not wiped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails"
)]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::unix::fs::FileExt as _;
use zeroize::Zeroizing;

const MASK: u8 = 0xa5;
/// What is looked for: the first and the last bytes of a needle.
const HALF: usize = 16;
const PIECE: usize = 1 << 20;

/// Secrets to look for, none shorter than 32 bytes.
pub(crate) struct Needles(Vec<Vec<u8>>);

impl Needles {
    /// As [`Needles::to_text`] wrote them.
    pub(crate) fn from_text(text: &str) -> Self {
        let digit = |pair: &[u8]| {
            let text = std::str::from_utf8(pair).unwrap();
            u8::from_str_radix(text, 16).unwrap()
        };
        let needle = |hex: &str| hex.as_bytes().chunks(2).map(digit).collect();
        Needles(text.split(',').map(needle).collect())
    }

    /// Masked and in hex, for the environment of the process that is scanned.
    pub(crate) fn to_text(needles: &[Vec<u8>]) -> String {
        let hex = |needle: &Vec<u8>| -> String {
            assert!(needle.len() >= 2 * HALF);
            let hex = |byte: &u8| format!("{:02x}", byte ^ MASK);
            needle.iter().map(hex).collect::<Vec<_>>().concat()
        };
        needles.iter().map(hex).collect::<Vec<_>>().join(",")
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The needle itself, for the code that is put to the test.
    pub(crate) fn plain(&self, at: usize) -> Zeroizing<Vec<u8>> {
        let masked = &self.0[at];
        let mut plain = Zeroizing::new(Vec::with_capacity(masked.len()));
        plain.extend(masked.iter().map(|byte| byte ^ MASK));
        plain
    }
}

/// The memory of this process.
pub(crate) struct Memory {
    maps: File,
    mem: File,
}

impl Memory {
    /// Before the process closes itself to others, and so to itself.
    pub(crate) fn open() -> Self {
        Memory {
            maps: File::open("/proc/self/maps").unwrap(),
            mem: File::open("/proc/self/mem").unwrap(),
        }
    }

    /// Which needles lie there, whole or half, each with the name of a mapping that has it.
    pub(crate) fn scan(&mut self, needles: &Needles) -> BTreeSet<(usize, String)> {
        let mut maps = String::new();
        self.maps.rewind().unwrap();
        self.maps.read_to_string(&mut maps).unwrap();
        let halves: Vec<(usize, &[u8])> = needles
            .0
            .iter()
            .enumerate()
            .flat_map(|(at, needle)| [(at, &needle[..HALF]), (at, &needle[needle.len() - HALF..])])
            .collect();
        let mut begins = vec![false; 1 << 16];
        for (_, half) in &halves {
            begins[pair(half)] = true;
        }
        let mut found = BTreeSet::new();
        let mut piece = vec![0u8; PIECE + HALF - 1];
        for line in maps.lines() {
            let mut words = line.split_whitespace();
            let (range, rights) = (words.next().unwrap(), words.next().unwrap());
            if !rights.starts_with("rw") {
                continue;
            }
            let name = words.nth(3).unwrap_or("anonymous");
            let (start, end) = range.split_once('-').unwrap();
            let number = |hex: &str| u64::from_str_radix(hex, 16).unwrap();
            let (mut at, end) = (number(start), number(end));
            while at < end {
                let most = usize::try_from(end - at).unwrap().min(piece.len());
                // A guard page or a device in it cannot be read; nothing of ours lies there.
                let Ok(count @ 1..) = self.mem.read_at(&mut piece[..most], at) else {
                    break;
                };
                piece[..count].iter_mut().for_each(|byte| *byte ^= MASK);
                for offset in 0..count.saturating_sub(HALF - 1) {
                    if !begins[pair(&piece[offset..])] {
                        continue;
                    }
                    for (needle, half) in &halves {
                        if piece[offset..].starts_with(half) {
                            found.insert((*needle, name.to_owned()));
                        }
                    }
                }
                at += u64::try_from(count.saturating_sub(HALF - 1).max(1)).unwrap();
            }
        }
        found
    }
}

fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}
