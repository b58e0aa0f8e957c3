//! References that others than clawkeep answer: whether they give a value, as OpenClaw would find it. Ring 4;
//! writes nothing, asks no person, and no value leaves it.
//!
//! A variable is looked for where the gateway would have it from. A file is read, and a program started, only
//! where a check is asked for; a program of somebody else's only where that is allowed, as with OpenClaw's own
//! audit: it may show a window or cost something. What cannot be found out as OpenClaw would is not known.

mod program;

use super::app::App;
use super::variables::{Place, Variables};
use crate::error::word;
use crate::openclaw::config::Config;
use crate::openclaw::elsewhere::{
    Answer, Elsewhere, Entries, Entry, Holder, Reference, Source, file, is_exec_id, is_name,
};
use crate::openclaw::plaintext::{ignores_ref, takes_ref};
use crate::openclaw::version::{Lane, Version};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// What asks OpenClaw itself.
const AUDIT: &str = "openclaw secrets audit --allow-exec";

/// What may be done to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Only what is known without opening anything.
    Look,
    /// Files are read.
    Check,
    /// Programs are started too.
    Run,
}

/// What is asked with.
pub struct Asking<'a> {
    /// The application.
    pub app: &'a App,
    /// openclaw.json.
    pub config: &'a Config,
    /// The OpenClaw that reads it, where it is known.
    pub version: Option<&'a Version>,
    /// The variables that OpenClaw would find.
    pub variables: &'a Variables<'a>,
    /// The names in OpenClaw's own store, where it was looked into.
    pub own_store: Option<&'a BTreeSet<String>>,
    /// A person's home.
    pub home: &'a Path,
    /// How far to go.
    pub reach: Reach,
}

/// The references in openclaw.json, where this OpenClaw takes any.
pub fn in_settings(config: &Config, version: Option<&Version>) -> Vec<(Holder, Reference)> {
    let counts = |path: &[String]| match version {
        Some(version) => !ignores_ref(path, version),
        None => takes_ref(path),
    };
    let all = config.references_elsewhere().into_iter();
    all.filter(|(path, _)| counts(path))
        .map(|(path, reference)| (Holder::Setting(path.join(".")), reference))
        .collect()
}

/// Asks for each once.
pub fn ask(asking: &Asking<'_>, all: &BTreeSet<(Holder, Reference)>) -> Vec<Elsewhere> {
    if all.is_empty() {
        return Vec::new();
    }
    let entries = Entries::read(asking.config);
    let mut answers: BTreeMap<&Reference, Answer> = BTreeMap::new();
    // A file is read once, and a program started once, for all that it answers.
    let mut together: BTreeMap<(Source, &str), Vec<&Reference>> = BTreeMap::new();
    for (_, reference) in all {
        if answers.contains_key(reference) {
            continue;
        }
        let name = entries.name(reference);
        match at_once(asking, reference, name, entries.of(reference)) {
            Some(answer) => {
                answers.insert(reference, answer);
            }
            None => together
                .entry((reference.source, name))
                .or_default()
                .push(reference),
        }
    }
    for ((_, name), mut of) in together {
        of.sort_unstable();
        of.dedup();
        let given = match of.first().and_then(|one| entries.of(one)) {
            Some(Entry::File { path, rules }) => in_file(asking, &path, rules, &of),
            Some(Entry::Program(program)) => {
                let asked = program::Asked {
                    name,
                    program: &program,
                    most: entries.most,
                };
                program::answers(asking, &asked, &of)
            }
            _ => Vec::new(),
        };
        answers.extend(of.into_iter().zip(given));
    }
    let answered = all.iter().filter_map(|(holder, reference)| {
        Some(Elsewhere {
            holder: holder.clone(),
            reference: reference.clone(),
            answer: answers.get(reference)?.clone(),
        })
    });
    answered.collect()
}

