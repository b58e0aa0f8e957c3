//! OpenClaw's version, and what a version can do. Knows nothing of where it is installed.
//!
//! Sources: OpenClaw's changelog and shipped code, and runs of 2026.2.6-3, 2.26, 6.1, 6.5, 6.11,
//! 7.1, 8.2 and 9.6. Where the exact release of a change is not known, the question says which side
//! of it is safe, and answers for that side.

use crate::error::{Error, Result};
use std::cmp::Ordering;
use std::fmt;

/// A release: `year.month.number`, then nothing, a correction `-3`, or a prerelease `-beta.5`.
///
/// Unlike semver, `2026.2.6-3` comes after `2026.2.6`: OpenClaw numbers its corrections so.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version {
    base: (u32, u32, u32),
    stage: Stage,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Stage {
    /// `-beta.5`: the word, the number (0 without one).
    Before(String, u32),
    Release,
    /// `-3`.
    Correction(u32),
}

/// How refs reach OpenClaw's profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// By `auth-profiles.json`, which this version reads and writes.
    File,
    /// By a plan for `openclaw secrets apply`: this version keeps profiles in its database.
    Plan,
}

/// Where an agent's explicit order of profiles lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderHome {
    /// `order` in `auth-profiles.json`.
    AuthProfiles,
    /// `order` in `auth-state.json`.
    AuthState,
    /// In the database: `openclaw models auth order set`.
    Cli,
}

impl Version {
    /// Reads `2026.9.6`, `v2026.2.6-3`, `2026.7.2-beta.5`, or the line that `--version` prints:
    /// `OpenClaw 2026.9.6 (eb377ac)`.
    ///
    /// # Errors
    /// `Broken`, without repeating the input.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let text = text.strip_prefix("OpenClaw ").unwrap_or(text);
        let word = text.split_whitespace().next().unwrap_or_default();
        let word = word.strip_prefix('v').unwrap_or(word);
        // Build metadata says nothing about what the program can do.
        let word = word.split('+').next().unwrap_or_default();
        let (base, stage) = match word.split_once('-') {
            None => (word, Some(Stage::Release)),
            Some((base, stage)) => (base, parse_stage(stage)),
        };
        let mut parts = base.split('.').map(number);
        match (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            stage,
        ) {
            (Some(Some(year)), Some(Some(month)), Some(Some(day)), None, Some(stage)) => {
                Ok(Version {
                    base: (year, month, day),
                    stage,
                })
            }
            _ => Err(Error::broken(
                "OpenClaw's version is not of the form 2026.9.6",
            )),
        }
    }

    fn at_least(&self, year: u32, month: u32, day: u32) -> bool {
        (self.base, &self.stage) >= ((year, month, day), &Stage::Release)
    }

    /// Whether it knows refs at all: from 2026.2.26.
    pub fn has_refs(&self) -> bool {
        self.at_least(2026, 2, 26)
    }

    /// How refs reach its profiles. 2026.6.1 and its corrections are the last that read
    /// auth-profiles.json; what comes after counts as the plan lane, prereleases too: a live-looking
    /// file beside a version that refuses or ignores it does harm, a plan does not.
    pub fn lane(&self) -> Lane {
        if self.base <= (2026, 6, 1) {
            Lane::File
        } else {
            Lane::Plan
        }
    }

    /// Where order lies: auth-state.json is absent in 2026.4.5 and there in 2026.4.7.
    pub fn order_home(&self) -> OrderHome {
        match self.lane() {
            Lane::Plan => OrderHome::Cli,
            Lane::File if self.base <= (2026, 4, 6) => OrderHome::AuthProfiles,
            Lane::File => OrderHome::AuthState,
        }
    }

    /// Whether plans for `secrets apply` may name auth profiles: from 2026.3.2.
    pub fn takes_profile_plans(&self) -> bool {
        self.at_least(2026, 3, 2)
    }

    /// Whether `secrets audit` and `secrets apply` know `--allow-exec`: absent in 2026.3.2, there
    /// in 2026.4.5. A version between is not given the flag: an unknown option ends the command,
    /// a missing one only leaves refs unchecked.
    pub fn takes_allow_exec(&self) -> bool {
        self.at_least(2026, 4, 5)
    }

    /// Whether `gateway.auth.token` may be a ref: from 2026.3.7 (its changelog). Before, a ref there
    /// makes the whole configuration invalid.
    pub fn takes_gateway_ref(&self) -> bool {
        self.at_least(2026, 3, 7)
    }

    /// Whether it has `config validate`: seen in 2026.6.1 and later, not looked for before.
    pub fn validates_config(&self) -> bool {
        self.at_least(2026, 6, 1)
    }

    /// Whether a provider with one profile is better served by a ref in `openclaw.json`: after
    /// 2026.7.1. In some release between 2026.7.1 and 2026.8.2 `models status --check` began to
    /// answer 1 for profile refs; a config ref answers 0 on either side of that release, so every
    /// later one counts as new, prereleases of 2026.7.2 too.
    pub fn prefers_config_refs(&self) -> bool {
        self.base > (2026, 7, 1)
    }

    /// What a version without refs leaves open.
    ///
    /// # Errors
    /// `Failed` before 2026.2.26, with what that version cannot do.
    pub fn require_refs(&self) -> Result<()> {
        if self.has_refs() {
            return Ok(());
        }
        Err(Error::failed(format!(
            "OpenClaw {self} cannot use a vault: secret refs came with 2026.2.26, before that its \
             files hold every credential in plaintext and only environment variables keep one out \
             of them"
        ))
        .hint("npm install -g openclaw@latest"))
    }
}

