//! What may be shown of a setting, and what is only compared. Knows texts and a salt; no files.
//!
//! Promise: of what may be a credential nothing is kept but a salted SHA-256; of an address neither
//! user nor password, query or fragment; and no kept text can move a cursor or turn the order of what
//! follows it.

use super::super::config::names_credential;
use super::super::link::is_variable;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// What chance adds to every hash, so that a table of likely values tells nothing.
pub(super) type Salt = [u8; 16];

/// The most characters that are shown of one value.
const MAX_SHOWN: usize = 200;

/// What stands in the place of what is not shown.
pub(super) const HIDDEN: &str = "***";

/// One value: what of it is shown, and a hash where that is not all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What may be shown, control characters escaped; `None` where nothing may.
    pub(super) text: Option<String>,
    /// The salted SHA-256 of the whole value, where the text does not say all of it.
    pub(super) hash: Option<[u8; 32]>,
}

impl Shown {
    /// Everything of it may be shown.
    pub(super) fn plain(text: &str) -> Self {
        Shown {
            text: Some(text.to_owned()),
            hash: None,
        }
    }

    /// A text of which `shown` may be shown, if anything.
    pub(super) fn partly(shown: Option<&str>, whole: &str, salt: &Salt) -> Self {
        Shown {
            text: shown.map(escaped),
            hash: Some(hash(whole.as_bytes(), salt)),
        }
    }

    /// A string that stands at a place where credentials may (`secret`) or may not stand.
    pub(super) fn string(text: &str, secret: bool, salt: &Salt) -> Self {
        if secret && !is_variable(text) && !text.is_empty() {
            return Shown::partly(None, text, salt);
        }
        let shown = showable(text);
        let short: Option<String> = shown
            .as_deref()
            .map(|shown| shown.chars().take(MAX_SHOWN).collect());
        match short {
            // An escape that somebody wrote out would look like the character itself.
            Some(short) if short == text && escaped(text) == text => Shown::plain(text),
            short => Shown::partly(short.as_deref(), text, salt),
        }
    }

    /// For a person: the text, or that there is more than is shown.
    pub(super) fn said(&self) -> String {
        match (&self.text, self.hash) {
            (Some(text), None) => text.clone(),
            (Some(text), Some(_)) => format!("{text} (and more that is not shown)"),
            (None, _) => HIDDEN.to_owned(),
        }
    }
}

/// Salted, and with the salt's end known: no two (salt, value) give the same bytes.
pub(super) fn hash(bytes: &[u8], salt: &Salt) -> [u8; 32] {
    Sha256::new()
        .chain_update(salt)
        .chain_update(bytes)
        .finalize()
        .into()
}

/// What of a text may be shown: all, a part, or nothing.
fn showable(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut announced = false;
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end_matches(char::is_whitespace);
        if word.is_empty() {
            out.push_str(piece);
            continue;
        }
        if announced || assigns_credential(word) {
            return None;
        }
        announced = announces_credential(word);
        if word.contains("://") {
            out.push_str(&address(word)?);
        } else if looks_secret(word) || has_password(word) {
            return None;
        } else {
            out.push_str(word);
        }
        out.push_str(&piece[word.len()..]);
    }
    Some(out)
}

/// Whether what follows this word, or this argument, is a credential: `--token`, `Authorization:`,
/// `Bearer`.
pub(super) fn announces_credential(word: &str) -> bool {
    let name = word.trim_matches(|c: char| !c.is_alphanumeric());
    let marked = word.starts_with('-') || word.ends_with([':', '=']);
    (marked && names_credential(name))
        || ["bearer", "basic"].contains(&name.to_lowercase().as_str())
}

/// `--token=x`, `password:x`
fn assigns_credential(word: &str) -> bool {
    word.split_once(['=', ':']).is_some_and(|(name, value)| {
        !value.is_empty() && names_credential(name.trim_matches(|c: char| !c.is_alphanumeric()))
    })
}

/// An address without user, password, query and fragment, and without a path that looks like a key.
/// As browsers read it: a backslash ends the host as a slash does.
fn address(word: &str) -> Option<String> {
    let (scheme, rest) = word.split_once("://")?;
    if looks_secret(scheme) || has_password(scheme) {
        return None;
    }
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    if looks_secret(host) && !host.contains('.') {
        return None;
    }
    let path = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
    let odd = path.contains("://")
        || path.contains('@')
        || path.split(['/', '\\', ':']).any(looks_secret);
    Some(format!("{scheme}://{host}{}", if odd { "" } else { path }))
}

/// `user:password@host` without the two slashes, which some programs take as well.
fn has_password(word: &str) -> bool {
    word.rsplit_once('@')
        .is_some_and(|(before, _)| before.contains(':'))
}

/// A word that may be a key: known beginnings, or a run of letters and digits that no name has. What
/// stands behind `=` or `:` in an argument counts by itself.
fn looks_secret(word: &str) -> bool {
    let known = |part: &str| crate::provider::is_shaped_as_credential(part);
    let run = |part: &str| {
        let bytes = part.as_bytes();
        bytes.len() >= 20
            && bytes.iter().any(u8::is_ascii_digit)
            && bytes.iter().any(u8::is_ascii_alphabetic)
            && bytes
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || b"_+".contains(b))
    };
    word.split(['=', ':', ',', ';', '"', '\'']).any(|part| {
        known(part)
            || part
                .split(['/', '.', '-', '\\', '@', '(', ')', '[', ']', '{', '}'])
                .any(run)
    })
}

/// Control characters, and those that turn the order of what follows, as `\u{…}`.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if turns || c.is_control() {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}
