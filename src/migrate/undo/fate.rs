//! What becomes of one file when a migration is undone. Ring 3; decides, reads and writes nothing.

use super::returning;
use crate::error::{Kind, Result};
use crate::file::rooted::Found;
use crate::openclaw::config::Config;
use crate::openclaw::link::{diff, diff_of_lines};
use crate::vault::undo::WasFile;
use std::path::Path;
use zeroize::Zeroizing;

/// What becomes of a file.
pub enum Fate {
    /// It is as it was already.
    Stands,
    /// It becomes what it was, to the byte, with the permission bits that it had.
    Restore,
    /// It was not there before, and goes.
    Remove,
    /// Others changed it since: these values return to their places, and all else stays.
    Return {
        /// The whole file with them.
        bytes: Zeroizing<Vec<u8>>,
        /// How many return.
        values: usize,
    },
    /// It stays as it is: an old copy that is another one by now. A whole sentence without a full stop.
    Left(String),
    /// A person edited it: the difference from what is there to what was, without values.
    Edited(String),
}

impl Fate {
    /// The word for `--json`.
    pub fn word(&self) -> &'static str {
        match self {
            Fate::Stands => "stands",
            Fate::Restore => "restored",
            Fate::Remove => "removed",
            Fate::Return { .. } => "returned",
            Fate::Left(_) => "left",
            Fate::Edited(_) => "edited",
        }
    }
}

impl Fate {
    /// What will happen, for people: a clause.
    pub fn said(&self) -> String {
        match self {
            Fate::Stands => "is as it was".to_owned(),
            Fate::Restore => "becomes what it was".to_owned(),
            Fate::Remove => "goes: it was not there".to_owned(),
            Fate::Return { values, .. } => {
                format!("was changed since; {values} values return, all else stays")
            }
            Fate::Left(_) => "is another copy by now and stays".to_owned(),
            Fate::Edited(_) => "was edited by a person".to_owned(),
        }
    }
}

impl std::fmt::Debug for Fate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// Decides by the file as it is now; `None` when it is not there.
///
/// # Errors
/// `Failed` when a file of variables is too large to be compared line by line, which none is.
pub(super) fn decide(file: &WasFile, now: Option<&Found>) -> Result<Fate> {
    let Some(now) = now else {
        return Ok(match file.before {
            // Whoever removed it since loses nothing by it.
            Some(_) => Fate::Restore,
            None => Fate::Stands,
        });
    };
    if let Some(before) = &file.before {
        if *before == now.bytes {
            return Ok(Fate::Stands);
        }
        if file.after.is(&now.bytes) {
            return Ok(Fate::Restore);
        }
    } else if file.after.is(&now.bytes) {
        return Ok(Fate::Remove);
    }
    if file.is_copy {
        return Ok(Fate::Left(format!(
            "{} is another copy by now; it stays as it is",
            file.path.display()
        )));
    }
    let empty = Config::empty(&file.path);
    let was = file.before.as_ref().map(|was| parse(was, &file.path));
    let is_now = parse(&now.bytes, &file.path);
    match (was, is_now) {
        (None, Some(is_now)) => json(file, &empty, &is_now),
        (Some(Some(was)), Some(is_now)) => json(file, &was, &is_now),
        (was, _) => {
            let was: &[u8] = match was {
                None => &[],
                Some(_) => file.before.as_ref().map_or(&[], |was| was),
            };
            Ok(Fate::Edited(diff_of_lines(&file.path, &now.bytes, was)))
        }
    }
}

fn json(file: &WasFile, was: &Config, now: &Config) -> Result<Fate> {
    match returning::returned(was, now, &file.values) {
        Ok(Some((text, 0))) if text.bytes() == now.bytes() => Ok(Fate::Stands),
        Ok(Some((text, values))) => Ok(Fate::Return {
            bytes: text.bytes(),
            values,
        }),
        Ok(None) => Ok(Fate::Edited(diff(now, was))),
        // A key that stands twice, or is taken from another file: a person's work.
        Err(error) if matches!(error.kind(), Kind::Broken | Kind::Failed) => {
            Ok(Fate::Edited(format!("{error}\n{}", diff(now, was))))
        }
        Err(error) => Err(error),
    }
}

/// As JSON5 with an object at its root; `None` for anything else.
fn parse(bytes: &[u8], path: &Path) -> Option<Config> {
    Config::parse(bytes, path).ok()
}
