//! What `--check` answers, and where the other answers come from.

use super::*;
use serde_json::json;

/// The exit code and the document of `--check --json`.
fn checked(scene: &Scene, more: &[&str]) -> (i32, Value) {
    let run = scene.run(&args(&[&["--check", "--json"], more].concat()));
    let document = document(&run);
    (run.code, document)
}

fn causes(document: &Value) -> Vec<&str> {
    let all = document["clawkeep"]["check"]["causes"].as_array().unwrap();
    all.iter()
        .map(|one| one["kind"].as_str().unwrap())
        .collect()
}

#[test]
fn the_exit_code_follows_the_expiry() {
    let scene = linked();
    edit(&scene, |store| {
        store["profiles"]
            .as_object_mut()
            .unwrap()
            .remove("anthropic:home");
    });
    for (expires, more, code, cause) in [
        (Value::Null, &[][..], 0, None),
        (json!(hours(48)), &[], 0, None),
        (
            json!(hours(48)),
            &["--warn-within", "3d"],
            2,
            Some("expiring"),
        ),
        (json!(hours(1)), &[], 2, Some("expiring")),
        (json!(hours(1)), &["--warn-within", "30m"], 0, None),
        (json!(hours(-2)), &[], 1, Some("expired")),
        (json!(0), &[], 1, Some("missing")),
    ] {
        edit(&scene, |store| {
            let entry = store["profiles"]["anthropic:work"].as_object_mut().unwrap();
            entry.remove("expires");
            if !expires.is_null() {
                entry.insert("expires".to_owned(), expires.clone());
            }
        });
        let (answered, document) = checked(&scene, more);
        assert_eq!(answered, code, "{expires} {more:?}");
        assert_eq!(causes(&document), cause.into_iter().collect::<Vec<_>>());
        assert_eq!(document["clawkeep"]["check"]["exitCode"], code);
        // Without the flag it is said all the same, and is no failure.
        let plain = scene.run(&args(&[&["--json"], more].concat())).ok();
        assert_eq!(
            super::document(&plain)["clawkeep"]["check"]["exitCode"],
            code
        );
    }
}

/// What the list for people says of each cause stands in the document too, word for word.
#[test]
fn a_cause_says_what_it_is_and_what_helps() {
    let scene = linked();
    edit(&scene, |store| {
        store["profiles"]["anthropic:home"]["expires"] = json!(hours(-2));
        store["profiles"]["anthropic:work"]["expires"] = json!(hours(-1));
        store["profiles"]["openrouter:odd name"] = json!({"type": "token", "provider": "openrouter",
            "tokenRef": {"source": "exec", "provider": "clawkeep", "id": "openrouter:gone"}});
        store["profiles"]["groq:env"] = json!({"type": "api_key", "provider": "groq",
            "keyRef": {"source": "env", "provider": "default", "id": "FAKE_NOT_SET"}});
    });
    for more in [&[][..], &["--agent", "work"]] {
        let (code, document) = checked(&scene, more);
        assert_eq!(code, 1);
        assert_eq!(causes(&document), ["expired", "unresolved", "unresolved"]);
        let text = scene.run(&args(&[&["--check"], more].concat())).stdout;
        let (_, list) = text.split_once("Not well:\n").unwrap();
        let all = document["clawkeep"]["check"]["causes"].as_array().unwrap();
        let said = all.iter().map(|one| {
            let of = |key: &str| one[key].as_str().unwrap();
            format!("  {}\n  hint: {}\n", of("what"), of("hint"))
        });
        assert_eq!(said.collect::<String>(), list);
        assert_eq!(list.contains("--agent work"), !more.is_empty(), "{list}");
    }
    lock(&scene);
    let (code, document) = checked(&scene, &["--require-proof"]);
    assert_eq!(code, 1);
    let all = document["clawkeep"]["check"]["causes"].as_array().unwrap();
    let what: Vec<&Value> = all.iter().map(|one| &one["what"]).collect();
    assert!(what.contains(&&json!("not proven: locked")), "{what:?}");
}

