//! `unlink`: everything of ours goes, nothing else does, and the way back in is open.

use crate::scene::{Scene, value_of};

/// Two keys in an order and a token, linked.
fn linked(version: &str) -> Scene {
    let scene = Scene::new(version);
    scene.config("{\n  gateway: { mode: \"local\" },\n}\n");
    scene.paste("api-key", "openrouter:a", &[]);
    scene.paste("api-key", "openrouter:b", &[]);
    scene.paste("token", "anthropic:work", &["--expires-in", "365d"]);
    let _ = scene
        .link(&["--order", "openrouter=openrouter:b,openrouter:a"])
        .ok();
    scene
}

#[test]
fn profiles_and_order_come_home_and_link_finds_them_again() {
    for version in ["2026.4.5", "2026.6.1", "2026.7.1", "2026.9.6"] {
        let scene = linked(version);
        let (config, database) = (scene.config_text(), scene.database());
        let agent = ".openclaw/agents/main/agent";
        let files = || {
            (
                scene.show(&format!("{agent}/auth-profiles.json")),
                scene.show(&format!("{agent}/auth-state.json")),
            )
        };
        let theirs = files();
        let run = scene.run(&["unlink", "--yes"]).ok();
        assert_eq!(
            scene.config_text(),
            "{\n  gateway: { mode: \"local\" },\n}\n",
            "{run}"
        );
        assert_eq!(scene.database(), [] as [&str; 0]);
        let (profiles, state) = files();
        assert!(
            !profiles.contains("clawkeep") && !profiles.contains("openrouter"),
            "{profiles}"
        );
        assert!(!state.contains("openrouter"), "{version}: {state}");
        assert!(!scene.theirs("orders/main-openrouter").exists());
        let list = scene.run(&["models", "auth", "list", "--json"]).ok().json();
        assert_eq!(list["profiles"].as_array().unwrap().len(), 3, "{list}");
        let home = scene.show(".local/share/clawkeep/agents/main/auth-profiles.json");
        let (_, order) = home
            .split_once("\"order\"")
            .unwrap_or_else(|| panic!("{version}: {home}"));
        assert!(
            order.find("openrouter:b") < order.find("openrouter:a"),
            "{order}"
        );
        assert!(home.contains("\"expires\""), "{home}");
        // The random token of the gateway stays in the vault, so it is the same as before.
        let _ = scene.link(&[]).ok();
        assert_eq!(
            (scene.config_text(), scene.database()),
            (config, database),
            "{version}"
        );
        // What was moved home and back may stand in another order; it is the same.
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text
                .lines()
                .map(|line| line.trim_end_matches(',').to_owned())
                .collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&files().0), sorted(&theirs.0), "{version}");
        assert_eq!(files().1, theirs.1, "{version}");
        let answers = scene.resolves(&["openrouter:a", "anthropic:work"]);
        assert_eq!(answers["values"]["openrouter:a"], value_of("openrouter:a"));
    }
}

/// A person changed the order with OpenClaw's own command: it holds, here and on the way home.
#[test]
fn an_order_that_was_changed_in_openclaw_is_kept() {
    let scene = linked("2026.9.6");
    scene.has_order("main", "openrouter", "openrouter:a openrouter:b");
    let _ = scene.link(&[]).ok();
    let order = || std::fs::read_to_string(scene.theirs("orders/main-openrouter")).unwrap();
    assert_eq!(order().trim(), "openrouter:a openrouter:b");
    scene.has_order("main", "openrouter", "openrouter:b openrouter:a");
    let _ = scene.run(&["unlink", "--yes"]).ok();
    let _ = scene.link(&[]).ok();
    assert_eq!(order().trim(), "openrouter:b openrouter:a");
}

/// A profile that clawkeep planted once and took away again is not its own any more.
#[test]
fn a_profile_that_a_person_made_under_an_old_id_of_ours_stays() {
    let scene = linked("2026.9.6");
    let _ = scene
        .run(&[
            "models",
            "auth",
            "logout",
            "--profile-id",
            "openrouter:a",
            "--yes",
        ])
        .ok();
    let _ = scene.link(&[]).ok();
    assert_eq!(scene.database(), [] as [&str; 0]);
    scene.has_profile("main", "openrouter:a", "openrouter key plain");
    let _ = scene.link(&[]).ok();
    assert!(
        scene
            .database()
            .contains(&"main openrouter:a: openrouter key plain".to_owned())
    );
    let _ = scene.run(&["unlink", "--yes"]).ok();
    assert_eq!(
        scene.database(),
        ["main openrouter:a: openrouter key plain"]
    );
}

#[test]
fn one_openclaw_asks_one_vault() {
    let scene = linked("2026.6.1");
    let before = scene.config_text();
    let other = scene.world.home().join("other");
    let other = other.to_str().unwrap();
    let own_file = scene.world.home().join("other.txt");
    let init = [
        "--vault",
        other,
        "init",
        "--custody",
        "file",
        "--slot",
        "identity-file",
        "--no-recovery",
        "--identity-file",
        own_file.to_str().unwrap(),
    ];
    let _ = scene.run(&init).ok();
    let run = scene.run(&["--vault", other, "link", "--yes"]).fails(1);
    assert!(run.stderr.contains("is linked to another vault"), "{run}");
    assert!(run.stderr.contains("hint: clawkeep --vault "), "{run}");
    assert_eq!(scene.config_text(), before);
    // The first vault is gone: then there is nothing to unlink.
    let old = scene.world.home().join(".local/share/clawkeep");
    std::fs::rename(&old, scene.world.home().join("gone")).unwrap();
    let run = scene.run(&["--vault", other, "link", "--yes"]).ok();
    assert!(run.stderr.contains("is not there any more"), "{run}");
    assert!(
        !scene
            .show(".openclaw/agents/main/agent/auth-profiles.json")
            .contains("openrouter:a")
    );
    // It comes back: what it does to itself is not OpenClaw's any more.
    std::fs::rename(scene.world.home().join("gone"), &old).unwrap();
    let before = scene.config_text();
    let _ = scene.run(&["rekey", "--yes"]).ok();
    let _ = scene.run(&["unlink", "--yes"]).ok();
    assert_eq!(scene.config_text(), before);
}

#[test]
fn nothing_linked_is_said() {
    let scene = Scene::new("2026.9.6");
    let run = scene.run(&["unlink", "--yes"]).fails(1);
    assert!(run.stderr.contains("is not linked"), "{run}");
}
