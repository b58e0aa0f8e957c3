//! The recovery key. Ring 4.
//!
//! It is an age X25519 identity whose public half every write encrypts to: `vault.age` and one sheet
//! of paper give everything back, with stock `age` too. It is shown once and asked back, to prove
//! that it was written down.

use super::app::{App, parse_recovery};
use super::args::{RecoveryCheck, RecoveryCommand};
use crate::error::{Error, Result};
use crate::file;
use crate::terminal::{Hidden, Terminal};
use crate::vault::body::Recovery;
use crate::vault::id::VaultId;
use crate::vault::identity::{Identity, IdentityText};
use std::path::Path;
use zeroize::Zeroizing;

/// Runs one `recovery` command.
pub fn run(app: &App, command: &RecoveryCommand) -> Result<()> {
    match command {
        RecoveryCommand::Check(args) => check(app, args),
    }
}

/// Which recovery key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// None.
    None,
    /// A new one.
    New,
    /// A new one, or that of a run that was cut off before it had made its vault.
    Again,
}

/// Makes a recovery key for the vault `id`, by flag or before the person's eyes.
///
/// # Errors
/// `Usage` when there is neither a flag nor a person; `Cancelled`.
pub fn make(
    app: &App,
    id: VaultId,
    path: Option<&Path>,
    wanted: Wanted,
    person: Option<&mut Terminal>,
) -> Result<Option<Recovery>> {
    if wanted == Wanted::None {
        app.ui
            .say("No recovery key: when every slot is lost, so are the values.");
        return Ok(None);
    }
    let left = match path {
        Some(path) if wanted == Wanted::Again => left_behind(app, path)?,
        _ => None,
    };
    let key = left.unwrap_or_else(Identity::generate);
    let mut recovery = Recovery {
        recipient: key.recipient(),
        created: app.host.now(),
        checked: None,
    };
    match (path, person) {
        (Some(path), _) => {
            write(app, &key, id, path, wanted)?;
            app.ui.say(&format!(
                "Recovery key: {} (move it off this machine; then: clawkeep recovery check)",
                path.display()
            ));
        }
        (None, Some(terminal)) => {
            if show(terminal, &key, id)? {
                recovery.checked = Some(app.host.now());
            } else {
                app.ui.say("Not proven: nobody typed the recovery key back.\nhint: clawkeep recovery check");
            }
        }
        (None, None) => {
            return Err(
                Error::usage("the recovery key is shown to a person, and there is nobody")
                    .hint("add --recovery-file FILE, or --no-recovery to do without"),
            );
        }
    }
    Ok(Some(recovery))
}

/// The key of a run that wrote its sheet and was cut off before its vault was there. A sheet that says of
/// which vault it is stays what it is: only its own first run goes on with it.
fn left_behind(app: &App, path: &Path) -> Result<Option<Identity>> {
    let path = app.host.absolute(path)?;
    let bytes = file::absent_is_none(file::read(&path, 4096, file::Privacy::Private))?.flatten();
    let Some(bytes) = bytes.filter(|bytes| bytes.starts_with(HEAD.as_bytes())) else {
        return Ok(None);
    };
    let key = IdentityText::parse(&bytes)
        .map_err(|error| error.context(path.display()))?
        .identity;
    app.ui.say(&format!(
        "{} is a recovery key already, and is this vault's from now on.",
        path.display()
    ));
    Ok(Some(key))
}

fn write(app: &App, key: &Identity, id: VaultId, path: &Path, wanted: Wanted) -> Result<()> {
    let path = app.host.absolute(path)?;
    if path.starts_with(&app.dir) {
        return Err(Error::usage("the recovery file would lie in the vault's own folder: one backup would hold lock and key")
            .hint("use --recovery-file ~/recovery.txt"));
    }
    if let Some(folder) = path.parent() {
        // A run that was killed here may have left a key behind.
        file::sweep_dead(folder);
    }
    let text = sheet(key, id);
    let is_left = wanted == Wanted::Again && left_is(&path, key);
    if is_left {
        file::replace(&path, &text, 0o600)?;
    } else {
        file::create(&path, &text, 0o600)?;
    }
    let back = file::read(&path, 4096, file::Privacy::Private)?;
    match back {
        Some(bytes) if IdentityText::parse(&bytes).is_ok() => Ok(()),
        _ => Err(Error::broken(format!(
            "{} does not hold what was written to it",
            path.display()
        ))),
    }
}

