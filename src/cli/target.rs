//! A new file that a person named, to write the vault or its values into. Ring 4.
//!
//! Promise: nothing is written over, nothing into the vault's own folder; where agents read, it is said.

use super::app::App;
use crate::error::{Error, Result, typed};
use crate::openclaw::places::Places;
use std::path::{Path, PathBuf};

/// The absolute path, if it can be used. `what` is what will lie there: `the backup`.
///
/// # Errors
/// `Failed` when something is there already, `Usage` in the vault's folder.
pub fn new_file(app: &App, path: &Path, what: &str) -> Result<PathBuf> {
    let path = app.host.absolute(path)?;
    if path.symlink_metadata().is_ok() {
        return Err(
            Error::failed(format!("{} exists already", path.display())).hint(format!(
                "name another file, or look what it is: ls -l {}",
                typed(&path)
            )),
        );
    }
    if lies_in(&path, &app.dir) {
        return Err(Error::usage(format!(
            "{what} would lie in the vault's own folder, {}",
            app.dir.display()
        ))
        .hint("name a file in another place, best on another disk"));
    }
    if Places::find(&app.host).is_ok_and(|places| lies_in(&path, places.state())) {
        app.ui.say(&format!(
            "note: {} is in OpenClaw's own folder, where agents read and OpenClaw makes backups of its own",
            path.display()
        ));
    }
    Ok(path)
}

/// Whether a file that is not there yet would lie below a folder, by whatever links.
pub fn lies_in(path: &Path, folder: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let parent = path.parent().unwrap_or(path);
    path.starts_with(folder) || real(parent).starts_with(real(folder))
}
