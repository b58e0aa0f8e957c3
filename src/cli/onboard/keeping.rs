//! The keeper as a service, offered where this machine can have one. Ring 4; `service install` does it.

use super::Steps;
use crate::cli::args::Onboard;
use crate::error::Result;

/// Offers it: never without being asked for, since the vault is locked without its keeper from then on.
///
/// # Errors
/// As `service install`.
#[cfg(unix)]
pub(super) fn offer(steps: &mut Steps<'_>, args: &Onboard) -> Result<()> {
    use crate::cli::args::{
        CredentialKeyArg, MonitorHow, ServiceCommand, ServiceInstall, ServiceWhere,
    };
    use crate::cli::service;
    use crate::keeper::pointer::Pointer;
    let app = steps.app;
    if args.no_service || !(steps.attended || args.service) {
        return Ok(());
    }
    if Pointer::load(&app.dir)?.is_some() {
        app.ui.say("The keeper's service is installed already.");
        return Ok(());
    }
    if !args.service {
        let system = service::system(args.root.as_deref())?;
        let can = system.require_systemd().is_ok()
            && super::closing::opens_alone(&app.open_by_slots()?)
            && app.host.var("SUDO_UID").is_none();
        let Some(mut terminal) = app.person()?.filter(|_| can) else {
            return Ok(());
        };
        steps.heading("The keeper");
        terminal.show("A keeper holds the vault open in memory and gives the gateway its keys. It is not needed: this vault opens by itself. On a server that has to start without you, later: sudo clawkeep service install --system\n")?;
        if !terminal.confirm("Start a keeper whenever you log in?", false)? {
            return Ok(());
        }
    }
    let install = ServiceInstall {
        place: ServiceWhere {
            user: true,
            system: false,
            owner: None,
            isolated: false,
            root: args.root.clone(),
        },
        credential_key: CredentialKeyArg::Auto,
        gateway_unit: None,
        passphrase: false,
        new_passphrase_file: None,
        restart_gateway: false,
        monitor: false,
        every: None,
        how: MonitorHow::default(),
        dry_run: false,
        yes: true,
    };
    service::run(app, &ServiceCommand::Install(install))
}

/// There are no services here; whoever asks for one is told.
///
/// # Errors
/// `Failed` when one was asked for.
#[cfg(not(unix))]
pub(super) fn offer(_: &mut Steps<'_>, args: &Onboard) -> Result<()> {
    if !args.service {
        return Ok(());
    }
    Err(crate::error::Error::failed(
        "services are there for systemd and launchd, which this system has not",
    )
    .hint("start it yourself: clawkeep unlock"))
}
