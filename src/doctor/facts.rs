//! What was gathered for the checks: plain data, without a value and without a way back to the machine.
//! Ring 3.

use super::OrderFile;
use crate::error::Error;
use crate::expiry::Millis;
use crate::openclaw::elsewhere::Elsewhere;
use crate::openclaw::profiles::ProfileKind;
use crate::openclaw::version::Version;
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::secret::SecretKind;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Why something is not known, a clause: `locked`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotKnown(pub String);

/// What is known, or why it is not.
pub type Known<T> = std::result::Result<T, NotKnown>;

/// What happened to a thing, and what can be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What happened, to which thing.
    pub what: String,
    /// What can be typed.
    pub hint: Option<String>,
}

impl Trouble {
    /// What an error says.
    pub fn of(error: &Error) -> Self {
        Trouble {
            what: error.message().to_owned(),
            hint: error.hint_text().map(str::to_owned),
        }
    }

    /// The hint, or another one.
    pub fn hint_or(&self, other: &str) -> String {
        self.hint.clone().unwrap_or_else(|| other.to_owned())
    }
}

/// Everything.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Now.
    pub now: Millis,
    /// The vault's folder.
    pub dir: PathBuf,
    /// Whether a vault is there and holds together.
    pub vault: Known<Option<Trouble>>,
    /// Files of OpenClaw's that cannot be read as what they are.
    pub broken: Vec<Trouble>,
    /// Files and folders that hold, or lead to, secrets.
    pub paths: Vec<PathFact>,
    /// Whether an older copy was put back.
    pub rollback: Known<Option<Trouble>>,
    /// The ways to open the vault.
    pub slots: Known<Vec<SlotFact>>,
    /// Who releases values.
    pub keeper: KeeperFact,
    /// The recovery key, if there is one.
    pub recovery: Known<Option<RecoveryFact>>,
    /// Plaintext identities near the vault.
    pub identities: Vec<IdentityFact>,
    /// What is stored.
    pub stored: Known<Vec<StoredFact>>,
    /// OpenClaw's configuration, as far as it concerns us.
    pub link: Known<LinkFact>,
    /// The installed OpenClaw.
    pub version: Known<Version>,
    /// What became of asking for every reference; `Err` in the inside: no answer at all.
    pub asked: Known<std::result::Result<AskedFact, Trouble>>,
    /// What came of the references that others answer, of all agents; `Err` where nobody can know.
    pub elsewhere: Known<Vec<Elsewhere>>,
    /// Profiles of OpenClaw's stores and of our own.
    pub profiles: Known<Vec<ProfileFact>>,
    /// Explicit orders.
    pub orders: Vec<Known<OrderFact>>,
    /// Files of the era before the database that lie beside an OpenClaw with one.
    pub old_stores: Vec<PathBuf>,
    /// Credentials in the clear.
    pub plaintext: Known<Vec<PlainFact>>,
    /// What could not be looked through, each with its reason.
    pub unseen: Vec<String>,
    /// What an import left behind, whether a credential is in it or not.
    pub leftovers: Vec<PathBuf>,
    /// The machine.
    pub machine: MachineFact,
}

/// A file or folder that must be closed to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathFact {
    /// Which.
    pub path: PathBuf,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Whether it is a link, which nothing of ours is.
    pub is_link: bool,
    /// Whether it belongs to this user.
    pub is_own: bool,
    /// Its permission bits.
    pub mode: u32,
}

/// What a slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotForm {
    /// The keychain.
    Keychain,
    /// No slot but custody: the keychain, which holds the values themselves.
    KeychainItems,
    /// A passphrase.
    Passphrase,
    /// An identity file.
    IdentityFile,
    /// A credential that systemd provides.
    Credential,
}

/// One way to open the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotFact {
    /// Its name.
    pub name: String,
    /// What it is.
    pub form: SlotForm,
    /// Whether it opened: `None` inside for yes.
    pub opened: Known<Option<Trouble>>,
    /// The folder in memory that its key lies in, gone with a restart.
    pub in_memory: Option<PathBuf>,
}

