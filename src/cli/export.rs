//! `export`: every value in plaintext, for the day on which clawkeep is left. Ring 4.
//!
//! Promise: values go to a terminal or into a new 0600 file that was named, never into a pipe, and only
//! after a warning that somebody agreed to; what is in memory on the way is wiped.

use super::app::App;
use super::args::{Export as Args, ExportFormat};
use super::opened::Opened;
use super::record::{self, LinkRecord};
use super::variable_name::VariableName;
use super::{choice, log, target};
use crate::access::Outcome;
use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::file;
use crate::json::{push_string, string_len};
use crate::provider::{AgentId, ProviderId, variables};
use crate::secret::{Secret, SecretId};
use crate::store::{Meta, Resolve as _, Store as _};
use secrecy::ExposeSecret;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use zeroize::Zeroizing;

/// One value and what is known of it.
struct Row {
    id: SecretId,
    meta: Meta,
    value: Secret,
}

/// Runs `export`.
pub fn run(app: &App, args: &Args) -> Result<()> {
    let output = match &args.output {
        Some(path) => Some(target::new_file(app, path, "the values")?),
        None if std::io::stdout().is_terminal() => None,
        None => {
            return Err(Error::usage(
                "values in plaintext go to a terminal or into a file of their own, not into a pipe",
            )
            .hint("clawkeep export --output FILE"));
        }
    };
    let opened = app.open()?;
    let rows = rows(&opened)?;
    if rows.is_empty() {
        return Err(Error::missing("the vault is empty; nothing was exported"));
    }
    let text = match args.format {
        ExportFormat::Json => as_json(app, &opened, &rows)?,
        ExportFormat::Env => as_env(app, &rows)?,
    };
    app.ui.say(&format!(
        "This gives away all {} secrets in plaintext. Whoever gets to see it has them, and so has every \
         backup, snapshot and scrollback that it ends up in.",
        rows.len()
    ));
    let question = match &output {
        Some(path) => format!("Write them to {}?", path.display()),
        None => "Show them on this terminal?".to_owned(),
    };
    app.agree(args.yes, &question, false, "exporting", "add --yes")?;
    // Before they go out.
    let results: Vec<_> = rows
        .iter()
        .map(|row| (row.id.as_str(), Outcome::Released))
        .collect();
    log::note_command(app, &opened, &results);
    match &output {
        Some(path) => {
            file::create(path, &text, 0o600)?;
            app.ui.say(&format!(
                "Written: {} (0600). Remove it when it has served; a disk may keep what was removed.",
                path.display()
            ));
            Ok(())
        }
        None => app.ui.raw(&text),
    }
}

fn rows(opened: &Opened) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (id, _) in opened.list()? {
        // One that was removed meanwhile is not there to be exported.
        if let Some((value, meta)) = opened.get(&id)? {
            rows.push(Row { id, meta, value });
        }
    }
    Ok(rows)
}

/// One document: what `secret list --json` says of each, and its value.
#[allow(
    clippy::disallowed_methods,
    reason = "door: all values into the document that the person asked for"
)]
fn as_json(app: &App, opened: &Opened, rows: &[Row]) -> Result<Zeroizing<Vec<u8>>> {
    let head = json!({
        "format": "clawkeep-export",
        "version": 1,
        "exported": app.host.now().get(),
        "vaultId": opened.id().to_string(),
    });
    let head = text_of(&head)?;
    let mut entries = Vec::with_capacity(rows.len());
    let mut room = head.len() + 64;
    for row in rows {
        let known = json!({
            "id": row.id.as_str(),
            "kind": row.meta.kind.name(),
            "provider": row.meta.provider.as_ref().map(ProviderId::as_str),
            "created": row.meta.created.get(),
            "updated": row.meta.updated.get(),
            "expires": row.meta.expires.map(Millis::get),
            "wasPlaintext": row.meta.was_plaintext,
        });
        let known = text_of(&known)?;
        room += known.len() + string_len(row.value.expose_secret()) + 32;
        entries.push((known, &row.value));
    }
    let mut out = Zeroizing::new(Vec::with_capacity(room));
    out.extend_from_slice(without_end(&head));
    out.extend_from_slice(b",\"secrets\":[");
    for (index, (known, value)) in entries.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",\n" } else { b"\n" });
        out.extend_from_slice(without_end(known));
        out.extend_from_slice(b",\"value\":");
        push_string(&mut out, value.expose_secret());
        out.push(b'}');
    }
    out.extend_from_slice(b"\n]}\n");
    Ok(out)
}

