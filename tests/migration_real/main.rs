//! A migration of what the real OpenClaw made, and the way back: 2026.6.1 with its JSON files, 2026.8.2
//! and 2026.9.6 with their databases. Nothing here is a stand-in but the provider at the far end.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a panic is how a test fails, and tests write files and print what was left out"
)]

#[path = "../common/mod.rs"]
mod common;

#[cfg(target_os = "linux")]
mod boundaries;
mod home;
mod upgrade;
mod whole;
