//! `service` on macOS: a LaunchAgent of the user's own. Ring 4.
//!
//! Thin, and never run: nothing here has met a real launchd. The keeper listens in the vault's own
//! folder, so no `keeper.json` is needed to find it; it makes the vault wait for it.

use super::Target;
use super::ask::Ask;
use crate::cli::app::App;
use crate::cli::args::{ServiceInstall, ServiceUninstall};
use crate::error::{Error, Result};
use crate::file;
use crate::service::launch_agent::{LABEL, LaunchAgent};
use std::ffi::OsString;

/// Installs the agent.
///
/// # Errors
/// `Usage` for a form that launchd does not have here; what went wrong.
pub fn install(app: &App, args: &ServiceInstall, target: &Target) -> Result<()> {
    if target.of_system {
        return Err(Error::usage("on macOS the keeper is a service of your own")
            .hint("clawkeep service install --user"));
    }
    let mut side = target.side(app)?;
    let looked = side.look(!args.dry_run)?;
    let socket = looked.vault.join("keeper.sock");
    let text = |path: &std::path::Path| path.display().to_string();
    let agent = LaunchAgent {
        program: app.host.program()?,
        args: vec![
            "keeper".to_owned(),
            "start".to_owned(),
            "--foreground".to_owned(),
            "--release".to_owned(),
            "always".to_owned(),
            "--vault".to_owned(),
            text(&looked.vault),
            "--socket".to_owned(),
            text(&socket),
        ],
    };
    let path = LaunchAgent::path(&looked.home);
    let plist = agent.render()?;
    app.ui.say(&format!("Files:\n  {}", path.display()));
    if args.dry_run {
        app.ui.data(&format!("### {}\n{plist}", path.display()))?;
        app.ui.say("Dry run: nothing was changed.");
        return Ok(());
    }
    app.agree(
        args.yes,
        "Install this?",
        true,
        "installing a service",
        "add --yes, or look first: clawkeep service install --dry-run",
    )?;
    file::replace(&path, plist.as_bytes(), 0o644)?;
    let domain = OsString::from(format!("gui/{}", target.user.uid));
    let loaded = target
        .system
        .launchctl(&["bootstrap".as_ref(), &domain, path.as_os_str()])
        .and_then(|()| side.act(&Ask::Point { socket }));
    if let Err(error) = loaded {
        file::remove(&path)?;
        return Err(error);
    }
    app.ui.say("Installed.");
    Ok(())
}

/// Takes the agent away.
///
/// # Errors
/// What went wrong.
pub fn uninstall(app: &App, args: &ServiceUninstall, target: &Target) -> Result<()> {
    let mut side = target.side(app)?;
    let looked = side.look(false)?;
    let path = LaunchAgent::path(&looked.home);
    app.ui.say(&format!("What goes:\n  {}", path.display()));
    if args.dry_run {
        app.ui.say("Dry run: nothing was changed.");
        return Ok(());
    }
    app.agree(args.yes, "Uninstall this?", false, "this", "add --yes")?;
    side.act(&Ask::Unpoint)?;
    let service = OsString::from(format!("gui/{}/{LABEL}", target.user.uid));
    if path.exists() {
        target.system.launchctl(&["bootout".as_ref(), &service])?;
        file::remove(&path)?;
    }
    app.ui.say("Uninstalled.");
    Ok(())
}
