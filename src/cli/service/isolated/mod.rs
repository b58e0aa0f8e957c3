//! `service … --isolated`: the vault and its keeper under a user of their own, and the gateway as a
//! unit of the system's manager. Ring 4.
//!
//! ```text
//! wish, theirs   what the gateway's user does in a child of root's
//! moving         the vault's way from one user to another, over a pipe
//! handed         which vault went that way, so that no other one is removed
//! gateway        which unit the gateway becomes
//! keeper         its user, key and vault
//! switch         from one gateway's unit to the other, and the proof
//! install, uninstall, status, run
//! ```
//!
//! Promises: root touches nothing in the gateway's user's home; at every instant each value is in a
//! vault that opens; the old vault goes only after the new one was read back and compared, its keeper
//! has opened it, and the gateway was given its values; running a command again finishes what was cut.

pub mod gateway;
pub mod handed;
pub mod install;
pub mod keeper;
pub mod moving;
pub mod run;
pub mod status;
pub mod switch;
pub mod theirs;
pub mod uninstall;
pub mod wish;

use super::Target;
use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use crate::service::keeper_unit::{Form, KeeperUnit, credential_path, system_unit};
use crate::service::marker;
use crate::service::text::{settings, words};
use crate::service::user::{self, User, UserName, Who};
use handed::Handed;
use std::path::{Path, PathBuf};

/// The system's user of the keeper for `user`: `clawkeep-alice`.
///
/// # Errors
/// `Failed` when such a name would be too long for a user's.
pub fn keeper_name(user: &UserName) -> Result<UserName> {
    UserName::parse(&format!("clawkeep-{user}")).map_err(|_| {
        Error::failed(format!(
            "the keeper's user would be clawkeep-{user}, which is too long for a user's name"
        ))
    })
}

/// The vault's folder in the running system.
pub fn vault_path(user: &UserName) -> PathBuf {
    PathBuf::from("/var/lib/clawkeep").join(user.as_str())
}

impl Target {
    /// The vault's folder, as this process reaches it.
    pub fn isolated_vault(&self) -> PathBuf {
        self.system
            .path("var/lib/clawkeep")
            .join(self.user.name.as_str())
    }

    /// Which vault was handed over, read back and compared: a file of root's, beside the keeper's folder.
    /// No user's name begins with a dot.
    pub fn handed_path(&self) -> PathBuf {
        self.system
            .path("var/lib/clawkeep")
            .join(format!(".{}.handed", self.user.name))
    }

    /// What is noted there.
    ///
    /// # Errors
    /// `Broken` when something else stands in its place.
    pub fn handed(&self) -> Result<Option<Handed>> {
        let text = text_of(&self.handed_path())?;
        Ok(text.and_then(|text| Handed::parse(text.trim())))
    }

    /// The keeper's user, where there is one.
    ///
    /// # Errors
    /// As [`keeper_name`].
    pub fn keeper(&self) -> Result<Option<User>> {
        let name = keeper_name(&self.user.name)?;
        user::find(self.system.root(), Who::Name(&name))
    }

    /// The keeper's unit for this gateway.
    ///
    /// # Errors
    /// As [`keeper_name`].
    pub fn isolated_unit(&self, program: PathBuf, gateway_unit: &str) -> Result<KeeperUnit> {
        Ok(KeeperUnit {
            program,
            vault: vault_path(&self.user.name),
            form: Form::Isolated {
                user: self.user.clone(),
                keeper: keeper_name(&self.user.name)?,
                credential: credential_path(Path::new("/"), &self.user.name),
                gateway_unit: gateway_unit.to_owned(),
            },
        })
    }

    /// The folder of the system's units.
    pub fn system_units(&self) -> PathBuf {
        self.system.path("etc/systemd/system")
    }

    /// The keeper's unit as it lies there.
    ///
    /// # Errors
    /// `Broken` when something else stands in its place.
    pub fn installed(&self) -> Result<Option<Installed>> {
        let path = self.system_units().join(system_unit(&self.user.name));
        Ok(text_of(&path)?.map(|text| Installed::of(&text)))
    }
}

/// A text file of root's.
///
/// # Errors
/// `Broken` when something else stands in its place.
pub fn text_of(path: &Path) -> Result<Option<String>> {
    let bytes = file::absent_is_none(file::read(path, 1024 * 1024, Privacy::Shared))?.flatten();
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// A keeper's unit of the system's manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Whether it is as it was written.
    pub intact: bool,
    /// The gateway's unit that it answers; `None` at rest.
    pub gateway_unit: Option<String>,
    /// The program that it starts.
    pub program: PathBuf,
}

impl Installed {
    fn of(text: &str) -> Self {
        let command = settings(text)
            .unwrap_or_default()
            .into_iter()
            .find(|setting| setting.name == "ExecStart")
            .and_then(|setting| words(&setting.value).ok())
            .unwrap_or_default();
        let after = command.iter().position(|word| word == "--gateway-unit");
        let program = command.first().map_or("/", String::as_str);
        let program = program.strip_prefix(':').unwrap_or(program);
        Installed {
            intact: marker::is_intact(text),
            gateway_unit: after
                .and_then(|at| command.get(at + 1))
                .map(|unit| unit.replace("%%", "%")),
            program: PathBuf::from(program.replace("%%", "%")),
        }
    }
}
