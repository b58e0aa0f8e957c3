//! The user's side of `service`: everything that touches the vault, the user's own units and the
//! user's manager. Ring 4; always runs as that user.
//!
//! Promise: what it cannot finish is left as it was; who it works for going away (the end of the
//! pipe) ends it.

use super::ask::{Ask, Looked, MAX_LINE, Seen, Side, Told, told_error};
use super::files::{self, Planned};
use super::isolated::theirs;
use super::said::{GatewayName, Place, Word};
use crate::cli::app::App;
use crate::cli::monitor::channel;
use crate::cli::record::LinkRecord;
use crate::cli::{link, ui};
use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use crate::keeper::Release;
use crate::keeper::pointer::Pointer;
use crate::service::gateway::{DROP_IN, DropIn, Gateway, file_overrides};
use crate::service::marker::Found;
use crate::service::system::{Manager, System};
use crate::service::text::Specifiers;
use crate::service::user::{self, Who};
use crate::vault::Vault;
use crate::vault::cache::Cache;
use crate::vault::identity::Recipient;
use crate::vault::rekey::{Doors, SlotPlan};
use crate::vault::slot::{self, Slot, SlotKind, SlotName};
use std::ffi::OsStr;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

/// The name of the slot that a service's credential opens.
pub const SLOT: &str = "service";

/// The largest unit or file of variables that is read: 256 KiB.
const MAX_UNIT: usize = 256 * 1024;

/// The user's side, in this process.
pub struct Here<'a> {
    app: &'a App,
    system: System,
    vault: Option<Vault>,
}

/// Runs the hidden command: answers questions until the pipe ends.
///
/// # Errors
/// `BrokenPipe` when nobody reads the answers; `Broken` for a question that is none.
pub fn run(app: &App, system: System) -> Result<()> {
    let mut here = Here::new(app, system);
    let mut input = std::io::BufReader::new(std::io::stdin().lock());
    loop {
        let mut line = Vec::new();
        let read = (&mut input).take(MAX_LINE).read_until(b'\n', &mut line);
        match read {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(Error::io("read from", Path::new("stdin"), &error)),
        }
        let told = serde_json::from_slice::<Ask>(&line)
            .map_err(|_| Error::broken("this is a part of clawkeep service install"))
            .and_then(|ask| here.ask(&ask))
            .unwrap_or_else(|error| Told::error(&error));
        let text = serde_json::to_string(&told).map_err(|_| Error::failed("no answer"))?;
        app.ui.data(&text)?;
    }
}

impl Side for Here<'_> {
    fn ask(&mut self, ask: &Ask) -> Result<Told> {
        let told = match ask {
            Ask::Look { open } => self.look_around(*open).map(Told::Looked),
            Ask::Gateways { keeper } => self.seen(keeper.as_deref()).map(Told::Gateways),
            Ask::AddSlot { path, recipient } => self.add_slot(path, recipient).map(done),
            Ask::RemoveSlot => self.remove_slot().map(done),
            Ask::Plug { keeper } => self.plug(keeper.as_deref()).map(Told::Done),
            Ask::Unplug => self.unplug().map(Told::Done),
            Ask::Point { socket } => Pointer::new(socket.clone(), true, Release::Always)
                .save(&self.app.dir)
                .map(done),
            Ask::Unpoint => Pointer::forget(&self.app.dir).map(done),
            Ask::Reload => self.reload().map(Told::Done),
            Ask::Prove { socket } => self.prove(socket.as_deref()).map(done),
            Ask::Watch { tell } => tell.save(&self.app.dir).map(done),
            Ask::Unwatch => crate::cli::monitor::forget(&self.app.dir).map(done),
            Ask::Restart => self.restart().map(Told::Done),
            Ask::Isolated(wish) => theirs::grant(self.app, &self.system, wish),
        };
        match told {
            Ok(Told::Error(kind, message, hint)) => {
                Err(told_error(&kind, &message, hint.as_deref()))
            }
            other => other,
        }
    }
}

fn done((): ()) -> Told {
    Told::Done(Vec::new())
}

impl<'a> Here<'a> {
    /// The side of the user that this process runs as.
    pub fn new(app: &'a App, system: System) -> Self {
        Here {
            app,
            system,
            vault: None,
        }
    }

    fn open(&mut self) -> Result<&mut Vault> {
        if self.vault.is_none() {
            self.vault = Some(self.app.open_vault_file("keeper")?);
        }
        self.vault
            .as_mut()
            .ok_or_else(|| Error::failed("the vault is not open"))
    }

