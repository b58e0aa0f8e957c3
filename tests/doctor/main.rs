//! `doctor` end to end: each thing that is made wrong in an empty home is found by the check that is for
//! it, and is not found before; a locked vault stays locked; `--fix` does what it showed and no more.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

#[path = "../common/mod.rs"]
mod common;
mod elsewhere;
mod hints;
#[cfg(target_os = "linux")]
mod keychain;
#[cfg(target_os = "linux")]
#[path = "../keyring/mod.rs"]
#[allow(
    dead_code,
    reason = "every test program compiles this and uses its part"
)]
mod keyring;
mod link;
mod vault;

use common::vault::SETUP_TOKEN;
use common::{Run, World};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Checks by id: `ok`, `skipped`, or the severity of a finding with what it says.
fn checks(run: &Run) -> BTreeMap<String, String> {
    let document = run.json();
    assert_eq!(document["version"], 1);
    let mut found = BTreeMap::new();
    for check in document["checks"].as_array().unwrap() {
        let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
        let said = match text("status").as_str() {
            "finding" => {
                let hint = text("hint");
                assert!(hints::can_be_typed(&hint), "{check}");
                for command in hints::commands(&hint) {
                    let args = command.iter().map(std::ffi::OsString::from);
                    let parsed = clawkeep::cli::usage::parse(args);
                    assert!(parsed.is_ok_and(|cli| cli.is_ok()), "{check}");
                }
                format!("{}: {}", text("severity"), text("message"))
            }
            "skipped" => text("message"),
            "ok" => "ok".to_owned(),
            other => panic!("no status: {other}"),
        };
        let known = found.entry(text("id")).or_insert_with(String::new);
        if !known.is_empty() {
            known.push('\n');
        }
        known.push_str(&said);
    }
    found
}

trait Doctor {
    fn doctor(&self) -> BTreeMap<String, String>;
    fn says(&self, id: &str) -> String;
}

impl Doctor for World {
    fn doctor(&self) -> BTreeMap<String, String> {
        checks(&self.run(&["doctor", "--json"]))
    }

    fn says(&self, id: &str) -> String {
        self.doctor().remove(id).unwrap()
    }
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A package of that version on the PATH: only its package.json is read where refs go into a file.
fn install_openclaw(world: &World, version: &str) {
    let entry = world.write(".npm/openclaw/openclaw.mjs", "process.exit(1)\n");
    set_mode(&entry, 0o755);
    world.write(
        ".npm/openclaw/package.json",
        format!(r#"{{"name":"openclaw","version":"{version}"}}"#),
    );
    world.put_on_path("openclaw", &entry);
    let node = world.write(".npm/node", "#!/bin/sh\nexit 1\n");
    set_mode(&node, 0o755);
    world.put_on_path("node", &node);
}

/// The program where OpenClaw takes it, in this world.
fn install_clawkeep(world: &World) -> std::path::PathBuf {
    let program = world.write(".local/bin/clawkeep", "");
    crate::common::copy_program(&program);
    set_mode(&program, 0o755);
    program
}

/// openclaw.json with our entry and more.
fn configure(world: &World, entry: &Value, more: &[(&str, Value)]) {
    let mut config = serde_json::json!({"secrets": {"providers": {"clawkeep": entry}}});
    for (key, value) in more {
        config[*key] = value.clone();
    }
    world.write(".openclaw/openclaw.json", config.to_string());
}

fn entry(world: &World) -> Value {
    serde_json::json!({
        "source": "exec",
        "command": world.home().join(".local/bin/clawkeep"),
        "args": ["resolve", "--vault", world.vault()],
        "timeoutMs": 60_000,
        "noOutputTimeoutMs": 60_000,
    })
}

fn reference(id: &str) -> Value {
    serde_json::json!({"source": "exec", "provider": "clawkeep", "id": id})
}

fn provider_ref(name: &str) -> (&'static str, Value) {
    let id = format!("provider/{name}");
    let providers = serde_json::json!({"providers": {name: {"apiKey": reference(&id)}}});
    ("models", providers)
}

/// A vault with a key of anthropic, an OpenClaw that asks for it, and nothing wrong.
fn linked() -> World {
    let world = World::new();
    world.init();
    install_openclaw(&world, "2026.6.1");
    install_clawkeep(&world);
    world.paste("anthropic", "anthropic:work", SETUP_TOKEN, &[]);
    configure(&world, &entry(&world), &[provider_ref("anthropic")]);
    world
}

const AUTH: &str = ".openclaw/agents/main/agent/auth-profiles.json";

fn store(profiles: &Value) -> String {
    serde_json::json!({"version": 1, "profiles": profiles}).to_string()
}
