//! `doctor` end to end: each thing that is made wrong in an empty home is found by the check that is for
//! it, and is not found before; a locked vault stays locked; `--fix` does what it showed and no more.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;

use common::vault::{PASSPHRASE, SETUP_TOKEN};
use common::{Run, World};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt as _, symlink};
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
                assert!(!text("hint").is_empty(), "{check}");
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
    std::fs::copy(env!("CARGO_BIN_EXE_clawkeep"), &program).unwrap();
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

#[test]
fn a_linked_home_is_clean() {
    let world = linked();
    let run = world.run(&["doctor", "--json"]).ok();
    assert!(run.stderr.is_empty(), "{run}");
    for (id, said) in checks(&run) {
        let is_note = said.lines().all(|line| line.starts_with("note: "));
        assert!(said == "ok" || is_note, "{id}: {said}");
    }
    let _ = world.run(&["doctor"]).ok();
}

#[test]
fn without_a_vault_and_without_openclaw_it_says_what_it_could_not_look_at() {
    let world = World::new();
    let run = world.run(&["doctor", "--json"]).fails(1);
    let said = checks(&run);
    assert!(said["vault"].starts_with("error: there is no vault in"));
    assert_eq!(said["slot-opens"], "not checked: there is no vault");
    assert_eq!(said["ref-resolves"], "not checked: OpenClaw is not linked");
    assert_eq!(run.json()["ok"], false);
}

#[test]
fn a_locked_vault_is_not_checked_and_stays_locked() {
    let world = World::new();
    let pass = world.passphrase_file("pass", PASSPHRASE);
    let args = [
        "init",
        "--slot",
        "passphrase",
        "--no-recovery",
        "--new-passphrase-file",
        &pass,
    ];
    let _ = world.run(&args).ok();
    let said = world.doctor();
    for id in [
        "rollback",
        "recovery-key",
        "token-expired",
        "claude-only-token",
    ] {
        assert_eq!(said[id], "not checked: locked", "{id}");
    }
    assert!(said["slot-opens"].starts_with("not checked: slot passphrase"));
    let run = world.run(&["doctor"]).ok();
    assert!(run.stdout.contains(" not checked: locked"), "{run}");
    let open = world
        .run(&["doctor", "--json", "--passphrase-file", &pass])
        .ok();
    let said = checks(&open);
    assert_eq!(said["slot-opens"], "ok");
    assert_eq!(said["rollback"], "ok");
}

#[test]
fn open_permissions_are_found_and_mended_after_they_were_shown() {
    let world = linked();
    let secret = world.vault().join("vault.age");
    assert_eq!(world.says("permissions"), "ok");
    set_mode(&secret, 0o644);
    set_mode(&world.vault(), 0o755);
    set_mode(&world.identity_file(), 0o640);
    let said = world.says("permissions");
    assert_eq!(said.lines().count(), 3, "{said}");
    // Nobody is there to say yes, and so nothing happens.
    let refused = world.run(&["doctor", "--fix"]).fails(64);
    assert!(refused.stderr.contains("chmod 700 "), "{refused}");
    assert!(
        refused.stderr.contains("taken back by: chmod 755 "),
        "{refused}"
    );
    assert_eq!((mode(&secret), mode(&world.vault())), (0o644, 0o755));
    let mended = world.run(&["doctor", "--fix", "--yes", "--json"]).ok();
    assert_eq!(mended.json()["mended"].as_array().unwrap().len(), 3);
    assert_eq!((mode(&secret), mode(&world.vault())), (0o600, 0o700));
    assert_eq!(mode(&world.identity_file()), 0o600);
    assert_eq!(checks(&mended)["permissions"], "ok");
    let again = world.run(&["doctor", "--fix", "--yes"]).ok();
    assert!(
        again.stderr.contains("Nothing here can be mended"),
        "{again}"
    );
}

#[test]
fn a_link_in_a_files_place_is_found_and_left_alone() {
    let world = linked();
    let away = world.root().join("away.age");
    let vault = world.vault().join("vault.age");
    std::fs::rename(&vault, &away).unwrap();
    symlink(&away, &vault).unwrap();
    assert!(world.says("permissions").contains("is a symbolic link"));
    let before = world.tree();
    let _ = world.run(&["doctor", "--fix", "--yes"]).fails(1);
    assert_eq!(world.tree(), before);
}

