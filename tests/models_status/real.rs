//! The real OpenClaw, 2026.6.1 and 2026.9.6, asked about the same folders: providers, profiles, effective kind,
//! states and missing providers are the same, but for the differences that stand in [`DIFFERENCES`]; and so
//! are the exit codes of `--check` with 2026.6.1.

use super::common::World;
use super::common::openclaw::{OpenClaw, Which};
use super::*;
use serde_json::json;
use std::collections::BTreeMap;

/// Where the two do not say the same, and why. Each is asked for by name below, so that one which is gone is
/// noticed.
const DIFFERENCES: [(&str, &str); 8] = [
    (
        "one-reference-has-profiles",
        "Of a provider with one reference in openclaw.json OpenClaw knows no profiles: clawkeep lists those that \
         stand behind it, below auth.oauth and not below auth.providers.",
    ),
    (
        "database-not-asked",
        "Without --live clawkeep shows the profiles that it noted, not those of OpenClaw's database.",
    ),
    (
        "indeterminate",
        "2026.9.6 answers 1 for references in profiles, since it does not try them; clawkeep tries them.",
    ),
    (
        "expired-says-when",
        "Of a token that has expired OpenClaw says no `expiresAt`; clawkeep says when it was.",
    ),
    (
        "own-aliases",
        "OpenClaw adds short names of its own (`sonnet`), and their models, that stand in no file.",
    ),
    (
        "plugin-not-installed",
        "2026.9.6 calls a provider whose plugin is not installed indeterminate, not missing; clawkeep knows \
         no plugins, and says that it has no credential.",
    ),
    (
        "other-names",
        "Where a variable or profiles of anthropic are there, 2026.6.1 lists the other names of that provider as \
         providers too; clawkeep lists an account once.",
    ),
    (
        "no-values",
        "OpenClaw shows the ends of plaintext values, and the whole of short ones; clawkeep shows a word.",
    ),
];

fn known(name: &str) {
    assert!(
        DIFFERENCES.iter().any(|(known, _)| *known == name),
        "{name}"
    );
}

/// OpenClaw's own document and exit code.
fn theirs(openclaw: &OpenClaw, world: &World, variables: &[(&str, &str)]) -> (Value, i32) {
    let mut cmd = openclaw.cmd(world, &["models", "status", "--json", "--check"]);
    // Nobody listens there.
    cmd = cmd.env("OPENCLAW_GATEWAY_PORT", "1");
    for (name, value) in variables {
        cmd = cmd.env(name, value);
    }
    let run = cmd.run();
    let start = run.stdout.find('{').unwrap_or_else(|| panic!("{run}"));
    let mut documents = serde_json::Deserializer::from_str(&run.stdout[start..]).into_iter();
    (documents.next().unwrap().unwrap(), run.code)
}

fn ours(world: &World, variables: &[(&str, &str)], more: &[&str]) -> (Value, i32) {
    let mut cmd = world
        .cmd(&args(&[&["--json", "--check"], more].concat()))
        .limit(std::time::Duration::from_mins(4));
    for (name, value) in variables {
        cmd = cmd.env(name, value);
    }
    let run = cmd.run();
    (document(&run), run.code)
}

/// What both must say: per provider the effective kind and the numbers of profiles.
fn providers(document: &Value) -> BTreeMap<String, Value> {
    let all = document["auth"]["providers"].as_array().unwrap();
    all.iter()
        .map(|one| {
            let mut profiles = one["profiles"].clone();
            let labels = profiles["labels"].as_array().unwrap();
            // The id alone: the value behind it is what the two show differently.
            let ids = labels
                .iter()
                .map(|label| label.as_str().unwrap().split('=').next().unwrap());
            profiles["labels"] = ids.collect();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let said = json!({"kind": one["effective"]["kind"], "profiles": profiles,
                "env": one["env"]["source"], "has key": !one["modelsJson"].is_null()});
            (text(&one["provider"]), said)
        })
        .collect()
}

