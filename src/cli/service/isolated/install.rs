//! `service install --isolated`. Ring 4.
//!
//! Order: program, user, credential; then the vault moves, is read back and compared, and the old
//! folder says where it went; then keeper, gateway's unit, openclaw.json. A step of these that fails
//! takes back those before it. Then the gateway starts, and only when it was given its values the old
//! vault goes.

use super::gateway::{self, Becomes};
use super::handed::Handed;
use super::moving::Taken;
use super::switch::switch;
use super::wish::{Surveyed, Wish};
use super::{keeper, keeper_name, vault_path};
use crate::cli::app::App;
use crate::cli::args::{ServiceInstall, SlotArg};
use crate::cli::service::ask::{Ask, Side, Told, nonsense};
use crate::cli::service::files::{Owner, Planned};
use crate::cli::service::install::{key, program};
use crate::cli::service::job::Job;
use crate::cli::service::{Target, image};
use crate::cli::{init, ui};
use crate::error::{Error, Result};
use crate::service::keeper_unit::{KeeperUnit, credential_path};
use crate::service::marker::Found;
use crate::vault::rekey::SlotPlan;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Everything that will be done.
pub struct Plan {
    /// The keeper's unit.
    pub unit: KeeperUnit,
    /// Its file.
    file: Planned,
    /// What the gateway's user has.
    pub seen: Surveyed,
    /// The gateway's unit.
    pub becomes: Becomes,
    /// The program's copy, where this one could be changed by others.
    copy: Option<PathBuf>,
    /// The vault that was handed over, in an earlier run.
    handed: Option<Handed>,
    /// Whether the vault has still to move: the isolated one is not the one that counts yet.
    pub moves: bool,
}

/// Asks the user's side for what the isolated form has to know.
///
/// # Errors
/// As [`Side::ask`].
pub fn survey(side: &mut dyn Side) -> Result<Surveyed> {
    match side.ask(&Ask::Isolated(Wish::Survey))? {
        Told::Surveyed(seen) => Ok(*seen),
        _ => Err(nonsense()),
    }
}

/// Runs `service install --isolated`.
///
/// # Errors
/// What went wrong, after what was done is taken back; `Failed` when it is not isolated yet.
pub fn run(app: &App, args: &ServiceInstall) -> Result<()> {
    let target = Target::find(app, &args.place, !args.dry_run)?;
    let _alone = if args.dry_run { None } else { target.alone()? };
    if !args.dry_run {
        target.system.require_systemd()?;
    }
    let mut side = target.side(app)?;
    let seen = survey(side.as_mut())?;
    let plan = plan(app, &target, seen, args)?;
    show(app, &target, &plan, args)?;
    if args.dry_run {
        app.ui.say("Dry run: nothing was changed.");
        return Ok(());
    }
    app.agree(
        args.yes,
        "Install this?",
        true,
        "installing a service",
        &format!(
            "add --yes, or look first: clawkeep service install --isolated --for {} --dry-run",
            target.user.name
        ),
    )?;
    let passphrase = passphrase(app, args)?;
    let mut job = Job::new(app, &target.system, target.manager(), side.as_mut());
    let done = execute(&mut job, &target, &plan, args, passphrase.as_ref());
    let is_new = plan.moves && target.isolated_vault().join("vault.age").exists();
    let (taken, handed) = job.end(done).inspect_err(|_| {
        if is_new {
            app.ui.say(&format!(
                "A copy of the vault stays in {} for the next run, closed to everybody but its keeper.",
                vault_path(&target.user.name).display()
            ));
        }
    })?;
    let asked = switch(app, &target, side.as_mut(), &plan)?;
    side.act(&Ask::Isolated(Wish::Destroy(handed)))
        .map_err(|error| {
            let name = &target.user.name;
            error.hint(format!(
                "to have both: sudo clawkeep service uninstall --isolated --for {name}, then install again; or as {name}: rm {}",
                crate::error::typed(&plan.seen.vault.join("vault.age"))
            ))
        })?
        .iter()
        .for_each(|line| app.ui.say(line));
    closing(app, &target, &plan, &taken, &asked);
    Ok(())
}

