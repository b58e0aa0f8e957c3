//! A whole first run, and one that is cut off at each of its questions.

use crate::common::rounds;
use crate::machine::{Fresh, QUESTIONS};
use crate::unwrapped;
use rustix::process::Signal;

#[test]
fn every_question_of_a_first_run_comes_once_and_it_ends_in_green() {
    let fresh = Fresh::new();
    let (pty, Some(came)) = fresh.walk(fresh.start(&[]), None) else {
        panic!("no question stops it");
    };
    assert_eq!(came, (0..QUESTIONS.len()).collect::<Vec<_>>());
    let run = pty.finish().run.ok();
    fresh.is_whole();
    let said = unwrapped(&run.stdout);
    for text in [
        "OPENAI_API_KEY",
        "Resolved anthropic:default as the gateway would: it is the value that you entered.",
        "Linked.",
        "(clawkeep doctor).",
        "\x1b[32mAll is well.",
    ] {
        assert!(said.contains(text), "{text}: {run}");
    }
    // Once more: nothing is asked but whether there is more.
    let (pty, Some(came)) = fresh.walk(fresh.start(&["--no-paste"]), None) else {
        panic!("no question stops it");
    };
    let run = pty.finish().run.ok();
    assert!(!came.iter().any(|which| *which < 5), "{came:?}: {run}");
}

/// Ctrl-C, a terminal that is closed, and kill -9, while each question stands: what is there works, and
/// the next run asks for the rest alone.
#[test]
fn a_first_run_that_is_cut_off_at_any_question_goes_on() {
    for at in 0..QUESTIONS.len() {
        let ways = rounds(1, 3);
        for way in (0..ways).map(|round| (at + round) % 3) {
            let fresh = Fresh::new();
            let (mut pty, None) = fresh.walk(fresh.start(&[]), Some(at)) else {
                panic!("question {at} never came");
            };
            let code = match way {
                0 => {
                    pty.send("\x03");
                    130
                }
                1 => {
                    pty.signal(Signal::HUP);
                    128 + 1
                }
                _ => {
                    pty.signal(Signal::KILL);
                    128 + 9
                }
            };
            let done = pty.finish();
            assert!(done.restored || way == 2, "question {at}, way {way}");
            assert_eq!(
                done.run.code, code,
                "question {at}, way {way}: {}",
                done.run
            );
            fresh.works();
            let (pty, Some(came)) = fresh.walk(fresh.start(&[]), None) else {
                panic!("no question stops it");
            };
            let run = pty.finish().run.ok();
            fresh.is_whole();
            assert!(came.contains(&12), "{run}");
            // Behind the recovery key the vault is there, and behind the move nothing is to be moved.
            assert_eq!(came.contains(&0), at <= 2, "question {at}: {came:?}");
            assert_eq!(came.contains(&3), at <= 3, "question {at}: {came:?}");
        }
    }
}
