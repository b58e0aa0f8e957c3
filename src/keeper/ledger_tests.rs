//! Once is once: across requests, restarts, damage and every order of them.

use super::*;
use proptest::prelude::*;

fn round(digit: char) -> RoundId {
    RoundId::parse(&digit.to_string().repeat(32)).unwrap()
}

fn ids(texts: &[&str]) -> BTreeSet<RefId> {
    texts
        .iter()
        .map(|text| RefId::parse(text).unwrap())
        .collect()
}

const ALL: [&str; 3] = ["anthropic:work", "gateway/token", "provider/anthropic"];

/// A vault's folder, and the ledger of a keeper that can be killed.
struct World {
    dir: tempfile::TempDir,
    ledger: Ledger,
    linked: BTreeSet<RefId>,
    twice: bool,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let loaded = Ledger::load(dir.path(), None);
        assert!(loaded.damage.is_none());
        World {
            dir,
            ledger: loaded.ledger,
            linked: ids(&ALL),
            twice: false,
        }
    }

    fn killed(&mut self) {
        let loaded = Ledger::load(self.dir.path(), None);
        assert_eq!(loaded.damage, None);
        self.ledger = loaded.ledger;
    }

    fn damaged(&mut self, bytes: &[u8], current: Option<RoundId>) -> Error {
        file::replace(&self.dir.path().join(NAME), bytes, 0o600).unwrap();
        let loaded = Ledger::load(self.dir.path(), current);
        self.ledger = loaded.ledger;
        loaded.damage.unwrap()
    }

    fn ask_at(&mut self, round: RoundId, texts: &[&str], at: u64, in_time: bool) -> Vec<Ruling> {
        let ids = ids(texts);
        let rulings = self
            .ledger
            .ask(&Ask {
                round,
                in_time,
                ids: &ids,
                linked: &self.linked,
                now: Duration::from_secs(at),
                twice: self.twice,
            })
            .unwrap();
        texts
            .iter()
            .map(|text| rulings[&RefId::parse(text).unwrap()])
            .collect()
    }

    fn ask(&mut self, round: RoundId, texts: &[&str]) -> Vec<Ruling> {
        self.ask_at(round, texts, 100, true)
    }
}

const GIVEN: Ruling = Ok(());
const TWICE: Ruling = Err(Reason::AlreadyReleased);
const LATE: Ruling = Err(Reason::TooLate);

#[test]
fn each_id_is_given_once_in_a_round() {
    let mut world = World::new();
    let a = round('a');
    assert_eq!(world.ask(a, &ALL[..1]), [GIVEN]);
    assert_eq!(world.ask(a, &ALL), [TWICE, GIVEN, GIVEN]);
    assert_eq!(world.ask(a, &ALL), [TWICE; 3]);
    assert_eq!(world.ask(round('b'), &ALL), [GIVEN; 3]);
    assert_eq!(world.ask(round('b'), &ALL), [TWICE; 3]);
}

#[test]
fn what_is_not_linked_is_never_given() {
    let mut world = World::new();
    let a = round('a');
    world.ledger.arm(a, &ids(&["openai:x"])).unwrap();
    assert_eq!(
        world.ask(a, &["openai:x", "gateway/token"]),
        [Err(Reason::NotLinked), GIVEN]
    );
    world.linked.clear();
    assert_eq!(world.ask(a, &ALL), [Err(Reason::NotLinked); 3]);
}

#[test]
fn a_keeper_that_was_killed_gives_nothing_twice() {
    let mut world = World::new();
    let a = round('a');
    assert_eq!(world.ask(a, &ALL[..2]), [GIVEN; 2]);
    world.killed();
    assert_eq!(world.ask(a, &ALL), [TWICE, TWICE, GIVEN]);
    world.ledger.arm(a, &ids(&ALL[..1])).unwrap();
    world.killed();
    assert_eq!(world.ask(a, &ALL), [GIVEN, TWICE, TWICE]);
    world.killed();
    assert_eq!(world.ask(a, &ALL), [TWICE; 3]);
}

#[test]
fn late_in_a_round_only_what_was_armed_is_given() {
    let mut world = World::new();
    let a = round('a');
    assert_eq!(world.ask_at(a, &ALL, 100, false), [LATE; 3]);
    world.ledger.arm(a, &ids(&ALL[..1])).unwrap();
    assert_eq!(world.ask_at(a, &ALL, 100, false), [GIVEN, LATE, LATE]);
    assert_eq!(world.ask_at(a, &ALL, 100, false), [TWICE, LATE, LATE]);
}

