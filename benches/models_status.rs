//! How long `clawkeep models status` takes on a locked vault with 1,000 profiles, beside a Rust program that
//! does nothing.
//!
//!     cargo bench --bench models_status            RUSTC=/path/to/rustc when it is not on PATH
//!     cargo bench --bench models_status -- --runs 500
//!
//! How it is timed stands in `common`. The empty program is compiled by the bench itself, optimised and
//! stripped. OpenClaw 2026.6.1 is linked: the profiles, each with a reference, an expiry and a time of use, lie
//! in its auth-profiles.json and auth-state.json. The vault has a keychain for its one slot, and there is no
//! bus to ask. A ratio of the medians over its bound makes the exit code 1.
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

use clawkeep::cli::record::{LaneName, LinkRecord};
use clawkeep::host::Host;
use common::{Sample, Task, Way, in_turns, installed, ms};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const RUNS: usize = 200;
const PROFILES: usize = 1_000;
const DAY_MS: i64 = 86_400_000;

/// The most that it may cost, in times of an empty program.
const BOUND: f64 = 3.0;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` runs this program too, unoptimised and without the flag.
    if !args.iter().any(|arg| arg == "--bench") {
        println!("measures only with: cargo bench --bench models_status");
        return ExitCode::SUCCESS;
    }
    let runs = match common::runs(&args, RUNS) {
        Ok(runs) => runs,
        Err(usage) => {
            eprintln!("bench models_status: {usage}");
            return ExitCode::from(64);
        }
    };
    let world = tempfile::Builder::new()
        .prefix("clawkeep-bench-")
        .tempdir()
        .expect("a temporary folder");
    let world = world.path().canonicalize().expect("the folder just made");
    let clawkeep = installed(&world, Path::new(env!("CARGO_BIN_EXE_clawkeep")));
    let empty = empty(&world);
    let nothing = world.join("nothing");
    std::fs::write(&nothing, b"").expect("an empty file");
    let idle = Task::new(&empty, [], &nothing, b"");
    println!(
        "clawkeep {} beside an empty program, {runs} runs each in turns, whole processes\n",
        env!("CARGO_PKG_VERSION"),
    );
    println!(
        "{:<42}{:>9}{:>9}{:>9}{:>9}{:>8}  bound",
        format!("{PROFILES} profiles, locked (ms)"),
        "median",
        "min",
        "idle med",
        "idle min",
        "ratio"
    );
    let mut held = true;
    for providers in [1, 20] {
        let home = home(&world, &clawkeep, providers);
        for (flags, bound) in [
            (&[][..], Some(BOUND)),
            (&["--check"], Some(BOUND)),
            (&["--json"], None),
        ] {
            let vault = home.join("vault");
            let vault = vault.to_str().expect("a path in UTF-8");
            let args = [&["--vault", vault, "models", "status"], flags].concat();
            let answers = format!("openai:fake-{:05}", PROFILES - 1);
            let ours = Task::at_home(Some(&home), &clawkeep, args, &nothing, answers.as_bytes());
            let [ours, theirs] = in_turns([&ours, &idle], runs);
            let ratio = ours.median.as_secs_f64() / theirs.median.as_secs_f64();
            let kept = bound.is_none_or(|bound| ratio <= bound);
            held &= kept;
            println!(
                "{:<42}{:>9}{:>9}{:>9}{:>9}{ratio:>8.2}  {}",
                format!(
                    "models status {} of {providers} provider(s)",
                    flags.join(" ")
                ),
                ms(ours.median),
                ms(ours.min),
                ms(theirs.median),
                ms(theirs.min),
                bound.map_or_else(
                    || "-".to_owned(),
                    |bound| format!("{bound:.1} {}", if kept { "held" } else { "BROKEN" })
                ),
            );
        }
    }
    ExitCode::from(u8::from(!held))
}

/// A program whose `main` is empty.
fn empty(world: &Path) -> PathBuf {
    let source = world.join("empty.rs");
    std::fs::write(&source, "fn main() {}\n").expect("a source");
    let program = world.join("empty");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let status = Command::new(rustc)
        .args([
            "--edition",
            "2024",
            "-C",
            "opt-level=3",
            "-C",
            "strip=symbols",
            "-o",
        ])
        .arg(&program)
        .arg(&source)
        .status()
        .expect("rustc runs");
    assert!(status.success(), "rustc compiles an empty program");
    program
}

/// A home with a locked vault, linked to an OpenClaw whose files have the profiles.
fn home(world: &Path, clawkeep: &Path, providers: usize) -> PathBuf {
    let world = world.join(format!("home-{providers}"));
    std::fs::create_dir(&world).expect("a new folder");
    let sample = Sample::new(&world, clawkeep, PROFILES, Way::Keychain);
    let home = sample.vault.parent().expect("a folder").to_owned();
    let state = home.join(".openclaw");
    let agent = state.join("agents/main/agent");
    clawkeep::file::private_dir(&agent).expect("a new folder");
    let now = Host::real().now().get();
    let mut profiles = Map::new();
    let mut usage = Map::new();
    for n in 0..PROFILES {
        let provider = match n * providers / PROFILES {
            last if last + 1 == providers => "openai".to_owned(),
            other => format!("provider-{other}"),
        };
        let id = format!("{provider}:fake-{n:05}");
        let days = i64::try_from(n % 300).expect("a small number") + 30;
        profiles.insert(
            id.clone(),
            json!({"type": "token", "provider": provider, "expires": now + days * DAY_MS,
                "tokenRef": {"source": "exec", "provider": "clawkeep", "id": id}}),
        );
        usage.insert(id, json!({"lastUsed": now - days * 1_000, "errorCount": 0}));
    }
    let config = state.join("openclaw.json");
    let write = |path: &Path, value: Value| {
        let text = serde_json::to_vec_pretty(&value).expect("JSON");
        clawkeep::file::create(path, &text, 0o600).expect("a new file");
    };
    let store = agent.join("auth-profiles.json");
    write(&store, json!({"version": 1, "profiles": profiles}));
    write(
        &agent.join("auth-state.json"),
        json!({"version": 1, "usageStats": usage}),
    );
    let args: Vec<String> = ["resolve", "--vault", sample.vault.to_str().expect("UTF-8")]
        .map(str::to_owned)
        .to_vec();
    write(
        &config,
        json!({"agents": {"defaults": {"model": "openai/gpt-5.5"}},
            "secrets": {"providers": {"clawkeep": {"source": "exec", "command": clawkeep, "args": args}}}}),
    );
    let mut link = LinkRecord::new(
        LaneName::File,
        "2026.6.1".to_owned(),
        config,
        clawkeep.to_owned(),
        args,
        Vec::new(),
    );
    link.profiles.insert("main".to_owned(), store);
    link.save(&sample.vault).expect("a link");
    home
}
