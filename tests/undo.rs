//! Undoing a migration from end to end: a vault made by the program, a bundle in it, and the command's
//! own function, run in a process of its own so that it can be killed at every step, and so that the
//! real OpenClaw can be asked afterwards.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it reads its own variables and writes files of its own world"
)]

mod common;

use clawkeep::cli::app::App;
use clawkeep::cli::args::Global;
use clawkeep::cli::undo::{self, Wish};
use clawkeep::expiry::Millis;
use clawkeep::file::rooted;
use clawkeep::host::Host;
use clawkeep::keychain::OsKeychain;
use clawkeep::provider::{AgentId, ProfileId, ProviderId};
use clawkeep::secret::{Alphabet, Secret, SecretId, SecretKind};
use clawkeep::vault::Vault;
use clawkeep::vault::undo::{After, Bundle, Bundles, Left, WasAt, WasFile, WasValue};
use clawkeep::vault::unlock::Keys;
use common::openclaw::{OpenClaw, Which};
use common::vault::SETUP_TOKEN;
use common::{Run, World, left_out};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const VALUE: &str = "sk-FAKE-value-0123456789abcdef";
const OURS: &str = r#"{"source":"exec","provider":"clawkeep","id":"provider/anthropic"}"#;

/// Not a test by itself: what the others start in a process of its own.
#[test]
fn the_command_in_its_own_process() {
    let Some(vault) = std::env::var_os("UNDO_IN") else {
        let said = "nothing to do: the other tests of this file start it";
        writeln!(std::io::stderr(), "{said}").unwrap();
        return;
    };
    let global = Global {
        vault: Some(PathBuf::from(vault)),
        vault_id: Vec::new(),
        passphrase_file: None,
        accept_rollback: false,
        non_interactive: true,
    };
    let app = App::new(Host::real(), global, false).unwrap();
    let what = std::env::var("UNDO_WHAT").unwrap_or_default();
    let done = match what.as_str() {
        "list" => undo::list(&app, true),
        "forget" => undo::forget(&app, "all", true, false),
        _ => undo::undo(
            &app,
            &Wish {
                id: None,
                as_root: rooted::is_root(),
                yes: what != "ask",
                dry_run: what == "look",
                json: false,
                openclaw: None,
            },
        ),
    };
    if let Err(error) = done {
        app.ui.error(&error);
        std::process::exit(i32::from(error.kind().exit_code()));
    }
}

fn start(world: &World, front: &[&str], what: &str) -> Run {
    let own = std::env::current_exe().unwrap();
    let test = [
        own.to_str().unwrap(),
        "--exact",
        "the_command_in_its_own_process",
        "--nocapture",
        "--test-threads=1",
    ];
    let words = [front, &test].concat();
    world
        .program(Path::new(words[0]), &words[1..])
        .env("UNDO_IN", world.vault())
        .env("UNDO_WHAT", what)
        .limit(std::time::Duration::from_mins(10))
        .run()
}

fn run(world: &World, what: &str) -> Run {
    start(world, &[], what)
}

/// The bundles of the world's vault.
fn drawer(world: &World) -> Bundles {
    let keychain = OsKeychain::on_bus("unix:path=/nonexistent/bus");
    let keys = Keys {
        host: &Host::real(),
        keychain: &keychain,
        ask: &|_| Ok(None),
        pins: &[],
        accept_rollback: false,
    };
    Vault::open(&world.vault(), &keys)
        .unwrap()
        .bundles()
        .unwrap()
}

fn was(path: &Path, before: Option<&str>, after: After) -> WasFile {
    WasFile {
        path: path.to_owned(),
        mode: 0o640,
        before: before.map(|text| Zeroizing::new(text.as_bytes().to_vec())),
        after,
        is_copy: false,
        values: Vec::new(),
    }
}

