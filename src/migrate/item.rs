//! What was found: each place of a plaintext value, and what it is there. Ring 3; data.
//!
//! Promise: a value lies in [`Values`] once, however many places hold it, and nothing else here holds
//! one: places and meanings can be shown, sorted and compared.

use super::digest::{Digest, Digester};
use super::variable::Reader;
use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::secret::{Secret, SecretKind};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every value that was found, once.
pub struct Values {
    digester: Digester,
    known: BTreeMap<Digest, Secret>,
}

impl Values {
    /// None yet.
    ///
    /// # Errors
    /// `Failed` when the system gives no random bytes.
    pub fn new() -> Result<Self> {
        Ok(Values {
            digester: Digester::new()?,
            known: BTreeMap::new(),
        })
    }

    /// Keeps a value, and gives what stands for it.
    pub fn keep(&mut self, value: Secret) -> Digest {
        let digest = self.digester.of(&value);
        self.known.entry(digest).or_insert(value);
        digest
    }

    /// The value that a digest stands for; `None` for a digest of another run.
    pub fn get(&self, digest: &Digest) -> Option<&Secret> {
        self.known.get(digest)
    }

    /// A copy of the value, for the vault.
    ///
    /// # Errors
    /// `Broken` for a digest of another run.
    #[allow(
        clippy::disallowed_methods,
        reason = "door: from the file that it was found in into the vault"
    )]
    pub fn copy(&self, digest: &Digest) -> Result<Secret> {
        use secrecy::ExposeSecret;
        let value = self
            .get(digest)
            .ok_or_else(|| Error::broken("a value that was listed is not at hand any more"))?;
        Secret::stored(value.expose_secret())
    }

    /// What stands for a value that need not be kept.
    pub fn digest(&self, value: &Secret) -> Digest {
        self.digester.of(value)
    }

    /// What stands for a file's bytes.
    pub fn digest_of_bytes(&self, bytes: &[u8]) -> Digest {
        self.digester.of_bytes(bytes)
    }
}

/// Where in its source a value stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// An assignment to a variable.
    Assignment {
        /// Its place among the file's assignments, from 0.
        index: usize,
        /// The line that it begins on, from 1.
        line: usize,
        /// The variable.
        name: String,
    },
    /// A string in a JSON document, by its keys from the root.
    Json(Vec<String>),
    /// A row of OpenClaw's database.
    Row {
        /// The agent whose store it is; `None` for the shared one.
        agent: Option<AgentId>,
        /// The profile.
        profile: ProfileId,
    },
}

/// What a value is where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The value (or one of several) of a variable that providers read.
    Key(Vec<Reader>),
    /// A profile of OpenClaw's.
    Profile {
        /// Whose store it is in.
        agent: AgentId,
        /// Its id.
        profile: ProfileId,
        /// Whose credential it is.
        provider: ProviderId,
        /// Token or API key.
        kind: SecretKind,
        /// When it stops working.
        expires: Option<Millis>,
        /// Whether it stands in the store that OpenClaw reads; else in an older one, which it would
        /// import.
        is_stored: bool,
    },
    /// `models.providers.<key>.apiKey`.
    ProviderKey {
        /// Whose credential it is.
        provider: ProviderId,
        /// The provider's key as it is spelled there.
        key: String,
    },
    /// The gateway's own token.
    GatewayToken,
    /// Another path of openclaw.json that takes a reference.
    Slot(Vec<String>),
    /// A variable that looks like a secret and that only a process environment carries.
    Carried,
    /// A variable that openclaw.json reads where a reference can stand in its place.
    Behind,
    /// It cannot be moved, for this reason (a clause).
    Stays(String),
    /// A copy that nothing refers to.
    Copied,
    /// A copy of material that OpenClaw renews itself: worth nothing once it is old.
    CopiedLogin,
}

/// One place of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Which of the files that were read; for a row, the database's place in the list of sources.
    pub source: usize,
    /// Where in it.
    pub at: At,
    /// What it is there.
    pub what: What,
    /// What stands for the value.
    pub value: Digest,
    /// Whether the value begins as Anthropic's setup-tokens do.
    pub is_setup_token: bool,
    /// Whether a later line of the same file gives the variable another value: nobody reads this one.
    pub is_stale: bool,
}

impl Item {
    /// The variable, where it is one's value.
    pub fn variable(&self) -> Option<&str> {
        match &self.at {
            At::Assignment { name, .. } => Some(name),
            At::Json(path) => match path.as_slice() {
                [env, name] if env == "env" => Some(name),
                [env, vars, name] if env == "env" && vars == "vars" => Some(name),
                _ => None,
            },
            At::Row { .. } => None,
        }
    }

    /// The agent (`None` where all have it in common) and the profile, where it is a value of one in
    /// OpenClaw's databases; not for what only stays there.
    pub fn profile_row(&self) -> Option<(Option<&AgentId>, &ProfileId)> {
        match (&self.at, &self.what) {
            (At::Row { agent, profile }, What::Profile { .. }) => Some((agent.as_ref(), profile)),
            _ => None,
        }
    }
}

/// A path below the home as a person writes it.
pub fn short(path: &Path, home: &Path) -> String {
    match path.strip_prefix(home) {
        Ok(rest) if !rest.as_os_str().is_empty() => format!("~/{}", rest.display()),
        _ => path.display().to_string(),
    }
}

/// The place for people: `~/.openclaw/.env:3 OPENAI_API_KEY`.
pub fn said(path: &Path, at: &At, home: &Path) -> String {
    let file = short(path, home);
    match at {
        At::Assignment { line, name, .. } => format!("{file}:{line} {name}"),
        At::Json(path) => format!("{file} {}", path.join(".")),
        At::Row {
            agent: Some(agent),
            profile,
        } => format!("{file} (agent {agent}) {profile}"),
        At::Row {
            agent: None,
            profile,
        } => format!("{file} (shared) {profile}"),
    }
}

/// A source that could not be looked through, or in which nothing may be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// Its path.
    pub path: PathBuf,
    /// Why, a clause.
    pub reason: String,
}
