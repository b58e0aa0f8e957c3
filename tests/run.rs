//! `clawkeep run`: what the command gets, what it does not get, and that it takes clawkeep's place.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod common;

use common::vault::{PASSPHRASE, SETUP_TOKEN};
use common::{Run, World};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

const ENV: &str = "/usr/bin/env";
const SH: &str = "/bin/sh";
const ROUTER_KEY: &str = "sk-or-fake-router-0123456789";

fn key(world: &World, provider: &str, profile: &str, value: &str, more: &[&str]) {
    let args = ["models", "auth", "paste-api-key", "--provider", provider];
    let args = [&args[..], &["--profile-id", profile], more].concat();
    let _ = world.cmd(&args).stdin(value).run().ok();
}

/// A vault with a setup-token, a key, and a secret of no provider.
fn filled() -> World {
    let world = World::new();
    world.init();
    world.paste("anthropic", "anthropic:work", SETUP_TOKEN, &[]);
    key(&world, "openrouter", "openrouter:manual", ROUTER_KEY, &[]);
    world.set("channels/telegram/token", "fake telegram\ntoken=1");
    world
}

#[track_caller]
fn run(world: &World, flags: &[&str], command: &[&str]) -> Run {
    world.run(&[&["run"], flags, &["--"], command].concat())
}

