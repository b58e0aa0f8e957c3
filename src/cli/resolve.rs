//! `resolve`: OpenClaw's hot path. Ring 4.
//!
//! Promise: never prompts, spawns nothing, uses no network; answers every id of the batch and exits 0
//! when it could answer at all. It needs no environment. What it notes on the side never makes it
//! fail.

use super::app::{items_id, vault_dir};
use super::args::{Global, Resolve as Args};
use super::choice::{Batch, Entries, failure};
use super::log;
use super::ui::Ui;
use crate::access::{Outcome, Reason, Writer};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::keeper::client::Place;
use crate::keeper::wire::{Answer as Told, Given, Question};
use crate::keychain::OsKeychain;
use crate::openclaw::exec::{Answer, MAX_REQUEST, Request, answer};
use crate::secret::SecretId;
use crate::store::Resolve;
use crate::vault::cache::Custody;
use crate::vault::id::VaultId;
use crate::vault::items::KeychainStore;
use crate::vault::unlock::Keys;
use crate::vault::{self, Found, Vault};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

/// Runs `resolve`.
pub fn run(host: &Host, ui: Ui, global: &Global, args: &Args) -> Result<()> {
    let mut bytes = Vec::with_capacity(4096);
    std::io::stdin()
        .lock()
        .take(MAX_REQUEST as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("read", Path::new("stdin"), &error))?;
    let request = Request::parse(&bytes)?;
    let pins = global.pins()?;
    let asked = match &args.keeper {
        Some(socket) => {
            let place = Place {
                socket: socket.clone(),
                uid: args
                    .keeper_user
                    .unwrap_or_else(crate::keeper::socket::own_uid),
                required: true,
            };
            ask(&place, &pins, &request).map(Option::unwrap_or_default)
        }
        None => Ok(from_vault(
            host,
            ui,
            &vault_dir(host, global)?,
            &pins,
            &request,
        )),
    };
    let mut given: BTreeMap<&str, Given> = match asked {
        Ok(given) => request
            .ids()
            .iter()
            .map(String::as_str)
            .zip(given)
            .collect(),
        Err(error) => {
            // For whoever runs it by hand; OpenClaw shows codes alone.
            ui.error(&error);
            let ids = request.ids().iter().map(String::as_str);
            ids.map(|id| (id, failure(error.kind()))).collect()
        }
    };
    let out = answer(&request, args.max_output, |id| match given.remove(id) {
        Some(Given::Value(value)) => Answer::Value(value),
        Some(Given::Absent) => Answer::Absent,
        Some(Given::Locked) => Answer::Locked,
        Some(Given::Invalid) => Answer::Invalid,
        Some(Given::Broken) | None => Answer::Broken,
    });
    ui.raw(&out)
}

/// The keeper's answers, in the order of the ids; `None` when there is none and the vault opens
/// without.
fn ask(place: &Place, pins: &[VaultId], request: &Request) -> Result<Option<Vec<Given>>> {
    let Some(mut keeper) = place.connect()? else {
        return Ok(None);
    };
    let question = Question::Resolve {
        pins: pins.to_vec(),
        ids: request.ids().to_vec(),
        challenge: None,
    };
    match keeper.ask(question)? {
        Told::Answers(given) if given.len() == request.ids().len() => Ok(Some(given)),
        _ => Err(Error::broken(
            "the keeper answered something else than it was asked",
        )),
    }
}

fn from_vault(host: &Host, ui: Ui, dir: &Path, pins: &[VaultId], request: &Request) -> Vec<Given> {
    let now = host.now();
    let asked = Place::of(dir).and_then(|place| ask(&place, pins, request));
    // What a keeper gives or refuses it notes itself.
    if let Ok(Some(given)) = asked {
        return given;
    }
    let ids = request.ids().iter().map(String::as_str);
    let batch = Batch::read(dir, ids, now);
    let entries = asked.and_then(|_| fetch(host, dir, pins, &batch.needed()));
    if let Err(error) = &entries {
        // For whoever runs it by hand; OpenClaw shows codes alone.
        ui.error(error);
    }
    let given = batch.answers(&entries);
    // Before the values go out: a release that nobody wrote down is worse than one that was written
    // down and then did not fit or found its reader gone.
    if !matches!(&entries, Err(error) if error.kind() == Kind::Missing) {
        let outcomes = given.iter().map(outcome);
        let ids = request.ids().iter().map(String::as_str);
        let results: Vec<_> = ids.zip(outcomes).collect();
        log::note(dir, now, Writer::Resolve, &results);
    }
    given
}

/// What the access log says of an answer.
pub fn outcome(given: &Given) -> Outcome {
    match given {
        Given::Value(_) => Outcome::Released,
        Given::Absent => Outcome::Absent,
        Given::Locked => Outcome::Locked,
        Given::Broken => Outcome::Broken,
        Given::Invalid => Outcome::Refused(Reason::BadId),
    }
}

fn fetch(host: &Host, dir: &Path, pins: &[VaultId], ids: &BTreeSet<SecretId>) -> Result<Entries> {
    let keychain = OsKeychain::new(host);
    match vault::find(dir)? {
        Found::Vault(Custody::File) => {
            // Nobody is there: a passphrase slot is absent.
            let ask = |_: &crate::vault::slot::SlotName| Ok(None);
            let keys = Keys {
                host,
                keychain: &keychain,
                ask: &ask,
                pins,
                accept_rollback: false,
            };
            let picked = Vault::pick(dir, &keys, ids)?;
            Ok(picked
                .entries
                .into_iter()
                .map(|(id, entry)| (id, Ok((entry.value, entry.meta))))
                .collect())
        }
        Found::Vault(Custody::Keychain) => {
            let store = KeychainStore::new(Box::new(keychain), items_id(dir, pins)?);
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
        Found::Nothing => Err(vault::none_in(dir)),
    }
}
