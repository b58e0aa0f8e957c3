//! What a person decides: which of two values is right, what is taken besides, and for whom.

use crate::common::pty::Pty;
use crate::home::{ENV, OPENAI};
use crate::scene::Scene;

const OTHER: &str = "sk-proj-FAKE-other-0123456789-0123456789";

/// Two files that disagree on one key.
fn disagreeing() -> Scene {
    let scene = Scene::new("2026.6.1");
    scene.world.write(ENV, format!("OPENAI_API_KEY={OPENAI}\n"));
    scene
        .world
        .write("work/.env", format!("OPENAI_API_KEY={OTHER}\n"));
    scene
}

fn get(scene: &Scene, id: &str) -> String {
    scene.run(&["secret", "get", id]).ok().stdout
}

#[test]
fn two_values_for_one_name_are_never_guessed() {
    let scene = disagreeing();
    let before = scene.world.tree();
    let run = scene.run(&["migrate", "--yes", "work/.env"]).fails(1);
    assert!(run.stderr.contains("openai:default"), "{run}");
    assert!(run.stderr.contains("~/work/.env:1 OPENAI_API_KEY"), "{run}");
    assert!(
        run.stderr.contains("~/.openclaw/.env:1 OPENAI_API_KEY"),
        "{run}"
    );
    assert!(run.stderr.contains("--prefer"), "{run}");
    assert!(!run.stderr.contains(OPENAI) && !run.stderr.contains(OTHER));
    assert!(scene.world.tree() == before, "nothing is changed");

    // Both are kept, in the order that was chosen.
    let _ = scene
        .run(&["migrate", "--yes", "work/.env", "--prefer", "work/.env"])
        .ok();
    assert_eq!(get(&scene, "openai:default"), OTHER);
    assert_eq!(get(&scene, "openai:key-2"), OPENAI);
    let state = scene.show(".openclaw/agents/main/agent/auth-state.json");
    assert!(
        state.contains("\"openai:default\",\n      \"openai:key-2\""),
        "{state}"
    );
    for value in [OPENAI, OTHER] {
        assert!(scene.world.search_home(value).is_empty());
    }
}

#[test]
fn a_person_at_a_terminal_is_asked() {
    let scene = disagreeing();
    let mut pty = Pty::start(scene.cmd(&["migrate", "work/.env"]));
    pty.expect("Two places disagree. Which is openai:default?");
    pty.expect("Choice: ");
    pty.send_line("b");
    pty.expect("Move these into the vault?");
    pty.send_line("y");
    let _ = pty.finish().run.fails(0).stdout;
    assert_eq!(get(&scene, "openai:default"), OPENAI);
    assert_eq!(get(&scene, "openai:key-2"), OTHER);
}

#[test]
fn a_no_changes_nothing() {
    let scene = Scene::new("2026.6.1");
    scene.world.write(ENV, format!("OPENAI_API_KEY={OPENAI}\n"));
    let before = scene.world.tree();
    let mut pty = Pty::start(scene.cmd(&["migrate"]));
    pty.expect("Move these into the vault?");
    pty.send_line("n");
    let _ = pty.finish().run.fails(130).stdout;
    assert!(scene.world.tree() == before);
    let run = scene.run(&["migrate"]).fails(64);
    assert!(run.stderr.contains("add --yes"), "{run}");
}

/// What changes while the list is read is listed again; with `--yes` it is refused.
#[test]
fn files_that_changed_since_they_were_listed_are_listed_again() {
    let scene = Scene::new("2026.6.1");
    scene.world.write(ENV, format!("OPENAI_API_KEY={OPENAI}\n"));
    let mut pty = Pty::start(scene.cmd(&["migrate"]));
    pty.expect("Move these into the vault?");
    scene
        .world
        .write(ENV, format!("OPENAI_API_KEY={OTHER}\nPORT=1\n"));
    pty.send_line("y");
    pty.expect("~/.openclaw/.env changed since it was listed");
    pty.expect("Move these into the vault?");
    pty.send_line("y");
    let _ = pty.finish().run.fails(0).stdout;
    assert_eq!(get(&scene, "openai:default"), OTHER);
    assert_eq!(scene.world.read(ENV), b"PORT=1\n");
}

