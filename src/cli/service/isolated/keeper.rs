//! The keeper's user, its key, and its vault: what root makes before anything of the gateway changes.
//! Ring 4.

use super::handed::Handed;
use super::install::Plan;
use super::moving::{self, Along, Order, OrderedSlot, Taken};
use super::{keeper_name, vault_path};
use crate::cli::app::App;
use crate::cli::service::Target;
use crate::cli::service::child::prepared;
use crate::cli::service::files::{self, Owner};
use crate::cli::service::install::{self, MAX_CREDENTIAL};
use crate::cli::service::job::Job;
use crate::cli::ui;
use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use crate::keeper::Release;
use crate::keeper::pointer::Pointer;
use crate::service::keeper_unit::{CREDENTIAL, credential_in_service, credential_path};
use crate::service::system::{CredentialKey, System, credential_kind};
use crate::service::user::User;
use crate::vault::identity::{Identity, IdentityText, Recipient};
use std::ffi::OsStr;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::Path;
use zeroize::Zeroizing;

/// The keeper's user, made where it is not there.
///
/// # Errors
/// `Failed` when `useradd` makes none, or the one that is there is not of its own.
pub fn user(app: &App, target: &Target) -> Result<User> {
    if let Some(there) = target.keeper()? {
        if there.uid == 0 || there.uid == target.user.uid {
            return Err(Error::failed(format!(
                "the user {} is not one of its own",
                there.name
            )));
        }
        return Ok(there);
    }
    let name = keeper_name(&target.user.name)?;
    let home = vault_path(&target.user.name);
    let args: [&OsStr; 9] = [
        "--system".as_ref(),
        "--no-create-home".as_ref(),
        "--home-dir".as_ref(),
        home.as_os_str(),
        "--shell".as_ref(),
        "/usr/sbin/nologin".as_ref(),
        "--user-group".as_ref(),
        "--".as_ref(),
        name.as_str().as_ref(),
    ];
    let out = target.system.tool("useradd", &args)?;
    if !out.ok {
        return Err(Error::failed(format!("useradd: {}", ui::plain(&out.said))));
    }
    app.ui.say(&format!("Made the user {name}"));
    target
        .keeper()?
        .ok_or_else(|| Error::failed(format!("useradd made no user {name}")))
}

/// `/var/lib/clawkeep/USER`, the keeper's alone, below folders of root's.
///
/// # Errors
/// `Failed` when it cannot be made, or another user could change where it is.
pub fn folder(target: &Target, keeper: &User) -> Result<()> {
    let dir = target.isolated_vault();
    let above = target.system.path("var/lib/clawkeep");
    files::folders(&above, 0o755, Owner::System)?;
    match std::fs::DirBuilder::new().create(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(Error::io("create", &dir, &error));
        }
        _ => {}
    }
    // Root's own folder: nobody else can have put a link there.
    let owner = std::fs::symlink_metadata(&dir).map_err(|error| Error::io("find", &dir, &error))?;
    if !owner.is_dir() {
        return Err(Error::broken(format!("{} is no folder", dir.display())));
    }
    lchown(&dir, Some(keeper.uid), Some(keeper.gid))
        .and_then(|()| std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)))
        .map_err(|error| Error::io("give away", &dir, &error))
}

/// The key of the slot `service`, as the file that opens it would have it: the one that is there where
/// this machine can still read it, otherwise a new one.
///
/// # Errors
/// `Failed` with what `systemd-creds` said.
pub fn credential(
    job: &mut Job<'_>,
    target: &Target,
    wanted: CredentialKey,
) -> Result<Zeroizing<Vec<u8>>> {
    let path = credential_path(target.system.root(), &target.user.name);
    let there = file::absent_is_none(file::read(&path, MAX_CREDENTIAL, Privacy::Shared))?.flatten();
    if let Some(bytes) = there {
        let is_wanted =
            wanted == CredentialKey::Auto || credential_kind(&bytes) == Some(wanted.name());
        if is_wanted && let Some(key) = read_key(&target.system, &path)? {
            return Ok(key);
        }
    }
    let text = IdentityText {
        identity: Identity::generate(),
        // It stays the same when the vault gets a new identity.
        pins: Vec::new(),
    };
    let text = text.render();
    let encrypted = target.system.encrypt(CREDENTIAL, &text, wanted)?;
    // It is not taken back when a later step fails: it opens the copy that is made next, and the next run
    // goes on with both.
    if let Some(folder) = path.parent() {
        files::folders(folder, 0o755, Owner::System)?;
    }
    file::replace(&path, &encrypted, 0o600)?;
    job.app.ui.say(&format!("Wrote {}", path.display()));
    Ok(text)
}

