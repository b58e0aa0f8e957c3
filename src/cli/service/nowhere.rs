//! `service` where there is neither systemd nor launchd. Ring 4.

use super::app::App;
use super::args::ServiceCommand;
use crate::error::{Error, Result};

/// Says so.
///
/// # Errors
/// Always `Failed`.
pub fn run(_: &App, _: &ServiceCommand) -> Result<()> {
    Err(
        Error::failed("services are there for systemd and launchd, which this system has not")
            .hint("start it yourself: clawkeep unlock"),
    )
}
