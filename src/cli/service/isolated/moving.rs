//! The vault's way from one user to another. Ring 4.
//!
//! Two children, one of each user, and root between them, which hands the bytes on: `service hand`
//! opens the vault and writes it to its output, `service take` reads it from its input, makes the new
//! vault (or adds to the one that a cut-off run made), reads it back and compares.
//!
//! ```text
//! to hand   key
//! to take   order (JSON) | key | passphrase | vault | files (JSON)       each: u32 BE length, bytes
//! from hand                                   vault | files (JSON) | digest of the vault's file
//! ```
//!
//! An empty `key` is none: then the vault opens by its own slots, and a person may be asked. An empty
//! `vault` is none: then only the slots are put right.

use super::handed::Handed;
use crate::cli::app::{App, to_passphrase};
use crate::cli::pins;
use crate::cli::record::{self, LinkRecord};
use crate::cli::service::child::{GRACE, end};
use crate::cli::service::patient::{PERSON, Patient};
use crate::error::{Error, Kind, Result};
use crate::file::{self, LOCK_WAIT, Lock, Privacy};
use crate::host;
use crate::keeper::pointer::Pointer;
use crate::keeper::socket;
use crate::openclaw::profiles::ProfilesFile;
use crate::provider::AgentId;
use crate::vault::argon::Cost;
use crate::vault::identity::{Identity, IdentityText, Recipient};
use crate::vault::making::Parcel;
use crate::vault::rekey::{Doors, SlotPlan, plant};
use crate::vault::slot::{self, SlotKind, SlotName};
use crate::vault::{self, Found, NewVault, Vault};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command};
use zeroize::Zeroizing;

/// The largest frame: a vault at its bound, in plain.
const MAX_FRAME: usize = 256 * 1024 * 1024;

/// The largest auth-profiles.json or link.json that moves.
const MAX_FILE: usize = 8 * 1024 * 1024;

/// What the new vault is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its slot for whom it starts with nobody there.
    pub slot: OrderedSlot,
    /// What its readers are sent to.
    pub pointer: Option<Pointer>,
    /// Whether the link is noted there.
    pub link: bool,
    /// Whether it is there already, and must open by the key that comes along, without anybody.
    pub by_key: bool,
}

/// A slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderedSlot {
    /// `service`: for this key, which the service finds at this path.
    Service(PathBuf, Recipient),
    /// `identity-file`, where it lies by default.
    IdentityFile,
}

/// What is not secret and moves along.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Files {
    /// auth-profiles.json of each agent.
    profiles: BTreeMap<String, String>,
    link: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The new vault's id.
    pub id: String,
    /// How many secrets were handed over and compared.
    pub secrets: usize,
    /// Whether it was made now.
    pub made: bool,
}

fn cut() -> Error {
    Error::broken("the vault was not handed over whole; the old one is untouched")
}

fn put(to: &mut impl Write, frame: &[u8]) -> Result<()> {
    let length = u32::try_from(frame.len()).map_err(|_| cut())?;
    to.write_all(&length.to_be_bytes())
        .and_then(|()| to.write_all(frame))
        .and_then(|()| to.flush())
        .map_err(|_| cut())
}

fn get(from: &mut impl Read) -> Result<Zeroizing<Vec<u8>>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).map_err(|_| cut())?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Err(cut());
    }
    let mut frame = Zeroizing::new(vec![0; length]);
    from.read_exact(&mut frame).map_err(|_| cut())?;
    Ok(frame)
}

