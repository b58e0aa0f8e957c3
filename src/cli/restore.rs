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
    let unlinked = forget_link(app, &mut backup)?;
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
    if let Some(config) = unlinked {
        app.ui.say(&format!(
            "Not linked: {config} does not ask this vault.\nhint: clawkeep link"
        ));
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

/// A link record means something only where that OpenClaw asks this very folder: on another machine it
/// would name files that are not there, or are another's. Gives the configuration that it named.
fn forget_link(app: &App, backup: &mut Backup) -> Result<Option<String>> {
    let Some(bytes) = backup.file(&Name::Link) else {
        return Ok(None);
    };
    let Some(record) = LinkRecord::parse(bytes) else {
        backup.leave_out(&Name::Link);
        return Ok(None);
    };
    let is_linked =
        Config::read(&record.config).is_ok_and(|config| pins::is_linked(&config, &app.dir));
    if is_linked {
        return Ok(None);
    }
    backup.leave_out(&Name::Link);
    Ok(Some(record.config.display().to_string()))
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
