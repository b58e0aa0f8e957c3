//! Our reading of units and of environment.d against the real systemd: the values that it gives to names,
//! before and after assignments were taken out. Nothing is booted: its generator for environment.d and
//! its `--test`, which loads units and says what it made of them, run as programs.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails, and it writes files"
)]

mod common;

use clawkeep::assignment::{self, Language};
use common::World;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

const SYSTEMD: &str = "/usr/lib/systemd/systemd";
const GENERATOR: &str =
    "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator";

/// Nobody: systemd's `--test` does not run as root.
const NOBODY: u32 = 65_534;

type Known = BTreeMap<String, Option<String>>;
type Values = BTreeMap<String, String>;

fn installed(program: &str) {
    assert!(
        Path::new(program).is_file(),
        "{program} is missing: run scripts/test, which installs it"
    );
}

/// What we say: a value, or `None` for one that is not known.
fn ours(language: Language, file: &str) -> Known {
    let all = assignment::read(language, file.as_bytes())
        .unwrap_or_else(|error| panic!("{error}: {file:?}"));
    let effective = assignment::effective(&all).into_iter().map(|at| &all[at]);
    let value = |one: &assignment::Assignment| one.value.as_ref().map(|value| value.to_string());
    effective
        .map(|one| (one.name.clone(), value(one)))
        .collect()
}

/// Files, and what is left of each when some of its names were taken out.
fn files(
    language: Language,
    files: &impl Strategy<Value = String>,
    rounds: usize,
) -> Vec<(String, String, BTreeSet<String>)> {
    let mut runner = TestRunner::default();
    let mut all = Vec::new();
    let mut refused = 0;
    for _ in 0..rounds {
        let file = files.new_tree(&mut runner).unwrap().current();
        let choice = any::<u64>().new_tree(&mut runner).unwrap().current();
        let names: BTreeSet<String> = ours(language, &file)
            .into_keys()
            .enumerate()
            .filter(|(at, _)| choice >> (at % 64) & 1 == 1)
            .map(|(_, name)| name)
            .collect();
        let found = assignment::read(language, file.as_bytes()).unwrap();
        let gone = found
            .iter()
            .enumerate()
            .filter(|(_, one)| names.contains(&one.name))
            .map(|(at, _)| at)
            .collect();
        match assignment::without(language, file.as_bytes(), &gone) {
            Ok(rest) => all.push((file, String::from_utf8(rest.to_vec()).unwrap(), names)),
            Err(_) => refused += 1,
        }
    }
    assert!(refused * 20 < rounds, "{refused} of {rounds} refused");
    all
}

/// Both readings of every file, before and after.
fn compare(
    language: Language,
    files: &[(String, String, BTreeSet<String>)],
    before: &[Values],
    after: &[Values],
) {
    for (number, (file, rest, gone)) in files.iter().enumerate() {
        for (text, theirs) in [(file, &before[number]), (rest, &after[number])] {
            let ours = ours(language, text);
            let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            for name in names {
                match ours.get(name) {
                    Some(None) => {}
                    known => assert_eq!(
                        known.cloned().flatten().as_ref(),
                        theirs.get(name),
                        "{name} in {text:?}"
                    ),
                }
            }
        }
        for name in gone {
            assert_eq!(after[number].get(name), None, "{name} stays in {rest:?}");
        }
    }
}

// --- environment.d ---

/// `"…"` with C escapes, as systemd prints what a shell would take for more than a word.
fn unquoted(text: &str) -> String {
    let Some(inner) = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    else {
        return text.to_owned();
    };
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.push(match (c, c == '\\') {
            (_, false) => c,
            _ => match chars.next().unwrap() {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            },
        });
    }
    out
}

