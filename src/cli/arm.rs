//! `keeper arm`, and what `--release once` asks for before it starts. Ring 4.

use super::app::App;
use super::args::KeeperArm;
use super::keeping::Terms;
use crate::error::{Error, Result};
use crate::keeper::Release;
use crate::keeper::published::Published;
use crate::vault::held::Held;
use crate::vault::slot::SlotKind;

/// Whether a keeper on these terms may hold this vault: under `--release once` nothing that the
/// gateway's user can read may open it.
///
/// # Errors
/// `Failed`, naming the slot.
pub fn check_once(held: &Held, terms: &Terms) -> Result<()> {
    if terms.release == Release::Always {
        return Ok(());
    }
    let own = crate::keeper::socket::own_uid();
    let isolated = terms.unit.as_ref().is_some_and(|unit| unit.uid != own);
    if terms.unit.is_some() && !isolated {
        return Err(Error::failed(
            "this keeper runs under the gateway's own user, so it could keep nothing from it",
        )
        .hint("clawkeep service install --system --isolated"));
    }
    let opens = |kind: &SlotKind| match kind {
        SlotKind::Passphrase(_) => false,
        // The keeper's own user has the file and closes it to others; a user of its own has no
        // session whose keychain another could ask.
        SlotKind::IdentityFile { .. } => !isolated,
        SlotKind::Keychain => true,
    };
    match held.slots().iter().find(|slot| opens(&slot.kind)) {
        None => Ok(()),
        Some(slot) => Err(Error::failed(format!(
            "--release once would keep nothing from the gateway's user: slot {} ({}) opens the vault \
             for whatever runs under it",
            slot.name,
            slot.kind.name()
        ))
        .hint(format!(
            "clawkeep slot remove {}, or: clawkeep service install --system --isolated",
            slot.name
        ))),
    }
}

/// Arms a running keeper.
///
/// # Errors
/// Not there yet.
pub fn run(_: &App, _: &KeeperArm) -> Result<()> {
    Err(Error::failed("arming is not there yet"))
}

/// What a keeper that answers nothing but `resolve` says of itself; `None` when what is said is not of
/// this process.
pub fn published(app: &App, pid: u32) -> Option<Published> {
    let said = Published::load(&app.dir).ok()??;
    (said.pid == pid).then_some(said)
}