/// Every profile's state, and every provider's.
fn states(document: &Value) -> BTreeMap<String, Value> {
    let oauth = &document["auth"]["oauth"];
    let profiles = oauth["profiles"].as_array().unwrap().iter().map(|one| {
        let said = json!([
            one["provider"],
            one["type"],
            one["status"],
            one["reasonCode"],
            end_of(one)
        ]);
        (one["profileId"].as_str().unwrap().to_owned(), said)
    });
    let providers = oauth["providers"].as_array().unwrap().iter().map(|one| {
        let effective = one["effectiveProfiles"].as_array().unwrap();
        let ids: Vec<&Value> = effective.iter().map(|one| &one["profileId"]).collect();
        (
            format!("all of {}", one["provider"]),
            json!([one["status"], ids, end_of(one)]),
        )
    });
    profiles.chain(providers).collect()
}

/// When it stops working; nothing of what has stopped.
fn end_of(one: &Value) -> Value {
    if one["status"] == "expired" {
        known("expired-says-when");
        return Value::Null;
    }
    one["expiresAt"].clone()
}

/// Other names of anthropic, in 2026.6.1.
const OTHER_NAMES: [&str; 2] = ["anthropic-openai", "claude-cli"];

const SAME: [&str; 6] = [
    "/configPath",
    "/agentDir",
    "/defaultModel",
    "/resolvedDefault",
    "/fallbacks",
    "/imageModel",
];

/// `anthropic (2)`, but for the other names.
fn logins(document: &Value) -> Vec<&str> {
    let all = document["auth"]["providersWithOAuth"].as_array().unwrap();
    all.iter()
        .map(|one| one.as_str().unwrap())
        .filter(|one| !OTHER_NAMES.iter().any(|name| one.starts_with(name)))
        .collect()
}

/// Every short name that stands in the configuration.
#[track_caller]
fn agree_on_aliases(ours: &Value, theirs: &Value) {
    known("own-aliases");
    for (alias, target) in ours["aliases"].as_object().unwrap() {
        assert_eq!(theirs["aliases"][alias], *target, "{alias}");
    }
    let all = theirs["allowed"].as_array().unwrap();
    for model in ours["allowed"].as_array().unwrap() {
        assert!(all.contains(model), "{model} in {all:?}");
    }
}

#[track_caller]
fn agree(ours: &Value, theirs: &Value) {
    for pointer in SAME {
        assert_eq!(ours.pointer(pointer), theirs.pointer(pointer), "{pointer}");
    }
    agree_on_aliases(ours, theirs);
    known("other-names");
    let mut listed = providers(theirs);
    listed.retain(|name, _| !OTHER_NAMES.contains(&name.as_str()));
    assert_eq!(providers(ours), listed);
    assert_eq!(states(ours), states(theirs));
    assert_eq!(logins(ours), logins(theirs));
    for list in ["missingProvidersInUse", "storePath"] {
        assert_eq!(ours["auth"][list], theirs["auth"][list], "{list}");
    }
    let unusable = |document: &Value| -> Vec<Value> {
        let all = document["auth"]["unusableProfiles"].as_array().unwrap();
        all.iter()
            .map(|one| json!([one["profileId"], one["provider"], one["kind"], one["until"]]))
            .collect()
    };
    assert_eq!(unusable(ours), unusable(theirs));
}

/// The files of a home that a stand-in for 2026.6.1 was linked to, with the real one on the PATH.
fn with_files() -> Option<(Scene, OpenClaw)> {
    let openclaw = OpenClaw::get(Which::V2026_6_1)?;
    let scene = linked();
    openclaw.put_on_path(&scene.world);
    Some((scene, openclaw))
}

#[test]
fn exit_codes_and_states_are_those_of_2026_6_1() {
    let Some((scene, openclaw)) = with_files() else {
        return;
    };
    edit(&scene, |store| {
        store["profiles"]
            .as_object_mut()
            .unwrap()
            .remove("anthropic:home");
    });
    for (expires, code) in [
        (Value::Null, 0),
        (json!(hours(1)), 2),
        (json!(hours(48)), 0),
        (json!(hours(-2)), 1),
        (json!(0), 1),
    ] {
        edit(&scene, |store| {
            let entry = store["profiles"]["anthropic:work"].as_object_mut().unwrap();
            entry.remove("expires");
            if !expires.is_null() {
                entry.insert("expires".to_owned(), expires.clone());
            }
        });
        let before = scene.world.read(STORE);
        let (mine, my_code) = ours(&scene.world, &[], &[]);
        let (yours, your_code) = theirs(&openclaw, &scene.world, &[]);
        assert_eq!((my_code, your_code), (code, code), "{expires}");
        agree(&mine, &yours);
        // OpenClaw writes what it reads in its own way.
        scene.world.write(STORE, before);
    }
}

