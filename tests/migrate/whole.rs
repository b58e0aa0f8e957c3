//! A whole migration, from the list to the scan, and back.

use crate::home::{self, CONFIG, ENV, HOOKS, OTHER, PROFILES, furnish, moving};
use crate::scene::Scene;

/// OpenClaw's files, for a snapshot.
fn files(scene: &Scene) -> String {
    [
        ENV,
        CONFIG,
        ".openclaw/openclaw.json.bak",
        ".openclaw/openclaw.json.bak.1",
        PROFILES,
        ".openclaw/agents/main/agent/auth-state.json",
    ]
    .iter()
    .map(|file| scene.show(file))
    .chain(scene.database().into_iter().map(|row| row + "\n"))
    .collect()
}

#[test]
fn everything_that_can_move_moves() {
    for version in ["2026.6.1", "2026.9.6"] {
        let scene = Scene::new(version);
        furnish(&scene, version);
        let before = scene.world.tree();
        let dry = scene.run(&["migrate", "--dry-run"]).ok();
        assert!(scene.world.tree() == before, "a dry run changes nothing");
        let run = scene.run(&["migrate", "--yes"]).ok();
        let text = format!("{dry}\n{run}\n{}", files(&scene));
        home::holds(&format!("whole_{version}"), &text);
        let all = if version == "2026.6.1" {
            moving()
        } else {
            moving()
                .into_iter()
                .filter(|key| *key != home::anthropic())
                .collect()
        };
        for value in &all {
            assert!(!dry.stdout.contains(value) && !run.stdout.contains(value));
            assert!(!dry.stderr.contains(value) && !run.stderr.contains(value));
            let left = scene.world.search_home(value);
            assert!(left.is_empty(), "{version}: {value} is left in {left:?}");
        }
        for stays in [HOOKS, OTHER] {
            assert_eq!(scene.world.search_home(stays).len(), 1, "{stays}");
        }
        let answers = scene.resolves(&["openai:default", "groq:key-2", "gateway/token"]);
        assert_eq!(answers["values"]["openai:default"], home::OPENAI);
        assert_eq!(answers["values"]["groq:key-2"], home::GROQ[1]);
        assert_eq!(answers["values"]["gateway/token"], home::TOKEN);
        // What stays is known, and nothing is left to do.
        let again = scene.run(&["migrate", "--yes"]).ok();
        assert!(
            again.stderr.contains("There is nothing to move."),
            "{again}"
        );
    }
}

#[test]
fn undoing_gives_every_file_back_to_the_byte() {
    for version in ["2026.6.1", "2026.9.6"] {
        let scene = Scene::new(version);
        furnish(&scene, version);
        let files = |scene: &Scene| {
            if version == "2026.9.6" {
                // OpenClaw's own commands write it, also while they undo.
                let copy = scene.world.home().join(".openclaw/openclaw.json.bak");
                let _ = std::fs::remove_file(copy);
            }
            files(scene)
        };
        let before = files(&scene);
        let _ = scene.run(&["migrate", "--yes"]).ok();
        assert_ne!(files(&scene), before);
        let _ = scene.run(&["migrate", "--undo", "--yes", "--as-root"]).ok();
        assert_eq!(files(&scene), before, "{version}");
        // And it can be done again.
        let _ = scene.run(&["migrate", "--yes"]).ok();
        assert!(scene.world.search_home(home::OPENAI).is_empty());
    }
}

/// OpenClaw renames its copies whenever it writes: one that has another name by then is cleaned all the
/// same, and goes when the migration is undone.
#[test]
fn copies_that_openclaw_renames_meanwhile_are_clean_too() {
    let scene = Scene::new("2026.9.6");
    furnish(&scene, "2026.9.6");
    scene.hook(
        "case \"$*\" in *--dry-run*) ;; 'secrets apply '*) mv $c.bak.1 $c.bak.2; mv $c.bak $c.bak.1 ;; esac",
    );
    let run = scene.run(&["migrate", "--yes"]).ok();
    scene.hook("");
    let there = |name: &str| scene.world.home().join(".openclaw").join(name).exists();
    assert!(there("openclaw.json.bak.2"), "{run}");
    for value in moving() {
        let left = scene.world.search_home(&value);
        assert!(left.is_empty(), "{value} is left in {left:?}: {run}");
    }
    let _ = scene.run(&["migrate", "--undo", "--yes", "--as-root"]).ok();
    assert!(!there("openclaw.json.bak.2"));
    assert_eq!(scene.world.search_home(home::OLD).len(), 1);
}

#[test]
fn json_is_one_document_and_holds_no_value() {
    let scene = Scene::new("2026.6.1");
    furnish(&scene, "2026.6.1");
    let dry = scene.run(&["migrate", "--dry-run", "--json"]).ok();
    assert_eq!(dry.json()["dryRun"], true);
    let _ = scene.run(&["migrate", "--json"]).fails(64);
    let run = scene.run(&["migrate", "--yes", "--json"]).ok();
    let document = run.json();
    assert_eq!(document["left"], serde_json::json!([]), "{run}");
    assert_eq!(document["wasPlaintext"], 9);
    let rows = document["rows"].as_array().unwrap();
    let row = rows
        .iter()
        .find(|row| row["variable"] == "OPENAI_API_KEY")
        .unwrap();
    assert_eq!(row["fate"], "removed");
    assert_eq!(row["ids"], serde_json::json!(["openai:default"]));
    assert_eq!(row["starts"], "sk-p");
    assert_eq!(row["bytes"], home::OPENAI.len());
    for value in moving() {
        assert!(!run.stdout.contains(&value) && !dry.stdout.contains(&value));
    }
}

/// On a terminal of 80 and of 40 columns no line but a path's is wider.
#[test]
fn the_table_fits_a_narrow_terminal() {
    for width in [80, 40] {
        let scene = Scene::new("2026.6.1");
        furnish(&scene, "2026.6.1");
        let program = scene.world.home().join(".local/bin/clawkeep");
        let script = format!(
            "stty cols {width} rows 24; {} migrate --dry-run",
            program.display()
        );
        let pty = crate::common::pty::Pty::start(
            scene
                .world
                .program(std::path::Path::new("/bin/sh"), &["-c", &script])
                .env(
                    "PATH",
                    "/usr/bin:/bin:".to_owned() + scene.world.bin().to_str().unwrap(),
                )
                .env("OPENCLAW_GATEWAY_PORT", "1"),
        );
        let shown = pty.finish().run.fails(0).stdout;
        for line in shown.lines() {
            let line = line.trim_end();
            let is_word = !line.trim().contains(' ');
            assert!(
                line.chars().count() <= width || is_word,
                "{width}: {line:?}\n{shown}"
            );
        }
        assert!(shown.contains("groq:key-2"), "{shown}");
    }
}
