//! Files one after another, through one set of buffers.

use super::report::{Finding, Masked, Place, Report, What, Why, refused};
use super::search::{Hit, Hits, Search, Source};
use super::shape::{Key, Shapes};
use super::sqlite;
use super::walk::{self, Found, Visitor};
use super::{Needles, Options, Progress, look};
use crate::error::Result;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Searches every file at and below the roots. Paths that name one file in two ways are searched twice.
/// A root that is not there is passed over; one that is a link is named as not seen.
///
/// # Errors
/// `Failed` when the search cannot be set up. What cannot be read is in the report.
pub fn files(
    roots: &[PathBuf],
    needles: &Needles,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Report> {
    let roots: BTreeSet<PathBuf> = roots.iter().cloned().collect();
    if progress.wants_total() {
        let mut size = Size(0);
        for root in &roots {
            walk::walk(root, &roots, &mut size);
        }
        progress.total(size.0);
    }
    let real = |path: &PathBuf| std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    let mut files = Files {
        search: Search::new(needles, Shapes::new(options.vault)?),
        needles,
        homes_of_identities: options.identity_files.iter().map(real).collect(),
        progress,
        report: Report::default(),
    };
    for root in &roots {
        walk::walk(root, &roots, &mut files);
    }
    let mut report = files.report;
    report.sort();
    Ok(report)
}

/// The size of everything.
struct Size(u64);

impl Visitor for Size {
    fn file(&mut self, found: &Found) {
        self.0 = self.0.saturating_add(found.size);
    }
    fn unseen(&mut self, _: Why, _: PathBuf) {}
}

struct Files<'n> {
    search: Search<'n>,
    needles: &'n Needles,
    homes_of_identities: BTreeSet<PathBuf>,
    progress: &'n mut dyn Progress,
    report: Report,
}

impl Visitor for Files<'_> {
    fn file(&mut self, found: &Found) {
        match found.open() {
            Ok(Some(file)) => self.one(found, &file),
            // Gone is not left out: it is not there.
            Ok(None) if found.is_gone() => {}
            Ok(None) => self.unseen(Why::Changed, found.path.clone()),
            Err(error) => self.unseen(refused(error), found.path.clone()),
        }
    }

    fn unseen(&mut self, why: Why, path: PathBuf) {
        self.report.not_seen(why, path);
    }

    #[cfg(unix)]
    fn root(&mut self, path: &Path, handle: &std::os::fd::OwnedFd) -> bool {
        match look::file_system(handle) {
            look::Kind::Files => true,
            look::Kind::Snapshots(name) => {
                self.unseen(Why::Snapshots(name), path.to_owned());
                true
            }
            look::Kind::NoFiles => {
                self.unseen(Why::Special, path.to_owned());
                false
            }
        }
    }
}

impl Files<'_> {
    fn one(&mut self, found: &Found, file: &File) {
        let path = &found.path;
        let mut head = [0; 32];
        let known = read_at(file, &mut head, 0).unwrap_or(0);
        let head = &head[..known];
        if look::is_editors(path) {
            self.unseen(Why::Editor, path.clone());
        }
        if look::is_compressed(head) {
            self.unseen(Why::Compressed, path.clone());
        }
        let mut hits = Hits::default();
        match FileSource::new(file) {
            Ok(mut source) => {
                self.report.searched.files += 1;
                match self.search.run(&mut source, &mut hits, self.progress) {
                    Ok(bytes) => self.report.searched.bytes += bytes,
                    Err(error) => self.unseen(refused(error), path.clone()),
                }
            }
            Err(error) => self.unseen(refused(error), path.clone()),
        }
        self.take(path, hits);
        self.databases(found, file, head);
    }

    /// What SQLite split over pages: of a database and its log together, and of a log alone.
    fn databases(&mut self, found: &Found, file: &File, head: &[u8]) {
        let wal_name = "-wal";
        let mut parts = Vec::new();
        if sqlite::is_database(head) {
            parts.push((found.path.clone(), file.try_clone()));
            if let Some((path, wal)) = found.beside(wal_name) {
                parts.push((path, Ok(wal)));
            }
        } else if sqlite::is_log(head) {
            let name = found.path.file_name().and_then(|name| name.to_str());
            let database = name.and_then(|name| name.strip_suffix(wal_name));
            let has_database =
                database.is_some_and(|database| found.has_beside(std::ffi::OsStr::new(database)));
            if !has_database {
                parts.push((found.path.clone(), file.try_clone()));
            }
        }
        let mut files = Vec::new();
        for (path, file) in parts {
            match file {
                Ok(file) => files.push((path, file)),
                Err(error) => self.unseen(refused(error), path),
            }
        }
        if files.is_empty() {
            return;
        }
        let mut seams = sqlite::Seams::new(files);
        let ended = seams.search(&mut self.search);
        for (path, hits) in seams.into_hits() {
            self.take(&path, hits);
        }
        match ended {
            Ok(true) => {}
            Ok(false) => self.unseen(Why::Tangled, found.path.clone()),
            Err(error) => self.unseen(refused(error), found.path.clone()),
        }
    }

    fn take(&mut self, path: &Path, mut hits: Hits) {
        if hits.is_empty() {
            return;
        }
        if self.homes_of_identities.contains(path) {
            hits.keys
                .retain(|key, _| !matches!(key, Key::Identity { .. }));
        }
        let place = |hit: &Hit| Place::File {
            path: path.to_owned(),
            offset: hit.offset,
            line: hit.line,
        };
        report(&hits, self.needles, place, &mut self.report);
    }
}

