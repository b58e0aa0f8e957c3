//! The one command line that `link` writes into OpenClaw's configuration, read without clap. Ring 4.
//!
//! OpenClaw calls it at nearly every command, and building clap's tree of all commands takes 0.16 of
//! the 1.45 ms that one `resolve` from a small vault takes as a whole process. Promise: exactly what
//! [`super::pins::resolver_args`] writes is read here, with the same outcome as by clap; everything
//! else is left to clap, its errors included.

use super::args::{Cli, Command, Global, Resolve};
use crate::openclaw::exec::LARGEST_MAX_OUTPUT;
use crate::vault::id::VaultId;
use std::ffi::OsString;
use std::path::PathBuf;

/// `PROGRAM resolve --vault DIR [--vault-id ID]…` with an absolute DIR and well-formed IDs, or `PROGRAM
/// resolve --keeper SOCKET --keeper-user UID` with an absolute SOCKET; `None` for any other command line.
/// The first argument is the program's own name.
pub fn parse(args: &[OsString]) -> Option<Cli> {
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

fn resolve(vault: Option<PathBuf>, vault_id: Vec<String>, keeper: Option<(PathBuf, u32)>) -> Cli {
    let (keeper, keeper_user) = keeper.unzip();
    Cli {
        global: Global {
            vault,
            vault_id,
            passphrase_file: None,
            accept_rollback: false,
            non_interactive: false,
        },
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
                let claps = Cli::try_parse_from(&args);
                prop_assert_eq!(
                    format!("{ours:?}"),
                    claps.map_or_else(|error| error.to_string(), |cli| format!("{cli:?}"))
                );
            }
        }
    }
}
