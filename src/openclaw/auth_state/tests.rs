//! What auth-state.json promises: order is written where it is read, the rest stays.

use super::*;
use crate::error::Kind;
use crate::file;
use std::path::PathBuf;

fn provider(text: &str) -> ProviderId {
    ProviderId::parse(text).unwrap()
}

fn ids(texts: &[&str]) -> Vec<ProfileId> {
    texts
        .iter()
        .map(|id| ProfileId::parse(id).unwrap())
        .collect()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let agent = dir.path().join("agent");
    file::private_dir(&agent).unwrap();
    (dir, agent.join(FILE_NAME))
}

#[test]
fn an_order_is_written_as_openclaw_does_and_the_rest_stays() {
    let (_dir, path) = place();
    let anthropic = provider("anthropic");
    let host = Host::real();
    assert_eq!(order_in_state(&path, &anthropic).unwrap(), None);
    assert!(!set_order_in_state(&path, &anthropic, None, &host).unwrap());
    assert!(!path.exists());

    let order = ids(&["anthropic:work", "anthropic:default"]);
    assert!(set_order_in_state(&path, &anthropic, Some(&order), &host).unwrap());
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "{\n  \"version\": 1,\n  \"order\": {\n    \"anthropic\": [\n      \"anthropic:work\",\n      \
         \"anthropic:default\"\n    ]\n  }\n}\n"
    );
    assert!(!set_order_in_state(&path, &anthropic, Some(&order), &host).unwrap());

    let text = r#"{"version":1,"usageStats":{"a:b":{"lastUsed":5}},"order":{"Anthropic ":["x:y"],"openai":["o:p"]},"new":[1]}"#;
    file::replace(&path, text.as_bytes(), 0o600).unwrap();
    assert_eq!(
        order_in_state(&path, &anthropic).unwrap(),
        Some(ids(&["x:y"]))
    );
    assert!(set_order_in_state(&path, &anthropic, Some(&order), &host).unwrap());
    let compact = |path: &Path| {
        let value: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        value.to_string()
    };
    assert_eq!(
        compact(&path),
        text.replace(r#"["x:y"]"#, r#"["anthropic:work","anthropic:default"]"#)
    );
    assert!(set_order_in_state(&path, &anthropic, None, &host).unwrap());
    assert_eq!(compact(&path), text.replace(r#""Anthropic ":["x:y"],"#, ""));
}

#[test]
fn it_is_written_under_the_lock_of_auth_profiles_json() {
    use crate::openclaw::store_lock::StoreLock;
    let (_dir, path) = place();
    let agent = path.parent().unwrap();
    let host = Host::real();
    let lock = StoreLock::take(agent, &host).unwrap();
    let lock_path = agent.join("auth-profiles.json.lock");
    assert!(lock_path.exists());
    let writer = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            set_order_in_state(
                &path,
                &provider("anthropic"),
                Some(&ids(&["a:b"])),
                &Host::real(),
            )
        });
        // Nothing can be there before the lock is freed, however the threads run.
        let early = path.exists();
        drop(lock);
        (early, writer.join().unwrap())
    });
    assert_eq!(writer, (false, Ok(true)));
    assert!(!lock_path.exists());
}

#[test]
fn a_broken_file_is_said_and_stays() {
    let (_dir, path) = place();
    file::replace(&path, b"{\"order\":", 0o600).unwrap();
    let anthropic = provider("anthropic");
    let host = Host::real();
    assert_eq!(
        order_in_state(&path, &anthropic).unwrap_err().kind(),
        Kind::Broken
    );
    for order in [None, Some(ids(&["a:b"]))] {
        let error = set_order_in_state(&path, &anthropic, order.as_deref(), &host).unwrap_err();
        assert_eq!(error.kind(), Kind::Broken);
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"{\"order\":");
}
