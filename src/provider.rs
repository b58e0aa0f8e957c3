//! Providers, profiles and agents: the names around a credential, and what a provider's tokens look
//! like. Ring 0: no files, no clock, no environment.
//!
//! Promise: a value of these types is well formed, so nothing past the edge handles `&str` names.

pub mod pages;
pub mod shapes;
pub mod variables;

use crate::error::{Error, Kind, Result};
use crate::secret::{MAX_ID, Secret, SecretId, SecretKind, in_grammar};
use sha2::{Digest, Sha256};
use shapes::SHAPES;
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A model provider, trimmed and lower-cased as OpenClaw compares them.
///
/// Any name is accepted that fits behind `provider/` in a ref id, at most 64 bytes. A clone shares the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderId(Arc<str>);

impl ProviderId {
    /// Parses a provider name. OpenClaw's manifest aliases (`x-ai`, `minimax-cn`) are followed.
    ///
    /// # Errors
    /// `Usage` when it is empty, too long, or outside `[a-z0-9][a-z0-9._/-]*`.
    pub fn parse(text: &str) -> Result<Self> {
        let name = text.trim().to_lowercase();
        let name = match name.as_str() {
            "x-ai" => "xai".to_owned(),
            "minimax-cn" => "minimax".to_owned(),
            _ => name,
        };
        if name.len() > 64 || name.contains(':') || !in_grammar(&name) {
            return Err(Error::usage(
                "the provider's name has letters, digits and . _ - / only, a letter or digit \
                 first, at most 64 of them",
            )
            .hint("clawkeep models auth paste-token --provider anthropic"));
        }
        Ok(ProviderId(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The selection id, with which a config ref asks for the profile that is next in order.
    pub fn selection_id(&self) -> String {
        format!("{}{}", crate::secret::SELECTION_PREFIX, self.0)
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A profile's id: a free string in OpenClaw, `<provider>:<name>` by habit.
///
/// 1 to 200 bytes, no control characters, no white space at either end. A clone shares the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileId(Arc<str>);

impl ProfileId {
    /// Several for people, separated by commas.
    pub fn listed(ids: &[ProfileId]) -> String {
        let ids: Vec<&str> = ids.iter().map(ProfileId::as_str).collect();
        ids.join(", ")
    }

    /// Parses a profile id.
    ///
    /// # Errors
    /// `Usage` when it is empty, too long, or holds control characters.
    pub fn parse(text: &str) -> Result<Self> {
        let id = text.trim();
        if id.is_empty() || id.len() > 200 || id.chars().any(char::is_control) {
            return Err(Error::usage(
                "the profile id is 1 to 200 bytes of text without control characters",
            )
            .hint("use --profile-id anthropic:work"));
        }
        Ok(ProfileId(id.into()))
    }

    /// `<provider>:<name>`.
    pub fn of(provider: &ProviderId, name: &str) -> Self {
        ProfileId(format!("{provider}:{name}").into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that this profile's value has in the vault.
    ///
    /// The profile id itself where it fits OpenClaw's ref grammar and the agent is `main`;
    /// `agent/<agent>/<profile id>` for another agent; where either holds other characters they
    /// become `-` and eight hex digits of the SHA-256 of the whole keep two such names apart.
    pub fn secret_id(&self, agent: &AgentId) -> SecretId {
        let plain = if agent.is_main() {
            self.0.to_string()
        } else {
            format!("agent/{agent}/{}", self.0)
        };
        if let Ok(id) = SecretId::parse(&plain) {
            return id;
        }
        let digest = Sha256::digest(plain.as_bytes());
        let tail = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
        let mut safe: String = plain
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "._:/-".contains(c) {
                    c
                } else {
                    '-'
                }
            })
            .collect();
        safe.truncate(MAX_ID - 16);
        let safe = safe
            .split('/')
            .map(|segment| {
                if matches!(segment, "." | "..") {
                    "-"
                } else {
                    segment
                }
            })
            .collect::<Vec<_>>()
            .join("/");
        // `p-` gives the first character that the grammar wants and keeps it from `provider/`.
        SecretId::parse(&format!("p-{safe}-{tail:08x}"))
            .unwrap_or_else(|_| SecretId::constant("p-unnamed"))
    }
}

impl Borrow<str> for ProfileId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProfileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An OpenClaw agent: `main` unless said otherwise. A folder name, so its grammar is strict:
/// `[a-z0-9][a-z0-9_-]{0,63}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(String);

impl AgentId {
    /// The default agent.
    pub fn main() -> Self {
        AgentId("main".to_owned())
    }

    /// Parses an agent id, lower-cased.
    ///
    /// # Errors
    /// `Usage` when it could not be the name of an agent's folder.
    pub fn parse(text: &str) -> Result<Self> {
        let id = text.trim().to_lowercase();
        let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let fits = (1..=64).contains(&id.len())
            && id.as_bytes().first().is_some_and(plain)
            && id.as_bytes().iter().all(|b| plain(b) || b"_-".contains(b));
        if !fits {
            return Err(Error::usage(
                "the agent's id has lower-case letters, digits, - and _ only, at most 64 of them",
            )
            .hint("use --agent main"));
        }
        Ok(AgentId(id))
    }

    /// Whether this is the default agent, whose store is the base of all others.
    pub fn is_main(&self) -> bool {
        self.0 == "main"
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Providers whose models are also sold under another name: their keys are the same keys.
const SIBLINGS: &[(&str, &str)] = &[("google", "google-vertex"), ("google", "google-gemini-cli")];

/// The prefix of Anthropic's setup-tokens.
pub const SETUP_TOKEN_PREFIX: &str = "sk-ant-oat01-";
/// The least length of a setup-token, in bytes.
pub const SETUP_TOKEN_MIN: usize = 80;

/// Checks a token that is pasted for `provider`, as OpenClaw 2026.9.6 does.
///
/// # Errors
/// `Failed` with OpenClaw's own words when an Anthropic setup-token has another prefix or is cut.
pub fn check_token(provider: &ProviderId, token: &Secret) -> Result<()> {
    if provider.as_str() != "anthropic" {
        return Ok(());
    }
    if !token.starts_with(SETUP_TOKEN_PREFIX) {
        let hint = if token.starts_with("sk-ant-") {
            "clawkeep models auth paste-api-key --provider anthropic"
        } else {
            "run `claude setup-token` and paste what it prints"
        };
        return Err(Error::new(
            Kind::Failed,
            format!("Expected token starting with {SETUP_TOKEN_PREFIX}"),
        )
        .hint(hint));
    }
    if token.len() < SETUP_TOKEN_MIN {
        return Err(Error::failed(format!(
            "Token looks too short; paste the full setup-token ({} of at least {SETUP_TOKEN_MIN} \
             characters arrived)",
            token.len()
        ))
        .hint("run `claude setup-token` and paste what it prints"));
    }
    Ok(())
}

/// A doubt about a credential: it has the shape of something else. `None` when it looks right.
///
/// The text is a whole clause: `this looks like a key of openai`.
pub fn doubt(provider: &ProviderId, kind: SecretKind, value: &Secret) -> Option<String> {
    // A bare `sk-` belongs to many and raises no doubt.
    let (prefix, owner) = SHAPES
        .iter()
        .filter_map(|shape| Some((shape.prefix, shape.provider?)))
        .filter(|(prefix, _)| value.starts_with(prefix))
        .max_by_key(|(prefix, _)| prefix.len())?;
    let sibling = SIBLINGS
        .iter()
        .any(|(a, b)| *a == owner && *b == provider.as_str());
    if owner != provider.as_str() && !sibling {
        return Some(format!("this looks like a credential of {owner}"));
    }
    if prefix == SETUP_TOKEN_PREFIX && kind == SecretKind::ApiKey {
        return Some("this looks like a setup-token, not an API key".to_owned());
    }
    None
}

/// How a value begins, as far as all keys of its kind do: at most four characters. `None` for a value of
/// no known shape. May be shown.
pub fn public_start(value: &Secret) -> Option<&'static str> {
    let known = SHAPES.iter().map(|shape| shape.prefix).chain(["sk-"]);
    known
        .filter(|prefix| value.starts_with(prefix))
        .max_by_key(|prefix| prefix.len())
        .and_then(|prefix| prefix.get(..prefix.len().min(4)))
}

/// Whether a text is shaped as a credential and not as a name: the start of a known provider's keys,
/// or an age secret key, and at least 20 bytes.
pub fn is_shaped_as_credential(text: &str) -> bool {
    let shaped = SHAPES.iter().any(|shape| text.starts_with(shape.prefix))
        || text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-");
    shaped && text.len() >= 20
}

#[cfg(test)]
mod tests {
    use super::*;
    use SecretKind::{ApiKey, Token};
    use proptest::prelude::*;

    #[test]
    fn providers_are_trimmed_lowered_and_aliased() {
        for (typed, kept) in [
            (" Anthropic ", "anthropic"),
            ("X-AI", "xai"),
            ("a/b.c", "a/b.c"),
        ] {
            assert_eq!(ProviderId::parse(typed).unwrap().as_str(), kept);
        }
        for bad in ["", " ", "a b", "a:b", "-a", "ü", &"a".repeat(65)] {
            assert!(ProviderId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_profile_id_names_its_value_unless_openclaw_could_not_ask_for_it() {
        let main = AgentId::main();
        let work = AgentId::parse("work").unwrap();
        let id = |text: &str, agent: &AgentId| {
            ProfileId::parse(text).unwrap().secret_id(agent).to_string()
        };
        assert_eq!(id("anthropic:default", &main), "anthropic:default");
        assert_eq!(
            id("anthropic:default", &work),
            "agent/work/anthropic:default"
        );
        assert_eq!(
            id("openai:me@example.com", &main),
            "p-openai:me-example.com-d2665195"
        );
        assert_ne!(
            id("openai:me@example.com", &main),
            id("openai:me+example.com", &main)
        );
        assert!(id("provider/x", &main).starts_with("p-provider/x-"));
    }

    #[test]
    fn a_key_of_another_provider_is_questioned() {
        let doubt = |provider: &str, kind, value: &str| {
            doubt(
                &ProviderId::parse(provider).unwrap(),
                kind,
                &Secret::stored(value).unwrap(),
            )
        };
        assert_eq!(
            doubt("anthropic", ApiKey, "sk-proj-FAKE").as_deref(),
            Some("this looks like a credential of openai")
        );
        assert!(doubt("openai", ApiKey, "sk-FAKE").is_none());
        assert!(doubt("deepseek", ApiKey, "sk-FAKE").is_none());
        assert!(doubt("google-vertex", ApiKey, "AIzaFAKE").is_none());
        assert!(doubt("anthropic", ApiKey, "sk-ant-oat01-FAKE").is_some());
        assert!(doubt("anthropic", Token, "sk-ant-oat01-FAKE").is_none());
    }

    proptest! {
        #[test]
        fn every_profile_has_an_id_that_openclaw_can_ask_for(text in "\\PC{1,200}", other in "[a-z]{1,8}") {
            if let Ok(profile) = ProfileId::parse(&text) {
                for agent in [AgentId::main(), AgentId::parse(&other).unwrap()] {
                    let id = profile.secret_id(&agent);
                    prop_assert!(SecretId::parse(id.as_str()).is_ok());
                    prop_assert!(id.as_str() != "p-unnamed");
                }
            }
        }
    }
}
