//! What is left when something stops in the middle, and that running again finishes.

use crate::scene::{Scene, value_of};

fn scene(version: &str) -> Scene {
    let scene = Scene::new(version);
    scene.config(
        "// Mine.\n{\n  gateway: { auth: { token: \"fake-gateway-token-0123456789\" } },\n}\n",
    );
    scene.paste("token", "anthropic:work", &[]);
    scene.paste("api-key", "openrouter:me@example.com", &[]);
    scene.paste("api-key", "openrouter:b", &[]);
    scene
}

const ORDER: [&str; 2] = [
    "--order",
    "openrouter=openrouter:b,openrouter:me@example.com",
];

/// OpenClaw's files and database, without what chance makes.
fn outcome(scene: &Scene) -> String {
    let agent = ".openclaw/agents/main/agent";
    format!(
        "{}{}{}{}",
        scene.show(".openclaw/openclaw.json"),
        scene.show(&format!("{agent}/auth-profiles.json")),
        scene.show(&format!("{agent}/auth-state.json")),
        scene.database().join("\n"),
    )
}

/// How OpenClaw was called by a link that nothing stopped, and what came of it.
fn undisturbed(version: &str) -> (Vec<String>, String) {
    let scene = scene(version);
    let _ = scene.link(&ORDER).ok();
    let calls = scene.calls().lines().map(str::to_owned).collect();
    (calls, outcome(&scene))
}

/// Each call of OpenClaw in turn fails, or takes clawkeep with it.
#[test]
fn whichever_call_fails_or_kills_running_again_finishes() {
    for version in ["2026.6.1", "2026.7.1", "2026.9.6"] {
        let (calls, whole) = undisturbed(version);
        for number in 1..=calls.len() {
            for end in ["exit 1", "kill -9 $PPID; exit 1"] {
                let scene = scene(version);
                let before = outcome(&scene);
                scene.hook(&format!(
                    "[ \"$(wc -l < \"$d/calls\")\" -eq {number} ] && {{ {end}; }}"
                ));
                let run = scene.link(&ORDER);
                let call = &calls[number - 1];
                let tried = calls
                    .iter()
                    .position(|call| call.contains("--dry-run"))
                    .unwrap();
                if number <= tried + 1 {
                    assert_ne!(run.code, 0, "{version} {call}: {run}");
                    assert_eq!(outcome(&scene), before, "{version} {call}: {run}");
                }
                scene.hook("");
                let again = scene.link(&ORDER).ok();
                let (mut outcome, mut whole) = (outcome(&scene), whole.clone());
                if end.starts_with("kill") {
                    // OpenClaw writes the file without its comments, and nobody is left to put them
                    // back; they are in its openclaw.json.bak.
                    for text in [&mut outcome, &mut whole] {
                        *text = text.replace("// Mine.\n", "");
                    }
                }
                assert_eq!(outcome, whole, "{version} {end} at {call}: {run}\n{again}");
                let answers = scene.resolves(&["anthropic:work", "gateway/token"]);
                assert_eq!(
                    answers["values"]["anthropic:work"],
                    value_of("anthropic:work")
                );
                assert_eq!(
                    answers["values"]["gateway/token"],
                    "fake-gateway-token-0123456789"
                );
            }
        }
    }
}

/// A link that OpenClaw refused is none: what is stored after it stays away from OpenClaw's files,
/// where nobody would answer its reference.
#[test]
fn after_a_refused_dry_run_new_profiles_stay_at_home() {
    let scene = scene("2026.6.1");
    let before = outcome(&scene);
    scene.hook("case \"$*\" in *--dry-run*) exit 1 ;; esac");
    let run = scene.link(&[]).fails(1);
    assert!(run.stderr.contains("nothing was written"), "{run}");
    scene.paste("api-key", "groq:later", &[]);
    assert_eq!(outcome(&scene), before);
    let list = scene.run(&["models", "auth", "list", "--json"]).ok().json();
    assert_eq!(list["profiles"].as_array().unwrap().len(), 4, "{list}");
    scene.hook("");
    let _ = scene.link(&[]).ok();
    let profiles = scene.show(".openclaw/agents/main/agent/auth-profiles.json");
    for id in ["groq:later", "openrouter:me@example.com", "anthropic:work"] {
        assert!(profiles.contains(&format!("\"{id}\"")), "{profiles}");
    }
}

/// A gateway, or a person, writes openclaw.json while OpenClaw tries the plan.
#[test]
fn a_configuration_that_changes_meanwhile_is_not_written_over() {
    for version in ["2026.6.1", "2026.9.6"] {
        let scene = scene(version);
        scene.hook("case \"$*\" in *--dry-run*) echo '{ theirs: true }' > \"$c\" ;; esac");
        let run = scene.link(&[]).fails(1);
        assert!(
            run.stderr.contains("changed while the plan was made"),
            "{run}"
        );
        assert_eq!(scene.config_text(), "{ theirs: true }\n");
        assert_eq!(scene.database(), [] as [&str; 0]);
        scene.hook("");
        let _ = scene.link(&[]).ok();
        assert!(scene.config_text().contains("theirs: true"));
    }
}

/// In the file lane: what is pasted into a linked vault is in OpenClaw's own file at once, and says
/// so; in the plan lane it takes a link, and says that.
#[test]
fn a_paste_says_what_openclaw_still_needs() {
    let cases = [
        // version, new profile of a linked provider, profile of a new provider
        (
            "2026.6.1",
            "openclaw secrets reload",
            "openclaw secrets reload",
        ),
        ("2026.7.1", "hint: clawkeep link", "hint: clawkeep link"),
        ("2026.9.6", "hint: clawkeep link", "hint: clawkeep link"),
    ];
    for (version, second, other) in cases {
        let scene = Scene::new(version);
        scene.paste("api-key", "openrouter:a", &[]);
        let _ = scene.link(&[]).ok();
        let config = scene.config_text();
        let paste = |profile: &str| {
            let provider = profile.split(':').next().unwrap();
            let args = [
                "models",
                "auth",
                "paste-api-key",
                "--provider",
                provider,
                "--profile-id",
                profile,
            ];
            scene
                .cmd(&args)
                .stdin("fake-key-new-0123456789\n")
                .run()
                .ok()
                .stderr
        };
        assert!(
            paste("openrouter:a").contains("openclaw secrets reload"),
            "{version}"
        );
        assert!(paste("openrouter:b").contains(second), "{version}");
        assert!(paste("groq:a").contains(other), "{version}");
        assert_eq!(scene.config_text(), config);
        if version == "2026.6.1" {
            // What it said is true: the file refers to it, and it is answered.
            let theirs = scene.show(".openclaw/agents/main/agent/auth-profiles.json");
            assert!(theirs.contains("\"groq:a\"") && theirs.contains("\"openrouter:b\""));
        }
        let answers = scene.resolves(&["groq:a", "openrouter:a"]);
        assert_eq!(answers["values"]["groq:a"], "fake-key-new-0123456789");
        let before = scene.calls();
        drop(before);
        let _ = scene.link(&[]).ok();
        for profile in ["openrouter:a", "openrouter:b", "groq:a"] {
            assert!(
                paste(profile).contains("openclaw secrets reload"),
                "{version} {profile}"
            );
        }
    }
}
