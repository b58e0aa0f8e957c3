//! Faults around a keeper: killed, stopped, stale, false, twice.

use crate::common::run::Cmd;
use crate::keyring::{Bus, ready};
use crate::lab::{
    Foreground, Lab, NOBODY, chmod, frame, is_gone, needs_root, resolve_frame, signal, until,
};
use rustix::process::Signal;
use serde_json::json;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Stdio;

/// Starts it, and waits until it has asked the keeper.
fn asking(cmd: Cmd, request: &str) -> std::process::Child {
    let mut command = cmd.into_std();
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(request.as_bytes())
        .unwrap();
    let process = format!("/proc/{}", child.id());
    until("it waits for the keeper", || {
        let open = std::fs::read_dir(format!("{process}/fd")).unwrap();
        let has_socket = open.flatten().any(|fd| {
            std::fs::read_link(fd.path())
                .is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
        });
        let stat = std::fs::read_to_string(format!("{process}/stat")).unwrap();
        has_socket && stat.rsplit_once(") ").unwrap().1.starts_with('S')
    });
    child
}

#[test]
fn a_keeper_that_is_killed_in_the_middle_is_locked_and_no_error() {
    for file in [false, true] {
        let lab = if file { Lab::unattended() } else { Lab::new() };
        let pid = lab.unlock(&[]);
        signal(pid, Signal::STOP);
        let request = crate::common::vault::request(&["s/one"]);
        let child = asking(lab.resolve_cmd(&["s/one"]), &request);
        signal(pid, Signal::KILL);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("LOCKED"), "{text}");
        until("it is gone", || is_gone(pid));
        // Its socket is left, and nobody listens: what opens without a person opens.
        assert!(lab.socket().exists());
        let said = lab.one("s/one");
        assert_eq!(said, if file { "fake-value-one" } else { "LOCKED" });
        let _ = lab.run(&["keeper", "status"]).fails(75);
        // The next one takes the place.
        let next = lab.unlock(&[]);
        assert_ne!(next, pid);
        lab.still_answers();
    }
}

#[test]
fn a_keeper_that_does_not_answer_is_locked_and_never_waited_for_long() {
    // Its own slot would open: but a keeper that is there is asked, and not passed by.
    let lab = Lab::unattended();
    let pid = lab.unlock(&[]);
    signal(pid, Signal::STOP);
    assert_eq!(lab.one("s/one"), "LOCKED");
    let run = lab.run(&["keeper", "status"]).fails(75);
    assert!(run.stderr.contains("does not answer"), "{run}");
    let run = lab.run(&["keeper", "status", "--json"]).fails(75);
    assert!(!run.stdout.contains("\"open\""), "{run}");
    // Told to end, it ends when it can.
    let run = lab.run(&["lock"]).fails(1);
    assert!(run.stderr.contains(&format!("kill -9 {pid}")), "{run}");
    signal(pid, Signal::CONT);
    until("it ends", || is_gone(pid));
}

#[test]
fn a_vault_that_needs_its_keeper_stays_locked_without_it() {
    let lab = Lab::unattended();
    let socket = lab.world.root().join("run/keeper.sock");
    let pointer = json!({"version": 1, "socket": socket, "required": true, "release": "always"});
    lab.world
        .write(".local/share/clawkeep/keeper.json", pointer.to_string());
    assert_eq!(lab.one("s/one"), "LOCKED");
    let mut keeper = Foreground::start(lab.foreground_cmd(&[]));
    until("it answers", || lab.one("s/one") == "fake-value-one");
    // Where its pointer says, and not in the vault's folder.
    assert!(socket.exists() && !lab.socket().exists());
    signal(keeper.pid(), Signal::KILL);
    let _ = keeper.end();
    assert_eq!(lab.one("s/one"), "LOCKED");
    // Damaged, it is not known whether the vault may be opened without.
    lab.world.write(".local/share/clawkeep/keeper.json", "{");
    assert_ne!(lab.one("s/one"), "fake-value-one");
}

/// Something in the keeper's place, which runs under our own user and answers this to every question.
fn false_keeper(
    lab: &Lab,
    answers: Vec<Vec<u8>>,
    drip: Option<u64>,
) -> std::thread::JoinHandle<()> {
    let listener = UnixListener::bind(lab.socket()).unwrap();
    chmod(&lab.socket(), 0o600);
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 4];
            while stream.read_exact(&mut head).is_ok() {
                let mut text = vec![0; usize::try_from(u32::from_be_bytes(head)).unwrap()];
                if stream.read_exact(&mut text).is_err() {
                    break;
                }
                let gone = if let Some(pause) = drip {
                    // As long as anybody takes it.
                    // The length slowly, the text for as long as anybody takes it.
                    let mut bytes = answer.iter().chain(std::iter::repeat(&b' '));
                    let slow = std::iter::repeat_n(pause, 4).chain(std::iter::repeat(20));
                    bytes.by_ref().zip(slow).any(|(byte, pause)| {
                        std::thread::sleep(std::time::Duration::from_millis(pause));
                        stream.write_all(&[*byte]).is_err()
                    })
                } else {
                    answer.is_empty() || stream.write_all(&answer).is_err()
                };
                if gone {
                    break;
                }
            }
        }
    })
}

