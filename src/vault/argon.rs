//! The Argon2id stanza of a passphrase slot. Ring 2; door to `argon2`.
//!
//! A slot file is an age v1 file with this one recipient stanza (age adds grease, which readers
//! ignore). An empty random label keeps age from mixing it with any other recipient, as for scrypt.
//!
//! ```text
//! -> clawkeep.dev/argon2id <salt> <m> <t> <p>
//! <body>
//! ```
//!
//! - `salt`: 16 random bytes, unpadded canonical base64 (22 characters);
//! - `m` (KiB), `t`, `p`: decimal without sign or leading zero, 65,536 ≤ m ≤ 1,048,576,
//!   1 ≤ t ≤ 16, 1 ≤ p ≤ 8: anything else is refused before any work is done;
//! - key: Argon2id version 0x13 (RFC 9106) of the passphrase, 32 bytes, associated data (RFC 9106's
//!   X) `clawkeep.dev/v1/passphrase-slot`;
//! - `body`: the 16 byte file key under ChaCha20-Poly1305 with that key and a zero nonce: exactly 32
//!   bytes, checked before the cipher runs.

use crate::error::{Error, Result};
use crate::host;
use age_core::format::{FileKey, Stanza};
use age_core::primitives::{aead_decrypt, aead_encrypt};
use argon2::{Algorithm, Argon2, AssociatedData, Block, ParamsBuilder, Version};
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use secrecy::ExposeSecret;
use std::collections::HashSet;
use zeroize::{Zeroize, Zeroizing};

/// The stanza's tag.
pub const TAG: &str = "clawkeep.dev/argon2id";

const ASSOCIATED_DATA: &[u8] = b"clawkeep.dev/v1/passphrase-slot";
const SALT: usize = 16;
const FILE_KEY: usize = 16;
const BODY: usize = FILE_KEY + 16;
const MIB: u32 = 1024;

/// What one guess at the passphrase costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cost {
    /// Memory in KiB, 65,536 (64 MiB) to 1,048,576 (1 GiB).
    pub m_kib: u32,
    /// Passes, 1 to 16.
    pub t: u32,
    /// Lanes, 1 to 8.
    pub p: u32,
}

impl Cost {
    /// 256 MiB, 3 passes, 4 lanes.
    pub const DEFAULT: Cost = Cost {
        m_kib: 256 * MIB,
        t: 3,
        p: 4,
    };
    /// The least memory that a slot may ask for: 64 MiB.
    pub const LEAST_KIB: u32 = 64 * MIB;
    /// The most memory that a slot may ask for: 1 GiB.
    pub const MOST_KIB: u32 = 1024 * MIB;

    /// The default, or less where this host or its container has little memory: the largest of 256,
    /// 128 and 64 MiB that is at most a quarter of what is available.
    pub fn for_memory(available: Option<u64>) -> Self {
        let quarter_kib = available.map_or(u64::MAX, |bytes| bytes / 4 / 1024);
        let m_kib = [256 * MIB, 128 * MIB]
            .into_iter()
            .find(|m| u64::from(*m) <= quarter_kib)
            .unwrap_or(Self::LEAST_KIB);
        Cost {
            m_kib,
            ..Self::DEFAULT
        }
    }

    /// Refuses a cost outside the bounds, before any work.
    ///
    /// # Errors
    /// `Broken`: a hostile file could otherwise eat the machine.
    pub fn check(self) -> Result<Self> {
        let fits = (Self::LEAST_KIB..=Self::MOST_KIB).contains(&self.m_kib)
            && (1..=16).contains(&self.t)
            && (1..=8).contains(&self.p);
        if fits {
            Ok(self)
        } else {
            Err(Error::broken(
                "the passphrase slot asks for more work or less safety than clawkeep accepts \
                 (64 MiB to 1 GiB, 1 to 16 passes, 1 to 8 lanes)",
            )
            .hint("open the vault another way and run: clawkeep slot add passphrase --replace"))
        }
    }
}

/// Our stanza, taken apart.
struct Parsed<'a> {
    salt: [u8; SALT],
    cost: Cost,
    body: &'a [u8],
}

fn parse(stanza: &Stanza) -> Result<Parsed<'_>> {
    let bad = || Error::broken("the passphrase slot's header is malformed");
    let [salt, m, t, p] = stanza.args.as_slice() else {
        return Err(bad());
    };
    let decoded = BASE64_STANDARD_NO_PAD.decode(salt).map_err(|_| bad())?;
    let salt: [u8; SALT] = decoded.try_into().map_err(|_| bad())?;
    let cost = Cost {
        m_kib: canonical(m).ok_or_else(bad)?,
        t: canonical(t).ok_or_else(bad)?,
        p: canonical(p).ok_or_else(bad)?,
    }
    .check()?;
    if stanza.body.len() != BODY {
        return Err(bad());
    }
    Ok(Parsed {
        salt,
        cost,
        body: &stanza.body,
    })
}

