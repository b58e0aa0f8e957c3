//! `keeper`, `unlock`, `lock`: a process that holds the vault open. Ring 4.
//!
//! Promises: a passphrase is typed into this process and goes nowhere; the keeper gets the vault's
//! identity over a pipe that it inherits, never over a socket or a path. Nothing is asked where a
//! keeper runs already.

use super::app::App;
use super::args::{KeeperCommand, KeeperHow, KeeperStart, KeeperStatus, ReleaseArg};
use super::keeping::{self, GatewayUnit, Seat, Terms};
use super::ui;
use crate::error::{Error, Kind, Result};
use crate::expiry;
use crate::keeper::Release;
use crate::keeper::client::{Client, Place};
use crate::keeper::pointer::Pointer;
use crate::keeper::unit::Unit;
use crate::keeper::wire::{Answer, Question, Status};
use crate::service::notify;
use crate::vault::Found;
use crate::vault::cache::{Cache, Custody};
use crate::vault::held::Held;
use crate::vault::identity::{Identity, IdentityText};
use serde_json::json;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a keeper that was called to end may take to wipe and go.
const END_WAIT: Duration = Duration::from_secs(5);

/// Runs one `keeper` command.
pub fn run(app: &App, command: &KeeperCommand) -> Result<()> {
    match command {
        KeeperCommand::Start(args) if args.handed => handed(app, args),
        KeeperCommand::Start(args) if args.foreground => foreground(app, args),
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

fn terms(app: &App, args: &KeeperStart) -> Result<Terms> {
    let span = |text: &Option<String>, flag: &str| {
        text.as_deref()
            .map(|text| expiry::span(text, flag))
            .transpose()
    };
    Ok(Terms {
        release: match args.how.release {
            Some(ReleaseArg::Once) => Release::Once,
            Some(ReleaseArg::Always) | None => Release::Always,
        },
        timeout: span(&args.how.timeout, "--timeout")?,
        idle: span(&args.how.idle, "--idle")?,
        socket: place(app, args.socket.as_ref())?.socket,
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
        Found::Nothing => Err(Error::missing(format!(
            "there is no vault in {}",
            app.dir.display()
        ))
        .hint("clawkeep onboard")),
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
    }
    let vault = app.open_vault_file("keeper")?;
    let mut child = Command::new(app.host.program()?);
    child
        .args(["keeper", "start", "--handed", "--vault"])
        .arg(&app.dir)
        .args(["--vault-id", &vault.id().to_string()])
        .args(["--release", terms.release.name(), "--socket"])
        .arg(&terms.socket)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    for (flag, value) in [("--timeout", &args.how.timeout), ("--idle", &args.how.idle)] {
        if let Some(value) = value {
            child.args([flag, value]);
        }
    }
    if app.global.accept_rollback {
        child.arg("--accept-rollback");
    }
    let failed =
        |error: std::io::Error| Error::failed(format!("cannot start the keeper: {}", error.kind()));
    let mut child = child.spawn().map_err(failed)?;
    if let Some(mut pipe) = child.stdin.take() {
        let text = handed_text(&vault.contents().identity);
        pipe.write_all(&text).map_err(failed)?;
    }
    drop(vault);
    let mut said = String::new();
    if let Some(pipe) = child.stdout.take() {
        pipe.take(4096).read_to_string(&mut said).map_err(failed)?;
    }
    match serde_json::from_str::<Started>(&said) {
        Ok(Started::Ready(status)) => {
            app.ui.say(&format!(
                "The vault is open: a keeper (process {}) holds it{}.\nIt ends by: clawkeep lock",
                status.pid,
                bounds(&status)
            ));
            warn_of_swap(app, &status);
            Ok(())
        }
        Ok(Started::Failed { text, hint }) => {
            let error = Error::failed(ui::plain(&text));
            Err(match hint {
                Some(hint) => error.hint(ui::plain(&hint)),
                None => error,
            })
        }
        Err(_) => Err(Error::failed("the keeper ended before it was ready")
            .hint("clawkeep keeper start --foreground")),
    }
}

/// What a keeper in the background says to who started it.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Started {
    Ready(Status),
    Failed { text: String, hint: Option<String> },
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

/// The keeper in the background: its vault's identity comes over the pipe that is its stdin.
fn handed(app: &App, args: &KeeperStart) -> Result<()> {
    let done = hold_handed(app, args);
    if let Err(error) = &done {
        let said = Started::Failed {
            text: error.message().to_owned(),
            hint: error.hint_text().map(str::to_owned),
        };
        tell(app, &said)?;
    }
    done
}

fn tell(app: &App, said: &Started) -> Result<()> {
    let text = serde_json::to_vec(said).unwrap_or_default();
    app.ui.raw(&text)
}

fn hold_handed(app: &App, args: &KeeperStart) -> Result<()> {
    let mut text = Zeroizing::new(Vec::with_capacity(4096));
    std::io::stdin()
        .lock()
        .take(4096)
        .read_to_end(&mut text)
        .map_err(|error| Error::io("read", Path::new("stdin"), &error))?;
    let identity = IdentityText::parse(&text)?.identity;
    drop(text);
    if !app.pins.contains(&identity.vault_id()) {
        return Err(Error::broken(
            "the identity that was handed over is of another vault",
        ));
    }
    // Its own session: the terminal's end and its signals are not the keeper's.
    let _ = rustix::process::setsid();
    let terms = terms(app, args)?;
    let seat = Seat::take(&app.dir)?;
    let accept = app.global.accept_rollback;
    let held = Held::with_identity(&app.dir, &app.host, identity, accept)?;
    super::arm::check_once(&held, &terms)?;
    let warn = |error: &Error| app.ui.error(error);
    keeping::keep(&app.host, held, terms, seat, warn, |status| {
        tell(app, &Started::Ready(status.clone()))?;
        let_go()
    })
    .map(|_| ())
}

/// Nobody reads what is said from here on, and no terminal or pipe is kept alive.
fn let_go() -> Result<()> {
    let failed =
        |error: rustix::io::Errno| Error::io("open", Path::new("/dev/null"), &error.into());
    let null = rustix::fs::open(
        "/dev/null",
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .map_err(failed)?;
    rustix::stdio::dup2_stdin(&null).map_err(failed)?;
    rustix::stdio::dup2_stdout(&null).map_err(failed)
}

/// The keeper of a service: opens the vault by what needs no person.
fn foreground(app: &App, args: &KeeperStart) -> Result<()> {
    check_custody(app)?;
    let terms = terms(app, args)?;
    let seat = Seat::take(&app.dir)?;
    let held = app.hold_open()?;
    super::arm::check_once(&held, &terms)?;
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
            .hint(format!("kill {pid}"))
    };
    let id = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .ok_or_else(gone)?;
    end(id).map_err(|_| gone())?;
    if !keeper.wait_for_end(END_WAIT) {
        return Err(gone());
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

/// By a handle of the process where there are such, so that no other one of that number is meant.
#[cfg(target_os = "linux")]
fn end(id: rustix::process::Pid) -> rustix::io::Result<()> {
    use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    let process = pidfd_open(id, PidfdFlags::empty())?;
    pidfd_send_signal(process, Signal::HUP)
}

#[cfg(not(target_os = "linux"))]
fn end(id: rustix::process::Pid) -> rustix::io::Result<()> {
    rustix::process::kill_process(id, rustix::process::Signal::HUP)
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
        // It answers nothing but `resolve`, and says the rest in the vault's folder.
        Err(error) if error.kind() == Kind::Locked => {
            let said = super::arm::published(app, pid);
            if args.json {
                return app.ui.document(&json!({
                    "open": true, "pid": pid, "socket": place.socket, "release": "once",
                    "vault_id": said.as_ref().map(|said| said.vault_id),
                    "since": said.as_ref().map(|said| said.since),
                    "until": said.as_ref().and_then(|said| said.locks_at),
                }));
            }
            let mut rows = vec![
                vec![
                    "open".to_owned(),
                    "for one gateway, each value once".to_owned(),
                ],
                vec!["process".to_owned(), pid.to_string()],
            ];
            if let Some(said) = said {
                rows.push(vec!["vault".to_owned(), said.vault_id.short()]);
                rows.push(vec!["since".to_owned(), ui::date(said.since)]);
                let ends = said.locks_at.map_or("never".to_owned(), ui::date);
                rows.push(vec!["ends".to_owned(), ends]);
            }
            app.ui.data(ui::table(&rows).trim_end())
        }
        Ok(_) => Err(Error::broken(
            "the keeper answered something else than it was asked",
        )),
        Err(error) => Err(error),
    }
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
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| (*cell).to_owned()).collect())
        .collect();
    app.ui.data(ui::table(&rows).trim_end())
}

/// The identity as an identity file's text, for the pipe to a keeper.
fn handed_text(identity: &Identity) -> Zeroizing<Vec<u8>> {
    let text = identity.text();
    let mut line = Zeroizing::new(Vec::with_capacity(text.len() + 1));
    line.extend_from_slice(text.as_bytes());
    line.push(b'\n');
    line
}
