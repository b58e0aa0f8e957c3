//! What a person types between a link and a gateway that answers. Ring 4; reads, changes nothing.
//!
//! Source: OpenClaw 2026.9.6, run in an empty home: a gateway does not start from a configuration
//! without `gateway.mode`, and without a default model it asks OpenAI.

use super::survey::Survey;
use crate::openclaw::link::Plan;

/// The commands, in order; none when OpenClaw's configuration says both already.
pub fn commands(survey: &Survey, plan: &Plan) -> Vec<String> {
    let mut commands = Vec::new();
    if !plan.after.has(&["gateway", "mode"]) {
        commands.push("openclaw config set gateway.mode local".to_owned());
    }
    let names_model = [
        &["agents", "defaults", "model"][..],
        &["agents", "defaults", "models"],
        &["agent", "model"],
    ]
    .iter()
    .any(|path| plan.after.has(path));
    if !names_model && let Some(provider) = plan.kinds.keys().next() {
        commands.push(match survey.install.first_model(provider) {
            Some(model) => {
                format!("openclaw models set {provider}/{model}   # or another of its models")
            }
            None => "openclaw configure --section model".to_owned(),
        });
    }
    if commands.is_empty() {
        return commands;
    }
    commands.push("openclaw gateway run --bind loopback".to_owned());
    commands
}
