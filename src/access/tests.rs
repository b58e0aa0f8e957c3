//! Bounds, folding and concurrency, on the log itself.

use super::*;

const NOW: i64 = 1_795_182_199_000;

pub(super) fn at(ms: i64) -> Millis {
    Millis::new(NOW + ms).unwrap()
}

pub(super) struct Lab {
    pub(super) dir: tempfile::TempDir,
    pub(super) log: Log,
}

/// A folder as a vault has it, and its log.
pub(super) fn lab() -> Lab {
    let dir = tempfile::tempdir().unwrap();
    let vault = dir.path().join("vault");
    file::private_dir(&vault).unwrap();
    Lab {
        log: Log::at(&vault),
        dir,
    }
}

pub(super) fn caller(program: &str) -> Caller {
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
    pub(super) fn record(&self, ms: i64, id: &str, outcome: Outcome) {
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

    pub(super) fn path(&self, name: &str) -> PathBuf {
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

pub(super) fn total(events: &[Event], result: Word) -> u64 {
    let events = events.iter().filter(|event| event.result == result);
    events.map(|event| event.count).sum()
}

pub(super) const REFUSED: Outcome = Outcome::Refused(Reason::OutsideUnit);

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
    let (mut size, mut folds) = (0, 0);
    for n in 0..20_000 {
        lab.record(n + 1, "anthropic:default", Outcome::Released);
        let before = std::mem::replace(&mut size, lab.size("releases.jsonl"));
        assert!(size <= RELEASES.full, "{size}");
        if size < before {
            folds += 1;
            let alone = lab
                .events()
                .iter()
                .filter(|event| event.first.is_none())
                .count();
            assert!(alone > 4000, "the newest {alone} stand for themselves");
        }
    }
    assert!(folds > 0, "the bound was never reached");
    let events = lab.events();
    assert_eq!(
        total(&events, Word::Released),
        20_001,
        "none lost, none doubled"
    );
    assert_eq!(events[0].ids, ["gateway/token"]);
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
fn writers_that_fold_at_once_lose_nothing() {
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
    // Exactly that many while no thread waits too long for its turn, which a busy machine decides.
    assert!(total(&events, Word::Released) >= 3200);
    let noise = total(&events, Word::Refused) + total(&events, Word::Several);
    assert!(noise >= 1500 + 3200);
}

#[test]
fn a_follower_sees_each_event_once_also_across_a_fold() {
    let lab = lab();
    let mut follow = lab.log.follow(2).unwrap();
    assert_eq!(follow.look().unwrap(), []);
    let mut seen = 0;
    for n in 0..20_000 {
        // Three in each millisecond, and looks between them.
        lab.record(n / 3, &format!("id/{}", n % 7), Outcome::Released);
        if n % 20 == 0 {
            seen += total(&follow.look().unwrap(), Word::Released);
        }
    }
    seen += total(&follow.look().unwrap(), Word::Released);
    assert_eq!(seen, 20_000);
    assert!(lab.events().len() < 20_000, "nothing was folded");
    assert_eq!(follow.look().unwrap(), []);
    lab.record(20_001, "gateway/token", REFUSED);
    assert_eq!(follow.look().unwrap()[0].reason, Some(Reason::OutsideUnit));
    let latest = lab.log.follow(2).unwrap().look().unwrap();
    let results: Vec<_> = latest.iter().map(|event| event.result).collect();
    assert_eq!(results, [Word::Released, Word::Refused]);
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
        TokenAlone,
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
