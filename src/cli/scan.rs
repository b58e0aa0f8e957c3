//! `scan`: what is left of stored values, and keys that nobody stored. Ring 4.
//!
//! Promise: shows names, places and forms; never a value. Text that came from outside is escaped.

mod said;

use super::app::App;
use super::args::Scan as Args;
use super::opened::Opened;
use super::ui::Ui;
use crate::error::{Error, Result};
use crate::file;
use crate::openclaw::places::Places;
use crate::scan::{self, Needles, Options, Progress, Report, Roots};
use crate::secret::SecretId;
use crate::store::{Resolve as _, Store as _};
use crate::vault::cache::Cache;
use crate::vault::slot::{Slot, SlotKind};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// What was asked for and found.
struct Scanned {
    roots: Roots,
    too_short: Vec<String>,
    values: usize,
    with_processes: bool,
    report: Report,
}

/// Runs `scan`.
///
/// # Errors
/// `Missing` for a path that is not there, `Locked` when the vault is; a failure without a text when
/// something was found.
pub fn run(app: &App, args: &Args) -> Result<()> {
    let places = Places::find(&app.host)?;
    let mut roots = Roots::usual(&app.host, &places, &app.dir);
    file::absent_is_none(readable(places.state()))?;
    for path in &args.paths {
        let path = app.host.absolute(path)?;
        readable(&path)?;
        roots.add(path);
    }
    let opened = app.open()?;
    let needles = needles(&opened)?;
    let options = Options {
        vault: Some(opened.id()),
        identity_files: identity_files(&opened, &app.dir),
    };
    drop(opened);
    let mut bar = Bar::new(app.ui);
    let mut report = scan::files(&roots.paths, &needles, &options, &mut bar)?;
    bar.end();
    if args.processes {
        report.merge(processes(app, &needles, &options)?);
    }
    let scanned = Scanned {
        roots,
        too_short: needles.too_short().to_vec(),
        values: needles.len(),
        with_processes: args.processes,
        report,
    };
    drop(needles);
    if args.json {
        app.ui.document(&said::document(&scanned))?;
    } else {
        said::text(app.ui, &scanned)?;
    }
    if scanned.report.is_clean() {
        Ok(())
    } else {
        Err(Error::shown())
    }
}

/// Refuses a path that was asked for and cannot be looked at: nothing found there would say nothing.
fn readable(path: &Path) -> Result<()> {
    let refused = |error: std::io::Error| Error::io("search", path, &error);
    let meta = std::fs::metadata(path).map_err(refused)?;
    if meta.is_dir() {
        std::fs::read_dir(path).map(|_| ()).map_err(refused)
    } else if meta.is_file() {
        std::fs::File::open(path).map(|_| ()).map_err(refused)
    } else {
        Err(Error::failed(format!(
            "cannot search {}: it is neither a file nor a folder",
            path.display()
        )))
    }
}

fn needles(opened: &Opened) -> Result<Needles> {
    let mut values = Vec::new();
    for (id, _) in opened.list()? {
        // One that was removed meanwhile has nothing to be looked for.
        if let Some((value, _)) = opened.get(&id)? {
            values.push((name(&id), value));
        }
    }
    Needles::new(values)
}

fn name(id: &SecretId) -> String {
    id.as_str().to_owned()
}

/// Where an identity may lie, by the vault's own word where there is one.
fn identity_files(opened: &Opened, dir: &Path) -> Vec<PathBuf> {
    let slots: Vec<Slot> = match opened {
        Opened::File(vault) => vault.contents().slots.clone(),
        Opened::Keychain(_) | Opened::Keeper(_) => {
            let cache = Cache::load(dir).ok().flatten();
            cache.map(|cache| cache.slots).unwrap_or_default()
        }
    };
    let paths = slots.into_iter().filter_map(|slot| match slot.kind {
        SlotKind::IdentityFile { path, .. } => Some(path),
        SlotKind::Keychain | SlotKind::Passphrase(_) => None,
    });
    paths.collect()
}

fn processes(app: &App, needles: &Needles, options: &Options) -> Result<Report> {
    let system = crate::service::system::System::new(PathBuf::from("/"));
    let runtime = app.host.path_var("XDG_RUNTIME_DIR");
    scan::processes(needles, options, &system, runtime)
}

/// From so many bytes on a scan takes long enough to show how far it is.
const LONG: u64 = 256 * 1024 * 1024;

/// How often a bar is drawn, at the most.
const STEPS: u64 = 200;

/// How far it is, on a terminal.
struct Bar {
    ui: Ui,
    shows: bool,
    total: u64,
    done: u64,
    drawn: Option<u64>,
}

impl Bar {
    fn new(ui: Ui) -> Self {
        Bar {
            ui,
            shows: std::io::stderr().is_terminal(),
            total: 0,
            done: 0,
            drawn: None,
        }
    }

    fn draw(&mut self) {
        if !self.shows || self.total < LONG {
            return;
        }
        let step = u128::from(self.done) * u128::from(STEPS) / u128::from(self.total);
        let step = u64::try_from(step).unwrap_or(STEPS).min(STEPS);
        if self.drawn != Some(step) {
            self.drawn = Some(step);
            self.ui.transient(&said::bar(self.done, self.total));
        }
    }

    fn end(&mut self) {
        if self.drawn.take().is_some() {
            self.ui.transient("");
        }
    }
}

impl Progress for Bar {
    fn wants_total(&self) -> bool {
        self.shows
    }

    fn total(&mut self, bytes: u64) {
        self.total = bytes;
        self.draw();
    }

    fn done(&mut self, bytes: u64) {
        self.done = self.done.saturating_add(bytes);
        self.draw();
    }
}
