//! Kills while OpenClaw's files are changed, with a stand-in in OpenClaw's place.
//!
//! Promise: the gateway's token is in `openclaw.json` or in the vault at every instant, and whatever
//! OpenClaw's files refer to, the resolver that they name answers.

use super::common::vault::request;
use super::lab::{Lab, VALUE, gives, ready};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const TOKEN: &str = "fake-gateway-token-0123456789";
const KEY: &str = "fake-key-of-the-provider";

const OPENCLAW: &str = r#"#!/bin/sh
case "$1 $2" in
  "--version ") echo 'OpenClaw 2026.6.1 (fake)' ;;
  "secrets audit") echo '{"status":"clean","resolution":{"refsChecked":1},"summary":{},"findings":[]}' ;;
esac
"#;

/// The folder of the installed program: outside the home, which is copied for each kill.
struct Bin(tempfile::TempDir);

/// A vault with a key of a provider, and an OpenClaw with a token in the clear, also in a backup.
fn lab() -> (Lab, Bin) {
    let lab = Lab::with_vault();
    let world = &lab.world;
    let bin = tempfile::tempdir().unwrap();
    crate::common::copy_program(bin.path().join("clawkeep"));
    std::os::unix::fs::symlink(bin.path(), world.home().join(".local/bin")).unwrap();
    let program = world.bin().join("openclaw");
    std::fs::write(&program, OPENCLAW).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = format!("{{ // mine\n  gateway: {{ auth: {{ token: '{TOKEN}' }} }},\n}}\n");
    world.write(".openclaw/openclaw.json", &config);
    world.write(".openclaw/openclaw.json.bak", &config);
    let paste = ["models", "auth", "paste-api-key", "--provider", "fakeai"];
    let _ = world.cmd(&paste).stdin(KEY).run().ok();
    (lab, Bin(bin))
}

fn config(lab: &Lab) -> (String, Value) {
    let text = String::from_utf8(lab.world.read(".openclaw/openclaw.json")).unwrap();
    let without = text.replace("// mine", "");
    let json = clawkeep::openclaw::config::Config::parse(without.as_bytes(), Path::new("x"));
    let json = json.unwrap();
    (
        text,
        json.get(&["secrets", "providers", "clawkeep"])
            .unwrap_or_default(),
    )
}

/// Asks as the gateway would, if OpenClaw's files refer to the vault.
fn check(lab: &Lab, point: &str) {
    let (text, entry) = config(lab);
    assert!(text.contains("// mine"), "{point}");
    let plain = text.contains(TOKEN);
    let refers = text.contains("gateway/token");
    assert!(plain != refers, "{text}\n{point}");
    let profiles = lab
        .world
        .home()
        .join(".openclaw/agents/main/agent/auth-profiles.json");
    let profiles = std::fs::read_to_string(profiles).unwrap_or_default();
    let mut ids = Vec::new();
    ids.extend(refers.then_some(("gateway/token", TOKEN)));
    ids.extend(
        profiles
            .contains("fakeai:manual")
            .then_some(("fakeai:manual", KEY)),
    );
    let Some(command) = entry["command"].as_str() else {
        assert!(ids.is_empty(), "{point}");
        return;
    };
    let args: Vec<&str> = entry["args"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let names: Vec<&str> = ids.iter().map(|(id, _)| *id).collect();
    let mut cmd = lab
        .world
        .program(Path::new(command), &args)
        .stdin(request(&names));
    for name in ["HOME", "PATH", "TMPDIR", "XDG_RUNTIME_DIR", "LANG"] {
        cmd = cmd.env_remove(name);
    }
    let answer = cmd.run().ok().json();
    for (id, value) in ids {
        assert_eq!(answer["values"][id], value, "{point}");
    }
}

#[test]
fn a_killed_link_leaves_nothing_unresolvable_and_can_be_run_again() {
    if !ready() {
        return;
    }
    let (lab, bin) = lab();
    let args = ["link", "--yes", "--install"];
    lab.kill_everywhere(&args, "", |lab, point| {
        check(lab, point);
        let run = lab.world.run(&args);
        assert!(run.code == 0, "{run:#}\n{point}");
        check(lab, point);
        assert!(lab.world.search_home(TOKEN).is_empty(), "{point}");
        assert!(lab.world.search_home(KEY).is_empty(), "{point}");
        gives(lab.get(&[]), VALUE, point);
    });
    drop(bin.0);
}

#[test]
fn a_killed_rekey_of_a_linked_vault_leaves_the_gateway_a_start() {
    if !ready() {
        return;
    }
    let (lab, bin) = lab();
    let _ = lab
        .world
        .run(&["slot", "remove", "passphrase", "--yes"])
        .ok();
    let _ = lab.world.run(&["link", "--yes", "--install"]).ok();
    lab.kill_everywhere(&["rekey", "--yes"], "", |lab, point| {
        check(lab, point);
        let _ = lab.set("s/two", VALUE).ok();
        check(lab, point);
        let run = lab.world.run(&["rekey", "--yes"]);
        assert!(run.code == 0, "{run:#}\n{point}");
        check(lab, point);
        let (_, entry) = config(lab);
        let pins = entry["args"].as_array().unwrap().len();
        assert_eq!(pins, 5, "one id is pinned; {point}");
    });
    drop(bin.0);
}

#[test]
fn a_killed_unlink_can_be_run_again() {
    if !ready() {
        return;
    }
    let (lab, bin) = lab();
    let _ = lab.world.run(&["link", "--yes", "--install"]).ok();
    lab.kill_everywhere(&["unlink", "--yes"], "", |lab, point| {
        let run = lab.world.run(&["unlink", "--yes"]);
        assert!(
            run.code == 0 || run.stderr.contains("not linked"),
            "{run:#}\n{point}"
        );
        let (text, entry) = config(lab);
        assert!(!text.contains("clawkeep"), "{text}\n{point}");
        assert!(entry.is_null(), "{point}");
        gives(lab.get(&[]), VALUE, point);
        let run = lab.world.run(&["secret", "get", "fakeai:manual"]);
        gives(run, KEY, point);
        let list = lab.world.run(&["models", "auth", "list"]).ok();
        assert!(list.stdout.contains("fakeai:manual"), "{list:#}\n{point}");
        let _ = lab.set("s/two", VALUE).ok();
    });
    drop(bin.0);
}