/// What `env` prints, variable by variable.
fn variables(text: &str) -> BTreeMap<String, String> {
    text.split_terminator('\0')
        .map(|line| line.split_once('=').expect("NAME=value"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The variables that the command has and did not have without us.
#[track_caller]
fn added(world: &World, flags: &[&str]) -> BTreeMap<String, String> {
    let plain = world.program(Path::new(ENV), &["-0"]).run().ok();
    let mut ours = variables(&run(world, flags, &[ENV, "-0"]).ok().stdout);
    for (name, value) in variables(&plain.stdout) {
        assert_eq!(ours.remove(&name), Some(value), "{name} was changed");
    }
    ours
}

fn pairs(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn the_command_gets_what_was_chosen_and_nothing_else() {
    let world = filled();
    let token = ("ANTHROPIC_OAUTH_TOKEN", SETUP_TOKEN);
    let router = ("OPENROUTER_API_KEY", ROUTER_KEY);
    let telegram = "fake telegram\ntoken=1";
    for (flags, expected) in [
        (&[][..], &[token, router][..]),
        (&["--provider", "openrouter"], &[router]),
        (
            &["--provider", "openrouter", "--provider", "Anthropic"],
            &[token, router],
        ),
        (&["--only", "anthropic:work"], &[token]),
        (
            &["--only", "anthropic:work", "--provider", "anthropic"],
            &[token],
        ),
        (
            &["--env", "BOT=channels/telegram/token"],
            &[("BOT", telegram)],
        ),
        (
            &["--env", "ANY_NAME=provider/anthropic"],
            &[("ANY_NAME", SETUP_TOKEN)],
        ),
        (
            &[
                "--env",
                "x=channels/telegram/token",
                "--env",
                "y=openrouter:manual",
            ],
            &[("x", telegram), ("y", ROUTER_KEY)],
        ),
        (
            &["--env", "x=openrouter:manual", "--provider", "openrouter"],
            &[("x", ROUTER_KEY), router],
        ),
    ] {
        assert_eq!(added(&world, flags), pairs(expected), "{flags:?}");
    }
    for secret in [SETUP_TOKEN, ROUTER_KEY] {
        assert_eq!(world.search_home(secret), [] as [PathBuf; 0]);
    }
}

#[test]
fn what_was_given_stands_in_the_access_log() {
    let world = filled();
    let _ = run(&world, &["--env", "X=absent"], &[ENV]).fails(1);
    let before = world.run(&["log", "--released"]).ok().stdout;
    assert!(!before.contains("openrouter:manual"), "{before}");
    let flags = ["--env", "ROUTER=provider/openrouter"];
    // Also of a command that never starts: the value was on its way.
    let _ = run(&world, &flags, &["/nowhere/command"]).fails(127);
    let after = world.run(&["log", "--released"]).ok().stdout;
    assert!(after.contains("openrouter:manual"), "{after}");
    assert!(
        !after.contains("anthropic:work") && !after.contains(ROUTER_KEY),
        "{after}"
    );
}

#[test]
fn a_variable_that_was_there_gives_way_to_the_vault() {
    let world = filled();
    let args = ["run", "--provider", "openrouter", "--", ENV, "-0"];
    let run = world
        .cmd(&args)
        .env("OPENROUTER_API_KEY", "fake-old")
        .run()
        .ok();
    assert_eq!(variables(&run.stdout)["OPENROUTER_API_KEY"], ROUTER_KEY);
}

#[test]
fn of_several_profiles_the_one_that_is_next_goes_in() {
    let world = World::new();
    world.init();
    let (old, new) = ("sk-fake-old-0123456789", "sk-fake-new-0123456789");
    key(
        &world,
        "mistral",
        "mistral:a",
        old,
        &["--expires-in", "1ms"],
    );
    let alone = run(&world, &["--provider", "mistral"], &[ENV, "-0"]).ok();
    assert_eq!(
        variables(&alone.stdout)["MISTRAL_API_KEY"],
        old,
        "better than none"
    );
    assert!(alone.stderr.contains("mistral:a expired"), "{alone}");
    key(&world, "mistral", "mistral:b", new, &[]);
    let both = run(&world, &[], &[ENV, "-0"]).ok();
    assert_eq!(variables(&both.stdout)["MISTRAL_API_KEY"], new);
    assert_eq!(both.stderr, "", "nothing expired was used");
    let named = run(&world, &["--only", "mistral:a"], &[ENV, "-0"]).ok();
    assert_eq!(variables(&named.stdout)["MISTRAL_API_KEY"], old);
    assert!(named.stderr.contains("mistral:a expired"), "{named}");
    // Another agent's profile is not main's.
    let args = [
        "models",
        "auth",
        "--agent",
        "side",
        "paste-api-key",
        "--provider",
        "groq",
    ];
    let _ = world.cmd(&args).stdin("gsk_fake-0123456789").run().ok();
    assert_eq!(
        added(&world, &[]).keys().collect::<Vec<_>>(),
        ["MISTRAL_API_KEY"]
    );
}

#[test]
fn a_profile_whose_id_is_no_reference_is_found_by_its_own_name() {
    let world = World::new();
    world.init();
    key(
        &world,
        "mistral",
        "mistral:me@example.invalid",
        "sk-fake-at-0123456789",
        &[],
    );
    let flags = ["--only", "mistral:me@example.invalid"];
    assert_eq!(
        added(&world, &flags),
        pairs(&[("MISTRAL_API_KEY", "sk-fake-at-0123456789")])
    );
}

#[test]
fn one_variable_never_holds_one_of_two_by_luck() {
    let world = World::new();
    world.init();
    key(
        &world,
        "opencode",
        "opencode:a",
        "fake-opencode-0123456789",
        &[],
    );
    key(
        &world,
        "opencode-go",
        "opencode-go:a",
        "fake-opencode-go-0123456789",
        &[],
    );
    key(
        &world,
        "unheard-of",
        "unheard-of:a",
        "fake-unheard-0123456789",
        &[],
    );
    let all = run(&world, &[], &[ENV, "-0"]).ok();
    assert_eq!(
        variables(&all.stdout)["OPENCODE_API_KEY"],
        "fake-opencode-0123456789"
    );
    assert!(
        all.stderr
            .contains("opencode-go:a is left out: OPENCODE_API_KEY holds opencode:a")
    );
    assert!(all.stderr.contains("unheard-of:a is left out"), "{all}");
    let both = ["--provider", "opencode", "--provider", "opencode-go"];
    let _ = run(&world, &both, &[SH, "-c", "echo started"]).fails(64);
    let _ = run(
        &world,
        &["--env", "A=opencode:a", "--env", "A=opencode:a"],
        &[ENV],
    )
    .fails(64);
}

#[test]
fn exit_codes_and_signals_are_the_commands_own() {
    let world = filled();
    for (shell, code) in [
        ("exit 0", 0),
        ("exit 42", 42),
        ("exit 75", 75),
        ("kill -TERM $$", 128 + 15),
        ("kill -KILL $$", 128 + 9),
        ("kill -PIPE $$", 128 + 13),
    ] {
        let _ = run(&world, &[], &[SH, "-c", shell]).fails(code);
    }
    let _ = run(&world, &[], &["/nowhere/command"]).fails(127);
    let _ = run(&world, &[], &["no-such-command"]).fails(127);
    let plain = world.write("plain.txt", "no program");
    let _ = run(&world, &[], &[plain.to_str().unwrap()]).fails(126);
    let _ = run(&world, &[], &[world.home().to_str().unwrap()]).fails(126);
}

#[test]
fn nothing_starts_without_what_it_was_promised() {
    let world = filled();
    let started = [SH, "-c", "echo started"];
    for (flags, code) in [
        (&["--only", "absent"][..], 1),
        (&["--only", "channels/telegram/token"], 64),
        (&["--only", "provider/anthropic"], 64),
        (&["--provider", "groq"], 1),
        (&["--provider", "a b"], 64),
        (&["--env", "X=absent"], 1),
        (&["--env", "X=provider/groq"], 1),
        (&["--env", "X"], 64),
        (&["--env", "=anthropic:work"], 64),
        (&["--env", "1X=anthropic:work"], 64),
        (&["--env", "LD_PRELOAD=anthropic:work"], 64),
        (&["--env", "PATH=anthropic:work"], 64),
        (&["--env", "NODE_OPTIONS=anthropic:work"], 64),
        (&["--env", "DYLD_INSERT_LIBRARIES=anthropic:work"], 64),
    ] {
        let run = run(&world, flags, &started).fails(code);
        assert_eq!(run.stdout, "", "{flags:?}");
        assert!(!run.stderr.contains(SETUP_TOKEN), "{run}");
    }
    std::fs::remove_file(world.identity_file()).unwrap();
    let locked = run(&world, &[], &started).fails(75);
    assert_eq!(locked.stdout, "");
    let empty = World::new();
    let none = run(&empty, &[], &started).fails(1);
    assert_eq!(none.stdout, "");
    empty.init();
    let none = run(&empty, &[], &started).fails(1);
    assert_eq!(
        none.stdout, "",
        "without a single credential there is nothing to run with"
    );
}

/// One line of `/proc/<pid>/status` or `/limits`.
#[cfg(target_os = "linux")]
fn line(process: &Path, file: &str, start: &str) -> String {
    let text = std::fs::read_to_string(process.join(file)).unwrap();
    let line = text.lines().find(|line| line.starts_with(start));
    line.unwrap_or_else(|| panic!("no {start} in {text}"))
        .to_owned()
}

#[test]
#[cfg(target_os = "linux")]
fn the_command_takes_our_place_and_inherits_nothing_else_of_ours() {
    let world = filled();
    let start = |args: &[&str]| {
        let mut command = world.cmd(args).into_std();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let shell = "echo $$; read line; exit 7";
    let mut child = start(&["run", "--", SH, "-c", shell, "an argument"]);
    let mut said = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut said)
        .unwrap();
    assert_eq!(
        said.trim(),
        child.id().to_string(),
        "exec: the process is the same"
    );
    let process = PathBuf::from(format!("/proc/{}", child.id()));
    let args = std::fs::read(process.join("cmdline")).unwrap();
    let expected = [SH, "-c", shell, "an argument"]
        .map(|arg| format!("{arg}\0"))
        .concat();
    assert_eq!(String::from_utf8(args).unwrap(), expected);
    let descriptors = |process: &Path| -> BTreeSet<String> {
        let entries = std::fs::read_dir(process.join("fd")).unwrap().flatten();
        entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect()
    };
    // What this test itself was started with is handed on by anything.
    let mut control = std::process::Command::new(SH);
    control
        .args(["-c", shell])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut control = control.spawn().unwrap();
    said.clear();
    BufReader::new(control.stdout.as_mut().unwrap())
        .read_line(&mut said)
        .unwrap();
    let plain = PathBuf::from(format!("/proc/{}", control.id()));
    assert_eq!(descriptors(&process), descriptors(&plain));
    for mask in ["SigBlk", "SigIgn", "SigCgt", "NoNewPrivs", "Seccomp:"] {
        assert_eq!(line(&process, "status", mask), line(&plain, "status", mask));
    }
    // Of the limits only the soft one on core dumps is ours: a dump would hold the values.
    let limits = std::fs::read_to_string(process.join("limits")).unwrap();
    let theirs = std::fs::read_to_string(plain.join("limits")).unwrap();
    for (ours, plain) in limits.lines().zip(theirs.lines()) {
        if ours.starts_with("Max core file size") {
            let hard = |line: &str| line.split_whitespace().nth(5).map(str::to_owned);
            assert_eq!(ours.split_whitespace().nth(4), Some("0"));
            assert_eq!(hard(ours), hard(plain), "the command may raise it again");
        } else {
            assert_eq!(ours, plain);
        }
    }
    for mut child in [child, control] {
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(7));
    }
}

#[test]
fn at_a_terminal_the_passphrase_is_asked_and_the_signals_are_the_commands() {
    let world = World::new();
    let pass = world.passphrase_file("pass", PASSPHRASE);
    let init = [
        "init",
        "--slot",
        "passphrase",
        "--no-recovery",
        "--new-passphrase-file",
        &pass,
    ];
    let _ = world.run(&init).ok();
    let args = ["--passphrase-file", &pass, "secret", "set", "notes"];
    let _ = world.cmd(&args).stdin(ROUTER_KEY).run().ok();
    // Without a person it is locked, and nothing starts.
    let env = ["--env", "NOTES=notes"];
    let locked = run(&world, &env, &[SH, "-c", "echo started"]).fails(75);
    assert_eq!(locked.stdout, "");
    // The trap is set before it is said that it waits.
    let shell = "trap 'echo caught; exit 9' INT; \
                 test \"$NOTES\" = sk-or-fake-router-0123456789 && echo has it; \
                 while :; do read line; done";
    let args = [&["run"], &env[..], &["--", SH, "-c", shell]].concat();
    let mut pty = world.pty(&args);
    pty.expect("Passphrase");
    pty.wait_hidden();
    pty.send_line(PASSPHRASE);
    pty.expect("note: every process of this user can read NOTES");
    pty.expect("has it");
    pty.send("\x03");
    pty.expect("caught");
    let run = pty.finish().run.fails(9);
    assert!(!run.stdout.contains(ROUTER_KEY) && !run.stderr.contains(ROUTER_KEY));
}
