//! References that others than clawkeep answer, and the entries of `secrets.providers` that say who does.
//! Ring 2'; pure: a configuration in, names out; never a value.
//!
//! Source: OpenClaw 2026.6.1 and 2026.9.6, `src/config/types.secrets.ts` (`coerceSecretRef`) and
//! `src/secrets/resolve.ts` (`resolveConfiguredProvider`, and what each source is held to).

pub mod answer;
pub mod file;
mod found;

pub use found::{Answer, Elsewhere, Holder};

use crate::openclaw::config::Config;
use crate::openclaw::reference::SECRET_PROVIDER;
use serde_json::Value;
use std::time::Duration;

/// The entry that is meant where none is named.
const DEFAULT: &str = "default";

/// Stands for an entry that is not told: in its answers OpenClaw names the source and the id alone. No entry can
/// have this name.
pub const UNTOLD: &str = "another entry";

/// How long OpenClaw waits for a program unless it is told otherwise, and the most that it can be told.
const USUAL_LIMIT_MS: u64 = 5_000;
const LONGEST_LIMIT_MS: u64 = 120_000;

/// The most bytes of a file that OpenClaw reads unless it is told otherwise, and the most that are read here.
const USUAL_FILE: usize = 1024 * 1024;
const LARGEST_FILE: usize = 20 * 1024 * 1024;

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

/// Whether OpenClaw takes it for the name of an entry: `^[a-z][a-z0-9_-]{0,63}$`.
fn is_alias(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// Who answers.
#[derive(Debug, Clone)]
pub enum Entry {
    /// The environment; of the variables that are allowed, where it says which.
    Variables(Option<Vec<String>>),
    /// A file, by its path as written.
    File {
        /// May begin with `~`.
        path: String,
        /// What it is held to. Up to 2026.7.1 OpenClaw can be told to read one that others may read too.
        rules: file::Rules,
    },
    /// A program.
    Program(Program),
    /// A plugin of OpenClaw's, which only OpenClaw can ask.
    Plugin,
    /// OpenClaw's own store.
    Store,
    /// There is one, and it is not told which: [`UNTOLD`].
    Untold,
}

/// A program that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its entry's name.
    pub name: String,
    /// Its path as written; may begin with `~`.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// The variables that it gets.
    pub pass_env: Vec<String>,
    /// How long it may take.
    pub limit: Duration,
    /// Whether it answers in JSON alone.
    pub is_json_only: bool,
    /// The folders that it must lie in, as written, where it must.
    pub trusted: Vec<String>,
    /// Whether OpenClaw takes a link for it: up to 2026.7.1.
    pub may_be_link: bool,
    /// Whether OpenClaw takes one that others may write: up to 2026.7.1.
    pub may_be_open: bool,
}

/// What openclaw.json says of who answers `reference`; `None` when it names nobody, or an entry of another
/// source, or by a name that OpenClaw does not take.
pub fn entry(config: &Config, reference: &Reference) -> Option<Entry> {
    let source = reference.source.name();
    let name = match &reference.provider {
        Some(name) => name.clone(),
        None => usual(config, source),
    };
    if name == UNTOLD {
        return Some(Entry::Untold);
    }
    is_alias(&name).then_some(())?;
    let at = |key: &'static str| ["secrets", "providers", &name, key].map(str::to_owned);
    let get = |key| {
        let path = at(key);
        config.get(&path.each_ref().map(String::as_str))
    };
    if !config.has(&["secrets", "providers", &name]) {
        return match reference.source {
            Source::Env if name == usual(config, source) => Some(Entry::Variables(None)),
            Source::Store if name == DEFAULT => Some(Entry::Store),
            _ => None,
        };
    }
    (get("source")?.as_str()? == source).then_some(())?;
    let text = |key| get(key).and_then(|value| value.as_str().map(str::to_owned));
    let texts = |key| {
        let list = get(key);
        let list = list.as_ref().and_then(Value::as_array);
        list.map(|list| {
            let texts = list.iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect::<Vec<String>>()
        })
    };
    let is_on = |key| get(key) == Some(Value::Bool(true));
    Some(match reference.source {
        Source::Env => Entry::Variables(texts("allowlist")),
        Source::Store => Entry::Store,
        Source::File => Entry::File {
            path: text("path")?,
            rules: file::Rules {
                is_single: text("mode").as_deref() == Some("singleValue"),
                most: get("maxBytes")
                    .and_then(|most| usize::try_from(most.as_u64()?).ok())
                    .filter(|most| *most > 0)
                    .map_or(USUAL_FILE, |most| most.min(LARGEST_FILE)),
                may_be_open: is_on("allowInsecurePath"),
            },
        },
        Source::Exec if get("pluginIntegration").is_some() => Entry::Plugin,
        Source::Exec => Entry::Program(Program {
            command: text("command")?,
            args: texts("args").unwrap_or_default(),
            pass_env: texts("passEnv").unwrap_or_default(),
            limit: Duration::from_millis(
                get("timeoutMs")
                    .and_then(|ms| ms.as_u64())
                    .filter(|ms| *ms > 0)
                    .map_or(USUAL_LIMIT_MS, |ms| ms.min(LONGEST_LIMIT_MS)),
            ),
            is_json_only: get("jsonOnly") != Some(Value::Bool(false)),
            trusted: texts("trustedDirs").unwrap_or_default(),
            may_be_link: is_on("allowSymlinkCommand"),
            may_be_open: is_on("allowInsecurePath"),
            name,
        }),
    })
}

