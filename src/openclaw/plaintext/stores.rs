//! Credentials in `auth-profiles.json` and in the flat stores before it. Ring 2'; pure.
//!
//! Source: OpenClaw 2026.6.1, `src/agents/auth-profiles/persisted.ts` (what its loader reads) and
//! `src/commands/doctor-auth-flat-profiles.ts` (what its repair reads besides: the flat form, and
//! `api_key` for `key`).

use super::names::means_credential;
use super::{Found, What, is_placeholder};
use crate::error::Result;
use crate::expiry::Millis;
use crate::openclaw::document::Document as Json;
use crate::openclaw::profile::{self, Expires, ProfileKind};
use crate::provider::{ProfileId, ProviderId};
use crate::secret::SecretKind;
use serde_json::{Map, Value};
use std::path::Path;
use zeroize::Zeroizing;

const PROFILES: &str = "profiles";

/// The fields that hold a value, the one that OpenClaw reads first.
const KEY_FIELDS: [&str; 4] = ["key", "apiKey", "api_key", "token"];
const TOKEN_FIELDS: [&str; 4] = ["token", "key", "apiKey", "api_key"];

/// What a login holds, besides whatever is named like a credential.
const LOGIN_FIELDS: [&str; 3] = ["access", "refresh", "idToken"];

/// Why a login that OpenClaw renews stays (a clause).
pub const LOGIN: &str = "OpenClaw renews this OAuth login itself, so no ref can stand for it";
const NO_PROFILE: &str =
    "OpenClaw passes over this entry: it has no type or provider that it knows";
const NO_NAME: &str = "its profile or provider has a name under which clawkeep stores nothing";
const NO_REF: &str = "OpenClaw takes no ref in this field";

/// Every credential of `auth-profiles.json`.
///
/// # Errors
/// `Broken` when it is no JSON object.
pub(super) fn profiles(bytes: &[u8], path: &Path) -> Result<Vec<Found>> {
    let document = Json::parse(bytes, path)?;
    if !document.root.contains_key(PROFILES) {
        return Ok(flat_entries(&document.root));
    }
    let mut found = Vec::new();
    let entries = document.root.get(PROFILES).and_then(Value::as_object);
    for (id, entry) in entries.into_iter().flatten() {
        one(id, entry, &mut found);
    }
    Ok(found)
}

/// Every credential of a flat map of providers: `auth.json`, and `auth-profiles.json` of the seed era.
///
/// # Errors
/// `Broken` when it is no JSON object.
pub(super) fn flat(bytes: &[u8], path: &Path) -> Result<Vec<Found>> {
    Ok(flat_entries(&Json::parse(bytes, path)?.root))
}

/// Everything in `credentials/oauth.json`.
///
/// # Errors
/// `Broken` when it is no JSON object.
pub(super) fn logins(bytes: &[u8], path: &Path) -> Result<Vec<Found>> {
    let document = Json::parse(bytes, path)?;
    let mut found = Vec::new();
    for (provider, entry) in &document.root {
        others(&mut vec![provider.clone()], entry, &[], LOGIN, &mut found);
    }
    Ok(found)
}

fn one(id: &str, entry: &Value, found: &mut Vec<Found>) {
    let mut path = vec![PROFILES.to_owned(), id.to_owned()];
    let Some(fields) = entry.as_object() else {
        return others(&mut path, entry, &[], NO_PROFILE, found);
    };
    if profile::is_oauth(entry) {
        return others(&mut path, entry, &[], LOGIN, found);
    }
    let Some(read) = profile::read(id, entry) else {
        let named = profile::kind_of(fields).is_some()
            && fields.get("provider").is_some_and(|provider| {
                provider
                    .as_str()
                    .is_some_and(|provider| !provider.trim().is_empty())
            });
        let reason = if named { NO_NAME } else { NO_PROFILE };
        return others(&mut path, entry, &[], reason, found);
    };
    let (kind, order, ref_field) = match read.kind {
        ProfileKind::Token => (SecretKind::Token, TOKEN_FIELDS, "tokenRef"),
        _ => (SecretKind::ApiKey, KEY_FIELDS, "keyRef"),
    };
    let has_ref = [ref_field, order[0]]
        .iter()
        .any(|field| fields.get(*field).is_some_and(profile::is_ref));
    let own = |field: &str| match kind {
        SecretKind::Token => field == "token",
        _ => field != "token",
    };
    let mut taken = has_ref;
    for field in order {
        let Some(value) = fields.get(field).and_then(plaintext) else {
            continue;
        };
        let what = if own(field) && !std::mem::replace(&mut taken, true) {
            What::Profile {
                profile: read.id.clone(),
                provider: read.provider.clone(),
                kind,
                expires: moment(read.expires),
            }
        } else {
            What::Residue {
                profile: read.id.clone(),
                provider: read.provider.clone(),
            }
        };
        found.push(at(&path, field, value, what));
    }
    others(&mut path, entry, &order, NO_REF, found);
}

