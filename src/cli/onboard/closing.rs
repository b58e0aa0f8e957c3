//! The end of a first run: what the gateway would get, what the doctor finds, what a person types next.
//! Ring 4.

use super::Steps;
use crate::cli::app::App;
use crate::cli::args::{Doctor, Onboard};
use crate::cli::auth::Credential;
use crate::cli::link::{self, Linked};
use crate::cli::opened::Opened;
use crate::cli::record::LinkRecord;
use crate::cli::{doctor, proof, survey, ui};
use crate::doctor::Severity;
use crate::error::{Error, Result};
use crate::provider::AgentId;
use crate::store::Resolve;

/// Proves what was stored and linked, and sums up. `is_wanted`: there is an OpenClaw that was to be linked.
///
/// # Errors
/// What the first step that failed said, in one line; `Failed` when the gateway would get something else.
pub(super) fn run(
    steps: &mut Steps<'_>,
    args: &Onboard,
    credential: Option<&Credential>,
    is_wanted: bool,
    linked: Option<&Linked>,
) -> Result<()> {
    let app = steps.app;
    let mut is_proven = true;
    if let Some(credential) = credential {
        let record = linked.map(|linked| &linked.record);
        is_proven = steps.run(|_| prove(app, credential, record))? == Some(true);
    }
    if let Some(linked) = linked {
        steps.run(|_| link::prove(app, &linked.record, &linked.ids))?;
    }
    let works = steps.failed.is_none() && is_proven;
    let clean = steps.run(|_| examined(app, args, works))?;
    let is_whole = linked.is_none_or(Linked::is_whole);
    let is_left = is_wanted && linked.is_none() && steps.failed.is_none();
    if clean == Some(true) && is_whole && is_proven && !is_left && steps.failed.is_none() {
        app.ui.good("All is well.");
    }
    // What a person types next comes last.
    if let Some(linked) = linked {
        steps.run(|_| linked.verdict(app))?;
    }
    if is_left {
        app.ui
            .say("OpenClaw is not linked: it asks the vault for nothing yet.\nhint: clawkeep link");
    }
    if let Some(error) = steps.failed.take() {
        return Err(Error::new(
            error.kind(),
            "not everything is done: a step failed, as said above",
        )
        .hint("mend that, then go on from there: clawkeep onboard"));
    }
    Ok(())
}

/// What the doctor finds, in short. Whether that is nothing.
fn examined(app: &App, args: &Onboard, works: bool) -> Result<bool> {
    let report = doctor::report(
        app,
        &Doctor {
            fix: false,
            yes: false,
            // What is not to be linked is not looked for.
            openclaw: args.link.openclaw.clone(),
            json: false,
        },
    )?;
    let findings = report.findings();
    let grave = findings
        .iter()
        .filter(|(_, finding)| finding.severity != Severity::Note);
    let works = works
        && !findings
            .iter()
            .any(|(_, one)| one.severity == Severity::Error);
    let mut count = 0;
    for (_, finding) in grave {
        if count == 0 {
            app.ui.say(if works {
                "It works, and this is left to do:"
            } else {
                "This is left to do:"
            });
        }
        count += 1;
        app.ui.say(&format!("  {}", ui::capital(&finding.what)));
        app.ui.say(&format!("  hint: {}", finding.hint));
    }
    app.ui.say(&format!(
        "{} passed (clawkeep doctor).",
        ui::counted(report.passed() as u64, "check", "checks")
    ));
    Ok(count == 0)
}

/// Resolves the credential back as the gateway would, and compares. Whether a gateway gets it.
fn prove(app: &App, credential: &Credential, record: Option<&LinkRecord>) -> Result<bool> {
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
        let (args, pass_env) = survey::resolver(app, &opened)?;
        (app.host.program()?, args, pass_env)
    };
    let answers = proof::ask(&app.host, &command, &args, &pass_env, &[id.to_string()])?;
    match answers.value(id.as_str()) {
        Some(value) if value.same_as(&kept) => {
            app.ui.say(&format!(
                "Resolved {id} as the gateway would: it is the value that you entered."
            ));
            Ok(true)
        }
        Some(_) => Err(Error::broken(format!(
            "the gateway would get another value for {id} than you entered"
        ))),
        None if !opens_alone(&opened) => {
            app.ui.say("A gateway cannot open this vault by itself: its only slot needs a person.\nhint: clawkeep slot add identity-file");
            Ok(false)
        }
        None => Err(Error::failed(format!(
            "the gateway would not get {id}: {}",
            answers.code(id.as_str()).unwrap_or("no answer")
        ))
        .hint("clawkeep slot list")),
    }
}

/// Whether the vault opens without a person.
pub(super) fn opens_alone(opened: &Opened) -> bool {
    match opened {
        Opened::File(vault) => vault
            .contents()
            .slots
            .iter()
            .any(|slot| slot.kind.unattended()),
        Opened::Keychain(_) | Opened::Keeper(_) => true,
    }
}
