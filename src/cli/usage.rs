//! From what was typed to [`Cli`], or to an error in our own words. Ring 4.
//!
//! Promise: what could not be parsed is not repeated: a token pasted into the wrong place must not
//! end up in a terminal's log.

use super::args::Cli;
use crate::error::{Error, Result};
use crate::provider::is_shaped_as_credential;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};

/// Parses the command line.
///
/// # Errors
/// `Usage`, without repeating what was typed. `Ok(Err(text))` is help or version, for stdout.
pub fn parse(
    args: impl Iterator<Item = std::ffi::OsString>,
) -> Result<std::result::Result<Cli, String>> {
    let args: Vec<_> = args.collect();
    if args.iter().skip(1).any(|arg| holds_credential(arg)) {
        return Err(Error::usage(
            "an argument looks like a token or key; values of secrets are typed at a prompt or \
             piped, never given here, where other programs and the shell's history see them",
        )
        .hint("replace that credential at its provider, then: clawkeep models auth add"));
    }
    match Cli::try_parse_from(&args) {
        Ok(cli) => Ok(Ok(cli)),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                Ok(Err(error.render().to_string()))
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                Err(Error::usage("a command is missing").hint(format!("{} --help", typed(&args))))
            }
            _ => Err(usage(&error)),
        },
    }
}

/// The command as far as it was typed, in this program's own words.
fn typed(args: &[std::ffi::OsString]) -> String {
    let mut command = Cli::command();
    let mut path = "clawkeep".to_owned();
    for arg in args.iter().skip(1) {
        let found = arg.to_str().and_then(|name| command.find_subcommand(name));
        if let Some(next) = found.cloned() {
            path.push(' ');
            path.push_str(next.get_name());
            command = next;
        }
    }
    path
}

/// A token pasted as an argument, be it as the value of a flag: it would become a name, which is
/// listed and shown.
fn holds_credential(arg: &std::ffi::OsStr) -> bool {
    let text = arg.to_string_lossy();
    let value = text
        .strip_prefix("--")
        .and_then(|flag| flag.split_once('='))
        .map_or(&*text, |(_, value)| value);
    is_shaped_as_credential(value.trim())
}

/// clap's own message quotes what was typed; this one is made of our own words only.
fn usage(error: &clap::Error) -> Error {
    let ours = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let said = match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            let names = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::Strings(names)) => names.join(" "),
                _ => String::new(),
            };
            format!("Missing required option \"{names}\".")
        }
        ErrorKind::InvalidSubcommand | ErrorKind::MissingSubcommand => "there is no such command".to_owned(),
        ErrorKind::UnknownArgument => {
            "there is no such option or argument (values of secrets are typed at a prompt or piped, \
             never given here)"
                .to_owned()
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => match ours(ContextKind::InvalidArg) {
            Some(arg) => format!("the value of {arg} is not one of its values"),
            None => "a value is not one of its option's values".to_owned(),
        },
        ErrorKind::ArgumentConflict => "two of these options exclude each other".to_owned(),
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8 text".to_owned(),
        _ => "the command line is wrong".to_owned(),
    };
    let suggestion =
        ours(ContextKind::SuggestedSubcommand).or_else(|| ours(ContextKind::SuggestedArg));
    let valid = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) if !values.is_empty() => Some(values.join(", ")),
        _ => None,
    };
    let error_text = Error::usage(said);
    if error.kind() == ErrorKind::UnknownArgument && help(error) == "clawkeep run --help" {
        return error_text.hint("the command stands behind --: clawkeep run [OPTIONS] -- CMD");
    }
    match (suggestion, valid) {
        (Some(suggestion), _) => {
            error_text.hint(format!("did you mean {suggestion}? See {}", help(error)))
        }
        (None, Some(valid)) => error_text.hint(format!("one of {valid}")),
        (None, None) => error_text.hint(help(error)),
    }
}

/// `clawkeep models auth paste-token --help`, from clap's own usage line.
fn help(error: &clap::Error) -> String {
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(text)) => text.to_string(),
        _ => String::new(),
    };
    let words: Vec<&str> = usage
        .trim_start_matches("Usage:")
        .split_whitespace()
        .take_while(|word| {
            word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-')
        })
        .collect();
    let path = if words.is_empty() {
        "clawkeep".to_owned()
    } else {
        words.join(" ")
    };
    format!("{path} --help")
}
