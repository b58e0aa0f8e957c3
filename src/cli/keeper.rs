//! `keeper`, `unlock`, `lock`: a process that holds the vault open. Ring 4.
//!
//! Promises: a passphrase is typed into this process and goes nowhere; the keeper gets the vault's
//! identity over a pipe that it inherits, never over a socket or a path. Nothing is asked where a
//! keeper runs already.

use super::app::App;
use super::args::{KeeperCommand, KeeperHow, KeeperStart, KeeperStatus, ReleaseArg};
use super::ending::{KILL, KILL_NOW, end};
use super::handing;
use super::keeping::{self, GatewayUnit, Seat, Terms};
use super::record::{ASKS_TWICE, LinkRecord};
use super::ui;
use crate::error::{Error, Kind, Result};
use crate::expiry;
use crate::keeper::Release;
use crate::keeper::client::{Client, Place};
use crate::keeper::pointer::Pointer;
use crate::keeper::published::Published;
use crate::keeper::socket;
use crate::keeper::unit::Unit;
use crate::keeper::wire::{Answer, Question, Status};
use crate::service::notify;
use crate::vault::cache::{Cache, Custody};
use crate::vault::{self, Found};
use serde_json::json;
use std::path::PathBuf;

/// Runs one `keeper` command.
pub fn run(app: &App, command: &KeeperCommand) -> Result<()> {
    match command {
        KeeperCommand::Start(args) if args.foreground => foreground(app, args),
        KeeperCommand::Start(args) if args.handed => handing::handed(app, args),
        KeeperCommand::Start(args) => start(app, args),
        KeeperCommand::Arm(args) => super::arm::run(app, args),
        KeeperCommand::Status(args) => status(app, args),
        KeeperCommand::Stop => lock(app),
    }
}

/// `unlock`: `keeper start` without the flags of services.
///
/// # Errors
/// As [`run`].
pub fn unlock(app: &App, how: &KeeperHow) -> Result<()> {
    let args = KeeperStart {
        how: how.clone(),
        foreground: false,
        socket: None,
        gateway_unit: None,
        gateway_user: None,
        handed: false,
    };
    start(app, &args)
}

/// Where this vault's keeper is, or is to be.
fn place(app: &App, socket: Option<&PathBuf>) -> Result<Place> {
    let mut place = app.keeper_place()?;
    if let Some(socket) = socket {
        place.socket = app.host.absolute(socket)?;
    }
    Ok(place)
}

/// On which terms a keeper is to be started.
///
/// # Errors
/// `Usage` for a time that is none.
pub fn terms(app: &App, args: &KeeperStart) -> Result<Terms> {
    let span = |text: &Option<String>, flag: &str| {
        text.as_deref()
            .map(|text| expiry::span(text, flag))
            .transpose()
    };
    Ok(Terms {
        release: match args.how.release {
            #[cfg(windows)]
            Some(ReleaseArg::Once) => return Err(super::once::refused()),
            #[cfg(unix)]
            Some(ReleaseArg::Once) => Release::Once,
            Some(ReleaseArg::Always) | None => Release::Always,
        },
        timeout: span(&args.how.timeout, "--timeout")?,
        idle: span(&args.how.idle, "--idle")?,
        socket: place(app, args.socket.as_ref())?.socket,
        asks_twice: args.how.asks_twice,
        unit: gateway_unit(args)?,
    })
}

/// The one unit that is answered.
fn gateway_unit(args: &KeeperStart) -> Result<Option<GatewayUnit>> {
    let (Some(name), Some(uid)) = (&args.gateway_unit, args.gateway_user) else {
        return Ok(None);
    };
    if args.how.release != Some(ReleaseArg::Once) {
        return Err(
            Error::usage("--gateway-unit is for a keeper that gives each value once")
                .hint("add --release once"),
        );
    }
    Ok(Some(GatewayUnit {
        unit: Unit::new(name, None)?,
        uid,
    }))
}

/// A keeper is for a vault file; keychain custody has a lock of its own.
fn check_custody(app: &App) -> Result<()> {
    match app.find()? {
        Found::Vault(Custody::File) => Ok(()),
        Found::Vault(Custody::Keychain) => Err(Error::failed(
            "this vault keeps each value in the keychain, so there is nothing for a keeper to hold: \
             the keychain's own lock is the only one",
        )
        .hint("a vault file can have one: clawkeep --vault NEW-DIR init --custody file")),
        Found::Nothing => Err(vault::none_in(&app.dir)),
    }
}

