//! The entries of `secrets.providers`: who answers a reference. Pure: a configuration in, names out; what an entry
//! gives its program is not read here.
//!
//! Source: OpenClaw 2026.6.1 and 2026.9.6, `src/secrets/resolve.ts` (`resolveConfiguredProvider`, and what each
//! source is held to), `src/config/env-substitution.ts` (`${NAME}` in any text).

use super::{Reference, Source, file};
use crate::openclaw::config::Config;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::time::Duration;

/// The entry that is meant where none is named.
const DEFAULT: &str = "default";

/// Stands for an entry that is not told: in its answers OpenClaw names the source and the id alone. No entry can
/// have this name.
pub const UNTOLD: &str = "another entry";

/// How long OpenClaw waits for a program unless it is told otherwise, in milliseconds (`timeoutMs`).
pub const USUAL_LIMIT_MS: u64 = 5_000;

/// The most that it can be told, in milliseconds.
pub const LONGEST_LIMIT_MS: u64 = 120_000;

/// The most bytes of a file that OpenClaw reads unless it is told otherwise, and the most that are read here.
const USUAL_FILE: usize = 1024 * 1024;
const LARGEST_FILE: usize = 20 * 1024 * 1024;

/// The most bytes that a program may write unless it is told otherwise, and the most that it can be told.
const USUAL_ANSWER: usize = 1024 * 1024;
const LARGEST_ANSWER: usize = 20 * 1024 * 1024;

/// The most references that OpenClaw asks one entry for, unless it is told otherwise.
const USUAL_MOST: usize = 512;

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
    /// It is written with variables, which OpenClaw puts in.
    Written,
}

/// A program that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its path as written; may begin with `~`.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// The variables that it gets.
    pub pass_env: Vec<String>,
    /// How long it may take, and be silent: nearly all write once, at their end.
    pub limit: Duration,
    /// The most bytes that it may write.
    pub most: usize,
    /// Whether it answers in JSON alone.
    pub is_json_only: bool,
    /// The folders that it must lie in, as written, where it must.
    pub trusted: Vec<String>,
    /// Whether OpenClaw takes a link for it: up to 2026.7.1.
    pub may_be_link: bool,
    /// Whether OpenClaw takes one that others may write: up to 2026.7.1.
    pub may_be_open: bool,
}

/// All of them.
#[derive(Debug)]
pub struct Entries {
    all: HashMap<String, Map<String, Value>>,
    defaults: Map<String, Value>,
    /// The most references that one of them is asked for at a time.
    pub most: usize,
}

impl Entries {
    /// Reads them once.
    pub fn read(config: &Config) -> Self {
        let object = |path: &[&str]| match config.get(path) {
            Some(Value::Object(object)) => object,
            _ => Map::new(),
        };
        let most = config.get(&["secrets", "resolution", "maxRefsPerProvider"]);
        Entries {
            all: config.secret_entries().into_iter().collect(),
            defaults: object(&["secrets", "defaults"]),
            most: size(most.as_ref()).unwrap_or(USUAL_MOST),
        }
    }

    /// The name of the entry that answers `reference`.
    pub fn name<'a>(&'a self, reference: &'a Reference) -> &'a str {
        let usual = || {
            let said = self.defaults.get(reference.source.name());
            let said = said.and_then(Value::as_str).map(str::trim);
            said.filter(|said| !said.is_empty()).unwrap_or(DEFAULT)
        };
        reference.provider.as_deref().unwrap_or_else(usual)
    }

