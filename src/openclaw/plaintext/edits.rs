//! Replacements of credentials, in each file's own form. Ring 2'; pure.

use super::{Document, Replacement};
use crate::error::{Error, Result};
use crate::openclaw::config::{Config, MARKER, Put};
use crate::openclaw::document::Document as Json;
use crate::openclaw::profile::{self, ProfileKind};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::Path;
use zeroize::Zeroizing;

/// See [`super::replace`].
pub(super) fn replace(
    document: Document,
    bytes: &[u8],
    path: &Path,
    what: &[(Vec<String>, Replacement)],
) -> Result<Zeroizing<Vec<u8>>> {
    let store = match document {
        Document::Profiles | Document::LegacyAuth | Document::Oauth => {
            Some(Json::parse(bytes, path)?)
        }
        _ => None,
    };
    let root = store.as_ref().map(|store| &store.root);
    let steps = match (document, root) {
        (Document::Profiles, Some(root)) if root.contains_key("profiles") => {
            in_profiles(root, path, what)?
        }
        (Document::Profiles | Document::LegacyAuth, Some(_)) => in_flat(path, what)?,
        (Document::Oauth, Some(_)) => plain(path, what, false)?,
        _ => plain(path, what, true)?,
    };
    let mut config = Config::parse(bytes, path)?;
    let puts: Vec<(Vec<String>, Put<'_>)> = steps
        .iter()
        .map(|step| {
            let put = match &step.put {
                Wanted::Value(value) => Put::Value(value),
                Wanted::Under(key, value) => Put::Under(key, value),
                Wanted::Gone => Put::Gone,
            };
            (step.path.clone(), put)
        })
        .collect();
    config.put(&puts, !document.is_read())?;
    Ok(config.bytes())
}

struct Step {
    path: Vec<String>,
    put: Wanted,
}

enum Wanted {
    Value(Value),
    Under(&'static str, Value),
    Gone,
}

fn plain(path: &Path, what: &[(Vec<String>, Replacement)], refs: bool) -> Result<Vec<Step>> {
    what.iter()
        .map(|(at, replacement)| {
            let put = match replacement {
                Replacement::Ref(_) if !refs => return Err(no_ref(at, path)),
                Replacement::Ref(reference) => Wanted::Value(reference.to_value()),
                Replacement::Marker => Wanted::Value(Value::from(MARKER)),
                Replacement::Remove => Wanted::Gone,
            };
            let path = at.clone();
            Ok(Step { path, put })
        })
        .collect()
}

/// In `profiles.<id>.<field>` a ref stands under its own key.
fn in_profiles(
    root: &Map<String, Value>,
    path: &Path,
    what: &[(Vec<String>, Replacement)],
) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for (at, replacement) in what {
        let Replacement::Ref(reference) = replacement else {
            steps.extend(plain(path, &[(at.clone(), replacement.clone())], false)?);
            continue;
        };
        let field = ref_field(root, at).ok_or_else(|| no_ref(at, path))?;
        let beside: Vec<String> = at[..2].iter().cloned().chain([field.to_owned()]).collect();
        let has_one = root["profiles"][&at[1]].get(field).is_some();
        let put = |path: &[String], put| Step {
            path: path.to_vec(),
            put,
        };
        if has_one {
            steps.push(put(&beside, Wanted::Value(reference.to_value())));
            steps.push(put(at, Wanted::Gone));
        } else {
            steps.push(put(at, Wanted::Under(field, reference.to_value())));
        }
    }
    Ok(steps)
}

/// Where the ref of the value at `at` belongs.
fn ref_field(root: &Map<String, Value>, at: &[String]) -> Option<&'static str> {
    let [profiles, id, field] = at else {
        return None;
    };
    if profiles != "profiles" || !["key", "apiKey", "api_key", "token"].contains(&field.as_str()) {
        return None;
    }
    let entry = root.get("profiles")?.get(id)?;
    if profile::is_oauth(entry) {
        return None;
    }
    match profile::kind_of(entry.as_object()?)? {
        ProfileKind::ApiKey => Some("keyRef"),
        ProfileKind::Token => Some("tokenRef"),
        ProfileKind::Oauth => None,
    }
}

/// An entry without its value would be imported as a profile without one: it goes as a whole.
fn in_flat(path: &Path, what: &[(Vec<String>, Replacement)]) -> Result<Vec<Step>> {
    let mut gone = BTreeSet::new();
    let mut steps = Vec::new();
    for (at, replacement) in what {
        match (replacement, at.first()) {
            (Replacement::Remove, Some(entry)) => {
                gone.insert(entry.clone());
            }
            _ => steps.extend(plain(path, &[(at.clone(), replacement.clone())], false)?),
        }
    }
    steps.retain(|step| step.path.first().is_none_or(|entry| !gone.contains(entry)));
    steps.extend(gone.into_iter().map(|entry| Step {
        path: vec![entry],
        put: Wanted::Gone,
    }));
    Ok(steps)
}

fn no_ref(at: &[String], path: &Path) -> Error {
    Error::failed(format!(
        "no ref can stand at {} in {}",
        at.join("."),
        path.display()
    ))
    .hint("openclaw doctor --fix")
}
