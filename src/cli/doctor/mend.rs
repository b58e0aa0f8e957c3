//! Mending: only what can be taken back, and only after it was shown. Ring 4.

use crate::cli::app::App;
use crate::cli::args::Doctor;
use crate::doctor::{Fix, OrderFile, Report};
use crate::error::{Error, Result, typed, word};
use crate::openclaw::config::Config;
use crate::openclaw::orders;
use crate::provider::ProfileId;
use serde_json::Value;
use std::path::Path;

/// Shows what would be mended, asks, and does it. Gives what was done, a line each.
///
/// # Errors
/// `Usage` when nobody is there to ask, `Cancelled` for a no; what stands in the way of a change.
pub(super) fn run(app: &App, args: &Doctor, report: &Report) -> Result<Vec<String>> {
    let fixes = report.fixes();
    if fixes.is_empty() {
        if !args.json {
            app.ui
                .say("Nothing here can be mended by itself; the hints say what to type.");
        }
        return Ok(Vec::new());
    }
    app.ui.say("To be mended:");
    for fix in &fixes {
        app.ui.say(&format!("  {}", said(fix)));
        app.ui.say(&format!("    taken back by: {}", back(fix)));
    }
    app.agree(
        args.yes,
        "Mend this?",
        true,
        "mending changes files and",
        "add --yes, or look first: clawkeep doctor",
    )?;
    let mut done = Vec::new();
    for fix in &fixes {
        if let Err(error) = apply(app, fix) {
            for line in &done {
                app.ui.say(&format!("Mended before that: {line}"));
            }
            return Err(error);
        }
        done.push(said(fix));
    }
    app.ui.say("Mended.");
    Ok(done)
}

fn said(fix: &Fix) -> String {
    match fix {
        Fix::Mode { path, to, .. } => format!("chmod {to:o} {}", typed(path)),
        Fix::Order {
            path,
            provider,
            ids,
            gone,
            ..
        } => {
            let ends = if gone.len() == ids.len() {
                ", which ends it"
            } else {
                ""
            };
            format!(
                "{}: take {} out of the order of {provider}{ends}",
                path.display(),
                ProfileId::listed(gone)
            )
        }
    }
}

fn back(fix: &Fix) -> String {
    match fix {
        Fix::Mode { path, from, .. } => format!("chmod {from:o} {}", typed(path)),
        Fix::Order {
            home: OrderFile::Config,
            provider,
            ids,
            ..
        } => {
            let ids: Vec<&str> = ids.iter().map(ProfileId::as_str).collect();
            format!(
                "openclaw config set auth.order.{provider} {}",
                word(&Value::from(ids).to_string())
            )
        }
        Fix::Order {
            agent,
            provider,
            ids,
            gone,
            ..
        } => {
            let agent = if agent.is_main() {
                String::new()
            } else {
                format!(" --agent {agent}")
            };
            let ids: Vec<String> = ids.iter().map(|id| word(id.as_str())).collect();
            format!(
                "storing {} again, then: clawkeep models auth{agent} order set --provider {provider} {}",
                ProfileId::listed(gone),
                ids.join(" ")
            )
        }
    }
}

fn apply(app: &App, fix: &Fix) -> Result<()> {
    match fix {
        Fix::Mode { path, from, to } => set_mode(path, *from, *to),
        Fix::Order {
            path,
            home: OrderFile::Profiles | OrderFile::State,
            provider,
            gone,
            ..
        } => orders::take_out(path, provider, gone, &app.host),
        Fix::Order {
            path,
            home: OrderFile::Config,
            provider,
            gone,
            ..
        } => {
            let mut config = Config::read(path)?;
            orders::take_out_of_config(&mut config, provider, gone)?;
            config.write()
        }
        Fix::Order {
            home: OrderFile::Database,
            ..
        } => Err(Error::failed(
            "OpenClaw's database is changed by OpenClaw alone",
        )),
    }
}

/// Sets the permission bits of what is still as it was seen: no link, ours, of that mode.
#[cfg(unix)]
fn set_mode(path: &Path, from: u32, to: u32) -> Result<()> {
    use rustix::fs::{Mode, OFlags};
    use std::os::unix::fs::MetadataExt;
    let refused = |error: rustix::io::Errno| Error::io("change", path, &error.into());
    // By descriptor, so that nothing else can be put in its place between look and change.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(refused)?;
    let file = std::fs::File::from(file);
    let meta = file
        .metadata()
        .map_err(|error| Error::io("change", path, &error))?;
    let is_own = meta.uid() == rustix::process::geteuid().as_raw();
    if !is_own || meta.mode() & 0o7777 != from {
        return Err(Error::failed(format!(
            "{} changed meanwhile; it stays as it is",
            path.display()
        ))
        .hint("clawkeep doctor"));
    }
    rustix::fs::fchmod(&file, Mode::from_raw_mode(to)).map_err(refused)
}

#[cfg(not(unix))]
fn set_mode(path: &Path, _: u32, _: u32) -> Result<()> {
    Err(Error::failed(format!(
        "{} has no mode on this system",
        path.display()
    )))
}