#[test]
fn an_older_copy_is_found_and_not_accepted() {
    let world = linked();
    let vault = world.vault().join("vault.age");
    let old = std::fs::read(&vault).unwrap();
    world.set("later", "fake-0123456789");
    assert_eq!(world.says("rollback"), "ok");
    std::fs::write(&vault, old).unwrap();
    for _ in 0..2 {
        assert!(world.says("rollback").starts_with("error: an older copy"));
    }
    let _ = world.run(&["secret", "list"]).fails(1);
}

#[test]
fn a_slot_whose_key_is_gone_does_not_open() {
    let world = linked();
    let usb = world.root().join("usb.txt");
    let usb = usb.to_str().unwrap();
    let add = [
        "slot",
        "add",
        "identity-file",
        "--name",
        "usb",
        "--identity-file",
        usb,
    ];
    let _ = world.run(&add).ok();
    assert_eq!(world.says("slot-opens"), "ok");
    std::fs::remove_file(usb).unwrap();
    let said = world.doctor();
    assert!(
        said["slot-opens"].starts_with("error: slot usb does not open the vault"),
        "{}",
        said["slot-opens"]
    );
    assert_eq!(said["rollback"], "ok", "the other slot opens it");
}

#[test]
#[cfg(target_os = "linux")]
fn a_slot_in_memory_does_not_survive_a_restart() {
    let world = linked();
    assert_eq!(world.says("slot-reboot"), "ok");
    let shm = tempfile::tempdir_in("/dev/shm").unwrap();
    let key = shm.path().join("identity.txt");
    let key = key.to_str().unwrap();
    let add = [
        "slot",
        "add",
        "identity-file",
        "--name",
        "shm",
        "--identity-file",
        key,
    ];
    let _ = world.run(&add).ok();
    assert!(
        world
            .says("slot-reboot")
            .contains("the key of slot shm lies in /dev/shm")
    );
}

#[test]
fn a_recovery_key_that_was_made_is_no_note() {
    let world = World::new();
    let sheet = world.root().join("sheet.txt");
    let args = [
        "init",
        "--slot",
        "identity-file",
        "--recovery-file",
        sheet.to_str().unwrap(),
    ];
    let _ = world.run(&args).ok();
    assert_eq!(world.says("recovery-key"), "ok");
    // Beside the vault it is as good as the vault in plaintext.
    assert!(world.says("identity-beside-vault").starts_with("note: "));
    std::fs::copy(&sheet, world.vault().join("sheet.txt")).unwrap();
    let said = world.says("identity-beside-vault");
    assert!(
        said.contains("error: ") && said.contains("sheet.txt holds a key in the clear"),
        "{said}"
    );
    assert!(!world.run(&["doctor"]).stdout.contains("AGE-SECRET-KEY"));
}

#[test]
fn a_configuration_that_asks_nobody_or_another_is_found() {
    let world = linked();
    assert_eq!(world.says("link"), "ok");
    let mut other = entry(&world);
    other["args"][2] = Value::from("/nowhere/other");
    configure(&world, &other, &[provider_ref("anthropic")]);
    assert!(
        world
            .says("link")
            .contains("asks another vault, /nowhere/other")
    );
    let mut pinned = entry(&world);
    let more = ["--vault-id".to_owned(), "0".repeat(64)];
    pinned["args"]
        .as_array_mut()
        .unwrap()
        .extend(more.map(Value::from));
    configure(&world, &pinned, &[provider_ref("anthropic")]);
    assert!(world.says("link").contains("names another vault id"));
    world.write(".openclaw/openclaw.json", "{ not: json5");
    let said = world.doctor();
    assert!(
        said["files-readable"].contains("is not readable as JSON5"),
        "{}",
        said["files-readable"]
    );
}

