//! How it looks and reads: examples, completions and man pages in step with the command line; lines that
//! fit a terminal of 80 and of 40 columns; dates in local time; colour that nobody needs.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;
#[path = "link/scene.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the tests of `link` use the rest"
)]
mod scene;

use clap::CommandFactory as _;
use clawkeep::cli::args::Cli;
use common::World;
use common::pty::Pty;
use scene::Scene;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "powershell", "elvish"];

/// Every command that is shown, with its path; the program itself is the first.
fn tree() -> Vec<(Vec<String>, clap::Command)> {
    fn walk(path: &[String], command: &clap::Command, all: &mut Vec<(Vec<String>, clap::Command)>) {
        all.push((path.to_vec(), command.clone()));
        for below in command
            .get_subcommands()
            .filter(|below| !below.is_hide_set())
        {
            let path = [path, &[below.get_name().to_owned()]].concat();
            walk(&path, below, all);
        }
    }
    let mut command = Cli::command();
    command.build();
    let mut all = Vec::new();
    walk(&[], &command, &mut all);
    all
}

/// The long flags of a command that are shown.
fn flags(command: &clap::Command) -> BTreeSet<String> {
    command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set())
        .filter_map(|arg| arg.get_long().map(|long| format!("--{long}")))
        .collect()
}

#[test]
fn every_command_shows_an_example_of_itself() {
    let all = tree();
    assert!(all.len() > 40, "{}", all.len());
    for (path, command) in all {
        let is_leaf = command.get_subcommands().all(clap::Command::is_hide_set);
        if !is_leaf {
            continue;
        }
        let after = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let words = path.join(" ");
        assert!(
            after.contains("Example:"),
            "clawkeep {words} --help has no example"
        );
        let line = after
            .lines()
            .find(|line| line.contains("Example:"))
            .unwrap();
        assert!(
            line.contains(&format!("clawkeep {words}")),
            "the example of clawkeep {words} is of another command: {line}"
        );
    }
}

#[test]
fn man_pages_are_in_step_with_the_flags() {
    let world = World::new();
    let run = world.run(&["man", "man1"]).ok();
    let all = tree();
    assert!(
        run.stderr
            .contains(&format!("Wrote {} pages into", all.len())),
        "{run}"
    );
    let dir = world.home().join("man1");
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), all.len());
    for (path, command) in &all {
        let name = [&["clawkeep".to_owned()], path.as_slice()]
            .concat()
            .join("-");
        let text = std::fs::read_to_string(dir.join(format!("{name}.1"))).unwrap();
        let text = text.replace('\\', "");
        for flag in flags(command) {
            assert!(text.contains(&flag), "{name}.1 lacks {flag}");
        }
        assert!(text.contains(".TH clawkeep"), "{name}.1 has no title");
        if command.get_after_help().is_some() {
            assert!(text.contains("clawkeep "), "{name}.1 lacks its example");
        }
        assert!(!text.contains("--root"), "{name}.1 shows what is hidden");
    }
    // Without a folder the first page, and twice the same bytes.
    let first = world.run(&["man"]).ok().stdout;
    assert_eq!(
        first.as_bytes(),
        std::fs::read(dir.join("clawkeep.1")).unwrap()
    );
    // A reader of man pages has nothing to complain about.
    let mandoc = Path::new("/usr/bin/man");
    if !mandoc.is_file() || !Path::new("/usr/bin/groff").exists() {
        let _ = writeln!(
            std::io::stderr(),
            "man pages are not rendered: no man and groff here"
        );
        return;
    }
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let page = path.to_str().unwrap();
        let shown = world
            .program(mandoc, &["--warnings", "-l", page])
            .env("PATH", "/usr/bin:/bin")
            .env("MANWIDTH", "80")
            .env("MANPAGER", "cat")
            .env("LC_ALL", "C.UTF-8")
            .run()
            .ok();
        assert_eq!(shown.stderr, "", "{page}");
    }
}

