//! What `scan` says. Ring 4.

use super::Scanned;
use crate::cli::ui::{self, Ui};
use crate::error::Result;
use crate::scan::{Finding, Form, MIN_VALUE, Masked, Place, Unseen, What, Why};
use serde_json::{Value, json};
use std::path::Path;

/// How many places are shown to a person for one reason; `--json` has more.
const SHOWN: usize = 3;

/// For people: findings on stdout, the rest on stderr.
pub(super) fn text(ui: Ui, scanned: &Scanned) -> Result<()> {
    let report = &scanned.report;
    if !report.is_clean() {
        let heading = ["FOUND", "AS", "TIMES", "WHERE"].map(str::to_owned);
        let mut rows = vec![heading.to_vec()];
        rows.extend(report.findings.iter().map(row));
        ui.table(&rows)?;
    }
    for masked in &report.masked {
        ui.say(&mask(masked));
    }
    if !scanned.too_short.is_empty() {
        ui.say(&format!(
            "Not searched for, shorter than {MIN_VALUE} bytes: {}",
            scanned.too_short.join(", ")
        ));
    }
    for (asked, real) in &scanned.roots.links {
        ui.say(&format!(
            "{} is a link: {} was searched.",
            path(asked),
            path(real)
        ));
    }
    if scanned.roots.unknown_config {
        ui.say(
            "Not seen: what OpenClaw's configuration says about other folders; it cannot be read.",
        );
    }
    for unseen in &report.unseen {
        ui.say(&not_seen(unseen));
    }
    ui.say(&searched(scanned));
    ui.say(if report.is_clean() {
        "Nothing was found. Snapshots, free blocks of a disk and backups cannot be searched: only \
         replacing a value at its provider makes old copies worthless."
    } else {
        "What lay in a file may live on in copies that cannot be searched: replace it at its provider."
    });
    Ok(())
}

fn row(finding: &Finding) -> Vec<String> {
    let (what, form) = match &finding.what {
        What::Value { names, form } => (names.join(", "), form.name()),
        other => (what(other), "-"),
    };
    vec![
        what,
        form.to_owned(),
        finding.count.to_string(),
        place(&finding.place),
    ]
}

fn what(what: &What) -> String {
    match what {
        What::Value { names, .. } => names.join(", "),
        What::UnknownKey {
            provider,
            length,
            starts,
        } => format!(
            "a key of {} that is not stored ({starts}…, {length} bytes)",
            provider.unwrap_or("some provider")
        ),
        What::Identity {
            of_this_vault: true,
        } => "the identity of this vault".to_owned(),
        What::Identity {
            of_this_vault: false,
        } => "a secret key of age".to_owned(),
    }
}

fn place(place: &Place) -> String {
    let named = |variable: &Option<String>| match variable {
        Some(name) => format!("variable {name}"),
        None => "a variable".to_owned(),
    };
    match place {
        Place::File {
            path: file,
            offset,
            line,
        } => match line {
            Some(line) => format!("{}:{line}", path(file)),
            None => format!("{} (byte {offset})", path(file)),
        },
        Place::Process {
            pid,
            program,
            in_arguments: true,
            ..
        } => {
            format!("process {pid} ({}), its arguments", one_line(program))
        }
        Place::Process {
            pid,
            program,
            variable,
            ..
        } => {
            format!("process {pid} ({}), {}", one_line(program), named(variable))
        }
        Place::Manager {
            of_system: true,
            variable,
        } => {
            format!("the system's service manager, {}", named(variable))
        }
        Place::Manager {
            of_system: false,
            variable,
        } => {
            format!("your service manager, {}", named(variable))
        }
    }
}

fn mask(masked: &Masked) -> String {
    let times = match masked.count {
        1 => String::new(),
        times => format!(", {times} times"),
    };
    format!(
        "Masked, which is no finding: {} at {}{times} ({} of {} bytes show)",
        masked.names.join(", "),
        place(&masked.place),
        masked.shown,
        masked.length
    )
}

fn not_seen(unseen: &Unseen) -> String {
    let text = match &unseen.why {
        Why::Link => "a link, not followed".to_owned(),
        Why::Special => "a socket, pipe or device, or the kernel's own".to_owned(),
        Why::Unreadable(why) => format!("unreadable ({why})"),
        Why::OtherFileSystem => "another file system; name it to have it searched".to_owned(),
        Why::Changed => "changed while it was looked at".to_owned(),
        Why::Snapshots(name) => format!("old copies that {name} may keep"),
        Why::Editor => {
            "what an editor may keep in pieces (the file itself was searched)".to_owned()
        }
        Why::Compressed => "what is compressed".to_owned(),
        Why::Tangled => "what is split over pages of a damaged database".to_owned(),
        Why::Process => "a process that lets nobody look".to_owned(),
        Why::Manager(why) => format!("the environment of a service manager ({why})"),
    };
    let places: Vec<String> = unseen
        .places
        .iter()
        .take(SHOWN)
        .map(|place| path(place))
        .collect();
    let more = match unseen.count.saturating_sub(places.len() as u64) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("Not seen: {text}: {}{more}", places.join(", "))
}

