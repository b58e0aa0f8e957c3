//! `service install --monitor`: a timer that has the credentials looked at. Ring 4.
//!
//! Promise: as the keeper's service: shown first, marked, taken back when a step fails, and taken away by
//! `uninstall` unless it was edited. The address of a post stands in no unit.

use super::ask::{Ask, Looked, Side};
use super::files::{self, Owner, Planned};
use super::job::Job;
use super::status::{Row, systemctl_row};
use super::{Target, image, install};
use crate::cli::app::App;
use crate::cli::args::{ServiceInstall, ServiceUninstall};
use crate::cli::monitor::channel::{self, Channel};
use crate::cli::ui;
use crate::error::{Error, Result};
use crate::expiry::{Span, span};
use crate::openclaw::places;
use crate::service::monitor_unit::{MonitorUnit, USER_STEM, system_stem};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often, unless it is said.
const EVERY: Duration = Duration::from_mins(30);

/// The bounds of how often.
const BOUNDS: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(7 * 24));

/// Runs `service install --monitor`.
///
/// # Errors
/// What went wrong, after what was done is taken back.
pub fn install(app: &App, args: &ServiceInstall) -> Result<()> {
    let every = every(args.every.as_deref())?;
    let channel = Channel::of(app, &args.how)?;
    if cfg!(target_os = "macos") {
        return Err(Error::failed(
            "the monitor's timer is one of systemd; elsewhere cron or launchd can start it",
        )
        .hint("crontab -e, with this line: */30 * * * * clawkeep monitor --ntfy-file FILE"));
    }
    let target = Target::find(app, &args.place, !args.dry_run)?;
    let _alone = if args.dry_run { None } else { target.alone()? };
    if !args.dry_run {
        target.system.require_systemd()?;
    }
    let mut side = target.side(app)?;
    let looked = side.look(false)?;
    if !target.of_system && !looked.has_manager {
        return Err(Error::failed("your service manager does not run")
            .hint(format!("sudo loginctl enable-linger {}", target.user.name)));
    }
    let plan = plan(app, &target, &looked, every)?;
    show(app, &target, &plan, channel.as_ref(), args.dry_run)?;
    if args.dry_run {
        app.ui.say("Dry run: nothing was changed.");
        return Ok(());
    }
    app.agree(
        args.yes,
        "Install this?",
        true,
        "installing a service",
        &format!(
            "add --yes, or look first: clawkeep service install {} --monitor --dry-run",
            target.flags()
        ),
    )?;
    let tell = channel.clone().unwrap_or(Channel::Journal);
    let mut job = Job::new(app, &target.system, target.manager(), side.as_mut());
    let done = execute(&mut job, &target, &plan, tell);
    job.end(done)?;
    closing(app, &target, &plan.parts, channel.is_none());
    Ok(())
}

/// Everything that will be done.
struct Plan {
    parts: Parts,
    /// The program's copy, where this one could be changed by others.
    copy: Option<PathBuf>,
    files: [Planned; 2],
    every: Duration,
}

fn plan(app: &App, target: &Target, looked: &Looked, every: Duration) -> Result<Plan> {
    let (program, copy) = install::program(app, target)?;
    let parts = Parts::of(target, looked);
    let unit = MonitorUnit {
        program,
        vault: looked.vault.to_path_buf(),
        every,
        of_system: target.of_system.then(|| target.user.clone()),
        places: place_variables(app),
    };
    let files = [
        Planned::new(parts.service.clone(), unit.service()?),
        Planned::new(parts.timer.clone(), unit.timer()?),
    ];
    for file in &files {
        file.replaceable()?;
    }
    Ok(Plan {
        parts,
        copy,
        files,
        every,
    })
}

