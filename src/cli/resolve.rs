//! `resolve`: OpenClaw's hot path. Ring 4.
//!
//! Promise: never prompts, spawns nothing, uses no network; answers every id of the batch and exits 0
//! when it could answer at all. It needs no environment. What it notes on the side never makes it
//! fail.

use super::app::{App, items_id};
use super::args::Resolve as Args;
use super::record::{self, LinkRecord};
use crate::error::{Error, Kind, Result};
use crate::expiry::Millis;
use crate::keychain::OsKeychain;
use crate::openclaw::exec::{Answer, MAX_REQUEST, Request, answer};
use crate::openclaw::profiles::ProfilesFile;
use crate::openclaw::select::candidates;
use crate::provider::{AgentId, ProviderId};
use crate::secret::{SELECTION_PREFIX, Secret, SecretId};
use crate::store::{Meta, Resolve};
use crate::vault::cache::Custody;
use crate::vault::items::KeychainStore;
use crate::vault::unlock::Keys;
use crate::vault::{Found, Vault};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// What one id of the request asks for.
enum Wanted {
    One(SecretId),
    /// A provider's profiles, the next one first.
    Selection(ProviderId, Vec<SecretId>),
    Nothing,
}

/// What the vault gave.
type Entries = BTreeMap<SecretId, std::result::Result<(Secret, Meta), Kind>>;

/// Runs `resolve`.
pub fn run(app: &App, args: &Args) -> Result<()> {
    let mut bytes = Vec::with_capacity(4096);
    std::io::stdin()
        .lock()
        .take(MAX_REQUEST as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("read", std::path::Path::new("stdin"), &error))?;
    let request = Request::parse(&bytes)?;
    let now = app.host.now();
    let read = OnceCell::new();
    let profiles = || read.get_or_init(|| profiles_of_main(app)).as_ref();
    let wanted: BTreeMap<&str, Wanted> = request
        .ids()
        .iter()
        .map(|id| (id.as_str(), wanted(id, profiles, now)))
        .collect();
    let ids: BTreeSet<SecretId> = wanted
        .values()
        .flat_map(|wanted| match wanted {
            Wanted::One(id) => std::slice::from_ref(id).iter(),
            Wanted::Selection(_, ids) => ids.iter(),
            Wanted::Nothing => [].iter(),
        })
        .cloned()
        .collect();
    let mut entries = fetch(app, &ids);
    if let Err(error) = &entries {
        // For whoever runs it by hand; OpenClaw shows codes alone.
        app.ui.error(error);
    }
    let out = answer(&request, args.max_output, |id| {
        match (&mut entries, wanted.get(id)) {
            (_, None | Some(Wanted::Nothing)) => Answer::Invalid,
            (Err(error), Some(_)) => failure(error.kind()),
            (Ok(entries), Some(Wanted::One(id))) => take(entries, id),
            (Ok(entries), Some(Wanted::Selection(provider, ids))) => {
                select(entries, provider, ids, now)
            }
        }
    });
    app.ui.raw(&out)
}

fn wanted<'p>(text: &str, profiles: impl Fn() -> Option<&'p ProfilesFile>, now: Millis) -> Wanted {
    if let Some(name) = text.strip_prefix(SELECTION_PREFIX) {
        return match ProviderId::parse(name) {
            // `provider/X-AI` is not how our refs spell it.
            Ok(provider) if provider.as_str() == name => {
                let ids = profiles().map_or_else(Vec::new, |file| selection(file, &provider, now));
                Wanted::Selection(provider, ids)
            }
            _ => Wanted::Nothing,
        };
    }
    SecretId::parse(text).map_or(Wanted::Nothing, Wanted::One)
}

/// The profiles of agent `main`, read once for however many providers a batch asks for. Where the file
/// cannot be read there is no order, and so no candidate: an answer by guess could use the wrong
/// account.
fn profiles_of_main(app: &App) -> Option<ProfilesFile> {
    let link = LinkRecord::load(&app.dir).ok().flatten();
    record::load_profiles(&app.dir, link.as_ref(), &AgentId::main()).ok()
}

