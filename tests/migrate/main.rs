//! `migrate` against a program in OpenClaw's place: what is listed, what moves, what stands in every file
//! afterwards, and what happens when something is in the way.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    unreachable_pub,
    dead_code,
    reason = "a panic is how a test fails, tests write files, and their parts are modules"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../link/scene.rs"]
mod scene;

mod choices;
mod home;
mod hostile;
mod interrupted;
mod meanwhile;
mod whole;
