//! The steps of a migration, for the whole batch at once. Ring 4.
//!
//! Promise: no plaintext goes before its value was read back from the vault and given by the resolver
//! that OpenClaw will ask; a file that is not as it was listed is left.

use super::bind::Bound;
use super::compacting::{self, Pending, Tools};
use super::lanes::Lanes;
use super::listing::Listed;
use super::undoing::Keeping;
use super::watching::Watching;
use crate::cli::app::App;
use crate::cli::args::Migrate;
use crate::cli::opened::Opened;
use crate::cli::record::{self, LinkRecord};
use crate::cli::survey::{self, Survey};
use crate::cli::{link, proof, ui};
use crate::error::{Error, Kind, Result};
use crate::file;
use crate::migrate::digest::Digest;
use crate::migrate::item::Unseen;
use crate::migrate::plan::{Access, Plan, Secret};
use crate::migrate::read::{self, Read};
use crate::migrate::scrub;
use crate::migrate::source::{self, Form};
use crate::migrate::undo;
use crate::openclaw::link as link_plan;
use crate::openclaw::listing;
use crate::openclaw::profiles;
use crate::openclaw::reference::{GATEWAY_TOKEN, SecretRef};
use crate::openclaw::version::Lane;
use crate::provider::AgentId;
use crate::secret::SecretKind;
use crate::store::{Meta, Resolve};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// How many ids the resolver is asked for at once: OpenClaw's own bound.
const AT_ONCE: usize = 512;

/// What was done.
#[derive(Default)]
pub(super) struct Done {
    /// The link, where one was made.
    pub linked: Option<LinkRecord>,
    /// Files from which plaintext was taken.
    pub scrubbed: Vec<PathBuf>,
    /// Files that could not be rewritten, with the reason; their plaintext is still there.
    pub failed: Vec<(PathBuf, Error)>,
    /// Whole sentences about what could not be done.
    pub notes: Vec<String>,
    /// The name of the undo bundle; `None` when there is nothing to take back.
    pub bundle: Option<String>,
}

/// What was listed, and what was planned from it.
pub(super) struct Scene<'a> {
    pub lanes: &'a Lanes,
    pub listed: &'a Listed,
    pub plan: &'a Plan,
    pub pending: &'a Pending,
}

/// The files that are not as they were listed.
pub(super) fn changed(listed: &Listed) -> Vec<PathBuf> {
    let values = &listed.found.values;
    listed
        .reads
        .iter()
        .filter(|read| now(listed, read) != Some(values.digest_of_bytes(&read.bytes)))
        .map(|read| read.source.path.clone())
        .collect()
}

/// What stands for the bytes that a file has now; `None` where it cannot be read any more.
fn now(listed: &Listed, read: &Read) -> Option<Digest> {
    let now = read::read(&read.source, true).ok().flatten()?;
    Some(listed.found.values.digest_of_bytes(&now.bytes))
}

/// Does what the plan says.
///
/// # Errors
/// Whatever stops it; what was done by then stands, and running it again goes on.
pub(super) fn run(
    app: &App,
    args: &Migrate,
    opened: &mut Opened,
    scene: &Scene<'_>,
    bound: Option<Bound>,
) -> Result<Done> {
    let Scene {
        lanes,
        listed,
        plan,
        pending,
    } = *scene;
    let _alone = undo::alone(&app.dir)?;
    crate::cli::undo::expire_old(app)?;
    refuse_newer(opened, listed, plan)?;
    let mut keeping = Keeping::begin(app, opened, args, listed, plan, bound.as_ref())?;
    store(app, opened, listed, plan)?;
    prove(app, opened, listed, plan, bound.as_ref())?;
    note_profiles(app, plan)?;
    let mut done = Done::default();
    let tools = bound.as_ref().map(Tools::of);
    if let Some(bound) = bound {
        let watching = Watching::of(&mut keeping, listed, lanes);
        done.linked = Some(refer(app, args, opened, bound, watching, &mut done.notes)?);
    }
    scrub_all(app, listed, plan, &mut keeping, &mut done)?;
    if let Some(tools) = tools {
        compacting::run(app, listed, plan, pending, &tools, &mut done)?;
    }
    done.bundle = keeping.end()?;
    Ok(done)
}

