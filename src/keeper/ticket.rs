//! A ticket, `keeper-arm.json` in the vault's folder: lets ids be given once more. Ring 2.
//!
//! ```text
//! {"format":"clawkeep-arm","version":1,"challenge":"<64 hex>","ids":null|["<id>",…],"made_at":<Unix ms>}
//! {"mac":"<64 hex>"}
//! ```
//!
//! Line 2 may be missing. Each line ends in a newline. The MAC is over the exact bytes of line 1 without
//! its newline (docs/keeper.md).
//!
//! A ticket is believed when it names the challenge of the keeper that runs, and
//! - its MAC is right: who made it could open the vault, or
//! - root made it: the file that was opened is root's, has one name, and nobody else can write it.
//!
//! A file of root's with two names may be one that another user linked here. Where the keeper itself runs
//! as root, as in many containers, every process around it could make a file of root's, and an agent
//! there has not all of root's rights (it may not be able to read the keeper's memory): there only the
//! MAC counts. An attacker who gets a program of root's to copy a text of his into his own folder can
//! make a ticket where he can also read the challenge: under an attended keeper, not an isolated one.
//!
//! Promises: what is not believed is removed too, and so is what is; no link is followed, no pipe waited
//! for, nothing read beyond [`MAX`]; a ticket is believed once, since the keeper takes a new challenge.

use super::published::Challenge;
use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::file;
use crate::json::{hex, unhex};
use crate::secret::RefId;
use crate::vault::identity::Identity;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

/// The file's name.
pub const NAME: &str = "keeper-arm.json";

/// The largest ticket, in bytes: 4,096 ids of 256 bytes.
pub const MAX: usize = 2 * 1024 * 1024;

const FORMAT: &str = "clawkeep-arm";
const VERSION: u32 = 1;
const MAC_CONTEXT: &str = "clawkeep/v1/mac/arm";

/// What a ticket lets be given once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ids {
    /// Everything that is linked.
    All,
    /// These alone.
    Some(BTreeSet<RefId>),
}

/// A ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The keeper's challenge when it was made.
    pub challenge: Challenge,
    /// What may be given once more.
    pub ids: Ids,
    /// When it was made. For logs: nothing is decided by it.
    pub made_at: Millis,
}

/// Why a ticket is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Root made the file.
    Root,
    /// Its MAC is right.
    Mac,
}

/// Why a ticket is not believed. The texts are fixed: they go to logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is no regular file, too large, or closed to the keeper.
    NotAFile,
    /// It is no ticket of a version that is known.
    NotATicket,
    /// It was made for another keeper, or was used before.
    OldChallenge,
    /// Nothing proves who made it.
    NotProven,
    /// It is right but cannot be removed, so it might be found again.
    StaysThere,
}

impl Refusal {
    /// What is wrong, for people.
    pub fn text(self) -> &'static str {
        match self {
            Refusal::NotAFile => "the ticket is no file that can be read",
            Refusal::NotATicket => "the ticket is not one that this clawkeep knows",
            Refusal::OldChallenge => "the ticket was made for an earlier keeper or was used before",
            Refusal::NotProven => "nothing proves who made the ticket",
            Refusal::StaysThere => "the ticket cannot be removed",
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// No ticket.
    None,
    /// One that counts. It is gone now; the keeper takes a new challenge.
    Believed(Ticket, Proof),
    /// One that does not. It is gone too, unless it is a folder.
    Refused(Refusal),
}

impl Ticket {
    /// Looks for a ticket in the vault's folder `dir`, and removes it.
    pub fn take(dir: &Path, challenge: &Challenge, identity: &Identity) -> Taken {
        #[cfg(unix)]
        let me = rustix::process::geteuid().as_raw();
        #[cfg(not(unix))]
        let me = 0;
        Self::take_as(me, dir, challenge, identity)
    }

    /// As a keeper that runs under the user `me`.
    fn take_as(me: u32, dir: &Path, challenge: &Challenge, identity: &Identity) -> Taken {
        let path = dir.join(NAME);
        let judged = match file::read_of_anyone(&path, MAX) {
            Ok(None) => return Taken::None,
            Ok(Some((bytes, meta))) => judge(&bytes, is_roots(me, &meta), challenge, identity),
            Err(_) => Err(Refusal::NotAFile),
        };
        let gone = file::remove(&path);
        match judged {
            Ok(_) if gone.is_err() => Taken::Refused(Refusal::StaysThere),
            Ok((ticket, proof)) => Taken::Believed(ticket, proof),
            Err(refusal) => Taken::Refused(refusal),
        }
    }

