//! Does what a plan says: writes `openclaw.json`, scrubs its old copies, and lets OpenClaw's CLI do
//! what only it can. Knows files and processes.
//!
//! Order, so that a crash leaves nothing unresolvable: the caller has stored every value; OpenClaw's
//! dry run resolves every ref; then `openclaw.json`; then its copies; then profiles, order and
//! removals; then the audit. Running again finishes what was left.
//!
//! OpenClaw's CLI writes `openclaw.json` anew when it plants or removes profiles, without comments
//! (2026.9.6, ran; also for a plan that names profiles only). So the text is put back afterwards
//! with the values that it changed.

use super::audit::Audit;
use super::watch::Watch;
use super::{GatewayToken, Held, Order, Plan, Unlink, document, edited};
use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use crate::host::Host;
use crate::openclaw::command;
use crate::openclaw::config::{Config, MAX_CONFIG, Replacement, scrub};
use crate::openclaw::install::{Install, Output};
use crate::openclaw::listing;
use crate::openclaw::reference::{GATEWAY_TOKEN, SECRET_PROVIDER, SecretRef};
use crate::openclaw::version::{Lane, Version};
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::secret::Secret;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one OpenClaw command may take: Node starts in 2 to 14 s, first runs migrate for a
/// minute.
const CLI_TIME: Duration = Duration::from_mins(4);

/// What OpenClaw's CLI itself changes in openclaw.json when it changes profiles.
const OWN_FIELDS: [&str; 2] = ["meta", "auth"];

/// What was done.
#[derive(Debug, Default)]
pub struct Applied {
    /// Whether `openclaw.json` was written.
    pub config_written: bool,
    /// Old copies from which the gateway's token was taken.
    pub copies_scrubbed: Vec<PathBuf>,
    /// Old copies that could not be looked through and may still hold the gateway's token, with
    /// the reason.
    pub copies_left: Vec<(PathBuf, Error)>,
    /// Profiles that OpenClaw still lists although they were to go.
    pub still_there: Vec<Held>,
    /// Whole sentences about what could not be done.
    pub notes: Vec<String>,
    /// OpenClaw's own judgement afterwards; `None` when it could not be asked.
    pub audit: Option<Audit>,
}

/// Lets OpenClaw try the whole plan without writing: every ref must resolve. Nothing to try is fine.
///
/// # Errors
/// `Failed` when OpenClaw says no.
pub fn dry_run(plan: &Plan, install: &Install, host: &Host) -> Result<()> {
    match document::full_plan(plan, install.version(), host.now()) {
        Some(document) => run_plan(install, &document, true),
        None => Ok(()),
    }
}

/// Has OpenClaw look at the configuration that is to be, beside the one that is. A dry run does not:
/// 2026.9.6 passed a plan whose outcome made it refuse every command (ran).
///
/// # Errors
/// `Failed` when OpenClaw would refuse it.
fn validate(plan: &Plan, install: &Install) -> Result<()> {
    // In the same folder, so that `$include` finds its files.
    let path = plan.places.config();
    let name = format!("{}validate-{}.json", file::TEMP_PREFIX, std::process::id());
    let trial = Trial(path.with_file_name(name));
    let mut candidate = plan.after.clone();
    candidate.moved_to(&trial.0);
    candidate.write()?;
    let variable = [("OPENCLAW_CONFIG_PATH", trial.0.as_os_str())];
    let output = install.run(&["config", "validate"], CLI_TIME, &variable)?;
    match output.code {
        Some(0) => Ok(()),
        Some(_) => Err(Error::failed(format!(
            "OpenClaw {} would refuse openclaw.json as it would be then; nothing was written",
            install.version()
        ))
        .hint("see whether it is valid now: openclaw config validate")),
        None => expect(
            &output,
            install.version(),
            "openclaw.json as it would be then; nothing was written",
        ),
    }
}

/// A file that is gone afterwards.
struct Trial(PathBuf);

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = file::remove(&self.0);
    }
}

/// Asks OpenClaw to audit its files.
///
/// # Errors
/// `Failed` when it cannot be run, `Broken` when its answer cannot be read.
pub fn audit(install: &Install) -> Result<Audit> {
    let mut args = vec!["secrets", "audit", "--json"];
    if install.version().takes_allow_exec() {
        args.push("--allow-exec");
    }
    Audit::parse(&install.run(&args, CLI_TIME, &[])?.stdout)
}

