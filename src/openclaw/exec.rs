//! OpenClaw's exec protocol 1: the request on standard input, the answer on standard output.
//! Ring 2': knows bytes and ids, not where values come from.
//!
//! Source: OpenClaw's exec secret provider contract, 2026.2.26 to 2026.9.6. One process per batch;
//! it fails as a whole on a non-zero exit, on empty or broken output and on output over
//! `maxOutputBytes`, so everything that concerns one id is said for that id alone.
//!
//! Promises:
//! - every id of the request is answered once, in its order, and no answer is longer than the limit;
//! - error entries have a code and one fixed text: 2026.6.1 prints the text in its log;
//! - values go from their [`Secret`] straight into one buffer that never grows and is wiped.

use crate::error::{Error, Result};
use crate::json::{push_string, string_len};
use crate::secret::{Secret, in_grammar};
use secrecy::ExposeSecret;
use std::collections::HashSet;
use zeroize::Zeroizing;

/// The longest request, in bytes: OpenClaw's own bound.
pub const MAX_REQUEST: usize = 262_144;

/// The most ids of one request: OpenClaw's own bound.
pub const MAX_IDS: usize = 512;

/// OpenClaw's `maxOutputBytes` where the config names none, in bytes.
pub const DEFAULT_MAX_OUTPUT: usize = 1_048_576;

/// The largest `maxOutputBytes` that OpenClaw takes, and the one that we configure, in bytes.
pub const LARGEST_MAX_OUTPUT: usize = 20_971_520;

const PROTOCOL: f64 = 1.0;
const HEAD: &str = r#"{"protocolVersion":1,"values":{"#;
const ERRORS: &str = r#","errors":{"#;

/// What OpenClaw asks in one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    ids: Vec<String>,
}

#[derive(serde::Deserialize)]
struct Wire {
    #[serde(rename = "protocolVersion")]
    version: Option<serde_json::Number>,
    ids: Vec<String>,
}

impl Request {
    /// Reads one request. Fields that are not known are passed over; an id that stands twice is
    /// kept once; an id outside the grammar is kept, since it gets an answer of its own.
    ///
    /// # Errors
    /// `Broken` when it is longer than [`MAX_REQUEST`], no JSON object with a list of ids, of
    /// another protocol version, or asks for more than [`MAX_IDS`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_REQUEST {
            return Err(Error::broken(format!(
                "the request is longer than {MAX_REQUEST} bytes"
            )));
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| {
            Error::broken(format!(
                "the request on standard input is no request of OpenClaw's exec protocol: line {} \
                 column {}",
                error.line(),
                error.column()
            ))
            .hint(r#"echo '{"protocolVersion":1,"ids":["anthropic:default"]}' | clawkeep resolve"#)
        })?;
        check_version(wire.version.as_ref())?;
        if wire.ids.len() > MAX_IDS {
            return Err(Error::broken(format!(
                "the request asks for {} ids; the most is {MAX_IDS}",
                wire.ids.len()
            )));
        }
        let mut seen = HashSet::new();
        let mut ids = wire.ids;
        ids.retain(|id| seen.insert(id.clone()));
        Ok(Request { ids })
    }

    /// The ids, each once, in the order of the request. Some may be outside the grammar.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }
}

/// JavaScript knows one kind of number: `1.0` is version 1 too.
#[allow(
    clippy::float_cmp,
    reason = "the version is the number 1 and nothing near it"
)]
fn check_version(version: Option<&serde_json::Number>) -> Result<()> {
    let Some(version) = version else {
        return Err(Error::broken("the request names no protocolVersion"));
    };
    if version.as_f64() == Some(PROTOCOL) {
        return Ok(());
    }
    // A number cannot be a secret, and which one it was is the whole message.
    Err(Error::broken(format!(
        "the request speaks version {version} of OpenClaw's exec protocol; this clawkeep speaks \
         version 1"
    ))
    .hint("clawkeep --version"))
}

/// What is known of one id.
#[derive(Debug)]
pub enum Answer {
    /// Its value.
    Value(Secret),
    /// There is none of that name.
    Absent,
    /// There may be one, but it cannot be had now.
    Locked,
    /// There may be one, but what should hold it is damaged.
    Broken,
    /// The id cannot be the name of anything.
    Invalid,
}

/// Why an id has no value. The texts are all that OpenClaw and its log ever see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    NotFound,
    Locked,
    Broken,
    InvalidId,
    OutputLimit,
}

impl Code {
    /// The error object as it is written. Plain ASCII without quotes inside: nothing to escape.
    fn body(self) -> &'static str {
        match self {
            Code::NotFound => r#"{"code":"NOT_FOUND","message":"no secret of this id is stored"}"#,
            Code::Locked => r#"{"code":"LOCKED","message":"the vault is locked"}"#,
            Code::Broken => r#"{"code":"BROKEN","message":"the vault could not be read"}"#,
            Code::InvalidId => {
                r#"{"code":"INVALID_ID","message":"the id is outside the grammar of exec refs"}"#
            }
            Code::OutputLimit => {
                r#"{"code":"OUTPUT_LIMIT","message":"the value does not fit into maxOutputBytes"}"#
            }
        }
    }
}

