//! A migration's eye on the link that it makes: what else changed meanwhile. Ring 4.
//!
//! Promise: what somebody else changed while OpenClaw's files got their references is not noted as ours,
//! so that undoing leaves it; and a value that OpenClaw put into its database since it was listed is not
//! forgotten.

use super::lanes::Lanes;
use super::listing::Listed;
use super::undoing::Keeping;
use crate::error::{Error, Result};
use crate::openclaw::link::Watch;
use std::path::Path;

/// What is watched, and where it is noted.
pub(super) struct Watching<'a> {
    keeping: &'a mut Keeping,
    listed: &'a Listed,
    lanes: &'a Lanes,
}

impl<'a> Watching<'a> {
    pub(super) fn of(keeping: &'a mut Keeping, listed: &'a Listed, lanes: &'a Lanes) -> Self {
        Watching {
            keeping,
            listed,
            lanes,
        }
    }
}

impl Watch for Watching<'_> {
    fn before_forgetting(&mut self) -> Result<()> {
        if self.listed.has_new_rows(self.lanes)? {
            return Err(Error::failed(
                "OpenClaw's databases changed since they were listed; nothing was taken from them",
            )
            .hint("openclaw gateway stop, then: clawkeep migrate"));
        }
        Ok(())
    }

    fn before_writing(&mut self, path: &Path) {
        self.keeping.before_writing(path);
    }

    fn written(&mut self, path: &Path, by_others: bool) {
        self.keeping.written(path, by_others);
    }
}
