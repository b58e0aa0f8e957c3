//! `service install --isolated`. Ring 4.
//!
//! Order: program, user, credential; then the vault moves, is read back and compared, and the old
//! folder says where it went; then keeper, gateway's unit, openclaw.json. A step of these that fails
//! takes back those before it. Then the gateway starts, and only when it was given its values the old
//! vault goes.

use super::gateway::{self, Becomes};
use super::moving::{self, Along, Order, OrderedSlot, Taken};
use super::wish::{Surveyed, Wish};
use super::{keeper_name, vault_path};
use crate::cli::app::App;
use crate::cli::args::{ServiceInstall, SlotArg};
use crate::cli::service::ask::{Ask, Side, Told, nonsense};
use crate::cli::service::child::prepared;
use crate::cli::service::files::{self, Owner, Planned};
use crate::cli::service::install::{MAX_CREDENTIAL, MAX_PROGRAM, key, program};
use crate::cli::service::job::Job;
use crate::cli::service::{Target, install};
use crate::cli::{init, ui};
use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::file::{self, Privacy};
use crate::keeper::Release;
use crate::keeper::pointer::Pointer;
use crate::service::keeper_unit::{CREDENTIAL, KeeperUnit, credential_in_service, credential_path};
use crate::service::marker::Found;
use crate::service::system::{CredentialKey, System, credential_kind};
use crate::service::user::User;
use crate::vault::identity::{Identity, IdentityText};
use crate::vault::rekey::SlotPlan;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long a gateway may take until it has asked for its values: its start on a loaded machine.
const GATEWAY: Duration = Duration::from_secs(90);

/// How long it may take from its first value to its last. One that is linked and not in use is never
/// asked for.
const LAST: Duration = Duration::from_secs(10);

struct Plan {
    unit: KeeperUnit,
    file: Planned,
    seen: Surveyed,
    becomes: Becomes,
    /// The program's copy, where this one could be changed by others.
    copy: Option<PathBuf>,
    /// Whether the vault has still to move: the isolated one is not the one that counts yet.
    moves: bool,
}

/// Asks the user's side for what the isolated form has to know.
///
/// # Errors
/// As [`Side::ask`].
pub fn survey(side: &mut dyn Side) -> Result<Surveyed> {
    match side.ask(&Ask::Isolated(Wish::Survey))? {
        Told::Surveyed(seen) => Ok(*seen),
        _ => Err(nonsense()),
    }
}

/// Runs `service install --isolated`.
///
/// # Errors
/// What went wrong, after what was done is taken back; `Failed` when it is not isolated yet.
pub fn run(app: &App, args: &ServiceInstall) -> Result<()> {
    let target = Target::find(app, &args.place, !args.dry_run)?;
    if !args.dry_run {
        target.system.require_systemd()?;
    }
    let mut side = target.side(app)?;
    let seen = survey(side.as_mut())?;
    let plan = plan(app, &target, seen, args)?;
    show(app, &target, &plan, args)?;
    if args.dry_run {
        app.ui.say("Dry run: nothing was changed.");
        return Ok(());
    }
    app.agree(
        args.yes,
        "Install this?",
        true,
        "installing a service",
        &format!(
            "add --yes, or look first: clawkeep service install --isolated --for {} --dry-run",
            target.user.name
        ),
    )?;
    let passphrase = passphrase(app, args)?;
    let mut job = Job::new(app, &target.system, target.manager(), side.as_mut());
    let done = execute(&mut job, &target, &plan, args, passphrase.as_ref());
    let is_new = plan.moves && target.isolated_vault().join("vault.age").exists();
    let taken = job.end(done).inspect_err(|_| {
        if is_new {
            app.ui.say(&format!(
                "A copy of the vault stays in {} for the next run, closed to everybody but its keeper.",
                vault_path(&target.user.name).display()
            ));
        }
    })?;
    let asked = switch(app, &target, side.as_mut(), &plan)?;
    side.act(&Ask::Isolated(Wish::Destroy))?
        .iter()
        .for_each(|line| app.ui.say(line));
    closing(app, &target, &plan, &taken, &asked);
    Ok(())
}

