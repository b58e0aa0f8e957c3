//! The flags of `migrate`. Ring 4; names only.

use super::LinkHow;
use clap::Args;
use std::path::PathBuf;

/// Plaintext credentials into the vault.
#[derive(Debug, Default, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag that a person types"
)]
pub struct Migrate {
    /// Files and folders to look through besides OpenClaw's own: .env files, shell start-up files, units
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Show what would happen and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Rewrite shell start-up files and environment.d too
    #[arg(long)]
    pub rc: bool,
    /// Take this variable too, for `clawkeep run`; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub take: Vec<String>,
    /// Where two places disagree, believe this one: a file, or FILE:LINE; "the vault" for what is there
    #[arg(long, value_name = "PLACE")]
    pub prefer: Vec<String>,
    /// Move variables for `clawkeep run` alone, and leave OpenClaw's files as they are
    #[arg(long)]
    pub for_run: bool,
    /// Keep what is needed to undo this until it is destroyed by hand, not for 30 days
    #[arg(long)]
    pub keep: bool,
    /// Leave a running gateway alone; it has the old values until it is told
    #[arg(long)]
    pub no_reload: bool,
    /// How OpenClaw is found and linked
    #[command(flatten)]
    pub how: LinkHow,
    /// Take a migration back: the last one, or the one that is named
    #[arg(long, value_name = "ID", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["forget", "undo_list"])]
    pub undo: Option<String>,
    /// Destroy what is needed to take a migration back; `all` for every one
    #[arg(long, value_name = "ID", conflicts_with = "undo_list")]
    pub forget: Option<String>,
    /// List the migrations that can be taken back
    #[arg(long)]
    pub undo_list: bool,
    /// Let root take a migration back
    #[arg(long, requires = "undo", hide_short_help = true)]
    pub as_root: bool,
}
