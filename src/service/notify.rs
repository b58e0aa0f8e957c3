//! Telling the service manager that a service is ready (sd_notify(3)). Ring 2.
//!
//! Own lines in place of a crate: the variable is read through [`Host`] and stays, and a manager that
//! does not listen is no reason to fail. Where `NOTIFY_SOCKET` is unset nothing happens.

use crate::host::Host;

/// Says `READY=1`, with a line for `systemctl status`.
pub fn ready(host: &Host, status: &str) {
    send(host, &format!("READY=1\nSTATUS={}", one_line(status)));
}

/// Says `STOPPING=1`: the service is on its way out by itself.
pub fn stopping(host: &Host) {
    send(host, "STOPPING=1");
}

/// A line break would begin another assignment.
fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(unix)]
fn send(host: &Host, message: &str) {
    use std::os::unix::net::UnixDatagram;
    let Some(name) = host.var("NOTIFY_SOCKET") else {
        return;
    };
    // Best effort: who started us without a manager that listens wants the service all the same.
    let _ = UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        send_to(&socket, &name, message.as_bytes())
    });
}

#[cfg(not(unix))]
fn send(_: &Host, _: &str) {}

#[cfg(target_os = "linux")]
fn send_to(
    socket: &std::os::unix::net::UnixDatagram,
    name: &std::ffi::OsStr,
    message: &[u8],
) -> std::io::Result<usize> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    match name.as_bytes().split_first() {
        Some((b'@', abstract_name)) => {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(abstract_name)?;
            socket.send_to_addr(message, &address)
        }
        _ => socket.send_to(message, name),
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn send_to(
    socket: &std::os::unix::net::UnixDatagram,
    name: &std::ffi::OsStr,
    message: &[u8],
) -> std::io::Result<usize> {
    socket.send_to(message, name)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    fn receive(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let n = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..n].to_vec()).unwrap()
    }

    #[test]
    fn both_kinds_of_socket_get_the_message() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let there = UnixDatagram::bind(&path).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        send_to(&sender, path.as_os_str(), b"READY=1").unwrap();
        assert_eq!(receive(&there), "READY=1");
        let name = format!("clawkeep-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let there = UnixDatagram::bind_addr(&address).unwrap();
        let name = std::ffi::OsString::from(format!("@{name}"));
        send_to(&sender, &name, b"STOPPING=1").unwrap();
        assert_eq!(receive(&there), "STOPPING=1");
    }

    #[test]
    fn a_status_is_one_line() {
        assert_eq!(one_line("open\nMAINPID=1"), "openMAINPID=1");
    }
}
