//! The command line of the first run: `init` and `onboard`. Ring 4; names only.

use super::{LinkHow, SlotArg};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Where values lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CustodyArg {
    /// In one age-encrypted file (the default)
    File,
    /// Each value in its own keychain item
    Keychain,
}

/// How a vault is made.
#[derive(Debug, Clone, Args)]
pub struct Init {
    /// Where values lie [default: file]
    #[arg(long, value_enum)]
    pub custody: Option<CustodyArg>,
    /// How the vault opens; may be given more than once
    #[arg(long, value_enum)]
    pub slot: Vec<SlotArg>,
    /// The file of an identity-file slot [default: identity.txt in clawkeep's configuration folder]
    #[arg(long, value_name = "FILE")]
    pub identity_file: Option<PathBuf>,
    /// The file with the new passphrase, for scripts
    #[arg(long, value_name = "FILE")]
    pub new_passphrase_file: Option<PathBuf>,
    /// Write the recovery key to this new file instead of showing it
    #[arg(long, value_name = "FILE", conflicts_with = "no_recovery")]
    pub recovery_file: Option<PathBuf>,
    /// Make no recovery key
    #[arg(long)]
    pub no_recovery: bool,
    /// Whether it goes on where an earlier run was cut off
    #[arg(skip)]
    pub goes_on: bool,
}

/// What a first credential is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    /// A bearer token or setup-token
    Token,
    /// An API key
    ApiKey,
}

/// The first run.
#[derive(Debug, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag that a person types"
)]
pub struct Onboard {
    /// How the vault is made
    #[command(flatten)]
    pub init: Init,
    /// The provider of the first credential
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// Whether it is a token or an API key [default: token for anthropic, otherwise API key]
    #[arg(long, value_enum)]
    pub kind: Option<KindArg>,
    /// The profile [default: <provider>:default]
    #[arg(long, value_name = "ID")]
    pub profile_id: Option<String>,
    /// When it stops working, from now
    #[arg(long, value_name = "DURATION")]
    pub expires_in: Option<String>,
    /// Store a value that looks like another provider's
    #[arg(long)]
    pub force: bool,
    /// Take no credential now
    #[arg(long)]
    pub no_paste: bool,
    /// Leave OpenClaw alone
    #[arg(long)]
    pub no_link: bool,
    /// How OpenClaw is found and linked
    #[command(flatten)]
    pub link: LinkHow,
    /// Move plaintext credentials that are found into the vault; --yes alone does not
    #[arg(long, conflicts_with = "no_migrate")]
    pub migrate: bool,
    /// Look for no plaintext credentials
    #[arg(long)]
    pub no_migrate: bool,
    /// Install the keeper as a service of your own; --yes alone does not
    #[arg(long, conflicts_with = "no_service")]
    pub service: bool,
    /// Install no service, and do not offer it
    #[arg(long)]
    pub no_service: bool,
    /// The system lies below this folder
    #[arg(long, value_name = "DIR", hide = true)]
    pub root: Option<PathBuf>,
    /// Do not ask; take the recommended answer
    #[arg(long)]
    pub yes: bool,
}
