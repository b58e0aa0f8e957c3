//! Trees that somebody made in order to harm: nothing hangs, nothing is followed, nothing is left out
//! without being named.

use super::{found, unseen, with_value};
use crate::common::run::Cmd;
use crate::common::{World, rounds};
use rustix::fs::{CWD, FileType, Mode, mkdirat, mknodat, openat};
use serde_json::Value;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;

const VALUE: &str = "FAKE-scan-trees-0123456789";

/// `nobody` on Debian and most others.
const NOBODY: u32 = 65534;

fn scan(world: &World) -> crate::common::Run {
    world.run(&["scan", "--json"])
}

#[test]
fn no_link_is_followed_and_no_pipe_waited_for() {
    let world = with_value(VALUE);
    world.write("outside/file", VALUE);
    world.write(".openclaw/inside", "nothing");
    let state = world.home().join(".openclaw");
    symlink(world.home().join("outside"), state.join("folder")).unwrap();
    symlink(world.home().join("outside/file"), state.join("file")).unwrap();
    symlink(".", state.join("loop")).unwrap();
    symlink("nowhere", state.join("dangling")).unwrap();
    mknodat(CWD, state.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(state.join("socket")).unwrap();
    let run = scan(&world).ok();
    let below = |name: &str| format!("home/.openclaw/{name}");
    assert_eq!(
        unseen(&world, &run, "link"),
        ["dangling", "file", "folder", "loop"].map(below)
    );
    assert_eq!(
        unseen(&world, &run, "special-file"),
        ["pipe", "socket"].map(below)
    );
    // A root that was chosen may be a link, and says so.
    std::fs::rename(&state, world.home().join("real")).unwrap();
    symlink("real", &state).unwrap();
    world.write("real/.env", VALUE);
    let run = scan(&world).fails(1);
    assert_eq!(found(&world, &run), ["real/.env"]);
    let root = world.home().join(".openclaw");
    assert_eq!(run.json()["linkedRoots"][0]["path"], root.to_str().unwrap());
}

/// clawkeep as a user that is not root, who has this world: root may read everything.
fn as_ordinary_user(world: &World, args: &[&str]) -> Cmd {
    let root = rustix::process::geteuid().is_root();
    if !root {
        return world.cmd(args);
    }
    let program = world.root().join("clawkeep");
    crate::common::copy_program(&program);
    chmod(&program, 0o755);
    chmod(world.root(), 0o755);
    let mut dirs = vec![world.home()];
    while let Some(dir) = dirs.pop() {
        std::os::unix::fs::lchown(&dir, Some(NOBODY), Some(NOBODY)).unwrap();
        if dir.is_dir() && !dir.is_symlink() {
            let entries = std::fs::read_dir(dir).unwrap();
            dirs.extend(entries.map(|entry| entry.unwrap().path()));
        }
    }
    let uid = format!("--reuid={NOBODY}");
    let front = [&uid, "--clear-groups", program.to_str().unwrap()];
    world.program(Path::new("/usr/bin/setpriv"), &[&front, args].concat())
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_cannot_be_read_is_named() {
    let world = with_value(VALUE);
    let file = world.write(".openclaw/closed", VALUE);
    world.write(".openclaw/dir/file", VALUE);
    world.write(".openclaw/open", VALUE);
    let dir = world.home().join(".openclaw/dir");
    chmod(&file, 0);
    let args = ["scan", "--json"];
    let cmd = as_ordinary_user(&world, &args);
    chmod(&dir, 0);
    let run = cmd.run().fails(1);
    assert_eq!(found(&world, &run), [".openclaw/open"]);
    let below = |name: &str| format!("home/.openclaw/{name}");
    assert_eq!(
        unseen(&world, &run, "unreadable"),
        ["closed", "dir"].map(below)
    );
    // What was asked for by name is an error: to find nothing there would say nothing.
    chmod(&dir, 0o700);
    let cmd = as_ordinary_user(&world, &["scan", ".openclaw/dir"]);
    chmod(&dir, 0);
    let run = cmd.run();
    chmod(&dir, 0o700);
    let run = run.fails(1);
    assert!(
        run.stderr.contains("permission denied") && run.stdout.is_empty(),
        "{run}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn another_file_system_is_named_and_searched_when_it_is_asked_for() {
    let world = with_value(VALUE);
    world.write(".openclaw/volume/here", "");
    let script = r#"set -e
        mount -t tmpfs tmpfs .openclaw/volume
        printf %s "$1" > .openclaw/volume/there
        "$2" scan --json || true
        exec "$2" scan --json .openclaw/volume"#;
    let mut args = vec!["--mount"];
    if !rustix::process::geteuid().is_root() {
        args.extend(["--user", "--map-root-user"]);
    }
    let program = env!("CARGO_BIN_EXE_clawkeep");
    args.extend(["/bin/sh", "-c", script, "sh", VALUE, program]);
    let run = world.program(Path::new("/usr/bin/unshare"), &args);
    let run = run
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .run()
        .fails(1);
    let mut documents = serde_json::Deserializer::from_str(&run.stdout).into_iter::<Value>();
    let (first, second) = (
        documents.next().unwrap().unwrap(),
        documents.next().unwrap().unwrap(),
    );
    assert_eq!(first["findings"], serde_json::json!([]));
    let is_other = |unseen: &&Value| unseen["kind"] == "other-file-system";
    let other = first["unseen"]
        .as_array()
        .unwrap()
        .iter()
        .find(is_other)
        .unwrap();
    assert_eq!(
        other["places"][0],
        world.home().join(".openclaw/volume").to_str().unwrap()
    );
    assert_eq!(second["findings"].as_array().unwrap().len(), 1);
    assert!(
        !second["unseen"]
            .as_array()
            .unwrap()
            .iter()
            .any(|unseen| is_other(&unseen))
    );
}

#[test]
fn no_depth_and_no_number_of_files_is_too_much() {
    let world = with_value(VALUE);
    // Deeper than any path that the system would take.
    let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::RDONLY;
    std::fs::create_dir_all(world.home().join(".openclaw/deep")).unwrap();
    let mut dir = openat(
        CWD,
        world.home().join(".openclaw/deep"),
        flags,
        Mode::empty(),
    )
    .unwrap();
    for _ in 0..1_500 {
        mkdirat(&dir, "down", Mode::RWXU).unwrap();
        dir = openat(&dir, "down", flags, Mode::empty()).unwrap();
    }
    let create = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
    let file = openat(&dir, "file", create, Mode::RUSR).unwrap();
    rustix::io::write(&file, VALUE.as_bytes()).unwrap();
    std::fs::create_dir(world.home().join(".openclaw/zz")).unwrap();
    let many = rounds(5_000, 100_000);
    for n in 0..many {
        std::fs::write(world.home().join(format!(".openclaw/zz/{n}")), "x").unwrap();
    }
    std::fs::write(world.home().join(".openclaw/zz/z"), VALUE).unwrap();
    let run = scan(&world).fails(1);
    let found = found(&world, &run);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].ends_with("down/down/file") && found[0].len() > 7_000);
    assert_eq!(found[1], ".openclaw/zz/z");
    assert!(run.json()["searched"]["files"].as_u64().unwrap() > many as u64);
    // The system's own removal gives up on such a path.
    let mut rm = std::process::Command::new("/bin/rm");
    assert!(
        rm.arg("-rf")
            .arg(world.home().join(".openclaw/deep"))
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn names_play_no_tricks() {
    use std::os::unix::ffi::OsStrExt as _;
    let world = with_value(VALUE);
    world.write(".openclaw/x", "");
    for name in [
        &b"\x1b[2J\x07"[..],
        b"line\nbreak",
        b"no\xffutf8",
        "turn\u{202e}ed".as_bytes(),
    ] {
        let name = std::ffi::OsStr::from_bytes(name);
        std::fs::write(world.home().join(".openclaw").join(name), VALUE).unwrap();
    }
    let run = world.run(&["scan"]).fails(1);
    assert_eq!(run.stdout.lines().count(), 5, "{run}");
    let printed = format!("{}{}", run.stdout, run.stderr);
    assert!(
        printed
            .chars()
            .all(|c| c == '\n' || !c.is_control() && c != '\u{202e}')
    );
    for name in ["\\u{1b}[2J\\u{7}", "line\\u{a}break", "turn\\u{202e}ed"] {
        assert!(run.stdout.contains(name), "{name}: {run}");
    }
}

/// A file of many TiB is made in an instant; so is one that grows for ever.
#[cfg(target_os = "linux")]
#[test]
fn a_file_of_holes_is_searched_where_there_is_something() {
    let world = with_value(VALUE);
    let path = world.write(".openclaw/holes", VALUE);
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let far = 8 * 1024 * 1024 * 1024 * 1024;
    file.set_len(far).unwrap();
    let meta = std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap());
    assert!(meta < 1024, "this file system has no holes");
    file.write_all_at(VALUE.as_bytes(), far - 5).unwrap();
    let document = scan(&world).fails(1).json();
    let finding = &document["findings"][0];
    assert_eq!(
        (&finding["count"], &finding["place"]["offset"]),
        (&2.into(), &0.into())
    );
}

/// More than it may use, in pages that are its own.
#[cfg(target_os = "linux")]
#[test]
fn a_large_file_takes_no_more_memory_than_a_small_one() {
    let world = with_value(VALUE);
    let path = world.write(".openclaw/large", "");
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let line = b"{\"level\":\"info\",\"text\":\"50%\\tdone\\n\"} sk- AIza \\u00e4\n".repeat(2_000);
    for _ in 0..rounds(250, 6_000) {
        std::io::Write::write_all(&mut file, &line).unwrap();
    }
    std::io::Write::write_all(&mut file, VALUE.as_bytes()).unwrap();
    drop(file);
    // Its writable memory; stacks of threads count as well.
    let script = "ulimit -d 24576; exec \"$0\" scan --json";
    let args = ["-c", script, env!("CARGO_BIN_EXE_clawkeep")];
    let run = world.program(Path::new("/bin/sh"), &args).run().fails(1);
    assert_eq!(found(&world, &run), [".openclaw/large"]);
    assert!(run.json()["searched"]["bytes"].as_u64() > Some(25 * 1024 * 1024));
}

#[test]
fn what_editors_leave_and_what_is_compressed_is_named() {
    let world = with_value(VALUE);
    world.write(".openclaw/.env.swp", format!("b0VIM {VALUE}"));
    for name in [".env~", ".env.un~", "#.env#"] {
        world.write(&format!(".openclaw/{name}"), "");
    }
    for (name, head) in [
        ("a.gz", &b"\x1f\x8b"[..]),
        ("b", b"\x28\xb5\x2f\xfd"),
        ("c.zip", b"PK\x03\x04"),
    ] {
        world.write(&format!(".openclaw/{name}"), head);
    }
    let run = scan(&world).fails(1);
    assert_eq!(found(&world, &run), [".openclaw/.env.swp"]);
    let below = |name: &str| format!("home/.openclaw/{name}");
    let left = ["#.env#", ".env.swp", ".env.un~", ".env~"].map(below);
    assert_eq!(unseen(&world, &run, "editor-file"), left);
    assert_eq!(
        unseen(&world, &run, "compressed"),
        ["a.gz", "b", "c.zip"].map(below)
    );
}