/// The variables that say where OpenClaw's files are, as far as they are set here.
fn place_variables(app: &App) -> Vec<(String, String)> {
    let set = places::VARIABLES.iter().filter_map(|name| {
        let value = app.host.var(name)?;
        let value = value.to_str()?.trim();
        // The unit is started in another folder.
        let value = if value.is_empty() || value.starts_with('~') {
            value.to_owned()
        } else {
            let whole = app.host.absolute(Path::new(value)).ok()?;
            whole.to_str()?.to_owned()
        };
        (!value.is_empty()).then(|| ((*name).to_owned(), value))
    });
    set.collect()
}

fn show(
    app: &App,
    target: &Target,
    plan: &Plan,
    channel: Option<&Channel>,
    dry_run: bool,
) -> Result<()> {
    app.ui.say(&format!(
        "Every {} the credentials of {} are looked at. What is wrong is told {}.",
        Span(i64::try_from(plan.every.as_millis()).unwrap_or(i64::MAX)),
        target.user.name,
        channel.unwrap_or(&Channel::Journal).said()
    ));
    app.ui.say("Files:");
    let parts = &plan.parts;
    let files = [&parts.service, &parts.timer, &parts.noted];
    for path in plan.copy.iter().chain(files) {
        app.ui.say(&format!("  {}", path.display()));
    }
    if dry_run {
        for file in &plan.files {
            let text = format!("### {}\n{}", file.path.display(), file.text);
            app.ui.data(&ui::plain(&text))?;
        }
    }
    Ok(())
}

fn execute(job: &mut Job<'_>, target: &Target, plan: &Plan, tell: Channel) -> Result<()> {
    if let Some(copy) = &plan.copy {
        let bytes = image::bytes(job.app)?;
        job.put(copy, &bytes, 0o755)?;
    }
    // Pushed first, so that it comes last when steps are taken back.
    job.systemctl(&["daemon-reload"], Some(&["daemon-reload"]))?;
    let back = (!plan.parts.has_noted).then_some(Ask::Unwatch);
    job.ask(&Ask::Watch { tell }, back)?;
    let owner = if target.of_system {
        Owner::System
    } else {
        Owner::User
    };
    let mut changed = false;
    for file in &plan.files {
        changed |= job.write(file, owner)?;
    }
    if changed {
        job.systemctl(&["daemon-reload"], None)?;
    }
    job.start(&plan.parts.timer_name())
}

fn closing(app: &App, target: &Target, parts: &Parts, is_journal: bool) {
    app.ui.say("Installed.");
    let flag = if target.of_system { "" } else { "--user " };
    let who = if target.of_system {
        format!(", as {}", target.user.name)
    } else {
        String::new()
    };
    if is_journal {
        app.ui.say(&format!(
            "What is wrong is in the journal alone, and the unit shows as failed.\nhint: journalctl {flag}-u {}, or have somebody told: clawkeep service install {} --monitor --notify",
            parts.stem,
            target.flags()
        ));
    } else {
        app.ui.say(&format!(
            "See whether it arrives{who}: clawkeep monitor --try"
        ));
    }
    if !target.of_system && !target.lingers() {
        app.ui.say(&format!(
            "note: services of {0} start when {0} logs in, not with the machine\nhint: sudo loginctl enable-linger {0}",
            target.user.name
        ));
    }
}

fn every(text: Option<&str>) -> Result<Duration> {
    let Some(text) = text else {
        return Ok(EVERY);
    };
    let every = span(text, "--every")?;
    if (BOUNDS.0..=BOUNDS.1).contains(&every) {
        return Ok(every);
    }
    Err(Error::usage("--every takes from one minute to seven days").hint("--every 30m"))
}

/// What may be there of a monitor.
pub struct Parts {
    stem: String,
    service: PathBuf,
    timer: PathBuf,
    noted: PathBuf,
    has_noted: bool,
}

impl Parts {
    /// Those of this vault's monitor.
    pub fn of(target: &Target, looked: &Looked) -> Self {
        let stem = if target.of_system {
            system_stem(&target.user.name)
        } else {
            USER_STEM.to_owned()
        };
        let units = target.units(looked);
        Parts {
            service: units.join(format!("{stem}.service")),
            timer: units.join(format!("{stem}.timer")),
            noted: looked.vault.join(channel::NAME),
            has_noted: looked.has_monitor,
            stem,
        }
    }

