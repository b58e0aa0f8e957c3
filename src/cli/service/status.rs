//! `service status`: what is installed, and whether it runs. Ring 4; changes nothing.

use super::ask::{Looked, Seen};
use super::files::Planned;
use super::monitor::Parts;
use super::{Target, install};
use crate::cli::app::App;
use crate::cli::args::{ServiceStatus, ServiceWhere};
use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use crate::service::keeper_unit::{USER_UNIT, credential_path, system_unit};
use crate::service::marker::{self, Found};
use crate::service::system::credential_kind;
use serde_json::json;
use std::path::{Path, PathBuf};

/// One thing that was looked at.
pub struct Row {
    /// A stable word.
    pub what: &'static str,
    /// How it is.
    pub state: String,
    /// Where it is.
    pub place: String,
    /// Whether it is as it should be.
    pub fine: bool,
}

/// Runs `service status`.
///
/// # Errors
/// `Failed` when something is off, after everything is shown.
pub fn run(app: &App, args: &ServiceStatus) -> Result<()> {
    let target = chosen(app, &args.place)?;
    let mut side = target.side(app)?;
    let looked = side.look(false)?;
    let unit = if target.of_system {
        system_unit(&target.user.name)
    } else {
        USER_UNIT.to_owned()
    };
    let mut rows = keeper_rows(&target, &looked, &unit)?;
    let same_manager = (!target.of_system).then_some(unit.as_str());
    let mut gateways = side.gateways(same_manager)?;
    let in_user_manager = gateways.len();
    if target.of_system {
        gateways.extend(install::system_gateways(&target, &unit)?);
    }
    rows.extend(gateways.iter().map(gateway_row));
    rows.extend(Parts::of(&target, &looked).rows(&target)?);
    if !target.of_system || in_user_manager > 0 {
        let on = target.lingers();
        rows.push(Row {
            what: "linger",
            state: if on { "on" } else { "off" }.to_owned(),
            place: if on {
                "services start with the machine".to_owned()
            } else {
                format!(
                    "not with the machine; sudo loginctl enable-linger {}",
                    target.user.name
                )
            },
            fine: on,
        });
    }
    let fine = rows.iter().all(|row| row.fine);
    let notes: Vec<&str> = gateways
        .iter()
        .flat_map(|seen| seen.notes.iter().map(|note| &**note))
        .collect();
    print(
        app,
        args,
        &Shown {
            form: if target.of_system { "system" } else { "user" },
            user: target.user.name.as_str(),
            vault: &looked.vault,
            unit: &unit,
            fine,
            rows: &rows,
            notes: &notes,
        },
    )?;
    let sudo = if target.of_system { "sudo " } else { "" };
    let hint = format!("{sudo}clawkeep service install {}", target.flags());
    verdict(app, args, fine, &hint)
}

/// What was found, to be shown.
pub struct Shown<'a> {
    /// `system`, `user` or `isolated`.
    pub form: &'static str,
    /// Whose vault.
    pub user: &'a str,
    /// Its folder.
    pub vault: &'a Path,
    /// The keeper's unit.
    pub unit: &'a str,
    /// Whether all is as it should be.
    pub fine: bool,
    /// The parts.
    pub rows: &'a [Row],
    /// What a person should know.
    pub notes: &'a [&'a str],
}

/// Shows it, as a table or as one document.
///
/// # Errors
/// `BrokenPipe` when nobody reads it.
pub fn print(app: &App, args: &ServiceStatus, shown: &Shown<'_>) -> Result<()> {
    if args.json {
        let rows: Vec<_> = shown
            .rows
            .iter()
            .map(|row| json!({"what": row.what, "state": row.state, "where": row.place, "ok": row.fine}))
            .collect();
        return app.ui.document(&json!({
            "form": shown.form,
            "user": shown.user,
            "vault": shown.vault.display().to_string(),
            "unit": shown.unit,
            "ok": shown.fine,
            "parts": rows,
            "notes": shown.notes,
        }));
    }
    let mut table = vec![["WHAT", "STATE", "WHERE"].map(str::to_owned).to_vec()];
    for row in shown.rows {
        table.push(vec![
            row.what.to_owned(),
            row.state.clone(),
            row.place.clone(),
        ]);
    }
    app.ui.table(&table)?;
    for note in shown.notes {
        app.ui.say(&format!("note: {note}"));
    }
    Ok(())
}

/// The exit: well, or with what to type.
///
/// # Errors
/// `Failed` when something is off.
pub fn verdict(app: &App, args: &ServiceStatus, fine: bool, hint: &str) -> Result<()> {
    if fine {
        return Ok(());
    }
    if !args.json {
        app.ui.say(&format!("Not as it should be.\nhint: {hint}"));
    }
    Err(Error::shown())
}

