//! Which paths of `openclaw.json` take a SecretRef. Ring 2'; data, and how to look into it.
//!
//! Source: OpenClaw's own matrices of user-supplied credentials, 2026.9.6 and 2026.6.1. What an
//! installed version takes is for that version to say: its validation and its dry run decide, this
//! table only says where it is worth to ask. (2026.2.26 has no matrix; 2026.6.1 lacks some of the
//! newer paths, `gateway.auth.token` is taken from 2026.3.7 on.)

use crate::openclaw::version::{Lane, Version};

/// Every path that takes a ref in 2026.6.1 and in 2026.9.6, sorted. `*` stands for any key.
const COMMON_PATHS: &[&str] = &[
    "channels.discord.accounts.*.pluralkit.token",
    "channels.discord.accounts.*.token",
    "channels.discord.accounts.*.voice.tts.providers.*.apiKey",
    "channels.discord.pluralkit.token",
    "channels.discord.token",
    "channels.discord.voice.tts.providers.*.apiKey",
    "channels.feishu.accounts.*.appSecret",
    "channels.feishu.accounts.*.encryptKey",
    "channels.feishu.accounts.*.verificationToken",
    "channels.feishu.appSecret",
    "channels.feishu.encryptKey",
    "channels.feishu.verificationToken",
    "channels.googlechat.accounts.*.serviceAccount",
    "channels.googlechat.serviceAccount",
    "channels.irc.accounts.*.nickserv.password",
    "channels.irc.accounts.*.password",
    "channels.irc.nickserv.password",
    "channels.irc.password",
    "channels.matrix.accessToken",
    "channels.matrix.accounts.*.accessToken",
    "channels.matrix.accounts.*.password",
    "channels.matrix.password",
    "channels.mattermost.accounts.*.botToken",
    "channels.mattermost.botToken",
    "channels.msteams.appPassword",
    "channels.nextcloud-talk.accounts.*.apiPassword",
    "channels.nextcloud-talk.accounts.*.botSecret",
    "channels.nextcloud-talk.apiPassword",
    "channels.nextcloud-talk.botSecret",
    "channels.qqbot.accounts.*.clientSecret",
    "channels.qqbot.clientSecret",
    "channels.slack.accounts.*.appToken",
    "channels.slack.accounts.*.botToken",
    "channels.slack.accounts.*.signingSecret",
    "channels.slack.accounts.*.userToken",
    "channels.slack.appToken",
    "channels.slack.botToken",
    "channels.slack.signingSecret",
    "channels.slack.userToken",
    "channels.sms.accounts.*.authToken",
    "channels.sms.authToken",
    "channels.telegram.accounts.*.botToken",
    "channels.telegram.accounts.*.webhookSecret",
    "channels.telegram.botToken",
    "channels.telegram.webhookSecret",
    "channels.zalo.accounts.*.botToken",
    "channels.zalo.accounts.*.webhookSecret",
    "channels.zalo.botToken",
    "channels.zalo.webhookSecret",
    "cron.webhookToken",
    "gateway.auth.password",
    "gateway.auth.token",
    "gateway.remote.password",
    "gateway.remote.token",
    "models.providers.*.apiKey",
    "models.providers.*.headers.*",
    "models.providers.*.request.auth.token",
    "models.providers.*.request.auth.value",
    "models.providers.*.request.headers.*",
    "models.providers.*.request.proxy.tls.ca",
    "models.providers.*.request.proxy.tls.cert",
    "models.providers.*.request.proxy.tls.key",
    "models.providers.*.request.proxy.tls.passphrase",
    "models.providers.*.request.tls.ca",
    "models.providers.*.request.tls.cert",
    "models.providers.*.request.tls.key",
    "models.providers.*.request.tls.passphrase",
    "plugins.entries.acpx.config.mcpServers.*.env.*",
    "plugins.entries.brave.config.webSearch.apiKey",
    "plugins.entries.exa.config.webSearch.apiKey",
    "plugins.entries.firecrawl.config.webSearch.apiKey",
    "plugins.entries.google.config.webSearch.apiKey",
    "plugins.entries.minimax.config.webSearch.apiKey",
    "plugins.entries.moonshot.config.webSearch.apiKey",
    "plugins.entries.perplexity.config.webSearch.apiKey",
    "plugins.entries.tavily.config.webSearch.apiKey",
    "plugins.entries.voice-call.config.realtime.providers.*.apiKey",
    "plugins.entries.voice-call.config.streaming.providers.*.apiKey",
    "plugins.entries.voice-call.config.tts.providers.*.apiKey",
    "plugins.entries.voice-call.config.twilio.authToken",
    "plugins.entries.xai.config.webSearch.apiKey",
    "skills.entries.*.apiKey",
    "talk.providers.*.apiKey",
];