#[test]
fn what_openclaw_json_refers_to_counts_while_its_link_is_being_made() {
    let scene = linked();
    let path = scene.world.home().join(".local/share/clawkeep/link.json");
    let mut link: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    link["pending"] = json!(true);
    std::fs::write(&path, link.to_string()).unwrap();
    let (_, document) = checked(&scene, &[]);
    assert_eq!(document["clawkeep"]["openclaw"]["linked"], false);
    // The gateway's token; which profiles OpenClaw has is not known yet.
    assert_eq!(document["clawkeep"]["proof"]["asked"], 1);
}

#[test]
fn each_reference_is_asked_for_as_openclaw_asks() {
    let scene = linked();
    let (code, document) = checked(&scene, &["--require-proof"]);
    assert_eq!(code, 0, "{document:#}");
    let proof = &document["clawkeep"]["proof"];
    assert_eq!(proof["state"], "proven");
    assert_eq!(proof["asGateway"], true);
    // Three profiles and the gateway's token.
    assert_eq!(proof["asked"], 4);
    assert_eq!(
        profile(&document, "anthropic", "anthropic:work")["resolves"],
        true
    );
    // A value that is gone.
    edit(&scene, |store| {
        store["profiles"]["anthropic:gone"] = json!({"type": "token", "provider": "anthropic",
            "tokenRef": {"source": "exec", "provider": "clawkeep", "id": "anthropic:gone"}});
    });
    let (code, document) = checked(&scene, &[]);
    assert_eq!((code, causes(&document)), (1, vec!["unresolved"]));
    assert_eq!(
        document["clawkeep"]["proof"]["unresolved"],
        json!([{"id": "anthropic:gone", "code": "NOT_FOUND"}])
    );
    assert_eq!(
        profile(&document, "anthropic", "anthropic:gone")["resolves"],
        false
    );
    // Without the flag the vault's own list says the same.
    let listed = super::document(&scene.run(&args(&["--json"])).ok());
    assert_eq!(listed["clawkeep"]["proof"]["asGateway"], false);
    assert_eq!(listed["clawkeep"]["proof"]["state"], "unresolved");
}

#[test]
fn a_program_that_does_not_answer_is_a_failure() {
    let scene = linked();
    for (from, to, says) in [
        (
            "\"clawkeep\"",
            "\"elsewhere\"",
            "has no entry secrets.providers.clawkeep",
        ),
        (".local/bin/clawkeep", ".local/bin/none", "none"),
    ] {
        let good = scene.config_text();
        scene.config(
            &good
                .replace(from, to)
                .replace(&from.replace('"', ""), &to.replace('"', "")),
        );
        let (code, document) = checked(&scene, &[]);
        assert_eq!(
            (code, causes(&document)),
            (1, vec!["no-answer"]),
            "{document:#}"
        );
        let proof = &document["clawkeep"]["proof"];
        assert_eq!(proof["state"], "failed");
        assert!(proof["reason"].as_str().unwrap().contains(says), "{proof}");
        assert!(proof["hint"].is_string());
        scene.config(&good);
    }
}

#[test]
fn a_locked_vault_is_not_proven_and_says_the_rest() {
    let scene = linked();
    lock(&scene);
    let (code, document) = checked(&scene, &[]);
    assert_eq!(code, 0);
    assert_eq!(document["clawkeep"]["vault"]["state"], "locked");
    assert_eq!(
        document["clawkeep"]["proof"],
        json!({"state": "not-proven", "reason": "locked"})
    );
    assert_eq!(
        profile(&document, "anthropic", "anthropic:work")["resolves"],
        Value::Null
    );
    assert_eq!(provider(&document, "anthropic")["next"], "anthropic:work");
    let (code, document) = checked(&scene, &["--require-proof"]);
    assert_eq!((code, causes(&document)), (75, vec!["not-proven"]));
    // What is certain is said first.
    edit(&scene, |store| {
        store["profiles"]["anthropic:work"]["expires"] = json!(hours(-2));
        store["profiles"]["anthropic:home"]["expires"] = json!(hours(-2));
    });
    let (code, document) = checked(&scene, &["--require-proof"]);
    assert_eq!(
        (code, causes(&document)),
        (1, vec!["expired", "not-proven"])
    );
}