/// A home after a migration: two files rewritten, one removed, one made, one that OpenClaw edited since.
fn migrated() -> (World, Vec<(&'static str, Option<String>)>) {
    let world = World::new();
    world.init();
    let state = world.home().join(".openclaw");
    let mut bundle = Bundle::new(Host::real().now(), vec![state.clone()], false).unwrap();
    let env = format!("# mine\nANTHROPIC_API_KEY={VALUE}\n");
    let config = format!(
        "{{\n  // mine\n  models: {{ providers: {{ anthropic: {{ apiKey: '{VALUE}' }} }} }},\n}}\n"
    );
    let file = |name: &str, before: Option<&str>, after: Option<&str>| {
        let digest = after.map_or(After::Removed, |text| After::of(text.as_bytes()));
        if let Some(text) = after {
            world.write(&format!(".openclaw/{name}"), text);
        }
        was(&state.join(name), before, digest)
    };
    bundle.files = vec![
        file(".env", Some(&env), Some("# mine\n")),
        file("auth.json", Some("{}"), None),
        file("made.json", None, Some("{}")),
        file("openclaw.json", Some(&config), Some("{}")),
    ];
    bundle.files[3].values = vec![WasAt {
        place: ["models", "providers", "anthropic", "apiKey"]
            .map(str::to_owned)
            .into(),
        id: Some(SecretId::parse("anthropic:default").unwrap()),
        left: Left::Ref("provider/anthropic".to_owned()),
    }];
    world.write(
        ".openclaw/openclaw.json",
        format!(r#"{{"models":{{"providers":{{"anthropic":{{"apiKey":{OURS}}}}}}},"meta":1}}"#),
    );
    drawer(&world).save(&bundle).unwrap();
    let with_meta = config.replace("\n}\n", "\n  \"meta\": 1,\n}\n");
    let end = vec![
        (".env", Some(env)),
        ("auth.json", Some("{}".to_owned())),
        ("made.json", None),
        ("openclaw.json", Some(with_meta)),
    ];
    (world, end)
}

fn text(world: &World, name: &str) -> Option<String> {
    std::fs::read_to_string(world.home().join(".openclaw").join(name)).ok()
}

#[track_caller]
fn is_undone(world: &World, end: &[(&str, Option<String>)], point: &str) {
    for (name, expected) in end {
        assert_eq!(text(world, name), *expected, "{name} {point}");
    }
    let left = std::fs::read_dir(world.vault().join("undo"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "the bundle is left {point}");
    for (path, _) in world.tree() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!name.starts_with(".clawkeep-"), "{name} is left {point}");
    }
}

#[test]
fn a_migration_is_listed_looked_at_and_undone_and_nothing_shows_a_value() {
    let (world, end) = migrated();
    let before = world.tree();
    let list = run(&world, "list").ok();
    assert!(list.stdout.contains("\"ends\": 1"), "{list}");
    let look = run(&world, "look").ok();
    assert!(look.stderr.contains(".env: becomes what it was"), "{look}");
    assert!(look.stderr.contains("1 values return"), "{look}");
    let ask = run(&world, "ask").fails(64);
    assert!(ask.stderr.contains("add --yes"), "{ask}");
    let changed: Vec<_> = world
        .tree()
        .into_iter()
        .filter(|(path, held)| before.get(path) != Some(held) && !path.ends_with("migrate.lock"))
        .filter(|(path, _)| !path.ends_with("vault.lock"))
        .collect();
    assert_eq!(changed, []);
    let done = run(&world, "undo").ok();
    for said in [&list, &look, &ask, &done] {
        assert!(
            !said.stdout.contains("FAKE") && !said.stderr.contains("FAKE"),
            "{said}"
        );
    }
    is_undone(&world, &end, "");
    let again = run(&world, "undo").fails(1);
    assert!(again.stderr.contains("nothing to undo"), "{again}");
}

#[test]
fn what_is_forgotten_is_gone_and_the_files_stay() {
    let (world, _) = migrated();
    let env = text(&world, ".env");
    let _ = run(&world, "forget").ok();
    assert_eq!(
        std::fs::read_dir(world.vault().join("undo"))
            .unwrap()
            .count(),
        0
    );
    assert_eq!(text(&world, ".env"), env);
    let _ = run(&world, "undo").fails(1);
}

#[test]
fn a_damaged_bundle_and_an_edited_file_change_nothing() {
    let (world, _) = migrated();
    world.write(".openclaw/.env", "MINE=FAKE-of-a-person\n");
    let before = world.tree();
    let run_ = run(&world, "undo").fails(1);
    assert!(
        run_.stderr.contains(".env was edited since the migration"),
        "{run_}"
    );
    assert!(
        run_.stderr.contains("-MINE=***") && !run_.stderr.contains("FAKE"),
        "{run_}"
    );
    let files = |tree: std::collections::BTreeMap<PathBuf, (u32, Vec<u8>)>| {
        let below = |path: &PathBuf| path.starts_with(world.home().join(".openclaw"));
        tree.into_iter()
            .filter(|(path, _)| below(path))
            .collect::<Vec<_>>()
    };
    assert_eq!(files(world.tree()), files(before.clone()));
    let undo = world.vault().join("undo");
    let bundle = std::fs::read_dir(&undo)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = std::fs::read(&bundle).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let run_ = run(&world, "undo").fails(1);
    assert!(run_.stderr.contains("damaged"), "{run_}");
    assert_eq!(files(world.tree()), files(before));
}

#[test]
fn a_new_identity_takes_the_bundle_along() {
    let (world, end) = migrated();
    let _ = world.run(&["rekey", "--yes"]).ok();
    let _ = run(&world, "undo").ok();
    is_undone(&world, &end, "after rekey");
}

/// As the vault's other writers are killed elsewhere: whichever identity it has then, its bundle opens.
#[cfg(target_os = "linux")]
#[test]
fn a_new_identity_that_is_cut_off_anywhere_loses_no_bundle() {
    if left_out("crash") {
        return;
    }
    let mut kills = 0;
    for call in ["rename", "unlink", "fsync"] {
        for at in 1.. {
            let (world, end) = migrated();
            let trace = format!("trace=?{call}");
            let inject = format!("inject=?{call}:signal=KILL:when={at}");
            let own = env!("CARGO_BIN_EXE_clawkeep");
            let args = [
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                &trace,
                "-e",
                &inject,
                own,
                "rekey",
                "--yes",
            ];
            let killed = world.program(Path::new("/usr/bin/strace"), &args).run();
            let point = format!("rekey killed at {call} {at}: {killed:#}");
            let done = run(&world, "undo");
            assert!(done.code == 0, "{done:#}\n{point}");
            // The next writer of the vault tidies up after rekey.
            world.set("s/one", "FAKE");
            is_undone(&world, &end, &point);
            if killed.code != 137 {
                let _ = killed.ok();
                break;
            }
            kills += 1;
        }
    }
    assert!(kills >= 6, "only {kills} steps were seen");
}

#[cfg(target_os = "linux")]
#[test]
fn killed_at_its_every_step_it_leaves_whole_files_and_the_next_run_finishes() {
    const STRACE: &str = "/usr/bin/strace";
    if left_out("crash") {
        return;
    }
    assert!(
        Path::new(STRACE).is_file(),
        "{STRACE} is missing: apt-get install strace (or scripts/test --without crash)"
    );
    let mut kills = 0;
    for call in ["rename", "renameat", "unlink", "unlinkat", "mkdir", "fsync"] {
        for at in 1.. {
            let (world, end) = migrated();
            let begun: Vec<_> = end.iter().map(|(name, _)| text(&world, name)).collect();
            let trace = format!("trace=?{call}");
            let inject = format!("inject=?{call}:signal=KILL:when={at}");
            let front = [
                STRACE,
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                &trace,
                "-e",
                &inject,
            ];
            let killed = start(&world, &front, "undo");
            let point = format!("killed at {call} {at}: {killed:#}");
            for ((name, finished), begun) in end.iter().zip(&begun) {
                let now = text(&world, name);
                assert!(now == *finished || now == *begun, "{name} is torn; {point}");
            }
            if killed.code != 137 {
                let _ = killed.ok();
                is_undone(&world, &end, &point);
                break;
            }
            kills += 1;
            let again = run(&world, "undo");
            // Killed when all was done: then there is nothing left to do.
            let is_over = again.stderr.contains("nothing to undo");
            assert!(again.code == 0 || is_over, "{again:#}\n{point}");
            is_undone(&world, &end, &point);
        }
    }
    assert!(kills >= 6, "only {kills} steps were seen");
}

/// The value of a profile that stands in OpenClaw's database comes back in place of the ref, as if it
/// had never gone, and with its time.
#[test]
fn the_real_openclaw_has_its_profiles_values_again() {
    for which in [Which::V2026_9_6] {
        let Some(openclaw) = OpenClaw::get(which) else {
            return;
        };
        let world = World::new();
        openclaw.put_on_path(&world);
        world.init();
        let resolver = world.write("resolver", format!("#!/bin/sh\nread x\necho '{{\"protocolVersion\":1,\"values\":{{\"a\":\"{SETUP_TOKEN}\",\"o\":\"{VALUE}\"}}}}'\n"));
        std::fs::set_permissions(
            &resolver,
            std::os::unix::fs::PermissionsExt::from_mode(0o700),
        )
        .unwrap();
        let plan = serde_json::json!({
            "version": 1, "protocolVersion": 1,
            "generatedAt": "2026-11-20T00:00:00.000Z", "generatedBy": "manual",
            "providerUpserts": {"fake": {"source": "exec", "command": resolver, "timeoutMs": 15000}},
            "targets": [target("anthropic:work", "anthropic", "token", "a"), target("openrouter:own", "openrouter", "key", "o")],
            "options": {},
        });
        let plan = world.write("plan.json", plan.to_string());
        let args = [
            "secrets",
            "apply",
            "--from",
            plan.to_str().unwrap(),
            "--allow-exec",
            "--json",
        ];
        let _ = openclaw.run(&world, &args).ok();
        let refs = || {
            let status = openclaw.run(&world, &["models", "status", "--json"]).ok();
            status.stdout.matches("ref(exec").count()
        };
        assert!(refs() >= 2);
        let state = world.home().join(".openclaw");
        let config = state.join("openclaw.json");
        let mut bundle = Bundle::new(Host::real().now(), vec![state], false).unwrap();
        let now = std::fs::read_to_string(&config).unwrap();
        bundle.files.push(was(
            &config,
            Some("{ /* mine */ }\n"),
            After::of(now.as_bytes()),
        ));
        let hour = Host::real().now().get() + 3_600_000;
        for (profile, kind, value, expires) in [
            (
                "anthropic:work",
                SecretKind::Token,
                SETUP_TOKEN,
                Millis::new(hour),
            ),
            ("openrouter:own", SecretKind::ApiKey, VALUE, None),
        ] {
            bundle.values.push(WasValue {
                agent: AgentId::main(),
                profile: ProfileId::parse(profile).unwrap(),
                provider: ProviderId::parse(profile.split(':').next().unwrap()).unwrap(),
                kind,
                id: SecretId::parse(profile).unwrap(),
                expires,
                value: Secret::new(value.as_bytes(), Alphabet::Key).unwrap(),
            });
        }
        drawer(&world).save(&bundle).unwrap();
        let done = run(&world, "undo").ok();
        assert!(!done.stderr.contains("FAKE"), "{done}");
        assert_eq!(refs(), 0);
        assert_eq!(
            std::fs::read_to_string(&config).unwrap(),
            "{ /* mine */ }\n"
        );
        let list = openclaw
            .run(&world, &["models", "auth", "list", "--json"])
            .ok();
        let listed = &list.stdout[list.stdout.find('{').unwrap()..];
        let listed: serde_json::Value = serde_json::from_str(listed).unwrap();
        let profiles = listed["profiles"].as_array().unwrap();
        let ids: Vec<_> = profiles
            .iter()
            .map(|row| row["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, ["anthropic:work", "openrouter:own"]);
        assert!(profiles[0]["expiresAt"].is_string(), "{list}");
        for value in [SETUP_TOKEN, VALUE] {
            let found = world.search_home(value);
            let is_database = |path: &PathBuf| path.to_string_lossy().contains(".sqlite");
            assert!(found.iter().any(is_database), "{found:?}");
        }
    }
}

fn target(profile: &str, provider: &str, key: &str, id: &str) -> serde_json::Value {
    let kind = if key == "key" { "api_key" } else { key };
    serde_json::json!({
        "type": format!("auth-profiles.{kind}.{key}"),
        "path": format!("profiles.{profile}.{key}"),
        "pathSegments": ["profiles", profile, key],
        "agentId": "main", "authProfileProvider": provider,
        "ref": {"source": "exec", "provider": "fake", "id": id},
    })
}
