//! clawkeep, a credential vault for people who run the OpenClaw gateway.
//!
//! The map. Imports go downward only; `tests/architecture.rs` reads them and compares.
//!
//! | ring | modules | may know |
//! |---|---|---|
//! | 0 words | [`error`] [`secret`] [`provider`] [`expiry`] [`json`] [`assignment`] | nothing but words: no files, clock, environment |
//! | 1 doors | [`host`] [`file`] [`keychain`] [`terminal`] [`wipe`] | one part of the outside world each |
//! | 2 custody | [`store`] [`vault`] [`keeper`] [`access`] | rings 0 and 1; has never heard of OpenClaw |
//! | 2 services | [`service`] | rings 0 and 1; systemd and launchd, never vaults or OpenClaw |
//! | 2' OpenClaw | [`openclaw`] | rings 0 and 1; has never heard of vaults |
//! | 3 use cases | [`backup`] [`doctor`] [`migrate`] [`scan`] [`status`] | rings 0 to 2'; return data, print nothing, ask nobody |
//! | 4 the person | [`cli`] | every ring; `cli::ui` is the only printer |
//!
//! A value leaves its box (`expose_secret`) only where `#[allow(clippy::disallowed_methods)]` says
//! `door:`; clippy.toml refuses it elsewhere, and so it does for the environment, the clock and file
//! writes.
#![forbid(unsafe_op_in_unsafe_fn)]

pub mod access;
pub mod assignment;
pub mod backup;
pub mod cli;
pub mod doctor;
pub mod error;
pub mod expiry;
pub mod file;
pub mod host;
pub mod json;
pub mod keeper;
pub mod keychain;
pub mod migrate;
pub mod openclaw;
pub mod provider;
pub mod scan;
pub mod secret;
pub mod service;
pub mod status;
pub mod store;
pub mod terminal;
pub mod vault;
pub mod wipe;
