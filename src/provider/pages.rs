//! Where a person makes a new key and revokes an old one. Ring 0: data.
//!
//! Source: the providers' own documentation, 2026. No page is opened by this program.

use super::ProviderId;

/// Each provider's page for keys, sorted by provider.
pub const PAGES: &[(&str, &str)] = &[
    ("anthropic", "https://console.anthropic.com/settings/keys"),
    ("cerebras", "https://cloud.cerebras.ai/platform"),
    ("deepgram", "https://console.deepgram.com/"),
    ("deepinfra", "https://deepinfra.com/dash/api_keys"),
    ("deepseek", "https://platform.deepseek.com/api_keys"),
    ("elevenlabs", "https://elevenlabs.io/app/settings/api-keys"),
    ("exa", "https://dashboard.exa.ai/api-keys"),
    ("fal", "https://fal.ai/dashboard/keys"),
    ("firecrawl", "https://www.firecrawl.dev/app/api-keys"),
    (
        "fireworks",
        "https://app.fireworks.ai/settings/users/api-keys",
    ),
    ("github-copilot", "https://github.com/settings/tokens"),
    ("google", "https://aistudio.google.com/apikey"),
    ("groq", "https://console.groq.com/keys"),
    ("huggingface", "https://huggingface.co/settings/tokens"),
    (
        "minimax",
        "https://platform.minimax.io/user-center/basic-information/interface-key",
    ),
    ("mistral", "https://console.mistral.ai/api-keys"),
    ("moonshot", "https://platform.moonshot.ai/console/api-keys"),
    ("novita", "https://novita.ai/settings/key-management"),
    ("nvidia", "https://build.nvidia.com/settings/api-keys"),
    ("openai", "https://platform.openai.com/api-keys"),
    ("opencode", "https://opencode.ai/auth"),
    ("openrouter", "https://openrouter.ai/settings/keys"),
    ("perplexity", "https://www.perplexity.ai/account/api/keys"),
    ("tavily", "https://app.tavily.com/home"),
    ("together", "https://api.together.ai/settings/api-keys"),
    ("venice", "https://venice.ai/settings/api"),
    (
        "voyage",
        "https://dashboard.voyageai.com/organization/api-keys",
    ),
    ("xai", "https://console.x.ai/"),
    ("zai", "https://z.ai/manage-apikey/apikey-list"),
];

/// The page of a provider; `None` where none is known.
pub fn of(provider: &ProviderId) -> Option<&'static str> {
    PAGES
        .binary_search_by_key(&provider.as_str(), |(name, _)| *name)
        .ok()
        .map(|at| PAGES[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_are_sorted_and_of_known_providers() {
        assert!(PAGES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (name, page) in PAGES {
            let provider = ProviderId::parse(name).unwrap();
            assert!(
                !crate::provider::variables::of(&provider).is_empty(),
                "{name}"
            );
            assert!(page.starts_with("https://") && !page.contains(' '));
            assert_eq!(of(&provider), Some(*page));
        }
        assert_eq!(of(&ProviderId::parse("nobody").unwrap()), None);
    }
}
