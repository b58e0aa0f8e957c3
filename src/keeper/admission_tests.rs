//! Each fact that an admission rests on, changed alone, changes it. With real processes: one that
//! inherited a reused number would have been started too late.

use super::*;
use crate::keeper::unit::fake::Machine;
use proptest::prelude::*;

const ME: Peer = Peer {
    pid: 700,
    uid: 1500,
};

type Change = fn(&mut Observed);

fn round(digit: char) -> RoundId {
    RoundId::parse(&digit.to_string().repeat(32)).unwrap()
}

/// A client that the gateway started 20 seconds after itself.
fn right() -> Observed {
    Observed {
        asked: Asked {
            connected: ME,
            sender: ME,
            looked: Tick(12_000),
            challenged: Tick(12_001),
        },
        round: Ok(Some(round('a'))),
        inside: Ok(true),
        started: Some(Tick(12_000)),
        oldest: Ok(Tick(10_000)),
        round_after: Ok(Some(round('a'))),
        now: Tick(12_002),
    }
}

#[test]
fn every_fact_counts() {
    let admitted = |in_time| Verdict::Admitted {
        round: round('a'),
        in_time,
    };
    let refused = Verdict::Refused;
    let other = |pid| Peer { pid, ..ME };
    let table: &[(&str, Change, Verdict)] = &[
        ("nothing changed", |_| {}, admitted(true)),
        (
            "an older client",
            |o| o.started = Some(Tick(1)),
            admitted(true),
        ),
        (
            "the number was reused after the challenge",
            |o| o.started = Some(Tick(12_001)),
            refused(Reason::OutsideUnit),
        ),
        (
            "the sender is gone",
            |o| o.started = None,
            refused(Reason::OutsideUnit),
        ),
        (
            "the challenge was sent in the tick of the look",
            |o| o.asked.challenged = o.asked.looked,
            refused(Reason::OutsideUnit),
        ),
        (
            "outside",
            |o| o.inside = Ok(false),
            refused(Reason::OutsideUnit),
        ),
        (
            "no tree of the manager",
            |o| o.inside = Err(Unknown),
            refused(Reason::UnitUnknown),
        ),
        (
            "another sent than connected",
            |o| o.asked.connected.pid = 699,
            refused(Reason::OutsideUnit),
        ),
        (
            "a process outside of our namespace",
            |o| {
                o.asked.sender.pid = 0;
                o.asked.connected.pid = 0;
            },
            refused(Reason::OutsideUnit),
        ),
        (
            "the unit does not run",
            |o| o.round = Ok(None),
            refused(Reason::UnitUnknown),
        ),
        (
            "a false link",
            |o| o.round = Err(Unknown),
            refused(Reason::UnitUnknown),
        ),
        (
            "started again meanwhile",
            |o| o.round_after = Ok(RoundId::parse(&"b".repeat(32))),
            refused(Reason::UnitUnknown),
        ),
        (
            "stopped meanwhile",
            |o| o.round_after = Ok(None),
            refused(Reason::UnitUnknown),
        ),
        (
            "its processes cannot be listed",
            |o| o.oldest = Err(Unknown),
            refused(Reason::UnitUnknown),
        ),
        ("the last tick", |o| o.now = Tick(16_000), admitted(true)),
        ("too late", |o| o.now = Tick(16_001), admitted(false)),
        (
            "older than it can be",
            |o| o.oldest = Ok(Tick(12_003)),
            refused(Reason::UnitUnknown),
        ),
    ];
    for (name, change, verdict) in table {
        let mut seen = right();
        change(&mut seen);
        assert_eq!(judge(&seen, 100), *verdict, "{name}");
    }
    let mut seen = right();
    seen.asked.sender = other(701);
    assert_eq!(judge(&seen, 100), refused(Reason::OutsideUnit));
}

