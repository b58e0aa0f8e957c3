//! What came of a reference that somebody else than clawkeep answers. Pure.

use super::{Reference, Source};
use crate::error::word;
use crate::provider::ProfileId;

/// Where a reference stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// In this profile.
    Profile(ProfileId),
    /// At this path of openclaw.json, joined by dots.
    Setting(String),
}

impl Holder {
    /// For people.
    pub fn said(&self) -> String {
        match self {
            Holder::Profile(id) => word(id.as_str()),
            Holder::Setting(path) => word(path),
        }
    }
}

/// Whether it gives a value: there are three answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It does.
    Value,
    /// It does not.
    Nothing {
        /// A stable word: `NOT_SET`, or the protocol's.
        code: String,
        /// Why, a clause for people.
        why: String,
    },
    /// It is not known.
    NotKnown {
        /// Why, a sentence for people.
        why: String,
        /// What would show it.
        hint: String,
    },
}

/// One such reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// Where it stands.
    pub holder: Holder,
    /// It.
    pub reference: Reference,
    /// What came of it.
    pub answer: Answer,
}

impl Elsewhere {
    /// What is asked for, for people: `the variable FAKE_KEY`. Names that openclaw.json has are quoted where
    /// they could be taken for more.
    pub fn said(&self) -> String {
        let of = word(self.reference.provider.as_deref().unwrap_or("default"));
        let id = word(&self.reference.id);
        match self.reference.source {
            Source::Env => format!("the variable {id}"),
            Source::File => format!("{id} in the file of secrets.providers.{of}"),
            Source::Exec => format!("{id} by the program of secrets.providers.{of}"),
            Source::Store => format!("{id} in OpenClaw's own store"),
        }
    }
}
