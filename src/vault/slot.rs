//! Slots: the ways to obtain the vault identity. Ring 2.
//!
//! A passphrase slot and an identity-file slot are `slots/<name>.age`, a plain age file whose content
//! is the vault identity's text form: under the Argon2id stanza (see [`super::argon`]), or to the
//! X25519 key in the identity file. A keychain slot is no file: the keychain item `clawkeep` /
//! `vault:<vault id>` holds the vault identity itself.
//!
//! Promise: what a slot yields is checked against the vault before it is used; a slot of another
//! vault is an error, never another vault.

use super::argon::{self, Cost, PassphraseIdentity, PassphraseRecipient};
use super::envelope;
use super::id::VaultId;
use super::identity::{Identity, IdentityText, Recipient};
use crate::error::{Error, Kind, Result};
use crate::expiry::Millis;
use crate::file::{self, Privacy};
use crate::json::hex;
use crate::keychain::Item;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The largest slot or identity file that is read: 64 KiB.
const MAX_SLOT: usize = 64 * 1024;

/// A slot's name, a file name: `[a-z0-9][a-z0-9-]{0,31}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotName(String);

impl SlotName {
    /// Parses a slot's name.
    ///
    /// # Errors
    /// `Usage` when it could not be one.
    pub fn parse(text: &str) -> Result<Self> {
        let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let fits = (1..=32).contains(&text.len())
            && text.as_bytes().first().is_some_and(plain)
            && text.as_bytes().iter().all(|b| plain(b) || *b == b'-');
        if fits {
            Ok(SlotName(text.to_owned()))
        } else {
            Err(Error::usage(
                "a slot's name has lower-case letters, digits and - only, at most 32 of them",
            )
            .hint("clawkeep slot list"))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SlotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for SlotName {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SlotName {
    fn deserialize<D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Self, D::Error> {
        use serde::de::Error as _;
        let text = String::deserialize(deserializer)?;
        SlotName::parse(&text).map_err(|_| D::Error::custom("bad slot name"))
    }
}

/// How a slot yields the identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SlotKind {
    /// The operating system's keychain holds it.
    Keychain,
    /// A passphrase opens it, at this cost.
    Passphrase(Cost),
    /// A private file holds a key that opens it.
    IdentityFile {
        /// Where the file lies, absolute. Not below the vault's folder.
        path: PathBuf,
        /// The file's public half.
        recipient: Recipient,
    },
}

impl SlotKind {
    /// The word used on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            SlotKind::Keychain => "keychain",
            SlotKind::Passphrase(_) => "passphrase",
            SlotKind::IdentityFile { .. } => "identity-file",
        }
    }

    /// Whether it opens without a person.
    pub fn unattended(&self) -> bool {
        !matches!(self, SlotKind::Passphrase(_))
    }
}

/// One slot, as the vault's body and its cache list it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Its name, unique in the vault.
    pub name: SlotName,
    /// When it was made.
    pub created: Millis,
    /// How it yields the identity.
    #[serde(flatten)]
    pub kind: SlotKind,
}

/// Where a slot's file lies.
pub(super) fn path(dir: &Path, name: &SlotName) -> PathBuf {
    dir.join("slots").join(format!("{name}.age"))
}

/// Where the file of a slot lies until the vault lists that slot.
pub(super) fn staged_path(dir: &Path, id: &VaultId, slot: &Slot) -> PathBuf {
    dir.join("slots").join(staged_name(id, slot))
}

/// The name of that file: `<name>.<tag>.age`. The tag, 16 hex digits of a SHA-256 over the vault's id
/// and the slot as the vault will list it, lets the next writer tell, from the vault's body alone,
/// whether that moment came.
pub fn staged_name(id: &VaultId, slot: &Slot) -> String {
    format!("{}.{}.age", slot.name, tag(id, slot))
}

fn tag(id: &VaultId, slot: &Slot) -> String {
    // A slot has no reason to fail as JSON; were all tags the same, nothing would be lost by it but
    // the telling apart.
    let text = serde_json::to_vec(slot).unwrap_or_default();
    let hash = Sha256::new()
        .chain_update(b"clawkeep/v1/staged-slot\0")
        .chain_update(id.as_bytes())
        .chain_update(text)
        .finalize();
    hex(&hash[..8])
}

