//! Our reading of `.env` against the real npm package `dotenv` 17, which OpenClaw reads it with: the same
//! names and values for thousands of files, before and after assignments were taken out.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod common;

use base64::Engine as _;
use clawkeep::assignment::{self, Language};
use common::World;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

type Values = BTreeMap<String, String>;

/// Reads an array of files in base64, gives the array of what is in each. Pairs, since an object would
/// put names that are numbers first.
const SCRIPT: &str = r"
const { parse } = require(process.env.DOTENV);
const files = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const read = (file) => Object.entries(parse(Buffer.from(file, 'base64')));
process.stdout.write(JSON.stringify(files.map(read)));
";

/// The Node and the package, as `scripts/test` installs them.
fn installed() -> Option<(PathBuf, PathBuf)> {
    if common::left_out("openclaw") {
        return None;
    }
    let node = common::cache().join("node/24/node");
    let package = common::cache().join("dotenv/17/node_modules/dotenv");
    for path in [&node, &package.join("package.json")] {
        assert!(
            path.is_file(),
            "{} is missing: run scripts/test, which installs it, or leave it out: scripts/test \
             --without openclaw",
            path.display()
        );
    }
    Some((node, package))
}

/// What the package reads in each of these files. One process; the files go through its pipe.
fn theirs(files: &[Vec<u8>]) -> Option<Vec<Values>> {
    let (node, package) = installed()?;
    let encode = |file: &Vec<u8>| base64::engine::general_purpose::STANDARD.encode(file);
    let input: Vec<String> = files.iter().map(encode).collect();
    let world = World::new();
    let run = world
        .program(&node, &["-e", SCRIPT])
        .env("DOTENV", &package)
        .stdin(serde_json::to_vec(&input).unwrap())
        .run()
        .ok();
    let read: Vec<Vec<(String, String)>> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(read.len(), files.len());
    Some(
        read.into_iter()
            .map(|pairs| pairs.into_iter().collect())
            .collect(),
    )
}

/// What we read: the last of each name.
fn ours(file: &[u8]) -> Values {
    let all = assignment::read(Language::DotEnv, file).unwrap();
    let known = |one: &assignment::Assignment| one.value.as_ref().unwrap().to_string();
    let pairs = assignment::effective(&all).into_iter();
    pairs
        .map(|at| (all[at].name.clone(), known(&all[at])))
        .collect()
}

fn same(files: &[Vec<u8>]) {
    let Some(theirs) = theirs(files) else {
        return;
    };
    for (file, theirs) in files.iter().zip(theirs) {
        assert_eq!(ours(file), theirs, "{:?}", String::from_utf8_lossy(file));
    }
}

/// Lines as people write them.
fn written() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "(export )?[A-Z_]{1,6}[0-9]? ?[=:] ?[ -~]{0,30}",
        "[A-Za-z_.-]{1,6}=(\"[ -~]{0,12}\"|'[ -~]{0,12}'|`[ -~]{0,12}`) {0,2}(# [ -~]{0,9})?",
        "[A-Z]{1,3}=[\"'`][ -~\n]{0,20}[\"'`]",
        "[A-Z]{1,3}=[\"'`](\\\\[\"'`]|[\"'`]|[a-z# \n]){0,12}",
        "[A-Z]{1,3}=\"(\\\\n|\\\\r|\\\\\"|\\\\\\\\|[a-z]){0,9}\"",
        "# [ -~]{0,20}",
        "[ \t]{0,3}",
    ];
    let end = proptest::sample::select(&["\n", "\n", "\r\n", "\r"][..]);
    let lines = (
        proptest::collection::vec(line, 0..10),
        end,
        any::<bool>(),
        any::<bool>(),
    );
    lines.prop_map(|(lines, end, bom, last)| {
        let bom = if bom { "\u{feff}" } else { "" };
        let last = if last { end } else { "" };
        format!("{bom}{}{last}", lines.join(end)).into_bytes()
    })
}

/// Everything that the expression knows, in any order.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "A",
        "B",
        "KEY",
        "x.y-z",
        "export ",
        "export",
        "=",
        "=",
        ":",
        ": ",
        "'",
        "'",
        "\"",
        "\"",
        "`",
        "\\'",
        "\\\"",
        "\\`",
        "\\",
        "\\n",
        "\\r",
        "#",
        " # c",
        "\n",
        "\n",
        "\n",
        "\r\n",
        "\r",
        "\u{2028}",
        "\u{2029}",
        "\u{feff}",
        "\u{a0}",
        "\u{85}",
        "\u{180e}",
        "\u{200b}",
        "\u{3000}",
        " ",
        "\t",
        "\u{b}",
        "\u{c}",
        "sk-FAKE",
        "é",
        "😀",
        "$A",
        "${A}",
        "__proto__",
        "constructor",
        "toString",
        "1",
    ];
    let piece = prop_oneof![
        30 => proptest::sample::select(pieces.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 1..3),
        1 => proptest::sample::select(vec![&b"\xe2\x80"[..], b"\xe2\xe2\x80\xa8", b"\xf0\x9f", b"\xc2", b"\xed\xa0\x80"])
            .prop_map(<[u8]>::to_vec),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

#[test]
fn thousands_of_files_are_read_as_the_real_package_reads_them() {
    let mut runner = TestRunner::default();
    let files = prop_oneof![written(), soup()];
    let strategy = (files, any::<u64>());
    let mut all = Vec::new();
    let (mut rewritten, mut refused) = (0, 0);
    for _ in 0..common::rounds(6_000, 60_000) {
        let (file, choice) = strategy.new_tree(&mut runner).unwrap().current();
        let count = assignment::read(Language::DotEnv, &file).unwrap().len();
        let gone: BTreeSet<usize> = (0..count)
            .filter(|at| choice >> (at % 64) & 1 == 1)
            .collect();
        match assignment::without(Language::DotEnv, &file, &gone) {
            Ok(rest) if !gone.is_empty() => {
                rewritten += 1;
                all.push(rest.to_vec());
            }
            Ok(_) => {}
            Err(_) => refused += 1,
        }
        all.push(file);
    }
    // The test would show nothing if nearly nothing were ever taken out.
    assert!(
        rewritten > 10 * refused,
        "{rewritten} rewritten, {refused} refused"
    );
    same(&all);
}

#[test]
fn the_recorded_file_is_read_as_the_real_package_reads_it() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/dotenv-cases.env");
    let file = std::fs::read(path).unwrap();
    let count = assignment::read(Language::DotEnv, &file).unwrap().len();
    let without = |at| assignment::without(Language::DotEnv, &file, &BTreeSet::from([at]));
    let mut files: Vec<Vec<u8>> = (0..count).map(|at| without(at).unwrap().to_vec()).collect();
    files.push(file.clone());
    same(&files);
}

/// A file that is all blanks, all quotes, all names: what a matcher goes back in most.
#[test]
fn long_files_are_read_as_the_real_package_reads_them() {
    let pieces = [
        "A\n",
        "A='\n",
        "A=\"\\\"\n",
        "A:\n\n",
        "export\n",
        " \n\t",
        "A=1 #\n",
        "'\u{2028}",
    ];
    let files = pieces.map(|piece| format!("B={}", piece.repeat(1_000)).into_bytes());
    same(&files);
}
