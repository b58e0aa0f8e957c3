//! The syntax tree of a JSON5 text and the ways through it. Knows byte ranges; changes nothing.

use super::INCLUDE;
use jsonc_parser::ast::{Object, Value as Node};
use jsonc_parser::tokens::Token;
use jsonc_parser::{CollectOptions, CommentCollectionStrategy, ParseOptions, parse_to_ast};
use serde_json::Value;
use std::fmt;
use std::ops::Range;
use zeroize::Zeroizing;

/// Where a text stops being JSON5. Says the place only: the rest of the parser's message could
/// quote the text.
pub(super) struct Place {
    line: usize,
    column: usize,
    what: &'static str,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at line {}, column {}",
            self.what, self.line, self.column
        )
    }
}

/// Why a path cannot be followed. `depth` counts the keys from the root; lines count from 1.
pub(super) enum Trouble {
    NoObject { depth: usize, line: usize },
    Twice { depth: usize, line: usize },
    Included { depth: usize, line: usize },
}

/// Where a path leads: to a value, or to the object in which its key at `depth` is missing.
pub(super) enum Found<'a, 'b> {
    Whole {
        node: &'b Node<'a>,
    },
    Parent {
        object: &'b Object<'a>,
        depth: usize,
    },
}

/// A string value: its path, where it stands (quotes included), and what it says.
pub(crate) struct StringAt {
    /// Keys and indices from the root.
    pub(crate) path: Vec<String>,
    /// Bytes of the text, quotes included.
    pub(crate) range: Range<usize>,
    /// The decoded value.
    pub(crate) value: Zeroizing<String>,
}

/// Where a comment stands, its delimiters included.
pub(crate) type Comment = Range<usize>;

/// The parsed root, together with the text that it was parsed from.
pub(super) struct Root<'a> {
    /// The object itself.
    pub(super) object: Object<'a>,
    text: &'a str,
}

/// JSON5 as OpenClaw's parser takes it: a missing comma is an error there too.
fn dialect() -> ParseOptions {
    ParseOptions {
        allow_missing_commas: false,
        ..ParseOptions::default()
    }
}

/// Parses `text` and lets `look` see the root object.
pub(super) fn with_root<T>(
    text: &str,
    look: impl FnOnce(&Root<'_>) -> T,
) -> std::result::Result<T, Place> {
    let collect = CollectOptions {
        comments: CommentCollectionStrategy::AsTokens,
        tokens: true,
    };
    let parsed = parse_to_ast(text, &collect, &dialect()).map_err(|error| Place {
        line: error.line_display(),
        column: error.column_display(),
        what: "unexpected text",
    })?;
    for token in parsed.tokens.iter().flatten() {
        if let Token::CommentLine(comment) = &token.token
            && comment.contains(['\u{2028}', '\u{2029}'])
        {
            return Err(Place {
                line: line_of(text, token.range.start),
                column: 1,
                what: "a comment with a hidden line end",
            });
        }
    }
    match parsed.value {
        Some(Node::Object(object)) => Ok(look(&Root { object, text })),
        _ => Err(Place {
            line: 1,
            column: 1,
            what: "no object",
        }),
    }
}

/// The places of all comments, in order.
pub(super) fn comments(text: &str) -> Vec<Comment> {
    let collect = CollectOptions {
        comments: CommentCollectionStrategy::AsTokens,
        tokens: true,
    };
    let Ok(parsed) = parse_to_ast(text, &collect, &dialect()) else {
        return Vec::new();
    };
    parsed
        .tokens
        .iter()
        .flatten()
        .filter(|token| matches!(token.token, Token::CommentLine(_) | Token::CommentBlock(_)))
        .map(|token| token.range.start..token.range.end)
        .collect()
}

/// Line number of a byte, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    let before = &text.as_bytes()[..at.min(text.len())];
    1 + before.iter().fold(0, |n, b| n + usize::from(*b == b'\n'))
}

