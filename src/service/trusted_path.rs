//! Whether a path leads, whoever tries, to the same program of root's. Ring 2.
//!
//! Source of the attack: a program that root or another user's service will run is exchanged by who
//! can write the file, a folder above it, or a link on the way.
//!
//! Promise: every folder and link on the way and the file at its end belong to root (or to the one
//! other owner that is allowed) and cannot be written by group or others; a sticky folder such as
//! `/tmp` is refused too. A list of access rights that lets others write shows in the group's bits.

use crate::error::{Error, Result};
#[cfg(unix)]
use std::path::Component;
use std::path::{Path, PathBuf};

/// The most links that are followed on the way: Linux's own bound.
#[cfg(unix)]
const MAX_LINKS: u32 = 40;

/// What must stand at the end of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A regular file that can be run.
    Program,
    /// A folder.
    Folder,
}

/// The real path of `path`, when only root can change where it leads and what is there.
///
/// # Errors
/// `Missing` when it is not there; `Failed` with the first component that another user can change.
pub fn check(path: &Path, end: End) -> Result<PathBuf> {
    check_for(path, end, 0)
}

/// The same, where the user `owner` is trusted beside root.
///
/// # Errors
/// As [`check`].
#[cfg(unix)]
pub fn check_for(path: &Path, end: End, owner: u32) -> Result<PathBuf> {
    if !path.is_absolute() {
        return Err(Error::failed(format!("{} is not absolute", path.display())));
    }
    let mut real = PathBuf::from("/");
    look(&real, owner)?;
    // What is still to go, the next component last.
    let mut rest: Vec<Part> = parts(path);
    let mut links = 0;
    while let Some(part) = rest.pop() {
        let name = match part {
            Part::Up => {
                real.pop();
                continue;
            }
            Part::Name(name) => name,
        };
        real.push(name);
        if !look(&real, owner)? {
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(Error::failed(format!(
                "{} goes through more than {MAX_LINKS} links",
                path.display()
            )));
        }
        let target = std::fs::read_link(&real).map_err(|error| Error::io("read", &real, &error))?;
        if target.is_absolute() {
            real = PathBuf::from("/");
        } else {
            real.pop();
        }
        rest.extend(parts(&target));
    }
    let meta =
        std::fs::symlink_metadata(&real).map_err(|error| Error::io("find", &real, &error))?;
    let fits = match end {
        End::Program => {
            use std::os::unix::fs::PermissionsExt;
            meta.is_file() && meta.permissions().mode() & 0o111 != 0
        }
        End::Folder => meta.is_dir(),
    };
    if fits {
        Ok(real)
    } else {
        Err(Error::failed(format!(
            "{} is no {}",
            real.display(),
            match end {
                End::Program => "program",
                End::Folder => "folder",
            }
        )))
    }
}

/// The same, where the user `owner` is trusted beside root.
///
/// # Errors
/// `Failed`: other systems have no such services.
#[cfg(not(unix))]
pub fn check_for(path: &Path, _: End, _: u32) -> Result<PathBuf> {
    Err(Error::failed(format!(
        "nothing here can tell who may change {}",
        path.display()
    )))
}

#[cfg(unix)]
enum Part {
    Up,
    Name(std::ffi::OsString),
}

#[cfg(unix)]
fn parts(path: &Path) -> Vec<Part> {
    let mut parts: Vec<Part> = path
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(Part::Name(name.to_owned())),
            Component::ParentDir => Some(Part::Up),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        })
        .collect();
    parts.reverse();
    parts
}

