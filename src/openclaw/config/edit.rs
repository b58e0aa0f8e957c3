//! Edits of a JSON5 text as splices of bytes, in the style of the text around them.

use super::syntax::{Root, range_of, skip_trivia};
use jsonc_parser::ast::{Object, ObjectPropName, Value as Node};
use serde_json::Value;
use std::ops::Range;
use zeroize::Zeroizing;

/// New text for a range of the old.
pub(super) struct Splice {
    range: Range<usize>,
    with: String,
}

impl Splice {
    fn new(range: Range<usize>, with: impl Into<String>) -> Self {
        Splice {
            range,
            with: with.into(),
        }
    }

    /// The bytes that it takes away.
    pub(super) fn range(&self) -> Range<usize> {
        self.range.clone()
    }
}

/// The text with all splices done. They do not overlap.
pub(super) fn apply(text: &str, mut splices: Vec<Splice>) -> Zeroizing<String> {
    splices.sort_by_key(|splice| splice.range.start);
    let added: usize = splices.iter().map(|splice| splice.with.len()).sum();
    // Enough room from the start: growing would leave unwiped copies behind.
    let mut result = Zeroizing::new(String::with_capacity(text.len() + added));
    let mut done = 0;
    for splice in splices {
        result.push_str(&text[done..splice.range.start]);
        result.push_str(&splice.with);
        done = splice.range.end;
    }
    result.push_str(&text[done..]);
    result
}

/// `value` inside one object for each key.
pub(super) fn nested(keys: &[&str], value: &Value) -> Value {
    keys.iter().rev().fold(value.clone(), |inner, key| {
        Value::Object([((*key).to_owned(), inner)].into_iter().collect())
    })
}

/// Puts `value` in the place of `node`.
pub(super) fn replace(text: &str, node: &Node<'_>, value: &Value) -> Vec<Splice> {
    let range = range_of(node);
    let indent = indent_at(text, range.start);
    let alone = own_line_start(text, range.start).is_some() || starts_own_line(text, range.start);
    let style = if alone {
        Style::Lines {
            newline: newline(text),
            unit: unit(text),
        }
    } else {
        Style::Inline
    };
    let mut written = String::new();
    write(value, &style, indent, &mut written);
    vec![Splice::new(range, written)]
}

/// Puts `key` in the place of another, quoted as that was.
pub(super) fn renamed(name: &ObjectPropName<'_>, key: &str) -> Splice {
    match name {
        ObjectPropName::Word(word) => Splice::new(word.range.start..word.range.end, key),
        ObjectPropName::String(quoted) => {
            let written = Value::from(key).to_string();
            Splice::new(quoted.range.start..quoted.range.end, written)
        }
    }
}

/// Adds `key` at the end of `object`.
pub(super) fn insert(
    text: &str,
    root: &Root<'_>,
    object: &Object<'_>,
    key: &str,
    value: &Value,
) -> Vec<Splice> {
    let lines = Style::Lines {
        newline: newline(text),
        unit: unit(text),
    };
    let Some(last) = object.properties.last() else {
        return vec![insert_first(text, root, object, key, value, &lines)];
    };
    let value_end = range_of(&last.value).end;
    let next = skip_trivia(text, value_end);
    let has_comma = text[next..].starts_with(',');
    let Some(line_start) = own_line_start(text, last.range.start) else {
        let entry = entry(key, value, &Style::Inline, "");
        return vec![if has_comma {
            Splice::new(next + 1..next + 1, format!(" {entry},"))
        } else {
            Splice::new(value_end..value_end, format!(", {entry}"))
        }];
    };
    let indent = &text[line_start..last.range.start];
    let after = if has_comma { next + 1 } else { value_end };
    let at = past_comments_of_line(text, after);
    let mut splices = Vec::new();
    let comma_after = if has_comma { "," } else { "" };
    let addition = format!(
        "{}{indent}{}{comma_after}",
        newline(text),
        entry(key, value, &lines, indent)
    );
    if !has_comma {
        splices.push(Splice::new(value_end..value_end, ","));
    }
    splices.push(Splice::new(at..at, addition));
    splices
}

/// Adds the first key of an empty object.
fn insert_first(
    text: &str,
    root: &Root<'_>,
    object: &Object<'_>,
    key: &str,
    value: &Value,
    lines: &Style<'_>,
) -> Splice {
    let inner = object.range.start + 1..object.range.end - 1;
    let kept = text[inner.clone()].trim_end();
    let whole = &text[root.object.range.start..root.object.range.end];
    // A document on one line stays on one line.
    if !whole.contains('\n') && !root.object.properties.is_empty() {
        let entry = entry(key, value, &Style::Inline, "");
        return Splice::new(inner, format!("{kept} {entry} "));
    }
    let outer = indent_at(text, object.range.start);
    let newline = newline(text);
    let indent = format!("{outer}{}", unit(text));
    let entry = entry(key, value, lines, &indent);
    Splice::new(
        inner,
        format!("{kept}{newline}{indent}{entry}{newline}{outer}"),
    )
}

