//! clawkeep, a credential vault for people who run the OpenClaw gateway.
//!
//! The map. Imports go downward only; `tests/architecture.rs` reads them and compares.
#![forbid(unsafe_op_in_unsafe_fn)]

pub mod error;
pub mod expiry;
pub mod file;
pub mod host;
pub mod openclaw;
pub mod provider;
pub mod secret;
pub mod store;
pub mod terminal;