fn text_of(value: &serde_json::Value) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|_| Error::failed("metadata cannot be written as JSON"))
}

/// An object without its closing brace.
fn without_end(object: &[u8]) -> &[u8] {
    object.strip_suffix(b"}").unwrap_or(object)
}

/// `# id` and `NAME='value'` for each.
fn as_env(app: &App, rows: &[Row]) -> Result<Zeroizing<Vec<u8>>> {
    env_lines(rows, &names(app, rows)?)
}

#[allow(
    clippy::disallowed_methods,
    reason = "door: all values into the lines that the person asked for"
)]
fn env_lines(rows: &[Row], names: &[VariableName]) -> Result<Zeroizing<Vec<u8>>> {
    let mut room = 0;
    let mut lines = Vec::with_capacity(rows.len());
    let mut refused = Vec::new();
    for (row, name) in rows.iter().zip(names) {
        let value = row.value.expose_secret();
        match quote_for(value) {
            Some(quote) => lines.push((row, name, quote)),
            None => refused.push(row.id.as_str()),
        }
        room += row.id.as_str().len() + name.as_str().len() + value.len() + 16;
    }
    if !refused.is_empty() {
        return Err(Error::failed(format!(
            "these cannot be written so that a shell and OpenClaw's .env read the same: {}; nothing was \
             exported",
            refused.join(", ")
        ))
        .hint("clawkeep export --format json"));
    }
    let mut out = Zeroizing::new(Vec::with_capacity(room));
    for (row, name, quote) in lines {
        out.extend_from_slice(format!("# {}\n{name}=", row.id).as_bytes());
        out.push(quote);
        out.extend_from_slice(row.value.expose_secret().as_bytes());
        out.extend_from_slice(&[quote, b'\n']);
    }
    Ok(out)
}

/// The quotes in which every reader takes the value as it is: a POSIX shell, and npm's dotenv, which ends a
/// quoted value at no quote behind a backslash, and makes one newline of CR LF. `None` when there are none.
fn quote_for(value: &str) -> Option<u8> {
    if value.contains('\r') {
        None
    } else if !value.contains('\'') && !value.ends_with('\\') {
        Some(b'\'')
    } else if !value.contains(['"', '\\', '$', '`', '!']) {
        Some(b'"')
    } else {
        None
    }
}

/// A name for each: the variable of its provider for the profile of agent main that is next in order, as
/// `run` chooses it; for all others one that is made of the id.
fn names(app: &App, rows: &[Row]) -> Result<Vec<VariableName>> {
    let link = LinkRecord::load(&app.dir)?;
    let file = record::load_profiles(&app.dir, link.as_ref(), &AgentId::main())?;
    let now = app.host.now();
    let providers: BTreeSet<&ProviderId> = rows
        .iter()
        .filter_map(|row| row.meta.provider.as_ref())
        .collect();
    let mut first: BTreeMap<&SecretId, &'static str> = BTreeMap::new();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for provider in providers {
        let is_its = |id: &&SecretId| {
            let mut rows = rows.iter();
            rows.any(|row| row.id == **id && row.meta.provider.as_ref() == Some(provider))
        };
        let order = choice::selection(&file, provider, now);
        let next = order.iter().find(is_its);
        let Some(row) = next.and_then(|id| rows.iter().find(|row| row.id == *id)) else {
            continue;
        };
        // One variable can be of several providers.
        if let Some(name) = variables::for_kind(provider, row.meta.kind)
            && taken.insert(name.to_owned())
        {
            first.insert(&row.id, name);
        }
    }
    rows.iter()
        .map(|row| match first.get(&row.id) {
            Some(name) => VariableName::parse(name),
            None => made_of(&row.id, &mut taken),
        })
        .collect()
}

