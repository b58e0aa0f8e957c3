//! As much XML as a property list needs: tags, texts, comments. Knows no property list.

use super::super::{Lines, room};
use crate::error::{Error, Result};
use zeroize::Zeroizing;

/// One tag. Attributes are passed over.
#[derive(Clone, Copy)]
pub(super) struct Tag<'t> {
    pub(super) name: &'t str,
    pub(super) kind: Kind,
    /// Where its `<` stands.
    pub(super) start: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `<name>`
    Open,
    /// `</name>`
    Close,
    /// `<name/>`
    Empty,
}

impl Tag<'_> {
    pub(super) fn is_open(&self, name: &str) -> bool {
        self.kind == Kind::Open && self.name == name
    }

    pub(super) fn is_close(&self, name: &str) -> bool {
        self.kind == Kind::Close && self.name == name
    }

    pub(super) fn is_empty(&self, name: &str) -> bool {
        self.kind == Kind::Empty && self.name == name
    }
}

pub(super) struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Reader { text, at }
    }

    /// How far it has read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// An error about the line of this place; nothing of the line is repeated.
    pub(super) fn wrong(&self, place: usize, what: &str) -> Error {
        let line = Lines::new(self.text.as_bytes()).of(place);
        Error::broken(format!("line {line} of the property list {what}"))
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Passes over what may stand before the first element.
    pub(super) fn prolog(&mut self) -> Result<()> {
        loop {
            self.blanks();
            let start = self.at;
            let rest = self.rest();
            if rest.starts_with("<?") {
                let declaration = self.through("?>")?.to_ascii_lowercase();
                let encoding = declaration.split("encoding").nth(1).map(|after| {
                    after.trim_start_matches(|c: char| c == '=' || c.is_ascii_whitespace())
                });
                let utf8 = |name: &str| {
                    name[1..].starts_with("utf-8") || name[1..].starts_with("us-ascii")
                };
                let quoted = |name: &str| name.starts_with(['"', '\'']);
                if encoding.is_some_and(|name| !quoted(name) || !utf8(name)) {
                    return Err(self.wrong(start, "says another encoding than UTF-8"));
                }
            } else if rest.starts_with("<!--") {
                self.comment()?;
            } else if rest.starts_with("<!DOCTYPE") {
                // A DTD of its own could say what names and entities mean.
                let end = rest
                    .find(['>', '['])
                    .filter(|end| rest[*end..].starts_with('>'));
                let end = end.ok_or_else(|| self.wrong(start, "has a DTD of its own"))?;
                self.at += end + 1;
            } else {
                return Ok(());
            }
        }
    }

    /// The next tag; before it only blanks and comments may stand.
    pub(super) fn tag(&mut self) -> Result<Tag<'t>> {
        loop {
            self.blanks();
            if self.rest().starts_with("<!--") {
                self.comment()?;
            } else if self.rest().starts_with("<?") {
                self.through("?>")?;
            } else {
                break;
            }
        }
        let start = self.at;
        if !self.rest().starts_with('<') {
            return Err(self.wrong(start, "has text where a tag was expected"));
        }
        let close = self.rest().starts_with("</");
        self.at += 1 + usize::from(close);
        let name_end = self.rest().find(|c: char| !c.is_ascii_alphanumeric());
        let name = &self.rest()[..name_end.unwrap_or(0)];
        if name.is_empty() {
            return Err(self.wrong(start, "has a tag that no property list has"));
        }
        self.at += name.len();
        let inside = self.inside(start)?;
        let empty = inside.ends_with('/');
        if close && !inside.trim().is_empty() {
            return Err(self.wrong(start, "has more than a name in a closing tag"));
        }
        let kind = match (close, empty) {
            (true, _) => Kind::Close,
            (false, true) => Kind::Empty,
            (false, false) => Kind::Open,
        };
        Ok(Tag { name, kind, start })
    }

    /// Behind a tag's name: attributes, and past the `>`.
    fn inside(&mut self, start: usize) -> Result<&'t str> {
        let rest = self.rest();
        let mut quote = None;
        for (at, c) in rest.char_indices() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (None, '"' | '\'') => quote = Some(c),
                (None, '>') => {
                    self.at += at + 1;
                    return Ok(&rest[..at]);
                }
                (None, '<') => break,
                _ => {}
            }
        }
        Err(self.wrong(start, "has a tag that is never closed"))
    }

    /// The text up to the closing tag of this name, and past it. No other element may stand there.
    pub(super) fn content(&mut self, name: &str) -> Result<Zeroizing<String>> {
        let start = self.at;
        // Entities are longer than what they stand for, and a text ends with the next `</`, unless that
        // stands in a comment.
        let len = self.rest().find("</").unwrap_or(0);
        let mut text = room(len);
        loop {
            let rest = self.rest();
            let next = rest.find(['<', '&']);
            let next = next.ok_or_else(|| self.wrong(start, "has a text that is never closed"))?;
            push(&mut text, &rest[..next], rest.len());
            self.at += next;
            let rest = self.rest();
            if rest.starts_with('&') {
                let end = rest.bytes().take(12).position(|byte| byte == b';');
                let c = end.and_then(|end| entity(&rest[1..end]));
                let c = c.ok_or_else(|| self.wrong(self.at, "has an entity that is not known"))?;
                push(&mut text, c.encode_utf8(&mut [0; 4]), rest.len());
                self.at += end.unwrap_or_default() + 1;
            } else if rest.starts_with("<!--") {
                self.comment()?;
            } else if let Some(inner) = rest.strip_prefix("<![CDATA[") {
                let end = inner.find("]]>");
                let end = end.ok_or_else(|| self.wrong(self.at, "has CDATA that never ends"))?;
                push(&mut text, &inner[..end], inner.len());
                self.at += "<![CDATA[".len() + end + "]]>".len();
            } else {
                let tag = self.tag()?;
                if !tag.is_close(name) {
                    return Err(self.wrong(tag.start, "has an element inside a text"));
                }
                return Ok(text);
            }
        }
    }

    fn blanks(&mut self) {
        let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
        self.at = self.text.len() - self.rest().trim_start_matches(blank).len();
    }

    fn comment(&mut self) -> Result<()> {
        self.at += "<!--".len();
        self.through("-->").map(|_| ())
    }

    /// Past the next `end`; gives what stands before it.
    fn through(&mut self, end: &str) -> Result<&'t str> {
        let rest = self.rest();
        let at = rest.find(end);
        let at = at.ok_or_else(|| self.wrong(self.at, "begins what never ends"))?;
        self.at += at + end.len();
        Ok(&rest[..at])
    }
}

/// Appends; where there is too little room, into a new text that has room for all that can come, so
/// that the old one is wiped.
fn push(text: &mut Zeroizing<String>, piece: &str, to_come: usize) {
    if text.capacity() - text.len() < piece.len() {
        let mut larger = room(text.len() + to_come);
        larger.push_str(text);
        *text = larger;
    }
    text.push_str(piece);
}

/// What stands between `&` and `;`.
fn entity(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let (digits, radix) = match number.strip_prefix(['x', 'X']) {
                Some(digits) => (digits, 16),
                None => (number, 10),
            };
            let all_digits = digits.chars().all(|c| c.is_digit(radix));
            let code = u32::from_str_radix(digits, radix)
                .ok()
                .filter(|_| all_digits)?;
            char::from_u32(code).filter(|c| *c != '\0')?
        }
    })
}
