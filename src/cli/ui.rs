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
    colour: bool,
}

impl Ui {
    /// Output for people, or one JSON document.
    pub fn new(json: bool) -> Self {
        Ui {
            json,
            colour: false,
        }
    }

    /// The same, with colour where a terminal shows it.
    #[must_use]
    pub fn with_colour(self, colour: bool) -> Self {
        Ui { colour, ..self }
    }

    /// Good news, in green on a terminal; the words alone say it too.
    pub fn good(self, text: &str) {
        use std::io::IsTerminal as _;
        if !self.colour || !std::io::stderr().is_terminal() {
            return self.say(text);
        }
        let mut stderr = std::io::stderr().lock();
        let _ = stderr.write_all(b"\x1b[32m");
        drop(stderr);
        self.say(text);
        let _ = std::io::stderr().lock().write_all(b"\x1b[0m");
    }

    /// A table on stdout; on a terminal that is too narrow for it, lines. The first row is the heading.
    ///
    /// # Errors
    /// `BrokenPipe` when the reader has gone.
    pub fn table(self, rows: &[Vec<String>]) -> Result<()> {
        self.data(&super::narrow::fitted(rows, self.width()))
    }

    /// Names, and what is to say of each, on stdout; as [`Ui::table`] without a heading.
    ///
    /// # Errors
    /// `BrokenPipe` when the reader has gone.
    pub fn pairs(self, rows: &[Vec<String>]) -> Result<()> {
        self.data(&super::narrow::pairs(rows, self.width()))
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

    /// One entry of data on stdout: one line, so that it can be searched; on a terminal in pieces of
    /// its width, the later ones indented.
    ///
    /// # Errors
    /// `BrokenPipe` when the reader has gone.
    pub fn entry(self, line: &str) -> Result<()> {
        let line = one_line(line);
        let Some(width) = width_of(&std::io::stdout()) else {
            return self.data(&line);
        };
        let mut out = String::with_capacity(line.len() + 16);
        wrap(&line, Some(width), "    ", &mut out);
        self.raw(out.as_bytes())
    }

    /// The width of stdout in columns; `None` when it is no terminal.
    pub fn width(self) -> Option<usize> {
        width_of(&std::io::stdout())
    }

    /// Whether stdout gets one JSON document and nothing else.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Waits for `time`, or until the reader of stdout has gone.
    ///
    /// # Errors
    /// `BrokenPipe` when it has.
    pub fn wait(self, time: std::time::Duration) -> Result<()> {
        wait(time)
    }

    /// The one JSON document.
    ///
    /// # Errors
    /// `BrokenPipe` when the reader has gone.
    pub fn document(self, value: &Value) -> Result<()> {
        self.data(&format!("{value:#}"))
    }

    /// Lines of talk on stderr; on a terminal, wrapped at its width between words.
    pub fn say(self, text: &str) {
        let stderr = std::io::stderr();
        let width = width_of(&stderr);
        let mut out = String::with_capacity(text.len() + 16);
        for line in text.lines() {
            let line = plain(line);
            let indent = line.len() - line.trim_start_matches(' ').len();
            wrap(&line, width, &line[..indent], &mut out);
        }
        let _ = stderr.lock().write_all(out.as_bytes());
    }

    /// A line on stderr that the next one replaces; an empty one takes it away. For a terminal alone.
    pub fn transient(self, line: &str) {
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "\r\x1b[K{}", plain(line)).and_then(|()| stderr.flush());
    }

