//! `models auth`: credentials of model providers. Ring 4.

use super::app::{App, take_value};
use super::args::{Add, Auth, AuthCommand, List, Paste, SetupToken};
use super::marks::Marks;
use super::opened::Opened;
use super::record::{self, LinkRecord};
use super::reload::Reload;
use super::{ui, uptake};
use crate::error::{Error, Kind, Result};
use crate::expiry::{Millis, expires_in};
use crate::openclaw::profiles::{self, Expires, ProfileKind};
use crate::openclaw::reference::SecretRef;
use crate::provider::{self, AgentId, ProfileId, ProviderId};
use crate::secret::{Alphabet, Secret, SecretKind};
use crate::store::{Meta, Resolve, Store};
use crate::terminal::{Hidden, Terminal};
use serde_json::json;

/// A credential that a command is about to store.
pub struct Credential {
    /// Whose it is.
    pub provider: ProviderId,
    /// Its profile.
    pub profile: ProfileId,
    /// Token or API key.
    pub kind: SecretKind,
    /// When it stops working.
    pub expires: Option<Millis>,
}

/// Runs one `models auth` command.
pub fn run(app: &App, auth: &Auth) -> Result<()> {
    let agent = AgentId::parse(&auth.agent)?;
    match &auth.command {
        AuthCommand::PasteToken(paste) => paste_value(app, &agent, paste, SecretKind::Token),
        AuthCommand::PasteApiKey(paste) => paste_value(app, &agent, paste, SecretKind::ApiKey),
        AuthCommand::SetupToken(setup) => super::setup_token::run(app, &agent, setup),
        AuthCommand::Add(add_args) => add(app, &agent, add_args),
        AuthCommand::List(list_args) => list(app, &agent, list_args),
        AuthCommand::Logout(logout_args) => super::logout::run(app, &agent, logout_args),
        AuthCommand::Order(command) => super::order::run(app, &agent, command),
    }
}

fn paste_value(app: &App, agent: &AgentId, paste: &Paste, kind: SecretKind) -> Result<()> {
    // Everything that can be wrong is said before the person pastes.
    let credential = credential(
        app,
        &paste.provider,
        paste.profile_id.as_deref(),
        "manual",
        kind,
        paste.expires_in.as_deref(),
    )?;
    app.open()?;
    let value = ask(app, &credential)?;
    check(app, &credential, &value, paste.force)?;
    let reload = Reload::unless(paste.no_reload);
    store(app, agent, &credential, value, reload)
}

/// Parses what names a credential.
///
/// # Errors
/// `Usage` for malformed names or durations.
pub fn credential(
    app: &App,
    provider: &str,
    profile: Option<&str>,
    default_name: &str,
    kind: SecretKind,
    expires: Option<&str>,
) -> Result<Credential> {
    let provider = ProviderId::parse(provider)?;
    let profile = match profile {
        Some(profile) => ProfileId::parse(profile)?,
        None => ProfileId::of(&provider, default_name),
    };
    let expires = expires
        .map(|text| expires_in(text, app.host.now()))
        .transpose()?;
    Ok(Credential {
        provider,
        profile,
        kind,
        expires,
    })
}

/// Takes the value, piped or at the hidden prompt.
///
/// # Errors
/// `Cancelled`, or `Failed` for a value that cannot be one.
pub fn ask(app: &App, credential: &Credential) -> Result<Secret> {
    let what = if credential.kind == SecretKind::Token {
        "token"
    } else {
        "API key"
    };
    let prompt = format!("Paste {what} for {} (hidden): ", credential.provider);
    take_value(app, &prompt, Hidden::Key, Alphabet::Key)
}

