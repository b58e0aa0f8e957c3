//! The syntax of unit files: words, quotes, specifiers, lines that go on. Ring 2.
//!
//! Source: systemd.syntax(7), systemd.service(5) "Command lines", systemd.unit(5) "Specifiers", of
//! systemd 252. Only the two escapes that every one of its readers knows are written (`\\` and `\"`);
//! control characters are refused instead of escaped, since some readers know no other escape.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The longest line that is written or read, in bytes: systemd's own bound is 1 MiB.
const MAX_LINE: usize = 64 * 1024;

/// A text that may stand in a unit: UTF-8 without control characters.
///
/// # Errors
/// `Failed` for anything else; `what` says whose text it is, which is not repeated.
pub fn checked<'t>(text: &'t str, what: &str) -> Result<&'t str> {
    if text.chars().any(char::is_control) {
        return Err(Error::failed(format!(
            "{what} has a control character in it, which no unit file can hold"
        )));
    }
    if text.len() > MAX_LINE {
        return Err(Error::failed(format!("{what} is too long for a unit file")));
    }
    Ok(text)
}

/// A path as text that may stand in a unit.
///
/// # Errors
/// `Failed` when it is not absolute, not UTF-8, or has control characters.
pub fn path_text<'p>(path: &'p Path, what: &str) -> Result<&'p str> {
    let text = path
        .to_str()
        .ok_or_else(|| Error::failed(format!("{what} is not UTF-8, which unit files must be")))?;
    if !path.is_absolute() {
        return Err(Error::failed(format!("{what} is not absolute")));
    }
    checked(text, what)
}

/// One word: quoted where a reader would split or unescape it, with `%` doubled.
///
/// # Errors
/// As [`checked`].
pub fn word(text: &str, what: &str) -> Result<String> {
    let text = checked(text, what)?.replace('%', "%%");
    let plain = |c: char| !c.is_whitespace() && !matches!(c, '"' | '\'' | '\\' | ';');
    if !text.is_empty() && text.chars().all(plain) {
        return Ok(text);
    }
    Ok(format!(
        "\"{}\"",
        text.replace('\\', r"\\").replace('"', "\\\"")
    ))
}

/// A command line for `ExecStart=`: an absolute program and its arguments, word for word.
///
/// Where one of them holds a `$` the line begins with `:`, which switches variables off: doubling
/// would be right for arguments and wrong for the program.
///
/// # Errors
/// As [`checked`]; `Failed` when the program is not absolute.
pub fn command_line(program: &Path, args: &[String]) -> Result<String> {
    let program = path_text(program, "the path of the program")?;
    let has_dollar = program.contains('$') || args.iter().any(|arg| arg.contains('$'));
    let first = if has_dollar {
        format!(":{program}")
    } else {
        program.to_owned()
    };
    let mut line = word(&first, "the path of the program")?;
    for arg in args {
        line.push(' ');
        line.push_str(&word(arg, "an argument")?);
    }
    Ok(line)
}

/// One setting of a unit, as it stands there: its section, its name, its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// `Service`.
    pub section: String,
    /// `ExecStart`.
    pub name: String,
    /// Everything behind `=`, without the blanks around it, lines joined.
    pub value: String,
}

/// Reads a unit into its settings, in their order. Comments are left out.
///
/// # Errors
/// `Broken`, by line number, for a line that is neither a section, a setting nor a comment.
pub fn settings(unit: &str) -> Result<Vec<Setting>> {
    let mut found = Vec::new();
    let mut section = String::new();
    let mut open: Option<String> = None;
    for (number, physical) in unit.lines().enumerate() {
        let is_comment = physical.trim_start().starts_with(['#', ';']);
        if is_comment {
            continue;
        }
        let mut line = open.take().unwrap_or_default();
        line.push_str(physical);
        if line.len() > MAX_LINE {
            return Err(bad(number));
        }
        if ends_escaped(&line) {
            line.pop();
            line.push(' ');
            open = Some(line);
            continue;
        }
        let line = line.trim();
        if line.is_empty() {
        } else if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else {
            let (name, value) = line.split_once('=').ok_or_else(|| bad(number))?;
            if section.is_empty() {
                return Err(bad(number));
            }
            found.push(Setting {
                section: section.clone(),
                name: name.trim().to_owned(),
                value: value.trim().to_owned(),
            });
        }
    }
    if open.is_some() {
        return Err(Error::broken("the unit ends in the middle of a line"));
    }
    Ok(found)
}

fn bad(number: usize) -> Error {
    Error::broken(format!("line {} of the unit cannot be read", number + 1))
}

/// Whether a line ends in a backslash that is not itself escaped.
fn ends_escaped(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// Splits a value into words as systemd does, quotes and escapes taken away; specifiers stay.
///
/// # Errors
/// `Broken` for an open quote or an escape that systemd does not know.
pub fn words(value: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (_, '\\') => word.get_or_insert_default().push(escape(&mut chars)?),
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(Error::broken("a quote in the unit is never closed"));
    }
    words.extend(word);
    Ok(words)
}

