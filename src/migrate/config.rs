//! What openclaw.json says about variables and providers. Ring 3; reads, writes nothing.

use super::find::Found;
use super::item::{At, Item, What};
use super::read::Read;
use super::source::Form;
use crate::openclaw::config::Config;
use crate::openclaw::plaintext::{Document, takes_ref};
use crate::provider::ProviderId;
use std::collections::{BTreeMap, BTreeSet};

/// How a text of openclaw.json uses a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Use {
    path: Vec<String>,
    name: String,
    /// The text is the variable and nothing else.
    whole: bool,
}

/// Finds where openclaw.json reads variables that have plaintext. Where a reference can stand in the
/// place of `${NAME}` the place becomes an item of its own; where none can, the variable is needed.
pub fn variables(
    config: &Config,
    reads: &[Read],
    found: &mut Found,
    needed: &mut BTreeMap<String, String>,
) {
    in_profiles(reads, needed);
    let source = reads
        .iter()
        .position(|read| read.source.form == Form::Json(Document::Config));
    let uses = uses(config);
    let names: BTreeSet<&str> = uses.iter().map(|one| one.name.as_str()).collect();
    for name in names {
        let mut of_name = uses.iter().filter(|one| one.name == name);
        let values: BTreeSet<_> = found
            .items
            .iter()
            .filter(|item| item.variable() == Some(name) && !item.is_stale)
            .map(|item| item.value)
            .collect();
        let mut values = values.into_iter();
        let (Some(value), None, Some(source)) = (values.next(), values.next(), source) else {
            // Which of two values OpenClaw would read there depends on how it was started.
            if let Some(one) = of_name.next() {
                needed.insert(name.to_owned(), said(&one.path));
            }
            continue;
        };
        let stuck = of_name
            .clone()
            .find(|one| !one.whole || what(&one.path).is_none());
        if let Some(one) = stuck {
            needed.insert(name.to_owned(), said(&one.path));
            continue;
        }
        let is_setup_token = found
            .items
            .iter()
            .any(|item| item.value == value && item.is_setup_token);
        for item in &mut found.items {
            if item.variable() == Some(name) && item.what == What::Carried {
                item.what = What::Behind;
            }
        }
        for one in of_name {
            let Some(what) = what(&one.path) else {
                continue;
            };
            found.items.push(Item {
                source,
                at: At::Json(one.path.clone()),
                what,
                value,
                is_setup_token,
                is_stale: false,
            });
        }
    }
}

/// After a migration that was cut off: variables that openclaw.json read before it, and in whose place our
/// references stand already.
pub fn resumed(before: &Config, now: &Config, found: &mut Found) {
    let refs: BTreeSet<Vec<String>> = now
        .refs()
        .into_iter()
        .filter(|(_, reference)| reference.is_ours())
        .map(|(path, _)| path)
        .collect();
    let mut referred: BTreeMap<String, bool> = BTreeMap::new();
    for one in uses(before) {
        let is_behind = one.whole && refs.contains(&one.path);
        *referred.entry(one.name).or_insert(true) &= is_behind;
    }
    for item in &mut found.items {
        let is_behind = item
            .variable()
            .is_some_and(|name| referred.get(name) == Some(&true));
        if is_behind && item.what == What::Carried {
            item.what = What::Behind;
        }
    }
}

/// A profile that refers to a variable reads it where no other name of ours stands yet.
fn in_profiles(reads: &[Read], needed: &mut BTreeMap<String, String>) {
    for read in reads {
        if read.source.form != Form::Json(Document::Profiles) {
            continue;
        }
        // What is no JSON was said when it was looked through.
        let Ok(profiles) = Config::parse(&read.bytes, &read.source.path) else {
            continue;
        };
        for one in uses(&profiles) {
            let place = format!("auth-profiles.json at {}", one.path.join("."));
            needed.entry(one.name).or_insert(place);
        }
    }
}

fn said(path: &[String]) -> String {
    format!("openclaw.json at {}", path.join("."))
}

/// What a place is at which a reference can stand.
fn what(path: &[String]) -> Option<What> {
    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
    match keys.as_slice() {
        ["gateway", "auth", "token"] => Some(What::GatewayToken),
        ["models", "providers", key, "apiKey"] => Some(What::ProviderKey {
            provider: ProviderId::parse(key).ok()?,
            key: (*key).to_owned(),
        }),
        _ => takes_ref(path).then(|| What::Slot(path.to_vec())),
    }
}

