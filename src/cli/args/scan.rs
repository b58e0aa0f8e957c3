//! The flags of `scan`. Ring 4; names only.

use clap::Args;
use std::path::PathBuf;

/// Where to look besides the usual places.
#[derive(Debug, Args)]
pub struct Scan {
    /// Files and folders that are searched besides the usual places
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Search the environments and arguments of your processes and of the service managers too
    #[arg(long)]
    pub processes: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
