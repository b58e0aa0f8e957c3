//! `monitor`: looks once whether a credential needs somebody, and tells. Ring 4.
//!
//! ```text
//! channel   who is told
//! tell      the telling: a command, the desktop, a post
//! ```
//!
//! Promises: what is sent is the list of `models status --check` of what is wrong, with its hints, and so
//! no value; the same thing is told once a day, another thing at once; what could not be told or looked
//! at is an error, so that a timer's unit shows as failed.

pub mod channel;
mod tell;

use super::app::App;
use super::args::Monitor;
use super::ui;
use crate::error::{Error, Kind, Result};
use crate::expiry::Millis;
use crate::file::{self, Privacy};
use crate::service::system::{System, run_within};
use channel::Channel;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a look may take: a keychain that does not answer has its own, shorter limit.
const LIMIT: Duration = Duration::from_mins(2);

/// How long the same thing is not told again.
const AGAIN: i64 = 24 * 3600 * 1000;

/// The most bytes of a text that is told; ntfy takes 4096.
const MAX_TEXT: usize = 3500;

/// What was told last, in the vault's folder.
const TOLD: &str = "monitor-told.json";

/// What a look came to.
#[derive(Debug, PartialEq, Eq)]
enum Looked {
    /// Nothing to do; the words of `models status`, which say what was not proven.
    Fine(String),
    Problem(Problem),
}

/// What is wrong, in words for a person.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// 1: something does not work; 2: something will soon not work.
    pub(super) code: u8,
    /// Lines with hints, at most [`MAX_TEXT`] bytes, no control characters but line ends.
    pub(super) text: String,
}

impl Problem {
    /// The first words.
    pub(super) fn title(&self) -> &'static str {
        if self.code == 2 {
            "clawkeep: a credential expires soon"
        } else {
            "clawkeep: a credential needs you"
        }
    }
}

/// Runs `monitor`.
///
/// # Errors
/// `Usage` when nobody was chosen; `Failed` when it could not be looked or told; `shown` when something
/// is wrong and only the journal was chosen.
pub fn run(app: &App, args: &Monitor) -> Result<()> {
    let channel = match Channel::of(app, &args.how)? {
        Some(channel) => channel,
        None => Channel::load(&app.dir)?.ok_or_else(|| {
            Error::usage("it was never said who is told")
                .hint("add --notify, --ntfy-file FILE or --on-problem CMD; or have it done: clawkeep service install --monitor --notify")
        })?,
    };
    let system = system(args.root.as_deref())?;
    if args.sample {
        let sample = Problem {
            code: 1,
            text: "This is a sample: nothing is wrong.".to_owned(),
        };
        tell::tell(&app.host, &system, &channel, &sample)?;
        app.ui.say(&format!("Told {}.", channel.said()));
        return Ok(());
    }
    let problem = match look(app)? {
        Looked::Fine(said) => {
            file::remove(&app.dir.join(TOLD))?;
            app.ui.say(&said);
            return Ok(());
        }
        Looked::Problem(problem) => problem,
    };
    app.ui.say(&problem.text);
    if channel == Channel::Journal {
        return Err(Error::shown());
    }
    let told = Told::load(&app.dir);
    let now = app.host.now();
    if told.is_some_and(|told| told.covers(&problem, now)) {
        app.ui
            .say("It was told within a day, and is not told again.");
        return Ok(());
    }
    tell::tell(&app.host, &system, &channel, &problem)?;
    app.ui.say(&format!("Told {}.", channel.said()));
    Told::of(&problem, now).save(&app.dir)
}

/// Forgets who is told, and what was told, of the vault in `dir`.
///
/// # Errors
/// `Failed` when the folder cannot be written.
pub fn forget(dir: &Path) -> Result<()> {
    file::remove(&dir.join(TOLD))?;
    file::remove(&dir.join(channel::NAME)).map(|_| ())
}

#[cfg(unix)]
fn system(root: Option<&Path>) -> Result<System> {
    super::service::system(root)
}

#[cfg(not(unix))]
fn system(_: Option<&Path>) -> Result<System> {
    Ok(System::new(PathBuf::from("/")))
}

/// Has `models status --check` look, in a process of its own.
fn look(app: &App) -> Result<Looked> {
    let program: PathBuf = app.host.program()?;
    let mut command = Command::new(&program);
    command.arg("--vault").arg(&app.dir);
    for id in &app.global.vault_id {
        command.arg("--vault-id").arg(id);
    }
    command
        .args(["--non-interactive", "models", "status", "--check"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let out = run_within(LIMIT, command, &program, None)?;
    judged(
        out.code,
        &String::from_utf8_lossy(&out.stdout),
        &String::from_utf8_lossy(&out.talk),
    )
}

/// What the exit code, the output and the talk of `models status --check` mean.
fn judged(code: Option<i32>, shown: &str, talk: &str) -> Result<Looked> {
    match code {
        Some(0) => {
            let last = shown.lines().rfind(|line| !line.trim().is_empty());
            Ok(Looked::Fine(ui::plain(last.unwrap_or_default().trim())))
        }
        Some(code @ (1 | 2)) => Ok(Looked::Problem(Problem {
            code: if code == 2 { 2 } else { 1 },
            // Where it did not come to a list, the talk says why.
            text: text(not_well(shown).unwrap_or(talk)),
        })),
        code => {
            let kind = match code {
                Some(75) => Kind::Locked,
                _ => Kind::Failed,
            };
            let said = talk.lines().find(|line| !line.trim().is_empty());
            let said = ui::plain(said.unwrap_or("it said nothing").trim());
            let said = said.trim_start_matches("clawkeep: ");
            Err(Error::new(
                kind,
                format!("the credentials could not be looked at: {said}"),
            )
            .hint("clawkeep models status --check"))
        }
    }
}

/// The list of what is wrong, each with its hint, at the end of what is shown; `None` when there is none.
fn not_well(shown: &str) -> Option<&str> {
    let (before, list) = shown.split_once("Not well:\n")?;
    let begins_a_line = before.is_empty() || before.ends_with('\n');
    (begins_a_line && !list.trim().is_empty()).then_some(list)
}

/// The lines as they are told: whole, none of them empty, no control characters.
fn text(said: &str) -> String {
    let mut text = String::new();
    for line in said.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let line = ui::plain(line);
        if text.len() + line.len() + 1 > MAX_TEXT {
            text.push_str("…\n");
            break;
        }
        text.push_str(&line);
        text.push('\n');
    }
    if text.is_empty() {
        text.push_str("hint: clawkeep models status --check\n");
    }
    text.truncate(text.trim_end().len());
    text
}

/// What was told, and when.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    at: Millis,
    code: u8,
    text: String,
}

