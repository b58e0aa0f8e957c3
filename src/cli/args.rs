//! The command line. Ring 4; knows names of commands and flags, does nothing.
//!
//! Promise: there is no flag and no argument that takes a secret's value.

mod backup;
mod doctor;
mod keeper;
mod link;
mod migrate;
mod models;
mod monitor;
mod onboard;
mod order;
mod papers;
mod pick;
mod run;
mod scan;
mod service;
mod slot;
mod status;

pub use backup::{Backup, Export, ExportFormat, Restore};
pub use doctor::Doctor;
pub use keeper::{KeeperArm, KeeperCommand, KeeperHow, KeeperStart, KeeperStatus, ReleaseArg};
pub use link::{Link, LinkHow, Unlink};
pub use migrate::Migrate;
pub use models::{Models, ModelsStatus};
pub use monitor::{Monitor, MonitorHow};
pub use onboard::{CustodyArg, Init, KindArg, Onboard};
pub use order::{Order, OrderCommand, OrderSet};
pub use papers::{Completions, Man};
pub use pick::Pick;
pub use run::Run;
pub use scan::Scan;
pub use service::{
    CredentialKeyArg, ServiceArm, ServiceCommand, ServiceInstall, ServiceRun, ServiceSide,
    ServiceStatus, ServiceUninstall, ServiceWhere,
};
pub use slot::{RecoveryCheck, RecoveryCommand, Rekey, SlotAdd, SlotCommand, SlotList, SlotRemove};
pub use status::Status;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Keeps credentials for OpenClaw encrypted, and gives them to its gateway.
#[derive(Debug, Parser)]
#[command(
    name = "clawkeep",
    version,
    about,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "First time:  clawkeep onboard\nExit codes:  0 done, 1 failed, 2 expiring, 64 usage, 75 locked, 126 not run, 127 absent, 130 cancel"
)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The vault's folder [default: clawkeep's data folder, or $CLAWKEEP_VAULT]
    #[arg(long, global = true, value_name = "DIR")]
    pub vault: Option<PathBuf>,
    /// The vault id that must be found there; another vault is refused
    #[arg(long, global = true, value_name = "ID", hide_short_help = true)]
    pub vault_id: Vec<String>,
    /// Read the passphrase of a passphrase slot from this private file
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub passphrase_file: Option<PathBuf>,
    /// Accept a vault that is older than the one last seen (asks at the terminal)
    #[arg(long, global = true, hide_short_help = true)]
    pub accept_rollback: bool,
    /// Never ask; fail where a question would be needed
    #[arg(long, global = true)]
    pub non_interactive: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a vault, take a token, link OpenClaw, and prove that it resolves
    #[command(
        after_help = "Example:  clawkeep onboard\nScript:   printf %s \"$TOKEN\" | clawkeep onboard --yes --slot identity-file --recovery-file KEY --provider anthropic"
    )]
    Onboard(Onboard),
    /// Make an empty vault
    #[command(after_help = "Example:  clawkeep init --slot keychain")]
    Init(Init),
    /// Credentials of model providers
    #[command(subcommand)]
    Models(Models),
    /// Any other secret
    #[command(subcommand)]
    Secret(SecretCommand),
    /// The ways to open the vault
    #[command(subcommand)]
    Slot(SlotCommand),
    /// A background process that holds the vault open
    #[command(subcommand)]
    Keeper(KeeperCommand),
    /// Open the vault and hold it open: keeper start
    #[command(after_help = "Example:  clawkeep unlock --timeout 8h")]
    Unlock(KeeperHow),
    /// End the keeper, and with it the open vault: keeper stop
    #[command(after_help = "Example:  clawkeep lock")]
    Lock,
    /// The keeper as a service of systemd or launchd
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Give the vault a new identity and wrap it for every slot again
    #[command(after_help = "Example:  clawkeep rekey")]
    Rekey(Rekey),
    /// The recovery key: one sheet of paper that opens the vault
    #[command(subcommand)]
    Recovery(RecoveryCommand),
    /// Write the vault into one new file, still encrypted
    ///
    /// In it are vault.age, the slots, the profiles, the link to OpenClaw and the undo bundles. Not in it
    /// are the identity file, the keychain's item, the passphrase and the recovery key: a backup with one
    /// of them beside it is plaintext. It is a plain tar: `tar xf` gives a vault's folder.
    #[command(after_help = "Example:  clawkeep backup /media/usb/clawkeep.tar")]
    Backup(Backup),
    /// Make the vault of a backup
    ///
    /// Everything in it is checked before anything is written, and it is put in place as a whole. The vault
    /// is accepted as it was when the backup was made, whatever was stored or removed since.
    #[command(
        after_help = "Example:  clawkeep restore /media/usb/clawkeep.tar\nScript:   clawkeep restore /media/usb/clawkeep.tar --replace --yes"
    )]
    Restore(Restore),
    /// Show all values in plaintext, or write them to a new private file
    #[command(
        after_help = "Example:  clawkeep export\nScript:   clawkeep export --format env --output values.env --yes"
    )]
    Export(Export),
    /// Let OpenClaw's files hold references to the vault
    #[command(after_help = "Example:  clawkeep link --dry-run")]
    Link(Link),
    /// Take clawkeep's references out of OpenClaw's files
    #[command(after_help = "Example:  clawkeep unlink --dry-run")]
    Unlink(Unlink),
    /// Move plaintext credentials from OpenClaw's files into the vault
    #[command(
        after_help = "Example:  clawkeep migrate --dry-run\nScript:   clawkeep migrate --yes --json"
    )]
    Migrate(Migrate),
    /// Search for what is left of stored values, and for keys that nobody stored
    ///
    /// Looks in OpenClaw's folder and logs, in its databases, in shells' histories and startup files, in
    /// the vault's folder, in .env of the current folder, and in each PATH: for every stored value, as
    /// it is, in base64, URL-encoded, with backslashes, and broken over lines; and for anything with the
    /// shape of a provider's key. Links are not followed. Exits 1 when something is found. No value is
    /// shown.
    #[command(
        after_help = "Example:  clawkeep scan\nScript:   clawkeep scan --processes --json ~/projects"
    )]
    Scan(Scan),
    /// Show the vault at a glance, and which values a person has yet to replace
    #[command(after_help = "Example:  clawkeep status")]
    Status(Status),
    /// Look for what is wrong with the vault, its link to OpenClaw and this machine, and say what to type
    ///
    /// Nothing is asked, and a locked vault stays locked: what could not be looked at is said. Exits 1
    /// on an error or a warning; notes change nothing.
    #[command(
        after_help = "Example:  clawkeep doctor\nScript:   clawkeep doctor --fix --yes --json"
    )]
    Doctor(Doctor),
    /// Look once for credentials that are expired, missing or soon to expire, and tell
    ///
    /// Does what `models status --check` does, and tells who was chosen when something is wrong: the
    /// same thing once a day, another thing at once. Nothing that is sent holds a value. `service install
    /// --monitor` has it done from time to time.
    #[command(
        after_help = "Example:  clawkeep monitor --try --notify\nScript:   clawkeep monitor --ntfy-file ~/.config/ntfy-address"
    )]
    Monitor(Monitor),
    /// Show who asked for which secret, and what came of it
    #[command(after_help = "Example:  clawkeep log --refused")]
    Log(Log),
    /// Start a command with chosen secrets in its environment
    ///
    /// The command takes this program's place: its signals and its exit code are its own. Without a
    /// choice it gets, for each provider whose variable is known, the profile of agent main that is
    /// next in order.
    ///
    /// An environment gives much away: every process of this user can read it while the command runs
    /// (/proc/PID/environ), and every program that the command starts inherits it. For an OpenClaw
    /// that knows references, `clawkeep link` is better.
    #[command(
        after_help = "Example:  clawkeep run --provider anthropic -- my-agent --quiet\nScript:   clawkeep run --env TELEGRAM_BOT_TOKEN=channels/telegram/token -- ./bot"
    )]
    Run(Run),
    /// Print what a shell needs to complete commands and flags
    #[command(
        after_help = "Example:  clawkeep completions bash > ~/.local/share/bash-completion/completions/clawkeep"
    )]
    Completions(Completions),
    /// Show the man page, or write one for each command into a folder
    #[command(after_help = "Example:  clawkeep man ~/.local/share/man/man1")]
    Man(Man),
    /// Answer OpenClaw's request for secrets on stdin (exec protocol 1)
    #[command(
        after_help = "Example:  echo '{\"protocolVersion\":1,\"provider\":\"clawkeep\",\"ids\":[\"gateway/token\"]}' | clawkeep resolve"
    )]
    Resolve(Resolve),
}

