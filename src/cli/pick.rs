//! `models pick`: which profile of a provider OpenClaw uses next, and why not the others. Ring 4; needs
//! no vault, changes nothing.
//!
//! Promise: it is OpenClaw's own choice by what its files say ([`crate::openclaw::select`]); where it
//! keeps orders and cooldowns in a database that was not asked, that is said.

use super::app::App;
use super::args::Pick;
use super::stores::{self, Stores};
use super::table::{Cell, Screen, Table};
use super::ui;
use crate::error::{Error, Result};
use crate::expiry::{Millis, Span};
use crate::openclaw::install::Install;
use crate::openclaw::listing;
use crate::openclaw::profiles::{Expires, ProfileKind};
use crate::openclaw::select::{self, Candidate, Reason, Selection, Source};
use crate::provider::{AgentId, ProfileId, ProviderId};
use serde_json::{Value, json};

/// What there is to show.
struct Picked<'a> {
    agent: AgentId,
    provider: &'a ProviderId,
    pinned: Option<ProfileId>,
    selection: Selection,
    /// The one that is used, by OpenClaw or by the selection id that stands for the provider.
    next: Option<ProfileId>,
    notes: Vec<String>,
    now: Millis,
}

/// Runs `models pick`.
///
/// # Errors
/// `Failed` when no profile would be used, and as [`Stores::read`].
pub fn run(app: &App, args: &Pick) -> Result<()> {
    let provider = ProviderId::parse(&args.provider)?;
    let agent = AgentId::parse(&args.agent)?;
    let pinned = args.profile.as_deref().map(ProfileId::parse).transpose()?;
    let mut stores = Stores::read(app, &agent)?;
    let mut notes = Vec::new();
    if stores.in_database() && !stores.selects(&provider) {
        if args.live {
            take_order(app, args, &agent, &provider, &mut stores)?;
            notes.push("its cooldowns are in OpenClaw's database, and not known here");
        } else {
            notes.push(
                "OpenClaw keeps its order and its cooldowns in its database, which was not asked: this is what clawkeep noted. With --live the order is OpenClaw's",
            );
        }
    }
    if stores.settings.includes() {
        notes.push("openclaw.json includes another file, which was not read");
    }
    if let Some(id) = &pinned {
        // Some providers use another one's profiles: those are theirs too.
        let is_theirs = |of: &ProviderId| select::account(of) == select::account(&provider);
        let mut known = stores.known();
        for (_, of) in known.iter_mut().filter(|(_, of)| is_theirs(of)) {
            of.clone_from(&provider);
        }
        let dir = app.dir.join("agents").join(agent.as_str());
        let theirs = stores.link.as_ref().and_then(|link| link.theirs(&agent));
        let dir = theirs.and_then(|path| path.parent()).unwrap_or(&dir);
        stores::require(&known, id, &provider, dir)?;
    }
    let selection = stores.selector(app).select(&provider, pinned.as_ref());
    let mut notes: Vec<String> = notes.into_iter().map(str::to_owned).collect();
    let next = next(app, &stores, &provider, &selection, &mut notes);
    let picked = Picked {
        agent,
        provider: &provider,
        pinned,
        selection,
        next,
        notes,
        now: app.host.now(),
    };
    if args.json {
        app.ui.document(&picked.document())?;
    } else {
        picked.show(app)?;
    }
    match picked.next {
        Some(_) => Ok(()),
        None => Err(Error::shown()),
    }
}

/// OpenClaw's own order, in the place of what was noted.
fn take_order(
    app: &App,
    args: &Pick,
    agent: &AgentId,
    provider: &ProviderId,
    stores: &mut Stores,
) -> Result<()> {
    let install = Install::find(&app.host, args.openclaw.as_deref())?.ok_or_else(|| {
        Error::missing("there is no openclaw on PATH to ask")
            .hint("name the folder that holds openclaw.mjs: --openclaw DIR")
    })?;
    match listing::order(&install, agent, provider)? {
        Some(ids) => stores.profiles.set_order(provider, &ids),
        None => {
            stores.profiles.clear_order(provider);
        }
    }
    Ok(())
}

/// The profile that is used. Where one reference in openclaw.json stands for the provider, the vault's
/// answer to it.
fn next(
    app: &App,
    stores: &Stores,
    provider: &ProviderId,
    selection: &Selection,
    notes: &mut Vec<String>,
) -> Option<ProfileId> {
    let by_rule = selection.next().map(|candidate| candidate.id.clone());
    if !stores.selects(provider) || by_rule.is_some() {
        return by_rule;
    }
    let answered = select::candidates(&stores.profiles, provider, app.host.now());
    let first = answered.into_iter().next()?.id;
    notes.push(format!(
        "no profile can be used; OpenClaw's reference to {} is answered with the first all the same: a gateway would not start without an answer",
        provider.selection_id()
    ));
    Some(first)
}

