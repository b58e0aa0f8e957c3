//! `monitor`: looks once whether a credential needs somebody, and tells. Ring 4.
//!
//! ```text
//! channel   who is told
//! look      what is wrong with which agent
//! told      what was told, and when
//! tell      the telling: a command, the desktop, a post
//! ```
//!
//! Promises: what is sent is what `models status --check` finds wrong with any agent, with its hints, and so
//! no value; the same thing is told once a day, another thing at once; what could not be told or looked
//! at is an error, so that a timer's unit shows as failed.

pub mod channel;
mod look;
mod tell;
mod told;

use super::app::App;
use super::args::Monitor;
use crate::error::{Error, Result};
use crate::file;
use crate::provider::AgentId;
use crate::service::system::System;
use channel::Channel;
use look::{Found, Look, Thing};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use told::Told;

/// The most bytes of a text that is told; ntfy takes 4096.
const MAX_TEXT: usize = 3500;

/// What of it is kept for saying that there is more.
const ROOM_FOR_MORE: usize = 80;

/// So many names stand in a line, and hints below it.
const MOST_NAMED: usize = 3;

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

    /// All that a look found wrong, the gravest first and of those what is new, with the things that the text has
    /// room for; `None` when nothing is.
    fn of<'l>(
        look: &'l Look,
        is_new: &dyn Fn(&AgentId, &Thing) -> bool,
    ) -> Option<(Self, Vec<(&'l AgentId, &'l Thing)>)> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut known = BTreeMap::new();
        for (agent, thing) in look.things() {
            let key = (thing.code, &thing.what, thing.hint_for_any(agent));
            let at = *known.entry(key).or_insert_with(|| {
                groups.push(Group {
                    thing,
                    is_new: false,
                    all: Vec::new(),
                    agents: Vec::new(),
                    hints: Vec::new(),
                });
                groups.len() - 1
            });
            if let Some(group) = groups.get_mut(at) {
                group.is_new |= is_new(agent, thing);
                group.all.push((agent, thing));
                group.agents.push(agent);
                if !group.hints.contains(&&thing.hint) && group.hints.len() < MOST_NAMED {
                    group.hints.push(&thing.hint);
                }
            }
        }
        groups.sort_by_key(|group| (group.thing.code, !group.is_new));
        let code = groups.first()?.thing.code;
        let mut text = String::new();
        let mut things = Vec::new();
        let mut left = groups.len();
        for group in &groups {
            let said = group.said(look.all());
            if !text.is_empty() && text.len() + said.len() > MAX_TEXT - ROOM_FOR_MORE {
                let _ = writeln!(
                    text,
                    "and {left} more\nhint: clawkeep models status --check"
                );
                break;
            }
            text.push_str(&said);
            things.extend(group.all.iter().copied());
            left -= 1;
        }
        let text = bounded(&text);
        Some((Problem { code, text }, things))
    }
}

/// The same thing, wrong with some agents.
struct Group<'a> {
    thing: &'a Thing,
    /// Whether it was not told yet of one of them.
    is_new: bool,
    all: Vec<(&'a AgentId, &'a Thing)>,
    agents: Vec<&'a AgentId>,
    hints: Vec<&'a String>,
}

impl Group<'_> {
    fn said(&self, all: usize) -> String {
        let agents = named(&self.agents, all);
        let mut said = format!("{}{agents}\n", self.thing.what);
        for hint in &self.hints {
            let _ = writeln!(said, "hint: {hint}");
        }
        said
    }
}

/// Which agents, in brackets; nothing where there is only one.
fn named(agents: &[&AgentId], all: usize) -> String {
    if all == 1 {
        return String::new();
    }
    if agents.len() == all {
        return " (every agent)".to_owned();
    }
    let names: Vec<&str> = agents
        .iter()
        .take(MOST_NAMED)
        .map(|one| one.as_str())
        .collect();
    let names = names.join(", ");
    match agents.len() {
        1 => format!(" (agent {names})"),
        2..=MOST_NAMED => format!(" (agents {names})"),
        many => format!(" (agents {names} and {} more)", many - MOST_NAMED),
    }
}