#[test]
fn completions_are_in_step_with_the_flags() {
    let world = World::new();
    for shell in SHELLS {
        let text = world.run(&["completions", shell]).ok().stdout;
        for (path, command) in tree() {
            // clap's completions of fish end at the second word.
            if shell == "fish" && path.len() > 2 {
                continue;
            }
            if let Some(name) = path.last() {
                assert!(text.contains(name.as_str()), "{shell} does not know {name}");
            }
            for flag in flags(&command) {
                // fish writes a flag without its dashes.
                let bare = flag.trim_start_matches("--");
                let knows = text.contains(&flag) || text.contains(&format!("-l {bare}"));
                assert!(knows, "{shell} does not know {flag} of {path:?}");
            }
        }
        assert_eq!(text, world.run(&["completions", shell]).ok().stdout);
    }
}

/// Each shell that is here takes its completions.
#[test]
fn shells_take_their_completions() {
    let world = World::new();
    for (shell, program, check) in [
        ("bash", "/usr/bin/bash", &["--norc", "-n"][..]),
        ("zsh", "/usr/bin/zsh", &["-f", "-n"]),
        ("fish", "/usr/bin/fish", &["--no-config", "--no-execute"]),
    ] {
        let text = world.run(&["completions", shell]).ok().stdout;
        let file = world.write(&format!("completions.{shell}"), text);
        let file = file.to_str().unwrap();
        if !Path::new(program).is_file() {
            let _ = writeln!(
                std::io::stderr(),
                "completions of {shell} are not tried: it is not here"
            );
            continue;
        }
        let run = world
            .program(Path::new(program), &[check, &[file]].concat())
            .run()
            .ok();
        assert_eq!(run.stderr, "", "{shell}");
    }
    // And bash completes by them.
    let script = ". ./completions.bash\nCOMP_WORDS=(clawkeep models auth paste-t)\nCOMP_CWORD=3\n\
                  _clawkeep clawkeep paste-t auth\nprintf '%s\\n' \"${COMPREPLY[@]}\"\ncomplete -p clawkeep\n";
    let bash = Path::new("/usr/bin/bash");
    if bash.is_file() {
        let run = world.program(bash, &["--norc", "-c", script]).run().ok();
        assert!(run.stdout.starts_with("paste-token\n"), "{run}");
        assert!(run.stdout.contains("-F _clawkeep"), "{run}");
    }
}

/// Lines that are wider than the terminal and could have been broken: more than one word behind the
/// first, which may be a mark or a name.
fn too_wide(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let line = bare(line);
        let words: Vec<&str> = line.split_whitespace().collect();
        let longest = words
            .iter()
            .map(|word| word.chars().count())
            .max()
            .unwrap_or(0);
        // A path or an id that is as wide as the terminal stays whole, with its mark before it.
        let excused = longest + 20 > columns && words.len() <= 3;
        if line.chars().count() > columns && !excused {
            lines.push(line);
        }
    }
    lines
}

/// The line without control sequences.
fn bare(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\x1b' {
            for c in chars.by_ref() {
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        } else if c != '\r' {
            out.push(c);
        }
    }
    out
}

