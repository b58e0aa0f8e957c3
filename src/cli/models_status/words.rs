//! The words of `models status` for people. Ring 4; makes text.

use crate::cli::ui;
use crate::expiry::{Millis, Span};
use crate::openclaw::custom::Key;
use crate::openclaw::select::{Candidate, Source};
use crate::provider::ProfileId;
use crate::status::{Health, Provider, Role};

/// An id as it can be typed in a shell.
pub(super) fn typed(id: &ProfileId) -> String {
    crate::error::typed(std::path::Path::new(id.as_str()))
}

/// The health of a provider, a clause.
pub(super) fn health(provider: &Provider) -> String {
    let ends = || {
        provider
            .expires
            .map(|at| format!(" ({})", ui::date(at)))
            .unwrap_or_default()
    };
    if provider.facts.stored().next().is_none() {
        return if provider.is_usable() {
            "no profile".to_owned()
        } else {
            "no credential".to_owned()
        };
    }
    match provider.health {
        Health::Ok => "well".to_owned(),
        Health::Static => "well, no expiry is known".to_owned(),
        Health::Expiring => format!("expiring{}", ends()),
        Health::Expired => format!("expired{}", ends()),
        Health::Missing => "nothing that can be used".to_owned(),
    }
}

/// How often, and when, a request with it failed; `None` when none did.
pub(super) fn failures(candidate: &Candidate, now: Millis) -> Option<String> {
    let usage = &candidate.usage;
    let last = usage.last_failure?;
    let ago = now.get() - last.get();
    let when = if ago >= 0 {
        format!("{} ago ({})", Span(ago), ui::date(last))
    } else {
        ui::date(last)
    };
    let reason = usage.disabled_reason.or(usage.cooldown_reason);
    let why = reason.map(|why| format!(", {why}")).unwrap_or_default();
    Some(match usage.errors {
        0 | 1 => format!("last failed {when}{why}"),
        many => format!("failed {many} times in a row, last {when}{why}"),
    })
}

/// What a variable or a key is beside the others, a clause.
pub(super) fn role_said(role: Role) -> &'static str {
    match role {
        Role::Used => "used now",
        Role::Shadows => "used now, before the reference to the vault",
        Role::Fallback => "used when no profile can be",
        Role::Shadowed => "not used: something comes before it",
    }
}

/// What stands in a key's place.
pub(super) fn key_said(key: &Key) -> String {
    match key {
        Key::Ours(id) => format!("a reference to {} in the vault", ui::plain(id)),
        Key::Elsewhere(source, _) => format!("a reference to another {source} provider"),
        Key::Variable(name) => format!("the variable {name}"),
        Key::Plaintext => "a value in plaintext".to_owned(),
        Key::Marker => "no key".to_owned(),
    }
}

/// Whence the order comes.
pub(super) fn said(source: Source) -> &'static str {
    match source {
        Source::Stored => "stored for the agent",
        Source::ConfigOrder => "in auth.order of openclaw.json",
        Source::ConfigProfiles => "none, but a list in auth.profiles of openclaw.json",
        Source::All => "none, each in turn",
    }
}

/// The list that is passed over.
pub(super) fn of(source: Source) -> &'static str {
    match source {
        Source::Stored => "that is stored for the agent",
        Source::ConfigOrder => "in auth.order of openclaw.json",
        Source::ConfigProfiles | Source::All => "in auth.profiles of openclaw.json",
    }
}
