//! `openclaw.json`, read and edited where a person may have written it by hand. Knows JSON5 and
//! paths; not what the settings mean, nor where the file lies.
//!
//! Promises:
//! - an edit changes the bytes of the named path and the commas around it, nothing else: comments,
//!   key order, unknown fields, number spelling, line ends, a byte order mark and trailing commas
//!   stay (the one exception: a comment inside an array or a scalar's place that is replaced whole);
//! - what cannot be read is refused by line and column, never by quoting it;
//! - a key that stands twice on an edited path is refused: OpenClaw takes the last, a person reads
//!   the first;
//! - the text is wiped when dropped, old versions of it too. It may hold plaintext tokens.
//!
//! `$include`: OpenClaw replaces an object that has this key by the named file, merged with the
//! keys beside it. Only what stands in `openclaw.json` itself is seen here. [`Config::set`] refuses
//! a path below such an object, since the other file may hold the same setting, in plaintext;
//! [`Config::includes`] lists those objects for callers that walk everything.
//!
//! The dialect is JSON5 2.2.3, what OpenClaw reads, less what nobody writes: escapes in unquoted
//! keys, a comment right behind one, U+FEFF after the start, and U+2028 or U+2029 in a line comment
//! (JSON5 ends the comment there, editors do not: such a file could show one thing and mean another).

mod edit;
mod graft;
mod leaves;
mod references;
mod scrub;
mod syntax;
#[cfg(test)]
mod tests;
mod values;

pub(crate) use leaves::Leaf;
pub(crate) use scrub::names_credential;
pub use scrub::{MARKER, Replacement, scrub};
pub(crate) use syntax::{Comment, StringAt};
pub(crate) use values::{Put, Shown};

use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use jsonc_parser::ast;
use serde_json::Value;
use std::path::{Path, PathBuf};
use syntax::Found;
use zeroize::Zeroizing;

/// The most bytes that a configuration may have: 8 MiB.
pub const MAX_CONFIG: usize = 8 * 1024 * 1024;

/// The key by which OpenClaw takes an object from another file.
pub const INCLUDE: &str = "$include";

/// A configuration's text, known to be JSON5 with an object at its root.
#[derive(Clone)]
pub struct Config {
    text: Zeroizing<String>,
    bom: bool,
    path: PathBuf,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Config({}, [REDACTED])", self.path.display())
    }
}

impl Config {
    /// What stands for a file that is not there: an empty object.
    pub fn empty(path: &Path) -> Self {
        Config {
            text: Zeroizing::new("{}\n".to_owned()),
            bom: false,
            path: path.to_owned(),
        }
    }

