//! A vault on its way from one home to another.

use super::common::World;
use super::common::vault::PASSPHRASE;
use super::{LATER, VALUE, backup, carried, gone, home, says, system};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn a_vault_goes_from_one_home_to_another_and_opens_by_its_key() {
    let old = home(&["identity-file"]);
    let path = old.root().join("usb.tar");
    let file = path.to_str().unwrap();
    let run = old.run(&["backup", file]).ok();
    says(
        &run,
        &[
            "Checked: it opens, with 3 secrets.",
            "In it: the vault, 1 slot (encrypted); vault.json, 1 agent's profile list (without secrets).",
            "Not in it: the identity file ",
            "the recovery key. Without one of them nobody opens it; with one of them beside it, it is plaintext.",
        ],
    );
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let bytes = std::fs::read(&path).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains(VALUE) && !text.contains("AGE-SECRET-KEY-1"));

    let key = gone(&old);
    let new = World::new();
    let file = carried(&path, &new);
    let run = new.run(&["restore", &file]).ok();
    says(
        &run,
        &[
            "Restored: ",
            "This state is accepted as it is, however old",
            "It does not open here yet: ",
        ],
    );
    let _ = new.run(&["secret", "get", "notes/one"]).fails(75);
    // The list of profiles and their order need no key.
    let listed = new.run(&["models", "auth", "list", "--json"]).ok().json();
    let rows = listed["profiles"].as_array().unwrap().iter();
    let ids: Vec<&str> = rows.map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["fakeai:b", "fakeai:a"]);
    new.write(".config/clawkeep/identity.txt", &key);
    assert_eq!(new.get("notes/one"), VALUE);
    new.set("notes/one", LATER);
    assert_eq!(new.get("notes/one"), LATER);
    // With the key there before, it says so at once.
    let third = World::new();
    third.write(".config/clawkeep/identity.txt", &key);
    let file = carried(&path, &third);
    says(
        &third.run(&["restore", &file]).ok(),
        &["It opens, with 3 secrets."],
    );
}

#[test]
fn the_recovery_key_alone_is_enough_on_a_new_machine() {
    let old = home(&["identity-file"]);
    let path = backup(&old, "usb.tar");
    let key = gone(&old);
    let new = World::new();
    new.write("sheet.txt", old.read("sheet.txt"));
    let file = carried(&path, &new);
    let _ = new.run(&["restore", &file]).ok();
    let sheet = ["--recovery-file", "sheet.txt"];
    let check = [&["recovery", "check"], &sheet[..]].concat();
    says(
        &new.run(&check).ok(),
        &["with 3 secrets", "The slots do not open it now."],
    );
    let add = ["slot", "add", "identity-file", "--replace"];
    let _ = new.run(&[&add[..], &sheet].concat()).ok();
    assert_eq!(new.get("notes/one"), VALUE);
    new.set("notes/one", LATER);
    assert_eq!(new.get("notes/one"), LATER);
    // The old key opens nothing that is written there any more; the sheet does.
    let _ = new.run(&check).ok();
    std::fs::write(new.identity_file(), key).unwrap();
    let _ = new.run(&["secret", "list"]).fails(1);
}

#[test]
fn the_recovery_key_replaces_a_passphrase_that_nobody_knows_any_more() {
    let old = home(&["passphrase"]);
    let path = old.root().join("usb.tar");
    let run = old.run(&["backup", path.to_str().unwrap()]).ok();
    says(
        &run,
        &[
            "Not checked whether it opens: ",
            "Not in it: the passphrase of slot passphrase, the recovery key.",
        ],
    );
    let new = World::new();
    new.write("sheet.txt", old.read("sheet.txt"));
    let file = carried(&path, &new);
    let _ = new.run(&["restore", &file]).ok();
    let add = [
        "slot",
        "add",
        "identity-file",
        "--recovery-file",
        "sheet.txt",
    ];
    let _ = new.run(&add).ok();
    let _ = new.run(&["rekey", "--yes", "--drop", "passphrase"]).ok();
    assert_eq!(new.get("notes/one"), VALUE);
    let slots = new.run(&["slot", "list", "--json"]).ok().json();
    assert_eq!(slots["slots"].as_array().unwrap().len(), 1);
    // Who does know it needs no sheet.
    let other = World::new();
    let file = carried(&path, &other);
    let _ = other.run(&["restore", &file]).ok();
    let pass = other.passphrase_file("pass", PASSPHRASE);
    let get = ["--passphrase-file", &pass, "secret", "get", "notes/one"];
    assert_eq!(other.run(&get).ok().stdout, VALUE);
}

