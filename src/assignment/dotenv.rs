//! `.env` as the npm package `dotenv` 17 reads it, which is what OpenClaw does.
//!
//! That package is one regular expression over the whole file:
//!
//! ```text
//! ^ \s* (export\s+)? ([\w.-]+) (\s*=\s*? | :\s+?)
//!   (\s*'(\\'|[^'])*' | \s*"(\\"|[^"])*" | \s*`(\\`|[^`])*` | [^#\r\n]+)? \s* (#.*)? $
//! ```
//!
//! and this file does by hand what a backtracking matcher does with it, in linear time. So it has the
//! same surprises: blanks may be newlines, `#` ends a value anywhere, a quote that leads to no end of
//! a line is no quote, and JavaScript's line separators end lines.

use super::cut::Cut;
use super::{Assignment, Lines, room};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

struct Found {
    /// From `export` or the name to the end of the value.
    span: (usize, usize),
    name: (usize, usize),
    value: (usize, usize),
}

pub(super) fn read(bytes: &[u8]) -> Vec<Assignment> {
    let mut lines = Lines::new(bytes);
    let found = scan(bytes);
    let assignment = |one: &Found| {
        // A name is ASCII.
        let name = String::from_utf8_lossy(&bytes[one.name.0..one.name.1]);
        let value = value(&bytes[one.value.0..one.value.1]);
        Assignment::new(&name, Some(value), lines.of(one.name.0))
    };
    found.iter().map(assignment).collect()
}

pub(super) fn cuts(bytes: &[u8], gone: &BTreeSet<usize>) -> Vec<Cut> {
    let chosen = |(index, _): &(usize, Found)| gone.contains(index);
    let found = scan(bytes).into_iter().enumerate().filter(chosen);
    found
        .map(|(_, one)| Cut::out(one.span.0, one.span.1))
        .collect()
}

/// Every match, but for the one name that a JavaScript object cannot take as a plain property.
fn scan(bytes: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(line) = line_start(bytes, at) {
        let word = blanks(bytes, line);
        match matched(bytes, word) {
            Some((one, end)) => {
                if &bytes[one.name.0..one.name.1] != b"__proto__" {
                    found.push(one);
                }
                at = end;
            }
            // Every start before this word leads to the same word.
            None => at = word + 1,
        }
    }
    found
}

/// The first place from `at` on where `^` holds, if any is left.
fn line_start(bytes: &[u8], at: usize) -> Option<usize> {
    let mut next = at;
    while next < bytes.len() {
        if next == 0 || ends_with_line_end(bytes, next) {
            return Some(next);
        }
        next += 1;
    }
    None
}

fn ends_with_line_end(bytes: &[u8], at: usize) -> bool {
    let before = &bytes[..at];
    matches!(before.last(), Some(b'\n' | b'\r'))
        || before.ends_with("\u{2028}".as_bytes())
        || before.ends_with("\u{2029}".as_bytes())
}

/// A match whose first word (`export` or the name) stands at `word`, and where it ends.
fn matched(bytes: &[u8], word: usize) -> Option<(Found, usize)> {
    let exported = bytes[word..].starts_with(b"export").then(|| {
        let name = blanks(bytes, word + 6);
        (name > word + 6)
            .then(|| assigned(bytes, word, name))
            .flatten()
    });
    exported.flatten().or_else(|| assigned(bytes, word, word))
}

fn assigned(bytes: &[u8], word: usize, name: usize) -> Option<(Found, usize)> {
    let in_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    let name_end = name + bytes[name..].iter().take_while(in_name).count();
    if name_end == name {
        return None;
    }
    let sign = blanks(bytes, name_end);
    let colon = bytes.get(name_end) == Some(&b':');
    let behind = if bytes.get(sign) == Some(&b'=') {
        sign + 1
    } else if colon {
        // One blank at least, and no more than one: CR LF is one.
        let crlf = bytes[name_end + 1..].starts_with(b"\r\n");
        let len = if crlf { 2 } else { blank(bytes, name_end + 1)? };
        name_end + 1 + len
    } else {
        return None;
    };
    let (value, end) = quoted(bytes, behind).unwrap_or_else(|| {
        let plain = |byte: &&u8| !matches!(byte, b'#' | b'\r' | b'\n');
        let value_end = behind + bytes[behind..].iter().take_while(plain).count();
        // Behind it stands `#`, the end of a line or of the file: this always matches.
        let end = tail(bytes, value_end).unwrap_or(value_end);
        ((behind, value_end), end)
    });
    // `name:` ends before the newline that it needs.
    let empty = colon && value.0 == value.1;
    let span_end = if empty { name_end + 1 } else { value.1 };
    let found = Found {
        span: (word, span_end),
        name: (name, name_end),
        value,
    };
    Some((found, end))
}

