//! Tables that fit a terminal. Ring 4; makes text and prints nothing.
//!
//! Promise: what does not fit in columns becomes lines that read aloud as the table would: each row by
//! its first cell, then each further cell with its heading. A word that is wider than the terminal
//! stays whole, so that paths and ids can be copied.

use super::ui::{plain, table, wrap};

/// The table in `room` columns; without a terminal (`None`) in as many as it takes. The first row is
/// the heading.
pub fn fitted(rows: &[Vec<String>], room: Option<usize>) -> String {
    let Some(room) = room.filter(|room| widest(rows) > *room) else {
        return table(rows);
    };
    let mut out = String::new();
    let Some((heading, rows)) = rows.split_first() else {
        return out;
    };
    for row in rows {
        let mut cells = row.iter().enumerate();
        if let Some((_, first)) = cells.next() {
            wrap(&plain(first), Some(room), "    ", &mut out);
        }
        for (at, cell) in cells.filter(|(_, cell)| !cell.is_empty() && *cell != "-") {
            let line = match heading.get(at) {
                Some(name) => format!("  {}: {}", name.to_lowercase(), plain(cell)),
                None => format!("  {}", plain(cell)),
            };
            wrap(&line, Some(room), "    ", &mut out);
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Pairs of a name and what is to say about it, in `room` columns.
pub fn pairs(rows: &[Vec<String>], room: Option<usize>) -> String {
    let Some(room) = room.filter(|room| widest(rows) > *room) else {
        return table(rows);
    };
    let mut out = String::new();
    for row in rows {
        let line = row
            .iter()
            .map(|cell| plain(cell))
            .collect::<Vec<_>>()
            .join(": ");
        wrap(&line, Some(room), "  ", &mut out);
    }
    out.truncate(out.trim_end().len());
    out
}

fn widest(rows: &[Vec<String>]) -> usize {
    table(rows)
        .lines()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter()
            .map(|row| row.iter().map(|cell| (*cell).to_owned()).collect())
            .collect()
    }

    #[test]
    fn a_table_that_is_too_wide_becomes_lines() {
        let rows = rows(&[
            &["PROFILE", "TYPE", "EXPIRES"],
            &[
                "anthropic:default",
                "token",
                "in 364 days (2027-11-29 04:10 +00:00)",
                "was plaintext",
            ],
            &["x", "-", "never"],
        ]);
        assert_eq!(fitted(&rows, Some(200)), table(&rows));
        assert_eq!(fitted(&rows, None), table(&rows));
        assert_eq!(
            fitted(&rows, Some(40)),
            "anthropic:default\n  type: token\n  expires: in 364 days (2027-11-29 04:10\n    +00:00)\n  was plaintext\nx\n  expires: never"
        );
        assert_eq!(pairs(&rows[2..], Some(5)), "x: -:\n  never");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_unless_one_word_is(
            cells in proptest::collection::vec(proptest::collection::vec("([a-z]{1,12} ?){0,6}", 1..5), 1..5),
            room in 20usize..90,
        ) {
            for text in [fitted(&cells, Some(room)), pairs(&cells, Some(room))] {
                for line in text.lines() {
                    let is_one_word = line.split_whitespace().count() <= 2;
                    prop_assert!(line.chars().count() <= room || is_one_word, "{line}");
                }
            }
        }
    }
}
