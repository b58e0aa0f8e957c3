//! Who shares the machine with a keeper: a process of the same user, another user, and what a look into
//! its memory finds.

use crate::lab::{Lab, NOBODY, chmod, is_gone, needs_root, resolve_frame, signal, until};
use rustix::process::Signal;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

#[test]
fn a_process_of_the_same_user_reads_nothing_of_it() {
    let lab = Lab::of_ordinary_user(false);
    let pid = lab.unlock(&[]);
    let cat = |pid: u32, name: &str| {
        let path = format!("/proc/{pid}/{name}");
        lab.program(Path::new("/bin/cat"), &[&path]).run()
    };
    let closed = [
        "mem", "maps", "smaps", "pagemap", "environ", "auxv", "fd/0", "syscall", "stack", "io",
    ];
    for name in closed {
        let run = cat(pid, name);
        assert_ne!(run.code, 0, "{name}: {run:#}");
        assert_eq!(run.stdout, "", "{name}");
    }
    for link in ["exe", "cwd", "fd/3"] {
        let path = format!("/proc/{pid}/{link}");
        let run = lab.program(Path::new("/bin/readlink"), &[&path]).run();
        assert_ne!(run.code, 0, "{link}: {run:#}");
    }
    let number = pid.to_string();
    // Debuggers, where there are any.
    let debuggers = [
        (
            "/usr/bin/gdb",
            &["--batch", "-ex", "info registers", "-p", &number][..],
        ),
        ("/usr/bin/strace", &["-o", "/dev/null", "-p", &number]),
    ];
    for (debugger, args) in debuggers {
        if Path::new(debugger).is_file() {
            let run = lab.program(Path::new(debugger), args).run();
            let said = format!("{}{}", run.stdout, run.stderr);
            assert!(said.contains("not permitted"), "{debugger}: {said}");
        }
    }
    #[cfg(target_arch = "x86_64")]
    {
        // ptrace(PTRACE_ATTACH) and process_vm_readv, by their numbers.
        let script = r#"
            my ($pid) = @ARGV; my $b = "\0" x 64; my $iov = pack("PQ", $b, 64);
            print syscall(101, 16, $pid + 0, 0, 0), " ", $! + 0, "\n";
            print syscall(310, $pid + 0, $iov, 1, $iov, 1, 0), " ", $! + 0, "\n";
        "#;
        let run = lab.program(Path::new("/usr/bin/perl"), &["-e", script, &number]);
        assert_eq!(run.run().ok().stdout, "-1 1\n-1 1\n", "EPERM");
    }
    // The control: a process that does not close itself can be read.
    let open = lab
        .program(Path::new("/bin/cat"), &["/proc/self/environ"])
        .run();
    let _ = open.ok();
    let mut command = lab.program(Path::new("/bin/sleep"), &["600"]).into_std();
    let mut child = command.spawn().unwrap();
    until("it is itself", || {
        std::fs::read_link(format!("/proc/{}/exe", child.id()))
            .is_ok_and(|exe| exe.ends_with("sleep"))
    });
    assert_eq!(cat(child.id(), "environ").code, 0);
    child.kill().unwrap();
    child.wait().unwrap();
    lab.still_answers_as_user();
}

#[test]
fn another_user_gets_nothing_and_is_noted() {
    if !needs_root() {
        return;
    }
    // The keeper is root's here; nobody asks. Its socket lies in a folder that is open to all, as a
    // service of another user has it.
    let lab = Lab::unattended();
    let program = lab.world.root().join("clawkeep");
    crate::common::copy_program(&program);
    chmod(&program, 0o755);
    chmod(lab.world.root(), 0o755);
    let open = lab.world.root().join("open");
    std::fs::create_dir(&open).unwrap();
    let socket = open.join("keeper.sock");
    let cmd = lab.foreground_cmd(&["--socket", socket.to_str().unwrap()]);
    let _keeper = crate::lab::Foreground::start(cmd);
    until("it listens", || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok()
    });
    let uid = NOBODY.to_string();
    let ask = || {
        let front = ["--reuid", &uid, "--regid", &uid, "--clear-groups"];
        let args = [
            program.to_str().unwrap(),
            "resolve",
            "--keeper",
            socket.to_str().unwrap(),
        ];
        let args = [&front[..], &args, &["--keeper-user", "0"]].concat();
        let cmd = lab.world.program(Path::new("/usr/bin/setpriv"), &args);
        let cmd = cmd.current_dir(Path::new("/"));
        let run = cmd.stdin(crate::common::vault::request(&["s/one"])).run();
        assert!(run.stdout.contains("LOCKED"), "{run:#}");
        assert!(!run.stdout.contains("fake-value-one"), "{run:#}");
        run.ok()
    };
    // The folder is closed, then the socket is: the system refuses.
    for (folder, mode) in [(0o700, 0o666), (0o755, 0o600)] {
        chmod(&open, folder);
        chmod(&socket, mode);
        let run = ask();
        assert!(run.stderr.contains("may not ask"), "{run}");
    }
    // The way is open: now the keeper looks who it is.
    chmod(&socket, 0o666);
    let _ = ask();
    for verb in ["list", "status"] {
        // By the same path, with any verb.
        let script = r#"
            use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un($ARGV[0])) or die;
            my $q = "{\"v\":1,\"verb\":\"$ARGV[1]\"}"; syswrite(S, pack("N", length $q) . $q);
            sysread(S, my $a, 65536); print substr($a, 4);
        "#;
        let args = [
            "--reuid",
            &uid,
            "--clear-groups",
            "/usr/bin/perl",
            "-e",
            script,
        ];
        let args = [&args[..], &[socket.to_str().unwrap(), verb]].concat();
        let run = lab.world.program(Path::new("/usr/bin/setpriv"), &args);
        let answer = run.current_dir(Path::new("/")).run().ok().json();
        assert_eq!(answer["error"], "locked", "{answer}");
    }
    let log = lab.run(&["log", "--json"]).ok().stdout;
    assert!(
        log.contains("\"other-user\"") && log.contains("65534"),
        "{log}"
    );
    let mut talk =
        crate::lab::Talk::with(std::os::unix::net::UnixStream::connect(&socket).unwrap());
    let answer = talk.ask(&resolve_frame(&["s/one"]));
    assert_eq!(answer["answers"][0]["value"], "fake-value-one");
}

