//! What a link may not change: everything that is not its own.

use crate::scene::{Scene, mode, set_mode, value_of};

/// Texts as people and programs write them.
const TEXTS: [&str; 5] = [
    "// Mine.\n{\n  gateway: { mode: 'local' }, // here\n  /* two */ models: { providers: { groq: { models: [] } } },\n}\n",
    "\u{feff}{\r\n\t// tabs\r\n\t\"gateway\": {\r\n\t\t\"port\": 0x4965\r\n\t},\r\n\t\"unknown\": [1.50, .5, +1]\r\n}\r\n",
    "{\"gateway\":{\"mode\":\"local\"},\"$schema\":\"x\"}",
    "{}",
    "{\n  \"models\": {\n    \"providers\": {\n      \"anthropic\": {\n        \"baseUrl\": \"http://127.0.0.1:1\", // kept\n        \"models\": [],\n      }\n    }\n  }\n}\n",
];

/// Objects that were empty before (`models: {}`) are the exception: they go with what was in them.
#[test]
fn comments_order_line_ends_and_marks_survive_and_unlink_gives_back_every_byte() {
    for version in ["2026.6.1", "2026.7.1", "2026.9.6"] {
        for text in TEXTS {
            let scene = Scene::new(version);
            scene.config(text);
            set_mode(&scene.world.home().join(".openclaw/openclaw.json"), 0o640);
            scene.paste("token", "anthropic:work", &["--expires-in", "30d"]);
            let _ = scene.link(&[]).ok();
            let linked = scene.config_text();
            for kept in [
                "// Mine.",
                "// here",
                "/* two */",
                "// tabs",
                "0x4965",
                "[1.50, .5, +1]",
                "// kept",
            ] {
                assert_eq!(linked.contains(kept), text.contains(kept), "{linked}");
            }
            assert_eq!(linked.starts_with('\u{feff}'), text.starts_with('\u{feff}'));
            if text.contains('\r') {
                assert_eq!(linked.matches('\n').count(), linked.matches("\r\n").count());
            } else {
                assert!(!linked.contains('\r'));
            }
            let _ = scene.run(&["unlink", "--yes"]).ok();
            assert_eq!(scene.config_text(), text, "{version}");
            let path = scene.world.home().join(".openclaw/openclaw.json");
            // OpenClaw's own command writes the file 0600 when it changes profiles.
            let by_openclaw = version == "2026.7.1";
            assert_eq!(mode(&path), if by_openclaw { 0o600 } else { 0o640 });
        }
    }
}

#[test]
fn a_configuration_that_was_not_there_is_made_private() {
    let scene = Scene::new("2026.9.6");
    scene.paste("token", "anthropic:work", &[]);
    let _ = scene.link(&[]).ok();
    let dir = scene.world.home().join(".openclaw");
    assert_eq!(
        (mode(&dir), mode(&dir.join("openclaw.json"))),
        (0o700, 0o600)
    );
}

const OAUTH: &str = r#"    "anthropic:me@example.com": {
      "type": "oauth",
      "provider": "anthropic",
      "access": "fake-access-0123456789",
      "refresh": "fake-refresh-0123456789",
      "expires": 1795355756000,
      "later": [
        1.5
      ]
    }"#;

#[test]
fn logins_and_what_clawkeep_does_not_own_stay_as_they_are() {
    let scene = Scene::new("2026.6.1");
    let theirs = format!(
        "{{\n  \"version\": 1,\n  \"zeta\": true,\n  \"profiles\": {{\n{OAUTH},\n    \"groq:mine\": {{\n      \"type\": \"api_key\",\n      \"provider\": \"groq\",\n      \"key\": \"fake-groq-0123456789\"\n    }}\n  }},\n  \"lastGood\": {{\n    \"groq\": \"groq:mine\"\n  }}\n}}\n"
    );
    let path = ".openclaw/agents/main/agent/auth-profiles.json";
    scene.world.write(path, &theirs);
    scene.paste("token", "anthropic:work", &[]);
    let _ = scene.link(&[]).ok();
    let text = String::from_utf8(scene.world.read(path)).unwrap();
    assert!(text.contains(OAUTH), "{text}");
    assert!(text.contains("fake-groq-0123456789") && text.contains("\"anthropic:work\""));
    let _ = scene.run(&["unlink", "--yes"]).ok();
    assert_eq!(String::from_utf8(scene.world.read(path)).unwrap(), theirs);
    // The login's own id can hold nothing else.
    let args = [
        "models",
        "auth",
        "paste-token",
        "--provider",
        "anthropic",
        "--profile-id",
        "anthropic:me@example.com",
    ];
    let _ = scene.cmd(&args).stdin(value_of("anthropic:x")).run().ok();
    let run = scene.link(&[]).fails(1);
    assert!(
        run.stderr.contains("is an OAuth login in OpenClaw"),
        "{run}"
    );
    assert_eq!(
        String::from_utf8(scene.world.read(path)).unwrap(),
        theirs,
        "{run}"
    );
}

