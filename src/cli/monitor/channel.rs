//! Who is told when a credential needs somebody. Ring 4; reads and writes `monitor.json` in the vault's
//! folder, and does nothing else.
//!
//! An address of ntfy may be all that keeps others from reading along, so it stands in no unit and in no
//! argument of a process that stays, is never shown, and its file is private.

use crate::cli::app::App;
use crate::cli::args::MonitorHow;
use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// The file's name.
pub const NAME: &str = "monitor.json";
const MAX: usize = 64 * 1024;
const VERSION: u32 = 1;

/// The longest address, in bytes.
const MAX_ADDRESS: usize = 2048;

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// Nobody but who reads the journal.
    Journal,
    /// The desktop of the user.
    Desktop,
    /// A command of the user's: its program, absolute, and its arguments.
    Command(PathBuf, Vec<String>),
    /// An address that takes a post as ntfy does.
    Post(Address),
}

/// An address: `http` or `https`, printable ASCII, at most 2048 bytes. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.0
    }
}

impl TryFrom<String> for Address {
    type Error = &'static str;

    fn try_from(text: String) -> std::result::Result<Self, &'static str> {
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let has_host = rest
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['));
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if has_host && is_plain && text.len() <= MAX_ADDRESS {
            Ok(Address(text))
        } else {
            Err("no address")
        }
    }
}

impl Address {
    /// Parses an address, without repeating it.
    ///
    /// # Errors
    /// `Usage` when it is none; `place` says where it stood.
    pub fn parse(text: &str, place: &str) -> Result<Self> {
        Address::try_from(text.trim().to_owned()).map_err(|_| {
            Error::usage(format!(
                "{place} holds no address that begins with https:// or http://"
            ))
            .hint("--ntfy https://ntfy.sh/YOUR-TOPIC")
        })
    }

    /// The address itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what is posted can be read on its way.
    pub fn is_open(&self) -> bool {
        self.0.starts_with("http://")
    }
}

#[derive(Serialize, Deserialize)]
struct Noted {
    version: u32,
    tell: Channel,
}

impl Channel {
    /// Whom the flags choose; `None` when they choose nobody.
    ///
    /// # Errors
    /// `Usage` for an address that is none; `Missing` for a command or file that is not there.
    pub fn of(app: &App, how: &MonitorHow) -> Result<Option<Self>> {
        if how.notify {
            return Ok(Some(Channel::Desktop));
        }
        if let Some(text) = &how.ntfy {
            return Address::parse(text, "--ntfy").map(|address| Some(Channel::Post(address)));
        }
        if let Some(path) = &how.ntfy_file {
            let path = app.host.absolute(path)?;
            let bytes = file::read(&path, MAX, Privacy::Private)?
                .ok_or_else(|| Error::missing(format!("there is no file {}", path.display())))?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Address::parse(&text, &path.display().to_string())
                .map(|address| Some(Channel::Post(address)));
        }
        let Some((program, args)) = how.on_problem.split_first() else {
            return Ok(None);
        };
        let program = PathBuf::from(program);
        let found = if program.components().count() > 1 {
            Some(app.host.absolute(&program)?).filter(|path| path.is_file())
        } else {
            program.to_str().and_then(|name| app.host.on_path(name))
        };
        let program = found.ok_or_else(|| {
            Error::missing("the command of --on-problem is not there")
                .hint("name it by its whole path: --on-problem ~/bin/tell-me")
        })?;
        let args = args
            .iter()
            .map(|arg| arg.to_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Error::usage("an argument of the command is not UTF-8 text"))?;
        Ok(Some(Channel::Command(program, args)))
    }

    /// Whom the monitor of the vault in `dir` tells; `None` when that was never said.
    ///
    /// # Errors
    /// `Broken` when the file cannot be read as one.
    pub fn load(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(NAME);
        let Some(bytes) = file::read(&path, MAX, Privacy::Private)? else {
            return Ok(None);
        };
        serde_json::from_slice::<Noted>(&bytes)
            .ok()
            .filter(|noted| noted.version == VERSION)
            .map(|noted| Some(noted.tell))
            .ok_or_else(|| {
                Error::broken(format!("{} does not say who is told", path.display()))
                    .hint("clawkeep service install --monitor --notify")
            })
    }

    /// Notes it.
    ///
    /// # Errors
    /// `Failed` when the folder cannot be written.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let noted = Noted {
            version: VERSION,
            tell: self.clone(),
        };
        let mut text = serde_json::to_vec_pretty(&noted)
            .map_err(|_| Error::failed("monitor.json cannot be written as JSON"))?;
        text.push(b'\n');
        file::replace_beside(&dir.join(NAME), &text, 0o600)
    }

    /// How it is told, for a person: `by …`; never the address.
    pub fn said(&self) -> String {
        match self {
            Channel::Journal => "in the journal alone".to_owned(),
            Channel::Desktop => "by a desktop notification".to_owned(),
            Channel::Command(program, _) => format!("by the command {}", program.display()),
            Channel::Post(address) if address.is_open() => {
                "by a post to the address that you gave (http: it can be read on its way)"
                    .to_owned()
            }
            Channel::Post(_) => "by a post to the address that you gave".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_is_of_the_web_and_is_never_repeated() {
        for good in [
            "https://ntfy.sh/fake",
            "http://127.0.0.1:8080/x?y=z",
            "https://[::1]/t",
            " https://a/b\n",
        ] {
            assert!(Address::parse(good, "--ntfy").is_ok(), "{good}");
        }
        for bad in [
            "",
            "ntfy.sh/fake",
            "file:///etc/passwd",
            "https://",
            "https:///x",
            "https://-x",
            "https://a b",
            "https://a/\"\nurl = \"file:///x",
            "https://ü",
            "HTTPS://x",
        ] {
            let error = Address::parse(bad, "--ntfy").unwrap_err();
            assert!(bad.len() < 9 || !error.to_string().contains(bad), "{bad}");
        }
        let long = format!("https://a/{}", "x".repeat(MAX_ADDRESS));
        assert!(Address::parse(&long, "--ntfy").is_err());
        let address = Address::parse("https://ntfy.sh/fake-topic", "--ntfy").unwrap();
        let channel = Channel::Post(address);
        assert!(!format!("{channel:?} {}", channel.said()).contains("fake-topic"));
    }

    #[test]
    fn what_is_noted_comes_back_from_a_private_file() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Channel::load(dir.path()).unwrap(), None);
        for channel in [
            Channel::Journal,
            Channel::Desktop,
            Channel::Command("/bin/x".into(), vec!["a b".into()]),
            Channel::Post(Address("https://a/b".to_owned())),
        ] {
            channel.save(dir.path()).unwrap();
            assert_eq!(Channel::load(dir.path()).unwrap(), Some(channel));
        }
        for bad in [
            "",
            "{}",
            "[]",
            "{\"version\":2,\"tell\":\"journal\"}",
            "{\"version\":1,\"tell\":{\"post\":\"file:///x\"}}",
        ] {
            file::replace(&dir.path().join(NAME), bad.as_bytes(), 0o600).unwrap();
            assert!(Channel::load(dir.path()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_file_panics(text in "[{}\\[\\]\":,a-z0-9/-]{0,80}") {
            let _ = serde_json::from_str::<Noted>(&text);
        }
    }
}
