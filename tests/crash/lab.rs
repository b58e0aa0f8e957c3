//! A home that can be put back as it was, and the kill.

use super::common::{Run, World, left_out, rounds};
use clawkeep::file::{LOCK_WAIT, Lock};
use clawkeep::host::Host;
use clawkeep::keychain::OsKeychain;
use clawkeep::vault::argon::Cost;
use clawkeep::vault::identity::Identity;
use clawkeep::vault::rekey::{Doors, SlotPlan, plant};
use clawkeep::vault::slot::SlotName;
use clawkeep::vault::{NewVault, Vault};
use std::path::{Path, PathBuf};

pub(crate) const STRACE: &str = "/usr/bin/strace";
pub(crate) const PASSPHRASE: &str = "fake correct horse battery";
pub(crate) const OTHER_PASSPHRASE: &str = "fake other horse battery";
pub(crate) const VALUE: &str = "fake-value-before-the-kill";
pub(crate) const NEW_VALUE: &str = "fake-value-of-the-killed-run";

/// The calls that change a folder. What is written into a temporary file before its rename changes
/// nothing that a reader sees; the long rounds stop there too.
pub(crate) const CALLS: [&str; 9] = [
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
pub(crate) const LONG_CALLS: [&str; 2] = ["fsync", "write"];

pub(crate) fn ready() -> bool {
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
pub(crate) struct Lab {
    pub(crate) world: World,
    kept: tempfile::TempDir,
}

/// The cheapest passphrase slot that is accepted: 64 MiB, one pass.
pub(crate) const CHEAP: Cost = Cost {
    m_kib: Cost::LEAST_KIB,
    t: 1,
    p: 1,
};

impl Lab {
    pub(crate) fn empty() -> Lab {
        let world = World::new();
        world.write("passphrase", PASSPHRASE);
        world.write("other-passphrase", OTHER_PASSPHRASE);
        Lab {
            world,
            kept: tempfile::tempdir().unwrap(),
        }
    }

    /// A vault with an identity file, a passphrase, and one value.
    pub(crate) fn with_vault() -> Lab {
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

    pub(crate) fn vault(&self) -> PathBuf {
        self.world.home().join(".local/share/clawkeep")
    }

    pub(crate) fn identity_file(&self) -> PathBuf {
        self.world.home().join(".config/clawkeep/identity.txt")
    }

    pub(crate) fn set(&self, id: &str, value: &str) -> Run {
        self.world.cmd(&["secret", "set", id]).stdin(value).run()
    }

    /// `secret get s/one`, with more arguments.
    pub(crate) fn get(&self, more: &[&str]) -> Run {
        let args = [more, &["secret", "get", "s/one"]].concat();
        self.world.run(&args)
    }

    /// The value, as the passphrase in this file alone gives it.
    pub(crate) fn get_by_passphrase(&self, file: &str) -> Run {
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

    pub(crate) fn keep(&self) {
        copy(self.world.root(), &self.kept.path().join("kept"));
    }

    pub(crate) fn put_back(&self) {
        for entry in std::fs::read_dir(self.world.root()).unwrap().flatten() {
            std::fs::remove_dir_all(entry.path()).unwrap();
        }
        copy(&self.kept.path().join("kept"), self.world.root());
    }

    /// Kills `args` at its every step and calls `check` on what is there then; at the end once on a
    /// run that nobody killed.
    pub(crate) fn kill_everywhere(
        &self,
        args: &[&str],
        stdin: &str,
        mut check: impl FnMut(&Lab, &str),
    ) {
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

    /// Kills `args` as it enters the `at`-th call of that name.
    pub(crate) fn killed(&self, call: &str, at: u32, args: &[&str], stdin: &str) -> Run {
        self.disturbed(call, at, "signal=KILL", args, stdin)
    }

    /// Lets the disk be full at the `at`-th call of that name.
    pub(crate) fn full(&self, call: &str, at: u32, args: &[&str]) -> Run {
        self.disturbed(call, at, "error=ENOSPC", args, "")
    }

    fn disturbed(&self, call: &str, at: u32, how: &str, args: &[&str], stdin: &str) -> Run {
        let trace = format!("trace=?{call}");
        let inject = format!("inject=?{call}:{how}:when={at}");
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
    pub(crate) fn no_temporary_file(&self, point: &str) {
        let found = std::process::Command::new("/usr/bin/find")
            .arg(self.world.root())
            // A claim of OpenClaw's lock and a plan for OpenClaw hold no secret.
            .args([
                "-name",
                ".clawkeep-tmp-*",
                "-not",
                "-path",
                "*/clawkeep-plan-*",
            ])
            .output()
            .unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        assert_eq!(found, "", "left behind after the next run; {point}");
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
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
pub(crate) fn gives(run: Run, value: &str, point: &str) {
    assert!(run.code == 0, "{run:#}\n{point}");
    let Run { stdout, .. } = run;
    assert_eq!(stdout, value, "{point}");
}
