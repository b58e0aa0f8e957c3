//! OpenClaw as it is installed here. Ring 2': has never heard of vaults.
//!
//! Sources: OpenClaw's shipped documentation and code, 2026.2.26 to 2026.9.6, and runs of it.

pub mod auth_state;
pub mod command;
pub mod config;
pub mod custom;
pub mod database;
pub mod decisive;
mod document;
pub mod elsewhere;
pub mod exec;
pub mod gateway;
pub mod install;
pub mod link;
pub mod listing;
pub mod models;
mod order;
pub mod orders;
pub mod places;
pub mod plaintext;
mod profile;
pub mod profiles;
pub mod reference;
pub mod select;
pub mod store_lock;
pub mod version;
pub mod view;
