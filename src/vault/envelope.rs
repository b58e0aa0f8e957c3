//! `vault.age` on disk, format 1: age outside, two lines inside. Ring 2.
//!
//! A plain age v1 file with X25519 recipients: the vault identity and, where there is one, the
//! recovery key. Stock `age -d` opens it. The plaintext is
//!
//! ```text
//! {"format":"clawkeep-vault","version":1,…}          one line of JSON, padded with spaces
//! {"mac":"<64 hex digits>"}
//! ```
//!
//! and its length is a multiple of 4,096 bytes, so that the file's size tells little about what is
//! stored. The MAC is HMAC-SHA256 over the exact bytes of line 1 (without its newline), under
//! HKDF-SHA256 of the vault identity's 32 secret bytes, salt the vault id, info
//! `clawkeep/v1/mac/vault`: age files with public-key recipients say nothing about who wrote them.
//!
//! Undo bundles have the same form with the info `clawkeep/v1/mac/undo`.
//!
//! Promise: nothing is parsed before the whole stream was read and the MAC compared, in constant
//! time. Source of the outer format: <https://c2sp.org/age>.

use super::id::VaultId;
use super::identity::{Identity, Recipient};
use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use crate::json::{hex, unhex};
use crate::wipe::Wiped;
use hmac::Mac;
use memchr::memchr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::Path;
use zeroize::Zeroizing;

/// The largest vault file that is read: 256 MiB.
pub const MAX_FILE: usize = 256 * 1024 * 1024;

/// The longest age header that is read: a vault has two recipients, and trying a key on each of the
/// millions that fit into a large file takes minutes.
const MAX_HEADER: usize = 16 * 1024;

const PAD: usize = 4096;
/// What SHA-256 takes at a time, in bytes.
const HASH_BLOCK: usize = 64;
const MAC_LINE: usize = r#"{"mac":""}"#.len() + 64;

/// What a sealed file is. Each sort has a MAC of its own, so that none passes for another.
#[derive(Debug, Clone, Copy)]
pub struct Sort {
    context: &'static str,
    /// How errors name the file.
    said: &'static str,
    /// What is in it.
    holds: &'static str,
    /// What mends it.
    mend: &'static str,
}

/// `vault.age`.
pub const VAULT: Sort = Sort {
    context: "clawkeep/v1/mac/vault",
    said: "vault.age",
    holds: "a vault",
    mend: "put a copy back that you trust, then: clawkeep secret list",
};

/// A file in the folder `undo`: see [`super::undo`].
pub const UNDO: Sort = Sort {
    context: "clawkeep/v1/mac/undo",
    said: "the undo bundle",
    holds: "a bundle",
    mend: "put a copy back that you trust, or destroy it: clawkeep migrate --forget",
};

/// The authenticated line 1 of a vault, with its padding.
pub struct Body {
    bytes: Wiped,
    line: usize,
    mac: [u8; 32],
}

impl Body {
    /// Line 1 without its newline.
    pub fn line(&self) -> &[u8] {
        &self.bytes[..self.line]
    }

    /// The MAC: with the generation, what tells one state of the vault from another.
    pub fn mac(&self) -> [u8; 32] {
        self.mac
    }
}

/// A `vault.age` that was found and checked, not yet read. It is decrypted as it is read, so that
/// memory holds its plaintext alone; a writer puts a new file in its place, so this one stays whole.
pub struct Sealed {
    file: File,
    size: usize,
}

impl Sealed {
    /// Opens the file. `Ok(None)` when it does not exist.
    ///
    /// # Errors
    /// `Broken` when it is not what it should be; see [`crate::file::open`].
    pub fn find(path: &Path) -> Result<Option<Self>> {
        let found = file::open(path, MAX_FILE, Privacy::Private)?;
        Ok(found.map(|(file, size)| Sealed { file, size }))
    }

    /// From its start, each time.
    fn reader(&self) -> std::io::Result<BufReader<std::io::Take<&File>>> {
        let mut file = &self.file;
        file.rewind()?;
        Ok(BufReader::with_capacity(
            MAX_HEADER,
            file.take(self.size as u64),
        ))
    }
}

/// Why a file did not open.
pub enum Refusal {
    /// It is not encrypted to this identity; another one may fit.
    NotForThisKey,
    /// It is damaged, forged, or no vault.
    Error(Error),
}

/// Decrypts `file` with the vault identity and checks who wrote it.
pub fn open(file: &Sealed, identity: &Identity) -> std::result::Result<Body, Refusal> {
    open_as(VAULT, file, identity)
}

/// The same for a file of any sort.
pub fn open_as(
    sort: Sort,
    file: &Sealed,
    identity: &Identity,
) -> std::result::Result<Body, Refusal> {
    let bytes = decrypt(sort, file, identity)?;
    authenticate_as(sort, bytes, identity).map_err(Refusal::Error)
}

