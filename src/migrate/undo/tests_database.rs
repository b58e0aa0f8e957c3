//! Values that return to OpenClaw's database, with a program in OpenClaw's place.

use super::tests::{CONFIG, Scene, VALUE, config_before, with_config};
use super::*;
use crate::expiry::Millis;
use crate::file;
use crate::provider::{AgentId, ProviderId};
use crate::secret::{Alphabet, Secret, SecretKind};
use crate::vault::undo::{Planted, WasOrder, WasValue};

const STAND_IN: &str = r#"#!/bin/sh
d=@DIR@
printf '%s\n' "$*" >> $d/calls
@MORE@
agent=main; id=; prev=
for word; do
  [ "$prev" = --agent ] && agent=$word
  case $word in --profile-id=*) id=${word#*=} ;; esac
  prev=$word
done
case "$*" in
  *paste-*)
    # Over a ref nothing is stored.
    [ -f "$d/db/$agent $id" ] && exit 1
    cat > "$d/db/$agent $id"
    sed '/mine/d' @CONFIG@ > @CONFIG@.new && mv @CONFIG@.new @CONFIG@ ;;
  *logout*) rm "$d/db/$agent $prev" ;;
  *list*)
    printf '{"profiles":['; comma=
    for file in "$d/db/$agent "*; do
      [ -f "$file" ] || continue
      printf '%s{"id":"%s","provider":"anthropic","type":"token"}' "$comma" "${file##* }"; comma=,
    done
    echo ']}' ;;
esac
"#;

/// A program in OpenClaw's place that notes its arguments and what it was given, and writes
/// openclaw.json anew.
fn stand_in(scene: &Scene, more: &str) -> Install {
    let dir = scene.root.with_file_name("package");
    std::fs::create_dir(&dir).unwrap();
    std::fs::create_dir(dir.join("db")).unwrap();
    for held in [
        "main anthropic:work ref",
        "main anthropic:planted ref",
        "work anthropic:work ref",
    ] {
        let (name, what) = held.rsplit_once(' ').unwrap();
        file::create(&dir.join("db").join(name), what.as_bytes(), 0o600).unwrap();
    }
    let script = STAND_IN
        .replace("@DIR@", dir.to_str().unwrap())
        .replace("@CONFIG@", scene.at(CONFIG).to_str().unwrap())
        .replace("@MORE@", more);
    file::create(&dir.join("openclaw"), script.as_bytes(), 0o755).unwrap();
    let package = br#"{"name": "openclaw", "version": "2026.9.6"}"#;
    file::create(&dir.join("package.json"), package, 0o644).unwrap();
    Install::at(&dir.join("openclaw"), None, &Host::real()).unwrap()
}

fn with_database() -> Scene {
    let mut scene = with_config();
    let provider = ProviderId::parse("anthropic").unwrap();
    for (agent, kind, expires) in [
        ("main", SecretKind::Token, Millis::new(1)),
        ("work", SecretKind::ApiKey, None),
    ] {
        scene.bundle.values.push(WasValue {
            agent: AgentId::parse(agent).unwrap(),
            profile: ProfileId::of(&provider, "work"),
            provider: provider.clone(),
            kind,
            id: SecretId::parse("anthropic:work").unwrap(),
            expires,
            value: Secret::new(VALUE.as_bytes(), Alphabet::Key).unwrap(),
        });
    }
    scene.bundle.orders.push(WasOrder {
        agent: AgentId::main(),
        provider: provider.clone(),
        before: None,
    });
    scene.bundle.planted.push(Planted {
        agent: AgentId::main(),
        profile: ProfileId::of(&provider, "planted"),
        provider,
    });
    scene
}

