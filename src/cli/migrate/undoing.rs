//! What a migration keeps so that it can be taken back: the bundle, saved before the first change and
//! after the last. Ring 4.
//!
//! Promise: a bundle some of whose files have an unknown state is of a migration that was cut off; the
//! next one goes on with it, so that undoing gives back what was there before the first.

use super::bind::Bound;
use super::listing::Listed;
use super::rows;
use crate::cli::app::App;
use crate::cli::args::Migrate;
use crate::cli::opened::Opened;
use crate::cli::undo::{self, Wish};
use crate::error::Result;
use crate::file;
use crate::migrate::item::{At, Item, What};
use crate::migrate::plan::{Plan, Row};
use crate::migrate::read::MAX;
use crate::migrate::source::Form;
use crate::openclaw::config::Config;
use crate::openclaw::link::Held;
use crate::openclaw::plaintext::Document;
use crate::openclaw::reference::SecretRef;
use crate::openclaw::version::{Lane, OrderHome};
use crate::provider::AgentId;
use crate::vault::undo::{After, Bundle, Bundles, Left, Planted, WasAt, WasFile, list, moment};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Runs what has to do with bundles alone; `None` when a migration is meant.
pub(super) fn command(app: &App, args: &Migrate) -> Option<Result<()>> {
    if let Some(id) = &args.undo {
        return Some(undo::undo(
            app,
            &Wish {
                id: Some(id.as_str()).filter(|id| !id.is_empty()),
                as_root: args.as_root,
                yes: args.yes,
                dry_run: args.dry_run,
                json: args.json,
                openclaw: args.how.openclaw.as_deref(),
            },
        ));
    }
    if let Some(which) = &args.forget {
        return Some(undo::forget(app, which, args.yes, args.json));
    }
    args.undo_list.then(|| undo::list(app, args.json))
}

/// The newest bundle, if its migration was cut off.
fn unfinished(app: &App, opened: &Opened) -> Result<Option<Bundle>> {
    let (Some(newest), Some(bundles)) =
        (list(&app.dir)?.into_iter().next(), undo::of(app, opened)?)
    else {
        return Ok(None);
    };
    let bundle = bundles.load(&newest.id)?;
    Ok(bundle.filter(|bundle| {
        let is_open = |file: &WasFile| file.after == After::Unknown;
        bundle.files.iter().any(is_open)
    }))
}

/// Whether an earlier migration was cut off after it began to change files.
///
/// # Errors
/// As reading a bundle.
pub(super) fn is_unfinished(app: &App, opened: &Opened) -> Result<bool> {
    let Some(bundle) = unfinished(app, opened)? else {
        return Ok(false);
    };
    // Before the first change there is nothing to finish.
    Ok(bundle
        .files
        .iter()
        .any(|file| !is_as_before(file, read(&file.path).as_ref())))
}

/// openclaw.json as it was before a migration that was cut off.
///
/// # Errors
/// As reading a bundle.
pub(super) fn config_before(app: &App, opened: &Opened, path: &Path) -> Result<Option<Config>> {
    let path_of = real(path);
    let bundle = unfinished(app, opened)?;
    let file = bundle
        .iter()
        .flat_map(|bundle| &bundle.files)
        .find(|file| file.path == path_of);
    let before = file.and_then(|file| file.before.as_ref());
    Ok(before.and_then(|bytes| Config::parse(bytes, path).ok()))
}

/// The profiles that a migration which was cut off was about to plant; `None` when none was.
///
/// # Errors
/// As reading a bundle.
pub(super) fn resumed(app: &App, opened: &Opened) -> Result<Option<Vec<Planted>>> {
    Ok(unfinished(app, opened)?.map(|bundle| bundle.planted))
}

fn is_as_before(file: &WasFile, now: Option<&(Zeroizing<Vec<u8>>, u32)>) -> bool {
    file.before.as_deref() == now.map(|(bytes, _)| &**bytes)
}

