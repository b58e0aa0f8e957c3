//! Tables for people: aligned where they fit the terminal, otherwise one entry below the other. Ring 4;
//! makes text, prints nothing.
//!
//! Promises: no line is wider than the terminal unless one word is; nothing is cut off; colour is never the
//! only thing that says something, and is there only when it was asked for.

use super::app::App;
use super::ui::{is_plain, plain};
use std::borrow::Cow;
use std::fmt::Write as _;

/// The least width of a last column that is worth wrapping in.
const NARROWEST: usize = 20;

/// What a row mostly takes, in bytes.
const ROW: usize = 96;

/// Between two columns.
const GAP: usize = 2;

/// How a text looks on a terminal with colours. What it means stands in the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// As any other.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// Soon it is not.
    Doubtful,
    /// It is not.
    Bad,
    /// What is looked for.
    Strong,
}

impl Tone {
    fn code(self) -> Option<&'static str> {
        match self {
            Tone::Plain => None,
            Tone::Good => Some("32"),
            Tone::Doubtful => Some("33"),
            Tone::Bad => Some("31"),
            Tone::Strong => Some("1"),
        }
    }

    /// The text in that tone, if there are colours.
    pub fn paint(self, text: &str, colours: bool) -> Cow<'_, str> {
        match self.code() {
            Some(code) if colours && !text.is_empty() => {
                Cow::Owned(format!("\x1b[{code}m{text}\x1b[0m"))
            }
            _ => Cow::Borrowed(text),
        }
    }
}

/// One place of a table.
#[derive(Debug, Clone, Default)]
pub struct Cell<T> {
    text: T,
    tone: Tone,
}

impl<T: AsRef<str>> Cell<T> {
    /// A text in a tone; its control characters are escaped when it is put into a table.
    pub fn new(text: T, tone: Tone) -> Self {
        Cell { text, tone }
    }
}

impl<T: AsRef<str>> From<T> for Cell<T> {
    fn from(text: T) -> Self {
        Cell::new(text, Tone::Plain)
    }
}

/// A text as it stands in a table.
#[derive(Debug, Clone, Copy)]
struct Placed<'a> {
    text: &'a str,
    width: usize,
    tone: Tone,
}

/// Where it lies: behind the one before.
#[derive(Debug, Clone, Copy)]
struct Laid {
    end: usize,
    width: usize,
    tone: Tone,
}

/// What the terminal is like.
#[derive(Debug, Clone, Copy, Default)]
pub struct Screen {
    /// Its width in columns; `None` when it is none: then every line is as long as it is.
    pub width: Option<usize>,
    /// Whether it has colours, and they are wanted.
    pub colours: bool,
}

impl Screen {
    /// What this program's output goes to. Colours are for a terminal that has them, unless `NO_COLOR` has a
    /// value.
    pub fn of(app: &App) -> Self {
        let width = app.ui.width();
        let said = |name| app.host.var(name).filter(|value| !value.is_empty());
        let has_colours = said("TERM").is_some_and(|term| term != "dumb");
        Screen {
            width,
            colours: width.is_some() && has_colours && said("NO_COLOR").is_none(),
        }
    }
}

/// Rows below a heading.
pub struct Table {
    heading: Vec<&'static str>,
    /// The column that names an entry.
    title: usize,
    /// The texts of all, one behind the other: there may be thousands.
    text: String,
    cells: Vec<Laid>,
    /// Where each row ends among the cells.
    ends: Vec<usize>,
}

impl Table {
    /// A table with these columns. The one with the index `title` names a row.
    pub fn new(heading: &[&'static str], title: usize) -> Self {
        Table {
            heading: heading.to_vec(),
            title,
            text: String::new(),
            cells: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// The same, with room for so many rows.
    #[must_use]
    pub fn with_room(mut self, rows: usize) -> Self {
        self.text.reserve(rows * ROW);
        self.cells.reserve(rows * self.heading.len());
        self.ends.reserve(rows);
        self
    }

    /// One more row.
    pub fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = Cell<T>>) {
        for cell in cells {
            let text = cell.text.as_ref();
            let width = if is_plain(text) && !text.contains('\n') {
                self.text.push_str(text);
                text.len()
            } else {
                let text = plain(text).replace('\n', " ");
                self.text.push_str(&text);
                text.chars().count()
            };
            self.cells.push(Laid {
                end: self.text.len(),
                width,
                tone: cell.tone,
            });
        }
        self.ends.push(self.cells.len());
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn rows(&self) -> impl Iterator<Item = impl Iterator<Item = Placed<'_>>> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(move |(start, end)| {
            let before = start.checked_sub(1).and_then(|at| self.cells.get(at));
            let mut from = before.map_or(0, |cell| cell.end);
            self.cells[start..*end].iter().map(move |cell| Placed {
                text: &self.text[std::mem::replace(&mut from, cell.end)..cell.end],
                width: cell.width,
                tone: cell.tone,
            })
        })
    }

