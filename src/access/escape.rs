//! Text of others made fit for a log and a terminal.
//!
//! Promise: what comes out has no control character, nothing that turns or hides the letters around
//! it, and at most [`MAX`] bytes and an ellipsis.

use std::fmt::Write as _;
use std::path::Path;

/// The most bytes of one text. A path has at most 4,096 and is then shown by its beginning.
const MAX: usize = 512;

/// A path as text: bytes that are no UTF-8 as `\xNN`, what should not be shown as `\u{N}`, a
/// backslash doubled, so that two paths never look alike.
pub(super) fn path(path: &Path) -> String {
    let mut out = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            push(&mut out, c);
            if c == '\\' {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    cut(out)
}

/// A text that was escaped before, or that somebody else put in its place.
pub(super) fn again(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        push(&mut out, c);
    }
    cut(out)
}

fn push(out: &mut String, c: char) {
    if is_fit(c) {
        out.push(c);
    } else {
        let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
    }
}

/// Not: control characters, marks that turn the order of what follows, characters without a width,
/// separators of lines, tags.
fn is_fit(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

fn cut(mut text: String) -> String {
    if text.len() > MAX && !(text.ends_with('…') && text.len() <= MAX + '…'.len_utf8()) {
        let end = (0..=MAX).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[cfg(unix)]
    #[test]
    fn a_name_cannot_play_tricks() {
        use std::os::unix::ffi::OsStrExt;
        let said = |bytes: &[u8]| path(Path::new(std::ffi::OsStr::from_bytes(bytes)));
        assert_eq!(said(b"/a\x1b[2J\n\xff\\x"), "/a\\u{1b}[2J\\u{a}\\xff\\\\x");
        assert_eq!(
            said("/\u{202e}\u{200b}\u{e0041}ü".as_bytes()),
            "/\\u{202e}\\u{200b}\\u{e0041}ü"
        );
        assert_eq!(said(&[b'a'; 4096]).len(), MAX + 3);
    }

    proptest! {
        #[test]
        fn escaping_again_changes_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let text = String::from_utf8_lossy(&bytes);
            let once = path(Path::new(&*text));
            prop_assert!(once.chars().all(is_fit));
            prop_assert!(once.len() <= MAX + 3);
            prop_assert_eq!(again(&once), once);
        }
    }
}
