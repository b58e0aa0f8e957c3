//! What keeps more than a scan can see: file systems with snapshots, what editors leave, what is
//! compressed.

use std::path::Path;

/// The file systems that keep old blocks where no file shows them, by statfs(2)'s number.
#[cfg(target_os = "linux")]
const SNAPSHOTTING: &[(u64, &str)] = &[
    (0x9123_683e, "btrfs"),
    (0x2fc1_2fc1, "zfs"),
    (0xca45_1a4e, "bcachefs"),
    (0x3434, "nilfs2"),
    // An image's layers below, and those of other containers.
    (0x794c_7630, "overlayfs"),
    // Snapshots are the server's affair.
    (0x6969, "nfs"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x00c3_6400, "ceph"),
    (0x6573_5546, "fuse"),
];

/// The file systems that are no files on a disk: what reads them can wait for ever.
#[cfg(target_os = "linux")]
const NO_FILES: &[u64] = &[
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x1cd1,      // devpts
    0xcafe_4a11, // bpf
];

/// What a file system is to a scan.
#[cfg(unix)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Files, as far as is known.
    Files,
    /// Files, and older copies that no file shows.
    Snapshots(&'static str),
    /// The kernel's own.
    NoFiles,
}

/// The kind of the file system with this number.
#[cfg(target_os = "linux")]
pub(super) fn kind_of(number: u64) -> Kind {
    // The type is signed and has 32 bits on some machines.
    let number = number & 0xffff_ffff;
    if NO_FILES.contains(&number) {
        return Kind::NoFiles;
    }
    SNAPSHOTTING
        .iter()
        .find(|(known, _)| *known == number)
        .map_or(Kind::Files, |(_, name)| Kind::Snapshots(name))
}

/// The kind of the file system that an open file or folder lies on.
#[cfg(target_os = "linux")]
#[allow(
    clippy::unnecessary_cast,
    clippy::cast_sign_loss,
    reason = "the number has other types on other machines"
)]
pub(super) fn file_system(handle: &std::os::fd::OwnedFd) -> Kind {
    rustix::fs::fstatfs(handle).map_or(Kind::Files, |stat| kind_of(stat.f_type as u64))
}

/// The kind of the file system that an open file or folder lies on.
#[cfg(all(unix, not(target_os = "linux")))]
pub(super) fn file_system(_: &std::os::fd::OwnedFd) -> Kind {
    if cfg!(target_os = "macos") {
        Kind::Snapshots("apfs")
    } else {
        Kind::Files
    }
}

/// Whether an editor leaves files of that name: swap, undo, backup and autosave files of vim, nano,
/// Emacs, Kate and joe.
pub(super) fn is_editors(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    let Some((_, end)) = name.rsplit_once('.') else {
        return name.ends_with('~') || is_autosave(name);
    };
    // .x.swp, .x.swo, … down to .x.saa; and those of a buffer without a name.
    let is_swap = match name.strip_prefix('.') {
        Some("swp" | "swo") => true,
        Some(rest) => {
            rest.contains('.') && matches!(end.as_bytes(), [b's', b'a'..=b'w', b'a'..=b'z'])
        }
        None => false,
    };
    is_swap
        || name.ends_with('~')
        || is_autosave(name)
        || matches!(end, "kate-swp" | "save" | "DEADJOE")
}

fn is_autosave(name: &str) -> bool {
    name.len() > 2 && name.starts_with('#') && name.ends_with('#')
}

/// Whether a file with this beginning is compressed or an archive of what is.
pub(super) fn is_compressed(head: &[u8]) -> bool {
    const STARTS: [&[u8]; 8] = [
        b"\x1f\x8b",
        b"\x28\xb5\x2f\xfd",
        b"\xfd7zXZ\0",
        b"BZh",
        b"PK\x03\x04",
        b"7z\xbc\xaf\x27\x1c",
        b"\x04\x22\x4d\x18",
        b"Rar!\x1a\x07",
    ];
    STARTS.iter().any(|start| head.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_editors_leave_is_known_by_its_name() {
        for name in [
            ".env.swp",
            ".swp",
            ".env.swo",
            ".x.saa",
            ".env.un~",
            "notes~",
            "#notes#",
            ".env.kate-swp",
            "a.save",
        ] {
            assert!(is_editors(Path::new(name)), "{name}");
        }
        for name in [
            ".env",
            "a.swp",
            "#",
            "##",
            "openclaw.json.bak",
            "x.sql",
            ".sas",
            "a#",
        ] {
            assert!(!is_editors(Path::new(name)), "{name}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn file_systems_are_known_by_their_number() {
        assert_eq!(kind_of(0x9123_683e), Kind::Snapshots("btrfs"));
        assert_eq!(kind_of(0xffff_ffff_9123_683e), Kind::Snapshots("btrfs"));
        assert_eq!(kind_of(0x9fa0), Kind::NoFiles);
        assert_eq!(kind_of(0xef53), Kind::Files);
    }
}
