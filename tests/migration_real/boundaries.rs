//! A migration that is killed between two of its steps, with the real OpenClaw.
//!
//! Promise, wherever it is killed: each value is in the vault or in every file that held it, openclaw.json
//! is whole, and running `migrate` again ends as an undisturbed run does.

use crate::common::openclaw::Which;
use crate::common::rounds;
use crate::home::Home;
use rustix::fs::{FileType, Mode, OFlags, fcntl_setfl, mknodat};
use rustix::process::{Pid, WaitId, WaitIdOptions, set_child_subreaper, waitid};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const ARGS: [&str; 3] = ["migrate", "--yes", "--install"];

/// A migration starts OpenClaw some ten times.
const LIMIT: Duration = Duration::from_mins(20);

/// How each step is announced: by clawkeep itself, and by what is loaded into each OpenClaw that starts.
const STEP: &str = " …";

/// Loaded by Node before OpenClaw is.
const ANNOUNCER: &str = r"
const fs = require('node:fs');
if (/openclaw(\.mjs)?$/.test(process.argv[1] || '')) {
  const words = process.argv.slice(2).map((word) => word.startsWith('/') ? 'PATH' : word);
  fs.writeFileSync('@PIPE@', 'openclaw ' + words.join(' ') + ' …\n');
}
";

/// A run that may have been killed: where, and what it had said by then.
struct Ran {
    steps: Vec<String>,
    said: String,
    code: Option<i32>,
}

struct Scene {
    home: Home,
    kept: tempfile::TempDir,
    /// Outside of the world: the announcer and its pipe, which is clawkeep's stderr too.
    desk: tempfile::TempDir,
    /// The files that hold each value before.
    held: BTreeMap<String, BTreeSet<PathBuf>>,
}

/// What matters afterwards.
#[derive(Debug, PartialEq)]
struct End {
    /// Each secret: its name, kind and mark, and its value.
    secrets: BTreeMap<String, (String, String)>,
    profiles: Vec<String>,
    order: Value,
    dotenv: String,
}

impl Scene {
    fn new(home: Home) -> Scene {
        home.world.init();
        let kept = tempfile::tempdir().unwrap();
        copy(home.world.root(), &kept.path().join("world"));
        let desk = tempfile::tempdir().unwrap();
        let (fifo, mode) = (FileType::Fifo, Mode::from_raw_mode(0o600));
        let pipe = desk.path().join("pipe");
        mknodat(rustix::fs::CWD, &pipe, fifo, mode, 0).unwrap();
        let announcer = ANNOUNCER.replace("@PIPE@", pipe.to_str().unwrap());
        std::fs::write(desk.path().join("announcer.cjs"), announcer).unwrap();
        let mut scene = Scene {
            home,
            kept,
            desk,
            held: BTreeMap::new(),
        };
        let values: Vec<String> = scene.home.values().into_iter().map(str::to_owned).collect();
        for value in values {
            let files = scene.holders(&value);
            assert!(!files.is_empty(), "nothing would be shown by {value}");
            scene.held.insert(value, files);
        }
        scene
    }

    /// The files that hold a value; a database and its log are one.
    fn holders(&self, value: &str) -> BTreeSet<PathBuf> {
        let found = self.home.grep(value).into_iter();
        let one = |path: PathBuf| {
            let text = path.to_str().unwrap();
            PathBuf::from(text.strip_suffix("-wal").unwrap_or(text))
        };
        found.map(one).collect()
    }

    fn put_back(&self) {
        let root = self.home.world.root();
        for entry in std::fs::read_dir(root).unwrap().flatten() {
            std::fs::remove_dir_all(entry.path()).unwrap();
        }
        copy(&self.kept.path().join("world").join("."), root);
    }

    /// Runs the migration and kills clawkeep, and nothing else, as it announces step `at`; then waits until
    /// what it had started has ended.
    fn killed(&self, at: usize) -> Ran {
        let pipe = self.desk.path().join("pipe");
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let mut options = File::options();
        // Without waiting for a writer, which comes next.
        let reader = options.read(true).custom_flags(nonblocking).open(&pipe);
        let reader = reader.unwrap();
        let writer = File::options().write(true).open(&pipe).unwrap();
        fcntl_setfl(&reader, OFlags::empty()).unwrap();
        let announcer = self.desk.path().join("announcer.cjs");
        let option = format!("--require={}", announcer.display());
        let cmd = self.home.world.cmd(&ARGS).env("NODE_OPTIONS", option);
        let mut command = cmd.into_std();
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(writer);
        let mut child = command.spawn().unwrap();
        // Its end of the pipe: the last line is the last writer's.
        drop(command);
        let mut ran = Ran {
            steps: Vec::new(),
            said: String::new(),
            code: None,
        };
        // Kept to the end: opening a pipe that nobody reads waits for a reader.
        let _open = reader.try_clone().unwrap();
        for line in BufReader::new(reader).lines() {
            let line = line.unwrap();
            ran.said.push_str(&line);
            ran.said.push('\n');
            if line.ends_with(STEP) {
                ran.steps.push(line);
                if ran.steps.len() == at {
                    child.kill().unwrap();
                }
            }
        }
        ran.code = child.wait().unwrap().code();
        // Orphans are this process's now, and of that group alone are they waited for.
        let group = Pid::from_raw(child.id().cast_signed()).unwrap();
        while let Ok(_) | Err(rustix::io::Errno::INTR) =
            waitid(WaitId::Pgid(Some(group)), WaitIdOptions::EXITED)
        {}
        ran
    }

