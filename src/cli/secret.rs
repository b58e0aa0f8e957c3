//! `secret`: any other secret, by id. Ring 4.

use super::app::{App, take_value};
use super::args::{SecretCommand, SecretGet, SecretList, SecretRemove, SecretSet};
use super::log;
use super::record::LinkRecord;
use super::reload::{self, Reload};
use super::ui;
use crate::access::Outcome;
use crate::error::{Error, Result};
use crate::expiry::expires_in;
use crate::openclaw::reference::GATEWAY_TOKEN;
use crate::provider::AgentId;
use crate::secret::{Alphabet, SecretId, SecretKind};
use crate::store::{Meta, Resolve, Store};
use crate::terminal::Hidden;
use secrecy::ExposeSecret;
use serde_json::json;
use std::io::IsTerminal;

/// Runs one `secret` command.
pub fn run(app: &App, command: &SecretCommand) -> Result<()> {
    match command {
        SecretCommand::Set(args) => set(app, args),
        SecretCommand::Get(args) => get(app, args),
        SecretCommand::List(args) => list(app, args),
        SecretCommand::Remove(args) => remove(app, args),
    }
}

fn set(app: &App, args: &SecretSet) -> Result<()> {
    let id = SecretId::parse(&args.id)?;
    let now = app.host.now();
    let expires = args
        .expires_in
        .as_deref()
        .map(|text| expires_in(text, now))
        .transpose()?;
    let mut opened = app.open()?;
    let value = take_value(
        app,
        &format!("Value of {id} (hidden): "),
        Hidden::Text,
        Alphabet::Text,
    )?;
    // Replacing a profile's value by hand must not take its provider away: a selection id would
    // stop yielding it.
    let old = opened
        .list()?
        .into_iter()
        .find(|(known, _)| *known == id)
        .map(|(_, meta)| meta);
    let (kind, provider) = old.map_or((SecretKind::Secret, None), |meta| {
        (meta.kind, meta.provider)
    });
    let meta = Meta {
        kind,
        provider,
        created: now,
        updated: now,
        expires,
        was_plaintext: false,
    };
    opened.put(&id, value, &meta)?;
    app.ui.say(&format!("Stored: {id}"));
    tell_gateway(app, &id, &meta, Reload::unless(args.no_reload))
}

/// A running gateway that OpenClaw's files let ask for this id has the old value.
fn tell_gateway(app: &App, id: &SecretId, meta: &Meta, reload: Reload) -> Result<()> {
    let Some(link) = LinkRecord::load(&app.dir)? else {
        return Ok(());
    };
    if id.as_str() == GATEWAY_TOKEN && link.linked.contains(GATEWAY_TOKEN) {
        reload::after_its_own_token(app);
        return Ok(());
    }
    let asked = match &meta.provider {
        Some(provider) => link.covers(&AgentId::main(), provider, id),
        None => link.linked.contains(id.as_str()),
    };
    if asked {
        reload::after_a_change(app, &link, reload);
    }
    Ok(())
}

#[allow(
    clippy::disallowed_methods,
    reason = "door: the value that the person asked to see"
)]
fn get(app: &App, args: &SecretGet) -> Result<()> {
    let id = SecretId::parse(&args.id)?;
    let on_terminal = std::io::stdout().is_terminal();
    if on_terminal && !args.reveal {
        return Err(Error::usage("this would show the secret on the terminal")
            .hint(format!("clawkeep secret get {id} --reveal")));
    }
    let opened = app.open()?;
    let Some((value, _)) = opened.get(&id)? else {
        return Err(Error::missing(format!("there is no secret {id}")).hint("clawkeep secret list"));
    };
    let results = [(id.as_str(), Outcome::Released)];
    log::note_command(app, &opened, &results);
    app.ui.raw(value.expose_secret().as_bytes())?;
    if on_terminal {
        app.ui.raw(b"\n")
    } else {
        Ok(())
    }
}

fn list(app: &App, args: &SecretList) -> Result<()> {
    let opened = app.open()?;
    let secrets = opened.list()?;
    if args.json {
        let rows: Vec<_> = secrets
            .iter()
            .map(|(id, meta)| {
                json!({
                    "id": id.as_str(),
                    "kind": meta.kind.name(),
                    "provider": meta.provider.as_ref().map(crate::provider::ProviderId::as_str),
                    "created": meta.created.get(),
                    "updated": meta.updated.get(),
                    "expires": meta.expires.map(crate::expiry::Millis::get),
                    "wasPlaintext": meta.was_plaintext,
                })
            })
            .collect();
        return app.ui.document(&json!({
            "vault": app.dir.display().to_string(),
            "vaultId": opened.id().to_string(),
            "secrets": rows,
        }));
    }
    if secrets.is_empty() {
        app.ui
            .say("The vault is empty.\nhint: clawkeep models auth add");
        return Ok(());
    }
    let now = app.host.now();
    let mut rows = vec![
        ["ID", "KIND", "PROVIDER", "STORED", "EXPIRES"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (id, meta) in &secrets {
        let mut row = vec![
            id.to_string(),
            meta.kind.name().to_owned(),
            meta.provider
                .as_ref()
                .map_or("-".to_owned(), ToString::to_string),
            ui::date(meta.updated),
            ui::expiry(meta.expires, now),
        ];
        if meta.was_plaintext {
            row.push("was plaintext".to_owned());
        }
        rows.push(row);
    }
    app.ui.table(&rows)
}

fn remove(app: &App, args: &SecretRemove) -> Result<()> {
    let id = SecretId::parse(&args.id)?;
    let mut opened = app.open()?;
    app.agree(
        args.yes,
        &format!("Remove {id}?"),
        false,
        "removing a secret",
        "add --yes",
    )?;
    if !opened.remove(&id)? {
        return Err(Error::missing(format!("there is no secret {id}")).hint("clawkeep secret list"));
    }
    app.ui.say(&format!("Removed: {id}"));
    Ok(())
}
