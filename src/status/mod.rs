//! Which credential of each provider is used, whether it is healthy, and what `--check` makes of it. Ring 3;
//! pure: what was gathered in, an answer out; never a value.
//!
//! Source: OpenClaw 2026.6.1 and 2026.9.6, `src/commands/models/list.status-command.ts` (what is missing, and
//! the exit codes of `--check`) and `src/agents/auth-health.ts` (the states of a profile and a provider).
//!
//! Where this says more than OpenClaw: a reference that does not resolve is a failure, and a provider whose
//! one reference in openclaw.json stands for several profiles has their expiry.

mod health;
mod verdict;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_elsewhere;

pub use health::{Health, ProfileHealth};
pub use verdict::{Cause, Proof, Verdict};

use crate::expiry::Millis;
use crate::openclaw::custom::Key;
use crate::openclaw::elsewhere::{Answer, Elsewhere, Holder};
use crate::openclaw::profiles::Profile;
use crate::openclaw::select::{Candidate, Selection, is_same_account};
use crate::provider::{ProfileId, ProviderId};

/// A variable of a provider that has a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Where it is set, for people: `the environment`, a file.
    pub place: String,
    /// Whether it is read as a token of a login.
    pub is_login: bool,
}

/// What was gathered of one provider.
#[derive(Debug, Clone)]
pub struct ProviderFacts {
    /// Its name.
    pub id: ProviderId,
    /// Its profiles, as OpenClaw would try them.
    pub selection: Selection,
    /// The profile that a selection id is answered with when none is tried.
    pub stand_in: Option<ProfileId>,
    /// Whether one reference in openclaw.json stands for all of them.
    pub selects: bool,
    /// The first of its variables that has a value.
    pub variable: Option<Variable>,
    /// What stands in the place of its key in openclaw.json.
    pub key: Option<Key>,
    /// Whether the variable that stands there has a value.
    pub key_is_set: bool,
    /// Whether a reference in openclaw.json comes before everything else: from 2026.9.6.
    pub config_first: bool,
}

/// What the models in use depend on.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Now.
    pub now: Millis,
    /// What expires within so many milliseconds is expiring.
    pub warn_within: i64,
    /// Every provider that has a profile, a variable or a key, or is in use.
    pub providers: Vec<ProviderFacts>,
    /// The providers of the models in use; empty when none is named.
    pub used: Vec<ProviderId>,
    /// What came of asking for the references.
    pub proof: Proof,
    /// What came of those that others answer, sorted by where they stand: profiles first.
    pub elsewhere: Vec<Elsewhere>,
    /// Whether to fail without a proof.
    pub requires_proof: bool,
}

/// What OpenClaw's own status calls the source of a provider's credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effective {
    /// Its store of profiles.
    Profiles,
    /// A variable.
    Env,
    /// `models.providers.<p>.apiKey`.
    Config,
    /// Nothing.
    Missing,
}

impl Effective {
    /// OpenClaw's word.
    pub fn name(self) -> &'static str {
        match self {
            Effective::Profiles => "profiles",
            Effective::Env => "env",
            Effective::Config => "models.json",
            Effective::Missing => "missing",
        }
    }
}

/// What a request is made with now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Winner {
    /// This profile.
    Profile(ProfileId),
    /// The variable.
    Variable,
    /// What stands in openclaw.json.
    Config,
    /// Nothing.
    Nothing,
}

/// What a variable, or a key in openclaw.json, is beside the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is used now.
    Used,
    /// It is used, and a reference of ours in openclaw.json is not.
    Shadows,
    /// It is used when no profile can be.
    Fallback,
    /// It is not used: something comes before it.
    Shadowed,
}

impl Role {
    /// A stable word.
    pub fn name(self) -> &'static str {
        match self {
            Role::Used => "used",
            Role::Shadows => "shadows",
            Role::Fallback => "fallback",
            Role::Shadowed => "shadowed",
        }
    }
}

