//! The machine is about to sleep: memory goes to disk, or into strange hands. Ring 2.
//!
//! Where there is a system bus with logind (or elogind), its `PrepareForSleep` rings the keeper's
//! bell, and a delay lock holds the machine awake until the process has ended: the lock is a
//! descriptor of it. Without one, nothing is said: there is nobody who could.
//!
//! Source: <https://systemd.io/INHIBITOR_LOCKS/>.

use std::os::unix::net::UnixStream;

/// Rings `bell` when the machine is about to sleep.
#[cfg(target_os = "linux")]
pub fn watch(bell: UnixStream) {
    // A thread that cannot be had is a machine without sleep.
    let _ = std::thread::Builder::new()
        .name("sleep".to_owned())
        .spawn(move || {
            let _ = until_sleep(&bell);
        });
}

/// Only Linux has logind.
#[cfg(not(target_os = "linux"))]
pub fn watch(_: UnixStream) {}

#[cfg(target_os = "linux")]
fn until_sleep(mut bell: &UnixStream) -> zbus::Result<()> {
    use std::io::Write;
    let bus = zbus::blocking::Connection::system()?;
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
