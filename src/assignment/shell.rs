//! Shell start-up files: what sh, bash and zsh read at login.
//!
//! Source: POSIX.1-2024 "Shell Command Language", bash(1), zshmisc(1). Read are `K=v` alone, `export`,
//! and `declare -x` or `typeset -x`, several on one line too. A value is known when every one of those
//! shells takes the text for the same: no expansion, no `$'…'`, no `~`, no braces. Functions, conditions,
//! here-documents and command substitutions are followed as far as one must to know where a command
//! begins; whether a branch is ever taken is not known, so its assignments are listed.
//!
//! Not listed: variables for one command (`K=v command`), arrays, `K+=v`, and what `eval` makes.

mod commands;
mod lexer;

use super::cut::Cut;
use super::{Assignment, Lines, room};
use crate::error::Result;
use commands::Command;
use lexer::Word;
use std::collections::BTreeSet;
use zeroize::Zeroizing;

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Assignment>> {
    let mut lines = Lines::new(bytes);
    let mut all = Vec::new();
    for operand in commands::commands(bytes)?
        .into_iter()
        .flat_map(|one| one.operands)
    {
        if let Some(named) = operand.named {
            let line = lines.of(operand.start);
            all.push(Assignment::new(&named.name, named.value, line));
        }
    }
    Ok(all)
}

pub(super) fn cuts(bytes: &[u8], gone: &BTreeSet<usize>) -> Result<Vec<Cut>> {
    let mut cuts = Vec::new();
    let mut index = 0;
    for command in commands::commands(bytes)? {
        let mut chosen = Vec::new();
        for operand in &command.operands {
            chosen.push(operand.named.is_some() && gone.contains(&index));
            index += usize::from(operand.named.is_some());
        }
        if chosen.contains(&true) {
            cut(&command, &chosen, &mut cuts);
        }
    }
    Ok(cuts)
}

/// Takes operands out of one command, or the command when none is left: `export` alone would print all
/// variables, and some places must hold a command, so there a `:` stands.
fn cut(command: &Command, chosen: &[bool], cuts: &mut Vec<Cut>) {
    let none_left = chosen.iter().all(|gone| *gone);
    if none_left && !command.redirected {
        cuts.push(if command.removable {
            Cut::out(command.start, command.end_of_separator)
        } else {
            Cut::replaced(command.start, command.end, b":")
        });
        return;
    }
    let mut keyword = command.keyword;
    if let Some((start, end)) = keyword.filter(|_| none_left) {
        cuts.push(Cut::replaced(start, end, b":"));
    }
    for (at, operand) in command.operands.iter().enumerate() {
        if !chosen[at] {
            // From now on there is something before an operand.
            keyword = keyword.or(Some((operand.start, operand.end)));
        } else if keyword.is_some() {
            cuts.push(Cut::out(operand.before, operand.end));
        } else if none_left && at == 0 {
            cuts.push(Cut::replaced(operand.start, operand.end, b":"));
            keyword = Some((operand.start, operand.end));
        } else {
            cuts.push(Cut::out(operand.start, operand.behind));
        }
    }
}

/// A name and what it gets.
struct Named {
    name: String,
    value: Option<Zeroizing<String>>,
}

/// From where to where `export` and its options stand, and what each word behind them means.
type Understood = (Option<(usize, usize)>, Vec<Option<Named>>);

/// The words of a simple command as assignments; `None` when it makes none that last.
fn understood(bytes: &[u8], words: &[Word]) -> Option<Understood> {
    let first = words.first()?;
    if words.iter().all(|word| word.assigns) {
        let operands = words.iter().map(|word| named(bytes, word, false));
        return Some((None, operands.collect()));
    }
    let raw = |word: &Word| &bytes[word.start..word.end];
    let options = words[1..]
        .iter()
        .take_while(|word| raw(word).starts_with(b"-"));
    let options: Vec<&Word> = options.collect();
    let letters: Vec<u8> = options
        .iter()
        .flat_map(|word| raw(word)[1..].to_vec())
        .collect();
    let exports = match raw(first) {
        b"export" => letters.iter().all(|letter| *letter == b'-'),
        b"declare" | b"typeset" => {
            letters.contains(&b'x') && letters.iter().all(|letter| b"xgr-".contains(letter))
        }
        _ => false,
    };
    let operands = &words[1 + options.len()..];
    if !exports || operands.is_empty() {
        return None;
    }
    let end = options.last().map_or(first.end, |word| word.end);
    let operands = operands.iter().map(|word| named(bytes, word, true));
    Some((Some((first.start, end)), operands.collect()))
}

/// `operand`: of `export`, where the whole word may be quoted, and where dash looks for file names.
fn named(bytes: &[u8], word: &Word, operand: bool) -> Option<Named> {
    if word.array {
        return None;
    }
    let equals = word.text.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (&word.text[..equals], &word.text[equals + 1..]);
    if !is_name(name) {
        return None;
    }
    let name = String::from_utf8_lossy(name).into_owned();
    if !word.assigns {
        // A name that an expansion helped to make is not known.
        let raw = &bytes[word.start..word.end];
        let bare = raw
            .strip_prefix(b"\"")
            .or(raw.strip_prefix(b"'"))
            .unwrap_or(raw);
        let plain = bare
            .strip_prefix(name.as_bytes())
            .is_some_and(|rest| rest.starts_with(b"="));
        if !operand || !plain && !word.literal {
            return None;
        }
    }
    let known = word.literal && !(operand && word.pattern);
    let value = std::str::from_utf8(value).ok().filter(|_| known);
    let value = value.map(|value| {
        let mut text = room(value.len());
        text.push_str(value);
        text
    });
    Some(Named { name, value })
}

/// A name in the portable character set.
fn is_name(name: &[u8]) -> bool {
    super::environment_file::is_name(name)
}
