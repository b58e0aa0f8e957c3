//! Credentials in the clear, in every place where a migration looks. Ring 4; reads. No value leaves this
//! file.

use super::theirs::Theirs;
use crate::cli::app::App;
use crate::doctor::facts::{PlainFact, PlainForm};
use crate::doctor::{Known, NotKnown};
use crate::error::{Error, Result};
use crate::migrate::find::Found;
use crate::migrate::item::{self, Item, What};
use crate::migrate::source::{self, Folders, Form};
use crate::migrate::variable::GATEWAY_TOKENS;
use crate::openclaw::database;
use crate::openclaw::elsewhere::{Holder, Reference};
use crate::openclaw::install::Install;
use crate::openclaw::plaintext::Document;
use crate::openclaw::version::Lane;
use crate::provider::variables::{Holds, VARIABLES};
use crate::provider::{AgentId, ProfileId, ProviderId};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A profile in a database: whose, which, of what, and whether it is a login.
pub(super) type Row = (AgentId, ProfileId, ProviderId, bool);

/// What was found.
pub(super) struct Plain {
    /// Credentials in the clear.
    pub(super) found: Known<Vec<PlainFact>>,
    /// What could not be looked through.
    pub(super) unseen: Vec<String>,
    /// What an import left.
    pub(super) leftovers: Vec<PathBuf>,
    /// Profiles in OpenClaw's databases that are not ours.
    pub(super) rows: Vec<Row>,
    /// References in its databases that others answer.
    pub(super) elsewhere: BTreeSet<(Holder, Reference)>,
    /// The names in OpenClaw's own store of secrets, where its database could be read.
    pub(super) own_store: Option<BTreeSet<String>>,
}

/// Looks through everything.
pub(super) fn take(app: &App, theirs: &Theirs, install: &Known<Install>) -> Plain {
    let mut plain = Plain {
        found: Ok(Vec::new()),
        unseen: Vec::new(),
        leftovers: Vec::new(),
        rows: Vec::new(),
        elsewhere: BTreeSet::new(),
        own_store: None,
    };
    plain.found = look(app, theirs, install, &mut plain)
        .map_err(|error| NotKnown(error.message().to_owned()));
    plain
}

fn look(
    app: &App,
    theirs: &Theirs,
    install: &Known<Install>,
    plain: &mut Plain,
) -> Result<Vec<PlainFact>> {
    let home = app.host.home()?;
    let config_home = app
        .host
        .path_var("XDG_CONFIG_HOME")
        .unwrap_or_else(|| home.join(".config"));
    let sources = source::all(&Folders {
        places: &theirs.places,
        config: Some(&theirs.config),
        home: &home,
        config_home: &config_home,
        current: &app.host.absolute(Path::new("."))?,
        named: &[],
    })?;
    let imports = sources
        .iter()
        .filter(|source| is_import(&source.path, &source.form));
    plain
        .leftovers
        .extend(imports.map(|source| source.path.clone()));
    let mut found = Found::new()?;
    let reads = found.files(&sources, false);
    let mut files = Vec::new();
    if let (Some(Lane::Plan), Ok(install)) = (theirs.lane, install) {
        match database::read(install, &theirs.places, &theirs.config) {
            Ok(contents) => {
                files.clone_from(&contents.files);
                plain.rows = rows(&contents);
                plain.elsewhere = contents
                    .elsewhere
                    .iter()
                    .map(|one| (Holder::Profile(one.profile.clone()), one.reference.clone()))
                    .collect();
                plain.own_store = Some(contents.own_names());
                found.database(contents, reads.len());
            }
            Err(error) => plain.unseen.push(reason(&error)),
        }
    }
    let unseen = found.unseen.iter();
    plain.unseen.extend(
        unseen.map(|unseen| format!("{}: {}", item::short(&unseen.path, &home), unseen.reason)),
    );
    let mut facts: Vec<PlainFact> = found
        .items
        .iter()
        .filter_map(|item| {
            let read = reads.get(item.source);
            let path = match read {
                Some(read) => read.source.path.as_path(),
                None => files.get(item.source - reads.len())?.as_path(),
            };
            let form = read.map(|read| &read.source.form);
            let of_service = form.is_some_and(is_of_service);
            Some(PlainFact {
                place: item::said(path, &item.at, &home),
                form: form_of(item, form, of_service)?,
                of_service,
            })
        })
        .collect();
    facts.extend(own_variables(app, theirs));
    Ok(facts)
}