/// `CHANNELS_TELEGRAM_TOKEN` of `channels/telegram/token`; never one that decides what code runs.
fn made_of(id: &SecretId, taken: &mut BTreeSet<String>) -> Result<VariableName> {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    // An id may be longer than a name.
    let mut name: String = id.as_str().chars().take(200).map(plain).collect();
    if VariableName::parse(&name).is_err() {
        name.insert_str(0, "SECRET_");
    }
    // A vault has fewer values than that.
    let free = (1..=u32::MAX)
        .map(|n| match n {
            1 => name.clone(),
            _ => format!("{name}_{n}"),
        })
        .find(|name| taken.insert(name.clone()));
    VariableName::parse(&free.unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assignment::{self, Language};
    use proptest::prelude::*;

    #[test]
    fn names_are_plain_each_once_and_decide_nothing() {
        let mut taken = BTreeSet::from(["A_B".to_owned()]);
        let mut name = |id: &str| {
            let id = SecretId::parse(id).unwrap();
            made_of(&id, &mut taken).unwrap().to_string()
        };
        assert_eq!(name("channels/telegram/token"), "CHANNELS_TELEGRAM_TOKEN");
        assert_eq!(name("a/b"), "A_B_2");
        assert_eq!(name("a.b"), "A_B_3");
        assert_eq!(name("path"), "SECRET_PATH");
        assert_eq!(name("ld/preload"), "SECRET_LD_PRELOAD");
        assert_eq!(name("9lives"), "SECRET_9LIVES");
        assert!(name(&"x".repeat(256)).len() < 255);
    }

    #[test]
    fn a_value_that_readers_would_not_agree_on_has_no_quotes() {
        assert_eq!(quote_for("plain $x `y` \\n #"), Some(b'\''));
        assert_eq!(quote_for("it's\ntwo lines"), Some(b'"'));
        for bad in [
            "a\rb",
            "ends with \\",
            "it's $x",
            "it's \"both\"",
            "it's \\n",
        ] {
            assert_eq!(quote_for(bad), None, "{bad:?}");
        }
    }

    /// The lines for these values, with names that are taken for given.
    #[allow(clippy::disallowed_methods, reason = "compares fake values")]
    fn lines(values: &[String]) -> (Vec<String>, Zeroizing<Vec<u8>>) {
        let at = Millis::new(7).unwrap();
        let fit: Vec<&String> = values.iter().filter(|v| quote_for(v).is_some()).collect();
        let rows: Vec<Row> = fit
            .iter()
            .enumerate()
            .map(|(n, value)| Row {
                id: SecretId::parse(&format!("s/{n}")).unwrap(),
                meta: Meta {
                    kind: crate::secret::SecretKind::Secret,
                    provider: None,
                    created: at,
                    updated: at,
                    expires: None,
                    was_plaintext: false,
                },
                value: Secret::stored(value).unwrap(),
            })
            .collect();
        let names: Vec<VariableName> = (0..rows.len())
            .map(|n| VariableName::parse(&format!("S_{n}")).unwrap())
            .collect();
        let text = env_lines(&rows, &names).unwrap();
        (fit.into_iter().cloned().collect(), text)
    }

    proptest! {
        /// OpenClaw's .env and a shell read each value as it is, whatever stands around it.
        #[test]
        fn every_reader_takes_the_value_as_it_is(values in proptest::collection::vec("[ -~\\n\\tü]{1,24}|[a'\"$`\\\\ #=\\n]{1,8}", 1..6)) {
            let (values, text) = lines(&values);
            for language in [Language::DotEnv, Language::Shell] {
                let read = assignment::read(language, &text).unwrap();
                let read: Vec<Option<String>> = read
                    .into_iter()
                    .map(|one| one.value.map(|value| value.to_string()))
                    .collect();
                let wanted: Vec<Option<String>> = values.iter().cloned().map(Some).collect();
                prop_assert_eq!(read, wanted, "{}", String::from_utf8_lossy(&text));
            }
        }
    }
}