/// Follows `path` for an edit, and refuses what makes the edit ambiguous.
pub(super) fn find<'a, 'b>(
    root: &'b Root<'a>,
    path: &[&str],
) -> std::result::Result<Found<'a, 'b>, Trouble> {
    let mut object = &root.object;
    for (depth, key) in path.iter().enumerate() {
        if let Some(include) = object.get(INCLUDE) {
            let line = line_of(root.text, include.range.start);
            return Err(Trouble::Included { depth, line });
        }
        let Some(index) = only(root, object, key, depth)? else {
            return Ok(Found::Parent { object, depth });
        };
        let node = &object.properties[index].value;
        if depth + 1 == path.len() {
            return Ok(Found::Whole { node });
        }
        match node {
            Node::Object(inner) => object = inner,
            other => {
                let line = line_of(root.text, range_of(other).start);
                return Err(Trouble::NoObject {
                    depth: depth + 1,
                    line,
                });
            }
        }
    }
    Err(Trouble::NoObject { depth: 0, line: 1 })
}

/// Follows `path` to a key that is to go; `None` when it is not there. Array indices are followed,
/// and `$include` is no obstacle: what stands here can go from here.
pub(super) fn find_for_removal<'a, 'b>(
    root: &'b Root<'a>,
    path: &[&str],
) -> std::result::Result<Option<(&'b Object<'a>, usize)>, Trouble> {
    let Some((last, above)) = path.split_last() else {
        return Ok(None);
    };
    let mut here: Option<&Node<'a>> = None;
    for (depth, key) in above.iter().enumerate() {
        let object = match here {
            None => &root.object,
            Some(Node::Object(object)) => object,
            Some(Node::Array(array)) => {
                here = key.parse().ok().and_then(|i: usize| array.elements.get(i));
                if here.is_none() {
                    return Ok(None);
                }
                continue;
            }
            Some(_) => return Ok(None),
        };
        match only(root, object, key, depth)? {
            Some(index) => here = Some(&object.properties[index].value),
            None => return Ok(None),
        }
    }
    let object = match here {
        None => &root.object,
        Some(Node::Object(object)) => object,
        Some(_) => return Ok(None),
    };
    Ok(only(root, object, last, above.len())?.map(|index| (object, index)))
}

/// The index of the one property `key`.
fn only(
    root: &Root<'_>,
    object: &Object<'_>,
    key: &str,
    depth: usize,
) -> std::result::Result<Option<usize>, Trouble> {
    let mut indices = object
        .properties
        .iter()
        .enumerate()
        .filter(|(_, property)| property.name.as_str() == key)
        .map(|(index, _)| index);
    let first = indices.next();
    if let Some(second) = indices.next() {
        return Err(Trouble::Twice {
            depth: depth + 1,
            line: line_of(root.text, object.properties[second].range.start),
        });
    }
    Ok(first)
}

