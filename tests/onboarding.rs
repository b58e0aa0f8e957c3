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

mod common;

use common::World;
use common::pty::Pty;

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
