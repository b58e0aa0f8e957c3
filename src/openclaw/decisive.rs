//! The settings of `openclaw.json` that decide where keys go or what code runs, as they are now, and
//! what became of them since. Knows the configuration's text; no vaults, and runs nothing.
//!
//! A person who lets values out sees here what somebody else may have changed before. Promises:
//! - every such setting that differs gives one line, in one line; nothing is left out for its size;
//! - what may be a credential is kept as a salted SHA-256 and never shown; addresses lose user,
//!   password, query and fragment; control characters are escaped;
//! - a snapshot can lie in a file: it holds no credential.
//!
//! Not seen: files that the settings name (programs, plugins, `$include`), but for those that the
//! caller adds by [`Snapshot::add_file`].

mod place;
mod shown;
#[cfg(test)]
mod tests;

use super::config::{Config, INCLUDE, Leaf};
use crate::error::{Error, Result};
use crate::host;
use crate::json::{hex, place as place_in, unhex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shown::{HIDDEN, Salt, escaped};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use zeroize::Zeroizing;

pub use shown::Shown;

/// So many settings are kept one by one; what goes beyond is compared as one.
const MAX_SETTINGS: usize = 20_000;
/// The most characters of one key, and of a whole path, that are kept.
const MAX_KEY: usize = 80;
const MAX_PATH: usize = 400;
/// The most characters that are shown of one list.
const MAX_LIST: usize = 400;
/// The most bytes of a snapshot's file.
const MAX_JSON: usize = 64 * 1024 * 1024;
/// The name under which settings beyond the bound are compared.
const FURTHER: &str = "(further settings)";

/// Settings at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    salt: Salt,
    settings: BTreeMap<String, Shown>,
}

/// One setting that is not as it was. Its text is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    path: String,
    before: Option<Shown>,
    after: Option<Shown>,
}

impl Snapshot {
    /// The settings of `config` now, with a salt of their own.
    ///
    /// # Errors
    /// `Failed` when the system gives no random bytes.
    pub fn of(config: &Config) -> Result<Self> {
        let mut salt = Salt::default();
        host::random(&mut salt)?;
        Ok(Self::salted(config, salt))
    }

    /// The settings of `config` now, comparable with this snapshot.
    #[must_use]
    pub fn again(&self, config: &Config) -> Self {
        Self::salted(config, self.salt)
    }

    fn salted(config: &Config, salt: Salt) -> Self {
        let mut settings = BTreeMap::new();
        let mut further: Option<Sha256> = None;
        config.leaves(|path, leaf| {
            let is_ref = matches!(leaf, Leaf::Reference { .. });
            if !is_ref && !place::is_decisive(path) {
                return;
            }
            let (name, value) = (name_of(path), shown_of(path, &leaf, &salt));
            if settings.len() < MAX_SETTINGS {
                settings.insert(name, value);
            } else {
                let rest = further.get_or_insert_with(|| Sha256::new_with_prefix(salt));
                // One line each, and no line end within one.
                rest.update(format!("{name} {value:?}\n"));
            }
        });
        if let Some(rest) = further {
            let value = Shown {
                text: None,
                hash: Some(rest.finalize().into()),
            };
            settings.insert(FURTHER.to_owned(), value);
        }
        Snapshot { salt, settings }
    }

    /// Adds a file that a setting names, by its content: an included one, or `.env`. `None` where
    /// there is none.
    pub fn add_file(&mut self, name: &str, content: Option<&[u8]>) {
        let value = match content {
            Some(content) => Shown {
                text: None,
                hash: Some(shown::hash(content, &self.salt)),
            },
            None => Shown::plain("no such file"),
        };
        self.settings.insert(
            bounded(&format!("file {}", escaped(name)), name, MAX_PATH),
            value,
        );
    }