/// Refuses what cannot be right and questions what looks wrong.
///
/// # Errors
/// `Failed` when the value is refused, or doubtful with nobody there to confirm it.
pub fn check(app: &App, credential: &Credential, value: &Secret, force: bool) -> Result<()> {
    if value.has_white_space() {
        return Err(
            Error::failed("the value has blanks inside; tokens and keys have none")
                .hint("copy it again, from its first to its last character"),
        );
    }
    if credential.kind == SecretKind::Token {
        provider::check_token(&credential.provider, value)?;
    }
    let Some(doubt) = provider::doubt(&credential.provider, credential.kind, value) else {
        return Ok(());
    };
    if force {
        return Ok(());
    }
    match app.person()? {
        Some(mut terminal) => {
            if terminal.confirm(
                &format!(
                    "{doubt}. Store it for {} all the same?",
                    credential.provider
                ),
                false,
            )? {
                Ok(())
            } else {
                Err(Error::cancelled())
            }
        }
        None => Err(Error::failed(format!(
            "{doubt}, not of {}; nothing was stored",
            credential.provider
        ))
        .hint("if it is right all the same: add --force")),
    }
}

/// Puts the value into the vault and its profile into auth-profiles.json.
///
/// # Errors
/// As the vault's; the profile is noted only once the value is durable.
pub fn store(
    app: &App,
    agent: &AgentId,
    credential: &Credential,
    value: Secret,
    reload: Reload,
) -> Result<()> {
    let mut opened = app.open()?;
    let now = app.host.now();
    let id = credential.profile.secret_id(agent);
    let meta = Meta {
        kind: credential.kind,
        provider: Some(credential.provider.clone()),
        created: now,
        updated: now,
        expires: credential.expires,
        was_plaintext: false,
    };
    refuse_taken(app, &opened, agent, credential)?;
    let is_new = opened.get(&id)?.is_none();
    opened.put(&id, value, &meta)?;
    let link = LinkRecord::load(&app.dir)?;
    let path = record::profiles_path(&app.dir, link.as_ref(), agent, &credential.provider);
    profiles::edit(&path, &app.host, |file| {
        file.set_ref(
            &credential.profile,
            &credential.provider,
            credential.kind,
            &SecretRef::to(&id),
            // OpenClaw knows no expiry of an API key; the vault keeps it.
            credential
                .expires
                .filter(|_| credential.kind == SecretKind::Token),
        )
    })
    .map_err(|error| {
        error.context(format!(
            "the value is in the vault as {id}, but its profile is not noted"
        ))
    })?;
    app.ui.say(&format!(
        "Auth profile: {} ({}/{})",
        credential.profile,
        credential.provider,
        credential.kind.name()
    ));
    if credential.expires.is_some() {
        app.ui
            .say(&format!("Expires: {}", ui::expiry(credential.expires, now)));
    }
    app.ui.say(&format!("Vault: {}", app.dir.display()));
    match link {
        Some(link) => uptake::announce(app, &mut opened, link, agent, credential, is_new, reload),
        None => Ok(()),
    }
}

/// An OAuth login cannot be a ref, and overwriting it would log the person out; and a profile of
/// another provider has a value of its own that would be lost.
fn refuse_taken(
    app: &App,
    opened: &Opened,
    agent: &AgentId,
    credential: &Credential,
) -> Result<()> {
    let link = LinkRecord::load(&app.dir)?;
    let file = record::load_profiles(&app.dir, link.as_ref(), agent)?;
    let (profile, provider) = (&credential.profile, &credential.provider);
    let noted = file
        .profiles()
        .into_iter()
        .find(|noted| noted.id == *profile);
    let another = || format!("use another one: --profile-id {provider}:manual");
    if noted
        .as_ref()
        .is_some_and(|noted| noted.kind == ProfileKind::Oauth)
    {
        return Err(Error::failed(format!(
            "the profile {profile} is an OAuth login, which only OpenClaw can hold"
        ))
        .hint(another()));
    }
    let kept = opened
        .get(&profile.secret_id(agent))?
        .and_then(|(_, meta)| meta.provider);
    let owner = noted.map(|noted| noted.provider).or(kept);
    match owner {
        Some(owner) if owner != *provider => Err(Error::failed(format!(
            "the profile {profile} is for {owner}, not {provider}; nothing was stored"
        ))
        .hint(another())),
        _ => Ok(()),
    }
}