#[test]
fn arming_is_for_one_request_and_for_its_round() {
    let mut world = World::new();
    let (a, b) = (round('a'), round('b'));
    assert_eq!(world.ask(a, &ALL), [GIVEN; 3]);
    world.ledger.arm(a, &ids(&ALL)).unwrap();
    // Armed twice before it was asked for is armed once.
    world.ledger.arm(a, &ids(&ALL[..1])).unwrap();
    assert_eq!(world.ask(a, &ALL[1..]), [GIVEN; 2]);
    assert_eq!(world.ask(a, &ALL), [GIVEN, TWICE, TWICE]);
    assert_eq!(world.ask(a, &ALL), [TWICE; 3]);
    world.ledger.arm(a, &ids(&ALL)).unwrap();
    assert_eq!(world.ask(b, &ALL), [GIVEN; 3]);
    assert_eq!(world.ask(b, &ALL), [TWICE; 3]);
    // Armed before the first request: not twice.
    let c = round('c');
    world.ledger.arm(c, &ids(&ALL)).unwrap();
    assert_eq!(world.ask(c, &ALL), [GIVEN; 3]);
    assert_eq!(world.ask(c, &ALL), [TWICE; 3]);
}

#[test]
fn a_gateway_that_asks_twice_is_served_twice_within_ten_seconds() {
    let a = round('a');
    for (at, in_time, second) in [
        (100, true, GIVEN),
        (110, true, GIVEN),
        (111, true, TWICE),
        (99, true, TWICE),
        (105, false, TWICE),
    ] {
        let mut world = World::new();
        world.twice = true;
        assert_eq!(world.ask(a, &ALL), [GIVEN; 3]);
        assert_eq!(
            world.ask_at(a, &ALL, at, in_time),
            [second; 3],
            "{at} {in_time}"
        );
        for at in [112, 113] {
            assert_eq!(world.ask_at(a, &ALL, at, true), [TWICE; 3]);
        }
    }
    let mut world = World::new();
    world.twice = true;
    assert_eq!(world.ask(a, &ALL), [GIVEN; 3]);
    assert_eq!(world.ask(a, &ALL[..2]), [TWICE; 2], "another set of ids");
    assert_eq!(
        world.ask(a, &ALL),
        [GIVEN; 3],
        "noise between the two does not end it"
    );
    assert_eq!(world.ask(a, &ALL), [TWICE; 3]);
    // Only the first request of a round has a second.
    let b = round('b');
    assert_eq!(world.ask(b, &ALL[..1]), [GIVEN]);
    assert_eq!(world.ask(b, &ALL), [TWICE, GIVEN, GIVEN]);
    assert_eq!(world.ask(b, &ALL), [TWICE; 3]);
    // What is armed is for one.
    world.ledger.arm(b, &ids(&ALL)).unwrap();
    assert_eq!(world.ask(b, &ALL), [GIVEN; 3]);
    assert_eq!(world.ask(b, &ALL), [TWICE; 3]);
    // Not across a restart, nor into another round, nor for another gateway.
    assert_eq!(world.ask(a, &ALL), [GIVEN; 3]);
    world.killed();
    assert_eq!(world.ask(a, &ALL), [TWICE; 3]);
    assert_eq!(world.ask(b, &ALL), [GIVEN; 3]);
    world.twice = false;
    assert_eq!(world.ask(b, &ALL), [TWICE; 3]);
}

#[test]
fn a_damaged_file_counts_everything_as_given_in_this_round() {
    let mut world = World::new();
    let (a, b) = (round('a'), round('b'));
    world.ask(a, &ALL[..1]);
    let right = std::fs::read_to_string(world.dir.path().join(NAME)).unwrap();
    let cut = &right[..right.len() - 5];
    for text in [
        "",
        "null",
        cut,
        &right.replace("\"version\":1", "\"version\":2"),
        &right.replace("\"sealed\":false,", ""),
        &right.replace("anthropic:work", "hunter2 fake"),
        &right.replace(&a.to_string(), "hunter2"),
    ] {
        let said = world.damaged(text.as_bytes(), Some(a));
        assert_eq!(said.kind(), Kind::Broken);
        assert!(!said.message().contains("hunter2"), "{said}");
        let not_armed = [Err(Reason::NotArmed); 3];
        assert_eq!(world.ask(a, &ALL), not_armed, "{text}");
        // Another keeper comes to the same, and so does one after an arming.
        world.damaged(text.as_bytes(), Some(a));
        world.ledger.arm(a, &ids(&ALL[..1])).unwrap();
        world.killed();
        assert_eq!(world.ask(a, &ALL), [GIVEN, not_armed[0], not_armed[0]]);
        assert_eq!(world.ask(a, &ALL), not_armed);
        assert_eq!(world.ask(b, &ALL), [GIVEN; 3]);
        // Nothing can have been given in a round that is to come.
        world.damaged(text.as_bytes(), None);
        assert_eq!(world.ask(a, &ALL), [GIVEN; 3]);
    }
    let large = "x".repeat(MAX + 1);
    world.damaged(large.as_bytes(), Some(a));
    assert_eq!(world.ask(a, &ALL), [Err(Reason::NotArmed); 3]);
}

