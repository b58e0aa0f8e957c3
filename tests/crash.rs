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
    reason = "a panic is how a test fails"
)]

mod common;

use clawkeep::file::{LOCK_WAIT, Lock};
use clawkeep::host::Host;
use clawkeep::keychain::OsKeychain;
use clawkeep::vault::argon::Cost;
use clawkeep::vault::identity::Identity;
use clawkeep::vault::rekey::{Doors, SlotPlan, plant};
use clawkeep::vault::slot::SlotName;
use clawkeep::vault::{NewVault, Vault};
use common::{Run, World, left_out, rounds};
use std::path::{Path, PathBuf};

const STRACE: &str = "/usr/bin/strace";
const PASSPHRASE: &str = "fake correct horse battery";
const OTHER_PASSPHRASE: &str = "fake other horse battery";
const VALUE: &str = "fake-value-before-the-kill";
const NEW_VALUE: &str = "fake-value-of-the-killed-run";

/// The calls that change a folder. What is written into a temporary file before its rename changes
/// nothing that a reader sees; the long rounds stop there too.
const CALLS: [&str; 9] = [
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
];
const LONG_CALLS: [&str; 2] = ["fsync", "write"];

fn ready() -> bool {
    if left_out("crash") {
        return false;
    }
    assert!(
        Path::new(STRACE).is_file(),
        "{STRACE} is missing: apt-get install strace (or scripts/test --without crash)"
    );
    true
}

/// A home with a vault in it that can be put back as it was.
struct Lab {
    world: World,
    kept: tempfile::TempDir,
}

/// The cheapest passphrase slot that is accepted: 64 MiB, one pass.
const CHEAP: Cost = Cost {
    m_kib: Cost::LEAST_KIB,
    t: 1,
    p: 1,
};

impl Lab {
    fn empty() -> Lab {
        let world = World::new();
        world.write("passphrase", PASSPHRASE);
        world.write("other-passphrase", OTHER_PASSPHRASE);
        Lab {
            world,
            kept: tempfile::tempdir().unwrap(),
        }
    }

    /// A vault with an identity file, a passphrase, and one value.
    fn with_vault() -> Lab {
        let lab = Lab::empty();
        let dir = lab.vault();
        clawkeep::file::private_dir(&dir).unwrap();
        let host = Host::real();
        let keychain = OsKeychain::on_bus("unix:path=/nonexistent/bus");
        let doors = Doors {
            host: &host,
            keychain: &keychain,
        };
        let identity = Identity::generate();
        let plans = [
            ("identity-file", SlotPlan::IdentityFile(lab.identity_file())),
            ("passphrase", SlotPlan::Passphrase(PASSPHRASE.into(), CHEAP)),
        ];
        let slots = plans.map(|(name, plan)| {
            let name = SlotName::parse(name).unwrap();
            plant(&dir, &identity, &name, plan, &doors).unwrap()
        });
        let new = NewVault {
            identity,
            recovery: None,
            slots: slots.into(),
        };
        let lock = Lock::take(&dir.join("vault.lock"), LOCK_WAIT).unwrap();
        Vault::create(&dir, &host, new, &lock).unwrap();
        drop(lock);
        let _ = lab.set("s/one", VALUE).ok();
        lab
    }

    fn vault(&self) -> PathBuf {
        self.world.home().join(".local/share/clawkeep")
    }

    fn identity_file(&self) -> PathBuf {
        self.world.home().join(".config/clawkeep/identity.txt")
    }

    fn set(&self, id: &str, value: &str) -> Run {
        self.world.cmd(&["secret", "set", id]).stdin(value).run()
    }

    /// `secret get s/one`, with more arguments.
    fn get(&self, more: &[&str]) -> Run {
        let args = [more, &["secret", "get", "s/one"]].concat();
        self.world.run(&args)
    }

    /// The value, as the passphrase in this file alone gives it.
    fn get_by_passphrase(&self, file: &str) -> Run {
        let files = [
            self.identity_file(),
            self.world.home().join(".config/clawkeep/other.txt"),
        ];
        let aside = |file: &Path| file.with_extension("aside");
        let there: Vec<_> = files.iter().filter(|file| file.exists()).collect();
        for file in &there {
            std::fs::rename(file, aside(file)).unwrap();
        }
        let path = self.world.home().join(file);
        let run = self.get(&["--passphrase-file", path.to_str().unwrap()]);
        for file in there {
            std::fs::rename(aside(file), file).unwrap();
        }
        run
    }

    fn keep(&self) {
        copy(self.world.root(), &self.kept.path().join("kept"));
    }

    fn put_back(&self) {
        for entry in std::fs::read_dir(self.world.root()).unwrap().flatten() {
            std::fs::remove_dir_all(entry.path()).unwrap();
        }
        copy(&self.kept.path().join("kept"), self.world.root());
    }

    /// Kills `args` at its every step and calls `check` on what is there then; at the end once on a
    /// run that nobody killed.
    fn kill_everywhere(&self, args: &[&str], stdin: &str, mut check: impl FnMut(&Lab, &str)) {
        self.keep();
        let mut calls = CALLS.to_vec();
        if rounds(0, 1) == 1 {
            calls.extend(LONG_CALLS);
        }
        let mut kills = 0;
        for call in calls {
            for at in 1.. {
                self.put_back();
                let run = self.killed(call, at, args, stdin);
                let point = format!("{} killed at {call} {at}: {run:#}", args.join(" "));
                if run.code != 137 {
                    let _ = run.ok();
                    check(self, &format!("{} not killed", args.join(" ")));
                    break;
                }
                kills += 1;
                check(self, &point);
                self.no_temporary_file(&point);
            }
        }
        assert!(kills >= 2, "only {kills} steps of {args:?} were seen");
    }

    fn killed(&self, call: &str, at: u32, args: &[&str], stdin: &str) -> Run {
        let trace = format!("trace=?{call}");
        let inject = format!("inject=?{call}:signal=KILL:when={at}");
        let program = env!("CARGO_BIN_EXE_clawkeep");
        let front = [
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &trace,
            "-e",
            &inject,
            program,
        ];
        let args = [&front[..], args].concat();
        let cmd = self.world.program(Path::new(STRACE), &args);
        cmd.stdin(stdin).run()
    }

    #[track_caller]
    fn no_temporary_file(&self, point: &str) {
        let found = std::process::Command::new("/usr/bin/find")
            .arg(self.world.root())
            .args(["-name", ".clawkeep-*"])
            .output()
            .unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        assert_eq!(found, "", "left behind after the next run; {point}");
    }
}

fn copy(from: &Path, to: &Path) {
    let to_is_there = to.exists();
    let from = if to_is_there {
        from.join(".")
    } else {
        from.to_owned()
    };
    let status = std::process::Command::new("/bin/cp")
        .arg("-a")
        .args([from, to.to_owned()])
        .status()
        .unwrap();
    assert!(status.success());
}

#[track_caller]
fn gives(run: Run, value: &str, point: &str) {
    assert!(run.code == 0, "{run:#}\n{point}");
    let Run { stdout, .. } = run;
    assert_eq!(stdout, value, "{point}");
}

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