    /// Leaves the ticket in the vault's folder `dir` for its keeper, with a MAC by `identity`, or without
    /// one where root leaves it. It replaces an earlier one. Others may read it, so that the keeper can
    /// read root's: the folder is closed to them.
    ///
    /// # Errors
    /// `Failed` when the folder cannot be written, `Broken` when something else is in its place.
    pub fn leave(&self, dir: &Path, identity: Option<&Identity>) -> Result<()> {
        file::replace_beside(&dir.join(NAME), &self.render(identity)?, 0o644)
    }

    fn render(&self, identity: Option<&Identity>) -> Result<Vec<u8>> {
        let wire = Wire {
            format: FORMAT.into(),
            version: VERSION,
            challenge: self.challenge.to_string().into(),
            ids: match &self.ids {
                Ids::All => None,
                Ids::Some(ids) => Some(ids.iter().map(|id| id.as_str().into()).collect()),
            },
            made_at: self.made_at,
        };
        let mut text = serde_json::to_vec(&wire)
            .map_err(|_| Error::failed(format!("{NAME} cannot be written as JSON")))?;
        let mac = identity
            .map(|identity| identity.sign(MAC_CONTEXT, &text))
            .transpose()?;
        text.push(b'\n');
        if let Some(mac) = mac {
            text.extend_from_slice(format!("{{\"mac\":\"{}\"}}\n", hex(&mac)).as_bytes());
        }
        if text.len() > MAX {
            return Err(Error::failed("more ids are named than a ticket can hold"));
        }
        Ok(text)
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let wire: Wire<'_> = serde_json::from_slice(line).ok()?;
        if wire.format != FORMAT || wire.version != VERSION {
            return None;
        }
        let ids = match wire.ids {
            None => Ids::All,
            Some(ids) => Ids::Some(
                ids.iter()
                    .map(|id| RefId::parse(id))
                    .collect::<Option<_>>()?,
            ),
        };
        Some(Ticket {
            challenge: Challenge::parse(&wire.challenge)?,
            ids,
            made_at: wire.made_at,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    format: Cow<'a, str>,
    version: u32,
    #[serde(borrow)]
    challenge: Cow<'a, str>,
    /// A list that is not there must not mean "all".
    #[serde(deserialize_with = "Option::deserialize")]
    ids: Option<Vec<Cow<'a, str>>>,
    made_at: Millis,
}

/// Decides on the bytes of a ticket.
fn judge(
    bytes: &[u8],
    is_roots: bool,
    challenge: &Challenge,
    identity: &Identity,
) -> std::result::Result<(Ticket, Proof), Refusal> {
    let (line, mac) = lines(bytes).ok_or(Refusal::NotATicket)?;
    let ticket = Ticket::parse(line).ok_or(Refusal::NotATicket)?;
    if ticket.challenge != *challenge {
        return Err(Refusal::OldChallenge);
    }
    match mac {
        // A wrong MAC is not mended by an owner.
        Some(said) => match identity.signed(MAC_CONTEXT, line, &said) {
            Ok(true) => Ok((ticket, Proof::Mac)),
            _ => Err(Refusal::NotProven),
        },
        None if is_roots => Ok((ticket, Proof::Root)),
        None => Err(Refusal::NotProven),
    }
}

/// Line 1 without its newline, and the MAC of line 2 where there is one; nothing else.
fn lines(bytes: &[u8]) -> Option<(&[u8], Option<[u8; 32]>)> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
    if rest.is_empty() {
        return Some((line, None));
    }
    let digits = rest.strip_prefix(b"{\"mac\":\"")?.strip_suffix(b"\"}\n")?;
    let mac = unhex(std::str::from_utf8(digits).ok()?)?;
    Some((line, Some(mac)))
}

#[cfg(unix)]
fn is_roots(me: u32, meta: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    proves_root(me, meta.uid(), meta.nlink(), meta.mode())
}

/// There is no root.
#[cfg(not(unix))]
fn is_roots(_: u32, _: &std::fs::Metadata) -> bool {
    false
}

/// Whether a file's owner, number of names and mode prove to the keeper, which runs as `me`, that root
/// meant it to be there.
#[cfg(unix)]
fn proves_root(me: u32, owner: u32, names: u64, mode: u32) -> bool {
    me != 0 && owner == 0 && names == 1 && mode & 0o022 == 0
}

#[cfg(test)]
#[path = "ticket_tests.rs"]
mod tests;
