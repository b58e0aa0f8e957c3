//! References that others than clawkeep answer: whether they give a value, as OpenClaw would find it. Ring 4;
//! writes nothing, asks no person, and no value leaves it.
//!
//! A variable is looked for where the gateway would have it from. A file is read, and a program started, only
//! where a check is asked for; a program of somebody else's only where that is allowed, as with OpenClaw's own
//! audit: it may show a window or cost something.

use super::app::App;
use super::proof;
use super::variables::{Place, Variables};
use crate::error::{Error, typed, word};
use crate::openclaw::command;
use crate::openclaw::config::Config;
use crate::openclaw::elsewhere::{
    Answer, Elsewhere, Entry, Holder, Program, Reference, Source, answer, entry, file, is_name,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// OpenClaw's own bound for one question.
const MOST_IDS: usize = 512;

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
    /// The variables that OpenClaw would find.
    pub variables: &'a Variables<'a>,
    /// The names in OpenClaw's own store, where it was looked into.
    pub own_store: Option<&'a BTreeSet<String>>,
    /// A person's home.
    pub home: &'a Path,
    /// How far to go.
    pub reach: Reach,
}

/// Asks for each once.
pub fn ask(asking: &Asking<'_>, all: &BTreeSet<(Holder, Reference)>) -> Vec<Elsewhere> {
    let mut answers: BTreeMap<&Reference, Answer> = BTreeMap::new();
    // One of each is asked once, for all.
    let mut together: BTreeMap<(Source, Option<&str>), Vec<&Reference>> = BTreeMap::new();
    for (_, reference) in all {
        if answers.contains_key(reference) {
            continue;
        }
        let answer = match entry(asking.config, reference) {
            None => nothing(
                "NO_ENTRY",
                format!(
                    "openclaw.json has no entry secrets.providers.{} of source {}",
                    word(said(reference)),
                    reference.source.name()
                ),
            ),
            Some(Entry::Variables(allowed)) => variable(asking, reference, allowed.as_deref()),
            Some(Entry::File { .. }) if asking.reach == Reach::Look => Answer::NotKnown {
                why: "files that hold others' values are read only by a check".to_owned(),
                hint: "clawkeep models status --check".to_owned(),
            },
            Some(Entry::Plugin) => Answer::NotKnown {
                why: format!(
                    "a plugin of OpenClaw's answers for secrets.providers.{}, and only OpenClaw can ask it",
                    said(reference)
                ),
                hint: "openclaw secrets audit --allow-exec".to_owned(),
            },
            Some(Entry::Store) => match asking.own_store {
                Some(names) if names.contains(&reference.id) => Answer::Value,
                Some(_) => nothing("NOT_FOUND", "it is not there"),
                None => Answer::NotKnown {
                    why: "OpenClaw's own store lies in its database, which was not looked into"
                        .to_owned(),
                    hint: "clawkeep models status --check --live".to_owned(),
                },
            },
            Some(Entry::Untold) => Answer::NotKnown {
                why: "OpenClaw does not tell which entry of secrets.providers answers a reference in its database".to_owned(),
                hint: "openclaw secrets audit --allow-exec".to_owned(),
            },
            Some(Entry::Program(_)) if asking.reach != Reach::Run => Answer::NotKnown {
                why: "programs of others are started only with --allow-exec".to_owned(),
                hint: "clawkeep models status --check --allow-exec".to_owned(),
            },
            Some(Entry::File { .. } | Entry::Program(_)) => {
                let of = (reference.source, reference.provider.as_deref());
                together.entry(of).or_default().push(reference);
                continue;
            }
        };
        answers.insert(reference, answer);
    }
    for mut of in together.into_values() {
        of.sort_unstable();
        of.dedup();
        for some in of.chunks(MOST_IDS) {
            let given = match some.first().and_then(|one| entry(asking.config, one)) {
                Some(Entry::File { path, rules }) => in_file(asking, &path, rules, some),
                Some(Entry::Program(program)) => by_program(asking, &program, some),
                _ => Vec::new(),
            };
            answers.extend(some.iter().copied().zip(given));
        }
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

fn nothing(code: &str, why: impl Into<String>) -> Answer {
    Answer::Nothing {
        code: code.to_owned(),
        why: why.into(),
    }
}

/// The name of its entry.
fn said(reference: &Reference) -> &str {
    reference.provider.as_deref().unwrap_or("default")
}

fn variable(asking: &Asking<'_>, reference: &Reference, allowed: Option<&[String]>) -> Answer {
    let name = &reference.id;
    if !is_name(name) {
        return nothing("NO_NAME", "OpenClaw takes no such name for a variable's");
    }
    if allowed.is_some_and(|allowed| !allowed.contains(name)) {
        return nothing(
            "NOT_ALLOWED",
            format!(
                "it is not in secrets.providers.{}.allowlist",
                said(reference)
            ),
        );
    }
    let hint = || format!("$SHELL -lc 'test -n \"${name}\" && echo set'");
    match asking.variables.anywhere(name) {
        Place::Set(_) => Answer::Value,
        Place::OfShells(path) => Answer::NotKnown {
            why: format!(
                "{name} is set in {path}, which a gateway has only when it is started from a shell"
            ),
            hint: "clawkeep migrate --rc".to_owned(),
        },
        Place::Unread(what) => Answer::NotKnown {
            why: format!("{name} may be set where it cannot be seen: {what}"),
            hint: hint(),
        },
        Place::ByShell => Answer::NotKnown {
            why: format!(
                "{name} may come from a login shell, which env.shellEnv of openclaw.json has OpenClaw run"
            ),
            hint: hint(),
        },
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
    let ids: Vec<&str> = some.iter().map(|one| one.id.as_str()).collect();
    match file::values(&path, rules, &ids) {
        Ok(found) => {
            let none = || nothing("NOT_FOUND", format!("{} has no such value", path.display()));
            let found = found.into_iter();
            found
                .map(|has| if has { Answer::Value } else { none() })
                .collect()
        }
        Err(error) => vec![nothing("NOT_READ", error.message()); some.len()],
    }
}

/// A path as OpenClaw takes it: `~` is the home.
fn below(home: &Path, path: &str) -> PathBuf {
    let path = path.trim();
    match path.strip_prefix('~') {
        Some("") => home.to_owned(),
        Some(rest) if rest.starts_with(['/', '\\']) => home.join(&rest[1..]),
        _ => PathBuf::from(path),
    }
}

/// What the program says of each, in their order.
fn by_program(asking: &Asking<'_>, program: &Program, some: &[&Reference]) -> Vec<Answer> {
    let all = |answer: Answer| vec![answer; some.len()];
    let path = below(asking.home, &program.command);
    if let Err(error) = may_run(asking, program, &path) {
        return all(nothing("NOT_RUN", error.message()));
    }
    let ids: Vec<String> = some.iter().map(|one| one.id.clone()).collect();
    let asked = proof::Asked {
        provider: &program.name,
        command: &path,
        args: &program.args,
        pass_env: &program.pass_env,
        env: own_variables(asking.config, &program.name),
    };
    let bytes = match proof::exchange(program.limit, &asking.app.host, &asked, &ids) {
        Ok((bytes, _)) => bytes,
        Err(error) => return all(nothing(answer::NO_ANSWER, error.message())),
    };
    let Some(codes) = answer::codes(&bytes, &ids, !program.is_json_only) else {
        let why = format!("what {} wrote is no answer", path.display());
        return all(nothing(answer::NO_ANSWER, why));
    };
    let said = |code: Option<String>| match code {
        None => Answer::Value,
        Some(code) => nothing(&code, format!("{} has none", path.display())),
    };
    codes.into_iter().map(said).collect()
}

/// OpenClaw's rules for it.
fn may_run(asking: &Asking<'_>, program: &Program, path: &Path) -> crate::error::Result<()> {
    let real = if program.may_be_link {
        std::fs::canonicalize(path).map_err(|error| Error::io("find", path, &error))?
    } else {
        path.to_owned()
    };
    if !program.may_be_open {
        command::check(&real)?;
    }
    let dirs = program.trusted.iter().map(|dir| below(asking.home, dir));
    let is_trusted =
        program.trusted.is_empty() || dirs.into_iter().any(|dir| real.starts_with(dir));
    if is_trusted {
        Ok(())
    } else {
        Err(Error::failed(format!(
            "OpenClaw would not run {}: it lies in none of its trustedDirs",
            real.display()
        ))
        .hint(format!("ls -l {}", typed(&real))))
    }
}

/// The variables that the entry itself gives the program.
fn own_variables(config: &Config, name: &str) -> Vec<(String, Zeroizing<String>)> {
    let at = ["secrets", "providers", name, "env"];
    let names = config.keys(&at).into_iter();
    names
        .filter(|name| !name.is_empty() && !name.contains(['=', '\0']))
        .filter_map(|name| {
            let value = config.string_at(&[&at[..], &[&name]].concat())?;
            (!value.contains('\0')).then_some((name, value))
        })
        .collect()
}
