//! `service install`. Ring 4.
//!
//! Order: the vault is opened; everything is planned and shown; then slot, credential, unit, start;
//! then the gateway's drop-ins; and last `keeper.json`, from which on the vault stays locked without
//! its keeper. A step that fails takes back those before it.

use super::ask::{Ask, Looked, Seen, Side};
use super::files::{Owner, Planned};
use super::job::Job;
use super::side::survey;
use super::{Target, image, launchd};
use crate::cli::app::App;
use crate::cli::args::{CredentialKeyArg, Global, ServiceInstall};
use crate::cli::ui;
use crate::error::{Error, Kind, Result};
use crate::file::{self, Privacy};
use crate::openclaw::command;
use crate::service::keeper_unit::{CREDENTIAL, KeeperUnit, credential_in_service, credential_path};
use crate::service::marker::Found;
use crate::service::system::{CredentialKey, credential_kind};
use crate::service::text::Specifiers;
use crate::service::trusted_path::{self, End};
use crate::vault::identity::{Identity, IdentityText};
use std::path::{Path, PathBuf};

/// The largest encrypted credential that is read: 1 MiB, systemd's own bound.
pub const MAX_CREDENTIAL: usize = 1024 * 1024;

/// Everything that will be done.
struct Plan {
    unit: KeeperUnit,
    file: Planned,
    looked: Looked,
    /// The program's copy, where this one could be changed by others.
    copy: Option<PathBuf>,
    /// Gateways of the user's manager.
    gateways: Vec<Seen>,
    /// Gateways of the system's manager that run as this user.
    system_gateways: Vec<Seen>,
}

/// Runs `service install`.
///
/// # Errors
/// What went wrong, after what was done is taken back.
pub fn run(app: &App, args: &ServiceInstall) -> Result<()> {
    if args.how.is_some() {
        return Err(
            Error::usage("who is told is a matter of the monitor, not of the keeper")
                .hint("add --monitor"),
        );
    }
    let target = Target::find(app, &args.place, !args.dry_run)?;
    let _alone = if args.dry_run { None } else { target.alone()? };
    if cfg!(target_os = "macos") {
        return launchd::install(app, args, &target);
    }
    if !args.dry_run {
        target.system.require_systemd()?;
    }
    // A user's own service starts with nobody there: nobody is asked here either.
    let quiet;
    let opener = if target.of_system {
        app
    } else {
        quiet = unattended(app)?;
        &quiet
    };
    let mut side = target.side(opener)?;
    let looked = side.look(!args.dry_run).map_err(|error| {
        if !target.of_system && error.kind() == Kind::Locked {
            return Error::locked(format!("{error}; your own service opens it with nobody there"))
                .hint("clawkeep slot add identity-file, or with a credential: sudo clawkeep service install --system");
        }
        error
    })?;
    let plan = plan(app, &target, looked, side.as_mut())?;
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
            "add --yes, or look first: clawkeep service install {} --dry-run",
            target.flags()
        ),
    )?;
    let mut job = Job::new(app, &target.system, target.manager(), side.as_mut());
    let done = execute(&mut job, &target, &plan, args);
    job.end(done)?;
    closing(app, &target, &plan, args);
    Ok(())
}

/// The same run with nobody to ask.
fn unattended(app: &App) -> Result<App> {
    let global = Global {
        non_interactive: true,
        passphrase_file: None,
        ..app.global.clone()
    };
    App::new(app.host.clone(), global, false)
}

fn plan(app: &App, target: &Target, looked: Looked, side: &mut dyn Side) -> Result<Plan> {
    if !target.of_system && !looked.has_manager {
        return Err(Error::failed("your service manager does not run")
            .hint(format!("sudo loginctl enable-linger {}", target.user.name)));
    }
    let (program, copy) = program(app, target)?;
    let unit = target.unit(program, &looked);
    if let Some(socket) = &looked.pointer
        && **socket != *unit.socket()
    {
        let other = if target.of_system {
            "--user"
        } else {
            "--system"
        };
        return Err(Error::failed(format!(
            "another service keeps this vault already, at {}",
            socket.display()
        ))
        .hint(format!("clawkeep service uninstall {other}")));
    }
    let file = Planned::new(target.units(&looked).join(unit.name()), unit.render()?);
    file.replaceable()?;
    let same_manager = (!target.of_system).then(|| unit.name());
    let gateways = side.gateways(same_manager.as_deref())?;
    let system_gateways = if target.of_system {
        system_gateways(target, &unit.name())?
    } else {
        Vec::new()
    };
    for seen in gateways.iter().chain(&system_gateways) {
        Planned::new(seen.drop_in.to_path_buf(), seen.text.clone()).may_replace(seen.found)?;
    }
    Ok(Plan {
        unit,
        file,
        looked,
        copy,
        gateways,
        system_gateways,
    })
}

