//! The flags of `link` and `unlink`. Ring 4; names only.

use clap::Args;
use std::path::PathBuf;

/// How OpenClaw is found and linked.
#[derive(Debug, Clone, Default, Args)]
pub struct LinkHow {
    /// OpenClaw's program or package folder [default: openclaw on PATH]
    #[arg(long, value_name = "PATH")]
    pub openclaw: Option<PathBuf>,
    /// Put this program into ~/.local/bin first, where OpenClaw can rely on it
    #[arg(long)]
    pub install: bool,
    /// The order of a provider's profiles: anthropic=anthropic:work,anthropic:home
    #[arg(long, value_name = "PROVIDER=ID,ID")]
    pub order: Vec<String>,
    /// One reference per provider, also where it has several profiles
    #[arg(long)]
    pub config_refs: bool,
}

/// References into OpenClaw's files.
#[derive(Debug, Args)]
pub struct Link {
    /// How OpenClaw is found and linked
    #[command(flatten)]
    pub how: LinkHow,
    /// Show every change and make none
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// References out of OpenClaw's files.
#[derive(Debug, Args)]
pub struct Unlink {
    /// OpenClaw's program or package folder [default: openclaw on PATH]
    #[arg(long, value_name = "PATH")]
    pub openclaw: Option<PathBuf>,
    /// Show every change and make none
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}
