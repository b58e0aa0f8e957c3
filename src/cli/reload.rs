//! A running gateway and a value that has just been replaced. Ring 4.
//!
//! Promise: the value is stored before anything here happens, and nothing here can fail the command
//! that stored it: what could not be done is said, with what to type. OpenClaw is the one on PATH,
//! never a program that a file of ours names.

use super::app::App;
use super::record::LinkRecord;
use crate::error::Result;
use crate::keeper::Release;
use crate::keeper::pointer::Pointer;
use crate::keeper::published::Published;
use crate::openclaw::config::Config;
use crate::openclaw::gateway;
use crate::openclaw::install::Install;
use crate::openclaw::places::Places;
use std::time::Duration;

/// How long `openclaw secrets reload` may take: its own start takes seconds on a loaded machine, and
/// it waits 30 seconds for the gateway.
const LIMIT: Duration = Duration::from_mins(1);

/// What is to be done about a running gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// Tell it to ask again.
    Run,
    /// Say how, and leave it alone.
    Leave,
}

impl Reload {
    /// What `--no-reload` says.
    pub fn unless(no_reload: bool) -> Self {
        if no_reload {
            Reload::Leave
        } else {
            Reload::Run
        }
    }
}

/// What came of it.
enum Outcome {
    /// No gateway is up here, or it was to be left alone.
    NotAsked,
    /// It has the new value.
    Done,
    /// It has taken what it could get.
    Warnings,
    /// It has the old one.
    Refused(String),
}

/// Hands the new value on to a running gateway, or says how.
pub fn after_a_change(app: &App, link: &LinkRecord, reload: Reload) {
    if gives_once(app) {
        let unit = Pointer::load(&app.dir)
            .ok()
            .flatten()
            .and_then(|pointer| pointer.gateway_unit);
        let how = match unit {
            // At its start it is given everything anyhow.
            Some(unit) => format!("sudo systemctl restart {unit}"),
            None => "clawkeep keeper arm   (then restart the gateway)".to_owned(),
        };
        app.ui.say(&format!(
            "A running gateway has the old value, and its keeper gives each value once.\nhint: {how}"
        ));
        return;
    }
    let outcome = match reload {
        Reload::Leave => Outcome::NotAsked,
        Reload::Run => {
            attempt(app, link).unwrap_or_else(|error| Outcome::Refused(error.to_string()))
        }
    };
    match outcome {
        Outcome::NotAsked => app
            .ui
            .say("A running gateway takes the new value with: openclaw secrets reload"),
        Outcome::Done => app.ui.say("The running gateway has the new value."),
        Outcome::Warnings => app.ui.say(
            "The running gateway was told, and has not got everything that it asks for.\n\
             hint: openclaw secrets audit --allow-exec",
        ),
        Outcome::Refused(reason) => app.ui.say(&format!(
            "The value is stored; the running gateway still has the old one: {reason}\n\
             hint: openclaw secrets reload"
        )),
    }
}

/// What a person does about the gateway's own token: whoever reloads has to show the old one.
pub fn after_its_own_token(app: &App) {
    app.ui
        .say("A running gateway has its old token until it is restarted: openclaw gateway restart");
}

fn attempt(app: &App, link: &LinkRecord) -> Result<Outcome> {
    let places = Places::find(&app.host)?;
    // OpenClaw would look elsewhere than where it was linked, and could tell another gateway.
    if places.config() != link.config {
        return Ok(Outcome::NotAsked);
    }
    let config = Config::read(places.config())?;
    if !gateway::is_up(gateway::port(&app.host, &config)) {
        return Ok(Outcome::NotAsked);
    }
    let Some(install) = Install::find(&app.host, None)? else {
        return Ok(Outcome::Refused("OpenClaw is not on PATH".to_owned()));
    };
    let output = install.run(&["secrets", "reload", "--json"], LIMIT, &[])?;
    if output.code != Some(0) {
        return Ok(Outcome::Refused(
            "`openclaw secrets reload` failed".to_owned(),
        ));
    }
    let said: serde_json::Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    Ok(match said["warningCount"].as_u64() {
        Some(count) if count > 0 => Outcome::Warnings,
        _ => Outcome::Done,
    })
}

/// Whether the vault's keeper gives each value once for each start of the gateway: a reload would get
/// LOCKED.
fn gives_once(app: &App) -> bool {
    let pointer = Pointer::load(&app.dir).ok().flatten();
    // A keeper that a person started has no pointer, and says what it is while it runs.
    let running = Published::load(&app.dir).ok().flatten();
    pointer.is_some_and(|pointer| pointer.release == Release::Once)
        || running.is_some_and(|keeper| keeper.release == Release::Once)
}
