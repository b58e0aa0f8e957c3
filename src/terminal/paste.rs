//! What arrives at a hidden prompt, byte by byte, made into the value that the person meant.
//!
//! Pure: no device, no clock. The device feeds bytes and says when none came for the time that
//! [`Entry::wait`] names; where reads happen to be cut makes no difference.
//!
//! Promise: the buffer is allocated once, wiped on drop and never moved; past [`LIMIT`] bytes input
//! is thrown away and the end is an error. Nothing is dropped silently but editing keys, escape
//! sequences and what [`Hidden`] documents: other control bytes stay and are refused where the
//! value is checked.

use super::Hidden;
use crate::error::{Error, Result};
use crate::secret::MAX_SECRET;
use std::time::Duration;
use zeroize::{Zeroize, Zeroizing};

/// The most bytes that are held at once: a secret and the line ends of a wrapped one.
pub(super) const LIMIT: usize = MAX_SECRET + 4096;

/// Input that follows an Enter within this time is of the same paste; nobody types so fast.
pub(super) const BURST: Duration = Duration::from_millis(50);

/// After this time an unfinished escape sequence was the Escape key.
const ESCAPE_ALONE: Duration = Duration::from_millis(500);

const PASTE_END: &[u8] = b"\x1b[201~";

/// What the device does after a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Go on.
    More,
    /// The value is complete.
    Done,
    /// The person gave up.
    Cancel,
    /// Ctrl-Z: stop the process, then go on here.
    Suspend,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ground,
    /// After ESC.
    Escape,
    /// After ESC [: the number read so far; `None` when it is not a plain number.
    Csi(Option<u16>, bool),
    /// One more byte belongs to the sequence.
    OneMore,
    /// A string sequence (an answer of the terminal), up to BEL or ESC \.
    Answer,
    /// Between ESC [ 200 ~ and ESC [ 201 ~: where the paste begins, how much of the end was seen.
    Paste(usize, usize),
}

/// One hidden value on its way in.
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent facts, not states"
)]
pub(super) struct Entry {
    what: Hidden,
    buffer: Zeroizing<Vec<u8>>,
    state: State,
    /// Enters not yet known to be the end.
    enters: usize,
    after_cr: bool,
    overflow: bool,
    /// An Enter was followed by more at once: all of it counts as one paste.
    burst: bool,
    joined: bool,
}

impl Entry {
    pub(super) fn new(what: Hidden) -> Self {
        Entry {
            what,
            buffer: Zeroizing::new(Vec::with_capacity(LIMIT)),
            state: State::Ground,
            enters: 0,
            after_cr: false,
            overflow: false,
            burst: false,
            joined: false,
        }
    }