/// The slot that a file in the folder `slots` belongs to, and its tag while it is staged.
pub(super) fn file_name(name: &str) -> Option<(SlotName, Option<&str>)> {
    let stem = name.strip_suffix(".age")?;
    let (name, tag) = match stem.split_once('.') {
        Some((name, tag)) => (name, Some(tag)),
        None => (stem, None),
    };
    let is_tag = |tag: &str| tag.len() == 16 && tag.bytes().all(|b| b.is_ascii_hexdigit());
    let name = SlotName::parse(name).ok()?;
    tag.is_none_or(is_tag).then_some((name, tag))
}

/// The names of the files in the folder `slots`, sorted; none when it is not there.
///
/// # Errors
/// `Broken` when it is a link or open to others: who writes there could have other files removed.
pub(super) fn file_names(dir: &Path) -> Result<Vec<String>> {
    let slots = dir.join("slots");
    match file::check_private_dir(&slots) {
        Err(error) if error.kind() == Kind::Missing => return Ok(Vec::new()),
        other => other?,
    }
    let entries = std::fs::read_dir(&slots).map_err(|error| Error::io("read", &slots, &error))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// The files that a slot may be in: its own, and those staged for it.
pub(super) fn files(dir: &Path, name: &SlotName) -> Result<Vec<PathBuf>> {
    let staged = file_names(dir)?
        .into_iter()
        .filter(|file| matches!(file_name(file), Some((of, Some(_))) if of == *name))
        .map(|file| dir.join("slots").join(file));
    Ok([path(dir, name)].into_iter().chain(staged).collect())
}

/// The keychain item of a vault's keychain slot.
pub fn keychain_item(id: &VaultId) -> Item {
    Item::new("clawkeep", format!("vault:{id}"))
}

/// A slot's file under a passphrase.
pub(super) fn wrap_passphrase(
    vault: &Identity,
    passphrase: &SecretString,
    cost: Cost,
) -> Result<Vec<u8>> {
    envelope::encrypt(
        &[&PassphraseRecipient { passphrase, cost }],
        vault.text().as_bytes(),
    )
}

/// A slot's file to an identity file's key.
pub(super) fn wrap_recipient(vault: &Identity, recipient: &Recipient) -> Result<Vec<u8>> {
    envelope::encrypt(&[recipient.as_age()], vault.text().as_bytes())
}

/// Opens a passphrase slot's file.
pub(super) fn unwrap_passphrase(file: &[u8], passphrase: &SecretString) -> Result<Identity> {
    let identity = PassphraseIdentity {
        passphrase,
        refusal: std::cell::RefCell::new(None),
    };
    let opened = decrypt(file, &identity);
    match identity.refusal.into_inner() {
        Some(refusal) => Err(refusal),
        None => opened.and_then(|bytes| content(&bytes)),
    }
}

/// Opens an identity-file slot's file.
pub(super) fn unwrap_identity(file: &[u8], key: &Identity) -> Result<Identity> {
    decrypt(file, key.as_age()).and_then(|bytes| content(&bytes))
}

fn content(bytes: &[u8]) -> Result<Identity> {
    std::str::from_utf8(bytes)
        .map_err(|_| ())
        .and_then(|text| Identity::parse(text.trim_end()).map_err(|_| ()))
        .map_err(|()| Error::broken("the slot's file opens but holds no vault identity"))
}

fn decrypt(file: &[u8], identity: &dyn age::Identity) -> Result<Zeroizing<Vec<u8>>> {
    use age::DecryptError as E;
    if !file.starts_with(b"age-encryption.org/") {
        return Err(Error::broken("the slot's file is not an age file"));
    }
    let damaged = || Error::broken("the slot's file is damaged or was cut off");
    let decryptor = age::Decryptor::new_buffered(file).map_err(|_| damaged())?;
    let mut stream = decryptor
        .decrypt(std::iter::once(identity))
        .map_err(|error| match error {
            E::NoMatchingKeys => Error::broken("the slot's file was not made for this key"),
            _ => damaged(),
        })?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(file.len()));
    stream.read_to_end(&mut bytes).map_err(|_| damaged())?;
    Ok(bytes)
}

