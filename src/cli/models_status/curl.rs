//! One request with a credential, by the system's `curl`. Ring 4; the one place of clawkeep that lets a value
//! go over a network, and only where a person asked for it.
//!
//! Promises: the header with the value goes over a pipe, so that it stands in no list of processes and in no
//! file; `curl` reads no configuration of its own and follows no redirection, so that the value goes to the
//! named host alone; it gets of the environment only proxies and certificates, and takes no proxy to this
//! machine itself, where a value may go in the clear. Its answer's body is thrown away.

use super::endpoint::is_here;
use crate::error::{Error, Result};
use crate::host::{self, Host};
use crate::secret::Secret;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Where a system has it: before what a PATH says.
const PLACES: [&str; 4] = [
    "/usr/bin/curl",
    "/bin/curl",
    "/run/current-system/sw/bin/curl",
    r"C:\Windows\System32\curl.exe",
];

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

/// How long it may take to end by itself after its own time is over.
const GRACE: Duration = Duration::from_secs(3);

/// The most bytes of what it prints: a number of three digits.
const MOST: u64 = 64;

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// An HTTP status.
    Status(u16),
    /// None in time.
    Timeout,
    /// None: the name is not known, or nobody listens.
    Unreachable,
    /// None that could be trusted: the certificate, or the encryption.
    Untrusted,
    /// None; the exit code of `curl`.
    Failed(i32),
}

/// How a credential is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// `Authorization: Bearer …`
    Bearer,
    /// The same, as Anthropic wants it for setup-tokens.
    AnthropicToken,
    /// `x-api-key: …`, as Anthropic wants it.
    Anthropic,
    /// `x-goog-api-key: …`
    Google,
}

impl Header {
    /// What stands before the value.
    fn before(self) -> &'static str {
        match self {
            Header::Bearer => "authorization: Bearer ",
            Header::AnthropicToken => {
                "anthropic-version: 2023-06-01\nanthropic-beta: oauth-2025-04-20\nauthorization: Bearer "
            }
            Header::Anthropic => "anthropic-version: 2023-06-01\nx-api-key: ",
            Header::Google => "x-goog-api-key: ",
        }
    }

    /// The lines that `curl` reads; `None` for a value that cannot stand in a header.
    #[allow(
        clippy::disallowed_methods,
        reason = "door: a value into the pipe of the curl that a person asked for"
    )]
    pub(super) fn lines(self, value: &Secret) -> Option<Zeroizing<Vec<u8>>> {
        use secrecy::ExposeSecret;
        let value = value.expose_secret().trim();
        if value.is_empty() || !value.bytes().all(|b| (0x21..0x7f).contains(&b)) {
            return None;
        }
        let before = self.before();
        let mut lines = Zeroizing::new(Vec::with_capacity(before.len() + value.len() + 1));
        lines.extend_from_slice(before.as_bytes());
        lines.extend_from_slice(value.as_bytes());
        lines.push(b'\n');
        Some(lines)
    }
}

/// The system's `curl`.
pub(super) struct Curl {
    program: PathBuf,
    passed: Vec<(&'static str, std::ffi::OsString)>,
}

impl Curl {
    /// Finds it.
    ///
    /// # Errors
    /// `Missing` when there is none.
    pub(super) fn find(host: &Host) -> Result<Self> {
        let known = PLACES.iter().map(PathBuf::from).find(|path| path.is_file());
        let program = known.or_else(|| host.on_path("curl")).ok_or_else(|| {
            Error::missing("there is no curl on this machine to ask a provider with")
                .hint("clawkeep models status")
        })?;
        let passed = PASSED
            .iter()
            .filter_map(|name| Some((*name, host.var(name)?)));
        Ok(Curl {
            program,
            passed: passed.collect(),
        })
    }

