//! How long `clawkeep resolve` takes beside `rage -d` of the very same vault.age.
//!
//!     cargo bench --bench resolve                 RAGE=/path/to/rage when it is not on PATH
//!     cargo bench --bench resolve -- --runs 500
//!
//! What is timed is a whole process, from before it is started until it has been waited for, with an
//! empty environment, its request as a file on standard input and its output thrown away. Both programs
//! are copied into one folder first, as installed ones are (one that was just linked is paged in more
//! slowly), and are started by the same code in turns (A B, B A, A B, …), so that what else runs on
//! the machine hits both alike. Shown are medians, minima, and the ratio of the medians; a ratio over its
//! bound makes the exit code 1. Everything lies in one temporary folder that is removed at the end,
//! and every value is fake.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a bench is run by a developer: it may fail loudly, prints, and writes its own files"
)]

use clawkeep::expiry::Millis;
use clawkeep::file::{self, LOCK_WAIT, Lock};
use clawkeep::host::Host;
use clawkeep::keychain::OsKeychain;
use clawkeep::secret::{Alphabet, Secret, SecretId, SecretKind};
use clawkeep::store::Meta;
use clawkeep::vault::body::{Entry, Recovery};
use clawkeep::vault::id::VaultId;
use clawkeep::vault::identity::{Identity, IdentityText};
use clawkeep::vault::rekey::{Doors, SlotPlan, plant};
use clawkeep::vault::slot::{Slot, SlotKind, SlotName};
use clawkeep::vault::{NewVault, Vault};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const RAGE_VERSION: &str = "0.12.1";
const RUNS: usize = 200;
const WARM_UP: usize = 10;
const VALUE_BYTES: usize = 100;

