//! The terminal itself: prompts, hidden input, the alternate screen; and input that is piped.
//! Ring 1.
//!
//! Promises:
//! - questions go to the controlling terminal and answers come from it; standard input is data and
//!   is read only by [`piped`] and [`from_stdin`];
//! - the terminal is left as it was found on every way out: an answer, an error, a panic, Ctrl-C,
//!   Ctrl-Z, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP;
//! - a hidden value is never written, and lies only in buffers that are allocated once and wiped;
//! - what is typed ahead of a question, or left over from a paste, answers no question and reaches
//!   no shell.
//!
//! One prompt at a time: signals belong to the process.

use crate::error::{Error, Result};
use std::io::Read;
use zeroize::Zeroizing;

#[cfg(unix)]
mod fit;
#[cfg(unix)]
mod paste;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::Terminal;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::Terminal;

/// How often a question with fixed answers is asked again.
const ATTEMPTS: usize = 10;

/// What a hidden prompt asks for, and so how a paste is repaired.
///
/// A terminal sends each line end of a paste as CR; it is taken as LF. One line end at the very end
/// of the input is not part of it. A paste is what the terminal brackets as one or, where it does
/// not, lines that arrive in one burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    /// A token or key: white space inside a paste is removed, blanks at either end too.
    Key,
    /// Any other secret: newlines inside a paste stay.
    Text,
    /// A passphrase: as [`Hidden::Text`], and its length is not shown.
    Passphrase,
}

impl Terminal {
    /// Asks yes or no. An empty answer is `default`.
    ///
    /// # Errors
    /// As [`Terminal::ask_line`]; `Failed` after ten answers that were neither.
    pub fn confirm(&mut self, prompt: &str, default: bool) -> Result<bool> {
        let choices = if default { "Y/n" } else { "y/N" };
        let prompt = format!("{prompt} [{choices}] ");
        for _ in 0..ATTEMPTS {
            let answer = self.ask_line(&prompt)?;
            match answer.trim().to_ascii_lowercase().as_str() {
                "" => return Ok(default),
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => self.show("Please answer y or n.\n")?,
            }
        }
        Err(no_answer())
    }

    /// Asks for one of `options`, each a key and what it means; the person types the key or its
    /// number. An empty answer is the key `default`, where one is given.
    ///
    /// # Errors
    /// As [`Terminal::ask_line`]; `Failed` after ten answers that were none of them.
    pub fn choose<'a>(
        &mut self,
        prompt: &str,
        options: &[(&'a str, &str)],
        default: Option<&str>,
    ) -> Result<&'a str> {
        let width = options.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
        self.show(&format!("{prompt}\n"))?;
        for (number, (key, label)) in (1..).zip(options) {
            self.show(&format!("  {number}) {key:width$}  {label}\n"))?;
        }
        let ask = match default {
            Some(default) => format!("Choice [{default}]: "),
            None => "Choice: ".to_owned(),
        };
        for _ in 0..ATTEMPTS {
            let answer = self.ask_line(&ask)?;
            if let Some(key) = chosen(&answer, options, default) {
                return Ok(key);
            }
            self.show("Please type one of the words or numbers above.\n")?;
        }
        Err(no_answer())
    }
}

fn chosen<'a>(answer: &str, options: &[(&'a str, &str)], default: Option<&str>) -> Option<&'a str> {
    let answer = match answer.trim() {
        "" => default?,
        answer => answer,
    };
    (1usize..)
        .zip(options)
        .find(|(number, (key, _))| answer == *key || answer == number.to_string())
        .map(|(_, (key, _))| *key)
}

fn no_answer() -> Error {
    Error::failed("the question got no answer that fits it")
}

/// Text as it may be written to a terminal: control characters, which could move the cursor, set
/// the title or answer for the person, become U+FFFD; newline and tab stay. Wiped, since it may be
/// the recovery key.
fn printable(text: &str) -> Zeroizing<String> {
    // U+FFFD has three bytes; the most that one byte can become.
    let mut clean = Zeroizing::new(String::with_capacity(text.len() * 3));
    for c in text.chars() {
        let plain = !c.is_control() || matches!(c, '\n' | '\t');
        clean.push(if plain { c } else { '\u{fffd}' });
    }
    clean
}

