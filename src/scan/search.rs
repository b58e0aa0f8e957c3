//! One stream: it is read in pieces that overlap, and each is searched, as it is and with its escapes
//! undone.
//!
//! Promises: the pieces have one size, whatever the stream's is; what stands across the border of two
//! pieces is found once. The overlap is eight times the longest value and more: a value that was
//! written with more bytes than that, every letter escaped twice, is not promised across a border.

use super::needles::{Kind, Needle, Needles};
use super::report::Form;
use super::view::{self, View};
use super::{Progress, shape};
use std::collections::BTreeMap;
use std::io;
use zeroize::Zeroizing;

/// New bytes in each piece, where no value asks for more: what is read and searched stays in the processor's
/// cache.
const PIECE: usize = 128 * 1024;

/// The least overlap: more than the longest key that is known by its shape, and room around it.
const LEAST_OVERLAP: usize = 2 * shape::LONGEST;

/// How far an overlap may grow so that it does not begin within an escape.
const SLACK: usize = 4096;

/// What is searched.
pub(super) trait Source {
    /// Where the next run of bytes begins, from 0; `None` at the end. What lies between runs is empty.
    ///
    /// # Errors
    /// Those of the system.
    fn next_run(&mut self) -> io::Result<Option<u64>>;

    /// The next bytes of this run; 0 at its end.
    ///
    /// # Errors
    /// Those of the system.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Where bytes of this stream lie in the file; `None` when what stands there is found elsewhere.
    fn place(&self, start: u64, _end: u64) -> Option<u64> {
        Some(start)
    }

    /// Whether lines can be counted.
    fn has_lines(&self) -> bool {
        true
    }
}

/// One thing in one source: where first, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) offset: u64,
    pub(super) line: Option<u64>,
    pub(super) count: u64,
}

/// What a source holds.
#[derive(Debug, Default)]
pub(super) struct Hits {
    /// By value and form.
    pub(super) values: BTreeMap<(usize, Form), Hit>,
    /// By value and by how many bytes the mask shows.
    pub(super) masks: BTreeMap<(usize, usize), Hit>,
    /// By what they look like.
    pub(super) keys: BTreeMap<shape::Key, Hit>,
}

impl Hits {
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.masks.is_empty() && self.keys.is_empty()
    }
}

fn count<K: Ord>(hits: &mut BTreeMap<K, Hit>, key: K, hit: Hit) {
    hits.entry(key)
        .and_modify(|known| {
            known.count += 1;
            if hit.offset < known.offset {
                (known.offset, known.line) = (hit.offset, hit.line);
            }
        })
        .or_insert(hit);
}

/// The buffers of a scan, used for one source after another.
pub(super) struct Search<'n> {
    needles: &'n Needles,
    shapes: shape::Shapes,
    overlap: usize,
    buffer: Zeroizing<Vec<u8>>,
    views: Views,
    /// Where values stand in the piece, as they are.
    spans: Vec<(usize, usize)>,
}

struct Views {
    backslash: View,
    twice: View,
    percent: View,
    unfolded: View,
}

impl<'n> Search<'n> {
    /// For these values.
    pub(super) fn new(needles: &'n Needles, shapes: shape::Shapes) -> Self {
        Self::with_piece(needles, shapes, PIECE)
    }

    /// With so many new bytes in each piece, at the least.
    pub(super) fn with_piece(needles: &'n Needles, shapes: shape::Shapes, piece: usize) -> Self {
        let overlap = LEAST_OVERLAP.max(8 * needles.longest() + 256);
        let room = piece.max(overlap) + overlap + SLACK;
        let view = || View::with_room(room);
        Search {
            needles,
            shapes,
            overlap,
            buffer: Zeroizing::new(vec![0; room]),
            views: Views {
                backslash: view(),
                twice: view(),
                percent: view(),
                unfolded: view(),
            },
            spans: Vec::new(),
        }
    }