#[test]
fn a_dry_run_shows_every_change_and_makes_none() {
    for version in ["2026.6.1", "2026.9.6"] {
        let scene = Scene::new(version);
        let token = "fake-gateway-token-0123456789";
        scene.config(&format!(
            "{{ gateway: {{ auth: {{ token: \"{token}\" }} }} }}\n"
        ));
        scene.world.write(
            ".openclaw/openclaw.json.bak",
            format!("{{ x: \"{token}\" }}"),
        );
        scene.paste("token", "anthropic:work", &[]);
        scene.paste("api-key", "openrouter:a", &[]);
        scene.paste("api-key", "openrouter:b", &[]);
        let before = scene.world.tree();
        let run = scene
            .run(&[
                "link",
                "--dry-run",
                "--order",
                "openrouter=openrouter:b,openrouter:a",
            ])
            .ok();
        assert!(before == scene.world.tree(), "{run}");
        assert!(!scene.calls().contains("apply"), "{run}");
        assert!(
            !run.stdout.contains(token) && !run.stderr.contains(token),
            "{run}"
        );
        insta::assert_snapshot!(
            format!("dry_run_{}", version.replace('.', "_")),
            run.snapshot()
        );
        let _ = scene.link(&[]).ok();
        let before = scene.world.tree();
        let run = scene.run(&["unlink", "--dry-run"]).ok();
        assert!(before == scene.world.tree(), "{run}");
        insta::assert_snapshot!(
            format!("dry_unlink_{}", version.replace('.', "_")),
            run.snapshot()
        );
    }
}

#[test]
fn the_gateways_own_token_moves_unchanged_and_its_old_copies_lose_it() {
    for version in ["2026.6.1", "2026.9.6"] {
        let scene = Scene::new(version);
        let token = "fake-gateway-token-0123456789";
        let text = format!("{{\n  gateway: {{ auth: {{ token: \"{token}\" }} }}\n}}\n");
        scene.config(&text);
        let copies = ["bak", "bak.1", "bak.4", "clobbered.2026-11-20", "last-good"];
        for copy in copies {
            scene
                .world
                .write(&format!(".openclaw/openclaw.json.{copy}"), &text);
        }
        scene.world.write(
            ".openclaw/openclaw.json.bak.2",
            format!("// was {token}\nnot json5 {{"),
        );
        scene.paste("api-key", "openrouter:a", &[]);
        scene.paste("api-key", "openrouter:b", &[]);
        let run = scene.link(&[]).ok();
        assert_eq!(
            scene.world.search_home(token),
            [] as [std::path::PathBuf; 0],
            "{run}"
        );
        let answers = scene.resolves(&["gateway/token"]);
        assert_eq!(answers["values"]["gateway/token"], token);
        for copy in copies {
            assert!(
                run.stderr.contains(&format!("openclaw.json.{copy}\n")),
                "{run}"
            );
        }
    }
}

#[test]
fn a_copy_that_cannot_be_cleaned_is_named_and_the_link_is_made() {
    let scene = Scene::new("2026.6.1");
    let text = "{ gateway: { auth: { token: \"fake-gateway-token-0123456789\" } } }\n";
    scene.config(text);
    let copy = scene.world.write(".openclaw/openclaw.json.bak", text);
    set_mode(&copy, 0o666);
    scene.paste("token", "anthropic:work", &[]);
    let run = scene.link(&[]).fails(1);
    assert!(
        run.stderr
            .contains("openclaw.json.bak may still hold the gateway token"),
        "{run}"
    );
    assert!(
        scene
            .show(".openclaw/agents/main/agent/auth-profiles.json")
            .contains("anthropic:work")
    );
    set_mode(&copy, 0o600);
    let _ = scene.link(&[]).ok();
    assert!(
        !std::fs::read_to_string(copy)
            .unwrap()
            .contains("fake-gateway")
    );
}

#[test]
fn a_gateway_without_a_token_gets_a_random_one_and_other_ways_in_are_left_alone() {
    let token_of = |scene: &Scene| {
        let answers = scene.resolves(&["gateway/token"]);
        answers["values"]["gateway/token"]
            .as_str()
            .map(str::to_owned)
    };
    let linked = |config: &str| {
        let scene = Scene::new("2026.9.6");
        scene.config(config);
        scene.paste("token", "anthropic:work", &[]);
        let _ = scene.link(&[]).ok();
        scene
    };
    let (one, two) = (
        linked("{}"),
        linked("{ gateway: { auth: { mode: 'token' } } }"),
    );
    let (one, two) = (token_of(&one).unwrap(), token_of(&two).unwrap());
    assert!(one.len() == 64 && two.len() == 64 && one != two);
    for auth in [
        "mode: 'password', password: 'x'",
        "mode: 'none'",
        "password: 'x'",
        "token: '${GATEWAY}'",
        "token: { source: 'env', provider: 'default', id: 'G' }",
    ] {
        let scene = linked(&format!("{{ gateway: {{ auth: {{ {auth} }} }} }}"));
        assert!(
            scene.config_text().contains(&format!("auth: {{ {auth} }}")),
            "{}",
            scene.config_text()
        );
        assert_eq!(token_of(&scene), None);
    }
}
