//! `keeper arm`, and what `--release once` asks for before it starts. Ring 4.

use super::app::App;
use super::args::{KeeperArm, KeeperStart};
use crate::error::{Error, Result};
use crate::keeper::wire::Status;
use crate::vault::body::Contents;

/// Arms a running keeper.
///
/// # Errors
/// Not there yet.
pub fn run(_: &App, _: &KeeperArm) -> Result<()> {
    Err(Error::failed("arming is not there yet"))
}

/// Whether `--release once` may hold this vault.
///
/// # Errors
/// Not there yet.
pub fn check_once(_: &App, _: &Contents, _: &KeeperStart) -> Result<()> {
    Err(Error::failed("--release once is not there yet"))
}

/// What a keeper that answers nothing but `resolve` says of itself.
pub fn published(_: &App, _: u32) -> Option<Status> {
    None
}
