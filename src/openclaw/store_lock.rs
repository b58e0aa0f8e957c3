//! OpenClaw's own lock around its credential files. Ring 2': knows the lock, not what it guards.
//!
//! Source: the shipped code of OpenClaw.
//! - 2026.6.1, `src/infra/stale-lock-file.ts`, `src/plugin-sdk/file-lock.ts` and `@openclaw/fs-safe`'s
//!   `sidecar-lock`: a regular file `<real folder>/auth-profiles.json.lock`, made exclusively, that
//!   holds `{"pid":N,"createdAt":"<ISO 8601>","starttime":N}` (`starttime`, field 22 of
//!   `/proc/<pid>/stat`, on Linux only). It is stale when the process is dead, a zombie, or has
//!   another start time; `createdAt` counts only without a pid. It is removed only if unchanged.
//! - 2026.2.26: the same file without `starttime`; stale too when `createdAt` or the file itself is
//!   older than 30 s.
//! - 2026.2.6: a folder of that name; stale when its time is more than 30 s ago.
//!
//! One lock guards both files: 2026.6.1's `updateAuthProfileStoreWithLock` takes the one of
//! auth-profiles.json and writes auth-state.json under it. Some of its writers (`upsertAuthProfile`)
//! take none at all; against those nobody can be guarded.
//!
//! Promises: a live lock is never broken; one that we hold is whole from its first instant, so that
//! a kill leaves none that 2026.6.1 would take for held for ever; it goes when the value goes.

use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::file;
use crate::host::{self, Host};
use serde_json::Value;
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

/// The name of the lock in an agent's folder.
pub const LOCK_NAME: &str = "auth-profiles.json.lock";

/// How long a writer waits for the lock before it says who holds it.
pub const WAIT: Duration = Duration::from_secs(10);

/// The age in milliseconds at which a lock without a living, known owner is nobody's.
pub const STALE_MS: i64 = 30_000;

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// More than any payload of OpenClaw has.
const MAX_PAYLOAD: u64 = 4096;

/// The right to write OpenClaw's credential files in one folder. Hold it for well under 30 s: older
/// versions of OpenClaw break it then.
#[derive(Debug)]
pub struct StoreLock {
    path: PathBuf,
    mine: Found,
}

impl StoreLock {
    /// Takes the lock of the folder `dir`, which must exist, waiting at most [`WAIT`].
    ///
    /// # Errors
    /// `Failed` when another process still holds it then; `Broken` when something that is no lock
    /// lies in its place.
    pub fn take(dir: &Path, host: &Host) -> Result<Self> {
        Self::take_with(dir, &mut RealTime(host))
    }

    fn take_with(dir: &Path, time: &mut impl Time) -> Result<Self> {
        let dir = std::fs::canonicalize(dir).map_err(|error| Error::io("open", dir, &error))?;
        let path = dir.join(LOCK_NAME);
        let mut waited = Duration::ZERO;
        let mut pause = FIRST_PAUSE;
        loop {
            let found = Found::at(&path)?;
            match &found {
                None => {
                    if let Some(mine) = claim(&path, time.now())? {
                        return Ok(StoreLock { path, mine });
                    }
                }
                Some(lock)
                    if lock.is_stale(time.now()) && remove_if_unchanged(&dir, &path, lock) =>
                {
                    continue;
                }
                // What this process could not take away does not free itself by waiting.
                Some(lock) if is_left(lock) => {
                    std::fs::remove_file(&path)
                        .map_err(|error| Error::io("remove the lock", &path, &error))?;
                    continue;
                }
                Some(_) => {}
            }
            if waited >= WAIT {
                return Err(held(&path, found.as_ref()));
            }
            time.pause(pause);
            waited += pause;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        // Whoever took it for stale and replaced it owns what is there now.
        let is_mine = matches!(Found::at(&self.path), Ok(Some(now)) if now == self.mine);
        if is_mine
            && std::fs::remove_file(&self.path).is_err()
            && let Ok(mut left) = LEFT.lock()
        {
            left.push(self.mine.clone());
        }
    }
}

/// Locks of this process that could not be removed when they were no longer held.
static LEFT: Mutex<Vec<Found>> = Mutex::new(Vec::new());

fn is_left(lock: &Found) -> bool {
    LEFT.lock().is_ok_and(|left| left.contains(lock))
}

/// The clock, and waiting by it.
trait Time {
    fn now(&self) -> Millis;
    fn pause(&mut self, pause: Duration);
}

struct RealTime<'a>(&'a Host);

