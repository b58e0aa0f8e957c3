//! What every language promises: what is read, what is left, and that nothing panics.

use super::*;
use proptest::prelude::*;

const ALL: [Language; 6] = [
    Language::DotEnv,
    Language::Shell,
    Language::EnvironmentFile,
    Language::EnvironmentD,
    Language::Unit,
    Language::Plist,
];

/// Names and values; `None` for what is not known.
pub(super) fn pairs(language: Language, text: &[u8]) -> Vec<(String, Option<String>)> {
    let all = read(language, text).unwrap();
    all.into_iter()
        .map(|one| (one.name, one.value.map(|value| value.to_string())))
        .collect()
}

pub(super) fn left(language: Language, text: &str, gone: &[usize]) -> String {
    let gone = gone.iter().copied().collect();
    let rest = without(language, text.as_bytes(), &gone).unwrap();
    String::from_utf8(rest.to_vec()).unwrap()
}