/// The most that one id may cost, in times of `rage -d` of the same file, by the size of the vault.
const BOUNDS: [(usize, Option<f64>); 3] = [(10, Some(1.0)), (1_000, None), (10_000, Some(1.5))];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` runs this program too, unoptimised and without the flag.
    if !args.iter().any(|arg| arg == "--bench") {
        println!("measures only with: cargo bench --bench resolve");
        return ExitCode::SUCCESS;
    }
    let runs = match runs(&args) {
        Ok(runs) => runs,
        Err(usage) => return refuse(usage),
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

fn runs(args: &[String]) -> Result<usize, &'static str> {
    let rest: Vec<&str> = args
        .iter()
        .map(String::as_str)
        .filter(|arg| *arg != "--bench")
        .collect();
    match rest.as_slice() {
        [] => Ok(RUNS),
        ["--runs", count] => count
            .parse()
            .ok()
            .filter(|count| *count >= 3)
            .ok_or("--runs takes a number from 3"),
        _ => Err("usage: cargo bench --bench resolve -- [--runs N]"),
    }
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

/// The program's copy in the bench's own folder.
fn installed(world: &Path, program: &Path) -> PathBuf {
    let copy = world.join(program.file_name().expect("a program"));
    std::fs::copy(program, &copy).expect("a copy");
    copy
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

// --- what is measured ---

#[derive(Clone, Copy)]
enum Way {
    IdentityFile,
    Keychain,
    KeychainThenIdentityFile,
}

/// A vault with `count` secrets, and the identity that opens it, for rage.
struct Sample {
    clawkeep: PathBuf,
    vault: PathBuf,
    id: VaultId,
    identity: PathBuf,
    count: usize,
}

impl Sample {
    fn new(world: &Path, clawkeep: &Path, count: usize, way: Way) -> Sample {
        let root = world.join(format!("{}-{count}", way as u8));
        let vault = root.join("vault");
        for dir in [&root, &vault] {
            file::private_dir(dir).expect("a new folder");
        }
        let host = Host::real();
        let keychain = OsKeychain::new(&host);
        let doors = Doors {
            host: &host,
            keychain: &keychain,
        };
        let text = IdentityText {
            identity: Identity::generate(),
            pins: Vec::new(),
        };
        let identity = root.join("for-rage.txt");
        file::create(&identity, &text.render(), 0o600).expect("a new file");
        let text = text.identity;
        let mut slots = Vec::new();
        if matches!(way, Way::Keychain | Way::KeychainThenIdentityFile) {
            // Listed but not planted: on the bench's machine there may be no keychain, and what runs
            // is told of none.
            slots.push(Slot {
                name: SlotName::parse("keychain").expect("a name"),
                created: host.now(),
                kind: SlotKind::Keychain,
            });
        }
        if matches!(way, Way::IdentityFile | Way::KeychainThenIdentityFile) {
            let slot = SlotName::parse("identity-file").expect("a name");
            let plan = SlotPlan::IdentityFile(root.join("identity.txt"));
            slots.push(plant(&vault, &text, &slot, plan, &doors).expect("a slot"));
        }
        let new = NewVault {
            identity: text,
            recovery: Some(Recovery {
                recipient: Identity::generate().recipient(),
                created: host.now(),
                checked: None,
            }),
            slots,
        };
        let lock = Lock::take(&vault.join("vault.lock"), LOCK_WAIT).expect("a lock");
        let mut made = Vault::create(&vault, &host, new, &lock).expect("a new vault");
        drop(lock);
        made.update(|contents, now| {
            for n in 0..count {
                let entry = entry(n, now);
                let id = SecretId::parse(&name(n)).expect("an id");
                contents.secrets.insert(id, entry);
            }
            Ok(())
        })
        .expect("a write");
        Sample {
            clawkeep: clawkeep.to_owned(),
            id: made.id(),
            vault,
            identity,
            count,
        }
    }

    /// Our side, as OpenClaw calls it. It must answer every id.
    fn resolve(&self, ids: &[&str]) -> Task {
        let last = ids.last().expect("an id");
        self.task(ids, format!("\"{last}\":\"fake-").as_bytes())
    }

    fn task(&self, ids: &[&str], answers: &[u8]) -> Task {
        let request = self.vault.with_file_name(format!("request-{}", ids.len()));
        let ids = serde_json::json!({"protocolVersion": 1, "provider": "clawkeep", "ids": ids});
        std::fs::write(&request, ids.to_string()).expect("a request");
        let id = self.id.to_string();
        let vault = self.vault.to_str().expect("a path in UTF-8");
        let args = ["resolve", "--vault", vault, "--vault-id", &id];
        Task::new(&self.clawkeep, args, &request, answers)
    }

    /// The other side: the vault's own identity, which rage finds at its first try.
    fn decrypt(&self, rage: &Path) -> Task {
        let identity = self.identity.to_str().expect("a path in UTF-8");
        let vault = self.vault.join("vault.age");
        let vault = vault.to_str().expect("a path in UTF-8");
        let nothing = self.vault.with_file_name("nothing");
        std::fs::write(&nothing, b"").expect("an empty file");
        let holds = name(self.count - 1);
        Task::new(
            rage,
            ["-d", "-i", identity, vault],
            &nothing,
            holds.as_bytes(),
        )
    }
}

fn name(n: usize) -> String {
    format!("anthropic:fake-{n:05}")
}

fn entry(n: usize, now: Millis) -> Entry {
    let value = format!("fake-{n:05}-")
        .bytes()
        .chain((0..).map(|k: usize| b'a' + u8::try_from((n + k) % 26).expect("below 26")))
        .take(VALUE_BYTES)
        .collect::<Vec<u8>>();
    Entry {
        meta: Meta {
            kind: SecretKind::ApiKey,
            provider: Some(clawkeep::provider::ProviderId::parse("anthropic").expect("a name")),
            created: now,
            updated: now,
            expires: None,
        },
        value: Secret::new(&value, Alphabet::Key).expect("a fake value"),
    }
}

// --- the stopwatch ---

/// One program, its arguments, and the file on its standard input.
struct Task {
    program: PathBuf,
    args: Vec<OsString>,
    input: PathBuf,
}

struct Times {
    median: Duration,
    min: Duration,
}

impl Task {
    /// A task that was run once and whose output holds `answers`: what fails fast is not fast.
    fn new<'a>(
        program: &Path,
        args: impl IntoIterator<Item = &'a str>,
        input: &Path,
        answers: &[u8],
    ) -> Task {
        let task = Task {
            program: program.to_owned(),
            args: args.into_iter().map(OsString::from).collect(),
            input: input.to_owned(),
        };
        let output = task.command().output().expect("the program runs");
        let answered = output
            .stdout
            .windows(answers.len())
            .any(|part| part == answers);
        assert!(
            output.status.success() && answered,
            "{} did not answer as it should: {}\n{}",
            program.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        task
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .stdin(File::open(&self.input).expect("its input"));
        command
    }

    fn time(&self) -> Duration {
        let mut command = self.command();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let status = command.status().expect("the program runs");
        let took = start.elapsed();
        assert!(status.success(), "{} failed", self.program.display());
        took
    }
}

/// Runs the tasks `runs` times each, in turns and every other time in the other order.
fn in_turns<const N: usize>(tasks: [&Task; N], runs: usize) -> [Times; N] {
    let mut times: [Vec<Duration>; N] = std::array::from_fn(|_| Vec::with_capacity(runs));
    for round in 0..WARM_UP + runs {
        for turn in 0..N {
            let which = if round % 2 == 0 { turn } else { N - 1 - turn };
            let took = tasks[which].time();
            if round >= WARM_UP {
                times[which].push(took);
            }
        }
    }
    times.map(|mut times| {
        times.sort_unstable();
        Times {
            median: times[times.len() / 2],
            min: times[0],
        }
    })
}

fn ms(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1e3)
}