/// Opens the vault here, where a person may be asked, and hands it to a keeper in the background.
fn start(app: &App, args: &KeeperStart) -> Result<()> {
    check_custody(app)?;
    let terms = terms(app, args)?;
    if let Some(mut keeper) = place(app, args.socket.as_ref())?.connect()? {
        return already(app, args, &mut keeper);
    }
    if terms.release == Release::Once {
        super::arm::check_program(app, args.how.trust_this_program)?;
        let link = LinkRecord::load(&app.dir)?;
        if !terms.asks_twice && link.is_some_and(|link| link.openclaw == ASKS_TWICE) {
            app.ui.say(&format!(
                "OpenClaw {ASKS_TWICE} asks for everything twice at its start.\nhint: add --asks-twice"
            ));
        }
    }
    let vault = app.open_vault_file("keeper")?;
    let (status, warning) = handing::spawn(app, args, &terms, vault)?;
    app.ui.say(&format!(
        "The vault is open: a keeper (process {}) holds it{}.\nIt ends by: clawkeep lock",
        status.pid,
        bounds(&status)
    ));
    warn_of_swap(app, &status);
    if let Some(warning) = warning {
        app.ui.error(&warning);
    }
    Ok(())
}

fn already(app: &App, args: &KeeperStart, keeper: &mut Client) -> Result<()> {
    let pid = keeper.server()?.pid;
    let asked = &args.how;
    if asked.release.is_some() || asked.timeout.is_some() || asked.idle.is_some() {
        return Err(Error::failed(format!(
            "a keeper holds this vault already (process {pid}); it stays as it was started"
        ))
        .hint("clawkeep lock, then start it anew"));
    }
    app.ui.say(&format!(
        "The vault is open already: a keeper (process {pid}) holds it."
    ));
    Ok(())
}

fn warn_of_swap(app: &App, status: &Status) {
    if !status.locked_memory {
        #[cfg(windows)]
        app.ui.say(
            "warning: memory is not locked on Windows, so values may reach the page file.\n\
             hint: encrypt the drive, or the page file: fsutil behavior set encryptpagingfile 1",
        );
        #[cfg(unix)]
        app.ui.say(
            "warning: this user's limit on locked memory is too low for this vault, so values may reach \
             the swap file.\nhint: raise it (ulimit -l, or LimitMEMLOCK= in a unit), or encrypt swap",
        );
    }
}

fn bounds(status: &Status) -> String {
    let until = status
        .until
        .map(|at| format!(", at most until {}", ui::date(at)));
    let idle = status.idle_until.is_some().then_some(", while it is used");
    format!("{}{}", until.unwrap_or_default(), idle.unwrap_or_default())
}

/// The keeper of a service: opens the vault by what needs no person.
fn foreground(app: &App, args: &KeeperStart) -> Result<()> {
    check_custody(app)?;
    let terms = terms(app, args)?;
    let seat = Seat::take(&app.dir)?;
    let held = if args.handed {
        handing::take_over(app)?
    } else {
        app.hold_open()?
    };
    super::arm::check_once(&held, &terms)?;
    #[cfg(unix)]
    if !args.handed && held.opened_by().ends_with("(keychain)") {
        drop(seat);
        return handing::begin_anew(app, args, &terms, held);
    }
    let warn = |error: &Error| app.ui.error(error);
    keeping::keep(&app.host, held, terms, seat, warn, |status| {
        app.ui.say(&format!(
            "The vault is open by {}{}.",
            status.opened_by,
            bounds(status)
        ));
        warn_of_swap(app, status);
        notify::ready(&app.host, "the vault is open");
        Ok(())
    })
    .map(|ended| {
        notify::stopping(&app.host);
        app.ui.say(&format!("Locked: {}.", ended.text()));
    })
}

