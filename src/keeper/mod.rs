//! The keeper: a process that holds an opened vault and answers its own user, or one gateway. Ring 2:
//! has never heard of OpenClaw.
//!
//! ```text
//! admission who may ask under `--release once`
//! attested  bytes from a socket, with the process that sent them
//! unit      which processes a unit of the system's manager has, and since when
//! ledger    what was given in which round
//! published what the keeper says about itself in the vault's folder
//! reason    rounds, and why an id was not given
//! ticket    how a round is opened once more
//! ```

#[cfg(unix)]
pub mod admission;
#[cfg(target_os = "linux")]
pub mod attested;
pub mod ledger;
pub mod published;
pub mod reason;
pub mod ticket;
#[cfg(unix)]
pub mod unit;

use serde::{Deserialize, Serialize};

/// How often a value is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Release {
    /// To every request of its user, for as long as the keeper runs.
    Always,
    /// Each linked id once in each start of the gateway.
    Once,
}

impl Release {
    /// The word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Release::Always => "always",
            Release::Once => "once",
        }
    }
}
