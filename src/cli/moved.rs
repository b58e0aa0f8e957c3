//! A vault that was given to a keeper of another user. Ring 4.
//!
//! Promise: what may be left of it counts for nothing, and no new vault is made beside it that nobody
//! would ever ask.

use crate::error::{Error, Result};
use crate::file;
use crate::keeper::pointer::Pointer;
use crate::keeper::socket;
use std::path::Path;

/// Refuses the folder of a vault that has moved.
///
/// # Errors
/// `Locked`, with the way to work on it; `Broken` when it cannot be told.
pub fn refuse(dir: &Path) -> Result<()> {
    let pointer = file::absent_is_none(Pointer::load(dir))?.flatten();
    let moved = pointer
        .and_then(|pointer| pointer.keeper_user)
        .is_some_and(|user| user != socket::own_uid());
    if !moved {
        return Ok(());
    }
    Err(Error::locked(
        "this vault is isolated: it belongs to a keeper of its own user, and only root works on it",
    )
    .hint("sudo clawkeep service run -- models auth paste-token   (or any other command)"))
}
