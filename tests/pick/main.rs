//! `models pick` and `models auth order`: what they say as a whole, where an order lies for each version,
//! what others can write into the files, and what the real OpenClaw makes of the same stores.
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

mod hostile;
mod places;
mod real;
mod said;
mod stores;

/// `models auth order …`.
fn order_args<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["models", "auth", "order"], args].concat()
}
