//! How long `clawkeep resolve` takes through the keeper, beside an empty Rust program.
//!
//!     cargo bench --bench keeper
//!     cargo bench --bench keeper -- --runs 1000
//!
//! How it is timed stands in `common`. The empty program is `fn main() {}`, compiled here by rustc with
//! the settings of `[profile.release]` and nothing else: no link argument of ours reaches it. The keeper
//! is the real one, `clawkeep keeper start --foreground`, with its access log; once it listens, the
//! identity file that opened its vault is taken away, so nothing but the keeper can answer. A ratio of
//! medians over [`BOUND`], or an idle keeper that wakes up, makes the exit code 1.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a bench is run by a developer: it may fail loudly, prints, and writes its own files"
)]

#[cfg(target_os = "linux")]
mod common;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("measures only on Linux");
}

#[cfg(target_os = "linux")]
mod linux {
    use super::common::{self, IDENTITY_FILE, Sample, Task, Times, Way, in_turns, ms, name};
    use rustix::process::{Pid, Signal, kill_process};
    use std::os::unix::net::UnixStream;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, ExitCode, Stdio};
    use std::time::{Duration, Instant};

    const RUNS: usize = 500;

    /// The most that a `resolve` may cost, in times of the empty program.
    const BOUND: f64 = 1.25;

    /// How long the keeper is left alone to see whether it stays asleep.
    const IDLE: Duration = Duration::from_secs(5);

    /// How long it may take from its start until it listens.
    const START: Duration = Duration::from_secs(10);

    pub(super) fn main() -> ExitCode {
        let args: Vec<String> = std::env::args().skip(1).collect();
        // `cargo test --all-targets` runs this program too, unoptimised and without the flag.
        if !args.iter().any(|arg| arg == "--bench") {
            println!("measures only with: cargo bench --bench keeper");
            return ExitCode::SUCCESS;
        }
        let runs = match common::runs(&args, RUNS) {
            Ok(runs) => runs,
            Err(usage) => {
                eprintln!("bench keeper: {usage}");
                return ExitCode::from(64);
            }
        };
        let world = tempfile::Builder::new()
            .prefix("clawkeep-bench-")
            .tempdir()
            .expect("a temporary folder");
        let clawkeep = common::installed(world.path(), Path::new(env!("CARGO_BIN_EXE_clawkeep")));
        let empty = Empty::compile(world.path());
        println!(
            "clawkeep {} beside an empty Rust program, {runs} runs each in turns, whole processes\n",
            env!("CARGO_PKG_VERSION")
        );
        let held = through_the_keeper(world.path(), &clawkeep, &empty, runs);
        println!();
        without_a_keychain(world.path(), &clawkeep, &empty, runs);
        ExitCode::from(u8::from(!held))
    }

    fn head(what: &str) {
        println!(
            "{what:<44}{:>9}{:>9}{:>9}{:>9}{:>8}",
            "median", "min", "p90", "empty", "ratio"
        );
    }

    /// Prints a row and gives its ratio.
    fn row(what: &str, ours: &Times, empty: &Times, rest: impl FnOnce(f64) -> String) -> f64 {
        let ratio = ours.median.as_secs_f64() / empty.median.as_secs_f64();
        println!(
            "{what:<44}{:>9}{:>9}{:>9}{:>9}{ratio:>8.2}  {}",
            ms(ours.median),
            ms(ours.min),
            ms(ours.p90),
            ms(empty.median),
            rest(ratio)
        );
        ratio
    }

    // --- through the keeper ---

    /// Whether every bound held.
    fn through_the_keeper(world: &Path, clawkeep: &Path, empty: &Empty, runs: usize) -> bool {
        let mut held = true;
        let mut idle = Vec::new();
        head("one id through the keeper (ms)");
        for count in [10, 10_000] {
            let sample = Sample::new(world, clawkeep, count, Way::IdentityFile);
            let keeper = Keeper::start(clawkeep, &sample);
            let before = keeper.logged();
            let task = sample.resolve(&[&name(count / 2)]);
            let logs = keeper.logged() > before;
            let [ours, theirs] = in_turns([&task, &empty.task()], runs);
            row(&format!("resolve 1 of {count}"), &ours, &theirs, |ratio| {
                let kept = ratio <= BOUND && logs;
                held &= kept;
                let log = if logs { "" } else { ": no access log" };
                format!("{BOUND:.2} {}{log}", if kept { "held" } else { "BROKEN" })
            });
            idle.push((count, keeper.rest()));
            keeper.stop();
        }
        println!(
            "\n{:<44}{:>9}{:>9}{:>9}{:>9}",
            "an idle keeper", "VmRSS kB", "Pss kB", "VmLck kB", "wake-ups"
        );
        for (count, rest) in idle {
            held &= rest.wake_ups == 0;
            println!(
                "{:<44}{:>9}{:>9}{:>9}{:>9}  in {} s, 0 {}",
                format!("with {count} values"),
                rest.resident,
                rest.proportional,
                rest.locked,
                rest.wake_ups,
                IDLE.as_secs(),
                if rest.wake_ups == 0 { "held" } else { "BROKEN" }
            );
        }
        held
    }

    /// A keeper of a sample's vault.
    struct Keeper {
        child: Child,
        vault: PathBuf,
    }

    /// An idle keeper.
    struct Rest {
        resident: String,
        proportional: String,
        locked: String,
        wake_ups: u64,
    }

    impl Keeper {
        fn start(clawkeep: &Path, sample: &Sample) -> Keeper {
            let mut child = Command::new(clawkeep)
                .args(["keeper", "start", "--foreground", "--vault"])
                .arg(&sample.vault)
                .env_clear()
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .expect("the keeper runs");
            let socket = sample.vault.join("keeper.sock");
            let since = Instant::now();
            while UnixStream::connect(&socket).is_err() {
                let ended = child.try_wait().expect("its state");
                assert!(ended.is_none(), "the keeper ended: {ended:?}");
                assert!(since.elapsed() < START, "the keeper does not listen");
                std::thread::sleep(Duration::from_millis(10));
            }
            std::fs::remove_file(sample.vault.with_file_name(IDENTITY_FILE))
                .expect("the identity file");
            Keeper {
                child,
                vault: sample.vault.clone(),
            }
        }

        /// Bytes in the access log.
        fn logged(&self) -> u64 {
            std::fs::read_dir(self.vault.join("log"))
                .into_iter()
                .flatten()
                .map(|entry| entry.unwrap().metadata().unwrap().len())
                .sum()
        }

        /// A line of one of its files below `/proc`; `-` where this user may not read it.
        fn told(&self, file: &str, key: &str) -> String {
            std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))
                .ok()
                .and_then(|text| {
                    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
                    Some(line.trim().trim_end_matches(" kB").to_owned())
                })
                .unwrap_or_else(|| "-".to_owned())
        }

        /// Each time that it was asleep and went on.
        fn wake_ups(&self) -> u64 {
            self.told("status", "voluntary_ctxt_switches:")
                .parse()
                .expect("a number")
        }

        fn rest(&self) -> Rest {
            // What the last question left to do is done first.
            std::thread::sleep(Duration::from_secs(1));
            let before = self.wake_ups();
            std::thread::sleep(IDLE);
            Rest {
                wake_ups: self.wake_ups() - before,
                resident: self.told("status", "VmRSS:"),
                proportional: self.told("smaps_rollup", "Pss:"),
                locked: self.told("status", "VmLck:"),
            }
        }

        fn stop(mut self) {
            kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it is there");
            self.child.wait().expect("its end");
        }
    }

    // --- a machine without a keychain ---

    /// What a slot costs whose keychain is not there: no wait.
    fn without_a_keychain(world: &Path, clawkeep: &Path, empty: &Empty, runs: usize) {
        let sample = |way| Sample::new(world, clawkeep, 11, way);
        let alone = sample(Way::IdentityFile).resolve(&[&name(5)]);
        let after = sample(Way::KeychainThenIdentityFile).resolve(&[&name(5)]);
        let locked = sample(Way::Keychain).task(&[&name(5)], b"\"LOCKED\"");
        let times = in_turns([&empty.task(), &alone, &after, &locked], runs);
        let [theirs, alone, after, locked] = &times;
        head("without a keeper, no keychain there (ms)");
        for (what, ours) in [
            ("identity-file slot alone", alone),
            ("keychain slot, then identity-file slot", after),
            ("keychain slot alone: LOCKED", locked),
        ] {
            row(what, ours, theirs, |_| String::new());
        }
    }

    // --- the empty program ---

    /// The empty program.
    struct Empty {
        program: PathBuf,
        input: PathBuf,
    }

    impl Empty {
        fn compile(world: &Path) -> Empty {
            let source = world.join("empty.rs");
            let program = world.join("empty");
            let input = world.join("nothing");
            std::fs::write(&source, "fn main() {}\n").expect("a source");
            std::fs::write(&input, b"").expect("an empty file");
            let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
            let status = Command::new(rustc)
                .args(["--edition", "2024", "-C", "opt-level=3"])
                .args(profile())
                .arg("-o")
                .args([&program, &source])
                .status()
                .expect("rustc runs");
            assert!(status.success(), "rustc compiles an empty program");
            Empty { program, input }
        }

        fn task(&self) -> Task {
            Task::new(&self.program, [], &self.input, b"")
        }
    }

    /// `[profile.release]` as rustc's flags.
    fn profile() -> Vec<String> {
        let flags: Vec<String> = include_str!("../Cargo.toml")
            .lines()
            .skip_while(|line| *line != "[profile.release]")
            .skip(1)
            .take_while(|line| !line.starts_with('['))
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| format!("-C{}={}", key.trim(), value.trim().trim_matches('"')))
            .collect();
        assert!(!flags.is_empty(), "a release profile");
        flags
    }
}
