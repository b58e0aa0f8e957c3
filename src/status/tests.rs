//! What is used, how healthy it is, and what `--check` makes of it: each rule with what makes it hold and what
//! does not.

use super::*;
use crate::error::Kind;
use crate::openclaw::profiles::ProfilesFile;
use crate::openclaw::select::{Selector, Settings};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;

const NOW: i64 = 1_795_000_000_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn now() -> Millis {
    Millis::new(NOW).unwrap()
}

fn provider(name: &str) -> ProviderId {
    ProviderId::parse(name).unwrap()
}

fn token(expires: Value) -> Value {
    let mut entry = json!({"type": "token", "provider": "a",
        "tokenRef": {"source": "exec", "provider": "clawkeep", "id": "a:one"}});
    if !expires.is_null() {
        entry["expires"] = expires;
    }
    entry
}

pub(super) fn api_key() -> Value {
    json!({"type": "api_key", "provider": "a", "key": "FAKE"})
}

fn login(expires: i64) -> Value {
    json!({"type": "oauth", "provider": "a", "access": "FAKE", "expires": expires})
}

/// Provider `a` with these profiles and this order.
pub(super) fn facts(profiles: &Value, order: &Value) -> ProviderFacts {
    let file = json!({"version": 1, "profiles": profiles, "order": {"a": order}});
    let path = Path::new("/nowhere/auth-profiles.json");
    let file = ProfilesFile::parse(file.to_string().as_bytes(), path).unwrap();
    let settings = Settings::default();
    let selector = Selector::new(&file, &settings, now());
    ProviderFacts {
        id: provider("a"),
        selection: selector.select(&provider("a"), None),
        stand_in: None,
        selects: false,
        variable: None,
        key: None,
        key_is_set: false,
        config_first: false,
    }
}

fn judged(facts: ProviderFacts) -> Report {
    judged_with(facts, Proof::Nothing, false)
}

fn judged_with(facts: ProviderFacts, proof: Proof, requires_proof: bool) -> Report {
    judged_all(facts, proof, Vec::new(), requires_proof)
}

pub(super) fn judged_all(
    facts: ProviderFacts,
    proof: Proof,
    elsewhere: Vec<Elsewhere>,
    requires_proof: bool,
) -> Report {
    report(Facts {
        now: now(),
        warn_within: DAY,
        providers: vec![facts],
        used: vec![provider("a")],
        proof,
        elsewhere,
        requires_proof,
    })
}

