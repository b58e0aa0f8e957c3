//! Users as the system's database knows them, and the names that hang on them. Ring 2.
//!
//! Promise: a name that came in is one that systemd takes and that is harmless in a path, in a unit's
//! name and in a setting.

use super::text;
use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use std::fmt;
use std::path::{Path, PathBuf};

/// The largest `/etc/passwd` that is read: 1 MiB.
const MAX_PASSWD: usize = 1024 * 1024;

/// A user's name: `[A-Za-z_][A-Za-z0-9_.-]{0,30}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName(String);

impl UserName {
    /// Parses a user's name.
    ///
    /// # Errors
    /// `Usage` when it could not be one that a unit can hold.
    pub fn parse(text: &str) -> Result<Self> {
        let first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
        let rest = |b: u8| first(b) || b.is_ascii_digit() || matches!(b, b'.' | b'-');
        let fits = (1..=31).contains(&text.len())
            && text.bytes().next().is_some_and(first)
            && text.bytes().all(rest);
        if fits {
            Ok(UserName(text.to_owned()))
        } else {
            Err(Error::usage(
                "that is no name of a user that a service can have (letters, digits, _ . -)",
            )
            .hint("id -un"))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: UserName,
    /// The number.
    pub uid: u32,
    /// The number of the first group.
    pub gid: u32,
    /// The home, absolute.
    pub home: PathBuf,
}

/// Which user is looked for.
#[derive(Debug, Clone, Copy)]
pub enum Who<'w> {
    /// By name.
    Name(&'w UserName),
    /// By number.
    Uid(u32),
}

/// Finds a user in `passwd(5)` text.
pub fn find_in(passwd: &str, who: Who<'_>) -> Option<User> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, _] = fields[..] else {
            return None;
        };
        let user = User {
            name: UserName::parse(name).ok()?,
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home: PathBuf::from(home),
        };
        let is_it = match who {
            Who::Name(wanted) => user.name == *wanted,
            Who::Uid(wanted) => user.uid == wanted,
        };
        (is_it && text::path_text(&user.home, "").is_ok()).then_some(user)
    })
}

/// Finds a user in `etc/passwd` below `root`, and on the real system (`root` is `/`) also in what
/// `getent` asks (LDAP, systemd-homed). `None` when there is no such user.
///
/// # Errors
/// `Broken` when the file is not root's.
pub fn find(root: &Path, who: Who<'_>) -> Result<Option<User>> {
    let path = root.join("etc/passwd");
    if let Some(bytes) = file::read(&path, MAX_PASSWD, Privacy::Shared)?
        && let Some(user) = find_in(&String::from_utf8_lossy(&bytes), who)
    {
        return Ok(Some(user));
    }
    if root != Path::new("/") {
        return Ok(None);
    }
    let key = match who {
        Who::Name(name) => name.to_string(),
        Who::Uid(uid) => uid.to_string(),
    };
    let out = std::process::Command::new("/usr/bin/getent")
        .args(["passwd", "--", &key])
        .env_clear()
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .output();
    Ok(out.ok().and_then(|out| {
        let text = String::from_utf8_lossy(&out.stdout[..out.stdout.len().min(MAX_PASSWD)]);
        find_in(&text, who)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn users_are_found_by_name_and_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken line\nrel:x:5:5::home:/bin/sh\n\
                      j.doe:x:1001:100:J,,,:/home/j.doe:/bin/bash\n";
        let name = UserName::parse("j.doe").unwrap();
        let user = find_in(passwd, Who::Name(&name)).unwrap();
        assert_eq!((user.uid, user.gid), (1001, 100));
        assert_eq!(find_in(passwd, Who::Uid(1001)), Some(user));
        assert_eq!(find_in(passwd, Who::Uid(7)), None);
        assert_eq!(find_in(passwd, Who::Uid(5)), None, "a home that is no path");
    }

    #[test]
    fn names_that_would_be_something_else_in_a_unit_are_refused() {
        for name in [
            "", "-x", "a b", "a/b", "..", "a%i", "a\nb", "0", "ü", "x$", "a@b",
        ] {
            assert!(UserName::parse(name).is_err(), "{name}");
        }
        assert!(UserName::parse("_gateway-1.x").is_ok());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(\\PC|[:\n/0-9]){0,120}") {
            let _ = find_in(&text, Who::Uid(0));
            let _ = UserName::parse(&text);
        }
    }
}
