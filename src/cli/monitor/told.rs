//! What was told, and when. Ring 4; reads and writes `monitor-told.json` in the vault's folder, and does
//! nothing else.
//!
//! Promise: what one agent lacks is told once a day, another thing at once, and the same again when it was
//! well in between. What cannot be read counts as nothing told: better twice than never.

use super::look::{Look, Thing};
use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::file::{self, Privacy};
use crate::provider::AgentId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The file's name.
const NAME: &str = "monitor-told.json";

/// The most bytes of it.
const MAX: usize = 16 * 1024 * 1024;

/// How long the same thing is not told again, in milliseconds.
const AGAIN: i64 = 24 * 3600 * 1000;

/// What was told.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    /// The agent that the next look begins with, where the last one came not to its end.
    pub(super) next: Option<String>,
    things: Vec<Entry>,
}

/// One thing.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    code: u8,
    /// Its [`essence`].
    text: String,
    /// Of which agents it was told, and when.
    agents: BTreeMap<String, Millis>,
}

impl Told {
    /// What was told by the monitor of the vault in `dir`.
    pub(super) fn load(dir: &Path) -> Self {
        let bytes = file::read(&dir.join(NAME), MAX, Privacy::Private);
        let bytes = bytes.ok().flatten().unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Notes it; where there is nothing to note there is no file.
    ///
    /// # Errors
    /// `Failed` when the folder cannot be written.
    pub(super) fn save(&self, dir: &Path) -> Result<()> {
        if *self == Told::default() {
            return Self::remove(dir);
        }
        let text = serde_json::to_vec(self)
            .map_err(|_| Error::failed("what was told cannot be written as JSON"))?;
        file::replace_beside(&dir.join(NAME), &text, 0o600)
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// `Failed` when the folder cannot be written.
    pub(super) fn remove(dir: &Path) -> Result<()> {
        file::remove(&dir.join(NAME)).map(|_| ())
    }

    /// Whether it was told of the agent within a day.
    pub(super) fn has(&self, agent: &AgentId, thing: &Thing, now: Millis) -> bool {
        let text = essence(agent, thing);
        let key = (thing.code, text.as_str());
        // Sorted, as they are noted.
        let found = self
            .things
            .binary_search_by(|one| (one.code, one.text.as_str()).cmp(&key));
        let entry = found.ok().and_then(|at| self.things.get(at));
        let at = entry.and_then(|one| one.agents.get(agent.as_str()));
        at.is_some_and(|at| is_recent(*at, now))
    }

    /// Forgets what is over: what was told long ago, is well again, or befell an agent that is gone. Of an
    /// agent that was not looked at this time everything stays.
    pub(super) fn forget(&mut self, look: &Look, now: Millis) {
        let wrong: BTreeSet<(u8, String, &AgentId)> = look
            .things()
            .map(|(agent, thing)| (thing.code, essence(agent, thing), agent))
            .collect();
        let failed = look.failed.iter().map(|(agent, _)| agent);
        let unseen: BTreeSet<&str> = failed.chain(&look.left).map(AgentId::as_str).collect();
        let seen: BTreeMap<&str, &AgentId> = look
            .found
            .iter()
            .map(|(agent, _)| (agent.as_str(), agent))
            .collect();
        for Entry { code, text, agents } in &mut self.things {
            agents.retain(|agent, at| {
                let is_still = unseen.contains(agent.as_str())
                    || seen
                        .get(agent.as_str())
                        .is_some_and(|agent| wrong.contains(&(*code, text.clone(), agent)));
                is_still && is_recent(*at, now)
            });
        }
        self.things.retain(|one| !one.agents.is_empty());
    }

    /// Notes that these were told.
    pub(super) fn note(&mut self, things: &[(&AgentId, &Thing)], now: Millis) {
        let mut all: BTreeMap<(u8, String), BTreeMap<String, Millis>> =
            std::mem::take(&mut self.things)
                .into_iter()
                .map(|one| ((one.code, one.text), one.agents))
                .collect();
        for (agent, thing) in things {
            let agents = all.entry((thing.code, essence(agent, thing))).or_default();
            agents.insert(agent.to_string(), now);
        }
        let entries = all.into_iter();
        self.things = entries
            .map(|((code, text), agents)| Entry { code, text, agents })
            .collect();
    }
}

/// Not where the clock went back, either.
fn is_recent(at: Millis, now: Millis) -> bool {
    (0..AGAIN).contains(&(now.get() - at.get()))
}

/// A thing without what the clock changes: `in 5 hours` is `in 4 hours` later. Any other number stays: it
/// may be all that tells two names apart.
fn essence(agent: &AgentId, thing: &Thing) -> String {
    let text = format!("{} {}", thing.what, thing.hint_for_any(agent));
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
    use super::super::look::Found;
    use super::*;
    use proptest::prelude::*;

    fn agent(name: &str) -> AgentId {
        AgentId::parse(name).unwrap()
    }

    fn at(ms: i64) -> Millis {
        Millis::new(ms).unwrap()
    }

    /// Agents, each with one thing or with none.
    fn look(all: &[(&str, u8, &str)], left: &[&str]) -> Look {
        let found = all.iter().map(|(name, code, what)| {
            let thing = Thing {
                code: *code,
                what: (*what).to_owned(),
                hint: format!("x --agent {name}"),
            };
            let found = match code {
                0 => Found::Well(None),
                _ => Found::Wrong(vec![thing]),
            };
            (agent(name), found)
        });
        Look {
            found: found.collect(),
            failed: Vec::new(),
            left: left.iter().map(|name| agent(name)).collect(),
        }
    }

    fn covers(told: &Told, look: &Look, now: Millis) -> bool {
        look.things()
            .all(|(agent, thing)| told.has(agent, thing, now))
    }

    fn note(told: &mut Told, look: &Look, now: Millis) {
        told.note(&look.things().collect::<Vec<_>>(), now);
    }

    #[test]
    fn the_same_thing_is_told_once_a_day_and_another_at_once() {
        let mut told = Told::default();
        let soon = "anthropic:work expires in 5 hours (2026-11-29 14:05 +00:00)";
        note(&mut told, &look(&[("main", 2, soon)], &[]), at(1_000));
        let later = "anthropic:work expires in 59 minutes (2026-11-29 14:05 +00:00)";
        let same = look(&[("main", 2, later)], &[]);
        assert!(covers(&told, &same, at(1_000 + AGAIN - 1)));
        assert!(!covers(&told, &same, at(1_000 + AGAIN)));
        assert!(!covers(&told, &same, at(999)), "a clock that went back");
        assert!(!covers(&told, &look(&[("main", 1, later)], &[]), at(2_000)));
        for other in ["anthropic:work2", "openai:work"] {
            let other = later.replace("anthropic:work", other);
            assert!(
                !covers(&told, &look(&[("main", 2, &other)], &[]), at(2_000)),
                "{other}"
            );
        }
        let helper = look(&[("main", 2, later), ("helper", 2, later)], &[]);
        assert!(
            !covers(&told, &helper, at(2_000)),
            "another agent's is another's"
        );
        note(&mut told, &helper, at(2_000));
        assert!(covers(&told, &helper, at(3_000)));
        assert!(
            covers(&told, &same, at(3_000)),
            "what is well again is not told"
        );
    }

    #[test]
    fn what_is_over_is_forgotten_and_what_was_not_looked_at_is_not() {
        let both = look(&[("main", 1, "a"), ("helper", 1, "a")], &[]);
        let mut told = Told::default();
        note(&mut told, &both, at(1_000));
        told.forget(&look(&[("main", 0, "")], &["helper"]), at(2_000));
        assert!(!covers(&told, &both, at(2_000)), "main may lose it again");
        assert!(covers(&told, &look(&[("helper", 1, "a")], &[]), at(2_000)));
        told.forget(&look(&[("main", 0, "")], &[]), at(3_000));
        assert_eq!(told, Told::default(), "helper is gone");
        note(&mut told, &both, at(1_000));
        told.forget(&both, at(1_000 + AGAIN));
        assert_eq!(told, Told::default());
    }

    #[test]
    fn it_comes_back_from_a_private_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut told = Told::load(dir.path());
        assert_eq!(told, Told::default());
        note(
            &mut told,
            &look(&[("main", 1, "a"), ("helper", 2, "b")], &[]),
            at(1_000),
        );
        told.next = Some("work".to_owned());
        told.save(dir.path()).unwrap();
        assert_eq!(Told::load(dir.path()), told);
        for odd in ["", "[]", "{}", r#"{"at":1000,"code":1,"text":"a"}"#] {
            file::replace(&dir.path().join(NAME), odd.as_bytes(), 0o600).unwrap();
            assert_eq!(Told::load(dir.path()), Told::default(), "{odd}");
        }
        Told::default().save(dir.path()).unwrap();
        assert!(!dir.path().join(NAME).exists());
    }

    proptest! {
        #[test]
        fn no_file_panics(text in "[{}\\[\\]\":,a-z0-9]{0,80}") {
            if let Ok(told) = serde_json::from_str::<Told>(&text) {
                prop_assert!(told.things.len() <= text.len());
            }
        }
    }
}
