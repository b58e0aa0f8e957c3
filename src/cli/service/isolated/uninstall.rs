//! `service uninstall --isolated`: the vault goes back to its user, at rest. Ring 4.
//!
//! Order: the vault is given back, read back and compared; OpenClaw asks it; then the units go; and
//! last the isolated vault and its credential. Cut off anywhere, running it again finishes.

use super::handed::Handed;
use super::install::survey;
use super::keeper::{as_keeper, read_key};
use super::moving::{self, Along, Order, OrderedSlot};
use super::wish::Wish;
use super::{keeper_name, text_of, vault_path};
use crate::cli::app::App;
use crate::cli::args::ServiceUninstall;
use crate::cli::service::ask::{Ask, Side as _};
use crate::cli::service::child::{Child, prepared};
use crate::cli::service::{Target, files};
use crate::error::{Error, Result};
use crate::file;
use crate::service::gateway::DropIn;
use crate::service::keeper_unit::{credential_path, system_unit};
use std::path::PathBuf;

struct Parts {
    keeper_unit: String,
    gateway_unit: Option<String>,
    /// The gateway's unit, or our drop-in for it.
    gateway_files: Vec<PathBuf>,
    credential: PathBuf,
    has_vault: bool,
}

/// Runs `service uninstall --isolated`.
///
/// # Errors
/// What went wrong; what was done by then is said, and running it again goes on.
pub fn run(app: &App, args: &ServiceUninstall) -> Result<()> {
    let target = Target::find(app, &args.place, !args.dry_run)?;
    let _alone = if args.dry_run { None } else { target.alone()? };
    let mut side = target.side(app)?;
    let seen = survey(side.as_mut())?;
    let name = &target.user.name;
    let installed = target.installed()?;
    if let Some(unit) = &installed
        && unit.gateway_unit.is_none()
    {
        return Err(Error::failed("the service of that user is not isolated")
            .hint(format!("clawkeep service uninstall --system --for {name}")));
    }
    let units = target.system_units();
    // Where the keeper's unit is gone already, the gateway's is told by our mark.
    let gateway_unit = installed.and_then(|unit| unit.gateway_unit).or_else(|| {
        let own = |unit: &&super::wish::Unit| units.join(&*unit.name).exists();
        seen.gateways
            .iter()
            .find(own)
            .map(|unit| unit.name.to_string())
    });
    let gateway_files: Vec<PathBuf> = gateway_unit
        .iter()
        .flat_map(|unit| [units.join(unit), DropIn::path(&units, unit)])
        .collect();
    let parts = Parts {
        keeper_unit: system_unit(name),
        gateway_files,
        credential: credential_path(target.system.root(), name),
        has_vault: target
            .isolated_vault()
            .join("vault.age")
            .symlink_metadata()
            .is_ok(),
        gateway_unit,
    };
    let keeper_file = units.join(&parts.keeper_unit);
    let is_there = keeper_file.exists()
        || parts.credential.exists()
        || parts.has_vault
        || seen.moved.is_some()
        || seen.gateways.iter().any(|unit| unit.aside);
    if !is_there {
        app.ui.say("Nothing is installed.");
        return Ok(());
    }
    show(app, &target, &parts, args);
    if args.dry_run {
        app.ui.say("Dry run: nothing was changed.");
        return Ok(());
    }
    app.agree(
        args.yes,
        "Uninstall this?",
        false,
        "this",
        "add --yes, or look first: clawkeep service uninstall --isolated --dry-run",
    )?;
    let mut given = None;
    if parts.has_vault && !args.keep_vault {
        given = give_back(app, &target, &parts)?;
        side.act(&Ask::Isolated(Wish::AskVault))?;
        side.act(&Ask::Unpoint)?;
    } else if !parts.has_vault && seen.has_vault && seen.moved.is_some() {
        // It never arrived: cut off before.
        side.act(&Ask::Unpoint)?;
    }
    take_away(app, &target, &parts)?;
    for unit in seen
        .gateways
        .iter()
        .filter(|unit| unit.aside && !args.keep_vault)
    {
        for line in side.act(&Ask::Isolated(Wish::Start(unit.name.clone())))? {
            app.ui.say(&line);
        }
    }
    if args.keep_vault {
        app.ui.say(&format!(
            "Uninstalled. The vault stays in {}, closed to everybody but its keeper; OpenClaw gets nothing until: clawkeep service install --isolated --for {name}",
            vault_path(name).display()
        ));
        return Ok(());
    }
    forget(app, &target, &parts, given)?;
    app.ui.say(&format!(
        "Uninstalled. The vault is {name}'s again, at rest.\n{}",
        crate::cli::init::AT_REST
    ));
    Ok(())
}

