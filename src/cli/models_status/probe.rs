//! `--probe`: one request for each profile, the cheapest that its provider has, which says whether it takes
//! the credential. Ring 4; over the network, and so never by default.
//!
//! Promises: a stored value goes to its own provider's host alone, as its authenticated record in the vault
//! names it, or to the address that openclaw.json gives that provider, which is where OpenClaw sends it; by
//! https, or http on this machine itself. The host is said.

use super::endpoint::endpoint;
use super::gather::Gathered;
use super::value::Lies;
use super::vault::State;
use crate::cli::address::host_of;
use crate::cli::app::App;
use crate::cli::curl::{Answer, Curl, Request};
use crate::error::Result;
use crate::expiry;
use crate::file::{self, Privacy};
use crate::openclaw::plaintext::{self, Document, What};
use crate::openclaw::profiles::{Profile, ProfileKind};
use crate::provider::{ProfileId, ProviderId};
use crate::secret::{Secret, SecretId};
use crate::service::system::System;
use crate::status::Cause;
use crate::store::Resolve as _;
use std::sync::Mutex;
use std::time::Duration;
use zeroize::Zeroizing;

/// As OpenClaw: so long for one answer.
const USUAL_TIMEOUT: Duration = Duration::from_secs(8);

/// So many are asked at a time.
pub(super) const CONCURRENCY: usize = 4;

/// The most bytes of a file of profiles.
const MOST_FILE: usize = 8 * 1024 * 1024;

/// What came of one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The provider takes it.
    Ok,
    /// It does not: 401 or 403.
    Auth,
    /// Nothing is paid: 402.
    Billing,
    /// Too many questions: 429.
    RateLimit,
    /// No answer in time.
    Timeout,
    /// Something else; a clause.
    Unknown(String),
    /// It was not asked; why, a clause.
    NotAsked(String),
}

impl Outcome {
    /// OpenClaw's word.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Auth => "auth",
            Outcome::Billing => "billing",
            Outcome::RateLimit => "rate_limit",
            Outcome::Timeout => "timeout",
            Outcome::Unknown(_) | Outcome::NotAsked(_) => "unknown",
        }
    }

    fn of(answer: Answer) -> Self {
        let unknown = |text: &str| Outcome::Unknown(text.to_owned());
        match answer {
            Answer::Status(200..=299) => Outcome::Ok,
            Answer::Status(401 | 403) => Outcome::Auth,
            Answer::Status(402) => Outcome::Billing,
            Answer::Status(429) => Outcome::RateLimit,
            Answer::Status(status) => Outcome::Unknown(format!("HTTP status {status}")),
            Answer::Timeout => Outcome::Timeout,
            Answer::NoHost | Answer::Nobody => unknown("the host is not reached"),
            Answer::Untrusted => unknown("the host's certificate is not trusted"),
            Answer::Failed(code) => Outcome::Unknown(format!("curl ended with {code}")),
            Answer::NotSent => Outcome::NotAsked("its value cannot stand in a request".to_owned()),
        }
    }
}

/// One profile.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) provider: ProviderId,
    pub(super) profile: ProfileId,
    pub(super) kind: ProfileKind,
    /// Where the question went.
    pub(super) host: Option<String>,
    pub(super) outcome: Outcome,
    pub(super) took: Option<Duration>,
}

impl Asked {
    /// For people.
    pub(super) fn said(&self) -> String {
        let took = |text: &str| match self.took {
            Some(took) => format!("{text}, after {} ms", took.as_millis()),
            None => text.to_owned(),
        };
        match &self.outcome {
            Outcome::Ok => took("it takes the credential"),
            Outcome::Auth => took("it refuses the credential"),
            Outcome::Billing => took("it wants to be paid first"),
            Outcome::RateLimit => took("too many requests"),
            Outcome::Timeout => took("no answer"),
            Outcome::Unknown(what) => took(what),
            Outcome::NotAsked(why) => format!("not asked: {why}"),
        }
    }
}

/// Everything.
#[derive(Debug)]
pub(super) struct Probed {
    pub(super) started: expiry::Millis,
    pub(super) finished: expiry::Millis,
    pub(super) timeout: Duration,
    pub(super) results: Vec<Asked>,
}

impl Probed {
    /// The profiles that are of no use, by what their providers say.
    pub(super) fn refused(&self) -> impl Iterator<Item = Cause> {
        let is_refused = |one: &&Asked| matches!(one.outcome, Outcome::Auth | Outcome::Billing);
        let refused = self.results.iter().filter(is_refused);
        refused.map(|one| Cause::Refused(one.profile.clone()))
    }
}

/// `--probe-timeout`.
///
/// # Errors
/// `Usage` for what is no time.
pub(super) fn timeout(text: Option<&str>) -> Result<Duration> {
    text.map_or(Ok(USUAL_TIMEOUT), |text| {
        expiry::span(text, "--probe-timeout")
    })
}