#[test]
fn nobody_is_asked_for_a_passphrase() {
    let scene = Scene::without_vault("2026.6.1");
    let pass = scene
        .world
        .passphrase_file("pass", "fake correct horse battery");
    let _ = scene
        .run(&[
            "init",
            "--slot",
            "passphrase",
            "--new-passphrase-file",
            &pass,
            "--no-recovery",
        ])
        .ok();
    scene.world.write(
        ".local/share/clawkeep/agents/main/auth-profiles.json",
        r#"{"version":1,"profiles":{"groq:1":{"type":"api_key","provider":"groq","keyRef":{"source":"exec","provider":"clawkeep","id":"groq:1"}}}}"#,
    );
    for flags in [&["--check"][..], &[], &["--check", "--probe"]] {
        // On a terminal, where a person could be asked.
        let ended = common::pty::Pty::start(scene.cmd(&args(flags))).finish();
        assert!(
            ended.run.stdout.contains("not proven: locked"),
            "{}",
            ended.run
        );
        assert!(!ended.run.stdout.contains("Passphrase"), "{}", ended.run);
        assert_eq!(ended.run.code, 0);
    }
}

#[test]
fn where_a_value_lies_and_what_would_win() {
    let scene = linked();
    edit(&scene, |store| {
        let profiles = &mut store["profiles"];
        profiles["anthropic:home"]["token"] = json!("sk-FAKE-BESIDE-0123456789");
        profiles["groq:env"] = json!({"type": "api_key", "provider": "groq", "keyRef": {"source": "env", "provider": "default", "id": "MY_GROQ"}});
        profiles["groq:short"] =
            json!({"type": "api_key", "provider": "groq", "key": "${MY_OTHER}"});
        profiles["groq:file"] = json!({"type": "api_key", "provider": "groq", "keyRef": {"source": "file", "provider": "f", "id": "/a"}});
        profiles["groq:exec"] = json!({"type": "api_key", "provider": "groq", "keyRef": {"source": "exec", "provider": "other", "id": "x"}});
        profiles["groq:plain"] =
            json!({"type": "api_key", "provider": "groq", "key": "gsk_FAKE0123456789"});
        profiles["groq:nothing"] = json!({"type": "api_key", "provider": "groq"});
        profiles["openai:me"] = json!({"type": "oauth", "provider": "openai", "access": "FAKE-ACCESS-0123", "expires": hours(48)});
    });
    scene.world.write(
        ".openclaw/.env",
        "OPENROUTER_API_KEY=sk-or-FAKE-0123456789\nANTHROPIC_API_KEY=\n",
    );
    let run = scene
        .cmd(&args(&["--json"]))
        .env("ANTHROPIC_OAUTH_TOKEN", "sk-ant-oat01-FAKE-ENV-0123")
        .env("MISTRAL_API_KEY", "FAKE-MISTRAL-0123456789")
        .run()
        .ok();
    assert!(
        !run.stdout.contains("FAKE") && !run.stderr.contains("FAKE"),
        "{run}"
    );
    let document = document(&run);
    for (of, id, place, name, beside) in [
        (
            "anthropic",
            "anthropic:work",
            "vault",
            Some("anthropic:work"),
            false,
        ),
        (
            "anthropic",
            "anthropic:home",
            "vault",
            Some("anthropic:home"),
            true,
        ),
        ("groq", "groq:env", "env", Some("MY_GROQ"), false),
        ("groq", "groq:short", "env", Some("MY_OTHER"), false),
        ("groq", "groq:file", "file", Some("/a"), false),
        ("groq", "groq:exec", "exec", Some("x"), false),
        ("groq", "groq:plain", "plaintext", None, false),
        ("groq", "groq:nothing", "none", None, false),
        ("openai", "openai:me", "login", None, false),
    ] {
        let value = &profile(&document, of, id)["value"];
        assert_eq!(value["place"], place, "{id}");
        assert_eq!(value["id"].as_str(), name, "{id}");
        assert_eq!(value["plaintextBeside"], beside, "{id}");
    }
    let anthropic = &provider(&document, "anthropic")["env"];
    assert_eq!(anthropic["name"], "ANTHROPIC_OAUTH_TOKEN");
    assert_eq!(anthropic["role"], "fallback");
    let openrouter = &provider(&document, "openrouter")["env"];
    assert_eq!(openrouter["place"], "~/.openclaw/.env");
    let mistral = provider(&document, "mistral");
    assert_eq!(
        (&mistral["uses"], &mistral["env"]["role"]),
        (&json!("env"), &json!("used"))
    );
    assert_eq!(
        document["auth"]["providersWithOAuth"],
        json!(["anthropic (3)", "openai (1)"])
    );
}

