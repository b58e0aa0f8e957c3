//! What `--check` answers, and why. Ring 3; pure.

use super::{Health, Provider};
use crate::error::Kind;
use crate::openclaw::elsewhere::Elsewhere;
use crate::provider::{ProfileId, ProviderId};
use std::collections::BTreeMap;

/// What came of asking for the references.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Nothing refers to the vault.
    Nothing,
    /// It is not known, and why: `locked`.
    NotProven {
        /// A clause.
        reason: String,
        /// Whether it is because the vault is locked, or gives its values to others alone.
        is_locked: bool,
    },
    /// Each id with why it gave no value; `None` where it gave one.
    Asked {
        /// Whether the program was asked that OpenClaw asks, and not only the vault's list.
        as_gateway: bool,
        /// By id.
        answers: BTreeMap<String, Option<String>>,
    },
    /// Nobody could be asked at all: the program that OpenClaw would run is not there, or not run, or does not
    /// answer.
    Failed {
        /// What happened.
        what: String,
        /// What can be typed.
        hint: Option<String>,
    },
}

impl Proof {
    /// A stable word.
    pub fn name(&self) -> &'static str {
        match self {
            Proof::Nothing => "nothing",
            Proof::NotProven { .. } => "not-proven",
            Proof::Asked { answers, .. } if answers.values().all(Option::is_none) => "proven",
            Proof::Asked { .. } => "unresolved",
            Proof::Failed { .. } => "failed",
        }
    }

    /// Whether this id gave a value; `None` when it is not known.
    pub fn resolves(&self, id: &str) -> Option<bool> {
        match self {
            Proof::Asked { answers, .. } => Some(answers.get(id)?.is_none()),
            Proof::Failed { .. } => Some(false),
            Proof::Nothing | Proof::NotProven { .. } => None,
        }
    }
}

/// Why `--check` does not answer 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A provider in use has a credential that has expired, and nothing else.
    Expired(ProviderId),
    /// A provider in use has no credential.
    Missing(ProviderId),
    /// A reference gives no value; with the protocol's code.
    Unresolved(String, String),
    /// A reference that somebody else answers gives no value.
    NoValue(Elsewhere),
    /// The provider refuses this profile's credential.
    Refused(ProfileId),
    /// Nobody answers for the references.
    NoAnswer(String),
    /// A proof was asked for and cannot be had.
    NotProven(String),
    /// A proof was asked for, and whether this reference that somebody else answers gives a value is not known.
    Unknown(Elsewhere),
    /// A provider in use has a credential that expires soon.
    Expiring(ProviderId),
}

impl Cause {
    /// A stable word.
    pub fn name(&self) -> &'static str {
        match self {
            Cause::Expired(_) => "expired",
            Cause::Missing(_) => "missing",
            Cause::Unresolved(..) | Cause::NoValue(_) => "unresolved",
            Cause::Refused(_) => "refused",
            Cause::NoAnswer(_) => "no-answer",
            Cause::NotProven(_) | Cause::Unknown(_) => "not-proven",
            Cause::Expiring(_) => "expiring",
        }
    }

    /// What it makes the exit code.
    pub fn kind(&self) -> Kind {
        match self {
            Cause::Expired(_)
            | Cause::Missing(_)
            | Cause::Unresolved(..)
            | Cause::NoValue(_)
            | Cause::Refused(_)
            | Cause::NoAnswer(_) => Kind::Failed,
            Cause::NotProven(_) | Cause::Unknown(_) => Kind::Locked,
            Cause::Expiring(_) => Kind::Expiring,
        }
    }
}

/// What `--check` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The gravest first; empty when all is well.
    pub causes: Vec<Cause>,
}

impl Verdict {
    pub(super) fn of(
        providers: &[Provider],
        missing: &[ProviderId],
        proof: &Proof,
        requires_proof: bool,
    ) -> Self {
        let mut causes = Vec::new();
        for one in providers.iter().filter(|one| one.is_used) {
            let id = &one.facts.id;
            // Without profiles there is no health of theirs.
            let has_profiles = one.facts.own_profiles().next().is_some();
            let counts = has_profiles && !one.facts.has_other();
            if counts && one.health == Health::Expired {
                causes.push(Cause::Expired(id.clone()));
            } else if missing.contains(id) || (counts && one.health == Health::Missing) {
                causes.push(Cause::Missing(id.clone()));
            } else if counts && one.health == Health::Expiring {
                causes.push(Cause::Expiring(id.clone()));
            }
        }
        match proof {
            Proof::Asked { answers, .. } => causes.extend(
                answers
                    .iter()
                    .filter_map(|(id, code)| Some(Cause::Unresolved(id.clone(), code.clone()?))),
            ),
            Proof::Failed { what, .. } => causes.push(Cause::NoAnswer(what.clone())),
            Proof::NotProven { reason, .. } if requires_proof => {
                causes.push(Cause::NotProven(reason.clone()));
            }
            Proof::Nothing | Proof::NotProven { .. } => {}
        }
        let mut verdict = Verdict { causes };
        verdict.sort();
        verdict
    }

    /// With what others said.
    pub fn add(&mut self, causes: impl IntoIterator<Item = Cause>) {
        self.causes.extend(causes);
        self.sort();
    }

    fn sort(&mut self) {
        self.causes.sort_by_key(|cause| match cause.kind() {
            Kind::Failed => 0,
            Kind::Locked => 1,
            _ => 2,
        });
    }

    /// The kind of error that `--check` ends with; `None` when all is well.
    pub fn kind(&self) -> Option<Kind> {
        self.causes.first().map(Cause::kind)
    }

    /// The exit code of `--check`.
    pub fn exit_code(&self) -> u8 {
        self.kind().map_or(0, Kind::exit_code)
    }
}
