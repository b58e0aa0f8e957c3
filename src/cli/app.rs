//! What every command needs: the machine, the output, the vault. Ring 4; the one place where stores,
//! keychain and person are wired together.

use super::args::Global;
use super::moved;
use super::opened::Opened;
use super::ui::Ui;
use crate::error::{Error, Kind, Result};
use crate::file::{self, Privacy};
use crate::host::Host;
use crate::keeper::client::{KeeperStore, Place};
use crate::keychain::OsKeychain;
use crate::secret::{MAX_SECRET, Secret};
use crate::terminal::{self, Hidden, Terminal};
use crate::vault::cache::{Cache, Custody};
use crate::vault::held::Held;
use crate::vault::id::VaultId;
use crate::vault::identity::Identity;
use crate::vault::items::KeychainStore;
use crate::vault::slot::SlotName;
use crate::vault::unlock::Keys;
use crate::vault::{self, Found, Vault};
use secrecy::SecretString;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a keychain's own dialog may stand while a person is there.
const DIALOG: Duration = Duration::from_mins(1);

/// How often a person may mistype a passphrase.
const TRIES: u32 = 3;

/// One run of the program.
pub struct App {
    /// The machine.
    pub host: Host,
    /// The output.
    pub ui: Ui,
    /// Flags of every command.
    pub global: Global,
    /// The vault's folder, absolute.
    pub dir: PathBuf,
    /// The vault ids that the caller trusts.
    pub pins: Vec<VaultId>,
    /// Passphrases that the person typed in this run.
    typed: RefCell<BTreeMap<SlotName, SecretString>>,
}

impl App {
    /// Parses what every command shares.
    ///
    /// # Errors
    /// `Usage` for a malformed vault id; `Failed` without a home and without `--vault`.
    pub fn new(host: Host, global: Global, json: bool) -> Result<Self> {
        let dir = vault_dir(&host, &global)?;
        let pins = global.pins()?;
        // https://no-color.org: set, and not empty.
        let is_set = |name| host.var(name).is_some_and(|value| !value.is_empty());
        let colour = !is_set("NO_COLOR") && host.var("TERM").is_some_and(|term| term != "dumb");
        Ok(App {
            host,
            ui: Ui::new(json).with_colour(colour),
            global,
            dir,
            pins,
            typed: RefCell::default(),
        })
    }

    /// The person, when questions may be asked: stdin is a terminal and nobody forbade it.
    ///
    /// # Errors
    /// `Failed` when the terminal cannot be opened.
    pub fn person(&self) -> Result<Option<Terminal>> {
        if self.global.non_interactive || !std::io::stdin().is_terminal() {
            return Ok(None);
        }
        Terminal::open()
    }

    /// Asks before something is done that cannot be taken back lightly; `yes` answers for the person.
    /// `what` is the subject of the sentence that says who is missing: `linking changes OpenClaw's
    /// files`.
    ///
    /// # Errors
    /// `Usage` with `hint` when nobody is there to ask, `Cancelled` for a no.
    pub fn agree(
        &self,
        yes: bool,
        question: &str,
        default: bool,
        what: &str,
        hint: &str,
    ) -> Result<()> {
        if yes {
            return Ok(());
        }
        let Some(mut terminal) = self.person()? else {
            return Err(
                Error::usage(format!("{what} asks first, and there is nobody to ask")).hint(hint),
            );
        };
        if terminal.confirm(question, default)? {
            Ok(())
        } else {
            Err(Error::declined())
        }
    }

    /// The terminal, for a passphrase: it is asked for there even when stdin is a pipe.
    fn terminal(&self) -> Result<Option<Terminal>> {
        if self.global.non_interactive {
            return Ok(None);
        }
        Terminal::open()
    }

    /// The keychain, with its dialogs where a person is there.
    pub fn keychain(&self) -> OsKeychain {
        let keychain = OsKeychain::new(&self.host);
        if !self.global.non_interactive && std::io::stdin().is_terminal() {
            keychain.attended(DIALOG)
        } else {
            keychain
        }
    }

    /// What lies in the vault's folder.
    ///
    /// # Errors
    /// `Broken` when the folder is not what it should be.
    pub fn find(&self) -> Result<Found> {
        moved::refuse(&self.dir)?;
        vault::find(&self.dir)
    }

