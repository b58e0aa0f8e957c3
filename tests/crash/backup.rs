//! Kills while a backup is made, and while one is put in place.
//!
//! Promise: a backup is there whole or not at all; the vault's folder holds the old vault or the one of the
//! backup at every instant, and an old one is never lost.

use super::lab::{CALLS, LONG_CALLS, Lab, NEW_VALUE, STRACE, VALUE, gives, ready};
use std::path::{Path, PathBuf};

/// A vault whose backup has [`VALUE`], and which has [`NEW_VALUE`] since.
fn lab() -> (Lab, String) {
    let lab = Lab::with_vault();
    let file = lab.world.home().join("backup.tar");
    let file = file.to_str().unwrap().to_owned();
    let _ = lab.world.run(&["backup", &file]).ok();
    let _ = lab.set("s/one", NEW_VALUE).ok();
    (lab, file)
}

/// What `secret get s/one` gives of a vault in `dir`.
fn value_in(lab: &Lab, dir: &Path) -> String {
    let run = lab.get(&["--vault", dir.to_str().unwrap()]);
    run.stdout
}

/// The folders beside the vault's that hold an old vault's value.
fn old_ones(lab: &Lab) -> Vec<PathBuf> {
    let beside = lab.vault();
    let beside = std::fs::read_dir(beside.parent().unwrap()).unwrap();
    let mut found: Vec<PathBuf> = beside
        .map(|entry| entry.unwrap().path())
        .filter(|dir| dir.join("vault.age").exists() && value_in(lab, dir) == NEW_VALUE)
        .collect();
    found.sort();
    found
}

#[test]
fn a_killed_backup_is_whole_or_not_there() {
    if !ready() {
        return;
    }
    let lab = Lab::with_vault();
    let file = lab.world.home().join("backup.tar");
    let args = ["backup", file.to_str().unwrap()];
    lab.keep();
    let mut kills = 0;
    // All of it is one file, so what counts is its writing.
    for call in CALLS.iter().chain(&LONG_CALLS) {
        for at in 1.. {
            lab.put_back();
            let run = lab.killed(call, at, &args, "");
            let point = format!("killed at {call} {at}: {run:#}");
            if run.code != 137 {
                let _ = run.ok();
                break;
            }
            kills += 1;
            gives(lab.get(&[]), VALUE, &point);
            let again = lab.world.run(&args);
            assert!(
                again.code == 0 || again.stderr.contains("exists already"),
                "{again:#}\n{point}"
            );
            let other = lab.world.home().join("other");
            let vault = ["--vault", other.to_str().unwrap()];
            let restore = [&vault[..], &["restore", file.to_str().unwrap()]].concat();
            let run = lab.world.run(&restore);
            assert!(run.code == 0, "{run:#}\n{point}");
            gives(lab.get(&vault), VALUE, &point);
            // What a killed one left goes with the next file that is written there.
            let next = lab.world.home().join("next.tar");
            let _ = lab.world.run(&["backup", next.to_str().unwrap()]).ok();
            lab.no_temporary_file(&point);
        }
    }
    assert!(kills >= 3, "{kills}");
}

#[test]
fn a_killed_restore_leaves_no_vault_or_the_whole_one() {
    if !ready() {
        return;
    }
    let (lab, file) = lab();
    std::fs::remove_dir_all(lab.vault()).unwrap();
    let args = ["restore", &file];
    lab.kill_everywhere(&args, "", |lab, point| {
        if lab.vault().exists() {
            gives(lab.get(&[]), VALUE, point);
        } else {
            let run = lab.world.run(&args);
            assert!(run.code == 0, "{run:#}\n{point}");
        }
        gives(lab.get(&[]), VALUE, point);
        let _ = lab.set("s/two", VALUE).ok();
        gives(lab.get(&[]), VALUE, point);
        let staging = lab.vault().with_file_name("clawkeep.restoring");
        assert!(!staging.exists(), "{point}");
    });
}

