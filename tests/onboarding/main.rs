//! `onboard` before a person at a terminal: every question, a token that arrives wrapped, a cut-off
//! first run that the second one finishes, and the value that comes back at the end.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails"
)]

#[path = "../common/mod.rs"]
mod common;
mod machine;
#[path = "../link/scene.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the tests of `link` use the rest"
)]
mod scene;
mod whole;

use common::World;
use common::pty::Pty;
use machine::Fresh;
use std::fmt::Write as _;

/// A setup-token of 108 characters, visibly fake.
fn token() -> String {
    let token = format!("sk-ant-oat01-{}", "FAKE".repeat(24));
    token[..108].to_owned()
}

/// The text without the line ends that the terminal's width made.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The recovery key on the screen: two lines of capital letters and digits.
fn key_on(screen: &str) -> String {
    let lines: Vec<&str> = screen.lines().map(str::trim).collect();
    let at = lines
        .iter()
        .position(|line| line.starts_with("AGE-SECRET-KEY-1"))
        .expect("a recovery key on the screen");
    format!("{}{}", lines[at], lines[at + 1])
}

/// From the first question to the one for the provider.
fn make_vault(pty: &mut Pty) {
    pty.expect("Choice [i]: ");
    pty.send_line("i");
    pty.expect("Enter when it is written down: ");
    let key = key_on(&pty.screen());
    pty.send_line("");
    pty.expect("Type or paste the recovery key back");
    pty.wait_hidden();
    pty.send_line(&key);
    pty.expect("Provider [anthropic]: ");
}

fn to_the_paste(pty: &mut Pty) {
    pty.send_line("");
    pty.expect("Choice [t]: ");
    pty.send_line("");
    pty.expect("Profile [anthropic:default]: ");
    pty.send_line("");
    pty.expect("Paste token for anthropic (hidden): ");
    pty.wait_hidden();
}

#[test]
fn a_person_goes_from_nothing_to_a_value_that_comes_back() {
    let world = World::new();
    let mut pty = world.pty(&["onboard"]);
    make_vault(&mut pty);
    to_the_paste(&mut pty);
    let (one, two) = (&token()[..70], &token()[70..]);
    pty.send(&format!("\x1b[200~{one}\r\n{two}\x1b[201~"));
    pty.send_line("");
    pty.expect("[108 characters, lines joined]");
    pty.expect("Does it expire? [Y/n] ");
    pty.send_line("");
    pty.expect("In how long [365d]: ");
    pty.send_line("");
    let done = pty.finish();
    assert!(done.restored, "the terminal is as it was");
    let run = done.run.ok();
    for said in [
        "Auth profile: anthropic:default (anthropic/token)",
        "Expires: in 365 days",
        "OpenClaw was not found on PATH",
        "Resolved anthropic:default as the gateway would: it is the value that you entered.",
    ] {
        assert!(unwrapped(&run.stdout).contains(said), "{said}: {run}");
    }
    assert!(!run.stdout.contains(one), "the token never shows");
    assert!(world.search_home(&token()).is_empty());
    let listed = world.run(&["slot", "list", "--json"]).ok().json();
    assert!(
        listed["recovery"]["checked"].is_number(),
        "typed back, so proven"
    );
    assert_eq!(world.get("anthropic:default"), token());
}

#[test]
fn a_run_that_was_cut_off_at_the_token_is_finished_by_the_next() {
    let world = World::new();
    let mut pty = world.pty(&["onboard"]);
    make_vault(&mut pty);
    to_the_paste(&mut pty);
    pty.send("\x03");
    let done = pty.finish();
    assert!(done.restored, "the terminal is as it was");
    let _ = done.run.fails(130);
    let listed = world.run(&["secret", "list", "--json"]).ok().json();
    assert_eq!(
        listed["secrets"].as_array().unwrap().len(),
        0,
        "nothing was stored"
    );

    let mut pty = world.pty(&["onboard"]);
    pty.expect("it was there");
    pty.expect("Provider [anthropic]: ");
    to_the_paste(&mut pty);
    pty.send_line(&token());
    pty.expect("Does it expire? [Y/n] ");
    pty.send_line("n");
    let run = pty.finish().run.ok();
    assert!(
        unwrapped(&run.stdout).contains("it is the value that you entered"),
        "{run}"
    );
    assert_eq!(world.get("anthropic:default"), token());
}

