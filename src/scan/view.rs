//! A text with its escapes undone, and where each byte of it came from.
//!
//! Promise: no view is longer than its source, and every byte of it is traced to the bytes of the
//! source that it stands for. Text in buffers of fixed size, wiped when dropped.

use zeroize::Zeroizing;

/// How escapes are undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Backslashes, as in JSON, JSON5, JavaScript, shells, systemd.
    Backslash,
    /// `%XX`.
    Percent,
    /// `%XX`, and `+` is a blank.
    Form,
    /// Line ends and the blanks after them are taken away.
    Unfold,
}

/// A text made of another one.
pub(super) struct View {
    bytes: Zeroizing<Vec<u8>>,
    marks: Vec<Mark>,
}

/// From here on, until the next mark, the view's bytes are those of the source from `source` on; or,
/// if `escape`, all of them stand for the bytes up to the next mark's `source`.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: usize,
    source: usize,
    escape: bool,
}

impl View {
    /// An empty view of texts of at most `room` bytes.
    pub(super) fn with_room(room: usize) -> Self {
        View {
            bytes: Zeroizing::new(Vec::with_capacity(room)),
            marks: Vec::new(),
        }
    }

    /// The text.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes the view of `source`; `false`, and no view, when nothing in it is escaped.
    pub(super) fn make(&mut self, kind: Kind, source: &[u8]) -> bool {
        self.bytes.clear();
        self.marks.clear();
        self.marks.push(Mark {
            at: 0,
            source: 0,
            escape: false,
        });
        let mut from = 0;
        let mut at = 0;
        while let Some(next) = find(kind, source, at) {
            let Some((length, made)) = undone(kind, &source[next..]) else {
                at = next + 1;
                continue;
            };
            // Nothing is copied of a text that has none.
            self.copy(&source[from..next]);
            let start = self.bytes.len();
            self.bytes.extend_from_slice(made.as_slice());
            if self.bytes.len() > start {
                self.mark(start, next, true);
            }
            at = next + length;
            from = at;
            self.mark(self.bytes.len(), at, false);
        }
        if self.marks.len() == 1 {
            return false;
        }
        self.copy(&source[from..]);
        true
    }

    fn copy(&mut self, bytes: &[u8]) {
        // Never more than was made room for: a buffer that grows leaves a copy behind.
        debug_assert!(self.bytes.len() + bytes.len() <= self.bytes.capacity());
        self.bytes.extend_from_slice(bytes);
    }

    fn mark(&mut self, at: usize, source: usize, escape: bool) {
        self.marks.push(Mark { at, source, escape });
    }

    /// The bytes of the source that `start..end` of the view stand for.
    pub(super) fn source(&self, start: usize, end: usize) -> (usize, usize) {
        let (_, first) = self.mark_of(start);
        let begin = if first.escape {
            first.source
        } else {
            first.source + (start - first.at)
        };
        let (number, last) = self.mark_of(end.saturating_sub(1));
        let finish = match self.marks.get(number + 1) {
            Some(next) if last.escape => next.source,
            _ => last.source + (end - last.at),
        };
        (begin, finish)
    }

    /// The last mark at or before a byte of the view.
    fn mark_of(&self, at: usize) -> (usize, Mark) {
        let number = self.marks.partition_point(|mark| mark.at <= at) - 1;
        (number, self.marks[number])
    }
}

/// What an escape stands for: at most four bytes.
struct Made {
    bytes: [u8; 4],
    len: usize,
}

impl Made {
    fn byte(byte: u8) -> Self {
        Made {
            bytes: [byte, 0, 0, 0],
            len: 1,
        }
    }

    fn char(c: char) -> Self {
        let mut bytes = [0; 4];
        let len = c.encode_utf8(&mut bytes).len();
        Made { bytes, len }
    }

    fn nothing() -> Self {
        Made {
            bytes: [0; 4],
            len: 0,
        }
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Where the next escape may begin.
fn find(kind: Kind, source: &[u8], from: usize) -> Option<usize> {
    let rest = source.get(from..)?;
    let found = match kind {
        Kind::Backslash => memchr::memchr(b'\\', rest),
        Kind::Percent => memchr::memchr(b'%', rest),
        Kind::Form => memchr::memchr2(b'%', b'+', rest),
        Kind::Unfold => memchr::memchr2(b'\n', b'\r', rest),
    };
    found.map(|at| from + at)
}

/// The escape at the start of `text`: its length, and what it stands for. `None` when it is none, or
/// is cut.
fn undone(kind: Kind, text: &[u8]) -> Option<(usize, Made)> {
    match kind {
        Kind::Backslash => backslash(text),
        Kind::Form if text[0] == b'+' => Some((1, Made::byte(b' '))),
        Kind::Percent | Kind::Form => {
            let byte = u8::try_from(hex(text.get(1..3)?)?).ok()?;
            Some((3, Made::byte(byte)))
        }
        Kind::Unfold => {
            let is_blank = |byte: &u8| b" \t\r\n".contains(byte);
            let length = text.iter().take_while(|byte| is_blank(byte)).count();
            Some((length, Made::nothing()))
        }
    }
}

fn backslash(text: &[u8]) -> Option<(usize, Made)> {
    let byte = match *text.get(1)? {
        b'u' => return Some(unicode(text).unwrap_or((2, Made::byte(b'u')))),
        b'x' => {
            let code = text.get(2..4).and_then(hex);
            let Some(c) = code.and_then(char::from_u32) else {
                return Some((2, Made::byte(b'x')));
            };
            return Some((4, Made::char(c)));
        }
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'f' => 12,
        // A line that goes on in the next.
        b'\n' => return Some((2, Made::nothing())),
        b'\r' if text.get(2) == Some(&b'\n') => return Some((3, Made::nothing())),
        other => other,
    };
    Some((2, Made::byte(byte)))
}

/// `\uXXXX`, or two of them for one character.
fn unicode(text: &[u8]) -> Option<(usize, Made)> {
    let first = hex(text.get(2..6)?)?;
    if let Some(c) = char::from_u32(first) {
        return Some((6, Made::char(c)));
    }
    let second = text.get(6..12)?;
    let low = hex(second.strip_prefix(b"\\u")?)?;
    let both = [u16::try_from(first).ok()?, u16::try_from(low).ok()?];
    let c = char::decode_utf16(both).next()?.ok()?;
    Some((12, Made::char(c)))
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        Some(number << 4 | char::from(*digit).to_digit(16)?)
    })
}
