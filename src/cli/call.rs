//! The command lines that programs call again and again, read without clap: the one that `link` writes into
//! OpenClaw's configuration, and that of a watch over the credentials. Ring 4.
//!
//! OpenClaw calls the first at nearly every command, and building clap's tree of all commands takes 0.16 of
//! the 1.45 ms that one `resolve` from a small vault takes as a whole process. Promise: exactly what
//! [`super::pins::resolver_args`] writes is read here, and `models status` with its plain flags, with the same
//! outcome as by clap; everything else is left to clap, its errors included.

use super::args::{Cli, Command, Global, Models, ModelsStatus, Resolve};
use crate::openclaw::exec::LARGEST_MAX_OUTPUT;
use crate::vault::id::VaultId;
use std::ffi::OsString;
use std::path::PathBuf;

/// `PROGRAM resolve --vault DIR [--vault-id ID]…` with an absolute DIR and well-formed IDs, or `PROGRAM
/// resolve --keeper SOCKET --keeper-user UID` with an absolute SOCKET, or `PROGRAM [--vault DIR] models status
/// [--check] [--json]`; `None` for any other command line. The first argument is the program's own name.
pub fn parse(args: &[OsString]) -> Option<Cli> {
    if let Some(cli) = models_status(args) {
        return Some(cli);
    }
    if let [_, command, keeper, socket, user, uid] = args
        && command == "resolve"
        && keeper == "--keeper"
        && user == "--keeper-user"
    {
        let socket = PathBuf::from(socket);
        let uid = uid.to_str()?;
        let is_number = uid.bytes().all(|byte| byte.is_ascii_digit());
        let user = uid.parse().ok().filter(|_| is_number)?;
        return socket
            .is_absolute()
            .then(|| resolve(None, Vec::new(), Some((socket, user))));
    }
    let [_, command, vault, dir, pins @ ..] = args else {
        return None;
    };
    let dir = PathBuf::from(dir);
    if command != "resolve" || vault != "--vault" || !dir.is_absolute() {
        return None;
    }
    let vault_id = pins
        .chunks(2)
        .map(|pair| match pair {
            [flag, id] if flag == "--vault-id" => {
                let id = id.to_str()?;
                VaultId::parse(id).ok().map(|_| id.to_owned())
            }
            _ => None,
        })
        .collect::<Option<Vec<_>>>()?;
    Some(resolve(Some(dir), vault_id, None))
}

fn models_status(args: &[OsString]) -> Option<Cli> {
    let (vault, rest) = match args {
        [_, flag, dir, rest @ ..] if flag == "--vault" => (Some(PathBuf::from(dir)), rest),
        [_, rest @ ..] => (None, rest),
        [] => return None,
    };
    let [models, status, flags @ ..] = rest else {
        return None;
    };
    let is_usable = vault.as_ref().is_none_or(|dir| dir.is_absolute());
    if models != "models" || status != "status" || !is_usable {
        return None;
    }
    let (mut check, mut json) = (false, false);
    for flag in flags {
        let said = match flag.to_str()? {
            "--check" => &mut check,
            "--json" => &mut json,
            _ => return None,
        };
        // Clap takes none twice.
        if std::mem::replace(said, true) {
            return None;
        }
    }
    Some(Cli {
        global: global(vault, Vec::new()),
        command: Command::Models(Models::Status(ModelsStatus {
            agent: "main".to_owned(),
            json,
            plain: false,
            check,
            warn_within: None,
            require_proof: false,
            allow_exec: false,
            probe: false,
            probe_timeout: None,
            live: false,
            openclaw: None,
        })),
    })
}

fn global(vault: Option<PathBuf>, vault_id: Vec<String>) -> Global {
    Global {
        vault,
        vault_id,
        passphrase_file: None,
        accept_rollback: false,
        non_interactive: false,
    }
}

