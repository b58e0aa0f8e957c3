//! The flags of `run`. Ring 4; names only.

use clap::Args;
use std::ffi::OsString;

/// A command with secrets.
#[derive(Debug, Args)]
pub struct Run {
    /// Set the variable NAME to the secret ID, or to the profile that is next: NAME=provider/anthropic
    #[arg(long, value_name = "NAME=ID")]
    pub env: Vec<String>,
    /// Only this stored profile, under its provider's variable; may be given more than once
    #[arg(long, value_name = "ID")]
    pub only: Vec<String>,
    /// Only this provider's next profile, under its variable; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub provider: Vec<String>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}
