//! `models status`: which credential of each provider OpenClaw uses, whether it is healthy, and what is in its
//! way. Ring 4; changes nothing.
//!
//! Promises: it answers on a locked vault, and no value is shown; what is not known is called so. With
//! `--check` the exit code says how it is, and nobody is ever asked for anything.

mod causes;
mod document;
mod endpoint;
mod gather;
mod header;
mod live;
mod own;
mod probe;
mod proving;
mod show;
mod value;
mod vault;
mod words;

use super::app::App;
use super::args::ModelsStatus;
use crate::error::{Error, Result};
use crate::openclaw::models::ModelRef;
use gather::Gathered;

/// Runs `models status`.
///
/// # Errors
/// With `--check` what the verdict says, `Failed`, `Expiring` or `Locked` without a message; otherwise only
/// what keeps it from looking.
pub fn run(app: &App, args: &ModelsStatus) -> Result<()> {
    let timeout = probe::timeout(args.probe_timeout.as_deref())?;
    let mut gathered = Gathered::take(app, args)?;
    let probed = args
        .probe
        .then(|| probe::all(app, &gathered, timeout))
        .transpose()?;
    let refused = probed.iter().flat_map(probe::Probed::refused);
    gathered.report.verdict.add(refused);
    if args.json {
        let document = document::of(app, &gathered, args, probed.as_ref());
        app.ui.document(&document)?;
    } else if args.plain {
        let default = gathered.models.default.as_ref().map(ModelRef::label);
        let default = default.as_deref().unwrap_or("none");
        app.ui.data(&super::ui::plain(default))?;
    } else {
        show::all(app, &gathered, args, probed.as_ref())?;
    }
    let kind = gathered.report.verdict.kind();
    // The program ends here, and nothing of this is a value: what frees it is the system. An open vault
    // is put away as ever.
    std::mem::forget((gathered.report, gathered.view));
    match kind {
        Some(kind) if args.check => Err(Error::new(kind, "")),
        _ => Ok(()),
    }
}