/// Puts what one source holds into the report.
pub(super) fn report(
    hits: &Hits,
    needles: &Needles,
    place: impl Fn(&Hit) -> Place,
    report: &mut Report,
) {
    let mut add = |hit: &Hit, what: What| {
        report.findings.push(Finding {
            place: place(hit),
            what,
            count: hit.count,
        });
    };
    for ((value, form), hit) in &hits.values {
        let names = needles.names(*value).to_vec();
        add(hit, What::Value { names, form: *form });
    }
    for (key, hit) in &hits.keys {
        add(hit, what_of(key));
    }
    for ((value, shown), hit) in &hits.masks {
        report.masked.push(Masked {
            place: place(hit),
            names: needles.names(*value).to_vec(),
            shown: *shown,
            length: needles.length(*value),
            count: hit.count,
        });
    }
}

fn what_of(key: &Key) -> What {
    match key {
        Key::Identity { of_this_vault } => What::Identity {
            of_this_vault: *of_this_vault,
        },
        Key::Provider {
            provider,
            length,
            starts,
        } => What::UnknownKey {
            provider: *provider,
            length: *length,
            starts,
        },
    }
}

/// Reads at a place of a file; fewer bytes at its end.
pub(super) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> std::io::Result<usize> {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileExt::read_at(file, buffer, at)
    }
    #[cfg(not(unix))]
    {
        use std::io::{Read as _, Seek as _, SeekFrom};
        let mut file = file;
        file.seek(SeekFrom::Start(at))?;
        file.read(buffer)
    }
}

/// A file as it was when it was opened: what is appended meanwhile is not waited for.
struct FileSource<'f> {
    file: &'f File,
    at: u64,
    /// Where this run of data ends.
    run_end: u64,
    end: u64,
    sparse: bool,
}

/// From this size on, a file is asked for its holes: one of many TiB can be made in an instant.
#[cfg(unix)]
const SPARSE_FROM: u64 = 64 * 1024 * 1024;

impl<'f> FileSource<'f> {
    fn new(file: &'f File) -> std::io::Result<Self> {
        let meta = file.metadata()?;
        Ok(FileSource {
            file,
            at: 0,
            run_end: 0,
            end: meta.len(),
            sparse: is_sparse(&meta),
        })
    }
}

#[cfg(unix)]
fn is_sparse(meta: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    meta.len() >= SPARSE_FROM && meta.blocks().saturating_mul(512) < meta.len() / 2
}

#[cfg(not(unix))]
fn is_sparse(_: &std::fs::Metadata) -> bool {
    false
}

impl Source for FileSource<'_> {
    fn next_run(&mut self) -> std::io::Result<Option<u64>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let run = if self.sparse {
            next_data(self.file, self.at)?
        } else {
            Some((self.at, self.end))
        };
        let Some((start, end)) = run.filter(|(start, _)| *start < self.end) else {
            return Ok(None);
        };
        self.at = start;
        self.run_end = end.min(self.end);
        Ok(Some(start))
    }

    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.run_end - self.at).unwrap_or(usize::MAX);
        let most = left.min(buffer.len());
        let read = read_at(self.file, &mut buffer[..most], self.at)?;
        if read == 0 && most > 0 {
            // It was cut short meanwhile.
            self.end = self.at;
            self.run_end = self.at;
        }
        self.at += read as u64;
        Ok(read)
    }
}

/// Where the next bytes lie that are more than a hole. A file system that cannot tell has none.
#[cfg(target_os = "linux")]
fn next_data(file: &File, at: u64) -> std::io::Result<Option<(u64, u64)>> {
    use rustix::fs::{SeekFrom, seek};
    use rustix::io::Errno;
    match seek(file, SeekFrom::Data(at)) {
        Ok(start) => {
            let end = seek(file, SeekFrom::Hole(start))?;
            Ok(Some((start, end.max(start + 1))))
        }
        Err(Errno::NXIO) => Ok(None),
        Err(Errno::INVAL) => Ok(Some((at, u64::MAX))),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere the system can refuse")]
fn next_data(_: &File, at: u64) -> std::io::Result<Option<(u64, u64)>> {
    Ok(Some((at, u64::MAX)))
}
