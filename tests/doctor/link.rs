//! The link: what OpenClaw's files say, what it would run, and what lies there in plaintext.

use super::*;
use std::os::unix::fs::symlink;

#[test]
fn a_configuration_that_asks_nobody_or_another_is_found() {
    let world = linked();
    assert_eq!(world.says("link"), "ok");
    let mut other = entry(&world);
    other["args"][2] = Value::from("/nowhere/other");
    configure(&world, &other, &[provider_ref("anthropic")]);
    assert!(
        world
            .says("link")
            .contains("asks another vault, /nowhere/other")
    );
    let mut pinned = entry(&world);
    let more = ["--vault-id".to_owned(), "0".repeat(64)];
    pinned["args"]
        .as_array_mut()
        .unwrap()
        .extend(more.map(Value::from));
    configure(&world, &pinned, &[provider_ref("anthropic")]);
    assert!(world.says("link").contains("names another vault id"));
    world.write(".openclaw/openclaw.json", "{ not: json5");
    let said = world.doctor();
    assert!(
        said["files-readable"].contains("is not readable as JSON5"),
        "{}",
        said["files-readable"]
    );
    for id in ["link", "ref-resolves", "agent-reach"] {
        assert!(
            said[id].starts_with("not checked: ") && said[id].ends_with("cannot be read"),
            "{id}"
        );
    }
}

#[test]
fn a_link_that_did_not_come_to_its_end_is_said_as_that() {
    let world = linked();
    let config = world.home().join(".openclaw/openclaw.json");
    let record = serde_json::json!({
        "version": 1, "lane": "file", "openclaw": "2026.6.1", "profiles": {}, "config": config,
        "command": world.home().join(".local/bin/clawkeep"),
        "args": ["resolve", "--vault", world.vault()],
        "pass_env": [], "planted": [], "linked": [], "config_refs": false, "pending": true,
    });
    std::fs::write(world.vault().join("link.json"), record.to_string()).unwrap();
    set_mode(&world.vault().join("link.json"), 0o600);
    world.write(".openclaw/openclaw.json", "{}");
    let said = world.says("link");
    assert!(
        said.contains("was begun and did not come to its end"),
        "{said}"
    );
    assert!(!said.contains("any more"), "{said}");
}

#[test]
fn a_keeper_that_is_another_vaults_is_found() {
    let world = linked();
    let mut other = entry(&world);
    other["args"] =
        serde_json::json!(["resolve", "--keeper", "/nowhere/sock", "--keeper-user", "7"]);
    configure(&world, &other, &[provider_ref("anthropic")]);
    let run = world.run(&["doctor"]).fails(1);
    assert!(
        run.stdout.contains("asks the keeper at /nowhere/sock"),
        "{run}"
    );
    assert!(!run.stdout.contains("--vault /nowhere/sock"), "{run}");
}

#[test]
fn a_program_that_openclaw_would_not_run_is_found_and_not_run() {
    let world = linked();
    let program = world.home().join(".local/bin/clawkeep");
    assert_eq!(world.says("command"), "ok");
    set_mode(&program, 0o775);
    let said = world.doctor();
    assert!(said["command"].contains("others may write it"));
    assert_eq!(
        said["ref-resolves"],
        "not checked: OpenClaw would not run the program"
    );
    let _ = world.run(&["doctor", "--fix", "--yes"]).ok();
    assert_eq!(mode(&program), 0o755);
    let real = world.home().join("clawkeep-real");
    std::fs::rename(&program, &real).unwrap();
    symlink(&real, &program).unwrap();
    assert!(world.says("command").contains("it is a symbolic link"));
}