    /// Lines, each with its end. `indent` blanks stand before each.
    pub fn render(&self, screen: Screen, indent: usize) -> String {
        let mut widths: Vec<usize> = self.heading.iter().map(|text| text.len()).collect();
        for row in self.rows() {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width.max(*width);
            }
        }
        let last = widths.len().saturating_sub(1);
        let before: usize = indent
            + widths[..last]
                .iter()
                .map(|width| width + GAP)
                .sum::<usize>();
        let Some(width) = screen.width else {
            return self.aligned(&widths, None, screen, indent);
        };
        if before + widths[last] <= width {
            self.aligned(&widths, None, screen, indent)
        } else if before + NARROWEST <= width {
            self.aligned(&widths, Some(width - before), screen, indent)
        } else {
            self.stacked(width, screen, indent)
        }
    }

    /// Columns. The last one is wrapped in `rest` columns.
    fn aligned(
        &self,
        widths: &[usize],
        rest: Option<usize>,
        screen: Screen,
        indent: usize,
    ) -> String {
        // As much as it can be: a text that grows is copied.
        let of_row = indent + widths.iter().map(|width| width + GAP).sum::<usize>();
        let mut out = String::with_capacity((self.ends.len() + 1) * (of_row + 1));
        let last = widths.len().saturating_sub(1);
        let mut starts = vec![indent];
        for width in widths {
            starts.push(starts.last().copied().unwrap_or(0) + width + GAP);
        }
        let heading = self.heading.iter().map(|text| Placed {
            text,
            width: text.len(),
            tone: Tone::Plain,
        });
        let mut line = |row: &mut dyn Iterator<Item = Placed<'_>>| {
            let mut column = 0;
            let written = row.zip(&starts).enumerate();
            for (at, (cell, start)) in written.filter(|(_, (cell, _))| !cell.text.is_empty()) {
                let Some(rest) = rest.filter(|_| at == last) else {
                    out.extend(std::iter::repeat_n(' ', start.saturating_sub(column)));
                    out.push_str(&cell.tone.paint(cell.text, screen.colours));
                    column = start + cell.width;
                    continue;
                };
                let lines = wrapped(cell.text, rest);
                for (number, line) in lines.iter().enumerate() {
                    if number > 0 {
                        out.push('\n');
                        column = 0;
                    }
                    let blank = start.saturating_sub(column);
                    let _ = write!(out, "{:blank$}", "");
                    out.push_str(&cell.tone.paint(line, screen.colours));
                    column = start + line.chars().count();
                }
            }
            out.push('\n');
        };
        line(&mut heading.into_iter());
        for mut row in self.rows() {
            line(&mut row);
        }
        out
    }

    /// One entry below the other: its name, then `heading: text` for each.
    fn stacked(&self, width: usize, screen: Screen, indent: usize) -> String {
        let mut out = String::new();
        for row in self.rows() {
            let row: Vec<Placed<'_>> = row.collect();
            let mut line = |indent: usize, prefix: &str, cell: &Placed<'_>| {
                let room = width.saturating_sub(indent).max(1);
                let lines = wrapped(
                    &format!("{prefix}{}", cell.text),
                    room.saturating_sub(2).max(1),
                );
                for (number, text) in lines.iter().enumerate() {
                    let indent = if number == 0 { indent } else { indent + 2 };
                    let _ = write!(out, "{:indent$}", "");
                    match text.strip_prefix(prefix).filter(|_| number == 0) {
                        Some(rest) => {
                            out.push_str(prefix);
                            out.push_str(&cell.tone.paint(rest, screen.colours));
                        }
                        None => out.push_str(&cell.tone.paint(text, screen.colours)),
                    }
                    out.push('\n');
                }
            };
            let title = row.get(self.title).filter(|title| !title.text.is_empty());
            if let Some(title) = title {
                line(indent, "", title);
            }
            for (at, (heading, cell)) in self.heading.iter().zip(&row).enumerate() {
                if at != self.title && !cell.text.is_empty() {
                    line(indent + 2, &format!("{}: ", heading.to_lowercase()), cell);
                }
            }
        }
        out
    }
}

