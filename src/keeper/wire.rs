//! What goes over the keeper's socket. Ring 2.
//!
//! A frame is the length of its text in four bytes, most significant first, and the text: one JSON
//! object. A client sends a question, the server answers it, and so on until one of them closes.
//! Under `--release once` the server answers the first question by `again` with a challenge, and the
//! client asks once more with it: so the server knows that the question was sent after it looked.
//!
//! ```text
//! {"v":1,"verb":"resolve","pins":["<vault id>"],"ids":["anthropic:default"],"challenge":"<hex>"}
//! {"v":1,"verb":"status"} {"v":1,"verb":"list"} {"v":1,"verb":"get","id":"…"}
//! {"v":1,"verb":"put","id":"…","entry":{…}} {"v":1,"verb":"remove","id":"…"}
//! {"v":1,"verb":"link","id":"…"}  (on Windows alone: {"v":1,"verb":"end"})
//!
//! {"v":1,"answers":[{"value":"…"},{"code":"absent"}]}
//! {"v":1,"again":"<hex>"}     {"v":1,"error":"locked","text":"…","hint":"…"}
//! {"v":1,"status":{…}}  {"v":1,"list":[{"id":"…","meta":{…}}]}  {"v":1,"entry":{…}}  {"v":1,"done":true}
//! ```
//!
//! Promise: nothing is read beyond its bound; an unknown version or verb is refused by name; values
//! lie in wiped buffers alone.

mod answer;
mod question;

pub use answer::{Answer, Given, Listed, Status};
pub use question::{Question, Stored};

use crate::error::Error;

/// The version of these messages.
pub const VERSION: u32 = 1;

/// The longest question, in bytes: 512 ids, or one value of 64 KiB with every byte escaped.
pub const MAX_QUESTION: usize = 512 * 1024;

/// The longest answer, in bytes: more than any gateway takes from its resolver (20 MiB).
pub const MAX_ANSWER: usize = 24 * 1024 * 1024;

/// The most ids in one question.
pub const MAX_IDS: usize = 4096;

fn malformed() -> Error {
    Error::broken("this is no message of a keeper").hint("clawkeep --version")
}

fn wrong_version(theirs: u32) -> Error {
    Error::broken(format!(
        "the other side speaks version {theirs} of the keeper's messages; this clawkeep speaks version {VERSION}"
    ))
    .hint("clawkeep lock; clawkeep unlock")
}

#[cfg(test)]
mod tests;
