//! The keeper's unit. Ring 2.
//!
//! Source: systemd.service(5), systemd.exec(5), systemd.resource-control(5) of systemd 252, where
//! `systemd-analyze security` measures it.
//!
//! Settings that are left out on purpose: `ProtectProc=` and `ProcSubset=` (the keeper reads
//! `/proc/PID/{cgroup,stat,exe}` of those who ask), `PrivateUsers=` (it must see the real uid of
//! those who ask). `RemoveIPC=` is set only where the keeper is a user of its own: it removes what that
//! user has, also what other programs made.

use super::marker::marked;
use super::text::{command_line, path_text, word};
use super::user::{User, UserName};
use crate::error::{Error, Result};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The name of the credential, and of its file in the service's own folder.
pub const CREDENTIAL: &str = "clawkeep-identity";

/// The name of the unit in a user's own manager.
pub const USER_UNIT: &str = "clawkeep-keeper.service";

/// Whose manager runs the keeper, as whom, and how it releases.
#[derive(Debug, Clone)]
pub enum Form {
    /// At rest, in the user's own manager; the slot needs no credential.
    OfUser {
        /// `%t` of that manager: `/run/user/1000`.
        runtime: PathBuf,
    },
    /// At rest, in the system's manager, as the user.
    OfSystem {
        /// Whose vault it is.
        user: User,
        /// The encrypted credential.
        credential: PathBuf,
    },
    /// In the system's manager, as a user of its own.
    Isolated {
        /// Who runs the gateway.
        user: User,
        /// Who runs the keeper.
        keeper: UserName,
        /// The encrypted credential.
        credential: PathBuf,
        /// The gateway's unit, which alone is answered.
        gateway_unit: String,
    },
}

/// The keeper as a service.
#[derive(Debug, Clone)]
pub struct KeeperUnit {
    /// The program, absolute.
    pub program: PathBuf,
    /// The vault's folder, absolute and without links.
    pub vault: PathBuf,
    /// How it runs.
    pub form: Form,
}

/// The unit in the system's manager for this user's vault.
pub fn system_unit(user: &UserName) -> String {
    format!("clawkeep-keeper-{user}.service")
}

/// Where the credential of this user's keeper lies, below the system's root.
pub fn credential_path(root: &Path, user: &UserName) -> PathBuf {
    root.join("etc/clawkeep").join(format!("{user}.cred"))
}

/// Where the service finds its credential while it runs: the path of its slot.
pub fn credential_in_service(user: &UserName) -> PathBuf {
    PathBuf::from("/run/credentials")
        .join(system_unit(user))
        .join(CREDENTIAL)
}

impl KeeperUnit {
    /// The unit's name.
    pub fn name(&self) -> String {
        match &self.form {
            Form::OfUser { .. } => USER_UNIT.to_owned(),
            Form::OfSystem { user, .. } | Form::Isolated { user, .. } => system_unit(&user.name),
        }
    }

    /// The unit's name without its ending: also that of the runtime folder.
    fn stem(&self) -> String {
        self.name().trim_end_matches(".service").to_owned()
    }

    /// The socket, as its clients name it.
    pub fn socket(&self) -> PathBuf {
        let run = match &self.form {
            Form::OfUser { runtime } => runtime.clone(),
            Form::OfSystem { .. } | Form::Isolated { .. } => PathBuf::from("/run"),
        };
        run.join(self.stem()).join("keeper.sock")
    }

    /// The unit's text, marked.
    ///
    /// # Errors
    /// `Failed` for a path that no unit can hold.
    pub fn render(&self) -> Result<String> {
        let vault = path_text(&self.vault, "the path of the vault's folder")?;
        let mut args: Vec<String> = ["keeper", "start", "--foreground", "--release"]
            .map(str::to_owned)
            .to_vec();
        let is_once = matches!(self.form, Form::Isolated { .. });
        args.push(if is_once { "once" } else { "always" }.to_owned());
        args.extend(["--vault".to_owned(), vault.to_owned()]);
        let socket = self.socket();
        let socket = path_text(&socket, "the path of the socket")?;
        args.extend(["--socket".to_owned(), socket.to_owned()]);
        if let Form::Isolated {
            user, gateway_unit, ..
        } = &self.form
        {
            args.extend(["--gateway-unit".to_owned(), gateway_unit.clone()]);
            args.extend(["--gateway-user".to_owned(), user.uid.to_string()]);
        }
        let command = command_line(&self.program, &args)?;
        let vault_word = word(vault, "the path of the vault's folder")?;
        let mut unit = self.head(&vault_word)?;
        let _ = write!(
            unit,
            "\n[Service]\nType=notify\nNotifyAccess=main\nExecStart={command}\n"
        );
        unit.push_str(&self.identity()?);
        unit.push_str(LIFE);
        unit.push_str(HARD_EVERYWHERE);
        if !matches!(self.form, Form::OfUser { .. }) {
            unit.push_str(HARD_SYSTEM);
            unit.push_str(&self.files(&vault_word)?);
        }
        let target = match self.form {
            Form::OfUser { .. } => "default.target",
            Form::OfSystem { .. } | Form::Isolated { .. } => "multi-user.target",
        };
        let _ = write!(unit, "\n[Install]\nWantedBy={target}\n");
        Ok(marked(&unit))
    }