    /// Opens what was left of a vault that is on its way to another user.
    ///
    /// # Errors
    /// As [`App::open`].
    pub fn open_left_behind(&self) -> Result<Vault> {
        self.open_file()
    }

    /// Opens the vault, asking a person for a passphrase where a slot needs one.
    ///
    /// # Errors
    /// `Missing`, `Locked` or `Broken`.
    pub fn open(&self) -> Result<Opened> {
        match self.find()? {
            Found::Vault(Custody::Keychain) => {
                let items = self.open_items()?;
                // The writers of a vault file do this; keychain items have no writer of their own. What
                // cannot be destroyed now is no reason to give no value.
                let over = crate::vault::undo::expire(&self.dir, self.host.now());
                if over.is_ok_and(|over| !over.is_empty()) {
                    items.forget_bundles(&self.dir)?;
                }
                Ok(Opened::Keychain(items))
            }
            Found::Vault(Custody::File) => self.open_file_or_keeper(),
            Found::Nothing => Err(vault::none_in(&self.dir)),
        }
    }

    /// Opens the vault file; keychain custody has none, and no slots, recovery key or rekey.
    ///
    /// # Errors
    /// As [`App::open`], and `Failed` on keychain custody.
    pub fn open_vault_file(&self, what: &str) -> Result<Vault> {
        if self.find()? == Found::Vault(Custody::Keychain) {
            return Err(Error::failed(format!(
                "this vault keeps each value in the keychain, so it has no {what}: the keychain's own lock is the only one"
            ))
            .hint("a vault file has them: clawkeep --vault NEW-DIR init --custody file"));
        }
        self.open_file()
    }

    /// The vault file, by its slots; what a keeper's store does not have is done on it.
    ///
    /// # Errors
    /// As [`App::open`].
    pub fn open_by_slots(&self) -> Result<Opened> {
        match self.find()? {
            Found::Vault(Custody::File) => {
                self.open_file().map(|vault| Opened::File(Box::new(vault)))
            }
            Found::Vault(Custody::Keychain) | Found::Nothing => self.open(),
        }
    }

    /// Where this vault's keeper is, for who manages it: its absence is an answer. Root finds that of a
    /// vault of another user.
    ///
    /// # Errors
    /// As [`Place::of`].
    pub fn keeper_place(&self) -> Result<Place> {
        let mut place = Place::of_any(&self.dir)?;
        place.required = false;
        Ok(place)
    }

    /// A keeper that holds it open comes first. One that gives no more than single values (`once`) is
    /// no store: then the slots are asked, and so a person.
    fn open_file_or_keeper(&self) -> Result<Opened> {
        let place = Place {
            required: false,
            ..Place::of(&self.dir)?
        };
        let found = if self.global.accept_rollback {
            None
        } else {
            match KeeperStore::find(place, &self.pins) {
                Err(error) if error.kind() == Kind::Locked => None,
                other => other?,
            }
        };
        match found {
            Some(keeper) => Ok(Opened::Keeper(keeper)),
            None => self.open_file().map(|vault| Opened::File(Box::new(vault))),
        }
    }

    fn open_items(&self) -> Result<KeychainStore> {
        let id = items_id(&self.dir, &self.pins)?;
        Ok(
            KeychainStore::new(Box::new(self.keychain()), id)
                .with_lock(self.dir.join("vault.lock")),
        )
    }

    fn open_file(&self) -> Result<Vault> {
        let keychain = self.keychain();
        let asked = Cell::new(0);
        let ask = |slot: &SlotName| self.passphrase(slot, &asked);
        let accept_rollback = self.accepts_rollback()?;
        let keys = Keys {
            host: &self.host,
            keychain: &keychain,
            ask: &ask,
            pins: &self.pins,
            accept_rollback,
        };
        loop {
            let before = asked.get();
            match Vault::open(&self.dir, &keys) {
                Err(error)
                    if error.kind() == Kind::Locked
                        && asked.get() > before
                        && asked.get() < TRIES =>
                {
                    self.typed.borrow_mut().clear();
                    self.ui.say(&format!("{error}, try again"));
                }
                other => return other,
            }
        }
    }