/// Whether `file` is encrypted to this identity, by its header alone: says nothing about who wrote it.
///
/// # Errors
/// As [`open`].
pub(super) fn is_for(sort: Sort, file: &Sealed, identity: &Identity) -> Result<bool> {
    match start(sort, file, identity) {
        Ok(_) => Ok(true),
        Err(Refusal::NotForThisKey) => Ok(false),
        Err(Refusal::Error(error)) => Err(error),
    }
}

/// Decrypts `file` with the recovery key. The body is returned unchecked with a way to check it,
/// since the MAC key is in the body itself.
pub(super) fn open_unauthenticated(
    file: &Sealed,
    recovery: &Identity,
) -> std::result::Result<Wiped, Refusal> {
    decrypt(VAULT, file, recovery)
}

/// Splits a plaintext into its two lines and compares the MAC.
pub(super) fn authenticate(bytes: Wiped, identity: &Identity) -> Result<Body> {
    authenticate_as(VAULT, bytes, identity)
}

fn authenticate_as(sort: Sort, bytes: Wiped, identity: &Identity) -> Result<Body> {
    let (line, said) = split(sort, &bytes)?;
    let mut mac = identity.mac(&identity.vault_id(), sort.context)?;
    mac.update(&bytes[..line]);
    mac.verify_slice(&said).map_err(|_| {
        Error::broken(format!(
            "{} was not written by a holder of this vault's identity (its MAC is wrong)",
            sort.said
        ))
        .hint(sort.mend)
    })?;
    Ok(Body {
        bytes,
        line,
        mac: said,
    })
}

