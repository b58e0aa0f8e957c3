//! The keeper as the real program: its life, what it gives under both modes, what breaks around it,
//! who attacks it, and what it costs while nobody asks.
//!
//! A test that needs another user, or a look into the keeper's memory, needs root and says so where it
//! does not have it.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod attackers;
mod clients;
mod clock;
#[path = "../common/mod.rs"]
mod common;
mod faults;
mod idle;
#[allow(
    dead_code,
    reason = "every test program compiles this and uses its part"
)]
#[path = "../keyring/mod.rs"]
mod keyring;
mod lab;
mod lifecycle;
mod once;
mod sleep;
mod talk;
mod tickets;
mod vaults;
