//! What each version gets.

use crate::scene::{Scene, value_of};

/// A configuration as a person wrote it: comments, unquoted keys, a key of another provider.
const CONFIG: &str = r#"// Mine.
{
  gateway: { mode: "local", port: 18789 }, // loopback
  models: {
    providers: {
      // Not in the vault.
      google: { apiKey: "fake-google-key-0123456789" },
    },
  },
  unknown: { kept: [1.50, 0x10] },
}
"#;

/// A token with an expiry, two keys in an order, and a key whose place is taken by plaintext.
fn linked(version: &str) -> (Scene, String) {
    let scene = Scene::new(version);
    scene.config(CONFIG);
    scene.paste("token", "anthropic:work", &["--expires-in", "365d"]);
    scene.paste("api-key", "openrouter:a", &[]);
    scene.paste("api-key", "openrouter:b", &[]);
    scene.paste("api-key", "google:mine", &["--force"]);
    let run = scene
        .link(&["--order", "openrouter=openrouter:b,openrouter:a"])
        .fails(1);
    let report = report(&scene, &run.snapshot());
    (scene, report)
}

fn report(scene: &Scene, run: &str) -> String {
    let agent = ".openclaw/agents/main/agent";
    let text = format!(
        "{run}{}{}{}--- openclaw was called\n{}--- its database\n{}\n",
        scene.show(".openclaw/openclaw.json"),
        scene.show(&format!("{agent}/auth-profiles.json")),
        scene.show(&format!("{agent}/auth-state.json")),
        scene.calls(),
        scene.database().join("\n"),
    );
    for profile in [
        "anthropic:work",
        "openrouter:a",
        "openrouter:b",
        "google:mine",
    ] {
        assert!(!text.contains(&value_of(profile)), "{text}");
        assert_eq!(
            scene.world.search_home(&value_of(profile)),
            [] as [std::path::PathBuf; 0]
        );
    }
    // Milliseconds of the expiry.
    let mut text = text;
    while let Some(at) = text.find("\"expires\": 1") {
        let digits = text[at + 11..].find(|c: char| !c.is_ascii_digit()).unwrap();
        text.replace_range(at + 11..at + 11 + digits, "[MILLIS]");
    }
    text
}

fn check(version: &str) {
    let (scene, report) = linked(version);
    insta::assert_snapshot!(version.replace('.', "_"), report);
    // Once more changes no file.
    let before = scene.world.tree();
    let run = scene.link(&[]).fails(1);
    assert!(
        before == scene.world.tree(),
        "a second link changed a file: {run}"
    );
    let answers = scene.resolves(&["anthropic:work", "openrouter:b"]);
    assert_eq!(
        answers["values"]["anthropic:work"],
        value_of("anthropic:work")
    );
    assert_eq!(answers["values"]["openrouter:b"], value_of("openrouter:b"));
    let text = scene.config_text();
    for never in ["allowSymlinkCommand", "allowInsecurePath"] {
        assert!(!text.contains(never));
    }
}

macro_rules! versions {
    ($($name:ident $version:literal)*) => {$(
        #[test]
        fn $name() {
            check($version);
        }
    )*};
}

versions! {
    the_first_with_refs_2026_2_26 "2026.2.26"
    profile_plans_without_allow_exec_2026_3_2 "2026.3.2"
    order_in_auth_profiles_2026_4_5 "2026.4.5"
    order_in_auth_state_2026_4_7 "2026.4.7"
    the_last_with_auth_profiles_2026_6_1 "2026.6.1"
    profiles_in_a_database_2026_6_5 "2026.6.5"
    the_last_with_profile_refs_alone_2026_7_1 "2026.7.1"
    config_refs_2026_8_2 "2026.8.2"
    config_refs_2026_9_6 "2026.9.6"
}

#[test]
fn a_version_without_refs_is_refused_and_its_limits_said() {
    let scene = Scene::new("2026.2.25");
    scene.config(CONFIG);
    scene.paste("token", "anthropic:work", &[]);
    let before = scene.world.tree();
    insta::assert_snapshot!("2026_2_25", scene.link(&[]).snapshot());
    assert!(before == scene.world.tree());
    assert_eq!(scene.calls(), "");
}