    /// The vault file, to be held open.
    ///
    /// # Errors
    /// As [`App::open`].
    pub fn hold_open(&self) -> Result<Held> {
        let keychain = self.keychain();
        let asked = Cell::new(0);
        let ask = |slot: &SlotName| self.passphrase(slot, &asked);
        let keys = Keys {
            host: &self.host,
            keychain: &keychain,
            ask: &ask,
            pins: &self.pins,
            accept_rollback: self.accepts_rollback()?,
        };
        Held::open(&self.dir, &keys)
    }

    /// The passphrase of a slot: from the file that was named, or from a person.
    fn passphrase(&self, slot: &SlotName, asked: &Cell<u32>) -> Result<Option<SecretString>> {
        if let Some(path) = &self.global.passphrase_file {
            return read_passphrase_file(path).map(Some);
        }
        // A command that opens the vault twice asks once.
        if let Some(known) = self.typed.borrow().get(slot) {
            return Ok(Some(known.clone()));
        }
        let Some(mut terminal) = self.terminal()? else {
            return Ok(None);
        };
        let typed =
            terminal.ask_hidden(&format!("Passphrase of slot {slot}: "), Hidden::Passphrase)?;
        asked.set(asked.get() + 1);
        let passphrase = to_passphrase(&typed)?;
        self.typed
            .borrow_mut()
            .insert(slot.clone(), passphrase.clone());
        Ok(Some(passphrase))
    }

    /// The passphrase of a slot that is to be wrapped again: the one that opened the vault where it
    /// was typed in this run, otherwise asked for.
    ///
    /// # Errors
    /// `Cancelled`; `Failed` for an empty one.
    pub fn passphrase_again(&self, slot: &SlotName) -> Result<Option<SecretString>> {
        self.passphrase(slot, &Cell::new(0))
    }

    fn accepts_rollback(&self) -> Result<bool> {
        if !self.global.accept_rollback {
            return Ok(false);
        }
        let Some(mut terminal) = self.person()? else {
            return Err(
                Error::usage("--accept-rollback needs a person at a terminal")
                    .hint("run it at a terminal: clawkeep --accept-rollback secret list"),
            );
        };
        if terminal.confirm(
            "Accept an older copy of the vault? Values stored since then are lost.",
            false,
        )? {
            Ok(true)
        } else {
            Err(Error::cancelled())
        }
    }

    /// Opens the vault with the recovery key from a file, or from a person.
    ///
    /// # Errors
    /// As [`Vault::open_with_recovery`].
    pub fn open_with_recovery(&self, file: Option<&Path>) -> Result<Vault> {
        let key = self.recovery_key(file)?;
        let vault = self.open_by(&key)?;
        // Who knows the key's public half could have made such a file: only a person can tell.
        self.ui.say(&format!(
            "The recovery key opens the vault {} with {}. Is that yours? Its id stands on your sheet, \
             unless it was given a new one since (rekey, a removed slot).",
            vault.id().short(),
            super::ui::secrets(vault.contents().secrets.len())
        ));
        Ok(vault)
    }

    /// Opens the vault with this recovery key.
    ///
    /// # Errors
    /// As [`Vault::open_with_recovery`].
    pub fn open_by(&self, key: &Identity) -> Result<Vault> {
        let accept = self.accepts_rollback()?;
        Vault::open_with_recovery(&self.dir, &self.host, key, &self.pins, accept)
    }

    /// The recovery key from a file, or typed back by a person.
    ///
    /// # Errors
    /// `Broken` when it is no such key, `Usage` when there is nobody to ask.
    pub fn recovery_key(&self, file: Option<&Path>) -> Result<Identity> {
        if let Some(path) = file {
            let bytes = file::read(path, 4096, Privacy::Private)?
                .ok_or_else(|| Error::missing(format!("there is no file {}", path.display())))?;
            return crate::vault::identity::IdentityText::parse(&bytes)
                .map(|text| text.identity)
                .map_err(|error| error.context(path.display()));
        }
        let Some(mut terminal) = self.terminal()? else {
            return Err(
                Error::usage("the recovery key is typed at a terminal, and there is none")
                    .hint("use --recovery-file FILE"),
            );
        };
        let typed = terminal.ask_hidden("Recovery key: ", Hidden::Key)?;
        parse_recovery(&typed)
    }
}