/// What stands at `path` as OpenClaw reads it: of two equal keys the last.
pub(super) fn node_at<'a, 'b>(root: &'b Root<'a>, path: &[&str]) -> Option<&'b Node<'a>> {
    let (first, rest) = path.split_first()?;
    let mut node = &last_named(&root.object, first)?.value;
    for key in rest {
        node = match node {
            Node::Object(object) => &last_named(object, key)?.value,
            Node::Array(array) => array.elements.get(key.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(node)
}

fn last_named<'a, 'b>(
    object: &'b Object<'a>,
    key: &str,
) -> Option<&'b jsonc_parser::ast::ObjectProp<'a>> {
    let mut named = object.properties.iter().rev();
    named.find(|property| property.name.as_str() == key)
}

/// Visits every value below the root, and the root, parents first.
pub(super) fn walk(
    root: &Root<'_>,
    path: &mut Vec<String>,
    visit: &mut impl FnMut(&[String], &Node<'_>),
) {
    fn inner(
        node: &Node<'_>,
        path: &mut Vec<String>,
        visit: &mut impl FnMut(&[String], &Node<'_>),
    ) {
        visit(path, node);
        match node {
            Node::Object(object) => {
                for property in &object.properties {
                    path.push(property.name.as_str().to_owned());
                    inner(&property.value, path, visit);
                    path.pop();
                }
            }
            Node::Array(array) => {
                for (index, element) in array.elements.iter().enumerate() {
                    path.push(index.to_string());
                    inner(element, path, visit);
                    path.pop();
                }
            }
            _ => {}
        }
    }
    inner(&Node::Object(root.object.clone()), path, visit);
}

/// Where a value stands.
pub(super) fn range_of(node: &Node<'_>) -> Range<usize> {
    let range = match node {
        Node::StringLit(n) => n.range,
        Node::NumberLit(n) => n.range,
        Node::BooleanLit(n) => n.range,
        Node::Object(n) => n.range,
        Node::Array(n) => n.range,
        Node::NullKeyword(n) => n.range,
    };
    range.start..range.end
}

/// The value as JSON. Numbers that JSON does not have (`Infinity`, `NaN`) become `null`.
pub(super) fn to_value(node: &Node<'_>) -> Value {
    match node {
        Node::StringLit(text) => Value::String(text.value.to_string()),
        Node::NumberLit(number) => number_value(number.value),
        Node::BooleanLit(yes) => Value::Bool(yes.value),
        Node::NullKeyword(_) => Value::Null,
        Node::Array(array) => Value::Array(array.elements.iter().map(to_value).collect()),
        Node::Object(object) => Value::Object(
            object
                .properties
                .iter()
                .map(|property| (property.name.as_str().to_owned(), to_value(&property.value)))
                .collect(),
        ),
    }
}

/// What `new` says otherwise than `old`: new or changed values, and `None` for what is gone.
/// Only what differs is copied.
pub(super) fn differences(
    old: &Object<'_>,
    new: &Object<'_>,
    path: &mut Vec<String>,
    out: &mut Vec<(Vec<String>, Option<Value>)>,
) {
    for property in &old.properties {
        let key = property.name.as_str();
        if new.get(key).is_none() {
            path.push(key.to_owned());
            out.push((path.clone(), None));
            path.pop();
        }
    }
    for property in &new.properties {
        let key = property.name.as_str();
        path.push(key.to_owned());
        match (last_named(old, key).map(|old| &old.value), &property.value) {
            (Some(Node::Object(old)), Node::Object(new)) => differences(old, new, path, out),
            (Some(old), new) if same(old, new) => {}
            (_, new) => out.push((path.clone(), Some(to_value(new)))),
        }
        path.pop();
    }
}

/// Whether two values are equal, whatever their spelling and the order of their keys.
fn same(a: &Node<'_>, b: &Node<'_>) -> bool {
    match (a, b) {
        (Node::StringLit(a), Node::StringLit(b)) => a.value == b.value,
        (Node::Array(a), Node::Array(b)) => {
            a.elements.len() == b.elements.len()
                && a.elements.iter().zip(&b.elements).all(|(a, b)| same(a, b))
        }
        (Node::Object(a), Node::Object(b)) => {
            a.properties.len() == b.properties.len()
                && a.properties.iter().all(|property| {
                    b.get(property.name.as_str())
                        .is_some_and(|other| same(&property.value, &other.value))
                })
        }
        (Node::NumberLit(a), Node::NumberLit(b)) => {
            let (a, b) = (number_value(a.value), number_value(b.value));
            a == b || (a.as_f64().is_some() && a.as_f64() == b.as_f64())
        }
        (a, b) => to_value(a) == to_value(b),
    }
}

fn number_value(text: &str) -> Value {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if let Some(hex) = digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        let Ok(size) = i64::from_str_radix(hex, 16) else {
            return Value::Null;
        };
        return Value::from(if negative { -size } else { size });
    }
    let signed = text.strip_prefix('+').unwrap_or(text);
    if let Ok(number) = signed.parse::<i64>() {
        return Value::from(number);
    }
    if let Ok(number) = signed.parse::<u64>() {
        return Value::from(number);
    }
    signed
        .parse::<f64>()
        .ok()
        .and_then(serde_json::Number::from_f64)
        .map_or(Value::Null, Value::Number)
}

/// The first byte at or after `at` that is neither white space nor in a comment.
pub(super) fn skip_trivia(text: &str, mut at: usize) -> usize {
    loop {
        let rest = &text[at..];
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        if trimmed.starts_with("//") {
            at += trimmed.find(['\n', '\r']).unwrap_or(trimmed.len());
        } else if trimmed.starts_with("/*") {
            at += trimmed.find("*/").map_or(trimmed.len(), |end| end + 2);
        } else {
            return at;
        }
    }
}
