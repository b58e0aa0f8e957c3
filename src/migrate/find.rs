//! Every plaintext credential of what was read. Ring 3; reads bytes, writes nothing.
//!
//! Promises: a value that is empty, a placeholder, a name of another value or a reference is none; a
//! file that cannot be understood is said and left; what its own reader would ignore (an earlier line
//! of the same name) is found all the same.

use super::item::{At, Item, Unseen, Values, What};
use super::read::{self, Read};
use super::source::{Form, Source};
use super::variable::{Meaning, Names, Rank, split_list};
use crate::assignment::{self, Language};
use crate::error::{Error, Result};
use crate::openclaw::database;
use crate::openclaw::plaintext::{self, Document, is_placeholder};
use crate::provider::{AgentId, ProfileId, SETUP_TOKEN_PREFIX};
use crate::secret::{Alphabet, Secret};
use std::collections::BTreeSet;
use std::path::Path;
use zeroize::Zeroizing;

/// What was found.
pub struct Found {
    /// Every place of a value.
    pub items: Vec<Item>,
    /// Every value, once.
    pub values: Values,
    /// What could not be understood.
    pub unseen: Vec<Unseen>,
    names: Names,
}

impl Found {
    /// Nothing yet.
    ///
    /// # Errors
    /// `Failed` when the system gives no random bytes.
    pub fn new() -> Result<Self> {
        Ok(Found {
            items: Vec::new(),
            values: Values::new()?,
            unseen: Vec::new(),
            names: Names::new(),
        })
    }

    /// Reads all of these and looks through each; what cannot be read is among the unseen. Gives what
    /// was read: an item's source is its place there. `rc`: as [`read::read`].
    pub fn files(&mut self, sources: &[Source], rc: bool) -> Vec<Read> {
        let mut reads = Vec::new();
        for source in sources {
            match read::read(source, rc) {
                Ok(Some(read)) => {
                    self.file(reads.len(), &read);
                    reads.push(read);
                }
                Ok(None) => {}
                Err(unseen) => self.unseen.push(unseen),
            }
        }
        reads
    }

    /// Looks through a file; `source` is its place in the list.
    pub fn file(&mut self, source: usize, read: &Read) {
        let done = match &read.source.form {
            Form::Names(language) => self
                .names(source, *language, &read.bytes)
                .and_then(|()| self.unit(*language, read)),
            Form::Json(document) => self.json(source, *document, read),
        };
        if let Err(error) = done {
            self.unseen.push(Unseen {
                path: read.source.path.clone(),
                reason: error.message().to_owned(),
            });
        }
    }

    /// Says where a unit takes variables from a file that cannot be found by its name.
    fn unit(&mut self, language: Language, read: &Read) -> Result<()> {
        if language != Language::Unit {
            return Ok(());
        }
        for file in assignment::environment_files(&read.bytes)? {
            if file.below(Path::new("/")).is_none() {
                self.unseen.push(Unseen {
                    path: read.source.path.clone(),
                    reason: format!(
                        "the file that line {} takes variables from: only systemd can find it",
                        file.line
                    ),
                });
            }
        }
        Ok(())
    }

    fn names(&mut self, source: usize, language: Language, bytes: &[u8]) -> Result<()> {
        let all = assignment::read(language, bytes)?;
        let effective: BTreeSet<usize> = assignment::effective(&all).into_iter().collect();
        for (index, one) in all.iter().enumerate() {
            let Some(value) = &one.value else {
                continue;
            };
            let at = At::Assignment {
                index,
                line: one.line,
                name: one.name.clone(),
            };
            let is_stale = !effective.contains(&index);
            self.variable(source, at, &one.name, value, is_stale);
        }
        Ok(())
    }

