//! One look: what `models status --check --json` says of each agent, in processes of their own. Ring 4; reads,
//! and knows of the document no more than `schema/models-status.v1.json` promises.
//!
//! Promises: every agent that is configured or has a folder is looked at; where that takes too long, the next
//! look goes on with those that are left. What cannot be read is an error that repeats nothing of it.

use crate::cli::app::App;
use crate::cli::record::{self, LinkRecord};
use crate::cli::ui;
use crate::error::{Error, Kind, Result};
use crate::openclaw::config::Config;
use crate::openclaw::places::Places;
use crate::provider::AgentId;
use crate::service::system::run_keeping;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long one agent may take: a keychain that does not answer has its own, shorter limit.
/// It is more than OpenClaw, and so a check, can be told to wait for a program.
const LIMIT: Duration = Duration::from_secs(150);

/// How long another agent is begun with. With the limit above and the time for telling it is less than the
/// five minutes that the monitor's unit has.
const BEGIN_WITHIN: Duration = Duration::from_secs(90);

/// How many are looked at at a time.
const AT_A_TIME: usize = 4;

/// The most bytes of one document.
const MOST: u64 = 32 * 1024 * 1024;

/// The most characters of a clause or a hint.
const MOST_WORDS: usize = 500;

const SCHEMA: &str = "clawkeep/models-status/1";
const HINT: &str = "clawkeep models status --check";

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thing {
    /// 1: something does not work; 2: something will soon not work.
    pub(super) code: u8,
    /// A clause, on one line.
    pub(super) what: String,
    /// A command, on one line.
    pub(super) hint: String,
}

impl Thing {
    /// The hint without the flag that names the agent.
    pub(super) fn hint_for_any(&self, agent: &AgentId) -> String {
        self.hint.replace(&format!(" --agent {agent}"), "")
    }
}

/// What an agent's look came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing is in use that could be judged.
    Nothing,
    /// All is well; what is not proven of it, a clause.
    Well(Option<String>),
    /// Never empty.
    Wrong(Vec<Thing>),
}

/// What a whole look came to; `main` comes first.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) found: Vec<(AgentId, Found)>,
    pub(super) failed: Vec<(AgentId, Error)>,
    /// Those that were not begun with in time, in the order in which they come next.
    pub(super) left: Vec<AgentId>,
}

impl Look {
    /// Looks; after `main` beginning with `next`.
    ///
    /// # Errors
    /// `Failed` when the agents cannot be listed or this program cannot be found.
    pub(super) fn take(app: &App, next: Option<&str>) -> Result<Self> {
        let agents = in_turn(agents(app), next);
        let status = Status::of(app)?;
        Ok(Look::each(agents, Instant::now() + BEGIN_WITHIN, |agent| {
            status.look(agent)
        }))
    }

    /// Looks at each, at several at a time; at the first in any case, at no other after `until`.
    fn each(
        agents: Vec<AgentId>,
        until: Instant,
        look: impl Fn(&AgentId) -> Result<Found> + Sync,
    ) -> Self {
        let mut order = agents.clone();
        let left = Mutex::new(VecDeque::from(agents));
        let first = left.lock().ok().and_then(|mut left| left.pop_front());
        let next = || {
            let is_time = Instant::now() < until;
            is_time.then(|| left.lock().ok()?.pop_front()).flatten()
        };
        let work = &|first: Option<AgentId>| {
            let mut done = Vec::new();
            let mut now = first.or_else(next);
            while let Some(agent) = now {
                let found = look(&agent);
                done.push((agent, found));
                now = next();
            }
            done
        };
        let firsts = std::iter::once(first).chain((1..AT_A_TIME).map(|_| None));
        let mut done: Vec<(AgentId, Result<Found>)> = std::thread::scope(|scope| {
            let workers: Vec<_> = firsts
                .map(|first| scope.spawn(move || work(first)))
                .collect();
            let done = workers.into_iter().filter_map(|worker| worker.join().ok());
            done.flatten().collect()
        });
        // What a worker that failed took with it counts as left.
        order.retain(|agent| !done.iter().any(|(one, _)| one == agent));
        done.sort_by(|(a, _), (b, _)| (!a.is_main(), a).cmp(&(!b.is_main(), b)));
        let (mut found, mut failed) = (Vec::new(), Vec::new());
        for (agent, one) in done {
            match one {
                Ok(one) => found.push((agent, one)),
                Err(error) => failed.push((agent, error)),
            }
        }
        Look {
            found,
            failed,
            left: order,
        }
    }

    /// How many agents there are.
    pub(super) fn all(&self) -> usize {
        self.found.len() + self.failed.len() + self.left.len()
    }

    /// Everything that is wrong.
    pub(super) fn things(&self) -> impl Iterator<Item = (&AgentId, &Thing)> {
        self.found.iter().flat_map(|(agent, found)| {
            let things = match found {
                Found::Wrong(things) => things.as_slice(),
                Found::Nothing | Found::Well(_) => &[],
            };
            things.iter().map(move |thing| (agent, thing))
        })
    }
}

/// Every agent: what clawkeep noted, what is configured, and what has a folder. A file that cannot be read
/// is no error here: `models status` says so, of `main` too.
fn agents(app: &App) -> Vec<AgentId> {
    let record = LinkRecord::load(&app.dir).ok().flatten();
    let mut agents = record::agents(&app.dir, record.as_ref());
    if let Ok(places) = Places::find(&app.host) {
        let config = Config::read(places.config());
        let config = config.unwrap_or_else(|_| Config::empty(places.config()));
        agents.extend(places.every_agent(&config).unwrap_or_default());
    }
    agents
}

