//! From the user's own gateway to the system's, and the proof that it is given its values. Ring 4.

use super::install::Plan;
use super::keeper;
use super::wish::Wish;
use crate::cli::app::App;
use crate::cli::service::Target;
use crate::cli::service::ask::{Ask, Side, nonsense};
use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::service::user::User;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a gateway may take until it has asked for its values: its start on a loaded machine.
const GATEWAY: Duration = Duration::from_secs(90);

/// How long it may take from its first value to its last. One that is linked and not in use is never
/// asked for.
const LAST: Duration = Duration::from_secs(10);

/// Stops the user's own gateway, starts the system's, and waits until it was given values. The ids that
/// it got.
///
/// # Errors
/// `Failed`, as not isolated yet, when the gateway does not start or asks for nothing.
pub fn switch(
    app: &App,
    target: &Target,
    side: &mut dyn Side,
    plan: &Plan,
) -> Result<BTreeSet<String>> {
    if let Some(unit) = &plan.becomes.replaces {
        for line in side.act(&Ask::Isolated(Wish::Stop(unit.clone())))? {
            app.ui.say(&line);
        }
    }
    let manager = target.manager();
    let since = app.host.now();
    let unit = &*plan.becomes.unit;
    let not_yet = |why: String| {
        Error::failed(format!(
            "not isolated yet: {why}; what is left of the old vault stays where it was, locked by its keeper.json"
        ))
        .hint(format!(
            "journalctl -u {unit}; sudo clawkeep service run --for {0} -- log; then again: sudo clawkeep service install --isolated --for {0}",
            target.user.name
        ))
    };
    target
        .system
        .systemctl_or_fail(&manager, &["enable", unit])
        .and_then(|()| {
            target
                .system
                .systemctl_or_fail(&manager, &["restart", unit])
        })
        .map_err(|error| not_yet(error.to_string()))?;
    app.ui.say(&format!("Started {unit}"));
    let wanted: BTreeSet<String> = plan
        .seen
        .linked
        .iter()
        .flatten()
        .map(ToString::to_string)
        .collect();
    // Below another root nothing runs that could ask.
    if target.system.root() != Path::new("/") || wanted.is_empty() {
        return Ok(wanted);
    }
    let keeper = target.keeper()?.ok_or_else(nonsense)?;
    let program = keeper::program(app, target)?;
    let mut deadline = Instant::now() + GATEWAY;
    let mut first = true;
    loop {
        let given = released(app, target, &keeper, &program, since)?;
        if first && !given.is_empty() {
            first = false;
            deadline = deadline.min(Instant::now() + LAST);
        }
        if wanted.is_subset(&given) {
            return Ok(given);
        }
        if Instant::now() >= deadline {
            if given.is_empty() {
                return Err(not_yet(format!(
                    "{unit} did not ask for its values within {} seconds",
                    GATEWAY.as_secs()
                )));
            }
            return Ok(given);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// The ids that were given since then, from the access log, which is the keeper's user's.
fn released(
    app: &App,
    target: &Target,
    keeper: &User,
    program: &Path,
    since: Millis,
) -> Result<BTreeSet<String>> {
    let mut command = keeper::running(app, target, keeper, program)?;
    command
        .args(["log", "--json", "--released"])
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let out = command.output().map_err(|error| {
        Error::failed(format!("the access log cannot be read: {}", error.kind()))
    })?;
    let log: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
    let events = log["events"].as_array().map_or(&[][..], Vec::as_slice);
    let recent = events
        .iter()
        .filter(|event| event["at"].as_i64().is_some_and(|at| at >= since.get()))
        .filter(|event| event["result"] == "released");
    Ok(recent
        .flat_map(|event| event["ids"].as_array().into_iter().flatten())
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect())
}
