//! Making a vault. Ring 4.
//!
//! Promise: nothing weaker is chosen than what was asked for; without a person and without a keychain
//! the flag that is missing is named. Cut off anywhere before its end, it can be run again.

use super::app::{App, read_passphrase_file, to_passphrase};
use super::args::{CustodyArg, Init, SlotArg};
use super::recovery;
use crate::error::{Error, Kind, Result};
use crate::file::{self, LOCK_WAIT, Lock};
use crate::host;
use crate::keychain::{Item, Keychain, Presence};
use crate::terminal::{Hidden, Terminal};
use crate::vault::argon::Cost;
use crate::vault::cache::{Cache, Custody};
use crate::vault::id::VaultId;
use crate::vault::identity::Identity;
use crate::vault::rekey::{Doors, SlotPlan, plant};
use crate::vault::slot::SlotName;
use crate::vault::{Found, NewVault, Vault};
use secrecy::SecretString;
use std::path::PathBuf;

/// The shortest passphrase that a person may choose, in characters.
const LEAST_PASSPHRASE: usize = 12;

/// Runs `init`.
pub fn run(app: &App, args: &Init) -> Result<()> {
    refuse_existing(app)?;
    make(app, args)
}

fn refuse_existing(app: &App) -> Result<()> {
    if app.find()? == Found::Nothing {
        return Ok(());
    }
    Err(
        Error::failed(format!("there is a vault in {} already", app.dir.display()))
            .hint("clawkeep slot list"),
    )
}

/// Makes a vault by these flags, asking for what they leave open.
///
/// # Errors
/// `Usage` when nobody is there to ask; `Cancelled`; whatever the disk says.
pub fn make(app: &App, args: &Init) -> Result<()> {
    let mut person = app.person()?;
    if args.custody == Some(CustodyArg::Keychain) {
        return make_items(app, args);
    }
    let kinds = choose_slots(app, args, person.as_mut())?;
    let unused = [
        (
            args.identity_file.is_some(),
            SlotArg::IdentityFile,
            "--identity-file",
        ),
        (
            args.new_passphrase_file.is_some(),
            SlotArg::Passphrase,
            "--new-passphrase-file",
        ),
    ];
    if let Some((_, kind, flag)) = unused
        .iter()
        .find(|(given, kind, _)| *given && !kinds.contains(kind))
    {
        return Err(
            Error::usage(format!("{flag} is of a slot that is not made"))
                .hint(format!("add --slot {}", slot_name(*kind)?)),
        );
    }
    file::private_dir(&app.dir)?;
    let identity = Identity::generate();
    let plans = kinds
        .iter()
        .map(|kind| {
            Ok((
                slot_name(*kind)?,
                slot_plan(
                    app,
                    *kind,
                    args.identity_file.clone(),
                    args.new_passphrase_file.clone(),
                    person.as_mut(),
                )?,
            ))
        })
        .collect::<Result<Vec<_>>>()?;
    // Before anything lies on the disk: who turns away here leaves nothing behind.
    let recovery = recovery::make(
        app,
        identity.vault_id(),
        args.recovery_file.as_deref(),
        if args.no_recovery {
            recovery::Wanted::None
        } else if args.goes_on {
            recovery::Wanted::Again
        } else {
            recovery::Wanted::New
        },
        person.as_mut(),
    )?;
    let keychain = app.keychain();
    let doors = Doors {
        host: &app.host,
        keychain: &keychain,
    };
    // Two at once must not plant their slots into one vault.
    let lock = Lock::take(&app.dir.join("vault.lock"), LOCK_WAIT)?;
    refuse_existing(app)?;
    let slots = plans
        .into_iter()
        .map(|(name, plan)| plant(&app.dir, &identity, &name, plan, &doors))
        .collect::<Result<Vec<_>>>()?;
    let vault = Vault::create(
        &app.dir,
        &app.host,
        NewVault {
            identity,
            recovery,
            slots,
        },
        &lock,
    )?;
    drop(lock);
    app.ui.say(&format!(
        "Vault: {} (id {})",
        app.dir.display(),
        vault.id().short()
    ));
    for slot in &vault.contents().slots {
        app.ui
            .say(&format!("Slot: {}{}", slot.name, about(&slot.kind)));
    }
    app.ui.say(AT_REST);
    Ok(())
}

/// What a vault at rest does and does not do; `init`, `status` and `doctor` say it.
pub const AT_REST: &str = "This protects the disk, backups, other users, and what agents read from files. \
It does not keep keys from an agent that runs as the same user.";