/// What is known without reading or starting anything; `None` for what takes that.
fn at_once(
    asking: &Asking<'_>,
    reference: &Reference,
    name: &str,
    entry: Option<Entry>,
) -> Option<Answer> {
    let is_old = || {
        asking
            .version
            .is_some_and(|version| version.lane() == Lane::File)
    };
    let Some(entry) = entry else {
        return Some(nothing(
            "NO_ENTRY",
            format!(
                "openclaw.json has no entry secrets.providers.{} of source {}",
                word(name),
                reference.source.name()
            ),
        ));
    };
    Some(match entry {
        Entry::Variables(allowed) => variable(asking, reference, name, allowed.as_deref()),
        Entry::Store if is_old() => nothing("NO_STORE", "this OpenClaw has no such store"),
        Entry::Store => match asking.own_store {
            Some(names) if names.contains(&reference.id) => Answer::Value,
            Some(_) => nothing("NOT_FOUND", "it is not there"),
            None => not_known(
                "OpenClaw's own store lies in its database, which was not looked into",
                "clawkeep models status --check --live",
            ),
        },
        Entry::Plugin => not_known(
            format!(
                "a plugin of OpenClaw's answers for secrets.providers.{name}, and only OpenClaw can ask it"
            ),
            AUDIT,
        ),
        Entry::Untold => not_known(
            "OpenClaw does not tell which entry of secrets.providers answers a reference in its database",
            AUDIT,
        ),
        Entry::Written => not_known(
            format!("secrets.providers.{name} is written with variables, which are not followed"),
            AUDIT,
        ),
        Entry::File { .. } if asking.reach == Reach::Look => not_known(
            "files that hold others' values are read only by a check",
            "clawkeep models status --check",
        ),
        Entry::Program(_) if !is_exec_id(&reference.id) => {
            nothing("BAD_ID", "OpenClaw asks no program for such an id")
        }
        Entry::Program(program) if program::is_clawkeep(asking, &program) => not_known(
            format!(
                "secrets.providers.{name} starts clawkeep, which may have but one answer, and that is the gateway's"
            ),
            "clawkeep link",
        ),
        Entry::Program(_) if asking.reach != Reach::Run => not_known(
            "programs of others are started only with --allow-exec",
            "clawkeep models status --check --allow-exec",
        ),
        Entry::File { .. } | Entry::Program(_) => return None,
    })
}

fn nothing(code: &str, why: impl Into<String>) -> Answer {
    Answer::Nothing {
        code: code.to_owned(),
        why: why.into(),
    }
}

fn not_known(why: impl Into<String>, hint: impl Into<String>) -> Answer {
    Answer::NotKnown {
        why: why.into(),
        hint: hint.into(),
    }
}

fn variable(
    asking: &Asking<'_>,
    reference: &Reference,
    entry: &str,
    allowed: Option<&[String]>,
) -> Answer {
    let name = &reference.id;
    if !is_name(name) {
        return nothing("NO_NAME", "OpenClaw takes no such name for a variable's");
    }
    if allowed.is_some_and(|allowed| !allowed.contains(name)) {
        let why = format!("it is not in secrets.providers.{entry}.allowlist");
        return nothing("NOT_ALLOWED", why);
    }
    let hint = || format!("$SHELL -lc 'test -n \"${name}\" && echo set'");
    match asking.variables.anywhere(name) {
        Place::Set(_) => Answer::Value,
        Place::OfShells(path) => not_known(
            format!(
                "{name} is set in {path}, which a gateway has only when it is started from a shell"
            ),
            "clawkeep migrate --rc",
        ),
        Place::Unread(what) => not_known(
            format!("{name} may be set where it cannot be seen: {what}"),
            hint(),
        ),
        Place::ByShell => not_known(
            format!(
                "{name} may come from a login shell, which env.shellEnv of openclaw.json has OpenClaw run"
            ),
            hint(),
        ),
        Place::Nowhere => nothing("NOT_SET", "it has no value anywhere that OpenClaw looks"),
    }
}

/// Whether the file has each, in their order.
fn in_file(
    asking: &Asking<'_>,
    path: &str,
    rules: file::Rules,
    some: &[&Reference],
) -> Vec<Answer> {
    let path = below(asking.home, path);
    let all = |answer: Answer| vec![answer; some.len()];
    if !path.is_absolute() {
        let why = "a file is named from whatever folder the gateway is started in";
        return all(not_known(why, AUDIT));
    }
    let ids: Vec<&str> = some.iter().map(|one| one.id.as_str()).collect();
    match file::values(&path, rules, &ids) {
        Ok(found) => {
            let none = || nothing("NOT_FOUND", format!("{} has no such value", path.display()));
            let found = found.into_iter();
            found
                .map(|has| if has { Answer::Value } else { none() })
                .collect()
        }
        Err(error) => all(nothing("NOT_READ", error.message())),
    }
}

/// A path as OpenClaw takes it: `~` is the home, and `..` is what stands before it, whatever is a link.
fn below(home: &Path, path: &str) -> PathBuf {
    let path = path.trim();
    let whole = match path.strip_prefix('~') {
        Some("") => home.to_owned(),
        Some(rest) if rest.starts_with(['/', '\\']) => home.join(&rest[1..]),
        _ => PathBuf::from(path),
    };
    let mut plain = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}