    /// How long to wait for the next byte before calling [`Entry::quiet`]; `None`: for ever.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self.state {
            State::Paste(..) => None,
            _ if self.enters > 0 => Some(BURST),
            State::Ground => None,
            _ => Some(ESCAPE_ALONE),
        }
    }

    /// No byte came for the time that [`Entry::wait`] named.
    pub(super) fn quiet(&mut self) -> Step {
        if matches!(self.state, State::Paste(..)) {
            return Step::More;
        }
        self.state = State::Ground;
        if self.enters > 0 {
            Step::Done
        } else {
            Step::More
        }
    }

    /// Takes one byte as the terminal sent it.
    pub(super) fn byte(&mut self, byte: u8) -> Step {
        let after_cr = std::mem::take(&mut self.after_cr);
        // Ctrl-C ends even a paste: terminals take it out of pasted text, and a paste whose end was
        // lost must not hold the person prisoner.
        if byte == 0x03 {
            return Step::Cancel;
        }
        match self.state {
            State::Paste(start, seen) => self.pasted(byte, start, seen, after_cr),
            State::Ground => return self.key(byte, after_cr),
            State::Escape => match byte {
                0x1b => {}
                b'[' => self.state = State::Csi(Some(0), true),
                b'O' => self.state = State::OneMore,
                b']' | b'P' | b'X' | b'^' | b'_' => self.state = State::Answer,
                // Alt and a key.
                0x20..=0x7e => self.state = State::Ground,
                _ => return self.back_to_ground(byte),
            },
            State::OneMore => match byte {
                0x20..=0x7e => self.state = State::Ground,
                _ => return self.back_to_ground(byte),
            },
            State::Csi(number, first) => match byte {
                b'0'..=b'9' => {
                    let digit = u16::from(byte - b'0');
                    let number = number.map(|n| n.saturating_mul(10).saturating_add(digit));
                    self.state = State::Csi(number, false);
                }
                // The Linux console's function keys: ESC [ [ A.
                b'[' if first => self.state = State::OneMore,
                b'~' if number == Some(200) => {
                    self.enters_were_text();
                    self.state = State::Paste(self.buffer.len(), 0);
                }
                0x20..=0x3f => self.state = State::Csi(None, false),
                0x40..=0x7e => self.state = State::Ground,
                _ => return self.back_to_ground(byte),
            },
            State::Answer => match byte {
                0x07 => self.state = State::Ground,
                0x1b => self.state = State::Escape,
                0x20.. => {}
                _ => return self.back_to_ground(byte),
            },
        }
        Step::More
    }

    /// The sequence was none: the byte is a key of its own.
    fn back_to_ground(&mut self, byte: u8) -> Step {
        self.state = State::Ground;
        self.key(byte, false)
    }

    fn key(&mut self, byte: u8, after_cr: bool) -> Step {
        match byte {
            0x1b => self.state = State::Escape,
            b'\r' => {
                self.after_cr = true;
                self.enters += 1;
            }
            b'\n' if after_cr => {}
            b'\n' => self.enters += 1,
            // Ctrl-\ and, with nothing typed, Ctrl-D.
            0x1c => return Step::Cancel,
            0x04 if self.buffer.is_empty() && !self.overflow => return Step::Cancel,
            0x1a => return Step::Suspend,
            0x7f | 0x08 => self.erase_character(),
            0x15 => self.erase_all(),
            0x17 => self.erase_word(),
            _ => {
                self.enters_were_text();
                self.push(byte);
            }
        }
        Step::More
    }

    fn pasted(&mut self, byte: u8, start: usize, seen: usize, after_cr: bool) {
        if PASTE_END.get(seen) == Some(&byte) {
            self.state = State::Paste(start, seen + 1);
            if seen + 1 == PASTE_END.len() {
                self.state = State::Ground;
                if self.what == Hidden::Key {
                    self.remove_white(start);
                }
            }
            return;
        }
        for &held in PASTE_END.iter().take(seen) {
            self.push(held);
        }
        self.state = State::Paste(start, 0);
        match byte {
            0x1b => self.state = State::Paste(start, 1),
            b'\r' => {
                self.push(b'\n');
                self.after_cr = true;
            }
            b'\n' if after_cr => {}
            _ => self.push(byte),
        }
    }

    fn push(&mut self, byte: u8) {
        if self.buffer.len() < LIMIT {
            self.buffer.push(byte);
        } else {
            self.overflow = true;
        }
    }

    /// More followed at once, so the Enters before it were line ends of a paste.
    fn enters_were_text(&mut self) {
        let enters = std::mem::take(&mut self.enters);
        self.burst |= enters > 0;
        for _ in 0..enters.min(LIMIT + 1) {
            self.push(b'\n');
        }
    }

    fn erase_character(&mut self) {
        if self.enters > 0 {
            self.enters -= 1;
            return;
        }
        // A character of UTF-8 has at most three bytes after its first.
        for _ in 0..4 {
            match self.buffer.pop() {
                Some(0x80..=0xbf) => {}
                _ => break,
            }
        }
    }

    fn erase_word(&mut self) {
        self.enters = 0;
        let kept = self.buffer.trim_ascii_end();
        let kept = kept.iter().rposition(u8::is_ascii_whitespace);
        self.buffer.truncate(kept.map_or(0, |at| at + 1));
    }

    fn erase_all(&mut self) {
        self.buffer.zeroize();
        self.enters = 0;
        self.overflow = false;
        self.burst = false;
        self.joined = false;
    }

    /// Takes white space out of the buffer from `start` on, in place.
    fn remove_white(&mut self, start: usize) {
        let bytes = &mut *self.buffer;
        let (mut from, mut to) = (start, start);
        let mut line_ended = false;
        while from < bytes.len() {
            let white = white_at(bytes, from);
            if white > 0 {
                line_ended |= bytes[from] == b'\n' && to > start;
                from += white;
                continue;
            }
            self.joined |= line_ended;
            bytes[to] = bytes[from];
            to += 1;
            from += 1;
        }
        bytes.truncate(to);
    }

    fn trim(&mut self) {
        let bytes = &mut *self.buffer;
        let (mut at, mut first, mut end) = (0, None, 0);
        while at < bytes.len() {
            let white = white_at(bytes, at);
            if white == 0 {
                first.get_or_insert(at);
                end = at + 1;
            }
            at += white.max(1);
        }
        bytes.truncate(end);
        bytes.drain(..first.unwrap_or(end));
    }

    /// The value, repaired as its kind says.
    ///
    /// # Errors
    /// `Failed` when more came than can be held.
    pub(super) fn finish(mut self) -> Result<Received> {
        if self.overflow {
            return Err(Error::failed(format!(
                "the value is too long; the most is {MAX_SECRET} bytes"
            )));
        }
        match self.what {
            Hidden::Key if self.burst => self.remove_white(0),
            Hidden::Key => self.trim(),
            // Only a paste puts a newline here.
            Hidden::Text | Hidden::Passphrase => {
                if self.buffer.last() == Some(&b'\n') {
                    self.buffer.pop();
                }
            }
        }
        Ok(Received {
            value: self.buffer,
            joined: self.joined,
        })
    }
}

/// A value and what may be said about it.
pub(super) struct Received {
    pub(super) value: Zeroizing<Vec<u8>>,
    joined: bool,
}

impl Received {
    /// What the person sees instead of the value. A passphrase's length is nobody's business.
    pub(super) fn note(&self, what: Hidden) -> String {
        if what == Hidden::Passphrase {
            return String::new();
        }
        // Bytes that begin a character.
        let characters = self.value.iter().filter(|b| **b & 0xc0 != 0x80).count();
        let s = if characters == 1 { "" } else { "s" };
        let joined = if self.joined { ", lines joined" } else { "" };
        format!("[{characters} character{s}{joined}]")
    }
}

/// How many bytes of white space begin at `at`; 0 for none. Counts what a copy from a page or a
/// chat leaves behind and nobody sees: the zero-width space, the word joiner, the byte order mark.
fn white_at(bytes: &[u8], at: usize) -> usize {
    let len = match bytes[at] {
        byte if byte.is_ascii() => return usize::from(char::from(byte).is_whitespace()),
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => return 0,
    };
    let character = bytes
        .get(at..at + len)
        .and_then(|slice| std::str::from_utf8(slice).ok())
        .and_then(|text| text.chars().next());
    match character {
        Some(c) if c.is_whitespace() || matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}') => len,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
