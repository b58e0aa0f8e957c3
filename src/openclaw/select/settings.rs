//! What openclaw.json says of profiles and their order. Ring 2'; pure: a configuration in, names out.
//!
//! Source: OpenClaw 2026.6.1, `src/config/types.auth.ts` and `src/agents/auth-profiles/order.ts`:
//! `auth.profiles.<id> = {provider, mode}`, `auth.order.<provider> = [ids]`, and
//! `models.providers.<provider>.auth = "aws-sdk"`. None of it is secret.
//!
//! Promise: what has not the form that OpenClaw wants counts as not said. What stands only in a file
//! that openclaw.json includes is not seen; [`Settings::includes`] says that there is one.

use super::account;
use crate::openclaw::config::{Config, Leaf};
use crate::openclaw::profiles::ProfileKind;
use crate::provider::{ProfileId, ProviderId};
use serde_json::Value;

/// What an entry of `auth.profiles` says that the profile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Kind(ProfileKind),
    /// AWS's own credentials, for which nothing is stored.
    AwsSdk,
    /// Nothing that OpenClaw knows.
    Unknown,
}

/// One entry of `auth.profiles`.
#[derive(Debug, Clone)]
pub(super) struct Configured {
    pub(super) id: ProfileId,
    pub(super) provider: ProviderId,
    pub(super) mode: Mode,
}

/// What openclaw.json says of profiles and their order. The default says nothing.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    profiles: Vec<Configured>,
    orders: Vec<(ProviderId, Vec<ProfileId>)>,
    aws: Vec<ProviderId>,
    includes: bool,
}

impl Settings {
    /// Reads them.
    pub fn read(config: &Config) -> Self {
        let profiles = entries(config, &["auth", "profiles"])
            .into_iter()
            .filter_map(|(id, entry)| {
                Some(Configured {
                    id: exactly(&id)?,
                    provider: ProviderId::parse(entry.get("provider")?.as_str()?).ok()?,
                    mode: mode(entry.get("mode")),
                })
            })
            .collect();
        let orders = entries(config, &["auth", "order"])
            .into_iter()
            .filter_map(|(provider, list)| {
                let ids = list.as_array()?.iter().filter_map(Value::as_str);
                let ids = ids.filter_map(exactly).collect();
                Some((ProviderId::parse(&provider).ok()?, ids))
            })
            .collect();
        let mut aws = Vec::new();
        config.leaves(|path, leaf| {
            if let ([models, providers, name, auth], Leaf::Text("aws-sdk")) = (path, leaf)
                && (models == "models" && providers == "providers" && auth == "auth")
            {
                aws.extend(ProviderId::parse(name));
            }
        });
        let includes = config
            .includes()
            .iter()
            .any(|path| path.first().is_none_or(|key| key == "auth"));
        Settings {
            profiles,
            orders,
            aws,
            includes,
        }
    }

    /// Whether some of it may stand in an included file, which is not read.
    pub fn includes(&self) -> bool {
        self.includes
    }

    /// `auth.order` of a provider. An empty one is an order too: nothing is tried then.
    pub fn order(&self, provider: &ProviderId) -> Option<&[ProfileId]> {
        // Of two spellings of one provider the first counts here, unlike in a store.
        let of = |name: &str| {
            let mut orders = self.orders.iter();
            orders.find(|(key, _)| key.as_str() == name)
        };
        of(account(provider))
            .or_else(|| of(provider.as_str()))
            .map(|(_, ids)| ids.as_slice())
    }

    /// The providers of which it says something.
    pub(super) fn providers(&self) -> impl Iterator<Item = ProviderId> {
        let ordered = self.orders.iter().map(|(provider, _)| provider);
        let named = self.profiles.iter().map(|entry| &entry.provider);
        ordered.chain(named).cloned()
    }

    /// The entries of `auth.profiles` that are the provider's, in the file's order.
    pub(super) fn of<'s>(
        &'s self,
        provider: &'s ProviderId,
    ) -> impl Iterator<Item = &'s Configured> {
        let is_theirs = move |entry: &&Configured| account(&entry.provider) == account(provider);
        self.profiles.iter().filter(is_theirs)
    }

    /// The entry of `auth.profiles` with that id, whosever it is.
    pub(super) fn entry(&self, id: &ProfileId) -> Option<&Configured> {
        self.profiles.iter().find(|entry| entry.id == *id)
    }

    /// Whether a profile of which nothing is stored is good all the same: AWS has its own store.
    pub fn is_aws(&self, id: &ProfileId, provider: &ProviderId) -> bool {
        self.aws.contains(provider)
            && self
                .of(provider)
                .any(|entry| entry.id == *id && entry.mode == Mode::AwsSdk)
    }
}

fn entries(config: &Config, path: &[&str]) -> serde_json::Map<String, Value> {
    match config.get(path) {
        Some(Value::Object(entries)) => entries,
        _ => serde_json::Map::new(),
    }
}

/// Here OpenClaw does not trim: an id with a blank at its end names nothing.
fn exactly(id: &str) -> Option<ProfileId> {
    ProfileId::parse(id)
        .ok()
        .filter(|parsed| parsed.as_str() == id)
}

fn mode(mode: Option<&Value>) -> Mode {
    match mode.and_then(Value::as_str) {
        Some("api_key") => Mode::Kind(ProfileKind::ApiKey),
        Some("token") => Mode::Kind(ProfileKind::Token),
        Some("oauth") => Mode::Kind(ProfileKind::Oauth),
        Some("aws-sdk") => Mode::AwsSdk,
        _ => Mode::Unknown,
    }
}
