//! `models status` for people. Ring 4.
//!
//! Promise: what is said by a colour is said by a word too, and every line makes sense when it is read aloud.

use super::causes;
use super::gather::Gathered;
use super::probe::{Outcome, Probed};
use super::value::Lies;
use super::vault::State;
use super::words;
use crate::cli::app::App;
use crate::cli::args::ModelsStatus;
use crate::cli::status::opened_by;
use crate::cli::table::{self, Cell, Screen, Table, Tone};
use crate::cli::ui;
use crate::error::Result;
use crate::openclaw::elsewhere::Answer;
use crate::openclaw::models::ModelRef;
use crate::status::{Proof, Provider, Winner};
use std::fmt::Write as _;

/// Everything.
///
/// # Errors
/// `BrokenPipe` when the reader has gone.
pub(super) fn all(
    app: &App,
    gathered: &Gathered,
    args: &ModelsStatus,
    probed: Option<&Probed>,
) -> Result<()> {
    let screen = Screen::of(app);
    let show = Show {
        app,
        dates: ui::Dates::here(),
        gathered,
        screen,
    };
    show.head()?;
    for provider in &gathered.report.providers {
        show.provider(provider)?;
    }
    if gathered.report.providers.is_empty() {
        app.ui
            .say("There is no profile.\nhint: clawkeep models auth add");
    }
    if let Some(probed) = probed {
        show.probed(probed)?;
    }
    show.verdict(args)?;
    for note in &gathered.notes {
        // What can be typed stands on a line of its own; of what a name may hold, nothing does.
        let said = match note.rsplit_once(" hint: ") {
            Some((what, hint)) => format!("note: {what}\nhint: {hint}"),
            None => format!("note: {note}"),
        };
        app.ui.say(&said);
    }
    Ok(())
}

struct Show<'a> {
    app: &'a App,
    dates: ui::Dates,
    gathered: &'a Gathered,
    screen: Screen,
}

