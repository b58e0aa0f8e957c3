//! `link` and `unlink` against a program in OpenClaw's place, for every version that behaves
//! differently: what stands in OpenClaw's files afterwards, what OpenClaw was asked to do, and what
//! happens when something is in the way. tests/openclaw_real.rs has the real ones.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a panic is how a test fails, tests write files, and their parts are modules"
)]

#[path = "../common/mod.rs"]
mod common;

mod bytes;
mod interrupted;
mod pins;
mod refusals;
mod reload;
mod scene;
mod undo;
mod versions;