/// Takes the property at `index` out of `object`; comments stay.
pub(super) fn remove(text: &str, object: &Object<'_>, index: usize) -> Vec<Splice> {
    let property = &object.properties[index];
    let start = property.range.start;
    let end = range_of(&property.value).end;
    let inner = object.range.start + 1..object.range.end - 1;
    let next = skip_trivia(text, end);
    let comma = text[next..].starts_with(',').then_some(next);
    let rest = comma.map_or(end, |comma| comma + 1);
    let blank = |range: Range<usize>| text[range].trim().is_empty();
    let bare = blank(inner.start..start) && blank(end..comma.unwrap_or(end));
    if object.properties.len() == 1 && bare && blank(rest..inner.end) {
        return vec![Splice::new(inner, "")];
    }
    if let Some(comma) = comma {
        if !blank(end..comma) {
            return vec![
                Splice::new(start..end, ""),
                Splice::new(comma..comma + 1, ""),
            ];
        }
        return vec![Splice::new(whole_line(text, start, comma + 1), "")];
    }
    let before = index
        .checked_sub(1)
        .map(|before| range_of(&object.properties[before].value).end)
        .map(|end| skip_trivia(text, end));
    match before {
        Some(comma) if blank(comma + 1..start) => vec![Splice::new(comma..end, "")],
        Some(comma) => vec![
            Splice::new(comma..comma + 1, ""),
            Splice::new(whole_line(text, start, end), ""),
        ],
        None => vec![Splice::new(whole_line(text, start, end), "")],
    }
}

/// `start..end`, widened to its whole line when nothing else stands there, else by the blanks that
/// follow it.
fn whole_line(text: &str, start: usize, end: usize) -> Range<usize> {
    let tail = &text[end..];
    let blanks = tail.len() - tail.trim_start_matches([' ', '\t']).len();
    let after = &tail[blanks..];
    let line_end = if after.starts_with("\r\n") {
        Some(2)
    } else {
        after.starts_with('\n').then_some(1)
    };
    match (own_line_start(text, start), line_end) {
        (Some(line_start), Some(width)) => line_start..end + blanks + width,
        // Last on its line: the blanks before it would be left at the line's end.
        (None, Some(_)) => {
            let head = &text[..start];
            head.trim_end_matches([' ', '\t']).len()..end
        }
        _ => start..end + blanks,
    }
}

/// Behind the comments that follow `at` on its line.
fn past_comments_of_line(text: &str, at: usize) -> usize {
    let mut here = at;
    let mut past = at;
    loop {
        let rest = &text[here..];
        let trimmed = rest.trim_start_matches([' ', '\t']);
        here += rest.len() - trimmed.len();
        if trimmed.starts_with("//") {
            return here + trimmed.find(['\n', '\r']).unwrap_or(trimmed.len());
        }
        if !trimmed.starts_with("/*") {
            return past;
        }
        here += trimmed.find("*/").map_or(trimmed.len(), |end| end + 2);
        past = here;
    }
}

/// The start of the line of `at` when only blanks stand before it there.
fn own_line_start(text: &str, at: usize) -> Option<usize> {
    let line_start = text[..at].rfind('\n')? + 1;
    text[line_start..at]
        .chars()
        .all(|c| c == ' ' || c == '\t')
        .then_some(line_start)
}

/// Whether the property whose value is at `at` is the first thing on its line and the line holds
/// only it, so that a longer value may take several lines.
fn starts_own_line(text: &str, at: usize) -> bool {
    let Some(newline) = text[..at].rfind('\n') else {
        return false;
    };
    let line = &text[newline + 1..at];
    !line.contains(['{', '[', ','])
}

/// The blanks at the start of the line of `at`.
fn indent_at(text: &str, at: usize) -> &str {
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = &text[line_start..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// The file's line end.
fn newline(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// One step of the file's indentation: the first indented line's, else two spaces.
fn unit(text: &str) -> &str {
    text.split('\n')
        .skip(1)
        .find_map(|line| {
            let body = line.trim_start_matches([' ', '\t']);
            let blanks = &line[..line.len() - body.len()];
            let is_key = !body.trim().is_empty() && !body.starts_with(['/', '*']);
            (is_key && !blanks.is_empty()).then_some(blanks)
        })
        .unwrap_or("  ")
}

enum Style<'a> {
    Inline,
    Lines { newline: &'a str, unit: &'a str },
}

fn entry(key: &str, value: &Value, style: &Style<'_>, indent: &str) -> String {
    let mut written = format!("{}: ", Value::from(key));
    write(value, style, indent, &mut written);
    written
}

/// Writes JSON, which is JSON5 too; in lines as OpenClaw writes its own file.
fn write(value: &Value, style: &Style<'_>, indent: &str, out: &mut String) {
    let items: Vec<(Option<&String>, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (Some(key), value)).collect(),
        Value::Array(list) => list.iter().map(|value| (None, value)).collect(),
        scalar => return out.push_str(&scalar.to_string()),
    };
    let (open, close) = if value.is_object() {
        ('{', '}')
    } else {
        ('[', ']')
    };
    out.push(open);
    let deeper = match style {
        Style::Inline => String::new(),
        Style::Lines { unit, .. } => format!("{indent}{unit}"),
    };
    for (index, (key, item)) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match style {
            Style::Inline if index > 0 => out.push(' '),
            Style::Inline => {}
            Style::Lines { newline, .. } => {
                out.push_str(newline);
                out.push_str(&deeper);
            }
        }
        if let Some(key) = key {
            out.push_str(&Value::from(key.as_str()).to_string());
            out.push_str(": ");
        }
        write(item, style, &deeper, out);
    }
    if let (Style::Lines { newline, .. }, false) = (style, items.is_empty()) {
        out.push_str(newline);
        out.push_str(indent);
    }
    out.push(close);
}

/// Puts `value`, on one line, in the place of `range`.
pub(super) fn inline(range: Range<usize>, value: &Value) -> Splice {
    let mut written = String::new();
    write(value, &Style::Inline, "", &mut written);
    Splice::new(range, written)
}