/// Asks for every stored profile.
///
/// # Errors
/// `Missing` without `curl`.
pub(super) fn all(app: &App, gathered: &Gathered, timeout: Duration) -> Result<Probed> {
    let curl = Curl::find(&app.host, &System::new("/".into()))
        .map_err(|error| error.hint("clawkeep models status"))?;
    let started = app.host.now();
    let mut results = Vec::new();
    let mut questions = Vec::new();
    for provider in &gathered.report.providers {
        let own = provider.facts.stored();
        for (_, profile) in own.filter(|(_, profile)| profile.provider == provider.facts.id) {
            let mut asked = Asked {
                provider: profile.provider.clone(),
                profile: profile.id.clone(),
                kind: profile.kind,
                host: None,
                outcome: Outcome::Timeout,
                took: None,
            };
            match question(gathered, profile) {
                Ok(question) => {
                    asked.host = Some(question.host.clone());
                    questions.push((results.len(), question));
                }
                Err(why) => asked.outcome = Outcome::NotAsked(why),
            }
            results.push(asked);
        }
    }
    let answers = ask(&curl, questions, timeout)?;
    for (at, outcome, took) in answers {
        if let Some(asked) = results.get_mut(at) {
            asked.outcome = outcome;
            asked.took = Some(took);
        }
    }
    Ok(Probed {
        started,
        finished: app.host.now(),
        timeout,
        results,
    })
}

/// One question.
struct Question {
    url: String,
    host: String,
    header: Zeroizing<String>,
}

type Answered = (usize, Outcome, Duration);

fn ask(curl: &Curl, questions: Vec<(usize, Question)>, limit: Duration) -> Result<Vec<Answered>> {
    let queue = Mutex::new(questions.into_iter());
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    let work = || -> Result<Vec<Answered>> {
        let mut done = Vec::new();
        while let Some((at, question)) = next() {
            let (answer, took) = curl.ask(&Request {
                url: &question.url,
                headers: &question.header,
                data: None,
                limit,
            })?;
            done.push((at, Outcome::of(answer), took));
        }
        Ok(done)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..CONCURRENCY).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for worker in workers {
            let done = worker
                .join()
                .map_err(|_| crate::error::Error::failed("a question to a provider failed"))?;
            all.extend(done?);
        }
        Ok(all)
    })
}

/// The question for one profile, or why there is none.
fn question(gathered: &Gathered, profile: &Profile) -> std::result::Result<Question, String> {
    let value = value(gathered, profile)?;
    let (url, header) = endpoint(gathered, profile, &value)?;
    let host = host_of(&url).ok_or_else(|| {
        "its address in openclaw.json is neither https nor on this machine".to_owned()
    })?;
    let header = header
        .lines(&value)
        .ok_or_else(|| "its value cannot stand in a request".to_owned())?;
    Ok(Question { url, host, header })
}

fn value(gathered: &Gathered, profile: &Profile) -> std::result::Result<Secret, String> {
    let lies = Lies::of(gathered, profile);
    match (lies.word, &lies.id) {
        ("vault" | "keychain", Some(id)) => stored(gathered, profile, id),
        ("plaintext", _) => in_the_clear(gathered, profile),
        ("login", _) => Err("OpenClaw renews a login itself".to_owned()),
        ("none", _) => Err("it has no value".to_owned()),
        _ => Err("its value is not in the vault".to_owned()),
    }
}

fn stored(gathered: &Gathered, profile: &Profile, id: &str) -> std::result::Result<Secret, String> {
    let opened = match &gathered.vault.state {
        State::Open(opened) => opened,
        State::Locked(_) => return Err("the vault is locked".to_owned()),
        State::Broken(_) | State::Absent(_) => return Err("the vault cannot be read".to_owned()),
    };
    let id = SecretId::parse(id).map_err(|_| "its reference names no stored value".to_owned())?;
    let found = opened
        .get(&id)
        .map_err(|error| error.message().to_owned())?;
    let (value, meta) = found.ok_or_else(|| "the vault has no such value".to_owned())?;
    // Whose credential it is, the vault says: an edited file could send one provider's key to another.
    if meta.provider.as_ref() == Some(&profile.provider) {
        Ok(value)
    } else {
        Err(format!(
            "the vault's value is not one of {}",
            profile.provider
        ))
    }
}

fn in_the_clear(gathered: &Gathered, profile: &Profile) -> std::result::Result<Secret, String> {
    let missing = || "its value is in OpenClaw's database".to_owned();
    for path in &gathered.read {
        let Ok(Some(bytes)) = file::read(path, MOST_FILE, Privacy::Shared) else {
            continue;
        };
        let found = plaintext::find(Document::Profiles, &bytes, path)
            .map_err(|error| error.message().to_owned())?;
        let own = found.into_iter().find(
            |one| matches!(&one.what, What::Profile { profile: id, .. } if *id == profile.id),
        );
        if let Some(own) = own {
            return Secret::stored(&own.value).map_err(|error| error.message().to_owned());
        }
    }
    Err(missing())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_means_what_openclaw_calls_it() {
        for (status, name) in [
            (200, "ok"),
            (401, "auth"),
            (403, "auth"),
            (402, "billing"),
            (429, "rate_limit"),
            (404, "unknown"),
            (500, "unknown"),
        ] {
            assert_eq!(Outcome::of(Answer::Status(status)).name(), name, "{status}");
        }
    }
}
