//! The words of a value in a unit: blanks, quotes, C escapes. Knows no specifier.

use super::super::put;
use zeroize::Zeroizing;

/// One word.
pub(super) struct Word {
    /// Without quotes and escapes. Bytes: an escape can make what is no text.
    pub(super) text: Zeroizing<Vec<u8>>,
    /// Where it stands in the value, quotes and escapes too.
    pub(super) span: (usize, usize),
}

/// The words up to the first that cannot be read: systemd ignores the rest of the line then.
pub(super) fn words(value: &[u8]) -> Vec<Word> {
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        while value.get(at).copied().is_some_and(blank) {
            at += 1;
        }
        if at == value.len() {
            return words;
        }
        let Some(word) = word(value, at) else {
            return words;
        };
        at = word.span.1;
        words.push(word);
    }
}

fn blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The word that begins at `start`; `None` for an open quote or an escape that systemd does not know.
fn word(value: &[u8], start: usize) -> Option<Word> {
    let mut text = Zeroizing::default();
    let mut quote = None;
    let mut at = start;
    while let Some(byte) = value.get(at).copied() {
        match (quote, byte) {
            (_, b'\\') => at += 1 + unescape(&value[at + 1..], &mut text)?,
            (Some(open), _) if open == byte => {
                quote = None;
                at += 1;
            }
            (None, b'"' | b'\'') => {
                quote = Some(byte);
                at += 1;
            }
            (None, _) if blank(byte) => break,
            _ => {
                put(&mut text, &[byte]);
                at += 1;
            }
        }
    }
    quote.is_none().then_some(Word {
        text,
        span: (start, at),
    })
}

/// Appends what the escape behind a backslash stands for, and gives how long it is.
fn unescape(rest: &[u8], out: &mut Zeroizing<Vec<u8>>) -> Option<usize> {
    let simple = match rest.first()? {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b's' => b' ',
        same @ (b'\\' | b'"' | b'\'') => *same,
        b'x' => return byte(number(rest, 1, 2, 16)?, out).then_some(3),
        b'u' => return character(number(rest, 1, 4, 16)?, out).then_some(5),
        b'U' => {
            let code = number(rest, 1, 8, 16).filter(|code| is_character(*code))?;
            return character(code, out).then_some(9);
        }
        b'0'..=b'7' => return byte(number(rest, 0, 3, 8)?, out).then_some(3),
        _ => return None,
    };
    put(out, &[simple]);
    Some(1)
}

/// `len` digits from `at` on.
fn number(rest: &[u8], at: usize, len: usize, radix: u32) -> Option<u32> {
    let digits = rest.get(at..at + len)?.iter();
    digits
        .map(|digit| char::from(*digit).to_digit(radix))
        .try_fold(0_u32, |sum, digit| {
            sum.checked_mul(radix)?.checked_add(digit?)
        })
}

fn byte(code: u32, out: &mut Zeroizing<Vec<u8>>) -> bool {
    match u8::try_from(code) {
        Ok(byte @ 1..) => {
            put(out, &[byte]);
            true
        }
        _ => false,
    }
}

fn character(code: u32, out: &mut Zeroizing<Vec<u8>>) -> bool {
    if code == 0 {
        return false;
    }
    match char::from_u32(code) {
        Some(c) => put(out, c.encode_utf8(&mut [0; 4]).as_bytes()),
        // Half a surrogate pair is taken, and makes the word no text.
        None => put(out, &[0xff]),
    }
    true
}

/// What systemd takes for a character: not the halves of pairs, nor what Unicode leaves out.
fn is_character(code: u32) -> bool {
    char::from_u32(code).is_some() && !(0xfdd0..=0xfdef).contains(&code) && code & 0xfffe != 0xfffe
}
