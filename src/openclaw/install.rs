//! OpenClaw as a program: where it is installed, which version it is, and how it is run. Knows
//! processes; not what its commands mean.
//!
//! Promises: the version is read from the installed package (or asked of the program where no
//! package is found), never guessed; what is run gets no secret, neither as an argument nor as a
//! variable that is added here, and over a pipe only where it is to store one; its output is bounded,
//! and it ends when its time is up.

use super::version::Version;
use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use crate::host::{self, Host};
use crate::provider::ProviderId;
use crate::secret::Secret;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The variable that names the Node program for an installation that is no program itself.
pub const NODE_VARIABLE: &str = "CLAWKEEP_NODE";

/// The most bytes kept of each of the two outputs; the rest is read and dropped.
const MAX_OUTPUT: usize = 4 * 1024 * 1024;
/// The most bytes that OpenClaw's package.json may have.
const MAX_PACKAGE: usize = 1024 * 1024;
/// How long `--version` may take: Node's start on a loaded machine, with room.
const VERSION_TIME: Duration = Duration::from_mins(1);

/// An OpenClaw that can be run.
#[derive(Debug, Clone)]
pub struct Install {
    program: PathBuf,
    node: Option<PathBuf>,
    /// The Node that a program which is no script by its name will find for itself.
    found_node: Option<PathBuf>,
    version: Version,
    package: Option<PathBuf>,
}

/// What a run left behind.
#[derive(Debug)]
pub struct Output {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The start of its output, UTF-8 (other bytes replaced).
    pub stdout: String,
    /// The start of its messages. Never shown as they are: older versions quote what they read.
    pub stderr: String,
}

impl Install {
    /// Finds OpenClaw: at `explicit` (the program, the package's folder, or its `openclaw.mjs`),
    /// else as `openclaw` on `PATH`. `Ok(None)` only when nothing was named and none is there.
    ///
    /// # Errors
    /// `Missing` when what was named is not there or no OpenClaw; `Broken` when its version cannot
    /// be read.
    pub fn find(host: &Host, explicit: Option<&Path>) -> Result<Option<Self>> {
        let named = match explicit {
            Some(path) => host.absolute(path)?,
            None => match host.on_path("openclaw") {
                Some(path) => path,
                None => return Ok(None),
            },
        };
        let node = host.path_var(NODE_VARIABLE);
        Self::at(&named, node, host).map(Some)
    }

    /// The OpenClaw at `named`, run with `node` where it is a script.
    ///
    /// # Errors
    /// As [`Install::find`].
    pub fn at(named: &Path, node: Option<PathBuf>, host: &Host) -> Result<Self> {
        let real = std::fs::canonicalize(named).map_err(|error| {
            Error::io("find OpenClaw at", named, &error)
                .hint("name the folder that holds openclaw.mjs: --openclaw DIR")
        })?;
        let mut program = if real.is_dir() {
            real.join("openclaw.mjs")
        } else {
            named.to_owned()
        };
        let package = package_version(&real)?;
        if real.is_dir() && (package.is_none() || !program.is_file()) {
            return Err(Error::missing(format!(
                "there is no OpenClaw package in {}",
                named.display()
            ))
            .hint("name the folder that holds openclaw.mjs: --openclaw DIR"));
        }
        let is_script = |path: &Path| {
            path.extension().is_some_and(|extension| {
                ["mjs", "js", "cjs"].iter().any(|known| extension == *known)
            })
        };
        // A chosen Node runs the package's own entry, whatever `#!` line leads there.
        if node.is_some() && is_script(&real) {
            program = real;
        }
        // npm's `openclaw` begins with `#!/usr/bin/env node`, and wrappers end the same way.
        let found_node = node.or_else(|| host.on_path("node"));
        let node = if is_script(&program) {
            match found_node.clone() {
                Some(node) => Some(node),
                None => {
                    return Err(Error::missing(format!(
                        "{} needs Node, and there is no node on PATH",
                        program.display()
                    ))
                    .hint(format!("{NODE_VARIABLE}=/path/to/node clawkeep link")));
                }
            }
        } else {
            None
        };
        if let Some((dir, version)) = package {
            return Ok(Install {
                program,
                node,
                found_node,
                version,
                package: Some(dir),
            });
        }
        // A wrapper from which no package can be reached: only the program itself knows.
        let mut command = command(&program, node.as_deref(), &["--version"], &[]);
        let output = run(&mut command, &program, VERSION_TIME)?;
        let version = output
            .stdout
            .lines()
            .find_map(|line| Version::parse(line).ok())
            .filter(|_| output.code == Some(0))
            .ok_or_else(|| {
                Error::broken(format!(
                    "{} did not tell OpenClaw's version",
                    program.display()
                ))
                .hint(format!("{} --version", crate::error::typed(&program)))
            })?;
        Ok(Install {
            program,
            node,
            found_node,
            version,
            package: None,
        })
    }