#[test]
fn a_false_keeper_is_not_believed_and_not_repeated() {
    let esc = "fake-echo\u{1b}]0;title\u{7}\u{202e}\u{9b}31m\r\nfake";
    let text = |value: serde_json::Value| frame(value.to_string().as_bytes());
    let answers = vec![
        // Closes.
        Vec::new(),
        b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        frame(b"fake-echo"),
        frame(b"\xff\xfe"),
        // 4 GiB, 25 MiB, none.
        vec![0xff; 8],
        (25u32 << 20).to_be_bytes().to_vec(),
        frame(b""),
        text(json!({"v": 2, "answers": [{"value": "fake-echo"}]})),
        text(json!({"v": 1, "answers": []})),
        text(json!({"v": 1, "answers": [{"value": "fake-echo"}, {"value": "fake-echo"}]})),
        text(json!({"v": 1, "answers": [{"code": "fake-echo"}]})),
        text(json!({"v": 1, "answers": [{"value": 7}]})),
        text(json!({"v": 1, "again": "fake-echo"})),
        text(json!({"v": 1, "done": true})),
        text(json!({"v": 1, "entry": null})),
        text(json!({"v": 1, "error": esc, "text": esc, "hint": esc})),
        text(json!({"v": 1, "error": "locked", "text": esc.repeat(1000), "hint": esc})),
    ];
    for (args, file) in [(&["resolve"][..], true), (&["keeper", "status"], false)] {
        let lab = Lab::unattended();
        let server = false_keeper(&lab, answers.clone(), None);
        for at in 0..answers.len() {
            let run = lab.cmd(args);
            let run = run.stdin(crate::common::vault::request(&["s/one"])).run();
            if file {
                assert_eq!(run.code, 0, "{at} {run:#}");
                assert!(!run.stdout.contains("fake-echo"), "{at} {run:#}");
                // Not answered by the slots either: who sits there decides nothing, and is told of.
                assert!(!run.stdout.contains("fake-value-one"), "{at} {run:#}");
            } else {
                assert!([1, 75].contains(&run.code), "{at} {run:#}");
            }
            let shown = format!("{}{}", run.stdout, run.stderr);
            let turns = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!shown.contains(turns), "{at} {shown:?}");
            assert!(shown.len() < 8 << 10, "{at}");
        }
        server.join().unwrap();
    }
}

/// One byte at a time, in the length and in the text: the time for an answer is for all of it.
#[test]
fn an_answer_that_drips_is_no_answer() {
    for pause in [900, 20] {
        let lab = Lab::new();
        let start = [&(1u32 << 20).to_be_bytes()[..], b"{"].concat();
        let server = false_keeper(&lab, vec![start], Some(pause));
        assert_eq!(lab.one("s/one"), "LOCKED");
        server.join().unwrap();
    }
}

/// A server that takes connections and says nothing; one that does not even take them.
#[test]
fn a_silent_place_is_locked() {
    let lab = Lab::new();
    let listener = UnixListener::bind(lab.socket()).unwrap();
    chmod(&lab.socket(), 0o600);
    assert_eq!(lab.one("s/one"), "LOCKED");
    drop(listener);
    for other in ["file", "folder"] {
        let _ = std::fs::remove_file(lab.socket());
        if other == "file" {
            lab.world.write(".local/share/clawkeep/keeper.sock", "x");
        } else {
            std::fs::create_dir(lab.socket()).unwrap();
        }
        assert_eq!(lab.one("s/one"), "LOCKED", "{other}");
        let run = lab.opened(&["unlock"]).fails(1);
        assert!(run.stderr.contains("in the way"), "{run}");
        assert!(lab.socket().exists(), "what is not ours stays");
        assert!(!lab.dir().join("keeper-state.json").exists());
    }
    std::fs::remove_dir(lab.socket()).unwrap();
}