/// Reads a slot's file. `None` when it is not there.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
    file::read(path, MAX_SLOT, Privacy::Private)
}

/// Refuses an identity file that lies with the vault: one backup would hold lock and key, and who
/// can write only that folder could put a vault of his own there, with the key that opens it.
///
/// # Errors
/// `Usage` when it lies in the vault's folder, by whatever links; `Broken` when its path is not
/// absolute.
pub fn outside_vault(dir: &Path, path: &Path) -> Result<()> {
    if !path.is_absolute() {
        return Err(Error::broken(
            "the path of the identity file is not absolute",
        ));
    }
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or(path);
    let inside = [path.to_owned(), real(path), real(folder)]
        .iter()
        .any(|path| path.starts_with(dir) || path.starts_with(real(dir)));
    if !inside {
        return Ok(());
    }
    Err(Error::usage(format!(
        "the identity file {} would lie in the vault's own folder: one backup would hold lock and key",
        path.display()
    ))
    .hint("use --identity-file ~/.config/clawkeep/identity.txt"))
}

/// Whether a slot's path is where systemd shows a service its credential. Only that service reads it,
/// through its own variable; nobody writes it.
pub fn is_credential(path: &Path) -> bool {
    path.starts_with("/run/credentials")
}

/// Reads an identity file. `None` when it is not there, or is a service's credential.
///
/// # Errors
/// `Locked` when this user may not read it, `Broken` when it is open to others or no identity file.
pub fn read_identity_file(path: &Path) -> Result<Option<IdentityText>> {
    // To others than its service it is out of reach, whatever its rights say at the moment.
    if is_credential(path) {
        return Ok(None);
    }
    let bytes = match file::read(path, MAX_SLOT, Privacy::Private) {
        Err(error) if error.kind() == Kind::Failed => return Err(error.as_kind(Kind::Locked)),
        other => other?,
    };
    bytes
        .map(|bytes| IdentityText::parse(&bytes).map_err(|error| error.context(path.display())))
        .transpose()
}

/// Compares the cost in a passphrase slot's file with the one in the vault's authenticated body. A
/// cheaper file in its place would let a thief of it guess faster than was chosen.
pub(super) fn check_cost(dir: &Path, slot: &Slot) -> Result<()> {
    let SlotKind::Passphrase(said) = &slot.kind else {
        return Ok(());
    };
    let found = read(&path(dir, &slot.name))?
        .map(|bytes| cost_of(&bytes))
        .transpose()?
        .flatten();
    match found {
        Some(found) if found != *said => Err(Error::broken(format!(
            "the file of slot {} asks for another cost than the vault says: it was exchanged",
            slot.name
        ))
        .hint("open the vault another way and run: clawkeep slot add passphrase --replace")),
        _ => Ok(()),
    }
}

/// The cost that a passphrase slot's file asks for, without opening it.
///
/// # Errors
/// `Broken` when its header is malformed or asks for too much.
pub fn cost_of(file: &[u8]) -> Result<Option<Cost>> {
    /// Never unwraps: it only looks at the stanzas.
    struct Look(std::cell::RefCell<Result<Option<Cost>>>);
    impl age::Identity for Look {
        fn unwrap_stanza(
            &self,
            _: &age_core::format::Stanza,
        ) -> Option<std::result::Result<age_core::format::FileKey, age::DecryptError>> {
            None
        }
        fn unwrap_stanzas(
            &self,
            stanzas: &[age_core::format::Stanza],
        ) -> Option<std::result::Result<age_core::format::FileKey, age::DecryptError>> {
            *self.0.borrow_mut() = argon::cost_in(stanzas);
            None
        }
    }
    let look = Look(std::cell::RefCell::new(Ok(None)));
    let _ = decrypt(file, &look);
    look.0.into_inner()
}
