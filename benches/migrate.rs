//! How long `clawkeep migrate` takes for one `.env` with 10,000 assignments, beside what cannot be done
//! without: reading the file, encrypting it once and writing it twice.
//!
//!     cargo bench --bench migrate
//!     cargo bench --bench migrate -- --runs 20
//!
//! Both are timed in turns, each on files of its own: the whole process of `migrate --yes --for-run` (no
//! OpenClaw takes part), and in this process one read, one age encryption and two synced replacements.
//! Shown are medians and minima; a ratio of the medians over its bound makes the exit code 1.
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

use clawkeep::file;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 11;
const ASSIGNMENTS: usize = 10_000;
/// The most that a migration may cost, in times of what cannot be done without.
const BOUND: f64 = 10.0;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` runs this program too, unoptimised and without the flag.
    if !args.iter().any(|arg| arg == "--bench") {
        println!("measures only with: cargo bench --bench migrate");
        return ExitCode::SUCCESS;
    }
    let runs = match common::runs(&args, RUNS) {
        Ok(runs) => runs,
        Err(usage) => {
            eprintln!("bench migrate: {usage}");
            return ExitCode::from(64);
        }
    };
    let world = tempfile::Builder::new()
        .prefix("clawkeep-bench-")
        .tempdir()
        .expect("a temporary folder");
    let clawkeep = common::installed(world.path(), Path::new(env!("CARGO_BIN_EXE_clawkeep")));
    let template = template(world.path(), &clawkeep);
    let env = env();
    println!(
        "{ASSIGNMENTS} assignments, {} KiB, {runs} runs each in turns\n",
        env.len() / 1024
    );
    let (mut least, mut whole) = (Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=runs {
        let home = copy(&template, world.path(), round, &env);
        let (a, b) = if round % 2 == 0 {
            let a = without_which(&home);
            (a, migrated(&clawkeep, &home))
        } else {
            let other = copy(&template, world.path(), runs + 1 + round, &env);
            let b = migrated(&clawkeep, &home);
            let a = without_which(&other);
            std::fs::remove_dir_all(other).unwrap();
            (a, b)
        };
        std::fs::remove_dir_all(home).unwrap();
        if round > 0 {
            least.push(a);
            whole.push(b);
        }
    }
    let (a, b) = (median(&mut least), median(&mut whole));
    println!(
        "read, encrypt once, write twice   {}   least {}",
        ms(a),
        ms(least[0])
    );
    println!(
        "clawkeep migrate --yes --for-run  {}   least {}",
        ms(b),
        ms(whole[0])
    );
    let ratio = b.as_secs_f64() / a.as_secs_f64();
    println!("\nratio {ratio:.1}, at most {BOUND}");
    ExitCode::from(u8::from(ratio > BOUND))
}

fn env() -> String {
    let mut text = String::new();
    for number in 0..ASSIGNMENTS {
        let _ = writeln!(text, "OPENAI_API_KEY_{number}=sk-proj-FAKE-{number:0>40}");
    }
    text
}

/// A home with an empty vault.
fn template(world: &Path, clawkeep: &Path) -> PathBuf {
    let home = world.join("template");
    file::private_dir(&home).unwrap();
    let done = command(clawkeep, &home)
        .args(["init", "--slot", "identity-file", "--no-recovery"])
        .status()
        .unwrap();
    assert!(done.success());
    home
}

fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("HOME", home)
        .env("PATH", home)
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn copy(template: &Path, world: &Path, number: usize, env: &str) -> PathBuf {
    let home = world.join(format!("home-{number}"));
    let done = Command::new("cp")
        .arg("-a")
        .args([template, &home])
        .status()
        .unwrap();
    assert!(done.success());
    // The vault's ways in name absolute paths.
    let state = home.join(".openclaw");
    file::private_dir(&state).unwrap();
    file::create(&state.join(".env"), env.as_bytes(), 0o600).unwrap();
    home
}

fn migrated(clawkeep: &Path, home: &Path) -> Duration {
    let mut command = command(clawkeep, home);
    command.args(["migrate", "--yes", "--for-run"]);
    let start = Instant::now();
    let done = command.status().unwrap();
    let time = start.elapsed();
    assert!(done.success(), "migrate failed");
    assert_eq!(std::fs::read(home.join(".openclaw/.env")).unwrap(), b"");
    time
}

fn without_which(home: &Path) -> Duration {
    let recipient = age::x25519::Identity::generate().to_public();
    let path = home.join(".openclaw/.env");
    let start = Instant::now();
    let bytes = std::fs::read(&path).unwrap();
    let to: Vec<&dyn age::Recipient> = vec![&recipient];
    let encryptor = age::Encryptor::with_recipients(to.into_iter()).unwrap();
    let mut sealed = Vec::with_capacity(bytes.len() + 4096);
    let mut writer = encryptor.wrap_output(&mut sealed).unwrap();
    writer.write_all(&bytes).unwrap();
    writer.finish().unwrap();
    file::replace(&home.join("vault"), &sealed, 0o600).unwrap();
    file::replace(&home.join("rest"), &bytes, 0o600).unwrap();
    start.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn ms(time: Duration) -> String {
    format!("{:8.1} ms", time.as_secs_f64() * 1000.0)
}
