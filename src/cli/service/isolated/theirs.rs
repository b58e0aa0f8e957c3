//! What the gateway's user does for the isolated form. Ring 4; always runs as that user.

use super::handed::Handed;
use super::wish::{Surveyed, Unit, Wish};
use crate::cli::app::App;
use crate::cli::pins::{self, ARGS};
use crate::cli::record::LinkRecord;
use crate::cli::service::ask::Told;
use crate::cli::service::said::{GatewayName, Id, Place, Variable, Word};
use crate::cli::service::side::{names, place, read};
use crate::error::{Error, Result};
use crate::file::{self, LOCK_WAIT, Lock};
use crate::host::Host;
use crate::keeper::Release;
use crate::keeper::pointer::Pointer;
use crate::keychain::Keychain as _;
use crate::openclaw::config::Config;
use crate::openclaw::gateway;
use crate::openclaw::install::Install;
use crate::service::gateway::{DROP_IN, Gateway, looks_like_key, variables};
use crate::service::policy::Policy;
use crate::service::system::{Manager, System};
use crate::service::text::{Setting, Specifiers};
use crate::service::user::{self, Who};
use crate::vault::cache::{Cache, Custody};
use crate::vault::slot::{self, SlotKind};
use crate::vault::{self, Found};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What is put behind the name of a user's unit while the system runs that gateway. Under its own name
/// OpenClaw would look at this one, and say that the gateway is stopped.
const ASIDE: &str = ".isolated";

/// Grants one wish.
///
/// # Errors
/// What went wrong; what it could not finish is left as it was.
pub fn grant(app: &App, system: &System, wish: &Wish) -> Result<Told> {
    let done = |result: Result<()>| result.map(|()| Told::Done(Vec::new()));
    match wish {
        Wish::Survey => survey(app, system).map(|said| Told::Surveyed(Box::new(said))),
        Wish::Leave { socket, user, unit } => {
            // Who is writing ends first; who comes later is refused.
            let _lock = Lock::take(&app.dir.join("vault.lock"), LOCK_WAIT)?;
            let pointer = Pointer::new(socket.clone(), true, Release::Once);
            done(pointer.isolated(Some(*user), unit).save(&app.dir))
        }
        Wish::AskKeeper { socket, user } => {
            done(set_args(&app.dir, &pins::keeper_args(socket, *user)?))
        }
        Wish::AskVault => {
            // Read before `keeper.json` goes: what is asked for here is this folder's own vault.
            let id = Cache::load(&app.dir)?.and_then(|cache| cache.vault_id);
            let id = id.ok_or_else(|| Error::broken("the vault's id is not known here"))?;
            done(set_args(&app.dir, &pins::resolver_args(&app.dir, &[id])?))
        }
        Wish::Stop(unit) => stop(app, system, unit).map(Told::Done),
        Wish::Start(unit) => start(app, system, unit).map(Told::Done),
        Wish::Destroy(handed) => destroy(app, handed).map(Told::Done),
        Wish::Retire(handed) => {
            let _lock = handed.still(app)?;
            finish(app).map(Told::Done)
        }
    }
}

fn survey(app: &App, system: &System) -> Result<Surveyed> {
    let pointer = file::absent_is_none(Pointer::load(&app.dir))?.flatten();
    let record = file::absent_is_none(LinkRecord::load(&app.dir))?.flatten();
    let found = vault::find(&app.dir)?;
    let asks = match &record {
        Some(record) => asked(&Config::read(&record.config)?),
        None => None,
    };
    let gateways = gateways(app, system)?;
    let fallback = match (&record, gateways.is_empty()) {
        (Some(record), true) => fallback(&app.host, record)?,
        _ => None,
    };
    let moved = pointer
        .as_ref()
        .and_then(|pointer| Some((Place::of(&pointer.socket)?, pointer.keeper_user?)));
    Ok(Surveyed {
        vault: std::fs::canonicalize(&app.dir)
            .map_err(|error| Error::io("find", &app.dir, &error).hint("clawkeep onboard"))
            .and_then(|dir| place(&dir))?,
        has_vault: found == Found::Vault(Custody::File),
        is_items: found == Found::Vault(Custody::Keychain),
        undo: vault::undo::list(&app.dir)?.len(),
        at_rest: pointer.is_some() && moved.is_none(),
        moved,
        linked: record.map(|record| {
            record
                .linked
                .iter()
                .filter_map(|id| Id::parse(id))
                .collect()
        }),
        asks,
        gateways,
        fallback,
    })
}

