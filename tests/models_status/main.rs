//! `models status`: what it says as a whole, on every width; what `--check` answers; what it asks a provider;
//! what others can write into the files; and what the real OpenClaw says of the same folders. Every JSON
//! document is held against the published form.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    unreachable_pub,
    dead_code,
    reason = "a panic is how a test fails, tests write files, and their parts are modules"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../link/scene.rs"]
mod scene;

mod check;
mod elsewhere;
mod form;
mod hostile;
mod live;
mod probe;
mod real;
mod said;

use common::Run;
use scene::Scene;
use serde_json::Value;

/// OpenClaw's files of agent main, below the home.
pub(crate) const STORE: &str = ".openclaw/agents/main/agent/auth-profiles.json";
/// The same, what it remembers of their use.
pub(crate) const STATE: &str = ".openclaw/agents/main/agent/auth-state.json";

/// `models status …`.
pub(crate) fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["models", "status"], more].concat()
}

/// Milliseconds since 1970, so many hours from now, and a minute more.
pub(crate) fn hours(from_now: i64) -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(now.as_millis()).unwrap() + from_now * 3_600_000 + 60_000
}

/// The document, which has the published form; the exit code is for the caller to judge.
pub(crate) fn document(run: &Run) -> Value {
    let document = run.json();
    form::assert_valid(&document);
    document
}

/// What is said of one provider below `clawkeep`.
pub(crate) fn provider<'v>(document: &'v Value, name: &str) -> &'v Value {
    let all = document["clawkeep"]["providers"].as_array().unwrap();
    all.iter()
        .find(|one| one["provider"] == name)
        .unwrap_or_else(|| panic!("no {name} in {document:#}"))
}

/// What is said of one profile of it.
pub(crate) fn profile<'v>(document: &'v Value, name: &str, id: &str) -> &'v Value {
    let all = provider(document, name)["candidates"].as_array().unwrap();
    all.iter()
        .find(|one| one["profileId"] == id)
        .unwrap_or_else(|| panic!("no {id} in {document:#}"))
}

/// A home whose OpenClaw has files: two tokens and a key, linked, and a default model.
pub(crate) fn linked() -> Scene {
    let scene = Scene::new("2026.6.1");
    scene.config("{agents:{defaults:{model:'anthropic/claude-sonnet-4-5'}}}");
    scene.paste("token", "anthropic:work", &["--expires-in", "30d"]);
    scene.paste("token", "anthropic:home", &[]);
    scene.paste("api-key", "openrouter:manual", &[]);
    let _ = scene.link(&[]).ok();
    scene
}

/// The vault stays locked from now on.
pub(crate) fn lock(scene: &Scene) {
    std::fs::remove_file(scene.world.home().join(".config/clawkeep/identity.txt")).unwrap();
}

/// Changes OpenClaw's store as JSON.
pub(crate) fn edit(scene: &Scene, change: impl FnOnce(&mut Value)) {
    let mut store: Value = serde_json::from_slice(&scene.world.read(STORE)).unwrap();
    change(&mut store);
    scene.world.write(STORE, store.to_string());
}
