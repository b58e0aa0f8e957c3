//! Undoing on real files: what comes back, what stays, and what stops it.

use super::*;
use crate::error::Kind;
use crate::expiry::Millis;
use crate::file;
use crate::openclaw::config::{Config, MARKER};
use crate::vault::undo::{After, Left, WasAt, WasFile};
use serde_json::Value;
use std::os::unix::fs::{PermissionsExt, symlink};
use zeroize::Zeroizing;

pub(super) const VALUE: &str = "sk-FAKE-value-0123456789abcdef";

/// A state folder and the bundle of a migration in it.
pub(super) struct Scene {
    _dir: tempfile::TempDir,
    pub(super) root: PathBuf,
    pub(super) bundle: Bundle,
}

impl Scene {
    fn new() -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap().join("state");
        std::fs::create_dir_all(root.join("agents/main/agent")).unwrap();
        let now = Millis::new(1_795_182_199_123).unwrap();
        let bundle = Bundle::new(now, vec![root.clone()], false).unwrap();
        Scene {
            _dir: dir,
            root,
            bundle,
        }
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn put(&self, name: &str, text: &str, mode: u32) {
        let path = self.at(name);
        file::replace(&path, text.as_bytes(), mode).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(super) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).unwrap()
    }

    /// A file that the migration made of `before`; `None` for one that was not there, or went.
    fn migrated(&mut self, name: &str, before: Option<&str>, after: Option<&str>) -> &mut WasFile {
        if let Some(after) = after {
            self.put(name, after, 0o600);
        }
        self.bundle.files.push(WasFile {
            path: self.root.join(name),
            mode: 0o640,
            before: before.map(|text| Zeroizing::new(text.as_bytes().to_vec())),
            after: after.map_or(After::Removed, |text| After::of(text.as_bytes())),
            is_copy: false,
            values: Vec::new(),
        });
        self.bundle.files.last_mut().unwrap()
    }

    pub(super) fn plan(&self) -> Result<Plan<'_>> {
        Plan::of(&self.bundle, rooted::is_root())
    }

    fn words(&self) -> Vec<&'static str> {
        let plan = self.plan().unwrap();
        plan.files().map(|(_, fate)| fate.word()).collect()
    }

    pub(super) fn undo(&self) -> Result<Done> {
        self.plan()?.apply(None, &Host::real(), &mut |_| {})
    }

    /// Every file below the root with its bytes and mode.
    fn all(&self) -> Vec<(PathBuf, Vec<u8>, u32)> {
        let mut all = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() {
                    let bytes = std::fs::read(&path).unwrap();
                    let mode = file::mode_of(&path);
                    all.push((path, bytes, mode));
                }
            }
        }
        all.sort();
        all
    }

    /// Nothing is written, and the reason holds these words.
    fn stops(&self, said: &str) {
        let before = self.all();
        let error = self.undo().unwrap_err();
        assert!(error.message().contains(said), "{error}");
        assert!(!error.message().contains(VALUE), "{error}");
        assert_eq!(self.all(), before);
    }
}

fn place(keys: &[&str], left: Left) -> WasAt {
    WasAt {
        place: keys.iter().map(|key| (*key).to_owned()).collect(),
        id: None,
        left,
    }
}

fn reference(id: &str) -> Left {
    Left::Ref(id.to_owned())
}

const OURS: &str = r#"{"source": "exec", "provider": "clawkeep", "id": "provider/anthropic"}"#;

pub(super) fn config_before() -> String {
    format!(
        "{{\n  // mine\n  models: {{ providers: {{ anthropic: {{ apiKey: '{VALUE}', }} }} }},\n  port: 1,\n}}\n"
    )
}

/// As the migration leaves it: a ref, and our entry.
fn config_after() -> String {
    format!(
        "{{\n  // mine\n  models: {{ providers: {{ anthropic: {{ apiKey: {OURS}, }} }} }},\n  port: 1,\n  \"secrets\": {{ \"providers\": {{ \"clawkeep\": {{ \"source\": \"exec\" }} }} }},\n}}\n"
    )
}