/// One provider.
#[derive(Debug, Clone)]
pub struct Provider {
    /// What was gathered.
    pub facts: ProviderFacts,
    /// The health of each candidate, in the same order; `None` for one that is only named.
    pub profiles: Vec<Option<ProfileHealth>>,
    /// The whole.
    pub health: Health,
    /// The earliest expiry of those that count.
    pub expires: Option<Millis>,
    /// The source by OpenClaw's words.
    pub effective: Effective,
    /// What a request is made with.
    pub winner: Winner,
    /// Whether a model in use is of it.
    pub is_used: bool,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct Report {
    /// When it was made.
    pub now: Millis,
    /// Every provider, sorted.
    pub providers: Vec<Provider>,
    /// Providers in use that have no credential that can be used, sorted.
    pub missing: Vec<ProviderId>,
    /// What `--check` answers.
    pub verdict: Verdict,
    /// What came of asking for the references.
    pub proof: Proof,
    /// What came of those that others answer, sorted by where they stand.
    pub elsewhere: Vec<Elsewhere>,
}

/// Makes the answer.
pub fn report(facts: Facts) -> Report {
    let Facts {
        now,
        warn_within,
        providers,
        used,
        proof,
        elsewhere,
        requires_proof,
    } = facts;
    let names_none = used.is_empty();
    let mut providers: Vec<Provider> = providers
        .into_iter()
        .map(|facts| {
            let is_used = if names_none {
                facts.own_profiles().next().is_some()
            } else {
                used.contains(&facts.id)
            };
            Provider::judge(facts, is_used, now, warn_within)
        })
        .collect();
    providers.sort_by(|a, b| a.facts.id.cmp(&b.facts.id));
    let missing: Vec<ProviderId> = providers
        .iter()
        .filter(|one| one.is_used && !one.is_usable())
        .map(|one| one.facts.id.clone())
        .collect();
    let mut verdict = Verdict::of(&providers, &missing, &proof, requires_proof);
    verdict.add(elsewhere.iter().filter_map(|one| {
        let one = one.clone();
        match &one.answer {
            Answer::Value => None,
            Answer::Nothing { .. } => Some(Cause::NoValue(one)),
            Answer::NotKnown { .. } => requires_proof.then_some(Cause::Unknown(one)),
        }
    }));
    Report {
        now,
        providers,
        missing,
        verdict,
        proof,
        elsewhere,
    }
}

impl Report {
    /// What came of the profile's reference, where somebody else answers it.
    pub fn elsewhere(&self, profile: &ProfileId) -> Option<&Answer> {
        let found = self.elsewhere.binary_search_by(|one| match &one.holder {
            Holder::Profile(id) => id.cmp(profile),
            Holder::Setting(_) => std::cmp::Ordering::Greater,
        });
        found.ok().map(|at| &self.elsewhere[at].answer)
    }
}

impl ProviderFacts {
    /// The stored profiles that it uses, another name's of the same account too.
    pub fn stored(&self) -> impl Iterator<Item = (&Candidate, &Profile)> {
        let all = self.selection.candidates.iter();
        all.filter_map(|one| Some((one, one.profile.as_deref()?)))
            .filter(|(_, profile)| is_same_account(&profile.provider, &self.id))
    }

    /// The stored profiles that name it.
    fn own_profiles(&self) -> impl Iterator<Item = &Profile> {
        self.stored()
            .map(|(_, profile)| profile)
            .filter(|profile| profile.provider == self.id)
    }

    /// The profiles that OpenClaw itself would list: those of a selection id are ours alone.
    pub fn listed_by_openclaw(&self) -> impl Iterator<Item = (&Candidate, &Profile)> {
        self.stored()
            .filter(|(_, profile)| !(self.selects && is_ours(profile)))
    }

    fn has_ref(&self) -> bool {
        matches!(
            self.key,
            Some(Key::Ours(_) | Key::Elsewhere(..) | Key::Variable(_))
        )
    }

    fn key_is_usable(&self) -> bool {
        match &self.key {
            Some(Key::Ours(_) | Key::Elsewhere(..) | Key::Plaintext) => true,
            Some(Key::Variable(_)) => self.key_is_set,
            Some(Key::Marker) | None => false,
        }
    }

