//! The real OpenClaw at the ends of a link: a person's first minutes with it, an update from the last
//! version with auth-profiles.json to one with a database, and the way back out.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails, and tests remove files"
)]

mod common;

use common::mock_provider::MockProvider;
use common::openclaw::{OpenClaw, Provider, Which, free_port};
use common::{Run, World};

/// `clawkeep onboard` as a script runs it.
#[track_caller]
fn onboard(world: &World, provider: &str, kind: &str, credential: &str) -> Run {
    let args = [
        "onboard",
        "--yes",
        "--custody",
        "file",
        "--slot",
        "identity-file",
        "--no-recovery",
        "--provider",
        provider,
        "--kind",
        kind,
        "--install",
    ];
    world.cmd(&args).stdin(format!("{credential}\n")).run().ok()
}

/// An API key for `mock` as a second profile.
#[track_caller]
fn second_key(world: &World, credential: &str) {
    let args = [
        "models",
        "auth",
        "paste-api-key",
        "--provider",
        "mock",
        "--profile-id",
        "mock:b",
    ];
    let run = world.cmd(&args).stdin(format!("{credential}\n")).run().ok();
    assert!(run.stderr.contains("hint: clawkeep link"), "{run}");
}

#[track_caller]
fn link(world: &World) -> Run {
    world.run(&["link", "--yes"])
}

#[track_caller]
fn is_green(world: &World, openclaw: &OpenClaw) {
    let audit = ["secrets", "audit", "--check", "--allow-exec", "--json"];
    let report = openclaw.run(world, &audit).ok().json();
    assert_eq!(report["status"], "clean", "{report}");
    let _ = openclaw.run(world, &["models", "status", "--check"]).ok();
}

/// One turn, whose every request carries this credential.
#[track_caller]
fn arrives(
    world: &World,
    openclaw: &OpenClaw,
    server: &MockProvider,
    args: &[&str],
    credential: &str,
) {
    server.take_requests();
    let turn = [
        &["agent"],
        args,
        &["--agent", "main", "--message", "say OK", "--json"],
    ]
    .concat();
    let run = openclaw.run(world, &turn).ok();
    let requests = server.take_requests();
    assert!(!requests.is_empty(), "nothing reached the provider: {run}");
    for request in requests {
        let bearer = request.authorization.as_deref();
        assert_eq!(bearer, Some(format!("Bearer {credential}").as_str()));
    }
}

fn mock_scene(which: Which) -> Option<(World, OpenClaw, MockProvider, String)> {
    let openclaw = OpenClaw::get(which)?;
    let world = World::new();
    openclaw.put_on_path(&world);
    let server = MockProvider::start();
    let config = Provider::Mock.config(&server.url(), free_port());
    world.write(".openclaw/openclaw.json", &config);
    Some((world, openclaw, server, config))
}

#[test]
fn a_new_users_next_lines_lead_to_a_gateway_that_answers_2026_9_6() {
    let Some(openclaw) = OpenClaw::get(Which::V2026_9_6) else {
        return;
    };
    let world = World::new();
    openclaw.put_on_path(&world);
    let token = format!("sk-ant-oat01-FAKE-new-user-{}", "FAKE0123456789".repeat(6));
    let run = onboard(&world, "anthropic", "token", &token);
    let (_, next) = run
        .stderr
        .split_once("Next:\n")
        .unwrap_or_else(|| panic!("{run}"));
    let lines: Vec<&str> = next.lines().map(str::trim).collect();
    let Some((&"openclaw gateway run --bind loopback", typed)) = lines.split_last() else {
        panic!("{run}");
    };
    assert_eq!(typed[0], "openclaw config set gateway.mode local");
    assert!(
        typed[1].starts_with("openclaw models set anthropic/"),
        "{run}"
    );
    for line in typed {
        let words: Vec<&str> = line.split('#').next().unwrap().split_whitespace().collect();
        let _ = openclaw.run(&world, &words[1..]).ok();
    }
    // The test's own: a provider on loopback, and a port that is free.
    let server = MockProvider::start();
    let port = free_port();
    for (key, value) in [
        ("models.providers.anthropic.baseUrl", server.url()),
        ("gateway.port", port.to_string()),
    ] {
        let _ = openclaw.run(&world, &["config", "set", key, &value]).ok();
    }
    is_green(&world, &openclaw);
    let gateway = openclaw.gateway(&world, port);
    arrives(&world, &openclaw, &server, &[], &token);
    // A value that is replaced reaches the running gateway by itself.
    let fresh = token.replace("new-user", "replaced");
    let args = [
        "models",
        "auth",
        "paste-token",
        "--provider",
        "anthropic",
        "--profile-id",
        "anthropic:default",
    ];
    let pasted = world.cmd(&args).stdin(format!("{fresh}\n")).run().ok();
    assert!(
        pasted
            .stderr
            .contains("The running gateway has the new value."),
        "{pasted}"
    );
    arrives(&world, &openclaw, &server, &[], &fresh);
    let _ = gateway.stop().ok();
    for secret in [&token, &fresh] {
        assert_eq!(world.search_home(secret), [] as [std::path::PathBuf; 0]);
    }
}

