//! Every check with what makes it fire; and a healthy vault, on which none does.

pub(crate) mod cases;
mod cases_link;

use super::facts::*;
use super::*;
use crate::expiry::Millis;
use crate::openclaw::elsewhere::Answer;
use crate::openclaw::version::Version;
use crate::secret::SecretKind;
use cases::*;
use cases_link::elsewhere;
use std::time::Duration;

#[test]
fn nothing_fires_on_a_healthy_vault() {
    let report = examine(&Facts::healthy());
    for (check, outcome) in &report.results {
        assert_eq!(*outcome, Outcome::fine(), "{}", check.id);
    }
    assert!(report.is_clean());
    assert_eq!(report.passed(), CHECKS.len());
}

#[test]
fn each_check_fires_alone_and_on_what_it_is_for() {
    for (id, severity, says, change) in cases() {
        let mut facts = Facts::healthy();
        change(&mut facts);
        let report = examine(&facts);
        let fired: Vec<_> = report.findings();
        assert_eq!(
            fired.len(),
            1,
            "{id} {says}: {:?}",
            fired
                .iter()
                .map(|(check, finding)| (check.id, &finding.what))
                .collect::<Vec<_>>()
        );
        let (check, finding) = fired[0];
        assert_eq!((check.id, finding.severity), (id, severity), "{says}");
        assert!(finding.what.contains(says), "{id}: {}", finding.what);
        assert!(
            !finding.hint.is_empty() && !finding.hint.contains('\n'),
            "{id}: {}",
            finding.hint
        );
        assert!(
            finding.severity >= check.severity,
            "{id} is graver than its table says"
        );
        assert_eq!(report.is_clean(), severity == Severity::Note, "{id}");
    }
}

#[test]
fn every_check_has_a_case_and_an_id_of_its_own() {
    let fired: std::collections::BTreeSet<&str> = cases().iter().map(|case| case.0).collect();
    let ids: std::collections::BTreeSet<&str> = CHECKS.iter().map(|check| check.id).collect();
    assert_eq!(fired, ids);
    assert_eq!(ids.len(), CHECKS.len());
    for check in CHECKS {
        let gravest = cases()
            .iter()
            .filter(|case| case.0 == check.id)
            .map(|case| case.1)
            .min();
        assert_eq!(gravest, Some(check.severity), "{}", check.id);
        assert!(
            check
                .id
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'-')
        );
    }
}

#[test]
fn what_is_locked_is_neither_found_nor_passed() {
    let mut facts = Facts::healthy();
    let locked = NotKnown("locked".to_owned());
    facts.rollback = Err(locked.clone());
    facts.recovery = Err(locked.clone());
    facts.stored = Err(locked.clone());
    facts.slots.as_mut().unwrap()[0].opened = Err(locked);
    asked(&mut facts).refused = vec![("a/b".to_owned(), "LOCKED".to_owned())];
    let report = examine(&facts);
    assert!(report.is_clean());
    let unchecked = |(check, outcome): &(&Check, Outcome)| {
        (outcome.unchecked == ["locked"]).then_some(check.id)
    };
    let left: Vec<_> = report.results.iter().filter_map(unchecked).collect();
    let expected = [
        "rollback",
        "slot-opens",
        "recovery-key",
        "ref-resolves",
        "token-expired",
        "token-expiring",
        "claude-only-token",
    ];
    assert_eq!(left, expected);
    assert_eq!(report.passed(), CHECKS.len() - expected.len());
    // What the files say of a profile counts on a locked vault too.
    expiring(-HOUR_MS)(&mut facts);
    assert!(!examine(&facts).is_clean());
}

