//! What can be wrong with a vault, its link to OpenClaw and the machine around them: a table of checks.
//! Ring 3; pure: what was gathered goes in ([`Facts`]), findings come out; asks nobody, reads nothing.
//!
//! Promises:
//! - a check's id is stable: scripts may name it;
//! - what could not be looked at is said as such, with the reason; it is neither a finding nor a pass;
//! - a finding says to which thing what happened, and gives something to type; none holds a value.

pub mod facts;
mod host;
mod link;
mod plaintext;
mod profiles;
mod vault;

pub use facts::{Facts, Known, NotKnown};

use crate::provider::{AgentId, ProfileId, ProviderId};
use std::path::PathBuf;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something does not work, or a secret is not as safe as was said.
    Error,
    /// It works, and will not go on so, or is less safe than it could be.
    Warning,
    /// Worth knowing. Changes no exit code.
    Note,
}

impl Severity {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// What can be done about a finding and taken back again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// Another permission for a file or folder of our own.
    Mode {
        /// Which.
        path: PathBuf,
        /// Its permission bits now.
        from: u32,
        /// What they become.
        to: u32,
    },
    /// An explicit order without the profiles that are not there.
    Order {
        /// The file that holds it.
        path: PathBuf,
        /// Which file that is.
        home: OrderFile,
        /// Whose order.
        agent: AgentId,
        /// Whose profiles are in order.
        provider: ProviderId,
        /// All that it names.
        ids: Vec<ProfileId>,
        /// Those that are not there. An order of nothing else ends.
        gone: Vec<ProfileId>,
    },
}

/// A file that holds an order of profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrderFile {
    /// auth-profiles.json.
    Profiles,
    /// auth-state.json.
    State,
    /// openclaw.json, under `auth.order`.
    Config,
    /// OpenClaw's database, which its command line changes.
    Database,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong, to which thing.
    pub what: String,
    /// What can be typed.
    pub hint: String,
    /// What `--fix` would do.
    pub fix: Option<Fix>,
}

/// What came of one check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What is wrong; none when all is well, or could not be looked at.
    pub findings: Vec<Finding>,
    /// What could not be looked at, each with the reason, a clause: `locked`.
    pub unchecked: Vec<String>,
}

impl Outcome {
    /// All is well.
    pub(crate) fn fine() -> Self {
        Outcome::default()
    }

    /// It could not be looked at.
    pub(crate) fn unchecked(reason: &NotKnown) -> Self {
        Outcome {
            unchecked: vec![reason.0.clone()],
            ..Outcome::default()
        }
    }

    /// Whether there was nothing to find and nothing was left out.
    pub fn is_fine(&self) -> bool {
        self.findings.is_empty() && self.unchecked.is_empty()
    }

    pub(crate) fn find(
        &mut self,
        severity: Severity,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(severity, what, hint, None);
    }

    pub(crate) fn add(
        &mut self,
        severity: Severity,
        what: impl Into<String>,
        hint: impl Into<String>,
        fix: Option<Fix>,
    ) {
        self.findings.push(Finding {
            severity,
            what: what.into(),
            hint: hint.into(),
            fix,
        });
    }

    /// What a file that cannot be read says was not looked at.
    pub(crate) fn unread(&mut self, facts: &Facts) {
        if !facts.broken.is_empty() {
            self.not_checked("a file cannot be read");
        }
    }

    pub(crate) fn not_checked(&mut self, reason: impl Into<String>) {
        let reason = reason.into();
        if !self.unchecked.contains(&reason) {
            self.unchecked.push(reason);
        }
    }
}

/// One check.
#[derive(Clone, Copy)]
pub struct Check {
    /// Its stable id.
    pub id: &'static str,
    /// How much its gravest finding matters.
    pub severity: Severity,
    /// What it looks at, for people.
    pub about: &'static str,
    look: fn(&Facts) -> Outcome,
}

const fn check(
    id: &'static str,
    severity: Severity,
    about: &'static str,
    look: fn(&Facts) -> Outcome,
) -> Check {
    Check {
        id,
        severity,
        about,
        look,
    }
}

use Severity::{Error, Note, Warning};