#[test]
fn a_crowded_home_of_2026_6_1_is_seen_alike() {
    let Some((scene, openclaw)) = with_files() else {
        return;
    };
    let mut config = scene.world.openclaw_config();
    config["agents"] = json!({"defaults": {
        "model": {"primary": "fast", "fallbacks": ["openrouter/auto", "groq/some"]},
        "imageModel": "mistral/pixtral-12b",
        "models": {"anthropic/claude-sonnet-4-5": {"alias": "fast"}}}});
    config["models"] = json!({"providers": {"mock": {"baseUrl": "http://127.0.0.1:1/v1", "api": "openai-completions",
        "apiKey": "FAKE-MOCK-KEY-0123456789", "models": []}}});
    config["auth"] = json!({"order": {"anthropic": ["anthropic:home", "anthropic:work"]}});
    scene.config(&config.to_string());
    edit(&scene, |store| {
        store["profiles"]["anthropic:old"] = json!({"type": "token", "provider": "anthropic", "token": "sk-ant-oat01-FAKE-0123456789", "expires": hours(-30)});
        store["profiles"]["xai:plain"] =
            json!({"type": "api_key", "provider": "xai", "key": "xai-FAKE-0123456789"});
        store["profiles"]["chutes:me"] = json!({"type": "oauth", "provider": "chutes", "access": "FAKE", "refresh": "FAKE", "expires": hours(200)});
    });
    let stats = json!({"version": 1, "usageStats": {
        "anthropic:home": {"cooldownUntil": hours(3), "cooldownReason": "rate_limit", "errorCount": 1},
        "xai:plain": {"disabledUntil": hours(5), "disabledReason": "billing"}}});
    scene.world.write(STATE, stats.to_string());
    scene.world.write(
        ".openclaw/.env",
        "DEEPSEEK_API_KEY=FAKE-DEEPSEEK-0123456789\n",
    );
    let variables = [("ANTHROPIC_API_KEY", "sk-ant-api03-FAKE-0123456789")];
    let (mine, my_code) = ours(&scene.world, &variables, &[]);
    let (yours, your_code) = theirs(&openclaw, &scene.world, &variables);
    agree(&mine, &yours);
    assert_eq!(
        yours["auth"]["missingProvidersInUse"],
        json!(["groq", "mistral"])
    );
    assert_eq!((my_code, your_code), (1, 1));
    // What both mean, said without a part of a value.
    known("no-values");
    assert!(yours.to_string().contains("FAKE") && !mine.to_string().contains("FAKE"));
}

