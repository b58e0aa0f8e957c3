//! Which processes a unit of the system's manager has, since when, and which start of it this is. Ring
//! 2; reads `/proc`, `/sys/fs/cgroup` and `/run/systemd/units`, and believes there only what root wrote.
//!
//! Where a unit's control group lies is not searched by name: a user's own manager has groups of any
//! name below `user@UID.service`. PID 1 puts itself into `init.scope` at the top of its tree, so what
//! stands before that in `/proc/1/cgroup` is the top (empty but in some containers), and the unit is at
//! exactly `<top>/<slices>/<unit>`. This is how the manager itself finds its top. Groups below the
//! unit belong to it. Only root can put a process there, for as long as the group is root's: one that
//! was delegated to the unit's user is refused.
//!
//! Both versions of control groups are read. With version 1 the manager keeps its tree in the hierarchy
//! `name=systemd`, with version 2 in the only one, in the hybrid mode in both: a process must be in the
//! unit in each hierarchy in which PID 1 is in its `init.scope`.
//!
//! Promise: every read is bounded; what cannot be read is [`Unknown`] and never taken for "no".

use super::reason::RoundId;
use crate::error::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most processes that a unit may have for its oldest to be found.
const MAX_PROCESSES: usize = 8192;
/// The most groups below a unit that are looked at.
const MAX_GROUPS: usize = 64;
/// Lines of `/proc/PID/cgroup`: at most some 20, each with a path of at most 4 KiB.
const MAX_CGROUP: u64 = 128 * 1024;
const MAX_STAT: u64 = 4096;
const MAX_PROCS: u64 = 12 * MAX_PROCESSES as u64;

/// A moment in the unit of start times in `/proc`: ticks since the machine was started, its sleep
/// included; 100 to the second nearly everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub u64);

impl Tick {
    /// Ticks in one second.
    pub fn per_second() -> u64 {
        rustix::param::clock_ticks_per_second().max(1)
    }

    /// Now.
    pub fn now() -> Self {
        Self::at(crate::host::since_boot(), Self::per_second())
    }

    /// The tick that `since_boot` falls into: rounded down, as the kernel does it.
    fn at(since_boot: Duration, per_second: u64) -> Self {
        let ticks = since_boot.as_nanos().saturating_mul(u128::from(per_second)) / 1_000_000_000;
        Tick(u64::try_from(ticks).unwrap_or(u64::MAX))
    }

    /// How long from now until this tick has passed; zero when it has.
    pub fn left(self) -> Duration {
        Self::left_at(self, crate::host::since_boot(), Self::per_second())
    }

    fn left_at(self, since_boot: Duration, per_second: u64) -> Duration {
        let end = (u128::from(self.0) + 1) * 1_000_000_000;
        let end = end.div_ceil(u128::from(per_second));
        let left = end.saturating_sub(since_boot.as_nanos());
        Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX))
    }
}

/// A system unit, and the slice that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    name: String,
    /// The folders of its slice, outermost first.
    slices: Vec<String>,
}

