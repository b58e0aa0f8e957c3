//! The values that are looked for, in each form in which a text can hold them as it is. Escapes that
//! can be written in many ways are undone in the text instead: see [`super::view`].
//!
//! Promise: the values lie in one block that never grows and is wiped when dropped.

use super::index::{DOTS, Entry, Index, WINDOW};
use crate::error::{Error, Result};
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

/// The least length of a value that is searched for, in bytes: a shorter one stands by chance in many
/// places.
pub const MIN_VALUE: usize = WINDOW;

/// So many bytes of the start, what is between, so many of the end.
type Mask = (usize, &'static str, usize);

/// How OpenClaw 2026.2.26 to 2026.9.6 masks.
const MASKS: [Mask; 8] = {
    let [dots, ellipsis, stars] = DOTS;
    [
        (8, dots, 8),
        (8, ellipsis, 8),
        (6, dots, 4),
        (6, ellipsis, 4),
        (8, ellipsis, 4),
        (12, ellipsis, 4),
        (4, ellipsis, 4),
        (8, stars, 5),
    ]
};

/// What a needle is of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// All of it.
    Plain,
    /// What of its base64 no neighbouring byte has a bit in.
    Base64,
    /// A mask that shows so many bytes.
    Mask(usize),
}

/// One text to look for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needle {
    start: usize,
    len: usize,
    /// Whose form it is.
    pub(super) value: usize,
    /// What it is.
    pub(super) kind: Kind,
    /// For a mask, where its dots begin and end.
    dots: Option<(usize, usize)>,
}

/// The values to look for.
pub struct Needles {
    text: Zeroizing<Vec<u8>>,
    forms: Vec<Needle>,
    /// The names of each value, and its length.
    values: Vec<(Vec<String>, usize)>,
    too_short: Vec<String>,
    index: Index,
    longest: usize,
    with_blanks: bool,
}

impl Needles {
    /// Of values by the names that they are stored under. One value under two names is looked for once.
    ///
    /// # Errors
    /// `Failed` when the system has no random bytes, or all values together are beyond 2 GiB.
    pub fn new(values: impl IntoIterator<Item = (String, Secret)>) -> Result<Self> {
        Self::made(values, &MASKS)
    }

    /// The same without masks of them: for those who only ask whether a value is there.
    ///
    /// # Errors
    /// As [`Needles::new`].
    pub fn unmasked(values: impl IntoIterator<Item = (String, Secret)>) -> Result<Self> {
        Self::made(values, &[])
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "door: the values that a scan looks for"
    )]
    fn made(
        values: impl IntoIterator<Item = (String, Secret)>,
        masks: &'static [Mask],
    ) -> Result<Self> {
        let mut all: Vec<(String, Secret)> = values.into_iter().collect();
        // Boxes are moved here, not what is in them.
        all.sort_unstable_by(|(_, a), (_, b)| a.expose_secret().cmp(b.expose_secret()));
        let bytes = |secret: &Secret| secret.expose_secret().trim().len();
        let room: usize = all.iter().map(|(_, secret)| room_for(bytes(secret))).sum();
        if u32::try_from(room).is_err() {
            return Err(Error::failed("there are too many values to look for"));
        }
        let mut made = Making {
            made: Made {
                text: Zeroizing::new(Vec::with_capacity(room)),
                needles: Vec::new(),
            },
            masks,
            plain: Zeroizing::new(Vec::new()),
            standard: Zeroizing::new(Vec::new()),
            url: Zeroizing::new(Vec::new()),
        };
        let mut known: Vec<(Vec<String>, usize)> = Vec::new();
        let mut too_short = Vec::new();
        let mut last: Option<&str> = None;
        let mut with_blanks = false;
        let mut longest = 0;
        for (name, secret) in &all {
            let value = secret.expose_secret().trim();
            if value.len() < MIN_VALUE {
                too_short.push(name.clone());
                continue;
            }
            if let (true, Some((names, _))) = (last == Some(value), known.last_mut()) {
                names.push(name.clone());
                continue;
            }
            last = Some(value);
            with_blanks |= value.contains(' ');
            longest = longest.max(value.len());
            made.forms(known.len(), value);
            known.push((vec![name.clone()], value.len()));
        }
        for (names, _) in &mut known {
            names.sort();
        }
        too_short.sort();
        let Made { text, needles } = made.made;
        let entries = needles.iter().map(|needle| Entry {
            bytes: text_of(&text, needle),
            dots: needle.dots,
        });
        let index = Index::new(entries)?;
        Ok(Needles {
            index,
            text,
            forms: needles,
            values: known,
            too_short,
            longest,
            with_blanks,
        })
    }

    /// How many different values are looked for.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The names of the values that are too short to be looked for, sorted.
    pub fn too_short(&self) -> &[String] {
        &self.too_short
    }

    /// The names of a value.
    pub(super) fn names(&self, value: usize) -> &[String] {
        &self.values[value].0
    }

    /// The length of a value in bytes.
    pub(super) fn length(&self, value: usize) -> usize {
        self.values[value].1
    }

    /// The length of the longest value in bytes.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Whether a value has a blank, which a form encodes as `+`.
    pub(super) fn with_blanks(&self) -> bool {
        self.with_blanks
    }

    /// Calls `found` with every needle that stands in `text` and is no mask, and where it begins and ends.
    pub(super) fn find(&self, text: &[u8], found: &mut dyn FnMut(&Needle, usize, usize)) {
        self.index.candidates(text, &mut |number, start| {
            self.compare(text, number, start, found);
        });
    }

    /// The same for masks.
    pub(super) fn find_masks(&self, text: &[u8], found: &mut dyn FnMut(&Needle, usize, usize)) {
        self.index.masks(text, &mut |number, start| {
            self.compare(text, number, start, found);
        });
    }

    fn compare(
        &self,
        text: &[u8],
        number: u32,
        start: usize,
        found: &mut dyn FnMut(&Needle, usize, usize),
    ) {
        let needle = &self.forms[number as usize];
        let end = start + needle.len;
        if text.get(start..end) == Some(text_of(&self.text, needle)) {
            found(needle, start, end);
        }
    }
}

