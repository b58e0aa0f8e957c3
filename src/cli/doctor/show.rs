//! What the doctor says: findings by severity, what could not be looked at, and a line that sums it up.
//! Ring 4.

use crate::cli::ui::{Ui, counted, one_line};
use crate::doctor::{Report, Severity};
use crate::error::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The version of the JSON document.
const VERSION: u32 = 1;

const SEVERITIES: [(Severity, &str, &str); 3] = [
    (Severity::Error, "error", "errors"),
    (Severity::Warning, "warning", "warnings"),
    (Severity::Note, "note", "notes"),
];

/// For people: data on stdout, so that it can be searched.
///
/// # Errors
/// `BrokenPipe` when the reader has gone.
pub(super) fn text(ui: Ui, report: &Report) -> Result<()> {
    let mut before = None;
    for (check, finding) in report.findings() {
        if before != Some(finding.severity) {
            if before.is_some() {
                ui.data("")?;
            }
            before = Some(finding.severity);
        }
        ui.entry(&format!(
            "{}  {}  {}",
            finding.severity.name(),
            check.id,
            finding.what
        ))?;
        // In one piece: of a command that is broken in two, a shell would run the first half.
        ui.data(&one_line(&format!("  hint: {}", finding.hint)))?;
    }
    if before.is_some() {
        ui.data("")?;
    }
    for (reason, ids) in left_out(report) {
        ui.entry(&format!("not checked: {reason}  ({})", ids.join(", ")))?;
    }
    ui.entry(&summed(report))
}

/// The reasons for which something was left out, with the checks.
fn left_out(report: &Report) -> BTreeMap<&str, Vec<&str>> {
    let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (check, outcome) in &report.results {
        for reason in &outcome.unchecked {
            all.entry(reason).or_default().push(check.id);
        }
    }
    all
}

/// `12 checks passed, 2 warnings, 1 not checked: locked`
fn summed(report: &Report) -> String {
    let mut parts = vec![format!(
        "{} passed",
        counted(report.passed() as u64, "check", "checks")
    )];
    for (severity, one, many) in SEVERITIES {
        let count = report.count(severity);
        if count > 0 {
            parts.push(counted(count as u64, one, many));
        }
    }
    let left_out = left_out(report);
    let mut counts: Vec<_> = left_out
        .iter()
        .map(|(reason, ids)| (ids.len(), *reason))
        .collect();
    counts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    parts.extend(
        counts
            .iter()
            .map(|(count, reason)| format!("{count} not checked: {reason}")),
    );
    parts.join(", ")
}

/// One document: an entry for each finding, and one for each check without any.
pub(super) fn document(report: &Report, mended: &[String]) -> Value {
    let mut checks = Vec::new();
    for (check, outcome) in &report.results {
        for finding in &outcome.findings {
            checks.push(json!({
                "id": check.id,
                "severity": finding.severity.name(),
                "status": "finding",
                "message": finding.what,
                "hint": finding.hint,
            }));
        }
        for reason in &outcome.unchecked {
            checks.push(json!({
                "id": check.id,
                "severity": check.severity.name(),
                "status": "skipped",
                "message": format!("not checked: {reason}"),
                "hint": null,
            }));
        }
        if outcome.is_fine() {
            checks.push(json!({
                "id": check.id,
                "severity": check.severity.name(),
                "status": "ok",
                "message": check.about,
                "hint": null,
            }));
        }
    }
    json!({
        "version": VERSION,
        "ok": report.is_clean(),
        "checks": checks,
        "mended": mended,
        "summary": {
            "passed": report.passed(),
            "errors": report.count(Severity::Error),
            "warnings": report.count(Severity::Warning),
            "notes": report.count(Severity::Note),
            "skipped": report.results.iter().filter(|(_, outcome)| !outcome.unchecked.is_empty()).count(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{CHECKS, Facts, NotKnown, examine};

    #[test]
    fn a_document_has_an_entry_for_each_finding_and_for_each_check_without_one() {
        let mut facts = Facts::healthy();
        let fine = document(&examine(&facts), &[]);
        assert_eq!(fine["ok"], true);
        assert_eq!(fine["checks"].as_array().map(Vec::len), Some(CHECKS.len()));
        facts.recovery = Ok(None);
        facts.rollback = Err(NotKnown("locked".to_owned()));
        facts.leftovers = vec![
            "/nowhere/a.migrated-1".into(),
            "/nowhere/b.migrated-1".into(),
        ];
        let report = examine(&facts);
        let said = document(&report, &["chmod 600 /nowhere".to_owned()]);
        assert_eq!(said["version"], 1);
        assert_eq!(said["ok"], false);
        assert_eq!(
            said["summary"],
            json!({"passed": CHECKS.len() - 3, "errors": 0, "warnings": 2, "notes": 1, "skipped": 1})
        );
        let of = |id: &str| -> Vec<Value> {
            let all = said["checks"].as_array().unwrap().iter();
            all.filter(|check| check["id"] == id).cloned().collect()
        };
        assert_eq!(of("residue").len(), 2);
        assert_eq!(
            of("rollback"),
            [
                json!({"id": "rollback", "severity": "error", "status": "skipped", "message": "not checked: locked", "hint": null})
            ]
        );
        assert_eq!(
            of("recovery-key")[0]["hint"],
            "clawkeep rekey --new-recovery"
        );
        assert_eq!(
            summed(&report),
            format!(
                "{} checks passed, 2 warnings, 1 note, 1 not checked: locked",
                CHECKS.len() - 3
            )
        );
    }
}
