//! The words of `models status` for people. Ring 4; makes text.

use crate::cli::table::Tone;
use crate::cli::ui::{self, Dates};
use crate::expiry::{Millis, Span};
use crate::openclaw::custom::Key;
use crate::openclaw::elsewhere::{Answer, Elsewhere};
use crate::openclaw::profiles::{Expires, ProfileKind};
use crate::openclaw::select::{Candidate, Reason, Source};
use crate::provider::ProfileId;
use crate::status::{Health, ProfileHealth, Provider, Report, Role};
use std::fmt::Write as _;

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

/// Says what there is to say of one profile.
pub(super) fn state(
    dates: &Dates,
    report: &Report,
    provider: &Provider,
    (candidate, health): (&Candidate, Option<ProfileHealth>),
    out: &mut String,
) -> Tone {
    let now = report.now;
    let expires = candidate.profile.as_ref().map(|profile| profile.expires);
    let mut tone = Tone::Plain;
    match (candidate.reason, candidate.cooling) {
        (Reason::Ok, Some(cooling)) => {
            tone = Tone::Doubtful;
            out.push_str(if cooling.disabled {
                "disabled"
            } else {
                "cooldown"
            });
            if let Some(why) = cooling.reason {
                let _ = write!(out, " for {why}");
            }
            let left = Span(cooling.until.get() - now.get());
            let _ = write!(out, ", {left} left");
            in_brackets(dates, cooling.until, out);
        }
        (Reason::Ok, None) => {
            if provider.next() == Some(&candidate.id) {
                tone = Tone::Good;
                out.push_str("next");
            } else {
                out.push_str("ok");
            }
        }
        // The moment is said below.
        (Reason::Expired, _) => {}
        (reason, _) => {
            let _ = write!(out, "{}: {}", reason.code(), reason.said());
        }
    }
    let kind = candidate.profile.as_ref().map(|profile| profile.kind);
    match expires {
        Some(Expires::At(at)) => {
            let left = at.get() - now.get();
            next_part(out);
            if left <= 0 {
                tone = Tone::Bad;
                let _ = write!(out, "expired {} ago", Span(left));
            } else {
                if health.is_some_and(|health| health.status == Health::Expiring) {
                    tone = Tone::Doubtful;
                }
                let _ = write!(out, "expires in {}", Span(left));
            }
            in_brackets(dates, at, out);
        }
        Some(Expires::Never) if kind == Some(ProfileKind::Token) => {
            next_part(out);
            out.push_str("no expiry is noted");
        }
        _ => {}
    }
    if let Some(said) = failures(candidate, now) {
        next_part(out);
        out.push_str(&said);
    }
    let reference = candidate
        .profile
        .as_ref()
        .and_then(|profile| profile.reference.as_ref());
    let of_ours = reference
        .filter(|one| one.is_ours())
        .is_some_and(|reference| report.proof.resolves(&reference.id) == Some(false));
    let of_others = matches!(
        report.elsewhere(&candidate.id),
        Some(Answer::Nothing { .. })
    );
    if of_ours || of_others {
        tone = Tone::Bad;
        next_part(out);
        out.push_str("its reference gives no value");
    }
    tone
}

fn in_brackets(dates: &Dates, at: Millis, out: &mut String) {
    out.push_str(" (");
    dates.push(at, out);
    out.push(')');
}

/// Begins another clause, where there is one.
fn next_part(out: &mut String) {
    if !out.is_empty() {
        out.push_str("; ");
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

/// How many of the references that others answer give a value, and how many are not known. `None` without any.
pub(super) fn elsewhere(all: &[Elsewhere]) -> Option<String> {
    if all.is_empty() {
        return None;
    }
    let count = |wanted: fn(&Answer) -> bool| all.iter().filter(|one| wanted(&one.answer)).count();
    let good = count(|answer| matches!(answer, Answer::Value));
    let unknown = count(|answer| matches!(answer, Answer::NotKnown { .. }));
    let all = all.len();
    let unknown = match unknown {
        0 => String::new(),
        1 => ", 1 is not proven".to_owned(),
        many => format!(", {many} are not proven"),
    };
    Some(format!("{good} of {all} give a value{unknown}"))
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
        Key::Elsewhere(other) => {
            format!("a reference to another {} provider", other.source.name())
        }
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
