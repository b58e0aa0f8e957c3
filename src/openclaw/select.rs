//! Which profile of a provider is next, and why the others are not. Ring 2'; pure: stores, settings and
//! the time in, profiles out; never a value.
//!
//! Source: OpenClaw 2026.6.1, `src/agents/auth-profiles/order.ts` (`resolveAuthProfileOrder`,
//! `resolveAuthProfileEligibility`, `orderProfilesByMode`), `credential-state.ts`, `usage-state.ts`, and
//! `providerAuthAliases` of its plugins.
//! - The base list is the stored order; else `auth.order` of openclaw.json; else the ids of
//!   `auth.profiles` there; else all profiles of the provider. A list whose ids are all gone counts as
//!   none, but one of `auth.order` alone does not.
//! - What is not eligible is left out: see [`Reason`].
//! - With an order: as given. Without: logins before tokens before API keys, then whatever was used
//!   longest ago; never used is first. Cooling and disabled profiles go last, the soonest end first.
//! - A pinned profile that is not left out comes first.
//!
//! Two questions are answered by these rules: [`Selector::select`], what OpenClaw itself would use; and
//! [`candidates`], what the selection id `provider/<p>` stands for.

mod reason;
mod settings;

pub use reason::{Reason, Source};
pub use settings::Settings;

use crate::expiry::Millis;
use crate::openclaw::profiles::{Expires, Holds, Profile, ProfileKind, ProfilesFile, Usage};
use crate::openclaw::view::View;
use crate::provider::{ProfileId, ProviderId};
use crate::secret::SecretId;
use settings::Mode;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The providers whose cooldowns OpenClaw pays no heed to.
const NEVER_COOLING: [&str; 2] = ["openrouter", "kilocode"];

/// Providers that use another one's profiles, as the plugins of 2026.6.1 say (`providerAuthAliases`, and
/// former names of a choice at login that could be a provider's). What 2026.9.6 ships says no more: `minimax`
/// and `x-ai`, which [`ProviderId::parse`] follows; the others' plugins are packages of their own there.
const ACCOUNTS: [(&str, &str); 17] = [
    ("byteplus-plan", "byteplus"),
    ("claude-cli", "anthropic"),
    ("gmi-cloud", "gmi"),
    ("gmicloud", "gmi"),
    ("minimax-api", "minimax"),
    ("minimax-api-key-cn", "minimax"),
    ("minimax-api-lightning", "minimax"),
    ("minimax-cloud", "minimax"),
    ("minimax-cn", "minimax"),
    ("minimax-portal-cn", "minimax-portal"),
    ("moonshot-ai", "moonshot"),
    ("moonshotai", "moonshot"),
    ("novita-ai", "novita"),
    ("novitaai", "novita"),
    ("qwen-cli", "qwen-oauth"),
    ("qwen-portal", "qwen-oauth"),
    ("volcengine-plan", "volcengine"),
];

/// The provider whose profiles this one uses: mostly itself.
pub fn account(provider: &ProviderId) -> &str {
    let name = provider.as_str();
    ACCOUNTS
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name, |(_, account)| account)
}

/// Whether both use the same profiles.
pub fn is_same_account(one: &ProviderId, other: &ProviderId) -> bool {
    one == other || account(one) == account(other)
}

/// One profile that is known to a store, or named by an order or by openclaw.json.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: ProfileId,
    /// What the store has of it; `None` when it is only named.
    pub profile: Option<Arc<Profile>>,
    /// Why it is tried, or is not.
    pub reason: Reason,
    /// Until when OpenClaw puts it behind the others; `None` when it does not. In the future.
    pub cooling: Option<Cooling>,
    /// What OpenClaw remembers of its use.
    pub usage: Usage,
}

impl Candidate {
    /// Whether OpenClaw tries it at all.
    pub fn is_tried(&self) -> bool {
        self.reason == Reason::Ok
    }
}

/// A pause that OpenClaw has given to a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cooling {
    /// Its end.
    pub until: Millis,
    /// `disabled` (billing, or a key that was refused for good) and not only `cooldown`.
    pub disabled: bool,
    /// OpenClaw's word for what went wrong, where it noted one it knows: `rate_limit`, `billing`.
    pub reason: Option<&'static str>,
}

/// The answer: what OpenClaw would use for one provider, and what it would not.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Whence the list of those that are tried comes.
    pub source: Source,
    /// The list that would have come first, but names only profiles that are gone.
    pub passed_over: Option<Source>,
    /// All profiles that are known or named: first those that are tried, in the order of trying; then
    /// the others, those of the list first. Each id once.
    pub candidates: Vec<Candidate>,
}

