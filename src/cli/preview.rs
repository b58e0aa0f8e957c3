//! A link before a person's eyes: every change to come, one line each, and afterwards what was done
//! and what is left. Ring 4; changes nothing.

use super::app::App;
use super::survey::Survey;
use crate::error::Result;
use crate::openclaw::link::{Applied, Finding, GatewayToken, Plan, RefKind};
use crate::openclaw::profiles::{ProfileKind, ProfilesFile};
use crate::openclaw::version::Lane;
use crate::secret::SecretKind;
use std::path::Path;

/// Says what the plan will do. `has_token`: the vault holds the gateway's token from before.
///
/// # Errors
/// `Failed` when the folder of openclaw.json cannot be listed.
pub fn show(app: &App, survey: &Survey, plan: &Plan, has_token: bool) -> Result<()> {
    let say = |line: String| app.ui.say(&line);
    let config = survey.places.config();
    say(format!(
        "OpenClaw {} with {}",
        survey.install.version(),
        config.display()
    ));
    if plan.changes_config() {
        say(format!(
            "  {}: {} change{}",
            config.display(),
            plan.edits.len(),
            if plan.edits.len() == 1 { "" } else { "s" }
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
            "    profile {} of agent {}: removed, {}",
            held.profile,
            held.agent,
            if plan.kinds.get(&held.provider) == Some(&RefKind::Config) {
                "a reference in openclaw.json takes its place"
            } else {
                "the vault has no value for it"
            }
        ));
    }
    for order in &plan.orders {
        say(format!(
            "    order of {} for agent {}: {}",
            order.provider,
            order.agent,
            crate::provider::ProfileId::listed(&order.profiles)
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
        GatewayToken::Random if has_token => {
            "  gateway token: the one that is in the vault already".to_owned()
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

/// Says what was done, and gives what can be typed about what is left.
pub fn done(app: &App, done: &Applied) -> Vec<String> {
    let mut left = Vec::new();
    for copy in &done.copies_scrubbed {
        app.ui.say(&format!(
            "Scrubbed the gateway token from {}",
            copy.display()
        ));
    }
    for (copy, error) in &done.copies_left {
        app.ui.say(&format!(
            "{} may still hold the gateway token: {}",
            copy.display(),
            error.message()
        ));
        left.push(format!("rm {}", copy.display()));
    }
    for note in &done.notes {
        app.ui.say(&format!("note: {note}"));
    }
    let Some(audit) = &done.audit else {
        return left;
    };
    for finding in &audit.findings {
        app.ui.say(&format!(
            "audit: {} at {} in {}",
            finding.code, finding.place, finding.file
        ));
        if let Some(hint) = about(finding) {
            app.ui.say(&format!("  {}", hint.said));
            left.push(hint.command);
        }
    }
    if audit.is_clean() {
        app.ui.say(&format!(
            "OpenClaw's audit: clean, {} references resolved.",
            audit.checked
        ));
    } else if left.is_empty() {
        left.push("openclaw secrets audit --check --allow-exec".to_owned());
    }
    left.dedup();
    left
}

struct About {
    said: String,
    command: String,
}

/// What OpenClaw's `doctor --fix` left of an auth-profiles.json that it imported.
fn about(finding: &Finding) -> Option<About> {
    let path = Path::new(&finding.file);
    let name = path.file_name()?.to_str()?;
    if finding.code != "LEGACY_RESIDUE" || !name.starts_with("auth-profiles.json.migrated") {
        return None;
    }
    let file = ProfilesFile::load(path).ok()??;
    let holds = file
        .profiles()
        .iter()
        .any(|profile| profile.plaintext || profile.kind == ProfileKind::Oauth);
    let said = if holds || file.unreadable() > 0 {
        "OpenClaw's copy of what it imported, with credentials in plaintext: remove it when all of \
         them work"
    } else {
        "OpenClaw's copy of what it imported; it holds references, no credential, and can go"
    };
    Some(About {
        said: said.to_owned(),
        command: format!("rm {}", path.display()),
    })
}