/// A file that can be put back, with its permission bits; `None` when there is none.
fn read(path: &Path) -> Option<(Zeroizing<Vec<u8>>, u32)> {
    let (bytes, _) = file::read_of_anyone(path, MAX).ok()??;
    Some((Zeroizing::new(bytes), file::mode_of(path)))
}

/// How a file is now.
fn state(path: &Path) -> After {
    state_of(read(path).as_ref())
}

fn state_of(now: Option<&(Zeroizing<Vec<u8>>, u32)>) -> After {
    now.map_or(After::Removed, |(bytes, _)| After::of(bytes))
}

/// A bundle that is being made.
pub(super) struct Keeping {
    bundles: Bundles,
    bundle: Bundle,
    /// Files that a migration which was cut off, or somebody since, has changed.
    others: BTreeSet<PathBuf>,
    /// How each file was when this began, and after each change of ours since.
    ours: BTreeMap<PathBuf, After>,
}

impl Keeping {
    /// Keeps everything that is about to be changed as it is now.
    ///
    /// # Errors
    /// As saving it: nothing was changed then.
    pub(super) fn begin(
        app: &App,
        opened: &Opened,
        args: &Migrate,
        listed: &Listed,
        plan: &Plan,
        bound: Option<&Bound>,
    ) -> Result<Self> {
        let bundles = undo::to_write(app, opened)?;
        let mut bundle = match unfinished(app, opened)? {
            Some(bundle) => bundle,
            None => Bundle::new(moment(&app.dir, app.host.now())?, Vec::new(), args.keep)?,
        };
        bundle.keep |= args.keep;
        let mut at = places(listed, plan, bound);
        let mut changed: BTreeMap<PathBuf, bool> = BTreeMap::new();
        for path in at.keys() {
            changed.insert(path.clone(), is_copy(listed, path));
        }
        for path in bound
            .map(|bound| linked(listed, bound))
            .transpose()?
            .into_iter()
            .flatten()
        {
            changed.entry(path).or_insert(false);
        }
        let (mut others, mut ours) = (BTreeSet::new(), BTreeMap::new());
        for (path, is_copy) in changed {
            let values = at.remove(&path).unwrap_or_default();
            ours.insert(path.clone(), state(&path));
            if take_in(&mut bundle, &path, is_copy, values) {
                others.insert(path);
            }
        }
        if let Some(bound) = bound {
            rows::take_in(&mut bundle, listed, plan, bound)?;
        }
        let keeping = Keeping {
            bundles,
            bundle,
            others,
            ours,
        };
        keeping.bundles.save(&keeping.bundle)?;
        Ok(keeping)
    }

    /// Notes the bytes that a file is about to get. One that was not there when this began is a copy that
    /// OpenClaw made meanwhile, and goes when this is undone.
    pub(super) fn note(&mut self, path: &Path, bytes: &[u8]) {
        let path = real(path);
        let after = After::of(bytes);
        let files = &mut self.bundle.files;
        if let Some(file) = files.iter_mut().find(|file| file.path == path) {
            file.after = after;
            return;
        }
        let (before, mode) = split(None);
        let new = WasFile {
            path,
            mode,
            before,
            after,
            is_copy: true,
            values: Vec::new(),
        };
        add(&mut self.bundle, new);
    }

    /// Writing those bytes failed. Where they did not come to it, what is in it is somebody else's.
    pub(super) fn take_back(&mut self, path: &Path) {
        let real = real(path);
        let now = read(&real);
        let mut files = self.bundle.files.iter_mut();
        if let Some(file) = files.find(|file| file.path == real)
            && !now.is_some_and(|(bytes, _)| file.after.is(&bytes))
        {
            file.after = After::Unknown;
            if !file.is_copy {
                self.others.insert(real);
            }
        }
    }

    /// A file is about to be changed: what came into it since this began is somebody else's.
    pub(super) fn before_writing(&mut self, path: &Path) {
        let path = real(path);
        if self
            .ours
            .get(&path)
            .is_some_and(|ours| *ours != state(&path))
        {
            self.others.insert(path);
        }
    }