fn show(app: &App, target: &Target, parts: &Parts, args: &ServiceUninstall) {
    let name = &target.user.name;
    app.ui.say("What goes, where it was not edited:");
    let keeper_file = target.system_units().join(&parts.keeper_unit);
    for path in std::iter::once(&keeper_file).chain(&parts.gateway_files) {
        if path.exists() {
            app.ui.say(&format!("  {}", path.display()));
        }
    }
    if args.keep_vault {
        return;
    }
    if parts.credential.exists() {
        app.ui.say(&format!("  {}", parts.credential.display()));
    }
    if parts.has_vault {
        app.ui.say(&format!(
            "  {}, after its values are in a vault of {name}'s own again",
            vault_path(name).display()
        ));
    }
}

fn give_back(app: &App, target: &Target, parts: &Parts) -> Result<Option<Handed>> {
    let name = &target.user.name;
    let keeper = target.keeper()?.ok_or_else(|| {
        let gone = keeper_name(name)
            .map(|name| name.to_string())
            .unwrap_or_default();
        Error::missing(format!("the user {gone} is gone, whose vault it is"))
    })?;
    // Without a key that this machine can read, a person's passphrase opens it.
    let from = read_key(&target.system, &parts.credential)?.unwrap_or_default();
    let mut hand = as_keeper(app, target, &keeper)?;
    hand.args(["service", "hand"]);
    let program = app.host.program()?;
    let vault = app.global.vault.clone();
    let mut take = prepared(
        app,
        &target.system,
        &target.user,
        &program,
        vault.as_deref(),
    )?;
    take.args(["service", "take"]);
    let order = Order {
        slot: OrderedSlot::IdentityFile,
        pointer: None,
        link: false,
        by_key: false,
    };
    let (taken, handed) = moving::carry(
        Some(hand),
        take,
        &Along {
            order: &order,
            from: &from,
            to: &[],
            passphrase: &[],
        },
    )?;
    app.ui.say(&format!(
        "The vault is {name}'s again: {}, read back and compared",
        crate::cli::ui::counted(taken.secrets as u64, "secret", "secrets")
    ));
    Ok(handed)
}

fn take_away(app: &App, target: &Target, parts: &Parts) -> Result<()> {
    let manager = target.manager();
    let units = target.system_units();
    let mut files = Vec::new();
    for (unit, own) in [
        (parts.gateway_unit.as_ref(), &parts.gateway_files),
        (
            Some(&parts.keeper_unit),
            &vec![units.join(&parts.keeper_unit)],
        ),
    ] {
        let Some(unit) = unit else { continue };
        let ours = own.first().map(|path| text_of(path)).transpose()?.flatten();
        // A unit that a person wrote goes on without our drop-in.
        if ours.is_some_and(|text| crate::service::marker::is_intact(&text)) {
            target
                .system
                .systemctl_or_fail(&manager, &["disable", "--now", unit])?;
        }
        files.extend(own.iter().cloned());
    }
    for path in &files {
        if let Some(line) = files::take_away(path)? {
            app.ui.say(&line);
        }
        if let Some(folder) = path.parent()
            && folder != units
        {
            // Only when nothing else is in it.
            let _ = std::fs::remove_dir(folder);
        }
    }
    target
        .system
        .systemctl_or_fail(&manager, &["daemon-reload"])
}

/// The isolated vault, whose values are elsewhere by now, and its key.
fn forget(app: &App, target: &Target, parts: &Parts, given: Option<Handed>) -> Result<()> {
    if let (Some(given), Some(keeper)) = (given, target.keeper()?) {
        let mut command = as_keeper(app, target, &keeper)?;
        let mut side = Child::of(&mut command, &target.system)?;
        side.act(&Ask::Isolated(Wish::Retire(given)))
            .map_err(|error| {
                error.hint(format!(
                    "what is new in it comes along when you run it again: sudo clawkeep service uninstall --isolated --for {}",
                    target.user.name
                ))
            })?;
    }
    file::remove(&target.handed_path())?;
    if file::remove(&parts.credential)? {
        app.ui
            .say(&format!("Removed {}", parts.credential.display()));
    }
    if let Some(folder) = parts.credential.parent() {
        let _ = std::fs::remove_dir(folder);
    }
    let dir = target.isolated_vault();
    match std::fs::remove_dir_all(&dir) {
        Ok(()) => app.ui.say(&format!("Removed {}", dir.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io("remove", &dir, &error)),
    }
    if let Some(above) = dir.parent() {
        let _ = std::fs::remove_dir(above);
    }
    if let Some(keeper) = target.keeper()? {
        app.ui.say(&format!(
            "The user {0} stays; nothing belongs to it any more: sudo userdel {0}",
            keeper.name
        ));
    }
    Ok(())
}
