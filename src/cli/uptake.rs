//! What a gateway needs before it uses a value that was just stored. Ring 4.

use super::app::App;
use super::auth::Credential;
use super::opened::Opened;
use super::record::{self, LinkRecord};
use super::reload::{self, Reload};
use crate::error::Result;
use crate::provider::AgentId;
use crate::secret::RefId;

/// Tells a running gateway, or says what is left to do. `is_new`: the profile was not in the vault
/// before.
///
/// # Errors
/// `Failed` when the link cannot be noted.
pub fn announce(
    app: &App,
    opened: &mut Opened,
    mut link: LinkRecord,
    agent: &AgentId,
    credential: &Credential,
    is_new: bool,
    how: Reload,
) -> Result<()> {
    let id = credential.profile.secret_id(agent);
    let provider = &credential.provider;
    let by_link = |said: &str| {
        app.ui
            .say(&format!("{said}\nhint: {}", link.command_line()));
        Ok(())
    };
    let first = older(app, &link, credential)?;
    if is_new && agent.is_main() && link.selects(provider) && !link.config_refs {
        return by_link(&format!(
            "This is a further profile of {provider}, which OpenClaw does not use before it is linked \
             again. To replace the one that it uses, name that one: --profile-id {first}"
        ));
    }
    if !link.covers(agent, provider, &id) {
        if !link.notes_in(agent, provider) {
            return by_link("OpenClaw does not refer to this profile yet.");
        }
        // OpenClaw reads the very file that the profile was noted in.
        link.linked.insert(id.to_string());
        link.save(&app.dir)?;
        opened.note_linked(&RefId::from(&id))?;
    }
    reload::after_a_change(app, &link, how);
    Ok(())
}

/// The profile of this provider that was there before, for the hint how to replace its value.
fn older(app: &App, link: &LinkRecord, credential: &Credential) -> Result<String> {
    let file = record::load_profiles(&app.dir, Some(link), &AgentId::main())?;
    Ok(file
        .profiles()
        .into_iter()
        .find(|profile| profile.provider == credential.provider && profile.id != credential.profile)
        .map_or_else(
            || format!("{}:default", credential.provider),
            |profile| profile.id.to_string(),
        ))
}