fn split(sort: Sort, bytes: &[u8]) -> Result<(usize, [u8; 32])> {
    let bad = || {
        Error::broken(format!(
            "{} opens but does not hold {} (its two lines are not there)",
            sort.said, sort.holds
        ))
        .hint(sort.mend)
    };
    let line = memchr(b'\n', bytes).ok_or_else(bad)?;
    let rest = &bytes[line + 1..];
    if rest.len() != MAC_LINE + 1 || rest[MAC_LINE] != b'\n' {
        return Err(bad());
    }
    let mac = std::str::from_utf8(&rest[..MAC_LINE])
        .ok()
        .and_then(|text| text.strip_prefix(r#"{"mac":""#))
        .and_then(|text| text.strip_suffix(r#""}"#))
        .and_then(unhex)
        .ok_or_else(bad)?;
    Ok((line, mac))
}

fn decrypt(sort: Sort, file: &Sealed, identity: &Identity) -> std::result::Result<Wiped, Refusal> {
    // The plaintext is shorter than the file.
    match Wiped::read(start(sort, file, identity)?, file.size) {
        Ok(Some(bytes)) => Ok(bytes),
        _ => Err(damaged(sort)),
    }
}

fn damaged(sort: Sort) -> Refusal {
    Refusal::Error(
        Error::broken(format!("{} is damaged or was cut off", sort.said)).hint(sort.mend),
    )
}

/// The plaintext's stream: the header was read and fits.
fn start<'f>(
    sort: Sort,
    file: &'f Sealed,
    identity: &Identity,
) -> std::result::Result<impl Read + use<'f>, Refusal> {
    use age::DecryptError as E;
    let unreadable =
        |error: &std::io::Error| Refusal::Error(Error::io("read", Path::new(sort.said), error));
    let mut reader = file.reader().map_err(|error| unreadable(&error))?;
    let start = reader.fill_buf().map_err(|error| unreadable(&error))?;
    let has_end = start.windows(4).any(|four| four == b"\n---");
    if !start.starts_with(b"age-encryption.org/") {
        return Err(Refusal::Error(
            Error::broken(format!("{} is not an age file", sort.said)).hint(sort.mend),
        ));
    }
    if !has_end {
        return Err(damaged(sort));
    }
    let decryptor = age::Decryptor::new_buffered(reader).map_err(|error| match error {
        E::UnknownFormat => Refusal::Error(
            Error::broken(format!(
                "{} is of a newer age format than this program reads",
                sort.said
            ))
            .hint("install the newest clawkeep"),
        ),
        _ => damaged(sort),
    })?;
    decryptor
        .decrypt(std::iter::once(identity.as_age() as &dyn age::Identity))
        .map_err(|error| match error {
            E::NoMatchingKeys => Refusal::NotForThisKey,
            _ => damaged(sort),
        })
}

/// Pads, authenticates and encrypts line 1. `write` appends the line to a buffer with `room` bytes
/// of capacity, which it must not exceed.
///
/// # Errors
/// `Failed` when the cipher refuses, which it has no reason to.
pub fn seal(
    identity: &Identity,
    recovery: Option<&Recipient>,
    room: usize,
    write: impl FnOnce(&mut Vec<u8>),
) -> Result<(Vec<u8>, [u8; 32])> {
    seal_as(VAULT, identity, recovery, room, write)
}

/// The same for a file of any sort.
///
/// # Errors
/// As [`seal`].
pub fn seal_as(
    sort: Sort,
    identity: &Identity,
    recovery: Option<&Recipient>,
    room: usize,
    write: impl FnOnce(&mut Vec<u8>),
) -> Result<(Vec<u8>, [u8; 32])> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(room + HASH_BLOCK + MAC_LINE + 2 + PAD));
    write(&mut bytes);
    // At least one block of the hash ends the line: its last block stays behind in the hash's state,
    // on the stack, and must not hold the end of a value.
    let unpadded = bytes.len() + HASH_BLOCK + 1 + MAC_LINE + 1;
    let padded = unpadded.div_ceil(PAD) * PAD;
    let line = bytes.len() + HASH_BLOCK + padded - unpadded;
    bytes.resize(line, b' ');
    let mac = mac_of(sort, &bytes, identity, &identity.vault_id())?;
    bytes.push(b'\n');
    bytes.extend_from_slice(format!(r#"{{"mac":"{}"}}"#, hex(&mac)).as_bytes());
    bytes.push(b'\n');
    let own = identity.recipient();
    let mut recipients: Vec<&dyn age::Recipient> = vec![own.as_age()];
    if let Some(recovery) = recovery {
        recipients.push(recovery.as_age());
    }
    Ok((encrypt(&recipients, &bytes)?, mac))
}

fn mac_of(sort: Sort, line: &[u8], identity: &Identity, id: &VaultId) -> Result<[u8; 32]> {
    let mut mac = identity.mac(id, sort.context)?;
    mac.update(line);
    Ok(mac.finalize().into_bytes().into())
}

/// Encrypts `plaintext` to `recipients` as an age file.
pub(super) fn encrypt(recipients: &[&dyn age::Recipient], plaintext: &[u8]) -> Result<Vec<u8>> {
    let failed = || Error::failed("the age encryption failed");
    let encryptor =
        age::Encryptor::with_recipients(recipients.iter().copied()).map_err(|_| failed())?;
    let mut out = Vec::with_capacity(plaintext.len() + plaintext.len() / 4096 + 1024);
    let mut stream = encryptor.wrap_output(&mut out).map_err(|_| failed())?;
    stream.write_all(plaintext).map_err(|_| failed())?;
    stream.finish().map_err(|_| failed())?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(bytes: &[u8], identity: &Identity) -> std::result::Result<Body, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault.age");
        file::replace(&path, bytes, 0o600).unwrap();
        let sealed = Sealed::find(&path).unwrap().unwrap();
        // Each look is from the start.
        let _ = open(&sealed, &Identity::generate());
        open(&sealed, identity).map_err(|refusal| match refusal {
            Refusal::NotForThisKey => "not for this key".to_owned(),
            Refusal::Error(error) => error.message().to_owned(),
        })
    }

    #[test]
    fn what_was_sealed_opens_and_no_changed_byte_does() {
        let identity = Identity::generate();
        // The second is larger than one chunk of age, and than what is paged in at once.
        for size in [10, 1_500_000] {
            let line = vec![b'x'; size];
            let (sealed, mac) =
                seal(&identity, None, size, |out| out.extend_from_slice(&line)).unwrap();
            let body = opened(&sealed, &identity).unwrap();
            assert_eq!(body.line().trim_ascii_end(), line);
            assert_eq!(body.mac(), mac);
            for at in (0..sealed.len()).step_by(sealed.len() / 23) {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert!(opened(&changed, &identity).is_err(), "byte {at}");
                assert!(opened(&sealed[..at], &identity).is_err(), "cut at {at}");
            }
            let longer = [sealed.as_slice(), b"x"].concat();
            assert!(opened(&longer, &identity).is_err());
        }
    }

    #[test]
    fn who_knows_only_the_public_half_cannot_write_a_vault() {
        let (identity, forger) = (Identity::generate(), Identity::generate());
        let recipient = identity.recipient();
        let mac = hex(&mac_of(VAULT, b"{}", &forger, &identity.vault_id()).unwrap());
        for (plaintext, said) in [
            (format!("{{}}\n{{\"mac\":\"{mac}\"}}\n"), "its MAC is wrong"),
            (
                format!("{{}}\n\n{{\"mac\":\"{mac}\"}}\n"),
                "two lines are not",
            ),
            (format!("{{}}\n{{\"mac\":\"{mac}\"}}"), "two lines are not"),
            ("{}".to_owned(), "two lines are not"),
            (String::new(), "two lines are not"),
        ] {
            let file = encrypt(&[recipient.as_age()], plaintext.as_bytes()).unwrap();
            let refused = opened(&file, &identity).err().expect("refused");
            assert!(refused.contains(said), "{refused}");
        }
    }
}
