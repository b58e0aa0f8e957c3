//! What is put to the test: each scenario uses secrets in one way and lets them go.

use super::scan::Needles;
use clawkeep::error::Result;
use clawkeep::expiry::Millis;
use clawkeep::file::{LOCK_WAIT, Lock};
use clawkeep::host::Host;
use clawkeep::keychain::{Item, Keychain, OsKeychain, Presence};
use clawkeep::openclaw::config::Config;
use clawkeep::openclaw::exec::{self, Answer, Request};
use clawkeep::openclaw::profiles::{self, ProfilesFile};
use clawkeep::openclaw::reference::SecretRef;
use clawkeep::provider::{ProfileId, ProviderId};
use clawkeep::secret::{Alphabet, Secret, SecretId, SecretKind};
use clawkeep::store::{Meta, Resolve as _, Store as _};
use clawkeep::terminal::{self, Hidden, Terminal};
use clawkeep::vault::argon::Cost;
use clawkeep::vault::envelope;
use clawkeep::vault::id::VaultId;
use clawkeep::vault::identity::Identity;
use clawkeep::vault::items::KeychainStore;
use clawkeep::vault::rekey::{Doors, SlotPlan, plant};
use clawkeep::vault::slot::SlotName;
use clawkeep::vault::unlock::Keys;
use clawkeep::vault::{NewVault, Vault};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use zeroize::Zeroizing;

/// The least cost that is accepted.
const CHEAP: Cost = Cost {
    m_kib: Cost::LEAST_KIB,
    t: 1,
    p: 1,
};

/// Runs one; a name that is none of them is a command line.
pub(crate) fn run(scenario: &str, needles: &Needles) {
    match scenario {
        "nothing" => {}
        "store" => drop(filled(needles)),
        "open" => {
            let vault = open();
            assert_eq!(vault.contents().secrets.len(), needles.len());
            let one = vault.get(&id(3)).unwrap().unwrap();
            drop((vault, one));
        }
        "pick" => drop(pick()),
        "answer" => {
            let names: Vec<String> = (0..needles.len()).map(|at| id(at).to_string()).collect();
            let request = serde_json::json!({"protocolVersion": 1, "ids": names}).to_string();
            let request = Request::parse(request.as_bytes()).unwrap();
            let vault = open();
            let get = |name: &str| {
                let found = vault.get(&SecretId::parse(name).unwrap()).unwrap();
                Answer::Value(found.unwrap().0)
            };
            for most in [exec::LARGEST_MAX_OUTPUT, 1000] {
                let answer = exec::answer(&request, most, get);
                std::fs::write("/dev/null", &*answer).unwrap();
            }
        }
        "escapes" => escapes(needles),
        "lengths" => lengths(needles),
        "forged" => forged(needles),
        "malformed" => malformed(needles),
        "passphrase" => passphrase(needles),
        "keychain" => keychain(needles),
        "profiles" => edit_profiles(needles),
        "config" => edit_config(needles),
        "piped" => {
            let value = terminal::from_stdin(4096).unwrap().unwrap();
            drop(Secret::new(&value, Alphabet::Key).unwrap());
        }
        "prompt" => {
            let mut terminal = Terminal::open().unwrap().unwrap();
            let value = terminal.ask_hidden("Key: ", Hidden::Key).unwrap();
            drop(Secret::new(&value, Alphabet::Key).unwrap());
        }
        command => {
            let args = command.split(' ').map(OsString::from);
            let args = std::iter::once(OsString::from("clawkeep")).chain(args);
            let _ = clawkeep::cli::run(Host::real(), args.collect());
        }
    }
}

fn id(at: usize) -> SecretId {
    SecretId::parse(&format!("s/{at}")).unwrap()
}

fn meta() -> Meta {
    let at = Millis::new(1_700_000_000_000).unwrap();
    Meta {
        kind: SecretKind::Token,
        provider: Some(ProviderId::parse("fakeai").unwrap()),
        created: at,
        updated: at,
        expires: None,
        was_plaintext: false,
    }
}

fn secret(needles: &Needles, at: usize) -> Secret {
    Secret::new(&needles.plain(at), Alphabet::Text).unwrap()
}