/// Names were given by what the vault had when it was listed: another value that came in since stays.
fn refuse_newer(opened: &mut Opened, listed: &Listed, plan: &Plan) -> Result<()> {
    opened.refresh()?;
    let known = listed.known();
    for secret in &plan.secrets {
        let now = opened.get(&secret.id)?;
        let now = now.map(|(value, _)| listed.found.values.digest(&value));
        if now.as_ref() != known.get(&secret.id) && now != Some(secret.value) {
            return Err(Error::failed(format!(
                "the vault has another value for {} than when this was listed; nothing was changed",
                secret.id
            ))
            .hint("clawkeep migrate"));
        }
    }
    Ok(())
}

/// Every value into the vault in one write, and back from the disk.
fn store(app: &App, opened: &mut Opened, listed: &Listed, plan: &Plan) -> Result<()> {
    let now = app.host.now();
    let values = &listed.found.values;
    let mut batch = Vec::new();
    for secret in &plan.secrets {
        let old = opened.get(&secret.id)?;
        let is_kept = old
            .as_ref()
            .is_some_and(|(kept, meta)| meta.was_plaintext && values.digest(kept) == secret.value);
        if is_kept {
            continue;
        }
        let meta = match old.filter(|_| secret.is_there) {
            // Already there: only the mark is new.
            Some((_, meta)) => Meta {
                was_plaintext: true,
                ..meta
            },
            None => meta_of(secret, now),
        };
        batch.push((secret.id.clone(), values.copy(&secret.value)?, meta));
    }
    if !batch.is_empty() {
        let values = ui::counted(batch.len() as u64, "value", "values");
        app.ui.say(&format!("storing {values} …"));
        opened.put_all(batch)?;
    }
    opened.refresh()?;
    for secret in &plan.secrets {
        let kept = opened.get(&secret.id)?;
        if kept.is_none_or(|(kept, _)| values.digest(&kept) != secret.value) {
            return Err(Error::broken(format!(
                "the vault did not keep {}; no file was changed",
                secret.id
            ))
            .hint("clawkeep secret list"));
        }
    }
    Ok(())
}

fn meta_of(secret: &Secret, now: crate::expiry::Millis) -> Meta {
    let is_profile = secret.profile.is_some();
    Meta {
        kind: if is_profile {
            secret.kind
        } else {
            SecretKind::Secret
        },
        provider: secret
            .profile
            .as_ref()
            .map(|(.., provider)| provider.clone()),
        created: now,
        updated: now,
        expires: secret.expires.filter(|_| is_profile),
        was_plaintext: true,
    }
}

/// The resolver gives each value that OpenClaw will ask for, as the gateway will get it. What no reference
/// asks for was read back from the disk; one batch of it is asked for all the same.
fn prove(
    app: &App,
    opened: &Opened,
    listed: &Listed,
    plan: &Plan,
    bound: Option<&Bound>,
) -> Result<()> {
    let (program, args, pass_env) = if let Some(Bound {
        program, survey, ..
    }) = bound
    {
        (
            program.clone(),
            survey.args.clone(),
            survey.pass_env.clone(),
        )
    } else {
        let (args, pass_env) = survey::resolver(app, opened)?;
        (app.host.program()?, args, pass_env)
    };
    let is_asked = |secret: &&Secret| {
        let slot = plan.slots.values().any(|id| *id == secret.id);
        secret.profile.is_some() || slot || secret.id.as_str() == GATEWAY_TOKEN
    };
    let (asked, others): (Vec<&Secret>, Vec<&Secret>) = plan
        .secrets
        .iter()
        .partition(|secret| bound.is_some() && is_asked(secret));
    let others = others.chunks(AT_ONCE).take(1);
    for secrets in asked.chunks(AT_ONCE).chain(others) {
        let ids: Vec<String> = secrets.iter().map(|one| one.id.to_string()).collect();
        let answers = proof::ask(&app.host, &program, &args, &pass_env, &ids)?;
        for secret in secrets {
            let id = secret.id.as_str();
            let Some(value) = answers.value(id) else {
                let code = answers.code(id).unwrap_or("no answer");
                // With `--for-run` a person at the keyboard may be the only way in.
                if bound.is_none() && code == "LOCKED" {
                    return Ok(());
                }
                let error = Error::failed(format!(
                    "the resolver does not give {id}: {code}; no file was changed"
                ));
                return Err(if code == "LOCKED" {
                    error.as_kind(Kind::Locked).hint("clawkeep unlock")
                } else {
                    error.hint("clawkeep secret list")
                });
            };
            if listed.found.values.digest(value) != secret.value {
                return Err(Error::broken(format!(
                    "the resolver gives another value for {id} than was found; no file was changed"
                )));
            }
        }
    }
    Ok(())
}