/// A decimal number as it must be written: one text for one number, so that a file has one form.
fn canonical(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// The cost that a slot file asks for, read from its header. `None` when it has no stanza of ours.
///
/// # Errors
/// `Broken` when the stanza is malformed, there are two, or its cost is refused.
pub fn cost_in(stanzas: &[Stanza]) -> Result<Option<Cost>> {
    let mut ours = stanzas.iter().filter(|stanza| stanza.tag == TAG);
    let Some(first) = ours.next() else {
        return Ok(None);
    };
    if ours.next().is_some() {
        return Err(Error::broken(
            "the passphrase slot has two stanzas; it must have one",
        ));
    }
    parse(first).map(|parsed| Some(parsed.cost))
}

#[allow(
    clippy::disallowed_methods,
    reason = "door: the passphrase into Argon2id"
)]
fn derive(
    passphrase: &secrecy::SecretString,
    salt: &[u8; SALT],
    cost: Cost,
) -> Result<Zeroizing<[u8; 32]>> {
    let refused = |_| Error::failed("Argon2id refused its parameters");
    let params = ParamsBuilder::new()
        .m_cost(cost.m_kib)
        .t_cost(cost.t)
        .p_cost(cost.p)
        .output_len(32)
        .data(AssociatedData::new(ASSOCIATED_DATA).map_err(refused)?)
        .build()
        .map_err(refused)?;
    let mut matrix = Vec::new();
    // The allocator would abort; a small container deserves a sentence.
    matrix
        .try_reserve_exact(params.block_count())
        .map_err(|_| {
            Error::failed(format!(
                "there is not enough memory: this passphrase slot needs {} MiB",
                cost.m_kib / MIB
            ))
        })?;
    matrix.resize(params.block_count(), Block::new());
    let mut key = Zeroizing::new([0u8; 32]);
    let done = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(
            passphrase.expose_secret().as_bytes(),
            salt,
            key.as_mut_slice(),
            &mut matrix[..],
        );
    matrix.iter_mut().for_each(Zeroize::zeroize);
    done.map_err(refused)?;
    Ok(key)
}

/// Wraps with a passphrase.
pub struct PassphraseRecipient<'a> {
    /// The passphrase.
    pub passphrase: &'a secrecy::SecretString,
    /// What one guess will cost.
    pub cost: Cost,
}

impl PassphraseRecipient<'_> {
    /// The stanza that wraps `file_key`.
    ///
    /// # Errors
    /// `Failed` without random bytes or memory.
    #[allow(
        clippy::disallowed_methods,
        reason = "door: the file key into the stanza"
    )]
    pub fn wrap(&self, file_key: &FileKey) -> Result<Stanza> {
        let mut salt = [0u8; SALT];
        host::random(&mut salt)?;
        let key = derive(self.passphrase, &salt, self.cost.check()?)?;
        Ok(Stanza {
            tag: TAG.to_owned(),
            args: vec![
                BASE64_STANDARD_NO_PAD.encode(salt),
                self.cost.m_kib.to_string(),
                self.cost.t.to_string(),
                self.cost.p.to_string(),
            ],
            body: aead_encrypt(&key, file_key.expose_secret()),
        })
    }
}

impl age::Recipient for PassphraseRecipient<'_> {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> std::result::Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        let other = |error: Error| age::EncryptError::Io(std::io::Error::other(error.to_string()));
        let stanza = self.wrap(file_key).map_err(other)?;
        // A label that nobody else can have: this stanza stands alone or not at all, so that opening
        // the file proves knowledge of the passphrase and nothing less.
        let mut label = [0u8; 16];
        host::random(&mut label).map_err(other)?;
        Ok((
            vec![stanza],
            HashSet::from([BASE64_STANDARD_NO_PAD.encode(label)]),
        ))
    }
}

/// Opens our stanza with a passphrase. `None` when the stanza is another's.
///
/// # Errors
/// `Broken` when it is malformed; `Locked` when the passphrase is wrong.
pub fn unwrap(stanza: &Stanza, passphrase: &secrecy::SecretString) -> Option<Result<FileKey>> {
    (stanza.tag == TAG).then(|| {
        let parsed = parse(stanza)?;
        let key = derive(passphrase, &parsed.salt, parsed.cost)?;
        let opened = aead_decrypt(&key, FILE_KEY, parsed.body)
            .map(Zeroizing::new)
            .map_err(|_| Error::locked("the passphrase is wrong"))?;
        FileKey::try_init_with_mut(|into| {
            if opened.len() != FILE_KEY {
                return Err(Error::broken(
                    "the passphrase slot holds a key of another size",
                ));
            }
            into.copy_from_slice(&opened);
            Ok(())
        })
    })
}

/// An age identity that asks our stanza and keeps the reason when it does not open.
pub struct PassphraseIdentity<'a> {
    /// The passphrase.
    pub passphrase: &'a secrecy::SecretString,
    /// Why it did not open; age's own error cannot carry it.
    pub refusal: std::cell::RefCell<Option<Error>>,
}

