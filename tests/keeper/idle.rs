//! What a keeper costs while nobody asks.

use crate::common::rounds;
use crate::lab::{Lab, number_in_status, resolve_frame, until};
use std::time::Duration;

/// How often any thread of the process was woken up.
fn switches(pid: u32) -> u64 {
    std::fs::read_dir(format!("/proc/{pid}/task"))
        .unwrap()
        .map(|task| {
            let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            status
                .lines()
                .filter(|line| line.contains("ctxt_switches"))
                .map(|line| {
                    line.split_whitespace()
                        .nth(1)
                        .unwrap()
                        .parse::<u64>()
                        .unwrap()
                })
                .sum::<u64>()
        })
        .sum()
}

/// It comes to rest: between two looks, nothing ran.
#[track_caller]
fn comes_to_rest(pid: u32) {
    until("nothing wakes it", || {
        let before = switches(pid);
        std::thread::sleep(Duration::from_millis(1500));
        switches(pid) == before
    });
}

#[test]
fn between_two_requests_nothing_runs() {
    let lab = Lab::new();
    let pid = lab.unlock(&["--timeout", "8h", "--idle", "4h"]);
    comes_to_rest(pid);
    lab.still_answers();
    comes_to_rest(pid);
    let seconds = rounds(0, 60);
    if seconds > 0 {
        let before = switches(pid);
        std::thread::sleep(Duration::from_secs(u64::try_from(seconds).unwrap()));
        eprintln!(
            "{} wake-ups in {seconds} s; {} kB resident",
            switches(pid) - before,
            number_in_status(pid, "VmRSS")
        );
    }
}

/// Refusals that are held back to be counted are written by themselves, and then there is rest.
#[test]
fn refusals_that_are_held_back_are_written_and_cost_no_wake_ups() {
    let lab = Lab::new();
    let pid = lab.unlock(&[]);
    let mut talk = lab.connect();
    for _ in 0..10 {
        let _ = talk.ask(&resolve_frame(&["s/none"]));
    }
    drop(talk);
    let path = lab.dir().join("log/refusals.jsonl");
    until("all are written", || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let counts = text.lines().map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            event["count"].as_u64().unwrap_or(1)
        });
        counts.sum::<u64>() == 10
    });
    comes_to_rest(pid);
}