impl Told {
    fn of(problem: &Problem, at: Millis) -> Self {
        Told {
            at,
            code: problem.code,
            text: essence(&problem.text),
        }
    }

    /// Whether this is the same thing, told within a day.
    fn covers(&self, problem: &Problem, now: Millis) -> bool {
        let age = now.get() - self.at.get();
        self.code == problem.code
            && self.text == essence(&problem.text)
            && (0..AGAIN).contains(&age)
    }

    /// What cannot be read counts as nothing told: better twice than never.
    fn load(dir: &Path) -> Option<Self> {
        let bytes = file::read(&dir.join(TOLD), 16 * 1024, Privacy::Private).ok()??;
        serde_json::from_slice(&bytes).ok()
    }

    fn save(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_vec(self)
            .map_err(|_| Error::failed("what was told cannot be written as JSON"))?;
        file::replace_beside(&dir.join(TOLD), &text, 0o600)
    }
}

/// The text without what the clock changes: `in 5 hours` is `in 4 hours` later. Any other number stays: it
/// may be all that tells two names apart.
fn essence(text: &str) -> String {
    let is_unit = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_alphabetic());
        ["second", "minute", "hour", "day"].contains(&word.strip_suffix('s').unwrap_or(word))
    };
    let mut kept = Vec::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && words.next_if(|next| is_unit(next)).is_some() {
            continue;
        }
        kept.push(word);
    }
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exit_codes_mean_what_models_status_says() {
        let well = "Check: all is well, as far as is known; references not proven: locked";
        let shown = format!("Vault: x, locked\n\n{well}\n");
        let fine = judged(Some(0), &shown, "note: x").unwrap();
        assert_eq!(fine, Looked::Fine(well.to_owned()), "locked is not proven");
        for code in [1, 2] {
            let Looked::Problem(problem) = judged(
                Some(code),
                "Vault: x\n\nNot well:\n  anthropic expired\n  hint: x\n",
                "note: y",
            )
            .unwrap() else {
                panic!("{code} is a problem");
            };
            assert_eq!(i32::from(problem.code), code);
            assert_eq!(problem.text, "anthropic expired\nhint: x");
        }
        let locked = judged(Some(75), "", "clawkeep: not proven: locked\nhint: y").unwrap_err();
        assert_eq!(locked.kind(), Kind::Locked);
        assert!(
            locked.message().ends_with(": not proven: locked"),
            "{locked}"
        );
        let talk = "clawkeep: there is no vault\nhint: z";
        for shown in ["", "Not well:\n", "x Not well:\ny"] {
            let Looked::Problem(problem) = judged(Some(1), shown, talk).unwrap() else {
                panic!("1 is a problem");
            };
            assert_eq!(problem.text, talk, "{shown}");
        }
        for code in [Some(64), Some(101), None] {
            assert_eq!(judged(code, "", "").unwrap_err().kind(), Kind::Failed);
        }
    }

    #[test]
    fn the_same_thing_is_told_once_a_day_and_another_at_once() {
        let problem = |code, text: &str| Problem {
            code,
            text: text.to_owned(),
        };
        let at = |ms| Millis::new(ms).unwrap();
        let told = Told::of(
            &problem(
                2,
                "anthropic:work expires in 5 hours (2026-11-29 14:05 +00:00)",
            ),
            at(1_000),
        );
        let later = problem(
            2,
            "anthropic:work expires in 59 minutes (2026-11-29 14:05 +00:00)",
        );
        assert!(told.covers(&later, at(1_000 + AGAIN - 1)));
        assert!(!told.covers(&later, at(1_000 + AGAIN)));
        assert!(!told.covers(&later, at(999)), "a clock that went back");
        assert!(!told.covers(&problem(1, &later.text), at(2_000)));
        for other in ["anthropic:work2", "openai:work"] {
            let other = later.text.replace("anthropic:work", other);
            assert!(!told.covers(&problem(2, &other), at(2_000)), "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_told_is_bounded_and_plain(talk in "(\\PC|[\\x00-\\x1f]|\n){0,400}", times in 1usize..40) {
            let text = text(&talk.repeat(times));
            prop_assert!(text.len() <= MAX_TEXT + 8);
            prop_assert!(!text.is_empty());
            prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        }
    }
}