    /// Bytes that follow the first of something long enough to hold any value.
    pub(super) fn overlap(&self) -> usize {
        self.overlap
    }

    /// Searches a source to its end, and gives the number of its bytes, holes left out.
    ///
    /// # Errors
    /// Those of the source; what was found before stays in `hits`.
    pub(super) fn run(
        &mut self,
        source: &mut dyn Source,
        hits: &mut Hits,
        progress: &mut dyn Progress,
    ) -> io::Result<u64> {
        let mut bytes = 0;
        let mut at = 0;
        let mut lines = source.has_lines().then_some(1);
        while let Some(start) = source.next_run()? {
            if start != at {
                lines = None;
                progress.done(start.saturating_sub(at));
            }
            at = start;
            let mut kept = 0;
            loop {
                let new = fill(source, &mut self.buffer[kept..])?;
                let piece = Piece {
                    start: at - kept as u64,
                    kept,
                    len: kept + new,
                    lines,
                    last: kept + new < self.buffer.len(),
                };
                bytes += new as u64;
                at += new as u64;
                progress.done(new as u64);
                self.piece(&piece, source, hits);
                if piece.last {
                    lines = lines.filter(|_| !self.has_nul(0, piece.len));
                    lines = lines.map(|lines| lines + self.line_ends(0, piece.len));
                    break;
                }
                let from = self.cut(piece.len);
                lines = lines.filter(|_| !self.has_nul(0, from));
                lines = lines.map(|lines| lines + self.line_ends(0, from));
                self.buffer.copy_within(from..piece.len, 0);
                kept = piece.len - from;
            }
        }
        Ok(bytes)
    }

    /// Where the part begins that the next piece sees again: not behind a backslash.
    fn cut(&self, len: usize) -> usize {
        let mut from = len - self.overlap.min(len);
        let least = from.saturating_sub(SLACK - 1).max(1);
        while from > least && self.buffer[from - 1] == b'\\' {
            from -= 1;
        }
        from
    }

    fn has_nul(&self, from: usize, to: usize) -> bool {
        memchr::memchr(0, &self.buffer[from..to]).is_some()
    }

    fn line_ends(&self, from: usize, to: usize) -> u64 {
        memchr::memchr_iter(b'\n', &self.buffer[from..to]).count() as u64
    }

    fn piece(&mut self, piece: &Piece, source: &dyn Source, hits: &mut Hits) {
        let raw = &self.buffer[..piece.len];
        let needles = self.needles;
        let take = |start: usize, end: usize| piece.hit(raw, source, start, end);
        self.spans.clear();
        if !needles.is_empty() {
            let spans = &mut self.spans;
            needles.find(raw, &mut |needle, start, end| {
                if needle.kind == Kind::Plain {
                    spans.push((start, end));
                }
                if end > piece.kept {
                    put(hits, needle, Form::Plain, take(start, end));
                }
            });
            needles.find_masks(raw, &mut |needle, start, end| {
                if end > piece.kept {
                    put(hits, needle, Form::Plain, take(start, end));
                }
            });
            self.views
                .search(raw, needles, &mut |needle, form, start, end| {
                    if end > piece.kept {
                        put(hits, needle, form, take(start, end));
                    }
                });
        }
        let longest = needles.longest();
        self.spans.sort_unstable();
        let spans = &self.spans;
        self.shapes
            .find(raw, piece.kept == 0, piece.last, &mut |key, start, end| {
                // What runs to the end of a piece is judged in the next one.
                let is_new = piece.kept == 0 || end >= piece.kept;
                let near = spans.partition_point(|span| span.0 + longest <= start);
                let is_known = spans[near..]
                    .iter()
                    .take_while(|span| span.0 < end)
                    .any(|span| start < span.1);
                if is_new
                    && !is_known
                    && let Some(hit) = take(start, end)
                {
                    count(&mut hits.keys, key, hit);
                }
            });
    }
}

