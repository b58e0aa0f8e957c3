//! The gateway's own token: what stands in its slot and what becomes of it.

use super::{Edit, Migrating, owned};
use crate::openclaw::config::Config;
use crate::openclaw::reference::{GATEWAY_TOKEN, SECRET_PROVIDER, SecretRef};
use crate::openclaw::version::Version;
use crate::secret::{Alphabet, Secret};

/// What linking does with the gateway's token.
#[derive(Debug)]
pub enum GatewayToken {
    /// It stands in plaintext: this value goes into the vault unchanged, and the ref in its place.
    KeepInVault(Secret),
    /// There is none: the caller makes a random one and stores it.
    Random,
    /// The slot holds our ref already.
    AlreadyOurs,
    /// It stays as it is, for this reason (a clause).
    LeftAlone(String),
}

const TOKEN: [&str; 3] = ["gateway", "auth", "token"];
const REMOTE: [&str; 3] = ["gateway", "remote", "token"];

/// What OpenClaw's own output shows in place of a value. As a value it is no token.
const REDACTED: &str = "__OPENCLAW_REDACTED__";

/// The decision, and the edits that it needs.
pub(super) fn decide(
    config: &Config,
    version: &Version,
    variable: bool,
    migrating: &Migrating,
) -> (GatewayToken, Vec<Edit>, Vec<String>) {
    let token = look(config, version, variable, migrating.gateway_token);
    let reference = SecretRef {
        provider: SECRET_PROVIDER.to_owned(),
        id: GATEWAY_TOKEN.to_owned(),
    };
    let put = |path: [&str; 3]| Edit {
        path: owned(&path),
        value: Some(reference.to_value()),
    };
    let mut edits = Vec::new();
    let mut notes = Vec::new();
    if let GatewayToken::KeepInVault(_) | GatewayToken::Random = token {
        edits.push(put(TOKEN));
    }
    let remote = config.string_at(&REMOTE);
    let remote = remote
        .filter(|text| !text.trim().is_empty() && !is_variable(text))
        .filter(|_| !migrating.slots.contains_key(owned(&REMOTE).as_slice()));
    match (&token, remote) {
        (GatewayToken::KeepInVault(value), Some(remote))
            if Secret::stored(&remote).is_ok_and(|remote| remote.same_as(value)) =>
        {
            edits.push(put(REMOTE));
        }
        (_, Some(_)) => notes.push(
            "gateway.remote.token holds another token in plaintext; it stays as it is".to_owned(),
        ),
        (_, None) => {}
    }
    if let GatewayToken::LeftAlone(reason) = &token {
        notes.push(format!("the gateway's token is left as it is: {reason}"));
    }
    (token, edits, notes)
}

/// Why the gateway's token would stay where it is although its value was on its way into the vault, a
/// clause; `None` when a reference can take its place.
pub fn token_stays(config: &Config, version: &Version) -> Option<String> {
    match look(config, version, false, true) {
        GatewayToken::LeftAlone(reason) => Some(reason),
        GatewayToken::KeepInVault(_) | GatewayToken::Random | GatewayToken::AlreadyOurs => None,
    }
}

/// `migrating`: a variable that holds it is on its way into the vault.
fn look(config: &Config, version: &Version, variable: bool, migrating: bool) -> GatewayToken {
    let left = |reason: &str| GatewayToken::LeftAlone(reason.to_owned());
    if let Some(found) = config.get(&TOKEN).as_ref().and_then(SecretRef::from_value)
        && found.is_ours()
    {
        return if found.id == GATEWAY_TOKEN {
            GatewayToken::AlreadyOurs
        } else {
            left("gateway.auth.token is a ref to another secret of the vault")
        };
    }
    if !version.takes_gateway_ref() {
        return left("before 2026.3.7 OpenClaw takes no ref at gateway.auth.token");
    }
    let mode = config.string_at(&["gateway", "auth", "mode"]);
    if let Some(mode) = &mode
        && mode.as_str() != "token"
    {
        return left("gateway.auth.mode is not token");
    }
    if mode.is_none() && config.has(&["gateway", "auth", "password"]) {
        // With both and no mode OpenClaw does not start; with the password alone it uses that.
        return left("the gateway has a password and no gateway.auth.mode");
    }
    if let Some(text) = config.string_at(&TOKEN) {
        if is_variable(&text) && migrating {
            return GatewayToken::Random;
        }
        if is_variable(&text) {
            return left("gateway.auth.token names an environment variable");
        }
        if text.as_str() == REDACTED {
            return left(
                "gateway.auth.token holds the text that OpenClaw shows instead of a value",
            );
        }
        if !text.trim().is_empty() {
            return match Secret::new(text.as_bytes(), Alphabet::Text) {
                Ok(value) => GatewayToken::KeepInVault(value),
                Err(error) => GatewayToken::LeftAlone(error.message().to_owned()),
            };
        }
    } else if config.has(&TOKEN) {
        return left("gateway.auth.token is a ref that another secret provider answers");
    }
    if variable {
        return left("the environment sets OPENCLAW_GATEWAY_TOKEN");
    }
    let gateway = config.string_at(&["gateway", "mode"]);
    if gateway.is_some_and(|mode| mode.as_str() == "remote") {
        return left("the gateway runs on another machine (gateway.mode is remote)");
    }
    GatewayToken::Random
}

/// Whether OpenClaw reads the text as the name of an environment variable: `$NAME`, `${NAME}`.
pub(crate) fn is_variable(text: &str) -> bool {
    let Some(rest) = text.trim().strip_prefix('$') else {
        return false;
    };
    let name = rest
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap_or(rest);
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}
