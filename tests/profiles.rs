//! Profiles are noted as OpenClaw reads them, listed without values, removed with theirs, and a login
//! that only OpenClaw can hold is left alone.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;

use common::World;
use common::run::Run;
use serde_json::{Value, json};

const PROFILES: &str = ".local/share/clawkeep/agents/main/auth-profiles.json";

fn ready() -> World {
    let world = World::new();
    world.init();
    world
}

fn paste(world: &World, kind: &str, args: &[&str], value: impl Into<Vec<u8>>) -> Run {
    let args = [&["models", "auth", kind][..], args].concat();
    world.cmd(&args).stdin(value).run()
}

fn profiles(world: &World) -> Value {
    serde_json::from_slice(&world.read(PROFILES)).unwrap()
}

fn stored(world: &World) -> usize {
    let listed = world.run(&["secret", "list", "--json"]).ok().json();
    listed["secrets"].as_array().unwrap().len()
}

#[test]
fn profiles_have_openclaws_default_ids_and_any_text_has_one_that_resolves() {
    let world = ready();
    let _ = paste(&world, "paste-token", &["--provider", "X-AI"], "fake-1").ok();
    assert_eq!(world.get("xai:manual"), "fake-1");
    let _ = paste(
        &world,
        "paste-token",
        &[
            "--provider",
            "openai",
            "--profile-id",
            "openai:me@example.com",
        ],
        "fake-2",
    )
    .ok();
    let profile = profiles(&world)["profiles"]["openai:me@example.com"].clone();
    let id = profile["tokenRef"]["id"].as_str().unwrap().to_owned();
    assert_eq!(world.resolve(&[&id])["values"][&id], "fake-2");
    assert_eq!(
        profile,
        json!({"type": "token", "provider": "openai",
        "tokenRef": {"source": "exec", "provider": "clawkeep", "id": id}})
    );
    let _ = paste(
        &world,
        "paste-api-key",
        &["--provider", "openai", "--agent", "Work"],
        "fake-3",
    )
    .ok();
    assert_eq!(world.get("agent/work/openai:manual"), "fake-3");
    assert!(
        world
            .vault()
            .join("agents/work/auth-profiles.json")
            .exists()
    );
}

#[test]
fn a_replaced_value_keeps_the_day_it_was_first_stored() {
    let world = ready();
    let entry = || world.run(&["secret", "list", "--json"]).ok().json()["secrets"][0].clone();
    let _ = paste(
        &world,
        "paste-token",
        &["--provider", "fakeai", "--expires-in", "1d"],
        "fake-old",
    )
    .ok();
    let first = entry();
    let _ = paste(&world, "paste-token", &["--provider", "fakeai"], "fake-new").ok();
    let second = entry();
    assert_eq!(second["created"], first["created"]);
    assert!(second["updated"].as_i64() > first["updated"].as_i64());
    assert_eq!(second["expires"], Value::Null);
    assert_eq!(
        profiles(&world)["profiles"]["fakeai:manual"].get("expires"),
        None
    );
    assert_eq!(world.get("fakeai:manual"), "fake-new");
    // Set by hand, it stays the provider's: a selection id still yields it.
    world.set("fakeai:manual", "fake-by-hand");
    assert_eq!(entry()["provider"], "fakeai");
    let answer = world.resolve(&["provider/fakeai"]);
    assert_eq!(answer["values"]["provider/fakeai"], "fake-by-hand");
}

#[test]
fn list_shows_profiles_and_no_value() {
    let world = ready();
    world.paste(
        "fakeai",
        "fakeai:a",
        "fake-value-0123456789",
        &["--expires-in", "30d"],
    );
    world.paste("other", "other:b", "fake-value-9876543210", &[]);
    let run = world.run(&["models", "auth", "list"]).ok();
    assert!(
        run.stdout.contains("fakeai:a") && run.stdout.contains("in 30 days"),
        "{run}"
    );
    assert!(!run.stdout.contains("fake-value"), "{run}");
    let json = world
        .run(&["models", "auth", "list", "--json", "--provider", "other"])
        .ok()
        .json();
    assert_eq!(json["agentId"], "main");
    assert_eq!(json["provider"], "other");
    let profiles = json["profiles"].as_array().unwrap();
    assert_eq!(profiles.len(), 1);
    assert_eq!(profiles[0]["id"], "other:b");
    assert_eq!(profiles[0]["type"], "token");
    // It needs no value, so it works on a vault that nobody can open.
    std::fs::remove_file(world.identity_file()).unwrap();
    let _ = world.run(&["models", "auth", "list"]).ok();
    let _ = world.run(&["secret", "list"]).fails(75);
}

#[test]
fn logout_removes_the_value_and_says_that_it_lives_on_at_the_provider() {
    let world = ready();
    world.paste("fakeai", "fakeai:a", "fake-value-a", &[]);
    world.paste("fakeai", "fakeai:b", "fake-value-b", &[]);
    let run = world
        .run(&["models", "auth", "logout", "--profile-id", "fakeai:a"])
        .fails(64);
    assert!(run.stderr.contains("--yes"), "{run}");
    let run = world
        .run(&[
            "models",
            "auth",
            "logout",
            "--profile-id",
            "fakeai:a",
            "--yes",
        ])
        .ok();
    assert!(run.stderr.contains("does not revoke"), "{run}");
    let _ = world.run(&["secret", "get", "fakeai:a"]).fails(1);
    assert_eq!(world.get("fakeai:b"), "fake-value-b");
    let _ = world
        .run(&["models", "auth", "logout", "--provider", "fakeai", "--yes"])
        .ok();
    assert_eq!(stored(&world), 0);
    let run = world
        .run(&["models", "auth", "logout", "--provider", "fakeai", "--yes"])
        .fails(1);
    assert!(run.stderr.contains("no such profile"), "{run}");
    let _ = world.run(&["models", "auth", "logout", "--yes"]).fails(64);
}

#[test]
fn an_oauth_login_is_never_overwritten() {
    let world = ready();
    let login = json!({"version": 1, "profiles": {"openai:manual": {"type": "oauth",
        "provider": "openai", "access": "fake-access", "refresh": "fake-refresh", "expires": 1}}});
    world.write(PROFILES, login.to_string());
    let run = paste(
        &world,
        "paste-token",
        &["--provider", "openai"],
        "fake-value",
    )
    .fails(1);
    assert!(run.stderr.contains("OAuth"), "{run}");
    assert_eq!(world.read(PROFILES), login.to_string().as_bytes());
    assert_eq!(stored(&world), 0);
    let _ = world
        .run(&["models", "auth", "logout", "--provider", "openai", "--yes"])
        .fails(1);
    assert_eq!(world.read(PROFILES), login.to_string().as_bytes());
}

#[test]
fn a_profile_of_another_provider_keeps_its_value() {
    let world = ready();
    let _ = paste(
        &world,
        "paste-api-key",
        &["--provider", "fakeai"],
        "fake-first",
    )
    .ok();
    let args = ["--provider", "other", "--profile-id", "fakeai:manual"];
    let run = paste(&world, "paste-token", &args, "fake-second").fails(1);
    assert!(run.stderr.contains("is for fakeai, not other"), "{run}");
    assert_eq!(world.get("fakeai:manual"), "fake-first");
}