/// The keeper that OpenClaw's configuration asks.
fn asked(config: &Config) -> Option<(Place, u32)> {
    let args = config.get(&ARGS)?;
    let args: Vec<&str> = args.as_array()?.iter().filter_map(Value::as_str).collect();
    let after = |flag: &str| {
        let at = args.iter().position(|arg| *arg == flag)?;
        args.get(at + 1).copied()
    };
    Some((
        Place::of(Path::new(after("--keeper")?))?,
        after("--keeper-user")?.parse().ok()?,
    ))
}

/// The arguments of our entry in openclaw.json, and what was noted of them. Nothing that is linked to
/// another vault is touched.
fn set_args(dir: &Path, args: &[String]) -> Result<()> {
    let Some(mut record) = LinkRecord::load(dir)? else {
        return Ok(());
    };
    let mut config = Config::read(&record.config)?;
    let own_keeper = asked(&config).is_some_and(|(socket, _)| {
        let pointer = Pointer::load(dir).ok().flatten();
        pointer.is_none_or(|pointer| *pointer.socket == *socket)
    });
    if !own_keeper && !pins::is_linked(&config, dir) {
        return Err(
            Error::failed("OpenClaw asks another vault").hint("clawkeep unlink, or: clawkeep link")
        );
    }
    config.set(&ARGS, &Value::from(args.to_vec()))?;
    config.write()?;
    record.args = args.to_vec();
    record.save(dir)
}

/// The gateways of the user's manager, without our drop-in.
fn gateways(app: &App, system: &System) -> Result<Vec<Unit>> {
    let home = app.host.home()?;
    let text_home = home.to_string_lossy();
    let uid = rustix::process::geteuid().as_raw();
    let runtime = format!("/run/user/{uid}");
    let user = user::find(system.root(), Who::Uid(uid))?;
    let user = user.map(|user| user.name.to_string()).unwrap_or_default();
    let known = Specifiers {
        home: &text_home,
        user: &user,
        uid,
        runtime: &runtime,
    };
    let folders = [
        home.join(".config/systemd/user"),
        system.path("etc/systemd/user"),
    ];
    let mut found: Vec<Unit> = Vec::new();
    for folder in &folders {
        for file in names(folder) {
            let name = file.strip_suffix(ASIDE).unwrap_or(&file);
            let Some(name) = GatewayName::parse(name) else {
                continue;
            };
            if !found.iter().any(|unit| unit.name == name) {
                let aside = folder.join(format!("{name}{ASIDE}")).exists();
                let unit = unit(&folders, &folder.join(&file), name, &known)?;
                found.push(Unit { aside, ..unit });
            }
        }
    }
    Ok(found)
}

