//! For tests: `/proc`, `/sys` and `/run` as folders of files, as a machine of version 2 groups has them.
#![allow(
    clippy::disallowed_methods,
    reason = "looks: writes the files of a test's own folder"
)]

use super::System;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// A machine that is gone with its value.
pub(crate) struct Machine {
    /// What reads it.
    pub(crate) system: System,
    starts: AtomicU64,
    _root: tempfile::TempDir,
}

impl Machine {
    /// Nothing runs, not even a manager.
    pub(crate) fn bare() -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            std::fs::create_dir_all(root.path().join(name)).unwrap();
            root.path().join(name)
        };
        at("run/systemd/units");
        Machine {
            system: System {
                proc: at("proc"),
                sys: at("sys"),
                run: at("run"),
                root: rustix::process::geteuid().as_raw(),
            },
            starts: AtomicU64::new(1),
            _root: root,
        }
    }

    /// The manager runs, and nothing else.
    pub(crate) fn new() -> Self {
        let machine = Self::bare();
        machine.process(1, "0::/init.scope\n", 0);
        machine
    }

    /// A new start of a unit, with these processes: number and start time.
    pub(crate) fn start(&self, unit: &str, processes: &[(u32, u64)]) {
        let path = format!("system.slice/{unit}");
        for (pid, tick) in processes {
            self.process(*pid, &format!("0::/{path}\n"), *tick);
        }
        let pids: Vec<u32> = processes.iter().map(|(pid, _)| *pid).collect();
        self.group(&path, &pids);
        self.forget_round(unit);
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        let link = self
            .system
            .run
            .join("systemd/units/invocation:")
            .display()
            .to_string()
            + unit;
        std::os::unix::fs::symlink(format!("{start:032x}"), link).unwrap();
    }

    /// The unit stops, and its processes end.
    pub(crate) fn stop(&self, unit: &str) {
        let dir = self.system.sys.join("fs/cgroup/system.slice").join(unit);
        for pid in std::fs::read_to_string(dir.join("cgroup.procs"))
            .unwrap()
            .lines()
        {
            self.end(pid.parse().unwrap());
        }
        std::fs::remove_dir_all(dir).unwrap();
        self.forget_round(unit);
    }

    /// What the manager noted of the unit's start is gone.
    pub(crate) fn forget_round(&self, unit: &str) {
        let link = self
            .system
            .run
            .join(format!("systemd/units/invocation:{unit}"));
        let _ = std::fs::remove_file(link);
    }

    /// A process of a user's session, in a group that has a unit's name.
    pub(crate) fn outsider(&self, pid: u32, tick: u64) {
        let path =
            "0::/user.slice/user-1500.slice/user@1500.service/system.slice/gateway.service\n";
        self.process(pid, path, tick);
    }

    /// A process with this text in its `cgroup` file.
    pub(crate) fn process(&self, pid: u32, cgroup: &str, tick: u64) {
        let dir = self.system.proc.join(pid.to_string());
        std::fs::create_dir_all(&dir).unwrap();
        self.put(&dir.join("cgroup"), cgroup.as_bytes());
        let stat = format!("{pid} (a) b) S 1 7 7 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 {tick} 1 2\n");
        self.put(&dir.join("stat"), stat.as_bytes());
    }

    /// The process ends.
    pub(crate) fn end(&self, pid: u32) {
        std::fs::remove_dir_all(self.system.proc.join(pid.to_string())).unwrap();
    }

    /// A group of version 2 with these processes.
    pub(crate) fn group(&self, path: &str, pids: &[u32]) {
        let list: Vec<String> = pids.iter().map(u32::to_string).collect();
        self.listed(path, &list.join("\n"));
    }

    /// A group of version 2 with this list of processes.
    pub(crate) fn listed(&self, path: &str, list: &str) {
        self.folder(&format!("fs/cgroup/{path}"), list);
    }

    /// A group anywhere below `/sys`.
    pub(crate) fn folder(&self, path: &str, list: &str) {
        let dir = self.system.sys.join(path);
        std::fs::create_dir_all(&dir).unwrap();
        self.put(&dir.join("cgroup.procs"), list.as_bytes());
    }

    /// Writes a file.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) {
        std::fs::write(path, bytes).unwrap();
    }
}