fn about(kind: &crate::vault::slot::SlotKind) -> String {
    use crate::vault::slot::SlotKind as K;
    match kind {
        K::Keychain => " (opens while your keychain is unlocked)".to_owned(),
        K::Passphrase(cost) => format!(
            " (Argon2id, {} MiB, {} passes, {} lanes)",
            cost.m_kib / 1024,
            cost.t,
            cost.p
        ),
        K::IdentityFile { path, .. } => format!(
            " ({}; keep it out of the backup that holds the vault)",
            path.display()
        ),
    }
}

fn make_items(app: &App, args: &Init) -> Result<()> {
    if !args.slot.is_empty()
        || args.identity_file.is_some()
        || args.new_passphrase_file.is_some()
        || args.recovery_file.is_some()
    {
        return Err(Error::usage("keychain custody has no slots and no recovery key: each value is a keychain item of its own")
            .hint("clawkeep init --custody keychain"));
    }
    require_keychain(app)?;
    file::private_dir(&app.dir)?;
    let _lock = Lock::take(&app.dir.join("vault.lock"), LOCK_WAIT)?;
    refuse_existing(app)?;
    let id = VaultId::random()?;
    let cache = Cache {
        custody: Custody::Keychain,
        vault_id: Some(id),
        next_vault_id: None,
        seen: None,
        slots: Vec::new(),
    };
    cache.save(&app.dir)?;
    app.ui.say(&format!(
        "Vault: {} (id {}), values in the keychain",
        app.dir.display(),
        id.short()
    ));
    app.ui.say("This custody has no recovery key, no rekey, no slots, and does not notice an older or edited state.");
    app.ui.say(AT_REST);
    Ok(())
}

/// Proves by a round trip that the keychain takes and gives back.
///
/// # Errors
/// `Missing` where there is none, `Locked` where it does not open, `Broken` where it forgets.
pub(super) fn require_keychain(app: &App) -> Result<()> {
    let keychain = app.keychain();
    if let Presence::Absent(why) = keychain.presence()? {
        return Err(Error::missing(format!("there is no keychain here: {why}"))
            .hint("clawkeep init --slot identity-file"));
    }
    let mut mark = [0u8; 8];
    host::random(&mut mark)?;
    let text = crate::json::hex(&mark);
    let item = Item::new("clawkeep", format!("probe:{text}"));
    keychain.set(&item, text.as_bytes())?;
    let back = keychain.get(&item);
    keychain.delete(&item)?;
    if back?.is_some_and(|back| back.as_slice() == text.as_bytes()) {
        Ok(())
    } else {
        Err(
            Error::broken("the keychain did not give back what was put into it")
                .hint("clawkeep init --slot identity-file"),
        )
    }
}

fn choose_slots(app: &App, args: &Init, person: Option<&mut Terminal>) -> Result<Vec<SlotArg>> {
    if !args.slot.is_empty() {
        let mut kinds = Vec::new();
        for kind in &args.slot {
            if kinds.contains(kind) {
                return Err(Error::usage(
                    "a kind of slot is named twice; a second one gets a name of its own later",
                )
                .hint("clawkeep slot add passphrase --name second"));
            }
            kinds.push(*kind);
        }
        if kinds.contains(&SlotArg::Keychain) {
            require_keychain(app)?;
        }
        return Ok(kinds);
    }
    let why = match require_keychain(app) {
        Ok(()) => return Ok(vec![SlotArg::Keychain]),
        Err(error) if matches!(error.kind(), Kind::Missing | Kind::Locked) => error,
        Err(error) => return Err(error),
    };
    let Some(terminal) = person else {
        return Err(Error::usage(format!(
            "{why}; another way to open the vault must be chosen by you"
        ))
        .hint("add --slot identity-file (opens without a person) or --slot passphrase"));
    };
    terminal.show(&format!("{}.\n", super::ui::capital(why.message())))?;
    let choice = terminal.choose(
        "How shall the vault open?",
        &[
            (
                "i",
                "identity file: without a person, for a gateway that starts by itself",
            ),
            ("p", "passphrase: only with a person at a terminal"),
            ("b", "both"),
        ],
        Some("i"),
    )?;
    Ok(match choice {
        "p" => vec![SlotArg::Passphrase],
        "b" => vec![SlotArg::IdentityFile, SlotArg::Passphrase],
        _ => vec![SlotArg::IdentityFile],
    })
}

/// The name of a slot that was not given one.
///
/// # Errors
/// None in practice: the names are fixed.
pub fn slot_name(kind: SlotArg) -> Result<SlotName> {
    SlotName::parse(match kind {
        SlotArg::Keychain => "keychain",
        SlotArg::Passphrase => "passphrase",
        SlotArg::IdentityFile => "identity-file",
    })
}

