//! `clawkeep resolve` is OpenClaw's exec protocol 1, as the gateway calls it: no environment, one
//! process per batch, every id answered.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;

use common::World;
use common::vault::{PASSPHRASE, request};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

const PROFILES: &str = ".local/share/clawkeep/agents/main/auth-profiles.json";
const VALUE: &str = "fake-value-0123456789";

fn ready() -> World {
    let world = World::new();
    world.init();
    world
}

fn code(answer: &Value, id: &str) -> String {
    answer["errors"][id]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn several_ids_are_answered_each_for_itself_with_an_empty_environment() {
    let world = ready();
    world.set("a/one", VALUE);
    world.set("b:two", "fake \"quoted\"\nsecond line\t\u{e4}");
    let request = r#"{"protocolVersion":1,"provider":"x","ids":["a/one","b:two","absent","a/one","not an id","provider/anthropic","provider/X-AI"],"later":{"deep":[1,null]},"more":true}"#;
    let run = world.resolve_cmd(request).run().ok();
    assert_eq!(run.stderr, "");
    let answer = run.json();
    assert_eq!(answer["protocolVersion"], 1);
    assert_eq!(
        answer["values"],
        json!({"a/one": VALUE, "b:two": "fake \"quoted\"\nsecond line\t\u{e4}"})
    );
    assert_eq!(code(&answer, "absent"), "NOT_FOUND");
    assert_eq!(code(&answer, "not an id"), "INVALID_ID");
    assert_eq!(code(&answer, "provider/anthropic"), "NOT_FOUND");
    assert_eq!(code(&answer, "provider/X-AI"), "INVALID_ID");
    // 2026.6.1 prints these texts in its log.
    for (id, error) in answer["errors"].as_object().unwrap() {
        assert!(
            !error["message"].as_str().unwrap().contains(id.as_str()),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_request_is_refused_without_repeating_it() {
    let world = ready();
    let needle = "sk-fake-in-a-request-0123456789";
    let cases = [
        String::new(),
        needle.to_owned(),
        format!("{{\"protocolVersion\":1,\"ids\":\"{needle}\"}}"),
        format!("{{\"protocolVersion\":2,\"ids\":[\"{needle}\"]}}"),
        format!("{{\"protocolVersion\":\"{needle}\",\"ids\":[]}}"),
        format!("{{\"ids\":[\"{needle}\"]}}"),
        format!("[\"{needle}\"]"),
        format!("{{\"protocolVersion\":1,\"ids\":[\"{needle}\"]}} {needle}"),
        format!(
            "{{\"protocolVersion\":1,\"ids\":[\"{}{needle}\"]}}",
            "x".repeat(300_000)
        ),
        "[".repeat(100_000),
    ];
    for case in cases {
        let run = world.resolve_cmd(case).run().fails(1);
        assert_eq!(run.stdout, "");
        assert!(!run.stderr.is_empty());
        assert!(!run.stderr.contains(needle), "{run}");
    }
    let run = world.resolve_cmd(b"\xff\xfe\0".to_vec()).run().fails(1);
    assert!(run.stderr.contains("no request"), "{run}");
}

#[test]
fn as_many_ids_as_openclaw_asks_for_are_answered_and_one_more_is_refused() {
    let world = ready();
    world.set("id/7", VALUE);
    let ids: Vec<String> = (0..513).map(|n| format!("id/{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let answer = world.resolve(&ids[..512]);
    assert_eq!(answer["values"], json!({"id/7": VALUE}));
    assert_eq!(answer["errors"].as_object().unwrap().len(), 511);
    let run = world.resolve_cmd(request(&ids)).run().fails(1);
    assert!(run.stderr.contains("513"), "{run}");
}

#[test]
fn what_does_not_fit_is_said_for_that_id_and_the_rest_resolves() {
    let world = ready();
    world.set("large", &"x".repeat(60_000));
    world.set("small", VALUE);
    let dir = world.vault();
    let run = world
        .cmd(&[
            "resolve",
            "--vault",
            dir.to_str().unwrap(),
            "--max-output",
            "4096",
        ])
        .stdin(request(&["large", "small"]))
        .run()
        .ok();
    assert!(run.stdout.len() <= 4096);
    let answer = run.json();
    assert_eq!(answer["values"], json!({"small": VALUE}));
    assert_eq!(code(&answer, "large"), "OUTPUT_LIMIT");
}

#[test]
fn a_reader_that_has_gone_is_silence() {
    let world = ready();
    world.set("id", VALUE);
    let mut child = world
        .resolve_cmd("")
        .into_std()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    std::io::Write::write_all(
        &mut child.stdin.take().unwrap(),
        request(&["id"]).as_bytes(),
    )
    .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn closed_standard_descriptors_are_an_error_and_no_crash() {
    let world = ready();
    let binary = env!("CARGO_BIN_EXE_clawkeep");
    let sh = |script: String| world.program(Path::new("/bin/sh"), &["-c", &script]).run();
    let run = sh(format!("exec {binary} resolve <&-")).fails(1);
    assert!(run.stderr.contains("no request"), "{run}");
    let _ = sh(format!("exec {binary} resolve <&- >&- 2>&-")).fails(1);
}

#[test]
fn sixteen_calls_at_once_are_all_answered() {
    let world = ready();
    world.set("id", VALUE);
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| world.resolve(&["id"])))
            .collect();
        for call in calls {
            assert_eq!(call.join().unwrap()["values"]["id"], VALUE);
        }
    });
}

fn selected(world: &World, provider: &str) -> Value {
    let id = format!("provider/{provider}");
    world.resolve(&[&id])["values"][&id].clone()
}

fn edit(world: &World, change: impl FnOnce(&mut Value)) {
    let mut profiles: Value = serde_json::from_slice(&world.read(PROFILES)).unwrap();
    change(&mut profiles);
    world.write(PROFILES, profiles.to_string());
}

#[test]
fn a_selection_follows_order_and_expiry_and_is_never_empty_handed() {
    let world = ready();
    for name in ["a", "b", "c"] {
        world.paste(
            "fakeai",
            &format!("fakeai:{name}"),
            &format!("fake-value-of-{name}"),
            &["--expires-in", "30d"],
        );
    }
    edit(&world, |file| {
        file["order"] = json!({"fakeai": ["fakeai:b", "fakeai:c", "fakeai:a"]});
    });
    assert_eq!(selected(&world, "fakeai"), "fake-value-of-b");
    // Both in one batch: the selection and its profile.
    let both = world.resolve(&["provider/fakeai", "fakeai:b"]);
    assert_eq!(both["values"].as_object().unwrap().len(), 2, "{both}");
    edit(&world, |file| {
        file["profiles"]["fakeai:b"]["expires"] = json!(1000);
    });
    assert_eq!(selected(&world, "fakeai"), "fake-value-of-c");
    for name in ["fakeai:a", "fakeai:c"] {
        edit(&world, |file| {
            file["profiles"][name]["expires"] = json!(1000);
        });
    }
    assert_eq!(selected(&world, "fakeai"), "fake-value-of-b");
    assert_eq!(selected(&world, "another"), Value::Null);
}

#[test]
fn an_expiry_that_only_the_vault_knows_counts_too() {
    let world = ready();
    for (name, time) in [("a", "1ms"), ("b", "30d")] {
        let profile = format!("fakeai:{name}");
        let _ = world
            .cmd(&[
                "models",
                "auth",
                "paste-api-key",
                "--provider",
                "fakeai",
                "--profile-id",
                &profile,
                "--expires-in",
                time,
            ])
            .stdin(format!("fake-value-of-{name}"))
            .run()
            .ok();
    }
    edit(&world, |file| {
        file["order"] = json!({"fakeai": ["fakeai:a", "fakeai:b"]});
    });
    assert_eq!(selected(&world, "fakeai"), "fake-value-of-b");
}

#[test]
fn an_edited_profile_file_cannot_send_one_providers_secret_to_another() {
    let world = ready();
    world.paste("fakeai", "fakeai:manual", "fake-value-of-fakeai", &[]);
    world.paste("victim", "victim:manual", "fake-value-of-victim", &[]);
    world.set("gateway/token", "fake-gateway-token");
    for target in ["victim:manual", "gateway/token"] {
        edit(&world, |file| {
            file["profiles"]["fakeai:manual"]["tokenRef"]["id"] = json!(target);
        });
        let answer = world.resolve(&["provider/fakeai"]);
        assert_eq!(code(&answer, "provider/fakeai"), "NOT_FOUND");
        assert_eq!(answer["values"], json!({}));
    }
    for broken in ["", "{", "[]", "{\"profiles\":[]}"] {
        world.write(PROFILES, broken);
        let answer = world.resolve(&["provider/fakeai", "fakeai:manual"]);
        assert_eq!(code(&answer, "provider/fakeai"), "NOT_FOUND", "{broken}");
        assert_eq!(answer["values"]["fakeai:manual"], "fake-value-of-fakeai");
    }
}

#[test]
fn a_passphrase_alone_is_locked_for_every_id_and_no_failure() {
    let world = World::new();
    let file = world.passphrase_file("pass", PASSPHRASE);
    let _ = world
        .run(&[
            "init",
            "--slot",
            "passphrase",
            "--new-passphrase-file",
            &file,
            "--no-recovery",
        ])
        .ok();
    let run = world
        .resolve_cmd(request(&["a", "b", "provider/x"]))
        .run()
        .ok();
    let answer = run.json();
    for id in ["a", "b"] {
        assert_eq!(code(&answer, id), "LOCKED");
    }
    assert_eq!(code(&answer, "provider/x"), "LOCKED");
    assert!(run.stderr.contains("needs a person"), "{run}");
}

#[test]
fn without_a_vault_every_id_is_broken_and_the_reason_stands_on_stderr() {
    let world = World::new();
    let run = world.resolve_cmd(request(&["a"])).run().ok();
    assert_eq!(code(&run.json(), "a"), "BROKEN");
    assert!(run.stderr.contains("there is no vault"), "{run}");
}

/// A folder that cannot be written: a user of its own, since root writes everywhere.
#[test]
fn a_read_only_vault_resolves() {
    let world = ready();
    world.set("id", VALUE);
    // Its vault.json is gone, so there is something that a reader would like to note.
    std::fs::remove_file(world.vault().join("vault.json")).unwrap();
    let plain = world.root().join("plain");
    std::fs::create_dir(&plain).unwrap();
    let (vault, identity) = (plain.join("vault"), plain.join(".config/clawkeep"));
    common::vault::copy_dir(&world.vault(), &vault);
    common::vault::copy_dir(identity_dir(&world).as_path(), &identity);
    let run = as_nobody(&world, &plain, &vault, &request(&["id"]));
    assert_eq!(run["values"]["id"], VALUE);
    assert!(!vault.join("vault.json").exists());
    let mode = std::fs::metadata(&vault).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o500);
}

fn identity_dir(world: &World) -> std::path::PathBuf {
    world.identity_file().parent().unwrap().to_owned()
}

/// Runs `resolve` as a user that is not root, on a folder that is read-only to it. A test that is
/// not run by root uses its own user.
fn as_nobody(world: &World, home: &Path, vault: &Path, request: &str) -> Value {
    let root = rustix::process::geteuid().is_root();
    let binary = world.root().join("clawkeep");
    crate::common::copy_program(&binary);
    let chmod = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let mut program = binary.to_str().unwrap().to_owned();
    let mut args: Vec<String> = vec![
        "resolve".into(),
        "--vault".into(),
        vault.to_str().unwrap().into(),
    ];
    if root {
        chmod(world.root(), 0o755);
        chown_tree(home, 65534);
        args.splice(
            0..0,
            [
                "--reuid=65534".into(),
                "--clear-groups".into(),
                program.clone(),
            ],
        );
        "/usr/bin/setpriv".clone_into(&mut program);
    }
    chmod(vault, 0o500);
    world
        .program(Path::new(&program), &args)
        .env("HOME", home)
        .stdin(request)
        .run()
        .ok()
        .json()
}

fn chown_tree(path: &Path, uid: u32) {
    std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap().flatten() {
            chown_tree(&entry.path(), uid);
        }
    }
}