/// Gateways that the system's manager runs as this user.
pub fn system_gateways(target: &Target, keeper: &str) -> Result<Vec<Seen>> {
    let folder = target.system.path("etc/systemd/system");
    let runtime = format!("/run/user/{}", target.user.uid);
    let known = Specifiers {
        // In the system's manager `%h` is root's home, whatever `User=` says.
        home: "/root",
        user: "root",
        uid: 0,
        runtime: &runtime,
    };
    let mut found = survey(std::slice::from_ref(&folder), &folder, &known, Some(keeper))?;
    found.retain(|seen| seen.user.as_deref() == Some(target.user.name.as_str()));
    Ok(found)
}

/// The program that the unit starts, and where it must be copied to first.
///
/// A service of the system starts a program that only root can change. A user's own starts the one
/// that runs now, from a place that lasts.
pub fn program(app: &App, target: &Target) -> Result<(PathBuf, Option<PathBuf>)> {
    let own = app.host.program()?;
    if !target.of_system {
        if command::is_build_folder(&own, &app.host.home()?)
            && target.system.root() == Path::new("/")
        {
            return Err(Error::failed(format!(
                "a service needs a program that stays where it is, and {} may not",
                own.display()
            ))
            .hint("mkdir -p ~/.local/bin && cp clawkeep ~/.local/bin/, then run that one"));
        }
        return Ok((own, None));
    }
    let usual = PathBuf::from("/usr/local/bin/clawkeep");
    if trusted_path::check(&own, End::Program).is_ok()
        && (own == usual || !command::is_build_folder(&own, Path::new("/root")))
    {
        return Ok((own, None));
    }
    let copy = target.system.path("usr/local/bin/clawkeep");
    let is_same = copy.is_file() && image::is(app, &copy)?;
    let (path, end) = if is_same {
        (copy.as_path(), End::Program)
    } else {
        (copy.parent().unwrap_or(&copy), End::Folder)
    };
    // Before anything is done: who can change it would run as the keeper.
    trusted_path::check_for(path, end, rustix::process::geteuid().as_raw())?;
    Ok((usual, (!is_same).then_some(copy)))
}

fn show(app: &App, target: &Target, plan: &Plan, args: &ServiceInstall) -> Result<()> {
    let out = app.ui;
    out.say(&format!(
        "Vault of {}: {}",
        target.user.name,
        plan.looked.vault.display()
    ));
    if let Some(by) = &plan.looked.opened_by {
        out.say(&format!("Opened by {by}."));
    }
    let note = |found: Found| match found {
        Found::Absent => "",
        Found::Current => " (is there)",
        _ => " (is replaced)",
    };
    let mut lines = Vec::new();
    if let Some(copy) = &plan.copy {
        lines.push(format!("{} (this program)", copy.display()));
    }
    if target.of_system {
        let path = credential_path(target.system.root(), &target.user.name);
        lines.push(format!(
            "{} ({}, encrypted with: {}; it opens the slot service)",
            path.display(),
            if path.exists() {
                "its key is kept while it fits"
            } else {
                "a new key"
            },
            key(args.credential_key).name()
        ));
    }
    lines.push(format!(
        "{}{}",
        plan.file.path.display(),
        note(plan.file.found()?)
    ));
    for seen in plan.gateways.iter().chain(&plan.system_gateways) {
        let there = if seen.is_current() { " (is there)" } else { "" };
        lines.push(format!("{}{there}", seen.drop_in.display()));
    }
    lines.push(format!(
        "{}",
        plan.looked.vault.join("keeper.json").display()
    ));
    out.say("Files:");
    for line in lines {
        out.say(&format!("  {line}"));
    }
    if args.dry_run {
        let drop_ins = plan.gateways.iter().chain(&plan.system_gateways);
        let all = std::iter::once((plan.file.path.as_path(), &plan.file.text))
            .chain(drop_ins.map(|seen| (&*seen.drop_in, &seen.text)));
        for (path, text) in all {
            out.data(&ui::plain(&format!("### {}\n{text}", path.display())))?;
        }
    }
    let gateways = plan.gateways.iter().chain(&plan.system_gateways);
    for note in gateways.clone().flat_map(|seen| &seen.notes) {
        out.say(&format!("note: {note}"));
    }
    if gateways.count() == 0 {
        out.say("note: no gateway's unit was found; install OpenClaw's (openclaw gateway install), then run this again");
    }
    Ok(())
}

/// The key that the flag means.
pub fn key(arg: CredentialKeyArg) -> CredentialKey {
    match arg {
        CredentialKeyArg::Auto => CredentialKey::Auto,
        CredentialKeyArg::Host => CredentialKey::Host,
        CredentialKeyArg::Tpm2 => CredentialKey::Tpm2,
    }
}

