//! The command line of `service`. Ring 4.

use super::MonitorHow;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// The keeper as a service.
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Start the keeper with the machine, and the gateway after it; or a monitor, from time to time
    #[command(
        after_help = "Example:  sudo clawkeep service install --system\nScript:   clawkeep service install --user --monitor --notify --yes"
    )]
    Install(ServiceInstall),
    /// Take away what install wrote
    #[command(after_help = "Example:  sudo clawkeep service uninstall --system")]
    Uninstall(ServiceUninstall),
    /// What is installed, and whether it runs; exit code 1 when something is off
    #[command(after_help = "Example:  clawkeep service status")]
    Status(ServiceStatus),
    /// Run a command of clawkeep on an isolated vault, as its keeper's user; needs root
    #[command(
        after_help = "Example:  sudo clawkeep service run -- models auth paste-token --provider anthropic"
    )]
    Run(ServiceRun),
    /// Let an isolated keeper give each value once more; needs root
    #[command(after_help = "Example:  sudo clawkeep service arm")]
    Arm(ServiceArm),
    /// One end of the pipe over which a vault moves: gives it
    #[command(hide = true)]
    Hand,
    /// The other end: takes it
    #[command(hide = true)]
    Take,
    /// The part of `install` that a user's own process does
    #[command(hide = true)]
    Side(ServiceSide),
}

/// Whose service, and in which manager.
#[derive(Debug, Clone, Args)]
pub struct ServiceWhere {
    /// In your own service manager; the vault must open by an identity file or the keychain
    #[arg(long)]
    pub user: bool,
    /// In the system's service manager, with an encrypted credential; needs root
    #[arg(long, conflicts_with = "user")]
    pub system: bool,
    /// With --system: whose vault [default: the owner of --vault, or who called sudo]
    #[arg(long = "for", value_name = "USER", conflicts_with = "user")]
    pub owner: Option<String>,
    /// With --system: the keeper and its vault under a user of their own, the gateway as a unit of the
    /// system, each value once for each of its starts
    #[arg(long, conflicts_with = "user")]
    pub isolated: bool,
    /// The system lies below this folder
    #[arg(long, value_name = "DIR", hide = true)]
    pub root: Option<PathBuf>,
}

/// What encrypts the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CredentialKeyArg {
    /// The machine's TPM2 together with the host's key where there is one, otherwise the host's key
    Auto,
    /// A key in /var/lib/systemd that only root can read
    Host,
    /// The machine's TPM2
    Tpm2,
}

/// A service to install.
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
pub struct ServiceInstall {
    /// Whose service, and in which manager
    #[command(flatten)]
    pub place: ServiceWhere,
    /// With --system: what encrypts the credential
    #[arg(long, value_enum, default_value = "auto", value_name = "KEY")]
    pub credential_key: CredentialKeyArg,
    /// With --isolated: the gateway's unit, where there are several
    #[arg(long, value_name = "UNIT", requires = "isolated")]
    pub gateway_unit: Option<String>,
    /// With --isolated: a passphrase of your own also opens the vault
    #[arg(long, requires = "isolated")]
    pub passphrase: bool,
    /// With --isolated: the same, from this private file
    #[arg(long, value_name = "FILE", requires = "isolated")]
    pub new_passphrase_file: Option<PathBuf>,
    /// Restart the gateways that run, so that they take their new settings
    #[arg(long)]
    pub restart_gateway: bool,
    /// Instead of the keeper: look from time to time for credentials that are expired, missing or soon
    /// to expire, and tell
    #[arg(long, conflicts_with_all = ["isolated", "restart_gateway"])]
    pub monitor: bool,
    /// With --monitor: how often [default: 30m]
    #[arg(long, value_name = "DURATION", requires = "monitor")]
    pub every: Option<String>,
    /// With --monitor: who is told [default: the journal]
    #[command(flatten)]
    pub how: MonitorHow,
    /// Show every file and write none
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// A service to take away.
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
pub struct ServiceUninstall {
    /// Whose service, and in which manager
    #[command(flatten)]
    pub place: ServiceWhere,
    /// With --isolated: leave the vault and its credential where they are
    #[arg(long, requires = "isolated")]
    pub keep_vault: bool,
    /// The monitor alone
    #[arg(long, conflicts_with = "isolated")]
    pub monitor: bool,
    /// Show what would go and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// A service to look at.
#[derive(Debug, Args)]
pub struct ServiceStatus {
    /// Whose service, and in which manager
    #[command(flatten)]
    pub place: ServiceWhere,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// A command on an isolated vault.
#[derive(Debug, Args)]
pub struct ServiceRun {
    /// Whose vault it was [default: who called sudo]
    #[arg(long = "for", value_name = "USER")]
    pub owner: Option<String>,
    /// The system lies below this folder
    #[arg(long, value_name = "DIR", hide = true)]
    pub root: Option<PathBuf>,
    /// The command, without the program's own name
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Ids to arm on an isolated vault.
#[derive(Debug, Args)]
pub struct ServiceArm {
    /// Whose vault it was [default: who called sudo]
    #[arg(long = "for", value_name = "USER")]
    pub owner: Option<String>,
    /// Only these ids [default: every linked id]
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// The other end of a pipe.
#[derive(Debug, Args)]
pub struct ServiceSide {
    /// The system lies below this folder
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
}