/// As many whole lines as may be told.
fn bounded(said: &str) -> String {
    let mut text = String::new();
    for line in said.lines() {
        if text.len() + line.len() + 1 > MAX_TEXT {
            text.push_str("…\n");
            break;
        }
        text.push_str(line);
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

/// What is said where nothing is wrong, as `models status --check` says it.
fn well(look: &Look) -> String {
    let found = || look.found.iter().map(|(_, found)| found);
    if found().all(|found| *found == Found::Nothing) {
        return "Nothing is in use that could be judged.".to_owned();
    }
    let mut said = "Check: all is well".to_owned();
    if look.all() > 1 {
        let _ = write!(said, " with {} agents", look.found.len());
    }
    let doubt = found().find_map(|found| match found {
        Found::Well(doubt) => doubt.as_ref(),
        Found::Nothing | Found::Wrong(_) => None,
    });
    if let Some(doubt) = doubt {
        let _ = write!(said, ", as far as is known; {doubt}");
    }
    said
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
    let mut told = Told::load(&app.dir);
    let look = Look::take(app, told.next.as_deref())?;
    let now = app.host.now();
    told.next = look.left.first().map(ToString::to_string);
    told.forget(&look, now);
    let is_new = |agent: &AgentId, thing: &Thing| !told.has(agent, thing, now);
    let problem = Problem::of(&look, &is_new);
    if let Some((problem, _)) = &problem {
        app.ui.say(&problem.text);
    } else if look.failed.is_empty() {
        app.ui.say(&well(&look));
    }
    if !look.left.is_empty() {
        app.ui.say(&format!(
            "note: {} of {} agents were not looked at in time; the next look begins with them",
            look.left.len(),
            look.all()
        ));
    }
    let mut ended = Ok(());
    if let Some((problem, things)) = &problem {
        if channel == Channel::Journal {
            ended = Err(Error::shown());
        } else if look.things().all(|(agent, thing)| !is_new(agent, thing)) {
            app.ui
                .say("It was told within a day, and is not told again.");
        } else {
            ended = tell::tell(&app.host, &system, &channel, problem);
            if ended.is_ok() {
                app.ui.say(&format!("Told {}.", channel.said()));
                told.note(things, now);
            }
        }
    }
    // Last, so that a full disk keeps nobody from being told.
    let noted = told.save(&app.dir).map_err(|error| {
        error.context("it cannot be noted what was told, so that it is told again")
    });
    let mut all = [failure(&look).map_or(Ok(()), Err), noted, ended]
        .into_iter()
        .filter_map(Result::err);
    let Some(first) = all.next() else {
        return Ok(());
    };
    // One of several ends it, and the others are not lost.
    for other in all {
        app.ui.error(&other);
    }
    Err(first)
}

/// Why agents could not be looked at: what the first of them says.
fn failure(look: &Look) -> Option<Error> {
    let (_, error) = look.failed.first()?;
    let failed: Vec<&AgentId> = look.failed.iter().map(|(agent, _)| agent).collect();
    let agents = named(&failed, look.all());
    let said = Error::new(error.kind(), format!("{}{agents}", error.message()));
    Some(match error.hint_text() {
        Some(hint) => said.hint(hint),
        None => said,
    })
}

/// Forgets who is told, and what was told, of the vault in `dir`.
///
/// # Errors
/// `Failed` when the folder cannot be written.
pub fn forget(dir: &Path) -> Result<()> {
    Told::remove(dir)?;
    file::remove(&dir.join(channel::NAME)).map(|_| ())
}

#[cfg(unix)]
fn system(root: Option<&Path>) -> Result<System> {
    super::service::system(root)
}

#[cfg(not(unix))]
fn system(_: Option<&Path>) -> Result<System> {
    Ok(System::new("/".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use proptest::prelude::*;

    fn look(all: &[(&str, Found)]) -> Look {
        let found = all.iter().cloned();
        Look {
            found: found
                .map(|(name, found)| (AgentId::parse(name).unwrap(), found))
                .collect(),
            failed: Vec::new(),
            left: Vec::new(),
        }
    }

    fn wrong(code: u8, what: &str, hint: &str) -> Found {
        Found::Wrong(vec![Thing {
            code,
            what: what.to_owned(),
            hint: hint.to_owned(),
        }])
    }

    #[test]
    fn what_is_wrong_is_said_once_however_many_agents_have_it() {
        let one = look(&[("main", wrong(2, "fake expires", "renew fake"))]);
        let problem = problem_of(&one).unwrap();
        assert_eq!(problem.code, 2);
        assert_eq!(problem.text, "fake expires\nhint: renew fake");
        let all = look(&[
            ("main", wrong(2, "fake expires", "renew fake")),
            ("a", wrong(1, "other is missing", "add --agent a other")),
            ("b", wrong(2, "fake expires", "renew --agent b fake")),
            ("c", Found::Well(None)),
        ]);
        let problem = problem_of(&all).unwrap();
        assert_eq!(problem.code, 1);
        assert_eq!(
            problem.text,
            "other is missing (agent a)\nhint: add --agent a other\nfake expires (agents main, b)\nhint: renew \
             fake\nhint: renew --agent b fake"
        );
        let names: Vec<String> = (0..2000).map(|n| format!("a{n}")).collect();
        let mut many: Vec<(&str, Found)> = names
            .iter()
            .map(|name| (name.as_str(), wrong(1, "fake expired", "renew fake")))
            .collect();
        let text = problem_of(&look(&many)).unwrap().text;
        assert_eq!(text, "fake expired (every agent)\nhint: renew fake");
        many.push(("z", Found::Nothing));
        let text = problem_of(&look(&many)).unwrap().text;
        assert_eq!(
            text,
            "fake expired (agents a0, a1, a2 and 1997 more)\nhint: renew fake"
        );
    }

    fn problem_of(look: &Look) -> Option<Problem> {
        Problem::of(look, &|_, _| true).map(|(problem, _)| problem)
    }

    #[test]
    fn what_has_no_room_is_told_the_next_time() {
        let things = (0..90).map(|n| Thing {
            code: 1,
            what: format!("provider-{n:02} is in use, and has no credential that can be used"),
            hint: format!("clawkeep models auth paste-api-key --provider provider-{n:02}"),
        });
        let all = look(&[("main", Found::Wrong(things.collect()))]);
        let (first, told) = Problem::of(&all, &|_, _| true).unwrap();
        assert!(told.len() < 90 && first.text.len() <= MAX_TEXT);
        let more = format!(
            "and {} more\nhint: clawkeep models status --check",
            90 - told.len()
        );
        assert!(first.text.ends_with(&more), "{}", first.text);
        let told: Vec<&Thing> = told.into_iter().map(|(_, thing)| thing).collect();
        let (second, then) = Problem::of(&all, &|_, thing| !told.contains(&thing)).unwrap();
        assert_ne!(first.text, second.text);
        assert!(
            then.iter().all(|(_, thing)| !told.contains(thing)),
            "new things come first"
        );
    }

    #[test]
    fn what_is_well_is_said_as_far_as_it_is_known() {
        let locked = Found::Well(Some("references not proven: locked".to_owned()));
        for (all, said) in [
            (
                &[("main", Found::Nothing)][..],
                "Nothing is in use that could be judged.",
            ),
            (&[("main", Found::Well(None))], "Check: all is well"),
            (
                &[("main", locked.clone())],
                "Check: all is well, as far as is known; references not proven: locked",
            ),
            (
                &[("main", Found::Nothing), ("a", locked)],
                "Check: all is well with 2 agents, as far as is known; references not proven: locked",
            ),
        ] {
            assert_eq!(well(&look(all)), said);
            assert!(problem_of(&look(all)).is_none());
        }
    }

    #[test]
    fn an_agent_that_could_not_be_looked_at_is_a_failure() {
        let mut all = look(&[("main", Found::Well(None))]);
        assert!(failure(&all).is_none());
        let error = Error::new(Kind::Locked, "not looked at: locked").hint("unlock");
        all.failed.push((AgentId::parse("a").unwrap(), error));
        let error = failure(&all).unwrap();
        assert_eq!(error.kind(), Kind::Locked);
        assert_eq!(error.message(), "not looked at: locked (agent a)");
        assert_eq!(error.hint_text(), Some("unlock"));
    }

    proptest! {
        #[test]
        fn what_is_told_is_bounded(said in "(\\PC|\n){0,400}", times in 1usize..40) {
            let text = bounded(&said.repeat(times));
            prop_assert!(text.len() <= MAX_TEXT + 8);
            prop_assert!(!text.ends_with('\n'));
        }
    }
}