fn flat_entries(root: &Map<String, Value>) -> Vec<Found> {
    let mut found = Vec::new();
    for (name, entry) in root {
        let mut path = vec![name.clone()];
        let fields = entry.as_object();
        let kind = fields.and_then(flat_kind);
        let Some((fields, kind)) = fields.zip(kind) else {
            let reason = if profile::is_oauth(entry) || holds_login(entry) {
                LOGIN
            } else {
                NO_PROFILE
            };
            others(&mut path, entry, &[], reason, &mut found);
            continue;
        };
        let order = match kind {
            SecretKind::Token => TOKEN_FIELDS,
            _ => KEY_FIELDS,
        };
        let provider = fields
            .get("provider")
            .and_then(Value::as_str)
            .filter(|provider| !provider.trim().is_empty())
            .unwrap_or(name);
        let named = ProviderId::parse(provider)
            .ok()
            .zip(ProfileId::parse(&format!("{}:default", name.trim())).ok());
        let Some((provider, profile)) = named else {
            others(&mut path, entry, &[], NO_NAME, &mut found);
            continue;
        };
        let mut taken = false;
        for field in order {
            let Some(value) = fields.get(field).and_then(plaintext) else {
                continue;
            };
            let what = if std::mem::replace(&mut taken, true) {
                What::Residue {
                    profile: profile.clone(),
                    provider: provider.clone(),
                }
            } else {
                What::Flat {
                    profile: profile.clone(),
                    provider: provider.clone(),
                    kind,
                    expires: match kind {
                        SecretKind::Token => fields.get("expires").and_then(profile::moment),
                        _ => None,
                    },
                }
            };
            found.push(at(&path, field, value, what));
        }
        others(&mut path, entry, &order, NO_REF, &mut found);
    }
    found
}

/// The kind of a flat entry, by its type or, as OpenClaw's repair has it, by what it holds.
fn flat_kind(fields: &Map<String, Value>) -> Option<SecretKind> {
    match profile::kind_of(fields) {
        Some(ProfileKind::ApiKey) => return Some(SecretKind::ApiKey),
        Some(ProfileKind::Token) => return Some(SecretKind::Token),
        Some(ProfileKind::Oauth) => return None,
        None => {}
    }
    if fields.contains_key("type") || fields.contains_key("mode") {
        return None;
    }
    let has = |field: &str| fields.get(field).and_then(plaintext).is_some();
    if has("key") || has("apiKey") {
        Some(SecretKind::ApiKey)
    } else if has("token") {
        Some(SecretKind::Token)
    } else {
        None
    }
}

fn holds_login(entry: &Value) -> bool {
    let fields = entry.as_object();
    fields.is_some_and(|fields| fields.contains_key("access") || fields.contains_key("refresh"))
}

/// Whatever else below `path` is meant to be a credential, but for the `known` fields of the top.
fn others(
    path: &mut Vec<String>,
    value: &Value,
    known: &[&str],
    reason: &'static str,
    found: &mut Vec<Found>,
) {
    match value {
        Value::String(_) => {
            let Some(text) = plaintext(value) else { return };
            let login = path
                .last()
                .is_some_and(|field| LOGIN_FIELDS.contains(&field.as_str()));
            let field = path
                .last()
                .is_some_and(|field| KEY_FIELDS.contains(&field.as_str()));
            if login || field || means_credential(path, text) {
                found.push(Found {
                    path: path.clone(),
                    value: Zeroizing::new(text.to_owned()),
                    what: What::Stays { reason },
                });
            }
        }
        Value::Array(list) => {
            for (index, element) in list.iter().enumerate() {
                path.push(index.to_string());
                others(path, element, &[], reason, found);
                path.pop();
            }
        }
        Value::Object(fields) if !profile::is_ref(value) => {
            for (key, inner) in fields {
                if !known.contains(&key.as_str()) {
                    path.push(key.clone());
                    others(path, inner, &[], reason, found);
                    path.pop();
                }
            }
        }
        _ => {}
    }
}

fn plaintext(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !is_placeholder(text))
}

fn at(path: &[String], field: &str, value: &str, what: What) -> Found {
    let mut path = path.to_vec();
    path.push(field.to_owned());
    Found {
        path,
        value: Zeroizing::new(value.to_owned()),
        what,
    }
}

fn moment(expires: Expires) -> Option<Millis> {
    match expires {
        Expires::At(at) => Some(at),
        Expires::Never | Expires::Invalid => None,
    }
}