pub(super) const CONFIG: &str = "openclaw.json";

pub(super) fn with_config() -> Scene {
    let mut scene = Scene::new();
    let (before, after) = (config_before(), config_after());
    let was = scene.migrated(CONFIG, Some(&before), Some(&after));
    was.values.push(place(
        &["models", "providers", "anthropic", "apiKey"],
        reference("provider/anthropic"),
    ));
    scene
}

#[test]
fn what_is_unchanged_since_is_as_it_was_to_the_byte() {
    let mut scene = with_config();
    let env = format!("\u{feff}A={VALUE}\r\n# b\r\nB=1");
    scene.migrated(".env", Some(&env), Some("\u{feff}# b\r\nB=1"));
    scene.migrated("agents/main/agent/auth.json", Some("{}"), None);
    scene.migrated("made.json", None, Some("{}"));
    scene.put("other", "stays", 0o644);
    assert_eq!(
        scene.words(),
        ["restored", "restored", "restored", "removed"]
    );
    let done = scene.undo().unwrap();
    assert_eq!((done.restored.len(), done.removed.len()), (3, 1));
    assert_eq!(scene.text(CONFIG), config_before());
    assert_eq!(scene.text(".env"), env);
    assert_eq!(scene.text("agents/main/agent/auth.json"), "{}");
    assert!(!scene.at("made.json").exists());
    assert_eq!(file::mode_of(&scene.at(".env")), 0o640);
    assert_eq!(scene.text("other"), "stays");
    // Once more is nothing more.
    let all = scene.all();
    assert_eq!(scene.words(), ["stands"; 4]);
    scene.undo().unwrap();
    assert_eq!(scene.all(), all);
}

#[test]
fn a_migration_that_was_cut_off_anywhere_is_undone() {
    let mut scene = with_config();
    // Before this one was written, with its state noted in advance or not.
    for (name, after) in [("a.env", After::of(b"")), ("b.env", After::Unknown)] {
        scene.migrated(name, Some("A=1\n"), None).after = after;
        scene.put(name, "A=1\n", 0o640);
    }
    scene.migrated("gone.json", Some("{}"), None);
    scene.put("gone.json", "{}", 0o600);
    scene.migrated("never-made.json", None, None).after = After::Unknown;
    assert_eq!(
        scene.words(),
        ["restored", "stands", "stands", "stands", "stands"]
    );
    scene.undo().unwrap();
    assert_eq!(scene.text(CONFIG), config_before());
}

#[test]
fn where_only_openclaw_edited_the_values_return_and_all_else_stays() {
    let scene = with_config();
    // As OpenClaw writes it: plain JSON, no comments, with something of its own.
    let theirs = format!(
        r#"{{"models":{{"providers":{{"anthropic":{{"apiKey":{OURS}}}}}}},"port":2,"meta":{{"at":"now"}},"secrets":{{"providers":{{"clawkeep":{{"source":"exec"}}}}}}}}"#
    );
    scene.put(CONFIG, &theirs, 0o644);
    assert_eq!(scene.words(), ["returned"]);
    let done = scene.undo().unwrap();
    assert_eq!(done.returned, [(scene.at(CONFIG), 1)]);
    let text = scene.text(CONFIG);
    assert!(
        text.starts_with("{\n  // mine\n") && text.contains(VALUE),
        "{text}"
    );
    assert!(!text.contains("clawkeep"), "{text}");
    let read = Config::parse(text.as_bytes(), Path::new(CONFIG)).unwrap();
    assert_eq!(read.get(&["port"]), Some(Value::from(2)));
    assert_eq!(read.get(&["meta", "at"]), Some(Value::from("now")));
    assert_eq!(file::mode_of(&scene.at(CONFIG)), 0o644);
    // Once more is nothing more.
    assert_eq!(scene.words(), ["stands"]);
}

