//! The commands below `models`, and the flags of `models status`. Ring 4; names only.

use super::{Auth, Pick};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Credentials of model providers.
#[derive(Debug, Subcommand)]
pub enum Models {
    /// Show which credential of each provider is used, whether it is healthy, and what is in its way
    ///
    /// No value is shown and the vault may be locked. With --check the exit code says how it is: 0 well, 1
    /// expired, missing or a reference that gives no value, 2 expiring within 24 hours, 75 not proven where
    /// --require-proof asks for it. Counted are the providers of the models that openclaw.json uses, and every
    /// reference, whoever answers it.
    #[command(
        after_help = "Example:  clawkeep models status\nScript:   clawkeep models status --check --json"
    )]
    Status(ModelsStatus),
    /// Store, list and remove credentials
    Auth(Auth),
    /// Show which profile of a provider OpenClaw uses next, and why not the others
    ///
    /// Exits 1 when there is none that it would use. No value is shown and the vault may be locked.
    #[command(after_help = "Example:  clawkeep models pick --provider anthropic")]
    Pick(Pick),
}

/// Which credential is used.
#[derive(Debug, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag that a person types"
)]
pub struct ModelsStatus {
    /// The OpenClaw agent whose profiles they are
    #[arg(long, default_value = "main", value_name = "ID")]
    pub agent: String,
    /// Print one JSON document
    #[arg(long, conflicts_with = "plain")]
    pub json: bool,
    /// Print the default model and nothing else
    #[arg(long)]
    pub plain: bool,
    /// Say by the exit code how it is: 0 well, 1 expired, missing or unresolved, 2 expiring
    #[arg(long)]
    pub check: bool,
    /// What is left when a credential counts as expiring [default: 24h]
    #[arg(long, value_name = "DURATION")]
    pub warn_within: Option<String>,
    /// With --check: exit 75 when it cannot be proven that the references resolve
    #[arg(long, requires = "check")]
    pub require_proof: bool,
    /// With --check: start the programs of others too that openclaw.json names for references
    #[arg(long, requires = "check")]
    pub allow_exec: bool,
    /// Ask each provider once, over the network, whether it takes the credential
    #[arg(long, conflicts_with = "plain")]
    pub probe: bool,
    /// How long one such question may take [default: 8s]
    #[arg(long, value_name = "DURATION", requires = "probe")]
    pub probe_timeout: Option<String>,
    /// Ask OpenClaw for what is in its database (from 2026.6.5): order, cooldowns, errors; takes seconds
    #[arg(long)]
    pub live: bool,
    /// OpenClaw's program or package folder, for --live [default: openclaw on PATH]
    #[arg(long, value_name = "PATH")]
    pub openclaw: Option<PathBuf>,
}
