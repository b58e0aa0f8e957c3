//! What OpenClaw's own command line says of its database: which profiles there are, in which order.
//! Ring 2'; asks, changes nothing.

use crate::error::{Error, Result};
use crate::openclaw::install::{Install, Output};
use crate::provider::{AgentId, ProfileId, ProviderId};
use serde_json::Value;
use std::time::Duration;

/// How long one answer may take: a cold start migrates the database.
const ANSWER: Duration = Duration::from_mins(3);

/// OpenClaw's code for a store that it has yet to import (2026.9.6), and the words of 2026.8.2.
const NOT_IMPORTED: [&str; 2] = [
    "AUTH_PROFILE_MIGRATION_REQUIRED",
    "requires legacy credential migration",
];

/// The profiles that the agent has, and whether each is an OAuth login. The list says not what they
/// hold, and another agent's shows main's as well.
///
/// # Errors
/// `Failed` when OpenClaw gives no such list.
pub fn profiles(install: &Install, agent: &AgentId) -> Result<Vec<(ProfileId, ProviderId, bool)>> {
    let agent = agent.as_str();
    let args = ["models", "auth", "--agent", agent, "list", "--json"];
    let document = ask(install, &args)?;
    let rows = document
        .get("profiles")
        .and_then(Value::as_array)
        .ok_or_else(|| unreadable(&args))?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            let text = |key: &str| row.get(key).and_then(Value::as_str);
            Some((
                ProfileId::parse(text("id")?).ok()?,
                ProviderId::parse(text("provider")?).ok()?,
                text("type") == Some("oauth"),
            ))
        })
        .collect())
}

/// The explicit order of a provider's profiles; `None` when there is none.
///
/// # Errors
/// `Failed` when OpenClaw does not answer.
pub fn order(
    install: &Install,
    agent: &AgentId,
    provider: &ProviderId,
) -> Result<Option<Vec<ProfileId>>> {
    let args = [
        "models",
        "auth",
        "order",
        "get",
        "--provider",
        provider.as_str(),
        "--agent",
        agent.as_str(),
        "--json",
    ];
    let document = ask(install, &args)?;
    let ids: Vec<ProfileId> = document
        .get("order")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|id| ProfileId::parse(id.as_str()?).ok())
        .collect();
    Ok((!ids.is_empty()).then_some(ids))
}

/// What `openclaw models status --json` says for the agent.
///
/// # Errors
/// `Failed` when OpenClaw gives no such document.
pub fn status(install: &Install, agent: &AgentId) -> Result<Value> {
    let mut args = vec!["models", "status", "--json"];
    if !agent.is_main() {
        args.extend(["--agent", agent.as_str()]);
    }
    ask(install, &args)
}

/// `said`, and what mends it.
pub fn needs_doctor(said: String) -> Error {
    Error::failed(said).hint("openclaw doctor --fix, then: clawkeep link")
}

fn ask(install: &Install, args: &[&str]) -> Result<Value> {
    let output = install.run(args, ANSWER, &[])?;
    if output.code == Some(0) {
        return document(&output).ok_or_else(|| unreadable(args));
    }
    let says = |text: &&str| output.stdout.contains(*text) || output.stderr.contains(*text);
    if NOT_IMPORTED.iter().any(says) {
        return Err(needs_doctor(format!(
            "OpenClaw {} has profiles of an older version that it has not imported yet",
            install.version()
        )));
    }
    Err(unreadable(args))
}

/// The JSON object that begins a line; banners may stand before it.
fn document(output: &Output) -> Option<Value> {
    let text = &output.stdout;
    let start = if text.starts_with('{') {
        0
    } else {
        text.find("\n{")? + 1
    };
    serde_json::Deserializer::from_str(&text[start..])
        .into_iter()
        .next()?
        .ok()
}

fn unreadable(args: &[&str]) -> Error {
    Error::failed(format!(
        "`openclaw {}` gave no answer that could be read",
        args.join(" ")
    ))
    .hint("openclaw config validate; openclaw doctor")
}