/// The vault folder's own list of profiles: the home of ids that are aliases in the vault, until a link
/// puts them into OpenClaw's files.
fn note_profiles(app: &App, plan: &Plan) -> Result<()> {
    let link = LinkRecord::load(&app.dir)?;
    let mut agents: BTreeMap<&AgentId, Vec<&Secret>> = BTreeMap::new();
    for secret in &plan.secrets {
        if let Some((agent, ..)) = &secret.profile {
            agents.entry(agent).or_default().push(secret);
        }
    }
    for (agent, secrets) in agents {
        let noted = record::load_profiles(&app.dir, link.as_ref(), agent)?;
        let known: BTreeSet<String> = noted
            .profiles()
            .into_iter()
            .filter(|profile| profile.reference.as_ref().is_some_and(SecretRef::is_ours))
            .map(|profile| profile.id.to_string())
            .collect();
        let path = record::own_profiles_path(&app.dir, agent);
        profiles::edit(&path, &app.host, |file| {
            for secret in secrets {
                let Some((_, profile, provider)) = &secret.profile else {
                    continue;
                };
                if known.contains(profile.as_str()) {
                    continue;
                }
                let expires = secret.expires.filter(|_| secret.kind == SecretKind::Token);
                let reference = SecretRef::to(&secret.id);
                file.set_ref(profile, provider, secret.kind, &reference, expires)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// OpenClaw's files get references; then the resolver and OpenClaw are asked.
fn refer(
    app: &App,
    args: &Migrate,
    opened: &mut Opened,
    bound: Bound,
    mut watching: Watching<'_>,
    notes: &mut Vec<String>,
) -> Result<LinkRecord> {
    let Bound {
        survey,
        plan,
        program,
        ..
    } = bound;
    let (record, applied) = link::make(
        app,
        opened,
        &survey,
        &plan,
        program,
        &args.how,
        &mut watching,
    )?;
    notes.extend(applied.notes.iter().cloned());
    listed_by_openclaw(&survey, &plan)?;
    let ids: Vec<String> = record.linked.iter().cloned().collect();
    for ids in ids.chunks(AT_ONCE) {
        link::prove(app, &record, ids)?;
    }
    let unresolved = applied.audit.as_ref().is_some_and(|audit| {
        audit
            .findings
            .iter()
            .any(|finding| finding.code == "REF_UNRESOLVED")
    });
    if unresolved {
        return Err(Error::failed(
            "OpenClaw's audit says that a reference does not resolve; plaintext outside of what \
             references replaced was left",
        )
        .hint("openclaw secrets audit --allow-exec"));
    }
    Ok(record)
}

/// OpenClaw's database has what its own command said that it put there: success alone proves nothing.
fn listed_by_openclaw(survey: &Survey, plan: &link_plan::Plan) -> Result<()> {
    if plan.lane == Lane::File {
        return Ok(());
    }
    let agents: BTreeSet<&AgentId> = plan
        .profile_refs
        .iter()
        .map(|one| &one.held.agent)
        .collect();
    for agent in agents {
        let there = listing::profiles(&survey.install, agent)?;
        let mine = plan
            .profile_refs
            .iter()
            .filter(|one| one.held.agent == *agent);
        for one in mine {
            if !there.iter().any(|(id, ..)| *id == one.held.profile) {
                return Err(Error::failed(format!(
                    "OpenClaw does not list the profile {} of agent {agent}, which it said it planted; \
                     plaintext in other files was left",
                    one.held.profile
                ))
                .hint("openclaw doctor, then: clawkeep migrate"));
            }
        }
    }
    Ok(())
}

/// The plaintext goes. What is about to be written is noted in the bundle first.
fn scrub_all(
    app: &App,
    listed: &Listed,
    plan: &Plan,
    keeping: &mut Keeping,
    done: &mut Done,
) -> Result<()> {
    let gone = scrub::gone(plan, &listed.found.items);
    let of_documents = scrub::of_documents(&gone);
    let since = copies_since(listed, done)?;
    let mut writes: Vec<(&Read, Rewrite)> = Vec::new();
    for (at, read) in listed.reads.iter().chain(&since).enumerate() {
        let mut gone = gone.get(&at).cloned().unwrap_or_default();
        if read.source.form.is_copy() {
            gone = gone.and(&of_documents);
        }
        if gone.is_empty() {
            continue;
        }
        match scrubbed(listed, read, &gone) {
            Ok(Some(rewrite)) => {
                keeping.note(&read.source.path, &rewrite.after);
                writes.push((read, rewrite));
            }
            Ok(None) => {}
            Err(error) => done.failed.push((read.source.path.clone(), error)),
        }
    }
    keeping.save()?;
    for (read, rewrite) in writes {
        let path = &read.source.path;
        app.ui.say(&format!("cleaning {} …", listed.short(path)));
        match write(listed, read, &rewrite) {
            Ok(()) => done.scrubbed.push(path.clone()),
            Err(error) => {
                keeping.take_back(path);
                done.failed.push((path.clone(), error));
            }
        }
    }
    Ok(())
}

/// What a file gets, and what stands for the bytes that it was made of.
struct Rewrite {
    before: Digest,
    after: Zeroizing<Vec<u8>>,
}

/// Saving the bundle and writing other files took time: what came into the file since is not lost.
fn write(listed: &Listed, read: &Read, rewrite: &Rewrite) -> Result<()> {
    let path = &read.source.path;
    if now(listed, read) != Some(rewrite.before) {
        return Err(since_listed(path));
    }
    file::replace(path, &rewrite.after, file::mode_of(path))
}

fn since_listed(path: &Path) -> Error {
    Error::failed(format!(
        "{} changed since it was listed, and was left",
        path.display()
    ))
    .hint("clawkeep migrate")
}

/// OpenClaw's copies that have come since everything was listed, or have another name since.
fn copies_since(listed: &Listed, done: &mut Done) -> Result<Vec<Read>> {
    let mut since = Vec::new();
    for source in source::copies(&listed.places, &listed.config)? {
        let is_listed = |read: &Read| read.source.path == source.path;
        let is_unseen = |unseen: &Unseen| unseen.path == source.path;
        if listed.reads.iter().any(is_listed) || listed.unseen().iter().any(is_unseen) {
            continue;
        }
        match read::read(&source, true) {
            Ok(Some(read)) => since.push(read),
            Ok(None) => {}
            Err(unseen) => done
                .failed
                .push((source.path, Error::failed(unseen.reason))),
        }
    }
    Ok(since)
}

/// What a file is without what goes, read again: a link may have written it since.
fn scrubbed(listed: &Listed, read: &Read, gone: &scrub::Gone) -> Result<Option<Rewrite>> {
    let path = &read.source.path;
    let now = match read::read(&read.source, true) {
        Ok(Some(now)) => now,
        Ok(None) => return Ok(None),
        Err(unseen) => return Err(Error::failed(unseen.reason)),
    };
    let values = &listed.found.values;
    let before = values.digest_of_bytes(&now.bytes);
    let is_same = before == values.digest_of_bytes(&read.bytes);
    if !is_same && matches!(read.source.form, Form::Names(_)) {
        return Err(since_listed(path));
    }
    let scrubbed = scrub::scrubbed(&read.source, &now.bytes, gone, values)?;
    match now.access {
        Access::No(reason) if scrubbed.is_some() => Err(Error::failed(reason)),
        _ => Ok(scrubbed.map(|after| Rewrite { before, after })),
    }
}
