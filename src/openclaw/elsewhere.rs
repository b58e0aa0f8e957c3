//! References that others than clawkeep answer. Ring 2'; never a value.
//!
//! Source: OpenClaw 2026.6.1 and 2026.9.6, `src/config/types.secrets.ts` (`coerceSecretRef`) and
//! `src/secrets/ref-contract.ts`.

pub mod answer;
mod entry;
pub mod file;
mod found;

pub use entry::{Entries, Entry, LONGEST_LIMIT_MS, Program, UNTOLD, USUAL_LIMIT_MS};
pub use found::{Answer, Elsewhere, Holder};

use crate::openclaw::reference::SECRET_PROVIDER;
use serde_json::Value;

/// Where a reference leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A variable of the environment.
    Env,
    /// A file.
    File,
    /// A program.
    Exec,
    /// OpenClaw's own store, from 2026.9.
    Store,
}

impl Source {
    /// OpenClaw's word.
    pub fn name(self) -> &'static str {
        match self {
            Source::Env => "env",
            Source::File => "file",
            Source::Exec => "exec",
            Source::Store => "store",
        }
    }

    /// Reads OpenClaw's word.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Source::Env, Source::File, Source::Exec, Source::Store];
        all.into_iter().find(|source| source.name() == text)
    }
}

/// A reference of whatever source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Where it leads.
    pub source: Source,
    /// The entry of `secrets.providers`; `None` where the default one is meant.
    pub provider: Option<String>,
    /// What is asked for there: the name of a variable, a JSON pointer.
    pub id: String,
}

impl Reference {
    /// Reads one as OpenClaw does: an object of `source`, `provider` and `id`, one without a `provider`, or a
    /// text that names a variable. `None` for everything else.
    pub fn of(value: &Value) -> Option<Self> {
        if let Some(text) = value.as_str() {
            return variable(text).map(Self::to_variable);
        }
        let fields = value.as_object()?;
        let text = |key: &str| {
            let text = fields.get(key)?.as_str()?;
            (!text.trim().is_empty()).then(|| text.to_owned())
        };
        let provider = text("provider");
        if fields.contains_key("provider") && (provider.is_none() || fields.len() != 3) {
            return None;
        }
        Some(Reference {
            source: Source::parse(fields.get("source")?.as_str()?)?,
            provider,
            id: text("id")?,
        })
    }

    /// One to a variable, by the default entry.
    pub fn to_variable(name: &str) -> Self {
        Reference {
            source: Source::Env,
            provider: None,
            id: name.to_owned(),
        }
    }

    /// Whether clawkeep answers it.
    pub fn is_ours(&self) -> bool {
        self.source == Source::Exec && self.provider.as_deref() == Some(SECRET_PROVIDER)
    }
}

/// The variable that a text names: `${NAME}`, `$NAME`, and the two markers of older versions. `None` for a text
/// that names none.
pub fn variable(text: &str) -> Option<&str> {
    let text = text.trim();
    let name = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .or_else(|| text.strip_prefix('$'))
        .or_else(|| text.strip_prefix("secretref-env:"))
        .or_else(|| text.strip_prefix("__env__:"))?;
    is_name(name).then_some(name)
}

/// Whether OpenClaw takes it for the name of a variable: `^[A-Z][A-Z0-9_]{0,127}$`.
pub fn is_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether OpenClaw asks a program for it: `^[A-Za-z0-9][A-Za-z0-9._:/#-]{0,255}$`, and no part of a path that is
/// `.` or `..`.
pub fn is_exec_id(id: &str) -> bool {
    (1..=256).contains(&id.len())
        && id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._:/#-".contains(&b))
        && !id.split('/').any(|part| part == "." || part == "..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    pub(super) fn reference(source: Source, provider: Option<&str>, id: &str) -> Reference {
        Reference {
            source,
            provider: provider.map(str::to_owned),
            id: id.to_owned(),
        }
    }

    #[test]
    fn a_reference_is_read_as_openclaw_reads_it() {
        for (value, wanted) in [
            (json!("${FAKE_KEY}"), Some((Source::Env, None, "FAKE_KEY"))),
            (json!(" $FAKE_KEY "), Some((Source::Env, None, "FAKE_KEY"))),
            (
                json!("secretref-env:FAKE_KEY"),
                Some((Source::Env, None, "FAKE_KEY")),
            ),
            (json!("$fake"), None),
            (json!("${A"), None),
            (json!("sk-FAKE"), None),
            (
                json!({"source": "env", "id": "A"}),
                Some((Source::Env, None, "A")),
            ),
            (
                json!({"source": "file", "provider": "f", "id": "/a"}),
                Some((Source::File, Some("f"), "/a")),
            ),
            (
                json!({"source": "store", "provider": "default", "id": "A"}),
                Some((Source::Store, Some("default"), "A")),
            ),
            (
                json!({"source": "exec", "provider": "p", "id": "a", "more": 1}),
                None,
            ),
            (json!({"source": "exec", "provider": " ", "id": "a"}), None),
            (json!({"source": "exec", "provider": 7, "id": "a"}), None),
            (json!({"source": "odd", "provider": "p", "id": "a"}), None),
            (json!({"source": "env", "id": " "}), None),
            (json!(["env"]), None),
        ] {
            let wanted = wanted.map(|(source, provider, id)| reference(source, provider, id));
            assert_eq!(Reference::of(&value), wanted, "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_text_names_a_variable_or_does_not(text in "[${}A-Z_a-z0-9: ]{0,20}") {
            if let Some(name) = variable(&text) {
                prop_assert!(is_name(name));
            }
        }
    }
}
