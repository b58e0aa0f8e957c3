//! The command line of the keeper. Ring 4; knows names of commands and flags, does nothing.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A process that holds the vault open.
#[derive(Debug, Subcommand)]
pub enum KeeperCommand {
    /// Open the vault and hold it open in the background
    #[command(after_help = "Example:  clawkeep keeper start --timeout 8h --idle 30m")]
    Start(KeeperStart),
    /// Let a keeper that gives each value once give them once more
    #[command(after_help = "Example:  clawkeep keeper arm")]
    Arm(KeeperArm),
    /// Say whether a keeper holds the vault open
    #[command(after_help = "Example:  clawkeep keeper status --json")]
    Status(KeeperStatus),
    /// End the keeper, and with it the open vault
    #[command(after_help = "Example:  clawkeep keeper stop")]
    Stop,
}

/// How often a keeper gives a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReleaseArg {
    /// To every request of this user (the default)
    Always,
    /// Each linked id once in each start of the gateway
    Once,
}

/// How a keeper holds the vault.
#[derive(Debug, Clone, Args)]
pub struct KeeperHow {
    /// How often it gives a value [default: always]
    #[arg(long, value_enum)]
    pub release: Option<ReleaseArg>,
    /// End after this time, whatever happens: 8h, 30m, 1d
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// End when nobody has asked for this long
    #[arg(long, value_name = "DURATION")]
    pub idle: Option<String>,
    /// With --release once: answer the same request twice within 10 seconds, for OpenClaw 2026.2.26
    #[arg(long)]
    pub asks_twice: bool,
    /// Ask for the passphrase although another user could have changed this program
    #[arg(long)]
    pub trust_this_program: bool,
}

/// A keeper to start.
#[derive(Debug, Clone, Args)]
pub struct KeeperStart {
    /// How it holds the vault
    #[command(flatten)]
    pub how: KeeperHow,
    /// Stay in the foreground and open the vault by a slot that needs no person: for services
    #[arg(long)]
    pub foreground: bool,
    /// Listen at this socket [default: keeper.sock in the vault's folder]
    #[arg(long, value_name = "SOCKET")]
    pub socket: Option<PathBuf>,
    /// With --release once: give values only to processes of this system unit
    #[arg(long, value_name = "UNIT", requires = "gateway_user")]
    pub gateway_unit: Option<String>,
    /// With --release once: the number of that unit's user
    #[arg(long, value_name = "UID", requires = "gateway_unit")]
    pub gateway_user: Option<u32>,
    /// Take the opened vault's identity from standard input
    #[arg(long, hide = true)]
    pub handed: bool,
}

/// Ids to arm.
#[derive(Debug, Args)]
pub struct KeeperArm {
    /// Only these ids [default: every linked id]
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Ask for the passphrase although another user could have changed this program
    #[arg(long)]
    pub trust_this_program: bool,
}

/// The keeper's state.
#[derive(Debug, Args)]
pub struct KeeperStatus {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Ask the keeper that listens at this socket
    #[arg(long, value_name = "SOCKET")]
    pub socket: Option<PathBuf>,
}