fn unit(
    folders: &[PathBuf],
    file: &Path,
    name: GatewayName,
    known: &Specifiers<'_>,
) -> Result<Unit> {
    let mut drop_ins: Vec<(String, PathBuf)> = folders
        .iter()
        .map(|folder| folder.join(format!("{name}.d")))
        .flat_map(|dir| {
            names(&dir)
                .into_iter()
                .map(move |name| (name.clone(), dir.join(name)))
        })
        .filter(|(name, path)| path.extension() == Some("conf".as_ref()) && name != DROP_IN)
        .collect();
    drop_ins.sort();
    let mut texts = vec![read(file)?.unwrap_or_default()];
    for (_, path) in drop_ins {
        texts.extend(read(&path)?);
    }
    let mut gateway = Gateway::read(&texts, known).map_err(|error| error.context(&*name))?;
    // The system's manager would read them as root, wherever a link leads.
    for path in gateway.environment_paths().collect::<Vec<_>>() {
        for (name, value) in variables(&read(&path)?.unwrap_or_default()) {
            gateway.environment.retain(|(known, _)| *known != name);
            gateway.environment.push((name, value));
        }
    }
    let unset: Vec<&str> = gateway
        .unset
        .iter()
        .filter_map(|unset| unset.split('=').next())
        .collect();
    let (withheld, environment): (Vec<_>, Vec<_>) = gateway
        .environment
        .into_iter()
        .filter(|(name, _)| !unset.contains(&name.as_str()))
        .partition(|(name, value)| !value.is_empty() && looks_like_key(name));
    let withheld = withheld.iter().map(|(name, _)| Word::of(name)).collect();
    let command: Option<Vec<_>> = gateway
        .command
        .iter()
        .map(|word| Word::parse(word))
        .collect();
    let environment: Option<Vec<_>> = environment
        .iter()
        .map(|(name, value)| Variable::parse(name, value))
        .collect();
    let folder = gateway.folder.as_ref().map(|dir| Place::of(Path::new(dir)));
    let odd = match (&command, &environment, &folder) {
        (None, _, _) => Some("its command has a control character in it, or is too long"),
        (_, None, _) => Some("a variable of it has a name or a value that no unit should hold"),
        (_, _, Some(None)) => Some("its working directory is no absolute path"),
        _ => None,
    };
    let trouble = gateway.trouble.map(|error| Word::of(&error.to_string()));
    Ok(Unit {
        command: command.unwrap_or_default(),
        environment: environment.unwrap_or_default(),
        withheld,
        folder: folder.flatten(),
        policy: gateway.policy,
        trouble: trouble.or_else(|| odd.map(Word::of)),
        ..Unit::named(name)
    })
}