impl age::Identity for PassphraseIdentity<'_> {
    fn unwrap_stanza(
        &self,
        stanza: &Stanza,
    ) -> Option<std::result::Result<FileKey, age::DecryptError>> {
        unwrap(stanza, self.passphrase).map(|result| {
            result.map_err(|error| {
                *self.refusal.borrow_mut() = Some(error);
                age::DecryptError::DecryptionFailed
            })
        })
    }

    /// All stanzas are at hand here: two of ours, or ours beside another that opens the file, would
    /// let someone without the passphrase put a file of his own in this one's place.
    fn unwrap_stanzas(
        &self,
        stanzas: &[Stanza],
    ) -> Option<std::result::Result<FileKey, age::DecryptError>> {
        if let Err(error) = cost_in(stanzas).and_then(|_| alone(stanzas)) {
            *self.refusal.borrow_mut() = Some(error);
            return Some(Err(age::DecryptError::DecryptionFailed));
        }
        stanzas.iter().find_map(|stanza| self.unwrap_stanza(stanza))
    }
}

/// Grease ends in `-grease` by the age specification; every other stanza beside ours is refused.
fn alone(stanzas: &[Stanza]) -> Result<()> {
    let stranger = stanzas
        .iter()
        .any(|stanza| stanza.tag != TAG && !stanza.tag.ends_with("-grease"));
    if stranger {
        return Err(Error::broken(
            "the passphrase slot can be opened by something else as well; it must stand alone",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHEAP: Cost = Cost {
        m_kib: Cost::LEAST_KIB,
        t: 1,
        p: 1,
    };

    fn stanza(args: &[&str], body: usize) -> Stanza {
        Stanza {
            tag: TAG.to_owned(),
            args: args.iter().map(|a| (*a).to_owned()).collect(),
            body: vec![7; body],
        }
    }

    #[test]
    fn what_was_wrapped_opens_with_the_passphrase_alone() {
        let key = FileKey::new(Box::new([9; 16]));
        let right = secrecy::SecretString::from("fake correct horse");
        let wrong = secrecy::SecretString::from("fake wrong horse");
        let made = PassphraseRecipient {
            passphrase: &right,
            cost: CHEAP,
        }
        .wrap(&key)
        .unwrap();
        assert_eq!(cost_in(std::slice::from_ref(&made)).unwrap(), Some(CHEAP));
        let opened = unwrap(&made, &right).unwrap().unwrap();
        #[allow(clippy::disallowed_methods, reason = "compares fake keys")]
        let same = opened.expose_secret() == key.expose_secret();
        assert!(same);
        let error = unwrap(&made, &wrong).unwrap().err().unwrap();
        assert_eq!(error.message(), "the passphrase is wrong");
    }

    #[test]
    fn excessive_and_malformed_stanzas_are_refused_before_any_work() {
        let salt = "AAAAAAAAAAAAAAAAAAAAAA";
        // 64 GiB, too little, too many passes, leading zero, sign, short salt, short body, no args.
        let cases = [
            stanza(&[salt, "67108864", "3", "4"], 32),
            stanza(&[salt, "1024", "3", "4"], 32),
            stanza(&[salt, "65536", "17", "4"], 32),
            stanza(&[salt, "65536", "3", "9"], 32),
            stanza(&[salt, "065536", "3", "4"], 32),
            stanza(&[salt, "+65536", "3", "4"], 32),
            stanza(&[salt, "99999999999", "3", "4"], 32),
            stanza(&["AAAA", "65536", "3", "4"], 32),
            stanza(&["AAAAAAAAAAAAAAAAAAAAAB", "65536", "3", "4"], 32),
            stanza(&[salt, "65536", "3", "4"], 31),
            stanza(&[salt, "65536", "3"], 32),
            stanza(&[], 32),
        ];
        let passphrase = secrecy::SecretString::from("fake");
        for case in cases {
            let error = unwrap(&case, &passphrase).unwrap().err().unwrap();
            assert_eq!(error.kind(), crate::error::Kind::Broken, "{:?}", case.args);
        }
        let good = || stanza(&[salt, "65536", "3", "4"], 32);
        assert!(cost_in(&[good(), good()]).is_err());
    }

    #[test]
    fn little_memory_means_less_work_but_never_too_little() {
        let mib = 1024 * 1024;
        for (available, kib) in [
            (None, 262_144),
            (Some(8192 * mib), 262_144),
            (Some(600 * mib), 131_072),
            (Some(100 * mib), 65_536),
        ] {
            assert_eq!(Cost::for_memory(available).m_kib, kib);
        }
    }

    proptest! {
        #[test]
        fn hostile_stanzas_do_not_panic(args in proptest::collection::vec("[ -~]{0,30}", 0..6), body in 0usize..64) {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let _ = cost_in(&[stanza(&args, body)]);
        }
    }
}
