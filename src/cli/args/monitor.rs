//! The command line of the monitor. Ring 4; names only.

use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// Who is told.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub struct MonitorHow {
    /// Show a desktop notification (notify-send)
    #[arg(long)]
    pub notify: bool,
    /// Post to this address, as ntfy takes it (curl); who knows its topic can read along
    #[arg(long, value_name = "URL")]
    pub ntfy: Option<String>,
    /// The same, with the address in this private file
    #[arg(long, value_name = "FILE")]
    pub ntfy_file: Option<PathBuf>,
    /// Run this command with the text on its standard input; it comes last, its arguments are its own
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true)]
    pub on_problem: Vec<OsString>,
}

impl MonitorHow {
    /// Whether anybody was chosen.
    pub fn is_some(&self) -> bool {
        let has_address = self.ntfy.is_some() || self.ntfy_file.is_some();
        self.notify || has_address || !self.on_problem.is_empty()
    }
}

/// One look.
#[derive(Debug, Args)]
pub struct Monitor {
    /// Who is told [default: as `service install --monitor` was told]
    #[command(flatten)]
    pub how: MonitorHow,
    /// Send a sample and look at nothing, to see that it arrives
    #[arg(long = "try")]
    pub sample: bool,
    /// The system lies below this folder
    #[arg(long, value_name = "DIR", hide = true)]
    pub root: Option<PathBuf>,
}
