//! Services: the texts and places of systemd and launchd, and the few programs of theirs that are
//! run. Ring 2; has never heard of vaults or of OpenClaw: a keeper is a program with arguments here,
//! and a gateway is a unit that somebody else wrote.
//!
//! Promises:
//! - a unit is rendered from a typed description; whatever a path or a name holds, it is one word of
//!   one setting, or it is refused: nothing can add a setting to a unit that root will run;
//! - no unit holds a secret;
//! - every file that is written says so in its first line and can be told from one that was edited
//!   (see [`marker`]);
//! - no program is looked up on `PATH` (see [`system`]).

pub mod gateway;
pub mod keeper_unit;
pub mod launch_agent;
pub mod marker;
pub mod monitor_unit;
pub mod notify;
pub mod policy;
pub mod system;
pub mod text;
pub mod trusted_path;
pub mod user;
