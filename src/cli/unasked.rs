//! Opening the vault only if nobody need be asked for anything. Ring 4.

use super::app::App;
use super::args::Global;
use super::opened::Opened;
use crate::error::Result;

fn silent(app: &App) -> Result<App> {
    let global = Global {
        non_interactive: true,
        accept_rollback: false,
        ..app.global.clone()
    };
    App::new(app.host.clone(), global, false)
}

/// The vault, through a keeper or by a slot.
///
/// # Errors
/// As [`App::open`].
pub fn open(app: &App) -> Result<Opened> {
    silent(app)?.open()
}

/// The vault as it is on the disk, by a slot.
///
/// # Errors
/// As [`App::open_by_slots`].
pub fn open_by_slots(app: &App) -> Result<Opened> {
    silent(app)?.open_by_slots()
}