/// Runs the hidden command that gives a vault.
///
/// # Errors
/// `Locked` when it does not open; `Broken` when nobody takes it.
pub fn hand(app: &App) -> Result<()> {
    use std::io::IsTerminal;
    if std::io::stdout().is_terminal() {
        return Err(Error::usage(
            "this is a part of clawkeep service install, and writes no vault to a terminal",
        ));
    }
    let key = get(&mut std::io::stdin().lock())?;
    if !vault::undo::list(&app.dir)?.is_empty() {
        return Err(Error::failed(
            "undo bundles of migrations lie beside the vault, which would stay behind",
        )
        .hint("clawkeep migrate --forget all"));
    }
    let before = Handed::of(&app.dir)?;
    let vault = open(app, &key)?;
    let handed = Handed::of(&app.dir)?
        .filter(|now| Some(now) == before.as_ref())
        .ok_or_else(|| {
            Error::failed("the vault was written to while it was opened; run it again")
        })?;
    let mut files = Files::default();
    for agent in record::agents(&app.dir, None) {
        let path = record::own_profiles_path(&app.dir, &agent);
        let there = file::absent_is_none(file::read(&path, MAX_FILE, Privacy::Private))?.flatten();
        if let Some(bytes) = there {
            files.profiles.insert(agent.to_string(), text(&bytes)?);
        }
    }
    let link = app.dir.join("link.json");
    let link = file::absent_is_none(file::read(&link, MAX_FILE, Privacy::Private))?.flatten();
    files.link = link.map(|bytes| text(&bytes)).transpose()?;
    let files = serde_json::to_vec(&files).map_err(|_| cut())?;
    let mut framed = Zeroizing::new(Vec::new());
    let handed = handed.to_string();
    for frame in [Parcel::of(&vault)?.bytes(), &files, handed.as_bytes()] {
        framed.reserve_exact(frame.len() + 4);
        put(&mut *framed, frame)?;
    }
    app.ui.raw(&framed)
}

fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Error::broken("a file of the vault is not text"))
}

/// By the key where there is one, otherwise by what opens the vault here.
fn open(app: &App, key: &[u8]) -> Result<Vault> {
    if key.is_empty() {
        return app.open_left_behind();
    }
    let key = IdentityText::parse(key)?.identity;
    match Vault::open_with_key(&app.dir, &app.host, &key) {
        // A key that was lost and made anew: then a person's slot.
        Err(error) if error.kind() == Kind::Locked => app.open_left_behind(),
        other => other,
    }
}

/// Runs the hidden command that takes a vault.
///
/// # Errors
/// `Broken` when it did not arrive whole, or is not kept as it was.
pub fn take(app: &App) -> Result<()> {
    let mut input = std::io::stdin().lock();
    let order: Order = serde_json::from_slice(&get(&mut input)?).map_err(|_| cut())?;
    let key = get(&mut input)?;
    let passphrase = get(&mut input)?;
    let line = get(&mut input)?;
    let files: Files = serde_json::from_slice(&get(&mut input)?).map_err(|_| cut())?;
    let parcel = if line.is_empty() {
        None
    } else {
        Some(Parcel::read(line)?)
    };
    let passphrase = if passphrase.is_empty() {
        None
    } else {
        let cost = Cost::for_memory(host::memory_available());
        Some((to_passphrase(&passphrase)?, cost))
    };
    file::private_dir(&app.dir)?;
    let plans = plans(app, &order.slot, passphrase)?;
    let (vault, made) = match (vault::find(&app.dir)?, &parcel) {
        (Found::Nothing, Some(parcel)) => (make(app, parcel, plans)?, true),
        (Found::Nothing, None) => {
            return Err(Error::missing(format!(
                "there is no vault in {}, and none to be put there",
                app.dir.display()
            )));
        }
        (Found::Vault(_), _) if order.by_key => {
            let key = IdentityText::parse(&key)?.identity;
            (Vault::open_with_key(&app.dir, &app.host, &key)?, false)
        }
        (Found::Vault(_), parcel) => (add(app, &key, parcel.as_ref(), plans)?, false),
    };
    if let Some(parcel) = &parcel {
        vault.prove_has(parcel)?;
    }
    keep(app, &order, &files, parcel.is_some())?;
    let taken = Taken {
        id: vault.id().to_string(),
        secrets: parcel.as_ref().map_or(Ok(0), Parcel::count)?,
        made,
    };
    let taken = serde_json::to_vec(&taken).map_err(|_| cut())?;
    app.ui.raw(&taken)
}

