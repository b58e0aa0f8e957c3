//! The commands in a hint: taken out as a person takes them, so that each can be given to the parser of
//! the command line. Both the tests of the table of checks and those of the program read it.

/// What ends a command in a hint.
const ENDS: [&str; 6] = [", or: ", ", then: ", ", with ", ": ", "; ", " && "];

/// Every command of clawkeep's in the hint, as the words that a shell makes of it.
///
/// # Panics
/// When a quotation does not end: then a name broke out of it.
pub(crate) fn commands(hint: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = hint;
    while !rest.is_empty() {
        let (piece, after) = piece(rest);
        rest = after;
        let words = words(piece);
        let program = usize::from(words.first().is_some_and(|word| word == "sudo"));
        if words.get(program).is_some_and(|word| word == "clawkeep") {
            found.push(words[program..].to_vec());
        }
    }
    found
}

/// Whether there is something in the hint that can be typed.
pub(crate) fn can_be_typed(hint: &str) -> bool {
    const PROGRAMS: &[&str] = &[
        "clawkeep", "openclaw", "sudo", "ls", "rm", "mv", "npm", "zcat", "loginctl", "mkdir",
        "chmod", "realpath",
    ];
    let mut rest = hint;
    while !rest.is_empty() {
        let (piece, after) = piece(rest);
        rest = after;
        let first = piece.split(' ').next().unwrap_or_default();
        if PROGRAMS.contains(&first) || first.starts_with('/') {
            return true;
        }
    }
    false
}

/// The hint up to the first end outside quotation marks, and what comes after it.
fn piece(hint: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, c) in hint.char_indices() {
        quoted ^= c == '\'';
        if !quoted && let Some(end) = ENDS.iter().find(|end| hint[at..].starts_with(**end)) {
            return (&hint[..at], &hint[at + end.len()..]);
        }
    }
    (hint, "")
}

/// A shell's words; what a shell would do more than to split them must stand in quotation marks.
fn words(piece: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = piece.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => panic!("an open quotation: {piece}"),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            ' ' => words.extend(word.take()),
            '\n' | '$' | '`' | '&' | '<' | '>' | '*' | '(' | '"' => {
                panic!("a shell does more with it: {piece:?}")
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