    /// The Node that runs it: the chosen one, else that on `PATH`.
    ///
    /// # Errors
    /// `Missing` when there is none.
    pub(crate) fn node(&self) -> Result<&Path> {
        self.found_node.as_deref().ok_or_else(|| {
            Error::missing("there is no node on PATH to read OpenClaw's database with")
                .hint(format!("{NODE_VARIABLE}=/path/to/node clawkeep migrate"))
        })
    }

    /// The installed version.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The first model that this package lists for a provider which it brings along; `None` when it
    /// lists none. For a person to begin with: any other does as well.
    pub fn first_model(&self, provider: &ProviderId) -> Option<String> {
        let dir = self.package.as_ref()?.join("dist/extensions");
        let manifest = dir.join(provider.as_str()).join("openclaw.plugin.json");
        let bytes = read_public(&manifest).ok()??;
        let manifest: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        let models = &manifest["modelCatalog"]["providers"][provider.as_str()]["models"];
        let id = models.get(0)?.get("id")?.as_str()?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        (!id.is_empty() && id.chars().all(is_plain)).then(|| id.to_owned())
    }

    /// The command line that starts it with these arguments, by paths that last: what a service runs.
    ///
    /// # Errors
    /// `Failed` for a path that is not UTF-8, or that is gone.
    pub fn command_line(&self, args: &[&str]) -> Result<Vec<String>> {
        let program = std::fs::canonicalize(&self.program)
            .map_err(|error| Error::io("find", &self.program, &error))?;
        let mut words = Vec::new();
        for path in self.node.iter().chain([&program]) {
            let text = path
                .to_str()
                .ok_or_else(|| Error::failed("OpenClaw's path is not UTF-8"))?;
            words.push(text.to_owned());
        }
        words.extend(args.iter().map(|&arg| arg.to_owned()));
        Ok(words)
    }

    /// What is run, for messages.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Runs OpenClaw with `args` and the variables `extra` added to this process's own, with no
    /// input, for at most `limit`.
    ///
    /// `OPENCLAW_NO_RESPAWN=1` is always added. Without it the CLI starts itself once more, to
    /// silence a Node warning and to find the system's CA file: that costs a second start, and the
    /// second process would survive when the first is ended. Nothing that clawkeep runs needs
    /// outside TLS.
    ///
    /// # Errors
    /// `Failed` when it cannot be started or does not end in time; its exit code is no error.
    pub fn run(&self, args: &[&str], limit: Duration, extra: &[(&str, &OsStr)]) -> Result<Output> {
        let mut command = command(&self.program, self.node.as_deref(), args, extra);
        run(&mut command, &self.program, limit)
            .map_err(|error| error.context(format!("openclaw {}", verb(args))))
    }

