//! One row of a credential store: the JSON of auth-profiles.json; and what OpenClaw's own store of
//! secrets holds. Pure; bytes in, profiles out.

use super::{Contents, Login, Own, Place, Stored};
use crate::error::{Error, Result};
use crate::openclaw::document::Document;
use crate::openclaw::profile::{self, Expires, ProfileKind};
use crate::secret::SecretKind;
use serde_json::Value;
use std::path::Path;
use zeroize::Zeroizing;

/// Adds what the row holds.
///
/// # Errors
/// `Broken` when it is no JSON object, or has something else for `profiles` than an object.
pub(super) fn read(
    bytes: &[u8],
    place: &Place,
    file: &Path,
    contents: &mut Contents,
) -> Result<()> {
    let document = Document::parse(bytes, file)?;
    let entries = match document.root.get("profiles") {
        Some(Value::Object(entries)) => entries,
        // A row without profiles is an empty store; anything else in their place is not known.
        None if !document.root.values().any(Value::is_object) => return Ok(()),
        _ => {
            return Err(Error::broken(format!(
                "the store of profiles in {} has no form that clawkeep knows",
                file.display()
            ))
            .hint("openclaw doctor"));
        }
    };
    for (id, entry) in entries {
        let Some(profile) = profile::read(id, entry) else {
            continue;
        };
        let kind = match profile.kind {
            ProfileKind::Oauth => {
                contents.logins.push(Login {
                    place: place.clone(),
                    file: file.to_owned(),
                    profile: profile.id,
                    provider: profile.provider,
                });
                continue;
            }
            ProfileKind::Token => SecretKind::Token,
            ProfileKind::ApiKey => SecretKind::ApiKey,
        };
        let Some(value) = profile::value(entry, profile.kind) else {
            continue;
        };
        contents.stored.push(Stored {
            place: place.clone(),
            file: file.to_owned(),
            profile: profile.id,
            provider: profile.provider,
            kind,
            value: Zeroizing::new(value.to_owned()),
            expires: match profile.expires {
                Expires::At(at) => Some(at),
                Expires::Never | Expires::Invalid => None,
            },
        });
    }
    Ok(())
}

/// Adds what OpenClaw's own store of secrets holds: `[[name, value], ...]`.
///
/// # Errors
/// `Broken` when it is anything else.
pub(super) fn read_own(bytes: &[u8], file: &Path, contents: &mut Contents) -> Result<()> {
    let pairs: Vec<(String, String)> = serde_json::from_slice(bytes).map_err(|_| {
        Error::broken(format!(
            "OpenClaw's own store of secrets in {} cannot be read",
            file.display()
        ))
        .hint("openclaw secrets store list")
    })?;
    let own = pairs.into_iter().map(|(name, value)| Own {
        file: file.to_owned(),
        name,
        value: Zeroizing::new(value),
    });
    contents.own.extend(own);
    Ok(())
}