#[test]
fn config_refs_are_chosen_for_several_profiles_by_a_flag() {
    for version in ["2026.4.5", "2026.6.1", "2026.7.1", "2026.9.6"] {
        chosen_by_a_flag(version);
    }
}

fn chosen_by_a_flag(version: &str) {
    let scene = Scene::new(version);
    scene.paste("api-key", "openrouter:a", &[]);
    scene.paste("api-key", "openrouter:b", &[]);
    let order = ["--order", "openrouter=openrouter:b,openrouter:a"];
    let _ = scene.link(&[&order[..], &["--config-refs"]].concat()).ok();
    let answers = scene.resolves(&["provider/openrouter"]);
    assert_eq!(
        answers["values"]["provider/openrouter"],
        value_of("openrouter:b")
    );
    assert_eq!(scene.database(), [] as [&str; 0]);
    assert!(scene.config_text().contains("provider/openrouter"));
    // A new value goes where this kind of ref looks, and nowhere else.
    scene.paste("api-key", "openrouter:b", &[]);
    let theirs = scene.show(".openclaw/agents/main/agent/auth-profiles.json");
    assert!(!theirs.contains("openrouter"), "{version}: {theirs}");
    // Without the flag each gets its own, and the order stays.
    let _ = scene.link(&[]).ok();
    if version != "2026.9.6" && version != "2026.7.1" {
        let theirs = scene.show(".openclaw/agents/main/agent/auth-profiles.json");
        assert!(theirs.contains("openrouter:a"), "{version}: {theirs}");
    }
    let order = match version {
        "2026.4.5" => scene.show(".openclaw/agents/main/agent/auth-profiles.json"),
        "2026.6.1" => scene.show(".openclaw/agents/main/agent/auth-state.json"),
        _ => std::fs::read_to_string(scene.theirs("orders/main-openrouter")).unwrap(),
    };
    let (_, order) = order.split_once("order").unwrap_or(("", &order));
    assert!(
        order.find("openrouter:b") < order.find("openrouter:a"),
        "{version}: {order}"
    );
    assert!(!scene.config_text().contains("provider/openrouter"));
    let _ = scene.link(&["--config-refs"]).ok();
    let answers = scene.resolves(&["provider/openrouter"]);
    assert_eq!(
        answers["values"]["provider/openrouter"],
        value_of("openrouter:b")
    );
}

/// One kind of ref at every moment, whichever way the number of profiles goes.
#[test]
fn from_one_profile_to_two_and_back_there_is_one_kind_of_ref() {
    let scene = Scene::new("2026.9.6");
    let kinds = || {
        (
            scene.config_text().contains("provider/openrouter"),
            scene.database(),
        )
    };
    scene.paste("api-key", "openrouter:a", &[]);
    let _ = scene.link(&[]).ok();
    assert_eq!(kinds(), (true, vec![]));
    scene.paste("api-key", "openrouter:b", &[]);
    let run = scene.link(&[]).ok();
    assert!(run.stderr.contains("--check"), "{run}");
    let rows = [
        "main openrouter:a: openrouter key ref",
        "main openrouter:b: openrouter key ref",
    ];
    assert_eq!(kinds(), (false, rows.map(str::to_owned).to_vec()));
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
    assert_eq!(kinds(), (true, vec![]));
}

#[test]
fn another_agents_own_profile_keeps_profile_refs() {
    let scene = Scene::new("2026.9.6");
    scene.paste("api-key", "openrouter:a", &[]);
    let args = [
        "models",
        "auth",
        "--agent",
        "work",
        "paste-api-key",
        "--provider",
        "openrouter",
    ];
    let _ = scene
        .cmd(&args)
        .stdin("fake-key-work-0123456789\n")
        .run()
        .ok();
    let run = scene.link(&[]).ok();
    assert!(
        run.stderr
            .contains("agent work has its own profile or order"),
        "{run}"
    );
    let rows = [
        "main openrouter:a: openrouter key ref",
        "work openrouter:manual: openrouter key ref",
    ];
    assert_eq!(scene.database(), rows);
    let answers = scene.resolves(&["agent/work/openrouter:manual"]);
    assert_eq!(
        answers["values"]["agent/work/openrouter:manual"],
        "fake-key-work-0123456789"
    );
}