impl Unit {
    /// The service `name`, in `slice`, or without one in that which the manager puts it in:
    /// `system.slice`, and for `a@b.service` in `system-a.slice` below it.
    ///
    /// # Errors
    /// `Usage`, without repeating it, when a name is none of a service or slice.
    pub fn new(name: &str, slice: Option<&str>) -> Result<Self> {
        let stem = name
            .strip_suffix(".service")
            .filter(|stem| is_name(stem) && name.len() <= 255)
            .filter(|stem| !stem.ends_with('@') && !stem.starts_with('@'))
            .ok_or_else(|| {
                Error::usage("the name of a system unit ends in .service and has letters, digits and : - _ . \\ @ only")
            })?;
        let slice = match (slice, stem.split_once('@')) {
            (Some(slice), _) => slice.to_owned(),
            (None, None) => "system.slice".to_owned(),
            // The manager's escape: a dash would make one more slice.
            (None, Some((prefix, _))) => format!("system-{}.slice", prefix.replace('-', "\\x2d")),
        };
        Ok(Unit {
            name: name.to_owned(),
            slices: slices(&slice)
                .ok_or_else(|| Error::usage("the name of a slice is like a.slice or a-b.slice"))?,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The characters of unit names, `systemd.unit(5)`.
fn is_name(stem: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    !stem.is_empty() && stem.bytes().all(allowed)
}

/// `a-b.slice` lies in `a.slice`; `-.slice` is the top.
fn slices(name: &str) -> Option<Vec<String>> {
    let stem = name.strip_suffix(".slice")?;
    if stem == "-" {
        return Some(Vec::new());
    }
    if !is_name(stem) || stem.contains('@') || name.len() > 255 {
        return None;
    }
    if stem.split('-').any(str::is_empty) {
        return None;
    }
    let ends = stem.match_indices('-').map(|(at, _)| at);
    Some(
        ends.chain([stem.len()])
            .map(|end| format!("{}.slice", &stem[..end]))
            .collect(),
    )
}

/// The parts of the machine that tell of units. Other roots than `/` are for tests.
#[derive(Debug, Clone)]
pub struct System {
    /// `/proc`
    pub proc: PathBuf,
    /// `/sys`
    pub sys: PathBuf,
    /// `/run`
    pub run: PathBuf,
    /// The user whose word counts: 0.
    pub root: u32,
}

/// Something that should be told cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown;

/// A tree of control groups that the manager keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hierarchy {
    /// Version 1, `name=systemd`.
    Named,
    /// Version 2.
    Unified,
}

/// Where a process of the unit is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// The unit's own group in each hierarchy of the manager: its path, and the length of the top.
    groups: Vec<(Hierarchy, Vec<String>, usize)>,
}

impl Default for System {
    fn default() -> Self {
        System {
            proc: "/proc".into(),
            sys: "/sys".into(),
            run: "/run".into(),
            root: 0,
        }
    }
}

impl System {
    /// Which start of the unit this is; `None` when it does not run. The manager notes it as the target
    /// of a link.
    ///
    /// # Errors
    /// [`Unknown`] when the link cannot be read, is not root's own, or names nothing that can be.
    pub fn round(&self, unit: &Unit) -> std::result::Result<Option<RoundId>, Unknown> {
        let folder = self.run.join("systemd/units");
        for dir in [&self.run, &self.run.join("systemd"), &folder] {
            let meta = std::fs::symlink_metadata(dir).map_err(|_| Unknown)?;
            if !meta.is_dir() || !self.is_roots(&meta) {
                return Err(Unknown);
            }
        }
        let link = folder.join(format!("invocation:{}", unit.name));
        let meta = match std::fs::symlink_metadata(&link) {
            Ok(meta) => meta,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(_) => return Err(Unknown),
        };
        // A link's own mode is always 0777.
        if !meta.is_symlink() || meta.uid() != self.root {
            return Err(Unknown);
        }
        let target = std::fs::read_link(&link).map_err(|_| Unknown)?;
        let round = target.to_str().and_then(RoundId::parse);
        round.map(Some).ok_or(Unknown)
    }

    /// Whether the process `pid` is in the unit; `None` when it is elsewhere, or gone.
    ///
    /// # Errors
    /// [`Unknown`] when it cannot be told where units are.
    pub fn place(&self, pid: u32, unit: &Unit) -> std::result::Result<Option<Inside>, Unknown> {
        // Also says that processes of other users can be seen here.
        let manager = self.cgroups(1).ok_or(Unknown)?;
        let tops: Vec<(Hierarchy, Vec<String>)> = [Hierarchy::Named, Hierarchy::Unified]
            .into_iter()
            .filter_map(|hierarchy| {
                let mut path = path_in(&manager, hierarchy)?;
                (path.pop()? == "init.scope").then_some((hierarchy, path))
            })
            .collect();
        if tops.is_empty() {
            return Err(Unknown);
        }
        let Some(own) = self.cgroups(pid) else {
            return Ok(None);
        };
        let mut groups = Vec::new();
        for (hierarchy, top) in tops {
            let Some(mut path) = path_in(&own, hierarchy) else {
                return Ok(None);
            };
            let Some((above, below)) = path.split_at_checked(top.len()) else {
                return Ok(None);
            };
            let expected = [&unit.slices[..], std::slice::from_ref(&unit.name)].concat();
            let names = below.iter().map(|name| unescaped(name));
            if above != top
                || below.len() < expected.len()
                || !names.zip(&expected).all(|(is, should)| is == should)
            {
                return Ok(None);
            }
            path.truncate(top.len() + expected.len());
            groups.push((hierarchy, path, top.len()));
        }
        Ok(Some(Inside { groups }))
    }

    /// When the process `pid` was started; `None` when it is gone.
    pub fn started(&self, pid: u32) -> Option<Tick> {
        let bytes = read(&self.proc.join(pid.to_string()).join("stat"), MAX_STAT)?;
        start_in(&bytes, pid)
    }

    /// When the oldest process of the unit was started, in which `pid` is known to be.
    ///
    /// # Errors
    /// [`Unknown`] when not all its processes can be listed (where `/sys/fs/cgroup` cannot be read,
    /// nothing else that an asker cannot influence tells them), when `pid` is not among them, or when
    /// the group belongs to another than root.
    pub fn oldest(&self, inside: &Inside, pid: u32) -> std::result::Result<Tick, Unknown> {
        let mut listed = Vec::new();
        for (hierarchy, path, top) in &inside.groups {
            let mounts: &[&str] = match hierarchy {
                Hierarchy::Named => &["fs/cgroup/systemd"],
                Hierarchy::Unified => &["fs/cgroup/unified", "fs/cgroup"],
            };
            // In some containers the path begins above what is mounted.
            let found = mounts
                .iter()
                .flat_map(|mount| [(mount, &path[..]), (mount, &path[*top..])])
                .map(|(mount, path)| {
                    let mut dir = self.sys.join(mount);
                    dir.extend(path);
                    dir
                })
                .find(|dir| std::fs::symlink_metadata(dir).is_ok())
                .ok_or(Unknown)?;
            let (mut processes, mut left) = (Vec::new(), MAX_GROUPS);
            self.list(&found, &mut left, &mut processes)?;
            if !processes.contains(&pid) {
                return Err(Unknown);
            }
            listed.extend(processes);
        }
        // One that has ended meanwhile has no start any more.
        let oldest = listed.into_iter().filter_map(|pid| self.started(pid)).min();
        oldest.ok_or(Unknown)
    }

    /// The processes of a group and of those below it.
    fn list(
        &self,
        dir: &Path,
        groups: &mut usize,
        processes: &mut Vec<u32>,
    ) -> std::result::Result<(), Unknown> {
        *groups = groups.checked_sub(1).ok_or(Unknown)?;
        let procs = dir.join("cgroup.procs");
        for path in [dir, &procs] {
            let meta = std::fs::symlink_metadata(path).map_err(|_| Unknown)?;
            if meta.is_symlink() || !self.is_roots(&meta) {
                return Err(Unknown);
            }
        }
        let bytes = read(&procs, MAX_PROCS).ok_or(Unknown)?;
        processes.extend(processes_in(&bytes)?);
        if processes.len() > MAX_PROCESSES {
            return Err(Unknown);
        }
        for entry in std::fs::read_dir(dir).map_err(|_| Unknown)? {
            let entry = entry.map_err(|_| Unknown)?;
            if entry.file_type().map_err(|_| Unknown)?.is_dir() {
                self.list(&entry.path(), groups, processes)?;
            }
        }
        Ok(())
    }

    fn is_roots(&self, meta: &std::fs::Metadata) -> bool {
        meta.uid() == self.root && meta.mode() & 0o022 == 0
    }

    fn cgroups(&self, pid: u32) -> Option<Vec<u8>> {
        read(&self.proc.join(pid.to_string()).join("cgroup"), MAX_CGROUP)
    }
}

/// All of a small file; `None` when it cannot be read or is larger.
fn read(path: &Path, max: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(max + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= max).then_some(bytes)
}

/// The folders of a process's group in a hierarchy, out of `/proc/PID/cgroup`: lines
/// `ID:CONTROLLERS:PATH`, `cgroups(7)`. `None` when it has none there, has two, its group is deleted, or
/// lies outside of what this process can see (`/../x`).
fn path_in(cgroups: &[u8], hierarchy: Hierarchy) -> Option<Vec<String>> {
    let mut found = None;
    for line in cgroups.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(3, |byte| *byte == b':');
        let (Some(id), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let is_it = match hierarchy {
            Hierarchy::Named => controllers == b"name=systemd",
            Hierarchy::Unified => id == b"0" && controllers.is_empty(),
        };
        if is_it && found.replace(path).is_some() {
            return None;
        }
    }
    let path = std::str::from_utf8(found?).ok()?.strip_prefix('/')?;
    if path.ends_with(" (deleted)") {
        return None;
    }
    if path.is_empty() {
        return Some(Vec::new());
    }
    path.split('/')
        .map(|part| (!matches!(part, "" | "." | "..")).then(|| part.to_owned()))
        .collect()
}

/// The manager puts `_` before a name that could be taken for a file of the group's own, and before
/// every name that begins with `_`: without it the name is the unit's.
fn unescaped(name: &str) -> &str {
    name.strip_prefix('_').unwrap_or(name)
}

/// Field 22 of `/proc/PID/stat`, `proc(5)`. The name of the program stands before it in round brackets
/// and may hold anything, brackets and blanks too; nothing after it can.
fn start_in(stat: &[u8], pid: u32) -> Option<Tick> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let (head, tail) = stat.split_at(name_end);
    let said = head.split(|byte| *byte == b' ').next()?;
    if said != pid.to_string().as_bytes() {
        return None;
    }
    let tail = std::str::from_utf8(tail.get(2..)?).ok()?;
    // The first field after the name is the third.
    number(tail.split(' ').nth(22 - 3)?).map(Tick)
}

/// The lines of `cgroup.procs`. A process that this one cannot see is listed as 0.
fn processes_in(bytes: &[u8]) -> std::result::Result<Vec<u32>, Unknown> {
    let text = std::str::from_utf8(bytes).map_err(|_| Unknown)?;
    text.lines()
        .map(|line| number(line).and_then(|pid| u32::try_from(pid).ok()))
        .map(|pid| pid.filter(|pid| *pid > 0).ok_or(Unknown))
        .collect()
}

/// Digits alone: `parse` takes a sign too.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
#[path = "tests_machine.rs"]
pub(crate) mod fake;

#[cfg(test)]
#[path = "unit_tests.rs"]
mod tests;