/// What 2026.6.1 takes besides: paths that later versions gave other names. `[]` stands for any
/// element of an array.
const OLDER_PATHS: &[&str] = &[
    "agents.defaults.memorySearch.remote.apiKey",
    "agents.list[].memorySearch.remote.apiKey",
    "agents.list[].tts.providers.*.apiKey",
    "messages.tts.providers.*.apiKey",
    "tools.web.fetch.firecrawl.apiKey",
    "tools.web.search.*.apiKey",
    "tools.web.search.apiKey",
];

/// What 2026.9.6 takes besides.
const NEWER_PATHS: &[&str] = &[
    "agents.entries.*.memory.search.remote.apiKey",
    "agents.entries.*.tts.personas.*.providers.*.apiKey",
    "agents.entries.*.tts.providers.*.apiKey",
    "channels.buzz.accounts.*.authTag",
    "channels.buzz.accounts.*.privateKey",
    "channels.buzz.authTag",
    "channels.buzz.privateKey",
    "channels.clickclack.accounts.*.token",
    "channels.clickclack.token",
    "channels.discord.accounts.*.voice.realtime.providers.*.apiKey",
    "channels.discord.accounts.*.voice.tts.personas.*.providers.*.apiKey",
    "channels.discord.voice.realtime.providers.*.apiKey",
    "channels.discord.voice.tts.personas.*.providers.*.apiKey",
    "channels.nostr.privateKey",
    "channels.slack.accounts.*.relay.authToken",
    "channels.slack.relay.authToken",
    "memory.search.remote.apiKey",
    "plugins.entries.codex.config.appServer.authToken",
    "plugins.entries.codex.config.appServer.headers.*",
    "plugins.entries.comfy.config.headers.*",
    "plugins.entries.facetime.config.realtime.providers.*.apiKey",
    "plugins.entries.firecrawl.config.webFetch.apiKey",
    "plugins.entries.google-meet.config.realtime.providers.*.apiKey",
    "plugins.entries.google.config.webSearch.headers.*",
    "plugins.entries.imap.config.accounts.*.password",
    "plugins.entries.parallel.config.webSearch.apiKey",
    "plugins.entries.team-reports.config.discord.token",
    "plugins.entries.team-reports.config.github.token",
    "plugins.entries.typesafe.config.apiKey",
    "plugins.entries.webhooks.config.routes.*.secret",
    "talk.realtime.providers.*.apiKey",
    "tts.personas.*.providers.*.apiKey",
    "tts.providers.*.apiKey",
];

const RUNTIME: &str = "OpenClaw makes or changes it itself, so it takes no ref there";

/// Credentials that never take a ref, and why.
const EXCLUDED: &[(&str, &str)] = &[
    (
        "channels.discord.accounts.*.threadBindings.webhookToken",
        RUNTIME,
    ),
    ("channels.discord.threadBindings.webhookToken", RUNTIME),
    ("channels.whatsapp.accounts.*.creds.json", RUNTIME),
    ("channels.whatsapp.creds.json", RUNTIME),
    ("commands.ownerDisplaySecret", RUNTIME),
    ("hooks.gmail.pushToken", HOOKS),
    ("hooks.mappings[].sessionKey", HOOKS),
    ("hooks.token", HOOKS),
];

const HOOKS: &str = "OpenClaw takes no ref for its hooks";

/// Whether a version of OpenClaw takes a ref at `path` of `openclaw.json`. Keys and indices from the
/// root; a provider's or profile's name is one key, whatever dots are in it.
pub fn takes_ref(path: &[String]) -> bool {
    COMMON_PATHS
        .iter()
        .chain(OLDER_PATHS)
        .chain(NEWER_PATHS)
        .any(|pattern| fits(pattern, path))
}

/// Whether this version takes no ref at `path`. Of versions between the two that are known (2026.6.1 and
/// 2026.9.6) it is said only where neither takes one.
pub fn ignores_ref(path: &[String], version: &Version) -> bool {
    let is_in = |table: &[&str]| table.iter().any(|pattern| fits(pattern, path));
    if !takes_ref(path) {
        return true;
    }
    if path.join(".") == "gateway.auth.token" {
        return !version.takes_gateway_ref();
    }
    let newest = Version::parse("2026.9.6").is_ok_and(|newest| *version >= newest);
    match version.lane() {
        Lane::File => is_in(NEWER_PATHS),
        Lane::Plan => newest && is_in(OLDER_PATHS),
    }
}

/// Why OpenClaw never takes a ref at `path`; `None` when the table says nothing of it.
pub(super) fn never(path: &[String]) -> Option<&'static str> {
    EXCLUDED
        .iter()
        .find(|(pattern, _)| fits(pattern, path))
        .map(|(_, reason)| *reason)
}