impl SlotFact {
    /// Whether it is the keychain, which is open while its user is logged in.
    pub fn is_keychain(&self) -> bool {
        matches!(self.form, SlotForm::Keychain | SlotForm::KeychainItems)
    }

    /// Whether it opens without a person.
    pub fn opens_alone(&self) -> bool {
        self.form != SlotForm::Passphrase
    }
}

/// Who releases values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own, with a yes or a no"
)]
pub struct KeeperFact {
    /// Whether one runs.
    pub runs: bool,
    /// Whether it gives each value once.
    pub once: bool,
    /// Whether it runs under a user of its own.
    pub isolated: bool,
    /// Whether the vault stays locked without it.
    pub required: bool,
}

/// The recovery key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryFact {
    /// When it was made.
    pub created: Millis,
    /// When a person last proved to have it.
    pub checked: Option<Millis>,
}

/// Where a plaintext identity lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nearness {
    /// In the vault's own folder.
    Inside,
    /// In the folder that the vault's folder is in.
    Beside,
    /// Below the same folder as the vault, which is taken away as a whole: a git checkout, a folder that
    /// is copied to a cloud.
    Carried(PathBuf),
    /// Below the same home.
    SameHome,
}

/// A file that holds an age identity in the clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFact {
    /// Where it is.
    pub path: PathBuf,
    /// How near.
    pub near: Nearness,
    /// The slot whose key it is; `None` for another one, a sheet with the recovery key for example.
    pub slot: Option<String>,
}

/// One stored value, without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFact {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: SecretKind,
    /// Whose.
    pub provider: Option<ProviderId>,
    /// When it stops working.
    pub expires: Option<Millis>,
    /// Whether it begins as Anthropic's setup-tokens do; where the value could be read.
    pub is_setup_token: Known<bool>,
}

/// What openclaw.json says of us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkFact {
    /// The file.
    pub config: PathBuf,
    /// Whether it takes a part from another file, which is not read.
    pub includes: bool,
    /// Why it asks somebody else, or nobody.
    pub trouble: Option<Trouble>,
    /// The version that was linked, and whether it took refs in the way that the installed one does.
    pub linked_version: Option<(String, bool)>,
    /// How the link is made again.
    pub relink: String,
    /// What OpenClaw would say of the program.
    pub command: Option<Trouble>,
    /// The permission bits of the program, where only they are wrong: now, and as they should be.
    pub command_mode: Option<(PathBuf, u32, u32)>,
    /// Variables that OpenClaw hands on.
    pub pass_env: Vec<String>,
    /// Variables that the resolver needs.
    pub needs_env: Known<Vec<String>>,
    /// Every reference of ours in openclaw.json: its path and its id.
    pub refs: Vec<(Vec<String>, String)>,
    /// Those of them that the installed version reads nothing from.
    pub ignored: Known<Vec<String>>,
    /// `models.providers.<p>.api`, where it is said.
    pub apis: BTreeMap<String, String>,
    /// Whether agents have a shell outside a sandbox, a clause that says why; `None` when they do not.
    pub open_shell: Option<String>,
}

impl LinkFact {
    /// The providers whose key is a reference of ours in openclaw.json.
    pub fn config_refs(&self) -> Vec<ProviderId> {
        self.refs
            .iter()
            .filter_map(|(path, _)| match path.as_slice() {
                [models, providers, name, key]
                    if models == "models" && providers == "providers" && key == "apiKey" =>
                {
                    ProviderId::parse(name).ok()
                }
                _ => None,
            })
            .collect()
    }
}

/// What came of asking for every id at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedFact {
    /// The ids that gave no value, each with the protocol's code.
    pub refused: Vec<(String, String)>,
    /// How many were asked for.
    pub asked: usize,
    /// How long the whole answer took.
    pub took: Duration,
    /// How long OpenClaw waits.
    pub limit: Duration,
}

/// Where a profile is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileHome {
    /// In a store that OpenClaw reads.
    OpenClaw,
    /// In our own folder: for a reference in openclaw.json.
    Own,
}