fn home() -> PathBuf {
    PathBuf::from(std::env::var_os("HOME").unwrap())
}

fn dir() -> PathBuf {
    home().join(".local/share/clawkeep")
}

fn nowhere() -> OsKeychain {
    OsKeychain::on_bus("unix:path=/nonexistent/bus")
}

fn make(identity: Identity, plan: SlotPlan) -> Vault {
    clawkeep::file::private_dir(&dir()).unwrap();
    let (host, keychain) = (Host::real(), nowhere());
    let doors = Doors {
        host: &host,
        keychain: &keychain,
    };
    let name = SlotName::parse("slot").unwrap();
    let slots = vec![plant(&dir(), &identity, &name, plan, &doors).unwrap()];
    let new = NewVault {
        identity,
        recovery: None,
        slots,
    };
    let lock = Lock::take(&dir().join("vault.lock"), LOCK_WAIT).unwrap();
    Vault::create(&dir(), &host, new, &lock).unwrap()
}

fn identity_plan() -> SlotPlan {
    SlotPlan::IdentityFile(home().join(".config/clawkeep/identity.txt"))
}

/// A new vault with every needle in it, one write each.
fn filled(needles: &Needles) -> Vault {
    let mut vault = make(Identity::generate(), identity_plan());
    for at in 0..needles.len() {
        vault.put(&id(at), secret(needles, at), &meta()).unwrap();
    }
    vault
}

fn with_keys<T>(use_them: impl FnOnce(&Keys<'_>) -> T) -> T {
    let (host, keychain) = (Host::real(), nowhere());
    use_them(&Keys {
        host: &host,
        keychain: &keychain,
        ask: &|_| Ok(None),
        pins: &[],
        accept_rollback: false,
    })
}

fn open() -> Vault {
    with_keys(|keys| Vault::open(&dir(), keys)).unwrap()
}

fn pick() -> clawkeep::vault::pick::Picked {
    let picked = with_keys(|keys| Vault::pick(&dir(), keys, &BTreeSet::from([id(7)]))).unwrap();
    assert_eq!(picked.entries.len(), 1);
    picked
}

/// Values that JSON must escape go through its reader's scratch space.
fn escapes(needles: &Needles) {
    let mut vault = make(Identity::generate(), identity_plan());
    for at in 0..needles.len() {
        let plain = needles.plain(at);
        let mut text = Zeroizing::new(Vec::with_capacity(plain.len() + 3));
        text.extend_from_slice(b"\"\n");
        text.extend_from_slice(&plain);
        text.push(b'\\');
        let value = Secret::new(&text, Alphabet::Text).unwrap();
        vault.put(&id(at), value, &meta()).unwrap();
    }
    drop((vault, open(), pick()));
}

/// The needle is the last value of a body that needs no padding.
fn lengths(needles: &Needles) {
    let mut vault = make(Identity::generate(), identity_plan());
    vault
        .put(&SecretId::parse("z").unwrap(), secret(needles, 0), &meta())
        .unwrap();
    let mut size = |length: usize| {
        let value = Secret::new(&vec![b'x'; length], Alphabet::Key).unwrap();
        vault
            .put(&SecretId::parse("a").unwrap(), value, &meta())
            .unwrap();
        // In steps of the padding: age's grease makes some hundred bytes more or less.
        std::fs::metadata(dir().join("vault.age")).unwrap().len() / 4096
    };
    // The longest value with which the file does not grow: then nothing but what must be pads it.
    let least = size(1);
    let (mut fits, mut grows) = (1, 4096);
    while fits + 1 < grows {
        let middle = usize::midpoint(fits, grows);
        if size(middle) == least {
            fits = middle;
        } else {
            grows = middle;
        }
    }
    assert_eq!(size(fits), least);
    drop(vault);
    let none = BTreeSet::new();
    assert!(with_keys(|keys| Vault::pick(&dir(), keys, &none)).is_ok());
}

/// A body around the needles that is no vault's.
fn write_values(needles: &Needles, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"format\":\"clawkeep-vault\",\"version\":1,\"secrets\":{");
    for at in 0..needles.len() {
        out.extend_from_slice(format!("\"s/{at}\":{{\"kind\":\"token\",\"value\":\"").as_bytes());
        out.extend_from_slice(&needles.plain(at));
        out.extend_from_slice(b"\"},");
    }
    out.extend_from_slice(b"\"s/x\":{\"value\":");
}

