//! What others can write into the files, and what people can type.

use super::*;
use serde_json::json;

#[test]
fn a_broken_file_is_an_error_and_is_left_alone() {
    let scene = linked();
    let good = scene.world.read(STORE);
    let config = scene.config_text();
    for (place, text) in [
        (STORE, "{\"profiles\":{\"groq:1\":{\"key\":\"sk-FAKE-SECRET"),
        (STORE, "[]"),
        (STORE, "{\"profiles\":7}"),
        (STORE, ""),
        (STATE, "{\"order\":"),
        (".openclaw/openclaw.json", "{gateway: sk-FAKE-SECRET"),
    ] {
        scene.world.write(STORE, &good);
        scene.world.write(STATE, r#"{"version":1}"#);
        scene.config(&config);
        scene.world.write(place, text);
        for flags in [&["--json"][..], &["--check", "--json"]] {
            let run = scene.run(&args(flags)).fails(1);
            assert_eq!(document(&run)["error"]["kind"], "broken", "{run}");
            assert!(
                !run.stdout.contains("FAKE") && !run.stderr.contains("FAKE"),
                "{run}"
            );
        }
        assert_eq!(scene.world.read(place), text.as_bytes(), "{text}");
    }
}

#[test]
fn names_in_a_file_cannot_drive_a_terminal_and_values_are_not_shown() {
    let scene = linked();
    edit(&scene, |store| {
        store["profiles"]["groq:\u{202e}txt"] =
            json!({"type": "api_key", "provider": "groq", "key": "sk-FAKE-SECRET"});
        store["profiles"]["groq:\u{1b}[2J"] =
            json!({"type": "api_key", "provider": "groq", "key": "sk-FAKE-SECRET"});
        store["profiles"]["groq: $(reboot)"] = json!({"type": "token", "provider": "groq", "token": "sk-FAKE-SECRET", "expires": 1e300});
        store["profiles"]["groq:old"] =
            json!({"type": "token", "provider": "groq", "token": "sk-FAKE-SECRET", "expires": 1});
        store["order"] = json!({"groq": ["groq:\u{202e}txt", "groq:\u{1b}[2J", 7, null, {}]});
        store["usageStats"] = json!({"groq:\u{202e}txt": {"cooldownUntil": 8.0e15, "cooldownReason": "\u{1b}[31msk-FAKE-SECRET",
            "lastFailureAt": 8.64e15, "errorCount": 1e300}});
    });
    let config = json!({"agents": {"defaults": {"model": {"primary": "groq/\u{1b}[2J\u{202e}x", "fallbacks": ["\u{1b}]0;x\u{7}/y"]},
        "imageModel": "a\u{1b}b/c", "models": {"groq/\u{1b}[31m": {"alias": "\u{1b}[32m"}}}},
        "models": {"providers": {"groq": {"apiKey": "sk-FAKE-SECRET", "baseUrl": "https://\u{1b}[2J"}, "\u{1b}": {"apiKey": "sk-FAKE-SECRET"}}},
        "env": {"OPENAI_API_KEY": "sk-FAKE-SECRET", "vars": {"XAI_API_KEY": "sk-FAKE-SECRET"}},
        "meta": {"lastTouchedVersion": "\u{1b}[2J"}});
    let linked: Value = serde_json::from_str(&scene.config_text()).unwrap_or_default();
    let mut config = config;
    config["secrets"] = linked["secrets"].clone();
    scene.config(&config.to_string());
    scene.world.write(
        ".openclaw/.env",
        b"MISTRAL_API_KEY=sk-FAKE-SECRET\n\x1b[2J=x\n\xff\xfe",
    );
    for flags in [&[][..], &["--json"], &["--check"], &["--plain"]] {
        let run = scene.run(&args(flags));
        assert!(run.code <= 1, "{run}");
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(
            !said.contains("SECRET") && !said.contains('\u{1b}'),
            "{said}"
        );
        // JSON may hold it: it is no terminal's.
        assert!(flags == ["--json"] || !said.contains('\u{202e}'), "{said}");
    }
    let document = document(&scene.run(&args(&["--json"])).ok());
    assert_eq!(
        provider(&document, "mistral")["env"]["place"],
        "~/.openclaw/.env"
    );
    assert_eq!(
        provider(&document, "xai")["env"]["place"],
        "env.vars of ~/.openclaw/openclaw.json"
    );
}

#[test]
fn a_dotenv_that_cannot_be_read_is_said() {
    let scene = linked();
    std::os::unix::fs::symlink("/etc/passwd", scene.world.home().join(".openclaw/.env")).unwrap();
    let document = document(&scene.run(&args(&["--json"])).ok());
    let notes = document["clawkeep"]["notes"].to_string();
    assert!(
        notes.contains(".env") && notes.contains("not read"),
        "{notes}"
    );
}

#[test]
fn what_is_typed_wrong_is_not_repeated() {
    let scene = linked();
    for more in [
        &["--agent", "../sk-FAKE-SECRET"][..],
        &["--warn-within", "sk-FAKE-SECRET"],
        &["--warn-within", "12"],
        &["--warn-within", "0s"],
        &["--probe", "--probe-timeout", "sk-FAKE-SECRET"],
        &["--require-proof"],
        &["--probe-timeout", "3s"],
        &["--json", "--plain"],
        &["--plain", "--probe"],
        &["sk-FAKE-SECRET"],
    ] {
        let run = scene.run(&args(more)).fails(64);
        assert!(
            !format!("{}{}", run.stdout, run.stderr).contains("SECRET"),
            "{run}"
        );
        assert!(run.stderr.contains("hint: "), "{run}");
        if !more.contains(&"--plain") {
            let run = scene.run(&args(&[more, &["--json"]].concat())).fails(64);
            assert_eq!(document(&run)["error"]["kind"], "usage");
        }
    }
}
