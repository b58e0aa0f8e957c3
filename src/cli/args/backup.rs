//! The command line of backups. Ring 4; knows names of commands and flags, does nothing.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// A backup to make.
#[derive(Debug, Args)]
pub struct Backup {
    /// The new file
    pub file: PathBuf,
}

/// A backup to put in place.
#[derive(Debug, Args)]
pub struct Restore {
    /// The backup
    pub file: PathBuf,
    /// Put the vault that is there aside, and restore in its place
    #[arg(long)]
    pub replace: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One JSON document with everything that is known of each value
    Json,
    /// Lines NAME='value' for a shell or a .env file
    Env,
}

/// Values in plaintext.
#[derive(Debug, Args)]
pub struct Export {
    /// How they are written
    #[arg(long, value_enum, default_value = "json")]
    pub format: ExportFormat,
    /// Write them to this new private file instead of the terminal
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}