/// The key in a credential; `None` when this machine cannot read it.
///
/// # Errors
/// `Failed` when `systemd-creds` cannot be run.
pub fn read_key(system: &System, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
    if !path.exists() {
        return Ok(None);
    }
    let key = system.decrypt(CREDENTIAL, path)?;
    Ok(key.filter(|key| IdentityText::parse(key).is_ok()))
}

/// Has the vault go to the keeper's user, or its slots put right where it is there.
///
/// # Errors
/// As [`moving::carry`].
#[allow(
    clippy::disallowed_methods,
    reason = "door: the new passphrase over the pipe to the keeper's user"
)]
pub fn move_vault(
    job: &mut Job<'_>,
    target: &Target,
    plan: &Plan,
    keeper: &User,
    key: &[u8],
    passphrase: Option<&secrecy::SecretString>,
) -> Result<(Taken, Option<Handed>)> {
    use secrecy::ExposeSecret;
    let app = job.app;
    let hand = if plan.moves {
        let program = app.host.program()?;
        let mut hand = prepared(
            app,
            &target.system,
            &target.user,
            &program,
            Some(&plan.seen.vault),
        )?;
        hand.args(["service", "hand"]);
        Some(hand)
    } else {
        None
    };
    let mut take = as_keeper(app, target, keeper)?;
    take.args(["service", "take"]);
    let recipient = IdentityText::parse(key)?.identity.recipient();
    let order = order(target, plan, recipient, false);
    // A key that was made just now opens nothing yet: then a person is asked.
    let to = opens(target, key);
    let (taken, handed) = moving::carry(
        hand,
        take,
        &Along {
            order: &order,
            from: &[],
            to,
            passphrase: passphrase.map_or(&[], |phrase| phrase.expose_secret().as_bytes()),
        },
    )?;
    if plan.moves {
        app.ui.say(&format!(
            "The vault is in {}: {}, read back and compared",
            vault_path(&target.user.name).display(),
            crate::cli::ui::counted(taken.secrets as u64, "secret", "secrets")
        ));
    }
    Ok((taken, handed))
}

fn order(target: &Target, plan: &Plan, recipient: Recipient, by_key: bool) -> Order {
    let pointer = Pointer::new(plan.unit.socket(), true, Release::Once);
    Order {
        slot: OrderedSlot::Service(credential_in_service(&target.user.name), recipient),
        pointer: Some(pointer.isolated(None, &plan.becomes.unit)),
        link: true,
        by_key,
    }
}

/// Has the new vault opened by the credential as it lies on the disk by now, and by nothing else.
///
/// # Errors
/// `Broken` when this machine cannot read it, or it does not open that vault.
pub fn prove_opens(app: &App, target: &Target, plan: &Plan, keeper: &User) -> Result<()> {
    let path = credential_path(target.system.root(), &target.user.name);
    let key = read_key(&target.system, &path)?
        .ok_or_else(|| Error::broken(format!("{} cannot be read back", path.display())))?;
    let recipient = IdentityText::parse(&key)?.identity.recipient();
    let mut take = as_keeper(app, target, keeper)?;
    take.args(["service", "take"]);
    let along = Along {
        order: &order(target, plan, recipient, true),
        from: &[],
        to: &key,
        passphrase: &[],
    };
    moving::carry(None, take, &along)
        .map(|_| ())
        .map_err(|error| error.context(format!("{} does not open the new vault", path.display())))
}

/// The key, where there is a vault that it may open.
fn opens<'k>(target: &Target, key: &'k [u8]) -> &'k [u8] {
    if target.isolated_vault().join("slots/service.age").exists() {
        key
    } else {
        &[]
    }
}

/// This program as the keeper's user, on the isolated vault.
///
/// # Errors
/// As [`prepared`].
pub fn as_keeper(app: &App, target: &Target, keeper: &User) -> Result<std::process::Command> {
    running(app, target, keeper, &program(app, target)?)
}

/// The same of a program that is known.
///
/// # Errors
/// As [`prepared`].
pub fn running(
    app: &App,
    target: &Target,
    keeper: &User,
    program: &Path,
) -> Result<std::process::Command> {
    prepared(
        app,
        &target.system,
        keeper,
        program,
        Some(&target.isolated_vault()),
    )
}

/// The program that the keeper's user runs.
///
/// # Errors
/// As [`install::program`].
pub fn program(app: &App, target: &Target) -> Result<std::path::PathBuf> {
    let (named, _) = install::program(app, target)?;
    let copy = target
        .system
        .root()
        .join(named.strip_prefix("/").unwrap_or(&named));
    Ok(if copy.is_file() { copy } else { named })
}
