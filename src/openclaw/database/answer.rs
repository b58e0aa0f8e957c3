//! What the program that reads databases answers: one line of JSON, then the rows' bytes. Pure; bytes
//! in, places of bytes out.
//!
//! Promise: an answer that is cut, too long, or says anything else than it may is an error, and no
//! byte of it is repeated.

use crate::error::{Error, Result};
use serde::Deserialize;
use std::ops::Range;

/// The most databases that one answer may be about: every agent has one.
const MOST_FILES: usize = 10_000;
/// The most bytes of the first line.
const MOST_LINE: usize = 1024 * 1024;

/// Why a database could not be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Refused {
    /// This Node has no `node:sqlite`.
    Node,
    /// Another process holds it, or left a change half done that only a writer can take back.
    Busy,
    /// It is no database, or a damaged one.
    Corrupt,
    /// The system did not let it be opened.
    Open,
    /// A table has another form than those that are known.
    Layout,
    /// Its store is larger than 8 MiB.
    Large,
    /// Anything else.
    Other,
}

/// One database.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Looked {
    /// `PRAGMA user_version`.
    pub(super) schema: i64,
    /// Where in the answer the rows of its store are; `None` when it has no such table.
    pub(super) rows: Option<Vec<Range<usize>>>,
    /// Where what stands in OpenClaw's own store of secrets is.
    pub(super) own: Option<Range<usize>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    files: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Line {
    Refused {
        error: Refused,
    },
    Looked {
        schema: i64,
        rows: Option<Vec<usize>>,
        own: Option<usize>,
    },
}

/// Reads the answer about `count` databases.
///
/// # Errors
/// `Failed` when it is not such an answer.
pub(super) fn parse(
    answer: &[u8],
    count: usize,
) -> Result<Vec<std::result::Result<Looked, Refused>>> {
    let strange = || {
        Error::failed("Node gave no answer about OpenClaw's database that could be read")
            .hint("openclaw doctor")
    };
    let line = answer
        .iter()
        .take(MOST_LINE)
        .position(|&byte| byte == b'\n')
        .ok_or_else(strange)?;
    let head: Head = serde_json::from_slice(&answer[..line]).map_err(|_| strange())?;
    if head.files.len() != count || count > MOST_FILES {
        return Err(strange());
    }
    let mut at = line + 1;
    let mut place = |length: usize| {
        let start = at;
        at = at.checked_add(length).filter(|end| *end <= answer.len())?;
        Some(start..at)
    };
    let mut files = Vec::with_capacity(count);
    for file in head.files {
        files.push(match file {
            Line::Refused { error } => Err(error),
            Line::Looked { schema, rows, own } => {
                let mut places = Vec::new();
                for length in rows.iter().flatten().copied() {
                    places.push(place(length).ok_or_else(strange)?);
                }
                let own = own.map(|length| place(length).ok_or_else(strange));
                Ok(Looked {
                    schema,
                    rows: rows.map(|_| places),
                    own: own.transpose()?,
                })
            }
        });
    }
    if at != answer.len() {
        return Err(strange());
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_become_places_and_words_become_reasons() {
        let answer = b"{\"files\":[{\"schema\":18,\"rows\":[3,2]},{\"error\":\"busy\"},\
            {\"schema\":1,\"rows\":null,\"own\":4},{\"schema\":0,\"rows\":[]}]}\nabcdefghi";
        let start = answer.len() - 9;
        let files = parse(answer, 4).unwrap();
        let looked = |schema, rows, own| Ok(Looked { schema, rows, own });
        assert_eq!(
            files,
            [
                looked(18, Some(vec![start..start + 3, start + 3..start + 5]), None),
                Err(Refused::Busy),
                looked(1, None, Some(start + 5..start + 9)),
                looked(0, Some(vec![]), None),
            ]
        );
    }

    #[test]
    fn an_answer_that_does_not_add_up_is_refused_without_its_bytes() {
        for bad in [
            "",
            "{\"files\":[]}",
            "{\"files\":[]}\n",
            "{\"files\":[{\"error\":\"sk-FAKE\"}]}\n",
            "{\"files\":[{\"schema\":1,\"rows\":[4]}]}\nabc",
            "{\"files\":[{\"schema\":1,\"rows\":[2]}]}\nabc",
            "{\"files\":[{\"schema\":1,\"rows\":[-1]}]}\n",
            "{\"files\":[{\"schema\":1,\"rows\":[18446744073709551615,2]}]}\nab",
            "{\"files\":[{\"schema\":1}],\"more\":1}\n",
            "{\"files\":[{\"schema\":1,\"rows\":[]},{\"schema\":1,\"rows\":[]}]}\n",
            "sk-FAKE-value\n",
        ] {
            let said = parse(bad.as_bytes(), 1).unwrap_err();
            assert!(!said.message().contains("FAKE"), "{said}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_leads_outside_itself(
            line in "[ -~]{0,80}", tail in proptest::collection::vec(any::<u8>(), 0..40),
            lengths in proptest::collection::vec(0usize..30, 0..5), honest: bool,
        ) {
            let line = if honest {
                serde_json::json!({"files": [{"schema": 1, "rows": lengths}]}).to_string()
            } else {
                line
            };
            let answer = [line.as_bytes(), b"\n", &tail].concat();
            let sum: usize = lengths.iter().sum();
            match parse(&answer, 1) {
                Ok(files) => for range in files.into_iter().flatten().filter_map(|file| file.rows).flatten() {
                    prop_assert!(range.start > line.len() && range.end <= answer.len());
                },
                Err(_) => prop_assert!(!honest || sum != tail.len()),
            }
        }
    }
}
