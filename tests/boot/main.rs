//! A real systemd as PID 1, a real OpenClaw as its service: what clawkeep promises for machines that
//! boot with nobody at the keyboard, and what it builds on.
//!
//! `prelude.sh` says what a scenario's script can use. With `CLAWKEEP_TEST_JOURNALS=DIR` each boot
//! leaves its steps and its journal in DIR.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; a machine's files are written and read here"
)]

#[path = "../common/mod.rs"]
mod common;

mod at_rest;
mod credentials;
mod isolated;
mod isolated_openclaw;
mod machine;
mod openclaw;
mod root;
mod systemd;
mod transcript;
mod user_unit;