/// What the vault has under a name is not written over, and the vault's own value can be preferred.
#[test]
fn the_vaults_own_value_is_a_place_too() {
    for (prefer, default) in [("the vault", "vault"), (".openclaw/.env", "file")] {
        let scene = Scene::new("2026.6.1");
        scene.paste("api-key", "openai:default", &[]);
        let kept = get(&scene, "openai:default");
        scene.world.write(ENV, format!("OPENAI_API_KEY={OPENAI}\n"));
        let run = scene.run(&["migrate", "--yes"]).fails(1);
        assert!(run.stderr.contains("the vault"), "{run}");
        let _ = scene.run(&["migrate", "--yes", "--prefer", prefer]).ok();
        let (first, second) = match default {
            "vault" => (kept.as_str(), OPENAI),
            _ => (OPENAI, kept.as_str()),
        };
        assert_eq!(get(&scene, "openai:default"), first, "{prefer}");
        assert_eq!(get(&scene, "openai:key-2"), second, "{prefer}");
    }
    // A value that it has already is moved without a question, under its name.
    let scene = Scene::new("2026.6.1");
    let args = [
        "models",
        "auth",
        "paste-api-key",
        "--provider",
        "openai",
        "--profile-id",
        "openai:work",
    ];
    let _ = scene.cmd(&args).stdin(OPENAI).run().ok();
    scene.world.write(ENV, format!("OPENAI_API_KEY={OPENAI}\n"));
    let _ = scene.run(&["migrate", "--yes"]).ok();
    let list = scene.run(&["secret", "list"]).ok().stdout;
    assert!(
        list.contains("openai:work") && !list.contains("openai:default"),
        "{list}"
    );
    assert_eq!(scene.world.read(ENV), b"");
}

#[test]
fn unknown_secrets_are_offered_and_taken_only_when_asked_for() {
    let scene = Scene::new("2026.6.1");
    let env = "NOTION_TOKEN=FAKE-notion-0123456789\nELEVENLABS_API_KEY=FAKE-speech-0123456789\nGITHUB_TOKEN=ghp_FAKE0123456789\n";
    scene.world.write(ENV, env);
    let run = scene.run(&["migrate", "--yes"]).ok();
    assert!(run.stdout.contains("--take NOTION_TOKEN"), "{run}");
    assert!(run.stdout.contains("--take ELEVENLABS_API_KEY"), "{run}");
    assert_eq!(scene.world.read(ENV), env.as_bytes());
    let run = scene
        .run(&["migrate", "--yes", "--take", "NOTION_TOKEN"])
        .ok();
    assert!(run.stdout.contains("only clawkeep run"), "{run}");
    assert!(
        run.stderr
            .contains("clawkeep run --env NOTION_TOKEN=env/NOTION_TOKEN"),
        "{run}"
    );
    assert_eq!(get(&scene, "env/NOTION_TOKEN"), "FAKE-notion-0123456789");
    assert!(!scene.show(ENV).contains("NOTION"));
}

#[test]
fn start_up_files_are_rewritten_only_when_asked_for() {
    let scene = Scene::new("2026.6.1");
    let rc = format!("alias ll='ls -l'\nexport OPENAI_API_KEY={OPENAI}\n");
    scene.world.write(".bashrc", &rc);
    let run = scene.run(&["migrate", "--yes"]).ok();
    assert!(run.stdout.contains("waits: --rc is not given"), "{run}");
    assert!(run.stderr.contains("There is nothing to move."), "{run}");
    assert_eq!(scene.world.read(".bashrc"), rc.as_bytes());
    let _ = scene.run(&["migrate", "--yes", "--rc"]).ok();
    assert_eq!(scene.world.read(".bashrc"), b"alias ll='ls -l'\n");
    assert_eq!(get(&scene, "openai:default"), OPENAI);
}

#[test]
fn the_gateways_units_are_looked_through() {
    let scene = Scene::new("2026.6.1");
    let units = ".config/systemd/user/";
    scene.world.write(
        &format!("{units}openclaw-gateway.service"),
        format!("[Service]\nEnvironment=PORT=1 OPENAI_API_KEY={OPENAI}\nExecStart=/bin/true\n"),
    );
    scene.world.write(
        &format!("{units}openclaw-gateway.service.d/keys.conf"),
        "[Service]\nEnvironment=OPENCLAW_GATEWAY_TOKEN=FAKE-gateway-token-0123456789\nEnvironmentFile=-%h/own.env\n",
    );
    // A file that a unit names, wherever it is.
    scene.world.write(
        "own.env",
        "# mine\nMISTRAL_API_KEY=FAKEmistral0123456789abcdef0123\nTZ=UTC\n",
    );
    scene.world.write(
        ".openclaw/gateway.systemd.env",
        "GROQ_API_KEY=gsk_FAKE0123456789abcdef\n",
    );
    scene.world.write(
        &format!("{units}other.service"),
        "[Service]\nEnvironment=XAI_API_KEY=xai-FAKE0123456789\n",
    );
    let run = scene.run(&["migrate", "--yes"]).ok();
    for (id, value) in [
        ("openai:default", OPENAI),
        ("gateway/token", "FAKE-gateway-token-0123456789"),
        ("groq:default", "gsk_FAKE0123456789abcdef"),
        ("mistral:default", "FAKEmistral0123456789abcdef0123"),
    ] {
        assert_eq!(get(&scene, id), value);
        assert!(scene.world.search_home(value).is_empty(), "{run}");
    }
    assert_eq!(scene.world.read("own.env"), b"# mine\nTZ=UTC\n");
    assert!(scene.config_text().contains("gateway/token"));
    assert_eq!(scene.world.search_home("xai-FAKE0123456789").len(), 1);
}