/// Everything that prints a table or a list, at a terminal of 80 and of 40 columns.
#[test]
fn tables_fit_the_terminal() {
    let scene = Scene::new("2026.6.1");
    let world = &scene.world;
    let fake = "sk-FAKE-0123456789abcdef0123456789abcdef";
    for (provider, profile) in [
        ("openai", "openai:a-rather-long-name-of-a-profile"),
        ("openrouter", "openrouter:work"),
    ] {
        world.paste(
            provider,
            profile,
            fake,
            &["--expires-in", "365d", "--force"],
        );
    }
    world.write(".openclaw/openclaw.json", "{}\n");
    world.write(
        ".openclaw/.env",
        "MISTRAL_API_KEY=FAKE0123456789abcdef0123456789ab\n",
    );
    let _ = scene.cmd(&["migrate", "--yes"]).run();
    world.write(
        ".openclaw/.env",
        format!("GROQ_API_KEY=gsk_{fake}\nX={fake}\n"),
    );
    let commands: &[&[&str]] = &[
        &["secret", "list"],
        &["models", "auth", "list"],
        &["slot", "list"],
        &["keeper", "status"],
        &["status"],
        &["log"],
        &["scan"],
        &["migrate", "--dry-run"],
        &["migrate", "--undo-list"],
        &["link", "--dry-run"],
        &["service", "status"],
        &["service", "install", "--user", "--monitor", "--dry-run"],
        &["--help"],
        &["onboard", "--help"],
        &["nonsense"],
    ];
    let mut wide = Vec::new();
    for columns in [80, 40] {
        for command in commands {
            let run = Pty::start_at(scene.cmd(command), columns).finish().run;
            // What is a file's text, or shows where files change, is shown as it is.
            let is_shown =
                |line: &&str| !line.starts_with(['+', '-', '@', '#', '[']) && !line.contains('=');
            let lines: Vec<&str> = run.stdout.lines().filter(is_shown).collect();
            let shown = lines.join("\n");
            assert!(!shown.trim().is_empty(), "{command:?} said nothing");
            for line in too_wide(&shown, usize::from(columns)) {
                wide.push(format!("{columns} {}: {line}", command.join(" ")));
            }
        }
    }
    assert!(wide.is_empty(), "{}", wide.join("\n"));
    // With a keeper, its own table too.
    let _ = scene
        .cmd(&["keeper", "start", "--timeout", "1h"])
        .run()
        .ok();
    let run = Pty::start_at(scene.cmd(&["keeper", "status"]), 40)
        .finish()
        .run
        .ok();
    let _ = scene.cmd(&["keeper", "stop"]).run().ok();
    assert_eq!(too_wide(&run.stdout, 40), Vec::<String>::new());
    assert!(run.stdout.contains("ends: 20"), "{run}");
}

/// Into a pipe, tables stay tables: one line for each row.
#[test]
fn a_pipe_gets_one_line_for_each_row() {
    let world = World::new();
    world.init();
    let fake = "sk-FAKE-0123456789abcdef0123456789abcdef";
    world.paste("openai", "openai:x", fake, &["--force"]);
    let listed = world
        .cmd(&["secret", "list"])
        .env("COLUMNS", "40")
        .run()
        .ok();
    assert_eq!(listed.stdout.lines().count(), 2, "{listed}");
}

/// From a phone, over ssh: 40 columns, and a token that Claude Code prints wrapped.
#[test]
fn a_setup_token_is_taken_at_forty_columns() {
    let world = World::new();
    world.init();
    let token = format!("sk-ant-oat01-{}", "FAKE".repeat(24))[..108].to_owned();
    // It prints its token in lines of the terminal's width, as Claude Code does.
    let (a, rest) = token.split_at(40);
    let (b, c) = rest.split_at(40);
    let claude = world.bin().join("claude");
    let script = format!("#!/bin/sh\nprintf '%s\\r\\n%s\\r\\n%s\\r\\n' {a} {b} {c}\n");
    std::fs::write(&claude, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&claude, mode).unwrap();
    let mut pty = Pty::start_at(world.cmd(&["models", "auth", "setup-token"]), 40);
    pty.expect("now? [Y/n] ");
    pty.send_line("");
    pty.expect(c);
    pty.expect("press Enter: ");
    pty.send_line("");
    pty.expect("Paste token");
    pty.wait_hidden();
    // Marked on a phone's screen: three lines, with the blanks that some terminals add.
    pty.send(&format!("\x1b[200~{a}\r\n{b} \r\n{c}\x1b[201~"));
    pty.send_line("");
    pty.expect("[108 characters, lines joined]");
    let done = pty.finish();
    assert!(done.restored, "the terminal is as it was");
    let run = done.run.ok();
    assert_eq!(too_wide(&run.stdout, 40), Vec::<String>::new(), "{run}");
    std::fs::remove_file(&claude).unwrap();
    assert!(world.search_home(&token).is_empty());
    assert_eq!(world.get("anthropic:default"), token);
}

