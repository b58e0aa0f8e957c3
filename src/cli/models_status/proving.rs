//! Whether the references resolve. Ring 4; asks nobody but programs, and never a person.
//!
//! With `--check` the program is started that openclaw.json names, as OpenClaw starts it. Otherwise it is
//! looked up whether the vault has the values, where it is open.

use super::vault::{State, Vault};
use crate::cli::app::App;
use crate::cli::opened::Opened;
use crate::cli::{pins, proof};
use crate::error::Error;
use crate::keeper::Release;
use crate::keeper::pointer::Pointer;
use crate::keeper::published::Published;
use crate::openclaw::command;
use crate::openclaw::config::Config;
use crate::openclaw::elsewhere::{LONGEST_LIMIT_MS, USUAL_LIMIT_MS, answer};
use crate::openclaw::reference::SECRET_PROVIDER;
use crate::secret::SELECTION_PREFIX;
use crate::status::Proof;
use crate::store::Store as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// OpenClaw's own bound for one question.
const MOST_IDS: usize = 512;

/// The code of the protocol for a value that is not there.
const NOT_FOUND: &str = "NOT_FOUND";

/// What the vault's list says, or nothing.
pub(super) fn by_list(vault: &Vault, ids: &BTreeSet<String>) -> Proof {
    if ids.is_empty() {
        return Proof::Nothing;
    }
    match &vault.state {
        State::Open(opened) => listed(opened, ids),
        other => other.unproven(),
    }
}

fn listed(opened: &Opened, ids: &BTreeSet<String>) -> Proof {
    let stored = match opened.list() {
        Ok(stored) => stored,
        Err(error) => return failed(&error),
    };
    let has = |id: &str| {
        id.strip_prefix(SELECTION_PREFIX).map_or_else(
            || stored.iter().any(|(stored, _)| stored.as_str() == id),
            |provider| {
                let mut of = stored.iter().filter_map(|(_, meta)| meta.provider.as_ref());
                of.any(|of| of.as_str() == provider)
            },
        )
    };
    Proof::Asked {
        as_gateway: false,
        answers: ids
            .iter()
            .map(|id| (id.clone(), (!has(id)).then(|| NOT_FOUND.to_owned())))
            .collect(),
    }
}

fn failed(error: &Error) -> Proof {
    let hint = error.hint_text().unwrap_or("clawkeep doctor");
    Proof::Failed {
        what: error.message().to_owned(),
        hint: Some(hint.to_owned()),
    }
}

/// What the program answers that OpenClaw asks.
pub(super) fn as_gateway(
    app: &App,
    vault: &Vault,
    config: Option<&Config>,
    ids: &BTreeSet<String>,
) -> Proof {
    if ids.is_empty() {
        return Proof::Nothing;
    }
    let State::Open(opened) = &vault.state else {
        return vault.state.unproven();
    };
    // Nothing asks it yet.
    let Some(config) = config else {
        return listed(opened, ids);
    };
    let args = texts(config, &pins::ARGS);
    if let Some(reason) = withheld(app, &args) {
        return Proof::NotProven {
            reason: reason.to_owned(),
            is_locked: true,
        };
    }
    match program(app, config) {
        Ok(program) => ask(app, config, &program, &args, ids),
        Err(error) => failed(&error),
    }
}

/// Why the program must not be asked: it would answer others alone, or have nothing left for them.
fn withheld(app: &App, args: &[String]) -> Option<&'static str> {
    let pointer = Pointer::load(&app.dir).ok().flatten();
    let is_isolated = pointer
        .as_ref()
        .is_some_and(|pointer| pointer.gateway_unit.is_some());
    if is_isolated || pins::asks_keeper(args) {
        return Some("the keeper answers the gateway's unit alone");
    }
    let published = Published::load(&app.dir).ok().flatten();
    let is_once = published.is_some_and(|said| said.release == Release::Once)
        || pointer.is_some_and(|pointer| pointer.release == Release::Once);
    is_once.then_some("the keeper gives each value once, and this would take it")
}

/// The program that OpenClaw starts for this vault, if it would.
fn program(app: &App, config: &Config) -> crate::error::Result<PathBuf> {
    let said = config.path().display();
    let named = config.string_at(&entry("command"));
    let Some(named) = named.filter(|_| config.has(&pins::ARGS)) else {
        return Err(Error::failed(format!(
            "{said} has no entry secrets.providers.{SECRET_PROVIDER} any more: nobody asks the vault"
        ))
        .hint("clawkeep link"));
    };
    if let Some(other) = pins::other_vault(config, &app.dir) {
        return Err(
            Error::failed(format!("{said} asks another vault, {}", other.display()))
                .hint("clawkeep link"),
        );
    }
    let program = PathBuf::from(named.as_str());
    command::check(&program)?;
    Ok(program)
}

fn ask(
    app: &App,
    config: &Config,
    program: &std::path::Path,
    args: &[String],
    ids: &BTreeSet<String>,
) -> Proof {
    let limit = config.get(&entry("timeoutMs")).and_then(|ms| ms.as_u64());
    let limit = limit.unwrap_or(USUAL_LIMIT_MS).clamp(1, LONGEST_LIMIT_MS);
    let pass_env = texts(config, &entry("passEnv"));
    let ids: Vec<String> = ids.iter().cloned().collect();
    let mut answers = BTreeMap::new();
    for some in ids.chunks(MOST_IDS) {
        let asked = proof::ask_within(
            Duration::from_millis(limit),
            &app.host,
            program,
            args,
            &pass_env,
            some,
        );
        match asked {
            Ok((answered, _)) => answers.extend(some.iter().map(|id| {
                let code = answered
                    .value(id)
                    .is_none()
                    .then(|| word(answered.code(id).unwrap_or("NO_ANSWER")));
                (id.clone(), code)
            })),
            Err(error) => return failed(&error),
        }
    }
    Proof::Asked {
        as_gateway: true,
        answers,
    }
}

/// A code is a word; anything else is not repeated.
fn word(code: &str) -> String {
    let code = if answer::is_word(code) {
        code
    } else {
        "UNKNOWN"
    };
    code.to_owned()
}

fn entry(setting: &'static str) -> [&'static str; 4] {
    ["secrets", "providers", SECRET_PROVIDER, setting]
}

fn texts(config: &Config, path: &[&str]) -> Vec<String> {
    let list = config.get(path);
    let texts = list
        .as_ref()
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    texts.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_word_is_taken_for_a_code() {
        assert_eq!(word("NOT_FOUND"), "NOT_FOUND");
        assert_eq!(word("a\\x1b[2J"), "UNKNOWN");
        assert_eq!(word(&"A".repeat(65)), "UNKNOWN");
    }
}
