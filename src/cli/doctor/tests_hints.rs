//! Every hint of every check is a command line that this program takes, whatever the names in it.

#[path = "../../../tests/doctor/hints.rs"]
mod hints;

use crate::cli::usage;
use crate::doctor::facts::*;
use crate::doctor::tests::cases::{asked, cases, identity, link, order, profile, refer};
use crate::doctor::*;
use crate::provider::ProfileId;
use std::path::PathBuf;

/// Names that want to be more than names.
const NAMES: [&str; 5] = [
    "anthropic:x; touch pwned",
    "anthropic:$(touch pwned)",
    "anthropic:it's",
    "anthropic:a b",
    "anthropic:`id`|sh",
];

fn holds(report: &Report) {
    for (check, finding) in report.findings() {
        let hint = &finding.hint;
        assert!(hints::can_be_typed(hint), "{}: {hint}", check.id);
        for command in hints::commands(hint) {
            let args = command.iter().map(std::ffi::OsString::from);
            let parsed = usage::parse(args);
            assert!(parsed.is_ok_and(|cli| cli.is_ok()), "{}: {hint}", check.id);
        }
    }
}

#[test]
fn each_can_be_typed() {
    for (_, _, _, change) in cases() {
        let mut facts = Facts::healthy();
        change(&mut facts);
        holds(&examine(&facts));
    }
    let mut facts = Facts::healthy();
    let mut of_slot = identity(Nearness::Inside);
    of_slot.slot = Some("usb".to_owned());
    facts.identities = vec![of_slot];
    holds(&examine(&facts));
}

#[test]
fn no_name_in_a_file_breaks_out_of_the_command() {
    for name in NAMES {
        let id = ProfileId::parse(name).unwrap();
        let mut facts = Facts::healthy();
        let mut one = profile(name, true);
        one.expires = Some(None);
        facts.profiles = Ok(vec![one]);
        let mut ordered = order(OrderFile::Database);
        ordered.ids = vec![id.clone(), ProfileId::parse("anthropic:gone").unwrap()];
        ordered.there = vec![id];
        facts.orders = vec![Ok(ordered)];
        link(&mut facts).ignored = Ok(vec![format!("hooks.{name}")]);
        refer(&mut facts, "hooks.token", name);
        asked(&mut facts).refused = vec![(name.to_owned(), "INVALID_ID".to_owned())];
        let path = PathBuf::from(format!("/nowhere/{name}.migrated-1"));
        facts.leftovers = vec![path.clone()];
        facts.identities = vec![IdentityFact {
            path,
            ..identity(Nearness::Beside)
        }];
        let report = examine(&facts);
        assert_eq!(report.findings().len(), 6, "{name}");
        holds(&report);
    }
}

#[test]
fn what_is_no_name_of_a_secret_is_not_repeated() {
    let mut facts = Facts::healthy();
    asked(&mut facts).refused = vec![("a; id".to_owned(), "INVALID_ID".to_owned())];
    let report = examine(&facts);
    let finding = report.findings()[0].1;
    assert!(!finding.what.contains("; id") && !finding.hint.contains("; id"));
}