impl Selection {
    /// Those that are tried, in the order of trying.
    pub fn tried(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().filter(|one| one.is_tried())
    }

    /// The one that is used next. It may be cooling: then all are.
    pub fn next(&self) -> Option<&Candidate> {
        self.tried().next()
    }

    /// The profile with that id.
    pub fn get(&self, id: &ProfileId) -> Option<&Candidate> {
        self.candidates.iter().find(|one| one.id == *id)
    }
}

/// All that a choice depends on, read once for however many providers are asked about.
///
/// ```
/// # use clawkeep::expiry::Millis;
/// # use clawkeep::openclaw::profiles::ProfilesFile;
/// # use clawkeep::openclaw::select::{Selector, Settings};
/// # use clawkeep::provider::ProviderId;
/// let store = ProfilesFile::empty();
/// let settings = Settings::default();
/// let now = Millis::new(1_800_000_000_000).unwrap();
/// let selector = Selector::new(&store, &settings, now);
/// let selection = selector.select(&ProviderId::parse("anthropic").unwrap(), None);
/// assert!(selection.next().is_none());
/// ```
pub struct Selector<'s> {
    view: Cow<'s, View>,
    settings: &'s Settings,
    now: Millis,
    /// Where each account's profiles stand in the view, in the file's order.
    by_account: HashMap<String, Vec<usize>>,
}

impl<'s> Selector<'s> {
    /// Reads the stores and settings of one agent, to choose at `now`.
    ///
    /// `store` is all that the agent's stores hold: an agent's own file over that of `main`
    /// ([`ProfilesFile::under`]), each with its auth-state.json over it
    /// ([`crate::openclaw::auth_state::over`]).
    pub fn new(store: &ProfilesFile, settings: &'s Settings, now: Millis) -> Self {
        Self::over(Cow::Owned(View::of(store)), settings, now)
    }

    /// The same over what was read before.
    pub fn of(view: &'s View, settings: &'s Settings, now: Millis) -> Self {
        Self::over(Cow::Borrowed(view), settings, now)
    }

    fn over(view: Cow<'s, View>, settings: &'s Settings, now: Millis) -> Self {
        let mut by_account: HashMap<String, Vec<usize>> = HashMap::new();
        let mut at = 0;
        // Those of one provider mostly stand together.
        for run in view.profiles.chunk_by(|a, b| a.provider == b.provider) {
            let account = account(&run[0].provider).to_owned();
            let of_account = by_account.entry(account).or_default();
            of_account.extend(at..at + run.len());
            at += run.len();
        }
        Selector {
            view,
            settings,
            now,
            by_account,
        }
    }

    /// Every provider that has a profile here, or an order, or an entry in openclaw.json. Sorted.
    pub fn providers(&self) -> Vec<ProviderId> {
        let stored = self.view.profiles.iter();
        let mut stored: Vec<ProviderId> = stored.map(|profile| profile.provider.clone()).collect();
        stored.dedup();
        let ordered = self.view.ordered();
        let all: BTreeSet<_> = stored
            .into_iter()
            .chain(ordered)
            .chain(self.settings.providers())
            .collect();
        all.into_iter().collect()
    }

    /// What OpenClaw would use for `provider`. `pinned` is the profile that a person named, as
    /// `/model <alias>@<profile>` does; it changes nothing unless it is one that is tried.
    pub fn select(&self, provider: &ProviderId, pinned: Option<&ProfileId>) -> Selection {
        let base = self.base(provider);
        // What is in a store is there once.
        let may_repeat = base.source != Source::All || !base.named.is_empty() || pinned.is_some();
        let mut seen = may_repeat.then(HashSet::new);
        let pinned_known = pinned.map(|id| self.known(id.clone()));
        let others = base.named.iter().chain(&pinned_known);
        // What comes first is listed: of two of one id the first counts.
        let all = base.ids.iter().map(|one| (one, true));
        let all = all.chain(others.map(|one| (one, false)));
        let mut tried = Vec::with_capacity(base.ids.len() + base.named.len());
        let mut left = Vec::new();
        for (one, is_listed) in all {
            if let Some(seen) = &mut seen
                && !seen.insert(&one.id)
            {
                continue;
            }
            let candidate = self.candidate(one, provider, is_listed);
            if candidate.is_tried() {
                tried.push(candidate);
            } else {
                left.push(candidate);
            }
        }
        sort(&mut tried, base.source.is_order(), |candidate| Rank {
            cooling: candidate.cooling.map(|cooling| cooling.until),
            kind: candidate.profile.as_ref().map(|profile| profile.kind),
            last_used: candidate.usage.last_used,
        });
        if let Some(at) = tried.iter().position(|tried| Some(&tried.id) == pinned) {
            tried[..=at].rotate_right(1);
        }
        tried.append(&mut left);
        Selection {
            source: base.source,
            passed_over: base.passed_over,
            candidates: tried,
        }
    }

