//! `doctor`: what is wrong, and what to type. Ring 4; gathers, shows, and mends what can be taken back.
//!
//! Promise: nobody is asked for anything but before mending; nothing is changed without `--fix`, and
//! then only what was shown.

mod gather;
mod mend;
mod near;
mod plain;
mod settings;
mod show;
mod stores;
mod theirs;

use super::app::App;
use super::args::Doctor;
use crate::doctor::{self, Report};
use crate::error::{Error, Result};

/// Runs `doctor`.
///
/// # Errors
/// A failure without a text when something is wrong; `Missing` for an OpenClaw that was named and is not
/// there; `Usage` when nobody is there to agree to mending.
pub fn run(app: &App, args: &Doctor) -> Result<()> {
    let mut report = doctor::examine(&gather::take(app, args)?);
    let mut mended = Vec::new();
    if args.fix {
        mended = mend::run(app, args, &report)?;
        if !mended.is_empty() {
            report = doctor::examine(&gather::take(app, args)?);
        }
    }
    if args.json {
        app.ui.document(&show::document(&report, &mended))?;
    } else {
        show::text(app.ui, &report)?;
    }
    verdict(&report)
}

/// Looks, and changes nothing: what a first run ends with.
///
/// # Errors
/// As [`run`], but for what is wrong.
pub fn report(app: &App, args: &Doctor) -> Result<Report> {
    gather::take(app, args).map(|facts| doctor::examine(&facts))
}

fn verdict(report: &Report) -> Result<()> {
    if report.is_clean() {
        Ok(())
    } else {
        Err(Error::shown())
    }
}

#[cfg(test)]
mod tests_hints;
