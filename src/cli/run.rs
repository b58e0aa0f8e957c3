//! `run`: a command with chosen secrets in its environment. Ring 4.
//!
//! Promise: the command takes this process's place, so its signals and exit code are its own; values
//! go into its environment and nowhere else, never into arguments or into our own environment; no
//! descriptor of ours is left open in it. Nothing is started before every chosen value is at hand.
//!
//! What it inherits of how we guard ourselves: core dumps are off (the soft limit; the command may
//! raise it again up to what it had), since a dump of it would hold the values. That our memory could
//! not be read ends with the exec, as the system has it.

use super::app::App;
use super::args::Run as Args;
use super::choice::selection;
use super::log;
use super::opened::Opened;
use super::record::{self, LinkRecord};
use super::ui;
use super::variable_name::VariableName;
use crate::access::Outcome;
use crate::error::{Error, Kind, Result};
use crate::expiry::Millis;
use crate::openclaw::profiles::ProfilesFile;
use crate::provider::{AgentId, ProfileId, ProviderId, variables};
use crate::secret::{SELECTION_PREFIX, Secret, SecretId};
use crate::store::{Meta, Resolve};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::Command;

/// What is put under a name.
enum Source {
    One(SecretId),
    Selection(ProviderId),
}

/// What the command line asks for.
struct Wanted {
    named: BTreeMap<VariableName, Source>,
    only: Vec<SecretId>,
    providers: Vec<ProviderId>,
}

/// A secret with its place.
struct Given {
    id: SecretId,
    value: Secret,
    expires: Option<Millis>,
}

/// What the command's environment gets.
type Environment = BTreeMap<VariableName, Given>;

/// Runs `run`. Returns only when the command could not be started (on Windows: never, but for that).
pub fn run(app: &App, args: &Args) -> Result<()> {
    let wanted = Wanted::parse(args)?;
    let opened = app.open()?;
    let environment = collect(app, &opened, &wanted)?;
    let now = app.host.now();
    for given in environment.values() {
        if given.expires.is_some_and(|at| at <= now) {
            app.ui.say(&format!(
                "note: {} {}; the command gets it all the same",
                given.id,
                ui::expiry(given.expires, now)
            ));
        }
    }
    if std::io::stderr().is_terminal() {
        let names: Vec<&str> = environment.keys().map(VariableName::as_str).collect();
        app.ui.say(&format!(
            "note: every process of this user can read {} while the command runs \
             (/proc/PID/environ), and whatever it starts inherits it",
            names.join(", ")
        ));
    }
    // Before it starts: nobody comes back from there to write it down.
    let given: Vec<_> = environment
        .values()
        .map(|given| (given.id.as_str(), Outcome::Released))
        .collect();
    log::note_command(app, &opened, &given);
    drop(opened);
    start(&args.command, &environment)
}

impl Wanted {
    fn parse(args: &Args) -> Result<Self> {
        let mut named = BTreeMap::new();
        for pair in &args.env {
            let (name, id) = pair.split_once('=').ok_or_else(|| {
                Error::usage("--env takes a variable's name and a secret's id: NAME=ID")
                    .hint("clawkeep run --env ANTHROPIC_API_KEY=anthropic:default -- CMD")
            })?;
            let name = VariableName::parse(name)?;
            let source = match id.strip_prefix(SELECTION_PREFIX) {
                Some(provider) => Source::Selection(ProviderId::parse(provider)?),
                None => Source::One(stored(id)?),
            };
            if named.contains_key(&name) {
                return Err(Error::usage(format!("{name} is given twice")));
            }
            named.insert(name, source);
        }
        Ok(Wanted {
            named,
            only: args
                .only
                .iter()
                .map(|id| stored(id))
                .collect::<Result<_>>()?,
            providers: args
                .provider
                .iter()
                .map(|name| ProviderId::parse(name))
                .collect::<Result<_>>()?,
        })
    }

