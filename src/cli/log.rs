//! `log`: who asked for which secret, and what came of it. Ring 4.
//!
//! Promise: needs no way to open the vault, so it works on a locked one. One event is one line where
//! the output is no terminal.

use super::app::App;
use super::args::Log as Args;
use super::opened::Opened;
use super::ui;
use crate::access::{Caller, Event, Log, Outcome, Process, Word, Writer};
use crate::error::Result;
use crate::expiry::Millis;
use crate::vault::{self, Found};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// How often a follower looks. Looking costs four calls of the system, and no thread or watch is
/// left behind by one that is killed.
const PAUSE: Duration = Duration::from_millis(500);

/// How much of the past a follower shows first.
const LATEST: usize = 10;

/// Records what this process itself gives or refuses; what hinders that is nobody's error.
pub fn note(dir: &Path, now: Millis, by: Writer, results: &[(&str, Outcome)]) {
    let _ = Log::at(dir).record(now, &Caller::here(), by, results);
}

/// The same for a value that a command got of an opened vault: a keeper notes itself what it gives.
pub fn note_command(app: &App, opened: &Opened, results: &[(&str, Outcome)]) {
    if !matches!(opened, Opened::Keeper(_)) {
        note(&app.dir, app.host.now(), Writer::Command, results);
    }
}

/// Runs `log`.
pub fn run(app: &App, args: &Args) -> Result<()> {
    if app.find()? == Found::Nothing {
        return Err(vault::none_in(&app.dir));
    }
    let log = Log::at(&app.dir);
    let shown = |event: &Event| match event.result {
        Word::Released => !args.refused,
        Word::Several => true,
        _ => !args.released,
    };
    let reading = log.read()?;
    for problem in &reading.problems {
        app.ui.say(&format!("Not shown: {problem}."));
    }
    if args.follow {
        let mut follow = log.follow(LATEST)?;
        loop {
            for event in follow.look()?.iter().filter(|event| shown(event)) {
                if args.json {
                    app.ui.data(&value(event).to_string())?;
                } else {
                    app.ui.entry(&line(event))?;
                }
            }
            app.ui.wait(PAUSE)?;
        }
    }
    let events: Vec<&Event> = reading.events.iter().filter(|event| shown(event)).collect();
    if args.json {
        let events: Vec<Value> = events.into_iter().map(value).collect();
        return app.ui.document(&json!({
            "version": 1,
            "events": events,
            "problems": reading.problems,
        }));
    }
    if events.is_empty() {
        app.ui.say(if args.released || args.refused {
            "Nothing of that kind was recorded yet."
        } else {
            "Nothing was recorded yet."
        });
    }
    for event in events {
        app.ui.entry(&line(event))?;
    }
    Ok(())
}

fn value(event: &Event) -> Value {
    let process = |process: Option<&Process>| {
        process.map(|process| json!({"pid": process.pid, "program": process.program}))
    };
    json!({
        "at": event.at.get(),
        "first": event.since().get(),
        "count": event.count,
        "result": event.result.name(),
        "reason": event.reason.map(crate::access::Reason::name),
        "ids": event.ids,
        "more": event.more,
        "malformed": event.malformed,
        "uid": event.uid,
        "process": process(event.process.as_ref()),
        "parent": process(event.parent.as_ref()),
        "by": event.by.map(Writer::name),
    })
}

/// `2026-11-20 14:05:09 +00:00  released  gateway/token  asked by /usr/bin/node (41), /usr/bin/clawkeep (52), uid 1000`
fn line(event: &Event) -> String {
    let mut line = format!("{}  {}", ui::second(event.at), event.result.name());
    if let Some(reason) = event.reason {
        let _ = write!(line, " ({reason})");
    }
    if event.count > 1 {
        let since = ui::second(event.since());
        let _ = write!(line, "  {} times since {since}", event.count);
    }
    line.push_str("  ");
    line.push_str(&ids(event));
    let processes = event.parent.iter().chain(&event.process);
    let mut who: Vec<String> = processes.map(process).collect();
    who.extend(event.uid.map(|uid| format!("uid {uid}")));
    if !who.is_empty() {
        let _ = write!(line, "  asked by {}", who.join(", "));
    }
    line
}

fn ids(event: &Event) -> String {
    let mut ids = event.ids.join(" ");
    if event.more > 0 {
        let _ = write!(ids, " +{} more", event.more);
    }
    if event.malformed > 0 {
        let _ = write!(ids, " +{} malformed", event.malformed);
    }
    ids.trim_start().to_owned()
}

fn process(process: &Process) -> String {
    let program = process.program.as_deref().unwrap_or("?");
    format!("{program} ({})", process.pid)
}