    fn look_around(&mut self, open: bool) -> Result<Looked> {
        let opened_by = if open {
            Some(self.open()?.opened_by().to_owned())
        } else {
            None
        };
        let (id, slots) = match &self.vault {
            Some(vault) => (Some(vault.id()), vault.contents().slots.clone()),
            None => Cache::load(&self.app.dir)?
                .map(|cache| (cache.vault_id, cache.slots))
                .unwrap_or_default(),
        };
        let own = |slot: &&Slot| slot.name.as_str() == SLOT;
        let slot = slots.iter().find(own).map(service_slot).transpose()?;
        let real = |path: &Path| {
            std::fs::canonicalize(path).map_err(|error| Error::io("find", path, &error))
        };
        Ok(Looked {
            vault: real(&self.app.dir)
                .map_err(|error| error.hint("clawkeep onboard"))
                .and_then(|dir| place(&dir))?,
            home: place(&real(&self.app.host.home()?)?)?,
            id: id.map(|id| Word::of(&id.to_string())),
            slot: slot
                .map(|(path, recipient)| place(&path).map(|path| (path, recipient)))
                .transpose()?,
            has_other_slot: slots
                .iter()
                .any(|slot| slot.name.as_str() != SLOT && slot.kind.unattended()),
            opened_by: opened_by.as_deref().map(Word::of),
            pointer: Pointer::load(&self.app.dir)?
                .map(|pointer| place(&pointer.socket))
                .transpose()?,
            has_manager: self.manager().is_some(),
            has_monitor: self.app.dir.join(channel::NAME).exists(),
        })
    }

    fn add_slot(&mut self, path: &Path, recipient: &Recipient) -> Result<()> {
        let app = self.app;
        let keychain = app.keychain();
        let vault = self.open()?;
        let name = SlotName::parse(SLOT)?;
        if let Some(there) = vault.contents().slots.iter().find(|slot| slot.name == name) {
            service_slot(there)?;
        }
        let plan = SlotPlan::Recipient(path.to_owned(), recipient.clone());
        let doors = Doors {
            host: &app.host,
            keychain: &keychain,
        };
        vault.add_slot(&name, plan, &doors)
    }

    fn remove_slot(&mut self) -> Result<()> {
        let app = self.app;
        let keychain = app.keychain();
        let vault = self.open()?;
        let name = SlotName::parse(SLOT)?;
        let slots = &vault.contents().slots;
        let Some(there) = slots.iter().find(|slot| slot.name == name) else {
            return Ok(());
        };
        service_slot(there)?;
        if slots.len() == 1 {
            return Err(Error::failed(
                "the service's slot is the last one; without it only the recovery key would open the vault",
            )
            .hint("add another one first: clawkeep slot add identity-file"));
        }
        let doors = Doors {
            host: &app.host,
            keychain: &keychain,
        };
        vault.drop_slot(&name, &doors)
    }

    /// The user's manager, when it runs.
    fn manager(&self) -> Option<Manager> {
        let uid = rustix::process::geteuid().as_raw();
        let runtime = self.system.path(&format!("run/user/{uid}"));
        runtime.is_dir().then_some(Manager::User(runtime))
    }

    fn reload(&self) -> Result<Vec<String>> {
        let Some(manager) = self.manager() else {
            return Ok(Vec::new());
        };
        self.system
            .systemctl_or_fail(&manager, &["daemon-reload"])
            .map(|()| Vec::new())
    }

    fn restart(&self) -> Result<Vec<String>> {
        let Some(manager) = self.manager() else {
            return Ok(Vec::new());
        };
        let mut lines = Vec::new();
        for seen in self.seen(None)? {
            self.system
                .systemctl_or_fail(&manager, &["try-restart", &seen.unit])?;
            lines.push(format!("Restarted where it ran: {}", seen.unit));
        }
        Ok(lines)
    }

    fn units_folder(&self) -> Result<PathBuf> {
        Ok(self.app.host.home()?.join(".config/systemd/user"))
    }

    /// The gateways of the user's manager, and the drop-in of each.
    fn seen(&self, keeper: Option<&str>) -> Result<Vec<Seen>> {
        let own = self.units_folder()?;
        let home = self.app.host.home()?;
        let home = home.to_string_lossy();
        let uid = rustix::process::geteuid().as_raw();
        let runtime = format!("/run/user/{uid}");
        let user = user::find(self.system.root(), Who::Uid(uid))?;
        let user = user.map(|user| user.name.to_string()).unwrap_or_default();
        let known = Specifiers {
            home: &home,
            user: &user,
            uid,
            runtime: &runtime,
        };
        let folders = [own.clone(), self.system.path("etc/systemd/user")];
        survey(&folders, &own, &known, keeper)
    }

    fn plug(&self, keeper: Option<&str>) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for seen in self.seen(keeper)? {
            let planned = Planned::new(seen.drop_in.to_path_buf(), seen.text);
            if planned.write(files::Owner::User)? {
                lines.push(format!("Wrote {}", planned.path.display()));
            }
        }
        Ok(lines)
    }

    fn unplug(&self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for seen in self.seen(None)? {
            lines.extend(files::take_away(&seen.drop_in)?);
            if let Some(folder) = seen.drop_in.parent() {
                // Only when nothing else is in it.
                let _ = std::fs::remove_dir(folder);
            }
        }
        Ok(lines)
    }

    /// The keeper answers, and the gateway's own questions get values.
    fn prove(&self, socket: Option<&Path>) -> Result<()> {
        let Some(socket) = socket else {
            return Ok(());
        };
        let program = self.app.host.program()?;
        let args: [&OsStr; 4] = [
            "keeper".as_ref(),
            "status".as_ref(),
            "--socket".as_ref(),
            socket.as_os_str(),
        ];
        let out = self.system.call(&program, &args)?;
        if !out.ok {
            return Err(Error::locked(format!(
                "the keeper does not answer at {}: {}",
                socket.display(),
                ui::plain(&out.said)
            )));
        }
        match LinkRecord::load(&self.app.dir)? {
            Some(record) => {
                let ids: Vec<String> = record.linked.iter().cloned().collect();
                link::prove(self.app, &record, &ids)
            }
            None => Ok(()),
        }
    }
}

