//! `keeper arm`, and what `--release once` asks for before it starts. Ring 4.

use super::app::App;
use super::args::KeeperArm;
use super::keeping::Terms;
use super::record::LinkRecord;
use crate::error::{Error, Result};
use crate::file;
use crate::json::{hex, unhex};
use crate::keeper::Release;
use crate::keeper::published::Published;
use crate::keeper::socket;
use crate::keeper::ticket::{Ids, Ticket};
use crate::openclaw::config::Config;
use crate::openclaw::decisive::Snapshot;
use crate::secret::RefId;
use crate::service::trusted_path;
use crate::vault::held::Held;
use crate::vault::identity::Identity;
use crate::vault::slot::SlotKind;
use std::path::Path;

/// Whether a keeper on these terms may hold this vault: under `--release once` nothing that the
/// gateway's user can read may open it.
///
/// # Errors
/// `Failed`, naming the slot.
pub fn check_once(held: &Held, terms: &Terms) -> Result<()> {
    if terms.release == Release::Always {
        return Ok(());
    }
    let link = LinkRecord::load(held.dir()).ok().flatten();
    if let Some(link) = link.filter(LinkRecord::asks_for_each_turn) {
        return Err(Error::failed(format!(
            "OpenClaw {} asks for the keys of its profiles again for each turn, and --release once \
             would refuse every turn but the first",
            link.openclaw
        ))
        .hint("clawkeep link --config-refs"));
    }
    let own = socket::own_uid();
    let isolated = terms.unit.as_ref().is_some_and(|unit| unit.uid != own);
    if terms.unit.is_some() && !isolated {
        return Err(Error::failed(
            "this keeper runs under the gateway's own user, so it could keep nothing from it",
        )
        .hint("clawkeep service install --system --isolated"));
    }
    let opens = |kind: &SlotKind| match kind {
        SlotKind::Passphrase(_) => false,
        // The keeper's own user has the file and closes it to others; a user of its own has no
        // session whose keychain another could ask.
        SlotKind::IdentityFile { .. } => !isolated,
        SlotKind::Keychain => true,
    };
    match held.slots().iter().find(|slot| opens(&slot.kind)) {
        None => Ok(()),
        Some(slot) => Err(Error::failed(format!(
            "--release once would keep nothing from the gateway's user: slot {} ({}) opens the vault \
             for whatever runs under it",
            slot.name,
            slot.kind.name()
        ))
        .hint(format!(
            "clawkeep slot remove {}, or: clawkeep service install --system --isolated",
            slot.name
        ))),
    }
}

/// What a keeper that answers nothing but `resolve` says of itself; `None` when what is said is not of
/// this process.
pub fn published(app: &App, pid: u32) -> Option<Published> {
    let said = Published::load(&app.dir).ok()??;
    (said.pid == pid).then_some(said)
}

/// Arms a running keeper: root by its own file, everybody else by the passphrase.
///
/// # Errors
/// `Missing` when no such keeper runs, `Locked` for a wrong passphrase, `Cancelled` for a no.
pub fn run(app: &App, args: &KeeperArm) -> Result<()> {
    let dir = &app.dir;
    let place = app.keeper_place()?;
    let none = || {
        Error::missing(format!(
            "no keeper that gives each value once holds the vault in {}",
            dir.display()
        ))
        .hint("clawkeep keeper status")
    };
    let state = Published::load(dir)?
        .filter(|state| state.release == Release::Once)
        .ok_or_else(none)?;
    let challenge = state.challenge.ok_or_else(none)?;
    let is_root = socket::own_uid() == 0 && place.uid != 0;
    if place.connect()?.is_none() {
        return Err(none());
    }
    let ids = match args.ids.as_slice() {
        [] => Ids::All,
        ids => Ids::Some(
            ids.iter()
                .map(|id| {
                    RefId::parse(id).ok_or_else(|| {
                        Error::usage("this is no id that can be asked for").hint("clawkeep log")
                    })
                })
                .collect::<Result<_>>()?,
        ),
    };
    // Who arms by passphrase proves it by opening the vault, and so proves what was shown before.
    let vault = if is_root {
        file::only_root_moves(dir)?;
        None
    } else {
        check_program(app, args.trust_this_program)?;
        Some(app.open_vault_file("keeper")?)
    };
    let identity = vault.as_ref().map(|vault| &vault.contents().identity);
    let settings = Settings::read(dir, identity)?;
    settings.show(app);
    app.agree(
        args.yes,
        "Let the keeper give them once more?",
        false,
        "arming a keeper",
        "clawkeep keeper arm --yes",
    )?;
    let ticket = Ticket {
        challenge,
        ids,
        made_at: app.host.now(),
    };
    ticket.leave(dir, identity)?;
    settings.keep(dir, identity)?;
    let what = if args.ids.is_empty() {
        "each linked value".to_owned()
    } else {
        args.ids.join(", ")
    };
    app.ui.say(&format!(
        "Armed: the gateway gets {what} once more.\nIt asks when it starts: end it and start it again"
    ));
    Ok(())
}

/// A passphrase is typed only into a program that nobody but root could have changed, unless the person
/// says otherwise: whoever could change it could read it there.
///
/// # Errors
/// `Failed` with what makes the program's path unsafe.
pub fn check_program(app: &App, trusted: bool) -> Result<()> {
    if trusted || app.global.passphrase_file.is_some() {
        return Ok(());
    }
    trusted_path::check(&app.host.program()?, trusted_path::End::Program)
        .map(|_| ())
        .map_err(|error| {
            error
                .context("this program would take your passphrase, and it could have been changed")
                .hint("install it root-owned (sudo install clawkeep /usr/local/bin/), or add --trust-this-program")
        })
}