/// The text in lines of at most `width` columns, broken between words; a word that is wider stays whole, so
/// that paths can be copied.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut column = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            lines.push(String::new());
            column = 0;
        }
        if let Some(line) = lines.last_mut() {
            if column > 0 {
                line.push(' ');
                column += 1;
            }
            line.push_str(word);
            column += length;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Table {
        let mut table = Table::new(&["TRIED", "PROFILE", "STATE"], 1);
        table.row(["1", "anthropic:work", "next"].map(Cell::from));
        table.row([
            Cell::from("no"),
            Cell::from("anthropic:home"),
            Cell::new("expired 3 days ago (2026-11-20 14:05 +00:00)", Tone::Bad),
        ]);
        table.row(["2", "", "ok"].map(Cell::from));
        table
    }

    fn at(width: Option<usize>) -> Screen {
        Screen {
            width,
            colours: false,
        }
    }

    #[test]
    fn it_is_aligned_where_it_fits() {
        let wide = "  TRIED  PROFILE         STATE
  1      anthropic:work  next
  no     anthropic:home  expired 3 days ago (2026-11-20 14:05 +00:00)
  2                      ok
";
        assert_eq!(sample().render(at(None), 2), wide);
        assert_eq!(sample().render(at(Some(80)), 2), wide);
    }

    #[test]
    fn the_last_column_is_wrapped_while_there_is_room() {
        let wrapped = "TRIED  PROFILE         STATE
1      anthropic:work  next
no     anthropic:home  expired 3 days ago
                       (2026-11-20 14:05
                       +00:00)
2                      ok
";
        assert_eq!(sample().render(at(Some(43)), 0), wrapped);
    }

    #[test]
    fn on_a_phone_one_stands_below_the_other() {
        let stacked = "anthropic:work
  tried: 1
  state: next
anthropic:home
  tried: no
  state: expired 3 days ago
    (2026-11-20 14:05 +00:00)
  tried: 2
  state: ok
";
        assert_eq!(sample().render(at(Some(36)), 0), stacked);
    }

    #[test]
    fn colours_change_no_word_and_no_place() {
        for width in [None, Some(80), Some(43), Some(36)] {
            let screen = Screen {
                width,
                colours: true,
            };
            let painted = sample().render(screen, 0);
            assert!(painted.contains("\x1b[31mexpired"));
            let mut bare = String::new();
            for (at, part) in painted.split('\x1b').enumerate() {
                bare.push_str(if at == 0 {
                    part
                } else {
                    &part[part.find('m').unwrap() + 1..]
                });
            }
            assert_eq!(bare, sample().render(at(width), 0));
        }
    }

    #[test]
    fn a_name_is_shown_as_text() {
        let mut table = Table::new(&["PROFILE", "STATE"], 0);
        table.row(["a\x1b[2Jb\nc", "ok"].map(Cell::from));
        let shown = table.render(at(None), 0);
        assert!(shown.contains("a\\u{1b}[2Jb c"), "{shown}");
        assert_eq!(shown.lines().count(), 2);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_only_a_word_is_too_wide(
            rows in proptest::collection::vec(proptest::collection::vec("[a-z]{1,9}( [a-z]{1,30}){0,5}", 3), 1..5),
            width in 20usize..100,
            indent in 0usize..5,
        ) {
            let mut table = Table::new(&["ONE", "TWO", "THREE"], 1);
            for row in &rows {
                table.row(row.iter().map(Cell::from));
            }
            let shown = table.render(at(Some(width)), indent);
            for row in &rows {
                for word in row.iter().flat_map(|cell| cell.split(' ')) {
                    prop_assert!(shown.contains(word));
                }
            }
            for line in shown.lines() {
                let words = line.split_whitespace().count();
                prop_assert!(line.chars().count() <= width || words <= 2, "{width}: {line}");
            }
        }
    }
}