impl Show<'_> {
    fn line(&self, label: &str, text: &str) -> Result<()> {
        self.app.ui.entry(&format!("{label}: {text}"))
    }

    /// A line that begins in a tone, in lines of the terminal's width.
    fn painted(&self, start: &str, tone: Tone, rest: &str) -> Result<()> {
        let line = ui::plain(&format!("{start}{rest}"));
        let lines = match self.screen.width {
            Some(width) => table::wrapped(&line, width.saturating_sub(4)),
            None => vec![line],
        };
        for (number, line) in lines.iter().enumerate() {
            self.app.ui.data(&match line.strip_prefix(start) {
                Some(rest) if number == 0 => {
                    format!("{}{rest}", tone.paint(start, self.screen.colours))
                }
                _ if number == 0 => line.clone(),
                _ => format!("    {line}"),
            })?;
        }
        Ok(())
    }

    fn head(&self) -> Result<()> {
        let gathered = self.gathered;
        let short = |path| gathered.short(path);
        self.line("Vault", &self.vault())?;
        if let Some(error) = gathered.vault.state.error()
            && let Some(hint) = error.hint_text()
        {
            self.app.ui.say(&format!("hint: {hint}"));
        }
        self.line("References", &self.references())?;
        if let Some(said) = words::elsewhere(&gathered.report.elsewhere) {
            self.line("Other references", &said)?;
        }
        let version = gathered.version.as_ref().map(ToString::to_string);
        let version = version.unwrap_or_else(|| "of an unknown version".to_owned());
        let linked = match &gathered.link {
            Some(link) if link.is_pending() => "its link is being made",
            Some(_) => "linked",
            None => "not linked",
        };
        self.line("OpenClaw", &format!("{version}, {linked}"))?;
        self.line("State folder", &short(&gathered.state_dir))?;
        self.line("Configuration", &short(gathered.config.path()))?;
        let read: Vec<String> = gathered.read.iter().map(|path| short(path)).collect();
        let none = "none".to_owned();
        self.line(
            "Profiles",
            &if read.is_empty() {
                none
            } else {
                read.join(", ")
            },
        )?;
        self.line("Agent", gathered.agent.as_str())?;
        self.models()
    }

    fn models(&self) -> Result<()> {
        let models = &self.gathered.models;
        let label = models.default.as_ref().map(ModelRef::label);
        let default = match (&models.named, label) {
            (Some(named), Some(label)) if *named == label => label,
            (Some(named), Some(label)) => format!("{label} (from {named})"),
            (Some(named), None) => format!("{named}, of no provider that is known"),
            (None, Some(label)) => format!("{label}, OpenClaw's own: none is named"),
            (None, None) => "none is named".to_owned(),
        };
        let own = if models.is_agents_own {
            ", the agent's own"
        } else {
            ""
        };
        self.line("Default model", &format!("{default}{own}"))?;
        if !models.fallbacks.is_empty() {
            self.line("Fallback models", &models.fallbacks.join(", "))?;
        }
        let images = models.image.iter().chain(&models.image_fallbacks);
        let images: Vec<&str> = images.map(String::as_str).collect();
        if !images.is_empty() {
            self.line("Image models", &images.join(", "))?;
        }
        Ok(())
    }

    fn vault(&self) -> String {
        let dir = self.gathered.short(&self.app.dir);
        match &self.gathered.vault.state {
            State::Open(opened) => format!("{dir}, open {}", opened_by(opened)),
            State::Locked(error) => format!("{dir}, locked: {}", error.message()),
            State::Broken(error) => format!("{dir}, broken: {}", error.message()),
            State::Absent(error) => error.message().to_owned(),
        }
    }

    fn references(&self) -> String {
        match &self.gathered.report.proof {
            Proof::Nothing => "none to the vault".to_owned(),
            Proof::NotProven { reason, .. } => format!("not proven: {reason}"),
            Proof::Failed { what, .. } => format!("nobody answers: {what}"),
            Proof::Asked {
                as_gateway,
                answers,
            } => {
                let all = answers.len();
                let good = answers.values().filter(|code| code.is_none()).count();
                let how = if *as_gateway {
                    "give a value, asked as OpenClaw asks"
                } else {
                    "are in the vault; --check asks for them as OpenClaw does"
                };
                format!("{good} of {all} {how}")
            }
        }
    }

    fn provider(&self, provider: &Provider) -> Result<()> {
        let ui = self.app.ui;
        let facts = &provider.facts;
        ui.data("")?;
        let used = if provider.is_used {
            "in use"
        } else {
            "not in use"
        };
        let screen = self.screen;
        let rest = format!(": {used}, {}", words::health(provider));
        self.painted(facts.id.as_str(), Tone::Strong, &rest)?;
        self.line("  Uses", &self.uses(provider))?;
        let more_than_one = facts.selection.candidates.len() > 1;
        if more_than_one || facts.selection.source.is_order() {
            self.line("  Order", words::said(facts.selection.source))?;
        }
        if let Some(gone) = facts.selection.passed_over {
            let text = format!(
                "the list {} is passed over: every profile in it is gone",
                words::of(gone)
            );
            self.line("  Note", &text)?;
        }
        let mut table = Table::new(&["TRIED", "PROFILE", "TYPE", "VALUE", "STATE"], 1)
            .with_room(facts.selection.candidates.len());
        let mut turn = 0;
        let (mut tried, mut state) = (String::new(), String::new());
        for (candidate, health) in facts.selection.candidates.iter().zip(&provider.profiles) {
            turn += usize::from(candidate.is_tried());
            tried.clear();
            if candidate.is_tried() {
                let _ = write!(tried, "{turn}");
            } else {
                tried.push_str("no");
            }
            let profile = candidate.profile.as_ref();
            state.clear();
            let report = &self.gathered.report;
            let one = (candidate, *health);
            let tone = words::state(&self.dates, report, provider, one, &mut state);
            let value = profile.map(|profile| Lies::of(self.gathered, profile).said());
            table.row([
                Cell::from(tried.as_str()),
                Cell::from(candidate.id.as_str()),
                Cell::from(profile.map_or("none", |profile| profile.kind.name())),
                Cell::from(value.as_deref().unwrap_or("none")),
                Cell::new(state.as_str(), tone),
            ]);
        }
        if !table.is_empty() {
            ui.raw(table.render(screen, 2).as_bytes())?;
        }
        if let (Some(variable), Some(role)) = (&facts.variable, provider.role_of_variable()) {
            let text = format!(
                "{} in {}, {}",
                variable.name,
                variable.place,
                words::role_said(role)
            );
            self.line("  Variable", &text)?;
        }
        if let (Some(key), Some(role)) = (&facts.key, provider.role_of_key()) {
            let text = format!(
                "models.providers.{}.apiKey is {}, {}",
                facts.id,
                words::key_said(key),
                words::role_said(role)
            );
            self.line("  In openclaw.json", &text)?;
        }
        Ok(())
    }

    fn uses(&self, provider: &Provider) -> String {
        let facts = &provider.facts;
        match &provider.winner {
            Winner::Profile(id) => id.to_string(),
            Winner::Variable => {
                let name = facts
                    .variable
                    .as_ref()
                    .map_or("", |variable| &variable.name);
                format!("the variable {name}")
            }
            Winner::Config if facts.selects => match provider.next() {
                Some(next) if facts.selection.next().is_none() => format!(
                    "{next}, though it cannot be used: the one reference to {} gets an answer all the same",
                    facts.id.selection_id()
                ),
                Some(next) => format!(
                    "{next}, by the one reference to {}",
                    facts.id.selection_id()
                ),
                None => format!("the reference to {}", facts.id.selection_id()),
            },
            Winner::Config => "the key in openclaw.json".to_owned(),
            Winner::Nothing => "nothing".to_owned(),
        }
    }

    fn probed(&self, probed: &Probed) -> Result<()> {
        let ui = self.app.ui;
        ui.data("")?;
        ui.data("Asked over the network:")?;
        let mut table = Table::new(&["PROFILE", "HOST", "ANSWER"], 0);
        for one in &probed.results {
            let tone = match one.outcome {
                Outcome::Ok => Tone::Good,
                Outcome::NotAsked(_) => Tone::Plain,
                Outcome::RateLimit | Outcome::Timeout | Outcome::Unknown(_) => Tone::Doubtful,
                Outcome::Auth | Outcome::Billing => Tone::Bad,
            };
            let said = one.said();
            table.row([
                Cell::from(one.profile.as_str()),
                Cell::from(one.host.as_deref().unwrap_or("none")),
                Cell::new(said.as_ref(), tone),
            ]);
        }
        if table.is_empty() {
            return ui.data("  nothing: there is no profile");
        }
        ui.raw(table.render(self.screen, 2).as_bytes())
    }

    fn verdict(&self, args: &ModelsStatus) -> Result<()> {
        let verdict = &self.gathered.report.verdict;
        let colours = self.screen.colours;
        self.app.ui.data("")?;
        if verdict.causes.is_empty() && self.gathered.report.providers.is_empty() {
            return self.app.ui.data("Nothing is in use that could be judged.");
        }
        if verdict.causes.is_empty() {
            let good = if args.check {
                "Check: all is well"
            } else {
                "All is well"
            };
            let report = &self.gathered.report;
            let of_others = report
                .elsewhere
                .iter()
                .any(|one| matches!(one.answer, Answer::NotKnown { .. }));
            let proven = match &report.proof {
                Proof::NotProven { reason, .. } => {
                    format!(", as far as is known; references not proven: {reason}")
                }
                _ if of_others => {
                    ", as far as is known; what others answer is not proven".to_owned()
                }
                _ => String::new(),
            };
            return self.painted(good, Tone::Good, &proven);
        }
        self.app.ui.data(&Tone::Bad.paint("Not well:", colours))?;
        for cause in &verdict.causes {
            let (what, hint) = causes::said(self.gathered, cause);
            self.app.ui.entry(&format!("  {what}"))?;
            self.app.ui.entry(&format!("  hint: {hint}"))?;
        }
        Ok(())
    }
}