    /// The value of a variable; several where its name says that it is a list.
    fn variable(&mut self, source: usize, at: At, name: &str, text: &str, is_stale: bool) {
        if is_placeholder(text) {
            return;
        }
        let value = match Secret::new(text.as_bytes(), Alphabet::Text) {
            Ok(value) => value,
            Err(error) => {
                if super::variable::is_named_as_secret(name) {
                    self.unseen_value(&at, source, error.message());
                }
                return;
            }
        };
        let meaning = self.names.meaning(name, &value);
        let what = match meaning {
            Meaning::Nothing => return,
            Meaning::GatewayToken => What::GatewayToken,
            Meaning::Unknown => What::Carried,
            Meaning::Key(readers) => {
                let is_list = readers.iter().all(|reader| reader.rank == Rank::List);
                if is_list {
                    for key in split_list(text)
                        .into_iter()
                        .filter(|key| !is_placeholder(key))
                    {
                        if let Ok(value) = Secret::new(key.as_bytes(), Alphabet::Text) {
                            let what = What::Key(readers.clone());
                            self.add(source, at.clone(), what, value, is_stale);
                        }
                    }
                    return;
                }
                What::Key(readers)
            }
        };
        self.add(source, at, what, value, is_stale);
    }

    fn json(&mut self, source: usize, document: Document, read: &Read) -> Result<()> {
        let main = AgentId::main();
        let agent = read.source.agent.as_ref().unwrap_or(&main);
        for found in plaintext::find(document, &read.bytes, &read.source.path)? {
            let is_login = found.is_login();
            let at = At::Json(found.path.clone());
            let what = match found.what {
                plaintext::What::Variable { name } => {
                    self.variable(source, at, &name, &found.value, false);
                    continue;
                }
                plaintext::What::Profile {
                    profile,
                    provider,
                    kind,
                    expires,
                } => What::Profile {
                    agent: agent.clone(),
                    profile,
                    provider,
                    kind,
                    expires,
                    is_stored: true,
                },
                plaintext::What::Flat {
                    profile,
                    provider,
                    kind,
                    expires,
                } => What::Profile {
                    agent: agent.clone(),
                    profile,
                    provider,
                    kind,
                    expires,
                    is_stored: false,
                },
                plaintext::What::ProviderKey { provider } => What::ProviderKey {
                    provider,
                    key: found.path.get(2).cloned().unwrap_or_default(),
                },
                plaintext::What::GatewayToken => What::GatewayToken,
                plaintext::What::Slot => What::Slot(found.path.clone()),
                plaintext::What::Stays { reason } => What::Stays(reason.to_owned()),
                plaintext::What::Copied if is_login => What::CopiedLogin,
                plaintext::What::Copied | plaintext::What::Residue { .. } => What::Copied,
            };
            match Secret::new(found.value.as_bytes(), Alphabet::Text) {
                // A variable of an old copy: a secret by its name, its look, or because it is one
                // elsewhere.
                Ok(value) if self.is_setting(&what, &found.path, &value) => {}
                Ok(value) => self.add(source, at, what, value, false),
                Err(error) => self.unseen_value(&at, source, error.message()),
            }
        }
        Ok(())
    }

    fn is_setting(&self, what: &What, path: &[String], value: &Secret) -> bool {
        let name = match path {
            [env, name] if env == "env" => name,
            [env, vars, name] if env == "env" && vars == "vars" => name,
            _ => return false,
        };
        *what == What::Copied
            && self.names.meaning(name, value) == Meaning::Nothing
            && self.values.get(&self.values.digest(value)).is_none()
    }

    /// The rows of OpenClaw's databases; `first` is the first database's place in the list of sources.
    pub fn database(&mut self, contents: database::Contents, first: usize) {
        let files = contents.files;
        let source = |file: &std::path::Path| {
            let at = files.iter().position(|known| known == file);
            first + at.unwrap_or_default()
        };
        for stored in contents.stored {
            let database::Stored {
                place,
                file,
                profile,
                provider,
                kind,
                value,
                expires,
            } = stored;
            let at = row(&place, &profile);
            let agent = place.agent();
            let what = What::Profile {
                agent,
                profile,
                provider,
                kind,
                expires,
                is_stored: true,
            };
            let source = source(&file);
            match Secret::new(value.as_bytes(), Alphabet::Text) {
                Ok(value) => self.add(source, at, what, value, false),
                Err(error) => self.unseen_value(&at, source, error.message()),
            }
        }
        for left in contents.residue {
            let at = row(&left.place, &left.profile);
            let reason = format!(
                "it stands beside the profile's reference: openclaw models auth logout {}, then clawkeep link",
                left.profile
            );
            self.unseen_value(&at, source(&left.file), &reason);
        }
        for login in contents.logins {
            let at = row(&login.place, &login.profile);
            self.unseen_value(&at, source(&login.file), plaintext::LOGIN);
        }
        for own in contents.own {
            let at = At::Json(vec!["openclaw secrets store".to_owned(), own.name]);
            let reason = if own.is_removed {
                "OpenClaw marked it as removed, and keeps the value: only replacing it helps"
            } else {
                "it is in OpenClaw's own store of secrets, which has no references to another"
            };
            self.unseen_value(&at, source(&own.file), reason);
        }
    }

