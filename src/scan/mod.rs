//! Searching by value for what is left of credentials. Ring 3; returns data, prints nothing.
//!
//! ```text
//! needles, index   the values and their forms, and how they are looked up
//! view             a text with its escapes undone, and where each byte of it came from
//! files            one file after another
//! search           one stream: pieces that overlap, what is found in them
//! shape            keys that nobody stored, by their shape
//! sqlite           values that SQLite split over pages
//! walk             every file below a folder; follows no link
//! look             which file systems and files keep more than can be seen
//! process          environments of processes and of service managers
//! roots            where OpenClaw and shells leave things
//! report           what came of it
//! ```
//!
//! Promises:
//! - a stored value of [`MIN_VALUE`] bytes and more is found wherever it lies, in each [`Form`];
//! - the memory that is used does not depend on how large a file is;
//! - nothing that is opened can hang the scan, and no link is followed;
//! - nothing is left out without being named in the report;
//! - no value leaves: what is reported are names, places and forms.
//!
//! Not seen: other encodings (hex, UTF-16, quoted-printable, entities of XML), what is compressed or
//! encrypted, and a value that was cut.

mod files;
mod index;
mod look;
mod needles;
mod process;
mod report;
mod roots;
mod search;
mod shape;
mod sqlite;
mod view;
#[cfg(unix)]
mod walk;
#[cfg(not(unix))]
#[path = "walk_portable.rs"]
mod walk;

pub use files::files;

pub use needles::{MIN_VALUE, Needles};
pub use process::processes;
pub use report::{Finding, Form, MAX_NAMED, Masked, Place, Report, Searched, Unseen, What, Why};
pub use roots::Roots;

use crate::vault::id::VaultId;
use std::path::PathBuf;

/// What a scan is told besides the values.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The vault whose values these are, so that its identity is called so.
    pub vault: Option<VaultId>,
    /// Files that hold an identity because somebody chose so: one in there is no finding.
    pub identity_files: Vec<PathBuf>,
}

/// Hears how far a scan has come. `()` does not listen.
pub trait Progress {
    /// Whether the size of everything is worth a look at it first.
    fn wants_total(&self) -> bool {
        false
    }
    /// How many bytes there are, holes included; an estimate, since files change.
    fn total(&mut self, _bytes: u64) {}
    /// How many bytes were done since the last call.
    fn done(&mut self, _bytes: u64) {}
}

impl Progress for () {}

#[cfg(test)]
mod tests;
