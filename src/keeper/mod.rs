//! The keeper: a process that holds an opened vault and answers its own user, or one gateway. Ring 2:
//! knows no gateway by name.
//!
//! ```text
//! wire      what goes over the socket, and its bounds
//! socket    where the socket is, and who is at its other end
//! client    one question, one answer
//! handler   what a loop and who answers in it have to do with each other
//! server    one loop over listener, clients, signals and one timer; on Windows a thread for each client
//! alarm     signals, and the machine's sleep, as one descriptor; on Windows the console's end
//! pipe      the socket of Windows, and windows the calls that it is made of
//! pointer   where a vault's keeper listens, when not in the vault's folder
//! admission who may ask under `--release once`
//! attested  bytes from a socket, with the process that sent them
//! unit      which processes a unit of the system's manager has, and since when
//! ledger    what was given in which round
//! published what the keeper says about itself in the vault's folder
//! reason    rounds, and why an id was not given
//! timer     time since the machine started, and the loop's one timer
//! ticket    how a round is opened once more
//! ```
//!
//! Promises: a keeper that locks ends; nobody is answered by a stale value; a client that is slow,
//! silent or hostile costs others nothing but its bounded memory.

#[cfg(unix)]
pub mod admission;
#[cfg(unix)]
pub mod alarm;
#[cfg(windows)]
#[path = "no_alarm.rs"]
pub mod alarm;
#[cfg(target_os = "linux")]
pub mod attested;
pub mod client;
pub mod handler;
pub mod ledger;
#[cfg(windows)]
pub mod pipe;
pub mod pointer;
pub mod published;
pub mod reason;
#[cfg(unix)]
pub mod server;
#[cfg(windows)]
#[path = "threads.rs"]
pub mod server;
#[cfg(unix)]
pub mod sleep;
pub mod socket;
pub mod ticket;
pub mod timer;
#[cfg(unix)]
pub mod unit;
#[cfg(windows)]
#[path = "no_unit.rs"]
pub mod unit;
#[cfg(windows)]
pub mod windows;
pub mod wire;

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
