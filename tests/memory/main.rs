//! No secret stays in memory after it was used: the real code runs in a process of its own with the
//! program's allocator, and then that process searches all memory that it can write.
//!
//! Each run has its control: a secret that is still held is found.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a panic is how a test fails; it writes files of its own world and prints what it found"
)]

#[path = "../common/mod.rs"]
mod common;
mod scan;
mod scenarios;

use clawkeep::secret::{Alphabet, Secret};
use common::World;
use common::run::Cmd;
use scan::{Memory, Needles};
use std::collections::BTreeSet;
use std::io::Read as _;

#[global_allocator]
static ALLOCATOR: clawkeep::wipe::Wiping = clawkeep::wipe::Wiping;

const SCENARIO: &str = "CLAWKEEP_MEMORY_SCENARIO";
const NEEDLES: &str = "CLAWKEEP_MEMORY_NEEDLES";

/// Does nothing unless another test started it as a process of its own.
#[test]
fn scanned_process() {
    let Ok(scenario) = std::env::var(SCENARIO) else {
        return;
    };
    let needles = Needles::from_text(&std::env::var(NEEDLES).unwrap());
    let mut memory = Memory::open();
    let before = memory.scan(&needles);
    scenarios::run(&scenario, &needles);
    let after = memory.scan(&needles);
    let held: Vec<Secret> = (0..needles.len())
        .filter_map(|at| Secret::new(&needles.plain(at), Alphabet::Text).ok())
        .collect();
    let control: BTreeSet<usize> = memory
        .scan(&needles)
        .into_iter()
        .map(|(at, _)| at)
        .collect();
    eprintln!(
        "\nbefore {before:?}\nleft {after:?}\ncontrol {} of {}",
        control.len(),
        held.len()
    );
}

/// Texts that nothing else holds.
fn texts(count: usize) -> Vec<Vec<u8>> {
    let mut random = std::fs::File::open("/dev/urandom").unwrap();
    let mut one = || {
        let mut bytes = [0u8; 32];
        random.read_exact(&mut bytes).unwrap();
        bytes.iter().map(|byte| b'A' + byte % 26).collect()
    };
    (0..count).map(|_| one()).collect()
}

fn process(world: &World, scenario: &str, needles: &[Vec<u8>]) -> Cmd {
    let this = std::env::current_exe().unwrap();
    let args = [
        "scanned_process",
        "--exact",
        "--nocapture",
        "--test-threads=1",
    ];
    world
        .program(&this, &args)
        .env(SCENARIO, scenario)
        .env(NEEDLES, Needles::to_text(needles))
}

/// Nothing was there before, nothing is left, and what is held is found.
#[track_caller]
fn clean(scenario: &str, output: &str, needles: usize) {
    let line = |start: &str| {
        let line = output.lines().find(|line| line.starts_with(start));
        line.unwrap_or_else(|| panic!("{scenario}: no line {start}\n{output}"))
    };
    assert_eq!(line("before"), "before {}", "{scenario}");
    assert_eq!(line("left"), "left {}", "{scenario}");
    assert_eq!(
        line("control"),
        format!("control {needles} of {needles}"),
        "{scenario}"
    );
}

#[track_caller]
fn leaves_nothing(world: &World, scenario: &str, needles: &[Vec<u8>], stdin: &[u8]) {
    let run = process(world, scenario, needles).stdin(stdin).run().ok();
    clean(scenario, &run.stderr, needles.len());
}

#[test]
fn a_vault_leaves_no_value_behind() {
    let needles = texts(40);
    let world = World::new();
    for scenario in ["nothing", "store", "open", "pick", "answer"] {
        leaves_nothing(&world, scenario, &needles, b"");
    }
    leaves_nothing(&World::new(), "escapes", &needles, b"");
}

#[test]
fn a_vault_that_is_refused_leaves_no_value_behind() {
    let needles = texts(40);
    leaves_nothing(&World::new(), "forged", &needles, b"");
    leaves_nothing(&World::new(), "malformed", &needles, b"");
}

#[test]
fn a_passphrase_is_gone_when_its_slot_is_open() {
    leaves_nothing(&World::new(), "passphrase", &texts(2), b"");
}

#[test]
fn a_keychain_store_leaves_no_value_behind() {
    leaves_nothing(&World::new(), "keychain", &texts(40), b"");
}

