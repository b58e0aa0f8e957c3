//! `service uninstall`: takes away what `install` wrote, and no more. Ring 4.
//!
//! The vault is opened first: what cannot be finished is not begun. `keeper.json` goes first of all,
//! so that the vault opens by its other slots whatever comes after.

use super::ask::{Ask, Seen, Side};
use super::{Target, files, install, launchd, monitor};
use crate::cli::app::App;
use crate::cli::args::ServiceUninstall;
use crate::error::Result;
use crate::file;
use crate::service::keeper_unit::{USER_UNIT, credential_path, system_unit};
use crate::service::marker::Found;
use std::path::PathBuf;

/// Runs `service uninstall`.
///
/// # Errors
/// What went wrong; what was taken away by then is said, and running it again goes on.
pub fn run(app: &App, args: &ServiceUninstall) -> Result<()> {
    let target = Target::find(app, &args.place, !args.dry_run)?;
    let _alone = if args.dry_run { None } else { target.alone()? };
    if cfg!(target_os = "macos") {
        return launchd::uninstall(app, args, &target);
    }
    let mut side = target.side(app)?;
    let looked = side.look(false)?;
    let unit = if target.of_system {
        system_unit(&target.user.name)
    } else {
        USER_UNIT.to_owned()
    };
    let unit_file = target.units(&looked).join(&unit);
    let credential = credential_path(target.system.root(), &target.user.name);
    let gateways = side.gateways(None)?;
    let system_gateways = if target.of_system {
        install::system_gateways(&target, &unit)?
    } else {
        Vec::new()
    };
    let mut present = Vec::new();
    let own = [Some(&unit_file), target.of_system.then_some(&credential)];
    present.extend(
        own.into_iter()
            .flatten()
            .filter(|path| path.exists())
            .cloned(),
    );
    let drop_ins = gateways.iter().chain(&system_gateways);
    present.extend(
        drop_ins
            .filter(|seen| seen.found != Found::Absent)
            .map(|seen| seen.drop_in.to_path_buf()),
    );
    let has_pointer = looked.pointer.is_some();
    let pointer = has_pointer.then(|| looked.vault.join("keeper.json"));
    present.extend(pointer.clone());
    let monitor = monitor::Parts::of(&target, &looked);
    present.extend(monitor.present());
    if present.is_empty() && looked.slot.is_none() {
        app.ui.say("Nothing is installed.");
        return Ok(());
    }
    app.ui.say("What goes, where it was not edited:");
    for path in &present {
        app.ui.say(&format!("  {}", path.display()));
    }
    let has_slot = target.of_system && looked.slot.is_some();
    if has_slot {
        app.ui.say("  the slot service");
    }
    if args.dry_run {
        app.ui.say("Dry run: nothing was changed.");
        return Ok(());
    }
    app.agree(
        args.yes,
        "Uninstall this?",
        false,
        "this",
        "add --yes, or look first: clawkeep service uninstall --dry-run",
    )?;
    let parts = Parts {
        unit,
        unit_file,
        credential,
        has_slot,
        pointer,
        system_gateways,
        monitor,
    };
    for line in take_away(&target, side.as_mut(), &parts)? {
        app.ui.say(&line);
    }
    app.ui.say("Uninstalled.");
    if has_slot {
        app.ui.say("Who kept a copy of the credential and of the vault's folder, and this machine's key, can still open the vault.");
        app.ui.say("hint: clawkeep rekey");
    }
    Ok(())
}

/// What may be there.
struct Parts {
    unit: String,
    unit_file: PathBuf,
    credential: PathBuf,
    has_slot: bool,
    pointer: Option<PathBuf>,
    system_gateways: Vec<Seen>,
    monitor: monitor::Parts,
}

/// Takes it away; lines for the person.
fn take_away(target: &Target, side: &mut dyn Side, parts: &Parts) -> Result<Vec<String>> {
    if parts.has_slot {
        side.look(true)?;
    }
    let mut told = parts.monitor.take_away(target, side)?;
    told.extend(side.act(&Ask::Unpoint)?);
    if let Some(pointer) = &parts.pointer {
        told.push(format!("Removed {}", pointer.display()));
    }
    if parts.has_slot {
        side.act(&Ask::RemoveSlot)?;
        told.push("Removed the slot service".to_owned());
    }
    told.extend(side.act(&Ask::Unplug)?);
    told.extend(side.act(&Ask::Reload)?);
    let manager = target.manager();
    if parts.unit_file.symlink_metadata().is_ok() {
        target
            .system
            .systemctl_or_fail(&manager, &["disable", "--now", &parts.unit])?;
    }
    for seen in &parts.system_gateways {
        told.extend(files::take_away(&seen.drop_in)?);
        if let Some(folder) = seen.drop_in.parent() {
            let _ = std::fs::remove_dir(folder);
        }
    }
    told.extend(files::take_away(&parts.unit_file)?);
    if target.of_system && file::remove(&parts.credential)? {
        told.push(format!("Removed {}", parts.credential.display()));
    }
    if target.of_system
        && let Some(folder) = parts.credential.parent()
    {
        let _ = std::fs::remove_dir(folder);
    }
    target
        .system
        .systemctl_or_fail(&manager, &["daemon-reload"])?;
    Ok(told)
}
