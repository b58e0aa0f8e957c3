//! The simple commands of a shell file, and what stands around each. Knows which words are reserved,
//! where a list may be empty and where it must not, and passes over here-documents.

use super::lexer::{Lexer, Word};
use super::{Named, understood};
use crate::error::Result;

/// One simple command that gives names values.
pub(super) struct Command {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Behind the `;` that ends it and the blanks after that; `end` where there is no `;`.
    pub(super) end_of_separator: usize,
    /// `export`, with its options.
    pub(super) keyword: Option<(usize, usize)>,
    pub(super) operands: Vec<Operand>,
    /// Whether it has redirections, which work without a command too.
    pub(super) redirected: bool,
    /// Whether nothing is needed in its place: it is not in a branch, a loop, a function, nor one
    /// side of `&&`.
    pub(super) removable: bool,
}

/// One word of a command.
pub(super) struct Operand {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where what stands before it in the command ends.
    pub(super) before: usize,
    /// Where what stands behind it in the command begins.
    pub(super) behind: usize,
    pub(super) named: Option<Named>,
}

/// Every command of the file that makes assignments which last, in its order.
pub(super) fn commands(bytes: &[u8]) -> Result<Vec<Command>> {
    let mut lexer = Lexer::new(bytes);
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(lexer.wrong(at, "has a NUL byte in it"));
    }
    let mut reader = Reader::new(&mut lexer, false);
    reader.list()?;
    let lost = reader.lost;
    let mut found = reader.found;
    for command in &mut found {
        // Where branches do not fit together, a command may stand in one that was not seen.
        command.removable &= !lost;
    }
    Ok(found)
}

/// Past `$(…)` or `<(…)`, whose first bracket was passed. What is assigned in there is lost with it.
pub(super) fn substitution(lexer: &mut Lexer<'_>) -> Result<()> {
    let start = lexer.at;
    let mut reader = Reader::new(lexer, true);
    if reader.list()? {
        return Ok(());
    }
    Err(lexer.wrong(
        start.saturating_sub(1),
        "opens a bracket that is never closed",
    ))
}

/// What must be closed again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    If,
    Loop,
    Brace,
    Bracket,
    /// `pattern`: whether a pattern comes next.
    Case {
        pattern: bool,
    },
}

/// A document that begins behind the next newline.
struct Document {
    end: Vec<u8>,
    strips_tabs: bool,
}

struct Reader<'l, 'b> {
    lexer: &'l mut Lexer<'b>,
    substitution: bool,
    open: Vec<Open>,
    documents: Vec<Document>,
    found: Vec<Command>,
    lost: bool,
    now: Now,
}

/// The command that is being read.
#[derive(Default)]
struct Now {
    words: Vec<Word>,
    /// Every word and redirection, in their order.
    pieces: Vec<(usize, usize)>,
    redirected: bool,
    /// It stands behind `&&`, `||`, `|`, `!`: something must.
    needed: bool,
    /// Its words are no command: of `for`, `case`, or behind `fi`.
    no_command: bool,
}

impl<'l, 'b> Reader<'l, 'b> {
    fn new(lexer: &'l mut Lexer<'b>, substitution: bool) -> Self {
        Reader {
            lexer,
            substitution,
            open: Vec::new(),
            documents: Vec::new(),
            found: Vec::new(),
            lost: false,
            now: Now::default(),
        }
    }

    /// Reads to the end of the file, or to the bracket that ends the substitution; says whether it was
    /// that bracket.
    fn list(&mut self) -> Result<bool> {
        loop {
            self.lexer.blanks();
            let at = self.lexer.at;
            let Some(byte) = self.lexer.here() else {
                self.finish(at, false);
                return Ok(false);
            };
            if let Some(Open::Case { pattern: true }) = self.open.last() {
                self.pattern(byte)?;
                continue;
            }
            match byte {
                b'\n' => {
                    self.finish(at, false);
                    self.lexer.at += 1;
                    self.documents();
                }
                b'#' => self.lexer.comment(),
                b';' => self.semicolon(at),
                b'&' if self.lexer.starts_with(b"&>") => self.redirection(at)?,
                b'&' | b'|' => {
                    let two = matches!(self.lexer.bytes.get(at + 1), Some(b'&' | b'|'));
                    self.finish(at, two || byte == b'|');
                    self.now.needed = two || byte == b'|';
                    self.lexer.at += 1 + usize::from(two);
                }
                b'(' => self.bracket()?,
                b')' => {
                    self.finish(at, true);
                    self.lexer.at += 1;
                    if self.substitution && self.open.is_empty() {
                        return Ok(true);
                    }
                    self.close(|open| open == Open::Bracket);
                }
                b'<' | b'>' => self.redirection(at)?,
                _ => self.word()?,
            }
        }
    }