fn resolve(vault: Option<PathBuf>, vault_id: Vec<String>, keeper: Option<(PathBuf, u32)>) -> Cli {
    let (keeper, keeper_user) = keeper.unzip();
    Cli {
        global: global(vault, vault_id),
        command: Command::Resolve(Resolve {
            max_output: LARGEST_MAX_OUTPUT,
            keeper,
            keeper_user,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::pins::{keeper_args, resolver_args};
    use super::*;
    use clap::Parser;
    use proptest::prelude::*;
    use std::path::Path;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn line(args: &[String]) -> Vec<OsString> {
        std::iter::once("clawkeep".to_owned())
            .chain(args.iter().cloned())
            .map(OsString::from)
            .collect()
    }

    fn by_clap(args: &[OsString]) -> String {
        Cli::try_parse_from(args).map_or_else(|error| error.to_string(), |cli| format!("{cli:?}"))
    }

    #[test]
    fn models_status_is_read_here() {
        for flags in [&[][..], &["--check"], &["--json"], &["--json", "--check"]] {
            for vault in [&[][..], &["--vault", "/v"]] {
                let words = [vault, &["models", "status"], flags].concat();
                let args = line(
                    &words
                        .iter()
                        .map(|&word| word.to_owned())
                        .collect::<Vec<_>>(),
                );
                let ours = parse(&args).expect("read without clap");
                assert_eq!(format!("{ours:?}"), by_clap(&args));
            }
        }
    }

    #[test]
    fn what_link_writes_is_read_here() {
        let dir = std::path::absolute(Path::new("vault")).unwrap();
        let ids = [VaultId::from_bytes([1; 32]), VaultId::from_bytes([2; 32])];
        for count in 0..=2 {
            let args = line(&resolver_args(&dir, &ids[..count]).unwrap());
            let cli = parse(&args).expect("read without clap");
            assert_eq!(cli.global.vault.as_deref(), Some(dir.as_path()));
            assert_eq!(cli.global.vault_id.len(), count);
        }
    }

    #[test]
    fn what_the_isolated_form_writes_is_read_here_as_by_clap() {
        let args = line(&keeper_args(Path::new("/run/fake/keeper.sock"), 999).unwrap());
        let ours = parse(&args).expect("read without clap");
        let claps = Cli::try_parse_from(&args).unwrap();
        assert_eq!(format!("{ours:?}"), format!("{claps:?}"));
        for last in ["+9", "-1", "x", "99999999999", ""] {
            let mut other = args.clone();
            other.pop();
            other.push(last.into());
            assert!(parse(&other).is_none(), "{last}");
        }
    }

    #[test]
    fn anything_else_is_left_to_clap() {
        for args in [
            &["resolve"][..],
            &["resolve", "--vault"],
            &["resolve", "--vault", "relative"],
            &["resolve", "--vault", "--vault-id", ID],
            &["resolve", "--vault", "/v", "--vault-id"],
            &["resolve", "--vault", "/v", "--vault-id", "short"],
            &["resolve", "--vault", "/v", "--max-output", "9"],
            &["resolve", "--vault", "/v", "--help"],
            &["--vault", "/v", "resolve"],
            &["secret", "--vault", "/v"],
        ] {
            let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
            assert!(parse(&line(&args)).is_none(), "{args:?}");
        }
    }

    /// What such command lines are made of, in any order.
    fn word() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("--vault".to_owned()),
            Just("--vault-id".to_owned()),
            Just("resolve".to_owned()),
            Just(ID.to_owned()),
            Just(ID.to_uppercase()),
            Just("/fake/vault".to_owned()),
            Just("/".to_owned()),
            Just(String::new()),
            "(--)?[a-z/=-]{0,12}",
        ]
    }

    proptest! {
        /// Whatever is read here, clap reads the same way.
        #[test]
        fn both_parsers_agree(
            dir in prop_oneof!["/[ -~]{0,20}", word()],
            pins in proptest::collection::vec(
                prop_oneof![
                    Just(vec!["--vault-id".to_owned(), ID.to_owned()]),
                    proptest::collection::vec(word(), 0..3),
                ],
                0..3,
            ),
        ) {
            let mut args = vec!["resolve".to_owned(), "--vault".to_owned(), dir];
            args.extend(pins.into_iter().flatten());
            let args = line(&args);
            if let Some(ours) = parse(&args) {
                prop_assert_eq!(format!("{ours:?}"), by_clap(&args));
            }
        }

        #[test]
        fn both_parsers_agree_on_models_status(
            vault in proptest::option::of("/[ -~]{0,20}|relative|--json"),
            flags in proptest::collection::vec("--check|--json|--plain|--|check|--probe|--agent", 0..4),
        ) {
            let vault = vault.into_iter().flat_map(|dir| ["--vault".to_owned(), dir]);
            let args = vault.chain(["models".to_owned(), "status".to_owned()]);
            let args = line(&args.chain(flags).collect::<Vec<_>>());
            if let Some(ours) = parse(&args) {
                prop_assert_eq!(format!("{ours:?}"), by_clap(&args));
            }
        }
    }
}
