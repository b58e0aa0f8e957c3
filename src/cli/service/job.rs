//! One change of a machine, step by step, each of which can be taken back. Ring 4.
//!
//! Promise: when a step fails, those before it are taken back in reverse, and what could not be is
//! said.

use super::ask::{Ask, Side};
use super::files::{self, Owner, Planned};
use crate::cli::app::App;
use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use crate::service::system::{Manager, System};
use std::path::{Path, PathBuf};

/// The largest file that is kept for taking back: the program itself may be one.
const MAX_KEPT: usize = 512 * 1024 * 1024;

/// How one step is taken back.
enum Back {
    /// The file's earlier bytes and mode, or that it was not there.
    File(PathBuf, Option<(Vec<u8>, u32)>),
    /// A question to the user's side.
    Ask(Ask),
    /// A call of systemctl.
    Systemctl(Vec<String>),
}

/// A change under way.
pub struct Job<'a> {
    /// This run of the program.
    pub app: &'a App,
    /// The machine.
    pub system: &'a System,
    /// Whose manager runs the keeper.
    pub manager: Manager,
    /// The user's side.
    pub side: &'a mut dyn Side,
    back: Vec<Back>,
}

impl<'a> Job<'a> {
    /// A change that has not begun.
    pub fn new(app: &'a App, system: &'a System, manager: Manager, side: &'a mut dyn Side) -> Self {
        Job {
            app,
            system,
            manager,
            side,
            back: Vec::new(),
        }
    }

    /// Writes a marked file, unless it is there.
    ///
    /// # Errors
    /// As [`Planned::write`].
    pub fn write(&mut self, planned: &Planned, owner: Owner) -> Result<bool> {
        let earlier = kept(&planned.path)?;
        let written = planned.write(owner)?;
        if written {
            self.back.push(Back::File(planned.path.clone(), earlier));
            self.say(&format!("Wrote {}", planned.path.display()));
        }
        Ok(written)
    }

    /// Writes any other file into a folder of the system's.
    ///
    /// # Errors
    /// `Failed` when the disk refuses, or another user could change where it goes.
    pub fn put(&mut self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        let folder = path
            .parent()
            .ok_or_else(|| Error::failed("a file has no folder"))?;
        files::folders(folder, 0o755, Owner::System)?;
        let earlier = kept(path)?;
        file::replace(path, bytes, mode)?;
        self.back.push(Back::File(path.to_owned(), earlier));
        self.say(&format!("Wrote {}", path.display()));
        Ok(())
    }

    /// Has the user's side do something, and notes how it is taken back.
    ///
    /// # Errors
    /// As [`Side::act`].
    pub fn ask(&mut self, ask: &Ask, back: Option<Ask>) -> Result<()> {
        for line in self.side.act(ask)? {
            self.say(&line);
        }
        self.back.extend(back.map(Back::Ask));
        Ok(())
    }

    /// Calls systemctl, and notes how that is taken back.
    ///
    /// # Errors
    /// `Failed` with what it said.
    pub fn systemctl(&mut self, args: &[&str], back: Option<&[&str]>) -> Result<()> {
        // Before the call: one that half succeeded is taken back too.
        if let Some(back) = back {
            let back = back.iter().map(|&arg| arg.to_owned()).collect();
            self.back.push(Back::Systemctl(back));
        }
        self.system.systemctl_or_fail(&self.manager, args)
    }

    /// Whether systemctl answers yes.
    ///
    /// # Errors
    /// `Failed` when it cannot be run.
    pub fn is(&self, what: &str, unit: &str) -> Result<bool> {
        Ok(self
            .system
            .systemctl(&self.manager, &[what, "--quiet", unit])?
            .ok)
    }

    /// Enables the unit, starts it (again) and waits until it is ready.
    ///
    /// # Errors
    /// `Failed` when it does not get ready, with the way to see why.
    pub fn start(&mut self, unit: &str) -> Result<()> {
        let was_enabled = self.is("is-enabled", unit)?;
        let disable: &[&str] = &["disable", "--now", unit];
        self.systemctl(&["enable", unit], (!was_enabled).then_some(disable))?;
        let of_user = matches!(self.manager, Manager::User(_));
        let flag = if of_user { "--user " } else { "" };
        let started = self.systemctl(&["restart", unit], None);
        let active = started.and_then(|()| self.is("is-active", unit));
        match active {
            Ok(true) => {
                self.say(&format!("Started {unit}"));
                Ok(())
            }
            Ok(false) => Err(Error::failed(format!("{unit} did not stay up"))
                .hint(format!("journalctl {flag}-u {unit}"))),
            Err(error) => Err(error.hint(format!("journalctl {flag}-u {unit}"))),
        }
    }

    fn say(&self, line: &str) {
        self.app.ui.say(line);
    }

    /// Ends the change: keeps it, or takes it back and gives the error on.
    ///
    /// # Errors
    /// The error that it was given.
    pub fn end<T>(mut self, result: Result<T>) -> Result<T> {
        let error = match result {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if self.back.is_empty() {
            return Err(error);
        }
        self.say("Something went wrong; what was done is taken back.");
        let mut left = Vec::new();
        while let Some(step) = self.back.pop() {
            let (what, done) = self.take_back(step);
            if let Err(why) = done {
                left.push(format!("{what}: {why}"));
            }
        }
        for line in &left {
            self.say(&format!("Could not take back {line}"));
        }
        if left.is_empty() {
            self.say("Everything is as it was before.");
        }
        Err(error)
    }

    fn take_back(&mut self, step: Back) -> (String, Result<()>) {
        match step {
            Back::File(path, earlier) => {
                let done = match earlier {
                    Some((bytes, mode)) => file::replace(&path, &bytes, mode),
                    None => file::remove(&path).map(|_| ()),
                };
                (path.display().to_string(), done)
            }
            Back::Ask(ask) => {
                let what = match &ask {
                    Ask::RemoveSlot => "the slot service",
                    Ask::Unplug => "the gateway's drop-ins",
                    Ask::Isolated(_) => "the entry in openclaw.json",
                    _ => "keeper.json",
                };
                (what.to_owned(), self.side.act(&ask).map(|_| ()))
            }
            Back::Systemctl(args) => {
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                (
                    format!("systemctl {}", args.join(" ")),
                    self.system.systemctl_or_fail(&self.manager, &args),
                )
            }
        }
    }
}

/// What a file holds before it is replaced.
fn kept(path: &Path) -> Result<Option<(Vec<u8>, u32)>> {
    let bytes = file::absent_is_none(file::read(path, MAX_KEPT, Privacy::Shared))?.flatten();
    Ok(bytes.map(|bytes| (bytes.to_vec(), file::mode_of(path))))
}
