//! Keys that nobody stored, found by the shape of their provider's keys; and secret keys of age.
//!
//! Promise: nothing is kept of a key but its length, its provider and at most four bytes of the
//! prefix that all keys of that shape have.

pub(super) use crate::provider::shapes::LONGEST;

use crate::error::{Error, Result};
use crate::provider::shapes::{IDENTITIES, Letters, SHAPES};
use crate::vault::id::VaultId;
use crate::vault::identity::Identity;
use aho_corasick::{AhoCorasick, MatchKind};

/// The length of such a key in bytes.
const IDENTITY_LENGTH: usize = 74;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// A provider's key.
    Provider {
        provider: Option<&'static str>,
        length: usize,
        starts: &'static str,
    },
    /// A secret key of age; of the vault, or of something else.
    Identity { of_this_vault: bool },
}

/// Every known shape.
pub(super) struct Shapes {
    prefixes: AhoCorasick,
    vault: Option<VaultId>,
}

impl Shapes {
    /// `vault` is the one whose identity is called so.
    ///
    /// # Errors
    /// `Failed` when the table cannot be searched for, which it can.
    pub(super) fn new(vault: Option<VaultId>) -> Result<Self> {
        let prefixes = SHAPES.iter().map(|shape| shape.prefix);
        let prefixes = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(prefixes.chain(IDENTITIES))
            .map_err(|_| Error::failed("the table of keys cannot be searched for"))?;
        Ok(Shapes { prefixes, vault })
    }

    /// Calls `found` with each key in `text`, and where it begins and ends. `is_start`: nothing stands
    /// before `text`. What runs to its end counts only if nothing follows.
    pub(super) fn find(
        &self,
        text: &[u8],
        is_start: bool,
        is_end: bool,
        found: &mut dyn FnMut(Key, usize, usize),
    ) {
        for prefix in self.prefixes.find_iter(text) {
            let start = prefix.start();
            let begins = if start == 0 {
                is_start
            } else {
                begins_word(text, start)
            };
            if !begins {
                continue;
            }
            let number = prefix.pattern().as_usize();
            let Some((key, length)) = self.key(number, &text[start..]) else {
                continue;
            };
            let end = start + length;
            if end < text.len() || is_end {
                found(key, start, end);
            }
        }
    }

    /// What begins `text`, and its length.
    fn key(&self, number: usize, text: &[u8]) -> Option<(Key, usize)> {
        let Some(shape) = SHAPES.get(number) else {
            let key = std::str::from_utf8(text.get(..IDENTITY_LENGTH)?).ok()?;
            if text
                .get(IDENTITY_LENGTH)
                .is_some_and(|byte| Letters::Word.has(*byte))
            {
                return None;
            }
            let identity = Identity::parse(key).ok()?;
            let of_this_vault = self.vault.is_some_and(|id| id == identity.vault_id());
            return Some((Key::Identity { of_this_vault }, IDENTITY_LENGTH));
        };
        let length = shape.length_in(text)?;
        let key = Key::Provider {
            provider: shape.provider,
            length,
            starts: shape.prefix.get(..4).unwrap_or(shape.prefix),
        };
        Some((key, length))
    }
}

/// Whether a key can begin at `at`: what stands before it is no letter of a word, unless it belongs to
/// an escape.
fn begins_word(text: &[u8], at: usize) -> bool {
    let before = &text[..at];
    let Some(last) = before.last() else {
        return true;
    };
    if !Letters::Word.has(*last) {
        return true;
    }
    if let [.., b'\\', letter] = before
        && b"nrtbf".contains(letter)
    {
        return true;
    }
    // `%3Dsk-…`, `\x22sk-…`, `\u0022sk-…`
    let escapes: [(&[u8], usize); 3] = [(b"%", 2), (b"\\x", 2), (b"\\u", 4)];
    escapes.iter().any(|(mark, digits)| {
        let start = before.len().checked_sub(mark.len() + digits);
        start.is_some_and(|start| {
            before[start..]
                .strip_prefix(*mark)
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        })
    })
}