    /// An error, its hint, and with `--json` the document.
    pub fn error(self, error: &Error) {
        if error.kind() == Kind::BrokenPipe || error.message().is_empty() {
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

/// The terminal's width in columns; `None` when it is none.
#[cfg(unix)]
fn width_of(output: &impl std::os::fd::AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(output).ok()?;
    (size.ws_col >= 20).then_some(usize::from(size.ws_col))
}

#[cfg(not(unix))]
fn width_of<T>(_: &T) -> Option<usize> {
    None
}

#[cfg(unix)]
fn wait(time: std::time::Duration) -> Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = std::io::stdout();
    // No events asked for: only a reader that has gone wakes it.
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    let time = Timespec::try_from(time).ok();
    match poll(&mut fds, time.as_ref()) {
        Ok(0) | Err(rustix::io::Errno::INTR) => Ok(()),
        Ok(_) => Err(Error::new(Kind::BrokenPipe, "the reader has gone")),
        Err(error) => Err(Error::io(
            "wait for",
            std::path::Path::new("stdout"),
            &error.into(),
        )),
    }
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn wait(time: std::time::Duration) -> Result<()> {
    std::thread::sleep(time);
    Ok(())
}

/// Appends `line` in pieces of at most `width` columns; later pieces begin with `hanging`, the first
/// one as it does. A word that is wider stays whole, so that paths can be copied.
pub(super) fn wrap(line: &str, width: Option<usize>, hanging: &str, out: &mut String) {
    let indent: String = line.chars().take_while(|c| *c == ' ').collect();
    let mut column = 0;
    for word in line.split_whitespace() {
        let length = word.chars().count();
        if column == 0 {
            out.push_str(&indent);
            column = indent.len();
        } else if width.is_some_and(|width| column + 1 + length > width) {
            out.push('\n');
            out.push_str(hanging);
            column = hanging.len();
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}

/// So many of them: `1 place`, `2 places`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// So many secrets: `1 secret`.
pub fn secrets(count: usize) -> String {
    counted(count as u64, "secret", "secrets")
}

/// The text with its first letter large, where a message begins a sentence.
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
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

/// Text from outside, with control characters escaped, since a file name may hold terminal commands;
/// and those that turn the order of what follows, which make one name look like another.
pub fn plain(text: &str) -> String {
    // Nearly every text, and there may be thousands.
    if is_plain(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if turns || (c.is_control() && c != '\n') {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether it is shown as it is.
pub(super) fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\n'))
}

/// The same as one line: what has a line break in it cannot pose as two entries.
pub fn one_line(text: &str) -> String {
    plain(text).replace('\n', "\\u{a}")
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
    let mut out = String::with_capacity(24);
    Dates::here().push(at, &mut out);
    out
}

/// Moments for people, for one who has thousands of them: a form that is read anew each time costs many times
/// as much, and so does asking for the time zone.
pub(super) struct Dates(jiff::tz::TimeZone);

impl Dates {
    /// In the machine's time zone.
    pub(super) fn here() -> Self {
        Dates(jiff::tz::TimeZone::system())
    }

    /// What [`date`] says.
    pub(super) fn push(&self, at: Millis, out: &mut String) {
        let Ok(stamp) = jiff::Timestamp::from_millisecond(at.get()) else {
            out.push_str(&moment(at, ""));
            return;
        };
        let offset = self.0.to_offset(stamp);
        let there = offset.to_datetime(stamp);
        let minutes = offset.seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        let minutes = minutes.unsigned_abs();
        let year = u32::from(there.year().unsigned_abs());
        let small = |part: i8| u32::from(part.unsigned_abs());
        push_two(out, year / 100);
        push_two(out, year % 100);
        for (before, number) in [
            ('-', small(there.month())),
            ('-', small(there.day())),
            (' ', small(there.hour())),
            (':', small(there.minute())),
        ] {
            out.push(before);
            push_two(out, number);
        }
        out.push(' ');
        out.push(sign);
        push_two(out, minutes / 60);
        out.push(':');
        push_two(out, minutes % 60);
    }
}

/// A number of two digits.
fn push_two(out: &mut String, number: u32) {
    let digits = [number / 10 % 10, number % 10];
    out.extend(digits.map(|digit| char::from_digit(digit, 10).unwrap_or('?')));
}

/// A moment to the second: `2026-11-20 14:05:09 +00:00`.
pub fn second(at: Millis) -> String {
    moment(at, "%Y-%m-%d %H:%M:%S %:z")
}

fn moment(at: Millis, form: &str) -> String {
    jiff::Timestamp::from_millisecond(at.get()).map_or_else(
        |_| "outside the calendar".to_owned(),
        |stamp| {
            stamp
                .to_zoned(jiff::tz::TimeZone::system())
                .strftime(form)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_break_between_words_and_keep_their_indentation() {
        let mut out = String::new();
        wrap(
            "  one two /a/long/path/that/is/wider three",
            Some(12),
            "    ",
            &mut out,
        );
        assert_eq!(
            out,
            "  one two\n    /a/long/path/that/is/wider\n    three\n"
        );
    }

    #[test]
    fn a_date_is_what_the_library_writes() {
        for ms in [
            1,
            1_795_000_000_000,
            951_782_399_999,
            4_102_444_800_000,
            8_640_000_000_000_000,
        ] {
            let at = Millis::new(ms).unwrap();
            assert_eq!(date(at), moment(at, "%Y-%m-%d %H:%M %:z"), "{ms}");
        }
    }

    #[test]
    fn a_name_cannot_turn_the_order_of_what_follows() {
        assert_eq!(
            plain("a\u{202e}b\u{2066}\u{200f}ü"),
            "a\\u{202e}b\\u{2066}\\u{200f}ü"
        );
    }

    proptest! {
        #[test]
        fn no_word_is_lost(text in "[a-z ]{0,80}", width in 20usize..60) {
            let mut out = String::new();
            wrap(&text, Some(width), "", &mut out);
            prop_assert!(out.split_whitespace().eq(text.split_whitespace()));
            prop_assert!(out.lines().all(|line| line.len() <= width || !line.trim().contains(' ')));
        }

        #[test]
        fn no_control_character_reaches_a_terminal(text in "\\PC{0,20}[\\x00-\\x1f]{0,5}") {
            prop_assert!(plain(&text).chars().all(|c| !c.is_control() || c == '\n'));
        }
    }
}
