//! An OpenClaw with a database: what is noted, what it says when it is asked, and that the difference is said.

use super::*;
use serde_json::json;

/// A home whose OpenClaw has a database with both tokens of anthropic; openrouter has one reference.
fn scene() -> Scene {
    let scene = Scene::new("2026.9.6");
    scene.config("{agents:{defaults:{model:'anthropic/claude-sonnet-4-5'}}}");
    scene.paste("token", "anthropic:work", &[]);
    scene.paste("token", "anthropic:home", &[]);
    scene.paste("api-key", "openrouter:manual", &[]);
    let _ = scene.link(&[]).ok();
    scene
}

/// From now on it answers `models status` with this.
fn answers(scene: &Scene, status: &Value) {
    std::fs::write(scene.theirs("status.json"), status.to_string()).unwrap();
    scene.hook(r#"case "$*" in "models status "*) cat "$d/status.json"; exit 0 ;; esac"#);
}

#[test]
fn without_live_it_says_that_the_database_was_not_asked() {
    let scene = scene();
    let calls = scene.calls();
    assert!(!calls.is_empty());
    let document = document(&scene.run(&args(&["--json"])).ok());
    assert_eq!(scene.calls(), "", "OpenClaw is not started");
    let openclaw = &document["clawkeep"]["openclaw"];
    assert_eq!(
        (&openclaw["inDatabase"], &openclaw["asked"]),
        (&json!(true), &json!(false))
    );
    let notes = document["clawkeep"]["notes"].to_string();
    assert!(
        notes.contains("was not asked") && notes.contains("--live"),
        "{notes}"
    );
    let one = provider(&document, "openrouter");
    assert_eq!(
        (&one["oneReferenceForAll"], &one["uses"]),
        (&json!(true), &json!("config"))
    );
    assert_eq!(one["next"], "openrouter:manual");
    let effective = &document["auth"]["providers"][1]["effective"];
    assert_eq!(effective["kind"], "models.json");
}

#[test]
fn with_live_order_cooldowns_and_other_profiles_are_its_own() {
    let scene = scene();
    answers(
        &scene,
        &json!({"auth": {
        "providers": [{"provider": "anthropic", "profiles": {"labels": [
            "anthropic:work=token:ref(exec:anthropic:work)", "anthropic:home=token:ref(exec:anthropic:home)",
            "anthropic:x=sk-ant-F...AKE"]}}],
        "unusableProfiles": [{"profileId": "anthropic:work", "kind": "disabled", "reason": "billing", "until": hours(3)}],
        "oauth": {"profiles": [
            {"profileId": "anthropic:work", "provider": "anthropic", "type": "token", "status": "static"},
            {"profileId": "anthropic:home", "provider": "anthropic", "type": "token", "status": "expired"},
            {"profileId": "anthropic:x", "provider": "anthropic", "type": "api_key", "status": "static"}]}}}),
    );
    scene.has_order("main", "anthropic", "anthropic:work anthropic:x");
    let run = scene.run(&args(&["--live", "--json"])).ok();
    assert!(!run.stdout.contains("AKE"), "{run}");
    let document = document(&run);
    assert_eq!(document["clawkeep"]["openclaw"]["asked"], true);
    assert!(
        !document["clawkeep"]["notes"]
            .to_string()
            .contains("not asked")
    );
    let anthropic = provider(&document, "anthropic");
    assert_eq!(anthropic["orderSource"], "stored");
    assert_eq!(
        anthropic["next"], "anthropic:x",
        "the other one is disabled"
    );
    let work = profile(&document, "anthropic", "anthropic:work");
    assert_eq!(work["cooldown"]["reason"], "billing");
    assert_eq!(work["value"]["place"], "vault");
    let other = profile(&document, "anthropic", "anthropic:x");
    assert_eq!(other["value"]["place"], "plaintext");
    let home = profile(&document, "anthropic", "anthropic:home");
    assert_eq!(home["status"], "expired");
    // What stands behind one reference is ours alone.
    assert_eq!(
        provider(&document, "openrouter")["next"],
        "openrouter:manual"
    );
}

#[test]
fn an_answer_that_cannot_be_read_is_an_error() {
    let scene = scene();
    for odd in [
        json!({}),
        json!([1]),
        json!({"auth": {"oauth": {"profiles": 7}}}),
    ] {
        answers(&scene, &odd);
        let run = scene.run(&args(&["--live", "--json"]));
        let document = document(&run);
        let reads = odd.pointer("/auth/oauth/profiles").is_some();
        assert_eq!(run.code, i32::from(!reads), "{run}");
        assert_eq!(document["error"].is_null(), reads);
    }
    scene.hook("exit 1");
    assert_eq!(
        document(&scene.run(&args(&["--live", "--json"])).fails(1))["error"]["kind"],
        "failed"
    );
}
