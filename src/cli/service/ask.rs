//! What `service` asks of the process that runs as the vault's user, and what it answers. Ring 4.
//!
//! In the system form root asks: it must not touch a user's files as root, where a link of that user
//! could lead it anywhere. The words go over the pipes of a child, one line of JSON each, bounded;
//! none of them is a secret. What comes back was said by a user's process and is checked like any
//! other input before root writes it anywhere.

use super::isolated::wish::{Surveyed, Wish};
use super::said::{GatewayName, Place, Word};
use crate::cli::monitor::channel::Channel;
use crate::cli::ui;
use crate::error::{Error, Kind, Result};
use crate::service::marker::Found;
use crate::vault::identity::Recipient;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The longest line either side reads: room for the units of many profiles.
pub const MAX_LINE: u64 = 1024 * 1024;

/// A question to the user's side.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// What is there. With `open` the vault is opened, and a person may be asked for a passphrase.
    Look {
        /// Whether the vault is opened.
        open: bool,
    },
    /// Which gateways the user's manager has.
    Gateways {
        /// The keeper's unit, where the same manager runs it.
        keeper: Option<String>,
    },
    /// Make the slot of the service, for this key, which will lie at this path.
    AddSlot {
        /// Where the service finds its credential.
        path: PathBuf,
        /// Its public half.
        recipient: Recipient,
    },
    /// Take the slot of the service away.
    RemoveSlot,
    /// Write a drop-in for each gateway.
    Plug {
        /// The keeper's unit, where the same manager runs it.
        keeper: Option<String>,
    },
    /// Take the drop-ins away.
    Unplug,
    /// Let the vault's readers ask the keeper at this socket alone.
    Point {
        /// The socket.
        socket: PathBuf,
    },
    /// Let them open the vault by its slots again.
    Unpoint,
    /// Let the user's manager read its units again.
    Reload,
    /// Ask the keeper, and what the gateway will ask.
    Prove {
        /// The socket; `None` where nothing of this system runs.
        socket: Option<PathBuf>,
    },
    /// Note whom the monitor tells.
    Watch {
        /// Who.
        tell: Channel,
    },
    /// Forget that, and what was told.
    Unwatch,
    /// Restart the gateways of the user's manager that run.
    Restart,
    /// What the isolated form asks.
    Isolated(Wish),
}

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// The vault's folder, without links.
    pub vault: Place,
    /// The user's home, without links.
    pub home: Place,
    /// The vault's id, as far as known.
    pub id: Option<Word>,
    /// The key and path of the slot of the service, where there is one.
    pub slot: Option<(Place, Recipient)>,
    /// Whether another slot opens without a person.
    pub has_other_slot: bool,
    /// What opened the vault, when it was opened.
    pub opened_by: Option<Word>,
    /// The socket that the vault's readers are sent to.
    pub pointer: Option<Place>,
    /// Whether the user's manager can be asked.
    pub has_manager: bool,
    /// Whether it is noted whom a monitor tells.
    pub has_monitor: bool,
}

/// One gateway of the user's manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its unit.
    pub unit: GatewayName,
    /// Where the drop-in lies.
    pub drop_in: Place,
    /// What the drop-in is to say.
    pub text: String,
    /// What stands in its place.
    pub found: Found,
    /// As whom it runs, where its unit says so.
    pub user: Option<Word>,
    /// What a person should know.
    pub notes: Vec<Word>,
}

/// What the user's side says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// It is done; lines for the person.
    Done(Vec<String>),
    /// What is there.
    Looked(Looked),
    /// The gateways.
    Gateways(Vec<Seen>),
    /// What the isolated form has to know.
    Surveyed(Box<Surveyed>),
    /// It went wrong: the kind, the message, the hint.
    Error(String, String, Option<String>),
}

impl Told {
    /// An error on its way.
    pub fn error(error: &Error) -> Self {
        Told::Error(
            error.kind().name().to_owned(),
            error.message().to_owned(),
            error.hint_text().map(str::to_owned),
        )
    }
}

/// The user's side: this process, or a child that runs as the user.
pub trait Side {
    /// One question, one answer; never [`Told::Error`].
    ///
    /// # Errors
    /// What went wrong there.
    fn ask(&mut self, ask: &Ask) -> Result<Told>;

    /// What is there.
    ///
    /// # Errors
    /// As [`Side::ask`].
    fn look(&mut self, open: bool) -> Result<Looked> {
        match self.ask(&Ask::Look { open })? {
            Told::Looked(looked) => Ok(looked),
            _ => Err(nonsense()),
        }
    }

    /// The gateways of the user's manager.
    ///
    /// # Errors
    /// As [`Side::ask`].
    fn gateways(&mut self, keeper: Option<&str>) -> Result<Vec<Seen>> {
        let keeper = keeper.map(str::to_owned);
        match self.ask(&Ask::Gateways { keeper })? {
            Told::Gateways(seen) => Ok(seen),
            _ => Err(nonsense()),
        }
    }

    /// Has something done; lines for the person come back.
    ///
    /// # Errors
    /// As [`Side::ask`].
    fn act(&mut self, ask: &Ask) -> Result<Vec<String>> {
        match self.ask(ask)? {
            Told::Done(lines) => Ok(lines),
            _ => Err(nonsense()),
        }
    }
}

/// An answer that is none.
pub fn nonsense() -> Error {
    Error::broken("the user's part of clawkeep did not answer as it should")
}

/// The error that came over the pipe.
pub fn told_error(kind: &str, message: &str, hint: Option<&str>) -> Error {
    let kind = [
        Kind::Usage,
        Kind::Locked,
        Kind::Broken,
        Kind::Missing,
        Kind::Cancelled,
    ]
    .into_iter()
    .find(|known| known.name() == kind)
    .unwrap_or(Kind::Failed);
    // A line of a user's process on root's terminal.
    let error = Error::new(kind, ui::plain(message).replace('\n', " "));
    match hint {
        Some(hint) => error.hint(ui::plain(hint).replace('\n', " ")),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_error_goes_over_the_pipe_and_back() {
        let error = Error::locked("it stays locked").hint("clawkeep slot list");
        let Told::Error(kind, message, hint) = Told::error(&error) else {
            panic!("an error is told as one");
        };
        assert_eq!(told_error(&kind, &message, hint.as_deref()), error);
        assert_eq!(told_error("?", "x", None).kind(), Kind::Failed);
    }

    proptest! {
        #[test]
        fn no_line_panics(text in "[{}\\[\\]\":,a-z/-]{0,120}") {
            let _ = serde_json::from_str::<Ask>(&text);
            let _ = serde_json::from_str::<Told>(&text);
        }
    }
}
