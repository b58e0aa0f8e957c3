//! Environments and arguments of this user's processes, and what service managers give to what they
//! start.
//!
//! Promise: no process is touched, what is read is wiped, and a manager that does not answer is given
//! up.

use super::files::report;
use super::report::{Place, Report, Why};
use super::search::{Hit, Hits, Search, Source};
use super::shape::Shapes;
use super::{Needles, Options};
use crate::error::Result;
use crate::service::system::{Manager, System};
use std::io;
use std::path::PathBuf;
#[cfg(target_os = "linux")]
use {std::path::Path, zeroize::Zeroizing};

/// Searches the processes of this user, and of the managers of `system` the system's and, where its
/// runtime folder is given, the user's own.
///
/// This process is left out: what it inherited stands in the one that started it, and in a moment it is
/// gone.
///
/// # Errors
/// `Failed` when the search cannot be set up. What cannot be read is in the report.
pub fn processes(
    needles: &Needles,
    options: &Options,
    system: &System,
    runtime: Option<PathBuf>,
) -> Result<Report> {
    let mut looking = Looking {
        search: Search::new(needles, Shapes::new(options.vault)?),
        needles,
        report: Report::default(),
    };
    looking.every_process();
    looking.managers(system, runtime);
    let mut report = looking.report;
    report.sort();
    Ok(report)
}

struct Looking<'n> {
    search: Search<'n>,
    needles: &'n Needles,
    report: Report,
}

