//! The lines of a unit: sections, comments, lines that go on. Knows no word of a value.

use super::super::cut::BOM;
use crate::error::{Error, Result};
use zeroize::Zeroizing;

/// The sections whose settings say what a process gets.
const SECTIONS: [&[u8]; 4] = [b"Service", b"Socket", b"Mount", b"Swap"];

/// One setting.
pub(super) struct Setting {
    /// What stands behind `=`, without the blanks around it, its lines joined.
    pub(super) value: Zeroizing<Vec<u8>>,
    /// Where each byte of the value stands in the file.
    pub(super) places: Vec<usize>,
    /// The lines that it was joined from; comments between them are not among these.
    pub(super) physical: Vec<Physical>,
    /// The first of them, from 1.
    pub(super) line: usize,
}

/// One line of the file, without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Physical {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether its last byte is a backslash that joins the next line to it.
    pub(super) continued: bool,
}

/// Every setting of this name in a section that is about processes, in the order of the file.
pub(super) fn settings(bytes: &[u8], name: &[u8]) -> Result<Vec<Setting>> {
    let mut reader = Reader {
        bytes,
        name,
        inside: false,
        found: Vec::new(),
    };
    let mut open: Vec<Physical> = Vec::new();
    let mut first = 0;
    let mut at = 0;
    let mut number = 0;
    let mut bom_seen = false;
    while at < bytes.len() {
        let (mut start, end, next) = line(bytes, at);
        at = next;
        number += 1;
        if trimmed(&bytes[start..end])
            .first()
            .is_some_and(|byte| b"#;".contains(byte))
        {
            continue;
        }
        if !bom_seen && bytes[start..end].starts_with(BOM) {
            bom_seen = true;
            start += BOM.len();
        }
        let backslashes = bytes[start..end]
            .iter()
            .rev()
            .take_while(|byte| **byte == b'\\');
        let continued = backslashes.count() % 2 == 1;
        if open.is_empty() {
            first = number;
        }
        open.push(Physical {
            start,
            end,
            continued,
        });
        if !continued {
            reader.take(std::mem::take(&mut open), first)?;
        }
    }
    if !open.is_empty() {
        reader.take(open, first)?;
    }
    Ok(reader.found)
}

/// The line that begins at `at`: its start, its end, the start of the next. LF, CR, and the two in
/// either order end a line; so does NUL.
fn line(bytes: &[u8], at: usize) -> (usize, usize, usize) {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r' | 0);
    let end = bytes[at..]
        .iter()
        .position(is_end)
        .map_or(bytes.len(), |len| at + len);
    let mut next = end;
    let mut seen = Vec::with_capacity(3);
    while let Some(byte) = bytes.get(next).filter(|byte| is_end(byte)) {
        if seen.contains(byte) || seen.contains(&0) {
            break;
        }
        seen.push(*byte);
        next += 1;
    }
    (at, end, next)
}

fn trimmed(line: &[u8]) -> &[u8] {
    let line = trimmed_start(line);
    let last = line.iter().rposition(|byte| !blank(*byte));
    &line[..last.map_or(0, |last| last + 1)]
}

fn trimmed_start(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|byte| !blank(*byte));
    &line[start.unwrap_or(line.len())..]
}

fn blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

struct Reader<'b> {
    bytes: &'b [u8],
    name: &'b [u8],
    inside: bool,
    found: Vec<Setting>,
}

impl Reader<'_> {
    /// One line of the unit, joined from these.
    fn take(&mut self, physical: Vec<Physical>, line: usize) -> Result<()> {
        let len = physical.iter().map(|one| one.end - one.start).sum();
        let mut text = Zeroizing::new(Vec::with_capacity(len));
        let mut places = Vec::with_capacity(len);
        for one in &physical {
            text.extend_from_slice(&self.bytes[one.start..one.end]);
            places.extend(one.start..one.end);
            if one.continued {
                text.pop();
                text.push(b' ');
            }
        }
        let refused = |what: &str| Error::broken(format!("line {line} of the unit {what}"));
        if std::str::from_utf8(&text).is_err() {
            return Err(refused("is not UTF-8 text, so systemd does not take it"));
        }
        let all = trimmed(&text);
        if let Some(header) = all.strip_prefix(b"[") {
            let section = header.strip_suffix(b"]");
            let section = section.ok_or_else(|| refused("is no section: it has no ]"))?;
            self.inside = SECTIONS.contains(&section);
            return Ok(());
        }
        let Some(equals) = text.iter().position(|byte| *byte == b'=') else {
            return Ok(());
        };
        if !self.inside || trimmed(&text[..equals]) != self.name {
            return Ok(());
        }
        let value = &text[equals + 1..];
        let blanks = value.len() - trimmed_start(value).len();
        let start = equals + 1 + blanks;
        let value = start..start + trimmed(value).len();
        self.found.push(Setting {
            value: Zeroizing::new(text[value.clone()].to_vec()),
            places: places[value].to_vec(),
            physical,
            line,
        });
        Ok(())
    }
}
