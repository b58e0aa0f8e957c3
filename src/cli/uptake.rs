//! What a gateway needs before it uses a value that was just stored. Ring 4.

use super::app::{App, Opened};
use super::auth::Credential;
use super::record::LinkRecord;
use crate::error::Result;
use crate::provider::AgentId;

/// Says what is left to do. `is_new`: the profile was not in the vault before.
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
) -> Result<()> {
    let id = credential.profile.secret_id(agent);
    let provider = &credential.provider;
    let by_link = |said: &str| {
        app.ui
            .say(&format!("{said}\nhint: {}", link.command_line()));
        Ok(())
    };
    if is_new && agent.is_main() && link.selects(provider) && !link.config_refs {
        return by_link(&format!(
            "OpenClaw has one reference for {provider} and takes the first of its profiles; it gets \
             one for each when it is linked again."
        ));
    }
    if !link.covers(agent, provider, &id) {
        if !link.notes_in(agent, provider) {
            return by_link("OpenClaw does not refer to this profile yet.");
        }
        // OpenClaw reads the very file that the profile was noted in.
        link.linked.insert(id.to_string());
        link.save(&app.dir)?;
        if let Opened::File(vault) = opened {
            vault.update(|contents, _| {
                contents.linked.insert(id);
                Ok(())
            })?;
        }
    }
    app.ui
        .say("A running gateway takes the new value with: openclaw secrets reload");
    Ok(())
}