fn add(app: &App, agent: &AgentId, args: &Add) -> Result<()> {
    let Some(mut terminal) = app.person()? else {
        return Err(Error::usage(
            "this command asks questions, and there is no terminal to ask on",
        )
        .hint("clawkeep models auth paste-token --provider anthropic"));
    };
    app.open()?;
    let provider = args.provider.as_deref().map(ProviderId::parse);
    let given = Given {
        provider: provider.transpose()?,
        ..Given::default()
    };
    let (credential, value) = ask_everything(app, &mut terminal, &given, "manual")?;
    let reload = Reload::unless(args.no_reload);
    store(app, agent, &credential, value, reload)
}

/// A name, at a visible prompt. A credential that was pasted one question too early is not taken for
/// one: names are shown, and stand in files.
fn ask_name(terminal: &mut Terminal, prompt: &str) -> Result<String> {
    loop {
        let typed = terminal.ask_line(prompt)?;
        if !provider::is_shaped_as_credential(typed.trim()) {
            return Ok(typed);
        }
        terminal.show(
            "That looks like a token or key, and this is the question for a name. It was not stored, \
             but it stands on this screen now: replace it at its provider.\n",
        )?;
    }
}

/// What is known of a credential before anybody is asked.
#[derive(Default)]
pub struct Given {
    /// Whose it is.
    pub provider: Option<ProviderId>,
    /// Token or API key.
    pub kind: Option<SecretKind>,
    /// Its profile.
    pub profile: Option<ProfileId>,
    /// From now until it stops working, as typed.
    pub expires: Option<String>,
    /// Take a value that looks like another provider's.
    pub force: bool,
}

/// Provider, kind, profile, value and expiry, one question each for what is not given. An answer that
/// cannot be one is said, and asked for again.
///
/// # Errors
/// `Cancelled`; `Usage` when what is given is wrong.
pub fn ask_everything(
    app: &App,
    terminal: &mut Terminal,
    given: &Given,
    default_name: &str,
) -> Result<(Credential, Secret)> {
    let now = app.host.now();
    let until = |text: &str| expires_in(text, now);
    let expires = given.expires.as_deref().map(until).transpose()?;
    let provider = match &given.provider {
        Some(provider) => provider.clone(),
        None => again(app, || {
            let typed = ask_name(terminal, "Provider [anthropic]: ")?;
            ProviderId::parse(or(&typed, "anthropic"))
        })?,
    };
    let kind = match given.kind {
        Some(kind) => kind,
        None => ask_kind(terminal, &provider)?,
    };
    let profile = match &given.profile {
        Some(profile) => profile.clone(),
        None => again(app, || {
            let default = ProfileId::of(&provider, default_name);
            let typed = ask_name(terminal, &format!("Profile [{default}]: "))?;
            ProfileId::parse(or(&typed, default.as_str()))
        })?,
    };
    let mut credential = Credential {
        provider,
        profile,
        kind,
        expires,
    };
    let value = again(app, || {
        let value = ask(app, &credential)?;
        check(app, &credential, &value, given.force).map(|()| value)
    })?;
    if expires.is_none() && terminal.confirm("Does it expire?", kind == SecretKind::Token)? {
        credential.expires = Some(again(app, || {
            let typed = terminal.ask_line("In how long [365d]: ")?;
            until(or(&typed, "365d"))
        })?);
    }
    Ok((credential, value))
}

/// How often a person is asked again.
const AGAIN: usize = 5;

/// Asks until the answer can be one.
fn again<T>(app: &App, mut asks: impl FnMut() -> Result<T>) -> Result<T> {
    let mut left = AGAIN;
    loop {
        match asks() {
            Err(error)
                if matches!(error.kind(), Kind::Usage | Kind::Failed | Kind::Broken)
                    && left > 1 =>
            {
                left -= 1;
                app.ui.say(&format!("{}.", ui::capital(error.message())));
                if let Some(hint) = error.hint_text() {
                    app.ui.say(&format!("hint: {hint}"));
                }
            }
            other => return other,
        }
    }
}