fn plan(app: &App, target: &Target, seen: Surveyed, args: &ServiceInstall) -> Result<Plan> {
    let name = &target.user.name;
    let installed = target.installed()?;
    let at_rest = installed
        .as_ref()
        .is_some_and(|unit| unit.gateway_unit.is_none());
    if at_rest || seen.at_rest {
        let form = if at_rest {
            format!("--system --for {name}")
        } else {
            "--user".to_owned()
        };
        return Err(
            Error::failed("a service keeps this vault at rest; it has to go first")
                .hint(format!("clawkeep service uninstall {form}")),
        );
    }
    if seen.is_items {
        return Err(Error::failed(
            "this vault keeps each value in the keychain of its user, so it has no file that could move",
        )
        .hint(format!("as {name}: clawkeep --vault NEW-DIR init --custody file")));
    }
    if seen.linked.is_none() {
        return Err(Error::failed("OpenClaw is not linked to this vault")
            .hint(format!("as {name}: clawkeep link")));
    }
    let is_there = target
        .isolated_vault()
        .join("vault.age")
        .symlink_metadata()
        .is_ok();
    let counts = is_there && (installed.is_some() || seen.moved.is_some());
    if !counts && !seen.has_vault {
        return Err(
            Error::missing(format!("{name} has no vault that could move"))
                .hint(format!("as {name}: clawkeep onboard")),
        );
    }
    let becomes = gateway::choose(target, &seen, args.gateway_unit.as_deref())?;
    becomes.file.replaceable()?;
    let (program, copy) = program(app, target)?;
    let unit = target.isolated_unit(program, &becomes.unit)?;
    let file = Planned::new(target.system_units().join(unit.name()), unit.render()?);
    file.replaceable()?;
    Ok(Plan {
        unit,
        file,
        seen,
        becomes,
        copy,
        moves: !counts,
    })
}

fn show(app: &App, target: &Target, plan: &Plan, args: &ServiceInstall) -> Result<()> {
    let out = app.ui;
    let name = &target.user.name;
    let keeper = keeper_name(name)?;
    let note = |found: Found| match found {
        Found::Absent => "",
        Found::Current => " (is there)",
        _ => " (is replaced)",
    };
    if plan.moves {
        out.say(&format!(
            "Vault of {name}: {} moves to {}, which belongs to the user {keeper} alone",
            plan.seen.vault.display(),
            vault_path(name).display()
        ));
    } else {
        out.say(&format!("Vault: {}", vault_path(name).display()));
    }
    out.say("Files:");
    if let Some(copy) = &plan.copy {
        out.say(&format!("  {} (this program)", copy.display()));
    }
    out.say(&format!(
        "  {} (encrypted with: {})",
        credential_path(target.system.root(), name).display(),
        key(args.credential_key).name()
    ));
    for file in [&plan.file, &plan.becomes.file] {
        out.say(&format!("  {}{}", file.path.display(), note(file.found()?)));
    }
    if args.dry_run {
        for file in [&plan.file, &plan.becomes.file] {
            out.data(&ui::plain(&format!(
                "### {}\n{}",
                file.path.display(),
                file.text
            )))?;
        }
    }
    out.say("Then:");
    if let Some(unit) = &plan.becomes.replaces {
        out.say(&format!("  {name}'s own {unit} is disabled and stopped"));
    }
    out.say(&format!(
        "  {} of the system starts and is given its keys",
        plan.becomes.unit
    ));
    if plan.seen.has_vault {
        out.say(&format!(
            "  what {name} could open goes: vault.age and slots in {}, and their keys",
            plan.seen.vault.display()
        ));
    }
    Ok(())
}

fn passphrase(app: &App, args: &ServiceInstall) -> Result<Option<secrecy::SecretString>> {
    if !args.passphrase && args.new_passphrase_file.is_none() {
        return Ok(None);
    }
    let mut person = app.person()?;
    let plan = init::slot_plan(
        app,
        SlotArg::Passphrase,
        None,
        args.new_passphrase_file.clone(),
        person.as_mut(),
    )?;
    Ok(match plan {
        SlotPlan::Passphrase(passphrase, _) => Some(passphrase),
        _ => None,
    })
}

