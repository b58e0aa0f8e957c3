//! The monitor's timer, and the service that it starts. Ring 2.
//!
//! Source: systemd.timer(5) and systemd.service(5) of systemd 252. The service is left as open as any
//! program of the user's: what it tells somebody with is the user's own command.

use super::marker::marked;
use super::text::{command_line, path_text, word};
use super::user::{User, UserName};
use crate::error::Result;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// The unit's name without its ending, in a user's own manager.
pub const USER_STEM: &str = "clawkeep-monitor";

/// The unit's name without its ending, in the system's manager for this user's vault.
pub fn system_stem(user: &UserName) -> String {
    format!("{USER_STEM}-{user}")
}

/// The monitor as a timer and a service.
#[derive(Debug, Clone)]
pub struct MonitorUnit {
    /// The program, absolute.
    pub program: PathBuf,
    /// The vault's folder, absolute and without links.
    pub vault: PathBuf,
    /// Between two looks.
    pub every: Duration,
    /// Whose vault, in the system's manager; `None` in the user's own.
    pub of_system: Option<User>,
    /// Variables that say where OpenClaw's files are, with their values: what looks without them looks elsewhere.
    pub places: Vec<(String, String)>,
}

impl MonitorUnit {
    /// The names of both units without their endings.
    pub fn stem(&self) -> String {
        match &self.of_system {
            Some(user) => system_stem(&user.name),
            None => USER_STEM.to_owned(),
        }
    }

    /// The service's text, marked.
    ///
    /// # Errors
    /// `Failed` for a path that no unit can hold.
    pub fn service(&self) -> Result<String> {
        let vault = path_text(&self.vault, "the path of the vault's folder")?;
        let args = ["monitor", "--non-interactive", "--vault", vault].map(str::to_owned);
        let mut unit = format!(
            "[Unit]\nDescription=clawkeep monitor{}: tells when a credential is expired, missing or soon to expire\n\n\
             [Service]\nType=oneshot\nExecStart={}\n",
            self.whose(),
            command_line(&self.program, &args)?
        );
        if let Some(user) = &self.of_system {
            // Where that user's desktop is asked for, when there is one.
            let _ = write!(
                unit,
                "User={}\nEnvironment=XDG_RUNTIME_DIR=/run/user/{}\n",
                user.name, user.uid
            );
        }
        for (name, value) in &self.places {
            let assignment = word(&format!("{name}={value}"), "where OpenClaw's files are")?;
            let _ = writeln!(unit, "Environment={assignment}");
        }
        unit.push_str("TimeoutStartSec=300\nUMask=0077\nLimitCORE=0\nMemorySwapMax=0\nNice=10\n");
        Ok(marked(&unit))
    }

    /// The timer's text, marked: a minute after it starts, and then so long after each look.
    ///
    /// # Errors
    /// None in practice.
    pub fn timer(&self) -> Result<String> {
        Ok(marked(&format!(
            "[Unit]\nDescription=clawkeep monitor{}, from time to time\n\n\
             [Timer]\nOnActiveSec=60\nOnUnitInactiveSec={}\nAccuracySec=60\n\n\
             [Install]\nWantedBy=timers.target\n",
            self.whose(),
            self.every.as_secs()
        )))
    }

    fn whose(&self) -> String {
        self.of_system
            .as_ref()
            .map_or(String::new(), |user| format!(" of {}", user.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::text::{Specifiers, expand, settings, words};
    use proptest::prelude::*;
    use std::path::Path;

    fn units(vault: &str) -> [MonitorUnit; 2] {
        let user = User {
            name: UserName::parse("fake").unwrap(),
            uid: 1000,
            gid: 1000,
            home: PathBuf::from("/home/fake"),
        };
        [None, Some(user)].map(|of_system| MonitorUnit {
            // A program that is everywhere: systemd's tools look whether it can be run.
            program: PathBuf::from("/bin/sh"),
            vault: PathBuf::from(vault),
            every: Duration::from_mins(30),
            of_system,
            places: vec![("OPENCLAW_HOME".to_owned(), "/odd home/%h\"".to_owned())],
        })
    }

    #[test]
    fn systemd_understands_both_units() {
        let tool = Path::new("/usr/bin/systemd-analyze");
        if !tool.is_file() {
            return;
        }
        for vault in ["/home/fake/vault", "/srv/it's 100% \"my\" $HOME \\ vault;"] {
            for unit in units(vault) {
                let dir = tempfile::tempdir().unwrap();
                let mut paths = Vec::new();
                for (end, text) in [
                    ("service", unit.service().unwrap()),
                    ("timer", unit.timer().unwrap()),
                ] {
                    let path = dir.path().join(format!("{}.{end}", unit.stem()));
                    crate::file::create(&path, text.as_bytes(), 0o644).unwrap();
                    paths.push(path);
                }
                let out = std::process::Command::new(tool)
                    .args(["verify", "--man=no", "--recursive-errors=no"])
                    .args(&paths)
                    .output()
                    .unwrap();
                let said = String::from_utf8_lossy(&out.stderr).into_owned();
                // Of what this machine itself lacks it may complain; not of anything in our files.
                let ours: Vec<&str> = said
                    .lines()
                    .filter(|line| line.contains(USER_STEM))
                    .collect();
                assert!(ours.is_empty(), "{ours:?}");
            }
        }
    }

    #[test]
    fn nothing_in_a_path_adds_a_setting() {
        for vault in ["/v\nExecStartPre=/bin/evil", "/v\u{85}x", "/v\0", "v"] {
            for unit in units(vault) {
                assert!(unit.service().is_err());
            }
        }
    }

    proptest! {
        #[test]
        fn the_vault_comes_back_from_the_unit(tail in "[^\\p{Cc}/]{1,40}") {
            let vault = format!("/srv/{tail}");
            let known = Specifiers { home: "/home/fake", user: "fake", uid: 1000, runtime: "/run/user/1000" };
            for unit in units(&vault) {
                let text = unit.service().unwrap();
                let settings = settings(&text).unwrap();
                let commands: Vec<_> = settings.iter().filter(|s| s.name == "ExecStart").collect();
                prop_assert_eq!(commands.len(), 1);
                let words = words(&commands[0].value).unwrap();
                prop_assert_eq!(expand(words.last().unwrap(), &known).unwrap(), vault.clone());
            }
        }
    }
}