fn generated(world: &World, files: &[&str]) -> Vec<Values> {
    for (number, file) in files.iter().enumerate() {
        world.write(
            &format!("homes/{number:06}/.config/environment.d/x.conf"),
            file,
        );
    }
    let homes = world.home().join("homes");
    let script =
        format!("for home in \"$1\"/*; do HOME=$home {GENERATOR} 2>/dev/null; printf '\\0'; done");
    let run = world
        .program(
            Path::new("/bin/sh"),
            &["-c", &script, "sh", homes.to_str().unwrap()],
        )
        .run();
    let read: Vec<Values> = run
        .stdout
        .split_terminator('\0')
        .map(|text| {
            let pairs = text.lines().map(|line| line.split_once('=').unwrap());
            pairs
                .map(|(name, value)| (name.to_owned(), unquoted(value)))
                .collect()
        })
        .collect();
    assert_eq!(read.len(), files.len(), "{run}");
    std::fs::remove_dir_all(&homes).unwrap();
    read
}

fn environment_d() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => select(&["A=", "B =", "C_1= ", "_d=", "A=1", "1x=", "x y=", "é=", "=", "=="][..]).prop_map(str::to_owned),
        6 => select(&["\n", "\n", "\r\n", "\r", " ", "\t"][..]).prop_map(str::to_owned),
        5 => select(&["'", "\"", "\\", "\\\"", "\\$", "\\`", "\\n", "\\\n", "\\\r\n", "#", ";", "\n# c\n", "`"][..]).prop_map(str::to_owned),
        1 => select(&["$A", "${A}", "$$", "$ ", "${", "$", "$.", "${A:-x}"][..]).prop_map(str::to_owned),
        4 => "[A-Za-z0-9 ./é-]{1,6}",
    ];
    let ordinary = prop_oneof![
        "[A-Z]{1,3}=[a-z0-9]{0,9}",
        "[A-Z]{1,3} = \"[a-z' $.\\\\]{0,9}\" *",
        "[A-Z]{1,3}='[a-z\" \n]{0,9}'",
        "[#;][a-z]{0,9}",
        " *",
    ];
    let soup = vec(piece, 0..20).prop_map(|pieces| pieces.concat());
    let lines = vec(ordinary, 0..8).prop_map(|lines| lines.join("\n") + "\n");
    // Older versions let a comment go on behind a backslash, newer ones do not.
    prop_oneof![soup, lines].prop_filter("a comment with a backslash", |text| {
        !text.split(['\n', '\r']).any(|line| {
            line.find(['#', ';'])
                .is_some_and(|at| line[at..].contains('\\'))
        })
    })
}

#[test]
fn environment_d_is_read_as_the_real_generator_reads_it() {
    installed(GENERATOR);
    let world = World::new();
    // What the machine itself sets.
    let theirs = generated(&world, &[""]).remove(0);
    let all = files(
        Language::EnvironmentD,
        &environment_d(),
        common::rounds(500, 10_000),
    );
    let read = |which: fn(&(String, String, BTreeSet<String>)) -> &str| {
        let mut read = generated(&world, &all.iter().map(which).collect::<Vec<_>>());
        for values in &mut read {
            values.retain(|name, _| !theirs.contains_key(name));
        }
        read
    };
    compare(
        Language::EnvironmentD,
        &all,
        &read(|one| &one.0),
        &read(|one| &one.1),
    );
}

// --- units ---

