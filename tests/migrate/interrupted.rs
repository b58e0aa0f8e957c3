//! An `openclaw` that fails, hangs, ends clawkeep, or prints garbage: values stay in the vault or where
//! they were, and running again finishes.

use crate::common::{Run, rounds};
use crate::home::{CONFIG, ENV, PROFILES, furnish, moving};
use crate::scene::Scene;
use rustix::fs::{FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader, Write as _};
use std::time::Duration;

fn outcome(scene: &Scene) -> String {
    let files = [
        ENV,
        CONFIG,
        ".openclaw/openclaw.json.bak.1",
        PROFILES,
        ".openclaw/agents/main/agent/auth-state.json",
    ];
    let files: String = files.iter().map(|file| scene.show(file)).collect();
    files + &scene.database().join("\n")
}

/// Each value of the home is in a file of the home or in the vault.
fn nothing_is_lost(scene: &Scene, said: &str) {
    let list = scene.run(&["secret", "list", "--json"]).ok().json();
    let rows = list["secrets"].as_array().or(list.as_array()).unwrap();
    let kept: Vec<String> = rows
        .iter()
        .map(|row| {
            scene
                .run(&["secret", "get", row["id"].as_str().unwrap()])
                .ok()
                .stdout
        })
        .collect();
    for value in moving() {
        let there = kept.contains(&value) || !scene.world.search_home(&value).is_empty();
        assert!(there, "{value} is lost: {said}");
    }
}

fn scene(version: &str) -> Scene {
    let scene = Scene::new(version);
    furnish(&scene, "2026.6.1");
    if version != "2026.6.1" {
        std::fs::remove_file(scene.world.home().join(PROFILES)).unwrap();
        // What only the other version has.
        scene.world.write(
            "rest.env",
            format!("ANTHROPIC_OAUTH_TOKEN={}\n", crate::home::anthropic()),
        );
    }
    scene
}

#[test]
fn whichever_call_fails_running_again_finishes() {
    for version in ["2026.6.1", "2026.9.6"] {
        let undisturbed = scene(version);
        let args = ["migrate", "--yes"];
        let more: &[&str] = if version == "2026.6.1" {
            &[]
        } else {
            &["rest.env"]
        };
        let args = [&args[..], more].concat();
        let _ = undisturbed.run(&args).ok();
        let calls: Vec<String> = undisturbed.calls().lines().map(str::to_owned).collect();
        let whole = outcome(&undisturbed).replace("// Mine.\n", "");
        for number in 1..=calls.len() {
            for end in [
                "exit 1",
                "kill -9 $PPID; exit 1",
                "echo '}{garbage'; exit 0",
            ] {
                // An order that OpenClaw says it has set, and has not, is nobody's loss.
                let matters = ["secrets apply", "auth --agent"];
                let call = &calls[number - 1];
                if end.starts_with("echo") && !matters.iter().any(|word| call.contains(word)) {
                    continue;
                }
                let scene = scene(version);
                scene.hook(&format!(
                    "[ \"$(wc -l < \"$d/calls\")\" -eq {number} ] && {{ {end}; }}"
                ));
                let run = scene.run(&args);
                let point = format!("{version} {end} at {call}: {run}");
                nothing_is_lost(&scene, &point);
                scene.hook("");
                let again = scene.run(&args).ok();
                let found = outcome(&scene).replace("// Mine.\n", "");
                assert_eq!(found, whole, "{point}\n{again}");
            }
        }
    }
}

