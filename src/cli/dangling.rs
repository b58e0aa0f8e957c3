//! References in openclaw.json to a provider that has no profile any more. Ring 4.
//!
//! Nobody would answer them: a 2026.6.1 gateway does not start then, and newer versions refuse their
//! own commands, `link` with them.

use super::app::App;
use super::pins;
use super::record::LinkRecord;
use crate::error::Result;
use crate::openclaw::config::Config;
use crate::openclaw::reference::SecretRef;
use crate::provider::ProviderId;

/// Takes our references to `provider` out of the linked openclaw.json. `false` when there were none.
///
/// # Errors
/// `Failed` when openclaw.json cannot be written: then nothing has changed.
pub fn take_away(app: &App, provider: &ProviderId) -> Result<bool> {
    let Some(mut record) = LinkRecord::load(&app.dir)? else {
        return Ok(false);
    };
    if pins::asks_keeper(&record.args) {
        return said_to_its_owner(app, &mut record, provider);
    }
    let mut config = Config::read(&record.config)?;
    // An edited record must not have another vault's configuration changed, or no configuration.
    if !pins::is_linked(&config, &app.dir) {
        return Ok(false);
    }
    let id = provider.selection_id();
    let asks = |reference: &SecretRef| reference.is_ours() && reference.id == id;
    let paths: Vec<Vec<String>> = config
        .refs()
        .into_iter()
        .filter_map(|(path, reference)| asks(&reference).then_some(path))
        .collect();
    for path in &paths {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        config.remove_with_empty_parents(&path)?;
    }
    if paths.is_empty() {
        return Ok(false);
    }
    config.write()?;
    record.linked.remove(&id);
    record.save(&app.dir)?;
    for path in &paths {
        app.ui.say(&format!(
            "{}: {} removed",
            record.config.display(),
            path.join(".")
        ));
    }
    Ok(true)
}

/// An isolated vault's keeper cannot write a file of the gateway's user.
fn said_to_its_owner(app: &App, record: &mut LinkRecord, provider: &ProviderId) -> Result<bool> {
    if !record.linked.remove(&provider.selection_id()) {
        return Ok(false);
    }
    record.save(&app.dir)?;
    app.ui.say(&format!(
        "{} still refers to {provider}: without an answer the gateway does not start again.\n\
         hint: as its user: openclaw config unset models.providers.{provider}.apiKey",
        record.config.display()
    ));
    Ok(true)
}
