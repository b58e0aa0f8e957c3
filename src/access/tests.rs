//! Bounds, folding, concurrency and hostile files, on the log itself.

use super::*;
use proptest::prelude::*;

const NOW: i64 = 1_795_182_199_000;

fn at(ms: i64) -> Millis {
    Millis::new(NOW + ms).unwrap()
}

struct Lab {
    dir: tempfile::TempDir,
    log: Log,
}

/// A folder as a vault has it, and its log.
fn lab() -> Lab {
    let dir = tempfile::tempdir().unwrap();
    let vault = dir.path().join("vault");
    file::private_dir(&vault).unwrap();
    Lab {
        log: Log::at(&vault),
        dir,
    }
}

fn caller(program: &str) -> Caller {
    Caller {
        uid: 1000,
        process: Process {
            pid: 7,
            program: Some(program.to_owned()),
        },
        parent: None,
    }
}

impl Lab {
    fn record(&self, ms: i64, id: &str, outcome: Outcome) {
        self.log
            .record(
                at(ms),
                &caller("/fake/clawkeep"),
                Writer::Keeper,
                &[(id, outcome)],
            )
            .unwrap();
    }

    /// As a process that records once and ends.
    fn record_and_end(&self, ms: i64, id: &str, outcome: Outcome) {
        Log::at(&self.dir.path().join("vault"))
            .record(
                at(ms),
                &caller("/fake/clawkeep"),
                Writer::Resolve,
                &[(id, outcome)],
            )
            .unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("vault/log").join(name)
    }

    fn size(&self, name: &str) -> u64 {
        std::fs::metadata(self.path(name)).map_or(0, |meta| meta.len())
    }

    #[track_caller]
    fn events(&self) -> Vec<Event> {
        let reading = self.log.read().unwrap();
        assert_eq!(reading.problems, Vec::<String>::new());
        reading.events
    }
}

fn total(events: &[Event], result: Word) -> u64 {
    let events = events.iter().filter(|event| event.result == result);
    events.map(|event| event.count).sum()
}

const REFUSED: Outcome = Outcome::Refused(Reason::OutsideUnit);

#[test]
fn a_batch_is_one_event_for_each_way_that_its_ids_fared() {
    let lab = lab();
    let results = [
        ("gateway/token", Outcome::Released),
        ("absent", Outcome::Absent),
        ("provider/anthropic", Outcome::Released),
        ("not an id\u{1b}[2J", Outcome::Refused(Reason::BadId)),
        ("sk-fake-a-value-in-an-ids-place", Outcome::Absent),
    ];
    lab.log
        .record(at(0), &caller("/x"), Writer::Keeper, &results)
        .unwrap();
    let mut events = lab.events();
    events.sort_by_key(|event| event.result.name());
    let said: Vec<_> = events
        .iter()
        .map(|event| (event.result, event.ids.join(" "), event.malformed))
        .collect();
    assert_eq!(
        said,
        [
            (Word::Absent, "absent".to_owned(), 1),
            (Word::Refused, String::new(), 1),
            (
                Word::Released,
                "gateway/token provider/anthropic".to_owned(),
                0
            ),
        ]
    );
    assert_eq!(events[1].reason, Some(Reason::BadId));
}

#[test]
fn a_line_is_bounded_whatever_is_asked_for() {
    let lab = lab();
    let ids: Vec<String> = (0..512)
        .map(|n| format!("{n:03}{}", "x".repeat(253)))
        .collect();
    for outcome in [Outcome::Released, REFUSED] {
        let results: Vec<_> = ids.iter().map(|id| (id.as_str(), outcome)).collect();
        lab.log
            .record(at(0), &caller(&"\"".repeat(515)), Writer::Keeper, &results)
            .unwrap();
    }
    for event in lab.events() {
        assert_eq!(event.ids.len() as u64 + event.more, 512);
        let mut line = Vec::new();
        event.write(&mut line);
        assert!(line.len() < event::MAX_LINE);
    }
}

#[test]
fn equal_refusals_of_many_processes_are_one_that_is_counted() {
    let lab = lab();
    let mut largest = 0;
    for n in 0..5000 {
        lab.record_and_end(n, "gateway/token", REFUSED);
        largest = largest.max(lab.size("refusals.jsonl"));
    }
    let events = lab.events();
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(events[0].count, 5000);
    assert_eq!((events[0].since(), events[0].at), (at(0), at(4999)));
    assert!(largest <= REFUSALS.full, "{largest}");
    assert!(
        largest > REFUSALS.full - 1000,
        "the bound was never reached"
    );
}