/// The vault's folder, absolute: the one that was named, or the default.
///
/// # Errors
/// `Failed` without a home and without `--vault`.
pub fn vault_dir(host: &Host, global: &Global) -> Result<PathBuf> {
    let dir = match (&global.vault, host.path_var("CLAWKEEP_VAULT")) {
        (Some(dir), _) => dir.clone(),
        (None, Some(dir)) => dir,
        (None, None) => host.default_vault_dir()?,
    };
    host.absolute(&dir)
}

impl Global {
    /// The vault ids that the caller trusts.
    ///
    /// # Errors
    /// `Usage` for a malformed one.
    pub fn pins(&self) -> Result<Vec<VaultId>> {
        self.vault_id.iter().map(|id| VaultId::parse(id)).collect()
    }
}

/// A recovery key as typed: case and blanks do not matter, its checksum finds typing mistakes.
///
/// # Errors
/// `Broken` when it is none.
pub fn parse_recovery(typed: &[u8]) -> Result<Identity> {
    let mut text = Zeroizing::new(String::with_capacity(typed.len()));
    for byte in typed.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        text.push(char::from(byte.to_ascii_uppercase()));
    }
    Identity::parse(&text).map_err(|_| {
        Error::broken(
            "that is no recovery key: there is a typing mistake in it, or a part is missing",
        )
        .hint("clawkeep recovery check")
    })
}

/// The id of a vault of keychain custody, checked against the pins.
///
/// # Errors
/// `Broken` when `vault.json` does not say it, or a pin differs.
pub fn items_id(dir: &Path, pins: &[VaultId]) -> Result<VaultId> {
    let id = Cache::load(dir)?
        .and_then(|cache| cache.vault_id)
        .or_else(|| pins.first().copied())
        .ok_or_else(|| {
            Error::broken(format!(
                "vault.json in {} does not say which vault this is",
                dir.display()
            ))
            .hint("name it: clawkeep --vault-id ID secret list")
        })?;
    if !pins.is_empty() && !pins.contains(&id) {
        return Err(Error::broken(
            "another vault was put in this one's place: --vault-id names a different vault id",
        ));
    }
    Ok(id)
}

/// Reads a passphrase from a private file; one trailing newline is not part of it.
///
/// # Errors
/// `Broken` when the file is open to others.
pub fn read_passphrase_file(path: &Path) -> Result<SecretString> {
    let bytes = file::read(path, MAX_SECRET, Privacy::Private)?
        .ok_or_else(|| Error::missing(format!("there is no file {}", path.display())))?;
    let end = bytes.strip_suffix(b"\n").map_or(bytes.len(), <[u8]>::len);
    let line = &bytes[..end];
    to_passphrase(line.strip_suffix(b"\r").unwrap_or(line))
}

/// A passphrase as typed.
///
/// # Errors
/// `Failed` when it is empty or not UTF-8.
pub fn to_passphrase(typed: &[u8]) -> Result<SecretString> {
    if typed.is_empty() {
        return Err(Error::failed("the passphrase is empty"));
    }
    let text = std::str::from_utf8(typed)
        .map_err(|_| Error::failed("the passphrase is not UTF-8 text"))?;
    let mut exact = String::with_capacity(text.len());
    exact.push_str(text);
    Ok(SecretString::from(exact))
}

/// A value from stdin when it is piped, otherwise typed by the person.
///
/// # Errors
/// `Failed` for a value that cannot be one, `Usage` when there is nobody to ask.
pub fn take_value(
    app: &App,
    prompt: &str,
    hidden: Hidden,
    alphabet: crate::secret::Alphabet,
) -> Result<Secret> {
    let bytes = if let Some(piped) = terminal::from_stdin(MAX_SECRET)? {
        piped
    } else {
        let Some(mut terminal) = app.person()? else {
            return Err(Error::usage(
                "the value is typed at a terminal or piped, and there is neither",
            )
            .hint("printf %s \"$TOKEN\" | clawkeep …"));
        };
        terminal.ask_hidden(prompt, hidden)?
    };
    Secret::new(&bytes, alphabet)
}
