//! Which stored values once stood in plaintext, for a list that does not need the vault. Ring 4.
//!
//! Promise: nobody is asked for anything, and what a locked vault does not say is not made up.

use super::app::App;
use super::unasked;
use crate::error::{Kind, Result};
use crate::openclaw::profiles::Profile;
use crate::openclaw::reference::SecretRef;
use crate::store::Store;
use std::collections::BTreeMap;

/// What the vault says of its values; nothing at all when it did not open.
pub struct Marks(Option<BTreeMap<String, bool>>);

impl Marks {
    /// Looks into the vault where one of `profiles` refers to it, and says so when it is not open.
    pub fn look(app: &App, profiles: &[Profile]) -> Self {
        let is_ours = |profile: &Profile| {
            let reference = profile.reference.as_ref();
            reference.is_some_and(SecretRef::is_ours)
        };
        if !profiles.iter().any(is_ours) {
            return Marks(None);
        }
        match listed(app) {
            Ok(marks) => Marks(Some(marks)),
            Err(error) if error.kind() == Kind::Missing => Marks(None),
            Err(error) => {
                app.ui.say(&format!(
                    "Which of these were plaintext before is not known: {error}"
                ));
                Marks(None)
            }
        }
    }

    /// Whether the value behind `reference` is marked; `None` when that is not known, or it is no
    /// value of ours.
    pub fn of(&self, reference: Option<&SecretRef>) -> Option<bool> {
        let reference = reference.filter(|reference| reference.is_ours())?;
        self.0.as_ref()?.get(&reference.id).copied()
    }
}

fn listed(app: &App) -> Result<BTreeMap<String, bool>> {
    let secrets = unasked::open(app)?.list()?;
    Ok(secrets
        .into_iter()
        .map(|(id, meta)| (id.as_str().to_owned(), meta.was_plaintext))
        .collect())
}
