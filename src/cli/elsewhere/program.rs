//! A program of somebody else's that answers references, asked as OpenClaw asks it. Ring 4; no value leaves it.
//!
//! Source: OpenClaw 2026.6.1 and 2026.9.6, `src/secrets/resolve.ts` (`assertSecurePath`, `resolveExecRefs`).

use super::{AUDIT, Asking, below, not_known, nothing};
use crate::cli::proof;
use crate::cli::variables::Place;
use crate::error::{Error, Result, typed};
use crate::openclaw::command;
use crate::openclaw::config::Config;
use crate::openclaw::elsewhere::{Answer, Program, Reference, answer};
use crate::openclaw::version::Version;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The first version that knows no exceptions to the rules for a program (facts: 2026.7.1 has them yet).
const STRICT_FROM: &str = "2026.8.2";

/// Who is asked.
pub(super) struct Asked<'a> {
    /// The entry's name.
    pub(super) name: &'a str,
    /// What it says.
    pub(super) program: &'a Program,
    /// The most references that OpenClaw asks it for.
    pub(super) most: usize,
}

/// Whether the entry starts clawkeep, under whatever name: a keeper may give each value once, and then it is the
/// gateway's.
pub(super) fn is_clawkeep(asking: &Asking<'_>, program: &Program) -> bool {
    let path = below(asking.home, &program.command);
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let own = asking.app.host.program().ok();
    let is_this = own.is_some_and(|own| real(&own).is_some() && real(&own) == real(&path));
    let name = path.file_name().and_then(|name| name.to_str());
    let is_so_called = name.is_some_and(|name| name.starts_with("clawkeep"));
    let asks_a_vault = program.args.first().is_some_and(|arg| arg == "resolve")
        && program
            .args
            .iter()
            .any(|arg| arg.starts_with("--vault") || arg.starts_with("--keeper"));
    is_this || is_so_called || asks_a_vault
}

/// What the program says of each, in their order.
pub(super) fn answers(asking: &Asking<'_>, asked: &Asked<'_>, some: &[&Reference]) -> Vec<Answer> {
    let all = |answer: Answer| vec![answer; some.len()];
    let program = asked.program;
    if some.len() > asked.most {
        let why = format!("OpenClaw asks one program for at most {}", asked.most);
        return all(nothing("TOO_MANY", why));
    }
    let path = match effective(asking, program) {
        Ok(path) => path,
        Err(error) => return all(nothing("NOT_RUN", error.message())),
    };
    if let Some(why) = lacks(asking, asked) {
        return all(not_known(why, AUDIT));
    }
    let ids: Vec<String> = some.iter().map(|one| one.id.clone()).collect();
    let question = proof::Asked {
        provider: asked.name,
        command: &path,
        args: &program.args,
        pass_env: &program.pass_env,
        env: own_variables(asking.config, asked.name),
    };
    let bytes = match proof::exchange(program.limit, &asking.app.host, &question, &ids) {
        Ok((bytes, _)) => bytes,
        Err(error) => return all(nothing(answer::NO_ANSWER, error.message())),
    };
    if bytes.len() > program.most {
        let why = format!("{} writes more than maxOutputBytes", path.display());
        return all(nothing("TOO_LONG", why));
    }
    let Some(codes) = answer::codes(&bytes, &ids, !program.is_json_only) else {
        let why = format!("what {} wrote is no answer", path.display());
        return all(nothing(answer::NO_ANSWER, why));
    };
    let said = |code: Option<String>| match code {
        None => Answer::Value,
        Some(code) => nothing(&code, format!("{} has none", path.display())),
    };
    codes.into_iter().map(said).collect()
}

/// What OpenClaw would start, by its rules.
fn effective(asking: &Asking<'_>, program: &Program) -> Result<PathBuf> {
    let path = below(asking.home, &program.command);
    let is_strict = asking
        .version
        .is_some_and(|version| Version::parse(STRICT_FROM).is_ok_and(|from| *version >= from));
    if is_strict && (program.may_be_link || program.may_be_open) {
        return Err(Error::failed(
            "this OpenClaw refuses the whole of an openclaw.json with allowSymlinkCommand or allowInsecurePath",
        )
        .hint("openclaw config validate"));
    }
    let is_link = std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.file_type().is_symlink());
    let real = if is_link && program.may_be_link {
        std::fs::canonicalize(&path).map_err(|error| Error::io("find", &path, &error))?
    } else {
        path
    };
    let mut dirs = program.trusted.iter().map(|dir| below(asking.home, dir));
    if !program.trusted.is_empty() && !dirs.any(|dir| real.starts_with(dir)) {
        return Err(Error::failed(format!(
            "OpenClaw would not run {}: it lies in none of its trustedDirs",
            real.display()
        ))
        .hint(format!("ls -l {}", typed(&real))));
    }
    match command::check(&real) {
        Err(_) if program.may_be_open && real.is_absolute() && is_file(&real) => Ok(real),
        checked => checked.map(|()| real),
    }
}

fn is_file(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file())
}

/// What the gateway would give the program, and this one cannot; a clause.
fn lacks(asking: &Asking<'_>, asked: &Asked<'_>) -> Option<String> {
    let entry = asked.name;
    let is_elsewhere = |name: &&String| {
        asking.app.host.var(name).is_none() && asking.variables.anywhere(name) != Place::Nowhere
    };
    if let Some(name) = asked.program.pass_env.iter().find(is_elsewhere) {
        return Some(format!(
            "the program of secrets.providers.{entry} gets {} from the gateway, which has it from a file",
            crate::error::word(name)
        ));
    }
    let env = own_variables(asking.config, entry);
    let is_written = env.iter().any(|(_, value)| value.contains("${"));
    is_written.then(|| {
        format!("secrets.providers.{entry} is written with variables, which are not followed")
    })
}

/// The variables that the entry itself gives the program.
fn own_variables(config: &Config, name: &str) -> Vec<(String, Zeroizing<String>)> {
    let at = ["secrets", "providers", name, "env"];
    let names = config.keys(&at).into_iter();
    names
        .filter(|name| !name.is_empty() && !name.contains(['=', '\0']))
        .filter_map(|name| {
            let value = config.string_at(&[&at[..], &[&name]].concat())?;
            (!value.contains('\0')).then_some((name, value))
        })
        .collect()
}
