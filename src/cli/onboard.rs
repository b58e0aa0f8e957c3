//! `onboard`: from nothing to a gateway that resolves, in one command. Ring 4.
//!
//! Promise: cut off anywhere it leaves a working state, and running it again goes on from there. With
//! flags and piped input it asks nothing.

use super::app::App;
use super::args::{KindArg, Onboard};
use super::auth::{self, Credential};
use super::opened::Opened;
use super::record::LinkRecord;
use super::reload::Reload;
use super::{init, link, proof};
use crate::error::{Error, Result};
use crate::openclaw::install::Install;
use crate::provider::{AgentId, ProviderId};
use crate::secret::SecretKind;
use crate::store::Resolve;
use crate::vault::Found;
use std::io::IsTerminal;

/// Runs `onboard`.
pub fn run(app: &App, args: &Onboard) -> Result<()> {
    // What can be wrong with the flags is said before anything is made.
    let named = args
        .provider
        .as_deref()
        .map(ProviderId::parse)
        .transpose()?;
    if app.find()? == Found::Nothing {
        init::make(app, &args.init)?;
    } else {
        app.ui.say(&format!(
            "Vault: {} (it was there already)",
            app.dir.display()
        ));
    }
    let credential = if args.no_paste {
        None
    } else {
        Some(paste(app, args, named)?)
    };
    let linked = if args.no_link {
        None
    } else {
        connect(app, args)?
    };
    let record = linked.as_ref().map(|linked| &linked.record);
    close(app, credential.as_ref(), record)?;
    if let Some(linked) = &linked {
        link::prove(app, &linked.record, &linked.ids)?;
        linked.verdict(app)?;
    }
    Ok(())
}

fn paste(app: &App, args: &Onboard, named: Option<ProviderId>) -> Result<Credential> {
    let main = AgentId::main();
    let piped = !std::io::stdin().is_terminal();
    let (credential, value) = match (named, app.person()?) {
        (None, Some(mut terminal)) if !args.yes => {
            auth::ask_everything(app, &mut terminal, None, "default")?
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
                Some(KindArg::Token) => SecretKind::Token,
                None if provider.as_str() == "anthropic" => SecretKind::Token,
                Some(KindArg::ApiKey) | None => SecretKind::ApiKey,
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
    auth::store(app, &main, &credential, value, Reload::Leave)?;
    Ok(credential)
}

fn connect(app: &App, args: &Onboard) -> Result<Option<link::Linked>> {
    let Some(install) = Install::find(&app.host, args.link.openclaw.as_deref())? else {
        app.ui.say("OpenClaw was not found on PATH; nothing is linked yet.\nhint: clawkeep link --openclaw DIR");
        return Ok(None);
    };
    let mut opened = app.open_by_slots()?;
    link::connect(app, &mut opened, install, &args.link, false, args.yes)
}

/// Resolves the credential back as the gateway would, and compares.
fn close(app: &App, credential: Option<&Credential>, record: Option<&LinkRecord>) -> Result<()> {
    let Some(credential) = credential else {
        return Ok(());
    };
    let opened = app.open_by_slots()?;
    let id = credential.profile.secret_id(&AgentId::main());
    let Some((kept, _)) = opened.get(&id)? else {
        return Err(Error::broken(format!("the vault lost {id}")).hint("clawkeep secret list"));
    };
    let (command, args, pass_env) = if let Some(record) = record {
        (
            record.command.clone(),
            record.args.clone(),
            record.pass_env.clone(),
        )
    } else {
        let (args, pass_env) = super::survey::resolver(app, &opened)?;
        (app.host.program()?, args, pass_env)
    };
    let answers = proof::ask(&app.host, &command, &args, &pass_env, &[id.to_string()])?;
    match answers.value(id.as_str()) {
        Some(value) if value.same_as(&kept) => {
            app.ui.say(&format!(
                "Resolved {id} as the gateway would: it is the value that you entered."
            ));
            Ok(())
        }
        Some(_) => Err(Error::broken(format!(
            "the gateway would get another value for {id} than you entered"
        ))),
        None if attended_only(&opened) => {
            app.ui.say("A gateway cannot open this vault by itself: its only slot needs a person.\nhint: clawkeep slot add identity-file");
            Ok(())
        }
        None => Err(Error::failed(format!(
            "the gateway would not get {id}: {}",
            answers.code(id.as_str()).unwrap_or("no answer")
        ))
        .hint("clawkeep slot list")),
    }
}

fn attended_only(opened: &Opened) -> bool {
    match opened {
        Opened::File(vault) => !vault
            .contents()
            .slots
            .iter()
            .any(|slot| slot.kind.unattended()),
        Opened::Keychain(_) | Opened::Keeper(_) => false,
    }
}
