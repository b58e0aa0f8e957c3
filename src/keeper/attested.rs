//! Bytes from a socket, with the process that sent them as the kernel attests it. Ring 2, Linux.
//!
//! `SO_PEERCRED` tells who connected; with `SO_PASSCRED` each message says who sent it. The kernel never
//! joins the bytes of two senders in one reading, so every byte has one sender.

use super::admission::Peer;
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

/// Lets the kernel say who sends. For the listener, before it listens: what connects inherits it.
///
/// # Errors
/// When the system refuses; then nobody can be admitted.
pub fn attest(socket: impl AsFd) -> Result<(), Errno> {
    rustix::net::sockopt::set_socket_passcred(socket, true)
}

/// Who connected.
///
/// # Errors
/// When the system does not tell.
pub fn connected(socket: impl AsFd) -> Result<Peer, Errno> {
    rustix::net::sockopt::socket_peercred(socket).map(peer)
}

/// Reads once, without waiting: how many bytes, 0 at the end, and who sent them. `None` for the sender
/// when the kernel did not say. Descriptors that were sent along are closed.
///
/// # Errors
/// `AGAIN` when nothing is there yet, and what the system says.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<(usize, Option<Peer>), Errno> {
    // There is no room for descriptors: the kernel throws them away.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut said = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let got = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut said, flags)?;
    let mut sender = None;
    for message in said.drain() {
        if let RecvAncillaryMessage::ScmCredentials(credentials) = message {
            sender = Some(peer(credentials));
        }
    }
    Ok((got.bytes, sender))
}

fn peer(credentials: rustix::net::UCred) -> Peer {
    Peer {
        pid: u32::try_from(credentials.pid.as_raw_nonzero().get()).unwrap_or(0),
        uid: credentials.uid.as_raw(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::admission::{Asked, Gate, Observed, Verdict, judge};
    use crate::keeper::reason::{Reason, RoundId};
    use crate::keeper::unit::{System, Tick};
    use std::io::Write;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::process::{Command, Stdio};

    /// A listener, a client that connected before anything was accepted, and the server's end.
    fn pair() -> (tempfile::TempDir, UnixStream, UnixStream) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        attest(&listener).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let (server, _) = listener.accept().unwrap();
        (dir, client, server)
    }

    fn me() -> Peer {
        Peer {
            pid: std::process::id(),
            uid: rustix::process::getuid().as_raw(),
        }
    }

    /// The tick is over: what the server's loop waits for with a timer.
    fn later(looked: Tick) -> Tick {
        loop {
            let now = Tick::now();
            if now > looked {
                return now;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn every_byte_has_its_sender() {
        let (_dir, mut client, server) = pair();
        assert_eq!(connected(&server), Ok(me()));
        let mut buffer = [0; 64];
        assert_eq!(receive(&server, &mut buffer), Err(Errno::AGAIN));
        client.write_all(b"one ").unwrap();
        let mut child = Command::new("echo")
            .arg("two")
            .stdout(Stdio::from(std::os::fd::OwnedFd::from(
                client.try_clone().unwrap(),
            )))
            .spawn()
            .unwrap();
        child.wait().unwrap();
        client.write_all(b"three").unwrap();
        drop(client);
        let mut got = Vec::new();
        loop {
            let (count, sender) = receive(&server, &mut buffer).unwrap();
            if count == 0 {
                break;
            }
            let text = String::from_utf8(buffer[..count].to_vec()).unwrap();
            got.push((text, sender.unwrap().pid));
        }
        let texts: Vec<_> = got
            .iter()
            .map(|(text, pid)| (text.as_str(), *pid))
            .collect();
        let own = me().pid;
        assert_eq!(
            texts,
            [("one ", own), ("two\n", child.id()), ("three", own)],
            "each with its own sender, also one that has ended"
        );
    }

    #[test]
    fn descriptors_that_are_sent_along_are_not_kept() {
        use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
        let (_dir, client, server) = pair();
        let fds = [client.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut along = SendAncillaryBuffer::new(&mut space);
        assert!(along.push(SendAncillaryMessage::ScmRights(&fds)));
        let bytes = [std::io::IoSlice::new(b"x")];
        sendmsg(&client, &bytes, &mut along, SendFlags::empty()).unwrap();
        let mut buffer = [0; 4];
        assert_eq!(receive(&server, &mut buffer), Ok((1, Some(me()))));
        // The copy that was sent is gone: when ours goes too, the end is seen.
        drop(client);
        assert_eq!(receive(&server, &mut buffer).unwrap().0, 0);
    }

    /// The whole argument with real processes: one that was there before the connection is believed to
    /// be the sender, one that was started after the challenge is not, whatever its number.
    #[test]
    fn who_was_started_after_the_look_is_not_believed() {
        let (_dir, mut client, server) = pair();
        let system = System::default();
        let looked = Tick::now();
        let challenged = later(looked);
        let mut buffer = [0; 64];
        let verdict = |sender: Peer| {
            let asked = Asked {
                // As if the number had been reused.
                connected: sender,
                sender,
                looked,
                challenged,
            };
            let round = RoundId::parse(&"a".repeat(32));
            let seen = Observed {
                asked,
                round: Ok(round),
                inside: Ok(true),
                started: system.started(sender.pid),
                oldest: Ok(looked),
                round_after: Ok(round),
                now: Tick::now(),
            };
            judge(&seen, Tick::per_second())
        };
        client.write_all(b"the challenge").unwrap();
        let (_, sender) = receive(&server, &mut buffer).unwrap();
        assert_eq!(sender, Some(me()));
        assert!(matches!(verdict(me()), Verdict::Admitted { .. }));
        let mut child = Command::new("echo")
            .stdout(Stdio::from(std::os::fd::OwnedFd::from(client)))
            .spawn()
            .unwrap();
        let (_, sender) = loop {
            match receive(&server, &mut buffer) {
                Err(Errno::AGAIN) => std::thread::yield_now(),
                other => break other.unwrap(),
            }
        };
        let sender = sender.unwrap();
        assert_eq!(sender.pid, child.id());
        // Not waited for yet: its number is still its own.
        assert_eq!(verdict(sender), Verdict::Refused(Reason::OutsideUnit));
        child.wait().unwrap();
        let session = RoundId::random().unwrap();
        let gate = Gate::Own {
            uid: me().uid,
            session,
        };
        assert_eq!(gate.may_connect(sender), Ok(()));
    }
}