fn fits(pattern: &str, path: &[String]) -> bool {
    let mut keys = path.iter();
    for part in pattern.split('.') {
        let (name, element) = match part.strip_suffix("[]") {
            Some(name) => (name, true),
            None => (part, false),
        };
        if !keys.next().is_some_and(|key| name == "*" || key == name) {
            return false;
        }
        let index = |key: &String| key.bytes().all(|b| b.is_ascii_digit());
        if element && !keys.next().is_some_and(index) {
            return false;
        }
    }
    keys.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn matrix(text: &str, part: &str) -> BTreeSet<String> {
        let matrix: Value = serde_json::from_str(text).unwrap();
        let texts = |list: &Value| {
            list.as_array()
                .unwrap()
                .iter()
                .map(|path| path.as_str().unwrap().to_owned())
                .collect()
        };
        texts(&matrix[part])
    }

    const NEWEST: &str = include_str!("../../../tests/data/secretref-paths-2026.9.6.json");
    const OLDER: &str = include_str!("../../../tests/data/secretref-paths-2026.6.1.json");

    fn set(paths: &[&str]) -> BTreeSet<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn the_paths_are_those_of_openclaws_matrices() {
        let newest = matrix(NEWEST, "openclaw.json");
        assert_eq!(newest.len(), 116);
        assert_eq!(&set(COMMON_PATHS) | &set(NEWER_PATHS), newest);
        let older = matrix(OLDER, "openclaw.json");
        let only_older: BTreeSet<String> = older.difference(&newest).cloned().collect();
        assert_eq!(set(OLDER_PATHS), only_older);
        assert!(COMMON_PATHS.is_sorted() && OLDER_PATHS.is_sorted() && NEWER_PATHS.is_sorted());
    }

    #[test]
    fn what_the_matrices_exclude_is_excluded_with_a_reason() {
        let mut excluded = matrix(NEWEST, "excluded");
        excluded.extend(matrix(OLDER, "excluded"));
        // Logins are in the profiles, not in openclaw.json.
        assert!(excluded.remove("auth-profiles.oauth.*"));
        let here: BTreeSet<String> = EXCLUDED
            .iter()
            .map(|(path, reason)| {
                assert!(!reason.is_empty());
                (*path).to_owned()
            })
            .collect();
        assert_eq!(here, excluded);
    }

    #[test]
    fn profiles_hold_what_the_matrix_says() {
        for version in [NEWEST, OLDER] {
            assert_eq!(
                matrix(version, "auth-profile-store"),
                set(&["profiles.*.key", "profiles.*.token"])
            );
        }
    }

    #[test]
    fn what_came_later_and_what_went_is_known_by_version() {
        let newest = matrix(NEWEST, "openclaw.json");
        let older = matrix(OLDER, "openclaw.json");
        let later: BTreeSet<String> = newest.difference(&older).cloned().collect();
        assert_eq!(set(NEWER_PATHS), later);
        let ignores = |path: &str, version: &str| {
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            ignores_ref(&path, &Version::parse(version).unwrap())
        };
        for (path, version, said) in [
            ("hooks.token", "2026.9.6", true),
            ("memory.search.remote.apiKey", "2026.6.1", true),
            ("memory.search.remote.apiKey", "2026.9.6", false),
            ("tools.web.search.apiKey", "2026.6.1", false),
            ("tools.web.search.apiKey", "2026.8.2", false),
            ("tools.web.search.apiKey", "2026.9.6", true),
            ("gateway.auth.token", "2026.3.2", true),
            ("gateway.auth.token", "2026.3.7", false),
            ("models.providers.anthropic.apiKey", "2026.2.26", false),
        ] {
            assert_eq!(ignores(path, version), said, "{path} {version}");
        }
    }

    #[test]
    fn a_pattern_fits_whole_paths_only() {
        let path = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let yes: [&[&str]; 5] = [
            &["gateway", "auth", "token"],
            &["models", "providers", "my.own/provider", "apiKey"],
            &["models", "providers", "*", "headers", "X-Api-Key"],
            &["agents", "list", "12", "memorySearch", "remote", "apiKey"],
            &["tools", "web", "search", "apiKey"],
        ];
        for keys in yes {
            assert!(takes_ref(&path(keys)), "{keys:?}");
        }
        let no: [&[&str]; 6] = [
            &[],
            &["gateway", "auth"],
            &["gateway", "auth", "token", "id"],
            &["gateway.auth.token"],
            &["agents", "list", "x", "memorySearch", "remote", "apiKey"],
            &["hooks", "token"],
        ];
        for keys in no {
            assert!(!takes_ref(&path(keys)), "{keys:?}");
        }
        assert!(never(&path(&["hooks", "mappings", "0", "sessionKey"])).is_some());
        assert!(never(&path(&["hooks", "mappings", "sessionKey"])).is_none());
    }
}
