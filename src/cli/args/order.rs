//! The flags of `models auth order`. Ring 4; names only.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The order in which an agent tries a provider's profiles.
#[derive(Debug, Subcommand)]
pub enum OrderCommand {
    /// Show the order that is stored for the agent
    #[command(after_help = "Example:  clawkeep models auth order get --provider anthropic")]
    Get(Order),
    /// Store an order; a profile that is not in it is never tried
    #[command(
        after_help = "Example:  clawkeep models auth order set --provider anthropic anthropic:work anthropic:home"
    )]
    Set(OrderSet),
    /// Forget the order; OpenClaw takes the profiles in turn again
    #[command(after_help = "Example:  clawkeep models auth order clear --provider anthropic")]
    Clear(Order),
}

/// Whose order.
#[derive(Debug, Args)]
pub struct Order {
    /// The provider, for example anthropic
    #[arg(long, value_name = "NAME")]
    pub provider: String,
    /// OpenClaw's program or package folder [default: openclaw on PATH]
    #[arg(long, value_name = "PATH")]
    pub openclaw: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// A new order.
#[derive(Debug, Args)]
pub struct OrderSet {
    /// Whose
    #[command(flatten)]
    pub order: Order,
    /// The profiles, the one that is tried first comes first
    #[arg(required = true, value_name = "PROFILE")]
    pub profiles: Vec<String>,
}

impl OrderCommand {
    /// What all three have.
    pub fn order(&self) -> &Order {
        match self {
            OrderCommand::Get(order) | OrderCommand::Clear(order) => order,
            OrderCommand::Set(set) => &set.order,
        }
    }
}