    /// Reads `bytes`, found at `path` (for messages only).
    ///
    /// # Errors
    /// `Broken` when they are more than [`MAX_CONFIG`], not UTF-8, not JSON5, or no object.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let said = path.display();
        if bytes.len() > MAX_CONFIG {
            return Err(Error::broken(format!(
                "{said} is larger than {} MiB, the most that clawkeep reads there",
                MAX_CONFIG / 1024 / 1024
            ))
            .hint(format!("ls -l {said}")));
        }
        let (bom, bytes) = match bytes.strip_prefix(b"\xEF\xBB\xBF") {
            Some(rest) => (true, rest),
            None => (false, bytes),
        };
        let text = std::str::from_utf8(bytes).map_err(|error| {
            Error::broken(format!(
                "{said} is not UTF-8 text: byte {} starts no character",
                error.valid_up_to()
            ))
            .hint("openclaw config validate")
        })?;
        syntax::with_root(text, |_| ()).map_err(|place| {
            Error::broken(format!("{said} is not readable as JSON5: {place}"))
                .hint("openclaw config validate")
        })?;
        Ok(Config {
            text: Zeroizing::new(text.to_owned()),
            bom,
            path: path.to_owned(),
        })
    }

    /// Reads the file at `path`; [`Config::empty`] when there is none.
    ///
    /// # Errors
    /// As [`Config::parse`]; `Broken` too when it is a link, no regular file, another user's, or
    /// others may write it.
    pub fn read(path: &Path) -> Result<Self> {
        match file::read(path, MAX_CONFIG, Privacy::Shared)? {
            Some(bytes) => Self::parse(&bytes, path),
            None => Ok(Self::empty(path)),
        }
    }

    /// As if it had been found at `path`.
    pub fn moved_to(&mut self, path: &Path) {
        path.clone_into(&mut self.path);
    }

    /// Writes it where it was found, whole or not at all; the mode stays, a new file is 0600 in a
    /// folder of 0700.
    ///
    /// # Errors
    /// `Failed` when the folder cannot be written, `Broken` when no regular file stands there.
    pub fn write(&self) -> Result<()> {
        if let Some(dir) = self.path.parent()
            && !dir.exists()
        {
            file::private_dir(dir)?;
        }
        file::replace(&self.path, &self.bytes(), file::mode_of(&self.path))
    }

    /// Where it was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's bytes, byte order mark included.
    pub fn bytes(&self) -> Zeroizing<Vec<u8>> {
        let mark: &[u8] = if self.bom { b"\xEF\xBB\xBF" } else { b"" };
        let mut bytes = Zeroizing::new(Vec::with_capacity(mark.len() + self.text.len()));
        bytes.extend_from_slice(mark);
        bytes.extend_from_slice(self.text.as_bytes());
        bytes
    }

    /// The text without a byte order mark. May hold plaintext tokens: see
    /// [`crate::openclaw::link`] for what may be shown of it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The value at `path`; an array's elements are named by their index from 0. `None` when it is
    /// not there, or only in an included file. Not for places that may hold a secret: the copy is
    /// not wiped; [`Config::string_at`] is for those.
    pub fn get(&self, path: &[&str]) -> Option<Value> {
        self.look(path, |node| node.map(syntax::to_value))
    }

    /// The string at `path`, wiped when dropped; `None` when there is none or it is no string.
    pub fn string_at(&self, path: &[&str]) -> Option<Zeroizing<String>> {
        self.look(path, |node| match node {
            Some(ast::Value::StringLit(text)) => Some(Zeroizing::new(text.value.to_string())),
            _ => None,
        })
    }

    /// Whether anything stands at `path`, `null` included.
    pub fn has(&self, path: &[&str]) -> bool {
        self.look(path, |node| node.is_some())
    }

    /// The keys of the object at `path`, of the root when it is empty, in the file's order; none when it is no
    /// object.
    pub fn keys(&self, path: &[&str]) -> Vec<String> {
        let names = |object: &ast::Object<'_>| {
            let all = object.properties.iter();
            all.map(|property| property.name.as_str().to_owned())
                .collect()
        };
        if path.is_empty() {
            return syntax::with_root(&self.text, |root| names(&root.object)).unwrap_or_default();
        }
        self.look(path, |node| match node {
            Some(ast::Value::Object(object)) => names(object),
            _ => Vec::new(),
        })
    }

    /// Puts `value` at `path`, making the objects above it. Equal values change no byte; an object
    /// over an object is changed key by key, so that comments in it stay. `value` is no secret.
    ///
    /// # Errors
    /// `Broken` when something above `path` is no object, or a key on it stands twice; `Failed`
    /// when an object above it has `$include`. The text is then as it was.
    pub fn set(&mut self, path: &[&str], value: &Value) -> Result<()> {
        let before = self.text.clone();
        let done = self.set_inner(path, value).and_then(|()| {
            if self.get(path).as_ref() == Some(value) {
                Ok(())
            } else {
                Err(self.broken(path, "could not be set"))
            }
        });
        if done.is_err() {
            self.text = before;
        }
        done
    }

    fn set_inner(&mut self, path: &[&str], value: &Value) -> Result<()> {
        let found = syntax::with_root(&self.text, |root| {
            syntax::find(root, path).map(|found| match found {
                Found::Whole { node, .. } => {
                    if syntax::to_value(node) == *value {
                        Step::Nothing
                    } else if let (ast::Value::Object(object), Value::Object(_)) = (node, value) {
                        Step::Merge(
                            object
                                .properties
                                .iter()
                                .map(|property| property.name.as_str().to_owned())
                                .collect(),
                        )
                    } else {
                        Step::Splice(edit::replace(&self.text, node, value))
                    }
                }
                Found::Parent { object, depth } => Step::Splice(edit::insert(
                    &self.text,
                    root,
                    object,
                    path[depth],
                    &edit::nested(&path[depth + 1..], value),
                )),
            })
        });
        let step = found
            .map_err(|place| self.broken(path, &place.to_string()))?
            .map_err(|trouble| self.say(path, &trouble))?;
        match step {
            Step::Nothing => Ok(()),
            Step::Splice(splices) => {
                self.text = edit::apply(&self.text, splices);
                Ok(())
            }
            Step::Merge(old) => {
                let Value::Object(new) = value else {
                    return Ok(());
                };
                for key in old.iter().filter(|key| !new.contains_key(*key)) {
                    self.remove(&join(path, key))?;
                }
                for (key, value) in new {
                    self.set_inner(&join(path, key), value)?;
                }
                Ok(())
            }
        }
    }

    /// Takes away what stands at `path` (a key of an object). `false` when there is nothing.
    ///
    /// # Errors
    /// `Broken` when a key on the path stands twice.
    pub fn remove(&mut self, path: &[&str]) -> Result<bool> {
        let splices = syntax::with_root(&self.text, |root| {
            syntax::find_for_removal(root, path)
                .map(|found| found.map(|(object, index)| edit::remove(&self.text, object, index)))
        })
        .map_err(|place| self.broken(path, &place.to_string()))?
        .map_err(|trouble| self.say(path, &trouble))?;
        match splices {
            None => Ok(false),
            Some(splices) => {
                self.text = edit::apply(&self.text, splices);
                Ok(true)
            }
        }
    }

    /// As [`Config::remove`], and takes away the objects above it that it leaves empty (not the
    /// root, and none that holds a comment).
    ///
    /// # Errors
    /// As [`Config::remove`].
    pub fn remove_with_empty_parents(&mut self, path: &[&str]) -> Result<bool> {
        if !self.remove(path)? {
            return Ok(false);
        }
        for end in (1..path.len()).rev() {
            let parent = &path[..end];
            let empty = self.look(parent, |node| match node {
                Some(ast::Value::Object(object)) => {
                    let inner = &self.text[object.range.start + 1..object.range.end - 1];
                    object.properties.is_empty() && inner.trim().is_empty()
                }
                _ => false,
            });
            if !empty || !self.remove(parent)? {
                break;
            }
        }
        Ok(true)
    }

    /// Takes over the values of `newer`, another program's rewrite of this file, and keeps this
    /// text where the values are the same: comments, order and spelling survive. Gives the places
    /// whose values differed.
    ///
    /// # Errors
    /// As [`Config::set`].
    pub fn adopt(&mut self, newer: &Config) -> Result<Vec<Vec<String>>> {
        let changes = syntax::with_root(&self.text, |old| {
            syntax::with_root(&newer.text, |new| {
                let mut changes = Vec::new();
                syntax::differences(&old.object, &new.object, &mut Vec::new(), &mut changes);
                changes
            })
        });
        let changes = match changes {
            Ok(Ok(changes)) => changes,
            Ok(Err(place)) | Err(place) => return Err(self.broken(&[], &place.to_string())),
        };
        for (path, value) in &changes {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            match value {
                Some(value) => self.set(&path, value)?,
                None => {
                    self.remove(&path)?;
                }
            }
        }
        Ok(changes.into_iter().map(|(path, _)| path).collect())
    }

    /// Every string value with its place, for masking; every comment with its place.
    pub(crate) fn strings_and_comments(&self) -> (Vec<StringAt>, Vec<Comment>) {
        let mut strings = Vec::new();
        self.walk(|path, node| {
            if let ast::Value::StringLit(text) = node {
                strings.push(StringAt {
                    path: path.to_vec(),
                    range: text.range.start..text.range.end,
                    value: Zeroizing::new(text.value.to_string()),
                });
            }
        });
        (strings, syntax::comments(&self.text))
    }

    /// Every value that counts and holds no other, with its path: of a key that stands twice the last,
    /// as OpenClaw reads it.
    pub(crate) fn leaves(&self, mut take: impl FnMut(&[String], Leaf<'_>)) {
        let _ = syntax::with_root(&self.text, |root| {
            leaves::walk(root, &mut Vec::new(), &mut take);
        });
    }

    fn look<T>(&self, path: &[&str], answer: impl FnOnce(Option<&ast::Value<'_>>) -> T) -> T
    where
        T: Default,
    {
        // The text was parsed when it came in and after each edit.
        syntax::with_root(&self.text, |root| answer(syntax::node_at(root, path)))
            .unwrap_or_default()
    }

    fn walk(&self, mut visit: impl FnMut(&[String], &ast::Value<'_>)) {
        let _ = syntax::with_root(&self.text, |root| {
            syntax::walk(root, &mut Vec::new(), &mut visit);
        });
    }

    fn broken(&self, path: &[&str], what: &str) -> Error {
        Error::broken(format!(
            "{} in {} {what}",
            path.join("."),
            self.path.display()
        ))
    }

    fn say(&self, path: &[&str], trouble: &syntax::Trouble) -> Error {
        let at = |depth: usize| {
            if depth == 0 {
                "the root".to_owned()
            } else {
                path[..depth].join(".")
            }
        };
        let file = self.path.display();
        match *trouble {
            syntax::Trouble::NoObject { depth, line } => Error::broken(format!(
                "{} in {file}, line {line}, is not an object",
                at(depth)
            )),
            syntax::Trouble::Twice { depth, line } => Error::broken(format!(
                "{} in {file} is ambiguous: the key stands twice, again in line {line}",
                at(depth)
            ))
            .hint("keep one of the two"),
            syntax::Trouble::Included { depth, line } => Error::failed(format!(
                "{} in {file} is taken from another file ({INCLUDE} in line {line}); clawkeep edits \
                 only what stands in {file} itself",
                at(depth)
            ))
            .hint(format!(
                "move the keys on the way to {} from the included file to {file}",
                path.join(".")
            )),
        }
    }
}

enum Step {
    Nothing,
    Merge(Vec<String>),
    Splice(Vec<edit::Splice>),
}

fn join<'a>(path: &[&'a str], key: &'a str) -> Vec<&'a str> {
    let mut longer = path.to_vec();
    longer.push(key);
    longer
}
