//! `restore`: a backup becomes the vault. Ring 4.
//!
//! Promise: nothing is written before all of the backup was checked and, where a vault is there, a person
//! (or `--yes`) agreed; what was there is put aside, never removed. That an older state is accepted is said.

use super::app::App;
use super::args::Restore as Args;
use super::backup::{described, load, made};
use super::record::LinkRecord;
use super::{pins, unasked};
use crate::backup::{self, Backup, Name};
use crate::error::{Error, Kind, Result, typed};
use crate::keeper::client::{KeeperStore, Place};
use crate::keeper::pointer::Pointer;
use crate::openclaw::config::Config;
use crate::store::Store as _;
use crate::vault::Found;
use crate::vault::cache::{Cache, Custody};
use serde_json::Value;

/// Runs `restore`.
pub fn run(app: &App, args: &Args) -> Result<()> {
    let mut backup = load(app, &args.file)?;
    let found = app.find()?;
    if found != Found::Nothing && !args.replace {
        return Err(
            Error::failed(format!("there is a vault in {} already", app.dir.display())).hint(
                format!(
                    "to put it aside and restore in its place: clawkeep restore {} --replace",
                    typed(&args.file)
                ),
            ),
        );
    }
    if found != Found::Nothing {
        refuse_in_use(app)?;
        app.ui.say(&difference(app, &backup)?);
        app.agree(
            args.yes,
            "Put the vault that is there aside, and restore?",
            false,
            "restoring over a vault",
            "add --yes",
        )?;
    }
    let linked = keep_link(app, &mut backup);
    let placed = backup::place(&app.dir, &backup, args.replace)?;
    app.ui.say(&format!(
        "Restored: {} ({}, as of {})",
        app.dir.display(),
        described(&backup.about),
        made(&backup.about)
    ));
    app.ui.say(
        "This state is accepted as it is, however old: what was stored later is not in it, and what was \
         removed or replaced later is back.",
    );
    if let Some(aside) = placed.aside {
        app.ui.say(&format!(
            "What was there before: {} (the old slots open it still; remove it when you need it no more)",
            aside.display()
        ));
    }
    match linked {
        Linked::Quiet => {}
        Linked::NotHere(config) => app.ui.say(&format!(
            "Not linked: {config} does not ask this vault.\nhint: clawkeep link"
        )),
        Linked::PinsAnother(config) => app.ui.say(&format!(
            "{config} names the id that this vault got later, so the gateway is refused until you link again.\n\
             hint: clawkeep link"
        )),
    }
    say_how_it_opens(app, &backup);
    Ok(())
}

/// A keeper would go on with the old vault; a service's pointer says that nothing but its keeper may open
/// it, and would be gone.
fn refuse_in_use(app: &App) -> Result<()> {
    if Pointer::load(&app.dir)?.is_some() {
        return Err(
            Error::failed("a service keeps this vault's keeper; nothing was restored").hint(
                "take it away first, and install it again afterwards: clawkeep service uninstall",
            ),
        );
    }
    match KeeperStore::find(Place::of(&app.dir)?, &[]) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(held()),
        // It gives no more than single values.
        Err(error) if error.kind() == Kind::Locked => Err(held()),
        Err(error) => Err(error),
    }
}

fn held() -> Error {
    Error::failed("a keeper holds the vault that is there open; nothing was restored")
        .hint("clawkeep lock")
}

/// What would be there and what is, as far as both say it without being opened.
fn difference(app: &App, backup: &Backup) -> Result<String> {
    let cache = Cache::load(&app.dir)?;
    let (id, seen) = cache.map_or((None, None), |cache| (cache.vault_id, cache.seen));
    let there = match (id, seen) {
        (Some(id), Some(seen)) => format!("vault {}, generation {}", id.short(), seen.generation),
        (Some(id), None) => format!("vault {}", id.short()),
        (None, _) => "a vault".to_owned(),
    };
    Ok(format!(
        "In the backup: {}, as of {}. There now: {there}.",
        described(&backup.about),
        made(&backup.about)
    ))
}

/// What there is to say of OpenClaw.
enum Linked {
    /// Nothing: the vault was not linked, or is as it was.
    Quiet,
    /// This configuration does not ask the vault's folder.
    NotHere(String),
    /// This one does, and names another vault id: that of a later identity.
    PinsAnother(String),
}

/// A link record means something only where that OpenClaw asks this very folder: on another machine it
/// would name files that are not there, or are another's.
fn keep_link(app: &App, backup: &mut Backup) -> Linked {
    let Some(bytes) = backup.file(&Name::Link) else {
        return Linked::Quiet;
    };
    let Some(record) = LinkRecord::parse(bytes) else {
        backup.leave_out(&Name::Link);
        return Linked::Quiet;
    };
    let place = record.config.display().to_string();
    let config = Config::read(&record.config);
    let Ok(config) = config.and_then(|config| {
        let asks = pins::is_linked(&config, &app.dir);
        asks.then_some(config)
            .ok_or_else(|| Error::missing("it asks another vault"))
    }) else {
        backup.leave_out(&Name::Link);
        return Linked::NotHere(place);
    };
    let args = config.get(&pins::ARGS).unwrap_or_default();
    let args: Vec<&str> = args
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let id = backup.about.vault_id.map(|id| id.to_string());
    let is_pinned = args.contains(&"--vault-id");
    match id {
        Some(id) if is_pinned && !args.contains(&id.as_str()) => Linked::PinsAnother(place),
        _ => Linked::Quiet,
    }
}

fn say_how_it_opens(app: &App, backup: &Backup) {
    let opened = unasked::open_by_slots(app).and_then(|opened| {
        let count = opened.list()?.len();
        Ok((opened, count))
    });
    if backup.about.custody == Custody::Keychain {
        app.ui.say(match opened {
            Ok((_, count)) if count > 0 => "Its values are in the keychain here.",
            _ => "Its values are not in it: they lie in the keychain of the machine that it was made on.",
        });
        return;
    }
    match opened {
        Ok((_, count)) => app.ui.say(&format!("It opens, with {count} secrets.")),
        Err(error) => {
            app.ui.say(&format!("It does not open here yet: {error}."));
            app.ui.say(
                "With the recovery key it does: clawkeep slot add identity-file --replace --recovery",
            );
            app.ui.say("hint: clawkeep recovery check");
        }
    }
}
