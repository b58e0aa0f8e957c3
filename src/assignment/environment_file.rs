//! Environment files of systemd: `EnvironmentFile=` of a unit, and `environment.d`.
//!
//! Source: systemd.exec(5), environment.d(5), and how systemd 252 reads them: one automaton for both,
//! after which environment.d replaces `$NAME` and `${NAME}`. One thing is read as newer versions (254)
//! do: a backslash at the end of a comment does not make the next line a comment. So what an older
//! one passes over is found too.

use super::cut::Cut;
use super::{Assignment, Lines, room};
use crate::error::{Error, Result};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// One `name = value`, as the automaton delimits it.
struct Found {
    /// From the name to the end of the value, the blanks behind it too.
    span: (usize, usize),
    /// Without the blanks behind it.
    name: (usize, usize),
    value: Zeroizing<Vec<u8>>,
    /// Whether there was nothing at all, not even blanks that were dropped.
    nothing: bool,
}

/// `expands`: whether it is environment.d, where a `$` in a value may stand for a variable.
pub(super) fn read(bytes: &[u8], expands: bool) -> Result<Vec<Assignment>> {
    let mut lines = Lines::new(bytes);
    let mut all = Vec::new();
    for one in listed(bytes, expands)? {
        let name = String::from_utf8_lossy(&bytes[one.name.0..one.name.1]);
        // Both are UTF-8: `listed` has looked.
        let value = room(one.value.len());
        let value = one.value.utf8_chunks().fold(value, |mut value, chunk| {
            value.push_str(chunk.valid());
            value
        });
        let value = if expands {
            expanded(&value)
        } else {
            Some(value)
        };
        all.push(Assignment::new(&name, value, lines.of(one.name.0)));
    }
    Ok(all)
}

pub(super) fn cuts(bytes: &[u8], expands: bool, gone: &BTreeSet<usize>) -> Result<Vec<Cut>> {
    let chosen = |(index, _): &(usize, Found)| gone.contains(index);
    let found = listed(bytes, expands)?;
    Ok(found
        .into_iter()
        .enumerate()
        .filter(chosen)
        .map(|(_, one)| Cut::out(one.span.0, one.span.1))
        .collect())
}

/// What systemd keeps of what the automaton finds.
fn listed(bytes: &[u8], expands: bool) -> Result<Vec<Found>> {
    let mut lines = Lines::new(bytes);
    let mut kept = Vec::new();
    for one in scan(bytes)? {
        let name = &bytes[one.name.0..one.name.1];
        let line = lines.of(one.name.0);
        // environment.d looks at the name first, and wants a value.
        if expands && (one.nothing || !is_name(name)) {
            continue;
        }
        if std::str::from_utf8(name).is_err() || std::str::from_utf8(&one.value).is_err() {
            return Err(Error::broken(format!(
                "line {line} is not UTF-8 text, so systemd does not take the file"
            )));
        }
        if is_name(name) {
            kept.push(one);
        }
    }
    Ok(kept)
}

/// Whether a variable can have this name: systemd ignores the others.
pub(super) fn is_name(name: &[u8]) -> bool {
    name.first()
        .is_some_and(|first| *first == b'_' || first.is_ascii_alphabetic())
        && name
            .iter()
            .all(|byte| *byte == b'_' || byte.is_ascii_alphanumeric())
}

/// A value of environment.d: `$$` is a `$`, a `$` before anything that is no variable too.
fn expanded(value: &str) -> Option<Zeroizing<String>> {
    let mut out = room(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..=at]);
        rest = &rest[at + 1..];
        match rest.as_bytes().first() {
            Some(b'$') => rest = &rest[1..],
            Some(b'{' | b'_') => return None,
            Some(byte) if byte.is_ascii_alphanumeric() => return None,
            _ => {}
        }
    }
    out.push_str(rest);
    Some(out)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    Name,
    BeforeValue,
    Value,
    Escaped,
    Single,
    Double,
    DoubleEscaped,
    Comment,
}