/// What nearly fires, and does not.
fn nearly() -> Vec<(&'static str, Change)> {
    vec![
        ("token-expiring", Box::new(expiring(24 * HOUR_MS + 1))),
        ("token-expired", Box::new(expiring(1))),
        (
            "resolve-time",
            Box::new(|f| asked(f).took = Duration::from_millis(2_500)),
        ),
        (
            "ref-elsewhere",
            Box::new(|f| {
                let unknown = Answer::NotKnown {
                    why: "nobody may ask".to_owned(),
                    hint: "true".to_owned(),
                };
                let all = [Answer::Value, unknown].map(elsewhere);
                f.elsewhere = Ok(all.into());
            }),
        ),
        (
            "recovery-key",
            Box::new(|f| {
                let then = Millis::new(f.now.get() - 365 * 24 * HOUR_MS).unwrap();
                f.recovery = Ok(Some(RecoveryFact {
                    created: then,
                    checked: None,
                }));
            }),
        ),
        (
            "vault",
            Box::new(|f| {
                f.vault = Ok(Some(trouble("the folder is open to other users")));
                f.paths = vec![path(0o755)];
            }),
        ),
        (
            "permissions",
            Box::new(|f| f.paths = vec![path(0o600), path(0o400)]),
        ),
        (
            "ref-shadowed",
            Box::new(|f| {
                refer(f, "models.providers.anthropic.apiKey", "provider/anthropic");
                let mut own = profile("anthropic:work", true);
                own.home = ProfileHome::Own;
                f.profiles = Ok(vec![own, profile("openrouter:x", false)]);
            }),
        ),
    ]
}

/// The same, of what stands beside something else.
fn nearly_beside() -> Vec<(&'static str, Change)> {
    vec![
        // Profiles come before variables.
        (
            "plaintext-wins",
            Box::new(|f| {
                f.profiles = Ok(vec![profile("anthropic:work", true)]);
                f.plaintext = Ok(vec![plain(PlainForm::Variable(vec![provider(
                    "anthropic",
                )]))]);
            }),
        ),
        (
            "claude-only-token",
            Box::new(|f| {
                refer(f, "models.providers.anthropic.apiKey", "provider/anthropic");
                link(f)
                    .apis
                    .insert("anthropic".to_owned(), "anthropic-messages".to_owned());
                f.stored = Ok(vec![stored(
                    "anthropic:x",
                    Some("anthropic"),
                    SecretKind::Token,
                )]);
            }),
        ),
        (
            "agent-reach",
            Box::new(|f| {
                link(f).open_shell = Some("agents have a shell".to_owned());
                f.keeper.isolated = true;
            }),
        ),
        (
            "agent-reach",
            Box::new(|f| {
                link(f).open_shell = Some("agents have a shell".to_owned());
                f.slots.as_mut().unwrap()[0].form = SlotForm::Passphrase;
                f.keeper = KeeperFact {
                    runs: true,
                    once: true,
                    ..KeeperFact::default()
                };
            }),
        ),
        ("slot-reboot", Box::new(|f| f.machine.lingers = true)),
        (
            "openclaw-updated",
            Box::new(|f| {
                f.version = Ok(Version::parse("2026.5.7").unwrap());
            }),
        ),
        (
            "order-missing",
            Box::new(|f| {
                let mut order = order(OrderFile::State);
                order.there.clone_from(&order.ids);
                f.orders = vec![Ok(order)];
            }),
        ),
    ]
}

#[test]
fn the_silent_side_of_each_bound() {
    let mut silent = nearly();
    silent.extend(nearly_beside());
    for (id, change) in silent {
        let mut facts = Facts::healthy();
        change(&mut facts);
        let report = examine(&facts);
        let fired = report.findings().iter().any(|(check, _)| check.id == id);
        assert!(!fired, "{id}");
    }
}

#[test]
fn findings_are_shown_by_severity_and_fixes_once() {
    let mut facts = Facts::healthy();
    facts.recovery = Ok(None);
    facts.orders = vec![Ok(order(OrderFile::State)), Ok(order(OrderFile::State))];
    facts.paths = vec![path(0o644)];
    let report = examine(&facts);
    let order: Vec<_> = report
        .findings()
        .iter()
        .map(|(_, finding)| finding.severity)
        .collect();
    assert_eq!(order, [Error, Warning, Warning, Note]);
    let fixes = report.fixes();
    assert_eq!(fixes.len(), 2);
    assert!(matches!(
        &fixes[0],
        Fix::Mode {
            from: 0o644,
            to: 0o600,
            ..
        }
    ));
    assert!(matches!(&fixes[1], Fix::Order { ids, gone, .. } if ids.len() == 2 && gone.len() == 1));
}
