//! Where an order is written for each version of OpenClaw, and that only it is.

use super::order_args;
use super::scene::{Scene, mode};
use serde_json::{Value, json};
use std::path::PathBuf;

const AGENT: &str = ".openclaw/agents/main/agent";

fn scene(version: &str) -> Scene {
    let scene = Scene::new(version);
    scene.config("{}");
    scene.paste("api-key", "groq:1", &[]);
    scene.paste("api-key", "groq:2", &[]);
    let _ = scene.link(&[]).ok();
    let _ = scene.calls();
    scene
}

fn order(scene: &Scene, args: &[&str]) -> Value {
    let args = [args, &["--provider", "groq", "--json"]].concat();
    scene.run(&order_args(&args)).ok().json()["order"].clone()
}

fn file(scene: &Scene, name: &str) -> Option<Value> {
    let path: PathBuf = scene.world.home().join(AGENT).join(name);
    let text = std::fs::read(&path).ok()?;
    assert_eq!(mode(&path), 0o600, "{name}");
    serde_json::from_slice(&text).ok()
}

#[test]
fn up_to_2026_4_5_it_lies_in_auth_profiles_json() {
    let scene = scene("2026.4.5");
    let before = file(&scene, "auth-profiles.json").unwrap();
    assert_eq!(
        order(&scene, &["set", "groq:2", "groq:1", "groq:2"]),
        json!(["groq:2", "groq:1"])
    );
    let mut after = file(&scene, "auth-profiles.json").unwrap();
    assert_eq!(after["order"], json!({"groq": ["groq:2", "groq:1"]}));
    assert!(file(&scene, "auth-state.json").is_none());
    after.as_object_mut().unwrap().remove("order");
    assert_eq!(after, before, "nothing else changed");
    assert_eq!(order(&scene, &["clear"]), json!(null));
    assert_eq!(file(&scene, "auth-profiles.json").unwrap(), before);
    assert_eq!(scene.calls(), "", "no program was run");
}

#[test]
fn from_2026_4_7_in_auth_state_json_and_what_openclaw_has_there_stays() {
    let scene = scene("2026.4.7");
    let before = file(&scene, "auth-profiles.json").unwrap();
    let state = r#"{"version":1,"order":{"openai":["o:1"]},"lastGood":{"groq":"groq:1"},"usageStats":{"groq:1":{"lastUsed":7}},"new":true}"#;
    scene
        .world
        .write(&format!("{AGENT}/auth-state.json"), state);
    assert_eq!(order(&scene, &["set", "groq:2"]), json!(["groq:2"]));
    let mut after = file(&scene, "auth-state.json").unwrap();
    assert_eq!(
        after["order"],
        json!({"openai": ["o:1"], "groq": ["groq:2"]})
    );
    after["order"].as_object_mut().unwrap().remove("groq");
    assert_eq!(after, serde_json::from_str::<Value>(state).unwrap());
    assert_eq!(file(&scene, "auth-profiles.json").unwrap(), before);
    // OpenClaw sets another one; it is seen.
    let theirs = state.replace("\"o:1\"]", "\"o:1\"],\"groq\":[\"groq:1\"]");
    scene
        .world
        .write(&format!("{AGENT}/auth-state.json"), theirs);
    assert_eq!(order(&scene, &["get"]), json!(["groq:1"]));
    let _ = scene.link(&[]).ok();
    assert_eq!(
        order(&scene, &["get"]),
        json!(["groq:1"]),
        "a link does not write over it"
    );
    assert_eq!(order(&scene, &["clear"]), json!(null));
    assert_eq!(order(&scene, &["get"]), json!(null));
}

#[test]
fn an_order_of_the_older_file_does_not_come_back_when_the_newer_is_cleared() {
    let scene = scene("2026.4.7");
    let mut profiles = file(&scene, "auth-profiles.json").unwrap();
    profiles["order"] = json!({"groq": ["groq:2"], "openai": ["o:1"]});
    scene
        .world
        .write(&format!("{AGENT}/auth-profiles.json"), profiles.to_string());
    assert_eq!(order(&scene, &["get"]), json!(["groq:2"]));
    let _ = order(&scene, &["clear"]);
    assert_eq!(order(&scene, &["get"]), json!(null));
    let left = file(&scene, "auth-profiles.json").unwrap();
    assert_eq!(left["order"], json!({"openai": ["o:1"]}));
}