#[test]
fn profiles_get_their_values_back_in_their_own_keys() {
    const FILE: &str = "agents/main/agent/auth-profiles.json";
    let mut scene = Scene::new();
    let before = format!(
        r#"{{"version":1,"profiles":{{"a:b.c":{{"type":"api_key","provider":"a","key":"{VALUE}"}},"t":{{"type":"token","provider":"a","token":"{VALUE}-2"}},"o":{{"type":"oauth","provider":"a","access":"FAKE"}}}}}}"#
    );
    let after = r#"{"version":1,"profiles":{"a:b.c":{"type":"api_key","provider":"a","keyRef":{"source":"exec","provider":"clawkeep","id":"a:b.c"}},"o":{"type":"oauth","provider":"a","access":"FAKE"},"new":{"type":"api_key","provider":"b","keyRef":{"source":"exec","provider":"clawkeep","id":"new"}}}}"#;
    let was = scene.migrated(FILE, Some(&before), Some(after));
    was.values.extend([
        place(&["profiles", "a:b.c", "key"], reference("a:b.c")),
        place(&["profiles", "t", "token"], Left::Nothing),
    ]);
    // OpenClaw renewed the login meanwhile.
    scene.put(
        FILE,
        &after.replace("\"access\":\"FAKE\"", "\"access\":\"FAKE-NEW\""),
        0o600,
    );
    assert_eq!(scene.words(), ["returned"]);
    scene.undo().unwrap();
    let read: Value = serde_json::from_str(&scene.text(FILE)).unwrap();
    let mut expected: Value = serde_json::from_str(&before).unwrap();
    expected["profiles"]["o"]["access"] = Value::from("FAKE-NEW");
    assert_eq!(read, expected);
    assert!(
        !scene
            .at("agents/main/agent/auth-profiles.json.lock")
            .exists()
    );
}