    /// A file was changed by us, or by OpenClaw for us; `by_others` too, maybe.
    pub(super) fn written(&mut self, path: &Path, by_others: bool) {
        let path = real(path);
        self.ours.insert(path.clone(), state(&path));
        if by_others {
            self.others.insert(path);
        }
    }

    /// Saves what was noted.
    ///
    /// # Errors
    /// As a write.
    pub(super) fn save(&self) -> Result<()> {
        self.bundles.save(&self.bundle)
    }

    /// Notes how every other file is now: the migration is done. Gives the bundle's name, or `None` when
    /// there is nothing to take back.
    ///
    /// # Errors
    /// As a write.
    pub(super) fn end(mut self) -> Result<Option<String>> {
        let mut kept = Vec::new();
        for mut file in std::mem::take(&mut self.bundle.files) {
            let now = read(&file.path);
            // What did not change needs no way back, and neither does what never was.
            if is_as_before(&file, now.as_ref()) {
                continue;
            }
            if file.after == After::Unknown {
                let now_is = state_of(now.as_ref());
                let is_since = self
                    .ours
                    .get(&file.path)
                    .is_some_and(|ours| *ours != now_is);
                if is_since && !file.is_copy {
                    self.others.insert(file.path.clone());
                }
                file.after = match now {
                    // Whoever was there in between, his work is not ours to take back: no bytes of ours
                    // are known, so that values return one by one.
                    _ if self.others.contains(&file.path) => {
                        After::of(file.before.as_ref().map_or(&[][..], |before| before))
                    }
                    _ => now_is,
                };
            }
            kept.push(file);
        }
        self.bundle.files = kept;
        let Bundle {
            files,
            values,
            planted,
            orders,
            ..
        } = &self.bundle;
        if files.is_empty() && values.is_empty() && planted.is_empty() && orders.is_empty() {
            self.bundles.forget(&self.bundle.id)?;
            return Ok(None);
        }
        self.save()?;
        Ok(Some(self.bundle.id.to_string()))
    }
}

/// Takes a file in, as it is now; `path` is its real one. One that a migration which was cut off has kept already stays as it
/// was then, unless it is a text that a person changed since. Gives whether that file has bytes that
/// nobody can say whose they are; in a copy they are nobody's work.
fn take_in(bundle: &mut Bundle, path: &Path, is_copy: bool, values: Vec<WasAt>) -> bool {
    let now = read(path);
    if let Some(file) = bundle.files.iter_mut().find(|file| file.path == path) {
        let is_ours = now.as_ref().is_some_and(|(bytes, _)| file.after.is(bytes));
        let is_json = now
            .as_ref()
            .is_some_and(|(bytes, _)| Config::parse(bytes, path).is_ok());
        let is_others = !is_ours && !is_as_before(file, now.as_ref());
        if is_others && !is_json {
            (file.before, file.mode) = split(now);
        }
        file.after = After::Unknown;
        for value in values {
            if !file.values.iter().any(|known| known.place == value.place) {
                file.values.push(value);
            }
        }
        return is_others && is_json && !is_copy;
    }
    let (before, mode) = split(now);
    let new = WasFile {
        path: path.to_owned(),
        mode,
        before,
        after: After::Unknown,
        is_copy,
        values,
    };
    add(bundle, new);
    false
}

/// Adds a file, with the folder below which it may be put back.
fn add(bundle: &mut Bundle, file: WasFile) {
    let root = root(&file.path);
    if !bundle.roots.contains(&root) {
        bundle.roots.push(root);
    }
    bundle.files.push(file);
}

fn split(now: Option<(Zeroizing<Vec<u8>>, u32)>) -> (Option<Zeroizing<Vec<u8>>>, u32) {
    match now {
        Some((bytes, mode)) => (Some(bytes), mode),
        None => (None, 0o600),
    }
}

/// The path with no link in its folders, as far as they are there.
fn real(path: &Path) -> PathBuf {
    for above in path.ancestors().skip(1) {
        if let Ok(real) = std::fs::canonicalize(above)
            && let Ok(rest) = path.strip_prefix(above)
        {
            return real.join(rest);
        }
    }
    path.to_owned()
}