/// What a slot needs before it can be made: a passphrase, a path.
///
/// # Errors
/// `Usage` when a passphrase is needed and nobody is there.
pub fn slot_plan(
    app: &App,
    kind: SlotArg,
    identity_file: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
    person: Option<&mut Terminal>,
) -> Result<SlotPlan> {
    Ok(match kind {
        SlotArg::Keychain => SlotPlan::Keychain,
        SlotArg::IdentityFile => {
            let path = match identity_file {
                Some(path) => app.host.absolute(&path)?,
                None => app.host.default_identity_file()?,
            };
            SlotPlan::IdentityFile(path)
        }
        SlotArg::Passphrase => {
            let cost = Cost::for_memory(host::memory_available());
            if cost.m_kib < Cost::DEFAULT.m_kib {
                app.ui.say(&format!(
                    "Little memory here: the passphrase is protected with {} MiB of work instead of {}.",
                    cost.m_kib / 1024,
                    Cost::DEFAULT.m_kib / 1024
                ));
            }
            SlotPlan::Passphrase(new_passphrase(passphrase_file, person)?, cost)
        }
    })
}

fn new_passphrase(path: Option<PathBuf>, person: Option<&mut Terminal>) -> Result<SecretString> {
    if let Some(path) = path {
        let passphrase = read_passphrase_file(&path)?;
        return long_enough(passphrase).map_err(|error| error.context(path.display()));
    }
    let Some(terminal) = person else {
        return Err(
            Error::usage("a passphrase is chosen at a terminal, and there is none")
                .hint("use --new-passphrase-file FILE"),
        );
    };
    loop {
        let typed = terminal.ask_hidden(
            "New passphrase (Enter: make one of six words): ",
            Hidden::Passphrase,
        )?;
        if typed.is_empty() {
            return generated(terminal);
        }
        let passphrase = match to_passphrase(&typed).and_then(long_enough) {
            Ok(passphrase) => passphrase,
            Err(error) => {
                terminal.show(&format!("{error}\n"))?;
                continue;
            }
        };
        let again = to_passphrase(&terminal.ask_hidden("Once more: ", Hidden::Passphrase)?).ok();
        if again.is_some_and(|again| same(&passphrase, &again)) {
            return Ok(passphrase);
        }
        terminal.show("The two are not the same.\n")?;
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "looks, does not let the passphrase out"
)]
fn long_enough(passphrase: SecretString) -> Result<SecretString> {
    use secrecy::ExposeSecret;
    if passphrase.expose_secret().chars().count() < LEAST_PASSPHRASE {
        return Err(Error::failed(format!(
            "the passphrase has fewer than {LEAST_PASSPHRASE} characters"
        )));
    }
    Ok(passphrase)
}

#[allow(
    clippy::disallowed_methods,
    reason = "compares, does not let the passphrase out"
)]
fn same(a: &SecretString, b: &SecretString) -> bool {
    use secrecy::ExposeSecret;
    use subtle::ConstantTimeEq;
    a.expose_secret()
        .as_bytes()
        .ct_eq(b.expose_secret().as_bytes())
        .into()
}

/// The English word list of BIP 39, one word a line. As one text: a table of 2,048 `&str` is 32 KiB of
/// addresses, which the dynamic loader fills in at every start of the program, `resolve` among them.
const WORDS: &str = include_str!("english.txt");

/// Six words of 2,048: 66 bits, out of reach at a quarter of a gigabyte a guess. Shown once, then
/// typed back.
fn generated(terminal: &mut Terminal) -> Result<SecretString> {
    let words: Vec<&str> = WORDS.lines().collect();
    let mut text = String::with_capacity(6 * 9);
    for index in 0..6 {
        let mut draw = [0u8; 2];
        host::random(&mut draw)?;
        if index > 0 {
            text.push(' ');
        }
        // 65,536 is a multiple of 2,048: every word is as likely as any other.
        text.push_str(words[usize::from(u16::from_le_bytes(draw)) % words.len()]);
    }
    let passphrase = to_passphrase(text.as_bytes())?;
    let shown = zeroize::Zeroizing::new(format!(
        "Your passphrase:\n\n    {text}\n\nWrite it down now. It is shown only here.\n"
    ));
    zeroize::Zeroize::zeroize(&mut text);
    loop {
        terminal.alternate_screen(|terminal| {
            terminal.show(&shown)?;
            terminal
                .ask_line("Enter when it is written down: ")
                .map(|_| ())
        })?;
        let typed =
            to_passphrase(&terminal.ask_hidden("Type the passphrase back: ", Hidden::Passphrase)?)
                .ok();
        if typed.is_some_and(|typed| same(&typed, &passphrase)) {
            return Ok(passphrase);
        }
        terminal.show("That is not it; here it is again.\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::WORDS;

    #[test]
    fn the_words_are_those_of_bip_39() {
        let words: Vec<&str> = WORDS.lines().collect();
        assert_eq!(words, bip39::Language::English.word_list());
    }
}