    fn head(&self, vault: &str) -> Result<String> {
        let (whose, before) = match &self.form {
            Form::OfUser { .. } => (String::new(), String::new()),
            // That user's manager runs the gateway.
            Form::OfSystem { user, .. } => (
                format!(" of {}", user.name),
                format!("Before=user@{}.service\n", user.uid),
            ),
            Form::Isolated {
                user, gateway_unit, ..
            } => (
                format!(" of {}", user.name),
                format!("Before={}\n", word(gateway_unit, "the gateway's unit")?),
            ),
        };
        // A user's manager knows no mounts of the system.
        let mounts = match self.form {
            Form::OfUser { .. } => String::new(),
            Form::OfSystem { .. } | Form::Isolated { .. } => {
                format!("RequiresMountsFor={vault}\n")
            }
        };
        Ok(format!(
            "[Unit]\nDescription=clawkeep keeper{whose}: holds the opened vault\n{before}{mounts}\
             StartLimitIntervalSec=300\nStartLimitBurst=10\n"
        ))
    }

    /// As whom, with which credential and folders.
    fn identity(&self) -> Result<String> {
        let stem = self.stem();
        let (user, credential, mode) = match &self.form {
            Form::OfUser { .. } => {
                return Ok(format!(
                    "RuntimeDirectory={stem}\nRuntimeDirectoryMode=0700\n"
                ));
            }
            Form::OfSystem { user, credential } => (&user.name, credential, "0700"),
            // The gateway's user must reach the socket; the keeper looks at who asks.
            Form::Isolated {
                keeper, credential, ..
            } => (keeper, credential, "0711"),
        };
        let credential = path_text(credential, "the path of the credential")?.replace('%', "%%");
        Ok(format!(
            "User={user}\nLoadCredentialEncrypted={CREDENTIAL}:{credential}\n\
             RuntimeDirectory={stem}\nRuntimeDirectoryMode={mode}\n"
        ))
    }

    /// Which files it sees and writes.
    fn files(&self, vault: &str) -> Result<String> {
        if let Form::Isolated { user, .. } = &self.form {
            return Ok(format!(
                "StateDirectory=clawkeep/{}\nStateDirectoryMode=0700\nRemoveIPC=yes\nProtectHome=yes\n",
                user.name
            ));
        }
        let in_home = ["/home", "/root", "/run/user"]
            .iter()
            .any(|dir| self.vault.starts_with(dir));
        if in_home {
            // The rest of the home is not there for it. A home elsewhere stays readable.
            if vault.contains(':') {
                return Err(Error::failed(
                    "the path of the vault's folder has a colon in it, where a service of the system would take it apart",
                )
                .hint("clawkeep service install --user"));
            }
            Ok(format!("ProtectHome=tmpfs\nBindPaths={vault}\n"))
        } else {
            Ok(format!("ProtectHome=yes\nReadWritePaths={vault}\n"))
        }
    }
}

/// How it lives and ends. A keeper that locked itself has ended well and stays down.
const LIFE: &str = "\
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=64
TimeoutStartSec=30
TimeoutStopSec=10
";

/// What every manager can do, a user's too: no mounts and no capabilities are needed for it.
const HARD_EVERYWHERE: &str = "\
UMask=0077
LimitCORE=0
MemorySwapMax=0
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources @keyring
";

/// What takes the system's manager. Memory is locked whole only where there is no limit to it.
const HARD_SYSTEM: &str = "\
LimitMEMLOCK=infinity
CapabilityBoundingSet=
AmbientCapabilities=
KeyringMode=private
DevicePolicy=closed
IPAddressDeny=any
PrivateDevices=yes
PrivateIPC=yes
PrivateMounts=yes
PrivateNetwork=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
";

#[cfg(test)]
#[path = "keeper_unit_tests.rs"]
mod tests;