    /// The same with one line of input, a value: over a pipe, so that no other process sees it. The
    /// buffer is wiped when it was read, or when nobody will read it.
    ///
    /// # Errors
    /// As [`Install::run`]; `Failed` for a value that is more than one line.
    #[allow(
        clippy::disallowed_methods,
        reason = "door: a value into the pipe of the program that is to store it"
    )]
    pub fn run_with_value(&self, args: &[&str], limit: Duration, value: &Secret) -> Result<Output> {
        use secrecy::ExposeSecret;
        let value = value.expose_secret();
        if value.contains(['\n', '\r']) {
            return Err(Error::failed(
                "the value is more than one line, which OpenClaw cannot be given",
            ));
        }
        let mut line = Zeroizing::new(Vec::with_capacity(value.len() + 1));
        line.extend_from_slice(value.as_bytes());
        line.push(b'\n');
        let mut command = command(&self.program, self.node.as_deref(), args, &[]);
        command.stdin(Stdio::piped());
        run_with(&mut command, &self.program, limit, Some(line))
            .map_err(|error| error.context(format!("openclaw {}", verb(args))))
    }
}

/// The command's own words: the first three that are no options, enough to know it by.
fn verb(args: &[&str]) -> String {
    let words = args.iter().take_while(|arg| !arg.starts_with('-'));
    words.take(3).copied().collect::<Vec<_>>().join(" ")
}

fn command(
    program: &Path,
    node: Option<&Path>,
    args: &[&str],
    extra: &[(&str, &OsStr)],
) -> Command {
    let mut command = match node {
        Some(node) => {
            let mut command = Command::new(node);
            command.arg(program);
            command
        }
        None => Command::new(program),
    };
    command
        .args(args)
        .env("OPENCLAW_NO_RESPAWN", "1")
        .env("NO_COLOR", "1")
        .envs(extra.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(command: &mut Command, program: &Path, limit: Duration) -> Result<Output> {
    run_with(command, program, limit, None)
}

fn run_with(
    command: &mut Command,
    program: &Path,
    limit: Duration,
    input: Option<Zeroizing<Vec<u8>>>,
) -> Result<Output> {
    let mut child = command
        .spawn()
        .map_err(|error| Error::io("run", program, &error))?;
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        // On a thread of its own: a program that does not read must not hold us. It ends with the
        // program, whose end of the pipe closes then.
        std::thread::spawn(move || {
            let _ = pipe.write_all(&input);
        });
    }
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let deadline = Instant::now() + limit;
    let ended = host::wait_for(&mut child, deadline)
        .map_err(|error| Error::io("wait for", program, &error))?;
    let Some(status) = ended else {
        // Only this child: it was started here, and its id cannot have been reused before `wait`.
        let _ = child.kill();
        let _ = child.wait();
        return Err(Error::failed(format!(
            "{} did not end within {} seconds",
            program.display(),
            limit.as_secs()
        )));
    };
    // A grandchild may hold the pipes open after the child has gone: what it says is not waited for.
    let grace = Duration::from_secs(2);
    Ok(Output {
        code: status.code(),
        stdout: stdout.recv_timeout(grace).unwrap_or_default(),
        stderr: stderr.recv_timeout(grace).unwrap_or_default(),
    })
}

/// Reads a pipe to its end on a thread of its own, so that a full pipe stops nobody.
fn collect(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = (&mut pipe).take(MAX_OUTPUT as u64).read_to_end(&mut kept);
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        }
        let _ = sender.send(String::from_utf8_lossy(&kept).into_owned());
    });
    receiver
}

/// The folder and version of the package named `openclaw` at or above `real`; `None` when there is
/// none.
fn package_version(real: &Path) -> Result<Option<(PathBuf, Version)>> {
    for dir in real.ancestors().take(8) {
        let path = dir.join("package.json");
        // Packages may be the system's or another user's: readable is enough, nothing is trusted.
        let Ok(Some(bytes)) = read_public(&path) else {
            continue;
        };
        let Ok(package) = serde_json::from_slice::<serde_json::Value>(&bytes) else {
            continue;
        };
        if package["name"] == "openclaw" {
            let version = package["version"].as_str().unwrap_or_default();
            return Version::parse(version)
                .map(|version| Some((dir.to_owned(), version)))
                .map_err(|error| error.context(path.display()));
        }
    }
    Ok(None)
}

fn read_public(path: &Path) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>> {
    file::read(path, MAX_PACKAGE, Privacy::Shared)
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
