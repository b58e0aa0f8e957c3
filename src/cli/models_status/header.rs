//! How a credential is presented to a provider. Ring 4.
//!
//! Promise: a value that cannot stand in a header makes none; the lines are wiped.

use crate::secret::Secret;
use zeroize::Zeroizing;

/// How a credential is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// `Authorization: Bearer …`
    Bearer,
    /// The same, as Anthropic wants it for setup-tokens.
    AnthropicToken,
    /// `x-api-key: …`, as Anthropic wants it.
    Anthropic,
    /// `x-goog-api-key: …`
    Google,
}

impl Header {
    /// What stands before the value.
    fn before(self) -> &'static str {
        match self {
            Header::Bearer => "authorization: Bearer ",
            Header::AnthropicToken => {
                "anthropic-version: 2023-06-01\nanthropic-beta: oauth-2025-04-20\nauthorization: Bearer "
            }
            Header::Anthropic => "anthropic-version: 2023-06-01\nx-api-key: ",
            Header::Google => "x-goog-api-key: ",
        }
    }

    /// The header's lines; `None` for a value that cannot stand in a header.
    #[allow(
        clippy::disallowed_methods,
        reason = "door: a value into the pipe of the curl that a person asked for"
    )]
    pub(super) fn lines(self, value: &Secret) -> Option<Zeroizing<String>> {
        use secrecy::ExposeSecret;
        let value = value.expose_secret().trim();
        if value.is_empty() || !value.bytes().all(|b| (0x21..0x7f).contains(&b)) {
            return None;
        }
        let before = self.before();
        let mut lines = Zeroizing::new(String::with_capacity(before.len() + value.len()));
        lines.push_str(before);
        lines.push_str(value);
        Some(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_no_header_is_not_sent() {
        let secret = |text: &str| Secret::stored(text).unwrap();
        for bad in ["a b", "a\nx-evil: 1", "a\tb", "ä", "\n"] {
            assert!(Header::Bearer.lines(&secret(bad)).is_none(), "{bad:?}");
        }
        let lines = Header::Anthropic.lines(&secret("sk-FAKE\n")).unwrap();
        assert_eq!(*lines, "anthropic-version: 2023-06-01\nx-api-key: sk-FAKE");
    }
}
