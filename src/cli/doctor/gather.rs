//! What the checks need of the vault and of this machine, gathered once. Ring 4; reads, writes nothing,
//! asks nobody.

use super::near;
use super::plain::{self, Plain};
use super::theirs::Theirs;
use crate::cli::app::{App, read_passphrase_file};
use crate::cli::args::Doctor;
use crate::cli::elsewhere::{self, Asking, Reach};
use crate::cli::opened::Opened;
use crate::cli::record::LinkRecord;
use crate::cli::variables::Variables;
use crate::cli::{moved, unasked};
use crate::doctor::facts::{
    KeeperFact, PathFact, RecoveryFact, SlotFact, SlotForm, StoredFact, Trouble,
};
use crate::doctor::{Facts, Known, NotKnown};
use crate::error::{Error, Kind, Result};
use crate::keeper::Release;
use crate::keeper::pointer::Pointer;
use crate::keeper::published::Published;
use crate::keychain::{Keychain as _, Presence};
use crate::migrate::item;
use crate::openclaw::elsewhere::{Elsewhere, Holder, Reference};
use crate::openclaw::install::Install;
use crate::openclaw::version::Version;
use crate::provider::SETUP_TOKEN_PREFIX;
use crate::secret::SecretId;
use crate::store::{Meta, Resolve as _, Store as _};
use crate::vault::body::Contents;
use crate::vault::cache::{Cache, Custody};
use crate::vault::examine::{self, Opening};
use crate::vault::slot::{Slot, SlotKind, is_credential};
use crate::vault::unlock::Keys;
use crate::vault::{self, Found};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What is known of the vault.
pub(super) struct Vault {
    trouble: Known<Option<Trouble>>,
    rollback: Known<Option<Trouble>>,
    slots: Known<Vec<SlotFact>>,
    recovery: Known<Option<RecoveryFact>>,
    stored: Known<Vec<StoredFact>>,
    /// Its id, where it was proved.
    pub(super) id: Option<crate::vault::id::VaultId>,
    /// Whether the resolver has to find the keychain.
    pub(super) needs_keychain: Known<bool>,
    /// The key files of its slots, with the slot's name.
    identities: Vec<(String, PathBuf)>,
}

pub(super) fn not_known(reason: &str) -> NotKnown {
    NotKnown(reason.to_owned())
}

impl Vault {
    /// Nothing is known, for one reason; `trouble` where that itself is what is wrong.
    fn nothing(trouble: Known<Option<Trouble>>, reason: &str) -> Self {
        Vault {
            trouble,
            rollback: Err(not_known(reason)),
            slots: Err(not_known(reason)),
            recovery: Err(not_known(reason)),
            stored: Err(not_known(reason)),
            id: None,
            needs_keychain: Err(not_known(reason)),
            identities: Vec::new(),
        }
    }

    fn broken(error: &Error) -> Self {
        Self::nothing(Ok(Some(Trouble::of(error))), "the vault cannot be read yet")
    }

    fn take(app: &App) -> Self {
        if let Err(error) = moved::refuse(&app.dir) {
            return match error.kind() {
                Kind::Locked => Self::nothing(
                    Err(not_known("the vault is isolated, root looks after it")),
                    "the vault is isolated, root looks after it",
                ),
                _ => Self::broken(&error),
            };
        }
        match vault::find(&app.dir) {
            Ok(Found::Vault(Custody::File)) => Self::of_file(app),
            Ok(Found::Vault(Custody::Keychain)) => Self::of_keychain(app),
            Ok(Found::Nothing) => Self::nothing(
                Ok(Some(Trouble::of(&vault::none_in(&app.dir)))),
                "there is no vault",
            ),
            Err(error) => Self::broken(&error),
        }
    }

    fn of_file(app: &App) -> Self {
        let keychain = app.keychain();
        let ask = |_: &_| match &app.global.passphrase_file {
            Some(path) => read_passphrase_file(path).map(Some),
            None => Ok(None),
        };
        let keys = Keys {
            host: &app.host,
            keychain: &keychain,
            ask: &ask,
            pins: &app.pins,
            accept_rollback: false,
        };
        let examined = match examine::examine(&app.dir, &keys) {
            Ok(examined) => examined,
            Err(error) => return Self::broken(&error),
        };
        let listed = examined.slots.iter().map(|(slot, _)| slot);
        let needs_keychain = listed.clone().any(|slot| slot.kind == SlotKind::Keychain);
        let identities = listed.filter_map(identity_of).collect();
        let slots = examined.slots.iter().map(slot_fact).collect();
        let mut vault = Vault {
            trouble: Ok(None),
            rollback: Err(not_known("locked")),
            slots: Ok(slots),
            recovery: Err(not_known("locked")),
            stored: Err(not_known("locked")),
            id: None,
            needs_keychain: Ok(needs_keychain),
            identities,
        };
        if let Some(contents) = &examined.contents {
            vault.rollback = Ok(examined.rollback.as_ref().map(Trouble::of));
            vault.id = Some(contents.vault_id());
            vault.recovery = Ok(contents.recovery.as_ref().map(|recovery| RecoveryFact {
                created: recovery.created,
                checked: recovery.checked,
            }));
            vault.stored = Ok(of_contents(contents));
        } else if let Ok(opened @ Opened::Keeper(_)) = unasked::open(app) {
            let reason = "a keeper has the vault open, and does not tell";
            vault.rollback = Err(not_known(reason));
            vault.recovery = Err(not_known(reason));
            vault.id = Some(opened.id());
            vault.stored = of_store(&opened);
        }
        vault
    }

