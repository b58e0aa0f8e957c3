//! A value that is replaced while a gateway is up: OpenClaw is told, or the person is. The gateway is
//! a port of loopback on which this test listens.

use crate::common::Run;
use crate::scene::Scene;
use std::net::TcpListener;

const NEW: &str = "fake-key-replaced-0123456789";
const TOLD: &str = "The running gateway has the new value.";
const HOW: &str = "openclaw secrets reload";
const RELOAD: &str = "secrets reload --json\n";

/// A linked provider, and OpenClaw configured for the port of `gateway`.
fn linked(version: &str, gateway: &TcpListener) -> Scene {
    let scene = Scene::new(version);
    let port = gateway.local_addr().unwrap().port();
    scene.config(&format!("{{ gateway: {{ port: {port} }} }}\n"));
    scene.paste("api-key", "openrouter:a", &["--no-reload"]);
    let _ = scene.link(&[]).ok();
    scene.calls();
    scene
}

fn gateway() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).unwrap()
}

/// With the port of the configuration, not the one that keeps other tests from real gateways.
#[track_caller]
fn replace(scene: &Scene, more: &[&str]) -> Run {
    let args = [
        "models",
        "auth",
        "paste-api-key",
        "--provider",
        "openrouter",
    ];
    let args = [&args[..], &["--profile-id", "openrouter:a"], more].concat();
    let cmd = scene.cmd(&args).env_remove("OPENCLAW_GATEWAY_PORT");
    let run = cmd.stdin(format!("{NEW}\n")).run().ok();
    assert!(!run.stderr.contains(NEW), "{run}");
    // Whatever became of the gateway, the value is there.
    assert_eq!(
        scene.run(&["secret", "get", "openrouter:a"]).ok().stdout,
        NEW
    );
    run
}

#[test]
fn a_gateway_that_is_up_is_told_once() {
    for version in ["2026.2.26", "2026.6.1", "2026.7.1", "2026.9.6"] {
        let gateway = gateway();
        let scene = linked(version, &gateway);
        let run = replace(&scene, &["--non-interactive"]);
        assert!(run.stderr.contains(TOLD), "{version}: {run}");
        assert_eq!(scene.calls(), RELOAD, "{version}");
        let set = scene.cmd(&["secret", "set", "openrouter:a"]);
        let set = set
            .env_remove("OPENCLAW_GATEWAY_PORT")
            .stdin("fake-key-set")
            .run()
            .ok();
        assert!(set.stderr.contains(TOLD), "{version}: {set}");
        assert_eq!(scene.calls(), RELOAD, "{version}");
    }
}

#[test]
fn without_a_gateway_or_with_no_reload_nothing_is_run_and_it_says_how() {
    let up = gateway();
    let scene = linked("2026.9.6", &up);
    let left = replace(&scene, &["--no-reload"]);
    assert!(
        left.stderr.contains(HOW) && !left.stderr.contains(TOLD),
        "{left}"
    );
    assert_eq!(scene.calls(), "");
    // The variable comes before the setting, as in OpenClaw.
    let args = ["secret", "set", "openrouter:a"];
    let elsewhere = scene.cmd(&args).stdin("fake-key-set").run().ok();
    assert!(elsewhere.stderr.contains(HOW), "{elsewhere}");
    assert_eq!(scene.calls(), "");
    drop(up);
    let down = replace(&scene, &[]);
    assert!(
        down.stderr.contains(HOW) && !down.stderr.contains(TOLD),
        "{down}"
    );
    assert_eq!(scene.calls(), "");
}

#[test]
fn what_openclaw_does_not_ask_for_is_no_reason_to_tell_it() {
    let up = gateway();
    let scene = linked("2026.9.6", &up);
    let set = |id: &str| {
        let cmd = scene
            .cmd(&["secret", "set", id])
            .env_remove("OPENCLAW_GATEWAY_PORT");
        cmd.stdin("fake-value-0123456789").run().ok().stderr
    };
    assert_eq!(set("notes"), "Stored: notes\n");
    // Whoever reloads shows the gateway's token, and the gateway still wants the old one.
    assert!(set("gateway/token").contains("openclaw gateway restart"));
    assert_eq!(scene.calls(), "");
}

#[test]
fn a_reload_that_fails_never_fails_the_paste() {
    let up = gateway();
    let scene = linked("2026.9.6", &up);
    for (hook, said) in [
        ("echo fake-noise >&2; exit 3", "still has the old one"),
        ("kill -KILL $$", "still has the old one"),
        (
            "echo '{\"ok\":true,\"warningCount\":2}'; exit 0",
            "has not got everything",
        ),
        ("echo '{\"ok\":true,\"warningCount\":0}'; exit 0", TOLD),
        ("echo 'Secrets reloaded.'; exit 0", TOLD),
    ] {
        scene.hook(&format!("case \"$*\" in 'secrets reload'*) {hook} ;; esac"));
        let run = replace(&scene, &[]);
        assert!(run.stderr.contains(said), "{hook}: {run}");
        assert!(!run.stderr.contains("fake-noise"), "{run}");
    }
    std::fs::remove_file(scene.world.bin().join("openclaw")).unwrap();
    let run = replace(&scene, &[]);
    assert!(run.stderr.contains("OpenClaw is not on PATH"), "{run}");
    assert!(run.stderr.contains(HOW), "{run}");
}

#[test]
fn another_openclaw_than_the_linked_one_is_told_nothing() {
    let up = gateway();
    let scene = linked("2026.9.6", &up);
    let port = up.local_addr().unwrap().port();
    let config = format!("{{ gateway: {{ port: {port} }} }}");
    let other = scene.world.write("other/openclaw.json", config);
    let args = ["secret", "set", "openrouter:a"];
    let cmd = scene.cmd(&args).env_remove("OPENCLAW_GATEWAY_PORT");
    let run = cmd
        .env("OPENCLAW_CONFIG_PATH", other)
        .stdin("fake-key-set")
        .run()
        .ok();
    assert!(run.stderr.contains(HOW), "{run}");
    assert_eq!(scene.calls(), "");
}

#[test]
fn a_keeper_that_gives_once_has_to_be_armed_first() {
    let up = gateway();
    let scene = linked("2026.9.6", &up);
    let keeper = scene.world.vault().join("keeper.json");
    for (release, armed) in [("once", true), ("always", false)] {
        let text = format!(
            r#"{{"version":1,"socket":"/nowhere/keeper.sock","required":false,"release":"{release}"}}"#
        );
        std::fs::write(&keeper, text).unwrap();
        crate::scene::set_mode(&keeper, 0o600);
        let run = replace(&scene, &[]);
        assert_eq!(run.stderr.contains("clawkeep keeper arm"), armed, "{run}");
        assert_eq!(scene.calls(), if armed { "" } else { RELOAD });
    }
}