/// The whole of `reader`, at most `max` bytes, less exactly one LF or CR LF at the end. Nothing else
/// is changed; empty input is an empty value.
///
/// # Errors
/// `Failed` when there is more (the rest is not read) or when reading fails.
pub fn piped(mut reader: impl Read, max: usize) -> Result<Zeroizing<Vec<u8>>> {
    // Room for the line end, and one byte that shows that there is more.
    let mut buffer = Zeroizing::new(vec![0; max.saturating_add(3)]);
    let mut len = 0;
    while len < buffer.len() {
        match reader.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(count) => len += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Error::failed(format!(
                    "cannot read the input: {}",
                    error.kind()
                )));
            }
        }
    }
    buffer.truncate(len);
    if buffer.last() == Some(&b'\n') {
        buffer.pop();
        if buffer.last() == Some(&b'\r') {
            buffer.pop();
        }
    }
    if buffer.len() > max {
        return Err(Error::failed(format!(
            "the input is too long; the most is {max} bytes"
        )));
    }
    Ok(buffer)
}

/// [`piped`] from standard input; `None` when that is a terminal. A closed one is empty.
///
/// # Errors
/// As [`piped`].
pub fn from_stdin(max: usize) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let stdin = std::io::stdin();
    if std::io::IsTerminal::is_terminal(&stdin) {
        return Ok(None);
    }
    #[cfg(unix)]
    let input = unix::Unbuffered(stdin);
    #[cfg(not(unix))]
    let input = stdin.lock();
    piped(input, max).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn piped_input_loses_one_line_end_and_nothing_else() {
        let cases: [(&[u8], &[u8]); 9] = [
            (b"", b""),
            (b"\n", b""),
            (b"\r\n", b""),
            (b"a", b"a"),
            (b"a\n", b"a"),
            (b"a\r\n", b"a"),
            (b"a\n\n", b"a\n"),
            (b" a\r\r\n", b" a\r"),
            (b"\xffa\0\r", b"\xffa\0\r"),
        ];
        for (input, expected) in cases {
            assert_eq!(**piped(input, 9).unwrap(), *expected, "{input:?}");
        }
    }

    #[test]
    fn piped_input_is_bounded_and_the_rest_is_not_read() {
        assert_eq!(piped(&b"12345"[..], 5).unwrap().len(), 5);
        assert_eq!(piped(&b"12345\r\n"[..], 5).unwrap().len(), 5);
        for long in [&b"123456"[..], b"12345\n\n", b"12345\r\n\n", b"12345\r\r"] {
            assert_eq!(
                piped(long, 5).unwrap_err().message(),
                "the input is too long; the most is 5 bytes"
            );
        }
        let mut endless = std::io::repeat(b'x').take(2 << 20);
        assert!(piped(&mut endless, 5).is_err());
        assert_eq!(endless.limit(), (2 << 20) - 8);
    }

    #[test]
    fn a_choice_is_a_word_a_number_or_the_default() {
        let options = [("file", "an age file"), ("keychain", "the keychain")];
        let cases = [
            ("file", Some("file")),
            (" 2 ", Some("keychain")),
            ("", Some("keychain")),
            ("0", None),
            ("3", None),
            ("fil", None),
        ];
        for (answer, expected) in cases {
            assert_eq!(chosen(answer, &options, Some("keychain")), expected);
        }
        assert_eq!(chosen("", &options, None), None);
    }

    #[test]
    fn no_control_character_reaches_the_terminal() {
        assert_eq!(
            **printable("a\x1b[2J\tb\r\n\u{9b}ä"),
            *"a\u{fffd}[2J\tb\u{fffd}\n\u{fffd}ä"
        );
    }

    proptest! {
        #[test]
        fn piped_bytes_are_kept(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let with_end = [&bytes[..], b"\n"].concat();
            let kept = piped(&with_end[..], 400).unwrap();
            let expected = if bytes.last() == Some(&b'\r') { &bytes[..bytes.len() - 1] } else { &bytes[..] };
            prop_assert_eq!(&**kept, expected);
        }
    }
}