    /// The files that `config` takes parts from, as it names them (relative to its own folder).
    pub fn included(config: &Config) -> Vec<String> {
        let mut names = Vec::new();
        config.leaves(|path, leaf| {
            if path.last().is_none_or(|key| key != INCLUDE) {
                return;
            }
            match leaf {
                Leaf::Text(name) => names.push(name.to_owned()),
                Leaf::List(list) => names.extend(list.iter().filter_map(|leaf| match leaf {
                    Leaf::Text(name) => Some((*name).to_owned()),
                    _ => None,
                })),
                _ => {}
            }
        });
        names
    }

    /// Every setting, its path and what may be shown of it.
    pub fn settings(&self) -> impl Iterator<Item = (&str, String)> {
        self.settings
            .iter()
            .map(|(path, shown)| (path.as_str(), shown.said()))
    }

    /// What is not in `new` as it was in `old`, sorted by path. Of two snapshots with salts of their
    /// own every hidden value differs: take the newer one by [`Snapshot::again`].
    pub fn diff(old: &Snapshot, new: &Snapshot) -> Vec<Change> {
        let paths = old.settings.keys().chain(new.settings.keys());
        let paths: std::collections::BTreeSet<&String> = paths.collect();
        paths
            .into_iter()
            .map(|path| Change {
                path: path.clone(),
                before: old.settings.get(path).cloned(),
                after: new.settings.get(path).cloned(),
            })
            .filter(|change| change.before != change.after)
            .collect()
    }

    /// One JSON document, with a line end.
    pub fn to_json(&self) -> String {
        let wire = Wire {
            version: 1,
            salt: hex(&self.salt),
            settings: self
                .settings
                .iter()
                .map(|(path, shown)| {
                    let value = WireShown {
                        shown: shown.text.clone(),
                        sha256: shown.hash.map(|hash| hex(&hash)),
                    };
                    (path.clone(), value)
                })
                .collect(),
        };
        // Texts and maps of texts only: this cannot fail, and an empty text is refused when read.
        let mut text = serde_json::to_string_pretty(&wire).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads what [`Snapshot::to_json`] wrote.
    ///
    /// # Errors
    /// `Broken` when it is anything else.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let broken = |what: String| {
            Error::broken(format!(
                "the noted settings of OpenClaw cannot be read: {what}"
            ))
        };
        if bytes.len() > MAX_JSON {
            return Err(broken("there are too many".to_owned()));
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| broken(place_in(&error)))?;
        if wire.version != 1 {
            return Err(broken("they are of another version of clawkeep".to_owned()));
        }
        let salt = unhex(&wire.salt).ok_or_else(|| broken("the salt is damaged".to_owned()))?;
        let mut settings = BTreeMap::new();
        for (path, value) in wire.settings {
            let hash = match value.sha256 {
                Some(text) => {
                    Some(unhex(&text).ok_or_else(|| broken("a hash is damaged".to_owned()))?)
                }
                None => None,
            };
            // Who wrote the file may be somebody else: it is escaped once more, which changes nothing.
            let text = value.shown.map(|text| escaped(&text));
            if text.is_none() && hash.is_none() {
                return Err(broken("a value is missing".to_owned()));
            }
            settings.insert(escaped(&path), Shown { text, hash });
        }
        Ok(Snapshot { salt, settings })
    }
}

