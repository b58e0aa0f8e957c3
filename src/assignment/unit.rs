//! `Environment=` and `EnvironmentFile=` of systemd units and their drop-ins.
//!
//! Source: systemd.syntax(7), systemd.exec(5), systemd.unit(5) "Specifiers", and how systemd 252 reads
//! them. Lines are joined first (see [`lines`]), then a value is split into words, quotes and C escapes
//! taken away, then specifiers are replaced; a `%` that begins one makes a value unknown.

mod lines;
mod word;

use super::cut::Cut;
use super::environment_file::is_name;
use super::{Assignment, room};
use crate::error::Result;
use lines::Setting;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use word::Word;
use zeroize::Zeroizing;

/// A file that a unit takes variables from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentFile {
    /// As it is written: with specifiers (`%h`), with `*`.
    pub path: String,
    /// Whether the unit starts without it (`-` before the path).
    pub optional: bool,
    /// Where the setting begins, from 1.
    pub line: usize,
}

impl EnvironmentFile {
    /// The path for a unit of the user whose home this is; `None` when it is not absolute, is a
    /// pattern, or holds another specifier than `%h` and `%%`.
    pub fn below(&self, home: &Path) -> Option<PathBuf> {
        let mut path = String::new();
        let mut rest = self.path.as_str();
        while let Some(at) = rest.find('%') {
            path.push_str(&rest[..at]);
            match rest.as_bytes().get(at + 1)? {
                b'h' => path.push_str(home.to_str()?),
                b'%' => path.push('%'),
                _ => return None,
            }
            rest = &rest[at + 2..];
        }
        path.push_str(rest);
        let plain = path.starts_with('/') && !path.contains(['*', '?', '[']);
        plain.then(|| PathBuf::from(path))
    }
}

/// The files that a unit or drop-in takes variables from, in their order; those before an empty
/// `EnvironmentFile=` do not count.
///
/// # Errors
/// As [`super::read`].
pub fn environment_files(bytes: &[u8]) -> Result<Vec<EnvironmentFile>> {
    super::fits(bytes)?;
    let mut files = Vec::new();
    for setting in lines::settings(bytes, b"EnvironmentFile")? {
        // Lines are UTF-8: the reader has looked.
        let value = String::from_utf8_lossy(&setting.value);
        if value.is_empty() {
            files.clear();
            continue;
        }
        let path = value.strip_prefix('-');
        files.push(EnvironmentFile {
            path: path.unwrap_or(&value).to_owned(),
            optional: path.is_some(),
            line: setting.line,
        });
    }
    Ok(files)
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Assignment>> {
    let mut all: Vec<Assignment> = Vec::new();
    for line in parsed(bytes)? {
        if line.setting.value.is_empty() {
            for one in &mut all {
                one.reset = true;
            }
        }
        all.extend(line.words.into_iter().filter_map(|(_, found)| found));
    }
    Ok(all)
}

struct Line {
    setting: Setting,
    words: Vec<(Word, Option<Assignment>)>,
}

fn parsed(bytes: &[u8]) -> Result<Vec<Line>> {
    let mut parsed = Vec::new();
    let mut numbers = super::Lines::new(bytes);
    for setting in lines::settings(bytes, b"Environment")? {
        let words = word::words(&setting.value);
        let words = words.into_iter().map(|word| {
            let place = setting.places.get(word.span.0).copied().unwrap_or_default();
            let found = assignment(&word.text, numbers.of(place));
            (word, found)
        });
        let words = words.collect();
        parsed.push(Line { setting, words });
    }
    Ok(parsed)
}

/// A word as an assignment; `None` where systemd ignores it, or its name hangs on a specifier.
fn assignment(word: &[u8], line: usize) -> Option<Assignment> {
    let equals = word.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (&word[..equals], &word[equals + 1..]);
    let value = std::str::from_utf8(value).ok()?;
    let name = std::str::from_utf8(name).ok()?;
    is_name(name.as_bytes()).then(|| Assignment::new(name, resolved(value), line))
}

/// `%%` is a `%`, a `%` before anything but a letter or a digit is one too.
fn resolved(value: &str) -> Option<Zeroizing<String>> {
    let mut out = room(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..=at]);
        rest = &rest[at + 1..];
        match rest.as_bytes().first() {
            Some(b'%') => rest = &rest[1..],
            Some(byte) if byte.is_ascii_alphanumeric() => return None,
            _ => {}
        }
    }
    out.push_str(rest);
    Some(out)
}

pub(super) fn cuts(bytes: &[u8], gone: &BTreeSet<usize>) -> Result<Vec<Cut>> {
    let mut cuts = Vec::new();
    let mut index = 0;
    for line in parsed(bytes)? {
        let mut chosen = Vec::new();
        for (_, found) in &line.words {
            chosen.push(found.is_some() && gone.contains(&index));
            index += usize::from(found.is_some());
        }
        if chosen.contains(&true) {
            line.cut(bytes, &chosen, &mut cuts);
        }
    }
    Ok(cuts)
}

impl Line {
    /// Takes the chosen words out. What is left must not be an empty `Environment=`, which would take
    /// back everything before it, nor a backslash before a line that was another setting's.
    fn cut(&self, bytes: &[u8], chosen: &[bool], cuts: &mut Vec<Cut>) {
        let physical = &self.setting.physical;
        let spans: Vec<_> = self.words.iter().map(|(word, _)| self.span(word)).collect();
        let end_of_words = self.words.last().map_or(0, |(word, _)| word.span.1);
        let kept = if end_of_words < self.setting.value.len() {
            // What systemd cannot read stays, so the last line has something.
            self.setting.places.last().map(|place| place + 1)
        } else {
            (0..spans.len())
                .rfind(|at| !chosen[*at])
                .map(|at| spans[at].1)
        };
        let Some(kept) = kept else {
            cuts.extend(physical.iter().map(|line| Cut::out(line.start, line.end)));
            return;
        };
        for (number, line) in physical.iter().enumerate() {
            let first = spans.partition_point(|span| span.1 <= line.start);
            let behind = spans.partition_point(|span| span.0 < line.end);
            let all_gone = first < behind && chosen[first..behind].iter().all(|gone| *gone);
            if line.start >= kept || number > 0 && all_gone && line.continued {
                cuts.push(Cut::out(line.start, line.end));
                continue;
            }
            let next = physical.get(number + 1);
            let is_last = line.continued && next.is_none_or(|next| next.start >= kept);
            // The backslash stays where the setting still goes on.
            let limit = if is_last {
                kept
            } else {
                line.end - usize::from(line.continued)
            };
            for at in (first..behind).filter(|at| chosen[*at]) {
                let start = spans[at].0.max(line.start);
                let end = spans[at].1.min(limit);
                let blanks = |from: usize| bytes[from..limit].iter().take_while(|b| blank(**b));
                if start < end {
                    cuts.push(Cut::out(start, end + blanks(end).count()));
                }
            }
            if is_last {
                cuts.push(Cut::out(kept, line.end));
            }
        }
    }

    /// Where a word stands in the file.
    fn span(&self, word: &Word) -> (usize, usize) {
        let places = &self.setting.places;
        let start = places.get(word.span.0).copied().unwrap_or_default();
        let end = word.span.1.checked_sub(1).and_then(|at| places.get(at));
        (start, end.map_or(start, |place| place + 1))
    }
}

/// What may stand between two words of one line.
fn blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}