/// Whether the file holds this very key.
fn left_is(path: &Path, key: &Identity) -> bool {
    let bytes = file::read(path, 4096, file::Privacy::Private)
        .ok()
        .flatten();
    bytes
        .and_then(|bytes| IdentityText::parse(&bytes).ok())
        .is_some_and(|text| text.identity.vault_id() == key.vault_id())
}

/// The first line of the sheet.
const HEAD: &str = "# clawkeep recovery key\n";

/// The sheet of paper: an age identity file with its story in comments.
fn sheet(key: &Identity, id: VaultId) -> Zeroizing<Vec<u8>> {
    let head = format!(
        "{HEAD}# vault: {}\n# opens vault.age with clawkeep, age or rage: age -d -i THIS-FILE vault.age\n",
        id.short()
    );
    let mut out = Zeroizing::new(Vec::with_capacity(head.len() + 128));
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(key.text().as_bytes());
    out.push(b'\n');
    out
}

/// Shows the key on the alternate screen, which leaves no scrollback, and asks it back. `false` when
/// the person would not type it.
fn show(terminal: &mut Terminal, key: &Identity, id: VaultId) -> Result<bool> {
    let text = key.text();
    let mut page = Zeroizing::new(String::with_capacity(600 + text.len() * 2));
    page.push_str("Recovery key of vault ");
    page.push_str(&id.short());
    page.push_str("\n\n");
    // Lines of 37 characters and two blanks fit a phone's terminal and a sheet of paper.
    for start in (0..text.len()).step_by(37) {
        page.push_str("  ");
        page.push_str(&text[start..text.len().min(start + 37)]);
        page.push('\n');
    }
    page.push_str("\nIt opens the vault when everything else is lost, and so it does for ");
    page.push_str("whoever finds it. Write it down, or keep it in a password manager on ");
    page.push_str("another machine. It is shown only here.\n\n");
    for _ in 0..3 {
        terminal.alternate_screen(|terminal| {
            terminal.show(&page)?;
            terminal
                .ask_line("Enter when it is written down: ")
                .map(|_| ())
        })?;
        let typed = terminal.ask_hidden(
            "Type or paste the recovery key back (Enter to do that later): ",
            Hidden::Key,
        )?;
        if typed.is_empty() {
            return Ok(false);
        }
        match parse_recovery(&typed) {
            Ok(back) if back.vault_id() == key.vault_id() => return Ok(true),
            Ok(_) => terminal.show("That is another key; here it is again.\n")?,
            Err(error) => terminal.show(&format!("{error}; here it is again.\n"))?,
        }
    }
    Ok(false)
}

fn check(app: &App, args: &RecoveryCheck) -> Result<()> {
    // Fails on keychain custody, which has none.
    let vault = app.open_vault_file("recovery key");
    let key = match &vault {
        Ok(vault) if vault.contents().recovery.is_none() => {
            return Err(Error::missing("this vault has no recovery key")
                .hint("clawkeep rekey --new-recovery"));
        }
        Ok(_) => app.recovery_key(args.recovery_file.as_deref())?,
        // A locked vault is exactly when a recovery key is looked for.
        Err(error) if error.kind() == crate::error::Kind::Locked => {
            app.recovery_key(args.recovery_file.as_deref())?
        }
        Err(error) => return Err(error.clone()),
    };
    let opened = app.open_by(&key)?;
    app.ui.say(&format!(
        "The recovery key opens the vault {} with {}.",
        opened.id().short(),
        super::ui::secrets(opened.contents().secrets.len())
    ));
    match vault {
        Ok(ref vault) if vault.id() != opened.id() => Err(Error::broken(
            "the recovery key opens another vault than the slots do: vault.age was exchanged",
        )
        .hint("clawkeep slot list")),
        Ok(mut vault) => vault.update(|contents, now| {
            if let Some(recovery) = &mut contents.recovery {
                recovery.checked = Some(now);
            }
            Ok(())
        }),
        Err(_) => {
            app.ui.say("The slots do not open it now.\nhint: clawkeep slot add identity-file --replace --recovery");
            Ok(())
        }
    }
}