/// The key and path of a slot that a service made.
fn service_slot(slot: &Slot) -> Result<(PathBuf, Recipient)> {
    match &slot.kind {
        SlotKind::IdentityFile { path, recipient } if slot::is_credential(path) => {
            Ok((path.clone(), recipient.clone()))
        }
        _ => Err(
            Error::failed("the vault has a slot named service that no service made")
                .hint("clawkeep slot remove service"),
        ),
    }
}

/// The gateways in these folders, the first of a name counting, and the drop-in of each in `target`.
///
/// # Errors
/// `Broken` when a gateway's unit cannot be read as one.
pub fn survey(
    folders: &[PathBuf],
    target: &Path,
    known: &Specifiers<'_>,
    keeper: Option<&str>,
) -> Result<Vec<Seen>> {
    let mut found: Vec<Seen> = Vec::new();
    for folder in folders {
        for unit in names(folder) {
            let Some(name) = GatewayName::parse(&unit) else {
                continue;
            };
            if found.iter().any(|seen| seen.unit == name) {
                continue;
            }
            let named = |error: Error| error.context(folder.join(&unit).display());
            found.push(look_at(folders, folder, &name, target, known, keeper).map_err(named)?);
        }
    }
    Ok(found)
}

/// A path as root would believe it.
///
/// # Errors
/// `Failed` for one that no unit can hold.
pub(super) fn place(path: &Path) -> Result<Place> {
    Place::of(path).ok_or_else(|| {
        Error::failed("a path here is not absolute, or not UTF-8, or has control characters in it")
    })
}

/// The names in a folder, sorted; none when it is not there.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// A file that a person may have put there by a link of their own.
pub(super) fn read(path: &Path) -> Result<Option<String>> {
    let Ok(real) = std::fs::canonicalize(path) else {
        return Ok(None);
    };
    let bytes = file::read(&real, MAX_UNIT, Privacy::Shared)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn look_at(
    folders: &[PathBuf],
    folder: &Path,
    unit: &GatewayName,
    target: &Path,
    known: &Specifiers<'_>,
    keeper: Option<&str>,
) -> Result<Seen> {
    let mut drop_ins: Vec<(String, PathBuf)> = folders
        .iter()
        .map(|folder| folder.join(format!("{unit}.d")))
        .flat_map(|dir| {
            names(&dir)
                .into_iter()
                .map(move |name| (name.clone(), dir.join(name)))
        })
        .filter(|(name, _)| {
            Path::new(name).extension() == Some(OsStr::new("conf")) && name != DROP_IN
        })
        .collect();
    drop_ins.sort();
    let mut before = vec![read(&folder.join(&**unit))?.unwrap_or_default()];
    let mut after = Vec::new();
    for (name, path) in drop_ins {
        let text = read(&path)?.unwrap_or_default();
        if name.as_str() < DROP_IN {
            before.push(text);
        } else {
            after.push(text);
        }
    }
    let gateway = Gateway::read(&before, known)?;
    let drop_in = DropIn {
        gateway: &gateway,
        keeper: keeper.map(str::to_owned),
    }
    .render()?;
    let planned = Planned::new(DropIn::path(target, unit), drop_in);
    let mut notes = Vec::new();
    let later = Gateway::read(&after, known)?;
    let resets = later
        .environment
        .iter()
        .any(|(name, _)| name == "NODE_OPTIONS");
    if resets || gateway.unsets_node_options() || later.unsets_node_options() {
        notes.push(format!(
            "{unit}: another setting wins over NODE_OPTIONS=--disable-sigusr1; add it there"
        ));
    }
    for path in gateway.environment_paths().chain(later.environment_paths()) {
        if read(&path)?.is_some_and(|text| file_overrides(&text)) {
            notes.push(format!(
                "{unit}: NODE_OPTIONS in {} wins over the drop-in; add --disable-sigusr1 there",
                path.display()
            ));
        }
    }
    Ok(Seen {
        unit: unit.clone(),
        user: later.user.or(gateway.user).map(|user| Word::of(&user)),
        found: planned.found()?,
        drop_in: place(&planned.path)?,
        text: planned.text,
        notes: notes.iter().map(|note| Word::of(note)).collect(),
    })
}

impl Seen {
    /// Whether its drop-in is as it should be.
    pub fn is_current(&self) -> bool {
        self.found == Found::Current
    }
}
