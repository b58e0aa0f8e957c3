//! From `unlock` to the end.

use crate::common::pty::Pty;
use crate::common::vault::PASSPHRASE;
use crate::lab::{Lab, descriptors, is_gone, signal, until};
use rustix::process::Signal;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

#[test]
fn a_passphrase_opens_once_and_lock_ends_it() {
    let lab = Lab::new();
    assert_eq!(lab.one("s/one"), "LOCKED");
    let said = lab.run(&["keeper", "status"]).fails(75).stderr;
    assert!(said.contains("clawkeep unlock"), "{said}");
    let run = lab.opened(&["unlock"]).ok();
    let pid = lab.keeper().unwrap();
    assert!(run.stderr.contains(&format!("process {pid}")), "{run}");
    assert_eq!(run.stdout, "");
    let mode = std::fs::metadata(lab.socket()).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);

    // Nobody is asked, and nothing but the keeper is needed.
    assert_eq!(lab.one("s/one"), "fake-value-one");
    assert_eq!(lab.one("s/none"), "NOT_FOUND");
    let text = lab.run(&["keeper", "status"]).ok().stdout;
    assert!(text.starts_with("open "), "{text}");
    let status = lab.run(&["keeper", "status", "--json"]).ok().json();
    assert_eq!(status["open"], true);
    assert_eq!(status["pid"], pid);
    assert_eq!(status["release"], "always");
    assert_eq!(status["until"], serde_json::Value::Null);
    let again = lab.run(&["unlock"]).ok();
    assert!(again.stderr.contains("open already"), "{again}");
    let other = lab.run(&["unlock", "--timeout", "1h"]).fails(1);
    assert!(other.stderr.contains("as it was started"), "{other}");

    let _ = lab.run(&["lock"]).ok();
    // When `lock` is back, all of it is gone.
    assert!(is_gone(pid));
    assert!(!lab.socket().exists());
    assert!(!lab.dir().join("keeper-state.json").exists());
    let _ = lab.run(&["keeper", "status", "--json"]).fails(75);
    assert_eq!(lab.one("s/one"), "LOCKED");
    let run = lab.run(&["keeper", "stop"]).ok();
    assert!(run.stderr.contains("Locked already"), "{run}");
}

#[test]
fn what_was_locked_is_unlocked_at_once_again() {
    let lab = Lab::new();
    for _ in 0..5 {
        let run = lab.opened(&["unlock"]).ok();
        assert!(!run.stderr.contains("already"), "{run}");
        let _ = lab.run(&["lock"]).ok();
    }
}

#[test]
fn lock_without_a_keeper_names_what_opens_without_a_person() {
    let lab = Lab::unattended();
    let run = lab.run(&["lock"]).fails(1);
    assert!(run.stderr.contains("slot identity-file"), "{run}");
    assert!(!run.stderr.contains("slot passphrase"), "{run}");
}

#[test]
fn a_wrong_passphrase_starts_nothing() {
    let lab = Lab::new();
    let wrong = lab.world.passphrase_file("wrong.txt", "fake wrong one");
    let _ = lab.run(&["unlock", "--passphrase-file", &wrong]).fails(75);
    assert_eq!(lab.keeper(), None);
    assert!(!lab.dir().join("keeper-state.json").exists());
}

