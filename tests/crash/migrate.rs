//! Kills, and a disk that is full, while plaintext moves into the vault, at every system call that changes
//! a file, with a stand-in in OpenClaw's place.
//!
//! Promise: each value is in the vault or where it was, every file is whole, and running `migrate` again
//! ends in the state in which an undisturbed run ends.

use super::common::Run;
use super::lab::{CALLS, Lab, STRACE, ready};
use clawkeep::openclaw::config::Config;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const STAND_IN: &str = include_str!("../link/stand_in.sh");

const ENV: &str = ".openclaw/.env";
const CONFIG: &str = ".openclaw/openclaw.json";
const BACKUP: &str = ".openclaw/openclaw.json.bak";
const PROFILES: &str = ".openclaw/agents/main/agent/auth-profiles.json";

const OPENAI: &str = "sk-proj-FAKE-openai-0123456789-0123456789";
const GROQ: [&str; 2] = ["gsk_FAKE0one0123456789", "gsk_FAKE0two0123456789"];
const OPENROUTER: &str = "sk-or-v1-FAKE-openrouter-0123456789";
const TOKEN: &str = "FAKE-gateway-token-0123456789";
const OLD: &str = "sk-or-v1-FAKE-old-0123456789";

/// Each value, its name in the vault, and the files that held it.
const VALUES: [(&str, &str, &[&str]); 6] = [
    (OPENAI, "openai:default", &[ENV]),
    (GROQ[0], "groq:default", &[ENV]),
    (GROQ[1], "groq:key-2", &[ENV]),
    (OPENROUTER, "openrouter:default", &[CONFIG]),
    (TOKEN, "gateway/token", &[CONFIG, BACKUP]),
    (
        OLD,
        "old/openclaw.json.bak/models.providers.openrouter.apiKey",
        &[BACKUP],
    ),
];
/// Only where OpenClaw keeps profiles in a file.
const PROFILE: (&str, &str, &[&str]) = (
    "sk-ant-api03-FAKE-profile-0123456789",
    "anthropic:work",
    &[PROFILES],
);

const ARGS: [&str; 3] = ["migrate", "--yes", "--install"];

/// The calls that change a file: those that change a folder, and what is done to an open file.
const FILE_CALLS: [&str; 11] = [
    "openat",
    "creat",
    "write",
    "pwrite64",
    "writev",
    "fsync",
    "fdatasync",
    "ftruncate",
    "fchmod",
    "fchmodat",
    "chmod",
];

struct Scene {
    lab: Lab,
    version: &'static str,
    _bin: tempfile::TempDir,
}

