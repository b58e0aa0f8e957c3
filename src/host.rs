//! The machine around us as one value: environment, folders, clock, randomness, this program's own
//! path, and the limits that the process puts on itself. Ring 1.
//!
//! Promise: nothing else in the crate reads the environment or the clock. What `resolve` needs is
//! found with an empty environment.

use crate::error::{Error, Result};
use crate::expiry::Millis;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// The machine. Cheap; holds nothing secret.
#[derive(Debug, Clone, Default)]
pub struct Host {
    _private: (),
}

#[allow(
    clippy::disallowed_methods,
    reason = "door: the only reader of env and clock"
)]
impl Host {
    /// The machine that this process runs on.
    pub fn real() -> Self {
        Host::default()
    }

    /// An environment variable; blank counts as unset.
    pub fn var(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name).filter(|value| !value.to_string_lossy().trim().is_empty())
    }

    /// A variable that holds a path; the texts `undefined` and `null` count as unset, as in OpenClaw.
    pub fn path_var(&self, name: &str) -> Option<PathBuf> {
        let value = self.var(name)?;
        let text = value.to_string_lossy();
        let text = text.trim();
        if matches!(text, "undefined" | "null") {
            return None;
        }
        match text.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                Some(self.home().ok()?.join(rest.trim_start_matches('/')))
            }
            _ => Some(PathBuf::from(value)),
        }
    }

    /// Now.
    pub fn now(&self) -> Millis {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_millis())
            .ok()
            .and_then(Millis::new)
            .unwrap_or_else(|| Millis::new(1).unwrap_or_else(|| unreachable!("1 is positive")))
    }

    /// The user's home: `$HOME`, else what the user database says.
    ///
    /// # Errors
    /// `Failed` when there is neither.
    pub fn home(&self) -> Result<PathBuf> {
        directories::BaseDirs::new()
            .map(|dirs| dirs.home_dir().to_owned())
            .filter(|home| home.is_absolute())
            .ok_or_else(|| {
                Error::failed("this user has no home folder")
                    .hint("name the vault's folder: --vault DIR")
            })
    }

    /// Where the vault lies unless `--vault` or `CLAWKEEP_VAULT` says otherwise.
    ///
    /// # Errors
    /// As [`Host::home`].
    pub fn default_vault_dir(&self) -> Result<PathBuf> {
        self.project().map(|dirs| dirs.data_dir().to_owned())
    }

    /// Where an identity file is made unless a path is given. Not below the vault's folder: one
    /// backup must not hold both.
    ///
    /// # Errors
    /// As [`Host::home`].
    pub fn default_identity_file(&self) -> Result<PathBuf> {
        self.project()
            .map(|dirs| dirs.config_dir().join("identity.txt"))
            .map_err(|_| {
                Error::failed("this user has no home folder")
                    .hint("name the identity file: --identity-file FILE")
            })
    }

    fn project(&self) -> Result<directories::ProjectDirs> {
        self.home()?;
        directories::ProjectDirs::from("", "", "clawkeep").ok_or_else(|| {
            Error::failed("this user has no home folder")
                .hint("name the vault's folder: --vault DIR")
        })
    }

    /// The current folder, for paths typed by a person.
    ///
    /// # Errors
    /// `Failed` when it is gone.
    pub fn absolute(&self, path: &Path) -> Result<PathBuf> {
        std::path::absolute(path).map_err(|error| Error::io("find", path, &error))
    }

    /// The real path of the running program.
    ///
    /// # Errors
    /// `Failed` when the system does not tell.
    pub fn program(&self) -> Result<PathBuf> {
        let path = std::env::current_exe().map_err(|error| {
            Error::failed(format!(
                "cannot tell where this program lies: {}",
                error.kind()
            ))
        })?;
        std::fs::canonicalize(&path).map_err(|error| Error::io("find", &path, &error))
    }

    /// Looks a program up on `PATH`; `None` when it is not there.
    pub fn on_path(&self, name: &str) -> Option<PathBuf> {
        let path = self.var("PATH")?;
        std::env::split_paths(&path)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(name))
            .find(|candidate| is_executable(candidate))
    }
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path)
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}

/// Waits until a child has ended, until `deadline`. `None` when it goes on.
///
/// # Errors
/// What the system says.
pub fn wait_for(child: &mut Child, deadline: Instant) -> std::io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(40));
    }
}

/// Fills `buffer` from the system's random source.
///
/// # Errors
/// `Failed` when the system has none.
pub fn random(buffer: &mut [u8]) -> Result<()> {
    getrandom::fill(buffer).map_err(|_| Error::failed("the system gave no random bytes"))
}

/// Time since the machine was started, its sleep included. Nobody can set it back; it says nothing
/// across a restart. Elsewhere than on Linux it has another beginning: only differences mean something.
pub fn since_boot() -> std::time::Duration {
    #[cfg(unix)]
    {
        use rustix::time::{ClockId, clock_gettime};
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let clock = ClockId::Boottime;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let clock = ClockId::Monotonic;
        let now = clock_gettime(clock);
        std::time::Duration::new(
            u64::try_from(now.tv_sec).unwrap_or(0),
            u32::try_from(now.tv_nsec).unwrap_or(0),
        )
    }
    #[cfg(not(unix))]
    {
        use std::sync::OnceLock;
        use std::time::Instant;
        static BEGINNING: OnceLock<Instant> = OnceLock::new();
        BEGINNING.get_or_init(Instant::now).elapsed()
    }
}

/// Keeps the process from being read by its neighbours: no core dumps, no debugger, no
/// `/proc/<pid>/mem` for other processes of this user. Best effort: a system that refuses is not an
/// error, since nothing depends on it for correctness.
pub fn harden() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = Rlimit {
            current: Some(0),
            maximum: getrlimit(Resource::Core).maximum,
        };
        let _ = setrlimit(Resource::Core, limit);
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// Makes what [`harden`] did about core dumps final, for this process and whatever it starts.
pub fn forbid_core_dumps() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        let _ = setrlimit(Resource::Core, none);
    }
}

/// Memory that this process may use, in bytes: the least of what is free now and what the control
/// groups above us still allow. `None` where the system does not tell (other than Linux).
pub fn memory_available() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let free = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|kb| kb.trim().parse::<u64>().ok())?
        * 1024;
    Some(cgroup_limits().into_iter().fold(free, u64::min))
}

/// The limits of this process's control groups: version 2 (`memory.max`) at every level up to the
/// root, and version 1 (`memory.limit_in_bytes`).
fn cgroup_limits() -> Vec<u64> {
    let Ok(groups) = std::fs::read_to_string("/proc/self/cgroup") else {
        return Vec::new();
    };
    let mut limits = Vec::new();
    let mut take = |path: PathBuf| {
        if let Some(limit) = std::fs::read_to_string(path)
            .ok()
            .and_then(|text| text.trim().parse().ok())
        {
            limits.push(limit);
        }
    };
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|c| c == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let mut dir = PathBuf::from(format!("{root}{path}"));
        while dir.starts_with(root) {
            take(dir.join(file));
            if !dir.pop() {
                break;
            }
        }
        // In a container the group's own folder is often mounted as the root.
        take(PathBuf::from(root).join(file));
    }
    limits
}
