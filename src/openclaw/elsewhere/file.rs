//! Whether the file of an entry gives a value. Reads it; what it reads is wiped, and nothing of it leaves.
//!
//! Source: OpenClaw 2026.6.1 and 2026.9.6, `src/secrets/resolve.ts` (`readFileProviderPayload`,
//! `resolveFileRefs`), `src/secrets/json-pointer.ts` and `fs-safe` (`readSecureFile`): a regular file of this
//! user's own that nobody else may read.

use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use crate::openclaw::document::wipe;
use serde_json::Value;
use std::path::Path;
use zeroize::Zeroizing;

/// The id of a file that is one value.
const WHOLE: &str = "value";

/// What a file is held to.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Whether all of it is the value.
    pub is_single: bool,
    /// The most bytes.
    pub most: usize,
    /// Whether it counts though others may read it.
    pub may_be_open: bool,
}

/// Whether each of `ids` has a value in the file at `path`, in their order.
///
/// # Errors
/// `Missing` without the file; `Broken` for one that OpenClaw would not read.
pub fn values(path: &Path, rules: Rules, ids: &[&str]) -> Result<Vec<bool>> {
    let bytes = if rules.may_be_open {
        file::read_of_anyone(path, rules.most)?.map(|(bytes, _)| Zeroizing::new(bytes))
    } else {
        file::read(path, rules.most, Privacy::Private)?
    };
    let said = path.display();
    let typed = crate::error::typed(path);
    let Some(bytes) = bytes else {
        return Err(Error::missing(format!("{said} does not exist")).hint(format!("ls -l {typed}")));
    };
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    if rules.is_single {
        let is_said = std::str::from_utf8(bytes).map_or(!bytes.is_empty(), is_said);
        return Ok(ids.iter().map(|id| *id == WHOLE && is_said).collect());
    }
    let Some(mut root) = serde_json::from_slice::<Value>(bytes)
        .ok()
        .filter(Value::is_object)
    else {
        return Err(Error::broken(format!(
            "{said} is no JSON object, which OpenClaw reads there"
        ))
        .hint(format!("jq empty {typed}")));
    };
    let has = |id: &&str| at(&root, id).and_then(Value::as_str).is_some_and(is_said);
    let found = ids.iter().map(has).collect();
    wipe(&mut root);
    Ok(found)
}

fn is_said(text: &str) -> bool {
    !text.trim().is_empty()
}

/// What a JSON pointer (RFC 6901) leads to. The root itself is none: OpenClaw takes only what begins with `/`.
fn at<'a>(root: &'a Value, pointer: &str) -> Option<&'a Value> {
    pointer.starts_with('/').then(|| root.pointer(pointer))?
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: Rules = Rules {
        is_single: false,
        most: 4096,
        may_be_open: false,
    };

    fn of(content: &[u8], mode: u32, rules: Rules, ids: &[&str]) -> Result<Vec<bool>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.json");
        file::create(&path, content, mode).unwrap();
        values(&path, rules, ids)
    }

    #[test]
    fn a_pointer_leads_to_a_text_that_is_not_empty() {
        let content =
            br#"{"a": {"b/c": "sk-FAKE", "~": "sk-FAKE"}, "l": ["", "sk-FAKE"], "n": 7, "e": " "}"#;
        let ids = [
            "/a/b~1c", "/a/~0", "/l/1", "/l/0", "/l/01", "/n", "/e", "/a", "/none", "", "a",
        ];
        let found = of(content, 0o600, RULES, &ids).unwrap();
        let wanted = [
            true, true, true, false, false, false, false, false, false, false, false,
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_file_that_is_one_value_has_one_id() {
        let rules = Rules {
            is_single: true,
            ..RULES
        };
        let ids = ["value", "/value"];
        assert_eq!(of(b"sk-FAKE\n", 0o600, rules, &ids).unwrap(), [true, false]);
        assert_eq!(of(b"\n", 0o600, rules, &ids).unwrap(), [false, false]);
        assert_eq!(
            of(b"\xEF\xBB\xBF", 0o600, rules, &ids).unwrap(),
            [false, false]
        );
    }

    #[test]
    fn what_openclaw_would_not_read_is_no_value_and_is_not_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let none = values(&dir.path().join("none"), RULES, &["/a"]).unwrap_err();
        assert!(none.message().ends_with("does not exist"), "{none}");
        for (content, mode) in [
            (&b"{\"a\": \"sk-FAKE\"}"[..], 0o644),
            (b"[\"sk-FAKE\"]", 0o600),
            (b"{\"a\": \"sk-FAKE", 0o600),
            (b"\xFF\xFEsk-FAKE", 0o600),
            (&[b' '; 5000], 0o600),
        ] {
            let error = of(content, mode, RULES, &["/a"]).unwrap_err();
            assert!(!error.message().contains("sk-FAKE"), "{error}");
            assert!(error.hint_text().is_some(), "{error}");
        }
        let open = Rules {
            may_be_open: true,
            ..RULES
        };
        assert_eq!(of(b"{\"a\": \"b\"}", 0o644, open, &["/a"]).unwrap(), [true]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), id in "[/a-z~0-9]{0,12}", is_single: bool) {
            let rules = Rules { is_single, ..RULES };
            if let Ok(found) = of(&bytes, 0o600, rules, &[&id]) {
                prop_assert_eq!(found.len(), 1);
            }
        }
    }
}
