//! JSON text that holds secrets. Ring 0.
//!
//! Promise: the escaped length is known before a byte is written, so that a buffer made with it
//! never grows: a growing `Vec` leaves unwiped copies behind. Escapes as RFC 8259 demands, and
//! nothing more, so that the text is the same as `serde_json`'s.

use std::fmt::Write as _;

/// How a byte of UTF-8 stands in a JSON string.
enum Escaped {
    Plain,
    Short(u8),
    Long,
}

fn escaped(byte: u8) -> Escaped {
    match byte {
        b'"' | b'\\' => Escaped::Short(byte),
        0x08 => Escaped::Short(b'b'),
        0x09 => Escaped::Short(b't'),
        0x0a => Escaped::Short(b'n'),
        0x0c => Escaped::Short(b'f'),
        0x0d => Escaped::Short(b'r'),
        0x00..0x20 => Escaped::Long,
        _ => Escaped::Plain,
    }
}

/// Bytes that [`push_string`] will write for `text`, the two quotes included.
pub fn string_len(text: &str) -> usize {
    let inner: usize = text
        .bytes()
        .map(|byte| match escaped(byte) {
            Escaped::Plain => 1,
            Escaped::Short(_) => 2,
            Escaped::Long => 6,
        })
        .sum();
    inner + 2
}

/// Appends `text` as a JSON string.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text.bytes() {
        match escaped(byte) {
            Escaped::Plain => out.push(byte),
            Escaped::Short(letter) => out.extend_from_slice(&[b'\\', letter]),
            Escaped::Long => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
    }
    out.push(b'"');
}

/// Where a parse failed, without what stood there: serde's own message quotes values.
pub fn place(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}

/// `bytes` as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// Parses exactly `2 * N` lower-case hex digits.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_text_is_serdes_and_its_length_was_foretold(text in "\\PC{0,20}[\\x00-\\x7f]{0,20}") {
            let mut out = Vec::new();
            push_string(&mut out, &text);
            let serdes = serde_json::to_vec(&text).unwrap();
            prop_assert_eq!(&out, &serdes);
            prop_assert_eq!(out.len(), string_len(&text));
        }

        #[test]
        fn hex_there_and_back(bytes in any::<[u8; 32]>(), junk in "\\PC{0,70}") {
            prop_assert_eq!(unhex(&hex(&bytes)), Some(bytes));
            let _ = unhex::<32>(&junk);
        }
    }
}