impl Change {
    /// Where it is: keys joined by dots; a key of other characters as `["…"]`.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path)?;
        let text = |shown: &Shown| shown.text.clone();
        match (&self.before, &self.after) {
            (None, None) => f.write_str("as it was"),
            (None, Some(new)) => match text(new) {
                Some(_) => write!(f, "new, {}", new.said()),
                None => f.write_str("new (not shown)"),
            },
            (Some(old), None) => match text(old) {
                Some(_) => write!(f, "gone, was {}", old.said()),
                None => f.write_str("gone (not shown)"),
            },
            (Some(old), Some(new)) => match (text(old), text(new)) {
                (None, None) => f.write_str("changed (not shown)"),
                (Some(was), Some(is)) if was == is => {
                    write!(f, "{is}, changed in what is not shown")
                }
                _ => write!(f, "was {}, is {}", old.said(), new.said()),
            },
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: u32,
    salt: String,
    settings: BTreeMap<String, WireShown>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireShown {
    #[serde(skip_serializing_if = "Option::is_none")]
    shown: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

/// A path as text; no two paths have the same.
fn name_of(path: &[String]) -> String {
    let mut name = String::new();
    for key in path {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_$-/@:".contains(&b);
        if !key.is_empty() && key.len() <= MAX_KEY && key.bytes().all(plain) {
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(key);
        } else {
            let quoted = serde_json::Value::from(key.as_str()).to_string();
            let _ = write!(name, "[{}]", bounded(&escaped(&quoted), &quoted, MAX_KEY));
        }
    }
    let whole = path.join("\u{0}");
    bounded(&name, &whole, MAX_PATH)
}

/// At most `most` characters of `text`; a hash of `whole` tells what was cut from other such texts.
fn bounded(text: &str, whole: &str, most: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(most) else {
        return text.to_owned();
    };
    let digest: [u8; 32] = Sha256::digest(whole.as_bytes()).into();
    format!("{}…#{}", &text[..end], hex(&digest[..8]))
}

fn shown_of(path: &[String], leaf: &Leaf<'_>, salt: &Salt) -> Shown {
    let secret = place::may_hold_secret(path);
    match leaf {
        Leaf::Text(text) => Shown::string(text, secret, salt),
        // A number can be a password; `true` is none.
        Leaf::Plain(json)
            if secret && json.starts_with(|c: char| c == '-' || c.is_ascii_digit()) =>
        {
            Shown::partly(None, json, salt)
        }
        Leaf::Plain(json) => Shown::string(json, false, salt),
        Leaf::List(list) => shown_list(list, secret, salt),
        Leaf::Reference {
            source,
            provider,
            id,
        } => {
            let text = format!("ref {source} {provider} {id}");
            let whole = Zeroizing::new(serde_json::json!([source, provider, id]).to_string());
            match Shown::string(&text, false, salt) {
                Shown {
                    text: Some(text),
                    hash: None,
                } if text.split(' ').count() == 4 => Shown::plain(&text),
                shown => Shown::partly(shown.text.as_deref(), &whole, salt),
            }
        }
    }
}

/// `["--port", "80", ***]`: an argument after `--token` is none that may be shown.
fn shown_list(list: &[Leaf<'_>], secret: bool, salt: &Salt) -> Shown {
    let mut text = String::from("[");
    let mut whole = Zeroizing::new(String::from("["));
    let mut hides = false;
    let mut announced = false;
    for (index, leaf) in list.iter().enumerate() {
        let (raw, shown) = match leaf {
            Leaf::Text(raw) => {
                let shown = Shown::string(raw, secret || announced, salt);
                announced = shown::announces_credential(raw);
                (serde_json::Value::from(*raw).to_string(), shown)
            }
            Leaf::Plain(json) => {
                let shown = shown_of(&[], leaf, salt);
                announced = false;
                (
                    json.clone(),
                    if secret {
                        Shown::partly(None, json, salt)
                    } else {
                        shown
                    },
                )
            }
            Leaf::List(_) | Leaf::Reference { .. } => (String::new(), Shown::plain("")),
        };
        let raw = Zeroizing::new(raw);
        hides |= shown.hash.is_some();
        let comma = if index == 0 { "" } else { ", " };
        whole.push_str(comma);
        whole.push_str(&raw);
        if text.chars().count() > MAX_LIST {
            hides = true;
            continue;
        }
        text.push_str(comma);
        match (&shown.text, leaf) {
            (None, _) => text.push_str(HIDDEN),
            (Some(shown), Leaf::Text(_)) => {
                text.push_str(&serde_json::Value::from(shown.as_str()).to_string());
            }
            (Some(shown), _) => text.push_str(shown),
        }
    }
    text.push(']');
    whole.push(']');
    if hides {
        let short = bounded(&text, "", MAX_LIST);
        Shown::partly(Some(&short), &whole, salt)
    } else {
        Shown::plain(&text)
    }
}
