//! The mark `was plaintext`: shown until the value is replaced, and never made up.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;

use common::World;
use common::craft;
use serde_json::{Value, json};

const FIRST: &str = "FAKE-first-value-0123456789";
const SECOND: &str = "FAKE-second-value-0123456789";

/// A vault with two profiles of one provider, of which the first is marked by what the documented
/// format says, without clawkeep's code.
fn marked() -> World {
    let world = World::new();
    world.init();
    world.paste("fakeai", "fakeai:one", FIRST, &[]);
    world.paste("fakeai", "fakeai:two", SECOND, &[]);
    let slot = std::fs::read(world.vault().join("slots/identity-file.age")).unwrap();
    let file = String::from_utf8(std::fs::read(world.identity_file()).unwrap()).unwrap();
    let identity = String::from_utf8(craft::opened(&slot, craft::key_line(&file))).unwrap();
    let path = world.vault().join("vault.age");
    let mut body = craft::body(&std::fs::read(&path).unwrap(), &identity);
    body["generation"] = json!(body["generation"].as_u64().unwrap() + 1);
    body["secrets"]["fakeai:one"]["was_plaintext"] = json!(true);
    let content = craft::authentic(&body.to_string(), &identity);
    std::fs::write(&path, craft::sealed(&content, &identity)).unwrap();
    world
}

/// What `secret list` and `models auth list` say of both, in that order.
fn marks(world: &World) -> Vec<Value> {
    let secrets = world.run(&["secret", "list", "--json"]).ok().json();
    let profiles = world.run(&["models", "auth", "list", "--json"]).ok().json();
    let rows = |list: &Value| list.as_array().unwrap().clone();
    [rows(&secrets["secrets"]), rows(&profiles["profiles"])]
        .concat()
        .iter()
        .map(|row| row["wasPlaintext"].clone())
        .collect()
}

#[test]
fn it_is_shown_until_another_value_takes_the_place() {
    let world = marked();
    assert_eq!(marks(&world), [true, false, true, false]);
    let listed = world.run(&["secret", "list"]).ok().stdout;
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[1].starts_with("fakeai:one") && lines[1].ends_with("was plaintext"));
    assert!(lines[2].starts_with("fakeai:two") && lines[2].ends_with("never"));
    let listed = world.run(&["models", "auth", "list"]).ok().stdout;
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[1].contains("  vault, was plaintext  "), "{listed}");
    assert!(lines[2].contains("  vault  "), "{listed}");
    // The same value again is as exposed as it was.
    world.paste("fakeai", "fakeai:one", FIRST, &[]);
    world.set("fakeai:one", FIRST);
    assert_eq!(marks(&world), [true, false, true, false]);
    world.paste("fakeai", "fakeai:one", SECOND, &[]);
    assert_eq!(marks(&world), [false, false, false, false]);
    world.paste("fakeai", "fakeai:one", FIRST, &[]);
    assert_eq!(marks(&world), [false, false, false, false]);
}

#[test]
fn it_stays_through_a_new_identity_and_a_keeper() {
    let world = marked();
    let _ = world.run(&["rekey", "--yes"]).ok();
    assert_eq!(marks(&world), [true, false, true, false]);
    let _ = world.run(&["unlock"]).ok();
    std::fs::rename(world.identity_file(), world.home().join("away.txt")).unwrap();
    assert_eq!(marks(&world), [true, false, true, false]);
    world.paste("fakeai", "fakeai:one", FIRST, &[]);
    assert_eq!(marks(&world), [true, false, true, false]);
    world.paste("fakeai", "fakeai:one", SECOND, &[]);
    assert_eq!(marks(&world), [false, false, false, false]);
    let _ = world.run(&["lock"]).ok();
}

/// `status` counts what is marked, and names the page where each is replaced.
#[test]
fn the_status_counts_them_and_says_where_they_are_replaced() {
    let world = marked();
    let told = |world: &World| {
        let report = world.run(&["status", "--json"]).ok().json();
        (report["wasPlaintext"].clone(), report["rotate"].clone())
    };
    let one = json!([{ "provider": "fakeai", "count": 1, "page": null }]);
    assert_eq!(told(&world), (json!(["fakeai:one"]), one));
    let run = world.run(&["status"]).ok();
    let counts = |run: &str, count: &str| {
        let mut lines = run.lines();
        lines.any(|line| line.starts_with("was plaintext") && line.ends_with(count))
    };
    assert!(counts(&run.stdout, " 1"), "{run}");
    assert!(
        run.stderr.contains("  fakeai (1): at the provider"),
        "{run}"
    );
    world.paste("fakeai", "fakeai:one", SECOND, &[]);
    assert_eq!(told(&world), (json!([]), json!([])));
    assert!(counts(&world.run(&["status"]).ok().stdout, " 0"));
    // What is not known is not counted as none.
    std::fs::remove_file(world.identity_file()).unwrap();
    assert_eq!(told(&world), (Value::Null, Value::Null));
    let run = world.run(&["status"]).ok();
    assert!(counts(&run.stdout, " not known: locked"), "{run}");
}

#[test]
fn a_locked_vault_says_that_it_is_not_known() {
    let world = marked();
    std::fs::remove_file(world.identity_file()).unwrap();
    let run = world.run(&["models", "auth", "list", "--json"]).ok();
    assert_eq!(run.json()["profiles"][0]["wasPlaintext"], Value::Null);
    assert!(
        run.stderr
            .starts_with("Which of these were plaintext before is not known: "),
        "{run}"
    );
    let run = world.run(&["models", "auth", "list"]).ok();
    assert!(!run.stdout.contains("was plaintext"), "{run}");
}