/// The form that was named, otherwise the one that is installed.
fn chosen(app: &App, place: &ServiceWhere) -> Result<Target> {
    let target = Target::find(app, place, false)?;
    if target.of_system || place.user {
        return Ok(target);
    }
    let system_file = target
        .system
        .path("etc/systemd/system")
        .join(system_unit(&target.user.name));
    Ok(Target {
        of_system: system_file.exists(),
        ..target
    })
}

fn keeper_rows(target: &Target, looked: &Looked, unit: &str) -> Result<Vec<Row>> {
    let path = target.units(looked).join(unit);
    let there = file::absent_is_none(file::read(&path, 1024 * 1024, Privacy::Shared))?.flatten();
    let text = there.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let found = match &text {
        None => Found::Absent,
        Some(text) if !marker::is_intact(text) => marker::compare(Some(text), ""),
        Some(text) => {
            let program = program_of(text).unwrap_or_else(|| PathBuf::from("/"));
            let wanted = target.unit(program, looked).render()?;
            Planned::new(path.clone(), wanted).found()?
        }
    };
    let mut rows = vec![Row {
        what: "unit",
        state: found.name().to_owned(),
        place: path.display().to_string(),
        fine: found == Found::Current,
    }];
    for (what, verb) in [("enabled", "is-enabled"), ("active", "is-active")] {
        rows.push(systemctl_row(target, what, verb, unit));
    }
    let socket = target.unit(PathBuf::from("/"), looked).socket();
    let below = socket.strip_prefix("/").unwrap_or(&socket);
    let is_there = target.system.root().join(below).exists();
    rows.push(Row {
        what: "socket",
        state: if is_there { "there" } else { "absent" }.to_owned(),
        place: socket.display().to_string(),
        fine: is_there,
    });
    let points = looked.pointer.as_deref() == Some(socket.as_path());
    rows.push(Row {
        what: "keeper.json",
        state: match &looked.pointer {
            _ if points => "points there",
            Some(_) => "points elsewhere",
            None => "absent",
        }
        .to_owned(),
        place: looked.vault.join("keeper.json").display().to_string(),
        fine: points,
    });
    if target.of_system {
        rows.push(credential_row(target));
        rows.push(Row {
            what: "slot",
            state: if looked.slot.is_some() {
                "there"
            } else {
                "absent"
            }
            .to_owned(),
            place: super::side::SLOT.to_owned(),
            fine: looked.slot.is_some(),
        });
    }
    Ok(rows)
}

/// What the manager says of a unit.
pub fn systemctl_row(target: &Target, what: &'static str, verb: &str, unit: &str) -> Row {
    let answer = target.system.systemctl(&target.manager(), &[verb, unit]);
    let (state, fine) = match answer {
        Ok(out) => {
            let word = String::from_utf8_lossy(&out.stdout).trim().to_owned();
            let word = if word.is_empty() {
                "no".to_owned()
            } else {
                word
            };
            (word, out.ok)
        }
        Err(_) => ("unknown: systemctl is not there".to_owned(), false),
    };
    Row {
        what,
        state,
        place: unit.to_owned(),
        fine,
    }
}

/// The program that a unit of ours starts.
fn program_of(text: &str) -> Option<PathBuf> {
    let settings = crate::service::text::settings(text).ok()?;
    let command = settings
        .iter()
        .find(|setting| setting.name == "ExecStart")?;
    let first = crate::service::text::words(&command.value)
        .ok()?
        .into_iter()
        .next()?;
    let first = first.strip_prefix(':').unwrap_or(&first).replace("%%", "%");
    Some(PathBuf::from(first))
}

/// The keeper's credential.
pub fn credential_row(target: &Target) -> Row {
    let path = credential_path(target.system.root(), &target.user.name);
    let (state, fine) = match file::read(&path, 1024 * 1024, Privacy::Shared) {
        Ok(Some(bytes)) => match credential_kind(&bytes) {
            Some(kind) => (format!("key: {kind}"), true),
            None => ("key: of another kind".to_owned(), true),
        },
        // Root's alone; that it is there is all that others see.
        Err(_) if path.exists() => ("there (its key: ask as root)".to_owned(), true),
        Ok(None) | Err(_) => ("absent".to_owned(), false),
    };
    Row {
        what: "credential",
        state,
        place: path.display().to_string(),
        fine,
    }
}

fn gateway_row(seen: &Seen) -> Row {
    Row {
        what: "gateway",
        state: match seen.found {
            Found::Current => "drop-in".to_owned(),
            Found::Absent => "no drop-in".to_owned(),
            other => format!("drop-in {}", other.name()),
        },
        place: seen.unit.to_string(),
        fine: seen.found == Found::Current,
    }
}
