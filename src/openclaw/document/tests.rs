//! What reading, editing and writing an OpenClaw file promise, on generated JSON too.

use super::*;
use crate::error::Kind;
use proptest::prelude::*;
use serde_json::json;
use std::path::PathBuf;

fn parse(bytes: &[u8]) -> Result<Document> {
    Document::parse(bytes, Path::new("/x/auth-profiles.json"))
}

/// An agent's folder that does not exist yet, and the path of a file in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home
        .path()
        .join("state/agents/main/agent/auth-profiles.json");
    (home, path)
}

fn empty() -> Document {
    Document::new(Map::new())
}

fn put(path: &Path, bytes: &[u8]) {
    file::private_dir(path.parent().unwrap()).unwrap();
    file::replace(path, bytes, 0o600).unwrap();
}

fn set(path: &Path, key: &str) -> Result<()> {
    Document::edit(path, &Host::real(), empty, |document| {
        document.root.insert(key.to_owned(), Value::from(1));
        Ok(())
    })
}

const SAMPLE: &str = r#"{"z":{"token":"sk-FAKE-\u0041\n"},"a":[1,-2.5,1e20,null,true],"é":{}}"#;

#[test]
fn what_is_cut_anywhere_is_broken_and_not_repeated() {
    for cut in 0..SAMPLE.len() {
        let error = parse(&SAMPLE.as_bytes()[..cut]).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), Kind::Broken, "cut at {cut}");
        assert!(!error.message().contains("FAKE"), "{error}");
        assert!(error.hint_text().is_some());
    }
    assert!(parse(SAMPLE.as_bytes()).is_ok());
}

#[test]
fn hostile_bytes_are_broken_and_not_repeated() {
    let deep = "[".repeat(100_000);
    let deep_object = r#"{"a":"#.repeat(100_000);
    let cases: [(&[u8], &str); 14] = [
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"\xff\xfe{\0}\0", "line 1"),
        (b"{\"a\":\"FAKE\xff\"}", "line 1"),
        (b"[\"FAKE\"]", "no JSON object"),
        (b"\"FAKE\"", "no JSON object"),
        (b"null", "no JSON object"),
        (b"{\"a\":1e999}", "line 1"),
        (b"{\"a\":\"FAKE\"} {}", "line 1"),
        (b"{\"a\":\"\\ud800\"}", "line 1"),
        (b"{a:'FAKE'}", "line 1"),
        (deep.as_bytes(), "line 1"),
        (deep_object.as_bytes(), "line 1"),
    ];
    for (bytes, said) in cases {
        let error = parse(bytes).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), Kind::Broken);
        assert!(error.message().contains(said), "{error}");
        assert!(!error.message().contains("FAKE"), "{error}");
        assert!(!error.message().contains("expected"), "{error}");
    }
    let huge = vec![b' '; MAX_FILE + 1024 * 1024];
    let error = parse(&huge).map(|_| ()).unwrap_err();
    assert!(error.message().contains("8192 KiB"), "{error}");
}

