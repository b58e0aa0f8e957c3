//! Whose a file or folder is, for root, who looks after those of others. Ring 1.

use crate::error::{Error, Result};
use std::path::Path;

/// The user that a file or folder belongs to; `None` when it is not there, or is a link.
#[cfg(unix)]
pub fn owner(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::symlink_metadata(path).ok()?;
    (!meta.file_type().is_symlink()).then(|| meta.uid())
}

/// Whether a file is one that root made: root's, with one name, and writable by nobody else.
#[cfg(unix)]
pub fn is_roots_alone(meta: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    meta.uid() == 0 && meta.nlink() == 1 && meta.mode() & 0o022 == 0
}

/// There is no root.
#[cfg(not(unix))]
pub fn is_roots_alone(_: &std::fs::Metadata) -> bool {
    false
}

/// Users have no numbers here.
#[cfg(not(unix))]
pub fn owner(_: &Path) -> Option<u32> {
    None
}

/// Whether nobody but root can put another folder in the place of `dir`: every folder above it is
/// root's, and none of them can be written by others (a sticky one keeps what is root's).
///
/// # Errors
/// `Failed`, naming the folder that others could exchange.
#[cfg(unix)]
pub fn only_root_moves(dir: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let mut sticky_allowed = false;
    for above in dir.ancestors().skip(1) {
        let meta =
            std::fs::symlink_metadata(above).map_err(|error| Error::io("open", above, &error))?;
        let is_open = meta.mode() & 0o022 != 0;
        let is_sticky = meta.mode() & 0o1000 != 0;
        let fits = meta.is_dir() && meta.uid() == 0 && (!is_open || is_sticky && sticky_allowed);
        if !fits {
            return Err(Error::failed(format!(
                "root does nothing in {}: others than root could put another folder in its place",
                dir.display()
            ))
            .hint("as the vault's own user: clawkeep keeper arm"));
        }
        // What lies in a sticky folder is root's from here on: its owner alone can move it.
        sticky_allowed = true;
    }
    Ok(())
}

/// There is no root.
///
/// # Errors
/// Always.
#[cfg(not(unix))]
pub fn only_root_moves(_: &Path) -> Result<()> {
    Err(Error::failed("there is no root on this system"))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_that_others_could_exchange_is_none_for_root() {
        let top = tempfile::tempdir().unwrap();
        if !rustix::process::geteuid().is_root() {
            assert!(only_root_moves(&top.path().join("vault")).is_err());
            return;
        }
        let above = top.path().join("above");
        let dir = above.join("vault");
        std::fs::create_dir_all(&dir).unwrap();
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(top.path(), 0o755);
        mode(&above, 0o755);
        only_root_moves(&dir).unwrap();
        for open in [0o775, 0o757, 0o1777] {
            mode(&above, open);
            assert!(only_root_moves(&dir).is_err(), "{open:o}");
        }
        mode(&above, 0o755);
        std::os::unix::fs::chown(&above, Some(65534), None).unwrap();
        assert!(only_root_moves(&dir).is_err());
    }
}