#[test]
fn a_variable_that_the_keychain_needs_and_does_not_get_is_found() {
    let world = linked();
    assert_eq!(world.says("pass-env"), "ok");
    // What a keychain slot looks like in the list that is not secret.
    let cache = world.vault().join("vault.json");
    let text = std::fs::read_to_string(&cache).unwrap();
    let mut cached: Value = serde_json::from_str(&text).unwrap();
    cached["slots"] = serde_json::json!([{"name": "keychain", "created": 1_795_000_000_000_i64, "kind": "keychain"}]);
    std::fs::write(&cache, cached.to_string()).unwrap();
    let said = world.says("pass-env");
    assert!(
        said.contains("lacks HOME, XDG_RUNTIME_DIR, DBUS_SESSION_BUS_ADDRESS"),
        "{said}"
    );
}

#[test]
fn a_reference_to_nothing_is_found_by_asking_as_the_gateway_asks() {
    let world = linked();
    assert_eq!(world.says("ref-resolves"), "ok");
    assert_eq!(world.says("resolve-time"), "ok");
    configure(&world, &entry(&world), &[provider_ref("openrouter")]);
    assert!(
        world
            .says("ref-resolves")
            .contains("ask for provider/openrouter, and the vault has no such")
    );
    // A program that never answers is ended when OpenClaw would end it.
    let program = world.home().join(".local/bin/clawkeep");
    std::fs::write(&program, "#!/bin/sh\nexec sleep 600\n").unwrap();
    let mut short = entry(&world);
    short["timeoutMs"] = Value::from(50);
    configure(&world, &short, &[provider_ref("anthropic")]);
    let said = world.doctor();
    assert!(
        said["ref-resolves"].contains("did not answer within 50 ms"),
        "{}",
        said["ref-resolves"]
    );
    assert_eq!(said["resolve-time"], "not checked: no answer");
    // OpenClaw ends it too when the first of an answer does not come.
    let mut silent = entry(&world);
    silent["noOutputTimeoutMs"] = Value::from(60);
    configure(&world, &silent, &[provider_ref("anthropic")]);
    assert!(world.says("ref-resolves").contains("within 60 ms"));
    std::fs::write(&program, "#!/bin/sh\nexit 7\n").unwrap();
    configure(&world, &entry(&world), &[provider_ref("anthropic")]);
    assert!(
        world
            .says("ref-resolves")
            .contains("did not answer as OpenClaw asks")
    );
}

#[test]
fn a_reference_where_none_is_read_is_found() {
    let world = linked();
    assert_eq!(world.says("ref-ignored"), "ok");
    let hooks = serde_json::json!({"token": reference("anthropic:work")});
    configure(
        &world,
        &entry(&world),
        &[provider_ref("anthropic"), ("hooks", hooks)],
    );
    assert!(
        world
            .says("ref-ignored")
            .contains("a reference at hooks.token, where OpenClaw 2026.6.1 takes none")
    );
    configure(&world, &entry(&world), &[provider_ref("anthropic")]);
    let ours = reference("x");
    let profiles = serde_json::json!({
        "groq:1": {"type": "api_key", "provider": "groq", "tokenRef": ours},
        "groq:2": {"type": "api_key", "provider": "groq", "keyRef": ours, "tokenRef": ours},
        "groq:3": {"type": "oauth", "provider": "groq", "access": ours, "refresh": "fake"},
    });
    world.write(AUTH, store(&profiles));
    let said = world.says("ref-ignored");
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(
        said.contains("groq:1 of agent main is of type api_key"),
        "{said}"
    );
    assert!(
        said.contains("groq:3 of agent main is of type oauth"),
        "{said}"
    );
}

#[test]
fn a_profile_over_a_reference_is_shadowing_and_its_plaintext_wins() {
    let world = linked();
    assert_eq!(world.says("ref-shadowed"), "ok");
    let key = "sk-ant-api03-FAKE-0123456789-0123456789";
    let old = serde_json::json!({"anthropic:old": {"type": "api_key", "provider": "anthropic", "key": key}});
    world.write(AUTH, store(&old));
    let said = world.doctor();
    assert!(said["ref-shadowed"].contains("anthropic:old (REF_SHADOWED)"));
    assert!(
        said["plaintext-wins"].contains("auth-profiles.json profiles.anthropic:old.key"),
        "{}",
        said["plaintext-wins"]
    );
    let run = world.run(&["doctor"]).fails(1);
    assert!(!run.stdout.contains(key) && !run.stderr.contains(key));
}