fn number(text: &str) -> Option<u32> {
    // `parse` alone would take a leading plus.
    text.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
    text.parse().ok()
}

fn parse_stage(text: &str) -> Option<Stage> {
    if let Some(number) = number(text) {
        return Some(Stage::Correction(number));
    }
    let (word, rest) = text.split_once('.').unwrap_or((text, "0"));
    let is_word =
        !word.is_empty() && word.len() <= 16 && word.bytes().all(|b| b.is_ascii_lowercase());
    is_word.then_some(())?;
    let first = rest.split('.').next().unwrap_or_default();
    Some(Stage::Before(word.to_owned(), number(first)?))
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.base, &self.stage).cmp(&(other.base, &other.stage))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.base;
        write!(f, "{year}.{month}.{day}")?;
        match &self.stage {
            Stage::Release => Ok(()),
            Stage::Correction(number) => write!(f, "-{number}"),
            Stage::Before(word, number) => write!(f, "-{word}.{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn versions_are_ordered_as_they_were_released() {
        let ordered = [
            "2026.2.6",
            "2026.2.6-3",
            "2026.2.25",
            "2026.2.26-beta.1",
            "2026.2.26",
            "2026.6.1",
            "2026.6.11",
            "2026.7.2-alpha.9",
            "2026.7.2-beta.5",
            "2026.7.2-beta.10",
            "2026.7.2",
            "2026.10.1",
            "2027.1.1",
        ];
        for pair in ordered.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn every_printed_form_is_read() {
        for (text, plain) in [
            ("OpenClaw 2026.9.6 (eb377ac)\n", "2026.9.6"),
            ("2026.2.26", "2026.2.26"),
            ("v2026.2.6-3", "2026.2.6-3"),
            ("2026.7.2-beta.5+build", "2026.7.2-beta.5"),
        ] {
            assert_eq!(version(text).to_string(), plain);
        }
        for bad in [
            "",
            "2026.9",
            "2026.9.6.1",
            "2026.9.x",
            "latest",
            "2026.+9.6",
            "2026.9.6-",
            "2026.9.6-BETA",
            "99999999999.1.1",
        ] {
            let said = Version::parse(bad).unwrap_err();
            assert!(bad != "latest" || !said.message().contains(bad), "{bad}");
        }
    }

    #[test]
    fn a_version_can_do_what_its_release_could() {
        use Lane::{File, Plan};
        use OrderHome::{AuthProfiles, AuthState, Cli};
        let table = [
            // version, refs, lane, order, profile plans, --allow-exec, config refs
            ("2026.2.25", false, File, AuthProfiles, false, false, false),
            ("2026.2.26", true, File, AuthProfiles, false, false, false),
            ("2026.3.2", true, File, AuthProfiles, true, false, false),
            ("2026.4.5", true, File, AuthProfiles, true, true, false),
            ("2026.4.7", true, File, AuthState, true, true, false),
            ("2026.6.1", true, File, AuthState, true, true, false),
            ("2026.6.1-2", true, File, AuthState, true, true, false),
            ("2026.6.2-beta.1", true, Plan, Cli, true, true, false),
            ("2026.6.5", true, Plan, Cli, true, true, false),
            ("2026.7.1", true, Plan, Cli, true, true, false),
            ("2026.7.2-beta.5", true, Plan, Cli, true, true, true),
            ("2026.8.2", true, Plan, Cli, true, true, true),
            ("2026.9.6", true, Plan, Cli, true, true, true),
        ];
        for (text, refs, lane, order, plans, allow, config) in table {
            let v = version(text);
            assert_eq!(v.has_refs(), refs, "{text}");
            assert_eq!(v.require_refs().is_ok(), refs, "{text}");
            assert_eq!(v.lane(), lane, "{text}");
            assert_eq!(v.order_home(), order, "{text}");
            assert_eq!(v.takes_profile_plans(), plans, "{text}");
            assert_eq!(v.takes_allow_exec(), allow, "{text}");
            assert_eq!(v.prefers_config_refs(), config, "{text}");
            assert_eq!(v.takes_gateway_ref(), allow, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_printed_and_read_again(text in "\\PC{0,24}", n in 0u32..99) {
            for text in [text, format!("2026.{n}.{n}-{n}"), format!("2026.1.{n}-rc.{n}")] {
                if let Ok(v) = Version::parse(&text) {
                    prop_assert_eq!(version(&v.to_string()), v);
                }
            }
        }
    }
}