    fn candidate(&self, one: &Known, provider: &ProviderId, is_listed: bool) -> Candidate {
        let profile = self.profile(one);
        let reason = if is_listed {
            eligibility(&one.id, profile, self.settings, provider, self.now)
        } else {
            excluded(profile, provider)
        };
        let usage = self.view.usage(&one.id, one.at);
        Candidate {
            id: one.id.clone(),
            profile: profile.cloned(),
            reason,
            cooling: self.cooling(profile, &usage),
            usage,
        }
    }

    fn known(&self, id: ProfileId) -> Known {
        let at = self.view.find(&id);
        Known { id, at }
    }

    fn profile(&self, one: &Known) -> Option<&Arc<Profile>> {
        self.view.profiles.get(one.at?)
    }

    /// The pause that is not over.
    fn cooling(&self, profile: Option<&Arc<Profile>>, usage: &Usage) -> Option<Cooling> {
        let provider = profile.map(|profile| profile.provider.as_str());
        if provider.is_some_and(|name| NEVER_COOLING.contains(&name)) {
            return None;
        }
        let pause = |until: Option<Millis>, disabled, reason| {
            let until = until.filter(|until| *until > self.now)?;
            Some(Cooling {
                until,
                disabled,
                reason,
            })
        };
        let cooldown = pause(usage.cooldown_until, false, usage.cooldown_reason);
        let disabled = pause(usage.disabled_until, true, usage.disabled_reason);
        // The later end is the one that is waited for.
        match (cooldown, disabled) {
            (Some(cooldown), Some(disabled)) if cooldown.until > disabled.until => Some(cooldown),
            (cooldown, disabled) => disabled.or(cooldown),
        }
    }

    fn base(&self, provider: &ProviderId) -> Base {
        let settings = self.settings;
        let in_store = || -> Vec<Known> {
            let own = self.by_account.get(account(provider)).into_iter();
            let known = own.flatten().filter_map(|at| {
                let id = self.view.profiles.get(*at)?.id.clone();
                Some(Known { id, at: Some(*at) })
            });
            known.collect()
        };
        let known = |ids: Vec<ProfileId>| -> Vec<Known> {
            ids.into_iter().map(|id| self.known(id)).collect()
        };
        let configured = settings.of(provider).map(|entry| entry.id.clone());
        let configured = known(configured.collect());
        let of_account = || ProviderId::parse(account(provider)).ok();
        let order = of_account()
            .and_then(|account| self.view.order(&account))
            .or_else(|| self.view.order(provider));
        let (mut source, mut ids) = match (order, settings.order(provider)) {
            (Some(ids), _) => (Source::Stored, known(ids)),
            (None, Some(ids)) => (Source::ConfigOrder, known(ids.to_vec())),
            (None, None) if !configured.is_empty() => (Source::ConfigProfiles, configured.clone()),
            (None, None) => (Source::All, in_store()),
        };
        // OpenClaw looks at ids alone here: one that is another provider's is not gone.
        let is_gone = |one: &Known| one.at.is_none() && !settings.is_aws(&one.id, provider);
        let falls_back = source == Source::Stored || !configured.is_empty();
        let mut named = Vec::new();
        let mut passed_over = None;
        if falls_back && !ids.is_empty() && ids.iter().all(is_gone) {
            passed_over = Some(std::mem::replace(&mut source, Source::All));
            named = std::mem::replace(&mut ids, in_store());
        }
        if source != Source::All {
            named.extend(in_store());
        }
        named.extend(configured);
        Base {
            source,
            passed_over,
            ids,
            named,
        }
    }
}

/// The profiles of `provider` that a selection id stands for, in the order in which they are to be tried
/// at `now`; the first is the next.
///
/// Only profiles whose ref is ours and names one stored value are candidates, so never an oauth login;
/// and as long as there is any, there is a first. (Where OpenClaw leaves every profile out because all
/// are expired, an answer of "not found" would stop a gateway of 2026.6.1.) What only openclaw.json
/// says is not looked at: the answer must not wait for it.
pub fn candidates(file: &ProfilesFile, provider: &ProviderId, now: Millis) -> Vec<Profile> {
    candidates_in(&View::of(file), provider, now)
}

