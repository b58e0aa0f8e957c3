//! One entry of auth-profiles.json. Ring 2'; pure: an id and a JSON value in, a profile out.
//!
//! Source: OpenClaw 2026.6.1, `src/agents/auth-profiles/{persisted,credential-state}.ts`
//! (`normalizeRawCredentialEntry`, `parseCredentialEntry`, `resolveTokenExpiryState`) and
//! `src/config/types.secrets.ts` (`coerceSecretRef`).
//!
//! Promise: an entry reads as OpenClaw's loader reads it, its misspellings included (`mode` for
//! `type`, `apiKey` for `key` and `api_key`, a ref in the value's own field), and one that it drops
//! is none here.

use crate::expiry::Millis;
use crate::openclaw::document::wipe;
use crate::openclaw::elsewhere::{Reference, variable};
use crate::openclaw::reference::SecretRef;
use crate::provider::{ProfileId, ProviderId};
use crate::secret::SecretKind;
use serde_json::{Map, Value};

/// Every field that can hold a value in the clear or a ref to one.
/// `api_key` is one that only `openclaw doctor --fix` reads, as `key`.
const CREDENTIAL_FIELDS: [&str; 6] = ["key", "keyRef", "apiKey", "api_key", "token", "tokenRef"];

/// Every field that somebody could put a ref into.
const REF_FIELDS: [&str; 6] = ["key", "keyRef", "token", "tokenRef", "access", "refresh"];

/// What a profile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProfileKind {
    /// A login that OpenClaw renews itself. Cannot be a ref.
    Oauth,
    /// A bearer or setup-token.
    Token,
    /// An API key.
    ApiKey,
}

impl ProfileKind {
    /// The word in the file.
    pub fn name(self) -> &'static str {
        match self {
            ProfileKind::Oauth => "oauth",
            ProfileKind::Token => "token",
            ProfileKind::ApiKey => "api_key",
        }
    }
}

/// When a profile stops working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expires {
    /// It has no `expires`, or is an API key, of which OpenClaw reads none.
    Never,
    /// At that moment.
    At(Millis),
    /// `expires` is no moment: OpenClaw does not use the profile.
    Invalid,
}

impl Expires {
    /// Whether OpenClaw would leave the profile out at `now`.
    pub fn is_over(self, now: Millis) -> bool {
        match self {
            Expires::Never => false,
            Expires::At(at) => at <= now,
            Expires::Invalid => true,
        }
    }
}

/// Whether a profile has anything to show a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A value in the clear or a ref of any source; of a login its `access` or `refresh`.
    Credential,
    /// A login that lies in the credentials folder of an older OpenClaw (`oauthRef`).
    OldLogin,
    /// Neither.
    Nothing,
}

/// One profile as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its id.
    pub id: ProfileId,
    /// Whose credential it is.
    pub provider: ProviderId,
    /// What it holds.
    pub kind: ProfileKind,
    /// The exec ref in its value's place, ours or another's; `None` without one, and for refs of
    /// other sources.
    pub reference: Option<SecretRef>,
    /// The field with a ref to clawkeep that OpenClaw does not read of a profile of this kind, where the
    /// one that it reads has none.
    pub misplaced: Option<&'static str>,
    /// Whether a key or token stands there in the clear, be it beside a ref. Never for oauth.
    pub plaintext: bool,
    /// Whether it holds anything at all.
    pub holds: Holds,
    /// When it stops working.
    pub expires: Expires,
}

/// One entry, as OpenClaw's loader reads it.
pub(super) fn read(id: &str, entry: &Value) -> Option<Profile> {
    let fields = entry.as_object()?;
    let kind = kind_of(fields)?;
    let provider = ProviderId::parse(fields.get("provider")?.as_str()?).ok()?;
    let id = ProfileId::parse(id)
        .ok()
        .filter(|parsed| parsed.as_str() == id)?;
    let (value_field, ref_field) = match kind {
        ProfileKind::Token => ("token", "tokenRef"),
        ProfileKind::ApiKey => ("key", "keyRef"),
        ProfileKind::Oauth => {
            return Some(Profile {
                id,
                provider,
                kind,
                reference: None,
                misplaced: misplaced(fields, &[]),
                plaintext: false,
                holds: login(fields),
                expires: expires(fields.get("expires")),
            });
        }
    };
    let reference = [ref_field, value_field]
        .into_iter()
        .find_map(|field| fields.get(field).filter(|value| is_ref(value)))
        .and_then(SecretRef::from_value);
    let misplaced = match reference {
        Some(_) => None,
        None => misplaced(fields, &[ref_field, value_field]),
    };
    Some(Profile {
        id,
        provider,
        kind,
        reference,
        misplaced,
        plaintext: ["key", "apiKey", "api_key", "token"]
            .into_iter()
            .any(|field| fields.get(field).is_some_and(is_plaintext)),
        holds: if has_credential(fields, value_field, ref_field) {
            Holds::Credential
        } else {
            Holds::Nothing
        },
        expires: match kind {
            ProfileKind::Token => expires(fields.get("expires")),
            ProfileKind::ApiKey | ProfileKind::Oauth => Expires::Never,
        },
    })
}

fn misplaced(fields: &Map<String, Value>, read: &[&str]) -> Option<&'static str> {
    let is_ours = |field: &&str| {
        let reference = fields.get(*field).and_then(SecretRef::from_value);
        reference.is_some_and(|reference| reference.is_ours())
    };
    let others = REF_FIELDS.into_iter().filter(|field| !read.contains(field));
    others.into_iter().find(is_ours)
}