fn reason(error: &Error) -> String {
    error.message().to_owned()
}

/// What OpenClaw's own audit complains about, whatever is in it.
fn is_import(path: &Path, form: &Form) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    *form == Form::Json(Document::Leftover) && name.is_some_and(|name| name.contains(".migrated-"))
}

fn is_of_service(form: &Form) -> bool {
    use crate::assignment::Language as L;
    matches!(form, Form::Names(L::Unit | L::Plist | L::EnvironmentFile))
}

/// `None` for what is no credential of ours to speak of: a login that OpenClaw renews, a guess.
fn form_of(item: &Item, form: Option<&Form>, of_service: bool) -> Option<PlainForm> {
    let is_variable = item.variable().is_some();
    let plain = match &item.what {
        What::Stays(_) | What::CopiedLogin => return None,
        What::Carried if !of_service => return None,
        What::Key(readers) => PlainForm::Variable(
            readers
                .iter()
                .map(|reader| reader.provider.clone())
                .collect(),
        ),
        What::GatewayToken if is_variable => PlainForm::GatewayVariable,
        What::Profile {
            provider,
            is_stored: true,
            ..
        } => PlainForm::Profile(provider.clone()),
        What::ProviderKey { provider, .. } => PlainForm::ConfigKey(provider.clone()),
        What::Copied => PlainForm::Copy,
        What::GatewayToken
        | What::Profile { .. }
        | What::Slot(_)
        | What::Behind
        | What::Carried => PlainForm::Setting,
    };
    let is_copy = form.is_some_and(Form::is_copy);
    Some(match plain {
        _ if is_copy => PlainForm::Copy,
        // A later line of the file has another value: this one is not used.
        PlainForm::Variable(_) | PlainForm::GatewayVariable if item.is_stale => PlainForm::Setting,
        other => other,
    })
}

fn rows(contents: &database::Contents) -> Vec<Row> {
    let stored = contents.stored.iter();
    let stored = stored.map(|one| {
        (
            one.place.agent(),
            one.profile.clone(),
            one.provider.clone(),
            false,
        )
    });
    let logins = contents.logins.iter();
    let logins = logins.map(|one| {
        (
            one.place.agent(),
            one.profile.clone(),
            one.provider.clone(),
            true,
        )
    });
    stored.chain(logins).collect()
}

/// The variables of this very process that would win over a reference: what is started from here has
/// them too.
fn own_variables(app: &App, theirs: &Theirs) -> Vec<PlainFact> {
    let Ok(link) = &theirs.link else {
        return Vec::new();
    };
    let providers = link.config_refs();
    let mut found = Vec::new();
    for (name, variables) in VARIABLES {
        let Some(provider) = ProviderId::parse(name)
            .ok()
            .filter(|name| providers.contains(name))
        else {
            continue;
        };
        for variable in variables
            .iter()
            .filter(|variable| variable.holds != Holds::Setting)
        {
            if app.host.var(variable.name).is_some() {
                found.push(PlainFact {
                    place: format!("the environment, {},", variable.name),
                    form: PlainForm::Variable(vec![provider.clone()]),
                    of_service: false,
                });
            }
        }
    }
    let asks_token = link
        .refs
        .iter()
        .any(|(path, _)| path.join(".") == "gateway.auth.token");
    for name in GATEWAY_TOKENS {
        if asks_token && app.host.var(name).is_some() {
            found.push(PlainFact {
                place: format!("the environment, {name},"),
                form: PlainForm::GatewayVariable,
                of_service: false,
            });
        }
    }
    found
}
