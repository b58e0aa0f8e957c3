//! What a keeper answers. Ring 2.

use super::question::Stored;
use super::{MAX_ANSWER, VERSION, malformed, wrong_version};
use crate::error::{Error, Kind, Result};
use crate::expiry::Millis;
use crate::json::{push_string, string_len};
use crate::keeper::Release;
use crate::secret::Secret;
use crate::vault::body::Entry;
use crate::vault::id::VaultId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// What is known of one id of a `resolve`.
pub enum Given {
    /// Its value.
    Value(Secret),
    /// There is none of that name.
    Absent,
    /// It is there, and this asker does not get it now.
    Locked,
    /// What should hold it is damaged.
    Broken,
    /// The id cannot be the name of anything.
    Invalid,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code().unwrap_or("value"))
    }
}

impl Given {
    fn code(&self) -> Option<&'static str> {
        Some(match self {
            Given::Value(_) => return None,
            Given::Absent => "absent",
            Given::Locked => "locked",
            Given::Broken => "broken",
            Given::Invalid => "invalid",
        })
    }
}

/// How a keeper is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its process.
    pub pid: u32,
    /// How often it gives values.
    pub release: Release,
    /// Which vault it holds.
    pub vault_id: VaultId,
    /// When it was unlocked.
    pub since: Millis,
    /// When its time is over, whatever happens.
    pub until: Option<Millis>,
    /// When it ends unless it is used before.
    pub idle_until: Option<Millis>,
    /// Whether its memory is kept out of swap.
    pub locked_memory: bool,
    /// What opened the vault.
    pub opened_by: String,
}

/// What a server answers.
#[derive(Debug)]
pub enum Answer {
    /// To `resolve`, in the order of the ids.
    Answers(Vec<Given>),
    /// Ask again with this challenge.
    Again(String),
    /// To `status`.
    Status(Status),
    /// To `list`: names, and entries without their value.
    List(Vec<Listed>),
    /// To `get`; `None` when there is none.
    Entry(Option<Stored>),
    /// To `put`, `remove` and `link`: whether something was there or changed.
    Done(bool),
    /// It could not be done.
    Error(Error),
}

/// One name of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The name.
    pub id: String,
    /// Token, API key, or anything else.
    pub kind: crate::secret::SecretKind,
    /// Whose credential it is.
    pub provider: Option<String>,
    /// When the id was first stored.
    pub created: Millis,
    /// When this value was stored.
    pub updated: Millis,
    /// When it stops working.
    pub expires: Option<Millis>,
    /// Whether this value once stood in plaintext outside the vault.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_plaintext: bool,
}

#[derive(Deserialize)]
struct WireAnswer<'a> {
    v: u32,
    #[serde(default)]
    answers: Option<Vec<WireGiven>>,
    #[serde(default)]
    again: Option<String>,
    #[serde(default)]
    status: Option<Status>,
    #[serde(default)]
    list: Option<Vec<Listed>>,
    #[serde(borrow, default)]
    entry: Option<&'a RawValue>,
    #[serde(default)]
    done: Option<bool>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    hint: Option<String>,
}

#[derive(Deserialize)]
struct WireGiven {
    #[serde(default)]
    value: Option<Secret>,
    #[serde(default)]
    code: Option<String>,
}

