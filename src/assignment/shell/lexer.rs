//! The words of a shell: quotes, escapes, expansions. Knows where a word ends, not what it means.

use super::super::{Lines, put};
use crate::error::{Error, Result};
use zeroize::Zeroizing;

/// How deep substitutions and expansions may lie in one another.
const MAX_DEPTH: usize = 64;

/// One word.
pub(super) struct Word {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Without quotes; without what an expansion would give.
    pub(super) text: Zeroizing<Vec<u8>>,
    /// Whether `text` is what every shell takes it for.
    pub(super) literal: bool,
    /// Whether it could be a pattern for file names, where those are looked for.
    pub(super) pattern: bool,
    pub(super) shape: Shape,
}

/// What a word is where assignments may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// None.
    Word,
    /// `NAME=…`
    Assignment,
    /// One that gives no plain value: `NAME=(…)`, `NAME+=…`, `NAME[…]=…`.
    Array,
}

/// A place in a file.
pub(super) struct Lexer<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) at: usize,
    depth: usize,
}

impl<'b> Lexer<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Lexer {
            bytes,
            at: 0,
            depth: 0,
        }
    }

    pub(super) fn here(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn starts_with(&self, text: &[u8]) -> bool {
        self.bytes[self.at..].starts_with(text)
    }

    /// An error about the line of this place; nothing of the line is repeated.
    pub(super) fn wrong(&self, place: usize, what: &str) -> Error {
        let line = Lines::new(self.bytes).of(place);
        Error::broken(format!("line {line} {what}"))
            .hint("mend that line, then look at it: sh -n FILE")
    }

    /// One level further in, for as long as `inner` runs.
    pub(super) fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == MAX_DEPTH {
            return Err(self.wrong(self.at, "has expansions too deep in one another"));
        }
        self.depth += 1;
        let outcome = inner(self);
        self.depth -= 1;
        outcome
    }

    /// Past blanks and lines that a backslash joins.
    pub(super) fn blanks(&mut self) {
        loop {
            match self.here() {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'\\') if self.starts_with(b"\\\n") => self.at += 2,
                _ => return,
            }
        }
    }

    /// Past a comment, up to the end of its line.
    pub(super) fn comment(&mut self) {
        let rest = &self.bytes[self.at..];
        let len = rest.iter().position(|byte| *byte == b'\n');
        self.at += len.unwrap_or(rest.len());
    }

    /// The word that begins here; it may be empty when an operator stands here.
    pub(super) fn word(&mut self) -> Result<Word> {
        let start = self.at;
        let sign = assignment_sign(&self.bytes[start..]).map(|len| start + len);
        let mut word = Word {
            start,
            end: start,
            text: Zeroizing::default(),
            literal: true,
            pattern: false,
            shape: match sign.map(|sign| &self.bytes[start..sign]) {
                None => Shape::Word,
                Some(name) if name.iter().copied().all(in_name) => Shape::Assignment,
                Some(_) => Shape::Array,
            },
        };
        let mut last = None;
        while let Some(byte) = self.here() {
            let at = self.at;
            let first_of_value = sign.is_some() && last == sign;
            match byte {
                b'(' if first_of_value => {
                    word.shape = Shape::Array;
                    word.literal = false;
                    self.balanced(true)?;
                }
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>' => break,
                b'\\' if self.starts_with(b"\\\n") => {
                    self.at += 2;
                    continue;
                }
                b'\\' => {
                    self.at += 1;
                    put(&mut word.text, &[self.here().unwrap_or(b'\\')]);
                    self.at = self.bytes.len().min(self.at + 1);
                }
                b'\'' => {
                    let end = self.single_quotes()?;
                    put(&mut word.text, &self.bytes[at + 1..end]);
                }
                b'"' => self.double_quotes(&mut word)?,
                b'$' => self.dollar(&mut word, false)?,
                b'`' => {
                    word.literal = false;
                    self.backticks()?;
                }
                _ => {
                    // A home folder, a program's path (zsh), several words. Quotes that held nothing
                    // do not count.
                    let before = word.text.last();
                    let expands = match byte {
                        b'~' => matches!(before, None | Some(b':' | b'=')),
                        b'=' => {
                            let empty =
                                sign.is_some_and(|sign| word.text.len() == sign - start + 1);
                            empty || before == Some(&b':')
                        }
                        b'{' => true,
                        _ => false,
                    };
                    word.literal &= !expands;
                    word.pattern |= matches!(byte, b'*' | b'?' | b'[');
                    put(&mut word.text, &[byte]);
                    self.at += 1;
                }
            }
            last = Some(at);
        }
        word.end = self.at;
        Ok(word)
    }

    /// Past `'…'`; gives where the second quote stands.
    fn single_quotes(&mut self) -> Result<usize> {
        let open = self.at;
        let inner = &self.bytes[open + 1..];
        let len = inner.iter().position(|byte| *byte == b'\'');
        let len = len.ok_or_else(|| self.wrong(open, "opens a quote that is never closed"))?;
        self.at = open + len + 2;
        Ok(open + 1 + len)
    }

    fn double_quotes(&mut self, word: &mut Word) -> Result<()> {
        let open = self.at;
        self.at += 1;
        loop {
            match self.here() {
                None => return Err(self.wrong(open, "opens a quote that is never closed")),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    let next = self.bytes.get(self.at + 1).copied();
                    match next {
                        Some(b'\n') => {}
                        Some(escaped @ (b'$' | b'`' | b'"' | b'\\')) => {
                            put(&mut word.text, &[escaped]);
                        }
                        Some(other) => put(&mut word.text, &[b'\\', other]),
                        None => return Err(self.wrong(open, "opens a quote that is never closed")),
                    }
                    self.at += 2;
                }
                Some(b'$') => self.dollar(word, true)?,
                Some(b'`') => {
                    word.literal = false;
                    self.backticks()?;
                }
                Some(byte) => {
                    put(&mut word.text, &[byte]);
                    self.at += 1;
                }
            }
        }
    }

    /// Past a `$` and what it expands.
    fn dollar(&mut self, word: &mut Word, quoted: bool) -> Result<()> {
        let start = self.at;
        self.at += 1;
        let expands = match self.here() {
            Some(b'(') if self.bytes.get(self.at + 1) == Some(&b'(') => {
                self.balanced(false)?;
                true
            }
            Some(b'(') => {
                self.at += 1;
                self.deeper(super::commands::substitution)?;
                true
            }
            Some(b'{') => {
                self.deeper(|inner| inner.braces(start, quoted))?;
                true
            }
            Some(b'\'') if !quoted => {
                self.ansi_quotes(start)?;
                true
            }
            // `$"…"`, and what bash and zsh have besides: `$[…]`, `$+name`, `$~name`.
            Some(b'"' | b'[' | b'+' | b'~' | b'^' | b'=') => !quoted || self.here() != Some(b'"'),
            Some(b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!' | b'_') => {
                self.at += 1;
                true
            }
            Some(byte) => byte.is_ascii_alphanumeric() || !byte.is_ascii(),
            None => false,
        };
        if expands {
            word.literal = false;
        } else {
            put(&mut word.text, b"$");
        }
        Ok(())
    }

    /// Past `${…}`, whose brace stands here.
    fn braces(&mut self, start: usize, quoted: bool) -> Result<()> {
        self.at += 1;
        let mut passed = nothing();
        loop {
            match self.here() {
                None => return Err(self.wrong(start, "opens a ${ that is never closed")),
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                // Inside double quotes a single quote is a character like others.
                Some(b'\'') if !quoted => {
                    self.single_quotes()?;
                }
                Some(b'"') => self.deeper(|inner| inner.double_quotes(&mut passed))?,
                Some(b'$') => self.deeper(|inner| inner.dollar(&mut passed, quoted))?,
                Some(b'`') => self.backticks()?,
                Some(b'\\') => self.at += 2.min(self.bytes.len() - self.at),
                Some(_) => self.at += 1,
            }
            passed.text.clear();
        }
    }

    /// Past round brackets whose first stands here, and what lies between: arithmetic, or an array, in
    /// which there may be comments.
    pub(super) fn balanced(&mut self, array: bool) -> Result<()> {
        let start = self.at;
        let mut passed = nothing();
        let mut depth = 0_usize;
        let mut fresh = false;
        loop {
            let fresh_before = std::mem::replace(&mut fresh, false);
            match self.here() {
                None => return Err(self.wrong(start, "opens a bracket that is never closed")),
                Some(b'(') => {
                    depth += 1;
                    self.at += 1;
                    fresh = array;
                }
                Some(b')') => {
                    depth -= 1;
                    self.at += 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                Some(b'\'') => {
                    self.single_quotes()?;
                }
                Some(b'"') => self.deeper(|inner| inner.double_quotes(&mut passed))?,
                Some(b'$') => self.deeper(|inner| inner.dollar(&mut passed, false))?,
                Some(b'`') => self.backticks()?,
                Some(b'\\') => self.at += 2.min(self.bytes.len() - self.at),
                Some(b'#') if fresh_before => self.comment(),
                Some(byte) => {
                    fresh = array && matches!(byte, b' ' | b'\t' | b'\n');
                    self.at += 1;
                }
            }
            passed.text.clear();
        }
    }

    /// Past `` `…` ``.
    fn backticks(&mut self) -> Result<()> {
        let open = self.at;
        self.at += 1;
        while let Some(byte) = self.here() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'`' {
                return Ok(());
            }
        }
        self.at = self.bytes.len();
        Err(self.wrong(open, "opens a ` that is never closed"))
    }

    /// Past `$'…'`, whose first quote stands here.
    fn ansi_quotes(&mut self, start: usize) -> Result<()> {
        self.at += 1;
        while let Some(byte) = self.here() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'\'' {
                return Ok(());
            }
        }
        self.at = self.bytes.len();
        Err(self.wrong(start, "opens a quote that is never closed"))
    }
}

/// A word that nobody will read.
fn nothing() -> Word {
    Word {
        start: 0,
        end: 0,
        text: Zeroizing::default(),
        literal: false,
        pattern: false,
        shape: Shape::Word,
    }
}

fn in_name(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

/// How many bytes before its `=`, when a word begins as an assignment.
fn assignment_sign(word: &[u8]) -> Option<usize> {
    let first = word.first()?;
    if *first != b'_' && !first.is_ascii_alphabetic() {
        return None;
    }
    let mut at = word.iter().take_while(|byte| in_name(**byte)).count();
    if word.get(at) == Some(&b'[') {
        let index = word[at..]
            .iter()
            .take_while(|byte| !b"]\n '\"$`\\".contains(byte));
        at += index.count();
        if word.get(at) != Some(&b']') {
            return None;
        }
        at += 1;
    }
    at += usize::from(word.get(at) == Some(&b'+'));
    (word.get(at) == Some(&b'=')).then_some(at)
}