#[test]
fn an_update_from_2026_6_1_to_2026_9_6_ends_green() {
    let key = "sk-fake-mock-upgrade-0123456789";
    let (Some((world, _, server, _)), Some(new)) = (
        mock_scene(Which::V2026_6_1),
        OpenClaw::get(Which::V2026_9_6),
    ) else {
        return;
    };
    let _ = onboard(&world, "mock", "api-key", key);
    new.put_on_path(&world);
    let before = world.tree();
    let refused = link(&world).fails(1);
    assert!(
        refused.stderr.contains("hint: openclaw doctor --fix"),
        "{refused}"
    );
    assert!(before == world.tree(), "{refused}");
    let _ = new
        .run(&world, &["doctor", "--fix", "--non-interactive"])
        .ok();
    let linked = link(&world).fails(1);
    let hint = linked
        .stderr
        .lines()
        .find_map(|line| line.strip_prefix("hint: rm "));
    let archive = std::path::Path::new(hint.unwrap_or_else(|| panic!("{linked}")));
    assert!(linked.stderr.contains("no credential"), "{linked}");
    std::fs::remove_file(archive).unwrap();
    let _ = link(&world).ok();
    is_green(&world, &new);
    arrives(&world, &new, &server, &["--local"], key);
    assert_eq!(world.search_home(key), [] as [std::path::PathBuf; 0]);
}

/// Out and in again: a valid configuration without a ref of ours, then a link that works. Minutes, so
/// only with `scripts/test --long`; tests/link has the same with a stand-in.
fn unlinks(which: Which, keys: &[&str]) {
    if common::rounds(0, 1) == 0 {
        return;
    }
    let Some((world, openclaw, server, config)) = mock_scene(which) else {
        return;
    };
    let _ = onboard(&world, "mock", "api-key", keys[0]);
    if let Some(second) = keys.get(1) {
        second_key(&world, second);
        let _ = link(&world).ok();
    }
    let _ = world.run(&["unlink", "--yes"]).ok();
    let text = String::from_utf8(world.read(".openclaw/openclaw.json")).unwrap();
    // What OpenClaw itself noted in its file (`meta`) is its own.
    let rest = text.strip_prefix(config.trim_end_matches("}\n"));
    let rest = rest.unwrap_or_else(|| panic!("{text}"));
    assert!(rest == "}\n" || rest.starts_with("  \"meta\": {"), "{text}");
    assert!(!text.contains("clawkeep"), "{text}");
    let _ = openclaw.run(&world, &["config", "validate"]).ok();
    let list = openclaw
        .run(&world, &["models", "auth", "list", "--json"])
        .ok();
    assert!(!list.stdout.contains("mock:"), "{list}");
    let audit = ["secrets", "audit", "--check", "--allow-exec", "--json"];
    let report = openclaw.run(&world, &audit).ok().json();
    assert_eq!(report["resolution"]["refsChecked"], 0, "{report}");
    let _ = link(&world).ok();
    arrives(&world, &openclaw, &server, &["--local"], keys[0]);
}

#[test]
fn unlink_leaves_2026_6_1_as_it_was() {
    unlinks(Which::V2026_6_1, &["sk-fake-mock-unlink-a-0123456789"]);
}

#[test]
fn unlink_leaves_2026_9_6_as_it_was() {
    unlinks(
        Which::V2026_9_6,
        &[
            "sk-fake-mock-unlink-a-0123456789",
            "sk-fake-mock-unlink-b-0123456789",
        ],
    );
}
