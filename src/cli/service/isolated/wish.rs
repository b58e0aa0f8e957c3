//! What the isolated form asks of the process that runs as the gateway's user, and what comes back.
//! Ring 4; words, none of them a secret.

use super::handed::Handed;
use crate::cli::service::said::{GatewayName, Id, Place, Variable, Word};
use crate::service::gateway::Gateway;
use crate::service::policy::Policy;
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
    Stop(GatewayName),
    /// Enable and start it.
    Start(GatewayName),
    /// Remove what is left of the old vault, when it is still this one: its file, slots, keychain item,
    /// identity file.
    Destroy(Handed),
    /// The same on the keeper's side, whose folder goes as a whole: file and slots.
    Retire(Handed),
}

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surveyed {
    /// The vault's folder, without links.
    pub vault: Place,
    /// Whether a vault file lies in it.
    pub has_vault: bool,
    /// Whether each value is in the keychain, so that there is no file.
    pub is_items: bool,
    /// How many undo bundles lie beside it.
    pub undo: usize,
    /// The keeper that this folder's vault was given to.
    pub moved: Option<(Place, u32)>,
    /// Whether the vault is held by a service at rest.
    pub at_rest: bool,
    /// The ids that OpenClaw asks for; `None` when it is not linked.
    pub linked: Option<Vec<Id>>,
    /// The keeper that OpenClaw asks.
    pub asks: Option<(Place, u32)>,
    /// Gateways of the user's manager.
    pub gateways: Vec<Unit>,
    /// One from the installed OpenClaw, where the user's manager has none.
    pub fallback: Option<Unit>,
}

/// A gateway, as far as it is handed on. What comes back was said by a user's process: see
/// [`said`](crate::cli::service::said).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The unit's name.
    pub name: GatewayName,
    /// The command, word for word.
    pub command: Vec<Word>,
    /// Variables that hold no key.
    pub environment: Vec<Variable>,
    /// The names of variables that look as if they held one; their values stay where they are.
    pub withheld: Vec<Word>,
    /// The folder that it starts in.
    pub folder: Option<Place>,
    /// How it is started again and stopped.
    pub policy: Vec<Policy>,
    /// Whether it was put aside for a unit of the system.
    pub aside: bool,
    /// Why it cannot be handed on.
    pub trouble: Option<Word>,
}

impl Unit {
    /// One with nothing but a name.
    pub fn named(name: GatewayName) -> Self {
        Unit {
            name,
            command: Vec::new(),
            environment: Vec::new(),
            withheld: Vec::new(),
            folder: None,
            policy: Vec::new(),
            aside: false,
            trouble: None,
        }
    }

    /// The gateway that this is.
    pub fn gateway(&self) -> Gateway {
        Gateway {
            command: self.command.iter().map(ToString::to_string).collect(),
            environment: self.environment.iter().cloned().map(Into::into).collect(),
            folder: self.folder.clone().map(Into::into),
            policy: self.policy.clone(),
            ..Gateway::default()
        }
    }
}
