//! The real OpenClaw: what 2026.6.1 picks from generated stores, and the order that it and clawkeep set
//! for each other, in 2026.6.1 and 2026.9.6.

use super::common::World;
use super::common::openclaw::{OpenClaw, Which};
use super::stores::{Case, cases};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// A home with a vault of two keys of one provider, linked to this OpenClaw.
fn linked(which: Which, provider: &str) -> Option<(World, OpenClaw)> {
    let openclaw = OpenClaw::get(which)?;
    let world = World::new();
    openclaw.put_on_path(&world);
    world.init();
    for name in ["one", "two"] {
        world.paste(
            provider,
            &format!("{provider}:{name}"),
            "fake-key-0123456789",
            &[],
        );
    }
    world.write(
        ".openclaw/openclaw.json",
        r#"{ gateway: { mode: "local" } }"#,
    );
    let _ = world.cmd(&["link", "--yes", "--install"]).run().ok();
    Some((world, openclaw))
}

/// What OpenClaw's own functions say of the cases, which lie in `root`, a folder each.
fn theirs(openclaw: &OpenClaw, world: &World, root: &Path, cases: &[Case]) -> Vec<Value> {
    let asked: Vec<Value> = cases
        .iter()
        .enumerate()
        .map(|(at, case)| {
            let state = root.join(at.to_string());
            for (agent, (profiles, stats)) in [("main", &case.main), ("work", &case.work)] {
                let dir = state.join("agents").join(agent).join("agent");
                std::fs::create_dir_all(&dir).unwrap();
                std::fs::write(dir.join("auth-profiles.json"), profiles.to_string()).unwrap();
                std::fs::write(dir.join("auth-state.json"), stats.to_string()).unwrap();
            }
            let ids: Vec<String> = ('a'..='h').map(|c| format!("p:{c}")).collect();
            json!({"state": state, "agent": case.agent, "config": {"auth": case.auth},
                "provider": case.provider, "pinned": case.pinned, "ids": ids})
        })
        .collect();
    let list = root.join("cases.json");
    std::fs::write(&list, Value::from(asked).to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pick/openclaw.mjs");
    let dist = openclaw.entry().with_file_name("dist");
    let args = [&script, &dist, &list].map(|path| path.to_str().unwrap().to_owned());
    let run = world
        .program(openclaw.node(), &args)
        .limit(std::time::Duration::from_mins(3))
        .run()
        .ok();
    run.json().as_array().unwrap().clone()
}

/// Puts a case into the linked home and asks clawkeep.
fn ours(world: &World, linked_config: &Value, case: &Case) -> Value {
    for (agent, (profiles, stats)) in [("main", &case.main), ("work", &case.work)] {
        let dir = format!(".openclaw/agents/{agent}/agent");
        world.write(&format!("{dir}/auth-profiles.json"), profiles.to_string());
        world.write(&format!("{dir}/auth-state.json"), stats.to_string());
    }
    let mut config = linked_config.clone();
    config["auth"] = case.auth.clone();
    world.write(".openclaw/openclaw.json", config.to_string());
    let args = [
        "models",
        "pick",
        "--json",
        "--provider",
        case.provider,
        "--agent",
        case.agent,
    ];
    let selection = world.run(&args);
    let pinned = case.pinned.as_deref().map(|pin| {
        let run = world.run(&[&args[..], &["--profile", pin]].concat());
        run.json()
    });
    let mut answer = selection.json();
    // A profile that the provider does not have is refused, where OpenClaw goes on without it.
    if let Some(pinned) = pinned.filter(|pinned| pinned["error"].is_null()) {
        answer = pinned;
    }
    let next = answer["order"].get(0).cloned().unwrap_or(Value::Null);
    assert_eq!(answer["next"], next);
    answer
}

#[test]
fn openclaw_2026_6_1_picks_the_same_from_generated_stores() {
    let Some((world, openclaw)) = linked(Which::V2026_6_1, "groq") else {
        return;
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(now.unwrap().as_millis()).unwrap();
    let cases = cases(super::common::rounds(120, 600), now);
    let root = world.root().join("cases");
    std::fs::create_dir(&root).unwrap();
    let linked_config = world.openclaw_config();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (case, theirs) in cases.iter().zip(theirs(&openclaw, &world, &root, &cases)) {
        let ours = ours(&world, &linked_config, case);
        assert_eq!(
            ours["order"], theirs["order"],
            "{case:#?}\n{ours:#}\n{theirs:#}"
        );
        for one in ours["candidates"].as_array().unwrap() {
            let code = one["reasonCode"].as_str().unwrap();
            *seen.entry(code.to_owned()).or_default() += 1;
            // Their eligibility knows nothing of orders.
            if code != "excluded_by_auth_order" {
                let id = one["profileId"].as_str().unwrap();
                assert_eq!(theirs["reasons"][id], code, "{id} in {case:#?}");
            }
        }
        *seen
            .entry(ours["source"].as_str().unwrap().to_owned())
            .or_default() += 1;
        *seen
            .entry(format!("next: {}", !ours["next"].is_null()))
            .or_default() += 1;
    }
    // The stores are not all of one kind.
    for kind in [
        "ok",
        "profile_missing",
        "provider_mismatch",
        "mode_mismatch",
        "missing_credential",
        "expired",
        "invalid_expires",
        "excluded_by_auth_order",
        "stored",
        "auth.order",
        "auth.profiles",
        "all",
        "next: true",
        "next: false",
    ] {
        assert!(seen.contains_key(kind), "none is {kind}: {seen:?}");
    }
}

/// OpenClaw's `models auth order` with these arguments.
fn theirs_order(openclaw: &OpenClaw, world: &World, args: &[&str]) -> Value {
    let all = [&["models", "auth", "order"], args].concat();
    let run = openclaw.run(world, &all).ok();
    let start = run.stdout.find('{').unwrap_or(0);
    serde_json::from_str::<Value>(&run.stdout[start..])
        .map(|document| document["order"].clone())
        .unwrap_or_default()
}

fn ours_order(world: &World, args: &[&str]) -> Value {
    let all = [&["models", "auth", "order"], args, &["--json"]].concat();
    world
        .cmd(&all)
        .limit(std::time::Duration::from_mins(4))
        .run()
        .ok()
        .json()["order"]
        .clone()
}

/// What one sets, the other sees, and neither brings its own back.
#[track_caller]
fn both_see_one_order(openclaw: &OpenClaw, world: &World, provider: &str) {
    let (one, two) = (format!("{provider}:one"), format!("{provider}:two"));
    let of = ["--provider", provider];
    let get = [&["get"], &of[..]].concat();
    let get_json = [&get[..], &["--json"]].concat();
    let set = [&["set"], &of[..]].concat();
    let clear = [&["clear"], &of[..]].concat();
    let ours = ours_order(world, &[&set[..], &[&two, &one]].concat());
    assert_eq!(ours, json!([two, one]));
    assert_eq!(
        theirs_order(openclaw, world, &get_json),
        json!([two, one]),
        "theirs sees ours"
    );
    let _ = theirs_order(openclaw, world, &[&set[..], &[&one]].concat());
    assert_eq!(ours_order(world, &get), json!([one]), "ours sees theirs");
    let _ = ours_order(world, &clear);
    assert_eq!(theirs_order(openclaw, world, &get_json), Value::Null);
    let _ = theirs_order(openclaw, world, &[&set[..], &[&two]].concat());
    let _ = theirs_order(openclaw, world, &clear);
    assert_eq!(
        ours_order(world, &get),
        Value::Null,
        "a cleared one does not come back"
    );
    let unknown = world.run(&[
        "models",
        "auth",
        "order",
        "set",
        "--provider",
        provider,
        "no:such",
    ]);
    assert!(
        unknown
            .fails(1)
            .stderr
            .contains("Auth profile \"no:such\" not found in")
    );
}

#[test]
fn with_2026_6_1_both_see_one_order() {
    let Some((world, openclaw)) = linked(Which::V2026_6_1, "groq") else {
        return;
    };
    both_see_one_order(&openclaw, &world, "groq");
    let _ = ours_order(
        &world,
        &["set", "--provider", "groq", "groq:two", "groq:one"],
    );
    let pick = world
        .run(&["models", "pick", "--provider", "groq", "--json"])
        .ok();
    assert_eq!(pick.json()["next"], "groq:two");
}

#[test]
fn with_2026_9_6_both_see_one_order() {
    let Some((world, openclaw)) = linked(Which::V2026_9_6, "openrouter") else {
        return;
    };
    both_see_one_order(&openclaw, &world, "openrouter");
    let _ = theirs_order(
        &openclaw,
        &world,
        &["set", "--provider", "openrouter", "openrouter:two"],
    );
    let args = [
        "models",
        "pick",
        "--provider",
        "openrouter",
        "--live",
        "--json",
    ];
    let pick = world
        .cmd(&args)
        .limit(std::time::Duration::from_mins(4))
        .run()
        .ok();
    assert_eq!(pick.json()["order"], json!(["openrouter:two"]));
}