/// A profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileFact {
    /// Whose it is.
    pub agent: AgentId,
    /// Its id.
    pub id: ProfileId,
    /// Whose credential.
    pub provider: ProviderId,
    /// The stored id that it refers to; `None` for what is not ours.
    pub ours: Option<String>,
    /// The field with a reference that OpenClaw does not read of a profile of this kind.
    pub misplaced: Option<(&'static str, ProfileKind)>,
    /// Where it is.
    pub home: ProfileHome,
    /// Whether OpenClaw renews it itself.
    pub is_login: bool,
    /// When it stops working; `Some(None)` for what is no moment, which OpenClaw does not use.
    pub expires: Option<Option<Millis>>,
}

/// An explicit order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderFact {
    /// Whose.
    pub agent: AgentId,
    /// Of whose profiles.
    pub provider: ProviderId,
    /// The profiles, in order.
    pub ids: Vec<ProfileId>,
    /// Those of them that are there.
    pub there: Vec<ProfileId>,
    /// The file.
    pub path: PathBuf,
    /// Which.
    pub home: OrderFile,
}

/// What a credential in the clear is where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlainForm {
    /// A variable of these providers.
    Variable(Vec<ProviderId>),
    /// The gateway's own token, in a variable.
    GatewayVariable,
    /// `models.providers.<p>.apiKey`.
    ConfigKey(ProviderId),
    /// A profile in a store that OpenClaw reads.
    Profile(ProviderId),
    /// Another setting that takes a reference.
    Setting,
    /// In a copy that nothing reads.
    Copy,
}

/// A credential in the clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainFact {
    /// The place for people.
    pub place: String,
    /// What it is.
    pub form: PlainForm,
    /// Whether a service manager reads the file.
    pub of_service: bool,
}

/// The machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MachineFact {
    /// Whether it is a Linux.
    pub linux: bool,
    /// `kernel.yama.ptrace_scope`; `None` when the kernel has no Yama.
    pub ptrace_scope: Option<u32>,
    /// Whether this user's services start before anybody logs in.
    pub lingers: bool,
}

#[cfg(test)]
impl Facts {
    /// All is well.
    pub(crate) fn healthy() -> Self {
        Facts {
            now: Millis::new(1_795_000_000_000).unwrap(),
            dir: PathBuf::from("/nowhere/vault"),
            vault: Ok(None),
            broken: Vec::new(),
            paths: Vec::new(),
            rollback: Ok(None),
            slots: Ok(vec![SlotFact {
                name: "identity-file".to_owned(),
                form: SlotForm::IdentityFile,
                opened: Ok(None),
                in_memory: None,
            }]),
            keeper: KeeperFact::default(),
            recovery: Ok(Some(RecoveryFact {
                created: Millis::new(1_794_000_000_000).unwrap(),
                checked: None,
            })),
            identities: Vec::new(),
            stored: Ok(Vec::new()),
            link: Ok(LinkFact {
                config: PathBuf::from("/nowhere/openclaw.json"),
                includes: false,
                trouble: None,
                linked_version: Some(("2026.6.1".to_owned(), true)),
                relink: "clawkeep link".to_owned(),
                command: None,
                command_mode: None,
                pass_env: Vec::new(),
                needs_env: Ok(Vec::new()),
                refs: Vec::new(),
                ignored: Ok(Vec::new()),
                apis: BTreeMap::new(),
                open_shell: None,
            }),
            version: Ok(Version::parse("2026.6.1").unwrap()),
            asked: Ok(Ok(AskedFact {
                refused: Vec::new(),
                asked: 1,
                took: Duration::from_millis(20),
                limit: Duration::from_secs(5),
            })),
            elsewhere: Ok(Vec::new()),
            profiles: Ok(Vec::new()),
            orders: Vec::new(),
            old_stores: Vec::new(),
            plaintext: Ok(Vec::new()),
            unseen: Vec::new(),
            leftovers: Vec::new(),
            machine: MachineFact {
                linux: true,
                ptrace_scope: Some(1),
                lingers: false,
            },
        }
    }
}
