//! What it says, as a whole: on a terminal of 80 and of 40 columns, into a pipe, as JSON, with each exit code.

use super::*;
use crate::common::pty::Pty;
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;

struct Transcript {
    scene: Scene,
    text: String,
}

impl Transcript {
    fn run(&mut self, more: &[&str]) -> &mut Self {
        let run = self.scene.run(&args(more));
        let _ = writeln!(
            self.text,
            "$ clawkeep models status {}\n{run}",
            more.join(" ")
        );
        self
    }

    /// On a terminal so wide.
    fn terminal(&mut self, columns: u16, command: &[&str], variables: &[(&str, &str)]) -> String {
        let program = self.scene.world.home().join(".local/bin/clawkeep");
        let resize = format!("/bin/stty cols {columns}; exec \"$0\" \"$@\"");
        let words = [&["-c", &resize, program.to_str().unwrap()], command].concat();
        let mut cmd = self.scene.world.program(Path::new("/bin/sh"), &words);
        for (name, value) in variables {
            cmd = cmd.env(name, value);
        }
        let ended = Pty::start(cmd).finish();
        assert_eq!(ended.run.code, 0, "{}", ended.run);
        self.scene.world.tidy(&ended.run.stdout)
    }

    /// The same for the snapshot, without colours; no line is too wide.
    fn narrow(&mut self, columns: u16, command: &[&str]) -> &mut Self {
        let shown = self.terminal(columns, command, &[("NO_COLOR", "1")]);
        for line in shown.lines() {
            let is_word = line.split_whitespace().count() <= 2;
            assert!(
                line.chars().count() <= usize::from(columns) || is_word,
                "{columns}: {line}"
            );
        }
        let _ = writeln!(
            self.text,
            "{columns} columns$ clawkeep {}\n{shown}",
            command.join(" ")
        );
        self
    }

    fn holds(&self, name: &str) {
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        for (pattern, name) in [
            // As wide as they are.
            (r"\d{4}-\d\d-\d\d", "YYYY-MM-DD"),
            (r"\b\d\d:\d\d\b", "HH:MM"),
            (r#"("remainingMs": )-?\d+"#, "$1[MS]"),
            (r"\b1[789]\d{11}\b", "[MS]"),
            (r#"("id": )"[0-9a-f]{64}""#, r#"$1"[ID]""#),
            (r" +\n", "\n"),
        ] {
            settings.add_filter(pattern, name);
        }
        settings.bind(|| insta::assert_snapshot!(name, self.text));
    }
}

/// A home with something of everything.
fn crowded() -> Transcript {
    let scene = Scene::new("2026.6.1");
    scene.config(
        "{agents:{defaults:{model:{primary:'fast',fallbacks:['openrouter/auto']},imageModel:'google/nano',
           models:{'anthropic/claude-sonnet-4-5':{alias:'fast'}}}},
         auth:{order:{anthropic:['anthropic:home','anthropic:work','anthropic:old']}},
         models:{providers:{groq:{apiKey:'gsk_FAKE0123456789',baseUrl:'https://api.groq.com/openai/v1',models:[]}}},
         env:{vars:{OPENROUTER_API_KEY:'sk-or-FAKE-0123456789'}}}",
    );
    scene.paste("token", "anthropic:work", &["--expires-in", "30d"]);
    scene.paste("token", "anthropic:home", &["--expires-in", "365d"]);
    scene.paste("token", "anthropic:spare", &[]);
    scene.paste("api-key", "openrouter:manual", &[]);
    let _ = scene.link(&[]).ok();
    edit(&scene, |store| {
        store["profiles"]["anthropic:old"] = json!({"type": "token", "provider": "anthropic",
            "token": "sk-ant-oat01-FAKE", "expires": hours(-72)});
    });
    let stats = json!({"version": 1, "usageStats": {"anthropic:home":
        {"cooldownUntil": hours(2), "cooldownReason": "rate_limit", "lastFailureAt": hours(-1), "errorCount": 2}}});
    scene.world.write(STATE, stats.to_string());
    Transcript {
        scene,
        text: String::new(),
    }
}