#[test]
fn releases_outlive_every_noise() {
    let lab = lab();
    lab.record_and_end(0, "gateway/token", Outcome::Released);
    for n in 0..6000 {
        let id = format!("noise/{n:0>200}");
        lab.record_and_end(
            n + 1,
            &id,
            if n % 2 == 0 { REFUSED } else { Outcome::Absent },
        );
    }
    assert!(lab.size("refusals.jsonl") <= REFUSALS.full);
    let events = lab.events();
    assert_eq!(total(&events, Word::Released), 1);
    let several = events.iter().filter(|event| event.result == Word::Several);
    let several: Vec<_> = several.collect();
    assert_eq!(several.len(), 1);
    let rest = total(&events, Word::Refused) + total(&events, Word::Absent);
    assert_eq!(several[0].count + rest, 6000);
    assert_eq!(several[0].since(), at(1));
    assert!(rest > 500, "the newest {rest} are still told apart");
}

#[test]
fn releases_that_repeat_themselves_push_no_other_release_out() {
    let lab = lab();
    lab.record_and_end(0, "gateway/token", Outcome::Released);
    let mut largest = 0;
    for n in 0..20_000 {
        lab.record(n + 1, "anthropic:default", Outcome::Released);
        largest = largest.max(lab.size("releases.jsonl"));
    }
    assert!(largest <= RELEASES.full, "{largest}");
    let events = lab.events();
    assert_eq!(
        total(&events, Word::Released),
        20_001,
        "none lost, none doubled"
    );
    assert_eq!(events[0].ids, ["gateway/token"]);
    let alone = events.iter().filter(|event| event.first.is_none()).count();
    assert!(alone > 4000, "the newest {alone} stand for themselves");
}

#[test]
fn a_long_lived_writer_writes_refusals_once_a_second() {
    let lab = lab();
    for n in 0..100_000 {
        lab.record(n / 100, "gateway/token", REFUSED);
    }
    let lines = |lab: &Lab| {
        std::fs::read_to_string(lab.path("refusals.jsonl"))
            .unwrap()
            .lines()
            .count()
    };
    assert_eq!(lines(&lab), 1, "the first at once, the others are held");
    assert_eq!(lab.log.flush_at(), Some(at(1000)));
    lab.record(1000, "gateway/token", REFUSED);
    assert_eq!(lines(&lab), 2);
    assert_eq!(lab.log.flush_at(), None);
    assert_eq!(lab.events()[0].count, 100_001);
    // A release takes what is held along, and so does the end.
    lab.record(1001, "gateway/token", REFUSED);
    lab.record(1002, "gateway/token", Outcome::Released);
    assert_eq!(lines(&lab), 3);
    lab.record(1003, "gateway/token", REFUSED);
    assert_eq!(lines(&lab), 3);
    // A clock that was set back holds nothing for ever.
    lab.record(-5000, "gateway/token", REFUSED);
    assert_eq!(lines(&lab), 4);
    lab.record(-4999, "gateway/token", REFUSED);
    let Lab { dir, log } = lab;
    drop(log);
    let log = Log::at(&dir.path().join("vault"));
    assert_eq!(total(&log.read().unwrap().events, Word::Refused), 100_005);
}

#[test]
fn a_long_lived_writer_holds_no_more_kinds_than_it_may() {
    let lab = lab();
    for n in 0..100_000 {
        lab.record(0, &format!("noise/{n}"), REFUSED);
    }
    assert!(lab.log.held().kinds.len() <= HELD_KINDS);
    lab.log.flush(at(1)).unwrap();
    let events = lab.events();
    let sum = total(&events, Word::Refused) + total(&events, Word::Several);
    assert_eq!(sum, 100_000);
    assert!(lab.size("refusals.jsonl") < REFUSALS.full);
}