/// vault.age by somebody without the identity: decrypts, and its MAC is wrong.
fn forged(needles: &Needles) {
    let identity = Identity::generate();
    let recipient: age::x25519::Recipient = identity.recipient().as_str().parse().unwrap();
    drop(make(identity, identity_plan()));
    let mut text = Zeroizing::new(Vec::with_capacity(64 * 1024));
    write_values(needles, &mut text);
    // As in every body of ours the line ends in blanks; its end stays in the hash's state.
    text.extend_from_slice(&[b' '; 64]);
    text.extend_from_slice(format!("\n{{\"mac\":\"{}\"}}\n", "0".repeat(64)).as_bytes());
    let file = age::encrypt(&recipient, &text).unwrap();
    clawkeep::file::replace(&dir().join("vault.age"), &file, 0o600).unwrap();
    let said = with_keys(|keys| Vault::open(&dir(), keys)).err().unwrap();
    assert!(said.message().contains("MAC"), "{said}");
}

/// The MAC is right and the JSON is not, behind every value.
fn malformed(needles: &Needles) {
    let identity = Identity::generate();
    let write = |out: &mut Vec<u8>| {
        write_values(needles, out);
        out.extend_from_slice(b"7}}}");
    };
    let (file, _) = envelope::seal(&identity, None, 64 * 1024, write).unwrap();
    drop(make(identity, identity_plan()));
    clawkeep::file::replace(&dir().join("vault.age"), &file, 0o600).unwrap();
    let said = with_keys(|keys| Vault::open(&dir(), keys)).err().unwrap();
    assert!(said.message().contains("cannot be read"), "{said}");
    let wanted = (0..needles.len()).map(id).collect();
    let said = with_keys(|keys| Vault::pick(&dir(), keys, &wanted))
        .err()
        .unwrap();
    assert!(said.message().contains("cannot be read"), "{said}");
}

/// The needles are passphrases: the right one, and wrong ones.
fn passphrase(needles: &Needles) {
    let phrase = |at: usize| {
        let plain = needles.plain(at);
        let mut text = String::with_capacity(plain.len());
        text.push_str(std::str::from_utf8(&plain).unwrap());
        secrecy::SecretString::from(text)
    };
    drop(make(
        Identity::generate(),
        SlotPlan::Passphrase(phrase(0), CHEAP),
    ));
    for at in [0, 1] {
        let (host, keychain) = (Host::real(), nowhere());
        let keys = Keys {
            host: &host,
            keychain: &keychain,
            ask: &|_| Ok(Some(phrase(at))),
            pins: &[],
            accept_rollback: false,
        };
        assert_eq!(Vault::open(&dir(), &keys).is_ok(), at == 0);
    }
}

/// A keychain that keeps what it is given under a mask, so that only our own copies are found.
#[derive(Default)]
struct Masked(Mutex<BTreeMap<Item, Vec<u8>>>);

impl Keychain for Masked {
    fn presence(&self) -> Result<Presence> {
        Ok(Presence::Here)
    }

    fn get(&self, item: &Item) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let items = self.0.lock().unwrap();
        Ok(items.get(item).map(|masked| {
            let mut plain = Zeroizing::new(Vec::with_capacity(masked.len()));
            plain.extend(masked.iter().map(|byte| byte ^ 0x55));
            plain
        }))
    }

    fn set(&self, item: &Item, value: &[u8]) -> Result<()> {
        let masked = value.iter().map(|byte| byte ^ 0x55).collect();
        self.0.lock().unwrap().insert(item.clone(), masked);
        Ok(())
    }

    fn delete(&self, item: &Item) -> Result<bool> {
        Ok(self.0.lock().unwrap().remove(item).is_some())
    }

    fn list(&self, service: &str) -> Result<Vec<String>> {
        let items = self.0.lock().unwrap();
        let ours = items.keys().filter(|item| item.service() == service);
        Ok(ours.map(|item| item.account().to_owned()).collect())
    }
}

