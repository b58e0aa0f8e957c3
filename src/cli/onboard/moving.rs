//! Plaintext that is there before the first run. Ring 4; `migrate` does it, with its own table.

use super::Steps;
use crate::cli::args::{Migrate, Onboard};
use crate::cli::migrate;
use crate::error::Result;

/// Offers to move it into the vault. Without a person it moves only where `--migrate` says so: it changes
/// files that nobody named.
///
/// # Errors
/// As [`migrate::run`].
pub(super) fn offer(steps: &mut Steps<'_>, args: &Onboard) -> Result<()> {
    if args.no_migrate || !(steps.attended || args.migrate) {
        return Ok(());
    }
    steps.heading("Keys that lie in plaintext");
    let how = Migrate {
        yes: args.migrate,
        how: args.link.clone(),
        ..Migrate::default()
    };
    migrate::run(steps.app, &how)
}
