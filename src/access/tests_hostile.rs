//! What others may put in the log's place.

#[cfg(unix)]
use super::tests::{Lab, caller, total};
use super::tests::{REFUSED, at, lab};
use super::*;
use proptest::prelude::*;

#[cfg(unix)]
#[test]
fn what_stands_in_the_logs_place_is_said_and_neither_read_nor_written() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let lab = lab();
    lab.record(0, "gateway/token", Outcome::Released);
    lab.record(0, "gateway/token", REFUSED);
    let path = lab.path("refusals.jsonl");
    let target = lab.dir.path().join("target");
    std::fs::copy(&path, &target).unwrap();
    std::fs::remove_file(&path).unwrap();
    symlink(&target, &path).unwrap();
    let before = std::fs::read(&target).unwrap();
    let fails = |lab: &Lab| {
        let log = Log::at(&lab.dir.path().join("vault"));
        let results = [("gateway/token", Outcome::Locked)];
        log.record(at(1), &caller("/x"), Writer::Resolve, &results)
            .unwrap_err();
        let reading = lab.log.read().unwrap();
        assert_eq!(total(&reading.events, Word::Released), 1);
        assert_eq!(reading.events.len(), 1);
        assert_eq!(reading.problems.len(), 1, "{:?}", reading.problems);
    };
    fails(&lab);
    assert_eq!(std::fs::read(&target).unwrap(), before);
    std::fs::remove_file(&path).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
    fails(&lab);
    std::fs::remove_file(&path).unwrap();
    std::fs::copy(&target, &path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    fails(&lab);
    // The way to have no log: a file in the folder's place.
    std::fs::remove_dir_all(lab.path("")).unwrap();
    let folder = lab.dir.path().join("vault/log");
    file::replace(&folder, b"", 0o600).unwrap();
    lab.log
        .record(
            at(1),
            &caller("/x"),
            Writer::Keeper,
            &[("a", Outcome::Released)],
        )
        .unwrap_err();
    assert_eq!(std::fs::read(&folder).unwrap(), b"");
    assert!(
        lab.log
            .read()
            .unwrap_err()
            .message()
            .contains("nothing is recorded")
    );
}

#[cfg(unix)]
#[test]
fn a_file_that_is_too_large_is_put_aside_and_said() {
    let lab = lab();
    lab.record(0, "gateway/token", Outcome::Released);
    let path = lab.path("releases.jsonl");
    let giant = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    giant.set_len(1 << 40).unwrap();
    assert_eq!(lab.log.read().unwrap().problems.len(), 1);
    lab.record(1, "anthropic:default", Outcome::Released);
    let reading = lab.log.read().unwrap();
    assert_eq!(reading.events.len(), 1);
    assert_eq!(reading.events[0].ids, ["anthropic:default"]);
    assert!(reading.problems[0].contains("put aside"));
}

/// What a line of a hostile file may hold.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let good = r#"{"at":1795182199000,"result":"released","ids":["a/b"],"uid":0,"process":{"pid":1,"program":"/x"},"by":"keeper"}"#;
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        Just(good.as_bytes().to_vec()),
        (0..good.len(), any::<u8>()).prop_map(move |(at, byte)| {
            let mut bytes = good.as_bytes().to_vec();
            bytes[at] = byte;
            bytes
        }),
        (0..good.len()).prop_map(move |at| good.as_bytes()[..at].to_vec()),
        Just(vec![b'['; 5000]),
        Just(vec![b' '; 40_000]),
        ("\\PC{0,20}", any::<u64>()).prop_map(|(text, count)| {
            serde_json::json!({"at": 1, "count": count, "result": "refused", "reason": text,
                "ids": [text], "process": {"pid": 1, "program": format!("{text}\u{1b}[2J\u{202e}")}})
            .to_string()
            .into_bytes()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_file_hinders_the_next_record_or_reaches_the_screen(
        lines in proptest::collection::vec(line(), 0..20),
        torn in any::<bool>(),
    ) {
        let lab = lab();
        lab.record(0, "gateway/token", Outcome::Released);
        for name in ["releases.jsonl", "refusals.jsonl"] {
            let mut bytes = lines.join(&b'\n');
            if !torn {
                bytes.push(b'\n');
            }
            file::replace(&lab.path(name), &bytes, 0o600).unwrap();
        }
        lab.record(1, "gateway/token", Outcome::Released);
        lab.record(1, "gateway/token", REFUSED);
        let reading = lab.log.read().unwrap();
        let ours = reading.events.iter().filter(|event| event.at == at(1) && event.ids == ["gateway/token"]);
        prop_assert_eq!(ours.count(), 2);
        for event in &reading.events {
            prop_assert!(event.ids.iter().all(|id| crate::secret::in_grammar(id)));
            let program = event.process.as_ref().and_then(|process| process.program.clone());
            let tricks = ['\u{1b}', '\u{202e}'];
            prop_assert!(!program.unwrap_or_default().contains(tricks));
        }
        // And folding what is there keeps every count that can be kept.
        let sum = |events: &[Event]| events.iter().fold(0u64, |sum, event| sum.saturating_add(event.count));
        let parsed = Lines::parse(&std::fs::read(lab.path("releases.jsonl")).unwrap());
        let before = sum(&parsed.events);
        let folded = Lines::parse(&fold::fold(parsed, Bounds { full: 0, verbatim: 300, counted: 600 }));
        prop_assert_eq!(folded.damaged, 0);
        prop_assert_eq!(sum(&folded.events), before);
        let mut follow = lab.log.follow(5).unwrap();
        prop_assert!(follow.look().unwrap().len() <= 5);
    }
}