    /// Who answers `reference`; `None` when openclaw.json names nobody, or an entry of another source, or by a
    /// name that OpenClaw does not take.
    pub fn of(&self, reference: &Reference) -> Option<Entry> {
        let source = reference.source.name();
        let name = self.name(reference);
        if name == UNTOLD {
            return Some(Entry::Untold);
        }
        is_alias(name).then_some(())?;
        let Some(fields) = self.all.get(name) else {
            let usual = Reference {
                provider: None,
                ..reference.clone()
            };
            return match reference.source {
                Source::Env if name == self.name(&usual) => Some(Entry::Variables(None)),
                Source::Store if name == DEFAULT => Some(Entry::Store),
                _ => None,
            };
        };
        (fields.get("source")?.as_str()? == source).then_some(())?;
        if fields.values().any(has_variable) {
            return Some(Entry::Written);
        }
        let text = |key: &str| fields.get(key)?.as_str().map(str::to_owned);
        let is_on = |key| fields.get(key) == Some(&Value::Bool(true));
        Some(match reference.source {
            Source::Env => Entry::Variables(texts(fields, "allowlist")),
            Source::Store => Entry::Store,
            Source::File => Entry::File {
                path: text("path")?,
                rules: file::Rules {
                    is_single: text("mode").as_deref() == Some("singleValue"),
                    most: size(fields.get("maxBytes"))
                        .map_or(USUAL_FILE, |most| most.min(LARGEST_FILE)),
                    may_be_open: is_on("allowInsecurePath"),
                },
            },
            Source::Exec if fields.contains_key("pluginIntegration") => Entry::Plugin,
            Source::Exec => Entry::Program(program(fields, text("command")?)),
        })
    }
}

fn program(fields: &Map<String, Value>, command: String) -> Program {
    let is_on = |key| fields.get(key) == Some(&Value::Bool(true));
    let time = |key| {
        let ms = fields.get(key).and_then(Value::as_u64);
        ms.filter(|ms| *ms > 0)
            .map(|ms| Duration::from_millis(ms.min(LONGEST_LIMIT_MS)))
    };
    let limit = time("timeoutMs").unwrap_or(Duration::from_millis(USUAL_LIMIT_MS));
    Program {
        command,
        args: texts(fields, "args").unwrap_or_default(),
        pass_env: texts(fields, "passEnv").unwrap_or_default(),
        limit: time("noOutputTimeoutMs").map_or(limit, |silent| silent.min(limit)),
        most: size(fields.get("maxOutputBytes"))
            .map_or(USUAL_ANSWER, |most| most.min(LARGEST_ANSWER)),
        is_json_only: fields.get("jsonOnly") != Some(&Value::Bool(false)),
        trusted: texts(fields, "trustedDirs").unwrap_or_default(),
        may_be_link: is_on("allowSymlinkCommand"),
        may_be_open: is_on("allowInsecurePath"),
    }
}

fn texts(fields: &Map<String, Value>, key: &str) -> Option<Vec<String>> {
    let list = fields.get(key)?.as_array()?.iter();
    Some(list.filter_map(Value::as_str).map(str::to_owned).collect())
}

/// A number of bytes, or of references; `None` for what is none.
fn size(value: Option<&Value>) -> Option<usize> {
    let size = usize::try_from(value?.as_u64()?).ok()?;
    (size > 0).then_some(size)
}

/// Whether OpenClaw would put a variable into a text of it.
fn has_variable(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${"),
        Value::Array(all) => all.iter().any(has_variable),
        Value::Object(fields) => fields.values().any(has_variable),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether OpenClaw takes it for the name of an entry: `^[a-z][a-z0-9_-]{0,63}$`.
fn is_alias(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::super::tests::reference;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use std::path::Path;

    fn config(text: &str) -> Config {
        Config::parse(text.as_bytes(), Path::new("/nowhere/openclaw.json")).unwrap()
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
                silent: {source: 'exec', command: '/bin/pass', noOutputTimeoutMs: 300, maxOutputBytes: 9},
                written: {source: 'file', path: '${HOME}/s.json'},
                op: {source: 'exec', pluginIntegration: {pluginId: 'a', integrationId: 'b'}},
            }}}",
        );
        let entries = Entries::read(&config);
        let of = |source, provider, id| entries.of(&reference(source, provider, id));
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
        assert_eq!(program.most, USUAL_ANSWER);
        let Some(Entry::Program(silent)) = of(Source::Exec, Some("silent"), "A") else {
            panic!("a program answers");
        };
        assert_eq!(silent.limit, Duration::from_millis(300));
        assert_eq!(silent.most, 9);
        assert!(matches!(
            of(Source::File, Some("written"), "/a"),
            Some(Entry::Written)
        ));
        let usual = reference(Source::File, None, "/a");
        assert_eq!(entries.name(&usual), "main");
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
                let _ = Entries::read(&config).of(&reference(source, Some(&entry_of), "A"));
            }
        }
    }
}