fn scene(version: &'static str) -> Scene {
    let lab = Lab::with_vault();
    let world = &lab.world;
    let bin = tempfile::tempdir().unwrap();
    crate::common::copy_program(bin.path().join("clawkeep"));
    std::fs::create_dir_all(world.home().join(".local")).unwrap();
    std::os::unix::fs::symlink(bin.path(), world.home().join(".local/bin")).unwrap();
    let package = world.root().join("package");
    std::fs::create_dir(&package).unwrap();
    let program = package.join("openclaw");
    let script = STAND_IN.replace("@DIR@", package.to_str().unwrap());
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let manifest = format!(r#"{{"name":"openclaw","version":"{version}"}}"#);
    std::fs::write(package.join("package.json"), manifest).unwrap();
    world.put_on_path("openclaw", &program);
    world.write(
        ENV,
        format!(
            "# mine\nOPENAI_API_KEY={OPENAI}\nGROQ_API_KEYS={},{}\nEDITOR=vi\n",
            GROQ[0], GROQ[1]
        ),
    );
    let config = |key: &str| {
        format!(
            "{{\n  gateway: {{ auth: {{ token: '{TOKEN}' }} }},\n  models: {{ providers: {{ openrouter: {{ apiKey: '{key}' }} }} }},\n}}\n"
        )
    };
    world.write(CONFIG, config(OPENROUTER));
    world.write(BACKUP, config(OLD));
    if version == "2026.6.1" {
        world.write(
            PROFILES,
            serde_json::json!({"version": 1, "profiles": {"anthropic:work": {
                "type": "api_key", "provider": "anthropic", "key": PROFILE.0, "email": "me@example.com"}}})
            .to_string(),
        );
    }
    Scene {
        lab,
        version,
        _bin: bin,
    }
}

impl Scene {
    fn values(&self) -> Vec<(&'static str, &'static str, &'static [&'static str])> {
        let mut all = VALUES.to_vec();
        if self.version == "2026.6.1" {
            all.push(PROFILE);
        }
        all
    }

    fn text(&self, below_home: &str) -> String {
        let path = self.lab.world.home().join(below_home);
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// Each value is in the vault, or where it was; each file can be read as what it is.
    fn nothing_is_lost(&self, point: &str) {
        for (value, id, files) in self.values() {
            let run = self.lab.world.run(&["secret", "get", id]);
            let kept = run.code == 0 && run.stdout == value;
            let there = files.iter().all(|file| self.text(file).contains(value));
            assert!(kept || there, "{id} is lost: {run:#}\n{point}");
            // What is gone from a file is answered by the vault.
            let gone = files.iter().any(|file| !self.text(file).contains(value));
            assert!(kept || !gone, "{id} went too early: {run:#}\n{point}");
        }
        for file in [CONFIG, BACKUP, PROFILES] {
            let text = self.text(file);
            let parsed = Config::parse(text.as_bytes(), Path::new(file));
            assert!(text.is_empty() || parsed.is_ok(), "{file} is torn\n{point}");
        }
        let env = self.text(ENV);
        assert!(
            env.starts_with("# mine\n") && env.ends_with("EDITOR=vi\n"),
            "{env}\n{point}"
        );
    }

    /// Everything that matters afterwards, without what chance and clock make.
    fn end_state(&self) -> BTreeMap<String, String> {
        let mut state = BTreeMap::new();
        let world = &self.lab.world;
        for (path, (mode, bytes)) in world.tree() {
            let below = path.strip_prefix(world.home()).unwrap();
            let name = below.to_string_lossy().into_owned();
            let of_vault = name.starts_with(".local/share/clawkeep");
            let plain = ["link.json", "agents/main/auth-profiles.json"];
            if of_vault && !plain.iter().any(|plain| name.ends_with(plain)) {
                // What is inside comes below; that a lock or folder is there says nothing.
                continue;
            }
            // The claim of OpenClaw's lock that a kill left holds a process number alone.
            if name.contains("/.clawkeep-claim-") {
                continue;
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            state.insert(name, format!("{mode:o} {text}"));
        }
        for (_, id, _) in self.values() {
            let run = world.run(&["secret", "get", id]);
            state.insert(
                format!("secret {id}"),
                format!("{} {}", run.code, run.stdout),
            );
        }
        let list = world.run(&["secret", "list", "--json"]).ok().json();
        let mut told = String::new();
        for row in list["secrets"].as_array().or(list.as_array()).unwrap() {
            let _ = writeln!(
                told,
                "{} {} {}",
                row["id"], row["kind"], row["wasPlaintext"]
            );
        }
        state.insert("secrets".to_owned(), told);
        let undo = world.run(&["migrate", "--undo-list", "--json"]).ok().json();
        let bundles = undo["bundles"].as_array().or(undo.as_array()).unwrap();
        state.insert("bundles".to_owned(), bundles.len().to_string());
        for dir in ["db", "orders"] {
            let mut told = String::new();
            list_files(&world.root().join("package").join(dir), &mut told);
            state.insert(dir.to_owned(), told);
        }
        state
    }

    /// Running it again ends as an undisturbed run does.
    fn finishes(&self, expected: &BTreeMap<String, String>, point: &str) {
        let again = self.lab.world.run(&ARGS);
        assert_eq!(again.code, 0, "{again:#}\n{point}");
        self.ended(expected, &format!("{again:#}\n{point}"));
    }

    fn ended(&self, expected: &BTreeMap<String, String>, point: &str) {
        let found = self.end_state();
        for (name, text) in expected {
            assert_eq!(found.get(name), Some(text), "{name}\n{point}");
        }
        let more: Vec<_> = found
            .keys()
            .filter(|name| !expected.contains_key(*name))
            .collect();
        assert!(more.is_empty(), "{more:?}\n{point}");
        for (value, ..) in self.values() {
            let left = self.lab.world.search_home(value);
            assert!(left.is_empty(), "{left:?}\n{point}");
        }
        self.lab.no_temporary_file(point);
    }

    /// An end state that may have anything in this one place.
    fn but_for(&self, name: &str, expected: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut expected = expected.clone();
        expected.insert(name.to_owned(), self.end_state()[name].clone());
        expected
    }

    /// Every call of a run that changes a regular file or a folder, with its number among the calls of
    /// that name.
    fn steps(&self) -> Vec<(String, u32)> {
        self.lab.put_back();
        let trace = self.lab.world.root().join("tmp/trace");
        let calls: Vec<&str> = CALLS.iter().chain(&FILE_CALLS).copied().collect();
        let all: Vec<String> = calls.iter().map(|call| format!("?{call}")).collect();
        let filter = format!("trace={}", all.join(","));
        let front = ["-qq", "-y", "-o", trace.to_str().unwrap(), "-e", &filter];
        let program = env!("CARGO_BIN_EXE_clawkeep");
        let args = [&front[..], &[program], &ARGS].concat();
        let _ = self.lab.world.program(Path::new(STRACE), &args).run().ok();
        let text = std::fs::read_to_string(&trace).unwrap();
        // It shows the beginnings of what was written.
        std::fs::remove_file(&trace).unwrap();
        let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
        let mut steps = Vec::new();
        for line in text.lines() {
            let Some((call, rest)) = line.split_once('(') else {
                continue;
            };
            if !calls.contains(&call) {
                continue;
            }
            let number = numbers.entry(call.to_owned()).or_default();
            *number += 1;
            let root = self.lab.world.root().to_str().unwrap();
            let changes = match call {
                "openat" => rest.contains("O_CREAT") || rest.contains("O_TRUNC"),
                // A pipe and a terminal are no files; neither is what another world has.
                "write" | "pwrite64" | "writev" => rest
                    .split_once('<')
                    .is_some_and(|(_, path)| path.starts_with(root)),
                _ => true,
            };
            if changes {
                steps.push((call.to_owned(), *number));
            }
        }
        steps
    }
}

fn list_files(dir: &Path, told: &mut String) {
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            list_files(&path, told);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            let _ = writeln!(told, "{}: {text}", path.display());
        }
    }
}