#[test]
fn variables_that_win_over_a_reference_are_found_wherever_they_stand() {
    let world = linked();
    let key = "sk-ant-api03-FAKE-0123456789-0123456789";
    assert_eq!(world.says("plaintext-wins"), "ok");
    let run = world
        .cmd(&["doctor", "--json"])
        .env("ANTHROPIC_API_KEY", key)
        .run();
    assert!(checks(&run)["plaintext-wins"].contains("the environment, ANTHROPIC_API_KEY,"));
    world.write(".openclaw/.env", format!("ANTHROPIC_API_KEY={key}\n"));
    assert!(
        world
            .says("plaintext-wins")
            .contains("~/.openclaw/.env:1 ANTHROPIC_API_KEY")
    );
    // A provider without a reference: it wins over nothing, and is left.
    world.write(
        ".openclaw/.env",
        "OPENROUTER_API_KEY=sk-or-FAKE-0123456789-0123456789\n",
    );
    let said = world.doctor();
    assert_eq!(said["plaintext-wins"], "ok");
    assert!(said["plaintext-left"].contains("OPENROUTER_API_KEY"));
    world.write(".openclaw/.env", "");
    let vars = serde_json::json!({"ANTHROPIC_API_KEY": key});
    configure(
        &world,
        &entry(&world),
        &[provider_ref("anthropic"), ("env", vars)],
    );
    assert!(
        world
            .says("plaintext-wins")
            .contains("openclaw.json env.ANTHROPIC_API_KEY")
    );
}