    fn unseen_value(&mut self, at: &At, source: usize, reason: &str) {
        // It cannot be kept, so there is nothing that could stand for it: it is said as a place that
        // stays.
        if let Ok(nothing) = Secret::stored("-") {
            let what = What::Stays(reason.to_owned());
            self.add(source, at.clone(), what, nothing, false);
        }
    }

    fn add(&mut self, source: usize, at: At, what: What, value: Secret, is_stale: bool) {
        let is_setup_token = value.starts_with(SETUP_TOKEN_PREFIX);
        let value = self.values.keep(value);
        self.items.push(Item {
            source,
            at,
            what,
            value,
            is_setup_token,
            is_stale,
        });
    }
}

fn row(place: &database::Place, profile: &ProfileId) -> At {
    let agent = match place {
        database::Place::Agent(agent) => Some(agent.clone()),
        database::Place::Shared => None,
    };
    At::Row {
        agent,
        profile: profile.clone(),
    }
}

/// Which of a file's values are to be gone, read anew from its bytes: what is at a place now, of the
/// values that `is_gone` says.
///
/// # Errors
/// As [`plaintext::find`].
pub fn json_places(
    document: Document,
    bytes: &Zeroizing<Vec<u8>>,
    path: &std::path::Path,
    is_gone: &dyn Fn(&Secret) -> bool,
) -> Result<Vec<(Vec<String>, plaintext::Replacement)>> {
    let mut places = Vec::new();
    for found in plaintext::find(document, bytes, path)? {
        let Ok(value) = Secret::new(found.value.as_bytes(), Alphabet::Text) else {
            continue;
        };
        if !is_gone(&value) {
            continue;
        }
        let replacement = match (document, &found.what) {
            (Document::LegacyAuth | Document::Oauth, _)
            | (_, plaintext::What::Residue { .. } | plaintext::What::Flat { .. }) => {
                plaintext::Replacement::Remove
            }
            _ => plaintext::Replacement::Marker,
        };
        places.push((found.path, replacement));
    }
    Ok(places)
}

/// An error of a file, with its name.
pub fn in_file(path: &std::path::Path, error: Error) -> Error {
    error.context(path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openclaw::database::{Contents, Login, Own, Place, Stored};
    use crate::provider::ProviderId;
    use crate::secret::SecretKind;

    /// What OpenClaw's databases hold and keep is listed with the reason, without its value.
    #[test]
    fn what_stays_in_a_database_is_listed() {
        let file = std::path::PathBuf::from("/state/openclaw.sqlite");
        let own = |name: &str, is_removed| Own {
            file: file.clone(),
            name: name.to_owned(),
            value: Zeroizing::new("FAKE-own-0123456789".to_owned()),
            is_removed,
        };
        let contents = Contents {
            files: vec![file.clone()],
            logins: vec![Login {
                place: Place::Shared,
                file: file.clone(),
                profile: ProfileId::parse("openai:me").unwrap(),
                provider: ProviderId::parse("openai").unwrap(),
            }],
            residue: vec![Stored {
                place: Place::Shared,
                file: file.clone(),
                profile: ProfileId::parse("xai:both").unwrap(),
                provider: ProviderId::parse("xai").unwrap(),
                kind: SecretKind::ApiKey,
                value: Zeroizing::new("FAKE-beside-0123456789".to_owned()),
                expires: None,
            }],
            own: vec![own("ONE", false), own("TWO", true)],
            ..Contents::default()
        };
        let mut found = Found::new().unwrap();
        found.database(contents, 0);
        let reasons: Vec<&str> = found
            .items
            .iter()
            .map(|item| match &item.what {
                What::Stays(reason) => reason.split_whitespace().nth(1).unwrap(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(reasons, ["stands", "renews", "is", "marked"]);
    }
}
