//! Words that came from another user's process, as types that can hold nothing worse. Ring 4.
//!
//! Root writes units, names files and runs `systemctl` with them, and any process of the gateway's user
//! can take the place of the child that says them. So they are parsed where they arrive: a name cannot be
//! a path or an option, a path cannot lead back up, and nothing can begin a line of its own.

use crate::secret::in_grammar;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// The names of OpenClaw's gateways: this, or this, a dash and the profile.
/// Source: `resolveGatewaySystemdServiceName` of OpenClaw 2026.9.6.
const GATEWAY: &str = "openclaw-gateway";

/// The longest name of a unit: systemd's own bound is 255.
const MAX_NAME: usize = 200;

/// The longest path: `PATH_MAX`.
const MAX_PATH: usize = 4096;

/// The longest word: what one argument of a process can be.
const MAX_WORD: usize = 32 * 1024;

fn is_gateway(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    text.len() <= MAX_NAME
        && text
            .strip_prefix(GATEWAY)
            .and_then(|rest| rest.strip_suffix(".service"))
            .is_some_and(|rest| {
                rest.is_empty()
                    || (rest.len() > 1 && rest.starts_with('-') && rest.bytes().all(is_plain))
            })
}

fn is_word(text: &str) -> bool {
    text.len() <= MAX_WORD && !text.chars().any(char::is_control)
}

fn is_path(text: &str) -> bool {
    let path = Path::new(text);
    let up = std::path::Component::ParentDir;
    text.len() <= MAX_PATH
        && is_word(text)
        && path.is_absolute()
        && path.components().all(|c| c != up)
}

/// A text that is one by its grammar, wherever it was made.
macro_rules! said {
    ($(#[$doc:meta])* $name:ident, $fits:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses it; `None` when it is none.
            pub fn parse(text: &str) -> Option<Self> {
                $fits(text).then(|| $name(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                if $fits(&text) { Ok($name(text)) } else { Err("outside the grammar") }
            }
        }

        impl From<$name> for String {
            fn from(said: $name) -> String {
                said.0
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

said!(
    /// The name of a gateway's unit: `openclaw-gateway.service`, `openclaw-gateway-work.service`. One file
    /// name, and no option of a program.
    GatewayName,
    is_gateway
);

said!(
    /// A word of a command, or a line for a person: no control characters, at most 32 KiB.
    Word,
    is_word
);

said!(
    /// An id that OpenClaw may ask for.
    Id,
    in_grammar
);

impl Word {
    /// The text as one line, whatever it holds.
    pub fn of(text: &str) -> Self {
        let line: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(MAX_WORD / 4)
            .collect();
        Word(line)
    }
}

/// A path: absolute, UTF-8, without `..` and control characters, at most 4096 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place(PathBuf);

impl Place {
    /// Takes a path of this process's own; `None` when another one would not believe it.
    pub fn of(path: &Path) -> Option<Self> {
        path.to_str()
            .filter(|text| is_path(text))
            .map(|text| Place(PathBuf::from(text)))
    }
}

impl TryFrom<String> for Place {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Place::of(Path::new(&text)).ok_or("no path")
    }
}

impl From<Place> for String {
    fn from(place: Place) -> String {
        place.0.to_string_lossy().into_owned()
    }
}

impl Deref for Place {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

/// A variable of a gateway: a name of letters, digits and `_`, a value that is a [`Word`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(String, String)", into = "(String, String)")]
pub struct Variable {
    name: String,
    value: String,
}

impl Variable {
    /// Parses it; `None` when it is none.
    pub fn parse(name: &str, value: &str) -> Option<Self> {
        let part = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let fits = (1..=256).contains(&name.len())
            && name.bytes().all(part)
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && is_word(value);
        fits.then(|| Variable {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }
}

impl TryFrom<(String, String)> for Variable {
    type Error = &'static str;

    fn try_from((name, value): (String, String)) -> Result<Self, Self::Error> {
        Variable::parse(&name, &value).ok_or("no variable")
    }
}

impl From<Variable> for (String, String) {
    fn from(variable: Variable) -> Self {
        (variable.name, variable.value)
    }
}

#[cfg(test)]
#[path = "said_tests.rs"]
mod tests;
