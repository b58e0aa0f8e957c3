//! The flags of `status`. Ring 4; names only.

use clap::Args;

/// The vault at a glance.
#[derive(Debug, Args)]
pub struct Status {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