/// The settings of OpenClaw that decide where keys go or what code runs, now and when they were last
/// shown.
struct Settings {
    before: Option<Snapshot>,
    now: Option<Snapshot>,
}

/// Where they are kept, beside the vault.
const SETTINGS: &str = "keeper-settings.json";
/// What the MAC of that file is made for.
const SETTINGS_CONTEXT: &str = "clawkeep/v1/mac/settings";
const MAX_SETTINGS: usize = 64 * 1024 * 1024;

impl Settings {
    /// What was kept counts only when it is proven: by the vault's identity, or, for root, by being
    /// root's. Otherwise it was not shown before.
    fn read(dir: &Path, identity: Option<&Identity>) -> Result<Self> {
        let kept = file::read_of_anyone(&dir.join(SETTINGS), MAX_SETTINGS)?;
        let proven = kept.and_then(|(bytes, meta)| match identity {
            Some(identity) => signed_part(&bytes, identity),
            None => file::is_roots_alone(&meta).then_some(bytes),
        });
        let before = proven
            .map(|bytes| Snapshot::from_json(&bytes))
            .transpose()?;
        let Some(path) = file::read_of_anyone(&dir.join("link.json"), MAX_SETTINGS)?
            .and_then(|(bytes, _)| LinkRecord::config_in(&bytes))
        else {
            return Ok(Settings { before, now: None });
        };
        let text = file::read_of_anyone(&path, MAX_SETTINGS)?;
        let config = match &text {
            Some((bytes, _)) => Config::parse(bytes, &path)?,
            None => Config::empty(&path),
        };
        let mut now = match &before {
            Some(before) => before.again(&config),
            None => Snapshot::of(&config)?,
        };
        // Relative to the configuration's own folder; what lies elsewhere is named by its whole path.
        let folder = path.parent().unwrap_or(dir);
        for name in Snapshot::included(&config)
            .into_iter()
            .chain([".env".to_owned()])
        {
            // One that cannot be read is shown as one that is not there: a change either way is seen.
            let content = file::read_of_anyone(&folder.join(&name), MAX_SETTINGS)
                .ok()
                .flatten();
            now.add_file(&name, content.as_ref().map(|(bytes, _)| bytes.as_slice()));
        }
        Ok(Settings {
            before,
            now: Some(now),
        })
    }

    fn show(&self, app: &App) {
        let Some(now) = &self.now else {
            app.ui
                .say("OpenClaw is not linked, so there are no settings of it to look at.");
            return;
        };
        let lines: Vec<String> = match &self.before {
            Some(before) => Snapshot::diff(before, now)
                .iter()
                .map(|change| format!("  {change}"))
                .collect(),
            None => now
                .settings()
                .map(|(path, shown)| format!("  {path}: {shown}"))
                .collect(),
        };
        let heading = match (&self.before, lines.is_empty()) {
            (Some(_), true) => {
                "Since they were last shown, no setting of OpenClaw that decides where keys go or what code runs has changed."
            }
            (Some(_), false) => {
                "Since they were last shown, these settings of OpenClaw changed, which decide where keys go or what code runs:"
            }
            (None, _) => {
                "These settings of OpenClaw decide where keys go and what code runs; they were not shown before:"
            }
        };
        app.ui.say(heading);
        for line in lines {
            app.ui.say(&line);
        }
    }

    fn keep(&self, dir: &Path, identity: Option<&Identity>) -> Result<()> {
        let Some(now) = &self.now else {
            return Ok(());
        };
        let mut text = now.to_json().into_bytes();
        if let Some(identity) = identity {
            let mac = identity.sign(SETTINGS_CONTEXT, &text)?;
            text.extend_from_slice(hex(&mac).as_bytes());
        }
        file::replace_beside(&dir.join(SETTINGS), &text, 0o600)
    }
}

/// What stands before the 64 hex digits of its MAC, when they are right.
fn signed_part(bytes: &[u8], identity: &Identity) -> Option<Vec<u8>> {
    let (text, mac) = bytes.split_at_checked(bytes.len().checked_sub(64)?)?;
    let mac = unhex(std::str::from_utf8(mac).ok()?)?;
    identity
        .signed(SETTINGS_CONTEXT, text, &mac)
        .is_ok_and(|right| right)
        .then(|| text.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_somebody_else_wrote_were_not_shown_before() {
        let dir = tempfile::tempdir().unwrap();
        let (own, other) = (Identity::generate(), Identity::generate());
        let config = Config::parse(br#"{"plugins":{"x":1}}"#, Path::new("/nowhere")).unwrap();
        let settings = Settings {
            before: None,
            now: Some(Snapshot::of(&config).unwrap()),
        };
        settings.keep(dir.path(), Some(&own)).unwrap();
        let before = |identity| Settings::read(dir.path(), Some(identity)).unwrap().before;
        assert!(before(&own).is_some());
        assert!(before(&other).is_none());
        let path = dir.path().join(SETTINGS);
        let text = std::fs::read_to_string(&path).unwrap();
        file::replace(&path, text.replace("plugins", "plugons").as_bytes(), 0o600).unwrap();
        assert!(before(&own).is_none());
        file::replace(&path, b"", 0o600).unwrap();
        assert!(before(&own).is_none());
    }
}