/// A gateway's unit from the installed OpenClaw, as OpenClaw itself writes it.
/// Source: `openclaw gateway install` of 2026.9.6.
fn fallback(host: &Host, record: &LinkRecord) -> Result<Option<Unit>> {
    let Some(install) = Install::find(host, None)? else {
        return Ok(None);
    };
    let config = Config::read(&record.config)?;
    let port = gateway::port(host, &config).to_string();
    let home = host.home()?;
    let name = "openclaw-gateway.service";
    let pair = |name: &str, value: String| Variable::parse(name, &value);
    let policy = |section: &str, name: &str, value: &str| {
        Policy::of(Setting {
            section: section.to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
        })
        .ok()
        .flatten()
    };
    let Some(unit) = GatewayName::parse(name).map(Unit::named) else {
        return Ok(None);
    };
    let command = install.command_line(&["gateway", "--port", &port])?;
    Ok(Some(Unit {
        command: command
            .iter()
            .filter_map(|word| Word::parse(word))
            .collect(),
        environment: [
            pair("HOME", home.display().to_string()),
            pair("TMPDIR", "/tmp".to_owned()),
            pair(
                "PATH",
                format!("/usr/local/bin:/usr/bin:/bin:{}/.local/bin", home.display()),
            ),
            pair("OPENCLAW_GATEWAY_PORT", port.clone()),
            pair("OPENCLAW_SYSTEMD_UNIT", name.to_owned()),
            pair("OPENCLAW_SERVICE_MARKER", "openclaw".to_owned()),
            pair("OPENCLAW_SERVICE_KIND", "gateway".to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect(),
        policy: [
            policy("Unit", "StartLimitBurst", "10"),
            policy("Unit", "StartLimitIntervalSec", "300"),
            policy("Service", "Restart", "always"),
            policy("Service", "RestartSec", "5"),
            policy("Service", "RestartPreventExitStatus", "78"),
            policy("Service", "SuccessExitStatus", "0 143"),
            policy("Service", "TimeoutStopSec", "330"),
        ]
        .into_iter()
        .flatten()
        .collect(),
        ..unit
    }))
}

fn manager(system: &System) -> Option<Manager> {
    let uid = rustix::process::geteuid().as_raw();
    let runtime = system.path(&format!("run/user/{uid}"));
    runtime.is_dir().then_some(Manager::User(runtime))
}

fn stop(app: &App, system: &System, unit: &GatewayName) -> Result<Vec<String>> {
    let folder = app.host.home()?.join(".config/systemd/user");
    let own = folder.join(&**unit);
    let manager = manager(system);
    let aside = folder.join(format!("{unit}{ASIDE}"));
    if own.symlink_metadata().is_err() {
        // Put aside already, or an administrator's for every user, whose file stays.
        if let (Some(manager), false) = (&manager, aside.exists()) {
            system.systemctl_or_fail(manager, &["disable", "--now", unit])?;
        }
        return Ok(Vec::new());
    }
    if let Some(manager) = &manager {
        system.systemctl_or_fail(manager, &["disable", "--now", unit])?;
    } else {
        // Nothing of that user runs; it must not start at the next login.
        for wants in names(&folder)
            .iter()
            .filter(|name| Path::new(name).extension() == Some("wants".as_ref()))
        {
            file::remove(&folder.join(wants).join(&**unit))?;
        }
    }
    let text = read(&own)?.unwrap_or_default();
    file::replace(&aside, text.as_bytes(), file::mode_of(&own))?;
    file::remove(&own)?;
    if let Some(manager) = &manager {
        system.systemctl_or_fail(manager, &["daemon-reload"])?;
    }
    Ok(vec![format!(
        "Disabled the user's own {unit}, and put it aside as {unit}{ASIDE}"
    )])
}

fn start(app: &App, system: &System, unit: &GatewayName) -> Result<Vec<String>> {
    let folder = app.host.home()?.join(".config/systemd/user");
    let (own, aside) = (folder.join(&**unit), folder.join(format!("{unit}{ASIDE}")));
    // Last of all its name: cut off before, the next run does the rest.
    let text = read(&aside)?;
    if let (Some(text), true) = (text, own.symlink_metadata().is_err()) {
        file::replace(&own, text.as_bytes(), file::mode_of(&aside))?;
    }
    let Some(manager) = manager(system) else {
        file::remove(&aside)?;
        return Ok(vec![format!(
            "The user's own service manager does not run; when it does: systemctl --user enable --now {unit}"
        )]);
    };
    system.systemctl_or_fail(&manager, &["daemon-reload"])?;
    system.systemctl_or_fail(&manager, &["enable", "--now", unit])?;
    file::remove(&aside)?;
    Ok(vec![format!("Enabled the user's own {unit}")])
}

/// What opened the old vault goes first, then the vault: cut off between, nothing readable is left.
fn destroy(app: &App, handed: &Handed) -> Result<Vec<String>> {
    let _lock = handed.still(app)?;
    let Some(cache) = file::absent_is_none(Cache::load(&app.dir))?.flatten() else {
        return finish(app);
    };
    let ids = [cache.vault_id, cache.next_vault_id];
    let ids: Vec<_> = ids.into_iter().flatten().collect();
    for slot in &cache.slots {
        match &slot.kind {
            SlotKind::Keychain => {
                for id in &ids {
                    app.keychain().delete(&slot::keychain_item(id))?;
                }
            }
            // A file that was made for this vault alone. One of the person's own stays.
            SlotKind::IdentityFile { path, .. } if !slot::is_credential(path) => {
                let text = slot::read_identity_file(path)?;
                let is_its_own = text.is_some_and(|text| {
                    !text.pins.is_empty() && text.pins.iter().all(|pin| ids.contains(pin))
                });
                if is_its_own {
                    file::remove(path)?;
                }
            }
            SlotKind::IdentityFile { .. } | SlotKind::Passphrase(_) => {}
        }
    }
    finish(app)
}

fn finish(app: &App) -> Result<Vec<String>> {
    let slots = app.dir.join("slots");
    for name in names(&slots) {
        file::remove(&slots.join(name))?;
    }
    let _ = std::fs::remove_dir(&slots);
    // Empty: no vault is handed over with bundles.
    let _ = std::fs::remove_dir(app.dir.join("undo"));
    let was = file::remove(&app.dir.join("vault.age"))?;
    for name in ["vault.json", "keeper-state.json", "keeper-settings.json"] {
        file::remove(&app.dir.join(name))?;
    }
    Ok(if was {
        vec![format!("Removed the old vault in {}", app.dir.display())]
    } else {
        Vec::new()
    })
}
