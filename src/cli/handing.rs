//! An opened vault on its way from one process to the keeper. Ring 4.
//!
//! Promise: the identity goes over a pipe that the keeper inherits as its stdin, never over a path, a
//! socket, an argument or the environment.

use super::app::App;
use super::args::KeeperStart;
use super::keeper::terms;
use super::keeping::{self, Seat, Terms};
use super::ui;
use crate::error::{Error, Result};
use crate::keeper::wire::Status;
use crate::vault::Vault;
use crate::vault::held::Held;
use crate::vault::id::VaultId;
use crate::vault::identity::{Identity, IdentityText};
use std::cell::RefCell;
use std::io::{Read, Write};
#[cfg(unix)]
use std::os::fd::AsFd;
#[cfg(windows)]
use std::os::windows::io::AsHandle;
use std::path::Path;
use std::process::{Command, Stdio};
use zeroize::Zeroizing;

/// What a keeper in the background says to who started it.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Started {
    Ready {
        status: Status,
        warning: Option<Said>,
    },
    Failed(Said),
}

/// An error on its way from the keeper to who started it.
#[derive(serde::Serialize, serde::Deserialize)]
struct Said {
    text: String,
    hint: Option<String>,
}

impl Said {
    fn of(error: &Error) -> Self {
        Said {
            text: error.message().to_owned(),
            hint: error.hint_text().map(str::to_owned),
        }
    }

    fn error(self) -> Error {
        let error = Error::failed(ui::plain(&self.text));
        match self.hint {
            Some(hint) => error.hint(ui::plain(&hint)),
            None => error,
        }
    }
}

/// Starts a keeper in the background and hands the vault to it. Returns what it says when it is ready,
/// and what it warns of.
///
/// # Errors
/// `Failed` with the reason that it gives.
pub fn spawn(
    app: &App,
    args: &KeeperStart,
    terms: &Terms,
    vault: Vault,
) -> Result<(Status, Option<Error>)> {
    let mut child = successor(app, args, terms, vault.id())?;
    child
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    #[cfg(windows)]
    {
        use std::os::windows::process::CommandExt;
        // No console, so that the end of this one is not the keeper's, nor is its Ctrl-C.
        const DETACHED_PROCESS: u32 = 0x0000_0008;
        const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
        child.creation_flags(DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP);
        crate::keeper::windows::withhold_standard_handles();
    }
    let failed =
        |error: std::io::Error| Error::failed(format!("cannot start the keeper: {}", error.kind()));
    let mut child = child.spawn().map_err(failed)?;
    if let Some(mut pipe) = child.stdin.take() {
        let text = handed_text(&vault.contents().identity);
        pipe.write_all(&text).map_err(failed)?;
    }
    drop(vault);
    let said = match child.stdout.take() {
        Some(pipe) => first_said(pipe).map_err(failed)?,
        None => None,
    };
    match said {
        Some(Started::Ready { status, warning }) => Ok((status, warning.map(Said::error))),
        Some(Started::Failed(said)) => Err(said.error()),
        None => Err(Error::failed("the keeper ended before it was ready")
            .hint("clawkeep keeper start --foreground")),
    }
}

/// What the keeper says, which then lets go of the pipe.
#[cfg(unix)]
fn first_said(pipe: impl Read) -> std::io::Result<Option<Started>> {
    let mut said = String::new();
    pipe.take(4096).read_to_string(&mut said)?;
    Ok(serde_json::from_str(&said).ok())
}

/// What the keeper says first: it keeps the pipe, and says no more.
#[cfg(windows)]
#[allow(
    clippy::unnecessary_wraps,
    reason = "elsewhere reading to the end may fail"
)]
fn first_said(pipe: impl Read) -> std::io::Result<Option<Started>> {
    let mut said = serde_json::Deserializer::from_reader(pipe.take(4096)).into_iter();
    Ok(said.next().and_then(std::result::Result::ok))
}

/// The command line of a keeper that is handed an opened vault.
fn successor(app: &App, args: &KeeperStart, terms: &Terms, id: VaultId) -> Result<Command> {
    let mut command = Command::new(app.host.program()?);
    command
        .args(["keeper", "start", "--handed", "--vault"])
        .arg(&app.dir)
        .args(["--vault-id", &id.to_string()])
        .args(["--release", terms.release.name(), "--socket"])
        .arg(&terms.socket);
    let unit = terms.unit.as_ref();
    let uid = unit.map(|unit| unit.uid.to_string());
    let name = unit.map(|unit| unit.unit.name().to_owned());
    for (flag, value) in [
        ("--timeout", &args.how.timeout),
        ("--idle", &args.how.idle),
        ("--gateway-unit", &name),
        ("--gateway-user", &uid),
    ] {
        if let Some(value) = value {
            command.args([flag, value]);
        }
    }
    if args.foreground {
        command.arg("--foreground");
    }
    if terms.asks_twice {
        command.arg("--asks-twice");
    }
    if app.global.accept_rollback {
        command.arg("--accept-rollback");
    }
    Ok(command)
}

