//! How long `clawkeep resolve` takes beside `rage -d` of the very same vault.age.
//!
//!     cargo bench --bench resolve                 RAGE=/path/to/rage when it is not on PATH
//!     cargo bench --bench resolve -- --runs 500
//!
//! How it is timed stands in `common`. Both programs are copied into one folder first, as installed ones
//! are. Shown are medians, minima, and the ratio of the medians; a ratio over its bound makes the exit
//! code 1. Everything lies in one temporary folder that is removed at the end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a bench is run by a developer: it may fail loudly, prints, and writes its own files"
)]

mod common;

use common::{Sample, Task, Way, in_turns, installed, ms, name};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const RAGE_VERSION: &str = "0.12.1";
const RUNS: usize = 200;

/// The most that one id may cost, in times of `rage -d` of the same file, by the size of the vault.
const BOUNDS: [(usize, Option<f64>); 3] = [(10, Some(1.0)), (1_000, None), (10_000, Some(1.5))];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` runs this program too, unoptimised and without the flag.
    if !args.iter().any(|arg| arg == "--bench") {
        println!("measures only with: cargo bench --bench resolve");
        return ExitCode::SUCCESS;
    }
    let runs = match common::runs(&args, RUNS) {
        Ok(runs) => runs,
        Err(usage) => return refuse(&usage),
    };
    let Some(rage) = rage() else {
        return refuse(&format!(
            "rage is not here; install it: cargo install rage --version {RAGE_VERSION} --locked --root DIR, then RAGE=DIR/bin/rage"
        ));
    };
    let world = tempfile::Builder::new()
        .prefix("clawkeep-bench-")
        .tempdir()
        .expect("a temporary folder");
    let clawkeep = installed(world.path(), Path::new(env!("CARGO_BIN_EXE_clawkeep")));
    let rage = installed(world.path(), &rage);
    let held = measure(world.path(), &clawkeep, &rage, runs);
    ExitCode::from(u8::from(!held))
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("bench resolve: {why}");
    ExitCode::from(64)
}

/// `$RAGE`, else the first `rage` on `PATH`.
fn rage() -> Option<PathBuf> {
    let named = std::env::var_os("RAGE").map(PathBuf::from);
    let found = named.or_else(|| {
        std::env::split_paths(&std::env::var_os("PATH")?)
            .map(|dir| dir.join("rage"))
            .find(|path| path.is_file())
    })?;
    found.is_file().then_some(found)
}

/// Measures everything, prints it, and tells whether every bound held.
fn measure(world: &Path, clawkeep: &Path, rage: &Path, runs: usize) -> bool {
    let version = Command::new(rage)
        .arg("--version")
        .output()
        .expect("rage runs");
    println!(
        "clawkeep {} beside {}, {runs} runs each in turns, whole processes\n",
        env!("CARGO_PKG_VERSION"),
        String::from_utf8_lossy(&version.stdout).trim()
    );
    let mut held = true;
    println!(
        "{:<34}{:>9}{:>9}{:>9}{:>9}{:>8}  bound",
        "one id, identity-file slot (ms)", "median", "min", "rage med", "rage min", "ratio"
    );
    let mut largest = None;
    for (count, bound) in BOUNDS {
        let sample = Sample::new(world, clawkeep, count, Way::IdentityFile);
        let ours = sample.resolve(&[&name(count / 2)]);
        let theirs = sample.decrypt(rage);
        let [ours, theirs] = in_turns([&ours, &theirs], runs);
        let ratio = ours.median.as_secs_f64() / theirs.median.as_secs_f64();
        let kept = bound.is_none_or(|bound| ratio <= bound);
        held &= kept;
        println!(
            "{:<34}{:>9}{:>9}{:>9}{:>9}{ratio:>8.2}  {}",
            format!("resolve 1 of {count}"),
            ms(ours.median),
            ms(ours.min),
            ms(theirs.median),
            ms(theirs.min),
            bound.map_or_else(
                || "-".to_owned(),
                |bound| format!("{bound:.1} {}", if kept { "held" } else { "BROKEN" })
            ),
        );
        largest = Some(sample);
    }
    println!(
        "\n{:<34}{:>9}{:>9}",
        "without a bound (ms)", "median", "min"
    );
    for (what, task) in others(world, clawkeep, &largest.expect("three sizes")) {
        let [time] = in_turns([&task], runs);
        println!("{what:<34}{:>9}{:>9}", ms(time.median), ms(time.min));
    }
    held
}

/// What is only shown.
fn others(world: &Path, clawkeep: &Path, largest: &Sample) -> Vec<(&'static str, Task)> {
    let asked: Vec<String> = (0..512).map(|n| name(n * 19)).collect();
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let nothing = world.join("nothing");
    std::fs::write(&nothing, b"").expect("an empty file");
    let locked = Sample::new(world, clawkeep, 10, Way::Keychain);
    let beside = Sample::new(world, clawkeep, 10, Way::KeychainThenIdentityFile);
    vec![
        (
            "--version",
            Task::new(clawkeep, ["--version"], &nothing, b"clawkeep "),
        ),
        ("resolve 512 of 10000", largest.resolve(&asked)),
        (
            "no keychain, no other slot: LOCKED",
            locked.task(&[&name(5)], b"\"LOCKED\""),
        ),
        (
            "no keychain, identity-file slot",
            beside.resolve(&[&name(5)]),
        ),
    ]
}
