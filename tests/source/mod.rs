//! This package's own files, as the tests of its walls and papers read them. Knows Rust's comments,
//! texts and attributes, no more of its grammar.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test program compiles this and uses its part"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test support: a panic is how a test fails"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A path below this package's folder.
pub fn root(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// A text of this package.
#[track_caller]
pub fn text(below: &str) -> String {
    std::fs::read_to_string(root(below)).unwrap_or_else(|error| panic!("{below}: {error}"))
}

/// One Rust file.
pub struct Source {
    /// Its path below the package, with `/`.
    pub path: String,
    /// All of it.
    pub text: String,
    /// Without comments.
    pub code: String,
    /// Without comments, and with nothing between the quotes of texts.
    pub bare: String,
    /// `bare` without `#[cfg(test)]` modules; empty in a file that is all test.
    pub shipped: String,
}

/// Every `.rs` file below `dir`, sorted by path.
pub fn sources(dir: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut dirs = vec![root(dir)];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).expect("a folder of this package") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no sources below {dir}");
    found.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Source {
    let below = path.strip_prefix(root("")).expect("a path of ours");
    let parts: Vec<_> = below.iter().map(|part| part.to_str().unwrap()).collect();
    let path = parts.join("/");
    let text = text(&path);
    let (code, bare) = strip(&text);
    let name = path.rsplit('/').next().unwrap_or_default();
    let all_test = name == "tests.rs" || name.starts_with("tests_") || name.ends_with("_tests.rs");
    let shipped = if all_test {
        String::new()
    } else {
        without_tests(&bare)
    };
    Source {
        path,
        text,
        code,
        bare,
        shipped,
    }
}

/// The code without comments, and the same with texts emptied.
pub fn strip(text: &str) -> (String, String) {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut bare) = (String::new(), String::new());
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let end = at
            + match rest {
                ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
                ['/', '*', ..] => comment(rest),
                _ => 0,
            };
        if end > at {
            at = end;
            code.push(' ');
            bare.push(' ');
            continue;
        }
        let end = at + literal(rest, at.checked_sub(1).map(|before| chars[before]));
        if end > at {
            code.extend(&chars[at..end]);
            bare.push_str("\"\"");
            at = end;
            continue;
        }
        code.push(chars[at]);
        bare.push(chars[at]);
        at += 1;
    }
    (code, bare)
}

fn comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => {
                depth += 1;
                at += 2;
            }
            ['*', '/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

/// How long the text or character is that begins here; 0 when none does.
fn literal(rest: &[char], before: Option<char>) -> usize {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let mut start = 0;
    if !in_word && matches!(rest.first(), Some('b' | 'c')) {
        start = 1;
    }
    let raw = !in_word && rest.get(start) == Some(&'r');
    let hashes = if raw {
        rest[start + 1..].iter().take_while(|c| **c == '#').count()
    } else {
        0
    };
    if raw && rest.get(start + 1 + hashes) == Some(&'"') {
        let mut at = start + 2 + hashes;
        while at < rest.len() {
            let closes = rest[at] == '"'
                && rest[at + 1..].len() >= hashes
                && rest[at + 1..at + 1 + hashes].iter().all(|c| *c == '#');
            at += 1;
            if closes {
                return at + hashes;
            }
        }
        return rest.len();
    }
    match rest.get(start) {
        Some('"') => quoted(rest, start, '"'),
        // A lifetime has no closing quote right after its first character.
        Some('\'') if rest.get(start + 1) == Some(&'\\') || rest.get(start + 2) == Some(&'\'') => {
            quoted(rest, start, '\'')
        }
        _ => 0,
    }
}

fn quoted(rest: &[char], start: usize, quote: char) -> usize {
    let mut at = start + 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Takes out every `#[cfg(test)]` item with braces.
fn without_tests(bare: &str) -> String {
    let mut out = String::new();
    let mut rest = bare;
    while let Some(at) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let semicolon = rest.find(';').unwrap_or(rest.len());
        let brace = rest.find('{').unwrap_or(rest.len());
        let mut end = semicolon.min(rest.len() - 1) + 1;
        if brace < semicolon {
            let mut depth = 0;
            for (offset, c) in rest.char_indices().skip(brace) {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 && c == '}' {
                    end = offset + 1;
                    break;
                }
            }
        }
        rest = &rest[end.min(rest.len())..];
    }
    out.push_str(rest);
    out
}

/// Where `word` stands in `code` as a whole word.
pub fn words<'c>(code: &'c str, word: &'c str) -> impl Iterator<Item = usize> + 'c {
    let inner = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .filter(move |(at, found)| {
            !code[..*at].ends_with(inner) && !code[at + found.len()..].starts_with(inner)
        })
        .map(|(at, _)| at)
}

/// One `allow` of a lint, with its reason.
#[derive(Debug)]
pub struct Allow {
    pub path: String,
    pub reason: String,
}

/// Every `allow` that names `lint`.
pub fn allows(sources: &[Source], lint: &str) -> Vec<Allow> {
    let mut found = Vec::new();
    for source in sources {
        for (at, _) in source.code.match_indices("allow(") {
            let inside = &source.code[at..];
            let end = inside.find(")]").unwrap_or(inside.len());
            let inside = &inside[..end];
            if words(inside, lint).next().is_none() {
                continue;
            }
            let reason = inside
                .split_once("reason = \"")
                .and_then(|(_, rest)| rest.rsplit_once('"'))
                .map_or("", |(reason, _)| reason);
            found.push(Allow {
                path: source.path.clone(),
                reason: reason.to_owned(),
            });
        }
    }
    found
}

/// The doors: where the code may do what clippy.toml forbids elsewhere, as `path: reason`.
pub fn doors(sources: &[Source]) -> BTreeSet<String> {
    allows(sources, "clippy::disallowed_methods")
        .into_iter()
        .filter_map(|allow| {
            let reason = allow.reason.strip_prefix("door: ")?;
            Some(format!("{}: {reason}", allow.path))
        })
        .collect()
}

/// The rows of the first Markdown table after `heading`, without head and rule; cells trimmed.
pub fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, after) = text
        .split_once(heading)
        .unwrap_or_else(|| panic!("no {heading}"));
    after
        .lines()
        .map(|line| line.trim_start_matches("//!").trim())
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            line.trim_matches('|')
                .split(" | ")
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
}
