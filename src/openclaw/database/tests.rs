//! What a row may hold, and who reads it: pure parts, and a stand-in for Node.

use super::*;
use crate::error::Kind;
use crate::file;
use crate::host::Host;
use proptest::prelude::*;

fn row(json: &str) -> Result<Contents> {
    let mut contents = Contents::default();
    let place = Place::Shared;
    store::read(json.as_bytes(), &place, Path::new("/db"), &mut contents)?;
    Ok(contents)
}

#[test]
fn a_row_is_read_as_openclaw_reads_its_file() {
    let contents = row(r#"{"version": 1, "profiles": {
        "a:1": {"mode": "apiKey", "provider": "A", "apiKey": "FAKE-1"},
        "a:2": {"type": "token", "provider": "a", "token": "FAKE-2", "expires": 0, "key": "FAKE-x"},
        "a:3": {"type": "token", "provider": "a", "token": "${VARIABLE}"},
        "a:4": {"type": "api_key", "provider": "a", "key": "  "},
        "a:5": {"type": "api_key", "key": "FAKE-5"},
        "a:6": {"type": "other", "provider": "a", "key": "FAKE-6"},
        "a:7": "FAKE-7",
        "a:9": {"type": "token", "provider": "a", "token": "FAKE-9",
            "tokenRef": {"source": "exec", "provider": "clawkeep", "id": "a:9"}},
        "a:8": {"type": "oauth", "provider": "a", "access": "FAKE-8"}
    }}"#)
    .unwrap();
    let found: Vec<_> = contents
        .stored
        .iter()
        .map(|stored| (stored.profile.as_str(), stored.kind, stored.value.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("a:1", SecretKind::ApiKey, "FAKE-1"),
            ("a:2", SecretKind::Token, "FAKE-2"),
        ]
    );
    let beside: Vec<_> = contents
        .residue
        .iter()
        .map(|one| one.value.as_str())
        .collect();
    assert_eq!(beside, ["FAKE-x", "FAKE-9"]);
    assert_eq!(contents.logins.len(), 1);
    let elsewhere = contents.elsewhere.iter();
    let elsewhere: Vec<_> = elsewhere
        .map(|one| (one.profile.as_str(), one.reference.id.as_str()))
        .collect();
    assert_eq!(elsewhere, [("a:3", "VARIABLE")], "ours is none of them");
    assert!(!format!("{contents:?}").contains("FAKE"));
}

/// An OpenClaw with one database, run by a shell script in Node's place.
fn with_node(script: &str) -> Result<Contents> {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("package");
    std::fs::create_dir_all(&dir).unwrap();
    let write = |name: &str, text: &str, mode| {
        file::create(&dir.join(name), text.as_bytes(), mode).unwrap();
    };
    let package = r#"{"name": "openclaw", "version": "2026.9.6"}"#;
    write("package.json", package, 0o644);
    write("openclaw.mjs", "", 0o644);
    write("node", &format!("#!/bin/sh\n{script}\n"), 0o755);
    let install = Install::at(&dir, Some(dir.join("node")), &Host::real()).unwrap();
    let places = Places::below(home.path());
    let state = places.state().join("state");
    std::fs::create_dir_all(&state).unwrap();
    file::create(&state.join("openclaw.sqlite"), b"", 0o600).unwrap();
    let config = Config::parse(b"{}", places.config()).unwrap();
    read(&install, &places, &config)
}

#[test]
fn a_node_that_cannot_or_will_not_is_an_error_that_can_be_acted_upon() {
    for (script, kind, part) in [
        ("exit 1", Kind::Failed, "failed"),
        ("echo FAKE", Kind::Failed, "no answer"),
        ("echo '{\"files\":[]}'", Kind::Failed, "no answer"),
        (
            "echo '{\"files\":[{\"error\":\"node\"}]}'",
            Kind::Failed,
            "no node:sqlite",
        ),
        (
            "echo '{\"files\":[{\"error\":\"busy\"}]}'",
            Kind::Failed,
            "held by another",
        ),
        (
            "echo '{\"files\":[{\"error\":\"open\"}]}'",
            Kind::Failed,
            "cannot be opened",
        ),
        (
            "echo '{\"files\":[{\"error\":\"other\"}]}'",
            Kind::Failed,
            "cannot be looked into",
        ),
        (
            "echo '{\"files\":[{\"error\":\"corrupt\"}]}'",
            Kind::Broken,
            "no whole SQLite",
        ),
        (
            "echo '{\"files\":[{\"schema\":19,\"rows\":[]}]}'",
            Kind::Broken,
            "newer OpenClaw",
        ),
    ] {
        let said = with_node(script).unwrap_err();
        assert_eq!(said.kind(), kind, "{script}: {said}");
        assert!(said.message().contains(part), "{script}: {said}");
        assert!(said.hint_text().is_some(), "{script}: {said}");
        assert!(!said.message().contains("FAKE"), "{said}");
    }
    let held = with_node("printf '{\"files\":[{\"schema\":18,\"rows\":[2]}]}\\n{}'").unwrap();
    assert!(held.stored.is_empty() && held.files.len() == 1);
}

proptest! {
    #[test]
    fn no_row_is_too_strange_and_none_is_repeated(
        json in "\\PC{0,60}", id in "[a-z:@ ]{0,12}", value in "FAKE[ -~]{0,20}",
    ) {
        if let Err(said) = row(&json) {
            prop_assert!(json.len() < 3 || !said.message().contains(&json));
        }
        let one = serde_json::json!({"profiles": {&id: {
            "type": "api_key", "provider": "openai", "key": &value,
        }}});
        let contents = row(&one.to_string()).unwrap();
        for stored in contents.stored {
            prop_assert_eq!(stored.value.as_str(), value.as_str());
            prop_assert_eq!(stored.profile.as_str(), id.as_str());
        }
    }
}
