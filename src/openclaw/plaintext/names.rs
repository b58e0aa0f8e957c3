//! What the name or the shape of a value says: whether it is meant to be a credential. Ring 2'; pure.

use crate::openclaw::config::names_credential;
use crate::provider::is_shaped_as_credential;

/// Headers that carry a credential, as OpenClaw's audit names them
/// (`src/secrets/model-provider-header-policy.ts`, 2026.6.1 and 2026.9.6), and cookies.
const HEADERS: [&str; 7] = [
    "authorization",
    "cookie",
    "auth-token",
    "access-token",
    "x-auth-token",
    "x-access-token",
    "secret-key",
];

/// Parts of the names of such headers.
const HEADER_PARTS: [&str; 6] = [
    "api-key",
    "apikey",
    "token",
    "secret",
    "password",
    "credential",
];

/// Settings that are named like a credential and are none: what names a session, a person or what all
/// may know.
const HARMLESS: [&str; 8] = [
    "mainkey",
    "sessionkey",
    "publickey",
    "defaultaccount",
    "account",
    "cachekey",
    "idempotencykey",
    "hotkey",
];

/// Below this many bytes a value in a setting named `…key`, `…account` or `…credentials` is taken for
/// a word.
const SHORT: usize = 12;

/// Whether a header of that name carries a credential.
pub(super) fn is_secret_header(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    HEADERS.contains(&name.as_str())
        || name == "proxy-authorization"
        || HEADER_PARTS.iter().any(|part| name.contains(part))
}

/// Whether a string that no table knows is meant to be a credential: by the name of its key (of an
/// array's element, the array's), or by the shape of a known provider's keys, alone or behind a word
/// such as `Bearer` or `--key=`.
pub(super) fn means_credential(path: &[String], value: &str) -> bool {
    let apart = |c: char| c.is_whitespace() || matches!(c, '=' | ',' | ';' | '"' | '\'');
    let shaped = value.split(apart).any(is_shaped_as_credential);
    let header = |name| {
        let above = path.len().checked_sub(2).map(|at| &path[at]);
        above.is_some_and(|above| above.to_ascii_lowercase().ends_with("headers"))
            && is_secret_header(name)
    };
    shaped || named(path).is_some_and(|name| header(name) || is_named(name, value))
}

/// The key that names a value: the last that is no index.
fn named(path: &[String]) -> Option<&str> {
    let index = |key: &&String| key.bytes().all(|b| b.is_ascii_digit());
    path.iter()
        .rev()
        .find(|key| !index(key))
        .map(String::as_str)
}

fn is_named(name: &str, value: &str) -> bool {
    let plain = name.to_lowercase().replace(['-', '_'], "");
    if HARMLESS.contains(&plain.as_str()) {
        return false;
    }
    let one = name.strip_suffix('s').unwrap_or(name);
    if !names_credential(name) && !names_credential(one) {
        return false;
    }
    let one = plain.strip_suffix('s').unwrap_or(&plain);
    let certain = [
        "token",
        "secret",
        "password",
        "passphrase",
        "authtag",
        "apikey",
        "privatekey",
    ];
    if certain.iter().any(|end| one.ends_with(end)) {
        return true;
    }
    // `credentials: "~/file.json"` names a file, `key: "main"` a thing.
    let is_path = value.starts_with(['/', '~']) || value.starts_with("./");
    value.len() >= SHORT && !is_path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn means(path: &[&str], value: &str) -> bool {
        let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
        means_credential(&path, value)
    }

    #[test]
    fn headers_are_judged_as_openclaws_audit_judges_them() {
        for name in [
            "Authorization",
            "X-API-Key",
            " api-key ",
            "x-goog-secret",
            "My-Token",
            "cookie",
        ] {
            assert!(is_secret_header(name), "{name}");
        }
        for name in [
            "anthropic-version",
            "HTTP-Referer",
            "X-Title",
            "User-Agent",
            "",
        ] {
            assert!(!is_secret_header(name), "{name}");
        }
    }

    #[test]
    fn a_name_or_a_shape_makes_a_credential() {
        let shaped = "sk-FAKE-0123456789abcdef";
        for (path, value) in [
            (&["a", "botToken"][..], "short"),
            (&["a", "GITHUB_TOKEN"], "FAKE"),
            (&["a", "tokens", "0"], "FAKE"),
            (&["a", "signingKey"], "FAKE0123456789"),
            (&["a", "args", "1"], shaped),
            (&["a", "note"], &format!("Bearer {shaped}")),
            (&["a", "args", "0"], &format!("--key={shaped}")),
            (&["headers", "Cookie"], "FAKE=1"),
        ] {
            assert!(means(path, value), "{path:?}");
        }
        for (path, value) in [
            (&["session", "mainKey"][..], "the-main-session-key"),
            (&["session", "publicKey"], "FAKE0123456789abcdef"),
            (&["a", "key"], "main"),
            (&["a", "credentials"], "/etc/fake/credentials.json"),
            (&["a", "mode"], "token"),
            (&["a", "tokenFile"], "/run/FAKE/token"),
            (&["0"], "FAKE0123456789abcdef"),
        ] {
            assert!(!means(path, value), "{path:?}");
        }
    }
}
