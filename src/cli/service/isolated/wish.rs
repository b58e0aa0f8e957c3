//! What the isolated form asks of the process that runs as the gateway's user, and what comes back.
//! Ring 4; words, none of them a secret.

use crate::service::gateway::Gateway;
use crate::service::text::Setting;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A question.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wish {
    /// What is there.
    Survey,
    /// From now on this folder's vault is the keeper's: who opens it here is told so.
    Leave {
        /// The keeper's socket.
        socket: PathBuf,
        /// The keeper's user.
        user: u32,
        /// The unit that it answers.
        unit: String,
    },
    /// OpenClaw asks that keeper.
    AskKeeper {
        /// The keeper's socket.
        socket: PathBuf,
        /// The keeper's user.
        user: u32,
    },
    /// OpenClaw asks the vault in this folder.
    AskVault,
    /// Disable and stop a unit of the user's manager.
    Stop(String),
    /// Enable and start it.
    Start(String),
    /// Remove what is left of the old vault: its file, slots, keychain item, identity file.
    Destroy,
}

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surveyed {
    /// The vault's folder, without links.
    pub vault: PathBuf,
    /// Whether a vault file lies in it.
    pub has_vault: bool,
    /// Whether each value is in the keychain, so that there is no file.
    pub is_items: bool,
    /// The keeper that this folder's vault was given to.
    pub moved: Option<(PathBuf, u32)>,
    /// Whether the vault is held by a service at rest.
    pub at_rest: bool,
    /// The ids that OpenClaw asks for; `None` when it is not linked.
    pub linked: Option<Vec<String>>,
    /// The keeper that OpenClaw asks.
    pub asks: Option<(PathBuf, u32)>,
    /// Gateways of the user's manager.
    pub gateways: Vec<Unit>,
    /// One from the installed OpenClaw, where the user's manager has none.
    pub fallback: Option<Unit>,
}

/// A gateway, as far as it is handed on. What comes back was said by a user's process; only rendered
/// as words of settings it gets into a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The unit's name.
    pub name: String,
    /// The command, word for word.
    pub command: Vec<String>,
    /// Variables that hold no key.
    pub environment: Vec<(String, String)>,
    /// The names of variables that look as if they held one; their values stay where they are.
    pub withheld: Vec<String>,
    /// The folder that it starts in.
    pub folder: Option<String>,
    /// How it is started again and stopped.
    pub policy: Vec<Setting>,
    /// Whether it was put aside for a unit of the system.
    pub aside: bool,
    /// Why it cannot be handed on.
    pub trouble: Option<String>,
}

impl Unit {
    /// The gateway that this is.
    pub fn gateway(&self) -> Gateway {
        Gateway {
            command: self.command.clone(),
            environment: self.environment.clone(),
            folder: self.folder.clone(),
            policy: self.policy.clone(),
            ..Gateway::default()
        }
    }
}
