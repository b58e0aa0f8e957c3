//! Credentials in the clear in OpenClaw's JSON files: found, and replaced where they stand. Ring 2';
//! pure: bytes in, bytes out. Knows OpenClaw's files; not vaults, nor where a file lies.
//!
//! Promises:
//! - what OpenClaw itself would take for a ref, a variable's name or a marker is none, and neither is
//!   an empty value or a placeholder;
//! - a replacement changes the bytes of the named values (and, for what goes, its key, its comma and
//!   what stands between key and value), nothing else: comments, order, spelling and line ends stay;
//! - a key that stands twice on the way to a value of a file that OpenClaw reads is refused: OpenClaw
//!   takes the last, a person reads the first. In a file that nothing reads both go;
//! - every buffer that held a value is wiped, and no error repeats a byte of the file.
//!
//! Of an `openclaw.json` that takes parts from other files (`$include`) only what stands in it is
//! seen; [`includes`] lists the others, and [`find_included`] looks into one.

mod copies;
mod edits;
mod names;
mod placeholder;
mod settings;
mod slots;
mod stores;

pub use placeholder::is_placeholder;
pub use slots::{ignores_ref, takes_ref};
pub use stores::LOGIN;

use crate::error::Result;
use crate::expiry::Millis;
use crate::openclaw::config::{Config, Shown};
use crate::openclaw::reference::SecretRef;
use crate::provider::{ProfileId, ProviderId};
use crate::secret::SecretKind;
use std::collections::HashSet;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use zeroize::Zeroizing;

/// Which of OpenClaw's JSON files it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Document {
    /// `openclaw.json`, or a file that it includes. JSON5.
    Config,
    /// An old copy of it: `openclaw.json.bak*`, `.clobbered*`, `.last-good`.
    Copy,
    /// `auth-profiles.json`, its flat form of the seed era included.
    Profiles,
    /// `auth.json`, a flat map that OpenClaw imports and deletes.
    LegacyAuth,
    /// `credentials/oauth.json`.
    Oauth,
    /// `models.json` and `catalog.json`, which OpenClaw makes of its configuration.
    Generated,
    /// What an import left behind: `*.sqlite-import.*.bak`, `*.migrated-*`, `auth-profiles.json.*.bak`.
    Leftover,
}

impl Document {
    /// Whether OpenClaw reads it. Of the others a key that stands twice misleads nobody.
    pub fn is_read(self) -> bool {
        !matches!(self, Document::Copy | Document::Leftover)
    }
}

/// A value in the clear.
pub struct Found {
    /// Keys and indices from the root of the file that it stands in.
    pub path: Vec<String>,
    /// The value, as OpenClaw reads it: unescaped, with the white space that it has. Of an object that
    /// is one credential (a Google service account) its JSON text.
    pub value: Zeroizing<String>,
    /// What it is.
    pub what: What,
}

impl Found {
    /// Whether its name says that it belongs to a login, which OpenClaw renews itself.
    pub fn is_login(&self) -> bool {
        let last = self.path.last().map(String::as_str);
        matches!(last, Some("access" | "refresh" | "idToken"))
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found")
            .field("path", &self.path)
            .field("value", &"[REDACTED]")
            .field("what", &self.what)
            .finish()
    }
}

/// What a value in the clear is, which decides what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The credential of a profile. A ref can stand there ([`Replacement::Ref`] makes it `keyRef` or
    /// `tokenRef`).
    Profile {
        /// The profile's id.
        profile: ProfileId,
        /// Whose credential it is.
        provider: ProviderId,
        /// What OpenClaw takes it for.
        kind: SecretKind,
        /// When it stops working; `None` too when `expires` is no moment, and for API keys.
        expires: Option<Millis>,
    },
    /// The credential of an entry of a flat store, which OpenClaw would import as this profile. It
    /// takes no ref; [`Replacement::Remove`] takes the whole entry.
    Flat {
        /// The id that the import gives, `<provider>:default`.
        profile: ProfileId,
        /// Whose credential it is.
        provider: ProviderId,
        /// What OpenClaw takes it for.
        kind: SecretKind,
        /// As for [`What::Profile`].
        expires: Option<Millis>,
    },
    /// In a profile, beside a ref or beside the value that counts: OpenClaw does not read it. To be
    /// removed, without a new profile.
    Residue {
        /// The profile's id.
        profile: ProfileId,
        /// Whose credential the profile is.
        provider: ProviderId,
    },
    /// `models.providers.<p>.apiKey`.
    ProviderKey {
        /// The provider.
        provider: ProviderId,
    },
    /// `gateway.auth.token`.
    GatewayToken,
    /// Another path of `openclaw.json` that takes a ref ([`takes_ref`]).
    Slot,
    /// A variable of `env` or `env.vars`: as one of a `.env` file, whether it is a secret or not.
    Variable {
        /// The variable's name.
        name: String,
    },
    /// A credential that no ref can stand for.
    Stays {
        /// Why, as a clause.
        reason: &'static str,
    },
    /// In a copy, a generated file or a leftover: nothing refers to it. In a copy variables are among
    /// these too: whether it is a secret is known by its value.
    Copied,
}