#[test]
fn only_the_gates_user_may_connect_and_ask() {
    let machine = Machine::new();
    let unit = Unit::new("gateway.service", None).unwrap();
    machine.start("gateway.service", &[(600, 10_000), (700, 10_010)]);
    let now = Tick::now();
    let asked = |connected, sender| Asked {
        connected,
        sender,
        looked: now,
        challenged: Tick(now.0 + 1),
    };
    let session = round('c');
    let stranger = Peer { uid: 1501, ..ME };
    for gate in [
        Gate::Own {
            uid: ME.uid,
            session,
        },
        Gate::Unit {
            uid: ME.uid,
            unit: unit.clone(),
        },
    ] {
        assert_eq!(gate.may_connect(ME), Ok(()));
        for uid in [0, 1501] {
            let other = Peer { uid, ..ME };
            assert_eq!(gate.may_connect(other), Err(Reason::AnotherUser));
        }
        for asked in [asked(ME, stranger), asked(stranger, ME)] {
            assert_eq!(
                gate.admit(&machine.system, &asked),
                Verdict::Refused(Reason::AnotherUser)
            );
        }
    }
    let gate = Gate::Own {
        uid: ME.uid,
        session,
    };
    let verdict = Verdict::Admitted {
        round: session,
        in_time: true,
    };
    assert_eq!(gate.admit(&machine.system, &asked(ME, ME)), verdict);
    assert_eq!(gate.round(&machine.system), Ok(Some(session)));
}

#[test]
fn the_clients_of_a_unit_are_admitted_by_what_the_machine_says() {
    let machine = Machine::new();
    let unit = Unit::new("gateway.service", None).unwrap();
    let gate = Gate::Unit {
        uid: ME.uid,
        unit: unit.clone(),
    };
    let now = Tick::now();
    let looked = now;
    let asked = |pid| Asked {
        connected: Peer { pid, ..ME },
        sender: Peer { pid, ..ME },
        looked,
        challenged: Tick(now.0 + 1),
    };
    assert_eq!(gate.round(&machine.system), Ok(None));
    machine.start("gateway.service", &[(600, now.0), (700, now.0)]);
    machine.outsider(800, now.0);
    assert_eq!(
        gate.admit(&machine.system, &asked(700)),
        Verdict::Admitted {
            round: gate.round(&machine.system).unwrap().unwrap(),
            in_time: true
        }
    );
    let refused = |pid| match gate.admit(&machine.system, &asked(pid)) {
        Verdict::Refused(reason) => reason,
        Verdict::Admitted { .. } => panic!("{pid} was admitted"),
    };
    assert_eq!(refused(800), Reason::OutsideUnit);
    assert_eq!(refused(999), Reason::OutsideUnit);
    // 701 has the number of one that connected before it was started.
    machine.start("gateway.service", &[(600, now.0), (701, now.0 + 1)]);
    assert_eq!(refused(701), Reason::OutsideUnit);
    machine.stop("gateway.service");
    assert_eq!(refused(701), Reason::OutsideUnit);
    machine.start("gateway.service", &[(600, now.0), (700, now.0)]);
    machine.forget_round("gateway.service");
    assert_eq!(refused(700), Reason::UnitUnknown);
}

proptest! {
    /// Nothing but the whole of the right facts is admitted.
    #[test]
    fn an_admission_has_every_reason(
        looked in 0u64..50, challenged in 0u64..50, started in proptest::option::of(0u64..50),
        oldest in 0u64..20_000, now in 0u64..20_000, inside: bool, pids in (0u32..3, 0u32..3),
    ) {
        let mut seen = right();
        seen.asked.looked = Tick(looked);
        seen.asked.challenged = Tick(challenged);
        seen.asked.connected.pid = pids.0;
        seen.asked.sender.pid = pids.1;
        seen.started = started.map(Tick);
        seen.oldest = Ok(Tick(oldest));
        seen.now = Tick(now);
        seen.inside = Ok(inside);
        let is_right = inside && pids.0 == pids.1 && pids.0 > 0 && started.is_some()
            && started <= Some(looked) && looked < challenged && oldest <= now;
        match judge(&seen, 100) {
            Verdict::Admitted { in_time, .. } => {
                prop_assert!(is_right);
                prop_assert_eq!(in_time, now - oldest <= 6_000);
            }
            Verdict::Refused(_) => prop_assert!(!is_right),
        }
    }
}
