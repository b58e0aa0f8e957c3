//! The program that runs now, as bytes. Ring 4.
//!
//! Promise: what is copied is what runs, whoever owns the file that it was started from, and whatever
//! lies at that path by now.

use crate::cli::app::App;
use crate::error::{Error, Result};
use crate::file;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest program that is copied: 512 MiB.
const MAX: u64 = 512 * 1024 * 1024;

fn path(app: &App) -> Result<PathBuf> {
    // On Linux the kernel's own handle on the running file; no path that could be changed.
    if cfg!(target_os = "linux") {
        Ok(PathBuf::from("/proc/self/exe"))
    } else {
        app.host.program()
    }
}

/// The running program.
///
/// # Errors
/// `Failed` when it cannot be read, or is larger than 512 MiB.
pub fn bytes(app: &App) -> Result<Vec<u8>> {
    let path = path(app)?;
    let failed = |error: std::io::Error| Error::io("read", &path, &error);
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(failed)?;
    file.take(MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX {
        return Err(Error::failed("this program is too large to be copied"));
    }
    Ok(bytes)
}

/// Whether a file holds the running program.
///
/// # Errors
/// `Failed` when one of them cannot be read.
pub fn is(app: &App, copy: &Path) -> Result<bool> {
    file::same_content(&path(app)?, copy)
}
