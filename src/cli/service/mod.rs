//! `service`: the keeper as a service, and the gateway after it. Ring 4.
//!
//! ```text
//! ask, said, side, child, patient
//!                    what the vault's user does, in this process or in a child of root's
//! image              the running program
//! files, job         files that can be told from others; steps that can be taken back
//! install, uninstall, status
//! monitor            a timer instead of a keeper
//! launchd            the same on macOS, thin
//! ```
//!
//! Promises: root touches nothing in a user's home; `--dry-run` writes nothing; running `install`
//! again changes only what is not as it should be.

pub mod ask;
pub mod child;
pub mod files;
pub mod image;
pub mod install;
pub mod isolated;
pub mod job;
pub mod launchd;
pub mod monitor;
pub mod patient;
pub mod said;
pub mod side;
pub mod status;
pub mod uninstall;

use super::app::App;
use super::args::{ServiceCommand, ServiceWhere};
use crate::error::{Error, Result};
use crate::file::Lock;
use crate::service::keeper_unit::{Form, KeeperUnit, credential_path};
use crate::service::system::{Manager, System};
use crate::service::trusted_path::{self, End};
use crate::service::user::{self, User, UserName, Who};
use ask::{Looked, Side};
use child::Child;
use side::Here;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Runs one `service` command.
///
/// # Errors
/// What went wrong, after what was done is taken back or said.
pub fn run(app: &App, command: &ServiceCommand) -> Result<()> {
    match command {
        ServiceCommand::Install(args) if args.monitor => monitor::install(app, args),
        ServiceCommand::Uninstall(args) if args.monitor => monitor::uninstall(app, args),
        ServiceCommand::Install(args) if args.place.isolated => isolated::install::run(app, args),
        ServiceCommand::Install(args) => install::run(app, args),
        ServiceCommand::Uninstall(args) if args.place.isolated => {
            isolated::uninstall::run(app, args)
        }
        ServiceCommand::Uninstall(args) => uninstall::run(app, args),
        ServiceCommand::Status(args) => isolated::status::or_at_rest(app, args),
        ServiceCommand::Run(args) => isolated::run::run(app, args),
        ServiceCommand::Arm(args) => isolated::run::arm(app, args),
        ServiceCommand::Hand => isolated::moving::hand(app),
        ServiceCommand::Take => isolated::moving::take(app),
        ServiceCommand::Side(args) => side::run(app, system(args.root.as_deref())?),
    }
}

/// A service: the machine, whose vault, and in which manager.
pub struct Target {
    /// The machine.
    pub system: System,
    /// Whose vault.
    pub user: User,
    /// Whether the system's manager runs the keeper.
    pub of_system: bool,
}

/// The machine that lies below `root`.
pub fn system(root: Option<&Path>) -> Result<System> {
    let Some(root) = root else {
        return Ok(System::new(PathBuf::from("/")));
    };
    // Programs below it are run, as root perhaps: only who could do that anyway may choose them.
    let me = rustix::process::geteuid().as_raw();
    trusted_path::check_for(root, End::Folder, me).map(System::new)
}

impl Target {
    /// What the flags say, and what they leave open.
    ///
    /// # Errors
    /// `Usage` when it takes root, or a user cannot be told.
    pub fn find(app: &App, place: &ServiceWhere, writes: bool) -> Result<Self> {
        let system = system(place.root.as_deref())?;
        let me = rustix::process::geteuid().as_raw();
        let of_system =
            place.system || place.isolated || place.owner.is_some() || (!place.user && me == 0);
        if of_system && writes && me != 0 && place.root.is_none() {
            let program = app.host.program()?;
            let form = if place.isolated { " --isolated" } else { "" };
            // Root runs none of its own from where anybody else can change it.
            let (first, typed) = if trusted_path::check(&program, End::Program).is_ok() {
                (String::new(), crate::error::typed(&program))
            } else {
                let copy = format!(
                    "sudo install -m 755 {} /usr/local/bin/clawkeep && ",
                    crate::error::typed(&program)
                );
                (copy, "/usr/local/bin/clawkeep".to_owned())
            };
            return Err(
                Error::usage("a service of the system takes root").hint(format!(
                    "{first}sudo {typed} service install --system{form}"
                )),
            );
        }
        if place.user && me == 0 && app.host.var("SUDO_UID").is_some() {
            return Err(
                Error::usage("your own service is installed by yourself, without sudo")
                    .hint("clawkeep service install --user"),
            );
        }
        let user = if of_system {
            whose(app, &system, place, me)?
        } else {
            by_uid(&system, me)?
        };
        Ok(Target {
            system,
            user,
            of_system,
        })
    }

