//! `completions` and `man`: what shells and readers know of the command line, out of the command line
//! itself. Ring 4.
//!
//! Promise: nothing in it comes from the machine or the moment: the same program makes the same bytes.

use super::args::{Cli, Completions, Man};
use super::ui::{self, Ui};
use crate::error::{Error, Result};
use crate::file;
use crate::host::Host;
use clap::{Command, CommandFactory};
use clap_mangen::Man as Page;
use std::path::Path;

/// Prints the completions of one shell.
///
/// # Errors
/// `BrokenPipe` when nobody reads them.
pub fn completions(ui: Ui, args: &Completions) -> Result<()> {
    let mut command = Cli::command();
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "clawkeep", &mut text);
    ui.raw(&text)
}

/// Writes a man page for each command, or prints the first.
///
/// # Errors
/// `Failed` when the folder cannot be written.
pub fn man(host: &Host, ui: Ui, args: &Man) -> Result<()> {
    let mut command = Cli::command();
    command.build();
    let Some(dir) = &args.dir else {
        return ui.raw(&page(&command)?);
    };
    let dir = host.absolute(dir)?;
    std::fs::create_dir_all(&dir).map_err(|error| Error::io("create", &dir, &error))?;
    let count = write(&command, &dir)?;
    ui.say(&format!(
        "Wrote {} into {}.",
        ui::counted(count, "page", "pages"),
        dir.display()
    ));
    Ok(())
}

fn write(command: &Command, dir: &Path) -> Result<u64> {
    let path = dir.join(format!("{}.1", name(command)));
    file::replace(&path, &page(command)?, 0o644)?;
    let mut count = 1;
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
    {
        count += write(below, dir)?;
    }
    Ok(count)
}

fn name(command: &Command) -> String {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
        .to_owned()
}

fn page(command: &Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    Page::new(command.clone())
        .title(name(command))
        .source(format!("clawkeep {}", env!("CARGO_PKG_VERSION")))
        .manual("clawkeep")
        .render(&mut page)
        .map_err(|_| Error::failed("a man page cannot be made"))?;
    Ok(page)
}