type Steps = Vec<(String, u32)>;
type End = BTreeMap<String, String>;

/// A scene that can be put back, its steps, and how an undisturbed run ends. `None` where nothing can be
/// disturbed.
fn undisturbed(version: &'static str) -> Option<(Scene, Steps, End)> {
    if !ready() {
        return None;
    }
    let scene = scene(version);
    scene.lab.keep();
    let steps = scene.steps();
    let end = scene.end_state();
    Some((scene, steps, end))
}

fn kill_at_every_step(version: &'static str) {
    let Some((scene, steps, expected)) = undisturbed(version) else {
        return;
    };
    for (value, ..) in scene.values() {
        assert!(scene.lab.world.search_home(value).is_empty(), "{value}");
    }
    let all = steps.len();
    assert!(all > 60, "only {all} steps were seen");
    let mut kills = 0;
    for (call, at) in &steps {
        scene.lab.put_back();
        let run: Run = scene.lab.killed(call, *at, &ARGS, "");
        let point = format!("{version}: killed at {call} {at}: {run:#}");
        if run.code != 137 {
            // Chance made one call fewer.
            assert_eq!(run.code, 0, "{point}");
            continue;
        }
        kills += 1;
        scene.nothing_is_lost(&point);
        scene.finishes(&expected, &point);
    }
    eprintln!("{version}: {kills} kills at {} of {all} steps", steps.len());
    assert!(kills * 10 >= steps.len() * 9, "{kills} of {}", steps.len());
}

#[test]
fn a_killed_migration_loses_nothing_and_can_be_run_again() {
    kill_at_every_step("2026.6.1");
}

#[test]
fn a_killed_migration_to_a_database_loses_nothing_and_can_be_run_again() {
    kill_at_every_step("2026.9.6");
}

fn full_at_every_step(version: &'static str) {
    let Some((scene, steps, expected)) = undisturbed(version) else {
        return;
    };
    let (mut failures, mut unharmed) = (0, 0);
    // A full disk still lets names and modes go.
    let frees = ["unlink", "unlinkat", "fchmod", "fchmodat", "chmod"];
    let steps: Vec<_> = steps
        .into_iter()
        .filter(|(call, _)| !frees.contains(&call.as_str()))
        .collect();
    for (call, at) in &steps {
        scene.lab.put_back();
        let run: Run = scene.lab.full(call, *at, &ARGS);
        let point = format!("{version}: full at {call} {at}: {run:#}");
        if run.code == 0 {
            // What is written on the side (a log, a cache, a backup that the next step cleans too) stops
            // nobody.
            unharmed += 1;
            scene.ended(&scene.but_for(BACKUP, &expected), &point);
            continue;
        }
        failures += 1;
        assert_eq!(run.code, 1, "{point}");
        assert!(run.stderr.contains("the disk is full"), "{point}");
        scene.nothing_is_lost(&point);
        if !run.stderr.contains("clawkeep: moved, but") {
            scene.finishes(&expected, &point);
            continue;
        }
        // It came to its end, and has its bundle; what it had to leave is the next one's.
        assert!(run.stderr.contains("left: cannot "), "{point}");
        let again = scene.lab.world.run(&ARGS);
        assert_eq!(again.code, 0, "{again:#}\n{point}");
        scene.ended(&scene.but_for("bundles", &expected), &point);
        // The newest first. One that had nothing to do made none.
        let told = again.stderr.lines().chain(run.stderr.lines());
        let undo = "To take it back: clawkeep migrate --undo ";
        let bundles = told.filter_map(|line| line.strip_prefix(undo)?.split(' ').next());
        let mut undone = String::new();
        for id in bundles {
            let args = ["migrate", "--undo", id, "--yes", "--as-root"];
            let run = scene.lab.world.run(&args);
            assert_eq!(run.code, 0, "{run:#}\n{point}");
            let _ = writeln!(undone, "{run:#}");
        }
        for (value, _, files) in scene.values() {
            let there = files.iter().all(|file| scene.text(file).contains(value));
            assert!(there, "{value} did not come back\n{undone}\n{point}");
        }
    }
    eprintln!("{version}: {failures} failures and {unharmed} without harm");
    assert!(failures > unharmed, "{failures} of {}", steps.len());
}

#[test]
fn a_disk_that_is_full_in_the_middle_loses_nothing() {
    full_at_every_step("2026.6.1");
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_migration_to_a_database_loses_nothing() {
    full_at_every_step("2026.9.6");
}
