//! The user's side as a child that runs as the user. Ring 4.
//!
//! The child is this program, started with the user's ids and no other groups, in an environment of
//! ours; what it asks a person, it asks at the terminal itself. Only words go over its pipes.

use super::ask::{Ask, MAX_LINE, Side, Told, nonsense, told_error};
use super::isolated::wish::Wish;
use super::patient::{ALONE, LOOK, PERSON, Patient};
use crate::cli::app::App;
use crate::error::{Error, Result};
use crate::host;
use crate::service::system::System;
use crate::service::user::User;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a child may take to end.
pub const GRACE: Duration = Duration::from_secs(10);

/// The user's side, in another process.
pub struct Child {
    process: process::Child,
    input: Option<ChildStdin>,
    output: BufReader<Patient<ChildStdout>>,
    /// Whether a person may be asked there.
    asks: bool,
    /// It did not answer in time, or not as it should.
    is_lost: bool,
}

impl Child {
    /// Starts it.
    ///
    /// # Errors
    /// `Failed` when this program cannot be run by that user.
    pub fn start(app: &App, system: &System, user: &User) -> Result<Self> {
        let program = app.host.program()?;
        let mut command = prepared(app, system, user, &program, app.global.vault.as_deref())?;
        let mut child = Child::of(&mut command, system)
            .map_err(|error| error.context(format!("as {}", user.name)))?;
        child.asks = !app.global.non_interactive;
        Ok(child)
    }

    /// Starts what was [`prepared`] as the side of its user.
    ///
    /// # Errors
    /// As [`Child::start`].
    pub fn of(command: &mut Command, system: &System) -> Result<Self> {
        command.args(["service", "side"]);
        if system.root() != Path::new("/") {
            command.arg("--root").arg(system.root());
        }
        let mut child = command.spawn().map_err(|error| {
            let program = Path::new(command.get_program());
            Error::io("run", program, &error).hint(format!(
                "put it where everybody can run it: sudo install -m 755 {} /usr/local/bin/",
                crate::error::typed(program)
            ))
        })?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or_else(nonsense)?;
        let output = Patient::new(output, LOOK);
        Ok(Child {
            process: child,
            input,
            output: BufReader::new(output),
            asks: false,
            is_lost: false,
        })
    }
}

/// `program` as that user, in an environment of ours, pipes as its input and output.
///
/// # Errors
/// `Failed` when a path of the command line cannot be made absolute.
pub fn prepared(
    app: &App,
    system: &System,
    user: &User,
    program: &Path,
    vault: Option<&Path>,
) -> Result<Command> {
    let mut command = Command::new(program);
    let global = &app.global;
    if let Some(vault) = vault {
        command.arg("--vault").arg(app.host.absolute(vault)?);
    }
    for id in &global.vault_id {
        command.arg("--vault-id").arg(id);
    }
    if let Some(file) = &global.passphrase_file {
        command
            .arg("--passphrase-file")
            .arg(app.host.absolute(file)?);
    }
    if global.non_interactive {
        command.arg("--non-interactive");
    }
    command
        .env_clear()
        .env("HOME", &user.home)
        .env("USER", user.name.as_str())
        .env("LOGNAME", user.name.as_str())
        .env("PATH", "/usr/local/bin:/usr/bin:/bin");
    for name in ["TERM", "LANG", "LC_ALL"] {
        if let Some(value) = app.host.var(name) {
            command.env(name, value);
        }
    }
    let runtime = system.path(&format!("run/user/{}", user.uid));
    if runtime.is_dir() {
        command.env("XDG_RUNTIME_DIR", &runtime);
    }
    if rustix::process::geteuid().is_root() {
        // The standard library drops all other groups where ids are changed by root.
        command.uid(user.uid).gid(user.gid);
    }
    command
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    Ok(command)
}

impl Side for Child {
    fn ask(&mut self, ask: &Ask) -> Result<Told> {
        let mut line = serde_json::to_vec(ask).map_err(|_| nonsense())?;
        line.push(b'\n');
        let sent = self.input.as_mut().map(|input| input.write_all(&line));
        if !matches!(sent, Some(Ok(()))) {
            return Err(nonsense());
        }
        let mut answer = Vec::new();
        let time = time(ask, self.asks);
        self.output.get_mut().again(time);
        let read = (&mut self.output)
            .take(MAX_LINE)
            .read_until(b'\n', &mut answer);
        if let Err(error) = read {
            self.is_lost = true;
            return Err(if error.kind() == std::io::ErrorKind::TimedOut {
                Error::failed(format!(
                    "the user's part of clawkeep did not answer within {} seconds",
                    time.as_secs()
                ))
            } else {
                nonsense()
            });
        }
        match serde_json::from_slice(&answer).map_err(|_| nonsense())? {
            Told::Error(kind, message, hint) => Err(told_error(&kind, &message, hint.as_deref())),
            told => Ok(told),
        }
    }
}

/// How long the answer may take.
fn time(ask: &Ask, asks: bool) -> Duration {
    match ask {
        Ask::Look { open: true } if asks => PERSON,
        Ask::Look { .. } | Ask::Gateways { .. } | Ask::Isolated(Wish::Survey) => LOOK,
        _ => ALONE,
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The end of its input is its end.
        self.input = None;
        end(
            &mut self.process,
            if self.is_lost { Duration::ZERO } else { GRACE },
        );
    }
}

/// Waits for a child that has nothing left to do, and ends one that goes on. Only this child: it was
/// started here and not yet waited for.
pub fn end(process: &mut process::Child, grace: Duration) -> Option<ExitStatus> {
    if let Ok(Some(status)) = host::wait_for(process, Instant::now() + grace) {
        return Some(status);
    }
    let _ = process.kill();
    let _ = process.wait();
    None
}
