//! What stands in a credential's place and is none. Ring 2'; pure.
//!
//! Source: OpenClaw 2026.6.1 and 2026.9.6, `src/agents/model-auth-markers.ts`,
//! `src/config/types.secrets.ts` and the bundled plugins' `nonSecretAuthMarkers`.
//!
//! A word that people use as a real, if weak, password (`secret`, `test`) is no placeholder: whether
//! it is in use cannot be seen, and a credential that is passed over is worse than one too many.

use crate::openclaw::config::MARKER;
use crate::openclaw::elsewhere::variable;
use crate::provider::variables::VARIABLES;

/// What OpenClaw writes where its output shows no value. As a value it takes it for none.
const REDACTED: &str = "__OPENCLAW_REDACTED__";

/// OpenClaw's words for a provider that is reached without a key, or whose key is elsewhere.
const MARKERS: [&str; 14] = [
    MARKER,
    REDACTED,
    "secretref-managed",
    "custom-local",
    "codex-app-server",
    "ollama-local",
    "lmstudio-local",
    "apple-fm-local",
    "minimax-oauth",
    "gcp-vertex-credentials",
    "openclaw:claude-cli-native-auth",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
];

/// The beginnings of texts that name a value that lies elsewhere.
const ELSEWHERE: [&str; 4] = ["op://", "oauth:", "secretref-env:", "__env__:"];

/// Words that say that something has yet to be put there, without their signs.
const WORDS: [&str; 12] = [
    "changeme",
    "replaceme",
    "fillmein",
    "placeholder",
    "redacted",
    "todo",
    "tbd",
    "none",
    "null",
    "undefined",
    "apikey",
    "insertkeyhere",
];

/// Whether a value is none: empty, a placeholder that a person or a template left, OpenClaw's mark or
/// ours for a value that is not there, or the name of a value that lies elsewhere (`${NAME}`, `$NAME`,
/// `op://…`, the name of a variable). White space at the ends does not count.
pub fn is_placeholder(value: &str) -> bool {
    let value = value.trim();
    value.is_empty()
        || MARKERS.contains(&value)
        || ELSEWHERE.iter().any(|start| value.starts_with(start))
        || variable(value).is_some()
        || holds_variable(value)
        || names_variable(value)
        || is_masked(value)
        || is_left_to_fill(value)
}

/// `Bearer ${NAME}`: OpenClaw puts the variable in wherever it stands, but for `$${NAME}`.
fn holds_variable(value: &str) -> bool {
    value.match_indices("${").any(|(at, _)| {
        let name = value[at + 2..].split('}').next().unwrap_or_default();
        let closed = value[at + 2..].len() > name.len();
        closed && !value[..at].ends_with('$') && is_name(name)
    })
}

fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// The bare name of a variable, which older versions write for "this variable's value".
fn names_variable(value: &str) -> bool {
    let known = || {
        VARIABLES
            .iter()
            .flat_map(|(_, variables)| *variables)
            .any(|variable| variable.name == value)
    };
    let called = ["_API_KEY", "_API_KEYS", "_TOKEN", "_SECRET", "_PASSWORD"];
    is_name(value) && (called.iter().any(|end| value.ends_with(end)) || known())
}

/// `****`, `xxxxxxxx`, `sk-...`, `sk-…`: what hides a value, or an example of its shape.
fn is_masked(value: &str) -> bool {
    let masks = |text: &str| {
        let mut signs = text.chars();
        let Some(first) = signs.next() else {
            return false;
        };
        text.chars().count() >= 3 && "*xX.•●…_-".contains(first) && signs.all(|sign| sign == first)
    };
    if masks(value) || value == "…" {
        return true;
    }
    // A prefix and a mask, nothing behind it: `sk-ant-...`, `Bearer ****`.
    let body = value.trim_end_matches(['*', 'x', 'X', '.', '•', '●', '…']);
    let mask = &value[body.len()..];
    body.len() <= 16 && body.ends_with(['-', '_', ' ', ':']) && (mask == "…" || masks(mask))
}

/// `<your key>`, `{{ token }}`, `your-api-key-here`, `changeme`.
fn is_left_to_fill(value: &str) -> bool {
    let wrapped = |open: &str, close: &str| {
        value.len() > open.len() + close.len() && value.starts_with(open) && value.ends_with(close)
    };
    if value.len() <= 64 && (wrapped("<", ">") || wrapped("{{", "}}") || value == "[REDACTED]") {
        return true;
    }
    if value.len() > 48 {
        return false;
    }
    let plain: String = value
        .chars()
        .filter(|c| !matches!(c, '-' | '_' | ' ' | '.'))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let letters = plain.bytes().all(|b| b.is_ascii_lowercase());
    let named = ["key", "token", "secret", "password", "here"];
    WORDS.contains(&plain.as_str())
        || letters
            && ["your", "insert", "enter", "paste", "skyour", "skantyour"]
                .iter()
                .any(|start| plain.starts_with(start))
            && named.iter().any(|end| plain.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_value_is_none() {
        for value in [
            "",
            " \t\n",
            "removed-by-clawkeep",
            "__OPENCLAW_REDACTED__",
            "${OPENAI_API_KEY}",
            "$OPENAI_API_KEY",
            " ${X} ",
            "Bearer ${OPENAI_API_KEY}",
            "https://me:${PASS}@host",
            "op://vault/item/field",
            "secretref-env:X",
            "secretref-managed",
            "__env__:X",
            "oauth:chutes",
            "ollama-local",
            "minimax-oauth",
            "OPENAI_API_KEY",
            "MY_OWN_TOKEN",
            "FAL_KEY",
            "AWS_PROFILE",
            "****",
            "xxxxxxxx",
            "XXX",
            "...",
            "…",
            "sk-...",
            "sk-ant-…",
            "Bearer ****",
            "sk-xxxxxxxx",
            "<your key>",
            "{{ token }}",
            "[REDACTED]",
            "changeme",
            "CHANGE_ME",
            "change-me",
            "your-api-key",
            "YOUR_API_KEY_HERE",
            "sk-your-key-here",
            "your token here",
            "todo",
            "null",
            "undefined",
        ] {
            assert!(is_placeholder(value), "{value:?}");
        }
    }

    #[test]
    fn what_could_be_in_use_is_a_value() {
        for value in [
            "sk-FAKE-0123456789abcdef",
            "FAKE",
            "secret",
            "password",
            "test",
            "x",
            "ab",
            "Bearer FAKE",
            "$lower",
            "pa$$word",
            "${lower}",
            "${OPEN",
            "$${NAME}",
            "a${}b",
            "FAKE...",
            "mysecret",
            "my-password",
            "FAKE0123456789abcdefFAKE...",
            "correct horse battery",
            "yourself0-FAKE",
            "op:/x",
            "AKIAFAKEFAKEFAKEFAKE",
            "<FAKE",
            "-----BEGIN FAKE-----\nx",
        ] {
            assert!(!is_placeholder(value), "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn a_random_key_is_a_value(key in "(sk-|gsk_|)FAKE[A-Za-z0-9]{17,80}q9") {
            prop_assert!(!is_placeholder(&key));
        }

        #[test]
        fn any_text_is_judged(text in "\\PC{0,80}") {
            let _ = is_placeholder(&text);
        }
    }
}