#[test]
fn from_2026_6_5_openclaws_own_command_line_writes_it() {
    let scene = scene("2026.6.5");
    assert_eq!(
        order(&scene, &["set", "groq:2", "groq:1"]),
        json!(["groq:2", "groq:1"])
    );
    let calls = scene.calls();
    assert!(
        calls.contains("models auth order set --provider groq --agent main -- groq:2 groq:1"),
        "{calls}"
    );
    assert!(file(&scene, "auth-profiles.json").is_none());
    assert!(file(&scene, "auth-state.json").is_none());
    scene.has_order("main", "groq", "groq:1");
    assert_eq!(
        order(&scene, &["get"]),
        json!(["groq:1"]),
        "OpenClaw's is seen"
    );
    // What OpenClaw forgot since does not come back with the next link.
    let _ = order(&scene, &["set", "groq:2"]);
    std::fs::remove_file(scene.theirs("orders/main-groq")).unwrap();
    let _ = scene.link(&[]).ok();
    assert_eq!(order(&scene, &["get"]), json!(null));
    scene.has_order("main", "groq", "groq:1");
    let _ = order(&scene, &["clear"]);
    assert!(
        scene
            .calls()
            .contains("models auth order clear --provider groq --agent main")
    );
    // A refusal is one here too, and nothing is noted.
    scene.hook("case \"$*\" in 'models auth order set'*) exit 1;; esac");
    let args = order_args(&["set", "--provider", "groq", "groq:2"]);
    let run = scene.run(&args).fails(1);
    assert!(run.stderr.contains("OpenClaw 2026.6.5 refused"), "{run}");
    assert_eq!(order(&scene, &["get"]), json!(null));
    let picked = scene.run(&["models", "pick", "--provider", "groq", "--json"]);
    assert_eq!(picked.ok().json()["source"], "all");
}

#[test]
fn an_openclaw_that_was_updated_since_is_written_where_it_reads_now() {
    let scene = scene("2026.4.5");
    scene.becomes("2026.6.1");
    let _ = order(&scene, &["set", "groq:2"]);
    assert_eq!(
        file(&scene, "auth-state.json").unwrap()["order"],
        json!({"groq": ["groq:2"]})
    );
    assert!(file(&scene, "auth-profiles.json").unwrap()["order"].is_null());
}

#[test]
fn another_agent_has_mains_profiles_and_an_order_of_its_own() {
    let scene = scene("2026.6.1");
    scene.world.write(
        ".openclaw/agents/work/agent/auth-profiles.json",
        r#"{"version":1,"profiles":{}}"#,
    );
    let _ = order(&scene, &["set", "groq:2", "groq:1"]);
    let work = |args: &[&str]| order(&scene, &[args, &["--agent", "work"]].concat());
    assert_eq!(work(&["get"]), json!(["groq:2", "groq:1"]));
    assert_eq!(work(&["set", "groq:1"]), json!(["groq:1"]));
    assert_eq!(order(&scene, &["get"]), json!(["groq:2", "groq:1"]));
    let pick = |agent: &str| {
        let args = [
            "models",
            "pick",
            "--provider",
            "groq",
            "--json",
            "--agent",
            agent,
        ];
        scene.run(&args).ok().json()["order"].clone()
    };
    assert_eq!(pick("work"), json!(["groq:1"]));
    assert_eq!(pick("main"), json!(["groq:2", "groq:1"]));
    let _ = work(&["clear"]);
    assert_eq!(
        work(&["get"]),
        json!(["groq:2", "groq:1"]),
        "then main's counts"
    );
}

#[test]
fn an_order_waits_for_openclaws_lock() {
    let scene = scene("2026.6.1");
    let lock = scene
        .world
        .home()
        .join(AGENT)
        .join("auth-profiles.json.lock");
    // The test's own process holds it, for good.
    let now = jiff::Timestamp::try_from(std::time::SystemTime::now()).unwrap();
    let held = format!("{{\"pid\":{},\"createdAt\":\"{now}\"}}", std::process::id());
    std::fs::write(&lock, held).unwrap();
    let args = order_args(&["set", "--provider", "groq", "groq:2"]);
    let run = scene.run(&args).fails(1);
    assert!(run.stderr.contains("held OpenClaw's lock"), "{run}");
    assert!(file(&scene, "auth-state.json").is_none());
    std::fs::remove_file(&lock).unwrap();
    let _ = scene.run(&args).ok();
}

#[test]
fn one_reference_for_all_follows_the_order_that_clawkeep_has() {
    let scene = Scene::new("2026.9.6");
    scene.config("{}");
    scene.paste("api-key", "groq:1", &[]);
    scene.paste("api-key", "groq:2", &[]);
    let _ = scene.link(&["--config-refs"]).ok();
    let answer = || scene.resolves(&["provider/groq"])["values"]["provider/groq"].clone();
    let _ = scene.calls();
    let _ = order(&scene, &["set", "groq:2", "groq:1"]);
    assert_eq!(answer(), json!("fake-key-groq-2-0123456789"));
    let _ = order(&scene, &["set", "groq:1"]);
    assert_eq!(answer(), json!("fake-key-groq-1-0123456789"));
    let picked = scene
        .run(&["models", "pick", "--provider", "groq", "--json"])
        .ok();
    assert_eq!(picked.json()["next"], "groq:1");
    assert!(
        !scene.calls().contains("order"),
        "OpenClaw has no order of it"
    );
}