fn execute(job: &mut Job<'_>, target: &Target, plan: &Plan, args: &ServiceInstall) -> Result<()> {
    if let Some(copy) = &plan.copy {
        let bytes = image::bytes(job.app)?;
        job.put(copy, &bytes, 0o755)?;
    }
    if target.of_system {
        credential(job, target, plan, key(args.credential_key))?;
    }
    let name = plan.unit.name();
    // Pushed first, so that it comes last when steps are taken back.
    job.systemctl(&["daemon-reload"], Some(&["daemon-reload"]))?;
    let owner = if target.of_system {
        Owner::System
    } else {
        Owner::User
    };
    let mut changed = job.write(&plan.file, owner)?;
    for seen in &plan.system_gateways {
        let planned = Planned::new(seen.drop_in.to_path_buf(), seen.text.clone());
        changed |= job.write(&planned, Owner::System)?;
    }
    if changed {
        job.systemctl(&["daemon-reload"], None)?;
    }
    job.start(&name)?;
    let keeper = (!target.of_system).then(|| name.clone());
    let back = (plan.looked.pointer.is_none()).then_some(Ask::Unplug);
    job.ask(&Ask::Plug { keeper }, back)?;
    job.ask(&Ask::Reload, None)?;
    let socket = plan.unit.socket();
    let back = plan.looked.pointer.is_none().then_some(Ask::Unpoint);
    job.ask(
        &Ask::Point {
            socket: socket.clone(),
        },
        back,
    )?;
    // Below another root nothing listens.
    let socket = (target.system.root() == Path::new("/")).then_some(socket);
    job.ask(&Ask::Prove { socket }, None)?;
    if args.restart_gateway {
        job.ask(&Ask::Restart, None)?;
        for seen in &plan.system_gateways {
            job.systemctl(&["try-restart", &seen.unit], None)?;
        }
    }
    Ok(())
}

/// The key of the slot `service`, encrypted for this machine: the one that is there where it still
/// opens that slot, otherwise a new one. It is in no file and no argument on its way.
fn credential(
    job: &mut Job<'_>,
    target: &Target,
    plan: &Plan,
    wanted: CredentialKey,
) -> Result<()> {
    let path = credential_path(target.system.root(), &target.user.name);
    let in_service = credential_in_service(&target.user.name);
    let there = file::absent_is_none(file::read(&path, MAX_CREDENTIAL, Privacy::Shared))?.flatten();
    if let (Some(bytes), Some((slot_path, recipient))) = (&there, &plan.looked.slot) {
        let kind = credential_kind(bytes);
        let is_wanted = wanted == CredentialKey::Auto || kind == Some(wanted.name());
        if is_wanted
            && **slot_path == *in_service
            && let Some(text) = target.system.decrypt(CREDENTIAL, &path)?
            && IdentityText::parse(&text).is_ok_and(|text| text.identity.recipient() == *recipient)
        {
            return Ok(());
        }
    }
    let text = IdentityText {
        identity: Identity::generate(),
        // It stays the same when the vault gets a new identity.
        pins: Vec::new(),
    };
    let encrypted = target.system.encrypt(CREDENTIAL, &text.render(), wanted)?;
    let back = plan.looked.slot.is_none().then_some(Ask::RemoveSlot);
    job.ask(
        &Ask::AddSlot {
            path: in_service,
            recipient: text.identity.recipient(),
        },
        back,
    )?;
    job.put(&path, &encrypted, 0o600)
}

fn closing(app: &App, target: &Target, plan: &Plan, args: &ServiceInstall) {
    let ui = app.ui;
    ui.say("Installed. The vault is open while the keeper runs, and locked without it.");
    if !args.restart_gateway {
        let who = if target.of_system {
            format!(", as {}", target.user.name)
        } else {
            String::new()
        };
        for seen in &plan.gateways {
            ui.say(&format!(
                "Next{who}: systemctl --user restart {}",
                seen.unit
            ));
        }
        for seen in &plan.system_gateways {
            ui.say(&format!("Next: systemctl restart {}", seen.unit));
        }
    }
    if !target.lingers() && (!target.of_system || !plan.gateways.is_empty()) {
        ui.say(&format!(
            "note: services of {0} start when {0} logs in, not with the machine\nhint: sudo loginctl enable-linger {0}",
            target.user.name
        ));
    }
    if plan
        .looked
        .opened_by
        .as_deref()
        .is_some_and(|by| by.contains("(keychain)"))
        && !target.of_system
    {
        ui.say("note: the keychain opens when you log in at the desktop; until then the gateway gets no keys");
    }
    ui.say(crate::cli::init::AT_REST);
}
