//! One request over the network, by the system's `curl`. Ring 4; the one place of clawkeep that sends anything
//! to another machine, and only where a person asked for it.
//!
//! Promises: the address, the headers and what is posted go over a pipe, so that they stand in no list of
//! processes and in no file, and what was written there is wiped; none of them can become a setting; `curl`
//! reads no configuration of its own and follows no redirection, so that all goes to the named host alone; it
//! gets of the environment only proxies and certificates, and takes no proxy to this machine itself, where a
//! value may go in the clear; it has an end in time. Its answer's body is thrown away.

use super::address::is_here;
use crate::error::Result;
use crate::host::Host;
use crate::service::system::{System, run_keeping};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// What it may know of the environment.
const PASSED: [&str; 11] = [
    "HTTPS_PROXY",
    "https_proxy",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SystemRoot",
];

/// All that it is told on its command line. `--disable` comes first, or it reads the user's own
/// configuration, which may trace headers into a file.
const ARGS: [&str; 3] = ["--disable", "--config", "-"];

/// How long it may take to end by itself after its own time is over.
const GRACE: Duration = Duration::from_secs(3);

/// The most bytes of what it prints: a number of three digits.
const MOST: u64 = 64;

/// The most bytes that it is given. Source: `curl` before 8 takes no longer line than 100 KiB, and leaves
/// out what comes behind one.
const MOST_GIVEN: usize = 32 * 1024;

/// Room for the settings that are always the same, and for what stands around a given text, in bytes.
const ROOM: usize = 512;
const ROOM_OF_LINE: usize = 16;

/// What is sent.
pub struct Request<'a> {
    /// Where to: https or http.
    pub url: &'a str,
    /// The headers, one a line.
    pub headers: &'a str,
    /// What is posted; `None` for a plain question.
    pub data: Option<&'a str>,
    /// How long it may take.
    pub limit: Duration,
}

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP status.
    Status(u16),
    /// None in time.
    Timeout,
    /// None: the name is not known.
    NoHost,
    /// None: nobody listens.
    Nobody,
    /// None that could be trusted: the certificate, or the encryption.
    Untrusted,
    /// None; the exit code of `curl`, -1 when a signal ended it.
    Failed(i32),
    /// Nothing was sent: it is over 32 KiB, or holds what `curl` would take for something else.
    NotSent,
}

/// The system's `curl`.
pub struct Curl {
    program: PathBuf,
    passed: Vec<(&'static str, OsString)>,
}

impl Curl {
    /// Finds it: where `system` has its programs, and for this machine itself where else it is known to lie.
    ///
    /// # Errors
    /// `Missing` when there is none.
    pub fn find(host: &Host, system: &System) -> Result<Self> {
        let program = system.find("curl").or_else(|error| {
            let windows = PathBuf::from(r"C:\Windows\System32\curl.exe");
            Some(windows)
                .filter(|path| cfg!(windows) && path.is_file())
                .or_else(|| host.on_path("curl"))
                .filter(|_| system.root() == Path::new("/"))
                .ok_or(error)
        })?;
        let passed = PASSED
            .iter()
            .filter_map(|name| Some((*name, host.var(name)?)));
        Ok(Curl {
            program,
            passed: passed.collect(),
        })
    }

    /// Sends one request; with how long the answer took.
    ///
    /// # Errors
    /// `Failed` when it cannot be started.
    pub fn ask(&self, request: &Request<'_>) -> Result<(Answer, Duration)> {
        let Some(config) = config(request) else {
            return Ok((Answer::NotSent, Duration::ZERO));
        };
        let began = Instant::now();
        let out = run_keeping(
            MOST,
            request.limit + GRACE,
            self.command(),
            &self.program,
            Some(config.as_bytes()),
        )?;
        let took = began.elapsed();
        let answer = out.map_or(Answer::Timeout, |out| {
            answer(out.code, &String::from_utf8_lossy(&out.stdout))
        });
        Ok((answer, took))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(ARGS)
            .env_clear()
            .envs(self.passed.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdout(Stdio::piped())
            // What it says may name the address.
            .stderr(Stdio::null());
        command
    }
}

/// What it reads. The address comes last: whatever it did not understand before, it goes nowhere then.
/// `None` for what cannot stand there.
///
/// Source: curl(1), `--config`, and for a header or address that begins with `@`, which would be a file's
/// name, `--header` and `--url`. `data-raw` takes an `@` as it is.
fn config(request: &Request<'_>) -> Option<Zeroizing<String>> {
    let null = if cfg!(windows) { "NUL" } else { "/dev/null" };
    let is_web = ["https://", "http://"]
        .iter()
        .any(|start| request.url.starts_with(start));
    let data = request.data.unwrap_or_default();
    let given = request.url.len() + request.headers.len() + data.len();
    if !is_web || given > MOST_GIVEN {
        return None;
    }
    let lines = request.headers.split('\n').filter(|line| !line.is_empty());
    // It never grows, which would leave copies: each byte may need a sign before it.
    let room = ROOM + 2 * given + ROOM_OF_LINE * (lines.clone().count() + 2);
    let mut out = Zeroizing::new(String::with_capacity(room));
    out.push_str("silent\ngloboff\nhttp1.1\nproto = \"=https,http\"\nmax-redirs = 0\n");
    out.push_str("user-agent = \"clawkeep\"\nwrite-out = \"%{http_code}\"\n");
    writeln!(out, "max-time = {:.3}", request.limit.as_secs_f64()).ok()?;
    push(&mut out, "output", null)?;
    // To this machine itself it may be http: a proxy would read the value.
    if is_here(request.url) {
        out.push_str("noproxy = \"*\"\n");
    }
    for line in lines {
        let is_header = line.starts_with(|c: char| c.is_ascii_alphabetic());
        is_header.then(|| push(&mut out, "header", line))??;
    }
    if let Some(data) = request.data {
        push(&mut out, "data-raw", data)?;
    }
    push(&mut out, "url", request.url)?;
    Some(out)
}

/// One setting, on one line; `None` when a character of it could end it, or `curl` would lose it.
fn push(out: &mut String, name: &str, value: &str) -> Option<()> {
    let takes_lines = name == "data-raw";
    out.push_str(name);
    out.push_str(" = \"");
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' if takes_lines => out.push_str("\\n"),
            '\r' if takes_lines => out.push_str("\\r"),
            '\t' if takes_lines => out.push_str("\\t"),
            c if c.is_ascii_control() => return None,
            c => out.push(c),
        }
    }
    out.push_str("\"\n");
    Some(())
}

/// Source: the exit codes in curl's manual.
fn answer(code: Option<i32>, said: &str) -> Answer {
    let status = said.trim().parse().ok().filter(|status| *status >= 100);
    match (code, status) {
        (Some(0), Some(status)) => Answer::Status(status),
        // It was answered, and what came after that is not needed.
        (Some(18 | 23 | 28 | 56 | 92), Some(status)) if status >= 200 => Answer::Status(status),
        (Some(28), _) => Answer::Timeout,
        (Some(5 | 6), _) => Answer::NoHost,
        (Some(7), _) => Answer::Nobody,
        (Some(35 | 51 | 53 | 54 | 58 | 59 | 60 | 66 | 77 | 80 | 82 | 83 | 90 | 91), _) => {
            Answer::Untrusted
        }
        (code, _) => Answer::Failed(code.unwrap_or(-1)),
    }
}

#[cfg(test)]
#[path = "curl_tests.rs"]
mod tests;
