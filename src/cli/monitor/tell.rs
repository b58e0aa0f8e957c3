//! Telling somebody: a command, the desktop, a post. Ring 4; knows nothing of credentials.
//!
//! Promises: an address is in no argument and no environment; each way has an end in time; a text cannot
//! become an option, a setting or markup.

use super::Problem;
use super::channel::{Address, Channel};
use crate::cli::curl::{Answer, Curl, Request};
use crate::cli::ui;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::service::system::{Output, System, run_within};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a command of the user's may take.
const COMMAND_LIMIT: Duration = Duration::from_mins(1);

/// How long a notification may take.
const LIMIT: Duration = Duration::from_secs(45);

/// How long a post may take.
const POST_LIMIT: Duration = Duration::from_secs(30);

/// Tells it.
///
/// # Errors
/// `Missing` when the program that tells is not there; `Failed` when it says that it could not.
pub(super) fn tell(
    host: &Host,
    system: &System,
    channel: &Channel,
    problem: &Problem,
) -> Result<()> {
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
        Channel::Post(address) => post(host, system, address, problem),
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

/// Some desktops read the text as markup; and `notify-send` itself takes what a backslash begins for a character,
/// which could be one of markup, or none of UTF-8, and then it sends nothing.
fn without_markup(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\\', "\\\\")
}

fn post(host: &Host, system: &System, address: &Address, problem: &Problem) -> Result<()> {
    let curl = Curl::find(host, system).map_err(|error| error.hint("sudo apt install curl"))?;
    let (answer, _) = curl.ask(&Request {
        url: address.as_str(),
        headers: &headers(problem),
        data: Some(&problem.text),
        limit: POST_LIMIT,
    })?;
    let why = match answer {
        Answer::Status(200..=299) => return Ok(()),
        // What is sent goes to the address that was given and to no other.
        Answer::Status(300..=399) => {
            return Err(
                Error::failed("it could not be posted: the address leads to another one")
                    .hint("give the address itself, which may begin with https://"),
            );
        }
        Answer::Status(status) => format!("it was refused there (HTTP status {status})"),
        Answer::Timeout => "no answer came in time".to_owned(),
        Answer::NoHost => "its host is not known".to_owned(),
        Answer::Nobody => "nobody answers there".to_owned(),
        Answer::Untrusted => "no safe connection could be made".to_owned(),
        Answer::Failed(code) => format!("curl ended with {code}"),
        Answer::NotSent => "it is not what curl can be given".to_owned(),
    };
    Err(Error::failed(format!("it could not be posted: {why}"))
        .hint("try it: clawkeep monitor --try"))
}

fn headers(problem: &Problem) -> String {
    let priority = if problem.code == 2 { "default" } else { "high" };
    format!(
        "Title: {}\nPriority: {priority}\nTags: key\nContent-Type: text/plain; charset=utf-8",
        problem.title()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_no_markup() {
        assert_eq!(without_markup("<b>&"), "&lt;b&gt;&amp;");
        // Read as `notify-send` reads it, each is itself again.
        for text in [r"\074b", r"\377", r"a\nb", r"\\", r"\"] {
            assert_eq!(without_markup(text).replace(r"\\", r"\"), text);
            assert!(!without_markup(text).replace(r"\\", "").contains('\\'));
        }
    }
}