/// Store, list and remove credentials.
#[derive(Debug, Args)]
pub struct Auth {
    /// The OpenClaw agent whose profiles they are
    #[arg(long, global = true, default_value = "main", value_name = "ID")]
    pub agent: String,
    /// What to do.
    #[command(subcommand)]
    pub command: AuthCommand,
}

/// Store, list and remove credentials.
#[derive(Debug, Subcommand)]
pub enum AuthCommand {
    /// Store a token, pasted at a hidden prompt or piped
    #[command(
        after_help = "Example:  clawkeep models auth paste-token --provider anthropic --expires-in 365d"
    )]
    PasteToken(Paste),
    /// Store an API key, pasted at a hidden prompt or piped
    #[command(after_help = "Example:  clawkeep models auth paste-api-key --provider openrouter")]
    PasteApiKey(Paste),
    /// Make an Anthropic setup-token with Claude Code and store it
    #[command(after_help = "Example:  clawkeep models auth setup-token")]
    SetupToken(SetupToken),
    /// Store a credential, asking for everything
    #[command(after_help = "Example:  clawkeep models auth add")]
    Add(Add),
    /// List profiles, without values
    #[command(after_help = "Example:  clawkeep models auth list --json")]
    List(List),
    /// Remove a profile and its value
    #[command(after_help = "Example:  clawkeep models auth logout --profile-id anthropic:manual")]
    Logout(Logout),
    /// The order in which an agent tries a provider's profiles
    #[command(subcommand)]
    Order(OrderCommand),
}

