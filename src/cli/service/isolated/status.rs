//! `service status` of the isolated form. Ring 4; changes nothing.

use super::install::survey;
use super::{Installed, vault_path};
use crate::cli::app::App;
use crate::cli::args::ServiceStatus;
use crate::cli::service::Target;
use crate::cli::service::status::{self, Row};
use crate::error::Result;
use crate::service::keeper_unit::system_unit;
use crate::service::marker;

/// Shows the isolated form where it is named or installed, otherwise the one at rest.
///
/// # Errors
/// `Failed` when something is off, after everything is shown.
pub fn or_at_rest(app: &App, args: &ServiceStatus) -> Result<()> {
    let target = Target::find(app, &args.place, false)?;
    let installed = target.installed()?;
    let is_isolated = args.place.isolated
        || installed
            .as_ref()
            .is_some_and(|unit| unit.gateway_unit.is_some());
    if !is_isolated || args.place.user {
        return status::run(app, args);
    }
    let target = Target {
        of_system: true,
        ..target
    };
    let rows = rows(app, &target, installed.as_ref())?;
    let fine = rows.iter().all(|row| row.fine);
    status::print(
        app,
        args,
        &status::Shown {
            form: "isolated",
            user: target.user.name.as_str(),
            vault: &vault_path(&target.user.name),
            unit: &system_unit(&target.user.name),
            fine,
            rows: &rows,
            notes: &[],
        },
    )?;
    status::verdict(
        app,
        args,
        fine,
        &format!(
            "sudo clawkeep service install --isolated --for {}",
            target.user.name
        ),
    )
}

fn rows(app: &App, target: &Target, installed: Option<&Installed>) -> Result<Vec<Row>> {
    let name = &target.user.name;
    let keeper_unit = system_unit(name);
    let row = |what, state: &str, place: String, fine| Row {
        what,
        state: state.to_owned(),
        place,
        fine,
    };
    let mut rows = vec![match installed {
        None => row("unit", "absent", keeper_unit.clone(), false),
        Some(unit) if unit.intact => row("unit", "there", keeper_unit.clone(), true),
        Some(_) => row("unit", "edited", keeper_unit.clone(), false),
    }];
    let gateway = installed.and_then(|unit| unit.gateway_unit.clone());
    for unit in std::iter::once(&keeper_unit).chain(gateway.as_ref()) {
        for (what, verb) in [("enabled", "is-enabled"), ("active", "is-active")] {
            rows.push(status::systemctl_row(target, what, verb, unit));
        }
    }
    if let Some(gateway) = &gateway {
        let path = target.system_units().join(gateway);
        let text = super::text_of(&path)?;
        rows.push(match &text {
            None => row("gateway", "absent", path.display().to_string(), false),
            Some(text) if marker::is_intact(text) => {
                row("gateway", "there", path.display().to_string(), true)
            }
            Some(_) => row("gateway", "not ours", path.display().to_string(), true),
        });
    }
    rows.push(status::credential_row(target));
    // The gateway's user may look at its own side, and root.
    let mut side = target.side(app)?;
    let seen = survey(side.as_mut())?;
    let socket = target
        .isolated_unit("/".into(), gateway.as_deref().unwrap_or_default())?
        .socket();
    let points = seen.moved.as_ref().is_some_and(|(to, _)| **to == *socket);
    rows.push(row(
        "keeper.json",
        if points { "points there" } else { "absent" },
        seen.vault.join("keeper.json").display().to_string(),
        points,
    ));
    let asks = seen.asks.as_ref().is_some_and(|(to, _)| **to == *socket);
    rows.push(row(
        "openclaw",
        if asks {
            "asks the keeper"
        } else {
            "asks something else"
        },
        socket.display().to_string(),
        asks,
    ));
    rows.push(row(
        "old vault",
        if seen.has_vault {
            "still there"
        } else {
            "gone"
        },
        seen.vault.display().to_string(),
        !seen.has_vault,
    ));
    Ok(rows)
}