impl Time for RealTime<'_> {
    fn now(&self) -> Millis {
        self.0.now()
    }

    fn pause(&mut self, pause: Duration) {
        // Many who began to wait together must not come back together: 0.75 to 1.25 of the time.
        let mut byte = [128];
        let _ = host::random(&mut byte);
        std::thread::sleep(pause.mul_f64(0.75 + f64::from(byte[0]) / 510.0));
    }
}

/// A lock as it lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    /// What is in it; `None` for the folder of the seed era.
    payload: Option<Vec<u8>>,
    /// Device and inode: a lock that was replaced by one with the same payload is another lock.
    identity: (u64, u64),
    /// When it was last written, in milliseconds since 1970.
    modified: i64,
}

impl Found {
    fn at(path: &Path) -> Result<Option<Self>> {
        let fail = |error: &std::io::Error| Error::io("read the lock", path, error);
        let meta = match std::fs::symlink_metadata(path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(&error)),
        };
        if meta.is_dir() {
            return Ok(Some(Self::new(&meta, None)));
        }
        if !meta.is_file() {
            return Err(no_lock(path));
        }
        // A pipe or link put there since we looked must not hang or mislead us.
        let file = match file::careful().read(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(&error)),
        };
        let meta = file.metadata().map_err(|error| fail(&error))?;
        if !meta.is_file() {
            return Err(no_lock(path));
        }
        let mut payload = Vec::new();
        file.take(MAX_PAYLOAD)
            .read_to_end(&mut payload)
            .map_err(|error| fail(&error))?;
        Ok(Some(Self::new(&meta, Some(payload))))
    }

    fn new(meta: &Metadata, payload: Option<Vec<u8>>) -> Self {
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt;
            (meta.dev(), meta.ino())
        };
        #[cfg(not(unix))]
        let identity = (0, 0);
        let modified = meta
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .and_then(|since| i64::try_from(since.as_millis()).ok())
            .unwrap_or(0);
        Found {
            payload,
            identity,
            modified,
        }
    }

    fn owner(&self) -> Owner {
        self.payload.as_deref().map(Owner::read).unwrap_or_default()
    }

    fn is_stale(&self, now: Millis) -> bool {
        let owner = self.owner();
        match owner.pid.map_or(Life::Unknown, life) {
            Life::Dead => return true,
            Life::Alive => {
                let current = owner.pid.and_then(start_time);
                if let (Some(written), Some(current)) = (owner.start, current) {
                    // The same process, however long it takes; or another that got its number.
                    return written != current;
                }
            }
            Life::Unknown => {}
        }
        let oldest = owner.created.unwrap_or(self.modified).min(self.modified);
        now.get().saturating_sub(oldest) > STALE_MS
    }
}

/// What a payload says of the process that made it. Whatever is not as OpenClaw writes it is `None`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Owner {
    pid: Option<i32>,
    start: Option<u64>,
    created: Option<i64>,
}

impl Owner {
    fn read(payload: &[u8]) -> Self {
        let Ok(Value::Object(fields)) = serde_json::from_slice(payload) else {
            return Owner::default();
        };
        Owner {
            pid: fields
                .get("pid")
                .and_then(Value::as_i64)
                .and_then(|pid| i32::try_from(pid).ok())
                .filter(|pid| *pid > 0),
            start: fields.get("starttime").and_then(Value::as_u64),
            created: fields
                .get("createdAt")
                .and_then(Value::as_str)
                .and_then(|text| text.parse::<jiff::Timestamp>().ok())
                .map(jiff::Timestamp::as_millisecond),
        }
    }
}

