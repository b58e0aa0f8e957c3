//! Where the value of a profile lies. Ring 4; names places, never a value.

use super::gather::Gathered;
use crate::openclaw::profiles::{Holds, Profile, ProfileKind};
use crate::status;
use crate::vault::cache::Custody;
use std::borrow::Cow;

/// A place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lies<'a> {
    /// `vault`, `keychain`, `env`, `file`, `exec`, `store`, `plaintext`, `login` or `none`.
    pub(super) word: &'static str,
    /// The id of the reference, or the name of the variable.
    pub(super) id: Option<Cow<'a, str>>,
    /// Whether a value stands beside the reference in the clear.
    pub(super) beside: bool,
}

impl<'a> Lies<'a> {
    /// That of the profile.
    pub(super) fn of(gathered: &Gathered, profile: &'a Profile) -> Self {
        let bare = |word| Lies {
            word,
            id: None,
            beside: false,
        };
        if profile.kind == ProfileKind::Oauth {
            return bare(match profile.holds {
                Holds::Nothing => "none",
                Holds::Credential | Holds::OldLogin => "login",
            });
        }
        if status::is_ours(profile) {
            return Lies {
                word: match gathered.vault.custody {
                    Some(Custody::Keychain) => "keychain",
                    Some(Custody::File) | None => "vault",
                },
                id: profile.reference.as_ref().map(|one| one.id.as_str().into()),
                beside: profile.plaintext,
            };
        }
        match gathered.view.elsewhere(profile) {
            Some(other) => Lies {
                word: other.source.name(),
                id: Some(other.id.into()),
                beside: profile.plaintext,
            },
            None if profile.plaintext => bare("plaintext"),
            None => bare("none"),
        }
    }

    /// For people.
    pub(super) fn said(&self) -> Cow<'static, str> {
        let place = match (self.word, &self.id) {
            ("env", Some(id)) => format!("env {id}").into(),
            ("store", _) => "OpenClaw's own store".into(),
            ("file" | "exec", _) => format!("another {} provider", self.word).into(),
            (word, _) => Cow::Borrowed(word),
        };
        if self.beside {
            format!("{place} and plaintext").into()
        } else {
            place
        }
    }
}
