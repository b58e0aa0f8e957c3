//! Where a provider says whether it takes a credential, and how it wants to have it. Ring 4; makes text.
//!
//! Source: the providers' own reference pages for the list of models (of OpenRouter, whose list is open to
//! all, the page of the key).
//!
//! Promise: what is asked stands below the base address on its path, and after what the base asks itself.

use super::gather::Gathered;
use super::header::Header;
use crate::cli::address;
use crate::openclaw::profiles::{Profile, ProfileKind};
use crate::provider::SETUP_TOKEN_PREFIX;
use crate::secret::Secret;

/// Where a provider says whether it takes a key, and how it wants to have it.
const ENDPOINTS: [(&str, &str, Header); 14] = [
    (
        "anthropic",
        "https://api.anthropic.com/v1/models?limit=1",
        Header::Anthropic,
    ),
    (
        "cerebras",
        "https://api.cerebras.ai/v1/models",
        Header::Bearer,
    ),
    (
        "deepseek",
        "https://api.deepseek.com/models",
        Header::Bearer,
    ),
    (
        "fireworks",
        "https://api.fireworks.ai/inference/v1/models",
        Header::Bearer,
    ),
    (
        "google",
        "https://generativelanguage.googleapis.com/v1beta/models?pageSize=1",
        Header::Google,
    ),
    (
        "groq",
        "https://api.groq.com/openai/v1/models",
        Header::Bearer,
    ),
    (
        "huggingface",
        "https://huggingface.co/api/whoami-v2",
        Header::Bearer,
    ),
    (
        "mistral",
        "https://api.mistral.ai/v1/models",
        Header::Bearer,
    ),
    (
        "moonshot",
        "https://api.moonshot.ai/v1/models",
        Header::Bearer,
    ),
    ("openai", "https://api.openai.com/v1/models", Header::Bearer),
    (
        "openrouter",
        "https://openrouter.ai/api/v1/key",
        Header::Bearer,
    ),
    (
        "together",
        "https://api.together.xyz/v1/models",
        Header::Bearer,
    ),
    ("xai", "https://api.x.ai/v1/models", Header::Bearer),
    ("zai", "https://api.z.ai/api/paas/v4/models", Header::Bearer),
];

/// Where a profile's provider is asked.
pub(super) fn endpoint(
    gathered: &Gathered,
    profile: &Profile,
    value: &Secret,
) -> std::result::Result<(String, Header), String> {
    let provider = &profile.provider;
    let known = ENDPOINTS
        .iter()
        .find(|(name, _, _)| *name == provider.as_str());
    let is_token = profile.kind == ProfileKind::Token || value.starts_with(SETUP_TOKEN_PREFIX);
    let as_token = |header| match header {
        Header::Anthropic if is_token => Header::AnthropicToken,
        other => other,
    };
    let custom = gathered.custom(provider);
    let base = custom.and_then(|custom| custom.base_url.as_deref());
    // A base that is the provider's own says nothing new, and its list may be open to all.
    let is_own = |base: &&str| {
        known.is_some_and(|(_, url, _)| {
            address::host_of(url).is_some() && address::host_of(url) == address::host_of(base)
        })
    };
    if let Some(base) = base.filter(|base| !is_own(base)) {
        let api = custom.and_then(|custom| custom.api.as_deref());
        let header = match (api, known) {
            (Some(api), _) if api.starts_with("anthropic") => Header::Anthropic,
            (Some(api), _) if api.starts_with("google") => Header::Google,
            (Some(_), _) | (None, None) => Header::Bearer,
            (None, Some((_, _, header))) => *header,
        };
        return Ok((list_of(base, header), as_token(header)));
    }
    match known {
        Some((_, url, header)) => Ok(((*url).to_owned(), as_token(*header))),
        None => Err(format!("it is not known where {provider} can be asked")),
    }
}

/// The list of models below a base address.
fn list_of(base: &str, header: Header) -> String {
    let (path, asked) = address::split(base);
    let path = path.trim_end_matches('/');
    let (below, ours) = match header {
        Header::Anthropic | Header::AnthropicToken if path.ends_with("/v1") => {
            ("/models", Some("limit=1"))
        }
        Header::Anthropic | Header::AnthropicToken => ("/v1/models", Some("limit=1")),
        Header::Google => ("/models", Some("pageSize=1")),
        Header::Bearer => ("/models", None),
    };
    let asked: Vec<&str> = asked.into_iter().chain(ours).collect();
    let sign = if asked.is_empty() { "" } else { "?" };
    format!("{path}{below}{sign}{}", asked.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::ProviderId;

    #[test]
    fn every_known_address_is_one_that_may_be_asked() {
        for (name, url, _) in ENDPOINTS {
            assert!(
                url.starts_with("https://") && address::host_of(url).is_some(),
                "{name}"
            );
            assert!(ProviderId::parse(name).is_ok_and(|id| id.as_str() == name));
        }
        assert!(
            ENDPOINTS.windows(2).all(|pair| pair[0].0 < pair[1].0),
            "sorted, each once"
        );
    }

    #[test]
    fn the_list_of_models_is_below_the_base() {
        for (base, header, wanted) in [
            (
                "https://x",
                Header::Anthropic,
                "https://x/v1/models?limit=1",
            ),
            (
                "https://x/v1/",
                Header::Anthropic,
                "https://x/v1/models?limit=1",
            ),
            ("https://x/v1", Header::Bearer, "https://x/v1/models"),
            (
                "https://x/v1beta",
                Header::Google,
                "https://x/v1beta/models?pageSize=1",
            ),
            (
                "https://x/v1?key=a/b#c",
                Header::Bearer,
                "https://x/v1/models?key=a/b",
            ),
            (
                "https://x/v1/?key=FAKE&b",
                Header::Anthropic,
                "https://x/v1/models?key=FAKE&b&limit=1",
            ),
            (
                "https://x?key=/v1",
                Header::Google,
                "https://x/models?key=/v1&pageSize=1",
            ),
            ("https://x/v1?#", Header::Bearer, "https://x/v1/models"),
        ] {
            assert_eq!(list_of(base, header), wanted);
        }
    }
}
