//! The command line of completions and man pages. Ring 4; names only.

use clap::Args;
use clap_complete::Shell;
use std::path::PathBuf;

/// Completions.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Man pages.
#[derive(Debug, Args)]
pub struct Man {
    /// Write a page for each command into this folder, which is made [default: the first page, shown]
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