fn loaded(world: &World, units: &[&str]) -> Vec<Values> {
    let mut wants = "[Unit]\n".to_owned();
    for (number, unit) in units.iter().enumerate() {
        let name = format!("fake-{number:06}.service");
        world.write(&format!(".config/systemd/user/{name}"), unit);
        let _ = writeln!(wants, "Wants={name}");
    }
    world.write(".config/systemd/user/fake.target", wants);
    let args = ["--test", "--user", "--unit=fake.target", "--no-pager"];
    let run = if rustix::process::getuid().is_root() {
        give_away(world.root());
        let user = ["--reuid=65534", "--regid=65534", "--clear-groups", SYSTEMD];
        world.program(Path::new("/usr/bin/setpriv"), &[&user[..], &args].concat())
    } else {
        world.program(Path::new(SYSTEMD), &args)
    };
    let runtime = world.root().join("run");
    let run = run
        .env("XDG_RUNTIME_DIR", runtime)
        .env("SYSTEMD_LOG_LEVEL", "err")
        .run()
        .ok();
    let mut read = vec![None; units.len()];
    let mut now = None;
    for line in run.stdout.lines() {
        if let Some(unit) = line.trim_start().strip_prefix("-> Unit ") {
            let number = unit
                .strip_prefix("fake-")
                .and_then(|rest| rest.strip_suffix(".service:"));
            now = number.map(|number| number.parse::<usize>().unwrap());
            if let Some(now) = now {
                read[now] = Some(Values::new());
            }
        } else if let (Some(now), Some(text)) =
            (now, line.trim_start().strip_prefix("Environment: "))
        {
            let (name, value) = text.split_once('=').unwrap();
            let values = read[now].as_mut().unwrap();
            values.insert(name.to_owned(), value.to_owned());
        }
    }
    let missing = || panic!("systemd did not load every unit\n{run}");
    read.into_iter()
        .map(|values| values.unwrap_or_else(missing))
        .collect()
}

/// Gives everything of the test's world to nobody.
fn give_away(dir: &Path) {
    std::os::unix::fs::lchown(dir, Some(NOBODY), Some(NOBODY)).unwrap();
    if dir.is_dir() && !dir.is_symlink() {
        for entry in std::fs::read_dir(dir).unwrap() {
            give_away(&entry.unwrap().path());
        }
    }
}

fn unit() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => select(&["A=1", "B=", "C_1=x", "\"A=2 3\"", "'B=4'", "_d=\"5 \"6", "A='", "B=\"", "junk", "1x=1", "é=1"][..]).prop_map(str::to_owned),
        8 => select(&[" ", "\t", " \\\n", " \\\n  ", " \\\n# c\n ", "\\\n;\\\n", " \\\r\n"][..]).prop_map(str::to_owned),
        2 => select(&["\\x41", "\\s", "\\\\", "\\\"", "\\'", "\\101", "\\u00e9", "\\U0001f600", "\\ud800", "\\xff", "\\q", "\\"][..]).prop_map(str::to_owned),
        1 => select(&["%%", "%!", "%", "=%h", "=%j"][..]).prop_map(str::to_owned),
        3 => "[a-zé./=$#;-]{1,5}",
    ];
    let words = vec(piece, 0..10).prop_map(|pieces| pieces.concat());
    let line = prop_oneof![
        8 => words.prop_map(|words| format!("Environment={words}")),
        1 => select(&["Environment=", "  Environment = A=9", "# Environment=A=1", "Type=simple", "", "X-Environment=A=1"][..]).prop_map(str::to_owned),
    ];
    let end = select(&["\n", "\n", "\r\n", "\r"][..]);
    (vec(line, 0..6), end, any::<bool>()).prop_map(|(lines, end, bom)| {
        let bom = if bom { "\u{feff}" } else { "" };
        let head =
            format!("{bom}[Unit]{end}Environment=A=no{end}[Service]{end}ExecStart=/bin/true{end}");
        format!(
            "{head}{}{end}[Install]{end}Environment=A=no{end}",
            lines.join(end)
        )
    })
}

#[test]
fn units_are_read_as_the_real_systemd_loads_them() {
    installed(SYSTEMD);
    let all = files(Language::Unit, &unit(), common::rounds(600, 4_000));
    let read = |which: fn(&(String, String, BTreeSet<String>)) -> &str| {
        loaded(&World::new(), &all.iter().map(which).collect::<Vec<_>>())
    };
    compare(
        Language::Unit,
        &all,
        &read(|one| &one.0),
        &read(|one| &one.1),
    );
}