#[test]
fn a_killed_restore_over_a_vault_leaves_the_old_one_or_the_new_one_and_loses_neither() {
    if !ready() {
        return;
    }
    let (lab, file) = lab();
    let args = ["restore", &file, "--replace", "--yes"];
    lab.kill_everywhere(&args, "", |lab, point| {
        let run = lab.get(&[]);
        assert!(
            run.code == 0 && (run.stdout == VALUE || run.stdout == NEW_VALUE),
            "{run:#}\n{point}"
        );
        assert_eq!(old_ones(lab).len(), 1, "{point}");
        let run = lab.world.run(&args);
        assert!(run.code == 0, "{run:#}\n{point}");
        gives(lab.get(&[]), VALUE, point);
        let old = old_ones(lab);
        assert!(old.len() == 1 && old[0] != lab.vault(), "{old:?}\n{point}");
        let staging = lab.vault().with_file_name("clawkeep.restoring");
        assert!(!staging.exists(), "{point}");
    });
}

/// A file system without an exchange of two folders: one after the other.
#[test]
fn where_two_folders_cannot_be_exchanged_at_once_nothing_is_lost_either() {
    if !ready() {
        return;
    }
    let (lab, file) = lab();
    lab.keep();
    let inject = "inject=?renameat2:error=EINVAL";
    let without = [
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=?rename,?renameat,?renameat2",
        "-e",
        inject,
    ];
    let program = env!("CARGO_BIN_EXE_clawkeep");
    let args = [program, "restore", &file, "--replace", "--yes"];
    let strace = |kill: &[&str]| {
        let all = [&without[..], kill, &args].concat();
        lab.world.program(Path::new(STRACE), &all).run()
    };
    let run = strace(&[]).ok();
    assert!(run.stderr.contains("What was there before: "), "{run:#}");
    gives(lab.get(&[]), VALUE, "not killed");
    assert_eq!(old_ones(&lab).len(), 1);
    let mut kills = 0;
    for at in 1.. {
        lab.put_back();
        let kill = format!("inject=?rename:signal=KILL:when={at}");
        let run = strace(&["-e", &kill]);
        let point = format!("killed at rename {at}: {run:#}");
        if run.code != 137 {
            let _ = run.ok();
            break;
        }
        kills += 1;
        assert_eq!(old_ones(&lab).len(), 1, "{point}");
        let run = lab.world.run(&args[1..]);
        assert!(run.code == 0, "{run:#}\n{point}");
        gives(lab.get(&[]), VALUE, &point);
        assert_eq!(old_ones(&lab).len(), 1, "{point}");
    }
    assert!(kills >= 4, "{kills}");
}

/// A disk that is full at any write, or refuses to sync: what was there is there, and nothing beside it.
#[test]
fn a_full_disk_leaves_what_was_there() {
    if !ready() {
        return;
    }
    let (lab, file) = lab();
    let new = lab.world.home().join("new.tar");
    let backup = ["backup", new.to_str().unwrap()];
    let restore = ["restore", &file, "--replace", "--yes"];
    lab.keep();
    let mut failures = 0;
    for (args, call) in [
        (&backup[..], "write"),
        (&restore[..], "write"),
        (&restore[..], "mkdir"),
    ] {
        for at in 1.. {
            lab.put_back();
            let before = lab.world.tree();
            let trace = format!("trace=?{call}");
            let inject = format!("inject=?{call}:error=ENOSPC:when={at}");
            let front = ["-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
            let args = [&front[..], &[env!("CARGO_BIN_EXE_clawkeep")], args].concat();
            let run = lab.world.program(Path::new(STRACE), &args).run();
            let point = format!("{call} {at}: {run:#}");
            if run.code == 0 {
                // A word to the person that was not written is no failure.
                if run.stderr.contains("Backup: ") || run.stderr.contains("Restored: ") {
                    break;
                }
                continue;
            }
            failures += 1;
            assert_eq!(run.code, 1, "{point}");
            assert_eq!(lab.world.tree(), before, "{point}");
            gives(lab.get(&[]), NEW_VALUE, &point);
        }
    }
    assert!(failures >= 7, "{failures}");
}
