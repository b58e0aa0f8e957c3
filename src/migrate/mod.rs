//! Moving plaintext credentials into the vault: what there is, which names it gets, what becomes of each
//! place, and the bytes that files have afterwards. Ring 3; returns data, prints nothing, asks nobody.
//!
//! Promises:
//! - nothing is changed that was not listed, and nothing that changed since it was listed;
//! - a value is in the vault, or where it was, at every instant: see [`plan`] for what moves, and the
//!   command for the order of its steps;
//! - no value is guessed to be the right one of two, and none is dropped.

pub mod claims;
pub mod config;
pub mod digest;
pub mod find;
pub mod item;
pub mod names;
pub mod plan;
pub mod read;
pub mod scrub;
pub mod source;
pub mod undo;
pub mod variable;