fn plan(app: &App, target: &Target, seen: Surveyed, args: &ServiceInstall) -> Result<Plan> {
    let name = &target.user.name;
    let installed = target.installed()?;
    let at_rest = installed
        .as_ref()
        .is_some_and(|unit| unit.gateway_unit.is_none());
    if at_rest || seen.at_rest {
        let form = if at_rest {
            format!("--system --for {name}")
        } else {
            "--user".to_owned()
        };
        return Err(
            Error::failed("a service keeps this vault at rest; it has to go first")
                .hint(format!("clawkeep service uninstall {form}")),
        );
    }
    if seen.is_items {
        return Err(Error::failed(
            "this vault keeps each value in the keychain of its user, so it has no file that could move",
        )
        .hint(format!("as {name}: clawkeep --vault NEW-DIR init --custody file")));
    }
    if seen.has_vault && seen.undo > 0 {
        return Err(Error::failed(format!(
            "{} undo bundles of migrations lie beside this vault: an isolated keeper could put nothing back \
             into {name}'s files, and left behind they would hold in {name}'s reach what is to leave it",
            seen.undo
        ))
        .hint(format!(
            "as {name}, undo or destroy them: clawkeep migrate --forget all"
        )));
    }
    if seen.linked.is_none() {
        return Err(Error::failed("OpenClaw is not linked to this vault")
            .hint(format!("as {name}: clawkeep link")));
    }
    let is_there = target
        .isolated_vault()
        .join("vault.age")
        .symlink_metadata()
        .is_ok();
    // A copy that was never compared, or of a run that was taken back, does not count.
    let handed = target.handed()?.filter(|_| is_there);
    let counts = handed.is_some();
    if !counts && !seen.has_vault {
        return Err(
            Error::missing(format!("{name} has no vault that could move"))
                .hint(format!("as {name}: clawkeep onboard")),
        );
    }
    let becomes = gateway::choose(target, &seen, args.gateway_unit.as_deref())?;
    becomes.file.replaceable()?;
    let (program, copy) = program(app, target)?;
    let unit = target.isolated_unit(program, &becomes.unit)?;
    let file = Planned::new(target.system_units().join(unit.name()), unit.render()?);
    file.replaceable()?;
    Ok(Plan {
        unit,
        file,
        seen,
        becomes,
        copy,
        handed,
        moves: !counts,
    })
}

fn show(app: &App, target: &Target, plan: &Plan, args: &ServiceInstall) -> Result<()> {
    let out = app.ui;
    let name = &target.user.name;
    let keeper = keeper_name(name)?;
    let note = |found: Found| match found {
        Found::Absent => "",
        Found::Current => " (is there)",
        _ => " (is replaced)",
    };
    if plan.moves {
        out.say(&format!(
            "Vault of {name}: {} moves to {}, which belongs to the user {keeper} alone",
            plan.seen.vault.display(),
            vault_path(name).display()
        ));
    } else {
        out.say(&format!("Vault: {}", vault_path(name).display()));
    }
    out.say("Files:");
    if let Some(copy) = &plan.copy {
        out.say(&format!("  {} (this program)", copy.display()));
    }
    out.say(&format!(
        "  {} (encrypted with: {})",
        credential_path(target.system.root(), name).display(),
        key(args.credential_key).name()
    ));
    for file in [&plan.file, &plan.becomes.file] {
        out.say(&format!("  {}{}", file.path.display(), note(file.found()?)));
    }
    if args.dry_run {
        for file in [&plan.file, &plan.becomes.file] {
            out.data(&ui::plain(&format!(
                "### {}\n{}",
                file.path.display(),
                file.text
            )))?;
        }
    }
    out.say("Then:");
    if let Some(unit) = &plan.becomes.replaces {
        out.say(&format!("  {name}'s own {unit} is disabled and stopped"));
    }
    out.say(&format!(
        "  {} of the system starts and is given its keys",
        plan.becomes.unit
    ));
    if plan.seen.has_vault {
        out.say(&format!(
            "  what {name} could open goes: vault.age and slots in {}, and their keys",
            plan.seen.vault.display()
        ));
    }
    Ok(())
}

