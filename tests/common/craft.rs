//! Vault and slot files that clawkeep would not write, made from its documented format alone.
//!
//! Knows age, HMAC and JSON, and nothing of clawkeep's code: so it is a second reading of the format.

use age::x25519::Identity;
use age_core::format::{FileKey, Stanza};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};

/// The content of an age file, opened with a key in its text form.
pub fn opened(file: &[u8], key: &str) -> Vec<u8> {
    let identity: Identity = key_line(key).parse().expect("an age key");
    let decryptor = age::Decryptor::new(file).expect("an age file");
    let mut content = Vec::new();
    decryptor
        .decrypt(std::iter::once(&identity as &dyn age::Identity))
        .expect("a file for this key")
        .read_to_end(&mut content)
        .expect("a whole file");
    content
}

/// The key in an identity file.
pub fn key_line(text: &str) -> &str {
    text.lines()
        .find(|line| line.starts_with("AGE-SECRET-KEY-1"))
        .expect("a key")
        .trim()
}

/// Line 1 of a vault, as JSON.
pub fn body(vault_age: &[u8], key: &str) -> serde_json::Value {
    let content = opened(vault_age, key);
    let line = content.split(|byte| *byte == b'\n').next();
    serde_json::from_slice(line.expect("a line")).expect("one line of JSON")
}

/// A content sealed to the vault's own key.
pub fn sealed(content: &[u8], key: &str) -> Vec<u8> {
    let identity: Identity = key.parse().expect("an age key");
    encrypted(&identity.to_public(), content)
}

/// Line 1 and its right MAC line, padded.
pub fn authentic(line: &str, key: &str) -> Vec<u8> {
    let mut content = line.as_bytes().to_vec();
    let tail = "\n{\"mac\":\"\"}\n".len() + 64;
    let whole = (content.len() + tail).next_multiple_of(4096);
    content.resize(whole - tail, b' ');
    let mac = mac(&content, key);
    content.extend_from_slice(format!("\n{{\"mac\":\"{mac}\"}}\n").as_bytes());
    content
}

/// The MAC of line 1 in hex.
pub fn mac(line: &[u8], key: &str) -> String {
    let identity: Identity = key.parse().expect("an age key");
    let id = Sha256::digest(identity.to_public().to_string().as_bytes());
    let secret: Vec<u8> = bech32::primitives::decode::CheckedHrpstring::new::<bech32::Bech32>(key)
        .expect("a Bech32 key")
        .byte_iter()
        .collect();
    let mut mac_key = [0; 32];
    Hkdf::<Sha256>::new(Some(&id), &secret)
        .expand(b"clawkeep/v1/mac/vault", &mut mac_key)
        .expect("32 bytes");
    let mut mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(&mac_key).expect("a key");
    mac.update(line);
    let bytes = mac.finalize().into_bytes();
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A passphrase slot whose stanza says `arguments` after a salt, `count` times.
pub fn slot(arguments: &[&str], count: usize) -> Vec<u8> {
    encrypted(&Asking(arguments, count), b"AGE-SECRET-KEY-1FAKE")
}

struct Asking<'a>(&'a [&'a str], usize);

impl age::Recipient for Asking<'_> {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        // The length of a sealed key; what it holds is never looked at.
        let mut body = file_key.expose_secret().to_vec();
        body.extend([0; 16]);
        let mut args = vec!["AAAAAAAAAAAAAAAAAAAAAA".to_owned()];
        args.extend(self.0.iter().map(|text| (*text).to_owned()));
        let stanza = || Stanza {
            tag: "clawkeep.dev/argon2id".to_owned(),
            args: args.clone(),
            body: body.clone(),
        };
        let stanzas = (0..self.1).map(|_| stanza()).collect();
        Ok((stanzas, HashSet::from(["fake".to_owned()])))
    }
}

fn encrypted(recipient: &dyn age::Recipient, content: &[u8]) -> Vec<u8> {
    let encryptor =
        age::Encryptor::with_recipients(std::iter::once(recipient)).expect("a recipient");
    let mut out = Vec::new();
    let mut stream = encryptor.wrap_output(&mut out).expect("a stream");
    stream.write_all(content).expect("memory");
    stream.finish().expect("memory");
    out
}