/// The same over what was read before.
pub fn candidates_in(view: &View, provider: &ProviderId, now: Millis) -> Vec<Profile> {
    let settings = Settings::default();
    let selector = Selector::of(view, &settings, now);
    let base = selector.base(provider);
    let mut seen = HashSet::new();
    let ours: Vec<(&Known, &Arc<Profile>)> = base
        .ids
        .iter()
        .filter(|one| seen.insert(&one.id))
        .filter_map(|one| Some((one, selector.profile(one)?)))
        .filter(|(_, profile)| is_ours(profile, provider))
        .collect();
    let usable: Vec<_> = ours
        .iter()
        .filter(|(_, profile)| !profile.expires.is_over(now))
        .copied()
        .collect();
    let mut chosen = if usable.is_empty() { ours } else { usable };
    sort(&mut chosen, base.source.is_order(), |(one, profile)| {
        let usage = view.usage(&one.id, one.at);
        let cooling = selector.cooling(Some(profile), &usage);
        Rank {
            cooling: cooling.map(|cooling| cooling.until),
            kind: Some(profile.kind),
            last_used: usage.last_used,
        }
    });
    let chosen = chosen.into_iter();
    chosen.map(|(_, profile)| Profile::clone(profile)).collect()
}

fn is_ours(profile: &Profile, provider: &ProviderId) -> bool {
    profile.provider == *provider
        && profile.reference.as_ref().is_some_and(|reference| {
            // An oauth login has none. A ref to a selection id would lead back here.
            reference.is_ours() && SecretId::parse(&reference.id).is_ok()
        })
}

/// An id, and where its profile stands in the view; nowhere when it is only named.
#[derive(Clone)]
struct Known {
    id: ProfileId,
    at: Option<usize>,
}

/// Those that may be tried.
struct Base {
    source: Source,
    passed_over: Option<Source>,
    /// In the list's order; an id may stand in it twice.
    ids: Vec<Known>,
    /// The provider's other profiles: stored, or named by openclaw.json or by a list that counts as
    /// none.
    named: Vec<Known>,
}

/// Whether OpenClaw would use the profile (`resolveAuthProfileEligibility`). A ref of any source counts:
/// whether it resolves is not known here.
fn eligibility(
    id: &ProfileId,
    profile: Option<&Arc<Profile>>,
    settings: &Settings,
    provider: &ProviderId,
    now: Millis,
) -> Reason {
    let Some(profile) = profile else {
        return if settings.is_aws(id, provider) {
            Reason::Ok
        } else {
            Reason::ProfileMissing
        };
    };
    if !is_same_account(&profile.provider, provider) {
        return Reason::ProviderMismatch;
    }
    if let Some(entry) = settings.entry(id) {
        if !is_same_account(&entry.provider, provider) {
            return Reason::ProviderMismatch;
        }
        let token_for_login =
            entry.mode == Mode::Kind(ProfileKind::Oauth) && profile.kind == ProfileKind::Token;
        if entry.mode != Mode::Kind(profile.kind) && !token_for_login {
            return Reason::ModeMismatch;
        }
    }
    match (profile.holds, profile.kind, profile.expires) {
        (Holds::Nothing, _, _) => Reason::MissingCredential,
        (Holds::OldLogin, _, _) => Reason::UnresolvedRef,
        (Holds::Credential, ProfileKind::Token, Expires::Invalid) => Reason::InvalidExpires,
        (Holds::Credential, ProfileKind::Token, expires) if expires.is_over(now) => Reason::Expired,
        (Holds::Credential, _, _) => Reason::Ok,
    }
}

/// Why a profile is not in the list.
fn excluded(profile: Option<&Arc<Profile>>, provider: &ProviderId) -> Reason {
    match profile {
        None => Reason::ProfileMissing,
        Some(profile) if !is_same_account(&profile.provider, provider) => Reason::ProviderMismatch,
        Some(_) => Reason::ExcludedByAuthOrder,
    }
}

/// What decides between two profiles.
struct Rank {
    cooling: Option<Millis>,
    kind: Option<ProfileKind>,
    last_used: Option<Millis>,
}

fn sort<T>(all: &mut [T], ordered: bool, rank: impl Fn(&T) -> Rank) {
    // Stable: whatever is equal stays in its order. `None` is before every moment.
    all.sort_by_cached_key(|one| {
        let rank = rank(one);
        let among_fresh = match (rank.cooling, ordered) {
            // What has no type at all, AWS's own, comes after all that have one.
            (None, false) => Some((rank.kind.is_none(), rank.kind, rank.last_used)),
            _ => None,
        };
        (rank.cooling, among_fresh)
    });
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_naive;
#[cfg(test)]
mod tests_selector;