    /// One change of this machine at a time, for as long as it is held.
    ///
    /// # Errors
    /// `Failed` when another one is under way.
    pub fn alone(&self) -> Result<Option<Lock>> {
        if !self.of_system {
            return Ok(None);
        }
        let path = self.system.path("run/clawkeep-service.lock");
        Lock::hold(&path)?.map(Some).ok_or_else(|| {
            Error::failed("another clawkeep service install or uninstall is under way")
                .hint(format!("see who: fuser -v {}", crate::error::typed(&path)))
        })
    }

    /// The user's side: this process where it runs as that user, else a child.
    ///
    /// # Errors
    /// As [`Child::start`].
    pub fn side<'a>(&self, app: &'a App) -> Result<Box<dyn Side + 'a>> {
        if rustix::process::geteuid().as_raw() == self.user.uid {
            return Ok(Box::new(Here::new(app, self.system.clone())));
        }
        Ok(Box::new(Child::start(app, &self.system, &self.user)?))
    }

    /// The manager that runs the keeper.
    pub fn manager(&self) -> Manager {
        if self.of_system {
            Manager::System
        } else {
            Manager::User(self.system.path(&format!("run/user/{}", self.user.uid)))
        }
    }

    /// The keeper's unit. Paths in it are those of the running system.
    pub fn unit(&self, program: PathBuf, looked: &Looked) -> KeeperUnit {
        let form = if self.of_system {
            Form::OfSystem {
                user: self.user.clone(),
                credential: credential_path(Path::new("/"), &self.user.name),
            }
        } else {
            Form::OfUser {
                runtime: PathBuf::from(format!("/run/user/{}", self.user.uid)),
            }
        };
        KeeperUnit {
            program,
            vault: looked.vault.to_path_buf(),
            form,
        }
    }

    /// The folder that the keeper's unit lies in.
    pub fn units(&self, looked: &Looked) -> PathBuf {
        if self.of_system {
            self.system.path("etc/systemd/system")
        } else {
            looked.home.join(".config/systemd/user")
        }
    }

    /// Whether the user's manager starts with the machine.
    pub fn lingers(&self) -> bool {
        self.system
            .path("var/lib/systemd/linger")
            .join(self.user.name.as_str())
            .exists()
    }

    /// The flags that name this service.
    pub fn flags(&self) -> String {
        if self.of_system {
            format!("--system --for {}", self.user.name)
        } else {
            "--user".to_owned()
        }
    }
}

/// Whose vault a service of the system is for: who was named, whose the vault's folder is, or who
/// called sudo. Never guessed.
fn whose(app: &App, system: &System, place: &ServiceWhere, me: u32) -> Result<User> {
    if let Some(name) = &place.owner {
        let name = UserName::parse(name)?;
        return user::find(system.root(), Who::Name(&name))?.ok_or_else(|| {
            Error::missing(format!("there is no user {name}")).hint("getent passwd")
        });
    }
    if let Some(vault) = &app.global.vault {
        let path = app.host.absolute(vault)?;
        let meta =
            std::fs::symlink_metadata(&path).map_err(|error| Error::io("find", &path, &error))?;
        return by_uid(system, meta.uid());
    }
    if me != 0 {
        return by_uid(system, me);
    }
    let caller = app
        .host
        .var("SUDO_UID")
        .and_then(|uid| uid.to_str()?.parse().ok());
    match caller {
        Some(uid) => by_uid(system, uid),
        None => Err(
            Error::usage("it is not said whose vault the service is for")
                .hint("name the user: clawkeep service install --system --for USER"),
        ),
    }
}

fn by_uid(system: &System, uid: u32) -> Result<User> {
    user::find(system.root(), Who::Uid(uid))?.ok_or_else(|| {
        Error::missing(format!(
            "the user with the number {uid} has no name that a service can have"
        ))
        .hint("getent passwd")
    })
}