    /// Whether something else than a profile can be used. The one reference that stands for the profiles is
    /// nothing else.
    fn has_other(&self) -> bool {
        self.variable.is_some() || (self.key_is_usable() && !self.selects)
    }

    fn effective(&self) -> Effective {
        let of_key = || match &self.key {
            Some(Key::Variable(_)) if self.key_is_set && self.config_first => Effective::Env,
            _ if self.key_is_usable() => Effective::Config,
            _ => Effective::Missing,
        };
        if self.config_first && self.has_ref() {
            of_key()
        } else if self.listed_by_openclaw().next().is_some() {
            Effective::Profiles
        } else if self.variable.is_some() {
            Effective::Env
        } else {
            of_key()
        }
    }
}

/// Whether the profile's value is one of ours.
pub fn is_ours(profile: &Profile) -> bool {
    let reference = profile.reference.as_ref();
    reference.is_some_and(crate::openclaw::reference::SecretRef::is_ours)
}

impl Provider {
    fn judge(facts: ProviderFacts, is_used: bool, now: Millis, warn_within: i64) -> Self {
        let profiles: Vec<Option<ProfileHealth>> = facts
            .selection
            .candidates
            .iter()
            .map(|one| {
                let profile = one.profile.as_ref()?;
                Some(ProfileHealth::of(profile, now, warn_within))
            })
            .collect();
        let (health, expires) = health::of_provider(&facts, &profiles);
        let mut provider = Provider {
            health,
            expires,
            effective: facts.effective(),
            winner: Winner::Nothing,
            profiles,
            facts,
            is_used,
        };
        provider.winner = provider.find_winner();
        provider
    }

    fn find_winner(&self) -> Winner {
        let facts = &self.facts;
        if facts.config_first && facts.has_ref() {
            return if facts.key_is_usable() {
                Winner::Config
            } else {
                Winner::Nothing
            };
        }
        let mut tried = facts.selection.tried();
        let first = tried.find(|one| {
            let ours = one.profile.as_deref().is_some_and(is_ours);
            !(facts.selects && ours)
        });
        match first {
            Some(next) => Winner::Profile(next.id.clone()),
            None if facts.variable.is_some() => Winner::Variable,
            None if facts.key_is_usable() => Winner::Config,
            None => Winner::Nothing,
        }
    }

    /// The profile that is used next: OpenClaw's choice, or that of the reference which stands for them.
    pub fn next(&self) -> Option<&ProfileId> {
        match &self.winner {
            Winner::Profile(id) => Some(id),
            Winner::Config if self.facts.selects => {
                let first = self.facts.selection.next().map(|next| &next.id);
                first.or(self.facts.stand_in.as_ref())
            }
            _ => None,
        }
    }

    /// Whether OpenClaw would find something to use.
    pub fn is_usable(&self) -> bool {
        let mut all = self.facts.selection.candidates.iter().zip(&self.profiles);
        let by_profile = all.any(|(one, health)| {
            let is_alive = health.is_none_or(|health| health.status.is_usable());
            one.is_tried() && is_alive
        });
        by_profile || self.facts.has_other() || (self.facts.selects && self.facts.key_is_usable())
    }

    /// What the variable is; `None` without one.
    pub fn role_of_variable(&self) -> Option<Role> {
        self.facts.variable.as_ref()?;
        Some(match &self.winner {
            Winner::Variable if matches!(self.facts.key, Some(Key::Ours(_))) => Role::Shadows,
            Winner::Variable => Role::Used,
            Winner::Profile(_) => Role::Fallback,
            Winner::Config | Winner::Nothing => Role::Shadowed,
        })
    }

    /// What the key in openclaw.json is; `None` without one that could be used.
    pub fn role_of_key(&self) -> Option<Role> {
        let key = self.facts.key.as_ref().filter(|key| **key != Key::Marker)?;
        Some(match &self.winner {
            Winner::Config => Role::Used,
            Winner::Nothing => Role::Shadowed,
            Winner::Profile(_) | Winner::Variable => match key {
                Key::Ours(_) | Key::Elsewhere(..) => Role::Shadowed,
                Key::Variable(_) | Key::Plaintext | Key::Marker => Role::Fallback,
            },
        })
    }
}
