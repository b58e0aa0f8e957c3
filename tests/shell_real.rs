//! Our reading of shell files against the real sh, bash and zsh: what we say that a name gets, it has when
//! they have run the file; and what is left when assignments were taken out is still a file that they
//! run, with the other names as before.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails"
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
use std::path::{Path, PathBuf};

/// The only names that are assigned.
const NAMES: [&str; 4] = ["A", "B", "C_1", "_d"];

/// Runs each file in a shell of its own, and says what the names have. What files print goes nowhere.
const SCRIPT: &str = r#"
for file in "$1"/*; do
  (
    unset A B C_1 _d
    . "$file" >/dev/null
    for name in A B C_1 _d; do
      eval "if [ -n \"\${$name+x}\" ]; then printf '%s\\0' \"\$$name\"; else printf 'unset\\0'; fi"
    done
  )
  printf 'end\0'
done
"#;

/// The shells; each is one that people have at login.
fn shells() -> Vec<(&'static str, PathBuf)> {
    let place = |name: &'static str| {
        let found = ["/bin", "/usr/bin", "/usr/local/bin"].map(|dir| Path::new(dir).join(name));
        let found = found.into_iter().find(|path| path.is_file());
        (
            name,
            found.unwrap_or_else(|| {
                panic!("{name} is missing: run scripts/test, which installs it")
            }),
        )
    };
    ["sh", "bash", "zsh"].map(place).to_vec()
}

/// What the names have after each of the files.
fn theirs(world: &World, shell: &Path, files: &[Vec<u8>]) -> Vec<Vec<Option<String>>> {
    let dir = format!("files-{}", shell.file_name().unwrap().to_str().unwrap());
    for (number, file) in files.iter().enumerate() {
        world.write(&format!("{dir}/{number:06}"), file);
    }
    let dir = world.home().join(dir);
    let run = world
        .program(shell, &["-c", SCRIPT, "sh", dir.to_str().unwrap()])
        .run();
    let mut all = run.stdout.split_terminator('\0');
    let mut read = Vec::new();
    for file in files {
        let mut values = Vec::new();
        while let Some(value) = all.next().filter(|value| *value != "end") {
            values.push((value != "unset").then(|| value.to_owned()));
        }
        let file = String::from_utf8_lossy(file);
        assert_eq!(
            values.len(),
            NAMES.len(),
            "{} could not run {file:?}\n{run}",
            shell.display()
        );
        read.push(values);
    }
    std::fs::remove_dir_all(&dir).unwrap();
    read
}

/// What we say: a value, or `None` for one that is not known.
fn ours(file: &[u8]) -> BTreeMap<String, Option<String>> {
    let all = assignment::read(Language::Shell, file).unwrap();
    let effective = assignment::effective(&all).into_iter().map(|at| &all[at]);
    let value = |one: &assignment::Assignment| one.value.as_ref().map(|value| value.to_string());
    effective
        .map(|one| (one.name.clone(), value(one)))
        .collect()
}

/// One word of a value; `literal` or of what only running could tell.
fn value() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => "[A-Za-z0-9_./:@%+,#-]{1,8}",
        2 => "\\\\[ -~]",
        4 => "'[ -&(-~\n]{0,10}'",
        4 => "\"([ !#%-\\[\\]-_a-~\n]|\\\\[ -~]){0,8}\"",
        1 => "\\\\\n",
        1 => "\r|é|x==",
        1 => select(&[
            "$(echo x)", "`echo x`", "${Z:-'y}'}", "\"${Z:-its}\"", "$Z.", "\"$Z\"", "$((1 << 2))",
            "$.", "\"$\"", "$'ab\\n'", "{a,b}", "$(case x in x) echo ')';; esac)", "\"$(echo \"a b\")\"",
        ][..]).prop_map(str::to_owned),
    ];
    // A `~` before a name is an error where there is no such user.
    let home = select(&["~", "x:~", "~/x", "\"\"~", "\\\n~"][..]).prop_map(str::to_owned);
    prop_oneof![20 => vec(part, 0..4).prop_map(|parts| parts.concat()), 1 => home]
}

fn name() -> impl Strategy<Value = &'static str> {
    select(&NAMES[..])
}

fn one() -> impl Strategy<Value = String> {
    (name(), value()).prop_map(|(name, value)| format!("{name}={value}"))
}

/// A command that assigns.
fn assigning() -> impl Strategy<Value = String> {
    let joined = |with: &'static str| vec(one(), 1..4).prop_map(move |words| words.join(with));
    let exported = |words: String| format!("export {words}");
    prop_oneof![
        4 => joined(" ").prop_map(exported),
        3 => joined(" "),
        1 => joined(" \\\n\t").prop_map(exported),
        1 => (name(), "([ !#%-\\[\\]-_a-~]|\\\\[ -~]){0,9}").prop_map(|(name, value)| format!("export \"{name}={value}\"")),
        1 => (name(), "[ -&(-~]{0,9}").prop_map(|(name, value)| format!("export '{name}={value}'")),
        1 => (one(), name()).prop_map(|(one, name)| format!("{name}=1; export {name} {one}")),
        1 => one().prop_map(|one| format!("export {one} 2>/dev/null")),
        1 => one().prop_map(|one| format!("{one} >/dev/null")),
    ]
}

/// Lines in which commands stand as they do in such files. Every branch is taken.
fn lines() -> impl Strategy<Value = String> {
    let list = vec(assigning(), 1..3).prop_map(|all| all.join("; "));
    let around = select(
        &[
            "X",
            "X",
            "X",
            "  X",
            "X;",
            "X # it's",
            "X; X",
            "X && X",
            "true && X",
            "false || X",
            "true &&\n  X",
            "if true; then X; fi",
            "if true\nthen\n  X\nfi",
            "if false; then :; else X; fi >/dev/null",
            "{ X; }",
            "{\nX\n}",
            "for i in 1 2; do X; done",
            "while true; do X; break; done",
            "case x in y) :;; x) X;; esac",
            "case x in\n  (y|z) ;;\n  x)\n    X\n    ;;\nesac",
            "f() { X; }; f",
            "f()\n{\n  X\n}\nf",
            "! false && X",
            "[ -n \"it's\" ] && X",
            ": <<EOF; X\nexport A=no\nEOF",
            ": <<-'E F'; X\n\tB='\n\tE F",
            ": \"$(echo \"a)b\")\"; X",
        ][..],
    );
    let lone = select(
        &[
            "",
            "# it's a \"comment",
            ": 'export A=no'",
            ": \"\nexport A=no\n\"",
            ": <<EOF\nA=no '\nEOF",
            "alias a='A=no'",
            ": $((1 << 2))",
            "echo A=no",
            "Z= :",
            "case A=no in A=no) ;; esac",
            "for x in A=no; do :; done",
            ": \\\nA=no",
            ": ${Z:-A=no}",
            ": `echo 'A=no'`",
            "export A B",
        ][..],
    );
    prop_oneof![
        5 => (around, list).prop_map(|(around, list)| around.replace('X', &list)),
        2 => lone.prop_map(str::to_owned),
    ]
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    (vec(lines(), 0..6), any::<bool>()).prop_map(|(lines, end)| {
        let end = if end { "\n" } else { "" };
        format!("{}{end}", lines.join("\n")).into_bytes()
    })
}

#[test]
fn real_shells_give_the_names_the_same_values() {
    let mut runner = TestRunner::default();
    let strategy = (file(), any::<u64>());
    let (mut files, mut rests) = (Vec::new(), Vec::new());
    let mut refused = 0;
    for _ in 0..common::rounds(1_500, 15_000) {
        let (file, choice) = strategy.new_tree(&mut runner).unwrap().current();
        let all = assignment::read(Language::Shell, &file);
        let all =
            all.unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&file)));
        // A name goes with all its values, so that it is not there afterwards.
        let names: BTreeSet<&str> = (0..NAMES.len())
            .filter(|at| choice >> at & 1 == 1)
            .map(|at| NAMES[at])
            .collect();
        let gone = all
            .iter()
            .enumerate()
            .filter(|(_, one)| names.contains(&*one.name));
        let gone = gone.map(|(at, _)| at).collect();
        match assignment::without(Language::Shell, &file, &gone) {
            Ok(rest) => {
                rests.push((rest.to_vec(), names));
                files.push(file);
            }
            Err(_) => refused += 1,
        }
    }
    assert!(
        refused * 100 < files.len(),
        "{refused} refused, {} not",
        files.len()
    );
    let world = World::new();
    let texts: Vec<Vec<u8>> = rests.iter().map(|(rest, _)| rest.clone()).collect();
    for (shell, path) in shells() {
        let before = theirs(&world, &path, &files);
        let after = theirs(&world, &path, &texts);
        for (number, file) in files.iter().enumerate() {
            let ours = ours(file);
            let (rest, gone) = &rests[number];
            let said = format!(
                "{shell}\n{}\n-- left:\n{}",
                String::from_utf8_lossy(file),
                String::from_utf8_lossy(rest)
            );
            for (at, name) in NAMES.iter().enumerate() {
                let value = &before[number][at];
                match ours.get(*name) {
                    Some(Some(known)) => {
                        assert_eq!(value.as_ref(), Some(known), "{name} in {said}");
                    }
                    Some(None) => {}
                    None => assert!(
                        value.as_deref().is_none_or(str::is_empty),
                        "{name} in {said}"
                    ),
                }
                // In zsh, `export NAME` gives a name that has no value an empty one.
                let exported = |value: &Option<String>| match value.as_deref() {
                    Some("") if shell == "zsh" => None,
                    _ => value.clone(),
                };
                let left = exported(&after[number][at]);
                let expected = if gone.contains(name) {
                    None
                } else {
                    exported(value)
                };
                assert_eq!(left, expected, "{name} afterwards in {said}");
            }
        }
    }
}