fn text_of<'t>(text: &'t [u8], needle: &Needle) -> &'t [u8] {
    &text[needle.start..needle.start + needle.len]
}

/// The most that all forms of a value of `len` bytes take.
fn room_for(len: usize) -> usize {
    let base64 = 6 * (len + 2).div_ceil(3) * 4;
    // A line end can become two bytes.
    len + 2 * len + base64 + MASKS.len() * 32
}

/// So many bytes of a buffer, which are those of a former value or zero. One that has to grow is wiped.
fn room(buffer: &mut Zeroizing<Vec<u8>>, len: usize) -> &mut [u8] {
    if buffer.len() < len {
        *buffer = Zeroizing::new(vec![0; len]);
    }
    &mut buffer[..len]
}

/// What was made by now.
struct Made {
    text: Zeroizing<Vec<u8>>,
    needles: Vec<Needle>,
}

struct Making {
    made: Made,
    masks: &'static [Mask],
    /// Used again for each value.
    plain: Zeroizing<Vec<u8>>,
    standard: Zeroizing<Vec<u8>>,
    url: Zeroizing<Vec<u8>>,
}

impl Making {
    fn forms(&mut self, value: usize, text: &str) {
        self.made.add(value, Kind::Plain, &[text.as_bytes()]);
        if text.contains('\n') {
            // As a file with the other kind of line ends has it.
            let unix = Zeroizing::new(text.replace("\r\n", "\n"));
            let other = if unix.len() == text.len() {
                Zeroizing::new(text.replace('\n', "\r\n"))
            } else {
                unix
            };
            self.made.add(value, Kind::Plain, &[other.as_bytes()]);
        }
        for before in 0..3 {
            self.base64(value, text.as_bytes(), before);
        }
        if !text.is_ascii() {
            return;
        }
        for &(head, dots, tail) in self.masks {
            if text.len() > head + tail {
                let (head, tail) = (&text[..head], &text[text.len() - tail..]);
                let kind = Kind::Mask(head.len() + tail.len());
                let parts = [head.as_bytes(), dots.as_bytes(), tail.as_bytes()];
                self.made.add(value, kind, &parts);
                if let Some(mask) = self.made.needles.last_mut() {
                    mask.dots = Some((head.len(), head.len() + dots.len()));
                }
            }
        }
    }

    /// With `before` bytes of something else in front.
    fn base64(&mut self, value: usize, bytes: &[u8], before: usize) {
        let plain = room(&mut self.plain, before + bytes.len());
        plain[before..].copy_from_slice(bytes);
        // Only the letters that no neighbouring byte has a bit in.
        let range = (before * 8).div_ceil(6)..plain.len() * 8 / 6;
        let letters = plain.len().div_ceil(3) * 4;
        let standard = room(&mut self.standard, letters);
        let url = room(&mut self.url, letters);
        let wrote = STANDARD
            .encode_slice(&*plain, standard)
            .and(URL_SAFE.encode_slice(&*plain, url));
        // The room is what base64 takes.
        debug_assert!(wrote.is_ok());
        let is_one = standard[range.clone()] == url[range.clone()];
        self.made
            .add(value, Kind::Base64, &[&standard[range.clone()]]);
        if !is_one {
            self.made.add(value, Kind::Base64, &[&url[range]]);
        }
    }
}

impl Made {
    fn add(&mut self, value: usize, kind: Kind, parts: &[&[u8]]) {
        let start = self.text.len();
        for part in parts {
            debug_assert!(self.text.len() + part.len() <= self.text.capacity());
            self.text.extend_from_slice(part);
        }
        self.needles.push(Needle {
            start,
            len: self.text.len() - start,
            value,
            kind,
            dots: None,
        });
    }
}
