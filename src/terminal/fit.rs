//! Text in lines that fit a terminal. Ring 1; knows nothing but text.

use zeroize::Zeroizing;

/// Below this nothing is broken: no such terminal is, or it cannot tell.
const LEAST: usize = 20;

/// A note behind a prompt that nothing was shown after, and the line's end; on a line of its own where it
/// does not fit.
pub(super) fn beside(prompt: &str, note: &str, width: usize) -> String {
    let shown = fit(prompt, width);
    let last = shown.rsplit('\n').next().unwrap_or_default();
    let column = last.chars().count() + note.chars().count();
    let before = if width >= LEAST && !note.is_empty() && column > width {
        "\n"
    } else {
        ""
    };
    format!("{before}{note}\n")
}

/// The text with each line broken between words where it would be wider than `width` columns. What goes
/// on in a new line begins with the blanks of its first one, and in a list three columns further right. A word
/// that is wider stays whole, so that paths can be copied. Wiped, since it may be the recovery key.
pub(super) fn fit(text: &str, width: usize) -> Zeroizing<String> {
    let width = if width < LEAST { usize::MAX } else { width };
    // Each break adds a line end and takes a blank; what stands before the next line is bounded.
    let blanks = text.bytes().filter(|byte| *byte == b' ').count();
    let mut out = Zeroizing::new(String::with_capacity(text.len() + blanks * 16 + 16));
    for piece in text.split_inclusive('\n') {
        let (line, end) = piece
            .strip_suffix('\n')
            .map_or((piece, ""), |line| (line, "\n"));
        broken(line, width, &mut out);
        out.push_str(end);
    }
    out
}

fn broken(line: &str, width: usize, out: &mut String) {
    if line.chars().count() <= width {
        out.push_str(line);
        return;
    }
    let indent = line.chars().take_while(|c| *c == ' ').count().min(12);
    let hanging = if indent == 0 { 0 } else { indent + 3 };
    let mut column = 0;
    let mut rest = line;
    while !rest.is_empty() {
        // The blanks before a word, then the word.
        let blanks = rest.find(|c| c != ' ').unwrap_or(rest.len());
        let (before, tail) = rest.split_at(blanks);
        let end = tail.find(' ').unwrap_or(tail.len());
        let (word, tail) = tail.split_at(end);
        let length = word.chars().count();
        if column > hanging && !word.is_empty() && column + blanks + length > width {
            out.push('\n');
            for _ in 0..hanging {
                out.push(' ');
            }
            column = hanging + length;
        } else {
            out.push_str(before);
            column += blanks + length;
        }
        out.push_str(word);
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_prompt_and_a_choice_break_between_words() {
        assert_eq!(
            **fit(
                "Type or paste the recovery key back (Enter to do that later): ",
                40
            ),
            *"Type or paste the recovery key back\n(Enter to do that later): "
        );
        assert_eq!(
            **fit(
                "  1) i  identity file: without a person, for a gateway\n",
                40
            ),
            *"  1) i  identity file: without a person,\n     for a gateway\n"
        );
        assert_eq!(**fit("short\n", 40), *"short\n");
        assert_eq!(beside("Paste: ", "[9 characters]", 40), "[9 characters]\n");
        assert_eq!(
            beside("Paste: ", "[9 characters]", 20),
            "\n[9 characters]\n"
        );
        assert_eq!(beside("Passphrase of x: ", "", 20), "\n");
        assert_eq!(
            **fit("no terminal tells its width here\n", 0),
            *"no terminal tells its width here\n"
        );
    }

    proptest! {
        #[test]
        fn no_word_is_lost_and_no_line_is_wider(text in "[a-z \n]{0,200}", width in 20usize..90) {
            let out = fit(&text, width);
            prop_assert!(out.split_whitespace().eq(text.split_whitespace()));
            prop_assert!(out.lines().all(|line| line.len() <= width || !line.trim().contains(' ')));
            prop_assert!(out.len() <= out.capacity(), "it never grew: {} {}", out.len(), out.capacity());
        }
    }
}
