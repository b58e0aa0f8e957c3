//! The vault of a first run: how it opens. Ring 4; asks once, with one answer recommended.

use crate::cli::app::App;
use crate::cli::args::{CustodyArg, Init, Onboard, SlotArg};
use crate::cli::{init, ui};
use crate::error::{Kind, Result};
use crate::terminal::Terminal;
use crate::vault::Found;

/// Makes the vault, unless it is there.
///
/// # Errors
/// As [`init::make`].
pub(super) fn ensure(app: &App, args: &Onboard, attended: bool) -> Result<()> {
    if app.find()? != Found::Nothing {
        app.ui.say(&format!(
            "Vault: {} (it was there already)",
            app.dir.display()
        ));
        return Ok(());
    }
    let mut how = Init {
        goes_on: true,
        ..args.init.clone()
    };
    let is_said = how.custody == Some(CustodyArg::Keychain) || !how.slot.is_empty();
    if attended
        && !is_said
        && let Some(mut terminal) = app.person()?
    {
        ask(app, &mut terminal, &mut how)?;
    }
    init::make(app, &how)
}

/// One question: custody and slots, with one answer recommended for this machine.
fn ask(app: &App, terminal: &mut Terminal, how: &mut Init) -> Result<()> {
    let has_keychain = match init::require_keychain(app) {
        Ok(()) => true,
        Err(error) if matches!(error.kind(), Kind::Missing | Kind::Locked) => {
            terminal.show(&format!("{}.\n", ui::capital(error.message())))?;
            false
        }
        Err(error) => return Err(error),
    };
    // A keychain opens when somebody logs in at the desktop; over ssh that may be never.
    let is_remote = app.host.var("SSH_CONNECTION").is_some();
    let mut options = Vec::new();
    let recommended = if has_keychain && !is_remote { "k" } else { "i" };
    let mut add = |key, text: &str| {
        let mark = if key == recommended {
            " (recommended here)"
        } else {
            ""
        };
        options.push((key, format!("{text}{mark}")));
    };
    if has_keychain {
        terminal.show("A keychain was found, and it takes and gives back.\n")?;
        add("k", "your keychain: while you are logged in at the desktop");
    }
    add(
        "i",
        "an identity file: without a person, for a gateway that starts by itself",
    );
    add("p", "a passphrase: only with a person at a terminal");
    add("b", "both, identity file and passphrase");
    if has_keychain && how.custody.is_none() {
        add(
            "v",
            "no vault file: each value in the keychain; no recovery key, no rollback check",
        );
    }
    let options: Vec<(&str, &str)> = options
        .iter()
        .map(|(key, text)| (*key, text.as_str()))
        .collect();
    let choice = terminal.choose("How shall the vault open?", &options, Some(recommended))?;
    how.slot = match choice {
        "k" => vec![SlotArg::Keychain],
        "p" => vec![SlotArg::Passphrase],
        "b" => vec![SlotArg::IdentityFile, SlotArg::Passphrase],
        "v" => {
            how.custody = Some(CustodyArg::Keychain);
            how.no_recovery = false;
            Vec::new()
        }
        _ => vec![SlotArg::IdentityFile],
    };
    Ok(())
}