/// Our payload, laid out as OpenClaw's.
fn payload(now: Millis) -> String {
    let pid = std::process::id();
    let created = jiff::Timestamp::from_millisecond(now.get())
        .unwrap_or_default()
        .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        .to_string();
    let start = i32::try_from(pid)
        .ok()
        .and_then(start_time)
        .map(|ticks| format!(",\n  \"starttime\": {ticks}"))
        .unwrap_or_default();
    format!("{{\n  \"pid\": {pid},\n  \"createdAt\": \"{created}\"{start}\n}}\n")
}

/// Makes the lock. `None` when somebody was quicker, or took ours for stale at once.
fn claim(path: &Path, now: Millis) -> Result<Option<Found>> {
    let payload = payload(now);
    if !file::claim(path, payload.as_bytes())? {
        return Ok(None);
    }
    let found = Found::at(path)?;
    Ok(found.filter(|found| found.payload.as_deref() == Some(payload.as_bytes())))
}

/// Removes a stale lock. `false` when it is not the one that was judged, or somebody else is at it.
///
/// Between looking and removing there is an instant in which the lock can become somebody's; among
/// ourselves the folder's own kernel lock closes it.
fn remove_if_unchanged(dir: &Path, path: &Path, judged: &Found) -> bool {
    let alone = File::open(dir);
    if let Ok(alone) = &alone
        && matches!(alone.try_lock(), Err(std::fs::TryLockError::WouldBlock))
    {
        return false;
    }
    if !matches!(Found::at(path), Ok(Some(now)) if now == *judged) {
        return false;
    }
    if judged.payload.is_none() {
        std::fs::remove_dir(path).is_ok()
    } else {
        std::fs::remove_file(path).is_ok()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(unix), allow(dead_code, reason = "elsewhere it is never known"))]
enum Life {
    Alive,
    Dead,
    Unknown,
}

#[cfg(unix)]
fn life(pid: i32) -> Life {
    let Some(id) = rustix::process::Pid::from_raw(pid) else {
        return Life::Unknown;
    };
    match rustix::process::test_kill_process(id) {
        Err(rustix::io::Errno::SRCH) => Life::Dead,
        _ if is_zombie(pid) => Life::Dead,
        _ => Life::Alive,
    }
}

#[cfg(not(unix))]
fn life(_: i32) -> Life {
    Life::Unknown
}

#[cfg(unix)]
fn is_zombie(pid: i32) -> bool {
    stat_field(pid, 0).is_some_and(|state| state == "Z")
}

/// When a process began, in clock ticks since the system did; Linux only.
fn start_time(pid: i32) -> Option<u64> {
    stat_field(pid, 19)?.parse().ok()
}

/// A field of `/proc/<pid>/stat`, counted from the state (field 3 of the manual page). The name
/// before it may hold anything, brackets too: the last one ends it.
fn stat_field(pid: i32, at: usize) -> Option<String> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&stat);
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(at).map(str::to_owned)
}

fn no_lock(path: &Path) -> Error {
    Error::broken(format!("{} is no lock of OpenClaw", path.display()))
        .hint(format!("ls -l {}", crate::error::typed(path)))
}

fn held(path: &Path, found: Option<&Found>) -> Error {
    let seconds = WAIT.as_secs();
    match found.and_then(|found| found.owner().pid) {
        Some(pid) => Error::failed(format!(
            "process {pid} has held OpenClaw's lock {} for {seconds} seconds; nothing was changed",
            path.display()
        ))
        .hint(format!("see what it is: ps -p {pid}")),
        None => Error::failed(format!(
            "OpenClaw's lock {} has been held for {seconds} seconds; nothing was changed",
            path.display()
        ))
        .hint(format!(
            "see how old it is: ls -ld {}",
            crate::error::typed(path)
        )),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