#[test]
fn a_home_of_2026_9_6_is_seen_alike_when_its_database_is_asked() {
    let Some(openclaw) = OpenClaw::get(Which::V2026_9_6) else {
        return;
    };
    let world = World::new();
    openclaw.put_on_path(&world);
    world.init();
    for id in ["anthropic:one", "anthropic:two"] {
        world.paste("anthropic", id, super::common::vault::SETUP_TOKEN, &[]);
    }
    world.paste(
        "openrouter",
        "openrouter:only",
        "sk-or-v1-FAKE-0123456789",
        &["--expires-in", "5h"],
    );
    world.write(
        ".openclaw/openclaw.json",
        r#"{ gateway: { mode: "local" }, agents: { defaults: { model: { primary: "openrouter/auto", fallbacks: ["anthropic/claude-sonnet-4-5", "mistral/mistral-large"] } } } }"#,
    );
    let _ = world
        .cmd(&["link", "--yes", "--install"])
        .limit(std::time::Duration::from_mins(5))
        .run()
        .ok();
    let (yours, your_code) = theirs(&openclaw, &world, &[]);
    let (mine, my_code) = ours(&world, &[], &["--live"]);
    for pointer in SAME {
        assert_eq!(mine.pointer(pointer), yours.pointer(pointer), "{pointer}");
    }
    assert_eq!(providers(&mine), providers(&yours));
    known("plugin-not-installed");
    assert_eq!(yours["auth"]["missingProvidersInUse"], json!([]));
    assert_eq!(mine["auth"]["missingProvidersInUse"], json!(["mistral"]));
    assert_eq!(mine["auth"]["storePath"], yours["auth"]["storePath"]);
    // Its token's expiry is known to clawkeep alone.
    known("one-reference-has-profiles");
    let mut own = states(&mine);
    assert!(own.remove("openrouter:only").is_some());
    let of_provider = own.remove("all of \"openrouter\"").unwrap();
    assert_eq!(of_provider[0], "expiring");
    assert_eq!(own, states(&yours));
    // Without mistral clawkeep would say 2, and OpenClaw 1 for what it did not try.
    known("indeterminate");
    assert_eq!((my_code, your_code), (1, 1));
    let issues = yours["auth"]["modelRouteIssues"].to_string();
    assert!(issues.contains("indeterminate"), "{issues}");
    let causes: Vec<&Value> = mine["clawkeep"]["check"]["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["kind"])
        .collect();
    assert_eq!(causes, ["missing", "expiring"]);
    // Without asking it is what was noted, which is the same as long as nobody changed it.
    known("database-not-asked");
    let (noted, _) = ours(&world, &[], &[]);
    assert_eq!(providers(&noted), providers(&mine));
    assert_eq!(noted["clawkeep"]["openclaw"]["asked"], false);
    what_others_answer_is_found_in_the_database(&openclaw, &world);
}

/// References of profiles in the database, to a variable and to OpenClaw's own store: the labels of OpenClaw's
/// answer do not say all of them.
fn what_others_answer_is_found_in_the_database(openclaw: &OpenClaw, world: &World) {
    let stored = [
        &["secrets", "store", "set", "FAKE_STORED"][..],
        &["--kind", "secret", "--value-file", "-"],
    ]
    .concat();
    let _ = openclaw
        .cmd(world, &stored)
        .stdin("FAKE-SECRET-0123456789\n")
        .run()
        .ok();
    let file = world
        .home()
        .join(".openclaw/agents/main/agent/openclaw-agent.sqlite");
    let profile = |source: &str, id: &str| {
        let reference = json!({"source": source, "provider": "default", "id": id});
        json!({"type": "api_key", "provider": "groq", "keyRef": reference}).to_string()
    };
    let program = format!(
        "const {{ DatabaseSync }} = await import('node:sqlite');
         const database = new DatabaseSync({});
         const change = database.prepare(`UPDATE auth_profile_store SET store_json =
            json_set(store_json, '$.profiles.' || ?, json(?), '$.profiles.' || ?, json(?), '$.profiles.' || ?, json(?))`);
         const done = change.run({}, {}, {}, {}, {}, {});
         if (done.changes !== 1) throw new Error('no store');
         database.close();",
        json!(file),
        json!("\"groq:unset\""),
        json!(profile("env", "FAKE_UNSET")),
        json!("\"groq:stored\""),
        json!(profile("store", "FAKE_STORED")),
        json!("\"groq:gone\""),
        json!(profile("store", "FAKE_GONE")),
    );
    let node = ["--no-warnings", "--input-type=module", "--eval", &program];
    let _ = world.program(openclaw.node(), &node).run().ok();
    let (document, code) = ours(world, &[], &["--live"]);
    assert_eq!(code, 1);
    let all = document["clawkeep"]["elsewhere"].as_array().unwrap();
    let mut found: Vec<(&Value, &Value)> = all
        .iter()
        .map(|one| (&one["profileId"], &one["resolves"]))
        .collect();
    found.sort_by_key(|(id, _)| id.as_str());
    let wanted = [
        (json!("groq:gone"), json!(false)),
        (json!("groq:stored"), json!(true)),
        (json!("groq:unset"), json!(false)),
    ];
    let wanted: Vec<_> = wanted.iter().map(|(id, gives)| (id, gives)).collect();
    assert_eq!(found, wanted, "{document:#}");
}