/// Runs `args` until OpenClaw's call `number` hangs, and ends that OpenClaw, as a person would. `None` when
/// clawkeep came to its end without that call.
fn hung(scene: &Scene, number: usize, args: &[&str]) -> Option<Run> {
    let pipe = scene.theirs("pipe");
    let _ = std::fs::remove_file(&pipe);
    let (fifo, mode) = (FileType::Fifo, Mode::from_raw_mode(0o600));
    mknodat(rustix::fs::CWD, &pipe, fifo, mode, 0).unwrap();
    scene.hook(&format!(
        "[ \"$(wc -l < \"$d/calls\")\" -eq {number} ] && {{ echo $$ > \"$d/pipe\"; exec tail -f /dev/null; }}"
    ));
    let cmd = scene.cmd(args);
    // Both ways, so that opening waits for nobody.
    let mut both = std::fs::File::options();
    let mut end = both.read(true).write(true).open(&pipe).unwrap();
    let mut heard = BufReader::new(end.try_clone().unwrap());
    let working = std::thread::spawn(move || {
        let run = cmd.run();
        end.write_all(b"0\n").unwrap();
        run
    });
    let mut pid = String::new();
    heard.read_line(&mut pid).unwrap();
    let pid = Pid::from_raw(pid.trim().parse().unwrap());
    if let Some(pid) = pid {
        kill_process(pid, Signal::KILL).unwrap();
    }
    let run = working.join().unwrap();
    scene.hook("");
    pid.map(|_| run)
}

#[test]
fn an_openclaw_that_hangs_and_is_ended_is_said_and_running_again_finishes() {
    for version in ["2026.6.1", "2026.9.6"] {
        let undisturbed = scene(version);
        let args = ["migrate", "--yes"];
        let _ = undisturbed.run(&args).ok();
        let calls: Vec<String> = undisturbed.calls().lines().map(str::to_owned).collect();
        let whole = outcome(&undisturbed).replace("// Mine.\n", "");
        for (at, call) in calls.iter().enumerate() {
            let scene = scene(version);
            let run = hung(&scene, at + 1, &args);
            let run = run.unwrap_or_else(|| panic!("{version}: {call} was not called"));
            let point = format!("{version}: hung at {call}: {run}");
            nothing_is_lost(&scene, &point);
            assert!([0, 1].contains(&run.code), "{point}");
            // OpenClaw's audit is its opinion, which nothing waits for.
            let is_audit = call.starts_with("secrets audit");
            assert_eq!(run.code, i32::from(!is_audit), "{point}");
            let reasons = [
                "was ended by a signal over ",
                "gave no answer that could",
                "gave no report that could",
            ];
            let sign = if is_audit { "note: " } else { "clawkeep: " };
            let mut told = run.stderr.lines().filter(|line| line.starts_with(sign));
            assert!(
                told.any(|line| reasons.iter().any(|reason| line.contains(reason))),
                "{point}"
            );
            let again = scene.run(&args).ok();
            let found = outcome(&scene).replace("// Mine.\n", "");
            assert_eq!(found, whole, "{point}\n{again}");
        }
    }
}

/// The limit itself, which is minutes.
#[test]
fn an_openclaw_that_hangs_and_that_nobody_ends_is_ended() {
    if rounds(0, 1) == 0 {
        eprintln!("not run: it takes the whole time that OpenClaw is given; scripts/test --long");
        return;
    }
    let scene = scene("2026.9.6");
    let hang = "exec tail -f /dev/null";
    scene.hook(&format!("case \"$*\" in *--dry-run*) {hang} ;; esac"));
    let before = outcome(&scene);
    let cmd = scene.cmd(&["migrate", "--yes"]);
    let run = cmd.limit(Duration::from_mins(20)).run().fails(1);
    assert!(run.stderr.contains("openclaw secrets apply: "), "{run}");
    assert!(
        run.stderr.contains("did not end within 240 seconds"),
        "{run}"
    );
    assert_eq!(outcome(&scene), before, "{run}");
    nothing_is_lost(&scene, &run.to_string());
    scene.hook("");
    let _ = scene.run(&["migrate", "--yes"]).ok();
    assert!(!scene.show(ENV).contains(crate::home::OPENAI));
}

/// Before OpenClaw has tried the plan nothing of its files is changed.
#[test]
fn a_refused_dry_run_leaves_every_file() {
    for version in ["2026.6.1", "2026.9.6"] {
        let scene = scene(version);
        let before = outcome(&scene);
        scene.hook("case \"$*\" in *--dry-run*) exit 1 ;; esac");
        let run = scene.run(&["migrate", "--yes"]).fails(1);
        assert!(run.stderr.contains("nothing was written"), "{run}");
        assert_eq!(outcome(&scene), before);
        nothing_is_lost(&scene, &run.to_string());
    }
}

