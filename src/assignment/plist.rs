//! `EnvironmentVariables` of a LaunchAgent: a property list in XML.
//!
//! Source: launchd.plist(5), Apple's PropertyList-1.0.dtd. Read is what that grammar has and no more:
//! no entities but the five and the numbers, no DTD inside the file, UTF-8 alone. A property list in
//! Apple's binary form is refused, not guessed.

mod xml;

use super::cut::Cut;
use super::{Assignment, Lines};
use crate::error::{Error, Result};
use std::collections::BTreeSet;
use xml::{Reader, Tag};
use zeroize::Zeroizing;

/// How deep dictionaries and arrays may lie in one another.
const MAX_DEPTH: usize = 64;

struct Found {
    /// The whole `<key>…</key>`, and the whole `<string>…</string>`.
    spans: [(usize, usize); 2],
    name: String,
    value: Zeroizing<String>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Assignment>> {
    let mut lines = Lines::new(bytes);
    let found = scan(bytes)?.into_iter();
    let assignment = |one: Found| {
        let line = lines.of(one.spans[0].0);
        Assignment::new(&one.name, Some(one.value), line)
    };
    Ok(found.map(assignment).collect())
}

pub(super) fn cuts(bytes: &[u8], gone: &BTreeSet<usize>) -> Result<Vec<Cut>> {
    let found = scan(bytes)?.into_iter().enumerate();
    Ok(found
        .filter(|(index, _)| gone.contains(index))
        .flat_map(|(_, one)| one.spans)
        .map(|(start, end)| Cut::out(start, end))
        .collect())
}

fn scan(bytes: &[u8]) -> Result<Vec<Found>> {
    if bytes.starts_with(b"bplist") {
        return Err(Error::broken("the property list is in Apple's binary form")
            .hint("plutil -convert xml1 FILE"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = Lines::new(bytes).of(error.valid_up_to());
        Error::broken(format!(
            "line {line} of the property list is not UTF-8 text"
        ))
    })?;
    let mut reader = Reader::new(text);
    reader.prolog()?;
    let mut found = Vec::new();
    let root = reader.tag()?;
    if !root.is_open("plist") {
        return Err(reader.wrong(root.start, "is no <plist>"));
    }
    let top = reader.tag()?;
    if top.is_open("dict") {
        entries(&mut reader, &mut |reader, key, value| {
            if key.text.as_str() == "EnvironmentVariables" && value.is_open("dict") {
                return entries(reader, &mut |reader, key, value| {
                    variable(reader, &key, value, &mut found)
                });
            }
            skip(reader, &value)
        })?;
    } else {
        skip(&mut reader, &top)?;
    }
    let end = reader.tag()?;
    if !end.is_close("plist") {
        return Err(reader.wrong(end.start, "is not the </plist> that was expected"));
    }
    Ok(found)
}

/// A `<key>` with what it says.
struct Key {
    text: Zeroizing<String>,
    span: (usize, usize),
}

type Each<'f, 't> = dyn FnMut(&mut Reader<'t>, Key, Tag<'t>) -> Result<()> + 'f;

/// The entries of a dictionary whose `<dict>` was read; `each` reads the value to its end.
fn entries<'t>(reader: &mut Reader<'t>, each: &mut Each<'_, 't>) -> Result<()> {
    loop {
        let tag = reader.tag()?;
        if tag.is_close("dict") {
            return Ok(());
        }
        if !tag.is_open("key") {
            return Err(reader.wrong(tag.start, "is neither a <key> nor the end of a <dict>"));
        }
        let text = reader.content("key")?;
        let span = (tag.start, reader.at());
        let value = reader.tag()?;
        each(reader, Key { text, span }, value)?;
    }
}

/// One entry of `EnvironmentVariables`. launchd takes texts alone.
fn variable<'t>(
    reader: &mut Reader<'t>,
    key: &Key,
    value: Tag<'t>,
    found: &mut Vec<Found>,
) -> Result<()> {
    let text = if value.is_open("string") {
        reader.content("string")?
    } else if value.is_empty("string") {
        Zeroizing::default()
    } else {
        return skip(reader, &value);
    };
    found.push(Found {
        spans: [key.span, (value.start, reader.at())],
        name: key.text.as_str().to_owned(),
        value: text,
    });
    Ok(())
}

/// Passes over the rest of the element that this tag begins.
fn skip<'t>(reader: &mut Reader<'t>, tag: &Tag<'t>) -> Result<()> {
    let mut open = Vec::new();
    let mut tag = *tag;
    loop {
        match tag.kind {
            xml::Kind::Empty => {}
            xml::Kind::Open if matches!(tag.name, "dict" | "array") => {
                if open.len() == MAX_DEPTH {
                    return Err(reader.wrong(tag.start, "lies too deep"));
                }
                open.push(tag.name);
            }
            xml::Kind::Open => {
                reader.content(tag.name)?;
            }
            xml::Kind::Close => {
                if open.pop() != Some(tag.name) {
                    return Err(reader.wrong(tag.start, "closes what was not opened"));
                }
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        tag = reader.tag()?;
    }
}
