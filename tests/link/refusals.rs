//! What stands in the way of a link: said clearly, with nothing half written.

use crate::scene::{Scene, set_mode};
use std::os::unix::fs::symlink;

fn scene(version: &str) -> Scene {
    let scene = Scene::new(version);
    scene.paste("token", "anthropic:work", &[]);
    scene
}

/// The link fails with this text, and nothing below the home is another than before but the vault's
/// own folder.
#[track_caller]
fn refused(scene: &Scene, args: &[&str], code: i32, said: &str) {
    let vault = scene.world.home().join(".local/share");
    let tree = || {
        let mut tree = scene.world.tree();
        tree.retain(|path, _| !path.starts_with(&vault));
        tree
    };
    let before = tree();
    let run = scene.run(args).fails(code);
    assert!(run.stderr.contains(said), "{run}");
    assert!(run.stderr.contains("hint: "), "{run}");
    assert!(before == tree(), "{run}");
    assert!(
        !scene
            .calls()
            .contains("secrets apply --from PLAN --json --allow-exec"),
        "{run}"
    );
}

const LINK: [&str; 2] = ["link", "--yes"];

#[test]
fn a_configuration_that_is_not_what_it_should_be_is_refused() {
    for version in ["2026.6.1", "2026.9.6"] {
        let scene = scene(version);
        let path = scene.world.home().join(".openclaw/openclaw.json");
        for (text, said) in [
            ("{ gateway: ", "is not readable as JSON5"),
            ("[]", "is not readable as JSON5"),
            (
                "{ \"token\": \"fake-secret-0123\" \"x\" }",
                "is not readable as JSON5",
            ),
            ("", "is not readable as JSON5"),
        ] {
            scene.config(text);
            refused(&scene, &LINK, 1, said);
        }
        scene
            .world
            .write(".openclaw/openclaw.json", b"{ \"x\": \"\xff\" }");
        refused(&scene, &LINK, 1, "is not UTF-8 text");
        scene.config(&format!("{{ x: \"{}\" }}", "a".repeat(9 * 1024 * 1024)));
        refused(&scene, &LINK, 1, "is larger than");
        scene.config("{ secrets: {}, secrets: {} }");
        refused(&scene, &LINK, 1, "twice");
        scene.config("{ models: { $include: './models.json5' } }");
        set_mode(&path, 0o660);
        refused(&scene, &LINK, 1, "is open to other users");
        let real = scene.world.write("dotfiles/openclaw.json", "{}");
        std::fs::remove_file(&path).unwrap();
        symlink(&real, &path).unwrap();
        refused(&scene, &LINK, 1, "is a symbolic link");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        refused(&scene, &LINK, 1, "is not a regular file");
    }
}

#[test]
fn profiles_that_cannot_be_read_are_refused() {
    let scene = scene("2026.6.1");
    let theirs = ".openclaw/agents/main/agent/auth-profiles.json";
    for text in [
        "{",
        "[]",
        "{\"profiles\": 3}",
        "{\"anthropic\": {\"type\": \"token\"}}",
        "",
    ] {
        scene.world.write(theirs, text);
        refused(&scene, &LINK, 1, "auth-profiles.json");
    }
    scene.world.write(theirs, " ".repeat(9 * 1024 * 1024));
    refused(&scene, &LINK, 1, "is larger than");
}

#[test]
fn a_file_of_an_older_version_is_to_be_imported_first() {
    for version in ["2026.6.5", "2026.9.6"] {
        let scene = scene(version);
        let theirs = ".openclaw/agents/main/agent/auth-profiles.json";
        let profile = r#"{"version":1,"profiles":{"groq:a":{"type":"api_key","provider":"groq","key":"fake"}}}"#;
        scene.world.write(theirs, profile);
        refused(
            &scene,
            &LINK,
            1,
            "hint: openclaw doctor --fix, then: clawkeep link",
        );
        scene.world.write(theirs, "{\"version\":1,\"profiles\":{}}");
        // Even an empty one: 2026.9.6 works with no provider then.
        refused(&scene, &LINK, 1, "hint: openclaw doctor --fix");
    }
    let scene = scene("2026.9.6");
    scene.hook(
        "case \"$*\" in *list*) echo 'x code=AUTH_PROFILE_MIGRATION_REQUIRED' >&2; exit 1 ;; esac",
    );
    refused(&scene, &LINK, 1, "hint: openclaw doctor --fix");
}

#[test]
fn a_program_that_openclaw_would_not_run_is_refused_with_the_fix() {
    let scene = scene("2026.9.6");
    let own = scene.world.home().join(".local/bin/clawkeep");
    // Its own copy: the scene's is the built one by another name.
    let copy = own.with_extension("copy");
    std::fs::copy(&own, &copy).unwrap();
    std::fs::rename(&copy, &own).unwrap();
    set_mode(&own, 0o775);
    refused(&scene, &LINK, 1, "others may write it");
    let run = scene.link(&[]).fails(1);
    assert!(run.stderr.contains("hint: chmod go-w "), "{run}");
    set_mode(&own, 0o755);
    // A link to it is no matter: what is written is where it leads.
    let elsewhere = scene.world.home().join("clawkeep");
    symlink(&own, &elsewhere).unwrap();
    let _ = scene.world.program(&elsewhere, &LINK).run().ok();
    assert!(scene.config_text().contains(own.to_str().unwrap()));
}

