//! The command line of slots, rekeying and recovery. Ring 4; knows names of commands and flags, does
//! nothing.

use super::SlotArg;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Ways to open the vault.
#[derive(Debug, Subcommand)]
pub enum SlotCommand {
    /// Add or replace a slot
    #[command(after_help = "Example:  clawkeep slot add passphrase")]
    Add(SlotAdd),
    /// List the slots
    #[command(after_help = "Example:  clawkeep slot list")]
    List(SlotList),
    /// Remove a slot, and give the vault a new identity so that old copies of the slot are worthless
    #[command(after_help = "Example:  clawkeep slot remove passphrase")]
    Remove(SlotRemove),
}

/// A slot to add.
#[derive(Debug, Args)]
pub struct SlotAdd {
    /// How it opens
    #[arg(value_enum)]
    pub kind: SlotArg,
    /// Its name [default: its kind]
    #[arg(long)]
    pub name: Option<String>,
    /// The file of an identity-file slot
    #[arg(long, value_name = "FILE")]
    pub identity_file: Option<PathBuf>,
    /// The file with the new passphrase, for scripts
    #[arg(long, value_name = "FILE")]
    pub new_passphrase_file: Option<PathBuf>,
    /// Replace a slot of that name: a changed passphrase
    #[arg(long)]
    pub replace: bool,
    /// With --replace: keep the vault's identity, so that an old copy of the slot still opens it
    #[arg(long, requires = "replace")]
    pub keep_identity: bool,
    /// Open the vault with the recovery key in this file
    #[arg(long, value_name = "FILE")]
    pub recovery_file: Option<PathBuf>,
    /// Open the vault with the recovery key, typed at the terminal
    #[arg(long)]
    pub recovery: bool,
}

/// A list of slots.
#[derive(Debug, Args)]
pub struct SlotList {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// A slot to remove.
#[derive(Debug, Args)]
pub struct SlotRemove {
    /// Its name
    pub name: String,
    /// Keep the vault's identity, so that an old copy of the slot still opens it
    #[arg(long)]
    pub keep_identity: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// A new identity.
#[derive(Debug, Args)]
pub struct Rekey {
    /// Leave out a slot that cannot be reached; may be given more than once
    #[arg(long, value_name = "SLOT")]
    pub drop: Vec<String>,
    /// Make a new recovery key as well, written to this new file
    #[arg(long, value_name = "FILE")]
    pub recovery_file: Option<PathBuf>,
    /// Make a new recovery key as well, shown at the terminal
    #[arg(long, conflicts_with = "recovery_file")]
    pub new_recovery: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// The recovery key.
#[derive(Debug, Subcommand)]
pub enum RecoveryCommand {
    /// Prove that the recovery key is at hand and opens the vault
    #[command(after_help = "Example:  clawkeep recovery check")]
    Check(RecoveryCheck),
}

/// A proof.
#[derive(Debug, Args)]
pub struct RecoveryCheck {
    /// Read the recovery key from this file instead of asking
    #[arg(long, value_name = "FILE")]
    pub recovery_file: Option<PathBuf>,
}