#[test]
fn cooldowns_and_last_errors_come_from_openclaws_own_file() {
    let scene = linked();
    let stats = json!({"version": 1, "usageStats": {
        "anthropic:work": {"cooldownUntil": hours(1), "cooldownReason": "rate_limit", "lastFailureAt": hours(-1), "errorCount": 3},
        "anthropic:home": {"lastUsed": 5, "disabledUntil": hours(-1)}}});
    scene.world.write(STATE, stats.to_string());
    let document = document(&scene.run(&args(&["--json"])).ok());
    let work = profile(&document, "anthropic", "anthropic:work");
    assert_eq!(work["cooldown"]["reason"], "rate_limit");
    assert_eq!(
        (&work["errorCount"], &work["tried"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(provider(&document, "anthropic")["next"], "anthropic:home");
    let unusable = &document["auth"]["unusableProfiles"];
    assert_eq!(unusable.as_array().unwrap().len(), 1);
    assert_eq!(unusable[0]["profileId"], "anthropic:work");
}

#[test]
fn another_agent_has_its_own_over_those_of_main() {
    let scene = linked();
    scene.world.write(
        ".openclaw/agents/work/agent/auth-profiles.json",
        json!({"version": 1, "profiles": {"groq:w": {"type": "api_key", "provider": "groq", "key": "gsk_FAKE"}},
            "order": {"anthropic": ["anthropic:home"]}})
        .to_string(),
    );
    let document = document(&scene.run(&args(&["--agent", "work", "--json"])).ok());
    assert_eq!(document["agentId"], "work");
    assert_eq!(provider(&document, "groq")["next"], "groq:w");
    let work = profile(&document, "anthropic", "anthropic:work");
    assert_eq!(work["reasonCode"], "excluded_by_auth_order");
    assert_eq!(
        document["clawkeep"]["profilesRead"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn without_a_vault_and_without_a_link_it_says_so() {
    let scene = Scene::without_vault("2026.6.1");
    scene.world.write(STORE, json!({"version": 1, "profiles": {"groq:1": {"type": "api_key", "provider": "groq", "key": "gsk_FAKE"}}}).to_string());
    let run = scene.run(&args(&["--json"])).ok();
    let document = document(&run);
    let own = &document["clawkeep"];
    assert_eq!(own["vault"]["state"], "absent");
    assert_eq!(own["openclaw"]["linked"], false);
    // What OpenClaw uses before it is linked.
    assert_eq!(
        profile(&document, "groq", "groq:1")["value"]["place"],
        "plaintext"
    );
    assert!(
        own["notes"][0]
            .as_str()
            .unwrap()
            .contains("hint: clawkeep link")
    );
}