#[test]
fn a_program_that_openclaw_would_not_run_is_found_and_not_run() {
    let world = linked();
    let program = world.home().join(".local/bin/clawkeep");
    assert_eq!(world.says("command"), "ok");
    set_mode(&program, 0o775);
    let said = world.doctor();
    assert!(said["command"].contains("others may write it"));
    assert_eq!(
        said["ref-resolves"],
        "not checked: OpenClaw would not run the program"
    );
    let _ = world.run(&["doctor", "--fix", "--yes"]).ok();
    assert_eq!(mode(&program), 0o755);
    let real = world.home().join("clawkeep-real");
    std::fs::rename(&program, &real).unwrap();
    symlink(&real, &program).unwrap();
    assert!(world.says("command").contains("it is a symbolic link"));
}

#[test]
fn a_variable_that_the_keychain_needs_and_does_not_get_is_found() {
    let world = linked();
    assert_eq!(world.says("pass-env"), "ok");
    // What a keychain slot looks like in the list that is not secret.
    let cache = world.vault().join("vault.json");
    let text = std::fs::read_to_string(&cache).unwrap();
    let mut cached: Value = serde_json::from_str(&text).unwrap();
    cached["slots"] = serde_json::json!([{"name": "keychain", "created": 1_795_000_000_000_i64, "kind": "keychain"}]);
    std::fs::write(&cache, cached.to_string()).unwrap();
    let said = world.says("pass-env");
    assert!(
        said.contains("lacks HOME, XDG_RUNTIME_DIR, DBUS_SESSION_BUS_ADDRESS"),
        "{said}"
    );
}

#[test]
fn a_reference_to_nothing_is_found_by_asking_as_the_gateway_asks() {
    let world = linked();
    assert_eq!(world.says("ref-resolves"), "ok");
    assert_eq!(world.says("resolve-time"), "ok");
    configure(&world, &entry(&world), &[provider_ref("openrouter")]);
    assert!(
        world
            .says("ref-resolves")
            .contains("ask for provider/openrouter, and the vault has no such")
    );
    // A program that never answers is ended when OpenClaw would end it.
    let program = world.home().join(".local/bin/clawkeep");
    std::fs::write(&program, "#!/bin/sh\nexec sleep 600\n").unwrap();
    let mut short = entry(&world);
    short["timeoutMs"] = Value::from(50);
    configure(&world, &short, &[provider_ref("anthropic")]);
    let said = world.doctor();
    assert!(
        said["ref-resolves"].contains("did not answer within 50 ms"),
        "{}",
        said["ref-resolves"]
    );
    assert_eq!(said["resolve-time"], "not checked: no answer");
    std::fs::write(&program, "#!/bin/sh\nexit 7\n").unwrap();
    configure(&world, &entry(&world), &[provider_ref("anthropic")]);
    assert!(
        world
            .says("ref-resolves")
            .contains("did not answer as OpenClaw asks")
    );
}

#[test]
fn a_reference_where_none_is_read_is_found() {
    let world = linked();
    assert_eq!(world.says("ref-ignored"), "ok");
    let hooks = serde_json::json!({"token": reference("anthropic:work")});
    configure(
        &world,
        &entry(&world),
        &[provider_ref("anthropic"), ("hooks", hooks)],
    );
    assert!(
        world
            .says("ref-ignored")
            .contains("a reference at hooks.token, where OpenClaw 2026.6.1 takes none")
    );
}

const AUTH: &str = ".openclaw/agents/main/agent/auth-profiles.json";

fn store(profiles: &Value) -> String {
    serde_json::json!({"version": 1, "profiles": profiles}).to_string()
}

#[test]
fn a_profile_over_a_reference_is_shadowing_and_its_plaintext_wins() {
    let world = linked();
    assert_eq!(world.says("ref-shadowed"), "ok");
    let key = "sk-ant-api03-FAKE-0123456789-0123456789";
    let old = serde_json::json!({"anthropic:old": {"type": "api_key", "provider": "anthropic", "key": key}});
    world.write(AUTH, store(&old));
    let said = world.doctor();
    assert!(said["ref-shadowed"].contains("anthropic:old (REF_SHADOWED)"));
    assert!(
        said["plaintext-wins"].contains("auth-profiles.json profiles.anthropic:old.key"),
        "{}",
        said["plaintext-wins"]
    );
    let run = world.run(&["doctor"]).fails(1);
    assert!(!run.stdout.contains(key) && !run.stderr.contains(key));
}

