//! A raw conversation with a keeper: frames as any process could send them. Knows nothing of clawkeep's
//! own client.

use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Far beyond what an answer takes.
const LIMIT: Duration = Duration::from_mins(2);

/// A raw conversation.
pub(crate) struct Talk(pub(crate) UnixStream);

impl Talk {
    pub(crate) fn with(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        Talk(stream)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// The next answer; `None` when the other side closed.
    pub(crate) fn hear(&mut self) -> Option<Value> {
        let mut head = [0; 4];
        self.0.read_exact(&mut head).ok()?;
        let mut text = vec![0; usize::try_from(u32::from_be_bytes(head)).unwrap()];
        self.0.read_exact(&mut text).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, question: &Value) -> Value {
        self.send(&frame(question.to_string().as_bytes()));
        self.hear().expect("an answer")
    }

    /// A `resolve`, with the challenge where there is one: what came for each id.
    #[track_caller]
    pub(crate) fn resolve(&mut self, ids: &[&str]) -> Vec<Value> {
        let mut question = resolve_frame(ids);
        let mut answer = self.ask(&question);
        if answer["again"].is_string() {
            question["challenge"] = answer["again"].clone();
            answer = self.ask(&question);
        }
        let given = answer["answers"].as_array();
        given.unwrap_or_else(|| panic!("{answer}")).clone()
    }

    /// Reads until the other side closes; whether it did.
    pub(crate) fn closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

pub(crate) fn frame(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    [&length[..], text].concat()
}

pub(crate) fn resolve_frame(ids: &[&str]) -> Value {
    json!({"v": 1, "verb": "resolve", "pins": [], "ids": ids})
}
