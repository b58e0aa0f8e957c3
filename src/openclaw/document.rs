//! A JSON file of OpenClaw's as it lies on disk: read with bounds, written whole, under OpenClaw's
//! own lock. Ring 2': knows objects, not what their fields mean.
//!
//! Promises:
//! - what cannot be read is an error and stays as it is; only a file that is not there is empty.
//!   (OpenClaw takes a broken file for an empty one and writes over it.)
//! - whatever an edit does not touch is written back as it was, in the order that it had; an edit
//!   that changes nothing writes nothing;
//! - such a file can hold tokens in the clear: every buffer of ours that held it is wiped, and no
//!   error repeats a byte of it.

use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use crate::host::Host;
use crate::openclaw::store_lock::StoreLock;
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// The largest file that is read, in bytes: 8 MiB.
pub(super) const MAX_FILE: usize = 8 * 1024 * 1024;

const MODE: u32 = 0o600;

/// A JSON object with the order of its keys. Its texts are wiped when it is dropped.
pub(super) struct Document {
    /// The fields.
    pub(super) root: Map<String, Value>,
}

impl Document {
    pub(super) fn new(root: Map<String, Value>) -> Self {
        Document { root }
    }

    /// Reads the bytes of the file at `path`.
    ///
    /// A key that stands twice counts with its last value, as in JavaScript.
    ///
    /// # Errors
    /// `Broken`, with line and column at most, when it is too large or no JSON object.
    pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let said = path.display();
        let typed = crate::error::typed(path);
        if bytes.len() > MAX_FILE {
            return Err(Error::broken(format!(
                "{said} is larger than {} KiB, the most that clawkeep reads there",
                MAX_FILE / 1024
            )));
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(Error::broken(format!("{said} is empty"))
                .hint(format!("if nothing is to be saved from it: rm {typed}")));
        }
        if bytes.starts_with(b"\xef\xbb\xbf") {
            return Err(Error::broken(format!(
                "{said} begins with a byte order mark, which OpenClaw cannot read there"
            ))
            .hint(format!("sed -i '1s/^\\xEF\\xBB\\xBF//' {typed}")));
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|error| {
            Error::broken(format!(
                "{said} cannot be read as JSON: line {} column {}",
                error.line(),
                error.column()
            ))
            .hint(format!("mend it or put a backup in its place: {typed}"))
        })?;
        match value {
            Value::Object(root) => Ok(Document { root }),
            mut other => {
                wipe(&mut other);
                Err(Error::broken(format!("{said} holds no JSON object"))
                    .hint(format!("mend it or put a backup in its place: {typed}")))
            }
        }
    }

    /// Reads the file at `path`; `None` when there is none.
    ///
    /// Others may be able to read it, as OpenClaw allows: it holds no secret of ours. They may not
    /// be able to write it.
    ///
    /// # Errors
    /// As [`Document::parse`] and [`file::read`].
    pub(super) fn load(path: &Path) -> Result<Option<Self>> {
        file::read(path, MAX_FILE, Privacy::Shared)?
            .map(|bytes| Self::parse(&bytes, path))
            .transpose()
    }

    /// The file as OpenClaw lays it out: two spaces, a newline at the end.
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Its length first: a buffer that grows leaves unwiped copies behind.
        let mut length = Count(0);
        self.write(&mut length);
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.0 + 1));
        self.write(&mut *bytes);
        bytes.push(b'\n');
        bytes
    }

    fn write(&self, out: impl std::io::Write) {
        let mut serializer = serde_json::Serializer::pretty(out);
        // Cannot fail: keys are texts, and neither sink refuses bytes.
        let written = self.root.serialize(&mut serializer);
        debug_assert!(written.is_ok());
    }

    /// Whether there is nothing in it to be kept.
    fn is_bare(&self) -> bool {
        self.root.iter().all(|(key, value)| match key.as_str() {
            "version" => true,
            "profiles" => value.as_object().is_some_and(Map::is_empty),
            _ => false,
        })
    }

    /// Changes the file at `path` under OpenClaw's lock of its folder. `empty` is what a missing
    /// file counts as. Nothing is written when `f` fails or changes nothing; a file that
    /// it leaves empty is removed.
    ///
    /// # Errors
    /// Whatever loading, locking, `f` or writing gives; on any of them the file is as it was.
    pub(super) fn edit<T>(
        path: &Path,
        host: &Host,
        empty: impl FnOnce() -> Self,
        f: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let named = path
            .parent()
            .ok_or_else(|| Error::failed(format!("{} has no folder", path.display())))?;
        let name = path
            .file_name()
            .ok_or_else(|| Error::failed(format!("{} names no file", path.display())))?;
        if !named.is_dir() {
            file::private_dir(named)?;
        }
        // The folder that is locked, checked and written is one and the same, also through a link.
        let dir = std::fs::canonicalize(named).map_err(|error| Error::io("open", named, &error))?;
        file::private_dir(&dir)?;
        let path = dir.join(name);
        let _lock = StoreLock::take(&dir, host)?;
        file::sweep(&dir);
        let mut document = Self::load(&path)?.unwrap_or_else(empty);
        let before = document.to_bytes();
        let done = f(&mut document)?;
        let after = document.to_bytes();
        if after.len() > MAX_FILE {
            return Err(Error::failed(format!(
                "{} would become larger than {} KiB",
                path.display(),
                MAX_FILE / 1024
            )));
        }
        if *before != *after {
            if document.is_bare() {
                // OpenClaw 2026.9.6 wants even an empty one imported before it works (ran).
                file::remove(&path)?;
            } else {
                file::replace(&path, &after, MODE)?;
            }
        }
        Ok(done)
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        self.root.values_mut().for_each(wipe);
    }
}

/// Overwrites every text in `value`. As deep as JSON was parsed: at most 128 levels.
pub(super) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Counts bytes and keeps none.
struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests;
