//! The only printer. Ring 4.
//!
//! Promise: data goes to stdout, talk to stderr, prompts to the terminal itself (see
//! [`crate::terminal`]). With `--json` stdout gets exactly one document, also on error. A closed pipe
//! is silence. Text that came from outside is shown with its control characters escaped.

use crate::error::{Error, Kind, Result};
use crate::expiry::{Millis, Span};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;

/// Where output goes, and in which form.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ui {
    json: bool,
}

impl Ui {
    /// Output for people, or one JSON document.
    pub fn new(json: bool) -> Self {
        Ui { json }
    }

    /// Whether stdout gets JSON.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// One line of data on stdout.
    ///
    /// # Errors
    /// `BrokenPipe` when the reader has gone.
    pub fn data(self, line: &str) -> Result<()> {
        self.raw(line.as_bytes())?;
        self.raw(b"\n")
    }

    /// Bytes on stdout, straight to the descriptor: the standard library's line buffer would keep a
    /// copy of a secret until the process ends.
    ///
    /// # Errors
    /// `BrokenPipe` when the reader has gone.
    pub fn raw(self, bytes: &[u8]) -> Result<()> {
        write_out(bytes)
    }

    /// The one JSON document.
    ///
    /// # Errors
    /// `BrokenPipe` when the reader has gone.
    pub fn document(self, value: &Value) -> Result<()> {
        self.data(&format!("{value:#}"))
    }

    /// A line of talk on stderr.
    pub fn say(self, line: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }

    /// An error, its hint, and with `--json` the document.
    pub fn error(self, error: &Error) {
        if error.kind() == Kind::BrokenPipe {
            return;
        }
        if self.json {
            let document = json!({"error": {
                "kind": error.kind().name(),
                "message": error.message(),
                "hint": error.hint_text(),
            }});
            let _ = self.document(&document);
        }
        self.say(&format!("clawkeep: {}", plain(error.message())));
        if let Some(hint) = error.hint_text() {
            self.say(&format!("hint: {}", plain(hint)));
        }
    }
}

#[cfg(unix)]
fn write_out(bytes: &[u8]) -> Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::write(std::io::stdout(), rest) {
            Ok(0) => return Err(Error::failed("stdout takes nothing more")),
            Ok(n) => rest = &rest[n..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                return Err(Error::io(
                    "write to",
                    std::path::Path::new("stdout"),
                    &error.into(),
                ));
            }
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn write_out(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| Error::io("write to", std::path::Path::new("stdout"), &error))
}

/// Text from outside, with control characters escaped: a file name may hold terminal commands.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// A table with aligned columns; the first row is the heading.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{:<width$}  ", plain(cell));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out
}

/// A moment for people: `2026-11-20 14:05 +00:00`, in the machine's time zone.
pub fn date(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at.get()).map_or_else(
        |_| "outside the calendar".to_owned(),
        |stamp| {
            stamp
                .to_zoned(jiff::tz::TimeZone::system())
                .strftime("%Y-%m-%d %H:%M %:z")
                .to_string()
        },
    )
}

/// An expiry for people: `never`, `expired 3 days ago`, `in 5 hours (2026-…)`.
pub fn expiry(expires: Option<Millis>, now: Millis) -> String {
    let Some(at) = expires else {
        return "never".to_owned();
    };
    let left = at.get() - now.get();
    if left <= 0 {
        format!("expired {} ago ({})", Span(left), date(at))
    } else {
        format!("in {} ({})", Span(left), date(at))
    }
}
