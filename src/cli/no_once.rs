//! `--release once` where nobody can tell which process asks when: it is refused. Ring 4, Windows.

use super::keeping::Terms;
use crate::access;
use crate::error::{Error, Result};
use crate::keeper::published::Published;
use crate::keeper::reason::RoundId;
use crate::keeper::server::Asker;
use crate::keeper::wire::Given;
use crate::secret::RefId;
use crate::vault::held::Held;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::Path;

/// What such a keeper would know: there is none.
pub enum Once {}

/// Why an id was not given, for the access log.
pub type Refusals = BTreeMap<String, access::Reason>;

/// The error of whoever asks for it.
pub fn refused() -> Error {
    Error::failed("--release once needs Linux: Windows does not attest who sent a question")
        .hint("leave --release out; what a keeper keeps from whom: SECURITY.md")
}

impl Once {
    /// Says so.
    ///
    /// # Errors
    /// Always `Failed`.
    pub fn begin(_: &Path, _: &Terms, _: Published, _: impl FnOnce(&Error)) -> Result<Self> {
        Err(refused())
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn admit(&self, _: &Asker) -> std::result::Result<(RoundId, bool), Infallible> {
        match *self {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn take_ticket(&mut self, _: &Held) -> Result<()> {
        match *self {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn arm(&mut self, _: &BTreeSet<RefId>) -> Result<()> {
        match *self {}
    }

    /// Never called.
    pub fn release(
        &mut self,
        _: &Held,
        _: (RoundId, bool),
        _: &[String],
        _: &mut [Given],
    ) -> Refusals {
        match *self {}
    }
}

/// Never called.
pub fn noted(never: Infallible) -> access::Reason {
    match never {}
}
