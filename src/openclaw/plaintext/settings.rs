//! Credentials in `openclaw.json`, in the files that it includes and in its old copies. Ring 2'; pure.

use super::names::{is_secret_header, means_credential};
use super::{Document, Found, What, is_placeholder, slots};
use crate::openclaw::config::{Config, Shown};
use crate::provider::ProviderId;
use zeroize::Zeroizing;

const NO_REF: &str = "OpenClaw takes no ref at this path";

/// Every credential of `config`, whose root stands at `base` of the whole configuration.
pub(super) fn find(document: Document, config: &Config, base: &[String]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut whole = base.to_vec();
    config.values(|at, shown| {
        whole.truncate(base.len());
        whole.extend_from_slice(at.path);
        let (value, what) = match shown {
            Shown::Text(text) => {
                if is_placeholder(text) {
                    return false;
                }
                let Some(what) = what(&whole, text) else {
                    return false;
                };
                (Zeroizing::new(text.to_owned()), what)
            }
            Shown::Object(object) => {
                // A Google service account is an object or its JSON text; a ref is neither.
                let account = whole.last().is_some_and(|key| key == "serviceAccount");
                if !account || object.text("private_key").is_none_or(is_placeholder) {
                    return is_reference(&object.keys());
                }
                let what = if slots::takes_ref(&whole) {
                    What::Slot
                } else {
                    What::Stays { reason: NO_REF }
                };
                (object.json(), what)
            }
        };
        found.push(Found {
            path: at.path.to_vec(),
            value,
            what: match document {
                Document::Copy => What::Copied,
                _ => what,
            },
        });
        true
    });
    found
}

fn what(path: &[String], value: &str) -> Option<What> {
    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
    match keys.as_slice() {
        ["env", name] | ["env", "vars", name] => Some(What::Variable {
            name: (*name).to_owned(),
        }),
        ["gateway", "auth", "token"] => Some(What::GatewayToken),
        ["models", "providers", provider, "apiKey"] => Some(
            ProviderId::parse(provider)
                .map_or(What::Slot, |provider| What::ProviderKey { provider }),
        ),
        // As OpenClaw's audit: a version or a title in a header is none.
        ["models", "providers", _, "headers", name]
            if !is_secret_header(name) && !means_credential(path, value) =>
        {
            None
        }
        _ if slots::takes_ref(path) => Some(What::Slot),
        _ => {
            if let Some(reason) = slots::never(path) {
                return Some(What::Stays { reason });
            }
            means_credential(path, value).then_some(What::Stays { reason: NO_REF })
        }
    }
}

/// Whether an object is a ref of any source: what it says is no credential.
fn is_reference(keys: &[&str]) -> bool {
    keys.len() == 3
        && ["source", "provider", "id"]
            .iter()
            .all(|key| keys.contains(key))
}