/// Every use of a variable.
fn uses(config: &Config) -> Vec<Use> {
    let mut uses = Vec::new();
    for text in config.strings_and_comments().0 {
        let is_env = text.path.first().is_some_and(|key| key == "env");
        // A reference of source `env` names the variable at its `id`.
        if let [above @ .., id] = text.path.as_slice()
            && id == "id"
            && is_env_ref(config, above)
        {
            uses.push(Use {
                path: above.to_vec(),
                name: text.value.to_string(),
                whole: true,
            });
            continue;
        }
        for (name, whole) in named(&text.value) {
            uses.push(Use {
                path: text.path.clone(),
                name: name.to_owned(),
                // A variable that is made of another one.
                whole: whole && !is_env,
            });
        }
    }
    uses
}

fn is_env_ref(config: &Config, path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    config
        .get(&[path.as_slice(), &["source"]].concat())
        .is_some_and(|source| source == "env")
}

/// The variables in a text: `$NAME` alone, and each `${NAME}`.
fn named(text: &str) -> Vec<(&str, bool)> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
            && name
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    if let Some(name) = text.trim().strip_prefix('$').filter(|name| is_name(name)) {
        return vec![(name, true)];
    }
    let mut names = Vec::new();
    for (at, _) in text.match_indices("${") {
        let rest = &text[at + 2..];
        let Some((name, after)) = rest.split_once('}') else {
            continue;
        };
        if is_name(name) {
            let whole = text[..at].trim().is_empty() && after.trim().is_empty();
            names.push((name, whole));
        }
    }
    names
}

/// The providers that a configuration has to do with: below `models.providers`, in profiles and
/// orders, and in the names of models.
pub fn named_providers(config: &Config) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    let mut add = |text: &str| {
        if let Ok(provider) = ProviderId::parse(text) {
            named.insert(provider.as_str().to_owned());
        }
    };
    for keys in [&["models", "providers"][..], &["auth", "order"]] {
        config.keys(keys).iter().for_each(|key| add(key));
    }
    for profile in config.keys(&["auth", "profiles"]) {
        if let Some((provider, _)) = profile.split_once(':') {
            add(provider);
        }
    }
    for key in config.keys(&["agents", "defaults", "models"]) {
        if let Some((provider, _)) = key.split_once('/') {
            add(provider);
        }
    }
    for text in config.strings_and_comments().0 {
        let is_agents = text.path.first().is_some_and(|key| key == "agents");
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "./_:-@".contains(c);
        if is_agents
            && text.value.len() <= 128
            && text.value.chars().all(is_plain)
            && let Some((provider, _)) = text.value.split_once('/')
        {
            add(provider);
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    fn config(text: &str) -> Config {
        Config::parse(text.as_bytes(), Path::new("openclaw.json")).unwrap()
    }

    #[test]
    fn variables_are_found_in_every_form() {
        let config = config(
            "{ a: '$A', b: ' ${B} ', c: 'x ${C} ${D}', d: '$lower', e: '${not this', \
             f: { source: 'env', provider: 'default', id: 'F' }, g: [ '${G}' ], \
             env: { vars: { H: '${I}' } } }",
        );
        let found: Vec<(String, String, bool)> = uses(&config)
            .into_iter()
            .map(|one| (one.path.join("."), one.name, one.whole))
            .collect();
        let expected = [
            ("a", "A", true),
            ("b", "B", true),
            ("c", "C", false),
            ("c", "D", false),
            ("f", "F", true),
            ("g.0", "G", true),
            ("env.vars.H", "I", false),
        ];
        let expected: Vec<_> = expected
            .map(|(path, name, whole)| (path.to_owned(), name.to_owned(), whole))
            .into();
        assert_eq!(found, expected);
    }

    #[test]
    fn providers_are_named_by_models_profiles_and_orders() {
        let config = config(
            "{ models: { providers: { Mock: {} } }, auth: { order: { groq: [] }, profiles: { \
             'xai:me': {} } }, agents: { defaults: { model: { primary: 'kimi/k2' }, models: { \
             'zai/glm': {} } }, list: [ { workspace: '/home/me' } ] } }",
        );
        let named: Vec<String> = named_providers(&config).into_iter().collect();
        assert_eq!(named, ["groq", "kimi", "mock", "xai", "zai"]);
    }

    proptest! {
        #[test]
        fn any_text_is_looked_through(text in "[A-Z${} a]{0,30}") {
            for (name, _) in named(&text) {
                prop_assert!(text.contains(name) && !name.is_empty());
            }
        }
    }
}
