//! The path that OpenClaw runs to resolve refs: OpenClaw's rules for it, and a place that meets
//! them. Knows files; not what the program does.
//!
//! Source of the rules: OpenClaw 2026.2.26 to 2026.9.6, the check before each start of an exec
//! provider: absolute, no link at the end, a regular file, owned by exactly the user that runs
//! OpenClaw (root's files fail for others), not writable by group or others. Folders above it are
//! not looked at there; [`install_copy`] looks at its own.

use crate::error::{Error, Result};
use crate::file::{self, Privacy};
use std::path::{Path, PathBuf};

/// The most bytes that a program to be copied may have: 512 MiB.
const MAX_PROGRAM: usize = 512 * 1024 * 1024;

/// The program's name in `~/.local/bin`.
const NAME: &str = if cfg!(windows) {
    "clawkeep.exe"
} else {
    "clawkeep"
};

/// Whether OpenClaw will run `path`.
///
/// # Errors
/// `Failed` (or `Missing`) with the first rule that it breaks and the command that mends it.
pub fn check(path: &Path) -> Result<()> {
    let said = path.display();
    let typed = crate::error::typed(path);
    let refuse = |what: &str, hint: String| {
        Err(Error::failed(format!("OpenClaw would not run {said}: {what}")).hint(hint))
    };
    let own_copy = || format!("mkdir -p ~/.local/bin && install -m 755 {typed} ~/.local/bin/");
    if !path.is_absolute() {
        return refuse("the path is not absolute", format!("realpath {typed}"));
    }
    let meta = std::fs::symlink_metadata(path).map_err(|error| Error::io("find", path, &error))?;
    if meta.file_type().is_symlink() {
        return refuse("it is a symbolic link", own_copy());
    }
    if !meta.is_file() {
        return refuse("it is not a regular file", format!("ls -ld {typed}"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return refuse("it belongs to another user", own_copy());
        }
        let mode = meta.mode();
        if mode & 0o022 != 0 {
            return refuse("others may write it", format!("chmod go-w {typed}"));
        }
        if mode & 0o100 == 0 {
            return refuse("it is not executable", format!("chmod u+x {typed}"));
        }
    }
    Ok(())
}

/// Whether `path` is likely to vanish or to change under OpenClaw's hands: below a cargo build's
/// folder, a folder for temporary files, or a git checkout. `home` may itself be under git (people
/// keep their settings so) and does not count.
pub fn is_build_folder(path: &Path, home: &Path) -> bool {
    let temporary = [
        "/tmp",
        "/var/tmp",
        "/dev/shm",
        "/private/tmp",
        "/var/folders",
    ];
    let in_temporary =
        temporary.iter().any(|dir| path.starts_with(dir)) || path.starts_with(std::env::temp_dir());
    in_temporary
        || path.ancestors().skip(1).any(|dir| {
            let cargo = dir.join(".rustc_info.json").exists() || dir.join("CACHEDIR.TAG").exists();
            let by_name = matches!(
                dir.file_name().and_then(|name| name.to_str()),
                Some("debug" | "release")
            ) && dir
                .parent()
                .is_some_and(|parent| parent.file_name().is_some_and(|name| name == "target"));
            cargo || by_name || (dir != home && dir.join(".git").exists())
        })
}

/// Puts the program `from` at `<home>/.local/bin/clawkeep`, mode 0755, whole or not at all, in the
/// place of an older copy. Gives the copy's real path, which has passed [`check`].
///
/// # Errors
/// `Failed` when that folder, or what it is a link to, belongs to another user or may be written by
/// others: then anybody could put another program there, which OpenClaw would hand the vault's
/// folder to.
pub fn install_copy(from: &Path, home: &Path) -> Result<PathBuf> {
    let bin = home.join(".local").join("bin");
    make_dirs(&bin)?;
    for dir in [bin.parent().unwrap_or(home), &bin] {
        check_dir(dir)?;
    }
    let real = std::fs::canonicalize(&bin).map_err(|error| Error::io("open", &bin, &error))?;
    let target = real.join(NAME);
    if std::fs::canonicalize(from).is_ok_and(|from| from == target) {
        check(&target)?;
        return Ok(target);
    }
    let program = file::read(from, MAX_PROGRAM, Privacy::Shared)?.ok_or_else(|| {
        Error::missing(format!("cannot copy {}: it does not exist", from.display()))
    })?;
    file::replace(&target, &program, 0o755)?;
    check(&target)?;
    Ok(target)
}

fn make_dirs(dir: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        // Said, not left to the umask: a umask of 002 would make it writable by the group.
        builder.mode(0o755);
    }
    builder
        .create(dir)
        .map_err(|error| Error::io("create", dir, &error))
}

