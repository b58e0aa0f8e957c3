//! What a kill leaves behind. Each command is killed at its every step that changes a folder: strace
//! lets the first n - 1 of a system call pass and kills the process as it enters the n-th.
//!
//! Promise, at each of these points: the vault opens by every way in that it is said to have, no
//! value is lost, and the next run of the command (or of any writer) finishes or takes back what was
//! begun, and leaves no temporary file.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a panic is how a test fails, and how many kills there were is printed"
)]

mod backup;
#[path = "../common/mod.rs"]
mod common;
mod lab;
mod link;
mod migrate;

use common::rounds;
use lab::{Lab, NEW_VALUE, VALUE, gives, ready};

#[test]
fn a_killed_init_can_be_run_again() {
    if !ready() {
        return;
    }
    let lab = Lab::empty();
    let recovery = lab.world.home().join("recovery.txt");
    let args = ["init", "--slot", "identity-file", "--recovery-file"];
    let args = [&args[..], &[recovery.to_str().unwrap()]].concat();
    lab.kill_everywhere(&args, "", |lab, point| {
        let again = lab.set("s/one", VALUE);
        if again.code != 0 {
            // Not made yet. The recovery key that was written opens nothing.
            let _ = std::fs::remove_file(&recovery);
            let run = lab.world.run(&args);
            assert!(run.code == 0, "{run:#}\n{point}");
            let _ = lab.set("s/one", VALUE).ok();
        }
        gives(lab.get(&[]), VALUE, point);
        let path = recovery.to_str().unwrap();
        let check = lab
            .world
            .run(&["recovery", "check", "--recovery-file", path]);
        assert!(check.code == 0, "{check:#}\n{point}");
    });
}

#[test]
fn a_killed_write_leaves_the_old_value_or_the_new_one() {
    if !ready() {
        return;
    }
    let lab = Lab::with_vault();
    lab.kill_everywhere(&["secret", "set", "s/one"], NEW_VALUE, |lab, point| {
        let run = lab.get(&[]);
        assert!(
            [VALUE, NEW_VALUE].contains(&&*run.stdout),
            "{run:#}\n{point}"
        );
        let _ = lab.set("s/two", VALUE).ok();
        gives(lab.get(&[]), &run.stdout, point);
    });
}

#[test]
fn a_killed_rekey_leaves_every_slot_open() {
    if !ready() {
        return;
    }
    let lab = Lab::with_vault();
    let passphrase = lab.world.home().join("passphrase");
    let passphrase = passphrase.to_str().unwrap();
    let args = ["--passphrase-file", passphrase, "rekey", "--yes"];
    lab.kill_everywhere(&args, "", |lab, point| {
        gives(lab.get(&[]), VALUE, point);
        gives(lab.get_by_passphrase("passphrase"), VALUE, point);
        // The cache is only a cache, also now.
        let cache = lab.vault().join("vault.json");
        if cache.exists() {
            let aside = cache.with_extension("aside");
            std::fs::rename(&cache, &aside).unwrap();
            gives(lab.get_by_passphrase("passphrase"), VALUE, point);
            gives(lab.get(&[]), VALUE, point);
            let _ = std::fs::remove_file(&cache);
            if !point.contains("unlink") {
                std::fs::rename(aside, cache).unwrap();
            }
        }
        let _ = lab.set("s/two", VALUE).ok();
        gives(lab.get(&[]), VALUE, point);
        gives(lab.get_by_passphrase("passphrase"), VALUE, point);
        let run = lab.world.run(&args);
        assert!(run.code == 0, "{run:#}\n{point}");
        gives(lab.get_by_passphrase("passphrase"), VALUE, point);
        assert_eq!(
            slot_files(lab),
            ["identity-file.age", "passphrase.age"],
            "{point}"
        );
    });
}