#[test]
fn of_a_key_that_stands_twice_the_last_value_counts() {
    let document = parse(br#"{"a":1,"b":2,"a":3}"#).unwrap();
    assert_eq!(&*document.to_bytes(), b"{\n  \"a\": 3,\n  \"b\": 2\n}\n");
}

#[test]
fn the_layout_is_that_of_openclaw_and_the_buffer_never_grew() {
    let document = parse(br#"{"z":{},"a":[],"m":[{"k":"v\u0001\u2028"}]}"#).unwrap();
    let bytes = document.to_bytes();
    // The right side is `JSON.stringify(value, null, 2) + "\n"` of Node.
    assert_eq!(
        std::str::from_utf8(&bytes).unwrap(),
        "{\n  \"z\": {},\n  \"a\": [],\n  \"m\": [\n    {\n      \"k\": \"v\\u0001\u{2028}\"\n    \
         }\n  ]\n}\n"
    );
    assert_eq!(bytes.capacity(), bytes.len());
}

#[cfg(unix)]
#[test]
fn a_missing_file_is_made_private_with_its_folders() {
    use std::os::unix::fs::PermissionsExt;
    let (home, path) = place();
    assert!(Document::load(&path).unwrap().is_none());
    set(&path, "a").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    let mut dir = path.parent().unwrap();
    while dir != home.path() {
        assert_eq!(mode(dir), 0o700, "{}", dir.display());
        dir = dir.parent().unwrap();
    }
    // Neither the lock nor a temporary file is left.
    assert_eq!(
        std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
        1
    );
}

#[cfg(unix)]
#[test]
fn an_edit_that_changes_nothing_or_fails_writes_nothing() {
    let (_home, path) = place();
    put(&path, SAMPLE.as_bytes());
    let inode = |path: &Path| {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(path).unwrap().ino()
    };
    let before = inode(&path);
    Document::edit(&path, &Host::real(), empty, |_| Ok(())).unwrap();
    let failed: Result<()> = Document::edit(&path, &Host::real(), empty, |document| {
        document.root.clear();
        Err(Error::failed("no"))
    });
    assert!(failed.is_err());
    assert_eq!(inode(&path), before);
    assert_eq!(std::fs::read(&path).unwrap(), SAMPLE.as_bytes());
    // Nor is a missing file made.
    let other = path.with_file_name("auth-state.json");
    Document::edit(&other, &Host::real(), empty, |_| Ok(())).unwrap();
    assert!(!other.exists());
}

#[test]
fn a_broken_file_is_never_written_over() {
    let (_home, path) = place();
    for bytes in [b"".as_slice(), b"{", b"[]", b"\xef\xbb\xbf{}"] {
        put(&path, bytes);
        assert_eq!(set(&path, "a").unwrap_err().kind(), Kind::Broken);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
    put(&path, &vec![b' '; 9 * 1024 * 1024]);
    assert_eq!(set(&path, "a").unwrap_err().kind(), Kind::Broken);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 9 * 1024 * 1024);
}

#[cfg(unix)]
#[test]
fn a_link_pipe_or_folder_in_its_place_is_refused() {
    let (home, path) = place();
    let target = home.path().join("elsewhere/target.json");
    put(&path, b"{}");
    std::fs::remove_file(&path).unwrap();
    put(&target, b"{}");
    std::os::unix::fs::symlink(&target, &path).unwrap();
    assert_eq!(set(&path, "a").unwrap_err().kind(), Kind::Broken);
    assert_eq!(std::fs::read(&target).unwrap(), b"{}");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(set(&path, "a").is_err());
    assert!(Document::load(&path).is_err());
}

#[cfg(unix)]
#[test]
fn a_folder_or_file_that_others_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (_home, path) = place();
    put(&path, b"{}");
    let chmod = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod(&path, 0o620);
    let error = set(&path, "a").unwrap_err();
    assert_eq!(
        error.hint_text(),
        Some(format!("chmod 600 {}", path.display()).as_str())
    );
    // Only readable by others, as a restored backup may be: read, and closed by the next write.
    chmod(&path, 0o644);
    assert!(Document::load(&path).unwrap().is_some());
    set(&path, "a").unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let dir = path.parent().unwrap();
    chmod(dir, 0o755);
    let error = set(&path, "b").unwrap_err();
    assert_eq!(error.kind(), Kind::Broken);
    assert_eq!(
        error.hint_text(),
        Some(format!("chmod 700 {}", dir.display()).as_str())
    );
}

#[test]
fn what_a_killed_writer_left_is_swept_away() {
    let (_home, path) = place();
    put(&path, b"{}");
    let left = path.with_file_name(".clawkeep-tmp-left");
    assert!(file::claim(&left, b"sk-FAKE").unwrap());
    set(&path, "a").unwrap();
    assert!(!left.exists());
}

#[test]
fn writers_at_once_lose_nothing() {
    let (_home, path) = place();
    std::thread::scope(|scope| {
        for n in 0..64 {
            let path = &path;
            scope.spawn(move || set(path, &format!("writer-{n}")).unwrap());
        }
    });
    assert_eq!(Document::load(&path).unwrap().unwrap().root.len(), 64);
}

#[test]
fn wiping_reaches_every_text() {
    let mut value = json!({"a": "sk-FAKE", "b": [{"c": "sk-FAKE"}, "sk-FAKE"]});
    wipe(&mut value);
    assert!(!value.to_string().contains("FAKE"));
}

pub(crate) fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1000i32..1000).prop_map(|n| Value::from(f64::from(n) / 4.0)),
        "\\PC{0,8}|[\\x00-\\x1f\"\\\\]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec(("\\PC{0,6}", inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_what_was_read(value in arbitrary_json()) {
        let text = json!({"a": value}).to_string();
        let document = parse(text.as_bytes()).unwrap();
        let again = parse(&document.to_bytes()).unwrap();
        // As texts: equality of objects would not see the order of keys.
        prop_assert_eq!(
            serde_json::to_string(&document.root).unwrap(),
            text
        );
        prop_assert_eq!(serde_json::to_string(&again.root).unwrap(), serde_json::to_string(&document.root).unwrap());
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }
}
