//! What a file has beside its bytes and mode, for who puts another in its place: its group, access list,
//! label and what users attached to it. Ring 1.
//!
//! Promises:
//! - what the system lets be carried over is carried over;
//! - where it refuses the group or the access list, the new file has no group bits: nobody gets a right
//!   that he did not have (the bits of a list's mask would become rights of the file's own group);
//! - capabilities and the like, which give a program rights, are never carried over.

use std::fs::File;

/// Gives `new`, which has the mode `mode` and is to take the place of `old`, the attributes of `old`, and
/// syncs it if there was anything to give.
///
/// # Errors
/// As setting a mode and syncing; never for an attribute that the system does not let be set.
#[cfg(unix)]
pub(super) fn carry_over(old: &File, new: &File, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let (theirs, mine) = (old.metadata()?.gid(), new.metadata()?.gid());
    let group = (theirs != mine).then(|| {
        let gid = rustix::fs::Gid::from_raw(theirs);
        rustix::fs::fchown(new, None, Some(gid)).is_ok()
    });
    let attributes = attached::carry_over(old, new);
    if group.is_none() && attributes == attached::Carried::None {
        return Ok(());
    }
    let is_other = group == Some(false) || attributes == attached::Carried::NotTheList;
    let mode = if is_other { mode & !0o070 } else { mode };
    // A list sets the bits of the group as its mask; what was asked for is exact.
    new.set_permissions(std::fs::Permissions::from_mode(mode))?;
    new.sync_all()
}

/// There are none that a new file in the same folder would not inherit.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
pub(super) fn carry_over(_: &File, _: &File, _: u32) -> std::io::Result<()> {
    Ok(())
}

/// Extended attributes, an access list and a label among them.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
mod attached {
    use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr};
    use std::fs::File;

    /// The access list of POSIX, as Linux keeps it.
    const LIST: &[u8] = b"system.posix_acl_access";

    /// More than Linux lets the names of one file's attributes, or one value, be.
    const MOST: usize = 64 * 1024;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum Carried {
        /// There was nothing.
        None,
        /// All, or all but what gives nobody a right.
        Some,
        /// The system refused the access list.
        NotTheList,
    }

    pub(super) fn carry_over(old: &File, new: &File) -> Carried {
        let mut names = vec![0; MOST];
        let Ok(length) = flistxattr(old, names.as_mut_slice()) else {
            return Carried::None;
        };
        let mut carried = Carried::None;
        let mut value = vec![0; MOST];
        let names = names.get(..length).unwrap_or_default();
        for name in names.split(|byte| *byte == 0).filter(|name| goes(name)) {
            let length = fgetxattr(old, name, value.as_mut_slice());
            let bytes = length.ok().and_then(|length| value.get(..length));
            let is_set =
                bytes.is_some_and(|bytes| fsetxattr(new, name, bytes, XattrFlags::empty()).is_ok());
            carried = match carried {
                _ if name == LIST && !is_set => Carried::NotTheList,
                Carried::None => Carried::Some,
                other => other,
            };
        }
        carried
    }

    #[cfg(not(target_vendor = "apple"))]
    fn goes(name: &[u8]) -> bool {
        name == LIST || name == b"security.selinux" || name.starts_with(b"user.")
    }

    #[cfg(target_vendor = "apple")]
    fn goes(name: &[u8]) -> bool {
        !name.is_empty()
    }
}

/// Not asked for on other systems.
#[cfg(all(
    unix,
    not(any(target_os = "linux", target_os = "android", target_vendor = "apple"))
))]
mod attached {
    use std::fs::File;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum Carried {
        None,
        #[allow(dead_code, reason = "elsewhere it is made")]
        NotTheList,
    }

    pub(super) fn carry_over(_: &File, _: &File) -> Carried {
        Carried::None
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use crate::file::{self, mode_of};
    use rustix::fs::{XattrFlags, getxattr, setxattr};
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::{Path, PathBuf};

    fn not_run(why: &str) {
        writeln!(std::io::stderr(), "not run: {why}").unwrap();
    }

    /// Version 2, then (tag, rights, id): the owner rw, user 4242 r, the group none, the mask r, others
    /// none. Source: `include/uapi/linux/posix_acl_xattr.h`.
    fn list() -> Vec<u8> {
        let entries: [(u16, u16, u32); 5] = [
            (0x01, 6, u32::MAX),
            (0x02, 4, 4242),
            (0x04, 0, u32::MAX),
            (0x10, 4, u32::MAX),
            (0x20, 0, u32::MAX),
        ];
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        for (tag, rights, id) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(rights.to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        bytes
    }

    fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
        let mut value = vec![0; 1024];
        let length = getxattr(path, name, value.as_mut_slice()).ok()?;
        value.truncate(length);
        Some(value)
    }

    fn scene(mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings");
        file::create(&path, b"old", mode).unwrap();
        (dir, path)
    }

    /// Both ways in which a file gets another in its place.
    fn written_over(path: &Path, then: impl Fn()) {
        let root = path.parent().unwrap().canonicalize().unwrap();
        file::replace(path, b"new", mode_of(path)).unwrap();
        then();
        let below = file::rooted::Below::of(&root, &root.join("settings")).unwrap();
        let seen = file::rooted::Seen::Bytes(b"new");
        let root = file::rooted::Root::open(&root).unwrap();
        root.write(&below, seen, b"newer", mode_of(path)).unwrap();
        then();
        assert_eq!(std::fs::read(path).unwrap(), b"newer");
    }

    #[test]
    fn a_rewritten_file_keeps_what_was_attached_to_it_and_its_access_list() {
        let (_dir, path) = scene(0o600);
        let none = XattrFlags::empty();
        let given = setxattr(&path, "user.backup", b"no", none)
            .and_then(|()| setxattr(&path, "system.posix_acl_access", &list(), none));
        if let Err(error) = given {
            not_run(&format!("this file system takes no attributes: {error}"));
            return;
        }
        assert_eq!(mode_of(&path), 0o640);
        written_over(&path, || {
            assert_eq!(attribute(&path, "user.backup").unwrap(), b"no");
            assert_eq!(attribute(&path, "system.posix_acl_access").unwrap(), list());
            assert_eq!(mode_of(&path), 0o640);
        });
        // Closed to all others, whatever the list says.
        file::replace(&path, b"closed", 0o600).unwrap();
        assert_eq!(mode_of(&path), 0o600);
    }

    #[test]
    fn a_rewritten_file_keeps_its_group_or_is_closed_to_the_other_one() {
        let (_dir, path) = scene(0o640);
        let mine = std::fs::metadata(&path).unwrap().gid();
        let groups = rustix::process::getgroups().unwrap();
        let mut others: Vec<u32> = groups.iter().map(|gid| gid.as_raw()).collect();
        if rustix::process::geteuid().is_root() {
            others.push(54_321);
        }
        let Some(other) = others.into_iter().find(|gid| *gid != mine) else {
            not_run("this user is in one group alone");
            return;
        };
        std::os::unix::fs::chown(&path, None, Some(other)).unwrap();
        let mode = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(&path, mode).unwrap();
        written_over(&path, || {
            assert_eq!(std::fs::metadata(&path).unwrap().gid(), other);
            assert_eq!(mode_of(&path), 0o640);
        });
    }
}