/// The folder below which a file may be put back: its own, or the nearest that is there.
fn root(path: &Path) -> PathBuf {
    let there = path.ancestors().skip(1).find(|above| above.is_dir());
    there.unwrap_or(Path::new("/")).to_owned()
}

fn is_copy(listed: &Listed, path: &Path) -> bool {
    let read = listed
        .reads
        .iter()
        .find(|read| real(&read.source.path) == path);
    read.is_some_and(|read| read.source.form.is_copy())
}

/// The files that a link may write, whether they are there or not.
fn linked(listed: &Listed, bound: &Bound) -> Result<Vec<PathBuf>> {
    let (places, config) = (&bound.survey.places, Some(&bound.survey.config));
    let mut paths = vec![listed.places.config().to_owned()];
    paths.extend(places.config_copies()?);
    if bound.plan.lane == Lane::File {
        let has_state = bound.survey.install.version().order_home() == OrderHome::AuthState;
        let refs = bound.plan.profile_refs.iter().map(|one| &one.held.agent);
        let removals = bound.plan.profile_removals.iter().map(|one| &one.agent);
        let orders = bound.plan.orders.iter().map(|one| &one.agent);
        let agents: BTreeSet<&AgentId> = refs.chain(removals).chain(orders).collect();
        for agent in agents {
            paths.push(places.auth_profiles(agent, config));
            if has_state {
                paths.push(places.auth_state(agent, config));
            }
        }
    }
    Ok(paths.iter().map(|path| real(path)).collect())
}

/// Each file from which something goes, with the places in it.
fn places(listed: &Listed, plan: &Plan, bound: Option<&Bound>) -> BTreeMap<PathBuf, Vec<WasAt>> {
    let mut all: BTreeMap<PathBuf, Vec<WasAt>> = BTreeMap::new();
    let mut paths: BTreeMap<&Path, PathBuf> = BTreeMap::new();
    for row in plan.rows.iter().filter(|row| row.fate.is_gone()) {
        let item = &listed.found.items[row.item];
        if let At::Row { .. } = item.at {
            continue;
        }
        let path = listed.path(item.source);
        let real = paths.entry(path).or_insert_with(|| real(path)).clone();
        let at = all.entry(real).or_default();
        // Lines that were edited since are for a person to compare.
        let At::Json(place) = &item.at else {
            continue;
        };
        let place = place.clone();
        let left = left(listed, item, row, bound);
        let id = row.ids.first().cloned();
        if !at.iter().any(|known| known.place == place) {
            at.push(WasAt { place, id, left });
        }
    }
    all
}

/// What a migration leaves in a place.
fn left(listed: &Listed, item: &Item, row: &Row, bound: Option<&Bound>) -> Left {
    let form = listed.reads.get(item.source).map(|read| &read.source.form);
    match (form, &item.at) {
        (Some(Form::Json(Document::Config)), At::Json(path)) => {
            let edit = bound.and_then(|bound| {
                let mut edits = bound.plan.edits.iter();
                edits.rfind(|edit| edit.path == *path)
            });
            let value = edit.and_then(|edit| edit.value.as_ref());
            match value.and_then(SecretRef::from_value) {
                Some(reference) => Left::Ref(reference.id),
                None => Left::Nothing,
            }
        }
        (Some(Form::Json(Document::Profiles)), _) => match &item.what {
            What::Profile { agent, profile, .. } => {
                let refs = bound.map(|bound| bound.plan.profile_refs.as_slice());
                let of = |held: &Held| held.agent == *agent && held.profile == *profile;
                let planted = refs.unwrap_or_default().iter().find(|one| of(&one.held));
                planted.map_or(Left::Nothing, |one| Left::Ref(one.reference.id.clone()))
            }
            _ => Left::Nothing,
        },
        (Some(Form::Json(Document::LegacyAuth | Document::Oauth) | Form::Names(_)), _) => {
            Left::Nothing
        }
        _ => {
            debug_assert!(row.fate.is_gone());
            Left::Marker
        }
    }
}
