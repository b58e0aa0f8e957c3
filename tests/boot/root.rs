//! The Debian (or Ubuntu) root that machines boot from: made once, of the release that this host runs,
//! so that the program built here runs there. Knows mmdebstrap; nothing of clawkeep.
//!
//! Promise: a root that is there is whole, and nothing writes to it afterwards: machines take its /usr
//! read-only and copy the rest.

use crate::common;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What lies in it beside the essential packages. Node needs libatomic1 and libstdc++6; tpm2-tools
/// brings the libraries that systemd loads for a TPM2. A pattern where releases differ in a name.
const PACKAGES: [&str; 17] = [
    "systemd",
    "systemd-sysv",
    "dbus",
    "dbus-user-session",
    "libpam-systemd",
    "udev",
    "libatomic1",
    "libstdc++6",
    "iproute2",
    "procps",
    "util-linux",
    "gdb-minimal",
    "strace",
    "age",
    "swtpm",
    "tpm2-tools",
    "?name(^libtss2-tcti-swtpm)",
];

/// Raised when what is done to the root beside installing packages changes.
const RECIPE: u32 = 1;

/// A root that is there.
pub(crate) struct Base(PathBuf);

/// The release of this host, as mmdebstrap takes it.
struct Release {
    suite: String,
    components: &'static str,
}

impl Release {
    fn of_this_host() -> Option<Release> {
        let text = std::fs::read_to_string("/etc/os-release").ok()?;
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                .map(|value| value.trim_matches('"').to_owned())
        };
        let components = match field("ID")?.as_str() {
            "debian" => "main",
            "ubuntu" => "main,universe",
            _ => return None,
        };
        Some(Release {
            suite: field("VERSION_CODENAME")?,
            components,
        })
    }
}

impl Base {
    /// The root, made now if it is not there yet; or why there is none on this host.
    ///
    /// # Panics
    /// When making it fails, with what mmdebstrap said.
    pub(crate) fn get() -> Result<Base, &'static str> {
        let release = Release::of_this_host().ok_or("this host is no Debian and no Ubuntu")?;
        let recipe = format!(
            "{RECIPE} {} {} {}",
            release.suite,
            release.components,
            PACKAGES.join(" ")
        );
        let hash = Sha256::digest(recipe)
            .iter()
            .take(6)
            .fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
        let dir = common::cache().join("boot");
        std::fs::create_dir_all(&dir).unwrap();
        let base = Base(dir.join(format!("rootfs-{hash}")));
        // Two test programs may come here at once: the second waits for the first.
        let lock = File::create(dir.join(".lock")).unwrap();
        lock.lock().unwrap();
        if !base.0.is_dir() {
            base.make(&dir.join(format!("new-{hash}")), &release);
        }
        Ok(base)
    }

    /// Read-only from now on.
    pub(crate) fn usr(&self) -> PathBuf {
        self.0.join("usr")
    }

    /// Everything but /usr, to be copied.
    pub(crate) fn rest(&self) -> PathBuf {
        self.0.join("rest")
    }

    fn make(&self, new: &Path, release: &Release) {
        // What a cut-off run left.
        let _ = std::fs::remove_dir_all(new);
        std::fs::create_dir_all(new).unwrap();
        let rest = new.join("rest");
        let made = Command::new("mmdebstrap")
            .args(["--quiet", "--variant=minbase"])
            .arg(format!("--components={}", release.components))
            .arg(format!("--include={}", PACKAGES.join(",")))
            .arg(&release.suite)
            .arg(&rest)
            .env("TMPDIR", new)
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "mmdebstrap could not make a root (leave it out: scripts/test --without boot):\n{}",
            String::from_utf8_lossy(&made.stderr)
        );
        std::fs::rename(rest.join("usr"), new.join("usr")).unwrap();
        // systemd-nspawn wants to see what it boots before it mounts /usr.
        std::fs::create_dir_all(rest.join("usr/lib")).unwrap();
        let release_file = "usr/lib/os-release";
        std::fs::copy(new.join(release_file), rest.join(release_file)).unwrap();
        // The host's own: each machine has a new id, no name server, and a name.
        std::fs::write(rest.join("etc/machine-id"), "").unwrap();
        std::fs::write(rest.join("etc/hostname"), "machine\n").unwrap();
        let _ = std::fs::remove_file(rest.join("etc/resolv.conf"));
        std::fs::write(rest.join("etc/resolv.conf"), "").unwrap();
        // The journal survives a power cut, for the message of a test that failed.
        std::fs::create_dir_all(rest.join("var/log/journal")).unwrap();
        // The rename comes last: a root that has its name is whole.
        std::fs::rename(new, &self.0).unwrap();
    }
}