fn escape(chars: &mut std::str::Chars<'_>) -> Result<char> {
    let unknown = || Error::broken("an escape in the unit is not one that systemd knows");
    Ok(match chars.next().ok_or_else(unknown)? {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        's' => ' ',
        same @ ('\\' | '"' | '\'') => same,
        'x' => {
            let hex: String = chars.by_ref().take(2).collect();
            let code = u8::from_str_radix(&hex, 16).map_err(|_| unknown())?;
            // A byte above 127 would be half a character.
            char::from_u32(u32::from(code))
                .filter(char::is_ascii)
                .ok_or_else(unknown)?
        }
        _ => return Err(unknown()),
    })
}

/// What a user manager puts in the place of specifiers.
#[derive(Debug, Clone)]
pub struct Specifiers<'s> {
    /// `%h`.
    pub home: &'s str,
    /// `%u`.
    pub user: &'s str,
    /// `%U`.
    pub uid: u32,
    /// `%t`.
    pub runtime: &'s str,
}

/// Replaces the specifiers in one word.
///
/// # Errors
/// `Broken` for one that is not known here: it would mean something else in another unit.
pub fn expand(word: &str, known: &Specifiers<'_>) -> Result<String> {
    let mut out = String::with_capacity(word.len());
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('%') => out.push('%'),
            Some('h') => out.push_str(known.home),
            Some('u') => out.push_str(known.user),
            Some('U') => out.push_str(&known.uid.to_string()),
            Some('t') => out.push_str(known.runtime),
            _ => {
                return Err(Error::broken(
                    "the unit has a specifier that clawkeep does not know (it knows %h %u %U %t)",
                ));
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HERE: Specifiers<'static> = Specifiers {
        home: "/home/fake",
        user: "fake",
        uid: 1000,
        runtime: "/run/user/1000",
    };

    fn read_back(line: &str) -> Vec<String> {
        let unit = format!("[Service]\nExecStart={line}\n");
        let settings = settings(&unit).unwrap();
        assert_eq!(settings.len(), 1, "{settings:?}");
        let mut words: Vec<String> = words(&settings[0].value)
            .unwrap()
            .iter()
            .map(|word| expand(word, &HERE).unwrap())
            .collect();
        if let Some(plain) = words[0].strip_prefix(':') {
            words[0] = plain.to_owned();
        } else {
            assert!(!words.iter().any(|word| word.contains('$')));
        }
        words
    }

    #[test]
    fn what_a_shell_or_systemd_would_take_apart_stays_one_word() {
        for (text, said) in [
            ("/usr/bin/clawkeep", "/usr/bin/clawkeep"),
            ("/my dir/x", "\"/my dir/x\""),
            ("50%", "50%%"),
            ("a\\b\"c", "\"a\\\\b\\\"c\""),
            ("it's", "\"it's\""),
            ("", "\"\""),
            (";", "\";\""),
            ("ü/💾", "ü/💾"),
        ] {
            assert_eq!(word(text, "it").unwrap(), said);
        }
    }

    #[test]
    fn control_characters_are_refused_and_not_repeated() {
        for text in ["a\nUser=root", "a\rb", "a\0b", "\u{1b}[2J", "a\u{85}b"] {
            let error = word(text, "the vault's folder").unwrap_err();
            assert!(error.message().starts_with("the vault's folder has"));
            assert!(!error.message().contains("User"), "{error}");
            assert!(command_line(Path::new("/bin/x"), &[text.to_owned()]).is_err());
        }
        assert!(path_text(Path::new("relative"), "it").is_err());
    }

    #[test]
    fn lines_that_go_on_and_comments_between_them() {
        let unit = "[Unit]\n# no\nAfter=a \\\n; no\n  b\n\n[Service]\nExecStart = /x \\\\\n";
        let settings = settings(unit).unwrap();
        assert_eq!(settings[0].value, "a    b");
        assert_eq!(settings[1].name, "ExecStart");
        assert_eq!(words(&settings[1].value).unwrap(), ["/x", "\\"]);
        for broken in ["After=x", "[Unit]\nnothing", "[Unit]\nA=b\\"] {
            assert!(super::settings(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn specifiers_are_known_or_refused() {
        assert_eq!(expand("%h/a%%b", &HERE).unwrap(), "/home/fake/a%b");
        assert!(expand("%i", &HERE).is_err());
        assert!(expand("100%", &HERE).is_err());
    }

    proptest! {
        /// Whatever an argument holds, it comes back as the same one argument.
        #[test]
        fn every_command_line_is_read_back_as_it_was(
            program in "/[^\\p{Cc}]{1,40}",
            args in proptest::collection::vec("[^\\p{Cc}]{0,30}|[ \"'\\\\$%;:#-]{0,8}", 0..5),
        ) {
            let line = command_line(Path::new(&program), &args).unwrap();
            let mut all = vec![program];
            all.extend(args);
            prop_assert_eq!(read_back(&line), all);
        }

        #[test]
        fn no_text_panics(text in "(\\PC|[\n\\\\\"'%\\[\\]=]){0,80}") {
            let _ = settings(&text);
            let _ = words(&text);
            let _ = expand(&text, &HERE);
        }
    }
}