    fn of_keychain(app: &App) -> Self {
        let reason = "values in the keychain have no such thing";
        let mut vault = Vault {
            trouble: Ok(None),
            rollback: Err(not_known(reason)),
            slots: Err(not_known(reason)),
            recovery: Err(not_known(reason)),
            stored: Err(not_known("locked")),
            id: None,
            needs_keychain: Ok(true),
            identities: Vec::new(),
        };
        match unasked::open(app) {
            Ok(opened) => {
                vault.id = Some(opened.id());
                vault.slots = Ok(vec![SlotFact {
                    name: "keychain".to_owned(),
                    form: SlotForm::KeychainItems,
                    opened: match opened.list() {
                        Ok(_) => Ok(None),
                        // To a resolver no keychain is a locked one; to a person it is none.
                        Err(error) if error.kind() == Kind::Locked && has_keychain(app) => {
                            Err(NotKnown(error.message().to_owned()))
                        }
                        Err(error) => Ok(Some(Trouble {
                            what: error.message().to_owned(),
                            hint: Some("where its user is logged in: clawkeep doctor".to_owned()),
                        })),
                    },
                    in_memory: None,
                }]);
                vault.stored = of_store(&opened);
            }
            Err(error) if error.kind() == Kind::Locked => {}
            Err(error) => vault.trouble = Ok(Some(Trouble::of(&error))),
        }
        vault
    }
}

fn has_keychain(app: &App) -> bool {
    !matches!(app.keychain().presence(), Ok(Presence::Absent(_)))
}

fn identity_of(slot: &Slot) -> Option<(String, PathBuf)> {
    match &slot.kind {
        SlotKind::IdentityFile { path, .. } if !is_credential(path) => {
            Some((slot.name.to_string(), path.clone()))
        }
        _ => None,
    }
}

fn slot_fact((slot, opening): &(Slot, Opening)) -> SlotFact {
    let (form, in_memory) = match &slot.kind {
        SlotKind::Keychain => (SlotForm::Keychain, None),
        SlotKind::Passphrase(_) => (SlotForm::Passphrase, None),
        // systemd makes it anew at each start of its service.
        SlotKind::IdentityFile { path, .. } if is_credential(path) => (SlotForm::Credential, None),
        SlotKind::IdentityFile { path, .. } => (SlotForm::IdentityFile, near::in_memory(path)),
    };
    SlotFact {
        name: slot.name.to_string(),
        form,
        opened: match opening {
            Opening::Opens => Ok(None),
            Opening::NotTried(reason) => Err(NotKnown(reason.clone())),
            Opening::Fails(error) => Ok(Some(Trouble::of(error))),
        },
        in_memory,
    }
}

fn stored(id: &SecretId, meta: &Meta, is_setup_token: Known<bool>) -> StoredFact {
    StoredFact {
        id: id.to_string(),
        kind: meta.kind,
        provider: meta.provider.clone(),
        expires: meta.expires,
        is_setup_token,
    }
}

fn of_contents(contents: &Contents) -> Vec<StoredFact> {
    let all = contents.secrets.iter();
    all.map(|(id, entry)| {
        let is_token = entry.value.starts_with(SETUP_TOKEN_PREFIX);
        stored(id, &entry.meta, Ok(is_token))
    })
    .collect()
}

fn of_store(opened: &Opened) -> Known<Vec<StoredFact>> {
    let listed = opened
        .list()
        .map_err(|error| NotKnown(error.message().to_owned()))?;
    Ok(listed
        .iter()
        .map(|(id, meta)| {
            let is_token = match opened.get(id) {
                Ok(value) => {
                    Ok(value.is_some_and(|(value, _)| value.starts_with(SETUP_TOKEN_PREFIX)))
                }
                Err(error) if error.kind() == Kind::Locked => Err(not_known("locked")),
                Err(error) => Err(NotKnown(error.message().to_owned())),
            };
            stored(id, meta, is_token)
        })
        .collect())
}