/// Does the plan. The values that it refers to are in the vault already, the gateway's token too.
///
/// `token` is the gateway's token when it was in the vault before, so that old copies which still
/// hold it are found. `install` may be missing in the file lane; then there is no dry run and no
/// audit.
///
/// # Errors
/// `Failed` when the command would not be run, when `openclaw.json` changed since the plan was made,
/// when OpenClaw refuses the dry run (nothing is written then) or a later step (the message says
/// which; running again goes on from there).
pub fn apply(
    plan: &Plan,
    install: Option<&Install>,
    host: &Host,
    token: Option<&Secret>,
    watch: &mut dyn Watch,
    progress: &mut dyn FnMut(&str),
) -> Result<Applied> {
    command::check(&plan.command)?;
    let path = plan.places.config();
    check_unchanged(path, &plan.before)?;
    let by_cli = plan.lane == Lane::Plan && plan.touches_profiles();
    if by_cli && install.is_none() {
        return Err(Error::missing(
            "this version's profiles can only be changed by OpenClaw itself, and it was not found",
        )
        .hint("name it: --openclaw DIR"));
    }
    if let Some(install) = install {
        progress("asking OpenClaw to try the plan");
        dry_run(plan, install, host)?;
        let is_unusual = install.version().prefers_config_refs()
            || plan.has_slots && install.version().validates_config();
        if plan.changes_config() && is_unusual {
            validate(plan, install)?;
        }
        // The dry run took seconds, and a gateway may have written meanwhile.
        check_unchanged(path, &plan.before)?;
    }
    let mut done = Applied::default();
    if plan.changes_config() {
        progress("writing openclaw.json");
        plan.after.write()?;
        done.config_written = true;
        watch.written(path, false);
    }
    let token = match &plan.gateway {
        GatewayToken::KeepInVault(value) => Some(value),
        _ => token,
    };
    if let Some(token) = token {
        scrub_copies(plan, token, &mut done)?;
    }
    if let Some(install) = install {
        if by_cli {
            let run = run_cli_parts(plan, install, host, &mut done, watch, progress);
            let (text, by_others) = keep_text(path, &plan.after)?;
            keep_auth(text, plan)?;
            watch.written(path, by_others);
            run?;
        }
        if let (Some(token), true) = (token, by_cli) {
            scrub_copies(plan, token, &mut done)?;
        }
        if plan.lane == Lane::File && plan.touches_profiles() {
            // The caller writes them, and has the whole audited.
            return Ok(done);
        }
        progress("asking OpenClaw to audit its files");
        match audit(install) {
            Ok(audit) => done.audit = Some(audit),
            Err(error) => done.notes.push(error.message().to_owned()),
        }
    }
    Ok(done)
}

/// Undoes the link: profiles first, while everything still resolves, then `openclaw.json`.
///
/// # Errors
/// As [`apply`].
pub fn apply_unlink(
    plan: &Unlink,
    install: Option<&Install>,
    progress: &mut dyn FnMut(&str),
) -> Result<Applied> {
    let path = plan.places.config();
    check_unchanged(path, &plan.before)?;
    let mut done = Applied::default();
    let mut after = plan.after.clone();
    if plan.lane == Lane::Plan && !plan.profile_removals.is_empty() {
        let install = install.ok_or_else(|| {
            Error::missing(
                "this version's profiles can only be removed by OpenClaw itself, and it was not \
                 found",
            )
            .hint("name it: --openclaw DIR")
        })?;
        progress("removing profiles from OpenClaw");
        let removed = clear_orders(install, &plan.orders)
            .and_then(|()| remove_profiles(install, &plan.profile_removals, &mut done));
        let (text, _) = keep_text(path, &plan.before)?;
        removed?;
        after = edited(&text, &plan.edits)?;
    }
    if after.bytes() != Config::read(path)?.bytes() {
        progress("writing openclaw.json");
        after.write()?;
        done.config_written = true;
    }
    Ok(done)
}

fn check_unchanged(path: &Path, before: &Config) -> Result<()> {
    if Config::read(path)?.bytes() == before.bytes() {
        return Ok(());
    }
    Err(Error::failed(format!(
        "{} changed while the plan was made; nothing was written",
        path.display()
    ))
    .hint("run the same command again"))
}