fn execute(
    job: &mut Job<'_>,
    target: &Target,
    plan: &Plan,
    args: &ServiceInstall,
    passphrase: Option<&secrecy::SecretString>,
) -> Result<Taken> {
    if let Some(copy) = &plan.copy {
        let own = job.app.host.program()?;
        let bytes = file::read(&own, MAX_PROGRAM, Privacy::Shared)?
            .ok_or_else(|| Error::missing("this program is not there any more"))?;
        job.put(copy, &bytes, 0o755)?;
    }
    let keeper = keeper_user(job.app, target)?;
    folder(target, &keeper)?;
    let key = credential(job, target, key(args.credential_key))?;
    let taken = move_vault(job, target, plan, &keeper, &key, passphrase)?;
    let socket = plan.unit.socket();
    let back = (plan.seen.moved.is_none()).then_some(Ask::Unpoint);
    let leave = Wish::Leave {
        socket: socket.clone(),
        user: keeper.uid,
        unit: plan.becomes.unit.clone(),
    };
    job.ask(&Ask::Isolated(leave), back)?;
    let back = (plan.seen.asks.is_none()).then_some(Ask::Isolated(Wish::AskVault));
    let ask = Wish::AskKeeper {
        socket,
        user: keeper.uid,
    };
    job.systemctl(&["daemon-reload"], Some(&["daemon-reload"]))?;
    let mut changed = job.write(&plan.file, Owner::System)?;
    changed |= job.write(&plan.becomes.file, Owner::System)?;
    if changed {
        job.systemctl(&["daemon-reload"], None)?;
    }
    job.start(&plan.unit.name())?;
    job.ask(&Ask::Isolated(ask), back)?;
    Ok(taken)
}

/// The keeper's user, made where it is not there.
fn keeper_user(app: &App, target: &Target) -> Result<User> {
    if let Some(there) = target.keeper()? {
        if there.uid == 0 || there.uid == target.user.uid {
            return Err(Error::failed(format!(
                "the user {} is not one of its own",
                there.name
            )));
        }
        return Ok(there);
    }
    let name = keeper_name(&target.user.name)?;
    let home = vault_path(&target.user.name);
    let args: [&OsStr; 9] = [
        "--system".as_ref(),
        "--no-create-home".as_ref(),
        "--home-dir".as_ref(),
        home.as_os_str(),
        "--shell".as_ref(),
        "/usr/sbin/nologin".as_ref(),
        "--user-group".as_ref(),
        "--".as_ref(),
        name.as_str().as_ref(),
    ];
    let out = target.system.tool("useradd", &args)?;
    if !out.ok {
        return Err(Error::failed(format!("useradd: {}", ui::plain(&out.said))));
    }
    app.ui.say(&format!("Made the user {name}"));
    target
        .keeper()?
        .ok_or_else(|| Error::failed(format!("useradd made no user {name}")))
}

/// `/var/lib/clawkeep/USER`, the keeper's alone, below folders of root's.
fn folder(target: &Target, keeper: &User) -> Result<()> {
    let dir = target.isolated_vault();
    let above = target.system.path("var/lib/clawkeep");
    files::folders(&above, 0o755, Owner::System)?;
    match std::fs::DirBuilder::new().create(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(Error::io("create", &dir, &error));
        }
        _ => {}
    }
    use std::os::unix::fs::{PermissionsExt, lchown};
    // Root's own folder: nobody else can have put a link there.
    let owner = std::fs::symlink_metadata(&dir).map_err(|error| Error::io("find", &dir, &error))?;
    if !owner.is_dir() {
        return Err(Error::broken(format!("{} is no folder", dir.display())));
    }
    lchown(&dir, Some(keeper.uid), Some(keeper.gid))
        .and_then(|()| std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)))
        .map_err(|error| Error::io("give away", &dir, &error))
}