#[test]
fn variables_that_win_over_a_reference_are_found_wherever_they_stand() {
    let world = linked();
    let key = "sk-ant-api03-FAKE-0123456789-0123456789";
    assert_eq!(world.says("plaintext-wins"), "ok");
    let run = world
        .cmd(&["doctor", "--json"])
        .env("ANTHROPIC_API_KEY", key)
        .run();
    assert!(checks(&run)["plaintext-wins"].contains("the environment, ANTHROPIC_API_KEY,"));
    world.write(".openclaw/.env", format!("ANTHROPIC_API_KEY={key}\n"));
    assert!(
        world
            .says("plaintext-wins")
            .contains("~/.openclaw/.env:1 ANTHROPIC_API_KEY")
    );
    // A provider without a reference: it wins over nothing, and is left.
    world.write(
        ".openclaw/.env",
        "OPENROUTER_API_KEY=sk-or-FAKE-0123456789-0123456789\n",
    );
    let said = world.doctor();
    assert_eq!(said["plaintext-wins"], "ok");
    assert!(said["plaintext-left"].contains("OPENROUTER_API_KEY"));
    world.write(".openclaw/.env", "");
    let vars = serde_json::json!({"ANTHROPIC_API_KEY": key});
    configure(
        &world,
        &entry(&world),
        &[provider_ref("anthropic"), ("env", vars)],
    );
    assert!(
        world
            .says("plaintext-wins")
            .contains("openclaw.json env.ANTHROPIC_API_KEY")
    );
}