    /// Asks `url`, with the header lines on its standard input.
    ///
    /// # Errors
    /// `Failed` when it cannot be started.
    pub(super) fn get(
        &self,
        url: &str,
        header: Zeroizing<Vec<u8>>,
        limit: Duration,
    ) -> Result<(Answer, Duration)> {
        let seconds = format!("{:.3}", limit.as_secs_f64());
        let began = Instant::now();
        let mut child = self
            .command(url, &seconds)
            .spawn()
            .map_err(|error| Error::io("run", &self.program, &error))?;
        let stdin = child.stdin.take();
        // One that reads nothing must not hold us.
        std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&header)));
        let ended = host::wait_for(&mut child, began + limit + GRACE);
        let took = began.elapsed();
        let Ok(Some(status)) = ended else {
            // Only this child: it was started here and not yet waited for.
            let _ = child.kill();
            let _ = child.wait();
            return Ok((Answer::Timeout, took));
        };
        let mut said = String::new();
        if let Some(out) = child.stdout.take() {
            let _ = out.take(MOST).read_to_string(&mut said);
        }
        Ok((answer(status.code(), &said), took))
    }

    fn command(&self, url: &str, seconds: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            // First, or it reads the user's own configuration, which may trace headers into a file.
            .arg("--disable")
            .args(["--silent", "--globoff", "--http1.1"])
            .args(["--proto", "=https,http", "--max-redirs", "0"])
            .args(["--connect-timeout", seconds, "--max-time", seconds])
            .args(["--header", "@-", "--user-agent", "clawkeep"])
            .args(["--write-out", "%{http_code}", "--output"])
            .arg(if cfg!(windows) { "NUL" } else { "/dev/null" })
            // To this machine itself it may be http: a proxy would read the value.
            .args(if is_here(url) {
                &["--noproxy", "*"][..]
            } else {
                &[]
            })
            .args(["--url", url])
            .env_clear()
            .envs(self.passed.iter().map(|(name, value)| (name, value)))
            .current_dir(Path::new("/"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    }
}

/// Source: the exit codes in curl's manual.
fn answer(code: Option<i32>, said: &str) -> Answer {
    let status = said.trim().parse().ok().filter(|status| *status >= 100);
    match (code, status) {
        (Some(0), Some(status)) => Answer::Status(status),
        (Some(28), _) => Answer::Timeout,
        (Some(5..=7), _) => Answer::Unreachable,
        (Some(35 | 51 | 53 | 54 | 58 | 59 | 60 | 66 | 77 | 80 | 82 | 83 | 90 | 91), _) => {
            Answer::Untrusted
        }
        (code, _) => Answer::Failed(code.unwrap_or(-1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_no_header_is_not_sent() {
        let secret = |text: &str| Secret::stored(text).unwrap();
        for bad in ["a b", "a\nx-evil: 1", "a\tb", "ä", "\n"] {
            assert!(Header::Bearer.lines(&secret(bad)).is_none(), "{bad:?}");
        }
        let lines = Header::Anthropic.lines(&secret("sk-FAKE\n")).unwrap();
        assert_eq!(
            *lines,
            b"anthropic-version: 2023-06-01\nx-api-key: sk-FAKE\n"
        );
    }

    #[test]
    fn what_curl_says_is_told_apart() {
        for (code, said, wanted) in [
            (Some(0), "200", Answer::Status(200)),
            (Some(0), "000", Answer::Failed(0)),
            (Some(0), "odd", Answer::Failed(0)),
            (Some(28), "000", Answer::Timeout),
            (Some(6), "", Answer::Unreachable),
            (Some(60), "000", Answer::Untrusted),
            (Some(2), "", Answer::Failed(2)),
            (None, "200", Answer::Failed(-1)),
        ] {
            assert_eq!(answer(code, said), wanted, "{code:?} {said}");
        }
    }

    #[test]
    fn it_is_told_nothing_on_its_command_line_but_where_to_ask() {
        let curl = Curl {
            program: PathBuf::from("/usr/bin/curl"),
            passed: Vec::new(),
        };
        let command = curl.command("https://example.invalid/v1/models", "8.000");
        let args: Vec<_> = command
            .get_args()
            .map(|arg| arg.to_str().unwrap())
            .collect();
        assert_eq!(args[0], "--disable");
        assert!(
            !args
                .iter()
                .any(|arg| ["--location", "-L", "--insecure", "-k"].contains(arg))
        );
        assert!(args.windows(2).any(|pair| pair == ["--header", "@-"]));
    }
}