/// A file that changes while OpenClaw is at work is left, and said.
#[test]
fn a_file_that_changes_in_the_middle_is_left() {
    let scene = scene("2026.6.1");
    scene.hook(&format!(
        "case \"$*\" in *audit*) [ -f \"$d/once\" ] || {{ : > \"$d/once\"; echo 'PORT=1' >> $HOME/{ENV}; }} ;; esac"
    ));
    let run = scene.run(&["migrate", "--yes"]).fails(1);
    assert!(run.stderr.contains("changed since it was listed"), "{run}");
    assert!(scene.show(ENV).contains(crate::home::OPENAI));
    scene.hook("");
    let _ = scene.run(&["migrate", "--yes"]).ok();
    let env = scene.show(ENV);
    assert!(
        !env.contains(crate::home::OPENAI) && env.contains("PORT=1"),
        "{env}"
    );
}

/// Between a migration that was cut off and the next a person was at work: undoing leaves that work alone.
#[test]
fn what_a_person_did_between_two_runs_outlasts_undoing() {
    let scene = scene("2026.6.1");
    scene.hook("case \"$*\" in *audit*) kill -9 $PPID; exit 1 ;; esac");
    assert_eq!(scene.run(&["migrate", "--yes"]).code, 137);
    scene.hook("");
    let text = scene.config_text();
    let at = text.rfind('}').unwrap();
    scene.config(&format!(
        "{}  agents: {{ defaults: {{ workspace: '~/mine' }} }},\n}}\n",
        &text[..at]
    ));
    let _ = scene.run(&["migrate", "--yes"]).ok();
    let _ = scene.run(&["migrate", "--undo", "--yes", "--as-root"]).ok();
    let text = scene.config_text();
    assert!(text.contains("~/mine"), "{text}");
    assert!(text.contains(crate::home::OPENROUTER), "{text}");
    assert!(!text.contains("\"exec\""), "{text}");
    assert!(scene.show(ENV).contains(crate::home::OPENAI));
}

/// With `--json` everything that has to do with bundles prints one document.
#[test]
fn bundles_say_one_document_each() {
    let scene = scene("2026.6.1");
    let run = scene.run(&["migrate", "--yes", "--json"]).ok();
    let id = run.json()["undo"].clone();
    let env = scene.show(ENV);
    scene.world.write(ENV, "MINE=1\n");
    let run = scene.run(&["migrate", "--undo", "--yes", "--as-root", "--json"]);
    assert_eq!(run.code, 1, "{run}");
    let files = run.json()["files"].as_array().unwrap().clone();
    assert!(
        files.iter().any(|file| file["fate"] == "edited"),
        "{run}\n{env}"
    );
    let run = scene.run(&["migrate", "--forget", "all", "--yes", "--json"]);
    assert_eq!(run.ok().json()["destroyed"], serde_json::json!([id]));
    // A migration that changes nothing leaves nothing to take back.
    let run = scene.run(&["migrate", "--yes"]).ok();
    assert!(run.stderr.contains("There is nothing to move."), "{run}");
    let run = scene.run(&["migrate", "--undo-list", "--json"]).ok();
    assert_eq!(run.json()["bundles"], serde_json::json!([]));
}

/// Undoing asks first, and what is saved while it waits is not written over.
#[test]
fn an_edit_while_the_question_waits_stops_undoing() {
    let scene = scene("2026.6.1");
    let _ = scene.run(&["migrate", "--yes"]).ok();
    let mut pty = crate::common::pty::Pty::start(scene.cmd(&["migrate", "--undo", "--as-root"]));
    pty.expect("Put this back?");
    let mut text = scene.config_text();
    text.push_str("// Mine.\n");
    scene.config(&text);
    let env = scene.show(ENV);
    pty.send_line("y");
    let run = pty.finish().run.fails(1);
    // The terminal breaks the line somewhere before.
    assert!(
        run.stdout.contains("this was shown; nothing was written"),
        "{run}"
    );
    assert_eq!(scene.config_text(), text);
    assert_eq!(scene.show(ENV), env);
}