#[test]
fn plaintext_in_a_services_file_and_in_old_copies_is_found() {
    let world = linked();
    let key = "sk-ant-api03-FAKE-0123456789-0123456789";
    let said = world.doctor();
    assert_eq!(
        (&*said["service-plaintext"], &*said["residue"]),
        ("ok", "ok")
    );
    world.write(
        ".config/systemd/user/openclaw-gateway.service",
        format!("[Service]\nEnvironment=ANTHROPIC_API_KEY={key}\nExecStart=/bin/true\n"),
    );
    let copy = format!(r#"{{models:{{providers:{{anthropic:{{apiKey:"{key}"}}}}}}}}"#);
    world.write(".openclaw/openclaw.json.bak", copy);
    let archive = format!("{AUTH}.migrated-1795000000000-fake");
    world.write(&archive, store(&serde_json::json!({})));
    let said = world.doctor();
    assert!(said["service-plaintext"].contains("openclaw-gateway.service:2 ANTHROPIC_API_KEY"));
    assert!(
        said["residue"].contains("openclaw.json.bak"),
        "{}",
        said["residue"]
    );
    assert!(
        said["residue"].contains("was left by an import"),
        "{}",
        said["residue"]
    );
    // An old copy without a credential is none: OpenClaw makes one at each change.
    std::fs::remove_file(world.home().join(archive)).unwrap();
    world.write(".openclaw/openclaw.json.bak", "{}");
    assert_eq!(world.says("residue"), "ok");
}

#[test]
fn the_file_of_an_older_openclaw_beside_a_newer_one_is_found() {
    let world = linked();
    world.write(AUTH, store(&serde_json::json!({})));
    assert_eq!(world.says("auth-profiles-era"), "ok");
    install_openclaw(&world, "2026.9.6");
    assert!(
        world
            .says("auth-profiles-era")
            .contains("lies beside OpenClaw 2026.9.6")
    );
}

#[test]
fn an_expiry_is_found_in_time_and_on_a_locked_vault_too() {
    let world = linked();
    let said = world.doctor();
    assert_eq!(
        (&*said["token-expired"], &*said["token-expiring"]),
        ("ok", "ok")
    );
    world.paste(
        "anthropic",
        "anthropic:work",
        SETUP_TOKEN,
        &["--expires-in", "2h"],
    );
    assert!(
        world
            .says("token-expiring")
            .contains("the profile anthropic:work expires in 2 hours")
    );
    let own = world.vault().join("agents/main/auth-profiles.json");
    let mut file: Value = serde_json::from_slice(&std::fs::read(&own).unwrap()).unwrap();
    file["profiles"]["anthropic:work"]["expires"] = Value::from(1_700_000_000_000_i64);
    std::fs::write(&own, file.to_string()).unwrap();
    assert!(
        world
            .says("token-expired")
            .contains("the profile anthropic:work expired")
    );
    std::fs::remove_file(world.identity_file()).unwrap();
    assert!(
        world
            .says("token-expired")
            .contains("the profile anthropic:work expired")
    );
}

#[test]
fn an_order_of_profiles_that_are_gone_is_found_and_mended() {
    let world = linked();
    assert_eq!(world.says("order-missing"), "ok");
    let own = world.vault().join("agents/main/auth-profiles.json");
    let mut file: Value = serde_json::from_slice(&std::fs::read(&own).unwrap()).unwrap();
    file["order"] = serde_json::json!({"anthropic": ["anthropic:gone", "anthropic:work"]});
    std::fs::write(&own, file.to_string()).unwrap();
    let state = world.write(
        ".openclaw/agents/main/agent/auth-state.json",
        r#"{"version":1,"order":{"mock":["mock:gone"]},"lastGood":{"mock":"mock:x"}}"#,
    );
    let auth = serde_json::json!({"order": {"anthropic": ["anthropic:work", "anthropic:gone"]}});
    configure(
        &world,
        &entry(&world),
        &[provider_ref("anthropic"), ("auth", auth)],
    );
    let said = world.says("order-missing");
    assert_eq!(said.lines().count(), 3, "{said}");
    let _ = world.run(&["doctor", "--fix", "--yes"]).ok();
    assert_eq!(world.says("order-missing"), "ok");
    let read =
        |path: &Path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(
        read(&own)["order"]["anthropic"],
        serde_json::json!(["anthropic:work"])
    );
    assert_eq!(read(&state)["order"].get("mock"), None);
    assert_eq!(
        read(&state)["lastGood"]["mock"],
        "mock:x",
        "nothing else goes"
    );
    let config = read(&world.home().join(".openclaw/openclaw.json"));
    assert_eq!(
        config["auth"]["order"]["anthropic"],
        serde_json::json!(["anthropic:work"])
    );
    assert!(config["models"].is_object());
}

#[test]
fn a_setup_token_for_other_requests_is_found() {
    let world = linked();
    assert_eq!(world.says("claude-only-token"), "ok");
    let skills = serde_json::json!({"entries": {"x": {"apiKey": reference("anthropic:work")}}});
    configure(
        &world,
        &entry(&world),
        &[provider_ref("anthropic"), ("skills", skills)],
    );
    let said = world.says("claude-only-token");
    assert!(
        said.contains("skills.entries.x.apiKey asks for it"),
        "{said}"
    );
    assert!(!said.contains("sk-ant-oat"), "{said}");
}

#[test]
fn what_at_rest_does_not_keep_is_said_where_agents_have_a_shell() {
    let world = linked();
    let said = world.says("agent-reach");
    assert!(said.starts_with(
        "note: agents have a shell outside a sandbox, and the vault opens without a person"
    ));
    let agents = serde_json::json!({"defaults": {"sandbox": {"mode": "all"}}});
    configure(
        &world,
        &entry(&world),
        &[provider_ref("anthropic"), ("agents", agents)],
    );
    assert_eq!(world.says("agent-reach"), "ok");
}

#[test]
fn nothing_is_written_without_fix() {
    let world = linked();
    set_mode(&world.vault().join("vault.age"), 0o644);
    world.write(
        ".openclaw/.env",
        "OPENROUTER_API_KEY=sk-or-FAKE-0123456789-0123456789\n",
    );
    let before = world.tree();
    let _ = world.run(&["doctor"]).fails(1);
    let _ = world.run(&["doctor", "--json"]).fails(1);
    let after = world.tree();
    let changed: Vec<_> = after
        .iter()
        .filter(|(path, what)| before.get(*path) != Some(what))
        .map(|(path, _)| path)
        .filter(|path| !path.to_string_lossy().contains("access"))
        .collect();
    assert!(changed.is_empty(), "{changed:?}");
}
