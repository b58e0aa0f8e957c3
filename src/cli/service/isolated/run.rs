//! `service run` and `service arm`: commands on an isolated vault. Ring 4.
//!
//! Promise: root opens nothing; the command runs as the keeper's user in a unit of its own, with the
//! credential that only systemd hands out. What a person types goes to it over a terminal of its own,
//! what is piped over the pipe; no value is an argument.

use super::vault_path;
use crate::cli::app::App;
use crate::cli::args::{Global, KeeperArm, ServiceArm, ServiceRun, ServiceWhere};
use crate::cli::service::Target;
use crate::error::{Error, Result};
use crate::service::keeper_unit::{CREDENTIAL, credential_path};
use crate::service::text::{checked, path_text};
use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// What holds for the unit of one command.
const HARD: [&str; 14] = [
    "UMask=0077",
    "LimitCORE=0",
    "LimitMEMLOCK=infinity",
    "MemorySwapMax=0",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "IPAddressDeny=any",
    "PrivateNetwork=yes",
    "PrivateTmp=yes",
    "ProtectHome=yes",
    "ProtectSystem=strict",
    "RestrictAddressFamilies=AF_UNIX",
    "RestrictNamespaces=yes",
    "KillMode=control-group",
];

fn target(app: &App, owner: Option<&String>, root: Option<&std::path::PathBuf>) -> Result<Target> {
    let place = ServiceWhere {
        user: false,
        system: true,
        owner: owner.cloned(),
        isolated: true,
        root: root.cloned(),
    };
    let target = Target::find(app, &place, true)?;
    match target.installed()? {
        Some(unit) if unit.gateway_unit.is_some() => Ok(target),
        _ => Err(Error::missing(format!(
            "no isolated vault of {} is installed",
            target.user.name
        ))
        .hint(format!(
            "clawkeep service install --isolated --for {}",
            target.user.name
        ))),
    }
}

/// Runs a command; on success it does not come back.
///
/// # Errors
/// `Missing` when there is no isolated vault or no systemd-run; `Usage` for a command that no unit can
/// hold.
pub fn run(app: &App, args: &ServiceRun) -> Result<()> {
    let target = target(app, args.owner.as_ref(), args.root.as_ref())?;
    let installed = target.installed()?;
    let program = installed.map_or_else(|| "/usr/local/bin/clawkeep".into(), |unit| unit.program);
    let keeper = super::keeper_name(&target.user.name)?;
    let vault = vault_path(&target.user.name);
    let vault = path_text(&vault, "the vault's folder")?;
    let credential = credential_path(Path::new("/"), &target.user.name);
    let credential = path_text(&credential, "the credential")?;
    let mut command = Command::new(target.system.find("systemd-run")?);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .args(["--quiet", "--wait", "--collect", "--service-type=exec"]);
    if let Some(term) = app.host.var("TERM") {
        command.env("TERM", term);
    }
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    command.arg(if is_terminal { "--pty" } else { "--pipe" });
    command.arg(format!(
        "--description=clawkeep on the vault of {}",
        target.user.name
    ));
    command.arg(format!("--property=User={keeper}"));
    command.arg(format!(
        "--property=LoadCredentialEncrypted={CREDENTIAL}:{credential}"
    ));
    command.arg(format!("--property=ReadWritePaths={vault}"));
    for property in HARD {
        command.arg(format!("--property={property}"));
    }
    command.arg(format!("--setenv=HOME={vault}"));
    if is_terminal && let Some(term) = app.host.var("TERM").and_then(|t| t.into_string().ok()) {
        command.arg(format!("--setenv=TERM={term}"));
    }
    command.arg("--").arg(program).args(["--vault", vault]);
    for word in &args.command {
        command.arg(literal(word)?);
    }
    let error = command.exec();
    Err(Error::failed(format!(
        "systemd-run cannot be started: {}",
        error.kind()
    )))
}

/// systemd-run hands a word on as it is, but for variables.
fn literal(word: &str) -> Result<String> {
    let word = checked(word, "a word of the command")
        .map_err(|error| error.as_kind(crate::error::Kind::Usage))?;
    Ok(word.replace('$', "$$"))
}

/// `keeper arm` on an isolated vault.
///
/// # Errors
/// As [`crate::cli::arm::run`].
pub fn arm(app: &App, args: &ServiceArm) -> Result<()> {
    let target = target(app, args.owner.as_ref(), None)?;
    let global = Global {
        vault: Some(vault_path(&target.user.name)),
        ..app.global.clone()
    };
    let app = App::new(app.host.clone(), global, false)?;
    crate::cli::arm::run(
        &app,
        &KeeperArm {
            ids: args.ids.clone(),
            yes: args.yes,
            trust_this_program: false,
        },
    )
}
