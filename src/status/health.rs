//! The health of a profile, and of a provider by its profiles. Ring 3; pure.
//!
//! Source: OpenClaw 2026.6.1 and 2026.9.6, `src/agents/auth-health.ts`.

use super::ProviderFacts;
use crate::expiry::Millis;
use crate::openclaw::profiles::{Expires, Holds, Profile, ProfileKind};
use crate::openclaw::select::Reason;

/// A state. The words are OpenClaw's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It works for longer than the time that is warned of.
    Ok,
    /// It stops working within that time.
    Expiring,
    /// It has stopped.
    Expired,
    /// There is nothing to work with.
    Missing,
    /// It has no end that is known.
    Static,
}

impl Health {
    /// OpenClaw's word.
    pub fn name(self) -> &'static str {
        match self {
            Health::Ok => "ok",
            Health::Expiring => "expiring",
            Health::Expired => "expired",
            Health::Missing => "missing",
            Health::Static => "static",
        }
    }

    /// Whether OpenClaw counts it as something to work with.
    pub fn is_usable(self) -> bool {
        matches!(self, Health::Ok | Health::Expiring | Health::Static)
    }
}

/// The health of one profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileHealth {
    /// Its state.
    pub status: Health,
    /// Why it is expired or missing, where OpenClaw says so.
    pub reason: Option<Reason>,
    /// When it stops working, where it is a moment.
    pub expires: Option<Millis>,
}

impl ProfileHealth {
    /// That of `profile` at `now`; what has no more than `warn_within` milliseconds left is expiring.
    pub fn of(profile: &Profile, now: Millis, warn_within: i64) -> Self {
        let bare = |status, reason| ProfileHealth {
            status,
            reason,
            expires: None,
        };
        match (profile.kind, profile.holds, profile.expires) {
            (ProfileKind::ApiKey, _, _)
            | (ProfileKind::Token, Holds::Credential, Expires::Never) => bare(Health::Static, None),
            (_, Holds::Nothing, _) => bare(Health::Missing, Some(Reason::MissingCredential)),
            (_, Holds::OldLogin, _) => bare(Health::Missing, Some(Reason::UnresolvedRef)),
            (ProfileKind::Token, Holds::Credential, Expires::Invalid) => {
                bare(Health::Missing, Some(Reason::InvalidExpires))
            }
            // OpenClaw renews a login by itself, and yet wants to know when.
            (ProfileKind::Oauth, Holds::Credential, Expires::Never | Expires::Invalid) => {
                bare(Health::Missing, None)
            }
            (_, Holds::Credential, Expires::At(at)) => {
                let left = at.get() - now.get();
                let status = if left <= 0 {
                    Health::Expired
                } else if left <= warn_within {
                    Health::Expiring
                } else {
                    Health::Ok
                };
                let is_over = status == Health::Expired && profile.kind == ProfileKind::Token;
                ProfileHealth {
                    status,
                    reason: is_over.then_some(Reason::Expired),
                    expires: Some(at),
                }
            }
        }
    }
}

/// One profile that counts, or would.
struct Own {
    kind: ProfileKind,
    is_tried: bool,
    is_listed: bool,
    health: ProfileHealth,
}

/// The state of a provider, and the earliest end of the profiles that count: those that are tried; when none
/// is, those of an explicit order; without one, all.
pub(super) fn of_provider(
    facts: &ProviderFacts,
    profiles: &[Option<ProfileHealth>],
) -> (Health, Option<Millis>) {
    let candidates = facts.selection.candidates.iter().zip(profiles);
    let mut own: Vec<Own> = candidates
        .filter_map(|(one, health)| {
            let profile = one.profile.as_ref()?;
            (profile.provider == facts.id).then_some(Own {
                kind: profile.kind,
                is_tried: one.is_tried(),
                is_listed: one.reason != Reason::ExcludedByAuthOrder,
                health: (*health)?,
            })
        })
        .collect();
    if own.iter().any(|one| one.is_tried) {
        own.retain(|one| one.is_tried);
    } else if facts.selection.source.is_order() {
        own.retain(|one| one.is_listed);
    }
    let is_there = |status| own.iter().any(|one| one.health.status == status);
    let health = if own.is_empty() {
        Health::Missing
    } else if own.iter().all(|one| one.kind == ProfileKind::ApiKey) {
        Health::Static
    } else if is_there(Health::Expired) {
        Health::Expired
    } else if is_there(Health::Missing) {
        Health::Missing
    } else if is_there(Health::Expiring) {
        Health::Expiring
    } else {
        Health::Ok
    };
    (
        health,
        own.iter().filter_map(|one| one.health.expires).min(),
    )
}