#[test]
fn openclaws_files_leave_no_plaintext_behind() {
    let needles = texts(40);
    leaves_nothing(&World::new(), "profiles", &needles, b"");
    leaves_nothing(&World::new(), "config", &needles, b"");
}

#[test]
fn what_is_entered_leaves_no_copy() {
    let needles = texts(1);
    leaves_nothing(&World::new(), "piped", &needles, &needles[0]);
    let world = World::new();
    for paste in [false, true] {
        let mut pty = common::pty::Pty::start(process(&world, "prompt", &needles));
        pty.expect("Key: ");
        let value = String::from_utf8(needles[0].clone()).unwrap();
        if paste {
            pty.send_line(&format!(
                "\x1b[200~{}\r\n{}\x1b[201~",
                &value[..9],
                &value[9..]
            ));
        } else {
            pty.send_line(&format!("{value}\u{7f}{}", &value[31..]));
        }
        let run = pty.finish().run.ok();
        clean("prompt", &run.stdout, 1);
    }
}

/// The commands themselves, as the program runs them.
#[test]
fn a_command_leaves_no_value_behind() {
    let world = World::new();
    world.init();
    let mut needles = texts(2);
    let (value, key) = (needles[0].clone(), needles[1].clone());
    leaves_nothing(&world, "secret set s/one", &needles, &value);
    let paste = "models auth paste-api-key --provider fakeai";
    leaves_nothing(&world, paste, &needles, &key);
    let ids = ["s/one", "provider/fakeai", "fakeai:manual"];
    let request = common::vault::request(&ids).into_bytes();
    let run = process(&world, "resolve", &needles)
        .stdin(request)
        .run()
        .ok();
    clean("resolve", &run.stderr, 2);
    for needle in &needles {
        assert!(run.stdout.contains(std::str::from_utf8(needle).unwrap()));
    }
    leaves_nothing(&world, "secret get s/one", &needles, b"");
    leaves_nothing(&world, "secret list --json", &needles, b"");
    for format in ["json", "env"] {
        let export = format!("export --format {format} --output {format}.txt --yes");
        leaves_nothing(&world, &export, &needles, b"");
        let written = world.read(&format!("{format}.txt"));
        let written = String::from_utf8(written).unwrap();
        for needle in &needles {
            assert!(written.contains(std::str::from_utf8(needle).unwrap()));
        }
    }
    leaves_nothing(&world, "backup vault.tar", &needles, b"");
    leaves_nothing(&world, "restore vault.tar --replace --yes", &needles, b"");
    // Every value against every file, some of which hold them in some form.
    let text = |needle: &[u8]| String::from_utf8(needle.to_vec()).unwrap();
    let plain = text(&needles[0]);
    world.write(".openclaw/a", format!("x {plain} {}", text(&needles[1])));
    world.write(
        ".openclaw/b",
        format!("{}\n{}%20\\/", &plain[..9], &plain[9..]),
    );
    leaves_nothing(&world, "scan --json", &needles, b"");
    std::fs::remove_dir_all(world.home().join(".openclaw")).unwrap();
    leaves_nothing(&world, "rekey --yes", &needles, b"");
    // The one key to all of them. (Its 32 bytes pass through the stack of the curve's arithmetic,
    // which nobody wipes; SECURITY.md says so.)
    needles = vec![identity_of(&world)];
    for command in ["secret get s/one", "slot list", "rekey --yes"] {
        leaves_nothing(&world, command, &needles, b"");
    }
}

/// The vault identity's text, found by age itself.
fn identity_of(world: &World) -> Vec<u8> {
    let file = std::fs::read_to_string(world.identity_file()).unwrap();
    let key = file.lines().find(|line| line.starts_with("AGE-")).unwrap();
    let key: age::x25519::Identity = key.parse().unwrap();
    let slot = std::fs::read(world.vault().join("slots/identity-file.age")).unwrap();
    age::decrypt(&key, &slot)
        .unwrap()
        .trim_ascii_end()
        .to_owned()
}

/// The last block of the line lies in the state of the hash, which nobody wipes.
#[test]
fn no_end_of_a_value_stays_in_the_hash() {
    leaves_nothing(&World::new(), "lengths", &texts(1), b"");
}