/// The profiles of `provider` in the order that the agent would use them.
pub fn selection(file: &ProfilesFile, provider: &ProviderId, now: Millis) -> Vec<SecretId> {
    candidates(file, provider, now)
        .into_iter()
        .filter_map(|profile| SecretId::parse(&profile.reference?.id).ok())
        .collect()
}

fn fetch(app: &App, ids: &BTreeSet<SecretId>) -> Result<Entries> {
    let keychain = OsKeychain::new(&app.host);
    match app.find()? {
        Found::Vault(Custody::File) => {
            // Nobody is there: a passphrase slot is absent.
            let ask = |_: &crate::vault::slot::SlotName| Ok(None);
            let keys = Keys {
                host: &app.host,
                keychain: &keychain,
                ask: &ask,
                pins: &app.pins,
                accept_rollback: false,
            };
            let picked = Vault::pick(&app.dir, &keys, ids)?;
            Ok(picked
                .entries
                .into_iter()
                .map(|(id, entry)| (id, Ok((entry.value, entry.meta))))
                .collect())
        }
        Found::Vault(Custody::Keychain) => {
            let store = KeychainStore::new(Box::new(keychain), items_id(&app.dir, &app.pins)?);
            let mut entries = Entries::new();
            for id in ids {
                match store.get(id) {
                    Ok(Some(found)) => {
                        entries.insert(id.clone(), Ok(found));
                    }
                    Ok(None) => {}
                    // A keychain that does not answer one id answers none: 512 time-outs would be
                    // minutes.
                    Err(error) if matches!(error.kind(), Kind::Locked | Kind::Missing) => {
                        return Err(error.as_kind(Kind::Locked));
                    }
                    Err(error) => {
                        entries.insert(id.clone(), Err(error.kind()));
                    }
                }
            }
            Ok(entries)
        }
        Found::Nothing => Err(Error::missing(format!(
            "there is no vault in {}",
            app.dir.display()
        ))
        .hint("clawkeep onboard")),
    }
}

fn failure(kind: Kind) -> Answer {
    if kind == Kind::Locked {
        Answer::Locked
    } else {
        Answer::Broken
    }
}

/// An id is answered once, so its value can move out.
fn take(entries: &mut Entries, id: &SecretId) -> Answer {
    match entries.get(id) {
        None => Answer::Absent,
        Some(Err(kind)) => failure(*kind),
        Some(Ok((value, _))) => copy(value),
    }
}

/// The first candidate that the vault itself says belongs to the provider: an edited
/// auth-profiles.json can choose among one provider's own profiles, no more. One that the vault knows
/// to be expired comes after those that are not; when all are, the first in order is answered.
fn select(entries: &Entries, provider: &ProviderId, ids: &[SecretId], now: Millis) -> Answer {
    let own = |id: &&SecretId| match entries.get(*id) {
        Some(Ok((_, meta))) => meta.provider.as_ref() == Some(provider),
        Some(Err(_)) => true,
        None => false,
    };
    let fresh = |id: &&SecretId| match entries.get(*id) {
        Some(Ok((_, meta))) => meta.expires.is_none_or(|at| at > now),
        _ => false,
    };
    let chosen = ids
        .iter()
        .filter(own)
        .find(fresh)
        .or_else(|| ids.iter().find(own));
    match chosen.and_then(|id| entries.get(id)) {
        None => Answer::Absent,
        Some(Err(kind)) => failure(*kind),
        Some(Ok((value, _))) => copy(value),
    }
}

/// A selection and its profile may both be asked for in one batch, so values are copied.
#[allow(
    clippy::disallowed_methods,
    reason = "door: the value on its way to the answer"
)]
fn copy(value: &Secret) -> Answer {
    use secrecy::ExposeSecret;
    Secret::stored(value.expose_secret()).map_or(Answer::Broken, Answer::Value)
}