/// Every check, in the order in which they are shown.
pub const CHECKS: &[Check] = &[
    check(
        "vault",
        Error,
        "there is a vault, and it holds together",
        vault::vault,
    ),
    check(
        "permissions",
        Error,
        "the vault's folder and files are closed to other users",
        vault::permissions,
    ),
    check(
        "rollback",
        Error,
        "no older copy of the vault was put back",
        vault::rollback,
    ),
    check(
        "slot-opens",
        Error,
        "each slot opens the vault",
        vault::slot_opens,
    ),
    check(
        "slot-reboot",
        Warning,
        "the vault opens again after a restart",
        vault::slot_reboot,
    ),
    check(
        "recovery-key",
        Warning,
        "a person proved within a year to have the recovery key",
        vault::recovery_key,
    ),
    check(
        "identity-beside-vault",
        Error,
        "no backup takes the vault and a key to it together",
        vault::identity_beside_vault,
    ),
    check(
        "files-readable",
        Error,
        "OpenClaw's files can be read as what they are",
        link::readable,
    ),
    check("link", Error, "openclaw.json asks this vault", link::link),
    check(
        "openclaw-updated",
        Error,
        "the link was made for this version of OpenClaw",
        link::openclaw_updated,
    ),
    check(
        "command",
        Error,
        "OpenClaw runs the program that it names: owner, mode, no link",
        link::command,
    ),
    check(
        "pass-env",
        Error,
        "passEnv has what the slots need",
        link::pass_env,
    ),
    check(
        "ref-resolves",
        Error,
        "every reference resolves, asked as the gateway asks",
        link::ref_resolves,
    ),
    check(
        "ref-elsewhere",
        Error,
        "every reference that others answer resolves: variables, files",
        link::ref_elsewhere,
    ),
    check(
        "resolve-time",
        Error,
        "the answer comes well within OpenClaw's limit",
        link::resolve_time,
    ),
    check(
        "ref-ignored",
        Error,
        "no reference stands where this OpenClaw reads none",
        link::ref_ignored,
    ),
    check(
        "ref-shadowed",
        Error,
        "no profile covers a reference in openclaw.json",
        link::ref_shadowed,
    ),
    check(
        "auth-profiles-era",
        Error,
        "no auth-profiles.json lies beside an OpenClaw that reads none",
        plaintext::era,
    ),
    check(
        "plaintext-wins",
        Warning,
        "no plaintext is used before a reference",
        plaintext::wins,
    ),
    check(
        "plaintext-left",
        Warning,
        "no plaintext is left that could be in the vault",
        plaintext::left,
    ),
    check(
        "service-plaintext",
        Warning,
        "no service file holds a credential",
        plaintext::service,
    ),
    check(
        "residue",
        Warning,
        "no old copy of OpenClaw's files holds a credential",
        plaintext::residue,
    ),
    check(
        "token-expired",
        Error,
        "no credential is expired",
        profiles::expired,
    ),
    check(
        "token-expiring",
        Warning,
        "no credential expires within 24 hours",
        profiles::expiring,
    ),
    check(
        "order-missing",
        Warning,
        "every order names profiles that are there",
        profiles::order_missing,
    ),
    check(
        "claude-only-token",
        Warning,
        "setup-tokens are used for Claude alone",
        profiles::claude_only,
    ),
    check(
        "agent-reach",
        Note,
        "no agent's shell can open what the gateway's user can open",
        host::agent_reach,
    ),
    check(
        "ptrace-scope",
        Note,
        "processes of one user cannot read each other's memory",
        host::ptrace_scope,
    ),
];

/// What came of every check.
pub struct Report {
    /// The checks in their order, each with its outcome.
    pub results: Vec<(&'static Check, Outcome)>,
}

/// Looks at everything.
pub fn examine(facts: &Facts) -> Report {
    Report {
        results: CHECKS
            .iter()
            .map(|check| (check, (check.look)(facts)))
            .collect(),
    }
}

impl Report {
    /// The findings with the check that made them, the gravest first.
    pub fn findings(&self) -> Vec<(&'static Check, &Finding)> {
        let mut all: Vec<_> = self
            .results
            .iter()
            .flat_map(|(check, outcome)| outcome.findings.iter().map(|finding| (*check, finding)))
            .collect();
        all.sort_by_key(|(_, finding)| finding.severity);
        all
    }

    /// How many findings are of that severity.
    pub fn count(&self, severity: Severity) -> usize {
        let all = self
            .results
            .iter()
            .flat_map(|(_, outcome)| &outcome.findings);
        all.filter(|finding| finding.severity == severity).count()
    }

    /// How many checks found nothing and left nothing out.
    pub fn passed(&self) -> usize {
        self.results
            .iter()
            .filter(|(_, outcome)| outcome.is_fine())
            .count()
    }

    /// Whether nothing is wrong: notes do not count, nor does what could not be looked at.
    pub fn is_clean(&self) -> bool {
        self.count(Error) == 0 && self.count(Warning) == 0
    }

    /// What can be done and taken back again, each once.
    pub fn fixes(&self) -> Vec<Fix> {
        let mut fixes: Vec<Fix> = Vec::new();
        for (_, finding) in self.findings() {
            if let Some(fix) = &finding.fix
                && !fixes.contains(fix)
            {
                fixes.push(fix.clone());
            }
        }
        fixes
    }
}

#[cfg(test)]
pub(crate) mod tests;
