//! Takes one value out of an old copy of `openclaw.json`.
//!
//! Promise: afterwards the bytes hold the value nowhere, neither as a string nor inside a comment,
//! a longer string or a file that cannot be parsed. A value shorter than 12 bytes could be a
//! common word; of it only the slots that take a ref, and strings that are exactly it in a slot
//! named like a credential, are replaced.

use super::{Config, edit};
use crate::openclaw::reference::{SECRET_PROVIDER, SecretRef};
use crate::secret::Secret;
use secrecy::ExposeSecret;
use serde_json::Value;
use std::path::Path;
use zeroize::Zeroizing;

/// What stands in the place of a value where no ref can stand.
pub const MARKER: &str = "removed-by-clawkeep";

/// Values below this many bytes are not searched for inside other text.
const SHORT: usize = 12;

/// The slots of the gateway's token that take a ref.
pub(crate) const TOKEN_SLOTS: [[&str; 3]; 2] =
    [["gateway", "auth", "token"], ["gateway", "remote", "token"]];

/// What a restored copy needs to work again.
pub struct Replacement<'a> {
    /// The ref that stands in the token's slots.
    pub reference: &'a SecretRef,
    /// The entry of `secrets.providers` that answers it.
    pub secret_provider: &'a Value,
}

/// The copy without `token`, or `None` when it does not hold it.
#[allow(
    clippy::disallowed_methods,
    reason = "door: finds the value in order to take it away"
)]
pub fn scrub(
    bytes: &[u8],
    token: &Secret,
    replacement: &Replacement<'_>,
) -> Option<Zeroizing<Vec<u8>>> {
    let value = token.expose_secret();
    let (mut held, mut cleaned) = match Config::parse(bytes, Path::new("backup")) {
        Ok(config) => parsed(config, value, replacement),
        Err(_) => quoted(bytes, value),
    };
    if value.len() >= SHORT {
        for spelling in spellings(value) {
            if let Some(without) = overwrite(&cleaned, spelling.as_bytes(), MARKER.as_bytes()) {
                held = true;
                cleaned = without;
            }
        }
    }
    held.then_some(cleaned)
}

fn parsed(
    mut config: Config,
    value: &str,
    replacement: &Replacement<'_>,
) -> (bool, Zeroizing<Vec<u8>>) {
    let mut slots = false;
    let mut splices = Vec::new();
    for found in config.strings_and_comments().0 {
        if found.value.as_str() != value {
            continue;
        }
        if TOKEN_SLOTS.iter().any(|slot| found.path == *slot) {
            let reference = replacement.reference.to_value();
            splices.push(edit::inline(found.range, &reference));
            slots = true;
        } else if value.len() >= SHORT || found.path.last().is_some_and(|key| names_credential(key))
        {
            splices.push(edit::inline(found.range, &Value::from(MARKER)));
        }
    }
    let held = !splices.is_empty();
    config.text = edit::apply(&config.text, splices);
    if slots {
        // A copy with a ref that nobody answers would be no backup. Where an include forbids the
        // entry the copy stays scrubbed all the same.
        let _ = config.set(
            &["secrets", "providers", SECRET_PROVIDER],
            replacement.secret_provider,
        );
    }
    (held, config.bytes())
}

/// For a text that is no JSON5: the value as a quoted string, whatever stands around it.
fn quoted(bytes: &[u8], value: &str) -> (bool, Zeroizing<Vec<u8>>) {
    let mut held = false;
    let mut cleaned = Zeroizing::new(bytes.to_vec());
    for spelling in spellings(value) {
        for quote in ['"', '\''] {
            let from = Zeroizing::new(format!("{quote}{}{quote}", *spelling));
            let to = format!("{quote}{MARKER}{quote}");
            if let Some(without) = overwrite(&cleaned, from.as_bytes(), to.as_bytes()) {
                held = true;
                cleaned = without;
            }
        }
    }
    (held, cleaned)
}

/// How the value can be spelled in a JSON string: as it is, escaped, and with `\/`.
fn spellings(value: &str) -> Vec<Zeroizing<String>> {
    let json = Zeroizing::new(Value::from(value).to_string());
    let escaped = Zeroizing::new(json[1..json.len() - 1].to_owned());
    let slashed = Zeroizing::new(escaped.replace('/', "\\/"));
    let mut all = vec![Zeroizing::new(value.to_owned())];
    for other in [escaped, slashed] {
        if !all.contains(&other) {
            all.push(other);
        }
    }
    all
}

/// `bytes` with each `from` replaced; `None` when there is none.
fn overwrite(bytes: &[u8], from: &[u8], to: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let places: Vec<usize> = find_all(bytes, from);
    if places.is_empty() {
        return None;
    }
    let mut result = Zeroizing::new(Vec::with_capacity(bytes.len() + places.len() * to.len()));
    let mut done = 0;
    for place in places {
        result.extend_from_slice(&bytes[done..place]);
        result.extend_from_slice(to);
        done = place + from.len();
    }
    result.extend_from_slice(&bytes[done..]);
    Some(result)
}

fn find_all(bytes: &[u8], needle: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let Some(first) = needle.first() else {
        return places;
    };
    let mut at = 0;
    while let Some(step) = bytes[at..].iter().position(|b| b == first) {
        at += step;
        if bytes[at..].starts_with(needle) {
            places.push(at);
            at += needle.len();
        } else {
            at += 1;
        }
    }
    places
}

/// Whether a key is named like the slot of a credential.
pub(crate) fn names_credential(key: &str) -> bool {
    const ENDS: [&str; 9] = [
        "key",
        "token",
        "secret",
        "password",
        "passphrase",
        "authtag",
        "credential",
        "credentials",
        "account",
    ];
    let key = key.to_lowercase().replace(['-', '_'], "");
    ENDS.iter().any(|end| key.ends_with(end)) || key == "authorization"
}
