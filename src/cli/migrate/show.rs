//! A migration before a person's eyes: the table, as text for any width and as JSON. Ring 4; prints no
//! value and changes nothing.

use super::listing::Listed;
use crate::cli::app::App;
use crate::cli::ui;
use crate::error::Result;
use crate::migrate::claims::VAULT;
use crate::migrate::item::What;
use crate::migrate::plan::{Conflict, Fate, Plan, Row};
use crate::provider;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The first characters of a value that all of its kind have, and its length.
pub(super) fn mask(listed: &Listed, item: usize) -> String {
    let Some(value) = listed.found.values.get(&listed.found.items[item].value) else {
        return "…".to_owned();
    };
    let start = provider::public_start(value).unwrap_or_default();
    format!("{start}… {} bytes", value.len())
}

/// What becomes of a place, in words.
pub(super) fn fate(fate: &Fate) -> String {
    match fate {
        Fate::Referred => "moves; a reference takes its place".to_owned(),
        Fate::Removed => "moves; removed here".to_owned(),
        Fate::RemovedForRun => "moves; removed here, and only clawkeep run hands it out".to_owned(),
        Fate::Overwritten => "overwritten in this copy".to_owned(),
        Fate::Stays(reason) => format!("stays: {reason}"),
        Fate::Waits(reason) => format!("waits: {reason}"),
        Fate::Offered => "offered: --take NAME moves it, for clawkeep run alone".to_owned(),
    }
}

fn cells(listed: &Listed, row: &Row) -> Vec<String> {
    let item = &listed.found.items[row.item];
    let is_value = !matches!(item.what, What::Stays(_)) || row.provider.is_some();
    vec![
        listed.place(row.item),
        row.provider
            .as_ref()
            .map_or("-".to_owned(), ToString::to_string),
        if row.ids.is_empty() {
            "-".to_owned()
        } else {
            let ids: Vec<&str> = row
                .ids
                .iter()
                .map(crate::secret::SecretId::as_str)
                .collect();
            ids.join(", ")
        },
        if is_value {
            mask(listed, row.item)
        } else {
            "-".to_owned()
        },
        match &row.fate {
            Fate::Offered => {
                let name = item.variable().unwrap_or("NAME");
                fate(&row.fate).replace("NAME", name)
            }
            other => fate(other),
        },
    ]
}

/// Shows the table on stdout: in columns where they fit, else each row on lines of its own.
///
/// # Errors
/// `BrokenPipe` when the reader has gone.
pub(super) fn table(app: &App, listed: &Listed, plan: &Plan) -> Result<()> {
    if plan.rows.is_empty() {
        return Ok(());
    }
    let head = ["SOURCE", "PROVIDER", "NAME", "VALUE", "WHAT HAPPENS"].map(str::to_owned);
    let mut rows = vec![head.to_vec()];
    rows.extend(plan.rows.iter().map(|row| cells(listed, row)));
    let text = ui::table(&rows);
    let width = text.lines().map(|line| line.chars().count()).max();
    match app.ui.width() {
        Some(room) if width > Some(room) => app.ui.data(&stacked(&rows[1..], room)),
        _ => app.ui.data(&text),
    }
}

/// Each row on its own lines: the place, then what is known of it, then what happens.
fn stacked(rows: &[Vec<String>], room: usize) -> String {
    let mut out = String::new();
    for row in rows {
        let [place, provider, names, value, fate] = row.as_slice() else {
            continue;
        };
        let name = if names == "-" { provider } else { names };
        broken(&mut out, place, "", room);
        let known = if name == "-" {
            value.clone()
        } else {
            format!("{name}  {value}")
        };
        broken(&mut out, &known, "  ", room);
        broken(&mut out, fate, "  ", room);
    }
    out.truncate(out.trim_end().len());
    out
}

/// A text in lines of at most `room` columns. A word that is wider stays whole.
fn broken(out: &mut String, text: &str, indent: &str, room: usize) {
    let mut column = 0;
    for word in ui::plain(text).split_whitespace() {
        let length = word.chars().count();
        if column == 0 {
            let _ = write!(out, "{indent}{word}");
            column = indent.len() + length;
        } else if column + 1 + length > room {
            let _ = write!(out, "\n{indent}  {word}");
            column = indent.len() + 2 + length;
        } else {
            let _ = write!(out, " {word}");
            column += 1 + length;
        }
    }
    out.push('\n');
}