    fn semicolon(&mut self, at: usize) {
        let rest = &self.lexer.bytes[at..];
        let of_case = [&b";;&"[..], b";;", b";&"];
        if let Some(sign) = of_case.iter().find(|sign| rest.starts_with(sign)) {
            self.finish(at, true);
            self.lexer.at += sign.len();
            match self.open.last_mut() {
                Some(Open::Case { pattern }) => *pattern = true,
                _ => self.lost = true,
            }
            return;
        }
        self.finish(at, false);
        self.lexer.at += 1;
    }

    /// `(` where a command may begin, behind a name (a function), or in what only zsh knows.
    fn bracket(&mut self) -> Result<()> {
        let at = self.lexer.at;
        if self.now.pieces.is_empty() && self.lexer.starts_with(b"((") {
            self.lexer.balanced(false)?;
            self.now.pieces.push((at, self.lexer.at));
            self.now.no_command = true;
            return Ok(());
        }
        self.lexer.at += 1;
        let inside = self.lexer.at;
        self.lexer.blanks();
        if self.lexer.here() == Some(b')') {
            // `name ( )`: its body comes next.
            self.lexer.at += 1;
            self.now = Now {
                needed: true,
                ..Now::default()
            };
            return Ok(());
        }
        self.lexer.at = inside;
        self.now = Now::default();
        self.open.push(Open::Bracket);
        Ok(())
    }

    /// What stands in `case` before the bracket of a branch.
    fn pattern(&mut self, byte: u8) -> Result<()> {
        match byte {
            b'\n' => {
                self.lexer.at += 1;
                self.documents();
                return Ok(());
            }
            b'#' => {
                self.lexer.comment();
                return Ok(());
            }
            b'(' => self.lexer.at += 1,
            _ => {}
        }
        let mut depth = 0_usize;
        loop {
            self.lexer.blanks();
            let at = self.lexer.at;
            match self.lexer.here() {
                None => return Ok(()),
                Some(b')') if depth == 0 => break,
                Some(b')') => {
                    depth -= 1;
                    self.lexer.at += 1;
                }
                Some(b'(') => {
                    depth += 1;
                    self.lexer.at += 1;
                }
                Some(b'|' | b'<' | b'>' | b'&') => self.lexer.at += 1,
                Some(b'\n' | b';') => {
                    // No pattern goes over a line.
                    self.lost = true;
                    break;
                }
                Some(_) => {
                    let word = self.lexer.word()?;
                    if depth == 0 && &self.lexer.bytes[word.start..word.end] == b"esac" {
                        self.close(|open| matches!(open, Open::Case { .. }));
                        self.closed((word.start, word.end));
                        return Ok(());
                    }
                }
            }
            debug_assert!(self.lexer.at > at || self.lexer.here().is_none());
        }
        self.lexer.at += 1;
        if let Some(Open::Case { pattern }) = self.open.last_mut() {
            *pattern = false;
        }
        Ok(())
    }

    fn word(&mut self) -> Result<()> {
        let word = self.lexer.word()?;
        let raw = &self.lexer.bytes[word.start..word.end];
        let adjacent = matches!(self.lexer.here(), Some(b'<' | b'>'));
        if adjacent && !raw.is_empty() && raw.iter().all(u8::is_ascii_digit) {
            return self.redirection(word.start);
        }
        if self.now.pieces.is_empty() && self.reserved(raw, &word)? {
            return Ok(());
        }
        self.now.pieces.push((word.start, word.end));
        self.now.words.push(word);
        Ok(())
    }