/// The slots, the one without a person first.
fn plans(
    app: &App,
    slot: &OrderedSlot,
    passphrase: Option<(secrecy::SecretString, Cost)>,
) -> Result<Vec<(SlotName, SlotPlan)>> {
    let first = match slot {
        OrderedSlot::Service(path, recipient) => {
            if !slot::is_credential(path) {
                return Err(Error::broken("that is no credential of a service"));
            }
            let plan = SlotPlan::Recipient(path.clone(), recipient.clone());
            (SlotName::parse(crate::cli::service::side::SLOT)?, plan)
        }
        OrderedSlot::IdentityFile => (
            SlotName::parse("identity-file")?,
            SlotPlan::IdentityFile(app.host.default_identity_file()?),
        ),
    };
    let mut plans = vec![first];
    if let Some((passphrase, cost)) = passphrase {
        plans.push((
            SlotName::parse("passphrase")?,
            SlotPlan::Passphrase(passphrase, cost),
        ));
    }
    Ok(plans)
}

fn make(app: &App, parcel: &Parcel, plans: Vec<(SlotName, SlotPlan)>) -> Result<Vault> {
    let lock = Lock::take(&app.dir.join("vault.lock"), LOCK_WAIT)?;
    let keychain = app.keychain();
    let doors = Doors {
        host: &app.host,
        keychain: &keychain,
    };
    let identity = Identity::generate();
    let slots = plans
        .into_iter()
        .map(|(name, plan)| plant(&app.dir, &identity, &name, plan, &doors))
        .collect::<Result<Vec<_>>>()?;
    let new = NewVault {
        identity,
        recovery: None,
        slots,
    };
    Vault::create_from(&app.dir, &app.host, parcel, new, &lock)
}

fn add(
    app: &App,
    key: &[u8],
    parcel: Option<&Parcel>,
    plans: Vec<(SlotName, SlotPlan)>,
) -> Result<Vault> {
    let mut vault = open(app, key)?;
    let keychain = app.keychain();
    let doors = Doors {
        host: &app.host,
        keychain: &keychain,
    };
    for (name, plan) in plans {
        let is_there = vault.contents().slots.iter().any(|slot| {
            slot.name == name
                && match (&slot.kind, &plan) {
                    (SlotKind::IdentityFile { path, recipient }, SlotPlan::Recipient(at, of)) => {
                        path == at && recipient == of
                    }
                    (SlotKind::IdentityFile { path, .. }, SlotPlan::IdentityFile(at)) => path == at,
                    _ => false,
                }
        });
        if !is_there {
            vault.add_slot(&name, plan, &doors)?;
        }
    }
    if let Some(parcel) = parcel {
        vault.take_over(parcel)?;
    }
    Ok(vault)
}

/// What lies beside the vault.
fn keep(app: &App, order: &Order, files: &Files, moved: bool) -> Result<()> {
    let dir = &app.dir;
    for (agent, text) in files.profiles.iter().filter(|_| moved) {
        let agent = AgentId::parse(agent)?;
        let path = record::own_profiles_path(dir, &agent);
        ProfilesFile::parse(text.as_bytes(), &path)?;
        if let Some(folder) = path.parent() {
            file::private_dir(folder)?;
        }
        file::replace(&path, text.as_bytes(), 0o600)?;
    }
    if let (true, true, Some(text)) = (moved, order.link, &files.link) {
        let record = LinkRecord::parse(text.as_bytes());
        // OpenClaw's own profile files are another user's from here.
        let mut record =
            record.ok_or_else(|| Error::broken("link.json is damaged").hint("clawkeep link"))?;
        record.profiles.clear();
        // Another user chose it, and here it would run as this one.
        record.command = app.host.program()?;
        // As OpenClaw will ask; nothing is pinned in a file of another user.
        if let Some(pointer) = &order.pointer {
            record.args = pins::keeper_args(&pointer.socket, socket::own_uid())?;
        }
        record.save(dir)?;
    }
    match &order.pointer {
        Some(pointer) => pointer.save(dir),
        None => Ok(()),
    }
}