#[test]
fn values_return_to_the_database_over_a_pipe_and_openclaw_json_keeps_its_text() {
    let scene = with_database();
    let install = stand_in(&scene, "");
    let plan = scene.plan().unwrap();
    assert!(plan.needs_openclaw());
    let done = plan
        .apply(Some(&install), &Host::real(), &mut |_| {})
        .unwrap();
    assert_eq!(done.values, 2);
    let package = scene.root.with_file_name("package");
    let held = |name: &str| std::fs::read_to_string(package.join("db").join(name)).ok();
    for name in ["main anthropic:work", "work anthropic:work"] {
        assert_eq!(held(name), Some(format!("{VALUE}\n")), "{name}");
    }
    assert_eq!(held("main anthropic:planted"), None);
    let calls = std::fs::read_to_string(package.join("calls")).unwrap();
    assert!(!calls.contains("FAKE"), "{calls}");
    for call in [
        "models auth --agent main paste-token --provider anthropic --profile-id=anthropic:work --expires-in 1ms",
        "models auth --agent work paste-api-key --provider anthropic --profile-id=anthropic:work",
        "models auth order clear --provider anthropic --agent main",
    ] {
        assert!(calls.lines().any(|line| line == call), "{call}: {calls}");
    }
    assert_eq!(scene.text(CONFIG), config_before());
}

#[test]
fn what_openclaw_does_not_take_back_stops_before_any_file_and_can_be_tried_again() {
    for trouble in [
        "case \"$*\" in *paste*) exit 3;; esac",
        "case \"$*\" in *paste*) exit 0;; esac",
    ] {
        let scene = with_database();
        let install = stand_in(&scene, trouble);
        let plan = scene.plan().unwrap();
        let error = plan
            .apply(Some(&install), &Host::real(), &mut |_| {})
            .unwrap_err();
        assert!(
            error.message().contains("did not take the value"),
            "{error}"
        );
        assert!(!format!("{error:?}").contains("FAKE"), "{error:?}");
        assert!(!scene.text(CONFIG).contains(VALUE));
        std::fs::remove_dir_all(scene.root.with_file_name("package")).unwrap();
        let install = stand_in(&scene, "");
        scene
            .plan()
            .unwrap()
            .apply(Some(&install), &Host::real(), &mut |_| {})
            .unwrap();
        assert!(scene.text(CONFIG).contains(VALUE));
    }
    // One alone keeps nothing else from coming back.
    let scene = with_database();
    let install = stand_in(&scene, "case \"$*\" in *paste-api-key*) exit 1;; esac");
    let plan = scene.plan().unwrap();
    let done = plan
        .apply(Some(&install), &Host::real(), &mut |_| {})
        .unwrap();
    assert_eq!((done.values, done.refused.len()), (1, 1));
    assert_eq!(scene.text(CONFIG), config_before());
    // A profile of main's that the migration did not touch is not changed.
    let mut scene = with_database();
    scene.bundle.values.remove(0);
    let install = stand_in(&scene, "");
    let error = scene
        .plan()
        .unwrap()
        .apply(Some(&install), &Host::real(), &mut |_| {});
    let error = error.unwrap_err();
    assert!(error.message().contains("would change main's"), "{error}");
    let calls = std::fs::read_to_string(scene.root.with_file_name("package/calls")).unwrap();
    assert_eq!(calls.lines().count(), 1, "{calls}");
    let error = with_database().undo().unwrap_err();
    assert!(error.hint_text().unwrap().contains("--openclaw"), "{error}");
}

#[test]
fn a_value_goes_over_the_pipe_alone_and_waits_for_nobody() {
    let scene = with_config();
    let read = stand_in(&scene, "cat; env; exit 0");
    let minute = std::time::Duration::from_mins(1);
    let value = |text: &str| Secret::new(text.as_bytes(), Alphabet::Text).unwrap();
    let out = read.run_with_value(&["x"], minute, &value(VALUE)).unwrap();
    assert_eq!(out.stdout.matches(VALUE).count(), 1, "{}", out.stdout);
    assert!(out.stdout.starts_with(&format!("{VALUE}\n")));
    let error = read.run_with_value(&["x"], minute, &value("FAKE\nFAKE"));
    assert!(!error.unwrap_err().message().contains("FAKE"));
    std::fs::remove_dir_all(scene.root.with_file_name("package")).unwrap();
    // More than a pipe holds, to one that never reads.
    let deaf = stand_in(&scene, "exit 7");
    let long = value(&"x".repeat(crate::secret::MAX_SECRET));
    let out = deaf.run_with_value(&["x"], minute, &long).unwrap();
    assert_eq!(out.code, Some(7));
}
