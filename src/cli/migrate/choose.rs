//! Two places disagree: a person says which is right. Ring 4; nothing is guessed.

use super::listing::{self, Listed};
use super::show;
use crate::cli::app::App;
use crate::error::Result;
use crate::migrate::plan::Conflict;

/// Asks about each conflict. Gives the places that the person prefers.
///
/// # Errors
/// `Failed` with every candidate when nobody is there to ask; `Cancelled`.
pub(super) fn ask(app: &App, listed: &Listed, conflicts: &[Conflict]) -> Result<Vec<String>> {
    let Some(mut terminal) = app.person()? else {
        return Err(listing::undecided(conflicts));
    };
    let mut preferred = Vec::new();
    for conflict in conflicts {
        let shown = show::conflict(listed, conflict);
        let keys: Vec<String> = (1..=shown.len()).map(|number| number.to_string()).collect();
        let choices: Vec<(&str, &str)> = keys
            .iter()
            .zip(&shown)
            .map(|(key, text)| (key.as_str(), text.as_str()))
            .collect();
        let question = format!("Two places disagree. Which is {}?", conflict.name);
        let chosen = terminal.choose(&question, &choices, None)?;
        let at = keys
            .iter()
            .position(|key| key == chosen)
            .unwrap_or_default();
        if let Some((_, places)) = conflict.candidates.get(at) {
            preferred.push(show::candidate(places).to_owned());
        }
    }
    Ok(preferred)
}