#[cfg(unix)]
#[test]
fn what_cannot_be_noted_is_not_given() {
    let mut world = World::new();
    let a = round('a');
    let path = world.dir.path().join(NAME);
    std::fs::create_dir(&path).unwrap();
    let ids = ids(&ALL);
    let ask = Ask {
        round: a,
        in_time: true,
        ids: &ids,
        linked: &world.linked,
        now: Duration::from_secs(1),
        twice: false,
    };
    assert!(world.ledger.ask(&ask).is_err());
    assert!(world.ledger.arm(a, &ids).is_err());
    // A folder in its place is damage too.
    let loaded = Ledger::load(world.dir.path(), Some(a));
    assert!(loaded.damage.is_some());
    std::fs::remove_dir(&path).unwrap();
    assert_eq!(world.ask(a, &ALL), [GIVEN; 3]);
    assert_eq!(world.ask(a, &ALL), [TWICE; 3]);
}

#[test]
fn refusals_write_nothing_and_the_file_is_private() {
    let mut world = World::new();
    let path = world.dir.path().join(NAME);
    world.ask_at(round('a'), &ALL, 1, false);
    assert!(!path.exists());
    world.ask(round('a'), &ALL);
    assert_eq!(file::mode_of(&path), 0o600);
    let before = std::fs::read(&path).unwrap();
    world.ask(round('a'), &ALL);
    world.ask_at(round('b'), &ALL, 1, false);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[derive(Debug, Clone)]
enum Step {
    Ask(usize, Vec<usize>, bool, u64),
    Arm(usize, Vec<usize>),
    Kill,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some = || proptest::collection::vec(0..3usize, 0..3);
    let step = prop_oneof![
        4 => (0..2usize, some(), any::<bool>(), 0..15u64).prop_map(|(r, i, t, s)| Step::Ask(r, i, t, s)),
        1 => (0..2usize, some()).prop_map(|(r, i)| Step::Arm(r, i)),
        1 => Just(Step::Kill),
    ];
    proptest::collection::vec(step, 0..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever happens: in a round that is not left, no id is given more often than once, once more for
    /// each arming, and once more for the one second request.
    #[test]
    fn no_id_is_given_more_often_than_it_may(steps in steps(), twice: bool) {
        let mut world = World::new();
        world.twice = twice;
        let (mut current, mut now) = (0, 100);
        let mut given = [0usize; 3];
        let mut may = [1 + usize::from(twice); 3];
        for step in steps {
            // Rounds go forward only.
            let enter = |to: usize, current: &mut usize| {
                let is_new = to > *current;
                *current = (*current).max(to);
                is_new
            };
            match step {
                Step::Kill => world.killed(),
                Step::Arm(to, which) => {
                    if enter(to, &mut current) {
                        (given, may) = ([0; 3], [1 + usize::from(twice); 3]);
                    }
                    let texts: Vec<&str> = which.iter().map(|at| ALL[*at]).collect();
                    world.ledger.arm(round(['a', 'b'][current]), &ids(&texts)).unwrap();
                    for at in which {
                        may[at] += 1;
                    }
                }
                Step::Ask(to, which, in_time, seconds) => {
                    if enter(to, &mut current) {
                        (given, may) = ([0; 3], [1 + usize::from(twice); 3]);
                    }
                    now += seconds;
                    let texts: Vec<&str> = which.iter().map(|at| ALL[*at]).collect();
                    let rulings = world.ask_at(round(['a', 'b'][current]), &texts, now, in_time);
                    let unique: BTreeMap<usize, Ruling> = which.into_iter().zip(rulings).collect();
                    for (at, ruling) in unique {
                        given[at] += usize::from(ruling.is_ok());
                    }
                }
            }
            for at in 0..3 {
                prop_assert!(given[at] <= may[at], "{:?} {:?}", given, may);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_and_what_was_written_is_read(
        bytes in proptest::collection::vec(any::<u8>(), 0..200), sealed: bool,
        released in proptest::collection::btree_set("[a-z][a-z/:.]{0,9}[a-z]", 0..5),
    ) {
        let _ = State::parse(&bytes);
        let state = State {
            round: Some(round('a')),
            sealed,
            armed: BTreeSet::new(),
            released: released.iter().filter_map(|text| RefId::parse(text)).collect(),
        };
        prop_assert_eq!(State::parse(&state.render().unwrap()).unwrap(), state);
    }
}
