//! Line 1 of a vault: what is stored, format version 1. Ring 2.
//!
//! ```text
//! { "format": "clawkeep-vault", "version": 1,
//!   "vault_id": "<64 hex>", "generation": 7, "written": <Unix ms>,
//!   "identity": "AGE-SECRET-KEY-1…",                        the vault's own, so that the recovery
//!                                                           key gives back a vault that can be written
//!   "recovery": {"recipient": "age1…", "created": <ms>, "checked": <ms>|null} | null,
//!   "slots": [ {"name": "passphrase", "created": <ms>, "kind": "passphrase", "m_kib": 262144, "t": 3, "p": 4} ],
//!   "linked": ["gateway/token", "provider/anthropic"],       ids that OpenClaw's files refer to
//!   "secrets": { "<id>": {"kind": "token|api_key|secret", "provider": "anthropic"|null,
//!                          "created": <ms>, "updated": <ms>, "expires": <ms>|null,
//!                          "was_plaintext": true,           only where it is so
//!                          "value": "…"} } }
//! ```
//!
//! Promise: read only after the MAC was compared; a version that is not known is refused by name;
//! unknown fields are ignored. Values go from the wiped line straight into [`Secret`]s.

use super::id::VaultId;
use super::identity::{Identity, Recipient};
use super::slot::Slot;
use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::json::{place, push_string, string_len};
use crate::provider::ProviderId;
use crate::secret::{RefId, Secret, SecretId, SecretKind};
use crate::store::Meta;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const FORMAT: &str = "clawkeep-vault";
/// The format version that this program writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// Everything that one vault holds.
pub struct Contents {
    /// Raised by every write; 1 when the vault is made.
    pub generation: u64,
    /// When this generation was written.
    pub written: Millis,
    /// The vault's own identity.
    pub identity: Identity,
    /// The recovery key's public half.
    pub recovery: Option<Recovery>,
    /// The ways to obtain the identity.
    pub slots: Vec<Slot>,
    /// Ids that refs ask for, selection ids among them.
    pub linked: BTreeSet<RefId>,
    /// The values.
    pub secrets: BTreeMap<SecretId, Entry>,
}

/// The recovery key, as far as the vault knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// Its public half: every write encrypts to it.
    pub recipient: Recipient,
    /// When it was made.
    pub created: Millis,
    /// When a person last proved to have it.
    pub checked: Option<Millis>,
}

/// One stored value.
pub struct Entry {
    /// What is known of it.
    pub meta: Meta,
    /// The value.
    pub value: Secret,
}

#[derive(Serialize)]
struct Head<'a> {
    format: &'static str,
    version: u32,
    vault_id: VaultId,
    generation: u64,
    written: Millis,
    recovery: &'a Option<Recovery>,
    slots: &'a [Slot],
    linked: Vec<&'a str>,
}

impl Contents {
    /// The vault's id.
    pub fn vault_id(&self) -> VaultId {
        self.identity.vault_id()
    }

    /// Line 1, unpadded: the bytes it needs at most, and the writer that appends it.
    ///
    /// # Errors
    /// `Failed` when the head cannot be written as JSON, which it has no reason to be.
    #[allow(
        clippy::disallowed_methods,
        reason = "door: values into the vault's body"
    )]
    pub(super) fn to_line(&self) -> Result<(usize, impl FnOnce(&mut Vec<u8>) + '_)> {
        let head = Head {
            format: FORMAT,
            version: VERSION,
            vault_id: self.vault_id(),
            generation: self.generation,
            written: self.written,
            recovery: &self.recovery,
            slots: &self.slots,
            linked: self.linked.iter().map(RefId::as_str).collect(),
        };
        let head = serde_json::to_string(&head)
            .map_err(|_| Error::failed("the vault cannot be written as JSON"))?;
        let mut entries = Vec::with_capacity(self.secrets.len());
        let mut room = head.len() + 256;
        for (id, entry) in &self.secrets {
            let meta = meta_json(&entry.meta);
            room +=
                string_len(id.as_str()) + meta.len() + string_len(entry.value.expose_secret()) + 16;
            entries.push((id, meta, &entry.value));
        }
        let write = move |out: &mut Vec<u8>| {
            out.extend_from_slice(&head.as_bytes()[..head.len() - 1]);
            out.extend_from_slice(b",\"identity\":");
            push_string(out, self.identity.text());
            out.extend_from_slice(b",\"secrets\":{");
            for (index, (id, meta, value)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                push_string(out, id.as_str());
                out.extend_from_slice(b":{");
                out.extend_from_slice(meta.as_bytes());
                out.extend_from_slice(b",\"value\":");
                push_string(out, value.expose_secret());
                out.push(b'}');
            }
            out.extend_from_slice(b"}}");
        };
        Ok((room, write))
    }

    /// Parses an authenticated line 1.
    ///
    /// # Errors
    /// `Broken`, by column, when it is no vault of a version that is known.
    pub(super) fn parse(line: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Wire {
            vault_id: VaultId,
            generation: u64,
            written: Millis,
            identity: Identity,
            recovery: Option<Recovery>,
            slots: Vec<Slot>,
            linked: Vec<String>,
            secrets: BTreeMap<String, WireEntry>,
        }
        check_version(line)?;
        let wire: Wire = serde_json::from_slice(line).map_err(|error| malformed(&error))?;
        if wire.identity.vault_id() != wire.vault_id {
            return Err(Error::broken(
                "the vault's body names another vault than its own identity",
            ));
        }
        let mut secrets = BTreeMap::new();
        for (id, entry) in wire.secrets {
            secrets.insert(stored_id(&id)?, entry.entry()?);
        }
        Ok(Contents {
            generation: wire.generation,
            written: wire.written,
            identity: wire.identity,
            recovery: wire.recovery,
            slots: wire.slots,
            linked: wire
                .linked
                .iter()
                .map(|id| RefId::parse(id).ok_or_else(outside_grammar))
                .collect::<Result<_>>()?,
            secrets,
        })
    }
}