#[test]
fn plaintext_in_a_services_file_and_in_old_copies_is_found() {
    let world = linked();
    let key = "sk-ant-api03-FAKE-0123456789-0123456789";
    let said = world.doctor();
    assert_eq!(
        (&*said["service-plaintext"], &*said["residue"]),
        ("ok", "ok")
    );
    world.write(
        ".config/systemd/user/openclaw-gateway.service",
        format!("[Service]\nEnvironment=ANTHROPIC_API_KEY={key}\nExecStart=/bin/true\n"),
    );
    let copy = format!(r#"{{models:{{providers:{{anthropic:{{apiKey:"{key}"}}}}}}}}"#);
    world.write(".openclaw/openclaw.json.bak", copy);
    let archive = format!("{AUTH}.migrated-1795000000000-fake");
    world.write(&archive, store(&serde_json::json!({})));
    let said = world.doctor();
    assert!(said["service-plaintext"].contains("openclaw-gateway.service:2 ANTHROPIC_API_KEY"));
    assert!(
        said["residue"].contains("openclaw.json.bak"),
        "{}",
        said["residue"]
    );
    assert!(
        said["residue"].contains("was left by an import"),
        "{}",
        said["residue"]
    );
    // An old copy without a credential is none: OpenClaw makes one at each change.
    std::fs::remove_file(world.home().join(archive)).unwrap();
    world.write(".openclaw/openclaw.json.bak", "{}");
    assert_eq!(world.says("residue"), "ok");
}

#[test]
fn the_file_of_an_older_openclaw_beside_a_newer_one_is_found() {
    let world = linked();
    world.write(AUTH, store(&serde_json::json!({})));
    assert_eq!(world.says("auth-profiles-era"), "ok");
    install_openclaw(&world, "2026.9.6");
    assert!(
        world
            .says("auth-profiles-era")
            .contains("lies beside OpenClaw 2026.9.6")
    );
}

#[test]
fn an_order_of_profiles_that_are_gone_is_found_and_mended() {
    let world = linked();
    assert_eq!(world.says("order-missing"), "ok");
    let own = world.vault().join("agents/main/auth-profiles.json");
    let mut file: Value = serde_json::from_slice(&std::fs::read(&own).unwrap()).unwrap();
    file["order"] = serde_json::json!({"anthropic": ["anthropic:gone", "anthropic:work"]});
    std::fs::write(&own, file.to_string()).unwrap();
    let state = world.write(
        ".openclaw/agents/main/agent/auth-state.json",
        r#"{"version":1,"order":{"mock":["mock:gone"]},"lastGood":{"mock":"mock:x"}}"#,
    );
    let auth = serde_json::json!({"order": {"anthropic": ["anthropic:work", "anthropic:gone"]}});
    configure(
        &world,
        &entry(&world),
        &[provider_ref("anthropic"), ("auth", auth)],
    );
    let said = world.says("order-missing");
    assert_eq!(said.lines().count(), 3, "{said}");
    let _ = world.run(&["doctor", "--fix", "--yes"]).ok();
    assert_eq!(world.says("order-missing"), "ok");
    let read =
        |path: &Path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(
        read(&own)["order"]["anthropic"],
        serde_json::json!(["anthropic:work"])
    );
    assert_eq!(read(&state)["order"].get("mock"), None);
    assert_eq!(
        read(&state)["lastGood"]["mock"],
        "mock:x",
        "nothing else goes"
    );
    let config = read(&world.home().join(".openclaw/openclaw.json"));
    assert_eq!(
        config["auth"]["order"]["anthropic"],
        serde_json::json!(["anthropic:work"])
    );
    assert!(config["models"].is_object());
}

#[test]
fn a_setup_token_for_other_requests_is_found() {
    let world = linked();
    assert_eq!(world.says("claude-only-token"), "ok");
    let skills = serde_json::json!({"entries": {"x": {"apiKey": reference("anthropic:work")}}});
    configure(
        &world,
        &entry(&world),
        &[provider_ref("anthropic"), ("skills", skills)],
    );
    let said = world.says("claude-only-token");
    assert!(
        said.contains("skills.entries.x.apiKey asks for it"),
        "{said}"
    );
    assert!(!said.contains("sk-ant-oat"), "{said}");
}

#[test]
fn what_at_rest_does_not_keep_is_said_where_agents_have_a_shell() {
    let world = linked();
    let said = world.says("agent-reach");
    assert!(said.starts_with(
        "note: agents have a shell outside a sandbox, and the vault opens without a person"
    ));
    let agents = serde_json::json!({"defaults": {"sandbox": {"mode": "all"}}});
    configure(
        &world,
        &entry(&world),
        &[provider_ref("anthropic"), ("agents", agents)],
    );
    assert_eq!(world.says("agent-reach"), "ok");
}

#[test]
fn names_in_openclaws_files_forge_no_line_and_no_command() {
    let world = linked();
    let bad = "a; touch pwned\n  hint: rm -rf /nowhere";
    let hooks = serde_json::json!({"b\nerror  vault  forged": reference("anthropic:work"), "\u{9b}31m": reference(bad)});
    configure(
        &world,
        &entry(&world),
        &[provider_ref("anthropic"), ("hooks", hooks)],
    );
    let run = world.run(&["doctor"]).fails(1);
    let all = run.stdout.lines();
    let mut hints = all.filter_map(|line| line.strip_prefix("  hint: "));
    assert!(hints.all(|hint| !hint.starts_with("rm ")), "{run}");
    assert!(!run.stdout.contains("touch pwned"), "{run}");
    assert!(!run.stdout.contains("\nerror  vault"), "{run}");
    assert!(!run.stdout.contains('\u{9b}'), "{run}");
    assert!(run.stdout.contains("1 of the vault's secrets"), "{run}");
}

#[test]
fn what_cannot_be_seen_is_not_gone_and_orders_stay() {
    let world = linked();
    let state = world.write(
        ".openclaw/agents/main/agent/auth-state.json",
        r#"{"version":1,"order":{"mock":["mock:x"]}}"#,
    );
    let before = std::fs::read(&state).unwrap();
    assert!(world.says("order-missing").contains("names mock:x"));
    world.write(AUTH, "{ cut off");
    for id in ["ref-resolves", "ref-shadowed", "token-expired"] {
        assert_eq!(world.says(id), "not checked: a file cannot be read", "{id}");
    }
    assert_eq!(
        world.says("order-missing"),
        "not checked: a file cannot be read"
    );
    let _ = world.run(&["doctor", "--fix", "--yes"]).fails(1);
    assert_eq!(std::fs::read(&state).unwrap(), before);
}

#[test]
fn profiles_that_no_store_has_to_hold_are_not_missing() {
    let world = linked();
    let aws = serde_json::json!({"amazon-bedrock:default": {"provider": "amazon-bedrock", "mode": "aws-sdk"}});
    let auth = serde_json::json!({"profiles": aws, "order": {
        "amazon-bedrock": ["amazon-bedrock:default"],
        "minimax-portal": ["minimax-portal:minimax-cli"],
    }});
    let mut models = provider_ref("anthropic");
    models.1["providers"]["amazon-bedrock"] = serde_json::json!({"auth": "aws-sdk"});
    configure(&world, &entry(&world), &[models, ("auth", auth)]);
    assert_eq!(world.says("order-missing"), "ok");
}

#[test]
fn how_a_mended_order_comes_back_is_said_and_true() {
    let world = linked();
    let auth = serde_json::json!({"order": {"anthropic": ["anthropic:gone"]}});
    configure(
        &world,
        &entry(&world),
        &[provider_ref("anthropic"), ("auth", auth)],
    );
    let own = world.vault().join("agents/main/auth-profiles.json");
    let mut file: Value = serde_json::from_slice(&std::fs::read(&own).unwrap()).unwrap();
    file["order"] = serde_json::json!({"anthropic": ["anthropic:work", "anthropic:it's"]});
    std::fs::write(&own, file.to_string()).unwrap();
    let shown = world.run(&["doctor", "--fix"]).fails(64);
    for said in [
        r#"openclaw config set auth.order.anthropic '["anthropic:gone"]'"#,
        "anthropic:gone out of the order of anthropic, which ends it",
        r"clawkeep models auth order set --provider anthropic anthropic:work 'anthropic:it'\''s'",
    ] {
        assert!(shown.stderr.contains(said), "{shown}");
    }
    let _ = world.run(&["doctor", "--fix", "--yes"]).ok();
    world.paste("anthropic", "anthropic:it's", SETUP_TOKEN, &[]);
    let back = [
        "models",
        "auth",
        "order",
        "set",
        "--provider",
        "anthropic",
        "anthropic:work",
        "anthropic:it's",
    ];
    let _ = world.run(&back).ok();
    let again: Value = serde_json::from_slice(&std::fs::read(&own).unwrap()).unwrap();
    assert_eq!(again["order"], file["order"]);
}

#[test]
fn what_openclaw_json_includes_is_said_not_to_be_read() {
    let world = linked();
    let include = serde_json::json!({"$include": "./auth.json5"});
    configure(
        &world,
        &entry(&world),
        &[provider_ref("anthropic"), ("auth", include)],
    );
    let said = world.doctor();
    for id in [
        "link",
        "ref-resolves",
        "ref-shadowed",
        "order-missing",
        "agent-reach",
    ] {
        assert!(
            said[id].contains("includes another file, which is not read"),
            "{id}: {}",
            said[id]
        );
    }
    // Ours may stand there: then it is not gone.
    world.write(".openclaw/openclaw.json", r#"{"$include": "./all.json5", "secrets": {"providers": {"clawkeep": {"source": "exec"}}}}"#);
    let said = world.says("link");
    assert!(said.starts_with("not checked: "), "{said}");
}