/// Whether OpenClaw's loader takes it, whatever clawkeep can name of it.
pub(super) fn is_read(entry: &Value) -> bool {
    entry.as_object().is_some_and(|fields| {
        let provider = fields.get("provider").and_then(Value::as_str);
        kind_of(fields).is_some() && provider.is_some_and(is_said)
    })
}

/// As OpenClaw sees it once it has mended the misspellings: `apiKey` counts only without a `key`.
fn has_credential(fields: &Map<String, Value>, value_field: &str, ref_field: &str) -> bool {
    let is_text = |field: &str| {
        fields
            .get(field)
            .and_then(Value::as_str)
            .is_some_and(is_said)
    };
    fields.get(ref_field).is_some_and(is_ref)
        || fields.get(value_field).is_some_and(is_ref)
        || is_text(value_field)
        || (value_field == "key" && !fields.contains_key("key") && is_text("apiKey"))
}

fn login(fields: &Map<String, Value>) -> Holds {
    let is_text = |field: &str| {
        fields
            .get(field)
            .and_then(Value::as_str)
            .is_some_and(is_said)
    };
    if is_text("access") || is_text("refresh") {
        return Holds::Credential;
    }
    let text = |field: &str| fields.get("oauthRef")?.get(field)?.as_str();
    let is_hex = |id: &str| {
        id.len() == 32
            && id
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    if text("source") == Some("openclaw-credentials")
        && text("provider") == Some("openai-codex")
        && text("id").is_some_and(is_hex)
    {
        Holds::OldLogin
    } else {
        Holds::Nothing
    }
}

fn is_said(text: &str) -> bool {
    !text.trim().is_empty()
}

pub(super) fn kind_of(fields: &Map<String, Value>) -> Option<ProfileKind> {
    match fields
        .get("type")
        .or_else(|| fields.get("mode"))?
        .as_str()?
    {
        "token" => Some(ProfileKind::Token),
        "api_key" | "apiKey" => Some(ProfileKind::ApiKey),
        "oauth" => Some(ProfileKind::Oauth),
        _ => None,
    }
}

/// By type, or by what only such a profile has: a login is not lost over a misspelling.
pub(super) fn is_oauth(entry: &Value) -> bool {
    entry.as_object().is_some_and(|fields| {
        kind_of(fields) == Some(ProfileKind::Oauth)
            || (kind_of(fields).is_none() && fields.contains_key("refresh"))
    })
}

/// Whether OpenClaw takes it for a ref of any source (`coerceSecretRef`).
pub(super) fn is_ref(value: &Value) -> bool {
    Reference::of(value).is_some()
}

/// The ref of whatever source that an entry has.
pub(super) fn any_ref(entry: &Value) -> Option<Reference> {
    let fields = entry.as_object()?;
    let mut refs = ["keyRef", "tokenRef", "key", "token"]
        .into_iter()
        .filter_map(|field| Reference::of(fields.get(field)?));
    refs.next()
}

fn is_plaintext(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| !text.trim().is_empty() && variable(text).is_none())
}

/// Absent is never; whatever is no moment is invalid, `null` too.
fn expires(value: Option<&Value>) -> Expires {
    match value {
        None => Expires::Never,
        Some(value) => moment(value).map_or(Expires::Invalid, Expires::At),
    }
}

/// A number that is a date. A fraction of a millisecond counts up: what is over at 5.5 is not over
/// at 5.
pub(super) fn moment(value: &Value) -> Option<Millis> {
    let ms = if let Some(ms) = value.as_i64() {
        ms
    } else {
        let ms = value.as_f64()?.ceil();
        #[allow(
            clippy::cast_possible_truncation,
            reason = "within the bounds of a date, which an i64 holds"
        )]
        if (1.0..=8.64e15).contains(&ms) {
            ms as i64
        } else {
            return None;
        }
    };
    Millis::new(ms)
}

/// The entry with a ref in its value's place, its other fields where they were.
pub(super) fn with_ref(
    old: Map<String, Value>,
    provider: &ProviderId,
    kind: SecretKind,
    ref_field: &str,
    reference: &SecretRef,
    expires: Option<Millis>,
) -> Map<String, Value> {
    let typed = old.contains_key("type");
    let mut new = Map::new();
    let put_type = |new: &mut Map<String, Value>| {
        new.insert("type".to_owned(), Value::from(kind.name()));
    };
    let put_provider = |new: &mut Map<String, Value>| {
        new.insert("provider".to_owned(), Value::from(provider.as_str()));
    };
    let put_ref = |new: &mut Map<String, Value>| {
        new.insert(ref_field.to_owned(), reference.to_value());
    };
    let put_expires = |new: &mut Map<String, Value>| {
        if let Some(at) = expires {
            new.insert("expires".to_owned(), Value::from(at.get()));
        }
    };
    for (key, mut value) in old {
        match key.as_str() {
            "type" => put_type(&mut new),
            "mode" if !typed => put_type(&mut new),
            "provider" => put_provider(&mut new),
            "expires" => put_expires(&mut new),
            field if CREDENTIAL_FIELDS.contains(&field) => {
                wipe(&mut value);
                if !new.contains_key(ref_field) {
                    put_ref(&mut new);
                }
            }
            _ => {
                new.insert(key, value);
            }
        }
    }
    if !new.contains_key("type") {
        put_type(&mut new);
    }
    if !new.contains_key("provider") {
        put_provider(&mut new);
    }
    if !new.contains_key(ref_field) {
        put_ref(&mut new);
    }
    if !new.contains_key("expires") {
        put_expires(&mut new);
    }
    new
}

#[cfg(test)]
mod tests;
