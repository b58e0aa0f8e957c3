//! What goes out of a file, and what may go with it. Knows no language, only lines.

use zeroize::Zeroizing;

/// Bytes that go, and what stands in their place: nothing, or a word that the grammar needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) put: &'static [u8],
}

impl Cut {
    pub(super) fn out(start: usize, end: usize) -> Self {
        Cut {
            start,
            end,
            put: b"",
        }
    }

    pub(super) fn replaced(start: usize, end: usize, put: &'static [u8]) -> Self {
        Cut { start, end, put }
    }
}

/// UTF-8's byte order mark, which stays where it is.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// What makes lines in a language.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// Whether CR and CR LF end a line too: in a shell, CR is a character of a word.
    pub(super) cr: bool,
    /// Whether a backslash joins the next line to its own, so that this one must stay, were it blank.
    pub(super) joined: bool,
}

impl Ends {
    fn at(self, byte: u8) -> bool {
        byte == b'\n' || byte == b'\r' && self.cr
    }
}

/// `bytes` without `cuts`, which do not overlap. A line of which only blanks would be left goes whole,
/// with its end.
pub(super) fn apply(bytes: &[u8], ends: Ends, mut cuts: Vec<Cut>) -> Zeroizing<Vec<u8>> {
    cuts.sort_by_key(|cut| cut.start);
    // No replacement is longer than what it replaces, so the buffer never grows.
    let mut rest = Zeroizing::new(Vec::with_capacity(bytes.len()));
    let mut at = 0;
    let mut next = 0;
    while let Some(first) = cuts.get(next) {
        let group = group(bytes, ends, &cuts[next..]);
        let last = &cuts[next + group - 1];
        let whole = whole_lines(bytes, ends, &cuts[next..next + group], at);
        match whole {
            Some((start, end)) => {
                rest.extend_from_slice(&bytes[at..start]);
                at = end;
            }
            None => {
                for cut in &cuts[next..next + group] {
                    rest.extend_from_slice(&bytes[at..cut.start.max(at)]);
                    rest.extend_from_slice(cut.put);
                    at = cut.end.max(at);
                }
            }
        }
        debug_assert!(first.start <= last.end);
        next += group;
    }
    rest.extend_from_slice(&bytes[at..]);
    rest
}

/// How many of the cuts, from the first on, will share one line.
fn group(bytes: &[u8], ends: Ends, cuts: &[Cut]) -> usize {
    let pairs = cuts.windows(2);
    let together = |pair: &&[Cut]| {
        !bytes[pair[0].end..pair[1].start]
            .iter()
            .any(|byte| ends.at(*byte))
    };
    1 + pairs.take_while(|pair| together(pair)).count()
}

/// The line or lines of these cuts with the end of the last, when nothing but blanks would be left.
fn whole_lines(bytes: &[u8], ends: Ends, cuts: &[Cut], from: usize) -> Option<(usize, usize)> {
    let (first, last) = (cuts.first()?, cuts.last()?);
    let mut start = first.start;
    while start > from && !ends.at(bytes[start - 1]) {
        start -= 1;
    }
    if start == 0 && bytes.starts_with(BOM) {
        start = BOM.len().min(first.start);
    }
    let mut end = last.end;
    while end < bytes.len() && !ends.at(bytes[end]) {
        end += 1;
    }
    let starts_line =
        start == 0 || ends.at(bytes[start - 1]) || start == BOM.len() && bytes.starts_with(BOM);
    let mut at = start;
    let mut blank = starts_line;
    for cut in cuts {
        blank &= cut.put.is_empty() && bytes[at..cut.start].iter().copied().all(is_blank);
        at = cut.end;
    }
    blank &= bytes[at..end].iter().copied().all(is_blank);
    if ends.cr && bytes[end..].starts_with(b"\r\n") {
        end += 2;
    } else if end < bytes.len() {
        end += 1;
    }
    let before = before_end(&bytes[..start]);
    blank &= !(ends.joined && start > 0 && before.ends_with(b"\\"));
    blank.then_some((start, end))
}

/// Without the end of the last line.
fn before_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    const LF: Ends = Ends {
        cr: false,
        joined: true,
    };
    const CR: Ends = Ends {
        cr: true,
        joined: false,
    };

    fn cut(text: &str, cuts: &[(usize, usize)]) -> String {
        let cuts = cuts.iter().map(|(start, end)| Cut::out(*start, *end));
        String::from_utf8(apply(text.as_bytes(), CR, cuts.collect()).to_vec()).unwrap()
    }

    #[test]
    fn a_line_goes_whole_only_when_blanks_are_left() {
        for (text, cuts, rest) in [
            ("a\nBB\nc\n", &[(2, 4)][..], "a\nc\n"),
            ("a\r\n  BB \r\nc", &[(5, 7)], "a\r\nc"),
            ("a\rBB\rc", &[(2, 4)], "a\rc"),
            ("a\nBB", &[(2, 4)], "a\n"),
            ("BB # why\n", &[(0, 3)], "# why\n"),
            ("B; C\n", &[(0, 3), (3, 4)], ""),
            ("B; C; d\n", &[(0, 3), (3, 6)], "d\n"),
            ("a\n\nB\n\nc\n", &[(3, 4)], "a\n\n\nc\n"),
            ("B\nC\n\nd\n", &[(0, 1), (2, 3)], "\nd\n"),
            ("\u{feff}BB\na\n", &[(3, 5)], "\u{feff}a\n"),
            ("\u{feff}BB", &[(3, 5)], "\u{feff}"),
            ("x B\nC y\n", &[(2, 3), (4, 5)], "x \n y\n"),
        ] {
            assert_eq!(cut(text, cuts), rest, "{text:?}");
        }
    }

    #[test]
    fn a_carriage_return_ends_a_line_only_where_it_does() {
        let cuts = || vec![Cut::out(4, 6)];
        assert_eq!(apply(b"A=1\r B\nC\n", LF, cuts()).as_slice(), b"A=1\r\nC\n");
        assert_eq!(apply(b"A=1\r B\nC\n", CR, cuts()).as_slice(), b"A=1\rC\n");
    }

    #[test]
    fn a_line_that_a_backslash_joined_stays() {
        let cuts = || vec![Cut::out(4, 7)];
        assert_eq!(
            apply(b"A \\\nB=1\nC\n", LF, cuts()).as_slice(),
            b"A \\\n\nC\n"
        );
        assert_eq!(
            apply(b"A \\\nB=1\nC\n", CR, cuts()).as_slice(),
            b"A \\\nC\n"
        );
    }

    #[test]
    fn a_replacement_keeps_its_line() {
        let cuts = vec![Cut::replaced(2, 5, b":")];
        assert_eq!(apply(b"a\nBBB\nc\n", LF, cuts).as_slice(), b"a\n:\nc\n");
    }
}