/// The entry that is meant where a reference of the source names none.
fn usual(config: &Config, source: &str) -> String {
    let said = config.get(&["secrets", "defaults", source]);
    let said = said.as_ref().and_then(Value::as_str).map(str::trim);
    let said = said.filter(|said| !said.is_empty());
    said.unwrap_or(DEFAULT).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use std::path::Path;

    fn config(text: &str) -> Config {
        Config::parse(text.as_bytes(), Path::new("/nowhere/openclaw.json")).unwrap()
    }

    fn reference(source: Source, provider: Option<&str>, id: &str) -> Reference {
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

    #[test]
    fn who_answers_is_what_openclaw_would_ask() {
        let config = config(
            "{secrets: {defaults: {file: 'main'}, providers: {
                few: {source: 'env', allowlist: ['A', 'B']},
                main: {source: 'file', path: '~/s.json'},
                one: {source: 'file', path: '/s', mode: 'singleValue', maxBytes: 9},
                pass: {source: 'exec', command: '/bin/pass', jsonOnly: false, timeoutMs: 700},
                'Odd name': {source: 'exec', command: '/bin/odd'},
                op: {source: 'exec', pluginIntegration: {pluginId: 'a', integrationId: 'b'}},
            }}}",
        );
        let of = |source, provider, id| entry(&config, &reference(source, provider, id));
        let allowed = |provider| match of(Source::Env, provider, "A") {
            Some(Entry::Variables(allowed)) => allowed,
            other => panic!("{other:?}"),
        };
        assert_eq!(allowed(None), None, "it need not be named");
        let few = vec!["A".to_owned(), "B".to_owned()];
        assert_eq!(allowed(Some("few")), Some(few));
        assert!(
            of(Source::Env, Some("main"), "A").is_none(),
            "another source"
        );
        assert!(of(Source::Env, Some("none"), "A").is_none());
        assert!(of(Source::Exec, None, "A").is_none());
        assert!(of(Source::Exec, Some("Odd name"), "A").is_none());
        let file = |provider| match of(Source::File, provider, "/a") {
            Some(Entry::File { path, rules }) => (path, rules.is_single, rules.most),
            other => panic!("{other:?}"),
        };
        assert_eq!(file(None), ("~/s.json".to_owned(), false, USUAL_FILE));
        assert_eq!(file(Some("one")), ("/s".to_owned(), true, 9));
        let Some(Entry::Program(program)) = of(Source::Exec, Some("pass"), "A") else {
            panic!("a program answers");
        };
        assert_eq!(program.limit, Duration::from_millis(700));
        assert!(!program.is_json_only);
        assert!(matches!(
            of(Source::Exec, Some("op"), "A"),
            Some(Entry::Plugin)
        ));
        assert!(matches!(
            of(Source::Store, Some("default"), "A"),
            Some(Entry::Store)
        ));
    }

    proptest! {
        #[test]
        fn whatever_stands_there_is_read_or_is_none(
            source in "(env|file|exec|store|odd)",
            entry_of in "([a-z][a-z0-9_-]{0,5}|\\PC{0,12})",
            setting in "(source|path|command|allowlist|timeoutMs|maxBytes|mode)",
            value in prop_oneof![Just(json!(null)), Just(json!(-1)), Just(json!([1, {}])), Just(json!({"a": []})), Just(json!(u64::MAX)), "\\PC{0,8}".prop_map(|text| json!(text))],
        ) {
            let all = json!({"secrets": {"providers": {entry_of.clone(): {"source": source, setting: value}}}});
            let config = config(&all.to_string());
            for source in [Source::Env, Source::File, Source::Exec, Source::Store] {
                let _ = entry(&config, &reference(source, Some(&entry_of), "A"));
            }
        }

        #[test]
        fn a_text_names_a_variable_or_does_not(text in "[${}A-Z_a-z0-9: ]{0,20}") {
            if let Some(name) = variable(&text) {
                prop_assert!(is_name(name));
            }
        }
    }
}
