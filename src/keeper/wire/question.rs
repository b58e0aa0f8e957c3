//! What a client asks a keeper. Ring 2.

use super::{MAX_IDS, VERSION, malformed, wrong_version};
use crate::error::Result;
use crate::json::{push_string, string_len};
use crate::secret::SecretId;
use crate::vault::body::Entry;
use crate::vault::id::VaultId;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// What a client asks.
#[derive(Debug)]
pub enum Question {
    /// Values for a gateway. The ids are as they were asked for.
    Resolve {
        /// The vault ids that the asker trusts.
        pins: Vec<VaultId>,
        /// The ids, in order.
        ids: Vec<String>,
        /// What the server said in its `again`.
        challenge: Option<String>,
    },
    /// How the keeper is.
    Status,
    /// All names.
    List,
    /// One value, for a person.
    Get(SecretId),
    /// Store a value.
    Put(SecretId, Stored),
    /// Remove a value.
    Remove(SecretId),
    /// Note that a ref asks for this id.
    Link(String),
    /// Wipe everything and end: where there are no signals.
    #[cfg(windows)]
    End,
}

/// An entry on its way. Shows nothing of itself.
pub struct Stored(pub Entry);

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stored(…)")
    }
}

#[derive(Deserialize)]
struct WireQuestion<'a> {
    v: u32,
    verb: String,
    #[serde(default)]
    pins: Vec<VaultId>,
    #[serde(default)]
    ids: Vec<String>,
    #[serde(default)]
    challenge: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(borrow, default)]
    entry: Option<&'a RawValue>,
}

impl Question {
    /// The text of the question.
    pub fn write(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.room()));
        let verb = match self {
            Question::Resolve { .. } => "resolve",
            Question::Status => "status",
            Question::List => "list",
            Question::Get(_) => "get",
            Question::Put(..) => "put",
            Question::Remove(_) => "remove",
            Question::Link(_) => "link",
            #[cfg(windows)]
            Question::End => "end",
        };
        out.extend_from_slice(format!(r#"{{"v":{VERSION},"verb":"{verb}""#).as_bytes());
        match self {
            Question::Resolve {
                pins,
                ids,
                challenge,
            } => {
                push_list(
                    &mut out,
                    b",\"pins\":[",
                    pins.iter().map(VaultId::to_string),
                );
                push_list(&mut out, b",\"ids\":[", ids.iter());
                if let Some(challenge) = challenge {
                    out.extend_from_slice(b",\"challenge\":");
                    push_string(&mut out, challenge);
                }
            }
            Question::Get(id) | Question::Remove(id) => push_id(&mut out, id.as_str()),
            Question::Link(id) => push_id(&mut out, id),
            Question::Put(id, entry) => {
                push_id(&mut out, id.as_str());
                out.extend_from_slice(b",\"entry\":");
                entry.0.write(&mut out);
            }
            Question::Status | Question::List => {}
            #[cfg(windows)]
            Question::End => {}
        }
        out.push(b'}');
        out
    }

    fn room(&self) -> usize {
        const REST: usize = 512;
        REST + match self {
            Question::Resolve {
                pins,
                ids,
                challenge,
            } => {
                pins.len() * 70
                    + ids.iter().map(|id| string_len(id) + 1).sum::<usize>()
                    + challenge.as_deref().map_or(0, string_len)
            }
            Question::Put(id, entry) => string_len(id.as_str()) + entry.0.room(),
            Question::Get(id) | Question::Remove(id) => string_len(id.as_str()),
            Question::Link(id) => string_len(id),
            Question::Status | Question::List => 0,
            #[cfg(windows)]
            Question::End => 0,
        }
    }

    /// Reads a question.
    ///
    /// # Errors
    /// `Broken`, without quoting it, when it is none that this version knows.
    pub fn read(text: &[u8]) -> Result<Self> {
        let wire: WireQuestion<'_> = serde_json::from_slice(text).map_err(|_| malformed())?;
        if wire.v != VERSION {
            return Err(wrong_version(wire.v));
        }
        let id = || wire.id.clone().ok_or_else(malformed);
        let stored_id = || SecretId::parse(&id()?).map_err(|_| malformed());
        Ok(match wire.verb.as_str() {
            "resolve" if wire.ids.len() <= MAX_IDS && each_once(&wire.ids) => Question::Resolve {
                pins: wire.pins,
                ids: wire.ids,
                challenge: wire.challenge,
            },
            "status" => Question::Status,
            "list" => Question::List,
            #[cfg(windows)]
            "end" => Question::End,
            "get" => Question::Get(stored_id()?),
            "remove" => Question::Remove(stored_id()?),
            "link" => Question::Link(id()?),
            "put" => {
                let entry = wire.entry.ok_or_else(malformed)?;
                let entry = Entry::read(entry.get().as_bytes()).map_err(|_| malformed())?;
                Question::Put(stored_id()?, Stored(entry))
            }
            _ => return Err(malformed()),
        })
    }
}

/// A value that is asked for a thousand times would be copied as often.
fn each_once(ids: &[String]) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    ids.iter().all(|id| seen.insert(id))
}

fn push_id(out: &mut Vec<u8>, id: &str) {
    out.extend_from_slice(b",\"id\":");
    push_string(out, id);
}

fn push_list<T: AsRef<str>>(out: &mut Vec<u8>, head: &[u8], items: impl Iterator<Item = T>) {
    out.extend_from_slice(head);
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_string(out, item.as_ref());
    }
    out.push(b']');
}