#[test]
fn a_token_that_is_pasted_one_question_too_early_becomes_no_name() {
    let world = World::new();
    let mut pty = world.pty(&["onboard"]);
    make_vault(&mut pty);
    pty.send_line(&token());
    pty.expect("That looks like a token or key");
    pty.expect("Provider [anthropic]: ");
    pty.send_line("");
    pty.expect("Choice [t]: ");
    pty.send_line("");
    pty.expect("Profile [anthropic:default]: ");
    pty.send_line(&token());
    pty.expect("That looks like a token or key");
    pty.expect("Profile [anthropic:default]: ");
    pty.send("\x03");
    let _ = pty.finish().run.fails(130);
    assert!(world.search_home(&token()).is_empty());
}

#[test]
fn a_no_leaves_things_as_they_are_and_the_rest_is_done() {
    let fresh = Fresh::new();
    let mut pty = fresh.start(&["--slot", "identity-file", "--no-recovery", "--no-service"]);
    pty.expect("Move these into the vault? [Y/n] ");
    pty.send_line("n");
    pty.expect("Left as it is.");
    pty.expect("Provider [anthropic]: ");
    pty.send_line("no name");
    pty.expect("Provider [anthropic]: ");
    to_the_paste(&mut pty);
    pty.send_line("has blanks inside");
    pty.expect("Paste token for anthropic (hidden): ");
    pty.wait_hidden();
    pty.send_line(&token());
    pty.expect("Does it expire? [Y/n] ");
    pty.send_line("");
    pty.expect("In how long [365d]: ");
    pty.send_line("soon");
    pty.expect("In how long [365d]: ");
    pty.send_line("90d");
    pty.expect("Change these files? [Y/n] ");
    pty.send_line("n");
    let run = pty.finish().run.ok();
    let said = unwrapped(&run.stdout);
    assert!(said.contains("It works, and this is left to do:"), "{run}");
    assert!(said.contains("hint: clawkeep migrate"), "{run}");
    assert!(!said.contains("All is well"), "{run}");
    assert_eq!(fresh.world().get("anthropic:default"), token());
}

/// Green is for what a gateway gets: not without a link that was there to make, and not behind a passphrase.
#[test]
fn what_no_gateway_gets_is_not_called_well() {
    for slot in ["identity-file", "passphrase"] {
        let fresh = Fresh::new();
        let world = fresh.world();
        std::fs::remove_file(world.home().join(".openclaw/.env")).unwrap();
        let phrase = world.write("phrase", "a fake phrase of many words\n");
        let mut how = vec![
            "--slot",
            slot,
            "--no-recovery",
            "--no-service",
            "--no-migrate",
        ];
        if slot == "passphrase" {
            let phrase = phrase.to_str().unwrap();
            how.extend(["--new-passphrase-file", phrase, "--passphrase-file", phrase]);
            how.push("--no-link");
        }
        let mut pty = fresh.start(&how);
        pty.expect("Provider [anthropic]: ");
        to_the_paste(&mut pty);
        pty.send_line(&token());
        pty.expect("Does it expire? [Y/n] ");
        pty.send_line("n");
        if slot == "identity-file" {
            pty.expect("Change these files? [Y/n] ");
            pty.send_line("n");
        }
        let run = pty.finish().run.ok();
        let said = unwrapped(&run.stdout);
        let next = match slot {
            "passphrase" => "hint: clawkeep slot add identity-file",
            _ => "it asks the vault for nothing yet. hint: clawkeep link",
        };
        assert!(said.contains(next), "{run}");
        assert!(!said.contains("All is well"), "{run}");
    }
}

/// The terminal shows no colour where none is wanted; the words are the same.
#[test]
fn no_color_is_kept() {
    for (name, value) in [("NO_COLOR", "1"), ("NO_COLOR", "")] {
        let fresh = Fresh::new();
        std::fs::remove_file(fresh.world().home().join(".openclaw/.env")).unwrap();
        let args = [
            "onboard",
            "--slot",
            "identity-file",
            "--no-paste",
            "--no-link",
            "--no-service",
        ];
        let mut pty = Pty::start(fresh.scene.cmd(&args).env(name, value));
        pty.expect("Enter when it is written down: ");
        let key = key_on(&pty.screen());
        pty.send_line("");
        pty.expect("Type or paste the recovery key back");
        pty.wait_hidden();
        pty.send_line(&key);
        let run = pty.finish().run.ok();
        assert!(run.stdout.contains("All is well."), "{run}");
        assert_eq!(run.stdout.contains("\x1b[32m"), value.is_empty(), "{run}");
    }
}

