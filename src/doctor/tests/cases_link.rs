//! What makes each check of the link fire, and what is said of it.

use super::cases::{Case, asked, case, link, profile, refer, trouble};
use crate::doctor::*;
use crate::openclaw::elsewhere::{Answer, Elsewhere, Holder, Reference};
use crate::openclaw::profiles::ProfileKind;
use crate::openclaw::version::Version;
use crate::provider::ProfileId;
use std::time::Duration;

pub(crate) fn elsewhere(answer: Answer) -> Elsewhere {
    Elsewhere {
        holder: Holder::Profile(ProfileId::parse("a:1").unwrap()),
        reference: Reference::to_variable("FAKE_KEY"),
        answer,
    }
}

fn nothing() -> Answer {
    Answer::Nothing {
        code: "NOT_SET".to_owned(),
        why: "it is not set".to_owned(),
    }
}

pub(crate) fn of_link() -> Vec<Case> {
    vec![
        case("files-readable", Error, "cannot be read as JSON", |f| {
            f.broken = vec![trouble("x cannot be read as JSON")];
        }),
        case("link", Error, "asks another vault", |f| {
            link(f).trouble = Some(trouble("x asks another vault"));
        }),
        case(
            "openclaw-updated",
            Error,
            "2026.6.1 was linked, and 2026.9.6",
            |f| {
                f.version = Ok(Version::parse("2026.9.6").unwrap());
                link(f).linked_version = Some(("2026.6.1".to_owned(), false));
            },
        ),
        case("openclaw-updated", Error, "knows no references", |f| {
            f.version = Ok(Version::parse("2026.2.6").unwrap());
        }),
        case("command", Error, "others may write it", |f| {
            link(f).command = Some(trouble("others may write it"));
        }),
        case("pass-env", Error, "lacks XDG_RUNTIME_DIR:", |f| {
            link(f).pass_env = vec!["HOME".to_owned()];
            link(f).needs_env = Ok(vec!["HOME".to_owned(), "XDG_RUNTIME_DIR".to_owned()]);
        }),
        case(
            "ref-elsewhere",
            Error,
            "the reference of a:1 to the variable FAKE_KEY gives no value: it is not set",
            |f| f.elsewhere = Ok(vec![elsewhere(nothing())]),
        ),
        case(
            "ref-resolves",
            Error,
            "ask for provider/mock, and the vault has no such",
            |f| {
                asked(f).refused = vec![("provider/mock".to_owned(), "NOT_FOUND".to_owned())];
            },
        ),
        case("ref-resolves", Error, "and the answer is BROKEN", |f| {
            asked(f).refused = vec![("a/b".to_owned(), "BROKEN".to_owned())];
        }),
        case(
            "ref-resolves",
            Error,
            "slot identity-file opens the vault here, and to the gateway 2 of its secrets are locked",
            |f| {
                asked(f).refused = ["a/b", "c"]
                    .map(|id| (id.to_owned(), "LOCKED".to_owned()))
                    .to_vec();
            },
        ),
        case(
            "ref-resolves",
            Error,
            "it asks a keeper, and none runs",
            |f| {
                asked(f).refused = vec![("a/b".to_owned(), "LOCKED".to_owned())];
                f.keeper.required = true;
            },
        ),
        case("ref-resolves", Error, "did not answer", |f| {
            f.asked = Ok(Err(trouble("it did not answer")));
        }),
        case(
            "resolve-time",
            Warning,
            "took 3000 ms of the 5000 ms",
            |f| asked(f).took = Duration::from_secs(3),
        ),
        case(
            "resolve-time",
            Error,
            "took 6000 ms, and OpenClaw waits 5000 ms",
            |f| asked(f).took = Duration::from_secs(6),
        ),
    ]
}

pub(super) fn of_refs() -> Vec<Case> {
    vec![
        case(
            "ref-ignored",
            Error,
            "a reference at hooks.token, where OpenClaw 2026.6.1 takes none",
            |f| {
                link(f).ignored = Ok(vec!["hooks.token".to_owned()]);
            },
        ),
        case(
            "ref-ignored",
            Error,
            "anthropic:work of agent main is of type api_key and holds its reference in tokenRef",
            |f| {
                let mut one = profile("anthropic:work", false);
                one.misplaced = Some(("tokenRef", ProfileKind::ApiKey));
                f.profiles = Ok(vec![one]);
            },
        ),
        case(
            "ref-shadowed",
            Error,
            "covered by the profile anthropic:old (REF_SHADOWED)",
            |f| {
                refer(f, "models.providers.anthropic.apiKey", "provider/anthropic");
                f.profiles = Ok(vec![profile("anthropic:old", false)]);
            },
        ),
        case(
            "auth-profiles-era",
            Error,
            "lies beside OpenClaw 2026.9.6",
            |f| {
                f.version = Ok(Version::parse("2026.9.6").unwrap());
                f.old_stores = vec![PathBuf::from("/nowhere/auth-profiles.json")];
            },
        ),
    ]
}
