//! The closing check: asks the resolver exactly as the gateway would. Ring 4.
//!
//! The command that OpenClaw's configuration names is started with an empty environment (but for
//! `passEnv`), in its own folder, with one request on stdin.

use crate::error::{Error, Result};
use crate::host::{self, Host};
use crate::json::place;
use crate::openclaw::reference::SECRET_PROVIDER;
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The most bytes of an answer that are read: the most that OpenClaw can be told to take.
const MAX_ANSWER: u64 = 20_971_520;

/// What the resolver answered for each id.
pub struct Answers {
    values: BTreeMap<String, Secret>,
    errors: BTreeMap<String, String>,
}

impl Answers {
    /// The value of an id, if it resolved.
    pub fn value(&self, id: &str) -> Option<&Secret> {
        self.values.get(id)
    }

    /// Why an id did not resolve: the protocol's code.
    pub fn code(&self, id: &str) -> Option<&str> {
        self.errors.get(id).map(String::as_str)
    }
}

/// How long a closing check waits: the longest time that OpenClaw can be told to.
const LONGEST: Duration = Duration::from_mins(2);

/// Asks `command args` for `ids`.
///
/// # Errors
/// `Failed` when it cannot be started or does not answer; `Broken` when the answer is no answer.
pub fn ask(
    host: &Host,
    command: &Path,
    args: &[String],
    pass_env: &[String],
    ids: &[String],
) -> Result<Answers> {
    ask_within(LONGEST, host, command, args, pass_env, ids).map(|(answers, _)| answers)
}

/// A program that is asked, and how.
pub struct Asked<'a> {
    /// The entry of `secrets.providers` that names it.
    pub provider: &'a str,
    /// Its path.
    pub command: &'a Path,
    /// Its arguments.
    pub args: &'a [String],
    /// The variables of ours that it gets.
    pub pass_env: &'a [String],
    /// Further variables, with their values.
    pub env: Vec<(String, Zeroizing<String>)>,
}

/// The same within a time, and how long it took from the start of the program to the end of its answer.
///
/// # Errors
/// As [`ask`]; `Failed` too when the time is over, and the program is ended then.
pub fn ask_within(
    limit: Duration,
    host: &Host,
    command: &Path,
    args: &[String],
    pass_env: &[String],
    ids: &[String],
) -> Result<(Answers, Duration)> {
    let asked = Asked {
        provider: SECRET_PROVIDER,
        command,
        args,
        pass_env,
        env: Vec::new(),
    };
    let (bytes, took) = exchange(limit, host, &asked, ids)?;
    parse(&bytes).map(|answers| (answers, took))
}

/// Starts the program, hands it one request for `ids`, and gives what it wrote until its end.
///
/// # Errors
/// As [`ask_within`], but that the answer is not looked at.
pub fn exchange(
    limit: Duration,
    host: &Host,
    asked: &Asked<'_>,
    ids: &[String],
) -> Result<(Zeroizing<Vec<u8>>, Duration)> {
    let command = asked.command;
    let request = serde_json::json!({"protocolVersion": 1, "provider": asked.provider, "ids": ids})
        .to_string();
    let began = Instant::now();
    let mut child = started(host, asked)?;
    let stdin = child.stdin.take();
    // A resolver that ends early is told by its answer, not by our pipe; one that reads nothing must
    // not hold us.
    std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(request.as_bytes())));
    let (sender, receiver) = mpsc::channel();
    let stdout = child.stdout.take();
    std::thread::spawn(move || {
        let mut bytes = Zeroizing::new(Vec::with_capacity(256 * 1024));
        let read = stdout.map_or(Ok(0), |out| out.take(MAX_ANSWER).read_to_end(&mut bytes));
        let _ = sender.send(read.map(|_| bytes));
    });
    let answer = receiver.recv_timeout(limit);
    let ended = host::wait_for(&mut child, began + limit);
    let took = began.elapsed();
    let Ok(Some(status)) = ended else {
        // Only this child: it was started here and not yet waited for.
        let _ = child.kill();
        let _ = child.wait();
        return Err(Error::failed(format!(
            "{} did not answer within {} ms",
            command.display(),
            limit.as_millis()
        ))
        .hint(format!("{} --version", crate::error::typed(command))));
    };
    if !status.success() {
        return Err(Error::failed(format!(
            "{} did not answer as OpenClaw asks",
            command.display()
        ))
        .hint(format!("{} --version", crate::error::typed(command))));
    }
    let bytes = match answer {
        Ok(read) => read.map_err(|error| Error::io("read from", command, &error))?,
        Err(_) => return Err(Error::broken("the resolver ended without an answer")),
    };
    Ok((bytes, took))
}

fn started(host: &Host, asked: &Asked<'_>) -> Result<Child> {
    let command = asked.command;
    let mut child = Command::new(command);
    child
        .args(asked.args)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(dir) = command.parent() {
        child.current_dir(dir);
    }
    for name in asked.pass_env {
        if let Some(value) = host.var(name) {
            child.env(name, value);
        }
    }
    child
        .envs(asked.env.iter().map(|(name, value)| (name, &**value)))
        .spawn()
        .map_err(|error| Error::io("run", command, &error))
}

fn parse(bytes: &[u8]) -> Result<Answers> {
    #[derive(serde::Deserialize)]
    struct Wire {
        values: BTreeMap<String, Secret>,
        #[serde(default)]
        errors: BTreeMap<String, WireError>,
    }
    #[derive(serde::Deserialize)]
    struct WireError {
        code: String,
    }
    let wire: Wire = serde_json::from_slice(bytes).map_err(|error| {
        Error::broken(format!(
            "the resolver's answer cannot be read ({})",
            place(&error)
        ))
    })?;
    Ok(Answers {
        values: wire.values,
        errors: wire
            .errors
            .into_iter()
            .map(|(id, error)| (id, error.code))
            .collect(),
    })
}