/// A run that was killed between the recovery sheet and the vault goes on with that sheet.
#[test]
fn a_recovery_file_of_a_run_that_was_cut_off_is_used() {
    let world = World::new();
    let sheet = "sheet.txt";
    let vault = ["--slot", "identity-file", "--recovery-file", sheet];
    let _ = world.run(&[&["init"], &vault[..]].concat()).ok();
    std::fs::remove_dir_all(world.vault()).unwrap();
    std::fs::remove_file(world.identity_file()).unwrap();
    let again = world.run(&[&["init"], &vault[..]].concat()).fails(1);
    assert!(again.stderr.contains("exists already"), "{again}");
    let onboard = ["onboard", "--yes", "--no-paste", "--no-link"];
    let _ = world.run(&[&onboard[..], &vault].concat()).ok();
    let _ = world
        .run(&["recovery", "check", "--recovery-file", sheet])
        .ok();
    // What is no sheet is left alone.
    std::fs::remove_dir_all(world.vault()).unwrap();
    world.write(sheet, "my diary\n");
    let _ = world.run(&[&onboard[..], &vault].concat()).fails(1);
    assert_eq!(world.read(sheet), b"my diary\n");
}

/// Nobody is there: what is not said is named, before anything is made.
#[test]
fn without_a_person_nothing_is_asked() {
    let fresh = Fresh::new();
    let mut text = String::new();
    let mut note = |args: &[&str], input: &str| {
        let all = [&["onboard"], args].concat();
        let run = fresh.scene.cmd(&all).stdin(input).run();
        let _ = writeln!(text, "$ clawkeep {}\n{run}", all.join(" "));
    };
    let token = token();
    note(&["--non-interactive"], "");
    note(&["--non-interactive", "--no-link"], "");
    note(
        &["--non-interactive", "--no-link", "--slot", "identity-file"],
        "",
    );
    note(&["--migrate", "--no-migrate"], "");
    assert!(!fresh.world().vault().join("vault.age").exists(), "{text}");
    let mut note = |args: &[&str], input: &str| {
        let all = [&["onboard"], args].concat();
        let run = fresh.scene.cmd(&all).stdin(input).run();
        let _ = writeln!(text, "$ … | clawkeep {}\n{run}", all.join(" "));
    };
    let making = [
        "--slot",
        "identity-file",
        "--no-recovery",
        "--provider",
        "anthropic",
    ];
    note(
        &[
            &["--yes", "--migrate"],
            &making[..],
            &["--expires-in", "90d"],
        ]
        .concat(),
        &token,
    );
    note(&["--yes", "--no-paste"], "");
    fresh.is_whole();
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(r"\d{4}-\d\d-\d\d \d\d:\d\d [+-]\d\d:\d\d", "[DATE]");
    settings.add_filter(r"\(id [0-9a-f]+\)", "(id [ID])");
    settings.add_filter(r"\d+ checks passed", "[N] checks passed");
    settings.add_filter(r"undo \S+", "undo [ID]");
    settings.add_filter(r" +\n", "\n");
    settings.bind(|| insta::assert_snapshot!("onboard", text));
}

/// A service that was asked for, on a machine that has none, is an error after all else is done.
#[test]
fn a_step_that_fails_is_said_and_the_others_are_done() {
    let world = World::new();
    let args = [
        "onboard",
        "--yes",
        "--slot",
        "identity-file",
        "--no-recovery",
        "--provider",
        "anthropic",
        "--service",
        "--no-link",
        "--root",
    ];
    let empty = world.root().join("nothing");
    std::fs::create_dir(&empty).unwrap();
    let args = [&args[..], &[empty.to_str().unwrap()]].concat();
    let run = world.cmd(&args).stdin(token()).run().fails(1);
    assert!(run.stderr.contains("a step failed, as said above"), "{run}");
    assert!(
        run.stderr
            .contains("hint: mend that, then go on from there: clawkeep onboard"),
        "{run}"
    );
    assert_eq!(world.get("anthropic:default"), token());
}
