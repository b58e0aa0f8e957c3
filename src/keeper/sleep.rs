//! The machine is about to sleep: memory goes to disk, or into strange hands. Ring 2.
//!
//! Where there is a system bus with logind (or elogind), its `PrepareForSleep` rings the keeper's
//! bell, and a delay lock holds the machine awake until the process has ended: the lock is a
//! descriptor of it. Without one, nothing is said: there is nobody who could.
//!
//! Source: <https://systemd.io/INHIBITOR_LOCKS/>.

use crate::host::Host;
use std::os::unix::net::UnixStream;
#[cfg(target_os = "linux")]
use std::path::PathBuf;

/// Rings `bell` when the machine is about to sleep.
#[cfg(target_os = "linux")]
pub fn watch(host: &Host, bell: UnixStream) {
    let host = host.clone();
    // A thread that cannot be had is a machine without sleep.
    let _ = std::thread::Builder::new()
        .name("sleep".to_owned())
        .spawn(move || {
            let _ = until_sleep(&host, &bell);
        });
}

/// Only Linux has logind.
#[cfg(not(target_os = "linux"))]
pub fn watch(_: &Host, _: UnixStream) {}

/// The socket of the system bus: where the address says, if it says one in the file system, otherwise
/// where it is by the specification of D-Bus.
#[cfg(target_os = "linux")]
fn system_bus(host: &Host) -> PathBuf {
    let said = host.var("DBUS_SYSTEM_BUS_ADDRESS");
    said.as_deref()
        .and_then(|text| text.to_str()?.strip_prefix("unix:path="))
        .and_then(|rest| rest.split([',', ';']).next())
        .map_or_else(
            || PathBuf::from("/run/dbus/system_bus_socket"),
            PathBuf::from,
        )
}

#[cfg(target_os = "linux")]
fn until_sleep(host: &Host, mut bell: &UnixStream) -> zbus::Result<()> {
    use std::io::Write;
    // Connected here: the library's own way leaves a thread behind that wakes twice a second.
    let stream = UnixStream::connect(system_bus(host))?;
    let bus = zbus::blocking::connection::Builder::async_io_unix_stream(stream).build()?;
    let manager = zbus::blocking::Proxy::new(
        &bus,
        "org.freedesktop.login1",
        "/org/freedesktop/login1",
        "org.freedesktop.login1.Manager",
    )?;
    let mut sleeps = manager.receive_signal("PrepareForSleep")?;
    // Kept by this thread, which lives as long as the process.
    let _awake: Option<zbus::zvariant::OwnedFd> = manager
        .call(
            "Inhibit",
            &("sleep", "clawkeep", "the vault is locked first", "delay"),
        )
        .ok();
    for signal in &mut sleeps {
        if signal.body().deserialize::<bool>()? {
            let _ = bell.write_all(&[0]);
            // The main thread ends the process.
            loop {
                std::thread::park();
            }
        }
    }
    Ok(())
}
