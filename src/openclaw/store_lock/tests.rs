//! What OpenClaw's lock promises: one holder, stale locks go, live ones stay.

use super::*;
use crate::error::Kind;
use proptest::prelude::*;
use std::cell::Cell;
use std::os::unix::fs::PermissionsExt;

/// A clock that only waiting moves, from the machine's own time: file times are the machine's.
struct Fake {
    now: Cell<i64>,
    paused: Duration,
    /// What happens while somebody waits.
    meanwhile: Box<dyn FnMut(u32)>,
    pauses: u32,
}

impl Fake {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(meanwhile: impl FnMut(u32) + 'static) -> Self {
        Fake {
            now: Cell::new(Host::real().now().get()),
            paused: Duration::ZERO,
            meanwhile: Box::new(meanwhile),
            pauses: 0,
        }
    }

    fn later(self, ms: i64) -> Self {
        self.now.set(self.now.get() + ms);
        self
    }
}

impl Time for Fake {
    fn now(&self) -> Millis {
        Millis::new(self.now.get()).unwrap()
    }

    fn pause(&mut self, pause: Duration) {
        self.paused += pause;
        self.now
            .set(self.now.get() + i64::try_from(pause.as_millis()).unwrap());
        self.pauses += 1;
        (self.meanwhile)(self.pauses);
    }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let lock = std::fs::canonicalize(dir.path()).unwrap().join(LOCK_NAME);
    (dir, lock)
}

fn put(path: &Path, payload: &str) {
    assert!(file::claim(path, payload.as_bytes()).unwrap());
}

fn my_start() -> u64 {
    start_time(i32::try_from(std::process::id()).unwrap()).unwrap_or(0)
}

