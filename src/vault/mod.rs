//! The vault. Ring 2: has never heard of OpenClaw.

pub mod id;
pub mod items;
