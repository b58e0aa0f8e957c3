//! The first credential. Ring 4.

use super::Steps;
use crate::cli::args::{KindArg, Onboard};
use crate::cli::auth::{self, Credential, Given};
use crate::cli::reload::Reload;
use crate::error::{Error, Result};
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::secret::SecretKind;
use crate::store::Store as _;
use std::io::IsTerminal;

/// Takes a credential and stores it; `None` when there is one and the person wants no other.
///
/// # Errors
/// `Usage` when it cannot be known what is to be stored; `Cancelled`; as [`auth::store`].
pub(super) fn take(
    steps: &Steps<'_>,
    args: &Onboard,
    named: Option<ProviderId>,
) -> Result<Option<Credential>> {
    let app = steps.app;
    let piped = !std::io::stdin().is_terminal();
    steps.heading("A token or key");
    let (credential, value) = match (named, app.person()?) {
        (None, Some(mut terminal)) if !args.yes => {
            let stored = app.open()?.list()?.len();
            if stored > 0 {
                app.ui.say(&format!(
                    "The vault holds {}.",
                    crate::cli::ui::counted(stored as u64, "value", "values")
                ));
                if !terminal.confirm("Store another token or key now?", false)? {
                    return Ok(None);
                }
            }
            let given = Given {
                provider: None,
                kind: args.kind.map(kind),
                profile: args
                    .profile_id
                    .as_deref()
                    .map(ProfileId::parse)
                    .transpose()?,
                expires: args.expires_in.clone(),
                force: args.force,
            };
            auth::ask_everything(app, &mut terminal, &given, "default")?
        }
        (None, None) if !piped => {
            return Err(
                Error::usage("a provider is missing, and there is nobody to ask")
                    .hint("add --provider anthropic, or --no-paste"),
            );
        }
        (named, _) => {
            let provider = match named {
                Some(provider) => provider,
                None => ProviderId::parse("anthropic")?,
            };
            let kind = match args.kind {
                Some(chosen) => kind(chosen),
                None if provider.as_str() == "anthropic" => SecretKind::Token,
                None => SecretKind::ApiKey,
            };
            let credential = auth::credential(
                app,
                provider.as_str(),
                args.profile_id.as_deref(),
                "default",
                kind,
                args.expires_in.as_deref(),
            )?;
            let value = auth::ask(app, &credential)?;
            auth::check(app, &credential, &value, args.force)?;
            (credential, value)
        }
    };
    // What is linked in the next step is told to no gateway before.
    auth::store(app, &AgentId::main(), &credential, value, Reload::Leave)?;
    Ok(Some(credential))
}

fn kind(arg: KindArg) -> SecretKind {
    match arg {
        KindArg::Token => SecretKind::Token,
        KindArg::ApiKey => SecretKind::ApiKey,
    }
}