#[test]
fn tar_opens_it_and_what_comes_out_is_a_vaults_folder() {
    let old = home(&["identity-file"]);
    let path = backup(&old, "usb.tar");
    let listed = system("/usr/bin/tar", &["tvf", path.to_str().unwrap()], old.root());
    let lines: Vec<(&str, &str)> = listed
        .lines()
        .map(|line| (&line[..10], line.rsplit(' ').next().unwrap()))
        .collect();
    let all = |name: &'static str| {
        let mode = if name.ends_with('/') {
            "drwx------"
        } else {
            "-rw-------"
        };
        (mode, name)
    };
    assert_eq!(
        lines,
        [
            "clawkeep-backup/",
            "clawkeep-backup/README.txt",
            "clawkeep-backup/backup.json",
            "clawkeep-backup/vault.age",
            "clawkeep-backup/vault.json",
            "clawkeep-backup/slots/",
            "clawkeep-backup/slots/identity-file.age",
            "clawkeep-backup/agents/",
            "clawkeep-backup/agents/main/",
            "clawkeep-backup/agents/main/auth-profiles.json",
        ]
        .map(all)
    );
    system("/usr/bin/tar", &["xf", path.to_str().unwrap()], old.root());
    let dir = old.root().join("clawkeep-backup");
    let get = [
        "--vault",
        dir.to_str().unwrap(),
        "secret",
        "get",
        "notes/one",
    ];
    assert_eq!(old.run(&get).ok().stdout, VALUE);
    // What the file inside says, with stock age and the recovery key alone.
    let sheet = old.home().join("sheet.txt");
    let args = ["-d", "-i", sheet.to_str().unwrap(), "vault.age"];
    let plain = system("/usr/bin/age", &args, &dir);
    let body: Value = serde_json::from_str(plain.lines().next().unwrap()).unwrap();
    assert_eq!(body["secrets"]["notes/one"]["value"], VALUE);
    let readme = std::fs::read_to_string(dir.join("README.txt")).unwrap();
    assert!(readme.contains("age -d -i key.txt vault.age | head -n1 | jq .secrets"));
}

#[test]
fn an_older_state_takes_the_place_of_a_newer_one_only_when_that_is_meant() {
    let world = home(&["identity-file"]);
    let path = backup(&world, "usb.tar");
    world.set("notes/one", LATER);
    world.set("notes/two", LATER);
    let file = path.to_str().unwrap();
    let before = world.tree();
    let run = world.run(&["restore", file]).fails(1);
    says(&run, &["there is a vault in ", "--replace"]);
    let run = world.run(&["restore", file, "--replace"]).fails(64);
    says(
        &run,
        &[
            "restoring over a vault asks first",
            "generation 4",
            "generation 6",
        ],
    );
    assert_eq!(world.tree(), before);
    let run = world.run(&["restore", file, "--replace", "--yes"]).ok();
    says(
        &run,
        &["What was there before: ", "It opens, with 3 secrets."],
    );
    // No word of a rollback: this was meant.
    assert_eq!(world.get("notes/one"), VALUE);
    let _ = world.run(&["secret", "get", "notes/two"]).fails(1);
    world.set("notes/one", LATER);
    assert_eq!(world.get("notes/one"), LATER);
    let aside = world.home().join(".local/share/clawkeep.before-restore-1");
    let aside = ["--vault", aside.to_str().unwrap()];
    let get = [&aside[..], &["secret", "get", "notes/two"]].concat();
    assert_eq!(world.run(&get).ok().stdout, LATER);

    // A person is asked.
    let mut pty = world.pty(&["restore", file, "--replace"]);
    pty.expect("Put the vault that is there aside, and restore?");
    pty.send_line("n");
    let _ = pty.finish().run.fails(130);
    assert_eq!(world.get("notes/one"), LATER);
}

#[test]
fn keychain_custody_has_no_values_to_back_up_and_says_so() {
    let world = World::new();
    let id = "ab".repeat(32);
    let cache = json!({"version": 1, "custody": "keychain", "vault_id": id});
    world.write(".local/share/clawkeep/vault.json", cache.to_string());
    let run = world.run(&["backup", "b.tar"]).ok();
    says(
        &run,
        &[
            "There is no value in it: they lie in the keychain, and only there.",
            "hint: clawkeep export --output FILE",
        ],
    );
    let new = World::new();
    let file = carried(&world.home().join("b.tar"), &new);
    let run = new.run(&["restore", &file]).ok();
    says(&run, &["Its values are not in it"]);
    let cache: Value =
        serde_json::from_slice(&new.read(".local/share/clawkeep/vault.json")).unwrap();
    assert_eq!(
        (&cache["custody"], &cache["vault_id"]),
        (&json!("keychain"), &json!(id))
    );
}

