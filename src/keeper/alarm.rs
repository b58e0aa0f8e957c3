//! What calls a keeper to its end: signals, and a machine that is about to sleep. Ring 2.
//!
//! Promise: after [`set`] none of SIGTERM, SIGHUP, SIGUSR1 and SIGINT ends the process by itself; each
//! makes the alarm readable, so that the values are wiped first.

use crate::error::{Error, Result};
use crate::host::Host;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::low_level::pipe;
use std::os::unix::net::UnixStream;

/// The alarm: readable when it is time to end.
///
/// # Errors
/// `Failed` when the system refuses handlers or a socket pair.
pub fn set(host: &Host) -> Result<UnixStream> {
    let refused = |error: std::io::Error| {
        Error::failed(format!("cannot listen for signals: {}", error.kind()))
    };
    let (alarm, bell) = UnixStream::pair().map_err(refused)?;
    for signal in [SIGTERM, SIGHUP, SIGUSR1, SIGINT] {
        let bell = bell.try_clone().map_err(refused)?;
        pipe::register(signal, bell).map_err(refused)?;
    }
    super::sleep::watch(host, bell);
    Ok(alarm)
}
