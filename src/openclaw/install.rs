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
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn script(path: &Path, body: &str) {
        file::create(path, format!("#!/bin/sh\n{body}\n").as_bytes(), 0o755).unwrap();
    }

    fn package(root: &Path, json: &str) -> PathBuf {
        let dir = root.join("lib/node_modules/openclaw");
        std::fs::create_dir_all(&dir).unwrap();
        file::create(&dir.join("package.json"), json.as_bytes(), 0o644).unwrap();
        script(&dir.join("openclaw.mjs"), "exit 0");
        dir
    }

    const PACKAGE: &str = r#"{"name": "openclaw", "version": "2026.9.6"}"#;

    fn find(path: &Path) -> Result<Install> {
        let node = Some(PathBuf::from("/bin/sh"));
        Install::at(path, node, &Host::real())
    }

    #[test]
    fn the_version_is_the_packages_however_it_is_reached() {
        let root = tempfile::tempdir().unwrap();
        let dir = package(root.path(), PACKAGE);
        let link = root.path().join("openclaw");
        symlink(dir.join("openclaw.mjs"), &link).unwrap();
        for path in [dir.clone(), dir.join("openclaw.mjs"), link] {
            let install = find(&path).unwrap();
            assert_eq!(
                install.version().to_string(),
                "2026.9.6",
                "{}",
                path.display()
            );
            assert!(install.program().ends_with("openclaw.mjs"));
        }
    }

    #[test]
    fn a_wrapper_without_a_package_is_asked() {
        let root = tempfile::tempdir().unwrap();
        let program = root.path().join("openclaw");
        script(
            &program,
            "echo 'a banner'; echo 'OpenClaw 2026.6.1 (2e08f0f)'; echo $1 >&2",
        );
        assert_eq!(find(&program).unwrap().version().to_string(), "2026.6.1");
        let mute = root.path().join("mute");
        script(&mute, "echo 2026.6.1; exit 3");
        assert_eq!(find(&mute).unwrap_err().kind(), crate::error::Kind::Broken);
    }

    #[test]
    fn what_is_named_and_not_there_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        for path in [root.path().join("none"), root.path().to_owned()] {
            assert_eq!(find(&path).unwrap_err().kind(), crate::error::Kind::Missing);
        }
        let odd = package(
            root.path(),
            r#"{"name": "openclaw", "version": "tomorrow"}"#,
        );
        let said = find(&odd).unwrap_err();
        assert!(!said.message().contains("tomorrow"), "{said}");
    }

    fn install(body: &str, root: &Path) -> Install {
        let program = root.join("openclaw");
        script(&program, body);
        Install {
            program,
            node: None,
            found_node: None,
            version: Version::parse("2026.9.6").unwrap(),
            package: None,
        }
    }

    #[test]
    fn a_run_gives_code_and_both_outputs_and_no_input() {
        let root = tempfile::tempdir().unwrap();
        let install = install(
            "cat; echo \"$1 $EXTRA $OPENCLAW_NO_RESPAWN\"; echo no >&2; exit 7",
            root.path(),
        );
        let out = install
            .run(
                &["secrets"],
                Duration::from_mins(1),
                &[("EXTRA", OsStr::new("x"))],
            )
            .unwrap();
        assert_eq!(
            (out.code, out.stdout.as_str(), out.stderr.as_str()),
            (Some(7), "secrets x 1\n", "no\n")
        );
    }

    #[test]
    fn output_without_end_is_cut_and_does_not_block() {
        let root = tempfile::tempdir().unwrap();
        let install = install("head -c 6000000 /dev/zero", root.path());
        let out = install.run(&[], Duration::from_mins(1), &[]).unwrap();
        assert_eq!((out.code, out.stdout.len()), (Some(0), MAX_OUTPUT));
    }

    #[test]
    fn a_run_ends_when_its_time_is_up() {
        let root = tempfile::tempdir().unwrap();
        let install = install("exec tail -f /dev/null", root.path());
        let said = install
            .run(
                &["models", "status", "--json"],
                Duration::from_millis(50),
                &[],
            )
            .unwrap_err();
        assert!(
            said.message().starts_with("openclaw models status: "),
            "{said}"
        );
        assert!(said.message().contains("did not end within"), "{said}");
    }

    #[test]
    fn a_program_that_cannot_be_started_is_said() {
        let root = tempfile::tempdir().unwrap();
        let install = install("exit 0", root.path());
        let closed = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&install.program, closed).unwrap();
        let said = install.run(&[], Duration::from_secs(5), &[]).unwrap_err();
        assert!(said.message().contains("permission denied"), "{said}");
    }
}
