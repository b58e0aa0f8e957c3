//! The files of a vault's folder that a backup holds. Ring 3.

use crate::error::{Error, Result};
use crate::provider::AgentId;
use crate::vault::envelope::MAX_FILE;
use std::fmt;
use std::path::{Path, PathBuf};

/// The most bytes of a file that is neither the vault nor an undo bundle.
const MAX_SMALL: usize = 8 << 20;

/// How an age file begins.
const AGE: &[u8] = b"age-encryption.org/v1\n";

/// One file, by its place in the folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// Every value and all that must not be forged.
    VaultAge,
    /// What saves a look into it.
    VaultJson,
    /// Which OpenClaw is linked.
    Link,
    /// `slots/<this>`: the vault's identity, wrapped.
    Slot(String),
    /// `undo/<this>`: what a migration took out of files.
    Undo(String),
    /// An agent's `auth-profiles.json`: profiles, refs, order, expiry.
    Profiles(AgentId),
}

impl Name {
    /// Parses a name as [`fmt::Display`] writes it; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "vault.age" => return Some(Name::VaultAge),
            "vault.json" => return Some(Name::VaultJson),
            "link.json" => return Some(Name::Link),
            _ => {}
        }
        let (folder, file) = text.split_once('/')?;
        match folder {
            "slots" => is_age_file(file).then(|| Name::Slot(file.to_owned())),
            "undo" => is_age_file(file).then(|| Name::Undo(file.to_owned())),
            "agents" => {
                let agent = file.strip_suffix("/auth-profiles.json")?;
                let parsed = AgentId::parse(agent).ok()?;
                (parsed.as_str() == agent).then_some(Name::Profiles(parsed))
            }
            _ => None,
        }
    }

    /// Whether a folder of that name may stand in a backup; `""` is the one that everything is in.
    pub(super) fn is_folder(name: &str) -> bool {
        matches!(name, "" | "slots" | "undo" | "agents")
            || Name::parse(&format!("{name}/auth-profiles.json")).is_some()
    }

    /// The folders above it, outermost first.
    pub(super) fn folders(&self) -> Vec<String> {
        match self {
            Name::VaultAge | Name::VaultJson | Name::Link => Vec::new(),
            Name::Slot(_) => vec!["slots".to_owned()],
            Name::Undo(_) => vec!["undo".to_owned()],
            Name::Profiles(agent) => vec!["agents".to_owned(), format!("agents/{agent}")],
        }
    }

    /// Where it lies in a vault's folder.
    pub fn in_folder(&self, dir: &Path) -> PathBuf {
        dir.join(self.to_string())
    }

    /// The most bytes that it may have.
    pub(super) fn limit(&self) -> usize {
        match self {
            Name::VaultAge | Name::Undo(_) => MAX_FILE,
            Name::Slot(_) => 64 * 1024,
            Name::VaultJson => 1 << 20,
            Name::Link | Name::Profiles(_) => MAX_SMALL,
        }
    }

    /// Refuses bytes that such a file never has.
    ///
    /// # Errors
    /// `Broken`, naming the file.
    pub(super) fn check(&self, bytes: &[u8]) -> Result<()> {
        if bytes.len() > self.limit() {
            return Err(Error::broken(format!(
                "its {self} is larger than {} KiB, the most that clawkeep reads there",
                self.limit() / 1024
            )));
        }
        let is_encrypted = matches!(self, Name::VaultAge | Name::Slot(_) | Name::Undo(_));
        if is_encrypted && !bytes.starts_with(AGE) {
            return Err(Error::broken(format!("its {self} is no age file")));
        }
        Ok(())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::VaultAge => f.write_str("vault.age"),
            Name::VaultJson => f.write_str("vault.json"),
            Name::Link => f.write_str("link.json"),
            Name::Slot(file) => write!(f, "slots/{file}"),
            Name::Undo(file) => write!(f, "undo/{file}"),
            Name::Profiles(agent) => write!(f, "agents/{agent}/auth-profiles.json"),
        }
    }
}

/// `[a-z0-9][a-z0-9-]*(\.[a-z0-9]+)?\.age`, short enough for an archive: the names of slots and undo
/// bundles, staged and kept ones too.
fn is_age_file(file: &str) -> bool {
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_name = |name: &str| {
        name.as_bytes().first().is_some_and(plain)
            && name.as_bytes().iter().all(|b| plain(b) || *b == b'-')
    };
    let Some(stem) = file.strip_suffix(".age").filter(|_| file.len() <= 80) else {
        return false;
    };
    match stem.split_once('.') {
        Some((name, tag)) => is_name(name) && !tag.is_empty() && tag.as_bytes().iter().all(plain),
        None => is_name(stem),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tar;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_a_vault_has_is_a_name() {
        for name in [
            "vault.age",
            "vault.json",
            "link.json",
            "slots/identity-file.age",
            "slots/a.0123456789abcdef.age",
            "undo/20261120-101112-0a1b2c.age",
            "undo/20261120-101112-0a1b2c.keep.age",
            "agents/main/auth-profiles.json",
            "agents/a_b-9/auth-profiles.json",
        ] {
            assert_eq!(Name::parse(name).unwrap().to_string(), name);
        }
        for name in [
            "",
            "vault.lock",
            "keeper.json",
            "keeper.sock",
            "log/releases.jsonl",
            "identity.txt",
            "slots",
            "slots/",
            "slots/.age",
            "slots/a.txt",
            "slots/../vault.age",
            "slots/a/b.age",
            "slots/A.age",
            "slots/a..age",
            "slots/a.b.c.age",
            "/vault.age",
            "./vault.age",
            "agents/Main/auth-profiles.json",
            "agents/../auth-profiles.json",
            "agents/main/other.json",
            "agents//auth-profiles.json",
            "other/vault.age",
        ] {
            assert!(Name::parse(name).is_none(), "{name}");
        }
        for folder in ["", "slots", "undo", "agents", "agents/main"] {
            assert!(Name::is_folder(folder), "{folder}");
        }
        for folder in ["log", "agents/main/x", "agents/..", "slots/a", ".."] {
            assert!(!Name::is_folder(folder), "{folder}");
        }
    }

    proptest! {
        /// What has a name here has room in an archive.
        #[test]
        fn every_name_fits_an_archive(
            file in "[a-z0-9-]{1,90}(\\.[a-z0-9]{1,16})?\\.age",
            agent in "[a-z0-9_-]{1,64}",
            text in "[a-z./]{0,30}",
        ) {
            for name in [format!("slots/{file}"), format!("undo/{file}"), format!("agents/{agent}/auth-profiles.json"), text] {
                if let Some(parsed) = Name::parse(&name) {
                    prop_assert_eq!(parsed.to_string(), name.clone());
                    prop_assert!(tar::is_name(&name), "{}", name);
                    for folder in parsed.folders() {
                        prop_assert!(tar::is_name(&folder) && Name::is_folder(&folder));
                    }
                }
            }
        }
    }
}