fn keychain(needles: &Needles) {
    let vault = VaultId::from_bytes([7; 32]);
    let mut store = KeychainStore::new(Box::new(Masked::default()), vault);
    for round in 0..2 {
        for at in 0..needles.len() {
            let value = secret(needles, (at + round) % needles.len());
            store.put(&id(at), value, &meta()).unwrap();
        }
    }
    assert_eq!(store.list().unwrap().len(), needles.len());
    for at in 0..needles.len() {
        assert!(store.get(&id(at)).unwrap().is_some());
    }
}

/// A file of OpenClaw's with tokens in the clear; some of them give way to refs.
fn edit_profiles(needles: &Needles) {
    let path = home().join("agent/auth-profiles.json");
    let mut text = Zeroizing::new(Vec::with_capacity(64 * 1024));
    text.extend_from_slice(b"{\"version\":1,\"profiles\":{");
    for at in 0..needles.len() {
        let comma = if at == 0 { "" } else { "," };
        text.extend_from_slice(
            format!(
                "{comma}\"fakeai:{at}\":{{\"type\":\"token\",\"provider\":\"fakeai\",\"token\":\""
            )
            .as_bytes(),
        );
        text.extend_from_slice(&needles.plain(at));
        text.extend_from_slice(b"\"}");
    }
    text.extend_from_slice(b"}}");
    clawkeep::file::private_dir(path.parent().unwrap()).unwrap();
    clawkeep::file::replace(&path, &text, 0o600).unwrap();
    let provider = ProviderId::parse("fakeai").unwrap();
    profiles::edit(&path, &Host::real(), |file| {
        for at in 0..needles.len() / 2 {
            let profile = ProfileId::parse(&format!("fakeai:{at}")).unwrap();
            file.set_ref(
                &profile,
                &provider,
                SecretKind::Token,
                &SecretRef::to(&id(at)),
                None,
            )?;
        }
        file.remove(&ProfileId::parse("fakeai:30").unwrap());
        Ok(())
    })
    .unwrap();
    let file = ProfilesFile::load(&path).unwrap().unwrap();
    assert_eq!(file.profiles().len(), needles.len() - 1);
}

/// openclaw.json with tokens in strings and in comments, read, shown as a diff, edited, scrubbed.
fn edit_config(needles: &Needles) {
    let path = home().join(".openclaw/openclaw.json");
    let mut text = Zeroizing::new(Vec::with_capacity(64 * 1024));
    text.extend_from_slice(b"{\n  gateway: { auth: { token: '");
    text.extend_from_slice(&needles.plain(0));
    text.extend_from_slice(b"' } },\n");
    for at in 1..needles.len() {
        text.extend_from_slice(format!("  apiKey{at}: \"").as_bytes());
        text.extend_from_slice(&needles.plain(at));
        text.extend_from_slice(b"\", // was ");
        text.extend_from_slice(&needles.plain(at));
        text.push(b'\n');
    }
    text.extend_from_slice(b"}\n");
    clawkeep::file::private_dir(path.parent().unwrap()).unwrap();
    clawkeep::file::replace(&path, &text, 0o600).unwrap();
    let before = Config::read(&path).unwrap();
    let mut after = before.clone();
    let reference = SecretRef::to(&id(0)).to_value();
    after
        .set(&["gateway", "auth", "token"], &reference)
        .unwrap();
    after.set(&["new", "key"], &serde_json::json!(1)).unwrap();
    drop(clawkeep::openclaw::link::diff(&before, &after));
    drop(before.string_at(&["apiKey3"]));
    drop(format!("{before:?}"));
    let token = secret(needles, 0);
    let replacement = clawkeep::openclaw::config::Replacement {
        reference: &SecretRef::to(&id(0)),
        secret_provider: &serde_json::json!({}),
    };
    drop(clawkeep::openclaw::config::scrub(
        &text,
        &token,
        &replacement,
    ));
    drop(clawkeep::openclaw::config::scrub(
        &text[1..],
        &token,
        &replacement,
    ));
    drop(Config::parse(&text[2..], Path::new("broken")).err());
    clawkeep::file::replace(&path, &after.bytes(), 0o600).unwrap();
}
