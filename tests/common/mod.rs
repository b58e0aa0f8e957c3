//! The sealed world that integration tests live in.
//!
//! Promise: what a test starts sees a new empty home, a cleared environment, no session bus and no
//! program but those that the test puts on its PATH. Nothing of the person's own home, keychain or
//! environment is read or written, and everything is gone when the [`World`] is dropped.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test program compiles this and uses its part"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "test support: a panic is how a test fails, and it writes files and reads variables"
)]

pub mod craft;
pub mod mock_provider;
#[cfg(unix)]
pub mod openclaw;
#[cfg(unix)]
pub mod pty;
pub mod run;
pub mod vault;

use base64::Engine as _;
use run::Cmd;
pub use run::Run;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A folder with a home, a runtime folder, a folder for temporary files and one for programs.
pub struct World {
    root: PathBuf,
    // Removes everything when the test ends, also when it fails.
    _dir: tempfile::TempDir,
}

impl World {
    /// openclaw.json as JSON.
    pub fn openclaw_config(&self) -> serde_json::Value {
        let path = self.home().join(".openclaw/openclaw.json");
        let config = clawkeep::openclaw::config::Config::read(&path).unwrap();
        let keys = config.keys(&[]).into_iter();
        keys.map(|key| (key.clone(), config.get(&[&key]).unwrap()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// A new world: an empty home (0700) and nothing else.
    pub fn new() -> World {
        let dir = tempfile::Builder::new()
            .prefix("clawkeep-test-")
            .tempdir()
            .expect("a temporary folder");
        // The system's temporary folder may be a link (macOS); OpenClaw compares real paths.
        let root = dir.path().canonicalize().expect("the folder just made");
        let world = World { root, _dir: dir };
        for name in ["home", "tmp", "run", "bin"] {
            private_dir(&world.root.join(name));
        }
        world
    }

    /// What is `HOME` inside.
    pub fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// The folder that holds the home and everything else; for files that lie outside the home.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The only folder on `PATH`.
    pub fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    /// Writes a file below the home, 0600 in folders of 0700, and gives its path.
    pub fn write(&self, below_home: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home().join(below_home);
        let mut dir = self.home();
        for part in Path::new(below_home).parent().into_iter().flatten() {
            dir.push(part);
            private_dir(&dir);
        }
        std::fs::write(&path, bytes).expect("a file in the test's home");
        set_mode(&path, 0o600);
        path
    }

    /// Reads a file below the home.
    #[track_caller]
    pub fn read(&self, below_home: &str) -> Vec<u8> {
        let path = self.home().join(below_home);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Makes `target` runnable as `name` inside, by a link as package managers make it.
    #[cfg(unix)]
    pub fn put_on_path(&self, name: &str, target: &Path) {
        assert!(target.is_file(), "{} is no file", target.display());
        let link = self.bin().join(name);
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(target, link).expect("a link in the test's bin");
    }

    /// clawkeep with these arguments, to be given more before it runs.
    pub fn cmd<S: AsRef<str>>(&self, args: &[S]) -> Cmd {
        self.program(Path::new(env!("CARGO_BIN_EXE_clawkeep")), args)
    }

    /// Another program in the same world.
    pub fn program<S: AsRef<str>>(&self, program: &Path, args: &[S]) -> Cmd {
        Cmd::new(self, program, args)
    }

    /// Runs clawkeep with nothing on stdin.
    pub fn run<S: AsRef<str>>(&self, args: &[S]) -> Run {
        self.cmd(args).run()
    }

    /// Runs clawkeep on a terminal of its own.
    #[cfg(unix)]
    pub fn pty<S: AsRef<str>>(&self, args: &[S]) -> pty::Pty {
        pty::Pty::start(self.cmd(args))
    }

    /// A text as a snapshot shows it: paths and what chance made are named.
    pub fn tidy(&self, text: &str) -> String {
        run::tidy(text, &self.root)
    }

    /// Every file and folder of the home with its mode and its bytes, but for the access log; links with
    /// their targets.
    #[cfg(unix)]
    pub fn tree(&self) -> std::collections::BTreeMap<PathBuf, (u32, Vec<u8>)> {
        use std::os::unix::ffi::OsStrExt as _;
        use std::os::unix::fs::PermissionsExt as _;
        let mut tree = std::collections::BTreeMap::new();
        let mut dirs = vec![self.home()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(&dir).expect("a folder of the home") {
                let path = entry.expect("an entry").path();
                // The access log grows whenever somebody asks, also where nothing is to change.
                if path.ends_with("clawkeep/log") {
                    continue;
                }
                let meta = std::fs::symlink_metadata(&path).expect("just listed");
                let bytes = if meta.is_dir() {
                    dirs.push(path.clone());
                    Vec::new()
                } else if meta.file_type().is_symlink() {
                    let target = std::fs::read_link(&path).expect("a link");
                    target.as_os_str().as_bytes().to_vec()
                } else {
                    std::fs::read(&path).expect("a file")
                };
                tree.insert(path, (meta.permissions().mode() & 0o7777, bytes));
            }
        }
        tree
    }

    /// The environment inside, all of it.
    pub(crate) fn variables(&self) -> [(&'static str, PathBuf); 5] {
        [
            ("HOME", self.home()),
            ("PATH", self.bin()),
            ("TMPDIR", self.root.join("tmp")),
            ("XDG_RUNTIME_DIR", self.root.join("run")),
            ("LANG", PathBuf::from("C.UTF-8")),
        ]
    }

    /// Every file of this world, in the home and beside it, that holds `needle` in its bytes or its
    /// name: as it is, in base64 at any offset (both alphabets), in hex, or in UTF-16.
    pub fn search_home(&self, needle: &str) -> Vec<PathBuf> {
        let forms = forms_of(needle);
        let mut found = Vec::new();
        let mut dirs = vec![self.root.clone()];
        while let Some(dir) = dirs.pop() {
            // What vanishes while we look (a socket, a temporary file) is no find.
            for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
                let path = entry.path();
                let holds = |text: &str| forms.iter().any(|form| text.contains(form.as_str()));
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => dirs.push(path),
                    Ok(kind) if kind.is_file() => {
                        let bytes = std::fs::read(&path).unwrap_or_default();
                        // Lossy only where bytes are no UTF-8: ASCII, and so every form, survives.
                        if holds(&String::from_utf8_lossy(&bytes)) || holds(&path.to_string_lossy())
                        {
                            found.push(path);
                        }
                    }
                    Ok(_) if holds(&path.to_string_lossy()) => found.push(path),
                    _ => {}
                }
            }
        }
        found.sort();
        found
    }
}

/// The texts that betray `needle` in a file.
fn forms_of(needle: &str) -> Vec<String> {
    assert!(
        needle.is_ascii() && needle.len() >= 12,
        "a needle is ASCII and long enough not to be found by chance"
    );
    let hex = needle.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let wide: String = needle.chars().flat_map(|c| [c, '\0']).collect();
    let mut forms = vec![needle.to_owned(), hex.to_uppercase(), hex, wide];
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(needle.as_bytes());
        // Only the characters that no neighbouring byte has a bit in.
        let range = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
        for engine in [
            base64::engine::general_purpose::STANDARD,
            base64::engine::general_purpose::URL_SAFE,
        ] {
            forms.push(engine.encode(&bytes)[range.clone()].to_owned());
        }
    }
    forms
}

fn private_dir(path: &Path) {
    std::fs::create_dir_all(path).expect("a folder in the test's world");
    set_mode(path, 0o700);
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("our own file");
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) {}

/// Whether `scripts/test --without NAME` left this test out; says so past the test runner, which
/// hides what a passing test prints.
pub fn left_out(name: &str) -> bool {
    let skip = std::env::var("CLAWKEEP_TEST_SKIP").unwrap_or_default();
    let out = skip.split(',').any(|item| item == name);
    if out {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test").to_owned();
        let _ = writeln!(
            std::io::stderr(),
            "{test}: not run, left out by CLAWKEEP_TEST_SKIP ({name})"
        );
    }
    out
}

/// How many rounds a test with chance in it makes: `few`, or `many` with `scripts/test --long`.
pub fn rounds(few: usize, many: usize) -> usize {
    if std::env::var("CLAWKEEP_TEST_LONG").is_ok_and(|value| value == "1") {
        many
    } else {
        few
    }
}

/// The cache that `scripts/test` fills.
pub fn cache() -> PathBuf {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    var("CLAWKEEP_TEST_CACHE").map_or_else(
        || {
            var("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(var("HOME")?).join(".cache")))
                .expect("HOME is not set; run scripts/test")
                .join("clawkeep-test")
        },
        PathBuf::from,
    )
}

/// Puts the program at `to`. By a process of its own: a file that this one has open for writing while another
/// test starts a child cannot be run until that child has begun ("text file busy").
#[track_caller]
pub fn copy_program(to: impl AsRef<Path>) {
    let from = env!("CARGO_BIN_EXE_clawkeep");
    if cfg!(windows) {
        std::fs::copy(from, to).unwrap();
        return;
    }
    let copied = std::process::Command::new("/bin/cp")
        .arg(from)
        .arg(to.as_ref())
        .status();
    assert!(copied.unwrap().success(), "{from} could not be copied");
}