/// A credential to store.
#[derive(Debug, Args)]
pub struct Paste {
    /// The provider, for example anthropic
    #[arg(long, value_name = "NAME")]
    pub provider: String,
    /// The profile [default: <provider>:manual]
    #[arg(long, value_name = "ID")]
    pub profile_id: Option<String>,
    /// When it stops working, from now: 365d, 12h, 1h30m; without a unit it is days
    #[arg(long, value_name = "DURATION")]
    pub expires_in: Option<String>,
    /// Store a value that looks like another provider's
    #[arg(long)]
    pub force: bool,
    /// Leave a running gateway alone; it has the old value until it is told
    #[arg(long)]
    pub no_reload: bool,
}

/// A setup-token to make.
#[derive(Debug, Args)]
pub struct SetupToken {
    /// Only anthropic has setup-tokens
    #[arg(long, value_name = "NAME", default_value = "anthropic")]
    pub provider: String,
    /// The profile [default: anthropic:default]
    #[arg(long, value_name = "ID")]
    pub profile_id: Option<String>,
    /// When it stops working, from now [default: 365d, as Anthropic says]
    #[arg(long, value_name = "DURATION")]
    pub expires_in: Option<String>,
    /// Do not ask before `claude setup-token` is run
    #[arg(long)]
    pub yes: bool,
    /// Leave a running gateway alone; it has the old value until it is told
    #[arg(long)]
    pub no_reload: bool,
}

/// A credential to ask for.
#[derive(Debug, Args)]
pub struct Add {
    /// The provider; asked for when it is missing
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// Leave a running gateway alone; it has the old value until it is told
    #[arg(long)]
    pub no_reload: bool,
}

/// A list.
#[derive(Debug, Args)]
pub struct List {
    /// Only this provider's
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// A profile to remove.
#[derive(Debug, Args)]
pub struct Logout {
    /// The provider, all of whose profiles go
    #[arg(long, value_name = "NAME", required_unless_present = "profile_id")]
    pub provider: Option<String>,
    /// The one profile that goes
    #[arg(long, value_name = "ID")]
    pub profile_id: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// Any other secret.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Store a secret, typed at a hidden prompt or piped
    #[command(after_help = "Example:  clawkeep secret set channels/telegram/token")]
    Set(SecretSet),
    /// Print a secret
    #[command(after_help = "Example:  clawkeep secret get channels/telegram/token --reveal")]
    Get(SecretGet),
    /// List what is stored, without values
    #[command(after_help = "Example:  clawkeep secret list")]
    List(SecretList),
    /// Remove a secret
    #[command(after_help = "Example:  clawkeep secret remove channels/telegram/token")]
    Remove(SecretRemove),
}

/// A secret to store.
#[derive(Debug, Args)]
pub struct SecretSet {
    /// Its id, in OpenClaw's grammar
    pub id: String,
    /// When it stops working, from now
    #[arg(long, value_name = "DURATION")]
    pub expires_in: Option<String>,
    /// Leave a running gateway alone; it has the old value until it is told
    #[arg(long)]
    pub no_reload: bool,
}

/// A secret to print.
#[derive(Debug, Args)]
pub struct SecretGet {
    /// Its id
    pub id: String,
    /// Print it on a terminal too
    #[arg(long)]
    pub reveal: bool,
}

/// A list of secrets.
#[derive(Debug, Args)]
pub struct SecretList {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// A secret to remove.
#[derive(Debug, Args)]
pub struct SecretRemove {
    /// Its id
    pub id: String,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// How the vault opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SlotArg {
    /// The operating system's keychain
    Keychain,
    /// A passphrase, asked for at a terminal
    Passphrase,
    /// A private file, for servers and services
    IdentityFile,
}

/// The access log.
#[derive(Debug, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag that a person types"
)]
pub struct Log {
    /// Print one JSON document; with --follow one line of JSON for each event
    #[arg(long)]
    pub json: bool,
    /// Show the latest ten, then wait for more until Ctrl-C
    #[arg(long)]
    pub follow: bool,
    /// Only what gave a value away
    #[arg(long, conflicts_with = "refused")]
    pub released: bool,
    /// Only what gave none: refused, locked, absent, broken
    #[arg(long)]
    pub refused: bool,
}

/// One batch.
#[derive(Debug, Args)]
pub struct Resolve {
    /// The most bytes of the answer, as OpenClaw's maxOutputBytes
    #[arg(long, value_name = "BYTES", default_value_t = crate::openclaw::exec::LARGEST_MAX_OUTPUT, hide = true)]
    pub max_output: usize,
    /// Ask only the keeper that listens at this socket
    #[arg(long, value_name = "SOCKET", hide_short_help = true)]
    pub keeper: Option<PathBuf>,
    /// The number of the user that this keeper runs under [default: this user]
    #[arg(long, value_name = "UID", hide_short_help = true, requires = "keeper")]
    pub keeper_user: Option<u32>,
}
