//! What the benches share: sample vaults, whole processes as tasks, and the stopwatch.
//!
//! What is timed is a whole process, from before it is started until it has been waited for, with an
//! empty environment, its request as a file on standard input and its output thrown away. Tasks are
//! started by the same code in turns (A B, B A, A B, …), so that what else runs on the machine hits all
//! alike. Every value is fake.
#![allow(dead_code, reason = "each bench uses its part")]

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
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const WARM_UP: usize = 10;
const VALUE_BYTES: usize = 100;

/// The number of runs that `--runs N` asks for.
pub(crate) fn runs(args: &[String], default: usize) -> Result<usize, String> {
    let rest: Vec<&str> = args
        .iter()
        .map(String::as_str)
        .filter(|arg| *arg != "--bench")
        .collect();
    match rest.as_slice() {
        [] => Ok(default),
        ["--runs", count] => count
            .parse()
            .ok()
            .filter(|count| *count >= 3)
            .ok_or_else(|| "--runs takes a number from 3".to_owned()),
        _ => Err("the one flag is: -- --runs N".to_owned()),
    }
}

/// The program's copy in the bench's own folder: one that was just linked is paged in more slowly.
pub(crate) fn installed(world: &Path, program: &Path) -> PathBuf {
    let copy = world.join(program.file_name().expect("a program"));
    std::fs::copy(program, &copy).expect("a copy");
    copy
}

// --- what is measured ---

/// The identity-file slot's file, beside the vault's folder.
pub(crate) const IDENTITY_FILE: &str = "identity.txt";

/// How the sample vault opens.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    IdentityFile,
    Keychain,
    KeychainThenIdentityFile,
}

/// A vault with `count` secrets, and the identity that opens it, for rage.
pub(crate) struct Sample {
    clawkeep: PathBuf,
    /// The vault's folder.
    pub(crate) vault: PathBuf,
    id: VaultId,
    identity: PathBuf,
    count: usize,
}

impl Sample {
    pub(crate) fn new(world: &Path, clawkeep: &Path, count: usize, way: Way) -> Sample {
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
            let plan = SlotPlan::IdentityFile(root.join(IDENTITY_FILE));
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
    pub(crate) fn resolve(&self, ids: &[&str]) -> Task {
        let last = ids.last().expect("an id");
        self.task(ids, format!("\"{last}\":\"fake-").as_bytes())
    }

    pub(crate) fn task(&self, ids: &[&str], answers: &[u8]) -> Task {
        let request = self.vault.with_file_name(format!("request-{}", ids.len()));
        let ids = serde_json::json!({"protocolVersion": 1, "provider": "clawkeep", "ids": ids});
        std::fs::write(&request, ids.to_string()).expect("a request");
        let id = self.id.to_string();
        let vault = self.vault.to_str().expect("a path in UTF-8");
        let args = ["resolve", "--vault", vault, "--vault-id", &id];
        Task::new(&self.clawkeep, args, &request, answers)
    }

    /// The other side: the vault's own identity, which rage finds at its first try.
    pub(crate) fn decrypt(&self, rage: &Path) -> Task {
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

/// The name of the entry `n`.
pub(crate) fn name(n: usize) -> String {
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
            was_plaintext: false,
        },
        value: Secret::new(&value, Alphabet::Key).expect("a fake value"),
    }
}

// --- the stopwatch ---

/// One program, its arguments, and the file on its standard input.
pub(crate) struct Task {
    program: PathBuf,
    args: Vec<OsString>,
    input: PathBuf,
    home: Option<PathBuf>,
}

/// Of all runs of a task.
pub(crate) struct Times {
    /// Half took longer.
    pub(crate) median: Duration,
    /// The quickest.
    pub(crate) min: Duration,
    /// One in ten took longer.
    pub(crate) p90: Duration,
}

impl Task {
    /// A task that was run once and whose output holds `answers`: what fails fast is not fast.
    pub(crate) fn new<'a>(
        program: &Path,
        args: impl IntoIterator<Item = &'a str>,
        input: &Path,
        answers: &[u8],
    ) -> Task {
        Self::at_home(None, program, args, input, answers)
    }

    /// The same with a home: the one variable that it is given.
    pub(crate) fn at_home<'a>(
        home: Option<&Path>,
        program: &Path,
        args: impl IntoIterator<Item = &'a str>,
        input: &Path,
        answers: &[u8],
    ) -> Task {
        let task = Task {
            program: program.to_owned(),
            args: args.into_iter().map(OsString::from).collect(),
            input: input.to_owned(),
            home: home.map(Path::to_owned),
        };
        let output = task.command().output().expect("the program runs");
        let answered = answers.is_empty()
            || output
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
        if let Some(home) = &self.home {
            command.env("HOME", home);
        }
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
pub(crate) fn in_turns<const N: usize>(tasks: [&Task; N], runs: usize) -> [Times; N] {
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
            p90: times[times.len() * 9 / 10],
        }
    })
}

/// Milliseconds, to the microsecond.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1e3)
}
