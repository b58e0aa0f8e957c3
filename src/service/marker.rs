//! The first line of every file that is written for a service: who wrote it, and a digest of the
//! rest. Ring 2.
//!
//! Promise: only what carries the line and was not edited since is ever replaced or removed. The
//! digest is no proof against somebody who means it; it tells a person's edit from our text.

use crate::json::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const START: &str = "# clawkeep service install wrote this file (";
const END: &str = "); edited copies are left alone";

/// What stands in the place of a file that we would write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Found {
    /// Nothing.
    Absent,
    /// Exactly what would be written now.
    Current,
    /// Ours, not edited, but another text than would be written now.
    Outdated,
    /// Ours once, and edited since.
    Edited,
    /// Somebody else's.
    Foreign,
}

impl Found {
    /// A stable word for people and `--json`.
    pub fn name(self) -> &'static str {
        match self {
            Found::Absent => "absent",
            Found::Current => "current",
            Found::Outdated => "outdated",
            Found::Edited => "edited",
            Found::Foreign => "foreign",
        }
    }

    /// Whether it may be replaced or removed.
    pub fn is_ours(self) -> bool {
        matches!(self, Found::Current | Found::Outdated)
    }
}

fn digest(body: &str) -> String {
    hex(&Sha256::digest(body.as_bytes())[..8])
}

/// The file's text: the marker and `body`.
pub fn marked(body: &str) -> String {
    format!("{START}{}{END}\n{body}", digest(body))
}

/// Whether a file's text is ours, and not edited.
pub fn is_intact(text: &str) -> bool {
    split(text).is_some_and(|(said, body)| said == digest(body))
}

fn split(text: &str) -> Option<(&str, &str)> {
    let (first, body) = text.split_once('\n')?;
    let said = first.strip_prefix(START)?.strip_suffix(END)?;
    Some((said, body))
}

/// Compares what is there with what would be written.
pub fn compare(there: Option<&str>, wanted: &str) -> Found {
    match there {
        None => Found::Absent,
        Some(text) if text == wanted => Found::Current,
        Some(text) if is_intact(text) => Found::Outdated,
        Some(text) if text.starts_with(START) => Found::Edited,
        Some(_) => Found::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_edited_and_foreign_are_told_apart() {
        let now = marked("[Unit]\nDescription=x\n");
        let older = marked("[Unit]\nDescription=y\n");
        let edited = older.replace("=y", "=z");
        assert_eq!(compare(None, &now), Found::Absent);
        assert_eq!(compare(Some(&now), &now), Found::Current);
        assert_eq!(compare(Some(&older), &now), Found::Outdated);
        assert_eq!(compare(Some(&edited), &now), Found::Edited);
        assert_eq!(compare(Some("[Unit]\n"), &now), Found::Foreign);
        assert!(!Found::Edited.is_ours() && !Found::Foreign.is_ours());
        assert_eq!(compare(Some(""), &now), Found::Foreign);
    }
}