/// The keeper of this vault.
fn keeper(app: &App) -> KeeperFact {
    let runs = app
        .keeper_place()
        .and_then(|place| place.connect())
        .is_ok_and(|client| client.is_some());
    let pointer = Pointer::load(&app.dir).ok().flatten();
    let published = Published::load(&app.dir).ok().flatten();
    let is_once = published.is_some_and(|said| said.release == Release::Once)
        || pointer
            .as_ref()
            .is_some_and(|pointer| pointer.release == Release::Once);
    KeeperFact {
        runs,
        once: is_once,
        isolated: pointer
            .as_ref()
            .is_some_and(|pointer| pointer.gateway_unit.is_some()),
        required: pointer.is_some_and(|pointer| pointer.required),
    }
}

/// Everything.
///
/// # Errors
/// `Missing` for an OpenClaw that was named and is not there.
pub(super) fn take(app: &App, args: &Doctor) -> Result<Facts> {
    let install = match Install::find(&app.host, args.openclaw.as_deref()) {
        Ok(Some(install)) => Ok(install),
        Ok(None) => Err(not_known("OpenClaw was not found on PATH")),
        Err(error) if args.openclaw.is_some() => return Err(error),
        Err(error) => Err(NotKnown(error.message().to_owned())),
    };
    let vault = Vault::take(app);
    let keeper = keeper(app);
    let mut broken = Vec::new();
    let record = LinkRecord::load(&app.dir).unwrap_or_else(|error| {
        broken.push(Trouble::of(&error));
        None
    });
    let theirs = Theirs::take(app, &vault, keeper, record, &install, &mut broken)?;
    let home = app.host.home()?;
    let paths = paths(app, &vault);
    let plain = plain::take(app, &theirs, &install);
    let seen = super::stores::take(app, &theirs, &install, &plain, &mut broken);
    let version = install
        .as_ref()
        .map(|install| install.version().clone())
        .map_err(Clone::clone);
    let elsewhere = elsewhere(app, &theirs, &plain, &version, seen.elsewhere);
    Ok(Facts {
        now: app.host.now(),
        dir: app.dir.clone(),
        identities: near::identities(&app.dir, &paths, &vault.identities, &home),
        paths,
        vault: vault.trouble,
        rollback: vault.rollback,
        slots: vault.slots,
        recovery: vault.recovery,
        stored: vault.stored,
        keeper,
        broken,
        version,
        old_stores: theirs.old_stores(&install),
        profiles: seen.profiles,
        orders: seen.orders,
        elsewhere,
        plaintext: plain.found,
        unseen: plain.unseen,
        leftovers: plain.leftovers,
        link: theirs.link,
        asked: theirs.asked,
        machine: near::machine(user().as_deref()),
    })
}

/// Asks for what others answer; programs of theirs are not started.
fn elsewhere(
    app: &App,
    theirs: &Theirs,
    plain: &Plain,
    version: &Known<Version>,
    mut all: BTreeSet<(Holder, Reference)>,
) -> Known<Vec<Elsewhere>> {
    if let Err(reason) = &theirs.link {
        return Err(reason.clone());
    }
    let version = version.as_ref().ok();
    all.extend(elsewhere::in_settings(&theirs.config, version));
    let home = theirs.places.home();
    let short = |path: &Path| item::short(path, home);
    let mut unread = Vec::new();
    let variables = Variables::read(app, &theirs.places, &theirs.config, &short, &mut unread);
    Ok(elsewhere::ask(
        &Asking {
            app,
            config: &theirs.config,
            version,
            variables: &variables,
            own_store: plain.own_store.as_ref(),
            home,
            reach: Reach::Check,
        },
        &all,
    ))
}

/// Of a vault that cannot be read the identity files are where they were last seen, or are by default.
fn paths(app: &App, vault: &Vault) -> Vec<PathFact> {
    if vault.slots.is_ok() {
        let files = vault.identities.iter().map(|(_, path)| path.as_path());
        return near::paths(&app.dir, files);
    }
    let cached = Cache::load(&app.dir).ok().flatten();
    let slots = cached.map(|cache| cache.slots).unwrap_or_default();
    let files = slots.iter().filter_map(identity_of);
    let mut files: Vec<PathBuf> = files.map(|(_, path)| path).collect();
    if let (true, Ok(usual)) = (files.is_empty(), app.host.default_identity_file()) {
        files.push(usual);
    }
    near::paths(&app.dir, files.iter().map(PathBuf::as_path))
}

/// This user's name.
#[cfg(unix)]
fn user() -> Option<String> {
    use crate::service::user::{self, Who};
    let uid = rustix::process::geteuid().as_raw();
    let found = user::find(std::path::Path::new("/"), Who::Uid(uid));
    found.ok().flatten().map(|user| user.name.to_string())
}

#[cfg(not(unix))]
fn user() -> Option<String> {
    None
}