/// Looks at one component; whether it is a link.
#[cfg(unix)]
fn look(path: &Path, owner: u32) -> Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::symlink_metadata(path).map_err(|error| Error::io("find", path, &error))?;
    let said = path.display();
    let typed = crate::error::typed(path);
    if meta.uid() != 0 && meta.uid() != owner {
        return Err(Error::failed(format!(
            "{said} belongs to another user, who could change what is run"
        ))
        .hint(format!("ls -ld {typed}")));
    }
    let is_link = meta.file_type().is_symlink();
    // A link's own mode says nothing; its folder was looked at.
    if !is_link && meta.mode() & 0o022 != 0 {
        return Err(Error::failed(format!(
            "{said} may be written by others, who could change what is run"
        ))
        .hint(format!("ls -ld {typed}")));
    }
    Ok(is_link)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    fn me() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn mode(path: &Path, bits: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(bits)).unwrap();
    }

    /// A folder below one that only root, or whoever runs the tests, can change.
    fn place() -> Option<tempfile::TempDir> {
        let below = option_env!("CARGO_MANIFEST_DIR").map(Path::new)?;
        check_for(below, End::Folder, me()).ok()?;
        let dir = tempfile::Builder::new()
            .prefix(".trusted-")
            .tempdir_in(below)
            .unwrap();
        mode(dir.path(), 0o755);
        Some(dir)
    }

    fn program(path: &Path) {
        crate::file::create(path, b"#!/bin/sh\n", 0o755).unwrap();
    }

    #[test]
    fn the_systems_own_programs_are_trusted_also_through_its_links() {
        let real = check(Path::new("/bin/../bin/sh"), End::Program).unwrap();
        assert!(real.is_file() && !real.is_symlink(), "{}", real.display());
        check(Path::new("/usr/bin"), End::Folder).unwrap();
        assert!(check(Path::new("/usr/bin"), End::Program).is_err());
        assert!(check(Path::new("bin/sh"), End::Program).is_err());
        assert!(check(Path::new("/etc/passwd"), End::Program).is_err());
    }

    #[test]
    fn a_folder_for_everybody_is_not_trusted_sticky_or_not() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let path = dir.path().join("program");
        program(&path);
        let said = check_for(&path, End::Program, me()).unwrap_err();
        assert_eq!(
            said.message(),
            "/tmp may be written by others, who could change what is run"
        );
    }

    #[test]
    fn every_part_of_the_way_counts() {
        let Some(dir) = place() else { return };
        let sub = dir.path().join("sub");
        std::fs::create_dir(&sub).unwrap();
        mode(&sub, 0o755);
        let path = sub.join("program");
        program(&path);
        check_for(&path, End::Program, me()).unwrap();
        for (open, bits, again) in [
            (&sub, 0o775, 0o755),
            (&sub, 0o1777, 0o755),
            (&path, 0o757, 0o755),
            (&path, 0o775, 0o755),
            (&path, 0o644, 0o755),
        ] {
            mode(open, bits);
            assert!(check_for(&path, End::Program, me()).is_err(), "{bits:o}");
            mode(open, again);
        }
        check_for(&path, End::Program, me()).unwrap();
    }

    #[test]
    fn a_link_is_as_good_as_what_it_goes_through() {
        let Some(dir) = place() else { return };
        let open = dir.path().join("open");
        std::fs::create_dir(&open).unwrap();
        let path = dir.path().join("program");
        program(&path);
        mode(&open, 0o755);
        symlink(&path, open.join("link")).unwrap();
        let real = check_for(&open.join("link"), End::Program, me()).unwrap();
        assert_eq!(real, path);
        // From now on anybody could turn that link.
        mode(&open, 0o777);
        symlink("open/link", dir.path().join("outer")).unwrap();
        assert!(check_for(&dir.path().join("outer"), End::Program, me()).is_err());
        symlink("loop", dir.path().join("loop")).unwrap();
        let said = check_for(&dir.path().join("loop"), End::Program, me()).unwrap_err();
        assert!(said.message().contains("more than 40 links"), "{said}");
        let said = check_for(&dir.path().join("none"), End::Program, me()).unwrap_err();
        assert_eq!(said.kind(), crate::error::Kind::Missing);
    }

    #[test]
    fn another_users_program_folder_or_link_is_refused() {
        let Some(dir) = place() else { return };
        // Only root can give files away.
        if me() != 0 {
            return;
        }
        let sub = dir.path().join("sub");
        std::fs::create_dir(&sub).unwrap();
        mode(&sub, 0o755);
        let path = sub.join("program");
        program(&path);
        check(&path, End::Program).unwrap();
        chown(&path, Some(54321), None).unwrap();
        assert!(check(&path, End::Program).is_err());
        check_for(&path, End::Program, 54321).unwrap();
        chown(&path, Some(0), None).unwrap();
        chown(&sub, Some(54321), None).unwrap();
        assert!(check(&path, End::Program).is_err());
        chown(&sub, Some(0), None).unwrap();
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        check(&link, End::Program).unwrap();
        std::os::unix::fs::lchown(&link, Some(54321), None).unwrap();
        assert!(check(&link, End::Program).is_err());
    }
}