/// The key of the slot `service`, as the file that opens it would have it: the one that is there where
/// this machine can still read it, otherwise a new one.
fn credential(
    job: &mut Job<'_>,
    target: &Target,
    wanted: CredentialKey,
) -> Result<Zeroizing<Vec<u8>>> {
    let path = credential_path(target.system.root(), &target.user.name);
    let there = file::absent_is_none(file::read(&path, MAX_CREDENTIAL, Privacy::Shared))?.flatten();
    if let Some(bytes) = there {
        let is_wanted =
            wanted == CredentialKey::Auto || credential_kind(&bytes) == Some(wanted.name());
        if is_wanted && let Some(key) = read_key(&target.system, &path)? {
            return Ok(key);
        }
    }
    let text = IdentityText {
        identity: Identity::generate(),
        // It stays the same when the vault gets a new identity.
        pins: Vec::new(),
    };
    let text = text.render();
    let encrypted = target.system.encrypt(CREDENTIAL, &text, wanted)?;
    // It is not taken back when a later step fails: it opens the copy that is made next, and the next run
    // goes on with both.
    if let Some(folder) = path.parent() {
        files::folders(folder, 0o755, Owner::System)?;
    }
    file::replace(&path, &encrypted, 0o600)?;
    job.app.ui.say(&format!("Wrote {}", path.display()));
    Ok(text)
}

/// The key in a credential; `None` when this machine cannot read it.
///
/// # Errors
/// `Failed` when `systemd-creds` cannot be run.
pub fn read_key(system: &System, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
    if !path.exists() {
        return Ok(None);
    }
    let key = system.decrypt(CREDENTIAL, path)?;
    Ok(key.filter(|key| IdentityText::parse(key).is_ok()))
}

#[allow(
    clippy::disallowed_methods,
    reason = "door: the new passphrase over the pipe to the keeper's user"
)]
fn move_vault(
    job: &mut Job<'_>,
    target: &Target,
    plan: &Plan,
    keeper: &User,
    key: &[u8],
    passphrase: Option<&secrecy::SecretString>,
) -> Result<Taken> {
    use secrecy::ExposeSecret;
    let app = job.app;
    let hand = if plan.moves {
        let program = app.host.program()?;
        let mut hand = prepared(
            app,
            &target.system,
            &target.user,
            &program,
            Some(&plan.seen.vault),
        )?;
        hand.args(["service", "hand"]);
        Some(hand)
    } else {
        None
    };
    let mut take = as_keeper(app, target, keeper)?;
    take.args(["service", "take"]);
    let recipient = IdentityText::parse(key)?.identity.recipient();
    let unit = &plan.becomes.unit;
    let order = Order {
        slot: OrderedSlot::Service(credential_in_service(&target.user.name), recipient),
        pointer: Some(Pointer::new(plan.unit.socket(), true, Release::Once).isolated(None, unit)),
        link: true,
    };
    // A key that was made just now opens nothing yet: then a person is asked.
    let to = opens(target, key);
    let taken = moving::carry(
        hand,
        take,
        &Along {
            order: &order,
            from: &[],
            to,
            passphrase: passphrase.map_or(&[], |phrase| phrase.expose_secret().as_bytes()),
        },
    )?;
    if plan.moves {
        app.ui.say(&format!(
            "The vault is in {}: {} secrets, read back and compared",
            vault_path(&target.user.name).display(),
            taken.secrets
        ));
    }
    Ok(taken)
}

/// The key, where there is a vault that it may open.
fn opens<'k>(target: &Target, key: &'k [u8]) -> &'k [u8] {
    if target.isolated_vault().join("slots/service.age").exists() {
        key
    } else {
        &[]
    }
}

/// This program as the keeper's user, on the isolated vault.
///
/// # Errors
/// As [`prepared`].
pub fn as_keeper(app: &App, target: &Target, keeper: &User) -> Result<std::process::Command> {
    let (named, _) = install::program(app, target)?;
    let copy = target
        .system
        .root()
        .join(named.strip_prefix("/").unwrap_or(&named));
    let program = if copy.is_file() { copy } else { named };
    prepared(
        app,
        &target.system,
        keeper,
        &program,
        Some(&target.isolated_vault()),
    )
}

