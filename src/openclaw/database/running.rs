//! Whether an OpenClaw process is at work with this state folder. Knows one port, OpenClaw's lock
//! files and, on Linux, `/proc`; changes nothing.
//!
//! Source: OpenClaw 2026.6.1, 2026.8.2 and 2026.9.6, `src/infra/gateway-lock.ts`: a gateway, an agent
//! that runs without one and the doctor's maintenance each hold `gateway.<hash>.lock` or
//! `gateway.state.lock` in a folder `openclaw-<uid>`: below the system's folder for temporary files,
//! in newer versions below `tmp` of the state folder. The file is JSON and names the process; one that
//! was killed leaves it behind.

use crate::file::{self, Privacy};
use crate::host::Host;
use crate::openclaw::config::Config;
use crate::openclaw::gateway;
use crate::openclaw::places::Places;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The most bytes of a lock file.
const MOST: usize = 64 * 1024;

/// How it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// Somebody listens on the gateway's port.
    Port(u16),
    /// A process holds OpenClaw's own lock: a gateway, an agent without one, or the doctor.
    Process(u32),
}

impl std::fmt::Display for Running {
    /// The start of a sentence: `OpenClaw runs (process 123)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Running::Port(port) => write!(f, "the gateway runs (port {port})"),
            Running::Process(pid) => write!(f, "OpenClaw runs (process {pid})"),
        }
    }
}

/// Whether a gateway, or another OpenClaw that works alone, runs with these places; `None` when none
/// is seen. A lock that cannot be read counts as none: what writes to a database asks that database
/// as well.
pub fn gateway_runs(host: &Host, places: &Places, config: &Config) -> Option<Running> {
    let port = gateway::port(host, config);
    if gateway::is_up(port) {
        return Some(Running::Port(port));
    }
    let folders = [places.state().join("tmp"), std::env::temp_dir()];
    holder(&folders, places).map(Running::Process)
}

fn holder(folders: &[PathBuf], places: &Places) -> Option<u32> {
    let own = own_folder();
    let locks = folders.iter().flat_map(|folder| locks(&folder.join(&own)));
    locks
        .filter_map(|path| file::read(&path, MOST, Privacy::Shared).ok()?)
        .filter_map(|bytes| serde_json::from_slice(&bytes).ok())
        .filter(|lock| is_about(lock, places))
        .filter_map(|lock| u32::try_from(lock.get("pid")?.as_u64()?).ok())
        .find(|pid| is_openclaw(*pid))
}

#[cfg(unix)]
fn own_folder() -> String {
    format!("openclaw-{}", rustix::process::geteuid().as_raw())
}

#[cfg(not(unix))]
fn own_folder() -> String {
    "openclaw".to_owned()
}

fn locks(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("gateway.") && name.ends_with(".lock")
        })
        .map(|entry| entry.path())
        .collect()
}

/// Whether the lock is one of this configuration or this state folder; the folder of older versions is
/// common to all.
fn is_about(lock: &Value, places: &Places) -> bool {
    let names = |key: &str, path: &Path| {
        let named = lock.get(key).and_then(Value::as_str).map(Path::new);
        named.is_some_and(|named| same(named, path))
    };
    names("configPath", places.config()) || names("stateDir", places.state())
}

fn same(one: &Path, other: &Path) -> bool {
    one == other
        || match (std::fs::canonicalize(one), std::fs::canonicalize(other)) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
}

/// Whether the process lives and is an OpenClaw: a number can have gone to another since.
#[cfg(target_os = "linux")]
fn is_openclaw(pid: u32) -> bool {
    // Unreadable (another user's, hidden) is not dead.
    match std::fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(line) => String::from_utf8_lossy(&line)
            .to_lowercase()
            .contains("openclaw"),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn is_openclaw(pid: u32) -> bool {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

#[cfg(not(unix))]
fn is_openclaw(_: u32) -> bool {
    // Not known here; the database's own lock is asked as well.
    false
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    /// A process of that name that lives until it is dropped.
    struct Alive(Child);

    impl Alive {
        fn named(name: &str) -> Alive {
            let mut command = Command::new("/bin/cat");
            let child = command.arg0(name).stdin(Stdio::piped()).spawn().unwrap();
            // The name is its own only once it has become that program.
            let line = format!("/proc/{}/cmdline", child.id());
            while !std::fs::read_to_string(&line).unwrap().starts_with(name) {
                std::thread::yield_now();
            }
            Alive(child)
        }
    }

    impl Drop for Alive {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_lock_counts_while_its_openclaw_lives_and_is_about_these_places() {
        let home = tempfile::tempdir().unwrap();
        let places = Places::below(home.path());
        let folder = places.state().join("tmp").join(own_folder());
        std::fs::create_dir_all(&folder).unwrap();
        let folders = [places.state().join("tmp"), home.path().join("nowhere")];
        let write = |pid: u32, key: &str, path: &Path| {
            let lock = serde_json::json!({"pid": pid, key: path, "createdAt": "x"});
            let to = folder.join("gateway.0123abcd.lock");
            file::replace(&to, lock.to_string().as_bytes(), 0o600).unwrap();
        };
        let holder = || super::holder(&folders, &places);
        assert_eq!(holder(), None);
        let gateway = Alive::named("openclaw-gateway");
        let pid = gateway.0.id();
        write(pid, "configPath", places.config());
        assert_eq!(holder(), Some(pid));
        write(pid, "stateDir", places.state());
        assert_eq!(holder(), Some(pid));
        write(pid, "stateDir", Path::new("/nowhere/else"));
        assert_eq!(holder(), None, "another's");
        let stranger = Alive::named("somebody");
        write(stranger.0.id(), "stateDir", places.state());
        assert_eq!(holder(), None, "the number is another's now");
        write(pid, "stateDir", places.state());
        drop(gateway);
        assert_eq!(holder(), None, "left behind");
        file::replace(&folder.join("gateway.state.lock"), b"{\"pid\":", 0o600).unwrap();
        assert_eq!(holder(), None, "not readable");
    }
}
