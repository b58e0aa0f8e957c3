//! OpenClaw as it is installed here. Ring 2': has never heard of vaults.
//!
//! Sources: OpenClaw's shipped documentation and code, 2026.2.26 to 2026.9.6, and runs of it.

pub mod command;
pub mod config;
pub mod install;
pub mod link;
pub mod places;
pub mod reference;
pub mod version;
