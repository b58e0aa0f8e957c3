//! One row of a credential store: the JSON of auth-profiles.json; and what OpenClaw's own store of
//! secrets holds. Pure; bytes in, profiles out.

use super::{Contents, Elsewhere, Login, Own, Place, Stored};
use crate::error::{Error, Result};
use crate::openclaw::plaintext::{self, Document, What};
use crate::openclaw::profiles::{ProfileKind, ProfilesFile};
use crate::provider::{ProfileId, ProviderId};
use crate::secret::SecretKind;
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
    let store = ProfilesFile::parse(bytes, file)?;
    let profiles = store.profiles();
    for profile in &profiles {
        if let Some(reference) = store.reference(&profile.id).filter(|one| !one.is_ours()) {
            contents.elsewhere.push(Elsewhere {
                place: place.clone(),
                profile: profile.id.clone(),
                provider: profile.provider.clone(),
                reference,
            });
        }
    }
    for login in profiles.iter().filter(|one| one.kind == ProfileKind::Oauth) {
        contents.logins.push(Login {
            place: place.clone(),
            file: file.to_owned(),
            profile: login.id.clone(),
            provider: login.provider.clone(),
        });
    }
    let kind_of = |id: &ProfileId| {
        let profile = profiles.iter().find(|profile| profile.id == *id)?;
        Some(match profile.kind {
            ProfileKind::Token => SecretKind::Token,
            ProfileKind::ApiKey | ProfileKind::Oauth => SecretKind::ApiKey,
        })
    };
    let stored = |profile: ProfileId, provider: ProviderId, kind, value, expires| Stored {
        place: place.clone(),
        file: file.to_owned(),
        profile,
        provider,
        kind,
        value,
        expires,
    };
    for found in plaintext::find(Document::Profiles, bytes, file)? {
        match found.what {
            What::Profile {
                profile,
                provider,
                kind,
                expires,
            } => {
                let one = stored(profile, provider, kind, found.value, expires);
                contents.stored.push(one);
            }
            What::Residue { profile, provider } => {
                let kind = kind_of(&profile).unwrap_or(SecretKind::ApiKey);
                let one = stored(profile, provider, kind, found.value, None);
                contents.residue.push(one);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Adds what OpenClaw's own store of secrets holds: `[[name, value, removed], ...]`.
///
/// # Errors
/// `Broken` when it is anything else.
pub(super) fn read_own(bytes: &[u8], file: &Path, contents: &mut Contents) -> Result<()> {
    let entries: Vec<(String, String, bool)> = serde_json::from_slice(bytes).map_err(|_| {
        Error::broken(format!(
            "OpenClaw's own store of secrets in {} cannot be read",
            file.display()
        ))
        .hint("openclaw secrets store list")
    })?;
    let own = entries.into_iter().map(|(name, value, is_removed)| Own {
        file: file.to_owned(),
        name,
        value: Zeroizing::new(value),
        is_removed,
    });
    contents.own.extend(own);
    Ok(())
}
