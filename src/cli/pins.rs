//! The vault id in OpenClaw's configuration, while the vault changes its identity. Ring 4.
//!
//! The gateway asks a resolver that refuses any vault but the pinned one. So that it can start at any
//! instant of a change, both ids are pinned before it and the old one goes after it.

use super::app::App;
use super::record::LinkRecord;
use crate::error::{Error, Result};
use crate::keeper::pointer::Pointer;
use crate::openclaw::config::Config;
use crate::openclaw::reference::SECRET_PROVIDER;
use crate::vault::id::VaultId;
use serde_json::Value;
use std::path::{Path, PathBuf};

pub(super) const ARGS: [&str; 4] = ["secrets", "providers", SECRET_PROVIDER, "args"];

/// The arguments with which OpenClaw calls the resolver.
pub fn resolver_args(dir: &Path, ids: &[VaultId]) -> Result<Vec<String>> {
    let dir = dir.to_str().ok_or_else(|| {
        Error::failed("the vault's folder has a name that is not UTF-8; OpenClaw cannot hold it")
            .hint("move the vault: clawkeep --vault DIR")
    })?;
    let mut args = vec!["resolve".to_owned(), "--vault".to_owned(), dir.to_owned()];
    for id in ids {
        args.extend(["--vault-id".to_owned(), id.to_string()]);
    }
    Ok(args)
}

/// The arguments with which OpenClaw calls the resolver where a keeper of another user has the vault.
///
/// No vault id is pinned: only root makes what lies below `/run`, and the server's user is compared, so
/// that these two say which vault is meant; and the keeper could not renew a pin in a file of the
/// gateway's user when the vault gets a new identity.
///
/// # Errors
/// `Failed` when the socket's path is not UTF-8.
pub fn keeper_args(socket: &Path, user: u32) -> Result<Vec<String>> {
    let socket = socket
        .to_str()
        .ok_or_else(|| Error::failed("the keeper's socket has a name that is not UTF-8"))?;
    let args = ["resolve", "--keeper", socket, "--keeper-user"];
    let mut args: Vec<String> = args.map(str::to_owned).to_vec();
    args.push(user.to_string());
    Ok(args)
}

/// Whether these arguments ask a keeper of another user.
pub fn asks_keeper(args: &[String]) -> bool {
    args.iter().any(|arg| arg == "--keeper")
}

/// The folder of the vault that OpenClaw's configuration asks, if it is another one than `dir`; the
/// socket, where it asks a keeper that is not the one of `dir`.
pub fn other_vault(config: &Config, dir: &Path) -> Option<PathBuf> {
    let args = config.get(&ARGS)?;
    let args: Vec<&str> = args.as_array()?.iter().filter_map(Value::as_str).collect();
    if let Some(at) = args.iter().position(|arg| *arg == "--keeper") {
        let socket = PathBuf::from(args.get(at + 1)?);
        let own = Pointer::load(dir).ok().flatten();
        return own.is_none_or(|own| own.socket != socket).then_some(socket);
    }
    let at = args.iter().position(|arg| *arg == "--vault")?;
    let linked = PathBuf::from(args.get(at + 1)?);
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    (real(&linked) != real(dir)).then_some(linked)
}

/// Whether this configuration asks the vault in `dir`.
pub fn is_linked(config: &Config, dir: &Path) -> bool {
    config.has(&ARGS) && other_vault(config, dir).is_none()
}

/// Where the pin stands, if anywhere.
pub struct Pins {
    dir: PathBuf,
    record: Option<LinkRecord>,
}

impl Pins {
    /// The pin of this vault.
    ///
    /// # Errors
    /// `Broken` when the link record is not what it should be.
    pub fn of(app: &App) -> Result<Self> {
        Ok(Pins {
            dir: app.dir.clone(),
            record: LinkRecord::load(&app.dir)?,
        })
    }

    /// Pins both ids.
    ///
    /// # Errors
    /// `Failed` when openclaw.json cannot be written: then the vault must not change.
    pub fn both(&mut self, old: VaultId, new: VaultId) -> Result<()> {
        self.set(&[old, new])
    }

    /// Pins one id.
    ///
    /// # Errors
    /// `Failed` when openclaw.json cannot be written; the vault opens all the same.
    pub fn only(&mut self, id: VaultId) -> Result<()> {
        self.set(&[id])
    }

    /// Where OpenClaw's configuration pins this vault; `None` when nothing is linked.
    pub fn place(&self) -> Option<&Path> {
        self.record
            .as_ref()
            .filter(|record| !asks_keeper(&record.args))
            .map(|record| record.config.as_path())
    }

    fn set(&mut self, ids: &[VaultId]) -> Result<()> {
        let Some(record) = &mut self.record else {
            return Ok(());
        };
        if asks_keeper(&record.args) {
            // Nothing is pinned there.
            return Ok(());
        }
        let mut config = Config::read(&record.config)?;
        if !is_linked(&config, &self.dir) {
            return Ok(());
        }
        let args = resolver_args(&self.dir, ids)?;
        config.set(&ARGS, &Value::from(args.clone()))?;
        config.write()?;
        record.args = args;
        record.save(&self.dir)
    }
}