/// The keeper in the background: its vault's identity comes over the pipe that is its stdin.
///
/// # Errors
/// Why it ended; whoever started it was told.
pub fn handed(app: &App, args: &KeeperStart) -> Result<()> {
    let done = hold_handed(app, args);
    if let Err(error) = &done {
        tell(app, &Started::Failed(Said::of(error)))?;
    }
    done
}

/// Opens the vault with the identity that comes over stdin.
///
/// # Errors
/// `Broken` when none comes, or that of another vault.
pub fn take_over(app: &App) -> Result<Held> {
    // Not by the library's buffered stdin: its buffer is never wiped.
    let failed = |error: std::io::Error| Error::io("read", Path::new("stdin"), &error);
    #[cfg(unix)]
    let pipe = std::io::stdin().as_fd().try_clone_to_owned();
    #[cfg(windows)]
    let pipe = std::io::stdin().as_handle().try_clone_to_owned();
    let mut text = Zeroizing::new(Vec::with_capacity(4096));
    std::fs::File::from(pipe.map_err(failed)?)
        .take(4096)
        .read_to_end(&mut text)
        .map_err(failed)?;
    let identity = IdentityText::parse(&text)?.identity;
    drop(text);
    if !app.pins.contains(&identity.vault_id()) {
        return Err(Error::broken(
            "the identity that was handed over is of another vault",
        ));
    }
    Held::with_identity(&app.dir, &app.host, identity, app.global.accept_rollback)
}

/// Starts this program anew in this process, with the identity over a pipe: what asked the keychain
/// leaves threads behind, one of which wakes twice a second.
///
/// # Errors
/// `Failed` when the system refuses; otherwise it does not return.
#[cfg(unix)]
pub fn begin_anew(app: &App, args: &KeeperStart, terms: &Terms, held: Held) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let failed = |error: std::io::Error| {
        Error::failed(format!("cannot start the keeper anew: {}", error.kind()))
    };
    let (reader, mut writer) = std::io::pipe().map_err(failed)?;
    // It fits into the pipe: nobody has to read meanwhile.
    writer
        .write_all(&handed_text(held.identity()))
        .map_err(failed)?;
    drop(writer);
    let mut successor = successor(app, args, terms, held.id())?;
    drop(held);
    Err(failed(successor.stdin(reader).exec()))
}

fn tell(app: &App, said: &Started) -> Result<()> {
    let text = serde_json::to_vec(said).unwrap_or_default();
    app.ui.raw(&text)
}

fn hold_handed(app: &App, args: &KeeperStart) -> Result<()> {
    // Its own session: the terminal's end and its signals are not the keeper's.
    #[cfg(unix)]
    let _ = rustix::process::setsid();
    let terms = terms(app, args)?;
    let seat = Seat::take(&app.dir)?;
    let held = take_over(app)?;
    super::arm::check_once(&held, &terms)?;
    let warning = RefCell::new(None);
    let warn = |error: &Error| *warning.borrow_mut() = Some(Said::of(error));
    keeping::keep(&app.host, held, terms, seat, warn, |status| {
        let ready = Started::Ready {
            status: status.clone(),
            warning: warning.take(),
        };
        tell(app, &ready)?;
        let_go()
    })
    .map(|_| ())
}

/// Nobody reads what is said from here on. The two pipes to who started it stay with us, which keeps
/// nobody: it reads one answer.
#[cfg(windows)]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere the system may refuse")]
fn let_go() -> Result<()> {
    Ok(())
}

/// Nobody reads what is said from here on, and no terminal or pipe is kept alive.
#[cfg(unix)]
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

/// The identity as an identity file's text, for the pipe to a keeper.
fn handed_text(identity: &Identity) -> Zeroizing<Vec<u8>> {
    let text = identity.text();
    let mut line = Zeroizing::new(Vec::with_capacity(text.len() + 1));
    line.extend_from_slice(text.as_bytes());
    line.push(b'\n');
    line
}