impl Answer {
    /// The text of the answer. One that would be longer than [`MAX_ANSWER`] becomes an error.
    pub fn write(&self) -> Zeroizing<Vec<u8>> {
        let room = self.room();
        if room > MAX_ANSWER {
            return Answer::Error(
                Error::failed("the answer would be longer than 24 MiB")
                    .hint("ask for fewer ids at once"),
            )
            .write();
        }
        let mut out = Zeroizing::new(Vec::with_capacity(room));
        out.extend_from_slice(format!(r#"{{"v":{VERSION},"#).as_bytes());
        match self {
            Answer::Answers(given) => write_given(&mut out, given),
            Answer::Again(challenge) => {
                out.extend_from_slice(b"\"again\":");
                push_string(&mut out, challenge);
            }
            Answer::Status(status) => push_json(&mut out, "status", status),
            Answer::List(list) => push_json(&mut out, "list", list),
            Answer::Entry(None) => out.extend_from_slice(b"\"entry\":null"),
            Answer::Entry(Some(entry)) => {
                out.extend_from_slice(b"\"entry\":");
                entry.0.write(&mut out);
            }
            Answer::Done(done) => out.extend_from_slice(format!("\"done\":{done}").as_bytes()),
            Answer::Error(error) => {
                out.extend_from_slice(b"\"error\":");
                push_string(&mut out, error.kind().name());
                out.extend_from_slice(b",\"text\":");
                push_string(&mut out, error.message());
                if let Some(hint) = error.hint_text() {
                    out.extend_from_slice(b",\"hint\":");
                    push_string(&mut out, hint);
                }
            }
        }
        out.push(b'}');
        out
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "looks: the length of the value as it is written"
    )]
    fn room(&self) -> usize {
        use secrecy::ExposeSecret;
        const REST: usize = 1024;
        REST + match self {
            Answer::Answers(given) => given
                .iter()
                .map(|given| match given {
                    Given::Value(value) => string_len(value.expose_secret()) + 12,
                    _ => 24,
                })
                .sum(),
            Answer::Entry(Some(entry)) => entry.0.room(),
            Answer::Error(error) => {
                string_len(error.message()) + error.hint_text().map_or(0, string_len)
            }
            Answer::List(list) => list.len() * 640,
            _ => 1024,
        }
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// `Broken` when it is none that this version knows.
    pub fn read(text: &[u8]) -> Result<Self> {
        let wire: WireAnswer<'_> = serde_json::from_slice(text).map_err(|_| malformed())?;
        if wire.v != VERSION {
            return Err(wrong_version(wire.v));
        }
        if let Some(answers) = wire.answers {
            let given = answers.into_iter().map(WireGiven::given);
            return given.collect::<Result<_>>().map(Answer::Answers);
        }
        if let Some(entry) = wire.entry {
            let entry = Entry::read(entry.get().as_bytes()).map_err(|_| malformed())?;
            return Ok(Answer::Entry(Some(Stored(entry))));
        }
        let simple = wire
            .again
            .map(Answer::Again)
            .or(wire.status.map(Answer::Status))
            .or(wire.list.map(Answer::List))
            .or(wire.done.map(Answer::Done));
        if let Some(answer) = simple {
            return Ok(answer);
        }
        match wire.error {
            Some(kind) => {
                let error = Error::failed(plain(&wire.text.unwrap_or_default()));
                let error = match wire.hint {
                    Some(hint) => error.hint(plain(&hint)),
                    None => error,
                };
                Ok(Answer::Error(error.as_kind(kind_named(&kind))))
            }
            // `"entry":null` and nothing else.
            None => Ok(Answer::Entry(None)),
        }
    }
}

/// A server's text goes to a terminal: a false keeper must not write escape sequences there.
fn plain(text: &str) -> String {
    text.chars()
        .take(1000)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

fn kind_named(name: &str) -> Kind {
    [Kind::Usage, Kind::Locked, Kind::Broken, Kind::Missing]
        .into_iter()
        .find(|kind| kind.name() == name)
        .unwrap_or(Kind::Failed)
}

impl WireGiven {
    fn given(self) -> Result<Given> {
        if let Some(value) = self.value {
            return Ok(Given::Value(value));
        }
        Ok(match self.code.as_deref() {
            Some("absent") => Given::Absent,
            Some("locked") => Given::Locked,
            Some("broken") => Given::Broken,
            Some("invalid") => Given::Invalid,
            _ => return Err(malformed()),
        })
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "door: the value into the keeper's answer"
)]
fn write_given(out: &mut Vec<u8>, given: &[Given]) {
    use secrecy::ExposeSecret;
    out.extend_from_slice(b"\"answers\":[");
    for (index, given) in given.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match (given, given.code()) {
            (Given::Value(value), _) => {
                out.extend_from_slice(b"{\"value\":");
                push_string(out, value.expose_secret());
                out.push(b'}');
            }
            (_, code) => out.extend_from_slice(
                format!(r#"{{"code":"{}"}}"#, code.unwrap_or("broken")).as_bytes(),
            ),
        }
    }
    out.push(b']');
}

fn push_json(out: &mut Vec<u8>, key: &str, value: &impl Serialize) {
    out.extend_from_slice(format!("\"{key}\":").as_bytes());
    // Plain data has no reason to fail; `null` is then no such answer to the reader.
    out.extend_from_slice(&serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec()));
}