/// What comes in a value's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replacement {
    /// A ref. In a profile under `keyRef` or `tokenRef`, with the value's own key gone.
    Ref(SecretRef),
    /// The text [`MARKER`](crate::openclaw::config::MARKER).
    Marker,
    /// Nothing: key and value go. Of a flat store the whole entry. An element of an array cannot go,
    /// since the others would change their places.
    Remove,
}

/// An object that takes its content, or part of it, from another file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Included {
    /// Where the object stands: keys and indices from the root of the whole configuration.
    pub at: Vec<String>,
    /// The other file, absolute, `.` and `..` resolved by name. It may not be there.
    pub file: PathBuf,
}

/// Every credential in the clear in `bytes`, the file at `path` (for messages only), in the file's
/// order.
///
/// # Errors
/// `Broken` when it is too large, not UTF-8, no JSON (JSON5 for a configuration) or no object; and, in
/// a file that OpenClaw reads, when a key stands twice on the way to a credential.
pub fn find(document: Document, bytes: &[u8], path: &Path) -> Result<Vec<Found>> {
    find_at(document, &[], bytes, path)
}

/// As [`find`], for a file that the configuration includes at `at`. The paths found are from the root
/// of that file.
///
/// # Errors
/// As [`find`]. An included file may hold an array; it is no object, so it is refused.
pub fn find_included(at: &[String], bytes: &[u8], path: &Path) -> Result<Vec<Found>> {
    find_at(Document::Config, at, bytes, path)
}

fn find_at(document: Document, base: &[String], bytes: &[u8], path: &Path) -> Result<Vec<Found>> {
    let in_store = match document {
        Document::Profiles => Some(stores::profiles(bytes, path)?),
        Document::LegacyAuth => Some(stores::flat(bytes, path)?),
        Document::Oauth => Some(stores::logins(bytes, path)?),
        _ => None,
    };
    let config = Config::parse(bytes, path)?;
    // A store shows the last of two keys; the first may hold a value all the same.
    let any = in_store.is_some();
    let found = in_store.unwrap_or_else(|| match document {
        Document::Config | Document::Copy => settings::find(document, &config, base),
        _ => copies::find(&config),
    });
    if document.is_read() {
        refuse_doubled(&config, &found, any)?;
    }
    Ok(found)
}

/// Refuses a file in which a key stands twice on the way to what was found, or to `any` value.
fn refuse_doubled(config: &Config, found: &[Found], any: bool) -> Result<()> {
    let credentials: HashSet<&[String]> = found.iter().map(|one| one.path.as_slice()).collect();
    let mut doubled = None;
    config.values(|at, shown| {
        let value = !matches!(shown, Shown::Text(text) if is_placeholder(text));
        if at.doubled && doubled.is_none() && (credentials.contains(at.path) || any && value) {
            doubled = Some(at.path.to_vec());
        }
        false
    });
    doubled.map_or(Ok(()), |path| config.only_one(&path))
}

/// `bytes`, the file at `path` (for messages only), with each replacement in its place. Every other
/// byte stays.
///
/// # Errors
/// As [`find`]; `Missing` when nothing stands at a named path; `Failed` for a ref where none can stand
/// and for a removal of an array's element.
pub fn replace(
    document: Document,
    bytes: &[u8],
    path: &Path,
    what: &[(Vec<String>, Replacement)],
) -> Result<Zeroizing<Vec<u8>>> {
    edits::replace(document, bytes, path, what)
}

/// The objects of a configuration that take from other files, and those files, as OpenClaw finds them:
/// from the folder of the file that names them. `at` is where `bytes`, the file at `path`, stands in
/// the whole configuration; empty for `openclaw.json` itself.
///
/// OpenClaw reads no such file outside the configuration's folder, and none more than ten deep; both
/// are the caller's to see to.
///
/// # Errors
/// As [`find`].
pub fn includes(at: &[String], bytes: &[u8], path: &Path) -> Result<Vec<Included>> {
    let config = Config::parse(bytes, path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    Ok(config
        .included()
        .into_iter()
        .map(|(inner, name)| Included {
            at: at.iter().cloned().chain(inner).collect(),
            file: by_name(&folder.join(name)),
        })
        .collect())
}

/// The path without `.` and `..`, as OpenClaw's `path.resolve`: links are not asked.
fn by_name(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_model;
#[cfg(test)]
mod tests_replace;