#[test]
fn writers_that_fold_at_once_lose_and_double_nothing() {
    let lab = lab();
    let filler = "f".repeat(250);
    // Close to both bounds, so that every thread comes to fold.
    for n in 0..1500 {
        lab.record_and_end(0, &format!("a{n}/{filler}"), REFUSED);
    }
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let lab = &lab;
            scope.spawn(move || {
                for n in 0..400 {
                    let id = format!("t{thread}/{n}");
                    lab.record_and_end(1, &id, Outcome::Released);
                    lab.record_and_end(1, &format!("{id}/{}", "g".repeat(200)), REFUSED);
                }
            });
        }
    });
    let events = lab.events();
    assert_eq!(total(&events, Word::Released), 3200);
    let noise = total(&events, Word::Refused) + total(&events, Word::Several);
    assert_eq!(noise, 1500 + 3200);
}

#[test]
fn a_follower_sees_each_event_once_also_across_a_fold() {
    let lab = lab();
    let mut follow = lab.log.follow(2).unwrap();
    assert_eq!(follow.look().unwrap(), []);
    let mut seen = 0;
    for n in 0..12_000 {
        lab.record(n, &format!("id/{}", n % 7), Outcome::Released);
        if n % 500 == 0 {
            seen += total(&follow.look().unwrap(), Word::Released);
        }
    }
    seen += total(&follow.look().unwrap(), Word::Released);
    assert_eq!(seen, 12_000);
    assert_eq!(follow.look().unwrap(), []);
    lab.record(12_001, "gateway/token", REFUSED);
    assert_eq!(follow.look().unwrap()[0].reason, Some(Reason::OutsideUnit));
    let latest = lab.log.follow(2).unwrap().look().unwrap();
    let results: Vec<_> = latest.iter().map(|event| event.result).collect();
    assert_eq!(results, [Word::Released, Word::Refused]);
}

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

#[test]
fn no_log_makes_a_vaults_folder() {
    let dir = tempfile::tempdir().unwrap();
    let vault = dir.path().join("none");
    let log = Log::at(&vault);
    let results = [("a", Outcome::Released)];
    log.record(at(0), &caller("/x"), Writer::Resolve, &results)
        .unwrap_err();
    assert!(!vault.exists());
    assert!(log.read().unwrap().events.is_empty());
}

#[test]
fn every_word_in_the_file_is_the_one_on_the_screen() {
    use Reason::*;
    for reason in [
        BadId,
        OutsideUnit,
        UnitUnknown,
        Again,
        Late,
        OtherUser,
        NotLinked,
        NotArmed,
        Unknown,
    ] {
        let word = serde_json::to_value(reason).unwrap();
        assert_eq!(word, reason.name());
        assert_eq!(serde_json::from_value::<Reason>(word).unwrap(), reason);
    }
    let later: Reason = serde_json::from_str("\"of-a-later-version\"").unwrap();
    assert_eq!(later, Unknown);
    for by in [Writer::Keeper, Writer::Resolve, Writer::Command] {
        assert_eq!(serde_json::to_value(by).unwrap(), by.name());
    }
}

/// What it costs, for people: `cargo test --release --lib -- --ignored what_a_record_costs --nocapture`.
#[test]
#[ignore = "measures; asserts nothing"]
fn what_a_record_costs() {
    let lab = lab();
    let rounds = 10_000_usize;
    let vault = lab.dir.path().join("vault");
    let mut each = Vec::with_capacity(rounds);
    for n in 0..10_000 {
        let start = std::time::Instant::now();
        let log = Log::at(&vault);
        let results = [("anthropic:default", Outcome::Released)];
        let caller = Caller::here();
        let asked = start.elapsed();
        log.record(at(n), &caller, Writer::Resolve, &results)
            .unwrap();
        drop(log);
        each.push((start.elapsed(), asked));
    }
    each.sort();
    let (median, caller) = each[rounds / 2];
    let sum: std::time::Duration = each.iter().map(|(all, _)| *all).sum();
    let mean = sum / u32::try_from(rounds).unwrap();
    let longest = each[rounds - 1].0;
    let start = std::time::Instant::now();
    for _ in 0..rounds {
        let _ = Caller::of_pid(0, std::process::id());
    }
    let of_pid = start.elapsed() / u32::try_from(rounds).unwrap();
    let _ = std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("median {median:?} (caller {caller:?}), mean {mean:?}, longest {longest:?}; of_pid {of_pid:?}\n").as_bytes(),
    );
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