/// What is written for one id.
enum Entry<'a> {
    Value(&'a str, Secret),
    Error(&'a str, Code),
}

impl Entry<'_> {
    fn of(id: &str, answer: Answer) -> Entry<'_> {
        match answer {
            Answer::Value(value) => Entry::Value(id, value),
            Answer::Absent => Entry::Error(id, Code::NotFound),
            Answer::Locked => Entry::Error(id, Code::Locked),
            Answer::Broken => Entry::Error(id, Code::Broken),
            Answer::Invalid => Entry::Error(id, Code::InvalidId),
        }
    }

    /// Bytes of `"id":…`, without the comma before it.
    #[allow(
        clippy::disallowed_methods,
        reason = "door: the length of the value as it is written"
    )]
    fn len(&self) -> usize {
        match self {
            Entry::Value(id, value) => string_len(id) + 1 + string_len(value.expose_secret()),
            Entry::Error(id, code) => string_len(id) + 1 + code.body().len(),
        }
    }
}

/// The length of an answer, kept while its entries change.
#[derive(Default, Clone, Copy)]
struct Size {
    values: usize,
    value_bytes: usize,
    errors: usize,
    error_bytes: usize,
}

impl Size {
    fn add(&mut self, entry: &Entry<'_>) {
        let len = entry.len();
        match entry {
            Entry::Value(..) => {
                self.values += 1;
                self.value_bytes += len;
            }
            Entry::Error(..) => {
                self.errors += 1;
                self.error_bytes += len;
            }
        }
    }

    fn take(&mut self, entry: &Entry<'_>) {
        let len = entry.len();
        match entry {
            Entry::Value(..) => {
                self.values -= 1;
                self.value_bytes -= len;
            }
            Entry::Error(..) => {
                self.errors -= 1;
                self.error_bytes -= len;
            }
        }
    }

    fn total(&self) -> usize {
        let commas = self.values.saturating_sub(1) + self.errors.saturating_sub(1);
        let errors = if self.errors == 0 {
            0
        } else {
            ERRORS.len() + self.error_bytes + "}".len()
        };
        HEAD.len() + self.value_bytes + "}".len() + errors + commas + "}".len()
    }
}

/// Answers a request: `{"protocolVersion":1,"values":{…},"errors":{…}}`, `errors` only where there
/// are some.
///
/// `get` is asked once for each id in the grammar, in order. An id whose value does not fit into
/// `max_output` bytes beside the error entries of all the others gets `OUTPUT_LIMIT`, so the rest
/// still resolves. Where not even the error entries fit, the last ones are left out: OpenClaw then
/// says that the id is missing. The answer is empty only if `max_output` is below an empty answer.
pub fn answer(
    request: &Request,
    max_output: usize,
    mut get: impl FnMut(&str) -> Answer,
) -> Zeroizing<Vec<u8>> {
    // Every value starts out as the error entry that it would become; whichever still fits is then
    // put in its place. So room for the entries of later ids is always kept.
    let mut entries: Vec<Entry<'_>> = Vec::with_capacity(request.ids.len());
    let mut waiting: Vec<Option<Entry<'_>>> = Vec::with_capacity(request.ids.len());
    let mut size = Size::default();
    for id in &request.ids {
        let found = if in_grammar(id) {
            Entry::of(id, get(id))
        } else {
            Entry::Error(id, Code::InvalidId)
        };
        let (now, later) = match found {
            value @ Entry::Value(..) => (Entry::Error(id, Code::OutputLimit), Some(value)),
            error @ Entry::Error(..) => (error, None),
        };
        size.add(&now);
        entries.push(now);
        waiting.push(later);
    }
    // A value that is shorter than its error entry makes room, wherever it stands: those first.
    for shorter in [true, false] {
        for (entry, later) in entries.iter_mut().zip(&mut waiting) {
            let Some(value) = later.take_if(|value| !shorter || value.len() <= entry.len()) else {
                continue;
            };
            let mut with = size;
            with.take(entry);
            with.add(&value);
            if shorter || with.total() <= max_output {
                size = with;
                *entry = value;
            }
        }
    }
    drop_until_it_fits(&mut entries, &mut size, max_output);
    if size.total() > max_output {
        return Zeroizing::new(Vec::new());
    }
    write(&entries, size.total())
}

/// Leaves out errors from the end, then values: an id in neither map is an error as well.
fn drop_until_it_fits(entries: &mut Vec<Entry<'_>>, size: &mut Size, max_output: usize) {
    for errors_only in [true, false] {
        let mut at = entries.len();
        while size.total() > max_output && at > 0 {
            at -= 1;
            if !errors_only || matches!(entries[at], Entry::Error(..)) {
                let gone = entries.remove(at);
                size.take(&gone);
            }
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "door: the answer to OpenClaw is where values go out"
)]
fn write(entries: &[Entry<'_>], len: usize) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(len));
    out.extend_from_slice(HEAD.as_bytes());
    let mut first = true;
    for entry in entries {
        if let Entry::Value(id, value) = entry {
            begin(&mut out, &mut first, id);
            push_string(&mut out, value.expose_secret());
        }
    }
    out.push(b'}');
    first = true;
    for entry in entries {
        if let Entry::Error(id, code) = entry {
            if first {
                out.extend_from_slice(ERRORS.as_bytes());
            }
            begin(&mut out, &mut first, id);
            out.extend_from_slice(code.body().as_bytes());
        }
    }
    if !first {
        out.push(b'}');
    }
    out.push(b'}');
    debug_assert_eq!(out.len(), len, "a buffer that grows leaves a copy behind");
    out
}

fn begin(out: &mut Vec<u8>, first: &mut bool, id: &str) {
    if !std::mem::replace(first, false) {
        out.push(b',');
    }
    push_string(out, id);
    out.push(b':');
}

#[cfg(test)]
mod tests;
