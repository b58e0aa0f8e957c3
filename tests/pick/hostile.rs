//! What others can write into the files, and what people can type.

use super::order_args;
use super::scene::Scene;
use serde_json::json;

const STORE: &str = ".openclaw/agents/main/agent/auth-profiles.json";
const STATE: &str = ".openclaw/agents/main/agent/auth-state.json";

fn scene() -> Scene {
    let scene = Scene::new("2026.6.1");
    scene.config("{}");
    scene.paste("api-key", "groq:1", &[]);
    let _ = scene.link(&[]).ok();
    scene
}

#[test]
fn a_broken_file_is_an_error_and_is_left_alone() {
    let scene = scene();
    let good = scene.world.read(STORE);
    for (place, text) in [
        (STORE, "{\"profiles\":{\"groq:1\":{\"key\":\"sk-FAKE-SECRET"),
        (STORE, "[]"),
        (STORE, "{\"profiles\":7}"),
        (STORE, ""),
        (STATE, "{\"order\":"),
        (STATE, "7"),
    ] {
        scene.world.write(STORE, &good);
        scene.world.write(STATE, r#"{"version":1}"#);
        scene.world.write(place, text);
        for args in [
            &["models", "pick", "--provider", "groq", "--json"][..],
            &order_args(&["get", "--provider", "groq", "--json"]),
            &order_args(&["set", "--provider", "groq", "groq:1", "--json"]),
            &order_args(&["clear", "--provider", "groq", "--json"]),
        ] {
            let run = scene.run(args).fails(1);
            assert_eq!(run.json()["error"]["kind"], "broken", "{run}");
            assert!(
                !run.stdout.contains("FAKE") && !run.stderr.contains("FAKE"),
                "{run}"
            );
        }
        assert_eq!(scene.world.read(place), text.as_bytes(), "{text}");
    }
}

#[test]
fn names_in_a_file_cannot_drive_a_terminal_and_values_are_not_shown() {
    let scene = scene();
    let profiles = json!({"version": 1, "profiles": {
        "groq:\u{202e}txt": {"type": "api_key", "provider": "groq", "key": "sk-FAKE-SECRET"},
        "groq:\u{1b}[2J": {"type": "api_key", "provider": "groq", "key": "sk-FAKE-SECRET"},
        "groq: $(reboot)": {"type": "token", "provider": "groq", "token": "sk-FAKE-SECRET", "expires": 1e300},
    }, "order": {"groq": ["groq:\u{202e}txt", "groq:\u{1b}[2J", 7, null, {}]},
       "usageStats": {"groq:\u{202e}txt": {"cooldownUntil": 8.0e15, "cooldownReason": "\u{1b}[31msk-FAKE-SECRET"}}});
    scene.world.write(STORE, profiles.to_string());
    for more in [&[][..], &["--json"]] {
        let run = scene
            .run(&[&["models", "pick", "--provider", "groq"], more].concat())
            .ok();
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(
            !said.contains("SECRET") && !said.contains('\u{1b}'),
            "{said}"
        );
        assert!(!more.is_empty() || !said.contains('\u{202e}'), "{said}");
    }
    let run = scene.run(&order_args(&["get", "--provider", "groq"])).ok();
    assert!(
        !run.stdout.contains('\u{202e}') && !run.stdout.contains('\u{1b}'),
        "{run}"
    );
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table, a command line a row")]
fn what_is_typed_wrong_is_not_repeated() {
    let scene = scene();
    let before = scene.world.tree();
    let pasted = "sk-ant-oat01-FAKE-pasted-in-the-wrong-place-0123456789";
    let long = "x".repeat(300);
    for (args, code) in [
        (
            &[
                "models",
                "auth",
                "order",
                "set",
                "--provider",
                "groq",
                pasted,
            ][..],
            64,
        ),
        (
            &["models", "pick", "--provider", "groq", "--profile", pasted],
            64,
        ),
        (
            &[
                "models",
                "pick",
                "--provider",
                pasted,
                "--json",
                "--agent",
                "../../etc",
            ],
            64,
        ),
        (&order_args(&["get", "--provider", "gro q"]), 64),
        (
            &order_args(&["set", "--provider", "groq", "groq:1\u{7}"]),
            64,
        ),
        (&order_args(&["set", "--provider", "groq", &long]), 64),
        (&order_args(&["set", "--provider", "groq", ""]), 64),
        (
            &[
                "models",
                "auth",
                "--agent",
                "../x",
                "order",
                "clear",
                "--provider",
                "groq",
            ],
            64,
        ),
        (
            &order_args(&["set", "--provider", "groq", "--", "--force"]),
            1,
        ),
        (&order_args(&["clear"]), 64),
        (&["models", "auth", "order"], 64),
    ] {
        let run = scene.run(args).fails(code);
        assert!(
            !run.stdout.contains("FAKE") && !run.stderr.contains("FAKE"),
            "{run}"
        );
        assert!(
            !run.stderr.contains(&long) && !run.stderr.contains('\u{7}'),
            "{run}"
        );
    }
    assert_eq!(scene.world.tree(), before);
}

#[test]
fn an_order_never_reaches_through_a_link_that_another_user_could_set() {
    let scene = scene();
    let outside = scene.world.write("outside.json", r#"{"version":1}"#);
    let state = scene.world.home().join(STATE);
    std::os::unix::fs::symlink(&outside, &state).unwrap();
    let args = order_args(&["set", "--provider", "groq", "groq:1"]);
    let _ = scene.run(&args).fails(1);
    assert_eq!(scene.world.read("outside.json"), br#"{"version":1}"#);
}