impl Looking<'_> {
    fn look(&mut self, text: &[u8], place: impl Fn(&Hit) -> Place) {
        let mut hits = Hits::default();
        let mut source = Text {
            rest: text,
            begun: false,
        };
        // Bytes in memory can be read.
        let _ = self.search.run(&mut source, &mut hits, &mut ());
        report(&hits, self.needles, place, &mut self.report);
    }

    /// Every variable by itself, so that its name can be told.
    fn environment(&mut self, text: &[u8], between: u8, place: impl Fn(Option<String>) -> Place) {
        for variable in text.split(|byte| *byte == between) {
            let name = variable.split(|byte| *byte == b'=').next();
            let name = name.filter(|name| name.len() < variable.len());
            let name = name.and_then(variable_name);
            self.look(variable, |_| place(name.clone()));
        }
    }

    fn managers(&mut self, system: &System, runtime: Option<PathBuf>) {
        // Without them there is nothing that they could give to anybody.
        let has_system = system.path("run/systemd/system").is_dir();
        let user = runtime.filter(|runtime| runtime.join("systemd").is_dir());
        let managers = has_system.then_some(Manager::System).into_iter();
        for manager in managers.chain(user.map(Manager::User)) {
            let of_system = manager == Manager::System;
            match system.environment(&manager) {
                Ok(text) => self.environment(&text, b'\n', |variable| Place::Manager {
                    of_system,
                    variable,
                }),
                Err(error) => {
                    let name = if of_system { "system" } else { "user" };
                    let why = Why::Manager(error.message().to_owned());
                    self.report.not_seen(why, PathBuf::from(name));
                }
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn every_process(&mut self) {
        self.processes_in(Path::new("/proc"), std::process::id());
    }

    #[cfg(not(target_os = "linux"))]
    fn every_process(&mut self) {
        self.report.not_seen(Why::Process, PathBuf::from("/proc"));
    }

    #[cfg(target_os = "linux")]
    fn processes_in(&mut self, proc: &Path, own: u32) {
        use std::os::unix::fs::MetadataExt as _;
        let me = rustix::process::geteuid().as_raw();
        let entries = match std::fs::read_dir(proc) {
            Ok(entries) => entries,
            Err(error) => {
                let why = super::report::refused(error);
                return self.report.not_seen(why, proc.to_owned());
            }
        };
        let numbers = entries.flatten().filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse::<u32>().ok()?;
            Some((number, entry.path()))
        });
        let mut numbers: Vec<(u32, PathBuf)> = numbers.collect();
        numbers.sort_unstable();
        for (pid, dir) in numbers {
            let is_mine = std::fs::metadata(&dir).is_ok_and(|meta| meta.uid() == me);
            // One that gives its environment to nobody belongs to root here, but not its status.
            if pid != own && (is_mine || status_says(&dir, me)) {
                self.process(pid, &dir);
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn process(&mut self, pid: u32, dir: &Path) {
        let program = std::fs::read(dir.join("comm")).unwrap_or_default();
        let program = String::from_utf8_lossy(&program).trim_end().to_owned();
        for (file, in_arguments) in [("environ", false), ("cmdline", true)] {
            let text = match read_whole(&dir.join(file)) {
                Ok(Some(text)) => text,
                // It has ended.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return,
                Err(error) if error.raw_os_error() == Some(3) => return,
                Ok(None) | Err(_) => {
                    self.report.not_seen(Why::Process, dir.join(file));
                    continue;
                }
            };
            let place = |variable| Place::Process {
                pid,
                program: program.clone(),
                variable,
                in_arguments,
            };
            if in_arguments {
                self.look(&text, |_| place(None));
            } else {
                self.environment(&text, 0, place);
            }
        }
        self.report.searched.processes += 1;
    }
}

/// Whether the real user of a process is this one, by its status, which everybody may read.
#[cfg(target_os = "linux")]
fn status_says(dir: &Path, me: u32) -> bool {
    let Ok(status) = std::fs::read(dir.join("status")) else {
        return false;
    };
    let status = String::from_utf8_lossy(&status);
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let first = line.and_then(|line| line.split_whitespace().next());
    first.is_some_and(|uid| uid.parse() == Ok(me))
}

/// The most bytes that are read of an environment: 16 MiB, far more than Linux gives room for.
#[cfg(target_os = "linux")]
const MOST: usize = 16 * 1024 * 1024;

/// A file of the kernel's, whose size it does not tell. `None` when it is larger than [`MOST`].
#[cfg(target_os = "linux")]
fn read_whole(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    use std::io::Read as _;
    let mut file = std::fs::File::open(path)?;
    let mut text = Zeroizing::new(Vec::with_capacity(64 * 1024));
    loop {
        let filled = text.len();
        if filled == text.capacity() {
            if filled >= MOST {
                return Ok(None);
            }
            // Into a new block, so that the old one is wiped.
            let mut larger = Zeroizing::new(Vec::with_capacity(filled * 4));
            larger.extend_from_slice(&text);
            text = larger;
        }
        let room = text.capacity();
        text.resize(room, 0);
        let read = file.read(&mut text[filled..])?;
        text.truncate(filled + read);
        if read == 0 {
            return Ok(Some(text));
        }
    }
}

/// The name of a variable, if it is one: other text could be anything.
fn variable_name(name: &[u8]) -> Option<String> {
    let fits = (1..=128).contains(&name.len())
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    fits.then(|| String::from_utf8_lossy(name).into_owned())
}

/// Bytes in memory.
struct Text<'t> {
    rest: &'t [u8],
    begun: bool,
}

impl Source for Text<'_> {
    fn next_run(&mut self) -> io::Result<Option<u64>> {
        Ok((!std::mem::replace(&mut self.begun, true)).then_some(0))
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.rest.len());
        let (now, later) = self.rest.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.rest = later;
        Ok(count)
    }

    fn has_lines(&self) -> bool {
        false
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::What;
    use crate::secret::{Alphabet, Secret};
    use std::os::unix::fs::PermissionsExt as _;

    fn needles() -> Needles {
        let secret = Secret::new(b"FAKE-0123456789", Alphabet::Key).unwrap();
        Needles::new([("a".to_owned(), secret)]).unwrap()
    }

    fn put(path: &Path, text: &[u8], mode: u32) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        crate::file::create(path, text, mode).unwrap();
    }

    #[test]
    fn variables_and_arguments_are_told_apart_and_the_own_process_is_left_out() {
        let needles = needles();
        let dir = tempfile::tempdir().unwrap();
        let proc = dir.path();
        for pid in ["7", "8", "9"] {
            put(&proc.join(pid).join("comm"), b"n\x1bode\n", 0o600);
            let text = b"PATH=/bin\0KEY=FAKE-0123456789\0no\x07name=FAKE-0123456789\0";
            put(&proc.join(pid).join("environ"), text, 0o600);
            let text: &[u8] = if pid == "7" {
                b"node\0--key=FAKE-0123456789\0"
            } else {
                b"sh\0"
            };
            put(&proc.join(pid).join("cmdline"), text, 0o600);
        }
        std::fs::remove_file(proc.join("8/environ")).unwrap();
        let mut looking = Looking {
            search: Search::new(&needles, Shapes::new(None).unwrap()),
            needles: &needles,
            report: Report::default(),
        };
        looking.processes_in(proc, 9);
        let seen = looking
            .report
            .findings
            .iter()
            .map(|finding| match &finding.place {
                Place::Process {
                    pid,
                    variable,
                    in_arguments,
                    ..
                } => (*pid, variable.as_deref(), *in_arguments),
                other => panic!("{other:?}"),
            });
        assert_eq!(
            seen.collect::<Vec<_>>(),
            [(7, Some("KEY"), false), (7, None, false), (7, None, true)]
        );
        assert_eq!(looking.report.searched.processes, 1);
    }

    #[test]
    fn managers_are_asked_where_they_are_and_named_when_they_do_not_answer() {
        let needles = needles();
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let runtime = root.join("run/user/1");
        let report = |says: &str| {
            let _ = std::fs::remove_file(root.join("usr/bin/systemctl"));
            put(
                &root.join("usr/bin/systemctl"),
                format!("#!/bin/sh\n{says}\n").as_bytes(),
                0o700,
            );
            let mode = std::fs::Permissions::from_mode(0o700);
            std::fs::set_permissions(root.join("usr/bin/systemctl"), mode).unwrap();
            let mut looking = Looking {
                search: Search::new(&needles, Shapes::new(None).unwrap()),
                needles: &needles,
                report: Report::default(),
            };
            looking.managers(&System::new(root.to_owned()), Some(runtime.clone()));
            looking.report
        };
        let says = r#"test "$1" = --user && test -n "$XDG_RUNTIME_DIR" && echo KEY=FAKE-0123456789 || echo LANG=C"#;
        assert_eq!(report(says), Report::default(), "no manager is there");
        std::fs::create_dir_all(root.join("run/systemd/system")).unwrap();
        std::fs::create_dir_all(runtime.join("systemd")).unwrap();
        let found = report(says);
        assert_eq!(found.findings.len(), 1);
        assert_eq!(
            found.findings[0].place,
            Place::Manager {
                of_system: false,
                variable: Some("KEY".to_owned())
            }
        );
        assert!(matches!(found.findings[0].what, What::Value { .. }));
        let refused = report("echo no bus >&2; exit 1");
        assert!(refused.is_clean());
        let why = Why::Manager("systemctl show-environment: no bus".to_owned());
        assert_eq!(refused.unseen.len(), 1);
        assert_eq!((&refused.unseen[0].why, refused.unseen[0].count), (&why, 2));
    }
}
