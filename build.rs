//! Links the unwinder into the program instead of loading `libgcc_s.so` at every start.
//!
//! On Linux with glibc, rustc asks for the shared `libgcc_s`, and the dynamic loader's work for it is 95
//! of the 745 µs that an empty Rust program takes as a whole process. The same code lies in the
//! compiler's `libgcc_eh.a`. Named before rustc's own `-lgcc_s`, it answers for the unwinder's symbols,
//! and `--as-needed`, which rustc always passes, then drops the shared one. Where there is no such file
//! nothing changes: the program is the same, and starts a little later.

#![allow(
    clippy::disallowed_methods,
    reason = "cargo speaks to a build script through its environment"
)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const UNWINDER: &str = "libgcc_eh.a";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(unwinder_inside)");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let glibc = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    // `cc` of this machine knows its own libraries alone.
    let native = env::var("HOST").ok() == env::var("TARGET").ok();
    if glibc
        && native
        && let Some(dir) = unwinder()
    {
        println!("cargo:rustc-link-search=native={}", dir.display());
        println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
        // For tests/package.rs, which looks whether it had the effect.
        println!("cargo:rustc-cfg=unwinder_inside");
    }
}

/// The folder of the C compiler's `libgcc_eh.a`.
fn unwinder() -> Option<PathBuf> {
    let output = Command::new("cc")
        .arg(format!("-print-file-name={UNWINDER}"))
        .output()
        .ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    // Where it has none, `cc` prints the bare name.
    (path.is_absolute() && path.is_file())
        .then(|| path.parent().map(Path::to_owned))
        .flatten()
}
