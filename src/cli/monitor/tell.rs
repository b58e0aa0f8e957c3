//! Telling somebody: a command, the desktop, a post. Ring 4; knows nothing of credentials.
//!
//! Promises: an address is in no argument and no environment: curl reads it, and the text, from its
//! standard input; each way has an end in time; a text cannot become an option or a setting.

use super::Problem;
use super::channel::{Address, Channel};
use crate::cli::ui;
use crate::error::{Error, Result};
use crate::service::system::{Output, System, run_within};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a command of the user's may take.
const COMMAND_LIMIT: Duration = Duration::from_mins(1);

/// How long a notification or a post may take; curl ends itself before.
const LIMIT: Duration = Duration::from_secs(45);

/// Tells it.
///
/// # Errors
/// `Missing` when the program that tells is not there; `Failed` when it says that it could not.
pub(super) fn tell(system: &System, channel: &Channel, problem: &Problem) -> Result<()> {
    match channel {
        Channel::Journal => Ok(()),
        Channel::Command(program, args) => {
            let mut command = Command::new(program);
            command
                .args(args)
                .env("CLAWKEEP_PROBLEM", problem.code.to_string())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let text = format!("{}\n{}\n", problem.title(), problem.text);
            let out = run_within(COMMAND_LIMIT, command, program, Some(text.as_bytes()))?;
            ended(&out, &program.display().to_string())
        }
        Channel::Desktop => desktop(system, problem),
        Channel::Post(address) => post(system, address, problem),
    }
}

fn ended(out: &Output, what: &str) -> Result<()> {
    if out.ok {
        return Ok(());
    }
    let said = if out.said.is_empty() {
        out.code.map_or("a signal ended it".to_owned(), |code| {
            format!("exit code {code}")
        })
    } else {
        ui::plain(&out.said)
    };
    Err(
        Error::failed(format!("it could not be told: {what}: {said}"))
            .hint("try it: clawkeep monitor --try"),
    )
}

fn desktop(system: &System, problem: &Problem) -> Result<()> {
    let (mut command, program) = system.with_environment("notify-send").map_err(|error| {
        error.hint("sudo apt install libnotify-bin, or choose --ntfy-file FILE or --on-problem CMD")
    })?;
    // A service of the system's manager has the user's runtime folder and not his bus.
    #[cfg(unix)]
    {
        let uid = rustix::process::geteuid().as_raw();
        let bus = system.path(&format!("run/user/{uid}/bus"));
        if bus.exists() {
            command.env(
                "DBUS_SESSION_BUS_ADDRESS",
                format!("unix:path={}", bus.display()),
            );
        }
    }
    let urgency = if problem.code == 2 {
        "normal"
    } else {
        "critical"
    };
    command
        .arg("--app-name=clawkeep")
        .arg(format!("--urgency={urgency}"))
        .arg("--")
        .arg(problem.title())
        .arg(without_markup(&problem.text));
    let out = run_within(LIMIT, command, &program, None)?;
    ended(&out, "notify-send")
}

/// Some desktops read the text as markup.
fn without_markup(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn post(system: &System, address: &Address, problem: &Problem) -> Result<()> {
    let (mut command, program) = system
        .with_environment("curl")
        .map_err(|error| error.hint("sudo apt install curl"))?;
    // `-q` comes first: a .curlrc of the user's could log what is sent.
    command.args(["-q", "--config", "-"]);
    let config = config(address, problem);
    let out = run_within(LIMIT, command, &program, Some(config.as_bytes()))?;
    // What curl says may name the address.
    match (out.code, std::str::from_utf8(&out.stdout)) {
        // It takes no answer that leads elsewhere for a failure, and follows none.
        (Some(0), Ok(status)) if !status.starts_with('2') => Err(Error::failed(
            "it could not be posted: the address leads to another one",
        )
        .hint("give the address itself, which may begin with https://")),
        (Some(0), _) => Ok(()),
        (code, _) => {
            let why = match code {
                Some(6) => "its host is not known",
                Some(7) => "nobody answers there",
                Some(22) => "it was refused there",
                Some(28) => "no answer came in time",
                Some(35 | 51 | 53 | 58 | 59 | 60 | 77 | 83 | 91) => {
                    "no safe connection could be made"
                }
                _ => "curl failed",
            };
            let code = code.map_or("a signal".to_owned(), |code| code.to_string());
            Err(
                Error::failed(format!("it could not be posted: {why} (curl: {code})"))
                    .hint("try it: clawkeep monitor --try"),
            )
        }
    }
}

/// What curl reads. Source: curl(1), `--config`: within quotes `\\`, `\"`, `\t`, `\n`, `\r` and `\v` are
/// escapes. `data-raw` takes an `@` as it is.
fn config(address: &Address, problem: &Problem) -> String {
    let priority = if problem.code == 2 { "default" } else { "high" };
    format!(
        "url = {}\nrequest = \"POST\"\nheader = {}\nheader = \"Priority: {priority}\"\nheader = \"Tags: key\"\n\
         header = \"Content-Type: text/plain; charset=utf-8\"\ndata-raw = {}\n\
         connect-timeout = 10\nmax-time = 30\nproto = \"=http,https\"\nmax-redirs = 0\n\
         globoff\nfail\nsilent\noutput = \"/dev/null\"\nwrite-out = \"%{{http_code}}\"\n",
        quoted(address.as_str()),
        quoted(&format!("Title: {}", problem.title())),
        quoted(&problem.text),
    )
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads one quoted text as curl does.
    fn unquoted(text: &str) -> String {
        let mut out = String::new();
        let mut chars = text
            .strip_prefix('"')
            .unwrap()
            .strip_suffix('"')
            .unwrap()
            .chars();
        while let Some(c) = chars.next() {
            assert_ne!(c, '"', "a quote that ends it");
            out.push(match c {
                '\\' => match chars.next().unwrap() {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    same => same,
                },
                c => c,
            });
        }
        out
    }

    #[test]
    fn a_text_that_looks_like_settings_stays_a_text() {
        let problem = Problem {
            code: 2,
            text: "@/etc/passwd \"\nurl = \"https://evil\"\n\\".to_owned(),
        };
        let address = Address::parse("https://ntfy.sh/fake{1,2}\"x", "--ntfy").unwrap();
        let config = config(&address, &problem);
        let urls: Vec<&str> = config
            .lines()
            .filter(|line| line.starts_with("url"))
            .collect();
        assert_eq!(urls, ["url = \"https://ntfy.sh/fake{1,2}\\\"x\""]);
        assert!(config.contains("\ngloboff\n") && config.contains("\nmax-time = 30\n"));
        assert!(config.contains("data-raw = \"@/etc"));
    }

    #[test]
    fn a_notification_is_no_markup() {
        assert_eq!(without_markup("<b>&"), "&lt;b&gt;&amp;");
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_one_line_and_comes_back(text in "(\\PC|[\"\\\\\n\r\t@#]){0,60}") {
            let quoted = quoted(&text);
            prop_assert!(!quoted.contains(['\n', '\r']));
            prop_assert_eq!(unquoted(&quoted), text);
        }
    }
}