#[test]
fn from_a_build_folder_it_puts_itself_into_place_when_told() {
    let scene = scene("2026.9.6");
    std::fs::remove_file(scene.world.home().join(".local/bin/clawkeep")).unwrap();
    let built = |args: &[&str]| scene.world.run(args);
    let run = built(&["link"]).fails(1);
    assert!(
        run.stderr
            .contains("hint: put it into ~/.local/bin: clawkeep link --install"),
        "{run}"
    );
    let run = built(&["link", "--dry-run"]).ok();
    assert!(run.stderr.contains("Would put clawkeep into"), "{run}");
    assert!(!scene.world.home().join(".local/bin/clawkeep").exists());
    // A folder that is a link itself: both times the same path is written.
    let bin = scene.world.home().join(".local/bin");
    std::fs::rename(&bin, scene.world.home().join("bin")).unwrap();
    symlink(scene.world.home().join("bin"), &bin).unwrap();
    let _ = built(&["link", "--install", "--yes"]).ok();
    let before = scene.world.tree();
    let _ = built(&["link", "--yes"]).ok();
    assert!(before == scene.world.tree());
    assert!(
        scene
            .config_text()
            .contains(scene.world.home().join("bin/clawkeep").to_str().unwrap())
    );
}

#[test]
fn a_vault_that_only_a_person_opens_is_refused() {
    let scene = Scene::without_vault("2026.9.6");
    let file = scene.world.write("passphrase", "fake passphrase\n");
    let file = file.to_str().unwrap();
    let init = [
        "init",
        "--custody",
        "file",
        "--slot",
        "passphrase",
        "--no-recovery",
        "--new-passphrase-file",
        file,
    ];
    let _ = scene.run(&init).ok();
    let link = ["--passphrase-file", file, "link", "--yes"];
    refused(
        &scene,
        &link,
        1,
        "hint: open it first: clawkeep unlock, or add a slot that opens by itself: clawkeep slot add identity-file",
    );
}

#[test]
fn nobody_to_ask_and_nothing_to_link_are_said() {
    let scene = scene("2026.9.6");
    refused(&scene, &["link"], 64, "add --yes");
    refused(
        &scene,
        &["link", "--yes", "--order", "anthropic"],
        64,
        "--order is",
    );
    refused(
        &scene,
        &["link", "--yes", "--order", "anthropic=anthropic:none"],
        64,
        "does not have",
    );
    refused(
        &scene,
        &["link", "--yes", "--openclaw", "/nowhere"],
        1,
        "/nowhere",
    );
    std::fs::remove_file(scene.world.bin().join("openclaw")).unwrap();
    refused(&scene, &LINK, 1, "was not found on PATH");
}

#[test]
fn a_folder_that_cannot_be_written_is_said() {
    let scene = scene("2026.9.6");
    let run = scene
        .cmd(&LINK)
        .env("OPENCLAW_CONFIG_PATH", "/proc/clawkeep-test/openclaw.json")
        .run()
        .fails(1);
    assert!(run.stderr.contains("/proc/clawkeep-test"), "{run}");
}

/// A provider whose place is taken is left as it is; the others are linked, and the exit code says
/// that something is left.
#[test]
fn a_taken_place_holds_up_no_other_provider() {
    let scene = scene("2026.9.6");
    scene.paste("api-key", "openrouter:a", &[]);
    for taken in [
        "'fake-key-0123456789'",
        "'${KEY}'",
        "{ source: 'env', provider: 'default', id: 'KEY' }",
    ] {
        scene.config(&format!(
            "{{ models: {{ providers: {{ openrouter: {{ apiKey: {taken} }} }} }} }}\n"
        ));
        let run = scene.link(&[]).fails(1);
        assert!(
            run.stderr.contains(
                "hint: openclaw config unset models.providers.openrouter.apiKey && clawkeep link"
            ),
            "{run}"
        );
        assert!(!run.stderr.contains("fake-key-0123456789"), "{run}");
        let text = scene.config_text();
        assert!(
            text.contains(taken) && text.contains("provider/anthropic"),
            "{text}"
        );
    }
}

/// A provider that OpenClaw does not bring along may not stand in openclaw.json with a reference and
/// nothing else: OpenClaw would refuse every command.
#[test]
fn a_provider_that_only_a_plugin_knows_gets_profile_refs() {
    let scene = scene("2026.9.6");
    scene.paste("api-key", "mine:a", &[]);
    let run = scene.link(&[]).ok();
    assert!(
        run.stderr.contains("mine gets refs in its profiles"),
        "{run}"
    );
    assert!(!scene.config_text().contains("mine"), "{run}");
    scene.config(
        "{ models: { providers: { mine: { baseUrl: 'http://127.0.0.1:1', models: [] } } } }\n",
    );
    let _ = scene.link(&[]).ok();
    assert!(scene.config_text().contains("provider/mine"));
}

/// What OpenClaw would refuse to start with is never written.
#[test]
fn a_configuration_that_openclaw_would_refuse_is_not_written() {
    let scene = scene("2026.9.6");
    scene.config("{}\n");
    scene.hook("case \"$*\" in 'config validate') grep -q provider/anthropic \"$OPENCLAW_CONFIG_PATH\" && exit 1 ;; esac");
    refused(&scene, &LINK, 1, "would refuse openclaw.json");
}
