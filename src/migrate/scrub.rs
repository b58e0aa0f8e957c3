//! The bytes that a file has when its plaintext is gone. Ring 3; bytes in, bytes out.
//!
//! Promise: exactly the places that the plan names go; every other byte stays.

use super::digest::Digest;
use super::find;
use super::item::{At, Item, Values};
use super::plan::Plan;
use super::source::{Form, Source};
use crate::assignment;
use crate::error::Result;
use crate::openclaw::plaintext::{self, Document};
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// What is to go from one file.
#[derive(Debug, Clone, Default)]
pub struct Gone {
    /// Indices of assignments all of whose values go.
    assignments: BTreeSet<usize>,
    /// Values that go from a JSON document.
    values: BTreeSet<Digest>,
    /// Places in it that stay, whatever they hold.
    stay: BTreeSet<Vec<String>>,
}

impl Gone {
    /// Whether nothing is to go.
    pub fn is_empty(&self) -> bool {
        self.assignments.is_empty() && self.values.is_empty()
    }

    /// The same, with these values too: OpenClaw moves its copies of a document from name to name.
    #[must_use]
    pub fn and(mut self, values: &BTreeSet<Digest>) -> Self {
        self.values.extend(values);
        self
    }
}

/// Every value that goes from any JSON document.
pub fn of_documents(all: &BTreeMap<usize, Gone>) -> BTreeSet<Digest> {
    all.values()
        .flat_map(|gone| gone.values.iter().copied())
        .collect()
}

/// What goes from each source, by its place in the list.
pub fn gone(plan: &Plan, items: &[Item]) -> BTreeMap<usize, Gone> {
    let mut all: BTreeMap<usize, Gone> = BTreeMap::new();
    let mut kept: BTreeSet<(usize, usize)> = BTreeSet::new();
    for row in &plan.rows {
        let item = &items[row.item];
        match (&item.at, row.fate.is_gone()) {
            (At::Assignment { index, .. }, false) => {
                kept.insert((item.source, *index));
            }
            (At::Assignment { index, .. }, true) => {
                all.entry(item.source)
                    .or_default()
                    .assignments
                    .insert(*index);
            }
            (At::Json(_), true) => {
                all.entry(item.source)
                    .or_default()
                    .values
                    .insert(item.value);
            }
            (At::Json(place), false) => {
                all.entry(item.source)
                    .or_default()
                    .stay
                    .insert(place.clone());
            }
            (At::Row { .. }, _) => {}
        }
    }
    // One variable can hold several keys, some of which stay.
    for (source, index) in kept {
        if let Some(gone) = all.get_mut(&source) {
            gone.assignments.remove(&index);
        }
    }
    all.retain(|_, gone| !gone.is_empty() || !gone.stay.is_empty());
    all
}

/// `bytes` without what goes; `None` when nothing of it is there (any more).
///
/// # Errors
/// As [`assignment::without`] and [`plaintext::replace`].
pub fn scrubbed(
    source: &Source,
    bytes: &Zeroizing<Vec<u8>>,
    gone: &Gone,
    values: &Values,
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    match &source.form {
        Form::Names(language) => {
            if gone.assignments.is_empty() {
                return Ok(None);
            }
            let rest = assignment::without(*language, bytes, &gone.assignments);
            rest.map(Some)
                .map_err(|error| find::in_file(&source.path, error))
        }
        Form::Json(document) => {
            if *document == Document::Config {
                // References took the values' places.
                return Ok(None);
            }
            let goes = |value: &crate::secret::Secret| gone.values.contains(&values.digest(value));
            let mut places = find::json_places(*document, bytes, &source.path, &goes)?;
            places.retain(|(place, _)| !gone.stay.contains(place));
            if places.is_empty() {
                return Ok(None);
            }
            plaintext::replace(*document, bytes, &source.path, &places).map(Some)
        }
    }
}
