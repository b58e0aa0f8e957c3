//! From one home to another: a backup, what becomes of it where only a key, or only the recovery key, is at
//! hand, and what is refused.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

#[path = "../common/mod.rs"]
mod common;
mod moving;
mod refusals;

use common::vault::PASSPHRASE;
use common::{Run, World};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const VALUE: &str = "FAKE-value-0123456789";
pub(crate) const LATER: &str = "FAKE-later-value-0123456789";

/// A vault with slots of these kinds, a recovery sheet, a secret, and two profiles with an order.
pub(crate) fn home(slots: &[&str]) -> World {
    let world = World::new();
    let _ = world.passphrase_file("pass", PASSPHRASE);
    let mut args = vec!["init", "--recovery-file", "sheet.txt"];
    for slot in slots {
        args.extend(["--slot", slot]);
        if *slot == "passphrase" {
            args.extend(["--new-passphrase-file", "pass"]);
        }
    }
    let _ = world.run(&args).ok();
    let by = ["--passphrase-file", "pass"];
    let set = [&by[..], &["secret", "set", "notes/one"]].concat();
    let _ = world.cmd(&set).stdin(VALUE).run().ok();
    for name in ["fakeai:b", "fakeai:a"] {
        let paste = ["models", "auth", "paste-token", "--provider", "fakeai"];
        let paste = [&by[..], &paste, &["--profile-id", name]].concat();
        let _ = world.cmd(&paste).stdin(VALUE).run().ok();
    }
    world
}

/// Makes a backup beside the home, and gives its path.
pub(crate) fn backup(world: &World, name: &str) -> PathBuf {
    let path = world.root().join(name);
    let _ = world.run(&["backup", path.to_str().unwrap()]).ok();
    path
}

/// Takes away the key of a home that is no more, and gives its bytes.
pub(crate) fn gone(world: &World) -> Vec<u8> {
    let key = std::fs::read(world.identity_file()).unwrap();
    std::fs::remove_file(world.identity_file()).unwrap();
    key
}

/// Carries a backup into another world, as `backup.tar` beside its home.
pub(crate) fn carried(file: &Path, to: &World) -> String {
    let path = to.root().join("backup.tar");
    std::fs::copy(file, &path).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Runs a program of the system in a folder.
pub(crate) fn system(program: &str, args: &[&str], dir: &Path) -> String {
    let out = Command::new(program)
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(out.status.success(), "{program} {args:?}: {out:?}");
    String::from_utf8(out.stdout).unwrap()
}

pub(crate) fn says(run: &Run, texts: &[&str]) {
    for text in texts {
        assert!(run.stderr.contains(text), "lacks {text:?}: {run}");
    }
}