#[cfg(unix)]
fn check_dir(dir: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(dir).map_err(|error| Error::io("open", dir, &error))?;
    let said = dir.display();
    let typed = crate::error::typed(dir);
    if !meta.is_dir() {
        return Err(
            Error::failed(format!("{said} is not a folder")).hint(format!("ls -ld {typed}"))
        );
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(Error::failed(format!(
            "{said} belongs to another user, who could put another program there"
        ))
        .hint(format!("ls -ldL {typed}")));
    }
    if meta.mode() & 0o022 != 0 {
        return Err(Error::failed(format!(
            "{said} may be written by others, who could put another program there"
        ))
        .hint(format!("chmod go-w {typed}")));
    }
    Ok(())
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn check_dir(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        std::fs::symlink_metadata(path)
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    }

    fn refusal(path: &Path) -> String {
        let error = check(path).unwrap_err();
        assert!(error.hint_text().is_some() || error.kind() == crate::error::Kind::Missing);
        error.message().to_owned()
    }

    #[test]
    fn openclaws_rules_are_kept_one_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        file::create(&program, b"#!/bin/sh\n", 0o755).unwrap();
        check(&program).unwrap();
        for (bits, said) in [
            (0o775, "others may write it"),
            (0o757, "others may write it"),
            (0o644, "it is not executable"),
        ] {
            set_mode(&program, bits);
            assert!(refusal(&program).ends_with(said));
        }
        set_mode(&program, 0o700);
        check(&program).unwrap();
        let link = dir.path().join("link");
        symlink(&program, &link).unwrap();
        assert!(refusal(&link).ends_with("it is a symbolic link"));
        assert!(refusal(dir.path()).ends_with("it is not a regular file"));
        assert!(refusal(Path::new("bin/clawkeep")).ends_with("the path is not absolute"));
        assert!(refusal(&dir.path().join("none")).ends_with("it does not exist"));
    }

    #[test]
    fn a_copy_lands_in_the_users_own_folder_and_replaces_an_older_one() {
        let home = tempfile::tempdir().unwrap();
        let from = home.path().join("built");
        file::create(&from, b"new program", 0o700).unwrap();
        let copy = install_copy(&from, home.path()).unwrap();
        assert!(copy.ends_with(".local/bin/clawkeep"));
        assert_eq!(mode(&copy), 0o755);
        file::replace(&from, b"newer program", 0o700).unwrap();
        assert_eq!(install_copy(&from, home.path()).unwrap(), copy);
        assert_eq!(std::fs::read(&copy).unwrap(), b"newer program");
        assert_eq!(
            install_copy(&copy, home.path()).unwrap(),
            copy,
            "onto itself"
        );
        assert!(install_copy(&home.path().join("none"), home.path()).is_err());
        assert_eq!(std::fs::read(&copy).unwrap(), b"newer program");
    }

    #[test]
    fn a_folder_that_others_may_write_gets_no_copy() {
        let home = tempfile::tempdir().unwrap();
        let from = home.path().join("built");
        file::create(&from, b"program", 0o700).unwrap();
        let bin = home.path().join(".local/bin");
        std::fs::create_dir_all(&bin).unwrap();
        for open in [bin.clone(), home.path().join(".local")] {
            set_mode(&open, 0o777);
            let said = install_copy(&from, home.path()).unwrap_err();
            assert!(
                said.message().contains("may be written by others"),
                "{said}"
            );
            set_mode(&open, 0o755);
        }
        // A link is followed and what it leads to is held to the same rule.
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::remove_dir(&bin).unwrap();
        symlink(elsewhere.path(), &bin).unwrap();
        set_mode(elsewhere.path(), 0o777);
        assert!(install_copy(&from, home.path()).is_err());
        set_mode(elsewhere.path(), 0o700);
        let copy = install_copy(&from, home.path()).unwrap();
        assert_eq!(
            copy.parent().unwrap(),
            std::fs::canonicalize(elsewhere.path()).unwrap()
        );
        symlink("/bin/sh", home.path().join("link")).unwrap();
        std::fs::remove_file(&copy).unwrap();
        symlink("/bin/sh", &copy).unwrap();
        assert!(
            install_copy(&from, home.path()).is_err(),
            "a link in the copy's place stays"
        );
    }

    #[test]
    fn folders_that_do_not_last_are_known() {
        let home = Path::new("/nowhere/home");
        for path in [
            "/nowhere/src/clawkeep/target/debug/clawkeep",
            "/nowhere/src/target/release/deps/clawkeep",
            "/tmp/clawkeep",
        ] {
            assert!(is_build_folder(Path::new(path), home), "{path}");
        }
        for path in [
            "/nowhere/home/.local/bin/clawkeep",
            "/usr/bin/clawkeep",
            "/nowhere/release/clawkeep",
        ] {
            assert!(!is_build_folder(Path::new(path), home), "{path}");
        }
    }
}