/// Puts `ours` back after OpenClaw's CLI wrote the file, with the values that it changed; and whether
/// somebody else changed values too.
fn keep_text(path: &Path, ours: &Config) -> Result<(Config, bool)> {
    let newer = Config::read(path)?;
    let mut text = ours.clone();
    let changed = text.adopt(&newer)?;
    if text.bytes() != newer.bytes() {
        text.write()?;
    }
    let is_own = |path: &Vec<String>| {
        let first = path.first().map(String::as_str);
        first.is_some_and(|first| OWN_FIELDS.contains(&first))
    };
    Ok((text, !changed.iter().all(is_own)))
}

/// Forgetting a profile takes away what openclaw.json says of it and of its place in an order, and the
/// profile comes back.
fn keep_auth(mut text: Config, plan: &Plan) -> Result<()> {
    let before = text.bytes();
    for held in &plan.profile_scrubs {
        let entry = ["auth", "profiles", held.profile.as_str()];
        let order = ["auth", "order", held.provider.as_str()];
        for path in [entry, order] {
            if let Some(value) = plan.after.get(&path) {
                text.set(&path, &value)?;
            }
        }
    }
    if text.bytes() == before {
        return Ok(());
    }
    text.write()
}

fn scrub_copies(plan: &Plan, token: &Secret, done: &mut Applied) -> Result<()> {
    let reference = SecretRef {
        provider: SECRET_PROVIDER.to_owned(),
        id: GATEWAY_TOKEN.to_owned(),
    };
    let replacement = Replacement {
        reference: &reference,
        secret_provider: plan.secret_provider(),
    };
    done.copies_left.clear();
    for copy in plan.places.config_copies()? {
        match scrub_copy(&copy, token, &replacement) {
            Ok(false) => {}
            Ok(true) => {
                if !done.copies_scrubbed.contains(&copy) {
                    done.copies_scrubbed.push(copy);
                }
            }
            // One copy that cannot be cleaned is said; it must not leave the link half made.
            Err(error) => done.copies_left.push((copy, error)),
        }
    }
    Ok(())
}

/// Whether the copy held the token.
fn scrub_copy(copy: &Path, token: &Secret, replacement: &Replacement<'_>) -> Result<bool> {
    let Some(bytes) = file::read(copy, 4 * MAX_CONFIG, Privacy::Shared)? else {
        return Ok(false);
    };
    let Some(cleaned) = scrub(&bytes, token, replacement) else {
        return Ok(false);
    };
    file::replace(copy, &cleaned, file::mode_of(copy))?;
    Ok(true)
}

fn run_cli_parts(
    plan: &Plan,
    install: &Install,
    host: &Host,
    done: &mut Applied,
    watch: &mut dyn Watch,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    if !plan.profile_scrubs.is_empty() {
        watch.before_forgetting()?;
        progress("having OpenClaw forget plaintext profiles");
        remove_profiles(install, &plan.profile_scrubs, done)?;
        if let Some(held) = done.still_there.first() {
            return Err(Error::failed(format!(
                "OpenClaw keeps the plaintext of {}; nothing else was changed in its database",
                held.profile
            ))
            .hint("openclaw gateway stop, then: clawkeep migrate"));
        }
    }
    if let Some(document) = document::profile_plan(plan, host.now()) {
        progress("having OpenClaw put refs into its profiles");
        run_plan(install, &document, false)?;
    }
    for order in &plan.orders {
        progress(&format!("setting the order of {}", order.provider));
        set_order(install, order)?;
    }
    if !plan.profile_removals.is_empty() {
        watch.before_forgetting()?;
        progress("removing profiles from OpenClaw");
        remove_profiles(install, &plan.profile_removals, done)?;
    }
    Ok(())
}

/// Runs a plan file. It holds refs only; it is private and gone afterwards all the same.
fn run_plan(install: &Install, document: &Value, dry: bool) -> Result<()> {
    let dir = tempfile::Builder::new()
        .prefix("clawkeep-plan-")
        .tempdir()
        .map_err(|error| Error::io("make a folder in", &std::env::temp_dir(), &error))?;
    let path = dir.path().join("plan.json");
    file::create(&path, document.to_string().as_bytes(), 0o600)?;
    let said = path.to_string_lossy();
    let mut args = vec!["secrets", "apply", "--from", &said, "--json"];
    if dry {
        args.push("--dry-run");
    }
    if install.version().takes_allow_exec() {
        args.push("--allow-exec");
    }
    let output = install.run(&args, CLI_TIME, &[])?;
    expect(
        &output,
        install.version(),
        if dry {
            "the plan in its dry run; nothing was written"
        } else {
            "the refs for its profiles"
        },
    )
}