#[test]
fn for_people_and_as_json() {
    let mut t = crowded();
    t.run(&[]).run(&["--plain"]).run(&["--json"]);
    t.holds("crowded");
}

#[test]
fn on_a_terminal_of_80_and_of_40_columns() {
    let mut t = crowded();
    let status = ["models", "status"];
    let pick = ["models", "pick", "--provider", "anthropic"];
    t.narrow(80, &status)
        .narrow(40, &status)
        .narrow(80, &pick)
        .narrow(40, &pick);
    t.holds("terminal");
}

#[test]
fn colours_are_for_a_terminal_that_wants_them_and_say_nothing_alone() {
    let mut t = crowded();
    let status = ["models", "status"];
    let coloured = t.terminal(80, &status, &[]);
    assert!(coloured.contains("\x1b[32mnext"), "{coloured}");
    let mut bare = String::new();
    for (at, part) in coloured.split("\x1b[").enumerate() {
        bare.push_str(if at == 0 {
            part
        } else {
            part.split_once('m').unwrap().1
        });
    }
    assert_eq!(bare, t.terminal(80, &status, &[("NO_COLOR", "1")]));
    // Of no value it does not count.
    assert_eq!(coloured, t.terminal(80, &status, &[("NO_COLOR", "")]));
    assert!(!t.scene.run(&status).ok().stdout.contains('\x1b'));
}

#[test]
fn with_each_exit_code() {
    let scene = linked();
    let mut t = Transcript {
        scene,
        text: String::new(),
    };
    t.run(&["--check"]);
    edit(&t.scene, |store| {
        store["profiles"]["anthropic:home"]["expires"] = json!(hours(5));
    });
    t.run(&["--check"]);
    edit(&t.scene, |store| {
        store["profiles"]["anthropic:work"]["expires"] = json!(hours(-50));
        store["profiles"]["anthropic:home"]["expires"] = json!(hours(-50));
        store["profiles"]["openrouter:manual"]["keyRef"]["id"] = json!("openrouter:gone");
    });
    t.run(&["--check"]).run(&["--check", "--plain"]);
    edit(&t.scene, |store| {
        store["profiles"]["anthropic:work"]["expires"] = json!(hours(500));
    });
    lock(&t.scene);
    t.run(&["--check"]).run(&["--check", "--require-proof"]);
    t.holds("check");
}

#[test]
fn with_a_database_and_with_nothing() {
    let scene = Scene::new("2026.9.6");
    scene.config("{agents:{defaults:{model:'anthropic/claude-sonnet-4-5'}}}");
    scene.paste("token", "anthropic:work", &["--expires-in", "30d"]);
    scene.paste("api-key", "groq:1", &[]);
    let _ = scene.link(&[]).ok();
    let mut t = Transcript {
        scene,
        text: String::new(),
    };
    t.run(&[]).run(&["--live"]);
    t.scene = Scene::without_vault("2026.9.6");
    t.run(&[]).run(&["--check"]);
    t.holds("database");
}

#[test]
fn with_references_that_others_answer() {
    let (scene, _) = super::elsewhere::mixed();
    let mut t = Transcript {
        scene,
        text: String::new(),
    };
    t.run(&[]).run(&["--check"]);
    edit(&t.scene, |store| {
        let profiles = store["profiles"].as_object_mut().unwrap();
        let keeps = ["groq:file", "xai:one", "mistral:there"];
        profiles.retain(|id, _| id.starts_with("anthropic") || keeps.contains(&id.as_str()));
    });
    t.run(&["--check"])
        .run(&["--check", "--require-proof"])
        .run(&["--check", "--allow-exec"]);
    t.narrow(40, &["models", "status"]);
    t.holds("elsewhere");
}
