//! Where there is no keeper: a named pipe would be its socket, and there is none yet. Ring 4.

use super::app::App;
use super::args::{KeeperCommand, KeeperHow};
use crate::error::{Error, Result};

fn none<T>() -> Result<T> {
    Err(
        Error::failed("there is no keeper on this system yet: the vault opens by its slots")
            .hint("clawkeep slot list"),
    )
}

/// Runs no `keeper` command.
///
/// # Errors
/// Always `Failed`.
pub fn run(_: &App, _: &KeeperCommand) -> Result<()> {
    none()
}

/// As [`run`].
///
/// # Errors
/// Always `Failed`.
pub fn unlock(_: &App, _: &KeeperHow) -> Result<()> {
    none()
}

/// As [`run`].
///
/// # Errors
/// Always `Failed`.
pub fn lock(_: &App) -> Result<()> {
    none()
}