/// Says what could not be looked through.
pub(super) fn unseen(app: &App, listed: &Listed) {
    for unseen in listed.unseen() {
        app.ui.say(&format!(
            "{}: not looked through: {}",
            listed.short(&unseen.path),
            unseen.reason
        ));
    }
}

/// How many places have which fate, in one sentence.
pub(super) fn count(plan: &Plan) -> String {
    let number = |which: fn(&Fate) -> bool| plan.rows.iter().filter(|row| which(&row.fate)).count();
    let mut parts = vec![format!("{} to move", number(Fate::is_gone))];
    for (many, word) in [
        (number(|fate| matches!(fate, Fate::Stays(_))), "stay"),
        (number(|fate| matches!(fate, Fate::Waits(_))), "wait"),
        (number(|fate| *fate == Fate::Offered), "offered"),
    ] {
        if many > 0 {
            parts.push(format!("{many} {word}"));
        }
    }
    let places = ui::counted(plan.rows.len() as u64, "place", "places");
    format!("{places}: {}.", parts.join(", "))
}

/// One conflict for a person, with the values masked.
pub(super) fn conflict(listed: &Listed, conflict: &Conflict) -> Vec<String> {
    conflict
        .candidates
        .iter()
        .map(|(value, places)| {
            let shown = listed.found.values.get(value).map_or_else(
                || "…".to_owned(),
                |value| {
                    let start = provider::public_start(value).unwrap_or_default();
                    format!("{start}… {} bytes", value.len())
                },
            );
            format!("{shown}, in {}", places.join(" and "))
        })
        .collect()
}

/// The place that stands for a candidate: the first that is no file's alone.
pub(super) fn candidate(places: &[String]) -> &str {
    places.first().map_or(VAULT, String::as_str)
}

/// The table as JSON.
pub(super) fn document(listed: &Listed, plan: &Plan) -> Value {
    let rows: Vec<Value> = plan
        .rows
        .iter()
        .map(|row| {
            let item = &listed.found.items[row.item];
            let value = listed.found.values.get(&item.value);
            let reason = match &row.fate {
                Fate::Stays(reason) | Fate::Waits(reason) => Some(reason.as_str()),
                _ => None,
            };
            json!({
                "file": listed.path(item.source).display().to_string(),
                "place": listed.place(row.item),
                "variable": item.variable(),
                "provider": row.provider.as_ref().map(provider::ProviderId::as_str),
                "ids": row.ids.iter().map(crate::secret::SecretId::as_str).collect::<Vec<_>>(),
                "starts": value.and_then(provider::public_start),
                "bytes": value.map(crate::secret::Secret::len),
                "fate": row.fate.word(),
                "reason": reason,
            })
        })
        .collect();
    let unseen: Vec<Value> = listed
        .unseen()
        .iter()
        .map(|unseen| json!({"file": unseen.path.display().to_string(), "reason": unseen.reason}))
        .collect();
    json!({"rows": rows, "unseen": unseen})
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_narrow_table_stands_on_lines_of_its_own() {
        let row = [
            "~/.openclaw/.env:3 OPENAI_API_KEY",
            "openai",
            "openai:default",
            "sk-… 20 bytes",
            "moves; removed here, and only clawkeep run",
        ]
        .map(str::to_owned);
        assert_eq!(
            stacked(&[row.to_vec()], 40),
            "~/.openclaw/.env:3 OPENAI_API_KEY\n  openai:default sk-… 20 bytes\n  moves; removed \
             here, and only clawkeep\n    run"
        );
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(text in "([a-z]{1,9} ){0,12}", room in 20usize..60) {
            let mut out = String::new();
            broken(&mut out, &text, "  ", room);
            prop_assert!(out.lines().all(|line| line.chars().count() <= room));
            prop_assert!(out.split_whitespace().eq(text.split_whitespace()));
        }
    }
}
