//! A line diff of two configurations for people, with every credential masked.

use super::gateway::is_variable;
use crate::openclaw::config::{Config, names_credential};
use std::fmt::Write;
use std::path::Path;
use zeroize::Zeroizing;

/// Lines shown around a change.
const CONTEXT: usize = 3;

/// What stands in the place of a credential.
const MASK: &str = "***";

/// More line pairs than this are not compared one by one.
const MAX_PAIRS: usize = 4_000_000;

/// The change from `before` to `after` as a unified diff; empty when there is none.
///
/// Strings at places named like a credential, and strings and words of comments that look like one,
/// show as `***` wherever they stand.
pub fn diff(before: &Config, after: &Config) -> String {
    if before.bytes() == after.bytes() {
        return String::new();
    }
    let (old, new) = (masked(before), masked(after));
    let old: Vec<&str> = old.lines().collect();
    let new: Vec<&str> = new.lines().collect();
    let path = after.path().display();
    let mut out = format!("--- {path}\n+++ {path}\n");
    write_hunks(&steps(&old, &new), &mut out);
    out
}

/// The same of two texts of lines, each `NAME=value` or whatever else: only names are shown, and lines
/// that may be a value's second are masked whole.
pub fn diff_of_lines(path: &Path, before: &[u8], after: &[u8]) -> String {
    if before == after {
        return String::new();
    }
    let (old, new) = (masked_lines(before), masked_lines(after));
    let old: Vec<&str> = old.lines().collect();
    let new: Vec<&str> = new.lines().collect();
    let path = path.display();
    let mut out = format!("--- {path}\n+++ {path}\n");
    if old == new {
        // What differs is a value, or an end of a line: it is said, not shown.
        out.push_str("(the lines differ in what is masked here)\n");
    }
    write_hunks(&steps(&old, &new), &mut out);
    out
}

fn masked_lines(text: &[u8]) -> Zeroizing<String> {
    let text = Zeroizing::new(String::from_utf8_lossy(text).into_owned());
    let mut out = Zeroizing::new(String::with_capacity(text.len() + 64));
    for line in text.lines() {
        if let Some(shown) = name_of_line(line) {
            out.push_str(&line[..shown]);
            if !line[shown..].trim().is_empty() {
                out.push_str(MASK);
            }
        } else if line.trim_start().starts_with('#') {
            out.push_str(&mask_comment(line));
        } else if !line.trim().is_empty() {
            out.push_str(MASK);
        }
        out.push('\n');
    }
    out
}

/// How much of a line is a variable's name with what stands around it. Upper-case names alone: a line
/// of a longer value may have an equals sign too.
fn name_of_line(line: &str) -> Option<usize> {
    let rest = line.trim_start_matches(|c: char| c.is_whitespace() || c == '#');
    let rest = rest.strip_prefix("export ").unwrap_or(rest).trim_start();
    let end = rest.find(['=', ':'])?;
    let name = rest[..end].trim_end();
    let is_name = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    (is_name || name == "Environment").then_some(line.len() - rest.len() + end + 1)
}

#[derive(Clone, Copy, PartialEq)]
enum Step<'a> {
    Same(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// The longest common subsequence between what the two have in common at start and end.
fn steps<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Step<'a>> {
    let start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - start;
    let end = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(rest)
        .take_while(|(a, b)| a == b)
        .count();
    let a = &old[start..old.len() - end];
    let b = &new[start..new.len() - end];
    let mut steps: Vec<Step<'a>> = old[..start].iter().map(|line| Step::Same(line)).collect();
    let width = b.len() + 1;
    if (a.len() + 1).saturating_mul(width) > MAX_PAIRS {
        steps.extend(a.iter().map(|line| Step::Old(line)));
        steps.extend(b.iter().map(|line| Step::New(line)));
    } else {
        let mut common = vec![0u32; (a.len() + 1) * width];
        for i in (0..a.len()).rev() {
            for j in (0..b.len()).rev() {
                common[i * width + j] = if a[i] == b[j] {
                    common[(i + 1) * width + j + 1] + 1
                } else {
                    common[(i + 1) * width + j].max(common[i * width + j + 1])
                };
            }
        }
        let (mut i, mut j) = (0, 0);
        while i < a.len() || j < b.len() {
            if i < a.len() && j < b.len() && a[i] == b[j] {
                steps.push(Step::Same(a[i]));
                (i, j) = (i + 1, j + 1);
            } else if j == b.len()
                || (i < a.len() && common[(i + 1) * width + j] >= common[i * width + j + 1])
            {
                steps.push(Step::Old(a[i]));
                i += 1;
            } else {
                steps.push(Step::New(b[j]));
                j += 1;
            }
        }
    }
    steps.extend(old[old.len() - end..].iter().map(|line| Step::Same(line)));
    steps
}

