//! The flags of `doctor`. Ring 4; names only.

use clap::Args;
use std::path::PathBuf;

/// What is wrong, and what to type.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Mend what can be taken back: permissions, orders of profiles that are gone; shown first
    #[arg(long)]
    pub fix: bool,
    /// Do not ask before mending
    #[arg(long, requires = "fix")]
    pub yes: bool,
    /// OpenClaw's program or package folder [default: openclaw on PATH]
    #[arg(long, value_name = "PATH")]
    pub openclaw: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