impl Picked<'_> {
    fn show(&self, app: &App) -> Result<()> {
        let ui = app.ui;
        ui.data(&format!("Agent: {}", self.agent))?;
        ui.data(&format!("Provider: {}", self.provider))?;
        ui.data(&format!("Order: {}", said(self.selection.source)))?;
        let next = self.next.as_ref().map_or("none", ProfileId::as_str);
        ui.data(&ui::plain(&format!("Next: {next}")))?;
        if self.selection.candidates.is_empty() {
            ui.say(&format!(
                "There is no profile of {}.\nhint: clawkeep models auth add",
                self.provider
            ));
        } else {
            let mut table = Table::new(&["TRIED", "PROFILE", "TYPE", "STATE"], 1);
            let mut turn = 0;
            for candidate in &self.selection.candidates {
                turn += usize::from(candidate.is_tried());
                let tried = if candidate.is_tried() {
                    turn.to_string()
                } else {
                    "no".to_owned()
                };
                let kind = kind(candidate).unwrap_or("none");
                let state = self.state(candidate);
                table.row([&*tried, candidate.id.as_str(), kind, &state].map(Cell::from));
            }
            ui.data("")?;
            ui.raw(table.render(Screen::of(app), 0).as_bytes())?;
        }
        if let Some(gone) = self.selection.passed_over {
            ui.say(&format!(
                "note: OpenClaw passes over the list that is {}: every profile in it is gone",
                match gone {
                    Source::Stored => "stored for the agent",
                    Source::ConfigOrder => "in auth.order of openclaw.json",
                    Source::ConfigProfiles | Source::All => "in auth.profiles of openclaw.json",
                }
            ));
        }
        if let Some(pinned) = self.unusable_pin() {
            ui.say(&format!(
                "note: {} {}; it does not come first",
                pinned.id,
                pinned.reason.said()
            ));
        }
        for note in &self.notes {
            ui.say(&format!("note: {note}"));
        }
        Ok(())
    }

    /// The profile that was named, when it is not used.
    fn unusable_pin(&self) -> Option<&Candidate> {
        let pinned = self.selection.get(self.pinned.as_ref()?)?;
        (!pinned.is_tried()).then_some(pinned)
    }

    fn state(&self, candidate: &Candidate) -> String {
        let at = candidate.profile.as_ref().map(|profile| profile.expires);
        match (candidate.reason, candidate.cooling, at) {
            (Reason::Ok, Some(cooling), _) => {
                let what = if cooling.disabled {
                    "disabled"
                } else {
                    "cooldown"
                };
                let why = cooling.reason.map(|why| format!(", {why}"));
                format!(
                    "{what}{}, {} left ({})",
                    why.unwrap_or_default(),
                    Span(cooling.until.get() - self.now.get()),
                    ui::date(cooling.until)
                )
            }
            (Reason::Ok, None, _) => {
                if self.next.as_ref() == Some(&candidate.id) {
                    "next".to_owned()
                } else {
                    "ok".to_owned()
                }
            }
            (Reason::Expired, _, Some(Expires::At(at))) => ui::expiry(Some(at), self.now),
            (reason, _, _) => format!("{}: {}", reason.code(), reason.said()),
        }
    }

    fn document(&self) -> Value {
        let candidates: Vec<Value> = self
            .selection
            .candidates
            .iter()
            .map(|candidate| self.candidate(candidate))
            .collect();
        let tried = self.selection.tried().map(|one| one.id.as_str());
        json!({
            "agentId": self.agent.as_str(),
            "provider": self.provider.as_str(),
            "source": self.selection.source.name(),
            "passedOver": self.selection.passed_over.map(Source::name),
            "pinned": self.pinned.as_ref().map(ProfileId::as_str),
            "next": self.next.as_ref().map(ProfileId::as_str),
            "order": tried.collect::<Vec<_>>(),
            "candidates": candidates,
            "notes": self.notes,
        })
    }

    fn candidate(&self, candidate: &Candidate) -> Value {
        let expires = candidate.profile.as_ref().map(|profile| profile.expires);
        json!({
            "profileId": candidate.id.as_str(),
            "type": kind(candidate),
            "eligible": candidate.is_tried(),
            "reasonCode": candidate.reason.code(),
            "expires": match expires {
                Some(Expires::At(at)) => Some(at.get()),
                _ => None,
            },
            "lastUsed": candidate.usage.last_used.map(Millis::get),
            "cooldown": candidate.cooling.map(|cooling| json!({
                "kind": if cooling.disabled { "disabled" } else { "cooldown" },
                "reason": cooling.reason,
                "until": cooling.until.get(),
                "remainingMs": cooling.until.get() - self.now.get(),
            })),
        })
    }
}

fn kind(candidate: &Candidate) -> Option<&'static str> {
    let profile = candidate.profile.as_ref();
    profile.map(|profile| ProfileKind::name(profile.kind))
}

fn said(source: Source) -> &'static str {
    match source {
        Source::Stored => "stored for the agent",
        Source::ConfigOrder => "in auth.order of openclaw.json",
        Source::ConfigProfiles => "none, but a list in auth.profiles of openclaw.json",
        Source::All => "none, each in turn",
    }
}