    /// Whether the word is one of the grammar where a command begins, and what follows from it.
    fn reserved(&mut self, raw: &[u8], word: &Word) -> Result<bool> {
        let place = (word.start, word.end);
        match raw {
            b"if" => self.open.push(Open::If),
            b"while" | b"until" => self.open.push(Open::Loop),
            b"then" | b"else" | b"elif" | b"do" => {}
            b"{" => self.open.push(Open::Brace),
            b"!" | b"time" | b"coproc" => self.now.needed = true,
            b"fi" => self.close_with(place, |open| open == Open::If),
            b"done" => self.close_with(place, |open| open == Open::Loop),
            b"}" => self.close_with(place, |open| open == Open::Brace),
            b"esac" => self.close_with(place, |open| matches!(open, Open::Case { .. })),
            b"for" | b"select" => {
                self.open.push(Open::Loop);
                self.closed(place);
                self.lexer.blanks();
                if self.lexer.starts_with(b"((") {
                    self.lexer.balanced(false)?;
                }
            }
            b"case" => self.case()?,
            b"function" => {
                self.lexer.blanks();
                self.lexer.word()?;
                self.now.needed = true;
            }
            b"[[" => self.condition(place)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// `case word in`.
    fn case(&mut self) -> Result<()> {
        self.open.push(Open::Case { pattern: true });
        self.lexer.blanks();
        self.lexer.word()?;
        loop {
            self.lexer.blanks();
            match self.lexer.here() {
                Some(b'\n') => self.lexer.at += 1,
                Some(b'#') => self.lexer.comment(),
                _ => break,
            }
        }
        let word = self.lexer.word()?;
        if &self.lexer.bytes[word.start..word.end] != b"in" {
            self.open.pop();
            self.lost = true;
            self.closed((word.start, word.end));
        }
        Ok(())
    }

    /// `[[ … ]]`, in which `<`, `&&` and brackets are no operators of the shell.
    fn condition(&mut self, place: (usize, usize)) -> Result<()> {
        loop {
            self.lexer.blanks();
            match self.lexer.here() {
                None => return Err(self.lexer.wrong(place.0, "opens a [[ that is never closed")),
                Some(b'\n' | b'(' | b')' | b'<' | b'>' | b'&' | b'|' | b';') => self.lexer.at += 1,
                Some(_) => {
                    let word = self.lexer.word()?;
                    if &self.lexer.bytes[word.start..word.end] == b"]]" {
                        self.closed((place.0, word.end));
                        return Ok(());
                    }
                }
            }
        }
    }

    fn close_with(&mut self, place: (usize, usize), which: impl Fn(Open) -> bool) {
        self.close(which);
        self.closed(place);
    }

    fn close(&mut self, which: impl Fn(Open) -> bool) {
        match self.open.last() {
            Some(open) if which(*open) => {
                self.open.pop();
            }
            _ => self.lost = true,
        }
        self.closed((self.lexer.at, self.lexer.at));
    }

    /// Behind this, words are no command until one begins anew.
    fn closed(&mut self, place: (usize, usize)) {
        self.now.pieces.push(place);
        self.now.no_command = true;
    }

    /// `>file`, `2>&1`, `<<END`, `<(command)`; a number before it was passed.
    fn redirection(&mut self, start: usize) -> Result<()> {
        let document = self.lexer.starts_with(b"<<") && !self.lexer.starts_with(b"<<<");
        let signs = self.lexer.bytes[self.lexer.at..].iter();
        self.lexer.at += signs
            .take_while(|byte| b"<>&".contains(byte))
            .take(3)
            .count();
        let strips_tabs = document && self.lexer.here() == Some(b'-');
        if strips_tabs || self.lexer.here() == Some(b'|') {
            self.lexer.at += 1;
        }
        self.lexer.blanks();
        if self.lexer.here() == Some(b'(') {
            self.lexer.at += 1;
            self.lexer.deeper(substitution)?;
        } else {
            let word = self.lexer.word()?;
            if document {
                let quotes = |byte: &u8| !matches!(byte, b'\'' | b'"' | b'\\');
                let raw = self.lexer.bytes[word.start..word.end].iter().copied();
                self.documents.push(Document {
                    end: raw.filter(quotes).collect(),
                    strips_tabs,
                });
            }
        }
        self.now.redirected = true;
        self.now.pieces.push((start, self.lexer.at));
        Ok(())
    }

    /// Past the documents that begin here, behind a newline.
    fn documents(&mut self) {
        for document in std::mem::take(&mut self.documents) {
            while self.lexer.at < self.lexer.bytes.len() {
                let rest = &self.lexer.bytes[self.lexer.at..];
                let len = rest
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .unwrap_or(rest.len());
                let tabs = rest[..len]
                    .iter()
                    .take_while(|byte| **byte == b'\t')
                    .count();
                let line = &rest[if document.strips_tabs { tabs } else { 0 }..len];
                self.lexer.at += rest.len().min(len + 1);
                if line == document.end {
                    break;
                }
            }
        }
    }

    /// The command ends before `at`; `needed`: by an operator that must have one there.
    fn finish(&mut self, at: usize, needed: bool) {
        // A newline behind `&&` ends nothing.
        let waits = self.now.needed && self.now.pieces.is_empty();
        let now = std::mem::take(&mut self.now);
        self.now.needed = waits;
        if now.no_command || self.substitution {
            return;
        }
        let Some(command) = understood(self.lexer.bytes, &now.words) else {
            return;
        };
        let (Some(first), Some(last)) = (now.pieces.first(), now.pieces.last()) else {
            return;
        };
        let places = now.words.iter().rev().take(command.operands.len()).rev();
        let operands = places.zip(command.operands).map(|(word, named)| {
            let index = now.pieces.partition_point(|piece| piece.0 < word.start);
            let before = index
                .checked_sub(1)
                .map_or(word.start, |index| now.pieces[index].1);
            let behind = now.pieces.get(index + 1).map_or(word.end, |piece| piece.0);
            Operand {
                start: word.start,
                end: word.end,
                before,
                behind,
                named,
            }
        });
        let bytes = self.lexer.bytes;
        let semicolon = bytes.get(at) == Some(&b';');
        let blanks = |from: usize| {
            bytes[from..]
                .iter()
                .take_while(|byte| b" \t".contains(byte))
        };
        let job = bytes.get(at) == Some(&b'&');
        self.found.push(Command {
            start: first.0,
            end: last.1,
            end_of_separator: if semicolon {
                at + 1 + blanks(at + 1).count()
            } else {
                last.1
            },
            keyword: command.keyword,
            operands: operands.collect(),
            redirected: now.redirected,
            removable: !needed && !now.needed && !job && self.open.is_empty(),
        });
    }
}
