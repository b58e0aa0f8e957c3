//! What `look.rs` promises.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn agent(name: &str) -> AgentId {
    AgentId::parse(name).unwrap()
}

fn document(code: i32, causes: &Value) -> Value {
    json!({
        "schema": SCHEMA,
        "agentId": "main",
        "clawkeep": {
            "providers": [{"provider": "fake"}],
            "proof": {"state": "proven"},
            "check": {"exitCode": code, "causes": causes},
        },
    })
}

fn cause(code: i32, what: &str) -> Value {
    json!({"kind": "expired", "exitCode": code, "what": what, "hint": "renew"})
}

fn read(code: i32, document: &Value) -> Result<Found> {
    found(Some(code), document.to_string().as_bytes())
}

#[test]
fn the_document_means_what_it_says() {
    let mut well = document(0, &json!([]));
    assert_eq!(read(0, &well).unwrap(), Found::Well(None));
    well["clawkeep"]["proof"] = json!({"state": "not-proven", "reason": "locked"});
    assert_eq!(
        read(0, &well).unwrap(),
        Found::Well(Some("references not proven: locked".to_owned())),
    );
    well["clawkeep"]["proof"] = json!({"state": "proven"});
    well["clawkeep"]["elsewhere"] = json!([{"resolves": true}, {"resolves": null}]);
    assert_eq!(
        read(0, &well).unwrap(),
        Found::Well(Some("what others answer is not proven".to_owned())),
    );
    well["clawkeep"]["providers"] = json!([]);
    assert_eq!(read(0, &well).unwrap(), Found::Nothing);
    let both = json!([cause(1, "a has\nexpired\u{1b}[2J"), cause(2, "b expires")]);
    let Found::Wrong(things) = read(1, &document(1, &both)).unwrap() else {
        panic!("two causes");
    };
    let said: Vec<(u8, &str)> = things
        .iter()
        .map(|one| (one.code, one.what.as_str()))
        .collect();
    assert_eq!(said, [(1, "a has expired\\u{1b}[2J"), (2, "b expires")]);
    let soon = json!([cause(2, &"x".repeat(9_000))]);
    let Found::Wrong(things) = read(2, &document(2, &soon)).unwrap() else {
        panic!("a cause");
    };
    assert_eq!(things[0].what.chars().count(), MOST_WORDS + 1);
}

#[test]
fn a_refusal_needs_somebody_unless_it_is_locked() {
    let refusal =
        json!({"error": {"kind": "missing", "message": "there is no vault", "hint": null}});
    let Found::Wrong(things) = read(1, &refusal).unwrap() else {
        panic!("it needs somebody");
    };
    let thing = Thing {
        code: 1,
        what: "there is no vault".to_owned(),
        hint: HINT.to_owned(),
    };
    assert_eq!(things, [thing]);
    for (code, kind) in [(75, Kind::Locked), (64, Kind::Failed), (130, Kind::Failed)] {
        let error = read(code, &refusal).unwrap_err();
        assert_eq!(error.kind(), kind, "{code}");
        assert!(error.message().ends_with(": there is no vault"), "{error}");
    }
    let not_proven = cause(75, "not proven: locked");
    for (code, other) in [(75, 75), (75, 2)] {
        let locked = document(code, &json!([cause(other, "x"), not_proven]));
        assert_eq!(read(code, &locked).unwrap_err().kind(), Kind::Locked);
    }
    let worse = document(1, &json!([cause(1, "x"), not_proven]));
    let found = read(1, &worse).unwrap();
    assert!(matches!(found, Found::Wrong(things) if things.len() == 1));
}

#[test]
fn what_cannot_be_read_is_refused_and_not_repeated() {
    let mut other = document(0, &json!([]));
    other["schema"] = json!("FAKE/2");
    let mut bare = document(1, &json!([cause(1, "FAKE")]));
    bare["clawkeep"]["check"]["causes"][0] = json!({"kind": "FAKE", "exitCode": 1});
    for (code, text) in [
        (0, String::new()),
        (0, "FAKE".to_owned()),
        (0, "Not well:\n  FAKE".to_owned()),
        (0, "[]".to_owned()),
        (0, "{\"clawkeep\":{\"check\":\"FAKE\"}}".to_owned()),
        (0, other.to_string()),
        (1, bare.to_string()),
        // Where the program, the document and the causes disagree.
        (0, document(1, &json!([cause(1, "FAKE")])).to_string()),
        (1, document(1, &json!([])).to_string()),
        (0, document(0, &json!([cause(1, "FAKE")])).to_string()),
        (2, document(2, &json!([cause(1, "FAKE")])).to_string()),
        (1, document(1, &json!([cause(3, "FAKE")])).to_string()),
        (0, document(0, &json!([])).to_string().replace('}', "")),
    ] {
        let error = found(Some(code), text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), Kind::Failed, "{text}");
        assert!(
            error.message().ends_with("models status cannot be read"),
            "{error}"
        );
        assert_eq!(error.hint_text(), Some(HINT));
    }
    let good = document(0, &json!([])).to_string();
    assert!(found(None, good.as_bytes()).is_err(), "a signal ended it");
}

#[test]
fn the_agents_come_in_turn() {
    let names = |next| {
        let all = ["work", "a", "main", "b", "a"].map(agent).to_vec();
        let all = in_turn(all, next);
        all.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(names(None), ["main", "a", "b", "work"]);
    assert_eq!(names(Some("b")), ["main", "b", "work", "a"]);
    assert_eq!(names(Some("c")), ["main", "work", "a", "b"], "it is gone");
    assert_eq!(names(Some("z")), ["main", "a", "b", "work"]);
}

#[test]
fn each_agent_is_looked_at_once_and_those_for_whom_there_is_no_time_are_left() {
    let all: Vec<AgentId> = (0..3000).map(|n| agent(&format!("a{n:04}"))).collect();
    let all = in_turn([vec![AgentId::main()], all].concat(), Some("a2000"));
    let later = Instant::now() + Duration::from_hours(1);
    let look = Look::each(all.clone(), later, |agent| match agent.as_str() {
        "a0007" => Err(not_looked(Kind::Locked, "x")),
        _ => Ok(Found::Nothing),
    });
    assert_eq!(
        (look.found.len(), look.failed.len(), look.left.len()),
        (3000, 1, 0)
    );
    assert_eq!(look.all(), 3001);
    assert!(look.found[0].0.is_main());
    assert_eq!(look.failed[0].0, agent("a0007"));
    let look = Look::each(all.clone(), Instant::now(), |_| Ok(Found::Nothing));
    assert_eq!(look.found, [(AgentId::main(), Found::Nothing)]);
    assert_eq!(look.left, all[1..], "main in any case, and then in turn");
    assert_eq!(look.left[0], agent("a2000"));
}

proptest! {
    #[test]
    fn no_answer_panics_and_what_is_taken_is_plain(
        what in "(\\PC|[\\x00-\\x1f]){0,40}",
        code in -1i32..80,
        text in "[{}\\[\\]\":,a-z0-9]{0,60}",
    ) {
        let _ = found(Some(code), text.as_bytes());
        let answer = read(code, &document(code, &json!([cause(code, &what)])));
        if let Ok(Found::Wrong(things)) = answer {
            prop_assert!(code == 1 || code == 2);
            prop_assert!(things.iter().all(|one| !one.what.contains(char::is_control)));
        }
    }
}