    #[track_caller]
    fn nothing_is_lost(&self, end: &End, point: &str) {
        for (value, files) in &self.held {
            let named = end.secrets.iter().find(|(_, (_, kept))| kept == value);
            let (id, _) = named.unwrap();
            let run = self.home.world.run(&["secret", "get", id]);
            let kept = run.code == 0 && run.stdout == *value;
            let holders = self.holders(value);
            assert!(
                kept || holders.is_superset(files),
                "{id} is lost: {run:#}\nleft in {holders:?} of {files:?}\n{point}"
            );
        }
        assert!(self.home.config().is_object(), "{point}");
    }

    #[track_caller]
    fn end(&self, point: &str) -> End {
        let world = &self.home.world;
        let list = world.run(&["secret", "list", "--json"]).ok().json();
        let rows = list["secrets"].as_array().or(list.as_array()).unwrap();
        let one = |row: &Value| {
            let id = row["id"].as_str().unwrap();
            let told = format!("{} {}", row["kind"], row["wasPlaintext"]);
            (id.to_owned(), (told, world.get(id)))
        };
        let secrets = rows.iter().map(one).collect();
        let (code, report) = self.home.audit();
        assert_eq!(
            (code, &report["status"]),
            (0, &"clean".into()),
            "{report:#}\n{point}"
        );
        let args = "models auth order get --provider openrouter --json";
        let args: Vec<&str> = args.split(' ').collect();
        let end = End {
            secrets,
            profiles: self.home.profiles(),
            order: self.home.openclaw(&args).ok().json()["order"].clone(),
            dotenv: self.home.dotenv(),
        };
        // The program that was installed is large, and would be searched for each value.
        std::fs::remove_file(world.home().join(".local/bin/clawkeep")).unwrap();
        self.home.holds_none();
        end
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("/bin/cp").arg("-a").args([from, to]).status();
    assert!(status.unwrap().success());
}

fn killed_at_every_boundary(which: Which) {
    if rounds(0, 1) == 0 {
        eprintln!(
            "not run: OpenClaw {} starts a hundred times; scripts/test --long",
            which.version()
        );
        return;
    }
    let Some(home) = Home::make(which) else {
        return;
    };
    set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let scene = Scene::new(home);
    let whole = scene.killed(usize::MAX);
    assert_eq!(whole.code, Some(0), "{}", whole.said);
    let expected = scene.end(&whole.said);
    let count = whole.steps.len();
    assert!(count >= 10, "only {count} steps: {}", whole.said);
    let mut kills = 0;
    for at in 1..=count {
        scene.put_back();
        let ran = scene.killed(at);
        let point = format!(
            "{}: killed at {at} of {count}:\n{}",
            which.version(),
            ran.said
        );
        if ran.code.is_some() {
            // One step fewer, or it had come to its end.
            assert_eq!(ran.code, Some(0), "{point}");
            continue;
        }
        kills += 1;
        eprintln!("{}: {at}. {}", which.version(), ran.steps[at - 1]);
        scene.nothing_is_lost(&expected, &point);
        let again = scene.home.world.cmd(&ARGS).limit(LIMIT).run();
        assert_eq!(again.code, 0, "{again}\n{point}");
        let found = scene.end(&format!("{again}\n{point}"));
        assert_eq!(found, expected, "{again}\n{point}");
    }
    eprintln!("{}: {kills} kills at {count} steps", which.version());
    assert!(kills + 1 >= count, "{kills} of {count}");
}

#[test]
fn a_migration_of_2026_6_1_killed_between_two_steps_loses_nothing_and_can_be_run_again() {
    killed_at_every_boundary(Which::V2026_6_1);
}

#[test]
fn a_migration_of_2026_9_6_killed_between_two_steps_loses_nothing_and_can_be_run_again() {
    killed_at_every_boundary(Which::V2026_9_6);
}
