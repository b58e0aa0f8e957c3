//! A link's plan before a person's eyes: every change, one line each. Ring 4; changes nothing.

use super::app::App;
use super::survey::Survey;
use crate::error::Result;
use crate::openclaw::link::{GatewayToken, Plan, RefKind};
use crate::openclaw::version::Lane;
use crate::secret::SecretKind;

/// Says what the plan will do.
///
/// # Errors
/// `Failed` when the folder of openclaw.json cannot be listed.
pub fn show(app: &App, survey: &Survey, plan: &Plan) -> Result<()> {
    let say = |line: String| app.ui.say(&line);
    let config = survey.places.config();
    say(format!(
        "OpenClaw {} with {}",
        survey.install.version(),
        config.display()
    ));
    if plan.changes_config() {
        say(format!(
            "  {}: {} changes",
            config.display(),
            plan.edits.len()
        ));
        for edit in &plan.edits {
            let what = if edit.value.is_some() {
                "set"
            } else {
                "removed"
            };
            say(format!("    {} {what}", edit.path.join(".")));
        }
    }
    for (provider, kind) in &plan.kinds {
        let how = match kind {
            RefKind::Config => "one reference in openclaw.json",
            RefKind::Profiles => "a reference in each profile",
        };
        say(format!("  {provider}: {how}"));
    }
    for planted in &plan.profile_refs {
        let kind = if planted.kind == SecretKind::ApiKey {
            "keyRef"
        } else {
            "tokenRef"
        };
        say(format!(
            "    profile {} of agent {}: {kind} to {}",
            planted.held.profile, planted.held.agent, planted.reference.id
        ));
    }
    for held in &plan.profile_removals {
        say(format!(
            "    profile {} of agent {}: removed, a reference in openclaw.json takes its place",
            held.profile, held.agent
        ));
    }
    for order in &plan.orders {
        let ids: Vec<&str> = order
            .profiles
            .iter()
            .map(crate::provider::ProfileId::as_str)
            .collect();
        say(format!(
            "    order of {} for agent {}: {}",
            order.provider,
            order.agent,
            ids.join(", ")
        ));
    }
    if plan.lane == Lane::Plan
        && !(plan.profile_refs.is_empty() && plan.profile_removals.is_empty())
    {
        say("    (OpenClaw's own command line changes these in its database)".to_owned());
    }
    say(match &plan.gateway {
        GatewayToken::KeepInVault(_) => {
            "  gateway token: moves into the vault, unchanged".to_owned()
        }
        GatewayToken::Random => "  gateway token: a new random one, in the vault".to_owned(),
        GatewayToken::AlreadyOurs => "  gateway token: in the vault".to_owned(),
        GatewayToken::LeftAlone(_) => "  gateway token: left as it is".to_owned(),
    });
    if matches!(plan.gateway, GatewayToken::KeepInVault(_)) {
        for copy in survey.places.config_copies()? {
            say(format!(
                "  {}: the gateway token is scrubbed where it stands",
                copy.display()
            ));
        }
    }
    for refused in &plan.refused {
        say(format!(
            "  {}: left as it is: {}\n  hint: {}",
            refused.provider, refused.reason, refused.hint
        ));
    }
    for note in &plan.notes {
        say(format!("  note: {note}"));
    }
    Ok(())
}