/// Where OpenClaw's own file is the home of profiles, their refs go along, and nothing else of that file.
#[test]
fn profiles_that_openclaw_holds_go_along_and_its_logins_do_not() {
    let world = home(&["identity-file"]);
    let login = "FAKE-login-of-openclaw-0123456789";
    let reference = |id: &str| json!({"source": "exec", "provider": "clawkeep", "id": id});
    let profiles = json!({"version": 1, "profiles": {
        "fakeai:b": {"type": "token", "provider": "fakeai", "tokenRef": reference("fakeai:b"), "expires": 1_900_000_000_000i64},
        "fakeai:a": {"type": "token", "provider": "fakeai", "tokenRef": reference("fakeai:a"), "token": login},
        "x:oauth": {"type": "oauth", "provider": "x", "access": login, "refresh": login, "expires": 1},
        "y:plain": {"type": "api_key", "provider": "y", "key": login},
    }, "order": {"fakeai": ["fakeai:a", "fakeai:b"]}});
    let theirs = world.write(
        ".openclaw/agents/main/agent/auth-profiles.json",
        profiles.to_string(),
    );
    std::fs::remove_dir_all(world.vault().join("agents")).unwrap();
    let config = world.write(".openclaw/openclaw.json", "{}");
    let record = json!({
        "version": 1, "lane": "file", "openclaw": "2026.6.1", "profiles": {"main": theirs},
        "config": config, "command": "/nonexistent/clawkeep", "args": [], "linked": ["fakeai:a", "fakeai:b"],
    });
    world.write(".local/share/clawkeep/link.json", record.to_string());
    let path = backup(&world, "usb.tar");
    let bytes = std::fs::read(&path).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains("FAKE") && !text.contains("oauth") && !text.contains("y:plain"));

    let new = World::new();
    new.write(
        ".config/clawkeep/identity.txt",
        std::fs::read(world.identity_file()).unwrap(),
    );
    let file = carried(&path, &new);
    let run = new.run(&["restore", &file]).ok();
    says(&run, &["Not linked: ", "hint: clawkeep link"]);
    assert!(!new.vault().join("link.json").exists());
    let listed = new.run(&["models", "auth", "list", "--json"]).ok().json();
    let rows = listed["profiles"].as_array().unwrap().iter();
    let rows: Vec<(&str, &Value)> = rows
        .map(|row| (row["id"].as_str().unwrap(), &row["expires"]))
        .collect();
    assert_eq!(
        rows,
        [
            ("fakeai:b", &json!(1_900_000_000_000i64)),
            ("fakeai:a", &Value::Null)
        ]
    );
    let own = new.read(".local/share/clawkeep/agents/main/auth-profiles.json");
    let own: Value = serde_json::from_slice(&own).unwrap();
    assert_eq!(own["order"]["fakeai"], json!(["fakeai:a", "fakeai:b"]));
    assert_eq!(
        new.resolve(&["provider/fakeai"])["values"]["provider/fakeai"],
        VALUE
    );
}

#[test]
fn a_link_is_kept_where_that_openclaw_asks_this_vault_and_a_later_pin_is_told() {
    let world = home(&["identity-file"]);
    let id = world.run(&["secret", "list", "--json"]).ok().json()["vaultId"].clone();
    let id = id.as_str().unwrap().to_owned();
    let config = |id: &str| {
        let args = [
            "resolve",
            "--vault",
            world.vault().to_str().unwrap(),
            "--vault-id",
            id,
        ]
        .map(str::to_owned);
        let entry = json!({"source": "exec", "command": "/nonexistent/clawkeep", "args": args});
        let config = json!({"secrets": {"providers": {"clawkeep": entry}}});
        world.write(".openclaw/openclaw.json", config.to_string())
    };
    let record = json!({
        "version": 1, "lane": "plan", "openclaw": "2026.9.6", "profiles": {}, "config": config(&id),
        "command": "/nonexistent/clawkeep", "args": [], "linked": ["notes/one"],
    });
    world.write(".local/share/clawkeep/link.json", record.to_string());
    let path = backup(&world, "usb.tar");
    let restore = ["restore", path.to_str().unwrap(), "--replace", "--yes"];
    let run = world.run(&restore).ok();
    assert!(!run.stderr.contains("link"), "{run}");
    assert!(world.vault().join("link.json").exists());
    config(&"ab".repeat(32));
    says(
        &world.run(&restore).ok(),
        &[
            "names the id that this vault got later",
            "hint: clawkeep link",
        ],
    );
    assert!(world.vault().join("link.json").exists());
}
