//! Which stored value an id of a request means. Ring 4; `resolve` and the keeper ask it.
//!
//! Promise: a selection id yields only what the vault itself says is that provider's: an edited
//! auth-profiles.json can choose among one provider's own profiles, no more.

use super::record::{self, LinkRecord};
use crate::error::{Kind, Result};
use crate::expiry::Millis;
use crate::keeper::wire::Given;
use crate::openclaw::profiles::ProfilesFile;
use crate::openclaw::select::candidates;
use crate::provider::{AgentId, ProviderId};
use crate::secret::{SELECTION_PREFIX, Secret, SecretId};
use crate::store::Meta;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What one id of a request asks for.
pub enum Wanted {
    /// This value.
    One(SecretId),
    /// A provider's profiles, the next one first.
    Selection(ProviderId, Vec<SecretId>),
    /// It can be the name of nothing.
    Nothing,
}

/// What a vault gave.
pub type Entries = BTreeMap<SecretId, std::result::Result<(Secret, Meta), Kind>>;

/// The ids of one request, read.
pub struct Batch {
    wanted: Vec<Wanted>,
    now: Millis,
}

impl Batch {
    /// Reads the ids of a request to the vault in `dir`. auth-profiles.json is read once for however
    /// many providers a batch asks for. Where it cannot be read there is no order, and so no
    /// candidate: an answer by guess could use the wrong account.
    pub fn read<'i>(dir: &Path, ids: impl Iterator<Item = &'i str>, now: Millis) -> Self {
        let read = OnceCell::new();
        let profiles = || read.get_or_init(|| profiles_of_main(dir)).as_ref();
        Batch {
            wanted: ids.map(|id| wanted(id, profiles, now)).collect(),
            now,
        }
    }

    /// The values that the answers may need.
    pub fn needed(&self) -> BTreeSet<SecretId> {
        self.wanted
            .iter()
            .flat_map(|wanted| match wanted {
                Wanted::One(id) => std::slice::from_ref(id).iter(),
                Wanted::Selection(_, ids) => ids.iter(),
                Wanted::Nothing => [].iter(),
            })
            .cloned()
            .collect()
    }

    /// The answers, in the order of the ids.
    pub fn answers(&self, entries: &Result<Entries>) -> Vec<Given> {
        let answer = |wanted: &Wanted| match (entries, wanted) {
            (_, Wanted::Nothing) => Given::Invalid,
            (Err(error), _) => failure(error.kind()),
            (Ok(entries), Wanted::One(id)) => given(entries.get(id)),
            (Ok(entries), Wanted::Selection(provider, ids)) => {
                select(entries, provider, ids, self.now)
            }
        };
        self.wanted.iter().map(answer).collect()
    }
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

fn profiles_of_main(dir: &Path) -> Option<ProfilesFile> {
    let link = LinkRecord::load(dir).ok().flatten();
    record::load_profiles(dir, link.as_ref(), &AgentId::main()).ok()
}

/// The profiles of `provider` in the order that the agent would use them.
pub fn selection(file: &ProfilesFile, provider: &ProviderId, now: Millis) -> Vec<SecretId> {
    candidates(file, provider, now)
        .into_iter()
        .filter_map(|profile| SecretId::parse(&profile.reference?.id).ok())
        .collect()
}

/// The answer to an id that could not be had.
pub fn failure(kind: Kind) -> Given {
    if kind == Kind::Locked {
        Given::Locked
    } else {
        Given::Broken
    }
}

/// The first candidate that is the provider's own. One that the vault knows to be expired comes after
/// those that are not; when all are, the first in order is answered.
fn select(entries: &Entries, provider: &ProviderId, ids: &[SecretId], now: Millis) -> Given {
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
    given(chosen.and_then(|id| entries.get(id)))
}

/// A selection and its profile may both be asked for in one batch, so values are copied.
#[allow(
    clippy::disallowed_methods,
    reason = "door: the value on its way to the answer"
)]
fn given(entry: Option<&std::result::Result<(Secret, Meta), Kind>>) -> Given {
    use secrecy::ExposeSecret;
    match entry {
        None => Given::Absent,
        Some(Err(kind)) => failure(*kind),
        Some(Ok((value, _))) => {
            Secret::stored(value.expose_secret()).map_or(Given::Broken, Given::Value)
        }
    }
}