fn set_order(install: &Install, order: &Order) -> Result<()> {
    let mut args = vec!["models", "auth", "order", "set", "--provider"];
    args.extend([order.provider.as_str(), "--agent", order.agent.as_str()]);
    // Ids are free text: one that begins with a hyphen is no option.
    args.push("--");
    args.extend(order.profiles.iter().map(ProfileId::as_str));
    let output = install.run(&args, CLI_TIME, &[])?;
    expect(&output, install.version(), "the order of its profiles")
}

/// Has OpenClaw set an order in its database, or forget it (`None`).
///
/// # Errors
/// `Failed` when OpenClaw refuses.
pub fn put_order(
    install: &Install,
    agent: &AgentId,
    provider: &ProviderId,
    order: Option<&[ProfileId]>,
) -> Result<()> {
    match order {
        Some(profiles) => set_order(
            install,
            &Order {
                agent: agent.clone(),
                provider: provider.clone(),
                profiles: profiles.to_vec(),
            },
        ),
        None => clear_orders(install, &[(agent.clone(), provider.clone())]),
    }
}

/// Has OpenClaw take profiles out of its database. Gives those that it still lists afterwards.
///
/// # Errors
/// `Failed` when OpenClaw refuses.
pub fn forget_profiles(install: &Install, gone: &[Held]) -> Result<Vec<Held>> {
    let mut done = Applied::default();
    remove_profiles(install, gone, &mut done)?;
    Ok(done.still_there)
}

/// Has OpenClaw forget orders that name our profiles alone.
fn clear_orders(install: &Install, orders: &[(AgentId, ProviderId)]) -> Result<()> {
    for (agent, provider) in orders {
        let (agent, provider) = (agent.as_str(), provider.as_str());
        let args = ["models", "auth", "order", "clear", "--provider", provider];
        let args = [&args[..], &["--agent", agent]].concat();
        let output = install.run(&args, CLI_TIME, &[])?;
        expect(&output, install.version(), "to forget an order")?;
    }
    Ok(())
}

/// Has OpenClaw forget profiles. One can stand in two stores (an agent's and the shared one), and
/// each `logout` takes it from one of them: so it asks, removes what is there, and asks again.
fn remove_profiles(install: &Install, gone: &[Held], done: &mut Applied) -> Result<()> {
    let agents: BTreeSet<&AgentId> = gone.iter().map(|held| &held.agent).collect();
    for agent in agents {
        let mine = || gone.iter().filter(|held| held.agent == *agent);
        for round in 0.. {
            let there = listing::profiles(install, agent)?;
            let left: Vec<&Held> = mine()
                .filter(|held| there.iter().any(|(id, ..)| *id == held.profile))
                .collect();
            if left.is_empty() {
                break;
            }
            if round == 3 {
                for held in left {
                    done.notes.push(format!(
                        "OpenClaw still lists {} for agent {agent} after it was removed",
                        held.profile
                    ));
                    done.still_there.push(held.clone());
                }
                break;
            }
            for held in left {
                let id = held.profile.as_str();
                let agent = agent.as_str();
                let args = [
                    "models", "auth", "logout", "--agent", agent, "--yes", "--", id,
                ];
                let output = install.run(&args, CLI_TIME, &[])?;
                expect(&output, install.version(), "to forget a profile")?;
            }
        }
    }
    Ok(())
}

/// Turns a failed command into an error. Its output is not repeated: 2026.6.1 and before print what
/// a resolver said, and validation messages can quote values.
fn expect(output: &Output, version: &Version, what: &str) -> Result<()> {
    match output.code {
        Some(0) => Ok(()),
        Some(code) => Err(Error::failed(format!(
            "OpenClaw {version} refused {what} (exit code {code})"
        ))
        .hint("see what it has against it: openclaw config validate; openclaw secrets audit")),
        None => Err(Error::failed(format!(
            "OpenClaw {version} was ended by a signal over {what}"
        ))),
    }
}