    /// Whether the person chose nothing, and so everything.
    fn is_all(&self) -> bool {
        self.named.is_empty() && self.only.is_empty() && self.providers.is_empty()
    }
}

/// A stored id as typed; the id of a profile that does not fit OpenClaw's grammar has another name in
/// the vault.
fn stored(text: &str) -> Result<SecretId> {
    SecretId::parse(text).or_else(|error| {
        if text.starts_with(SELECTION_PREFIX) {
            return Err(error.hint("to choose by provider: clawkeep run --provider NAME -- CMD"));
        }
        let profile = ProfileId::parse(text).map_err(|_| error)?;
        Ok(profile.secret_id(&AgentId::main()))
    })
}

/// Everything that was asked for, or an error: a command that was promised a key does not start
/// without it.
fn collect(app: &App, opened: &Opened, wanted: &Wanted) -> Result<Environment> {
    let link = LinkRecord::load(&app.dir)?;
    let file = record::load_profiles(&app.dir, link.as_ref(), &AgentId::main())?;
    let now = app.host.now();
    let next = |provider: &ProviderId| next_of(opened, &file, provider, now);
    let none_of = |provider: &ProviderId| {
        Error::missing(format!("there is no stored profile of {provider}"))
            .hint("clawkeep models auth list")
    };
    let mut environment = Environment::new();
    for (name, source) in &wanted.named {
        let given = match source {
            Source::One(id) => get(opened, id)?.0,
            Source::Selection(provider) => next(provider)?.ok_or_else(|| none_of(provider))?.0,
        };
        environment.insert(name.clone(), given);
    }
    for id in &wanted.only {
        let (given, meta) = get(opened, id)?;
        let name = name_for(id, &meta)?;
        put(&mut environment, name, given)?;
    }
    for provider in &wanted.providers {
        let (given, meta) = next(provider)?.ok_or_else(|| none_of(provider))?;
        let name = name_for(&given.id, &meta)?;
        put(&mut environment, name, given)?;
    }
    if wanted.is_all() {
        let mut providers: Vec<ProviderId> = file
            .profiles()
            .into_iter()
            .map(|profile| profile.provider)
            .collect();
        providers.sort();
        providers.dedup();
        for provider in &providers {
            let Some((given, meta)) = next(provider)? else {
                continue;
            };
            let id = given.id.clone();
            let Ok(name) = name_for(&id, &meta) else {
                app.ui.say(&format!(
                    "note: {id} is left out: no variable of {provider} is known"
                ));
                continue;
            };
            if put(&mut environment, name.clone(), given).is_err() {
                let first = environment
                    .get(&name)
                    .map_or("another", |given| given.id.as_str());
                app.ui
                    .say(&format!("note: {id} is left out: {name} holds {first}"));
            }
        }
    }
    if environment.is_empty() {
        return Err(Error::missing(
            "there is no stored profile of agent main with a known variable; nothing was started",
        )
        .hint("name one: clawkeep run --env NAME=ID -- CMD"));
    }
    Ok(environment)
}

fn get(opened: &Opened, id: &SecretId) -> Result<(Given, Meta)> {
    let Some((value, meta)) = opened.get(id)? else {
        return Err(
            Error::missing(format!("there is no secret {id}; nothing was started"))
                .hint("clawkeep secret list"),
        );
    };
    Ok((given(id, value, &meta), meta))
}

fn given(id: &SecretId, value: Secret, meta: &Meta) -> Given {
    Given {
        id: id.clone(),
        value,
        expires: meta.expires,
    }
}