/// Another user listens on the path: his answers are not even asked for.
#[test]
fn a_keeper_of_another_user_is_refused() {
    if !needs_root() {
        return;
    }
    let lab = Lab::unattended();
    chmod(lab.world.root(), 0o755);
    let open = lab.world.root().join("open");
    std::fs::create_dir(&open).unwrap();
    crate::lab::give_away(&open);
    let socket = open.join("keeper.sock");
    let script = r#"
        use Socket; $| = 1;
        socket(S, AF_UNIX, SOCK_STREAM, 0) or die; bind(S, sockaddr_un($ARGV[0])) or die;
        listen(S, 5) or die; print "ready\n";
        while (accept(C, S)) { my $n = sysread(C, my $b, 65536); print defined $n ? "got $n\n" : "none\n"; }
    "#;
    let uid = NOBODY.to_string();
    let args = [
        "--reuid",
        &uid,
        "--clear-groups",
        "/usr/bin/perl",
        "-e",
        script,
    ];
    let args = [&args[..], &[socket.to_str().unwrap()]].concat();
    let mut command = lab
        .world
        .program(Path::new("/usr/bin/setpriv"), &args)
        .into_std();
    let mut server = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(server.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "ready");
    let pointer = json!({"version": 1, "socket": socket, "required": true, "release": "always"});
    lab.world
        .write(".local/share/clawkeep/keeper.json", pointer.to_string());
    let run = lab.resolve_cmd(&["s/one"]).run().ok();
    assert!(run.stdout.contains("errors"), "{run}");
    assert!(run.stderr.contains("another user (65534)"), "{run}");
    // It was asked nothing.
    assert_eq!(said.next().unwrap().unwrap(), "got 0");
    for args in [
        &["keeper", "status"][..],
        &["lock"],
        &["secret", "get", "s/one"],
    ] {
        let run = lab.run(args).fails(1);
        assert!(run.stderr.contains("another user"), "{run}");
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn of_many_that_start_at_once_one_is_the_keeper() {
    let lab = Lab::unattended();
    let mut all: Vec<Foreground> = (0..32)
        .map(|_| Foreground::start(lab.foreground_cmd(&[])))
        .collect();
    let mut codes: Vec<Option<i32>> = vec![None; 32];
    until("all but one have ended", || {
        for (code, keeper) in codes.iter_mut().zip(&mut all) {
            if let Some(status) = keeper.child.try_wait().unwrap() {
                *code = status.code();
            }
        }
        codes.iter().flatten().count() == 31
    });
    assert!(codes.iter().flatten().all(|code| *code == 1), "{codes:?}");
    let keeper = codes.iter().position(Option::is_none).unwrap();
    for (at, loser) in all.iter_mut().enumerate().filter(|(at, _)| *at != keeper) {
        assert!(
            loser.said().contains("another keeper holds this vault"),
            "{at}"
        );
    }
    until("it listens", || lab.keeper() == Some(all[keeper].pid()));
    lab.still_answers();
    let _ = lab.run(&["keeper", "start", "--foreground"]).fails(1);
    lab.still_answers();
}

#[test]
fn too_little_locked_memory_is_one_warning_and_works() {
    let lab = Lab::of_ordinary_user(false);
    let unlock = [&["unlock".to_owned()][..], &lab.passphrase()].concat();
    let args = [
        &["--memlock=0:0", lab.exe()],
        &unlock.iter().map(String::as_str).collect::<Vec<_>>()[..],
    ]
    .concat();
    let run = lab.program(Path::new("/usr/bin/prlimit"), &args).run().ok();
    assert_eq!(run.stderr.matches("warning").count(), 1, "{run}");
    assert!(run.stderr.contains("ulimit -l"), "{run}");
    assert_eq!(lab.one("s/one"), "fake-value-one");
    let status = lab.run(&["keeper", "status", "--json"]).ok().json();
    assert_eq!(status["locked_memory"], false);
    let _ = lab.run(&["lock"]).ok();
    // The control: with the usual limit there is no warning.
    let args = [
        &["--memlock=8388608:8388608", lab.exe()],
        &unlock.iter().map(String::as_str).collect::<Vec<_>>()[..],
    ]
    .concat();
    let run = lab.program(Path::new("/usr/bin/prlimit"), &args).run().ok();
    assert!(!run.stderr.contains("warning"), "{run}");
    let status = lab.run(&["keeper", "status", "--json"]).ok().json();
    assert_eq!(status["locked_memory"], true);
}

/// The keyring is needed at the start alone: it may go, and come back, or be locked.
#[test]
fn a_keyring_daemon_that_restarts_changes_nothing() {
    if !ready() {
        return;
    }
    let world = crate::common::World::new();
    let bus = Bus::start();
    let daemon = bus.keyring(Some("fake-keyring-password"));
    let cmd = |args: &[&str]| {
        world
            .cmd(args)
            .env("DBUS_SESSION_BUS_ADDRESS", bus.address())
            .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    };
    let _ = cmd(&["init", "--slot", "keychain", "--no-recovery"])
        .run()
        .ok();
    let _ = cmd(&["secret", "set", "s/one"])
        .stdin("fake-value-one")
        .run()
        .ok();
    let mut keeper = Foreground::start(cmd(&["keeper", "start", "--foreground"]));
    let socket = world.vault().join("keeper.sock");
    until("it listens", || UnixStream::connect(&socket).is_ok());
    // It listens before it says so.
    until("it says that it is open", || {
        keeper.said().contains("The vault is open")
    });
    let still = |value: &str| {
        let mut talk = crate::lab::Talk::with(UnixStream::connect(&socket).unwrap());
        let answer = talk.ask(&resolve_frame(&["s/one"]));
        assert_eq!(answer["answers"][0]["value"], value);
    };
    still("fake-value-one");
    drop(daemon);
    still("fake-value-one");
    // Writes go on as well: the keeper holds the identity.
    let _ = cmd(&["secret", "set", "s/one"])
        .stdin("fake-value-two")
        .run()
        .ok();
    still("fake-value-two");
    let _daemon = bus.keyring(Some("fake-keyring-password"));
    still("fake-value-two");
    signal(keeper.pid(), Signal::TERM);
    assert!(keeper.end().success());
}