fn scan(bytes: &[u8]) -> Result<Vec<Found>> {
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        let line = Lines::new(bytes).of(at);
        return Err(Error::broken(format!(
            "line {line} has a NUL byte in it, so systemd does not take the file"
        )));
    }
    let mut scan = Scan {
        found: Vec::new(),
        name: (0, 0),
        // No value is longer than the file, so it never grows.
        value: Zeroizing::new(Vec::with_capacity(bytes.len())),
        blank_from: None,
    };
    let mut state = State::Before;
    for (at, byte) in bytes.iter().copied().enumerate() {
        state = scan.step(state, at, byte);
    }
    if !matches!(state, State::Before | State::Name | State::Comment) {
        scan.finish(state, bytes.len());
    }
    Ok(scan.found)
}

struct Scan {
    found: Vec<Found>,
    name: (usize, usize),
    value: Zeroizing<Vec<u8>>,
    /// How long the value was when the blanks at its end began.
    blank_from: Option<usize>,
}

impl Scan {
    fn step(&mut self, state: State, at: usize, byte: u8) -> State {
        use State as S;
        let newline = matches!(byte, b'\n' | b'\r');
        let blank = newline || matches!(byte, b' ' | b'\t');
        match state {
            S::Before if blank => S::Before,
            S::Before if matches!(byte, b'#' | b';') => S::Comment,
            S::Before => {
                self.name = (at, at);
                self.named(at, byte)
            }
            S::Name | S::Comment if newline => S::Before,
            S::Name => self.named(at, byte),
            S::BeforeValue | S::Value if newline => {
                self.finish(state, at);
                S::Before
            }
            S::BeforeValue => match byte {
                b'\'' => S::Single,
                b'"' => S::Double,
                b'\\' => S::Escaped,
                _ if blank => S::BeforeValue,
                _ => self.push(&[byte], S::Value),
            },
            S::Value if byte == b'\\' => {
                self.blank_from = None;
                S::Escaped
            }
            S::Value => {
                if !blank {
                    self.blank_from = None;
                } else if self.blank_from.is_none() {
                    self.blank_from = Some(self.value.len());
                }
                self.push(&[byte], S::Value)
            }
            S::Escaped if newline => S::Value,
            S::Escaped => self.push(&[byte], S::Value),
            S::Single if byte == b'\'' => S::BeforeValue,
            S::Single => self.push(&[byte], S::Single),
            S::Double => match byte {
                b'"' => S::BeforeValue,
                b'\\' => S::DoubleEscaped,
                _ => self.push(&[byte], S::Double),
            },
            S::DoubleEscaped => match byte {
                b'"' | b'\\' | b'`' | b'$' => self.push(&[byte], S::Double),
                b'\n' => S::Double,
                _ => self.push(&[b'\\', byte], S::Double),
            },
            S::Comment => S::Comment,
        }
    }

    fn named(&mut self, at: usize, byte: u8) -> State {
        match byte {
            // The first character of a name may be anything, `=` too.
            b'=' if at > self.name.0 => {
                self.blank_from = None;
                State::BeforeValue
            }
            b' ' | b'\t' => State::Name,
            _ => {
                self.name.1 = at + 1;
                State::Name
            }
        }
    }

    fn push(&mut self, bytes: &[u8], state: State) -> State {
        self.value.extend_from_slice(bytes);
        state
    }

    /// The value ends before `at`.
    fn finish(&mut self, state: State, at: usize) {
        let nothing = self.value.is_empty();
        let trimmed = self.blank_from.filter(|_| state == State::Value);
        let len = trimmed.unwrap_or(self.value.len());
        self.found.push(Found {
            span: (self.name.0, at),
            name: self.name,
            value: Zeroizing::new(self.value[..len].to_vec()),
            nothing,
        });
        self.value.clear();
    }
}