#[test]
fn a_marker_becomes_its_value_and_a_new_file_loses_our_refs() {
    let mut scene = Scene::new();
    let was = scene.migrated(
        "models.json",
        Some(&format!(r#"{{"a":{{"k":"{VALUE}"}}}}"#)),
        Some("{}"),
    );
    was.values.push(place(&["a", "k"], Left::Marker));
    scene.put(
        "models.json",
        &format!(r#"{{"a":{{"k":"{MARKER}","n":1}}}}"#),
        0o600,
    );
    scene.migrated("new.json", None, Some("{}"));
    scene.put(
        "new.json",
        &format!(r#"{{"x":{{"y":{OURS}}},"z":1}}"#),
        0o600,
    );
    assert_eq!(scene.words(), ["returned", "returned"]);
    scene.undo().unwrap();
    assert_eq!(
        scene.text("models.json"),
        format!(r#"{{"a":{{"k":"{VALUE}","n":1}}}}"#)
    );
    assert_eq!(scene.text("new.json"), r#"{"z":1}"#);
}

#[test]
fn where_a_person_edited_nothing_at_all_is_written_and_no_value_is_shown() {
    let other = "sk-FAKE-other-9876543210fedcba";
    let edits = [
        config_after().replace(OURS, &format!("'{other}'")),
        config_after().replace(OURS, "{ source: 'exec', provider: 'mine', id: 'x' }"),
        config_after().replace(OURS, "1"),
        format!("not json, A={other}"),
        config_after().replace("apiKey:", "apiKey: 1, apiKey:"),
    ];
    for edit in edits {
        let mut scene = with_config();
        scene.migrated(".env", Some(&format!("A={VALUE}\n")), Some(""));
        scene.put(CONFIG, &edit, 0o600);
        let plan = scene.plan().unwrap();
        let shown: Vec<_> = plan.edited().collect();
        assert_eq!(shown.len(), 1, "{edit}");
        assert!(shown[0].1.contains("openclaw.json"), "{}", shown[0].1);
        assert!(!shown[0].1.contains("FAKE"), "{}", shown[0].1);
        scene.stops("was edited since the migration");
        // Put aside, it stops nobody.
        rustix::fs::rename(scene.at(CONFIG), scene.at("mine")).unwrap();
        scene.undo().unwrap();
        assert_eq!(scene.text(CONFIG), config_before());
    }
}

#[test]
fn an_edited_list_of_variables_stops_and_shows_names_alone() {
    let mut scene = Scene::new();
    let before = format!("A={VALUE}\n# note\nB=\"FAKE first\nFAKE-second=x\"\n");
    scene.migrated(".env", Some(&before), Some("# note\n"));
    scene.put(".env", "# note\n#OLD=FAKE\nexport MINE=FAKE-new\n", 0o600);
    let plan = scene.plan().unwrap();
    let (_, shown) = plan.edited().next().unwrap();
    for name in [
        "-export MINE=***",
        "-#OLD=***",
        "+A=***",
        "+B=***",
        " # note",
    ] {
        assert!(shown.lines().any(|line| line == name), "{name}: {shown}");
    }
    assert!(!shown.contains("FAKE"), "{shown}");
    scene.stops("was edited");
    // A file of the same name that was made anew after it went.
    let mut scene = Scene::new();
    scene.migrated(".env", Some("A=FAKE\n"), None);
    scene.put(".env", "B=1\n", 0o600);
    scene.stops("was edited");
}

#[test]
fn a_copy_that_is_another_one_by_now_stays() {
    let mut scene = with_config();
    scene
        .migrated("openclaw.json.bak", Some("{ a: 1 }"), Some("{}"))
        .is_copy = true;
    scene
        .migrated("openclaw.json.bak.1", Some("{ a: 1 }"), Some("{}"))
        .is_copy = true;
    scene.put("openclaw.json.bak", "{ b: 1 }", 0o600);
    file::remove(&scene.at("openclaw.json.bak.1")).unwrap();
    symlink(scene.at(CONFIG), scene.at("openclaw.json.bak.1")).unwrap();
    let done = scene.undo().unwrap();
    assert_eq!(done.notes.len(), 2, "{:?}", done.notes);
    assert_eq!(scene.text("openclaw.json.bak"), "{ b: 1 }");
    assert_eq!(scene.text(CONFIG), config_before());
}

#[test]
fn a_planted_bundle_writes_nothing_at_all() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside
        .path()
        .canonicalize()
        .unwrap()
        .join("authorized_keys");
    let planted = |change: &dyn Fn(&mut Scene)| {
        let mut scene = with_config();
        scene.migrated("f", Some("FAKE"), Some("x"));
        change(&mut scene);
        scene
    };
    planted(&|scene| scene.bundle.files[1].path = target.clone()).stops("outside the folders");
    planted(&|scene| scene.bundle.files[1].path = scene.at("../f")).stops("plain names");
    planted(&|scene| scene.bundle.files[1].mode = 0o4755).stops("a mode that no file is given");
    let linked = planted(&|scene| {
        file::remove(&scene.at("f")).unwrap();
        symlink(&target, scene.at("f")).unwrap();
    });
    linked.stops("not a regular file");
    let folder = planted(&|scene| {
        symlink(outside.path(), scene.at("way")).unwrap();
        scene.bundle.files[1].path = scene.at("way/authorized_keys");
    });
    folder.stops("no link is followed");
    let root = planted(&|scene| {
        let real = scene.root.with_file_name("real");
        rustix::fs::rename(&scene.root, &real).unwrap();
        symlink(&real, &scene.root).unwrap();
    });
    root.stops("no link is followed");
    let pipe = planted(&|scene| {
        file::remove(&scene.at("f")).unwrap();
        let rights = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, scene.at("f"), kind, rights, 0).unwrap();
    });
    pipe.stops("not a regular file");
    assert!(!target.exists());
}

#[test]
fn root_is_asked_whether_it_means_it() {
    let scene = with_config();
    let plan = Plan::of(&scene.bundle, false);
    if rooted::is_root() {
        assert_eq!(plan.err().unwrap().kind(), Kind::Usage);
    } else {
        assert!(plan.is_ok());
    }
}

#[test]
fn one_migration_or_undoing_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let held = alone(dir.path()).unwrap();
    assert!(alone(dir.path()).is_err());
    drop(held);
    alone(dir.path()).unwrap();
}