/// Each once: `main`, then `next`, then those that follow in the alphabet, round to its beginning.
fn in_turn(mut agents: Vec<AgentId>, next: Option<&str>) -> Vec<AgentId> {
    agents.sort_by_key(|agent| {
        let is_before = next.is_some_and(|next| agent.as_str() < next);
        (!agent.is_main(), is_before, agent.clone())
    });
    agents.dedup();
    agents
}

/// How `models status` is run.
struct Status {
    program: PathBuf,
    args: Vec<OsString>,
}

impl Status {
    fn of(app: &App) -> Result<Self> {
        let mut args: Vec<OsString> = vec!["--vault".into(), app.dir.clone().into()];
        for id in &app.global.vault_id {
            args.extend(["--vault-id".into(), id.into()]);
        }
        if let Some(path) = &app.global.passphrase_file {
            args.extend(["--passphrase-file".into(), path.clone().into()]);
        }
        if app.global.accept_rollback {
            args.push("--accept-rollback".into());
        }
        let words = ["--non-interactive", "models", "status", "--check", "--json"];
        args.extend(words.map(OsString::from));
        Ok(Status {
            program: app.host.program()?,
            args,
        })
    }

    fn look(&self, agent: &AgentId) -> Result<Found> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .args(["--agent", agent.as_str()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let out = run_keeping(MOST, LIMIT, command, &self.program, None)?;
        let out = out.ok_or_else(|| not_looked(Kind::Failed, "it took too long"))?;
        found(out.code, &out.stdout)
    }
}

fn not_looked(kind: Kind, why: &str) -> Error {
    Error::new(
        kind,
        format!("the credentials could not be looked at: {why}"),
    )
    .hint(HINT)
}

// --- the document ---

#[derive(Deserialize)]
struct Document {
    schema: String,
    clawkeep: Own,
}

#[derive(Deserialize)]
struct Own {
    providers: Vec<IgnoredAny>,
    proof: Proof,
    /// References that others answer.
    #[serde(default)]
    elsewhere: Vec<Elsewhere>,
    check: Check,
}

#[derive(Deserialize)]
struct Elsewhere {
    resolves: Option<bool>,
}

#[derive(Deserialize)]
struct Proof {
    state: String,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    exit_code: i32,
    causes: Vec<Cause>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cause {
    exit_code: i32,
    what: String,
    hint: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: Said,
}

#[derive(Deserialize)]
struct Said {
    message: String,
    hint: Option<String>,
}

/// What the exit code and the document mean.
fn found(code: Option<i32>, document: &[u8]) -> Result<Found> {
    let unreadable = || not_looked(Kind::Failed, "the answer of models status cannot be read");
    if let Ok(refusal) = serde_json::from_slice::<Refusal>(document) {
        return refused(code, &refusal.error);
    }
    let document: Document = serde_json::from_slice(document).map_err(|_| unreadable())?;
    let own = document.clawkeep;
    let causes = &own.check.causes;
    // What the program ended with, the document and its causes say alike; 1 before 75 before 2.
    let has = |code: i32| causes.iter().any(|cause| cause.exit_code == code);
    let worst = [1, 75, 2].into_iter().find(|code| has(*code));
    let is_one = worst.unwrap_or(0) == own.check.exit_code && code == Some(own.check.exit_code);
    let is_known = |cause: &Cause| [1, 75, 2].contains(&cause.exit_code);
    if document.schema != SCHEMA || !is_one || !causes.iter().all(is_known) {
        return Err(unreadable());
    }
    let not_proven = causes.iter().find(|cause| cause.exit_code == 75);
    if let Some(cause) = not_proven.filter(|_| worst == Some(75)) {
        return Err(not_looked(Kind::Locked, &words(&cause.what)));
    }
    let things: Vec<Thing> = causes
        .iter()
        .filter(|cause| cause.exit_code != 75)
        .map(|cause| Thing {
            code: if cause.exit_code == 2 { 2 } else { 1 },
            what: words(&cause.what),
            hint: words(&cause.hint),
        })
        .collect();
    Ok(if !things.is_empty() {
        Found::Wrong(things)
    } else if own.providers.is_empty() {
        Found::Nothing
    } else if own.proof.state == "not-proven" {
        let reason = words(own.proof.reason.as_deref().unwrap_or("it is not said why"));
        Found::Well(Some(format!("references not proven: {reason}")))
    } else if own.elsewhere.iter().any(|one| one.resolves.is_none()) {
        Found::Well(Some("what others answer is not proven".to_owned()))
    } else {
        Found::Well(None)
    })
}

/// It did not come to a look. What is absent or broken needs somebody; what is locked may be so on purpose.
fn refused(code: Option<i32>, said: &Said) -> Result<Found> {
    let what = words(&said.message);
    match code {
        Some(1) => Ok(Found::Wrong(vec![Thing {
            code: 1,
            what,
            hint: words(said.hint.as_deref().unwrap_or(HINT)),
        }])),
        Some(75) => Err(not_looked(Kind::Locked, &what)),
        _ => Err(not_looked(Kind::Failed, &what)),
    }
}

/// On one line, no control characters, not without end.
fn words(text: &str) -> String {
    let plain = ui::plain(&text.replace(['\n', '\r', '\t'], " "));
    let mut words: String = plain.trim().chars().take(MOST_WORDS).collect();
    if words.len() < plain.trim().len() {
        words.push('…');
    }
    words
}

#[cfg(test)]
#[path = "look_tests.rs"]
mod tests;