fn stored_id(text: &str) -> Result<SecretId> {
    SecretId::parse(text).map_err(|_| outside_grammar())
}

fn outside_grammar() -> Error {
    Error::broken("the vault's body holds an id outside the grammar")
}

/// `"kind":…,"expires":…` without braces.
fn meta_json(meta: &Meta) -> String {
    let number = |at: Option<Millis>| at.map_or("null".to_owned(), |at| at.get().to_string());
    let provider = meta
        .provider
        .as_ref()
        .map_or("null".to_owned(), |p| format!("\"{p}\""));
    format!(
        r#""kind":"{}","provider":{provider},"created":{},"updated":{},"expires":{}{}"#,
        meta.kind.name(),
        meta.created.get(),
        meta.updated.get(),
        number(meta.expires),
        // Only where it is so: a vault without marks is byte for byte as it was before there were any.
        if meta.was_plaintext {
            r#","was_plaintext":true"#
        } else {
            ""
        },
    )
}

impl Entry {
    /// The entry as it stands in line 1, braces included, appended to `out`; it needs at most
    /// [`Entry::room`] bytes.
    #[allow(
        clippy::disallowed_methods,
        reason = "door: a value into the keeper's answer or request"
    )]
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        out.extend_from_slice(meta_json(&self.meta).as_bytes());
        out.extend_from_slice(b",\"value\":");
        push_string(out, self.value.expose_secret());
        out.push(b'}');
    }

    /// The most bytes that [`Entry::write`] appends.
    #[allow(
        clippy::disallowed_methods,
        reason = "looks: the length of the value as it is written"
    )]
    pub fn room(&self) -> usize {
        meta_json(&self.meta).len() + string_len(self.value.expose_secret()) + 16
    }

    /// Reads what [`Entry::write`] wrote.
    ///
    /// # Errors
    /// `Broken`, by column, when it is none.
    pub fn read(text: &[u8]) -> Result<Self> {
        serde_json::from_slice::<WireEntry>(text)
            .map_err(|error| malformed(&error))?
            .entry()
    }
}

#[derive(Deserialize)]
pub(super) struct WireEntry {
    kind: SecretKind,
    provider: Option<String>,
    created: Millis,
    updated: Millis,
    expires: Option<Millis>,
    #[serde(default)]
    was_plaintext: bool,
    value: Secret,
}

impl WireEntry {
    pub(super) fn entry(self) -> Result<Entry> {
        let provider = self
            .provider
            .map(|name| ProviderId::parse(&name))
            .transpose()
            .map_err(|_| Error::broken("the vault's body names a provider that cannot be"))?;
        let meta = Meta {
            kind: self.kind,
            provider,
            created: self.created,
            updated: self.updated,
            expires: self.expires,
            was_plaintext: self.was_plaintext,
        };
        Ok(Entry {
            meta,
            value: self.value,
        })
    }
}

pub(super) fn malformed(error: &serde_json::Error) -> Error {
    Error::broken(format!(
        "the vault's body cannot be read ({})",
        place(error)
    ))
}

fn check_version(line: &[u8]) -> Result<()> {
    #[derive(Deserialize)]
    struct Gate<'a> {
        #[serde(borrow)]
        format: Cow<'a, str>,
        version: u32,
    }
    let gate: Gate<'_> = serde_json::from_slice(line).map_err(|error| malformed(&error))?;
    if gate.format != FORMAT {
        return Err(Error::broken("vault.age opens but does not hold a vault"));
    }
    if gate.version != VERSION {
        return Err(newer(gate.version));
    }
    Ok(())
}

pub(super) fn newer(version: u32) -> Error {
    Error::broken(format!(
        "the vault has format version {version}; this clawkeep reads version {VERSION}"
    ))
    .hint("install the newest clawkeep: cargo install --path .")
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