fn searched(scanned: &Scanned) -> String {
    let searched = scanned.report.searched;
    let processes = if scanned.with_processes {
        format!(
            ", {}",
            ui::counted(searched.processes, "process", "processes")
        )
    } else {
        String::new()
    };
    format!(
        "Searched {}, {}{processes}, for {} and for keys by their shape.",
        ui::counted(searched.files, "file", "files"),
        size(searched.bytes),
        ui::counted(scanned.values as u64, "value", "values"),
    )
}

/// `1.4 GiB`
fn size(bytes: u64) -> String {
    let mut unit = "bytes";
    let mut tenths = u128::from(bytes) * 10;
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = larger;
    }
    if unit == "bytes" {
        format!("{bytes} bytes")
    } else {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

/// `[=====>    ]  52 %  0.7 of 1.4 GiB`
pub(super) fn bar(done: u64, total: u64) -> String {
    const WIDTH: usize = 30;
    let done = done.min(total);
    let part = |of: usize| {
        let part = u128::from(done) * of as u128 / u128::from(total.max(1));
        usize::try_from(part).unwrap_or(of)
    };
    let filled = part(WIDTH);
    format!(
        "[{}{}] {:>3} %  {} of {}",
        "=".repeat(filled),
        " ".repeat(WIDTH - filled),
        part(100),
        size(done),
        size(total)
    )
}

/// A path in one line; other control characters are the printer's to escape.
fn path(path: &Path) -> String {
    one_line(&path.display().to_string())
}

fn one_line(text: &str) -> String {
    text.replace('\n', "\\u{a}")
}

/// For programs.
pub(super) fn document(scanned: &Scanned) -> Value {
    let report = &scanned.report;
    let text = |path: &Path| path.display().to_string();
    let unseen = report.unseen.iter().map(|unseen| {
        let reason = match &unseen.why {
            Why::Unreadable(why) | Why::Manager(why) => Some(why.as_str()),
            Why::Snapshots(name) => Some(*name),
            _ => None,
        };
        json!({
            "kind": unseen.why.name(),
            "reason": reason,
            "count": unseen.count,
            "places": unseen.places.iter().map(|place| text(place)).collect::<Vec<_>>(),
        })
    });
    let links = scanned.roots.links.iter();
    json!({
        "version": 1,
        "roots": scanned.roots.paths.iter().map(|root| text(root)).collect::<Vec<_>>(),
        "linkedRoots": links.map(|(asked, real)| json!({"path": text(asked), "searched": text(real)})).collect::<Vec<_>>(),
        "configurationUnreadable": scanned.roots.unknown_config,
        "searched": {
            "values": scanned.values,
            "files": report.searched.files,
            "bytes": report.searched.bytes,
            "processes": scanned.with_processes.then_some(report.searched.processes),
        },
        "tooShort": scanned.too_short,
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "masked": report.masked.iter().map(|masked| json!({
            "ids": masked.names,
            "shown": masked.shown,
            "length": masked.length,
            "count": masked.count,
            "place": place_value(&masked.place),
        })).collect::<Vec<_>>(),
        "unseen": unseen.collect::<Vec<_>>(),
    })
}

fn finding(finding: &Finding) -> Value {
    let place = place_value(&finding.place);
    let count = finding.count;
    match &finding.what {
        What::Value { names, form } => json!({
            "kind": "value", "ids": names, "form": Form::name(*form), "count": count, "place": place,
        }),
        What::UnknownKey {
            provider,
            length,
            starts,
        } => json!({
            "kind": "unknown-key", "provider": provider, "length": length, "starts": starts,
            "count": count, "place": place,
        }),
        What::Identity { of_this_vault } => json!({
            "kind": "identity", "ofThisVault": of_this_vault, "count": count, "place": place,
        }),
    }
}

fn place_value(place: &Place) -> Value {
    match place {
        Place::File { path, offset, line } => json!({
            "path": path.display().to_string(), "offset": offset, "line": line,
        }),
        Place::Process {
            pid,
            program,
            variable,
            in_arguments,
        } => json!({
            "pid": pid, "program": program, "variable": variable, "inArguments": in_arguments,
        }),
        Place::Manager {
            of_system,
            variable,
        } => json!({
            "manager": if *of_system { "system" } else { "user" }, "variable": variable,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_said_in_the_largest_unit_that_fits() {
        for (bytes, said) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_500_000, "1.4 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(size(bytes), said);
        }
    }

    #[test]
    fn a_bar_is_as_long_when_it_is_empty_as_when_it_is_full() {
        assert_eq!(
            bar(0, 2048),
            format!("[{}]   0 %  0 bytes of 2.0 KiB", " ".repeat(30))
        );
        assert_eq!(
            bar(1024, 2048),
            format!(
                "[{}{}]  50 %  1.0 KiB of 2.0 KiB",
                "=".repeat(15),
                " ".repeat(15)
            )
        );
        assert_eq!(
            bar(9999, 2048),
            format!("[{}] 100 %  2.0 KiB of 2.0 KiB", "=".repeat(30))
        );
        let _ = bar(u64::MAX, 0);
    }
}