#[test]
fn a_file_that_only_systemd_can_find_is_said_not_to_be_seen() {
    let scene = Scene::new("2026.6.1");
    scene.world.write(
        ".config/systemd/user/openclaw-gateway.service",
        format!("[Service]\nEnvironmentFile=/run/%i/secret.env\nEnvironmentFile=/nowhere/gone.env\nEnvironment=OPENAI_API_KEY={OPENAI}\n"),
    );
    let run = scene.run(&["migrate", "--dry-run"]).ok();
    let said = "openclaw-gateway.service: not looked through: the file that line 2 takes variables from: only systemd can find it";
    assert!(
        run.stdout.contains(said) || run.stderr.contains(said),
        "{run}"
    );
    assert!(!run.to_string().contains("gone.env"), "{run}");
}

#[test]
fn without_an_openclaw_that_takes_references_only_run_hands_values_out() {
    for version in [None, Some("2026.2.25")] {
        let scene = Scene::new(version.unwrap_or("2026.6.1"));
        if version.is_none() {
            std::fs::remove_file(scene.world.bin().join("openclaw")).unwrap();
        }
        let env = format!("OPENAI_API_KEY={OPENAI}\n");
        scene.world.write(ENV, &env);
        let run = scene.run(&["migrate", "--yes"]).fails(1);
        assert!(run.stderr.contains("clawkeep migrate --for-run"), "{run}");
        assert_eq!(scene.world.read(ENV), env.as_bytes());
        let run = scene.run(&["migrate", "--yes", "--for-run"]).ok();
        assert!(
            run.stderr
                .contains("clawkeep run --env OPENAI_API_KEY=openai:default"),
            "{run}"
        );
        assert_eq!(scene.world.read(ENV), b"");
        scene
            .world
            .put_on_path("printenv", std::path::Path::new("/usr/bin/printenv"));
        let run = scene.run(&["run", "--", "printenv", "OPENAI_API_KEY"]).ok();
        assert_eq!(run.stdout.trim(), OPENAI);
    }
}

#[test]
fn a_vault_comes_first_but_a_look_needs_none() {
    let scene = Scene::without_vault("2026.6.1");
    scene.world.write(ENV, format!("OPENAI_API_KEY={OPENAI}\n"));
    let run = scene.run(&["migrate", "--dry-run"]).ok();
    assert!(run.stdout.contains("openai:default"), "{run}");
    assert!(run.stderr.contains("There is no vault yet"), "{run}");
    let run = scene.run(&["migrate", "--yes"]).fails(1);
    assert!(run.stderr.contains("there is no vault"), "{run}");
}

/// What came into the vault while the question waited is newer than what was listed.
#[test]
fn a_value_that_was_stored_since_is_not_written_over() {
    let scene = Scene::new("2026.6.1");
    scene.world.write(ENV, format!("OPENAI_API_KEY={OPENAI}\n"));
    let mut pty = Pty::start(scene.cmd(&["migrate"]));
    pty.expect("Move these into the vault?");
    let args = ["models", "auth", "paste-api-key", "--provider", "openai"];
    let args = [&args[..], &["--profile-id", "openai:default"]].concat();
    let _ = scene.cmd(&args).stdin(OTHER).run().ok();
    pty.send_line("y");
    let run = pty.finish().run.fails(1);
    assert!(
        run.stdout.contains("another value for openai:default"),
        "{run}"
    );
    assert_eq!(get(&scene, "openai:default"), OTHER);
    assert!(scene.show(ENV).contains(OPENAI));
}

/// One of two profiles with one key stays: its place keeps the key, and it is not said to be stored.
#[test]
fn a_place_that_stays_keeps_a_value_that_goes_elsewhere() {
    let scene = Scene::new("2026.6.1");
    let profile = |provider: &str| serde_json::json!({"type": "api_key", "provider": provider, "key": OPENAI});
    let profiles = serde_json::json!({"version": 1, "profiles": {
        "moonshot:default": profile("moonshot"), "kimi:default": profile("kimi")}});
    scene
        .world
        .write(crate::home::PROFILES, profiles.to_string());
    let run = scene.run(&["migrate", "--yes"]);
    let left: serde_json::Value =
        serde_json::from_slice(&scene.world.read(crate::home::PROFILES)).unwrap();
    let list = scene.run(&["secret", "list"]).ok().stdout;
    for id in ["moonshot:default", "kimi:default"] {
        let profile = &left["profiles"][id];
        let is_stored = list.contains(id) && profile["keyRef"]["source"] == "exec";
        let is_left = !list.contains(id) && profile["key"] == OPENAI;
        assert!(is_stored || is_left, "{id}: {left:#}\n{list}\n{run}");
    }
}
