//! Who watches a link while it is made. Ring 2'; knows paths alone.
//!
//! Promise: [`apply`](super::apply) calls it before and after each change that it makes or has made.

use crate::error::Result;
use std::path::Path;

/// Who wants to know of OpenClaw's files as they are changed. The methods do nothing unless they are
/// given.
pub trait Watch {
    /// OpenClaw is about to forget the plaintext of its database.
    ///
    /// # Errors
    /// Whatever speaks against it: nothing is forgotten then.
    fn before_forgetting(&mut self) -> Result<()> {
        Ok(())
    }

    /// This file is about to be changed, under the lock that it has.
    fn before_writing(&mut self, _: &Path) {}

    /// This file was changed, by us or by OpenClaw for us. `by_others`: somebody else changed it too.
    fn written(&mut self, _: &Path, _by_others: bool) {}
}

/// Nobody.
impl Watch for () {}
