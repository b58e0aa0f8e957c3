//! How values reach OpenClaw after a migration: by references, or by `clawkeep run` alone. Ring 4; reads.

use crate::cli::app::App;
use crate::cli::args::Migrate;
use crate::cli::link;
use crate::cli::opened::Opened;
use crate::cli::survey::Survey;
use crate::error::{Error, Result};
use crate::openclaw::install::Install;

/// How values reach OpenClaw.
pub(super) enum Lanes {
    /// Its files hold references; what is known of it.
    Refs(Box<Survey>),
    /// They could, but there is no vault yet that could be linked: for a look ahead.
    NoVault,
    /// Only a process environment carries them, for this reason (a clause).
    ForRun(String),
}

impl Lanes {
    /// Looks at OpenClaw and the vault.
    ///
    /// # Errors
    /// `Missing` without OpenClaw, `Failed` for a version without references, both unless `--for-run`
    /// was given; what stands in the way of a link.
    pub(super) fn take(app: &App, args: &Migrate, opened: Option<&Opened>) -> Result<Self> {
        if args.for_run {
            return Ok(Lanes::ForRun(
                "only variables move with --for-run".to_owned(),
            ));
        }
        let install = Install::find(&app.host, args.how.openclaw.as_deref())?.ok_or_else(|| {
            Error::missing(
                "OpenClaw was not found on PATH, so nothing can hold references to the vault",
            )
            .hint(
                "name it: --openclaw DIR; or move variables for `clawkeep run` alone: \
                     clawkeep migrate --for-run",
            )
        })?;
        if !install.version().has_refs() {
            return Err(Error::failed(format!(
                "OpenClaw {} takes no references: its gateway would get a key that has left .env only \
                 through `clawkeep run`",
                install.version()
            ))
            .hint(
                "npm install -g openclaw@latest; or move variables for `clawkeep run` alone: \
                 clawkeep migrate --for-run",
            ));
        }
        let Some(opened) = opened else {
            return Ok(Lanes::NoVault);
        };
        link::require_way_in(app, opened)?;
        let survey = Survey::take(app, opened, install)?;
        link::refuse_other_vault(app, &survey)?;
        Ok(Lanes::Refs(Box::new(survey)))
    }

    /// What is known of the OpenClaw that is to be linked.
    pub(super) fn survey(&self) -> Option<&Survey> {
        match self {
            Lanes::Refs(survey) => Some(survey),
            Lanes::NoVault | Lanes::ForRun(_) => None,
        }
    }

    /// Why OpenClaw's files get no references.
    pub(super) fn no_refs(&self) -> Option<&str> {
        match self {
            Lanes::ForRun(reason) => Some(reason),
            Lanes::Refs(_) | Lanes::NoVault => None,
        }
    }
}
