//! Units of a system's manager where there is none, and so no keeper for one unit. Ring 2.

use crate::error::{Error, Result};

/// A moment at which a process was started: none is looked at here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tick {}

/// A system unit: there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {}

impl Unit {
    /// Says so.
    ///
    /// # Errors
    /// Always `Failed`.
    pub fn new(_: &str, _: Option<&str>) -> Result<Self> {
        Err(
            Error::failed("a keeper for one unit needs systemd, which this system has not")
                .hint("leave --gateway-unit out"),
        )
    }

    /// The name that it would have.
    pub fn name(&self) -> &str {
        match *self {}
    }
}