fn write_hunks(steps: &[Step<'_>], out: &mut String) {
    let changed: Vec<usize> = (0..steps.len())
        .filter(|i| !matches!(steps[*i], Step::Same(_)))
        .collect();
    let mut index = 0;
    while let Some(&first) = changed.get(index) {
        let mut last = first;
        while let Some(&next) = changed.get(index) {
            if next > last + 2 * CONTEXT + 1 {
                break;
            }
            last = next;
            index += 1;
        }
        let from = first.saturating_sub(CONTEXT);
        let to = (last + CONTEXT + 1).min(steps.len());
        let count = |steps: &[Step<'_>], old: bool| {
            let other = |step: &&Step<'_>| match step {
                Step::Same(_) => true,
                Step::Old(_) => old,
                Step::New(_) => !old,
            };
            steps.iter().filter(other).count()
        };
        let hunk = &steps[from..to];
        let _ = writeln!(
            out,
            "@@ -{},{} +{},{} @@",
            count(&steps[..from], true) + 1,
            count(hunk, true),
            count(&steps[..from], false) + 1,
            count(hunk, false)
        );
        for step in hunk {
            let (sign, line) = match step {
                Step::Same(line) => (' ', line),
                Step::Old(line) => ('-', line),
                Step::New(line) => ('+', line),
            };
            let _ = writeln!(out, "{sign}{}", line.trim_end_matches('\r'));
        }
    }
}

/// The text with credentials masked.
fn masked(config: &Config) -> Zeroizing<String> {
    let (strings, comments) = config.strings_and_comments();
    let mut masks: Vec<(std::ops::Range<usize>, Zeroizing<String>)> = Vec::new();
    for string in strings {
        let key = string.path.last().map_or("", String::as_str);
        let above = string.path.iter().rev().skip(1);
        let in_headers = above
            .take(2)
            .any(|key| matches!(key.as_str(), "headers" | "env" | "vars"));
        let secret = names_credential(key) || in_headers || looks_secret(&string.value);
        if secret && !is_variable(&string.value) && !string.value.is_empty() {
            masks.push((string.range, Zeroizing::new(format!("\"{MASK}\""))));
        }
    }
    for range in comments {
        let comment = mask_comment(&config.text()[range.clone()]);
        masks.push((range, comment));
    }
    masks.sort_by_key(|(range, _)| range.start);
    let mut out = Zeroizing::new(String::with_capacity(config.text().len() * 2));
    let mut done = 0;
    for (range, mask) in masks {
        out.push_str(&config.text()[done..range.start]);
        out.push_str(&mask);
        done = range.end;
    }
    out.push_str(&config.text()[done..]);
    out
}

/// A comment may hold a setting that was taken out for a while, or its old value.
fn mask_comment(comment: &str) -> Zeroizing<String> {
    let ends = |c: char| c.is_whitespace() || "\"'`,;:={}[]()".contains(c);
    let mut out = Zeroizing::new(String::with_capacity(comment.len() + 64));
    let mut after_name = false;
    for piece in comment.split_inclusive(ends) {
        let word = piece.trim_end_matches(ends);
        let tail = &piece[word.len()..];
        if word.is_empty() {
            // The end of a line ends what a name's mask covers.
            after_name &= !tail.contains('\n');
        } else if (after_name && word.chars().any(char::is_alphanumeric)) || looks_secret(word) {
            out.push_str(MASK);
        } else {
            out.push_str(word);
        }
        after_name |= names_credential(word) && tail.starts_with([':', '=', '"', '\'']);
        after_name &= !tail.contains('\n');
        out.push_str(tail);
    }
    out
}

/// Long text without blanks, of letters and digits that are no words joined by hyphens: keys,
/// tokens, hashes. Paths and plain addresses are not.
fn looks_secret(text: &str) -> bool {
    if text.contains("://") {
        // An address is shown unless a user's name and password stand in it.
        return text.contains('@');
    }
    let bytes = text.as_bytes();
    bytes.len() >= 16
        && !text.starts_with(['/', '~', '.'])
        && !text.contains(char::is_whitespace)
        && bytes.iter().any(u8::is_ascii_digit)
        && bytes.iter().any(u8::is_ascii_alphabetic)
        && text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| word.len() > 10)
}