/// After `logout` nothing asks for what is gone, in any lane.
#[test]
fn logout_and_link_take_stale_refs_away() {
    for version in ["2026.6.1", "2026.7.1", "2026.9.6"] {
        let scene = Scene::new(version);
        scene.paste("token", "anthropic:work", &[]);
        scene.paste("api-key", "openrouter:a", &[]);
        let _ = scene.link(&[]).ok();
        let run = scene
            .run(&[
                "models",
                "auth",
                "logout",
                "--profile-id",
                "anthropic:work",
                "--yes",
            ])
            .ok();
        assert!(run.stderr.contains("clawkeep link"), "{run}");
        // At once, not only with the next link: the real OpenClaw refuses its own commands while a
        // reference in openclaw.json has no answer.
        assert!(
            !scene.config_text().contains("provider/anthropic"),
            "{version}"
        );
        let _ = scene.link(&[]).ok();
        assert!(!scene.config_text().contains("anthropic"), "{version}");
        assert!(
            !scene.database().iter().any(|row| row.contains("anthropic")),
            "{version}"
        );
        let profiles = scene.show(".openclaw/agents/main/agent/auth-profiles.json");
        assert!(!profiles.contains("anthropic"), "{version}: {profiles}");
    }
}

/// The names of `foo@bar` profiles are aliases in the vault, which cannot be read back from it: an
/// OpenClaw that was updated since has taken the file that knew them away.
#[test]
fn an_update_from_the_file_lane_loses_no_profile() {
    let scene = Scene::new("2026.6.1");
    scene.paste("api-key", "openrouter:me@example.com", &[]);
    scene.paste("api-key", "openrouter:b", &[]);
    let _ = scene
        .link(&[
            "--order",
            "openrouter=openrouter:me@example.com,openrouter:b",
        ])
        .ok();
    // `doctor --fix` of the new version moves profiles into the database and the file away.
    let agent = scene.world.home().join(".openclaw/agents/main/agent");
    std::fs::rename(
        agent.join("auth-profiles.json"),
        agent.join("auth-profiles.json.migrated-1"),
    )
    .unwrap();
    scene.has_profile("main", "openrouter:me@example.com", "openrouter key ref");
    scene.has_profile("main", "openrouter:b", "openrouter key ref");
    scene.has_order(
        "main",
        "openrouter",
        "openrouter:me@example.com openrouter:b",
    );
    scene.becomes("2026.9.6");
    let run = scene.link(&[]).ok();
    let rows = [
        "main openrouter:b: openrouter key ref",
        "main openrouter:me@example.com: openrouter key ref",
    ];
    assert_eq!(scene.database(), rows, "{run}");
    let order = std::fs::read_to_string(scene.theirs("orders/main-openrouter")).unwrap_or_default();
    assert_eq!(
        order.trim(),
        "openrouter:me@example.com openrouter:b",
        "{run}"
    );
}

/// A value that was removed by its id leaves a reference that nobody answers; logout takes it away.
#[test]
fn logout_takes_a_reference_away_that_nobody_answers() {
    let scene = Scene::new("2026.9.6");
    scene.paste("token", "anthropic:work", &[]);
    let _ = scene.link(&[]).ok();
    assert!(scene.config_text().contains("provider/anthropic"));
    let _ = scene
        .run(&["secret", "remove", "anthropic:work", "--yes"])
        .ok();
    let logout = [
        "models",
        "auth",
        "logout",
        "--provider",
        "anthropic",
        "--yes",
    ];
    let _ = scene.run(&logout).ok();
    assert!(!scene.config_text().contains("provider/anthropic"));
    let _ = scene.run(&logout).fails(1);
}
