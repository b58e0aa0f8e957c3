//! The keeper: a process that holds an opened vault and answers its own user, or one gateway. Ring 2:
//! has never heard of OpenClaw.

pub mod pointer;

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
