//! `onboard`: from nothing to a gateway that resolves, in one command. Ring 4.
//!
//! ```text
//! making    the vault: how it opens
//! moving    plaintext that is there already
//! paste     the first credential
//! keeping   the keeper as a service
//! closing   what the gateway would get, and what a person types next
//! ```
//!
//! Promises: cut off anywhere it leaves a working state, and running it again goes on from there; each
//! question has a flag; with `--non-interactive`, or with piped input, it asks nothing, and what it cannot
//! know is an error that names the flag, before anything is made. A step that fails is said, and the next
//! ones are done where they can be.

mod closing;
mod keeping;
mod making;
mod moving;
mod paste;

use super::app::App;
use super::args::Onboard;
use super::link;
use crate::error::{Error, Kind, Result};
use crate::openclaw::install::Install;
use crate::provider::ProviderId;

/// Runs `onboard`.
///
/// # Errors
/// `Usage` for what nobody can be asked; `Cancelled`; what the first step that failed said, after the others.
pub fn run(app: &App, args: &Onboard) -> Result<()> {
    // What can be wrong with the flags is said before anything is made.
    let named = args
        .provider
        .as_deref()
        .map(ProviderId::parse)
        .transpose()?;
    let install = if args.no_link {
        None
    } else {
        Install::find(&app.host, args.link.openclaw.as_deref())?
    };
    let attended = !args.yes && app.person()?.is_some();
    if !attended && !args.yes && install.is_some() {
        return Err(
            Error::usage("linking OpenClaw asks first, and there is nobody to ask")
                .hint("add --yes, or --no-link"),
        );
    }
    let mut steps = Steps {
        app,
        attended,
        failed: None,
    };
    if attended {
        app.ui.say("This sets clawkeep up in a few questions. Enter takes the recommended answer; Ctrl-C stops, and running it again goes on from there.");
    }
    steps.heading("The vault");
    making::ensure(app, args, attended)?;
    if install.is_some() {
        steps.run(|steps| moving::offer(steps, args))?;
    }
    let credential = if args.no_paste {
        None
    } else {
        paste::take(&steps, args, named)?
    };
    let mut linked = None;
    let is_wanted = install.is_some();
    if let Some(install) = install {
        steps.heading("OpenClaw");
        linked = steps.run(|_| {
            let mut opened = app.open_by_slots()?;
            link::connect(app, &mut opened, install, &args.link, false, args.yes)
        })?;
    } else if !args.no_link {
        steps.heading("OpenClaw");
        app.ui.say("OpenClaw was not found on PATH; nothing is linked yet.\nhint: clawkeep link --openclaw DIR");
    }
    let linked = linked.flatten();
    steps.run(|steps| keeping::offer(steps, args))?;
    steps.heading("The check");
    closing::run(
        &mut steps,
        args,
        credential.as_ref(),
        is_wanted,
        linked.as_ref(),
    )
}

/// The steps of one run.
struct Steps<'a> {
    app: &'a App,
    /// Whether a person is there and is to be asked.
    attended: bool,
    /// What the first step that failed said.
    failed: Option<Error>,
}

impl Steps<'_> {
    /// What comes next, for a person.
    fn heading(&self, text: &str) {
        if self.attended {
            self.app.ui.say(&format!("\n== {text}"));
        }
    }

    /// Runs one step. `None` when a person declined it, or when it failed, which is said and kept: the
    /// next one may do.
    ///
    /// # Errors
    /// What ends the whole: `Cancelled`, `Usage`, `BrokenPipe`.
    fn run<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        let error = match step(self) {
            Ok(done) => return Ok(Some(done)),
            Err(error) => error,
        };
        if error.is_declined() {
            self.app.ui.say("Left as it is.");
            return Ok(None);
        }
        if matches!(
            error.kind(),
            Kind::Cancelled | Kind::Usage | Kind::BrokenPipe
        ) {
            return Err(error);
        }
        self.app.ui.error(&error);
        if self.failed.is_none() {
            self.failed = Some(error);
        }
        Ok(None)
    }
}
