//! The machine is about to sleep: a private bus stands in for the system's, and on it something that
//! speaks as logind does.

use crate::common::left_out;
use crate::keyring::Bus;
use crate::lab::Lab;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::sync::mpsc;

struct Login {
    asked: mpsc::SyncSender<[String; 4]>,
    lock: std::os::unix::net::UnixStream,
}

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Login {
    fn inhibit(
        &self,
        what: String,
        who: String,
        why: String,
        mode: String,
    ) -> zbus::zvariant::OwnedFd {
        let lock = OwnedFd::from(self.lock.try_clone().unwrap());
        self.asked.send([what, who, why, mode]).unwrap();
        lock.into()
    }
}

#[test]
fn it_ends_before_the_machine_sleeps_and_holds_the_machine_until_then() {
    if left_out("keychain") {
        return;
    }
    let bus = Bus::start();
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let (asked, questions) = mpsc::sync_channel(1);
    let login = zbus::blocking::connection::Builder::address(bus.address().as_str())
        .unwrap()
        .name("org.freedesktop.login1")
        .unwrap()
        .serve_at(
            "/org/freedesktop/login1",
            Login {
                asked,
                lock: theirs,
            },
        )
        .unwrap()
        .build()
        .unwrap();
    let lab = Lab::unattended();
    let cmd = lab.foreground_cmd(&[]);
    let mut keeper = lab.foreground_by(cmd.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()));
    // It listens for the signal before it asks for this.
    let question = questions.recv().unwrap();
    assert_eq!([&question[0], &question[3]], ["sleep", "delay"]);
    let emit = |starts: bool| {
        login
            .emit_signal(
                None::<&str>,
                "/org/freedesktop/login1",
                "org.freedesktop.login1.Manager",
                "PrepareForSleep",
                &(starts,),
            )
            .unwrap();
    };
    // It woke up from an earlier sleep: no reason to end.
    emit(false);
    lab.still_answers();
    emit(true);
    assert!(keeper.end().success());
    assert!(!lab.socket().exists());
    assert!(keeper.said().contains("Locked: "), "{}", keeper.said());
    // Of the lock's descriptors only ours is left now: the keeper's went with it.
    drop(login);
    assert_eq!(ours.read(&mut [0]).unwrap(), 0);
}