fn slot_files(lab: &Lab) -> Vec<String> {
    let entries = std::fs::read_dir(lab.vault().join("slots")).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_killed_removal_leaves_the_slots_that_stay() {
    if !ready() {
        return;
    }
    let lab = Lab::with_vault();
    let args = ["slot", "remove", "passphrase", "--yes"];
    lab.kill_everywhere(&args, "", |lab, point| {
        gives(lab.get(&[]), VALUE, point);
        let _ = lab.set("s/two", VALUE).ok();
        gives(lab.get(&[]), VALUE, point);
        let again = lab.world.run(&args);
        assert!(
            again.code == 0 || again.stderr.contains("no slot"),
            "{again:#}\n{point}"
        );
        assert_eq!(slot_files(lab), ["identity-file.age"], "{point}");
        assert_ne!(lab.get_by_passphrase("passphrase").code, 0, "{point}");
    });
    // The other way round: what goes is tried before what stays.
    let lab = Lab::with_vault();
    let passphrase = lab.world.home().join("passphrase");
    let front = ["--passphrase-file", passphrase.to_str().unwrap()];
    let args = [&front[..], &["slot", "remove", "identity-file", "--yes"]].concat();
    lab.kill_everywhere(&args, "", |lab, point| {
        // First with the file that goes: it is tried before what stays.
        gives(lab.get(&front), VALUE, point);
        gives(lab.get_by_passphrase("passphrase"), VALUE, point);
        let args = [&front[..], &["secret", "set", "s/two"]].concat();
        let _ = lab.world.cmd(&args).stdin(VALUE).run().ok();
        gives(lab.get(&front), VALUE, point);
    });
}

#[test]
fn a_killed_replacement_leaves_the_old_slot_or_the_new_one() {
    if !ready() {
        return;
    }
    for keep in [false, true] {
        let lab = Lab::with_vault();
        let _ = lab
            .world
            .run(&["slot", "remove", "passphrase", "--yes"])
            .ok();
        let other = lab.world.home().join(".config/clawkeep/other.txt");
        let mut args = vec![
            "slot",
            "add",
            "identity-file",
            "--replace",
            "--identity-file",
        ];
        args.push(other.to_str().unwrap());
        args.extend(keep.then_some("--keep-identity"));
        lab.kill_everywhere(&args, "", |lab, point| {
            let mut opened = 0;
            for gone in [&other, &lab.identity_file()] {
                let aside = gone.with_extension("aside");
                let there = std::fs::rename(gone, &aside).is_ok();
                let run = lab.get(&[]);
                opened += u32::from(run.code == 0 && run.stdout == VALUE);
                if there {
                    std::fs::rename(aside, gone).unwrap();
                }
            }
            assert!(opened > 0, "no identity file opens it; {point}");
            gives(lab.get(&[]), VALUE, point);
            let _ = lab.set("s/two", VALUE).ok();
            assert_eq!(slot_files(lab), ["identity-file.age"], "{point}");
            gives(lab.get(&[]), VALUE, point);
        });
    }
}

#[test]
fn a_killed_change_of_passphrase_leaves_the_old_one_or_the_new_one() {
    // Its slot has this machine's full cost: seconds for each look.
    if rounds(0, 1) == 0 || !ready() {
        return;
    }
    let lab = Lab::with_vault();
    let (old, new) = (
        lab.world.home().join("passphrase"),
        lab.world.home().join("other-passphrase"),
    );
    let args = [
        "slot",
        "add",
        "passphrase",
        "--replace",
        "--new-passphrase-file",
    ];
    let args = [&args[..], &[new.to_str().unwrap()]].concat();
    drop(old);
    lab.kill_everywhere(&args, "", |lab, point| {
        gives(lab.get(&[]), VALUE, point);
        let (old, new) = (
            lab.get_by_passphrase("passphrase"),
            lab.get_by_passphrase("other-passphrase"),
        );
        assert!(old.code == 0 || new.code == 0, "{old:#}\n{new:#}\n{point}");
        let _ = lab.set("s/two", VALUE).ok();
    });
}

#[test]
fn a_killed_addition_leaves_the_slot_or_none() {
    if !ready() {
        return;
    }
    let lab = Lab::with_vault();
    let other = lab.world.home().join(".config/clawkeep/other.txt");
    let args = [
        "slot",
        "add",
        "identity-file",
        "--name",
        "second",
        "--identity-file",
    ];
    let args = [&args[..], &[other.to_str().unwrap()]].concat();
    lab.kill_everywhere(&args, "", |lab, point| {
        gives(lab.get(&[]), VALUE, point);
        gives(lab.get_by_passphrase("passphrase"), VALUE, point);
        let again = lab.world.run(&args);
        assert!(
            again.code == 0 || again.stderr.contains("already"),
            "{again:#}\n{point}"
        );
        let _ = lab.set("s/two", VALUE).ok();
        let aside = lab.identity_file().with_extension("aside");
        std::fs::rename(lab.identity_file(), aside).unwrap();
        gives(lab.get(&[]), VALUE, point);
    });
}
