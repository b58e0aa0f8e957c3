//! The vault behind the profiles, as far as nobody need be asked. Ring 4.

use crate::cli::app::App;
use crate::cli::opened::Opened;
use crate::cli::unasked;
use crate::error::{Error, Kind};
use crate::status::Proof;
use crate::vault::Found;
use crate::vault::cache::{Cache, Custody};
use crate::vault::id::VaultId;

/// Whether it opens.
pub(super) enum State {
    /// It does.
    Open(Box<Opened>),
    /// It is there, and stays locked.
    Locked(Error),
    /// It does not hold together.
    Broken(Error),
    /// There is none.
    Absent(Error),
}

/// What is known of it.
pub(super) struct Vault {
    pub(super) custody: Option<Custody>,
    pub(super) id: Option<VaultId>,
    pub(super) state: State,
}

impl Vault {
    /// Looks. `asks` lets a person be asked for a passphrase.
    pub(super) fn look(app: &App, asks: bool) -> Self {
        let custody = match app.find() {
            Ok(Found::Vault(custody)) => custody,
            Ok(Found::Nothing) => {
                return Vault {
                    custody: None,
                    id: None,
                    state: State::Absent(crate::vault::none_in(&app.dir)),
                };
            }
            Err(error) => return Self::of(None, error),
        };
        let opened = if asks { app.open() } else { unasked::open(app) };
        match opened {
            Ok(opened) => Vault {
                custody: Some(custody),
                id: Some(opened.id()),
                state: State::Open(Box::new(opened)),
            },
            Err(error) => {
                let cached = Cache::load(&app.dir).ok().flatten();
                Vault {
                    id: cached.and_then(|cached| cached.vault_id),
                    ..Self::of(Some(custody), error)
                }
            }
        }
    }

    fn of(custody: Option<Custody>, error: Error) -> Self {
        let state = match error.kind() {
            Kind::Locked => State::Locked(error),
            _ => State::Broken(error),
        };
        Vault {
            custody,
            id: None,
            state,
        }
    }
}

impl State {
    /// A stable word.
    pub(super) fn name(&self) -> &'static str {
        match self {
            State::Open(_) => "open",
            State::Locked(_) => "locked",
            State::Broken(_) => "broken",
            State::Absent(_) => "absent",
        }
    }

    /// Why it is not open.
    pub(super) fn error(&self) -> Option<&Error> {
        match self {
            State::Open(_) => None,
            State::Locked(error) | State::Broken(error) | State::Absent(error) => Some(error),
        }
    }

    /// What that means for the references.
    pub(super) fn unproven(&self) -> Proof {
        match self {
            State::Open(_) => Proof::Nothing,
            State::Locked(_) => Proof::NotProven {
                reason: "locked".to_owned(),
                is_locked: true,
            },
            State::Broken(error) | State::Absent(error) => Proof::Failed {
                what: error.message().to_owned(),
                hint: error.hint_text().map(str::to_owned),
            },
        }
    }
}