/// The profile that the selection id `provider/NAME` stands for now, chosen as `resolve` does: the
/// first in order that the vault itself says is this provider's and has not expired; if all have, the
/// first.
fn next_of(
    opened: &Opened,
    file: &ProfilesFile,
    provider: &ProviderId,
    now: Millis,
) -> Result<Option<(Given, Meta)>> {
    let mut fallback = None;
    for id in selection(file, provider, now) {
        match opened.get(&id) {
            Ok(Some((value, meta))) if meta.provider.as_ref() == Some(provider) => {
                let fresh = meta.expires.is_none_or(|at| at > now);
                let found = Ok((given(&id, value, &meta), meta));
                if fresh {
                    return found.map(Some);
                }
                fallback.get_or_insert(found);
            }
            Ok(_) => {}
            Err(error) if error.kind() == Kind::Locked => return Err(error),
            Err(error) => {
                fallback.get_or_insert(Err(error));
            }
        }
    }
    fallback.transpose()
}

/// The variable that the credential's provider reads.
fn name_for(id: &SecretId, meta: &Meta) -> Result<VariableName> {
    let named = || format!("name one: clawkeep run --env NAME={id} -- CMD");
    let Some(provider) = &meta.provider else {
        return Err(
            Error::usage(format!("{id} is of no provider, so it has no variable")).hint(named()),
        );
    };
    let name = variables::for_kind(provider, meta.kind).ok_or_else(|| {
        Error::usage(format!("no variable of the provider {provider} is known")).hint(named())
    })?;
    VariableName::parse(name)
}

/// One variable holds one secret: which one a program gets must not depend on luck.
fn put(environment: &mut Environment, name: VariableName, given: Given) -> Result<()> {
    match environment.entry(name) {
        Entry::Vacant(place) => {
            place.insert(given);
            Ok(())
        }
        Entry::Occupied(there) if there.get().id == given.id => Ok(()),
        Entry::Occupied(there) => Err(Error::usage(format!(
            "{} and {} both go into {}",
            there.get().id,
            given.id,
            there.key()
        ))
        .hint(format!(
            "clawkeep run --env {}={} -- CMD",
            there.key(),
            given.id
        ))),
    }
}

fn start(words: &[OsString], environment: &Environment) -> Result<()> {
    let Some((program, args)) = words.split_first() else {
        return Err(Error::usage("a command is missing").hint("clawkeep run --help"));
    };
    let mut command = Command::new(program);
    command.args(args);
    for (name, given) in environment {
        set(&mut command, name, &given.value);
    }
    replace(command, &program.to_string_lossy())
}

#[allow(
    clippy::disallowed_methods,
    reason = "door: the value into the environment of the command that the person named"
)]
fn set(command: &mut Command, name: &VariableName, value: &Secret) {
    use secrecy::ExposeSecret;
    command.env(name.as_str(), value.expose_secret());
}

#[cfg(unix)]
fn replace(mut command: Command, program: &str) -> Result<()> {
    use std::os::unix::process::CommandExt;
    Err(not_started(program, &command.exec()))
}

/// No exec there: the command runs as a child, and its exit code becomes ours.
#[cfg(not(unix))]
fn replace(mut command: Command, program: &str) -> Result<()> {
    let child = command.spawn();
    // The values that it holds are not needed any more.
    drop(command);
    let status = child
        .and_then(|mut child| child.wait())
        .map_err(|error| not_started(program, &error))?;
    std::process::exit(status.code().unwrap_or(1));
}

/// As env(1) and every shell: 127 when there is no such command, 126 when it cannot be run.
fn not_started(program: &str, error: &std::io::Error) -> Error {
    use std::io::ErrorKind as E;
    let (kind, reason) = match error.kind() {
        E::NotFound => (Kind::NoCommand, "there is no such command"),
        E::PermissionDenied => (Kind::NotStarted, "it may not be executed"),
        E::ArgumentListTooLong => (
            Kind::NotStarted,
            "its arguments and environment are too large",
        ),
        E::InvalidInput => (Kind::NotStarted, "an argument or a value holds a NUL byte"),
        _ => (Kind::NotStarted, "the system cannot execute it"),
    };
    Error::new(kind, format!("cannot start {program}: {reason}"))
}