#[test]
fn a_keeper_that_crashes_leaves_no_core() {
    for each in [Signal::QUIT, Signal::SEGV, Signal::ABORT] {
        let lab = Lab::unattended();
        let args = ["-c", "ulimit -c unlimited; exec \"$@\"", "sh", lab.exe()];
        let args = [&args[..], &["keeper", "start", "--foreground"]].concat();
        let mut keeper = lab.foreground_by(lab.program(Path::new("/bin/sh"), &args));
        lab.still_answers();
        let mut status = None;
        until("it dies", || {
            // A fault that was sent and did not happen is passed over once by the language's runtime.
            signal(keeper.pid(), each);
            status = keeper.child.try_wait().unwrap();
            status.is_some()
        });
        let status = status.unwrap();
        assert!(status.signal().is_some(), "{status:?}");
        assert!(!status.core_dumped());
        for dir in [lab.world.home(), lab.dir()] {
            let cores = std::fs::read_dir(dir).unwrap().flatten();
            let mut names = cores.map(|entry| entry.file_name().into_string().unwrap());
            assert!(!names.any(|name| name.starts_with("core")));
        }
    }
}

/// One place in another process's memory where a text lies.
#[derive(Debug)]
struct Place {
    mapping: String,
    flags: String,
}

/// Every place in the memory of `pid` that it can write where `needle` lies.
fn places(pid: u32, needle: &[u8]) -> Vec<Place> {
    let smaps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let mem = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = Vec::new();
    let mut mapping: Option<(u64, u64, String)> = None;
    for line in smaps.lines() {
        let first = line.split_whitespace().next().unwrap();
        if let Some((start, end)) = first.split_once('-') {
            let number = |hex: &str| u64::from_str_radix(hex, 16).unwrap();
            mapping = Some((number(start), number(end), line.to_owned()));
        } else if let Some(flags) = line.strip_prefix("VmFlags:") {
            let (start, end, name) = mapping.take().unwrap();
            if !name.contains(" rw") {
                continue;
            }
            let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
            // A page at a time: one that was never touched may be refused.
            for (at, page) in bytes.chunks_mut(1 << 16).enumerate() {
                let _ = mem.read_exact_at(page, start + (u64::try_from(at).unwrap() << 16));
            }
            let count = memchr::memmem::find_iter(&bytes, needle).count();
            found.extend((0..count).map(|_| Place {
                mapping: name.clone(),
                flags: flags.to_owned(),
            }));
        }
    }
    found
}

/// After it was used in every way, each value lies once in its memory: in pages of their own, locked
/// and out of dumps. Only root can look.
#[test]
fn values_lie_in_locked_pages_alone() {
    if !needs_root() {
        return;
    }
    let mut lab = Lab::new();
    let pid = lab.unlock(&[]);
    let needles = [
        "fake-value-one",
        "fake-needle-of-another-process",
        "fake-needle-of-the-keeper",
    ];
    lab.put("s/other", needles[1]);
    let set = lab
        .cmd(&["secret", "set", "s/keeper"])
        .stdin(needles[2])
        .run();
    let _ = set.ok();
    let ids = ["s/one", "s/other", "s/keeper"];
    for _ in 0..5 {
        let _ = lab.resolve(&ids);
        let mut talk = lab.connect();
        let _ = talk.ask(&resolve_frame(&ids));
        let _ = talk.ask(&serde_json::json!({"v": 1, "verb": "get", "id": "s/other"}));
        let _ = lab.run(&["secret", "list"]).ok();
    }
    let _ = lab
        .cmd(&["secret", "set", "s/more"])
        .stdin("fake-more")
        .run()
        .ok();
    for needle in needles {
        let found = places(pid, needle.as_bytes());
        assert_eq!(found.len(), 1, "{needle}: {found:#?}");
        let flags: Vec<&str> = found[0].flags.split_whitespace().collect();
        assert!(flags.contains(&"lo") && flags.contains(&"dd"), "{found:?}");
        assert!(!found[0].mapping.contains("[heap]"), "{found:?}");
    }
    // What was there before it was replaced is wiped.
    lab.put("s/other", "fake-new-value-of-it");
    let _ = lab.resolve(&ids);
    assert_eq!(places(pid, needles[1].as_bytes()).len(), 0);
    // The identity: in the vault's own text, and once beside it, as what opens the next state.
    let identity = lab.identity.clone();
    let found = places(pid, identity.as_bytes());
    assert!(
        found.iter().all(|place| place.flags.contains(" lo")),
        "{found:#?}"
    );
    let loose = found.iter().filter(|place| !place.flags.contains(" dd"));
    assert_eq!((found.len(), loose.count()), (2, 1), "{found:#?}");
    let phrase = crate::common::vault::PASSPHRASE;
    assert_eq!(places(pid, phrase.as_bytes()).len(), 0);
    let _ = lab.run(&["lock"]).ok();
    assert!(is_gone(pid));
}