fn variable() -> Variable {
    Variable {
        name: "A_API_KEY".to_owned(),
        place: "the environment".to_owned(),
        is_login: false,
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table, a case a row")]
fn the_exit_codes_are_openclaws() {
    for (profiles, order, status, code) in [
        (
            json!({"a:1": token(Value::Null)}),
            Value::Null,
            Health::Ok,
            0,
        ),
        (
            json!({"a:1": token(json!(NOW + 2 * DAY))}),
            Value::Null,
            Health::Ok,
            0,
        ),
        (
            json!({"a:1": token(json!(NOW + DAY + 1))}),
            Value::Null,
            Health::Ok,
            0,
        ),
        (
            json!({"a:1": token(json!(NOW + DAY))}),
            Value::Null,
            Health::Expiring,
            2,
        ),
        (
            json!({"a:1": token(json!(NOW + HOUR))}),
            Value::Null,
            Health::Expiring,
            2,
        ),
        (
            json!({"a:1": token(json!(NOW))}),
            Value::Null,
            Health::Expired,
            1,
        ),
        (
            json!({"a:1": token(json!(NOW - HOUR))}),
            Value::Null,
            Health::Expired,
            1,
        ),
        (
            json!({"a:1": token(json!(0))}),
            Value::Null,
            Health::Missing,
            1,
        ),
        (
            json!({"a:1": token(json!("soon"))}),
            Value::Null,
            Health::Missing,
            1,
        ),
        (json!({"a:1": api_key()}), Value::Null, Health::Static, 0),
        (
            json!({"a:1": {"type": "api_key", "provider": "a"}}),
            Value::Null,
            Health::Static,
            1,
        ),
        (
            json!({"a:1": {"type": "token", "provider": "a"}}),
            Value::Null,
            Health::Missing,
            1,
        ),
        (
            json!({"a:1": login(NOW + 2 * DAY)}),
            Value::Null,
            Health::Ok,
            0,
        ),
        (
            json!({"a:1": login(NOW + HOUR)}),
            Value::Null,
            Health::Expiring,
            2,
        ),
        (
            json!({"a:1": login(NOW - HOUR)}),
            Value::Null,
            Health::Expired,
            1,
        ),
        (json!({}), Value::Null, Health::Missing, 1),
        // What is not tried does not count while something is.
        (
            json!({"a:1": token(json!(NOW - HOUR)), "a:2": token(Value::Null)}),
            Value::Null,
            Health::Ok,
            0,
        ),
        (
            json!({"a:1": token(json!(NOW + HOUR)), "a:2": token(Value::Null)}),
            json!(["a:2"]),
            Health::Ok,
            0,
        ),
        (
            json!({"a:1": token(json!(NOW + HOUR)), "a:2": token(Value::Null)}),
            Value::Null,
            Health::Expiring,
            2,
        ),
        // Of an order of which none is tried only its own profiles count.
        (
            json!({"a:1": token(json!(NOW - HOUR)), "a:2": token(Value::Null)}),
            json!(["a:1"]),
            Health::Expired,
            1,
        ),
        (
            json!({"a:1": token(json!(NOW - HOUR)), "a:2": api_key()}),
            Value::Null,
            Health::Static,
            0,
        ),
    ] {
        let report = judged(facts(&profiles, &order));
        assert_eq!(report.providers[0].health, status, "{profiles} {order}");
        assert_eq!(report.verdict.exit_code(), code, "{profiles} {order}");
    }
}

#[test]
fn a_credential_of_another_kind_takes_an_expired_ones_place() {
    let mut expired = facts(&json!({"a:1": token(json!(NOW - HOUR))}), &Value::Null);
    expired.variable = Some(variable());
    let report = judged(expired.clone());
    assert_eq!(report.verdict.exit_code(), 0);
    assert_eq!(report.providers[0].winner, Winner::Variable);
    assert_eq!(report.providers[0].effective, Effective::Profiles);
    assert_eq!(report.providers[0].role_of_variable(), Some(Role::Used));
    expired.variable = None;
    expired.key = Some(Key::Variable("FAKE".to_owned()));
    assert_eq!(judged(expired.clone()).verdict.exit_code(), 1);
    expired.key_is_set = true;
    assert_eq!(judged(expired.clone()).verdict.exit_code(), 0);
    // The one reference that stands for the profiles is none of another kind.
    expired.key = Some(Key::Ours("provider/a".to_owned()));
    expired.selects = true;
    assert_eq!(judged(expired).verdict.exit_code(), 1);
}

#[test]
fn what_is_not_in_use_is_not_judged_unless_nothing_is() {
    let expired = facts(&json!({"a:1": token(json!(NOW - HOUR))}), &Value::Null);
    let of = |used: Vec<ProviderId>| {
        report(Facts {
            now: now(),
            warn_within: DAY,
            providers: vec![expired.clone()],
            used,
            proof: Proof::Nothing,
            elsewhere: Vec::new(),
            requires_proof: false,
        })
    };
    assert_eq!(of(vec![provider("b")]).verdict.exit_code(), 0);
    assert_eq!(of(Vec::new()).verdict.exit_code(), 1);
}

#[test]
fn references_are_judged_whatever_they_are_for() {
    let healthy = || facts(&json!({"a:1": api_key()}), &Value::Null);
    let asked = |code: Option<&str>| Proof::Asked {
        as_gateway: true,
        answers: [("gateway/token".to_owned(), code.map(str::to_owned))].into(),
    };
    let locked = Proof::NotProven {
        reason: "locked".to_owned(),
        is_locked: true,
    };
    let failed = Proof::Failed {
        what: "no answer".to_owned(),
        hint: None,
    };
    for (proof, requires, code, name) in [
        (Proof::Nothing, true, 0, "nothing"),
        (asked(None), true, 0, "proven"),
        (asked(Some("NOT_FOUND")), false, 1, "unresolved"),
        (locked.clone(), false, 0, "not-proven"),
        (locked.clone(), true, 75, "not-proven"),
        (failed, false, 1, "failed"),
    ] {
        assert_eq!(proof.name(), name);
        let report = judged_with(healthy(), proof, requires);
        assert_eq!(report.verdict.exit_code(), code, "{name} {requires}");
    }
    // What is certain comes before what is not known, and that before what comes soon.
    let expired = facts(&json!({"a:1": token(json!(NOW - HOUR))}), &Value::Null);
    assert_eq!(
        judged_with(expired, locked.clone(), true)
            .verdict
            .exit_code(),
        1
    );
    let expiring = facts(&json!({"a:1": token(json!(NOW + HOUR))}), &Value::Null);
    let report = judged_with(expiring, locked, true);
    assert_eq!(report.verdict.exit_code(), 75);
    assert_eq!(report.verdict.kind(), Some(Kind::Locked));
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table, a case a row")]
fn what_wins_and_what_it_hides() {
    let with = |profiles: Value, selects, key: Option<Key>, has_variable: bool, config_first| {
        let mut facts = facts(&profiles, &Value::Null);
        facts.selects = selects;
        facts.key = key;
        facts.variable = has_variable.then(variable);
        facts.config_first = config_first;
        judged(facts).providers.remove(0)
    };
    let none = json!({});
    let ours = json!({"a:one": token(Value::Null)});
    let theirs = json!({"a:x": api_key()});
    let reference = || Some(Key::Ours("provider/a".to_owned()));
    let profile = |id: &str| Winner::Profile(ProfileId::parse(id).unwrap());
    let shadowed = Some(Role::Shadowed);
    for (one, winner, effective, of_variable, of_key, next) in [
        (
            with(ours.clone(), false, None, true, false),
            profile("a:one"),
            Effective::Profiles,
            Some(Role::Fallback),
            None,
            Some("a:one"),
        ),
        (
            with(none.clone(), false, None, true, false),
            Winner::Variable,
            Effective::Env,
            Some(Role::Used),
            None,
            None,
        ),
        (
            with(none.clone(), false, Some(Key::Plaintext), true, false),
            Winner::Variable,
            Effective::Env,
            Some(Role::Used),
            Some(Role::Fallback),
            None,
        ),
        (
            with(none.clone(), false, Some(Key::Plaintext), false, false),
            Winner::Config,
            Effective::Config,
            None,
            Some(Role::Used),
            None,
        ),
        (
            with(none.clone(), false, Some(Key::Marker), false, false),
            Winner::Nothing,
            Effective::Missing,
            None,
            None,
            None,
        ),
        // One reference for all profiles.
        (
            with(ours.clone(), true, reference(), false, false),
            Winner::Config,
            Effective::Config,
            None,
            Some(Role::Used),
            Some("a:one"),
        ),
        (
            with(ours.clone(), true, reference(), true, false),
            Winner::Variable,
            Effective::Env,
            Some(Role::Shadows),
            shadowed,
            None,
        ),
        (
            with(ours.clone(), true, reference(), true, true),
            Winner::Config,
            Effective::Config,
            shadowed,
            Some(Role::Used),
            Some("a:one"),
        ),
        // A profile in plaintext beside it.
        (
            with(theirs.clone(), true, reference(), false, false),
            profile("a:x"),
            Effective::Profiles,
            None,
            shadowed,
            Some("a:x"),
        ),
        (
            with(theirs, true, reference(), false, true),
            Winner::Config,
            Effective::Config,
            None,
            Some(Role::Used),
            Some("a:x"),
        ),
        (
            with(none, false, Some(Key::Variable("X".to_owned())), true, true),
            Winner::Nothing,
            Effective::Missing,
            shadowed,
            shadowed,
            None,
        ),
    ] {
        let said = format!("{:?} {:?}", one.facts.key, one.facts.selects);
        assert_eq!(one.winner, winner, "{said}");
        assert_eq!(one.effective, effective, "{said}");
        assert_eq!(one.role_of_variable(), of_variable, "{said}");
        assert_eq!(one.role_of_key(), of_key, "{said}");
        assert_eq!(one.next().map(ProfileId::as_str), next, "{said}");
    }
}

#[test]
fn a_reference_for_all_is_answered_even_when_all_are_over() {
    let mut over = facts(&json!({"a:one": token(json!(NOW - HOUR))}), &Value::Null);
    over.selects = true;
    over.key = Some(Key::Ours("provider/a".to_owned()));
    over.stand_in = ProfileId::parse("a:one").ok();
    let report = judged(over);
    let one = &report.providers[0];
    assert_eq!(one.next().map(ProfileId::as_str), Some("a:one"));
    assert_eq!(report.verdict.causes, [Cause::Expired(provider("a"))]);
    assert!(report.missing.is_empty());
}

proptest! {
    #[test]
    fn a_verdict_is_as_grave_as_its_gravest_cause(
        kinds in proptest::collection::vec((0u8..4, -3i64..3, any::<bool>()), 0..6),
        bad in any::<bool>(), locked in any::<bool>(), requires in any::<bool>(),
    ) {
        let profiles: serde_json::Map<String, Value> = kinds
            .iter()
            .enumerate()
            .map(|(at, (kind, hours, has_end))| {
                let end = if *has_end { json!(NOW + hours * 12 * HOUR) } else { Value::Null };
                let entry = match kind {
                    0 => api_key(),
                    1 => login(NOW + hours * 12 * HOUR),
                    _ => token(end),
                };
                (format!("a:{at}"), entry)
            })
            .collect();
        let proof = if locked {
            Proof::NotProven { reason: "locked".to_owned(), is_locked: true }
        } else {
            Proof::Asked { as_gateway: false, answers: [("x".to_owned(), bad.then(|| "NOT_FOUND".to_owned()))].into() }
        };
        let report = judged_with(facts(&Value::Object(profiles), &Value::Null), proof, requires);
        let codes: Vec<u8> = report.verdict.causes.iter().map(|cause| cause.kind().exit_code()).collect();
        let wanted = [1, 75, 2].into_iter().find(|code| codes.contains(code)).unwrap_or(0);
        prop_assert_eq!(report.verdict.exit_code(), wanted);
        prop_assert!(codes.contains(&75) == (locked && requires));
        // What is used is something, or a provider in use is said to be missing.
        let one = &report.providers[0];
        prop_assert!(one.winner != Winner::Nothing || report.missing == [provider("a")]);
    }
}
