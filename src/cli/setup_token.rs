//! `models auth setup-token`: lets Claude Code make the token, then takes it. Ring 4.

use super::app::App;
use super::args::SetupToken;
use super::auth;
use super::reload::Reload;
use crate::error::{Error, Result};
use crate::provider::{AgentId, ProviderId};

/// Runs `claude setup-token` on the alternate screen where it is installed and a person is there;
/// otherwise says how; then takes the token.
///
/// # Errors
/// `Failed` for a provider without setup-tokens; `Cancelled`.
pub fn run(app: &App, agent: &AgentId, args: &SetupToken) -> Result<()> {
    let provider = ProviderId::parse(&args.provider)?;
    if provider.as_str() != "anthropic" {
        return Err(Error::failed("only anthropic has setup-tokens")
            .hint("clawkeep models auth paste-token --provider NAME"));
    }
    let credential = auth::setup_credential(app, args)?;
    app.open()?;
    if let Some(mut terminal) = app.person()? {
        match app.host.on_path("claude") {
            Some(claude) if args.yes || terminal.confirm("Run `claude setup-token` now?", true)? => {
                // Its output holds the token: on the alternate screen it leaves no scrollback.
                terminal.alternate_screen(|terminal| {
                    let status = std::process::Command::new(&claude)
                        .arg("setup-token")
                        .status()
                        .map_err(|error| Error::io("run", &claude, &error))?;
                    if !status.success() {
                        return Err(Error::failed("`claude setup-token` did not finish")
                            .hint("run it by itself, then: clawkeep models auth paste-token --provider anthropic"));
                    }
                    terminal.ask_line("Copy the token, then press Enter: ").map(|_| ())
                })?;
            }
            Some(_) => {}
            None => app.ui.say("Claude Code is not on PATH. Run `claude setup-token` on a machine that has it and copy what it prints."),
        }
    }
    let value = auth::ask(app, &credential)?;
    auth::check(app, &credential, &value, false)?;
    let reload = Reload::unless(args.no_reload);
    auth::store(app, agent, &credential, value, reload)
}
