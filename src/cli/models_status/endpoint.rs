//! Where a provider says whether it takes a credential, and how it wants to have it. Ring 4; makes text.
//!
//! Source: the providers' own reference pages for the list of models (of OpenRouter, whose list is open to
//! all, the page of the key).
//!
//! Promise: an address is https, or http on this machine itself, and leads to the host that it shows.

use super::curl::Header;
use super::gather::Gathered;
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
    if let Some(base) = custom.and_then(|custom| custom.base_url.as_deref()) {
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
    let base = base.trim_end_matches('/');
    match header {
        Header::Anthropic | Header::AnthropicToken if base.ends_with("/v1") => {
            format!("{base}/models?limit=1")
        }
        Header::Anthropic | Header::AnthropicToken => format!("{base}/v1/models?limit=1"),
        Header::Google => format!("{base}/models?pageSize=1"),
        Header::Bearer => format!("{base}/models"),
    }
}

/// The host of an address that a credential may go to; `None` for any other.
pub(super) fn host_of(url: &str) -> Option<String> {
    let plain = |c: char| {
        c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '<' | '>' | '^' | '`' | '{' | '|' | '}')
    };
    if !url.chars().all(plain) || url.len() > 2048 {
        return None;
    }
    let (is_https, host, name) = parts(url)?;
    let is_name = !name.is_empty()
        && !host.contains('@')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    (is_name && (is_https || is_here(url))).then(|| host.to_owned())
}

/// Whether an address is of this machine itself.
pub(super) fn is_here(url: &str) -> bool {
    parts(url).is_some_and(|(_, _, name)| matches!(name, "localhost" | "127.0.0.1" | "[::1]"))
}

/// Whether it is https, its host, and the host without its port.
fn parts(url: &str) -> Option<(bool, &str, &str)> {
    let (is_https, rest) = match url.strip_prefix("https://") {
        Some(rest) => (true, rest),
        None => (false, url.strip_prefix("http://")?),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = &rest[..end];
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    Some((is_https, host, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::ProviderId;
    use proptest::prelude::*;

    #[test]
    fn a_credential_goes_by_https_or_stays_on_this_machine() {
        for (url, host) in [
            ("https://api.example/v1/models", Some("api.example")),
            ("https://api.example:8443/x", Some("api.example:8443")),
            ("https://[::1]:1/x", Some("[::1]:1")),
            ("http://127.0.0.1:8080/v1", Some("127.0.0.1:8080")),
            ("http://localhost/v1", Some("localhost")),
            ("http://localhost.example/v1", None),
            ("http://api.example/v1", None),
            ("https://api.example@evil.example/", None),
            ("https://api.example\n--output x", None),
            ("https://{a,b}.example/", None),
            ("file:///etc/passwd", None),
            ("https:///x", None),
            ("HTTPS://api.example/", None),
        ] {
            assert_eq!(host_of(url).as_deref(), host, "{url}");
        }
    }

    #[test]
    fn every_known_address_is_one_that_may_be_asked() {
        for (name, url, _) in ENDPOINTS {
            assert!(
                url.starts_with("https://") && host_of(url).is_some(),
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
        ] {
            assert_eq!(list_of(base, header), wanted);
        }
    }

    proptest! {
        #[test]
        fn no_address_leads_elsewhere_than_it_says(url in "\\PC{0,40}", host in "[a-z.:@/\\[\\]#?0-9-]{0,20}") {
            for url in [url, format!("https://{host}"), format!("http://{host}")] {
                if let Some(found) = host_of(&url) {
                    prop_assert!(!found.contains(['@', '/', ' ', '\n']));
                    let https = format!("https://{found}");
                    prop_assert!(url.starts_with(&https) || url.starts_with("http://"));
                }
            }
        }
    }
}