/// Ends the keeper. Without one, says what opens the vault without a person.
///
/// # Errors
/// `Failed` when the keeper does not end, or when there is none and the vault opens by itself.
pub fn lock(app: &App) -> Result<()> {
    let Some(mut keeper) = place(app, None)?.connect()? else {
        return no_keeper(app);
    };
    let pid = keeper.server()?.pid;
    let gone = || {
        Error::failed(format!("the keeper (process {pid}) cannot be told to end"))
            .hint(format!("{KILL} {pid}"))
    };
    if !end(pid, &mut keeper).ok_or_else(gone)? {
        return Err(Error::failed(format!(
            "the keeper (process {pid}) was told to end and is busy with something else"
        ))
        .hint(format!("{KILL_NOW} {pid}")));
    }
    app.ui
        .say("Locked: the keeper has wiped the values and ended.");
    let pointer = Pointer::load_of_anyone(&app.dir).ok().flatten();
    if pointer.is_some_and(|pointer| pointer.required) {
        app.ui
            .say("The next start of its service opens the vault again: clawkeep service status");
    }
    Ok(())
}

fn no_keeper(app: &App) -> Result<()> {
    let opens: Vec<String> = match app.find()? {
        Found::Nothing => return check_custody(app),
        Found::Vault(Custody::Keychain) => vec!["the keychain".to_owned()],
        Found::Vault(Custody::File) => Cache::load(&app.dir)?
            .into_iter()
            .flat_map(|cache| cache.slots)
            .filter(|slot| slot.kind.unattended())
            .map(|slot| format!("slot {} ({})", slot.name, slot.kind.name()))
            .collect(),
    };
    if opens.is_empty() {
        app.ui.say("Locked already: no keeper holds this vault.");
        return Ok(());
    }
    Err(Error::failed(format!(
        "no keeper holds this vault, and it opens without a person by {}",
        opens.join(" and ")
    ))
    .hint("clawkeep slot remove NAME takes such a slot away"))
}

fn status(app: &App, args: &KeeperStatus) -> Result<()> {
    let place = place(app, args.socket.as_ref())?;
    let Some(mut keeper) = place.connect()? else {
        return Err(Error::locked(format!(
            "no keeper holds the vault in {} open",
            app.dir.display()
        ))
        .hint("clawkeep unlock"));
    };
    let pid = keeper.server()?.pid;
    match keeper.ask(Question::Status) {
        Ok(Answer::Status(status)) => show(app, args, &place, &status),
        // It answers this user nothing but `resolve`, and says the rest in the vault's folder. One of our
        // own that gives always is silent for another reason.
        Err(error) if error.kind() == Kind::Locked => match super::arm::published(app, pid) {
            Some(said) if said.release == Release::Once || place.uid != socket::own_uid() => {
                show_published(app, args, &place, &said)
            }
            _ => Err(error),
        },
        Ok(_) => Err(Error::broken(
            "the keeper answered something else than it was asked",
        )),
        Err(error) => Err(error),
    }
}

fn show_published(app: &App, args: &KeeperStatus, place: &Place, said: &Published) -> Result<()> {
    if args.json {
        return app.ui.document(&json!({
            "open": true, "pid": said.pid, "socket": place.socket, "release": said.release,
            "vault_id": said.vault_id, "since": said.since, "until": said.locks_at,
        }));
    }
    let open = match said.release {
        Release::Once => "for one gateway, each value once",
        Release::Always => "for another user",
    };
    let rows = [
        ["open", open],
        ["process", &said.pid.to_string()],
        ["vault", &said.vault_id.short()],
        ["since", &ui::date(said.since)],
        ["ends", &said.locks_at.map_or("never".to_owned(), ui::date)],
    ];
    app.ui.pairs(&rows.map(row))
}

fn row(cells: [&str; 2]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn show(app: &App, args: &KeeperStatus, place: &Place, status: &Status) -> Result<()> {
    if args.json {
        return app.ui.document(&json!({
            "open": true, "pid": status.pid, "socket": place.socket, "release": status.release,
            "vault_id": status.vault_id, "since": status.since, "until": status.until,
            "idle_until": status.idle_until, "locked_memory": status.locked_memory,
            "opened_by": status.opened_by,
        }));
    }
    let time = |at: Option<expiry::Millis>| at.map_or("never".to_owned(), ui::date);
    let memory = if status.locked_memory {
        "locked, never in swap"
    } else {
        "not locked: values may reach swap"
    };
    let rows = [
        ["open", &format!("by {}", status.opened_by)],
        ["process", &status.pid.to_string()],
        ["vault", &status.vault_id.short()],
        ["gives values", status.release.name()],
        ["since", &ui::date(status.since)],
        ["ends", &time(status.until)],
        ["ends unused", &time(status.idle_until)],
        ["memory", memory],
    ];
    app.ui.pairs(&rows.map(row))
}