/// A pid that is certainly dead: of a child that was waited for.
fn dead_pid() -> u32 {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

#[test]
fn the_lock_is_openclaws_and_goes_with_its_value() {
    let (dir, path) = folder();
    let lock = StoreLock::take(dir.path(), &Host::real()).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let fields: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(fields["pid"], std::process::id());
    let created = fields["createdAt"].as_str().unwrap();
    assert_eq!(created.len(), "2026-11-20T00:00:00.000Z".len());
    assert!(
        created.ends_with('Z') && created.as_bytes()[19] == b'.',
        "{created}"
    );
    if cfg!(target_os = "linux") {
        assert_eq!(fields["starttime"], my_start());
    }
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(lock);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn what_could_not_be_removed_is_taken_again_at_once_or_said() {
    let (dir, lock) = folder();
    let held = StoreLock::take_with(dir.path(), &mut Fake::new()).unwrap();
    // Removing it failed when it was let go.
    LEFT.lock().unwrap().push(held.mine.clone());
    std::mem::forget(held);
    let mut time = Fake::new();
    let again = StoreLock::take_with(dir.path(), &mut time).unwrap();
    assert_eq!(time.paused, Duration::ZERO);
    drop(again);
    assert!(!lock.exists());
}

#[test]
fn a_link_to_the_folder_is_the_same_lock() {
    let (dir, path) = folder();
    let other = tempfile::tempdir().unwrap();
    let link = other.path().join("agent");
    std::os::unix::fs::symlink(dir.path(), &link).unwrap();
    let _lock = StoreLock::take(&link, &Host::real()).unwrap();
    assert!(path.exists());
}

#[test]
fn a_live_lock_is_waited_for_then_named_and_left() {
    let (dir, path) = folder();
    let lock = StoreLock::take(dir.path(), &Host::real()).unwrap();
    let before = std::fs::read(&path).unwrap();
    let mut time = Fake::new();
    let error = StoreLock::take_with(dir.path(), &mut time).unwrap_err();
    assert_eq!(error.kind(), Kind::Failed);
    let pid = std::process::id().to_string();
    assert!(error.message().contains(&pid), "{error}");
    assert_eq!(
        error.hint_text(),
        Some(format!("see what it is: ps -p {pid}").as_str())
    );
    assert!(time.paused >= WAIT && time.paused < WAIT + LONGEST_PAUSE);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    drop(lock);
    StoreLock::take_with(dir.path(), &mut Fake::new()).unwrap();
}

#[test]
fn whoever_waits_gets_it_when_it_is_freed() {
    let (dir, path) = folder();
    put(&path, &payload(Host::real().now()));
    let freed = path.clone();
    let mut time = Fake::with(move |pauses| {
        if pauses == 3 {
            std::fs::remove_file(&freed).unwrap();
        }
    });
    StoreLock::take_with(dir.path(), &mut time).unwrap();
    assert_eq!(time.pauses, 3);
}

/// Whether a lock with `payload` that is `age` ms old by its file's time is taken over.
fn taken_over(payload: &str, age: i64) -> bool {
    let (dir, path) = folder();
    put(&path, payload);
    let now = Fake::new().later(age).now();
    let stale = Found::at(&path).unwrap().unwrap().is_stale(now);
    // Without waiting: the clock stands still.
    let freed = path.clone();
    let mut time = Fake::with(move |_| {
        let _ = std::fs::remove_file(&freed);
    })
    .later(age);
    StoreLock::take_with(dir.path(), &mut time).unwrap();
    assert_eq!(stale, time.pauses == 0, "{payload}");
    stale
}

#[test]
fn stale_is_what_openclaw_takes_for_stale() {
    let me = std::process::id();
    let start = my_start();
    let other = start + 1;
    let dead = dead_pid();
    let now = jiff::Timestamp::from_millisecond(Host::real().now().get()).unwrap();
    let old = "2020-01-01T00:00:00.000Z";
    let (fresh, aged) = (1_000, STALE_MS + 5_000);
    let cases = [
        // 2026.6.1: pid and start time decide, whatever the age.
        (
            format!(r#"{{"pid":{me},"createdAt":"{now}","starttime":{start}}}"#),
            false,
            false,
        ),
        (
            format!(r#"{{"pid":{me},"createdAt":"{old}","starttime":{start}}}"#),
            false,
            false,
        ),
        (
            format!(r#"{{"pid":{me},"createdAt":"{now}","starttime":{other}}}"#),
            true,
            true,
        ),
        (
            format!(r#"{{"pid":{dead},"createdAt":"{now}","starttime":1}}"#),
            true,
            true,
        ),
        // 2026.2.26: no start time, so that age counts.
        (
            format!(r#"{{"pid":{me},"createdAt":"{now}"}}"#),
            false,
            true,
        ),
        (format!(r#"{{"pid":{me},"createdAt":"{old}"}}"#), true, true),
        (
            format!(r#"{{"pid":{dead},"createdAt":"{now}"}}"#),
            true,
            true,
        ),
        // No owner, or none that can be read.
        (format!(r#"{{"createdAt":"{old}"}}"#), true, true),
        (format!(r#"{{"createdAt":"{now}"}}"#), false, true),
        // A clock that was wrong: the file's own time counts as well.
        (
            r#"{"createdAt":"2999-01-01T00:00:00.000Z"}"#.to_owned(),
            false,
            true,
        ),
        (
            r#"{"pid":"1","createdAt":7,"starttime":[]}"#.to_owned(),
            false,
            true,
        ),
        (r#"{"pid":-1}"#.to_owned(), false, true),
        (r#"{"pid":99999999999999999999}"#.to_owned(), false, true),
        ("[".repeat(4000), false, true),
        (String::new(), false, true),
    ];
    for (payload, when_fresh, when_aged) in cases {
        let shown = payload.chars().take(80).collect::<String>();
        assert_eq!(taken_over(&payload, fresh), when_fresh, "fresh: {shown}");
        assert_eq!(taken_over(&payload, aged), when_aged, "aged: {shown}");
    }
}

#[test]
fn the_folder_of_the_seed_era_is_held_until_it_is_old() {
    let (dir, path) = folder();
    std::fs::create_dir(&path).unwrap();
    let error = StoreLock::take_with(dir.path(), &mut Fake::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::Failed);
    assert!(path.is_dir());
    let mut time = Fake::new().later(STALE_MS + 5_000);
    StoreLock::take_with(dir.path(), &mut time).unwrap();
    assert_eq!(time.pauses, 0);
    assert!(!path.exists());
}

#[test]
fn what_is_no_lock_is_left_alone() {
    let (dir, path) = folder();
    std::os::unix::fs::symlink("/nowhere", &path).unwrap();
    let error = StoreLock::take_with(dir.path(), &mut Fake::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::Broken);
    assert!(std::fs::symlink_metadata(&path).unwrap().is_symlink());
    // A folder with something in it is not OpenClaw's either, however old.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir_all(path.join("kept")).unwrap();
    let mut time = Fake::new().later(STALE_MS * 10);
    StoreLock::take_with(dir.path(), &mut time).unwrap_err();
    assert!(path.join("kept").exists());
}

#[test]
fn a_lock_that_was_replaced_is_not_ours_to_remove() {
    let (dir, path) = folder();
    let lock = StoreLock::take(dir.path(), &Host::real()).unwrap();
    let ours = std::fs::read_to_string(&path).unwrap();
    // The same text and time in another file: only the inode tells. The first file stays open, so
    // that its inode is not given to the second.
    let open = File::open(&path).unwrap();
    let written = open.metadata().unwrap().modified().unwrap();
    std::fs::remove_file(&path).unwrap();
    put(&path, &ours);
    File::open(&path).unwrap().set_modified(written).unwrap();
    drop(open);
    drop(lock);
    assert!(path.exists());

    // And a stale one that became somebody's after it was judged stays too.
    let judged = Found::at(&path).unwrap().unwrap();
    std::fs::remove_file(&path).unwrap();
    put(&path, "{}");
    assert!(!remove_if_unchanged(dir.path(), &path, &judged));
    assert!(path.exists());
}

#[test]
fn among_many_with_a_stale_lock_only_one_holds_it_at_a_time() {
    let (dir, path) = folder();
    put(&path, &format!(r#"{{"pid":{}}}"#, dead_pid()));
    let counter = dir.path().join("counter");
    assert!(file::claim(&counter, b"0").unwrap());
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..4 {
                    let _lock = StoreLock::take(dir.path(), &Host::real()).unwrap();
                    let n: u32 = std::fs::read_to_string(&counter).unwrap().parse().unwrap();
                    file::replace(&counter, (n + 1).to_string().as_bytes(), 0o600).unwrap();
                }
            });
        }
    });
    assert_eq!(std::fs::read_to_string(&counter).unwrap(), "64");
    assert!(!path.exists());
}

proptest! {
    #[test]
    fn no_payload_panics_and_none_is_stale_before_its_time(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (_dir, path) = folder();
        prop_assert!(file::claim(&path, &bytes).unwrap());
        let found = Found::at(&path).unwrap().unwrap();
        if found.owner() == Owner::default() {
            prop_assert!(!found.is_stale(Fake::new().now()));
            prop_assert!(found.is_stale(Fake::new().later(STALE_MS + 5_000).now()));
        }
    }
}