    fn timer_name(&self) -> String {
        format!("{}.timer", self.stem)
    }

    /// The files that are there, in the order in which they go.
    pub fn present(&self) -> Vec<PathBuf> {
        let units = [&self.timer, &self.service].into_iter();
        let mut present: Vec<PathBuf> = units.filter(|path| path.exists()).cloned().collect();
        if self.has_noted {
            present.push(self.noted.clone());
        }
        present
    }

    /// Takes them away; lines for the person.
    ///
    /// # Errors
    /// `Failed` when the disk or the manager refuses.
    pub fn take_away(&self, target: &Target, side: &mut dyn Side) -> Result<Vec<String>> {
        let mut told = Vec::new();
        if self.timer.symlink_metadata().is_ok() {
            target
                .system
                .systemctl_or_fail(&target.manager(), &["disable", "--now", &self.timer_name()])?;
        }
        for path in [&self.timer, &self.service] {
            told.extend(files::take_away(path)?);
        }
        if self.has_noted {
            told.extend(side.act(&Ask::Unwatch)?);
            told.push(format!("Removed {}", self.noted.display()));
        }
        Ok(told)
    }

    /// What `service status` says; nothing where there is no monitor.
    ///
    /// # Errors
    /// `Broken` when a unit cannot be read.
    pub fn rows(&self, target: &Target) -> Result<Vec<Row>> {
        if self.present().is_empty() {
            return Ok(Vec::new());
        }
        let mut rows = Vec::new();
        for path in [&self.timer, &self.service] {
            let state = files::state_of_ours(path)?;
            rows.push(Row {
                what: "monitor",
                state: state.to_owned(),
                place: path.display().to_string(),
                fine: state == "current",
            });
        }
        rows.push(systemctl_row(
            target,
            "monitor",
            "is-active",
            &self.timer_name(),
        ));
        rows.push(Row {
            what: "monitor",
            state: if self.has_noted {
                "says who is told"
            } else {
                "absent"
            }
            .to_owned(),
            place: self.noted.display().to_string(),
            fine: self.has_noted,
        });
        Ok(rows)
    }
}

/// Runs `service uninstall --monitor`.
///
/// # Errors
/// What went wrong; running it again goes on.
pub fn uninstall(app: &App, args: &ServiceUninstall) -> Result<()> {
    let target = Target::find(app, &args.place, !args.dry_run)?;
    let _alone = if args.dry_run { None } else { target.alone()? };
    let mut side = target.side(app)?;
    let looked = side.look(false)?;
    let parts = Parts::of(&target, &looked);
    let present = parts.present();
    if present.is_empty() {
        app.ui.say("Nothing is installed.");
        return Ok(());
    }
    app.ui.say("What goes, where it was not edited:");
    for path in &present {
        app.ui.say(&format!("  {}", path.display()));
    }
    if args.dry_run {
        app.ui.say("Dry run: nothing was changed.");
        return Ok(());
    }
    app.agree(
        args.yes,
        "Uninstall this?",
        false,
        "this",
        "add --yes, or look first: clawkeep service uninstall --monitor --dry-run",
    )?;
    for line in parts.take_away(&target, side.as_mut())? {
        app.ui.say(&line);
    }
    target
        .system
        .systemctl_or_fail(&target.manager(), &["daemon-reload"])?;
    app.ui.say("Uninstalled.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_often_has_bounds() {
        assert_eq!(every(None).unwrap(), EVERY);
        assert_eq!(every(Some("7d")).unwrap(), BOUNDS.1);
        for bad in ["30", "59s", "8d", "0m", "often"] {
            assert!(every(Some(bad)).is_err(), "{bad}");
        }
    }
}
