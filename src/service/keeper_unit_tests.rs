//! What a rendered unit says when it is read again, by our reader and by systemd's own tools.

use super::*;
use crate::service::text::{Setting, Specifiers, expand, settings, words};
use proptest::prelude::*;

fn user() -> User {
    User {
        name: UserName::parse("fake").unwrap(),
        uid: 1000,
        gid: 1000,
        home: PathBuf::from("/home/fake"),
    }
}

fn units(vault: &str) -> [KeeperUnit; 3] {
    let credential = PathBuf::from("/etc/clawkeep/fake.cred");
    let forms = [
        Form::OfUser {
            runtime: PathBuf::from("/run/user/1000"),
        },
        Form::OfSystem {
            user: user(),
            credential: credential.clone(),
        },
        Form::Isolated {
            user: user(),
            keeper: UserName::parse("clawkeep-fake").unwrap(),
            credential,
            gateway_unit: "openclaw-gateway-fake.service".to_owned(),
        },
    ];
    forms.map(|form| KeeperUnit {
        // A program that is everywhere: systemd's tools look whether it can be run.
        program: PathBuf::from("/bin/sh"),
        vault: PathBuf::from(vault),
        form,
    })
}

fn all<'s>(settings: &'s [Setting], name: &str) -> Vec<&'s str> {
    settings
        .iter()
        .filter(|setting| setting.name == name)
        .map(|setting| setting.value.as_str())
        .collect()
}

/// The words of a setting as the manager will take them.
fn plain(value: &str) -> Vec<String> {
    let known = Specifiers {
        home: "/home/fake",
        user: "fake",
        uid: 1000,
        runtime: "/run/user/1000",
    };
    let mut words: Vec<String> = words(value)
        .unwrap()
        .iter()
        .map(|word| expand(word, &known).unwrap())
        .collect();
    if let Some(program) = words[0].strip_prefix(':') {
        words[0] = program.to_owned();
    }
    words
}

#[test]
fn the_three_forms_as_texts() {
    let texts: Vec<String> = units("/home/fake/.local/share/clawkeep")
        .iter()
        .map(|unit| {
            format!(
                "=== {} {}\n{}",
                unit.name(),
                unit.socket().display(),
                unit.render().unwrap()
            )
        })
        .collect();
    insta::assert_snapshot!("keeper_units", texts.join("\n"));
}

#[test]
fn a_vault_outside_the_home_is_the_only_thing_that_can_be_written() {
    let [_, system, _] = units("/srv/vault");
    let text = system.render().unwrap();
    assert!(text.contains("\nProtectHome=yes\nReadWritePaths=/srv/vault\n"));
    assert!(!text.contains("BindPaths"));
}

#[test]
fn nothing_in_a_path_adds_a_setting() {
    for vault in ["/v\nExecStartPre=/bin/evil", "/v\u{85}x", "/v\0", "v"] {
        for unit in units(vault) {
            assert!(unit.render().is_err());
        }
    }
}

/// `systemd-analyze` of this machine on a unit; `None` where it is not there.
fn analyze(args: &[&str], unit: &KeeperUnit) -> Option<std::process::Output> {
    let tool = Path::new("/usr/bin/systemd-analyze");
    if !tool.is_file() {
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(unit.name());
    let text = unit.render().unwrap();
    crate::file::create(&path, text.as_bytes(), 0o644).unwrap();
    let out = std::process::Command::new(tool)
        .args(args)
        .arg(&path)
        .output();
    Some(out.unwrap())
}

#[test]
fn systemd_understands_every_setting() {
    for vault in ["/home/fake/vault", "/srv/it's 100% \"my\" $HOME \\ vault;"] {
        for unit in units(vault) {
            let Some(out) = analyze(&["verify", "--man=no", "--recursive-errors=no"], &unit) else {
                return;
            };
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            // Of what this machine itself lacks it may complain; not of anything in our file.
            let ours: Vec<&str> = said
                .lines()
                .filter(|line| line.contains("clawkeep-keeper"))
                .collect();
            assert!(ours.is_empty(), "{ours:?}");
        }
    }
}

#[test]
fn the_systems_units_are_closed_as_far_as_systemd_can() {
    let [_, at_rest, isolated] = units("/home/fake/vault");
    for unit in [at_rest, isolated] {
        let args = ["security", "--offline=true", "--no-pager", "--threshold=10"];
        let Some(out) = analyze(&args, &unit) else {
            return;
        };
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        let level: f32 = said
            .lines()
            .find_map(|line| {
                line.split_once("Overall exposure level for ")?
                    .1
                    .split(": ")
                    .nth(1)
            })
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or_else(|| panic!("{said}"));
        assert!(level <= 1.0, "{}: {level}\n{said}", unit.name());
    }
}

proptest! {
    /// Whatever the vault's path holds, the keeper is started with it, and may write there.
    #[test]
    fn the_vault_comes_back_from_the_unit(tail in "[^\\p{Cc}/]{1,40}") {
        let vault = format!("/srv/{tail}");
        for unit in units(&vault) {
            let text = unit.render().unwrap();
            let settings = settings(&text).unwrap();
            let command = all(&settings, "ExecStart");
            prop_assert_eq!(command.len(), 1);
            let words = plain(command[0]);
            let at = words.iter().position(|word| word == "--vault").unwrap();
            prop_assert_eq!(&words[at + 1], &vault);
            for folder in all(&settings, "ReadWritePaths") {
                prop_assert_eq!(plain(folder), [vault.clone()]);
            }
        }
    }
}

/// `BindPaths=` takes a path apart at a colon, quoted or not: what another user's folder is called must
/// not choose where it appears.
#[test]
fn a_vault_with_a_colon_in_its_path_is_refused_where_it_would_be_taken_apart() {
    let [of_user, system, isolated] = units("/home/fake/v:/etc");
    let error = system.render().unwrap_err();
    assert!(error.message().contains("colon"), "{error}");
    assert!(of_user.render().is_ok() && isolated.render().is_ok());
    let [_, system, _] = units("/srv/v:x");
    assert!(system.render().is_ok());
}