#[test]
fn a_keeper_outlives_the_terminal_and_holds_nothing_of_it() {
    let lab = Lab::new();
    let mut pty = Pty::start(lab.cmd(&["unlock"]));
    pty.expect("Passphrase of slot passphrase: ");
    pty.wait_hidden();
    pty.send_line(PASSPHRASE);
    // It ends when nobody holds the terminal any more.
    let run = pty.finish().run.ok();
    assert!(!run.stdout.contains(PASSPHRASE));
    let pid = lab.keeper().unwrap();
    lab.still_answers();
    for fd in 0..3 {
        let to = std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap();
        assert_eq!(to, Path::new("/dev/null"), "{fd}");
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let words: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let session = words[3].parse();
    assert_eq!(
        (session, words[4]),
        (Ok(pid), "0"),
        "its own session, no terminal"
    );
    let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert_eq!(cwd, Path::new("/"));
}

/// The pipes' other ends are read to their end: a keeper that kept one would hang this.
#[test]
fn a_pipeline_with_unlock_ends() {
    let lab = Lab::new();
    let mut unlock = lab.opened_cmd(&["unlock"]).into_std();
    let output = unlock.stdin(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    lab.still_answers();
}

#[test]
fn a_service_opens_by_an_identity_file() {
    let lab = Lab::unattended();
    let mut keeper = lab.foreground(&[]);
    assert!(
        keeper.said().contains("open by slot identity-file"),
        "{}",
        keeper.said()
    );
    lab.still_answers();
    let _ = lab.run(&["lock"]).ok();
    assert!(keeper.end().success());
    assert!(
        keeper.said().contains("Locked: called to end"),
        "{}",
        keeper.said()
    );
}

#[test]
fn a_service_opens_by_its_credential() {
    let lab = Lab::unattended();
    let credentials = lab.world.root().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    let file = credentials.join("clawkeep-identity");
    std::fs::rename(lab.world.identity_file(), &file).unwrap();
    let cmd = lab.foreground_cmd(&[]);
    let mut keeper = lab.foreground_by(cmd.env("CREDENTIALS_DIRECTORY", &credentials));
    assert!(keeper.said().contains("credential"), "{}", keeper.said());
    // It is needed at the start alone.
    std::fs::remove_file(file).unwrap();
    lab.still_answers();
}

#[test]
fn a_service_without_a_way_in_says_so_and_ends() {
    let lab = Lab::new();
    let run = lab.run(&["keeper", "start", "--foreground", "--non-interactive"]);
    let run = run.fails(75);
    assert!(run.stderr.contains("stays locked"), "{run}");
    assert!(!lab.dir().join("keeper-state.json").exists());
}

/// It ends by itself, however much it is used.
#[test]
fn its_time_is_over_although_it_is_used() {
    let lab = Lab::unattended();
    let mut keeper = lab.foreground(&["--timeout", "1s"]);
    until("the keeper ends", || {
        let _ = lab.one("s/one");
        keeper.child.try_wait().unwrap().is_some()
    });
    assert!(keeper.end().success());
    assert!(
        keeper.said().contains("its time is over"),
        "{}",
        keeper.said()
    );
    assert!(!lab.socket().exists());
}

/// Looking at it is no use of it.
#[test]
fn it_ends_when_nobody_uses_it() {
    let lab = Lab::unattended();
    let mut keeper = lab.foreground(&["--idle", "1s", "--timeout", "1h"]);
    until("the keeper ends", || {
        let _ = lab.run(&["keeper", "status"]);
        keeper.child.try_wait().unwrap().is_some()
    });
    assert!(keeper.end().success());
    assert!(keeper.said().contains("--idle"), "{}", keeper.said());
}

#[test]
fn every_signal_that_ends_a_keeper_wipes_first() {
    let lab = Lab::unattended();
    for each in [Signal::TERM, Signal::HUP, Signal::USR1, Signal::INT] {
        let mut keeper = lab.foreground(&[]);
        lab.still_answers();
        // With a client that waits.
        let mut talk = lab.connect();
        signal(keeper.pid(), each);
        assert!(keeper.end().success(), "{each:?}");
        // What is said last is said after the values were wiped.
        assert!(keeper.said().contains("Locked: "), "{each:?}");
        assert!(talk.closed());
        assert!(!lab.socket().exists());
        assert!(!lab.dir().join("keeper-state.json").exists());
    }
}

#[test]
fn values_are_stored_and_removed_without_the_passphrase() {
    let mut lab = Lab::new();
    let pid = lab.unlock(&[]);
    let paste = ["models", "auth", "paste-token", "--provider", "fakeai"];
    let cmd = lab.cmd(&[&paste[..], &["--profile-id", "fakeai:a"]].concat());
    let _ = cmd.stdin("fake-pasted-token-0123456789").run().ok();
    let set = lab.cmd(&["secret", "set", "s/two"]).stdin("fake-two").run();
    let _ = set.ok();
    assert_eq!(lab.one("fakeai:a"), "fake-pasted-token-0123456789");
    assert_eq!(lab.one("provider/fakeai"), "fake-pasted-token-0123456789");
    assert_eq!(lab.run(&["secret", "get", "s/two"]).ok().stdout, "fake-two");
    let list = lab.run(&["secret", "list"]).ok().stdout;
    for id in ["s/one", "s/two", "fakeai:a"] {
        assert!(list.contains(id), "{list}");
    }
    let _ = lab.run(&["secret", "remove", "s/one", "--yes"]).ok();
    assert_eq!(lab.one("s/one"), "NOT_FOUND");
    assert_eq!(lab.keeper(), Some(pid), "the same keeper all along");
    let _ = lab.run(&["lock"]).ok();
    // It is on the disk, not in the keeper alone.
    assert_eq!(
        lab.opened(&["secret", "get", "s/two"]).ok().stdout,
        "fake-two"
    );
    let _ = lab.opened(&["secret", "get", "s/one"]).fails(1);
    lab.writer = None;
}

#[test]
fn what_another_process_stores_is_given_at_once() {
    let mut lab = Lab::new();
    lab.unlock(&[]);
    let mut talk = lab.connect();
    for round in 0..50 {
        let value = format!("fake-round-{round}");
        lab.put("s/round", &value);
        let answer = talk.ask(&crate::lab::resolve_frame(&["s/round"]));
        assert_eq!(answer["answers"][0]["value"], value);
    }
    lab.put("s/round", "fake-last");
    assert_eq!(lab.one("s/round"), "fake-last");
}

/// A reader never sees less than what had been written when it asked.
#[test]
fn readers_beside_a_writer_never_see_the_past() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let mut lab = Lab::new();
    lab.put("s/count", "0");
    lab.unlock(&[]);
    let written = AtomicU32::new(0);
    let last = 60;
    let socket = lab.socket();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut seen = 0;
                while seen < last {
                    let floor = written.load(Ordering::SeqCst);
                    let mut talk = crate::lab::Talk::with(
                        std::os::unix::net::UnixStream::connect(&socket).unwrap(),
                    );
                    let answer = talk.ask(&crate::lab::resolve_frame(&["s/count"]));
                    seen = answer["answers"][0]["value"]
                        .as_str()
                        .unwrap()
                        .parse()
                        .unwrap();
                    assert!(seen >= floor, "{seen} after {floor}");
                }
            });
        }
        for count in 1..=last {
            lab.put("s/count", &count.to_string());
            written.store(count, Ordering::SeqCst);
        }
    });
}

#[test]
fn nothing_that_a_keeper_did_leaves_a_descriptor() {
    let mut lab = Lab::new();
    let pid = lab.unlock(&[]);
    lab.still_answers();
    until("the first client is gone", || {
        descriptors(pid) == descriptors(pid)
    });
    let before = descriptors(pid);
    for round in 0..20 {
        lab.put("s/round", &format!("fake-{round}"));
        lab.still_answers();
    }
    until("all are closed", || descriptors(pid) <= before);
}