/// Stops the user's own gateway, starts the system's, and waits until it was given values. The ids that
/// it got.
fn switch(
    app: &App,
    target: &Target,
    side: &mut dyn Side,
    plan: &Plan,
) -> Result<BTreeSet<String>> {
    if let Some(unit) = &plan.becomes.replaces {
        for line in side.act(&Ask::Isolated(Wish::Stop(unit.clone())))? {
            app.ui.say(&line);
        }
    }
    let manager = target.manager();
    let since = app.host.now();
    let unit = plan.becomes.unit.as_str();
    let not_yet = |why: String| {
        Error::failed(format!(
            "not isolated yet: {why}; what is left of the old vault stays where it was, locked by its keeper.json"
        ))
        .hint(format!(
            "journalctl -u {unit}; sudo clawkeep service run --for {0} -- log; then again: sudo clawkeep service install --isolated --for {0}",
            target.user.name
        ))
    };
    target
        .system
        .systemctl_or_fail(&manager, &["enable", unit])
        .and_then(|()| {
            target
                .system
                .systemctl_or_fail(&manager, &["restart", unit])
        })
        .map_err(|error| not_yet(error.to_string()))?;
    app.ui.say(&format!("Started {unit}"));
    let wanted: BTreeSet<String> = plan.seen.linked.iter().flatten().cloned().collect();
    // Below another root nothing runs that could ask.
    if target.system.root() != Path::new("/") || wanted.is_empty() {
        return Ok(wanted);
    }
    let keeper = target.keeper()?.ok_or_else(nonsense)?;
    let mut deadline = Instant::now() + GATEWAY;
    let mut first = true;
    loop {
        let given = released(app, target, &keeper, since)?;
        if first && !given.is_empty() {
            first = false;
            deadline = deadline.min(Instant::now() + LAST);
        }
        if wanted.is_subset(&given) {
            return Ok(given);
        }
        if Instant::now() >= deadline {
            if given.is_empty() {
                return Err(not_yet(format!(
                    "{unit} did not ask for its values within {} seconds",
                    GATEWAY.as_secs()
                )));
            }
            return Ok(given);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// The ids that were given since then, from the access log, which is the keeper's user's.
fn released(app: &App, target: &Target, keeper: &User, since: Millis) -> Result<BTreeSet<String>> {
    let mut command = as_keeper(app, target, keeper)?;
    command
        .args(["log", "--json", "--released"])
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let out = command.output().map_err(|error| {
        Error::failed(format!("the access log cannot be read: {}", error.kind()))
    })?;
    let log: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
    let events = log["events"].as_array().map_or(&[][..], Vec::as_slice);
    let recent = events
        .iter()
        .filter(|event| event["at"].as_i64().is_some_and(|at| at >= since.get()))
        .filter(|event| event["result"] == "released");
    Ok(recent
        .flat_map(|event| event["ids"].as_array().into_iter().flatten())
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect())
}

fn closing(app: &App, target: &Target, plan: &Plan, taken: &Taken, asked: &BTreeSet<String>) {
    let (ui, name, unit) = (app.ui, &target.user.name, &plan.becomes.unit);
    ui.say(&format!(
        "Isolated. The gateway ({unit}) gets each value once at each start; everything else under {name} gets none.",
    ));
    let missing: Vec<&str> = plan
        .seen
        .linked
        .iter()
        .flatten()
        .filter(|id| !asked.contains(*id))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        ui.say(&format!(
            "note: linked, and not asked for at this start: {}",
            missing.join(", ")
        ));
    }
    if taken.made {
        ui.say(&format!(
            "The vault has a new id, {}; your recovery sheet still opens it, whatever id stands on it.",
            &taken.id[..taken.id.len().min(12)]
        ));
        ui.say(&format!(
            "What ran as {name} until now could have read every value: rotate those that matter."
        ));
    }
    ui.say(&format!(
        "Commands on it: sudo clawkeep service run --for {name} -- models auth list\nThe gateway: sudo systemctl restart {unit}"
    ));
}