/// What was typed, or what is taken for an empty line.
fn or<'t>(typed: &'t str, default: &'t str) -> &'t str {
    match typed.trim() {
        "" => default,
        typed => typed,
    }
}

fn ask_kind(terminal: &mut Terminal, provider: &ProviderId) -> Result<SecretKind> {
    let is_anthropic = provider.as_str() == "anthropic";
    let token = if is_anthropic {
        "setup-token (claude setup-token)"
    } else {
        "token"
    };
    let kinds = [("t", token), ("k", "API key")];
    let default = if is_anthropic { "t" } else { "k" };
    Ok(
        match terminal.choose("What is it?", &kinds, Some(default))? {
            "t" => SecretKind::Token,
            _ => SecretKind::ApiKey,
        },
    )
}

fn list(app: &App, agent: &AgentId, args: &List) -> Result<()> {
    let provider = args
        .provider
        .as_deref()
        .map(ProviderId::parse)
        .transpose()?;
    let link = LinkRecord::load(&app.dir)?;
    let homes = record::homes(&app.dir, link.as_ref(), agent);
    let path = &homes[0];
    let file = record::load_profiles(&app.dir, link.as_ref(), agent)?;
    let now = app.host.now();
    let profiles: Vec<_> = file
        .profiles()
        .into_iter()
        .filter(|profile| {
            provider
                .as_ref()
                .is_none_or(|wanted| *wanted == profile.provider)
        })
        .collect();
    let marks = Marks::look(app, &profiles);
    if args.json {
        let rows: Vec<_> = profiles
            .iter()
            .map(|profile| {
                let expires = match profile.expires {
                    Expires::At(at) => Some(at.get()),
                    Expires::Never | Expires::Invalid => None,
                };
                json!({
                    "id": profile.id.as_str(),
                    "provider": profile.provider.as_str(),
                    "type": profile.kind.name(),
                    "label": profile.id.as_str(),
                    "ref": profile.reference.as_ref().map(SecretRef::to_value),
                    "plaintext": profile.plaintext,
                    "expires": expires,
                    "wasPlaintext": marks.of(profile.reference.as_ref()),
                })
            })
            .collect();
        return app.ui.document(&json!({
            "agentId": agent.as_str(),
            "agentDir": path.parent().map(|dir| dir.display().to_string()),
            "authStorePath": path.display().to_string(),
            "provider": provider.as_ref().map(ProviderId::as_str),
            "profiles": rows,
        }));
    }
    if profiles.is_empty() {
        app.ui
            .say("There are no profiles.\nhint: clawkeep models auth add");
        return Ok(());
    }
    let mut rows = vec![
        ["PROFILE", "PROVIDER", "TYPE", "VALUE", "EXPIRES"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for profile in &profiles {
        let place = match (&profile.reference, profile.plaintext) {
            (Some(reference), false) if reference.is_ours() => {
                if marks.of(Some(reference)) == Some(true) {
                    "vault, was plaintext".to_owned()
                } else {
                    "vault".to_owned()
                }
            }
            (Some(_), false) => "another secret provider".to_owned(),
            (_, true) => "PLAINTEXT in the file".to_owned(),
            (None, false) => "none".to_owned(),
        };
        let expires = match profile.expires {
            Expires::Never => "never".to_owned(),
            Expires::At(at) => ui::expiry(Some(at), now),
            Expires::Invalid => "invalid: OpenClaw will not use it".to_owned(),
        };
        rows.push(vec![
            profile.id.to_string(),
            profile.provider.to_string(),
            profile.kind.name().to_owned(),
            place,
            expires,
        ]);
    }
    app.ui.table(&rows)
}

/// The default name of a setup-token's profile, and how long Anthropic says that one lives.
pub fn setup_credential(app: &App, setup: &SetupToken) -> Result<Credential> {
    let expires = setup.expires_in.as_deref().unwrap_or("365d");
    credential(
        app,
        &setup.provider,
        setup.profile_id.as_deref(),
        "default",
        SecretKind::Token,
        Some(expires),
    )
}