/// A value in quotes behind which nothing but a comment stands, and where the match ends.
fn quoted(bytes: &[u8], behind: usize) -> Option<((usize, usize), usize)> {
    let open = blanks(bytes, behind);
    let quote = *bytes.get(open).filter(|byte| b"'\"`".contains(byte))?;
    let mut escaped = Vec::new();
    let mut at = open + 1;
    while at < bytes.len() && bytes[at] != quote {
        if bytes[at] == b'\\' && bytes.get(at + 1) == Some(&quote) {
            escaped.push(at + 1);
            at += 1;
        }
        at += 1;
    }
    // The matcher takes `\'` for one character; when that leads nowhere it goes back, last first,
    // and takes the quote for the end.
    let first = (at < bytes.len()).then_some(at);
    let mut candidates = first.into_iter().chain(escaped.into_iter().rev());
    candidates.find_map(|close| tail(bytes, close + 1).map(|end| ((behind, close + 1), end)))
}

/// `\s* (#.*)? $` from `at` on: where it ends, if it matches.
fn tail(bytes: &[u8], at: usize) -> Option<usize> {
    let mut next = at;
    let mut last_end = None;
    while let Some(len) = blank(bytes, next) {
        if line_end(bytes, next) {
            last_end = Some(next);
        }
        next += len;
    }
    match bytes.get(next) {
        None => Some(next),
        Some(b'#') => {
            while next < bytes.len() && !line_end(bytes, next) {
                next += 1;
            }
            Some(next)
        }
        Some(_) => last_end,
    }
}

fn line_end(bytes: &[u8], at: usize) -> bool {
    let here = &bytes[at..];
    matches!(here.first(), Some(b'\n' | b'\r'))
        || here.starts_with("\u{2028}".as_bytes())
        || here.starts_with("\u{2029}".as_bytes())
}

/// Behind all blanks from `at` on.
fn blanks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(len) = blank(bytes, at) {
        at += len;
    }
    at
}

/// How long the blank at `at` is, if one stands there: JavaScript's `\s`.
fn blank(bytes: &[u8], at: usize) -> Option<usize> {
    let here = bytes.get(at..)?;
    match *here.first()? {
        b'\t'..=b'\r' | b' ' => Some(1),
        0xc2 if here.starts_with("\u{a0}".as_bytes()) => Some(2),
        0xe1..=0xef => {
            let text = std::str::from_utf8(here.get(..3)?).ok()?;
            let c = text.chars().next()?;
            is_blank(c).then_some(3)
        }
        _ => None,
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, '\t'..='\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}'
        | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}' | '\u{feff}')
}

/// What the package makes of what the expression caught.
fn value(raw: &[u8]) -> Zeroizing<String> {
    let text = decoded(raw);
    let text = text.trim_matches(is_blank);
    let double = text.starts_with('"');
    let mut bare = room(text.len());
    unquote(text, &mut bare);
    if !double {
        return bare;
    }
    let mut value = room(bare.len());
    let mut rest = bare.as_str();
    // First every `\n`, then every `\r` of the outcome; no `\n` can make a new `\r`.
    while let Some(at) = rest.find('\\') {
        value.push_str(&rest[..at]);
        let (c, len) = match rest.as_bytes().get(at + 1) {
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            _ => ('\\', 1),
        };
        value.push(c);
        rest = &rest[at + len..];
    }
    value.push_str(rest);
    value
}

/// The text with CR and CR LF as LF, and with U+FFFD for what is no UTF-8.
fn decoded(raw: &[u8]) -> Zeroizing<String> {
    let mut text = room(raw.len() * 3);
    for chunk in raw.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.find('\r') {
            text.push_str(&rest[..at]);
            text.push('\n');
            rest = &rest[at + 1..];
            rest = rest.strip_prefix('\n').unwrap_or(rest);
        }
        text.push_str(rest);
        if !chunk.invalid().is_empty() {
            text.push('\u{fffd}');
        }
    }
    text
}

/// `text.replace(/^(['"`])([\s\S]*)\1$/mg, '$2')`: a quote that begins a line, and the last of its kind
/// that ends one.
fn unquote(text: &str, out: &mut String) {
    let ends = |c: char| matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}');
    let quotes = ['\'', '"', '`'];
    // The last is the last wherever the search begins: looked for once, not once a line.
    let last = quotes.map(|quote| {
        let mut places = text.rmatch_indices(quote).map(|(at, _)| at);
        places.find(|at| text[at + 1..].is_empty() || text[at + 1..].starts_with(ends))
    });
    let mut at = 0;
    let mut starts_line = true;
    while let Some(first) = text[at..].chars().next() {
        let kind = quotes.iter().position(|quote| *quote == first);
        let close = kind.and_then(|kind| last[kind]).filter(|close| *close > at);
        if let Some(close) = close.filter(|_| starts_line) {
            out.push_str(&text[at + 1..close]);
            at = close + 1;
            starts_line = false;
            continue;
        }
        let rest = &text[at..];
        let line = rest.find(ends).map_or(rest.len(), |end| {
            end + rest[end..].chars().next().map_or(0, char::len_utf8)
        });
        out.push_str(&rest[..line]);
        at += line;
        starts_line = true;
    }
}