/// The recovery key, which a person copies from the screen, fits a phone's terminal.
#[test]
fn a_recovery_key_is_shown_at_forty_columns() {
    let world = World::new();
    let args = [
        "onboard",
        "--slot",
        "identity-file",
        "--no-paste",
        "--no-link",
        "--no-service",
    ];
    let mut pty = Pty::start_at(world.cmd(&args), 40);
    pty.expect("Enter when it is written down: ");
    let screen = pty.screen();
    assert_eq!(too_wide(&screen, 40), Vec::<String>::new(), "{screen}");
    let at = screen.find("AGE-SECRET-KEY-1").unwrap();
    let key: String = screen[at..].split_whitespace().take(2).collect();
    assert_eq!(key.len(), 74, "two lines hold it whole");
    pty.send_line("");
    pty.expect("back");
    pty.wait_hidden();
    pty.send_line(&key.to_lowercase());
    let run = pty.finish().run.ok();
    assert_eq!(too_wide(&run.stdout, 40), Vec::<String>::new(), "{run}");
}

/// Dates are those of the place, with its zone; times left are in words.
#[test]
fn dates_are_local_and_units_are_spelled() {
    let world = World::new();
    world.init();
    let fake = "sk-FAKE-0123456789abcdef0123456789abcdef";
    world.paste(
        "openai",
        "openai:x",
        fake,
        &["--force", "--expires-in", "90m"],
    );
    for (zone, offset) in [
        ("UTC0", "+00:00"),
        ("FAKE-05:30", "+05:30"),
        ("FAKE8", "-08:00"),
    ] {
        let run = world
            .cmd(&["models", "auth", "list"])
            .env("TZ", zone)
            .run()
            .ok();
        assert!(run.stdout.contains(&format!("{offset})")), "{zone}: {run}");
        assert!(run.stdout.contains(" minutes ("), "{run}");
    }
}

/// No command colours what goes into a pipe, nor a terminal that wants none.
#[test]
fn nothing_is_coloured_but_a_terminal() {
    let world = World::new();
    for args in [
        &["--help"][..],
        &["status"],
        &["nonsense"],
        &[
            "onboard",
            "--yes",
            "--slot",
            "identity-file",
            "--no-recovery",
            "--no-paste",
            "--no-link",
        ],
    ] {
        let run = world.cmd(args).env("TERM", "xterm-256color").run();
        assert!(
            !run.stdout.contains('\x1b') && !run.stderr.contains('\x1b'),
            "{run}"
        );
        let run = Pty::start(world.cmd(args).env("NO_COLOR", "1"))
            .finish()
            .run;
        assert!(!run.stdout.contains("\x1b[3"), "{run}");
    }
}

/// Plurals that one of a thing does not have, and units that are no words.
const PLURALS: &str =
    "secrets values checks places profiles files ids days hours minutes seconds pages";
const SHORT_UNITS: &str = "min mins sec secs hr hrs ms d h m s";

/// Read aloud, what is said is sentences: one of a thing is one, units are words, a hint can be typed.
#[test]
fn what_is_said_can_be_read_aloud() {
    let mut seen = 0;
    for folder in [
        "tests/snapshots",
        "tests/service/snapshots",
        "tests/onboarding/snapshots",
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let talk = text.split("--- stderr\n").skip(1);
            let lines =
                talk.flat_map(|part| part.lines().take_while(|line| !line.starts_with("$ ")));
            for line in lines.filter(|line| !line.starts_with(['-', ' '])) {
                seen += 1;
                assert!(line.trim() != "hint:" && !line.contains("(s)"), "{line}");
                let words: Vec<&str> = line.split([' ', ',', '.', ')', ';']).collect();
                for pair in words
                    .windows(2)
                    .filter(|pair| pair[0].parse::<u64>().is_ok())
                {
                    let is = |list: &str| list.split(' ').any(|word| word == pair[1]);
                    assert!(pair[0] != "1" || !is(PLURALS), "{line}");
                    assert!(!is(SHORT_UNITS), "{line}");
                }
            }
        }
    }
    assert!(seen > 200, "{seen}");
}