fn passphrase(app: &App, args: &ServiceInstall) -> Result<Option<secrecy::SecretString>> {
    if !args.passphrase && args.new_passphrase_file.is_none() {
        return Ok(None);
    }
    let mut person = app.person()?;
    let plan = init::slot_plan(
        app,
        SlotArg::Passphrase,
        None,
        args.new_passphrase_file.clone(),
        person.as_mut(),
    )?;
    Ok(match plan {
        SlotPlan::Passphrase(passphrase, _) => Some(passphrase),
        _ => None,
    })
}

fn execute(
    job: &mut Job<'_>,
    target: &Target,
    plan: &Plan,
    args: &ServiceInstall,
    passphrase: Option<&secrecy::SecretString>,
) -> Result<(Taken, Handed)> {
    if let Some(copy) = &plan.copy {
        let bytes = image::bytes(job.app)?;
        job.put(copy, &bytes, 0o755)?;
    }
    let keeper = keeper::user(job.app, target)?;
    keeper::folder(target, &keeper)?;
    let key = keeper::credential(job, target, key(args.credential_key))?;
    // From here on nothing is stored in the old vault that the new one would not have.
    let socket = plan.unit.socket();
    let back = (plan.moves || plan.seen.moved.is_none()).then_some(Ask::Unpoint);
    let leave = Wish::Leave {
        socket: socket.clone(),
        user: keeper.uid,
        unit: plan.becomes.unit.to_string(),
    };
    job.ask(&Ask::Isolated(leave), back)?;
    let (taken, handed) = keeper::move_vault(job, target, plan, &keeper, &key, passphrase)?;
    if let Some(handed) = &handed {
        job.put(&target.handed_path(), handed.to_string().as_bytes(), 0o644)?;
    }
    keeper::prove_opens(job.app, target, plan, &keeper)?;
    let handed = handed
        .or_else(|| plan.handed.clone())
        .ok_or_else(nonsense)?;
    let back = (plan.seen.asks.is_none()).then_some(Ask::Isolated(Wish::AskVault));
    let ask = Wish::AskKeeper {
        socket,
        user: keeper.uid,
    };
    job.systemctl(&["daemon-reload"], Some(&["daemon-reload"]))?;
    let mut changed = job.write(&plan.file, Owner::System)?;
    changed |= job.write(&plan.becomes.file, Owner::System)?;
    if changed {
        job.systemctl(&["daemon-reload"], None)?;
    }
    job.start(&plan.unit.name())?;
    job.ask(&Ask::Isolated(ask), back)?;
    Ok((taken, handed))
}

fn closing(app: &App, target: &Target, plan: &Plan, taken: &Taken, asked: &BTreeSet<String>) {
    let (ui, name, unit) = (app.ui, &target.user.name, &plan.becomes.unit);
    ui.say(&format!(
        "Isolated. The gateway ({unit}) gets each value once at each start; nothing else under {name} gets one of the keeper.",
    ));
    let missing: Vec<&str> = plan
        .seen
        .linked
        .iter()
        .flatten()
        .filter(|id| !asked.contains(&***id))
        .map(|id| &**id)
        .collect();
    if !missing.is_empty() {
        ui.say(&format!(
            "note: linked, and not asked for at this start: {}",
            missing.join(", ")
        ));
    }
    if taken.made {
        ui.say(&format!(
            "The vault has a new id, {}; your recovery sheet still opens it, whatever id stands on it.",
            &taken.id[..taken.id.len().min(12)]
        ));
        ui.say(&format!(
            "What ran as {name} until now could have read every value: rotate those that matter."
        ));
    }
    ui.say(&format!(
        "Commands on it: sudo clawkeep service run --for {name} -- models auth list\nThe gateway: sudo systemctl restart {unit}"
    ));
}