/// What root gives along with the vault.
pub struct Along<'a> {
    /// What the new vault is to be.
    pub order: &'a Order,
    /// The key that opens the vault that is handed over; empty where it opens by itself.
    pub from: &'a [u8],
    /// The same of the one that takes, where it is there already.
    pub to: &'a [u8],
    /// The new passphrase of a person; empty for none.
    pub passphrase: &'a [u8],
}

/// Runs both ends, and hands on what goes between them. Without `hand` only the slots are put right.
///
/// Which vault was handed over comes back too.
///
/// # Errors
/// `Failed` when one of the two ended badly; what it said has been shown by then.
pub fn carry(
    hand: Option<Command>,
    mut take: Command,
    along: &Along<'_>,
) -> Result<(Taken, Option<Handed>)> {
    let start = |command: &mut Command| {
        command.spawn().map_err(|error| {
            Error::failed(format!(
                "cannot run this program as another user: {}",
                error.kind()
            ))
            .hint("put it where everybody can run it: sudo install -m 755 clawkeep /usr/local/bin/")
        })
    };
    let ended = |mut child: Child, who: &str| match end(&mut child, GRACE) {
        Some(status) if status.success() => Ok(()),
        _ => Err(Error::failed(format!(
            "the vault was not {who}; nothing of the old one was changed"
        ))),
    };
    // The whole vault first: the taker sees nothing of one that was cut off.
    let mut framed = Zeroizing::new(Vec::new());
    let mut handed = None;
    if let Some(mut hand) = hand {
        let mut child = start(&mut hand)?;
        if let Some(mut input) = child.stdin.take() {
            put(&mut input, along.from)?;
        }
        let heard = child.stdout.take().map(|output| {
            let mut output = Patient::new(output, PERSON);
            let line = get(&mut output)?;
            Ok::<_, Error>((line, get(&mut output)?, get(&mut output)?))
        });
        ended(child, "handed over")?;
        let (line, files, digest) = heard.ok_or_else(cut)??;
        let digest = std::str::from_utf8(&digest).ok().and_then(Handed::parse);
        handed = Some(digest.ok_or_else(cut)?);
        framed.reserve_exact(line.len() + files.len() + 8);
        put(&mut *framed, &line)?;
        put(&mut *framed, &files)?;
    } else {
        put(&mut *framed, &[])?;
        put(&mut *framed, b"{\"profiles\":{},\"link\":null}")?;
    }
    let order = serde_json::to_vec(along.order).map_err(|_| cut())?;
    let mut child = start(&mut take)?;
    let sent = child.stdin.take().map(|mut input| {
        put(&mut input, &order)?;
        put(&mut input, along.to)?;
        put(&mut input, along.passphrase)?;
        input.write_all(&framed).map_err(|_| cut())
    });
    drop(framed);
    let mut said = Vec::new();
    let heard = child.stdout.take().map(|output| {
        Patient::new(output, PERSON)
            .take(4096)
            .read_to_end(&mut said)
    });
    ended(child, "taken")?;
    sent.ok_or_else(cut)??;
    match heard {
        Some(Ok(_)) => {
            let taken = serde_json::from_slice(&said).map_err(|_| cut())?;
            Ok((taken, handed))
        }
        _ => Err(cut()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_is_cut_or_too_large_is_an_error() {
        let mut whole = Vec::new();
        put(&mut whole, b"abc").unwrap();
        assert_eq!(get(&mut whole.as_slice()).unwrap().as_slice(), b"abc");
        for length in 0..whole.len() {
            assert!(get(&mut &whole[..length]).is_err(), "{length}");
        }
        assert!(get(&mut [0xff; 8].as_slice()).is_err());
    }
}