fn put(hits: &mut Hits, needle: &Needle, form: Form, hit: Option<Hit>) {
    let Some(hit) = hit else { return };
    match needle.kind {
        Kind::Mask(shown) => count(&mut hits.masks, (needle.value, shown), hit),
        Kind::Base64 if form != Form::Folded => {
            count(&mut hits.values, (needle.value, Form::Base64), hit);
        }
        Kind::Plain | Kind::Base64 => count(&mut hits.values, (needle.value, form), hit),
    }
}

/// A part of a source.
struct Piece {
    /// Where it begins in the source.
    start: u64,
    /// So many bytes were in the piece before.
    kept: usize,
    len: usize,
    /// The number of its first line, where lines can be counted.
    lines: Option<u64>,
    /// Whether nothing follows.
    last: bool,
}

impl Piece {
    fn hit(&self, raw: &[u8], source: &dyn Source, start: usize, end: usize) -> Option<Hit> {
        let offset = source.place(self.start + start as u64, self.start + end as u64)?;
        let before = &raw[..start];
        let lines = self.lines.filter(|_| memchr::memchr(0, before).is_none());
        Some(Hit {
            offset,
            line: lines.map(|line| line + memchr::memchr_iter(b'\n', before).count() as u64),
            count: 1,
        })
    }
}

type Found<'f> = dyn FnMut(&Needle, Form, usize, usize) + 'f;

impl Views {
    /// Finds what stands in `raw` only once its escapes are undone.
    fn search(&mut self, raw: &[u8], needles: &Needles, found: &mut Found<'_>) {
        let escaped = self.backslash.make(view::Kind::Backslash, raw);
        if escaped {
            let once = &self.backslash;
            changed(once, needles, &mut |needle, start, end| {
                found(needle, Form::JsonEscaped, start, end);
            });
            // An ellipsis can be escaped.
            needles.find_masks(once.bytes(), &mut |needle, start, end| {
                let (from, to) = once.source(start, end);
                if to - from != end - start {
                    found(needle, Form::JsonEscaped, from, to);
                }
            });
            if self.twice.make(view::Kind::Backslash, once.bytes()) {
                changed(&self.twice, needles, &mut |needle, start, end| {
                    let (start, end) = once.source(start, end);
                    found(needle, Form::JsonEscaped, start, end);
                });
            }
        }
        if self.percent.make(view::Kind::Percent, raw) {
            changed(&self.percent, needles, &mut |needle, start, end| {
                found(needle, Form::UrlEncoded, start, end);
            });
        }
        if needles.with_blanks() && self.percent.make(view::Kind::Form, raw) {
            let view = &self.percent;
            needles.find(view.bytes(), &mut |needle, start, end| {
                let is_plus = |at: usize| raw[view.source(at, at + 1).0] == b'+';
                let blanks = memchr::memchr_iter(b' ', &view.bytes()[start..end]);
                if blanks.into_iter().any(|at| is_plus(start + at)) {
                    let (start, end) = view.source(start, end);
                    found(needle, Form::UrlEncoded, start, end);
                }
            });
        }
        let under = if escaped { self.backslash.bytes() } else { raw };
        if self.unfolded.make(view::Kind::Unfold, under) {
            changed(&self.unfolded, needles, &mut |needle, start, end| {
                let (start, end) = if escaped {
                    self.backslash.source(start, end)
                } else {
                    (start, end)
                };
                found(needle, Form::Folded, start, end);
            });
        }
    }
}

/// What stands in a view and has an escape in it, by its place in the view's source.
fn changed(view: &View, needles: &Needles, found: &mut dyn FnMut(&Needle, usize, usize)) {
    needles.find(view.bytes(), &mut |needle, start, end| {
        let (from, to) = view.source(start, end);
        // Every escape is longer than what it stands for.
        if to - from != end - start {
            found(needle, from, to);
        }
    });
}

/// Reads until the buffer is full or the run ends.
fn fill(source: &mut dyn Source, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
