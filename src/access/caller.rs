//! Who asked, as the system tells it. Recorded, never trusted: a process chooses its own program and
//! its own parent.

use super::escape;
use serde::{Deserialize, Serialize};

/// A process, as it is recorded.
///
/// `program` is the path of its executable or, where that is closed to us (clawkeep itself, another
/// user's process), its short name in brackets as `ps` shows it: `[node]`. `None` where the system
/// tells neither.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// What it runs, escaped: safe on a terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

/// Who asked for an id.
///
/// The asking process is normally `clawkeep resolve`; the one that wants the value is its parent, so
/// both are recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caller {
    /// The user that the kernel names.
    pub uid: u32,
    /// The process that asked.
    pub process: Process,
    /// The process that started it.
    pub parent: Option<Process>,
}

impl Caller {
    /// The process `pid` of user `uid`, as a socket names its peer. Best effort: what the system does
    /// not tell is left out (all but the numbers on systems other than Linux).
    pub fn of_pid(uid: u32, pid: u32) -> Self {
        let stat = Stat::read(pid);
        Caller {
            uid,
            process: Process {
                pid,
                program: program(pid, stat.as_ref()),
            },
            parent: stat
                .map(|stat| stat.parent)
                .filter(|parent| *parent != 0)
                .map(process),
        }
    }

    /// This process and the one that started it: what a keeper would record of a `resolve`.
    pub fn here() -> Self {
        Caller {
            uid: uid(),
            process: Process {
                pid: std::process::id(),
                program: std::env::current_exe().ok().map(|path| escape::path(&path)),
            },
            parent: parent().map(process),
        }
    }
}

#[cfg(unix)]
fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

#[cfg(not(unix))]
fn uid() -> u32 {
    0
}

/// `None` for a process whose parent is outside of what it can see (the first one of a container).
#[cfg(unix)]
fn parent() -> Option<u32> {
    let pid = rustix::process::getppid()?;
    u32::try_from(pid.as_raw_nonzero().get()).ok()
}

#[cfg(not(unix))]
fn parent() -> Option<u32> {
    None
}

fn process(pid: u32) -> Process {
    Process {
        pid,
        program: program(pid, None),
    }
}

fn program(pid: u32, stat: Option<&Stat>) -> Option<String> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    if let Ok(path) = std::fs::read_link(format!("/proc/{pid}/exe")) {
        return Some(escape::path(&path));
    }
    let name = match stat {
        Some(stat) => stat.name.clone(),
        None => Stat::read(pid)?.name,
    };
    Some(format!("[{name}]"))
}

/// What everybody may read of a process.
struct Stat {
    /// Its short name, escaped.
    name: String,
    parent: u32,
}

impl Stat {
    /// `None` when the process has gone or the system has no `/proc`.
    fn read(pid: u32) -> Option<Self> {
        let bytes = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        Stat::parse(&bytes)
    }

    /// `PID (NAME) STATE PPID …`; the name may hold anything, brackets and line feeds too, so it ends
    /// at the last bracket. Source: proc_pid_stat(5).
    fn parse(bytes: &[u8]) -> Option<Self> {
        let open = bytes.iter().position(|byte| *byte == b'(')?;
        let close = bytes.iter().rposition(|byte| *byte == b')')?;
        let name = bytes.get(open + 1..close)?;
        let rest = std::str::from_utf8(bytes.get(close + 1..)?).ok()?;
        Some(Stat {
            name: escape::again(&String::from_utf8_lossy(name)),
            parent: rest.split_ascii_whitespace().nth(1)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_process_cannot_choose_its_parent_by_its_name() {
        let stat = Stat::parse(b"7 (a) S 1 (\x1b[) S 4242 7 7 0").unwrap();
        assert_eq!(stat.parent, 4242);
        assert_eq!(stat.name, "a) S 1 (\\u{1b}[");
        for bad in [&b""[..], b"7", b"7 ()", b") (", b"7 (a) S", b"7 (a) S x"] {
            assert!(Stat::parse(bad).is_none());
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_seen_alike_from_inside_and_outside() {
        let here = Caller::here();
        assert_eq!(here, Caller::of_pid(here.uid, std::process::id()));
        assert!(here.process.program.unwrap().contains("clawkeep"));
        assert!(here.parent.unwrap().program.is_some());
        let gone = Caller::of_pid(7, u32::MAX);
        assert_eq!((gone.process.program, gone.parent), (None, None));
    }

    proptest! {
        #[test]
        fn no_stat_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Stat::parse(&bytes);
        }
    }
}
