//! The flags of `models pick`. Ring 4; names only.

use clap::Args;
use std::path::PathBuf;

/// The profile that is next.
#[derive(Debug, Args)]
pub struct Pick {
    /// The provider, for example anthropic
    #[arg(long, value_name = "NAME")]
    pub provider: String,
    /// The profile that comes first if it can be used, as with `/model ALIAS@PROFILE`
    #[arg(long, value_name = "ID")]
    pub profile: Option<String>,
    /// The OpenClaw agent that chooses
    #[arg(long, default_value = "main", value_name = "ID")]
    pub agent: String,
    /// Ask OpenClaw for the order in its database (from 2026.6.5); takes seconds
    #[arg(long)]
    pub live: bool,
    /// OpenClaw's program or package folder, for --live [default: openclaw on PATH]
    #[arg(long, value_name = "PATH")]
    pub openclaw: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
